/* SPDX-License-Identifier: Apache-2.0 */
#include "app/platform/socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "app/platform/error.h"

int
sp_socket_set_mark(int fd, uint32_t mark)
{
    if (mark && setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark) < 0)
        return -errno;
    return 0;
}

gboolean
sp_socket_mark(GSocket *socket, uint32_t mark, GError **error)
{
    int r = sp_socket_set_mark(g_socket_get_fd(socket), mark);

    if (r == 0)
        return TRUE;
    g_set_error(error,
                SP_PLATFORM_ERROR,
                SP_PLATFORM_ERROR_LOOP_PREVENTION,
                "routing loop prevention failed: %s",
                g_strerror(-r));
    return FALSE;
}

static GSocket *
new_socket(uint8_t family,
           GSocketType type,
           GSocketProtocol protocol,
           uint32_t mark,
           GError **error)
{
    g_autoptr(GSocket) socket =
        g_socket_new(family == 4 ? G_SOCKET_FAMILY_IPV4 : G_SOCKET_FAMILY_IPV6,
                     type,
                     protocol,
                     error);

    if (!socket || !sp_socket_mark(socket, mark, error))
        return NULL;
    g_socket_set_blocking(socket, FALSE);
    return g_steal_pointer(&socket);
}

GSocket *
sp_socket_new_udp(uint8_t family, uint32_t mark, GError **error)
{
    return new_socket(family, G_SOCKET_TYPE_DATAGRAM, G_SOCKET_PROTOCOL_UDP, mark, error);
}

GSocket *
sp_socket_new_tcp(uint8_t family, uint32_t mark, GError **error)
{
    GSocket *socket = new_socket(family, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, mark, error);

    if (socket)
        (void)g_socket_set_option(socket, IPPROTO_TCP, TCP_NODELAY, 1, NULL);
    return socket;
}

GSocketAddress *
sp_socket_address(const struct sp_endpoint *ep)
{
    g_autoptr(GInetAddress) ip = g_inet_address_new_from_bytes(
        ep->ip.b,
        ep->ip.family == 4 ? G_SOCKET_FAMILY_IPV4 : G_SOCKET_FAMILY_IPV6);

    return g_inet_socket_address_new(ip, ep->port);
}

gboolean
sp_socket_address_parse(GSocketAddress *address, struct sp_endpoint *ret_ep)
{
    GInetAddress *ip;

    if (!G_IS_INET_SOCKET_ADDRESS(address))
        return FALSE;
    ip = g_inet_socket_address_get_address(G_INET_SOCKET_ADDRESS(address));
    *ret_ep = (struct sp_endpoint){
        .ip = sp_ip_from_bytes(g_inet_address_get_family(ip) == G_SOCKET_FAMILY_IPV4 ? 4 : 6,
                               g_inet_address_to_bytes(ip)),
        .port = g_inet_socket_address_get_port(G_INET_SOCKET_ADDRESS(address)),
    };
    return TRUE;
}
