/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/ip/icmp.h"

#include "engine/base/err.h"
#include "engine/base/rd.h"
#include "engine/ip/ext-private.h"

bool
sp_icmp_is_error_type(const struct sp_ip_view *v)
{
    if (v->version == 4 && v->proto == SP_IPPROTO_ICMP)
        return v->icmp_type == SP_ICMP4_UNREACHABLE || v->icmp_type == SP_ICMP4_TIME_EXCEEDED;
    if (v->version == 6 && v->proto == SP_IPPROTO_ICMPV6)
        return v->icmp_type == SP_ICMP6_UNREACHABLE || v->icmp_type == SP_ICMP6_TIME_EXCEEDED
               || (v->icmp_type == SP_ICMP6_PACKET_TOO_BIG && v->icmp_code == 0);
    return false;
}

bool
sp_icmp_is_prohibited(const struct sp_icmp_error *e)
{
    if (e->version == 4)
        return e->type == SP_ICMP4_UNREACHABLE && e->code == SP_ICMP4_CODE_PROHIBITED;
    return e->type == SP_ICMP6_UNREACHABLE && e->code == SP_ICMP6_CODE_PROHIBITED;
}

bool
sp_icmp_is_unreachable(const struct sp_icmp_error *e)
{
    if (e->version == 4)
        return e->type == SP_ICMP4_UNREACHABLE && e->code == 0;
    return e->type == SP_ICMP6_UNREACHABLE && e->code == SP_ICMP6_CODE_ADDRESS;
}

/* The quote is cut anywhere and its lengths and checksums are not ours to verify. A first fragment
 * is fine (a router may have split the packet), a later one has no ports. */
static int
quoted_header(const uint8_t *q, size_t n, struct sp_icmp_error *e, uint8_t *proto, size_t *off)
{
    struct sp_ip6_walk walk;
    int r;

    if (e->version == 4) {
        if (n < SP_IP4_HEADER || q[0] >> 4 != 4)
            return SP_E_MALFORMED;
        *off = (size_t)(q[0] & 0x0f) * 4;
        if (*off < SP_IP4_HEADER || *off > n || (sp_get_be16(q + 6) & 0x1fff))
            return SP_E_MALFORMED;
        e->src = sp_ip_from_bytes(4, q + 12);
        e->dst = sp_ip_from_bytes(4, q + 16);
        *proto = q[9];
        return 0;
    }
    if (n < SP_IP6_HEADER || q[0] >> 4 != 6)
        return SP_E_MALFORMED;
    r = sp_ip6_walk(q, n, &walk);
    if (r < 0)
        return r;
    if (walk.frag & 0xfff8)
        return SP_E_MALFORMED;
    e->src = sp_ip_from_bytes(6, q + 8);
    e->dst = sp_ip_from_bytes(6, q + 24);
    *proto = walk.next;
    *off = walk.off;
    return 0;
}

static int
quoted_ports(const uint8_t *l4, size_t n, uint8_t proto, struct sp_icmp_error *e)
{
    uint8_t icmp = e->version == 4 ? SP_IPPROTO_ICMP : SP_IPPROTO_ICMPV6;
    uint8_t request = e->version == 4 ? SP_ICMP4_ECHO_REQUEST : SP_ICMP6_ECHO_REQUEST;

    if (proto == SP_IPPROTO_TCP || proto == SP_IPPROTO_UDP) {
        if (n < 4)
            return SP_E_MALFORMED;
        e->src_proto = proto == SP_IPPROTO_TCP ? sp_ip_proto_tcp(sp_get_be16(l4))
                                               : sp_ip_proto_udp(sp_get_be16(l4));
        e->dst_proto = e->src_proto;
        e->dst_proto.id = sp_get_be16(l4 + 2);
        return 0;
    }
    if (proto != icmp)
        return SP_E_UNSUPPORTED;
    if (n < SP_ICMP_HEADER)
        return SP_E_MALFORMED;
    if (l4[0] != request || l4[1] != 0)
        return SP_E_UNSUPPORTED;
    e->src_proto = e->dst_proto = sp_ip_proto_echo(sp_get_be16(l4 + 4));
    return 0;
}

int
sp_icmp_error_parse(const uint8_t *p, const struct sp_ip_view *v, struct sp_icmp_error *ret_error)
{
    struct sp_icmp_error e = { .version = v->version, .type = v->icmp_type, .code = v->icmp_code };
    size_t off;
    uint8_t proto;
    int r;

    if (v->proto != (v->version == 4 ? SP_IPPROTO_ICMP : SP_IPPROTO_ICMPV6)
        || v->src_proto.kind == SP_IP_PROTO_ECHO)
        return 0;
    if (!sp_icmp_is_error_type(v))
        return SP_E_UNSUPPORTED;
    if (v->version == 4 && e.type == SP_ICMP4_UNREACHABLE && e.code == SP_ICMP4_CODE_FRAG)
        e.mtu = sp_get_be16(p + v->l4 + 6);
    if (v->version == 6 && e.type == SP_ICMP6_PACKET_TOO_BIG)
        e.mtu = sp_get_be32(p + v->l4 + 4);
    e.quote = (uint16_t)(v->l4 + SP_ICMP_HEADER);
    r = quoted_header(p + e.quote, (size_t)v->len - e.quote, &e, &proto, &off);
    if (r < 0)
        return r;
    e.quote_l4 = (uint16_t)(e.quote + off);
    r = quoted_ports(p + e.quote_l4, (size_t)v->len - e.quote_l4, proto, &e);
    if (r < 0)
        return r;
    *ret_error = e;
    return SP_ICMP_IS_ERROR;
}
