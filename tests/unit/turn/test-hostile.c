/* SPDX-License-Identifier: Apache-2.0 */
/* Answers that are not what they should be. */
#include <string.h>

#include "tests/unit/turn/fixture.h"

enum forgery {
    NO_INTEGRITY,
    WRONG_KEY,
    BIT_FLIP,
    _FORGERY_MAX
};

/* The answer again, with its integrity taken away or spoilt. */
static void
forge(struct test_relay_answer *a, enum forgery how)
{
    struct sp_stun_msg msg;
    struct sp_stun_builder b;
    struct sp_span value;
    uint8_t out[sizeof a->bytes];
    size_t cursor = 0;
    uint16_t type;
    int n;

    if (how == BIT_FLIP) {
        a->bytes[a->len - 1] ^= 1;
        return;
    }
    g_assert_cmpint(sp_stun_parse(sp_span(a->bytes, a->len), &msg), ==, 0);
    b = sp_stun_build(out, sizeof out, msg.cls, msg.method, msg.txid);
    while (sp_stun_next(&msg, &cursor, &type, &value))
        sp_stun_put(&b, type, value.p, value.n);
    if (how == WRONG_KEY)
        sp_stun_put_integrity(&b, sp_span("0123456789abcdef", 16));
    n = sp_stun_finish(&b);
    g_assert_cmpint(n, >, 0);
    memcpy(a->bytes, out, (size_t)n);
    a->len = (size_t)n;
}

/* Every method that needs it, every error code, three ways to be wrong. */
static void
unauthenticated(void)
{
    static const unsigned codes[] = { 0, 400, 401, 420, 437, 438, 486 };
    static const uint16_t methods[] = { SP_STUN_ALLOCATE, SP_STUN_REFRESH, SP_STUN_CHANNEL_BIND };
    struct sp_endpoint peer = ep("198.51.100.9:9");

    for (size_t m = 0; m < G_N_ELEMENTS(methods); m++)
        for (size_t c = 0; c < G_N_ELEMENTS(codes) * _FORGERY_MAX; c++) {
            struct test_relay_request req;
            struct test_relay_answer a;
            struct fixture f;
            enum sp_turn_state before;

            g_test_message("case %zu.%zu", m, c);
            setup(&f, 1);
            if (methods[m] == SP_STUN_ALLOCATE) {
                req = take(&f, SP_STUN_BINDING);
                accept_request(&f, &req);
            } else {
                establish(&f);
                if (methods[m] == SP_STUN_REFRESH)
                    sp_turn_refresh_on_demand(f.turn, f.now);
                else
                    sp_turn_bind_channel(f.turn, &peer, f.now);
            }
            req = take(&f, methods[m]);
            drop_events(&f);
            before = sp_turn_state(f.turn);
            if (codes[c / _FORGERY_MAX])
                test_relay_refuse(&f.relay, &req, codes[c / _FORGERY_MAX], &a);
            else
                test_relay_accept(&f.relay, &req, &a);
            forge(&a, (enum forgery)(c % _FORGERY_MAX));
            g_assert_cmpint(give(&f, &req, &a), ==, SP_E_UNAUTH);
            g_assert_cmpint(give(&f, &req, &a), ==, SP_E_UNAUTH);
            g_assert_cmpuint(f.n_warnings, ==, 1); /* not one for each */
            assert_state(&f, before);
            assert_silent(&f);
            assert_no_event(&f);
            assert_end(&f, SP_TURN_END_NONE);
            accept_request(&f, &req); /* still in flight */
            teardown(&f);
        }
}

static void
not_ours(void)
{
    struct test_relay_request req;
    struct test_relay_answer a, b;
    struct sp_turn_payload payload;
    struct sp_udp_meta meta;
    struct fixture f;

    setup(&f, 3);
    req = take(&f, SP_STUN_BINDING);
    test_relay_accept(&f.relay, &req, &a);
    meta = (struct sp_udp_meta){ .local = f.local[0], .from = ep("203.0.113.2:3478") };
    g_assert_cmpint(sp_turn_handle_input(f.turn, &meta, sp_span(a.bytes, a.len), f.now, &payload),
                    ==,
                    SP_TURN_NOT_MINE);
    meta.from = ep("203.0.113.1:3479");
    g_assert_cmpint(sp_turn_handle_input(f.turn, &meta, sp_span(a.bytes, a.len), f.now, &payload),
                    ==,
                    SP_TURN_NOT_MINE);
    /* the other address of the relay was not asked */
    meta.from = f.relay.addr[1];
    g_assert_cmpint(sp_turn_handle_input(f.turn, &meta, sp_span(a.bytes, a.len), f.now, &payload),
                    ==,
                    SP_E_NOTFOUND);
    b = a;
    b.bytes[19] ^= 1; /* transaction id */
    g_assert_cmpint(give(&f, &req, &b), ==, SP_E_NOTFOUND);
    b = a;
    b.bytes[0] = 0; /* a request */
    b.bytes[1] = 1;
    g_assert_cmpint(give(&f, &req, &b), ==, SP_E_NOTFOUND);
    b = a;
    b.bytes[1] = 3; /* of another method */
    g_assert_cmpint(give(&f, &req, &b), ==, SP_E_NOTFOUND);
    b = a;
    b.bytes[4] ^= 1; /* no cookie: may be WireGuard */
    g_assert_cmpint(give(&f, &req, &b), ==, SP_TURN_NOT_MINE);
    b = a;
    b.len = 0;
    g_assert_cmpint(give(&f, &req, &b), ==, SP_TURN_NOT_MINE);
    assert_state(&f, SP_TURN_PROBING);
    g_assert_cmpint(give(&f, &req, &a), ==, 0);
    g_assert_cmpint(give(&f, &req, &a), ==, SP_E_NOTFOUND); /* once */
    teardown(&f);
}

static void
framing(void)
{
    static const struct {
        uint8_t bytes[8];
        size_t n;
        int want;
    } cases[] = {
        { { 0x40, 0, 0, 1, 9 }, 5, SP_E_NOTFOUND },             /* well-formed, of nobody */
        { { 0x40, 0, 0, 1, 9, 0, 0, 0 }, 8, SP_TURN_NOT_MINE }, /* padding */
        { { 0x40, 0, 0, 2, 9 }, 5, SP_TURN_NOT_MINE },
        { { 0x40, 0, 0 }, 3, SP_TURN_NOT_MINE },
        { { 0x50, 0, 0, 0 }, 4, SP_TURN_NOT_MINE },
        { { 0x04, 0, 0, 0 }, 4, SP_TURN_NOT_MINE },
        { { 0x00, 1, 0, 0 }, 4, SP_TURN_NOT_MINE },
    };
    struct sp_turn_payload payload;
    struct sp_udp_meta meta;
    struct fixture f;

    setup(&f, 1);
    meta = (struct sp_udp_meta){ .local = f.local[0], .from = f.relay.addr[0] };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_message("case %zu", i);
        g_assert_cmpint(sp_turn_handle_input(f.turn,
                                             &meta,
                                             sp_span(cases[i].bytes, cases[i].n),
                                             f.now,
                                             &payload),
                        ==,
                        cases[i].want);
    }
    teardown(&f);
}

/* An error to a BINDING carries no proof of who sent it: it ends that BINDING and no more. */
static void
binding_errors(void)
{
    static const unsigned codes[] = { 400, 401, 420, 437, 438 };

    for (size_t i = 0; i < G_N_ELEMENTS(codes); i++) {
        struct test_relay_request req, other;
        struct fixture f;

        g_test_message("case %zu", i);
        setup(&f, 3);
        req = take(&f, SP_STUN_BINDING);
        other = take(&f, SP_STUN_BINDING);
        refuse_request(&f, &req, codes[i]);
        assert_silent(&f);
        assert_end(&f, SP_TURN_END_NONE);
        assert_state(&f, SP_TURN_PROBING);
        accept_request(&f, &other);
        req = take(&f, SP_STUN_ALLOCATE);
        g_assert_cmpstr(req.nonce, ==, "");
        teardown(&f);
    }
}

static void
answer_allocate(struct fixture *f,
                const struct test_relay_request *req,
                const char *relayed,
                bool has_lifetime,
                uint32_t lifetime)
{
    struct sp_stun_builder b;
    struct test_relay_answer a;
    struct sp_endpoint e;
    int n;

    b = sp_stun_build(a.bytes, sizeof a.bytes, SP_STUN_SUCCESS, SP_STUN_ALLOCATE, req->txid);
    if (relayed) {
        e = ep(relayed);
        sp_stun_put_xor_addr(&b, SP_STUN_XOR_RELAYED_ADDRESS, &e);
    }
    if (has_lifetime)
        sp_stun_put_u32(&b, SP_STUN_LIFETIME, lifetime);
    sp_stun_put_integrity(&b, sp_span(f->relay.key, sizeof f->relay.key));
    n = sp_stun_finish(&b);
    a.len = (size_t)n;
    g_assert_cmpint(give(f, req, &a), ==, 0);
}

static void
poor_allocations(void)
{
    static const struct {
        const char *relayed;
        bool has_lifetime;
        uint32_t lifetime;
        enum sp_turn_state want; /* when the timers have run */
    } cases[] = {
        { "203.0.113.1:50000", true, 600, SP_TURN_ACTIVE },
        { "203.0.113.1:50000", false, 0, SP_TURN_SUSPENDED },
        { NULL, true, 600, SP_TURN_SUSPENDED },
        { "0.0.0.0:50000", true, 600, SP_TURN_SUSPENDED },
        { "224.0.0.1:50000", true, 600, SP_TURN_SUSPENDED },
        { "203.0.113.1:0", true, 600, SP_TURN_SUSPENDED },
        { "203.0.113.1:50000", true, 0, SP_TURN_SUSPENDED }, /* expired as it came */
        { "203.0.113.1:50000", true, UINT32_MAX, SP_TURN_ACTIVE },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct test_relay_request req;
        struct fixture f;

        g_test_message("case %zu", i);
        setup(&f, 1);
        req = take(&f, SP_STUN_BINDING);
        accept_request(&f, &req);
        req = take(&f, SP_STUN_ALLOCATE);
        answer_allocate(&f, &req, cases[i].relayed, cases[i].has_lifetime, cases[i].lifetime);
        run_for(&f, SP_SEC(1));
        assert_state(&f, cases[i].want);
        assert_silent(&f);
        teardown(&f);
    }
}

static void
long_nonce(void)
{
    static char nonce[SP_TURN_NONCE_MAX + 2];
    struct test_relay_request req;
    struct fixture f;

    setup(&f, 1);
    memset(nonce, 'n', SP_TURN_NONCE_MAX);
    f.relay.nonce = nonce;
    req = take(&f, SP_STUN_BINDING);
    accept_request(&f, &req);
    req = take(&f, SP_STUN_ALLOCATE);
    refuse_request(&f, &req, 401);
    g_assert_cmpuint(f.turn->nonce_len, ==, SP_TURN_NONCE_MAX);
    req = take(&f, SP_STUN_ALLOCATE);
    memset(nonce, 'm', SP_TURN_NONCE_MAX + 1);
    refuse_request(&f, &req, 438);
    g_assert_cmpint(f.turn->nonce[0], ==, 'n'); /* too long: not kept */
    teardown(&f);
}

static void
mapped_of_other_family(void)
{
    struct test_relay_request req;
    struct fixture f;

    setup(&f, 1);
    f.relay.mapped[0] = ep("[2001:db8::1]:5");
    req = take(&f, SP_STUN_BINDING);
    accept_request(&f, &req);
    assert_event(&f, SP_TURN_EV_NEW, SP_ICE_HOST, "192.168.1.2:52625");
    assert_no_event(&f);
    teardown(&f);
}

/* A relay that answers at random from a seed; whatever it does, the bounds and the timers hold. */
static void
random_relay(void)
{
    static const unsigned codes[] = { 400, 401, 403, 437, 438, 486, 500 };

    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct test_rng state;
        struct sp_rng rng = test_rng_init(&state, seed);
        struct sp_endpoint peer = ep("198.51.100.9:1");
        struct test_relay_request req;
        struct sp_turn_tx tx;
        struct fixture f;

        g_test_message("seed %u", (unsigned)seed);
        setup(&f, 1 + sp_rng_below(&rng, 3));
        for (int step = 0; step < 400; step++) {
            peer.port = (uint16_t)(1 + sp_rng_below(&rng, 20));
            switch (sp_rng_below(&rng, 8)) {
            case 0:
                sp_turn_bind_channel(f.turn, &peer, f.now);
                break;
            case 1:
                sp_turn_refresh_on_demand(f.turn, f.now);
                break;
            case 2:
                (void)receive(&f, (uint16_t)(0x4000 + sp_rng_below(&rng, 30)), NULL);
                break;
            case 3:
                if (sp_rng_below(&rng, 20) == 0)
                    sp_turn_reset(f.turn, f.now);
                break;
            default:
                run_for(&f, SP_MS(sp_rng_below(&rng, 60000)));
            }
            while (sp_turn_poll_transmit(f.turn, &tx)) {
                test_relay_read(&f.relay, &tx.dst, sp_span(tx.bytes, tx.len), &req);
                if (sp_rng_below(&rng, 10) == 0)
                    continue; /* lost */
                if (sp_rng_below(&rng, 4) != 0) {
                    struct test_relay_answer a;

                    test_relay_accept(&f.relay, &req, &a);
                    (void)give(&f, &req, &a);
                } else {
                    struct test_relay_answer a;

                    test_relay_refuse(&f.relay,
                                      &req,
                                      codes[sp_rng_below(&rng, G_N_ELEMENTS(codes))],
                                      &a);
                    (void)give(&f, &req, &a);
                }
            }
            drop_events(&f);
            g_assert_cmpuint(f.turn->by_txid.len, <, 64);
            g_assert_cmpuint(f.turn->channels.by_peer.len, <=, f.turn->channels.by_number.len);
            if (sp_turn_end(f.turn) != SP_TURN_END_NONE)
                g_assert_cmpint(
                    sp_turn_set_credentials(f.turn, TEST_RELAY_USER, TEST_RELAY_PASS, f.now),
                    ==,
                    0);
        }
        teardown(&f);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/turn/hostile/11-unauthenticated", unauthenticated);
    g_test_add_func("/turn/hostile/not-ours", not_ours);
    g_test_add_func("/turn/hostile/framing", framing);
    g_test_add_func("/turn/hostile/binding-errors", binding_errors);
    g_test_add_func("/turn/hostile/poor-allocations", poor_allocations);
    g_test_add_func("/turn/hostile/long-nonce", long_nonce);
    g_test_add_func("/turn/hostile/mapped-of-other-family", mapped_of_other_family);
    g_test_add_func("/turn/hostile/random-relay", random_relay);
    return g_test_run();
}
