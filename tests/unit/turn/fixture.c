/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/turn/fixture.h"

#include <string.h>

struct sp_endpoint
ep(const char *text)
{
    struct sp_endpoint e;

    g_assert_cmpint(sp_endpoint_parse(text, &e), ==, 0);
    return e;
}

static void
on_log(void *ctx, enum sp_log_level level, enum sp_log_cat cat SP_UNUSED, const char *line)
{
    struct fixture *f = ctx;

    f->n_warnings += level <= SP_LOG_WARN;
    g_assert_null(strstr(line, "203.0.113"));
    g_assert_null(strstr(line, TEST_RELAY_USER));
    g_assert_null(strstr(line, TEST_RELAY_PASS));
}

void
setup(struct fixture *f, unsigned relay_families)
{
    struct sp_turn_config config = {
        .username = TEST_RELAY_USER,
        .password = TEST_RELAY_PASS,
        .log = &f->log,
    };

    *f = (struct fixture){ .now = START };
    f->log = (struct sp_log){ on_log, f, SP_LOG_TRACE, SP_LOG_ALL };
    test_relay_init(&f->relay);
    f->local[0] = ep("192.168.1.2:52625");
    f->local[1] = ep("[2001:db8:2::7]:52625");
    if (relay_families & 1)
        config.addr4 = f->relay.addr[0];
    if (relay_families & 2)
        config.addr6 = f->relay.addr[1];
    config.rng = test_rng_init(&f->rng, 1);
    f->turn = sp_turn_new(&config, f->now);
    g_assert_nonnull(f->turn);
}

void
teardown(struct fixture *f)
{
    sp_turn_free(f->turn);
}

struct test_relay_request
take(struct fixture *f, uint16_t method)
{
    struct test_relay_request req;
    struct sp_turn_tx tx;

    g_assert_cmpuint(sp_turn_next_timeout(f->turn), ==, 0); /* 47 */
    g_assert_true(sp_turn_poll_transmit(f->turn, &tx));
    test_relay_read(&f->relay, &tx.dst, sp_span(tx.bytes, tx.len), &req);
    g_assert_cmpuint(req.method, ==, method);
    g_assert_true(method == SP_STUN_BINDING ? !req.is_signed : req.is_signed);
    return req;
}

void
assert_silent(struct fixture *f)
{
    struct sp_turn_tx tx;

    g_assert_false(sp_turn_poll_transmit(f->turn, &tx));
}

int
give(struct fixture *f, const struct test_relay_request *req, struct test_relay_answer *a)
{
    struct sp_turn_payload payload;
    struct sp_udp_meta meta = { .local = f->local[sp_turn_family(&req->to)], .from = req->to };

    return sp_turn_handle_input(f->turn, &meta, sp_span(a->bytes, a->len), f->now, &payload);
}

void
accept_request(struct fixture *f, const struct test_relay_request *req)
{
    struct test_relay_answer a;

    test_relay_accept(&f->relay, req, &a);
    g_assert_cmpint(give(f, req, &a), ==, 0);
}

void
refuse_request(struct fixture *f, const struct test_relay_request *req, unsigned code)
{
    struct test_relay_answer a;

    test_relay_refuse(&f->relay, req, code, &a);
    g_assert_cmpint(give(f, req, &a), ==, 0);
}

/* As the driver sees it: with nothing left to drain. */
static sp_time
next_timer(struct fixture *f)
{
    struct sp_ring tx = f->turn->transmits, ev = f->turn->events;
    sp_time at;

    f->turn->transmits.len = 0;
    f->turn->events.len = 0;
    at = sp_turn_next_timeout(f->turn);
    f->turn->transmits = tx;
    f->turn->events = ev;
    return at;
}

void
run_to(struct fixture *f, sp_time at)
{
    for (int i = 0; i < 100000; i++) {
        sp_time next = next_timer(f);

        if (next > at)
            break;
        g_assert_cmpint(i, <, 99999);
        f->now = SP_MAX(f->now, next);
        sp_turn_handle_timeout(f->turn, f->now);
        sp_turn_handle_timeout(f->turn, f->now); /* once more is harmless */
        g_assert_cmpuint(next_timer(f), >, f->now);
    }
    f->now = at;
}

void
run_for(struct fixture *f, sp_duration d)
{
    run_to(f, f->now + d);
}

sp_duration
next_in(struct fixture *f)
{
    sp_time at = next_timer(f);

    return at == SP_TIME_NEVER ? SP_TIME_NEVER : sp_time_since(f->now, at);
}

void
assert_event(struct fixture *f,
             enum sp_turn_event_type type,
             enum sp_ice_kind kind,
             const char *addr)
{
    char text[SP_ENDPOINT_STR_MAX];
    struct sp_turn_event e;

    g_assert_true(sp_turn_poll_event(f->turn, &e));
    g_assert_cmpint((int)e.type, ==, (int)type);
    g_assert_cmpint((int)e.candidate.kind, ==, (int)kind);
    g_assert_cmpstr(sp_endpoint_format(&e.candidate.addr, text), ==, addr);
}

void
assert_no_event(struct fixture *f)
{
    struct sp_turn_event e;

    g_assert_false(sp_turn_poll_event(f->turn, &e));
}

void
drop_events(struct fixture *f)
{
    struct sp_turn_event e;

    while (sp_turn_poll_event(f->turn, &e))
        ;
}

void
establish(struct fixture *f)
{
    struct test_relay_request req = take(f, SP_STUN_BINDING);

    if (f->turn->servers[1].ip.family) {
        struct test_relay_request other = take(f, SP_STUN_BINDING);

        accept_request(f, &req);
        accept_request(f, &other);
    } else {
        accept_request(f, &req);
    }
    req = take(f, SP_STUN_ALLOCATE);
    refuse_request(f, &req, 401);
    req = take(f, SP_STUN_ALLOCATE);
    accept_request(f, &req);
    assert_state(f, SP_TURN_ACTIVE);
    assert_silent(f);
    drop_events(f);
}

void
assert_state(struct fixture *f, enum sp_turn_state state)
{
    g_assert_cmpstr(sp_turn_state_name(sp_turn_state(f->turn)), ==, sp_turn_state_name(state));
}

void
assert_end(struct fixture *f, enum sp_turn_end end)
{
    g_assert_cmpstr(sp_turn_end_name(sp_turn_end(f->turn)), ==, sp_turn_end_name(end));
}

uint16_t
bind_peer(struct fixture *f, const char *peer)
{
    struct sp_endpoint e = ep(peer);
    struct test_relay_request req;

    sp_turn_bind_channel(f->turn, &e, f->now);
    req = take(f, SP_STUN_CHANNEL_BIND);
    g_assert_true(sp_endpoint_equal(&req.peer, &e));
    accept_request(f, &req);
    return req.channel;
}

bool
can_send(struct fixture *f, const char *peer, uint16_t *ret_channel)
{
    struct sp_endpoint e = ep(peer), dst;
    uint8_t header[4];

    if (sp_turn_channel_header(f->turn, &e, 100, f->now, header, &dst) != 0)
        return false;
    g_assert_true(sp_turn_serves(f->turn, &dst));
    g_assert_cmpuint(header[2] << 8 | header[3], ==, 100);
    if (ret_channel)
        *ret_channel = (uint16_t)(header[0] << 8 | header[1]);
    return true;
}

int
receive(struct fixture *f, uint16_t channel, struct sp_turn_payload *ret_payload)
{
    struct sp_udp_meta meta = { .local = f->local[0], .from = f->relay.addr[0] };
    struct sp_turn_payload payload;
    uint8_t bytes[5] = { 0 };

    sp_channeldata_write_header(bytes, channel, 1);
    return sp_turn_handle_input(f->turn,
                                &meta,
                                sp_span(bytes, sizeof bytes),
                                f->now,
                                ret_payload ? ret_payload : &payload);
}
