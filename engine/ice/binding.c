/* SPDX-License-Identifier: Apache-2.0 */
/* Binding requests and responses of the peer (spec 3.5, RFC 8445 7.2 and 7.3). */
#include <string.h>

#include "engine/ice/agent-private.h"

#define ERROR_ROLE_CONFLICT 487

struct request {
    char receiver[SP_ICE_UFRAG_MAX + 1];
    char sender[SP_ICE_UFRAG_MAX + 1];
    uint32_t priority;
    bool use_candidate;
    bool has_role;
    bool controlling;
    uint64_t tie_breaker;
};

static bool
split_username(const char *name, struct request *ret)
{
    const char *colon = strchr(name, ':');
    size_t head, tail;

    if (!colon)
        return false;
    head = (size_t)(colon - name);
    tail = strlen(colon + 1);
    if (!head || head > SP_ICE_UFRAG_MAX || !tail || tail > SP_ICE_UFRAG_MAX)
        return false;
    memcpy(ret->receiver, name, head);
    ret->receiver[head] = '\0';
    memcpy(ret->sender, colon + 1, tail + 1);
    return true;
}

static int
read_request(const struct sp_stun_msg *msg, struct request *ret)
{
    char name[2 * SP_ICE_UFRAG_MAX + 2];

    if (msg->cls != SP_STUN_REQUEST || msg->method != SP_STUN_BINDING || !msg->integrity)
        return SP_E_MALFORMED;
    if (!sp_stun_get_string(msg, SP_STUN_USERNAME, name, sizeof name) || !split_username(name, ret)
        || !sp_stun_get_u32(msg, SP_STUN_PRIORITY, &ret->priority))
        return SP_E_MALFORMED;
    ret->use_candidate = sp_stun_has(msg, SP_STUN_USE_CANDIDATE);
    ret->controlling = sp_stun_get_u64(msg, SP_STUN_ICE_CONTROLLING, &ret->tie_breaker);
    ret->has_role =
        ret->controlling || sp_stun_get_u64(msg, SP_STUN_ICE_CONTROLLED, &ret->tie_breaker);
    return 0;
}

int
sp_ice_request_ufrag(struct sp_span bytes, char out[SP_ICE_UFRAG_MAX + 1])
{
    struct request req = { 0 };
    struct sp_stun_msg msg;

    if (sp_stun_parse(bytes, &msg) < 0 || read_request(&msg, &req) < 0)
        return SP_E_MALFORMED;
    memcpy(out, req.receiver, sizeof req.receiver);
    return 0;
}

int
sp_ice_response_txid(struct sp_span bytes, uint8_t out[12])
{
    struct sp_stun_msg msg;

    if (sp_stun_parse(bytes, &msg) < 0 || msg.method != SP_STUN_BINDING
        || (msg.cls != SP_STUN_SUCCESS && msg.cls != SP_STUN_ERROR))
        return SP_E_MALFORMED;
    memcpy(out, msg.txid, sizeof msg.txid);
    return 0;
}

/* @error 0 makes a success reply. */
static void
queue_reply(struct sp_ice_agent *a,
            const struct sp_stun_msg *msg,
            const struct sp_ice_candidate *local,
            const struct sp_endpoint *from,
            unsigned error)
{
    struct sp_ice_tx tx = { .base = local->base,
                            .dst = *from,
                            .via_relay = local->kind == SP_ICE_RELAY };
    const char *pwd = a->local_creds.pwd;
    struct sp_stun_builder b;
    int n;

    memcpy(tx.transaction_id, msg->txid, sizeof msg->txid);
    b = sp_stun_build(tx.bytes,
                      sizeof tx.bytes,
                      error ? SP_STUN_ERROR : SP_STUN_SUCCESS,
                      SP_STUN_BINDING,
                      msg->txid);
    if (error)
        sp_stun_put_error(&b, error, NULL);
    else
        sp_stun_put_xor_addr(&b, SP_STUN_XOR_MAPPED_ADDRESS, from);
    sp_stun_put_integrity(&b, sp_span(pwd, strlen(pwd)));
    sp_stun_put_fingerprint(&b);
    n = sp_stun_finish(&b);
    sp_assert(n > 0);
    tx.len = (size_t)n;
    (void)sp_ice_queue_tx(a, &tx);
}

static int
authenticate(const struct sp_ice_agent *a, const struct sp_stun_msg *msg, const struct request *req)
{
    const char *pwd = a->local_creds.pwd;

    if (strcmp(req->receiver, a->local_creds.ufrag) != 0
        || strcmp(req->sender, a->remote_creds.ufrag) != 0)
        return SP_E_UNAUTH;
    return sp_stun_check_integrity(msg, sp_span(pwd, strlen(pwd)));
}

/* RFC 8445 7.3.1.1. Returns: true when the request must be answered with 487. */
static bool
role_conflict(struct sp_ice_agent *a, const struct request *req)
{
    bool we_win = a->tie_breaker >= req->tie_breaker;

    if (!req->has_role || req->controlling != a->controlling)
        return false;
    /* The larger tie-breaker ends up controlling, whichever role both claimed. */
    if (a->controlling == we_win)
        return true;
    sp_ice_switch_role(a);
    return false;
}

static void
count_silence(struct sp_ice_agent *a, const struct ice_pair *used)
{
    for (size_t i = 0; i < a->n_pairs; i++) {
        if (&a->pairs[i] != used && a->pairs[i].silent < UINT16_MAX)
            a->pairs[i].silent++;
    }
}

static void
note_request(struct sp_ice_agent *a, struct ice_pair *pair, const struct request *req, sp_time now)
{
    struct ice_attempt *last;

    pair->request_at = now;
    pair->silent = 0;
    if (req->use_candidate) {
        pair->peer_nominated = true;
        count_silence(a, pair);
    }
    /* Triggered check: the way back is open now. Not faster than the first interval, so requests
     * cannot be used to make us send more than we receive. */
    if (!pair->succeeded && pair->n_attempts) {
        last = sp_ice_attempt_at(pair, pair->n_attempts - 1);
        pair->next_check =
            sp_time_min(pair->next_check, sp_time_add(last->sent, a->timing.initial_rto));
    }
}

static int
find_request_remote(struct sp_ice_agent *a,
                    const struct sp_endpoint *from,
                    uint32_t priority,
                    size_t *ret_remote)
{
    size_t remote = sp_ice_find_remote(a, from);

    if (remote == SP_ICE_NO_SLOT)
        return sp_ice_add_remote_prflx(a, from, priority, ret_remote);
    if (a->remotes[remote].discarded)
        return SP_E_NOTFOUND;
    *ret_remote = remote;
    return 0;
}

static int
handle_request(struct sp_ice_agent *a,
               const struct sp_stun_msg *msg,
               const struct sp_endpoint *from,
               const struct sp_endpoint *destination,
               sp_time now)
{
    struct request req = { 0 };
    struct ice_pair *pair;
    size_t local, remote;
    int r;

    r = read_request(msg, &req);
    if (r < 0)
        return r;
    r = authenticate(a, msg, &req);
    if (r < 0)
        return r;
    local = sp_ice_find_local_base(a, destination);
    if (local == SP_ICE_NO_SLOT || from->ip.family != destination->ip.family)
        return SP_E_NOTFOUND;
    if (role_conflict(a, &req)) {
        queue_reply(a, msg, &a->locals[local].c, from, ERROR_ROLE_CONFLICT);
        return 0;
    }
    if (req.use_candidate && a->controlling)
        return SP_E_STATE;
    r = find_request_remote(a, from, req.priority, &remote);
    if (r < 0)
        return r;
    a->stats.requests_received++;
    sp_ice_pair_form(a, local, remote);
    pair = sp_ice_pair_find(a, local, remote);
    if (!pair)
        return SP_E_LIMIT;
    note_request(a, pair, &req, now);
    queue_reply(a, msg, &a->locals[local].c, from, 0);
    a->evaluate = true;
    return 0;
}

static void
note_success(struct sp_ice_agent *a,
             struct ice_pair *pair,
             struct ice_attempt *attempt,
             sp_time now)
{
    sp_duration sample = sp_time_since(attempt->sent, now);

    attempt->answered = true;
    pair->succeeded = true;
    pair->rtt = pair->rtt ? (7 * pair->rtt + sample) / 8 : sample;
    if (pair->nomination == ICE_NOMINATE_SENT)
        pair->nomination = ICE_NOMINATED;
    a->stats.replies_received++;
    sp_ice_check_schedule(a, pair, now);
    a->evaluate = true;
}

static int
handle_error(struct sp_ice_agent *a,
             const struct sp_stun_msg *msg,
             struct ice_pair *pair,
             const struct ice_attempt *attempt)
{
    if (sp_stun_get_error(msg) != ERROR_ROLE_CONFLICT || attempt->controlling != a->controlling)
        return SP_E_STATE;
    sp_ice_switch_role(a);
    pair->next_check = 0;
    a->evaluate = true;
    return 0;
}

static int
handle_response(struct sp_ice_agent *a,
                const struct sp_stun_msg *msg,
                const struct sp_endpoint *from,
                const struct sp_endpoint *destination,
                sp_time now)
{
    const char *pwd = a->remote_creds.pwd;
    struct ice_attempt *attempt;
    struct sp_endpoint mapped;
    struct ice_pair *pair;

    pair = sp_ice_pair_by_txid(a, msg->txid, &attempt);
    if (!pair)
        return SP_E_NOTFOUND;
    if (sp_stun_check_integrity(msg, sp_span(pwd, strlen(pwd))) < 0)
        return SP_E_UNAUTH;
    /* An answer from elsewhere proves nothing about this path (RFC 8445 7.2.5.2.1). */
    if (!sp_endpoint_equal(&a->remotes[pair->remote].c.addr, from)
        || !sp_endpoint_equal(&a->locals[pair->local].c.base, destination))
        return SP_E_NOTFOUND;
    if (attempt->answered)
        return SP_E_STATE;
    if (msg->cls == SP_STUN_ERROR)
        return handle_error(a, msg, pair, attempt);
    if (!sp_stun_get_xor_addr(msg, SP_STUN_XOR_MAPPED_ADDRESS, 0, &mapped))
        return SP_E_MALFORMED;
    note_success(a, pair, attempt, now);
    sp_ice_learn_local_prflx(a, pair, &mapped);
    return 0;
}

static int
dispatch(struct sp_ice_agent *a,
         struct sp_span bytes,
         const struct sp_endpoint *from,
         const struct sp_endpoint *destination,
         sp_time now)
{
    struct sp_stun_msg msg;

    if (sp_stun_parse(bytes, &msg) < 0 || msg.method != SP_STUN_BINDING)
        return SP_E_MALFORMED;
    switch (msg.cls) {
    case SP_STUN_REQUEST:
        return handle_request(a, &msg, from, destination, now);
    case SP_STUN_SUCCESS:
    case SP_STUN_ERROR:
        return handle_response(a, &msg, from, destination, now);
    case SP_STUN_INDICATION:
        break;
    }
    return SP_E_MALFORMED;
}

int
sp_ice_agent_handle_stun(struct sp_ice_agent *a,
                         struct sp_span msg,
                         const struct sp_endpoint *from,
                         const struct sp_endpoint *destination,
                         sp_time now)
{
    int r = dispatch(a, msg, from, destination, now);

    if (r < 0)
        a->stats.dropped++;
    else if (a->state != SP_ICE_NEW)
        sp_ice_agent_handle_timeout(a, now);
    return r;
}
