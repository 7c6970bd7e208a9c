/* SPDX-License-Identifier: Apache-2.0 */
/* Hash map from fixed-size keys (compared as memory: pad with zeros) to pointers. Open addressing
 * with a keyed SipHash, so a stranger who picks keys cannot pick collisions.
 * Owner: the caller owns the values. Iteration order is unspecified but the same for the same
 * history of calls and the same key. */
#pragma once

#include "engine/base/defs.h"
#include "engine/base/rng.h"

struct sp_map {
    uint8_t *slots; /* state byte, key, value per slot */
    size_t key_size;
    size_t stride;
    size_t cap; /* power of two or 0 */
    size_t len;
    size_t used; /* len + tombstones */
    uint8_t seed[16];
};

void sp_map_init(struct sp_map *map, size_t key_size, const struct sp_rng *rng);
void sp_map_done(struct sp_map *map);
/** sp_map_get() - the value of @key or NULL */
void *sp_map_get(const struct sp_map *map, const void *key);
/** sp_map_put() - set; @value is not NULL. Returns: the value replaced or NULL */
void *sp_map_put(struct sp_map *map, const void *key, void *value);
/** sp_map_del() - remove. Returns: the value removed or NULL */
void *sp_map_del(struct sp_map *map, const void *key);
/** sp_map_next() - iterate: start with *@pos = 0. Deleting the entry just returned is allowed,
 * inserting is not. Returns: false at the end */
bool sp_map_next(const struct sp_map *map, size_t *pos, const void **ret_key, void **ret_value);
