/* SPDX-License-Identifier: Apache-2.0 */
#include "app/relay/server.h"

#include <gio/gio.h>
#include <glib-unix.h>

#include "app/platform/clock.h"

#define POOL_MAX 1024

struct relay_server {
    struct sp_relay *relay;
    struct relay_sockets *sockets;
    struct sp_pkt_pool pool;
    const struct sp_log *log;
    guint watch;
    guint timer;
    sp_time timer_at;
};

static void
open_port(struct relay_server *s, const struct sp_relay_command *cmd, sp_time now)
{
    int r = relay_sockets_open(s->sockets, cmd->port, cmd->v4, cmd->v6);

    if (r < 0)
        SP_DEBUG(s->log, APP, "port %u: %s", cmd->port, g_strerror(-r));
    sp_relay_port_opened(s->relay, cmd->port, r == 0, now);
}

static void
drain(struct relay_server *s, sp_time now)
{
    struct sp_relay_command cmd;
    struct sp_relay_transmit tx;

    while (sp_relay_poll_command(s->relay, &cmd)) {
        switch (cmd.type) {
        case SP_RELAY_OPEN_PORT:
            open_port(s, &cmd, now);
            break;
        case SP_RELAY_CLOSE_PORT:
            relay_sockets_close(s->sockets, cmd.port);
            break;
        case SP_RELAY_ADD_CHANNEL: /* for a fast path; there is none yet */
        case SP_RELAY_REMOVE_CHANNEL:
            break;
        }
    }
    while (sp_relay_poll_transmit(s->relay, &tx))
        relay_sockets_send(s->sockets, &tx);
}

static void
handle(void *ctx, uint16_t port, const struct sp_endpoint *from, struct sp_pkt *pkt)
{
    struct relay_server *s = ctx;
    sp_time now = sp_clock_now();

    if (port)
        sp_relay_handle_relayed(s->relay, port, from, pkt, now);
    else
        sp_relay_handle_listen(s->relay, from, pkt, now);
    drain(s, now);
}

static gboolean on_timer(gpointer data);

static void
arm_timer(struct relay_server *s)
{
    sp_time at = sp_relay_next_timeout(s->relay);
    sp_duration left;

    if (at == s->timer_at)
        return;
    if (s->timer)
        g_source_remove(s->timer);
    s->timer = 0;
    s->timer_at = at;
    if (at == SP_TIME_NEVER)
        return;
    left = sp_time_since(sp_clock_now(), at);
    s->timer = g_timeout_add((guint)((left + SP_MS(1) - 1) / SP_MS(1)), on_timer, s);
}

static gboolean
on_timer(gpointer data)
{
    struct relay_server *s = data;
    sp_time now = sp_clock_now();

    s->timer = 0;
    s->timer_at = SP_TIME_NEVER;
    sp_relay_handle_timeout(s->relay, now);
    drain(s, now);
    relay_sockets_flush(s->sockets);
    arm_timer(s);
    return G_SOURCE_REMOVE;
}

static gboolean
on_readable(SP_UNUSED gint fd, SP_UNUSED GIOCondition condition, gpointer data)
{
    struct relay_server *s = data;

    relay_sockets_turn(s->sockets);
    arm_timer(s);
    return G_SOURCE_CONTINUE;
}

static gboolean
bind_sockets(struct relay_server *s, const struct relay_options *opt, GError **error)
{
    struct relay_sockets_config config = {
        .listen_port = opt->listen_port,
        .pool = &s->pool,
        .log = s->log,
        .handle = handle,
        .ctx = s,
    };
    int r;

    if (opt->public4.family)
        config.bind4 = opt->bind4;
    if (opt->public6.family)
        config.bind6 = opt->bind6;
    r = relay_sockets_new(&config, &s->sockets);
    if (r == 0)
        return TRUE;
    g_set_error(error,
                G_IO_ERROR,
                g_io_error_from_errno(-r),
                "UDP port %u: %s",
                opt->listen_port,
                g_strerror(-r));
    return FALSE;
}

static gboolean
start_engine(struct relay_server *s,
             const struct relay_options *opt,
             const char *secret,
             GError **error)
{
    struct sp_relay_config config = {
        .public4 = opt->public4,
        .public6 = opt->public6,
        .listen_port = relay_sockets_listen_port(s->sockets),
        .port_first = opt->lowest_port,
        .port_last = opt->highest_port,
        .stamp_secret = secret,
        .software = "sallyport-relay; rev=" SP_VERSION,
        .rate = opt->rate,
        .burst = opt->burst,
        .deny = opt->deny,
        .n_deny = opt->n_deny,
        .channel_last = opt->channel_max,
        .multi_alloc = opt->multi_alloc,
        .static_user = opt->test_user,
        .static_password = opt->test_password,
        .wall = sp_clock_wall(),
        .rng = sp_rng_system(),
        .log = s->log,
    };

    s->relay = sp_relay_new(&config);
    if (s->relay)
        return TRUE;
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "unusable options");
    return FALSE;
}

struct relay_server *
relay_server_new(const struct relay_options *opt,
                 const char *stamp_secret,
                 const struct sp_log *log,
                 GError **error)
{
    struct relay_server *s = g_new0(struct relay_server, 1);

    s->log = log;
    s->timer_at = SP_TIME_NEVER;
    sp_pkt_pool_init(&s->pool, POOL_MAX);
    if (!bind_sockets(s, opt, error) || !start_engine(s, opt, stamp_secret, error)) {
        relay_server_free(s);
        return NULL;
    }
    s->watch = g_unix_fd_add(relay_sockets_fd(s->sockets), G_IO_IN, on_readable, s);
    return s;
}

void
relay_server_free(struct relay_server *s)
{
    if (!s)
        return;
    if (s->watch)
        g_source_remove(s->watch);
    if (s->timer)
        g_source_remove(s->timer);
    relay_sockets_free(s->sockets);
    sp_relay_free(s->relay);
    sp_pkt_pool_done(&s->pool);
    g_free(s);
}

uint16_t
relay_server_port(const struct relay_server *s)
{
    return relay_sockets_listen_port(s->sockets);
}

const struct sp_relay_stats *
relay_server_stats(const struct relay_server *s)
{
    return sp_relay_get_stats(s->relay);
}

const struct relay_sockets_stats *
relay_server_socket_stats(const struct relay_server *s)
{
    return relay_sockets_get_stats(s->sockets);
}
