/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "engine/crypto/mem.h"
#include "engine/wg/tunnel-private.h"

static const char *
state_name(enum sp_wg_state state)
{
    switch (state) {
    case SP_WG_STATE_IDLE:
        return "idle";
    case SP_WG_STATE_INITIATED:
        return "initiated";
    case SP_WG_STATE_EXPIRED:
        return "expired";
    }
    return "?";
}

void
sp_wg_tunnel_set_state(struct sp_wg_tunnel *t, enum sp_wg_state state, const char *cause)
{
    SP_DEBUG(t->log,
             WG,
             "tunnel %06x: %s -> %s (%s)",
             t->index24,
             state_name(t->state),
             state_name(state),
             cause);
    t->state = state;
}

struct sp_wg_tunnel *
sp_wg_tunnel_new(const struct sp_wg_config *config)
{
    struct sp_wg_tunnel *t = sp_xcalloc(1, sizeof *t);

    sp_assert(config->index24 <= 0xffffff);
    sp_wg_noise_peer_init(&t->peer, config->identity, config->peer_key, config->psk);
    sp_wg_cookie_jar_init(&t->jar, config->peer_key);
    sp_wg_timers_init(&t->timers, &config->params, &config->rng, config->now);
    sp_ring_init(&t->out, sizeof(struct sp_wg_out), SP_WG_OUT_MAX);
    sp_ring_init(&t->events, sizeof(enum sp_wg_event), SP_WG_EVENTS_MAX);
    t->wall = config->wall;
    t->rng = config->rng;
    t->log = config->log;
    t->index24 = config->index24;
    t->current = -1;
    t->last_handshake = SP_TIME_NEVER;
    return t;
}

struct sp_wg_tunnel *
sp_wg_tunnel_free(struct sp_wg_tunnel *t)
{
    if (t) {
        sp_ring_done(&t->out);
        sp_ring_done(&t->events);
        sp_wipe(t, sizeof *t);
        free(t);
    }
    return NULL;
}

void
sp_wg_tunnel_queue(struct sp_wg_tunnel *t, const struct sp_wg_out *out)
{
    if (sp_ring_push(&t->out, out) < 0)
        SP_DEBUG(t->log, WG, "tunnel %06x: message dropped, queue is full", t->index24);
    else
        t->tx_bytes += out->len;
}

static void
queue_event(struct sp_wg_tunnel *t, enum sp_wg_event event)
{
    size_t n = t->events.len;

    if (n && *(const enum sp_wg_event *)sp_ring_at(&t->events, n - 1) == event)
        return;
    if (sp_ring_push(&t->events, &event) < 0)
        SP_DEBUG(t->log, WG, "tunnel %06x: event dropped, queue is full", t->index24);
}

static void
drop_session(struct sp_wg_tunnel *t, int slot)
{
    sp_wipe(&t->sessions[slot], sizeof t->sessions[slot]);
    if (t->current == slot)
        t->current = -1;
}

int
sp_wg_tunnel_add_session(struct sp_wg_tunnel *t,
                         uint32_t local,
                         uint32_t remote,
                         bool initiator,
                         const struct sp_wg_noise_keys *keys,
                         sp_time now)
{
    int slot = (int)(local % SP_WG_SESSIONS);
    struct sp_wg_session *s = &t->sessions[slot];

    drop_session(t, slot);
    s->serial = ++t->serial;
    s->since = now;
    s->local = local;
    s->remote = remote;
    s->initiator = initiator;
    s->keys = *keys;
    return slot;
}

void
sp_wg_tunnel_use_session(struct sp_wg_tunnel *t, int slot, sp_time now)
{
    const struct sp_wg_session *s = &t->sessions[slot];

    if (t->current >= 0 && t->sessions[t->current].serial >= s->serial)
        return;
    t->current = slot;
    t->last_handshake = now;
    /* An initiation of ours that is still unanswered has lost its purpose. */
    sp_wipe(&t->noise, sizeof t->noise);
    sp_wg_tunnel_set_state(t,
                           SP_WG_STATE_IDLE,
                           s->initiator ? "response accepted" : "first packet decrypted");
    sp_wg_timers_session_established(&t->timers, s->initiator, s->since);
    queue_event(t, SP_WG_EVENT_SESSION_ESTABLISHED);
}

void
sp_wg_tunnel_initiate(struct sp_wg_tunnel *t, sp_time now)
{
    sp_wg_tunnel_send_initiation(t, now);
}

static void
expire(struct sp_wg_tunnel *t)
{
    for (int i = 0; i < SP_WG_SESSIONS; i++)
        drop_session(t, i);
    sp_wipe(&t->noise, sizeof t->noise);
    sp_wg_cookie_jar_clear(&t->jar);
    sp_wg_timers_stop(&t->timers);
    sp_wg_tunnel_set_state(t, SP_WG_STATE_EXPIRED, "gave up or no session for too long");
    queue_event(t, SP_WG_EVENT_EXPIRED);
}

static void
drop_old_sessions(struct sp_wg_tunnel *t, sp_time now)
{
    for (int i = 0; i < SP_WG_SESSIONS; i++) {
        if (t->sessions[i].serial && !sp_wg_session_live(&t->sessions[i], &t->timers.params, now))
            drop_session(t, i);
    }
    if (sp_time_due(t->jar.until, now))
        sp_wg_cookie_jar_clear(&t->jar);
}

void
sp_wg_tunnel_handle_timeout(struct sp_wg_tunnel *t, sp_time now)
{
    enum sp_wg_due due;

    drop_old_sessions(t, now);
    while ((due = sp_wg_timers_run(&t->timers, now)) != SP_WG_DUE_NOTHING) {
        switch (due) {
        case SP_WG_DUE_INITIATION:
            sp_wg_tunnel_send_initiation(t, now);
            break;
        case SP_WG_DUE_KEEPALIVE:
            sp_wg_tunnel_send_keepalive(t, now);
            break;
        case SP_WG_DUE_EXPIRE:
            expire(t);
            break;
        case SP_WG_DUE_NOTHING:
            break;
        }
    }
}

sp_time
sp_wg_tunnel_next_timeout(const struct sp_wg_tunnel *t)
{
    sp_time next = sp_time_min(sp_wg_timers_next(&t->timers), t->jar.until);

    if (t->out.len || t->events.len)
        return 0;
    for (int i = 0; i < SP_WG_SESSIONS; i++) {
        const struct sp_wg_session *s = &t->sessions[i];

        if (s->serial)
            next = sp_time_min(next, sp_time_add(s->since, t->timers.params.reject_after));
    }
    return next;
}

bool
sp_wg_tunnel_poll_transmit(struct sp_wg_tunnel *t, struct sp_wg_out *ret_out)
{
    return sp_ring_pop(&t->out, ret_out);
}

bool
sp_wg_tunnel_poll_event(struct sp_wg_tunnel *t, enum sp_wg_event *ret_event)
{
    return sp_ring_pop(&t->events, ret_event);
}

bool
sp_wg_tunnel_has_session(const struct sp_wg_tunnel *t, sp_time now)
{
    return t->current >= 0
           && sp_wg_session_sendable(&t->sessions[t->current], &t->timers.params, now);
}

bool
sp_wg_tunnel_handshake_in_flight(const struct sp_wg_tunnel *t)
{
    return t->state == SP_WG_STATE_INITIATED;
}

sp_time
sp_wg_tunnel_last_handshake(const struct sp_wg_tunnel *t)
{
    return t->last_handshake;
}

uint32_t
sp_wg_tunnel_index24(const struct sp_wg_tunnel *t)
{
    return t->index24;
}

uint64_t
sp_wg_tunnel_rx_bytes(const struct sp_wg_tunnel *t)
{
    return t->rx_bytes;
}

uint64_t
sp_wg_tunnel_tx_bytes(const struct sp_wg_tunnel *t)
{
    return t->tx_bytes;
}
