/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/base/map.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum {
    SLOT_EMPTY = 0,
    SLOT_FULL = 1,
    SLOT_TOMB = 2,
    VALUE_OFF = 8, /* state byte, then the value pointer on its alignment, then the key */
    KEY_OFF = VALUE_OFF + sizeof(void *),
};

void
sp_map_init(struct sp_map *map, size_t key_size, const struct sp_rng *rng)
{
    *map = (struct sp_map){ .key_size = key_size, .stride = (KEY_OFF + key_size + 7) & ~(size_t)7 };
    sp_rng_fill(rng, map->seed, sizeof map->seed);
}

void
sp_map_done(struct sp_map *map)
{
    free(map->slots);
    map->slots = NULL;
    map->cap = map->len = map->used = 0;
}

static uint8_t *
slot_at(const struct sp_map *map, size_t i)
{
    return map->slots + i * map->stride;
}

static void *
slot_value(const uint8_t *slot)
{
    void *value;

    memcpy(&value, slot + VALUE_OFF, sizeof value);
    return value;
}

static size_t
hash_key(const struct sp_map *map, const void *key)
{
    uint64_t h;

    crypto_shorthash((uint8_t *)&h, key, map->key_size, map->seed);
    return (size_t)h;
}

/* The slot that holds @key, or NULL. */
static uint8_t *
find(const struct sp_map *map, const void *key)
{
    size_t mask = map->cap - 1;

    if (map->len == 0)
        return NULL;
    for (size_t i = hash_key(map, key) & mask;; i = (i + 1) & mask) {
        uint8_t *slot = slot_at(map, i);

        if (slot[0] == SLOT_EMPTY)
            return NULL;
        if (slot[0] == SLOT_FULL && memcmp(slot + KEY_OFF, key, map->key_size) == 0)
            return slot;
    }
}

static void
insert_new(struct sp_map *map, const void *key, void *value)
{
    size_t mask = map->cap - 1;
    size_t i = hash_key(map, key) & mask;
    uint8_t *slot;

    while (slot_at(map, i)[0] == SLOT_FULL)
        i = (i + 1) & mask;
    slot = slot_at(map, i);
    if (slot[0] == SLOT_EMPTY)
        map->used++;
    slot[0] = SLOT_FULL;
    memcpy(slot + VALUE_OFF, &value, sizeof value);
    memcpy(slot + KEY_OFF, key, map->key_size);
    map->len++;
}

static void
rehash(struct sp_map *map)
{
    struct sp_map old = *map;

    map->cap = 16;
    while (map->cap < old.len * 4)
        map->cap *= 2;
    map->slots = sp_xcalloc(map->cap, map->stride);
    map->len = map->used = 0;
    for (size_t i = 0; i < old.cap; i++) {
        uint8_t *slot = slot_at(&old, i);

        if (slot[0] == SLOT_FULL)
            insert_new(map, slot + KEY_OFF, slot_value(slot));
    }
    free(old.slots);
}

void *
sp_map_get(const struct sp_map *map, const void *key)
{
    const uint8_t *slot = find(map, key);

    return slot ? slot_value(slot) : NULL;
}

void *
sp_map_put(struct sp_map *map, const void *key, void *value)
{
    uint8_t *slot = find(map, key);
    void *old = NULL;

    sp_assert(value != NULL);
    if (slot) {
        old = slot_value(slot);
        memcpy(slot + VALUE_OFF, &value, sizeof value);
        return old;
    }
    if (map->cap == 0 || (map->used + 1) * 4 > map->cap * 3)
        rehash(map);
    insert_new(map, key, value);
    return NULL;
}

void *
sp_map_del(struct sp_map *map, const void *key)
{
    uint8_t *slot = find(map, key);

    if (slot == NULL)
        return NULL;
    slot[0] = SLOT_TOMB;
    map->len--;
    return slot_value(slot);
}

bool
sp_map_next(const struct sp_map *map, size_t *pos, const void **ret_key, void **ret_value)
{
    while (*pos < map->cap) {
        const uint8_t *slot = slot_at(map, (*pos)++);

        if (slot[0] != SLOT_FULL)
            continue;
        if (ret_key)
            *ret_key = slot + KEY_OFF;
        if (ret_value)
            *ret_value = slot_value(slot);
        return true;
    }
    return false;
}
