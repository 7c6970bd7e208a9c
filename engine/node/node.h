/* SPDX-License-Identifier: Apache-2.0 */
/* One end of every tunnel of this process: UDP datagrams on one side, plaintext IP packets of
 * named peers on the other. Joins path finding (engine/ice) and WireGuard (engine/wg).
 * Source: spec connectivity sections 1, 3.2-3.4, 3.7, 4.4-4.6, 5.
 * Owner: the client or gateway engine. Thread: the engine's caller. I/O: none.
 *
 * Driver rule: after any call with @now, drain sp_node_poll_event() and sp_node_poll_transmit()
 * until both are empty, then read sp_node_next_timeout(). @now never goes back. */
#pragma once

#include "engine/base/drop.h"
#include "engine/base/err.h"
#include "engine/base/io.h"
#include "engine/base/log.h"
#include "engine/base/time.h"
#include "engine/model/model.h"

struct sp_node;

#define SP_NODE_CONNECTIONS_MAX    16384 /* peers at one time; more is SP_E_LIMIT */
#define SP_NODE_HOST_ADDRESSES_MAX 16    /* local addresses that become candidates */
#define SP_NODE_CANDIDATE_MAX      320   /* bytes of one signalled candidate incl. NUL */
#define SP_NODE_HEADROOM           (16 + SP_CHANNEL_HEADER) /* needed by sp_node_send() */

/** Positive outcomes of the calls below. */
enum sp_node_result {
    SP_NODE_REUSED = 1, /* upsert: the present connection already is what was asked for */
    SP_NODE_NO_RELAYS,  /* upsert: no relay and no host address known; nothing was changed */
    SP_NODE_PACKET,     /* handle_datagram: an IP packet of a peer was decrypted */
    SP_NODE_CONNECTING, /* send: not established yet; the caller keeps the packet */
    SP_NODE_UNKNOWN,    /* send: no connection to that peer; the caller keeps the packet */
};

/** struct sp_node_config - copied by sp_node_new(); everything pointed to outlives the node
 * @pool:   blocks for the datagrams the node makes itself
 * @wall:   only for the TAI64N timestamp of handshakes
 * @server: gateway rows of the check timing table (spec 3.5) */
struct sp_node_config {
    struct sp_pkt_pool *pool;
    struct sp_rng rng;
    struct sp_wall wall;
    const struct sp_log *log;
    struct sp_drops *drops;
    bool server;
};

/** sp_node_new() - makes a fresh key pair. Returns: the node, never NULL */
struct sp_node *sp_node_new(const struct sp_node_config *config, sp_time now);
/** sp_node_free() - drops everything without telling anybody; NULL is fine. Returns: NULL */
struct sp_node *sp_node_free(struct sp_node *node);

/** sp_node_public_key() - our 32 bytes for the portal; valid until reset or free, new after reset */
const uint8_t *sp_node_public_key(const struct sp_node *node);

/** struct sp_node_peer_params - what the portal granted. Secret: @psk and the passwords.
 * @controlling: ICE role and who starts handshakes: client towards gateway, initiator between
 *               clients */
struct sp_node_peer_params {
    uint8_t remote_key[SP_KEY_LEN];
    uint8_t psk[SP_KEY_LEN];
    struct sp_ice_creds local;
    struct sp_ice_creds remote;
    bool controlling;
};

/**
 * sp_node_upsert() - make sure a connection to @peer with these parameters exists
 * @params: borrowed; compared in whole with those of an existing connection
 *
 * Returns: 0 a new connection was made (an old one with other parameters is gone without event);
 * SP_NODE_REUSED same index and session, local candidates are signalled again, woken from idle;
 * SP_NODE_NO_RELAYS neither relays nor host addresses, nothing changed; SP_E_LIMIT too many
 * connections; SP_E_INVAL bad credentials, or the key belongs to another connected peer.
 */
SP_MUST_CHECK int sp_node_upsert(struct sp_node *node,
                                 const struct sp_uuid *peer,
                                 const struct sp_node_peer_params *params,
                                 sp_time now);

/**
 * sp_node_handle_datagram() - one UDP datagram from the network
 * @meta:      source, and the local address (IP and port) it arrived on
 * @pkt:       taken in every case; pkt->ecn is the outer ECN mark
 * @ret_peer:  on SP_NODE_PACKET: who sent it (authenticated)
 * @ret_inner: on SP_NODE_PACKET: the decrypted IP packet, ownership to the caller; its version and
 *             length fields are consistent, nothing else is checked. The outer mark was merged into
 *             its header (spec 1.1: only CE onto ECT(0) or ECT(1)); pkt->ecn still is the outer one.
 *
 * Returns: 0 consumed; SP_NODE_PACKET; negative: dropped and counted.
 */
SP_MUST_CHECK int sp_node_handle_datagram(struct sp_node *node,
                                          const struct sp_udp_meta *meta,
                                          struct sp_pkt *pkt,
                                          sp_time now,
                                          struct sp_uuid *ret_peer,
                                          struct sp_pkt **ret_inner);

/**
 * sp_node_send() - seal one IP packet in place and queue it for @peer
 * @pkt: IP packet of at most SP_MTU bytes, pkt->off >= SP_NODE_HEADROOM, pkt->ecn = ECN of the IP
 *       header; taken unless CONNECTING or UNKNOWN is returned
 *
 * Returns: 0 queued; SP_NODE_CONNECTING before SP_NODE_EV_ESTABLISHED, not taken, the caller may
 * buffer; SP_NODE_UNKNOWN not taken; negative: freed and counted. An established connection never
 * returns CONNECTING: without a usable session the packet is dropped (SP_DROP_WG_NO_SESSION).
 */
SP_MUST_CHECK int sp_node_send(struct sp_node *node,
                               const struct sp_uuid *peer,
                               struct sp_pkt *pkt,
                               sp_time now);

/** sp_node_add_remote_candidate() - @sdp as signalled by the peer, untrusted, with or without
 * "a=". Returns: 0 (also for a duplicate); SP_E_MALFORMED: skip it and go on with the rest;
 * SP_E_NOTFOUND no such connection; SP_E_LIMIT */
int sp_node_add_remote_candidate(struct sp_node *node,
                                 const struct sp_uuid *peer,
                                 const char *sdp,
                                 sp_time now);
/** sp_node_remove_remote_candidate() - matched by address and kind. Returns: as above */
int sp_node_remove_remote_candidate(struct sp_node *node,
                                    const struct sp_uuid *peer,
                                    const char *sdp,
                                    sp_time now);

/**
 * sp_node_close() - end the connection to @peer
 * @goodbye: inner packet sent as a last word if there is a path and a session, best effort; taken;
 *           NULL for none
 *
 * Emits SP_NODE_EV_CLOSED if it was connected (or idle), nothing if it was connecting.
 * Returns: 0 or SP_E_NOTFOUND.
 */
int sp_node_close(struct sp_node *node,
                  const struct sp_uuid *peer,
                  struct sp_pkt *goodbye,
                  sp_time now);
/** sp_node_close_all() - sp_node_close() for each; @goodbye is copied for each, then freed */
void sp_node_close_all(struct sp_node *node, struct sp_pkt *goodbye, sp_time now);
/** sp_node_remove() - forget the connection without event and without a word (goodbye received).
 * Returns: 0 or SP_E_NOTFOUND */
int sp_node_remove(struct sp_node *node, const struct sp_uuid *peer, sp_time now);

/** sp_node_reset() - the network changed: forget queued output and all connections (CLOSED for
 * each), make a new key pair and a new limiter. Relays and host addresses are kept. */
void sp_node_reset(struct sp_node *node, sp_time now);

/** sp_node_update_relays() - the portal's list changed; @removed and @added are borrowed. The
 * others are asked whether they still live. Returns: 0, or SP_E_LIMIT (the rest was ignored) */
int sp_node_update_relays(struct sp_node *node,
                          const struct sp_uuid *removed,
                          size_t n_removed,
                          const struct sp_relay *added,
                          size_t n_added,
                          sp_time now);

/**
 * sp_node_set_host_addresses() - the local addresses (with the socket's port) peers might reach
 *
 * Replaces the list. New ones become host candidates of every connection and are signalled; ones
 * that went are taken out and signalled as removals. Link-local, broadcast, multicast and
 * unspecified addresses and those of the tunnel itself are skipped; loopback is allowed.
 * Returns: number accepted (at most SP_NODE_HOST_ADDRESSES_MAX).
 */
size_t sp_node_set_host_addresses(struct sp_node *node,
                                  const struct sp_endpoint *addresses,
                                  size_t n,
                                  sp_time now);

/** sp_node_handle_timeout() - all work that is due; before the deadline a no-op */
void sp_node_handle_timeout(struct sp_node *node, sp_time now);
/** sp_node_next_timeout() - when to call handle_timeout; 0 ("now") while a transmit or an event is
 * queued; SP_TIME_NEVER when nothing is pending */
sp_time sp_node_next_timeout(const struct sp_node *node);
/** sp_node_poll_transmit() - Returns: true and a datagram whose packet the caller now owns */
bool sp_node_poll_transmit(struct sp_node *node, struct sp_transmit *ret_transmit);

enum sp_node_event_type {
    SP_NODE_EV_NEW_CANDIDATE,        /* tell the peer through the portal */
    SP_NODE_EV_INVALIDATE_CANDIDATE, /* likewise; may come before the peer saw the addition */
    SP_NODE_EV_ESTABLISHED,          /* once per connection: path and session exist */
    SP_NODE_EV_FAILED,               /* connection gone: no path or no handshake */
    SP_NODE_EV_CLOSED,               /* connection gone by close or reset */
    SP_NODE_EV_NO_RELAYS,            /* the last relay went; @peer is zero */
};

/** struct sp_node_event - @candidate: SDP text without "a=" for the two candidate events */
struct sp_node_event {
    enum sp_node_event_type type;
    struct sp_uuid peer;
    char candidate[SP_NODE_CANDIDATE_MAX];
};

/** sp_node_poll_event() - Returns: true and the oldest event. Candidates of one call come in
 * order of falling priority */
bool sp_node_poll_event(struct sp_node *node, struct sp_node_event *ret_event);

enum sp_node_state {
    SP_NODE_STATE_CONNECTING,
    SP_NODE_STATE_CONNECTED,
    SP_NODE_STATE_IDLE,   /* connected, checks are slow until there is traffic */
    SP_NODE_STATE_FAILED, /* on its way out; never seen by the caller */
    _SP_NODE_STATE_MAX
};

/** enum sp_node_path_kind - who is behind a relay (spec 1.5); "to relay": the peer's relay */
enum sp_node_path_kind {
    SP_NODE_PATH_NONE, /* not nominated yet */
    SP_NODE_PATH_PEER_TO_PEER,
    SP_NODE_PATH_PEER_TO_RELAY,
    SP_NODE_PATH_RELAY_TO_PEER,
    SP_NODE_PATH_RELAY_TO_RELAY,
    _SP_NODE_PATH_MAX
};

/** sp_node_state_name(), sp_node_path_kind_name() - stable, lower case, e.g. "peer-to-relay" */
const char *sp_node_state_name(enum sp_node_state state);
const char *sp_node_path_kind_name(enum sp_node_path_kind kind);

/** struct sp_node_info - one connection for status output. Addresses are personal data.
 * @rtt:            smoothed time of a check on the path, 0 if not known
 * @last_handshake: SP_TIME_NEVER if there was none
 * @rx_bytes, @tx_bytes: inner IP bytes */
struct sp_node_info {
    enum sp_node_state state;
    enum sp_node_path_kind path;
    bool established;
    struct sp_endpoint local;
    struct sp_endpoint remote;
    sp_duration rtt;
    sp_time last_handshake;
    uint64_t rx_bytes;
    uint64_t tx_bytes;
};

/** sp_node_connection_info() - Returns: false if there is no connection to @peer */
bool sp_node_connection_info(const struct sp_node *node,
                             const struct sp_uuid *peer,
                             struct sp_node_info *ret_info);
/** sp_node_next_connection() - iterate from *@pos = 0; no other call on the node in between except
 * sp_node_connection_info(). Returns: false at the end */
bool sp_node_next_connection(const struct sp_node *node, size_t *pos, struct sp_uuid *ret_peer);

/** struct sp_node_stats - gauges, computed on call */
struct sp_node_stats {
    size_t connections;
    size_t relays;
    size_t paths[_SP_NODE_PATH_MAX];
};
void sp_node_stats(const struct sp_node *node, struct sp_node_stats *ret_stats);
