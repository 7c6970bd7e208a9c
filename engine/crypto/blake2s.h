/* SPDX-License-Identifier: Apache-2.0 */
/* BLAKE2s (RFC 7693), and on top of it the HMAC and key derivation of the Noise specification
 * (revision 34, section 4.3). */
#pragma once

#include "engine/base/span.h"

enum {
    SP_BLAKE2S_BLOCK_LEN = 64,
    SP_BLAKE2S_HASH_LEN = 32,
    SP_BLAKE2S_KEY_MAX = 32,
};

struct sp_blake2s {
    uint32_t h[8];
    uint64_t total; /* bytes compressed so far */
    uint8_t buf[SP_BLAKE2S_BLOCK_LEN];
    uint8_t buf_len;
    uint8_t out_len;
};

/** sp_blake2s_init() - @out_len 1..32, @key of 0..32 bytes */
void sp_blake2s_init(struct sp_blake2s *s, size_t out_len, struct sp_span key);
void sp_blake2s_update(struct sp_blake2s *s, const void *p, size_t n);
/** sp_blake2s_final() - writes the out_len bytes asked for and wipes @s */
void sp_blake2s_final(struct sp_blake2s *s, uint8_t *ret_out);
/** sp_blake2s() - in one go */
void sp_blake2s(uint8_t *ret_out, size_t out_len, struct sp_span key, struct sp_span data);

/** sp_hmac_blake2s() - HMAC (RFC 2104) with BLAKE2s-256; not the keyed mode */
void sp_hmac_blake2s(uint8_t ret_out[SP_BLAKE2S_HASH_LEN], struct sp_span key, struct sp_span data);

/** sp_noise_kdf() - HKDF of the Noise specification: up to three blocks of 32 bytes; @ret_2 and
 * @ret_3 may be NULL.
 * The outputs may overlap @chain and each other's inputs. */
void sp_noise_kdf(const uint8_t chain[SP_BLAKE2S_HASH_LEN],
                  struct sp_span input,
                  uint8_t *ret_1,
                  uint8_t *ret_2,
                  uint8_t *ret_3);
