/* SPDX-License-Identifier: Apache-2.0 */
/* Edits in place and checksums of whole packets; declared in packet.h. */
#include <string.h>

#include "engine/base/rd.h"
#include "engine/base/wr.h"
#include "engine/ip/checksum.h"
#include "engine/ip/packet.h"

/* Where the transport checksum lies, or NULL for a protocol without one that we know. */
static uint8_t *
l4_checksum(uint8_t *p, const struct sp_ip_view *v)
{
    switch (v->proto) {
    case SP_IPPROTO_TCP:
        return p + v->l4 + 16;
    case SP_IPPROTO_UDP:
        return p + v->l4 + 6;
    case SP_IPPROTO_ICMP:
    case SP_IPPROTO_ICMPV6:
        return p + v->l4 + 2;
    default:
        return NULL;
    }
}

/* The checksum to patch, or NULL if there is none or it says "not computed". */
static uint8_t *
live_checksum(uint8_t *p, const struct sp_ip_view *v)
{
    uint8_t *sum = l4_checksum(p, v);

    if (sum && v->proto == SP_IPPROTO_UDP && sp_get_be16(sum) == 0)
        return NULL;
    return sum;
}

static void
set_address(uint8_t *p, const struct sp_ip_view *v, size_t off, const struct sp_ip *ip)
{
    size_t size = sp_ip_size(ip);
    uint8_t *sum = v->proto == SP_IPPROTO_ICMP ? NULL : live_checksum(p, v);

    sp_assert(ip->family == v->version);
    if (v->version == 4)
        sp_put_be16(p + 10, sp_csum_update(sp_get_be16(p + 10), p + off, ip->b, size));
    if (sum)
        sp_put_be16(sum, sp_csum_update(sp_get_be16(sum), p + off, ip->b, size));
    memcpy(p + off, ip->b, size);
}

void
sp_packet_set_src(uint8_t *p, struct sp_ip_view *v, const struct sp_ip *ip)
{
    set_address(p, v, v->version == 4 ? 12 : 8, ip);
    v->src = *ip;
}

void
sp_packet_set_dst(uint8_t *p, struct sp_ip_view *v, const struct sp_ip *ip)
{
    set_address(p, v, v->version == 4 ? 16 : 24, ip);
    v->dst = *ip;
}

static void
set_word(uint8_t *p, const struct sp_ip_view *v, size_t off, uint16_t value)
{
    uint8_t *field = p + v->l4 + off;
    uint8_t *sum = live_checksum(p, v);

    if (sum)
        sp_put_be16(sum, sp_csum_update16(sp_get_be16(sum), sp_get_be16(field), value));
    sp_put_be16(field, value);
}

static void
set_echo_id(uint8_t *p, struct sp_ip_view *v, uint16_t id)
{
    set_word(p, v, 4, id);
    v->src_proto.id = v->dst_proto.id = id;
}

void
sp_packet_set_src_id(uint8_t *p, struct sp_ip_view *v, uint16_t id)
{
    sp_assert(sp_ip_proto_supported(v->src_proto));
    if (v->src_proto.kind == SP_IP_PROTO_ECHO) {
        set_echo_id(p, v, id);
        return;
    }
    set_word(p, v, 0, id);
    v->src_proto.id = id;
}

void
sp_packet_set_dst_id(uint8_t *p, struct sp_ip_view *v, uint16_t id)
{
    sp_assert(sp_ip_proto_supported(v->dst_proto));
    if (v->dst_proto.kind == SP_IP_PROTO_ECHO) {
        set_echo_id(p, v, id);
        return;
    }
    set_word(p, v, 2, id);
    v->dst_proto.id = id;
}

void
sp_packet_set_ecn(uint8_t *p, struct sp_ip_view *v, uint8_t ecn)
{
    sp_assert(ecn <= 3);
    if (v->version == 4) {
        uint16_t before = sp_get_be16(p);

        p[1] = (uint8_t)((p[1] & ~3u) | ecn);
        if (ecn != v->ecn)
            sp_put_be16(p + 10, sp_csum_update16(sp_get_be16(p + 10), before, sp_get_be16(p)));
    } else {
        p[1] = (uint8_t)((p[1] & ~0x30u) | (uint8_t)(ecn << 4));
    }
    v->ecn = ecn;
}

void
sp_packet_merge_ecn(uint8_t *p, struct sp_ip_view *v, uint8_t outer)
{
    if (outer == SP_ECN_CE && (v->ecn == SP_ECN_ECT0 || v->ecn == SP_ECN_ECT1))
        sp_packet_set_ecn(p, v, SP_ECN_CE);
}

static uint64_t
l4_sum(const uint8_t *p, const struct sp_ip_view *v)
{
    size_t n = (size_t)v->len - v->l4;
    uint64_t sum = v->proto == SP_IPPROTO_ICMP ? 0 : sp_csum_pseudo(&v->src, &v->dst, v->proto, n);

    return sp_csum_add(sum, p + v->l4, n);
}

void
sp_packet_fill_checksums(uint8_t *p, const struct sp_ip_view *v)
{
    uint8_t *sum = l4_checksum(p, v);

    if (v->version == 4) {
        sp_put_be16(p + 10, 0);
        sp_put_be16(p + 10, sp_csum_finish(sp_csum_add(0, p, (size_t)(p[0] & 0x0f) * 4)));
    }
    if (sum) {
        sp_put_be16(sum, 0);
        sp_put_be16(sum, sp_csum_finish(l4_sum(p, v)));
    }
}

bool
sp_packet_checksums_ok(const uint8_t *p, const struct sp_ip_view *v)
{
    if (v->version == 4 && sp_csum_fold(sp_csum_add(0, p, (size_t)(p[0] & 0x0f) * 4)) != 0xffff)
        return false;
    switch (v->proto) {
    case SP_IPPROTO_UDP:
        if (v->version == 4 && sp_get_be16(p + v->l4 + 6) == 0)
            return true;
        return sp_csum_fold(l4_sum(p, v)) == 0xffff;
    case SP_IPPROTO_TCP:
    case SP_IPPROTO_ICMP:
    case SP_IPPROTO_ICMPV6:
        return sp_csum_fold(l4_sum(p, v)) == 0xffff;
    default:
        return true;
    }
}
