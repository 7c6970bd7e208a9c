/* SPDX-License-Identifier: Apache-2.0 */
#include "app/tunneld/views.h"

#include <string.h>

#include "app/platform/tun.h"

static void
put(GVariantBuilder *b, const char *key, GVariant *value)
{
    g_variant_builder_add(b, "{sv}", key, value);
}

static void
put_text(GVariantBuilder *b, const char *key, const char *text)
{
    /* Whatever a portal sent, the bus carries UTF-8 only. */
    g_autofree char *valid = g_utf8_make_valid(text ? text : "", -1);

    put(b, key, g_variant_new_string(valid));
}

static void
put_u64(GVariantBuilder *b, const char *key, uint64_t value)
{
    put(b, key, g_variant_new_uint64(value));
}

/* ---- resources --------------------------------------------------------------------------------- */

static const char *
type_name(enum sp_resource_type type)
{
    switch (type) {
    case SP_RESOURCE_DNS:
        return "dns";
    case SP_RESOURCE_CIDR:
        return "cidr";
    case SP_RESOURCE_INTERNET:
        return "internet";
    }
    return "";
}

static const char *
status_name(enum sp_resource_status status)
{
    switch (status) {
    case SP_RESOURCE_UNKNOWN:
        return "unknown";
    case SP_RESOURCE_ONLINE:
        return "online";
    case SP_RESOURCE_OFFLINE:
        return "offline";
    }
    return "";
}

gboolean
sp_td_filter_parse(GVariant *options, struct sp_td_filter *ret, GError **error)
{
    GVariantIter iter;
    const char *key;
    GVariant *value;

    *ret = (struct sp_td_filter){ 0 };
    g_variant_iter_init(&iter, options);
    while (g_variant_iter_next(&iter, "{&sv}", &key, &value)) {
        const char **place = strcmp(key, "type") == 0        ? &ret->type
                             : strcmp(key, "status") == 0    ? &ret->status
                             : strcmp(key, "name-glob") == 0 ? &ret->name_glob
                                                             : NULL;
        bool ok = place && g_variant_is_of_type(value, G_VARIANT_TYPE_STRING);

        if (ok)
            *place = g_variant_get_string(value, NULL);
        g_variant_unref(value); /* the text lives in @options */
        if (!ok) {
            g_set_error(error, G_DBUS_ERROR, G_DBUS_ERROR_INVALID_ARGS, "filter: %s", key);
            return FALSE;
        }
    }
    return TRUE;
}

static bool
matches(const struct sp_client_resource_view *v, const struct sp_td_filter *f)
{
    return (!f->type || strcmp(f->type, type_name(v->resource.type)) == 0)
           && (!f->status || strcmp(f->status, status_name(v->status)) == 0)
           && (!f->name_glob
               || g_pattern_match_simple(f->name_glob, v->resource.name ? v->resource.name : ""));
}

static GVariant *
sites(const struct sp_resource *r)
{
    GVariantBuilder b;

    g_variant_builder_init(&b, G_VARIANT_TYPE("a(ss)"));
    for (size_t i = 0; i < r->n_sites; i++) {
        char id[SP_UUID_STR_MAX];
        g_autofree char *name = g_utf8_make_valid(r->sites[i].name ? r->sites[i].name : "", -1);

        g_variant_builder_add(&b, "(ss)", sp_uuid_format(&r->sites[i].id, id), name);
    }
    return g_variant_builder_end(&b);
}

static GVariant *
resource(const struct sp_client_resource_view *v)
{
    const struct sp_resource *r = &v->resource;
    char id[SP_UUID_STR_MAX];
    GVariantBuilder b;

    g_variant_builder_init(&b, G_VARIANT_TYPE_VARDICT);
    put_text(&b, "id", sp_uuid_format(&r->id, id));
    put_text(&b, "type", type_name(r->type));
    put_text(&b, "name", r->name);
    put_text(&b, "address", r->address);
    put_text(&b, "address-description", r->address_description);
    put_text(&b, "status", status_name(v->status));
    put(&b, "sites", sites(r));
    put(&b, "enabled", g_variant_new_boolean(v->enabled));
    put(&b, "can-toggle", g_variant_new_boolean(r->type == SP_RESOURCE_INTERNET));
    return g_variant_builder_end(&b);
}

GVariant *
sp_td_view_resources(const struct sp_client_resource_view *list,
                     size_t n,
                     const struct sp_td_filter *filter)
{
    GVariantBuilder b;

    g_variant_builder_init(&b, G_VARIANT_TYPE("aa{sv}"));
    for (size_t i = 0; i < n; i++)
        if (matches(&list[i], filter))
            g_variant_builder_add_value(&b, resource(&list[i]));
    return g_variant_builder_end(&b);
}

GVariant *
sp_td_view_resource(const struct sp_client_resource_view *list, size_t n, const char *id)
{
    struct sp_uuid wanted;

    if (sp_uuid_parse(id, &wanted) < 0)
        return NULL;
    for (size_t i = 0; i < n; i++)
        if (sp_uuid_equal(&list[i].resource.id, &wanted))
            return resource(&list[i]);
    return NULL;
}

/* ---- connections ------------------------------------------------------------------------------- */

static void
put_endpoint(GVariantBuilder *b, const char *key, const struct sp_endpoint *ep)
{
    char text[SP_ENDPOINT_STR_MAX];

    put_text(b, key, ep->ip.family ? sp_endpoint_format(ep, text) : "");
}

static uint64_t
handshake_us(const struct sp_peer_view *p, sp_time now, uint64_t real_us)
{
    uint64_t age_us;

    if (p->last_handshake == SP_TIME_NEVER || p->last_handshake > now)
        return 0;
    age_us = (now - p->last_handshake) / SP_US(1);
    return real_us > age_us ? real_us - age_us : 0;
}

static GVariant *
connection(const struct sp_peer_view *p, sp_time now, uint64_t real_us)
{
    char id[SP_UUID_STR_MAX];
    GVariantBuilder b;

    g_variant_builder_init(&b, G_VARIANT_TYPE_VARDICT);
    put_text(&b, "peer", sp_uuid_format(&p->peer, id));
    put_text(&b, "kind", "gateway");
    put_text(&b, "path", p->path);
    put_endpoint(&b, "local", &p->local);
    put_endpoint(&b, "remote", &p->remote);
    put_u64(&b, "rtt-us", p->rtt / SP_US(1));
    put_u64(&b, "last-handshake", handshake_us(p, now, real_us));
    put_u64(&b, "rx-bytes", p->rx_bytes);
    put_u64(&b, "tx-bytes", p->tx_bytes);
    put_text(&b, "state", p->state);
    return g_variant_builder_end(&b);
}

GVariant *
sp_td_view_connections(const struct sp_client_snapshot *snapshot, uint64_t real_us)
{
    GVariantBuilder b;

    g_variant_builder_init(&b, G_VARIANT_TYPE("aa{sv}"));
    for (size_t i = 0; snapshot && i < snapshot->n_peers; i++)
        g_variant_builder_add_value(&b, connection(&snapshot->peers[i], snapshot->now, real_us));
    return g_variant_builder_end(&b);
}

/* ---- counters ---------------------------------------------------------------------------------- */

static GVariant *
drops(const struct sp_drops *d)
{
    GVariantBuilder b;

    g_variant_builder_init(&b, G_VARIANT_TYPE("a{st}"));
    for (int i = 0; i < _SP_DROP_MAX; i++)
        if (d->count[i])
            g_variant_builder_add(&b, "{st}", sp_drop_name((enum sp_drop)i), d->count[i]);
    return g_variant_builder_end(&b);
}

static char *
offload_text(unsigned offloads)
{
    static const struct {
        unsigned bit;
        const char *name;
    } names[] = {
        { SP_TUN_CSUM, "csum" }, { SP_TUN_TSO4, "tso4" }, { SP_TUN_TSO6, "tso6" },
        { SP_TUN_USO4, "uso4" }, { SP_TUN_USO6, "uso6" },
    };
    GString *text = g_string_new(NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
        if (offloads & names[i].bit)
            g_string_append_printf(text, "%s%s", text->len ? " " : "", names[i].name);
    return g_string_free(text, FALSE);
}

GVariant *
sp_td_view_statistics(const struct sp_client_snapshot *snapshot,
                      unsigned offloads,
                      uint64_t since_us)
{
    static const struct sp_client_snapshot none;
    const struct sp_client_snapshot *s = snapshot ? snapshot : &none;
    const struct sp_udp_stats *udp = s->loop.udp;
    g_autofree char *offload = offload_text(offloads);
    GVariantBuilder b;

    g_variant_builder_init(&b, G_VARIANT_TYPE_VARDICT);
    put_u64(&b, "tun-rx-packets", s->loop.tun.read_packets);
    put_u64(&b, "tun-rx-bytes", s->loop.tun.read_bytes);
    put_u64(&b, "tun-tx-packets", s->loop.tun.written_packets);
    put_u64(&b, "tun-tx-bytes", s->loop.tun.written_bytes);
    put_u64(&b, "udp-rx-packets", udp[0].recv_packets + udp[1].recv_packets);
    put_u64(&b, "udp-rx-bytes", udp[0].recv_bytes + udp[1].recv_bytes);
    put_u64(&b, "udp-tx-packets", udp[0].sent_packets + udp[1].sent_packets);
    put_u64(&b, "udp-tx-bytes", udp[0].sent_bytes + udp[1].sent_bytes);
    put(&b, "drops", drops(&s->drops));
    put_text(&b, "offload", offload);
    put_u64(&b, "since", since_us);
    return g_variant_builder_end(&b);
}

/* ---- DNS and settings -------------------------------------------------------------------------- */

static bool
is_system(const struct sp_td_dns_status *dns, const struct sp_ip *ip)
{
    for (size_t i = 0; i < dns->n_system; i++)
        if (sp_ip_equal(&dns->system[i], ip))
            return true;
    return false;
}

static GVariant *
sentinels(const struct sp_td_dns_status *dns, bool *ret_portal)
{
    GVariantBuilder b;

    *ret_portal = false;
    g_variant_builder_init(&b, G_VARIANT_TYPE("a(ss)"));
    for (size_t i = 0; i < dns->n_servers; i++) {
        const struct sp_client_dns_server *s = &dns->servers[i];
        char sentinel[SP_IP_STR_MAX], upstream[SP_IP_STR_MAX];

        sp_ip_format(&s->sentinel, sentinel);
        g_variant_builder_add(&b,
                              "(ss)",
                              sentinel,
                              s->doh_url ? s->doh_url : sp_ip_format(&s->upstream, upstream));
        if (s->doh_url || !is_system(dns, &s->upstream))
            *ret_portal = true;
    }
    return g_variant_builder_end(&b);
}

static GVariant *
system_resolvers(const struct sp_td_dns_status *dns)
{
    GVariantBuilder b;

    g_variant_builder_init(&b, G_VARIANT_TYPE_STRING_ARRAY);
    for (size_t i = 0; i < dns->n_system; i++) {
        char text[SP_IP_STR_MAX];

        g_variant_builder_add(&b, "s", sp_ip_format(&dns->system[i], text));
    }
    return g_variant_builder_end(&b);
}

GVariant *
sp_td_view_dns(const struct sp_td_dns_status *dns, const char *method, const char *search_domain)
{
    bool portal;
    GVariantBuilder b;

    g_variant_builder_init(&b, G_VARIANT_TYPE_VARDICT);
    put_text(&b, "method", method);
    put(&b, "sentinels", sentinels(dns, &portal));
    put(&b, "system-resolvers", system_resolvers(dns));
    put_text(&b, "upstream-source", portal ? "portal" : "system");
    put_text(&b, "search-domain", search_domain);
    put(&b, "takeover-active", g_variant_new_boolean(dns->taken_over));
    return g_variant_builder_end(&b);
}

GVariant *
sp_td_view_settings(const struct sp_td_config *config)
{
    GVariantBuilder b;

    g_variant_builder_init(&b, G_VARIANT_TYPE_VARDICT);
    put_text(&b, "auth-url", config->auth_url);
    put_text(&b, "api-url", config->api_url);
    put_text(&b, "account-slug", config->account_slug);
    put_text(&b, "dns-control", sp_td_config_dns_name(config));
    put_text(&b, "log-filter", config->log_filter);
    return g_variant_builder_end(&b);
}
