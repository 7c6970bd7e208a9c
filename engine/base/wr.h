/* SPDX-License-Identifier: Apache-2.0 */
/* Writing cursor with a sticky error: a write that does not fit writes nothing and makes
 * sp_wr_ok() false. Marks (offsets) allow a length to be patched in later. */
#pragma once

#include <string.h>

#include "engine/base/span.h"

struct sp_wr {
    uint8_t *start;
    uint8_t *p;
    uint8_t *end;
    bool failed;
};

static inline struct sp_wr
sp_wr(void *p, size_t cap)
{
    return (struct sp_wr){ .start = p, .p = p, .end = (uint8_t *)p + cap };
}

static inline bool
sp_wr_ok(const struct sp_wr *w)
{
    return !w->failed;
}

static inline size_t
sp_wr_len(const struct sp_wr *w)
{
    return (size_t)(w->p - w->start);
}

/* Advance by @n, or fail. The writers below use this and not sp_wr_reserve(): a pointer that may be
 * NULL makes compilers see, and warn of, a write to address zero once it is all inlined. */
static inline bool
sp_wr_advance(struct sp_wr *w, size_t n)
{
    if (w->failed || (size_t)(w->end - w->p) < n) {
        w->failed = true;
        return false;
    }
    w->p += n;
    return true;
}

/** sp_wr_reserve() - advance by @n and return the room; NULL (and failed) when it does not fit */
static inline uint8_t *
sp_wr_reserve(struct sp_wr *w, size_t n)
{
    return sp_wr_advance(w, n) ? w->p - n : NULL;
}

static inline void
sp_wr_bytes(struct sp_wr *w, const void *src, size_t n)
{
    if (sp_wr_advance(w, n) && n)
        memcpy(w->p - n, src, n);
}

static inline void
sp_wr_zero(struct sp_wr *w, size_t n)
{
    if (sp_wr_advance(w, n) && n)
        memset(w->p - n, 0, n);
}

static inline void
sp_put_be16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void
sp_put_be32(uint8_t *p, uint32_t v)
{
    sp_put_be16(p, (uint16_t)(v >> 16));
    sp_put_be16(p + 2, (uint16_t)v);
}

static inline void
sp_put_be64(uint8_t *p, uint64_t v)
{
    sp_put_be32(p, (uint32_t)(v >> 32));
    sp_put_be32(p + 4, (uint32_t)v);
}

static inline void
sp_put_le32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
    p[2] = (uint8_t)(v >> 16);
    p[3] = (uint8_t)(v >> 24);
}

static inline void
sp_put_le64(uint8_t *p, uint64_t v)
{
    sp_put_le32(p, (uint32_t)v);
    sp_put_le32(p + 4, (uint32_t)(v >> 32));
}

static inline void
sp_wr_u8(struct sp_wr *w, uint8_t v)
{
    if (sp_wr_advance(w, 1))
        w->p[-1] = v;
}

static inline void
sp_wr_be16(struct sp_wr *w, uint16_t v)
{
    if (sp_wr_advance(w, 2))
        sp_put_be16(w->p - 2, v);
}

static inline void
sp_wr_be32(struct sp_wr *w, uint32_t v)
{
    if (sp_wr_advance(w, 4))
        sp_put_be32(w->p - 4, v);
}

static inline void
sp_wr_be64(struct sp_wr *w, uint64_t v)
{
    if (sp_wr_advance(w, 8))
        sp_put_be64(w->p - 8, v);
}

static inline void
sp_wr_le32(struct sp_wr *w, uint32_t v)
{
    if (sp_wr_advance(w, 4))
        sp_put_le32(w->p - 4, v);
}

static inline void
sp_wr_le64(struct sp_wr *w, uint64_t v)
{
    if (sp_wr_advance(w, 8))
        sp_put_le64(w->p - 8, v);
}
