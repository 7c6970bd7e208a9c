/* SPDX-License-Identifier: Apache-2.0 */
/* What a segment does to a connection, in the order of RFC 9293 section 3.10.7.4. */
#include <stdlib.h>

#include "engine/tcp/conn-private.h"

void
tcp_conn_done(struct tcp_conn *c)
{
    tcp_buffer_done(&c->in);
    tcp_buffer_done(&c->out);
}

void
tcp_conn_progress(struct tcp_conn *c, sp_time now)
{
    c->deadline_idle = sp_time_add(now, SP_TCP_IDLE);
}

void
tcp_conn_abort(struct tcp_conn *c)
{
    if (c->state == TCP_CLOSED)
        return;
    c->reset_due = c->state != TCP_TIME_WAIT;
    c->state = TCP_CLOSED;
}

void
tcp_conn_close(struct tcp_conn *c)
{
    if (c->state == TCP_ESTABLISHED)
        c->state = TCP_FIN_WAIT_1;
    else if (c->state == TCP_CLOSE_WAIT)
        c->state = TCP_LAST_ACK;
    else
        return;
    c->fin_due = true;
}

bool
tcp_conn_peer_closed(const struct tcp_conn *c)
{
    return c->state == TCP_CLOSE_WAIT;
}

void
tcp_conn_open(struct tcp_conn *c, const struct tcp_segment *syn, uint32_t iss, sp_time now)
{
    uint16_t own = tcp_mss(c->local.family);
    uint16_t theirs = syn->mss ? syn->mss : (c->local.family == 4 ? 536 : 1220);

    c->state = TCP_SYN_RECEIVED;
    c->iss = c->snd_una = c->snd_nxt = c->snd_max = iss;
    c->out_seq = iss + 1;
    c->irs = syn->seq;
    c->rcv_nxt = syn->seq + 1; /* data on a SYN is not taken; it comes again */
    c->snd_wnd = syn->window;
    c->snd_wl1 = syn->seq;
    c->mss = SP_MAX(SP_MIN(own, theirs), (uint16_t)TCP_MSS_MIN);
    c->cwnd = 10u * c->mss; /* RFC 6928 */
    c->ssthresh = TCP_WINDOW_MAX;
    c->rto = SP_TCP_RTO;
    c->deadline_resend = SP_TIME_NEVER;
    tcp_conn_progress(c, now);
}

bool
tcp_conn_reusable(const struct tcp_conn *c, const struct tcp_segment *syn)
{
    return c->state == TCP_TIME_WAIT && tcp_before(c->rcv_nxt, syn->seq);
}

/* ---- first, second, third: sequence number, RST, SYN --------------------------------------- */

/* RFC 9293 table 6. */
static bool
acceptable(const struct tcp_conn *c, const struct tcp_segment *seg)
{
    uint32_t window = tcp_conn_window(c);
    uint32_t at = seg->seq - c->rcv_nxt;
    uint32_t last = at + seg->len - 1;

    if (seg->len == 0)
        return window ? at < window : at == 0;
    return window && (at < window || last < window);
}

/* Returns: false when the segment ends here. */
static bool
handle_control_bits(struct tcp_conn *c, const struct tcp_segment *seg)
{
    if (c->state == TCP_SYN_RECEIVED && (seg->flags & SP_TCP_SYN) && !(seg->flags & SP_TCP_RST)
        && seg->seq == c->irs) {
        c->snd_nxt = c->iss; /* our SYN was lost: again */
        return false;
    }
    if (!acceptable(c, seg)) {
        if (!(seg->flags & SP_TCP_RST))
            c->ack_due = true;
        return false;
    }
    if (seg->flags & SP_TCP_RST) {
        if (seg->seq == c->rcv_nxt)
            c->state = TCP_CLOSED;
        else
            c->ack_due = true; /* RFC 5961 3.2: who really lost the connection answers exactly */
        return false;
    }
    if (seg->flags & SP_TCP_SYN) {
        c->ack_due = true; /* RFC 5961 4.2 */
        return false;
    }
    return (seg->flags & SP_TCP_ACK) != 0;
}

/* ---- fifth: ACK ---------------------------------------------------------------------------- */

static void
open_window(struct tcp_conn *c, uint32_t acked)
{
    if (c->cwnd < c->ssthresh)
        c->cwnd += SP_MIN(acked, (uint32_t)c->mss);
    else
        c->cwnd += SP_MAX((uint32_t)c->mss * c->mss / c->cwnd, 1u);
    c->cwnd = SP_MIN(c->cwnd, (uint32_t)TCP_WINDOW_MAX);
}

static void
acknowledged(struct tcp_conn *c, uint32_t ack, sp_time now)
{
    uint32_t acked = ack - c->snd_una;
    uint32_t bytes = ack - c->out_seq;

    c->snd_una = ack;
    if (tcp_before(c->snd_nxt, ack))
        c->snd_nxt = ack;
    if (tcp_before(c->out_seq, ack)) {
        bytes = (uint32_t)SP_MIN((size_t)bytes, c->out.n); /* one more when it covers our FIN */
        tcp_buffer_consume(&c->out, bytes);
        c->out_seq += bytes;
    }
    open_window(c, acked);
    c->retries = 0;
    c->rto = SP_TCP_RTO;
    c->deadline_resend = c->snd_una == c->snd_max ? SP_TIME_NEVER : sp_time_add(now, c->rto);
    tcp_conn_progress(c, now);
}

static void
update_window(struct tcp_conn *c, const struct tcp_segment *seg)
{
    bool newer = tcp_before(c->snd_wl1, seg->seq)
                 || (c->snd_wl1 == seg->seq && tcp_before_eq(c->snd_wl2, seg->ack));

    if (!newer)
        return;
    if (c->snd_wnd == 0 && seg->window) {
        c->snd_nxt = c->snd_una; /* the probe fell on a closed window */
        c->probe_due = false;
        c->retries = 0;
        c->rto = SP_TCP_RTO;
        c->deadline_resend = SP_TIME_NEVER;
    }
    c->snd_wnd = seg->window;
    c->snd_wl1 = seg->seq;
    c->snd_wl2 = seg->ack;
}

static bool
fin_acknowledged(const struct tcp_conn *c)
{
    return c->fin_due && c->snd_una == c->out_seq + (uint32_t)c->out.n + 1;
}

static void
enter_time_wait(struct tcp_conn *c, sp_time now)
{
    c->state = TCP_TIME_WAIT;
    c->deadline_resend = SP_TIME_NEVER;
    c->deadline_idle = sp_time_add(now, SP_TCP_TIME_WAIT);
}

static void
our_fin_arrived(struct tcp_conn *c, sp_time now)
{
    switch (c->state) {
    case TCP_FIN_WAIT_1:
        c->state = TCP_FIN_WAIT_2;
        break;
    case TCP_CLOSING:
        enter_time_wait(c, now);
        break;
    case TCP_LAST_ACK:
        c->state = TCP_CLOSED;
        break;
    case TCP_SYN_RECEIVED:
    case TCP_ESTABLISHED:
    case TCP_FIN_WAIT_2:
    case TCP_TIME_WAIT:
    case TCP_CLOSE_WAIT:
    case TCP_CLOSED:
        break;
    }
}

/* Returns: false when the segment ends here. */
static bool
handle_ack(struct tcp_conn *c, const struct tcp_segment *seg, sp_time now)
{
    if (c->state == TCP_SYN_RECEIVED) {
        c->state = TCP_ESTABLISHED;
        c->snd_wnd = seg->window;
        c->snd_wl1 = seg->seq;
        c->snd_wl2 = seg->ack;
    }
    if (tcp_before(c->snd_max, seg->ack)) {
        c->ack_due = true;
        return false;
    }
    if (tcp_before(seg->ack, c->snd_una))
        return true; /* an old duplicate; its data may still be new */
    if (tcp_before(c->snd_una, seg->ack))
        acknowledged(c, seg->ack, now);
    update_window(c, seg);
    if (fin_acknowledged(c))
        our_fin_arrived(c, now);
    return c->state != TCP_CLOSED;
}

/* ---- seventh, eighth: data, FIN ------------------------------------------------------------ */

static bool
receives(const struct tcp_conn *c)
{
    return c->state == TCP_ESTABLISHED || c->state == TCP_FIN_WAIT_1 || c->state == TCP_FIN_WAIT_2;
}

/* Takes what follows on what we have. Returns: true when the whole payload is in. */
static bool
handle_data(struct tcp_conn *c, const struct tcp_segment *seg, sp_time now)
{
    uint32_t old = c->rcv_nxt - seg->seq; /* bytes at the start that we have already */
    struct sp_span fresh = seg->payload;
    size_t room = tcp_conn_window(c);

    if (tcp_before(c->rcv_nxt, seg->seq)) {
        c->ack_due = true; /* a hole: only what comes in order is taken */
        return false;
    }
    if (old >= fresh.n)
        return old == fresh.n;
    fresh = sp_span(fresh.p + old, fresh.n - old);
    c->ack_due = true;
    if (c->state != TCP_ESTABLISHED) {
        tcp_conn_abort(c); /* nobody reads any more (RFC 9293 3.6.1) */
        return false;
    }
    room = SP_MIN(room, fresh.n);
    tcp_buffer_append(&c->in, sp_span(fresh.p, room));
    c->rcv_nxt += (uint32_t)room;
    tcp_conn_progress(c, now);
    return room == fresh.n;
}

static void
handle_fin(struct tcp_conn *c, sp_time now)
{
    c->rcv_nxt++;
    c->ack_due = true;
    switch (c->state) {
    case TCP_ESTABLISHED:
        c->state = TCP_CLOSE_WAIT;
        break;
    case TCP_FIN_WAIT_1:
        c->state = TCP_CLOSING;
        break;
    case TCP_FIN_WAIT_2:
        enter_time_wait(c, now);
        break;
    case TCP_SYN_RECEIVED:
    case TCP_CLOSING:
    case TCP_TIME_WAIT:
    case TCP_CLOSE_WAIT:
    case TCP_LAST_ACK:
    case TCP_CLOSED:
        break;
    }
}

static bool
acknowledges_nothing(const struct tcp_conn *c, const struct tcp_segment *seg)
{
    return c->state == TCP_SYN_RECEIVED
           && (!tcp_before(c->snd_una, seg->ack) || tcp_before(c->snd_max, seg->ack));
}

bool
tcp_conn_handle(struct tcp_conn *c, const struct tcp_segment *seg, sp_time now)
{
    bool whole;

    if (c->state == TCP_CLOSED || !handle_control_bits(c, seg))
        return true;
    if (acknowledges_nothing(c, seg))
        return false;
    if (!handle_ack(c, seg, now) || !receives(c))
        return true;
    whole = handle_data(c, seg, now);
    if (whole && (seg->flags & SP_TCP_FIN) && receives(c))
        handle_fin(c, now);
    return true;
}
