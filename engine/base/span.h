/* SPDX-License-Identifier: Apache-2.0 */
/* A borrowed view of bytes. Views are never stored. */
#pragma once

#include "engine/base/defs.h"

struct sp_span {
    const uint8_t *p;
    size_t n;
};

static inline struct sp_span
sp_span(const void *p, size_t n)
{
    return (struct sp_span){ .p = p, .n = n };
}
