/* SPDX-License-Identifier: Apache-2.0 */
/* Channel data to datagrams and back, where the packet lies. Spec relay 1.10. */
#include "engine/relay/relay-private.h"

/* Whose allocation is the peer, when it is one of ours? The kernel need not route it back then. */
static struct relay_alloc *
own_alloc(const struct sp_relay *r, const struct sp_endpoint *peer)
{
    const struct sp_ip *own = peer->ip.family == 4 ? &r->public4 : &r->public6;
    struct relay_alloc *a;

    if (!sp_ip_equal(&peer->ip, own))
        return NULL;
    a = relay_alloc_of_port(r, peer->port);
    if (!a || a->opening || !(peer->ip.family == 4 ? a->v4 : a->v6))
        return NULL;
    return a;
}

void
relay_data_from_client(struct sp_relay *r, const struct sp_endpoint *from, struct sp_pkt *pkt)
{
    struct relay_channel *c;
    struct sp_span payload;
    struct sp_endpoint own;
    uint16_t number;

    if (sp_channeldata_parse_padded(sp_pkt_span(pkt), &number, &payload) < 0) {
        relay_drop(r, pkt, SP_RELAY_DROP_BAD_CHANNEL_DATA);
        return;
    }
    c = relay_channel_of_number(r, from, number);
    if (!c || !c->active) {
        SP_DEBUG(r->log, TURN, "data on unknown channel %#x", number);
        relay_drop(r, pkt, SP_RELAY_DROP_NO_CHANNEL);
        return;
    }
    (void)sp_pkt_pull(pkt, SP_CHANNEL_HEADER_LEN);
    pkt->len = (uint16_t)payload.n;
    r->stats.to_peer_packets++;
    r->stats.to_peer_bytes += payload.n;
    if (own_alloc(r, &c->peer)) {
        own.ip = c->peer.ip.family == 4 ? r->public4 : r->public6;
        own.port = c->alloc->port;
        relay_data_from_peer(r, c->peer.port, &own, pkt);
        return;
    }
    relay_send(r, c->alloc->port, &c->peer, pkt);
}

void
relay_data_from_peer(struct sp_relay *r,
                     uint16_t port,
                     const struct sp_endpoint *from,
                     struct sp_pkt *pkt)
{
    struct relay_channel *c = relay_channel_of_peer(r, port, from);
    uint16_t n = pkt->len;

    if (!c || !c->active) {
        relay_drop(r, pkt, SP_RELAY_DROP_NO_PEER);
        return;
    }
    if (pkt->off < SP_CHANNEL_HEADER_LEN) {
        relay_drop(r, pkt, SP_RELAY_DROP_TOO_BIG);
        return;
    }
    sp_channeldata_write_header(sp_pkt_push(pkt, SP_CHANNEL_HEADER_LEN), c->number, n);
    r->stats.to_client_packets++;
    r->stats.to_client_bytes += n;
    relay_send(r, 0, &c->alloc->client, pkt);
}
