/* SPDX-License-Identifier: Apache-2.0 */
#include "app/portal/limit.h"

struct sp_cp_limit {
    double per_second;
    double burst;
    GHashTable *buckets; /* key -> struct sp_cp_bucket */
};

void
sp_cp_bucket_init(struct sp_cp_bucket *b, double burst, int64_t now_us)
{
    *b = (struct sp_cp_bucket){ .tokens = burst, .at = now_us };
}

static void
refill(struct sp_cp_bucket *b, double per_second, double burst, int64_t now_us)
{
    double secs = (double)(now_us - b->at) / G_USEC_PER_SEC;

    if (secs > 0) {
        b->tokens = MIN(burst, b->tokens + secs * per_second);
        b->at = now_us;
    }
}

bool
sp_cp_bucket_take(struct sp_cp_bucket *b, double per_second, double burst, int64_t now_us)
{
    refill(b, per_second, burst, now_us);
    if (b->tokens < 1.0)
        return false;
    b->tokens -= 1.0;
    return true;
}

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

/* A full bucket is the same as none. */
static void
forget_full(struct sp_cp_limit *l, int64_t now_us)
{
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, l->buckets);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        struct sp_cp_bucket *b = value;

        refill(b, l->per_second, l->burst, now_us);
        if (b->tokens >= l->burst)
            g_hash_table_iter_remove(&iter);
    }
}

bool
sp_cp_limit_take(struct sp_cp_limit *l, const char *key, int64_t now_us)
{
    struct sp_cp_bucket *b;

    if (l->per_second <= 0)
        return true;
    b = g_hash_table_lookup(l->buckets, key);
    if (!b) {
        if (g_hash_table_size(l->buckets) >= SP_CP_LIMIT_KEYS_MAX)
            forget_full(l, now_us);
        if (g_hash_table_size(l->buckets) >= SP_CP_LIMIT_KEYS_MAX)
            return false;
        b = g_new0(struct sp_cp_bucket, 1);
        sp_cp_bucket_init(b, l->burst, now_us);
        g_hash_table_insert(l->buckets, g_strdup(key), b);
    }
    return sp_cp_bucket_take(b, l->per_second, l->burst, now_us);
}
