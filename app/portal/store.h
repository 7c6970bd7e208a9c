/* SPDX-License-Identifier: Apache-2.0 */
/* What the running server asks the database: accounts, devices, visible resources,
 * authorizations. Structs own their strings; `_free` accepts NULL. */
#pragma once

#include "app/portal/db.h"
#include "app/portal/derive.h"

struct sp_cp_account {
    char *id;
    char *slug;
    char *name;
    bool disabled;
    char *dns_mode;    /* "system", "custom" or "secure" */
    char *dns_servers; /* addresses separated by spaces, or one https URL */
    char *search_domain;
    uint8_t ingest_key[32];
};
void sp_cp_account_free(struct sp_cp_account *account);
/** sp_cp_account_get() - by id or by slug. SP_CP_ERROR_MISSING when there is none */
struct sp_cp_account *sp_cp_account_get(struct sp_cp_db *db, const char *key, GError **error);

struct sp_cp_actor {
    char *id;
    char *account_id;
    char *type; /* "account_admin_user", "account_user" or "service_account" */
    char *name;
    char *email;
    char *password_hash;
    bool disabled;
};
void sp_cp_actor_free(struct sp_cp_actor *actor);
/** sp_cp_actor_get() - by id or e-mail within @account_id */
struct sp_cp_actor *sp_cp_actor_get(struct sp_cp_db *db,
                                    const char *account_id,
                                    const char *key,
                                    GError **error);

enum sp_cp_device_type {
    SP_CP_DEVICE_CLIENT,
    SP_CP_DEVICE_GATEWAY,
};

struct sp_cp_device {
    enum sp_cp_device_type type;
    char *id;
    char *account_id;
    char *actor_id; /* clients */
    char *site_id;  /* gateways */
    char *external_id;
    char *name;
    char *ipv4;
    char *ipv6;
    char *public_key;
    char *version;
    char *user_agent;
    char *device_serial;
    char *device_uuid;
    char *identifier_for_vendor;
    char *firebase_installation_id;
    uint8_t psk_base[SP_CP_PSK_BASE_LEN];
};
void sp_cp_device_free(struct sp_cp_device *device);
/**
 * sp_cp_device_connect() - find the row of a connecting device or make one with fresh addresses
 * @seen: what the peer said; id, addresses and psk_base are ignored. A NULL attribute or name
 *        keeps the stored value.
 * SP_CP_ERROR_LIMIT when the owner has SP_CP_DEVICES_MAX devices.
 */
struct sp_cp_device *sp_cp_device_connect(struct sp_cp_db *db,
                                          const struct sp_cp_device *seen,
                                          GError **error);
/** sp_cp_device_reload() - the addresses as stored now; SP_CP_ERROR_MISSING when deleted */
bool sp_cp_device_reload(struct sp_cp_db *db, struct sp_cp_device *device, GError **error);

struct sp_cp_resource {
    char *id;
    char *type; /* "dns", "cidr" or "internet" */
    char *name;
    char *address;
    char *address_description;
    char *ip_stack;
    char *filters; /* JSON array in wire form */
    char *site_id;
    char *site_name;
};
void sp_cp_resource_free(struct sp_cp_resource *resource);
/** sp_cp_resources_visible() - what @actor_id may see now; array of struct sp_cp_resource */
GPtrArray *sp_cp_resources_visible(struct sp_cp_db *db, const char *actor_id, GError **error);
GPtrArray *sp_cp_resources_of_site(struct sp_cp_db *db, const char *site_id, GError **error);
struct sp_cp_resource *sp_cp_resource_get(struct sp_cp_db *db, const char *id, GError **error);

/** struct sp_cp_grant - why an actor may use a resource; @membership_id is NULL for "everyone" */
struct sp_cp_grant {
    char *policy_id;
    char *membership_id;
};
void sp_cp_grant_done(struct sp_cp_grant *grant);
/** sp_cp_grant_find() - Returns: 1 granted, 0 no policy, -1 with @error set */
int sp_cp_grant_find(struct sp_cp_db *db,
                     const char *actor_id,
                     const char *resource_id,
                     struct sp_cp_grant *ret_grant,
                     GError **error);

#define SP_CP_DEVICES_MAX 1000 /* of one actor, or gateways of one site */

/** struct sp_cp_authz - one stored authorization */
struct sp_cp_authz {
    char *id;
    char *client_id;
    char *resource_id;
    int64_t expires_at;
};
void sp_cp_authz_free(struct sp_cp_authz *authz);
/** sp_cp_authz_insert() - replaces an older one of the same client, gateway and resource */
bool sp_cp_authz_insert(struct sp_cp_db *db,
                        const struct sp_cp_authz *authz,
                        const struct sp_cp_device *client,
                        const struct sp_cp_device *gateway,
                        const struct sp_cp_grant *grant,
                        const char *token_id,
                        GError **error);
/** sp_cp_authz_of_gateway() - unexpired, the longest-lived of each (client, resource) pair */
GPtrArray *sp_cp_authz_of_gateway(struct sp_cp_db *db, const char *gateway_id, GError **error);
/** sp_cp_authz_exists() - Returns: 1, 0, or -1 when the database cannot tell */
int sp_cp_authz_exists(struct sp_cp_db *db, const char *id);
/** sp_cp_authz_pair_known() - is any unexpired authorization there for this pair? */
bool sp_cp_authz_pair_known(struct sp_cp_db *db, const char *client_id, const char *gateway_id);
bool sp_cp_authz_prune(struct sp_cp_db *db, GError **error);
