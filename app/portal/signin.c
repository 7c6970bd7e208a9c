/* SPDX-License-Identifier: Apache-2.0 */
#include "app/portal/signin.h"

struct sp_cp_signin {
    struct sp_cp_db *db;
};

struct sp_cp_signin *
sp_cp_signin_new(struct sp_cp_db *db, const struct sp_cp_keys *keys, const char *url, bool dev)
{
    struct sp_cp_signin *s = g_new0(struct sp_cp_signin, 1);

    (void)keys;
    (void)url;
    (void)dev;
    s->db = db;
    return s;
}

void
sp_cp_signin_free(struct sp_cp_signin *s)
{
    g_free(s);
}

void
sp_cp_signin_handle(SoupServer *server,
                    SoupServerMessage *msg,
                    const char *path,
                    GHashTable *query,
                    gpointer data)
{
    (void)server;
    (void)path;
    (void)query;
    (void)data;
    soup_server_message_set_status(msg, SOUP_STATUS_NOT_FOUND, NULL);
}
