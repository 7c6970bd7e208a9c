/* SPDX-License-Identifier: Apache-2.0 */
/* What the operating system and people are told. Source: spec tunnel A.7, A.12. */
#include <stdlib.h>
#include <string.h>

#include "engine/client/client-private.h"

/* Always routed to us: peers, proxy addresses, sentinels (0.1). */
static const char *const fixed_routes[] = {
    "100.64.0.0/11",    "fd00:2021:1111::/107",
    "100.96.0.0/11",    "fd00:2021:1111:8000::/107",
    "100.100.111.0/24", "fd00:2021:1111:8000:100:100:111:0/120",
};

static int
compare_routes(const void *a, const void *b)
{
    const struct sp_cidr *left = a, *right = b;
    int order = sp_ip_compare(&left->ip, &right->ip);

    return order ? order : (int)left->len - (int)right->len;
}

static void
sort_unique(struct sp_cidr *routes, size_t *n)
{
    size_t kept = 0;

    qsort(routes, *n, sizeof *routes, compare_routes);
    for (size_t i = 0; i < *n; i++)
        if (kept == 0 || compare_routes(&routes[kept - 1], &routes[i]) != 0)
            routes[kept++] = routes[i];
    *n = kept;
}

static void
build_routes(const struct sp_client *c, struct sp_client_tun_config *t)
{
    size_t n = 0;

    t->routes = sp_xcalloc(SP_ARRAY_SIZE(fixed_routes) + c->n_resources + 2, sizeof *t->routes);
    for (size_t i = 0; i < SP_ARRAY_SIZE(fixed_routes); i++)
        sp_assert(sp_cidr_parse(fixed_routes[i], &t->routes[n++]) == 0);
    for (size_t i = 0; i < c->n_resources; i++)
        if (c->resources[i]->r.type == SP_RESOURCE_CIDR)
            t->routes[n++] = c->resources[i]->r.net;
    if (client_internet(c)) {
        t->routes[n++] = (struct sp_cidr){ .ip = { .family = 4 } };
        t->routes[n++] = (struct sp_cidr){ .ip = { .family = 6 } };
    }
    sort_unique(t->routes, &n);
    t->n_routes = n;
}

static void
build_servers(const struct sp_client *c, struct sp_client_tun_config *t)
{
    const struct sp_dns_servers *servers = &c->dns.servers;

    t->dns = sp_xcalloc(servers->n, sizeof *t->dns);
    t->n_dns = servers->n;
    for (size_t i = 0; i < servers->n; i++) {
        const struct sp_dns_upstream *up = &servers->map[i].upstream;

        t->dns[i].sentinel = servers->map[i].sentinel;
        if (up->kind == SP_DNS_DO53)
            t->dns[i].upstream = up->ip;
        else
            t->dns[i].doh_url = sp_xstrdup(up->url);
    }
}

void
client_tun_config_done(struct sp_client_tun_config *t)
{
    for (size_t i = 0; i < t->n_dns; i++)
        free(t->dns[i].doh_url);
    free(t->dns);
    free(t->routes);
    free(t->search_domain);
    *t = (struct sp_client_tun_config){ 0 };
}

static bool
same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool
same_config(const struct sp_client_tun_config *a, const struct sp_client_tun_config *b)
{
    if (!sp_ip_equal(&a->ipv4, &b->ipv4) || !sp_ip_equal(&a->ipv6, &b->ipv6)
        || a->n_routes != b->n_routes || a->n_dns != b->n_dns
        || !same_text(a->search_domain, b->search_domain))
        return false;
    for (size_t i = 0; i < a->n_routes; i++)
        if (!sp_cidr_equal(&a->routes[i], &b->routes[i]))
            return false;
    for (size_t i = 0; i < a->n_dns; i++)
        if (!sp_ip_equal(&a->dns[i].sentinel, &b->dns[i].sentinel)
            || !sp_ip_equal(&a->dns[i].upstream, &b->dns[i].upstream)
            || !same_text(a->dns[i].doh_url, b->dns[i].doh_url))
            return false;
    return true;
}

static void
build_config(const struct sp_client *c, struct sp_client_tun_config *t)
{
    *t = (struct sp_client_tun_config){
        .ipv4 = c->interface.ipv4,
        .ipv6 = c->interface.ipv6,
        .search_domain = sp_xstrdup(c->interface.search_domain),
    };
    build_routes(c, t);
    build_servers(c, t);
}

bool
client_poll_tun_config(struct sp_client *c, struct sp_client_event *ret_ev)
{
    struct sp_client_tun_config config;

    if (!c->tun_dirty || !c->have_interface)
        return false;
    c->tun_dirty = false;
    build_config(c, &config);
    if (c->have_last_tun && same_config(&config, &c->last_tun)) {
        client_tun_config_done(&config);
        return false;
    }
    c->dns_reset_due = c->have_last_tun;
    client_dns_tcp_retarget(c);
    client_tun_config_done(&c->last_tun);
    c->last_tun = config;
    c->have_last_tun = true;
    *ret_ev = (struct sp_client_event){ .type = SP_CLIENT_EVENT_TUN_CONFIG };
    build_config(c, &ret_ev->u.tun);
    return true;
}

/* ---- resource list ------------------------------------------------------------------------- */

static enum sp_resource_status
resource_status(const struct sp_client *c, const struct sp_resource *r)
{
    size_t offline = 0;

    for (size_t i = 0; i < r->n_sites; i++) {
        switch (client_site_status(c, &r->sites[i].id)) {
        case SP_RESOURCE_ONLINE:
            return SP_RESOURCE_ONLINE;
        case SP_RESOURCE_OFFLINE:
            offline++;
            break;
        case SP_RESOURCE_UNKNOWN:
            break;
        }
    }
    return r->n_sites && offline == r->n_sites ? SP_RESOURCE_OFFLINE : SP_RESOURCE_UNKNOWN;
}

static int
compare_views(const void *a, const void *b)
{
    const struct sp_resource *left = &((const struct sp_client_resource_view *)a)->resource;
    const struct sp_resource *right = &((const struct sp_client_resource_view *)b)->resource;
    bool li = left->type == SP_RESOURCE_INTERNET, ri = right->type == SP_RESOURCE_INTERNET;
    int order;

    if (li != ri)
        return li ? -1 : 1;
    order = strcmp(left->name ? left->name : "", right->name ? right->name : "");
    return order ? order : sp_uuid_compare(&left->id, &right->id);
}

static void
views_done(struct sp_client_resource_view *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sp_resource_done(&list[i].resource);
    free(list);
}

void
client_list_done(struct sp_client *c)
{
    views_done(c->last_list, c->n_last_list);
    c->last_list = NULL;
    c->n_last_list = 0;
}

static struct sp_client_resource_view *
build_list(const struct sp_client *c)
{
    struct sp_client_resource_view *list = sp_xcalloc(c->n_resources, sizeof *list);

    for (size_t i = 0; i < c->n_resources; i++) {
        const struct sp_resource *r = &c->resources[i]->r;

        sp_resource_copy(&list[i].resource, r);
        list[i].status = resource_status(c, r);
        list[i].enabled = r->type != SP_RESOURCE_INTERNET || c->internet_active;
    }
    qsort(list, c->n_resources, sizeof *list, compare_views);
    return list;
}

static bool
same_sites(const struct sp_resource *a, const struct sp_resource *b)
{
    if (a->n_sites != b->n_sites)
        return false;
    for (size_t i = 0; i < a->n_sites; i++)
        if (!sp_uuid_equal(&a->sites[i].id, &b->sites[i].id)
            || !same_text(a->sites[i].name, b->sites[i].name))
            return false;
    return true;
}

/* What people see of a resource; filters and stack are not part of it. */
static bool
same_view(const struct sp_client_resource_view *a, const struct sp_client_resource_view *b)
{
    const struct sp_resource *left = &a->resource, *right = &b->resource;

    return sp_uuid_equal(&left->id, &right->id) && left->type == right->type
           && a->status == b->status && a->enabled == b->enabled
           && same_text(left->name, right->name) && same_text(left->address, right->address)
           && same_text(left->address_description, right->address_description)
           && same_sites(left, right);
}

static bool
same_list(const struct sp_client *c, const struct sp_client_resource_view *list)
{
    if (!c->have_last_list || c->n_last_list != c->n_resources)
        return false;
    for (size_t i = 0; i < c->n_resources; i++)
        if (!same_view(&c->last_list[i], &list[i]))
            return false;
    return true;
}

bool
client_poll_list(struct sp_client *c, struct sp_client_event *ret_ev)
{
    struct sp_client_resource_view *list;

    if (!c->list_dirty)
        return false;
    c->list_dirty = false;
    list = build_list(c);
    if (same_list(c, list)) {
        views_done(list, c->n_resources);
        return false;
    }
    client_list_done(c);
    c->last_list = list;
    c->n_last_list = c->n_resources;
    c->have_last_list = true;
    *ret_ev = (struct sp_client_event){
        .type = SP_CLIENT_EVENT_RESOURCES,
        .u.resources = { .list = build_list(c), .n = c->n_resources },
    };
    return true;
}
