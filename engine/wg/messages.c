/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/wg/messages.h"

#include "engine/base/rd.h"

_Static_assert(SP_WG_INITIATION_LEN == 148, "type 1");
_Static_assert(SP_WG_RESPONSE_LEN == 92, "type 2");
_Static_assert(SP_WG_COOKIE_REPLY_LEN == 64, "type 3");
_Static_assert(SP_WG_KEEPALIVE_LEN == SP_WG_OVERHEAD, "type 4");

enum sp_wg_kind
sp_wg_classify(struct sp_span datagram)
{
    if (datagram.n < SP_WG_KEEPALIVE_LEN)
        return SP_WG_NONE;
    switch (sp_get_le32(datagram.p)) {
    case SP_WG_INITIATION:
        return datagram.n == SP_WG_INITIATION_LEN ? SP_WG_INITIATION : SP_WG_NONE;
    case SP_WG_RESPONSE:
        return datagram.n == SP_WG_RESPONSE_LEN ? SP_WG_RESPONSE : SP_WG_NONE;
    case SP_WG_COOKIE:
        return datagram.n == SP_WG_COOKIE_REPLY_LEN ? SP_WG_COOKIE : SP_WG_NONE;
    case SP_WG_DATA:
        return SP_WG_DATA;
    default:
        return SP_WG_NONE;
    }
}

uint32_t
sp_wg_receiver_index(struct sp_span datagram)
{
    switch (sp_wg_classify(datagram)) {
    case SP_WG_RESPONSE:
        return sp_get_le32(datagram.p + SP_WG_RESP_RECEIVER);
    case SP_WG_COOKIE:
        return sp_get_le32(datagram.p + SP_WG_COOK_RECEIVER);
    case SP_WG_DATA:
        return sp_get_le32(datagram.p + SP_WG_DATA_RECEIVER);
    case SP_WG_NONE:
    case SP_WG_INITIATION:
        break;
    }
    return 0;
}
