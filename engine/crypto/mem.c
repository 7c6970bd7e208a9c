/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/crypto/mem.h"

#include <sodium.h>

void
sp_wipe(void *p, size_t n)
{
    sodium_memzero(p, n);
}

bool
sp_equal_ct(const void *a, const void *b, size_t n)
{
    return sodium_memcmp(a, b, n) == 0;
}
