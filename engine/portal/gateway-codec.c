/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/portal/gateway-codec.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/err.h"
#include "engine/portal/codec-private.h"
#include "engine/portal/json-private.h"

typedef int (*decode_fn)(JsonNode *node, struct sp_portal_skips *skips, struct sp_gw_msg *m);

static int
decode_authz_entry(JsonNode *node, struct sp_authz_entry *ret)
{
    JsonObject *o;

    if (sp_json_object(node, &o) < 0 || sp_json_get_uuid(o, "client_id", &ret->client_id) < 0
        || sp_json_get_uuid(o, "resource_id", &ret->resource_id) < 0)
        return SP_E_MALFORMED;
    return sp_json_opt_int(o, "expires_at", INT64_MAX, &ret->expires_at);
}

static int
decode_authorizations(JsonObject *o, struct sp_gw_init *init)
{
    JsonArray *a;
    guint n;

    if (sp_json_opt_array(o, "authorizations", SP_PORTAL_AUTHZ_MAX, &a) < 0)
        return SP_E_MALFORMED;
    n = a != NULL ? json_array_get_length(a) : 0;
    init->authorizations = sp_xcalloc(n, sizeof *init->authorizations);
    for (guint i = 0; i < n; i++)
        if (decode_authz_entry(json_array_get_element(a, i), &init->authorizations[i]) < 0)
            return SP_E_MALFORMED;
    init->n_authorizations = n;
    return 0;
}

static int
decode_init(JsonNode *node, SP_UNUSED struct sp_portal_skips *skips, struct sp_gw_msg *m)
{
    struct sp_gw_init *init = &m->u.init;
    JsonObject *o, *iface;

    if (sp_json_object(node, &o) < 0 || sp_json_get_object(o, "interface", &iface) < 0
        || sp_json_get_ip(iface, "ipv4", 4, &init->ipv4) < 0
        || sp_json_get_ip(iface, "ipv6", 6, &init->ipv6) < 0 || decode_authorizations(o, init) < 0)
        return SP_E_MALFORMED;
    return sp_portal_decode_relays(o, "relays", &init->relays, &init->n_relays);
}

static int
decode_client(JsonObject *o, struct sp_gw_authorize *a)
{
    JsonObject *c;

    if (sp_json_get_object(o, "client", &c) < 0 || sp_json_get_uuid(c, "id", &a->client_id) < 0
        || sp_json_get_key(c, "public_key", a->client_key) < 0
        || sp_json_get_key(c, "preshared_key", a->psk) < 0
        || sp_json_get_ip(c, "ipv4", 4, &a->client_ipv4) < 0
        || sp_json_get_ip(c, "ipv6", 6, &a->client_ipv6) < 0)
        return SP_E_MALFORMED;
    return 0;
}

static int
decode_authorize(JsonNode *node, SP_UNUSED struct sp_portal_skips *skips, struct sp_gw_msg *m)
{
    struct sp_gw_authorize *a = &m->u.authorize;
    const char *ref;
    JsonObject *o;
    int r;

    if (sp_json_object(node, &o) < 0
        || sp_json_get_string(o, "ref", 16 * SP_JSON_TEXT_MAX, &ref) < 0 || decode_client(o, a) < 0
        || sp_portal_decode_ice(o, "client_ice_credentials", &a->client_creds) < 0
        || sp_portal_decode_ice(o, "gateway_ice_credentials", &a->gateway_creds) < 0
        || sp_json_opt_int(o, "expires_at", INT64_MAX, &a->expires_at) < 0
        || sp_json_opt_bool(o, "use_iceless", false, &a->use_iceless) < 0)
        return SP_E_MALFORMED;
    r = sp_portal_decode_gw_resource(sp_json_member(o, "resource"), &a->resource);
    if (r == 0)
        a->ref = sp_xstrdup(ref);
    return r;
}

static int
decode_reject(JsonNode *node, SP_UNUSED struct sp_portal_skips *skips, struct sp_gw_msg *m)
{
    JsonObject *o;

    if (sp_json_object(node, &o) < 0
        || sp_json_get_uuid(o, "client_id", &m->u.reject.client_id) < 0)
        return SP_E_MALFORMED;
    return sp_json_get_uuid(o, "resource_id", &m->u.reject.resource_id);
}

static int
decode_updated(JsonNode *node, SP_UNUSED struct sp_portal_skips *skips, struct sp_gw_msg *m)
{
    return sp_portal_decode_gw_resource(node, &m->u.resource);
}

static int
decode_candidates(JsonNode *node, struct sp_portal_skips *skips, struct sp_gw_msg *m)
{
    return sp_portal_decode_candidates(node, "client_id", skips, &m->u.candidates);
}

static int
decode_presence(JsonNode *node, SP_UNUSED struct sp_portal_skips *skips, struct sp_gw_msg *m)
{
    return sp_portal_decode_presence(node, &m->u.relays);
}

static const struct {
    const char *event;
    enum sp_gw_msg_type type;
    decode_fn decode;
} events[] = {
    { "init", SP_GW_MSG_INIT, decode_init },
    { "create_authorization", SP_GW_MSG_AUTHORIZE, decode_authorize },
    { "authorize_flow", SP_GW_MSG_AUTHORIZE, decode_authorize },
    { "reject_access", SP_GW_MSG_REJECT_ACCESS, decode_reject },
    { "resource_updated", SP_GW_MSG_RESOURCE_UPDATED, decode_updated },
    { "ice_candidates", SP_GW_MSG_CANDIDATES, decode_candidates },
    { "invalidate_ice_candidates", SP_GW_MSG_INVALIDATE_CANDIDATES, decode_candidates },
    { "relays_presence", SP_GW_MSG_RELAYS_PRESENCE, decode_presence },
};

int
sp_portal_gateway_decode_counted(const char *event,
                                 JsonNode *payload,
                                 struct sp_portal_skips *skips,
                                 struct sp_gw_msg *ret)
{
    for (size_t i = 0; i < SP_ARRAY_SIZE(events); i++) {
        struct sp_gw_msg m = { .type = events[i].type };
        int r;

        if (strcmp(event, events[i].event) != 0)
            continue;
        r = events[i].decode(payload, skips, &m);
        if (r == 0)
            *ret = m;
        else
            sp_gw_msg_done(&m);
        return r;
    }
    return SP_E_UNSUPPORTED;
}

int
sp_portal_gateway_decode(const char *event, JsonNode *payload, struct sp_gw_msg *ret)
{
    struct sp_portal_skips skips = { 0 };

    return sp_portal_gateway_decode_counted(event, payload, &skips, ret);
}

static void
build_candidates(JsonBuilder *b, const struct sp_candidates *c)
{
    json_builder_set_member_name(b, "client_ids");
    json_builder_begin_array(b);
    sp_portal_build_uuid(b, &c->peer);
    json_builder_end_array(b);
    sp_portal_build_strings(b, "candidates", &c->list);
}

static const char *
build(JsonBuilder *b, const struct sp_gw_req *req)
{
    switch (req->type) {
    case SP_GW_REQ_AUTHORIZED:
        json_builder_set_member_name(b, "ref");
        json_builder_add_string_value(b, req->u.ref);
        return "authorization_created";
    case SP_GW_REQ_NEW_CANDIDATES:
        build_candidates(b, &req->u.candidates);
        return "broadcast_ice_candidates";
    case SP_GW_REQ_INVALIDATE_CANDIDATES:
        build_candidates(b, &req->u.candidates);
        return "broadcast_invalidated_ice_candidates";
    case SP_GW_REQ_NO_RELAYS:
        break;
    }
    return "no_relays";
}

int
sp_portal_gateway_encode(const struct sp_gw_req *req, char **ret_event, char **ret_payload)
{
    bool lists =
        req->type == SP_GW_REQ_NEW_CANDIDATES || req->type == SP_GW_REQ_INVALIDATE_CANDIDATES;
    g_autoptr(JsonBuilder) b = NULL;
    const char *event;

    if (lists && req->u.candidates.list.n > SP_MODEL_CANDIDATES_MAX)
        return SP_E_LIMIT;
    b = json_builder_new();
    json_builder_begin_object(b);
    event = build(b, req);
    json_builder_end_object(b);
    *ret_event = sp_xstrdup(event);
    *ret_payload = sp_portal_build_text(b);
    return 0;
}
