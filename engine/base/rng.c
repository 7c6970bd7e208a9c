/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/base/rng.h"

#include <sodium.h>

static void
fill_system(void *ctx, void *buf, size_t n)
{
    (void)ctx;
    randombytes_buf(buf, n);
}

struct sp_rng
sp_rng_system(void)
{
    /* Returns 1 when somebody else did it already; a negative value means no entropy source. */
    sp_assert(sodium_init() >= 0);
    return (struct sp_rng){ .fill = fill_system };
}
