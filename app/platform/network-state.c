/* SPDX-License-Identifier: Apache-2.0 */
#include "app/platform/network-state.h"

#include <string.h>

#define QUIET    SP_MS(500) /* a change is a burst of many small ones */
#define BURST    SP_SEC(2)  /* and one that never ends is looked at all the same */
#define INTERVAL SP_SEC(1)
#define SURPLUS  SP_SEC(1)
#define SAME     SP_SEC(5) /* two sources tell of one event within this */

const char *
sp_network_event_name(enum sp_network_event event)
{
    switch (event) {
    case SP_NETWORK_NOTHING:
        return "nothing";
    case SP_NETWORK_CHANGED:
        return "network changed";
    case SP_NETWORK_BACK:
        return "network is back";
    case SP_NETWORK_RESUMED:
        return "resumed";
    }
    return "?";
}

static bool
same_path(const struct sp_network_path *a, const struct sp_network_path *b)
{
    return a->oif == b->oif && sp_ip_equal(&a->gateway, &b->gateway)
           && sp_ip_equal(&a->source, &b->source);
}

static bool
leads_somewhere(const struct sp_network_path path[2])
{
    return path[0].oif || path[1].oif;
}

/* A family that comes in addition breaks nothing: its addresses become candidates. */
static bool
broken(const struct sp_network_path before[2], const struct sp_network_path after[2])
{
    for (int f = 0; f < 2; f++)
        if (before[f].oif && !same_path(&before[f], &after[f]))
            return true;
    return false;
}

void
sp_network_state_init(struct sp_network_state *st, const struct sp_network_view *view)
{
    *st = (struct sp_network_state){
        .first = SP_TIME_NEVER,
        .due = SP_TIME_NEVER,
        .reported = SP_TIME_NEVER,
        .woke = SP_TIME_NEVER,
        .lost = !leads_somewhere(view->path),
    };
    memcpy(st->path, view->path, sizeof st->path);
}

static void
settle(struct sp_network_state *st, sp_time now)
{
    if (st->first == SP_TIME_NEVER)
        st->first = now;
    st->due = sp_time_min(sp_time_add(now, QUIET), sp_time_add(st->first, BURST));
}

void
sp_network_state_kernel(struct sp_network_state *st, sp_time now)
{
    /* A report that is due is not put off: it looks at the newest state anyway. */
    if (!st->resumed || st->lost)
        settle(st, now);
}

void
sp_network_state_manager(struct sp_network_state *st, sp_time now)
{
    st->manager = true;
    sp_network_state_kernel(st, now);
}

static bool
within(sp_time then, sp_duration d, sp_time now)
{
    return then != SP_TIME_NEVER && sp_time_since(then, now) < d;
}

void
sp_network_state_resumed(struct sp_network_state *st, sp_time now)
{
    bool same = within(st->woke, SAME, now);

    if (same)
        return;
    st->woke = now;
    st->resumed = true;
    st->due = now;
}

void
sp_network_state_clock(struct sp_network_state *st, sp_time now, sp_time awake)
{
    sp_duration slept = sp_time_since(awake, now);
    bool surplus = st->clocked && slept >= sp_time_add(st->slept, SURPLUS);

    /* The greatest one, as a pause between the two readings only makes it smaller. */
    if (!st->clocked || slept > st->slept)
        st->slept = slept;
    st->clocked = true;
    if (surplus)
        sp_network_state_resumed(st, now);
}

sp_time
sp_network_state_next(const struct sp_network_state *st)
{
    return st->due;
}

static enum sp_network_event
verdict(const struct sp_network_state *st, const struct sp_network_view *view, sp_time now)
{
    bool changed = broken(st->path, view->path);

    if (st->resumed)
        return SP_NETWORK_RESUMED;
    if (st->lost && leads_somewhere(view->path))
        return SP_NETWORK_BACK;
    if (changed)
        return SP_NETWORK_CHANGED;
    /* The kernel was faster: this very change has been reported. */
    if (st->manager && !within(st->reported, SAME, now))
        return SP_NETWORK_CHANGED;
    return SP_NETWORK_NOTHING;
}

enum sp_network_event
sp_network_state_check(struct sp_network_state *st, const struct sp_network_view *view, sp_time now)
{
    enum sp_network_event event;

    if (!sp_time_due(st->due, now))
        return SP_NETWORK_NOTHING;
    st->first = st->due = SP_TIME_NEVER;
    if (!leads_somewhere(view->path)) {
        st->lost = true;
        /* A host that never had a way to everywhere may still have neighbours. */
        if (leads_somewhere(st->path) || !view->addresses)
            return SP_NETWORK_NOTHING;
    }
    event = verdict(st, view, now);
    if (event != SP_NETWORK_NOTHING && within(st->reported, INTERVAL, now)) {
        st->due = sp_time_add(st->reported, INTERVAL);
        return SP_NETWORK_NOTHING;
    }
    st->manager = st->resumed = false;
    if (leads_somewhere(view->path))
        st->lost = false;
    memcpy(st->path, view->path, sizeof st->path);
    if (event != SP_NETWORK_NOTHING)
        st->reported = now;
    return event;
}
