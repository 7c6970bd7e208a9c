/* SPDX-License-Identifier: Apache-2.0 */
#include "app/tunneld/error.h"

#include "app/platform/error.h"
#include "app/portal-link/error.h"

#define NAME(x) "org.sallyport.Tunnel1.Error." x

static const GDBusErrorEntry entries[_SP_TD_ERROR_MAX] = {
    { SP_TD_ERROR_NOT_CONNECTED, NAME("NotConnected") },
    { SP_TD_ERROR_SESSION_OWNED, NAME("SessionOwned") },
    { SP_TD_ERROR_BUSY, NAME("Busy") },
    { SP_TD_ERROR_INVALID_TOKEN, NAME("InvalidToken") },
    { SP_TD_ERROR_INVALID_URL, NAME("InvalidUrl") },
    { SP_TD_ERROR_NO_SUCH_RESOURCE, NAME("NoSuchResource") },
    { SP_TD_ERROR_NOT_SUPPORTED, NAME("NotSupported") },
    { SP_TD_ERROR_TUNNEL_DEVICE, NAME("TunnelDevice") },
    { SP_TD_ERROR_ROUTING_LOOP, NAME("RoutingLoop") },
    { SP_TD_ERROR_DNS_CONTROL, NAME("DnsControl") },
    { SP_TD_ERROR_DNS_CONFLICT, NAME("DnsConflict") },
    { SP_TD_ERROR_PORTAL_REJECTED, NAME("PortalRejected") },
    { SP_TD_ERROR_IO, NAME("Io") },
    { SP_TD_ERROR_INTERNAL, NAME("Internal") },
    { SP_TD_ERROR_INTERACTIVE, "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired" },
};

GQuark
sp_td_error_quark(void)
{
    static gsize quark;

    g_dbus_error_register_error_domain("sp-td-error-quark", &quark, entries, G_N_ELEMENTS(entries));
    return (GQuark)quark;
}

static enum sp_td_error
classify(const GError *e, bool dns)
{
    if (g_error_matches(e, SP_PLATFORM_ERROR, SP_PLATFORM_ERROR_LOOP_PREVENTION)
        || g_error_matches(e, SP_PORTAL_ERROR, SP_PORTAL_ERROR_LOOP_PREVENTION))
        return SP_TD_ERROR_ROUTING_LOOP;
    if (g_error_matches(e, SP_PORTAL_ERROR, SP_PORTAL_ERROR_INVALID))
        return SP_TD_ERROR_INVALID_URL;
    if (dns)
        return g_error_matches(e, SP_PLATFORM_ERROR, SP_PLATFORM_ERROR_CONFLICT)
                   ? SP_TD_ERROR_DNS_CONFLICT
                   : SP_TD_ERROR_DNS_CONTROL;
    return e->domain == SP_PLATFORM_ERROR ? SP_TD_ERROR_TUNNEL_DEVICE : SP_TD_ERROR_INTERNAL;
}

GError *
sp_td_error_from_platform(GError *src, bool dns)
{
    GError *error = g_error_new_literal(SP_TD_ERROR, (int)classify(src, dns), src->message);

    g_error_free(src);
    return error;
}

const char *
sp_td_error_reason(const GError *error)
{
    if (error->domain != SP_TD_ERROR)
        return "internal";
    switch (error->code) {
    case SP_TD_ERROR_INVALID_TOKEN:
        return "token-invalid";
    case SP_TD_ERROR_TUNNEL_DEVICE:
        return "tunnel-device";
    case SP_TD_ERROR_ROUTING_LOOP:
        return "routing-loop";
    case SP_TD_ERROR_DNS_CONTROL:
        return "dns-control";
    case SP_TD_ERROR_DNS_CONFLICT:
        return "dns-conflict";
    case SP_TD_ERROR_PORTAL_REJECTED:
        return "portal-rejected";
    default:
        return "internal";
    }
}
