/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of a tunnel, shared by the handshake and the transport half. */
#pragma once

#include "engine/base/ring.h"
#include "engine/wg/cookie-private.h"
#include "engine/wg/session-private.h"
#include "engine/wg/timers-private.h"

enum {
    SP_WG_SESSIONS = 8,    /* slot = local index mod 8 */
    SP_WG_OUT_MAX = 16,    /* small messages waiting to be sent */
    SP_WG_EVENTS_MAX = 16, /* equal neighbours are merged */
};

/** enum sp_wg_state - our side's handshake; sessions live independently of it */
enum sp_wg_state {
    SP_WG_STATE_IDLE,
    SP_WG_STATE_INITIATED, /* @noise and @initiation_index belong to the initiation in flight */
    SP_WG_STATE_EXPIRED,   /* nothing held, no timer; either side may start afresh */
};

/** struct sp_wg_tunnel - owned by a connection
 * @current: slot of the session we send on; -1: none
 * @serial: of the youngest session made
 * @low: last value of the lower 8 index bits that was used
 * @timestamp_seen: newest accepted from the peer
 * @timestamp_sent: newest sent, so that two initiations in one instant still differ */
struct sp_wg_tunnel {
    struct sp_wg_noise_peer peer;
    struct sp_wg_timers timers;
    struct sp_wg_cookie_jar jar;
    struct sp_wall wall;
    struct sp_rng rng;
    const struct sp_log *log;
    enum sp_wg_state state;
    struct sp_wg_noise_state noise;
    uint32_t initiation_index;
    uint32_t index24;
    uint8_t low;
    int current;
    uint64_t serial;
    struct sp_wg_session sessions[SP_WG_SESSIONS];
    uint8_t timestamp_seen[SP_WG_TIMESTAMP_LEN];
    uint8_t timestamp_sent[SP_WG_TIMESTAMP_LEN];
    sp_time last_handshake;
    uint64_t rx_bytes;
    uint64_t tx_bytes;
    struct sp_ring out;
    struct sp_ring events;
};

void sp_wg_tunnel_set_state(struct sp_wg_tunnel *t, enum sp_wg_state state, const char *cause);
/** sp_wg_tunnel_add_session() - put new keys into the slot of @local. Returns: the slot */
int sp_wg_tunnel_add_session(struct sp_wg_tunnel *t,
                             uint32_t local,
                             uint32_t remote,
                             bool initiator,
                             const struct sp_wg_noise_keys *keys,
                             sp_time now);
/** sp_wg_tunnel_use_session() - make @slot current unless it already is or a younger one is */
void sp_wg_tunnel_use_session(struct sp_wg_tunnel *t, int slot, sp_time now);
/** sp_wg_tunnel_queue() - hand @out over for transmission; dropped when the queue is full */
void sp_wg_tunnel_queue(struct sp_wg_tunnel *t, const struct sp_wg_out *out);
/** sp_wg_tunnel_send_keepalive() - nothing happens without a session */
void sp_wg_tunnel_send_keepalive(struct sp_wg_tunnel *t, sp_time now);
void sp_wg_tunnel_send_initiation(struct sp_wg_tunnel *t, sp_time now);
