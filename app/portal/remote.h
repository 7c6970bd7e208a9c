/* SPDX-License-Identifier: Apache-2.0 */
/* Who is at the other end of a request when a proxy may stand between. */
#pragma once

#include <libsoup/soup.h>

#include "engine/base/defs.h"

#define SP_CP_PROXIES_MAX 64

struct sp_cp_proxies;

/** sp_cp_proxies_new() - networks whose X-Forwarded-For is believed; @cidrs may be NULL.
 * Returns: NULL with @error set when one is no network or address */
struct sp_cp_proxies *sp_cp_proxies_new(const char *const *cidrs, GError **error);
void sp_cp_proxies_free(struct sp_cp_proxies *proxies);
/** sp_cp_proxies_trusts() - is @ip (text) one of them? */
bool sp_cp_proxies_trusts(const struct sp_cp_proxies *proxies, const char *ip);
/** sp_cp_remote_pick() - address text (owned) of who speaks: @host, or behind trusted proxies the
 * rightmost entry of @forwarded that is none of them. @forwarded may be NULL */
char *sp_cp_remote_pick(const struct sp_cp_proxies *proxies,
                        const char *host,
                        const char *forwarded);
char *sp_cp_remote_ip(const struct sp_cp_proxies *proxies, SoupServerMessage *msg);
/** sp_cp_remote_key() - what limits count by (owned): one IPv4 address, one IPv6 /64 */
char *sp_cp_remote_key(const char *ip);
