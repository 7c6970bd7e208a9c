/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/crypto/x25519.h"

#include <sodium.h>

#include "engine/base/err.h"
#include "engine/crypto/mem.h"

void
sp_x25519_clamp(uint8_t private_key[SP_X25519_LEN])
{
    private_key[0] &= 248;
    private_key[31] = (uint8_t)((private_key[31] & 127) | 64);
}

void
sp_x25519_generate(uint8_t ret_private[SP_X25519_LEN], const struct sp_rng *rng)
{
    sp_rng_fill(rng, ret_private, SP_X25519_LEN);
    sp_x25519_clamp(ret_private);
}

void
sp_x25519_public(uint8_t ret_public[SP_X25519_LEN], const uint8_t private_key[SP_X25519_LEN])
{
    (void)crypto_scalarmult_curve25519_base(ret_public, private_key);
}

int
sp_x25519(uint8_t ret_shared[SP_X25519_LEN],
          const uint8_t private_key[SP_X25519_LEN],
          const uint8_t public_key[SP_X25519_LEN])
{
    if (crypto_scalarmult_curve25519(ret_shared, private_key, public_key) == 0)
        return 0;
    sp_wipe(ret_shared, SP_X25519_LEN);
    return SP_E_UNAUTH;
}
