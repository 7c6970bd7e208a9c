/* SPDX-License-Identifier: Apache-2.0 */
/* The simplest engine there can be: every packet of the TUN device goes to one peer, every datagram
 * of the peer goes to the TUN device. Proves the loop and the platform layer without cryptography. */
#pragma once

#include "app/driver/loop.h"

struct relay_engine {
    struct sp_endpoint peer;
    struct sp_pkt_queue to_udp;
    struct sp_pkt_queue to_tun;
    sp_time next;
    unsigned ticks;
    unsigned commands;
    unsigned events_left; /* poll_event gives the engine itself this often */
};

extern const struct sp_engine_ops relay_engine_ops;
void relay_engine_init(struct relay_engine *e, const struct sp_endpoint *peer);
