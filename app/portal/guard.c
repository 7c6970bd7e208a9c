/* SPDX-License-Identifier: Apache-2.0 */
#include "app/portal/guard.h"

#include <sys/socket.h>

#define WATCH_KEY "sp-watch"

struct sp_cp_guard {
    SoupServer *server;
    const struct sp_cp_proxies *proxies;
    struct sp_cp_guard_options options;
    GHashTable *addresses; /* key -> number of connections; never 0 */
    GPtrArray *watches;    /* one for each connection; swept of closed ones */
};

/* One connection. libsoup 3.2 closes the sockets of plain requests but never frees them, so the end
 * is seen by looking and not by a weak reference. */
struct watch {
    struct sp_cp_guard *guard;
    GSocket *socket;
    char *address; /* NULL for a trusted proxy */
    guint timer;
};

static unsigned
count(const struct sp_cp_guard *g, const char *address)
{
    return address ? GPOINTER_TO_UINT(g_hash_table_lookup(g->addresses, address)) : 0;
}

static void
set(struct sp_cp_guard *g, const char *address, unsigned n)
{
    if (address && n == 0)
        g_hash_table_remove(g->addresses, address);
    else if (address)
        g_hash_table_replace(g->addresses, g_strdup(address), GUINT_TO_POINTER(n));
}

static void
disarm(struct watch *w)
{
    if (w->timer)
        g_source_remove(w->timer);
    w->timer = 0;
}

static void
watch_free(gpointer data)
{
    struct watch *w = data;

    disarm(w);
    set(w->guard, w->address, count(w->guard, w->address) - 1);
    g_object_set_data(G_OBJECT(w->socket), WATCH_KEY, NULL);
    g_object_unref(w->socket);
    g_free(w->address);
    g_free(w);
}

static void
sweep(struct sp_cp_guard *g)
{
    for (unsigned i = g->watches->len; i-- > 0;) {
        const struct watch *w = g->watches->pdata[i];

        if (g_socket_is_closed(w->socket))
            g_ptr_array_remove_index_fast(g->watches, i);
    }
}

/* libsoup has no call to drop a connection; a socket shut down both ways ends it at its next read. */
static void
cut(struct watch *w)
{
    if (!g_socket_is_closed(w->socket))
        (void)!shutdown(g_socket_get_fd(w->socket), SHUT_RDWR);
}

static gboolean
timeout_cb(gpointer data)
{
    struct watch *w = data;

    w->timer = 0;
    cut(w);
    return G_SOURCE_REMOVE;
}

static struct watch *
watch_new(struct sp_cp_guard *g, SoupServerMessage *msg, GSocket *socket)
{
    struct watch *w = g_new0(struct watch, 1);
    const char *host = soup_server_message_get_remote_host(msg);

    w->guard = g;
    w->socket = g_object_ref(socket);
    if (!sp_cp_proxies_trusts(g->proxies, host))
        w->address = sp_cp_remote_key(host ? host : "unknown");
    set(g, w->address, count(g, w->address) + 1);
    g_ptr_array_add(g->watches, w);
    g_object_set_data(G_OBJECT(socket), WATCH_KEY, w);
    return w;
}

static void
got_body_cb(SoupServerMessage *msg, gpointer data)
{
    GSocket *socket = soup_server_message_get_socket(msg);
    struct watch *w = socket ? g_object_get_data(G_OBJECT(socket), WATCH_KEY) : NULL;

    (void)data;
    if (w)
        disarm(w);
}

/* Comes with every new connection; there is one request on each. */
static void
started_cb(SoupServer *server, SoupServerMessage *msg, gpointer data)
{
    struct sp_cp_guard *g = data;
    GSocket *socket = soup_server_message_get_socket(msg);
    struct watch *w;

    (void)server;
    if (!socket || g_object_get_data(G_OBJECT(socket), WATCH_KEY))
        return;
    sweep(g);
    w = watch_new(g, msg, socket);
    if (g->watches->len > g->options.total || count(g, w->address) > g->options.per_address) {
        cut(w);
        return;
    }
    w->timer = g_timeout_add(g->options.request_ms, timeout_cb, w);
    g_signal_connect(msg, "got-body", G_CALLBACK(got_body_cb), NULL);
}

struct sp_cp_guard *
sp_cp_guard_new(SoupServer *server,
                const struct sp_cp_proxies *proxies,
                const struct sp_cp_guard_options *options)
{
    struct sp_cp_guard *g = g_new0(struct sp_cp_guard, 1);

    g->server = server;
    g->proxies = proxies;
    g->options = *options;
    g->addresses = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g->watches = g_ptr_array_new_with_free_func(watch_free);
    g_signal_connect(server, "request-started", G_CALLBACK(started_cb), g);
    return g;
}

void
sp_cp_guard_free(struct sp_cp_guard *g)
{
    if (!g)
        return;
    g_signal_handlers_disconnect_by_data(g->server, g);
    g_ptr_array_unref(g->watches);
    g_hash_table_unref(g->addresses);
    g_free(g);
}
