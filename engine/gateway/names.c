/* SPDX-License-Identifier: Apache-2.0 */
/* Proxy addresses of a client's names and the real addresses behind them. Source: spec tunnel B.7. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/err.h"
#include "engine/dns/name.h"
#include "engine/gateway/gateway-private.h"
#include "engine/ip/ranges.h"

static void
send_status(struct sp_gw *gw,
            const struct gw_peer *peer,
            const struct sp_uuid *resource,
            const char *domain,
            bool active,
            sp_time now)
{
    struct sp_pkt *pkt = sp_pkt_alloc(gw->cfg.pool);
    size_t len;

    if (pkt == NULL) {
        sp_drops_add(&gw->drops, SP_DROP_NO_MEMORY);
        return;
    }
    if (sp_control_build_domain_status(sp_pkt_data(pkt), SP_MTU, resource, domain, active, &len)
        < 0) {
        sp_pkt_free(pkt);
        return;
    }
    pkt->len = (uint16_t)len;
    gw_send(gw, peer, pkt, now);
}

void
gw_handle_assigned_ips(struct sp_gw *gw,
                       struct gw_peer *peer,
                       const struct sp_control_event *ev,
                       sp_time now)
{
    struct sp_gw_event out = { .type = SP_GW_EVENT_RESOLVE };
    struct gw_lookup *lookup;

    if (gw_peer_resource(peer, &ev->resource) == NULL) {
        send_status(gw, peer, &ev->resource, ev->domain, false, now);
        return;
    }
    if (gw->lookups.len >= GW_LOOKUPS_MAX) {
        sp_drops_add(&gw->drops, SP_DROP_QUEUE_FULL); /* the client sends it again */
        return;
    }
    lookup = sp_xcalloc(1, sizeof *lookup);
    lookup->id = ++gw->last_lookup;
    lookup->peer = peer->id;
    lookup->resource = ev->resource;
    memcpy(lookup->domain, ev->domain, sizeof lookup->domain);
    memcpy(lookup->proxies, ev->proxy_ips, sizeof lookup->proxies);
    lookup->n_proxies = ev->n_proxy_ips;
    sp_map_put(&gw->lookups, &lookup->id, lookup);
    out.u.resolve.id = lookup->id;
    out.u.resolve.domain = sp_xstrdup(ev->domain);
    gw_emit(gw, &out);
}

/* ---- set-up -------------------------------------------------------------------------------- */

static int
compare_ips(const void *a, const void *b)
{
    return sp_ip_compare(a, b);
}

static bool
matches(const struct gw_resource *res, const char *domain)
{
    struct sp_dns_name name;

    return res->r.type == SP_RESOURCE_DNS && sp_dns_name_parse(domain, &name) == 0
           && sp_dns_pattern_match(&res->pattern, &name);
}

/* A proxy address that stood for another name: the client started numbering again. */
static void
wipe_if_renumbered(struct gw_peer *peer, const struct gw_lookup *lookup)
{
    for (size_t i = 0; i < lookup->n_proxies; i++) {
        const struct gw_translation *t = sp_map_get(&peer->translations, &lookup->proxies[i]);

        if (t && strcmp(t->domain, lookup->domain) != 0) {
            gw_peer_clear_translations(peer);
            sp_nat_gw_clear(&peer->nat);
            return;
        }
    }
}

static void
register_resource(struct gw_translation *t, const struct sp_uuid *id)
{
    for (size_t i = 0; i < t->n_resources; i++)
        if (sp_uuid_equal(&t->resources[i], id))
            return;
    t->resources = sp_xrealloc(t->resources, t->n_resources + 1, sizeof *t->resources);
    t->resources[t->n_resources++] = *id;
}

static void
forget_registration(struct gw_translation *t, const struct sp_uuid *id)
{
    for (size_t i = 0; i < t->n_resources; i++)
        if (sp_uuid_equal(&t->resources[i], id)) {
            t->resources[i] = t->resources[--t->n_resources];
            return;
        }
}

void
gw_names_adopt(struct gw_peer *peer, const struct gw_resource *res)
{
    size_t pos = 0;
    void *value;

    while (sp_map_next(&peer->translations, &pos, NULL, &value)) {
        struct gw_translation *t = value;

        if (!matches(res, t->domain))
            forget_registration(t, &res->r.id);
    }
}

static bool
is_in_use(const struct gw_peer *peer, const struct gw_translation *t)
{
    for (size_t i = 0; i < t->n_resources; i++)
        if (gw_peer_resource(peer, &t->resources[i]))
            return true;
    return false;
}

/* Make room: what belongs to no resource of today may be asked for again. */
static void
forget_unused(struct gw_peer *peer)
{
    size_t pos = 0;
    const void *key;
    void *value;

    while (sp_map_next(&peer->translations, &pos, &key, &value))
        if (!is_in_use(peer, value)) {
            sp_map_del(&peer->translations, key);
            gw_translation_free(value);
        }
}

static int
bind_proxy(struct gw_peer *peer,
           const struct gw_lookup *lookup,
           const struct sp_ip *proxy,
           const struct sp_ip *target)
{
    struct gw_translation *t = sp_map_get(&peer->translations, proxy);

    if (t == NULL) {
        if (peer->translations.len >= GW_NAMES_MAX)
            forget_unused(peer);
        if (peer->translations.len >= GW_NAMES_MAX)
            return SP_E_LIMIT;
        t = sp_xcalloc(1, sizeof *t);
        t->proxy = *proxy;
        t->domain = sp_xstrdup(lookup->domain);
        sp_map_put(&peer->translations, proxy, t);
    }
    t->target = *target;
    register_resource(t, &lookup->resource);
    return 0;
}

/* The addresses of one family, sorted, are dealt to the proxy addresses of that family in turn. */
static int
bind_family(struct gw_peer *peer,
            const struct gw_lookup *lookup,
            uint8_t family,
            const struct sp_ip *addrs,
            size_t n)
{
    struct sp_ip own[SP_GW_RESOLVED_MAX];
    size_t n_own = 0, k = 0;

    for (size_t i = 0; i < n && n_own < SP_GW_RESOLVED_MAX; i++)
        if (addrs[i].family == family)
            own[n_own++] = addrs[i];
    qsort(own, n_own, sizeof *own, compare_ips);
    for (size_t i = 0; i < lookup->n_proxies; i++) {
        static const struct sp_ip none = { 0 };
        int r;

        if (lookup->proxies[i].family != family)
            continue;
        r = bind_proxy(peer, lookup, &lookup->proxies[i], n_own ? &own[k++ % n_own] : &none);
        if (r < 0)
            return r;
    }
    return 0;
}

static int
setup_nat(struct sp_gw *gw,
          struct gw_peer *peer,
          struct gw_lookup *lookup,
          const struct sp_ip *addrs,
          size_t n)
{
    const struct gw_resource *res = gw_peer_resource(peer, &lookup->resource);
    int r;

    if (res == NULL || !matches(res, lookup->domain))
        return SP_E_NOTFOUND;
    for (size_t i = 0; i < lookup->n_proxies; i++)
        if (!sp_range_has(&sp_range_proxy, &lookup->proxies[i]))
            return SP_E_MALFORMED;
    wipe_if_renumbered(peer, lookup);
    qsort(lookup->proxies, lookup->n_proxies, sizeof *lookup->proxies, compare_ips);
    r = bind_family(peer, lookup, 4, addrs, n);
    if (r == 0)
        r = bind_family(peer, lookup, 6, addrs, n);
    gw_peer_rebuild_routes(gw, peer);
    return r;
}

void
gw_names_resolved(struct sp_gw *gw,
                  uint64_t id,
                  bool failed,
                  const struct sp_ip *addrs,
                  size_t n,
                  sp_time now)
{
    struct gw_lookup *lookup = sp_map_del(&gw->lookups, &id);
    struct gw_peer *peer = lookup ? gw_peer_find(gw, &lookup->peer) : NULL;

    if (peer) {
        int r = failed ? SP_E_NOTFOUND : setup_nat(gw, peer, lookup, addrs, n);

        if (r < 0)
            SP_DEBUG(gw->cfg.log, GW, "a name was not set up: %s", sp_strerror(r));
        send_status(gw, peer, &lookup->resource, lookup->domain, r == 0, now);
    }
    free(lookup);
}

void
gw_names_done(struct sp_gw *gw)
{
    size_t pos = 0;
    void *lookup;

    while (sp_map_next(&gw->lookups, &pos, NULL, &lookup))
        free(lookup);
    sp_map_done(&gw->lookups);
}
