/* SPDX-License-Identifier: Apache-2.0 */
/* Which pair is used, and what that makes of the agent's state (spec 3.6). */
#include "engine/ice/agent-private.h"

static void
push_event(struct sp_ice_agent *a, const struct sp_ice_event *event)
{
    if (sp_ring_push(&a->events, event) < 0)
        a->stats.dropped++;
}

static void
set_state(struct sp_ice_agent *a, enum sp_ice_state state)
{
    struct sp_ice_event event = {
        .type = SP_ICE_EVENT_STATE,
        .u.state = { .now = state, .before = a->state },
    };

    if (state == a->state)
        return;
    SP_DEBUG(a->log, ICE, "%s -> %s", sp_ice_state_name(a->state), sp_ice_state_name(state));
    a->state = state;
    push_event(a, &event);
}

static void
report_nomination(struct sp_ice_agent *a, const struct ice_pair *pair)
{
    const struct sp_ice_candidate *local = &a->locals[pair->local].c;
    const struct sp_ice_candidate *remote = &a->remotes[pair->remote].c;
    struct sp_ice_event event = {
        .type = SP_ICE_EVENT_NOMINATED,
        .u.nominated = {
            .base = local->base,
            .remote = remote->addr,
            .local_kind = local->kind == SP_ICE_RELAY ? SP_ICE_RELAY : SP_ICE_HOST,
            .remote_kind = remote->kind,
        },
    };

    a->nominated_remote_kind = remote->kind;
    push_event(a, &event);
}

static size_t
count_peer_nominated(const struct sp_ice_agent *a)
{
    size_t n = 0;

    for (size_t i = 0; i < a->n_pairs; i++)
        n += a->pairs[i].peer_nominated;
    return n;
}

static const struct ice_pair *
better(const struct ice_pair *best, const struct ice_pair *pair)
{
    return !best || pair->priority > best->priority ? pair : best;
}

/* A pair that misses its checks is not moved to: paths that share a link die together, and trying
 * each of them in turn would only prolong the outage. */
static const struct ice_pair *
best_as_controlling(const struct sp_ice_agent *a)
{
    const struct ice_pair *best = NULL, *best_silent = NULL;

    for (size_t i = 0; i < a->n_pairs; i++) {
        struct ice_pair *pair = &a->pairs[i];

        if (!pair->succeeded)
            continue;
        if (pair->id != a->nominated && sp_ice_check_unanswered(pair) >= SP_ICE_SILENT_ROUNDS)
            best_silent = better(best_silent, pair);
        else
            best = better(best, pair);
    }
    return best ? best : best_silent;
}

/* The peer nominated others for several whole rounds and this one not at all. */
static bool
is_silent(const struct sp_ice_agent *a, const struct ice_pair *pair)
{
    size_t others = count_peer_nominated(a);

    others -= others > 0;
    return others && pair->silent >= SP_ICE_SILENT_ROUNDS * others;
}

/* A peer that gave up its first choice nominates a lesser pair and is silent on the old one. With
 * the patient server timing we would keep sending into the dead path for ten minutes; so a pair
 * that missed several whole rounds of nominating requests stands back until the peer uses it. */
static const struct ice_pair *
best_as_controlled(const struct sp_ice_agent *a)
{
    const struct ice_pair *best = NULL, *best_silent = NULL;

    for (size_t i = 0; i < a->n_pairs; i++) {
        const struct ice_pair *pair = &a->pairs[i];

        if (!pair->peer_nominated)
            continue;
        if (is_silent(a, pair))
            best_silent = better(best_silent, pair);
        else
            best = better(best, pair);
    }
    return best ? best : best_silent;
}

static void
change_nomination(struct sp_ice_agent *a, uint32_t id)
{
    struct ice_pair *old = sp_ice_pair_by_id(a, a->nominated);
    struct ice_pair *pair = sp_ice_pair_by_id(a, id);

    if (old)
        old->nomination = ICE_NOT_NOMINATED;
    a->nominated = id;
    pair->nomination = ICE_NOMINATE_NEXT;
    pair->next_check = 0;
    SP_DEBUG(a->log, ICE, "pair %u nominated", id);
    report_nomination(a, pair);
}

static void
choose_pair(struct sp_ice_agent *a)
{
    const struct ice_pair *best = a->controlling ? best_as_controlling(a) : best_as_controlled(a);
    const struct ice_pair *current = sp_ice_pair_by_id(a, a->nominated);
    bool wanted = best && best != current;

    /* Equal priorities must not flap; but a peer behind a NAT that gave it another port comes back
     * with equal priority and leaves the old pair silent. */
    if (wanted && current && best->priority == current->priority
        && (a->controlling || !is_silent(a, current)))
        wanted = false;
    /* A role switch can leave a controlling agent with a pair that never answered it. */
    if (wanted && current && a->controlling && current->succeeded
        && best->priority < current->priority)
        wanted = false;
    if (wanted)
        change_nomination(a, best->id);
    else if (current && a->remotes[current->remote].c.kind != a->nominated_remote_kind)
        report_nomination(a, current);
}

/* Discarded candidates count: with all of one side's candidates withdrawn nothing can work, which
 * the connection must learn. */
static bool
both_lists_known(const struct sp_ice_agent *a)
{
    return a->n_locals && a->n_remotes;
}

static enum sp_ice_state
derive_state(const struct sp_ice_agent *a)
{
    if (a->nominated != SP_ICE_NO_PAIR)
        return a->n_pairs > 1 ? SP_ICE_CONNECTED : SP_ICE_COMPLETED;
    if (a->n_pairs || !both_lists_known(a))
        return SP_ICE_CHECKING;
    return SP_ICE_DISCONNECTED;
}

void
sp_ice_nominate(struct sp_ice_agent *a)
{
    choose_pair(a);
    /* New is only left by the first timer run, with or without candidates. */
    if (a->state != SP_ICE_NEW)
        set_state(a, derive_state(a));
}

void
sp_ice_switch_role(struct sp_ice_agent *a)
{
    a->controlling = !a->controlling;
    SP_DEBUG(a->log, ICE, "role conflict, now %s", a->controlling ? "controlling" : "controlled");
    sp_ice_pairs_reprioritise(a);
}
