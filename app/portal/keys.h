/* SPDX-License-Identifier: Apache-2.0 */
/* The portal's own secret: one random master key in the database, from which every purpose derives
 * a separate key. A signature made for one purpose is worthless for another. */
#pragma once

#include "app/portal/db.h"

#define SP_CP_KEY_LEN 32
#define SP_CP_MAC_LEN 32

enum sp_cp_purpose {
    SP_CP_PURPOSE_CLIENT_TOKEN = 1,
    SP_CP_PURPOSE_GATEWAY_TOKEN = 2,
    SP_CP_PURPOSE_SIGN_IN_COOKIE = 3,
    SP_CP_PURPOSE_FORM = 4,
    SP_CP_PURPOSE_REF = 5,
};

struct sp_cp_keys {
    uint8_t master[SP_CP_KEY_LEN];
};

/** sp_cp_keys_load() - read the master key, creating it in a new database */
bool sp_cp_keys_load(struct sp_cp_db *db, struct sp_cp_keys *ret_keys, GError **error);
void sp_cp_keys_done(struct sp_cp_keys *keys);
void sp_cp_keys_mac(const struct sp_cp_keys *keys,
                    enum sp_cp_purpose purpose,
                    const void *data,
                    size_t n,
                    uint8_t ret_mac[SP_CP_MAC_LEN]);
/** sp_cp_keys_sign() - "base64url(data).base64url(mac)" */
char *sp_cp_keys_sign(const struct sp_cp_keys *keys,
                      enum sp_cp_purpose purpose,
                      const void *data,
                      size_t n);
/** sp_cp_keys_open() - the signed bytes, or NULL when @text was not signed for @purpose */
GBytes *sp_cp_keys_open(const struct sp_cp_keys *keys,
                        enum sp_cp_purpose purpose,
                        const char *text);

/** sp_cp_random_hex() - @n random bytes as lower-case hex */
char *sp_cp_random_hex(size_t n);
/** sp_cp_random_uuid() - version 4 text */
char *sp_cp_random_uuid(void);
