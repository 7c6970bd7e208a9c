/* SPDX-License-Identifier: Apache-2.0 */
/* The allocation as a whole: life, candidates, timers, and what the parent may ask. Spec
 * connectivity 2.4, 2.6, 2.8, 2.9. */
#include <stdlib.h>
#include <string.h>

#include "engine/crypto/mem.h"
#include "engine/turn/turn-private.h"

static bool
is_text(const char *s, size_t size)
{
    size_t n = s ? strnlen(s, size) : 0;

    return n > 0 && n < size;
}

static bool
set_credentials(struct sp_turn *t, const char *username, const char *password)
{
    if (!is_text(username, sizeof t->username) || !is_text(password, SP_TURN_PASSWORD_MAX))
        return false;
    sp_turn_drop_credentials(t);
    memcpy(t->username, username, strlen(username));
    sp_stun_long_term_key(username, SP_TURN_REALM, password, t->key);
    t->has_credentials = true;
    return true;
}

void
sp_turn_drop_credentials(struct sp_turn *t)
{
    t->has_credentials = false;
    sp_wipe(t->username, sizeof t->username);
    sp_wipe(t->key, sizeof t->key);
    sp_wipe(t->nonce, sizeof t->nonce);
    t->nonce_len = 0;
}

static void
probe(struct sp_turn *t, sp_time now)
{
    t->active = SP_TURN_NO_FAMILY;
    t->keepalive_at = SP_TIME_NEVER;
    t->mismatches = 0;
    for (int family = 0; family < SP_TURN_FAMILIES; family++)
        if (t->servers[family].ip.family)
            (void)sp_turn_request(t, SP_TURN_BINDING, family, now);
}

static void
set_label(struct sp_turn *t)
{
    char text[SP_UUID_STR_MAX];

    memcpy(t->label, sp_uuid_format(&t->id, text), sizeof t->label - 1);
}

struct sp_turn *
sp_turn_new(const struct sp_turn_config *config, sp_time now)
{
    struct sp_turn *t = sp_xcalloc(1, sizeof *t);

    if (!set_credentials(t, config->username, config->password)) {
        free(t);
        return NULL;
    }
    t->id = config->id;
    set_label(t);
    t->rng = config->rng;
    t->log = config->log;
    if (config->addr4.ip.family == 4)
        t->servers[0] = config->addr4;
    if (config->addr6.ip.family == 6)
        t->servers[1] = config->addr6;
    t->granted_at = SP_TIME_NEVER;
    t->requests_next = SP_TIME_NEVER;
    TAILQ_INIT(&t->requests);
    sp_map_init(&t->by_txid, SP_STUN_TXID_LEN, &t->rng);
    sp_turn_channels_init(&t->channels, &t->rng);
    sp_ring_init(&t->waiting, sizeof(struct sp_endpoint), SP_TURN_WAITING_MAX);
    sp_ring_init(&t->transmits, sizeof(struct sp_turn_tx), SP_TURN_TX_QUEUE_MAX);
    sp_ring_init(&t->events, sizeof(struct sp_turn_event), SP_TURN_EVENTS_MAX);
    probe(t, now);
    return t;
}

struct sp_turn *
sp_turn_free(struct sp_turn *t)
{
    if (!t)
        return NULL;
    sp_turn_clear_requests(t);
    sp_map_done(&t->by_txid);
    sp_turn_channels_done(&t->channels);
    sp_ring_done(&t->waiting);
    sp_ring_done(&t->transmits);
    sp_ring_done(&t->events);
    sp_wipe(t, sizeof *t);
    free(t);
    return NULL;
}

/* ---- candidates ------------------------------------------------------------------------------ */

static void
emit(struct sp_turn *t, enum sp_turn_event_type type, const struct sp_ice_candidate *c)
{
    struct sp_turn_event event = { .type = type, .candidate = *c };

    if (sp_ring_push(&t->events, &event) < 0)
        TURN_LOG(t, WARN, "%s", "event queue is full");
}

void
sp_turn_learn(struct sp_turn *t, const struct sp_ice_candidate *c)
{
    int family = sp_turn_family(&c->addr);
    struct sp_ice_candidate *have = &t->candidates[c->kind][family];
    bool is_known = t->has[c->kind][family] && sp_endpoint_equal(&have->addr, &c->addr)
                    && sp_endpoint_equal(&have->base, &c->base)
                    && have->relay_family_mismatch == c->relay_family_mismatch;

    t->has[c->kind][family] = true;
    *have = *c;
    if (!is_known)
        emit(t, SP_TURN_EV_NEW, c);
}

void
sp_turn_invalidate(struct sp_turn *t)
{
    for (int family = 0; family < SP_TURN_FAMILIES; family++) {
        if (t->has[SP_ICE_RELAY][family])
            emit(t, SP_TURN_EV_INVALID, &t->candidates[SP_ICE_RELAY][family]);
        t->has[SP_ICE_RELAY][family] = false;
    }
    t->granted_at = SP_TIME_NEVER;
    t->refresh_not_before = 0;
    sp_turn_channels_clear(&t->channels);
    sp_turn_clear_requests(t);
}

size_t
sp_turn_candidates(const struct sp_turn *t, struct sp_ice_candidate out[SP_TURN_CANDIDATES_MAX])
{
    size_t n = 0;

    for (int kind = 0; kind < _SP_ICE_KIND_MAX; kind++)
        for (int family = 0; family < SP_TURN_FAMILIES; family++)
            if (t->has[kind][family])
                out[n++] = t->candidates[kind][family];
    return n;
}

/* ---- input from the parent ------------------------------------------------------------------- */

int
sp_turn_handle_input(struct sp_turn *t,
                     const struct sp_udp_meta *meta,
                     struct sp_span bytes,
                     sp_time now,
                     struct sp_turn_payload *ret_payload)
{
    struct sp_span payload;
    uint16_t number;

    if (!sp_turn_serves(t, &meta->from) || bytes.n == 0)
        return SP_TURN_NOT_MINE;
    if (bytes.p[0] <= 3)
        return sp_turn_handle_response(t, meta, bytes, now);
    /* 64..79 are the numbers of RFC 8656; other first bytes belong to other protocols. */
    if (bytes.p[0] < SP_CHANNEL_FIRST >> 8 || bytes.p[0] > SP_CHANNEL_ALLOC_LAST >> 8)
        return SP_TURN_NOT_MINE;
    if (sp_channeldata_parse(bytes, &number, &payload) < 0)
        return SP_TURN_NOT_MINE;
    return sp_turn_receive(t, number, payload, now, ret_payload);
}

void
sp_turn_refresh_on_demand(struct sp_turn *t, sp_time now)
{
    switch (sp_turn_state(t)) {
    case SP_TURN_SUSPENDED:
        sp_turn_clear_requests(t);
        probe(t, now);
        break;
    case SP_TURN_ACTIVE:
        if (!sp_turn_is_in_flight(t, SP_TURN_ALLOCATE))
            sp_turn_request_once(t, now);
        break;
    case SP_TURN_PROBING:
    case SP_TURN_ALLOCATING:
    case SP_TURN_DELETING:
    case SP_TURN_DEAD:
    case _SP_TURN_STATE_MAX:
        break; /* something that will tell is under way, or there is nothing to save */
    }
}

static void
restart(struct sp_turn *t, sp_time now)
{
    t->nonce_len = 0;
    t->protocol_failure = false;
    probe(t, now);
}

int
sp_turn_set_credentials(struct sp_turn *t, const char *username, const char *password, sp_time now)
{
    if (!set_credentials(t, username, password))
        return SP_E_INVAL;
    sp_turn_invalidate(t);
    restart(t, now);
    return 0;
}

void
sp_turn_reset(struct sp_turn *t, sp_time now)
{
    struct sp_endpoint peer;
    struct sp_turn_event event;
    struct sp_turn_tx tx;

    sp_turn_invalidate(t);
    memset(t->has, 0, sizeof t->has);
    while (sp_ring_pop(&t->waiting, &peer))
        ;
    while (sp_ring_pop(&t->events, &event))
        ;
    while (sp_ring_pop(&t->transmits, &tx))
        ;
    t->has_srtt = false;
    restart(t, now);
}

/* ---- timers ---------------------------------------------------------------------------------- */

static sp_time
refresh_at(const struct sp_turn *t)
{
    if (!sp_turn_has_allocation(t) || sp_turn_is_in_flight(t, SP_TURN_REFRESH)
        || sp_turn_is_in_flight(t, SP_TURN_ALLOCATE))
        return SP_TIME_NEVER;
    return SP_MAX(sp_time_add(t->granted_at, t->lifetime / 2), t->refresh_not_before);
}

static sp_time
expires_at(const struct sp_turn *t)
{
    return sp_turn_has_allocation(t) ? sp_time_add(t->granted_at, t->lifetime) : SP_TIME_NEVER;
}

static sp_time
keepalive_at(const struct sp_turn *t)
{
    return sp_turn_has_allocation(t) ? t->keepalive_at : SP_TIME_NEVER;
}

void
sp_turn_handle_timeout(struct sp_turn *t, sp_time now)
{
    sp_turn_run_requests(t, now);
    if (sp_time_due(expires_at(t), now)) {
        TURN_LOG(t, INFO, "%s", "allocation expired");
        sp_turn_invalidate(t);
    }
    if (sp_time_due(refresh_at(t), now)) {
        t->refresh_not_before = sp_time_add(now, SP_TURN_REFRESH_PAUSE);
        (void)sp_turn_request(t, SP_TURN_REFRESH, t->active, now);
    }
    if (sp_time_due(keepalive_at(t), now)) {
        t->keepalive_at = sp_time_add(now, SP_TURN_KEEPALIVE);
        (void)sp_turn_request(t, SP_TURN_BINDING, t->active, now);
    }
    sp_turn_run_channels(t, now);
}

sp_time
sp_turn_next_timeout(const struct sp_turn *t)
{
    sp_time at = sp_time_min(t->requests_next, t->channels.next_at);

    if (t->events.len || t->transmits.len)
        return 0;
    at = sp_time_min(at, expires_at(t));
    at = sp_time_min(at, refresh_at(t));
    return sp_time_min(at, keepalive_at(t));
}

bool
sp_turn_poll_transmit(struct sp_turn *t, struct sp_turn_tx *ret_tx)
{
    return sp_ring_pop(&t->transmits, ret_tx);
}

bool
sp_turn_poll_event(struct sp_turn *t, struct sp_turn_event *ret_event)
{
    return sp_ring_pop(&t->events, ret_event);
}

/* ---- questions ------------------------------------------------------------------------------- */

bool
sp_turn_has_allocation(const struct sp_turn *t)
{
    return t->granted_at != SP_TIME_NEVER;
}

enum sp_turn_state
sp_turn_state(const struct sp_turn *t)
{
    if (t->active == SP_TURN_NO_FAMILY)
        return sp_turn_is_in_flight(t, SP_TURN_BINDING) ? SP_TURN_PROBING : SP_TURN_DEAD;
    if (!t->has_credentials)
        return SP_TURN_DEAD;
    if (sp_turn_has_allocation(t))
        return SP_TURN_ACTIVE;
    if (sp_turn_is_in_flight(t, SP_TURN_ALLOCATE))
        return SP_TURN_ALLOCATING;
    return sp_turn_is_in_flight(t, SP_TURN_DELETE) ? SP_TURN_DELETING : SP_TURN_SUSPENDED;
}

const char *
sp_turn_state_name(enum sp_turn_state state)
{
    static const char *const names[_SP_TURN_STATE_MAX] = {
        [SP_TURN_PROBING] = "probing",     [SP_TURN_ALLOCATING] = "allocating",
        [SP_TURN_DELETING] = "deleting",   [SP_TURN_ACTIVE] = "active",
        [SP_TURN_SUSPENDED] = "suspended", [SP_TURN_DEAD] = "dead",
    };

    return names[state];
}

enum sp_turn_end
sp_turn_end(const struct sp_turn *t)
{
    if (t->protocol_failure)
        return SP_TURN_END_PROTOCOL;
    if (t->events.len || t->transmits.len || !TAILQ_EMPTY(&t->requests))
        return SP_TURN_END_NONE;
    if (!t->has_credentials)
        return SP_TURN_END_AUTH;
    return t->active == SP_TURN_NO_FAMILY ? SP_TURN_END_NO_RESPONSE : SP_TURN_END_NONE;
}

const char *
sp_turn_end_name(enum sp_turn_end end)
{
    static const char *const names[_SP_TURN_END_MAX] = {
        [SP_TURN_END_NONE] = "none",
        [SP_TURN_END_NO_RESPONSE] = "no response",
        [SP_TURN_END_AUTH] = "authentication error",
        [SP_TURN_END_PROTOCOL] = "protocol failure",
    };

    return names[end];
}

bool
sp_turn_srtt(const struct sp_turn *t, sp_duration *ret_srtt)
{
    if (t->has_srtt)
        *ret_srtt = t->srtt;
    return t->has_srtt;
}

const struct sp_uuid *
sp_turn_id(const struct sp_turn *t)
{
    return &t->id;
}

bool
sp_turn_serves(const struct sp_turn *t, const struct sp_endpoint *from)
{
    return from->ip.family && sp_endpoint_equal(&t->servers[sp_turn_family(from)], from);
}

bool
sp_turn_owns(const struct sp_turn *t, const struct sp_endpoint *relayed)
{
    int family = sp_turn_family(relayed);

    return t->has[SP_ICE_RELAY][family]
           && sp_endpoint_equal(&t->candidates[SP_ICE_RELAY][family].addr, relayed);
}
