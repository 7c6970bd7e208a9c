/* SPDX-License-Identifier: Apache-2.0 */
/* The session as D-Bus values, in the words of data/dbus/org.sallyport.Tunnel1.xml.
 * Thread: main. All variants are floating. */
#pragma once

#include <gio/gio.h>

#include "app/tunneld/session.h"

/** struct sp_td_filter - of ListResources; texts borrowed from the call, NULL for any */
struct sp_td_filter {
    const char *type;
    const char *status;
    const char *name_glob;
};

/** sp_td_filter_parse() - @options: a{sv}. FALSE and @error (INVALID_ARGS) for unknown keys */
gboolean sp_td_filter_parse(GVariant *options, struct sp_td_filter *ret, GError **error);
/** sp_td_view_resources() - aa{sv} of those that match */
GVariant *sp_td_view_resources(const struct sp_client_resource_view *list,
                               size_t n,
                               const struct sp_td_filter *filter);
/** sp_td_view_resource() - a{sv} of @id, or NULL */
GVariant *sp_td_view_resource(const struct sp_client_resource_view *list, size_t n, const char *id);
/** sp_td_view_connections() - aa{sv}; @snapshot may be NULL; @real_us: CLOCK_REALTIME now */
GVariant *sp_td_view_connections(const struct sp_client_snapshot *snapshot, uint64_t real_us);
/** sp_td_view_statistics() - a{sv}; @snapshot may be NULL */
GVariant *sp_td_view_statistics(const struct sp_client_snapshot *snapshot,
                                unsigned offloads,
                                uint64_t since_us);
/** sp_td_view_dns() - a{sv} */
GVariant *sp_td_view_dns(const struct sp_td_dns_status *dns,
                         const char *method,
                         const char *search_domain);
/** sp_td_view_settings() - a{sv} */
GVariant *sp_td_view_settings(const struct sp_td_config *config);
