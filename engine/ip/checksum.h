/* SPDX-License-Identifier: Apache-2.0 */
/* Internet checksum, whole and incremental. Sources: RFC 1071, RFC 1624 equation 3; spec tunnel
 * 0.2: a result of 0 is written as 0xffff everywhere. Thread: any. I/O: none. */
#pragma once

#include "engine/base/addr.h"

/** sp_csum_add() - add @n bytes to a running sum; only the last part may have odd length */
uint64_t sp_csum_add(uint64_t sum, const uint8_t *p, size_t n);
/** sp_csum_fold() - running sum to 16 bits, not complemented */
uint16_t sp_csum_fold(uint64_t sum);
/** sp_csum_finish() - fold, complement, 0 becomes 0xffff */
uint16_t sp_csum_finish(uint64_t sum);
/** sp_csum_pseudo() - running sum of the pseudo header (RFC 793, RFC 8200 section 8.1) */
uint64_t sp_csum_pseudo(const struct sp_ip *src, const struct sp_ip *dst, uint8_t proto, size_t n);
/** sp_csum_update() - checksum after @n bytes (even) changed from @from to @to */
uint16_t sp_csum_update(uint16_t csum, const uint8_t *from, const uint8_t *to, size_t n);
/** sp_csum_update16() - the same for one 16-bit word in host order */
uint16_t sp_csum_update16(uint16_t csum, uint16_t from, uint16_t to);
