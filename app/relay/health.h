/* SPDX-License-Identifier: Apache-2.0 */
/* A tiny HTTP responder: GET /healthz, /readyz and /metrics, one request per connection. Source:
 * spec relay 2.4. Thread: main. */
#pragma once

#include <gio/gio.h>

#define RELAY_HEALTH_CONNECTIONS_MAX 32
#define RELAY_HEALTH_REQUEST_MAX     4096
#define RELAY_HEALTH_TIMEOUT_S       5

/** struct relay_health_ops - @ready: joined to the portal? @metrics: Prometheus text, owned */
struct relay_health_ops {
    gboolean (*ready)(void *ctx);
    char *(*metrics)(void *ctx);
    void *ctx;
};

struct relay_health;

/** relay_health_new() - @address: "ADDR:PORT". Returns: NULL and @error */
struct relay_health *relay_health_new(const char *address,
                                      const struct relay_health_ops *ops,
                                      GError **error);
/** relay_health_free() - NULL is fine */
void relay_health_free(struct relay_health *health);
/** relay_health_answer() - the whole response to a request head (for tests too); owned */
char *relay_health_answer(const struct relay_health_ops *ops, const char *request);
