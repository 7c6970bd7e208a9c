/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>
#include <string.h>

#include "engine/base/err.h"
#include "engine/control/control.h"
#include "engine/ip/build.h"
#include "tests/support/hex.h"
#include "tests/support/rng.h"

#define ZERO32 "0000000000000000000000000000000000000000000000000000000000000000"
#define RID    "6f1d2c3b-0000-4000-8000-00000000002a"

static const struct sp_ip unspecified = { .family = 6 };

static struct sp_uuid
resource(void)
{
    struct sp_uuid id;

    g_assert_cmpint(sp_uuid_parse(RID, &id), ==, 0);
    return id;
}

static int
parse(const uint8_t *p, size_t n, struct sp_control_event *e)
{
    struct sp_ip_view v;

    g_assert_cmpint(sp_packet_parse(p, n, &v), ==, 0);
    g_assert_true(sp_control_is(&v));
    return sp_control_parse(p, &v, e);
}

/* spec tunnel 0.4 */
static void
vectors(void)
{
    static const char body[] =
        "{\"resource\":\"" RID "\",\"domain\":\"db.corp.example\",\"status\":\"Active\"}";
    struct sp_uuid id = resource();
    struct sp_control_event e;
    uint8_t want[SP_MTU], got[SP_MTU];
    size_t n = test_unhex("600000000008ff00" ZERO32 "0200000000000000", want, sizeof want), len;

    g_assert_cmpint(sp_control_build_goodbye(got, sizeof got, &len), ==, 0);
    test_assert_mem(got, len, want, n);
    g_assert_cmpint(parse(got, len, &e), ==, 0);
    g_assert_cmpint(e.type, ==, SP_CONTROL_GOODBYE);
    g_assert_cmpint(sp_control_build_goodbye(got, len - 1, &len), ==, SP_E_NOBUF);

    n = test_unhex("600000000068ff00" ZERO32 "0100000000000000", want, sizeof want);
    g_assert_cmpuint(strlen(body), ==, 96);
    memcpy(want + n, body, strlen(body));
    g_assert_cmpint(
        sp_control_build_domain_status(got, sizeof got, &id, "db.corp.example", true, &len),
        ==,
        0);
    test_assert_mem(got, len, want, n + strlen(body));
    g_assert_cmpint(parse(got, len, &e), ==, 0);
    g_assert_cmpint(e.type, ==, SP_CONTROL_DOMAIN_STATUS);
    g_assert_true(e.active && sp_uuid_equal(&e.resource, &id));
    g_assert_cmpstr(e.domain, ==, "db.corp.example");
}

static void
round_trip(void)
{
    struct sp_uuid id = resource();
    struct sp_control_event e;
    struct sp_ip ips[8];
    uint8_t p[SP_MTU];
    char domain[SP_CONTROL_DOMAIN_MAX + 2];
    size_t n;

    for (uint8_t i = 0; i < 8; i++) {
        ips[i] = i < 4 ? sp_ip4(100, 96, 255, i) : (struct sp_ip){ 6, { 0xfd, 0, 0x20, 0x21 } };
        if (i >= 4)
            for (uint8_t k = 4; k < 16; k++)
                ips[i].b[k] = (uint8_t)(0x81 + i + k);
    }
    memset(domain, 'a', sizeof domain);
    domain[SP_CONTROL_DOMAIN_MAX] = '\0';
    g_assert_cmpint(sp_control_build_assigned_ips(p, sizeof p, &id, domain, ips, 8, &n), ==, 0);
    g_assert_cmpuint(n, <, SP_MTU);
    g_assert_cmpint(parse(p, n, &e), ==, 0);
    g_assert_cmpint(e.type, ==, SP_CONTROL_ASSIGNED_IPS);
    g_assert_cmpuint(e.n_proxy_ips, ==, 8);
    for (size_t i = 0; i < 8; i++)
        g_assert_true(sp_ip_equal(&e.proxy_ips[i], &ips[i]));
    g_assert_cmpstr(e.domain, ==, domain);

    for (size_t k = 0; k <= 9; k++)
        g_assert_cmpint(sp_control_build_assigned_ips(p, sizeof p, &id, "a", ips, k, &n),
                        ==,
                        k == 4 || k == 8 ? 0 : SP_E_INVAL);
    domain[SP_CONTROL_DOMAIN_MAX] = 'a';
    domain[SP_CONTROL_DOMAIN_MAX + 1] = '\0';
    g_assert_cmpint(sp_control_build_domain_status(p, sizeof p, &id, domain, true, &n),
                    ==,
                    SP_E_INVAL);
    g_assert_cmpint(sp_control_build_domain_status(p, sizeof p, &id, "", true, &n), ==, SP_E_INVAL);
    g_assert_cmpint(sp_control_build_domain_status(p, sizeof p, &id, "\"\\\x01\xc3\xa9", false, &n),
                    ==,
                    0);
    g_assert_cmpint(parse(p, n, &e), ==, 0);
    g_assert_cmpstr(e.domain, ==, "\"\\\x01\xc3\xa9");
    g_assert_false(e.active);
}

static void
recognition(void)
{
    static const struct {
        const char *hex;
        bool is;
    } cases[] = {
        { "600000000008ff00" ZERO32 "0200000000000000", true },
        { "6000000000080000" ZERO32 "ff00000000000000", false }, /* behind an extension header */
        { "600000000008fe00" ZERO32 "0200000000000000", false },
        { "600000000007ff00" ZERO32 "02000000000000", false },
        { "600000000008ff00"
          "00000000000000000000000000000001"
          "00000000000000000000000000000000"
          "0200000000000000",
          false },
        { "600000000008ff00"
          "00000000000000000000000000000000"
          "00000000000000000000000000000001"
          "0200000000000000",
          false },
        { "4500001c0000000000ff000000000000000000000200000000000000", false },
    };

    for (size_t i = 0; i < SP_ARRAY_SIZE(cases); i++) {
        uint8_t p[SP_MTU];
        struct sp_control_event e;
        struct sp_ip_view v;
        size_t n = test_unhex(cases[i].hex, p, sizeof p);

        g_test_message("case %zu", i);
        g_assert_cmpint(sp_packet_parse(p, n, &v), ==, 0);
        g_assert_cmpint(sp_control_is(&v), ==, cases[i].is);
        g_assert_cmpint(sp_control_parse(p, &v, &e), ==, cases[i].is ? 0 : SP_E_MALFORMED);
    }
}

static int
parse_body(uint8_t type, const char *body, struct sp_control_event *e)
{
    uint8_t payload[SP_MTU] = { type, 1, 2, 3, 4, 5, 6, 7 }, p[SP_MTU];
    size_t n = strlen(body);

    memcpy(payload + 8, body, n);
    g_assert_cmpint(
        sp_build_raw(p, sizeof p, &unspecified, &unspecified, 0, 255, sp_span(payload, 8 + n), &n),
        ==,
        0);
    return parse(p, n, e);
}

#define RES "\"resource\":\"" RID "\""
#define DOM "\"domain\":\"a.b\""
#define BAD SP_E_MALFORMED

static void
payloads(void)
{
    static const struct {
        uint8_t type;
        const char *body;
        int expect;
        int check; /* proxy count or active */
    } cases[] = {
        { 0, "{" RES "," DOM ",\"proxy_ips\":[\"100.96.0.9\",\"fd00::1\"]}", 0, 2 },
        { 0, "{" RES "," DOM ",\"proxy_ips\":[]}", 0, 0 },
        { 0, " { " RES " , " DOM " , \"proxy_ips\" : [ ] } \n", 0, 0 },
        { 0, "{" RES "," DOM ",\"proxy_ips\":[\"x\"]}", BAD, 0 },
        { 0, "{" RES "," DOM ",\"proxy_ips\":[1]}", BAD, 0 },
        { 0, "{" RES "," DOM ",\"proxy_ips\":[\"1.1.1.1\",]}", BAD, 0 },
        { 0, "{" RES "," DOM ",\"proxy_ips\":\"1.1.1.1\"}", BAD, 0 },
        { 0, "{" RES "," DOM ",\"status\":\"Active\"}", BAD, 0 },
        { 1, "{" RES "," DOM ",\"status\":\"Active\"}", 0, 1 },
        { 1, "{" RES "," DOM ",\"status\":\"Inactive\"}", 0, 0 },
        { 1, "{" RES "," DOM ",\"status\":\"active\"}", 0, 0 },
        { 1, "{" RES "," DOM ",\"status\":\"Some much longer status text of the future\"}", 0, 0 },
        { 1, "{" RES "," DOM ",\"status\":\"Activ\\u0065\"}", 0, 1 },
        { 1, "{" RES "," DOM ",\"status\":true}", BAD, 0 },
        { 1, "{" RES "," DOM "}", BAD, 0 },
        { 1, "{" RES ",\"status\":\"Active\"}", BAD, 0 },
        { 1, "{" RES ",\"domain\":\"\",\"status\":\"Active\"}", BAD, 0 },
        { 1, "{\"resource\":\"zz\"," DOM ",\"status\":\"Active\"}", BAD, 0 },
        { 1, "{" RES "," RES "," DOM ",\"status\":\"Active\"}", BAD, 0 },
        { 1, "{" RES "," DOM ",\"status\":\"Active\"}x", BAD, 0 },
        { 1, "{" RES "," DOM ",\"status\":\"Active\"", BAD, 0 },
        { 1, "{" RES " " DOM ",\"status\":\"Active\"}", BAD, 0 },
        { 1, "{,}", BAD, 0 },
        { 1, "", BAD, 0 },
        { 1, "[]", BAD, 0 },
        { 1,
          "{\"x\":{\"y\":[1,-2.5e+3,null,true,false,\"\\n\"]}," RES "," DOM
          ",\"status\":\"Active\",\"a much longer key than we know\":[[]]}",
          0,
          1 },
        { 1, "{\"x\":[[[[[[[[1]]]]]]]]," RES "," DOM ",\"status\":\"Active\"}", BAD, 0 },
        { 1, "{\"x\":[[[[[[[1]]]]]]]," RES "," DOM ",\"status\":\"Active\"}", 0, 1 },
        { 1, "{\"x\":01," RES "," DOM ",\"status\":\"Active\"}", BAD, 0 },
        { 1, "{\"x\":-," RES "," DOM ",\"status\":\"Active\"}", BAD, 0 },
        { 1, "{\"x\":nul," RES "," DOM ",\"status\":\"Active\"}", BAD, 0 },
        { 2, "anything", 0, 0 },
        { 3, "{}", SP_E_UNSUPPORTED, 0 },
        { 255, "", SP_E_UNSUPPORTED, 0 },
    };

    for (size_t i = 0; i < SP_ARRAY_SIZE(cases); i++) {
        struct sp_control_event e = { 0 };

        g_test_message("case %zu %s", i, cases[i].body);
        g_assert_cmpint(parse_body(cases[i].type, cases[i].body, &e), ==, cases[i].expect);
        if (cases[i].expect == 0 && cases[i].type == 0)
            g_assert_cmpuint(e.n_proxy_ips, ==, cases[i].check);
        if (cases[i].expect == 0 && cases[i].type == 1)
            g_assert_cmpint(e.active, ==, cases[i].check);
    }
}

static void
too_many_proxy_ips(void)
{
    GString *s = g_string_new("{" RES "," DOM ",\"proxy_ips\":[\"1.1.1.1\"");
    struct sp_control_event e;

    for (int i = 1; i < SP_CONTROL_PROXY_IPS_MAX; i++)
        g_string_append(s, ",\"1.1.1.1\"");
    g_string_append(s, "]}");
    g_assert_cmpint(parse_body(0, s->str, &e), ==, 0);
    g_string_truncate(s, s->len - 2);
    g_string_append(s, ",\"1.1.1.1\"]}");
    g_assert_cmpint(parse_body(0, s->str, &e), ==, SP_E_MALFORMED);
    g_string_free(s, TRUE);
}

/* Any damage is refused or decodes to something well-formed; it never reads outside the packet. */
static void
survives_damage(void)
{
    struct test_rng state;
    struct sp_rng rng = test_rng_init(&state, 6);
    struct sp_uuid id = resource();
    struct sp_ip ips[4] = { sp_ip4(1, 2, 3, 4),
                            sp_ip4(1, 2, 3, 4),
                            sp_ip4(1, 2, 3, 4),
                            { 6, { 0 } } };

    for (int i = 0; i < 20000; i++) {
        uint8_t p[SP_MTU];
        struct sp_control_event e;
        struct sp_ip_view v;
        size_t n;

        g_assert_cmpint(sp_control_build_assigned_ips(p, sizeof p, &id, "a.b", ips, 4, &n), ==, 0);
        for (uint32_t k = sp_rng_below(&rng, 4) + 1; k; k--)
            p[48 + sp_rng_below(&rng, (uint32_t)n - 48)] = (uint8_t)sp_rng_u32(&rng);
        g_assert_cmpint(sp_packet_parse(p, n, &v), ==, 0);
        if (sp_control_parse(p, &v, &e) == 0) {
            g_assert_cmpuint(e.n_proxy_ips, <=, SP_CONTROL_PROXY_IPS_MAX);
            g_assert_true(g_utf8_validate(e.domain, -1, NULL));
        }
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/control/vectors", vectors);
    g_test_add_func("/control/round-trip", round_trip);
    g_test_add_func("/control/recognition", recognition);
    g_test_add_func("/control/payloads", payloads);
    g_test_add_func("/control/proxy-ip-limit", too_many_proxy_ips);
    g_test_add_func("/control/damage", survives_damage);
    return g_test_run();
}
