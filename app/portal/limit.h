/* SPDX-License-Identifier: Apache-2.0 */
/* Token buckets by key, bounded in number. Used for connects per (address, token) and for failed
 * sign-ins. Time is an argument, in microseconds. */
#pragma once

#include <glib.h>

#include "engine/base/defs.h"

#define SP_CP_LIMIT_KEYS_MAX 10000

/** struct sp_cp_bucket - one bucket by itself; zero is not valid, see sp_cp_bucket_init() */
struct sp_cp_bucket {
    double tokens;
    int64_t at;
};
void sp_cp_bucket_init(struct sp_cp_bucket *bucket, double burst, int64_t now_us);
bool sp_cp_bucket_take(struct sp_cp_bucket *bucket,
                       double per_second,
                       double burst,
                       int64_t now_us);

struct sp_cp_limit;

/** sp_cp_limit_new() - @per_second tokens flow back up to @burst; @per_second <= 0: no limit */
struct sp_cp_limit *sp_cp_limit_new(double per_second, double burst);
void sp_cp_limit_free(struct sp_cp_limit *limit);
/** sp_cp_limit_take() - false when the bucket of @key is empty, or the table is full of strangers */
bool sp_cp_limit_take(struct sp_cp_limit *limit, const char *key, int64_t now_us);
