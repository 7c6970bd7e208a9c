/* SPDX-License-Identifier: Apache-2.0 */
/* The socket object behind udp.h, shared by its three source files. */
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "app/platform/udp.h"

#define SP_UDP_RECV_SLOTS   32
#define SP_UDP_SLOT_SIZE    65536 /* more than a merged datagram can hold */
#define SP_UDP_SEGMENTS_MAX 64
#define SP_UDP_GROUPS_MAX   16
#define SP_UDP_RECV_CONTROL 128
#define SP_UDP_SEND_CONTROL 128

/** struct sp_udp_slot - one received, maybe merged, datagram that is being cut up */
struct sp_udp_slot {
    struct sp_udp_meta meta;
    size_t len;
    size_t stride; /* 0: unusable */
    uint8_t ecn;
};

/** struct sp_udp_group - datagrams of one key that leave in one system call. Owns the packets. */
struct sp_udp_group {
    struct sp_transmit key; /* @pkt is the first packet */
    struct sp_pkt *pkts[SP_UDP_SEGMENTS_MAX];
    size_t count;
    size_t segment;
    size_t max;
    bool sealed;
};

struct sp_udp {
    int fd;
    uint8_t family;
    uint16_t port;
    bool loop_risk; /* the mark was refused */
    bool no_tos;    /* the kernel refused the TOS control message */
    bool warned_denied;
    size_t gso_max;
    const struct sp_log *log;
    struct sp_udp_stats stats;

    /* receive: slots [slot, n_slots) are filled, the first from @slot_off on */
    uint8_t *recv_buf;
    size_t slot;
    size_t n_slots;
    size_t slot_off;
    struct sp_udp_slot slots[SP_UDP_RECV_SLOTS];
    struct mmsghdr msgs[SP_UDP_RECV_SLOTS];
    struct iovec iovs[SP_UDP_RECV_SLOTS];
    struct sockaddr_storage names[SP_UDP_RECV_SLOTS];
    _Alignas(struct cmsghdr) uint8_t control[SP_UDP_RECV_SLOTS][SP_UDP_RECV_CONTROL];

    /* send: groups in the order of their first datagram */
    size_t n_groups;
    struct sp_udp_group groups[SP_UDP_GROUPS_MAX];
};

void sp_udp_init_slots(struct sp_udp *udp);
socklen_t sp_udp_to_sockaddr(const struct sp_endpoint *ep, struct sockaddr_storage *ret_ss);
void sp_udp_from_sockaddr(const struct sockaddr_storage *ss, struct sp_endpoint *ret_ep);
