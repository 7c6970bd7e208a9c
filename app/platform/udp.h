/* SPDX-License-Identifier: Apache-2.0 */
/* The UDP socket of one family under the tunnel: marked, batched, with segmentation offload in
 * both directions. Source: spec platform-linux 2.1 to 2.3, 2.6. Thread: created on any, then one at
 * a time. */
#pragma once

#include <glib.h>

#include "app/platform/socket.h"
#include "engine/base/io.h"
#include "engine/base/log.h"

#define SP_UDP_DEFAULT_PORT 52625

struct sp_udp;

/** struct sp_udp_options - @port: preferred, 0 for any; taken or refused, any port is tried next.
 * @mark: 0 sets none (tests). @send_buffer, @recv_buffer: bytes, 0 for the default */
struct sp_udp_options {
    uint32_t mark;
    uint16_t port;
    uint32_t send_buffer;
    uint32_t recv_buffer;
    bool no_offload; /* no UDP_SEGMENT and no UDP_GRO; for tests and bad drivers */
};

/** struct sp_udp_stats - counters since creation */
struct sp_udp_stats {
    uint64_t recv_calls, recv_packets, recv_bytes;
    uint64_t send_calls, sent_packets, sent_bytes;
    uint64_t recv_dropped;     /* empty, oversized or without a local address */
    uint64_t no_memory;        /* pool empty */
    uint64_t send_would_block; /* datagrams lost to a full socket buffer or device queue */
    uint64_t send_unreachable; /* no route, host or source address */
    uint64_t send_denied;      /* EPERM, EACCES: a local firewall */
    uint64_t send_too_big;
    uint64_t send_other;
    uint64_t gso_fallbacks;
};

/** struct sp_udp_datagram - one received datagram. Owns @pkt */
struct sp_udp_datagram {
    struct sp_udp_meta meta;
    struct sp_pkt *pkt;
};

/** sp_udp_new() - socket of @family (4 or 6) on the unspecified address.
 * Returns: 0 or negative errno and @error; SP_PLATFORM_ERROR_LOOP_PREVENTION when the mark is
 * refused */
SP_MUST_CHECK int sp_udp_new(uint8_t family,
                             const struct sp_udp_options *options,
                             const struct sp_log *log,
                             struct sp_udp **ret_udp,
                             GError **error);
void sp_udp_free(struct sp_udp *udp);
/** sp_udp_fd() - for sp_poller_add() only */
int sp_udp_fd(const struct sp_udp *udp);
uint16_t sp_udp_port(const struct sp_udp *udp);
const struct sp_udp_stats *sp_udp_get_stats(const struct sp_udp *udp);

/** sp_udp_recv_batch() - up to @cap datagrams; sp_pkt.ecn is filled in.
 * Returns: how many (all of them owned by the caller); 0 when there are none now; -EAGAIN never;
 * other negative errno: try again at the next wake-up */
SP_MUST_CHECK int sp_udp_recv_batch(struct sp_udp *udp,
                                    struct sp_pkt_pool *pool,
                                    struct sp_udp_datagram *out,
                                    size_t cap);
/** sp_udp_pending() - true when datagrams are left over that the kernel no longer reports */
bool sp_udp_pending(const struct sp_udp *udp);
/** sp_udp_send_batch() - takes all packets of @tx[0 .. n), all of this family. Order is kept per
 * (source, destination, ECN). Errors lose packets and are counted, never returned. */
void sp_udp_send_batch(struct sp_udp *udp, const struct sp_transmit *tx, size_t n);
