/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the two halves of the loop: loop.c is the control thread's, turn.c the data thread's. */
#pragma once

#include <stdlib.h>

#include "app/driver/loop.h"
#include "app/platform/clock.h"
#include "app/platform/poller.h"
#include "engine/base/ring.h"

#define SP_LOOP_RX_MAX      256 /* datagrams per family and turn */
#define SP_LOOP_TX_MAX      256 /* datagrams per family and send */
#define SP_LOOP_TUN_BURST   128 /* packets after which reading stops for the turn */
#define SP_LOOP_TUN_IN_MAX  (SP_LOOP_TUN_BURST + 256)
#define SP_LOOP_TUN_OUT_MAX 256
#define SP_LOOP_DELIVER_MAX 64 /* events per dispatch */
#define SP_LOOP_NOTICES_MAX 16 /* places in the event queue kept for notices */

enum sp_loop_command_kind {
    SP_LOOP_CMD_ENGINE,
    SP_LOOP_CMD_TUN,
    SP_LOOP_CMD_REBIND,
};

struct sp_loop_command {
    enum sp_loop_command_kind kind;
    void *data;
};

/** struct sp_loop_event - an engine event (@data), or with @notice set a notice that owns @message */
struct sp_loop_event {
    bool notice;
    void *data;
    char *message;
    struct sp_loop_notice info;
};

struct sp_loop_source {
    GSource base;
    struct sp_loop *loop;
};

struct sp_loop {
    /* control thread */
    int refs;
    bool stopped;
    GThread *thread;
    GSource *source;

    /* constant after the start */
    const struct sp_engine_ops *ops;
    void *engine;
    struct sp_loop_config config;
    struct sp_poller *poller;

    GMutex lock; /* for this block */
    struct sp_ring commands;
    struct sp_ring events;
    struct sp_loop_stats published;
    sp_time stop_deadline;
    bool stop;

    /* data thread */
    struct sp_tun *tun;
    struct sp_udp *udp[2];
    struct sp_loop_stats stats;
    struct sp_pkt_queue tun_in;
    struct sp_pkt_queue tun_out;
    size_t n_tx[2];
    bool fatal;
    bool produced; /* the present turn had output */
    bool more;     /* input was left unread */
    struct sp_transmit tx[2][SP_LOOP_TX_MAX];
    struct sp_udp_datagram rx[SP_LOOP_RX_MAX];
};

/** sp_loop_thread() - body of the data thread */
void *sp_loop_thread(void *data);
/** sp_loop_bind() - open the sockets and queue the notice. Returns: 0 or negative errno */
SP_MUST_CHECK int sp_loop_bind(struct sp_loop *loop, GError **error);
/** sp_loop_close() - close device and sockets; only when no thread runs */
void sp_loop_close(struct sp_loop *loop);
/** sp_loop_deliver() - run callbacks for queued events, on the control thread */
gboolean sp_loop_deliver(struct sp_loop *loop);
