/* SPDX-License-Identifier: Apache-2.0 */
/* The handshake Noise_IKpsk2 as WireGuard uses it: bytes in, keys out, no tunnel state.
 * Sources: WireGuard paper section 5.4; Noise specification revision 34.
 * Every consume function works on copies; the caller commits the result or throws it away. */
#pragma once

#include "engine/base/rng.h"
#include "engine/wg/wg.h"

/** struct sp_wg_noise_peer - what stays the same for all handshakes with one peer (secret)
 * @static_static: the ss of both handshakes, precomputed
 * @usable: false if the peer's key is a point of low order; no handshake can succeed then */
struct sp_wg_noise_peer {
    const struct sp_wg_identity *identity;
    uint8_t key[SP_WG_KEY_LEN];
    uint8_t psk[SP_WG_KEY_LEN];
    uint8_t static_static[SP_WG_KEY_LEN];
    bool usable;
};

/** struct sp_wg_noise_state - transcript between the two messages (secret)
 * @ephemeral: initiator: our private e; responder: the initiator's public e */
struct sp_wg_noise_state {
    uint8_t chain[SP_WG_HASH_LEN];
    uint8_t hash[SP_WG_HASH_LEN];
    uint8_t ephemeral[SP_WG_KEY_LEN];
};

/** struct sp_wg_noise_keys - transport keys as the caller uses them (secret) */
struct sp_wg_noise_keys {
    uint8_t send[SP_WG_KEY_LEN];
    uint8_t recv[SP_WG_KEY_LEN];
};

void sp_wg_noise_peer_init(struct sp_wg_noise_peer *peer,
                           const struct sp_wg_identity *id,
                           const uint8_t key[SP_WG_KEY_LEN],
                           const uint8_t psk[SP_WG_KEY_LEN]);

/** sp_wg_noise_create_initiation() - all of @msg but the macs, which become zero */
SP_MUST_CHECK int sp_wg_noise_create_initiation(const struct sp_wg_noise_peer *peer,
                                                const struct sp_rng *rng,
                                                uint32_t sender,
                                                const uint8_t timestamp[SP_WG_TIMESTAMP_LEN],
                                                struct sp_wg_noise_state *ret_state,
                                                uint8_t msg[SP_WG_INITIATION_LEN]);
/** sp_wg_noise_consume_initiation() - Returns: 0, or SP_E_UNAUTH also for another peer's static */
SP_MUST_CHECK int sp_wg_noise_consume_initiation(const struct sp_wg_noise_peer *peer,
                                                 const uint8_t msg[SP_WG_INITIATION_LEN],
                                                 struct sp_wg_noise_state *ret_state,
                                                 uint8_t ret_timestamp[SP_WG_TIMESTAMP_LEN]);
SP_MUST_CHECK int sp_wg_noise_create_response(const struct sp_wg_noise_peer *peer,
                                              const struct sp_rng *rng,
                                              uint32_t sender,
                                              uint32_t receiver,
                                              const struct sp_wg_noise_state *state,
                                              struct sp_wg_noise_keys *ret_keys,
                                              uint8_t msg[SP_WG_RESPONSE_LEN]);
SP_MUST_CHECK int sp_wg_noise_consume_response(const struct sp_wg_noise_peer *peer,
                                               const struct sp_wg_noise_state *state,
                                               const uint8_t msg[SP_WG_RESPONSE_LEN],
                                               struct sp_wg_noise_keys *ret_keys);
