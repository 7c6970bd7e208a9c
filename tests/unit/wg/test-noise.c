/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>
#include <string.h>

#include "engine/wg/wg.h"
#include "tests/support/hex.h"
#include "tests/unit/wg/pair.h"
#include "tests/vectors/wg-handshake.h"

/* The vector fixes the ephemeral keys; this generator hands them out. */
static void
fill_fixed(void *ctx, void *buf, size_t n)
{
    g_assert_cmpuint(n, ==, 32);
    memcpy(buf, ctx, n);
}

struct party {
    struct sp_wg_identity id;
    uint8_t ephemeral[32];
    struct sp_wg_tunnel *t;
};

static void
party_init(struct party *p,
           const char *static_key,
           const char *peer_static,
           const char *ephemeral,
           uint32_t index24)
{
    struct sp_wg_identity peer;
    uint8_t key[32];
    struct sp_wg_config c = {
        .identity = &p->id,
        .index24 = index24,
        .params = sp_wg_params_ice(),
        .wall = { .unix_ns_at_zero = INT64_C(1700000000) * (int64_t)SP_NS_PER_SEC },
        .rng = { .fill = fill_fixed, .ctx = p->ephemeral },
    };

    test_unhex(static_key, key, sizeof key);
    sp_wg_identity_init(&p->id, key);
    test_unhex(peer_static, key, sizeof key);
    sp_wg_identity_init(&peer, key);
    memcpy(c.peer_key, peer.public, sizeof c.peer_key);
    test_unhex(wg_psk, c.psk, sizeof c.psk);
    test_unhex(ephemeral, p->ephemeral, sizeof p->ephemeral);
    p->t = sp_wg_tunnel_new(&c);
}

static void
expect_out(struct sp_wg_tunnel *t, const char *hex)
{
    uint8_t want[SP_WG_INITIATION_LEN];
    size_t n = test_unhex(hex, want, sizeof want);
    struct sp_wg_out out;

    g_assert_true(sp_wg_tunnel_poll_transmit(t, &out));
    test_assert_mem(out.bytes, out.len, want, n);
}

static void
expect_data(struct party *from, struct party *to, const char *hex, sp_time now)
{
    struct sp_pkt_pool pool;
    struct sp_pkt *pkt;
    uint8_t want[100], inner[100];
    size_t n = test_unhex(hex, want, sizeof want), m = test_unhex(wg_inner, inner, sizeof inner);

    sp_pkt_pool_init(&pool, 1);
    pkt = sp_pkt_from_bytes(&pool, inner, m);
    g_assert_cmpint(sp_wg_tunnel_seal(from->t, pkt, now), ==, 0);
    test_assert_mem(sp_pkt_data(pkt), pkt->len, want, n);
    g_assert_cmpint(sp_wg_tunnel_open(to->t, pkt, now), ==, SP_WG_PACKET);
    test_assert_mem(sp_pkt_data(pkt), pkt->len, inner, m);
    sp_pkt_free(pkt);
    sp_pkt_pool_done(&pool);
}

/* Every byte of a handshake and of the first data packets, against the model that
 * tests/vectors/make-wg-handshake.py computes step by step. */
static void
matches_model(void)
{
    const sp_time now = 123456789;
    uint8_t msg[SP_WG_INITIATION_LEN], key[32];
    struct party i, r;
    size_t n;

    party_init(&i, wg_static_i, wg_static_r, wg_ephemeral_i, 0xabcdef);
    party_init(&r, wg_static_r, wg_static_i, wg_ephemeral_r, 0x123456);
    sp_wg_tunnel_initiate(i.t, now);
    expect_out(i.t, wg_initiation);
    n = test_unhex(wg_initiation, msg, sizeof msg);
    g_assert_cmpint(sp_wg_peek_initiation(&r.id, sp_span(msg, n), key), ==, 0);
    g_assert_cmpmem(key, 32, i.id.public, 32);
    g_assert_cmpint(sp_wg_peek_initiation(&i.id, sp_span(msg, n), key), ==, SP_E_UNAUTH);
    g_assert_cmpint(sp_wg_tunnel_handle_handshake(r.t, sp_span(msg, n), now), ==, 0);
    expect_out(r.t, wg_response);
    n = test_unhex(wg_response, msg, sizeof msg);
    g_assert_cmphex(sp_wg_receiver_index(sp_span(msg, n)), ==, 0xabcdef01);
    g_assert_cmpint(sp_wg_tunnel_handle_handshake(i.t, sp_span(msg, n), now), ==, 0);
    expect_out(i.t, wg_keepalive);
    expect_data(&i, &r, wg_data_i, now);
    expect_data(&r, &i, wg_data_r, now);
    sp_wg_tunnel_free(i.t);
    sp_wg_tunnel_free(r.t);
}

static void
classify(void)
{
    static const struct {
        uint8_t head[4];
        size_t n;
        enum sp_wg_kind kind;
    } cases[] = {
        { { 1 }, 148, SP_WG_INITIATION }, { { 1 }, 147, SP_WG_NONE },
        { { 1 }, 149, SP_WG_NONE },       { { 2 }, 92, SP_WG_RESPONSE },
        { { 2 }, 93, SP_WG_NONE },        { { 3 }, 64, SP_WG_COOKIE },
        { { 3 }, 63, SP_WG_NONE },        { { 4 }, 32, SP_WG_DATA },
        { { 4 }, 31, SP_WG_NONE },        { { 4 }, 1312, SP_WG_DATA },
        { { 0 }, 148, SP_WG_NONE },       { { 5 }, 148, SP_WG_NONE },
        { { 4, 1 }, 32, SP_WG_NONE },     { { 4, 0, 0, 1 }, 32, SP_WG_NONE },
        { { 1, 0, 1 }, 148, SP_WG_NONE }, { { 4 }, 0, SP_WG_NONE },
        { { 4 }, 3, SP_WG_NONE },
    };
    uint8_t msg[1312] = { 0 };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_message("case %zu", i);
        memcpy(msg, cases[i].head, 4);
        g_assert_cmpint(sp_wg_classify(sp_span(msg, cases[i].n)), ==, cases[i].kind);
    }
}

/* spec connectivity 4.1 */
static void
indices(void)
{
    static const uint32_t want[] = { 0x1, 0xd7fffe, 0x6bfffe };
    struct test_rng state;
    struct sp_rng rng = test_rng_init(&state, 5);
    struct sp_wg_index gen;
    uint8_t *seen = g_malloc0(1 << 24);

    sp_wg_index_init_with(&gen, 1, 1);
    for (size_t i = 0; i < G_N_ELEMENTS(want); i++)
        g_assert_cmphex(sp_wg_index_next(&gen), ==, want[i]);
    sp_wg_index_init(&gen, &rng);
    for (uint32_t i = 0; i < 0xffffff; i++) {
        uint32_t v = sp_wg_index_next(&gen);

        if (v > 0xffffff || seen[v]++)
            g_error("value %06x out of range or repeated after %u calls", v, i);
    }
    g_free(seen);
}

/* A peer key of low order can never finish a handshake, and the attempt ends as any other. */
static void
low_order_peer(void)
{
    struct pair p;
    struct sp_wg_config c;
    struct sp_wg_tunnel *t;
    struct sp_wg_out out;
    enum sp_wg_event event;

    pair_init(&p, 3);
    c = pair_config(&p, &p.a, &p.b);
    memset(c.peer_key, 0, sizeof c.peer_key);
    t = sp_wg_tunnel_new(&c);
    sp_wg_tunnel_initiate(t, p.now);
    g_assert_false(sp_wg_tunnel_poll_transmit(t, &out));
    for (int i = 0; i < 100 && sp_wg_tunnel_next_timeout(t) != SP_TIME_NEVER
                    && sp_wg_tunnel_next_timeout(t) != 0;
         i++)
        sp_wg_tunnel_handle_timeout(t, sp_wg_tunnel_next_timeout(t));
    g_assert_true(sp_wg_tunnel_poll_event(t, &event));
    g_assert_cmpint(event, ==, SP_WG_EVENT_EXPIRED);
    sp_wg_tunnel_free(t);
    pair_done(&p);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/wg/noise/matches-model", matches_model);
    g_test_add_func("/wg/noise/low-order-peer", low_order_peer);
    g_test_add_func("/wg/messages/classify", classify);
    g_test_add_func("/wg/index", indices);
    return g_test_run();
}
