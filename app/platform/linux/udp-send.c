/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netinet/udp.h>
#include <string.h>

#include "app/platform/linux/udp-private.h"

/* What one super-datagram may hold besides the headers; generous so that options fit. */
#define OVERHEAD4 68
#define OVERHEAD6 48

static void
put_cmsg(struct msghdr *mh, int level, int type, const void *data, size_t n)
{
    struct cmsghdr *c = (struct cmsghdr *)(void *)((uint8_t *)mh->msg_control + mh->msg_controllen);

    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(n);
    memcpy(CMSG_DATA(c), data, n);
    mh->msg_controllen += CMSG_SPACE(n);
}

static void
put_source(struct msghdr *mh, const struct sp_ip *src)
{
    if (src->family == 4) {
        struct in_pktinfo info = { 0 };

        memcpy(&info.ipi_spec_dst, src->b, 4);
        put_cmsg(mh, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
    } else {
        struct in6_pktinfo info = { 0 };

        memcpy(&info.ipi6_addr, src->b, 16);
        put_cmsg(mh, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
    }
}

static int
send_range(struct sp_udp *udp, const struct sp_udp_group *g, size_t first, size_t count)
{
    _Alignas(struct cmsghdr) uint8_t control[SP_UDP_SEND_CONTROL] = { 0 };
    struct iovec iov[SP_UDP_SEGMENTS_MAX];
    struct sockaddr_storage ss = { 0 };
    struct msghdr mh = { .msg_name = &ss, .msg_iov = iov, .msg_iovlen = count };
    int ecn = g->key.pkt->ecn;
    ssize_t r;

    mh.msg_namelen = sp_udp_to_sockaddr(&g->key.dst, &ss);
    mh.msg_control = control;
    for (size_t i = 0; i < count; i++)
        iov[i] = (struct iovec){ sp_pkt_data(g->pkts[first + i]), g->pkts[first + i]->len };
    if (ecn && !udp->no_tos && udp->family == 4)
        put_cmsg(&mh, IPPROTO_IP, IP_TOS, &ecn, sizeof ecn);
    else if (ecn && !udp->no_tos)
        put_cmsg(&mh, IPPROTO_IPV6, IPV6_TCLASS, &ecn, sizeof ecn);
    if (count > 1) {
        uint16_t size = (uint16_t)g->segment;

        put_cmsg(&mh, SOL_UDP, UDP_SEGMENT, &size, sizeof size);
    }
    if (g->key.has_src)
        put_source(&mh, &g->key.src);
    do
        r = sendmsg(udp->fd, &mh, MSG_DONTWAIT);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : 0;
}

static void
count_error(struct sp_udp *udp, int err, size_t n)
{
    switch (err) {
    case EAGAIN:
    case ENOBUFS:
        udp->stats.send_would_block += n;
        return;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case EADDRNOTAVAIL:
    case EHOSTDOWN:
        udp->stats.send_unreachable += n;
        break;
    case EPERM:
    case EACCES:
        udp->stats.send_denied += n;
        if (!udp->warned_denied)
            SP_INFO(udp->log, DRIVER, "udp: sending is not permitted, maybe by a local firewall");
        udp->warned_denied = true;
        return;
    case EMSGSIZE:
        udp->stats.send_too_big += n;
        break;
    default:
        udp->stats.send_other += n;
        break;
    }
    SP_DEBUG(udp->log, DRIVER, "udp: %zu datagrams lost: %s", n, g_strerror(err));
}

static void
note_sent(struct sp_udp *udp, const struct sp_udp_group *g, size_t first, size_t count)
{
    udp->stats.send_calls++;
    udp->stats.sent_packets += count;
    for (size_t i = 0; i < count; i++)
        udp->stats.sent_bytes += g->pkts[first + i]->len;
}

/* The device or the path refused the offload: remember it and send one by one. */
static void
send_singly(struct sp_udp *udp, const struct sp_udp_group *g, int err)
{
    udp->stats.gso_fallbacks++;
    if (g->count > 1 && udp->gso_max > 1) {
        udp->gso_max = 1;
        SP_INFO(udp->log, DRIVER, "udp: send offload refused, off for this socket");
    }
    if (err == EINVAL)
        udp->no_tos = true;
    for (size_t i = 0; i < g->count; i++) {
        int r = send_range(udp, g, i, 1);

        if (r < 0)
            count_error(udp, -r, 1);
        else
            note_sent(udp, g, i, 1);
    }
}

static void
send_group(struct sp_udp *udp, struct sp_udp_group *g)
{
    bool special = g->count > 1 || (g->key.pkt->ecn && !udp->no_tos);
    int r = send_range(udp, g, 0, g->count);

    if (r == 0)
        note_sent(udp, g, 0, g->count);
    else if ((r == -EIO || r == -EINVAL) && special)
        send_singly(udp, g, -r);
    else
        count_error(udp, -r, g->count);
    for (size_t i = 0; i < g->count; i++)
        sp_pkt_free(g->pkts[i]);
}

static void
flush_groups(struct sp_udp *udp)
{
    for (size_t i = 0; i < udp->n_groups; i++)
        send_group(udp, &udp->groups[i]);
    udp->n_groups = 0;
}

static bool
same_key(const struct sp_transmit *a, const struct sp_transmit *b)
{
    return a->has_src == b->has_src && a->pkt->ecn == b->pkt->ecn
           && sp_endpoint_equal(&a->dst, &b->dst) && (!a->has_src || sp_ip_equal(&a->src, &b->src));
}

static bool
append(struct sp_udp_group *g, struct sp_pkt *pkt)
{
    if (g->sealed || g->count >= g->max || pkt->len > g->segment)
        return false;
    g->pkts[g->count++] = pkt;
    if (pkt->len < g->segment)
        g->sealed = true;
    return true;
}

static void
new_group(struct sp_udp *udp, const struct sp_transmit *tx)
{
    struct sp_udp_group *g;
    size_t room = 65535u - (udp->family == 4 ? OVERHEAD4 : OVERHEAD6);

    if (udp->n_groups == SP_UDP_GROUPS_MAX)
        flush_groups(udp);
    g = &udp->groups[udp->n_groups++];
    g->key = *tx;
    g->pkts[0] = tx->pkt;
    g->count = 1;
    g->segment = tx->pkt->len;
    g->max = tx->pkt->len ? SP_MIN(room / tx->pkt->len, udp->gso_max) : 1;
    g->sealed = false;
}

void
sp_udp_send_batch(struct sp_udp *udp, const struct sp_transmit *tx, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t j = udp->n_groups;

        while (j > 0 && !same_key(&udp->groups[j - 1].key, &tx[i]))
            j--;
        if (j == 0 || !append(&udp->groups[j - 1], tx[i].pkt))
            new_group(udp, &tx[i]);
    }
    flush_groups(udp);
}
