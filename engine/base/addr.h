/* SPDX-License-Identifier: Apache-2.0 */
/* IP addresses, endpoints and networks as plain values without OS types. Unused bytes are zero, so
 * values compare and hash as memory. */
#pragma once

#include "engine/base/defs.h"

/** struct sp_ip - an address; @family is 4 or 6, or 0 for "none"; @b in network order */
struct sp_ip {
    uint8_t family;
    uint8_t b[16];
};

/** struct sp_endpoint - address and UDP/TCP port in host order */
struct sp_endpoint {
    struct sp_ip ip;
    uint16_t port;
};

/** struct sp_cidr - network; @len 0..32 or 0..128; host bits of @ip are zero */
struct sp_cidr {
    struct sp_ip ip;
    uint8_t len;
};

#define SP_IP_STR_MAX       46 /* INET6_ADDRSTRLEN */
#define SP_ENDPOINT_STR_MAX 56 /* "[v6]:65535" */
#define SP_CIDR_STR_MAX     52

static inline struct sp_ip
sp_ip4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
    return (struct sp_ip){ .family = 4, .b = { a, b, c, d } };
}

/** sp_ip_from_bytes() - @family 4 reads 4 bytes, 6 reads 16 */
struct sp_ip sp_ip_from_bytes(uint8_t family, const uint8_t *bytes);
/** sp_ip_size() - 4, 16, or 0 for "none" */
size_t sp_ip_size(const struct sp_ip *ip);
bool sp_ip_equal(const struct sp_ip *a, const struct sp_ip *b);
/** sp_ip_compare() - total order: family, then bytes */
int sp_ip_compare(const struct sp_ip *a, const struct sp_ip *b);
/** sp_ip_add() - address + @n, wrapping */
struct sp_ip sp_ip_add(const struct sp_ip *ip, uint32_t n);
bool sp_ip_is_multicast(const struct sp_ip *ip);
bool sp_ip_is_unspecified(const struct sp_ip *ip);
bool sp_ip_is_loopback(const struct sp_ip *ip);
/** sp_ip_is_link_local() - 169.254/16 or fe80::/10 */
bool sp_ip_is_link_local(const struct sp_ip *ip);
/** sp_ip_parse() - plain text form; Returns: 0 or SP_E_MALFORMED */
SP_MUST_CHECK int sp_ip_parse(const char *text, struct sp_ip *ret_ip);
const char *sp_ip_format(const struct sp_ip *ip, char out[SP_IP_STR_MAX]);

bool sp_endpoint_equal(const struct sp_endpoint *a, const struct sp_endpoint *b);
int sp_endpoint_compare(const struct sp_endpoint *a, const struct sp_endpoint *b);
/** sp_endpoint_parse() - "1.2.3.4:80" or "[::1]:80"; Returns: 0 or SP_E_MALFORMED */
SP_MUST_CHECK int sp_endpoint_parse(const char *text, struct sp_endpoint *ret_ep);
const char *sp_endpoint_format(const struct sp_endpoint *ep, char out[SP_ENDPOINT_STR_MAX]);

/** sp_cidr_parse() - "10.0.0.0/8"; host bits set are refused. Returns: 0 or SP_E_MALFORMED */
SP_MUST_CHECK int sp_cidr_parse(const char *text, struct sp_cidr *ret_net);
const char *sp_cidr_format(const struct sp_cidr *net, char out[SP_CIDR_STR_MAX]);
bool sp_cidr_contains(const struct sp_cidr *net, const struct sp_ip *ip);
bool sp_cidr_equal(const struct sp_cidr *a, const struct sp_cidr *b);
/** sp_cidr_host() - the /32 or /128 of one address */
struct sp_cidr sp_cidr_host(const struct sp_ip *ip);
/** sp_ip_mask() - @ip with all bits after the first @len cleared */
struct sp_ip sp_ip_mask(const struct sp_ip *ip, uint8_t len);

/** sp_parse_u32() - the one decimal parser: digits only, no sign, no space, <= @max.
 * Returns: 0 or SP_E_MALFORMED */
SP_MUST_CHECK int sp_parse_u32(const char *text, size_t n, uint32_t max, uint32_t *ret_value);
