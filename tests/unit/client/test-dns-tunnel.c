/* SPDX-License-Identifier: Apache-2.0 */
/* Queries that belong to an upstream behind a gateway. The gateway is played by the test: it looks at
 * the packet that waits for access and hands packets to the inbound path. */
#include <glib.h>
#include <string.h>

#include "engine/client/client-private.h"
#include "engine/ip/build.h"
#include "tests/support/rng.h"

#define OWN4    sp_ip4(100, 64, 0, 1)
#define SERVER  sp_ip4(10, 0, 0, 53)
#define GATEWAY ((struct sp_uuid){ .b = { 0xaa } })
#define NET     ((struct sp_uuid){ .b = { 0x01 } })

struct fixture {
    struct test_rng state;
    struct sp_pkt_pool pool;
    struct sp_client_config config;
    struct sp_client *c;
    struct sp_ip sentinel;
    sp_time now;
};

static void
drain_events(struct fixture *f, unsigned count[SP_CLIENT_EVENT_PUBLIC_KEY + 1])
{
    struct sp_client_event ev;

    while (sp_client_poll_event(f->c, &ev)) {
        if (count)
            count[ev.type]++;
        sp_client_event_done(&ev);
    }
}

static void
set_up(struct fixture *f, gconstpointer data SP_UNUSED)
{
    struct sp_client_msg msg = { .type = SP_CLIENT_MSG_INIT };

    f->now = SP_SEC(100);
    sp_pkt_pool_init(&f->pool, 4096);
    f->config = (struct sp_client_config){
        .pool = &f->pool,
        .rng = test_rng_init(&f->state, 7),
    };
    f->c = sp_client_new(&f->config, f->now);
    msg.u.init.interface.ipv4 = OWN4;
    g_assert_cmpint(sp_ip_parse("fd00:2021:1111::1", &msg.u.init.interface.ipv6), ==, 0);
    msg.u.init.interface.n_upstream_do53 = 1;
    msg.u.init.interface.upstream_do53 = g_new0(struct sp_ip, 1);
    msg.u.init.interface.upstream_do53[0] = SERVER;
    sp_client_handle_portal(f->c, &msg, f->now);
    f->sentinel = f->c->dns.servers.map[0].sentinel;
    drain_events(f, NULL);
}

static void
tear_down(struct fixture *f, gconstpointer data SP_UNUSED)
{
    struct sp_pkt *pkt;

    while ((pkt = sp_client_poll_tun(f->c)) != NULL)
        sp_pkt_free(pkt);
    sp_client_free(f->c);
    sp_pkt_pool_done(&f->pool);
}

/* The network 10.0.0.0/24, with @rules if there are any. */
static void
add_network(struct fixture *f, const struct sp_filter_rule *rules, size_t n)
{
    struct sp_client_msg msg = { .type = SP_CLIENT_MSG_RESOURCE_UPSERT };
    struct sp_resource *r = &msg.u.resource;

    r->type = SP_RESOURCE_CIDR;
    r->id = NET;
    r->name = g_strdup("net");
    r->address = g_strdup("10.0.0.0/24");
    r->net = (struct sp_cidr){ .ip = sp_ip4(10, 0, 0, 0), .len = 24 };
    r->n_filters = n;
    if (n)
        r->filters = g_memdup2(rules, n * sizeof *rules);
    sp_client_handle_portal(f->c, &msg, f->now);
    drain_events(f, NULL);
    sp_client_handle_timeout(f->c, f->now);
}

static struct sp_dns_query
make_query(uint16_t id)
{
    struct sp_dns_query q = { .id = id, .rd = true, .qtype = SP_DNS_TYPE_A, .qclass = 1 };

    g_assert_cmpint(sp_dns_name_parse("www.example.com", &q.name), ==, 0);
    return q;
}

static void
ask(struct fixture *f, uint16_t id)
{
    struct sp_dns_query q = make_query(id);
    struct sp_endpoint src = { OWN4, 40000 }, dst = { f->sentinel, 53 };
    struct sp_pkt *pkt = sp_pkt_alloc(&f->pool);
    uint8_t msg[512];
    int n = sp_dns_query_build(&q, msg, sizeof msg);
    size_t len;

    g_assert_cmpint(n, >, 0);
    g_assert_nonnull(pkt);
    g_assert_cmpint(
        sp_build_udp(sp_pkt_data(pkt), SP_MTU, &src, &dst, sp_span(msg, (size_t)n), &len),
        ==,
        0);
    pkt->len = (uint16_t)len;
    sp_client_handle_tun(f->c, pkt, f->now);
}

/* The i-th packet that waits for access to the network. */
static struct sp_pkt *
waiting(struct fixture *f, size_t i)
{
    struct client_pending *p = sp_map_get(&f->c->pending, &NET);
    struct sp_pkt *pkt;

    g_assert_nonnull(p);
    for (pkt = p->packets.head; i > 0; i--)
        pkt = pkt->next;
    return pkt;
}

static void
connect_gateway(struct fixture *f)
{
    struct sp_client_authorized grant = {
        .gateway_id = GATEWAY,
        .gateway_ipv4 = sp_ip4(100, 64, 0, 9),
    };

    (void)client_peer_upsert(f->c, &grant);
}

/* What a server answers to the query packet @query, with one address. */
static struct sp_pkt *
answer(struct fixture *f, struct sp_pkt *query, uint16_t id)
{
    struct sp_dns_query q = make_query(id);
    struct sp_pkt *pkt = sp_pkt_alloc(&f->pool);
    struct sp_ip address = sp_ip4(192, 0, 2, 80);
    struct sp_ip_view v;
    struct sp_endpoint src, dst;
    struct sp_dns_reply reply;
    uint8_t msg[512];
    size_t len;
    int n;

    g_assert_cmpint(sp_packet_parse(sp_pkt_data(query), query->len, &v), ==, 0);
    src = (struct sp_endpoint){ v.dst, v.dst_proto.id };
    dst = (struct sp_endpoint){ v.src, v.src_proto.id };
    reply = sp_dns_reply(&q, SP_DNS_RCODE_NOERROR, msg, sizeof msg);
    sp_dns_reply_ip(&reply, &q.name, 300, &address);
    n = sp_dns_reply_finish(&reply);
    g_assert_cmpint(n, >, 0);
    g_assert_cmpint(
        sp_build_udp(sp_pkt_data(pkt), SP_MTU, &src, &dst, sp_span(msg, (size_t)n), &len),
        ==,
        0);
    pkt->len = (uint16_t)len;
    return pkt;
}

/* The next packet for applications is an answer from the sentinel. Returns: its code. */
static int
expect_reply(struct fixture *f, uint16_t id)
{
    struct sp_pkt *pkt = sp_client_poll_tun(f->c);
    struct sp_ip_view v;
    const uint8_t *msg;
    int rcode;

    g_assert_nonnull(pkt);
    g_assert_cmpint(sp_packet_parse(sp_pkt_data(pkt), pkt->len, &v), ==, 0);
    g_assert_true(sp_packet_checksums_ok(sp_pkt_data(pkt), &v));
    g_assert_true(sp_ip_equal(&v.src, &f->sentinel));
    g_assert_cmpint(v.src_proto.id, ==, 53);
    g_assert_cmpint(v.dst_proto.id, ==, 40000);
    msg = sp_pkt_data(pkt) + v.l4 + SP_UDP_HEADER;
    g_assert_cmpint(sp_get_be16(msg), ==, id);
    rcode = msg[3] & 15;
    sp_pkt_free(pkt);
    return rcode;
}

static void
expect_silence(struct fixture *f)
{
    g_assert_null(sp_client_poll_tun(f->c));
}

/* ---- cases --------------------------------------------------------------------------------- */

static const struct sp_filter_rule both[] = {
    { .proto = SP_FILTER_UDP, .port_start = 53, .port_end = 53 },
    { .proto = SP_FILTER_TCP, .port_start = 53, .port_end = 53 },
};

static void
test_decision(struct fixture *f, gconstpointer data SP_UNUSED)
{
    static const struct {
        const struct sp_filter_rule *rules;
        size_t n;
        bool network;
        bool tunnel;
    } cases[] = {
        { NULL, 0, false, false },    /* 0: no resource covers the server */
        { NULL, 0, true, true },      /* 1: no filter */
        { both, 2, true, true },      /* 2 */
        { both, 1, true, false },     /* 3: UDP only */
        { both + 1, 1, true, false }, /* 4: TCP only */
    };

    for (size_t i = 0; i < SP_ARRAY_SIZE(cases); i++) {
        unsigned events[SP_CLIENT_EVENT_PUBLIC_KEY + 1] = { 0 };

        g_test_message("case %zu", i);
        tear_down(f, NULL);
        set_up(f, NULL);
        if (cases[i].network)
            add_network(f, cases[i].rules, cases[i].n);
        ask(f, 1);
        drain_events(f, events);
        g_assert_cmpuint(events[SP_CLIENT_EVENT_DNS_QUERY], ==, !cases[i].tunnel);
        g_assert_cmpuint(events[SP_CLIENT_EVENT_PORTAL], ==, cases[i].tunnel);
    }
}

static void
test_packet(struct fixture *f, gconstpointer data SP_UNUSED)
{
    struct sp_ip own = OWN4, server = SERVER;
    struct sp_pkt *query;
    struct sp_ip_view v;
    const uint8_t *msg;

    add_network(f, NULL, 0);
    ask(f, 0x1234);
    query = waiting(f, 0);
    g_assert_cmpint(sp_packet_parse(sp_pkt_data(query), query->len, &v), ==, 0);
    g_assert_true(sp_ip_equal(&v.src, &own));
    g_assert_true(sp_ip_equal(&v.dst, &server));
    g_assert_cmpint(v.src_proto.id, >=, 49152);
    g_assert_cmpint(v.dst_proto.id, ==, 53);
    msg = sp_pkt_data(query) + v.l4 + SP_UDP_HEADER;
    g_assert_cmpint(sp_get_be16(msg), ==, 0x1234);
}

static void
test_answer(struct fixture *f, gconstpointer data SP_UNUSED)
{
    unsigned events[SP_CLIENT_EVENT_PUBLIC_KEY + 1] = { 0 };
    struct sp_pkt *query;

    add_network(f, NULL, 0);
    connect_gateway(f);
    ask(f, 0x1234);
    query = waiting(f, 0);
    client_inbound(f->c, &GATEWAY, answer(f, query, 0x1234), f->now);
    g_assert_cmpint(expect_reply(f, 0x1234), ==, SP_DNS_RCODE_NOERROR);
    expect_silence(f);
    g_assert_cmpuint(f->c->dns_tunnel.by_port.len, ==, 0);
    /* The second one comes from the cache. */
    ask(f, 0x9999);
    g_assert_cmpint(expect_reply(f, 0x9999), ==, SP_DNS_RCODE_NOERROR);
    drain_events(f, events);
    g_assert_cmpuint(events[SP_CLIENT_EVENT_DNS_QUERY], ==, 0);
}

/* What is not exactly the answer is an application's own packet and goes through the source check. */
static void
test_strangers(struct fixture *f, gconstpointer data SP_UNUSED)
{
    for (int i = 0; i < 4; i++) {
        struct sp_pkt *query, *bad;
        struct sp_ip_view v;
        struct sp_ip other = sp_ip4(10, 0, 0, 54);

        tear_down(f, NULL);
        set_up(f, NULL);
        add_network(f, NULL, 0);
        connect_gateway(f);
        ask(f, 0x1234);
        query = waiting(f, 0);
        bad = answer(f, query, i == 0 ? 0x1235 : 0x1234);
        g_assert_cmpint(sp_packet_parse(sp_pkt_data(bad), bad->len, &v), ==, 0);
        if (i == 1)
            sp_packet_set_src(sp_pkt_data(bad), &v, &other);
        if (i == 2)
            sp_packet_set_src_id(sp_pkt_data(bad), &v, 54);
        if (i == 3)
            sp_packet_set_dst_id(sp_pkt_data(bad), &v, (uint16_t)(v.dst_proto.id ^ 1));
        client_inbound(f->c, &GATEWAY, bad, f->now);
        g_assert_cmpuint(f->c->drops.count[SP_DROP_NOT_ALLOWED], ==, 1);
        expect_silence(f);
        client_inbound(f->c, &GATEWAY, answer(f, query, 0x1234), f->now);
        g_assert_cmpint(expect_reply(f, 0x1234), ==, SP_DNS_RCODE_NOERROR);
    }
}

static void
test_timeout(struct fixture *f, gconstpointer data SP_UNUSED)
{
    struct sp_pkt *query;

    add_network(f, NULL, 0);
    connect_gateway(f);
    ask(f, 5);
    f->now += SP_SEC(10) - 1;
    sp_client_handle_timeout(f->c, f->now);
    expect_silence(f);
    f->now += 1;
    g_assert_cmpuint(sp_client_next_timeout(f->c), <=, f->now);
    sp_client_handle_timeout(f->c, f->now);
    g_assert_cmpint(expect_reply(f, 5), ==, SP_DNS_RCODE_SERVFAIL);
    query = waiting(f, 0);
    client_inbound(f->c, &GATEWAY, answer(f, query, 5), f->now);
    expect_silence(f);
    g_assert_cmpuint(f->c->drops.count[SP_DROP_NOT_ALLOWED], ==, 0);
}

static void
test_icmp_error(struct fixture *f, gconstpointer data SP_UNUSED)
{
    struct sp_pkt *query, *error;
    struct sp_ip_view v;
    size_t len;

    add_network(f, NULL, 0);
    connect_gateway(f);
    ask(f, 6);
    query = waiting(f, 0);
    error = sp_pkt_alloc(&f->pool);
    g_assert_cmpint(sp_packet_parse(sp_pkt_data(query), query->len, &v), ==, 0);
    g_assert_cmpint(sp_build_icmp_reply(sp_pkt_data(error),
                                        SP_MTU,
                                        SP_ICMP_REPLY_UNREACHABLE,
                                        sp_pkt_data(query),
                                        &v,
                                        &len),
                    ==,
                    0);
    error->len = (uint16_t)len;
    client_inbound(f->c, &GATEWAY, error, f->now);
    g_assert_cmpint(expect_reply(f, 6), ==, SP_DNS_RCODE_SERVFAIL);
    expect_silence(f);
}

static void
test_bounded(struct fixture *f, gconstpointer data SP_UNUSED)
{
    add_network(f, NULL, 0);
    for (unsigned i = 0; i < 1024; i++)
        ask(f, (uint16_t)i);
    expect_silence(f);
    ask(f, 2000); /* nothing can be evicted */
    g_assert_cmpint(expect_reply(f, 2000), ==, SP_DNS_RCODE_SERVFAIL);
    f->now += SP_SEC(10);
    sp_client_handle_timeout(f->c, f->now);
    for (unsigned i = 0; i < 1024; i++)
        g_assert_cmpint(expect_reply(f, (uint16_t)i), ==, SP_DNS_RCODE_SERVFAIL);
    g_assert_cmpuint(f->c->dns_tunnel.by_port.len, ==, 1024);
    ask(f, 2001); /* the oldest that timed out makes room */
    expect_silence(f);
    g_assert_cmpuint(f->c->dns_tunnel.by_port.len, ==, 1024);
}

static void
test_reset(struct fixture *f, gconstpointer data SP_UNUSED)
{
    struct sp_client_msg msg = { .type = SP_CLIENT_MSG_RESOURCE_DELETED, .u.resource_id = NET };

    add_network(f, NULL, 0);
    ask(f, 7);
    sp_client_reset(f->c, f->now);
    g_assert_cmpint(expect_reply(f, 7), ==, SP_DNS_RCODE_SERVFAIL);
    g_assert_cmpuint(f->c->dns_tunnel.by_port.len, ==, 0);
    /* So does a change of the interface. */
    ask(f, 8);
    sp_client_handle_portal(f->c, &msg, f->now);
    drain_events(f, NULL);
    g_assert_cmpuint(sp_client_next_timeout(f->c), <=, f->now);
    sp_client_handle_timeout(f->c, f->now);
    g_assert_cmpint(expect_reply(f, 8), ==, SP_DNS_RCODE_SERVFAIL);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, fn) \
    g_test_add("/client/dns-tunnel/" path, struct fixture, NULL, set_up, fn, tear_down)
    ADD("decision", test_decision);
    ADD("packet", test_packet);
    ADD("answer", test_answer);
    ADD("strangers", test_strangers);
    ADD("timeout", test_timeout);
    ADD("icmp-error", test_icmp_error);
    ADD("bounded", test_bounded);
    ADD("reset", test_reset);
    return g_test_run();
}
