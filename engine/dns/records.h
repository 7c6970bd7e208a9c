/* SPDX-License-Identifier: Apache-2.0 */
/* Names of DNS resources and the proxy addresses that stand for them. Source: spec tunnel 0.1, A.3.
 * Owner: one per client engine. Thread: the engine's caller. I/O: none. */
#pragma once

#include "engine/base/map.h"
#include "engine/base/uuid.h"
#include "engine/dns/pattern.h"
#include "engine/model/model.h"

#define SP_DNS_PROXY_PER_FAMILY 4
#define SP_DNS_RECORDS_MAX      65536 /* names; more get no addresses */
#define SP_DNS_ASSOC_MAX        256   /* resources that one name belongs to */

/** struct sp_dns_assoc - the name belongs to @resource because of @pattern (owned text) */
struct sp_dns_assoc {
    struct sp_uuid resource;
    char *pattern;
};

/** struct sp_dns_record - one name, lower case. @n4, @n6: 4, or less once a range is used up */
struct sp_dns_record {
    struct sp_dns_name name;
    struct sp_ip v4[SP_DNS_PROXY_PER_FAMILY];
    struct sp_ip v6[SP_DNS_PROXY_PER_FAMILY];
    uint8_t n4;
    uint8_t n6;
    struct sp_dns_assoc *assoc;
    size_t n_assoc;
};

/** struct sp_dns_record_set - owned copy of all records, to be kept between sessions in memory */
struct sp_dns_record_set {
    struct sp_dns_record *v;
    size_t n;
};
void sp_dns_record_set_done(struct sp_dns_record_set *set);

/** struct sp_dns_range - where addresses of one family come from; @next counts up to @end (offset
 * behind the last one) and never back. @skip is left out, its family 0 means nothing is. */
struct sp_dns_range {
    struct sp_ip base;
    uint32_t next;
    uint32_t end;
    struct sp_cidr skip;
};

struct sp_dns_resource;

/** struct sp_dns_records - resources by id, records by name and by proxy address.
 * @changed: set whenever a record or an association came or went; the owner clears it after an
 * export. @exhausted: names that got less than they should */
struct sp_dns_records {
    struct sp_dns_resource **resources;
    size_t n_resources;
    struct sp_dns_record **list; /* in order of creation */
    size_t n;
    struct sp_map by_name; /* wire name, lower case */
    struct sp_map by_ip;   /* struct sp_ip */
    struct sp_dns_range v4;
    struct sp_dns_range v6;
    bool changed;
    uint64_t exhausted;
};

void sp_dns_records_init(struct sp_dns_records *records, const struct sp_rng *rng);
void sp_dns_records_done(struct sp_dns_records *records);

/**
 * sp_dns_records_seed() - take over the records of an earlier session, before any resource is added
 *
 * Addresses outside the proxy ranges, or taken already, are left out. Numbering goes on behind as
 * many addresses as were seeded.
 */
void sp_dns_records_seed(struct sp_dns_records *records, const struct sp_dns_record_set *set);
/** sp_dns_records_export() - deep copy of all records into uninitialised @ret */
void sp_dns_records_export(const struct sp_dns_records *records, struct sp_dns_record_set *ret);

/**
 * sp_dns_records_add_resource() - a DNS resource appears or changes its pattern or stack
 *
 * Associations of the same id with another pattern are dropped. Those with the same pattern are
 * valid again: the caller walks the records (sp_dns_record_has()) and restores their routes.
 *
 * Returns: 0; SP_E_MALFORMED when the pattern is not valid (the resource then matches nothing);
 * SP_E_LIMIT above SP_MODEL_RESOURCES_MAX.
 */
SP_MUST_CHECK int sp_dns_records_add_resource(struct sp_dns_records *records,
                                              const struct sp_uuid *id,
                                              const char *pattern,
                                              enum sp_ip_stack stack);
/** sp_dns_records_remove_resource() - stop matching; records and associations stay */
void sp_dns_records_remove_resource(struct sp_dns_records *records, const struct sp_uuid *id);

/** struct sp_dns_match - what the active resources say about a name.
 * @best: most specific pattern, then the highest id; valid if @n > 0
 * @has_v4, @has_v6: any of them supports the family */
struct sp_dns_match {
    size_t n;
    struct sp_uuid best;
    bool has_v4;
    bool has_v6;
};
struct sp_dns_match sp_dns_records_match(const struct sp_dns_records *records,
                                         const struct sp_dns_name *name);

/**
 * sp_dns_records_assign() - the record of a name, made or extended as needed
 * @ret_first_new: associations from this index on are new; the caller adds routes for them
 *
 * Returns: the record (borrowed, stable until _done), or NULL when no resource matches or
 * SP_DNS_RECORDS_MAX is reached.
 */
const struct sp_dns_record *sp_dns_records_assign(struct sp_dns_records *records,
                                                  const struct sp_dns_name *name,
                                                  size_t *ret_first_new);

/** sp_dns_records_find() - by name; NULL if unknown */
const struct sp_dns_record *sp_dns_records_find(const struct sp_dns_records *records,
                                                const struct sp_dns_name *name);
/** sp_dns_records_find_ip() - the record that owns proxy address @ip; NULL if none */
const struct sp_dns_record *sp_dns_records_find_ip(const struct sp_dns_records *records,
                                                   const struct sp_ip *ip);
/** sp_dns_record_has() - is the record associated with @resource */
bool sp_dns_record_has(const struct sp_dns_record *record, const struct sp_uuid *resource);
/** sp_dns_is_proxy() - @ip lies in a range that proxy addresses come from */
bool sp_dns_is_proxy(const struct sp_ip *ip);
