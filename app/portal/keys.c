/* SPDX-License-Identifier: Apache-2.0 */
#include "app/portal/keys.h"

#include <string.h>

#include <sodium.h>

#include "engine/base/uuid.h"

#define URLSAFE           sodium_base64_VARIANT_URLSAFE_NO_PADDING
#define SIGNED_LENGTH_MAX 8192
static const char kdf_context[crypto_kdf_CONTEXTBYTES + 1] = "sp-portl";

G_STATIC_ASSERT(crypto_kdf_KEYBYTES == SP_CP_KEY_LEN);
G_STATIC_ASSERT(crypto_auth_BYTES == SP_CP_MAC_LEN);

bool
sp_cp_keys_load(struct sp_cp_db *db, struct sp_cp_keys *ret_keys, GError **error)
{
    g_autoptr(sqlite3_stmt) stmt = NULL;
    uint8_t fresh[SP_CP_KEY_LEN];
    bool ok;

    crypto_kdf_keygen(fresh);
    ok = sp_cp_db_exec(db,
                       error,
                       "INSERT OR IGNORE INTO settings VALUES ('master_key', ?)",
                       "b",
                       fresh,
                       sizeof fresh);
    sodium_memzero(fresh, sizeof fresh);
    if (!ok)
        return false;
    stmt = sp_cp_db_prepare(db, error, "SELECT value FROM settings WHERE key = 'master_key'", "");
    if (!stmt || sp_cp_db_step(db, stmt, error) != 1)
        return false;
    if (sqlite3_column_bytes(stmt, 0) != SP_CP_KEY_LEN) {
        g_set_error_literal(error, SP_CP_ERROR, SP_CP_ERROR_DATABASE, "master key is damaged");
        return false;
    }
    memcpy(ret_keys->master, sqlite3_column_blob(stmt, 0), SP_CP_KEY_LEN);
    return true;
}

void
sp_cp_keys_done(struct sp_cp_keys *keys)
{
    sodium_memzero(keys, sizeof *keys);
}

void
sp_cp_keys_mac(const struct sp_cp_keys *keys,
               enum sp_cp_purpose purpose,
               const void *data,
               size_t n,
               uint8_t ret_mac[SP_CP_MAC_LEN])
{
    uint8_t key[crypto_auth_KEYBYTES];

    crypto_kdf_derive_from_key(key, sizeof key, (uint64_t)purpose, kdf_context, keys->master);
    crypto_auth(ret_mac, data, n, key);
    sodium_memzero(key, sizeof key);
}

static void
append_base64(GString *out, const uint8_t *bytes, size_t n)
{
    size_t size = sodium_base64_encoded_len(n, URLSAFE);
    g_autofree char *text = g_malloc(size);

    g_string_append(out, sodium_bin2base64(text, size, bytes, n, URLSAFE));
    sodium_memzero(text, size);
}

char *
sp_cp_keys_sign(const struct sp_cp_keys *keys,
                enum sp_cp_purpose purpose,
                const void *data,
                size_t n)
{
    GString *out = g_string_sized_new(2 * n + 64);
    uint8_t mac[SP_CP_MAC_LEN];

    sp_cp_keys_mac(keys, purpose, data, n, mac);
    append_base64(out, data, n);
    g_string_append_c(out, '.');
    append_base64(out, mac, sizeof mac);
    return g_string_free(out, FALSE);
}

static bool
decode(const char *text, size_t n, uint8_t *out, size_t max, size_t *ret_len)
{
    const char *end = NULL;

    return sodium_base642bin(out, max, text, n, NULL, ret_len, &end, URLSAFE) == 0
           && end == text + n;
}

GBytes *
sp_cp_keys_open(const struct sp_cp_keys *keys, enum sp_cp_purpose purpose, const char *text)
{
    const char *dot = strchr(text, '.');
    size_t len = strlen(text), n_data = 0, n_mac = 0;
    uint8_t mac[SP_CP_MAC_LEN], want[SP_CP_MAC_LEN];
    g_autofree uint8_t *data = NULL;

    if (!dot || len > SIGNED_LENGTH_MAX)
        return NULL;
    data = g_malloc(len);
    if (!decode(text, (size_t)(dot - text), data, len, &n_data)
        || !decode(dot + 1, strlen(dot + 1), mac, sizeof mac, &n_mac) || n_mac != sizeof mac)
        return NULL;
    sp_cp_keys_mac(keys, purpose, data, n_data, want);
    if (sodium_memcmp(mac, want, sizeof mac) != 0)
        return NULL;
    return g_bytes_new_take(g_steal_pointer(&data), n_data);
}

char *
sp_cp_random_hex(size_t n)
{
    g_autofree uint8_t *bytes = g_malloc(n);
    char *text = g_malloc(2 * n + 1);

    randombytes_buf(bytes, n);
    return sodium_bin2hex(text, 2 * n + 1, bytes, n);
}

char *
sp_cp_random_uuid(void)
{
    struct sp_rng rng = sp_rng_system();
    struct sp_uuid id = sp_uuid_random(&rng);
    char text[SP_UUID_STR_MAX];

    return g_strdup(sp_uuid_format(&id, text));
}
