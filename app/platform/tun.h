/* SPDX-License-Identifier: Apache-2.0 */
/* TUN device with segmentation offload in both directions. The interface lives as long as the
 * object. Source: spec platform-linux 1.1 to 1.3. Thread: created on any, then one at a time. */
#pragma once

#include <glib.h>

#include "engine/base/log.h"
#include "engine/base/pkt.h"

#define SP_TUN_DEFAULT_NAME "tun-sallyport"
#define SP_TUN_NAME_MAX     15 /* bytes without the terminator */

/* What the kernel granted; bits of sp_tun_offloads(). */
#define SP_TUN_CSUM 0x01u
#define SP_TUN_TSO4 0x02u
#define SP_TUN_TSO6 0x04u
#define SP_TUN_USO4 0x20u
#define SP_TUN_USO6 0x40u

struct sp_tun;

/** struct sp_tun_stats - counters since creation.
 * @dropped: unusable reads (malformed, too long, wrong type)
 * @no_memory: packets lost because the pool was empty */
struct sp_tun_stats {
    uint64_t reads, read_packets, read_bytes;
    uint64_t writes, written_packets, written_bytes;
    uint64_t dropped, no_memory, write_errors;
};

/** sp_tun_new() - create interface @name. A name that exists already is an error (BUSY), so two
 * programs never share a device. Returns: 0 or negative errno and @error */
SP_MUST_CHECK int sp_tun_new(const char *name,
                             const struct sp_log *log,
                             struct sp_tun **ret_tun,
                             GError **error);
/** sp_tun_free() - close; the kernel removes the interface, its addresses and its routes */
void sp_tun_free(struct sp_tun *tun);
const char *sp_tun_name(const struct sp_tun *tun);
/** sp_tun_fd() - for sp_poller_add() only */
int sp_tun_fd(const struct sp_tun *tun);
unsigned sp_tun_offloads(const struct sp_tun *tun);
const struct sp_tun_stats *sp_tun_get_stats(const struct sp_tun *tun);

/** sp_tun_read() - read one burst (a packet, or a super-packet cut into many) and append it to
 * @out. Packets have complete checksums and are at most SP_MTU bytes; nothing else is verified.
 * Returns: 1 read something (maybe nothing usable); 0 nothing there; negative errno: the device is
 * gone, fatal */
SP_MUST_CHECK int sp_tun_read(struct sp_tun *tun,
                              struct sp_pkt_pool *pool,
                              struct sp_pkt_queue *out);
/** sp_tun_write_batch() - write all of @batch in order, merging what may be merged; @batch is empty
 * afterwards. Errors lose packets and are counted, never returned. */
void sp_tun_write_batch(struct sp_tun *tun, struct sp_pkt_queue *batch);
