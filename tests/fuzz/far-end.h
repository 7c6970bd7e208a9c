/* SPDX-License-Identifier: Apache-2.0 */
/* The other end of the tunnel of an engine under test: a node that holds the keys, so that an input
 * reaches what lies behind path finding and encryption, and the wire between the two. What the node
 * sends inside the tunnel is the input's business. */
#pragma once

#include "engine/base/drop.h"
#include "engine/node/node.h"
#include "tests/fuzz/ops.h"
#include "tests/support/rng.h"

#define FAR_WIRE_MAX 64

struct far_datagram {
    struct sp_udp_meta meta;
    struct sp_pkt *pkt;
};

struct far_wire {
    struct far_datagram q[FAR_WIRE_MAX];
    size_t n;
};

struct far_end {
    struct sp_pkt_pool *pool;
    struct sp_node *node;
    struct sp_drops drops;
    struct test_rng rng;
    struct far_wire to_near;
    struct far_wire to_far;
    struct sp_strv candidates; /* of the far end, not told yet */
    struct sp_uuid id_of_near;
    bool controlling;
};

/** far_init() - @controlling: the far end is the client */
void far_init(struct far_end *f, struct sp_pkt_pool *pool, bool controlling, sp_time now);
void far_done(struct far_end *f);
struct sp_endpoint far_near_address(void);
struct sp_ice_creds far_client_creds(void);
struct sp_ice_creds far_gateway_creds(void);
#define FAR_PSK 0x5a

/** far_expect() - the portal told the far end about the near one */
void far_expect(struct far_end *f, const uint8_t *near_key, sp_time now);
void far_hear(struct far_end *f, const struct sp_candidates *list, bool added, sp_time now);
/** far_take() - a datagram the engine sent; takes the packet */
void far_take(struct far_end *f, const struct sp_transmit *tx);
/** far_receive() - deliver the oldest datagram to the far end. Returns: false when there is none */
bool far_receive(struct far_end *f, sp_time now);
/** far_pop() - the oldest datagram for the engine, the caller owns the packet; false for none */
bool far_pop(struct far_end *f, struct far_datagram *ret);
/** far_send() - a packet inside the tunnel; takes @pkt, NULL is fine */
void far_send(struct far_end *f, struct sp_pkt *pkt, sp_time now);
/** far_is_connected() - path and session exist; otherwise a set-up would test nothing */
bool far_is_connected(const struct far_end *f);
void far_timeout(struct far_end *f, sp_time now);
