/* SPDX-License-Identifier: Apache-2.0 */
/* One pair of transport keys with its counters, and the replay window. */
#pragma once

#include "engine/wg/noise-private.h"

enum {
    SP_WG_WINDOW = 8192, /* counters, the newest included */
    SP_WG_WINDOW_WORD = 64,
    /* One word more, so a full window is kept while the newest word fills up. */
    SP_WG_WINDOW_WORDS = SP_WG_WINDOW / SP_WG_WINDOW_WORD + 1,
};

/** struct sp_wg_replay - which of the last SP_WG_WINDOW counters were seen (RFC 6479) */
struct sp_wg_replay {
    uint64_t next; /* newest counter + 1 */
    uint64_t seen[SP_WG_WINDOW_WORDS];
};

/** sp_wg_replay_check() - Returns: 0 fresh, SP_E_REPLAY seen or too old. Changes nothing. */
SP_MUST_CHECK int sp_wg_replay_check(const struct sp_wg_replay *w, uint64_t counter);
/** sp_wg_replay_mark() - after authentication of a counter that was fresh */
void sp_wg_replay_mark(struct sp_wg_replay *w, uint64_t counter);

/** struct sp_wg_session - @serial 0: slot is empty; else order of creation */
struct sp_wg_session {
    uint64_t serial;
    sp_time since;
    uint32_t local;
    uint32_t remote;
    uint64_t send_counter;
    bool initiator;
    struct sp_wg_noise_keys keys;
    struct sp_wg_replay replay;
};

static inline bool
sp_wg_session_live(const struct sp_wg_session *s, const struct sp_wg_params *p, sp_time now)
{
    return s->serial != 0 && sp_time_since(s->since, now) < p->reject_after;
}

/** sp_wg_session_sendable() - an initiator stops early, so what it sends still arrives in time */
static inline bool
sp_wg_session_sendable(const struct sp_wg_session *s, const struct sp_wg_params *p, sp_time now)
{
    sp_duration life = p->reject_after - (s->initiator ? p->send_margin : 0);

    return s->serial != 0 && sp_time_since(s->since, now) < life
           && s->send_counter < SP_WG_REJECT_AFTER_MESSAGES;
}
