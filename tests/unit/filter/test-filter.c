/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>
#include <string.h>

#include "engine/filter/filter.h"
#include "tests/support/rng.h"

#define OTHER(k, nr) ((struct sp_ip_proto){ .kind = SP_IP_PROTO_OTHER_##k, .number = (nr) })

static void
forms(void)
{
    static const struct sp_filter_rule tcp[] = { { SP_FILTER_TCP, 443, 443 } };
    static const struct sp_filter_rule icmp[] = { { SP_FILTER_ICMP, 0, 0 } };
    static const struct sp_filter_rule bad[] = { { SP_FILTER_UDP, 9, 8 } };
    struct sp_filter *all = sp_filter_new(NULL, 0);
    struct sp_filter *none = sp_filter_new_deny_all();
    struct sp_filter *web = sp_filter_new(tcp, 1);
    struct sp_filter *ping = sp_filter_new(icmp, 1);
    struct sp_filter *empty = sp_filter_new(bad, 1);
    const struct {
        const struct sp_filter *filter;
        struct sp_ip_proto proto;
        enum sp_filter_verdict expect;
    } cases[] = {
        { all, sp_ip_proto_tcp(1), SP_FILTER_PERMITTED },
        { all, OTHER(L4, 47), SP_FILTER_PERMITTED },
        { all, OTHER(ICMPV4, 3), SP_FILTER_PERMITTED },
        { none, sp_ip_proto_tcp(1), SP_FILTER_DENIED_TCP },
        { none, sp_ip_proto_udp(1), SP_FILTER_DENIED_UDP },
        { none, sp_ip_proto_echo(1), SP_FILTER_DENIED_ICMP },
        { none, OTHER(L4, 47), SP_FILTER_NOT_EVALUABLE },
        { web, sp_ip_proto_tcp(443), SP_FILTER_PERMITTED },
        { web, sp_ip_proto_tcp(442), SP_FILTER_DENIED_TCP },
        { web, sp_ip_proto_tcp(444), SP_FILTER_DENIED_TCP },
        { web, sp_ip_proto_udp(443), SP_FILTER_DENIED_UDP },
        { web, sp_ip_proto_echo(443), SP_FILTER_DENIED_ICMP },
        { web, OTHER(ICMPV6, 1), SP_FILTER_DENIED_ICMP },
        { web, OTHER(L4, 132), SP_FILTER_NOT_EVALUABLE },
        { ping, sp_ip_proto_echo(7), SP_FILTER_PERMITTED },
        { ping, OTHER(ICMPV4, 13), SP_FILTER_PERMITTED },
        { ping, OTHER(ICMPV6, 135), SP_FILTER_PERMITTED },
        { ping, OTHER(L4, 47), SP_FILTER_NOT_EVALUABLE },
        { ping, sp_ip_proto_tcp(0), SP_FILTER_DENIED_TCP },
        { empty, sp_ip_proto_udp(8), SP_FILTER_DENIED_UDP },
        { empty, sp_ip_proto_udp(9), SP_FILTER_DENIED_UDP },
    };

    for (size_t i = 0; i < SP_ARRAY_SIZE(cases); i++) {
        g_test_message("case %zu", i);
        g_assert_cmpint(sp_filter_check(cases[i].filter, cases[i].proto), ==, cases[i].expect);
    }
    for (int v = 0; v < _SP_FILTER_VERDICT_MAX; v++)
        for (int w = 0; w < v; w++)
            g_assert_cmpstr(sp_filter_verdict_text((enum sp_filter_verdict)v),
                            !=,
                            sp_filter_verdict_text((enum sp_filter_verdict)w));
    sp_filter_unref(sp_filter_ref(all));
    sp_filter_unref(all);
    sp_filter_unref(none);
    sp_filter_unref(web);
    sp_filter_unref(ping);
    sp_filter_unref(empty);
    sp_filter_unref(NULL);
}

static void
equality_is_by_set(void)
{
    static const struct sp_filter_rule a[] = { { SP_FILTER_TCP, 1, 5 }, { SP_FILTER_TCP, 6, 9 } };
    static const struct sp_filter_rule b[] = { { SP_FILTER_TCP, 4, 9 }, { SP_FILTER_TCP, 1, 4 } };
    static const struct sp_filter_rule c[] = { { SP_FILTER_TCP, 1, 5 }, { SP_FILTER_TCP, 7, 9 } };
    struct sp_filter *fa = sp_filter_new(a, 2), *fb = sp_filter_new(b, 2),
                     *fc = sp_filter_new(c, 2);

    g_assert_true(sp_filter_equal(fa, fb));
    g_assert_false(sp_filter_equal(fa, fc));
    sp_filter_unref(fa);
    sp_filter_unref(fb);
    sp_filter_unref(fc);
}

static bool
naive(const struct sp_filter_rule *rules, size_t n, struct sp_ip_proto proto)
{
    for (size_t i = 0; i < n; i++) {
        if (rules[i].proto == SP_FILTER_ICMP && proto.kind == SP_IP_PROTO_ECHO)
            return true;
        if ((rules[i].proto == SP_FILTER_TCP && proto.kind == SP_IP_PROTO_TCP)
            || (rules[i].proto == SP_FILTER_UDP && proto.kind == SP_IP_PROTO_UDP))
            if (proto.id >= rules[i].port_start && proto.id <= rules[i].port_end)
                return true;
    }
    return n == 0;
}

static void
agrees_with_naive(void)
{
    struct test_rng state;
    struct sp_rng rng = test_rng_init(&state, 2);

    for (int round = 0; round < 300; round++) {
        struct sp_filter_rule rules[12];
        size_t n = sp_rng_below(&rng, SP_ARRAY_SIZE(rules) + 1);
        uint32_t span = round % 2 ? 40 : 65536;
        struct sp_filter *filter;

        for (size_t i = 0; i < n; i++) {
            rules[i].proto = (enum sp_filter_proto)sp_rng_below(&rng, 3);
            rules[i].port_start = (uint16_t)(65535 - sp_rng_below(&rng, span));
            rules[i].port_end = (uint16_t)(65535 - sp_rng_below(&rng, span));
        }
        filter = sp_filter_new(rules, n);
        for (int probe = 0; probe < 200; probe++) {
            struct sp_ip_proto proto = { .kind = (uint8_t)sp_rng_below(&rng, 3),
                                         .id = (uint16_t)(65535 - sp_rng_below(&rng, span)) };

            if (n && probe < 24) /* the edges of every rule */
                proto.id = probe % 2 ? rules[(size_t)probe / 2 % n].port_start
                                     : (uint16_t)(rules[(size_t)probe / 2 % n].port_end + 1);
            g_assert_cmpint(sp_filter_check(filter, proto) == SP_FILTER_PERMITTED,
                            ==,
                            naive(rules, n, proto));
        }
        sp_filter_unref(filter);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/filter/forms", forms);
    g_test_add_func("/filter/equality", equality_is_by_set);
    g_test_add_func("/filter/naive", agrees_with_naive);
    return g_test_run();
}
