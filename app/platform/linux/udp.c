/* SPDX-License-Identifier: Apache-2.0 */
#include "app/platform/udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "app/platform/error.h"
#include "app/platform/linux/udp-private.h"

#ifndef IPV6_ADDR_PREFERENCES
#    define IPV6_ADDR_PREFERENCES 72
#endif
#define PREFER_SRC_PUBLIC 0x0002 /* IPV6_PREFER_SRC_PUBLIC of linux/in6.h */

#define SEND_BUFFER       (2u << 20)  /* 10 Gbit/s for 1 ms, rounded up */
#define RECV_BUFFER       (16u << 20) /* 10 Gbit/s for 10 ms, rounded up */
#define BUFFER_FLOOR      (64u << 10)

/* What a control message can hold: pktinfo of IPv6, TOS, segment size. */
static int
set_int(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value) < 0 ? -errno : 0;
}

static void
set_buffer(struct sp_udp *udp, int force, int plain, uint32_t want, const char *what)
{
    for (uint32_t size = want; size >= BUFFER_FLOOR; size /= 2) {
        if (set_int(udp->fd, SOL_SOCKET, force, (int)SP_MIN(size, (uint32_t)INT32_MAX)) == 0)
            return;
        if (set_int(udp->fd, SOL_SOCKET, plain, (int)SP_MIN(size, (uint32_t)INT32_MAX)) == 0)
            return;
    }
    SP_WARN(udp->log, DRIVER, "udp: %s buffer cannot be set", what);
}

static int
set_family_options(struct sp_udp *udp)
{
    int fd = udp->fd, r;

    if (udp->family == 4) {
        r = set_int(fd, IPPROTO_IP, IP_RECVTOS, 1);
        if (r == 0)
            r = set_int(fd, IPPROTO_IP, IP_PKTINFO, 1);
        if (r == 0)
            r = set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
        return r;
    }
    r = set_int(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
    if (r == 0)
        r = set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    if (r == 0)
        r = set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
    if (r == 0)
        r = set_int(fd, IPPROTO_IPV6, IPV6_DONTFRAG, 1);
    return r;
}

static void
probe_offload(struct sp_udp *udp, const struct sp_udp_options *options)
{
    udp->gso_max = 1;
    if (options->no_offload)
        return;
    if (set_int(udp->fd, SOL_UDP, UDP_GRO, 1) < 0)
        SP_INFO(udp->log, DRIVER, "udp: no receive offload");
    if (set_int(udp->fd, SOL_UDP, UDP_SEGMENT, 1500) == 0
        && set_int(udp->fd, SOL_UDP, UDP_SEGMENT, 0) == 0)
        udp->gso_max = SP_UDP_SEGMENTS_MAX;
    else
        SP_INFO(udp->log, DRIVER, "udp: no send offload");
}

static int
bind_port(struct sp_udp *udp, uint16_t port)
{
    struct sockaddr_storage ss = { 0 };
    struct sp_endpoint any = { .ip.family = udp->family, .port = port };
    socklen_t len = sp_udp_to_sockaddr(&any, &ss);

    if (bind(udp->fd, (struct sockaddr *)&ss, len) < 0)
        return -errno;
    len = sizeof ss;
    if (getsockname(udp->fd, (struct sockaddr *)&ss, &len) < 0)
        return -errno;
    sp_udp_from_sockaddr(&ss, &any);
    udp->port = any.port;
    return 0;
}

static int
open_socket(struct sp_udp *udp, const struct sp_udp_options *options, uint16_t port)
{
    int family = udp->family == 4 ? AF_INET : AF_INET6, r;

    udp->fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
    if (udp->fd < 0)
        return -errno;
    if (udp->family == 6) {
        r = set_int(udp->fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
        if (r < 0)
            return r;
        /* Temporary addresses change under our candidates; stable ones do not. */
        if (set_int(udp->fd, IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, PREFER_SRC_PUBLIC) < 0)
            SP_WARN(udp->log, DRIVER, "udp: stable source addresses cannot be preferred");
    }
    r = sp_socket_set_mark(udp->fd, options->mark);
    if (r < 0) {
        udp->loop_risk = true;
        return r;
    }
    r = bind_port(udp, port);
    return r < 0 ? r : set_family_options(udp);
}

static void
set_error(GError **error, const struct sp_udp *udp, int err)
{
    if (udp->loop_risk)
        g_set_error(error,
                    SP_PLATFORM_ERROR,
                    SP_PLATFORM_ERROR_LOOP_PREVENTION,
                    "routing loop prevention failed: %s",
                    g_strerror(err));
    else
        sp_platform_error_set(error, err, "cannot open IPv%u socket", udp->family);
}

static void
drop_socket(struct sp_udp *udp)
{
    if (udp->fd >= 0)
        close(udp->fd);
    udp->fd = -1;
}

int
sp_udp_new(uint8_t family,
           const struct sp_udp_options *options,
           const struct sp_log *log,
           struct sp_udp **ret_udp,
           GError **error)
{
    struct sp_udp *udp = sp_xcalloc(1, sizeof *udp);
    int r;

    udp->fd = -1;
    udp->family = family;
    udp->log = log;
    r = open_socket(udp, options, options->port);
    if (r < 0 && options->port && !udp->loop_risk) {
        drop_socket(udp);
        r = open_socket(udp, options, 0);
    }
    if (r < 0) {
        set_error(error, udp, -r);
        sp_udp_free(udp);
        return r;
    }
    probe_offload(udp, options);
    set_buffer(udp,
               SO_SNDBUFFORCE,
               SO_SNDBUF,
               options->send_buffer ? options->send_buffer : SEND_BUFFER,
               "send");
    set_buffer(udp,
               SO_RCVBUFFORCE,
               SO_RCVBUF,
               options->recv_buffer ? options->recv_buffer : RECV_BUFFER,
               "receive");
    sp_udp_init_slots(udp);
    *ret_udp = udp;
    return 0;
}

void
sp_udp_free(struct sp_udp *udp)
{
    if (!udp)
        return;
    drop_socket(udp);
    free(udp->recv_buf);
    free(udp);
}

int
sp_udp_fd(const struct sp_udp *udp)
{
    return udp->fd;
}

uint16_t
sp_udp_port(const struct sp_udp *udp)
{
    return udp->port;
}

const struct sp_udp_stats *
sp_udp_get_stats(const struct sp_udp *udp)
{
    return &udp->stats;
}
