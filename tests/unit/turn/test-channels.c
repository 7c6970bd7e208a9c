/* SPDX-License-Identifier: Apache-2.0 */
/* Channels (21, 22, 23 of spec connectivity 9). */
#include "tests/unit/turn/fixture.h"

#define PEER  "198.51.100.99:1000"
#define OTHER "198.51.100.98:1000"

/* Let time pass while every keep-alive and refresh is answered; binds are left alone. */
static void
pass(struct fixture *f, sp_duration d)
{
    sp_time end = f->now + d;
    struct test_relay_request req;
    struct sp_turn_tx tx;

    while (f->now < end) {
        run_to(f, SP_MIN(end, f->now + SP_SEC(1)));
        while (sp_turn_poll_transmit(f->turn, &tx)) {
            test_relay_read(&f->relay, &tx.dst, sp_span(tx.bytes, tx.len), &req);
            g_assert_cmpuint(req.method, !=, SP_STUN_CHANNEL_BIND);
            accept_request(f, &req);
        }
    }
    drop_events(f);
}

static void
start(struct fixture *f)
{
    setup(f, 1);
    establish(f);
}

static void
both_ways(void)
{
    struct sp_turn_payload payload;
    struct sp_endpoint peer = ep(PEER);
    uint16_t number, sent_on;
    struct fixture f;

    start(&f);
    number = bind_peer(&f, PEER);
    g_assert_cmphex(number, ==, 0x4000);
    g_assert_true(can_send(&f, PEER, &sent_on));
    g_assert_cmphex(sent_on, ==, number);
    g_assert_cmpint(receive(&f, number, &payload), ==, SP_TURN_PAYLOAD);
    g_assert_true(sp_endpoint_equal(&payload.peer, &peer));
    g_assert_true(sp_endpoint_equal(&payload.relayed, &f.relay.relayed[0]));
    g_assert_cmpuint(payload.bytes.n, ==, 1);
    g_assert_true(sp_turn_owns(f.turn, &payload.relayed));
    g_assert_false(sp_turn_owns(f.turn, &peer));
    number = bind_peer(&f, "[2001:db8::9]:1");
    g_assert_cmphex(number, ==, 0x4001);
    g_assert_cmpint(receive(&f, number, &payload), ==, SP_TURN_PAYLOAD);
    g_assert_true(sp_endpoint_equal(&payload.relayed, &f.relay.relayed[1]));
    teardown(&f);
}

static void
not_twice(void)
{
    struct sp_endpoint peer = ep(PEER);
    struct test_relay_request req;
    struct fixture f;

    setup(&f, 1);
    for (int i = 0; i < 3; i++)
        sp_turn_bind_channel(f.turn, &peer, f.now); /* waits */
    req = take(&f, SP_STUN_BINDING);
    accept_request(&f, &req);
    sp_turn_bind_channel(f.turn, &peer, f.now);
    req = take(&f, SP_STUN_ALLOCATE);
    accept_request(&f, &req);
    req = take(&f, SP_STUN_CHANNEL_BIND);
    assert_silent(&f);
    sp_turn_bind_channel(f.turn, &peer, f.now); /* in flight */
    assert_silent(&f);
    accept_request(&f, &req);
    sp_turn_bind_channel(f.turn, &peer, f.now); /* connected */
    assert_silent(&f);
    teardown(&f);
}

static void
waiting_ring(void)
{
    struct sp_endpoint peer = ep(PEER);
    struct test_relay_request req;
    struct fixture f;

    setup(&f, 1);
    for (unsigned i = 0; i < SP_TURN_WAITING_MAX + 5; i++) {
        peer.port = (uint16_t)(1000 + i);
        sp_turn_bind_channel(f.turn, &peer, f.now);
    }
    req = take(&f, SP_STUN_BINDING);
    accept_request(&f, &req);
    req = take(&f, SP_STUN_ALLOCATE);
    accept_request(&f, &req);
    for (unsigned i = 0; i < SP_TURN_WAITING_MAX; i++) {
        req = take(&f, SP_STUN_CHANNEL_BIND);
        g_assert_cmpuint(req.peer.port, ==, 1005 + i); /* the oldest gave way */
    }
    assert_silent(&f);
    teardown(&f);
}

static void
in_flight(void)
{
    struct test_relay_request req;
    uint16_t number;
    struct fixture f;

    start(&f);
    g_assert_false(can_send(&f, PEER, NULL)); /* asks for one */
    req = take(&f, SP_STUN_CHANNEL_BIND);
    g_assert_true(can_send(&f, PEER, &number)); /* 22 */
    g_assert_cmphex(number, ==, req.channel);
    g_assert_cmpint(receive(&f, number, NULL), ==, SP_E_NOTFOUND); /* 23 */
    accept_request(&f, &req);
    g_assert_cmpint(receive(&f, number, NULL), ==, SP_TURN_PAYLOAD);
    g_assert_cmpint(receive(&f, (uint16_t)(number + 1), NULL), ==, SP_E_NOTFOUND);
    teardown(&f);
}

static void
renewed_when_used(void)
{
    struct test_relay_request req;
    uint16_t number;
    struct fixture f;

    start(&f);
    number = bind_peer(&f, PEER);
    pass(&f, SP_SEC(100));
    g_assert_cmpint(receive(&f, number, NULL), ==, SP_TURN_PAYLOAD);
    pass(&f, SP_SEC(200) - 1);
    run_for(&f, 1);
    while ((req = (struct test_relay_request){ 0 }, f.turn->transmits.len)) {
        struct sp_turn_tx tx;

        g_assert_true(sp_turn_poll_transmit(f.turn, &tx));
        test_relay_read(&f.relay, &tx.dst, sp_span(tx.bytes, tx.len), &req);
        accept_request(&f, &req);
        if (req.method == SP_STUN_CHANNEL_BIND)
            break;
    }
    g_assert_cmpuint(req.method, ==, SP_STUN_CHANNEL_BIND);
    g_assert_cmphex(req.channel, ==, number);
    /* 10 minutes more, but no renewal without data since */
    pass(&f, SP_SEC(599));
    g_assert_true(can_send(&f, PEER, NULL));
    /* data late in its life renews at once */
    g_assert_cmpint(receive(&f, number, NULL), ==, SP_TURN_PAYLOAD);
    g_assert_cmpuint(next_in(&f), ==, 0);
    sp_turn_handle_timeout(f.turn, f.now);
    req = take(&f, SP_STUN_CHANNEL_BIND);
    g_assert_cmphex(req.channel, ==, number);
    teardown(&f);
}

static void
quiet_expires(void)
{
    struct test_relay_request req;
    uint16_t number, second;
    struct fixture f;

    start(&f);
    number = bind_peer(&f, PEER);
    pass(&f, SP_SEC(599));
    g_assert_true(can_send(&f, PEER, NULL));
    pass(&f, SP_SEC(1));
    g_assert_cmpint(receive(&f, number, NULL), ==, SP_E_NOTFOUND);
    /* the same number for the same peer */
    g_assert_false(can_send(&f, PEER, NULL));
    req = take(&f, SP_STUN_CHANNEL_BIND);
    g_assert_cmphex(req.channel, ==, number);
    g_assert_true(can_send(&f, PEER, NULL));
    accept_request(&f, &req);
    g_assert_cmpint(receive(&f, number, NULL), ==, SP_TURN_PAYLOAD);
    second = bind_peer(&f, OTHER);
    g_assert_cmphex(second, ==, number + 1);
    teardown(&f);
}

static void
new_number_after_cool_down(void)
{
    uint16_t number;
    struct fixture f;

    start(&f);
    number = bind_peer(&f, PEER);
    pass(&f, SP_SEC(900) - 1);
    g_assert_cmpuint(f.turn->channels.by_number.len, ==, 1);
    pass(&f, 1);
    g_assert_cmpuint(f.turn->channels.by_number.len, ==, 0);
    g_assert_cmpuint(f.turn->channels.by_peer.len, ==, 0);
    g_assert_cmphex(bind_peer(&f, PEER), ==, number + 1);
    teardown(&f);
}

static void
all_numbers(void)
{
    struct sp_endpoint peer = ep("10.0.0.0:1");
    struct test_relay_request req;
    struct fixture f;
    sp_time bound_at;

    start(&f);
    for (unsigned i = 0; i < 4096; i++) {
        peer.ip = sp_ip4(10, 0, (uint8_t)(i >> 8), (uint8_t)i);
        sp_turn_bind_channel(f.turn, &peer, f.now);
        req = take(&f, SP_STUN_CHANNEL_BIND);
        g_assert_cmphex(req.channel, ==, 0x4000 + i);
        accept_request(&f, &req);
    }
    bound_at = f.now;
    g_assert_cmpuint(f.n_warnings, ==, 0);
    g_assert_false(can_send(&f, OTHER, NULL));
    assert_silent(&f);
    g_assert_cmpuint(f.n_warnings, ==, 1);
    pass(&f, bound_at + SP_TURN_CHANNEL_REUSE - 1 - f.now);
    g_assert_false(can_send(&f, OTHER, NULL)); /* the number of nobody, but not yet */
    assert_silent(&f);
    pass(&f, 1);
    g_assert_cmphex(bind_peer(&f, OTHER), ==, 0x4000); /* round the end */
    teardown(&f);
}

static void
refused(void)
{
    struct test_relay_request req;
    struct sp_endpoint peer = ep(PEER);
    uint16_t number;
    struct fixture f;

    start(&f);
    sp_turn_bind_channel(f.turn, &peer, f.now);
    req = take(&f, SP_STUN_CHANNEL_BIND);
    number = req.channel;
    refuse_request(&f, &req, 403);
    assert_silent(&f);
    g_assert_cmpint(receive(&f, number, NULL), ==, SP_E_NOTFOUND);
    g_assert_false(can_send(&f, PEER, NULL)); /* forgotten: asks again */
    req = take(&f, SP_STUN_CHANNEL_BIND);
    g_assert_cmphex(req.channel, ==, number + 1);
    accept_request(&f, &req);
    number = req.channel;
    /* refused on renewal: the peer starts anew, the number stays out of use */
    g_assert_cmpint(receive(&f, number, NULL), ==, SP_TURN_PAYLOAD);
    pass(&f, SP_SEC(299));
    f.now += SP_SEC(1);
    sp_turn_handle_timeout(f.turn, f.now);
    do {
        struct sp_turn_tx tx;

        g_assert_true(sp_turn_poll_transmit(f.turn, &tx));
        test_relay_read(&f.relay, &tx.dst, sp_span(tx.bytes, tx.len), &req);
    } while (req.method != SP_STUN_CHANNEL_BIND);
    refuse_request(&f, &req, 400);
    g_assert_cmpint(receive(&f, number, NULL), ==, SP_E_NOTFOUND);
    f.turn->channels.cursor = number;
    g_assert_cmphex(bind_peer(&f, PEER), ==, number + 1);
    teardown(&f);
}

static void
lost_with_the_allocation(void)
{
    struct test_relay_request req;
    uint16_t number;
    struct fixture f;

    start(&f);
    number = bind_peer(&f, PEER);
    sp_turn_refresh_on_demand(f.turn, f.now);
    req = take(&f, SP_STUN_REFRESH);
    refuse_request(&f, &req, 437);
    g_assert_false(can_send(&f, PEER, NULL));
    g_assert_cmpint(receive(&f, number, NULL), ==, SP_E_NOTFOUND);
    req = take(&f, SP_STUN_ALLOCATE);
    accept_request(&f, &req);
    (void)take(&f, SP_STUN_CHANNEL_BIND); /* sending put it on the list */
    teardown(&f);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/turn/channels/both-ways", both_ways);
    g_test_add_func("/turn/channels/21-not-twice", not_twice);
    g_test_add_func("/turn/channels/21-waiting", waiting_ring);
    g_test_add_func("/turn/channels/22-23-in-flight", in_flight);
    g_test_add_func("/turn/channels/21-renewed-when-used", renewed_when_used);
    g_test_add_func("/turn/channels/21-quiet-expires", quiet_expires);
    g_test_add_func("/turn/channels/21-new-number-after-cool-down", new_number_after_cool_down);
    g_test_add_func("/turn/channels/21-all-numbers", all_numbers);
    g_test_add_func("/turn/channels/21-refused", refused);
    g_test_add_func("/turn/channels/lost-with-the-allocation", lost_with_the_allocation);
    return g_test_run();
}
