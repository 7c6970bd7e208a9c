/* SPDX-License-Identifier: Apache-2.0 */
/* Whole conversations with a naive client over a network that delays, reorders, loses and repeats
 * packets, in virtual time. Whatever happens on the way, every query is answered once, in order. */
#include <glib.h>
#include <string.h>

#include "engine/base/rd.h"
#include "engine/base/wr.h"
#include "engine/ip/build.h"
#include "engine/tcp/server.h"
#include "tests/support/rng.h"

#define FLIGHT_MAX 4096

/** struct flight - a packet on the wire */
struct flight {
    sp_time at;
    bool to_server;
    size_t n;
    uint8_t bytes[SP_MTU];
};

/** struct peer - the client: sends the stream @out from @una again whenever a second passes without
 * progress; takes only what comes in order */
struct peer {
    struct sp_endpoint self;
    uint32_t isn;
    bool established;
    bool closing;
    bool done;
    bool reset;
    GByteArray *out;
    size_t una; /* bytes of @out acknowledged */
    size_t nxt;
    uint32_t rcv_nxt;
    GByteArray *in;
    bool fin_received;
    uint16_t window;
    uint16_t mss;
    sp_time deadline;
};

struct world {
    struct test_rng state;
    struct sp_rng rng;
    struct sp_pkt_pool pool;
    struct sp_tcp_server *s;
    struct sp_endpoint server;
    struct peer peer;
    struct flight flights[FLIGHT_MAX];
    size_t n_flights;
    unsigned loss; /* of 1000 */
    unsigned duplicate;
    sp_time now;
    unsigned queries;
    GByteArray *expected;
};

static void
launch(struct world *w, bool to_server, const uint8_t *p, size_t n)
{
    unsigned copies = 1 + (sp_rng_below(&w->rng, 1000) < w->duplicate);

    if (sp_rng_below(&w->rng, 1000) < w->loss)
        return;
    while (copies--) {
        struct flight *f = &w->flights[w->n_flights++];

        g_assert_cmpuint(w->n_flights, <, FLIGHT_MAX);
        f->at = w->now + SP_MS(1 + sp_rng_below(&w->rng, 20));
        f->to_server = to_server;
        f->n = n;
        memcpy(f->bytes, p, n);
    }
}

/* ---- the naive client ---------------------------------------------------------------------- */

static void
peer_send(struct world *w, uint32_t seq, uint8_t flags, const uint8_t *p, size_t n)
{
    struct peer *c = &w->peer;
    uint8_t mss[4] = { 2, 4 };
    struct sp_tcp_segment seg = {
        .seq = seq,
        .ack = c->rcv_nxt,
        .flags = flags,
        .window = c->window,
        .payload = sp_span(p, n),
    };
    uint8_t buf[SP_MTU];
    size_t len;

    sp_put_be16(mss + 2, c->mss);
    if (flags & SP_TCP_SYN)
        seg.options = sp_span(mss, 4);
    g_assert_cmpint(sp_build_tcp(buf, sizeof buf, &c->self, &w->server, &seg, &len), ==, 0);
    launch(w, true, buf, len);
}

static void
peer_output(struct world *w)
{
    struct peer *c = &w->peer;

    while (c->nxt < c->out->len && c->nxt - c->una < 30000) {
        size_t n = 1 + sp_rng_below(&w->rng, 1200);

        n = SP_MIN(n, c->out->len - c->nxt);

        peer_send(w,
                  c->isn + 1 + (uint32_t)c->nxt,
                  SP_TCP_ACK | SP_TCP_PSH,
                  c->out->data + c->nxt,
                  n);
        c->nxt += n;
    }
    if (c->closing && c->nxt == c->out->len)
        peer_send(w, c->isn + 1 + (uint32_t)c->nxt, SP_TCP_ACK | SP_TCP_FIN, NULL, 0);
}

static void
peer_timeout(struct world *w)
{
    struct peer *c = &w->peer;

    c->deadline = w->now + SP_MS(700 + sp_rng_below(&w->rng, 600));
    if (!c->established) {
        peer_send(w, c->isn, SP_TCP_SYN, NULL, 0);
        return;
    }
    c->nxt = c->una;
    /* The window moves at random, shut at times. */
    c->window = sp_rng_below(&w->rng, 4) ? (uint16_t)(1 + sp_rng_below(&w->rng, 20000)) : 0;
    peer_send(w, c->isn + 1 + (uint32_t)c->nxt, SP_TCP_ACK, NULL, 0);
    peer_output(w);
}

static void
peer_take(struct world *w, uint32_t seq, const uint8_t *p, size_t n, bool fin)
{
    struct peer *c = &w->peer;
    uint32_t old = c->rcv_nxt - seq;

    if (old > n)
        return;
    n -= old;
    fin = fin && n <= c->window;
    n = SP_MIN(n, (size_t)c->window);
    g_byte_array_append(c->in, p + old, (guint)n);
    c->rcv_nxt += (uint32_t)n;
    if (fin && !c->fin_received) {
        c->fin_received = true;
        c->rcv_nxt++;
    }
}

static void
peer_ack(struct peer *c, uint32_t ack)
{
    uint32_t n = ack - (c->isn + 1);

    if (n > c->out->len + 1)
        return;
    if (n == c->out->len + 1) {
        g_assert_true(c->closing);
        n--;
    }
    c->una = SP_MAX(c->una, (size_t)n);
    c->nxt = SP_MAX(c->nxt, c->una);
}

static void
peer_handle(struct world *w, const uint8_t *p, size_t len)
{
    struct peer *c = &w->peer;
    struct sp_ip_view v;
    const uint8_t *l4;
    size_t header, n;

    g_assert_cmpint(sp_packet_parse(p, len, &v), ==, 0);
    g_assert_true(sp_packet_checksums_ok(p, &v));
    l4 = p + v.l4;
    header = (size_t)(l4[12] >> 4) * 4;
    n = len - v.l4 - header;
    if (v.tcp_flags & SP_TCP_RST) {
        c->reset = true;
        return;
    }
    if (v.tcp_flags & SP_TCP_SYN) {
        if (!c->established) {
            c->established = true;
            c->rcv_nxt = sp_get_be32(l4 + 4) + 1;
        }
        peer_output(w);
        return;
    }
    if (!c->established)
        return;
    g_assert_cmpuint(n, <=, c->mss);
    peer_ack(c, sp_get_be32(l4 + 8));
    peer_take(w, sp_get_be32(l4 + 4), l4 + header, n, v.tcp_flags & SP_TCP_FIN);
    if (n || (v.tcp_flags & SP_TCP_FIN))
        peer_send(w, c->isn + 1 + (uint32_t)c->nxt, SP_TCP_ACK, NULL, 0);
    if (c->fin_received)
        c->done = true;
    else if (!c->closing && c->in->len == w->expected->len && w->expected->len > 0) {
        c->closing = true;
        peer_output(w);
    }
}

/* ---- the world ----------------------------------------------------------------------------- */

/* The answer repeats tag and number, its length depends on the number. */
static size_t
answer_for(unsigned i, uint8_t *buf)
{
    static const size_t sizes[] = { 12, 65535, 1238, 600, 1240, 20000 };
    size_t n = sizes[i % SP_ARRAY_SIZE(sizes)];

    for (size_t k = 0; k < n; k++)
        buf[k] = (uint8_t)(k * 7 + i);
    return n;
}

static void
drain(struct world *w)
{
    g_autofree uint8_t *buf = g_malloc(65535);
    struct sp_tcp_query q;
    struct sp_pkt *pkt;

    while (sp_tcp_server_poll_query(w->s, &q)) {
        unsigned i = sp_get_be16(q.message.p);
        size_t n = answer_for(i, buf);

        g_assert_cmpuint(i, ==, w->queries);
        w->queries++;
        g_assert_cmpint(sp_tcp_server_answer(w->s, q.connection, sp_span(buf, n), w->now), ==, 0);
    }
    while ((pkt = sp_tcp_server_poll_packet(w->s, w->now)) != NULL) {
        launch(w, false, sp_pkt_data(pkt), pkt->len);
        sp_pkt_free(pkt);
    }
}

static void
deliver(struct world *w, size_t i)
{
    struct flight f = w->flights[i];

    w->flights[i] = w->flights[--w->n_flights];
    if (f.to_server) {
        struct sp_pkt *pkt = sp_pkt_from_bytes(&w->pool, f.bytes, f.n);
        struct sp_ip_view v;

        g_assert_nonnull(pkt);
        g_assert_cmpint(sp_packet_parse(sp_pkt_data(pkt), pkt->len, &v), ==, 0);
        sp_tcp_server_handle_packet(w->s, pkt, &v, w->now);
        sp_pkt_free(pkt);
    } else {
        peer_handle(w, f.bytes, f.n);
    }
}

static void
step(struct world *w)
{
    sp_time next = sp_time_min(w->peer.deadline, sp_tcp_server_next_timeout(w->s));
    size_t first = SIZE_MAX;

    for (size_t i = 0; i < w->n_flights; i++)
        if (w->flights[i].at <= next) {
            next = w->flights[i].at;
            first = i;
        }
    g_assert_cmpuint(next, >=, w->now);
    w->now = next;
    if (first != SIZE_MAX)
        deliver(w, first);
    else if (w->peer.deadline == next)
        peer_timeout(w);
    else
        sp_tcp_server_handle_timeout(w->s, w->now);
    drain(w);
}

static void
script(struct world *w, unsigned n)
{
    g_autofree uint8_t *buf = g_malloc(65535);

    for (unsigned i = 0; i < n; i++) {
        uint8_t head[4];
        g_autofree uint8_t *rest = NULL;
        size_t len = i % 5 == 4 ? 40000 : 12 + sp_rng_below(&w->rng, 500);
        size_t answer;

        sp_put_be16(head, (uint16_t)len);
        sp_put_be16(head + 2, (uint16_t)i);
        rest = g_malloc0(len - 2);
        g_byte_array_append(w->peer.out, head, 4);
        g_byte_array_append(w->peer.out, rest, (guint)len - 2);
        answer = answer_for(i, buf);
        sp_put_be16(head, (uint16_t)answer);
        g_byte_array_append(w->expected, head, 2);
        g_byte_array_append(w->expected, buf, (guint)answer);
    }
}

static void
converse(uint64_t seed, uint8_t family, unsigned loss, unsigned duplicate)
{
    struct world *w = g_new0(struct world, 1);
    struct sp_tcp_config config = { .pool = &w->pool, .port = 53 };
    struct peer *c = &w->peer;
    unsigned steps = 0;

    g_test_message("seed %" G_GUINT64_FORMAT, seed);
    w->rng = config.rng = test_rng_init(&w->state, seed);
    w->loss = loss;
    w->duplicate = duplicate;
    sp_pkt_pool_init(&w->pool, 1024);
    w->server.port = 53;
    c->self.port = 1234;
    g_assert_cmpint(sp_ip_parse(family == 4 ? "100.100.111.1" : "fd00::53", &w->server.ip), ==, 0);
    g_assert_cmpint(sp_ip_parse(family == 4 ? "100.64.0.1" : "fd00::1", &c->self.ip), ==, 0);
    w->s = sp_tcp_server_new(&config);
    sp_tcp_server_listen(w->s, &w->server.ip, 1);
    c->isn = sp_rng_u32(&w->rng);
    c->out = g_byte_array_new();
    c->in = g_byte_array_new();
    w->expected = g_byte_array_new();
    c->window = 20000;
    c->mss = (uint16_t)(100 + sp_rng_below(&w->rng, 1100));
    script(w, 12);
    peer_timeout(w);
    while (!c->done && !c->reset && ++steps < 2000000)
        step(w);
    g_assert_false(c->reset);
    g_assert_true(c->done);
    g_assert_cmpuint(w->queries, ==, 12);
    g_assert_cmpmem(c->in->data, c->in->len, w->expected->data, w->expected->len);
    while (sp_tcp_server_next_timeout(w->s) != SP_TIME_NEVER && ++steps < 2000000)
        step(w);
    g_assert_cmpuint(sp_tcp_server_connections(w->s), ==, 0);
    sp_tcp_server_free(w->s);
    sp_pkt_pool_done(&w->pool);
    g_byte_array_unref(c->out);
    g_byte_array_unref(c->in);
    g_byte_array_unref(w->expected);
    g_free(w);
}

static void
test_clean(void)
{
    converse(1, 4, 0, 0);
    converse(2, 6, 0, 0);
}

static void
test_lossy(void)
{
    for (uint64_t seed = 100; seed < 112; seed++)
        converse(seed, seed % 2 ? 4 : 6, 40, 30);
}

static void
test_repeating(void)
{
    for (uint64_t seed = 200; seed < 206; seed++)
        converse(seed, seed % 2 ? 4 : 6, 0, 400);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/tcp/streams/clean", test_clean);
    g_test_add_func("/tcp/streams/lossy", test_lossy);
    g_test_add_func("/tcp/streams/repeating", test_repeating);
    return g_test_run();
}
