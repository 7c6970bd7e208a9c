/* SPDX-License-Identifier: Apache-2.0 */
#include "app/tunneld/session.h"

#include <string.h>

#include "app/common/compat.h"
#include "app/common/os-info.h"
#include "app/platform/device-id.h"
#include "app/platform/host-addrs.h"
#include "app/tunneld/error.h"
#include "app/tunneld/machine.h"
#include "app/tunneld/session-private.h"
#include "engine/base/rng.h"

/* A question about counters that the data thread has not answered yet. */
struct request {
    struct sp_td_session *session;
    sp_client_driver_snapshot_cb cb;
    void *ctx;
};

const char *
sp_td_state_name(enum sp_td_state state)
{
    switch (state) {
    case SP_TD_DISCONNECTED:
        return "disconnected";
    case SP_TD_WAITING:
        return "waiting-for-network";
    case SP_TD_CONNECTING:
        return "connecting";
    case SP_TD_CONNECTED:
        return "connected";
    case SP_TD_DISCONNECTING:
        return "disconnecting";
    case SP_TD_FAILED:
        return "failed";
    }
    return "?";
}

void
sp_td_session_notify(struct sp_td_session *s)
{
    if (s->ops.status_changed)
        s->ops.status_changed(s->ctx);
}

void
sp_td_session_set_state(struct sp_td_session *s, enum sp_td_state state, const char *reason)
{
    enum sp_td_state old = s->state;

    if (state == old)
        return;
    SP_INFO(s->log,
            APP,
            "%s -> %s%s%s",
            sp_td_state_name(old),
            sp_td_state_name(state),
            *reason ? ": " : "",
            reason);
    s->state = state;
    g_free(s->reason);
    s->reason = g_strdup(reason);
    sp_td_session_notify(s);
    if (s->ops.state_changed)
        s->ops.state_changed(s->ctx, state, old);
}

/* ---- the portal -------------------------------------------------------------------------------- */

static void
set_portal_connected(struct sp_td_session *s, bool up)
{
    sp_client_driver_portal_state(s->driver, up);
    if (s->portal_connected == up)
        return;
    s->portal_connected = up;
    sp_td_session_notify(s);
}

static void
link_connected(void *ctx)
{
    set_portal_connected(ctx, true);
}

static void
link_hiccup(void *ctx, guint delay_ms, const char *reason)
{
    struct sp_td_session *s = ctx;

    SP_DEBUG(s->log, APP, "no portal for %u ms: %s", delay_ms, reason);
    set_portal_connected(s, false);
}

static void
link_msg(void *ctx, struct sp_client_msg *msg)
{
    struct sp_td_session *s = ctx;

    if (!s->failing)
        sp_client_driver_portal_msg(s->driver, msg);
}

static void
link_fatal(void *ctx, const char *message, gboolean requires_sign_in)
{
    struct sp_td_session *s = ctx;
    int code = SP_TD_ERROR_PORTAL_REJECTED;

    switch (sp_portal_link_end_cause(s->link)) {
    case SP_PORTAL_LINK_UNREACHABLE:
        code = SP_TD_ERROR_IO;
        break;
    case SP_PORTAL_LINK_LOOP_PREVENTION:
        code = SP_TD_ERROR_ROUTING_LOOP;
        break;
    case SP_PORTAL_LINK_REFUSED:
    case SP_PORTAL_LINK_NOT_ENDED:
        break;
    }
    if (requires_sign_in)
        code = SP_TD_ERROR_INVALID_TOKEN;
    sp_td_session_fail(s, g_error_new_literal(SP_TD_ERROR, code, message), requires_sign_in);
}

static const struct sp_portal_link_ops link_ops = {
    .connected = link_connected,
    .hiccup = link_hiccup,
    .client_msg = link_msg,
    .fatal = link_fatal,
};

static gboolean
open_link(struct sp_td_session *s, const struct sp_td_session_start *start, GError **error)
{
    g_autofree char *serial = sp_td_machine_fact(SP_TD_MACHINE_SERIAL);
    g_autofree char *uuid = sp_td_machine_fact(SP_TD_MACHINE_UUID);
    g_autofree char *host = sp_device_name();
    const char *name = start->name ? start->name : s->config->name;
    struct sp_os_info os;
    struct sp_portal_link_config config = {
        .role = SP_PORTAL_CLIENT,
        .api_url = s->config->api_url,
        .token = start->token,
        .external_id = sp_td_session_device_id(s, error),
        .name = name ? name : host,
        .device_serial = serial,
        .device_uuid = uuid,
        .max_partition_s = s->config->max_partition_s,
        .fwmark = s->config->mark,
        .log = s->log,
    };
    GError *local = NULL;

    if (!config.external_id)
        return FALSE;
    sp_os_info_get(&os);
    config.agent = (struct sp_portal_agent){
        .os = os.name,
        .os_version = os.version,
        .component = "headless-client",
        .version = SP_COMPAT_HEADLESS_CLIENT,
        .arch = os.arch,
        .kernel = os.kernel,
    };
    s->link = sp_portal_link_new(&config, &link_ops, s, &local);
    sp_os_info_done(&os);
    if (s->link)
        return TRUE;
    g_propagate_error(error, sp_td_error_from_platform(local, false));
    return FALSE;
}

static void
link_gone(void *data, SP_UNUSED GObject *link)
{
    struct sp_td_session *s = data;

    s->parting--;
}

static void
close_link(struct sp_td_session *s)
{
    if (!s->link)
        return;
    s->parting++;
    g_object_weak_ref(G_OBJECT(s->link), link_gone, s);
    sp_portal_link_stop(s->link);
    g_clear_object(&s->link);
    s->dialled = false;
    s->portal_connected = false;
}

void
sp_td_session_dial(struct sp_td_session *s)
{
    struct sp_ip addrs[SP_HOST_ADDRS_MAX];

    if (!s->link || s->dialled || s->failing)
        return;
    if (sp_host_addrs_list(sp_client_driver_tun_name(s->driver), addrs) == 0) {
        sp_td_session_set_state(s, SP_TD_WAITING, "");
        return;
    }
    s->dialled = true;
    sp_td_session_set_state(s, SP_TD_CONNECTING, "");
    sp_portal_link_start(s->link);
}

/* ---- the system -------------------------------------------------------------------------------- */

static void
network_changed(void *ctx)
{
    struct sp_td_session *s = ctx;

    if (!s->driver)
        return;
    sp_client_driver_addresses_changed(s->driver);
    sp_td_session_dial(s);
}

static gboolean
ensure_dns(struct sp_td_session *s, GError **error)
{
    struct sp_dns_control_options options = {
        .method = s->config->dns_control,
        .path = s->config->resolv_conf,
        .backup = s->backup,
    };
    GError *local = NULL;

    if (s->dns)
        return TRUE;
    s->dns = sp_dns_control_new(&options, s->log, &local);
    if (!s->dns) {
        g_propagate_error(error, sp_td_error_from_platform(local, true));
        return FALSE;
    }
    sp_dns_control_on_change(s->dns, sp_td_apply_resolvers, s);
    return TRUE;
}

static gboolean
ensure_net(struct sp_td_session *s, GError **error)
{
    struct sp_net_options options;
    GError *local = NULL;

    if (s->net)
        return TRUE;
    sp_net_options_init(&options);
    options.mark = s->config->mark;
    if (sp_net_new(&options, s->log, &s->net, &local) < 0) {
        s->net = NULL;
        g_propagate_error(error, sp_td_error_from_platform(local, false));
        return FALSE;
    }
    sp_net_config_cleanup(s->net);
    if (sp_net_watch(s->net, network_changed, s, &local) < 0) {
        SP_WARN(s->log, APP, "network changes will go unnoticed: %s", local->message);
        g_clear_error(&local);
    }
    return TRUE;
}

/* ---- beginning and end ------------------------------------------------------------------------- */

static void
answer_requests(struct sp_td_session *s)
{
    struct request *r;

    while ((r = g_queue_pop_head(&s->requests)) != NULL) {
        r->cb(r->ctx, NULL);
        g_free(r);
    }
}

/* DNS first: a name server behind a dead interface helps nobody. */
static void
tear_down(struct sp_td_session *s)
{
    if (s->failing) {
        g_source_destroy(s->failing);
        g_clear_pointer(&s->failing, g_source_unref);
    }
    g_clear_error(&s->failure);
    close_link(s);
    sp_td_apply_clear(s);
    g_clear_pointer(&s->driver, sp_client_driver_free);
    answer_requests(s);
    if (s->net)
        sp_net_config_cleanup(s->net);
    s->id[0] = '\0';
    s->since_us = 0;
    s->internet = false;
}

static gboolean
fail_cb(void *data)
{
    struct sp_td_session *s = data;
    g_autoptr(GError) failure = g_steal_pointer(&s->failure);
    bool sign_in = s->failure_sign_in;
    const char *reason = g_error_matches(failure, SP_TD_ERROR, SP_TD_ERROR_IO)
                             ? "portal-unreachable"
                             : sp_td_error_reason(failure);

    SP_ERROR(s->log, APP, "the session has ended: %s", reason);
    SP_DEBUG(s->log, APP, "%s", failure->message);
    tear_down(s);
    sp_td_session_set_state(s, SP_TD_FAILED, reason);
    if (s->ops.ended)
        s->ops.ended(s->ctx, reason, sign_in, failure->message);
    return G_SOURCE_REMOVE;
}

/* Callers are within callbacks of the parts that end here, so it is done from the main loop. */
void
sp_td_session_fail(struct sp_td_session *s, GError *error, bool requires_sign_in)
{
    if (s->failing) {
        g_error_free(error);
        return;
    }
    s->failure = error;
    s->failure_sign_in = requires_sign_in;
    s->failing = g_idle_source_new();
    g_source_set_priority(s->failing, G_PRIORITY_DEFAULT);
    g_source_set_callback(s->failing, fail_cb, s, NULL);
    g_source_attach(s->failing, g_main_context_get_thread_default());
}

static void
driver_fatal(void *ctx, int code, const char *message)
{
    struct sp_td_session *s = ctx;

    SP_ERROR(s->log, APP, "the data path has ended (%d)", code);
    sp_td_session_fail(s,
                       g_error_new_literal(SP_TD_ERROR, SP_TD_ERROR_TUNNEL_DEVICE, message),
                       false);
}

static gboolean
open_driver(struct sp_td_session *s, GError **error)
{
    struct sp_client_driver_options options = {
        .tun_name = s->config->interface,
        .udp = { .mark = s->config->mark, .port = s->config->listen_port },
        .log = s->log,
        .internet_resource = s->internet,
        .on_event = sp_td_apply_event,
        .on_fatal = driver_fatal,
        .ctx = s,
    };
    GError *local = NULL;

    s->driver = sp_client_driver_new(&options, &local);
    if (s->driver)
        return TRUE;
    g_propagate_error(error, sp_td_error_from_platform(local, false));
    return FALSE;
}

gboolean
sp_td_session_start(struct sp_td_session *s,
                    const struct sp_td_session_start *start,
                    GError **error)
{
    struct sp_rng rng = sp_rng_system();
    struct sp_uuid id = sp_uuid_random(&rng);

    if (!s->config->api_url) {
        g_set_error_literal(error,
                            SP_TD_ERROR,
                            SP_TD_ERROR_INVALID_URL,
                            "no portal is configured (api-url)");
        return FALSE;
    }
    sp_td_session_stop(s, "");
    s->internet = start->internet;
    if (!ensure_dns(s, error) || !ensure_net(s, error) || !open_link(s, start, error)
        || !open_driver(s, error)) {
        tear_down(s);
        return FALSE;
    }
    sp_uuid_format(&id, s->id);
    sp_td_apply_resolvers(s);
    sp_portal_link_set_public_key(s->link, sp_client_driver_public_key(s->driver));
    sp_td_session_dial(s);
    return TRUE;
}

void
sp_td_session_stop(struct sp_td_session *s, const char *reason)
{
    if (sp_td_session_active(s)) {
        sp_td_session_set_state(s, SP_TD_DISCONNECTING, reason);
        tear_down(s);
    }
    sp_td_session_set_state(s, SP_TD_DISCONNECTED, reason);
}

static gboolean
expired_cb(void *data)
{
    *(bool *)data = true;
    return G_SOURCE_REMOVE;
}

void
sp_td_session_flush(struct sp_td_session *s, unsigned timeout_ms)
{
    GMainContext *context = g_main_context_get_thread_default();
    GSource *timer = g_timeout_source_new(timeout_ms);
    bool expired = false;

    g_source_set_callback(timer, expired_cb, &expired, NULL);
    g_source_attach(timer, context);
    while (s->parting && !expired)
        g_main_context_iteration(context, TRUE);
    g_source_destroy(timer);
    g_source_unref(timer);
}

bool
sp_td_session_active(const struct sp_td_session *s)
{
    return s->driver != NULL;
}

void
sp_td_session_reset(struct sp_td_session *s, const char *reason)
{
    if (!s->driver || s->failing)
        return;
    if (!s->dialled) {
        sp_td_session_dial(s);
        return;
    }
    SP_INFO(s->log, APP, "reset: %s", reason);
    sp_client_driver_reset(s->driver);
    sp_td_apply_resolvers(s);
}

/* ---- questions and wishes ---------------------------------------------------------------------- */

gboolean
sp_td_session_set_internet(struct sp_td_session *s, bool active, GError **error)
{
    if (!s->driver) {
        g_set_error_literal(error, SP_TD_ERROR, SP_TD_ERROR_NOT_CONNECTED, "there is no session");
        return FALSE;
    }
    s->internet = active;
    sp_client_driver_set_internet(s->driver, active);
    sp_td_session_notify(s);
    return TRUE;
}

void
sp_td_session_flush_dns(struct sp_td_session *s)
{
    if (s->driver)
        sp_client_driver_flush_dns(s->driver);
}

void
sp_td_session_status(const struct sp_td_session *s, struct sp_td_status *ret)
{
    *ret = (struct sp_td_status){
        .state = s->state,
        .reason = s->reason,
        .id = s->id,
        .portal_connected = s->portal_connected,
        .since_us = s->since_us,
        .ifname = s->driver ? sp_client_driver_tun_name(s->driver) : "",
        .ipv4 = s->tun.ipv4,
        .ipv6 = s->tun.ipv6,
        .v4 = s->net_result.v4,
        .v6 = s->net_result.v6,
        .internet = s->internet,
        .search_domain = s->tun.search_domain ? s->tun.search_domain : "",
        .generation = s->generation,
    };
}

void
sp_td_session_dns_status(const struct sp_td_session *s, struct sp_td_dns_status *ret)
{
    *ret = (struct sp_td_dns_status){
        .servers = s->tun.dns,
        .n_servers = s->tun.n_dns,
        .system = s->system.servers,
        .n_system = s->system.n_servers,
        .taken_over = s->taken_over,
    };
}

const struct sp_client_resource_view *
sp_td_session_resources(const struct sp_td_session *s, size_t *ret_n)
{
    *ret_n = s->n_resources;
    return s->resources;
}

const char *
sp_td_session_device_id(struct sp_td_session *s, GError **error)
{
    struct sp_device_id_options options = {
        .configured = s->config->device_id,
        .path = SP_TD_DEVICE_ID_PATH,
        .app_id = SP_DEVICE_APP_CLIENT,
    };
    g_autoptr(GError) local = NULL;

    if (s->device_id)
        return s->device_id;
    s->device_id = sp_device_id_get(&options, &local);
    if (!s->device_id)
        g_set_error(error, SP_TD_ERROR, SP_TD_ERROR_IO, "no device id: %s", local->message);
    return s->device_id;
}

unsigned
sp_td_session_offloads(const struct sp_td_session *s)
{
    return s->driver ? sp_client_driver_offloads(s->driver) : 0;
}

static void
snapshot_cb(void *ctx, const struct sp_client_snapshot *snapshot)
{
    struct request *r = ctx;

    g_queue_remove(&r->session->requests, r);
    r->cb(r->ctx, snapshot);
    g_free(r);
}

void
sp_td_session_snapshot(struct sp_td_session *s, sp_client_driver_snapshot_cb cb, void *ctx)
{
    struct request *r;

    if (!s->driver) {
        cb(ctx, NULL);
        return;
    }
    r = g_new0(struct request, 1);
    *r = (struct request){ .session = s, .cb = cb, .ctx = ctx };
    g_queue_push_tail(&s->requests, r);
    if (sp_client_driver_snapshot(s->driver, snapshot_cb, r) < 0)
        snapshot_cb(r, NULL);
}

/* ---- life -------------------------------------------------------------------------------------- */

struct sp_td_session *
sp_td_session_new(const struct sp_td_config *config,
                  const struct sp_log *log,
                  const struct sp_td_session_ops *ops,
                  void *ctx)
{
    struct sp_td_session *s = g_new0(struct sp_td_session, 1);
    g_autoptr(GError) error = NULL;

    s->config = config;
    s->log = log;
    s->ops = *ops;
    s->ctx = ctx;
    s->reason = g_strdup("");
    g_queue_init(&s->requests);
    if (config->resolv_conf)
        s->backup = g_strconcat(config->resolv_conf, ".before-sallyport", NULL);
    if (!ensure_dns(s, &error))
        SP_WARN(log, APP, "name servers cannot be managed now: %s", error->message);
    g_clear_error(&error);
    if (!ensure_net(s, &error))
        SP_WARN(log, APP, "routes cannot be managed now: %s", error->message);
    return s;
}

void
sp_td_session_free(struct sp_td_session *s)
{
    if (!s)
        return;
    s->ops = (struct sp_td_session_ops){ 0 };
    sp_td_session_stop(s, "");
    sp_td_session_flush(s, 1500);
    sp_dns_control_free(s->dns);
    sp_net_free(s->net);
    g_free(s->device_id);
    g_free(s->backup);
    g_free(s->reason);
    g_free(s);
}
