/* SPDX-License-Identifier: Apache-2.0 */
/* The client table. Source: spec tunnel 0.7 (peer store), B.2, B.4. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/err.h"
#include "engine/gateway/gateway-private.h"

struct gw_peer *
gw_peer_find(const struct sp_gw *gw, const struct sp_uuid *id)
{
    return sp_map_get(&gw->by_id, id);
}

struct gw_peer *
gw_peer_by_ip(const struct sp_gw *gw, const struct sp_ip *ip)
{
    return sp_map_get(&gw->by_ip, ip);
}

void
gw_resource_free(struct gw_resource *res)
{
    if (res == NULL)
        return;
    sp_resource_done(&res->r);
    sp_filter_unref(res->filter);
    sp_dns_pattern_done(&res->pattern);
    free(res);
}

void
gw_translation_free(struct gw_translation *t)
{
    if (t == NULL)
        return;
    free(t->domain);
    free(t->resources);
    free(t);
}

void
gw_peer_clear_translations(struct gw_peer *peer)
{
    size_t pos = 0;
    const void *key;
    void *value;

    while (sp_map_next(&peer->translations, &pos, &key, &value)) {
        sp_map_del(&peer->translations, key);
        gw_translation_free(value);
    }
}

static void
peer_free(struct gw_peer *peer)
{
    for (size_t i = 0; i < peer->n_resources; i++)
        gw_resource_free(peer->resources[i]);
    free(peer->resources);
    gw_peer_clear_translations(peer);
    sp_map_done(&peer->translations);
    sp_route_table_done(&peer->routes);
    sp_nat_gw_done(&peer->nat);
    sp_held_done(&peer->held);
    free(peer);
}

/* Only if the entry is ours: the newest owner of an address keeps it. */
static void
unindex(struct sp_gw *gw, const struct gw_peer *peer, const struct sp_ip *ip)
{
    if (sp_map_get(&gw->by_ip, ip) == peer)
        sp_map_del(&gw->by_ip, ip);
}

void
gw_peer_remove(struct sp_gw *gw, struct gw_peer *peer)
{
    unindex(gw, peer, &peer->ipv4);
    unindex(gw, peer, &peer->ipv6);
    sp_map_del(&gw->by_id, &peer->id);
    for (size_t i = 0; i < gw->n_peers; i++)
        if (gw->peers[i] == peer) {
            gw->peers[i] = gw->peers[--gw->n_peers];
            break;
        }
    peer_free(peer);
}

void
gw_peer_close(struct sp_gw *gw, struct gw_peer *peer, sp_time now)
{
    SP_INFO(gw->cfg.log, GW, "client has no access left, closing its connection");
    (void)sp_node_close(gw->node, &peer->id, sp_control_goodbye(gw->cfg.pool), now);
    gw_peer_remove(gw, peer);
}

struct gw_peer *
gw_peer_upsert(struct sp_gw *gw,
               const struct sp_uuid *id,
               const struct sp_ip *ipv4,
               const struct sp_ip *ipv6)
{
    struct gw_peer *peer = gw_peer_find(gw, id);

    if (peer && (!sp_ip_equal(&peer->ipv4, ipv4) || !sp_ip_equal(&peer->ipv6, ipv6))) {
        gw_peer_remove(gw, peer);
        peer = NULL;
    }
    if (peer == NULL) {
        peer = sp_xcalloc(1, sizeof *peer);
        peer->id = *id;
        peer->ipv4 = *ipv4;
        peer->ipv6 = *ipv6;
        sp_map_init(&peer->translations, sizeof(struct sp_ip), &gw->cfg.rng);
        sp_route_table_init(&peer->routes, sp_dns_pattern_compare, &gw->cfg.rng);
        sp_nat_gw_init(&peer->nat, &gw->cfg.rng);
        gw->peers = sp_xrealloc(gw->peers, gw->n_peers + 1, sizeof *gw->peers);
        gw->peers[gw->n_peers++] = peer;
        sp_map_put(&gw->by_id, id, peer);
    }
    sp_map_put(&gw->by_ip, ipv4, peer);
    sp_map_put(&gw->by_ip, ipv6, peer);
    return peer;
}

struct gw_resource *
gw_peer_resource(const struct gw_peer *peer, const struct sp_uuid *id)
{
    for (size_t i = 0; i < peer->n_resources; i++)
        if (sp_uuid_equal(&peer->resources[i]->r.id, id))
            return peer->resources[i];
    return NULL;
}

void
gw_peer_add_resource(struct gw_peer *peer, struct gw_resource *res)
{
    peer->resources = sp_xrealloc(peer->resources, peer->n_resources + 1, sizeof *peer->resources);
    peer->resources[peer->n_resources++] = res;
}

void
gw_peer_drop_resource(struct gw_peer *peer, const struct sp_uuid *id)
{
    for (size_t i = 0; i < peer->n_resources; i++)
        if (sp_uuid_equal(&peer->resources[i]->r.id, id)) {
            gw_resource_free(peer->resources[i]);
            peer->resources[i] = peer->resources[--peer->n_resources];
            break;
        }
}

static void
add_route(struct sp_gw *gw,
          struct gw_peer *peer,
          const struct sp_cidr *net,
          const struct gw_resource *res)
{
    /* Only patterns rank entries; a network's text would outrank its prefix length. */
    const char *pattern = res->r.type == SP_RESOURCE_DNS ? res->r.address : NULL;

    if (sp_route_table_insert(&peer->routes, net, &res->r.id, res->filter, pattern, NULL) < 0)
        SP_WARN(gw->cfg.log, GW, "too many routes for one client");
}

void
gw_peer_rebuild_routes(struct sp_gw *gw, struct gw_peer *peer)
{
    size_t pos = 0;
    void *value;

    sp_route_table_clear(&peer->routes);
    for (size_t i = 0; i < peer->n_resources; i++)
        if (peer->resources[i]->r.type == SP_RESOURCE_CIDR)
            add_route(gw, peer, &peer->resources[i]->r.net, peer->resources[i]);
    while (sp_map_next(&peer->translations, &pos, NULL, &value)) {
        const struct gw_translation *t = value;
        struct sp_cidr net = sp_cidr_host(&t->proxy);

        for (size_t i = 0; i < t->n_resources; i++) {
            const struct gw_resource *res = gw_peer_resource(peer, &t->resources[i]);

            if (res)
                add_route(gw, peer, &net, res);
        }
    }
}

void
gw_peers_done(struct sp_gw *gw)
{
    for (size_t i = 0; i < gw->n_peers; i++)
        peer_free(gw->peers[i]);
    free(gw->peers);
    sp_map_done(&gw->by_id);
    sp_map_done(&gw->by_ip);
}
