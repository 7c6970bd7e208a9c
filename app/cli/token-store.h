/* SPDX-License-Identifier: Apache-2.0 */
/* Where the token of a sign-in lives: the Secret Service of the desktop, or where none answers a
 * file of mode 0600; and beside it, in plain text, whose it is. Thread: main. I/O: D-Bus, files. */
#pragma once

#include <glib.h>

/** struct sp_cli_session - a sign-in without its secret; strings are owned
 * @in_file:  the token is in a file, not in the Secret Service
 * @internet: the user's wish for the Internet resource, kept between connections */
struct sp_cli_session {
    char *server;
    char *account;
    char *actor;
    gboolean in_file;
    gboolean internet;
};

/** sp_cli_session_load() - FALSE when nobody is signed in */
gboolean sp_cli_session_load(struct sp_cli_session *ret);
gboolean sp_cli_session_save(const struct sp_cli_session *session, GError **error);
void sp_cli_session_done(struct sp_cli_session *session);

/** sp_cli_token_store() - keep @token for @session and save both; sets @session->in_file
 * A key ring that is locked is an error: the user has one and would look for the token there. */
gboolean sp_cli_token_store(struct sp_cli_session *session, const char *token, GError **error);
/** sp_cli_token_load() - owned secret for sp_cli_secret_free(); NULL without @error: there is none */
char *sp_cli_token_load(const struct sp_cli_session *session, GError **error);
/** sp_cli_token_forget() - remove token and session; nothing there is no error */
gboolean sp_cli_token_forget(const struct sp_cli_session *session, GError **error);
/** sp_cli_token_path() - the file used without a Secret Service; owned */
char *sp_cli_token_path(void);

/** sp_cli_system_token_path() - SALLYPORT_TOKEN_PATH or /etc/sallyport/token */
const char *sp_cli_system_token_path(void);
gboolean sp_cli_system_token_store(const char *token, GError **error);
/** sp_cli_system_token_forget() - @ret_was_there may be NULL */
gboolean sp_cli_system_token_forget(gboolean *ret_was_there, GError **error);
