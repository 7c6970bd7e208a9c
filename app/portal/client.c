/* SPDX-License-Identifier: Apache-2.0 */
#include "app/portal/client.h"

#include <string.h>

#include <sodium.h>

#include "app/portal/agent.h"
#include "app/portal/candidates.h"
#include "app/portal/channel.h"
#include "app/portal/gateway.h"
#include "app/portal/json.h"
#include "app/portal/views.h"

struct sp_cp_client {
    struct sp_cp_hub *hub;
    struct sp_cp_channel *channel;
    struct sp_cp_device *device;
    struct sp_cp_token *token;
    struct sp_cp_seat *seat;
    struct sp_cp_version version;
    char *remote_ip;
    GHashTable *told;     /* resource id -> struct told: as last pushed */
    char *told_interface; /* interface text as last pushed */
    GHashTable *offers;   /* resource id -> struct sp_cp_offer (owned) */
    guint expiry_source;
};

struct told {
    char *text;
    char *site_id;
};

static void
told_free(gpointer data)
{
    struct told *t = data;

    g_free(t->text);
    g_free(t->site_id);
    g_free(t);
}

static void
offer_free(gpointer data)
{
    struct sp_cp_offer *o = data;

    g_hash_table_remove(o->client->hub->offers, o->ref);
    if (o->timer)
        g_source_remove(o->timer);
    g_free(o->ref);
    g_free(o->client_id);
    g_free(o->gateway_id);
    g_free(o->resource_id);
    g_free(o->authz_id);
    json_node_unref(o->answer);
    g_free(o);
}

static char *
node_text(JsonNode *node)
{
    return json_to_string(node, FALSE);
}

static GHashTable *
told_table(void)
{
    return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, told_free);
}

/* What this client may see and understands. */
static GPtrArray *
visible(struct sp_cp_client *c)
{
    GPtrArray *list = sp_cp_resources_visible(c->hub->db, c->token->actor_id, NULL);

    for (unsigned i = list ? list->len : 0; i-- > 0;) {
        const struct sp_cp_resource *r = list->pdata[i];
        bool old = c->version.known && !sp_cp_version_at_least(&c->version, 1, 3);

        if (old && g_str_equal(r->type, "internet"))
            g_ptr_array_remove_index(list, i);
    }
    return list;
}

static GHashTable *
told_of(GPtrArray *resources)
{
    GHashTable *table = told_table();

    for (unsigned i = 0; i < resources->len; i++) {
        const struct sp_cp_resource *r = resources->pdata[i];
        g_autoptr(JsonNode) node = sp_cp_view_client_resource(r);
        struct told *t = g_new0(struct told, 1);

        t->text = node_text(node);
        t->site_id = g_strdup(r->site_id);
        g_hash_table_insert(table, g_strdup(r->id), t);
    }
    return table;
}

static void
replace_told(struct sp_cp_client *c, GHashTable *fresh)
{
    g_hash_table_unref(c->told);
    c->told = fresh;
}

static void
push_init(struct sp_cp_client *c, const struct sp_cp_account *account)
{
    g_autoptr(GPtrArray) resources = visible(c);
    g_autoptr(JsonNode) interface = NULL;

    if (!resources) {
        sp_cp_channel_close(c->channel);
        return;
    }
    interface = sp_cp_view_client_interface(account, c->device);
    g_free(c->told_interface);
    c->told_interface = node_text(interface);
    replace_told(c, told_of(resources));
    sp_cp_channel_push(
        c->channel,
        "init",
        sp_cp_view_client_init(account, c->device, resources, c->hub->options.public_url));
}

/* Nobody looks after a socket that has not joined, so what happened since the upgrade counts now. */
static void
joined(void *owner)
{
    struct sp_cp_client *c = owner;
    struct sp_cp_account *account;

    if (!sp_cp_token_usable(c->hub->db, c->token->id)) {
        sp_cp_channel_disconnect(c->channel);
        return;
    }
    account = sp_cp_account_get(c->hub->db, c->device->account_id, NULL);
    if (account && !account->disabled && sp_cp_device_reload(c->hub->db, c->device, NULL))
        push_init(c, account);
    else
        sp_cp_channel_close(c->channel);
    sp_cp_account_free(account);
}

/* Deletions go first, so that an address can move from one resource to another. A resource that
 * moves to another site is deleted and made again: older clients can not follow otherwise. */
static void
sync_resources(struct sp_cp_client *c)
{
    g_autoptr(GPtrArray) resources = visible(c);
    GHashTable *fresh;
    GHashTableIter iter;
    gpointer id, value;

    if (!resources)
        return;
    fresh = told_of(resources);
    g_hash_table_iter_init(&iter, c->told);
    while (g_hash_table_iter_next(&iter, &id, &value)) {
        const struct told *old = value, *now = g_hash_table_lookup(fresh, id);

        if (!now || !g_str_equal(old->site_id, now->site_id))
            sp_cp_channel_push(c->channel,
                               "resource_deleted",
                               json_node_init_string(json_node_alloc(), id));
    }
    for (unsigned i = 0; i < resources->len; i++) {
        const struct sp_cp_resource *r = resources->pdata[i];
        const struct told *old = g_hash_table_lookup(c->told, r->id);
        const struct told *now = g_hash_table_lookup(fresh, r->id);

        if (!old || !g_str_equal(old->text, now->text))
            sp_cp_channel_push(c->channel,
                               "resource_created_or_updated",
                               sp_cp_view_client_resource(r));
    }
    replace_told(c, fresh);
}

static void
sync_interface(struct sp_cp_client *c, const struct sp_cp_account *account, bool moved)
{
    g_autoptr(JsonNode) interface = sp_cp_view_client_interface(account, c->device);
    g_autofree char *text = node_text(interface);
    JsonObject *o;

    if (moved) {
        push_init(c, account);
        return;
    }
    if (g_strcmp0(text, c->told_interface) == 0)
        return;
    o = json_object_new();
    json_object_set_member(o, "interface", g_steal_pointer(&interface));
    sp_cp_channel_push(c->channel, "config_changed", sp_cp_json_object_node(o));
    g_free(c->told_interface);
    c->told_interface = g_steal_pointer(&text);
}

static void
sync_account(struct sp_cp_client *c, bool moved)
{
    struct sp_cp_account *account = sp_cp_account_get(c->hub->db, c->device->account_id, NULL);

    if (account && account->disabled)
        sp_cp_channel_close(c->channel);
    else if (account)
        sync_interface(c, account, moved);
    sp_cp_account_free(account);
}

void
sp_cp_client_sync(struct sp_cp_client *c)
{
    g_autofree char *ipv4 = g_strdup(c->device->ipv4);
    g_autofree char *ipv6 = g_strdup(c->device->ipv6);
    g_autoptr(GError) error = NULL;

    if (!sp_cp_channel_is_joined(c->channel)) {
        if (!sp_cp_token_usable(c->hub->db, c->token->id))
            sp_cp_channel_close(c->channel);
        return;
    }
    if (!sp_cp_token_usable(c->hub->db, c->token->id)) {
        sp_cp_channel_disconnect(c->channel);
        return;
    }
    if (!sp_cp_device_reload(c->hub->db, c->device, &error)) {
        if (g_error_matches(error, SP_CP_ERROR, SP_CP_ERROR_MISSING))
            sp_cp_channel_close(c->channel);
        return;
    }
    sync_account(c, !g_str_equal(ipv4, c->device->ipv4) || !g_str_equal(ipv6, c->device->ipv6));
    if (sp_cp_channel_is_joined(c->channel))
        sync_resources(c);
}

static void
push_failed(struct sp_cp_client *c, const char *resource_id, const char *reason)
{
    JsonObject *o = json_object_new();

    json_object_set_string_member(o, "resource_id", resource_id);
    json_object_set_string_member(o, "reason", reason);
    json_object_set_array_member(o, "violated_properties", json_array_new());
    sp_cp_channel_push(c->channel, "authorization_creation_failed", sp_cp_json_object_node(o));
}

static gboolean
offer_timeout_cb(gpointer data)
{
    struct sp_cp_offer *o = data;
    struct sp_cp_client *c = o->client;

    o->timer = 0;
    push_failed(c, o->resource_id, "offline");
    g_hash_table_remove(c->offers, o->resource_id);
    return G_SOURCE_REMOVE;
}

void
sp_cp_client_granted(struct sp_cp_client *c, struct sp_cp_offer *offer)
{
    /* What it rests on may be gone since it was offered; the gateway is told by the next sync. */
    if (sp_cp_authz_exists(c->hub->db, offer->authz_id) == 0)
        push_failed(c, offer->resource_id, "not_found");
    else
        sp_cp_channel_push(c->channel, "authorization_created", json_node_ref(offer->answer));
    g_hash_table_remove(c->offers, offer->resource_id);
}

void
sp_cp_client_forget(struct sp_cp_client *c, struct sp_cp_offer *offer)
{
    g_hash_table_remove(c->offers, offer->resource_id);
}

static void
make_offer(struct sp_cp_client *c, struct sp_cp_gateway *gateway, const struct sp_cp_flow *flow)
{
    struct sp_cp_offer *o = g_new0(struct sp_cp_offer, 1);

    o->client = c;
    o->ref = sp_cp_hub_new_ref(c->hub, flow->gateway->id);
    o->client_id = g_strdup(c->device->id);
    o->gateway_id = g_strdup(flow->gateway->id);
    o->resource_id = g_strdup(flow->resource->id);
    o->authz_id = g_strdup(flow->authz_id);
    o->answer = sp_cp_view_authorization_created(flow);
    o->timer = g_timeout_add(c->hub->options.offer_timeout_ms, offer_timeout_cb, o);
    g_hash_table_insert(c->hub->offers, o->ref, o);
    g_hash_table_replace(c->offers, g_strdup(o->resource_id), o);
    sp_cp_gateway_offer(gateway, flow, o->ref);
}

static bool
is_preferred(GPtrArray *preferred, const struct sp_cp_gateway *g)
{
    for (unsigned i = 0; i < preferred->len; i++)
        if (g_str_equal(preferred->pdata[i], sp_cp_gateway_device(g)->id))
            return true;
    return false;
}

/* Gateways already connected to this client first; among equals, chance. */
static struct sp_cp_gateway *
choose_gateway(struct sp_cp_client *c,
               const struct sp_cp_resource *resource,
               GPtrArray *preferred,
               const char **ret_reason)
{
    g_autoptr(GPtrArray) all = g_ptr_array_new();
    g_autoptr(GPtrArray) close = g_ptr_array_new();
    GHashTableIter iter;
    gpointer value;
    GPtrArray *from;

    *ret_reason = "offline";
    g_hash_table_iter_init(&iter, c->hub->gateways);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const struct sp_cp_device *d = sp_cp_gateway_device(value);
        struct sp_cp_version version = sp_cp_version_parse(d->version);

        if (!sp_cp_gateway_is_online(value) || !g_str_equal(d->site_id, resource->site_id))
            continue;
        if (!sp_cp_versions_fit(&c->version, &version)) {
            *ret_reason = "version_mismatch";
            continue;
        }
        g_ptr_array_add(all, value);
        if (is_preferred(preferred, value))
            g_ptr_array_add(close, value);
    }
    from = close->len > 0 ? close : all;
    return from->len > 0 ? from->pdata[randombytes_uniform(from->len)] : NULL;
}

static const char *
authorize(struct sp_cp_client *c,
          struct sp_cp_gateway *gateway,
          const struct sp_cp_resource *resource,
          const struct sp_cp_grant *grant)
{
    g_autofree char *authz_id = sp_cp_random_uuid();
    struct sp_cp_account *account = sp_cp_account_get(c->hub->db, c->device->account_id, NULL);
    struct sp_cp_actor *actor =
        sp_cp_actor_get(c->hub->db, c->device->account_id, c->token->actor_id, NULL);
    struct sp_cp_authz authz = { authz_id, c->device->id, resource->id, c->token->expires_at };
    struct sp_cp_flow flow = {
        .account = account,
        .actor = actor,
        .client = c->device,
        .gateway = sp_cp_gateway_device(gateway),
        .resource = resource,
        .grant = grant,
        .token = c->token,
        .remote_ip = c->remote_ip,
        .authz_id = authz_id,
        .expires_at = authz.expires_at,
    };
    g_autoptr(GError) error = NULL;
    const char *reason = NULL;

    if (!account || account->disabled || !actor) {
        reason = "not_found";
    } else if (!sp_cp_authz_insert(c->hub->db,
                                   &authz,
                                   c->device,
                                   flow.gateway,
                                   grant,
                                   c->token->id,
                                   &error)) {
        g_message("cannot store an authorization: %s", error->message);
        reason = "offline";
    } else {
        make_offer(c, gateway, &flow);
    }
    sp_cp_account_free(account);
    sp_cp_actor_free(actor);
    return reason;
}

/* Returns: reason of failure, or NULL when an offer was made. */
static const char *
try_authorize(struct sp_cp_client *c, const char *resource_id, GPtrArray *preferred)
{
    struct sp_cp_grant grant = { 0 };
    struct sp_cp_resource *resource = NULL;
    struct sp_cp_gateway *gateway;
    const char *reason;

    if (g_hash_table_contains(c->told, resource_id)
        && g_hash_table_size(c->offers) < SP_CP_OFFERS_MAX
        && sp_cp_grant_find(c->hub->db, c->token->actor_id, resource_id, &grant, NULL) == 1)
        resource = sp_cp_resource_get(c->hub->db, resource_id, NULL);
    if (!resource) {
        sp_cp_grant_done(&grant);
        return "not_found";
    }
    gateway = choose_gateway(c, resource, preferred, &reason);
    if (gateway)
        reason = authorize(c, gateway, resource, &grant);
    sp_cp_resource_free(resource);
    sp_cp_grant_done(&grant);
    return reason;
}

static const char *
handle_request(struct sp_cp_client *c, JsonObject *payload)
{
    g_autofree char *resource_id = sp_cp_json_get_uuid(payload, "resource_id");
    g_autoptr(GPtrArray) preferred = NULL;
    const char *reason;

    if (!resource_id)
        return SP_CP_BAD_PAYLOAD;
    preferred = sp_cp_candidates_targets(payload, NULL, "connected_gateway_ids");
    reason = try_authorize(c, resource_id, preferred);
    if (reason) {
        g_hash_table_remove(c->offers, resource_id);
        push_failed(c, resource_id, reason);
    }
    return NULL;
}

static const char *
forward(struct sp_cp_client *c, JsonObject *payload, const char *event)
{
    g_autoptr(GPtrArray) ids = sp_cp_candidates_targets(payload, "gateway_id", "gateway_ids");
    g_autoptr(JsonNode) out = sp_cp_candidates_payload(payload, "client_id", c->device->id);

    if (!out)
        return SP_CP_BAD_PAYLOAD;
    for (unsigned i = 0; i < ids->len; i++) {
        struct sp_cp_gateway *gateway = g_hash_table_lookup(c->hub->gateways, ids->pdata[i]);

        if (gateway && sp_cp_authz_pair_known(c->hub->db, c->device->id, ids->pdata[i]))
            sp_cp_gateway_push(gateway, event, json_node_copy(out));
    }
    return NULL;
}

static const char *
message(void *owner, const char *event, JsonObject *payload)
{
    struct sp_cp_client *c = owner;

    if (g_str_equal(event, "request_authorization"))
        return handle_request(c, payload);
    if (g_str_equal(event, "new_gateway_ice_candidates")
        || g_str_equal(event, "broadcast_ice_candidates"))
        return forward(c, payload, "ice_candidates");
    if (g_str_equal(event, "invalidate_gateway_ice_candidates")
        || g_str_equal(event, "broadcast_invalidated_ice_candidates"))
        return forward(c, payload, "invalidate_ice_candidates");
    if (g_str_equal(event, "no_relays")) {
        sp_cp_channel_push(c->channel, "relays_presence", sp_cp_view_relays_presence());
        return NULL;
    }
    if (g_str_equal(event, "set_snownet_capabilities")
        || g_str_equal(event, "request_device_access"))
        return NULL;
    return SP_CP_UNKNOWN;
}

static void
closed(void *owner)
{
    struct sp_cp_client *c = owner;

    g_info("client %.8s left", c->device->id);
    sp_cp_client_free(c);
}

static gboolean
expired_cb(gpointer data)
{
    struct sp_cp_client *c = data;

    c->expiry_source = 0;
    sp_cp_channel_disconnect(c->channel);
    return G_SOURCE_REMOVE;
}

static void
arm_expiry(struct sp_cp_client *c)
{
    int64_t left = c->token->expires_at - g_get_real_time() / G_USEC_PER_SEC;

    /* Farther deadlines are met by the sync of every minute. */
    if (c->token->expires_at != 0 && left < 3600)
        c->expiry_source = g_timeout_add_seconds((guint)SP_MAX(left, 0) + 1, expired_cb, c);
}

struct sp_cp_client *
sp_cp_client_new(struct sp_cp_hub *hub,
                 SoupWebsocketConnection *ws,
                 struct sp_cp_device *device,
                 struct sp_cp_token *token,
                 struct sp_cp_seat *seat,
                 const char *remote_ip)
{
    static const struct sp_cp_channel_ops ops = { joined, message, closed };
    struct sp_cp_client *c = g_new0(struct sp_cp_client, 1);
    struct sp_cp_client *old = g_hash_table_lookup(hub->clients, device->id);

    c->hub = hub;
    c->device = device;
    c->token = token;
    c->seat = seat;
    c->version = sp_cp_version_parse(device->version);
    c->remote_ip = g_strdup(remote_ip);
    c->told = told_table();
    c->offers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, offer_free);
    c->channel = sp_cp_channel_new(ws, "client", &ops, c, &hub->options.client);
    arm_expiry(c);
    g_hash_table_replace(hub->clients, device->id, c);
    g_ptr_array_add(hub->sockets, c);
    if (old)
        sp_cp_channel_disconnect(old->channel);
    g_info("client %.8s connected", device->id);
    return c;
}

void
sp_cp_client_free(struct sp_cp_client *c)
{
    if (g_hash_table_lookup(c->hub->clients, c->device->id) == c)
        g_hash_table_remove(c->hub->clients, c->device->id);
    g_ptr_array_remove_fast(c->hub->sockets, c);
    if (c->expiry_source)
        g_source_remove(c->expiry_source);
    sp_cp_channel_free(c->channel);
    g_hash_table_unref(c->offers);
    g_hash_table_unref(c->told);
    sp_cp_device_free(c->device);
    sp_cp_token_free(c->token);
    sp_cp_seat_free(c->seat);
    g_free(c->told_interface);
    g_free(c->remote_ip);
    g_free(c);
}

void
sp_cp_client_shutdown(struct sp_cp_client *c)
{
    sp_cp_channel_close(c->channel);
}

void
sp_cp_client_push(struct sp_cp_client *c, const char *event, JsonNode *payload)
{
    sp_cp_channel_push(c->channel, event, payload);
}
