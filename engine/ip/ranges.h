/* SPDX-License-Identifier: Apache-2.0 */
/* The address ranges that the protocol gives a meaning to. Source: spec tunnel 0.1.
 * Thread: any. I/O: none. */
#pragma once

#include "engine/base/addr.h"

/** struct sp_range - the same thing in both families */
struct sp_range {
    struct sp_cidr v4;
    struct sp_cidr v6;
};

extern const struct sp_range sp_range_tunnel;   /* everything below */
extern const struct sp_range sp_range_peer;     /* clients and gateways */
extern const struct sp_range sp_range_proxy;    /* stand-ins for the addresses of names */
extern const struct sp_range sp_range_sentinel; /* stand-ins for DNS servers, within the proxies */

bool sp_range_has(const struct sp_range *range, const struct sp_ip *ip);
