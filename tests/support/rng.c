/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/rng.h"

#include <string.h>

static uint64_t
rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

static uint64_t
next(struct test_rng *r)
{
    uint64_t result = rotl(r->s[1] * 5, 7) * 9;
    uint64_t t = r->s[1] << 17;

    r->s[2] ^= r->s[0];
    r->s[3] ^= r->s[1];
    r->s[1] ^= r->s[2];
    r->s[0] ^= r->s[3];
    r->s[2] ^= t;
    r->s[3] = rotl(r->s[3], 45);
    return result;
}

static void
fill(void *ctx, void *buf, size_t n)
{
    uint8_t *out = buf;

    while (n) {
        uint64_t v = next(ctx);
        size_t part = SP_MIN(n, sizeof v);

        memcpy(out, &v, part);
        out += part;
        n -= part;
    }
}

struct sp_rng
test_rng_init(struct test_rng *state, uint64_t seed)
{
    for (size_t i = 0; i < SP_ARRAY_SIZE(state->s); i++) {
        uint64_t z = (seed += UINT64_C(0x9e3779b97f4a7c15));

        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        state->s[i] = z ^ (z >> 31);
    }
    return (struct sp_rng){ .fill = fill, .ctx = state };
}
