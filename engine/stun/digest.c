/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/stun/digest-private.h"

#include <glib.h>
#include <string.h>

static void
patched_length(size_t end, size_t attr_len, uint8_t out[2])
{
    sp_put_be16(out, (uint16_t)(end + attr_len - SP_STUN_HEADER_LEN));
}

void
sp_stun_digest_integrity(const uint8_t *msg,
                         size_t end,
                         struct sp_span key,
                         uint8_t ret_mac[SP_STUN_INTEGRITY_LEN])
{
    GHmac *mac = g_hmac_new(G_CHECKSUM_SHA1, key.p, key.n);
    gsize len = SP_STUN_INTEGRITY_LEN;
    uint8_t length[2];

    patched_length(end, SP_STUN_INTEGRITY_ATTR_LEN, length);
    g_hmac_update(mac, msg, 2);
    g_hmac_update(mac, length, sizeof length);
    g_hmac_update(mac, msg + 4, (gssize)(end - 4));
    g_hmac_get_digest(mac, ret_mac, &len);
    g_hmac_unref(mac);
}

static uint32_t
crc32_step(uint32_t crc, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? (crc >> 1) ^ 0xedb88320u : crc >> 1;
    }
    return crc;
}

uint32_t
sp_stun_digest_fingerprint(const uint8_t *msg, size_t end)
{
    uint8_t length[2];
    uint32_t crc;

    patched_length(end, SP_STUN_FINGERPRINT_ATTR_LEN, length);
    crc = crc32_step(0xffffffffu, msg, 2);
    crc = crc32_step(crc, length, sizeof length);
    crc = crc32_step(crc, msg + 4, end - 4);
    return ~crc ^ SP_STUN_FINGERPRINT_XOR;
}

void
sp_stun_long_term_key(const char *username,
                      const char *realm,
                      const char *password,
                      uint8_t ret_key[SP_STUN_LONG_KEY_LEN])
{
    GChecksum *sum = g_checksum_new(G_CHECKSUM_MD5);
    gsize len = SP_STUN_LONG_KEY_LEN;

    g_checksum_update(sum, (const guchar *)username, (gssize)strlen(username));
    g_checksum_update(sum, (const guchar *)":", 1);
    g_checksum_update(sum, (const guchar *)realm, (gssize)strlen(realm));
    g_checksum_update(sum, (const guchar *)":", 1);
    g_checksum_update(sum, (const guchar *)password, (gssize)strlen(password));
    g_checksum_get_digest(sum, ret_key, &len);
    g_checksum_free(sum);
}
