/* SPDX-License-Identifier: Apache-2.0 */
/* IP packets as the tunnel carries them: strict validation, a parsed view, and edits in place that
 * keep every checksum right. Sources: spec tunnel 0.2; RFC 791, 8200, 1624, 6040.
 * Owner: views live on the stack of the caller and hold no pointers. Thread: any. I/O: none. */
#pragma once

#include "engine/base/addr.h"
#include "engine/base/pkt.h"

#define SP_IPPROTO_ICMP   1
#define SP_IPPROTO_TCP    6
#define SP_IPPROTO_UDP    17
#define SP_IPPROTO_ICMPV6 58

#define SP_IP4_HEADER     20
#define SP_IP6_HEADER     40
#define SP_ICMP_HEADER    8
#define SP_UDP_HEADER     8
#define SP_TCP_HEADER     20

#define SP_IP6_EXT_MAX    16 /* extension headers walked before a packet is refused */

#define SP_TCP_FIN        0x01
#define SP_TCP_SYN        0x02
#define SP_TCP_RST        0x04
#define SP_TCP_PSH        0x08
#define SP_TCP_ACK        0x10

#define SP_ECN_NOT_ECT    0
#define SP_ECN_ECT1       1
#define SP_ECN_ECT0       2
#define SP_ECN_CE         3

/** enum sp_ip_proto_kind - "protocol of a packet" for routing, filters and NAT. Values after
 * SP_IP_PROTO_ECHO are unsupported, told apart by what is not understood. */
enum sp_ip_proto_kind {
    SP_IP_PROTO_TCP,
    SP_IP_PROTO_UDP,
    SP_IP_PROTO_ECHO, /* ICMP echo request and reply of the packet's family */
    SP_IP_PROTO_OTHER_L4,
    SP_IP_PROTO_OTHER_ICMPV4,
    SP_IP_PROTO_OTHER_ICMPV6,
    _SP_IP_PROTO_MAX
};

/** struct sp_ip_proto - one view (source or destination) of the protocol
 * @kind: enum sp_ip_proto_kind
 * @number: unsupported only: IP protocol number or ICMP type; otherwise 0
 * @id: port, or ICMP identifier; 0 when unsupported */
struct sp_ip_proto {
    uint8_t kind;
    uint8_t number;
    uint16_t id;
};

static inline struct sp_ip_proto
sp_ip_proto_tcp(uint16_t port)
{
    return (struct sp_ip_proto){ .kind = SP_IP_PROTO_TCP, .id = port };
}

static inline struct sp_ip_proto
sp_ip_proto_udp(uint16_t port)
{
    return (struct sp_ip_proto){ .kind = SP_IP_PROTO_UDP, .id = port };
}

static inline struct sp_ip_proto
sp_ip_proto_echo(uint16_t id)
{
    return (struct sp_ip_proto){ .kind = SP_IP_PROTO_ECHO, .id = id };
}

static inline bool
sp_ip_proto_supported(struct sp_ip_proto proto)
{
    return proto.kind <= SP_IP_PROTO_ECHO;
}

/** struct sp_ip_view - what parsing found. Valid as long as the bytes are not changed behind the
 * edit functions below; those keep the view in step.
 * @src_proto, @dst_proto: the two views of the protocol; for echo both hold the identifier
 * @len: length of the whole packet
 * @l4: offset of the transport header (after all extension headers)
 * @proto: IP protocol number of the transport header
 * @tcp_flags: TCP only, else 0
 * @icmp_type, @icmp_code: ICMP only, else 0 */
struct sp_ip_view {
    struct sp_ip src;
    struct sp_ip dst;
    struct sp_ip_proto src_proto;
    struct sp_ip_proto dst_proto;
    uint16_t len;
    uint16_t l4;
    uint8_t version;
    uint8_t proto;
    uint8_t ttl;
    uint8_t ecn;
    uint8_t tcp_flags;
    uint8_t icmp_type;
    uint8_t icmp_code;
};

/** SP_PACKET_FRAGMENT - outcome of parsing: an IP fragment, never carried */
#define SP_PACKET_FRAGMENT 1

/**
 * sp_packet_parse() - validate a packet from the TUN device or after decryption
 * @p, @n: the bytes, borrowed
 * @ret_view: filled on success only
 *
 * Returns: 0; SP_PACKET_FRAGMENT; SP_E_MALFORMED (not IP, longer than SP_MTU, lengths that
 * contradict each other, a broken TCP/UDP/ICMP header, ICMP of the other family).
 */
SP_MUST_CHECK int sp_packet_parse(const uint8_t *p, size_t n, struct sp_ip_view *ret_view);

/** sp_packet_dst() - destination of a packet without full validation, for the "is this DNS" test.
 * Returns: 0, or SP_E_MALFORMED when the fixed header is not there */
SP_MUST_CHECK int sp_packet_dst(const uint8_t *p, size_t n, struct sp_ip *ret_dst);

/* Edits. @v must come from sp_packet_parse() of exactly these bytes and is updated. Checksums are
 * patched incrementally (RFC 1624 equation 3) with the rules of spec tunnel 0.2: a UDP checksum of
 * 0 stays 0, a result of 0 is written as 0xffff, ICMPv4 does not cover addresses. */

/** sp_packet_set_src() - @ip must be of the packet's family */
void sp_packet_set_src(uint8_t *p, struct sp_ip_view *v, const struct sp_ip *ip);
/** sp_packet_set_dst() - @ip must be of the packet's family */
void sp_packet_set_dst(uint8_t *p, struct sp_ip_view *v, const struct sp_ip *ip);
/** sp_packet_set_src_id() - TCP/UDP source port, or the identifier of an echo; the protocol must
 * be a supported one */
void sp_packet_set_src_id(uint8_t *p, struct sp_ip_view *v, uint16_t id);
/** sp_packet_set_dst_id() - TCP/UDP destination port, or the identifier of an echo */
void sp_packet_set_dst_id(uint8_t *p, struct sp_ip_view *v, uint16_t id);
/** sp_packet_set_ecn() - @ecn 0..3 */
void sp_packet_set_ecn(uint8_t *p, struct sp_ip_view *v, uint8_t ecn);
/** sp_packet_merge_ecn() - take over the mark of the outer datagram: only an outer CE on an inner
 * ECT(0) or ECT(1) makes the inner CE */
void sp_packet_merge_ecn(uint8_t *p, struct sp_ip_view *v, uint8_t outer);

/** sp_packet_fill_checksums() - compute the IPv4 header checksum and the transport checksum from
 * scratch (TCP, UDP, ICMP, ICMPv6; others are left alone). A UDP checksum of 0 is computed too. */
void sp_packet_fill_checksums(uint8_t *p, const struct sp_ip_view *v);
/** sp_packet_checksums_ok() - verify both; a v4 UDP checksum of 0 counts as right */
bool sp_packet_checksums_ok(const uint8_t *p, const struct sp_ip_view *v);

/**
 * sp_packet_queue_push_unique() - "unique packet ring" of spec tunnel 0.7
 * @q: queue with @max >= 1; the oldest is overwritten when it is full
 * @pkt: taken
 *
 * A byte-identical duplicate is dropped; a TCP SYN with the addresses, ports and sequence number of
 * a buffered SYN takes its place in the order. Use sp_pkt_queue_push_ring() to bypass both checks.
 * Returns: number of packets freed (0 or 1).
 */
size_t sp_packet_queue_push_unique(struct sp_pkt_queue *q, struct sp_pkt *pkt);
