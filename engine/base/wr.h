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

/** sp_wr_reserve() - advance by @n and return the room; NULL (and failed) when it does not fit */
static inline uint8_t *
sp_wr_reserve(struct sp_wr *w, size_t n)
{
    uint8_t *p = w->p;

    if (w->failed || (size_t)(w->end - w->p) < n) {
        w->failed = true;
        return NULL;
    }
    w->p += n;
    return p;
}

static inline void
sp_wr_bytes(struct sp_wr *w, const void *src, size_t n)
{
    uint8_t *p = sp_wr_reserve(w, n);

    if (p && n)
        memcpy(p, src, n);
}

static inline void
sp_wr_zero(struct sp_wr *w, size_t n)
{
    uint8_t *p = sp_wr_reserve(w, n);

    if (p && n)
        memset(p, 0, n);
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
    uint8_t *p = sp_wr_reserve(w, 1);

    if (p)
        p[0] = v;
}

static inline void
sp_wr_be16(struct sp_wr *w, uint16_t v)
{
    uint8_t *p = sp_wr_reserve(w, 2);

    if (p)
        sp_put_be16(p, v);
}

static inline void
sp_wr_be32(struct sp_wr *w, uint32_t v)
{
    uint8_t *p = sp_wr_reserve(w, 4);

    if (p)
        sp_put_be32(p, v);
}

static inline void
sp_wr_be64(struct sp_wr *w, uint64_t v)
{
    uint8_t *p = sp_wr_reserve(w, 8);

    if (p)
        sp_put_be64(p, v);
}

static inline void
sp_wr_le32(struct sp_wr *w, uint32_t v)
{
    uint8_t *p = sp_wr_reserve(w, 4);

    if (p)
        sp_put_le32(p, v);
}

static inline void
sp_wr_le64(struct sp_wr *w, uint64_t v)
{
    uint8_t *p = sp_wr_reserve(w, 8);

    if (p)
        sp_put_le64(p, v);
}
