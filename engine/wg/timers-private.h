/* SPDX-License-Identifier: Apache-2.0 */
/* All timers of a tunnel in one place. The rest of the module reports what happened; what follows
 * from it, and when, is decided here alone. Source: spec connectivity 4.2; prose in README.md. */
#pragma once

#include "engine/wg/wg.h"

/** struct sp_wg_timers - each deadline is SP_TIME_NEVER when not armed
 * @session_since: birth of the current session, meaningful while @have_session */
struct sp_wg_timers {
    struct sp_wg_params params;
    struct sp_rng rng;
    sp_time deadline_initiate;  /* a handshake of ours, jitter included; mutes all others */
    sp_time deadline_retry;     /* repeat the initiation in flight */
    sp_time deadline_give_up;   /* armed exactly while a handshake of ours is in progress */
    sp_time deadline_rekey;     /* session grew old in use */
    sp_time deadline_no_reply;  /* we sent data and heard nothing since */
    sp_time deadline_renew;     /* session that we initiated can no longer be used for sending */
    sp_time deadline_keepalive; /* they sent data and heard nothing since */
    sp_time deadline_wipe;      /* no new session for long */
    sp_time session_since;
    bool have_session;
    bool initiator;
};

/** enum sp_wg_due - what the tunnel has to do now */
enum sp_wg_due {
    SP_WG_DUE_NOTHING,
    SP_WG_DUE_INITIATION,
    SP_WG_DUE_KEEPALIVE,
    SP_WG_DUE_EXPIRE,
};

void sp_wg_timers_init(struct sp_wg_timers *tm,
                       const struct sp_wg_params *params,
                       const struct sp_rng *rng,
                       sp_time now);
/** sp_wg_timers_stop() - disarm everything; the tunnel has expired */
void sp_wg_timers_stop(struct sp_wg_timers *tm);

/* What happened. "Data" is a transport message with a payload, "authenticated" any message at all
 * that the other side can verify, keepalives and handshakes included. */
void sp_wg_timers_data_sent(struct sp_wg_timers *tm, sp_time now);
void sp_wg_timers_data_received(struct sp_wg_timers *tm, sp_time now);
void sp_wg_timers_any_authenticated_sent(struct sp_wg_timers *tm);
void sp_wg_timers_any_authenticated_received(struct sp_wg_timers *tm);
void sp_wg_timers_initiation_sent(struct sp_wg_timers *tm, sp_time now);
void sp_wg_timers_response_sent(struct sp_wg_timers *tm, sp_time now);
void sp_wg_timers_session_established(struct sp_wg_timers *tm, bool initiator, sp_time now);
void sp_wg_timers_counter_high(struct sp_wg_timers *tm, sp_time now);

/** sp_wg_timers_run() - the one thing that is due, and disarm its timer. Call until NOTHING */
enum sp_wg_due sp_wg_timers_run(struct sp_wg_timers *tm, sp_time now);
sp_time sp_wg_timers_next(const struct sp_wg_timers *tm);
