/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/crypto/blake2s.h"

#include <string.h>

#include "engine/base/rd.h"
#include "engine/base/wr.h"
#include "engine/crypto/mem.h"

/* RFC 7693 section 2.6: the initial values of SHA-256. */
static const uint32_t iv[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

/* RFC 7693 section 2.7 */
static const uint8_t sigma[10][16] = {
    { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 },
    { 14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3 },
    { 11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4 },
    { 7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8 },
    { 9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13 },
    { 2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9 },
    { 12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11 },
    { 13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10 },
    { 6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5 },
    { 10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0 },
};

static inline uint32_t
rotr(uint32_t x, int n)
{
    return (x >> n) | (x << (32 - n));
}

static inline void
mix(uint32_t v[16], int a, int b, int c, int d, uint32_t x, uint32_t y)
{
    v[a] += v[b] + x;
    v[d] = rotr(v[d] ^ v[a], 16);
    v[c] += v[d];
    v[b] = rotr(v[b] ^ v[c], 12);
    v[a] += v[b] + y;
    v[d] = rotr(v[d] ^ v[a], 8);
    v[c] += v[d];
    v[b] = rotr(v[b] ^ v[c], 7);
}

static void
compress(struct sp_blake2s *s, bool last)
{
    uint32_t v[16], m[16];

    for (int i = 0; i < 16; i++)
        m[i] = sp_get_le32(s->buf + 4 * i);
    memcpy(v, s->h, sizeof s->h);
    memcpy(v + 8, iv, sizeof iv);
    v[12] ^= (uint32_t)s->total;
    v[13] ^= (uint32_t)(s->total >> 32);
    if (last)
        v[14] = ~v[14];
    for (int r = 0; r < 10; r++) {
        const uint8_t *g = sigma[r];

        mix(v, 0, 4, 8, 12, m[g[0]], m[g[1]]);
        mix(v, 1, 5, 9, 13, m[g[2]], m[g[3]]);
        mix(v, 2, 6, 10, 14, m[g[4]], m[g[5]]);
        mix(v, 3, 7, 11, 15, m[g[6]], m[g[7]]);
        mix(v, 0, 5, 10, 15, m[g[8]], m[g[9]]);
        mix(v, 1, 6, 11, 12, m[g[10]], m[g[11]]);
        mix(v, 2, 7, 8, 13, m[g[12]], m[g[13]]);
        mix(v, 3, 4, 9, 14, m[g[14]], m[g[15]]);
    }
    for (int i = 0; i < 8; i++)
        s->h[i] ^= v[i] ^ v[i + 8];
    sp_wipe(v, sizeof v);
    sp_wipe(m, sizeof m);
}

void
sp_blake2s_init(struct sp_blake2s *s, size_t out_len, struct sp_span key)
{
    sp_assert(out_len >= 1 && out_len <= SP_BLAKE2S_HASH_LEN);
    sp_assert(key.n <= SP_BLAKE2S_KEY_MAX);
    *s = (struct sp_blake2s){ .out_len = (uint8_t)out_len };
    memcpy(s->h, iv, sizeof iv);
    s->h[0] ^= 0x01010000u ^ ((uint32_t)key.n << 8) ^ (uint32_t)out_len;
    if (key.n) {
        memcpy(s->buf, key.p, key.n);
        s->buf_len = SP_BLAKE2S_BLOCK_LEN;
    }
}

void
sp_blake2s_update(struct sp_blake2s *s, const void *p, size_t n)
{
    const uint8_t *in = p;

    while (n) {
        size_t part;

        /* A full block waits for more input, as the last one is compressed differently. */
        if (s->buf_len == SP_BLAKE2S_BLOCK_LEN) {
            s->total += SP_BLAKE2S_BLOCK_LEN;
            compress(s, false);
            s->buf_len = 0;
        }
        part = SP_MIN(n, (size_t)SP_BLAKE2S_BLOCK_LEN - s->buf_len);
        memcpy(s->buf + s->buf_len, in, part);
        s->buf_len = (uint8_t)(s->buf_len + part);
        in += part;
        n -= part;
    }
}

void
sp_blake2s_final(struct sp_blake2s *s, uint8_t *ret_out)
{
    uint8_t full[SP_BLAKE2S_HASH_LEN];

    s->total += s->buf_len;
    memset(s->buf + s->buf_len, 0, SP_BLAKE2S_BLOCK_LEN - (size_t)s->buf_len);
    compress(s, true);
    for (int i = 0; i < 8; i++)
        sp_put_le32(full + 4 * i, s->h[i]);
    memcpy(ret_out, full, s->out_len);
    sp_wipe(full, sizeof full);
    sp_wipe(s, sizeof *s);
}

void
sp_blake2s(uint8_t *ret_out, size_t out_len, struct sp_span key, struct sp_span data)
{
    struct sp_blake2s s;

    sp_blake2s_init(&s, out_len, key);
    sp_blake2s_update(&s, data.p, data.n);
    sp_blake2s_final(&s, ret_out);
}

/* Two parts, because the KDF appends a byte to the block before. */
static void
hmac(uint8_t out[SP_BLAKE2S_HASH_LEN], struct sp_span key, struct sp_span a, struct sp_span b)
{
    static const struct sp_span none;
    uint8_t pad[SP_BLAKE2S_BLOCK_LEN] = { 0 };
    uint8_t inner[SP_BLAKE2S_HASH_LEN];
    struct sp_blake2s s;

    if (key.n > sizeof pad)
        sp_blake2s(pad, SP_BLAKE2S_HASH_LEN, none, key);
    else if (key.n)
        memcpy(pad, key.p, key.n);
    for (size_t i = 0; i < sizeof pad; i++)
        pad[i] ^= 0x36;
    sp_blake2s_init(&s, SP_BLAKE2S_HASH_LEN, none);
    sp_blake2s_update(&s, pad, sizeof pad);
    sp_blake2s_update(&s, a.p, a.n);
    sp_blake2s_update(&s, b.p, b.n);
    sp_blake2s_final(&s, inner);
    for (size_t i = 0; i < sizeof pad; i++)
        pad[i] ^= 0x36 ^ 0x5c;
    sp_blake2s_init(&s, SP_BLAKE2S_HASH_LEN, none);
    sp_blake2s_update(&s, pad, sizeof pad);
    sp_blake2s_update(&s, inner, sizeof inner);
    sp_blake2s_final(&s, out);
    sp_wipe(pad, sizeof pad);
    sp_wipe(inner, sizeof inner);
}

void
sp_hmac_blake2s(uint8_t ret_out[SP_BLAKE2S_HASH_LEN], struct sp_span key, struct sp_span data)
{
    hmac(ret_out, key, data, sp_span(NULL, 0));
}

void
sp_noise_kdf(const uint8_t chain[SP_BLAKE2S_HASH_LEN],
             struct sp_span input,
             uint8_t *ret_1,
             uint8_t *ret_2,
             uint8_t *ret_3)
{
    uint8_t secret[SP_BLAKE2S_HASH_LEN], block[SP_BLAKE2S_HASH_LEN];
    uint8_t *const outs[] = { ret_1, ret_2, ret_3 };

    sp_hmac_blake2s(secret, sp_span(chain, SP_BLAKE2S_HASH_LEN), input);
    for (uint8_t i = 0; i < 3 && outs[i]; i++) {
        const uint8_t counter = (uint8_t)(i + 1);

        hmac(block,
             sp_span(secret, sizeof secret),
             sp_span(block, i ? sizeof block : 0),
             sp_span(&counter, 1));
        memcpy(outs[i], block, sizeof block);
    }
    sp_wipe(secret, sizeof secret);
    sp_wipe(block, sizeof block);
}
