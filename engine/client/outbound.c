/* SPDX-License-Identifier: Apache-2.0 */
/* From the TUN device to a peer, step by step as spec tunnel A.9 counts them. */
#include "engine/base/err.h"
#include "engine/client/client-private.h"
#include "engine/control/control.h"
#include "engine/ip/ranges.h"

static const struct sp_ip *
own_ip(const struct sp_client *c, uint8_t version)
{
    return version == 4 ? &c->interface.ipv4 : &c->interface.ipv6;
}

/* Steps 1 to 5. Returns the reason to drop, or _SP_DROP_MAX to go on. */
static enum sp_drop
check_addresses(const struct sp_client *c, const struct sp_ip_view *v)
{
    if (sp_control_is(v))
        SP_WARN(c->cfg.log, CLIENT, "a local program sent a packet that looks like tunnel control");
    if (sp_ip_is_multicast(&v->dst))
        return SP_DROP_MULTICAST;
    if (!c->have_interface)
        return SP_DROP_OTHER;
    if (!sp_ip_equal(&v->src, own_ip(c, v->version)))
        return SP_DROP_NOT_TUNNEL_SOURCE_IP;
    if (sp_ip_equal(&v->dst, own_ip(c, v->version)))
        return SP_DROP_PACKET_TO_SELF;
    return _SP_DROP_MAX;
}

/** struct target - the resource a packet belongs to. @name: only for DNS resources */
struct target {
    struct sp_uuid resource;
    const struct sp_filter *filter;
    const struct client_name *name;
};

/* Step 10: DNS table, CIDR table, Internet resource. */
static bool
find_target(struct sp_client *c, const struct sp_ip_view *v, struct target *ret)
{
    const struct sp_route *route;
    const struct client_resource *internet;

    route = sp_route_table_lookup(&c->dns_routes, &v->dst, v->dst_proto);
    if (route == NULL)
        route = sp_route_table_lookup(&c->cidr_routes, &v->dst, v->dst_proto);
    if (route) {
        *ret = (struct target){ route->resource, route->filter, route->user };
        return true;
    }
    internet = client_internet(c);
    if (internet == NULL || sp_range_has(&sp_range_peer, &v->dst))
        return false;
    *ret = (struct target){ internet->r.id, internet->filter, NULL };
    return true;
}

/* Step 12. */
static void
send_to_resource(struct sp_client *c,
                 const struct target *target,
                 struct sp_pkt *pkt,
                 const struct sp_ip_view *v,
                 sp_time now)
{
    struct client_peer *peer;
    enum sp_filter_verdict verdict = sp_filter_check(target->filter, v->dst_proto);

    if (verdict != SP_FILTER_PERMITTED) {
        SP_DEBUG(c->cfg.log, CLIENT, "packet refused: %s", sp_filter_verdict_text(verdict));
        client_icmp_prohibited(c, pkt, v);
        client_drop(c, pkt, SP_DROP_FILTERED);
        return;
    }
    peer = client_authorized_peer(c, &target->resource);
    if (peer == NULL) {
        client_request(c, &target->resource, pkt, now);
        return;
    }
    if (target->name
        && !client_dns_nat_outgoing(c, peer, &target->resource, target->name, pkt, now))
        return;
    client_peer_send(c, peer, pkt, true, now);
}

void
client_outbound(struct sp_client *c, struct sp_pkt *pkt, sp_time now)
{
    struct sp_ip_view v;
    struct client_peer *gateway;
    struct target target;
    enum sp_drop reason;
    int r = sp_packet_parse(sp_pkt_data(pkt), pkt->len, &v);

    if (r != 0) {
        client_drop(c, pkt, r == SP_PACKET_FRAGMENT ? SP_DROP_FRAGMENT : SP_DROP_MALFORMED_IP);
        return;
    }
    pkt->ecn = v.ecn;
    reason = check_addresses(c, &v);
    if (reason != _SP_DROP_MAX) {
        client_drop(c, pkt, reason);
        return;
    }
    if (sp_dns_is_sentinel(&v.dst)) {
        client_dns_handle_packet(c, pkt, &v, now);
        return;
    }
    if (!sp_ip_proto_supported(v.dst_proto)) {
        client_drop(c, pkt, SP_DROP_UNSUPPORTED);
        return;
    }
    gateway = sp_range_has(&sp_range_peer, &v.dst) ? client_peer_by_ip(c, &v.dst) : NULL;
    if (gateway && gateway->established) {
        client_peer_send(c, gateway, pkt, true, now);
        return;
    }
    if (!find_target(c, &v, &target)) {
        client_drop(c, pkt, SP_DROP_UNKNOWN_RESOURCE);
        return;
    }
    send_to_resource(c, &target, pkt, &v, now);
}
