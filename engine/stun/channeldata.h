/* SPDX-License-Identifier: Apache-2.0 */
/* TURN channel data framing over UDP: u16 channel, u16 length, payload, no padding.
 * Sources: RFC 8656 section 12; spec connectivity 1.3 and 2.7. Thread: any. I/O: none. */
#pragma once

#include "engine/base/err.h"
#include "engine/base/span.h"

#define SP_CHANNEL_HEADER_LEN 4
#define SP_CHANNEL_FIRST      0x4000 /* lowest number of the wire format */
#define SP_CHANNEL_LAST       0x7fff /* highest one accepted when parsing */
#define SP_CHANNEL_ALLOC_LAST 0x4fff /* highest one we hand out (RFC 8656) */

/** sp_channeldata_parse() - the length field must be exactly the rest.
 * @ret_payload: view into @bytes. Returns: 0 or SP_E_MALFORMED */
SP_MUST_CHECK int sp_channeldata_parse(struct sp_span bytes,
                                       uint16_t *ret_channel,
                                       struct sp_span *ret_payload);

/** sp_channeldata_parse_padded() - as a server: bytes behind the payload are padding and left out.
 * Returns: 0 or SP_E_MALFORMED */
SP_MUST_CHECK int sp_channeldata_parse_padded(struct sp_span bytes,
                                              uint16_t *ret_channel,
                                              struct sp_span *ret_payload);

/** sp_channeldata_write_header() - the 4 bytes in front of a payload of @payload_len bytes */
void sp_channeldata_write_header(uint8_t out[SP_CHANNEL_HEADER_LEN],
                                 uint16_t channel,
                                 uint16_t payload_len);
