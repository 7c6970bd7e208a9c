/* SPDX-License-Identifier: Apache-2.0 */
#include "app/platform/offload.h"
#include "engine/base/wr.h"

uint64_t
sp_offload_pseudo(const uint8_t *ip, uint8_t proto, size_t l4_len)
{
    uint8_t tail[8] = { [7] = proto };
    uint64_t sum;

    sum = (ip[0] >> 4) == 4 ? sp_csum_add(0, ip + 12, 8) : sp_csum_add(0, ip + 8, 32);
    sp_put_be32(tail, (uint32_t)l4_len);
    return sp_csum_add(sum, tail, sizeof tail);
}
