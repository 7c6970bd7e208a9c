/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/crypto/aead.h"

#include <sodium.h>

#include "engine/base/err.h"
#include "engine/base/wr.h"

enum {
    NONCE_LEN = crypto_aead_chacha20poly1305_ietf_NPUBBYTES,
    NONCE_COUNTER = NONCE_LEN - 8,
};

_Static_assert(SP_AEAD_TAG_LEN == crypto_aead_chacha20poly1305_ietf_ABYTES, "tag");
_Static_assert(SP_AEAD_KEY_LEN == crypto_aead_chacha20poly1305_ietf_KEYBYTES, "key");
_Static_assert(SP_XAEAD_NONCE_LEN == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "nonce");

void
sp_aead_seal(uint8_t *ret_out,
             const uint8_t key[SP_AEAD_KEY_LEN],
             uint64_t counter,
             struct sp_span ad,
             struct sp_span plain)
{
    uint8_t nonce[NONCE_LEN] = { 0 };

    sp_put_le64(nonce + NONCE_COUNTER, counter);
    (void)crypto_aead_chacha20poly1305_ietf_encrypt(ret_out,
                                                    NULL,
                                                    plain.p,
                                                    plain.n,
                                                    ad.p,
                                                    ad.n,
                                                    NULL,
                                                    nonce,
                                                    key);
}

int
sp_aead_open(uint8_t *ret_out,
             const uint8_t key[SP_AEAD_KEY_LEN],
             uint64_t counter,
             struct sp_span ad,
             struct sp_span sealed)
{
    uint8_t nonce[NONCE_LEN] = { 0 };

    if (sealed.n < SP_AEAD_TAG_LEN)
        return SP_E_MALFORMED;
    sp_put_le64(nonce + NONCE_COUNTER, counter);
    if (crypto_aead_chacha20poly1305_ietf_decrypt(ret_out,
                                                  NULL,
                                                  NULL,
                                                  sealed.p,
                                                  sealed.n,
                                                  ad.p,
                                                  ad.n,
                                                  nonce,
                                                  key)
        != 0)
        return SP_E_UNAUTH;
    return 0;
}

void
sp_xaead_seal(uint8_t *ret_out,
              const uint8_t key[SP_AEAD_KEY_LEN],
              const uint8_t nonce[SP_XAEAD_NONCE_LEN],
              struct sp_span ad,
              struct sp_span plain)
{
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(ret_out,
                                                     NULL,
                                                     plain.p,
                                                     plain.n,
                                                     ad.p,
                                                     ad.n,
                                                     NULL,
                                                     nonce,
                                                     key);
}

int
sp_xaead_open(uint8_t *ret_out,
              const uint8_t key[SP_AEAD_KEY_LEN],
              const uint8_t nonce[SP_XAEAD_NONCE_LEN],
              struct sp_span ad,
              struct sp_span sealed)
{
    if (sealed.n < SP_AEAD_TAG_LEN)
        return SP_E_MALFORMED;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(ret_out,
                                                   NULL,
                                                   NULL,
                                                   sealed.p,
                                                   sealed.n,
                                                   ad.p,
                                                   ad.n,
                                                   nonce,
                                                   key)
        != 0)
        return SP_E_UNAUTH;
    return 0;
}

static void
sodium_seal(const uint8_t key[SP_AEAD_KEY_LEN], struct sp_aead_item *items, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct sp_aead_item *it = &items[i];

        sp_aead_seal(it->data, key, it->counter, sp_span(NULL, 0), sp_span(it->data, it->len));
    }
}

static void
sodium_open(const uint8_t key[SP_AEAD_KEY_LEN], struct sp_aead_item *items, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct sp_aead_item *it = &items[i];

        it->ok =
            sp_aead_open(it->data, key, it->counter, sp_span(NULL, 0), sp_span(it->data, it->len))
            == 0;
    }
}

const struct sp_aead_backend *
sp_aead_libsodium(void)
{
    static const struct sp_aead_backend backend = {
        .name = "libsodium",
        .seal = sodium_seal,
        .open = sodium_open,
    };

    return &backend;
}

void
sp_aead_seal_batch(const struct sp_aead_backend *be,
                   const uint8_t key[SP_AEAD_KEY_LEN],
                   uint64_t first,
                   struct sp_aead_item *items,
                   size_t n)
{
    for (size_t i = 0; i < n; i++)
        items[i].counter = first + i;
    (be ? be : sp_aead_libsodium())->seal(key, items, n);
}

size_t
sp_aead_open_batch(const struct sp_aead_backend *be,
                   const uint8_t key[SP_AEAD_KEY_LEN],
                   struct sp_aead_item *items,
                   size_t n)
{
    size_t good = 0;

    (be ? be : sp_aead_libsodium())->open(key, items, n);
    for (size_t i = 0; i < n; i++)
        good += items[i].ok;
    return good;
}
