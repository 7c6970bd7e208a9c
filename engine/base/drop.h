/* SPDX-License-Identifier: Apache-2.0 */
/* Named reasons why a packet was not delivered; each has a counter that status output shows. */
#pragma once

#include "engine/base/defs.h"

enum sp_drop {
    SP_DROP_NOT_ALLOWED,          /* source or destination not covered by an authorization */
    SP_DROP_EXPIRED_NAT_SESSION,  /* inbound packet of a NAT session that timed out */
    SP_DROP_NOT_A_PEER,           /* gateway: destination outside the peer range */
    SP_DROP_NO_PEER_STATE,        /* gateway: no such client */
    SP_DROP_NOT_CONNECTED,        /* no connection to the peer */
    SP_DROP_OUTBOUND_ICMP_ERROR,  /* gateway: ICMP error sent by a client */
    SP_DROP_NOT_TUNNEL_SOURCE_IP, /* client: source is not our tunnel address */
    SP_DROP_PACKET_TO_SELF,
    SP_DROP_UNKNOWN_RESOURCE,
    SP_DROP_MULTICAST,
    SP_DROP_MALFORMED_IP,     /* not a valid packet of at most SP_MTU bytes */
    SP_DROP_FRAGMENT,         /* IP fragment */
    SP_DROP_UNSUPPORTED,      /* protocol that the engine does not carry */
    SP_DROP_FILTERED,         /* a traffic filter said no */
    SP_DROP_NAT_EXHAUSTED,    /* no free outside port */
    SP_DROP_UNKNOWN_DATAGRAM, /* neither STUN nor WireGuard */
    SP_DROP_UNKNOWN_INDEX,    /* WireGuard receiver index or key of nobody */
    SP_DROP_UNKNOWN_UFRAG,    /* STUN request for nobody */
    SP_DROP_BAD_STUN,
    SP_DROP_WG_UNAUTH, /* mac1, AEAD or handshake failure */
    SP_DROP_WG_REPLAY,
    SP_DROP_WG_NO_SESSION,
    SP_DROP_WG_UNDER_LOAD,
    SP_DROP_QUEUE_FULL,  /* a bounded queue refused or overwrote */
    SP_DROP_NO_MEMORY,   /* packet pool empty */
    SP_DROP_BAD_CONTROL, /* undecodable in-tunnel control event */
    SP_DROP_BAD_DNS,
    SP_DROP_BAD_PORTAL_MESSAGE,
    SP_DROP_OTHER,
    _SP_DROP_MAX
};

struct sp_drops {
    uint64_t count[_SP_DROP_MAX];
};

static inline void
sp_drops_add(struct sp_drops *drops, enum sp_drop reason)
{
    drops->count[reason]++;
}

/** sp_drop_name() - kebab-case, stable, e.g. "expired-nat-session" */
const char *sp_drop_name(enum sp_drop reason);
