/* SPDX-License-Identifier: Apache-2.0 */
/* One attempt to reach the portal: names, TCP race, TLS, upgrade. Source: spec portal-protocol 1.2,
 * 1.3, 1.5. The work is done on a worker thread; the call returns at once. */
#pragma once

#include <gio/gio.h>

#include "app/portal-link/resolve.h"
#include "app/portal-link/upgrade.h"
#include "engine/portal/login.h"

/** struct sp_dial_params - copied by sp_dial_async(), but for what is said to be owned
 * @token: cleaned token or NULL; the bytes end in NUL
 * @tls_database: NULL for the system's roots */
struct sp_dial_params {
    const struct sp_portal_url *url;
    const char *user_agent;
    GBytes *token;
    GTlsDatabase *tls_database;
    struct sp_resolve_params resolve; /* host is filled in from @url */
    unsigned tcp_timeout_ms;
};

/** sp_dial_async() - the owner bounds the whole by @cancellable */
void sp_dial_async(const struct sp_dial_params *params,
                   GCancellable *cancellable,
                   GAsyncReadyCallback callback,
                   gpointer data);

/**
 * sp_dial_finish() - the outcome
 * @ret_reply: filled on SP_PORTAL_ERROR_REFUSED and owned by the caller
 * Returns: a stream that speaks WebSocket, strong; or NULL with @error
 */
GIOStream *sp_dial_finish(GAsyncResult *result, struct sp_upgrade_reply *ret_reply, GError **error);
