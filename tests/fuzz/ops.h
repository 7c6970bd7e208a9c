/* SPDX-License-Identifier: Apache-2.0 */
/* Reading an input as a list of operations on an engine. Past its end an input reads as zeros, so
 * every input means something. Small alphabets make things meet: few ids, few addresses, few
 * names. */
#pragma once

#include "engine/base/addr.h"
#include "engine/base/pkt.h"
#include "engine/base/time.h"
#include "engine/base/uuid.h"
#include "engine/model/model.h"

struct ops {
    const uint8_t *p;
    size_t n;
};

uint8_t ops_u8(struct ops *o);
uint16_t ops_u16(struct ops *o);
/** ops_below() - in [0, @bound), @bound <= 256 */
unsigned ops_below(struct ops *o, unsigned bound);
/** ops_bytes() - a length, then at most that many bytes; a view into the input */
struct sp_span ops_bytes(struct ops *o, size_t max);
/** ops_id() - one of OPS_IDS identifiers of @kind ('r' resource, 's' site, 'p' peer, 't' relay) */
struct sp_uuid ops_id(struct ops *o, char kind);
struct sp_uuid ops_id_at(unsigned i, char kind);
#define OPS_IDS 4
/** ops_ip() - address of @family from a table, rarely an arbitrary one */
struct sp_ip ops_ip(struct ops *o, uint8_t family);
struct sp_endpoint ops_endpoint(struct ops *o);
struct sp_cidr ops_net(struct ops *o);
/** ops_name() - a domain name or something else in its place */
const char *ops_name(struct ops *o);
/** ops_candidate() - a candidate line, mostly well-formed; owned (free) */
char *ops_candidate(struct ops *o);
struct sp_candidates ops_candidates(struct ops *o);
/** ops_pause() - how long nothing happens */
sp_duration ops_pause(struct ops *o);
/** ops_packet() - an IP packet, a control event, a DNS query or arbitrary bytes; NULL when @pool is
 * empty */
struct sp_pkt *ops_packet(struct ops *o, struct sp_pkt_pool *pool);
/** ops_datagram() - bytes from a stranger; NULL when @pool is empty */
struct sp_pkt *ops_datagram(struct ops *o, struct sp_pkt_pool *pool);
/** ops_resource() - owned by the caller; with the sites of a client's resource */
struct sp_resource ops_resource(struct ops *o);
struct sp_relays_presence ops_relays(struct ops *o);

/* The tunnel addresses of the client and of the gateway it meets; both are in the table. */
#define OPS_CLIENT4  sp_ip4(100, 70, 1, 9)
#define OPS_GATEWAY4 sp_ip4(100, 64, 0, 1)
struct sp_ip ops_client6(void);
struct sp_ip ops_gateway6(void);
