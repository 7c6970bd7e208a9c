/* SPDX-License-Identifier: Apache-2.0 */
/* What the relay answers. Spec connectivity 2.5. Nothing but a BINDING response is believed
 * without a valid MESSAGE-INTEGRITY, and an error to a BINDING is never more than a failure. */
#include <stdlib.h>
#include <string.h>

#include "engine/turn/turn-private.h"

#define UNKNOWN_LOGGED_MAX 4

struct response {
    const struct sp_udp_meta *meta;
    const struct sp_stun_msg *msg;
    const struct sp_turn_request *req; /* what it answers; in flight no more */
    sp_time now;
};

static bool
answers(const struct sp_turn *t,
        const struct sp_turn_request *req,
        const struct sp_stun_msg *msg,
        const struct sp_udp_meta *meta)
{
    return (msg->cls == SP_STUN_SUCCESS || msg->cls == SP_STUN_ERROR)
           && msg->method == sp_turn_method(req->kind)
           && sp_endpoint_equal(&t->servers[req->family], &meta->from);
}

static bool
is_signed(const struct sp_turn *t, struct sp_turn_request *req, const struct sp_stun_msg *msg)
{
    if (req->kind == SP_TURN_BINDING
        || sp_stun_check_integrity(msg, sp_span(t->key, sizeof t->key)) == 0)
        return true;
    if (!req->told)
        TURN_LOG(t, WARN, "answer to %s is not authentic", sp_turn_kind_name(req->kind));
    req->told = true;
    return false;
}

static void
update_srtt(struct sp_turn *t, const struct response *r)
{
    sp_duration sample = sp_time_since(r->req->first_sent, r->now);

    t->srtt = t->has_srtt ? (7 * t->srtt + sample) / 8 : sample;
    t->has_srtt = true;
}

/* ---- failure --------------------------------------------------------------------------------- */

static void
fail_request(struct sp_turn *t, const struct response *r)
{
    struct sp_endpoint peer;

    switch (r->req->kind) {
    case SP_TURN_ALLOCATE:
        while (sp_ring_pop(&t->waiting, &peer))
            ;
        break;
    case SP_TURN_REFRESH:
        t->refresh_not_before = sp_time_add(r->now, SP_TURN_REFRESH_PAUSE);
        break;
    case SP_TURN_CHANNEL_BIND:
        sp_turn_channel_refused(t, r->req);
        break;
    case SP_TURN_BINDING:
    case SP_TURN_DELETE:
    case _SP_TURN_KIND_MAX:
        break;
    }
}

static void
warn_failed(struct sp_turn *t, const struct response *r, const char *why)
{
    TURN_LOG(t,
             WARN,
             "%s failed: %u, %s",
             sp_turn_kind_name(r->req->kind),
             sp_stun_get_error(r->msg),
             why);
    fail_request(t, r);
}

static void
store_nonce(struct sp_turn *t, const struct sp_stun_msg *msg)
{
    struct sp_span nonce;

    if (!sp_stun_get(msg, SP_STUN_NONCE, &nonce) || nonce.n > sizeof t->nonce)
        return;
    if (nonce.n)
        memcpy(t->nonce, nonce.p, nonce.n);
    t->nonce_len = nonce.n;
}

static bool
is_foreign_realm(const struct sp_stun_msg *msg)
{
    static const char ours[] = SP_TURN_REALM;
    struct sp_span realm;

    return sp_stun_get(msg, SP_STUN_REALM, &realm)
           && (realm.n != sizeof ours - 1 || memcmp(realm.p, ours, realm.n) != 0);
}

static void
bad_credentials(struct sp_turn *t)
{
    TURN_LOG(t, WARN, "%s", "credentials are refused");
    sp_turn_drop_credentials(t);
    sp_turn_invalidate(t);
}

/* A relay may go on like this for ever, and each answer would make us send at once. */
static void
handle_challenge(struct sp_turn *t, const struct response *r)
{
    store_nonce(t, r->msg);
    if (is_foreign_realm(r->msg))
        warn_failed(t, r, "foreign realm");
    else if (r->req->challenges >= SP_TURN_REJECTIONS_MAX)
        warn_failed(t, r, "challenged again and again");
    else if (!sp_turn_again(t, r->req, r->now))
        warn_failed(t, r, "cannot be sent again");
}

/* 437: the relay and we disagree on whether there is an allocation. */
static void
handle_mismatch(struct sp_turn *t, const struct response *r)
{
    enum sp_turn_kind kind = r->req->kind;

    TURN_LOG(t, INFO, "allocation mismatch on %s", sp_turn_kind_name(kind));
    sp_turn_invalidate(t);
    if (++t->mismatches > SP_TURN_REJECTIONS_MAX) {
        warn_failed(t, r, "mismatch again and again");
        return;
    }
    if (kind == SP_TURN_CHANNEL_BIND)
        sp_turn_wait_for_channel(t, &r->req->peer);
    (void)sp_turn_request(t,
                          kind == SP_TURN_ALLOCATE ? SP_TURN_DELETE : SP_TURN_ALLOCATE,
                          t->active,
                          r->now);
}

static void
handle_unknown_attribute(struct sp_turn *t, const struct response *r)
{
    uint16_t types[UNKNOWN_LOGGED_MAX];
    size_t n = sp_stun_get_unknown(r->msg, types, SP_ARRAY_SIZE(types));

    TURN_LOG(t, WARN, "%s failed: unknown attributes", sp_turn_kind_name(r->req->kind));
    for (size_t i = 0; i < n; i++)
        TURN_LOG(t, WARN, "unknown attribute %04x", types[i]);
    t->protocol_failure = true;
}

static void
handle_error(struct sp_turn *t, const struct response *r)
{
    unsigned code = sp_stun_get_error(r->msg);

    if (r->req->kind == SP_TURN_BINDING)
        warn_failed(t, r, "no address learnt");
    else if (code == 401 && r->req->had_nonce)
        bad_credentials(t);
    else if (code == 401 || code == 438)
        handle_challenge(t, r);
    else if (code == 437)
        handle_mismatch(t, r);
    else if (code == 420)
        handle_unknown_attribute(t, r);
    else
        warn_failed(t, r, "not repeated");
}

/* ---- success --------------------------------------------------------------------------------- */

static void
learn_mapped(struct sp_turn *t, const struct response *r)
{
    struct sp_ice_candidate c;
    struct sp_endpoint mapped;

    if (sp_ice_candidate_host(&r->meta->local, &c) == 0)
        sp_turn_learn(t, &c);
    if (sp_stun_get_xor_addr(r->msg, SP_STUN_XOR_MAPPED_ADDRESS, 0, &mapped)
        && sp_turn_family(&mapped) == r->req->family
        && sp_ice_candidate_srflx(&mapped, &r->meta->local, &c) == 0)
        sp_turn_learn(t, &c);
}

static void
handle_binding(struct sp_turn *t, const struct response *r)
{
    learn_mapped(t, r);
    if (t->active != SP_TURN_NO_FAMILY)
        return;
    t->active = r->req->family;
    t->keepalive_at = sp_time_add(r->now, SP_TURN_KEEPALIVE);
    (void)sp_turn_request(t,
                          sp_turn_has_allocation(t) ? SP_TURN_REFRESH : SP_TURN_ALLOCATE,
                          t->active,
                          r->now);
}

static size_t
find_relayed(const struct response *r, struct sp_ice_candidate out[SP_TURN_FAMILIES])
{
    bool has[SP_TURN_FAMILIES] = { false };
    struct sp_ice_candidate c;
    struct sp_endpoint ep;
    size_t n = 0;

    for (size_t i = 0; sp_stun_get_xor_addr(r->msg, SP_STUN_XOR_RELAYED_ADDRESS, i, &ep); i++) {
        if (has[sp_turn_family(&ep)] || !ep.port
            || sp_ice_candidate_relay(&ep, &r->meta->local, &c) < 0)
            continue;
        has[sp_turn_family(&ep)] = true;
        out[n++] = c;
    }
    return n;
}

static void
handle_allocated(struct sp_turn *t, const struct response *r)
{
    struct sp_ice_candidate relayed[SP_TURN_FAMILIES];
    size_t n = find_relayed(r, relayed);
    uint32_t lifetime;

    if (!n || !sp_stun_get_u32(r->msg, SP_STUN_LIFETIME, &lifetime)) {
        warn_failed(t, r, "answer is incomplete");
        return;
    }
    t->granted_at = r->now;
    t->lifetime = SP_SEC(lifetime);
    t->refresh_not_before = 0;
    if (sp_time_due(t->keepalive_at, r->now))
        t->keepalive_at = sp_time_add(r->now, SP_TURN_KEEPALIVE);
    TURN_LOG(t, INFO, "allocated, %zu addresses for %u s", n, lifetime);
    for (size_t i = 0; i < n; i++)
        sp_turn_learn(t, &relayed[i]);
    sp_turn_bind_waiting(t, r->now);
}

static void
handle_refreshed(struct sp_turn *t, const struct response *r)
{
    uint32_t lifetime;

    if (r->req->kind == SP_TURN_DELETE) {
        (void)sp_turn_request(t, SP_TURN_ALLOCATE, t->active, r->now);
        return;
    }
    if (!sp_stun_get_u32(r->msg, SP_STUN_LIFETIME, &lifetime)) {
        warn_failed(t, r, "answer is incomplete");
        return;
    }
    if (lifetime == 0) {
        sp_turn_invalidate(t);
        (void)sp_turn_request(t, SP_TURN_ALLOCATE, t->active, r->now);
        return;
    }
    t->mismatches = 0;
    t->granted_at = r->now;
    t->lifetime = SP_SEC(lifetime);
    t->refresh_not_before = 0;
}

static void
handle_success(struct sp_turn *t, const struct response *r)
{
    switch (r->req->kind) {
    case SP_TURN_BINDING:
        handle_binding(t, r);
        return;
    case SP_TURN_ALLOCATE:
        handle_allocated(t, r);
        break;
    case SP_TURN_REFRESH:
    case SP_TURN_DELETE:
        handle_refreshed(t, r);
        break;
    case SP_TURN_CHANNEL_BIND:
        t->mismatches = 0;
        sp_turn_channel_confirmed(t, r->req, r->now);
        break;
    case _SP_TURN_KIND_MAX:
        break;
    }
}

int
sp_turn_handle_response(struct sp_turn *t,
                        const struct sp_udp_meta *meta,
                        struct sp_span bytes,
                        sp_time now)
{
    struct sp_turn_request *req;
    struct response r = { .meta = meta, .now = now };
    struct sp_stun_msg msg;

    if (sp_stun_parse(bytes, &msg) < 0)
        return SP_TURN_NOT_MINE;
    req = sp_turn_find(t, msg.txid);
    if (!req || !answers(t, req, &msg, meta))
        return SP_E_NOTFOUND;
    if (!is_signed(t, req, &msg))
        return SP_E_UNAUTH;
    sp_turn_take(t, req);
    r.msg = &msg;
    r.req = req;
    update_srtt(t, &r);
    if (msg.cls == SP_STUN_ERROR)
        handle_error(t, &r);
    else
        handle_success(t, &r);
    free(req);
    return 0;
}
