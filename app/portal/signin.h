/* SPDX-License-Identifier: Apache-2.0 */
/* Sign-in pages for browsers. Source: spec portal-protocol 5.2. */
#pragma once

#include <libsoup/soup.h>

#include "app/portal/keys.h"
#include "app/portal/remote.h"

struct sp_cp_signin;

/** sp_cp_signin_new() - @db, @keys, @proxies and @public_url are borrowed. @dev: sign in without password */
struct sp_cp_signin *sp_cp_signin_new(struct sp_cp_db *db,
                                      const struct sp_cp_keys *keys,
                                      const struct sp_cp_proxies *proxies,
                                      const char *public_url,
                                      bool dev);
void sp_cp_signin_free(struct sp_cp_signin *signin);
/** sp_cp_signin_handle() - handler of every path that no one else serves; @data: the object */
void sp_cp_signin_handle(SoupServer *server,
                         SoupServerMessage *msg,
                         const char *path,
                         GHashTable *query,
                         gpointer data);
