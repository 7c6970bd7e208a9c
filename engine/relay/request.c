/* SPDX-License-Identifier: Apache-2.0 */
/* One request from its bytes to its answer. Spec relay 1.1, 1.5, 1.6, 1.8, 1.9. */
#include <string.h>

#include "engine/base/rd.h"
#include "engine/crypto/mem.h"
#include "engine/relay/relay-private.h"

#define TEXT_MAX      (127 * 4) /* bytes of REALM, NONCE, SOFTWARE: under 128 characters */
#define TRANSPORT_UDP 17

/* ---- decoding ------------------------------------------------------------------------------- */

/* RFC 3629: no overlong forms, no surrogates, nothing above 10FFFF. */
static bool
is_utf8(struct sp_span s)
{
    static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };

    for (size_t i = 0; i < s.n;) {
        uint8_t c = s.p[i++];
        size_t more = c < 0x80 ? 0 : c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
        uint32_t v = more ? c & (0x3fu >> more) : c;

        if ((c >= 0x80 && c < 0xc2) || c > 0xf4 || more > s.n - i)
            return false;
        for (size_t k = 0; k < more; k++, i++) {
            if ((s.p[i] & 0xc0) != 0x80)
                return false;
            v = v << 6 | (s.p[i] & 0x3fu);
        }
        if (v < least[more] || (v >= 0xd800 && v <= 0xdfff) || v > 0x10ffff)
            return false;
    }
    return true;
}

static bool
is_valid(const struct sp_relay *r, uint16_t type, struct sp_span value)
{
    uint16_t number;

    switch (type) {
    case SP_STUN_USERNAME:
        return value.n <= USERNAME_MAX && is_utf8(value);
    case SP_STUN_REALM:
    case SP_STUN_NONCE:
    case SP_STUN_SOFTWARE:
        return value.n <= TEXT_MAX && is_utf8(value);
    case SP_STUN_CHANNEL_NUMBER:
        number = value.n == 4 ? sp_get_be16(value.p) : 0;
        return number >= SP_CHANNEL_FIRST && number <= r->channel_last;
    case SP_STUN_LIFETIME:
    case SP_STUN_REQUESTED_TRANSPORT:
        return value.n == 4;
    case SP_STUN_REQUESTED_ADDRESS_FAMILY:
    case SP_STUN_ADDITIONAL_ADDRESS_FAMILY:
        return value.n == 4 && (value.p[0] == 1 || value.p[0] == 2);
    case SP_STUN_XOR_PEER_ADDRESS:
        return (value.n == 8 && value.p[1] == 1) || (value.n == 20 && value.p[1] == 2);
    default:
        return true;
    }
}

/* Every attribute that means something to us, and those that the method cannot do without. */
static bool
decodes(const struct sp_relay *r, const struct sp_stun_msg *msg)
{
    struct sp_span value;
    size_t cursor = 0;
    uint16_t type;

    while (sp_stun_next(msg, &cursor, &type, &value)) {
        if (!is_valid(r, type, value))
            return false;
    }
    switch (msg->method) {
    case SP_STUN_BINDING:
    case SP_STUN_REFRESH:
    case SP_STUN_CREATE_PERMISSION:
        return true;
    case SP_STUN_ALLOCATE:
        return sp_stun_has(msg, SP_STUN_REQUESTED_TRANSPORT);
    case SP_STUN_CHANNEL_BIND:
        return sp_stun_has(msg, SP_STUN_CHANNEL_NUMBER)
               && sp_stun_has(msg, SP_STUN_XOR_PEER_ADDRESS);
    default:
        return false;
    }
}

static bool
is_authenticated(uint16_t method)
{
    return method == SP_STUN_ALLOCATE || method == SP_STUN_REFRESH
           || method == SP_STUN_CREATE_PERMISSION || method == SP_STUN_CHANNEL_BIND;
}

/* ---- outcomes ------------------------------------------------------------------------------- */

static void
refuse(struct sp_relay *r, struct relay_request *q, enum sp_relay_code code)
{
    bool offer = code == SP_RELAY_401 || code == SP_RELAY_438;
    struct sp_uuid nonce;

    if (!q->reply.sign && !q->alloc && !relay_limit_pass(r, &q->reply.to.ip, q->now)) {
        relay_drop(r, q->reply.pkt, SP_RELAY_DROP_RATE);
        return;
    }
    SP_DEBUG(r->log, TURN, "method %u refused: %u", q->msg.method, sp_relay_code_number(code));
    if (offer)
        nonce = relay_auth_nonce(r, q->alloc, &q->reply.to, q->now);
    relay_reply_error(r, &q->reply, code, offer ? &nonce : NULL);
}

static sp_duration
granted_lifetime(const struct sp_stun_msg *msg)
{
    uint32_t seconds;

    if (!sp_stun_get_u32(msg, SP_STUN_LIFETIME, &seconds))
        return SP_RELAY_LIFETIME_DEFAULT;
    return SP_MIN(SP_SEC(seconds), SP_RELAY_LIFETIME_MAX);
}

/* ---- Allocate ------------------------------------------------------------------------------- */

/* The table of spec relay 1.8. */
static enum sp_relay_code
choose_families(const struct sp_relay *r, const struct sp_stun_msg *msg, bool *ret_v4, bool *ret_v6)
{
    uint8_t requested = sp_stun_get_family(msg, SP_STUN_REQUESTED_ADDRESS_FAMILY);
    uint8_t additional = sp_stun_get_family(msg, SP_STUN_ADDITIONAL_ADDRESS_FAMILY);
    bool has4 = r->public4.family == 4, has6 = r->public6.family == 6;

    if ((requested && additional) || additional == 4)
        return SP_RELAY_400;
    *ret_v4 = additional ? has4 : requested != 6;
    *ret_v6 = additional ? has6 : requested == 6;
    if ((*ret_v4 && !has4) || (*ret_v6 && !has6))
        return SP_RELAY_440;
    return SP_RELAY_SUCCESS;
}

static enum sp_relay_code
check_allocate(const struct sp_relay *r, const struct relay_request *q, bool *ret_v4, bool *ret_v6)
{
    uint32_t transport = 0;
    enum sp_relay_code code;

    if (r->n_free == 0)
        return SP_RELAY_508;
    (void)sp_stun_get_u32(&q->msg, SP_STUN_REQUESTED_TRANSPORT, &transport);
    if (transport >> 24 != TRANSPORT_UDP)
        return SP_RELAY_400;
    code = choose_families(r, &q->msg, ret_v4, ret_v6);
    if (code != SP_RELAY_SUCCESS)
        return code;
    return granted_lifetime(&q->msg) ? SP_RELAY_SUCCESS : SP_RELAY_400;
}

static void
start_allocation(struct sp_relay *r, struct relay_request *q, bool v4, bool v6)
{
    struct relay_alloc *a = sp_xcalloc(1, sizeof *a);

    a->client = q->reply.to;
    memcpy(a->user, q->user, sizeof a->user);
    memcpy(a->txid, q->msg.txid, sizeof a->txid);
    a->v4 = v4;
    a->v6 = v6;
    a->lifetime = granted_lifetime(&q->msg);
    a->nonce = q->nonce; /* it goes on, now with a count */
    a->nonce_uses = 1;
    a->reply = q->reply;
    relay_alloc_start(r, a);
}

static void
allocate(struct sp_relay *r, struct relay_request *q)
{
    enum sp_relay_code code;
    struct relay_alloc *old;
    bool v4 = false, v6 = false;

    if (q->alloc && memcmp(q->alloc->txid, q->msg.txid, sizeof q->msg.txid) == 0) {
        relay_reply_allocated(r, &q->reply, q->alloc, q->now); /* our answer got lost */
        return;
    }
    if (q->alloc) {
        refuse(r, q, SP_RELAY_437);
        return;
    }
    code = check_allocate(r, q, &v4, &v6);
    if (code != SP_RELAY_SUCCESS) {
        refuse(r, q, code);
        return;
    }
    old = r->multi_alloc ? NULL : relay_alloc_of_user(r, q->user);
    if (old && old->opening) {
        relay_drop(r, q->reply.pkt, SP_RELAY_DROP_BUSY);
        return;
    }
    if (old)
        relay_alloc_delete(r, old); /* a NAT gave the client another port */
    start_allocation(r, q, v4, v6);
}

void
sp_relay_port_opened(struct sp_relay *r, uint16_t port, bool ok, sp_time now)
{
    struct relay_alloc *a = relay_alloc_of_port(r, port);
    struct relay_reply reply;

    if (!a || !a->opening)
        return;
    if (!ok) {
        r->stats.port_failures++;
        if (relay_alloc_next_port(r, a))
            return;
    }
    reply = a->reply;
    a->reply = (struct relay_reply){ 0 };
    if (ok) {
        relay_alloc_opened(r, a, now);
        relay_reply_allocated(r, &reply, a, now);
    } else {
        SP_WARN(r->log, TURN, "no port could be opened");
        relay_alloc_delete(r, a);
        relay_reply_error(r, &reply, SP_RELAY_508, NULL);
    }
}

/* ---- the other methods ---------------------------------------------------------------------- */

static void
refresh(struct sp_relay *r, struct relay_request *q)
{
    sp_duration lifetime = granted_lifetime(&q->msg);

    if (!q->alloc) {
        refuse(r, q, SP_RELAY_437);
        return;
    }
    if (lifetime)
        relay_heap_set(&r->heap, &q->alloc->timer, sp_time_add(q->now, lifetime));
    else
        relay_alloc_delete(r, q->alloc);
    relay_reply_refreshed(r, &q->reply, lifetime);
}

static bool
is_denied(const struct sp_relay *r, const struct sp_endpoint *peer)
{
    static const uint8_t all_ones[4] = { 255, 255, 255, 255 };
    const struct sp_ip *own = peer->ip.family == 4 ? &r->public4 : &r->public6;

    if (peer->port == 0 || sp_ip_is_unspecified(&peer->ip) || sp_ip_is_multicast(&peer->ip))
        return true;
    if (peer->ip.family == 4 && memcmp(peer->ip.b, all_ones, sizeof all_ones) == 0)
        return true;
    if (peer->port == r->listen_port && sp_ip_equal(&peer->ip, own))
        return true; /* a relay as its own client only makes loops */
    for (size_t i = 0; i < r->n_deny; i++) {
        if (sp_cidr_contains(&r->deny[i], &peer->ip))
            return true;
    }
    return false;
}

static enum sp_relay_code
bind_channel(struct sp_relay *r, struct relay_request *q)
{
    struct relay_channel *by_number, *by_peer;
    struct sp_endpoint peer;
    uint16_t number;

    if (!q->alloc)
        return SP_RELAY_437;
    if (!sp_stun_get_channel(&q->msg, &number)
        || !sp_stun_get_xor_addr(&q->msg, SP_STUN_XOR_PEER_ADDRESS, 0, &peer))
        return SP_RELAY_400;
    if (!(peer.ip.family == 4 ? q->alloc->v4 : q->alloc->v6))
        return SP_RELAY_443;
    if (is_denied(r, &peer))
        return SP_RELAY_403;
    by_number = relay_channel_of_number(r, &q->alloc->client, number);
    by_peer = relay_channel_of_peer(r, q->alloc->port, &peer);
    if (by_number != by_peer)
        return SP_RELAY_400;
    if (!by_number)
        return relay_channel_new(r, q->alloc, number, &peer, q->now) < 0 ? SP_RELAY_508
                                                                         : SP_RELAY_SUCCESS;
    relay_channel_refresh(r, by_number, q->now);
    return SP_RELAY_SUCCESS;
}

static void
dispatch(struct sp_relay *r, struct relay_request *q)
{
    enum sp_relay_code code = relay_auth_check(r, q);

    if (code != SP_RELAY_SUCCESS) {
        refuse(r, q, code);
        return;
    }
    switch (q->msg.method) {
    case SP_STUN_ALLOCATE:
        allocate(r, q);
        return;
    case SP_STUN_REFRESH:
        refresh(r, q);
        return;
    case SP_STUN_CHANNEL_BIND:
        code = bind_channel(r, q);
        if (code != SP_RELAY_SUCCESS) {
            refuse(r, q, code);
            return;
        }
        break;
    default: /* CreatePermission: there is nothing to permit */
        break;
    }
    relay_reply_done(r, &q->reply);
}

static void
handle_parsed(struct sp_relay *r, struct relay_request *q)
{
    q->reply.method = q->msg.method;
    memcpy(q->reply.txid, q->msg.txid, sizeof q->reply.txid);
    q->alloc = relay_alloc_of_client(r, &q->reply.to);
    if (!decodes(r, &q->msg)) {
        if (is_authenticated(q->msg.method))
            (void)!relay_auth_user(r, q); /* signs the refusal, where that is possible */
        refuse(r, q, SP_RELAY_400);
        return;
    }
    if (q->msg.method == SP_STUN_BINDING) {
        if (q->alloc || relay_limit_pass(r, &q->reply.to.ip, q->now))
            relay_reply_binding(r, &q->reply);
        else
            relay_drop(r, q->reply.pkt, SP_RELAY_DROP_RATE);
        return;
    }
    if (q->alloc && q->alloc->opening)
        relay_drop(r, q->reply.pkt, SP_RELAY_DROP_BUSY);
    else if (relay_auth_user(r, q) < 0)
        relay_drop(r, q->reply.pkt, SP_RELAY_DROP_BAD_USERNAME);
    else
        dispatch(r, q);
}

/* The header is fine, but an attribute runs over the end: say so, and nothing else of it is used. */
static void
handle_truncated(struct sp_relay *r, struct relay_request *q)
{
    struct sp_rd rd = sp_rd_span(sp_pkt_span(q->reply.pkt));
    uint16_t type = sp_rd_be16(&rd);

    if (type & 0x0110) {
        relay_drop(r, q->reply.pkt, SP_RELAY_DROP_NOT_REQUEST);
        return;
    }
    (void)sp_rd_take(&rd, 6);
    sp_rd_bytes(&rd, q->reply.txid, sizeof q->reply.txid);
    q->reply.method = (uint16_t)(((type & 0x3e00) >> 2) | ((type & 0x00e0) >> 1) | (type & 0x000f));
    q->msg.method = q->reply.method;
    refuse(r, q, SP_RELAY_500);
}

void
relay_request_handle(struct sp_relay *r,
                     const struct sp_endpoint *from,
                     struct sp_pkt *pkt,
                     sp_time now)
{
    struct relay_request q = { .reply = { .pkt = pkt, .to = *from }, .now = now };
    struct sp_span bytes = sp_pkt_span(pkt);

    if (!sp_stun_is_stun(bytes))
        relay_drop(r, pkt, SP_RELAY_DROP_BAD_STUN);
    else if (sp_stun_parse(bytes, &q.msg) < 0)
        handle_truncated(r, &q);
    else if (q.msg.cls != SP_STUN_REQUEST)
        relay_drop(r, pkt, SP_RELAY_DROP_NOT_REQUEST);
    else
        handle_parsed(r, &q);
    sp_wipe(&q.reply, sizeof q.reply);
}
