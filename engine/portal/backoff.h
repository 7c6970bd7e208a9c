/* SPDX-License-Identifier: Apache-2.0 */
/* When to dial the portal again. Source: spec portal-protocol 2.4.
 * Owner: one per role. Thread: the owner's. I/O: none. */
#pragma once

#include "engine/base/defs.h"
#include "engine/base/rng.h"
#include "engine/base/time.h"

#define SP_BACKOFF_FIRST_DELAY     SP_SEC(1)
#define SP_BACKOFF_FIRST_BUDGET    SP_SEC(15)
#define SP_BACKOFF_INITIAL         SP_MS(500)
#define SP_BACKOFF_CAP             SP_SEC(60)
#define SP_BACKOFF_RETRY_AFTER_MAX SP_SEC(3600) /* a longer wish of the server is cut to this */

#define SP_BACKOFF_UNLIMITED       ((sp_duration)UINT64_MAX)
#define SP_BACKOFF_BUDGET_GUI      SP_SEC(30 * 86400)
#define SP_BACKOFF_BUDGET_GATEWAY  SP_SEC(86400)

#define SP_BACKOFF_NO_RETRY_AFTER  (-1)

/** struct sp_backoff - @budget: cumulative delay allowed after the first success
 * @unit: length of one protocol second, SP_SEC(1); tests shorten it */
struct sp_backoff {
    sp_duration budget;
    sp_duration unit;
    sp_duration used;
    sp_duration interval;
    bool was_connected;
};

/** sp_backoff_init() - @budget: SP_BACKOFF_*, or any duration */
void sp_backoff_init(struct sp_backoff *b, sp_duration budget);

/**
 * sp_backoff_next() - delay before the next dial after a transient error
 * @retry_after_s: seconds the server asked for, or SP_BACKOFF_NO_RETRY_AFTER. Costs no budget.
 * @rng: jitter
 * @ret_delay: written on 0
 *
 * Returns: 0; SP_E_LIMIT when the budget is used up, which is final
 */
SP_MUST_CHECK int sp_backoff_next(struct sp_backoff *b,
                                  int64_t retry_after_s,
                                  const struct sp_rng *rng,
                                  sp_duration *ret_delay);

/** sp_backoff_connected() - a join succeeded; from now on the long budget applies */
void sp_backoff_connected(struct sp_backoff *b);
/** sp_backoff_reset() - an explicit dial: start over, but remember that we were connected */
void sp_backoff_reset(struct sp_backoff *b);
