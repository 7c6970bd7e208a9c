/* SPDX-License-Identifier: Apache-2.0 */
/* Token buckets in a table of fixed size: sources that hash alike share one, so a stranger makes
 * nothing grow. */
#include <sodium.h>
#include <string.h>

#include "engine/relay/relay-private.h"

void
relay_limit_init(struct sp_relay *r)
{
    if (!r->rate)
        return;
    r->burst = SP_MAX(r->burst, 1u);
    sp_rng_fill(&r->rng, r->bucket_seed, sizeof r->bucket_seed);
    r->buckets = sp_xcalloc(SP_RELAY_RATE_SLOTS, sizeof *r->buckets);
    for (size_t i = 0; i < SP_RELAY_RATE_SLOTS; i++)
        r->buckets[i].tokens = (uint64_t)r->burst * SP_NS_PER_SEC;
}

bool
relay_limit_pass(struct sp_relay *r, const struct sp_ip *ip, sp_time now)
{
    uint8_t source[8] = { 0 }; /* of an IPv6 network anybody has all addresses */
    uint64_t hash, full = (uint64_t)r->burst * SP_NS_PER_SEC;
    struct relay_bucket *b;
    sp_duration passed;

    if (!r->buckets)
        return true;
    memcpy(source, ip->b, ip->family == 4 ? 4 : 8); /* lint: allow memcpy (fixed size) */
    crypto_shorthash((uint8_t *)&hash, source, sizeof source, r->bucket_seed);
    b = &r->buckets[hash % SP_RELAY_RATE_SLOTS];
    passed = SP_MIN(sp_time_since(b->last, now), full);
    b->last = now;
    b->tokens = SP_MIN(full, b->tokens + passed * r->rate);
    if (b->tokens < SP_NS_PER_SEC)
        return false;
    b->tokens -= SP_NS_PER_SEC;
    return true;
}
