/* SPDX-License-Identifier: Apache-2.0 */
/* Bounds on TCP connections, which libsoup does not have: how many there are in all and of one
 * address, and how long one may take over a request. Owner: the server. Thread: the main loop. */
#pragma once

#include <libsoup/soup.h>

#include "app/portal/remote.h"

struct sp_cp_guard;

struct sp_cp_guard_options {
    unsigned total;
    unsigned per_address; /* not for trusted proxies, which speak for many */
    unsigned request_ms;  /* from the start of a connection to a whole request */
};

/** sp_cp_guard_new() - watch @server; @proxies is borrowed */
struct sp_cp_guard *sp_cp_guard_new(SoupServer *server,
                                    const struct sp_cp_proxies *proxies,
                                    const struct sp_cp_guard_options *options);
/** sp_cp_guard_free() - connections may outlive it */
void sp_cp_guard_free(struct sp_cp_guard *guard);
