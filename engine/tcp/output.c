/* SPDX-License-Identifier: Apache-2.0 */
/* What a connection wants to send, and its timers. */
#include "engine/base/wr.h"
#include "engine/tcp/conn-private.h"

uint32_t
tcp_conn_window(const struct tcp_conn *c)
{
    return (uint32_t)SP_MIN(TCP_BUFFER_MAX - c->in.n, (size_t)TCP_WINDOW_MAX);
}

/* ---- segments ------------------------------------------------------------------------------ */

static struct sp_tcp_segment
plain(const struct tcp_conn *c)
{
    return (struct sp_tcp_segment){
        .seq = c->snd_nxt,
        .ack = c->rcv_nxt,
        .flags = SP_TCP_ACK,
        .window = (uint16_t)tcp_conn_window(c),
    };
}

static bool
output_syn(const struct tcp_conn *c, struct sp_tcp_segment *ret, uint8_t options[4])
{
    if (c->snd_nxt != c->iss)
        return false;
    *ret = plain(c);
    ret->flags = SP_TCP_SYN | SP_TCP_ACK;
    options[0] = 2; /* maximum segment size */
    options[1] = 4;
    sp_put_be16(options + 2, tcp_mss(c->local.family));
    ret->options = sp_span(options, 4);
    return true;
}

/* How many of the @left unsent bytes may go in one segment now. */
static size_t
sendable(const struct tcp_conn *c, size_t left)
{
    uint32_t in_flight = c->snd_nxt - c->snd_una;
    uint32_t window = SP_MIN(c->snd_wnd, c->cwnd);
    size_t room = window > in_flight ? window - in_flight : 0;
    size_t n = SP_MIN(SP_MIN(left, room), (size_t)c->mss);

    if (c->probe_due && in_flight == 0)
        return SP_MIN(left, (size_t)1);
    /* No small segments because of a window that opens in small steps (RFC 9293 3.8.6.2.1). */
    if (n < left && n < c->mss && in_flight)
        return 0;
    return n;
}

static bool
sends_data(enum tcp_state state)
{
    return state != TCP_SYN_RECEIVED && state != TCP_TIME_WAIT && state != TCP_FIN_WAIT_2;
}

static bool
output_data(const struct tcp_conn *c, struct sp_tcp_segment *ret)
{
    size_t sent = c->snd_nxt - c->out_seq; /* one more than out.n once the FIN is out */
    size_t left = sent < c->out.n ? c->out.n - sent : 0;
    size_t n = sendable(c, left);
    bool fin = c->fin_due && sent <= c->out.n && n == left;

    if (n == 0 && !fin)
        return false;
    *ret = plain(c);
    if (n) {
        ret->payload = sp_span(c->out.p + sent, n);
        if (n == left)
            ret->flags |= SP_TCP_PSH;
    }
    if (fin)
        ret->flags |= SP_TCP_FIN;
    return true;
}

bool
tcp_conn_output(struct tcp_conn *c, struct sp_tcp_segment *ret, uint8_t options[4])
{
    if (c->state == TCP_CLOSED) {
        if (!c->reset_due)
            return false;
        *ret = plain(c);
        ret->seq = c->snd_max;
        ret->flags = SP_TCP_RST | SP_TCP_ACK;
        return true;
    }
    if (c->state == TCP_SYN_RECEIVED)
        return output_syn(c, ret, options);
    if (sends_data(c->state) && output_data(c, ret))
        return true;
    if (!c->ack_due)
        return false;
    *ret = plain(c);
    return true;
}

static void
arm_resend(struct tcp_conn *c, sp_time now)
{
    if (c->deadline_resend == SP_TIME_NEVER)
        c->deadline_resend = sp_time_add(now, c->rto);
}

void
tcp_conn_arm(struct tcp_conn *c, sp_time now)
{
    if (c->state != TCP_CLOSED && c->out.n)
        arm_resend(c, now);
}

void
tcp_conn_sent(struct tcp_conn *c, const struct sp_tcp_segment *seg, sp_time now)
{
    uint32_t len = (uint32_t)seg->payload.n;

    len += (seg->flags & SP_TCP_SYN) != 0;
    len += (seg->flags & SP_TCP_FIN) != 0;
    c->ack_due = false;
    c->told_window = seg->window;
    if (seg->flags & SP_TCP_RST) {
        c->reset_due = false;
        return;
    }
    if (len == 0)
        return;
    c->probe_due = false;
    c->snd_nxt += len;
    if (tcp_before(c->snd_max, c->snd_nxt))
        c->snd_max = c->snd_nxt;
    arm_resend(c, now);
}

/* ---- timers -------------------------------------------------------------------------------- */

static void
resend(struct tcp_conn *c, sp_time now)
{
    bool window_closed = c->snd_wnd == 0 && c->state != TCP_SYN_RECEIVED;
    unsigned max = c->state == TCP_SYN_RECEIVED ? SP_TCP_SYN_RETRIES : SP_TCP_RETRIES;
    uint32_t in_flight = c->snd_max - c->snd_una;

    /* A closed window is not a loss: the idle timer alone ends the patience with it. */
    if (!window_closed && c->retries++ >= max) {
        tcp_conn_abort(c);
        return;
    }
    c->snd_nxt = c->snd_una;
    c->probe_due = window_closed && c->out.n;
    c->ssthresh = SP_MAX(in_flight / 2, 2u * c->mss);
    c->cwnd = c->mss;
    c->rto *= 2;
    c->deadline_resend = sp_time_add(now, c->rto);
}

static void
idle(struct tcp_conn *c, sp_time now)
{
    bool quiet = c->state == TCP_ESTABLISHED && !c->busy && c->out.n == 0 && c->in.n == 0;

    if (c->state == TCP_TIME_WAIT) {
        c->state = TCP_CLOSED;
    } else if (quiet) {
        tcp_conn_close(c);
        tcp_conn_progress(c, now);
    } else {
        tcp_conn_abort(c);
    }
}

bool
tcp_conn_handle_timeout(struct tcp_conn *c, sp_time now)
{
    bool resent = false;

    if (c->state == TCP_CLOSED)
        return false;
    if (sp_time_due(c->deadline_resend, now)) {
        resend(c, now);
        resent = true;
    }
    if (c->state != TCP_CLOSED && sp_time_due(c->deadline_idle, now))
        idle(c, now);
    return resent;
}
