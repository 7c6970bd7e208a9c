/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 9562 identifiers of portal objects (clients, gateways, resources, relays, sites). */
#pragma once

#include "engine/base/defs.h"
#include "engine/base/rng.h"

struct sp_uuid {
    uint8_t b[16];
};

#define SP_UUID_STR_MAX 37

/** sp_uuid_parse() - 8-4-4-4-12 hex or 32 hex digits, any case. Returns: 0 or SP_E_MALFORMED */
SP_MUST_CHECK int sp_uuid_parse(const char *text, struct sp_uuid *ret_id);
/** sp_uuid_format() - lower case with hyphens */
const char *sp_uuid_format(const struct sp_uuid *id, char out[SP_UUID_STR_MAX]);
bool sp_uuid_equal(const struct sp_uuid *a, const struct sp_uuid *b);
int sp_uuid_compare(const struct sp_uuid *a, const struct sp_uuid *b);
/** sp_uuid_random() - version 4 */
struct sp_uuid sp_uuid_random(const struct sp_rng *rng);
