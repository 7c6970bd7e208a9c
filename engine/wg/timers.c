/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/wg/timers-private.h"

struct sp_wg_params
sp_wg_params_ice(void)
{
    return (struct sp_wg_params){
        .rekey_after = SP_SEC(120),
        .reject_after = SP_SEC(180),
        .rekey_timeout = SP_SEC(5),
        .jitter = SP_MS(333),
        .give_up = SP_SEC(20),
        .keepalive = SP_SEC(10),
        .send_margin = SP_SEC(10),
        .wipe_after = SP_SEC(540),
        .cookie_life = SP_SEC(120),
    };
}

struct sp_wg_params
sp_wg_params_iceless(void)
{
    struct sp_wg_params p = sp_wg_params_ice();

    p.rekey_timeout = SP_SEC(2);
    p.give_up = SP_SEC(90);
    p.keepalive = SP_SEC(5);
    return p;
}

void
sp_wg_timers_stop(struct sp_wg_timers *tm)
{
    tm->deadline_initiate = SP_TIME_NEVER;
    tm->deadline_retry = SP_TIME_NEVER;
    tm->deadline_give_up = SP_TIME_NEVER;
    tm->deadline_rekey = SP_TIME_NEVER;
    tm->deadline_no_reply = SP_TIME_NEVER;
    tm->deadline_renew = SP_TIME_NEVER;
    tm->deadline_keepalive = SP_TIME_NEVER;
    tm->deadline_wipe = SP_TIME_NEVER;
    tm->have_session = false;
}

void
sp_wg_timers_init(struct sp_wg_timers *tm,
                  const struct sp_wg_params *params,
                  const struct sp_rng *rng,
                  sp_time now)
{
    *tm = (struct sp_wg_timers){ .params = *params, .rng = *rng };
    sp_wg_timers_stop(tm);
    tm->deadline_wipe = sp_time_add(now, params->wipe_after);
}

static void
arm_if_unset(sp_time *deadline, sp_time when)
{
    if (*deadline == SP_TIME_NEVER)
        *deadline = when;
}

/* Once the session we initiated is @age old and in use, it is time for the next one. */
static void
arm_rekey(struct sp_wg_timers *tm, sp_duration age)
{
    if (tm->have_session && tm->initiator)
        tm->deadline_rekey = sp_time_min(tm->deadline_rekey, sp_time_add(tm->session_since, age));
}

static sp_duration
no_reply_after(const struct sp_wg_timers *tm)
{
    return tm->params.keepalive + tm->params.rekey_timeout;
}

void
sp_wg_timers_data_sent(struct sp_wg_timers *tm, sp_time now)
{
    arm_if_unset(&tm->deadline_no_reply, sp_time_add(now, no_reply_after(tm)));
    arm_rekey(tm, tm->params.rekey_after);
}

void
sp_wg_timers_data_received(struct sp_wg_timers *tm, sp_time now)
{
    arm_if_unset(&tm->deadline_keepalive, sp_time_add(now, tm->params.keepalive));
    arm_rekey(tm, tm->params.reject_after - no_reply_after(tm));
}

void
sp_wg_timers_any_authenticated_sent(struct sp_wg_timers *tm)
{
    tm->deadline_keepalive = SP_TIME_NEVER;
}

void
sp_wg_timers_any_authenticated_received(struct sp_wg_timers *tm)
{
    tm->deadline_no_reply = SP_TIME_NEVER;
}

void
sp_wg_timers_initiation_sent(struct sp_wg_timers *tm, sp_time now)
{
    tm->deadline_initiate = SP_TIME_NEVER;
    tm->deadline_retry = sp_time_add(now, tm->params.rekey_timeout);
    arm_if_unset(&tm->deadline_give_up, sp_time_add(now, tm->params.give_up));
    arm_if_unset(&tm->deadline_wipe, sp_time_add(now, tm->params.wipe_after));
    tm->deadline_rekey = SP_TIME_NEVER;
    tm->deadline_no_reply = SP_TIME_NEVER;
    tm->deadline_renew = SP_TIME_NEVER;
}

void
sp_wg_timers_response_sent(struct sp_wg_timers *tm, sp_time now)
{
    arm_if_unset(&tm->deadline_wipe, sp_time_add(now, tm->params.wipe_after));
}

void
sp_wg_timers_session_established(struct sp_wg_timers *tm, bool initiator, sp_time now)
{
    sp_time keepalive = tm->deadline_keepalive;

    sp_wg_timers_stop(tm);
    tm->have_session = true;
    tm->initiator = initiator;
    tm->session_since = now;
    tm->deadline_keepalive = keepalive;
    tm->deadline_wipe = sp_time_add(now, tm->params.wipe_after);
    if (initiator)
        tm->deadline_renew = sp_time_add(now, tm->params.reject_after - tm->params.send_margin);
}

void
sp_wg_timers_counter_high(struct sp_wg_timers *tm, sp_time now)
{
    if (tm->have_session && tm->initiator)
        tm->deadline_rekey = sp_time_min(tm->deadline_rekey, now);
}

static void
schedule_initiation(struct sp_wg_timers *tm, sp_time now)
{
    uint32_t us = sp_rng_below(&tm->rng, (uint32_t)(tm->params.jitter / SP_US(1)) + 1);

    tm->deadline_initiate = sp_time_add(now, SP_US(us));
    tm->deadline_retry = SP_TIME_NEVER;
}

static bool
in_progress(const struct sp_wg_timers *tm)
{
    return tm->deadline_give_up != SP_TIME_NEVER;
}

static bool
handshake_wanted(const struct sp_wg_timers *tm, sp_time now)
{
    if (in_progress(tm))
        return sp_time_due(tm->deadline_retry, now);
    return sp_time_due(tm->deadline_rekey, now) || sp_time_due(tm->deadline_no_reply, now)
           || sp_time_due(tm->deadline_renew, now);
}

enum sp_wg_due
sp_wg_timers_run(struct sp_wg_timers *tm, sp_time now)
{
    if (tm->deadline_initiate == SP_TIME_NEVER) {
        if (sp_time_due(tm->deadline_give_up, now) || sp_time_due(tm->deadline_wipe, now))
            return SP_WG_DUE_EXPIRE;
        if (handshake_wanted(tm, now))
            schedule_initiation(tm, now);
    }
    if (sp_time_due(tm->deadline_initiate, now)) {
        tm->deadline_initiate = SP_TIME_NEVER;
        return SP_WG_DUE_INITIATION;
    }
    if (tm->deadline_initiate == SP_TIME_NEVER && sp_time_due(tm->deadline_keepalive, now)) {
        tm->deadline_keepalive = SP_TIME_NEVER;
        return SP_WG_DUE_KEEPALIVE;
    }
    return SP_WG_DUE_NOTHING;
}

sp_time
sp_wg_timers_next(const struct sp_wg_timers *tm)
{
    sp_time next = sp_time_min(tm->deadline_wipe, tm->deadline_keepalive);

    if (tm->deadline_initiate != SP_TIME_NEVER)
        return tm->deadline_initiate;
    if (in_progress(tm))
        return sp_time_min(next, sp_time_min(tm->deadline_give_up, tm->deadline_retry));
    next = sp_time_min(next, sp_time_min(tm->deadline_rekey, tm->deadline_no_reply));
    return sp_time_min(next, tm->deadline_renew);
}
