/* SPDX-License-Identifier: Apache-2.0 */
/* Packet blocks of fixed size from a pool. Head room allows a WireGuard and a TURN channel header
 * to be put in front, tail room the tag, so a packet is sealed and opened where it lies.
 * Thread: a pool belongs to one thread. */
#pragma once

#include "engine/base/span.h"

#define SP_MTU            1280 /* largest IP packet in the tunnel, both roles */
#define SP_WG_OVERHEAD    32   /* type 4 header 16 + tag 16 */
#define SP_CHANNEL_HEADER 4    /* RFC 8656 section 12.4 */
#define SP_DATAGRAM_MAX   (SP_MTU + SP_WG_OVERHEAD + SP_CHANNEL_HEADER) /* 1316 */
#define SP_PKT_HEADROOM   64
#define SP_PKT_CAPACITY   1536 /* head room + largest datagram + tail room */

/** struct sp_pkt - one packet; bytes are buf[off .. off + len)
 * @ecn: IP ECN codepoint 0..3 of the outer datagram, as received or to be sent */
struct sp_pkt {
    struct sp_pkt *next; /* free list or queue link; owned by whoever owns the packet */
    struct sp_pkt_pool *pool;
    uint16_t off;
    uint16_t len;
    uint8_t ecn;
    uint8_t buf[SP_PKT_CAPACITY];
};

/** struct sp_pkt_pool - free list; allocates up to @max blocks on demand and never gives them back
 * before _done. An empty pool is a counted drop, never an allocation on the packet path. */
struct sp_pkt_pool {
    struct sp_pkt *free;
    size_t allocated;
    size_t in_use;
    size_t max;
    uint64_t exhausted; /* how often a block was wanted and none was there */
};

void sp_pkt_pool_init(struct sp_pkt_pool *pool, size_t max);
/** sp_pkt_pool_done() - free all; every block must have been returned */
void sp_pkt_pool_done(struct sp_pkt_pool *pool);
/** sp_pkt_alloc() - an empty packet with off = SP_PKT_HEADROOM, or NULL (counted) */
SP_MUST_CHECK struct sp_pkt *sp_pkt_alloc(struct sp_pkt_pool *pool);
/** sp_pkt_from_bytes() - alloc and copy; NULL when @n does not fit or the pool is empty */
SP_MUST_CHECK struct sp_pkt *sp_pkt_from_bytes(struct sp_pkt_pool *pool, const void *p, size_t n);
/** sp_pkt_clone() - copy of the bytes and ecn with default head room, or NULL */
SP_MUST_CHECK struct sp_pkt *sp_pkt_clone(const struct sp_pkt *pkt);
/** sp_pkt_free() - give the block back to its pool; NULL is fine */
void sp_pkt_free(struct sp_pkt *pkt);

static inline uint8_t *
sp_pkt_data(struct sp_pkt *pkt)
{
    return pkt->buf + pkt->off;
}

static inline struct sp_span
sp_pkt_span(const struct sp_pkt *pkt)
{
    return sp_span(pkt->buf + pkt->off, pkt->len);
}

static inline size_t
sp_pkt_tailroom(const struct sp_pkt *pkt)
{
    return SP_PKT_CAPACITY - (size_t)pkt->off - pkt->len;
}

/** sp_pkt_push() - make @n bytes of head room part of the packet and return its new start */
static inline uint8_t *
sp_pkt_push(struct sp_pkt *pkt, size_t n)
{
    sp_assert(n <= pkt->off);
    pkt->off = (uint16_t)(pkt->off - n);
    pkt->len = (uint16_t)(pkt->len + n);
    return sp_pkt_data(pkt);
}

/** sp_pkt_pull() - cut @n bytes off the front */
static inline uint8_t *
sp_pkt_pull(struct sp_pkt *pkt, size_t n)
{
    sp_assert(n <= pkt->len);
    pkt->off = (uint16_t)(pkt->off + n);
    pkt->len = (uint16_t)(pkt->len - n);
    return sp_pkt_data(pkt);
}

/** struct sp_pkt_queue - FIFO of packets through their links, bounded by @max.
 * Owns what it holds. Zero-initialise, then set @max. */
struct sp_pkt_queue {
    struct sp_pkt *head;
    struct sp_pkt *tail;
    size_t len;
    size_t max;
};

/** sp_pkt_queue_push() - takes @pkt. Returns: 0, or SP_E_LIMIT and @pkt was freed */
int sp_pkt_queue_push(struct sp_pkt_queue *q, struct sp_pkt *pkt);
/** sp_pkt_queue_push_ring() - takes @pkt; when full the oldest is freed. Returns: packets freed */
size_t sp_pkt_queue_push_ring(struct sp_pkt_queue *q, struct sp_pkt *pkt);
/** sp_pkt_queue_pop() - the oldest, ownership to the caller, or NULL */
SP_MUST_CHECK struct sp_pkt *sp_pkt_queue_pop(struct sp_pkt_queue *q);
void sp_pkt_queue_clear(struct sp_pkt_queue *q);
