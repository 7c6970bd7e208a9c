/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/base/drop.h"

const char *
sp_drop_name(enum sp_drop reason)
{
    static const char *const names[_SP_DROP_MAX] = {
        [SP_DROP_NOT_ALLOWED] = "not-allowed",
        [SP_DROP_EXPIRED_NAT_SESSION] = "expired-nat-session",
        [SP_DROP_NOT_A_PEER] = "not-a-peer",
        [SP_DROP_NO_PEER_STATE] = "no-peer-state",
        [SP_DROP_NOT_CONNECTED] = "not-connected",
        [SP_DROP_OUTBOUND_ICMP_ERROR] = "outbound-icmp-error",
        [SP_DROP_NOT_TUNNEL_SOURCE_IP] = "not-tunnel-source-ip",
        [SP_DROP_PACKET_TO_SELF] = "packet-to-self",
        [SP_DROP_UNKNOWN_RESOURCE] = "unknown-resource",
        [SP_DROP_MULTICAST] = "multicast",
        [SP_DROP_MALFORMED_IP] = "malformed-ip",
        [SP_DROP_FRAGMENT] = "fragment",
        [SP_DROP_UNSUPPORTED] = "unsupported-protocol",
        [SP_DROP_FILTERED] = "filtered",
        [SP_DROP_NAT_EXHAUSTED] = "nat-exhausted",
        [SP_DROP_UNKNOWN_DATAGRAM] = "unknown-datagram",
        [SP_DROP_UNKNOWN_INDEX] = "unknown-index",
        [SP_DROP_UNKNOWN_UFRAG] = "unknown-ufrag",
        [SP_DROP_BAD_STUN] = "bad-stun",
        [SP_DROP_WG_UNAUTH] = "wg-unauthenticated",
        [SP_DROP_WG_REPLAY] = "wg-replay",
        [SP_DROP_WG_NO_SESSION] = "wg-no-session",
        [SP_DROP_WG_UNDER_LOAD] = "wg-under-load",
        [SP_DROP_QUEUE_FULL] = "queue-full",
        [SP_DROP_NO_MEMORY] = "no-memory",
        [SP_DROP_BAD_CONTROL] = "bad-control",
        [SP_DROP_BAD_DNS] = "bad-dns",
        [SP_DROP_BAD_PORTAL_MESSAGE] = "bad-portal-message",
        [SP_DROP_OTHER] = "other",
    };

    return (unsigned)reason < _SP_DROP_MAX ? names[reason] : "?";
}
