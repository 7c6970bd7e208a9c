/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of upstream servers, kept for their lifetime. Source: spec tunnel A.6 "DNS cache".
 * Owner: one per client engine. Thread: the engine's caller. I/O: none. */
#pragma once

#include "engine/base/map.h"
#include "engine/base/time.h"
#include "engine/dns/message.h"

#define SP_DNS_CACHE_MAX         1000 /* answers; the oldest makes room */
#define SP_DNS_CACHE_MESSAGE_MAX 4096 /* a larger answer is not kept */
#define SP_DNS_CACHE_TTL_MIN     5    /* seconds */

struct sp_dns_cache_entry;

/** struct sp_dns_cache - entries by (name, type) and in order of insertion.
 * @flushes: calls of sp_dns_cache_clear() */
struct sp_dns_cache {
    struct sp_map by_key;
    struct sp_dns_cache_entry *oldest;
    struct sp_dns_cache_entry *newest;
    uint64_t flushes;
    uint64_t hits;
    uint64_t misses;
};

void sp_dns_cache_init(struct sp_dns_cache *cache, const struct sp_rng *rng);
void sp_dns_cache_done(struct sp_dns_cache *cache);
/** sp_dns_cache_clear() - forget everything: servers or resources changed */
void sp_dns_cache_clear(struct sp_dns_cache *cache);
/** sp_dns_cache_len() - entries held, expired ones included */
size_t sp_dns_cache_len(const struct sp_dns_cache *cache);

/** sp_dns_cache_put() - keep an answer to a question of class IN if it is NOERROR, whole, not too
 * large, and its records of the queried type live for at least SP_DNS_CACHE_TTL_MIN seconds.
 * Returns: true if it was kept */
bool sp_dns_cache_put(struct sp_dns_cache *cache, struct sp_span msg, sp_time now);

/** sp_dns_cache_get() - answer @q from the cache: answer section only, TTLs lowered by the whole
 * seconds passed. Returns: length of the answer in @buf, 0 on a miss, SP_E_NOBUF */
SP_MUST_CHECK int sp_dns_cache_get(struct sp_dns_cache *cache,
                                   const struct sp_dns_query *q,
                                   sp_time now,
                                   uint8_t *buf,
                                   size_t cap);
