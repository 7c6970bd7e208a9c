/* SPDX-License-Identifier: Apache-2.0 */
/* DNS queries to real servers for the engine: one fresh marked socket per query, so replies cannot
 * be mixed up and ports are not predictable. Source: spec platform-linux 2.7. Thread: control. */
#pragma once

#include <glib.h>

#include "engine/base/addr.h"
#include "engine/base/span.h"

#define SP_DNS_UPSTREAM_TIMEOUT_MS 5000
#define SP_DNS_UPSTREAM_MAX        1000 /* in flight */
#define SP_DNS_UPSTREAM_REPLY_MAX  1500

struct sp_dns_upstream;

/** sp_dns_upstream_cb - called exactly once per accepted query, never from within the call.
 * @code: 0 and @reply (borrowed); -ETIMEDOUT; other negative errno */
typedef void (*sp_dns_upstream_cb)(void *ctx, uint64_t id, int code, struct sp_span reply);

/** sp_dns_upstream_new() - works on the thread-default main context of the call */
struct sp_dns_upstream *sp_dns_upstream_new(uint32_t mark, sp_dns_upstream_cb cb, void *ctx);
/** sp_dns_upstream_free() - queries in flight are dropped without a call */
void sp_dns_upstream_free(struct sp_dns_upstream *up);
/** sp_dns_upstream_query() - send @query (borrowed) to @server; @id comes back with the result.
 * Returns: 0; SP_E_LIMIT too many in flight; negative errno could not be sent: no call follows */
int sp_dns_upstream_query(struct sp_dns_upstream *up,
                          uint64_t id,
                          const struct sp_endpoint *server,
                          struct sp_span query);
/** sp_dns_upstream_query_tcp() - the same over a connection of its own
 * @source: NULL or family 0: around the tunnel; else from this address of ours and through the tunnel,
 *          not marked */
int sp_dns_upstream_query_tcp(struct sp_dns_upstream *up,
                              uint64_t id,
                              const struct sp_endpoint *server,
                              const struct sp_ip *source,
                              struct sp_span query);
size_t sp_dns_upstream_in_flight(const struct sp_dns_upstream *up);
