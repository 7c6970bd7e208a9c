/* SPDX-License-Identifier: Apache-2.0 */
/* Who is connected, which questions are open, and how changes in the database reach them. Thread:
 * the main loop. Owner: the server. Clients and gateways own themselves until their socket closes
 * and are found here by device id. */
#pragma once

#include "app/portal/channel.h"
#include "app/portal/keys.h"
#include "app/portal/store.h"
#include "app/portal/token.h"

struct sp_cp_client;
struct sp_cp_gateway;

struct sp_cp_hub_options {
    const char *public_url;
    unsigned offer_timeout_ms; /* how long a gateway may take to answer */
    unsigned poll_ms;          /* how often the database is asked for changes of others */
    unsigned tick_ms;          /* how often what depends on the clock is looked at */
    struct sp_cp_channel_options client;
    struct sp_cp_channel_options gateway;
};

struct sp_cp_hub {
    struct sp_cp_db *db;
    const struct sp_cp_keys *keys;
    struct sp_cp_hub_options options;
    GHashTable *clients;  /* device id -> struct sp_cp_client (borrowed) */
    GHashTable *gateways; /* device id -> struct sp_cp_gateway (borrowed) */
    GHashTable *offers;   /* ref -> struct sp_cp_offer (borrowed) */
    GPtrArray *sockets;   /* every open struct sp_cp_client / sp_cp_gateway, evicted ones too */
    int64_t data_version;
    guint poll_source;
    guint minute_source;
};

/** struct sp_cp_offer - an authorization put before a gateway and not answered yet. Owner: the
 * client that asked */
struct sp_cp_offer {
    char *ref;
    char *client_id;
    char *gateway_id;
    char *resource_id;
    char *authz_id;
    JsonNode *answer; /* for the client, once the gateway agrees; secret */
    struct sp_cp_client *client;
    guint timer;
};

struct sp_cp_hub *sp_cp_hub_new(struct sp_cp_db *db,
                                const struct sp_cp_keys *keys,
                                const struct sp_cp_hub_options *options);
void sp_cp_hub_free(struct sp_cp_hub *hub);
/** sp_cp_hub_sync() - compare what every peer was told with the database and tell the difference */
void sp_cp_hub_sync(struct sp_cp_hub *hub);
/** sp_cp_hub_drop_offers() - forget what was put before a gateway that will not answer. The clients
 * are told nothing: their next packet asks again and finds out who is there by then */
void sp_cp_hub_drop_offers(struct sp_cp_hub *hub, const char *gateway_id);
/** sp_cp_hub_shutdown() - close every socket in order */
void sp_cp_hub_shutdown(struct sp_cp_hub *hub);
bool sp_cp_hub_is_idle(const struct sp_cp_hub *hub);

/** sp_cp_hub_new_ref() - opaque text for @gateway_id that sp_cp_hub_ref_valid() recognises, even
 * after the offer is forgotten */
char *sp_cp_hub_new_ref(struct sp_cp_hub *hub, const char *gateway_id);
bool sp_cp_hub_ref_valid(struct sp_cp_hub *hub, const char *gateway_id, const char *ref);
