/* SPDX-License-Identifier: Apache-2.0 */
/* When a pair is checked, when it has failed, and the request itself (spec 3.5). */
#include <stdio.h>
#include <string.h>

#include "engine/ice/agent-private.h"

const struct sp_ice_timing sp_ice_timing_client_active = { SP_MS(250), SP_MS(1500), 12 };
const struct sp_ice_timing sp_ice_timing_client_idle = { SP_SEC(25), SP_SEC(25), 4 };
const struct sp_ice_timing sp_ice_timing_server_active = { SP_MS(250), SP_SEC(15), 45 };
const struct sp_ice_timing sp_ice_timing_server_idle = { SP_SEC(25), SP_SEC(25), 40 };

/* D(n): pause after n sends, doubling from initial_rto up to max_rto. */
sp_duration
sp_ice_timing_delay(const struct sp_ice_timing *t, unsigned n)
{
    sp_duration d = t->initial_rto;

    for (unsigned i = 1; i < n && d < t->max_rto; i++)
        d = d > SP_TIME_NEVER / 2 ? SP_TIME_NEVER : 2 * d;
    return SP_MIN(d, t->max_rto);
}

sp_duration
sp_ice_timing_limit(const struct sp_ice_timing *t)
{
    sp_duration sum = sp_ice_timing_delay(t, t->max_retransmits);

    for (unsigned n = 2; n <= t->max_retransmits; n++)
        sum = sp_time_add(sum, sp_ice_timing_delay(t, n));
    return sum;
}

struct ice_attempt *
sp_ice_attempt_at(struct ice_pair *pair, unsigned i)
{
    return &pair->attempts[(pair->first + i) % SP_ICE_RETRANSMITS_MAX];
}

void
sp_ice_check_trim(const struct sp_ice_agent *a, struct ice_pair *pair)
{
    while (pair->n_attempts > a->timing.max_retransmits) {
        pair->first = (pair->first + 1) % SP_ICE_RETRANSMITS_MAX;
        pair->n_attempts--;
    }
}

unsigned
sp_ice_check_unanswered(struct ice_pair *pair)
{
    unsigned n = 0;

    while (n < pair->n_attempts && !sp_ice_attempt_at(pair, pair->n_attempts - 1 - n)->answered)
        n++;
    return n;
}

void
sp_ice_check_schedule(const struct sp_ice_agent *a, struct ice_pair *pair, sp_time now)
{
    unsigned unanswered = sp_ice_check_unanswered(pair);
    unsigned k = pair->n_attempts;
    sp_time last, oldest;

    if (!pair->n_attempts || pair->nomination == ICE_NOMINATE_NEXT) {
        pair->next_check = 0;
        return;
    }
    last = sp_ice_attempt_at(pair, pair->n_attempts - 1)->sent;
    if (unanswered) {
        oldest = sp_ice_attempt_at(pair, pair->n_attempts - unanswered)->sent;
        if (sp_time_since(oldest, now) > a->timing.max_rto / 2)
            k = unanswered;
    }
    pair->next_check = sp_time_min(sp_time_add(last, sp_ice_timing_delay(&a->timing, k)),
                                   sp_time_add(now, a->timing.max_rto));
}

bool
sp_ice_check_failed(const struct sp_ice_agent *a, struct ice_pair *pair, sp_time now)
{
    sp_time last;

    if (sp_ice_check_unanswered(pair) < a->timing.max_retransmits)
        return false;
    last = sp_ice_attempt_at(pair, pair->n_attempts - 1)->sent;
    if (sp_time_since(last, now) < sp_ice_timing_delay(&a->timing, a->timing.max_retransmits))
        return false;
    return pair->request_at == SP_TIME_NEVER
           || sp_time_since(pair->request_at, now) > SP_ICE_REQUEST_FRESH;
}

int
sp_ice_queue_tx(struct sp_ice_agent *a, const struct sp_ice_tx *tx)
{
    int r = sp_ring_push(&a->tx, tx);

    if (r < 0)
        a->stats.dropped++;
    return r;
}

static uint32_t
request_priority(const struct sp_ice_candidate *local)
{
    return sp_ice_candidate_priority(SP_ICE_PRFLX, (uint16_t)(local->priority >> 8));
}

static void
build_request(const struct sp_ice_agent *a, const struct ice_pair *pair, struct sp_ice_tx *tx)
{
    const struct sp_ice_creds *peer = &a->remote_creds;
    char username[2 * SP_ICE_UFRAG_MAX + 2];
    struct sp_stun_builder b;
    int n;

    (void)snprintf(username, sizeof username, "%s:%s", peer->ufrag, a->local_creds.ufrag);
    b = sp_stun_build(tx->bytes,
                      sizeof tx->bytes,
                      SP_STUN_REQUEST,
                      SP_STUN_BINDING,
                      tx->transaction_id);
    sp_stun_put_string(&b, SP_STUN_USERNAME, username);
    sp_stun_put_u64(&b,
                    a->controlling ? SP_STUN_ICE_CONTROLLING : SP_STUN_ICE_CONTROLLED,
                    a->tie_breaker);
    sp_stun_put_u32(&b, SP_STUN_PRIORITY, request_priority(&a->locals[pair->local].c));
    if (a->controlling && pair->nomination != ICE_NOT_NOMINATED)
        sp_stun_put_flag(&b, SP_STUN_USE_CANDIDATE);
    sp_stun_put_integrity(&b, sp_span(peer->pwd, strlen(peer->pwd)));
    sp_stun_put_fingerprint(&b);
    n = sp_stun_finish(&b);
    sp_assert(n > 0); /* the longest request is 148 bytes */
    tx->len = (size_t)n;
}

static void
remember_attempt(struct sp_ice_agent *a,
                 struct ice_pair *pair,
                 const struct sp_ice_tx *tx,
                 sp_time now)
{
    struct ice_attempt *attempt;

    if (pair->n_attempts == SP_ICE_RETRANSMITS_MAX) {
        pair->first = (pair->first + 1) % SP_ICE_RETRANSMITS_MAX;
        pair->n_attempts--;
    }
    attempt = sp_ice_attempt_at(pair, pair->n_attempts++);
    *attempt = (struct ice_attempt){ .controlling = a->controlling, .sent = now };
    memcpy(attempt->txid, tx->transaction_id, sizeof attempt->txid);
    sp_ice_check_trim(a, pair);
}

static int
send_check(struct sp_ice_agent *a, struct ice_pair *pair, sp_time now)
{
    const struct sp_ice_candidate *local = &a->locals[pair->local].c;
    struct sp_ice_tx tx = {
        .base = local->base,
        .dst = a->remotes[pair->remote].c.addr,
        .via_relay = local->kind == SP_ICE_RELAY,
        .is_request = true,
    };
    int r;

    sp_rng_fill(&a->rng, tx.transaction_id, sizeof tx.transaction_id);
    build_request(a, pair, &tx);
    r = sp_ice_queue_tx(a, &tx);
    if (r < 0)
        return r;
    a->stats.requests_sent++;
    remember_attempt(a, pair, &tx, now);
    if (pair->nomination == ICE_NOMINATE_NEXT)
        pair->nomination = ICE_NOMINATE_SENT;
    sp_ice_check_schedule(a, pair, now);
    return 0;
}

void
sp_ice_checks_send_due(struct sp_ice_agent *a, sp_time now)
{
    /* Best pair first, so that on a slow uplink it also answers first. */
    for (;;) {
        struct ice_pair *best = NULL;

        for (size_t i = 0; i < a->n_pairs; i++) {
            struct ice_pair *pair = &a->pairs[i];

            if (pair->next_check <= now && (!best || pair->priority > best->priority))
                best = pair;
        }
        if (!best || send_check(a, best, now) < 0)
            return;
    }
}
