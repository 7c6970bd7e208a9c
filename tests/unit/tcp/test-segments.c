/* SPDX-License-Identifier: Apache-2.0 */
/* Single segments against the server: what each one does and what comes back. The numbers of RFC
 * 9293 sections are in the test names. */
#include <glib.h>
#include <string.h>

#include "engine/base/err.h"
#include "engine/base/rd.h"
#include "engine/ip/build.h"
#include "engine/tcp/server.h"
#include "tests/support/rng.h"

#define S          SP_TCP_SYN
#define A          SP_TCP_ACK
#define F          SP_TCP_FIN
#define R          SP_TCP_RST
#define P          SP_TCP_PSH

#define CLIENT_ISN 0xfffffff0u /* wraps early */

struct fixture {
    struct test_rng state;
    struct sp_pkt_pool pool;
    struct sp_tcp_server *s;
    struct sp_endpoint from;
    struct sp_endpoint to;
    sp_time now;
    uint32_t seq; /* of the next segment of the test */
    uint32_t ack;
    uint16_t window;
};

/** struct answer - a segment of the server, taken apart */
struct answer {
    bool any;
    uint32_t seq;
    uint32_t ack;
    uint8_t flags;
    uint16_t window;
    struct sp_ip src;
    uint16_t dst_port;
    size_t n;
    size_t header;
    uint8_t payload[SP_MTU];
    uint8_t options[40];
};

static void
set_up(struct fixture *f, gconstpointer data SP_UNUSED)
{
    struct sp_tcp_config config = { .pool = &f->pool, .port = 53 };
    struct sp_ip listen[] = { sp_ip4(100, 100, 111, 1), sp_ip4(100, 100, 111, 2) };

    sp_pkt_pool_init(&f->pool, 256);
    config.rng = test_rng_init(&f->state, 11);
    f->s = sp_tcp_server_new(&config);
    sp_tcp_server_listen(f->s, listen, 2);
    f->from = (struct sp_endpoint){ sp_ip4(100, 64, 0, 1), 40000 };
    f->to = (struct sp_endpoint){ listen[0], 53 };
    f->now = SP_SEC(1);
    f->seq = CLIENT_ISN;
    f->ack = 0;
    f->window = 64000;
}

static void
tear_down(struct fixture *f, gconstpointer data SP_UNUSED)
{
    sp_tcp_server_free(f->s);
    sp_pkt_pool_done(&f->pool);
}

static void
put_raw(struct fixture *f, const struct sp_tcp_segment *seg, bool spoil)
{
    struct sp_pkt *pkt = sp_pkt_alloc(&f->pool);
    struct sp_ip_view v;
    size_t len;

    g_assert_nonnull(pkt);
    g_assert_cmpint(sp_build_tcp(sp_pkt_data(pkt), SP_MTU, &f->from, &f->to, seg, &len), ==, 0);
    pkt->len = (uint16_t)len;
    if (spoil)
        sp_pkt_data(pkt)[36] ^= 1;
    g_assert_cmpint(sp_packet_parse(sp_pkt_data(pkt), pkt->len, &v), ==, 0);
    sp_tcp_server_handle_packet(f->s, pkt, &v, f->now);
    sp_pkt_free(pkt);
}

static void
put_at(struct fixture *f, uint32_t seq, uint8_t flags, const void *p, size_t n)
{
    struct sp_tcp_segment seg = {
        .seq = seq,
        .ack = (flags & A) ? f->ack : 0,
        .flags = flags,
        .window = f->window,
        .payload = sp_span(p, n),
    };

    put_raw(f, &seg, false);
}

/* The next segment in order. */
static void
put(struct fixture *f, uint8_t flags, const void *p, size_t n)
{
    put_at(f, f->seq, flags, p, n);
    f->seq += (uint32_t)n + ((flags & S) != 0) + ((flags & F) != 0);
}

static struct answer
get(struct fixture *f)
{
    struct sp_pkt *pkt = sp_tcp_server_poll_packet(f->s, f->now);
    struct answer a = { .any = pkt != NULL };
    struct sp_ip_view v;
    const uint8_t *l4;

    if (!pkt)
        return a;
    g_assert_cmpint(sp_packet_parse(sp_pkt_data(pkt), pkt->len, &v), ==, 0);
    g_assert_true(sp_packet_checksums_ok(sp_pkt_data(pkt), &v));
    l4 = sp_pkt_data(pkt) + v.l4;
    a.seq = sp_get_be32(l4 + 4);
    a.ack = sp_get_be32(l4 + 8);
    a.flags = v.tcp_flags;
    a.window = sp_get_be16(l4 + 14);
    a.src = v.src;
    a.dst_port = v.dst_proto.id;
    a.header = (size_t)(l4[12] >> 4) * 4;
    a.n = (size_t)pkt->len - v.l4 - a.header;
    memcpy(a.options, l4 + 20, a.header - 20);
    memcpy(a.payload, l4 + a.header, a.n);
    sp_pkt_free(pkt);
    return a;
}

static void
expect(struct fixture *f, uint8_t flags)
{
    struct answer a = get(f);

    g_assert_true(a.any);
    g_assert_cmphex(a.flags, ==, flags);
}

static void
expect_nothing(struct fixture *f)
{
    g_assert_false(get(f).any);
}

static void
connect_client(struct fixture *f)
{
    struct answer a;

    put(f, S, NULL, 0);
    a = get(f);
    g_assert_cmphex(a.flags, ==, S | A);
    g_assert_cmpuint(a.ack, ==, f->seq);
    f->ack = a.seq + 1;
    put(f, A, NULL, 0);
    expect_nothing(f);
}

static void
send_query(struct fixture *f, uint8_t tag)
{
    uint8_t frame[14] = { 0, 12, tag };

    put(f, A | P, frame, sizeof frame);
}

static uint64_t
expect_query(struct fixture *f, uint8_t tag)
{
    struct sp_tcp_query q;

    g_assert_true(sp_tcp_server_poll_query(f->s, &q));
    g_assert_cmpuint(q.message.n, ==, 12);
    g_assert_cmpuint(q.message.p[0], ==, tag);
    g_assert_true(sp_ip_equal(&q.local, &f->to.ip));
    return q.connection;
}

static void
expect_no_query(struct fixture *f)
{
    struct sp_tcp_query q;

    g_assert_false(sp_tcp_server_poll_query(f->s, &q));
}

static void
answer(struct fixture *f, uint64_t connection, size_t n)
{
    g_autofree uint8_t *message = g_malloc0(n);

    g_assert_cmpint(sp_tcp_server_answer(f->s, connection, sp_span(message, n), f->now), ==, 0);
}

static void
later(struct fixture *f, sp_duration d)
{
    f->now += d;
    sp_tcp_server_handle_timeout(f->s, f->now);
}

/* ---- opening ------------------------------------------------------------------------------- */

static void
test_open(struct fixture *f, gconstpointer data SP_UNUSED)
{
    struct answer a;

    put(f, S, NULL, 0);
    a = get(f);
    g_assert_cmphex(a.flags, ==, S | A);
    g_assert_cmpuint(a.ack, ==, CLIENT_ISN + 1);
    g_assert_cmpuint(a.header, ==, 24);
    g_assert_cmpmem(a.options, 4, "\002\004\004\330", 4); /* 1240 */
    g_assert_cmpuint(a.window, ==, 65535);
    g_assert_cmpuint(a.dst_port, ==, 40000);
    expect_nothing(f);
    f->ack = a.seq + 1;
    put(f, A, NULL, 0);
    expect_nothing(f);
    g_assert_cmpuint(sp_tcp_server_connections(f->s), ==, 1);
}

static void
test_syn_again(struct fixture *f, gconstpointer data SP_UNUSED)
{
    struct answer a, b;

    put_at(f, 5, S, NULL, 0);
    a = get(f);
    put_at(f, 5, S, NULL, 0);
    b = get(f);
    g_assert_cmphex(b.flags, ==, S | A);
    g_assert_cmpuint(a.seq, ==, b.seq);
    expect_nothing(f);
    g_assert_cmpuint(sp_tcp_server_connections(f->s), ==, 1);
}

static void
test_half_open_ends(struct fixture *f, gconstpointer data SP_UNUSED)
{
    unsigned syns = 0;

    put(f, S, NULL, 0);
    for (int i = 0; i < 20; i++) {
        struct answer a = get(f);

        if (a.any && a.flags == (S | A))
            syns++;
        later(f, SP_SEC(1));
    }
    g_assert_cmpuint(syns, ==, 1 + SP_TCP_SYN_RETRIES);
    while (get(f).any)
        ;
    g_assert_cmpuint(sp_tcp_server_connections(f->s), ==, 0);
    g_assert_cmpuint(sp_tcp_server_next_timeout(f->s), ==, SP_TIME_NEVER);
}

/* 3.10.7.1 and 3.10.7.2: no connection. */
static void
test_nobody(struct fixture *f, gconstpointer data SP_UNUSED)
{
    static const struct {
        uint8_t flags;
        uint8_t answer; /* 0: silence */
        uint16_t port;
        uint8_t host;
    } cases[] = {
        { A, R, 53, 1 },     { S | A, R, 53, 1 }, { F | A, R, 53, 1 }, { R, 0, 53, 1 },
        { R | A, 0, 53, 1 }, { F, 0, 53, 1 },     { 0, 0, 53, 1 },     { S, R | A, 54, 1 },
        { A, R, 54, 1 },     { R, 0, 54, 1 },     { S, 0, 53, 3 }, /* nobody listens on .3 */
        { A, 0, 53, 3 },
    };

    for (size_t i = 0; i < SP_ARRAY_SIZE(cases); i++) {
        struct answer a;

        g_test_message("case %zu", i);
        f->to = (struct sp_endpoint){ sp_ip4(100, 100, 111, cases[i].host), cases[i].port };
        f->ack = 77;
        put_at(f, 1000, cases[i].flags, NULL, 0);
        a = get(f);
        g_assert_cmpint(a.any, ==, cases[i].answer != 0);
        g_assert_cmphex(a.flags, ==, cases[i].answer);
        if (a.any && (cases[i].flags & A))
            g_assert_cmpuint(a.seq, ==, 77);
        g_assert_cmpuint(sp_tcp_server_connections(f->s), ==, 0);
    }
}

static void
test_bad_checksum(struct fixture *f, gconstpointer data SP_UNUSED)
{
    struct sp_tcp_segment syn = { .seq = 1, .flags = S, .window = 1000 };

    put_raw(f, &syn, true);
    expect_nothing(f);
    g_assert_cmpuint(sp_tcp_server_stats(f->s)->malformed, ==, 1);
    g_assert_cmpuint(sp_tcp_server_connections(f->s), ==, 0);
}

static void
test_eleventh(struct fixture *f, gconstpointer data SP_UNUSED)
{
    for (int i = 0; i < SP_TCP_CONNECTIONS; i++) {
        f->from.port = (uint16_t)(1000 + i);
        f->seq = 1;
        put(f, S, NULL, 0);
        expect(f, S | A);
    }
    f->from.port = 2000;
    put_at(f, 1, S, NULL, 0);
    expect(f, R | A);
    f->to.ip.b[3] = 2; /* the other address has its own ten */
    put_at(f, 1, S, NULL, 0);
    expect(f, S | A);
    g_assert_cmpuint(sp_tcp_server_connections(f->s), ==, SP_TCP_CONNECTIONS + 1);
    g_assert_cmpuint(sp_tcp_server_stats(f->s)->refused, ==, 1);
}

static void
test_ack_of_nothing(struct fixture *f, gconstpointer data SP_UNUSED)
{
    struct answer a;

    put(f, S, NULL, 0);
    a = get(f);
    f->ack = a.seq + 2; /* 3.10.7.4, fifth, SYN-RECEIVED */
    put(f, A, NULL, 0);
    a = get(f);
    g_assert_cmphex(a.flags, ==, R);
    g_assert_cmpuint(a.seq, ==, f->ack);
    g_assert_cmpuint(sp_tcp_server_connections(f->s), ==, 1);
}

/* ---- messages ------------------------------------------------------------------------------ */

static void
test_exchange(struct fixture *f, gconstpointer data SP_UNUSED)
{
    uint64_t id;
    struct answer a;

    connect_client(f);
    send_query(f, 1);
    send_query(f, 2); /* waits for its turn */
    id = expect_query(f, 1);
    expect_no_query(f);
    answer(f, id, 20);
    a = get(f);
    g_assert_cmphex(a.flags, ==, A | P);
    g_assert_cmpuint(a.n, ==, 22);
    g_assert_cmpuint(sp_get_be16(a.payload), ==, 20);
    g_assert_cmpuint(a.ack, ==, f->seq);
    expect_no_query(f); /* the answer is not acknowledged yet */
    f->ack += 22;
    put(f, A, NULL, 0);
    g_assert_cmpuint(expect_query(f, 2), ==, id);
}

/* The frame comes byte by byte. */
static void
test_crumbs(struct fixture *f, gconstpointer data SP_UNUSED)
{
    uint8_t frame[14] = { 0, 12, 9 };

    connect_client(f);
    for (size_t i = 0; i < sizeof frame; i++) {
        expect_no_query(f);
        put(f, A, &frame[i], 1);
        expect(f, A);
    }
    (void)expect_query(f, 9);
}

static void
test_largest(struct fixture *f, gconstpointer data SP_UNUSED)
{
    g_autofree uint8_t *frame = g_malloc0(2 + 65535);
    struct sp_tcp_query q;
    struct answer a;
    size_t sent = 0, got = 0;

    connect_client(f);
    frame[0] = frame[1] = 0xff;
    while (sent < 2 + 65535) {
        size_t n = SP_MIN((size_t)2 + 65535 - sent, (size_t)1240);

        put(f, A, frame + sent, n);
        sent += n;
        a = get(f);
    }
    g_assert_cmpuint(a.window, ==, 0);
    g_assert_true(sp_tcp_server_poll_query(f->s, &q));
    g_assert_cmpuint(q.message.n, ==, 65535);
    answer(f, q.connection, 65535);
    while (got < 2 + 65535) {
        a = get(f);
        g_assert_true(a.any);
        g_assert_cmpuint(a.seq, ==, f->ack);
        g_assert_cmpuint(a.n, <=, 536); /* our SYN had no option */
        g_assert_cmpuint(a.window, ==, 65535);
        got += a.n;
        f->ack += (uint32_t)a.n;
        put(f, A, NULL, 0);
    }
    expect_nothing(f);
}

static void
test_malformed_frame(struct fixture *f, gconstpointer data SP_UNUSED)
{
    connect_client(f);
    put(f, A, "\000\013", 2); /* shorter than a DNS header */
    expect_no_query(f);
    expect(f, R | A);
    expect_nothing(f);
    g_assert_cmpuint(sp_tcp_server_connections(f->s), ==, 0);
}

static void
test_errors_of_answer(struct fixture *f, gconstpointer data SP_UNUSED)
{
    g_autofree uint8_t *big = g_malloc0(65536);
    uint64_t id;

    connect_client(f);
    send_query(f, 1);
    id = expect_query(f, 1);
    g_assert_cmpint(sp_tcp_server_answer(f->s, id, sp_span(big, 65536), 0), ==, SP_E_INVAL);
    g_assert_cmpint(sp_tcp_server_answer(f->s, id + 1, sp_span(big, 20), 0), ==, SP_E_NOTFOUND);
    answer(f, id, 20);
    g_assert_cmpint(sp_tcp_server_answer(f->s, id, sp_span(big, 20), 0), ==, SP_E_STATE);
    sp_tcp_server_abort(f->s, id);
    g_assert_cmpint(sp_tcp_server_answer(f->s, id, sp_span(big, 20), 0), ==, SP_E_NOTFOUND);
    expect(f, R | A);
}

/* ---- order, windows, time ------------------------------------------------------------------ */

static void
test_hole(struct fixture *f, gconstpointer data SP_UNUSED)
{
    uint8_t frame[14] = { 0, 12, 3 };
    struct answer a;

    connect_client(f);
    put_at(f, f->seq + 4, A, frame + 4, 10);
    a = get(f);
    g_assert_cmphex(a.flags, ==, A);
    g_assert_cmpuint(a.ack, ==, f->seq);
    put_at(f, f->seq, A, frame, 4);
    a = get(f);
    g_assert_cmpuint(a.ack, ==, f->seq + 4);
    put_at(f, f->seq, A, frame, 14); /* overlaps what is there */
    a = get(f);
    g_assert_cmpuint(a.ack, ==, f->seq + 14);
    (void)expect_query(f, 3);
}

/* 3.10.7.4, first to third, and RFC 5961. */
static void
test_out_of_place(struct fixture *f, gconstpointer data SP_UNUSED)
{
    static const struct {
        uint32_t offset;
        uint8_t flags;
        uint8_t answer;
        bool alive;
    } cases[] = {
        { 0, R, 0, false },     { 1, R, A, true },      { 70000, R, 0, true },
        { 0 - 1u, R, 0, true }, { 0, S, A, true },      { 5, S | A, A, true },
        { 70000, A, A, true },  { 0 - 1u, A, A, true }, /* keep-alive */
        { 0, 0, 0, true },      { 70000, S, A, true },
    };

    for (size_t i = 0; i < SP_ARRAY_SIZE(cases); i++) {
        struct answer a;

        g_test_message("case %zu", i);
        tear_down(f, NULL);
        set_up(f, NULL);
        connect_client(f);
        put_at(f, f->seq + cases[i].offset, cases[i].flags, NULL, 0);
        a = get(f);
        g_assert_cmphex(a.flags, ==, cases[i].answer);
        g_assert_cmpuint(sp_tcp_server_connections(f->s), ==, cases[i].alive);
    }
}

static void
test_ack_of_future(struct fixture *f, gconstpointer data SP_UNUSED)
{
    connect_client(f);
    f->ack += 100;
    put(f, A, NULL, 0);
    expect(f, A);
    f->ack -= 100;
    send_query(f, 1);
    (void)expect_query(f, 1);
}

static void
test_resend(struct fixture *f, gconstpointer data SP_UNUSED)
{
    sp_duration wait = SP_TCP_RTO;
    struct answer a;

    connect_client(f);
    send_query(f, 1);
    answer(f, expect_query(f, 1), 20);
    expect(f, A | P);
    for (int i = 0; i < SP_TCP_RETRIES; i++) {
        later(f, wait - 1);
        expect_nothing(f);
        later(f, 1);
        a = get(f);
        g_assert_cmpuint(a.n, ==, 22);
        g_assert_cmpuint(a.seq, ==, f->ack);
        wait *= 2;
    }
    later(f, wait);
    expect(f, R | A);
    expect_nothing(f);
    g_assert_cmpuint(sp_tcp_server_connections(f->s), ==, 0);
}

static void
test_zero_window(struct fixture *f, gconstpointer data SP_UNUSED)
{
    struct answer a;

    connect_client(f);
    f->window = 0;
    send_query(f, 1);
    answer(f, expect_query(f, 1), 20);
    a = get(f);
    g_assert_cmphex(a.flags, ==, A);
    g_assert_cmpuint(a.n, ==, 0);
    later(f, SP_TCP_RTO);
    a = get(f);
    g_assert_cmpuint(a.n, ==, 1); /* the probe */
    put(f, A, NULL, 0);           /* still closed */
    expect_nothing(f);
    later(f, 2 * SP_TCP_RTO);
    a = get(f);
    g_assert_cmpuint(a.n, ==, 1);
    f->window = 64000;
    put(f, A, NULL, 0);
    a = get(f);
    g_assert_cmpuint(a.seq, ==, f->ack);
    g_assert_cmpuint(a.n, ==, 22);
}

/* ---- closing ------------------------------------------------------------------------------- */

static void
test_client_closes(struct fixture *f, gconstpointer data SP_UNUSED)
{
    struct answer a;

    connect_client(f);
    put(f, F | A, NULL, 0);
    expect_no_query(f);
    a = get(f);
    g_assert_cmphex(a.flags, ==, F | A);
    g_assert_cmpuint(a.ack, ==, f->seq);
    f->ack++;
    put(f, A, NULL, 0);
    expect_nothing(f);
    g_assert_cmpuint(sp_tcp_server_connections(f->s), ==, 0);
}

/* A client that closes its half at once still gets the answer. */
static void
test_half_closed(struct fixture *f, gconstpointer data SP_UNUSED)
{
    uint8_t frame[14] = { 0, 12, 4 };
    struct answer a;
    uint64_t id;

    connect_client(f);
    put(f, A | F, frame, sizeof frame);
    id = expect_query(f, 4);
    expect(f, A);
    expect_no_query(f);
    answer(f, id, 30);
    a = get(f);
    g_assert_cmpuint(a.n, ==, 32);
    f->ack += 32;
    put(f, A, NULL, 0);
    expect_no_query(f);
    expect(f, F | A);
    f->ack++;
    put(f, A, NULL, 0);
    expect_nothing(f);
    g_assert_cmpuint(sp_tcp_server_connections(f->s), ==, 0);
}

static void
test_idle(struct fixture *f, gconstpointer data SP_UNUSED)
{
    connect_client(f);
    later(f, SP_TCP_IDLE - 1);
    expect_nothing(f);
    later(f, 1);
    expect(f, F | A);
    f->ack++;
    put(f, A, NULL, 0);
    put(f, F | A, NULL, 0);
    expect(f, A);
    g_assert_cmpuint(sp_tcp_server_connections(f->s), ==, 1); /* TIME-WAIT */
    put_at(f, f->seq - 1, F | A, NULL, 0);                    /* our ACK was lost */
    expect(f, A);
    put_at(f, f->seq + 100, S, NULL, 0); /* a new life of the same pair */
    expect(f, S | A);
    g_assert_cmpuint(sp_tcp_server_connections(f->s), ==, 1);
}

static void
test_time_wait_ends(struct fixture *f, gconstpointer data SP_UNUSED)
{
    connect_client(f);
    later(f, SP_TCP_IDLE);
    expect(f, F | A);
    put(f, F | A, NULL, 0); /* both at the same time */
    expect(f, A);
    f->ack++;
    put(f, A, NULL, 0);
    later(f, SP_TCP_TIME_WAIT);
    expect_nothing(f);
    g_assert_cmpuint(sp_tcp_server_connections(f->s), ==, 0);
}

static void
test_data_after_close(struct fixture *f, gconstpointer data SP_UNUSED)
{
    connect_client(f);
    later(f, SP_TCP_IDLE);
    expect(f, F | A);
    send_query(f, 1);
    expect(f, R | A);
    expect_nothing(f);
    g_assert_cmpuint(sp_tcp_server_connections(f->s), ==, 0);
}

static void
test_never_answered(struct fixture *f, gconstpointer data SP_UNUSED)
{
    connect_client(f);
    send_query(f, 1);
    (void)expect_query(f, 1);
    expect(f, A);
    later(f, SP_TCP_IDLE);
    expect(f, R | A);
}

static void
test_abort_busy(struct fixture *f, gconstpointer data SP_UNUSED)
{
    connect_client(f);
    sp_tcp_server_abort_busy(f->s);
    expect_nothing(f);
    send_query(f, 1);
    (void)expect_query(f, 1);
    sp_tcp_server_abort_busy(f->s);
    expect(f, R | A);
    expect_nothing(f);
}

static void
test_listen_set(struct fixture *f, gconstpointer data SP_UNUSED)
{
    struct sp_ip same[] = { sp_ip4(100, 100, 111, 2), sp_ip4(100, 100, 111, 1) };

    connect_client(f);
    sp_tcp_server_listen(f->s, same, 2);
    g_assert_cmpuint(sp_tcp_server_connections(f->s), ==, 1);
    sp_tcp_server_listen(f->s, same, 1);
    g_assert_cmpuint(sp_tcp_server_connections(f->s), ==, 0);
    expect_nothing(f);
    put(f, A, NULL, 0); /* .1 is not ours any more */
    expect_nothing(f);
}

static void
test_empty_pool(struct fixture *f, gconstpointer data SP_UNUSED)
{
    struct sp_pkt *hold[256];
    size_t n = 0;

    connect_client(f);
    send_query(f, 1);
    answer(f, expect_query(f, 1), 20);
    while ((hold[n] = sp_pkt_alloc(&f->pool)) != NULL && ++n < 256)
        ;
    expect_nothing(f);
    g_assert_cmpuint(sp_tcp_server_stats(f->s)->no_memory, ==, 1);
    while (n)
        sp_pkt_free(hold[--n]);
    expect(f, A | P); /* nothing was lost */
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, fn) g_test_add("/tcp/segments/" path, struct fixture, NULL, set_up, fn, tear_down)
    ADD("open", test_open);
    ADD("syn-again", test_syn_again);
    ADD("half-open-ends", test_half_open_ends);
    ADD("nobody", test_nobody);
    ADD("bad-checksum", test_bad_checksum);
    ADD("eleventh", test_eleventh);
    ADD("ack-of-nothing", test_ack_of_nothing);
    ADD("exchange", test_exchange);
    ADD("crumbs", test_crumbs);
    ADD("largest", test_largest);
    ADD("malformed-frame", test_malformed_frame);
    ADD("errors-of-answer", test_errors_of_answer);
    ADD("hole", test_hole);
    ADD("out-of-place", test_out_of_place);
    ADD("ack-of-future", test_ack_of_future);
    ADD("resend", test_resend);
    ADD("zero-window", test_zero_window);
    ADD("client-closes", test_client_closes);
    ADD("half-closed", test_half_closed);
    ADD("idle", test_idle);
    ADD("time-wait-ends", test_time_wait_ends);
    ADD("data-after-close", test_data_after_close);
    ADD("never-answered", test_never_answered);
    ADD("abort-busy", test_abort_busy);
    ADD("listen-set", test_listen_set);
    ADD("empty-pool", test_empty_pool);
    return g_test_run();
}
