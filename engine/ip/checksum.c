/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/ip/checksum.h"

#include <string.h>

#include "engine/base/rd.h"
#include "engine/base/wr.h"

/* A running sum is kept in native 32-bit words, which one's complement arithmetic allows (RFC 1071
 * 2.B); folding turns it to network order. */
uint64_t
sp_csum_add(uint64_t sum, const uint8_t *p, size_t n)
{
    uint64_t a = 0, b = 0;
    uint32_t w[4];

    for (; n >= sizeof w; p += sizeof w, n -= sizeof w) {
        memcpy(w, p, sizeof w);
        a += (uint64_t)w[0] + w[1];
        b += (uint64_t)w[2] + w[3];
    }
    if (n) {
        memset(w, 0, sizeof w);
        memcpy(w, p, n);
        a += (uint64_t)w[0] + w[1];
        b += (uint64_t)w[2] + w[3];
    }
    /* Each of a, b, sum is far below 2^63 for packet-sized input. */
    return sum + a + b;
}

uint16_t
sp_csum_fold(uint64_t sum)
{
    uint8_t bytes[2];
    uint16_t v;

    sum = (sum & 0xffffffffu) + (sum >> 32);
    sum = (sum & 0xffffffffu) + (sum >> 32);
    sum = (sum & 0xffffu) + (sum >> 16);
    sum = (sum & 0xffffu) + (sum >> 16);
    v = (uint16_t)sum;
    memcpy(bytes, &v, sizeof v);
    return sp_get_be16(bytes);
}

static uint16_t
complement(uint16_t folded)
{
    uint16_t csum = (uint16_t)~folded;

    return csum ? csum : 0xffff;
}

uint16_t
sp_csum_finish(uint64_t sum)
{
    return complement(sp_csum_fold(sum));
}

uint64_t
sp_csum_pseudo(const struct sp_ip *src, const struct sp_ip *dst, uint8_t proto, size_t n)
{
    uint8_t tail[8] = { [7] = proto };
    uint64_t sum;

    sp_put_be32(tail, (uint32_t)n);
    sum = sp_csum_add(0, src->b, sp_ip_size(src));
    sum = sp_csum_add(sum, dst->b, sp_ip_size(dst));
    return sp_csum_add(sum, tail, sizeof tail);
}

/* Like folding, for a sum of words in host order. */
static uint16_t
fold_words(uint32_t sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

uint16_t
sp_csum_update(uint16_t csum, const uint8_t *from, const uint8_t *to, size_t n)
{
    uint32_t sum = (uint16_t)~csum;

    for (size_t i = 0; i + 1 < n; i += 2) {
        sum += (uint16_t)~sp_get_be16(from + i);
        sum += sp_get_be16(to + i);
    }
    return complement(fold_words(sum));
}

uint16_t
sp_csum_update16(uint16_t csum, uint16_t from, uint16_t to)
{
    return complement(fold_words((uint32_t)(uint16_t)~csum + (uint16_t)~from + to));
}
