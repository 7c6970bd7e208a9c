/* SPDX-License-Identifier: Apache-2.0 */
/* Gateways with a connection: what they may send, what waits for them, how they go.
 * Source: spec tunnel A.9 (13), A.10, A.14. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/err.h"
#include "engine/client/client-private.h"
#include "engine/control/control.h"

struct client_peer *
client_peer_find(const struct sp_client *c, const struct sp_uuid *id)
{
    for (size_t i = 0; i < c->n_peers; i++)
        if (sp_uuid_equal(&c->peers[i]->id, id))
            return c->peers[i];
    return NULL;
}

struct client_peer *
client_peer_by_ip(const struct sp_client *c, const struct sp_ip *ip)
{
    for (size_t i = 0; i < c->n_peers; i++)
        if (sp_ip_equal(&c->peers[i]->ipv4, ip) || sp_ip_equal(&c->peers[i]->ipv6, ip))
            return c->peers[i];
    return NULL;
}

struct client_peer *
client_peer_upsert(struct sp_client *c, const struct sp_client_authorized *grant)
{
    struct client_peer *peer = client_peer_find(c, &grant->gateway_id);

    if (peer == NULL) {
        peer = sp_xcalloc(1, sizeof *peer);
        peer->id = grant->gateway_id;
        peer->routed.max = peer->control.max = CLIENT_RING_MAX;
        sp_route_table_init(&peer->allowed, NULL, &c->cfg.rng);
        c->peers = sp_xrealloc(c->peers, c->n_peers + 1, sizeof *c->peers);
        c->peers[c->n_peers++] = peer;
    }
    peer->site = grant->site_id;
    peer->ipv4 = grant->gateway_ipv4;
    peer->ipv6 = grant->gateway_ipv6;
    return peer;
}

static void
peer_free(struct client_peer *peer)
{
    sp_pkt_queue_clear(&peer->routed);
    sp_pkt_queue_clear(&peer->control);
    sp_held_done(&peer->held);
    sp_route_table_done(&peer->allowed);
    free(peer);
}

static void
unlink_peer(struct sp_client *c, const struct client_peer *peer)
{
    for (size_t i = 0; i < c->n_peers; i++) {
        if (c->peers[i] != peer)
            continue;
        memmove(&c->peers[i], &c->peers[i + 1], (c->n_peers - i - 1) * sizeof *c->peers);
        c->n_peers--;
        return;
    }
}

void
client_peer_lost(struct sp_client *c, const struct sp_uuid *id, sp_time now)
{
    struct client_peer *peer = client_peer_find(c, id);

    if (peer == NULL)
        return;
    SP_INFO(c->cfg.log, CLIENT, "connection to a gateway ended");
    unlink_peer(c, peer);
    client_site_set(c, &peer->site, SP_RESOURCE_UNKNOWN, now);
    client_forget_gateway(c, id);
    sp_nat_dns_remove_gateway(&c->dns_nat, id);
    peer_free(peer);
}

void
client_peer_close(struct sp_client *c, struct client_peer *peer, sp_time now)
{
    struct sp_uuid id = peer->id;

    /* A connection that is still being set up raises no CLOSED event, so the clean-up cannot wait
     * for one (A.14 "trap"). */
    (void)sp_node_close(c->node, &id, sp_control_goodbye(c->cfg.pool), now);
    client_peer_lost(c, &id, now);
}

void
client_peer_established(struct sp_client *c, const struct sp_uuid *id, sp_time now)
{
    struct client_peer *peer = client_peer_find(c, id);
    struct sp_pkt_queue routed, control;
    struct sp_pkt *pkt;

    if (peer == NULL)
        return;
    SP_INFO(c->cfg.log, CLIENT, "connection to a gateway established");
    peer->established = true;
    client_site_set(c, &peer->site, SP_RESOURCE_ONLINE, now);
    routed = peer->routed;
    control = peer->control;
    peer->routed = peer->control = (struct sp_pkt_queue){ .max = CLIENT_RING_MAX };
    while ((pkt = sp_pkt_queue_pop(&control)) != NULL)
        client_peer_send(c, peer, pkt, false, now);
    /* Through the whole path again: a resource may have gone meanwhile. */
    while ((pkt = sp_pkt_queue_pop(&routed)) != NULL)
        client_outbound(c, pkt, now);
}

void
client_peer_allow(struct sp_client *c,
                  struct client_peer *peer,
                  const struct sp_cidr *net,
                  const struct sp_uuid *resource)
{
    if (sp_route_table_insert(&peer->allowed, net, resource, c->permit_all, NULL, NULL) < 0)
        SP_WARN(c->cfg.log, CLIENT, "too many networks behind one gateway");
}

bool
client_peer_may_send_from(struct client_peer *peer, const struct sp_ip *src)
{
    if (sp_ip_equal(src, &peer->ipv4) || sp_ip_equal(src, &peer->ipv6))
        return true;
    /* The protocol does not matter here: every filter in this table permits everything. */
    return sp_route_table_lookup(&peer->allowed, src, sp_ip_proto_tcp(0)) != NULL;
}

void
client_peer_send(struct sp_client *c,
                 struct client_peer *peer,
                 struct sp_pkt *pkt,
                 bool routed,
                 sp_time now)
{
    int r = sp_node_send(c->node, &peer->id, pkt, now);
    size_t freed;

    if (routed)
        peer->used = now;
    switch (r) {
    case SP_NODE_CONNECTING:
        freed = sp_packet_queue_push_unique(routed ? &peer->routed : &peer->control, pkt);
        for (size_t i = 0; i < freed; i++)
            sp_drops_add(&c->drops, SP_DROP_QUEUE_FULL);
        break;
    case SP_NODE_UNKNOWN:
        client_drop(c, pkt, SP_DROP_NOT_CONNECTED);
        break;
    default: /* sent, or counted by the node */
        break;
    }
}

bool
client_peers_poll_held(struct sp_client *c, struct sp_client_event *ret_ev)
{
    for (size_t i = 0; c->portal_up && i < c->n_peers; i++) {
        struct client_peer *peer = c->peers[i];
        struct sp_strv list;
        enum sp_held_kind kind = sp_held_take(&peer->held, &list);

        if (kind == SP_HELD_NONE)
            continue;
        *ret_ev = (struct sp_client_event){
            .type = SP_CLIENT_EVENT_PORTAL,
            .u.portal = { .type = kind == SP_HELD_ADDED ? SP_CLIENT_REQ_NEW_CANDIDATES
                                                        : SP_CLIENT_REQ_INVALIDATE_CANDIDATES,
                          .u.candidates = { .peer = peer->id, .list = list } },
        };
        return true;
    }
    return false;
}

void
client_peers_done(struct sp_client *c)
{
    for (size_t i = 0; i < c->n_peers; i++)
        peer_free(c->peers[i]);
    free(c->peers);
}
