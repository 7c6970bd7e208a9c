/* SPDX-License-Identifier: Apache-2.0 */
#include "app/portal/gateway.h"

#include <string.h>

#include "app/portal/candidates.h"
#include "app/portal/channel.h"
#include "app/portal/client.h"
#include "app/portal/json.h"

struct sp_cp_gateway {
    struct sp_cp_hub *hub;
    struct sp_cp_channel *channel;
    struct sp_cp_device *device;
    struct sp_cp_token *token;
    struct sp_cp_seat *seat;
    GHashTable *granted;   /* "client resource" -> struct sp_cp_authz: the last one told */
    GHashTable *resources; /* id -> view text as last told or seen */
    char *slug;            /* account slug as told in init */
};

static char *
pair_key(const char *client_id, const char *resource_id)
{
    return g_strconcat(client_id, " ", resource_id, NULL);
}

static void
remember(struct sp_cp_gateway *g,
         const char *id,
         const char *client_id,
         const char *resource_id,
         int64_t expires_at)
{
    struct sp_cp_authz *a = g_new0(struct sp_cp_authz, 1);

    a->id = g_strdup(id);
    a->client_id = g_strdup(client_id);
    a->resource_id = g_strdup(resource_id);
    a->expires_at = expires_at;
    g_hash_table_replace(g->granted, pair_key(client_id, resource_id), a);
}

static void
push_init(struct sp_cp_gateway *g)
{
    g_autoptr(GPtrArray) list = sp_cp_authz_of_gateway(g->hub->db, g->device->id, NULL);
    struct sp_cp_account *account = sp_cp_account_get(g->hub->db, g->device->account_id, NULL);

    if (!list || !account || account->disabled) {
        sp_cp_account_free(account);
        sp_cp_channel_close(g->channel);
        return;
    }
    g_hash_table_remove_all(g->granted);
    for (unsigned i = 0; i < list->len; i++) {
        const struct sp_cp_authz *a = list->pdata[i];

        remember(g, a->id, a->client_id, a->resource_id, a->expires_at);
    }
    g_free(g->slug);
    g->slug = g_strdup(account->slug);
    sp_cp_channel_push(
        g->channel,
        "init",
        sp_cp_view_gateway_init(account, g->device, list, g->hub->options.public_url));
    sp_cp_account_free(account);
}

static char *
view_text(const struct sp_cp_resource *r)
{
    g_autoptr(JsonNode) node = sp_cp_view_gateway_resource(r);

    return json_to_string(node, FALSE);
}

/* The gateway ignores updates of resources it does not serve, so all of the site are sent. */
static void
sync_resources(struct sp_cp_gateway *g, bool push)
{
    g_autoptr(GPtrArray) list = sp_cp_resources_of_site(g->hub->db, g->device->site_id, NULL);
    GHashTable *fresh;

    if (!list)
        return;
    fresh = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    for (unsigned i = 0; i < list->len; i++) {
        const struct sp_cp_resource *r = list->pdata[i];
        char *text = view_text(r);
        const char *old = g_hash_table_lookup(g->resources, r->id);

        if (push && old && !g_str_equal(old, text))
            sp_cp_channel_push(g->channel, "resource_updated", sp_cp_view_gateway_resource(r));
        g_hash_table_insert(fresh, g_strdup(r->id), text);
    }
    g_hash_table_unref(g->resources);
    g->resources = fresh;
}

/* Nobody looks after a socket that has not joined, so what happened since the upgrade counts now. */
static void
joined(void *owner)
{
    struct sp_cp_gateway *g = owner;

    if (!sp_cp_token_usable(g->hub->db, g->token->id)) {
        sp_cp_channel_disconnect(g->channel);
        return;
    }
    if (!sp_cp_device_reload(g->hub->db, g->device, NULL)) {
        sp_cp_channel_close(g->channel);
        return;
    }
    sync_resources(g, false);
    push_init(g);
}

static const char *
handle_authorized(struct sp_cp_gateway *g, JsonObject *payload)
{
    const char *ref = sp_cp_json_get_text(payload, "ref");
    struct sp_cp_offer *offer;

    if (!ref || !sp_cp_hub_ref_valid(g->hub, g->device->id, ref))
        return "invalid_ref";
    offer = g_hash_table_lookup(g->hub->offers, ref);
    if (offer)
        sp_cp_client_granted(offer->client, offer);
    return SP_CP_REPLY_OK;
}

static const char *
forward(struct sp_cp_gateway *g, JsonObject *payload, const char *event)
{
    g_autoptr(GPtrArray) ids = sp_cp_candidates_targets(payload, NULL, "client_ids");
    g_autoptr(JsonNode) out = sp_cp_candidates_payload(payload, "gateway_id", g->device->id);

    if (!out)
        return SP_CP_BAD_PAYLOAD;
    for (unsigned i = 0; i < ids->len; i++) {
        struct sp_cp_client *client = g_hash_table_lookup(g->hub->clients, ids->pdata[i]);

        if (client && sp_cp_authz_pair_known(g->hub->db, ids->pdata[i], g->device->id))
            sp_cp_client_push(client, event, json_node_copy(out));
    }
    return NULL;
}

static const char *
message(void *owner, const char *event, JsonObject *payload)
{
    struct sp_cp_gateway *g = owner;

    if (g_str_equal(event, "authorization_created"))
        return handle_authorized(g, payload);
    if (g_str_equal(event, "broadcast_ice_candidates"))
        return forward(g, payload, "ice_candidates");
    if (g_str_equal(event, "broadcast_invalidated_ice_candidates"))
        return forward(g, payload, "invalidate_ice_candidates");
    if (g_str_equal(event, "no_relays")) {
        sp_cp_channel_push(g->channel, "relays_presence", sp_cp_view_relays_presence());
        return NULL;
    }
    if (g_str_equal(event, "set_snownet_capabilities"))
        return NULL;
    return SP_CP_UNKNOWN;
}

static void
closed(void *owner)
{
    struct sp_cp_gateway *g = owner;

    g_info("gateway %.8s left", g->device->id);
    sp_cp_gateway_free(g);
}

struct sp_cp_gateway *
sp_cp_gateway_new(struct sp_cp_hub *hub,
                  SoupWebsocketConnection *ws,
                  struct sp_cp_device *device,
                  struct sp_cp_token *token,
                  struct sp_cp_seat *seat)
{
    static const struct sp_cp_channel_ops ops = { joined, message, closed };
    struct sp_cp_gateway *g = g_new0(struct sp_cp_gateway, 1);
    struct sp_cp_gateway *old = g_hash_table_lookup(hub->gateways, device->id);

    g->hub = hub;
    g->device = device;
    g->token = token;
    g->seat = seat;
    g->granted =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)sp_cp_authz_free);
    g->resources = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g->channel = sp_cp_channel_new(ws, "gateway", &ops, g, &hub->options.gateway);
    g_hash_table_replace(hub->gateways, device->id, g);
    g_ptr_array_add(hub->sockets, g);
    if (old) {
        g_message("gateway %.8s connected again, its older connection is closed", device->id);
        sp_cp_hub_drop_offers(hub, device->id);
        sp_cp_channel_close(old->channel);
    }
    g_info("gateway %.8s connected", device->id);
    return g;
}

void
sp_cp_gateway_free(struct sp_cp_gateway *g)
{
    if (g_hash_table_lookup(g->hub->gateways, g->device->id) == g) {
        g_hash_table_remove(g->hub->gateways, g->device->id);
        sp_cp_hub_drop_offers(g->hub, g->device->id);
    }
    g_ptr_array_remove_fast(g->hub->sockets, g);
    sp_cp_channel_free(g->channel);
    g_hash_table_unref(g->granted);
    g_hash_table_unref(g->resources);
    sp_cp_device_free(g->device);
    sp_cp_token_free(g->token);
    sp_cp_seat_free(g->seat);
    g_free(g->slug);
    g_free(g);
}

static void
push_reject(struct sp_cp_gateway *g, const struct sp_cp_authz *a)
{
    JsonObject *o = json_object_new();

    json_object_set_string_member(o, "client_id", a->client_id);
    json_object_set_string_member(o, "resource_id", a->resource_id);
    sp_cp_channel_push(g->channel, "reject_access", sp_cp_json_object_node(o));
}

/* Expired entries go silently: the gateway watches its own clock. */
static void
sync_granted(struct sp_cp_gateway *g)
{
    int64_t now = g_get_real_time() / G_USEC_PER_SEC;
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, g->granted);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        struct sp_cp_authz *a = value;

        if (a->expires_at > now) {
            if (sp_cp_authz_exists(g->hub->db, a->id) != 0)
                continue;
            push_reject(g, a);
        }
        g_hash_table_iter_remove(&iter);
    }
}

/* Returns: is the gateway still welcome? */
static bool
sync_device(struct sp_cp_gateway *g)
{
    g_autofree char *ipv4 = g_strdup(g->device->ipv4);
    g_autofree char *ipv6 = g_strdup(g->device->ipv6);
    g_autoptr(GError) error = NULL;
    struct sp_cp_account *account;

    if (!sp_cp_token_usable(g->hub->db, g->token->id)) {
        sp_cp_channel_disconnect(g->channel);
        return false;
    }
    if (!sp_cp_device_reload(g->hub->db, g->device, &error)) {
        if (g_error_matches(error, SP_CP_ERROR, SP_CP_ERROR_MISSING))
            sp_cp_channel_close(g->channel);
        return false;
    }
    account = sp_cp_account_get(g->hub->db, g->device->account_id, NULL);
    if (account && account->disabled)
        sp_cp_channel_close(g->channel);
    else if (account
             && (!g_str_equal(account->slug, g->slug) || !g_str_equal(ipv4, g->device->ipv4)
                 || !g_str_equal(ipv6, g->device->ipv6)))
        push_init(g);
    sp_cp_account_free(account);
    return sp_cp_channel_is_joined(g->channel);
}

void
sp_cp_gateway_sync(struct sp_cp_gateway *g)
{
    if (!sp_cp_channel_is_joined(g->channel)) {
        if (!sp_cp_token_usable(g->hub->db, g->token->id))
            sp_cp_channel_close(g->channel);
        return;
    }
    sync_granted(g);
    if (sync_device(g))
        sync_resources(g, true);
}

void
sp_cp_gateway_shutdown(struct sp_cp_gateway *g)
{
    sp_cp_channel_close(g->channel);
}

bool
sp_cp_gateway_is_online(const struct sp_cp_gateway *g)
{
    return sp_cp_channel_is_joined(g->channel);
}

const struct sp_cp_device *
sp_cp_gateway_device(const struct sp_cp_gateway *g)
{
    return g->device;
}

void
sp_cp_gateway_offer(struct sp_cp_gateway *g, const struct sp_cp_flow *flow, const char *ref)
{
    remember(g, flow->authz_id, flow->client->id, flow->resource->id, flow->expires_at);
    g_hash_table_replace(g->resources, g_strdup(flow->resource->id), view_text(flow->resource));
    sp_cp_channel_push(g->channel,
                       "create_authorization",
                       sp_cp_view_create_authorization(flow, ref));
}

void
sp_cp_gateway_push(struct sp_cp_gateway *g, const char *event, JsonNode *payload)
{
    sp_cp_channel_push(g->channel, event, payload);
}
