/* SPDX-License-Identifier: Apache-2.0 */
/* Bearer tokens: "<nonce>.<signed fragment>". The fragment carries account id, token id and a
 * secret under a key of its kind; the database holds only a salted hash of nonce and secret.
 * Source: spec portal-protocol 5.3. */
#pragma once

#include "app/portal/keys.h"

#define SP_CP_TOKEN_NONCE_MAX 128
#define SP_CP_TOKEN_TEXT_MAX  1024
#define SP_CP_SESSION_SECS    604800 /* interactive client tokens: 7 days */

enum sp_cp_token_kind {
    SP_CP_TOKEN_CLIENT,
    SP_CP_TOKEN_GATEWAY,
};

/** struct sp_cp_token - a row. @actor_id and @provider_id for clients, @site_id for gateways;
 * @expires_at is 0 for "never" */
struct sp_cp_token {
    enum sp_cp_token_kind kind;
    char *id;
    char *account_id;
    char *name;
    char *actor_id;
    char *site_id;
    char *provider_id;
    int64_t expires_at;
};
void sp_cp_token_free(struct sp_cp_token *token);

const char *sp_cp_token_kind_name(enum sp_cp_token_kind kind);

/**
 * sp_cp_token_create() - store @token (its id may be NULL: a new one) and make its secret.
 * An existing row with that id gets a new secret, so the old text stops working.
 * @nonce: the part only the caller's client knows; NULL for none
 * Returns: the fragment, beginning with "."; secret. NULL with @error set.
 */
char *sp_cp_token_create(struct sp_cp_db *db,
                         const struct sp_cp_keys *keys,
                         struct sp_cp_token *token,
                         const char *nonce,
                         GError **error);
/**
 * sp_cp_token_verify() - look up a bearer text
 * Errors: SP_CP_ERROR_DENIED when it is truly unusable (forged, deleted, expired, wrong kind, actor
 * disabled), SP_CP_ERROR_DISABLED when the account is switched off, SP_CP_ERROR_DATABASE.
 */
struct sp_cp_token *sp_cp_token_verify(struct sp_cp_db *db,
                                       const struct sp_cp_keys *keys,
                                       enum sp_cp_token_kind kind,
                                       const char *text,
                                       GError **error);
/** sp_cp_token_usable() - is the row with @id still there, unexpired and its owner enabled?
 * A database failure counts as usable: nobody loses a session over it. */
bool sp_cp_token_usable(struct sp_cp_db *db, const char *id);
