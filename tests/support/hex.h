/* SPDX-License-Identifier: Apache-2.0 */
/* Hex text of published vectors to bytes. */
#pragma once

#include "engine/base/defs.h"

/** test_unhex() - write the bytes of @hex (blanks skipped) to @out; aborts the test when the text
 * is bad or does not fit. Returns: number of bytes */
size_t test_unhex(const char *hex, uint8_t *out, size_t cap);

/** test_assert_mem() - g_assert_cmpmem() with lengths of type size_t */
#define test_assert_mem(a, na, b, nb) g_assert_cmpmem((a), (int)(na), (b), (int)(nb))
