/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/far-end.h"

#include <string.h>

static struct sp_endpoint
far_address(void)
{
    return (struct sp_endpoint){ sp_ip4(198, 51, 100, 1), 51820 };
}

struct sp_endpoint
far_near_address(void)
{
    return (struct sp_endpoint){ sp_ip4(192, 0, 2, 1), 51820 };
}

struct sp_ice_creds
far_client_creds(void)
{
    return (struct sp_ice_creds){ "clnt", "password-of-the-client" };
}

struct sp_ice_creds
far_gateway_creds(void)
{
    return (struct sp_ice_creds){ "gtwy", "password-of-the-gateway" };
}

static void
wire_put(struct far_wire *w, const struct far_datagram *d)
{
    if (w->n < FAR_WIRE_MAX)
        w->q[w->n++] = *d;
    else
        sp_pkt_free(d->pkt);
}

static bool
wire_get(struct far_wire *w, struct far_datagram *ret)
{
    if (w->n == 0)
        return false;
    *ret = w->q[0];
    memmove(&w->q[0], &w->q[1], --w->n * sizeof w->q[0]);
    return true;
}

static void
wire_clear(struct far_wire *w)
{
    struct far_datagram d;

    while (wire_get(w, &d))
        sp_pkt_free(d.pkt);
}

static void
drain(struct far_end *f)
{
    struct sp_endpoint near = far_near_address(), far = far_address();
    struct sp_node_event ev;
    struct sp_transmit tx;

    while (sp_node_poll_event(f->node, &ev))
        if (ev.type == SP_NODE_EV_NEW_CANDIDATE && f->candidates.n < SP_MODEL_CANDIDATES_MAX)
            sp_strv_add(&f->candidates, ev.candidate);
    while (sp_node_poll_transmit(f->node, &tx)) {
        struct far_datagram d = { .meta = { .local = tx.dst, .from = far }, .pkt = tx.pkt };

        if (sp_endpoint_equal(&tx.dst, &near))
            wire_put(&f->to_near, &d);
        else
            sp_pkt_free(tx.pkt);
    }
}

void
far_init(struct far_end *f, struct sp_pkt_pool *pool, bool controlling, sp_time now)
{
    struct sp_endpoint far = far_address();
    struct sp_node_config config = { .pool = pool, .drops = &f->drops, .server = !controlling };

    memset(f, 0, sizeof *f);
    config.rng = test_rng_init(&f->rng, 2);
    f->pool = pool;
    f->controlling = controlling;
    f->id_of_near = ops_id_at(0, 'n');
    f->node = sp_node_new(&config, now);
    sp_assert(sp_node_set_host_addresses(f->node, &far, 1, now) == 1);
    drain(f);
}

void
far_done(struct far_end *f)
{
    sp_node_free(f->node);
    wire_clear(&f->to_near);
    wire_clear(&f->to_far);
    sp_strv_done(&f->candidates);
}

void
far_expect(struct far_end *f, const uint8_t *near_key, sp_time now)
{
    struct sp_node_peer_params params = {
        .local = f->controlling ? far_client_creds() : far_gateway_creds(),
        .remote = f->controlling ? far_gateway_creds() : far_client_creds(),
        .controlling = f->controlling,
    };

    memcpy(params.remote_key, near_key, SP_KEY_LEN);
    memset(params.psk, FAR_PSK, sizeof params.psk);
    (void)!sp_node_upsert(f->node, &f->id_of_near, &params, now);
    drain(f);
}

void
far_hear(struct far_end *f, const struct sp_candidates *list, bool added, sp_time now)
{
    for (size_t i = 0; i < list->list.n; i++)
        if (added)
            (void)!sp_node_add_remote_candidate(f->node, &f->id_of_near, list->list.v[i], now);
        else
            (void)!sp_node_remove_remote_candidate(f->node, &f->id_of_near, list->list.v[i], now);
    drain(f);
}

void
far_take(struct far_end *f, const struct sp_transmit *tx)
{
    struct far_datagram d = {
        .meta = { .local = tx->dst, .from = far_near_address() },
        .pkt = tx->pkt,
    };
    struct sp_endpoint far = far_address();

    sp_assert(tx->pkt->len > 0 && tx->pkt->len <= SP_DATAGRAM_MAX && tx->pkt->ecn <= 3);
    sp_assert(tx->dst.port != 0 && sp_ip_size(&tx->dst.ip) != 0);
    if (sp_endpoint_equal(&tx->dst, &far))
        wire_put(&f->to_far, &d);
    else
        sp_pkt_free(tx->pkt);
}

bool
far_receive(struct far_end *f, sp_time now)
{
    struct far_datagram d;
    struct sp_uuid peer;
    struct sp_pkt *inner;

    if (!wire_get(&f->to_far, &d))
        return false;
    if (sp_node_handle_datagram(f->node, &d.meta, d.pkt, now, &peer, &inner) == SP_NODE_PACKET)
        sp_pkt_free(inner);
    drain(f);
    return true;
}

bool
far_pop(struct far_end *f, struct far_datagram *ret)
{
    return wire_get(&f->to_near, ret);
}

void
far_send(struct far_end *f, struct sp_pkt *pkt, sp_time now)
{
    int r;

    if (pkt == NULL)
        return;
    r = sp_node_send(f->node, &f->id_of_near, pkt, now);
    if (r == SP_NODE_CONNECTING || r == SP_NODE_UNKNOWN)
        sp_pkt_free(pkt);
    drain(f);
}

void
far_timeout(struct far_end *f, sp_time now)
{
    sp_node_handle_timeout(f->node, now);
    drain(f);
}

bool
far_is_connected(const struct far_end *f)
{
    struct sp_node_info info;

    return sp_node_connection_info(f->node, &f->id_of_near, &info) && info.established;
}
