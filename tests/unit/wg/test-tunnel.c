/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>
#include <string.h>

#include "tests/unit/wg/pair.h"

#define START  SP_SEC(1000)
#define JITTER SP_MS(333)

/* @t lies in [@lo, @lo + jitter], as everything that we start ourselves does. */
#define assert_jittered(t, lo)                    \
    do {                                          \
        g_assert_cmpuint((t), >=, (lo));          \
        g_assert_cmpuint((t), <=, (lo) + JITTER); \
    } while (0)

static struct sp_span
span_of(const struct sp_wg_out *out)
{
    return sp_span(out->bytes, out->len);
}

static void
handshake(void)
{
    struct sp_wg_out init, resp, keepalive;
    struct pair p;

    pair_init(&p, 1);
    g_assert_cmpint(pair_send(&p, &p.a), ==, SP_WG_NO_SESSION);
    g_assert_cmpuint(p.a.sent[SP_WG_INITIATION], ==, 0);
    g_assert_cmpuint(sp_wg_tunnel_last_handshake(p.a.t), ==, SP_TIME_NEVER);
    sp_wg_tunnel_initiate(p.a.t, p.now);
    g_assert_true(sp_wg_tunnel_handshake_in_flight(p.a.t));
    g_assert_cmpuint(sp_wg_tunnel_next_timeout(p.a.t), ==, 0);
    g_assert_true(pair_take(&p.a, &init));
    g_assert_cmpint(pair_give(&p, &p.b, span_of(&init)), ==, 0);
    g_assert_true(pair_take(&p.b, &resp));
    g_assert_cmpint(pair_give(&p, &p.a, span_of(&resp)), ==, 0);
    g_assert_false(sp_wg_tunnel_handshake_in_flight(p.a.t));
    g_assert_true(sp_wg_tunnel_has_session(p.a.t, p.now));
    /* The responder waits for proof that the initiator has the keys. */
    g_assert_false(sp_wg_tunnel_has_session(p.b.t, p.now));
    g_assert_cmpint(pair_send(&p, &p.b), ==, SP_WG_NO_SESSION);
    g_assert_cmpuint(p.b.established, ==, 0);
    pair_pump(&p); /* brings the keepalive over */
    g_assert_true(sp_wg_tunnel_has_session(p.b.t, p.now));
    g_assert_cmpuint(p.a.established, ==, 1);
    g_assert_cmpuint(p.b.established, ==, 1);
    keepalive = p.a.last;
    g_assert_cmpuint(keepalive.len, ==, SP_WG_KEEPALIVE_LEN);
    g_assert_cmpint(pair_give(&p, &p.b, span_of(&keepalive)), ==, SP_E_REPLAY);
    for (int i = 0; i < 10; i++) {
        g_assert_cmpint(pair_send(&p, &p.a), ==, SP_WG_PACKET);
        g_assert_cmpint(pair_send(&p, &p.b), ==, SP_WG_PACKET);
    }
    g_assert_cmpuint(sp_wg_tunnel_tx_bytes(p.a.t), ==, 148 + 32 + 10 * 132);
    g_assert_cmpuint(sp_wg_tunnel_rx_bytes(p.b.t), ==, 148 + 32 + 10 * 132);
    g_assert_cmpuint(sp_wg_tunnel_tx_bytes(p.b.t), ==, 92 + 10 * 132);
    g_assert_cmpuint(sp_wg_tunnel_rx_bytes(p.a.t), ==, 92 + 10 * 132);
    pair_done(&p);
}

static void
lost_messages(void)
{
    struct pair p;

    pair_init(&p, 2);
    p.b.deaf = true;
    sp_wg_tunnel_initiate(p.a.t, p.now);
    pair_run(&p, START + SP_SEC(1));
    p.b.deaf = false;
    p.a.deaf = true; /* now the response gets lost */
    pair_run(&p, START + SP_SEC(6));
    g_assert_cmpuint(p.a.sent[SP_WG_INITIATION], ==, 2);
    assert_jittered(p.a.last_initiation, START + SP_SEC(5));
    g_assert_cmpuint(p.b.sent[SP_WG_RESPONSE], ==, 1);
    p.a.deaf = false;
    pair_run(&p, START + SP_SEC(11));
    g_assert_cmpuint(p.a.sent[SP_WG_INITIATION], ==, 3);
    g_assert_cmpuint(p.a.established, ==, 1);
    g_assert_cmpuint(p.b.established, ==, 1);
    g_assert_cmpint(pair_send(&p, &p.b), ==, SP_WG_PACKET);
    pair_done(&p);
}

/* spec connectivity 9, 48 and 49: gone after 20 s (90 s iceless), wiped, silent. */
static void
give_up(void)
{
    const struct sp_wg_params params[] = { sp_wg_params_ice(), sp_wg_params_iceless() };

    for (size_t i = 0; i < G_N_ELEMENTS(params); i++) {
        struct pair p;

        pair_init_with(&p, 3 + i, params[i]);
        p.b.deaf = true;
        sp_wg_tunnel_initiate(p.a.t, p.now);
        pair_run(&p, START + params[i].give_up - 1);
        g_assert_cmpuint(p.a.expired, ==, 0);
        pair_run(&p, START + params[i].give_up + JITTER + params[i].rekey_timeout);
        g_assert_cmpuint(p.a.expired, ==, 1);
        g_assert_cmpuint(p.a.sent[SP_WG_INITIATION],
                         <=,
                         1 + params[i].give_up / params[i].rekey_timeout);
        g_assert_cmpuint(p.a.sent[SP_WG_INITIATION], >=, 4);
        g_assert_cmpuint(sp_wg_tunnel_next_timeout(p.a.t), ==, SP_TIME_NEVER);
        g_assert_false(sp_wg_tunnel_handshake_in_flight(p.a.t));
        /* Either side can start afresh. */
        p.b.deaf = false;
        sp_wg_tunnel_initiate(i ? p.a.t : p.b.t, p.now);
        pair_pump(&p);
        g_assert_cmpuint(p.a.established, ==, 1);
        g_assert_cmpint(pair_send(&p, &p.a), ==, SP_WG_PACKET);
        g_assert_cmpuint(sp_wg_tunnel_next_timeout(p.a.t), !=, SP_TIME_NEVER);
        pair_done(&p);
    }
}

/* Traffic both ways each second: a new session every 120 s, started by the initiator, no gap. */
static void
rekey_in_use(void)
{
    struct pair p;

    pair_init(&p, 4);
    pair_connect(&p);
    for (unsigned s = 1; s <= 600; s++) {
        pair_run(&p, START + SP_SEC(s));
        g_assert_cmpint(pair_send(&p, &p.a), ==, SP_WG_PACKET);
        g_assert_cmpint(pair_send(&p, &p.b), ==, SP_WG_PACKET);
        if (s == 120)
            g_assert_cmpuint(p.a.established, <=, 2);
        if (s == 121)
            assert_jittered(p.a.last_initiation, START + SP_SEC(120));
    }
    g_assert_cmpuint(p.a.established, ==, 5);
    g_assert_cmpuint(p.b.established, ==, 5);
    g_assert_cmpuint(p.b.sent[SP_WG_INITIATION], ==, 0);
    g_assert_cmpuint(p.a.expired + p.b.expired, ==, 0);
    pair_done(&p);
}

/* Only the other side sends: the initiator re-keys at 165 s, when the last packet came after. */
static void
rekey_on_receive(void)
{
    struct pair p;

    pair_init(&p, 5);
    pair_connect(&p);
    for (unsigned s = 1; s <= 167; s++) {
        pair_run(&p, START + SP_SEC(s));
        g_assert_cmpint(pair_send(&p, &p.b), ==, SP_WG_PACKET);
        if (s == 164)
            g_assert_cmpuint(p.a.sent[SP_WG_INITIATION], ==, 1);
    }
    g_assert_cmpuint(p.a.sent[SP_WG_INITIATION], ==, 2);
    assert_jittered(p.a.last_initiation, START + SP_SEC(165));
    pair_done(&p);
}

/* No traffic: the initiator replaces the session when it may no longer send on it. */
static void
rekey_idle(void)
{
    struct pair p;

    pair_init(&p, 6);
    pair_connect(&p);
    pair_run(&p, START + SP_SEC(170) - 1);
    g_assert_cmpuint(p.a.sent[SP_WG_INITIATION], ==, 1);
    pair_run(&p, START + SP_SEC(172));
    assert_jittered(p.a.last_initiation, START + SP_SEC(170));
    g_assert_cmpuint(p.a.established, ==, 2);
    g_assert_cmpint(pair_send(&p, &p.a), ==, SP_WG_PACKET);
    pair_done(&p);
}

/* Initiator sends until 170 s, responder until 180 s; nothing is accepted from 180 s on. */
static void
session_ages(void)
{
    static const struct {
        sp_duration age;
        bool initiator_sends, responder_sends, accepted;
    } cases[] = {
        { SP_SEC(170) - 1, true, true, true },
        { SP_SEC(170), false, true, true },
        { SP_SEC(180) - 1, false, true, true },
        { SP_SEC(180), false, false, false },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct pair p;
        struct sp_pkt *early, *pkt;

        g_test_message("case %zu", i);
        pair_init(&p, 7);
        pair_connect(&p);
        early = pair_seal(&p, &p.b, 40);
        p.now = START + cases[i].age;
        g_assert_cmpint(sp_wg_tunnel_has_session(p.a.t, p.now), ==, cases[i].initiator_sends);
        pkt = pair_seal(&p, &p.a, 40);
        g_assert_cmpint(pkt != NULL, ==, cases[i].initiator_sends);
        sp_pkt_free(pkt);
        pkt = pair_seal(&p, &p.b, 40);
        g_assert_cmpint(pkt != NULL, ==, cases[i].responder_sends);
        sp_pkt_free(pkt);
        g_assert_cmpint(sp_wg_tunnel_open(p.a.t, early, p.now),
                        ==,
                        cases[i].accepted ? SP_WG_PACKET : SP_E_EXPIRED);
        sp_pkt_free(early);
        pair_done(&p);
    }
}

/* The initiator vanished: the responder holds on until 540 s after the last session. */
static void
wiped_at_540s(void)
{
    struct pair p;

    pair_init(&p, 8);
    pair_connect(&p);
    p.a.t = sp_wg_tunnel_free(p.a.t);
    for (sp_time next; (next = sp_wg_tunnel_next_timeout(p.b.t)) != SP_TIME_NEVER && next != 0;) {
        p.now = next;
        sp_wg_tunnel_handle_timeout(p.b.t, p.now);
    }
    g_assert_cmpuint(p.now, ==, START + SP_SEC(540));
    {
        enum sp_wg_event event;

        g_assert_true(sp_wg_tunnel_poll_event(p.b.t, &event));
        g_assert_cmpint(event, ==, SP_WG_EVENT_EXPIRED);
    }
    pair_done(&p);
}

static void
passive_keepalive(void)
{
    struct pair p;

    pair_init(&p, 9);
    pair_connect(&p);
    pair_run(&p, START + SP_SEC(1));
    g_assert_cmpint(pair_send(&p, &p.a), ==, SP_WG_PACKET);
    pair_run(&p, START + SP_SEC(3));
    g_assert_cmpint(pair_send(&p, &p.a), ==, SP_WG_PACKET);
    pair_run(&p, START + SP_SEC(11) - 1);
    g_assert_cmpuint(p.b.sent[SP_WG_DATA], ==, 0);
    pair_run(&p, START + SP_SEC(11));
    g_assert_cmpuint(p.b.sent[SP_WG_DATA], ==, 1);
    /* A keepalive asks for no keepalive, and with it nothing is unanswered. */
    pair_run(&p, START + SP_SEC(100));
    g_assert_cmpuint(p.b.sent[SP_WG_DATA], ==, 1);
    g_assert_cmpuint(p.a.sent[SP_WG_DATA], ==, 1);
    g_assert_cmpuint(p.a.sent[SP_WG_INITIATION], ==, 1);
    pair_done(&p);
}

/* Data sent and nothing heard: handshake after 15 s from either side; give-up 20 s later. */
static void
no_reply(void)
{
    for (int from_b = 0; from_b < 2; from_b++) {
        struct pair p;
        struct side *s;

        pair_init(&p, 10);
        pair_connect(&p);
        s = from_b ? &p.b : &p.a;
        s->other->deaf = true;
        pair_run(&p, START + SP_SEC(2));
        sp_pkt_free(pair_seal(&p, s, 40));
        pair_run(&p, START + SP_SEC(7));
        sp_pkt_free(pair_seal(&p, s, 40));
        pair_run(&p, START + SP_SEC(19));
        assert_jittered(s->last_initiation, START + SP_SEC(17));
        g_assert_cmpuint(s->expired, ==, 0);
        pair_run(&p, START + SP_SEC(37) + 2 * JITTER);
        g_assert_cmpuint(s->expired, ==, 1);
        pair_done(&p);
    }
}

static void
simultaneous(void)
{
    struct sp_wg_out ia, ib;
    struct pair p;

    pair_init(&p, 11);
    sp_wg_tunnel_initiate(p.a.t, p.now);
    sp_wg_tunnel_initiate(p.b.t, p.now);
    g_assert_true(pair_take(&p.a, &ia));
    g_assert_true(pair_take(&p.b, &ib));
    g_assert_cmpint(pair_give(&p, &p.b, span_of(&ia)), ==, 0);
    g_assert_cmpint(pair_give(&p, &p.a, span_of(&ib)), ==, 0);
    pair_pump(&p);
    g_assert_false(sp_wg_tunnel_handshake_in_flight(p.a.t));
    g_assert_false(sp_wg_tunnel_handshake_in_flight(p.b.t));
    for (unsigned s = 1; s < 130; s++) {
        pair_run(&p, START + SP_SEC(s));
        g_assert_cmpint(pair_send(&p, &p.a), ==, SP_WG_PACKET);
        g_assert_cmpint(pair_send(&p, &p.b), ==, SP_WG_PACKET);
    }
    pair_done(&p);
}

/* Wrong PSK or wrong peer: refused by whoever can tell, and nobody has a session. */
static void
keys_out_of_sync(void)
{
    struct sp_wg_config c;
    struct pair p;

    pair_init(&p, 12);
    c = pair_config(&p, &p.b, &p.a);
    c.psk[0] ^= 1;
    sp_wg_tunnel_free(p.b.t);
    p.b.t = sp_wg_tunnel_new(&c);
    sp_wg_tunnel_initiate(p.a.t, p.now);
    pair_run(&p, START + SP_SEC(21));
    g_assert_cmpuint(p.a.established + p.b.established, ==, 0);
    g_assert_cmpuint(p.a.expired, ==, 1);

    c = pair_config(&p, &p.b, &p.b);
    sp_wg_tunnel_free(p.b.t);
    p.b.t = sp_wg_tunnel_new(&c);
    sp_wg_tunnel_initiate(p.a.t, p.now);
    {
        struct sp_wg_out out;

        g_assert_true(pair_take(&p.a, &out));
        g_assert_cmpint(pair_give(&p, &p.b, span_of(&out)), ==, SP_E_UNAUTH);
        g_assert_false(pair_take(&p.b, &out));
    }
    pair_done(&p);
}

static void
rejects_replayed_initiation(void)
{
    struct sp_wg_out first, second, third, out;
    struct pair p;

    pair_init(&p, 13);
    sp_wg_tunnel_initiate(p.a.t, p.now);
    g_assert_true(pair_take(&p.a, &first));
    /* Same instant, yet newer. */
    sp_wg_tunnel_initiate(p.a.t, p.now);
    g_assert_true(pair_take(&p.a, &second));
    g_assert_cmpint(pair_give(&p, &p.b, span_of(&second)), ==, 0);
    g_assert_true(pair_take(&p.b, &out));
    g_assert_cmpint(pair_give(&p, &p.b, span_of(&second)), ==, SP_E_REPLAY);
    g_assert_cmpint(pair_give(&p, &p.b, span_of(&first)), ==, SP_E_REPLAY);
    g_assert_false(pair_take(&p.b, &out));
    p.now += 1;
    sp_wg_tunnel_initiate(p.a.t, p.now);
    g_assert_true(pair_take(&p.a, &third));
    g_assert_cmpint(pair_give(&p, &p.b, span_of(&third)), ==, 0);
    /* The answer to the second comes too late: the third took its place. */
    g_assert_cmpint(pair_give(&p, &p.a, span_of(&out)), ==, SP_E_STATE);
    pair_pump(&p);
    g_assert_cmpuint(p.a.established, ==, 1);
    pair_done(&p);
}

/* Every bit of @msg but the macs (the limiter's business) flipped: refused, then the original is
 * taken as if nothing had happened. */
static void
try_all_flips(struct pair *p, struct side *to, const struct sp_wg_out *msg, size_t covered)
{
    for (size_t i = 0; i < 8 * covered; i++) {
        struct sp_wg_out bad = *msg;
        struct sp_wg_out none;

        bad.bytes[i / 8] ^= (uint8_t)(1 << (i % 8));
        g_assert_cmpint(pair_give(p, to, span_of(&bad)), <, 0);
        g_assert_false(pair_take(to, &none));
    }
    g_assert_cmpint(pair_give(p, to, span_of(msg)), >=, 0);
}

static void
corruption_changes_nothing(void)
{
    struct sp_wg_out msg;
    struct sp_pkt *pkt;
    struct pair p;

    pair_init(&p, 14);
    sp_wg_tunnel_initiate(p.a.t, p.now);
    g_assert_true(pair_take(&p.a, &msg));
    /* The sender index and the ephemeral are authenticated by mac1 and the transcript; the index
     * alone only by mac1. */
    for (size_t i = 0; i < 2; i++) {
        struct sp_wg_out bad = msg;

        bad.bytes[SP_WG_INIT_EPHEMERAL + i] ^= 1;
        g_assert_cmpint(pair_give(&p, &p.b, span_of(&bad)), ==, SP_E_UNAUTH);
    }
    {
        struct sp_wg_out tail = msg, none;

        for (size_t i = SP_WG_INIT_EPHEMERAL; i < SP_WG_INIT_MAC1; i++) {
            tail = msg;
            tail.bytes[i] ^= 0x40;
            g_assert_cmpint(pair_give(&p, &p.b, span_of(&tail)), <, 0);
            g_assert_false(pair_take(&p.b, &none));
        }
    }
    g_assert_cmpint(pair_give(&p, &p.b, span_of(&msg)), ==, 0);
    g_assert_true(pair_take(&p.b, &msg));
    for (size_t i = SP_WG_RESP_RECEIVER; i < SP_WG_RESP_MAC1; i++) {
        struct sp_wg_out bad = msg;

        bad.bytes[i] ^= 0x20;
        g_assert_cmpint(pair_give(&p, &p.a, span_of(&bad)), <, 0);
        g_assert_false(sp_wg_tunnel_has_session(p.a.t, p.now));
    }
    g_assert_cmpint(pair_give(&p, &p.a, span_of(&msg)), ==, 0);
    g_assert_true(pair_take(&p.a, &msg));
    try_all_flips(&p, &p.b, &msg, msg.len);
    pair_pump(&p);
    g_assert_cmpuint(p.b.established, ==, 1);

    pkt = pair_seal(&p, &p.a, 40);
    msg.len = pkt->len;
    memcpy(msg.bytes, sp_pkt_data(pkt), pkt->len);
    sp_pkt_free(pkt);
    try_all_flips(&p, &p.b, &msg, msg.len);
    g_assert_cmpint(pair_give(&p, &p.b, span_of(&msg)), ==, SP_E_REPLAY);
    pair_done(&p);
}

/* What is inside must look like IP; padding up to any length is cut off. */
static void
inner_packet(void)
{
    static const struct {
        uint8_t first;
        uint16_t field; /* total or payload length */
        uint16_t n;     /* bytes sealed */
        uint16_t want;  /* 0: malformed */
    } cases[] = {
        { 0x45, 28, 28, 28 },       { 0x45, 28, 32, 28 },       { 0x45, 28, 27, 0 },
        { 0x45, 19, 32, 0 },        { 0x45, 20, 20, 20 },       { 0x45, 0, 20, 0 },
        { 0x45, 20, 19, 0 },        { 0x60, 0, 40, 40 },        { 0x60, 8, 48, 48 },
        { 0x60, 8, 64, 48 },        { 0x60, 9, 48, 0 },         { 0x60, 0, 39, 0 },
        { 0x60, 0xffff, 48, 0 },    { 0x45, 0xffff, 48, 0 },    { 0x00, 28, 28, 0 },
        { 0x55, 28, 28, 0 },        { 0x45, 28, 1, 0 },         { 0x60, 28, 1, 0 },
        { 0x45, 1280, 1280, 1280 }, { 0x60, 1240, 1280, 1280 },
    };
    struct pair p;

    pair_init(&p, 15);
    pair_connect(&p);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct sp_pkt *pkt = sp_pkt_alloc(&p.pool);
        uint8_t *d = sp_pkt_data(pkt);
        size_t at = cases[i].first >> 4 == 6 ? 4 : 2;
        int r;

        g_test_message("case %zu", i);
        memset(d, 0, cases[i].n);
        d[0] = cases[i].first;
        if (cases[i].n >= at + 2) {
            d[at] = (uint8_t)(cases[i].field >> 8);
            d[at + 1] = (uint8_t)cases[i].field;
        }
        pkt->len = cases[i].n;
        g_assert_cmpint(sp_wg_tunnel_seal(p.a.t, pkt, p.now), ==, 0);
        r = sp_wg_tunnel_open(p.b.t, pkt, p.now);
        g_assert_cmpint(r, ==, cases[i].want ? SP_WG_PACKET : SP_E_MALFORMED);
        if (cases[i].want) {
            g_assert_cmpuint(pkt->len, ==, cases[i].want);
            g_assert_cmpuint(sp_pkt_data(pkt)[0], ==, cases[i].first);
        }
        sp_pkt_free(pkt);
    }
    pair_done(&p);
}

static void
room(void)
{
    struct sp_pkt *pkt;
    struct pair p;

    pair_init(&p, 16);
    pair_connect(&p);
    pkt = sp_pkt_alloc(&p.pool);
    pkt->off = 15;
    pkt->len = 20;
    g_assert_cmpint(sp_wg_tunnel_seal(p.a.t, pkt, p.now), ==, SP_E_NOBUF);
    pkt->off = SP_PKT_HEADROOM;
    pkt->len = SP_PKT_CAPACITY - SP_PKT_HEADROOM - 15;
    g_assert_cmpint(sp_wg_tunnel_seal(p.a.t, pkt, p.now), ==, SP_E_NOBUF);
    pkt->len--;
    g_assert_cmpint(sp_wg_tunnel_seal(p.a.t, pkt, p.now), ==, 0);
    sp_pkt_free(pkt);
    pair_done(&p);
}

/* Many handshakes whose answers get lost use many slots, but never that of the session in use. */
static void
handshake_burst(void)
{
    struct pair p;

    pair_init(&p, 17);
    pair_connect(&p);
    p.a.deaf = true;
    for (int i = 0; i < 300; i++) {
        p.now += SP_MS(1);
        sp_wg_tunnel_initiate(p.a.t, p.now);
        pair_pump(&p);
        g_assert_cmpint(pair_send(&p, &p.a), ==, SP_WG_PACKET);
        g_assert_cmpint(pair_send(&p, &p.b), ==, SP_WG_PACKET);
    }
    g_assert_cmpuint(p.b.sent[SP_WG_RESPONSE], ==, 301);
    g_assert_cmpuint(p.b.established, ==, 1);
    pair_done(&p);
}

/* Packets of the session before are still taken after a re-key, and do not switch back. */
static void
late_packets(void)
{
    struct sp_pkt *late;
    struct pair p;

    pair_init(&p, 18);
    pair_connect(&p);
    late = pair_seal(&p, &p.b, 50);
    p.now += SP_SEC(30);
    sp_wg_tunnel_initiate(p.a.t, p.now);
    pair_pump(&p);
    g_assert_cmpuint(p.a.established, ==, 2);
    g_assert_cmpint(sp_wg_tunnel_open(p.a.t, late, p.now), ==, SP_WG_PACKET);
    sp_pkt_free(late);
    pair_pump(&p);
    g_assert_cmpuint(p.a.established, ==, 2);
    g_assert_cmpuint(sp_wg_tunnel_last_handshake(p.a.t), ==, p.now);
    pair_done(&p);
}

/* Random loss, traffic and waiting on both sides. What opens is what was sealed (checked by
 * pair_send); after the loss ends the tunnel works again or has said that it expired. */
static void
random_walk(void)
{
    for (uint64_t seed = 100; seed < 130; seed++) {
        struct test_rng state;
        struct sp_rng rng = test_rng_init(&state, seed);
        struct pair p;

        g_test_message("seed %" G_GUINT64_FORMAT, seed);
        pair_init(&p, seed);
        pair_connect(&p);
        for (int i = 0; i < 400; i++) {
            struct side *s = sp_rng_below(&rng, 2) ? &p.a : &p.b;

            switch (sp_rng_below(&rng, 8)) {
            case 0:
                s->deaf = !s->deaf;
                break;
            case 1:
                sp_wg_tunnel_initiate(s->t, p.now);
                pair_pump(&p);
                break;
            case 2:
            case 3:
                pair_run(&p, p.now + SP_MS(1) * sp_rng_below(&rng, 40000));
                break;
            default:
                if (!s->other->deaf)
                    g_assert_cmpint(pair_send(&p, s), !=, SP_E_UNAUTH);
                break;
            }
        }
        p.a.deaf = p.b.deaf = false;
        if (!sp_wg_tunnel_has_session(p.a.t, p.now) && !p.a.expired)
            pair_run(&p, p.now + SP_SEC(21));
        sp_wg_tunnel_initiate(p.a.t, p.now);
        pair_pump(&p);
        g_assert_cmpint(pair_send(&p, &p.a), ==, SP_WG_PACKET);
        g_assert_cmpint(pair_send(&p, &p.b), ==, SP_WG_PACKET);
        pair_done(&p);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/wg/tunnel/handshake", handshake);
    g_test_add_func("/wg/tunnel/lost-messages", lost_messages);
    g_test_add_func("/wg/tunnel/give-up", give_up);
    g_test_add_func("/wg/tunnel/rekey-in-use", rekey_in_use);
    g_test_add_func("/wg/tunnel/rekey-on-receive", rekey_on_receive);
    g_test_add_func("/wg/tunnel/rekey-idle", rekey_idle);
    g_test_add_func("/wg/tunnel/session-ages", session_ages);
    g_test_add_func("/wg/tunnel/wiped-at-540s", wiped_at_540s);
    g_test_add_func("/wg/tunnel/passive-keepalive", passive_keepalive);
    g_test_add_func("/wg/tunnel/no-reply", no_reply);
    g_test_add_func("/wg/tunnel/simultaneous", simultaneous);
    g_test_add_func("/wg/tunnel/keys-out-of-sync", keys_out_of_sync);
    g_test_add_func("/wg/tunnel/rejects-replayed-initiation", rejects_replayed_initiation);
    g_test_add_func("/wg/tunnel/corruption-changes-nothing", corruption_changes_nothing);
    g_test_add_func("/wg/tunnel/inner-packet", inner_packet);
    g_test_add_func("/wg/tunnel/room", room);
    g_test_add_func("/wg/tunnel/handshake-burst", handshake_burst);
    g_test_add_func("/wg/tunnel/late-packets", late_packets);
    g_test_add_func("/wg/tunnel/random-walk", random_walk);
    return g_test_run();
}
