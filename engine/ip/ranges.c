/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/ip/ranges.h"

#define PREFIX6 0xfd, 0x00, 0x20, 0x21, 0x11, 0x11

const struct sp_range sp_range_tunnel = {
    .v4 = { { 4, { 100, 64 } }, 10 },
    .v6 = { { 6, { PREFIX6 } }, 48 },
};

const struct sp_range sp_range_peer = {
    .v4 = { { 4, { 100, 64 } }, 11 },
    .v6 = { { 6, { PREFIX6 } }, 107 },
};

const struct sp_range sp_range_proxy = {
    .v4 = { { 4, { 100, 96 } }, 11 },
    .v6 = { { 6, { PREFIX6, 0x80 } }, 107 },
};

const struct sp_range sp_range_sentinel = {
    .v4 = { { 4, { 100, 100, 111 } }, 24 },
    .v6 = { { 6, { PREFIX6, 0x80, 0, 1, 0, 1, 0, 1, 0x11 } }, 120 },
};

bool
sp_range_has(const struct sp_range *range, const struct sp_ip *ip)
{
    return sp_cidr_contains(ip->family == 4 ? &range->v4 : &range->v6, ip);
}
