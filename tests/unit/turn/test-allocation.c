/* SPDX-License-Identifier: Apache-2.0 */
/* Life of an allocation. Numbers in paths are invariants of spec connectivity 9. */
#include <string.h>

#include "tests/unit/turn/fixture.h"

#define V4       1u
#define V6       2u

#define RELAYED4 "203.0.113.1:50000"
#define RELAYED6 "[2001:db8:1::1]:50000"
#define PEER     "198.51.100.99:1000"

static void
assert_types(const struct test_relay_request *req, const uint16_t *want, size_t n)
{
    g_assert_cmpuint(req->n_types, ==, n);
    for (size_t i = 0; i < n; i++)
        g_assert_cmphex(req->types[i], ==, want[i]);
}
#define ASSERT_TYPES(req, ...)                      \
    assert_types((req),                             \
                 (const uint16_t[]){ __VA_ARGS__ }, \
                 G_N_ELEMENTS(((const uint16_t[]){ __VA_ARGS__ })))

/* Spec 2.2: attributes and their order. MESSAGE-INTEGRITY is not among the visible ones. */
static void
messages(void)
{
    struct test_relay_request req;
    struct fixture f;
    struct sp_endpoint peer = ep(PEER);

    setup(&f, V4);
    req = take(&f, SP_STUN_BINDING);
    ASSERT_TYPES(&req, SP_STUN_SOFTWARE);
    accept_request(&f, &req);
    req = take(&f, SP_STUN_ALLOCATE);
    ASSERT_TYPES(&req, 0x0019, 0x8000, 0x8022, 0x0006, 0x0014);
    g_assert_true(memmem(req.bytes, req.len, "\x00\x19\x00\x04\x11\x00\x00\x00", 8) != NULL);
    g_assert_true(memmem(req.bytes, req.len, "\x80\x00\x00\x04\x02\x00\x00\x00", 8) != NULL);
    g_assert_true(memmem(req.bytes, req.len, "\x80\x22\x00\x07snownet", 11) != NULL);
    refuse_request(&f, &req, 437);
    req = take(&f, SP_STUN_REFRESH);
    ASSERT_TYPES(&req, 0x0019, 0x8000, 0x8022, 0x000d, 0x0006, 0x0014);
    g_assert_true(req.has_lifetime);
    g_assert_cmpuint(req.lifetime, ==, 0);
    accept_request(&f, &req);
    req = take(&f, SP_STUN_ALLOCATE);
    accept_request(&f, &req);
    sp_turn_bind_channel(f.turn, &peer, f.now);
    req = take(&f, SP_STUN_CHANNEL_BIND);
    ASSERT_TYPES(&req, 0x0012, 0x000c, 0x8022, 0x0006, 0x0014);
    accept_request(&f, &req);
    run_for(&f, SP_SEC(301));
    while (f.turn->transmits.len > 1)
        (void)take(&f, SP_STUN_BINDING);
    teardown(&f);
}

static void
start_up(void)
{
    struct test_relay_request req;
    sp_duration srtt;
    struct fixture f;

    setup(&f, V4);
    assert_state(&f, SP_TURN_PROBING);
    g_assert_false(sp_turn_srtt(f.turn, &srtt));
    req = take(&f, SP_STUN_BINDING);
    run_for(&f, SP_MS(40));
    accept_request(&f, &req);
    assert_event(&f, SP_TURN_EV_NEW, SP_ICE_HOST, "192.168.1.2:52625");
    assert_event(&f, SP_TURN_EV_NEW, SP_ICE_SRFLX, "198.51.100.7:40000");
    assert_state(&f, SP_TURN_ALLOCATING);
    g_assert_true(sp_turn_srtt(f.turn, &srtt));
    g_assert_cmpuint(srtt, ==, SP_MS(40));
    req = take(&f, SP_STUN_ALLOCATE);
    run_for(&f, SP_MS(120));
    accept_request(&f, &req);
    assert_event(&f, SP_TURN_EV_NEW, SP_ICE_RELAY, RELAYED4);
    assert_event(&f, SP_TURN_EV_NEW, SP_ICE_RELAY, RELAYED6);
    assert_no_event(&f);
    assert_state(&f, SP_TURN_ACTIVE);
    g_assert_true(sp_turn_srtt(f.turn, &srtt));
    g_assert_cmpuint(srtt, ==, SP_MS(50)); /* 7/8 of 40 and 1/8 of 120 */
    teardown(&f);
}

static void
bad_config(void)
{
    static char too_long[SP_TURN_USERNAME_MAX + 1];
    struct test_rng state;
    struct sp_turn_config config = { .rng = test_rng_init(&state, 1), .password = "p" };
    struct fixture f;

    memset(too_long, 'a', sizeof too_long - 1);
    g_assert_null(sp_turn_new(&config, 0));
    config.username = "";
    g_assert_null(sp_turn_new(&config, 0));
    config.username = too_long;
    g_assert_null(sp_turn_new(&config, 0));
    config.username = too_long + 1; /* the longest: it must still fit a datagram */
    config.addr4 = ep("203.0.113.1:3478");
    f.turn = sp_turn_new(&config, 0);
    g_assert_nonnull(f.turn);
    sp_turn_free(f.turn);
    config.addr4 = (struct sp_endpoint){ 0 };
    f.turn = sp_turn_new(&config, 0);
    assert_state(&f, SP_TURN_DEAD);
    assert_end(&f, SP_TURN_END_NO_RESPONSE);
    sp_turn_free(f.turn);
}

/* Dual stack: the first answer decides, the other still brings candidates. */
static void
dual_stack(void)
{
    struct test_relay_request req4, req6, req;
    struct fixture f;

    setup(&f, V4 | V6);
    req4 = take(&f, SP_STUN_BINDING);
    req6 = take(&f, SP_STUN_BINDING);
    g_assert_cmpint(req4.to.ip.family, ==, 4);
    g_assert_cmpint(req6.to.ip.family, ==, 6);
    run_for(&f, SP_MS(10));
    accept_request(&f, &req6);
    assert_event(&f, SP_TURN_EV_NEW, SP_ICE_HOST, "[2001:db8:2::7]:52625");
    /* An IPv6 address that is seen unchanged is no srflx one worth less: both are told. */
    assert_event(&f, SP_TURN_EV_NEW, SP_ICE_SRFLX, "[2001:db8:2::7]:40000");
    req = take(&f, SP_STUN_ALLOCATE);
    g_assert_cmpint(req.to.ip.family, ==, 6);
    run_for(&f, SP_MS(10));
    accept_request(&f, &req4);
    assert_event(&f, SP_TURN_EV_NEW, SP_ICE_HOST, "192.168.1.2:52625");
    assert_event(&f, SP_TURN_EV_NEW, SP_ICE_SRFLX, "198.51.100.7:40000");
    assert_silent(&f);
    accept_request(&f, &req);
    {
        struct sp_turn_event e;

        /* 40: reached over IPv6, the IPv4 address is the second choice */
        g_assert_true(sp_turn_poll_event(f.turn, &e));
        g_assert_cmpint(e.candidate.addr.ip.family, ==, 4);
        g_assert_true(e.candidate.relay_family_mismatch);
        g_assert_true(sp_turn_poll_event(f.turn, &e));
        g_assert_false(e.candidate.relay_family_mismatch);
    }
    {
        struct sp_ice_candidate list[SP_TURN_CANDIDATES_MAX];

        g_assert_cmpuint(sp_turn_candidates(f.turn, list), ==, 6);
    }
    teardown(&f);
}

static void
nonce(void)
{
    struct test_relay_request req;
    struct sp_endpoint peer = ep(PEER);
    struct fixture f;

    setup(&f, V4);
    req = take(&f, SP_STUN_BINDING);
    accept_request(&f, &req);
    req = take(&f, SP_STUN_ALLOCATE); /* take() checked the signature */
    g_assert_cmpstr(req.nonce, ==, "");
    refuse_request(&f, &req, 401);
    assert_end(&f, SP_TURN_END_NONE);
    req = take(&f, SP_STUN_ALLOCATE);
    g_assert_cmpstr(req.nonce, ==, "nonce-1");
    f.relay.nonce = "nonce-2";
    refuse_request(&f, &req, 438);
    req = take(&f, SP_STUN_ALLOCATE);
    g_assert_cmpstr(req.nonce, ==, "nonce-2");
    accept_request(&f, &req);
    assert_state(&f, SP_TURN_ACTIVE);
    f.relay.nonce = "nonce-3";
    sp_turn_bind_channel(f.turn, &peer, f.now);
    req = take(&f, SP_STUN_CHANNEL_BIND);
    refuse_request(&f, &req, 438);
    g_assert_true(can_send(&f, PEER, NULL)); /* still in flight */
    req = take(&f, SP_STUN_CHANNEL_BIND);
    g_assert_cmpstr(req.nonce, ==, "nonce-3");
    g_assert_true(sp_endpoint_equal(&req.peer, &peer));
    accept_request(&f, &req);
    g_assert_cmpint(receive(&f, req.channel, NULL), ==, SP_TURN_PAYLOAD);
    teardown(&f);
}

static void
bad_credentials(void)
{
    struct test_relay_request req;
    struct fixture f;

    setup(&f, V4);
    establish(&f);
    run_for(&f, SP_SEC(24));
    sp_turn_refresh_on_demand(f.turn, f.now);
    req = take(&f, SP_STUN_REFRESH);
    g_assert_cmpstr(req.nonce, ==, "nonce-1");
    refuse_request(&f, &req, 401);
    assert_state(&f, SP_TURN_DEAD);
    assert_end(&f, SP_TURN_END_NONE);
    assert_event(&f, SP_TURN_EV_INVALID, SP_ICE_RELAY, RELAYED4);
    assert_event(&f, SP_TURN_EV_INVALID, SP_ICE_RELAY, RELAYED6);
    assert_end(&f, SP_TURN_END_AUTH);
    run_for(&f, SP_SEC(100));
    assert_silent(&f);
    g_assert_cmpuint(next_in(&f), ==, SP_TIME_NEVER);
    /* Others may be better. */
    g_assert_cmpint(sp_turn_set_credentials(f.turn, "", "x", f.now), ==, SP_E_INVAL);
    g_assert_cmpint(sp_turn_set_credentials(f.turn, TEST_RELAY_USER, TEST_RELAY_PASS, f.now),
                    ==,
                    0);
    establish(&f);
    teardown(&f);
}

static void
foreign_realm(void)
{
    struct test_relay_request req;
    struct fixture f;

    setup(&f, V4);
    f.relay.realm = "firezon";
    req = take(&f, SP_STUN_BINDING);
    accept_request(&f, &req);
    req = take(&f, SP_STUN_ALLOCATE);
    refuse_request(&f, &req, 401);
    assert_silent(&f);
    assert_state(&f, SP_TURN_SUSPENDED);
    g_assert_cmpuint(f.n_warnings, ==, 1);
    teardown(&f);
}

static void
mismatch(void)
{
    struct test_relay_request req;
    uint16_t channel;
    struct fixture f;

    setup(&f, V4);
    req = take(&f, SP_STUN_BINDING);
    accept_request(&f, &req);
    req = take(&f, SP_STUN_ALLOCATE);
    refuse_request(&f, &req, 437);
    assert_state(&f, SP_TURN_DELETING);
    req = take(&f, SP_STUN_REFRESH);
    g_assert_true(req.has_lifetime);
    refuse_request(&f, &req, 437); /* gone meanwhile is as good */
    assert_state(&f, SP_TURN_ALLOCATING);
    req = take(&f, SP_STUN_ALLOCATE);
    accept_request(&f, &req);
    drop_events(&f);

    sp_turn_refresh_on_demand(f.turn, f.now);
    req = take(&f, SP_STUN_REFRESH);
    refuse_request(&f, &req, 437);
    assert_event(&f, SP_TURN_EV_INVALID, SP_ICE_RELAY, RELAYED4);
    assert_event(&f, SP_TURN_EV_INVALID, SP_ICE_RELAY, RELAYED6);
    req = take(&f, SP_STUN_ALLOCATE);
    accept_request(&f, &req);
    assert_event(&f, SP_TURN_EV_NEW, SP_ICE_RELAY, RELAYED4);
    assert_event(&f, SP_TURN_EV_NEW, SP_ICE_RELAY, RELAYED6);

    channel = bind_peer(&f, "198.51.100.98:1");
    g_assert_false(can_send(&f, PEER, NULL));
    req = take(&f, SP_STUN_CHANNEL_BIND);
    refuse_request(&f, &req, 437);
    req = take(&f, SP_STUN_ALLOCATE);
    g_assert_cmpint(receive(&f, channel, NULL), ==, SP_E_NOTFOUND);
    accept_request(&f, &req);
    req = take(&f, SP_STUN_CHANNEL_BIND); /* only the one that asked */
    g_assert_true(req.peer.port == 1000);
    assert_silent(&f);
    teardown(&f);
}

/* A relay that always says so does not make us send for ever. */
static void
endless_rejection(void)
{
    static const unsigned codes[] = { 401, 437, 438 };

    for (size_t i = 0; i < G_N_ELEMENTS(codes); i++) {
        struct test_relay_request req;
        struct sp_turn_tx tx;
        struct fixture f;
        unsigned rounds = 0;

        g_test_message("case %zu", i);
        setup(&f, V4);
        f.relay.nonce = codes[i] == 401 ? NULL : "n";
        req = take(&f, SP_STUN_BINDING);
        accept_request(&f, &req);
        while (sp_turn_poll_transmit(f.turn, &tx)) {
            g_assert_cmpuint(++rounds, <, 50);
            test_relay_read(&f.relay, &tx.dst, sp_span(tx.bytes, tx.len), &req);
            if (req.method == SP_STUN_REFRESH)
                accept_request(&f, &req);
            else
                refuse_request(&f, &req, codes[i]);
        }
        assert_state(&f, SP_TURN_SUSPENDED);
        sp_turn_refresh_on_demand(f.turn, f.now);
        req = take(&f, SP_STUN_BINDING);
        accept_request(&f, &req);
        req = take(&f, SP_STUN_ALLOCATE);
        accept_request(&f, &req);
        assert_state(&f, SP_TURN_ACTIVE);
        teardown(&f);
    }
}

static void
assert_sends_at(struct fixture *f, uint16_t method, const unsigned *ms, size_t n, bool same_id)
{
    struct test_relay_request req = take(f, method), again;
    sp_time start = f->now;

    for (size_t i = 1; i < n; i++) {
        run_to(f, start + SP_MS(ms[i]) - 1);
        assert_silent(f);
        run_to(f, start + SP_MS(ms[i]));
        again = take(f, method);
        g_assert_true((memcmp(req.txid, again.txid, sizeof req.txid) == 0) == same_id);
        req = again;
        assert_silent(f);
    }
}

static const unsigned retries[] = { 0, 1000, 2500, 4750 };

static void
retries_and_give_up(void)
{
    struct test_relay_request req;
    struct test_relay_answer late;
    struct fixture f;
    sp_time start;

    setup(&f, V4);
    assert_sends_at(&f, SP_STUN_BINDING, retries, G_N_ELEMENTS(retries), true);
    run_to(&f, START + SP_MS(8125) - 1);
    assert_end(&f, SP_TURN_END_NONE);
    run_to(&f, START + SP_MS(8125));
    assert_end(&f, SP_TURN_END_NO_RESPONSE);
    teardown(&f);

    setup(&f, V4);
    establish(&f);
    run_for(&f, SP_SEC(25));
    req = take(&f, SP_STUN_BINDING);
    accept_request(&f, &req);
    run_for(&f, SP_SEC(25));
    start = f.now;
    assert_sends_at(&f, SP_STUN_BINDING, retries, G_N_ELEMENTS(retries), true);
    run_to(&f, start + SP_MS(8125));
    assert_silent(&f);
    assert_state(&f, SP_TURN_DEAD);
    assert_end(&f, SP_TURN_END_NONE);
    assert_event(&f, SP_TURN_EV_INVALID, SP_ICE_RELAY, RELAYED4);
    assert_end(&f, SP_TURN_END_NONE); /* another is still queued */
    assert_event(&f, SP_TURN_EV_INVALID, SP_ICE_RELAY, RELAYED6);
    assert_end(&f, SP_TURN_END_NO_RESPONSE);
    teardown(&f);

    setup(&f, V4);
    req = take(&f, SP_STUN_BINDING);
    accept_request(&f, &req);
    req = take(&f, SP_STUN_ALLOCATE);
    test_relay_accept(&f.relay, &req, &late);
    run_for(&f, SP_SEC(1));
    (void)take(&f, SP_STUN_ALLOCATE);
    g_assert_cmpint(give(&f, &req, &late), ==, SP_E_NOTFOUND); /* the old id is forgotten */
    run_to(&f, START + SP_MS(8125));
    assert_state(&f, SP_TURN_DEAD);
    teardown(&f);
}

static void
retry_uses_new_nonce(void)
{
    struct test_relay_request a, b;
    struct sp_endpoint peer = ep(PEER), other = ep("198.51.100.98:1");
    struct fixture f;

    setup(&f, V4);
    establish(&f);
    sp_turn_bind_channel(f.turn, &peer, f.now);
    sp_turn_bind_channel(f.turn, &other, f.now);
    (void)take(&f, SP_STUN_CHANNEL_BIND);
    b = take(&f, SP_STUN_CHANNEL_BIND);
    f.relay.nonce = "nonce-9";
    refuse_request(&f, &b, 438);
    b = take(&f, SP_STUN_CHANNEL_BIND);
    g_assert_cmpstr(b.nonce, ==, "nonce-9");
    run_for(&f, SP_SEC(1));
    a = take(&f, SP_STUN_CHANNEL_BIND);
    g_assert_true(sp_endpoint_equal(&a.peer, &peer));
    g_assert_cmpstr(a.nonce, ==, "nonce-9");
    teardown(&f);
}

static void
on_demand(void)
{
    struct test_relay_request req;
    struct fixture f;

    setup(&f, V4);
    sp_turn_refresh_on_demand(f.turn, f.now); /* nothing to save yet */
    req = take(&f, SP_STUN_BINDING);
    assert_silent(&f);
    accept_request(&f, &req);
    sp_turn_refresh_on_demand(f.turn, f.now);
    req = take(&f, SP_STUN_ALLOCATE);
    assert_silent(&f);
    accept_request(&f, &req);
    drop_events(&f);

    sp_turn_refresh_on_demand(f.turn, f.now);
    req = take(&f, SP_STUN_REFRESH);
    g_assert_false(req.has_lifetime);
    accept_request(&f, &req);
    run_for(&f, SP_SEC(2));
    assert_state(&f, SP_TURN_ACTIVE);

    sp_turn_refresh_on_demand(f.turn, f.now);
    (void)take(&f, SP_STUN_REFRESH);
    run_for(&f, SP_SEC(1) - 1);
    assert_silent(&f);
    assert_state(&f, SP_TURN_ACTIVE);
    run_for(&f, 1);
    assert_silent(&f);
    assert_event(&f, SP_TURN_EV_INVALID, SP_ICE_RELAY, RELAYED4);
    assert_event(&f, SP_TURN_EV_INVALID, SP_ICE_RELAY, RELAYED6);
    assert_end(&f, SP_TURN_END_NO_RESPONSE);
    teardown(&f);
}

static void
slow_family(void)
{
    struct test_relay_request req;
    struct fixture f;

    setup(&f, V4 | V6);
    req = take(&f, SP_STUN_BINDING);
    (void)take(&f, SP_STUN_BINDING);
    accept_request(&f, &req);
    req = take(&f, SP_STUN_ALLOCATE);
    accept_request(&f, &req);
    drop_events(&f);
    run_for(&f, SP_SEC(20)); /* the other one is given up */
    assert_state(&f, SP_TURN_ACTIVE);
    assert_no_event(&f);
    for (int i = 0; i < 3; i++)
        g_assert_cmpint(take(&f, SP_STUN_BINDING).to.ip.family, ==, 6);
    assert_silent(&f);
    assert_end(&f, SP_TURN_END_NONE);
    teardown(&f);
}

/* Run to @at and let the relay answer everything. Returns: how many of @method there were */
static unsigned
run_answered(struct fixture *f, sp_time at, uint16_t method)
{
    struct test_relay_request req;
    struct sp_turn_tx tx;
    unsigned n = 0;

    while (f->now < at) {
        run_for(f, SP_MS(500));
        while (sp_turn_poll_transmit(f->turn, &tx)) {
            test_relay_read(&f->relay, &tx.dst, sp_span(tx.bytes, tx.len), &req);
            n += req.method == method;
            accept_request(f, &req);
        }
    }
    return n;
}

static void
refresh_at_half_life(void)
{
    struct fixture f;

    setup(&f, V4);
    establish(&f);
    g_assert_cmpuint(run_answered(&f, START + SP_MS(299500), SP_STUN_REFRESH), ==, 0);
    g_assert_cmpuint(run_answered(&f, START + SP_SEC(599), SP_STUN_REFRESH), ==, 1);
    g_assert_cmpuint(run_answered(&f, START + SP_SEC(601), SP_STUN_REFRESH), ==, 1);
    assert_no_event(&f);
    assert_state(&f, SP_TURN_ACTIVE);
    teardown(&f);
}

/* A refused refresh is repeated, but not at once, and in the end the allocation expires. */
static void
refused_refresh(void)
{
    struct test_relay_request req;
    struct sp_turn_tx tx;
    struct fixture f;
    unsigned n = 0;

    setup(&f, V4);
    f.relay.lifetime = 20;
    establish(&f);
    run_for(&f, SP_SEC(10));
    while (f.now < START + SP_SEC(20)) {
        while (sp_turn_poll_transmit(f.turn, &tx)) {
            test_relay_read(&f.relay, &tx.dst, sp_span(tx.bytes, tx.len), &req);
            g_assert_cmpuint(req.method, ==, SP_STUN_REFRESH);
            refuse_request(&f, &req, 500);
            n++;
        }
        run_for(&f, SP_MS(100));
    }
    g_assert_cmpuint(n, ==, 10);
    assert_state(&f, SP_TURN_SUSPENDED);
    assert_event(&f, SP_TURN_EV_INVALID, SP_ICE_RELAY, RELAYED4);
    assert_event(&f, SP_TURN_EV_INVALID, SP_ICE_RELAY, RELAYED6);
    assert_end(&f, SP_TURN_END_NONE);
    g_assert_cmpuint(next_in(&f), ==, SP_TIME_NEVER);
    teardown(&f);
}

static void
refreshed_to_nothing(void)
{
    struct test_relay_request req;
    struct fixture f;

    setup(&f, V4);
    establish(&f);
    sp_turn_refresh_on_demand(f.turn, f.now);
    req = take(&f, SP_STUN_REFRESH);
    f.relay.lifetime = 0;
    accept_request(&f, &req);
    assert_event(&f, SP_TURN_EV_INVALID, SP_ICE_RELAY, RELAYED4);
    (void)take(&f, SP_STUN_ALLOCATE);
    teardown(&f);
}

static void
keepalive(void)
{
    struct test_relay_request req;
    struct fixture f;

    setup(&f, V4);
    establish(&f);
    (void)bind_peer(&f, PEER);
    run_to(&f, START + SP_SEC(25) - 1);
    assert_silent(&f);
    run_to(&f, START + SP_SEC(25));
    req = take(&f, SP_STUN_BINDING);
    accept_request(&f, &req);
    assert_no_event(&f); /* nothing new learnt */
    run_for(&f, SP_SEC(20));
    g_assert_true(can_send(&f, PEER, NULL));
    run_for(&f, SP_SEC(25) - 1);
    assert_silent(&f);
    run_for(&f, 1);
    (void)take(&f, SP_STUN_BINDING);
    teardown(&f);
}

static void
changed_mapping(void)
{
    struct test_relay_request req;
    struct fixture f;

    setup(&f, V4);
    establish(&f);
    run_for(&f, SP_SEC(25));
    f.relay.mapped[0] = ep("198.51.100.7:40001");
    req = take(&f, SP_STUN_BINDING);
    accept_request(&f, &req);
    assert_event(&f, SP_TURN_EV_NEW, SP_ICE_SRFLX, "198.51.100.7:40001");
    assert_no_event(&f);
    teardown(&f);
}

static void
suspended(void)
{
    static const unsigned codes[] = { 300, 400, 403, 440, 442, 486, 500, 508 };

    for (size_t i = 0; i < G_N_ELEMENTS(codes); i++) {
        struct sp_endpoint peer = ep(PEER);
        struct test_relay_request req;
        struct fixture f;

        g_test_message("case %zu", i);
        setup(&f, V4);
        assert_end(&f, SP_TURN_END_NONE);
        sp_turn_bind_channel(f.turn, &peer, f.now);
        req = take(&f, SP_STUN_BINDING);
        assert_end(&f, SP_TURN_END_NONE); /* 24: only just made */
        accept_request(&f, &req);
        req = take(&f, SP_STUN_ALLOCATE);
        refuse_request(&f, &req, codes[i]);
        drop_events(&f);
        assert_state(&f, SP_TURN_SUSPENDED);
        run_for(&f, SP_SEC(1000));
        assert_silent(&f);
        assert_end(&f, SP_TURN_END_NONE);
        g_assert_cmpuint(next_in(&f), ==, SP_TIME_NEVER);
        sp_turn_bind_channel(f.turn, &peer, f.now);
        assert_silent(&f);
        sp_turn_refresh_on_demand(f.turn, f.now);
        establish(&f); /* and nobody waits for a channel */
        teardown(&f);
    }
}

static void
unknown_attribute(void)
{
    struct test_relay_request req;
    struct fixture f;

    setup(&f, V4);
    req = take(&f, SP_STUN_BINDING);
    accept_request(&f, &req);
    req = take(&f, SP_STUN_ALLOCATE);
    refuse_request(&f, &req, 420);
    assert_end(&f, SP_TURN_END_PROTOCOL); /* though events are queued */
    teardown(&f);
}

static void
one_relayed_family(void)
{
    struct test_relay_request req;
    struct fixture f;

    setup(&f, V4);
    f.relay.relayed[1] = (struct sp_endpoint){ 0 };
    req = take(&f, SP_STUN_BINDING);
    accept_request(&f, &req);
    drop_events(&f);
    req = take(&f, SP_STUN_ALLOCATE);
    accept_request(&f, &req);
    assert_event(&f, SP_TURN_EV_NEW, SP_ICE_RELAY, RELAYED4);
    assert_no_event(&f);
    g_assert_false(can_send(&f, "[2001:db8::9]:1", NULL));
    assert_silent(&f); /* 21 */
    teardown(&f);
}

static void
reset(void)
{
    struct test_relay_request req;
    sp_duration srtt;
    struct fixture f;

    setup(&f, V4 | V6);
    establish(&f);
    (void)bind_peer(&f, PEER);
    sp_turn_refresh_on_demand(f.turn, f.now);
    sp_turn_reset(f.turn, f.now);
    assert_no_event(&f);
    assert_state(&f, SP_TURN_PROBING);
    g_assert_false(sp_turn_srtt(f.turn, &srtt));
    g_assert_cmpuint(f.turn->transmits.len, ==, 2);
    req = take(&f, SP_STUN_BINDING);
    (void)take(&f, SP_STUN_BINDING);
    accept_request(&f, &req);
    assert_event(&f, SP_TURN_EV_NEW, SP_ICE_HOST, "192.168.1.2:52625");
    drop_events(&f);
    req = take(&f, SP_STUN_ALLOCATE); /* signed with the same credentials */
    g_assert_cmpstr(req.nonce, ==, "");
    refuse_request(&f, &req, 437);
    req = take(&f, SP_STUN_REFRESH);
    accept_request(&f, &req);
    req = take(&f, SP_STUN_ALLOCATE);
    accept_request(&f, &req);
    assert_state(&f, SP_TURN_ACTIVE);
    g_assert_false(can_send(&f, PEER, NULL));
    teardown(&f);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/turn/messages", messages);
    g_test_add_func("/turn/start-up", start_up);
    g_test_add_func("/turn/bad-config", bad_config);
    g_test_add_func("/turn/dual-stack", dual_stack);
    g_test_add_func("/turn/12-nonce", nonce);
    g_test_add_func("/turn/13-bad-credentials", bad_credentials);
    g_test_add_func("/turn/14-foreign-realm", foreign_realm);
    g_test_add_func("/turn/15-mismatch", mismatch);
    g_test_add_func("/turn/endless-rejection", endless_rejection);
    g_test_add_func("/turn/16-retries-and-give-up", retries_and_give_up);
    g_test_add_func("/turn/retry-uses-new-nonce", retry_uses_new_nonce);
    g_test_add_func("/turn/17-on-demand-refresh", on_demand);
    g_test_add_func("/turn/18-slow-family", slow_family);
    g_test_add_func("/turn/19-refresh-at-half-life", refresh_at_half_life);
    g_test_add_func("/turn/refused-refresh", refused_refresh);
    g_test_add_func("/turn/refreshed-to-nothing", refreshed_to_nothing);
    g_test_add_func("/turn/20-keepalive", keepalive);
    g_test_add_func("/turn/changed-mapping", changed_mapping);
    g_test_add_func("/turn/24-suspended", suspended);
    g_test_add_func("/turn/unknown-attribute", unknown_attribute);
    g_test_add_func("/turn/one-relayed-family", one_relayed_family);
    g_test_add_func("/turn/27-reset", reset);
    return g_test_run();
}
