/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to engine/ip: the IPv6 extension header walk, for packets and for quoted packets. */
#pragma once

#include "engine/base/defs.h"
#include "engine/ip/packet.h"

/** struct sp_ip6_walk - where the walk ended
 * @next: protocol of the header at @off
 * @frag: flags-and-offset word of the last fragment header, 0 if none or atomic */
struct sp_ip6_walk {
    uint8_t next;
    size_t off;
    uint16_t frag;
};

/** sp_ip6_walk() - follow extension headers from the fixed header at @p.
 * Returns: 0, or SP_E_MALFORMED (cut off, or more than SP_IP6_EXT_MAX) */
SP_MUST_CHECK int sp_ip6_walk(const uint8_t *p, size_t n, struct sp_ip6_walk *ret);

/** sp_ip_proto_of_icmp() - protocol view of an ICMP header of @version with @type/@code */
struct sp_ip_proto sp_ip_proto_of_icmp(uint8_t version, uint8_t type, uint8_t code, uint16_t id);
