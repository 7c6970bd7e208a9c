/* SPDX-License-Identifier: Apache-2.0 */
/* From a client to the private network. Source: spec tunnel B.3 to B.5. */
#include "engine/base/err.h"
#include "engine/gateway/gateway-private.h"
#include "engine/ip/build.h"
#include "engine/ip/icmp.h"
#include "engine/ip/ranges.h"

/* Never reached through the Internet resource (B.4). */
static const struct sp_cidr internet_rejects[] = {
    { { 4, { 10 } }, 8 },         { { 4, { 172, 16 } }, 12 },
    { { 4, { 192, 168 } }, 16 },  { { 4, { 127 } }, 8 },
    { { 4, { 169, 254 } }, 16 },  { { 4, { 100, 64 } }, 10 },
    { { 4, { 224 } }, 4 },        { { 4, { 240 } }, 4 },
    { { 6, { [15] = 1 } }, 128 }, { { 6, { [10] = 0xff, [11] = 0xff } }, 96 },
    { { 6, { 0xfc } }, 7 },       { { 6, { 0xfe, 0x80 } }, 10 },
    { { 6, { 0xff } }, 8 },
};

static bool
has_internet(const struct gw_peer *peer)
{
    for (size_t i = 0; i < peer->n_resources; i++)
        if (peer->resources[i]->r.type == SP_RESOURCE_INTERNET)
            return true;
    return false;
}

enum gw_class
gw_classify(struct gw_peer *peer, const struct sp_ip *remote, struct sp_ip_proto proto)
{
    const struct sp_route *route;

    if (has_internet(peer) && !sp_range_has(&sp_range_proxy, remote)) {
        for (size_t i = 0; i < SP_ARRAY_SIZE(internet_rejects); i++)
            if (sp_cidr_contains(&internet_rejects[i], remote))
                return GW_CLASS_INTERNET_REJECTS;
        return GW_CLASS_ALLOWED;
    }
    route = sp_route_table_lookup(&peer->routes, remote, proto);
    if (route == NULL || sp_filter_check(route->filter, proto) != SP_FILTER_PERMITTED)
        return GW_CLASS_REFUSED;
    return GW_CLASS_ALLOWED;
}

/* Answer the client from the address it wanted to reach; takes @pkt. */
static void
refuse(struct sp_gw *gw,
       const struct gw_peer *peer,
       struct sp_pkt *pkt,
       const struct sp_ip_view *v,
       enum sp_icmp_reply kind,
       sp_time now)
{
    struct sp_pkt *out = sp_pkt_alloc(gw->cfg.pool);
    size_t len;

    if (out
        && sp_build_icmp_reply(sp_pkt_data(out), SP_MTU, kind, sp_pkt_data(pkt), v, &len) == 0) {
        out->len = (uint16_t)len;
        gw_send(gw, peer, out, now);
    } else {
        sp_pkt_free(out);
    }
    gw_drop(gw, pkt, SP_DROP_FILTERED);
}

/* Policy of B.3. Returns false when the packet was refused (and taken). */
static bool
policy(struct sp_gw *gw,
       struct gw_peer *peer,
       struct sp_pkt *pkt,
       const struct sp_ip_view *v,
       sp_time now)
{
    enum gw_class class;

    if (!sp_ip_equal(&v->src, v->version == 4 ? &peer->ipv4 : &peer->ipv6)) {
        refuse(gw, peer, pkt, v, SP_ICMP_REPLY_PROHIBITED, now);
        return false;
    }
    if (gw_is_own_ip(gw, &v->dst))
        return true;
    class = sp_range_has(&sp_range_peer, &v->dst) ? GW_CLASS_REFUSED
                                                  : gw_classify(peer, &v->dst, v->dst_proto);
    if (class == GW_CLASS_ALLOWED)
        return true;
    refuse(gw,
           peer,
           pkt,
           v,
           class == GW_CLASS_INTERNET_REJECTS ? SP_ICMP_REPLY_UNREACHABLE
                                              : SP_ICMP_REPLY_PROHIBITED,
           now);
    return false;
}

/* NAT stage of B.3. Takes @pkt. */
static void
translate(struct sp_gw *gw,
          struct gw_peer *peer,
          struct sp_pkt *pkt,
          struct sp_ip_view *v,
          sp_time now)
{
    const struct gw_translation *t;
    int r;

    if (gw_is_own_ip(gw, &v->dst) || !sp_range_has(&sp_range_proxy, &v->dst)) {
        gw_to_tun(gw, pkt);
        return;
    }
    t = sp_map_get(&peer->translations, &v->dst);
    if (t == NULL || t->target.family == 0) {
        refuse(gw, peer, pkt, v, SP_ICMP_REPLY_UNREACHABLE, now);
        return;
    }
    r = sp_nat_gw_outgoing(&peer->nat, pkt, v, &t->target, now);
    if (r == 0)
        gw_to_tun(gw, pkt);
    else
        gw_drop(gw, pkt, r == SP_E_LIMIT ? SP_DROP_NAT_EXHAUSTED : SP_DROP_UNSUPPORTED);
}

static void
handle_control(struct sp_gw *gw,
               struct gw_peer *peer,
               struct sp_pkt *pkt,
               const struct sp_ip_view *v,
               sp_time now)
{
    struct sp_control_event ev;
    int r = sp_control_parse(sp_pkt_data(pkt), v, &ev);

    sp_pkt_free(pkt);
    if (r < 0) {
        SP_DEBUG(gw->cfg.log, GW, "control event ignored: %s", sp_strerror(r));
        sp_drops_add(&gw->drops, SP_DROP_BAD_CONTROL);
        return;
    }
    switch (ev.type) {
    case SP_CONTROL_ASSIGNED_IPS:
        gw_handle_assigned_ips(gw, peer, &ev, now);
        break;
    case SP_CONTROL_GOODBYE:
        SP_INFO(gw->cfg.log, GW, "a client said goodbye");
        (void)sp_node_remove(gw->node, &peer->id, now);
        gw_peer_remove(gw, peer);
        break;
    case SP_CONTROL_DOMAIN_STATUS: /* for clients only */
        sp_drops_add(&gw->drops, SP_DROP_BAD_CONTROL);
        break;
    }
}

void
gw_uplink(struct sp_gw *gw, const struct sp_uuid *client, struct sp_pkt *pkt, sp_time now)
{
    struct gw_peer *peer = gw_peer_find(gw, client);
    struct sp_ip_view v;
    int r = sp_packet_parse(sp_pkt_data(pkt), pkt->len, &v);

    if (r != 0) {
        gw_drop(gw, pkt, r == SP_PACKET_FRAGMENT ? SP_DROP_FRAGMENT : SP_DROP_MALFORMED_IP);
        return;
    }
    if (sp_ip_is_multicast(&v.dst)) {
        gw_drop(gw, pkt, SP_DROP_MULTICAST);
        return;
    }
    if (peer == NULL) {
        gw_drop(gw, pkt, SP_DROP_NO_PEER_STATE);
        return;
    }
    if (sp_control_is(&v)) {
        handle_control(gw, peer, pkt, &v, now);
        return;
    }
    if (sp_icmp_is_error_type(&v)) {
        gw_drop(gw, pkt, SP_DROP_OUTBOUND_ICMP_ERROR);
        return;
    }
    if (policy(gw, peer, pkt, &v, now))
        translate(gw, peer, pkt, &v, now);
}
