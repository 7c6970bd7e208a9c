/* SPDX-License-Identifier: Apache-2.0 */
/* The resolver behind the sentinel addresses: cache, DNS resources, recursion. It joins the parts of
 * this folder; README.md shows how the client engine drives it. Source: spec tunnel A.4.
 * Owner: one per client engine. Thread: the engine's caller. I/O: none. */
#pragma once

#include "engine/dns/cache.h"
#include "engine/dns/pending.h"
#include "engine/dns/records.h"
#include "engine/dns/servers.h"

#define SP_DNS_LOCAL_TTL 1 /* seconds, of answers made here */

/** struct sp_dns_stub - the parts may be used directly; whoever sets resources or servers on them
 * also clears the cache, as the functions below do.
 * @cache_after: answers to requests up to this handle are from before flush number @flushes */
struct sp_dns_stub {
    struct sp_dns_records records;
    struct sp_dns_cache cache;
    struct sp_dns_servers servers;
    struct sp_dns_pending pending;
    uint64_t cache_after;
    uint64_t flushes;
};

void sp_dns_stub_init(struct sp_dns_stub *stub, const struct sp_rng *rng);
void sp_dns_stub_done(struct sp_dns_stub *stub);

/** sp_dns_stub_add_resource() - sp_dns_records_add_resource() for a resource of type DNS */
SP_MUST_CHECK int sp_dns_stub_add_resource(struct sp_dns_stub *stub,
                                           const struct sp_resource *resource);
void sp_dns_stub_remove_resource(struct sp_dns_stub *stub, const struct sp_uuid *id);
/** sp_dns_stub_set_system() - sp_dns_servers_set_system(). Returns: true if the mapping changed */
bool sp_dns_stub_set_system(struct sp_dns_stub *stub, const struct sp_ip *ips, size_t n);
/** sp_dns_stub_set_portal() - sp_dns_servers_set_portal(). Returns: true if the mapping changed */
bool sp_dns_stub_set_portal(struct sp_dns_stub *stub, const struct sp_interface *config);

enum sp_dns_outcome {
    SP_DNS_DROP,    /* not an acceptable query, or a sentinel without server */
    SP_DNS_REPLY,   /* @reply_len bytes in the buffer go back */
    SP_DNS_RECURSE, /* ask @upstream: sp_dns_stub_recurse(), or through the tunnel */
    SP_DNS_FORWARD, /* ask a gateway of resource @resource (SRV, TXT) */
};

/**
 * struct sp_dns_verdict - result for one query
 * @query: the query as read (not for DROP)
 * @reply_len: for REPLY, already cut to the UDP limit
 * @local: for REPLY: answered for a DNS resource, so the caller refreshes the NAT of query.name
 * @record, @first_new: for A and AAAA of a resource: the record, and the first association that is
 *      new and needs routes (n_assoc when none is); else NULL
 * @resource: for FORWARD
 * @upstream: for RECURSE and FORWARD; borrowed, valid until the servers change
 */
struct sp_dns_verdict {
    enum sp_dns_outcome outcome;
    struct sp_dns_query query;
    size_t reply_len;
    bool local;
    const struct sp_dns_record *record;
    size_t first_new;
    struct sp_uuid resource;
    const struct sp_dns_upstream *upstream;
};

/** sp_dns_stub_handle_query() - decide about one query that arrived at @client->sentinel.
 * @buf: room for a reply, at least SP_DNS_CACHE_MESSAGE_MAX bytes */
void sp_dns_stub_handle_query(struct sp_dns_stub *stub,
                              const struct sp_dns_client *client,
                              struct sp_span msg,
                              sp_time now,
                              uint8_t *buf,
                              size_t cap,
                              struct sp_dns_verdict *ret);

/** sp_dns_stub_recurse() - after RECURSE: queue the query for the driver.
 * Returns: 0 or SP_E_LIMIT (dropped silently) */
SP_MUST_CHECK int sp_dns_stub_recurse(struct sp_dns_stub *stub,
                                      const struct sp_dns_client *client,
                                      const struct sp_dns_verdict *verdict,
                                      struct sp_span msg,
                                      sp_time now);

/** sp_dns_stub_finish() - as sp_dns_pending_finish(), and good answers enter the cache */
SP_MUST_CHECK int sp_dns_stub_finish(struct sp_dns_stub *stub,
                                     uint64_t handle,
                                     enum sp_dns_result result,
                                     struct sp_span msg,
                                     sp_time now,
                                     uint8_t *buf,
                                     size_t cap,
                                     struct sp_dns_client *ret_client);
