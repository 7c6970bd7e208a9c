/* SPDX-License-Identifier: Apache-2.0 */
/* Shared inside engine/node: the root object, a connection, and what the files offer each other.
 * Ownership: node -> connections (through the by-id table) -> ICE agent and WireGuard tunnel. */
#pragma once

#include <sys/queue.h>

#include "engine/base/map.h"
#include "engine/base/ring.h"
#include "engine/ice/agent.h"
#include "engine/node/node.h"
#include "engine/turn/turn.h"
#include "engine/wg/wg.h"

#define SP_NODE_CANDIDATE_TIMEOUT  SP_SEC(10)
#define SP_NODE_DISCONNECT_GRACE   SP_SEC(2)
#define SP_NODE_MAX_IDLE           SP_SEC(20)
#define SP_NODE_HANDSHAKE_GAP      SP_SEC(20)
#define SP_NODE_STUN_TTL           SP_SEC(10)
#define SP_NODE_GONE_TIME          SP_SEC(5)

#define SP_NODE_EARLY_MAX          128 /* WireGuard messages kept until there is a path */
#define SP_NODE_GONE_MAX           256
#define SP_NODE_STUN_MAX           131072
#define SP_NODE_TRANSMITS_MAX      16384
#define SP_NODE_EVENTS_MAX         262144
#define SP_NODE_PREVIOUS_RELAY_MAX 64
#define SP_NODE_RELAYS_MAX         SP_MODEL_RELAYS_MAX
#define SP_NODE_UFRAG_KEY_LEN      (SP_ICE_UFRAG_MAX + 1)
#define SP_NODE_TXID_LEN           12

/* Checks of one connection in one timer run; the rest waits for the next run. */
#define SP_NODE_ICE_RUNS_MAX (SP_ICE_PAIRS_MAX + 8)
/* A machine whose deadline does not move on is asked again after this time, never in a loop. */
#define SP_NODE_STUCK_PAUSE SP_MS(10)

struct sp_node_conn;

/** struct sp_node_stun_id - a check in flight, so that its answer finds the agent */
struct sp_node_stun_id {
    uint8_t txid[SP_NODE_TXID_LEN];
    struct sp_node_conn *conn;
    sp_time sent_at;
    TAILQ_ENTRY(sp_node_stun_id) by_age;
    TAILQ_ENTRY(sp_node_stun_id) of_conn;
};
TAILQ_HEAD(sp_node_stun_list, sp_node_stun_id);

/** struct sp_node_path - where sealed packets go; @local is the base, our socket or relay address */
struct sp_node_path {
    enum sp_node_path_kind kind;
    struct sp_endpoint local;
    struct sp_endpoint remote;
};

/** struct sp_node_conn - one peer. Deadlines are SP_TIME_NEVER when not armed.
 * @session_seen: a session existed at some time; with a path it means "established"
 * @at_ice, @at_wg: what the machines asked for when last asked
 * @heap_at: the deadline under which it stands in the timer heap; may be too early, never late */
struct sp_node_conn {
    struct sp_node *node;
    struct sp_uuid peer;
    struct sp_node_peer_params params;
    uint8_t ufrag_key[SP_NODE_UFRAG_KEY_LEN];
    uint32_t index24;
    struct sp_ice_agent *ice;
    struct sp_wg_tunnel *wg;
    struct sp_uuid relay; /* of the relay in use; it may be gone */
    bool has_relay;

    enum sp_node_state state;
    struct sp_node_path path;
    bool session_seen;
    struct sp_ring early; /* struct sp_wg_out */

    sp_time deadline_candidates;
    sp_time deadline_disconnect;
    sp_time last_activity;
    sp_time last_own_handshake;
    sp_time at_ice;
    sp_time at_wg;
    sp_time heap_at;
    size_t heap_pos;

    struct sp_node_conn *ufrag_next; /* others with the same local ufrag: 20 bits do collide */
    struct sp_node_stun_list stun_ids;
    uint64_t rx_bytes;
    uint64_t tx_bytes;
};

/** struct sp_node_gone - names of a connection that ended, to log late packets quietly */
struct sp_node_gone {
    struct sp_uuid peer;
    uint8_t key[SP_KEY_LEN];
    uint8_t ufrag_key[SP_NODE_UFRAG_KEY_LEN];
    uint32_t index24;
    sp_time at;
};

/** struct sp_node_tables - every way to find a connection; all or none of them know it */
struct sp_node_tables {
    struct sp_map by_id;
    struct sp_map by_index; /* receiver index >> 8 */
    struct sp_map by_key;   /* peer's public key */
    struct sp_map by_ufrag; /* local ufrag, zero padded; chained by ufrag_next */
    struct sp_map by_txid;  /* struct sp_node_stun_id */
    struct sp_node_stun_list stun_by_age;
    size_t n_stun;
    struct sp_node_gone gone[SP_NODE_GONE_MAX];
    size_t gone_next;
};

struct sp_node_heap {
    struct sp_node_conn **v;
    size_t n;
    size_t cap;
};

/** struct sp_node_relay - what the portal said, and our allocation there */
struct sp_node_relay {
    struct sp_relay info;
    struct sp_turn *turn;
};

/** struct sp_node_relays - the portal's list */
struct sp_node_relays {
    struct sp_node_relay **list;
    size_t n;
    struct sp_ip previous[SP_NODE_PREVIOUS_RELAY_MAX]; /* late packets of these are swallowed */
    size_t previous_next;
    bool unassigned; /* some connection may have no relay */
};

struct sp_node {
    struct sp_node_config config;
    sp_time now; /* of the latest call */
    struct sp_wg_identity identity;
    struct sp_wg_index index;
    struct sp_wg_limiter limiter;
    struct sp_node_tables tables;
    struct sp_node_heap heap;
    struct sp_node_relays relays;
    struct sp_endpoint hosts[SP_NODE_HOST_ADDRESSES_MAX];
    size_t n_hosts;
    struct sp_ring events;    /* struct sp_node_event */
    struct sp_ring transmits; /* struct sp_transmit */
};

/* ---- node.c: output queues ------------------------------------------------------------------- */

/** sp_node_emit() - queue an event; @candidate NULL for none */
void sp_node_emit(struct sp_node *node,
                  enum sp_node_event_type type,
                  const struct sp_uuid *peer,
                  const char *candidate);
/** sp_node_queue() - takes @pkt. Returns: 0, or SP_E_LIMIT and the packet was dropped and counted */
int sp_node_queue(struct sp_node *node,
                  const struct sp_endpoint *local,
                  const struct sp_endpoint *remote,
                  struct sp_pkt *pkt);
/** sp_node_queue_unbound() - the same for traffic to relays: the system chooses the source */
int sp_node_queue_unbound(struct sp_node *node,
                          const struct sp_endpoint *remote,
                          struct sp_pkt *pkt);
/** sp_node_queue_bytes() - a control datagram (Not-ECT); lost and counted when the pool is empty
 * @via_relay: @local is an address that a relay gave us */
void sp_node_queue_bytes(struct sp_node *node,
                         bool via_relay,
                         const struct sp_endpoint *local,
                         const struct sp_endpoint *remote,
                         struct sp_span bytes);

/* ---- tables.c -------------------------------------------------------------------------------- */

void sp_node_tables_init(struct sp_node_tables *t, const struct sp_rng *rng);
void sp_node_tables_done(struct sp_node_tables *t);
void sp_node_tables_add(struct sp_node_tables *t, struct sp_node_conn *conn);
/** sp_node_tables_remove() - from every table, with its checks in flight; remembered as gone */
void sp_node_tables_remove(struct sp_node_tables *t, struct sp_node_conn *conn, sp_time now);
struct sp_node_conn *sp_node_by_id(const struct sp_node_tables *t, const struct sp_uuid *peer);
struct sp_node_conn *sp_node_by_index(const struct sp_node_tables *t, uint32_t index24);
struct sp_node_conn *sp_node_by_key(const struct sp_node_tables *t, const uint8_t key[SP_KEY_LEN]);
/** sp_node_by_ufrag() - the first of a chain */
struct sp_node_conn *sp_node_by_ufrag(const struct sp_node_tables *t, const char *ufrag);
/** sp_node_ufrag_key() - fixed-size map key from text */
void sp_node_ufrag_key(const char *ufrag, uint8_t out[SP_NODE_UFRAG_KEY_LEN]);
void sp_node_stun_sent(struct sp_node_tables *t,
                       struct sp_node_conn *conn,
                       const uint8_t txid[SP_NODE_TXID_LEN],
                       sp_time now);
/** sp_node_stun_take() - whose check was it? Valid once, and for SP_NODE_STUN_TTL */
struct sp_node_conn *sp_node_stun_take(struct sp_node_tables *t,
                                       const uint8_t txid[SP_NODE_TXID_LEN],
                                       sp_time now);
void sp_node_stun_expire(struct sp_node_tables *t, sp_time now);
/* Was there such a connection less than SP_NODE_GONE_TIME ago? One argument is set. */
bool sp_node_gone_index(const struct sp_node_tables *t, uint32_t index24, sp_time now);
bool sp_node_gone_key(const struct sp_node_tables *t, const uint8_t *key, sp_time now);
bool sp_node_gone_ufrag(const struct sp_node_tables *t, const char *ufrag, sp_time now);
/** sp_node_tables_entries() - sum over all lookup tables, for tests of "nothing is left behind" */
size_t sp_node_tables_entries(const struct sp_node *node);

/* ---- heap.c: connections by deadline --------------------------------------------------------- */

void sp_node_heap_add(struct sp_node_heap *h, struct sp_node_conn *conn);
void sp_node_heap_remove(struct sp_node_heap *h, struct sp_node_conn *conn);
/** sp_node_heap_update() - @conn->heap_at was changed */
void sp_node_heap_update(struct sp_node_heap *h, struct sp_node_conn *conn);
/** sp_node_heap_top() - earliest deadline or NULL */
struct sp_node_conn *sp_node_heap_top(const struct sp_node_heap *h);

/* ---- connection.c ---------------------------------------------------------------------------- */

/** sp_node_conn_new() - in state CONNECTING, listed nowhere yet */
struct sp_node_conn *sp_node_conn_new(struct sp_node *node,
                                      const struct sp_uuid *peer,
                                      const struct sp_node_peer_params *params,
                                      uint32_t index24,
                                      sp_time now);
/** sp_node_conn_free() - wipes; must have left the tables and the heap */
void sp_node_conn_free(struct sp_node_conn *conn);
bool sp_node_conn_is_same(const struct sp_node_conn *conn,
                          const struct sp_node_peer_params *params);
bool sp_node_conn_has_path(const struct sp_node_conn *conn);
bool sp_node_conn_is_established(const struct sp_node_conn *conn);
/** sp_node_conn_send() - seal and queue over the path; takes @pkt. Returns: 0 or negative */
int sp_node_conn_send(struct sp_node_conn *conn, struct sp_pkt *pkt, sp_time now);
/** sp_node_conn_handshake() - as the controlling side with a path, if not done lately */
void sp_node_conn_handshake(struct sp_node_conn *conn, sp_time now);
/** sp_node_conn_settle() - after input to ICE or WireGuard: take what they produced, set the timer.
 * Returns: false when the connection failed; it is freed then */
bool sp_node_conn_settle(struct sp_node_conn *conn, sp_time now);
/** sp_node_conn_settle_wg() - the same after a data packet, which cannot concern ICE */
bool sp_node_conn_settle_wg(struct sp_node_conn *conn, sp_time now);
/** sp_node_conn_handle_timeout() - Returns: as settle */
bool sp_node_conn_handle_timeout(struct sp_node_conn *conn, sp_time now);
/** sp_node_conn_drop() - out of all tables and the heap, then free; without event */
void sp_node_conn_drop(struct sp_node_conn *conn, sp_time now);
void sp_node_conn_set_state(struct sp_node_conn *conn, enum sp_node_state state, const char *cause);

/* ---- idle.c ---------------------------------------------------------------------------------- */

/** sp_node_conn_touch() - traffic or news: a full SP_NODE_MAX_IDLE from now, wakes from idle */
void sp_node_conn_touch(struct sp_node_conn *conn, sp_time now);
/** sp_node_conn_idle_at() - when it would fall idle, SP_TIME_NEVER if it cannot */
sp_time sp_node_conn_idle_at(const struct sp_node_conn *conn);
void sp_node_conn_fall_idle(struct sp_node_conn *conn, sp_time now);
/** sp_node_active_timing() - row of the check timing table for a connection in use */
const struct sp_ice_timing *sp_node_active_timing(const struct sp_node *node);

/* ---- candidates.c ---------------------------------------------------------------------------- */

/** sp_node_conn_seed() - offer all our addresses to the agent; signal what is new, or @all */
void sp_node_conn_seed(struct sp_node_conn *conn, bool all);
/** sp_node_conn_offer() - one address that a relay told. Returns: true if it was adopted (and
 * signalled) */
bool sp_node_conn_offer(struct sp_node_conn *conn, const struct sp_ice_candidate *c);
/** sp_node_conn_withdraw() - take out and signal the removal. Returns: false if it was not there */
bool sp_node_conn_withdraw(struct sp_node_conn *conn,
                           const struct sp_endpoint *addr,
                           enum sp_ice_kind kind);

/* ---- allocations.c --------------------------------------------------------------------------- */

enum sp_node_relay_input {
    SP_NODE_RELAY_NOT_MINE, /* go on with the datagram as it is */
    SP_NODE_RELAY_CONSUMED, /* a relay's; nobody else must look at it */
    SP_NODE_RELAY_PAYLOAD,  /* unwrapped: go on */
};

/** sp_node_relays_input() - step A of the demultiplexer; on PAYLOAD @pkt and @meta are as if the
 * peer had sent to our relay address */
enum sp_node_relay_input sp_node_relays_input(struct sp_node *node,
                                              struct sp_pkt *pkt,
                                              struct sp_udp_meta *meta,
                                              sp_time now);
/** sp_node_relay_owning() - the relay that gave us this address, or NULL */
struct sp_node_relay *sp_node_relay_owning(const struct sp_node *node,
                                           const struct sp_endpoint *relayed);
/** sp_node_relay_of() - the connection's relay, NULL when it has none or it is gone */
struct sp_node_relay *sp_node_relay_of(const struct sp_node_conn *conn);
/** sp_node_relay_bind() - ask the connection's relay for a channel to @peer */
void sp_node_relay_bind(struct sp_node_conn *conn, const struct sp_endpoint *peer, sp_time now);
/** sp_node_relay_is_open() - can data go from @base to @peer now? If not, a channel is asked for */
bool sp_node_relay_is_open(struct sp_node *node,
                           const struct sp_endpoint *base,
                           const struct sp_endpoint *peer,
                           sp_time now);
/** sp_node_relay_queue() - frame and queue; takes @pkt, which needs SP_CHANNEL_HEADER bytes of head
 * room. Returns: 0, or negative: freed and counted */
int sp_node_relay_queue(struct sp_node *node,
                        const struct sp_endpoint *base,
                        const struct sp_endpoint *peer,
                        struct sp_pkt *pkt);
void sp_node_relays_reset(struct sp_node *node, sp_time now);
void sp_node_relays_handle_timeout(struct sp_node *node, sp_time now);
/** sp_node_relays_collect() - free the dead ones; NO_RELAYS when the last one goes */
void sp_node_relays_collect(struct sp_node *node, sp_time now);
sp_time sp_node_relays_next_timeout(const struct sp_node *node);
void sp_node_relays_done(struct sp_node *node);

/* ---- migration.c ----------------------------------------------------------------------------- */

/** sp_node_relays_usable() - relays that could carry traffic now */
size_t sp_node_relays_usable(const struct sp_node *node);
/** sp_node_rtt_threshold() - slower relays are not chosen; @n >= 1, reorders @rtts */
sp_duration sp_node_rtt_threshold(sp_duration *rtts, size_t n);
/** sp_node_conn_choose_relay() - the connection has none; stays so when there is none */
void sp_node_conn_choose_relay(struct sp_node_conn *conn);
/** sp_node_migrate() - a relay for every connection without one */
void sp_node_migrate(struct sp_node *node, sp_time now);
