/* SPDX-License-Identifier: Apache-2.0 */
#include <sodium.h>
#include <string.h>

#include "engine/base/rd.h"
#include "engine/stun/digest-private.h"
#include "engine/stun/stun.h"

bool
sp_stun_is_stun(struct sp_span bytes)
{
    size_t len;

    if (bytes.n < SP_STUN_HEADER_LEN || bytes.p[0] > 3)
        return false;
    len = sp_get_be16(bytes.p + 2);
    return len % 4 == 0 && len == bytes.n - SP_STUN_HEADER_LEN
           && sp_get_be32(bytes.p + 4) == SP_STUN_COOKIE;
}

/* The class bits sit inside the method bits (RFC 8489 figure 3). */
static void
parse_type(uint16_t type, struct sp_stun_msg *msg)
{
    msg->cls = (enum sp_stun_class)(((type >> 7) & 2) | ((type >> 4) & 1));
    msg->method = (uint16_t)(((type & 0x3e00) >> 2) | ((type & 0x00e0) >> 1) | (type & 0x000f));
}

/* One attribute at @r. @ret_value is only set on success. */
static bool
read_attr(struct sp_rd *r, uint16_t *ret_type, struct sp_span *ret_value)
{
    uint16_t type = sp_rd_be16(r);
    uint16_t len = sp_rd_be16(r);
    struct sp_span value = sp_rd_span_n(r, len);

    (void)sp_rd_take(r, (4 - len % 4) % 4);
    if (!sp_rd_ok(r))
        return false;
    *ret_type = type;
    *ret_value = value;
    return true;
}

static int
walk(struct sp_stun_msg *msg)
{
    struct sp_rd r = sp_rd(msg->raw.p + SP_STUN_HEADER_LEN, msg->raw.n - SP_STUN_HEADER_LEN);
    size_t count = 0;

    while (sp_rd_left(&r)) {
        size_t off = msg->raw.n - sp_rd_left(&r);
        struct sp_span value;
        uint16_t type;

        if (msg->fingerprint || ++count > SP_STUN_ATTRS_MAX || !read_attr(&r, &type, &value))
            return SP_E_MALFORMED;
        if (type == SP_STUN_FINGERPRINT) {
            if (value.n != 4)
                return SP_E_MALFORMED;
            msg->fingerprint = off;
            msg->attrs_end = SP_MIN(msg->attrs_end, off);
        } else if (type == SP_STUN_MESSAGE_INTEGRITY && !msg->integrity) {
            if (value.n != SP_STUN_INTEGRITY_LEN)
                return SP_E_MALFORMED;
            msg->integrity = off;
            msg->attrs_end = off;
        }
    }
    return 0;
}

int
sp_stun_parse(struct sp_span bytes, struct sp_stun_msg *ret_msg)
{
    struct sp_stun_msg msg = { .raw = bytes, .attrs_end = bytes.n };
    int r;

    if (!sp_stun_is_stun(bytes))
        return SP_E_MALFORMED;
    parse_type(sp_get_be16(bytes.p), &msg);
    memcpy(msg.txid, bytes.p + 8, sizeof msg.txid);
    r = walk(&msg);
    if (r < 0)
        return r;
    *ret_msg = msg;
    return 0;
}

bool
sp_stun_next(const struct sp_stun_msg *msg,
             size_t *cursor,
             uint16_t *ret_type,
             struct sp_span *ret_value)
{
    size_t off = SP_MAX(*cursor, (size_t)SP_STUN_HEADER_LEN);
    struct sp_rd r;

    if (off >= msg->attrs_end)
        return false;
    r = sp_rd(msg->raw.p + off, msg->attrs_end - off);
    if (!read_attr(&r, ret_type, ret_value))
        return false;
    *cursor = msg->attrs_end - sp_rd_left(&r);
    return true;
}

static bool
find(const struct sp_stun_msg *msg, uint16_t type, size_t nth, struct sp_span *ret_value)
{
    struct sp_span value;
    size_t cursor = 0;
    uint16_t t;

    while (sp_stun_next(msg, &cursor, &t, &value)) {
        if (t == type && nth-- == 0) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

bool
sp_stun_get(const struct sp_stun_msg *msg, uint16_t type, struct sp_span *ret_value)
{
    return find(msg, type, 0, ret_value);
}

bool
sp_stun_has(const struct sp_stun_msg *msg, uint16_t type)
{
    struct sp_span value;

    return find(msg, type, 0, &value);
}

bool
sp_stun_get_u32(const struct sp_stun_msg *msg, uint16_t type, uint32_t *ret_value)
{
    struct sp_span value;

    if (!find(msg, type, 0, &value) || value.n != 4)
        return false;
    *ret_value = sp_get_be32(value.p);
    return true;
}

bool
sp_stun_get_u64(const struct sp_stun_msg *msg, uint16_t type, uint64_t *ret_value)
{
    struct sp_span value;

    if (!find(msg, type, 0, &value) || value.n != 8)
        return false;
    *ret_value = sp_get_be64(value.p);
    return true;
}

bool
sp_stun_get_string(const struct sp_stun_msg *msg, uint16_t type, char *out, size_t cap)
{
    struct sp_span value;

    if (!find(msg, type, 0, &value) || value.n >= cap)
        return false;
    if (value.n && memchr(value.p, '\0', value.n))
        return false;
    if (value.n)
        memcpy(out, value.p, value.n);
    out[value.n] = '\0';
    return true;
}

static bool
decode_addr(struct sp_span value, struct sp_endpoint *ret_ep)
{
    struct sp_rd r = sp_rd_span(value);
    struct sp_endpoint ep = { 0 };

    (void)sp_rd_u8(&r);
    switch (sp_rd_u8(&r)) {
    case 1:
        ep.ip.family = 4;
        break;
    case 2:
        ep.ip.family = 6;
        break;
    default:
        return false;
    }
    ep.port = sp_rd_be16(&r);
    sp_rd_bytes(&r, ep.ip.b, sp_ip_size(&ep.ip));
    if (!sp_rd_ok(&r) || sp_rd_left(&r))
        return false;
    *ret_ep = ep;
    return true;
}

bool
sp_stun_get_xor_addr(const struct sp_stun_msg *msg,
                     uint16_t type,
                     size_t nth,
                     struct sp_endpoint *ret_ep)
{
    struct sp_span value;
    struct sp_endpoint ep;

    if (!find(msg, type, nth, &value) || !decode_addr(value, &ep))
        return false;
    ep.port ^= SP_STUN_COOKIE >> 16;
    /* The mask is cookie and transaction id, which follow each other in the header. */
    for (size_t i = 0; i < sp_ip_size(&ep.ip); i++)
        ep.ip.b[i] ^= msg->raw.p[4 + i];
    *ret_ep = ep;
    return true;
}

bool
sp_stun_get_mapped_addr(const struct sp_stun_msg *msg, struct sp_endpoint *ret_ep)
{
    struct sp_span value;

    return find(msg, SP_STUN_MAPPED_ADDRESS, 0, &value) && decode_addr(value, ret_ep);
}

unsigned
sp_stun_get_error(const struct sp_stun_msg *msg)
{
    struct sp_span value;
    unsigned cls, number;

    if (!find(msg, SP_STUN_ERROR_CODE, 0, &value) || value.n < 4)
        return 0;
    cls = value.p[2] & 7;
    number = value.p[3];
    return cls >= 3 && cls <= 6 && number <= 99 ? cls * 100 + number : 0;
}

bool
sp_stun_get_channel(const struct sp_stun_msg *msg, uint16_t *ret_channel)
{
    uint32_t value;

    if (!sp_stun_get_u32(msg, SP_STUN_CHANNEL_NUMBER, &value))
        return false;
    *ret_channel = (uint16_t)(value >> 16);
    return true;
}

size_t
sp_stun_get_unknown(const struct sp_stun_msg *msg, uint16_t *types, size_t cap)
{
    struct sp_span value;
    size_t n;

    if (!find(msg, SP_STUN_UNKNOWN_ATTRIBUTES, 0, &value))
        return 0;
    n = SP_MIN(cap, value.n / 2);
    for (size_t i = 0; i < n; i++)
        types[i] = sp_get_be16(value.p + 2 * i);
    return n;
}

uint8_t
sp_stun_get_family(const struct sp_stun_msg *msg, uint16_t type)
{
    uint32_t value;

    if (!sp_stun_get_u32(msg, type, &value))
        return 0;
    switch (value >> 24) {
    case 1:
        return 4;
    case 2:
        return 6;
    default:
        return 0;
    }
}

int
sp_stun_check_integrity(const struct sp_stun_msg *msg, struct sp_span key)
{
    uint8_t mac[SP_STUN_INTEGRITY_LEN];

    if (!msg->integrity)
        return SP_E_NOTFOUND;
    sp_stun_digest_integrity(msg->raw.p, msg->integrity, key, mac);
    if (sodium_memcmp(mac, msg->raw.p + msg->integrity + SP_STUN_ATTR_HEADER_LEN, sizeof mac))
        return SP_E_UNAUTH;
    return 0;
}

int
sp_stun_check_fingerprint(const struct sp_stun_msg *msg)
{
    const uint8_t *value = msg->raw.p + msg->fingerprint + SP_STUN_ATTR_HEADER_LEN;

    if (!msg->fingerprint)
        return SP_E_NOTFOUND;
    return sp_stun_digest_fingerprint(msg->raw.p, msg->fingerprint) == sp_get_be32(value)
               ? 0
               : SP_E_MALFORMED;
}
