/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "app/driver/loop-private.h"
#include "app/platform/error.h"
#include "engine/base/err.h"

#define TAG_UDP(i) ((unsigned)(i) + 1)
#define TAG_TUN    3u

/* ---- to the control thread ---- */

static void
notify(struct sp_loop *loop, const struct sp_loop_notice *info)
{
    struct sp_loop_event ev = { .notice = true, .info = *info };

    ev.message = g_strdup(info->message);
    g_mutex_lock(&loop->lock);
    if (sp_ring_push(&loop->events, &ev) < 0)
        g_free(ev.message);
    g_source_set_ready_time(loop->source, 0);
    g_mutex_unlock(&loop->lock);
}

static void
fail(struct sp_loop *loop, int code, const char *message)
{
    loop->fatal = true;
    SP_ERROR(loop->config.log, DRIVER, "loop: %s", message);
    notify(loop,
           &(struct sp_loop_notice){ .kind = SP_LOOP_FATAL, .code = code, .message = message });
}

/* When the control thread does not keep up, events wait in the engine's own bounded queues. */
static void
collect_events(struct sp_loop *loop)
{
    struct sp_loop_event ev = { 0 };
    bool any = false;

    g_mutex_lock(&loop->lock);
    while (loop->events.len < SP_LOOP_EVENTS_MAX - SP_LOOP_NOTICES_MAX
           && loop->ops->poll_event(loop->engine, &ev.data)) {
        sp_assert(sp_ring_push(&loop->events, &ev) == 0);
        loop->stats.events++;
        any = true;
    }
    if (any)
        g_source_set_ready_time(loop->source, 0);
    loop->stats.pool_exhausted = loop->config.pool->exhausted;
    loop->stats.pool_in_use = loop->config.pool->in_use;
    if (loop->tun)
        loop->stats.tun = *sp_tun_get_stats(loop->tun);
    for (int i = 0; i < 2; i++)
        if (loop->udp[i])
            loop->stats.udp[i] = *sp_udp_get_stats(loop->udp[i]);
    loop->published = loop->stats;
    g_mutex_unlock(&loop->lock);
}

/* ---- sockets and device ---- */

static void
close_udp(struct sp_loop *loop)
{
    for (int i = 0; i < 2; i++) {
        if (loop->udp[i])
            sp_poller_remove(loop->poller, sp_udp_fd(loop->udp[i]));
        sp_udp_free(loop->udp[i]);
        loop->udp[i] = NULL;
    }
}

static void
close_tun(struct sp_loop *loop)
{
    if (loop->tun)
        sp_poller_remove(loop->poller, sp_tun_fd(loop->tun));
    sp_tun_free(loop->tun);
    loop->tun = NULL;
}

void
sp_loop_close(struct sp_loop *loop)
{
    close_udp(loop);
    close_tun(loop);
}

static int
bind_family(struct sp_loop *loop, int i, GError **error)
{
    const struct sp_loop_config *config = &loop->config;
    int r = sp_udp_new(i == 0 ? 4 : 6, &config->udp, config->log, &loop->udp[i], error);

    if (r < 0)
        return r;
    r = sp_poller_add(loop->poller, sp_udp_fd(loop->udp[i]), TAG_UDP(i));
    if (r < 0) {
        sp_udp_free(loop->udp[i]);
        loop->udp[i] = NULL;
        return sp_platform_error_set(error, -r, "cannot watch a socket");
    }
    return 0;
}

int
sp_loop_bind(struct sp_loop *loop, GError **error)
{
    struct sp_loop_notice info = { .kind = SP_LOOP_UDP_BOUND, .message = "" };
    int r[2];

    close_udp(loop);
    for (int i = 0; i < 2; i++) {
        g_autoptr(GError) e = NULL;

        r[i] = bind_family(loop, i, &e);
        if (r[i] == 0)
            continue;
        SP_INFO(loop->config.log, DRIVER, "loop: no IPv%d: %s", i ? 6 : 4, e->message);
        if (g_error_matches(e, SP_PLATFORM_ERROR, SP_PLATFORM_ERROR_LOOP_PREVENTION)
            || (i == 1 && r[0] < 0)) {
            g_propagate_error(error, g_steal_pointer(&e));
            return r[i];
        }
    }
    info.port4 = loop->udp[0] ? sp_udp_port(loop->udp[0]) : 0;
    info.port6 = loop->udp[1] ? sp_udp_port(loop->udp[1]) : 0;
    notify(loop, &info);
    return 0;
}

static void
rebind(struct sp_loop *loop)
{
    g_autoptr(GError) error = NULL;
    struct sp_loop_notice none = { .kind = SP_LOOP_UDP_BOUND };
    int r = sp_loop_bind(loop, &error);

    if (r == 0)
        return;
    if (g_error_matches(error, SP_PLATFORM_ERROR, SP_PLATFORM_ERROR_LOOP_PREVENTION)) {
        fail(loop, r, error->message);
        return;
    }
    /* The network may come back: a later rebind gets another chance. */
    none.code = r;
    none.message = error->message;
    notify(loop, &none);
}

static void
switch_tun(struct sp_loop *loop, struct sp_tun *tun)
{
    int r;

    close_tun(loop);
    loop->tun = tun;
    if (!tun)
        return;
    r = sp_poller_add(loop->poller, sp_tun_fd(tun), TAG_TUN);
    if (r < 0)
        fail(loop, r, "cannot watch the TUN device");
}

/* ---- output ---- */

static void
flush_tx(struct sp_loop *loop, int i)
{
    size_t n = loop->n_tx[i];

    loop->n_tx[i] = 0;
    if (n == 0)
        return;
    if (loop->udp[i]) {
        sp_udp_send_batch(loop->udp[i], loop->tx[i], n);
        return;
    }
    loop->stats.unsendable += n;
    for (size_t j = 0; j < n; j++)
        sp_pkt_free(loop->tx[i][j].pkt);
}

static void
drain_transmits(struct sp_loop *loop)
{
    struct sp_transmit tx;

    while (loop->ops->poll_transmit(loop->engine, &tx)) {
        int i = tx.dst.ip.family == 6;

        loop->produced = true;
        loop->tx[i][loop->n_tx[i]++] = tx;
        if (loop->n_tx[i] == SP_LOOP_TX_MAX)
            flush_tx(loop, i);
    }
    flush_tx(loop, 0);
    flush_tx(loop, 1);
}

static void
flush_tun(struct sp_loop *loop)
{
    if (loop->tun)
        sp_tun_write_batch(loop->tun, &loop->tun_out);
    else
        sp_pkt_queue_clear(&loop->tun_out);
}

static void
drain_tun(struct sp_loop *loop)
{
    struct sp_pkt *pkt;

    while ((pkt = loop->ops->poll_tun(loop->engine))) {
        loop->produced = true;
        if (sp_pkt_queue_push(&loop->tun_out, pkt) == 0 && loop->tun_out.len == SP_LOOP_TUN_OUT_MAX)
            flush_tun(loop);
    }
    flush_tun(loop);
}

static void
drain(struct sp_loop *loop)
{
    drain_tun(loop);
    drain_transmits(loop);
}

/* ---- input ---- */

static void
run_commands(struct sp_loop *loop, sp_time now)
{
    struct sp_loop_command cmd;

    for (int i = 0; i < SP_LOOP_COMMANDS_MAX; i++) {
        bool any;

        g_mutex_lock(&loop->lock);
        any = sp_ring_pop(&loop->commands, &cmd);
        g_mutex_unlock(&loop->lock);
        if (!any)
            break;
        switch (cmd.kind) {
        case SP_LOOP_CMD_ENGINE:
            loop->stats.commands++;
            loop->ops->handle_command(loop->engine, cmd.data, now);
            break;
        case SP_LOOP_CMD_TUN:
            switch_tun(loop, cmd.data);
            break;
        case SP_LOOP_CMD_REBIND:
            rebind(loop);
            break;
        }
        drain(loop);
    }
}

static void
read_udp(struct sp_loop *loop, int i, sp_time now)
{
    int n;

    if (!loop->udp[i])
        return;
    n = sp_udp_recv_batch(loop->udp[i], loop->config.pool, loop->rx, SP_LOOP_RX_MAX);
    for (int j = 0; j < n; j++)
        loop->ops->handle_udp(loop->engine, &loop->rx[j].meta, loop->rx[j].pkt, now);
    if (n > 0)
        drain(loop);
    if (sp_udp_pending(loop->udp[i]))
        loop->more = true;
}

static void
read_tun(struct sp_loop *loop, sp_time now)
{
    struct sp_pkt *pkt;
    int r = 1;

    if (!loop->tun)
        return;
    while (r > 0 && loop->tun_in.len < SP_LOOP_TUN_BURST)
        r = sp_tun_read(loop->tun, loop->config.pool, &loop->tun_in);
    while ((pkt = sp_pkt_queue_pop(&loop->tun_in)))
        loop->ops->handle_tun(loop->engine, pkt, now);
    drain(loop);
    if (r < 0)
        fail(loop, r, "the TUN device is gone");
}

static bool
wanted_to_stop(struct sp_loop *loop, sp_time now)
{
    bool stop;

    g_mutex_lock(&loop->lock);
    /* Commands posted before the stop are served before it. */
    stop = loop->stop && loop->commands.len == 0 && (!loop->produced || now >= loop->stop_deadline);
    g_mutex_unlock(&loop->lock);
    return stop;
}

static bool
stopping(struct sp_loop *loop)
{
    bool stop;

    g_mutex_lock(&loop->lock);
    stop = loop->stop;
    g_mutex_unlock(&loop->lock);
    return stop;
}

static void
turn(struct sp_loop *loop, uint32_t ready, sp_time now)
{
    loop->stats.turns++;
    loop->produced = false;
    loop->more = false;
    run_commands(loop, now);
    if (sp_time_due(loop->ops->next_timeout(loop->engine), now)) {
        loop->stats.timeouts++;
        loop->ops->handle_timeout(loop->engine, now);
        drain(loop);
    }
    for (int i = 0; i < 2; i++)
        if ((ready & (1u << TAG_UDP(i))) || (loop->udp[i] && sp_udp_pending(loop->udp[i])))
            read_udp(loop, i, now);
    if (ready & (1u << TAG_TUN))
        read_tun(loop, now);
    collect_events(loop);
}

void *
sp_loop_thread(void *data)
{
    struct sp_loop *loop = data;
    uint32_t ready = 0;
    sp_time now = sp_clock_now();

    for (;;) {
        sp_time deadline;

        turn(loop, ready, now);
        if (loop->fatal || wanted_to_stop(loop, now))
            break;
        deadline = loop->ops->next_timeout(loop->engine);
        if (loop->more || stopping(loop))
            deadline = 0;
        ready = sp_poller_wait(loop->poller, now, deadline);
        now = sp_clock_now();
    }
    return NULL;
}
