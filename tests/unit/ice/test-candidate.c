/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>
#include <string.h>

#include "engine/ice/candidate.h"
#include "tests/support/rng.h"

static struct sp_endpoint
ep(const char *text)
{
    struct sp_endpoint out;

    g_assert_cmpint(sp_endpoint_parse(text, &out), ==, 0);
    return out;
}

static void
parse_cases(void)
{
    /* The first three are the examples of spec portal-protocol 3.6. */
    static const struct {
        const char *text;
        const char *ufrag;
        bool ok;
    } cases[] = {
        { "candidate:fffeff7e0b1c2d3e4f506172 1 udp 2130706175 192.0.2.10 52625 typ host ufrag eokn",
          "eokn",
          true },
        { "candidate:fffe7f649a8b7c6d5e4f3021 1 udp 1686109951 198.51.100.4 40000 typ srflx raddr "
          "0.0.0.0 rport 0 ufrag eokn",
          "eokn",
          true },
        { "candidate:fffe3f020102030405060708 1 udp 37748479 203.0.113.7 50123 typ relay raddr "
          "0.0.0.0 rport 0 ufrag eokn",
          "eokn",
          true },
        { "candidate:1 1 udp 1 2001:db8::1 5 typ relay raddr :: rport 0", "eokn", true },
        { "candidate:1 1 udp 1 192.0.2.1 5 typ host ufrag abcd", "eokn", false },
        { "candidate:1 1 udp 1 192.0.2.1 5 typ host ufrag abcd", NULL, true },
        { "candidate:1 1 udp 1 192.0.2.1 5 typ host", "eokn", true },
        { "candidate:1\t1  UDP\n1 192.0.2.1 5 typ prflx", NULL, true },
        { "candidate:1 1 udp 1 192.0.2.1 5 typ host tcptype x generation 0 ufrag eokn",
          "eokn",
          true },
        { "candidate:1 1 udp 1 192.0.2.1 5 typ host generation", NULL, false },
        { "a=candidate:1 1 udp 1 192.0.2.1 5 typ host", NULL, false },
        { "1 1 udp 1 192.0.2.1 5 typ host", NULL, false },
        { "candidate:1 2 udp 1 192.0.2.1 5 typ host", NULL, false },
        { "candidate:1 1 tcp 1 192.0.2.1 5 typ host", NULL, false },
        { "candidate:1 1 udp 4294967296 192.0.2.1 5 typ host", NULL, false },
        { "candidate:1 1 udp -1 192.0.2.1 5 typ host", NULL, false },
        { "candidate:1 1 udp 1 [::1] 5 typ host", NULL, false },
        { "candidate:1 1 udp 1 host.local 5 typ host", NULL, false },
        { "candidate:1 1 udp 1 192.0.2.1 65536 typ host", NULL, false },
        { "candidate:1 1 udp 1 192.0.2.1 0 typ host", NULL, false },
        { "candidate:1 1 udp 1 0.0.0.0 5 typ host", NULL, false },
        { "candidate:1 1 udp 1 224.0.0.1 5 typ host", NULL, false },
        { "candidate:1 1 udp 1 192.0.2.1 5 type host", NULL, false },
        { "candidate:1 1 udp 1 192.0.2.1 5 typ tunnel", NULL, false },
        { "candidate:1 1 udp 1 192.0.2.1 5 typ srflx raddr 1.2.3.4", NULL, false },
        { "candidate:1 1 udp 1 192.0.2.1 5 typ srflx raddr x rport 1", NULL, false },
        { "candidate: 1 udp 1 192.0.2.1 5 typ host", NULL, false },
        { "candidate:123456789012345678901234567890123 1 udp 1 192.0.2.1 5 typ host", NULL, false },
        { "candidate:1 1 udp 1 192.0.2.1 5 typ host ufrag 123456789012345678901234567890123",
          NULL,
          false },
        { "", NULL, false },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct sp_ice_candidate c;

        g_test_message("case %zu: %s", i, cases[i].text);
        g_assert_cmpint(sp_ice_candidate_parse(cases[i].text, cases[i].ufrag, &c) == 0,
                        ==,
                        cases[i].ok);
        if (i < 4) {
            char text[SP_ICE_CANDIDATE_STR_MAX];

            g_assert_cmpstr(sp_ice_candidate_format(&c, text), ==, cases[i].text);
        }
    }
}

/* spec connectivity 3.2 */
static void
priorities(void)
{
    static const struct {
        enum sp_ice_kind kind;
        uint8_t family;
        uint32_t nth;
        bool mismatch;
        uint32_t want;
    } cases[] = {
        { SP_ICE_HOST, 4, 0, false, 2130706175 },
        { SP_ICE_HOST, 6, 0, false, 2130706431 },
        { SP_ICE_SRFLX, 4, 0, false, 1686109951 },
        { SP_ICE_RELAY, 4, 0, false, 37748479 },
        { SP_ICE_RELAY, 6, 0, true, 37492735 },
        { SP_ICE_HOST, 6, 1, false, 2130706431 - 512 },
        { SP_ICE_HOST, 4, 2, false, 2130706175 - 1024 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint16_t pref =
            sp_ice_local_pref(cases[i].kind, cases[i].family, cases[i].nth, cases[i].mismatch);

        g_test_message("case %zu", i);
        g_assert_cmpuint(sp_ice_candidate_priority(cases[i].kind, pref), ==, cases[i].want);
    }
    g_assert_cmpuint(sp_ice_local_pref(SP_ICE_RELAY, 4, UINT32_MAX, true), ==, 0);
}

static void
local_addresses(void)
{
    static const struct {
        const char *addr;
        bool ok;
    } cases[] = {
        { "192.0.2.1:1", true },        { "127.0.0.1:1", true },  { "[::1]:1", true },
        { "[2001:db8::1]:1", true },    { "[fe80::1]:1", true },  { "169.254.1.1:1", false },
        { "255.255.255.255:1", false }, { "224.0.0.1:1", false }, { "0.0.0.0:1", false },
        { "[ff02::1]:1", false },       { "[::]:1", false },      { "192.0.2.1:0", false },
    };
    struct sp_endpoint v4 = ep("192.0.2.1:1"), v6 = ep("[2001:db8::1]:1");
    struct sp_ice_candidate c;

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct sp_endpoint addr = ep(cases[i].addr);

        g_test_message("case %zu: %s", i, cases[i].addr);
        g_assert_cmpint(sp_ice_candidate_host(&addr, &c), ==, cases[i].ok ? 0 : SP_E_INVAL);
    }
    g_assert_cmpint(sp_ice_candidate_srflx(&v4, &v6, &c), ==, SP_E_INVAL);
    g_assert_cmpint(sp_ice_candidate_relay(&v6, &v4, &c), ==, 0);
    g_assert_true(c.relay_family_mismatch);
    g_assert_cmpuint(c.priority, ==, 37492735);
}

static void
removal_rule(void)
{
    struct sp_ice_candidate c, req;

    g_assert_cmpint(sp_ice_candidate_parse("candidate:1 1 udp 37748479 203.0.113.7 50123 typ relay "
                                           "raddr 0.0.0.0 rport 0 ufrag eokn",
                                           NULL,
                                           &c),
                    ==,
                    0);
    g_assert_cmpint(sp_ice_candidate_parse("candidate:9 1 udp 50331135 203.0.113.7 50123 typ relay",
                                           NULL,
                                           &req),
                    ==,
                    0);
    g_assert_true(sp_ice_candidate_matches(&c, &req));
    req.raddr = ep("10.0.0.1:7");
    g_assert_true(sp_ice_candidate_matches(&c, &req));
    c.raddr = ep("10.0.0.2:7");
    g_assert_false(sp_ice_candidate_matches(&c, &req));
    c.raddr = req.raddr;
    g_assert_true(sp_ice_candidate_matches(&c, &req));
    req.kind = SP_ICE_SRFLX;
    g_assert_false(sp_ice_candidate_matches(&c, &req));
}

static void
sorted_lists(void)
{
    struct sp_ice_candidate a, b;

    g_assert_cmpint(sp_ice_candidate_parse("candidate:1 1 udp 9 192.0.2.1 5 typ host", NULL, &a),
                    ==,
                    0);
    g_assert_cmpint(sp_ice_candidate_parse("candidate:1 1 udp 10 192.0.2.1 5 typ host", NULL, &b),
                    ==,
                    0);
    g_assert_cmpint(sp_ice_candidate_compare(&a, &b), >, 0);
    b.priority = 9;
    g_assert_cmpint(sp_ice_candidate_compare(&a, &b), ==, 0);
    b.addr.port = 6;
    g_assert_cmpint(sp_ice_candidate_compare(&a, &b), <, 0);
}

static struct sp_ice_candidate
remote(enum sp_ice_kind kind, const char *addr)
{
    struct sp_ice_candidate c = { .kind = kind, .addr = ep(addr), .priority = 100000 };

    return c;
}

/* Invariant 29: no mixed families, none for IPv6, at most two new per call. */
static void
optimistic(void)
{
    struct sp_ice_candidate list[8] = {
        remote(SP_ICE_SRFLX, "198.51.100.4:40000"),
        remote(SP_ICE_HOST, "10.0.0.5:52625"),
        remote(SP_ICE_HOST, "[2001:db8::5]:52626"),
        remote(SP_ICE_SRFLX, "[2001:db8::6]:40001"),
    };
    struct sp_ice_candidate out[SP_ICE_OPTIMISTIC_MAX];
    struct sp_endpoint want = ep("198.51.100.4:52625"), base = ep("10.0.0.5:52625");

    g_assert_cmpuint(sp_ice_optimistic(list, 4, out), ==, 1);
    g_assert_true(sp_endpoint_equal(&out[0].addr, &want));
    g_assert_true(sp_endpoint_equal(&out[0].base, &base));
    g_assert_cmpint(out[0].kind, ==, SP_ICE_SRFLX);
    g_assert_cmpuint(out[0].priority, <, list[0].priority);
    list[4] = out[0];
    g_assert_cmpuint(sp_ice_optimistic(list, 5, out), ==, 0);
    list[4] = remote(SP_ICE_HOST, "10.0.0.6:7");
    list[5] = remote(SP_ICE_HOST, "10.0.0.6:8");
    g_assert_cmpuint(sp_ice_optimistic(list, 6, out), ==, 2);
    g_assert_false(sp_endpoint_equal(&out[0].addr, &out[1].addr));
    g_assert_cmpuint(sp_ice_optimistic(list, 0, out), ==, 0);
}

/* Any text parses or is refused; what parses survives a round trip. */
static void
random_text(void)
{
    static const char *const words[] = { "candidate:1",
                                         "1",
                                         "udp",
                                         "77",
                                         "192.0.2.1",
                                         "5",
                                         "typ",
                                         "host",
                                         "srflx",
                                         "raddr",
                                         "rport",
                                         "ufrag",
                                         "",
                                         "::1",
                                         "\x80\xff",
                                         "candidate:+/",
                                         "relay",
                                         " ",
                                         "0",
                                         "4294967295" };
    struct test_rng state;
    struct sp_rng rng = test_rng_init(&state, 3);
    unsigned parsed = 0;

    for (int round = 0; round < 20000; round++) {
        GString *text = g_string_new("candidate:1 1 udp 77 192.0.2.1 5 typ host");
        struct sp_ice_candidate c, again;

        if (sp_rng_below(&rng, 2))
            g_string_truncate(text, sp_rng_below(&rng, 42));
        for (uint32_t n = sp_rng_below(&rng, 8); n > 0; n--)
            g_string_append_printf(text, " %s", words[sp_rng_below(&rng, G_N_ELEMENTS(words))]);
        if (sp_ice_candidate_parse(text->str, NULL, &c) == 0) {
            char out[SP_ICE_CANDIDATE_STR_MAX];

            parsed++;
            sp_ice_candidate_format(&c, out);
            g_assert_cmpint(sp_ice_candidate_parse(out, NULL, &again), ==, 0);
            g_assert_cmpint(again.kind, ==, c.kind);
            g_assert_true(sp_endpoint_equal(&again.addr, &c.addr));
            g_assert_cmpuint(again.priority, ==, c.priority);
            g_assert_cmpstr(again.ufrag, ==, c.ufrag);
        }
        g_string_free(text, TRUE);
    }
    g_assert_cmpuint(parsed, >, 100);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ice/candidate/parse", parse_cases);
    g_test_add_func("/ice/candidate/priorities", priorities);
    g_test_add_func("/ice/candidate/local-addresses", local_addresses);
    g_test_add_func("/ice/candidate/removal-rule", removal_rule);
    g_test_add_func("/ice/candidate/sorted", sorted_lists);
    g_test_add_func("/ice/candidate/optimistic", optimistic);
    g_test_add_func("/ice/candidate/random-text", random_text);
    return g_test_run();
}
