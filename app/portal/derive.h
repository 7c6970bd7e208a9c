/* SPDX-License-Identifier: Apache-2.0 */
/* Values both peers of a tunnel must agree on, computed from what the portal stores. Source: spec
 * portal-protocol 4.7. Ids are lower-case UUID texts, keys base64 texts, exactly as on the wire. */
#pragma once

#include <json-glib/json-glib.h>

#include "engine/base/defs.h"

#define SP_CP_PSK_BASE_LEN 32

/** struct sp_cp_peer - one end as the derivations see it (borrowed texts) */
struct sp_cp_peer {
    const char *id;
    const char *public_key;
    const uint8_t *psk_base; /* SP_CP_PSK_BASE_LEN bytes; only for the PSK */
};

/** struct sp_cp_ice - short-term ICE credentials of both ends (secret) */
struct sp_cp_ice {
    char client_ufrag[5];
    char client_pwd[23];
    char gateway_ufrag[5];
    char gateway_pwd[23];
};

void sp_cp_derive_ice(const struct sp_cp_peer *client,
                      const struct sp_cp_peer *gateway,
                      struct sp_cp_ice *ret_ice);
/** sp_cp_derive_psk() - base64 text; secret, free with sp_cp_secret_free() */
char *sp_cp_derive_psk(const struct sp_cp_peer *client, const struct sp_cp_peer *gateway);
/** sp_cp_derive_relay_creds() - TURN user name and password that hold until @expires_at */
void sp_cp_derive_relay_creds(const char *stamp_secret,
                              const char *public_key,
                              int64_t expires_at,
                              char **ret_username,
                              char **ret_password);
char *sp_cp_derive_relay_id(const char *stamp_secret);
/** sp_cp_jwt_sign() - compact HS256 token over @claims */
char *sp_cp_jwt_sign(JsonNode *claims, const uint8_t *key, size_t key_len);
/** sp_cp_secret_free() - wipe and free a text; NULL is fine */
void sp_cp_secret_free(char *text);

/** sp_cp_pool_addr() - tunnel address number @offset of the IPv4 or IPv6 pool as text */
char *sp_cp_pool_addr(int family, uint32_t offset);
#define SP_CP_POOL_HOSTS ((1u << 21) - 2) /* without first and last; offsets 1..SP_CP_POOL_HOSTS */
/** sp_cp_pool_next() - the offset after @offset, back to 1 at the end */
uint32_t sp_cp_pool_next(uint32_t offset);
