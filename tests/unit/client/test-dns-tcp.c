/* SPDX-License-Identifier: Apache-2.0 */
/* DNS over TCP on a sentinel through the whole client: handshake, a local answer, an upstream's. */
#include <glib.h>
#include <string.h>

#include "engine/client/client-private.h"
#include "engine/ip/build.h"
#include "tests/support/hex.h"
#include "tests/support/rng.h"

#define OWN4 sp_ip4(100, 64, 0, 1)

struct fixture {
    struct test_rng state;
    struct sp_pkt_pool pool;
    struct sp_client_config config;
    struct sp_client *c;
    struct sp_ip sentinel;
    sp_time now;
    uint32_t seq;
    uint32_t ack;
    GByteArray *in;
    bool reset;
    struct sp_client_dns_query query; /* the last event */
    unsigned queries;
};

static void
drain_events(struct fixture *f)
{
    struct sp_client_event ev;

    while (sp_client_poll_event(f->c, &ev)) {
        if (ev.type == SP_CLIENT_EVENT_DNS_QUERY) {
            f->queries++;
            f->query = ev.u.dns;
        }
        sp_client_event_done(&ev);
    }
}

static void
upsert(struct fixture *f, enum sp_resource_type type, const char *address, struct sp_cidr net)
{
    struct sp_client_msg msg = { .type = SP_CLIENT_MSG_RESOURCE_UPSERT };
    struct sp_resource *r = &msg.u.resource;

    r->type = type;
    r->id.b[0] = (uint8_t)(1 + type);
    r->name = g_strdup("r");
    r->address = g_strdup(address);
    r->net = net;
    sp_client_handle_portal(f->c, &msg, f->now);
    drain_events(f);
}

static void
set_up(struct fixture *f, gconstpointer data SP_UNUSED)
{
    struct sp_client_msg msg = { .type = SP_CLIENT_MSG_INIT };

    f->now = SP_SEC(100);
    f->seq = 1000;
    f->in = g_byte_array_new();
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
    msg.u.init.interface.upstream_do53[0] = sp_ip4(10, 0, 0, 53);
    sp_client_handle_portal(f->c, &msg, f->now);
    f->sentinel = f->c->dns.servers.map[0].sentinel;
    drain_events(f);
    upsert(f, SP_RESOURCE_DNS, "*.example.com", (struct sp_cidr){ 0 });
}

static void
tear_down(struct fixture *f, gconstpointer data SP_UNUSED)
{
    struct sp_pkt *pkt;

    while ((pkt = sp_client_poll_tun(f->c)) != NULL)
        sp_pkt_free(pkt);
    sp_client_free(f->c);
    sp_pkt_pool_done(&f->pool);
    g_byte_array_unref(f->in);
}

static void put(struct fixture *f, uint8_t flags, const void *p, size_t n);

/* Segments of the server: data is kept and acknowledged. */
static void
receive(struct fixture *f)
{
    struct sp_pkt *pkt;

    while ((pkt = sp_client_poll_tun(f->c)) != NULL) {
        struct sp_ip_view v;
        const uint8_t *l4;
        size_t header, n;

        g_assert_cmpint(sp_packet_parse(sp_pkt_data(pkt), pkt->len, &v), ==, 0);
        g_assert_true(sp_ip_equal(&v.src, &f->sentinel));
        g_assert_cmpint(v.proto, ==, SP_IPPROTO_TCP);
        l4 = sp_pkt_data(pkt) + v.l4;
        header = (size_t)(l4[12] >> 4) * 4;
        n = (size_t)pkt->len - v.l4 - header;
        f->reset = f->reset || (v.tcp_flags & SP_TCP_RST);
        f->ack = sp_get_be32(l4 + 4) + (uint32_t)n + ((v.tcp_flags & SP_TCP_SYN) != 0);
        g_byte_array_append(f->in, l4 + header, (guint)n);
        sp_pkt_free(pkt);
        if (n)
            put(f, SP_TCP_ACK, NULL, 0);
    }
}

static void
put(struct fixture *f, uint8_t flags, const void *p, size_t n)
{
    struct sp_endpoint src = { OWN4, 40000 }, dst = { f->sentinel, 53 };
    struct sp_tcp_segment seg = {
        .seq = f->seq,
        .ack = f->ack,
        .flags = flags,
        .window = 65000,
        .payload = sp_span(p, n),
    };
    struct sp_pkt *pkt = sp_pkt_alloc(&f->pool);
    size_t len;

    g_assert_cmpint(sp_build_tcp(sp_pkt_data(pkt), SP_MTU, &src, &dst, &seg, &len), ==, 0);
    pkt->len = (uint16_t)len;
    f->seq += (uint32_t)n + ((flags & SP_TCP_SYN) != 0);
    sp_client_handle_tun(f->c, pkt, f->now);
    receive(f);
    drain_events(f);
}

static struct sp_dns_query
make_query(const char *name)
{
    struct sp_dns_query q = { .id = 0x4711, .qtype = SP_DNS_TYPE_A, .qclass = SP_DNS_CLASS_IN };

    g_assert_cmpint(sp_dns_name_parse(name, &q.name), ==, 0);
    return q;
}

static void
ask(struct fixture *f, const char *name)
{
    struct sp_dns_query q = make_query(name);
    uint8_t frame[300];
    int n = sp_dns_query_build(&q, frame + 2, sizeof frame - 2);

    g_assert_cmpint(n, >, 0);
    sp_put_be16(frame, (uint16_t)n);
    put(f, SP_TCP_SYN, NULL, 0);
    put(f, SP_TCP_ACK, NULL, 0);
    put(f, SP_TCP_ACK | SP_TCP_PSH, frame, (size_t)n + 2);
}

static void
test_local(struct fixture *f, gconstpointer data SP_UNUSED)
{
    struct sp_dns_response resp;

    ask(f, "www.example.com");
    g_assert_cmpuint(f->queries, ==, 0);
    g_assert_cmpuint(f->in->len, >, 2);
    g_assert_cmpuint(sp_get_be16(f->in->data), ==, f->in->len - 2);
    g_assert_cmpint(sp_dns_response_parse(sp_span(f->in->data + 2, f->in->len - 2), &resp), ==, 0);
    g_assert_cmpuint(resp.id, ==, 0x4711);
    g_assert_cmpuint(resp.n_answer, ==, 4);
}

/* An answer larger than UDP could carry arrives whole. */
static void
test_upstream(struct fixture *f, gconstpointer data SP_UNUSED)
{
    struct sp_dns_query q = make_query("www.example.net");
    struct sp_ip address = sp_ip4(192, 0, 2, 1);
    g_autofree uint8_t *msg = g_malloc(65535);
    struct sp_dns_reply reply = sp_dns_reply(&q, SP_DNS_RCODE_NOERROR, msg, 65535);
    int n;

    for (int i = 0; i < 1500; i++)
        sp_dns_reply_ip(&reply, &q.name, 60, &address);
    n = sp_dns_reply_finish(&reply);
    g_assert_cmpint(n, >, 40000);
    ask(f, "www.example.net");
    g_assert_cmpuint(f->queries, ==, 1);
    g_assert_true(f->query.tcp);
    g_assert_cmpuint(f->query.source.family, ==, 0);
    sp_client_handle_dns_result(f->c,
                                f->query.id,
                                SP_CLIENT_DNS_ANSWER,
                                sp_span(msg, (size_t)n),
                                f->now);
    receive(f);
    g_assert_cmpuint(f->in->len, ==, (guint)n + 2);
    test_assert_mem(f->in->data + 2, f->in->len - 2, msg, n);
}

/* Unlike over UDP, who asked hears about a timeout. */
static void
test_timeout(struct fixture *f, gconstpointer data SP_UNUSED)
{
    ask(f, "www.example.net");
    f->now += SP_DNS_PENDING_TIMEOUT;
    sp_client_handle_timeout(f->c, f->now);
    receive(f);
    g_assert_cmpuint(f->in->len, >=, 14);
    g_assert_cmpint(f->in->data[5] & 15, ==, SP_DNS_RCODE_SERVFAIL);
}

/* A server behind a gateway is asked from the tunnel address. */
static void
test_through_tunnel(struct fixture *f, gconstpointer data SP_UNUSED)
{
    struct sp_ip own = OWN4;

    upsert(f,
           SP_RESOURCE_CIDR,
           "10.0.0.0/24",
           (struct sp_cidr){ .ip = sp_ip4(10, 0, 0, 0), .len = 24 });
    ask(f, "www.example.net");
    g_assert_cmpuint(f->queries, ==, 1);
    g_assert_true(f->query.tcp);
    g_assert_true(sp_ip_equal(&f->query.source, &own));
}

static void
test_malformed(struct fixture *f, gconstpointer data SP_UNUSED)
{
    uint8_t frame[14] = { 0, 12, 0, 0, 0x80 }; /* not a query */

    put(f, SP_TCP_SYN, NULL, 0);
    put(f, SP_TCP_ACK, NULL, 0);
    put(f, SP_TCP_ACK, frame, sizeof frame);
    g_assert_true(f->reset);
}

static void
test_reset(struct fixture *f, gconstpointer data SP_UNUSED)
{
    ask(f, "www.example.net");
    g_assert_false(f->reset);
    sp_client_reset(f->c, f->now);
    receive(f);
    g_assert_true(f->reset);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, fn) \
    g_test_add("/client/dns-tcp/" path, struct fixture, NULL, set_up, fn, tear_down)
    ADD("local", test_local);
    ADD("upstream", test_upstream);
    ADD("timeout", test_timeout);
    ADD("through-tunnel", test_through_tunnel);
    ADD("malformed", test_malformed);
    ADD("reset", test_reset);
    return g_test_run();
}
