/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/stun/channeldata.h"

#include "engine/base/rd.h"
#include "engine/base/wr.h"

int
sp_channeldata_parse_padded(struct sp_span bytes,
                            uint16_t *ret_channel,
                            struct sp_span *ret_payload)
{
    uint16_t channel, n;

    if (bytes.n < SP_CHANNEL_HEADER_LEN)
        return SP_E_MALFORMED;
    channel = sp_get_be16(bytes.p);
    if (channel < SP_CHANNEL_FIRST || channel > SP_CHANNEL_LAST)
        return SP_E_MALFORMED;
    n = sp_get_be16(bytes.p + 2);
    if (n > bytes.n - SP_CHANNEL_HEADER_LEN)
        return SP_E_MALFORMED;
    *ret_channel = channel;
    *ret_payload = sp_span(bytes.p + SP_CHANNEL_HEADER_LEN, n);
    return 0;
}

int
sp_channeldata_parse(struct sp_span bytes, uint16_t *ret_channel, struct sp_span *ret_payload)
{
    struct sp_span payload;
    uint16_t channel;

    if (sp_channeldata_parse_padded(bytes, &channel, &payload) < 0
        || payload.n != bytes.n - SP_CHANNEL_HEADER_LEN)
        return SP_E_MALFORMED;
    *ret_channel = channel;
    *ret_payload = payload;
    return 0;
}

void
sp_channeldata_write_header(uint8_t out[SP_CHANNEL_HEADER_LEN],
                            uint16_t channel,
                            uint16_t payload_len)
{
    sp_put_be16(out, channel);
    sp_put_be16(out + 2, payload_len);
}
