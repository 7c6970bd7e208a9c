/* SPDX-License-Identifier: Apache-2.0 */
/* The resource table and the status of sites. Source: spec tunnel A.1, A.8, A.12. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/err.h"
#include "engine/client/client-private.h"

/* ---- sites --------------------------------------------------------------------------------- */

static struct client_site *
site_find(const struct sp_client *c, const struct sp_uuid *id)
{
    for (size_t i = 0; i < c->n_sites; i++)
        if (sp_uuid_equal(&c->sites[i].id, id))
            return &c->sites[i];
    return NULL;
}

enum sp_resource_status
client_site_status(const struct sp_client *c, const struct sp_uuid *site)
{
    const struct client_site *s = site_find(c, site);

    return s ? s->status : SP_RESOURCE_UNKNOWN;
}

void
client_site_set(struct sp_client *c,
                const struct sp_uuid *site,
                enum sp_resource_status status,
                sp_time now)
{
    struct client_site *s = site_find(c, site);

    if (s == NULL) {
        if (status == SP_RESOURCE_UNKNOWN)
            return;
        c->sites = sp_xrealloc(c->sites, c->n_sites + 1, sizeof *c->sites);
        s = &c->sites[c->n_sites++];
        *s = (struct client_site){ .id = *site };
    }
    if (s->status != status)
        c->list_dirty = true;
    s->status = status;
    s->offline_until =
        status == SP_RESOURCE_OFFLINE ? sp_time_add(now, CLIENT_OFFLINE_RESET) : SP_TIME_NEVER;
}

void
client_sites_timeout(struct sp_client *c, sp_time now)
{
    for (size_t i = 0; i < c->n_sites; i++)
        if (c->sites[i].status == SP_RESOURCE_OFFLINE
            && sp_time_due(c->sites[i].offline_until, now))
            client_site_set(c, &c->sites[i].id, SP_RESOURCE_UNKNOWN, now);
}

sp_time
client_sites_next_timeout(const struct sp_client *c)
{
    sp_time next = SP_TIME_NEVER;

    for (size_t i = 0; i < c->n_sites; i++)
        if (c->sites[i].status == SP_RESOURCE_OFFLINE)
            next = sp_time_min(next, c->sites[i].offline_until);
    return next;
}

/* Only sites that some resource still names are kept, so the table cannot grow without bound. */
static void
sites_prune(struct sp_client *c)
{
    size_t kept = 0;

    for (size_t i = 0; i < c->n_sites; i++) {
        bool named = false;

        for (size_t k = 0; k < c->n_resources && !named; k++)
            for (size_t s = 0; s < c->resources[k]->r.n_sites && !named; s++)
                named = sp_uuid_equal(&c->resources[k]->r.sites[s].id, &c->sites[i].id);
        if (named)
            c->sites[kept++] = c->sites[i];
    }
    c->n_sites = kept;
}

/* ---- table --------------------------------------------------------------------------------- */

/* Position of @id in the sorted array, or where it would be inserted. */
static size_t
position(const struct sp_client *c, const struct sp_uuid *id)
{
    size_t lo = 0, hi = c->n_resources;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (sp_uuid_compare(&c->resources[mid]->r.id, id) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

struct client_resource *
client_resource_find(const struct sp_client *c, const struct sp_uuid *id)
{
    size_t i = position(c, id);

    if (i < c->n_resources && sp_uuid_equal(&c->resources[i]->r.id, id))
        return c->resources[i];
    return NULL;
}

struct client_resource *
client_internet(const struct sp_client *c)
{
    if (!c->internet_active)
        return NULL;
    for (size_t i = 0; i < c->n_resources; i++)
        if (c->resources[i]->r.type == SP_RESOURCE_INTERNET)
            return c->resources[i];
    return NULL;
}

static void
add_routes(struct sp_client *c, struct client_resource *res)
{
    switch (res->r.type) {
    case SP_RESOURCE_CIDR:
        if (sp_route_table_insert(&c->cidr_routes, &res->r.net, &res->r.id, res->filter, NULL, NULL)
            < 0)
            SP_WARN(c->cfg.log, CLIENT, "too many routes, a resource is not reachable");
        break;
    case SP_RESOURCE_DNS:
        client_dns_add_resource(c, res);
        break;
    case SP_RESOURCE_INTERNET:
        break;
    }
}

static void
close_unused_peers(struct sp_client *c, sp_time now)
{
    for (size_t i = c->n_peers; i-- > 0;)
        if (c->peers[i]->allowed.len == 0) {
            client_site_set(c, &c->peers[i]->site, SP_RESOURCE_UNKNOWN, now);
            client_peer_close(c, c->peers[i], now);
        }
}

void
client_resource_disable(struct sp_client *c, struct client_resource *res, sp_time now)
{
    struct client_peer *peer = client_authorized_peer(c, &res->r.id);

    if (res->r.type == SP_RESOURCE_INTERNET)
        c->internet_active = false;
    client_dns_remove_resource(c, res);
    sp_route_table_remove_resource(&c->cidr_routes, &res->r.id);
    client_pending_drop(c, &res->r.id);
    client_authorization_forget(c, &res->r.id);
    sp_nat_dns_remove_resource(&c->dns_nat, &res->r.id);
    c->tun_dirty = c->list_dirty = true;
    if (peer == NULL)
        return;
    sp_route_table_remove_resource(&peer->allowed, &res->r.id);
    close_unused_peers(c, now);
}

static void
resource_free(struct client_resource *res)
{
    sp_resource_done(&res->r);
    sp_filter_unref(res->filter);
    free(res);
}

void
client_resource_remove(struct sp_client *c, const struct sp_uuid *id, sp_time now)
{
    size_t i = position(c, id);
    struct client_resource *res = client_resource_find(c, id);

    if (res == NULL)
        return;
    SP_DEBUG(c->cfg.log, CLIENT, "resource removed");
    client_resource_disable(c, res, now);
    memmove(&c->resources[i],
            &c->resources[i + 1],
            (c->n_resources - i - 1) * sizeof *c->resources);
    c->n_resources--;
    resource_free(res);
    sites_prune(c);
    sp_client_flush_dns_cache(c);
}

static bool
same_sites(const struct sp_resource *a, const struct sp_resource *b)
{
    if (a->n_sites != b->n_sites)
        return false;
    for (size_t i = 0; i < a->n_sites; i++) {
        bool found = false;

        for (size_t k = 0; k < b->n_sites && !found; k++)
            found = sp_uuid_equal(&a->sites[i].id, &b->sites[k].id);
        if (!found)
            return false;
    }
    return true;
}

static bool
same_filters(const struct sp_resource *a, const struct sp_resource *b)
{
    if (a->n_filters != b->n_filters)
        return false;
    for (size_t i = 0; i < a->n_filters; i++)
        if (a->filters[i].proto != b->filters[i].proto
            || a->filters[i].port_start != b->filters[i].port_start
            || a->filters[i].port_end != b->filters[i].port_end)
            return false;
    return true;
}

/* Does the change close access (A.1 "upsert"), or is it only for people to read? */
static bool
same_access(const struct sp_resource *a, const struct sp_resource *b)
{
    const char *left = a->address ? a->address : "", *right = b->address ? b->address : "";

    return a->type == b->type && strcmp(left, right) == 0 && a->ip_stack == b->ip_stack
           && same_sites(a, b) && same_filters(a, b);
}

static void
insert(struct sp_client *c, struct sp_resource *r)
{
    size_t i = position(c, &r->id);
    struct client_resource *res = sp_xcalloc(1, sizeof *res);

    res->r = *r;
    *r = (struct sp_resource){ 0 };
    res->filter = sp_filter_new(res->r.filters, res->r.n_filters);
    c->resources = sp_xrealloc(c->resources, c->n_resources + 1, sizeof *c->resources);
    memmove(&c->resources[i + 1], &c->resources[i], (c->n_resources - i) * sizeof *c->resources);
    c->resources[i] = res;
    c->n_resources++;
    add_routes(c, res);
}

void
client_resource_upsert(struct sp_client *c, struct sp_resource *r, sp_time now)
{
    struct client_resource *known = client_resource_find(c, &r->id);
    bool was_active = c->internet_active;

    if (known && same_access(&known->r, r)) {
        sp_resource_done(&known->r);
        known->r = *r;
        *r = (struct sp_resource){ 0 };
    } else if (known || c->n_resources < SP_MODEL_RESOURCES_MAX) {
        if (known)
            client_resource_remove(c, &r->id, now);
        if (r->type == SP_RESOURCE_INTERNET)
            c->internet_active = was_active;
        insert(c, r);
    } else {
        SP_WARN(c->cfg.log, CLIENT, "too many resources, one was ignored");
        sp_resource_done(r);
    }
    c->tun_dirty = c->list_dirty = true;
    sp_client_flush_dns_cache(c);
}

void
client_resources_replace(struct sp_client *c, struct sp_resource *list, size_t n, sp_time now)
{
    for (size_t i = c->n_resources; i-- > 0;) {
        struct sp_uuid id = c->resources[i]->r.id;
        bool kept = false;

        for (size_t k = 0; k < n && !kept; k++)
            kept = sp_uuid_equal(&list[k].id, &id);
        if (!kept)
            client_resource_remove(c, &id, now);
    }
    for (size_t i = 0; i < n; i++)
        client_resource_upsert(c, &list[i], now);
    free(list);
}

void
client_resources_done(struct sp_client *c)
{
    for (size_t i = 0; i < c->n_resources; i++)
        resource_free(c->resources[i]);
    free(c->resources);
    free(c->sites);
}
