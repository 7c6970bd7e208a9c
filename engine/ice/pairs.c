/* SPDX-License-Identifier: Apache-2.0 */
/* The check list: forming, redundancy, limits, removal, pruning (spec 3.5, RFC 8445 6.1.2). */
#include <string.h>

#include "engine/ice/agent-private.h"

#define PAIRS_STEP 8

uint64_t
sp_ice_pair_priority(uint32_t controlling, uint32_t controlled)
{
    uint64_t lo = SP_MIN(controlling, controlled);
    uint64_t hi = SP_MAX(controlling, controlled);

    return (lo << 32) + 2 * hi + (controlling > controlled);
}

static uint64_t
priority_of(const struct sp_ice_agent *a, size_t local, size_t remote)
{
    uint32_t ours = a->locals[local].c.priority;
    uint32_t theirs = a->remotes[remote].c.priority;

    return a->controlling ? sp_ice_pair_priority(ours, theirs) : sp_ice_pair_priority(theirs, ours);
}

struct ice_pair *
sp_ice_pair_by_id(const struct sp_ice_agent *a, uint32_t id)
{
    for (size_t i = 0; i < a->n_pairs; i++) {
        if (a->pairs[i].id == id)
            return &a->pairs[i];
    }
    return NULL;
}

struct ice_pair *
sp_ice_pair_find(const struct sp_ice_agent *a, size_t local, size_t remote)
{
    const struct sp_endpoint *base = &a->locals[local].c.base;
    const struct sp_endpoint *addr = &a->remotes[remote].c.addr;

    for (size_t i = 0; i < a->n_pairs; i++) {
        struct ice_pair *pair = &a->pairs[i];

        if (sp_endpoint_equal(&a->locals[pair->local].c.base, base)
            && sp_endpoint_equal(&a->remotes[pair->remote].c.addr, addr))
            return pair;
    }
    return NULL;
}

struct ice_pair *
sp_ice_pair_by_txid(const struct sp_ice_agent *a,
                    const uint8_t txid[SP_STUN_TXID_LEN],
                    struct ice_attempt **ret_attempt)
{
    for (size_t i = 0; i < a->n_pairs; i++) {
        struct ice_pair *pair = &a->pairs[i];

        for (unsigned k = 0; k < pair->n_attempts; k++) {
            struct ice_attempt *attempt = sp_ice_attempt_at(pair, k);

            if (memcmp(attempt->txid, txid, SP_STUN_TXID_LEN) == 0) {
                *ret_attempt = attempt;
                return pair;
            }
        }
    }
    return NULL;
}

/* The worst pair gives way to a better one, except the pair in use. */
static bool
make_room(struct sp_ice_agent *a, uint64_t priority)
{
    size_t worst = SP_ICE_NO_SLOT;

    if (a->n_pairs < SP_ICE_PAIRS_MAX)
        return true;
    for (size_t i = 0; i < a->n_pairs; i++) {
        if (a->pairs[i].id == a->nominated)
            continue;
        if (worst == SP_ICE_NO_SLOT || a->pairs[i].priority < a->pairs[worst].priority)
            worst = i;
    }
    if (worst == SP_ICE_NO_SLOT || a->pairs[worst].priority >= priority)
        return false;
    sp_ice_pair_remove(a, worst);
    return true;
}

/* Same path on the wire, so checks, answers and nomination stay; only the ends get new names. */
static void
replace_ends(struct ice_pair *pair, size_t local, size_t remote, uint64_t priority)
{
    pair->local = local;
    pair->remote = remote;
    pair->priority = priority;
    if (pair->nomination == ICE_NOMINATE_SENT) {
        pair->nomination = ICE_NOMINATE_NEXT;
        pair->next_check = 0;
    }
}

static bool
ends_are_live(const struct sp_ice_agent *a, const struct ice_pair *pair)
{
    return !a->locals[pair->local].discarded && !a->remotes[pair->remote].discarded;
}

void
sp_ice_pair_form(struct sp_ice_agent *a, size_t local, size_t remote)
{
    uint64_t priority = priority_of(a, local, remote);
    struct ice_pair *twin;

    if (a->locals[local].c.kind == SP_ICE_PRFLX
        || a->locals[local].c.base.ip.family != a->remotes[remote].c.addr.ip.family)
        return;
    twin = sp_ice_pair_find(a, local, remote);
    if (twin) {
        if (priority > twin->priority || !ends_are_live(a, twin))
            replace_ends(twin, local, remote, priority);
        return;
    }
    if (!make_room(a, priority))
        return;
    if (a->n_pairs == a->cap_pairs) {
        a->cap_pairs += PAIRS_STEP;
        a->pairs = sp_xrealloc(a->pairs, a->cap_pairs, sizeof *a->pairs);
    }
    a->pairs[a->n_pairs++] = (struct ice_pair){
        .id = ++a->last_pair_id,
        .local = local,
        .remote = remote,
        .priority = priority,
        .request_at = SP_TIME_NEVER,
    };
}

void
sp_ice_pair_local(struct sp_ice_agent *a, size_t local)
{
    for (size_t i = 0; i < a->n_remotes; i++) {
        if (!a->remotes[i].discarded)
            sp_ice_pair_form(a, local, i);
    }
}

void
sp_ice_pair_remote(struct sp_ice_agent *a, size_t remote)
{
    for (size_t i = 0; i < a->n_locals; i++) {
        if (!a->locals[i].discarded)
            sp_ice_pair_form(a, i, remote);
    }
}

void
sp_ice_pair_remove(struct sp_ice_agent *a, size_t index)
{
    if (a->pairs[index].id == a->nominated)
        a->nominated = SP_ICE_NO_PAIR;
    a->n_pairs--;
    memmove(&a->pairs[index], &a->pairs[index + 1], (a->n_pairs - index) * sizeof a->pairs[0]);
    a->evaluate = true;
}

/* A path may have a second name: an srflx address equal to the host address, for instance. When
 * the first name goes, the path lives on under the other. */
static bool
rename_pair(struct sp_ice_agent *a, struct ice_pair *pair)
{
    const struct sp_ice_candidate *l = &a->locals[pair->local].c;
    size_t local =
        a->locals[pair->local].discarded ? sp_ice_find_local_base(a, &l->base) : pair->local;
    size_t remote = a->remotes[pair->remote].discarded
                        ? sp_ice_find_remote(a, &a->remotes[pair->remote].c.addr)
                        : pair->remote;

    if (local == SP_ICE_NO_SLOT || remote == SP_ICE_NO_SLOT || a->remotes[remote].discarded)
        return false;
    replace_ends(pair, local, remote, priority_of(a, local, remote));
    return true;
}

static void
drop_dead_pairs(struct sp_ice_agent *a)
{
    for (size_t i = a->n_pairs; i-- > 0;) {
        if (!ends_are_live(a, &a->pairs[i]) && !rename_pair(a, &a->pairs[i]))
            sp_ice_pair_remove(a, i);
    }
}

void
sp_ice_pairs_drop_local(struct sp_ice_agent *a, size_t local)
{
    sp_assert(a->locals[local].discarded);
    drop_dead_pairs(a);
}

void
sp_ice_pairs_drop_remote(struct sp_ice_agent *a, size_t remote)
{
    sp_assert(a->remotes[remote].discarded);
    drop_dead_pairs(a);
}

void
sp_ice_pairs_reprioritise(struct sp_ice_agent *a)
{
    for (size_t i = 0; i < a->n_pairs; i++)
        a->pairs[i].priority = priority_of(a, a->pairs[i].local, a->pairs[i].remote);
    a->evaluate = true;
}

void
sp_ice_pairs_prune(struct sp_ice_agent *a, sp_time now)
{
    for (size_t i = a->n_pairs; i-- > 0;) {
        if (!sp_ice_check_failed(a, &a->pairs[i], now))
            continue;
        SP_DEBUG(a->log, ICE, "pair %u pruned, %zu left", a->pairs[i].id, a->n_pairs - 1);
        sp_ice_pair_remove(a, i);
    }
}
