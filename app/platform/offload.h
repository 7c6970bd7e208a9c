/* SPDX-License-Identifier: Apache-2.0 */
/* Segmentation offload as pure functions over bytes: cutting the super-packets a TUN read gives,
 * and merging a batch of packets for fewer TUN writes. No I/O, so tests and fuzzers run it as is.
 * Source: spec platform-linux 1.2 and 1.3; the virtio-net header of the virtio specification 5.1.6.
 * Thread: any. */
#pragma once

#include "engine/base/pkt.h"
#include "engine/ip/checksum.h"

#define SP_VNET_HEADER      10 /* bytes in front of every TUN read and write */
#define SP_VNET_NEEDS_CSUM  0x01
#define SP_VNET_GSO_NONE    0
#define SP_VNET_GSO_TCPV4   1
#define SP_VNET_GSO_TCPV6   4
#define SP_VNET_GSO_UDP_L4  5
#define SP_SPLIT_MAX        256   /* segments of one super-packet */
#define SP_COALESCE_BATCH   256   /* packets of one coalescing window */
#define SP_COALESCE_TCP_MAX 128   /* segments per merged packet; bounded by the vector of a write */
#define SP_COALESCE_UDP_MAX 64    /* UDP_MAX_SEGMENTS of older kernels */
#define SP_COALESCE_BYTES   65535 /* largest IP packet */

/** struct sp_vnet_hdr - native byte order, no padding: it goes to the kernel as it is */
struct sp_vnet_hdr {
    uint8_t flags;
    uint8_t gso_type;
    uint16_t hdr_len;
    uint16_t gso_size;
    uint16_t csum_start;
    uint16_t csum_offset;
};

/** sp_offload_pseudo() - pseudo-header sum of the IP packet at @ip for @l4_len bytes of @proto */
uint64_t sp_offload_pseudo(const uint8_t *ip, uint8_t proto, size_t l4_len);

/** sp_split() - cut one TUN read (@hdr removed, IP packet at @p, modified in place) into packets of
 * at most SP_MTU bytes with complete checksums, appended to @out.
 * Returns: packets appended, fewer than there were when @pool or @out ended; SP_E_MALFORMED or
 * SP_E_UNSUPPORTED, nothing appended */
SP_MUST_CHECK int sp_split(const struct sp_vnet_hdr *hdr,
                           uint8_t *p,
                           size_t n,
                           struct sp_pkt_pool *pool,
                           struct sp_pkt_queue *out);

/** struct sp_coalesce_item - one write: @hdr, the first packet whole, of every further packet
 * (sp_pkt.next) the bytes after @hdr_len. Owns the chain. */
struct sp_coalesce_item {
    struct sp_pkt *head;
    struct sp_pkt *tail;
    struct sp_vnet_hdr hdr;
    uint16_t count;
    uint16_t hdr_len; /* IP and L4 header; 0 when the item never merges */
    uint16_t segment; /* payload of the first packet */
    uint32_t total;   /* bytes of the merged IP packet */
    uint32_t next_seq;
    uint32_t hash;
    int16_t older; /* next item of the same hash bucket, -1 at the end */
    uint8_t proto;
    uint8_t ip_len;
    bool open; /* one more may be appended */
};

/** struct sp_coalescer - one window of packets. Big: embed it in something long-lived. */
struct sp_coalescer {
    struct sp_coalesce_item items[SP_COALESCE_BATCH];
    size_t len;
    size_t barrier; /* items before this one take no more packets */
    unsigned offloads;
    int16_t buckets[64];
};

/** sp_coalesce_begin() - start an empty window; @offloads: SP_TUN_* that were granted */
void sp_coalesce_begin(struct sp_coalescer *c, unsigned offloads);
/** sp_coalesce_push() - takes @pkt. The caller stops at SP_COALESCE_BATCH packets */
void sp_coalesce_push(struct sp_coalescer *c, struct sp_pkt *pkt);
/** sp_coalesce_finish() - write lengths, checksums and headers of merged items. Afterwards the
 * caller takes items[0 .. len) */
void sp_coalesce_finish(struct sp_coalescer *c);
