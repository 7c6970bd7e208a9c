/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>
#include <string.h>

#include "tests/unit/wg/pair.h"

struct flood {
    struct pair p;
    struct sp_wg_limiter lim; /* B's */
    struct sp_endpoint src;
    uint8_t reply[SP_WG_COOKIE_REPLY_LEN];
    size_t reply_len;
};

static int
check(struct flood *f, const struct sp_wg_out *msg, const struct sp_endpoint *src)
{
    f->reply_len = 0;
    return sp_wg_limiter_check(&f->lim,
                               &f->p.b.id,
                               sp_span(msg->bytes, msg->len),
                               src,
                               f->p.now,
                               f->reply,
                               &f->reply_len);
}

static void
initiation(struct flood *f, struct sp_wg_out *out)
{
    sp_wg_tunnel_initiate(f->p.a.t, f->p.now);
    g_assert_true(pair_take(&f->p.a, out));
}

static void
flood_init(struct flood *f, const char *src)
{
    struct sp_wg_out out;

    pair_init(&f->p, 21);
    sp_wg_limiter_init(&f->lim, &f->p.b.rng);
    g_assert_cmpint(sp_endpoint_parse(src, &f->src), ==, 0);
    initiation(f, &out);
    for (int i = 0; i < SP_WG_HANDSHAKES_PER_SECOND; i++)
        g_assert_cmpint(check(f, &out, &f->src), ==, 0);
}

static void
flood_done(struct flood *f)
{
    sp_wg_limiter_done(&f->lim);
    pair_done(&f->p);
}

/* Flood: the cookie comes back, is understood, and the retry passes while the load lasts. */
static void
cookie_flow(void)
{
    static const char *const sources[] = { "192.0.2.7:4000", "[2001:db8::7]:4000" };

    for (size_t i = 0; i < G_N_ELEMENTS(sources); i++) {
        struct flood f;
        struct sp_wg_out first, retry;
        struct sp_endpoint moved;

        flood_init(&f, sources[i]);
        initiation(&f, &first);
        g_assert_cmpint(check(&f, &first, &f.src), ==, SP_WG_COOKIE_REPLY);
        g_assert_cmpuint(f.reply_len, ==, SP_WG_COOKIE_REPLY_LEN);
        g_assert_cmphex(sp_wg_receiver_index(sp_span(f.reply, f.reply_len)) >> 8, ==, 0xaaaaaa);
        g_assert_cmpint(pair_give(&f.p, &f.p.a, sp_span(f.reply, f.reply_len)), ==, 0);
        /* A cookie is no session. */
        pair_pump(&f.p);
        g_assert_cmpuint(f.p.a.established + f.p.b.established, ==, 0);
        /* Once only. */
        g_assert_cmpint(pair_give(&f.p, &f.p.a, sp_span(f.reply, f.reply_len)), ==, SP_E_STATE);
        initiation(&f, &retry);
        g_assert_cmpint(check(&f, &retry, &f.src), ==, 0);
        moved = f.src;
        moved.port++;
        g_assert_cmpint(check(&f, &retry, &moved), ==, 0);
        moved.ip = sp_ip_add(&moved.ip, 1);
        g_assert_cmpint(check(&f, &retry, &moved), ==, SP_WG_COOKIE_REPLY);
        g_assert_cmpint(check(&f, &first, &f.src), ==, SP_WG_COOKIE_REPLY);
        g_assert_cmpint(pair_give(&f.p, &f.p.b, sp_span(retry.bytes, retry.len)), ==, 0);
        pair_pump(&f.p);
        g_assert_cmpuint(f.p.a.established, ==, 1);
        g_assert_cmpuint(f.p.b.established, ==, 1);
        flood_done(&f);
    }
}

static void
without_source(void)
{
    struct flood f;
    struct sp_wg_out out;
    struct sp_endpoint none = { 0 };

    flood_init(&f, "192.0.2.7:4000");
    initiation(&f, &out);
    g_assert_cmpint(check(&f, &out, NULL), ==, SP_E_LIMIT);
    g_assert_cmpint(check(&f, &out, &none), ==, SP_E_LIMIT);
    g_assert_cmpuint(f.reply_len, ==, 0);
    flood_done(&f);
}

/* The window is reset when it is a second old; messages with a bad mac1 do not fill it. */
static void
window(void)
{
    struct flood f;
    struct sp_wg_out out, bad;

    flood_init(&f, "192.0.2.7:4000");
    initiation(&f, &out);
    f.p.now += SP_MS(999);
    g_assert_cmpint(check(&f, &out, &f.src), ==, SP_WG_COOKIE_REPLY);
    f.p.now += SP_MS(1);
    bad = out;
    bad.bytes[SP_WG_INIT_MAC1] ^= 1;
    for (int i = 0; i < 1000; i++)
        g_assert_cmpint(check(&f, &bad, &f.src), ==, SP_E_UNAUTH);
    for (int i = 0; i < SP_WG_HANDSHAKES_PER_SECOND; i++)
        g_assert_cmpint(check(&f, &out, &f.src), ==, 0);
    g_assert_cmpint(check(&f, &out, &f.src), ==, SP_WG_COOKIE_REPLY);
    flood_done(&f);
}

/* The receiver's secret lives 128 s, the sender's cookie 120 s. */
static void
cookie_ages(void)
{
    static const struct {
        unsigned after_s;
        bool mac2_sent;
        int verdict;
    } cases[] = {
        { 0, true, 0 },
        { 119, true, 0 },
        { 120, false, SP_WG_COOKIE_REPLY },
        { 128, false, SP_WG_COOKIE_REPLY },
    };
    static const uint8_t zero[SP_WG_MAC_LEN];

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct flood f;
        struct sp_wg_out out;

        g_test_message("case %zu", i);
        flood_init(&f, "192.0.2.7:4000");
        initiation(&f, &out);
        g_assert_cmpint(check(&f, &out, &f.src), ==, SP_WG_COOKIE_REPLY);
        g_assert_cmpint(pair_give(&f.p, &f.p.a, sp_span(f.reply, f.reply_len)), ==, 0);
        f.p.now += SP_SEC(cases[i].after_s);
        f.lim.max = 0;
        initiation(&f, &out);
        g_assert_cmpint(memcmp(out.bytes + SP_WG_INIT_MAC2, zero, sizeof zero) != 0,
                        ==,
                        cases[i].mac2_sent);
        g_assert_cmpint(check(&f, &out, &f.src), ==, cases[i].verdict);
        flood_done(&f);
    }
}

static void
secret_rotates(void)
{
    struct flood f;
    struct sp_wg_out out;

    flood_init(&f, "192.0.2.7:4000");
    initiation(&f, &out);
    g_assert_cmpint(check(&f, &out, &f.src), ==, SP_WG_COOKIE_REPLY);
    f.p.now += SP_SEC(100);
    f.lim.max = 0;
    initiation(&f, &out);
    g_assert_cmpint(check(&f, &out, &f.src), ==, SP_WG_COOKIE_REPLY);
    g_assert_cmpint(pair_give(&f.p, &f.p.a, sp_span(f.reply, f.reply_len)), ==, 0);
    f.p.now += SP_SEC(27);
    initiation(&f, &out);
    g_assert_cmpint(check(&f, &out, &f.src), ==, 0);
    f.p.now += SP_SEC(1);
    initiation(&f, &out);
    g_assert_cmpint(check(&f, &out, &f.src), ==, SP_WG_COOKIE_REPLY);
    flood_done(&f);
}

/* Any bit of a cookie reply flipped: refused, and the good one still works after. */
static void
corrupt_reply(void)
{
    struct flood f;
    struct sp_wg_out out;
    uint8_t bad[SP_WG_COOKIE_REPLY_LEN];

    flood_init(&f, "192.0.2.7:4000");
    initiation(&f, &out);
    g_assert_cmpint(check(&f, &out, &f.src), ==, SP_WG_COOKIE_REPLY);
    for (size_t i = 0; i < 8 * sizeof bad; i++) {
        memcpy(bad, f.reply, sizeof bad);
        bad[i / 8] ^= (uint8_t)(1 << (i % 8));
        g_assert_cmpint(pair_give(&f.p, &f.p.a, sp_span(bad, sizeof bad)), <, 0);
    }
    g_assert_cmpint(pair_give(&f.p, &f.p.a, sp_span(f.reply, f.reply_len)), ==, 0);
    flood_done(&f);
}

static void
other_kinds(void)
{
    struct flood f;
    struct sp_wg_out out = { .len = SP_WG_KEEPALIVE_LEN, .bytes = { SP_WG_DATA } };

    flood_init(&f, "192.0.2.7:4000");
    g_assert_cmpint(check(&f, &out, &f.src), ==, 0);
    out.bytes[0] = 9;
    g_assert_cmpint(check(&f, &out, &f.src), ==, SP_E_MALFORMED);
    out.len = 0;
    g_assert_cmpint(check(&f, &out, &f.src), ==, SP_E_MALFORMED);
    flood_done(&f);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/wg/limiter/cookie-flow", cookie_flow);
    g_test_add_func("/wg/limiter/without-source", without_source);
    g_test_add_func("/wg/limiter/window", window);
    g_test_add_func("/wg/limiter/cookie-ages", cookie_ages);
    g_test_add_func("/wg/limiter/secret-rotates", secret_rotates);
    g_test_add_func("/wg/limiter/corrupt-reply", corrupt_reply);
    g_test_add_func("/wg/limiter/other-kinds", other_kinds);
    return g_test_run();
}
