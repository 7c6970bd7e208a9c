/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "engine/base/rd.h"
#include "engine/base/wr.h"
#include "engine/crypto/aead.h"
#include "engine/wg/tunnel-private.h"

enum {
    IP4_HEADER_LEN = 20,
    IP4_TOTAL_LEN = 2,
    IP6_HEADER_LEN = 40,
    IP6_PAYLOAD_LEN = 4,
};

/* Length by the IP header, or 0 if @p is no IP packet that fits in @n bytes. */
static size_t
ip_length(const uint8_t *p, size_t n)
{
    size_t len, least;

    switch (p[0] >> 4) {
    case 4:
        least = IP4_HEADER_LEN;
        len = n < least ? 0 : sp_get_be16(p + IP4_TOTAL_LEN);
        break;
    case 6:
        least = IP6_HEADER_LEN;
        len = n < least ? 0 : least + sp_get_be16(p + IP6_PAYLOAD_LEN);
        break;
    default:
        return 0;
    }
    return len >= least && len <= n ? len : 0;
}

/* Everything that follows from a transport message whose tag is right. */
static void
accept_message(struct sp_wg_tunnel *t, int slot, uint64_t counter, size_t outer, sp_time now)
{
    sp_wg_replay_mark(&t->sessions[slot].replay, counter);
    t->rx_bytes += outer;
    sp_wg_timers_any_authenticated_received(&t->timers);
    sp_wg_tunnel_use_session(t, slot, now);
    if (outer > SP_WG_KEEPALIVE_LEN)
        sp_wg_timers_data_received(&t->timers, now);
}

/* Which session, is it live, is the counter fresh: all that can be said without the key. */
static int
find_session(const struct sp_wg_tunnel *t, const uint8_t *msg, sp_time now)
{
    uint32_t index = sp_get_le32(msg + SP_WG_DATA_RECEIVER);
    uint64_t counter = sp_get_le64(msg + SP_WG_DATA_COUNTER);
    int slot = (int)(index % SP_WG_SESSIONS);
    const struct sp_wg_session *s = &t->sessions[slot];

    if (s->serial == 0 || s->local != index)
        return SP_E_STATE;
    if (!sp_wg_session_live(s, &t->timers.params, now) || counter >= SP_WG_REJECT_AFTER_MESSAGES)
        return SP_E_EXPIRED;
    if (sp_wg_replay_check(&s->replay, counter) < 0)
        return SP_E_REPLAY;
    return slot;
}

int
sp_wg_tunnel_open(struct sp_wg_tunnel *t, struct sp_pkt *pkt, sp_time now)
{
    uint8_t *msg = sp_pkt_data(pkt);
    size_t outer = pkt->len, len;
    uint64_t counter;
    int slot;

    if (sp_wg_classify(sp_pkt_span(pkt)) != SP_WG_DATA)
        return SP_E_MALFORMED;
    slot = find_session(t, msg, now);
    if (slot < 0)
        return slot;
    counter = sp_get_le64(msg + SP_WG_DATA_COUNTER);
    if (sp_aead_open(msg + SP_WG_DATA_PAYLOAD,
                     t->sessions[slot].keys.recv,
                     counter,
                     sp_span(NULL, 0),
                     sp_span(msg + SP_WG_DATA_PAYLOAD, outer - SP_WG_DATA_PAYLOAD))
        < 0)
        return SP_E_UNAUTH;
    accept_message(t, slot, counter, outer, now);
    if (outer == SP_WG_KEEPALIVE_LEN)
        return SP_WG_KEEPALIVE;
    len = ip_length(msg + SP_WG_DATA_PAYLOAD, outer - SP_WG_KEEPALIVE_LEN);
    if (len == 0)
        return SP_E_MALFORMED;
    (void)sp_pkt_pull(pkt, SP_WG_DATA_PAYLOAD);
    pkt->len = (uint16_t)len;
    return SP_WG_PACKET;
}

/* @msg has room for the header, @len bytes of plaintext in place, and the tag. */
static void
seal_message(struct sp_wg_tunnel *t, uint8_t *msg, size_t len, sp_time now)
{
    struct sp_wg_session *s = &t->sessions[t->current];
    uint64_t counter = s->send_counter++;

    memset(msg, 0, SP_WG_HEADER_LEN);
    msg[0] = SP_WG_DATA;
    sp_put_le32(msg + SP_WG_DATA_RECEIVER, s->remote);
    sp_put_le64(msg + SP_WG_DATA_COUNTER, counter);
    sp_aead_seal(msg + SP_WG_DATA_PAYLOAD,
                 s->keys.send,
                 counter,
                 sp_span(NULL, 0),
                 sp_span(msg + SP_WG_DATA_PAYLOAD, len));
    sp_wg_timers_any_authenticated_sent(&t->timers);
    if (len)
        sp_wg_timers_data_sent(&t->timers, now);
    if (s->send_counter >= SP_WG_REKEY_AFTER_MESSAGES)
        sp_wg_timers_counter_high(&t->timers, now);
}

int
sp_wg_tunnel_seal(struct sp_wg_tunnel *t, struct sp_pkt *pkt, sp_time now)
{
    size_t len = pkt->len;

    if (!sp_wg_tunnel_has_session(t, now))
        return SP_WG_NO_SESSION;
    if (pkt->off < SP_WG_DATA_PAYLOAD || sp_pkt_tailroom(pkt) < SP_WG_TAG_LEN)
        return SP_E_NOBUF;
    seal_message(t, sp_pkt_push(pkt, SP_WG_DATA_PAYLOAD), len, now);
    pkt->len = (uint16_t)(pkt->len + SP_WG_TAG_LEN);
    t->tx_bytes += pkt->len;
    return 0;
}

void
sp_wg_tunnel_send_keepalive(struct sp_wg_tunnel *t, sp_time now)
{
    struct sp_wg_out out = { .len = SP_WG_KEEPALIVE_LEN, .kind = SP_WG_DATA };

    if (!sp_wg_tunnel_has_session(t, now))
        return;
    seal_message(t, out.bytes, 0, now);
    sp_wg_tunnel_queue(t, &out);
}
