/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>
#include <stdlib.h>

#include "engine/base/err.h"
#include "engine/portal/gateway-codec.h"
#include "tests/unit/portal/json-support.h"

#define C1    "'11111111-1111-4111-8111-111111111111'"
#define R1    "'5f0c0000-0000-4000-8000-000000000001'"
#define IFACE "'interface':{'ipv4':'100.64.0.1','ipv6':'fd00:2021:1111::1'}"
/* 32 times 0x01 and the PSK of spec portal-protocol 10 */
#define KEY "'AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE='"
#define PSK "'thsZ6mikkarENRUpdNoBNYXk746FK6e5mO9ruCJmvP8='"
#define CLIENT                                                        \
    "'client':{'id':" C1 ",'public_key':" KEY ",'preshared_key':" PSK \
    ",'ipv4':'100.70.1.9','ipv6':'fd00:2021:1111::1:9','version':'1.5.17'}"
#define CREDS                                                                           \
    "'client_ice_credentials':{'username':'eokn','password':'5enp7ct6775ebzonvunxjy'}," \
    "'gateway_ice_credentials':{'username':'6m26','password':'gj5f2zjrxg6cwvtrtqgfva'}"
#define DNS                                                                        \
    "'resource':{'type':'dns','id':" R1 ",'name':'wiki','address':'wiki.example'," \
    "'filters':[{'protocol':'icmp'},{'protocol':'udp'}]}"

static int
decode(const char *event, const char *payload, struct sp_gw_msg *ret)
{
    g_autoptr(JsonNode) node = json_of(payload);

    return sp_portal_gateway_decode(event, node, ret);
}

static void
init(void)
{
    struct sp_gw_msg m;

    g_assert_cmpint(decode("init",
                           "{" IFACE ",'config':{'ipv4_masquerade_enabled':true,"
                           "'ipv6_masquerade_enabled':true},'account_slug':'acme','relays':[],"
                           "'authorizations':[{'client_id':" C1 ",'resource_id':" R1
                           ",'expires_at':1900000000},"
                           "{'client_id':" C1 ",'resource_id':" R1 "},"
                           "{'client_id':" C1 ",'resource_id':" R1 ",'expires_at':null}]}",
                           &m),
                    ==,
                    0);
    g_assert_cmpint(m.type, ==, SP_GW_MSG_INIT);
    g_assert_cmpuint(m.u.init.n_authorizations, ==, 3);
    g_assert_cmpint(m.u.init.authorizations[0].expires_at, ==, 1900000000);
    g_assert_cmpint(m.u.init.authorizations[1].expires_at, ==, INT64_MAX);
    g_assert_cmpint(m.u.init.authorizations[2].expires_at, ==, INT64_MAX);
    g_assert_cmphex(m.u.init.authorizations[0].client_id.b[0], ==, 0x11);
    sp_gw_msg_done(&m);
}

static void
authorize(void)
{
    static const char *const events[] = { "create_authorization", "authorize_flow" };

    for (size_t i = 0; i < 2; i++) {
        struct sp_gw_msg m;

        g_assert_cmpint(decode(events[i],
                               i == 0 ? "{'ref':'k3'," DNS "," CLIENT "," CREDS
                                        ",'expires_at':1900000000,'subject':{'actor_name':'x'}}"
                                      : "{'ref':'k3'," DNS "," CLIENT "," CREDS "}",
                               &m),
                        ==,
                        0);
        g_assert_cmpstr(m.u.authorize.ref, ==, "k3");
        g_assert_cmpint(m.u.authorize.expires_at, ==, i == 0 ? 1900000000 : INT64_MAX);
        g_assert_cmphex(m.u.authorize.client_key[31], ==, 1);
        g_assert_cmphex(m.u.authorize.psk[0], ==, 0xb6);
        g_assert_cmpstr(m.u.authorize.client_creds.ufrag, ==, "eokn");
        g_assert_cmpstr(m.u.authorize.gateway_creds.ufrag, ==, "6m26");
        g_assert_false(m.u.authorize.use_iceless);
        g_assert_cmpuint(m.u.authorize.resource.n_filters, ==, 2);
        g_assert_cmpint(m.u.authorize.resource.filters[0].proto, ==, SP_FILTER_ICMP);
        g_assert_cmpuint(m.u.authorize.resource.filters[1].port_start, ==, 0);
        g_assert_cmpuint(m.u.authorize.resource.filters[1].port_end, ==, 65535);
        sp_gw_msg_done(&m);
    }
}

static void
small_messages(void)
{
    static const struct {
        const char *event, *payload;
        int r;
    } cases[] = {
        { "reject_access", "{'client_id':" C1 ",'resource_id':" R1 "}", 0 },
        { "reject_access", "{'client_id':" C1 "}", SP_E_MALFORMED },
        { "resource_updated", "{'type':'internet','id':" R1 "}", 0 },
        { "resource_updated",
          "{'type':'cidr','id':" R1 ",'name':'n','address':'10.0.0.0/8',"
          "'filters':[]}",
          0 },
        /* a missing list must not open everything */
        { "resource_updated",
          "{'type':'cidr','id':" R1 ",'name':'n','address':'10.0.0.0/8'}",
          SP_E_MALFORMED },
        { "resource_updated",
          "{'type':'cidr','id':" R1 ",'name':'n','address':'10.0.0.0/8',"
          "'filters':[{'protocol':'tcp','port_range_start':9,"
          "'port_range_end':8}]}",
          SP_E_MALFORMED },
        { "resource_updated",
          "{'type':'cidr','id':" R1 ",'name':'n','address':'10.0.0.0/8',"
          "'filters':[{'protocol':'tcp','port_range_end':65536}]}",
          SP_E_MALFORMED },
        { "resource_updated", "{'type':'static_device_pool','id':" R1 "}", SP_E_UNSUPPORTED },
        { "resource_updated", "{'id':" R1 "}", SP_E_MALFORMED },
        { "create_authorization", "{'ref':'k3'," CLIENT "," CREDS "}", SP_E_MALFORMED },
        { "create_authorization", "{" DNS "," CLIENT "," CREDS "}", SP_E_MALFORMED },
        { "create_authorization",
          "{'ref':'k3'," DNS "," CLIENT "," CREDS ",'expires_at':'soon'}",
          SP_E_MALFORMED },
        { "create_authorization",
          "{'ref':'k3'," DNS "," CLIENT "," CREDS ",'expires_at':1.5}",
          SP_E_MALFORMED },
        { "create_authorization",
          "{'ref':'k3','resource':{'type':'x'}," CLIENT "," CREDS "}",
          SP_E_UNSUPPORTED },
        { "ice_candidates", "{'client_id':" C1 ",'candidates':[]}", 0 },
        { "invalidate_ice_candidates", "{'client_id':" C1 ",'candidates':[]}", 0 },
        { "ice_candidates", "{'client_id':" C1 "}", SP_E_MALFORMED },
        { "relays_presence", "{'disconnected_ids':[],'connected':[]}", 0 },
        { "relays_presence", "{'disconnected_ids':['x'],'connected':[]}", SP_E_MALFORMED },
        { "init", "{" IFACE "}", 0 },
        { "init", "{}", SP_E_MALFORMED },
        { "init", "{" IFACE ",'authorizations':[{'client_id':" C1 "}]}", SP_E_MALFORMED },
        { "access_authorization_expiry_updated", "{}", SP_E_UNSUPPORTED },
        { "request_connection", "{}", SP_E_UNSUPPORTED },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct sp_gw_msg m;

        g_test_message("case %zu", i);
        g_assert_cmpint(decode(cases[i].event, cases[i].payload, &m), ==, cases[i].r);
        if (cases[i].r == 0)
            sp_gw_msg_done(&m);
    }
}

/* The samples of spec portal-protocol 3.4. */
static void
requests(void)
{
    static char ref[] = "k\"3";
    struct sp_gw_req req = { .type = SP_GW_REQ_AUTHORIZED, .u.ref = ref };
    g_autofree char *want = NULL;
    char *event, *payload;

    g_assert_cmpint(sp_portal_gateway_encode(&req, &event, &payload), ==, 0);
    g_assert_cmpstr(event, ==, "authorization_created");
    g_assert_cmpstr(payload, ==, "{\"ref\":\"k\\\"3\"}");
    free(event);
    free(payload);
    req = (struct sp_gw_req){ .type = SP_GW_REQ_NEW_CANDIDATES };
    for (size_t i = 0; i < 16; i++)
        req.u.candidates.peer.b[i] = 0x11;
    sp_strv_add(&req.u.candidates.list, "candidate:1 1 udp 1 192.0.2.1 1 typ host");
    g_assert_cmpint(sp_portal_gateway_encode(&req, &event, &payload), ==, 0);
    want = json_text("{'client_ids':['11111111-1111-1111-1111-111111111111'],'candidates':["
                     "'candidate:1 1 udp 1 192.0.2.1 1 typ host']}");
    g_assert_cmpstr(event, ==, "broadcast_ice_candidates");
    g_assert_cmpstr(payload, ==, want);
    free(event);
    free(payload);
    req.type = SP_GW_REQ_INVALIDATE_CANDIDATES;
    g_assert_cmpint(sp_portal_gateway_encode(&req, &event, &payload), ==, 0);
    g_assert_cmpstr(event, ==, "broadcast_invalidated_ice_candidates");
    free(event);
    free(payload);
    for (size_t i = 0; i < SP_MODEL_CANDIDATES_MAX; i++)
        sp_strv_add(&req.u.candidates.list, "candidate:1 1 udp 1 192.0.2.1 1 typ host");
    g_assert_cmpint(sp_portal_gateway_encode(&req, &event, &payload), ==, SP_E_LIMIT);
    sp_gw_req_done(&req);
    req.type = SP_GW_REQ_NO_RELAYS;
    g_assert_cmpint(sp_portal_gateway_encode(&req, &event, &payload), ==, 0);
    g_assert_cmpstr(event, ==, "no_relays");
    g_assert_cmpstr(payload, ==, "{}");
    free(event);
    free(payload);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/portal/gateway-codec/init", init);
    g_test_add_func("/portal/gateway-codec/authorize", authorize);
    g_test_add_func("/portal/gateway-codec/small-messages", small_messages);
    g_test_add_func("/portal/gateway-codec/requests", requests);
    return g_test_run();
}
