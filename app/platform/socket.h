/* SPDX-License-Identifier: Apache-2.0 */
/* Marked sockets for the control path: whatever carries the mark goes around the tunnel.
 * Source: spec platform-linux 1.6. Thread: control. */
#pragma once

#include <gio/gio.h>

#include "engine/base/addr.h"

#define SP_DEFAULT_MARK 0x5a110001u

/** sp_socket_set_mark() - put the bypass mark on @fd; @mark 0 does nothing.
 * Returns: 0 or negative errno, which must end the session (routing loop) */
int sp_socket_set_mark(int fd, uint32_t mark);
/** sp_socket_mark() - the same for a GSocket, with SP_PLATFORM_ERROR_LOOP_PREVENTION */
gboolean sp_socket_mark(GSocket *socket, uint32_t mark, GError **error);
/** sp_socket_new_udp() - marked, non-blocking, unbound UDP socket. Returns: strong, or NULL */
GSocket *sp_socket_new_udp(uint8_t family, uint32_t mark, GError **error);
/** sp_socket_new_tcp() - marked, non-blocking, unconnected, without Nagle. Returns: strong, or NULL */
GSocket *sp_socket_new_tcp(uint8_t family, uint32_t mark, GError **error);
/** sp_socket_address() - @ep as a GIO address. Returns: strong */
GSocketAddress *sp_socket_address(const struct sp_endpoint *ep);
/** sp_socket_address_parse() - back to an endpoint; false when it is not IP */
gboolean sp_socket_address_parse(GSocketAddress *address, struct sp_endpoint *ret_ep);
