/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netinet/udp.h>
#include <string.h>

#include "app/platform/linux/udp-private.h"

socklen_t
sp_udp_to_sockaddr(const struct sp_endpoint *ep, struct sockaddr_storage *ret_ss)
{
    if (ep->ip.family == 4) {
        struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(ep->port) };

        memcpy(&sin.sin_addr, ep->ip.b, 4);
        memcpy(ret_ss, &sin, sizeof sin);
        return sizeof sin;
    } else {
        struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6, .sin6_port = htons(ep->port) };

        memcpy(&sin6.sin6_addr, ep->ip.b, 16);
        memcpy(ret_ss, &sin6, sizeof sin6);
        return sizeof sin6;
    }
}

void
sp_udp_from_sockaddr(const struct sockaddr_storage *ss, struct sp_endpoint *ret_ep)
{
    *ret_ep = (struct sp_endpoint){ 0 };
    if (ss->ss_family == AF_INET) {
        struct sockaddr_in sin;

        memcpy(&sin, ss, sizeof sin);
        ret_ep->ip = sp_ip_from_bytes(4, (const uint8_t *)&sin.sin_addr);
        ret_ep->port = ntohs(sin.sin_port);
    } else if (ss->ss_family == AF_INET6) {
        struct sockaddr_in6 sin6;

        memcpy(&sin6, ss, sizeof sin6);
        ret_ep->ip = sp_ip_from_bytes(6, (const uint8_t *)&sin6.sin6_addr);
        ret_ep->port = ntohs(sin6.sin6_port);
    }
}

void
sp_udp_init_slots(struct sp_udp *udp)
{
    udp->recv_buf = sp_xcalloc(SP_UDP_RECV_SLOTS, SP_UDP_SLOT_SIZE);
    for (size_t i = 0; i < SP_UDP_RECV_SLOTS; i++) {
        udp->iovs[i] = (struct iovec){ udp->recv_buf + i * SP_UDP_SLOT_SIZE, SP_UDP_SLOT_SIZE };
        udp->msgs[i].msg_hdr = (struct msghdr){
            .msg_name = &udp->names[i],
            .msg_iov = &udp->iovs[i],
            .msg_iovlen = 1,
            .msg_control = udp->control[i],
        };
    }
}

static void
read_control(struct sp_udp *udp, struct msghdr *mh, struct sp_udp_slot *slot)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
        const uint8_t *data = CMSG_DATA(c);

        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;

            memcpy(&info, data, sizeof info);
            slot->meta.local.ip = sp_ip_from_bytes(4, (const uint8_t *)&info.ipi_addr);
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;

            memcpy(&info, data, sizeof info);
            slot->meta.local.ip = sp_ip_from_bytes(6, (const uint8_t *)&info.ipi6_addr);
        } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
            slot->ecn = data[0] & 3;
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
            int tclass;

            memcpy(&tclass, data, sizeof tclass);
            slot->ecn = (uint8_t)(tclass & 3);
        } else if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
            int size;

            memcpy(&size, data, sizeof size);
            slot->stride = size > 0 ? (size_t)size : 0;
        }
    }
    slot->meta.local.port = udp->port;
}

static void
read_slot(struct sp_udp *udp, size_t i)
{
    struct sp_udp_slot *slot = &udp->slots[i];
    size_t len = udp->msgs[i].msg_len;

    *slot = (struct sp_udp_slot){ .len = len, .stride = len };
    read_control(udp, &udp->msgs[i].msg_hdr, slot);
    sp_udp_from_sockaddr(&udp->names[i], &slot->meta.from);
    /* A stride longer than our largest datagram cannot come from a peer of ours. */
    if (slot->stride > len || slot->stride > SP_DATAGRAM_MAX || slot->meta.local.ip.family == 0)
        slot->stride = 0;
    if (slot->stride == 0)
        udp->stats.recv_dropped++;
}

static int
fill_slots(struct sp_udp *udp)
{
    int n;

    for (size_t i = 0; i < SP_UDP_RECV_SLOTS; i++) {
        udp->msgs[i].msg_hdr.msg_namelen = sizeof udp->names[i];
        udp->msgs[i].msg_hdr.msg_controllen = sizeof udp->control[i];
    }
    do
        n = recvmmsg(udp->fd, udp->msgs, SP_UDP_RECV_SLOTS, MSG_DONTWAIT, NULL);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? 0 : -errno;
    udp->stats.recv_calls++;
    udp->slot = 0;
    udp->slot_off = 0;
    udp->n_slots = (size_t)n;
    for (size_t i = 0; i < udp->n_slots; i++)
        read_slot(udp, i);
    return n;
}

/* Returns the next datagram of the filled slots, or NULL when they are used up. */
static const uint8_t *
next_datagram(struct sp_udp *udp, const struct sp_udp_slot **ret_slot, size_t *ret_n)
{
    while (udp->slot < udp->n_slots) {
        const struct sp_udp_slot *slot = &udp->slots[udp->slot];
        const uint8_t *p = udp->recv_buf + udp->slot * SP_UDP_SLOT_SIZE + udp->slot_off;

        if (slot->stride && udp->slot_off < slot->len) {
            *ret_slot = slot;
            *ret_n = SP_MIN(slot->stride, slot->len - udp->slot_off);
            udp->slot_off += *ret_n;
            return p;
        }
        udp->slot++;
        udp->slot_off = 0;
    }
    return NULL;
}

int
sp_udp_recv_batch(struct sp_udp *udp,
                  struct sp_pkt_pool *pool,
                  struct sp_udp_datagram *out,
                  size_t cap)
{
    size_t count = 0;

    if (!sp_udp_pending(udp)) {
        int r = fill_slots(udp);

        if (r <= 0)
            return r;
    }
    while (count < cap) {
        const struct sp_udp_slot *slot;
        size_t n;
        const uint8_t *p = next_datagram(udp, &slot, &n);

        if (!p)
            break;
        udp->stats.recv_packets++;
        udp->stats.recv_bytes += n;
        out[count].pkt = sp_pkt_from_bytes(pool, p, n);
        if (!out[count].pkt) {
            udp->stats.no_memory++;
            continue;
        }
        out[count].pkt->ecn = slot->ecn;
        out[count].meta = slot->meta;
        count++;
    }
    return (int)count;
}

bool
sp_udp_pending(const struct sp_udp *udp)
{
    return udp->slot < udp->n_slots;
}
