/* SPDX-License-Identifier: Apache-2.0 */
/* Best-match routing table: per network a set of (resource, filter, pattern, user) entries.
 * Source: spec tunnel 0.6. Owner: embedded in client and gateway state; one thread. I/O: none. */
#pragma once

#include "engine/base/map.h"
#include "engine/base/uuid.h"
#include "engine/filter/filter.h"

#define SP_ROUTE_CACHE     1024   /* memoised lookups */
#define SP_ROUTE_TABLE_MAX 200000 /* entries; 10000 resources, or 25000 names with 8 proxy IPs */

/** struct sp_route - an entry
 * @pattern: DNS pattern that ranks the entry, or NULL
 * @user: opaque, part of an entry's identity */
struct sp_route {
    struct sp_cidr net;
    struct sp_uuid resource;
    struct sp_filter *filter;
    char *pattern;
    void *user;
};

/** sp_route_specificity - order of two patterns: < 0 when @a is more specific than @b */
typedef int (*sp_route_specificity)(const char *a, const char *b);

struct sp_route_memo;

struct sp_route_table {
    struct sp_map nets;  /* network -> struct route_net */
    uint64_t lens[2][3]; /* prefix lengths in use, per family */
    uint32_t per_len[2][129];
    size_t len; /* entries */
    sp_route_specificity compare;
    struct sp_route_memo *memo;
    struct sp_rng rng;
};

/** sp_route_table_init() - @compare may be NULL when no entry has a pattern */
void sp_route_table_init(struct sp_route_table *t,
                         sp_route_specificity compare,
                         const struct sp_rng *rng);
void sp_route_table_done(struct sp_route_table *t);
/** sp_route_table_clear() - remove everything, stay usable */
void sp_route_table_clear(struct sp_route_table *t);

/** SP_ROUTE_NEW - outcome of insert: the entry was not there before */
#define SP_ROUTE_NEW 1

/** sp_route_table_insert() - takes a reference of @filter, copies @pattern (may be NULL).
 * Returns: SP_ROUTE_NEW; 0 an equal entry is there, nothing changed; SP_E_LIMIT. */
SP_MUST_CHECK int sp_route_table_insert(struct sp_route_table *t,
                                        const struct sp_cidr *net,
                                        const struct sp_uuid *resource,
                                        struct sp_filter *filter,
                                        const char *pattern,
                                        void *user);
/** sp_route_table_remove() - all entries of @resource at exactly @net. Returns: how many */
size_t sp_route_table_remove(struct sp_route_table *t,
                             const struct sp_cidr *net,
                             const struct sp_uuid *resource);
/** sp_route_table_remove_net() - all entries at exactly @net. Returns: how many */
size_t sp_route_table_remove_net(struct sp_route_table *t, const struct sp_cidr *net);
/** sp_route_table_remove_resource() - all entries of @resource. Returns: how many */
size_t sp_route_table_remove_resource(struct sp_route_table *t, const struct sp_uuid *resource);

/**
 * sp_route_table_lookup() - the best entry for (@ip, @proto): permitting first, then the more
 * specific pattern, the longer prefix, the larger resource id
 *
 * Returns: the winner, borrowed until the next change of the table, or NULL. The winner is returned
 * EVEN IF ITS FILTER DENIES: check sp_filter_check(route->filter, proto).
 */
const struct sp_route *sp_route_table_lookup(struct sp_route_table *t,
                                             const struct sp_ip *ip,
                                             struct sp_ip_proto proto);

/** sp_route_table_next() - iterate in unspecified order, start with two zeros; no changes meanwhile.
 * Returns: the entry or NULL at the end */
const struct sp_route *sp_route_table_next(const struct sp_route_table *t,
                                           size_t *net_pos,
                                           size_t *entry_pos);
