/* SPDX-License-Identifier: Apache-2.0 */
/* Errors that callers on the bus see, and what a session's failure is called. Thread: any. */
#pragma once

#include <gio/gio.h>

#include "engine/base/defs.h"

/** enum sp_td_error - the names of data/dbus/org.sallyport.Tunnel1.xml, in its order */
enum sp_td_error {
    SP_TD_ERROR_NOT_CONNECTED,
    SP_TD_ERROR_SESSION_OWNED,
    SP_TD_ERROR_BUSY,
    SP_TD_ERROR_INVALID_TOKEN,
    SP_TD_ERROR_INVALID_URL,
    SP_TD_ERROR_NO_SUCH_RESOURCE,
    SP_TD_ERROR_NOT_SUPPORTED,
    SP_TD_ERROR_TUNNEL_DEVICE,
    SP_TD_ERROR_ROUTING_LOOP,
    SP_TD_ERROR_DNS_CONTROL,
    SP_TD_ERROR_DNS_CONFLICT,
    SP_TD_ERROR_PORTAL_REJECTED,
    SP_TD_ERROR_IO,
    SP_TD_ERROR_INTERNAL,
    SP_TD_ERROR_INTERACTIVE, /* the standard name, which GLib does not know */
    _SP_TD_ERROR_MAX
};

#define SP_TD_ERROR (sp_td_error_quark())
GQuark sp_td_error_quark(void);

/** sp_td_error_from_platform() - replace @src (taken) of the platform or portal layer by what a
 * caller is told; @dns: it came from DNS control */
GError *sp_td_error_from_platform(GError *src, bool dns);
/** sp_td_error_reason() - the StateReason code of an error of SP_TD_ERROR, never NULL */
const char *sp_td_error_reason(const GError *error);
