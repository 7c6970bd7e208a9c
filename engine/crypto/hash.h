/* SPDX-License-Identifier: Apache-2.0 */
/* The older hashes that STUN, TURN and the portal need: HMAC-SHA1 (RFC 2104, 2202), MD5 (RFC 1321),
 * SHA-256 (FIPS 180-4), CRC-32 (ITU V.42, for the STUN FINGERPRINT of RFC 8489 section 14.7). */
#pragma once

#include "engine/base/span.h"

enum {
    SP_SHA1_LEN = 20,
    SP_MD5_LEN = 16,
    SP_SHA256_LEN = 32,
};

void sp_hmac_sha1(uint8_t ret_out[SP_SHA1_LEN], struct sp_span key, struct sp_span data);
/** sp_hmac_sha1_v() - over the concatenation of @n parts */
void sp_hmac_sha1_v(uint8_t ret_out[SP_SHA1_LEN],
                    struct sp_span key,
                    const struct sp_span *parts,
                    size_t n);
void sp_md5(uint8_t ret_out[SP_MD5_LEN], struct sp_span data);
void sp_sha256(uint8_t ret_out[SP_SHA256_LEN], struct sp_span data);
/** sp_crc32() - polynomial 0x04c11db7 reflected, pre- and post-inverted. A STUN FINGERPRINT is this
 * value xor 0x5354554e. @crc: 0, or the value so far to continue */
uint32_t sp_crc32(uint32_t crc, struct sp_span data);
