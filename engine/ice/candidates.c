/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's two candidate lists: adding, redundancy, revival, removal (spec 3.2 and 3.4). */
#include <string.h>

#include "engine/ice/agent-private.h"

/* Next free slot; when all are taken the first discarded one is forgotten for good. */
static size_t
free_slot(struct ice_candidate_slot *slots, size_t *n, size_t max)
{
    if (*n < max)
        return (*n)++;
    for (size_t i = 0; i < max; i++) {
        if (slots[i].discarded)
            return i;
    }
    return SP_ICE_NO_SLOT;
}

static size_t
find_local_twin(const struct sp_ice_agent *a, const struct sp_ice_candidate *c, bool discarded)
{
    for (size_t i = 0; i < a->n_locals; i++) {
        const struct ice_candidate_slot *s = &a->locals[i];

        if (s->discarded != discarded || !sp_endpoint_equal(&s->c.addr, &c->addr)
            || !sp_endpoint_equal(&s->c.base, &c->base))
            continue;
        if (!discarded || s->c.kind == c->kind)
            return i;
    }
    return SP_ICE_NO_SLOT;
}

size_t
sp_ice_find_local_base(const struct sp_ice_agent *a, const struct sp_endpoint *base)
{
    size_t best = SP_ICE_NO_SLOT;

    for (size_t i = 0; i < a->n_locals; i++) {
        if (a->locals[i].discarded || a->locals[i].c.kind == SP_ICE_PRFLX
            || !sp_endpoint_equal(&a->locals[i].c.base, base))
            continue;
        if (best == SP_ICE_NO_SLOT || a->locals[i].c.priority > a->locals[best].c.priority)
            best = i;
    }
    return best;
}

size_t
sp_ice_find_remote(const struct sp_ice_agent *a, const struct sp_endpoint *addr)
{
    size_t found = SP_ICE_NO_SLOT;

    for (size_t i = 0; i < a->n_remotes; i++) {
        if (!sp_endpoint_equal(&a->remotes[i].c.addr, addr))
            continue;
        if (!a->remotes[i].discarded)
            return i;
        found = i;
    }
    return found;
}

static uint32_t
next_priority(const struct sp_ice_agent *a, const struct sp_ice_candidate *c)
{
    uint32_t nth = a->added[c->kind][c->addr.ip.family == 6];

    return sp_ice_candidate_priority(
        c->kind,
        sp_ice_local_pref(c->kind, c->addr.ip.family, nth, c->relay_family_mismatch));
}

static void
discard_local(struct sp_ice_agent *a, size_t slot)
{
    a->locals[slot].discarded = true;
    sp_ice_pairs_drop_local(a, slot);
    a->evaluate = true;
}

static int
store_local(struct sp_ice_agent *a, const struct sp_ice_candidate *c, size_t *ret_slot)
{
    size_t slot = free_slot(a->locals, &a->n_locals, SP_ICE_LOCALS_MAX);

    if (slot == SP_ICE_NO_SLOT)
        return SP_E_LIMIT;
    a->locals[slot] = (struct ice_candidate_slot){ .c = *c };
    a->added[c->kind][c->addr.ip.family == 6]++;
    *ret_slot = slot;
    return 0;
}

int
sp_ice_agent_add_local(struct sp_ice_agent *a,
                       const struct sp_ice_candidate *c,
                       struct sp_ice_candidate *ret_adopted)
{
    struct sp_ice_candidate adopted = *c;
    size_t slot, twin;
    int r;

    if (!sp_ice_addr_ok(&c->addr) || !sp_ice_addr_ok(&c->base)
        || c->addr.ip.family != c->base.ip.family)
        return SP_E_INVAL;
    slot = find_local_twin(a, c, true);
    twin = find_local_twin(a, c, false);
    adopted.priority = slot != SP_ICE_NO_SLOT ? a->locals[slot].c.priority : next_priority(a, c);
    memcpy(adopted.ufrag, a->local_creds.ufrag, sizeof adopted.ufrag);
    if (twin != SP_ICE_NO_SLOT && a->locals[twin].c.priority > adopted.priority)
        return SP_ICE_REDUNDANT;
    if (slot != SP_ICE_NO_SLOT) {
        adopted = a->locals[slot].c;
        a->locals[slot].discarded = false;
    } else {
        r = store_local(a, &adopted, &slot);
        if (r < 0)
            return r;
    }
    /* The newcomer takes over the pairs first, so that a nomination survives. */
    sp_ice_pair_local(a, slot);
    if (twin != SP_ICE_NO_SLOT)
        discard_local(a, twin);
    a->evaluate = true;
    if (ret_adopted)
        *ret_adopted = adopted;
    return 0;
}

/* What was learned behind a relayed address is gone together with it. */
static void
discard_prflx_behind(struct sp_ice_agent *a, const struct sp_endpoint *base)
{
    for (size_t i = 0; i < a->n_locals; i++) {
        if (!a->locals[i].discarded && a->locals[i].c.kind == SP_ICE_PRFLX
            && sp_endpoint_equal(&a->locals[i].c.base, base))
            discard_local(a, i);
    }
}

bool
sp_ice_agent_remove_local(struct sp_ice_agent *a,
                          const struct sp_endpoint *addr,
                          enum sp_ice_kind kind)
{
    bool found = false;

    for (size_t i = 0; i < a->n_locals; i++) {
        if (a->locals[i].discarded || a->locals[i].c.kind != kind
            || !sp_endpoint_equal(&a->locals[i].c.addr, addr))
            continue;
        discard_local(a, i);
        if (kind == SP_ICE_RELAY)
            discard_prflx_behind(a, addr);
        found = true;
    }
    return found;
}

void
sp_ice_learn_local_prflx(struct sp_ice_agent *a,
                         const struct ice_pair *pair,
                         const struct sp_endpoint *mapped)
{
    const struct sp_ice_candidate *local = &a->locals[pair->local].c;
    struct sp_ice_candidate c = *local;
    size_t slot;

    if (!sp_ice_addr_ok(mapped) || mapped->ip.family != local->base.ip.family)
        return;
    for (size_t i = 0; i < a->n_locals; i++) {
        if (sp_endpoint_equal(&a->locals[i].c.addr, mapped))
            return;
    }
    c.kind = SP_ICE_PRFLX;
    c.addr = *mapped;
    c.raddr = (struct sp_endpoint){ 0 };
    /* The value that our requests carried, so both sides order this address alike. */
    c.priority = sp_ice_candidate_priority(SP_ICE_PRFLX, (uint16_t)(local->priority >> 8));
    (void)store_local(a, &c, &slot);
}

static int
store_remote(struct sp_ice_agent *a, const struct sp_ice_candidate *c, size_t *ret_slot)
{
    size_t slot = free_slot(a->remotes, &a->n_remotes, SP_ICE_REMOTES_MAX);

    if (slot == SP_ICE_NO_SLOT)
        return SP_E_LIMIT;
    a->remotes[slot] = (struct ice_candidate_slot){ .c = *c };
    *ret_slot = slot;
    return 0;
}

int
sp_ice_add_remote_prflx(struct sp_ice_agent *a,
                        const struct sp_endpoint *addr,
                        uint32_t priority,
                        size_t *ret_slot)
{
    struct sp_ice_candidate c = { .kind = SP_ICE_PRFLX,
                                  .addr = *addr,
                                  .base = *addr,
                                  .priority = priority };
    int r = store_remote(a, &c, ret_slot);

    if (r < 0)
        return r;
    a->remotes[*ret_slot].discovered = true;
    return 0;
}

/* The slot a signalled candidate belongs to: its equal, or the prflx discovered at its address. */
static size_t
find_remote_twin(const struct sp_ice_agent *a, const struct sp_ice_candidate *c)
{
    for (size_t i = 0; i < a->n_remotes; i++) {
        const struct ice_candidate_slot *s = &a->remotes[i];

        if (sp_endpoint_equal(&s->c.addr, &c->addr)
            && ((s->discovered && !s->discarded) || s->c.kind == c->kind))
            return i;
    }
    return SP_ICE_NO_SLOT;
}

static bool
remote_is_paired(const struct sp_ice_agent *a, size_t slot)
{
    for (size_t i = 0; i < a->n_pairs; i++) {
        if (a->pairs[i].remote == slot)
            return true;
    }
    return false;
}

int
sp_ice_agent_add_remote(struct sp_ice_agent *a, const struct sp_ice_candidate *c, sp_time now)
{
    size_t slot;
    int r;

    (void)now;
    if (!sp_ip_size(&c->addr.ip) || !c->addr.port
        || (c->ufrag[0] && strcmp(c->ufrag, a->remote_creds.ufrag) != 0))
        return SP_E_MALFORMED;
    slot = find_remote_twin(a, c);
    if (slot == SP_ICE_NO_SLOT) {
        r = store_remote(a, c, &slot);
        if (r < 0)
            return r;
    } else if (!a->remotes[slot].discarded && !a->remotes[slot].discovered
               && remote_is_paired(a, slot)) {
        return SP_ICE_REDUNDANT;
    } else {
        a->remotes[slot] = (struct ice_candidate_slot){ .c = *c };
        sp_ice_pairs_reprioritise(a);
    }
    sp_ice_pair_remote(a, slot);
    a->evaluate = true;
    return 0;
}

bool
sp_ice_agent_remove_remote(struct sp_ice_agent *a, const struct sp_ice_candidate *c, sp_time now)
{
    bool found = false;

    for (size_t i = 0; i < a->n_remotes; i++) {
        if (a->remotes[i].discarded || !sp_ice_candidate_matches(&a->remotes[i].c, c))
            continue;
        a->remotes[i].discarded = true;
        sp_ice_pairs_drop_remote(a, i);
        found = true;
    }
    if (found) {
        a->evaluate = true;
        sp_ice_agent_handle_timeout(a, now);
    }
    return found;
}

static const struct sp_ice_candidate *
live_at(const struct ice_candidate_slot *slots, size_t n, size_t i)
{
    for (size_t s = 0; s < n; s++) {
        if (!slots[s].discarded && i-- == 0)
            return &slots[s].c;
    }
    return NULL;
}

const struct sp_ice_candidate *
sp_ice_agent_local_at(const struct sp_ice_agent *a, size_t i)
{
    return live_at(a->locals, a->n_locals, i);
}

const struct sp_ice_candidate *
sp_ice_agent_remote_at(const struct sp_ice_agent *a, size_t i)
{
    return live_at(a->remotes, a->n_remotes, i);
}

size_t
sp_ice_agent_optimistic(const struct sp_ice_agent *a,
                        struct sp_ice_candidate out[SP_ICE_OPTIMISTIC_MAX])
{
    struct sp_ice_candidate list[SP_ICE_REMOTES_MAX];
    size_t n = 0;

    for (size_t i = 0; i < a->n_remotes; i++) {
        if (!a->remotes[i].discarded)
            list[n++] = a->remotes[i].c;
    }
    return sp_ice_optimistic(list, n, out);
}
