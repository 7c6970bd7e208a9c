/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "engine/base/err.h"
#include "engine/portal/codec-private.h"
#include "engine/portal/json-private.h"

static size_t
array_len(JsonArray *a)
{
    return a != NULL ? json_array_get_length(a) : 0;
}

/* ---- interface ------------------------------------------------------------------------------- */

static int
check_doh_url(const char *text)
{
    g_autoptr(GUri) uri = g_uri_parse(text, G_URI_FLAGS_NONE, NULL);
    bool ok = uri != NULL && g_ascii_strcasecmp(g_uri_get_scheme(uri), "https") == 0
              && g_uri_get_host(uri) != NULL && g_uri_get_host(uri)[0] != '\0'
              && g_uri_get_query(uri) == NULL;

    return ok ? 0 : SP_E_MALFORMED;
}

static int
decode_doh(JsonObject *o, struct sp_strv *list)
{
    JsonArray *a;

    if (sp_json_opt_array(o, "upstream_doh", SP_MODEL_SERVERS_MAX, &a) < 0)
        return SP_E_MALFORMED;
    for (size_t i = 0; i < array_len(a); i++) {
        JsonObject *entry;
        const char *url;

        if (sp_json_object(json_array_get_element(a, (guint)i), &entry) < 0
            || sp_json_get_string(entry, "url", SP_JSON_TEXT_MAX, &url) < 0
            || check_doh_url(url) < 0)
            return SP_E_MALFORMED;
        sp_strv_add(list, url);
    }
    return 0;
}

static int
decode_do53_entry(JsonObject *entry, struct sp_ip *ret)
{
    const char *text;

    if (sp_json_get_string(entry, "ip", SP_IP_STR_MAX, &text) < 0)
        return SP_E_MALFORMED;
    return sp_ip_parse(text, ret);
}

/* The legacy form carries a port, which nobody uses. */
static int
decode_legacy_dns_entry(JsonObject *entry, struct sp_ip *ret)
{
    struct sp_endpoint ep;
    const char *text;

    if (sp_json_get_string(entry, "protocol", SP_JSON_TEXT_MAX, &text) < 0
        || strcmp(text, "ip_port") != 0
        || sp_json_get_string(entry, "address", SP_ENDPOINT_STR_MAX, &text) < 0
        || sp_endpoint_parse(text, &ep) < 0)
        return SP_E_MALFORMED;
    *ret = ep.ip;
    return 0;
}

static int
decode_servers(JsonObject *o,
               const char *key,
               int (*decode)(JsonObject *entry, struct sp_ip *ret),
               struct sp_interface *iface)
{
    JsonArray *a;

    if (sp_json_opt_array(o, key, SP_MODEL_SERVERS_MAX, &a) < 0)
        return SP_E_MALFORMED;
    if (array_len(a) == 0)
        return 0;
    iface->upstream_do53 = sp_xcalloc(array_len(a), sizeof *iface->upstream_do53);
    for (size_t i = 0; i < array_len(a); i++) {
        JsonObject *entry;

        if (sp_json_object(json_array_get_element(a, (guint)i), &entry) < 0
            || decode(entry, &iface->upstream_do53[iface->n_upstream_do53]) < 0)
            return SP_E_MALFORMED;
        iface->n_upstream_do53++;
    }
    return 0;
}

static int
fill_interface(JsonObject *o, struct sp_interface *iface)
{
    const char *domain;

    if (sp_json_get_ip(o, "ipv4", 4, &iface->ipv4) < 0
        || sp_json_get_ip(o, "ipv6", 6, &iface->ipv6) < 0
        || decode_servers(o, "upstream_do53", decode_do53_entry, iface) < 0
        || decode_doh(o, &iface->upstream_doh) < 0
        || sp_json_opt_string(o, "search_domain", 255, &domain) < 0)
        return SP_E_MALFORMED;
    iface->search_domain = sp_xstrdup(domain);
    if (iface->n_upstream_do53 > 0)
        return 0;
    return decode_servers(o, "upstream_dns", decode_legacy_dns_entry, iface);
}

int
sp_portal_decode_interface(JsonObject *o, struct sp_interface *ret)
{
    struct sp_interface iface = { 0 };
    int r = fill_interface(o, &iface);

    if (r < 0)
        sp_interface_done(&iface);
    else
        *ret = iface;
    return r;
}

/* ---- resources ------------------------------------------------------------------------------- */

static int
decode_port(JsonObject *o, const char *key, int64_t dflt, uint16_t *ret)
{
    int64_t port;

    if (sp_json_opt_int(o, key, dflt, &port) < 0 || port < 0 || port > 65535)
        return SP_E_MALFORMED;
    *ret = (uint16_t)port;
    return 0;
}

static int
decode_filter(JsonNode *node, struct sp_filter_rule *ret)
{
    struct sp_filter_rule rule = { .port_end = 65535 };
    const char *proto;
    JsonObject *o;

    if (sp_json_object(node, &o) < 0 || sp_json_get_string(o, "protocol", 16, &proto) < 0)
        return SP_E_MALFORMED;
    if (strcmp(proto, "icmp") == 0) {
        rule.proto = SP_FILTER_ICMP;
        *ret = rule;
        return 0;
    }
    if (strcmp(proto, "tcp") == 0)
        rule.proto = SP_FILTER_TCP;
    else if (strcmp(proto, "udp") == 0)
        rule.proto = SP_FILTER_UDP;
    else
        return SP_E_MALFORMED;
    if (decode_port(o, "port_range_start", 0, &rule.port_start) < 0
        || decode_port(o, "port_range_end", 65535, &rule.port_end) < 0
        || rule.port_start > rule.port_end)
        return SP_E_MALFORMED;
    *ret = rule;
    return 0;
}

/* For a gateway a missing list must not read as "everything allowed". */
static int
decode_filters(JsonObject *o, bool required, struct sp_resource *r)
{
    JsonArray *a;

    if (sp_json_opt_array(o, "filters", SP_MODEL_FILTERS_MAX, &a) < 0)
        return SP_E_MALFORMED;
    if (a == NULL)
        return required ? SP_E_MALFORMED : 0;
    if (array_len(a) == 0)
        return 0;
    r->filters = sp_xcalloc(array_len(a), sizeof *r->filters);
    for (size_t i = 0; i < array_len(a); i++) {
        if (decode_filter(json_array_get_element(a, (guint)i), &r->filters[i]) < 0)
            return SP_E_MALFORMED;
        r->n_filters++;
    }
    return 0;
}

static int
decode_sites(JsonObject *o, struct sp_resource *r)
{
    const char *key = sp_json_member(o, "sites") != NULL ? "sites" : "gateway_groups";
    JsonArray *a;

    if (sp_json_opt_array(o, key, SP_MODEL_SITES_MAX, &a) < 0 || a == NULL)
        return SP_E_MALFORMED;
    r->sites = sp_xcalloc(array_len(a), sizeof *r->sites);
    for (size_t i = 0; i < array_len(a); i++) {
        const char *name;
        JsonObject *site;

        if (sp_json_object(json_array_get_element(a, (guint)i), &site) < 0
            || sp_json_get_uuid(site, "id", &r->sites[i].id) < 0
            || sp_json_get_string(site, "name", SP_JSON_TEXT_MAX, &name) < 0)
            return SP_E_MALFORMED;
        r->sites[i].name = sp_xstrdup(name);
        r->n_sites++;
    }
    return 0;
}

static int
decode_ip_stack(JsonObject *o, enum sp_ip_stack *ret)
{
    const char *text;

    if (sp_json_opt_string(o, "ip_stack", 16, &text) < 0)
        return SP_E_MALFORMED;
    if (text == NULL || strcmp(text, "dual") == 0)
        *ret = SP_IP_STACK_DUAL;
    else if (strcmp(text, "ipv4_only") == 0)
        *ret = SP_IP_STACK_IPV4_ONLY;
    else if (strcmp(text, "ipv6_only") == 0)
        *ret = SP_IP_STACK_IPV6_ONLY;
    else
        return SP_E_MALFORMED;
    return 0;
}

static int
decode_type(JsonObject *o, enum sp_resource_type *ret)
{
    const char *type;

    if (sp_json_get_string(o, "type", SP_JSON_TEXT_MAX, &type) < 0)
        return SP_E_INVAL;
    if (strcmp(type, "dns") == 0)
        *ret = SP_RESOURCE_DNS;
    else if (strcmp(type, "cidr") == 0)
        *ret = SP_RESOURCE_CIDR;
    else if (strcmp(type, "internet") == 0)
        *ret = SP_RESOURCE_INTERNET;
    else
        return SP_E_UNSUPPORTED;
    return 0;
}

/* Members that a resource has for clients and for gateways. */
static int
fill_common(JsonObject *o, struct sp_resource *r)
{
    bool internet = r->type == SP_RESOURCE_INTERNET;
    const char *name, *address = NULL;

    if (sp_json_get_uuid(o, "id", &r->id) < 0
        || sp_json_opt_string(o, "name", SP_JSON_TEXT_MAX, &name) < 0)
        return SP_E_MALFORMED;
    if (name == NULL && !internet)
        return SP_E_MALFORMED;
    r->name = sp_xstrdup(name != NULL ? name : "Internet Resource");
    if (internet)
        return 0;
    if (sp_json_get_string(o, "address", SP_JSON_TEXT_MAX, &address) < 0 || address[0] == '\0')
        return SP_E_MALFORMED;
    r->address = sp_xstrdup(address);
    return r->type == SP_RESOURCE_CIDR ? sp_cidr_parse(address, &r->net) : 0;
}

static int
fill_client_resource(JsonObject *o, struct sp_resource *r)
{
    const char *description;

    if (fill_common(o, r) < 0 || decode_sites(o, r) < 0 || decode_filters(o, false, r) < 0
        || decode_ip_stack(o, &r->ip_stack) < 0
        || sp_json_opt_string(o, "address_description", SP_JSON_TEXT_MAX, &description) < 0)
        return SP_E_MALFORMED;
    r->address_description = sp_xstrdup(description);
    return 0;
}

static int
fill_gw_resource(JsonObject *o, struct sp_resource *r)
{
    if (fill_common(o, r) < 0)
        return SP_E_MALFORMED;
    return decode_filters(o, r->type != SP_RESOURCE_INTERNET, r);
}

static int
decode_resource(JsonNode *node,
                int (*fill)(JsonObject *o, struct sp_resource *r),
                struct sp_resource *ret)
{
    struct sp_resource res = { 0 };
    JsonObject *o;
    int r;

    if (sp_json_object(node, &o) < 0)
        return SP_E_INVAL;
    r = decode_type(o, &res.type);
    if (r < 0)
        return r;
    r = fill(o, &res);
    if (r < 0)
        sp_resource_done(&res);
    else
        *ret = res;
    return r;
}

int
sp_portal_decode_client_resource(JsonNode *node, struct sp_resource *ret)
{
    return decode_resource(node, fill_client_resource, ret);
}

int
sp_portal_decode_gw_resource(JsonNode *node, struct sp_resource *ret)
{
    int r = decode_resource(node, fill_gw_resource, ret);

    return r == SP_E_INVAL ? SP_E_MALFORMED : r;
}

/* ---- relays ---------------------------------------------------------------------------------- */

struct relay_list {
    struct sp_relay *v;
    size_t n;
};

static struct sp_relay *
relay_slot(struct relay_list *list, const struct sp_uuid *id)
{
    struct sp_relay *slot;

    for (size_t i = 0; i < list->n; i++)
        if (sp_uuid_equal(&list->v[i].id, id))
            return &list->v[i];
    if (list->n == SP_MODEL_RELAYS_MAX)
        return NULL;
    slot = &list->v[list->n++];
    slot->id = *id;
    return slot;
}

static int
decode_turn(JsonObject *o, struct relay_list *list)
{
    const char *addr, *username, *password;
    struct sp_relay *slot;
    struct sp_endpoint ep;
    int64_t expires_at;
    struct sp_uuid id;

    if (sp_json_get_uuid(o, "id", &id) < 0
        || sp_json_get_string(o, "addr", SP_ENDPOINT_STR_MAX, &addr) < 0
        || sp_endpoint_parse(addr, &ep) < 0 || ep.port == 0
        || sp_json_get_string(o, "username", 512, &username) < 0
        || sp_json_get_string(o, "password", 512, &password) < 0
        || sp_json_member(o, "expires_at") == NULL
        || sp_json_opt_int(o, "expires_at", 0, &expires_at) < 0)
        return SP_E_MALFORMED;
    slot = relay_slot(list, &id);
    if (slot == NULL)
        return SP_E_MALFORMED;
    if (slot->username == NULL) {
        slot->username = sp_xstrdup(username);
        slot->password = sp_xstrdup(password);
        slot->expires_at = expires_at;
    }
    if (ep.ip.family == 4 && slot->addr4.ip.family == 0)
        slot->addr4 = ep;
    else if (ep.ip.family == 6 && slot->addr6.ip.family == 0)
        slot->addr6 = ep;
    return 0;
}

static int
decode_relay_entry(JsonNode *node, struct relay_list *list)
{
    const char *type;
    JsonObject *o;

    if (sp_json_object(node, &o) < 0 || sp_json_get_string(o, "type", 16, &type) < 0)
        return SP_E_MALFORMED;
    if (strcmp(type, "turn") == 0)
        return decode_turn(o, list);
    return strcmp(type, "stun") == 0 ? 0 : SP_E_MALFORMED;
}

int
sp_portal_decode_relays(JsonObject *o, const char *key, struct sp_relay **ret_list, size_t *ret_n)
{
    struct relay_list list = { 0 };
    JsonArray *a;

    /* Each relay may come once per family. */
    if (sp_json_opt_array(o, key, (size_t)SP_MODEL_RELAYS_MAX * 2, &a) < 0)
        return SP_E_MALFORMED;
    list.v = sp_xcalloc(SP_MAX(array_len(a), (size_t)1), sizeof *list.v);
    for (size_t i = 0; i < array_len(a); i++) {
        if (decode_relay_entry(json_array_get_element(a, (guint)i), &list) < 0) {
            sp_relays_free(list.v, list.n);
            return SP_E_MALFORMED;
        }
    }
    *ret_list = list.v;
    *ret_n = list.n;
    return 0;
}

static int
decode_uuids(JsonArray *a, struct sp_uuid **ret_ids)
{
    struct sp_uuid *ids = sp_xcalloc(SP_MAX(array_len(a), (size_t)1), sizeof *ids);

    for (size_t i = 0; i < array_len(a); i++) {
        if (sp_json_node_uuid(json_array_get_element(a, (guint)i), &ids[i]) < 0) {
            free(ids);
            return SP_E_MALFORMED;
        }
    }
    *ret_ids = ids;
    return 0;
}

int
sp_portal_decode_presence(JsonNode *node, struct sp_relays_presence *ret)
{
    struct sp_relays_presence p = { 0 };
    JsonArray *gone;
    JsonObject *o;

    if (sp_json_object(node, &o) < 0
        || sp_json_opt_array(o, "disconnected_ids", SP_MODEL_RELAYS_MAX, &gone) < 0
        || decode_uuids(gone, &p.disconnected) < 0)
        return SP_E_MALFORMED;
    p.n_disconnected = array_len(gone);
    if (sp_portal_decode_relays(o, "connected", &p.connected, &p.n_connected) < 0) {
        free(p.disconnected);
        return SP_E_MALFORMED;
    }
    *ret = p;
    return 0;
}

/* ---- ICE ------------------------------------------------------------------------------------- */

int
sp_portal_decode_ice(JsonObject *o, const char *key, struct sp_ice_creds *ret_creds)
{
    const char *ufrag, *pwd;
    JsonObject *ice;

    if (sp_json_get_object(o, key, &ice) < 0
        || sp_json_get_string(ice, "username", sizeof ret_creds->ufrag - 1, &ufrag) < 0
        || sp_json_get_string(ice, "password", sizeof ret_creds->pwd - 1, &pwd) < 0
        || ufrag[0] == '\0' || pwd[0] == '\0')
        return SP_E_MALFORMED;
    g_strlcpy(ret_creds->ufrag, ufrag, sizeof ret_creds->ufrag);
    g_strlcpy(ret_creds->pwd, pwd, sizeof ret_creds->pwd);
    return 0;
}

/* First gate of 3.6: the prefix, and a 32-bit priority in the fourth field. */
static bool
is_candidate(const char *text)
{
    uint32_t priority;
    size_t n;

    if (!g_str_has_prefix(text, "candidate:"))
        return false;
    for (unsigned field = 0; field < 3; field++) {
        text += strcspn(text, " \t");
        text += strspn(text, " \t");
    }
    n = strcspn(text, " \t");
    return sp_parse_u32(text, n, UINT32_MAX, &priority) == 0;
}

int
sp_portal_decode_candidates(JsonNode *node,
                            const char *peer_key,
                            struct sp_portal_skips *skips,
                            struct sp_candidates *ret)
{
    struct sp_candidates c = { 0 };
    JsonArray *a;
    JsonObject *o;

    if (sp_json_object(node, &o) < 0 || sp_json_get_uuid(o, peer_key, &c.peer) < 0
        || sp_json_opt_array(o, "candidates", SP_MODEL_CANDIDATES_MAX, &a) < 0 || a == NULL)
        return SP_E_MALFORMED;
    for (size_t i = 0; i < array_len(a); i++) {
        JsonNode *entry = json_array_get_element(a, (guint)i);
        const char *text;

        if (sp_json_node_string(entry, SP_PORTAL_CANDIDATE_MAX, &text) == 0 && is_candidate(text))
            sp_strv_add(&c.list, text);
        else
            skips->bad_candidates++;
    }
    *ret = c;
    return 0;
}

/* ---- building -------------------------------------------------------------------------------- */

void
sp_portal_build_uuid(JsonBuilder *b, const struct sp_uuid *id)
{
    char text[SP_UUID_STR_MAX];

    json_builder_add_string_value(b, sp_uuid_format(id, text));
}

void
sp_portal_build_strings(JsonBuilder *b, const char *key, const struct sp_strv *list)
{
    json_builder_set_member_name(b, key);
    json_builder_begin_array(b);
    for (size_t i = 0; i < list->n; i++)
        json_builder_add_string_value(b, list->v[i]);
    json_builder_end_array(b);
}

char *
sp_portal_build_text(JsonBuilder *b)
{
    g_autoptr(JsonNode) root = json_builder_get_root(b);
    g_autofree char *text = json_to_string(root, FALSE);

    return sp_xstrdup(text);
}
