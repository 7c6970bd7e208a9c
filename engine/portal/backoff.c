/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/portal/backoff.h"

#include "engine/base/err.h"

void
sp_backoff_init(struct sp_backoff *b, sp_duration budget)
{
    *b = (struct sp_backoff){ .budget = budget, .unit = SP_SEC(1) };
    sp_backoff_reset(b);
}

/* Protocol durations are whole milliseconds; the unit scales them. */
static sp_duration
scale(const struct sp_backoff *b, sp_duration d)
{
    return d / SP_MS(1) * (b->unit / 1000);
}

static int
spend(struct sp_backoff *b, sp_duration delay, sp_duration budget)
{
    if (budget != SP_BACKOFF_UNLIMITED && sp_time_add(b->used, delay) > budget)
        return SP_E_LIMIT;
    b->used = sp_time_add(b->used, delay);
    return 0;
}

static int
next_first(struct sp_backoff *b, sp_duration *ret_delay)
{
    sp_duration delay = scale(b, SP_BACKOFF_FIRST_DELAY);
    int r = spend(b, delay, scale(b, SP_BACKOFF_FIRST_BUDGET));

    if (r == 0)
        *ret_delay = delay;
    return r;
}

static sp_duration
jitter(const struct sp_rng *rng, sp_duration d)
{
    /* A bias of 2^-28 or less does no harm to a jitter. */
    return d == 0 ? 0 : sp_rng_u64(rng) % d;
}

static int
next_exponential(struct sp_backoff *b, const struct sp_rng *rng, sp_duration *ret_delay)
{
    sp_duration base = scale(b, b->interval);
    sp_duration delay = base + jitter(rng, base);
    int r = spend(b, delay, b->budget);

    if (r < 0)
        return r;
    b->interval = SP_MIN(b->interval + b->interval / 2, SP_BACKOFF_CAP);
    *ret_delay = delay;
    return 0;
}

int
sp_backoff_next(struct sp_backoff *b,
                int64_t retry_after_s,
                const struct sp_rng *rng,
                sp_duration *ret_delay)
{
    if (retry_after_s >= 0) {
        sp_duration max = SP_BACKOFF_RETRY_AFTER_MAX;

        *ret_delay =
            scale(b, (uint64_t)retry_after_s > max / SP_SEC(1) ? max : SP_SEC(retry_after_s));
        return 0;
    }
    return b->was_connected ? next_exponential(b, rng, ret_delay) : next_first(b, ret_delay);
}

void
sp_backoff_reset(struct sp_backoff *b)
{
    b->used = 0;
    b->interval = SP_BACKOFF_INITIAL;
}

void
sp_backoff_connected(struct sp_backoff *b)
{
    b->was_connected = true;
    sp_backoff_reset(b);
}
