/* SPDX-License-Identifier: Apache-2.0 */
/* Bounded FIFO of equal-sized values (events, transmits). Grows up to @max, then refuses. */
#pragma once

#include "engine/base/defs.h"

struct sp_ring {
    uint8_t *slots;
    size_t elem; /* bytes of one value */
    size_t cap;  /* slots allocated, a power of two or 0 */
    size_t max;  /* the bound on @len */
    size_t head;
    size_t len;
};

void sp_ring_init(struct sp_ring *ring, size_t elem_size, size_t max);
/** sp_ring_done() - free the slots; values that own something must be popped first */
void sp_ring_done(struct sp_ring *ring);
/** sp_ring_push() - copy *@value in. Returns: 0 or SP_E_LIMIT (the caller keeps the value) */
SP_MUST_CHECK int sp_ring_push(struct sp_ring *ring, const void *value);
/** sp_ring_pop() - copy the oldest out and forget it. Returns: false when empty */
bool sp_ring_pop(struct sp_ring *ring, void *ret_value);
/** sp_ring_at() - borrow the @i-th oldest; valid until the next push or pop */
void *sp_ring_at(const struct sp_ring *ring, size_t i);
