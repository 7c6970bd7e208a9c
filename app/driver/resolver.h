/* SPDX-License-Identifier: Apache-2.0 */
/* Names of DNS resources on the gateway: A and AAAA by the system's stub resolver, hosts file
 * included. Source: spec platform-linux 7.2. Thread: control; look-ups run on worker threads. */
#pragma once

#include <glib.h>

#include "engine/base/addr.h"

#define SP_RESOLVER_TIMEOUT_MS 10000
#define SP_RESOLVER_MAX        1000 /* pending */
#define SP_RESOLVER_THREADS    16
#define SP_RESOLVER_ADDRS_MAX  32 /* per family */

struct sp_resolver;

/** sp_resolver_cb - called exactly once per accepted name, never from within the call. A family
 * that failed or timed out has no addresses; IPv4 comes first. @addrs is borrowed.
 * @failed: neither family gave an answer; "no such name" is an answer */
typedef void (
    *sp_resolver_cb)(void *ctx, uint64_t id, bool failed, const struct sp_ip *addrs, size_t n);

/** sp_resolver_new() - works on the thread-default main context of the call */
struct sp_resolver *sp_resolver_new(sp_resolver_cb cb, void *ctx);
/** sp_resolver_free() - names still pending are dropped without a call */
void sp_resolver_free(struct sp_resolver *resolver);
/** sp_resolver_resolve() - @name without a trailing dot. Returns: 0 or SP_E_LIMIT */
int sp_resolver_resolve(struct sp_resolver *resolver, uint64_t id, const char *name);
