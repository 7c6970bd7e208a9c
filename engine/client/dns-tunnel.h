/* SPDX-License-Identifier: Apache-2.0 */
/* Queries to upstream servers that are reached through the tunnel. Each is a packet of our own that
 * takes the same way as an application's, so it can ask for access and wait for it.
 * Source: spec tunnel A.6 "through the tunnel", G.7. Owner: struct sp_client. Thread: the engine's
 * caller. I/O: none. */
#pragma once

#include "engine/base/map.h"
#include "engine/base/time.h"
#include "engine/dns/pending.h"

#define CLIENT_DNS_TUNNEL_MAX      1024 /* tracked, with those timed out */
#define CLIENT_DNS_TUNNEL_TIMEOUT  SP_SEC(10)
#define CLIENT_DNS_TUNNEL_PORT_MIN 49152

struct client_dns_tunnel_query;

/** struct client_dns_tunnel - by source port, and in order of arrival, which is that of the deadlines.
 * @open: the first one that has not timed out; those before it only swallow late replies */
struct client_dns_tunnel {
    struct sp_map by_port;
    struct client_dns_tunnel_query *first;
    struct client_dns_tunnel_query *last;
    struct client_dns_tunnel_query *open;
};
