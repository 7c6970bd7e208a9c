/* SPDX-License-Identifier: Apache-2.0 */
/* One engine root on one data thread: sockets, TUN device and timer in, packets out. The control
 * thread talks to it by commands and gets events on its main context; nothing else is shared.
 * Source: spec platform-linux 3.1, 3.4; design decision 4.
 * Owner: the control thread owns the loop; while it runs, the data thread owns engine, pool, TUN
 * device and sockets. */
#pragma once

#include <glib.h>

#include "app/platform/tun.h"
#include "app/platform/udp.h"
#include "engine/base/io.h"
#include "engine/base/time.h"

#define SP_LOOP_COMMANDS_MAX 1024
#define SP_LOOP_EVENTS_MAX   4096

/** struct sp_engine_ops - how the loop drives an engine root. All run on the data thread.
 * @handle_tun, @handle_udp: take the packet
 * @poll_transmit, @poll_tun: hand out the next output until there is none; packets are given away
 * @handle_command: takes @cmd. @poll_event: gives the event away */
struct sp_engine_ops {
    void (*handle_tun)(void *engine, struct sp_pkt *pkt, sp_time now);
    void (*handle_udp)(void *engine,
                       const struct sp_udp_meta *meta,
                       struct sp_pkt *pkt,
                       sp_time now);
    void (*handle_timeout)(void *engine, sp_time now);
    sp_time (*next_timeout)(const void *engine);
    bool (*poll_transmit)(void *engine, struct sp_transmit *ret);
    struct sp_pkt *(*poll_tun)(void *engine);
    void (*handle_command)(void *engine, void *cmd, sp_time now);
    bool (*poll_event)(void *engine, void **ret_event);
};

enum sp_loop_notice_kind {
    SP_LOOP_UDP_BOUND, /* after start and every rebind */
    SP_LOOP_FATAL,     /* the loop has ended; stop it and give up the session */
};

/** struct sp_loop_notice - news of the loop itself. @port4, @port6: 0 when the family is missing.
 * @code: negative errno. @message: English, for the log; valid during the call */
struct sp_loop_notice {
    enum sp_loop_notice_kind kind;
    uint16_t port4;
    uint16_t port6;
    int code;
    const char *message;
};

/** struct sp_loop_config - all borrowed for the life of the loop.
 * @pool: where received packets come from; the engine uses the same one
 * @context: where callbacks run; NULL is the thread-default context of sp_loop_new()
 * @on_event: takes the event
 * @free_command, @free_event: for what is left over at the end; may be NULL */
struct sp_loop_config {
    struct sp_pkt_pool *pool;
    const struct sp_log *log;
    struct sp_udp_options udp;
    GMainContext *context;
    void (*on_event)(void *ctx, void *event);
    void (*on_notice)(void *ctx, const struct sp_loop_notice *notice);
    void *ctx;
    void (*free_command)(void *cmd);
    void (*free_event)(void *event);
};

/** struct sp_loop_stats - a snapshot. @udp: [0] IPv4, [1] IPv6, since the last rebind */
struct sp_loop_stats {
    uint64_t turns;
    uint64_t timeouts;
    uint64_t commands;
    uint64_t events;
    uint64_t unsendable; /* transmits without a socket of their family */
    uint64_t pool_exhausted;
    size_t pool_in_use;
    struct sp_tun_stats tun;
    struct sp_udp_stats udp[2];
};

struct sp_loop;

/** sp_loop_new() - bind nothing yet. Never NULL */
struct sp_loop *sp_loop_new(const struct sp_engine_ops *ops,
                            void *engine,
                            const struct sp_loop_config *config);
/** sp_loop_free() - stops first. The engine is the caller's and may be freed afterwards */
void sp_loop_free(struct sp_loop *loop);
/** sp_loop_start() - bind the sockets here and start the thread. One family is enough.
 * Returns: 0; negative errno and @error (no socket at all, or LOOP_PREVENTION) */
SP_MUST_CHECK int sp_loop_start(struct sp_loop *loop, GError **error);
/** sp_loop_stop() - serve the commands already posted, send what the engine has to say, for at most
 * @flush_ms, and join the thread. Idempotent. Events that were not delivered yet are dropped */
void sp_loop_stop(struct sp_loop *loop, unsigned flush_ms);
/** sp_loop_post() - takes @cmd for the engine. Returns: 0, or SP_E_LIMIT and the caller keeps it */
SP_MUST_CHECK int sp_loop_post(struct sp_loop *loop, void *cmd);
/** sp_loop_set_tun() - takes @tun (NULL for none); the device before it is closed on the data
 * thread. In order with posted commands; also allowed before the start. */
void sp_loop_set_tun(struct sp_loop *loop, struct sp_tun *tun);
/** sp_loop_rebind() - close both sockets and open new ones, in order with posted commands */
void sp_loop_rebind(struct sp_loop *loop);
void sp_loop_get_stats(struct sp_loop *loop, struct sp_loop_stats *ret_stats);
