/* SPDX-License-Identifier: Apache-2.0 */
/* The running gateway: portal link, engine driver, interface and NAT of the host. Thread: main. */
#pragma once

#include <glib.h>

#include "app/gateway/options.h"
#include "engine/base/log.h"

struct gateway_session;

/** gateway_session_new() - bring everything up and dial the portal
 * @finished: called once when the gateway cannot go on; @message is for people
 * Returns: NULL and @error */
struct gateway_session *gateway_session_new(const struct gateway_options *opt,
                                            const struct sp_log *log,
                                            void (*finished)(void *ctx, const char *message),
                                            void *ctx,
                                            GError **error);
/** gateway_session_free() - goodbye to clients, undo NAT and rules, remove the interface */
void gateway_session_free(struct gateway_session *s);
