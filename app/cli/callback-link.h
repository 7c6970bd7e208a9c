/* SPDX-License-Identifier: Apache-2.0 */
/* The two links of a sign-in: the one opened in the browser and the one the portal leads back to.
 * Spec: portal-protocol 5.1, desktop-client 2.2 to 2.4. Pure. Thread: any. */
#pragma once

#include <glib.h>

#define SP_CLI_SECRET_HEX_LEN 64   /* nonce and state: 32 random bytes each, as hex */
#define SP_CLI_TOKEN_MAX      8192 /* longest token that is taken */
#define SP_CLI_LINK_MAX       16384

enum sp_cli_link_error {
    SP_CLI_LINK_ERROR_URL,     /* not a link, or too long */
    SP_CLI_LINK_ERROR_HOST,    /* a link, but not one that ends a sign-in */
    SP_CLI_LINK_ERROR_MISSING, /* a part is not there */
    SP_CLI_LINK_ERROR_DOUBLE,  /* a part is there twice */
    SP_CLI_LINK_ERROR_STATE,   /* belongs to another sign-in */
    SP_CLI_LINK_ERROR_TOKEN,   /* what should be a token cannot be one */
};
#define SP_CLI_LINK_ERROR (sp_cli_link_error_quark())
GQuark sp_cli_link_error_quark(void);

/** struct sp_cli_link - what a callback link says; strings are owned, @fragment is secret */
struct sp_cli_link {
    char *account_slug;
    char *actor_name;
    char *fragment;
    char *state;
};

/** sp_cli_link_parse() - take @text apart; the scheme is not looked at, its handler was chosen by it
 * Returns: FALSE with @error set and @ret empty */
gboolean sp_cli_link_parse(const char *text, struct sp_cli_link *ret, GError **error);
void sp_cli_link_done(struct sp_cli_link *link);
/** sp_cli_link_token() - the token, if @link answers the request of @nonce and @state
 * Returns: owned secret, NULL with @error set when it does not */
char *sp_cli_link_token(const struct sp_cli_link *link,
                        const char *nonce,
                        const char *state,
                        GError **error);

/** sp_cli_token_is_valid() - 1 to SP_CLI_TOKEN_MAX printable ASCII characters, no space */
gboolean sp_cli_token_is_valid(const char *token);
/** sp_cli_slug_is_valid() - letters, digits, "_" and "-", 1 to 100 of them */
gboolean sp_cli_slug_is_valid(const char *slug);
/** sp_cli_server_is_valid() - http or https, a host, no user, query or fragment */
gboolean sp_cli_server_is_valid(const char *server);
/** sp_cli_sign_in_url() - what to open in the browser. @account may be NULL or empty;
 * @nonce NULL: the page for machines without a browser, which shows a token to copy */
char *sp_cli_sign_in_url(const char *server,
                         const char *account,
                         const char *nonce,
                         const char *state);
/** sp_cli_secret_free() - wipe and free; NULL is fine */
void sp_cli_secret_free(char *secret);
