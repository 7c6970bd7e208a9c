/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/base/pkt.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/err.h"

void
sp_pkt_pool_init(struct sp_pkt_pool *pool, size_t max)
{
    *pool = (struct sp_pkt_pool){ .max = max };
}

void
sp_pkt_pool_done(struct sp_pkt_pool *pool)
{
    sp_assert(pool->in_use == 0);
    while (pool->free) {
        struct sp_pkt *pkt = pool->free;

        pool->free = pkt->next;
        free(pkt);
    }
    pool->allocated = 0;
}

struct sp_pkt *
sp_pkt_alloc(struct sp_pkt_pool *pool)
{
    struct sp_pkt *pkt = pool->free;

    if (pkt) {
        pool->free = pkt->next;
    } else if (pool->allocated < pool->max && (pkt = malloc(sizeof *pkt)) != NULL) {
        pool->allocated++;
    } else {
        pool->exhausted++;
        return NULL;
    }
    pool->in_use++;
    pkt->next = NULL;
    pkt->pool = pool;
    pkt->off = SP_PKT_HEADROOM;
    pkt->len = 0;
    pkt->ecn = 0;
    return pkt;
}

struct sp_pkt *
sp_pkt_from_bytes(struct sp_pkt_pool *pool, const void *p, size_t n)
{
    struct sp_pkt *pkt;

    if (n > SP_DATAGRAM_MAX)
        return NULL;
    pkt = sp_pkt_alloc(pool);
    if (pkt == NULL)
        return NULL;
    if (n)
        memcpy(sp_pkt_data(pkt), p, n);
    pkt->len = (uint16_t)n;
    return pkt;
}

struct sp_pkt *
sp_pkt_clone(const struct sp_pkt *pkt)
{
    struct sp_pkt *copy = sp_pkt_from_bytes(pkt->pool, pkt->buf + pkt->off, pkt->len);

    if (copy)
        copy->ecn = pkt->ecn;
    return copy;
}

void
sp_pkt_free(struct sp_pkt *pkt)
{
    if (pkt == NULL)
        return;
    sp_assert(pkt->pool->in_use > 0);
    pkt->pool->in_use--;
    pkt->next = pkt->pool->free;
    pkt->pool->free = pkt;
}

static void
append(struct sp_pkt_queue *q, struct sp_pkt *pkt)
{
    pkt->next = NULL;
    if (q->tail)
        q->tail->next = pkt;
    else
        q->head = pkt;
    q->tail = pkt;
    q->len++;
}

int
sp_pkt_queue_push(struct sp_pkt_queue *q, struct sp_pkt *pkt)
{
    if (q->len >= q->max) {
        sp_pkt_free(pkt);
        return SP_E_LIMIT;
    }
    append(q, pkt);
    return 0;
}

size_t
sp_pkt_queue_push_ring(struct sp_pkt_queue *q, struct sp_pkt *pkt)
{
    size_t freed = 0;

    while (q->len && q->len >= q->max) {
        sp_pkt_free(sp_pkt_queue_pop(q));
        freed++;
    }
    append(q, pkt);
    return freed;
}

struct sp_pkt *
sp_pkt_queue_pop(struct sp_pkt_queue *q)
{
    struct sp_pkt *pkt = q->head;

    if (pkt == NULL)
        return NULL;
    q->head = pkt->next;
    if (q->head == NULL)
        q->tail = NULL;
    q->len--;
    pkt->next = NULL;
    return pkt;
}

void
sp_pkt_queue_clear(struct sp_pkt_queue *q)
{
    while (q->head)
        sp_pkt_free(sp_pkt_queue_pop(q));
}
