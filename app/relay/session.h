/* SPDX-License-Identifier: Apache-2.0 */
/* The running relay: server, portal link, health endpoint. Thread: main. */
#pragma once

#include <glib.h>

#include "app/relay/options.h"
#include "engine/base/log.h"

struct relay_session;

/** relay_session_new() - bind everything and dial the portal
 * @finished: called when the session is over; @message is for people, NULL after a drain
 * Returns: NULL and @error */
struct relay_session *relay_session_new(const struct relay_options *opt,
                                        const struct sp_log *log,
                                        void (*finished)(void *ctx, const char *message),
                                        void *ctx,
                                        GError **error);
/** relay_session_drain() - leave the portal, and call @finished once no allocation is left, or
 * @seconds have passed */
void relay_session_drain(struct relay_session *session, guint seconds);
void relay_session_free(struct relay_session *session);
