/* SPDX-License-Identifier: Apache-2.0 */
#include "app/platform/clock.h"

#include <time.h>

static int64_t
read_clock(clockid_t id)
{
    struct timespec ts;

    sp_assert(clock_gettime(id, &ts) == 0);
    return (int64_t)ts.tv_sec * (int64_t)SP_NS_PER_SEC + ts.tv_nsec;
}

sp_time
sp_clock_now(void)
{
    return (sp_time)read_clock(CLOCK_BOOTTIME);
}

struct sp_wall
sp_clock_wall(void)
{
    return (struct sp_wall){ read_clock(CLOCK_REALTIME) - read_clock(CLOCK_BOOTTIME) };
}
