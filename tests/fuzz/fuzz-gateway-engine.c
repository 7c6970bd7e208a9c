/* SPDX-License-Identifier: Apache-2.0 */
/* A gateway that a stranger, a client with valid keys, the portal and the operating system do
 * things to in any order. The first byte picks how far it is when the input starts. After each
 * operation outputs are drained and checked; at the end every packet is back in the pool. */
#include <stdlib.h>
#include <string.h>

#include "engine/gateway/gateway.h"
#include "engine/ip/packet.h"
#include "tests/fuzz/far-end.h"
#include "tests/fuzz/fuzz.h"

#define LOOKUPS 8

struct run {
    struct ops ops;
    struct sp_pkt_pool pool;
    struct test_rng rng;
    struct sp_gw *gw;
    struct far_end far;
    sp_time now;
    uint64_t lookups[LOOKUPS]; /* ring of those seen last */
    size_t n_lookups;
};

/* ---- outputs ------------------------------------------------------------------------------- */

static void
take_event(struct run *run, const struct sp_gw_event *ev)
{
    switch (ev->type) {
    case SP_GW_EVENT_PORTAL:
        if (ev->u.portal.type == SP_GW_REQ_NEW_CANDIDATES)
            far_hear(&run->far, &ev->u.portal.u.candidates, true, run->now);
        else if (ev->u.portal.type == SP_GW_REQ_INVALIDATE_CANDIDATES)
            far_hear(&run->far, &ev->u.portal.u.candidates, false, run->now);
        else if (ev->u.portal.type == SP_GW_REQ_AUTHORIZED)
            sp_assert(ev->u.portal.u.ref != NULL);
        break;
    case SP_GW_EVENT_RESOLVE:
        sp_assert(ev->u.resolve.domain[0] != 0);
        run->lookups[run->n_lookups++ % LOOKUPS] = ev->u.resolve.id;
        break;
    case SP_GW_EVENT_PUBLIC_KEY:
        sp_assert(!memcmp(ev->u.public_key, sp_gw_public_key(run->gw), SP_KEY_LEN));
        break;
    case SP_GW_EVENT_TUN_CONFIG:
        break;
    }
}

/* Whatever a client sends, it reaches the network only under an address of the peer range. */
static void
check_tun(struct sp_pkt *pkt)
{
    struct sp_ip_view v;

    sp_assert(sp_packet_parse(sp_pkt_data(pkt), pkt->len, &v) == 0);
    sp_assert(!sp_ip_is_multicast(&v.dst));
    if (v.version == 4)
        sp_assert(v.src.b[0] == 100);
    else
        sp_assert(v.src.b[0] == 0xfd);
}

static void
drain(struct run *run)
{
    struct sp_gw_event ev;
    struct sp_transmit tx;
    struct sp_pkt *pkt;

    while (sp_gw_poll_event(run->gw, &ev)) {
        take_event(run, &ev);
        sp_gw_event_done(&ev);
    }
    while ((pkt = sp_gw_poll_tun(run->gw)) != NULL) {
        check_tun(pkt);
        sp_pkt_free(pkt);
    }
    while (sp_gw_poll_transmit(run->gw, &tx))
        far_take(&run->far, &tx);
    sp_assert(sp_gw_client_count(run->gw) <= OPS_IDS);
}

/* ---- time and wire ------------------------------------------------------------------------- */

static void
timeout(struct run *run)
{
    sp_gw_handle_timeout(run->gw, run->now);
    drain(run);
    /* A deadline that stays in the past would make the driver spin. */
    sp_assert(sp_gw_next_timeout(run->gw) > run->now);
    far_timeout(&run->far, run->now);
}

static bool
receive(struct run *run, unsigned flip)
{
    struct far_datagram d;

    if (!far_pop(&run->far, &d))
        return false;
    if (flip && d.pkt->len)
        sp_pkt_data(d.pkt)[flip % d.pkt->len] ^= 0x10;
    sp_gw_handle_udp(run->gw, &d.meta, d.pkt, run->now);
    drain(run);
    return true;
}

static void
tell_candidates(struct run *run)
{
    struct sp_gw_msg m = { .type = SP_GW_MSG_CANDIDATES };

    if (run->far.candidates.n == 0)
        return;
    m.u.candidates = (struct sp_candidates){ ops_id_at(0, 'p'), run->far.candidates };
    run->far.candidates = (struct sp_strv){ 0 };
    sp_gw_handle_portal(run->gw, &m, run->now);
    drain(run);
}

/* Let everything that is on its way arrive, for about two seconds. */
static void
settle(struct run *run)
{
    for (int i = 0; i < 20; i++) {
        tell_candidates(run);
        while (receive(run, 0) || far_receive(&run->far, run->now))
            ;
        run->now += SP_MS(100);
        timeout(run);
    }
}

/* ---- what the portal says ------------------------------------------------------------------ */

static struct sp_gw_init
init_of(struct ops *o)
{
    struct sp_gw_init init = { .ipv4 = OPS_GATEWAY4, .ipv6 = ops_gateway6() };
    struct sp_relays_presence relays = ops_relays(o);

    free(relays.disconnected);
    init.relays = relays.connected;
    init.n_relays = relays.n_connected;
    init.n_authorizations = ops_below(o, 5);
    init.authorizations = sp_xcalloc(5, sizeof *init.authorizations);
    for (size_t i = 0; i < init.n_authorizations; i++)
        init.authorizations[i] = (struct sp_authz_entry){
            .client_id = ops_id(o, 'p'),
            .resource_id = ops_id(o, 'r'),
            .expires_at = ops_u8(o) & 1 ? INT64_MAX : 1000 + ops_u8(o),
        };
    return init;
}

/* Takes @resource. Peer 0 is the far end; the others exist only in the portal's words. */
static struct sp_gw_authorize
authorize_of(struct run *run, unsigned peer, struct sp_resource resource, int64_t expires_at)
{
    struct sp_gw_authorize a = {
        .ref = sp_xstrdup("ref"),
        .resource = resource,
        .client_id = ops_id_at(peer, 'p'),
        .client_ipv4 = OPS_CLIENT4,
        .client_ipv6 = ops_client6(),
        .client_creds = far_client_creds(),
        .gateway_creds = far_gateway_creds(),
        .expires_at = expires_at,
    };

    memset(a.psk, FAR_PSK, sizeof a.psk);
    if (peer == 0) {
        far_expect(&run->far, sp_gw_public_key(run->gw), run->now);
        memcpy(a.client_key, sp_node_public_key(run->far.node), sizeof a.client_key);
    } else {
        memset(a.client_key, (int)peer + 1, sizeof a.client_key);
        a.client_ipv4.b[3] = (uint8_t)(9 + peer / 2); /* may be another client's */
        a.client_ipv6.b[15] = (uint8_t)(9 + peer);
        a.gateway_creds.ufrag[3] = (char)('0' + peer);
    }
    return a;
}

static void
portal(struct run *run, unsigned type)
{
    struct sp_gw_msg m = { .type = (enum sp_gw_msg_type)type };
    struct ops *o = &run->ops;
    struct sp_resource resource;
    unsigned peer;

    switch (m.type) {
    case SP_GW_MSG_INIT:
        m.u.init = init_of(o);
        break;
    case SP_GW_MSG_AUTHORIZE:
        peer = ops_below(o, OPS_IDS);
        resource = ops_resource(o);
        m.u.authorize =
            authorize_of(run, peer, resource, ops_u8(o) & 1 ? INT64_MAX : 1000 + ops_u8(o));
        break;
    case SP_GW_MSG_REJECT_ACCESS:
        m.u.reject.client_id = ops_id(o, 'p');
        m.u.reject.resource_id = ops_id(o, 'r');
        break;
    case SP_GW_MSG_RESOURCE_UPDATED:
        m.u.resource = ops_resource(o);
        break;
    case SP_GW_MSG_CANDIDATES:
    case SP_GW_MSG_INVALIDATE_CANDIDATES:
        m.u.candidates = ops_candidates(o);
        break;
    case SP_GW_MSG_RELAYS_PRESENCE:
        m.u.relays = ops_relays(o);
        break;
    }
    sp_gw_handle_portal(run->gw, &m, run->now);
}

/* ---- what the operating system says -------------------------------------------------------- */

static void
resolved(struct run *run)
{
    uint64_t id = run->lookups[ops_below(&run->ops, LOOKUPS)];
    uint8_t how = ops_u8(&run->ops);
    struct sp_ip addrs[8];
    unsigned n = how & 7;

    for (unsigned i = 0; i < n; i++)
        addrs[i] = ops_ip(&run->ops, how >> i & 1 ? 6 : 4);
    sp_gw_handle_resolved(run->gw, id, how & 0x80, addrs, n, run->now);
}

static void
host_addresses(struct run *run, unsigned n)
{
    struct sp_endpoint list[4] = { far_near_address() };

    for (unsigned i = 1; i < n; i++)
        list[i] = ops_endpoint(&run->ops);
    sp_gw_set_host_addresses(run->gw, list, n, run->now);
}

static void
from_tun(struct run *run)
{
    struct sp_pkt *pkt = ops_packet(&run->ops, &run->pool);

    if (pkt)
        sp_gw_handle_tun(run->gw, pkt, run->now);
}

static void
from_stranger(struct run *run)
{
    struct sp_udp_meta meta = { .local = far_near_address(), .from = ops_endpoint(&run->ops) };
    struct sp_pkt *pkt = ops_datagram(&run->ops, &run->pool);

    if (pkt)
        sp_gw_handle_udp(run->gw, &meta, pkt, run->now);
}

static void
rare(struct run *run)
{
    switch (ops_below(&run->ops, 4)) {
    case 0:
        sp_gw_reset(run->gw, run->now);
        break;
    case 1:
        sp_gw_shutdown(run->gw, run->now);
        break;
    default:
        host_addresses(run, ops_below(&run->ops, 5));
        break;
    }
}

/* ---- the run ------------------------------------------------------------------------------- */

static void
step(struct run *run)
{
    struct ops *o = &run->ops;

    switch (ops_below(o, 16)) {
    case 0:
    case 1:
        from_tun(run);
        break;
    case 2:
    case 3:
    case 4:
        far_send(&run->far, ops_packet(o, &run->pool), run->now);
        while (receive(run, 0))
            ;
        break;
    case 5:
        from_stranger(run);
        break;
    case 6:
        receive(run, ops_u8(o));
        break;
    case 7:
        far_receive(&run->far, run->now);
        break;
    case 8:
        resolved(run);
        break;
    case 9:
        sp_gw_handle_portal_state(run->gw, ops_u8(o) & 1, run->now);
        break;
    case 10:
        run->now += ops_pause(o);
        timeout(run);
        break;
    case 11:
        settle(run);
        break;
    case 12:
        rare(run);
        break;
    default:
        portal(run, ops_below(o, SP_GW_MSG_RELAYS_PRESENCE + 1));
        break;
    }
    drain(run);
}

static void
start(struct run *run)
{
    struct sp_gw_msg m = {
        .type = SP_GW_MSG_INIT,
        .u.init = { .ipv4 = OPS_GATEWAY4, .ipv6 = ops_gateway6() },
    };

    sp_gw_handle_portal(run->gw, &m, run->now);
    sp_gw_handle_portal_state(run->gw, true, run->now);
    host_addresses(run, 1);
    drain(run);
}

/* One resource of each kind for the far end. */
static void
connect(struct run *run)
{
    for (unsigned i = 0; i < 3; i++) {
        struct sp_gw_msg m = { .type = SP_GW_MSG_AUTHORIZE };
        struct sp_resource r = {
            .type = (enum sp_resource_type)i,
            .id = ops_id_at(i, 'r'),
            .name = sp_xstrdup("name"),
        };

        if (r.type == SP_RESOURCE_CIDR)
            r.net = (struct sp_cidr){ sp_ip4(10, 0, 0, 0), 8 };
        if (r.type != SP_RESOURCE_INTERNET)
            r.address = sp_xstrdup(i ? "10.0.0.0/8" : "**.wiki.example");
        m.u.authorize = authorize_of(run, 0, r, INT64_MAX);
        sp_gw_handle_portal(run->gw, &m, run->now);
        drain(run);
    }
    settle(run);
    sp_assert(far_is_connected(&run->far));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct run run;
    struct sp_gw_config config = { .pool = &run.pool };
    uint8_t how;

    memset(&run, 0, sizeof run);
    run.ops = (struct ops){ data, SP_MIN(size, (size_t)4096) };
    run.now = SP_SEC(1000);
    how = ops_u8(&run.ops);
    sp_pkt_pool_init(&run.pool, how & 4 ? 24 : 4096);
    config.rng = test_rng_init(&run.rng, 1);
    run.gw = sp_gw_new(&config, run.now);
    far_init(&run.far, &run.pool, true, run.now);
    if (how & 1)
        start(&run);
    if ((how & 3) == 3)
        connect(&run);
    while (run.ops.n)
        step(&run);
    sp_gw_free(run.gw);
    far_done(&run.far);
    sp_assert(run.pool.in_use == 0);
    sp_pkt_pool_done(&run.pool);
    return 0;
}
