/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "engine/base/err.h"
#include "tests/sim/sim.h"

/* ---- services -------------------------------------------------------------------------------- */

void
sim_fail(struct sim *s, const char *format, ...)
{
    va_list ap;
    char *text;

    if (s->failure)
        return;
    va_start(ap, format);
    text = g_strdup_vprintf(format, ap);
    va_end(ap);
    s->failure = g_strdup_printf("at %.3f s: %s", (double)s->now / 1e9, text);
    g_free(text);
}

void
sim_note(struct sim *s, const char *format, ...)
{
    va_list ap;

    g_string_append_printf(s->trace, "%10.3f  ", (double)s->now / 1e9);
    va_start(ap, format);
    g_string_append_vprintf(s->trace, format, ap);
    va_end(ap);
    g_string_append_c(s->trace, '\n');
}

unsigned
sim_draw(struct sim *s, unsigned below)
{
    return sp_rng_below(&s->rng, below);
}

static void
on_log(void *ctx, enum sp_log_level level, enum sp_log_cat cat, const char *line)
{
    struct sim *s = ctx;

    if (level == SP_LOG_ERROR)
        sim_fail(s, "ERROR log: %s: %s", sp_log_cat_name(cat), line);
    if (s->verbose)
        sim_note(s, "  %s %s: %s", sp_log_level_name(level), sp_log_cat_name(cat), line);
}

struct sp_pkt *
sim_packet(struct sp_pkt_pool *pool, const uint8_t *p, size_t n)
{
    struct sp_pkt *pkt = sp_pkt_from_bytes(pool, p, n);

    g_assert_nonnull(pkt);
    return pkt;
}

/* ---- network --------------------------------------------------------------------------------- */

static bool
on_wire(void *ctx, int host SP_UNUSED, const struct test_net_datagram *d, sp_time now SP_UNUSED)
{
    struct sim *s = ctx;
    bool known = d->to.ip.b[0] == 192 || d->to.ip.b[0] == 0x20; /* every host of the world */

    if (!known || d->to.port != SIM_PORT)
        sim_fail(s, "a datagram to an unknown host");
    return true;
}

static void
client_datagram(void *ctx, const struct test_net_datagram *d, sp_time now)
{
    struct sim *s = ctx;
    struct sp_udp_meta meta = { .local = d->to, .from = d->from };
    struct sp_pkt *pkt = sim_packet(&s->pool, d->bytes.p, d->bytes.n);

    pkt->ecn = d->ecn;
    sp_client_handle_udp(s->client, &meta, pkt, now);
    sim_drain_client(s);
}

static void
gateway_datagram(void *ctx, const struct test_net_datagram *d, sp_time now)
{
    struct sim_gateway *g = ctx;
    struct sp_udp_meta meta = { .local = d->to, .from = d->from };
    struct sp_pkt *pkt;

    if (!g->gw)
        return;
    pkt = sim_packet(&g->pool, d->bytes.p, d->bytes.n);
    pkt->ecn = d->ecn;
    sp_gw_handle_udp(g->gw, &meta, pkt, now);
    sim_drain_gateway(g);
}

static void
put_on_wire(struct sim *s, int host, const struct sp_transmit *tx)
{
    struct sp_endpoint src = { .ip = tx->src, .port = SIM_PORT };

    test_net_send(s->net, host, &src, &tx->dst, sp_pkt_span(tx->pkt), tx->pkt->ecn, s->now);
    sp_pkt_free(tx->pkt);
}

/* ---- engines --------------------------------------------------------------------------------- */

static void
take_tun_config(struct sim *s, struct sp_client_event *ev)
{
    struct sp_client_event old = { .type = SP_CLIENT_EVENT_TUN_CONFIG };

    old.u.tun = s->tun;
    if (s->have_tun && old.u.tun.n_routes == ev->u.tun.n_routes
        && old.u.tun.n_dns == ev->u.tun.n_dns
        && !memcmp(old.u.tun.routes, ev->u.tun.routes, old.u.tun.n_routes * sizeof(struct sp_cidr))
        && g_strcmp0(old.u.tun.search_domain, ev->u.tun.search_domain) == 0) {
        bool same = true;

        for (size_t i = 0; i < ev->u.tun.n_dns; i++)
            same &= sp_ip_equal(&old.u.tun.dns[i].sentinel, &ev->u.tun.dns[i].sentinel)
                    && sp_ip_equal(&old.u.tun.dns[i].upstream, &ev->u.tun.dns[i].upstream);
        if (same)
            sim_fail(s, "a TUN configuration that changes nothing");
    }
    if (s->have_tun)
        sp_client_event_done(&old);
    s->tun = ev->u.tun;
    s->have_tun = true;
    *ev = (struct sp_client_event){ .type = SP_CLIENT_EVENT_PUBLIC_KEY };
}

static bool
same_list(const struct sp_client_event *a, const struct sp_client_event *b)
{
    if (a->u.resources.n != b->u.resources.n)
        return false;
    for (size_t i = 0; i < a->u.resources.n; i++) {
        const struct sp_client_resource_view *x = &a->u.resources.list[i];
        const struct sp_client_resource_view *y = &b->u.resources.list[i];

        if (!sp_uuid_equal(&x->resource.id, &y->resource.id) || x->status != y->status
            || x->enabled != y->enabled || g_strcmp0(x->resource.name, y->resource.name)
            || g_strcmp0(x->resource.address, y->resource.address)
            || x->resource.n_sites != y->resource.n_sites
            || x->resource.n_filters != y->resource.n_filters
            || x->resource.ip_stack != y->resource.ip_stack
            || (x->resource.n_sites
                && !sp_uuid_equal(&x->resource.sites[0].id, &y->resource.sites[0].id))
            || (x->resource.n_filters
                && memcmp(x->resource.filters,
                          y->resource.filters,
                          x->resource.n_filters * sizeof *x->resource.filters)))
            return false;
    }
    return true;
}

static void
take_list(struct sim *s, struct sp_client_event *ev)
{
    if (s->have_list && same_list(&s->list, ev))
        sim_fail(s, "a resource list that changes nothing");
    if (s->have_list)
        sp_client_event_done(&s->list);
    s->list = *ev;
    s->have_list = true;
    *ev = (struct sp_client_event){ .type = SP_CLIENT_EVENT_PUBLIC_KEY };
}

static void
client_event(struct sim *s, struct sp_client_event *ev)
{
    switch (ev->type) {
    case SP_CLIENT_EVENT_TUN_CONFIG:
        take_tun_config(s, ev);
        break;
    case SP_CLIENT_EVENT_PORTAL:
        portal_from_client(s, &ev->u.portal);
        break;
    case SP_CLIENT_EVENT_RESOURCES:
        take_list(s, ev);
        break;
    case SP_CLIENT_EVENT_DNS_QUERY:
        hosts_dns_query(s, &ev->u.dns);
        break;
    case SP_CLIENT_EVENT_PUBLIC_KEY:
        memcpy(s->client_key, ev->u.public_key, SP_KEY_LEN);
        break;
    case SP_CLIENT_EVENT_OFFLINE:
    case SP_CLIENT_EVENT_VERSION_MISMATCH:
        break;
    }
}

void
sim_drain_client(struct sim *s)
{
    struct sp_client_event ev;
    struct sp_transmit tx;
    struct sp_pkt *pkt;

    while (sp_client_poll_event(s->client, &ev)) {
        client_event(s, &ev);
        sp_client_event_done(&ev);
    }
    while ((pkt = sp_client_poll_tun(s->client)) != NULL) {
        if (s->plant == SIM_PLANT_DUPLICATE && sim_draw(s, 8) == 0)
            app_receive(s, sp_pkt_clone(pkt));
        app_receive(s, pkt);
    }
    while (sp_client_poll_transmit(s->client, &tx))
        put_on_wire(s, s->client_host, &tx);
}

void
sim_drain_gateway(struct sim_gateway *g)
{
    struct sim *s = g->sim;
    struct sp_gw_event ev;
    struct sp_transmit tx;
    struct sp_pkt *pkt;

    while (sp_gw_poll_event(g->gw, &ev)) {
        switch (ev.type) {
        case SP_GW_EVENT_PORTAL:
            portal_from_gateway(g, &ev.u.portal);
            break;
        case SP_GW_EVENT_RESOLVE:
            hosts_resolve(g, ev.u.resolve.id, ev.u.resolve.domain);
            break;
        case SP_GW_EVENT_TUN_CONFIG:
        case SP_GW_EVENT_PUBLIC_KEY:
            break;
        }
        sp_gw_event_done(&ev);
    }
    while ((pkt = sp_gw_poll_tun(g->gw)) != NULL)
        hosts_packet(g, pkt);
    while (sp_gw_poll_transmit(g->gw, &tx))
        put_on_wire(s, g->host, &tx);
}

static struct sp_endpoint
endpoint_of(const char *ip)
{
    struct sp_endpoint e = { .port = SIM_PORT };

    g_assert_cmpint(sp_ip_parse(ip, &e.ip), ==, 0);
    return e;
}

void
sim_client_move(struct sim *s)
{
    char v4[SP_IP_STR_MAX], v6[SP_IP_STR_MAX];
    struct sp_endpoint e[2];

    s->client_place++;
    g_snprintf(v4, sizeof v4, "192.0.%u.%u", 10 + s->client_place, 1 + sim_draw(s, 200));
    g_snprintf(v6, sizeof v6, "2001:db8:c:%x::1", s->client_place);
    test_net_clear_addresses(s->net, s->client_host);
    test_net_add_address(s->net, s->client_host, v4, -1);
    test_net_add_address(s->net, s->client_host, v6, -1);
    e[0] = endpoint_of(v4);
    e[1] = endpoint_of(v6);
    sp_client_set_host_addresses(s->client, e, 2, s->now);
}

void
sim_gateway_start(struct sim_gateway *g)
{
    struct sim *s = g->sim;
    struct sp_gw_config config = {
        .pool = &g->pool,
        .rng = test_rng_init(&g->rng, s->seed * 131 + g->index * 17 + ++g->epoch * 1009),
        .wall = s->wall,
        .log = &s->log,
    };
    struct sp_endpoint e[2] = { endpoint_of(g->address[0]), endpoint_of(g->address[1]) };

    g->gw = sp_gw_new(&config, s->now);
    memcpy(g->key, sp_gw_public_key(g->gw), SP_KEY_LEN);
    memset(g->grants, 0, sizeof g->grants);
    memset(g->answers, 0, sizeof g->answers);
    sp_gw_set_host_addresses(g->gw, e, 2, s->now);
    sim_drain_gateway(g);
    portal_gateway_up(g);
}

void
sim_gateway_stop(struct sim_gateway *g, bool graceful)
{
    if (graceful)
        sp_gw_shutdown(g->gw, g->sim->now);
    sim_drain_gateway(g);
    portal_gateway_down(g);
    g->gw = sp_gw_free(g->gw);
    g->disturbed = true;
    g->first_probe = SP_TIME_NEVER;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void
draw_links(struct sim *s)
{
    struct test_net_link link = { .delay = SP_MS(2 + sim_draw(s, 60)) };
    unsigned kind = sim_draw(s, 10);

    if (kind >= 5)
        link.jitter = SP_MS(sim_draw(s, 80));
    if (kind >= 6)
        link.duplicate = sim_draw(s, 100);
    if (kind >= 8)
        link.loss = 5 + sim_draw(s, 40);
    s->jittery = kind >= 5;
    s->lossy = kind >= 8;
    test_net_set_link(s->net, s->client_host, link);
    for (int i = 0; i < SIM_GATEWAYS; i++) {
        link.delay = SP_MS(1 + sim_draw(s, 80));
        test_net_set_link(s->net, s->gateways[i].host, link);
    }
    sim_note(s, "links: %s%s", s->jittery ? "jitter " : "steady ", s->lossy ? "loss" : "");
}

static void
add_gateways(struct sim *s)
{
    bool shared = sim_draw(s, 3) == 0; /* both ordinary gateways serve one site */

    for (int i = 0; i < SIM_GATEWAYS; i++) {
        struct sim_gateway *g = &s->gateways[i];

        g->sim = s;
        g->index = i;
        g->site = shared && i == 1 ? 0 : i;
        g->id = sp_uuid_random(&s->rng);
        g->ipv4 = sp_ip4(100, 64, 1, (uint8_t)(1 + i));
        g_assert_cmpint(sp_ip_parse("fd00:2021:1111::1:0", &g->ipv6), ==, 0);
        g->ipv6.b[15] = (uint8_t)(1 + i);
        g_snprintf(g->address[0], SP_IP_STR_MAX, "192.0.2.%d", 1 + i);
        g_snprintf(g->address[1], SP_IP_STR_MAX, "2001:db8:f::%d", 1 + i);
        sp_pkt_pool_init(&g->pool, 8192);
        g->host = test_net_add_host(s->net, gateway_datagram, g);
        test_net_add_address(s->net, g->host, g->address[0], -1);
        test_net_add_address(s->net, g->host, g->address[1], -1);
    }
}

struct sim *
sim_new(uint64_t seed, enum sim_plant plant, bool verbose)
{
    struct sim *s = g_new0(struct sim, 1);
    struct sp_client_config config = { 0 };

    s->seed = seed;
    s->plant = plant;
    s->verbose = verbose;
    s->rng = test_rng_init(&s->rng_state, seed * 2 + 1);
    s->now = SP_SEC(1000);
    s->wall.unix_ns_at_zero = INT64_C(1750000000) * 1000000000;
    s->trace = g_string_new(NULL);
    s->log = (struct sp_log){ .fn = on_log,
                              .ctx = s,
                              .max = verbose ? SP_LOG_TRACE : SP_LOG_ERROR,
                              .mask = SP_LOG_ALL & ~(uint32_t)SP_LOG_ICE };
    s->net = test_net_new(seed + 77);
    test_net_set_filter(s->net, on_wire, s);
    s->events = g_queue_new();
    s->probes = g_ptr_array_new_with_free_func(g_free);
    s->queries = g_ptr_array_new_with_free_func(g_free);
    s->next_port = 20000;
    sp_pkt_pool_init(&s->pool, 8192);
    s->client_id = sp_uuid_random(&s->rng);
    s->ipv4 = sp_ip4(100, 64, 0, 7);
    g_assert_cmpint(sp_ip_parse("fd00:2021:1111::7", &s->ipv6), ==, 0);
    s->internet_active = sim_draw(s, 2);
    config.pool = &s->pool;
    config.rng = test_rng_init(&s->client_rng, seed + 5);
    config.wall = s->wall;
    config.log = &s->log;
    config.internet_resource = s->internet_active;
    s->client = sp_client_new(&config, s->now);
    memcpy(s->client_key, sp_client_public_key(s->client), SP_KEY_LEN);
    s->client_host = test_net_add_host(s->net, client_datagram, s);
    add_gateways(s);
    draw_links(s);
    portal_init(s);
    return s;
}

void
sim_shutdown(struct sim *s)
{
    sp_client_shutdown(s->client, s->now);
    sim_drain_client(s);
    sim_run(s, SP_SEC(2));
    for (int i = 0; i < SIM_GATEWAYS; i++)
        if (s->gateways[i].gw)
            sim_gateway_stop(&s->gateways[i], true);
}

void
sim_free(struct sim *s)
{
    struct sp_client_event tun = { .type = SP_CLIENT_EVENT_TUN_CONFIG, .u.tun = s->tun };

    if (s->have_tun)
        sp_client_event_done(&tun);
    if (s->have_list)
        sp_client_event_done(&s->list);
    sp_client_free(s->client);
    hosts_done(s);
    portal_done(s);
    for (int i = 0; i < SIM_GATEWAYS; i++) {
        sp_gw_free(s->gateways[i].gw);
        g_assert_cmpuint(s->gateways[i].pool.in_use, ==, 0);
        sp_pkt_pool_done(&s->gateways[i].pool);
    }
    g_assert_cmpuint(s->pool.in_use, ==, 0);
    sp_pkt_pool_done(&s->pool);
    test_net_free(s->net);
    g_ptr_array_unref(s->probes);
    g_ptr_array_unref(s->queries);
    g_string_free(s->trace, TRUE);
    g_free(s->failure);
    g_free(s);
}

/* ---- loop ------------------------------------------------------------------------------------ */

static sp_time
client_timeout(const struct sim *s)
{
    return s->plant == SIM_PLANT_NO_TIMER ? SP_TIME_NEVER : sp_client_next_timeout(s->client);
}

static sp_time
next_step(const struct sim *s)
{
    sp_time at = sp_time_min(test_net_next(s->net), portal_next(s));

    at = sp_time_min(at, hosts_next(s));
    at = sp_time_min(at, client_timeout(s));
    for (int i = 0; i < SIM_GATEWAYS; i++)
        if (s->gateways[i].gw)
            at = sp_time_min(at, sp_gw_next_timeout(s->gateways[i].gw));
    return at;
}

static void
step(struct sim *s)
{
    s->wakeups++;
    test_net_deliver(s->net, s->now);
    hosts_deliver(s);
    portal_deliver(s);
    if (client_timeout(s) <= s->now) {
        sp_client_handle_timeout(s->client, s->now);
        sim_drain_client(s);
        if (client_timeout(s) <= s->now)
            sim_fail(s, "the client's timeout is due again at once");
    }
    for (int i = 0; i < SIM_GATEWAYS; i++) {
        struct sim_gateway *g = &s->gateways[i];

        if (!g->gw || sp_gw_next_timeout(g->gw) > s->now)
            continue;
        sp_gw_handle_timeout(g->gw, s->now);
        sim_drain_gateway(g);
        if (sp_gw_next_timeout(g->gw) <= s->now)
            sim_fail(s, "the gateway's timeout is due again at once");
    }
}

void
sim_run(struct sim *s, sp_duration d)
{
    sp_time end = s->now + d;

    while (!s->failure) {
        sp_time at = next_step(s);

        if (at > end)
            break;
        s->now = MAX(s->now, at);
        step(s);
    }
    s->now = MAX(s->now, end);
}

void
sim_settle(struct sim *s)
{
    sp_time end = s->now + SIM_PATIENCE;

    while (!s->failure && s->now < end && app_pending(s))
        sim_run(s, SP_MS(100));
    sim_run(s, SP_MS(200)); /* a second answer would come now */
    app_judge(s);
    oracle_check_tun(s);
    oracle_check_list(s);
}
