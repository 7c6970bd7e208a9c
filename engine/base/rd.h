/* SPDX-License-Identifier: Apache-2.0 */
/* Reading cursor over untrusted bytes with a sticky error: after the first read past the end every
 * further read gives zeros and sp_rd_ok() is false. Check once, at the end. */
#pragma once

#include <string.h>

#include "engine/base/span.h"

struct sp_rd {
    const uint8_t *p;
    const uint8_t *end;
    bool failed;
};

static inline struct sp_rd
sp_rd(const void *p, size_t n)
{
    return (struct sp_rd){ .p = p, .end = (const uint8_t *)p + n };
}

static inline struct sp_rd
sp_rd_span(struct sp_span s)
{
    return sp_rd(s.p, s.n);
}

static inline bool
sp_rd_ok(const struct sp_rd *r)
{
    return !r->failed;
}

static inline size_t
sp_rd_left(const struct sp_rd *r)
{
    return r->failed ? 0 : (size_t)(r->end - r->p);
}

/** sp_rd_take() - advance by @n and return the bytes skipped; NULL (and failed) when too few */
static inline const uint8_t *
sp_rd_take(struct sp_rd *r, size_t n)
{
    const uint8_t *p = r->p;

    if (r->failed || (size_t)(r->end - r->p) < n) {
        r->failed = true;
        return NULL;
    }
    r->p += n;
    return p;
}

static inline struct sp_span
sp_rd_span_n(struct sp_rd *r, size_t n)
{
    const uint8_t *p = sp_rd_take(r, n);

    return sp_span(p, p ? n : 0);
}

/** sp_rd_bytes() - copy @n bytes to @dst; zeros on failure */
static inline void
sp_rd_bytes(struct sp_rd *r, void *dst, size_t n)
{
    const uint8_t *p = sp_rd_take(r, n);

    if (p)
        memcpy(dst, p, n);
    else
        memset(dst, 0, n);
}

static inline uint8_t
sp_rd_u8(struct sp_rd *r)
{
    const uint8_t *p = sp_rd_take(r, 1);

    return p ? p[0] : 0;
}

/* Fixed-offset getters for bytes whose presence was checked before. */
static inline uint16_t
sp_get_be16(const uint8_t *p)
{
    return (uint16_t)((p[0] << 8) | p[1]);
}

static inline uint32_t
sp_get_be32(const uint8_t *p)
{
    return ((uint32_t)p[0] << 24) | ((uint32_t)p[1] << 16) | ((uint32_t)p[2] << 8) | p[3];
}

static inline uint64_t
sp_get_be64(const uint8_t *p)
{
    return ((uint64_t)sp_get_be32(p) << 32) | sp_get_be32(p + 4);
}

static inline uint32_t
sp_get_le32(const uint8_t *p)
{
    return ((uint32_t)p[3] << 24) | ((uint32_t)p[2] << 16) | ((uint32_t)p[1] << 8) | p[0];
}

static inline uint64_t
sp_get_le64(const uint8_t *p)
{
    return ((uint64_t)sp_get_le32(p + 4) << 32) | sp_get_le32(p);
}

static inline uint16_t
sp_rd_be16(struct sp_rd *r)
{
    const uint8_t *p = sp_rd_take(r, 2);

    return p ? sp_get_be16(p) : 0;
}

static inline uint32_t
sp_rd_be32(struct sp_rd *r)
{
    const uint8_t *p = sp_rd_take(r, 4);

    return p ? sp_get_be32(p) : 0;
}

static inline uint64_t
sp_rd_be64(struct sp_rd *r)
{
    const uint8_t *p = sp_rd_take(r, 8);

    return p ? sp_get_be64(p) : 0;
}

static inline uint32_t
sp_rd_le32(struct sp_rd *r)
{
    const uint8_t *p = sp_rd_take(r, 4);

    return p ? sp_get_le32(p) : 0;
}

static inline uint64_t
sp_rd_le64(struct sp_rd *r)
{
    const uint8_t *p = sp_rd_take(r, 8);

    return p ? sp_get_le64(p) : 0;
}
