/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "engine/base/rd.h"
#include "engine/base/wr.h"
#include "engine/crypto/mem.h"
#include "engine/wg/tunnel-private.h"

/* 2^62 is the TAI64 label of the epoch; 10 s is what the format assumes UTC was behind TAI in 1970,
 * leap seconds since then are ignored as all implementations do. */
#define TAI64_EPOCH (UINT64_C(0x4000000000000000) + 10)

static void
tai64n(uint8_t out[SP_WG_TIMESTAMP_LEN], int64_t unix_ns)
{
    int64_t s = unix_ns / (int64_t)SP_NS_PER_SEC;
    int64_t ns = unix_ns % (int64_t)SP_NS_PER_SEC;

    if (ns < 0) {
        ns += (int64_t)SP_NS_PER_SEC;
        s--;
    }
    sp_put_be64(out, TAI64_EPOCH + (uint64_t)s);
    sp_put_be32(out + 8, (uint32_t)ns);
}

/* The receiver takes only what is newer than anything before. */
static void
next_timestamp(struct sp_wg_tunnel *t, sp_time now)
{
    uint8_t stamp[SP_WG_TIMESTAMP_LEN];

    tai64n(stamp, sp_wall_unix_ns(t->wall, now));
    if (memcmp(stamp, t->timestamp_sent, sizeof stamp) <= 0) {
        memcpy(stamp, t->timestamp_sent, sizeof stamp);
        for (size_t i = sizeof stamp; i-- > 0 && ++stamp[i] == 0;)
            ;
    }
    memcpy(t->timestamp_sent, stamp, sizeof stamp);
}

/* Never the slot of the session in use: a burst of handshakes must not cut the traffic off. */
static uint8_t
next_low(const struct sp_wg_tunnel *t)
{
    uint8_t low = t->low;

    do
        low++;
    while (low % SP_WG_SESSIONS == t->current);
    return low;
}

static uint32_t
index_of(const struct sp_wg_tunnel *t, uint8_t low)
{
    return t->index24 << 8 | low;
}

void
sp_wg_tunnel_send_initiation(struct sp_wg_tunnel *t, sp_time now)
{
    struct sp_wg_out out = { .len = SP_WG_INITIATION_LEN, .kind = SP_WG_INITIATION };
    uint32_t index;

    t->low = next_low(t);
    index = index_of(t, t->low);
    next_timestamp(t, now);
    /* With an unusable peer key there is nothing to send; the give-up time ends it. */
    if (sp_wg_noise_create_initiation(&t->peer,
                                      &t->rng,
                                      index,
                                      t->timestamp_sent,
                                      &t->noise,
                                      out.bytes)
        == 0) {
        t->initiation_index = index;
        sp_wg_tunnel_set_state(t, SP_WG_STATE_INITIATED, "initiation sent");
        sp_wg_cookie_jar_sign(&t->jar, out.bytes, out.len, now);
        sp_wg_tunnel_queue(t, &out);
        sp_wg_timers_any_authenticated_sent(&t->timers);
    }
    sp_wg_timers_initiation_sent(&t->timers, now);
}

/* All checks of an initiation, and the answer; nothing of the tunnel changes. */
static int
answer_initiation(const struct sp_wg_tunnel *t,
                  const uint8_t *msg,
                  uint32_t local,
                  struct sp_wg_noise_keys *ret_keys,
                  uint8_t ret_stamp[SP_WG_TIMESTAMP_LEN],
                  uint8_t ret_response[SP_WG_RESPONSE_LEN])
{
    struct sp_wg_noise_state noise;
    int r;

    r = sp_wg_noise_consume_initiation(&t->peer, msg, &noise, ret_stamp);
    if (r == 0 && memcmp(ret_stamp, t->timestamp_seen, SP_WG_TIMESTAMP_LEN) <= 0)
        r = SP_E_REPLAY;
    if (r == 0)
        r = sp_wg_noise_create_response(&t->peer,
                                        &t->rng,
                                        local,
                                        sp_get_le32(msg + SP_WG_INIT_SENDER),
                                        &noise,
                                        ret_keys,
                                        ret_response);
    sp_wipe(&noise, sizeof noise);
    return r;
}

/* The state of an initiation of our own stays as it is: when both sides start at once, both
 * handshakes may finish, and the younger session wins. */
static int
handle_initiation(struct sp_wg_tunnel *t, const uint8_t *msg, sp_time now)
{
    struct sp_wg_out out = { .len = SP_WG_RESPONSE_LEN, .kind = SP_WG_RESPONSE };
    struct sp_wg_noise_keys keys;
    uint8_t stamp[SP_WG_TIMESTAMP_LEN];
    uint8_t low = next_low(t);
    uint32_t local = index_of(t, low);
    int r;

    r = answer_initiation(t, msg, local, &keys, stamp, out.bytes);
    if (r < 0)
        return r;
    t->low = low;
    memcpy(t->timestamp_seen, stamp, sizeof stamp);
    if (t->state == SP_WG_STATE_EXPIRED)
        sp_wg_tunnel_set_state(t, SP_WG_STATE_IDLE, "initiation received");
    (void)
        sp_wg_tunnel_add_session(t, local, sp_get_le32(msg + SP_WG_INIT_SENDER), false, &keys, now);
    sp_wipe(&keys, sizeof keys);
    sp_wg_timers_any_authenticated_received(&t->timers);
    sp_wg_timers_any_authenticated_sent(&t->timers);
    sp_wg_timers_response_sent(&t->timers, now);
    t->rx_bytes += SP_WG_INITIATION_LEN;
    sp_wg_cookie_jar_sign(&t->jar, out.bytes, out.len, now);
    sp_wg_tunnel_queue(t, &out);
    return 0;
}

static int
handle_response(struct sp_wg_tunnel *t, const uint8_t *msg, sp_time now)
{
    struct sp_wg_noise_keys keys;
    uint32_t remote = sp_get_le32(msg + SP_WG_RESP_SENDER);
    int slot;

    if (t->state != SP_WG_STATE_INITIATED
        || sp_get_le32(msg + SP_WG_RESP_RECEIVER) != t->initiation_index)
        return SP_E_STATE;
    if (sp_wg_noise_consume_response(&t->peer, &t->noise, msg, &keys) < 0)
        return SP_E_UNAUTH;
    t->rx_bytes += SP_WG_RESPONSE_LEN;
    slot = sp_wg_tunnel_add_session(t, t->initiation_index, remote, true, &keys, now);
    sp_wipe(&keys, sizeof keys);
    sp_wg_timers_any_authenticated_received(&t->timers);
    sp_wg_tunnel_use_session(t, slot, now);
    /* Tells the responder that it may send on this session. */
    sp_wg_tunnel_send_keepalive(t, now);
    return 0;
}

int
sp_wg_tunnel_handle_handshake(struct sp_wg_tunnel *t, struct sp_span msg, sp_time now)
{
    switch (sp_wg_classify(msg)) {
    case SP_WG_INITIATION:
        return handle_initiation(t, msg.p, now);
    case SP_WG_RESPONSE:
        return handle_response(t, msg.p, now);
    case SP_WG_COOKIE:
        return sp_wg_cookie_jar_consume(&t->jar,
                                        msg.p,
                                        sp_time_add(now, t->timers.params.cookie_life));
    case SP_WG_DATA:
    case SP_WG_NONE:
        break;
    }
    return SP_E_MALFORMED;
}
