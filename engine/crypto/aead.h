/* SPDX-License-Identifier: Apache-2.0 */
/* ChaCha20-Poly1305 (RFC 8439) with the 64-bit little-endian counter nonce of Noise,
 * XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha), and the batch interface for the packet path. */
#pragma once

#include "engine/base/span.h"

enum {
    SP_AEAD_KEY_LEN = 32,
    SP_AEAD_TAG_LEN = 16,
    SP_XAEAD_NONCE_LEN = 24,
};

/** sp_aead_seal() - @ret_out gets plaintext length + 16 bytes; it may be the plaintext itself */
void sp_aead_seal(uint8_t *ret_out,
                  const uint8_t key[SP_AEAD_KEY_LEN],
                  uint64_t counter,
                  struct sp_span ad,
                  struct sp_span plain);
/** sp_aead_open() - @sealed includes the tag; @ret_out gets 16 bytes less and may be @sealed.
 * Returns: 0; SP_E_UNAUTH; SP_E_MALFORMED shorter than a tag. On error @ret_out is undefined. */
SP_MUST_CHECK int sp_aead_open(uint8_t *ret_out,
                               const uint8_t key[SP_AEAD_KEY_LEN],
                               uint64_t counter,
                               struct sp_span ad,
                               struct sp_span sealed);

void sp_xaead_seal(uint8_t *ret_out,
                   const uint8_t key[SP_AEAD_KEY_LEN],
                   const uint8_t nonce[SP_XAEAD_NONCE_LEN],
                   struct sp_span ad,
                   struct sp_span plain);
SP_MUST_CHECK int sp_xaead_open(uint8_t *ret_out,
                                const uint8_t key[SP_AEAD_KEY_LEN],
                                const uint8_t nonce[SP_XAEAD_NONCE_LEN],
                                struct sp_span ad,
                                struct sp_span sealed);

/** struct sp_aead_item - one packet of a batch, worked on in place, no associated data
 * @data: seal: @len bytes of plaintext with room for 16 more behind; open: @len includes the tag
 * @counter: seal: set by the call; open: from the packet
 * @ok: open: set by the call; @data is undefined when false */
struct sp_aead_item {
    uint8_t *data;
    size_t len;
    uint64_t counter;
    bool ok;
};

/** struct sp_aead_backend - an implementation of the batch calls; stateless, usable by any thread */
struct sp_aead_backend {
    const char *name;
    void (*seal)(const uint8_t key[SP_AEAD_KEY_LEN], struct sp_aead_item *items, size_t n);
    void (*open)(const uint8_t key[SP_AEAD_KEY_LEN], struct sp_aead_item *items, size_t n);
};

/** sp_aead_libsodium() - the portable backend, always there */
const struct sp_aead_backend *sp_aead_libsodium(void);

/** sp_aead_seal_batch() - same key, counters @first, @first + 1, ...; NULL @be is libsodium */
void sp_aead_seal_batch(const struct sp_aead_backend *be,
                        const uint8_t key[SP_AEAD_KEY_LEN],
                        uint64_t first,
                        struct sp_aead_item *items,
                        size_t n);
/** sp_aead_open_batch() - same key. Returns: how many items are ok */
size_t sp_aead_open_batch(const struct sp_aead_backend *be,
                          const uint8_t key[SP_AEAD_KEY_LEN],
                          struct sp_aead_item *items,
                          size_t n);
