/* SPDX-License-Identifier: Apache-2.0 */
/* A node and the other end of one of its tunnels, with every call of its interface in any order:
 * tables stay in step, a deadline never stays in the past, no packet is lost from the pool. */
#include <stdlib.h>
#include <string.h>

#include "engine/node/node-private.h"
#include "tests/fuzz/far-end.h"
#include "tests/fuzz/fuzz.h"

struct run {
    struct ops ops;
    struct sp_pkt_pool pool;
    struct test_rng rng;
    struct sp_drops drops;
    struct sp_node *node;
    struct far_end far;
    sp_time now;
};

static void
check_tables(const struct run *run)
{
    const struct sp_node_tables *t = &run->node->tables;
    struct sp_node_stats stats;
    struct sp_node_info info;
    struct sp_uuid peer;
    size_t pos = 0, n = 0;

    while (sp_node_next_connection(run->node, &pos, &peer)) {
        sp_assert(sp_node_connection_info(run->node, &peer, &info));
        sp_assert(info.state < SP_NODE_STATE_FAILED && info.path < _SP_NODE_PATH_MAX);
        n++;
    }
    sp_node_stats(run->node, &stats);
    sp_assert(n == stats.connections && n <= OPS_IDS);
    sp_assert(t->by_id.len == n && t->by_index.len == n);
    sp_assert(t->by_key.len == n);
    /* Those with the same ufrag hang on one entry. */
    sp_assert(t->by_ufrag.len <= n && (t->by_ufrag.len > 0) == (n > 0));
}

static void
drain(struct run *run)
{
    struct sp_node_event ev;
    struct sp_transmit tx;

    while (sp_node_poll_event(run->node, &ev)) {
        struct sp_candidates list = { .peer = ev.peer };

        sp_assert(memchr(ev.candidate, 0, sizeof ev.candidate) != NULL);
        if (ev.type > SP_NODE_EV_INVALIDATE_CANDIDATE)
            continue;
        sp_strv_add(&list.list, ev.candidate);
        far_hear(&run->far, &list, ev.type == SP_NODE_EV_NEW_CANDIDATE, run->now);
        sp_strv_done(&list.list);
    }
    while (sp_node_poll_transmit(run->node, &tx))
        far_take(&run->far, &tx);
    check_tables(run);
}

static void
timeout(struct run *run)
{
    sp_node_handle_timeout(run->node, run->now);
    drain(run);
    sp_assert(sp_node_next_timeout(run->node) > run->now);
    far_timeout(&run->far, run->now);
}

static void
handle(struct run *run, const struct sp_udp_meta *meta, struct sp_pkt *pkt)
{
    struct sp_uuid peer;
    struct sp_pkt *inner;

    if (sp_node_handle_datagram(run->node, meta, pkt, run->now, &peer, &inner) == SP_NODE_PACKET) {
        sp_assert(inner->len >= 20 && inner->len <= SP_MTU);
        sp_pkt_free(inner);
    }
    drain(run);
}

static bool
receive(struct run *run, unsigned flip)
{
    struct far_datagram d;

    if (!far_pop(&run->far, &d))
        return false;
    if (flip && d.pkt->len)
        sp_pkt_data(d.pkt)[flip % d.pkt->len] ^= 0x10;
    handle(run, &d.meta, d.pkt);
    return true;
}

static void
settle(struct run *run)
{
    struct sp_uuid peer = ops_id_at(0, 'p');

    for (int i = 0; i < 20; i++) {
        for (size_t k = 0; k < run->far.candidates.n; k++)
            (void)!sp_node_add_remote_candidate(run->node,
                                                &peer,
                                                run->far.candidates.v[k],
                                                run->now);
        sp_strv_done(&run->far.candidates);
        drain(run);
        while (receive(run, 0) || far_receive(&run->far, run->now))
            ;
        run->now += SP_MS(100);
        timeout(run);
    }
}

/* Peer 0 is the far end. */
static void
upsert(struct run *run, unsigned peer)
{
    struct sp_uuid id = ops_id_at(peer, 'p');
    struct sp_node_peer_params p = {
        .local = far_client_creds(),
        .remote = far_gateway_creds(),
        .controlling = true,
    };

    memset(p.psk, FAR_PSK, sizeof p.psk);
    memset(p.remote_key, (int)peer + 1, sizeof p.remote_key);
    if (peer == 0) {
        far_expect(&run->far, sp_node_public_key(run->node), run->now);
        memcpy(p.remote_key, sp_node_public_key(run->far.node), sizeof p.remote_key);
    } else {
        p.local.ufrag[ops_u8(&run->ops) & 3] = (char)ops_u8(&run->ops);
        p.remote_key[1] = ops_u8(&run->ops) & 1;
    }
    (void)!sp_node_upsert(run->node, &id, &p, run->now);
}

static void
host_addresses(struct run *run, unsigned n)
{
    struct sp_endpoint list[20] = { far_near_address() };

    for (unsigned i = 1; i < n; i++)
        list[i] = ops_endpoint(&run->ops);
    sp_assert(sp_node_set_host_addresses(run->node, list, n, run->now)
              <= SP_NODE_HOST_ADDRESSES_MAX);
}

static void
relays(struct run *run)
{
    struct sp_relays_presence p = ops_relays(&run->ops);

    (void)!sp_node_update_relays(run->node,
                                 p.disconnected,
                                 p.n_disconnected,
                                 p.connected,
                                 p.n_connected,
                                 run->now);
    free(p.disconnected);
    sp_relays_free(p.connected, p.n_connected);
}

static void
send_packet(struct run *run)
{
    struct sp_uuid peer = ops_id(&run->ops, 'p');
    struct sp_pkt *pkt = ops_packet(&run->ops, &run->pool);
    int r;

    if (pkt == NULL)
        return;
    r = sp_node_send(run->node, &peer, pkt, run->now);
    if (r == SP_NODE_CONNECTING || r == SP_NODE_UNKNOWN)
        sp_pkt_free(pkt);
}

static void
candidates(struct run *run)
{
    struct sp_candidates c = ops_candidates(&run->ops);
    bool add = ops_u8(&run->ops) & 1;

    for (size_t i = 0; i < c.list.n; i++)
        (void)!(add ? sp_node_add_remote_candidate(run->node, &c.peer, c.list.v[i], run->now)
                    : sp_node_remove_remote_candidate(run->node, &c.peer, c.list.v[i], run->now));
    sp_strv_done(&c.list);
}

static void
end_some(struct run *run)
{
    unsigned how = ops_below(&run->ops, 8);
    struct sp_uuid peer = ops_id(&run->ops, 'p');

    if (how == 0)
        sp_node_reset(run->node, run->now);
    else if (how == 1)
        sp_node_close_all(run->node, ops_packet(&run->ops, &run->pool), run->now);
    else if (how < 5)
        (void)sp_node_remove(run->node, &peer, run->now);
    else
        (void)sp_node_close(run->node, &peer, ops_packet(&run->ops, &run->pool), run->now);
}

static void
from_stranger(struct run *run)
{
    struct sp_udp_meta meta = { .local = far_near_address(), .from = ops_endpoint(&run->ops) };
    struct sp_pkt *pkt = ops_datagram(&run->ops, &run->pool);

    if (pkt)
        handle(run, &meta, pkt);
}

static void
step(struct run *run)
{
    struct ops *o = &run->ops;

    switch (ops_below(o, 13)) {
    case 0:
    case 1:
        send_packet(run);
        break;
    case 2:
        upsert(run, ops_below(o, OPS_IDS));
        break;
    case 3:
        candidates(run);
        break;
    case 4:
        from_stranger(run);
        break;
    case 5:
        receive(run, ops_u8(o));
        break;
    case 6:
        far_receive(&run->far, run->now);
        break;
    case 7:
        far_send(&run->far, ops_packet(o, &run->pool), run->now);
        break;
    case 8:
        host_addresses(run, ops_below(o, 21));
        break;
    case 9:
        relays(run);
        break;
    case 10:
        end_some(run);
        break;
    case 11:
        run->now += ops_pause(o);
        timeout(run);
        break;
    default:
        settle(run);
        break;
    }
    drain(run);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct run run;
    struct sp_node_config config = { .pool = &run.pool, .drops = &run.drops };
    uint8_t how;

    memset(&run, 0, sizeof run);
    run.ops = (struct ops){ data, SP_MIN(size, (size_t)4096) };
    run.now = SP_SEC(1000);
    how = ops_u8(&run.ops);
    sp_pkt_pool_init(&run.pool, how & 4 ? 24 : 4096);
    config.rng = test_rng_init(&run.rng, 1);
    run.node = sp_node_new(&config, run.now);
    far_init(&run.far, &run.pool, false, run.now);
    if (how & 1)
        host_addresses(&run, 1);
    if ((how & 3) == 3) {
        upsert(&run, 0);
        settle(&run);
        sp_assert(far_is_connected(&run.far));
    }
    while (run.ops.n)
        step(&run);
    sp_node_free(run.node);
    far_done(&run.far);
    sp_assert(run.pool.in_use == 0);
    sp_pkt_pool_done(&run.pool);
    return 0;
}
