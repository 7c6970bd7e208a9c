/* SPDX-License-Identifier: Apache-2.0 */
#include "app/portal/views.h"

#include <string.h>

#include <sodium.h>

#include "app/portal/json.h"
#include "engine/base/addr.h"

#define INGEST_GRACE_SECS (30 * 86400)

static void
add_text_if(JsonObject *object, const char *member, const char *text)
{
    if (text)
        json_object_set_string_member(object, member, text);
}

/* Absent stays visible as null where the reader's schema says optional. */
static void
add_text_or_null(JsonObject *object, const char *member, const char *text)
{
    if (text)
        json_object_set_string_member(object, member, text);
    else
        json_object_set_null_member(object, member);
}

static void
add_server(JsonArray *do53, JsonArray *legacy, const char *server)
{
    JsonObject *ip = json_object_new();
    JsonObject *old = json_object_new();
    g_autofree char *endpoint = g_strdup_printf(strchr(server, ':') ? "[%s]:53" : "%s:53", server);

    json_object_set_string_member(ip, "ip", server);
    json_array_add_object_element(do53, ip);
    json_object_set_string_member(old, "protocol", "ip_port");
    json_object_set_string_member(old, "address", endpoint);
    json_array_add_object_element(legacy, old);
}

JsonNode *
sp_cp_view_client_interface(const struct sp_cp_account *account, const struct sp_cp_device *device)
{
    g_auto(GStrv) servers = g_strsplit(account->dns_servers, " ", -1);
    JsonObject *o = json_object_new();
    JsonArray *do53 = json_array_new(), *doh = json_array_new(), *legacy = json_array_new();

    for (char **s = servers; *s; s++) {
        if (**s && g_str_equal(account->dns_mode, "custom")) {
            add_server(do53, legacy, *s);
        } else if (**s && g_str_equal(account->dns_mode, "secure")) {
            JsonObject *url = json_object_new();

            json_object_set_string_member(url, "url", *s);
            json_array_add_object_element(doh, url);
        }
    }
    json_object_set_string_member(o, "ipv4", device->ipv4);
    json_object_set_string_member(o, "ipv6", device->ipv6);
    json_object_set_array_member(o, "upstream_do53", do53);
    json_object_set_array_member(o, "upstream_doh", doh);
    json_object_set_array_member(o, "upstream_dns", legacy);
    add_text_or_null(o, "search_domain", account->search_domain);
    return sp_cp_json_object_node(o);
}

static void
add_filters(JsonObject *o, const struct sp_cp_resource *r)
{
    JsonNode *filters = json_from_string(r->filters, NULL);

    if (!filters || !JSON_NODE_HOLDS_ARRAY(filters)) {
        g_clear_pointer(&filters, json_node_unref);
        filters = sp_cp_json_array_node(json_array_new());
    }
    json_object_set_member(o, "filters", filters);
}

/* The old name "gateway_groups" is the one that every client version understands. */
JsonNode *
sp_cp_view_client_resource(const struct sp_cp_resource *r)
{
    JsonObject *o = json_object_new();
    JsonObject *site = json_object_new();
    JsonArray *sites = json_array_new();

    json_object_set_string_member(site, "id", r->site_id);
    json_object_set_string_member(site, "name", r->site_name);
    json_array_add_object_element(sites, site);
    json_object_set_string_member(o, "id", r->id);
    json_object_set_string_member(o, "type", r->type);
    json_object_set_string_member(o, "name", r->name);
    json_object_set_array_member(o, "gateway_groups", sites);
    if (g_str_equal(r->type, "internet")) {
        json_object_set_boolean_member(o, "can_be_disabled", TRUE);
        return sp_cp_json_object_node(o);
    }
    json_object_set_string_member(o, "address", r->address);
    add_text_or_null(o, "address_description", r->address_description);
    if (g_str_equal(r->type, "dns"))
        json_object_set_string_member(o, "ip_stack", r->ip_stack ? r->ip_stack : "dual");
    add_filters(o, r);
    return sp_cp_json_object_node(o);
}

JsonNode *
sp_cp_view_gateway_resource(const struct sp_cp_resource *r)
{
    JsonObject *o = json_object_new();

    json_object_set_string_member(o, "id", r->id);
    json_object_set_string_member(o, "type", r->type);
    if (g_str_equal(r->type, "internet"))
        return sp_cp_json_object_node(o);
    json_object_set_string_member(o, "name", r->name);
    json_object_set_string_member(o, "address", r->address);
    add_filters(o, r);
    return sp_cp_json_object_node(o);
}

JsonNode *
sp_cp_view_flow_logs(const char *public_url)
{
    JsonObject *o = json_object_new();

    json_object_set_string_member(o, "api_url", public_url);
    json_object_set_int_member(o, "upload_interval_secs", 0);
    json_object_set_int_member(o, "upload_batch_size", 1000);
    return sp_cp_json_object_node(o);
}

JsonNode *
sp_cp_view_relays_presence(void)
{
    JsonObject *o = json_object_new();

    json_object_set_array_member(o, "disconnected_ids", json_array_new());
    json_object_set_array_member(o, "connected", json_array_new());
    return sp_cp_json_object_node(o);
}

JsonNode *
sp_cp_view_ice(const char *ufrag, const char *pwd)
{
    JsonObject *o = json_object_new();

    json_object_set_string_member(o, "username", ufrag);
    json_object_set_string_member(o, "password", pwd);
    return sp_cp_json_object_node(o);
}

JsonNode *
sp_cp_view_client_init(const struct sp_cp_account *account,
                       const struct sp_cp_device *device,
                       GPtrArray *resources,
                       const char *public_url)
{
    JsonObject *o = json_object_new();
    JsonArray *list = json_array_new();

    for (unsigned i = 0; i < resources->len; i++)
        json_array_add_element(list, sp_cp_view_client_resource(resources->pdata[i]));
    json_object_set_member(o, "interface", sp_cp_view_client_interface(account, device));
    json_object_set_array_member(o, "resources", list);
    json_object_set_array_member(o, "relays", json_array_new());
    json_object_set_array_member(o, "authorizations", json_array_new());
    json_object_set_member(o, "flow_logs", sp_cp_view_flow_logs(public_url));
    return sp_cp_json_object_node(o);
}

static JsonArray *
authorization_list(GPtrArray *authorizations)
{
    JsonArray *list = json_array_new();

    for (unsigned i = 0; i < authorizations->len; i++) {
        const struct sp_cp_authz *a = authorizations->pdata[i];
        JsonObject *entry = json_object_new();

        json_object_set_string_member(entry, "client_id", a->client_id);
        json_object_set_string_member(entry, "resource_id", a->resource_id);
        json_object_set_int_member(entry, "expires_at", a->expires_at);
        json_array_add_object_element(list, entry);
    }
    return list;
}

JsonNode *
sp_cp_view_gateway_init(const struct sp_cp_account *account,
                        const struct sp_cp_device *device,
                        GPtrArray *authorizations,
                        const char *public_url)
{
    JsonObject *o = json_object_new();
    JsonObject *interface = json_object_new();
    JsonObject *config = json_object_new();

    json_object_set_string_member(interface, "ipv4", device->ipv4);
    json_object_set_string_member(interface, "ipv6", device->ipv6);
    json_object_set_boolean_member(config, "ipv4_masquerade_enabled", TRUE);
    json_object_set_boolean_member(config, "ipv6_masquerade_enabled", TRUE);
    json_object_set_object_member(o, "interface", interface);
    json_object_set_object_member(o, "config", config);
    json_object_set_array_member(o, "relays", json_array_new());
    json_object_set_string_member(o, "account_slug", account->slug);
    json_object_set_array_member(o, "authorizations", authorization_list(authorizations));
    json_object_set_member(o, "flow_logs", sp_cp_view_flow_logs(public_url));
    return sp_cp_json_object_node(o);
}

static void
add_iso_time(JsonObject *o, const char *member, int64_t unix_secs)
{
    g_autoptr(GDateTime) t = g_date_time_new_from_unix_utc(unix_secs);
    g_autofree char *text = t ? g_date_time_format(t, "%Y-%m-%dT%H:%M:%SZ") : NULL;

    json_object_set_string_member(o, member, text ? text : "9999-12-31T23:59:59Z");
}

/* Peers of today throw the whole authorization away when a claim of this list is missing. */
static char *
ingest_token(const struct sp_cp_flow *f, const char *role)
{
    JsonObject *o = json_object_new();
    int64_t now = g_get_real_time() / G_USEC_PER_SEC;
    g_autoptr(JsonNode) claims = NULL;

    json_object_set_string_member(o, "account_id", f->account->id);
    json_object_set_int_member(o, "iat", now);
    json_object_set_int_member(o, "exp", f->expires_at + INGEST_GRACE_SECS);
    json_object_set_boolean_member(o, "uploads_enabled", FALSE);
    json_object_set_string_member(o, "role", role);
    json_object_set_string_member(o, "initiator_device_id", f->client->id);
    json_object_set_string_member(o, "responder_device_id", f->gateway->id);
    json_object_set_string_member(o, "policy_authorization_id", f->authz_id);
    json_object_set_string_member(o, "policy_id", f->grant->policy_id);
    json_object_set_string_member(o, "resource_id", f->resource->id);
    json_object_set_string_member(o, "resource_name", f->resource->name);
    add_text_if(o, "resource_address", f->resource->address);
    json_object_set_string_member(o, "initiator_actor_id", f->actor->id);
    json_object_set_string_member(o, "initiator_actor_name", f->actor->name);
    add_text_if(o, "initiator_actor_email", f->actor->email);
    add_text_if(o, "initiator_auth_provider_id", f->token->provider_id);
    add_text_if(o, "initiator_client_version", f->client->version);
    add_iso_time(o, "authorized_at", now);
    add_iso_time(o, "authorization_expires_at", f->expires_at);
    claims = sp_cp_json_object_node(o);
    return sp_cp_jwt_sign(claims, f->account->ingest_key, sizeof f->account->ingest_key);
}

struct secrets {
    struct sp_cp_ice ice;
    char *psk;
};

static void
derive_secrets(const struct sp_cp_flow *f, struct secrets *ret)
{
    struct sp_cp_peer client = { f->client->id, f->client->public_key, f->client->psk_base };
    struct sp_cp_peer gateway = { f->gateway->id, f->gateway->public_key, f->gateway->psk_base };

    sp_cp_derive_ice(&client, &gateway, &ret->ice);
    ret->psk = sp_cp_derive_psk(&client, &gateway);
}

static void
add_secrets(JsonObject *o, const struct secrets *s)
{
    json_object_set_member(o,
                           "client_ice_credentials",
                           sp_cp_view_ice(s->ice.client_ufrag, s->ice.client_pwd));
    json_object_set_member(o,
                           "gateway_ice_credentials",
                           sp_cp_view_ice(s->ice.gateway_ufrag, s->ice.gateway_pwd));
}

static void
secrets_done(struct secrets *s)
{
    sp_cp_secret_free(s->psk);
    sodium_memzero(s, sizeof *s);
}

static JsonObject *
client_object(const struct sp_cp_flow *f, const char *psk)
{
    JsonObject *o = json_object_new();

    json_object_set_string_member(o, "id", f->client->id);
    json_object_set_string_member(o, "public_key", f->client->public_key);
    json_object_set_string_member(o, "preshared_key", psk);
    json_object_set_string_member(o, "ipv4", f->client->ipv4);
    json_object_set_string_member(o, "ipv6", f->client->ipv6);
    add_text_or_null(o, "version", f->client->version);
    add_text_or_null(o, "device_serial", f->client->device_serial);
    add_text_or_null(o, "device_uuid", f->client->device_uuid);
    add_text_or_null(o, "identifier_for_vendor", f->client->identifier_for_vendor);
    add_text_or_null(o, "firebase_installation_id", f->client->firebase_installation_id);
    return o;
}

static JsonObject *
subject_object(const struct sp_cp_flow *f)
{
    JsonObject *o = json_object_new();

    json_object_set_string_member(o, "actor_id", f->actor->id);
    json_object_set_string_member(o, "actor_name", f->actor->name);
    add_text_or_null(o, "actor_email", f->actor->email);
    json_object_set_string_member(o, "actor_type", f->actor->type);
    add_text_or_null(o, "auth_provider_id", f->token->provider_id);
    add_text_or_null(o, "ip", f->remote_ip);
    add_text_or_null(o, "user_agent", f->client->user_agent);
    return o;
}

JsonNode *
sp_cp_view_create_authorization(const struct sp_cp_flow *f, const char *ref)
{
    g_autofree char *ingest = ingest_token(f, "responder");
    JsonObject *o = json_object_new();
    struct secrets secrets;

    derive_secrets(f, &secrets);
    json_object_set_string_member(o, "ref", ref);
    json_object_set_member(o, "resource", sp_cp_view_gateway_resource(f->resource));
    json_object_set_object_member(o, "client", client_object(f, secrets.psk));
    add_secrets(o, &secrets);
    json_object_set_int_member(o, "expires_at", f->expires_at);
    json_object_set_boolean_member(o, "use_iceless", FALSE);
    json_object_set_string_member(o, "flow_logs_ingest_token", ingest);
    json_object_set_object_member(o, "subject", subject_object(f));
    secrets_done(&secrets);
    return sp_cp_json_object_node(o);
}

JsonNode *
sp_cp_view_authorization_created(const struct sp_cp_flow *f)
{
    g_autofree char *ingest = ingest_token(f, "initiator");
    JsonObject *o = json_object_new();
    struct secrets secrets;

    derive_secrets(f, &secrets);
    json_object_set_string_member(o, "resource_id", f->resource->id);
    json_object_set_string_member(o, "gateway_id", f->gateway->id);
    json_object_set_string_member(o, "gateway_public_key", f->gateway->public_key);
    json_object_set_string_member(o, "gateway_ipv4", f->gateway->ipv4);
    json_object_set_string_member(o, "gateway_ipv6", f->gateway->ipv6);
    json_object_set_string_member(o, "gateway_group_id", f->gateway->site_id);
    json_object_set_string_member(o, "preshared_key", secrets.psk);
    add_secrets(o, &secrets);
    json_object_set_boolean_member(o, "use_iceless", FALSE);
    json_object_set_string_member(o, "flow_logs_ingest_token", ingest);
    secrets_done(&secrets);
    return sp_cp_json_object_node(o);
}
