/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "app/platform/offload.h"
#include "engine/base/err.h"
#include "engine/base/rd.h"
#include "engine/base/wr.h"

#define PROTO_TCP    6
#define PROTO_UDP    17
#define TCP_FIN      0x01
#define TCP_PSH      0x08
#define TCP_CSUM_OFF 16
#define UDP_CSUM_OFF 6

/* A super-packet taken apart. */
struct super {
    const uint8_t *p;
    size_t ip_len;
    size_t headers; /* IP and L4 */
    size_t payload;
    uint8_t version;
    uint8_t proto;
};

static int
complete_csum(const struct sp_vnet_hdr *hdr, uint8_t *p, size_t n)
{
    size_t start = hdr->csum_start, field = start + hdr->csum_offset;
    uint16_t sum;

    if (start >= n || field + 2 > n)
        return SP_E_MALFORMED;
    /* The field holds the pseudo-header sum already, so summing over it includes that. */
    sum = (uint16_t)~sp_csum_fold(sp_csum_add(0, p + start, n - start));
    if (sum == 0 && hdr->csum_offset == UDP_CSUM_OFF)
        sum = 0xffff;
    sp_put_be16(p + field, sum);
    return 0;
}

static int
split_none(const struct sp_vnet_hdr *hdr,
           uint8_t *p,
           size_t n,
           struct sp_pkt_pool *pool,
           struct sp_pkt_queue *out)
{
    struct sp_pkt *pkt;

    if (n > SP_MTU)
        return SP_E_MALFORMED;
    if ((hdr->flags & SP_VNET_NEEDS_CSUM) && complete_csum(hdr, p, n) < 0)
        return SP_E_MALFORMED;
    pkt = sp_pkt_from_bytes(pool, p, n);
    return pkt && sp_pkt_queue_push(out, pkt) == 0 ? 1 : 0;
}

static int
parse_ip(struct super *s, size_t n)
{
    const uint8_t *p = s->p;

    if (s->version == 4) {
        s->ip_len = n ? (size_t)(p[0] & 15) * 4 : 0;
        if (n < 20 || (p[0] >> 4) != 4 || s->ip_len < 20 || s->ip_len > n)
            return SP_E_MALFORMED;
        /* Fragments have no business here, and their "headers" could be anything. */
        if (sp_get_be16(p + 6) & 0x3fff)
            return SP_E_MALFORMED;
        return p[9] == s->proto ? 0 : SP_E_MALFORMED;
    }
    s->ip_len = 40;
    if (n < 40 || (p[0] >> 4) != 6 || p[6] != s->proto)
        return SP_E_MALFORMED;
    return 0;
}

static int
parse_super(uint8_t gso_type, const uint8_t *p, size_t n, struct super *s)
{
    size_t l4 = 8;

    if (n < 1)
        return SP_E_MALFORMED;
    *s = (struct super){ .p = p };
    s->proto = gso_type == SP_VNET_GSO_UDP_L4 ? PROTO_UDP : PROTO_TCP;
    s->version = gso_type == SP_VNET_GSO_TCPV4   ? 4
                 : gso_type == SP_VNET_GSO_TCPV6 ? 6
                                                 : (uint8_t)(p[0] >> 4);
    if ((s->version != 4 && s->version != 6) || parse_ip(s, n) < 0)
        return SP_E_MALFORMED;
    if (s->proto == PROTO_TCP) {
        if (n < s->ip_len + 20)
            return SP_E_MALFORMED;
        l4 = (size_t)(p[s->ip_len + 12] >> 4) * 4;
        if (l4 < 20)
            return SP_E_MALFORMED;
    }
    s->headers = s->ip_len + l4;
    if (n <= s->headers)
        return SP_E_MALFORMED;
    s->payload = n - s->headers;
    return 0;
}

static void
fix_ip(const struct super *s, uint8_t *q, size_t n, unsigned index)
{
    if (s->version == 6) {
        sp_put_be16(q + 4, (uint16_t)(n - 40));
        return;
    }
    sp_put_be16(q + 2, (uint16_t)n);
    sp_put_be16(q + 4, (uint16_t)(sp_get_be16(s->p + 4) + index));
    sp_put_be16(q + 10, 0);
    sp_put_be16(q + 10, (uint16_t)~sp_csum_fold(sp_csum_add(0, q, s->ip_len)));
}

static void
fix_l4(const struct super *s, uint8_t *q, size_t n, uint32_t offset, bool last)
{
    uint8_t *l4 = q + s->ip_len;
    size_t len = n - s->ip_len, field = UDP_CSUM_OFF;
    uint16_t sum;

    if (s->proto == PROTO_TCP) {
        field = TCP_CSUM_OFF;
        sp_put_be32(l4 + 4, sp_get_be32(s->p + s->ip_len + 4) + offset);
        if (!last)
            l4[13] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
    } else {
        sp_put_be16(l4 + 4, (uint16_t)len);
    }
    sp_put_be16(l4 + field, 0);
    sum = (uint16_t)~sp_csum_fold(sp_csum_add(sp_offload_pseudo(q, s->proto, len), l4, len));
    if (sum == 0 && s->proto == PROTO_UDP)
        sum = 0xffff;
    sp_put_be16(l4 + field, sum);
}

static struct sp_pkt *
segment(const struct super *s, struct sp_pkt_pool *pool, size_t offset, size_t chunk, unsigned i)
{
    struct sp_pkt *pkt = sp_pkt_alloc(pool);
    uint8_t *q;

    if (!pkt)
        return NULL;
    pkt->len = (uint16_t)(s->headers + chunk);
    q = sp_pkt_data(pkt);
    memcpy(q, s->p, s->headers);
    memcpy(q + s->headers, s->p + s->headers + offset, chunk);
    fix_ip(s, q, pkt->len, i);
    fix_l4(s, q, pkt->len, (uint32_t)offset, offset + chunk == s->payload);
    return pkt;
}

int
sp_split(const struct sp_vnet_hdr *hdr,
         uint8_t *p,
         size_t n,
         struct sp_pkt_pool *pool,
         struct sp_pkt_queue *out)
{
    struct super s;
    unsigned i = 0;

    if (hdr->gso_type == SP_VNET_GSO_NONE)
        return split_none(hdr, p, n, pool, out);
    if (hdr->gso_type != SP_VNET_GSO_TCPV4 && hdr->gso_type != SP_VNET_GSO_TCPV6
        && hdr->gso_type != SP_VNET_GSO_UDP_L4)
        return SP_E_UNSUPPORTED;
    /* hdr_len is a hint of the sender and not to be trusted. */
    if (hdr->gso_size == 0 || parse_super(hdr->gso_type, p, n, &s) < 0)
        return SP_E_MALFORMED;
    if (s.headers + SP_MIN(s.payload, hdr->gso_size) > SP_MTU
        || (s.payload + hdr->gso_size - 1) / hdr->gso_size > SP_SPLIT_MAX)
        return SP_E_MALFORMED;
    for (size_t offset = 0; offset < s.payload; offset += hdr->gso_size, i++) {
        size_t chunk = SP_MIN(s.payload - offset, hdr->gso_size);
        struct sp_pkt *pkt = segment(&s, pool, offset, chunk, i);

        if (!pkt || sp_pkt_queue_push(out, pkt) < 0)
            break;
    }
    return (int)i;
}
