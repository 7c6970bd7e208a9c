/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/ip/checksum.h"

#include "engine/base/rd.h"
#include "engine/base/wr.h"

uint64_t
sp_csum_add(uint64_t sum, const uint8_t *p, size_t n)
{
    for (; n >= 4; p += 4, n -= 4)
        sum += sp_get_be32(p);
    if (n >= 2) {
        sum += sp_get_be16(p);
        p += 2;
        n -= 2;
    }
    if (n)
        sum += (uint64_t)p[0] << 8;
    return sum;
}

uint16_t
sp_csum_fold(uint64_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

uint16_t
sp_csum_finish(uint64_t sum)
{
    uint16_t csum = (uint16_t)~sp_csum_fold(sum);

    return csum ? csum : 0xffff;
}

uint64_t
sp_csum_pseudo(const struct sp_ip *src, const struct sp_ip *dst, uint8_t proto, size_t n)
{
    uint64_t sum = (uint64_t)n + proto;

    sum = sp_csum_add(sum, src->b, sp_ip_size(src));
    return sp_csum_add(sum, dst->b, sp_ip_size(dst));
}

uint16_t
sp_csum_update(uint16_t csum, const uint8_t *from, const uint8_t *to, size_t n)
{
    uint64_t sum = (uint16_t)~csum;

    for (size_t i = 0; i + 1 < n; i += 2) {
        sum += (uint16_t)~sp_get_be16(from + i);
        sum += sp_get_be16(to + i);
    }
    return sp_csum_finish(sum);
}

uint16_t
sp_csum_update16(uint16_t csum, uint16_t from, uint16_t to)
{
    uint64_t sum = (uint16_t)~csum;

    return sp_csum_finish(sum + (uint16_t)~from + to);
}
