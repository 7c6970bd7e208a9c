/* SPDX-License-Identifier: Apache-2.0 */
/* Channels: numbers, peers, ages. Spec connectivity 2.7. Time since a channel was confirmed:
 *
 *   0 .. 10 min   connected; renewed from 5 min on if data came
 *   .. 15 min     cooling down: the number only serves the same peer again
 *   after that    the number is free */
#include <stdlib.h>
#include <string.h>

#include "engine/turn/turn-private.h"

#define NUMBERS (SP_CHANNEL_ALLOC_LAST - SP_CHANNEL_FIRST + 1)

static const uint8_t *
peer_key(const struct sp_endpoint *peer, uint8_t out[SP_TURN_PEER_KEY_LEN])
{
    struct sp_wr w = sp_wr(out, SP_TURN_PEER_KEY_LEN);

    sp_wr_u8(&w, peer->ip.family);
    sp_wr_bytes(&w, peer->ip.b, sizeof peer->ip.b);
    sp_wr_be16(&w, peer->port);
    return out;
}

void
sp_turn_channels_init(struct sp_turn_channels *ch, const struct sp_rng *rng)
{
    sp_map_init(&ch->by_number, sizeof(uint16_t), rng);
    sp_map_init(&ch->by_peer, SP_TURN_PEER_KEY_LEN, rng);
    ch->cursor = SP_CHANNEL_FIRST;
    ch->next_at = SP_TIME_NEVER;
}

static struct sp_turn_channel *
by_peer(const struct sp_turn_channels *ch, const struct sp_endpoint *peer)
{
    uint8_t key[SP_TURN_PEER_KEY_LEN];

    return sp_map_get(&ch->by_peer, peer_key(peer, key));
}

static void
unlist_peer(struct sp_turn_channels *ch, const struct sp_turn_channel *c)
{
    uint8_t key[SP_TURN_PEER_KEY_LEN];

    if (by_peer(ch, &c->peer) == c)
        sp_map_del(&ch->by_peer, peer_key(&c->peer, key));
}

static void
drop_channel(struct sp_turn_channels *ch, struct sp_turn_channel *c)
{
    unlist_peer(ch, c);
    sp_map_del(&ch->by_number, &c->number);
    free(c);
}

void
sp_turn_channels_clear(struct sp_turn_channels *ch)
{
    const void *key;
    size_t pos = 0;
    void *value;

    while (sp_map_next(&ch->by_number, &pos, &key, &value))
        drop_channel(ch, value);
    ch->next_at = SP_TIME_NEVER;
}

void
sp_turn_channels_done(struct sp_turn_channels *ch)
{
    sp_turn_channels_clear(ch);
    sp_map_done(&ch->by_number);
    sp_map_done(&ch->by_peer);
}

/* ---- ages ------------------------------------------------------------------------------------ */

static bool
is_connected(const struct sp_turn_channel *c, sp_time now)
{
    return c->state == SP_TURN_CHANNEL_BOUND
           && sp_time_since(c->bound_at, now) < SP_TURN_CHANNEL_LIFETIME;
}

/* Data may follow the bind that is under way: on most networks it comes second. */
static bool
is_usable(const struct sp_turn_channel *c, sp_time now)
{
    return is_connected(c, now)
           || (c->in_flight && sp_time_since(c->asked_at, now) < SP_TURN_CHANNEL_LIFETIME);
}

static bool
wants_renewal(const struct sp_turn_channel *c)
{
    return c->state == SP_TURN_CHANNEL_BOUND && c->received && !c->in_flight;
}

static sp_time
deadline_of(const struct sp_turn_channel *c)
{
    if (c->in_flight)
        return SP_TIME_NEVER;
    if (wants_renewal(c))
        return sp_time_add(c->bound_at, SP_TURN_CHANNEL_REFRESH);
    return sp_time_add(c->bound_at, SP_TURN_CHANNEL_REUSE);
}

static void
arm(struct sp_turn_channels *ch, const struct sp_turn_channel *c)
{
    ch->next_at = sp_time_min(ch->next_at, deadline_of(c));
}

/* ---- binding --------------------------------------------------------------------------------- */

static bool
ask(struct sp_turn *t, struct sp_turn_channel *c, sp_time now)
{
    c->in_flight = sp_turn_request_channel(t, &c->peer, c->number, now);
    c->asked_at = now;
    return c->in_flight;
}

/* Returns: 0 when all are taken */
static uint16_t
free_number(struct sp_turn_channels *ch)
{
    for (unsigned i = 0; i < NUMBERS; i++) {
        uint16_t number = ch->cursor;

        ch->cursor = number == SP_CHANNEL_ALLOC_LAST ? SP_CHANNEL_FIRST : (uint16_t)(number + 1);
        if (!sp_map_get(&ch->by_number, &number))
            return number;
    }
    return 0;
}

static void
bind_new(struct sp_turn *t, const struct sp_endpoint *peer, sp_time now)
{
    struct sp_turn_channels *ch = &t->channels;
    uint8_t key[SP_TURN_PEER_KEY_LEN];
    uint16_t number = free_number(ch);
    struct sp_turn_channel *c;

    if (!number) {
        TURN_LOG(t, WARN, "%s", "all channels are in use");
        return;
    }
    c = sp_xcalloc(1, sizeof *c);
    c->number = number;
    c->peer = *peer;
    c->bound_at = SP_TIME_NEVER;
    sp_map_put(&ch->by_number, &c->number, c);
    sp_map_put(&ch->by_peer, peer_key(peer, key), c);
    if (!ask(t, c, now))
        drop_channel(ch, c);
}

static void
bind_now(struct sp_turn *t, const struct sp_endpoint *peer, sp_time now)
{
    struct sp_turn_channel *c = by_peer(&t->channels, peer);

    if (!t->has[SP_ICE_RELAY][sp_turn_family(peer)])
        return;
    sp_turn_run_channels(t, now);
    c = by_peer(&t->channels, peer);
    if (!c)
        bind_new(t, peer, now);
    else if (!is_usable(c, now) && !c->in_flight && !ask(t, c, now))
        drop_channel(&t->channels, c);
}

void
sp_turn_wait_for_channel(struct sp_turn *t, const struct sp_endpoint *peer)
{
    struct sp_endpoint oldest;

    for (size_t i = 0; i < t->waiting.len; i++)
        if (sp_endpoint_equal(sp_ring_at(&t->waiting, i), peer))
            return;
    if (t->waiting.len == SP_TURN_WAITING_MAX)
        sp_ring_pop(&t->waiting, &oldest);
    if (sp_ring_push(&t->waiting, peer) < 0)
        TURN_LOG(t, DEBUG, "%s", "a peer does not get a channel");
}

void
sp_turn_bind_channel(struct sp_turn *t, const struct sp_endpoint *peer, sp_time now)
{
    if (!peer->ip.family)
        return;
    switch (sp_turn_state(t)) {
    case SP_TURN_ACTIVE:
        bind_now(t, peer, now);
        break;
    case SP_TURN_PROBING:
    case SP_TURN_ALLOCATING:
    case SP_TURN_DELETING:
        sp_turn_wait_for_channel(t, peer);
        break;
    case SP_TURN_SUSPENDED:
    case SP_TURN_DEAD:
    case _SP_TURN_STATE_MAX:
        break;
    }
}

void
sp_turn_bind_waiting(struct sp_turn *t, sp_time now)
{
    struct sp_endpoint peer;

    while (sp_ring_pop(&t->waiting, &peer))
        bind_now(t, &peer, now);
}

static struct sp_turn_channel *
channel_of(const struct sp_turn *t, const struct sp_turn_request *req)
{
    return sp_map_get(&t->channels.by_number, &req->channel);
}

void
sp_turn_channel_confirmed(struct sp_turn *t, const struct sp_turn_request *req, sp_time now)
{
    struct sp_turn_channel *c = channel_of(t, req);

    if (!c)
        return;
    c->state = SP_TURN_CHANNEL_BOUND;
    c->bound_at = now;
    c->received = false;
    c->in_flight = false;
    arm(&t->channels, c);
}

void
sp_turn_channel_refused(struct sp_turn *t, const struct sp_turn_request *req)
{
    struct sp_turn_channel *c = channel_of(t, req);

    if (!c)
        return;
    if (c->state == SP_TURN_CHANNEL_BINDING) {
        drop_channel(&t->channels, c);
        return;
    }
    /* The relay may still know the number as this peer's. */
    unlist_peer(&t->channels, c);
    c->state = SP_TURN_CHANNEL_FORGOTTEN;
    c->in_flight = false;
    arm(&t->channels, c);
}

/* ---- data ------------------------------------------------------------------------------------ */

int
sp_turn_channel_header(struct sp_turn *t,
                       const struct sp_endpoint *peer,
                       uint16_t payload_len,
                       sp_time now,
                       uint8_t ret_header[4],
                       struct sp_endpoint *ret_dst)
{
    const struct sp_turn_channel *c = by_peer(&t->channels, peer);

    if (!c || !is_usable(c, now) || t->active == SP_TURN_NO_FAMILY) {
        sp_turn_bind_channel(t, peer, now);
        return SP_TURN_NO_CHANNEL;
    }
    sp_channeldata_write_header(ret_header, c->number, payload_len);
    *ret_dst = t->servers[t->active];
    t->keepalive_at = sp_time_add(now, SP_TURN_KEEPALIVE);
    return 0;
}

int
sp_turn_receive(struct sp_turn *t,
                uint16_t number,
                struct sp_span payload,
                sp_time now,
                struct sp_turn_payload *ret_payload)
{
    struct sp_turn_channel *c = sp_map_get(&t->channels.by_number, &number);
    int family;

    if (!c || !is_connected(c, now))
        return SP_E_NOTFOUND;
    family = sp_turn_family(&c->peer);
    if (!t->has[SP_ICE_RELAY][family])
        return SP_E_NOTFOUND;
    if (!c->received) {
        c->received = true;
        arm(&t->channels, c);
    }
    ret_payload->peer = c->peer;
    ret_payload->relayed = t->candidates[SP_ICE_RELAY][family].addr;
    ret_payload->bytes = payload;
    return SP_TURN_PAYLOAD;
}

/* ---- timers ---------------------------------------------------------------------------------- */

static void
run_one(struct sp_turn *t, struct sp_turn_channel *c, sp_time now)
{
    if (!sp_time_due(deadline_of(c), now)) {
        arm(&t->channels, c);
        return;
    }
    if (!wants_renewal(c) || !ask(t, c, now))
        drop_channel(&t->channels, c);
}

void
sp_turn_run_channels(struct sp_turn *t, sp_time now)
{
    const void *key;
    size_t pos = 0;
    void *value;

    if (!sp_time_due(t->channels.next_at, now))
        return;
    t->channels.next_at = SP_TIME_NEVER;
    while (sp_map_next(&t->channels.by_number, &pos, &key, &value))
        run_one(t, value, now);
}
