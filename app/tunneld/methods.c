/* SPDX-License-Identifier: Apache-2.0 */
/* The gate's table, and every method but Connect. */
#include <string.h>

#include "app/platform/device-id.h"
#include "app/tunneld/bus-private.h"
#include "app/tunneld/error.h"
#include "app/tunneld/views.h"

#define REASON_MAX 64

static void
disconnect(struct sp_td_call *call)
{
    g_autoptr(GVariant) options = g_variant_get_child_value(call->params, 0);

    if (g_variant_n_children(options) > 0) {
        sp_td_call_invalid(call, "Disconnect has no options yet");
        return;
    }
    sp_td_session_stop(call->bus->opt.session, "");
    sp_td_call_return(call, NULL);
}

static void
reset(struct sp_td_call *call)
{
    const char *reason;

    g_variant_get(call->params, "(&s)", &reason);
    if (!sp_td_printable(reason, REASON_MAX)) {
        sp_td_call_invalid(call, "the reason is too long or not printable");
        return;
    }
    SP_DEBUG(call->bus->opt.log, APP, "reset wanted: %s", reason);
    sp_td_session_reset(call->bus->opt.session, "asked for");
    sp_td_call_return(call, NULL);
}

static void
set_internet(struct sp_td_call *call)
{
    g_autoptr(GError) error = NULL;
    gboolean active;

    g_variant_get(call->params, "(b)", &active);
    if (sp_td_session_set_internet(call->bus->opt.session, active, &error))
        sp_td_call_return(call, NULL);
    else
        sp_td_call_return_error(call, error);
}

static void
list_resources(struct sp_td_call *call)
{
    g_autoptr(GVariant) options = g_variant_get_child_value(call->params, 0);
    g_autoptr(GError) error = NULL;
    const struct sp_client_resource_view *list;
    struct sp_td_filter filter;
    struct sp_td_status st;
    size_t n;

    if (!sp_td_filter_parse(options, &filter, &error)) {
        sp_td_call_return_error(call, error);
        return;
    }
    sp_td_session_status(call->bus->opt.session, &st);
    list = sp_td_session_resources(call->bus->opt.session, &n);
    sp_td_call_return(
        call,
        g_variant_new("(t@aa{sv})", st.generation, sp_td_view_resources(list, n, &filter)));
}

static void
get_resource(struct sp_td_call *call)
{
    const struct sp_client_resource_view *list;
    GVariant *view;
    const char *id;
    size_t n;

    g_variant_get(call->params, "(&s)", &id);
    list = sp_td_session_resources(call->bus->opt.session, &n);
    view = sp_td_view_resource(list, n, id);
    if (view) {
        sp_td_call_return(call, g_variant_new("(@a{sv})", view));
    } else {
        g_autoptr(GError) error = g_error_new_literal(SP_TD_ERROR,
                                                      SP_TD_ERROR_NO_SUCH_RESOURCE,
                                                      "there is no such resource");

        sp_td_call_return_error(call, error);
    }
}

static void
connections_cb(void *ctx, const struct sp_client_snapshot *snapshot)
{
    GVariant *view = sp_td_view_connections(snapshot, (uint64_t)g_get_real_time());

    sp_td_call_return(ctx, g_variant_new("(@aa{sv})", view));
}

static void
list_connections(struct sp_td_call *call)
{
    sp_td_session_snapshot(call->bus->opt.session, connections_cb, call);
}

static void
statistics_cb(void *ctx, const struct sp_client_snapshot *snapshot)
{
    struct sp_td_call *call = ctx;
    struct sp_td_session *session = call->bus->opt.session;
    struct sp_td_status st;

    sp_td_session_status(session, &st);
    sp_td_call_return(
        call,
        g_variant_new(
            "(@a{sv})",
            sp_td_view_statistics(snapshot, sp_td_session_offloads(session), st.since_us)));
}

static void
get_statistics(struct sp_td_call *call)
{
    sp_td_session_snapshot(call->bus->opt.session, statistics_cb, call);
}

static void
get_dns_status(struct sp_td_call *call)
{
    struct sp_td_bus *bus = call->bus;
    struct sp_td_dns_status dns;
    struct sp_td_status st;

    sp_td_session_status(bus->opt.session, &st);
    sp_td_session_dns_status(bus->opt.session, &dns);
    sp_td_call_return(
        call,
        g_variant_new(
            "(@a{sv})",
            sp_td_view_dns(&dns, sp_td_config_dns_name(bus->opt.config), st.search_domain)));
}

static void
flush_dns_cache(struct sp_td_call *call)
{
    sp_td_session_flush_dns(call->bus->opt.session);
    sp_td_call_return(call, NULL);
}

static void
get_settings(struct sp_td_call *call)
{
    GVariant *view = sp_td_view_settings(call->bus->opt.config);

    sp_td_call_return(call, g_variant_new("(@a{sv})", view));
}

static void
get_device_id(struct sp_td_call *call)
{
    g_autoptr(GError) error = NULL;
    const char *id = sp_td_session_device_id(call->bus->opt.session, &error);
    g_autofree char *external = NULL;

    if (!id) {
        sp_td_call_return_error(call, error);
        return;
    }
    external = sp_device_external_id(id);
    sp_td_call_return(call, g_variant_new("(s)", external));
}

static const struct sp_td_method methods[] = {
    { "Connect", SP_TD_ACTION_MANAGE, false, sp_td_method_connect }, /* guards itself */
    { "Disconnect", SP_TD_ACTION_MANAGE, true, disconnect },
    { "Reset", SP_TD_ACTION_MANAGE, true, reset },
    { "SetInternetResource", SP_TD_ACTION_MANAGE, true, set_internet },
    { "ListResources", SP_TD_ACTION_INSPECT, false, list_resources },
    { "GetResource", SP_TD_ACTION_INSPECT, false, get_resource },
    { "ListConnections", SP_TD_ACTION_INSPECT, false, list_connections },
    { "GetDnsStatus", SP_TD_ACTION_INSPECT, false, get_dns_status },
    { "GetStatistics", SP_TD_ACTION_INSPECT, false, get_statistics },
    { "FlushDnsCache", SP_TD_ACTION_MANAGE, true, flush_dns_cache },
    { "GetSettings", SP_TD_ACTION_INSPECT, false, get_settings },
    { "GetDeviceId", SP_TD_ACTION_INSPECT, false, get_device_id },
};

const struct sp_td_method *
sp_td_method_find(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(methods); i++)
        if (strcmp(methods[i].name, name) == 0)
            return &methods[i];
    return NULL;
}
