/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "engine/stun/digest-private.h"
#include "engine/stun/stun.h"

#define UNKNOWN_MAX 32 /* types listed in one UNKNOWN-ATTRIBUTES */

static uint16_t
message_type(enum sp_stun_class cls, uint16_t method)
{
    unsigned c = (unsigned)cls;
    unsigned m = method;

    return (uint16_t)((m & 0x000f) | ((m & 0x0070) << 1) | ((m & 0x0f80) << 2) | ((c & 1) << 4)
                      | ((c & 2) << 7));
}

struct sp_stun_builder
sp_stun_build(void *buf,
              size_t cap,
              enum sp_stun_class cls,
              uint16_t method,
              const uint8_t txid[SP_STUN_TXID_LEN])
{
    struct sp_stun_builder b = { .w = sp_wr(buf, cap) };

    sp_wr_be16(&b.w, message_type(cls, method));
    sp_wr_be16(&b.w, 0);
    sp_wr_be32(&b.w, SP_STUN_COOKIE);
    sp_wr_bytes(&b.w, txid, SP_STUN_TXID_LEN);
    return b;
}

/* Room for a whole attribute with its header and zero padding; NULL when it does not fit. */
static uint8_t *
reserve(struct sp_stun_builder *b, uint16_t type, size_t n)
{
    size_t padded = (n + 3) & ~(size_t)3;
    uint8_t *p;

    if (n > UINT16_MAX || sp_wr_len(&b->w) + padded > UINT16_MAX) {
        b->w.failed = true;
        return NULL;
    }
    p = sp_wr_reserve(&b->w, SP_STUN_ATTR_HEADER_LEN + padded);
    if (!p)
        return NULL;
    sp_put_be16(p, type);
    sp_put_be16(p + 2, (uint16_t)n);
    memset(p + SP_STUN_ATTR_HEADER_LEN, 0, padded);
    return p + SP_STUN_ATTR_HEADER_LEN;
}

void
sp_stun_put(struct sp_stun_builder *b, uint16_t type, const void *value, size_t n)
{
    uint8_t *p = reserve(b, type, n);

    if (p && n)
        memcpy(p, value, n);
}

void
sp_stun_put_flag(struct sp_stun_builder *b, uint16_t type)
{
    (void)reserve(b, type, 0);
}

void
sp_stun_put_u32(struct sp_stun_builder *b, uint16_t type, uint32_t value)
{
    uint8_t *p = reserve(b, type, 4);

    if (p)
        sp_put_be32(p, value);
}

void
sp_stun_put_u64(struct sp_stun_builder *b, uint16_t type, uint64_t value)
{
    uint8_t *p = reserve(b, type, 8);

    if (p)
        sp_put_be64(p, value);
}

void
sp_stun_put_string(struct sp_stun_builder *b, uint16_t type, const char *text)
{
    sp_stun_put(b, type, text, strlen(text));
}

void
sp_stun_put_xor_addr(struct sp_stun_builder *b, uint16_t type, const struct sp_endpoint *ep)
{
    size_t size = sp_ip_size(&ep->ip);
    uint8_t *p;

    sp_assert(size > 0);
    p = reserve(b, type, 4 + size);
    if (!p)
        return;
    p[1] = ep->ip.family == 4 ? 1 : 2;
    sp_put_be16(p + 2, (uint16_t)(ep->port ^ (SP_STUN_COOKIE >> 16)));
    for (size_t i = 0; i < size; i++)
        p[4 + i] = ep->ip.b[i] ^ b->w.start[4 + i];
}

static const char *
reason_phrase(unsigned code)
{
    static const struct {
        unsigned code;
        const char *text;
    } phrases[] = {
        { 300, "Try Alternate" },
        { 400, "Bad Request" },
        { 401, "Unauthorized" },
        { 403, "Forbidden" },
        { 420, "Unknown Attribute" },
        { 437, "Allocation Mismatch" },
        { 438, "Stale Nonce" },
        { 440, "Address Family not Supported" },
        { 441, "Wrong Credentials" },
        { 442, "Unsupported Transport Protocol" },
        { 443, "Peer Address Family Mismatch" },
        { 486, "Allocation Quota Reached" },
        { 487, "Role Conflict" },
        { 500, "Server Error" },
        { 508, "Insufficient Capacity" },
    };

    for (size_t i = 0; i < SP_ARRAY_SIZE(phrases); i++) {
        if (phrases[i].code == code)
            return phrases[i].text;
    }
    return "";
}

void
sp_stun_put_error(struct sp_stun_builder *b, unsigned code, const char *reason)
{
    const char *text = reason ? reason : reason_phrase(code);
    size_t n = strlen(text);
    uint8_t *p;

    sp_assert(code >= 300 && code <= 699);
    p = reserve(b, SP_STUN_ERROR_CODE, 4 + n);
    if (!p)
        return;
    p[2] = (uint8_t)(code / 100);
    p[3] = (uint8_t)(code % 100);
    if (n)
        memcpy(p + 4, text, n);
}

void
sp_stun_put_unknown(struct sp_stun_builder *b, const uint16_t *types, size_t n)
{
    size_t count = SP_MIN(n, (size_t)UNKNOWN_MAX);
    uint8_t *p = reserve(b, SP_STUN_UNKNOWN_ATTRIBUTES, 2 * count);

    for (size_t i = 0; p && i < count; i++)
        sp_put_be16(p + 2 * i, types[i]);
}

void
sp_stun_put_channel(struct sp_stun_builder *b, uint16_t channel)
{
    sp_stun_put_u32(b, SP_STUN_CHANNEL_NUMBER, (uint32_t)channel << 16);
}

void
sp_stun_put_transport(struct sp_stun_builder *b, uint8_t protocol)
{
    sp_stun_put_u32(b, SP_STUN_REQUESTED_TRANSPORT, (uint32_t)protocol << 24);
}

void
sp_stun_put_family(struct sp_stun_builder *b, uint16_t type, uint8_t family)
{
    sp_assert(family == 4 || family == 6);
    sp_stun_put_u32(b, type, family == 4 ? 0x01000000u : 0x02000000u);
}

static void
patch_length(struct sp_stun_builder *b)
{
    sp_put_be16(b->w.start + 2, (uint16_t)(sp_wr_len(&b->w) - SP_STUN_HEADER_LEN));
}

void
sp_stun_put_integrity(struct sp_stun_builder *b, struct sp_span key)
{
    size_t end = sp_wr_len(&b->w);
    uint8_t *p = reserve(b, SP_STUN_MESSAGE_INTEGRITY, SP_STUN_INTEGRITY_LEN);

    if (p)
        sp_stun_digest_integrity(b->w.start, end, key, p);
}

void
sp_stun_put_fingerprint(struct sp_stun_builder *b)
{
    size_t end = sp_wr_len(&b->w);
    uint8_t *p = reserve(b, SP_STUN_FINGERPRINT, 4);

    if (p)
        sp_put_be32(p, sp_stun_digest_fingerprint(b->w.start, end));
}

int
sp_stun_finish(struct sp_stun_builder *b)
{
    if (!sp_wr_ok(&b->w))
        return SP_E_NOBUF;
    patch_length(b);
    return (int)sp_wr_len(&b->w);
}
