/* SPDX-License-Identifier: Apache-2.0 */
/* Spec tunnel A.9 (order, drop reasons), A.10 (sources), A.11 (requests, buffers, failures). */
#include <string.h>

#include "engine/control/control.h"
#include "engine/ip/build.h"
#include "engine/ip/icmp.h"
#include "tests/unit/client/rig.h"

static GBytes *
to(const char *dst, const char *text)
{
    return test_udp(strchr(dst, ':') ? RIG_IP6 : RIG_IP4, 4000, dst, 1500, text);
}

static void
test_no_config(void)
{
    struct rig *r = rig_new();

    rig_send(r, to("10.0.0.1", "x"));
    g_assert_cmpuint(rig_drops(r, SP_DROP_OTHER), ==, 1);
    g_assert_cmpint(r->tun_configs, ==, 0);
    rig_free(r);
}

/* Every row breaks several rules; the reason shows which comes first. */
static void
test_order(void)
{
    static const struct {
        const char *src, *dst;
        uint8_t proto; /* 0: UDP to port 1500 */
        enum sp_drop reason;
    } rows[] = {
        { "10.9.9.9", "224.0.0.251", 0, SP_DROP_MULTICAST },
        { "fd00::9", "ff02::fb", 0, SP_DROP_MULTICAST },
        { "10.9.9.9", RIG_IP4, 0, SP_DROP_NOT_TUNNEL_SOURCE_IP },
        { "fd00::9", "fd77::1", 0, SP_DROP_NOT_TUNNEL_SOURCE_IP },
        { RIG_IP4, RIG_IP4, 47, SP_DROP_PACKET_TO_SELF },
        { RIG_IP6, RIG_IP6, 0, SP_DROP_PACKET_TO_SELF },
        { RIG_IP4, "10.0.0.1", 47, SP_DROP_UNSUPPORTED },
        { RIG_IP4, "198.51.100.1", 132, SP_DROP_UNSUPPORTED },
        { RIG_IP4, "198.51.100.1", 0, SP_DROP_UNKNOWN_RESOURCE },
        { RIG_IP4, "100.96.0.1", 0, SP_DROP_UNKNOWN_RESOURCE },
        { RIG_IP6, "fd00:2021:1111:8000::5", 0, SP_DROP_UNKNOWN_RESOURCE },
        { RIG_IP4, "100.64.1.1", 0, SP_DROP_UNKNOWN_RESOURCE },
    };
    struct rig *r = rig_new();

    rig_init(r, "1=10.0.0.0/8 icmp");
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        uint64_t before = rig_drops(r, rows[i].reason);

        rig_send(r,
                 rows[i].proto ? test_raw(rows[i].src, rows[i].dst, rows[i].proto)
                               : test_udp(rows[i].src, 4000, rows[i].dst, 1500, "x"));
        if (rig_drops(r, rows[i].reason) != before + 1)
            g_error("row %zu is not dropped as %s", i, sp_drop_name(rows[i].reason));
    }
    g_assert_cmpuint(r->requests->len, ==, 0);
    g_assert_cmpuint(r->tun->len, ==, 0);
    rig_free(r);
}

static void
test_malformed(void)
{
    struct rig *r = rig_new();
    GBytes *whole = to("10.0.0.1", "x");
    uint8_t fragment[64];

    rig_init(r, "1=10.0.0.0/8");
    rig_send(r, g_bytes_new("\x45", 1));
    g_assert_cmpuint(rig_drops(r, SP_DROP_MALFORMED_IP), ==, 1);
    memcpy(fragment, g_bytes_get_data(whole, NULL), g_bytes_get_size(whole));
    fragment[6] = 0x20; /* more fragments */
    rig_send(r, g_bytes_new(fragment, g_bytes_get_size(whole)));
    g_bytes_unref(whole);
    g_assert_cmpuint(rig_drops(r, SP_DROP_FRAGMENT), ==, 1);
    rig_free(r);
}

/* A control event read from the TUN device fails the source check (spec 0.4). */
static void
test_control_from_tun(void)
{
    struct rig *r = rig_new();
    uint8_t buf[64];
    size_t n;

    rig_init(r, "1=10.0.0.0/8");
    g_assert_cmpint(sp_control_build_goodbye(buf, sizeof buf, &n), ==, 0);
    rig_send(r, g_bytes_new(buf, n));
    g_assert_cmpuint(rig_drops(r, SP_DROP_NOT_TUNNEL_SOURCE_IP), ==, 1);
    rig_free(r);
}

static void
test_filtered(void)
{
    struct rig *r = rig_new();
    struct sp_icmp_error err;
    struct sp_ip_view v;

    rig_init(r, "1=10.0.0.0/8 udp:1000-2000,2=fd77::/16 icmp");
    rig_send(r, test_udp(RIG_IP4, 4000, "10.0.0.1", 2001, "x"));
    g_assert_cmpuint(r->tun->len, ==, 1);
    v = test_view(test_last(r->tun));
    g_assert_cmpint(sp_icmp_error_parse(g_bytes_get_data(test_last(r->tun), NULL), &v, &err),
                    ==,
                    SP_ICMP_IS_ERROR);
    g_assert_true(sp_icmp_is_prohibited(&err));
    g_assert_cmpuint(err.dst_proto.id, ==, 2001);
    rig_send(r, to("fd77::1", "x"));
    v = test_view(test_last(r->tun));
    g_assert_cmpuint(v.icmp_type, ==, SP_ICMP6_UNREACHABLE);
    g_assert_cmpuint(v.icmp_code, ==, SP_ICMP6_CODE_PROHIBITED);
    g_assert_cmpuint(rig_drops(r, SP_DROP_FILTERED), ==, 2);
    g_assert_cmpuint(r->requests->len, ==, 0);
    rig_free(r);
}

/* A.9 step 10: a name's route before a network, a network before the Internet resource, which never
 * takes the peer range. */
static void
test_routes(void)
{
    struct rig *r = rig_new();
    struct sp_ip proxy;
    char text[SP_IP_STR_MAX];

    rig_init(r, "1=internet,2=10.0.0.0/8,3=10.1.0.0/16,4=app.corp.test,5=100.96.0.0/12");
    proxy = rig_lookup(r, "app.corp.test", 4);
    rig_send(r, to(sp_ip_format(&proxy, text), "x"));
    rig_send(r, to("10.1.0.1", "x"));
    rig_send(r, to("10.2.0.1", "x"));
    rig_send(r, to("8.8.8.8", "x"));
    rig_send(r, to("100.64.9.9", "x"));
    g_assert_cmpuint(r->requests->len, ==, 4);
    g_assert_cmpint(g_array_index(r->requests, int, 0), ==, 4);
    g_assert_cmpint(g_array_index(r->requests, int, 1), ==, 3);
    g_assert_cmpint(g_array_index(r->requests, int, 2), ==, 2);
    g_assert_cmpint(g_array_index(r->requests, int, 3), ==, 1);
    rig_free(r);
}

/* ---- requests -------------------------------------------------------------------------------- */

static void
test_throttle(void)
{
    struct rig *r = rig_new();

    rig_init(r, "1=10.0.0.0/8,2=10.9.0.0/16");
    rig_send(r, to("10.0.0.1", "a"));
    g_assert_cmpuint(r->requests->len, ==, 1);
    rig_send(r, to("10.9.0.1", "a")); /* another target has its own clock */
    g_assert_cmpuint(r->requests->len, ==, 2);
    rig_run(r, SP_MS(1999));
    rig_send(r, to("10.0.0.1", "b"));
    g_assert_cmpuint(r->requests->len, ==, 2);
    rig_run(r, SP_MS(1));
    rig_send(r, to("10.0.0.1", "c"));
    g_assert_cmpuint(r->requests->len, ==, 3);
    rig_run(r, SP_SEC(60)); /* no timer: only traffic repeats it */
    g_assert_cmpuint(r->requests->len, ==, 3);
    rig_free(r);
}

static void
expect_payloads(const struct far *f, size_t first, size_t n)
{
    g_assert_cmpuint(f->got->len, ==, n);
    for (size_t i = 0; i < n; i++) {
        GBytes *b = g_ptr_array_index(f->got, i);
        char text[16];

        g_snprintf(text, sizeof text, "%04zu", first + i);
        g_assert_cmpmem((const char *)g_bytes_get_data(b, NULL) + 28, 4, text, 4);
    }
}

/* 128 packets wait for the grant, the oldest are overwritten, duplicates are not kept, order holds
 * through both rings (A.9, A.11). */
static void
test_buffers(void)
{
    struct rig *r = rig_new();

    rig_init(r, "1=10.0.0.0/8");
    for (int i = 0; i < 130; i++) {
        char text[16];

        g_snprintf(text, sizeof text, "%04d", i);
        rig_send(r, to("10.0.0.1", text));
        rig_send(r, to("10.0.0.1", text));
    }
    r->deaf[0] = true; /* the connection takes a while */
    rig_grant(r, 1, 0);
    rig_send(r, to("10.0.0.1", "0130"));
    r->deaf[0] = false;
    rig_run(r, SP_SEC(3));
    expect_payloads(&r->gw[0], 3, 128);
    rig_free(r);
}

static void
test_connects(void)
{
    struct rig *r = rig_new();

    rig_init(r, "1=10.0.0.0/8");
    rig_send(r, to("10.0.0.1", "0000"));
    g_assert_cmpint(rig_status(r, 1), ==, SP_RESOURCE_UNKNOWN);
    rig_grant(r, 1, 0);
    rig_run(r, SP_SEC(2));
    expect_payloads(&r->gw[0], 0, 1);
    g_assert_cmpint(rig_status(r, 1), ==, SP_RESOURCE_ONLINE);
    rig_send(r, to("10.0.0.1", "0001"));
    g_assert_cmpuint(r->gw[0].got->len, ==, 2);
    rig_far_says(r, 0, test_udp("10.0.0.1", 1500, RIG_IP4, 4000, "re"));
    g_assert_cmpuint(r->tun->len, ==, 1);
    /* The gateway itself, without any resource (step 8). */
    rig_send(r, to("100.64.1.1", "0002"));
    g_assert_cmpuint(r->gw[0].got->len, ==, 3);
    g_assert_cmpuint(r->requests->len, ==, 1);
    rig_free(r);
}

static void
test_stale_grants(void)
{
    struct rig *r = rig_new();

    rig_init(r, "1=10.0.0.0/8");
    rig_grant(r, 1, 0); /* nobody asked */
    rig_grant(r, 9, 0); /* nobody knows */
    rig_run(r, SP_SEC(1));
    g_assert_cmpuint(sp_client_peers(r->c, NULL, 0), ==, 0);
    rig_free(r);
}

static void
test_failures(void)
{
    static const struct {
        enum sp_fail_reason reason;
        int offline, mismatch;
        bool keeps; /* what waits stays */
    } rows[] = {
        { SP_FAIL_OFFLINE, 1, 0, false },          { SP_FAIL_VERSION_MISMATCH, 0, 1, true },
        { SP_FAIL_NOT_FOUND, 0, 0, true },         { SP_FAIL_FORBIDDEN, 0, 0, true },
        { SP_FAIL_DISABLED, 0, 0, true },          { SP_FAIL_UNKNOWN, 0, 0, true },
        { SP_FAIL_AMBIGUOUS_ADDRESS, 0, 0, true },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct rig *r = rig_new();

        rig_init(r, "1=10.0.0.0/8");
        for (int k = 0; k < 2; k++) { /* people are told once per session */
            rig_send(r, to("10.0.0.1", "0000"));
            rig_refuse(r, 1, rows[i].reason);
            rig_run(r, SP_SEC(3));
        }
        g_assert_cmpint(r->offline, ==, rows[i].offline);
        g_assert_cmpint(r->version_mismatch, ==, rows[i].mismatch);
        g_assert_cmpint(rig_status(r, 1) == SP_RESOURCE_OFFLINE, ==, rows[i].offline);
        rig_send(r, to("10.0.0.1", "0001"));
        rig_grant(r, 1, 0);
        rig_run(r, SP_SEC(2));
        g_assert_cmpuint(r->gw[0].got->len, ==, rows[i].keeps ? 2 : 1);
        rig_free(r);
    }
}

static void
say_prohibited(struct rig *r, GBytes *about)
{
    uint8_t buf[SP_MTU];
    struct sp_ip_view v = test_view(about);
    size_t n;

    g_assert_cmpint(sp_build_icmp_reply(buf,
                                        sizeof buf,
                                        SP_ICMP_REPLY_PROHIBITED,
                                        g_bytes_get_data(about, NULL),
                                        &v,
                                        &n),
                    ==,
                    0);
    rig_far_says(r, 0, g_bytes_new(buf, n));
    g_bytes_unref(about);
}

/* A.11: refused by the gateway: ask again, throttled, and let packets flow meanwhile. */
static void
test_prohibited(void)
{
    struct rig *r = rig_new();

    rig_init(r, "1=10.0.0.0/8");
    rig_send(r, to("10.0.0.1", "0000"));
    rig_grant(r, 1, 0);
    rig_run(r, SP_SEC(2));
    say_prohibited(r, to("10.0.0.1", "0000"));
    g_assert_cmpuint(r->tun->len, ==, 1); /* the application hears of it */
    g_assert_cmpuint(r->requests->len, ==, 2);
    say_prohibited(r, to("10.0.0.1", "0000"));
    g_assert_cmpuint(r->requests->len, ==, 2);
    rig_run(r, SP_SEC(2));
    say_prohibited(r, to("10.0.0.1", "0000"));
    g_assert_cmpuint(r->requests->len, ==, 3);
    rig_send(r, to("10.0.0.1", "0001"));
    expect_payloads(&r->gw[0], 0, 2);
    g_assert_cmpuint(r->last_request.u.authorization.n_connected_gateways, ==, 1);
    rig_grant(r, 1, 0); /* same secrets: the connection stays */
    g_assert_cmpint(r->gw[0].established, ==, 1);
    g_assert_cmpuint(r->gw[0].got->len, ==, 2);
    rig_free(r);
}

/* ---- from gateways --------------------------------------------------------------------------- */

static void
test_allowed_sources(void)
{
    static const struct {
        const char *src, *dst;
        bool passes;
    } rows[] = {
        { "10.0.0.1", RIG_IP4, true },    { "10.255.0.1", RIG_IP4, true },
        { "11.0.0.1", RIG_IP4, false },   { "100.64.1.1", RIG_IP4, true },
        { "100.64.1.2", RIG_IP4, false }, { "fd00:2021:1111::101", RIG_IP6, true },
        { "fd77::1", RIG_IP6, false },
    };
    struct rig *r = rig_new();

    rig_init(r, "1=10.0.0.0/8,2=fd77::/16,3=11.0.0.0/8 site:2");
    rig_send(r, to("10.0.0.1", "x"));
    rig_grant(r, 1, 0);
    rig_send(r, to("11.0.0.1", "x"));
    rig_grant(r, 3, 1);
    rig_run(r, SP_SEC(2));
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        guint before = r->tun->len;
        uint64_t drops = rig_drops(r, SP_DROP_NOT_ALLOWED);

        rig_far_says(r, 0, test_udp(rows[i].src, 1, rows[i].dst, 4000, "x"));
        g_assert_cmpuint(r->tun->len - before, ==, rows[i].passes);
        g_assert_cmpuint(rig_drops(r, SP_DROP_NOT_ALLOWED) - drops, ==, !rows[i].passes);
    }
    rig_free(r);
}

static void
test_goodbye(void)
{
    struct rig *r = rig_new();
    uint8_t buf[64];
    size_t n;

    rig_init(r, "1=10.0.0.0/8");
    rig_send(r, to("10.0.0.1", "0000"));
    rig_grant(r, 1, 0);
    rig_run(r, SP_SEC(2));
    g_assert_cmpint(sp_control_build_goodbye(buf, sizeof buf, &n), ==, 0);
    rig_far_says(r, 0, g_bytes_new(buf, n));
    g_assert_cmpuint(sp_client_peers(r->c, NULL, 0), ==, 0);
    g_assert_cmpint(rig_status(r, 1), ==, SP_RESOURCE_UNKNOWN);
    g_assert_cmpuint(r->tun->len, ==, 0);
    rig_send(r, to("10.0.0.1", "0001"));
    g_assert_cmpuint(r->requests->len, ==, 2);
    g_assert_cmpuint(r->last_request.u.authorization.n_connected_gateways, ==, 1);
    rig_free(r);
}

static const struct {
    const char *path;
    void (*fn)(void);
} tests[] = {
    { "/client/A.9/no-config", test_no_config },
    { "/client/A.9/order", test_order },
    { "/client/A.9/malformed", test_malformed },
    { "/client/A.9/control-from-tun", test_control_from_tun },
    { "/client/A.9/filtered", test_filtered },
    { "/client/A.9/routes", test_routes },
    { "/client/A.9/connects", test_connects },
    { "/client/A.11/throttle", test_throttle },
    { "/client/A.11/buffers", test_buffers },
    { "/client/A.11/stale-grants", test_stale_grants },
    { "/client/A.11/failures", test_failures },
    { "/client/A.11/prohibited", test_prohibited },
    { "/client/A.10/allowed-sources", test_allowed_sources },
    { "/client/A.10/goodbye", test_goodbye },
};

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add_func(tests[i].path, tests[i].fn);
    return g_test_run();
}
