/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "app/tunneld/error.h"
#include "app/tunneld/session-private.h"
#include "engine/base/err.h"

/* ---- resolvers --------------------------------------------------------------------------------- */

/* While our sentinels are in the resolver file the portal must be found without them. */
static void
tell_link(struct sp_td_session *s)
{
    if (s->link)
        sp_portal_link_set_resolvers(s->link,
                                     s->system.servers,
                                     s->taken_over ? s->system.n_servers : 0);
}

void
sp_td_apply_resolvers(void *ctx)
{
    struct sp_td_session *s = ctx;
    struct sp_resolv_conf conf;
    g_autoptr(GError) error = NULL;

    if (!s->driver || !s->dns)
        return;
    if (!sp_dns_control_system(s->dns, &conf, &error)) {
        SP_WARN(s->log, APP, "cannot read the system's name servers: %s", error->message);
        return;
    }
    sp_resolv_conf_done(&s->system);
    s->system = conf;
    sp_client_driver_set_resolvers(s->driver, s->system.servers, s->system.n_servers);
    tell_link(s);
}

/* ---- interface configuration ------------------------------------------------------------------- */

static void
tun_done(struct sp_client_tun_config *tun)
{
    for (size_t i = 0; i < tun->n_dns; i++)
        g_free(tun->dns[i].doh_url);
    g_free(tun->dns);
    g_free(tun->routes);
    g_free(tun->search_domain);
    memset(tun, 0, sizeof *tun);
}

static struct sp_client_tun_config
tun_copy(const struct sp_client_tun_config *src)
{
    struct sp_client_tun_config tun = *src;

    tun.routes = g_memdup2(src->routes, src->n_routes * sizeof *src->routes);
    tun.dns = g_memdup2(src->dns, src->n_dns * sizeof *src->dns);
    for (size_t i = 0; i < tun.n_dns; i++)
        tun.dns[i].doh_url = g_strdup(src->dns[i].doh_url);
    tun.search_domain = g_strdup(src->search_domain);
    return tun;
}

static bool
dns_equal(const struct sp_client_tun_config *a, const struct sp_client_tun_config *b)
{
    if (a->n_dns != b->n_dns || g_strcmp0(a->search_domain, b->search_domain) != 0)
        return false;
    for (size_t i = 0; i < a->n_dns; i++)
        if (!sp_ip_equal(&a->dns[i].sentinel, &b->dns[i].sentinel))
            return false;
    return true;
}

static gboolean
apply_net(struct sp_td_session *s, const struct sp_client_tun_config *tun, GError **error)
{
    struct sp_net_config config = {
        .ifname = sp_client_driver_tun_name(s->driver),
        .ipv4 = tun->ipv4,
        .ipv6 = tun->ipv6,
        .routes = tun->routes,
        .n_routes = tun->n_routes,
    };
    GError *local = NULL;

    if (sp_net_config_apply(s->net, &config, &s->net_result, &local) < 0) {
        g_propagate_error(error, sp_td_error_from_platform(local, false));
        return FALSE;
    }
    if (s->net_result.routes_failed)
        SP_WARN(s->log, APP, "%u routes could not be set", s->net_result.routes_failed);
    return TRUE;
}

static gboolean
apply_dns(struct sp_td_session *s, const struct sp_client_tun_config *tun, GError **error)
{
    g_autofree struct sp_ip *servers = g_new0(struct sp_ip, tun->n_dns + 1);
    GError *local = NULL;
    gboolean ok;

    if (s->tun_known && dns_equal(&s->tun, tun))
        return TRUE;
    for (size_t i = 0; i < tun->n_dns; i++)
        servers[i] = tun->dns[i].sentinel;
    if (tun->n_dns)
        ok = sp_dns_control_set(s->dns, servers, tun->n_dns, tun->search_domain, &local);
    else
        ok = sp_dns_control_revert(s->dns, &local);
    if (!ok) {
        g_propagate_error(error, sp_td_error_from_platform(local, true));
        return FALSE;
    }
    s->taken_over = tun->n_dns > 0 && s->config->dns_control != SP_DNS_DISABLED;
    tell_link(s);
    return TRUE;
}

static void
handle_tun_config(struct sp_td_session *s, const struct sp_client_tun_config *tun)
{
    GError *error = NULL;

    if (!apply_net(s, tun, &error) || !apply_dns(s, tun, &error)) {
        sp_td_session_fail(s, error, false);
        return;
    }
    tun_done(&s->tun);
    s->tun = tun_copy(tun);
    s->tun_known = true;
    if (s->state == SP_TD_CONNECTING || s->state == SP_TD_WAITING) {
        s->since_us = (uint64_t)g_get_real_time();
        sp_td_session_set_state(s, SP_TD_CONNECTED, "");
    } else {
        sp_td_session_notify(s);
    }
}

/* ---- resources --------------------------------------------------------------------------------- */

static void
clear_resources(struct sp_td_session *s)
{
    for (size_t i = 0; i < s->n_resources; i++)
        sp_resource_done(&s->resources[i].resource);
    g_clear_pointer(&s->resources, g_free);
    s->n_resources = 0;
}

static void
resources_changed(struct sp_td_session *s)
{
    s->generation++;
    if (s->ops.resources_changed)
        s->ops.resources_changed(s->ctx);
    sp_td_session_notify(s);
}

static void
handle_resources(struct sp_td_session *s, const struct sp_client_resource_view *list, size_t n)
{
    clear_resources(s);
    s->resources = g_new0(struct sp_client_resource_view, n + 1);
    s->n_resources = n;
    for (size_t i = 0; i < n; i++) {
        s->resources[i] = list[i];
        sp_resource_copy(&s->resources[i].resource, &list[i].resource);
    }
    resources_changed(s);
}

/* ---- events ------------------------------------------------------------------------------------ */

static void
handle_request(struct sp_td_session *s, const struct sp_client_req *req)
{
    int r = s->link ? sp_portal_link_send_client(s->link, req) : SP_E_STATE;

    if (r < 0)
        SP_DEBUG(s->log, APP, "message to the portal lost: %s", sp_strerror(r));
}

void
sp_td_apply_event(void *ctx, struct sp_client_event *ev)
{
    struct sp_td_session *s = ctx;

    if (s->failing)
        return;
    switch (ev->type) {
    case SP_CLIENT_EVENT_TUN_CONFIG:
        handle_tun_config(s, &ev->u.tun);
        break;
    case SP_CLIENT_EVENT_PORTAL:
        handle_request(s, &ev->u.portal);
        break;
    case SP_CLIENT_EVENT_RESOURCES:
        handle_resources(s, ev->u.resources.list, ev->u.resources.n);
        break;
    case SP_CLIENT_EVENT_DNS_QUERY: /* the driver's own business */
        break;
    case SP_CLIENT_EVENT_OFFLINE:
        if (s->ops.gateways_offline)
            s->ops.gateways_offline(s->ctx, &ev->u.resource_id);
        break;
    case SP_CLIENT_EVENT_VERSION_MISMATCH:
        if (s->ops.version_mismatch)
            s->ops.version_mismatch(s->ctx, &ev->u.resource_id);
        break;
    case SP_CLIENT_EVENT_PUBLIC_KEY:
        sp_portal_link_set_public_key(s->link, ev->u.public_key);
        if (s->dialled)
            sp_portal_link_redial(s->link);
        break;
    }
}

void
sp_td_apply_clear(struct sp_td_session *s)
{
    g_autoptr(GError) error = NULL;

    if (s->dns && !sp_dns_control_revert(s->dns, &error))
        SP_ERROR(s->log, APP, "cannot restore the name servers: %s", error->message);
    s->taken_over = false;
    tun_done(&s->tun);
    s->tun_known = false;
    s->net_result = (struct sp_net_result){ 0 };
    sp_resolv_conf_done(&s->system);
    s->system = (struct sp_resolv_conf){ 0 };
    if (s->n_resources) {
        clear_resources(s);
        resources_changed(s);
    }
}
