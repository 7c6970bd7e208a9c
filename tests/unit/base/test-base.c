/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>
#include <string.h>

#include "engine/base/addr.h"
#include "engine/base/drop.h"
#include "engine/base/err.h"
#include "engine/base/map.h"
#include "engine/base/pkt.h"
#include "engine/base/rd.h"
#include "engine/base/ring.h"
#include "engine/base/time.h"
#include "engine/base/uuid.h"
#include "engine/base/wr.h"
#include "tests/support/rng.h"

static void
every_error_has_text(void)
{
    for (int code = 0; code >= SP_E_LAST; code--) {
        g_assert_nonnull(sp_strerror(code));
        g_assert_cmpstr(sp_strerror(code), !=, "unknown error");
    }
    g_assert_cmpstr(sp_strerror(SP_E_LAST - 1), ==, "unknown error");
    for (int i = 0; i < _SP_DROP_MAX; i++)
        g_assert_nonnull(sp_drop_name((enum sp_drop)i));
}

static void
cursor_is_sticky(void)
{
    static const uint8_t bytes[] = { 1, 2, 3, 4, 5 };
    struct sp_rd r = sp_rd(bytes, sizeof bytes);

    g_assert_cmpuint(sp_rd_be16(&r), ==, 0x0102);
    g_assert_cmpuint(sp_rd_be32(&r), ==, 0);
    g_assert_false(sp_rd_ok(&r));
    g_assert_cmpuint(sp_rd_u8(&r), ==, 0);
    g_assert_cmpuint(sp_rd_left(&r), ==, 0);
}

static void
writer_refuses_overflow(void)
{
    uint8_t buf[3] = { 9, 9, 9 };
    struct sp_wr w = sp_wr(buf, sizeof buf);

    sp_wr_be16(&w, 0x1234);
    sp_wr_be32(&w, 1);
    g_assert_false(sp_wr_ok(&w));
    g_assert_cmpuint(buf[2], ==, 9);
    g_assert_cmpuint(sp_wr_len(&w), ==, 2);
}

static void
time_saturates(void)
{
    struct sp_wall wall = { .unix_ns_at_zero = INT64_C(1000) * (int64_t)SP_NS_PER_SEC };

    g_assert_cmpuint(sp_time_add(SP_TIME_NEVER, 1), ==, SP_TIME_NEVER);
    g_assert_cmpuint(sp_time_add(SP_TIME_NEVER - 5, 10), ==, SP_TIME_NEVER);
    g_assert_cmpuint(sp_time_since(5, 3), ==, 0);
    g_assert_false(sp_time_due(SP_TIME_NEVER, SP_TIME_NEVER));
    g_assert_cmpuint(sp_wall_to_time(wall, 1007, 0), ==, SP_SEC(7));
    g_assert_cmpuint(sp_wall_to_time(wall, 900, SP_SEC(3)), ==, SP_SEC(3));
    g_assert_cmpuint(sp_wall_to_time(wall, INT64_MAX, 0), ==, SP_SEC(86400));
}

static void
addresses_round_trip(void)
{
    static const struct {
        const char *in;
        bool ok;
    } cases[] = {
        { "1.2.3.4:80", true },    { "[::1]:80", true },       { "::1:80", false },
        { "[1.2.3.4]:80", false }, { "1.2.3.4:65536", false }, { "1.2.3.4:", false },
        { "1.2.3.4", false },      { "[]:1", false },          { "1.2.3.4:+1", false },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct sp_endpoint ep;
        char text[SP_ENDPOINT_STR_MAX];

        g_test_message("case %zu: %s", i, cases[i].in);
        g_assert_cmpint(sp_endpoint_parse(cases[i].in, &ep) == 0, ==, cases[i].ok);
        if (cases[i].ok)
            g_assert_cmpstr(sp_endpoint_format(&ep, text), ==, cases[i].in);
    }
}

static void
networks(void)
{
    struct sp_cidr net;
    struct sp_ip ip;
    char text[SP_CIDR_STR_MAX];

    g_assert_cmpint(sp_cidr_parse("10.0.0.1/8", &net), ==, SP_E_MALFORMED);
    g_assert_cmpint(sp_cidr_parse("10.0.0.0/33", &net), ==, SP_E_MALFORMED);
    g_assert_cmpint(sp_cidr_parse("100.64.0.0/11", &net), ==, 0);
    g_assert_cmpstr(sp_cidr_format(&net, text), ==, "100.64.0.0/11");
    g_assert_cmpint(sp_ip_parse("100.95.255.255", &ip), ==, 0);
    g_assert_true(sp_cidr_contains(&net, &ip));
    ip = sp_ip_add(&ip, 1);
    g_assert_false(sp_cidr_contains(&net, &ip));
    g_assert_cmpint(sp_cidr_parse("fd00:2021:1111::/107", &net), ==, 0);
    g_assert_cmpint(sp_ip_parse("fd00:2021:1111::1f:ffff", &ip), ==, 0);
    g_assert_true(sp_cidr_contains(&net, &ip));
    g_assert_cmpint(sp_ip_parse("fd00:2021:1111::20:0", &ip), ==, 0);
    g_assert_false(sp_cidr_contains(&net, &ip));
    g_assert_cmpint(sp_cidr_parse("0.0.0.0/0", &net), ==, 0);
    g_assert_cmpint(sp_ip_parse("8.8.8.8", &ip), ==, 0);
    g_assert_true(sp_cidr_contains(&net, &ip));
}

static void
uuid_round_trip(void)
{
    struct sp_uuid id;
    char text[SP_UUID_STR_MAX];

    g_assert_cmpint(sp_uuid_parse("9F30B6A3-6785-42cc-8f12-02ee3f76a3e9", &id), ==, 0);
    g_assert_cmpstr(sp_uuid_format(&id, text), ==, "9f30b6a3-6785-42cc-8f12-02ee3f76a3e9");
    g_assert_cmpint(sp_uuid_parse("9f30b6a3678542cc8f1202ee3f76a3e9", &id), ==, 0);
    g_assert_cmpint(sp_uuid_parse("9f30b6a3-6785-42cc-8f12-02ee3f76a3eg", &id), ==, SP_E_MALFORMED);
    g_assert_cmpint(sp_uuid_parse("", &id), ==, SP_E_MALFORMED);
}

/* The hash map against a naive array, random operations. */
static void
map_against_model(void)
{
    struct test_rng state;
    struct sp_rng rng = test_rng_init(&state, 1);
    void *model[64] = { 0 };
    struct sp_map map;
    size_t count = 0;

    sp_map_init(&map, sizeof(uint32_t), &rng);
    for (int step = 0; step < 20000; step++) {
        uint32_t key = sp_rng_below(&rng, G_N_ELEMENTS(model));
        void *value = &model[sp_rng_below(&rng, G_N_ELEMENTS(model))];

        switch (sp_rng_below(&rng, 3)) {
        case 0:
            count += model[key] == NULL;
            g_assert_true(sp_map_put(&map, &key, value) == model[key]);
            model[key] = value;
            break;
        case 1:
            count -= model[key] != NULL;
            g_assert_true(sp_map_del(&map, &key) == model[key]);
            model[key] = NULL;
            break;
        default:
            g_assert_true(sp_map_get(&map, &key) == model[key]);
            break;
        }
        g_assert_cmpuint(map.len, ==, count);
    }
    {
        size_t pos = 0, seen = 0;
        const void *key;
        void *value;

        while (sp_map_next(&map, &pos, &key, &value)) {
            uint32_t k;

            memcpy(&k, key, sizeof k);
            g_assert_true(model[k] == value);
            seen++;
        }
        g_assert_cmpuint(seen, ==, count);
    }
    sp_map_done(&map);
}

static void
ring_is_bounded(void)
{
    struct sp_ring ring;
    int v;

    sp_ring_init(&ring, sizeof v, 20);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 20; i++)
            g_assert_cmpint(sp_ring_push(&ring, &i), ==, 0);
        v = 99;
        g_assert_cmpint(sp_ring_push(&ring, &v), ==, SP_E_LIMIT);
        for (int i = 0; i < 20; i++) {
            g_assert_true(sp_ring_pop(&ring, &v));
            g_assert_cmpint(v, ==, i);
            if (i == 7) { /* wrap in the middle */
                int extra = 1000 + round;

                g_assert_cmpint(sp_ring_push(&ring, &extra), ==, 0);
            }
        }
        g_assert_true(sp_ring_pop(&ring, &v));
        g_assert_cmpint(v, ==, 1000 + round);
        g_assert_false(sp_ring_pop(&ring, &v));
    }
    sp_ring_done(&ring);
}

static void
packet_pool_is_bounded(void)
{
    struct sp_pkt_pool pool;
    struct sp_pkt *a, *b;
    struct sp_pkt_queue q = { .max = 1 };

    sp_pkt_pool_init(&pool, 2);
    a = sp_pkt_from_bytes(&pool, "abc", 3);
    b = sp_pkt_clone(a);
    g_assert_nonnull(b);
    g_assert_null(sp_pkt_alloc(&pool));
    g_assert_cmpuint(pool.exhausted, ==, 1);
    memcpy(sp_pkt_push(a, 2), "xy", 2);
    g_assert_cmpmem(sp_pkt_data(a), a->len, "xyabc", 5);
    g_assert_cmpint(sp_pkt_queue_push(&q, a), ==, 0);
    g_assert_cmpuint(sp_pkt_queue_push_ring(&q, b), ==, 1);
    g_assert_cmpuint(pool.in_use, ==, 1);
    sp_pkt_queue_clear(&q);
    sp_pkt_pool_done(&pool);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/base/err/every-code-has-text", every_error_has_text);
    g_test_add_func("/base/rd/sticky", cursor_is_sticky);
    g_test_add_func("/base/wr/overflow", writer_refuses_overflow);
    g_test_add_func("/base/time/saturates", time_saturates);
    g_test_add_func("/base/addr/endpoint", addresses_round_trip);
    g_test_add_func("/base/addr/cidr", networks);
    g_test_add_func("/base/uuid/round-trip", uuid_round_trip);
    g_test_add_func("/base/map/model", map_against_model);
    g_test_add_func("/base/ring/bounded", ring_is_bounded);
    g_test_add_func("/base/pkt/pool", packet_pool_is_bounded);
    return g_test_run();
}
