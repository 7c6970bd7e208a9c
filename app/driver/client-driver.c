/* SPDX-License-Identifier: Apache-2.0 */
#include "app/driver/client-driver.h"

#include <errno.h>
#include <string.h>

#include "app/driver/dns-upstream.h"
#include "app/driver/driver-core.h"
#include "app/platform/clock.h"
#include "engine/base/err.h"

#define POOL_PACKETS 16384
#define PEERS_MAX    256 /* in one snapshot */

enum cmd_type {
    CMD_PORTAL_MSG,
    CMD_PORTAL_STATE,
    CMD_RESOLVERS,
    CMD_HOST_ADDRESSES,
    CMD_DNS_RESULT,
    CMD_INTERNET,
    CMD_FLUSH_DNS,
    CMD_RESET,
    CMD_SHUTDOWN,
    CMD_SNAPSHOT,
};

/* One order of the control thread. Owns what it points to. */
struct cmd {
    enum cmd_type type;
    struct sp_client_msg msg;
    bool flag;
    struct sp_ip *ips;
    struct sp_endpoint *endpoints;
    size_t n;
    uint64_t id;
    enum sp_client_dns_result result;
    uint8_t *bytes;
    sp_client_driver_snapshot_cb cb;
    void *cb_ctx;
};

/* One message to the control thread: an event of the engine, or a snapshot somebody asked for. */
struct note {
    struct sp_client_event event;
    struct sp_client_snapshot *snapshot;
    sp_client_driver_snapshot_cb cb;
    void *cb_ctx;
};

struct sp_client_driver {
    struct sp_driver_core core;
    struct sp_client_driver_options opt;
    struct sp_client *client; /* data thread while the loop runs */
    GQueue snapshots;         /* struct note *, data thread */
    struct sp_dns_upstream *upstream;
};

/* ---- data thread --------------------------------------------------------------------------- */

static void
op_tun(void *engine, struct sp_pkt *pkt, sp_time now)
{
    sp_client_handle_tun(((struct sp_client_driver *)engine)->client, pkt, now);
}

static void
op_udp(void *engine, const struct sp_udp_meta *meta, struct sp_pkt *pkt, sp_time now)
{
    sp_client_handle_udp(((struct sp_client_driver *)engine)->client, meta, pkt, now);
}

static void
op_timeout(void *engine, sp_time now)
{
    sp_client_handle_timeout(((struct sp_client_driver *)engine)->client, now);
}

static sp_time
op_next(const void *engine)
{
    return sp_client_next_timeout(((const struct sp_client_driver *)engine)->client);
}

static bool
op_transmit(void *engine, struct sp_transmit *ret)
{
    return sp_client_poll_transmit(((struct sp_client_driver *)engine)->client, ret);
}

static struct sp_pkt *
op_poll_tun(void *engine)
{
    return sp_client_poll_tun(((struct sp_client_driver *)engine)->client);
}

static bool
op_event(void *engine, void **ret_event)
{
    struct sp_client_driver *d = engine;
    struct sp_client_event ev;
    struct note *note = g_queue_pop_head(&d->snapshots);

    if (note == NULL && sp_client_poll_event(d->client, &ev)) {
        note = g_new0(struct note, 1);
        note->event = ev;
    }
    *ret_event = note;
    return note != NULL;
}

static void
take_snapshot(struct sp_client_driver *d, const struct cmd *cmd, sp_time now)
{
    struct note *note = g_new0(struct note, 1);
    struct sp_client_snapshot *s = g_new0(struct sp_client_snapshot, 1);

    s->now = now;
    s->peers = g_new0(struct sp_peer_view, PEERS_MAX);
    s->n_peers = MIN(sp_client_peers(d->client, s->peers, PEERS_MAX), (size_t)PEERS_MAX);
    s->drops = *sp_client_drops(d->client);
    note->snapshot = s;
    note->cb = cmd->cb;
    note->cb_ctx = cmd->cb_ctx;
    g_queue_push_tail(&d->snapshots, note);
}

static void
cmd_free(void *data)
{
    struct cmd *cmd = data;

    if (cmd->type == CMD_PORTAL_MSG)
        sp_client_msg_done(&cmd->msg);
    g_free(cmd->ips);
    g_free(cmd->endpoints);
    g_free(cmd->bytes);
    g_free(cmd);
}

static void
op_command(void *engine, void *data, sp_time now)
{
    struct sp_client_driver *d = engine;
    struct cmd *cmd = data;

    switch (cmd->type) {
    case CMD_PORTAL_MSG:
        sp_client_handle_portal(d->client, &cmd->msg, now);
        cmd->type = CMD_PORTAL_STATE; /* the message is gone */
        break;
    case CMD_PORTAL_STATE:
        sp_client_handle_portal_state(d->client, cmd->flag, now);
        break;
    case CMD_RESOLVERS:
        sp_client_set_system_resolvers(d->client, cmd->ips, cmd->n, now);
        break;
    case CMD_HOST_ADDRESSES:
        sp_client_set_host_addresses(d->client, cmd->endpoints, cmd->n, now);
        break;
    case CMD_DNS_RESULT:
        sp_client_handle_dns_result(d->client,
                                    cmd->id,
                                    cmd->result,
                                    sp_span(cmd->bytes, cmd->n),
                                    now);
        break;
    case CMD_INTERNET:
        sp_client_set_internet_resource(d->client, cmd->flag, now);
        break;
    case CMD_FLUSH_DNS:
        sp_client_flush_dns_cache(d->client);
        break;
    case CMD_RESET:
        sp_client_reset(d->client, now);
        break;
    case CMD_SHUTDOWN:
        sp_client_shutdown(d->client, now);
        break;
    case CMD_SNAPSHOT:
        take_snapshot(d, cmd, now);
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
post_dns_result(struct sp_client_driver *d,
                uint64_t id,
                enum sp_client_dns_result result,
                struct sp_span reply)
{
    struct cmd *cmd = cmd_new(CMD_DNS_RESULT);

    cmd->id = id;
    cmd->result = result;
    cmd->bytes = g_memdup2(reply.p, reply.n);
    cmd->n = reply.n;
    (void)sp_driver_core_post(&d->core, cmd);
}

static void
upstream_done(void *ctx, uint64_t id, int code, struct sp_span reply)
{
    enum sp_client_dns_result result = code == 0            ? SP_CLIENT_DNS_ANSWER
                                       : code == -ETIMEDOUT ? SP_CLIENT_DNS_TIMEOUT
                                                            : SP_CLIENT_DNS_FAILED;

    post_dns_result(ctx, id, result, code == 0 ? reply : sp_span(NULL, 0));
}

static void
ask_upstream(struct sp_client_driver *d, const struct sp_client_dns_query *q)
{
    struct sp_endpoint server = { .ip = q->server, .port = 53 };
    struct sp_span message = sp_span(q->message, q->len);
    int r = SP_E_UNSUPPORTED;

    if (q->doh_url)
        SP_WARN(d->opt.log, DRIVER, "DNS over HTTPS is not supported yet, the query fails");
    else if (q->tcp)
        r = sp_dns_upstream_query_tcp(d->upstream, q->id, &server, &q->source, message);
    else
        r = sp_dns_upstream_query(d->upstream, q->id, &server, message);
    if (r < 0)
        post_dns_result(d, q->id, SP_CLIENT_DNS_FAILED, sp_span(NULL, 0));
}

static void
note_free(void *data)
{
    struct note *note = data;

    if (note->snapshot) {
        g_free(note->snapshot->peers);
        g_free(note->snapshot);
    } else {
        sp_client_event_done(&note->event);
    }
    g_free(note);
}

static void
on_note(void *core, void *data)
{
    struct sp_client_driver *d = SP_CONTAINER_OF(core, struct sp_client_driver, core);
    struct note *note = data;

    if (note->snapshot) {
        sp_loop_get_stats(d->core.loop, &note->snapshot->loop);
        note->cb(note->cb_ctx, note->snapshot);
    } else if (note->event.type == SP_CLIENT_EVENT_DNS_QUERY) {
        ask_upstream(d, &note->event.u.dns);
    } else {
        if (note->event.type == SP_CLIENT_EVENT_PUBLIC_KEY)
            memcpy(d->core.public_key, note->event.u.public_key, sizeof d->core.public_key);
        d->opt.on_event(d->opt.ctx, &note->event);
    }
    note_free(note);
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
    .on_event = on_note,
    .free_event = note_free,
    .free_command = cmd_free,
    .post_hosts = post_hosts,
};

/* ---- life ---------------------------------------------------------------------------------- */

static void
create_engine(struct sp_client_driver *d)
{
    struct sp_client_config engine = {
        .pool = &d->core.pool,
        .rng = sp_rng_system(),
        .wall = sp_clock_wall(),
        .log = d->opt.log,
        .internet_resource = d->opt.internet_resource,
    };

    d->client = sp_client_new(&engine, sp_clock_now());
    memcpy(d->core.public_key, sp_client_public_key(d->client), sizeof d->core.public_key);
}

struct sp_client_driver *
sp_client_driver_new(const struct sp_client_driver_options *options, GError **error)
{
    struct sp_client_driver *d = g_new0(struct sp_client_driver, 1);

    d->opt = *options;
    d->opt.tun_name = NULL;
    d->core.log = options->log;
    d->core.on_fatal = options->on_fatal;
    d->core.fatal_ctx = options->ctx;
    g_queue_init(&d->snapshots);
    if (sp_driver_core_open(&d->core, options->tun_name, POOL_PACKETS, error) < 0) {
        g_free(d);
        return NULL;
    }
    create_engine(d);
    sp_driver_core_loop(&d->core, &hooks, d, &d->opt.udp);
    d->upstream = sp_dns_upstream_new(options->udp.mark, upstream_done, d);
    if (sp_driver_core_start(&d->core, error) < 0) {
        sp_client_driver_free(d);
        return NULL;
    }
    return d;
}

void
sp_client_driver_free(struct sp_client_driver *d)
{
    if (d == NULL)
        return;
    (void)sp_driver_core_post(&d->core, cmd_new(CMD_SHUTDOWN));
    sp_driver_core_stop(&d->core);
    sp_dns_upstream_free(d->upstream);
    sp_client_free(d->client);
    g_queue_clear_full(&d->snapshots, note_free);
    sp_driver_core_close(&d->core);
    g_free(d);
}

void
sp_client_driver_addresses_changed(struct sp_client_driver *d)
{
    sp_driver_core_addresses_changed(&d->core);
}

const uint8_t *
sp_client_driver_public_key(const struct sp_client_driver *d)
{
    return d->core.public_key;
}

const char *
sp_client_driver_tun_name(const struct sp_client_driver *d)
{
    return d->core.tun_name;
}

unsigned
sp_client_driver_offloads(const struct sp_client_driver *d)
{
    return d->core.offloads;
}

void
sp_client_driver_portal_msg(struct sp_client_driver *d, struct sp_client_msg *msg)
{
    struct cmd *cmd = cmd_new(CMD_PORTAL_MSG);

    cmd->msg = *msg;
    memset(msg, 0, sizeof *msg);
    (void)sp_driver_core_post(&d->core, cmd);
}

void
sp_client_driver_portal_state(struct sp_client_driver *d, bool up)
{
    struct cmd *cmd = cmd_new(CMD_PORTAL_STATE);

    cmd->flag = up;
    (void)sp_driver_core_post(&d->core, cmd);
}

void
sp_client_driver_set_resolvers(struct sp_client_driver *d, const struct sp_ip *servers, size_t n)
{
    struct cmd *cmd = cmd_new(CMD_RESOLVERS);

    cmd->ips = g_memdup2(servers, n * sizeof *servers);
    cmd->n = n;
    (void)sp_driver_core_post(&d->core, cmd);
}

void
sp_client_driver_set_internet(struct sp_client_driver *d, bool active)
{
    struct cmd *cmd = cmd_new(CMD_INTERNET);

    cmd->flag = active;
    (void)sp_driver_core_post(&d->core, cmd);
}

void
sp_client_driver_flush_dns(struct sp_client_driver *d)
{
    (void)sp_driver_core_post(&d->core, cmd_new(CMD_FLUSH_DNS));
}

void
sp_client_driver_reset(struct sp_client_driver *d)
{
    (void)sp_driver_core_post(&d->core, cmd_new(CMD_RESET));
    sp_driver_core_rebind(&d->core);
}

int
sp_client_driver_snapshot(struct sp_client_driver *d, sp_client_driver_snapshot_cb cb, void *ctx)
{
    struct cmd *cmd = cmd_new(CMD_SNAPSHOT);

    cmd->cb = cb;
    cmd->cb_ctx = ctx;
    return sp_driver_core_post(&d->core, cmd);
}
