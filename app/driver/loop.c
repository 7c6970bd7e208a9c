/* SPDX-License-Identifier: Apache-2.0 */
#include "app/driver/loop.h"

#include <errno.h>

#include "app/driver/loop-private.h"
#include "app/platform/error.h"
#include "engine/base/err.h"

static gboolean
dispatch(GSource *source, GSourceFunc callback SP_UNUSED, gpointer data SP_UNUSED)
{
    return sp_loop_deliver(((struct sp_loop_source *)(void *)source)->loop);
}

static GSourceFuncs source_funcs = { .dispatch = dispatch };

struct sp_loop *
sp_loop_new(const struct sp_engine_ops *ops, void *engine, const struct sp_loop_config *config)
{
    struct sp_loop *loop = sp_xcalloc(1, sizeof *loop);

    loop->refs = 1;
    loop->ops = ops;
    loop->engine = engine;
    loop->config = *config;
    loop->tun_in.max = SP_LOOP_TUN_IN_MAX;
    loop->tun_out.max = SP_LOOP_TUN_OUT_MAX;
    g_mutex_init(&loop->lock);
    sp_ring_init(&loop->commands, sizeof(struct sp_loop_command), SP_LOOP_COMMANDS_MAX);
    sp_ring_init(&loop->events, sizeof(struct sp_loop_event), SP_LOOP_EVENTS_MAX);
    loop->source = g_source_new(&source_funcs, sizeof(struct sp_loop_source));
    ((struct sp_loop_source *)(void *)loop->source)->loop = loop;
    g_source_set_static_name(loop->source, "sp-loop");
    g_source_attach(loop->source,
                    config->context ? config->context : g_main_context_get_thread_default());
    return loop;
}

static void
drop_commands(struct sp_loop *loop)
{
    struct sp_loop_command cmd;

    while (sp_ring_pop(&loop->commands, &cmd)) {
        if (cmd.kind == SP_LOOP_CMD_TUN)
            sp_tun_free(cmd.data);
        else if (cmd.kind == SP_LOOP_CMD_ENGINE && loop->config.free_command)
            loop->config.free_command(cmd.data);
    }
}

static void
drop_event(struct sp_loop *loop, struct sp_loop_event *ev)
{
    if (ev->notice)
        g_free(ev->message);
    else if (loop->config.free_event)
        loop->config.free_event(ev->data);
}

static void
drop_events(struct sp_loop *loop)
{
    struct sp_loop_event ev;
    void *event;

    while (sp_ring_pop(&loop->events, &ev))
        drop_event(loop, &ev);
    while (loop->ops->poll_event(loop->engine, &event))
        if (loop->config.free_event)
            loop->config.free_event(event);
}

static void
unref(struct sp_loop *loop)
{
    if (--loop->refs)
        return;
    g_mutex_clear(&loop->lock);
    sp_ring_done(&loop->commands);
    sp_ring_done(&loop->events);
    free(loop);
}

void
sp_loop_free(struct sp_loop *loop)
{
    if (!loop)
        return;
    sp_loop_stop(loop, 0);
    g_source_destroy(loop->source);
    g_source_unref(loop->source);
    drop_commands(loop);
    drop_events(loop);
    sp_loop_close(loop);
    sp_poller_free(loop->poller);
    loop->poller = NULL;
    unref(loop);
}

int
sp_loop_start(struct sp_loop *loop, GError **error)
{
    int r;

    g_return_val_if_fail(!loop->thread && !loop->stopped, -EINVAL);
    r = sp_poller_new(&loop->poller);
    if (r < 0)
        return sp_platform_error_set(error, -r, "cannot create the event loop");
    r = sp_loop_bind(loop, error);
    if (r < 0) {
        sp_loop_close(loop);
        sp_poller_free(loop->poller);
        loop->poller = NULL;
        return r;
    }
    loop->thread = g_thread_new("sp-data", sp_loop_thread, loop);
    return 0;
}

void
sp_loop_stop(struct sp_loop *loop, unsigned flush_ms)
{
    if (loop->thread) {
        g_mutex_lock(&loop->lock);
        loop->stop = true;
        loop->stop_deadline = sp_time_add(sp_clock_now(), SP_MS(flush_ms));
        g_mutex_unlock(&loop->lock);
        sp_poller_wake(loop->poller);
        g_thread_join(g_steal_pointer(&loop->thread));
    }
    loop->stopped = true;
}

static int
post(struct sp_loop *loop, const struct sp_loop_command *cmd)
{
    int r;

    g_mutex_lock(&loop->lock);
    r = sp_ring_push(&loop->commands, cmd);
    g_mutex_unlock(&loop->lock);
    if (r == 0 && loop->thread)
        sp_poller_wake(loop->poller);
    return r;
}

int
sp_loop_post(struct sp_loop *loop, void *cmd)
{
    struct sp_loop_command c = { .kind = SP_LOOP_CMD_ENGINE, .data = cmd };

    return loop->stopped ? SP_E_STATE : post(loop, &c);
}

void
sp_loop_set_tun(struct sp_loop *loop, struct sp_tun *tun)
{
    struct sp_loop_command c = { .kind = SP_LOOP_CMD_TUN, .data = tun };

    if (loop->stopped || post(loop, &c) < 0) {
        SP_ERROR(loop->config.log, DRIVER, "loop: TUN device not taken over, too many commands");
        sp_tun_free(tun);
    }
}

void
sp_loop_rebind(struct sp_loop *loop)
{
    struct sp_loop_command c = { .kind = SP_LOOP_CMD_REBIND };

    if (!loop->stopped && post(loop, &c) < 0)
        SP_ERROR(loop->config.log, DRIVER, "loop: no rebind, too many commands");
}

void
sp_loop_get_stats(struct sp_loop *loop, struct sp_loop_stats *ret_stats)
{
    g_mutex_lock(&loop->lock);
    *ret_stats = loop->published;
    g_mutex_unlock(&loop->lock);
}

static void
call_back(struct sp_loop *loop, struct sp_loop_event *ev)
{
    const struct sp_loop_config *config = &loop->config;

    if (!ev->notice) {
        config->on_event(config->ctx, ev->data);
        return;
    }
    ev->info.message = ev->message;
    if (config->on_notice)
        config->on_notice(config->ctx, &ev->info);
    g_free(ev->message);
}

gboolean
sp_loop_deliver(struct sp_loop *loop)
{
    struct sp_loop_event ev;
    bool again = true;

    loop->refs++; /* a callback may free the loop */
    for (int i = 0; i < SP_LOOP_DELIVER_MAX && again; i++) {
        bool full;

        g_mutex_lock(&loop->lock);
        full = loop->events.len >= SP_LOOP_EVENTS_MAX - SP_LOOP_NOTICES_MAX;
        again = sp_ring_pop(&loop->events, &ev);
        if (!again)
            g_source_set_ready_time(loop->source, -1);
        g_mutex_unlock(&loop->lock);
        if (full && again && loop->thread)
            sp_poller_wake(loop->poller); /* the engine holds events back */
        if (again)
            call_back(loop, &ev);
        if (loop->refs == 1)
            break;
    }
    again = loop->refs > 1;
    unref(loop);
    return again ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}
