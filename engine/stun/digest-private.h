/* SPDX-License-Identifier: Apache-2.0 */
/* The two checksums inside a STUN message, over its first @end bytes as if the length field said
 * @length. Used by parser and builder only. */
#pragma once

#include "engine/stun/stun.h"

#define SP_STUN_ATTR_HEADER_LEN      4
#define SP_STUN_INTEGRITY_ATTR_LEN   24
#define SP_STUN_FINGERPRINT_ATTR_LEN 8
#define SP_STUN_FINGERPRINT_XOR      0x5354554eu

/** sp_stun_digest_integrity() - HMAC-SHA1 with the length ending behind MESSAGE-INTEGRITY */
void sp_stun_digest_integrity(const uint8_t *msg,
                              size_t end,
                              struct sp_span key,
                              uint8_t ret_mac[SP_STUN_INTEGRITY_LEN]);
/** sp_stun_digest_fingerprint() - CRC-32 with the length ending behind FINGERPRINT */
uint32_t sp_stun_digest_fingerprint(const uint8_t *msg, size_t end);
