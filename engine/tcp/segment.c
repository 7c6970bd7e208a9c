/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "engine/base/err.h"
#include "engine/base/rd.h"
#include "engine/tcp/conn-private.h"

#define OPTION_END 0
#define OPTION_NOP 1
#define OPTION_MSS 2

/* RFC 9293 3.1: an option that is broken makes the rest unreadable; the segment itself is good. */
static uint16_t
read_mss(struct sp_span options)
{
    struct sp_rd r = sp_rd_span(options);

    while (sp_rd_left(&r) > 0) {
        uint8_t kind = sp_rd_u8(&r);
        uint8_t len;

        if (kind == OPTION_END)
            break;
        if (kind == OPTION_NOP)
            continue;
        len = sp_rd_u8(&r);
        if (kind == OPTION_MSS && len == 4) {
            uint16_t mss = sp_rd_be16(&r);

            return sp_rd_ok(&r) ? mss : 0;
        }
        if (len < 2 || sp_rd_take(&r, (size_t)len - 2) == NULL)
            break;
    }
    return 0;
}

int
tcp_segment_parse(const uint8_t *p, const struct sp_ip_view *v, struct tcp_segment *ret)
{
    const uint8_t *l4 = p + v->l4;
    size_t header = (size_t)(l4[12] >> 4) * 4; /* within the packet: checked by the IP parser */

    if (!sp_packet_checksums_ok(p, v))
        return SP_E_MALFORMED;
    *ret = (struct tcp_segment){
        .seq = sp_get_be32(l4 + 4),
        .ack = sp_get_be32(l4 + 8),
        .flags = v->tcp_flags,
        .window = sp_get_be16(l4 + 14),
        .payload = sp_span(l4 + header, (size_t)v->len - v->l4 - header),
    };
    ret->len = (uint32_t)ret->payload.n;
    ret->len += (ret->flags & SP_TCP_SYN) != 0;
    ret->len += (ret->flags & SP_TCP_FIN) != 0;
    if (ret->flags & SP_TCP_SYN)
        ret->mss = read_mss(sp_span(l4 + SP_TCP_HEADER, header - SP_TCP_HEADER));
    return 0;
}

uint16_t
tcp_mss(uint8_t family)
{
    return SP_MTU - SP_TCP_HEADER - (family == 4 ? SP_IP4_HEADER : SP_IP6_HEADER);
}

/* ---- buffers ------------------------------------------------------------------------------- */

void
tcp_buffer_append(struct tcp_buffer *b, struct sp_span bytes)
{
    if (bytes.n == 0)
        return;
    sp_assert(bytes.n <= TCP_BUFFER_MAX - b->n);
    if (b->n + bytes.n > b->cap) {
        size_t cap = SP_MAX(b->cap * 2, (size_t)512);

        while (cap < b->n + bytes.n)
            cap *= 2;
        b->p = sp_xrealloc(b->p, cap, 1);
        b->cap = cap;
    }
    memcpy(b->p + b->n, bytes.p, bytes.n);
    b->n += bytes.n;
}

void
tcp_buffer_consume(struct tcp_buffer *b, size_t n)
{
    sp_assert(n <= b->n);
    b->n -= n;
    if (b->n)
        memmove(b->p, b->p + n, b->n);
}

void
tcp_buffer_done(struct tcp_buffer *b)
{
    free(b->p);
    *b = (struct tcp_buffer){ 0 };
}
