/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>
#include <string.h>

#include "engine/base/err.h"
#include "engine/ip/build.h"
#include "engine/nat/gateway-nat.h"
#include "tests/support/hex.h"
#include "tests/support/rng.h"

/* One client with a pool for its packets. */
struct fixture {
    struct test_rng state;
    struct sp_rng rng;
    struct sp_pkt_pool pool;
    struct sp_nat_gw nat;
};

static void
setup(struct fixture *f, uint64_t seed)
{
    f->rng = test_rng_init(&f->state, seed);
    sp_pkt_pool_init(&f->pool, 4);
    sp_nat_gw_init(&f->nat, &f->rng);
}

static void
teardown(struct fixture *f)
{
    sp_nat_gw_done(&f->nat);
    sp_pkt_pool_done(&f->pool);
}

static struct sp_ip
address(uint8_t family, uint8_t net, uint8_t host)
{
    struct sp_ip ip = { .family = family, .b = { net, 0, 0, host } };

    return ip;
}

#define CLIENT(family)   address((family), 100, 1)
#define PROXY(family, n) address((family), 101, (n))
#define REAL(family, n)  address((family), 10, (n))

/* A packet of @kind with @a as source; the other port is 7. For echo, @from_client picks request. */
static struct sp_pkt *
packet(struct fixture *f,
       uint8_t kind,
       struct sp_ip src,
       struct sp_ip dst,
       uint16_t id,
       bool from_client,
       uint8_t flags)
{
    struct sp_endpoint a = { src, from_client ? id : 7 };
    struct sp_endpoint b = { dst, from_client ? 7 : id };
    struct sp_tcp_segment seg = { .seq = 1, .flags = flags, .payload = sp_span("data", 4) };
    struct sp_pkt *pkt = sp_pkt_alloc(&f->pool);
    size_t n = 0;
    int r;

    g_assert_nonnull(pkt);
    if (kind == SP_IP_PROTO_TCP)
        r = sp_build_tcp(sp_pkt_data(pkt), SP_MTU, &a, &b, &seg, &n);
    else if (kind == SP_IP_PROTO_UDP)
        r = sp_build_udp(sp_pkt_data(pkt), SP_MTU, &a, &b, sp_span("data", 4), &n);
    else
        r = sp_build_echo(sp_pkt_data(pkt),
                          SP_MTU,
                          &src,
                          &dst,
                          !from_client,
                          id,
                          9,
                          sp_span("data", 4),
                          &n);
    g_assert_cmpint(r, ==, 0);
    pkt->len = (uint16_t)n;
    return pkt;
}

static void
parse(struct sp_pkt *pkt, struct sp_ip_view *v)
{
    g_assert_cmpint(sp_packet_parse(sp_pkt_data(pkt), pkt->len, v), ==, 0);
}

/* The view kept by the edits is the view of the bytes, and the checksums are right. */
static void
assert_sound(struct sp_pkt *pkt, const struct sp_ip_view *v)
{
    struct sp_ip_view again;

    parse(pkt, &again);
    g_assert_true(sp_packet_checksums_ok(sp_pkt_data(pkt), &again));
    g_assert_true(sp_ip_equal(&again.src, &v->src) && sp_ip_equal(&again.dst, &v->dst));
    g_assert_cmpint(again.src_proto.id, ==, v->src_proto.id);
    g_assert_cmpint(again.dst_proto.id, ==, v->dst_proto.id);
    g_assert_cmpint(again.len, ==, v->len);
}

static int
outgoing(struct fixture *f,
         uint8_t kind,
         uint16_t id,
         struct sp_ip proxy,
         struct sp_ip real,
         uint8_t flags,
         sp_time now,
         struct sp_ip_view *v)
{
    struct sp_ip client = CLIENT(proxy.family);
    struct sp_pkt *pkt = packet(f, kind, client, proxy, id, true, flags);
    int r;

    parse(pkt, v);
    r = sp_nat_gw_outgoing(&f->nat, pkt, v, &real, now);
    assert_sound(pkt, v);
    if (r == 0) {
        g_assert_true(sp_ip_equal(&v->src, &client));
        g_assert_cmpint(kind == SP_IP_PROTO_ECHO ? 7 : v->dst_proto.id, ==, 7);
    } else {
        g_assert_true(sp_ip_equal(&v->dst, &proxy));
    }
    sp_pkt_free(pkt);
    return r;
}

static int
incoming(struct fixture *f,
         uint8_t kind,
         uint16_t id,
         struct sp_ip real,
         uint8_t flags,
         sp_time now,
         struct sp_ip_view *v)
{
    struct sp_pkt *pkt = packet(f, kind, real, CLIENT(real.family), id, false, flags);
    int r;

    parse(pkt, v);
    r = sp_nat_gw_incoming(&f->nat, pkt, v, now);
    assert_sound(pkt, v);
    if (r != 0)
        g_assert_true(sp_ip_equal(&v->src, &real));
    sp_pkt_free(pkt);
    return r;
}

static void
translates_both_ways(void)
{
    for (uint8_t family = 4; family <= 6; family += 2) {
        for (uint8_t kind = 0; kind <= SP_IP_PROTO_ECHO; kind++) {
            struct fixture f;
            struct sp_ip_view v;
            struct sp_ip proxy = PROXY(family, 1), real = REAL(family, 1);

            setup(&f, 1);
            g_assert_cmpint(outgoing(&f, kind, 4000, proxy, real, 0, 0, &v), ==, 0);
            g_assert_true(sp_ip_equal(&v.dst, &real));
            g_assert_cmpint(v.src_proto.id, ==, 4000);
            /* second proxy IP, same real IP: the port is taken */
            g_assert_cmpint(outgoing(&f, kind, 4000, PROXY(family, 2), real, 0, 0, &v), ==, 0);
            g_assert_cmpint(v.src_proto.id, ==, 4001);
            g_assert_cmpint(incoming(&f, kind, 4001, real, 0, 0, &v), ==, 0);
            g_assert_cmpint(v.dst_proto.id, ==, 4000);
            g_assert_cmpint(v.src.b[3], ==, 2);
            g_assert_cmpint(incoming(&f, kind, 4000, real, 0, 0, &v), ==, 0);
            g_assert_true(sp_ip_equal(&v.src, &proxy));
            /* not ours: another port, another address */
            g_assert_cmpint(incoming(&f, kind, 4002, real, 0, 0, &v), ==, SP_NAT_PASS);
            g_assert_cmpint(incoming(&f, kind, 4000, REAL(family, 9), 0, 0, &v), ==, SP_NAT_PASS);
            /* an open session stays on its real IP, a new one follows the translation */
            g_assert_cmpint(outgoing(&f, kind, 4000, proxy, REAL(family, 2), 0, 0, &v), ==, 0);
            g_assert_true(sp_ip_equal(&v.dst, &real));
            g_assert_cmpint(outgoing(&f, kind, 5000, proxy, REAL(family, 2), 0, 0, &v), ==, 0);
            g_assert_cmpint(v.dst.b[3], ==, 2);
            g_assert_cmpuint(sp_nat_gw_len(&f.nat), ==, 3);
            teardown(&f);
        }
    }
}

static void
refuses(void)
{
    struct fixture f;
    struct sp_ip_view v;
    struct sp_ip a = CLIENT(4), b = PROXY(4, 1), real = REAL(4, 1);
    struct sp_pkt *pkt;
    size_t n;

    setup(&f, 2);
    g_assert_cmpint(outgoing(&f, SP_IP_PROTO_UDP, 1, PROXY(4, 1), REAL(6, 1), 0, 0, &v),
                    ==,
                    SP_E_INVAL);
    g_assert_cmpuint(sp_nat_gw_len(&f.nat), ==, 0);
    pkt = sp_pkt_alloc(&f.pool);
    g_assert_cmpint(sp_build_raw(sp_pkt_data(pkt), SP_MTU, &a, &b, 64, 47, sp_span(NULL, 0), &n),
                    ==,
                    0);
    pkt->len = (uint16_t)n;
    parse(pkt, &v);
    g_assert_cmpint(sp_nat_gw_outgoing(&f.nat, pkt, &v, &real, 0), ==, SP_E_UNSUPPORTED);
    g_assert_cmpint(sp_nat_gw_incoming(&f.nat, pkt, &v, 0), ==, SP_E_UNSUPPORTED);
    g_assert_cmpint(
        sp_build_icmp(sp_pkt_data(pkt), SP_MTU, &a, &b, 64, 13, 0, 0, sp_span(NULL, 0), &n),
        ==,
        0);
    pkt->len = (uint16_t)n;
    parse(pkt, &v);
    g_assert_cmpint(sp_nat_gw_incoming(&f.nat, pkt, &v, 0), ==, SP_E_UNSUPPORTED);
    sp_pkt_free(pkt);
    teardown(&f);
}

/* Each rule of spec B.5: alive one ns before, gone at the time. */
static void
expiry_rules(void)
{
    enum {
        OUT = 1,
        IN,
        OUT_FIN,
        IN_FIN,
        OUT_RST,
        IN_RST
    };
    static const struct {
        const char *what;
        uint8_t kind;
        uint8_t steps[4]; /* one second apart, from 1 s */
        sp_time dies;
    } cases[] = {
        { "unconfirmed tcp", SP_IP_PROTO_TCP, { OUT }, SP_SEC(61) },
        { "unconfirmed udp", SP_IP_PROTO_UDP, { OUT }, SP_SEC(61) },
        { "unconfirmed echo", SP_IP_PROTO_ECHO, { OUT, OUT }, SP_SEC(62) },
        { "tcp", SP_IP_PROTO_TCP, { OUT, IN }, SP_SEC(7442) },
        { "udp", SP_IP_PROTO_UDP, { OUT, IN }, SP_SEC(122) },
        { "echo", SP_IP_PROTO_ECHO, { OUT, IN }, SP_SEC(122) },
        { "outgoing refreshes", SP_IP_PROTO_UDP, { OUT, IN, OUT }, SP_SEC(123) },
        { "incoming refreshes", SP_IP_PROTO_UDP, { OUT, IN, OUT, IN }, SP_SEC(124) },
        { "one fin", SP_IP_PROTO_TCP, { OUT, IN, OUT_FIN }, SP_SEC(7443) },
        { "other fin", SP_IP_PROTO_TCP, { OUT, IN_FIN }, SP_SEC(7442) },
        { "both fin", SP_IP_PROTO_TCP, { OUT, IN_FIN, OUT_FIN }, SP_SEC(8) },
        { "both fin and a last ack", SP_IP_PROTO_TCP, { OUT_FIN, IN_FIN, OUT }, SP_SEC(8) },
        { "rst out", SP_IP_PROTO_TCP, { OUT, IN, OUT_RST }, SP_SEC(3) },
        { "rst in", SP_IP_PROTO_TCP, { OUT, IN_RST }, SP_SEC(2) },
    };

    for (size_t i = 0; i < SP_ARRAY_SIZE(cases); i++) {
        struct sp_ip proxy = PROXY(4, 1), real = REAL(4, 1);
        struct sp_ip_view v;
        struct fixture f;
        sp_time now = 0;

        g_test_message("%s", cases[i].what);
        setup(&f, 3);
        for (size_t k = 0; k < 4 && cases[i].steps[k]; k++) {
            uint8_t s = cases[i].steps[k];
            bool out = s == OUT || s == OUT_FIN || s == OUT_RST;
            uint8_t flags = s == OUT_FIN || s == IN_FIN   ? SP_TCP_FIN
                            : s == OUT_RST || s == IN_RST ? SP_TCP_RST
                                                          : SP_TCP_ACK;

            now = SP_SEC(k + 1);
            if (out)
                g_assert_cmpint(outgoing(&f, cases[i].kind, 9, proxy, real, flags, now, &v), ==, 0);
            else
                g_assert_cmpint(incoming(&f, cases[i].kind, 9, real, flags, now, &v), ==, 0);
        }
        if (cases[i].dies > now)
            g_assert_cmpuint(sp_nat_gw_handle_timeout(&f.nat, cases[i].dies - 1), ==, 0);
        g_assert_cmpuint(sp_nat_gw_len(&f.nat), ==, 1);
        g_assert_cmpuint(sp_nat_gw_next_timeout(&f.nat), <=, cases[i].dies);
        g_assert_cmpuint(sp_nat_gw_handle_timeout(&f.nat, cases[i].dies), ==, 1);
        g_assert_cmpuint(sp_nat_gw_next_timeout(&f.nat), ==, SP_TIME_NEVER);
        /* late packets are known as late, until the outside is used again */
        g_assert_cmpint(incoming(&f, cases[i].kind, 9, real, 0, cases[i].dies, &v),
                        ==,
                        SP_NAT_EXPIRED);
        g_assert_cmpint(outgoing(&f, cases[i].kind, 9, PROXY(4, 2), real, 0, cases[i].dies, &v),
                        ==,
                        0);
        g_assert_cmpint(v.src_proto.id, ==, 9);
        g_assert_cmpint(incoming(&f, cases[i].kind, 9, real, 0, cases[i].dies, &v), ==, 0);
        g_assert_cmpint(v.src.b[3], ==, 2);
        sp_nat_gw_clear(&f.nat);
        g_assert_cmpint(incoming(&f, cases[i].kind, 9, real, 0, cases[i].dies, &v),
                        ==,
                        SP_NAT_PASS);
        teardown(&f);
    }
}

/* A client that reuses its port at once gets a session that lives, not one about to be swept. */
static void
syn_revives_closed_session(void)
{
    struct sp_ip proxy = PROXY(4, 1), real = REAL(4, 1);
    struct sp_ip_view v;
    struct fixture f;

    setup(&f, 4);
    g_assert_cmpint(outgoing(&f, SP_IP_PROTO_TCP, 9, proxy, real, SP_TCP_RST, 1, &v), ==, 0);
    g_assert_cmpint(outgoing(&f, SP_IP_PROTO_TCP, 9, proxy, real, SP_TCP_SYN, 2, &v), ==, 0);
    g_assert_cmpuint(sp_nat_gw_handle_timeout(&f.nat, SP_SEC(1)), ==, 0);
    g_assert_cmpint(incoming(&f, SP_IP_PROTO_TCP, 9, real, SP_TCP_ACK, SP_SEC(1), &v), ==, 0);
    teardown(&f);
}

static void
exhaustion(void)
{
    struct sp_ip real = REAL(4, 1);
    struct sp_ip_view v;
    struct fixture f;

    setup(&f, 5);
    for (uint32_t port = 1; port <= 65535; port++)
        g_assert_cmpint(outgoing(&f, SP_IP_PROTO_UDP, (uint16_t)port, PROXY(4, 1), real, 0, 0, &v),
                        ==,
                        0);
    g_assert_cmpuint(sp_nat_gw_len(&f.nat), ==, 65535);
    g_assert_cmpint(outgoing(&f, SP_IP_PROTO_UDP, 77, PROXY(4, 2), real, 0, 0, &v), ==, SP_E_LIMIT);
    /* another protocol has its own ports, but the table is bounded */
    g_assert_cmpint(outgoing(&f, SP_IP_PROTO_TCP, 77, PROXY(4, 2), real, 0, 0, &v), ==, 0);
    g_assert_cmpuint(sp_nat_gw_len(&f.nat), ==, SP_NAT_ENTRIES_MAX);
    g_assert_cmpint(outgoing(&f, SP_IP_PROTO_TCP, 78, PROXY(4, 2), real, 0, 0, &v), ==, SP_E_LIMIT);
    /* known sessions go on */
    g_assert_cmpint(outgoing(&f, SP_IP_PROTO_UDP, 500, PROXY(4, 1), real, 0, SP_SEC(30), &v),
                    ==,
                    0);
    g_assert_cmpuint(sp_nat_gw_handle_timeout(&f.nat, SP_SEC(60)), ==, 65535);
    g_assert_cmpuint(sp_nat_gw_len(&f.nat), ==, 1);
    /* wrap: from 65535 the search goes on at 1 */
    g_assert_cmpint(outgoing(&f, SP_IP_PROTO_UDP, 65535, PROXY(4, 1), real, 0, SP_SEC(60), &v),
                    ==,
                    0);
    g_assert_cmpint(v.src_proto.id, ==, 65535);
    g_assert_cmpint(outgoing(&f, SP_IP_PROTO_UDP, 65535, PROXY(4, 2), real, 0, SP_SEC(60), &v),
                    ==,
                    0);
    g_assert_cmpint(v.src_proto.id, ==, 1);
    /* dead outsides are remembered up to their bound */
    g_assert_cmpuint(f.nat.n_dead, <=, SP_NAT_EXPIRED_MAX);
    g_assert_cmpint(incoming(&f, SP_IP_PROTO_UDP, 2, real, 0, SP_SEC(60), &v), ==, SP_NAT_EXPIRED);
    teardown(&f);
}

static void
icmp_errors(void)
{
    static const struct {
        uint8_t family, type, code;
        uint32_t word2, want_word2;
    } cases[] = {
        { 4, 3, 1, 0x01020304, 0 }, { 4, 3, 4, 0xffff0514, 0x0514 }, { 4, 11, 0, 0x00110000, 0 },
        { 6, 1, 4, 0x01020304, 0 }, { 6, 2, 0, 0x00000514, 0x0514 }, { 6, 3, 0, 5, 0 },
    };

    for (size_t i = 0; i < SP_ARRAY_SIZE(cases); i++) {
        for (uint8_t kind = 0; kind <= SP_IP_PROTO_ECHO; kind++) {
            uint8_t family = cases[i].family;
            struct sp_ip proxy = PROXY(family, 2), real = REAL(family, 1);
            struct sp_ip client = CLIENT(family), router = REAL(family, 77);
            struct sp_pkt *orig, *error;
            struct sp_icmp_error e;
            struct sp_ip_view v;
            struct fixture f;
            size_t n;

            g_test_message("case %zu kind %d", i, kind);
            setup(&f, 6);
            /* occupy the port so that the translation changes it */
            g_assert_cmpint(outgoing(&f, kind, 4000, PROXY(family, 1), real, 0, 0, &v), ==, 0);
            orig = packet(&f, kind, client, proxy, 4000, true, SP_TCP_ACK);
            parse(orig, &v);
            g_assert_cmpint(sp_nat_gw_outgoing(&f.nat, orig, &v, &real, SP_SEC(1)), ==, 0);
            g_assert_cmpint(v.src_proto.id, ==, 4001);

            error = sp_pkt_alloc(&f.pool);
            g_assert_cmpint(sp_build_icmp(sp_pkt_data(error),
                                          SP_MTU,
                                          &router,
                                          &client,
                                          50,
                                          cases[i].type,
                                          cases[i].code,
                                          cases[i].word2,
                                          sp_pkt_span(orig),
                                          &n),
                            ==,
                            0);
            error->len = (uint16_t)n;
            parse(error, &v);
            g_assert_cmpint(sp_nat_gw_incoming(&f.nat, error, &v, SP_SEC(59)), ==, 0);
            assert_sound(error, &v);
            g_assert_true(sp_ip_equal(&v.src, &proxy) && sp_ip_equal(&v.dst, &client));
            g_assert_cmpint(v.ttl, ==, 20);
            g_assert_cmpuint(error->len, ==, n);
            g_assert_cmpint(sp_icmp_error_parse(sp_pkt_data(error), &v, &e), ==, SP_ICMP_IS_ERROR);
            g_assert_true(e.type == cases[i].type && e.code == cases[i].code);
            g_assert_cmphex(e.mtu, ==, cases[i].want_word2);
            g_assert_true(sp_ip_equal(&e.src, &client) && sp_ip_equal(&e.dst, &proxy));
            g_assert_cmpint(e.src_proto.id, ==, 4000);
            g_assert_cmpint(e.src_proto.kind, ==, kind);
            /* it counted as an inbound packet: confirmed, so alive past the 60 s */
            g_assert_cmpuint(sp_nat_gw_handle_timeout(&f.nat, SP_SEC(61)), ==, 1);
            g_assert_cmpuint(sp_nat_gw_len(&f.nat), ==, 1);
            sp_pkt_free(orig);
            sp_pkt_free(error);
            teardown(&f);
        }
    }
}

static void
icmp_error_misses(void)
{
    struct sp_ip client = CLIENT(4), real = REAL(4, 1), router = REAL(4, 77);
    struct sp_pkt *orig, *error;
    uint8_t before[SP_MTU];
    struct sp_ip_view v;
    struct fixture f;
    size_t n;

    setup(&f, 7);
    orig = packet(&f, SP_IP_PROTO_UDP, client, real, 9, true, 0);
    error = sp_pkt_alloc(&f.pool);
    g_assert_cmpint(sp_build_icmp(sp_pkt_data(error),
                                  SP_MTU,
                                  &router,
                                  &client,
                                  50,
                                  3,
                                  3,
                                  0,
                                  sp_pkt_span(orig),
                                  &n),
                    ==,
                    0);
    error->len = (uint16_t)n;
    memcpy(before, sp_pkt_data(error), n);
    parse(error, &v);
    g_assert_cmpint(sp_nat_gw_incoming(&f.nat, error, &v, 0), ==, SP_NAT_PASS);
    test_assert_mem(sp_pkt_data(error), error->len, before, n);
    g_assert_cmpint(outgoing(&f, SP_IP_PROTO_UDP, 9, PROXY(4, 1), real, 0, 0, &v), ==, 0);
    g_assert_cmpuint(sp_nat_gw_handle_timeout(&f.nat, SP_SEC(60)), ==, 1);
    parse(error, &v);
    g_assert_cmpint(sp_nat_gw_incoming(&f.nat, error, &v, SP_SEC(60)), ==, SP_NAT_EXPIRED);
    test_assert_mem(sp_pkt_data(error), error->len, before, n);
    /* a quote that is cut inside its ports */
    error->len = (uint16_t)(n - SP_UDP_HEADER - 4 + 3);
    sp_pkt_data(error)[3] = (uint8_t)error->len;
    parse(error, &v);
    g_assert_cmpint(sp_nat_gw_incoming(&f.nat, error, &v, SP_SEC(60)), ==, SP_E_MALFORMED);
    sp_pkt_free(orig);
    sp_pkt_free(error);
    teardown(&f);
}

/* A router's error with IP options is longer than ours: the result shrinks. */
static void
icmp_error_shrinks(void)
{
    struct sp_ip real = REAL(4, 1);
    struct sp_pkt *orig, *error;
    struct sp_ip_view v;
    struct fixture f;
    uint8_t *p;

    setup(&f, 8);
    orig = packet(&f, SP_IP_PROTO_UDP, CLIENT(4), PROXY(4, 1), 9, true, 0);
    parse(orig, &v);
    g_assert_cmpint(sp_nat_gw_outgoing(&f.nat, orig, &v, &real, 0), ==, 0);
    error = sp_pkt_alloc(&f.pool);
    p = sp_pkt_data(error);
    error->len = (uint16_t)test_unhex(
        "4f00003c00000000400100000a00004d64000001"
        "01010101010101010101010101010101010101010101010101010101010101010101010101010101",
        p,
        SP_MTU);
    memcpy(p + 60, "\x03\x03\0\0\0\0\0\0", 8);
    memcpy(p + 68, sp_pkt_data(orig), orig->len);
    error->len = (uint16_t)(68 + orig->len);
    p[3] = (uint8_t)error->len;
    parse(error, &v);
    g_assert_cmpint(sp_nat_gw_incoming(&f.nat, error, &v, 0), ==, 0);
    assert_sound(error, &v);
    g_assert_cmpuint(error->len, ==, 28u + orig->len);
    g_assert_cmpuint(v.l4, ==, 20);
    sp_pkt_free(orig);
    sp_pkt_free(error);
    teardown(&f);
}

/* ---- naive model ----------------------------------------------------------------------------- */

struct flow {
    bool live;
    uint8_t family, kind, proxy, real;
    uint16_t in_id, out_id;
    sp_time last_out, last_in;
    bool confirmed, fin_out, fin_in, rst;
};

#define FLOWS 4000

struct model {
    struct flow flow[FLOWS];
    size_t n;
};

static struct flow *
by_outside(struct model *m, uint8_t family, uint8_t kind, uint16_t id, uint8_t real, bool dead)
{
    for (size_t i = m->n; i-- > 0;) {
        struct flow *w = &m->flow[i];

        if ((w->live || dead) && w->family == family && w->kind == kind && w->out_id == id
            && w->real == real)
            return w;
    }
    return NULL;
}

static struct flow *
by_inside(struct model *m, uint8_t family, uint8_t kind, uint16_t id, uint8_t proxy)
{
    for (size_t i = 0; i < m->n; i++) {
        struct flow *w = &m->flow[i];

        if (w->live && w->family == family && w->kind == kind && w->in_id == id
            && w->proxy == proxy)
            return w;
    }
    return NULL;
}

static sp_time
model_expiry(const struct flow *w)
{
    sp_time last = SP_MAX(w->last_out, w->last_in), t;

    t = last + (w->kind == SP_IP_PROTO_TCP ? SP_SEC(7440) : SP_SEC(120));
    if (!w->confirmed && w->last_out + SP_SEC(60) < t)
        t = w->last_out + SP_SEC(60);
    if (w->fin_in && w->fin_out && last + SP_SEC(5) < t)
        t = last + SP_SEC(5);
    return w->rst ? last : t;
}

static uint16_t
model_port(struct model *m, uint8_t family, uint8_t kind, uint16_t own, uint8_t real)
{
    for (uint32_t i = 0; i < 65536; i++) {
        uint16_t port = (uint16_t)(own + i);

        if ((port != 0 || own == 0) && by_outside(m, family, kind, port, real, false) == NULL)
            return port;
    }
    g_assert_not_reached();
}

static void
model_outgoing(struct fixture *f,
               struct model *m,
               const struct flow *want,
               uint8_t flags,
               sp_time now)
{
    struct flow *w = by_inside(m, want->family, want->kind, want->in_id, want->proxy);
    struct sp_ip_view v;
    struct sp_ip real = REAL(want->family, want->real);

    if (w == NULL) {
        w = &m->flow[m->n];
        *w = (struct flow){ .family = want->family,
                            .kind = want->kind,
                            .proxy = want->proxy,
                            .real = want->real,
                            .in_id = want->in_id };
        w->out_id = model_port(m, w->family, w->kind, w->in_id, w->real);
        w->live = true;
        m->n++;
    }
    if ((flags & SP_TCP_SYN) && (w->rst || (w->fin_in && w->fin_out)))
        w->rst = w->fin_in = w->fin_out = w->confirmed = false;
    w->last_out = now;
    w->fin_out |= (flags & SP_TCP_FIN) != 0;
    w->rst |= (flags & SP_TCP_RST) != 0;
    g_assert_cmpint(
        outgoing(f, w->kind, w->in_id, PROXY(w->family, w->proxy), real, flags, now, &v),
        ==,
        0);
    g_assert_cmpint(v.src_proto.id, ==, w->out_id);
    g_assert_cmpint(v.dst.b[3], ==, w->real);
}

static void
model_incoming(struct fixture *f,
               struct model *m,
               const struct flow *at,
               uint8_t flags,
               sp_time now)
{
    struct flow *live = by_outside(m, at->family, at->kind, at->out_id, at->real, false);
    bool known = by_outside(m, at->family, at->kind, at->out_id, at->real, true) != NULL;
    struct sp_ip_view v;
    int r = incoming(f, at->kind, at->out_id, REAL(at->family, at->real), flags, now, &v);

    if (live == NULL) {
        g_assert_cmpint(r, ==, known ? SP_NAT_EXPIRED : SP_NAT_PASS);
        return;
    }
    g_assert_cmpint(r, ==, 0);
    g_assert_cmpint(v.dst_proto.id, ==, live->in_id);
    g_assert_cmpint(v.src.b[3], ==, live->proxy);
    live->last_in = now;
    live->confirmed = true;
    live->fin_in |= (flags & SP_TCP_FIN) != 0;
    live->rst |= (flags & SP_TCP_RST) != 0;
}

static void
model_tick(struct fixture *f, struct model *m, sp_time now)
{
    size_t ended = 0, live = 0;

    for (size_t i = 0; i < m->n; i++) {
        struct flow *w = &m->flow[i];

        if (w->live && model_expiry(w) <= now) {
            w->live = false;
            ended++;
        }
        live += w->live;
    }
    g_assert_cmpuint(sp_nat_gw_handle_timeout(&f->nat, now), ==, ended);
    g_assert_cmpuint(sp_nat_gw_len(&f->nat), ==, live);
}

static uint8_t
random_flags(const struct sp_rng *rng, uint8_t kind)
{
    static const uint8_t flags[] = { SP_TCP_ACK, SP_TCP_ACK, SP_TCP_ACK, SP_TCP_SYN,
                                     SP_TCP_FIN, SP_TCP_FIN, SP_TCP_RST };

    return kind == SP_IP_PROTO_TCP ? flags[sp_rng_below(rng, SP_ARRAY_SIZE(flags))] : 0;
}

static void
agrees_with_naive(void)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct model *m = g_new0(struct model, 1);
        struct fixture f;
        sp_time now = 0;

        g_test_message("seed %d", (int)seed);
        setup(&f, seed);
        for (int step = 0; step < 3000 && m->n < FLOWS; step++) {
            const struct sp_rng *rng = &f.rng;
            struct flow w = { .family = sp_rng_below(rng, 2) ? 4 : 6,
                              .kind = (uint8_t)sp_rng_below(rng, 3),
                              .proxy = (uint8_t)sp_rng_below(rng, 4),
                              .real = (uint8_t)sp_rng_below(rng, 2) };
            uint32_t op = sp_rng_below(rng, 10);

            w.in_id = (uint16_t)(sp_rng_below(rng, 6) - 3u); /* around the wrap */
            w.out_id = (uint16_t)(w.in_id + sp_rng_below(rng, 3));
            if (m->n && sp_rng_below(rng, 2))
                w = m->flow[sp_rng_below(rng, (uint32_t)m->n)];
            if (op < 5) {
                model_outgoing(&f, m, &w, random_flags(rng, w.kind), now);
            } else if (op < 9) {
                model_incoming(&f, m, &w, random_flags(rng, w.kind), now);
            } else {
                now += SP_SEC(sp_rng_below(rng, 40));
                model_tick(&f, m, now);
            }
        }
        teardown(&f);
        g_free(m);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nat/gateway/both-ways", translates_both_ways);
    g_test_add_func("/nat/gateway/refuses", refuses);
    g_test_add_func("/nat/gateway/expiry-rules", expiry_rules);
    g_test_add_func("/nat/gateway/syn-revives", syn_revives_closed_session);
    g_test_add_func("/nat/gateway/exhaustion", exhaustion);
    g_test_add_func("/nat/gateway/icmp-errors", icmp_errors);
    g_test_add_func("/nat/gateway/icmp-error-misses", icmp_error_misses);
    g_test_add_func("/nat/gateway/icmp-error-shrinks", icmp_error_shrinks);
    g_test_add_func("/nat/gateway/naive", agrees_with_naive);
    return g_test_run();
}
