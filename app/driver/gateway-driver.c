/* SPDX-License-Identifier: Apache-2.0 */
#include "app/driver/gateway-driver.h"

#include <string.h>

#include "app/driver/driver-core.h"
#include "app/driver/resolver.h"
#include "app/platform/clock.h"
#include "engine/base/err.h"

#define POOL_PACKETS 32768

enum cmd_type {
    CMD_PORTAL_MSG,
    CMD_PORTAL_STATE,
    CMD_HOST_ADDRESSES,
    CMD_RESOLVED,
    CMD_RESET,
    CMD_SHUTDOWN,
};

/* One order of the control thread. Owns what it points to. */
struct cmd {
    enum cmd_type type;
    struct sp_gw_msg msg;
    bool flag;
    struct sp_ip *ips;
    struct sp_endpoint *endpoints;
    size_t n;
    uint64_t id;
};

struct sp_gw_driver {
    struct sp_driver_core core;
    struct sp_gw_driver_options opt;
    struct sp_gw *gw; /* data thread while the loop runs */
    struct sp_resolver *resolver;
};

/* ---- data thread --------------------------------------------------------------------------- */

static void
op_tun(void *engine, struct sp_pkt *pkt, sp_time now)
{
    sp_gw_handle_tun(((struct sp_gw_driver *)engine)->gw, pkt, now);
}

static void
op_udp(void *engine, const struct sp_udp_meta *meta, struct sp_pkt *pkt, sp_time now)
{
    sp_gw_handle_udp(((struct sp_gw_driver *)engine)->gw, meta, pkt, now);
}

static void
op_timeout(void *engine, sp_time now)
{
    sp_gw_handle_timeout(((struct sp_gw_driver *)engine)->gw, now);
}

static sp_time
op_next(const void *engine)
{
    return sp_gw_next_timeout(((const struct sp_gw_driver *)engine)->gw);
}

static bool
op_transmit(void *engine, struct sp_transmit *ret)
{
    return sp_gw_poll_transmit(((struct sp_gw_driver *)engine)->gw, ret);
}

static struct sp_pkt *
op_poll_tun(void *engine)
{
    return sp_gw_poll_tun(((struct sp_gw_driver *)engine)->gw);
}

static bool
op_event(void *engine, void **ret_event)
{
    struct sp_gw_driver *d = engine;
    struct sp_gw_event ev;

    if (!sp_gw_poll_event(d->gw, &ev))
        return false;
    *ret_event = g_memdup2(&ev, sizeof ev);
    return true;
}

static void
cmd_free(void *data)
{
    struct cmd *cmd = data;

    if (cmd->type == CMD_PORTAL_MSG)
        sp_gw_msg_done(&cmd->msg);
    g_free(cmd->ips);
    g_free(cmd->endpoints);
    g_free(cmd);
}

static void
op_command(void *engine, void *data, sp_time now)
{
    struct sp_gw_driver *d = engine;
    struct cmd *cmd = data;

    switch (cmd->type) {
    case CMD_PORTAL_MSG:
        sp_gw_handle_portal(d->gw, &cmd->msg, now);
        cmd->type = CMD_PORTAL_STATE; /* the message is gone */
        break;
    case CMD_PORTAL_STATE:
        sp_gw_handle_portal_state(d->gw, cmd->flag, now);
        break;
    case CMD_HOST_ADDRESSES:
        sp_gw_set_host_addresses(d->gw, cmd->endpoints, cmd->n, now);
        break;
    case CMD_RESOLVED:
        sp_gw_handle_resolved(d->gw, cmd->id, cmd->flag, cmd->ips, cmd->n, now);
        break;
    case CMD_RESET:
        sp_gw_reset(d->gw, now);
        break;
    case CMD_SHUTDOWN:
        sp_gw_shutdown(d->gw, now);
        break;
    }
    cmd_free(cmd);
}

static const struct sp_engine_ops ops = {
    .handle_tun = op_tun,
    .handle_udp = op_udp,
    .handle_timeout = op_timeout,
    .next_timeout = op_next,
    .poll_transmit = op_transmit,
    .poll_tun = op_poll_tun,
    .handle_command = op_command,
    .poll_event = op_event,
};

/* ---- control thread ------------------------------------------------------------------------ */

static struct cmd *
cmd_new(enum cmd_type type)
{
    struct cmd *cmd = g_new0(struct cmd, 1);

    cmd->type = type;
    return cmd;
}

static void
post_resolved(struct sp_gw_driver *d, uint64_t id, bool failed, const struct sp_ip *ips, size_t n)
{
    struct cmd *cmd = cmd_new(CMD_RESOLVED);

    cmd->id = id;
    cmd->flag = failed;
    cmd->ips = g_memdup2(ips, n * sizeof *ips);
    cmd->n = n;
    (void)sp_driver_core_post(&d->core, cmd);
}

static void
resolved(void *ctx, uint64_t id, bool failed, const struct sp_ip *addrs, size_t n)
{
    post_resolved(ctx, id, failed, addrs, n);
}

static void
event_free(void *data)
{
    sp_gw_event_done(data);
    g_free(data);
}

static void
on_event(void *core, void *data)
{
    struct sp_gw_driver *d = SP_CONTAINER_OF(core, struct sp_gw_driver, core);
    struct sp_gw_event *ev = data;

    if (ev->type == SP_GW_EVENT_RESOLVE) {
        if (sp_resolver_resolve(d->resolver, ev->u.resolve.id, ev->u.resolve.domain) < 0)
            post_resolved(d, ev->u.resolve.id, true, NULL, 0);
    } else {
        if (ev->type == SP_GW_EVENT_PUBLIC_KEY)
            memcpy(d->core.public_key, ev->u.public_key, sizeof d->core.public_key);
        d->opt.on_event(d->opt.ctx, ev);
    }
    event_free(ev);
}

static void
post_hosts(struct sp_driver_core *core, const struct sp_endpoint *list, size_t n)
{
    struct cmd *cmd = cmd_new(CMD_HOST_ADDRESSES);

    cmd->endpoints = g_memdup2(list, n * sizeof *list);
    cmd->n = n;
    (void)sp_driver_core_post(core, cmd);
}

static const struct sp_driver_hooks hooks = {
    .engine = &ops,
    .on_event = on_event,
    .free_event = event_free,
    .free_command = cmd_free,
    .post_hosts = post_hosts,
};

/* ---- life ---------------------------------------------------------------------------------- */

static void
create_engine(struct sp_gw_driver *d)
{
    struct sp_gw_config engine = {
        .pool = &d->core.pool,
        .rng = sp_rng_system(),
        .wall = sp_clock_wall(),
        .log = d->opt.log,
    };

    d->gw = sp_gw_new(&engine, sp_clock_now());
    memcpy(d->core.public_key, sp_gw_public_key(d->gw), sizeof d->core.public_key);
}

struct sp_gw_driver *
sp_gw_driver_new(const struct sp_gw_driver_options *options, GError **error)
{
    struct sp_gw_driver *d = g_new0(struct sp_gw_driver, 1);

    d->opt = *options;
    d->opt.tun_name = NULL;
    d->core.log = options->log;
    d->core.on_fatal = options->on_fatal;
    d->core.fatal_ctx = options->ctx;
    if (sp_driver_core_open(&d->core, options->tun_name, POOL_PACKETS, error) < 0) {
        g_free(d);
        return NULL;
    }
    create_engine(d);
    sp_driver_core_loop(&d->core, &hooks, d, &d->opt.udp);
    d->resolver = sp_resolver_new(resolved, d);
    if (sp_driver_core_start(&d->core, error) < 0) {
        sp_gw_driver_free(d);
        return NULL;
    }
    return d;
}

void
sp_gw_driver_free(struct sp_gw_driver *d)
{
    if (d == NULL)
        return;
    (void)sp_driver_core_post(&d->core, cmd_new(CMD_SHUTDOWN));
    sp_driver_core_stop(&d->core);
    sp_resolver_free(d->resolver);
    sp_gw_free(d->gw);
    sp_driver_core_close(&d->core);
    g_free(d);
}

void
sp_gw_driver_addresses_changed(struct sp_gw_driver *d)
{
    sp_driver_core_addresses_changed(&d->core);
}

const uint8_t *
sp_gw_driver_public_key(const struct sp_gw_driver *d)
{
    return d->core.public_key;
}

const char *
sp_gw_driver_tun_name(const struct sp_gw_driver *d)
{
    return d->core.tun_name;
}

void
sp_gw_driver_portal_msg(struct sp_gw_driver *d, struct sp_gw_msg *msg)
{
    struct cmd *cmd = cmd_new(CMD_PORTAL_MSG);

    cmd->msg = *msg;
    memset(msg, 0, sizeof *msg);
    (void)sp_driver_core_post(&d->core, cmd);
}

void
sp_gw_driver_portal_state(struct sp_gw_driver *d, bool up)
{
    struct cmd *cmd = cmd_new(CMD_PORTAL_STATE);

    cmd->flag = up;
    (void)sp_driver_core_post(&d->core, cmd);
}

void
sp_gw_driver_reset(struct sp_gw_driver *d)
{
    (void)sp_driver_core_post(&d->core, cmd_new(CMD_RESET));
    sp_driver_core_rebind(&d->core);
}
