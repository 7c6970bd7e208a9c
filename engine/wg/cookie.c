/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/wg/cookie-private.h"

#include <string.h>

#include "engine/base/rd.h"
#include "engine/crypto/aead.h"
#include "engine/crypto/blake2s.h"
#include "engine/crypto/mem.h"

enum {
    LABEL_LEN = 8
};

static void
labelled_key(uint8_t out[SP_WG_KEY_LEN], const char *label, const uint8_t key[SP_WG_KEY_LEN])
{
    struct sp_blake2s b;

    sp_blake2s_init(&b, SP_WG_KEY_LEN, sp_span(NULL, 0));
    sp_blake2s_update(&b, label, LABEL_LEN);
    sp_blake2s_update(&b, key, SP_WG_KEY_LEN);
    sp_blake2s_final(&b, out);
}

void
sp_wg_cookie_keys(const uint8_t public_key[SP_WG_KEY_LEN],
                  uint8_t ret_mac1_key[SP_WG_KEY_LEN],
                  uint8_t ret_cookie_key[SP_WG_KEY_LEN])
{
    labelled_key(ret_mac1_key, "mac1----", public_key);
    labelled_key(ret_cookie_key, "cookie--", public_key);
}

void
sp_wg_mac(uint8_t ret_mac[SP_WG_MAC_LEN], const uint8_t *key, size_t key_len, struct sp_span m)
{
    sp_blake2s(ret_mac, SP_WG_MAC_LEN, sp_span(key, key_len), m);
}

void
sp_wg_cookie_jar_init(struct sp_wg_cookie_jar *jar, const uint8_t peer_key[SP_WG_KEY_LEN])
{
    *jar = (struct sp_wg_cookie_jar){ .until = SP_TIME_NEVER };
    sp_wg_cookie_keys(peer_key, jar->peer_mac1_key, jar->peer_cookie_key);
}

void
sp_wg_cookie_jar_clear(struct sp_wg_cookie_jar *jar)
{
    sp_wipe(jar->cookie, sizeof jar->cookie);
    jar->until = SP_TIME_NEVER;
    jar->awaiting = false;
}

void
sp_wg_cookie_jar_sign(struct sp_wg_cookie_jar *jar, uint8_t *msg, size_t n, sp_time now)
{
    uint8_t *mac1 = msg + n - SP_WG_MACS_LEN;
    uint8_t *mac2 = msg + n - SP_WG_MAC_LEN;

    sp_wg_mac(mac1, jar->peer_mac1_key, SP_WG_KEY_LEN, sp_span(msg, n - SP_WG_MACS_LEN));
    if (jar->until != SP_TIME_NEVER && now < jar->until)
        sp_wg_mac(mac2, jar->cookie, SP_WG_COOKIE_LEN, sp_span(msg, n - SP_WG_MAC_LEN));
    memcpy(jar->mac1, mac1, sizeof jar->mac1);
    jar->index = sp_get_le32(msg + SP_WG_HEADER_LEN);
    jar->awaiting = true;
}

int
sp_wg_cookie_jar_consume(struct sp_wg_cookie_jar *jar,
                         const uint8_t msg[SP_WG_COOKIE_REPLY_LEN],
                         sp_time until)
{
    uint8_t cookie[SP_WG_COOKIE_LEN];

    if (!jar->awaiting || sp_get_le32(msg + SP_WG_COOK_RECEIVER) != jar->index)
        return SP_E_STATE;
    if (sp_xaead_open(cookie,
                      jar->peer_cookie_key,
                      msg + SP_WG_COOK_NONCE,
                      sp_span(jar->mac1, sizeof jar->mac1),
                      sp_span(msg + SP_WG_COOK_COOKIE, SP_WG_COOKIE_LEN + SP_WG_TAG_LEN))
        < 0)
        return SP_E_UNAUTH;
    memcpy(jar->cookie, cookie, sizeof cookie);
    jar->until = until;
    jar->awaiting = false;
    sp_wipe(cookie, sizeof cookie);
    return 0;
}
