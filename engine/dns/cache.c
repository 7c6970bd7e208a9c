/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/dns/cache.h"

#include <stdlib.h>

struct key {
    struct sp_dns_name name; /* lower case */
    uint16_t type;
};
_Static_assert(sizeof(struct key) == sizeof(struct sp_dns_name) + 2, "keys compare as memory");

struct sp_dns_cache_entry {
    struct sp_dns_cache_entry *older;
    struct sp_dns_cache_entry *newer;
    struct key key;
    sp_time stored;
    sp_time expires;
    size_t n;
    uint8_t msg[]; /* header, question, answer section */
};

void
sp_dns_cache_init(struct sp_dns_cache *cache, const struct sp_rng *rng)
{
    *cache = (struct sp_dns_cache){ 0 };
    sp_map_init(&cache->by_key, sizeof(struct key), rng);
}

static void
drop(struct sp_dns_cache *cache, struct sp_dns_cache_entry *e)
{
    *(e->older ? &e->older->newer : &cache->oldest) = e->newer;
    *(e->newer ? &e->newer->older : &cache->newest) = e->older;
    sp_map_del(&cache->by_key, &e->key);
    free(e);
}

void
sp_dns_cache_clear(struct sp_dns_cache *cache)
{
    cache->flushes++;
    while (cache->oldest)
        drop(cache, cache->oldest);
}

void
sp_dns_cache_done(struct sp_dns_cache *cache)
{
    sp_dns_cache_clear(cache);
    sp_map_done(&cache->by_key);
}

size_t
sp_dns_cache_len(const struct sp_dns_cache *cache)
{
    return cache->by_key.len;
}

static void
append(struct sp_dns_cache *cache, struct sp_dns_cache_entry *e)
{
    struct sp_dns_cache_entry *old = sp_map_get(&cache->by_key, &e->key);

    if (old)
        drop(cache, old);
    else if (cache->by_key.len >= SP_DNS_CACHE_MAX)
        drop(cache, cache->oldest);
    e->older = cache->newest;
    *(cache->newest ? &cache->newest->newer : &cache->oldest) = e;
    cache->newest = e;
    sp_map_put(&cache->by_key, &e->key, e);
}

/* Names in record data must be readable once the other sections are gone. They only point backwards,
 * so it is enough that they can be read at all. Returns: end of the answer section, 0 if not. */
static size_t
answer_end(struct sp_span msg, const struct sp_dns_response *resp)
{
    struct sp_dns_walk walk = sp_dns_walk(msg, resp);
    struct sp_dns_name name;
    struct sp_dns_rr rr;
    size_t end = 0;

    while (sp_dns_walk_next(&walk, &rr) > 0 && rr.section == SP_DNS_SECTION_ANSWER) {
        if (sp_dns_rr_target(msg, &rr, &name) == SP_E_MALFORMED)
            return 0;
        end = rr.end;
    }
    return end;
}

bool
sp_dns_cache_put(struct sp_dns_cache *cache, struct sp_span msg, sp_time now)
{
    struct sp_dns_cache_entry *e;
    struct sp_dns_response resp;
    uint32_t ttl;
    size_t n;

    if (sp_dns_response_parse(msg, &resp) < 0)
        return false;
    if (!resp.question || resp.opcode != 0 || resp.qclass != SP_DNS_CLASS_IN || resp.truncated
        || resp.rcode != SP_DNS_RCODE_NOERROR)
        return false;
    if (sp_dns_min_ttl(msg, &resp, resp.qtype, &ttl) < 0 || ttl < SP_DNS_CACHE_TTL_MIN)
        return false;
    n = answer_end(msg, &resp);
    if (n == 0 || n > SP_DNS_CACHE_MESSAGE_MAX)
        return false;
    e = sp_xcalloc(1, sizeof *e + n);
    e->key.name = sp_dns_name_lower(&resp.name);
    e->key.type = resp.qtype;
    e->stored = now;
    e->expires = sp_time_add(now, SP_SEC(ttl));
    e->n = n;
    memcpy(e->msg, msg.p, n);
    append(cache, e);
    return true;
}

/* Header and question become those of an answer to @q; the records behind them stay in place, as
 * the name has the same length, and so do their compression pointers. */
static int
rebuild(const struct sp_dns_cache_entry *e,
        const struct sp_dns_query *q,
        sp_time now,
        uint8_t *buf,
        size_t cap)
{
    uint32_t passed = (uint32_t)(sp_time_since(e->stored, now) / SP_NS_PER_SEC);
    int start;

    if (e->n > cap)
        return SP_E_NOBUF;
    start = sp_dns_reply_empty(q, SP_DNS_RCODE_NOERROR, buf, cap);
    if (start < 0)
        return start;
    memcpy(buf + 6, e->msg + 6, 2); /* ANCOUNT */
    memcpy(buf + start, e->msg + start, e->n - (size_t)start);
    if (sp_dns_age(buf, e->n, passed) < 0)
        return 0;
    return (int)e->n;
}

int
sp_dns_cache_get(struct sp_dns_cache *cache,
                 const struct sp_dns_query *q,
                 sp_time now,
                 uint8_t *buf,
                 size_t cap)
{
    struct key key = { .name = sp_dns_name_lower(&q->name), .type = q->qtype };
    struct sp_dns_cache_entry *e = sp_map_get(&cache->by_key, &key);

    if (e && e->expires <= now) {
        drop(cache, e);
        e = NULL;
    }
    if (!e || q->opcode != 0 || q->qclass != SP_DNS_CLASS_IN) {
        cache->misses++;
        return 0;
    }
    cache->hits++;
    return rebuild(e, q, now, buf, cap);
}
