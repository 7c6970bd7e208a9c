/* SPDX-License-Identifier: Apache-2.0 */
#include "app/portal/token.h"

#include <string.h>

#include <sodium.h>

#include "app/portal/derive.h"
#include "engine/base/uuid.h"

#define SECRET_LEN 32
#define SALT_LEN   16
#define HASH_LEN   32

/* What the fragment wraps, in this order. */
struct payload {
    struct sp_uuid account;
    struct sp_uuid token;
    uint8_t secret[SECRET_LEN];
};
G_STATIC_ASSERT(sizeof(struct payload) == 64);

void
sp_cp_token_free(struct sp_cp_token *token)
{
    if (!token)
        return;
    g_free(token->id);
    g_free(token->account_id);
    g_free(token->name);
    g_free(token->actor_id);
    g_free(token->site_id);
    g_free(token->provider_id);
    g_free(token);
}

const char *
sp_cp_token_kind_name(enum sp_cp_token_kind kind)
{
    return kind == SP_CP_TOKEN_CLIENT ? "client" : "gateway";
}

static enum sp_cp_purpose
purpose_of(enum sp_cp_token_kind kind)
{
    return kind == SP_CP_TOKEN_CLIENT ? SP_CP_PURPOSE_CLIENT_TOKEN : SP_CP_PURPOSE_GATEWAY_TOKEN;
}

/* Secret and salt have fixed lengths, so the concatenation is unambiguous. */
static void
hash_secret(const char *nonce,
            size_t nonce_len,
            const uint8_t secret[SECRET_LEN],
            const uint8_t salt[SALT_LEN],
            uint8_t out[HASH_LEN])
{
    crypto_generichash_state state;

    crypto_generichash_init(&state, NULL, 0, HASH_LEN);
    crypto_generichash_update(&state, (const uint8_t *)nonce, nonce_len);
    crypto_generichash_update(&state, secret, SECRET_LEN);
    crypto_generichash_update(&state, salt, SALT_LEN);
    crypto_generichash_final(&state, out, HASH_LEN);
    sodium_memzero(&state, sizeof state);
}

static bool
store_row(struct sp_cp_db *db,
          const struct sp_cp_token *t,
          const uint8_t *hash,
          const uint8_t *salt,
          GError **error)
{
    return sp_cp_db_exec(
        db,
        error,
        "INSERT INTO tokens (id, account_id, kind, name, actor_id, site_id, provider_id, hash,"
        " salt, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, nullif(?, 0))"
        " ON CONFLICT (id) DO UPDATE SET hash = excluded.hash, salt = excluded.salt,"
        " expires_at = excluded.expires_at, name = excluded.name"
        " WHERE kind = excluded.kind AND account_id = excluded.account_id",
        "sssssssbbi",
        t->id,
        t->account_id,
        sp_cp_token_kind_name(t->kind),
        t->name,
        t->actor_id,
        t->site_id,
        t->provider_id,
        hash,
        (size_t)HASH_LEN,
        salt,
        (size_t)SALT_LEN,
        t->expires_at);
}

char *
sp_cp_token_create(struct sp_cp_db *db,
                   const struct sp_cp_keys *keys,
                   struct sp_cp_token *token,
                   const char *nonce,
                   GError **error)
{
    uint8_t hash[HASH_LEN], salt[SALT_LEN];
    struct payload payload;
    char *signed_text, *fragment = NULL;

    if (!token->id)
        token->id = sp_cp_random_uuid();
    if (sp_uuid_parse(token->account_id, &payload.account) < 0
        || sp_uuid_parse(token->id, &payload.token) < 0) {
        g_set_error_literal(error, SP_CP_ERROR, SP_CP_ERROR_INVALID, "token id is not a UUID");
        return NULL;
    }
    randombytes_buf(payload.secret, SECRET_LEN);
    randombytes_buf(salt, SALT_LEN);
    hash_secret(nonce ? nonce : "", nonce ? strlen(nonce) : 0, payload.secret, salt, hash);
    if (store_row(db, token, hash, salt, error)) {
        signed_text = sp_cp_keys_sign(keys, purpose_of(token->kind), &payload, sizeof payload);
        fragment = g_strconcat(".", signed_text, NULL);
        sp_cp_secret_free(signed_text);
    }
    sodium_memzero(&payload, sizeof payload);
    return fragment;
}

static void
deny(GError **error, const char *why)
{
    g_set_error_literal(error, SP_CP_ERROR, SP_CP_ERROR_DENIED, why);
}

static sqlite3_stmt *
find_row(struct sp_cp_db *db, const struct payload *p, enum sp_cp_token_kind kind, GError **error)
{
    char account[SP_UUID_STR_MAX], token[SP_UUID_STR_MAX];
    g_autoptr(sqlite3_stmt) stmt = NULL;
    int r;

    stmt = sp_cp_db_prepare(
        db,
        error,
        "SELECT t.id, t.account_id, t.name, t.actor_id, t.site_id, t.provider_id,"
        " coalesce(t.expires_at, 0), t.hash, t.salt, a.disabled, coalesce(p.disabled, 0)"
        " FROM tokens t JOIN accounts a ON a.id = t.account_id"
        " LEFT JOIN actors p ON p.id = t.actor_id"
        " WHERE t.id = ? AND t.account_id = ? AND t.kind = ?",
        "sss",
        sp_uuid_format(&p->token, token),
        sp_uuid_format(&p->account, account),
        sp_cp_token_kind_name(kind));
    if (!stmt)
        return NULL;
    r = sp_cp_db_step(db, stmt, error);
    if (r == 0)
        deny(error, "token is unknown");
    return r == 1 ? g_steal_pointer(&stmt) : NULL;
}

static bool
secret_matches(sqlite3_stmt *row, const char *nonce, size_t nonce_len, const struct payload *p)
{
    uint8_t hash[HASH_LEN];

    if (sqlite3_column_bytes(row, 7) != HASH_LEN || sqlite3_column_bytes(row, 8) != SALT_LEN)
        return false;
    hash_secret(nonce, nonce_len, p->secret, sqlite3_column_blob(row, 8), hash);
    return sodium_memcmp(hash, sqlite3_column_blob(row, 7), HASH_LEN) == 0;
}

static struct sp_cp_token *
token_from_row(sqlite3_stmt *row, enum sp_cp_token_kind kind)
{
    struct sp_cp_token *token = g_new0(struct sp_cp_token, 1);

    token->kind = kind;
    token->id = sp_cp_col_dup(row, 0);
    token->account_id = sp_cp_col_dup(row, 1);
    token->name = sp_cp_col_dup(row, 2);
    token->actor_id = sp_cp_col_dup(row, 3);
    token->site_id = sp_cp_col_dup(row, 4);
    token->provider_id = sp_cp_col_dup(row, 5);
    token->expires_at = sqlite3_column_int64(row, 6);
    return token;
}

static struct sp_cp_token *
check_row(sqlite3_stmt *row,
          enum sp_cp_token_kind kind,
          const char *nonce,
          size_t nonce_len,
          const struct payload *payload,
          GError **error)
{
    int64_t now = g_get_real_time() / G_USEC_PER_SEC;
    int64_t expires_at = sqlite3_column_int64(row, 6);

    if (!secret_matches(row, nonce, nonce_len, payload)) {
        deny(error, "token does not match");
        return NULL;
    }
    if (expires_at != 0 && expires_at <= now) {
        deny(error, "token has expired");
        return NULL;
    }
    if (sqlite3_column_int(row, 9)) {
        g_set_error_literal(error, SP_CP_ERROR, SP_CP_ERROR_DISABLED, "account is disabled");
        return NULL;
    }
    if (sqlite3_column_int(row, 10)) {
        deny(error, "actor is disabled");
        return NULL;
    }
    return token_from_row(row, kind);
}

struct sp_cp_token *
sp_cp_token_verify(struct sp_cp_db *db,
                   const struct sp_cp_keys *keys,
                   enum sp_cp_token_kind kind,
                   const char *text,
                   GError **error)
{
    const char *dot = strlen(text) <= SP_CP_TOKEN_TEXT_MAX ? strchr(text, '.') : NULL;
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(sqlite3_stmt) row = NULL;
    struct sp_cp_token *token = NULL;
    struct payload payload;

    if (dot && dot - text <= SP_CP_TOKEN_NONCE_MAX)
        bytes = sp_cp_keys_open(keys, purpose_of(kind), dot + 1);
    if (!bytes || g_bytes_get_size(bytes) != sizeof payload) {
        deny(error, "token is malformed or of another kind");
        return NULL;
    }
    memcpy(&payload, g_bytes_get_data(bytes, NULL), sizeof payload);
    row = find_row(db, &payload, kind, error);
    if (row)
        token = check_row(row, kind, text, (size_t)(dot - text), &payload, error);
    sodium_memzero(&payload, sizeof payload);
    return token;
}

bool
sp_cp_token_usable(struct sp_cp_db *db, const char *id)
{
    g_autoptr(sqlite3_stmt) stmt = sp_cp_db_prepare(
        db,
        NULL,
        "SELECT 1 FROM tokens t LEFT JOIN actors p ON p.id = t.actor_id WHERE t.id = ?"
        " AND (t.expires_at IS NULL OR t.expires_at > unixepoch()) AND NOT coalesce(p.disabled, 0)",
        "s",
        id);

    return !stmt || sp_cp_db_step(db, stmt, NULL) != 0;
}
