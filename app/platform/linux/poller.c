/* SPDX-License-Identifier: Apache-2.0 */
#include "app/platform/poller.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define TAG_WAKE  32u
#define TAG_TIMER 33u

struct sp_poller {
    int epoll;
    int event;
    int timer;
    sp_time armed; /* what the timer is set to */
};

static int
add_tag(struct sp_poller *poller, int fd, unsigned tag)
{
    struct epoll_event ev = { .events = EPOLLIN, .data.u32 = tag };

    return epoll_ctl(poller->epoll, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

static int
open_all(struct sp_poller *poller)
{
    int r;

    poller->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (poller->epoll < 0)
        return -errno;
    poller->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (poller->event < 0)
        return -errno;
    poller->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (poller->timer < 0)
        return -errno;
    r = add_tag(poller, poller->event, TAG_WAKE);
    return r < 0 ? r : add_tag(poller, poller->timer, TAG_TIMER);
}

int
sp_poller_new(struct sp_poller **ret_poller)
{
    struct sp_poller *poller = sp_xcalloc(1, sizeof *poller);
    int r;

    *poller = (struct sp_poller){ .epoll = -1, .event = -1, .timer = -1, .armed = SP_TIME_NEVER };
    r = open_all(poller);
    if (r < 0) {
        sp_poller_free(poller);
        return r;
    }
    *ret_poller = poller;
    return 0;
}

void
sp_poller_free(struct sp_poller *poller)
{
    if (!poller)
        return;
    if (poller->timer >= 0)
        close(poller->timer);
    if (poller->event >= 0)
        close(poller->event);
    if (poller->epoll >= 0)
        close(poller->epoll);
    free(poller);
}

int
sp_poller_add(struct sp_poller *poller, int fd, unsigned tag)
{
    sp_assert(tag > 0 && tag < 32);
    return add_tag(poller, fd, tag);
}

void
sp_poller_remove(struct sp_poller *poller, int fd)
{
    epoll_ctl(poller->epoll, EPOLL_CTL_DEL, fd, NULL);
}

/* A deadline that moves away leaves the timer alone: one early wake-up is cheaper than a system
 * call for every packet that pushes a keepalive back. */
static void
arm(struct sp_poller *poller, sp_time deadline)
{
    struct itimerspec its = { 0 };

    if (deadline >= poller->armed)
        return;
    its.it_value.tv_sec = (time_t)(deadline / SP_NS_PER_SEC);
    its.it_value.tv_nsec = (long)(deadline % SP_NS_PER_SEC);
    if (timerfd_settime(poller->timer, TFD_TIMER_ABSTIME, &its, NULL) == 0)
        poller->armed = deadline;
}

static void
drain(int fd)
{
    uint64_t v;

    while (read(fd, &v, sizeof v) == (ssize_t)sizeof v)
        ;
}

uint32_t
sp_poller_wait(struct sp_poller *poller, sp_time now, sp_time deadline)
{
    struct epoll_event ev[8];
    uint32_t ready = 0;
    int n;

    if (deadline > now)
        arm(poller, deadline);
    n = epoll_wait(poller->epoll, ev, (int)SP_ARRAY_SIZE(ev), deadline <= now ? 0 : -1);
    for (int i = 0; i < n; i++) {
        if (ev[i].data.u32 == TAG_WAKE) {
            drain(poller->event);
        } else if (ev[i].data.u32 == TAG_TIMER) {
            drain(poller->timer);
            poller->armed = SP_TIME_NEVER;
        } else {
            ready |= 1u << ev[i].data.u32;
        }
    }
    return ready;
}

void
sp_poller_wake(struct sp_poller *poller)
{
    uint64_t one = 1;

    /* A full counter means that a wake-up is pending anyway. */
    if (write(poller->event, &one, sizeof one) < 0)
        return;
}
