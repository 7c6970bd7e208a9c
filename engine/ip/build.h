/* SPDX-License-Identifier: Apache-2.0 */
/* Packets the engine makes itself. Source: spec tunnel D. Common to all: v4 header of 20 bytes with
 * identification, flags and DSCP 0; v6 without extension headers; all checksums computed.
 * Every function writes to @out (room @cap, more than SP_MTU is not used) and sets *@ret_len.
 * Returns of all: 0; SP_E_NOBUF when the result does not fit; SP_E_INVAL when families differ.
 * @out must not overlap the inputs unless said. Thread: any. I/O: none. */
#pragma once

#include "engine/base/span.h"
#include "engine/ip/icmp.h"
#include "engine/ip/packet.h"

#define SP_BUILD_TTL      64
#define SP_BUILD_ICMP_TTL 20

/** enum sp_icmp_reply - which refusal */
enum sp_icmp_reply {
    SP_ICMP_REPLY_PROHIBITED,  /* v4 3/13, v6 1/1 */
    SP_ICMP_REPLY_UNREACHABLE, /* v4 3/0, v6 1/3 */
};

/** sp_build_icmp_reply() - answer the received packet @orig with an ICMP error from its
 * destination. Quotes v4: header + 8 bytes; v6: as much as fits in SP_MTU. */
SP_MUST_CHECK int sp_build_icmp_reply(uint8_t *out,
                                      size_t cap,
                                      enum sp_icmp_reply kind,
                                      const uint8_t *orig,
                                      const struct sp_ip_view *orig_view,
                                      size_t *ret_len);

/** sp_build_icmp() - any ICMP or ICMPv6 message; @word2: bytes 4..7 of the header in host order.
 * @payload may already lie at its place in @out (28 or 48 bytes from its start). */
SP_MUST_CHECK int sp_build_icmp(uint8_t *out,
                                size_t cap,
                                const struct sp_ip *src,
                                const struct sp_ip *dst,
                                uint8_t ttl,
                                uint8_t type,
                                uint8_t code,
                                uint32_t word2,
                                struct sp_span payload,
                                size_t *ret_len);

/** sp_build_echo() - echo request, or reply if @reply */
SP_MUST_CHECK int sp_build_echo(uint8_t *out,
                                size_t cap,
                                const struct sp_ip *src,
                                const struct sp_ip *dst,
                                bool reply,
                                uint16_t id,
                                uint16_t seq,
                                struct sp_span payload,
                                size_t *ret_len);

SP_MUST_CHECK int sp_build_udp(uint8_t *out,
                               size_t cap,
                               const struct sp_endpoint *src,
                               const struct sp_endpoint *dst,
                               struct sp_span payload,
                               size_t *ret_len);

/** struct sp_tcp_segment - fields of a segment to build; @options: padded to a multiple of 4,
 * at most 40 bytes */
struct sp_tcp_segment {
    uint32_t seq;
    uint32_t ack;
    uint8_t flags;
    uint16_t window;
    struct sp_span options;
    struct sp_span payload;
};

SP_MUST_CHECK int sp_build_tcp(uint8_t *out,
                               size_t cap,
                               const struct sp_endpoint *src,
                               const struct sp_endpoint *dst,
                               const struct sp_tcp_segment *segment,
                               size_t *ret_len);

/** sp_build_tcp_rst() - the reset that RFC 9293 section 3.10.7.1 demands for a segment that nobody
 * wants. Returns also: SP_E_INVAL when @orig is no TCP segment or is a reset itself. */
SP_MUST_CHECK int sp_build_tcp_rst(uint8_t *out,
                                   size_t cap,
                                   const uint8_t *orig,
                                   const struct sp_ip_view *orig_view,
                                   size_t *ret_len);

/** sp_build_raw() - IP header for an arbitrary @proto around @payload (control events, tests);
 * only the IPv4 header checksum is computed */
SP_MUST_CHECK int sp_build_raw(uint8_t *out,
                               size_t cap,
                               const struct sp_ip *src,
                               const struct sp_ip *dst,
                               uint8_t ttl,
                               uint8_t proto,
                               struct sp_span payload,
                               size_t *ret_len);
