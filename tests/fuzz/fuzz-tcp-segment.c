/* SPDX-License-Identifier: Apache-2.0 */
/* A hostile client of the TCP server. The input is a list of steps of 8 bytes: what to do, flags, port,
 * three small numbers relative to what the server last said, payload length. */
#include <string.h>

#include "engine/base/err.h"
#include "engine/base/rd.h"
#include "engine/ip/build.h"
#include "engine/tcp/server.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/rng.h"

struct game {
    struct sp_pkt_pool pool;
    struct sp_tcp_server *s;
    struct sp_endpoint from;
    struct sp_endpoint to;
    uint32_t seq; /* what the server expects, and what it sent, by its last segment */
    uint32_t ack;
    sp_time now;
    uint64_t open; /* connection with a query */
    struct sp_rd rd;
};

static void
send_segment(struct game *g, uint8_t flags)
{
    struct sp_tcp_segment seg = { .flags = flags };
    uint8_t port = sp_rd_u8(&g->rd);
    size_t want;
    struct sp_pkt *pkt;
    struct sp_ip_view v;
    size_t len;

    g->from.port = 1000 + port % 16;
    seg.seq = g->seq + (uint32_t)(int8_t)sp_rd_u8(&g->rd);
    seg.ack = g->ack + (uint32_t)(int8_t)sp_rd_u8(&g->rd);
    seg.window = (uint16_t)(sp_rd_u8(&g->rd) * 64u);
    want = sp_rd_u8(&g->rd);
    if (port & 0x80)
        seg.options = sp_rd_span_n(&g->rd, SP_MIN(want & 0x1c, sp_rd_left(&g->rd) & ~(size_t)3));
    seg.payload = sp_rd_span_n(&g->rd, SP_MIN(want, sp_rd_left(&g->rd)));
    pkt = sp_pkt_alloc(&g->pool);
    if (!pkt)
        return;
    sp_assert(sp_build_tcp(sp_pkt_data(pkt), SP_MTU, &g->from, &g->to, &seg, &len) == 0);
    pkt->len = (uint16_t)len;
    sp_assert(sp_packet_parse(sp_pkt_data(pkt), len, &v) == 0);
    sp_tcp_server_handle_packet(g->s, pkt, &v, g->now);
    sp_pkt_free(pkt);
}

static void
take_packets(struct game *g)
{
    struct sp_pkt *pkt;
    unsigned n = 0;

    while ((pkt = sp_tcp_server_poll_packet(g->s, g->now)) != NULL) {
        struct sp_ip_view v;
        const uint8_t *l4;

        sp_assert(++n < 100000);
        sp_assert(sp_packet_parse(sp_pkt_data(pkt), pkt->len, &v) == 0);
        sp_assert(sp_packet_checksums_ok(sp_pkt_data(pkt), &v));
        sp_assert(sp_ip_equal(&v.src, &g->to.ip) && sp_ip_equal(&v.dst, &g->from.ip));
        l4 = sp_pkt_data(pkt) + v.l4;
        g->ack = sp_get_be32(l4 + 4) + ((v.tcp_flags & SP_TCP_SYN) != 0)
                 + (uint32_t)(pkt->len - v.l4 - (l4[12] >> 4) * 4u);
        g->seq = sp_get_be32(l4 + 8);
        sp_pkt_free(pkt);
    }
}

static void
step(struct game *g)
{
    static const uint8_t message[3000];
    struct sp_tcp_query q;
    uint8_t what = sp_rd_u8(&g->rd);
    uint8_t arg = sp_rd_u8(&g->rd);

    if (what < 0x20) {
        g->now += SP_MS(100) * (1u + arg);
        sp_tcp_server_handle_timeout(g->s, g->now);
    } else if (what < 0x40 && g->open) {
        int r = sp_tcp_server_answer(g->s, g->open, sp_span(message, 12 + arg * 11u), g->now);

        sp_assert(r == 0 || r == SP_E_NOTFOUND || r == SP_E_STATE);
    } else if (what == 0x40) {
        sp_tcp_server_abort(g->s, g->open);
    } else {
        send_segment(g, arg & 0x1f);
    }
    while (sp_tcp_server_poll_query(g->s, &q)) {
        sp_assert(q.message.n >= SP_TCP_MESSAGE_MIN);
        g->open = q.connection;
    }
    take_packets(g);
    sp_assert(sp_tcp_server_connections(g->s) <= SP_TCP_CONNECTIONS);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct test_rng state;
    struct game g = {
        .from = { sp_ip4(100, 64, 0, 1), 1000 },
        .to = { sp_ip4(100, 100, 111, 1), 53 },
        .seq = 0xffffffc0u,
        .rd = sp_rd(data, size),
    };
    struct sp_tcp_config config = { .pool = &g.pool, .port = 53 };

    config.rng = test_rng_init(&state, 1);
    sp_pkt_pool_init(&g.pool, 256);
    g.s = sp_tcp_server_new(&config);
    sp_tcp_server_listen(g.s, &g.to.ip, 1);
    while (sp_rd_left(&g.rd) > 0)
        step(&g);
    /* Whatever was done, silence ends it. */
    for (int i = 0; i < 200; i++) {
        struct sp_tcp_query q;

        g.now += SP_SEC(10);
        sp_tcp_server_handle_timeout(g.s, g.now);
        while (sp_tcp_server_poll_query(g.s, &q))
            ;
        take_packets(&g);
    }
    sp_assert(sp_tcp_server_connections(g.s) == 0);
    sp_assert(sp_tcp_server_next_timeout(g.s) == SP_TIME_NEVER);
    sp_tcp_server_free(g.s);
    sp_pkt_pool_done(&g.pool);
    return 0;
}
