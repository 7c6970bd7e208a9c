/* SPDX-License-Identifier: Apache-2.0 */
/* Which DNS servers are used, and the sentinel addresses that stand for them inside the tunnel.
 * Source: spec tunnel 0.1, A.5. Owner: one per client engine. Thread: the engine's caller.
 * I/O: none. */
#pragma once

#include "engine/base/addr.h"
#include "engine/base/err.h"
#include "engine/model/model.h"

enum sp_dns_upstream_kind {
    SP_DNS_DO53,
    SP_DNS_DOH,
};

/** struct sp_dns_upstream - a server. @ip for DO53 (port 53), @url (owned) for DOH */
struct sp_dns_upstream {
    enum sp_dns_upstream_kind kind;
    struct sp_ip ip;
    char *url;
};
bool sp_dns_upstream_equal(const struct sp_dns_upstream *a, const struct sp_dns_upstream *b);
/** sp_dns_upstream_copy() - deep copy; sp_dns_upstream_done() frees the text */
struct sp_dns_upstream sp_dns_upstream_copy(const struct sp_dns_upstream *from);
void sp_dns_upstream_done(struct sp_dns_upstream *upstream);

struct sp_dns_mapping {
    struct sp_ip sentinel;
    struct sp_dns_upstream upstream;
};

/** struct sp_dns_servers - the mapping in force, in the order the servers were given. */
struct sp_dns_servers {
    struct sp_dns_mapping map[SP_MODEL_SERVERS_MAX];
    size_t n;
    struct sp_ip system[SP_MODEL_SERVERS_MAX];
    size_t n_system;
    struct sp_ip do53[SP_MODEL_SERVERS_MAX];
    size_t n_do53;
    struct sp_strv doh;
};

void sp_dns_servers_init(struct sp_dns_servers *servers);
void sp_dns_servers_done(struct sp_dns_servers *servers);

/** sp_dns_servers_set_system() - resolvers of the operating system, at most SP_MODEL_SERVERS_MAX of
 * them are used. Returns: true if the mapping changed: flush the cache, configure the interface */
bool sp_dns_servers_set_system(struct sp_dns_servers *servers, const struct sp_ip *ips, size_t n);
/** sp_dns_servers_set_portal() - upstreams of the interface configuration. URLs that are not valid
 * are left out. Returns: true if the mapping changed */
bool sp_dns_servers_set_portal(struct sp_dns_servers *servers, const struct sp_interface *config);
/** sp_dns_servers_find() - the upstream of a sentinel; NULL if it is not in the mapping */
const struct sp_dns_upstream *sp_dns_servers_find(const struct sp_dns_servers *servers,
                                                  const struct sp_ip *sentinel);
/** sp_dns_servers_may_tunnel() - the portal chose it and it speaks Do53, so its queries go through the
 * tunnel if a resource covers its address (spec tunnel A.6) */
bool sp_dns_servers_may_tunnel(const struct sp_dns_servers *servers,
                               const struct sp_dns_upstream *upstream);
/** sp_dns_is_sentinel() - @ip lies in the ranges that sentinels come from, mapped or not */
bool sp_dns_is_sentinel(const struct sp_ip *ip);
/** sp_dns_doh_url_check() - https, a host, no query string, no fragment, no user name.
 * Returns: 0 or SP_E_MALFORMED */
SP_MUST_CHECK int sp_dns_doh_url_check(const char *url);
