/* SPDX-License-Identifier: Apache-2.0 */
/* From a gateway to the TUN device. Source: spec tunnel A.10, A.11 (ICMP prohibited). */
#include "engine/base/err.h"
#include "engine/client/client-private.h"
#include "engine/control/control.h"
#include "engine/ip/icmp.h"

static void
handle_control(struct sp_client *c,
               const struct sp_uuid *peer,
               struct sp_pkt *pkt,
               const struct sp_ip_view *v,
               sp_time now)
{
    struct sp_control_event ev;
    int r = sp_control_parse(sp_pkt_data(pkt), v, &ev);

    if (r < 0) {
        SP_DEBUG(c->cfg.log, CLIENT, "control event ignored: %s", sp_strerror(r));
        client_drop(c, pkt, SP_DROP_BAD_CONTROL);
        return;
    }
    sp_pkt_free(pkt);
    switch (ev.type) {
    case SP_CONTROL_DOMAIN_STATUS:
        client_dns_handle_status(c, peer, &ev.resource, ev.domain, ev.active, now);
        break;
    case SP_CONTROL_GOODBYE:
        SP_INFO(c->cfg.log, CLIENT, "a gateway said goodbye");
        (void)sp_node_remove(c->node, peer, now);
        client_peer_lost(c, peer, now);
        break;
    case SP_CONTROL_ASSIGNED_IPS: /* for gateways only */
        sp_drops_add(&c->drops, SP_DROP_BAD_CONTROL);
        break;
    }
}

/* The gateway refuses what we think is allowed: our authorization is stale, ask again (A.11). */
static void
reauthorize_on_prohibited(struct sp_client *c,
                          const struct sp_pkt *pkt,
                          const struct sp_ip_view *v,
                          sp_time now)
{
    struct sp_icmp_error err;
    const struct sp_route *route;
    const struct client_resource *internet = client_internet(c);

    if (!sp_icmp_is_error_type(v)
        || sp_icmp_error_parse(pkt->buf + pkt->off, v, &err) != SP_ICMP_IS_ERROR
        || !sp_icmp_is_prohibited(&err))
        return;
    route = sp_route_table_lookup(&c->dns_routes, &err.dst, err.dst_proto);
    if (route == NULL)
        route = sp_route_table_lookup(&c->cidr_routes, &err.dst, err.dst_proto);
    if (route)
        client_request(c, &route->resource, NULL, now);
    else if (internet)
        client_request(c, &internet->r.id, NULL, now);
}

void
client_inbound(struct sp_client *c, const struct sp_uuid *id, struct sp_pkt *pkt, sp_time now)
{
    struct client_peer *peer = client_peer_find(c, id);
    struct sp_ip_view v;
    int r = sp_packet_parse(sp_pkt_data(pkt), pkt->len, &v);

    if (r != 0) {
        client_drop(c, pkt, r == SP_PACKET_FRAGMENT ? SP_DROP_FRAGMENT : SP_DROP_MALFORMED_IP);
        return;
    }
    if (peer == NULL) {
        client_drop(c, pkt, SP_DROP_NO_PEER_STATE);
        return;
    }
    if (client_dns_tunnel_inbound(c, pkt, &v, now)) {
        reauthorize_on_prohibited(c, pkt, &v, now);
        sp_pkt_free(pkt);
        return;
    }
    if (sp_control_is(&v)) {
        handle_control(c, id, pkt, &v, now);
        return;
    }
    if (!client_peer_may_send_from(peer, &v.src)) {
        client_drop(c, pkt, SP_DROP_NOT_ALLOWED);
        return;
    }
    peer->used = now;
    reauthorize_on_prohibited(c, pkt, &v, now);
    client_to_tun(c, pkt);
}
