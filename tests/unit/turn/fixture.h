/* SPDX-License-Identifier: Apache-2.0 */
/* One TURN client in virtual time, and a relay that says what the test wants. */
#pragma once

#include <glib.h>

#include "engine/turn/turn-private.h"
#include "tests/support/relay-stub.h"
#include "tests/support/rng.h"

#define START SP_SEC(1000)

struct fixture {
    struct sp_turn *turn;
    struct test_relay relay;
    struct test_rng rng;
    struct sp_log log;
    unsigned n_warnings;
    sp_time now;
    struct sp_endpoint local[2];
};

/** setup() - @relay_families: bit 0 IPv4, bit 1 IPv6 */
void setup(struct fixture *f, unsigned relay_families);
void teardown(struct fixture *f);
struct sp_endpoint ep(const char *text);

/* Datagrams of the client. */
struct test_relay_request take(struct fixture *f, uint16_t method);
void assert_silent(struct fixture *f);

/* Answers of the relay, to the family the request was sent to. Returns: of handle_input */
int give(struct fixture *f, const struct test_relay_request *req, struct test_relay_answer *a);
void accept_request(struct fixture *f, const struct test_relay_request *req);
void refuse_request(struct fixture *f, const struct test_relay_request *req, unsigned code);

/** run_to() - time passes, timers run exactly when due, datagrams pile up */
void run_to(struct fixture *f, sp_time at);
void run_for(struct fixture *f, sp_duration d);
/** next_in() - how long until the next timer, output drained before */
sp_duration next_in(struct fixture *f);

/* Events. */
void assert_event(struct fixture *f,
                  enum sp_turn_event_type type,
                  enum sp_ice_kind kind,
                  const char *addr);
void assert_no_event(struct fixture *f);
void drop_events(struct fixture *f);

/** establish() - the whole start-up over IPv4 with a challenge; events and output drained */
void establish(struct fixture *f);
void assert_state(struct fixture *f, enum sp_turn_state state);
void assert_end(struct fixture *f, enum sp_turn_end end);

/* Channels. */
/** bind_peer() - asks, accepts. Returns: the number */
uint16_t bind_peer(struct fixture *f, const char *peer);
/** can_send() - is there a header for the peer; @ret_channel may be NULL */
bool can_send(struct fixture *f, const char *peer, uint16_t *ret_channel);
/** receive() - one byte of channel data from the relay. Returns: of handle_input */
int receive(struct fixture *f, uint16_t channel, struct sp_turn_payload *ret_payload);
