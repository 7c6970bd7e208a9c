/* SPDX-License-Identifier: Apache-2.0 */
#include "app/relay/sockets.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_MAX     64
#define SEND_BATCH     64
#define SEND_WAIT_MS   5
#define LISTEN_BUFFER  (4 << 20)
#define ALLOC_BUFFER   (256 << 10)
#define CONTROL_LEN    CMSG_SPACE(sizeof(int))
#define RECV_BYTES_MAX (SP_PKT_CAPACITY - SP_PKT_HEADROOM)

struct port_fds {
    int fd[2]; /* IPv4, IPv6; 0 is none: standard input is never one of ours */
};

struct relay_sockets {
    struct relay_sockets_config config;
    uint16_t listen_port;
    int epoll;
    struct port_fds ports[65536]; /* 0: the listen sockets */
    struct sp_relay_transmit out[SEND_BATCH];
    size_t n_out;
    struct sp_pkt *in[RELAY_RECV_BATCH];
    struct relay_sockets_stats stats;
};

/* ---- addresses ------------------------------------------------------------------------------ */

static socklen_t
to_sockaddr(const struct sp_ip *ip, uint16_t port, struct sockaddr_storage *ret)
{
    struct sockaddr_in *in = (struct sockaddr_in *)ret;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;

    memset(ret, 0, sizeof *ret);
    if (ip->family == 4) {
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
        memcpy(&in->sin_addr, ip->b, 4);
        return sizeof *in;
    }
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(port);
    memcpy(&in6->sin6_addr, ip->b, 16);
    return sizeof *in6;
}

static struct sp_endpoint
from_sockaddr(const struct sockaddr_storage *from)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)from;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)from;
    struct sp_endpoint ep = { 0 };

    if (from->ss_family == AF_INET) {
        ep.ip = sp_ip_from_bytes(4, (const uint8_t *)&in->sin_addr);
        ep.port = ntohs(in->sin_port);
    } else if (from->ss_family == AF_INET6) {
        ep.ip = sp_ip_from_bytes(6, (const uint8_t *)&in6->sin6_addr);
        ep.port = ntohs(in6->sin6_port);
    }
    return ep;
}

/* ---- opening and closing -------------------------------------------------------------------- */

static int
set_int(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value) < 0 ? -errno : 0;
}

static int
set_options(int fd, uint8_t family, int buffer)
{
    int r = family == 4 ? set_int(fd, IPPROTO_IP, IP_RECVTOS, 1)
                        : set_int(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);

    if (r == 0 && family == 6)
        r = set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (r < 0)
        return r;
    if (set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, buffer) < 0)
        (void)set_int(fd, SOL_SOCKET, SO_RCVBUF, buffer);
    if (set_int(fd, SOL_SOCKET, SO_SNDBUFFORCE, buffer) < 0)
        (void)set_int(fd, SOL_SOCKET, SO_SNDBUF, buffer);
    return 0;
}

static uint64_t
event_tag(int fd, uint16_t port, bool v6)
{
    return (uint64_t)(uint32_t)fd << 32 | (uint32_t)port << 1 | v6;
}

/* @port: the number to bind; @slot: where to keep it. Returns: 0 or negative errno */
static int
open_one(struct relay_sockets *s, uint16_t slot, uint16_t port, bool v6)
{
    const struct sp_ip *ip = v6 ? &s->config.bind6 : &s->config.bind4;
    struct epoll_event ev = { .events = EPOLLIN };
    struct sockaddr_storage addr;
    socklen_t len = to_sockaddr(ip, port, &addr);
    int fd, r;

    if (!ip->family)
        return -EAFNOSUPPORT;
    fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    r = set_options(fd, v6 ? 6 : 4, slot ? ALLOC_BUFFER : LISTEN_BUFFER);
    if (r == 0 && bind(fd, (const struct sockaddr *)&addr, len) < 0)
        r = -errno;
    ev.data.u64 = event_tag(fd, slot, v6);
    if (r == 0 && epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
        r = -errno;
    if (r < 0) {
        close(fd);
        return r;
    }
    s->ports[slot].fd[v6] = fd;
    return 0;
}

static void
close_slot(struct relay_sockets *s, uint16_t slot)
{
    for (int i = 0; i < 2; i++) {
        if (s->ports[slot].fd[i])
            close(s->ports[slot].fd[i]);
        s->ports[slot].fd[i] = 0;
    }
}

int
relay_sockets_open(struct relay_sockets *s, uint16_t port, bool v4, bool v6)
{
    int r = 0;

    sp_assert(port);
    if (v4)
        r = open_one(s, port, port, false);
    if (r == 0 && v6)
        r = open_one(s, port, port, true);
    if (r < 0)
        close_slot(s, port);
    return r;
}

void
relay_sockets_close(struct relay_sockets *s, uint16_t port)
{
    relay_sockets_flush(s);
    close_slot(s, port);
}

static uint16_t
bound_port(int fd)
{
    struct sockaddr_storage addr = { 0 };
    socklen_t len = sizeof addr;

    if (getsockname(fd, (struct sockaddr *)&addr, &len) < 0)
        return 0;
    return from_sockaddr(&addr).port;
}

static int
open_listen(struct relay_sockets *s)
{
    int r = 0;

    s->listen_port = s->config.listen_port;
    if (s->config.bind4.family) {
        r = open_one(s, 0, s->listen_port, false);
        if (r == 0)
            s->listen_port = bound_port(s->ports[0].fd[0]);
    }
    if (r == 0 && s->config.bind6.family) {
        r = open_one(s, 0, s->listen_port, true);
        if (r == 0)
            s->listen_port = bound_port(s->ports[0].fd[1]);
    }
    return r;
}

int
relay_sockets_new(const struct relay_sockets_config *config, struct relay_sockets **ret_sockets)
{
    struct relay_sockets *s = sp_xcalloc(1, sizeof *s);
    int r;

    s->config = *config;
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    r = s->epoll < 0 ? -errno : open_listen(s);
    if (r < 0) {
        relay_sockets_free(s);
        return r;
    }
    *ret_sockets = s;
    return 0;
}

void
relay_sockets_free(struct relay_sockets *s)
{
    if (!s)
        return;
    relay_sockets_flush(s);
    for (unsigned port = 0; port <= 65535; port++)
        close_slot(s, (uint16_t)port);
    for (size_t i = 0; i < RELAY_RECV_BATCH; i++)
        sp_pkt_free(s->in[i]);
    if (s->epoll >= 0)
        close(s->epoll);
    free(s);
}

int
relay_sockets_fd(const struct relay_sockets *s)
{
    return s->epoll;
}

uint16_t
relay_sockets_listen_port(const struct relay_sockets *s)
{
    return s->listen_port;
}

const struct relay_sockets_stats *
relay_sockets_get_stats(const struct relay_sockets *s)
{
    return &s->stats;
}

/* ---- receiving ------------------------------------------------------------------------------ */

union control {
    char bytes[CONTROL_LEN];
    struct cmsghdr align;
};

struct batch {
    struct mmsghdr msgs[SEND_BATCH];
    struct iovec iov[SEND_BATCH];
    struct sockaddr_storage addrs[SEND_BATCH];
    union control controls[SEND_BATCH];
};

static uint8_t
ecn_of(struct msghdr *msg)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS)
            || (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS))
            return *CMSG_DATA(c) & 3;
    }
    return 0;
}

/* Returns: for how many datagrams there is room */
static unsigned
prepare(struct relay_sockets *s, struct batch *b)
{
    unsigned n = 0;

    for (; n < RELAY_RECV_BATCH; n++) {
        if (!s->in[n])
            s->in[n] = sp_pkt_alloc(s->config.pool);
        if (!s->in[n])
            break;
        b->iov[n] = (struct iovec){ .iov_base = sp_pkt_data(s->in[n]), .iov_len = RECV_BYTES_MAX };
        b->msgs[n].msg_hdr = (struct msghdr){
            .msg_name = &b->addrs[n],
            .msg_namelen = sizeof b->addrs[n],
            .msg_iov = &b->iov[n],
            .msg_iovlen = 1,
            .msg_control = &b->controls[n],
            .msg_controllen = sizeof b->controls[n],
        };
    }
    return n;
}

/* Returns: datagrams received */
static int
receive(struct relay_sockets *s, int fd, uint16_t port)
{
    struct batch b;
    unsigned room = prepare(s, &b);
    int n = room ? recvmmsg(fd, b.msgs, room, MSG_DONTWAIT, NULL) : 0;

    for (int i = 0; i < n; i++) {
        struct sp_endpoint from = from_sockaddr(&b.addrs[i]);
        struct sp_pkt *pkt = s->in[i];

        s->stats.received++;
        if (b.msgs[i].msg_hdr.msg_flags & MSG_TRUNC) {
            s->stats.recv_dropped++;
            continue;
        }
        s->in[i] = NULL;
        pkt->len = (uint16_t)b.msgs[i].msg_len;
        pkt->ecn = ecn_of(&b.msgs[i].msg_hdr);
        s->config.handle(s->config.ctx, port, &from, pkt);
    }
    relay_sockets_flush(s);
    return SP_MAX(n, 0);
}

void
relay_sockets_turn(struct relay_sockets *s)
{
    struct epoll_event events[EVENTS_MAX];
    int n = epoll_wait(s->epoll, events, EVENTS_MAX, 0), done = 0;

    for (int i = 0; i < n && done < RELAY_TURN_MAX; i++) {
        uint16_t port = (uint16_t)(events[i].data.u64 >> 1);
        bool v6 = events[i].data.u64 & 1;
        int fd = (int)(events[i].data.u64 >> 32);

        /* It may have been closed, and its number used again, since the kernel reported it. */
        if (s->ports[port].fd[v6] == fd)
            done += receive(s, fd, port);
    }
}

/* ---- sending -------------------------------------------------------------------------------- */

static void
put_ecn(struct msghdr *msg, union control *control, uint8_t family, int ecn)
{
    struct cmsghdr *c;

    memset(control, 0, sizeof *control);
    msg->msg_control = control;
    msg->msg_controllen = CMSG_SPACE(sizeof ecn);
    c = CMSG_FIRSTHDR(msg);
    c->cmsg_level = family == 4 ? IPPROTO_IP : IPPROTO_IPV6;
    c->cmsg_type = family == 4 ? IP_TOS : IPV6_TCLASS;
    c->cmsg_len = CMSG_LEN(sizeof ecn);
    memcpy(CMSG_DATA(c), &ecn, sizeof ecn);
}

static void
fill(struct batch *b, size_t i, const struct sp_relay_transmit *tx)
{
    socklen_t len = to_sockaddr(&tx->dst.ip, tx->dst.port, &b->addrs[i]);

    b->iov[i] = (struct iovec){ .iov_base = sp_pkt_data(tx->pkt), .iov_len = tx->pkt->len };
    b->msgs[i].msg_hdr = (struct msghdr){
        .msg_name = &b->addrs[i],
        .msg_namelen = len,
        .msg_iov = &b->iov[i],
        .msg_iovlen = 1,
    };
    if (tx->pkt->ecn)
        put_ecn(&b->msgs[i].msg_hdr, &b->controls[i], tx->dst.ip.family, tx->pkt->ecn);
}

static bool
wait_writable(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLOUT };

    return poll(&p, 1, SEND_WAIT_MS) > 0;
}

static void
send_run(struct relay_sockets *s, int fd, struct batch *b, unsigned n)
{
    bool waited = false;

    for (unsigned i = 0; i < n;) {
        int r = sendmmsg(fd, b->msgs + i, n - i, 0);

        if (r > 0) {
            i += (unsigned)r;
            s->stats.sent += (unsigned)r;
            waited = false;
        } else if (errno == EAGAIN || errno == ENOBUFS) {
            if (!waited && wait_writable(fd)) {
                waited = true;
                continue;
            }
            s->stats.send_full += n - i;
            return;
        } else if (errno != EINTR) {
            s->stats.send_failed++;
            i++;
        }
    }
}

void
relay_sockets_flush(struct relay_sockets *s)
{
    struct batch b;

    for (size_t first = 0, end; first < s->n_out; first = end) {
        const struct sp_relay_transmit *tx = &s->out[first];
        bool v6 = tx->dst.ip.family == 6;
        int fd = s->ports[tx->port].fd[v6];

        for (end = first; end < s->n_out && s->out[end].port == tx->port
                          && (s->out[end].dst.ip.family == 6) == v6;
             end++)
            fill(&b, end - first, &s->out[end]);
        if (fd)
            send_run(s, fd, &b, (unsigned)(end - first));
        else
            s->stats.send_failed += end - first;
    }
    for (size_t i = 0; i < s->n_out; i++)
        sp_pkt_free(s->out[i].pkt);
    s->n_out = 0;
}

void
relay_sockets_send(struct relay_sockets *s, const struct sp_relay_transmit *tx)
{
    s->out[s->n_out++] = *tx;
    if (s->n_out == SEND_BATCH)
        relay_sockets_flush(s);
}
