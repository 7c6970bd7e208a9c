/* SPDX-License-Identifier: Apache-2.0 */
/* Spec tunnel A.1 (resources), A.7 (TUN configuration), A.8, A.12 (status), A.13 (names), A.14. */
#include <string.h>

#include "engine/control/control.h"
#include "engine/ip/build.h"
#include "tests/unit/client/rig.h"

static GBytes *
to(const char *dst, const char *text)
{
    return test_udp(strchr(dst, ':') ? RIG_IP6 : RIG_IP4, 4000, dst, 1500, text);
}

static struct rig *
connected(const char *resources, const char *address)
{
    struct rig *r = rig_new();

    rig_init(r, resources);
    rig_send(r, to(address, "x"));
    rig_grant(r, 1, 0);
    rig_run(r, SP_SEC(2));
    g_assert_cmpint(rig_status(r, 1), ==, SP_RESOURCE_ONLINE);
    g_ptr_array_set_size(r->gw[0].got, 0);
    return r;
}

static bool
is_control(GBytes *packet, struct sp_control_event *ev)
{
    struct sp_ip_view v;
    gsize n;
    const uint8_t *p = packet ? g_bytes_get_data(packet, &n) : NULL;

    return p && sp_packet_parse(p, n, &v) == 0 && sp_control_is(&v)
           && sp_control_parse(p, &v, ev) == 0;
}

/* ---- A.1 ------------------------------------------------------------------------------------- */

static void
test_upsert(void)
{
    static const struct {
        const char *spec;
        bool closes;
    } rows[] = {
        { "10.0.0.0/8", false },       { "10.0.0.0/8 name:z", false },
        { "10.0.0.0/8 site:2", true }, { "10.0.0.0/8 udp:1-9999", true },
        { "10.0.0.0/9", true },        { "app.corp.test", true },
        { "10.0.0.0/8 v4", true },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct rig *r = connected("1=10.0.0.0/8", "10.0.0.1");
        struct sp_control_event ev;

        rig_upsert(r, 1, rows[i].spec);
        g_assert_cmpuint(sp_client_peers(r->c, NULL, 0), ==, !rows[i].closes);
        g_assert_cmpint(is_control(test_last(r->gw[0].got), &ev), ==, rows[i].closes);
        if (rows[i].closes)
            g_assert_cmpint(ev.type, ==, SP_CONTROL_GOODBYE);
        rig_free(r);
    }
}

/* Entries that stay keep their connection, others go (replace list). */
static void
test_replace(void)
{
    struct rig *r = connected("1=10.0.0.0/8,2=11.0.0.0/8", "10.0.0.1");

    rig_init(r, "1=10.0.0.0/8,3=12.0.0.0/8");
    g_assert_cmpuint(sp_client_peers(r->c, NULL, 0), ==, 1);
    g_assert_cmpuint(r->list.u.resources.n, ==, 2);
    rig_send(r, to("10.0.0.1", "x"));
    g_assert_cmpuint(r->gw[0].got->len, ==, 1);
    rig_send(r, to("11.0.0.1", "x"));
    g_assert_cmpuint(rig_drops(r, SP_DROP_UNKNOWN_RESOURCE), ==, 1);
    rig_init(r, "");
    g_assert_cmpuint(sp_client_peers(r->c, NULL, 0), ==, 0);
    g_assert_cmpuint(r->list.u.resources.n, ==, 0);
    rig_free(r);
}

/* The peer serves another resource: removal of one leaves it. */
static void
test_remove(void)
{
    struct rig *r = connected("1=10.0.0.0/8,2=11.0.0.0/8", "10.0.0.1");

    rig_send(r, to("11.0.0.1", "x"));
    rig_grant(r, 2, 0);
    rig_delete(r, 1);
    g_assert_cmpuint(sp_client_peers(r->c, NULL, 0), ==, 1);
    rig_far_says(r, 0, test_udp("10.0.0.1", 1, RIG_IP4, 1, "x"));
    g_assert_cmpuint(rig_drops(r, SP_DROP_NOT_ALLOWED), ==, 1);
    rig_delete(r, 9);
    rig_delete(r, 2);
    g_assert_cmpuint(sp_client_peers(r->c, NULL, 0), ==, 0);
    rig_free(r);
}

/* What waited for a resource that goes does not leak through another. */
static void
test_remove_while_waiting(void)
{
    struct rig *r = rig_new();

    rig_init(r, "1=10.0.0.0/8,2=10.0.0.0/16");
    rig_send(r, to("10.0.0.1", "x"));
    rig_delete(r, 2);
    rig_grant(r, 2, 0);
    rig_run(r, SP_SEC(2));
    g_assert_cmpuint(sp_client_peers(r->c, NULL, 0), ==, 0);
    g_assert_cmpuint(r->gw[0].got->len, ==, 0);
    rig_free(r);
}

static void
test_internet(void)
{
    struct rig *r = connected("1=internet,2=10.0.0.0/8", "8.8.8.8");
    int configs = r->tun_configs;

    g_assert_cmpuint(r->tun_config.u.tun.n_routes, ==, 6 + 1 + 2);
    sp_client_set_internet_resource(r->c, true, r->now);
    rig_pump(r);
    g_assert_cmpint(r->tun_configs, ==, configs);
    sp_client_set_internet_resource(r->c, false, r->now);
    rig_pump(r);
    g_assert_cmpuint(r->tun_config.u.tun.n_routes, ==, 6 + 1);
    g_assert_cmpuint(sp_client_peers(r->c, NULL, 0), ==, 0);
    sp_client_set_internet_resource(r->c, true, r->now);
    rig_delete(r, 1); /* removal clears the switch */
    rig_upsert(r, 1, "internet");
    g_assert_cmpuint(r->tun_config.u.tun.n_routes, ==, 6 + 1);
    g_assert_false(r->list.u.resources.list[0].enabled);
    rig_free(r);
}

/* ---- A.7, A.12 ------------------------------------------------------------------------------- */

static void
test_only_on_change(void)
{
    struct rig *r = rig_new();

    rig_init(r, "1=10.0.0.0/8,2=10.0.0.0/8");
    g_assert_cmpint(r->tun_configs, ==, 1);
    g_assert_cmpint(r->lists, ==, 1);
    g_assert_cmpuint(r->tun_config.u.tun.n_routes, ==, 6 + 1);
    rig_init(r, "1=10.0.0.0/8,2=10.0.0.0/8");
    rig_upsert(r, 1, "10.0.0.0/8");
    g_assert_cmpint(r->tun_configs, ==, 1);
    g_assert_cmpint(r->lists, ==, 1);
    rig_upsert(r, 1, "10.0.0.0/8 name:z");
    g_assert_cmpint(r->tun_configs, ==, 1);
    g_assert_cmpint(r->lists, ==, 2);
    rig_upsert(r, 1, "11.0.0.0/8 name:z");
    g_assert_cmpint(r->tun_configs, ==, 2);
    g_assert_cmpint(r->lists, ==, 3);
    rig_free(r);
}

static void
test_offline_ends(void)
{
    struct rig *r = rig_new();

    rig_init(r, "1=10.0.0.0/8");
    rig_send(r, to("10.0.0.1", "x"));
    rig_refuse(r, 1, SP_FAIL_OFFLINE);
    g_assert_cmpint(rig_status(r, 1), ==, SP_RESOURCE_OFFLINE);
    g_assert_cmpint(r->lists, ==, 2);
    rig_run(r, SP_SEC(300) - 1);
    g_assert_cmpint(rig_status(r, 1), ==, SP_RESOURCE_OFFLINE);
    rig_run(r, 1);
    g_assert_cmpint(rig_status(r, 1), ==, SP_RESOURCE_UNKNOWN);
    g_assert_cmpint(r->lists, ==, 3);
    rig_free(r);
}

static void
test_offline_closes(void)
{
    struct rig *r = connected("1=10.0.0.0/8", "10.0.0.1");

    rig_refuse(r, 1, SP_FAIL_OFFLINE);
    g_assert_cmpuint(sp_client_peers(r->c, NULL, 0), ==, 0);
    g_assert_cmpint(rig_status(r, 1), ==, SP_RESOURCE_OFFLINE);
    rig_send(r, to("10.0.0.1", "x"));
    g_assert_cmpuint(r->requests->len, ==, 2);
    rig_free(r);
}

static void
test_path_dies(void)
{
    struct rig *r = connected("1=10.0.0.0/8,2=11.0.0.0/8", "10.0.0.1");

    rig_send(r, to("11.0.0.1", "x"));
    rig_grant(r, 2, 0);
    r->deaf[0] = true;
    rig_send(r, to("10.0.0.1", "x"));
    rig_run(r, SP_SEC(25));
    g_assert_cmpuint(sp_client_peers(r->c, NULL, 0), ==, 0);
    g_assert_cmpint(rig_status(r, 1), ==, SP_RESOURCE_UNKNOWN);
    rig_send(r, to("10.0.0.1", "x"));
    rig_send(r, to("11.0.0.1", "x"));
    g_assert_cmpuint(r->requests->len, ==, 4);
    rig_free(r);
}

/* ---- A.13 ------------------------------------------------------------------------------------ */

static void
say_status(struct rig *r, int g, const char *domain, bool active)
{
    struct sp_uuid id = rig_id(1);
    uint8_t buf[SP_MTU];
    size_t n;

    g_assert_cmpint(sp_control_build_domain_status(buf, sizeof buf, &id, domain, active, &n),
                    ==,
                    0);
    rig_far_says(r, g, g_bytes_new(buf, n));
}

/* A name, its address as text, a connection over which it was announced; nothing confirmed yet. */
static struct rig *
announced(const char *spec, char proxy[SP_IP_STR_MAX])
{
    struct rig *r = rig_new();
    struct sp_ip ip;

    rig_init(r, spec);
    ip = rig_lookup(r, "app.corp.test", 4);
    g_assert_cmpuint(ip.family, ==, 4);
    sp_ip_format(&ip, proxy);
    rig_send(r, to(proxy, "0000"));
    rig_grant(r, 1, 0);
    rig_run(r, SP_SEC(1));
    return r;
}

static void
test_name(void)
{
    char proxy[SP_IP_STR_MAX];
    struct rig *r = announced("1=*.corp.test", proxy);
    struct sp_control_event ev;

    g_assert_cmpuint(r->gw[0].got->len, ==, 1); /* the announcement; the packet waits */
    g_assert_true(is_control(test_last(r->gw[0].got), &ev));
    g_assert_cmpint(ev.type, ==, SP_CONTROL_ASSIGNED_IPS);
    g_assert_cmpstr(ev.domain, ==, "app.corp.test");
    g_assert_cmpuint(ev.n_proxy_ips, ==, 8);
    rig_send(r, to(proxy, "0001"));
    g_assert_cmpuint(r->gw[0].got->len, ==, 1);
    rig_run(r, SP_SEC(2)); /* F.1: sent again with traffic, after 2 s */
    g_assert_cmpuint(r->gw[0].got->len, ==, 1);
    rig_send(r, to(proxy, "0002"));
    g_assert_cmpuint(r->gw[0].got->len, ==, 2);
    say_status(r, 0, "app.corp.test", true);
    g_assert_cmpuint(r->gw[0].got->len, ==, 5);
    for (guint i = 0; i < 3; i++) {
        char text[8];

        g_snprintf(text, sizeof text, "000%u", i);
        g_assert_cmpmem((const char *)g_bytes_get_data(g_ptr_array_index(r->gw[0].got, 2 + i), NULL)
                            + 28,
                        4,
                        text,
                        4);
    }
    rig_far_says(r, 0, test_udp(proxy, 1500, RIG_IP4, 4000, "re"));
    g_assert_cmpuint(r->tun->len, ==, 1);
    rig_free(r);
}

/* Refused: what waited is dropped. A new grant asks the gateway again without a look-up. */
static void
test_name_refused(void)
{
    char proxy[SP_IP_STR_MAX];
    struct rig *r = announced("1=*.corp.test", proxy);
    struct sp_control_event ev;

    say_status(r, 0, "app.corp.test", false);
    g_assert_cmpuint(r->gw[0].got->len, ==, 1);
    rig_send(r, to(proxy, "0001")); /* passes, the gateway will say what it thinks */
    g_assert_cmpuint(r->gw[0].got->len, ==, 2);
    sp_client_reset(r->c, r->now);
    rig_pump(r);
    sp_client_handle_portal_state(r->c, true, r->now);
    rig_run(r, SP_SEC(2));
    rig_send(r, to(proxy, "0002"));
    rig_grant(r, 1, 0);
    rig_run(r, SP_SEC(2));
    g_assert_true(is_control(test_last(r->gw[0].got), &ev));
    rig_free(r);
}

static void
test_name_renewed(void)
{
    char proxy[SP_IP_STR_MAX];
    struct rig *r = announced("1=*.corp.test,2=10.0.0.0/8", proxy);
    struct sp_control_event ev;

    say_status(r, 0, "app.corp.test", false);
    /* The refusal of a packet makes the client ask; nothing about the connection changes. */
    {
        GBytes *about = to(proxy, "0001");
        struct sp_ip_view v = test_view(about);
        uint8_t buf[SP_MTU];
        size_t n;

        g_assert_cmpint(sp_build_icmp_reply(buf,
                                            sizeof buf,
                                            SP_ICMP_REPLY_PROHIBITED,
                                            g_bytes_get_data(about, NULL),
                                            &v,
                                            &n),
                        ==,
                        0);
        g_bytes_unref(about);
        rig_far_says(r, 0, g_bytes_new(buf, n));
    }
    g_assert_cmpuint(r->requests->len, ==, 2);
    rig_grant(r, 1, 0);
    g_assert_true(is_control(test_last(r->gw[0].got), &ev));
    g_assert_cmpint(ev.type, ==, SP_CONTROL_ASSIGNED_IPS);
    rig_send(r, to(proxy, "0002")); /* waits again */
    g_assert_true(is_control(test_last(r->gw[0].got), &ev));
    say_status(r, 0, "app.corp.test", true);
    g_assert_false(is_control(test_last(r->gw[0].got), &ev));
    rig_free(r);
}

static void
test_name_foreign_status(void)
{
    char proxy[SP_IP_STR_MAX];
    struct rig *r = announced("1=*.corp.test,2=10.0.0.0/8 site:2", proxy);

    rig_send(r, to("10.0.0.1", "x"));
    rig_grant(r, 2, 1);
    rig_run(r, SP_SEC(1));
    say_status(r, 1, "app.corp.test", true); /* not the gateway that was asked */
    g_assert_cmpuint(r->gw[0].got->len, ==, 1);
    say_status(r, 0, "other.corp.test", true);
    g_assert_cmpuint(r->gw[0].got->len, ==, 1);
    say_status(r, 0, "app.corp.test", true);
    g_assert_cmpuint(r->gw[0].got->len, ==, 2);
    rig_free(r);
}

static void
test_name_stack(void)
{
    char proxy[SP_IP_STR_MAX];
    struct rig *r = announced("1=*.corp.test v4", proxy);
    struct sp_control_event ev;

    g_assert_true(is_control(test_last(r->gw[0].got), &ev));
    g_assert_cmpuint(ev.n_proxy_ips, ==, 4);
    g_assert_cmpuint(rig_lookup(r, "app.corp.test", 6).family, ==, 0);
    rig_send(r, to("fd00:2021:1111:8000::", "x"));
    g_assert_cmpuint(rig_drops(r, SP_DROP_UNKNOWN_RESOURCE), ==, 1);
    rig_free(r);
}

/* ---- A.14 ------------------------------------------------------------------------------------ */

static void
test_held(void)
{
    struct rig *r = connected("1=10.0.0.0/8", "10.0.0.1");
    struct sp_endpoint two[2] = { r->address, { sp_ip4(192, 0, 2, 101), FAR_PORT } };
    int batches = r->candidate_batches;

    sp_client_handle_portal_state(r->c, false, r->now);
    sp_client_set_host_addresses(r->c, two, 2, r->now);
    rig_pump(r);
    sp_client_set_host_addresses(r->c, two, 1, r->now);
    rig_pump(r);
    sp_client_handle_portal_state(r->c, true, r->now);
    rig_pump(r);
    g_assert_cmpint(r->candidate_batches, ==, batches); /* came and went */
    g_assert_cmpint(r->withdrawals, ==, 0);
    sp_client_handle_portal_state(r->c, false, r->now);
    sp_client_set_host_addresses(r->c, two, 2, r->now);
    rig_pump(r);
    g_assert_cmpint(r->candidate_batches, ==, batches);
    sp_client_handle_portal_state(r->c, true, r->now);
    rig_pump(r);
    g_assert_cmpint(r->candidate_batches, ==, batches + 1);
    rig_free(r);
}

static void
test_reset(void)
{
    struct rig *r = connected("1=10.0.0.0/8", "10.0.0.1");
    uint8_t key[SP_KEY_LEN];

    memcpy(key, sp_client_public_key(r->c), sizeof key);
    sp_client_reset(r->c, r->now);
    rig_pump(r);
    g_assert_cmpint(r->keys, ==, 1);
    g_assert_cmpint(memcmp(key, sp_client_public_key(r->c), sizeof key), !=, 0);
    g_assert_cmpuint(sp_client_peers(r->c, NULL, 0), ==, 0);
    g_assert_cmpint(rig_status(r, 1), ==, SP_RESOURCE_UNKNOWN);
    g_assert_cmpint(r->tun_configs, ==, 1);
    sp_client_handle_portal_state(r->c, true, r->now);
    rig_send(r, to("10.0.0.1", "0001"));
    g_assert_cmpuint(r->requests->len, ==, 2);
    /* The preference for the gateway survives. */
    g_assert_cmpuint(r->last_request.u.authorization.n_connected_gateways, ==, 1);
    rig_grant(r, 1, 0);
    rig_run(r, SP_SEC(2));
    g_assert_cmpuint(r->gw[0].got->len, ==, 1);
    rig_free(r);
}

/* A program that only receives sends nothing: what was in use is asked for by itself. */
static void
test_reset_in_use(void)
{
    struct rig *r = connected("1=10.0.0.0/8,2=11.0.0.0/8", "10.0.0.1");

    sp_client_reset(r->c, r->now);
    rig_pump(r);
    g_assert_cmpuint(r->requests->len, ==, 1);
    rig_run(r, SP_SEC(1));
    rig_init(r, "1=10.0.0.0/8,2=11.0.0.0/8");
    g_assert_cmpuint(r->requests->len, ==, 2);
    rig_grant(r, 1, 0);
    rig_run(r, SP_SEC(2));
    g_assert_cmpuint(sp_client_peers(r->c, NULL, 0), ==, 1);
    rig_init(r, "1=10.0.0.0/8,2=11.0.0.0/8"); /* once */
    g_assert_cmpuint(r->requests->len, ==, 2);
    rig_free(r);
}

/* Nothing is asked for that was not in use, has gone, or was left for too long. */
static void
test_reset_not_in_use(void)
{
    static const struct {
        unsigned idle_s, away_s;
        const char *resources;
        guint requests;
    } cases[] = {
        { 50, 1, "1=10.0.0.0/8", 2 },  { 61, 1, "1=10.0.0.0/8", 1 }, { 0, 595, "1=10.0.0.0/8", 2 },
        { 0, 601, "1=10.0.0.0/8", 1 }, { 0, 1, "2=11.0.0.0/8", 1 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct rig *r = connected("1=10.0.0.0/8", "10.0.0.1");

        rig_run(r, SP_SEC(cases[i].idle_s));
        sp_client_reset(r->c, r->now);
        rig_pump(r);
        rig_run(r, SP_SEC(cases[i].away_s));
        rig_init(r, cases[i].resources);
        if (r->requests->len != cases[i].requests)
            g_error("case %zu: %u requests", i, r->requests->len);
        rig_free(r);
    }
}

/* A request that went into a dead connection is repeated on the next one. */
static void
test_request_repeated(void)
{
    struct rig *r = rig_new();

    rig_init(r, "1=10.0.0.0/8");
    rig_send(r, to("10.0.0.1", "0001"));
    g_assert_cmpuint(r->requests->len, ==, 1);
    rig_run(r, SP_SEC(1));
    rig_init(r, "1=10.0.0.0/8");
    g_assert_cmpuint(r->requests->len, ==, 2);
    rig_run(r, SP_SEC(11)); /* who asked that long ago has given up */
    rig_init(r, "1=10.0.0.0/8");
    g_assert_cmpuint(r->requests->len, ==, 2);
    rig_free(r);
}

static void
test_shutdown(void)
{
    struct rig *r = connected("1=10.0.0.0/8", "10.0.0.1");
    struct sp_control_event ev;

    sp_client_shutdown(r->c, r->now);
    rig_pump(r);
    g_assert_true(is_control(test_last(r->gw[0].got), &ev));
    g_assert_cmpint(ev.type, ==, SP_CONTROL_GOODBYE);
    rig_free(r);
}

/* The gateway came back with another key: nothing it granted before holds. */
static void
test_gateway_restarts(void)
{
    struct rig *r = connected("1=10.0.0.0/8,2=11.0.0.0/8", "10.0.0.1");

    sp_node_reset(r->gw[0].node, r->now);
    rig_pump(r);
    rig_send(r, to("11.0.0.1", "x"));
    rig_grant(r, 2, 0);
    rig_run(r, SP_SEC(2));
    g_assert_cmpuint(r->gw[0].got->len, ==, 1);
    rig_send(r, to("10.0.0.1", "x"));
    g_assert_cmpuint(r->gw[0].got->len, ==, 1);
    g_assert_cmpuint(r->requests->len, ==, 3);
    rig_far_says(r, 0, test_udp("10.0.0.1", 1, RIG_IP4, 1, "x"));
    g_assert_cmpuint(rig_drops(r, SP_DROP_NOT_ALLOWED), ==, 1);
    rig_free(r);
}

static const struct {
    const char *path;
    void (*fn)(void);
} tests[] = {
    { "/client/A.1/upsert", test_upsert },
    { "/client/A.1/replace", test_replace },
    { "/client/A.1/remove", test_remove },
    { "/client/A.1/remove-while-waiting", test_remove_while_waiting },
    { "/client/A.8/internet", test_internet },
    { "/client/A.7/only-on-change", test_only_on_change },
    { "/client/A.12/offline-ends", test_offline_ends },
    { "/client/A.12/offline-closes", test_offline_closes },
    { "/client/A.14/path-dies", test_path_dies },
    { "/client/A.13/name", test_name },
    { "/client/A.13/refused", test_name_refused },
    { "/client/A.13/renewed", test_name_renewed },
    { "/client/A.13/foreign-status", test_name_foreign_status },
    { "/client/A.13/stack", test_name_stack },
    { "/client/A.14/held-candidates", test_held },
    { "/client/A.14/reset", test_reset },
    { "/client/A.14/reset-in-use", test_reset_in_use },
    { "/client/A.14/reset-not-in-use", test_reset_not_in_use },
    { "/client/A.14/request-repeated", test_request_repeated },
    { "/client/A.14/shutdown", test_shutdown },
    { "/client/A.14/gateway-restarts", test_gateway_restarts },
};

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add_func(tests[i].path, tests[i].fn);
    return g_test_run();
}
