/* SPDX-License-Identifier: Apache-2.0 */
/* Spec tunnel B.2 to B.8 and F.5 "gateway peer": a gateway engine, one far node as its client. */
#include <string.h>

#include "engine/base/err.h"
#include "engine/control/control.h"
#include "engine/gateway/gateway.h"
#include "engine/ip/build.h"
#include "engine/ip/icmp.h"
#include "tests/support/far.h"

#define CLIENT4 "100.64.0.7"
#define CLIENT6 "fd00:2021:1111::7"
#define GW4     "100.64.1.1"
#define NEVER   INT64_MAX

struct rig {
    struct sp_gw *gw;
    struct sp_pkt_pool pool;
    struct test_rng rng;
    struct sp_wall wall;
    sp_time now;
    struct sp_endpoint address;
    struct far client;
    GPtrArray *tun; /* GBytes */
    uint64_t lookup;
    int lookups, replies;
};

static struct sp_uuid
gw_id(void)
{
    return test_uuid(0x9a, 1);
}

static void
drain_gw(struct rig *r)
{
    struct sp_gw_event ev;
    struct sp_transmit tx;
    struct sp_pkt *pkt;
    struct sp_uuid id = gw_id();

    while (sp_gw_poll_event(r->gw, &ev)) {
        if (ev.type == SP_GW_EVENT_RESOLVE) {
            r->lookup = ev.u.resolve.id;
            r->lookups++;
        } else if (ev.type == SP_GW_EVENT_PORTAL) {
            r->replies += ev.u.portal.type == SP_GW_REQ_AUTHORIZED;
            for (size_t i = 0; ev.u.portal.type == SP_GW_REQ_NEW_CANDIDATES
                               && i < ev.u.portal.u.candidates.list.n;
                 i++)
                (void)!sp_node_add_remote_candidate(r->client.node,
                                                    &id,
                                                    ev.u.portal.u.candidates.list.v[i],
                                                    r->now);
        }
        sp_gw_event_done(&ev);
    }
    while ((pkt = sp_gw_poll_tun(r->gw)) != NULL) {
        g_ptr_array_add(r->tun, g_bytes_new(sp_pkt_data(pkt), pkt->len));
        sp_pkt_free(pkt);
    }
    while (sp_gw_poll_transmit(r->gw, &tx)) {
        far_datagram(&r->client, &r->address, sp_pkt_span(tx.pkt), r->now);
        sp_pkt_free(tx.pkt);
    }
}

static void
pump(struct rig *r)
{
    struct sp_udp_meta meta = { .local = r->address, .from = r->client.address };

    for (int i = 0; i < 8; i++) {
        struct sp_transmit tx;

        drain_gw(r);
        far_drain_events(&r->client);
        while (r->client.candidates->len) {
            struct sp_gw_msg msg = { .type = SP_GW_MSG_CANDIDATES };

            msg.u.candidates.peer = r->client.id;
            sp_strv_add(&msg.u.candidates.list, g_ptr_array_index(r->client.candidates, 0));
            g_ptr_array_remove_index(r->client.candidates, 0);
            sp_gw_handle_portal(r->gw, &msg, r->now);
        }
        while (sp_node_poll_transmit(r->client.node, &tx)) {
            sp_gw_handle_udp(r->gw,
                             &meta,
                             sp_pkt_from_bytes(&r->pool, sp_pkt_data(tx.pkt), tx.pkt->len),
                             r->now);
            sp_pkt_free(tx.pkt);
        }
    }
    drain_gw(r);
}

static void
run(struct rig *r, sp_duration d)
{
    sp_time end = r->now + d;

    for (;;) {
        sp_time at = sp_time_min(sp_gw_next_timeout(r->gw), sp_node_next_timeout(r->client.node));

        if (at > end)
            break;
        r->now = MAX(r->now, at);
        sp_gw_handle_timeout(r->gw, r->now);
        sp_node_handle_timeout(r->client.node, r->now);
        pump(r);
    }
    r->now = end;
}

static int64_t
unix_in(const struct rig *r, int seconds)
{
    return sp_wall_unix_ns(r->wall, r->now) / (int64_t)SP_NS_PER_SEC + seconds;
}

/* @listed: resource numbers; @expires_at for all of them */
static void
init(struct rig *r, const char *listed, int64_t expires_at)
{
    struct sp_gw_msg msg = { .type = SP_GW_MSG_INIT };
    size_t n = strlen(listed);

    msg.u.init.ipv4 = test_ip(GW4);
    msg.u.init.ipv6 = test_ip("fd00:2021:1111::101");
    msg.u.init.authorizations = sp_xcalloc(n + 1, sizeof *msg.u.init.authorizations);
    for (size_t i = 0; i < n; i++)
        msg.u.init.authorizations[i] =
            (struct sp_authz_entry){ r->client.id,
                                     test_uuid(0x0e, (uint8_t)(listed[i] - '0')),
                                     expires_at };
    msg.u.init.n_authorizations = n;
    sp_gw_handle_portal_state(r->gw, true, r->now);
    sp_gw_handle_portal(r->gw, &msg, r->now);
    pump(r);
}

static void
grant(struct rig *r, uint8_t number, const char *address, const char *filter, int64_t expires_at)
{
    struct sp_gw_msg msg = { .type = SP_GW_MSG_AUTHORIZE };
    struct sp_gw_authorize *a = &msg.u.authorize;
    struct sp_node_peer_params p = far_params(sp_gw_public_key(r->gw), true);
    struct sp_uuid id = gw_id();

    a->ref = sp_xstrdup("ref");
    a->resource = (struct sp_resource){ .type = SP_RESOURCE_DNS, .id = test_uuid(0x0e, number) };
    a->resource.name = sp_xstrdup("name");
    if (!strcmp(address, "internet"))
        a->resource.type = SP_RESOURCE_INTERNET;
    else
        a->resource.address = sp_xstrdup(address);
    if (strchr(address, '/')) {
        a->resource.type = SP_RESOURCE_CIDR;
        g_assert_cmpint(sp_cidr_parse(address, &a->resource.net), ==, 0);
    }
    if (filter) {
        a->resource.filters = sp_xcalloc(1, sizeof *a->resource.filters);
        a->resource.n_filters = 1;
        a->resource.filters[0].proto = strcmp(filter, "icmp") ? SP_FILTER_UDP : SP_FILTER_ICMP;
        if (strcmp(filter, "icmp"))
            a->resource.filters[0].port_start = a->resource.filters[0].port_end =
                (uint16_t)g_ascii_strtoull(filter, NULL, 10);
    }
    a->client_id = r->client.id;
    memcpy(a->client_key, sp_node_public_key(r->client.node), SP_KEY_LEN);
    a->client_ipv4 = test_ip(CLIENT4);
    a->client_ipv6 = test_ip(CLIENT6);
    memcpy(a->psk, p.psk, SP_KEY_LEN);
    a->client_creds = p.local;
    a->gateway_creds = p.remote;
    a->expires_at = expires_at;
    g_assert_cmpint(sp_node_upsert(r->client.node, &id, &p, r->now), >=, 0);
    sp_gw_handle_portal(r->gw, &msg, r->now);
    pump(r);
    run(r, SP_MS(800));
}

static void
revoke_access(struct rig *r, uint8_t number)
{
    struct sp_gw_msg msg = { .type = SP_GW_MSG_REJECT_ACCESS };

    msg.u.reject.client_id = r->client.id;
    msg.u.reject.resource_id = test_uuid(0x0e, number);
    sp_gw_handle_portal(r->gw, &msg, r->now);
    pump(r);
}

static struct rig *
rig_new(void)
{
    struct rig *r = g_new0(struct rig, 1);
    struct sp_gw_config config = { .pool = &r->pool, .rng = test_rng_init(&r->rng, 31) };

    r->now = SP_SEC(1000);
    r->wall.unix_ns_at_zero = INT64_C(1750000000) * 1000000000;
    config.wall = r->wall;
    sp_pkt_pool_init(&r->pool, 4096);
    r->tun = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    r->address = (struct sp_endpoint){ sp_ip4(192, 0, 2, 50), FAR_PORT };
    r->gw = sp_gw_new(&config, r->now);
    sp_gw_set_host_addresses(r->gw, &r->address, 1, r->now);
    far_init(&r->client, 7, false, r->now);
    init(r, "", NEVER);
    return r;
}

static void
rig_free(struct rig *r)
{
    sp_gw_free(r->gw);
    far_done(&r->client);
    g_ptr_array_unref(r->tun);
    g_assert_cmpuint(r->pool.in_use, ==, 0);
    sp_pkt_pool_done(&r->pool);
    g_free(r);
}

static void
client_says(struct rig *r, GBytes *packet)
{
    struct sp_uuid id = gw_id();
    gsize n;
    const void *p = g_bytes_get_data(packet, &n);

    g_ptr_array_set_size(r->client.got, 0);
    g_ptr_array_set_size(r->tun, 0);
    g_assert_cmpint(far_send(&r->client, &id, p, n, r->now), ==, 0);
    g_bytes_unref(packet);
    pump(r);
}

static void
site_says(struct rig *r, GBytes *packet)
{
    gsize n;
    const void *p = g_bytes_get_data(packet, &n);

    g_ptr_array_set_size(r->client.got, 0);
    sp_gw_handle_tun(r->gw, sp_pkt_from_bytes(&r->pool, p, n), r->now);
    g_bytes_unref(packet);
    pump(r);
}

static uint64_t
drops(const struct rig *r, enum sp_drop reason)
{
    return sp_gw_drops(r->gw)->count[reason];
}

/* What happened to the last packet: 'p'assed, 'x' prohibited, 'u'nreachable, '-' nothing. */
static char
fate(const struct rig *r)
{
    struct sp_ip_view v;

    if (r->tun->len)
        return r->tun->len == 1 && r->client.got->len == 0 ? 'p' : '?';
    if (r->client.got->len == 0)
        return '-';
    v = test_view(test_last(r->client.got));
    if (v.version == 4 ? v.icmp_type == 3 && v.icmp_code == 13
                       : v.icmp_type == 1 && v.icmp_code == 1)
        return 'x';
    if (v.version == 4 ? v.icmp_type == 3 && v.icmp_code == 0
                       : v.icmp_type == 1 && v.icmp_code == 3)
        return 'u';
    return '?';
}

static char
try_udp(struct rig *r, const char *src, const char *dst, uint16_t port)
{
    client_says(r, test_udp(src, 4000, dst, port, "x"));
    return fate(r);
}

static char
try_port(struct rig *r, const char *dst, uint16_t port)
{
    return try_udp(r, strchr(dst, ':') ? CLIENT6 : CLIENT4, dst, port);
}

/* ---- B.3, B.4 -------------------------------------------------------------------------------- */

static void
test_policy(void)
{
    static const struct {
        const char *src, *dst;
        uint16_t port;
        char fate;
    } rows[] = {
        { CLIENT4, "10.0.0.1", 53, 'p' },
        { CLIENT4, "10.0.0.1", 54, 'x' },
        { "100.64.0.8", "10.0.0.1", 53, 'x' },
        { "10.0.0.9", "10.0.0.1", 53, 'x' },
        { CLIENT4, GW4, 9, 'p' },
        { CLIENT4, "100.64.0.8", 53, 'x' },
        { CLIENT4, "192.0.2.1", 53, 'x' },
        { CLIENT4, "224.0.0.251", 53, '-' },
        { CLIENT6, "fd77::1", 1, 'p' },
        { CLIENT6, "fd78::1", 1, 'x' },
        { "fd00:2021:1111::8", "fd77::1", 1, 'x' },
        { CLIENT4, "100.96.0.1", 53, 'x' },
    };
    struct rig *r = rig_new();

    grant(r, 1, "10.0.0.0/8", "53", NEVER);
    grant(r, 2, "fd77::/16", NULL, NEVER);
    g_assert_cmpint(r->replies, ==, 2);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        if (try_udp(r, rows[i].src, rows[i].dst, rows[i].port) != rows[i].fate)
            g_error("row %zu: %c", i, fate(r));
    client_says(r, test_raw(CLIENT4, "10.0.0.1", 47)); /* a filter cannot judge GRE */
    g_assert_cmpint(fate(r), ==, 'x');
    client_says(r, test_echo(CLIENT4, "10.0.0.1", false, 1, "x"));
    g_assert_cmpint(fate(r), ==, 'x');
    rig_free(r);
}

static void
test_no_errors_from_clients(void)
{
    struct rig *r = rig_new();
    GBytes *about = test_udp("10.0.0.1", 1, CLIENT4, 2, "x");
    struct sp_ip src = test_ip(CLIENT4), dst = test_ip("10.0.0.1");
    gsize n;
    const void *p = g_bytes_get_data(about, &n);
    uint8_t buf[SP_MTU];
    size_t len;

    grant(r, 1, "10.0.0.0/8", NULL, NEVER);
    g_assert_cmpint(sp_build_icmp(buf, SP_MTU, &src, &dst, 64, 3, 1, 0, sp_span(p, n), &len),
                    ==,
                    0);
    client_says(r, g_bytes_new(buf, len));
    g_bytes_unref(about);
    g_assert_cmpint(fate(r), ==, '-');
    g_assert_cmpuint(drops(r, SP_DROP_OUTBOUND_ICMP_ERROR), ==, 1);
    rig_free(r);
}

static void
test_internet(void)
{
    static const struct {
        const char *dst;
        char fate;
    } rows[] = {
        { "8.8.8.8", 'p' },    { "2620:fe::fe", 'p' }, { "10.0.0.1", 'u' },
        { "172.31.0.1", 'u' }, { "172.32.0.1", 'p' },  { "192.168.1.1", 'u' },
        { "127.0.0.1", 'u' },  { "169.254.1.1", 'u' }, { "240.0.0.1", 'u' },
        { "fd77::1", 'u' },    { "fe80::1", 'u' },     { "::1", 'u' },
        { "100.64.0.8", 'x' }, { "100.96.0.1", 'x' },  { "100.127.0.1", 'x' },
    };
    struct rig *r = rig_new();

    grant(r, 1, "internet", NULL, NEVER);
    grant(r, 2, "10.0.0.0/8", NULL, NEVER); /* ignored beside the Internet resource */
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        if (try_port(r, rows[i].dst, 1) != rows[i].fate)
            g_error("row %zu: %c", i, fate(r));
    rig_free(r);
}

/* Overlapping resources are a union; removing one restores the other's rule. */
static void
test_overlap(void)
{
    struct rig *r = rig_new();

    grant(r, 1, "10.0.0.0/8", "53", NEVER);
    grant(r, 2, "10.0.0.0/16", "80", NEVER);
    g_assert_cmpint(try_port(r, "10.0.0.1", 53), ==, 'p');
    g_assert_cmpint(try_port(r, "10.0.0.1", 80), ==, 'p');
    g_assert_cmpint(try_port(r, "10.1.0.1", 80), ==, 'x');
    revoke_access(r, 2);
    g_assert_cmpint(try_port(r, "10.0.0.1", 80), ==, 'x');
    g_assert_cmpint(try_port(r, "10.0.0.1", 53), ==, 'p');
    rig_free(r);
}

/* ---- B.2 ------------------------------------------------------------------------------------- */

static bool
said_goodbye(const struct rig *r)
{
    GBytes *last = test_last(r->client.got);
    struct sp_control_event ev;
    struct sp_ip_view v;
    gsize n;
    const uint8_t *p = last ? g_bytes_get_data(last, &n) : NULL;

    return p && sp_packet_parse(p, n, &v) == 0 && sp_control_is(&v)
           && sp_control_parse(p, &v, &ev) == 0 && ev.type == SP_CONTROL_GOODBYE;
}

static void
test_expiry(void)
{
    struct rig *r = rig_new();

    grant(r, 1, "10.0.0.0/8", NULL, unix_in(r, 10));
    grant(r, 2, "11.0.0.0/8", NULL, unix_in(r, 20));
    run(r, SP_SEC(7));
    g_assert_cmpint(try_port(r, "10.0.0.1", 1), ==, 'p');
    run(r, SP_SEC(4));
    g_assert_cmpint(try_port(r, "10.0.0.1", 1), ==, 'x');
    g_assert_cmpint(try_port(r, "11.0.0.1", 1), ==, 'p');
    grant(r, 2, "11.0.0.0/8", NULL, unix_in(r, 60)); /* extends */
    run(r, SP_SEC(20));
    g_assert_cmpint(try_port(r, "11.0.0.1", 1), ==, 'p');
    init(r, "2", unix_in(r, 2)); /* cuts short */
    g_assert_cmpint(try_port(r, "11.0.0.1", 1), ==, 'p');
    run(r, SP_SEC(4));
    g_assert_cmpuint(sp_gw_client_count(r->gw), ==, 0);
    g_assert_true(said_goodbye(r));
    grant(r, 3, "12.0.0.0/8", NULL, unix_in(r, -10)); /* already past: gone with the next tick */
    run(r, SP_SEC(2));
    g_assert_cmpuint(sp_gw_client_count(r->gw), ==, 0);
    rig_free(r);
}

static void
test_resync(void)
{
    struct rig *r = rig_new();

    grant(r, 1, "10.0.0.0/8", NULL, NEVER);
    grant(r, 2, "11.0.0.0/8", NULL, NEVER);
    init(r, "29", NEVER); /* 9 was never granted: not created */
    g_assert_cmpint(try_port(r, "10.0.0.1", 1), ==, 'x');
    g_assert_cmpint(try_port(r, "11.0.0.1", 1), ==, 'p');
    init(r, "", NEVER); /* not mentioned at all: loses everything */
    g_assert_cmpint(try_port(r, "11.0.0.1", 1), ==, 'x');
    run(r, SP_SEC(1));
    g_assert_cmpuint(sp_gw_client_count(r->gw), ==, 0);
    g_assert_true(said_goodbye(r));
    rig_free(r);
}

static void
test_revoke(void)
{
    struct rig *r = rig_new();

    grant(r, 1, "10.0.0.0/8", NULL, NEVER);
    grant(r, 2, "11.0.0.0/8", NULL, NEVER);
    revoke_access(r, 1);
    revoke_access(r, 9);
    g_assert_cmpint(try_port(r, "10.0.0.1", 1), ==, 'x');
    g_assert_cmpint(try_port(r, "11.0.0.1", 1), ==, 'p');
    g_ptr_array_set_size(r->client.got, 0);
    revoke_access(r, 2);
    g_assert_cmpuint(sp_gw_client_count(r->gw), ==, 0);
    g_assert_true(said_goodbye(r));
    rig_free(r);
}

/* What is not granted is not confirmed: the portal must not tell the client that it has access. */
static void
test_refused_grant(void)
{
    struct rig *r = rig_new();

    grant(r, 1, "10.0.0.0/8", NULL, NEVER);
    g_assert_cmpint(r->replies, ==, 1);
    grant(r, 1, "wiki.test", NULL, NEVER);
    g_assert_cmpint(r->replies, ==, 1);
    g_assert_cmpint(try_port(r, "10.0.0.1", 1), ==, 'p');
    grant(r, 1, "10.0.0.0/8", NULL, NEVER);
    g_assert_cmpint(r->replies, ==, 2);
    rig_free(r);
}

static void
test_goodbye(void)
{
    struct rig *r = rig_new();
    uint8_t buf[64];
    size_t n;

    grant(r, 1, "10.0.0.0/8", NULL, NEVER);
    g_assert_cmpint(sp_control_build_goodbye(buf, sizeof buf, &n), ==, 0);
    client_says(r, g_bytes_new(buf, n));
    g_assert_cmpuint(sp_gw_client_count(r->gw), ==, 0);
    site_says(r, test_udp("10.0.0.1", 1, CLIENT4, 4000, "x"));
    g_assert_cmpuint(drops(r, SP_DROP_NO_PEER_STATE), ==, 1);
    rig_free(r);
}

/* ---- B.5 to B.8 ------------------------------------------------------------------------------ */

static void
announce(struct rig *r, uint8_t resource, const char *domain, uint8_t first)
{
    struct sp_uuid id = test_uuid(0x0e, resource);
    struct sp_ip ips[8];
    uint8_t buf[SP_MTU];
    size_t n;

    for (uint8_t i = 0; i < 4; i++) {
        ips[i] = sp_ip4(100, 96, 0, (uint8_t)(first + i));
        ips[4 + i] = test_ip("fd00:2021:1111:8000::");
        ips[4 + i].b[15] = (uint8_t)(first + i);
    }
    g_assert_cmpint(sp_control_build_assigned_ips(buf, sizeof buf, &id, domain, ips, 8, &n), ==, 0);
    client_says(r, g_bytes_new(buf, n));
}

/* The status in the last packet to the client: 1, 0, or -1 for none. */
static int
status(const struct rig *r)
{
    GBytes *last = test_last(r->client.got);
    struct sp_control_event ev;
    struct sp_ip_view v;
    gsize n;
    const uint8_t *p = last ? g_bytes_get_data(last, &n) : NULL;

    if (!p || sp_packet_parse(p, n, &v) != 0 || !sp_control_is(&v)
        || sp_control_parse(p, &v, &ev) != 0 || ev.type != SP_CONTROL_DOMAIN_STATUS)
        return -1;
    return ev.active;
}

static void
resolved(struct rig *r, bool failed, const char *a, const char *b)
{
    struct sp_ip ips[2] = { 0 };
    size_t n = 0;

    if (a)
        ips[n++] = test_ip(a);
    if (b)
        ips[n++] = test_ip(b);
    sp_gw_handle_resolved(r->gw, r->lookup, failed, ips, n, r->now);
    pump(r);
}

static struct sp_ip_view
at_site(const struct rig *r)
{
    g_assert_cmpint(fate(r), ==, 'p');
    return test_view(test_last(r->tun));
}

static void
test_names(void)
{
    struct rig *r = rig_new();
    struct sp_ip_view v;

    grant(r, 1, "*.corp.test", NULL, NEVER);
    announce(r, 9, "app.corp.test", 1); /* no such access */
    g_assert_cmpint(status(r), ==, 0);
    g_assert_cmpint(r->lookups, ==, 0);
    announce(r, 1, "app.other.test", 1); /* not its pattern */
    resolved(r, false, "172.20.0.9", NULL);
    g_assert_cmpint(status(r), ==, 0);
    g_assert_cmpint(try_port(r, "100.96.0.1", 1), ==, 'x');
    announce(r, 1, "app.corp.test", 1);
    resolved(r, true, NULL, NULL);
    g_assert_cmpint(status(r), ==, 0);
    announce(r, 1, "app.corp.test", 1);
    resolved(r, false, "172.20.0.9", "172.20.0.3");
    g_assert_cmpint(status(r), ==, 1);
    /* Sorted addresses go to the proxy addresses in turn; no v6 record: unreachable, no NAT64. */
    for (uint8_t i = 0; i < 4; i++) {
        char dst[SP_IP_STR_MAX];

        g_snprintf(dst, sizeof dst, "100.96.0.%u", 1 + i);
        g_assert_cmpint(try_port(r, dst, 1), ==, 'p');
        v = at_site(r);
        g_assert_cmpuint(v.dst.b[3], ==, i % 2 ? 9 : 3);
    }
    g_assert_cmpint(try_port(r, "fd00:2021:1111:8000::1", 1), ==, 'u');
    g_assert_cmpint(try_port(r, "100.96.0.5", 1), ==, 'x');
    rig_free(r);
}

static struct rig *
with_name(const char *filter)
{
    struct rig *r = rig_new();

    grant(r, 1, "*.corp.test", filter, NEVER);
    grant(r, 2, "10.0.0.0/8", NULL, NEVER);
    announce(r, 1, "app.corp.test", 1);
    resolved(r, false, "172.20.0.9", NULL);
    g_assert_cmpint(status(r), ==, 1);
    return r;
}

/* Open sessions stay on the old address, new ones take the new. */
static void
test_update_keeps_sessions(void)
{
    struct rig *r = with_name(NULL);

    client_says(r, test_udp(CLIENT4, 4000, "100.96.0.1", 80, "x"));
    announce(r, 1, "app.corp.test", 1);
    resolved(r, false, "172.20.0.77", NULL);
    client_says(r, test_udp(CLIENT4, 4000, "100.96.0.1", 80, "x"));
    g_assert_cmpuint(at_site(r).dst.b[3], ==, 9);
    client_says(r, test_udp(CLIENT4, 4001, "100.96.0.1", 80, "x"));
    g_assert_cmpuint(at_site(r).dst.b[3], ==, 77);
    rig_free(r);
}

static void
test_renumbered(void)
{
    struct rig *r = with_name(NULL);

    client_says(r, test_udp(CLIENT4, 4000, "100.96.0.1", 80, "x"));
    announce(r, 1, "db.corp.test", 1); /* the client counts from the start again */
    resolved(r, false, "172.20.0.77", NULL);
    client_says(r, test_udp(CLIENT4, 4000, "100.96.0.1", 80, "x"));
    g_assert_cmpuint(at_site(r).dst.b[3], ==, 77);
    rig_free(r);
}

/* A client that is granted access again does not announce its names a second time. */
static void
test_regrant_keeps_names(void)
{
    struct rig *r = with_name(NULL);

    revoke_access(r, 1);
    g_assert_cmpint(try_port(r, "100.96.0.1", 1), ==, 'x');
    grant(r, 1, "*.corp.test", NULL, NEVER);
    g_assert_cmpint(try_port(r, "100.96.0.1", 1), ==, 'p');
    revoke_access(r, 1);
    grant(r, 1, "other.test", NULL, NEVER); /* but not for another pattern */
    g_assert_cmpint(try_port(r, "100.96.0.1", 1), ==, 'x');
    rig_free(r);
}

static void
test_downlink(void)
{
    static const struct {
        const char *src, *dst;
        enum sp_drop reason; /* _SP_DROP_MAX: passes */
    } rows[] = {
        { "10.0.0.1", CLIENT4, _SP_DROP_MAX },
        { GW4, CLIENT4, _SP_DROP_MAX },
        { "10.0.0.1", "10.9.9.9", SP_DROP_NOT_A_PEER },
        { "10.0.0.1", "100.64.0.8", SP_DROP_NO_PEER_STATE },
        { "11.0.0.1", CLIENT4, SP_DROP_NOT_ALLOWED },
        { "100.64.0.9", CLIENT4, SP_DROP_NOT_ALLOWED },
        { "172.20.0.9", CLIENT4, SP_DROP_NOT_ALLOWED },
    };
    struct rig *r = with_name(NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        uint64_t before = rows[i].reason == _SP_DROP_MAX ? 0 : drops(r, rows[i].reason);

        site_says(r, test_udp(rows[i].src, 80, rows[i].dst, 4000, "x"));
        g_assert_cmpuint(r->client.got->len, ==, rows[i].reason == _SP_DROP_MAX);
        if (rows[i].reason != _SP_DROP_MAX)
            g_assert_cmpuint(drops(r, rows[i].reason), ==, before + 1);
    }
    rig_free(r);
}

static void
test_expired_session(void)
{
    struct rig *r = with_name(NULL);
    struct sp_ip_view v;

    client_says(r, test_udp(CLIENT4, 4000, "100.96.0.1", 80, "x"));
    site_says(r, test_udp("172.20.0.9", 80, CLIENT4, 4000, "re"));
    v = test_view(test_last(r->client.got));
    g_assert_cmpuint(v.src.b[1], ==, 96);
    run(r, SP_SEC(119));
    site_says(r, test_udp("172.20.0.9", 80, CLIENT4, 4000, "re"));
    g_assert_cmpuint(r->client.got->len, ==, 1);
    run(r, SP_SEC(122));
    site_says(r, test_udp("172.20.0.9", 80, CLIENT4, 4000, "re"));
    g_assert_cmpuint(r->client.got->len, ==, 0);
    g_assert_cmpuint(drops(r, SP_DROP_EXPIRED_NAT_SESSION), ==, 1);
    rig_free(r);
}

/* F.1: filters do not apply to errors; they come from the proxy address and quote the client's packet. */
static void
test_error_translated(void)
{
    struct rig *r = with_name("80");
    struct sp_icmp_error err;
    struct sp_ip_view v;
    struct sp_ip router = sp_ip4(10, 255, 0, 1), client = test_ip(CLIENT4);
    uint8_t buf[SP_MTU];
    gsize n;
    const void *p;
    size_t len;

    client_says(r, test_udp(CLIENT4, 4000, "100.96.0.2", 80, "x"));
    p = g_bytes_get_data(test_last(r->tun), &n);
    g_assert_cmpint(sp_build_icmp(buf, SP_MTU, &router, &client, 64, 11, 0, 0, sp_span(p, n), &len),
                    ==,
                    0);
    site_says(r, g_bytes_new(buf, len));
    g_assert_cmpuint(r->client.got->len, ==, 1);
    v = test_view(test_last(r->client.got));
    g_assert_cmpint(sp_icmp_error_parse(g_bytes_get_data(test_last(r->client.got), NULL), &v, &err),
                    ==,
                    SP_ICMP_IS_ERROR);
    g_assert_cmpuint(v.src.b[3], ==, 2);
    g_assert_cmpuint(err.dst.b[1], ==, 96);
    g_assert_cmpuint(err.src_proto.id, ==, 4000);
    g_assert_cmpuint(err.type, ==, 11);
    rig_free(r);
}

static const struct {
    const char *path;
    void (*fn)(void);
} tests[] = {
    { "/gateway/B.3/policy", test_policy },
    { "/gateway/B.3/no-errors-from-clients", test_no_errors_from_clients },
    { "/gateway/B.4/internet", test_internet },
    { "/gateway/B.4/overlap", test_overlap },
    { "/gateway/B.2/expiry", test_expiry },
    { "/gateway/B.2/resync", test_resync },
    { "/gateway/B.2/revoke", test_revoke },
    { "/gateway/B.2/refused-grant", test_refused_grant },
    { "/gateway/B.2/goodbye", test_goodbye },
    { "/gateway/B.7/names", test_names },
    { "/gateway/B.7/update-keeps-sessions", test_update_keeps_sessions },
    { "/gateway/B.7/renumbered", test_renumbered },
    { "/gateway/B.7/regrant-keeps-names", test_regrant_keeps_names },
    { "/gateway/B.8/downlink", test_downlink },
    { "/gateway/B.5/expired-session", test_expired_session },
    { "/gateway/B.6/error-translated", test_error_translated },
};

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add_func(tests[i].path, tests[i].fn);
    return g_test_run();
}
