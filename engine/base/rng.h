/* SPDX-License-Identifier: Apache-2.0 */
/* Randomness as an argument: the programs pass libsodium's generator, tests a seeded one. */
#pragma once

#include "engine/base/defs.h"

struct sp_rng {
    void (*fill)(void *ctx, void *buf, size_t n); /* never fails */
    void *ctx;
};

static inline void
sp_rng_fill(const struct sp_rng *rng, void *buf, size_t n)
{
    rng->fill(rng->ctx, buf, n);
}

static inline uint32_t
sp_rng_u32(const struct sp_rng *rng)
{
    uint32_t v;

    sp_rng_fill(rng, &v, sizeof v);
    return v;
}

static inline uint64_t
sp_rng_u64(const struct sp_rng *rng)
{
    uint64_t v;

    sp_rng_fill(rng, &v, sizeof v);
    return v;
}

/** sp_rng_below() - uniform in [0, @bound), @bound >= 1; rejection keeps it unbiased */
static inline uint32_t
sp_rng_below(const struct sp_rng *rng, uint32_t bound)
{
    uint32_t min, v;

    sp_assert(bound > 0);
    min = (uint32_t)(-bound) % bound;
    do
        v = sp_rng_u32(rng);
    while (v < min);
    return v % bound;
}

/** sp_rng_system() - the operating system's generator by way of libsodium */
struct sp_rng sp_rng_system(void);
