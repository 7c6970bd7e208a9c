/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/err.h"
#include "engine/portal/client-codec.h"
#include "tests/unit/portal/json-support.h"

#define R1    "'5f0c0000-0000-4000-8000-000000000001'"
#define R2    "'5f0c0000-0000-4000-8000-000000000002'"
#define SITE  "'77aa0000-0000-4000-8000-000000000001'"
#define GW    "'22222222-2222-4222-8222-222222222222'"
#define RELAY "'9f30b6a3-6785-42cc-8f12-02ee3f76a3e9'"
#define OTHER "'9f30b6a3-6785-42cc-8f12-000000000000'"
#define SITES "'sites':[{'id':" SITE ",'name':'HQ'}]"
#define IFACE "'ipv4':'100.70.1.9','ipv6':'fd00:2021:1111::1:9'"
/* 32 times 0x02 and the PSK of spec portal-protocol 10 */
#define KEY "'AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI='"
#define PSK "'thsZ6mikkarENRUpdNoBNYXk746FK6e5mO9ruCJmvP8='"
#define TURN(id, addr)                         \
    "{'type':'turn','id':" id ",'addr':'" addr \
    "','username':'1900000000:xXz','password':'lHvy','expires_at':1900000000}"
#define CREDS                                                                           \
    "'client_ice_credentials':{'username':'eokn','password':'5enp7ct6775ebzonvunxjy'}," \
    "'gateway_ice_credentials':{'username':'6m26','password':'gj5f2zjrxg6cwvtrtqgfva'}"

static int
decode(const char *event,
       const char *payload,
       struct sp_portal_skips *skips,
       struct sp_client_msg *ret)
{
    g_autoptr(JsonNode) node = json_of(payload);

    return sp_portal_client_decode_counted(event, node, skips, ret);
}

/* The sample of spec portal-protocol 3.2 with the ids written out. */
static void
init_sample(void)
{
    struct sp_portal_skips skips = { 0 };
    struct sp_client_msg m;
    const struct sp_resource *r;
    char text[SP_IP_STR_MAX];

    g_assert_cmpint(
        decode(
            "init",
            "{'interface':{" IFACE ",'upstream_do53':[{'ip':'9.9.9.9'}],'upstream_doh':[],"
            "'upstream_dns':[{'protocol':'ip_port','address':'9.9.9.9:53'}],"
            "'search_domain':'corp.example'},"
            "'resources':[{'id':" R1 ",'type':'dns','name':'wiki','address':'**.wiki.example',"
            "'address_description':null," SITES ",'ip_stack':'dual',"
            "'filters':[{'protocol':'tcp','port_range_start':443,'port_range_end':443}]}],"
            "'relays':[" TURN(
                RELAY,
                "203.0.113.7:3478") "],"
                                    "'authorizations':[],'flow_logs':{'api_url':'https://logs.example.net/',"
                                    "'upload_interval_secs':0,'upload_batch_size':1000}}",
            &skips,
            &m),
        ==,
        0);
    g_assert_cmpint(m.type, ==, SP_CLIENT_MSG_INIT);
    g_assert_cmpstr(sp_ip_format(&m.u.init.interface.ipv4, text), ==, "100.70.1.9");
    g_assert_cmpuint(m.u.init.interface.n_upstream_do53, ==, 1);
    g_assert_cmpstr(m.u.init.interface.search_domain, ==, "corp.example");
    g_assert_cmpuint(m.u.init.n_resources, ==, 1);
    r = &m.u.init.resources[0];
    g_assert_cmpint(r->type, ==, SP_RESOURCE_DNS);
    g_assert_cmpstr(r->address, ==, "**.wiki.example");
    g_assert_null(r->address_description);
    g_assert_cmpuint(r->n_sites, ==, 1);
    g_assert_cmpstr(r->sites[0].name, ==, "HQ");
    g_assert_cmpuint(r->n_filters, ==, 1);
    g_assert_cmpuint(r->filters[0].port_start, ==, 443);
    g_assert_cmpuint(r->filters[0].port_end, ==, 443);
    g_assert_cmpuint(m.u.init.n_relays, ==, 1);
    g_assert_cmpuint(m.u.init.relays[0].addr4.port, ==, 3478);
    g_assert_cmpint(m.u.init.relays[0].addr6.ip.family, ==, 0);
    g_assert_cmpint(m.u.init.relays[0].expires_at, ==, 1900000000);
    sp_client_msg_done(&m);
}

static void
init_skips_what_it_does_not_know(void)
{
    struct sp_portal_skips skips = { 0 };
    struct sp_client_msg m;

    g_assert_cmpint(
        decode("init",
               "{'interface':{" IFACE "},'resources':["
               "{'type':'cidr','id':'no','name':'bad id','address':'10.0.0.0/8'," SITES "},"
               "{'type':'cidr','id':" R1 ",'name':'host bits','address':'10.0.0.1/8'," SITES "},"
               "{'type':'cidr','id':" R1 ",'name':'no sites','address':'10.0.0.0/8'},"
               "{'type':'cidr','id':" R1 ",'name':'filter','address':'10.0.0.0/8'," SITES
               ",'filters':[{'protocol':'sctp'}]},"
               "{'type':'static_device_pool','id':" R1 ",'name':'pool'},"
               "{'type':'hovercraft'},"
               "{'type':'internet','id':" R2 ",'gateway_groups':[{'id':" SITE ",'name':'HQ'}],"
               "'can_be_disabled':true}]}",
               &skips,
               &m),
        ==,
        0);
    g_assert_cmpuint(m.u.init.n_resources, ==, 1);
    g_assert_cmpint(m.u.init.resources[0].type, ==, SP_RESOURCE_INTERNET);
    g_assert_cmpstr(m.u.init.resources[0].name, ==, "Internet Resource");
    g_assert_cmpuint(m.u.init.resources[0].n_sites, ==, 1);
    g_assert_cmpuint(m.u.init.n_relays, ==, 0);
    g_assert_cmpuint(skips.bad_resources, ==, 4);
    g_assert_cmpuint(skips.unknown_resources, ==, 2);
    sp_client_msg_done(&m);
}

static void
relays_are_grouped_by_id(void)
{
    struct sp_portal_skips skips = { 0 };
    struct sp_client_msg m;

    g_assert_cmpint(
        decode("relays_presence",
               "{'disconnected_ids':[" OTHER "],'connected':[" TURN(
                   RELAY,
                   "203.0.113.7:3478") ","
                                       "{'type':'stun','id':" OTHER
                                       ",'addr':'203.0.113.9:3478'}," TURN(
                                           OTHER,
                                           "203.0.113.8:3478") "," TURN(RELAY,
                                                                        "[2001:db8::7]:3479") "]}",
               &skips,
               &m),
        ==,
        0);
    g_assert_cmpuint(m.u.relays.n_disconnected, ==, 1);
    g_assert_cmpuint(m.u.relays.n_connected, ==, 2);
    g_assert_cmpint(m.u.relays.connected[0].addr4.ip.family, ==, 4);
    g_assert_cmpint(m.u.relays.connected[0].addr6.ip.family, ==, 6);
    g_assert_cmpuint(m.u.relays.connected[0].addr6.port, ==, 3479);
    g_assert_cmpint(m.u.relays.connected[1].addr6.ip.family, ==, 0);
    sp_client_msg_done(&m);
}

static void
resolvers_fold(void)
{
    static const struct {
        const char *dns;
        int r;
        size_t n_do53, n_doh;
        const char *first;
    } cases[] = {
        { "'upstream_do53':[{'ip':'9.9.9.9'}],'upstream_dns':[{'protocol':'ip_port',"
          "'address':'8.8.8.8:53'}]",
          0,
          1,
          0,
          "9.9.9.9" },
        { "'upstream_dns':[{'protocol':'ip_port','address':'[2620:fe::fe]:5353'}]",
          0,
          1,
          0,
          "2620:fe::fe" },
        { "'upstream_dns':[{'protocol':'carrier_pigeon','address':'8.8.8.8:53'}]",
          SP_E_MALFORMED,
          0,
          0,
          NULL },
        { "'upstream_doh':[{'url':'https://dns.quad9.net/dns-query'}]", 0, 0, 1, NULL },
        { "'upstream_doh':[{'url':'http://dns.quad9.net/dns-query'}]", SP_E_MALFORMED, 0, 0, NULL },
        { "'upstream_doh':[{'url':'https:///dns-query'}]", SP_E_MALFORMED, 0, 0, NULL },
        { "'upstream_doh':[{'url':'https://x/dns-query?a=1'}]", SP_E_MALFORMED, 0, 0, NULL },
        { "'upstream_do53':[{'ip':'9.9.9.9:53'}]", SP_E_MALFORMED, 0, 0, NULL },
        { "'upstream_do53':null,'upstream_doh':null", 0, 0, 0, NULL },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = g_strdup_printf("{'interface':{" IFACE ",%s}}", cases[i].dns);
        struct sp_portal_skips skips = { 0 };
        struct sp_client_msg m = { 0 };
        char ip[SP_IP_STR_MAX];

        g_test_message("case %zu", i);
        g_assert_cmpint(decode("config_changed", text, &skips, &m), ==, cases[i].r);
        if (cases[i].r < 0)
            continue;
        g_assert_cmpuint(m.u.config.n_upstream_do53, ==, cases[i].n_do53);
        g_assert_cmpuint(m.u.config.upstream_doh.n, ==, cases[i].n_doh);
        if (cases[i].first != NULL)
            g_assert_cmpstr(sp_ip_format(&m.u.config.upstream_do53[0], ip), ==, cases[i].first);
        sp_client_msg_done(&m);
    }
}

static void
authorized(void)
{
    static const char *const events[] = { "authorization_created", "flow_created" };
    static const char *const sites[] = { "site_id", "gateway_group_id" };

    for (size_t i = 0; i < 2; i++) {
        g_autofree char *text = g_strdup_printf(
            "{'resource_id':" R1 ",'gateway_id':" GW ",'gateway_public_key':" KEY
            ",'gateway_ipv4':'100.64.0.1','gateway_ipv6':'fd00:2021:1111::1','%s':" SITE
            ",'preshared_key':" PSK "," CREDS "%s}",
            sites[i],
            i == 1 ? ",'use_iceless':true" : "");
        struct sp_portal_skips skips = { 0 };
        struct sp_client_msg m;

        g_assert_cmpint(decode(events[i], text, &skips, &m), ==, 0);
        g_assert_cmpint(m.type, ==, SP_CLIENT_MSG_AUTHORIZED);
        g_assert_cmpint(m.u.authorized.use_iceless, ==, i == 1);
        for (size_t k = 0; k < SP_KEY_LEN; k++)
            g_assert_cmpuint(m.u.authorized.gateway_key[k], ==, 2);
        g_assert_cmphex(m.u.authorized.psk[0], ==, 0xb6);
        g_assert_cmphex(m.u.authorized.psk[31], ==, 0xff);
        g_assert_cmpstr(m.u.authorized.client_creds.ufrag, ==, "eokn");
        g_assert_cmpstr(m.u.authorized.gateway_creds.pwd, ==, "gj5f2zjrxg6cwvtrtqgfva");
        sp_client_msg_done(&m);
    }
}

static void
keys_are_exact(void)
{
    static const struct {
        const char *key;
        int r;
    } cases[] = {
        { KEY, 0 },
        { "'AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI'", SP_E_MALFORMED },   /* no padding */
        { "'AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=='", SP_E_MALFORMED },  /* 31 bytes */
        { "'AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIC'", SP_E_MALFORMED },  /* 33 bytes */
        { "'AgICAgICAgICAgICAgICAgICAgICAgICAgICAgI-_gI='", SP_E_MALFORMED },  /* URL alphabet */
        { "'AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI= '", SP_E_MALFORMED }, /* blank */
        { "42", SP_E_MALFORMED },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text =
            g_strdup_printf("{'resource_id':" R1 ",'gateway_id':" GW ",'gateway_public_key':%s"
                            ",'gateway_ipv4':'100.64.0.1','gateway_ipv6':'fd00::1','site_id':" SITE
                            ",'preshared_key':" PSK "," CREDS "}",
                            cases[i].key);
        struct sp_portal_skips skips = { 0 };
        struct sp_client_msg m;

        g_test_message("case %zu", i);
        g_assert_cmpint(decode("authorization_created", text, &skips, &m), ==, cases[i].r);
        if (cases[i].r == 0)
            sp_client_msg_done(&m);
    }
}

static void
small_messages(void)
{
    static const struct {
        const char *event, *payload;
        int r;
    } cases[] = {
        { "resource_deleted", R1, 0 },
        { "resource_deleted", "'urn:uuid:5f0c0000-0000-4000-8000-000000000001'", 0 },
        { "resource_deleted", "'{5F0C0000-0000-4000-8000-000000000001}'", 0 },
        { "resource_deleted", "'5f0c0000000040008000000000000001'", 0 },
        { "resource_deleted", "'{5f0c0000-0000-4000-8000-000000000001'", SP_E_MALFORMED },
        { "resource_deleted", "{'id':" R1 "}", SP_E_MALFORMED },
        { "resource_deleted", "null", SP_E_MALFORMED },
        { "authorization_creation_failed", "{'resource_id':" R1 ",'reason':'offline'}", 0 },
        { "flow_creation_failed", "{'resource_id':" R1 ",'reason':'who knows'}", 0 },
        { "authorization_creation_failed", "{'resource_id':" R1 "}", SP_E_MALFORMED },
        { "resource_created_or_updated",
          "{'type':'cidr','id':" R1 ",'name':'n','address':'2001:db8::/32'," SITES "}",
          0 },
        { "resource_created_or_updated", "{'type':'dynamic_device_pool'}", SP_E_UNSUPPORTED },
        { "resource_created_or_updated", "{'id':" R1 "}", SP_E_MALFORMED },
        { "resource_created_or_updated", "[]", SP_E_MALFORMED },
        { "init", "{'interface':{'ipv4':'100.70.1.9'}}", SP_E_MALFORMED },
        { "init", "{'interface':{'ipv4':'fd00::1','ipv6':'100.1.1.1'}}", SP_E_MALFORMED },
        { "init", "{'interface':{" IFACE "},'resources':[{'id':" R1 "}]}", SP_E_MALFORMED },
        { "init", "{'interface':{" IFACE "},'resources':[7]}", SP_E_MALFORMED },
        { "init", "{'interface':{" IFACE "},'resources':{}}", SP_E_MALFORMED },
        { "init", "{'interface':{" IFACE "},'relays':[{'type':'teleport'}]}", SP_E_MALFORMED },
        { "init",
          "{'interface':{" IFACE "},'relays':[" TURN(RELAY, "203.0.113.7") "]}",
          SP_E_MALFORMED },
        { "init",
          "{'interface':{" IFACE "},'relays':[" TURN(RELAY, "2001:db8::1:3478") "]}",
          SP_E_MALFORMED },
        { "init", "7", SP_E_MALFORMED },
        { "access_authorization_expiry_updated", "{}", SP_E_UNSUPPORTED },
        { "client_device_access_denied", "{}", SP_E_UNSUPPORTED },
        { "", "null", SP_E_UNSUPPORTED },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct sp_portal_skips skips = { 0 };
        struct sp_client_msg m;

        g_test_message("case %zu", i);
        g_assert_cmpint(decode(cases[i].event, cases[i].payload, &skips, &m), ==, cases[i].r);
        if (cases[i].r == 0)
            sp_client_msg_done(&m);
    }
    g_assert_cmpint(sp_portal_client_decode("init", NULL, &(struct sp_client_msg){ 0 }),
                    ==,
                    SP_E_MALFORMED);
}

static void
candidates_are_gated_one_by_one(void)
{
    struct sp_portal_skips skips = { 0 };
    struct sp_client_msg m;

    g_assert_cmpint(decode("gateway_ice_candidates",
                           "{'gateway_id':" GW ",'candidates':["
                           "'candidate:fffeff7e 1 udp 2130706175 192.0.2.10 52625 typ host',"
                           "'candidate:fffeff7e 1 udp 4294967296 192.0.2.10 52625 typ host',"
                           "'candidate:fffeff7e 1 udp',"
                           "'a=candidate:1 1 udp 1 192.0.2.10 52625 typ host',"
                           "7,null,"
                           "'candidate:x  1\\tudp 0 192.0.2.10 1 typ host']}",
                           &skips,
                           &m),
                    ==,
                    0);
    g_assert_cmpint(m.type, ==, SP_CLIENT_MSG_CANDIDATES);
    g_assert_cmpuint(m.u.candidates.list.n, ==, 2);
    g_assert_cmpuint(skips.bad_candidates, ==, 5);
    sp_client_msg_done(&m);
}

static void
limits_hold(void)
{
    g_autoptr(GString) text = g_string_new("{'gateway_id':" GW ",'candidates':[''");
    struct sp_portal_skips skips = { 0 };
    struct sp_client_msg m;

    for (size_t i = 1; i < SP_MODEL_CANDIDATES_MAX; i++)
        g_string_append(text, ",''");
    g_string_append(text, "]}");
    g_assert_cmpint(decode("invalidate_ice_candidates", text->str, &skips, &m), ==, 0);
    sp_client_msg_done(&m);
    g_string_truncate(text, text->len - 2);
    g_string_append(text, ",'']}");
    g_assert_cmpint(decode("invalidate_ice_candidates", text->str, &skips, &m), ==, SP_E_MALFORMED);
}

static void
check_encode(struct sp_client_req *req, const char *event, const char *payload)
{
    g_autofree char *want = json_text(payload);
    char *got_event, *got_payload;

    g_assert_cmpint(sp_portal_client_encode(req, &got_event, &got_payload), ==, 0);
    g_assert_cmpstr(got_event, ==, event);
    g_assert_cmpstr(got_payload, ==, want);
    free(got_event);
    free(got_payload);
}

static void
requests(void)
{
    struct sp_client_req req = { .type = SP_CLIENT_REQ_AUTHORIZATION };
    struct sp_uuid gateways[2] = { { .b = { 0x22 } }, { .b = { 0x23 } } };

    req.u.authorization.resource_id.b[15] = 9;
    req.u.authorization.connected_gateways = gateways;
    req.u.authorization.n_connected_gateways = 2;
    check_encode(&req,
                 "request_authorization",
                 "{'resource_id':'00000000-0000-0000-0000-000000000009',"
                 "'connected_gateway_ids':['22000000-0000-0000-0000-000000000000',"
                 "'23000000-0000-0000-0000-000000000000']}");
    req.u.authorization.n_connected_gateways = 0;
    check_encode(&req,
                 "request_authorization",
                 "{'resource_id':'00000000-0000-0000-0000-000000000009',"
                 "'connected_gateway_ids':[]}");
    req = (struct sp_client_req){ .type = SP_CLIENT_REQ_NO_RELAYS };
    check_encode(&req, "no_relays", "{}");
    req.type = SP_CLIENT_REQ_NEW_CANDIDATES;
    sp_strv_add(&req.u.candidates.list, "candidate:1 1 udp 1 192.0.2.1 1 typ host");
    check_encode(&req,
                 "new_gateway_ice_candidates",
                 "{'gateway_id':'00000000-0000-0000-0000-000000000000','candidates':["
                 "'candidate:1 1 udp 1 192.0.2.1 1 typ host']}");
    req.type = SP_CLIENT_REQ_INVALIDATE_CANDIDATES;
    check_encode(&req,
                 "invalidate_gateway_ice_candidates",
                 "{'gateway_id':'00000000-0000-0000-0000-000000000000','candidates':["
                 "'candidate:1 1 udp 1 192.0.2.1 1 typ host']}");
    sp_client_req_done(&req);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/portal/client-codec/init-sample", init_sample);
    g_test_add_func("/portal/client-codec/init-skips-unknown", init_skips_what_it_does_not_know);
    g_test_add_func("/portal/client-codec/relays-grouped", relays_are_grouped_by_id);
    g_test_add_func("/portal/client-codec/resolvers-fold", resolvers_fold);
    g_test_add_func("/portal/client-codec/authorized", authorized);
    g_test_add_func("/portal/client-codec/keys-exact", keys_are_exact);
    g_test_add_func("/portal/client-codec/small-messages", small_messages);
    g_test_add_func("/portal/client-codec/candidates", candidates_are_gated_one_by_one);
    g_test_add_func("/portal/client-codec/limits", limits_hold);
    g_test_add_func("/portal/client-codec/requests", requests);
    return g_test_run();
}
