/* SPDX-License-Identifier: Apache-2.0 */
/* From the private network to a client. Source: spec tunnel B.6, B.8. */
#include "engine/base/err.h"
#include "engine/gateway/gateway-private.h"
#include "engine/ip/icmp.h"
#include "engine/ip/ranges.h"

/* NAT stage. Returns the reason to drop, or _SP_DROP_MAX to go on. */
static enum sp_drop
translate(struct gw_peer *peer, struct sp_pkt *pkt, struct sp_ip_view *v, sp_time now)
{
    int r = sp_nat_gw_incoming(&peer->nat, pkt, v, now);

    if (r == SP_NAT_EXPIRED)
        return SP_DROP_EXPIRED_NAT_SESSION;
    if (r < 0)
        return SP_DROP_UNSUPPORTED;
    return _SP_DROP_MAX;
}

/* Steps 4 to 7. */
static enum sp_drop
check(struct gw_peer *peer, const struct sp_ip_view *v)
{
    if (!sp_ip_equal(&v->dst, v->version == 4 ? &peer->ipv4 : &peer->ipv6))
        return SP_DROP_NOT_A_PEER;
    if (sp_range_has(&sp_range_peer, &v->src))
        return SP_DROP_NOT_ALLOWED;
    if (sp_icmp_is_error_type(v))
        return _SP_DROP_MAX;
    /* The reply's source port is the one the filter was written for. */
    return gw_classify(peer, &v->src, v->src_proto) == GW_CLASS_ALLOWED ? _SP_DROP_MAX
                                                                        : SP_DROP_NOT_ALLOWED;
}

void
gw_downlink(struct sp_gw *gw, struct sp_pkt *pkt, sp_time now)
{
    struct sp_ip_view v;
    struct gw_peer *peer;
    enum sp_drop reason = _SP_DROP_MAX;
    int r = sp_packet_parse(sp_pkt_data(pkt), pkt->len, &v);

    if (r != 0) {
        gw_drop(gw, pkt, r == SP_PACKET_FRAGMENT ? SP_DROP_FRAGMENT : SP_DROP_MALFORMED_IP);
        return;
    }
    pkt->ecn = v.ecn;
    if (!sp_range_has(&sp_range_peer, &v.dst)) {
        gw_drop(gw, pkt, SP_DROP_NOT_A_PEER);
        return;
    }
    peer = gw_peer_by_ip(gw, &v.dst);
    if (peer == NULL) {
        gw_drop(gw, pkt, SP_DROP_NO_PEER_STATE);
        return;
    }
    if (!gw_is_own_ip(gw, &v.src)) {
        reason = translate(peer, pkt, &v, now);
        if (reason == _SP_DROP_MAX)
            reason = check(peer, &v);
    }
    if (reason == _SP_DROP_MAX)
        gw_send(gw, peer, pkt, now);
    else
        gw_drop(gw, pkt, reason);
}
