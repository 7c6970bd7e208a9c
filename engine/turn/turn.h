/* SPDX-License-Identifier: Apache-2.0 */
/* TURN client: our allocation on one relay, with its channels. Sources: RFC 8656, RFC 8489; spec
 * connectivity section 2.
 * Owner: one per relay, held by the node. Thread: the engine's caller. I/O: none.
 * Contract: after any call with @now drain events, then transmits, then read the timeout and
 * sp_turn_end(). @now never goes back. */
#pragma once

#include "engine/base/addr.h"
#include "engine/base/err.h"
#include "engine/base/io.h"
#include "engine/base/log.h"
#include "engine/base/rng.h"
#include "engine/base/span.h"
#include "engine/base/time.h"
#include "engine/base/uuid.h"
#include "engine/ice/candidate.h"

#define SP_TURN_PORT              3478
#define SP_TURN_REALM             "firezone"
#define SP_TURN_SOFTWARE          "snownet"

#define SP_TURN_FIRST_INTERVAL    SP_SEC(1) /* then 1.5 times the one before */
#define SP_TURN_GIVE_UP           SP_SEC(8)
#define SP_TURN_ON_DEMAND_GIVE_UP SP_SEC(1)
#define SP_TURN_KEEPALIVE         SP_SEC(25)
#define SP_TURN_REFRESH_PAUSE     SP_SEC(1) /* after a refused refresh */
#define SP_TURN_CHANNEL_LIFETIME  SP_SEC(600)
#define SP_TURN_CHANNEL_REFRESH   SP_SEC(300)
#define SP_TURN_CHANNEL_REUSE     SP_SEC(900)

#define SP_TURN_USERNAME_MAX      256 /* bytes incl. NUL; what the portal gives has about 60 */
#define SP_TURN_PASSWORD_MAX      256
#define SP_TURN_NONCE_MAX         512 /* longer ones are not kept */
#define SP_TURN_WAITING_MAX       100 /* peers that wait for a channel */
#define SP_TURN_TX_LEN_MAX        1200
#define SP_TURN_TX_QUEUE_MAX      512
#define SP_TURN_EVENTS_MAX        64
#define SP_TURN_REQUESTS_MAX      4352 /* a bind for every channel number, and the others */
#define SP_TURN_REJECTIONS_MAX    8    /* 401 and 438, or 437, in a row; then it is a failure */
#define SP_TURN_CANDIDATES_MAX    6    /* host, srflx, relay of each family */

struct sp_turn;

/** Positive outcomes of the calls below. */
enum sp_turn_result {
    SP_TURN_PAYLOAD = 1, /* handle_input: data of a peer */
    SP_TURN_NOT_MINE,    /* handle_input: look at the datagram further */
    SP_TURN_NO_CHANNEL,  /* channel_header: drop the packet */
};

/** struct sp_turn_config - copied; @log is borrowed for the object's life and may be NULL
 * @addr4, @addr6: family 0 when the relay has none */
struct sp_turn_config {
    struct sp_uuid id;
    struct sp_endpoint addr4;
    struct sp_endpoint addr6;
    const char *username;
    const char *password;
    struct sp_rng rng;
    const struct sp_log *log;
};

/** sp_turn_new() - starts with a BINDING to each address at once. Returns: the object, or NULL when
 * a credential is too long, empty or missing */
struct sp_turn *sp_turn_new(const struct sp_turn_config *config, sp_time now);
/** sp_turn_free() - wipes credentials, tells nobody; NULL is fine. Returns: NULL */
struct sp_turn *sp_turn_free(struct sp_turn *t);

/** struct sp_turn_payload - what came through a channel; @bytes is a view into the input
 * @relayed: our relay address of the peer's family */
struct sp_turn_payload {
    struct sp_endpoint peer;
    struct sp_endpoint relayed;
    struct sp_span bytes;
};

/**
 * sp_turn_handle_input() - one datagram from the network
 * @meta:        source, and the local address it arrived on
 * @ret_payload: on SP_TURN_PAYLOAD
 *
 * Returns: 0 consumed; SP_TURN_PAYLOAD; SP_TURN_NOT_MINE: not from this relay, or neither STUN nor
 * channel data; negative: the relay's but dropped, nobody else must look at it: SP_E_NOTFOUND
 * unknown transaction or channel, SP_E_UNAUTH bad or missing integrity, SP_E_MALFORMED.
 */
SP_MUST_CHECK int sp_turn_handle_input(struct sp_turn *t,
                                       const struct sp_udp_meta *meta,
                                       struct sp_span bytes,
                                       sp_time now,
                                       struct sp_turn_payload *ret_payload);

/** sp_turn_bind_channel() - ask for a channel to @peer unless there is or soon will be one */
void sp_turn_bind_channel(struct sp_turn *t, const struct sp_endpoint *peer, sp_time now);

/**
 * sp_turn_channel_header() - frame a packet for @peer, to be written in front of its bytes
 * @payload_len: length of the packet without the header
 * @ret_header:  4 bytes
 * @ret_dst:     the relay's address; the source is left to the operating system
 *
 * Postpones the keep-alive. Returns: 0; SP_TURN_NO_CHANNEL and one was asked for.
 */
SP_MUST_CHECK int sp_turn_channel_header(struct sp_turn *t,
                                         const struct sp_endpoint *peer,
                                         uint16_t payload_len,
                                         sp_time now,
                                         uint8_t ret_header[4],
                                         struct sp_endpoint *ret_dst);

/** sp_turn_refresh_on_demand() - is the relay still there? One REFRESH with one chance of 1 s;
 * a suspended allocation starts again */
void sp_turn_refresh_on_demand(struct sp_turn *t, sp_time now);
/** sp_turn_set_credentials() - start again with others. Returns: 0, or SP_E_INVAL as in _new */
SP_MUST_CHECK int sp_turn_set_credentials(struct sp_turn *t,
                                          const char *username,
                                          const char *password,
                                          sp_time now);
/** sp_turn_reset() - the network changed: from scratch with the same credentials, at once.
 * Queued output is forgotten and no candidate is invalidated: the parent drops them all. */
void sp_turn_reset(struct sp_turn *t, sp_time now);

void sp_turn_handle_timeout(struct sp_turn *t, sp_time now);
/** sp_turn_next_timeout() - may be a little early; 0 ("now") while output is queued; SP_TIME_NEVER
 * for none */
sp_time sp_turn_next_timeout(const struct sp_turn *t);

/** struct sp_turn_tx - a control datagram, Not-ECT, source left to the operating system */
struct sp_turn_tx {
    struct sp_endpoint dst;
    size_t len;
    uint8_t bytes[SP_TURN_TX_LEN_MAX];
};
bool sp_turn_poll_transmit(struct sp_turn *t, struct sp_turn_tx *ret_tx);

enum sp_turn_event_type {
    SP_TURN_EV_NEW,     /* host, srflx or relay candidate; replaces none of before */
    SP_TURN_EV_INVALID, /* relay candidates only */
};

/** struct sp_turn_event - @candidate as the constructors of engine/ice make it */
struct sp_turn_event {
    enum sp_turn_event_type type;
    struct sp_ice_candidate candidate;
};
bool sp_turn_poll_event(struct sp_turn *t, struct sp_turn_event *ret_event);

/** enum sp_turn_state - derived, see the README */
enum sp_turn_state {
    SP_TURN_PROBING,
    SP_TURN_ALLOCATING,
    SP_TURN_DELETING,
    SP_TURN_ACTIVE,
    SP_TURN_SUSPENDED, /* waits for the portal to send relays again */
    SP_TURN_DEAD,
    _SP_TURN_STATE_MAX
};
enum sp_turn_state sp_turn_state(const struct sp_turn *t);
const char *sp_turn_state_name(enum sp_turn_state state);

/** enum sp_turn_end - why the parent should free the object now */
enum sp_turn_end {
    SP_TURN_END_NONE, /* keep it */
    SP_TURN_END_NO_RESPONSE,
    SP_TURN_END_AUTH,
    SP_TURN_END_PROTOCOL,
    _SP_TURN_END_MAX
};
/** sp_turn_end() - NONE while events, transmits or requests are pending (except for PROTOCOL) */
enum sp_turn_end sp_turn_end(const struct sp_turn *t);
const char *sp_turn_end_name(enum sp_turn_end end);

/** sp_turn_srtt() - smoothed round trip time; false when the relay never answered */
bool sp_turn_srtt(const struct sp_turn *t, sp_duration *ret_srtt);
const struct sp_uuid *sp_turn_id(const struct sp_turn *t);
/** sp_turn_serves() - is @from an address of this relay? */
bool sp_turn_serves(const struct sp_turn *t, const struct sp_endpoint *from);
/** sp_turn_owns() - is @relayed an address that this relay gave us? */
bool sp_turn_owns(const struct sp_turn *t, const struct sp_endpoint *relayed);
/** sp_turn_candidates() - all that are known now. Returns: how many */
size_t sp_turn_candidates(const struct sp_turn *t,
                          struct sp_ice_candidate out[SP_TURN_CANDIDATES_MAX]);
