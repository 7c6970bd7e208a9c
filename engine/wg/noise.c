/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/wg/noise-private.h"

#include <string.h>

#include "engine/base/rd.h"
#include "engine/base/wr.h"
#include "engine/crypto/aead.h"
#include "engine/crypto/blake2s.h"
#include "engine/crypto/mem.h"
#include "engine/crypto/x25519.h"

static const char construction[] = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
static const char identifier[] = "WireGuard v1 zx2c4 Jason@zx2c4.com";

static void
mix_hash(struct sp_wg_noise_state *s, const void *p, size_t n)
{
    struct sp_blake2s b;

    sp_blake2s_init(&b, SP_WG_HASH_LEN, sp_span(NULL, 0));
    sp_blake2s_update(&b, s->hash, sizeof s->hash);
    sp_blake2s_update(&b, p, n);
    sp_blake2s_final(&b, s->hash);
}

static void
mix_key(struct sp_wg_noise_state *s, const uint8_t input[SP_WG_KEY_LEN], uint8_t *ret_key)
{
    sp_noise_kdf(s->chain, sp_span(input, SP_WG_KEY_LEN), s->chain, ret_key, NULL);
}

static int
mix_dh(struct sp_wg_noise_state *s,
       const uint8_t private_key[SP_WG_KEY_LEN],
       const uint8_t public_key[SP_WG_KEY_LEN],
       uint8_t *ret_key)
{
    uint8_t shared[SP_WG_KEY_LEN];

    if (sp_x25519(shared, private_key, public_key) < 0)
        return SP_E_UNAUTH;
    mix_key(s, shared, ret_key);
    sp_wipe(shared, sizeof shared);
    return 0;
}

/* WireGuard mixes an unencrypted ephemeral into both the hash and the chain. */
static void
mix_ephemeral(struct sp_wg_noise_state *s, const uint8_t public_key[SP_WG_KEY_LEN])
{
    mix_hash(s, public_key, SP_WG_KEY_LEN);
    mix_key(s, public_key, NULL);
}

static void
mix_psk(struct sp_wg_noise_state *s, const uint8_t psk[SP_WG_KEY_LEN], uint8_t key[SP_WG_KEY_LEN])
{
    uint8_t tau[SP_WG_HASH_LEN];

    sp_noise_kdf(s->chain, sp_span(psk, SP_WG_KEY_LEN), s->chain, tau, key);
    mix_hash(s, tau, sizeof tau);
    sp_wipe(tau, sizeof tau);
}

static void
seal_and_hash(struct sp_wg_noise_state *s,
              const uint8_t key[SP_WG_KEY_LEN],
              struct sp_span plain,
              uint8_t *out)
{
    sp_aead_seal(out, key, 0, sp_span(s->hash, sizeof s->hash), plain);
    mix_hash(s, out, plain.n + SP_WG_TAG_LEN);
}

static int
open_and_hash(struct sp_wg_noise_state *s,
              const uint8_t key[SP_WG_KEY_LEN],
              struct sp_span sealed,
              uint8_t *out)
{
    if (sp_aead_open(out, key, 0, sp_span(s->hash, sizeof s->hash), sealed) < 0)
        return SP_E_UNAUTH;
    mix_hash(s, sealed.p, sealed.n);
    return 0;
}

static void
start(struct sp_wg_noise_state *s, const uint8_t responder_key[SP_WG_KEY_LEN])
{
    sp_blake2s(s->chain,
               SP_WG_HASH_LEN,
               sp_span(NULL, 0),
               sp_span(construction, sizeof construction - 1));
    memcpy(s->hash, s->chain, sizeof s->hash);
    mix_hash(s, identifier, sizeof identifier - 1);
    mix_hash(s, responder_key, SP_WG_KEY_LEN);
}

static void
split(const struct sp_wg_noise_state *s, bool initiator, struct sp_wg_noise_keys *keys)
{
    sp_noise_kdf(s->chain,
                 sp_span(NULL, 0),
                 initiator ? keys->send : keys->recv,
                 initiator ? keys->recv : keys->send,
                 NULL);
}

void
sp_wg_noise_peer_init(struct sp_wg_noise_peer *peer,
                      const struct sp_wg_identity *id,
                      const uint8_t key[SP_WG_KEY_LEN],
                      const uint8_t psk[SP_WG_KEY_LEN])
{
    *peer = (struct sp_wg_noise_peer){ .identity = id };
    memcpy(peer->key, key, SP_WG_KEY_LEN);
    memcpy(peer->psk, psk, SP_WG_KEY_LEN);
    peer->usable = sp_x25519(peer->static_static, id->private, key) == 0;
}

/* -> e, es, s, ss, {timestamp} */
static int
write_initiation(const struct sp_wg_noise_peer *peer,
                 const uint8_t timestamp[SP_WG_TIMESTAMP_LEN],
                 struct sp_wg_noise_state *s,
                 uint8_t key[SP_WG_KEY_LEN],
                 uint8_t msg[SP_WG_INITIATION_LEN])
{
    start(s, peer->key);
    sp_x25519_public(msg + SP_WG_INIT_EPHEMERAL, s->ephemeral);
    mix_ephemeral(s, msg + SP_WG_INIT_EPHEMERAL);
    if (!peer->usable || mix_dh(s, s->ephemeral, peer->key, key) < 0)
        return SP_E_UNAUTH;
    seal_and_hash(s, key, sp_span(peer->identity->public, SP_WG_KEY_LEN), msg + SP_WG_INIT_STATIC);
    mix_key(s, peer->static_static, key);
    seal_and_hash(s, key, sp_span(timestamp, SP_WG_TIMESTAMP_LEN), msg + SP_WG_INIT_TIMESTAMP);
    return 0;
}

int
sp_wg_noise_create_initiation(const struct sp_wg_noise_peer *peer,
                              const struct sp_rng *rng,
                              uint32_t sender,
                              const uint8_t timestamp[SP_WG_TIMESTAMP_LEN],
                              struct sp_wg_noise_state *ret_state,
                              uint8_t msg[SP_WG_INITIATION_LEN])
{
    uint8_t key[SP_WG_KEY_LEN];
    int r;

    memset(msg, 0, SP_WG_INITIATION_LEN);
    msg[0] = SP_WG_INITIATION;
    sp_put_le32(msg + SP_WG_INIT_SENDER, sender);
    sp_x25519_generate(ret_state->ephemeral, rng);
    r = write_initiation(peer, timestamp, ret_state, key, msg);
    sp_wipe(key, sizeof key);
    return r;
}

/* The part that needs no knowledge of the peer: e, es, s. */
static int
read_initiator(const struct sp_wg_identity *id,
               const uint8_t *msg,
               struct sp_wg_noise_state *s,
               uint8_t ret_static[SP_WG_KEY_LEN])
{
    uint8_t key[SP_WG_KEY_LEN];
    int r;

    start(s, id->public);
    memcpy(s->ephemeral, msg + SP_WG_INIT_EPHEMERAL, SP_WG_KEY_LEN);
    mix_ephemeral(s, s->ephemeral);
    r = mix_dh(s, id->private, s->ephemeral, key);
    if (r == 0)
        r = open_and_hash(s,
                          key,
                          sp_span(msg + SP_WG_INIT_STATIC, SP_WG_KEY_LEN + SP_WG_TAG_LEN),
                          ret_static);
    sp_wipe(key, sizeof key);
    return r;
}

int
sp_wg_peek_initiation(const struct sp_wg_identity *id,
                      struct sp_span msg,
                      uint8_t ret_static[SP_WG_KEY_LEN])
{
    struct sp_wg_noise_state s;
    uint8_t key[SP_WG_KEY_LEN];
    int r;

    if (sp_wg_classify(msg) != SP_WG_INITIATION)
        return SP_E_MALFORMED;
    r = read_initiator(id, msg.p, &s, key);
    if (r == 0)
        memcpy(ret_static, key, sizeof key);
    sp_wipe(&s, sizeof s);
    return r;
}

int
sp_wg_noise_consume_initiation(const struct sp_wg_noise_peer *peer,
                               const uint8_t msg[SP_WG_INITIATION_LEN],
                               struct sp_wg_noise_state *ret_state,
                               uint8_t ret_timestamp[SP_WG_TIMESTAMP_LEN])
{
    uint8_t key[SP_WG_KEY_LEN];
    int r;

    r = read_initiator(peer->identity, msg, ret_state, key);
    if (r < 0 || !peer->usable || !sp_equal_ct(key, peer->key, sizeof key))
        return SP_E_UNAUTH;
    mix_key(ret_state, peer->static_static, key);
    r = open_and_hash(ret_state,
                      key,
                      sp_span(msg + SP_WG_INIT_TIMESTAMP, SP_WG_TIMESTAMP_LEN + SP_WG_TAG_LEN),
                      ret_timestamp);
    sp_wipe(key, sizeof key);
    return r;
}

/* <- e, ee, se, psk, {} */
static int
write_response(const struct sp_wg_noise_peer *peer,
               const uint8_t ephemeral[SP_WG_KEY_LEN],
               struct sp_wg_noise_state *s,
               uint8_t key[SP_WG_KEY_LEN],
               uint8_t msg[SP_WG_RESPONSE_LEN])
{
    sp_x25519_public(msg + SP_WG_RESP_EPHEMERAL, ephemeral);
    mix_ephemeral(s, msg + SP_WG_RESP_EPHEMERAL);
    if (mix_dh(s, ephemeral, s->ephemeral, NULL) < 0 || mix_dh(s, ephemeral, peer->key, NULL) < 0)
        return SP_E_UNAUTH;
    mix_psk(s, peer->psk, key);
    seal_and_hash(s, key, sp_span(NULL, 0), msg + SP_WG_RESP_EMPTY);
    return 0;
}

int
sp_wg_noise_create_response(const struct sp_wg_noise_peer *peer,
                            const struct sp_rng *rng,
                            uint32_t sender,
                            uint32_t receiver,
                            const struct sp_wg_noise_state *state,
                            struct sp_wg_noise_keys *ret_keys,
                            uint8_t msg[SP_WG_RESPONSE_LEN])
{
    struct sp_wg_noise_state s = *state;
    uint8_t ephemeral[SP_WG_KEY_LEN], key[SP_WG_KEY_LEN];
    int r;

    memset(msg, 0, SP_WG_RESPONSE_LEN);
    msg[0] = SP_WG_RESPONSE;
    sp_put_le32(msg + SP_WG_RESP_SENDER, sender);
    sp_put_le32(msg + SP_WG_RESP_RECEIVER, receiver);
    sp_x25519_generate(ephemeral, rng);
    r = write_response(peer, ephemeral, &s, key, msg);
    if (r == 0)
        split(&s, false, ret_keys);
    sp_wipe(ephemeral, sizeof ephemeral);
    sp_wipe(key, sizeof key);
    sp_wipe(&s, sizeof s);
    return r;
}

static int
read_response(const struct sp_wg_noise_peer *peer,
              struct sp_wg_noise_state *s,
              const uint8_t msg[SP_WG_RESPONSE_LEN],
              uint8_t key[SP_WG_KEY_LEN])
{
    const uint8_t *e = msg + SP_WG_RESP_EPHEMERAL;
    uint8_t nothing[1];

    mix_ephemeral(s, e);
    if (mix_dh(s, s->ephemeral, e, NULL) < 0 || mix_dh(s, peer->identity->private, e, NULL) < 0)
        return SP_E_UNAUTH;
    mix_psk(s, peer->psk, key);
    return open_and_hash(s, key, sp_span(msg + SP_WG_RESP_EMPTY, SP_WG_TAG_LEN), nothing);
}

int
sp_wg_noise_consume_response(const struct sp_wg_noise_peer *peer,
                             const struct sp_wg_noise_state *state,
                             const uint8_t msg[SP_WG_RESPONSE_LEN],
                             struct sp_wg_noise_keys *ret_keys)
{
    struct sp_wg_noise_state s = *state;
    uint8_t key[SP_WG_KEY_LEN];
    int r;

    r = read_response(peer, &s, msg, key);
    if (r == 0)
        split(&s, true, ret_keys);
    sp_wipe(key, sizeof key);
    sp_wipe(&s, sizeof s);
    return r;
}
