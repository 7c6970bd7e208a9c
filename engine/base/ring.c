/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/base/ring.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/err.h"

void
sp_ring_init(struct sp_ring *ring, size_t elem_size, size_t max)
{
    *ring = (struct sp_ring){ .elem = elem_size, .max = max };
}

void
sp_ring_done(struct sp_ring *ring)
{
    free(ring->slots);
    *ring = (struct sp_ring){ .elem = ring->elem, .max = ring->max };
}

static void
grow(struct sp_ring *ring)
{
    size_t cap = ring->cap ? ring->cap * 2 : 8;
    uint8_t *slots = sp_xcalloc(cap, ring->elem);

    for (size_t i = 0; i < ring->len; i++)
        memcpy(slots + i * ring->elem, sp_ring_at(ring, i), ring->elem);
    free(ring->slots);
    ring->slots = slots;
    ring->cap = cap;
    ring->head = 0;
}

int
sp_ring_push(struct sp_ring *ring, const void *value)
{
    if (ring->len >= ring->max)
        return SP_E_LIMIT;
    if (ring->len == ring->cap)
        grow(ring);
    ring->len++;
    memcpy(sp_ring_at(ring, ring->len - 1), value, ring->elem);
    return 0;
}

bool
sp_ring_pop(struct sp_ring *ring, void *ret_value)
{
    if (ring->len == 0)
        return false;
    memcpy(ret_value, sp_ring_at(ring, 0), ring->elem);
    ring->head = (ring->head + 1) & (ring->cap - 1);
    ring->len--;
    return true;
}

void *
sp_ring_at(const struct sp_ring *ring, size_t i)
{
    sp_assert(i < ring->len);
    return ring->slots + ((ring->head + i) & (ring->cap - 1)) * ring->elem;
}
