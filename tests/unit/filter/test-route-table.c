/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>
#include <string.h>

#include "engine/base/err.h"
#include "engine/filter/route-table.h"
#include "tests/support/rng.h"

static const struct sp_filter_rule tcp443[] = { { SP_FILTER_TCP, 443, 443 } };
static const struct sp_filter_rule tcp80[] = { { SP_FILTER_TCP, 80, 80 } };
static const struct sp_filter_rule icmp[] = { { SP_FILTER_ICMP, 0, 0 } };

/* Stand-in for the pattern order: the longer text is the more specific. */
static int
longer_first(const char *a, const char *b)
{
    return (int)strlen(b) - (int)strlen(a);
}

static struct sp_uuid
id(uint8_t n)
{
    return (struct sp_uuid){ .b = { n } };
}

static struct sp_cidr
net(const char *text)
{
    struct sp_cidr cidr;

    g_assert_cmpint(sp_cidr_parse(text, &cidr), ==, 0);
    return cidr;
}

static int
add(struct sp_route_table *t, const char *cidr, uint8_t n, struct sp_filter *f, const char *pattern)
{
    struct sp_cidr c = net(cidr);
    struct sp_uuid resource = id(n);

    return sp_route_table_insert(t, &c, &resource, f, pattern, NULL);
}

static int
winner(struct sp_route_table *t, const char *text, struct sp_ip_proto proto)
{
    struct sp_ip ip;
    const struct sp_route *r;

    g_assert_cmpint(sp_ip_parse(text, &ip), ==, 0);
    r = sp_route_table_lookup(t, &ip, proto);
    g_assert_true(sp_route_table_lookup(t, &ip, proto) == r); /* memoised */
    return r ? r->resource.b[0] : -1;
}

static void
ranking(void)
{
    struct test_rng state;
    struct sp_rng rng = test_rng_init(&state, 3);
    struct sp_filter *all = sp_filter_new(NULL, 0), *web = sp_filter_new(tcp443, 1);
    struct sp_filter *http = sp_filter_new(tcp80, 1), *ping = sp_filter_new(icmp, 1);
    struct sp_route_table t;
    struct sp_uuid two = id(2), four = id(4), one = id(1);
    struct sp_cidr c;

    sp_route_table_init(&t, longer_first, &rng);
    g_assert_cmpint(winner(&t, "10.1.2.3", sp_ip_proto_tcp(80)), ==, -1);
    g_assert_cmpint(add(&t, "10.0.0.0/8", 1, all, NULL), ==, SP_ROUTE_NEW);
    g_assert_cmpint(add(&t, "10.0.0.0/8", 1, all, NULL), ==, 0);
    g_assert_cmpint(winner(&t, "10.1.2.3", sp_ip_proto_tcp(80)), ==, 1);
    g_assert_cmpint(winner(&t, "11.1.2.3", sp_ip_proto_tcp(80)), ==, -1);
    /* longer prefix */
    g_assert_cmpint(add(&t, "10.1.0.0/16", 2, web, NULL), ==, SP_ROUTE_NEW);
    g_assert_cmpint(winner(&t, "10.1.2.3", sp_ip_proto_tcp(443)), ==, 2);
    /* permits first */
    g_assert_cmpint(winner(&t, "10.1.2.3", sp_ip_proto_tcp(80)), ==, 1);
    /* larger id */
    g_assert_cmpint(add(&t, "10.1.0.0/16", 3, web, NULL), ==, SP_ROUTE_NEW);
    g_assert_cmpint(winner(&t, "10.1.2.3", sp_ip_proto_tcp(443)), ==, 3);
    /* the winner is returned although it denies; negatives are forgotten on change */
    g_assert_cmpint(winner(&t, "12.0.0.1", sp_ip_proto_tcp(1)), ==, -1);
    g_assert_cmpint(add(&t, "12.0.0.0/24", 4, http, NULL), ==, SP_ROUTE_NEW);
    g_assert_cmpint(winner(&t, "12.0.0.1", sp_ip_proto_tcp(1)), ==, 4);
    /* unknown protocol and unknown ICMP type are not the same lookup */
    g_assert_cmpint(add(&t, "12.0.0.1/32", 2, http, NULL), ==, SP_ROUTE_NEW);
    g_assert_cmpint(add(&t, "12.0.0.0/24", 5, ping, NULL), ==, SP_ROUTE_NEW);
    g_assert_cmpint(
        winner(&t, "12.0.0.1", (struct sp_ip_proto){ .kind = SP_IP_PROTO_OTHER_ICMPV4 }),
        ==,
        5);
    g_assert_cmpint(winner(&t, "12.0.0.1", (struct sp_ip_proto){ .kind = SP_IP_PROTO_OTHER_L4 }),
                    ==,
                    2);
    /* specificity beats id, not permission */
    g_assert_cmpint(add(&t, "100.96.0.1/32", 1, all, "*.example.com"), ==, SP_ROUTE_NEW);
    g_assert_cmpint(add(&t, "100.96.0.1/32", 9, all, "*.com"), ==, SP_ROUTE_NEW);
    g_assert_cmpint(add(&t, "100.96.0.1/32", 2, web, "app.example.com"), ==, SP_ROUTE_NEW);
    g_assert_cmpint(winner(&t, "100.96.0.1", sp_ip_proto_tcp(443)), ==, 2);
    g_assert_cmpint(winner(&t, "100.96.0.1", sp_ip_proto_tcp(80)), ==, 1);
    /* families do not meet */
    g_assert_cmpint(add(&t, "::/0", 7, all, NULL), ==, SP_ROUTE_NEW);
    g_assert_cmpint(winner(&t, "fd00::1", sp_ip_proto_tcp(443)), ==, 7);
    g_assert_cmpint(winner(&t, "99.0.0.1", sp_ip_proto_tcp(443)), ==, -1);

    g_assert_cmpuint(sp_route_table_remove_resource(&t, &two), ==, 3);
    g_assert_cmpint(winner(&t, "100.96.0.1", sp_ip_proto_tcp(443)), ==, 1);
    c = net("12.0.0.0/24");
    g_assert_cmpuint(sp_route_table_remove(&t, &c, &four), ==, 1);
    g_assert_cmpuint(sp_route_table_remove(&t, &c, &four), ==, 0);
    g_assert_cmpuint(sp_route_table_remove(&t, &c, &one), ==, 0);
    g_assert_cmpint(winner(&t, "12.0.0.1", sp_ip_proto_tcp(1)), ==, 5);
    g_assert_cmpuint(sp_route_table_remove_net(&t, &c), ==, 1);
    g_assert_cmpint(winner(&t, "12.0.0.1", sp_ip_proto_tcp(1)), ==, -1);
    sp_route_table_clear(&t);
    g_assert_cmpuint(t.len, ==, 0);
    g_assert_cmpint(winner(&t, "10.1.2.3", sp_ip_proto_tcp(443)), ==, -1);
    sp_route_table_done(&t);
    sp_filter_unref(all);
    sp_filter_unref(web);
    sp_filter_unref(http);
    sp_filter_unref(ping);
}

struct naive_entry {
    struct sp_cidr net;
    uint8_t resource;
    int filter;
    int pattern;
};

static const char *const patterns[] = { NULL, "*", "*.a", "*.ab" };

static const struct naive_entry *
naive_lookup(const struct naive_entry *e,
             size_t n,
             struct sp_filter **filters,
             const struct sp_ip *ip,
             struct sp_ip_proto proto)
{
    const struct naive_entry *best = NULL;
    int best_rank[4] = { 0 };

    for (size_t i = 0; i < n; i++) {
        int rank[4] = { sp_filter_check(filters[e[i].filter], proto) == SP_FILTER_PERMITTED,
                        e[i].pattern,
                        e[i].net.len,
                        e[i].resource };
        int k = 0;

        if (!sp_cidr_contains(&e[i].net, ip))
            continue;
        while (best && k < 4 && rank[k] == best_rank[k])
            k++;
        if (best == NULL || (k < 4 && rank[k] > best_rank[k])) {
            best = &e[i];
            memcpy(best_rank, rank, sizeof rank);
        }
    }
    return best;
}

static struct sp_ip
small_ip(const struct sp_rng *rng)
{
    struct sp_ip ip = { .family = sp_rng_below(rng, 2) ? 4 : 6, .b = { 10 } };

    ip.b[1] = (uint8_t)(sp_rng_below(rng, 4) << 6);
    ip.b[3] = (uint8_t)sp_rng_below(rng, 4);
    return ip;
}

/* Entries with patterns and entries without are never mixed in one table, as in the engine. */
static void
agrees_with_naive(void)
{
    struct test_rng state;
    struct sp_rng rng = test_rng_init(&state, 4);
    struct sp_filter *filters[] = { sp_filter_new(NULL, 0),
                                    sp_filter_new(tcp443, 1),
                                    sp_filter_new(tcp80, 1),
                                    sp_filter_new_deny_all() };
    static const uint8_t lens[] = { 0, 8, 9, 10, 31, 32 };

    for (int round = 0; round < 20; round++) {
        struct naive_entry e[40];
        struct sp_route_table t;
        size_t n = 0;

        sp_route_table_init(&t, longer_first, &rng);
        for (int step = 0; step < 400; step++) {
            struct sp_ip ip = small_ip(&rng);
            uint32_t op = sp_rng_below(&rng, 10);

            if (op < 2 && n < SP_ARRAY_SIZE(e)) {
                struct naive_entry x = { .resource = (uint8_t)sp_rng_below(&rng, 5),
                                         .filter = (int)sp_rng_below(&rng, 4),
                                         .pattern =
                                             round % 2 ? 1 + (int)sp_rng_below(&rng, 3) : 0 };
                struct sp_uuid rid = id(x.resource);
                bool known = false;

                x.net.len = lens[sp_rng_below(&rng, SP_ARRAY_SIZE(lens))];
                x.net.ip = sp_ip_mask(&ip, x.net.len);
                for (size_t i = 0; i < n; i++)
                    known |= sp_cidr_equal(&e[i].net, &x.net) && e[i].resource == x.resource
                             && e[i].filter == x.filter && e[i].pattern == x.pattern;
                g_assert_cmpint(sp_route_table_insert(&t,
                                                      &x.net,
                                                      &rid,
                                                      filters[x.filter],
                                                      patterns[x.pattern],
                                                      NULL),
                                ==,
                                known ? 0 : SP_ROUTE_NEW);
                if (!known)
                    e[n++] = x;
            } else if (op == 2) {
                uint8_t gone = (uint8_t)sp_rng_below(&rng, 5);
                struct sp_uuid rid = id(gone);
                size_t kept = 0;

                for (size_t i = 0; i < n; i++)
                    if (e[i].resource != gone)
                        e[kept++] = e[i];
                g_assert_cmpuint(sp_route_table_remove_resource(&t, &rid), ==, n - kept);
                n = kept;
            } else {
                struct sp_ip_proto proto = sp_ip_proto_tcp(sp_rng_below(&rng, 2) ? 443 : 80);
                const struct naive_entry *want = naive_lookup(e, n, filters, &ip, proto);
                const struct sp_route *got = sp_route_table_lookup(&t, &ip, proto);

                g_assert_cmpint(got != NULL, ==, want != NULL);
                if (got) {
                    g_assert_cmpint(got->resource.b[0], ==, want->resource);
                    g_assert_cmpint(got->net.len, ==, want->net.len);
                }
            }
            g_assert_cmpuint(t.len, ==, n);
        }
        sp_route_table_done(&t);
    }
    for (size_t i = 0; i < SP_ARRAY_SIZE(filters); i++)
        sp_filter_unref(filters[i]);
}

static void
memo_survives_overflow(void)
{
    struct test_rng state;
    struct sp_rng rng = test_rng_init(&state, 5);
    struct sp_filter *all = sp_filter_new(NULL, 0);
    struct sp_route_table t;
    size_t net_pos = 0, entry_pos = 0, seen = 0;

    sp_route_table_init(&t, NULL, &rng);
    g_assert_cmpint(add(&t, "10.0.0.0/9", 1, all, NULL), ==, SP_ROUTE_NEW);
    g_assert_cmpint(add(&t, "10.0.0.0/9", 2, all, NULL), ==, SP_ROUTE_NEW);
    g_assert_cmpint(add(&t, "10.0.0.0/10", 1, all, NULL), ==, SP_ROUTE_NEW);
    for (uint32_t i = 0; i < 5 * SP_ROUTE_CACHE; i++) {
        struct sp_ip ip = sp_ip4(10, (uint8_t)(i & 1 ? 128 : 0), (uint8_t)(i >> 8), (uint8_t)i);
        const struct sp_route *r = sp_route_table_lookup(&t, &ip, sp_ip_proto_udp(53));

        g_assert_cmpint(r != NULL, ==, (i & 1) == 0);
    }
    while (sp_route_table_next(&t, &net_pos, &entry_pos))
        seen++;
    g_assert_cmpuint(seen, ==, 3);
    sp_route_table_done(&t);
    sp_filter_unref(all);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/filter/route-table/ranking", ranking);
    g_test_add_func("/filter/route-table/naive", agrees_with_naive);
    g_test_add_func("/filter/route-table/memo", memo_survives_overflow);
    return g_test_run();
}
