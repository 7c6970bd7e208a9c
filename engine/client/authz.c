/* SPDX-License-Identifier: Apache-2.0 */
/* Asking the portal for access, and what its answers do. Source: spec tunnel A.11. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/err.h"
#include "engine/client/client-private.h"
#include "engine/crypto/mem.h"

struct client_peer *
client_authorized_peer(const struct sp_client *c, const struct sp_uuid *resource)
{
    const struct sp_uuid *gateway = sp_map_get(&c->authorized, resource);

    return gateway ? client_peer_find(c, gateway) : NULL;
}

void
client_authorization_forget(struct sp_client *c, const struct sp_uuid *resource)
{
    free(sp_map_del(&c->authorized, resource));
}

void
client_forget_gateway(struct sp_client *c, const struct sp_uuid *gateway)
{
    size_t pos = 0;
    const void *key;
    void *value;

    while (sp_map_next(&c->authorized, &pos, &key, &value))
        if (sp_uuid_equal(value, gateway))
            free(sp_map_del(&c->authorized, key));
}

static void
pending_free(struct client_pending *p)
{
    if (p)
        sp_pkt_queue_clear(&p->packets);
    free(p);
}

void
client_pending_drop(struct sp_client *c, const struct sp_uuid *resource)
{
    pending_free(sp_map_del(&c->pending, resource));
}

/* ---- requests ------------------------------------------------------------------------------ */

static size_t
remember(struct sp_uuid *list, size_t n, size_t max, const struct sp_uuid *id)
{
    for (size_t i = 0; i < n; i++)
        if (sp_uuid_equal(&list[i], id))
            return n;
    if (n < max)
        list[n++] = *id;
    return n;
}

static int
compare_ids(const void *a, const void *b)
{
    return sp_uuid_compare(a, b);
}

/* The gateways we would like: the one in use for this resource, those with a connection, then all
 * we ever saw, by id. A hint only. */
static size_t
preferences(const struct sp_client *c,
            const struct sp_uuid *resource,
            struct sp_uuid out[CLIENT_PREFERENCES_MAX])
{
    const struct sp_uuid *current = sp_map_get(&c->authorized, resource);
    struct sp_uuid rest[CLIENT_GATEWAYS_MAX];
    size_t n = 0;

    if (current)
        n = remember(out, n, CLIENT_PREFERENCES_MAX, current);
    for (size_t i = 0; i < c->n_peers; i++)
        n = remember(out, n, CLIENT_PREFERENCES_MAX, &c->peers[i]->id);
    if (c->n_gateways) {
        memcpy(rest, c->gateways, c->n_gateways * sizeof *rest);
        qsort(rest, c->n_gateways, sizeof *rest, compare_ids);
    }
    for (size_t i = 0; i < c->n_gateways; i++)
        n = remember(out, n, CLIENT_PREFERENCES_MAX, &rest[i]);
    return n;
}

static void
emit_request(struct sp_client *c, const struct sp_uuid *resource)
{
    struct sp_uuid prefer[CLIENT_PREFERENCES_MAX];
    size_t n = preferences(c, resource, prefer);
    struct sp_client_event ev = {
        .type = SP_CLIENT_EVENT_PORTAL,
        .u.portal = { .type = SP_CLIENT_REQ_AUTHORIZATION,
                      .u.authorization = { .resource_id = *resource, .n_connected_gateways = n } },
    };

    if (n) {
        ev.u.portal.u.authorization.connected_gateways = sp_xcalloc(n, sizeof *prefer);
        memcpy(ev.u.portal.u.authorization.connected_gateways, prefer, n * sizeof *prefer);
    }
    client_emit(c, &ev);
}

void
client_request(struct sp_client *c, const struct sp_uuid *resource, struct sp_pkt *pkt, sp_time now)
{
    struct client_pending *p = sp_map_get(&c->pending, resource);
    bool first = p == NULL;

    if (first) {
        p = sp_xcalloc(1, sizeof *p);
        p->resource = *resource;
        p->packets.max = CLIENT_RING_MAX;
        sp_map_put(&c->pending, resource, p);
    }
    if (pkt && sp_packet_queue_push_unique(&p->packets, pkt))
        sp_drops_add(&c->drops, SP_DROP_QUEUE_FULL);
    if (!first && sp_time_since(p->last_request, now) < CLIENT_REQUEST_GAP)
        return;
    p->last_request = now;
    emit_request(c, resource);
}

/* A program that only receives sends nothing that would make us ask (A.14, extended). */
void
client_remember_used(struct sp_client *c, const struct sp_uuid *gateway, sp_time now)
{
    size_t pos = 0;
    const void *resource;

    while (sp_map_next(&c->authorized, &pos, &resource, NULL)) {
        const struct client_peer *peer = client_authorized_peer(c, resource);

        if (peer == NULL || (gateway && !sp_uuid_equal(&peer->id, gateway))
            || sp_time_since(peer->used, now) >= CLIENT_USED)
            continue;
        c->n_restore = remember(c->restore, c->n_restore, CLIENT_RESTORE_MAX, resource);
        c->restore_until = sp_time_add(now, CLIENT_RESTORE);
    }
}

void
client_request_again(struct sp_client *c, sp_time now)
{
    size_t pos = 0;
    void *value;

    for (size_t i = 0; i < c->n_restore && now < c->restore_until; i++) {
        const struct client_resource *res = client_resource_find(c, &c->restore[i]);

        if (res == NULL || client_authorized_peer(c, &res->r.id)
            || (res->r.type == SP_RESOURCE_INTERNET && client_internet(c) != res))
            continue;
        client_request(c, &res->r.id, NULL, now);
    }
    c->n_restore = 0;
    while (sp_map_next(&c->pending, &pos, NULL, &value)) {
        struct client_pending *p = value;

        if (p->last_request == now || sp_time_since(p->last_request, now) >= CLIENT_REPEAT)
            continue;
        p->last_request = now;
        emit_request(c, &p->resource);
    }
}

/* ---- answers ------------------------------------------------------------------------------- */

static void
allow_sources(struct sp_client *c, struct client_peer *peer, const struct client_resource *res)
{
    static const struct sp_cidr any4 = { .ip = { .family = 4 } }, any6 = { .ip = { .family = 6 } };

    switch (res->r.type) {
    case SP_RESOURCE_CIDR:
        client_peer_allow(c, peer, &res->r.net, &res->r.id);
        break;
    case SP_RESOURCE_INTERNET:
        client_peer_allow(c, peer, &any4, &res->r.id);
        client_peer_allow(c, peer, &any6, &res->r.id);
        break;
    case SP_RESOURCE_DNS: /* opened with each name's assigned-ips */
        break;
    }
}

static void
remember_gateway(struct sp_client *c, const struct sp_uuid *id)
{
    for (size_t i = 0; i < c->n_gateways; i++)
        if (sp_uuid_equal(&c->gateways[i], id))
            return;
    if (c->n_gateways == CLIENT_GATEWAYS_MAX) {
        memmove(&c->gateways[0], &c->gateways[1], sizeof c->gateways - sizeof c->gateways[0]);
        c->n_gateways--;
    }
    c->gateways[c->n_gateways++] = *id;
}

static int
connect_gateway(struct sp_client *c, const struct sp_client_authorized *grant, sp_time now)
{
    struct sp_node_peer_params params = {
        .local = grant->client_creds,
        .remote = grant->gateway_creds,
        .controlling = true,
    };
    int r;

    memcpy(params.remote_key, grant->gateway_key, sizeof params.remote_key);
    memcpy(params.psk, grant->psk, sizeof params.psk);
    r = sp_node_upsert(c->node, &grant->gateway_id, &params, now);
    sp_wipe(&params, sizeof params);
    return r;
}

static void
store_authorization(struct sp_client *c, const struct sp_client_authorized *grant)
{
    struct client_peer *old = client_authorized_peer(c, &grant->resource_id);
    struct sp_uuid *gateway = sp_xcalloc(1, sizeof *gateway);

    if (old && !sp_uuid_equal(&old->id, &grant->gateway_id))
        sp_route_table_remove_resource(&old->allowed, &grant->resource_id);
    *gateway = grant->gateway_id;
    free(sp_map_put(&c->authorized, &grant->resource_id, gateway));
    remember_gateway(c, gateway);
}

/* The node replaced the connection because a key or a secret changed: the gateway restarted, and what
 * it had granted before went with it. */
static void
forget_what_it_knew(struct sp_client *c, struct client_peer *peer)
{
    peer->established = false;
    client_forget_gateway(c, &peer->id);
    sp_route_table_clear(&peer->allowed);
    sp_nat_dns_remove_gateway(&c->dns_nat, &peer->id);
}

void
client_handle_authorized(struct sp_client *c, const struct sp_client_authorized *grant, sp_time now)
{
    struct client_resource *res = client_resource_find(c, &grant->resource_id);
    struct client_pending *p;
    struct client_peer *peer;
    struct sp_pkt *pkt;
    int r;

    if (res == NULL) {
        SP_WARN(c->cfg.log, CLIENT, "access granted to a resource that is not known");
        return;
    }
    p = sp_map_del(&c->pending, &grant->resource_id);
    if (p == NULL) {
        SP_DEBUG(c->cfg.log, CLIENT, "access granted that nobody waits for");
        return;
    }
    r = connect_gateway(c, grant, now);
    if (r == SP_NODE_NO_RELAYS) {
        struct sp_client_event ev = { .type = SP_CLIENT_EVENT_PORTAL,
                                      .u.portal = { .type = SP_CLIENT_REQ_NO_RELAYS } };

        SP_WARN(c->cfg.log, CLIENT, "no relay and no own address to connect from");
        client_emit(c, &ev);
    } else if (r < 0) {
        SP_WARN(c->cfg.log, CLIENT, "cannot connect to the gateway: %s", sp_strerror(r));
    }
    if (r < 0 || r == SP_NODE_NO_RELAYS) {
        pending_free(p);
        return;
    }
    peer = client_peer_find(c, &grant->gateway_id);
    if (peer && r == 0)
        forget_what_it_knew(c, peer);
    peer = client_peer_upsert(c, grant);
    peer->used = now;
    store_authorization(c, grant);
    allow_sources(c, peer, res);
    if (res->r.type == SP_RESOURCE_DNS)
        client_dns_nat_renew(c, &res->r.id, now);
    while ((pkt = sp_pkt_queue_pop(&p->packets)) != NULL)
        client_outbound(c, pkt, now);
    pending_free(p);
}

static void
tell_once(struct sp_client *c,
          enum sp_client_event_type type,
          const struct sp_uuid *resource,
          bool *told)
{
    struct sp_client_event ev = { .type = type, .u.resource_id = *resource };

    if (*told)
        return;
    *told = true;
    client_emit(c, &ev);
}

static void
handle_offline(struct sp_client *c, struct client_resource *res, sp_time now)
{
    struct client_peer *peer = client_authorized_peer(c, &res->r.id);

    client_pending_drop(c, &res->r.id);
    if (peer)
        client_peer_close(c, peer, now);
    for (size_t i = 0; i < res->r.n_sites; i++)
        client_site_set(c, &res->r.sites[i].id, SP_RESOURCE_OFFLINE, now);
    tell_once(c, SP_CLIENT_EVENT_OFFLINE, &res->r.id, &res->told_offline);
}

void
client_handle_authorization_failed(struct sp_client *c,
                                   const struct sp_uuid *resource,
                                   enum sp_fail_reason reason,
                                   sp_time now)
{
    struct client_resource *res = client_resource_find(c, resource);

    SP_INFO(c->cfg.log, CLIENT, "access was not granted: %s", sp_fail_reason_name(reason));
    if (res == NULL)
        return;
    if (reason == SP_FAIL_OFFLINE)
        handle_offline(c, res, now);
    else if (reason == SP_FAIL_VERSION_MISMATCH)
        tell_once(c, SP_CLIENT_EVENT_VERSION_MISMATCH, resource, &res->told_version);
}

void
client_authz_done(struct sp_client *c)
{
    size_t pos = 0;
    void *value;

    while (sp_map_next(&c->authorized, &pos, NULL, &value))
        free(value);
    sp_map_done(&c->authorized);
    pos = 0;
    while (sp_map_next(&c->pending, &pos, NULL, &value))
        pending_free(value);
    sp_map_done(&c->pending);
}
