/* SPDX-License-Identifier: Apache-2.0 */
/* Shared inside engine/turn. Ownership: struct sp_turn -> requests in flight, channels. A family
 * indexes arrays: 0 is IPv4, 1 is IPv6. */
#pragma once

#include <sys/queue.h>

#include "engine/base/map.h"
#include "engine/base/ring.h"
#include "engine/stun/channeldata.h"
#include "engine/stun/stun.h"
#include "engine/turn/turn.h"

#define SP_TURN_FAMILIES     2
#define SP_TURN_NO_FAMILY    (-1)
#define SP_TURN_PEER_KEY_LEN 19 /* family, address, port */

enum sp_turn_kind {
    SP_TURN_BINDING,
    SP_TURN_ALLOCATE,
    SP_TURN_REFRESH,
    SP_TURN_DELETE, /* REFRESH with lifetime 0 */
    SP_TURN_CHANNEL_BIND,
    _SP_TURN_KIND_MAX
};

/** struct sp_turn_request - in flight, listed in the order it was made
 * @challenges: rounds ended by 401 or 438 before this one
 * @first_sent: RTT and patience count from here
 * @patience: no more transmissions once so much time has passed
 * @had_nonce: the latest transmission carried one
 * @peer, @channel: of a CHANNEL-BIND */
struct sp_turn_request {
    uint8_t txid[SP_STUN_TXID_LEN];
    enum sp_turn_kind kind;
    int family;
    bool had_nonce;
    bool told; /* about a forged answer */
    unsigned challenges;
    uint16_t channel;
    struct sp_endpoint peer;
    sp_time first_sent;
    sp_time deadline;
    sp_duration interval;
    sp_duration patience;
    TAILQ_ENTRY(sp_turn_request) link;
};
TAILQ_HEAD(sp_turn_requests, sp_turn_request);

enum sp_turn_channel_state {
    SP_TURN_CHANNEL_BINDING,   /* not confirmed, data may follow the request already */
    SP_TURN_CHANNEL_BOUND,     /* confirmed; connected for 10 minutes, then cooling down */
    SP_TURN_CHANNEL_FORGOTTEN, /* refused after it was bound: only keeps the number from others */
};

/** struct sp_turn_channel - one number in use
 * @bound_at: the latest confirmation, SP_TIME_NEVER if there was none
 * @asked_at: when the first bind of this round was sent
 * @received: data came since it was bound
 * @in_flight: a bind or its renewal waits for an answer */
struct sp_turn_channel {
    uint16_t number;
    enum sp_turn_channel_state state;
    struct sp_endpoint peer;
    sp_time bound_at;
    sp_time asked_at;
    bool received;
    bool in_flight;
};

/** struct sp_turn_channels - @next_at: the earliest deadline among them, or earlier */
struct sp_turn_channels {
    struct sp_map by_number;
    struct sp_map by_peer; /* not the forgotten ones */
    uint16_t cursor;
    sp_time next_at;
};

/** struct sp_turn - one relay
 * @active: family in use towards the relay, SP_TURN_NO_FAMILY before the first answer
 * @granted_at: of the allocation, SP_TIME_NEVER when there is none
 * @refresh_not_before: after a refused refresh
 * @mismatches: 437 answers since a refresh or a bind succeeded */
struct sp_turn {
    struct sp_uuid id;
    char label[9]; /* of the id, for log lines */
    struct sp_rng rng;
    const struct sp_log *log;

    struct sp_endpoint servers[SP_TURN_FAMILIES];
    int active;
    sp_time keepalive_at;
    bool has_srtt;
    sp_duration srtt;

    bool has_credentials;
    char username[SP_TURN_USERNAME_MAX];
    uint8_t key[SP_STUN_LONG_KEY_LEN];
    uint8_t nonce[SP_TURN_NONCE_MAX];
    size_t nonce_len;
    unsigned mismatches;
    bool protocol_failure;

    bool has[_SP_ICE_KIND_MAX][SP_TURN_FAMILIES];
    struct sp_ice_candidate candidates[_SP_ICE_KIND_MAX][SP_TURN_FAMILIES];
    sp_time granted_at;
    sp_duration lifetime;
    sp_time refresh_not_before;

    struct sp_map by_txid;
    struct sp_turn_requests requests;
    size_t in_flight[_SP_TURN_KIND_MAX]; /* how many of them */
    sp_time requests_next;               /* the earliest deadline of them, or earlier */
    struct sp_turn_channels channels;
    struct sp_ring waiting; /* struct sp_endpoint */
    struct sp_ring transmits;
    struct sp_ring events;
};

static inline int
sp_turn_family(const struct sp_endpoint *ep)
{
    return ep->ip.family == 6;
}

/* Log lines name a relay by the first digits of its id. */
#define TURN_LOG(t, level, format, ...) \
    SP_##level((t)->log, TURN, "relay %s: " format, (t)->label, __VA_ARGS__)

/* ---- allocation.c ---------------------------------------------------------------------------- */

bool sp_turn_has_allocation(const struct sp_turn *t);
/** sp_turn_invalidate() - the allocation is gone, with its channels and all requests in flight */
void sp_turn_invalidate(struct sp_turn *t);
/** sp_turn_learn() - set a candidate of @kind; an event when it is new or differs */
void sp_turn_learn(struct sp_turn *t, const struct sp_ice_candidate *c);
void sp_turn_drop_credentials(struct sp_turn *t);

/* ---- transactions.c -------------------------------------------------------------------------- */

/** sp_turn_request() - send, with the default patience. Nothing happens without an active address
 * or credentials, when the kind needs them. Returns: whether it was sent */
bool sp_turn_request(struct sp_turn *t, enum sp_turn_kind kind, int family, sp_time now);
bool sp_turn_request_channel(struct sp_turn *t,
                             const struct sp_endpoint *peer,
                             uint16_t channel,
                             sp_time now);
/** sp_turn_request_once() - a REFRESH with a single transmission */
void sp_turn_request_once(struct sp_turn *t, sp_time now);
/** sp_turn_again() - a fresh round of @old with what we know now. Returns: as sp_turn_request() */
bool sp_turn_again(struct sp_turn *t, const struct sp_turn_request *old, sp_time now);
struct sp_turn_request *sp_turn_find(const struct sp_turn *t, const uint8_t *txid);
/** sp_turn_take() - out of the list; the caller frees it */
void sp_turn_take(struct sp_turn *t, struct sp_turn_request *req);
void sp_turn_clear_requests(struct sp_turn *t);
bool sp_turn_is_in_flight(const struct sp_turn *t, enum sp_turn_kind kind);
/** sp_turn_run_requests() - retransmit or give up what is due */
void sp_turn_run_requests(struct sp_turn *t, sp_time now);
const char *sp_turn_kind_name(enum sp_turn_kind kind);
uint16_t sp_turn_method(enum sp_turn_kind kind);

/* ---- responses.c ----------------------------------------------------------------------------- */

int sp_turn_handle_response(struct sp_turn *t,
                            const struct sp_udp_meta *meta,
                            struct sp_span bytes,
                            sp_time now);

/* ---- channels.c ------------------------------------------------------------------------------ */

void sp_turn_channels_init(struct sp_turn_channels *ch, const struct sp_rng *rng);
void sp_turn_channels_clear(struct sp_turn_channels *ch);
void sp_turn_channels_done(struct sp_turn_channels *ch);
void sp_turn_channel_confirmed(struct sp_turn *t, const struct sp_turn_request *req, sp_time now);
void sp_turn_channel_refused(struct sp_turn *t, const struct sp_turn_request *req);
/** sp_turn_wait_for_channel() - until there is an allocation; the oldest gives way */
void sp_turn_wait_for_channel(struct sp_turn *t, const struct sp_endpoint *peer);
void sp_turn_bind_waiting(struct sp_turn *t, sp_time now);
int sp_turn_receive(struct sp_turn *t,
                    uint16_t number,
                    struct sp_span payload,
                    sp_time now,
                    struct sp_turn_payload *ret_payload);
/** sp_turn_run_channels() - renew those in use, let go of those cooled down */
void sp_turn_run_channels(struct sp_turn *t, sp_time now);
