/* SPDX-License-Identifier: Apache-2.0 */
/* What a relay sends. The input is a list of records: one byte of what to do, one byte of length,
 * then so many bytes. A record may be a raw datagram, or attributes that are put into a response to
 * the latest request, signed with the right key: so the fuzzer gets behind the integrity check. */
#include <string.h>

#include "engine/stun/stun.h"
#include "engine/turn/turn.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/rng.h"

#define STEPS_MAX 200

struct state {
    struct sp_turn *turn;
    struct sp_udp_meta meta;
    uint8_t key[SP_STUN_LONG_KEY_LEN];
    uint8_t txid[SP_STUN_TXID_LEN]; /* of the latest request */
    uint16_t method;
    sp_time now;
};

static void
drain(struct state *s)
{
    struct sp_turn_event event;
    struct sp_stun_msg msg;
    struct sp_turn_tx tx;
    unsigned n = 0;

    while (sp_turn_poll_event(s->turn, &event))
        sp_assert(++n <= SP_TURN_EVENTS_MAX);
    n = 0;
    while (sp_turn_poll_transmit(s->turn, &tx)) {
        sp_assert(++n <= SP_TURN_TX_QUEUE_MAX);
        sp_assert(sp_stun_parse(sp_span(tx.bytes, tx.len), &msg) == 0);
        memcpy(s->txid, msg.txid, sizeof s->txid);
        s->method = msg.method;
    }
}

static void
feed(struct state *s, const uint8_t *bytes, size_t n)
{
    struct sp_turn_payload payload;
    int r = sp_turn_handle_input(s->turn, &s->meta, sp_span(bytes, n), s->now, &payload);

    if (r == SP_TURN_PAYLOAD)
        sp_assert(payload.bytes.n + 4 == n && sp_turn_owns(s->turn, &payload.relayed));
    drain(s);
}

static void
feed_signed(struct state *s, enum sp_stun_class cls, const uint8_t *attrs, size_t n)
{
    uint8_t buf[600];
    struct sp_stun_builder b = sp_stun_build(buf, sizeof buf, cls, s->method, s->txid);
    int len;

    sp_wr_bytes(&b.w, attrs, n - n % 4);
    sp_stun_put_integrity(&b, sp_span(s->key, sizeof s->key));
    len = sp_stun_finish(&b);
    if (len > 0)
        feed(s, buf, (size_t)len);
}

/* Time runs to @until, and the timers are never asked for twice at one moment. */
static void
run(struct state *s, sp_time until)
{
    sp_time at;

    while ((at = sp_turn_next_timeout(s->turn)) <= until) {
        s->now = SP_MAX(s->now, at);
        sp_turn_handle_timeout(s->turn, s->now);
        drain(s);
        sp_assert(sp_turn_next_timeout(s->turn) > s->now);
    }
    s->now = until;
}

static void
step(struct state *s, uint8_t what, const uint8_t *bytes, size_t n)
{
    struct sp_endpoint peer = { .ip = sp_ip4(192, 0, 2, 9), .port = n ? bytes[0] : 1 }, dst;
    uint8_t header[4];

    switch (what % 8) {
    case 0:
        feed(s, bytes, n);
        break;
    case 1:
        feed_signed(s, SP_STUN_SUCCESS, bytes, n);
        break;
    case 2:
        feed_signed(s, SP_STUN_ERROR, bytes, n);
        break;
    case 3:
        sp_turn_bind_channel(s->turn, &peer, s->now);
        drain(s);
        break;
    case 4:
        (void)!sp_turn_channel_header(s->turn, &peer, 9, s->now, header, &dst);
        drain(s);
        break;
    case 5:
        run(s, s->now + SP_MS(100) * (n ? bytes[0] : 1));
        break;
    case 6:
        sp_turn_refresh_on_demand(s->turn, s->now);
        drain(s);
        break;
    case 7:
        sp_turn_reset(s->turn, s->now);
        drain(s);
        break;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct test_rng rng;
    struct state s = {
        .meta = { .local = { .ip = sp_ip4(192, 0, 2, 1), .port = 9 },
                  .from = { .ip = sp_ip4(192, 0, 2, 2), .port = SP_TURN_PORT } },
        .now = SP_SEC(1),
    };
    struct sp_turn_config config = {
        .addr4 = s.meta.from,
        .username = "u",
        .password = "p",
        .rng = test_rng_init(&rng, 1),
    };

    sp_stun_long_term_key("u", SP_TURN_REALM, "p", s.key);
    s.turn = sp_turn_new(&config, s.now);
    drain(&s);
    for (unsigned i = 0; i < STEPS_MAX && size >= 2; i++) {
        size_t n = SP_MIN((size_t)data[1], size - 2);

        step(&s, data[0], data + 2, n);
        data += 2 + n;
        size -= 2 + n;
    }
    sp_assert((int)sp_turn_state(s.turn) < (int)_SP_TURN_STATE_MAX);
    sp_turn_free(s.turn);
    return 0;
}
