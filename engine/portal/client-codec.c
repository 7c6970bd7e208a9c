/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/portal/client-codec.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/err.h"
#include "engine/portal/codec-private.h"
#include "engine/portal/json-private.h"

typedef int (*decode_fn)(JsonNode *node, struct sp_portal_skips *skips, struct sp_client_msg *m);

static int
decode_resources(JsonObject *o, struct sp_portal_skips *skips, struct sp_client_init *init)
{
    JsonArray *a;
    guint n;

    if (sp_json_opt_array(o, "resources", SP_MODEL_RESOURCES_MAX, &a) < 0)
        return SP_E_MALFORMED;
    n = a != NULL ? json_array_get_length(a) : 0;
    init->resources = sp_xcalloc(n, sizeof *init->resources);
    for (guint i = 0; i < n; i++) {
        int r = sp_portal_decode_client_resource(json_array_get_element(a, i),
                                                 &init->resources[init->n_resources]);

        if (r == SP_E_INVAL)
            return SP_E_MALFORMED;
        if (r == 0)
            init->n_resources++;
        else if (r == SP_E_UNSUPPORTED)
            skips->unknown_resources++;
        else
            skips->bad_resources++;
    }
    return 0;
}

static int
decode_init(JsonNode *node, struct sp_portal_skips *skips, struct sp_client_msg *m)
{
    struct sp_client_init *init = &m->u.init;
    JsonObject *o, *iface;

    if (sp_json_object(node, &o) < 0 || sp_json_get_object(o, "interface", &iface) < 0
        || sp_portal_decode_interface(iface, &init->interface) < 0
        || decode_resources(o, skips, init) < 0)
        return SP_E_MALFORMED;
    return sp_portal_decode_relays(o, "relays", &init->relays, &init->n_relays);
}

static int
decode_config(JsonNode *node, SP_UNUSED struct sp_portal_skips *skips, struct sp_client_msg *m)
{
    JsonObject *o, *iface;

    if (sp_json_object(node, &o) < 0 || sp_json_get_object(o, "interface", &iface) < 0)
        return SP_E_MALFORMED;
    return sp_portal_decode_interface(iface, &m->u.config);
}

static int
decode_upsert(JsonNode *node, struct sp_portal_skips *skips, struct sp_client_msg *m)
{
    int r = sp_portal_decode_client_resource(node, &m->u.resource);

    if (r == SP_E_UNSUPPORTED)
        skips->unknown_resources++;
    else if (r < 0)
        skips->bad_resources++;
    return r == SP_E_INVAL ? SP_E_MALFORMED : r;
}

static int
decode_deleted(JsonNode *node, SP_UNUSED struct sp_portal_skips *skips, struct sp_client_msg *m)
{
    return sp_json_node_uuid(node, &m->u.resource_id);
}

static int
decode_presence(JsonNode *node, SP_UNUSED struct sp_portal_skips *skips, struct sp_client_msg *m)
{
    return sp_portal_decode_presence(node, &m->u.relays);
}

static int
decode_authorized(JsonNode *node, SP_UNUSED struct sp_portal_skips *skips, struct sp_client_msg *m)
{
    struct sp_client_authorized *a = &m->u.authorized;
    const char *site;
    JsonObject *o;

    if (sp_json_object(node, &o) < 0)
        return SP_E_MALFORMED;
    site = sp_json_member(o, "site_id") != NULL ? "site_id" : "gateway_group_id";
    if (sp_json_get_uuid(o, "resource_id", &a->resource_id) < 0
        || sp_json_get_uuid(o, "gateway_id", &a->gateway_id) < 0
        || sp_json_get_uuid(o, site, &a->site_id) < 0
        || sp_json_get_key(o, "gateway_public_key", a->gateway_key) < 0
        || sp_json_get_ip(o, "gateway_ipv4", 4, &a->gateway_ipv4) < 0
        || sp_json_get_ip(o, "gateway_ipv6", 6, &a->gateway_ipv6) < 0
        || sp_json_get_key(o, "preshared_key", a->psk) < 0
        || sp_portal_decode_ice(o, "client_ice_credentials", &a->client_creds) < 0
        || sp_portal_decode_ice(o, "gateway_ice_credentials", &a->gateway_creds) < 0)
        return SP_E_MALFORMED;
    return sp_json_opt_bool(o, "use_iceless", false, &a->use_iceless);
}

static int
decode_failed(JsonNode *node, SP_UNUSED struct sp_portal_skips *skips, struct sp_client_msg *m)
{
    const char *reason;
    JsonObject *o;

    if (sp_json_object(node, &o) < 0
        || sp_json_get_uuid(o, "resource_id", &m->u.failed.resource_id) < 0
        || sp_json_get_string(o, "reason", SP_JSON_TEXT_MAX, &reason) < 0)
        return SP_E_MALFORMED;
    m->u.failed.reason = sp_fail_reason_parse(reason);
    return 0;
}

static int
decode_candidates(JsonNode *node, struct sp_portal_skips *skips, struct sp_client_msg *m)
{
    return sp_portal_decode_candidates(node, "gateway_id", skips, &m->u.candidates);
}

static const struct {
    const char *event;
    enum sp_client_msg_type type;
    decode_fn decode;
} events[] = {
    { "init", SP_CLIENT_MSG_INIT, decode_init },
    { "config_changed", SP_CLIENT_MSG_CONFIG_CHANGED, decode_config },
    { "resource_created_or_updated", SP_CLIENT_MSG_RESOURCE_UPSERT, decode_upsert },
    { "resource_deleted", SP_CLIENT_MSG_RESOURCE_DELETED, decode_deleted },
    { "relays_presence", SP_CLIENT_MSG_RELAYS_PRESENCE, decode_presence },
    { "authorization_created", SP_CLIENT_MSG_AUTHORIZED, decode_authorized },
    { "flow_created", SP_CLIENT_MSG_AUTHORIZED, decode_authorized },
    { "authorization_creation_failed", SP_CLIENT_MSG_AUTHORIZATION_FAILED, decode_failed },
    { "flow_creation_failed", SP_CLIENT_MSG_AUTHORIZATION_FAILED, decode_failed },
    { "ice_candidates", SP_CLIENT_MSG_CANDIDATES, decode_candidates },
    { "gateway_ice_candidates", SP_CLIENT_MSG_CANDIDATES, decode_candidates },
    { "invalidate_ice_candidates", SP_CLIENT_MSG_INVALIDATE_CANDIDATES, decode_candidates },
    { "invalidate_gateway_ice_candidates", SP_CLIENT_MSG_INVALIDATE_CANDIDATES, decode_candidates },
};

int
sp_portal_client_decode_counted(const char *event,
                                JsonNode *payload,
                                struct sp_portal_skips *skips,
                                struct sp_client_msg *ret)
{
    for (size_t i = 0; i < SP_ARRAY_SIZE(events); i++) {
        struct sp_client_msg m = { .type = events[i].type };
        int r;

        if (strcmp(event, events[i].event) != 0)
            continue;
        r = events[i].decode(payload, skips, &m);
        if (r == 0)
            *ret = m;
        else
            sp_client_msg_done(&m);
        return r;
    }
    return SP_E_UNSUPPORTED;
}

int
sp_portal_client_decode(const char *event, JsonNode *payload, struct sp_client_msg *ret)
{
    struct sp_portal_skips skips = { 0 };

    return sp_portal_client_decode_counted(event, payload, &skips, ret);
}

static const char *
build(JsonBuilder *b, const struct sp_client_req *req)
{
    switch (req->type) {
    case SP_CLIENT_REQ_AUTHORIZATION:
        json_builder_set_member_name(b, "resource_id");
        sp_portal_build_uuid(b, &req->u.authorization.resource_id);
        json_builder_set_member_name(b, "connected_gateway_ids");
        json_builder_begin_array(b);
        for (size_t i = 0; i < req->u.authorization.n_connected_gateways; i++)
            sp_portal_build_uuid(b, &req->u.authorization.connected_gateways[i]);
        json_builder_end_array(b);
        return "request_authorization";
    case SP_CLIENT_REQ_NEW_CANDIDATES:
    case SP_CLIENT_REQ_INVALIDATE_CANDIDATES:
        json_builder_set_member_name(b, "gateway_id");
        sp_portal_build_uuid(b, &req->u.candidates.peer);
        sp_portal_build_strings(b, "candidates", &req->u.candidates.list);
        return req->type == SP_CLIENT_REQ_NEW_CANDIDATES ? "new_gateway_ice_candidates"
                                                         : "invalidate_gateway_ice_candidates";
    case SP_CLIENT_REQ_NO_RELAYS:
        break;
    }
    return "no_relays";
}

static bool
fits(const struct sp_client_req *req)
{
    switch (req->type) {
    case SP_CLIENT_REQ_AUTHORIZATION:
        return req->u.authorization.n_connected_gateways <= SP_MODEL_RESOURCES_MAX;
    case SP_CLIENT_REQ_NEW_CANDIDATES:
    case SP_CLIENT_REQ_INVALIDATE_CANDIDATES:
        return req->u.candidates.list.n <= SP_MODEL_CANDIDATES_MAX;
    case SP_CLIENT_REQ_NO_RELAYS:
        break;
    }
    return true;
}

int
sp_portal_client_encode(const struct sp_client_req *req, char **ret_event, char **ret_payload)
{
    g_autoptr(JsonBuilder) b = NULL;
    const char *event;

    if (!fits(req))
        return SP_E_LIMIT;
    b = json_builder_new();
    json_builder_begin_object(b);
    event = build(b, req);
    json_builder_end_object(b);
    *ret_event = sp_xstrdup(event);
    *ret_payload = sp_portal_build_text(b);
    return 0;
}
