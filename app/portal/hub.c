/* SPDX-License-Identifier: Apache-2.0 */
#include "app/portal/hub.h"

#include <string.h>

#include <sodium.h>

#include "app/portal/client.h"
#include "app/portal/gateway.h"

#define REF_RANDOM_HEX 32
#define REF_MAC_HEX    (2 * SP_CP_MAC_LEN)

static void
for_all_clients(struct sp_cp_hub *hub, void (*fn)(struct sp_cp_client *))
{
    g_autoptr(GList) list = g_hash_table_get_values(hub->clients);

    for (GList *l = list; l; l = l->next)
        fn(l->data);
}

static void
for_all_gateways(struct sp_cp_hub *hub, void (*fn)(struct sp_cp_gateway *))
{
    g_autoptr(GList) list = g_hash_table_get_values(hub->gateways);

    for (GList *l = list; l; l = l->next)
        fn(l->data);
}

void
sp_cp_hub_sync(struct sp_cp_hub *hub)
{
    for_all_gateways(hub, sp_cp_gateway_sync);
    for_all_clients(hub, sp_cp_client_sync);
}

static gboolean
poll_cb(gpointer data)
{
    struct sp_cp_hub *hub = data;
    int64_t version = sp_cp_db_data_version(hub->db);

    if (version >= 0 && version != hub->data_version) {
        hub->data_version = version;
        sp_cp_hub_sync(hub);
    }
    return G_SOURCE_CONTINUE;
}

static gboolean
minute_cb(gpointer data)
{
    struct sp_cp_hub *hub = data;
    g_autoptr(GError) error = NULL;

    if (!sp_cp_authz_prune(hub->db, &error))
        g_message("cannot prune authorizations: %s", error->message);
    sp_cp_hub_sync(hub);
    return G_SOURCE_CONTINUE;
}

struct sp_cp_hub *
sp_cp_hub_new(struct sp_cp_db *db,
              const struct sp_cp_keys *keys,
              const struct sp_cp_hub_options *options)
{
    struct sp_cp_hub *hub = g_new0(struct sp_cp_hub, 1);

    hub->db = db;
    hub->keys = keys;
    hub->options = *options;
    hub->clients = g_hash_table_new(g_str_hash, g_str_equal);
    hub->gateways = g_hash_table_new(g_str_hash, g_str_equal);
    hub->offers = g_hash_table_new(g_str_hash, g_str_equal);
    hub->sockets = g_ptr_array_new();
    hub->data_version = sp_cp_db_data_version(db);
    hub->poll_source = g_timeout_add(options->poll_ms, poll_cb, hub);
    hub->minute_source = g_timeout_add(options->tick_ms, minute_cb, hub);
    return hub;
}

void
sp_cp_hub_drop_offers(struct sp_cp_hub *hub, const char *gateway_id)
{
    g_autoptr(GList) list = g_hash_table_get_values(hub->offers);

    for (GList *l = list; l; l = l->next) {
        struct sp_cp_offer *o = l->data;

        if (g_str_equal(o->gateway_id, gateway_id))
            sp_cp_client_forget(o->client, o);
    }
}

void
sp_cp_hub_shutdown(struct sp_cp_hub *hub)
{
    for_all_clients(hub, sp_cp_client_shutdown);
    for_all_gateways(hub, sp_cp_gateway_shutdown);
}

bool
sp_cp_hub_is_idle(const struct sp_cp_hub *hub)
{
    return hub->sockets->len == 0;
}

void
sp_cp_hub_free(struct sp_cp_hub *hub)
{
    if (!hub)
        return;
    g_source_remove(hub->poll_source);
    g_source_remove(hub->minute_source);
    for_all_clients(hub, sp_cp_client_free);
    for_all_gateways(hub, sp_cp_gateway_free);
    g_hash_table_unref(hub->clients);
    g_hash_table_unref(hub->gateways);
    g_hash_table_unref(hub->offers);
    g_ptr_array_unref(hub->sockets);
    g_free(hub);
}

static void
ref_mac(struct sp_cp_hub *hub, const char *gateway_id, const char *random, char *out)
{
    g_autofree char *input = g_strdup_printf("%.*s:%s", REF_RANDOM_HEX, random, gateway_id);
    uint8_t mac[SP_CP_MAC_LEN];

    sp_cp_keys_mac(hub->keys, SP_CP_PURPOSE_REF, input, strlen(input), mac);
    sodium_bin2hex(out, REF_MAC_HEX + 1, mac, sizeof mac);
}

char *
sp_cp_hub_new_ref(struct sp_cp_hub *hub, const char *gateway_id)
{
    g_autofree char *random = sp_cp_random_hex(REF_RANDOM_HEX / 2);
    char mac[REF_MAC_HEX + 1];

    ref_mac(hub, gateway_id, random, mac);
    return g_strconcat(random, mac, NULL);
}

bool
sp_cp_hub_ref_valid(struct sp_cp_hub *hub, const char *gateway_id, const char *ref)
{
    char mac[REF_MAC_HEX + 1];

    if (strlen(ref) != REF_RANDOM_HEX + REF_MAC_HEX)
        return false;
    ref_mac(hub, gateway_id, ref, mac);
    return sodium_memcmp(mac, ref + REF_RANDOM_HEX, REF_MAC_HEX) == 0;
}
