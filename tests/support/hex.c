/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/hex.h"

#include <glib.h>

size_t
test_unhex(const char *hex, uint8_t *out, size_t cap)
{
    size_t n = 0;

    while (*hex) {
        if (*hex == ' ') {
            hex++;
            continue;
        }
        g_assert_true(g_ascii_isxdigit(hex[0]) && g_ascii_isxdigit(hex[1]));
        g_assert_cmpuint(n, <, cap);
        out[n++] = (uint8_t)((g_ascii_xdigit_value(hex[0]) << 4) | g_ascii_xdigit_value(hex[1]));
        hex += 2;
    }
    return n;
}
