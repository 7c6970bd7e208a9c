/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest TCP server that DNS over TCP needs inside the tunnel: it listens on one port of some
 * addresses, reads messages with a length prefix and sends one answer to each. Nothing general
 * purpose. Sources: RFC 9293, RFC 7766 section 8 (framing), RFC 5961; spec tunnel A.4.
 * Owner: the client engine. Thread: the engine's caller. I/O: none.
 *
 * Rule for the caller: after any call that takes `now`, drain poll_query, then poll_packet, until
 * both are empty, then read next_timeout. */
#pragma once

#include "engine/base/rng.h"
#include "engine/base/time.h"
#include "engine/ip/packet.h"

#define SP_TCP_LISTEN_MAX  64    /* addresses */
#define SP_TCP_CONNECTIONS 10    /* of one address, with those still being opened */
#define SP_TCP_MESSAGE_MAX 65535 /* without the prefix */
#define SP_TCP_MESSAGE_MIN 12    /* a DNS header; a shorter frame ends the connection */

/* Fixed, because the other end is a program on the same machine: there is no round trip to measure. */
#define SP_TCP_RTO         SP_SEC(1) /* doubles with each repetition */
#define SP_TCP_RETRIES     4         /* then the connection is given up: after 31 s */
#define SP_TCP_SYN_RETRIES 3         /* half-open: after 15 s */
#define SP_TCP_IDLE        SP_SEC(60)
#define SP_TCP_TIME_WAIT   SP_SEC(1)

struct sp_tcp_server;

/** struct sp_tcp_config - @pool is borrowed and must outlive the server */
struct sp_tcp_config {
    struct sp_pkt_pool *pool;
    struct sp_rng rng;
    uint16_t port;
};

/** struct sp_tcp_query - one message. @message: view, valid until the next call on the server */
struct sp_tcp_query {
    uint64_t connection;
    struct sp_ip local;
    struct sp_endpoint remote;
    struct sp_span message;
};

/** struct sp_tcp_stats - what went wrong, counted */
struct sp_tcp_stats {
    uint64_t malformed; /* segments that do not parse, or with a wrong checksum */
    uint64_t refused;   /* connections beyond SP_TCP_CONNECTIONS */
    uint64_t resends;   /* expiries of the retransmission timer */
    uint64_t no_memory; /* packet pool empty */
};

struct sp_tcp_server *sp_tcp_server_new(const struct sp_tcp_config *config);
struct sp_tcp_server *sp_tcp_server_free(struct sp_tcp_server *s);

/** sp_tcp_server_listen() - on these addresses and no others; more than SP_TCP_LISTEN_MAX are
 * ignored. The same set in any order changes nothing; another set drops all connections silently. */
void sp_tcp_server_listen(struct sp_tcp_server *s, const struct sp_ip *addrs, size_t n);

/** sp_tcp_server_handle_packet() - a TCP packet from the TUN device; @pkt is borrowed.
 * To an address nobody listens on: silence. To another port: a reset. */
void sp_tcp_server_handle_packet(struct sp_tcp_server *s,
                                 const struct sp_pkt *pkt,
                                 const struct sp_ip_view *v,
                                 sp_time now);
/** sp_tcp_server_poll_query() - the next message; its connection gives the following one only after
 * sp_tcp_server_answer() and when the answer has been acknowledged. Returns: false when none */
bool sp_tcp_server_poll_query(struct sp_tcp_server *s, struct sp_tcp_query *ret);
/** sp_tcp_server_answer() - @message (borrowed, at most SP_TCP_MESSAGE_MAX bytes) for the query of
 * @connection. Returns: 0; SP_E_NOTFOUND the connection is gone; SP_E_STATE no query is open;
 * SP_E_INVAL the message is too long */
SP_MUST_CHECK int sp_tcp_server_answer(struct sp_tcp_server *s,
                                       uint64_t connection,
                                       struct sp_span message,
                                       sp_time now);
/** sp_tcp_server_abort() - reset a connection; unknown ones are ignored */
void sp_tcp_server_abort(struct sp_tcp_server *s, uint64_t connection);
/** sp_tcp_server_abort_busy() - reset all connections with an open query: nobody will answer it */
void sp_tcp_server_abort_busy(struct sp_tcp_server *s);
/** sp_tcp_server_poll_packet() - a packet for the TUN device, ownership to the caller, or NULL */
SP_MUST_CHECK struct sp_pkt *sp_tcp_server_poll_packet(struct sp_tcp_server *s, sp_time now);
void sp_tcp_server_handle_timeout(struct sp_tcp_server *s, sp_time now);
sp_time sp_tcp_server_next_timeout(const struct sp_tcp_server *s);

/** sp_tcp_server_connections() - how many there are, in any state */
size_t sp_tcp_server_connections(const struct sp_tcp_server *s);
const struct sp_tcp_stats *sp_tcp_server_stats(const struct sp_tcp_server *s);
