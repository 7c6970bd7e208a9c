/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/base/uuid.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/err.h"

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int
sp_uuid_parse(const char *text, struct sp_uuid *ret_id)
{
    size_t n = strlen(text);
    bool hyphens = n == 36;
    struct sp_uuid id = { 0 };
    size_t digits = 0;

    if (n != 32 && n != 36)
        return SP_E_MALFORMED;
    for (size_t i = 0; i < n; i++) {
        int v = hex_digit(text[i]);

        if (hyphens && (i == 8 || i == 13 || i == 18 || i == 23)) {
            if (text[i] != '-')
                return SP_E_MALFORMED;
            continue;
        }
        if (v < 0)
            return SP_E_MALFORMED;
        id.b[digits / 2] = (uint8_t)(id.b[digits / 2] << 4 | v);
        digits++;
    }
    *ret_id = id;
    return 0;
}

const char *
sp_uuid_format(const struct sp_uuid *id, char out[SP_UUID_STR_MAX])
{
    const uint8_t *b = id->b;

    snprintf(out,
             SP_UUID_STR_MAX,
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
             b[0],
             b[1],
             b[2],
             b[3],
             b[4],
             b[5],
             b[6],
             b[7],
             b[8],
             b[9],
             b[10],
             b[11],
             b[12],
             b[13],
             b[14],
             b[15]);
    return out;
}

bool
sp_uuid_equal(const struct sp_uuid *a, const struct sp_uuid *b)
{
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}

int
sp_uuid_compare(const struct sp_uuid *a, const struct sp_uuid *b)
{
    return memcmp(a->b, b->b, sizeof a->b);
}

struct sp_uuid
sp_uuid_random(const struct sp_rng *rng)
{
    struct sp_uuid id;

    sp_rng_fill(rng, id.b, sizeof id.b);
    id.b[6] = (uint8_t)((id.b[6] & 0x0f) | 0x40);
    id.b[8] = (uint8_t)((id.b[8] & 0x3f) | 0x80);
    return id;
}
