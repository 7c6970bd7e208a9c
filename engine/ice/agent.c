/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/ice/agent.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "engine/ice/agent-private.h"

const char *
sp_ice_state_name(enum sp_ice_state state)
{
    static const char *const names[_SP_ICE_STATE_MAX] = {
        [SP_ICE_NEW] = "new",
        [SP_ICE_CHECKING] = "checking",
        [SP_ICE_CONNECTED] = "connected",
        [SP_ICE_COMPLETED] = "completed",
        [SP_ICE_DISCONNECTED] = "disconnected",
    };

    return names[state];
}

static bool
timing_ok(const struct sp_ice_timing *t)
{
    return t->initial_rto && t->max_rto >= t->initial_rto && t->max_retransmits >= 1
           && t->max_retransmits <= SP_ICE_RETRANSMITS_MAX;
}

static bool
creds_ok(const struct sp_ice_creds *c)
{
    return c->ufrag[0] && memchr(c->ufrag, '\0', sizeof c->ufrag) && c->pwd[0]
           && memchr(c->pwd, '\0', sizeof c->pwd);
}

struct sp_ice_agent *
sp_ice_agent_new(const struct sp_ice_config *config)
{
    struct sp_ice_agent *a = sp_xcalloc(1, sizeof *a);

    sp_assert(timing_ok(&config->timing));
    sp_assert(creds_ok(&config->local) && creds_ok(&config->remote));
    a->controlling = config->controlling;
    a->evaluate = true;
    a->local_creds = config->local;
    a->remote_creds = config->remote;
    a->timing = config->timing;
    a->rng = config->rng;
    a->log = config->log;
    a->tie_breaker = sp_rng_u64(&a->rng);
    sp_ring_init(&a->tx, sizeof(struct sp_ice_tx), SP_ICE_TX_QUEUE_MAX);
    sp_ring_init(&a->events, sizeof(struct sp_ice_event), SP_ICE_EVENTS_MAX);
    return a;
}

struct sp_ice_agent *
sp_ice_agent_free(struct sp_ice_agent *a)
{
    if (!a)
        return NULL;
    sp_ring_done(&a->tx);
    sp_ring_done(&a->events);
    free(a->pairs);
    sodium_memzero(&a->local_creds, sizeof a->local_creds);
    sodium_memzero(&a->remote_creds, sizeof a->remote_creds);
    free(a);
    return NULL;
}

void
sp_ice_agent_handle_timeout(struct sp_ice_agent *a, sp_time now)
{
    if (a->state == SP_ICE_NEW) {
        struct sp_ice_event event = {
            .type = SP_ICE_EVENT_STATE,
            .u.state = { .now = SP_ICE_CHECKING, .before = SP_ICE_NEW },
        };

        a->state = SP_ICE_CHECKING;
        (void)!sp_ring_push(&a->events, &event);
    }
    sp_ice_pairs_prune(a, now);
    sp_ice_nominate(a);
    sp_ice_checks_send_due(a, now);
    a->evaluate = false;
}

sp_time
sp_ice_agent_next_timeout(const struct sp_ice_agent *a)
{
    sp_time next = SP_TIME_NEVER;

    if (a->evaluate)
        return 0;
    for (size_t i = 0; i < a->n_pairs; i++)
        next = sp_time_min(next, a->pairs[i].next_check);
    return next;
}

bool
sp_ice_agent_poll_transmit(struct sp_ice_agent *a, struct sp_ice_tx *out)
{
    return sp_ring_pop(&a->tx, out);
}

bool
sp_ice_agent_poll_event(struct sp_ice_agent *a, struct sp_ice_event *out)
{
    return sp_ring_pop(&a->events, out);
}

void
sp_ice_agent_set_timing(struct sp_ice_agent *a, const struct sp_ice_timing *t, sp_time now)
{
    sp_assert(timing_ok(t));
    if (t->initial_rto == a->timing.initial_rto && t->max_rto == a->timing.max_rto
        && t->max_retransmits == a->timing.max_retransmits)
        return;
    a->timing = *t;
    for (size_t i = 0; i < a->n_pairs; i++) {
        sp_ice_check_trim(a, &a->pairs[i]);
        sp_ice_check_schedule(a, &a->pairs[i], now);
    }
}

enum sp_ice_state
sp_ice_agent_state(const struct sp_ice_agent *a)
{
    return a->state;
}

bool
sp_ice_agent_is_controlling(const struct sp_ice_agent *a)
{
    return a->controlling;
}

bool
sp_ice_agent_nominated(const struct sp_ice_agent *a,
                       struct sp_endpoint *ret_base,
                       struct sp_endpoint *ret_remote)
{
    const struct ice_pair *pair = sp_ice_pair_by_id(a, a->nominated);

    if (!pair)
        return false;
    *ret_base = a->locals[pair->local].c.base;
    *ret_remote = a->remotes[pair->remote].c.addr;
    return true;
}

static size_t
count_live(const struct ice_candidate_slot *slots, size_t n)
{
    size_t live = 0;

    for (size_t i = 0; i < n; i++)
        live += !slots[i].discarded;
    return live;
}

void
sp_ice_agent_stats(const struct sp_ice_agent *a, struct sp_ice_stats *ret)
{
    const struct ice_pair *pair = sp_ice_pair_by_id(a, a->nominated);

    *ret = a->stats;
    ret->rtt = pair ? pair->rtt : 0;
    ret->pairs = a->n_pairs;
    ret->locals = count_live(a->locals, a->n_locals);
    ret->remotes = count_live(a->remotes, a->n_remotes);
}
