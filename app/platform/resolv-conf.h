/* SPDX-License-Identifier: Apache-2.0 */
/* The text format of resolv.conf(5), as far as servers and search lists go; everything else is
 * carried through. Thread: any. I/O: none. */
#pragma once

#include <glib.h>

#include "engine/base/addr.h"

#define SP_RESOLV_SERVERS_MAX 16
#define SP_RESOLV_SEARCH_MAX  16

/** struct sp_resolv_conf - @servers: in order; addresses with a scope are left out.
 * @search: owned, NULL-terminated */
struct sp_resolv_conf {
    struct sp_ip servers[SP_RESOLV_SERVERS_MAX];
    size_t n_servers;
    char **search;
};

/** sp_resolv_conf_parse() - Returns: FALSE and @error (INVALID) when @text is not such a file */
gboolean sp_resolv_conf_parse(const char *text, struct sp_resolv_conf *ret_conf, GError **error);
void sp_resolv_conf_done(struct sp_resolv_conf *conf);
/** sp_resolv_conf_rewrite() - @text with its servers replaced by @servers and its search list by
 * @search (NULL removes it); ndots goes back to its default; all other directives stay.
 * Returns: g_free */
char *sp_resolv_conf_rewrite(const char *text,
                             const struct sp_ip *servers,
                             size_t n_servers,
                             const char *search);
