/* SPDX-License-Identifier: Apache-2.0 */
/* The UDP sockets of the relay: one per family on the listen port, one per family and allocation,
 * all in one epoll set. Batches in and out. Source: spec relay 1.10, 5. Thread: the owner's. */
#pragma once

#include "engine/base/addr.h"
#include "engine/base/log.h"
#include "engine/base/pkt.h"
#include "engine/relay/relay.h"

#define RELAY_RECV_BATCH 32  /* datagrams of one socket before the next has its turn */
#define RELAY_TURN_MAX   256 /* datagrams of one turn of the loop */

struct relay_sockets;

/** struct relay_sockets_config - @bind4, @bind6: local addresses; family 0: no such sockets
 * @pool: where received packets come from, borrowed
 * @handle: takes @pkt; @port 0 is the listen port. The sockets may be opened and closed in it */
struct relay_sockets_config {
    struct sp_ip bind4;
    struct sp_ip bind6;
    uint16_t listen_port;
    struct sp_pkt_pool *pool;
    const struct sp_log *log;
    void (*handle)(void *ctx, uint16_t port, const struct sp_endpoint *from, struct sp_pkt *pkt);
    void *ctx;
};

struct relay_sockets_stats {
    uint64_t received;
    uint64_t recv_dropped; /* cut, or no packet left for it */
    uint64_t sent;
    uint64_t send_full; /* lost to a full buffer after a short wait */
    uint64_t send_failed;
};

/** relay_sockets_new() - binds the listen sockets. Returns: 0 or negative errno */
SP_MUST_CHECK int relay_sockets_new(const struct relay_sockets_config *config,
                                    struct relay_sockets **ret_sockets);
void relay_sockets_free(struct relay_sockets *s);
/** relay_sockets_fd() - readable when there is something to do */
int relay_sockets_fd(const struct relay_sockets *s);
/** relay_sockets_listen_port() - the real one, when 0 was asked for */
uint16_t relay_sockets_listen_port(const struct relay_sockets *s);
/** relay_sockets_open() - all families asked for, or none. Returns: 0 or negative errno */
SP_MUST_CHECK int relay_sockets_open(struct relay_sockets *s, uint16_t port, bool v4, bool v6);
void relay_sockets_close(struct relay_sockets *s, uint16_t port);
/** relay_sockets_turn() - receive and handle at most RELAY_TURN_MAX (and a batch) datagrams */
void relay_sockets_turn(struct relay_sockets *s);
/** relay_sockets_send() - takes what @tx owns; kept until the batch is full or flushed */
void relay_sockets_send(struct relay_sockets *s, const struct sp_relay_transmit *tx);
void relay_sockets_flush(struct relay_sockets *s);
const struct relay_sockets_stats *relay_sockets_get_stats(const struct relay_sockets *s);
