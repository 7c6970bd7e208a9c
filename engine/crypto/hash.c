/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/crypto/hash.h"

#include <glib.h>

/* GLib takes signed lengths; inputs here are datagrams and short strings. */
static void
feed_checksum(GChecksum *sum, struct sp_span data)
{
    sp_assert(data.n <= G_MAXSSIZE);
    g_checksum_update(sum, data.p, (gssize)data.n);
}

static void
digest(GChecksumType type, struct sp_span data, uint8_t *out, size_t len)
{
    GChecksum *sum = g_checksum_new(type);
    gsize n = len;

    if (data.n)
        feed_checksum(sum, data);
    g_checksum_get_digest(sum, out, &n);
    g_checksum_free(sum);
    sp_assert(n == len);
}

void
sp_hmac_sha1_v(uint8_t ret_out[SP_SHA1_LEN],
               struct sp_span key,
               const struct sp_span *parts,
               size_t n)
{
    GHmac *hmac = g_hmac_new(G_CHECKSUM_SHA1, key.n ? key.p : (const uint8_t *)"", key.n);
    gsize len = SP_SHA1_LEN;

    for (size_t i = 0; i < n; i++) {
        sp_assert(parts[i].n <= G_MAXSSIZE);
        if (parts[i].n)
            g_hmac_update(hmac, parts[i].p, (gssize)parts[i].n);
    }
    g_hmac_get_digest(hmac, ret_out, &len);
    g_hmac_unref(hmac);
}

void
sp_hmac_sha1(uint8_t ret_out[SP_SHA1_LEN], struct sp_span key, struct sp_span data)
{
    sp_hmac_sha1_v(ret_out, key, &data, 1);
}

void
sp_md5(uint8_t ret_out[SP_MD5_LEN], struct sp_span data)
{
    digest(G_CHECKSUM_MD5, data, ret_out, SP_MD5_LEN);
}

void
sp_sha256(uint8_t ret_out[SP_SHA256_LEN], struct sp_span data)
{
    digest(G_CHECKSUM_SHA256, data, ret_out, SP_SHA256_LEN);
}

uint32_t
sp_crc32(uint32_t crc, struct sp_span data)
{
    /* A nibble at a time: 64 bytes of table, and STUN messages are short. */
    static const uint32_t table[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
        0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };

    crc = ~crc;
    for (size_t i = 0; i < data.n; i++) {
        crc = (crc >> 4) ^ table[(crc ^ data.p[i]) & 15];
        crc = (crc >> 4) ^ table[(crc ^ (data.p[i] >> 4)) & 15];
    }
    return ~crc;
}
