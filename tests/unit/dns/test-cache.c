/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>

#include "engine/dns/cache.h"
#include "tests/support/rng.h"

static struct sp_dns_query
make(const char *name, uint16_t type)
{
    struct sp_dns_query q = { .id = 1, .rd = true, .qtype = type, .qclass = SP_DNS_CLASS_IN };

    g_assert_cmpint(sp_dns_name_parse(name, &q.name), ==, 0);
    return q;
}

static size_t
answer(const struct sp_dns_query *q, uint32_t ttl, uint8_t last, uint8_t *buf, size_t cap)
{
    struct sp_dns_reply reply = sp_dns_reply(q, SP_DNS_RCODE_NOERROR, buf, cap);
    struct sp_ip ip = sp_ip4(192, 0, 2, last);

    sp_dns_reply_ip(&reply, &q->name, ttl, &ip);
    g_assert_cmpint(sp_dns_reply_finish(&reply), >, 0);
    return sp_wr_len(&reply.w);
}

static void
what_is_kept(void)
{
    static const struct {
        int row;
        uint16_t type;
        uint32_t ttl;
        size_t at; /* byte to change, 0 none */
        uint8_t value;
        bool kept;
    } rows[] = {
        { 1, SP_DNS_TYPE_A, 5, 0, 0, true },
        { 2, SP_DNS_TYPE_A, 4, 0, 0, false },
        { 3, SP_DNS_TYPE_A, 1, 0, 0, false },
        { 4, SP_DNS_TYPE_AAAA, 60, 0, 0, false },       /* no record of that type */
        { 5, SP_DNS_TYPE_A, 60, 3, 3, false },          /* NXDOMAIN */
        { 6, SP_DNS_TYPE_A, 60, 3, 2, false },          /* SERVFAIL */
        { 7, SP_DNS_TYPE_A, 60, 2, 0x83, false },       /* TC */
        { 8, SP_DNS_TYPE_A, 60, 2, 0x01, false },       /* not an answer */
        { 9, SP_DNS_TYPE_A, 60, 2, 0xa9, false },       /* opcode UPDATE */
        { 10, SP_DNS_TYPE_A, 60, 7, 0, false },         /* empty */
        { 11, SP_DNS_TYPE_A, 60, 5, 0, false },         /* no question */
        { 12, SP_DNS_TYPE_A, 0xffffffff, 0, 0, false }, /* RFC 2181: reads as 0 */
        { 13, SP_DNS_TYPE_A, 0x7fffffff, 0, 0, true },
    };
    struct test_rng state;
    struct sp_rng rng = test_rng_init(&state, 40);

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct sp_dns_query q = make("a.example", rows[i].type);
        struct sp_dns_cache cache;
        uint8_t msg[128], out[128];
        size_t n = answer(&q, rows[i].ttl, 1, msg, sizeof msg);

        sp_dns_cache_init(&cache, &rng);
        if (rows[i].at)
            msg[rows[i].at] = rows[i].value;
        g_test_message("row %d", rows[i].row);
        g_assert_cmpint(sp_dns_cache_put(&cache, sp_span(msg, n), 0), ==, rows[i].kept);
        g_assert_cmpint(sp_dns_cache_get(&cache, &q, 0, out, sizeof out) > 0, ==, rows[i].kept);
        sp_dns_cache_done(&cache);
    }
}

static void
compressed_chain(void)
{
    /* www.a.b CNAME x.www.a.b (compressed), x.www.a.b A (owner compressed), authority NS, OPT */
    static const uint8_t msg[] = {
        0,    9,   0x81, 0x80, 0,    1,   0, 2,   0, 1,  0, 1,                      /* header */
        3,    'w', 'w',  'w',  1,    'a', 1, 'b', 0, 0,  1, 0, 1,                   /* 12 */
        0xc0, 12,  0,    5,    0,    1,   0, 0,   0, 8,  0, 4, 1,    'x', 0xc0, 12, /* 25 */
        0xc0, 37,  0,    1,    0,    1,   0, 0,   0, 30, 0, 4, 192,  0,   2,    1,  /* 41 */
        0xc0, 16,  0,    2,    0,    1,   0, 0,   0, 9,  0, 2, 0xc0, 37,            /* 57 */
        0,    0,   41,   4,    0xd0, 0,   0, 0,   0, 0,  0,
    };
    struct test_rng state;
    struct sp_rng rng = test_rng_init(&state, 41);
    struct sp_dns_query q = make("WWW.a.b", SP_DNS_TYPE_A);
    struct sp_dns_cache cache;
    struct sp_dns_response resp;
    struct sp_dns_walk walk;
    struct sp_dns_name target;
    struct sp_dns_rr rr;
    uint8_t out[256];
    int n;

    q.id = 0x4321;
    sp_dns_cache_init(&cache, &rng);
    g_assert_true(sp_dns_cache_put(&cache, sp_span(msg, sizeof msg), SP_SEC(100)));
    n = sp_dns_cache_get(&cache, &q, SP_SEC(120), out, sizeof out);
    g_assert_cmpint(n, ==, 57);
    g_assert_cmphex(sp_get_be16(out), ==, 0x4321);
    g_assert_cmphex(sp_get_be16(out + 2), ==, 0x8100);
    g_assert_cmpint(sp_dns_response_parse(sp_span(out, n), &resp), ==, 0);
    g_assert_true(sp_dns_response_answers(&resp, &q));
    g_assert_cmpuint(resp.n_answer + resp.n_authority + resp.n_additional, ==, 2);
    walk = sp_dns_walk(sp_span(out, n), &resp);
    g_assert_cmpint(sp_dns_walk_next(&walk, &rr), ==, 1);
    g_assert_cmpuint(rr.ttl, ==, 0); /* 8 s, shorter than the time passed */
    g_assert_cmpint(sp_dns_rr_target(sp_span(out, n), &rr, &target), ==, 0);
    g_assert_cmpint(sp_dns_walk_next(&walk, &rr), ==, 1);
    g_assert_cmpuint(rr.ttl, ==, 10);
    g_assert_true(sp_dns_name_equal(&rr.name, &target));
    g_assert_cmpint(sp_dns_cache_get(&cache, &q, SP_SEC(120), out, 56), ==, SP_E_NOBUF);
    g_assert_cmpint(sp_dns_cache_get(&cache, &q, SP_SEC(130) - 1, out, sizeof out), >, 0);
    g_assert_cmpint(sp_dns_cache_get(&cache, &q, SP_SEC(130), out, sizeof out), ==, 0);
    g_assert_cmpuint(sp_dns_cache_len(&cache), ==, 0);
    sp_dns_cache_done(&cache);
}

static void
oldest_makes_room(void)
{
    struct test_rng state;
    struct sp_rng rng = test_rng_init(&state, 42);
    struct sp_dns_cache cache;
    uint8_t msg[128], out[128];
    char text[32];

    sp_dns_cache_init(&cache, &rng);
    for (unsigned i = 0; i < SP_DNS_CACHE_MAX + 10; i++) {
        struct sp_dns_query q;

        g_snprintf(text, sizeof text, "n%u.example", i);
        q = make(text, SP_DNS_TYPE_A);
        g_assert_true(
            sp_dns_cache_put(&cache, sp_span(msg, answer(&q, 60, 1, msg, sizeof msg)), i));
        g_assert_cmpuint(sp_dns_cache_len(&cache), <=, SP_DNS_CACHE_MAX);
    }
    for (unsigned i = 0; i < SP_DNS_CACHE_MAX + 10; i++) {
        struct sp_dns_query q;

        g_snprintf(text, sizeof text, "n%u.example", i);
        q = make(text, SP_DNS_TYPE_A);
        g_assert_cmpint(sp_dns_cache_get(&cache, &q, 2000, out, sizeof out) > 0, ==, i >= 10);
    }
    sp_dns_cache_done(&cache);
}

static void
too_large_is_not_kept(void)
{
    struct test_rng state;
    struct sp_rng rng = test_rng_init(&state, 43);
    struct sp_dns_query q = make("a.example", SP_DNS_TYPE_A);
    struct sp_ip ip = sp_ip4(192, 0, 2, 1);
    struct sp_dns_cache cache;
    uint8_t msg[8000];
    struct sp_dns_reply reply = sp_dns_reply(&q, SP_DNS_RCODE_NOERROR, msg, sizeof msg);

    sp_dns_cache_init(&cache, &rng);
    while (sp_wr_len(&reply.w) <= SP_DNS_CACHE_MESSAGE_MAX)
        sp_dns_reply_ip(&reply, &q.name, 60, &ip);
    g_assert_cmpint(sp_dns_reply_finish(&reply), >, 0);
    g_assert_false(sp_dns_cache_put(&cache, sp_span(msg, sp_wr_len(&reply.w)), 0));
    sp_dns_cache_done(&cache);
}

struct twin {
    bool used;
    uint8_t last;
    uint32_t ttl;
    sp_time stored;
};

static void
agrees_with_model(void)
{
    static const char *const names[] = { "a.b", "A.B", "c.d", "e.f.g" };
    static const size_t same[] = { 0, 0, 2, 3 };
    struct test_rng state;
    struct sp_rng rng = test_rng_init(&state, 44);
    struct twin twins[G_N_ELEMENTS(names)] = { 0 };
    struct sp_dns_cache cache;
    sp_time now = 0;
    unsigned hits = 0;

    sp_dns_cache_init(&cache, &rng);
    for (int step = 0; step < 50000; step++) {
        uint32_t i = sp_rng_below(&rng, G_N_ELEMENTS(names));
        struct sp_dns_query q = make(names[i], SP_DNS_TYPE_A);
        struct twin *t = &twins[same[i]];
        uint32_t op = sp_rng_below(&rng, 100);
        uint8_t msg[128];

        now += sp_rng_below(&rng, 1500) * SP_MS(1);
        if (op < 10) {
            uint32_t ttl = sp_rng_below(&rng, 20);
            uint8_t last = (uint8_t)sp_rng_u32(&rng);
            size_t n = answer(&q, ttl, last, msg, sizeof msg);

            g_assert_cmpint(sp_dns_cache_put(&cache, sp_span(msg, n), now), ==, ttl >= 5);
            if (ttl >= 5)
                *t = (struct twin){ true, last, ttl, now };
        } else if (op == 99) {
            sp_dns_cache_clear(&cache);
            memset(twins, 0, sizeof twins);
        } else {
            int n = sp_dns_cache_get(&cache, &q, now, msg, sizeof msg);

            t->used = t->used && now < t->stored + SP_SEC(t->ttl);
            g_assert_cmpint(n > 0, ==, t->used);
            if (n > 0) {
                hits++;
                g_assert_cmpuint(msg[n - 1], ==, t->last);
                g_assert_cmpuint(sp_get_be32(msg + n - 10),
                                 ==,
                                 t->ttl - (uint32_t)((now - t->stored) / SP_NS_PER_SEC));
            }
        }
    }
    g_assert_cmpuint(hits, >, 1000);
    sp_dns_cache_done(&cache);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/dns/cache/what-is-kept", what_is_kept);
    g_test_add_func("/dns/cache/compressed-chain", compressed_chain);
    g_test_add_func("/dns/cache/oldest-makes-room", oldest_makes_room);
    g_test_add_func("/dns/cache/too-large", too_large_is_not_kept);
    g_test_add_func("/dns/cache/agrees-with-model", agrees_with_model);
    return g_test_run();
}
