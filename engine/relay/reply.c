/* SPDX-License-Identifier: Apache-2.0 */
/* Responses. They are written into the packet of the request, so answering needs no memory. */
#include <string.h>

#include "engine/crypto/mem.h"
#include "engine/relay/relay-private.h"

#define REPLY_MAX 400

static enum sp_relay_method
method_of(uint16_t method)
{
    switch (method) {
    case SP_STUN_BINDING:
        return SP_RELAY_BINDING;
    case SP_STUN_ALLOCATE:
        return SP_RELAY_ALLOCATE;
    case SP_STUN_REFRESH:
        return SP_RELAY_REFRESH;
    case SP_STUN_CREATE_PERMISSION:
        return SP_RELAY_CREATE_PERMISSION;
    case SP_STUN_CHANNEL_BIND:
        return SP_RELAY_CHANNEL_BIND;
    default:
        return SP_RELAY_OTHER;
    }
}

static struct sp_stun_builder
begin(const struct sp_relay *r,
      const struct relay_reply *to,
      uint8_t buf[REPLY_MAX],
      enum sp_stun_class cls)
{
    struct sp_stun_builder b = sp_stun_build(buf, REPLY_MAX, cls, to->method, to->txid);

    if (r->software[0])
        sp_stun_put_string(&b, SP_STUN_SOFTWARE, r->software);
    return b;
}

static void
finish(struct sp_relay *r,
       struct relay_reply *to,
       struct sp_stun_builder *b,
       const uint8_t *buf,
       enum sp_relay_code code)
{
    struct sp_pkt *pkt = to->pkt;
    int n;

    if (to->sign)
        sp_stun_put_integrity(b, sp_span(to->key, sizeof to->key));
    n = sp_stun_finish(b);
    sp_assert(n > 0); /* REPLY_MAX holds the longest */
    pkt->off = SP_PKT_HEADROOM;
    pkt->len = (uint16_t)n;
    pkt->ecn = 0;
    memcpy(sp_pkt_data(pkt), buf, (size_t)n);
    r->stats.responses[method_of(to->method)][code]++;
    relay_send(r, 0, &to->to, pkt);
    sp_wipe(to, sizeof *to);
}

void
relay_reply_binding(struct sp_relay *r, struct relay_reply *to)
{
    uint8_t buf[REPLY_MAX];
    struct sp_stun_builder b = begin(r, to, buf, SP_STUN_SUCCESS);

    sp_stun_put_xor_addr(&b, SP_STUN_XOR_MAPPED_ADDRESS, &to->to);
    finish(r, to, &b, buf, SP_RELAY_SUCCESS);
}

void
relay_reply_error(struct sp_relay *r,
                  struct relay_reply *to,
                  enum sp_relay_code code,
                  const struct sp_uuid *nonce)
{
    uint8_t buf[REPLY_MAX];
    struct sp_stun_builder b = begin(r, to, buf, SP_STUN_ERROR);
    char text[SP_UUID_STR_MAX];

    sp_stun_put_error(&b, sp_relay_code_number(code), NULL);
    if (nonce) {
        sp_stun_put_string(&b, SP_STUN_REALM, SP_RELAY_REALM);
        sp_stun_put_string(&b, SP_STUN_NONCE, sp_uuid_format(nonce, text));
    }
    finish(r, to, &b, buf, code);
}

static void
put_relayed(struct sp_stun_builder *b, const struct sp_ip *ip, uint16_t port)
{
    struct sp_endpoint ep = { .ip = *ip, .port = port };

    sp_stun_put_xor_addr(b, SP_STUN_XOR_RELAYED_ADDRESS, &ep);
}

void
relay_reply_allocated(struct sp_relay *r,
                      struct relay_reply *to,
                      const struct relay_alloc *a,
                      sp_time now)
{
    uint8_t buf[REPLY_MAX];
    struct sp_stun_builder b = begin(r, to, buf, SP_STUN_SUCCESS);

    if (a->v4)
        put_relayed(&b, &r->public4, a->port);
    if (a->v6)
        put_relayed(&b, &r->public6, a->port);
    sp_stun_put_xor_addr(&b, SP_STUN_XOR_MAPPED_ADDRESS, &to->to);
    sp_stun_put_u32(&b,
                    SP_STUN_LIFETIME,
                    (uint32_t)(sp_time_since(now, a->timer.at) / SP_NS_PER_SEC));
    finish(r, to, &b, buf, SP_RELAY_SUCCESS);
}

void
relay_reply_refreshed(struct sp_relay *r, struct relay_reply *to, sp_duration lifetime)
{
    uint8_t buf[REPLY_MAX];
    struct sp_stun_builder b = begin(r, to, buf, SP_STUN_SUCCESS);

    sp_stun_put_u32(&b, SP_STUN_LIFETIME, (uint32_t)(lifetime / SP_NS_PER_SEC));
    finish(r, to, &b, buf, SP_RELAY_SUCCESS);
}

void
relay_reply_done(struct sp_relay *r, struct relay_reply *to)
{
    uint8_t buf[REPLY_MAX];
    struct sp_stun_builder b = begin(r, to, buf, SP_STUN_SUCCESS);

    finish(r, to, &b, buf, SP_RELAY_SUCCESS);
}
