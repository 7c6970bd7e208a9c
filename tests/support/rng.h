/* SPDX-License-Identifier: Apache-2.0 */
/* Seeded generator for tests: xoshiro256** (Blackman and Vigna), same sequence on every machine. */
#pragma once

#include "engine/base/rng.h"

struct test_rng {
    uint64_t s[4];
};

/** test_rng_init() - @seed through splitmix64; the returned interface borrows @state */
struct sp_rng test_rng_init(struct test_rng *state, uint64_t seed);
