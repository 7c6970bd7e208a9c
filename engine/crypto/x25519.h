/* SPDX-License-Identifier: Apache-2.0 */
/* X25519 (RFC 7748). Keys are 32 bytes. */
#pragma once

#include "engine/base/defs.h"
#include "engine/base/rng.h"

#define SP_X25519_LEN 32

void sp_x25519_generate(uint8_t ret_private[SP_X25519_LEN], const struct sp_rng *rng);
/** sp_x25519_clamp() - set the bits of a private key that RFC 7748 section 5 fixes */
void sp_x25519_clamp(uint8_t private_key[SP_X25519_LEN]);
void sp_x25519_public(uint8_t ret_public[SP_X25519_LEN], const uint8_t private_key[SP_X25519_LEN]);
/** sp_x25519() - shared secret. Returns: 0, or SP_E_UNAUTH for a point of low order (result 0) */
SP_MUST_CHECK int sp_x25519(uint8_t ret_shared[SP_X25519_LEN],
                            const uint8_t private_key[SP_X25519_LEN],
                            const uint8_t public_key[SP_X25519_LEN]);
