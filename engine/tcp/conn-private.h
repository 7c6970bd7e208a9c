/* SPDX-License-Identifier: Apache-2.0 */
/* One connection and who does what with it:
 *   segment.c  reading a segment          conn.c    what a segment does (RFC 9293 3.10.7)
 *   output.c   what is to be sent, timers  server.c  which connection, the framing */
#pragma once

#include "engine/ip/build.h"
#include "engine/tcp/server.h"

#define TCP_BUFFER_MAX (2 + SP_TCP_MESSAGE_MAX)
#define TCP_WINDOW_MAX 65535 /* no window scaling */
#define TCP_MSS_MIN    64    /* whatever the other end asks for */

enum tcp_state {
    TCP_SYN_RECEIVED,
    TCP_ESTABLISHED,
    TCP_FIN_WAIT_1,
    TCP_FIN_WAIT_2,
    TCP_CLOSING,
    TCP_TIME_WAIT,
    TCP_CLOSE_WAIT,
    TCP_LAST_ACK,
    TCP_CLOSED, /* to be removed, after a reset if @reset_due */
};

/** struct tcp_segment - a received one. @len: in sequence numbers; @mss: 0 without option */
struct tcp_segment {
    uint32_t seq;
    uint32_t ack;
    uint32_t len;
    uint8_t flags;
    uint16_t window;
    uint16_t mss;
    struct sp_span payload;
};

/** struct tcp_buffer - bytes of a stream, at most TCP_BUFFER_MAX */
struct tcp_buffer {
    uint8_t *p;
    size_t n;
    size_t cap;
};

/** struct tcp_conn - names after RFC 9293 section 3.3.1
 * @snd_max: the highest number ever sent; @snd_nxt falls back behind it to repeat
 * @out: sent but not acknowledged, then not sent; its first byte has number @out_seq
 * @in: received, in order, not consumed; holds the open query while @busy
 * @told_window: what the other end thinks it may send from rcv_nxt on
 * @fin_due: our side is closed, a FIN follows the last byte of @out
 * @probe_due: send one byte into a closed window */
struct tcp_conn {
    uint64_t handle;
    enum tcp_state state;
    struct sp_ip local;
    struct sp_endpoint remote;

    uint32_t iss;
    uint32_t snd_una;
    uint32_t snd_nxt;
    uint32_t snd_max;
    uint32_t snd_wnd;
    uint32_t snd_wl1;
    uint32_t snd_wl2;
    uint32_t out_seq;
    uint32_t cwnd;
    uint32_t ssthresh;
    uint16_t mss;
    struct tcp_buffer out;

    uint32_t irs;
    uint32_t rcv_nxt;
    uint32_t told_window;
    struct tcp_buffer in;

    bool busy;
    bool fin_due;
    bool ack_due;
    bool reset_due;
    bool probe_due;

    unsigned retries;
    sp_duration rto;
    sp_time deadline_resend;
    sp_time deadline_idle; /* in TIME-WAIT: its end */
};

/* ---- sequence numbers: order on a circle ---- */
static inline bool
tcp_before(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}

static inline bool
tcp_before_eq(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) <= 0;
}

/* ---- segment.c ---- */
/** tcp_segment_parse() - @v is of TCP. Returns: 0, SP_E_MALFORMED (checksum, options) */
SP_MUST_CHECK int tcp_segment_parse(const uint8_t *p,
                                    const struct sp_ip_view *v,
                                    struct tcp_segment *ret);
/** tcp_mss() - the largest payload of a segment that fits in the tunnel */
uint16_t tcp_mss(uint8_t family);
void tcp_buffer_append(struct tcp_buffer *b, struct sp_span bytes);
/** tcp_buffer_consume() - forget the first @n bytes */
void tcp_buffer_consume(struct tcp_buffer *b, size_t n);
void tcp_buffer_done(struct tcp_buffer *b);

/* ---- conn.c ---- */
/** tcp_conn_open() - the first segment was a SYN to somebody who listens */
void tcp_conn_open(struct tcp_conn *c, const struct tcp_segment *syn, uint32_t iss, sp_time now);
/** tcp_conn_handle() - any further segment. Returns: false when the sender has to get a reset, which
 * does not end this connection */
SP_MUST_CHECK bool tcp_conn_handle(struct tcp_conn *c, const struct tcp_segment *seg, sp_time now);
/** tcp_conn_reusable() - may @syn replace this connection (RFC 9293 3.10.7.4, TIME-WAIT) */
bool tcp_conn_reusable(const struct tcp_conn *c, const struct tcp_segment *syn);
/** tcp_conn_abort() - with a reset */
void tcp_conn_abort(struct tcp_conn *c);
/** tcp_conn_close() - send what is queued, then a FIN */
void tcp_conn_close(struct tcp_conn *c);
/** tcp_conn_progress() - the connection is alive */
void tcp_conn_progress(struct tcp_conn *c, sp_time now);
/** tcp_conn_peer_closed() - nothing will come after what is in @in */
bool tcp_conn_peer_closed(const struct tcp_conn *c);
void tcp_conn_done(struct tcp_conn *c);

/* ---- output.c ---- */
/** tcp_conn_output() - the next segment to send; its payload and options are views, valid until the
 * connection changes. Commit with tcp_conn_sent(). Returns: false when there is nothing */
bool tcp_conn_output(struct tcp_conn *c, struct sp_tcp_segment *ret, uint8_t options[4]);
void tcp_conn_sent(struct tcp_conn *c, const struct sp_tcp_segment *seg, sp_time now);
/** tcp_conn_arm() - to be called when there may be new data to send: a window that stays closed must
 * not be waited for without a timer */
void tcp_conn_arm(struct tcp_conn *c, sp_time now);
uint32_t tcp_conn_window(const struct tcp_conn *c);
/** tcp_conn_handle_timeout() - Returns: true when the retransmission timer expired */
bool tcp_conn_handle_timeout(struct tcp_conn *c, sp_time now);
