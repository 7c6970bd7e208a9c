/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/client/client.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/err.h"
#include "engine/client/client-private.h"
#include "engine/control/control.h"
#include "engine/ip/build.h"

/* ---- life ---------------------------------------------------------------------------------- */

struct sp_client *
sp_client_new(const struct sp_client_config *config, sp_time now)
{
    struct sp_client *c = sp_xcalloc(1, sizeof *c);
    struct sp_node_config node = {
        .pool = config->pool,
        .rng = config->rng,
        .wall = config->wall,
        .log = config->log,
        .drops = &c->drops,
    };

    c->cfg = *config;
    c->internet_active = config->internet_resource;
    c->node = sp_node_new(&node, now);
    sp_ring_init(&c->events, sizeof(struct sp_client_event), CLIENT_EVENTS_MAX);
    c->tun_out.max = CLIENT_TUN_QUEUE_MAX;
    sp_route_table_init(&c->cidr_routes, NULL, &config->rng);
    sp_route_table_init(&c->dns_routes, sp_dns_pattern_compare, &config->rng);
    sp_map_init(&c->authorized, sizeof(struct sp_uuid), &config->rng);
    sp_map_init(&c->pending, sizeof(struct sp_uuid), &config->rng);
    c->permit_all = sp_filter_new(NULL, 0);
    client_dns_init(c);
    return c;
}

struct sp_client *
sp_client_free(struct sp_client *c)
{
    struct sp_client_event ev;

    if (c == NULL)
        return NULL;
    while (sp_ring_pop(&c->events, &ev))
        sp_client_event_done(&ev);
    sp_ring_done(&c->events);
    client_peers_done(c);
    client_authz_done(c);
    client_dns_done(c);
    sp_route_table_done(&c->cidr_routes);
    sp_route_table_done(&c->dns_routes);
    client_resources_done(c);
    client_tun_config_done(&c->last_tun);
    client_list_done(c);
    sp_interface_done(&c->interface);
    sp_filter_unref(c->permit_all);
    sp_pkt_queue_clear(&c->tun_out);
    sp_node_free(c->node);
    free(c);
    return NULL;
}

const uint8_t *
sp_client_public_key(const struct sp_client *c)
{
    return sp_node_public_key(c->node);
}

/* ---- small services for the other files ---------------------------------------------------- */

void
client_emit(struct sp_client *c, struct sp_client_event *ev)
{
    if (sp_ring_push(&c->events, ev) == 0)
        return;
    sp_drops_add(&c->drops, SP_DROP_QUEUE_FULL);
    sp_client_event_done(ev);
}

void
client_drop(struct sp_client *c, struct sp_pkt *pkt, enum sp_drop reason)
{
    SP_TRACE(c->cfg.log, CLIENT, "packet dropped: %s", sp_drop_name(reason));
    sp_drops_add(&c->drops, reason);
    sp_pkt_free(pkt);
}

void
client_to_tun(struct sp_client *c, struct sp_pkt *pkt)
{
    if (sp_pkt_queue_push(&c->tun_out, pkt) < 0)
        sp_drops_add(&c->drops, SP_DROP_QUEUE_FULL);
}

void
client_icmp_prohibited(struct sp_client *c, const struct sp_pkt *pkt, const struct sp_ip_view *view)
{
    struct sp_pkt *out = sp_pkt_alloc(c->cfg.pool);
    size_t len;

    if (out == NULL) {
        sp_drops_add(&c->drops, SP_DROP_NO_MEMORY);
        return;
    }
    if (sp_build_icmp_reply(sp_pkt_data(out),
                            SP_MTU,
                            SP_ICMP_REPLY_PROHIBITED,
                            pkt->buf + pkt->off,
                            view,
                            &len)
        < 0) {
        sp_pkt_free(out);
        return;
    }
    out->len = (uint16_t)len;
    client_to_tun(c, out);
}

/* ---- after every input --------------------------------------------------------------------- */

static void
hold_candidate(struct sp_client *c, const struct sp_node_event *ev, bool added)
{
    struct client_peer *peer = client_peer_find(c, &ev->peer);
    int r;

    if (peer == NULL)
        return;
    r = added ? sp_held_add(&peer->held, ev->candidate)
              : sp_held_remove(&peer->held, ev->candidate);
    if (r < 0)
        sp_drops_add(&c->drops, SP_DROP_QUEUE_FULL);
}

static void
handle_node_event(struct sp_client *c, const struct sp_node_event *ev, sp_time now)
{
    struct sp_client_event out = { .type = SP_CLIENT_EVENT_PORTAL,
                                   .u.portal = { .type = SP_CLIENT_REQ_NO_RELAYS } };

    switch (ev->type) {
    case SP_NODE_EV_NEW_CANDIDATE:
        hold_candidate(c, ev, true);
        break;
    case SP_NODE_EV_INVALIDATE_CANDIDATE:
        hold_candidate(c, ev, false);
        break;
    case SP_NODE_EV_ESTABLISHED:
        client_peer_established(c, &ev->peer, now);
        break;
    case SP_NODE_EV_FAILED:
        client_remember_used(c, &ev->peer, now);
        client_peer_lost(c, &ev->peer, now);
        break;
    case SP_NODE_EV_CLOSED:
        client_peer_lost(c, &ev->peer, now);
        break;
    case SP_NODE_EV_NO_RELAYS:
        client_emit(c, &out);
        break;
    }
}

static void
pump(struct sp_client *c, sp_time now)
{
    struct sp_node_event ev;

    while (sp_node_poll_event(c->node, &ev))
        handle_node_event(c, &ev, now);
    client_dns_tcp_pump(c, now);
    client_dns_pump(c);
    c->last_now = now;
}

/* ---- inputs -------------------------------------------------------------------------------- */

void
sp_client_handle_tun(struct sp_client *c, struct sp_pkt *pkt, sp_time now)
{
    client_outbound(c, pkt, now);
    pump(c, now);
}

void
sp_client_handle_udp(struct sp_client *c,
                     const struct sp_udp_meta *meta,
                     struct sp_pkt *pkt,
                     sp_time now)
{
    struct sp_uuid peer;
    struct sp_pkt *inner;
    int r = sp_node_handle_datagram(c->node, meta, pkt, now, &peer, &inner);

    /* First what the datagram did to the connection: its first packet may be in the same one. */
    pump(c, now);
    if (r == SP_NODE_PACKET) {
        client_inbound(c, &peer, inner, now);
        pump(c, now);
    }
}

static void
apply_interface(struct sp_client *c, struct sp_interface *interface)
{
    sp_interface_done(&c->interface);
    c->interface = *interface;
    *interface = (struct sp_interface){ 0 };
    c->have_interface = true;
    c->tun_dirty = true;
    if (sp_dns_servers_set_portal(&c->dns.servers, &c->interface))
        sp_client_flush_dns_cache(c);
}

static void
update_relays(struct sp_client *c,
              const struct sp_uuid *removed,
              size_t n_removed,
              const struct sp_relay *added,
              size_t n_added,
              sp_time now)
{
    if (sp_node_update_relays(c->node, removed, n_removed, added, n_added, now) < 0)
        SP_WARN(c->cfg.log, CLIENT, "too many relays, some are ignored");
}

static void
handle_init(struct sp_client *c, struct sp_client_init *init, sp_time now)
{
    apply_interface(c, &init->interface);
    client_resources_replace(c, init->resources, init->n_resources, now);
    init->resources = NULL;
    init->n_resources = 0;
    update_relays(c, NULL, 0, init->relays, init->n_relays, now);
    client_request_again(c, now);
}

static void
handle_candidates(struct sp_client *c, const struct sp_candidates *msg, bool add, sp_time now)
{
    for (size_t i = 0; i < msg->list.n; i++) {
        int r = add ? sp_node_add_remote_candidate(c->node, &msg->peer, msg->list.v[i], now)
                    : sp_node_remove_remote_candidate(c->node, &msg->peer, msg->list.v[i], now);

        if (r < 0)
            SP_DEBUG(c->cfg.log, CLIENT, "candidate of a gateway ignored: %s", sp_strerror(r));
    }
}

void
sp_client_handle_portal(struct sp_client *c, struct sp_client_msg *msg, sp_time now)
{
    switch (msg->type) {
    case SP_CLIENT_MSG_INIT:
        handle_init(c, &msg->u.init, now);
        break;
    case SP_CLIENT_MSG_CONFIG_CHANGED:
        apply_interface(c, &msg->u.config);
        break;
    case SP_CLIENT_MSG_RESOURCE_UPSERT:
        client_resource_upsert(c, &msg->u.resource, now);
        break;
    case SP_CLIENT_MSG_RESOURCE_DELETED:
        client_resource_remove(c, &msg->u.resource_id, now);
        break;
    case SP_CLIENT_MSG_RELAYS_PRESENCE:
        update_relays(c,
                      msg->u.relays.disconnected,
                      msg->u.relays.n_disconnected,
                      msg->u.relays.connected,
                      msg->u.relays.n_connected,
                      now);
        break;
    case SP_CLIENT_MSG_AUTHORIZED:
        client_handle_authorized(c, &msg->u.authorized, now);
        break;
    case SP_CLIENT_MSG_AUTHORIZATION_FAILED:
        client_handle_authorization_failed(c,
                                           &msg->u.failed.resource_id,
                                           msg->u.failed.reason,
                                           now);
        break;
    case SP_CLIENT_MSG_CANDIDATES:
        handle_candidates(c, &msg->u.candidates, true, now);
        break;
    case SP_CLIENT_MSG_INVALIDATE_CANDIDATES:
        handle_candidates(c, &msg->u.candidates, false, now);
        break;
    }
    sp_client_msg_done(msg);
    pump(c, now);
}

void
sp_client_handle_portal_state(struct sp_client *c, bool up, sp_time now)
{
    c->portal_up = up;
    pump(c, now);
}

void
sp_client_handle_dns_result(struct sp_client *c,
                            uint64_t id,
                            enum sp_client_dns_result result,
                            struct sp_span message,
                            sp_time now)
{
    client_dns_handle_result(c, id, result, message, now);
    pump(c, now);
}

void
sp_client_set_system_resolvers(struct sp_client *c,
                               const struct sp_ip *servers,
                               size_t n,
                               sp_time now)
{
    if (sp_dns_servers_set_system(&c->dns.servers, servers, n)) {
        sp_client_flush_dns_cache(c);
        c->tun_dirty = true;
    }
    pump(c, now);
}

void
sp_client_set_host_addresses(struct sp_client *c,
                             const struct sp_endpoint *addrs,
                             size_t n,
                             sp_time now)
{
    (void)sp_node_set_host_addresses(c->node, addrs, n, now);
    pump(c, now);
}

void
sp_client_set_internet_resource(struct sp_client *c, bool active, sp_time now)
{
    struct client_resource *res;

    if (c->internet_active == active)
        return;
    res = client_internet(c);
    if (!active && res)
        client_resource_disable(c, res, now);
    c->internet_active = active;
    c->tun_dirty = c->list_dirty = true;
    pump(c, now);
}

void
sp_client_flush_dns_cache(struct sp_client *c)
{
    sp_dns_cache_clear(&c->dns.cache);
}

static void
forget_all_peers(struct sp_client *c, sp_time now)
{
    while (c->n_peers) {
        struct sp_uuid id = c->peers[c->n_peers - 1]->id;

        client_peer_lost(c, &id, now);
    }
}

void
sp_client_reset(struct sp_client *c, sp_time now)
{
    struct sp_client_event ev = { .type = SP_CLIENT_EVENT_PUBLIC_KEY };

    SP_INFO(c->cfg.log, CLIENT, "network changed, starting over with a new key");
    sp_client_handle_timeout(c, now);
    client_remember_used(c, NULL, now);
    sp_dns_pending_clear(&c->dns.pending);
    client_dns_tunnel_reset(c, now);
    sp_tcp_server_abort_busy(c->dns_tcp);
    sp_node_reset(c->node, now);
    pump(c, now);
    forget_all_peers(c, now);
    c->portal_up = false; /* the driver dials again; candidates are held until then */
    memcpy(ev.u.public_key, sp_node_public_key(c->node), sizeof ev.u.public_key);
    client_emit(c, &ev);
}

void
sp_client_shutdown(struct sp_client *c, sp_time now)
{
    sp_node_close_all(c->node, sp_control_goodbye(c->cfg.pool), now);
    pump(c, now);
    forget_all_peers(c, now);
}

/* ---- time and outputs ---------------------------------------------------------------------- */

void
sp_client_handle_timeout(struct sp_client *c, sp_time now)
{
    sp_node_handle_timeout(c->node, now);
    client_sites_timeout(c, now);
    client_dns_handle_timeout(c, now);
    pump(c, now);
}

sp_time
sp_client_next_timeout(const struct sp_client *c)
{
    sp_time next = c->dns_reset_due ? c->last_now : sp_node_next_timeout(c->node);

    next = sp_time_min(next, client_sites_next_timeout(c));
    next = sp_time_min(next, client_dns_tunnel_next_timeout(c));
    next = sp_time_min(next, sp_tcp_server_next_timeout(c->dns_tcp));
    return sp_time_min(next, sp_dns_pending_next_timeout(&c->dns.pending));
}

bool
sp_client_poll_transmit(struct sp_client *c, struct sp_transmit *ret_tx)
{
    return sp_node_poll_transmit(c->node, ret_tx);
}

struct sp_pkt *
sp_client_poll_tun(struct sp_client *c)
{
    return sp_pkt_queue_pop(&c->tun_out);
}

bool
sp_client_poll_event(struct sp_client *c, struct sp_client_event *ret_ev)
{
    return sp_ring_pop(&c->events, ret_ev) || client_poll_tun_config(c, ret_ev)
           || client_poll_list(c, ret_ev) || client_peers_poll_held(c, ret_ev);
}

void
sp_client_event_done(struct sp_client_event *ev)
{
    switch (ev->type) {
    case SP_CLIENT_EVENT_TUN_CONFIG:
        client_tun_config_done(&ev->u.tun);
        break;
    case SP_CLIENT_EVENT_PORTAL:
        sp_client_req_done(&ev->u.portal);
        break;
    case SP_CLIENT_EVENT_RESOURCES:
        for (size_t i = 0; i < ev->u.resources.n; i++)
            sp_resource_done(&ev->u.resources.list[i].resource);
        free(ev->u.resources.list);
        break;
    case SP_CLIENT_EVENT_DNS_QUERY:
        free(ev->u.dns.doh_url);
        free(ev->u.dns.message);
        break;
    case SP_CLIENT_EVENT_OFFLINE:
    case SP_CLIENT_EVENT_VERSION_MISMATCH:
    case SP_CLIENT_EVENT_PUBLIC_KEY:
        break;
    }
    memset(&ev->u, 0, sizeof ev->u);
}

size_t
sp_client_peers(const struct sp_client *c, struct sp_peer_view *out, size_t max)
{
    for (size_t i = 0; i < c->n_peers && i < max; i++) {
        struct sp_node_info info;

        out[i] = (struct sp_peer_view){ .peer = c->peers[i]->id,
                                        .state = "connecting",
                                        .path = "",
                                        .last_handshake = SP_TIME_NEVER };
        if (!sp_node_connection_info(c->node, &c->peers[i]->id, &info))
            continue;
        out[i].state = sp_node_state_name(info.state);
        out[i].path = info.path == SP_NODE_PATH_NONE ? "" : sp_node_path_kind_name(info.path);
        out[i].local = info.local;
        out[i].remote = info.remote;
        out[i].rtt = info.rtt;
        out[i].last_handshake = info.last_handshake;
        out[i].rx_bytes = info.rx_bytes;
        out[i].tx_bytes = info.tx_bytes;
    }
    return c->n_peers;
}

const struct sp_drops *
sp_client_drops(const struct sp_client *c)
{
    return &c->drops;
}
