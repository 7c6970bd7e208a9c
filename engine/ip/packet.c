/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/ip/packet.h"

#include "engine/base/err.h"
#include "engine/base/rd.h"
#include "engine/ip/ext-private.h"
#include "engine/ip/icmp.h"

enum {
    EXT_HOP_BY_HOP = 0,
    EXT_ROUTING = 43,
    EXT_FRAGMENT = 44,
    EXT_AUTH = 51,
    EXT_DEST_OPTIONS = 60,
    EXT_MOBILITY = 135,
    EXT_HIP = 139,
    EXT_SHIM6 = 140,
};

static bool
is_extension(uint8_t next)
{
    return next == EXT_HOP_BY_HOP || next == EXT_ROUTING || next == EXT_FRAGMENT || next == EXT_AUTH
           || next == EXT_DEST_OPTIONS || next == EXT_MOBILITY || next == EXT_HIP
           || next == EXT_SHIM6;
}

static size_t
extension_size(uint8_t next, uint8_t len_field)
{
    if (next == EXT_FRAGMENT)
        return 8;
    if (next == EXT_AUTH) /* RFC 4302: 32-bit words minus 2 */
        return ((size_t)len_field + 2) * 4;
    return ((size_t)len_field + 1) * 8;
}

int
sp_ip6_walk(const uint8_t *p, size_t n, struct sp_ip6_walk *ret)
{
    struct sp_ip6_walk w = { .next = p[6], .off = SP_IP6_HEADER };

    for (int i = 0; is_extension(w.next); i++) {
        size_t size;

        if (i == SP_IP6_EXT_MAX || n - w.off < 8)
            return SP_E_MALFORMED;
        size = extension_size(w.next, p[w.off + 1]);
        if (size > n - w.off)
            return SP_E_MALFORMED;
        if (w.next == EXT_FRAGMENT)
            w.frag |= sp_get_be16(p + w.off + 2) & 0xfff9; /* offset and "more", not reserved */
        w.next = p[w.off];
        w.off += size;
    }
    *ret = w;
    return 0;
}

struct sp_ip_proto
sp_ip_proto_of_icmp(uint8_t version, uint8_t type, uint8_t code, uint16_t id)
{
    if (version == 4) {
        if (code == 0 && (type == SP_ICMP4_ECHO_REQUEST || type == SP_ICMP4_ECHO_REPLY))
            return sp_ip_proto_echo(id);
        return (struct sp_ip_proto){ .kind = SP_IP_PROTO_OTHER_ICMPV4, .number = type };
    }
    if (code == 0 && (type == SP_ICMP6_ECHO_REQUEST || type == SP_ICMP6_ECHO_REPLY))
        return sp_ip_proto_echo(id);
    return (struct sp_ip_proto){ .kind = SP_IP_PROTO_OTHER_ICMPV6, .number = type };
}

static int
parse_header4(const uint8_t *p, size_t n, struct sp_ip_view *v)
{
    size_t header;

    if (n < SP_IP4_HEADER)
        return SP_E_MALFORMED;
    header = (size_t)(p[0] & 0x0f) * 4;
    if (header < SP_IP4_HEADER || header > n || sp_get_be16(p + 2) != n)
        return SP_E_MALFORMED;
    if (sp_get_be16(p + 6) & 0x3fff)
        return SP_PACKET_FRAGMENT;
    v->src = sp_ip_from_bytes(4, p + 12);
    v->dst = sp_ip_from_bytes(4, p + 16);
    v->l4 = (uint16_t)header;
    v->proto = p[9];
    v->ttl = p[8];
    v->ecn = p[1] & 3;
    return 0;
}

static int
parse_header6(const uint8_t *p, size_t n, struct sp_ip_view *v)
{
    struct sp_ip6_walk walk;
    int r;

    if (n < SP_IP6_HEADER || (size_t)sp_get_be16(p + 4) + SP_IP6_HEADER != n)
        return SP_E_MALFORMED;
    r = sp_ip6_walk(p, n, &walk);
    if (r < 0)
        return r;
    if (walk.frag)
        return SP_PACKET_FRAGMENT;
    v->src = sp_ip_from_bytes(6, p + 8);
    v->dst = sp_ip_from_bytes(6, p + 24);
    v->l4 = (uint16_t)walk.off;
    v->proto = walk.next;
    v->ttl = p[7];
    v->ecn = (p[1] >> 4) & 3;
    return 0;
}

static int
parse_ports(const uint8_t *l4, size_t n, struct sp_ip_view *v)
{
    if (v->proto == SP_IPPROTO_TCP) {
        size_t header;

        if (n < SP_TCP_HEADER)
            return SP_E_MALFORMED;
        header = (size_t)(l4[12] >> 4) * 4;
        if (header < SP_TCP_HEADER || header > n)
            return SP_E_MALFORMED;
        v->tcp_flags = l4[13];
        v->src_proto = sp_ip_proto_tcp(sp_get_be16(l4));
        v->dst_proto = sp_ip_proto_tcp(sp_get_be16(l4 + 2));
        return 0;
    }
    if (n < SP_UDP_HEADER || sp_get_be16(l4 + 4) != n)
        return SP_E_MALFORMED;
    v->src_proto = sp_ip_proto_udp(sp_get_be16(l4));
    v->dst_proto = sp_ip_proto_udp(sp_get_be16(l4 + 2));
    return 0;
}

static int
parse_l4(const uint8_t *l4, size_t n, struct sp_ip_view *v)
{
    switch (v->proto) {
    case SP_IPPROTO_TCP:
    case SP_IPPROTO_UDP:
        return parse_ports(l4, n, v);
    case SP_IPPROTO_ICMP:
    case SP_IPPROTO_ICMPV6:
        if ((v->proto == SP_IPPROTO_ICMP) != (v->version == 4) || n < SP_ICMP_HEADER)
            return SP_E_MALFORMED;
        v->icmp_type = l4[0];
        v->icmp_code = l4[1];
        v->src_proto = sp_ip_proto_of_icmp(v->version, l4[0], l4[1], sp_get_be16(l4 + 4));
        v->dst_proto = v->src_proto;
        return 0;
    default:
        v->src_proto =
            (struct sp_ip_proto){ .kind = SP_IP_PROTO_OTHER_L4, .number = v->proto, .id = 0 };
        v->dst_proto = v->src_proto;
        return 0;
    }
}

int
sp_packet_parse(const uint8_t *p, size_t n, struct sp_ip_view *ret_view)
{
    struct sp_ip_view v = { 0 };
    int r;

    if (n == 0 || n > SP_MTU)
        return SP_E_MALFORMED;
    v.version = p[0] >> 4;
    v.len = (uint16_t)n;
    if (v.version == 4)
        r = parse_header4(p, n, &v);
    else if (v.version == 6)
        r = parse_header6(p, n, &v);
    else
        return SP_E_MALFORMED;
    if (r == 0)
        r = parse_l4(p + v.l4, n - v.l4, &v);
    if (r == 0)
        *ret_view = v;
    return r;
}

int
sp_packet_dst(const uint8_t *p, size_t n, struct sp_ip *ret_dst)
{
    if (n >= SP_IP4_HEADER && p[0] >> 4 == 4)
        *ret_dst = sp_ip_from_bytes(4, p + 16);
    else if (n >= SP_IP6_HEADER && p[0] >> 4 == 6)
        *ret_dst = sp_ip_from_bytes(6, p + 24);
    else
        return SP_E_MALFORMED;
    return 0;
}
