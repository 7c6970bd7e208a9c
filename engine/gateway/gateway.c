/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/gateway/gateway.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/err.h"
#include "engine/gateway/gateway-private.h"

/* ---- life ---------------------------------------------------------------------------------- */

struct sp_gw *
sp_gw_new(const struct sp_gw_config *config, sp_time now)
{
    struct sp_gw *gw = sp_xcalloc(1, sizeof *gw);
    struct sp_node_config node = {
        .pool = config->pool,
        .rng = config->rng,
        .wall = config->wall,
        .log = config->log,
        .drops = &gw->drops,
        .server = true,
    };

    gw->cfg = *config;
    gw->node = sp_node_new(&node, now);
    sp_ring_init(&gw->events, sizeof(struct sp_gw_event), GW_EVENTS_MAX);
    gw->tun_out.max = GW_TUN_QUEUE_MAX;
    sp_map_init(&gw->by_id, sizeof(struct sp_uuid), &config->rng);
    sp_map_init(&gw->by_ip, sizeof(struct sp_ip), &config->rng);
    sp_map_init(&gw->lookups, sizeof(uint64_t), &config->rng);
    gw->next_tick = sp_time_add(now, GW_TICK);
    return gw;
}

struct sp_gw *
sp_gw_free(struct sp_gw *gw)
{
    struct sp_gw_event ev;

    if (gw == NULL)
        return NULL;
    while (sp_ring_pop(&gw->events, &ev))
        sp_gw_event_done(&ev);
    sp_ring_done(&gw->events);
    gw_peers_done(gw);
    gw_names_done(gw);
    sp_pkt_queue_clear(&gw->tun_out);
    sp_node_free(gw->node);
    free(gw);
    return NULL;
}

const uint8_t *
sp_gw_public_key(const struct sp_gw *gw)
{
    return sp_node_public_key(gw->node);
}

/* ---- small services for the other files ---------------------------------------------------- */

void
gw_emit(struct sp_gw *gw, struct sp_gw_event *ev)
{
    if (sp_ring_push(&gw->events, ev) == 0)
        return;
    sp_drops_add(&gw->drops, SP_DROP_QUEUE_FULL);
    sp_gw_event_done(ev);
}

void
gw_drop(struct sp_gw *gw, struct sp_pkt *pkt, enum sp_drop reason)
{
    SP_TRACE(gw->cfg.log, GW, "packet dropped: %s", sp_drop_name(reason));
    sp_drops_add(&gw->drops, reason);
    sp_pkt_free(pkt);
}

void
gw_to_tun(struct sp_gw *gw, struct sp_pkt *pkt)
{
    if (sp_pkt_queue_push(&gw->tun_out, pkt) < 0)
        sp_drops_add(&gw->drops, SP_DROP_QUEUE_FULL);
}

void
gw_send(struct sp_gw *gw, const struct gw_peer *peer, struct sp_pkt *pkt, sp_time now)
{
    int r = sp_node_send(gw->node, &peer->id, pkt, now);

    if (r == SP_NODE_CONNECTING || r == SP_NODE_UNKNOWN)
        gw_drop(gw, pkt, SP_DROP_NOT_CONNECTED);
}

bool
gw_is_own_ip(const struct sp_gw *gw, const struct sp_ip *ip)
{
    return sp_ip_equal(ip, &gw->ipv4) || sp_ip_equal(ip, &gw->ipv6);
}

/* ---- after every input --------------------------------------------------------------------- */

static void
handle_node_event(struct sp_gw *gw, const struct sp_node_event *ev)
{
    struct gw_peer *peer = gw_peer_find(gw, &ev->peer);
    struct sp_gw_event out = { .type = SP_GW_EVENT_PORTAL,
                               .u.portal = { .type = SP_GW_REQ_NO_RELAYS } };
    int r = 0;

    switch (ev->type) {
    case SP_NODE_EV_NEW_CANDIDATE:
        if (peer)
            r = sp_held_add(&peer->held, ev->candidate);
        break;
    case SP_NODE_EV_INVALIDATE_CANDIDATE:
        if (peer)
            r = sp_held_remove(&peer->held, ev->candidate);
        break;
    case SP_NODE_EV_ESTABLISHED:
        SP_INFO(gw->cfg.log, GW, "connection to a client established");
        break;
    case SP_NODE_EV_FAILED:
    case SP_NODE_EV_CLOSED:
        /* Its access stays: the client may come back believing that it holds (B.2). */
        SP_INFO(gw->cfg.log, GW, "connection to a client ended");
        if (peer)
            sp_held_done(&peer->held);
        break;
    case SP_NODE_EV_NO_RELAYS:
        gw_emit(gw, &out);
        break;
    }
    if (r < 0)
        sp_drops_add(&gw->drops, SP_DROP_QUEUE_FULL);
}

static void
pump(struct sp_gw *gw)
{
    struct sp_node_event ev;

    while (sp_node_poll_event(gw->node, &ev))
        handle_node_event(gw, &ev);
}

/* ---- inputs -------------------------------------------------------------------------------- */

void
sp_gw_handle_tun(struct sp_gw *gw, struct sp_pkt *pkt, sp_time now)
{
    gw_downlink(gw, pkt, now);
    pump(gw);
}

void
sp_gw_handle_udp(struct sp_gw *gw, const struct sp_udp_meta *meta, struct sp_pkt *pkt, sp_time now)
{
    struct sp_uuid peer;
    struct sp_pkt *inner;

    if (sp_node_handle_datagram(gw->node, meta, pkt, now, &peer, &inner) == SP_NODE_PACKET)
        gw_uplink(gw, &peer, inner, now);
    pump(gw);
}

static void
handle_candidates(struct sp_gw *gw, const struct sp_candidates *msg, bool add, sp_time now)
{
    for (size_t i = 0; i < msg->list.n; i++) {
        int r = add ? sp_node_add_remote_candidate(gw->node, &msg->peer, msg->list.v[i], now)
                    : sp_node_remove_remote_candidate(gw->node, &msg->peer, msg->list.v[i], now);

        if (r < 0)
            SP_DEBUG(gw->cfg.log, GW, "candidate of a client ignored: %s", sp_strerror(r));
    }
}

void
sp_gw_handle_portal(struct sp_gw *gw, struct sp_gw_msg *msg, sp_time now)
{
    switch (msg->type) {
    case SP_GW_MSG_INIT:
        gw_handle_init(gw, &msg->u.init, now);
        break;
    case SP_GW_MSG_AUTHORIZE:
        gw_handle_authorize(gw, &msg->u.authorize, now);
        break;
    case SP_GW_MSG_REJECT_ACCESS:
        gw_handle_reject(gw, &msg->u.reject.client_id, &msg->u.reject.resource_id, now);
        break;
    case SP_GW_MSG_RESOURCE_UPDATED:
        gw_handle_resource_updated(gw, &msg->u.resource);
        break;
    case SP_GW_MSG_CANDIDATES:
        handle_candidates(gw, &msg->u.candidates, true, now);
        break;
    case SP_GW_MSG_INVALIDATE_CANDIDATES:
        handle_candidates(gw, &msg->u.candidates, false, now);
        break;
    case SP_GW_MSG_RELAYS_PRESENCE:
        (void)sp_node_update_relays(gw->node,
                                    msg->u.relays.disconnected,
                                    msg->u.relays.n_disconnected,
                                    msg->u.relays.connected,
                                    msg->u.relays.n_connected,
                                    now);
        break;
    }
    sp_gw_msg_done(msg);
    pump(gw);
}

void
sp_gw_handle_portal_state(struct sp_gw *gw, bool up, sp_time now)
{
    (void)now;
    gw->portal_up = up;
}

void
sp_gw_handle_resolved(struct sp_gw *gw,
                      uint64_t id,
                      bool failed,
                      const struct sp_ip *addrs,
                      size_t n,
                      sp_time now)
{
    gw_names_resolved(gw, id, failed, addrs, n, now);
    pump(gw);
}

void
sp_gw_set_host_addresses(struct sp_gw *gw, const struct sp_endpoint *addrs, size_t n, sp_time now)
{
    (void)sp_node_set_host_addresses(gw->node, addrs, n, now);
    pump(gw);
}

void
sp_gw_reset(struct sp_gw *gw, sp_time now)
{
    struct sp_gw_event ev = { .type = SP_GW_EVENT_PUBLIC_KEY };

    SP_INFO(gw->cfg.log, GW, "network changed, starting over with a new key");
    sp_gw_handle_timeout(gw, now);
    sp_node_reset(gw->node, now);
    pump(gw);
    gw->portal_up = false;
    memcpy(ev.u.public_key, sp_node_public_key(gw->node), sizeof ev.u.public_key);
    gw_emit(gw, &ev);
}

void
sp_gw_shutdown(struct sp_gw *gw, sp_time now)
{
    sp_node_close_all(gw->node, sp_control_goodbye(gw->cfg.pool), now);
    pump(gw);
    while (gw->n_peers)
        gw_peer_remove(gw, gw->peers[gw->n_peers - 1]);
}

/* ---- time and outputs ---------------------------------------------------------------------- */

void
sp_gw_handle_timeout(struct sp_gw *gw, sp_time now)
{
    sp_node_handle_timeout(gw->node, now);
    if (sp_time_due(gw->next_tick, now)) {
        gw->next_tick = sp_time_add(now, GW_TICK);
        gw_authz_tick(gw, now);
        for (size_t i = 0; i < gw->n_peers; i++)
            (void)sp_nat_gw_handle_timeout(&gw->peers[i]->nat, now);
    }
    pump(gw);
}

sp_time
sp_gw_next_timeout(const struct sp_gw *gw)
{
    sp_time next = sp_node_next_timeout(gw->node);

    return gw->n_peers ? sp_time_min(next, gw->next_tick) : next;
}

bool
sp_gw_poll_transmit(struct sp_gw *gw, struct sp_transmit *ret_tx)
{
    return sp_node_poll_transmit(gw->node, ret_tx);
}

struct sp_pkt *
sp_gw_poll_tun(struct sp_gw *gw)
{
    return sp_pkt_queue_pop(&gw->tun_out);
}

/* Candidates go after the reply that lets the client know us. */
static bool
poll_held(struct sp_gw *gw, struct sp_gw_event *ret_ev)
{
    for (size_t i = 0; gw->portal_up && i < gw->n_peers; i++) {
        struct gw_peer *peer = gw->peers[i];
        struct sp_strv list;
        enum sp_held_kind kind = sp_held_take(&peer->held, &list);

        if (kind == SP_HELD_NONE)
            continue;
        *ret_ev = (struct sp_gw_event){
            .type = SP_GW_EVENT_PORTAL,
            .u.portal = { .type = kind == SP_HELD_ADDED ? SP_GW_REQ_NEW_CANDIDATES
                                                        : SP_GW_REQ_INVALIDATE_CANDIDATES,
                          .u.candidates = { .peer = peer->id, .list = list } },
        };
        return true;
    }
    return false;
}

bool
sp_gw_poll_event(struct sp_gw *gw, struct sp_gw_event *ret_ev)
{
    return sp_ring_pop(&gw->events, ret_ev) || poll_held(gw, ret_ev);
}

void
sp_gw_event_done(struct sp_gw_event *ev)
{
    switch (ev->type) {
    case SP_GW_EVENT_PORTAL:
        sp_gw_req_done(&ev->u.portal);
        break;
    case SP_GW_EVENT_RESOLVE:
        free(ev->u.resolve.domain);
        break;
    case SP_GW_EVENT_TUN_CONFIG:
    case SP_GW_EVENT_PUBLIC_KEY:
        break;
    }
    memset(&ev->u, 0, sizeof ev->u);
}

const struct sp_drops *
sp_gw_drops(const struct sp_gw *gw)
{
    return &gw->drops;
}

size_t
sp_gw_client_count(const struct sp_gw *gw)
{
    return gw->n_peers;
}
