/* SPDX-License-Identifier: Apache-2.0 */
/* The other end of a tunnel in tests of one engine: a bare node that keeps what it decrypts. Datagrams
 * and candidates are handed over at once, without a network. Compiled into each test that uses it. */
#pragma once

#include <glib.h>

#include "engine/node/node.h"
#include "tests/support/rng.h"

#define FAR_PORT 52625

/** struct far - @got: inner packets as GBytes, newest last; @candidates: "+" or "-" and the SDP text */
struct far {
    struct sp_uuid id; /* what the engine under test calls it */
    struct sp_node *node;
    struct sp_pkt_pool pool;
    struct sp_drops drops;
    struct test_rng rng;
    struct sp_endpoint address;
    GPtrArray *got;
    GPtrArray *candidates;
    int established;
    int failed;
};

void far_init(struct far *f, uint8_t number, bool server, sp_time now);
/** far_done() - all packets must be back in the pool */
void far_done(struct far *f);
void far_datagram(struct far *f, const struct sp_endpoint *from, struct sp_span bytes, sp_time now);
/** far_send() - one inner packet to the engine. Returns: the node's result */
int far_send(struct far *f, const struct sp_uuid *peer, const void *p, size_t n, sp_time now);
/** far_drain_events() - Returns: true if there were any */
bool far_drain_events(struct far *f);
/** far_params() - secrets of the pair, from the controlling (client's) or the other point of view */
struct sp_node_peer_params far_params(const uint8_t remote_key[SP_KEY_LEN], bool client);

struct sp_uuid test_uuid(uint8_t kind, uint8_t number);
/** test_udp(), test_echo(), test_raw() - build an IP packet into a new GBytes */
GBytes *test_udp(const char *src,
                 uint16_t sport,
                 const char *dst,
                 uint16_t dport,
                 const char *text);
GBytes *test_echo(const char *src, const char *dst, bool reply, uint16_t id, const char *text);
GBytes *test_raw(const char *src, const char *dst, uint8_t proto);
struct sp_ip test_ip(const char *text);
/** test_view() - parse; fails the test when the packet or a checksum is wrong */
struct sp_ip_view test_view(GBytes *packet);
/** test_last() - newest of a list of GBytes, or NULL */
GBytes *test_last(const GPtrArray *list);
