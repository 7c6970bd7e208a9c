/* SPDX-License-Identifier: Apache-2.0 */
/* The relay engine on its sockets, driven by the main loop. Thread: main. */
#pragma once

#include <glib.h>

#include "app/relay/options.h"
#include "app/relay/sockets.h"
#include "engine/base/log.h"
#include "engine/relay/relay.h"

struct relay_server;

/** relay_server_new() - bind and serve. @stamp_secret: text, copied. Returns: NULL and @error */
struct relay_server *relay_server_new(const struct relay_options *opt,
                                      const char *stamp_secret,
                                      const struct sp_log *log,
                                      GError **error);
void relay_server_free(struct relay_server *server);
uint16_t relay_server_port(const struct relay_server *server);
const struct sp_relay_stats *relay_server_stats(const struct relay_server *server);
const struct relay_sockets_stats *relay_server_socket_stats(const struct relay_server *server);
