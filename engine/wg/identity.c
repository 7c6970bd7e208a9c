/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "engine/crypto/mem.h"
#include "engine/crypto/x25519.h"
#include "engine/wg/cookie-private.h"

void
sp_wg_identity_init(struct sp_wg_identity *id, const uint8_t private_key[SP_WG_KEY_LEN])
{
    memcpy(id->private, private_key, SP_WG_KEY_LEN);
    sp_x25519_clamp(id->private);
    sp_x25519_public(id->public, id->private);
    sp_wg_cookie_keys(id->public, id->mac1_key, id->cookie_key);
}

void
sp_wg_identity_generate(struct sp_wg_identity *id, const struct sp_rng *rng)
{
    uint8_t key[SP_WG_KEY_LEN];

    sp_x25519_generate(key, rng);
    sp_wg_identity_init(id, key);
    sp_wipe(key, sizeof key);
}

void
sp_wg_identity_done(struct sp_wg_identity *id)
{
    sp_wipe(id, sizeof *id);
}
