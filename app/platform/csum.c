/* SPDX-License-Identifier: Apache-2.0 */
#include "app/platform/offload.h"

#include <string.h>

#include "engine/base/rd.h"
#include "engine/base/wr.h"

/* The sum is kept as a sum of native 32-bit words, which one's complement arithmetic allows
 * (RFC 1071 2.B); sp_csum_fold() turns it to network order. Every partial sum therefore starts at
 * an even offset, which all callers do. */
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

uint64_t
sp_csum_pseudo(const uint8_t *ip, uint8_t proto, size_t l4_len)
{
    uint8_t tail[8] = { 0 };
    uint64_t sum;

    sum = (ip[0] >> 4) == 4 ? sp_csum_add(0, ip + 12, 8) : sp_csum_add(0, ip + 8, 32);
    sp_put_be32(tail, (uint32_t)l4_len);
    tail[7] = proto;
    return sp_csum_add(sum, tail, sizeof tail);
}
