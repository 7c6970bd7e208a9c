/* SPDX-License-Identifier: Apache-2.0 */
/* Who may use what until when. Source: spec tunnel B.2; spec portal-protocol 3.4. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/err.h"
#include "engine/crypto/mem.h"
#include "engine/gateway/gateway-private.h"

static sp_time
expiry(const struct sp_gw *gw, int64_t unix_s, sp_time now)
{
    return unix_s == INT64_MAX ? SP_TIME_NEVER : sp_wall_to_time(gw->cfg.wall, unix_s, now);
}

static bool
is_listed(const struct sp_gw_init *init,
          const struct sp_uuid *client,
          const struct sp_uuid *resource)
{
    for (size_t i = 0; i < init->n_authorizations; i++)
        if (sp_uuid_equal(&init->authorizations[i].client_id, client)
            && sp_uuid_equal(&init->authorizations[i].resource_id, resource))
            return true;
    return false;
}

/* Access that the portal does not list any more is gone; what stays keeps its sessions. */
static void
keep_listed(struct sp_gw *gw, const struct sp_gw_init *init)
{
    for (size_t i = 0; i < gw->n_peers; i++) {
        struct gw_peer *peer = gw->peers[i];
        size_t before = peer->n_resources;

        for (size_t k = peer->n_resources; k-- > 0;) {
            struct sp_uuid id = peer->resources[k]->r.id;

            if (!is_listed(init, &peer->id, &id))
                gw_peer_drop_resource(peer, &id);
        }
        if (peer->n_resources != before)
            gw_peer_rebuild_routes(gw, peer);
    }
}

void
gw_handle_init(struct sp_gw *gw, const struct sp_gw_init *init, sp_time now)
{
    struct sp_gw_event ev = { .type = SP_GW_EVENT_TUN_CONFIG,
                              .u.tun = { .ipv4 = init->ipv4, .ipv6 = init->ipv6 } };

    if (sp_node_update_relays(gw->node, NULL, 0, init->relays, init->n_relays, now) < 0)
        SP_WARN(gw->cfg.log, GW, "too many relays, some are ignored");
    gw->ipv4 = init->ipv4;
    gw->ipv6 = init->ipv6;
    gw->have_interface = true;
    gw_emit(gw, &ev);
    keep_listed(gw, init);
    for (size_t i = 0; i < init->n_authorizations; i++) {
        const struct sp_authz_entry *a = &init->authorizations[i];
        struct gw_peer *peer = gw_peer_find(gw, &a->client_id);
        struct gw_resource *res = peer ? gw_peer_resource(peer, &a->resource_id) : NULL;

        if (res)
            res->expires_at = expiry(gw, a->expires_at, now);
    }
}

static int
connect_client(struct sp_gw *gw, const struct sp_gw_authorize *msg, sp_time now)
{
    struct sp_node_peer_params params = {
        .local = msg->gateway_creds,
        .remote = msg->client_creds,
        .controlling = false,
    };
    int r;

    memcpy(params.remote_key, msg->client_key, sizeof params.remote_key);
    memcpy(params.psk, msg->psk, sizeof params.psk);
    r = sp_node_upsert(gw->node, &msg->client_id, &params, now);
    sp_wipe(&params, sizeof params);
    return r;
}

static void
set_filters(struct gw_resource *res, const struct sp_filter_rule *rules, size_t n)
{
    sp_filter_unref(res->filter);
    res->filter = sp_filter_new(rules, n);
}

static struct gw_resource *
resource_new(struct sp_gw *gw, struct sp_resource *r)
{
    struct gw_resource *res = sp_xcalloc(1, sizeof *res);

    res->r = *r;
    *r = (struct sp_resource){ 0 };
    set_filters(res, res->r.filters, res->r.n_filters);
    if (res->r.type == SP_RESOURCE_DNS && sp_dns_pattern_init(&res->pattern, res->r.address) < 0)
        SP_WARN(gw->cfg.log, GW, "a DNS resource has a pattern that is not valid");
    return res;
}

/* A known resource gets new filters and expiry, never another address (B.2). Returns: false when it
 * was refused, so that nobody is told there is access. */
static bool
allow(struct sp_gw *gw, struct gw_peer *peer, struct sp_gw_authorize *msg, sp_time now)
{
    struct gw_resource *res = gw_peer_resource(peer, &msg->resource.id);

    if (res && res->r.type != msg->resource.type) {
        SP_ERROR(gw->cfg.log, GW, "a resource changed its type, ignored");
        return false;
    }
    if (res == NULL && peer->n_resources >= GW_RESOURCES_MAX) {
        SP_WARN(gw->cfg.log, GW, "too many resources for one client, ignored");
        return false;
    }
    if (res) {
        set_filters(res, msg->resource.filters, msg->resource.n_filters);
    } else {
        res = resource_new(gw, &msg->resource);
        gw_peer_add_resource(peer, res);
        gw_names_adopt(peer, res);
    }
    res->expires_at = expiry(gw, msg->expires_at, now);
    gw_peer_rebuild_routes(gw, peer);
    return true;
}

void
gw_handle_authorize(struct sp_gw *gw, struct sp_gw_authorize *msg, sp_time now)
{
    struct sp_gw_event ev = { .type = SP_GW_EVENT_PORTAL };
    struct gw_peer *peer;
    int r;

    if (!gw->have_interface) {
        SP_WARN(gw->cfg.log, GW, "access granted before our own addresses are known, ignored");
        return;
    }
    r = connect_client(gw, msg, now);
    if (r == SP_NODE_NO_RELAYS) {
        /* No reply: the portal times out and the client asks again. */
        SP_WARN(gw->cfg.log, GW, "no relay and no own address to be reached at");
        ev.u.portal.type = SP_GW_REQ_NO_RELAYS;
        gw_emit(gw, &ev);
        return;
    }
    if (r < 0) {
        SP_WARN(gw->cfg.log, GW, "cannot accept the client: %s", sp_strerror(r));
        return;
    }
    peer = gw_peer_upsert(gw, &msg->client_id, &msg->client_ipv4, &msg->client_ipv6);
    if (!allow(gw, peer, msg, now))
        return; /* no reply, as above */
    ev.u.portal.type = SP_GW_REQ_AUTHORIZED;
    ev.u.portal.u.ref = msg->ref;
    msg->ref = NULL;
    gw_emit(gw, &ev);
}

void
gw_handle_reject(struct sp_gw *gw,
                 const struct sp_uuid *client,
                 const struct sp_uuid *resource,
                 sp_time now)
{
    struct gw_peer *peer = gw_peer_find(gw, client);

    if (peer == NULL || gw_peer_resource(peer, resource) == NULL)
        return;
    SP_INFO(gw->cfg.log, GW, "access of a client was revoked");
    gw_peer_drop_resource(peer, resource);
    if (peer->n_resources == 0)
        gw_peer_close(gw, peer, now);
    else
        gw_peer_rebuild_routes(gw, peer);
}

void
gw_handle_resource_updated(struct sp_gw *gw, const struct sp_resource *r)
{
    for (size_t i = 0; i < gw->n_peers; i++) {
        struct gw_resource *res = gw_peer_resource(gw->peers[i], &r->id);

        if (res == NULL)
            continue;
        set_filters(res, r->filters, r->n_filters);
        gw_peer_rebuild_routes(gw, gw->peers[i]);
    }
}

void
gw_authz_tick(struct sp_gw *gw, sp_time now)
{
    for (size_t i = gw->n_peers; i-- > 0;) {
        struct gw_peer *peer = gw->peers[i];
        size_t before = peer->n_resources;

        for (size_t k = peer->n_resources; k-- > 0;)
            if (sp_time_due(peer->resources[k]->expires_at, now)) {
                struct sp_uuid id = peer->resources[k]->r.id;

                SP_INFO(gw->cfg.log, GW, "access of a client expired");
                gw_peer_drop_resource(peer, &id);
            }
        if (peer->n_resources == 0)
            gw_peer_close(gw, peer, now);
        else if (peer->n_resources != before)
            gw_peer_rebuild_routes(gw, peer);
    }
}
