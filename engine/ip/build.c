/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/ip/build.h"

#include <string.h>

#include "engine/base/err.h"
#include "engine/base/rd.h"
#include "engine/base/wr.h"
#include "engine/ip/checksum.h"

/* Write the IP header for @n bytes of payload. Returns: where the payload goes, or NULL. */
static uint8_t *
begin(uint8_t *out,
      size_t cap,
      const struct sp_ip *src,
      const struct sp_ip *dst,
      uint8_t ttl,
      uint8_t proto,
      size_t n,
      size_t *ret_len)
{
    size_t header = src->family == 4 ? SP_IP4_HEADER : SP_IP6_HEADER;

    if (n > SP_MTU || header + n > SP_MIN(cap, (size_t)SP_MTU))
        return NULL;
    memset(out, 0, header);
    if (src->family == 4) {
        out[0] = 0x45;
        sp_put_be16(out + 2, (uint16_t)(header + n));
        out[8] = ttl;
        out[9] = proto;
        memcpy(out + 12, src->b, 4);
        memcpy(out + 16, dst->b, 4);
        sp_put_be16(out + 10, sp_csum_finish(sp_csum_add(0, out, header)));
    } else {
        out[0] = 0x60;
        sp_put_be16(out + 4, (uint16_t)n);
        out[6] = proto;
        out[7] = ttl;
        memcpy(out + 8, src->b, 16);
        memcpy(out + 24, dst->b, 16);
    }
    *ret_len = header + n;
    return out + header;
}

static bool
same_family(const struct sp_ip *src, const struct sp_ip *dst)
{
    return src->family == dst->family && (src->family == 4 || src->family == 6);
}

static void
put_payload(uint8_t *at, struct sp_span payload)
{
    if (payload.n)
        memmove(at, payload.p, payload.n);
}

int
sp_build_raw(uint8_t *out,
             size_t cap,
             const struct sp_ip *src,
             const struct sp_ip *dst,
             uint8_t ttl,
             uint8_t proto,
             struct sp_span payload,
             size_t *ret_len)
{
    uint8_t *body;

    if (!same_family(src, dst))
        return SP_E_INVAL;
    body = begin(out, cap, src, dst, ttl, proto, payload.n, ret_len);
    if (body == NULL)
        return SP_E_NOBUF;
    put_payload(body, payload);
    return 0;
}

int
sp_build_icmp(uint8_t *out,
              size_t cap,
              const struct sp_ip *src,
              const struct sp_ip *dst,
              uint8_t ttl,
              uint8_t type,
              uint8_t code,
              uint32_t word2,
              struct sp_span payload,
              size_t *ret_len)
{
    uint8_t proto = src->family == 4 ? SP_IPPROTO_ICMP : SP_IPPROTO_ICMPV6;
    size_t n = SP_ICMP_HEADER + payload.n;
    uint64_t sum;
    uint8_t *l4;

    if (!same_family(src, dst))
        return SP_E_INVAL;
    l4 = begin(out, cap, src, dst, ttl, proto, n, ret_len);
    if (l4 == NULL)
        return SP_E_NOBUF;
    put_payload(l4 + SP_ICMP_HEADER, payload);
    l4[0] = type;
    l4[1] = code;
    sp_put_be16(l4 + 2, 0);
    sp_put_be32(l4 + 4, word2);
    sum = src->family == 4 ? 0 : sp_csum_pseudo(src, dst, proto, n);
    sp_put_be16(l4 + 2, sp_csum_finish(sp_csum_add(sum, l4, n)));
    return 0;
}

int
sp_build_icmp_reply(uint8_t *out,
                    size_t cap,
                    enum sp_icmp_reply kind,
                    const uint8_t *orig,
                    const struct sp_ip_view *orig_view,
                    size_t *ret_len)
{
    bool prohibited = kind == SP_ICMP_REPLY_PROHIBITED;
    uint8_t type, code;
    size_t quote;

    if (orig_view->version == 4) {
        type = SP_ICMP4_UNREACHABLE;
        code = prohibited ? SP_ICMP4_CODE_PROHIBITED : 0;
        quote = (size_t)(orig[0] & 0x0f) * 4 + 8;
    } else {
        type = SP_ICMP6_UNREACHABLE;
        code = prohibited ? SP_ICMP6_CODE_PROHIBITED : SP_ICMP6_CODE_ADDRESS;
        quote = SP_MTU - SP_IP6_HEADER - SP_ICMP_HEADER;
    }
    quote = SP_MIN(quote, (size_t)orig_view->len);
    return sp_build_icmp(out,
                         cap,
                         &orig_view->dst,
                         &orig_view->src,
                         SP_BUILD_ICMP_TTL,
                         type,
                         code,
                         0,
                         sp_span(orig, quote),
                         ret_len);
}

int
sp_build_echo(uint8_t *out,
              size_t cap,
              const struct sp_ip *src,
              const struct sp_ip *dst,
              bool reply,
              uint16_t id,
              uint16_t seq,
              struct sp_span payload,
              size_t *ret_len)
{
    uint8_t type4 = reply ? SP_ICMP4_ECHO_REPLY : SP_ICMP4_ECHO_REQUEST;
    uint8_t type6 = reply ? SP_ICMP6_ECHO_REPLY : SP_ICMP6_ECHO_REQUEST;

    return sp_build_icmp(out,
                         cap,
                         src,
                         dst,
                         SP_BUILD_TTL,
                         src->family == 4 ? type4 : type6,
                         0,
                         ((uint32_t)id << 16) | seq,
                         payload,
                         ret_len);
}

int
sp_build_udp(uint8_t *out,
             size_t cap,
             const struct sp_endpoint *src,
             const struct sp_endpoint *dst,
             struct sp_span payload,
             size_t *ret_len)
{
    size_t n = SP_UDP_HEADER + payload.n;
    uint64_t sum;
    uint8_t *l4;

    if (!same_family(&src->ip, &dst->ip))
        return SP_E_INVAL;
    l4 = begin(out, cap, &src->ip, &dst->ip, SP_BUILD_TTL, SP_IPPROTO_UDP, n, ret_len);
    if (l4 == NULL)
        return SP_E_NOBUF;
    put_payload(l4 + SP_UDP_HEADER, payload);
    sp_put_be16(l4, src->port);
    sp_put_be16(l4 + 2, dst->port);
    sp_put_be16(l4 + 4, (uint16_t)n);
    sp_put_be16(l4 + 6, 0);
    sum = sp_csum_pseudo(&src->ip, &dst->ip, SP_IPPROTO_UDP, n);
    sp_put_be16(l4 + 6, sp_csum_finish(sp_csum_add(sum, l4, n)));
    return 0;
}

static void
put_tcp_header(uint8_t *l4,
               uint16_t src_port,
               uint16_t dst_port,
               const struct sp_tcp_segment *segment)
{
    memset(l4, 0, SP_TCP_HEADER);
    sp_put_be16(l4, src_port);
    sp_put_be16(l4 + 2, dst_port);
    sp_put_be32(l4 + 4, segment->seq);
    sp_put_be32(l4 + 8, segment->ack);
    l4[12] = (uint8_t)(((SP_TCP_HEADER + segment->options.n) / 4) << 4);
    l4[13] = segment->flags;
    sp_put_be16(l4 + 14, segment->window);
    put_payload(l4 + SP_TCP_HEADER, segment->options);
}

int
sp_build_tcp(uint8_t *out,
             size_t cap,
             const struct sp_endpoint *src,
             const struct sp_endpoint *dst,
             const struct sp_tcp_segment *segment,
             size_t *ret_len)
{
    size_t header = SP_TCP_HEADER + segment->options.n;
    size_t n = header + segment->payload.n;
    uint64_t sum;
    uint8_t *l4;

    if (!same_family(&src->ip, &dst->ip) || segment->options.n > 40 || segment->options.n % 4)
        return SP_E_INVAL;
    l4 = begin(out, cap, &src->ip, &dst->ip, SP_BUILD_TTL, SP_IPPROTO_TCP, n, ret_len);
    if (l4 == NULL)
        return SP_E_NOBUF;
    put_tcp_header(l4, src->port, dst->port, segment);
    put_payload(l4 + header, segment->payload);
    sum = sp_csum_pseudo(&src->ip, &dst->ip, SP_IPPROTO_TCP, n);
    sp_put_be16(l4 + 16, sp_csum_finish(sp_csum_add(sum, l4, n)));
    return 0;
}

int
sp_build_tcp_rst(uint8_t *out,
                 size_t cap,
                 const uint8_t *orig,
                 const struct sp_ip_view *orig_view,
                 size_t *ret_len)
{
    const uint8_t *l4 = orig + orig_view->l4;
    struct sp_endpoint from = { .ip = orig_view->dst, .port = orig_view->dst_proto.id };
    struct sp_endpoint to = { .ip = orig_view->src, .port = orig_view->src_proto.id };
    struct sp_tcp_segment rst = { .flags = SP_TCP_RST };

    if (orig_view->proto != SP_IPPROTO_TCP || (orig_view->tcp_flags & SP_TCP_RST))
        return SP_E_INVAL;
    if (orig_view->tcp_flags & SP_TCP_ACK) {
        rst.seq = sp_get_be32(l4 + 8);
    } else {
        uint32_t n = (uint32_t)(orig_view->len - orig_view->l4 - (l4[12] >> 4) * 4);

        n += (orig_view->tcp_flags & SP_TCP_SYN) != 0;
        n += (orig_view->tcp_flags & SP_TCP_FIN) != 0;
        rst.flags |= SP_TCP_ACK;
        rst.ack = sp_get_be32(l4 + 4) + n;
    }
    return sp_build_tcp(out, cap, &from, &to, &rst, ret_len);
}
