/* SPDX-License-Identifier: Apache-2.0 */
#include "app/portal/limit.h"

struct sp_cp_limit {
    double per_second;
    double burst;
    GHashTable *buckets; /* key -> struct bucket */
};

struct bucket {
    double tokens;
    int64_t at;
};

struct sp_cp_limit *
sp_cp_limit_new(double per_second, double burst)
{
    struct sp_cp_limit *l = g_new0(struct sp_cp_limit, 1);

    l->per_second = per_second;
    l->burst = MAX(burst, 1.0);
    l->buckets = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    return l;
}

void
sp_cp_limit_free(struct sp_cp_limit *l)
{
    if (!l)
        return;
    g_hash_table_unref(l->buckets);
    g_free(l);
}

static void
refill(const struct sp_cp_limit *l, struct bucket *b, int64_t now_us)
{
    double secs = (double)(now_us - b->at) / G_USEC_PER_SEC;

    if (secs > 0) {
        b->tokens = MIN(l->burst, b->tokens + secs * l->per_second);
        b->at = now_us;
    }
}

/* A full bucket is the same as none. */
static void
forget_full(struct sp_cp_limit *l, int64_t now_us)
{
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, l->buckets);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        struct bucket *b = value;

        refill(l, b, now_us);
        if (b->tokens >= l->burst)
            g_hash_table_iter_remove(&iter);
    }
}

bool
sp_cp_limit_take(struct sp_cp_limit *l, const char *key, int64_t now_us)
{
    struct bucket *b;

    if (l->per_second <= 0)
        return true;
    b = g_hash_table_lookup(l->buckets, key);
    if (!b) {
        if (g_hash_table_size(l->buckets) >= SP_CP_LIMIT_KEYS_MAX)
            forget_full(l, now_us);
        if (g_hash_table_size(l->buckets) >= SP_CP_LIMIT_KEYS_MAX)
            return false;
        b = g_new0(struct bucket, 1);
        *b = (struct bucket){ .tokens = l->burst, .at = now_us };
        g_hash_table_insert(l->buckets, g_strdup(key), b);
    }
    refill(l, b, now_us);
    if (b->tokens < 1.0)
        return false;
    b->tokens -= 1.0;
    return true;
}
