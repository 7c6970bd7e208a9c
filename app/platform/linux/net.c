/* SPDX-License-Identifier: Apache-2.0 */
#include "app/platform/net.h"

#include <errno.h>
#include <glib-unix.h>
#include <stdlib.h>
#include <string.h>

#include "app/platform/error.h"
#include "app/platform/linux/net-private.h"
#include "app/platform/socket.h"
#include "engine/base/time.h"

#define ADDRS_MAX   64  /* addresses of one interface that we clear */
#define DEBOUNCE_MS 500 /* a roaming laptop makes dozens of changes within this */

struct sp_net {
    struct sp_net_options options;
    const struct sp_log *log;
    struct sp_rtnl rt;

    /* what the last apply did */
    int index;
    struct sp_ip ip[2];
    bool works[2];
    GArray *routes; /* struct sp_cidr */

    struct mnl_socket *watch;
    GSource *watch_source;
    GSource *debounce;
    GMainContext *context;
    void (*changed)(void *ctx);
    void *changed_ctx;
};

static const uint8_t families[2] = { 4, 6 };

void
sp_net_options_init(struct sp_net_options *options)
{
    *options = (struct sp_net_options){
        .mark = SP_DEFAULT_MARK,
        .table = { 0x5a11fd00, 0x5a11fd01, 0x5a11fd02 },
        .priority = { 110, 210, 310 },
        .mtu = 1280,
        .queue_len = 10000,
    };
}

static bool
is_ours(const struct sp_net *net, uint32_t table)
{
    for (int t = 0; t < _SP_NET_TABLE_MAX; t++)
        if (table == net->options.table[t])
            return true;
    return false;
}

static void
flush_tables(struct sp_net *net)
{
    for (int f = 0; f < 2; f++) {
        g_autoptr(GArray) routes = NULL;

        if (sp_rtnl_route_list(&net->rt, families[f], &routes) < 0)
            continue;
        for (guint i = 0; i < routes->len; i++) {
            const struct sp_rtnl_route *route = &g_array_index(routes, struct sp_rtnl_route, i);
            int r = is_ours(net, route->table) ? sp_rtnl_route(&net->rt, false, route) : 0;

            if (r < 0)
                SP_DEBUG(net->log, DRIVER, "net: stale route stays: %s", g_strerror(-r));
        }
    }
}

int
sp_net_new(const struct sp_net_options *options,
           const struct sp_log *log,
           struct sp_net **ret_net,
           GError **error)
{
    struct sp_net *net = sp_xcalloc(1, sizeof *net);
    int r;

    net->options = *options;
    net->log = log;
    net->routes = g_array_new(FALSE, FALSE, sizeof(struct sp_cidr));
    r = sp_rtnl_open(&net->rt);
    if (r < 0) {
        sp_net_free(net);
        return sp_platform_error_set(error, -r, "cannot open netlink");
    }
    flush_tables(net);
    *ret_net = net;
    return 0;
}

static void
clear_source(GSource **source)
{
    if (*source) {
        g_source_destroy(*source);
        g_source_unref(*source);
    }
    *source = NULL;
}

void
sp_net_free(struct sp_net *net)
{
    if (!net)
        return;
    clear_source(&net->watch_source);
    clear_source(&net->debounce);
    g_clear_pointer(&net->context, g_main_context_unref);
    if (net->watch)
        mnl_socket_close(net->watch);
    sp_rtnl_close(&net->rt);
    g_array_unref(net->routes);
    free(net);
}

/* ---- addresses ---- */

static bool
addresses_match(struct sp_net *net, int index, const struct sp_ip want[2])
{
    struct sp_cidr have[ADDRS_MAX];
    bool found[2] = { false, false };
    int n;

    if (index != net->index)
        return false;
    for (int f = 0; f < 2; f++)
        if (!sp_ip_equal(&want[f], &net->ip[f]))
            return false;
    n = sp_rtnl_addr_list(&net->rt, index, have, ADDRS_MAX);
    for (int i = 0; i < n; i++)
        for (int f = 0; f < 2; f++)
            if (sp_ip_equal(&have[i].ip, &want[f]))
                found[f] = true;
    for (int f = 0; f < 2; f++)
        if (found[f] != net->works[f])
            return false;
    return true;
}

static void
clear_addresses(struct sp_net *net, int index)
{
    struct sp_cidr have[ADDRS_MAX];
    int n = sp_rtnl_addr_list(&net->rt, index, have, ADDRS_MAX);

    for (int i = 0; i < n; i++)
        sp_rtnl_addr(&net->rt, false, index, &have[i]);
}

static int
set_addresses(struct sp_net *net, int index, const struct sp_ip want[2])
{
    int r = sp_rtnl_link_no_addrgen(&net->rt, index);

    if (r < 0)
        SP_DEBUG(net->log, DRIVER, "net: link-local address stays: %s", g_strerror(-r));
    clear_addresses(net, index);
    r = sp_rtnl_link_set(&net->rt, index, net->options.mtu, 0, false);
    if (r < 0)
        return r;
    for (int f = 0; f < 2; f++) {
        struct sp_cidr host = sp_cidr_host(&want[f]);

        net->ip[f] = want[f];
        net->works[f] = false;
        if (want[f].family == 0)
            continue;
        r = sp_rtnl_addr(&net->rt, true, index, &host);
        net->works[f] = r == 0;
        if (r < 0)
            SP_DEBUG(net->log, DRIVER, "net: no IPv%u: %s", families[f], g_strerror(-r));
    }
    net->index = index;
    /* Routes through a link that was down are gone. */
    g_array_set_size(net->routes, 0);
    r = sp_rtnl_link_set(&net->rt, index, 0, net->options.queue_len, false);
    if (r < 0)
        SP_WARN(net->log, DRIVER, "net: queue length not set: %s", g_strerror(-r));
    return sp_rtnl_link_set(&net->rt, index, 0, 0, true);
}

static void
add_rules(struct sp_net *net, uint8_t family)
{
    const struct sp_net_options *o = &net->options;

    for (int t = 0; t < _SP_NET_TABLE_MAX; t++) {
        int r = sp_rtnl_rule(&net->rt, true, family, o->mark, o->table[t], o->priority[t]);

        if (r == -EOPNOTSUPP)
            SP_WARN(net->log, DRIVER, "net: this kernel has no policy routing");
        else if (r < 0 && r != -EEXIST)
            SP_WARN(net->log, DRIVER, "net: rule not installed: %s", g_strerror(-r));
    }
}

/* ---- routes ---- */

static struct sp_rtnl_route
tun_route(const struct sp_net *net, const struct sp_cidr *dst)
{
    return (struct sp_rtnl_route){
        .dst = *dst,
        .table = net->options.table[dst->len == 0 ? SP_NET_INTERNET : SP_NET_USER],
        .oif = (uint32_t)net->index,
        .scope = RT_SCOPE_UNIVERSE,
        .protocol = RTPROT_STATIC,
        .type = RTN_UNICAST,
    };
}

static bool
has_route(const struct sp_cidr *routes, size_t n, const struct sp_cidr *net)
{
    for (size_t i = 0; i < n; i++)
        if (sp_cidr_equal(&routes[i], net))
            return true;
    return false;
}

static void
delete_old_routes(struct sp_net *net, const struct sp_net_config *config)
{
    for (guint i = 0; i < net->routes->len; i++) {
        const struct sp_cidr *old = &g_array_index(net->routes, struct sp_cidr, i);
        struct sp_rtnl_route route = tun_route(net, old);
        int r;

        if (has_route(config->routes, config->n_routes, old))
            continue;
        r = sp_rtnl_route(&net->rt, false, &route);
        if (r < 0 && r != -ENOENT && r != -ESRCH)
            SP_WARN(net->log, DRIVER, "net: route not deleted: %s", g_strerror(-r));
    }
}

static unsigned
add_routes(struct sp_net *net, const struct sp_net_config *config)
{
    unsigned failed = 0;

    g_array_set_size(net->routes, 0);
    for (size_t i = 0; i < config->n_routes; i++) {
        const struct sp_cidr *dst = &config->routes[i];
        struct sp_rtnl_route route = tun_route(net, dst);
        int r;

        if (!net->works[dst->ip.family == 6])
            continue;
        r = sp_rtnl_route(&net->rt, true, &route);
        if (r < 0 && r != -EEXIST && r != -EOPNOTSUPP) {
            SP_WARN(net->log, DRIVER, "net: route not added: %s", g_strerror(-r));
            failed++;
            continue;
        }
        g_array_append_val(net->routes, *dst);
    }
    return failed;
}

int
sp_net_config_apply(struct sp_net *net,
                    const struct sp_net_config *config,
                    struct sp_net_result *ret_result,
                    GError **error)
{
    const struct sp_ip want[2] = { config->ipv4, config->ipv6 };
    int index = sp_rtnl_link_index(&net->rt, config->ifname), r;

    if (index < 0)
        return sp_platform_error_set(error, -index, "no interface %s", config->ifname);
    if (!addresses_match(net, index, want)) {
        r = set_addresses(net, index, want);
        if (r < 0)
            return sp_platform_error_set(error, -r, "cannot set up %s", config->ifname);
    }
    *ret_result = (struct sp_net_result){ .v4 = net->works[0], .v6 = net->works[1] };
    if (!net->works[0] && !net->works[1])
        return sp_platform_error_set(error, EADDRNOTAVAIL, "no address on %s", config->ifname);
    for (int f = 0; f < 2; f++)
        if (net->works[f])
            add_rules(net, families[f]);
    delete_old_routes(net, config);
    ret_result->routes_failed = add_routes(net, config);
    return 0;
}

void
sp_net_config_cleanup(struct sp_net *net)
{
    const struct sp_net_options *o = &net->options;

    for (int f = 0; f < 2; f++)
        for (int t = 0; t < _SP_NET_TABLE_MAX; t++)
            /* Rules can be there twice when a crashed run used other priorities; ours is one. */
            while (sp_rtnl_rule(&net->rt, false, families[f], o->mark, o->table[t], o->priority[t])
                   == 0)
                ;
    flush_tables(net);
    g_array_set_size(net->routes, 0);
    net->index = 0;
}

/* ---- directly connected networks ---- */

/* Linux gives every IPv6 route scope universe, so those are known by who made them. */
static bool
is_connected(const struct sp_net *net, const struct sp_rtnl_route *route)
{
    if (route->table != RT_TABLE_MAIN || route->type != RTN_UNICAST || route->gateway)
        return false;
    if (route->oif == 0 || (int)route->oif == net->index || route->dst.len == 0)
        return false;
    if (route->dst.ip.family == 4)
        return route->scope == RT_SCOPE_LINK;
    return route->protocol == RTPROT_KERNEL && !sp_ip_is_link_local(&route->dst.ip);
}

static bool
same_copy(const struct sp_rtnl_route *a, const struct sp_rtnl_route *b)
{
    return a->oif == b->oif && sp_cidr_equal(&a->dst, &b->dst);
}

static bool
contains(const GArray *routes, const struct sp_rtnl_route *route)
{
    for (guint i = 0; i < routes->len; i++)
        if (same_copy(&g_array_index(routes, struct sp_rtnl_route, i), route))
            return true;
    return false;
}

static int
sync_family(struct sp_net *net, uint8_t family)
{
    uint32_t table = net->options.table[SP_NET_LINK];
    g_autoptr(GArray) routes = NULL, want = NULL, have = NULL;
    int r = sp_rtnl_route_list(&net->rt, family, &routes);

    if (r < 0)
        return r;
    want = g_array_new(FALSE, FALSE, sizeof(struct sp_rtnl_route));
    have = g_array_new(FALSE, FALSE, sizeof(struct sp_rtnl_route));
    for (guint i = 0; i < routes->len; i++) {
        struct sp_rtnl_route *route = &g_array_index(routes, struct sp_rtnl_route, i);

        if (route->table == table)
            g_array_append_val(have, *route);
        else if (is_connected(net, route) && sp_rtnl_link_usable(&net->rt, route->oif) == 1)
            g_array_append_val(want, *route);
    }
    for (guint i = 0; i < have->len; i++) {
        struct sp_rtnl_route *route = &g_array_index(have, struct sp_rtnl_route, i);

        if (!contains(want, route))
            sp_rtnl_route(&net->rt, false, route);
    }
    for (guint i = 0; i < want->len; i++) {
        struct sp_rtnl_route route = g_array_index(want, struct sp_rtnl_route, i);

        if (contains(have, &route))
            continue;
        route.table = table;
        r = sp_rtnl_route(&net->rt, true, &route);
        if (r < 0 && r != -EEXIST)
            SP_DEBUG(net->log, DRIVER, "net: connected network not copied: %s", g_strerror(-r));
    }
    return 0;
}

int
sp_net_sync_links(struct sp_net *net)
{
    int r4 = sync_family(net, 4), r6 = sync_family(net, 6);

    return r4 < 0 ? r4 : r6;
}

/* ---- watching ---- */

static gboolean
debounced(void *data)
{
    struct sp_net *net = data;
    int r;

    clear_source(&net->debounce);
    r = sp_net_sync_links(net);
    if (r < 0)
        SP_WARN(net->log, DRIVER, "net: connected networks not read: %s", g_strerror(-r));
    if (net->changed)
        net->changed(net->changed_ctx);
    return G_SOURCE_REMOVE;
}

static gboolean
on_netlink(gint fd SP_UNUSED, GIOCondition condition SP_UNUSED, void *data)
{
    struct sp_net *net = data;
    uint8_t buf[8192];

    /* What changed does not matter, everything is read again; an overrun is a change as well. */
    while (recv(mnl_socket_get_fd(net->watch), buf, sizeof buf, MSG_DONTWAIT) > 0
           || errno == ENOBUFS)
        ;
    clear_source(&net->debounce);
    net->debounce = g_timeout_source_new(DEBOUNCE_MS);
    g_source_set_callback(net->debounce, debounced, net, NULL);
    g_source_attach(net->debounce, net->context);
    return G_SOURCE_CONTINUE;
}

int
sp_net_watch(struct sp_net *net, void (*changed)(void *ctx), void *ctx, GError **error)
{
    unsigned groups = RTMGRP_LINK | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_IFADDR
                      | RTMGRP_IPV6_IFADDR;

    g_return_val_if_fail(!net->watch, -EINVAL);
    net->watch = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (!net->watch || mnl_socket_bind(net->watch, groups, MNL_SOCKET_AUTOPID) < 0)
        return sp_platform_error_set(error, errno, "cannot watch the network");
    net->changed = changed;
    net->changed_ctx = ctx;
    net->context = g_main_context_ref_thread_default();
    net->watch_source = g_unix_fd_source_new(mnl_socket_get_fd(net->watch), G_IO_IN);
    g_source_set_callback(net->watch_source, G_SOURCE_FUNC(on_netlink), net, NULL);
    g_source_attach(net->watch_source, net->context);
    return sp_net_sync_links(net);
}
