/* SPDX-License-Identifier: Apache-2.0 */
#include "app/platform/network-watch.h"

#include <errno.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "app/platform/clock.h"
#include "app/platform/host-addrs.h"
#include "app/platform/linux/net-private.h"

#define CLOCK_SAMPLE_S 5

#define NM_NAME        "org.freedesktop.NetworkManager"
#define NM_PATH        "/org/freedesktop/NetworkManager"
#define LOGIN_NAME     "org.freedesktop.login1"
#define LOGIN_PATH     "/org/freedesktop/login1"

struct sp_network_watch {
    const struct sp_log *log;
    char *ifname;
    uint32_t mark;
    void (*changed)(void *ctx, enum sp_network_event event);
    void *ctx;

    GMainContext *context;
    struct sp_network_state state;
    struct sp_rtnl rt; /* questions */
    struct mnl_socket *news;
    GSource *news_source;
    GSource *clock_source;
    GSource *due_source;

    GCancellable *cancellable;
    GDBusConnection *bus;
    guint subscriptions[2];
};

static void
clear_source(GSource **source)
{
    if (*source) {
        g_source_destroy(*source);
        g_source_unref(*source);
    }
    *source = NULL;
}

/* ---- what is there --------------------------------------------------------------------------- */

/* Two addresses that belong to nobody, so only routes to everywhere lead to them: the retired
 * anycast prefix of RFC 7526 and a part of 2000::/3 that was never given out. */
static const char *const everywhere[2] = { "192.88.99.1", "2000::1" };

static void
look(struct sp_network_watch *w, struct sp_network_view *view)
{
    struct sp_ip addrs[SP_HOST_ADDRS_MAX];

    memset(view, 0, sizeof *view);
    for (int f = 0; f < 2; f++) {
        struct sp_network_path path = { 0 };
        struct sp_ip to;
        int r;

        sp_assert(sp_ip_parse(everywhere[f], &to) == 0);
        r = w->rt.nl ? sp_rtnl_path(&w->rt, &to, w->mark, &path) : -EBADF;
        /* IPv4 keeps routes over a link that has lost its carrier. */
        if (r == 0 && sp_rtnl_link_usable(&w->rt, path.oif) == 1)
            view->path[f] = path;
    }
    view->addresses = sp_host_addrs_list(w->ifname, addrs) > 0;
}

static sp_time
awake_now(void)
{
    struct timespec ts;

    sp_assert(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
    return (sp_time)ts.tv_sec * SP_NS_PER_SEC + (sp_time)ts.tv_nsec;
}

static sp_time
sample(struct sp_network_watch *w)
{
    sp_time now = sp_clock_now();

    sp_network_state_clock(&w->state, now, awake_now());
    return now;
}

static void arm(struct sp_network_watch *w, sp_time now);

static gboolean
on_due(void *data)
{
    struct sp_network_watch *w = data;
    struct sp_network_view view;
    enum sp_network_event event;
    sp_time now = sample(w);

    clear_source(&w->due_source);
    look(w, &view);
    event = sp_network_state_check(&w->state, &view, now);
    arm(w, now);
    if (event != SP_NETWORK_NOTHING)
        w->changed(w->ctx, event); /* last: it may free the watcher */
    return G_SOURCE_REMOVE;
}

static void
arm(struct sp_network_watch *w, sp_time now)
{
    sp_time next = sp_network_state_next(&w->state);
    sp_duration wait = sp_time_since(now, next);

    clear_source(&w->due_source);
    if (next == SP_TIME_NEVER)
        return;
    w->due_source = g_timeout_source_new((guint)((wait + SP_MS(1) - 1) / SP_MS(1)));
    g_source_set_callback(w->due_source, on_due, w, NULL);
    g_source_attach(w->due_source, w->context);
}

/* ---- kernel and clocks ------------------------------------------------------------------------ */

static gboolean
on_news(gint fd SP_UNUSED, GIOCondition condition SP_UNUSED, void *data)
{
    struct sp_network_watch *w = data;
    uint8_t buf[8192];
    sp_time now = sample(w);

    /* What changed does not matter, everything is read again; an overrun is a change as well. */
    while (recv(mnl_socket_get_fd(w->news), buf, sizeof buf, MSG_DONTWAIT) > 0 || errno == ENOBUFS)
        ;
    sp_network_state_kernel(&w->state, now);
    arm(w, now);
    return G_SOURCE_CONTINUE;
}

static gboolean
on_clock(void *data)
{
    struct sp_network_watch *w = data;

    arm(w, sample(w));
    return G_SOURCE_CONTINUE;
}

static void
open_kernel(struct sp_network_watch *w)
{
    unsigned groups = RTMGRP_LINK | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_IFADDR
                      | RTMGRP_IPV6_IFADDR;
    int r = sp_rtnl_open(&w->rt);

    if (r == 0) {
        w->news = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (!w->news || mnl_socket_bind(w->news, groups, MNL_SOCKET_AUTOPID) < 0)
            r = -errno;
    }
    if (r < 0) {
        SP_WARN(w->log, DRIVER, "routes are not watched: %s", g_strerror(-r));
        return;
    }
    w->news_source = g_unix_fd_source_new(mnl_socket_get_fd(w->news), G_IO_IN);
    g_source_set_callback(w->news_source, G_SOURCE_FUNC(on_news), w, NULL);
    g_source_attach(w->news_source, w->context);
}

/* ---- message bus ------------------------------------------------------------------------------ */

static bool
mentions_primary(GVariant *params)
{
    g_autoptr(GVariant) changed = NULL, value = NULL;
    g_autofree const char **invalidated = NULL;

    if (!g_variant_is_of_type(params, G_VARIANT_TYPE("(sa{sv}as)")))
        return false;
    g_variant_get(params, "(&s@a{sv}^a&s)", NULL, &changed, &invalidated);
    value = g_variant_lookup_value(changed, "PrimaryConnection", NULL);
    return value || g_strv_contains(invalidated, "PrimaryConnection");
}

static void
on_manager(GDBusConnection *bus SP_UNUSED,
           const char *sender SP_UNUSED,
           const char *path SP_UNUSED,
           const char *interface SP_UNUSED,
           const char *name SP_UNUSED,
           GVariant *params,
           void *data)
{
    struct sp_network_watch *w = data;
    sp_time now = sample(w);

    if (!mentions_primary(params))
        return;
    sp_network_state_manager(&w->state, now);
    arm(w, now);
}

static void
on_sleep(GDBusConnection *bus SP_UNUSED,
         const char *sender SP_UNUSED,
         const char *path SP_UNUSED,
         const char *interface SP_UNUSED,
         const char *name SP_UNUSED,
         GVariant *params,
         void *data)
{
    struct sp_network_watch *w = data;
    sp_time now = sample(w);
    gboolean going;

    if (!g_variant_is_of_type(params, G_VARIANT_TYPE("(b)")))
        return;
    g_variant_get(params, "(b)", &going);
    if (!going)
        sp_network_state_resumed(&w->state, now);
    arm(w, now);
}

static void
subscribe(struct sp_network_watch *w)
{
    w->subscriptions[0] = g_dbus_connection_signal_subscribe(w->bus,
                                                             NM_NAME,
                                                             "org.freedesktop.DBus.Properties",
                                                             "PropertiesChanged",
                                                             NM_PATH,
                                                             NM_NAME,
                                                             G_DBUS_SIGNAL_FLAGS_NONE,
                                                             on_manager,
                                                             w,
                                                             NULL);
    w->subscriptions[1] = g_dbus_connection_signal_subscribe(w->bus,
                                                             LOGIN_NAME,
                                                             LOGIN_NAME ".Manager",
                                                             "PrepareForSleep",
                                                             LOGIN_PATH,
                                                             NULL,
                                                             G_DBUS_SIGNAL_FLAGS_NONE,
                                                             on_sleep,
                                                             w,
                                                             NULL);
}

/* Cancelled means that the watcher is gone. */
static void
on_bus(GObject *source SP_UNUSED, GAsyncResult *result, void *data)
{
    g_autoptr(GError) error = NULL;
    GDBusConnection *bus = g_dbus_connection_new_for_address_finish(result, &error);
    struct sp_network_watch *w = data;

    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
        return;
    if (!bus) {
        SP_INFO(w->log, DRIVER, "no message bus: NetworkManager and logind are not watched");
        SP_DEBUG(w->log, DRIVER, "message bus: %s", error->message);
        return;
    }
    w->bus = bus;
    g_dbus_connection_set_exit_on_close(bus, FALSE);
    subscribe(w);
}

static void
open_bus(struct sp_network_watch *w, const char *bus)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *address = NULL;

    if (bus && strcmp(bus, "system") != 0)
        address = g_strdup(bus);
    else
        address = g_dbus_address_get_for_bus_sync(G_BUS_TYPE_SYSTEM, NULL, &error);
    if (!address) {
        SP_INFO(w->log, DRIVER, "no message bus: NetworkManager and logind are not watched");
        return;
    }
    w->cancellable = g_cancellable_new();
    g_dbus_connection_new_for_address(address,
                                      G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT
                                          | G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
                                      NULL,
                                      w->cancellable,
                                      on_bus,
                                      w);
}

/* ---- life ------------------------------------------------------------------------------------- */

struct sp_network_watch *
sp_network_watch_new(const struct sp_network_watch_options *options)
{
    struct sp_network_watch *w = g_new0(struct sp_network_watch, 1);
    struct sp_network_view view;

    w->log = options->log;
    w->ifname = g_strdup(options->ifname);
    w->mark = options->mark;
    w->changed = options->changed;
    w->ctx = options->ctx;
    w->context = g_main_context_ref_thread_default();
    open_kernel(w);
    look(w, &view);
    sp_network_state_init(&w->state, &view);
    sample(w);
    w->clock_source = g_timeout_source_new_seconds(CLOCK_SAMPLE_S);
    g_source_set_callback(w->clock_source, on_clock, w, NULL);
    g_source_attach(w->clock_source, w->context);
    open_bus(w, options->bus);
    return w;
}

static void
close_bus(struct sp_network_watch *w)
{
    if (w->cancellable)
        g_cancellable_cancel(w->cancellable);
    g_clear_object(&w->cancellable);
    if (!w->bus)
        return;
    for (int i = 0; i < 2; i++)
        g_dbus_connection_signal_unsubscribe(w->bus, w->subscriptions[i]);
    g_dbus_connection_close(w->bus, NULL, NULL, NULL);
    g_clear_object(&w->bus);
}

void
sp_network_watch_free(struct sp_network_watch *w)
{
    if (!w)
        return;
    close_bus(w);
    clear_source(&w->news_source);
    clear_source(&w->clock_source);
    clear_source(&w->due_source);
    if (w->news)
        mnl_socket_close(w->news);
    sp_rtnl_close(&w->rt);
    g_main_context_unref(w->context);
    g_free(w->ifname);
    g_free(w);
}
