/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/base/addr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/err.h"

struct sp_ip
sp_ip_from_bytes(uint8_t family, const uint8_t *bytes)
{
    struct sp_ip ip = { .family = family };

    memcpy(ip.b, bytes, sp_ip_size(&ip));
    return ip;
}

size_t
sp_ip_size(const struct sp_ip *ip)
{
    return ip->family == 4 ? 4 : ip->family == 6 ? 16 : 0;
}

bool
sp_ip_equal(const struct sp_ip *a, const struct sp_ip *b)
{
    return sp_ip_compare(a, b) == 0;
}

int
sp_ip_compare(const struct sp_ip *a, const struct sp_ip *b)
{
    if (a->family != b->family)
        return a->family < b->family ? -1 : 1;
    return memcmp(a->b, b->b, sp_ip_size(a));
}

struct sp_ip
sp_ip_add(const struct sp_ip *ip, uint32_t n)
{
    struct sp_ip out = *ip;
    uint64_t carry = n;

    for (size_t i = sp_ip_size(ip); i-- > 0 && carry;) {
        carry += out.b[i];
        out.b[i] = (uint8_t)carry;
        carry >>= 8;
    }
    return out;
}

bool
sp_ip_is_multicast(const struct sp_ip *ip)
{
    return ip->family == 4 ? (ip->b[0] & 0xf0) == 0xe0 : ip->family == 6 && ip->b[0] == 0xff;
}

bool
sp_ip_is_unspecified(const struct sp_ip *ip)
{
    static const uint8_t zero[16];

    return memcmp(ip->b, zero, sizeof zero) == 0;
}

bool
sp_ip_is_loopback(const struct sp_ip *ip)
{
    static const uint8_t one[16] = { [15] = 1 };

    return ip->family == 4 ? ip->b[0] == 127 : ip->family == 6 && memcmp(ip->b, one, 16) == 0;
}

bool
sp_ip_is_link_local(const struct sp_ip *ip)
{
    if (ip->family == 4)
        return ip->b[0] == 169 && ip->b[1] == 254;
    return ip->family == 6 && ip->b[0] == 0xfe && (ip->b[1] & 0xc0) == 0x80;
}

int
sp_ip_parse(const char *text, struct sp_ip *ret_ip)
{
    uint8_t b[16] = { 0 };
    uint8_t family;

    if (inet_pton(AF_INET, text, b) == 1)
        family = 4;
    else if (inet_pton(AF_INET6, text, b) == 1)
        family = 6;
    else
        return SP_E_MALFORMED;
    *ret_ip = sp_ip_from_bytes(family, b);
    return 0;
}

const char *
sp_ip_format(const struct sp_ip *ip, char out[SP_IP_STR_MAX])
{
    if (ip->family == 0
        || inet_ntop(ip->family == 4 ? AF_INET : AF_INET6, ip->b, out, SP_IP_STR_MAX) == NULL)
        snprintf(out, SP_IP_STR_MAX, "none");
    return out;
}

bool
sp_endpoint_equal(const struct sp_endpoint *a, const struct sp_endpoint *b)
{
    return sp_endpoint_compare(a, b) == 0;
}

int
sp_endpoint_compare(const struct sp_endpoint *a, const struct sp_endpoint *b)
{
    int order = sp_ip_compare(&a->ip, &b->ip);

    if (order != 0)
        return order;
    return a->port < b->port ? -1 : a->port > b->port;
}

int
sp_parse_u32(const char *text, size_t n, uint32_t max, uint32_t *ret_value)
{
    uint64_t value = 0;

    if (n == 0 || n > 10)
        return SP_E_MALFORMED;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9')
            return SP_E_MALFORMED;
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    if (value > max)
        return SP_E_MALFORMED;
    *ret_value = (uint32_t)value;
    return 0;
}

int
sp_endpoint_parse(const char *text, struct sp_endpoint *ret_ep)
{
    const char *colon = strrchr(text, ':');
    char host[SP_IP_STR_MAX];
    struct sp_endpoint ep;
    uint32_t port;
    size_t n;
    bool bracketed = text[0] == '[';

    if (colon == NULL)
        return SP_E_MALFORMED;
    n = (size_t)(colon - text);
    if (bracketed) {
        if (n < 2 || text[n - 1] != ']')
            return SP_E_MALFORMED;
        text++;
        n -= 2;
    }
    if (n >= sizeof host || sp_parse_u32(colon + 1, strlen(colon + 1), 65535, &port) < 0)
        return SP_E_MALFORMED;
    memcpy(host, text, n);
    host[n] = '\0';
    if (sp_ip_parse(host, &ep.ip) < 0 || (ep.ip.family == 6) != bracketed)
        return SP_E_MALFORMED;
    ep.port = (uint16_t)port;
    *ret_ep = ep;
    return 0;
}

const char *
sp_endpoint_format(const struct sp_endpoint *ep, char out[SP_ENDPOINT_STR_MAX])
{
    char ip[SP_IP_STR_MAX];

    sp_ip_format(&ep->ip, ip);
    if (ep->ip.family == 6)
        snprintf(out, SP_ENDPOINT_STR_MAX, "[%s]:%u", ip, ep->port);
    else
        snprintf(out, SP_ENDPOINT_STR_MAX, "%s:%u", ip, ep->port);
    return out;
}

struct sp_ip
sp_ip_mask(const struct sp_ip *ip, uint8_t len)
{
    struct sp_ip out = *ip;

    for (size_t i = 0; i < sp_ip_size(ip); i++) {
        size_t bits = i * 8 >= len ? 0 : SP_MIN((size_t)len - i * 8, (size_t)8);

        out.b[i] &= (uint8_t)(0xff00u >> bits);
    }
    return out;
}

int
sp_cidr_parse(const char *text, struct sp_cidr *ret_net)
{
    const char *slash = strchr(text, '/');
    char host[SP_IP_STR_MAX];
    struct sp_cidr net;
    struct sp_ip masked;
    uint32_t len;

    if (slash == NULL || (size_t)(slash - text) >= sizeof host)
        return SP_E_MALFORMED;
    memcpy(host, text, (size_t)(slash - text));
    host[slash - text] = '\0';
    if (sp_ip_parse(host, &net.ip) < 0
        || sp_parse_u32(slash + 1, strlen(slash + 1), net.ip.family == 4 ? 32 : 128, &len) < 0)
        return SP_E_MALFORMED;
    net.len = (uint8_t)len;
    masked = sp_ip_mask(&net.ip, net.len);
    if (!sp_ip_equal(&masked, &net.ip))
        return SP_E_MALFORMED;
    *ret_net = net;
    return 0;
}

const char *
sp_cidr_format(const struct sp_cidr *net, char out[SP_CIDR_STR_MAX])
{
    char ip[SP_IP_STR_MAX];

    snprintf(out, SP_CIDR_STR_MAX, "%s/%u", sp_ip_format(&net->ip, ip), net->len);
    return out;
}

bool
sp_cidr_contains(const struct sp_cidr *net, const struct sp_ip *ip)
{
    struct sp_ip masked;

    if (net->ip.family != ip->family)
        return false;
    masked = sp_ip_mask(ip, net->len);
    return sp_ip_equal(&masked, &net->ip);
}

bool
sp_cidr_equal(const struct sp_cidr *a, const struct sp_cidr *b)
{
    return a->len == b->len && sp_ip_equal(&a->ip, &b->ip);
}

struct sp_cidr
sp_cidr_host(const struct sp_ip *ip)
{
    return (struct sp_cidr){ .ip = *ip, .len = (uint8_t)(sp_ip_size(ip) * 8) };
}
