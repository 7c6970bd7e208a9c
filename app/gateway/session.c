/* SPDX-License-Identifier: Apache-2.0 */
#include "app/gateway/session.h"

#include "app/common/compat.h"
#include "app/common/os-info.h"
#include "app/common/sd-notify.h"
#include "app/driver/gateway-driver.h"
#include "app/platform/device-id.h"
#include "app/platform/nat.h"
#include "app/platform/net.h"
#include "app/platform/network-watch.h"
#include "app/portal-link/link.h"
#include "engine/base/err.h"

struct gateway_session {
    const struct sp_log *log;
    struct sp_net *net;
    struct sp_nat *nat;
    struct sp_gw_driver *driver;
    SpPortalLink *link;
    struct sp_network_watch *watch;
    bool ready;
    void (*finished)(void *ctx, const char *message);
    void *ctx;
};

/* ---- portal -------------------------------------------------------------------------------- */

static void
portal_connected(void *ctx)
{
    struct gateway_session *s = ctx;

    SP_INFO(s->log, APP, "connected to the portal");
    sp_gw_driver_portal_state(s->driver, true);
}

static void
portal_hiccup(void *ctx, guint delay_ms, const char *reason)
{
    struct gateway_session *s = ctx;

    SP_WARN(s->log, APP, "no connection to the portal, next try in %u ms", delay_ms);
    SP_DEBUG(s->log, APP, "portal: %s", reason);
    sp_gw_driver_portal_state(s->driver, false);
}

static void
portal_message(void *ctx, struct sp_gw_msg *msg)
{
    struct gateway_session *s = ctx;

    sp_gw_driver_portal_msg(s->driver, msg);
}

static void
portal_fatal(void *ctx, const char *message, gboolean requires_sign_in)
{
    struct gateway_session *s = ctx;
    g_autofree char *text = NULL;

    if (requires_sign_in)
        text = g_strdup_printf("the portal does not accept the gateway token (%s): create a new one"
                               " on the portal and restart",
                               message);
    else
        text = g_strdup_printf("the portal ended the connection for good: %s", message);
    s->finished(s->ctx, text);
}

static SpPortalLink *
create_link(struct gateway_session *s, const struct gateway_options *opt, GError **error)
{
    static const struct sp_portal_link_ops ops = {
        .connected = portal_connected,
        .hiccup = portal_hiccup,
        .gateway_msg = portal_message,
        .fatal = portal_fatal,
    };
    g_autofree char *id_path = g_build_filename(opt->state_dir, "gateway-id.json", NULL);
    struct sp_device_id_options id_options = {
        .configured = opt->id,
        .path = id_path,
        .app_id = SP_DEVICE_APP_GATEWAY,
    };
    g_autofree char *id = sp_device_id_get(&id_options, error);
    g_autofree char *external_id = id ? sp_device_external_id(id) : NULL;
    g_autofree char *name = opt->name ? g_strdup(opt->name) : sp_device_name();
    struct sp_os_info os;
    struct sp_portal_link_config config;
    SpPortalLink *link;

    if (id == NULL)
        return NULL;
    sp_os_info_get(&os);
    config = (struct sp_portal_link_config){
        .role = SP_PORTAL_GATEWAY,
        .api_url = opt->api_url,
        .token = opt->token,
        .external_id = external_id,
        .name = name,
        .agent = { .os = os.name,
                   .os_version = os.version,
                   .component = "gateway",
                   .version = SP_COMPAT_GATEWAY,
                   .arch = os.arch,
                   .kernel = os.kernel },
        .max_partition_s = (guint)opt->max_partition_s,
        .log = s->log,
    };
    link = sp_portal_link_new(&config, &ops, s, error);
    sp_os_info_done(&os);
    return link;
}

/* ---- engine -------------------------------------------------------------------------------- */

/* Only the peer ranges lead to us: nothing else of the host changes. */
static void
apply_interface(struct gateway_session *s, const struct sp_ip *ipv4, const struct sp_ip *ipv6)
{
    struct sp_cidr routes[2];
    struct sp_net_config config = { .ifname = sp_gw_driver_tun_name(s->driver),
                                    .ipv4 = *ipv4,
                                    .ipv6 = *ipv6,
                                    .routes = routes,
                                    .n_routes = G_N_ELEMENTS(routes) };
    struct sp_net_result result;
    g_autoptr(GError) error = NULL;

    sp_assert(sp_cidr_parse("100.64.0.0/11", &routes[0]) == 0);
    sp_assert(sp_cidr_parse("fd00:2021:1111::/107", &routes[1]) == 0);
    if (sp_net_config_apply(s->net, &config, &result, &error) < 0) {
        s->finished(s->ctx, error->message);
        return;
    }
    if (!result.v4 || !result.v6)
        SP_WARN(s->log, APP, "this host has no IPv%d, clients cannot use it", result.v4 ? 6 : 4);
    if (!s->ready)
        (void)sp_sd_notify("READY=1");
    s->ready = true;
}

static void
engine_event(void *ctx, struct sp_gw_event *ev)
{
    struct gateway_session *s = ctx;

    switch (ev->type) {
    case SP_GW_EVENT_TUN_CONFIG:
        apply_interface(s, &ev->u.tun.ipv4, &ev->u.tun.ipv6);
        break;
    case SP_GW_EVENT_PORTAL:
        if (sp_portal_link_send_gateway(s->link, &ev->u.portal) < 0)
            SP_INFO(s->log, APP, "a message to the portal was lost");
        break;
    case SP_GW_EVENT_PUBLIC_KEY:
        sp_portal_link_set_public_key(s->link, ev->u.public_key);
        sp_portal_link_redial(s->link);
        break;
    case SP_GW_EVENT_RESOLVE: /* answered by the driver */
        break;
    }
}

static void
engine_fatal(void *ctx, int code, const char *message)
{
    struct gateway_session *s = ctx;

    (void)code;
    s->finished(s->ctx, message);
}

static void
addresses_changed(void *ctx)
{
    struct gateway_session *s = ctx;

    sp_gw_driver_addresses_changed(s->driver);
}

/* Clients find a gateway that moved by its new addresses. One that slept was given up by them. */
static void
network_event(void *ctx, enum sp_network_event event)
{
    struct gateway_session *s = ctx;

    if (event != SP_NETWORK_RESUMED)
        return;
    SP_INFO(s->log, APP, "reset: %s", sp_network_event_name(event));
    sp_gw_driver_reset(s->driver);
}

static void
watch_network(struct gateway_session *s, const char *ifname, uint32_t mark)
{
    struct sp_network_watch_options options = {
        .ifname = ifname,
        .mark = mark,
        .log = s->log,
        .changed = network_event,
        .ctx = s,
    };

    s->watch = sp_network_watch_new(&options);
}

/* ---- life ---------------------------------------------------------------------------------- */

static gboolean
start(struct gateway_session *s, const struct gateway_options *opt, GError **error)
{
    struct sp_net_options net;
    struct sp_gw_driver_options driver = {
        .tun_name = opt->interface,
        .log = s->log,
        .on_event = engine_event,
        .on_fatal = engine_fatal,
        .ctx = s,
    };

    sp_net_options_init(&net);
    driver.udp = (struct sp_udp_options){ .mark = net.mark, .port = (uint16_t)opt->listen_port };
    if (sp_net_new(&net, s->log, &s->net, error) < 0)
        return FALSE;
    s->link = create_link(s, opt, error);
    if (s->link == NULL)
        return FALSE;
    s->driver = sp_gw_driver_new(&driver, error);
    if (s->driver == NULL)
        return FALSE;
    if (!opt->no_nat && (s->nat = sp_nat_new(opt->interface, s->log, error)) == NULL)
        return FALSE;
    if (sp_net_watch(s->net, addresses_changed, s, error) < 0)
        return FALSE;
    sp_portal_link_set_public_key(s->link, sp_gw_driver_public_key(s->driver));
    sp_portal_link_start(s->link);
    watch_network(s, opt->interface, net.mark);
    return TRUE;
}

struct gateway_session *
gateway_session_new(const struct gateway_options *opt,
                    const struct sp_log *log,
                    void (*finished)(void *ctx, const char *message),
                    void *ctx,
                    GError **error)
{
    struct gateway_session *s = g_new0(struct gateway_session, 1);

    s->log = log;
    s->finished = finished;
    s->ctx = ctx;
    if (!start(s, opt, error)) {
        gateway_session_free(s);
        return NULL;
    }
    return s;
}

void
gateway_session_free(struct gateway_session *s)
{
    if (s == NULL)
        return;
    sp_network_watch_free(s->watch);
    if (s->link)
        sp_portal_link_stop(s->link);
    sp_gw_driver_free(s->driver);
    g_clear_object(&s->link);
    if (s->nat)
        sp_nat_free(s->nat);
    if (s->net) {
        sp_net_config_cleanup(s->net);
        sp_net_free(s->net);
    }
    g_free(s);
}
