/* SPDX-License-Identifier: Apache-2.0 */
/* ICMP errors as input: recognition and the packet they quote. Source: spec tunnel 0.3; RFC 792,
 * RFC 4443. Thread: any. I/O: none. */
#pragma once

#include "engine/ip/packet.h"

#define SP_ICMP4_ECHO_REPLY      0
#define SP_ICMP4_UNREACHABLE     3
#define SP_ICMP4_ECHO_REQUEST    8
#define SP_ICMP4_TIME_EXCEEDED   11
#define SP_ICMP6_UNREACHABLE     1
#define SP_ICMP6_PACKET_TOO_BIG  2
#define SP_ICMP6_TIME_EXCEEDED   3
#define SP_ICMP6_ECHO_REQUEST    128
#define SP_ICMP6_ECHO_REPLY      129

#define SP_ICMP4_CODE_PROHIBITED 13
#define SP_ICMP4_CODE_FRAG       4
#define SP_ICMP6_CODE_PROHIBITED 1
#define SP_ICMP6_CODE_ADDRESS    3

/** struct sp_icmp_error - a recognised error
 * @version: 4 or 6
 * @mtu: next-hop MTU of v4 3/4 (16 bits) and v6 type 2 (32 bits), else 0
 * @src, @dst, @src_proto, @dst_proto: of the quoted packet (what the error is about)
 * @quote: offset of the quoted IP header in the packet; it reaches to the end of the packet
 * @quote_l4: offset in the packet of the quoted transport header */
struct sp_icmp_error {
    uint8_t version;
    uint8_t type;
    uint8_t code;
    uint32_t mtu;
    struct sp_ip src;
    struct sp_ip dst;
    struct sp_ip_proto src_proto;
    struct sp_ip_proto dst_proto;
    uint16_t quote;
    uint16_t quote_l4;
};

/** SP_ICMP_IS_ERROR - outcome: an ICMP error, @ret_error is filled */
#define SP_ICMP_IS_ERROR 1

/**
 * sp_icmp_error_parse() - is this packet an ICMP error, and about what
 *
 * Returns: 0 not an error (echo, or not ICMP at all); SP_ICMP_IS_ERROR; SP_E_UNSUPPORTED an ICMP
 * type that is neither, or an error about a protocol we do not carry; SP_E_MALFORMED an error whose
 * quote is too short or broken.
 */
SP_MUST_CHECK int sp_icmp_error_parse(const uint8_t *p,
                                      const struct sp_ip_view *v,
                                      struct sp_icmp_error *ret_error);

/** sp_icmp_is_error_type() - by type alone, whatever the quote looks like: ICMPv4 3 and 11, ICMPv6
 * 1, 2 (code 0) and 3 */
bool sp_icmp_is_error_type(const struct sp_ip_view *v);
/** sp_icmp_is_prohibited() - v4 3/13 or v6 1/1 */
bool sp_icmp_is_prohibited(const struct sp_icmp_error *e);
/** sp_icmp_is_unreachable() - v4 3/0 or v6 1/3 */
bool sp_icmp_is_unreachable(const struct sp_icmp_error *e);
