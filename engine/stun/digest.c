/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/stun/digest-private.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/crypto/hash.h"

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
    uint8_t length[2];
    struct sp_span parts[] = {
        { .p = msg, .n = 2 },
        { .p = length, .n = sizeof length },
        { .p = msg + 4, .n = end - 4 },
    };

    patched_length(end, SP_STUN_INTEGRITY_ATTR_LEN, length);
    sp_hmac_sha1_v(ret_mac, key, parts, SP_ARRAY_SIZE(parts));
}

uint32_t
sp_stun_digest_fingerprint(const uint8_t *msg, size_t end)
{
    uint8_t length[2];
    uint32_t crc;

    patched_length(end, SP_STUN_FINGERPRINT_ATTR_LEN, length);
    crc = sp_crc32(0, sp_span(msg, 2));
    crc = sp_crc32(crc, sp_span(length, sizeof length));
    crc = sp_crc32(crc, sp_span(msg + 4, end - 4));
    return crc ^ SP_STUN_FINGERPRINT_XOR;
}

void
sp_stun_long_term_key(const char *username,
                      const char *realm,
                      const char *password,
                      uint8_t ret_key[SP_STUN_LONG_KEY_LEN])
{
    size_t n = strlen(username) + strlen(realm) + strlen(password) + 2;
    char *text = sp_xcalloc(n + 1, 1);

    (void)snprintf(text, n + 1, "%s:%s:%s", username, realm, password);
    sp_md5(ret_key, sp_span(text, n));
    sodium_memzero(text, n);
    free(text);
}
