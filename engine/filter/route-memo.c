/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/filter/route-memo.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define NIL 0xffffu

/* Unsupported protocols share one key per kind: no filter looks at their number. */
struct memo_key {
    uint8_t ip[16];
    uint8_t family;
    uint8_t kind;
    uint16_t id;
};

struct memo_slot {
    struct memo_key key;
    uint16_t chain; /* next in the bucket */
    uint16_t newer;
    uint16_t older;
    const struct sp_route *route;
};

struct sp_route_memo {
    uint8_t seed[crypto_shorthash_KEYBYTES];
    uint16_t bucket[SP_ROUTE_CACHE];
    struct memo_slot slot[SP_ROUTE_CACHE];
    uint16_t n;
    uint16_t newest;
    uint16_t oldest;
};

struct sp_route_memo *
sp_route_memo_new(const struct sp_rng *rng)
{
    struct sp_route_memo *memo = sp_xcalloc(1, sizeof *memo);

    sp_rng_fill(rng, memo->seed, sizeof memo->seed);
    memo->n = 1; /* so that clear does its work */
    sp_route_memo_clear(memo);
    return memo;
}

void
sp_route_memo_free(struct sp_route_memo *memo)
{
    free(memo);
}

void
sp_route_memo_clear(struct sp_route_memo *memo)
{
    if (memo->n == 0)
        return;
    memset(memo->bucket, 0xff, sizeof memo->bucket);
    memo->n = 0;
    memo->newest = memo->oldest = NIL;
}

static struct memo_key
make_key(const struct sp_ip *ip, struct sp_ip_proto proto)
{
    struct memo_key key = { .family = ip->family, .kind = proto.kind, .id = proto.id };

    memcpy(key.ip, ip->b, sizeof key.ip);
    return key;
}

static uint16_t *
bucket_of(struct sp_route_memo *memo, const struct memo_key *key)
{
    uint64_t h;

    crypto_shorthash((uint8_t *)&h, (const uint8_t *)key, sizeof *key, memo->seed);
    return &memo->bucket[h % SP_ROUTE_CACHE];
}

static void
unlink_age(struct sp_route_memo *memo, uint16_t i)
{
    struct memo_slot *s = &memo->slot[i];

    if (s->newer != NIL)
        memo->slot[s->newer].older = s->older;
    else
        memo->newest = s->older;
    if (s->older != NIL)
        memo->slot[s->older].newer = s->newer;
    else
        memo->oldest = s->newer;
}

static void
link_newest(struct sp_route_memo *memo, uint16_t i)
{
    struct memo_slot *s = &memo->slot[i];

    s->newer = NIL;
    s->older = memo->newest;
    if (memo->newest != NIL)
        memo->slot[memo->newest].newer = i;
    else
        memo->oldest = i;
    memo->newest = i;
}

bool
sp_route_memo_get(struct sp_route_memo *memo,
                  const struct sp_ip *ip,
                  struct sp_ip_proto proto,
                  const struct sp_route **ret_route)
{
    struct memo_key key = make_key(ip, proto);

    for (uint16_t i = *bucket_of(memo, &key); i != NIL; i = memo->slot[i].chain) {
        if (memcmp(&memo->slot[i].key, &key, sizeof key) != 0)
            continue;
        if (memo->newest != i) {
            unlink_age(memo, i);
            link_newest(memo, i);
        }
        *ret_route = memo->slot[i].route;
        return true;
    }
    return false;
}

static uint16_t
take_slot(struct sp_route_memo *memo)
{
    uint16_t i, *link;

    if (memo->n < SP_ROUTE_CACHE)
        return memo->n++;
    i = memo->oldest;
    unlink_age(memo, i);
    for (link = bucket_of(memo, &memo->slot[i].key); *link != i; link = &memo->slot[*link].chain)
        ;
    *link = memo->slot[i].chain;
    return i;
}

void
sp_route_memo_put(struct sp_route_memo *memo,
                  const struct sp_ip *ip,
                  struct sp_ip_proto proto,
                  const struct sp_route *route)
{
    uint16_t i = take_slot(memo);
    struct memo_slot *s = &memo->slot[i];
    uint16_t *bucket;

    s->key = make_key(ip, proto);
    s->route = route;
    bucket = bucket_of(memo, &s->key);
    s->chain = *bucket;
    *bucket = i;
    link_newest(memo, i);
}
