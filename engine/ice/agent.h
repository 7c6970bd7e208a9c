/* SPDX-License-Identifier: Apache-2.0 */
/* ICE agent: one component, UDP, trickle, endless checks and re-nomination. Sources: RFC 8445;
 * spec connectivity section 3.
 * Owner: the connection. Thread: the engine's caller. I/O: none.
 * Contract: after any call drain events, then transmits, then read the timeout. */
#pragma once

#include "engine/base/addr.h"
#include "engine/base/err.h"
#include "engine/base/log.h"
#include "engine/base/rng.h"
#include "engine/base/span.h"
#include "engine/base/time.h"
#include "engine/ice/candidate.h"
#include "engine/model/model.h"

#define SP_ICE_PAIRS_MAX    100
#define SP_ICE_LOCALS_MAX   64
#define SP_ICE_REMOTES_MAX  100
#define SP_ICE_TX_LEN_MAX   256
#define SP_ICE_TX_QUEUE_MAX 128
#define SP_ICE_EVENTS_MAX   64

/** struct sp_ice_timing - spacing and patience of checks (spec 3.5) */
struct sp_ice_timing {
    sp_duration initial_rto;
    sp_duration max_rto;
    unsigned max_retransmits; /* 1..SP_ICE_RETRANSMITS_MAX */
};
#define SP_ICE_RETRANSMITS_MAX 64

extern const struct sp_ice_timing sp_ice_timing_client_active; /* 250 ms, 1.5 s, 12 */
extern const struct sp_ice_timing sp_ice_timing_client_idle;   /* 25 s, 25 s, 4 */
extern const struct sp_ice_timing sp_ice_timing_server_active; /* 250 ms, 15 s, 45 */
extern const struct sp_ice_timing sp_ice_timing_server_idle;   /* 25 s, 25 s, 40 */

/** sp_ice_timing_limit() - silence after which a working pair fails, e.g. 16.5 s */
sp_duration sp_ice_timing_limit(const struct sp_ice_timing *t);

enum sp_ice_state {
    SP_ICE_NEW,
    SP_ICE_CHECKING,
    SP_ICE_CONNECTED,    /* nominated, other pairs still possible */
    SP_ICE_COMPLETED,    /* nominated, nothing else to try */
    SP_ICE_DISCONNECTED, /* nothing nominated and nothing left to try */
    _SP_ICE_STATE_MAX
};
const char *sp_ice_state_name(enum sp_ice_state state);
/** sp_ice_state_is_connected() - Connected or Completed */
static inline bool
sp_ice_state_is_connected(enum sp_ice_state state)
{
    return state == SP_ICE_CONNECTED || state == SP_ICE_COMPLETED;
}

/** struct sp_ice_config - copied; @log is borrowed for the agent's life and may be NULL */
struct sp_ice_config {
    bool controlling;
    struct sp_ice_creds local;
    struct sp_ice_creds remote;
    struct sp_ice_timing timing;
    struct sp_rng rng;
    const struct sp_log *log;
};

struct sp_ice_agent;

struct sp_ice_agent *sp_ice_agent_new(const struct sp_ice_config *config);
/** sp_ice_agent_free() - wipes credentials; NULL is fine. Returns: NULL */
struct sp_ice_agent *sp_ice_agent_free(struct sp_ice_agent *a);

/* add_local, add_remote: the candidate is already known (or loses against its twin); do not signal */
#define SP_ICE_REDUNDANT 1

/**
 * sp_ice_agent_add_local() - offer one of our addresses
 * @c:           priority and ufrag are ignored; foundation is kept, made up when empty
 * @ret_adopted: may be NULL; on 0 the candidate as it must be signalled (priority, ufrag)
 *
 * Returns: 0; SP_ICE_REDUNDANT; SP_E_INVAL for a bad address; SP_E_LIMIT.
 */
SP_MUST_CHECK int sp_ice_agent_add_local(struct sp_ice_agent *a,
                                         const struct sp_ice_candidate *c,
                                         struct sp_ice_candidate *ret_adopted);
/** sp_ice_agent_remove_local() - discard the candidate and its pairs. Returns: false if unknown */
bool sp_ice_agent_remove_local(struct sp_ice_agent *a,
                               const struct sp_endpoint *addr,
                               enum sp_ice_kind kind);
/** sp_ice_agent_add_remote() - Returns: 0; SP_ICE_REDUNDANT; SP_E_LIMIT; SP_E_MALFORMED for a
 * foreign ufrag. Accepted at any time, also after nomination. */
SP_MUST_CHECK int sp_ice_agent_add_remote(struct sp_ice_agent *a,
                                          const struct sp_ice_candidate *c,
                                          sp_time now);
/** sp_ice_agent_remove_remote() - discard what sp_ice_candidate_matches() @c, then evaluate.
 * Returns: false if unknown */
bool sp_ice_agent_remove_remote(struct sp_ice_agent *a,
                                const struct sp_ice_candidate *c,
                                sp_time now);

/* Live (not discarded) candidates in the order they were added; NULL past the end. Valid until the
 * next call that changes the agent. prflx ones are included. */
const struct sp_ice_candidate *sp_ice_agent_local_at(const struct sp_ice_agent *a, size_t i);
const struct sp_ice_candidate *sp_ice_agent_remote_at(const struct sp_ice_agent *a, size_t i);
/** sp_ice_agent_optimistic() - sp_ice_optimistic() over the live remotes; the caller adds them */
size_t sp_ice_agent_optimistic(const struct sp_ice_agent *a,
                               struct sp_ice_candidate out[SP_ICE_OPTIMISTIC_MAX]);

/** sp_ice_agent_handle_stun() - one datagram that sp_stun_is_stun()
 * @from:        source; for channel data the peer address of the channel
 * @destination: own address it arrived on; for channel data our relay address
 *
 * Returns: 0 handled (a reply or nothing queued); SP_E_MALFORMED not an ICE binding message;
 * SP_E_UNAUTH wrong ufrag or integrity; SP_E_NOTFOUND unknown destination, discarded remote or
 * unknown transaction; SP_E_STATE role conflict or stale; SP_E_LIMIT. Negative: dropped. */
SP_MUST_CHECK int sp_ice_agent_handle_stun(struct sp_ice_agent *a,
                                           struct sp_span msg,
                                           const struct sp_endpoint *from,
                                           const struct sp_endpoint *destination,
                                           sp_time now);
void sp_ice_agent_handle_timeout(struct sp_ice_agent *a, sp_time now);
/** sp_ice_agent_next_timeout() - may lie in the past (0 for "at once"), SP_TIME_NEVER for none.
 * Queued events and transmits do not count: the parent drains them. */
sp_time sp_ice_agent_next_timeout(const struct sp_ice_agent *a);

/** struct sp_ice_tx - one datagram to send
 * @base:     own address to send from
 * @via_relay: @base is our relay address, so the datagram needs a channel
 * @is_request: register @txid for the reply (and for errors) */
struct sp_ice_tx {
    struct sp_endpoint base;
    struct sp_endpoint dst;
    bool via_relay;
    bool is_request;
    uint8_t transaction_id[12];
    size_t len;
    uint8_t bytes[SP_ICE_TX_LEN_MAX];
};
bool sp_ice_agent_poll_transmit(struct sp_ice_agent *a, struct sp_ice_tx *out);

enum sp_ice_event_type {
    SP_ICE_EVENT_NOMINATED,
    SP_ICE_EVENT_STATE,
};

/** struct sp_ice_event - @local_kind is the kind behind @base: SP_ICE_RELAY when we send through
 * our relay, else SP_ICE_HOST; @remote_kind as signalled (or PRFLX) */
struct sp_ice_event {
    enum sp_ice_event_type type;
    union {
        struct {
            struct sp_endpoint base;
            struct sp_endpoint remote;
            enum sp_ice_kind local_kind;
            enum sp_ice_kind remote_kind;
        } nominated;
        struct {
            enum sp_ice_state now;
            enum sp_ice_state before;
        } state;
    } u;
};
bool sp_ice_agent_poll_event(struct sp_ice_agent *a, struct sp_ice_event *out);

/** sp_ice_agent_set_timing() - active or idle parameters; no-op when equal */
void sp_ice_agent_set_timing(struct sp_ice_agent *a, const struct sp_ice_timing *t, sp_time now);
enum sp_ice_state sp_ice_agent_state(const struct sp_ice_agent *a);
bool sp_ice_agent_is_controlling(const struct sp_ice_agent *a);
/** sp_ice_agent_nominated() - the pair in use. Returns: false when there is none */
bool sp_ice_agent_nominated(const struct sp_ice_agent *a,
                            struct sp_endpoint *ret_base,
                            struct sp_endpoint *ret_remote);

/** struct sp_ice_stats - @rtt: smoothed, of the nominated pair, 0 when unknown */
struct sp_ice_stats {
    sp_duration rtt;
    size_t pairs;
    size_t locals;
    size_t remotes;
    uint64_t requests_sent;
    uint64_t requests_received;
    uint64_t replies_received;
    uint64_t dropped;
};
void sp_ice_agent_stats(const struct sp_ice_agent *a, struct sp_ice_stats *ret);

/** sp_ice_request_ufrag() - for a binding request fit for ICE (USERNAME, PRIORITY, integrity
 * present): the receiver's ufrag, the text before ':'.
 * Returns: 0, or SP_E_MALFORMED when it is not such a request */
SP_MUST_CHECK int sp_ice_request_ufrag(struct sp_span msg, char out[SP_ICE_UFRAG_MAX + 1]);
/** sp_ice_response_txid() - for a binding success or error response: its transaction id.
 * Returns: 0 or SP_E_MALFORMED */
SP_MUST_CHECK int sp_ice_response_txid(struct sp_span msg, uint8_t out[12]);
