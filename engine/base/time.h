/* SPDX-License-Identifier: Apache-2.0 */
/* Time as the engine sees it: nanoseconds of a clock that counts suspend (CLOCK_BOOTTIME).
 * The engine never reads a clock; `now` is an argument, sampled once per loop turn. */
#pragma once

#include "engine/base/defs.h"

/** sp_time - nanoseconds since an arbitrary start, never going back */
typedef uint64_t sp_time;
/** sp_duration - nanoseconds */
typedef uint64_t sp_duration;

#define SP_TIME_NEVER ((sp_time)UINT64_MAX)
#define SP_NS_PER_SEC UINT64_C(1000000000)
#define SP_US(x)      ((sp_duration)(x)*UINT64_C(1000))
#define SP_MS(x)      ((sp_duration)(x)*UINT64_C(1000000))
#define SP_SEC(x)     ((sp_duration)(x)*SP_NS_PER_SEC)

/** sp_time_add() - saturating: NEVER stays NEVER, overflow becomes NEVER */
static inline sp_time
sp_time_add(sp_time t, sp_duration d)
{
    return t > SP_TIME_NEVER - d ? SP_TIME_NEVER : t + d;
}

/** sp_time_since() - time passed from @then to @now, 0 if @then lies ahead */
static inline sp_duration
sp_time_since(sp_time then, sp_time now)
{
    return now > then ? now - then : 0;
}

/** sp_time_due() - true when @deadline is set and has come */
static inline bool
sp_time_due(sp_time deadline, sp_time now)
{
    return deadline != SP_TIME_NEVER && deadline <= now;
}

static inline sp_time
sp_time_min(sp_time a, sp_time b)
{
    return a < b ? a : b;
}

/** struct sp_wall - anchor between the engine's clock and Unix time, taken once at start.
 * @unix_ns_at_zero: Unix time in ns that belongs to engine time 0 (may be negative in tests) */
struct sp_wall {
    int64_t unix_ns_at_zero;
};

/** sp_wall_unix_ns() - Unix time in ns at engine time @now; a pure function of @now */
static inline int64_t
sp_wall_unix_ns(struct sp_wall wall, sp_time now)
{
    return wall.unix_ns_at_zero + (int64_t)now;
}

/** sp_wall_to_time() - engine time of a Unix second given by the portal.
 * Earlier than @now: @now (already expired). Not representable: @now + 1 day (spec tunnel 0.7). */
static inline sp_time
sp_wall_to_time(struct sp_wall wall, int64_t unix_s, sp_time now)
{
    int64_t ns;

    if (__builtin_mul_overflow(unix_s, (int64_t)SP_NS_PER_SEC, &ns)
        || __builtin_sub_overflow(ns, wall.unix_ns_at_zero, &ns))
        return unix_s < 0 ? now : sp_time_add(now, SP_SEC(86400));
    return ns < 0 || (sp_time)ns < now ? now : (sp_time)ns;
}
