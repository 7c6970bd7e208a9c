/* SPDX-License-Identifier: Apache-2.0 */
/* A client that a stranger, a gateway with valid keys, the portal and the operating system do
 * things to in any order. The first byte picks how far it is when the input starts. After each
 * operation outputs are drained and checked; at the end every packet is back in the pool. */
#include <stdlib.h>
#include <string.h>

#include "engine/client/client.h"
#include "engine/ip/build.h"
#include "tests/fuzz/far-end.h"
#include "tests/fuzz/fuzz.h"

#define DNS_IDS 8

struct run {
    struct ops ops;
    struct sp_pkt_pool pool;
    struct test_rng rng;
    struct sp_client *client;
    struct far_end far;
    sp_time now;
    uint64_t dns_ids[DNS_IDS]; /* ring of the queries seen last */
    size_t n_dns;
    uint8_t query[64]; /* start of the newest */
    size_t query_len;
};

/* ---- outputs ------------------------------------------------------------------------------- */

static void
take_event(struct run *run, const struct sp_client_event *ev)
{
    switch (ev->type) {
    case SP_CLIENT_EVENT_PORTAL:
        if (ev->u.portal.type == SP_CLIENT_REQ_NEW_CANDIDATES)
            far_hear(&run->far, &ev->u.portal.u.candidates, true, run->now);
        else if (ev->u.portal.type == SP_CLIENT_REQ_INVALIDATE_CANDIDATES)
            far_hear(&run->far, &ev->u.portal.u.candidates, false, run->now);
        break;
    case SP_CLIENT_EVENT_DNS_QUERY:
        run->dns_ids[run->n_dns++ % DNS_IDS] = ev->u.dns.id;
        run->query_len = SP_MIN(ev->u.dns.len, sizeof run->query);
        memcpy(run->query, ev->u.dns.message, run->query_len);
        sp_assert(ev->u.dns.server.family != 0 || ev->u.dns.doh_url != NULL);
        break;
    case SP_CLIENT_EVENT_TUN_CONFIG:
        for (size_t i = 1; i < ev->u.tun.n_routes; i++)
            sp_assert(!sp_cidr_equal(&ev->u.tun.routes[i - 1], &ev->u.tun.routes[i]));
        break;
    case SP_CLIENT_EVENT_PUBLIC_KEY:
        sp_assert(!memcmp(ev->u.public_key, sp_client_public_key(run->client), SP_KEY_LEN));
        break;
    case SP_CLIENT_EVENT_RESOURCES:
    case SP_CLIENT_EVENT_OFFLINE:
    case SP_CLIENT_EVENT_VERSION_MISMATCH:
        break;
    }
}

static void
check_peers(const struct sp_client *c)
{
    struct sp_peer_view views[OPS_IDS];
    size_t n = sp_client_peers(c, views, SP_ARRAY_SIZE(views));

    sp_assert(n <= SP_ARRAY_SIZE(views));
    for (size_t i = 0; i < n; i++)
        sp_assert(views[i].state[0] != 0 && views[i].path != NULL);
}

static void
drain(struct run *run)
{
    struct sp_client_event ev;
    struct sp_transmit tx;
    struct sp_ip_view v;
    struct sp_pkt *pkt;

    while (sp_client_poll_event(run->client, &ev)) {
        take_event(run, &ev);
        sp_client_event_done(&ev);
    }
    while ((pkt = sp_client_poll_tun(run->client)) != NULL) {
        sp_assert(sp_packet_parse(sp_pkt_data(pkt), pkt->len, &v) == 0);
        sp_pkt_free(pkt);
    }
    while (sp_client_poll_transmit(run->client, &tx))
        far_take(&run->far, &tx);
    check_peers(run->client);
}

/* ---- time and wire ------------------------------------------------------------------------- */

static void
timeout(struct run *run)
{
    sp_client_handle_timeout(run->client, run->now);
    drain(run);
    /* A deadline that stays in the past would make the driver spin. */
    sp_assert(sp_client_next_timeout(run->client) > run->now);
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
    sp_client_handle_udp(run->client, &d.meta, d.pkt, run->now);
    drain(run);
    return true;
}

static void
tell_candidates(struct run *run)
{
    struct sp_client_msg m = { .type = SP_CLIENT_MSG_CANDIDATES };

    if (run->far.candidates.n == 0)
        return;
    m.u.candidates = (struct sp_candidates){ ops_id_at(0, 'p'), run->far.candidates };
    run->far.candidates = (struct sp_strv){ 0 };
    sp_client_handle_portal(run->client, &m, run->now);
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

static struct sp_interface
interface(struct ops *o)
{
    struct sp_interface i = { .ipv4 = OPS_CLIENT4, .ipv6 = ops_client6() };

    i.n_upstream_do53 = ops_below(o, 3);
    i.upstream_do53 = sp_xcalloc(2, sizeof *i.upstream_do53);
    for (size_t k = 0; k < i.n_upstream_do53; k++)
        i.upstream_do53[k] = ops_ip(o, ops_u8(o) & 1 ? 6 : 4);
    if (ops_below(o, 4) == 3)
        sp_strv_add(&i.upstream_doh, "https://dns.example/dns-query");
    if (ops_below(o, 4) == 3)
        i.search_domain = sp_xstrdup(ops_name(o));
    return i;
}

static struct sp_client_init
init_of(struct ops *o)
{
    struct sp_client_init init = { .interface = interface(o), .n_resources = ops_below(o, 5) };
    struct sp_relays_presence relays = ops_relays(o);

    init.resources = sp_xcalloc(5, sizeof *init.resources);
    for (size_t i = 0; i < init.n_resources; i++)
        init.resources[i] = ops_resource(o);
    free(relays.disconnected);
    init.relays = relays.connected;
    init.n_relays = relays.n_connected;
    return init;
}

/* Peer 0 is the far end; the others exist only in the portal's words. */
static struct sp_client_authorized
grant_of(struct run *run, unsigned peer, struct sp_uuid resource, struct sp_uuid site)
{
    struct sp_client_authorized a = {
        .resource_id = resource,
        .gateway_id = ops_id_at(peer, 'p'),
        .site_id = site,
        .gateway_ipv4 = OPS_GATEWAY4,
        .gateway_ipv6 = ops_gateway6(),
        .client_creds = far_client_creds(),
        .gateway_creds = far_gateway_creds(),
    };

    memset(a.psk, FAR_PSK, sizeof a.psk);
    if (peer == 0) {
        far_expect(&run->far, sp_client_public_key(run->client), run->now);
        memcpy(a.gateway_key, sp_node_public_key(run->far.node), sizeof a.gateway_key);
    } else {
        memset(a.gateway_key, (int)peer + 1, sizeof a.gateway_key);
        a.gateway_ipv4.b[3] = (uint8_t)(peer + 1);
        a.gateway_ipv6.b[15] = (uint8_t)(peer + 1);
        a.client_creds.ufrag[3] = (char)('0' + peer);
    }
    return a;
}

static void
portal(struct run *run, unsigned type)
{
    struct sp_client_msg m = { .type = (enum sp_client_msg_type)type };
    struct ops *o = &run->ops;
    struct sp_uuid resource;
    unsigned peer;

    switch (m.type) {
    case SP_CLIENT_MSG_INIT:
        m.u.init = init_of(o);
        break;
    case SP_CLIENT_MSG_CONFIG_CHANGED:
        m.u.config = interface(o);
        break;
    case SP_CLIENT_MSG_RESOURCE_UPSERT:
        m.u.resource = ops_resource(o);
        break;
    case SP_CLIENT_MSG_RESOURCE_DELETED:
        m.u.resource_id = ops_id(o, 'r');
        break;
    case SP_CLIENT_MSG_RELAYS_PRESENCE:
        m.u.relays = ops_relays(o);
        break;
    case SP_CLIENT_MSG_AUTHORIZED:
        peer = ops_below(o, OPS_IDS);
        resource = ops_id(o, 'r');
        m.u.authorized = grant_of(run, peer, resource, ops_id(o, 's'));
        break;
    case SP_CLIENT_MSG_AUTHORIZATION_FAILED:
        m.u.failed.resource_id = ops_id(o, 'r');
        m.u.failed.reason = (enum sp_fail_reason)ops_below(o, _SP_FAIL_MAX);
        break;
    case SP_CLIENT_MSG_CANDIDATES:
    case SP_CLIENT_MSG_INVALIDATE_CANDIDATES:
        m.u.candidates = ops_candidates(o);
        break;
    }
    sp_client_handle_portal(run->client, &m, run->now);
}

/* ---- what the operating system says -------------------------------------------------------- */

static void
dns_result(struct run *run)
{
    uint64_t id = run->dns_ids[ops_below(&run->ops, DNS_IDS)];
    enum sp_client_dns_result result = (enum sp_client_dns_result)ops_below(&run->ops, 3);
    struct sp_span rest = ops_bytes(&run->ops, 600);
    uint8_t msg[sizeof run->query + 600];

    memcpy(msg, run->query, run->query_len);
    if (run->query_len > 3)
        msg[2] |= 0x80; /* a response */
    if (rest.n)
        memcpy(msg + run->query_len, rest.p, rest.n);
    sp_client_handle_dns_result(run->client,
                                id,
                                result,
                                sp_span(msg, run->query_len + rest.n),
                                run->now);
}

static void
host_addresses(struct run *run, unsigned n)
{
    struct sp_endpoint list[4] = { far_near_address() };

    for (unsigned i = 1; i < n; i++)
        list[i] = ops_endpoint(&run->ops);
    sp_client_set_host_addresses(run->client, list, n, run->now);
}

static void
from_tun(struct run *run)
{
    struct sp_pkt *pkt = ops_packet(&run->ops, &run->pool);

    if (pkt)
        sp_client_handle_tun(run->client, pkt, run->now);
}

static void
from_stranger(struct run *run)
{
    struct sp_udp_meta meta = { .local = far_near_address(), .from = ops_endpoint(&run->ops) };
    struct sp_pkt *pkt = ops_datagram(&run->ops, &run->pool);

    if (pkt)
        sp_client_handle_udp(run->client, &meta, pkt, run->now);
}

static void
resolvers(struct run *run)
{
    struct sp_ip list[3];
    unsigned n = ops_below(&run->ops, 4);

    for (unsigned i = 0; i < n; i++)
        list[i] = ops_ip(&run->ops, i & 1 ? 6 : 4);
    sp_client_set_system_resolvers(run->client, list, n, run->now);
}

static void
rare(struct run *run)
{
    struct ops *o = &run->ops;

    switch (ops_below(o, 6)) {
    case 0:
        sp_client_reset(run->client, run->now);
        break;
    case 1:
        sp_client_shutdown(run->client, run->now);
        break;
    case 2:
        sp_client_flush_dns_cache(run->client);
        break;
    case 3:
        resolvers(run);
        break;
    case 4:
        host_addresses(run, ops_below(o, 5));
        break;
    default:
        sp_client_set_internet_resource(run->client, ops_u8(o) & 1, run->now);
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
        far_send(&run->far, ops_packet(o, &run->pool), run->now);
        while (receive(run, 0))
            ;
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
        dns_result(run);
        break;
    case 8:
        sp_client_handle_portal_state(run->client, ops_u8(o) & 1, run->now);
        break;
    case 9:
        run->now += ops_pause(o);
        timeout(run);
        break;
    case 10:
        settle(run);
        break;
    case 11:
        rare(run);
        break;
    default:
        portal(run, ops_below(o, SP_CLIENT_MSG_INVALIDATE_CANDIDATES + 1));
        break;
    }
    drain(run);
}

/* One resource of each kind. */
static void
start(struct run *run)
{
    struct sp_client_msg m = { .type = SP_CLIENT_MSG_INIT };
    struct sp_client_init *init = &m.u.init;

    init->interface.ipv4 = OPS_CLIENT4;
    init->interface.ipv6 = ops_client6();
    init->n_resources = 3;
    init->resources = sp_xcalloc(3, sizeof *init->resources);
    for (unsigned i = 0; i < 3; i++) {
        struct sp_resource *r = &init->resources[i];

        r->type = (enum sp_resource_type)i;
        r->id = ops_id_at(i, 'r');
        r->name = sp_xstrdup("name");
        r->n_sites = 1;
        r->sites = sp_xcalloc(1, sizeof *r->sites);
        r->sites[0] = (struct sp_site){ ops_id_at(0, 's'), sp_xstrdup("site") };
    }
    init->resources[0].address = sp_xstrdup("**.wiki.example");
    init->resources[1].address = sp_xstrdup("10.0.0.0/8");
    init->resources[1].net = (struct sp_cidr){ sp_ip4(10, 0, 0, 0), 8 };
    sp_client_handle_portal(run->client, &m, run->now);
    sp_client_handle_portal_state(run->client, true, run->now);
    host_addresses(run, 1);
    drain(run);
}

static void
connect(struct run *run)
{
    struct sp_endpoint from = { OPS_CLIENT4, 1000 }, to = { sp_ip4(10, 0, 0, 1), 443 };
    struct sp_client_msg m = { .type = SP_CLIENT_MSG_AUTHORIZED };
    struct sp_pkt *pkt = sp_pkt_alloc(&run->pool);
    size_t n;

    sp_assert(sp_build_udp(sp_pkt_data(pkt), SP_MTU, &from, &to, sp_span("x", 1), &n) == 0);
    pkt->len = (uint16_t)n;
    sp_client_handle_tun(run->client, pkt, run->now);
    drain(run);
    m.u.authorized = grant_of(run, 0, ops_id_at(1, 'r'), ops_id_at(0, 's'));
    sp_client_handle_portal(run->client, &m, run->now);
    drain(run);
    settle(run);
    sp_assert(far_is_connected(&run->far));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct run run;
    struct sp_client_config config = { .pool = &run.pool };
    uint8_t how;

    memset(&run, 0, sizeof run);
    run.ops = (struct ops){ data, SP_MIN(size, (size_t)4096) };
    run.now = SP_SEC(1000);
    how = ops_u8(&run.ops);
    sp_pkt_pool_init(&run.pool, how & 4 ? 24 : 4096);
    config.rng = test_rng_init(&run.rng, 1);
    config.internet_resource = how & 8;
    run.client = sp_client_new(&config, run.now);
    far_init(&run.far, &run.pool, false, run.now);
    if (how & 1)
        start(&run);
    if ((how & 3) == 3)
        connect(&run);
    while (run.ops.n)
        step(&run);
    sp_client_free(run.client);
    far_done(&run.far);
    sp_assert(run.pool.in_use == 0);
    sp_pkt_pool_done(&run.pool);
    return 0;
}
