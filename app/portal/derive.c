/* SPDX-License-Identifier: Apache-2.0 */
#include "app/portal/derive.h"

#include <string.h>

#include <sodium.h>

#include "engine/base/addr.h"
#include "engine/base/uuid.h"

#define ICE_HASH_LEN 52 /* base32 of 32 bytes without padding */

static void
base32_lower(const uint8_t *bytes, size_t n, char *out)
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
    uint32_t acc = 0;
    unsigned bits = 0;

    for (size_t i = 0; i < n; i++) {
        acc = (acc << 8) | bytes[i];
        for (bits += 8; bits >= 5; bits -= 5)
            *out++ = alphabet[(acc >> (bits - 5)) & 31];
    }
    if (bits > 0)
        *out++ = alphabet[(acc << (5 - bits)) & 31];
    *out = '\0';
}

static void
sha256_text(const char *text, uint8_t out[crypto_hash_sha256_BYTES])
{
    crypto_hash_sha256(out, (const uint8_t *)text, strlen(text));
}

static char *
base64_nopad(const uint8_t *bytes, size_t n)
{
    size_t size = sodium_base64_encoded_len(n, sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
    char *out = g_malloc(size);

    return sodium_bin2base64(out, size, bytes, n, sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
}

static char *
base64_url(const uint8_t *bytes, size_t n)
{
    size_t size = sodium_base64_encoded_len(n, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    char *out = g_malloc(size);

    return sodium_bin2base64(out, size, bytes, n, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

void
sp_cp_secret_free(char *text)
{
    if (text)
        sodium_memzero(text, strlen(text));
    g_free(text);
}

void
sp_cp_derive_ice(const struct sp_cp_peer *client,
                 const struct sp_cp_peer *gateway,
                 struct sp_cp_ice *ret_ice)
{
    g_autofree char *input = g_strdup_printf("%s:%s:%s:%s",
                                             client->id,
                                             client->public_key,
                                             gateway->id,
                                             gateway->public_key);
    uint8_t hash[crypto_hash_sha256_BYTES];
    char text[ICE_HASH_LEN + 1];

    sha256_text(input, hash);
    base32_lower(hash, sizeof hash, text);
    g_strlcpy(ret_ice->client_ufrag, text, sizeof ret_ice->client_ufrag);
    g_strlcpy(ret_ice->client_pwd, text + 4, sizeof ret_ice->client_pwd);
    g_strlcpy(ret_ice->gateway_ufrag, text + 26, sizeof ret_ice->gateway_ufrag);
    g_strlcpy(ret_ice->gateway_pwd, text + 30, sizeof ret_ice->gateway_pwd);
    sodium_memzero(text, sizeof text);
}

char *
sp_cp_derive_psk(const struct sp_cp_peer *client, const struct sp_cp_peer *gateway)
{
    static const uint8_t block_one[4] = { 0, 0, 0, 1 }; /* RFC 8018 5.2: INT(i), i = 1 */
    g_autofree char *salt = g_strdup_printf("WG_PSK|C_ID:%s|G_ID:%s|C_PK:%s|G_PK:%s",
                                            client->id,
                                            gateway->id,
                                            client->public_key,
                                            gateway->public_key);
    uint8_t password[2 * SP_CP_PSK_BASE_LEN];
    uint8_t key[crypto_auth_hmacsha256_BYTES];
    crypto_auth_hmacsha256_state state;
    char *text;

    memcpy(password, client->psk_base, SP_CP_PSK_BASE_LEN);
    memcpy(password + SP_CP_PSK_BASE_LEN, gateway->psk_base, SP_CP_PSK_BASE_LEN);
    crypto_auth_hmacsha256_init(&state, password, sizeof password);
    crypto_auth_hmacsha256_update(&state, (const uint8_t *)salt, strlen(salt));
    crypto_auth_hmacsha256_update(&state, block_one, sizeof block_one);
    crypto_auth_hmacsha256_final(&state, key);
    text = g_base64_encode(key, sizeof key);
    sodium_memzero(password, sizeof password);
    sodium_memzero(key, sizeof key);
    sodium_memzero(&state, sizeof state);
    return text;
}

void
sp_cp_derive_relay_creds(const char *stamp_secret,
                         const char *public_key,
                         int64_t expires_at,
                         char **ret_username,
                         char **ret_password)
{
    uint8_t hash[crypto_hash_sha256_BYTES];
    g_autofree char *salt = NULL;
    char *input;

    sha256_text(public_key, hash);
    salt = base64_nopad(hash, sizeof hash);
    *ret_username = g_strdup_printf("%" G_GINT64_FORMAT ":%s", expires_at, salt);
    input = g_strdup_printf("%" G_GINT64_FORMAT ":%s:%s", expires_at, stamp_secret, salt);
    sha256_text(input, hash);
    *ret_password = base64_nopad(hash, sizeof hash);
    sp_cp_secret_free(input);
}

char *
sp_cp_derive_relay_id(const char *stamp_secret)
{
    uint8_t hash[crypto_hash_sha256_BYTES];
    char text[SP_UUID_STR_MAX];
    struct sp_uuid id;

    sha256_text(stamp_secret, hash);
    memcpy(id.b, hash, sizeof id.b);
    id.b[6] = (uint8_t)((id.b[6] & 0x0f) | 0x40);
    id.b[8] = (uint8_t)((id.b[8] & 0x3f) | 0x80);
    return g_strdup(sp_uuid_format(&id, text));
}

char *
sp_cp_jwt_sign(JsonNode *claims, const uint8_t *key, size_t key_len)
{
    static const char header[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";
    g_autofree char *json = json_to_string(claims, FALSE);
    g_autofree char *head = base64_url((const uint8_t *)header, strlen(header));
    g_autofree char *body = base64_url((const uint8_t *)json, strlen(json));
    g_autofree char *input = g_strdup_printf("%s.%s", head, body);
    g_autofree char *tag_text = NULL;
    uint8_t tag[crypto_auth_hmacsha256_BYTES];
    crypto_auth_hmacsha256_state state;

    crypto_auth_hmacsha256_init(&state, key, key_len);
    crypto_auth_hmacsha256_update(&state, (const uint8_t *)input, strlen(input));
    crypto_auth_hmacsha256_final(&state, tag);
    tag_text = base64_url(tag, sizeof tag);
    return g_strdup_printf("%s.%s", input, tag_text);
}

char *
sp_cp_pool_addr(int family, uint32_t offset)
{
    struct sp_ip first = sp_ip4(100, 64, 0, 0);
    char text[SP_IP_STR_MAX];
    struct sp_ip ip;

    if (family == 6) {
        static const uint8_t prefix[16] = { 0xfd, 0x00, 0x20, 0x21, 0x11, 0x11 };

        first = sp_ip_from_bytes(6, prefix);
    }
    ip = sp_ip_add(&first, offset);
    return g_strdup(sp_ip_format(&ip, text));
}

uint32_t
sp_cp_pool_next(uint32_t offset)
{
    return offset >= SP_CP_POOL_HOSTS ? 1 : offset + 1;
}
