/* SPDX-License-Identifier: Apache-2.0 */
/* The portal's addresses, asked anew before each dial. Once our tunnel owns the system's resolver
 * configuration the servers known from before are asked directly, around the tunnel. Source: spec
 * portal-protocol 1.5. Blocking: runs on the dial's worker thread. */
#pragma once

#include <sys/socket.h>

#include <gio/gio.h>

#include "engine/base/addr.h"

#define SP_RESOLVE_ADDRS_MAX   16
#define SP_RESOLVE_SERVERS_MAX 8

/** struct sp_resolve_params - @n_servers 0: the system's resolver
 * @hosts_path: hosts file consulted before @servers
 * @mark: for our own sockets; 0 for none */
struct sp_resolve_params {
    const char *host;
    struct sp_endpoint servers[SP_RESOLVE_SERVERS_MAX];
    size_t n_servers;
    const char *hosts_path;
    uint32_t mark;
    unsigned timeout_ms;
};

/**
 * sp_resolve() - addresses of @p->host without duplicates, in the order they were learnt
 * Returns: how many were written to @ret_addrs; 0 with @error set
 */
size_t sp_resolve(const struct sp_resolve_params *p,
                  GCancellable *cancellable,
                  struct sp_ip ret_addrs[SP_RESOLVE_ADDRS_MAX],
                  GError **error);

/** sp_resolve_mark() - set SO_MARK; 0 does nothing. FALSE is SP_PORTAL_ERROR_LOOP_PREVENTION */
gboolean sp_resolve_mark(int fd, uint32_t mark, GError **error);
/** sp_resolve_sockaddr() - Returns: length of the address written to @ret */
socklen_t sp_resolve_sockaddr(const struct sp_endpoint *ep, struct sockaddr_storage *ret);
