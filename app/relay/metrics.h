/* SPDX-License-Identifier: Apache-2.0 */
/* The counters of the relay as Prometheus text. Names: spec relay 2.4. Thread: any. */
#pragma once

#include "app/relay/sockets.h"
#include "engine/relay/relay.h"

/** relay_metrics_text() - owned (g_free) */
char *relay_metrics_text(const struct sp_relay_stats *relay,
                         const struct relay_sockets_stats *sockets);
