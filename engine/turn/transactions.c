/* SPDX-License-Identifier: Apache-2.0 */
/* Requests in flight: how they look, when they are sent again, when they are given up. Spec
 * connectivity 2.2 and 2.3. */
#include <stdlib.h>
#include <string.h>

#include "engine/turn/turn-private.h"

#define TRANSPORT_UDP 17

const char *
sp_turn_kind_name(enum sp_turn_kind kind)
{
    static const char *const names[_SP_TURN_KIND_MAX] = {
        [SP_TURN_BINDING] = "binding",           [SP_TURN_ALLOCATE] = "allocate",
        [SP_TURN_REFRESH] = "refresh",           [SP_TURN_DELETE] = "delete",
        [SP_TURN_CHANNEL_BIND] = "channel-bind",
    };

    return names[kind];
}

/* ---- messages -------------------------------------------------------------------------------- */

uint16_t
sp_turn_method(enum sp_turn_kind kind)
{
    static const uint16_t methods[_SP_TURN_KIND_MAX] = {
        [SP_TURN_BINDING] = SP_STUN_BINDING,           [SP_TURN_ALLOCATE] = SP_STUN_ALLOCATE,
        [SP_TURN_REFRESH] = SP_STUN_REFRESH,           [SP_TURN_DELETE] = SP_STUN_REFRESH,
        [SP_TURN_CHANNEL_BIND] = SP_STUN_CHANNEL_BIND,
    };

    return methods[kind];
}

static void
put_auth(const struct sp_turn *t, struct sp_stun_builder *b)
{
    sp_stun_put_string(b, SP_STUN_USERNAME, t->username);
    sp_stun_put_string(b, SP_STUN_REALM, SP_TURN_REALM);
    if (t->nonce_len)
        sp_stun_put(b, SP_STUN_NONCE, t->nonce, t->nonce_len);
    sp_stun_put_integrity(b, sp_span(t->key, sizeof t->key));
}

static int
build(const struct sp_turn *t, const struct sp_turn_request *req, uint8_t *buf, size_t cap)
{
    struct sp_stun_builder b =
        sp_stun_build(buf, cap, SP_STUN_REQUEST, sp_turn_method(req->kind), req->txid);

    switch (req->kind) {
    case SP_TURN_ALLOCATE:
    case SP_TURN_REFRESH:
    case SP_TURN_DELETE:
        sp_stun_put_transport(&b, TRANSPORT_UDP);
        sp_stun_put_family(&b, SP_STUN_ADDITIONAL_ADDRESS_FAMILY, 6);
        break;
    case SP_TURN_CHANNEL_BIND:
        sp_stun_put_xor_addr(&b, SP_STUN_XOR_PEER_ADDRESS, &req->peer);
        sp_stun_put_channel(&b, req->channel);
        break;
    case SP_TURN_BINDING:
    case _SP_TURN_KIND_MAX:
        break;
    }
    sp_stun_put_string(&b, SP_STUN_SOFTWARE, SP_TURN_SOFTWARE);
    if (req->kind == SP_TURN_DELETE)
        sp_stun_put_u32(&b, SP_STUN_LIFETIME, 0);
    if (req->kind != SP_TURN_BINDING)
        put_auth(t, &b);
    return sp_stun_finish(&b);
}

/* ---- the list -------------------------------------------------------------------------------- */

struct sp_turn_request *
sp_turn_find(const struct sp_turn *t, const uint8_t *txid)
{
    return sp_map_get(&t->by_txid, txid);
}

void
sp_turn_take(struct sp_turn *t, struct sp_turn_request *req)
{
    sp_map_del(&t->by_txid, req->txid);
    TAILQ_REMOVE(&t->requests, req, link);
    t->in_flight[req->kind]--;
    if (TAILQ_EMPTY(&t->requests))
        t->requests_next = SP_TIME_NEVER;
}

void
sp_turn_clear_requests(struct sp_turn *t)
{
    struct sp_turn_request *req;

    while ((req = TAILQ_FIRST(&t->requests))) {
        sp_turn_take(t, req);
        free(req);
    }
}

bool
sp_turn_is_in_flight(const struct sp_turn *t, enum sp_turn_kind kind)
{
    return t->in_flight[kind] > 0;
}

/* ---- sending --------------------------------------------------------------------------------- */

static bool
may_send(const struct sp_turn *t, enum sp_turn_kind kind)
{
    return kind == SP_TURN_BINDING || (t->active != SP_TURN_NO_FAMILY && t->has_credentials);
}

/* A datagram that finds no room is as good as lost: the next transmission repairs it. */
static void
transmit(struct sp_turn *t, struct sp_turn_request *req)
{
    struct sp_turn_tx tx = { .dst = t->servers[req->family] };
    int n = build(t, req, tx.bytes, sizeof tx.bytes);

    sp_assert(n > 0); /* the bounds of username and nonce see to it */
    tx.len = (size_t)n;
    req->had_nonce = req->kind != SP_TURN_BINDING && t->nonce_len > 0;
    if (sp_ring_push(&t->transmits, &tx) < 0)
        TURN_LOG(t, DEBUG, "%s", "transmit queue is full");
}

static void
new_txid(struct sp_turn *t, struct sp_turn_request *req)
{
    do
        sp_rng_fill(&t->rng, req->txid, sizeof req->txid);
    while (sp_turn_find(t, req->txid));
    sp_map_put(&t->by_txid, req->txid, req);
}

static bool
send_new(struct sp_turn *t, const struct sp_turn_request *model, sp_time now)
{
    struct sp_turn_request *req;

    if (!may_send(t, model->kind) || t->by_txid.len >= SP_TURN_REQUESTS_MAX)
        return false;
    req = sp_xcalloc(1, sizeof *req);
    req->kind = model->kind;
    req->family = model->kind == SP_TURN_BINDING ? model->family : t->active;
    req->channel = model->channel;
    req->peer = model->peer;
    req->patience = model->patience;
    req->challenges = model->challenges;
    req->first_sent = now;
    req->interval = SP_TURN_FIRST_INTERVAL;
    req->deadline = sp_time_add(now, req->interval);
    new_txid(t, req);
    TAILQ_INSERT_TAIL(&t->requests, req, link);
    t->in_flight[req->kind]++;
    t->requests_next = sp_time_min(t->requests_next, req->deadline);
    transmit(t, req);
    return true;
}

bool
sp_turn_request(struct sp_turn *t, enum sp_turn_kind kind, int family, sp_time now)
{
    struct sp_turn_request model = { .kind = kind, .family = family, .patience = SP_TURN_GIVE_UP };

    return send_new(t, &model, now);
}

bool
sp_turn_request_channel(struct sp_turn *t,
                        const struct sp_endpoint *peer,
                        uint16_t channel,
                        sp_time now)
{
    struct sp_turn_request model = { .kind = SP_TURN_CHANNEL_BIND,
                                     .peer = *peer,
                                     .channel = channel,
                                     .patience = SP_TURN_GIVE_UP };

    return send_new(t, &model, now);
}

void
sp_turn_request_once(struct sp_turn *t, sp_time now)
{
    struct sp_turn_request model = { .kind = SP_TURN_REFRESH,
                                     .patience = SP_TURN_ON_DEMAND_GIVE_UP };

    (void)send_new(t, &model, now);
}

bool
sp_turn_again(struct sp_turn *t, const struct sp_turn_request *old, sp_time now)
{
    struct sp_turn_request model = *old;

    model.patience = SP_TURN_GIVE_UP;
    model.challenges++;
    return send_new(t, &model, now);
}

/* ---- timers ---------------------------------------------------------------------------------- */

static void
send_again(struct sp_turn *t, struct sp_turn_request *req, sp_time now)
{
    req->interval = req->interval * 3 / 2;
    req->deadline = sp_time_add(now, req->interval);
    if (req->kind != SP_TURN_BINDING) {
        sp_map_del(&t->by_txid, req->txid);
        new_txid(t, req);
    }
    transmit(t, req);
}

static void
give_up(struct sp_turn *t, struct sp_turn_request *req)
{
    bool is_end = t->active != SP_TURN_NO_FAMILY && req->family == t->active;

    TURN_LOG(t,
             DEBUG,
             "no answer to %s over IPv%d",
             sp_turn_kind_name(req->kind),
             req->family ? 6 : 4);
    sp_turn_take(t, req);
    free(req);
    if (!is_end)
        return; /* the other address may still answer, or did */
    TURN_LOG(t, INFO, "%s", "does not answer any more");
    t->active = SP_TURN_NO_FAMILY;
    t->keepalive_at = SP_TIME_NEVER;
    sp_turn_invalidate(t);
}

static void
run_one(struct sp_turn *t, struct sp_turn_request *req, sp_time now)
{
    if (sp_time_since(req->first_sent, now) >= req->patience || !may_send(t, req->kind))
        give_up(t, req);
    else
        send_again(t, req, now);
}

void
sp_turn_run_requests(struct sp_turn *t, sp_time now)
{
    struct sp_turn_request *req, *next;

    if (!sp_time_due(t->requests_next, now))
        return;
    for (req = TAILQ_FIRST(&t->requests); req; req = next) {
        next = TAILQ_NEXT(req, link);
        if (!sp_time_due(req->deadline, now))
            continue;
        run_one(t, req, now);
        if (TAILQ_EMPTY(&t->requests))
            break; /* the end took them all */
    }
    t->requests_next = SP_TIME_NEVER;
    TAILQ_FOREACH(req, &t->requests, link)
    t->requests_next = sp_time_min(t->requests_next, req->deadline);
}
