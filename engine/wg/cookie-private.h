/* SPDX-License-Identifier: Apache-2.0 */
/* mac1, mac2 and the cookie as the sender of handshake messages sees them. The receiver's side is
 * the limiter. Source: WireGuard paper sections 5.4.4 and 5.4.7. */
#pragma once

#include "engine/wg/wg.h"

/** struct sp_wg_cookie_jar - one per tunnel
 * @until: end of life of @cookie; SP_TIME_NEVER: none held
 * @index, @mac1: of the last handshake message sent; a cookie reply must answer it */
struct sp_wg_cookie_jar {
    uint8_t peer_mac1_key[SP_WG_KEY_LEN];
    uint8_t peer_cookie_key[SP_WG_KEY_LEN];
    uint8_t cookie[SP_WG_COOKIE_LEN];
    sp_time until;
    uint32_t index;
    uint8_t mac1[SP_WG_MAC_LEN];
    bool awaiting;
};

/** sp_wg_cookie_keys() - the two keys that follow from a public key */
void sp_wg_cookie_keys(const uint8_t public_key[SP_WG_KEY_LEN],
                       uint8_t ret_mac1_key[SP_WG_KEY_LEN],
                       uint8_t ret_cookie_key[SP_WG_KEY_LEN]);
void sp_wg_mac(uint8_t ret_mac[SP_WG_MAC_LEN],
               const uint8_t *key,
               size_t key_len,
               struct sp_span m);

void sp_wg_cookie_jar_init(struct sp_wg_cookie_jar *jar, const uint8_t peer_key[SP_WG_KEY_LEN]);
/** sp_wg_cookie_jar_clear() - forget the cookie and the message it could answer */
void sp_wg_cookie_jar_clear(struct sp_wg_cookie_jar *jar);
/** sp_wg_cookie_jar_sign() - fill both macs, the last 32 bytes of @msg of length @n */
void sp_wg_cookie_jar_sign(struct sp_wg_cookie_jar *jar, uint8_t *msg, size_t n, sp_time now);
/** sp_wg_cookie_jar_consume() - a type 3 message. Returns: 0, SP_E_STATE, SP_E_UNAUTH */
SP_MUST_CHECK int sp_wg_cookie_jar_consume(struct sp_wg_cookie_jar *jar,
                                           const uint8_t msg[SP_WG_COOKIE_REPLY_LEN],
                                           sp_time until);
