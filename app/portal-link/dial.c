/* SPDX-License-Identifier: Apache-2.0 */
#include "app/portal-link/dial.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "app/portal-link/error.h"

struct dial {
    bool tls;
    char *host;
    char *host_header;
    uint16_t port;
    char *target;
    char *user_agent;
    char *hosts_path;
    GBytes *token;
    GTlsDatabase *tls_database;
    struct sp_resolve_params resolve;
    unsigned tcp_timeout_ms;
    struct sp_upgrade_reply reply;
};

static void
dial_free(gpointer p)
{
    struct dial *d = p;

    g_free(d->host);
    g_free(d->host_header);
    g_free(d->target);
    g_free(d->user_agent);
    g_free(d->hosts_path);
    g_clear_pointer(&d->token, g_bytes_unref);
    g_clear_object(&d->tls_database);
    sp_upgrade_reply_done(&d->reply);
    g_free(d);
}

/* ---- TCP: all addresses at once, the first one up wins ---------------------------------------- */

struct racer {
    int fd;
};

static void
close_all(struct racer *r, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (r[i].fd >= 0)
            close(r[i].fd);
}

/* Returns: FALSE only if the mark cannot be set; an address that fails at once is left out. */
static gboolean
start_racer(const struct dial *d,
            const struct sp_ip *ip,
            struct racer *r,
            int *last_err,
            GError **error)
{
    struct sp_endpoint ep = { .ip = *ip, .port = d->port };
    struct sockaddr_storage sa;
    socklen_t sa_len = sp_resolve_sockaddr(&ep, &sa);

    r->fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (r->fd < 0) {
        *last_err = errno;
        return TRUE;
    }
    if (!sp_resolve_mark(r->fd, d->resolve.mark, error))
        return FALSE;
    if (connect(r->fd, (struct sockaddr *)&sa, sa_len) < 0 && errno != EINPROGRESS) {
        *last_err = errno;
        close(r->fd);
        r->fd = -1;
    }
    return TRUE;
}

static int
take_winner(struct racer *r, int *last_err)
{
    socklen_t len = sizeof(int);
    int err = 0, fd = r->fd;

    r->fd = -1;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) == 0 && err == 0)
        return fd;
    *last_err = err;
    close(fd);
    return -1;
}

static int
await_winner(struct racer *r, size_t n, const struct dial *d, GCancellable *cancellable, int *err)
{
    gint64 end = g_get_monotonic_time() + (gint64)d->tcp_timeout_ms * 1000;
    int cancel_fd = g_cancellable_get_fd(cancellable);
    int winner = -1;

    while (winner < 0 && !g_cancellable_is_cancelled(cancellable)) {
        struct pollfd pfd[SP_RESOLVE_ADDRS_MAX + 1];
        gint64 left = end - g_get_monotonic_time();
        bool alive = false;

        for (size_t i = 0; i < n; i++) {
            pfd[i] = (struct pollfd){ .fd = r[i].fd, .events = POLLOUT };
            alive = alive || r[i].fd >= 0;
        }
        if (left <= 0)
            *err = ETIMEDOUT;
        if (left <= 0 || !alive)
            break;
        pfd[n] = (struct pollfd){ .fd = cancel_fd, .events = POLLIN };
        if (poll(pfd, n + 1, (int)(left / 1000) + 1) < 0)
            continue;
        for (size_t i = 0; i < n && winner < 0; i++)
            if (r[i].fd >= 0 && pfd[i].revents != 0)
                winner = take_winner(&r[i], err);
    }
    if (cancel_fd >= 0)
        g_cancellable_release_fd(cancellable);
    return winner;
}

static int
race(const struct dial *d,
     const struct sp_ip *addrs,
     size_t n,
     GCancellable *cancellable,
     GError **error)
{
    struct racer r[SP_RESOLVE_ADDRS_MAX];
    int err = ECONNREFUSED;
    gboolean ok = TRUE;
    int fd = -1;

    for (size_t i = 0; i < n; i++)
        r[i].fd = -1;
    for (size_t i = 0; ok && i < n; i++)
        ok = start_racer(d, &addrs[i], &r[i], &err, error);
    if (ok)
        fd = await_winner(r, n, d, cancellable, &err);
    close_all(r, n);
    if (ok && fd < 0 && !g_cancellable_set_error_if_cancelled(cancellable, error))
        g_set_error(error,
                    SP_PORTAL_ERROR,
                    SP_PORTAL_ERROR_FAILED,
                    "cannot connect to the portal: %s",
                    g_strerror(err));
    return fd;
}

static GIOStream *
open_tcp(const struct dial *d, GCancellable *cancellable, GError **error)
{
    struct sp_ip addrs[SP_RESOLVE_ADDRS_MAX];
    size_t n = sp_resolve(&d->resolve, cancellable, addrs, error);
    g_autoptr(GSocket) sock = NULL;
    int fd;

    if (n == 0)
        return NULL;
    fd = race(d, addrs, n, cancellable, error);
    if (fd < 0)
        return NULL;
    sock = g_socket_new_from_fd(fd, error);
    if (sock == NULL) {
        close(fd);
        return NULL;
    }
    (void)g_socket_set_option(sock, IPPROTO_TCP, TCP_NODELAY, 1, NULL);
    return G_IO_STREAM(g_socket_connection_factory_create_connection(sock));
}

static GIOStream *
open_tls(const struct dial *d, GIOStream *tcp, GCancellable *cancellable, GError **error)
{
    g_autoptr(GSocketConnectable) identity = g_network_address_new(d->host, d->port);
    g_autoptr(GIOStream) tls = g_tls_client_connection_new(tcp, identity, error);

    if (tls == NULL)
        return NULL;
    if (d->tls_database != NULL)
        g_tls_connection_set_database(G_TLS_CONNECTION(tls), d->tls_database);
    if (!g_tls_connection_handshake(G_TLS_CONNECTION(tls), cancellable, error))
        return NULL;
    return g_steal_pointer(&tls);
}

static GIOStream *
run(struct dial *d, GCancellable *cancellable, GError **error)
{
    struct sp_upgrade_request request = {
        .target = d->target,
        .host_header = d->host_header,
        .user_agent = d->user_agent,
        .token = d->token != NULL ? g_bytes_get_data(d->token, NULL) : NULL,
    };
    g_autoptr(GIOStream) stream = open_tcp(d, cancellable, error);

    if (stream == NULL)
        return NULL;
    if (d->tls) {
        g_autoptr(GIOStream) tcp = g_steal_pointer(&stream);

        stream = open_tls(d, tcp, cancellable, error);
        if (stream == NULL)
            return NULL;
    }
    if (!sp_upgrade_run(stream, &request, cancellable, &d->reply, error))
        return NULL;
    return g_steal_pointer(&stream);
}

static void
dial_thread(GTask *task, SP_UNUSED gpointer source, gpointer data, GCancellable *cancellable)
{
    GError *error = NULL;
    GIOStream *stream = run(data, cancellable, &error);

    if (stream != NULL)
        g_task_return_pointer(task, stream, g_object_unref);
    else
        g_task_return_error(task, error);
}

void
sp_dial_async(const struct sp_dial_params *params,
              GCancellable *cancellable,
              GAsyncReadyCallback callback,
              gpointer data)
{
    g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, data);
    struct dial *d = g_new0(struct dial, 1);

    d->tls = params->url->tls;
    d->host = g_strdup(params->url->host);
    d->host_header = g_strdup(params->url->host_header);
    d->port = params->url->port;
    d->target = g_strdup(params->url->target);
    d->user_agent = g_strdup(params->user_agent);
    d->token = params->token != NULL ? g_bytes_ref(params->token) : NULL;
    d->tls_database = params->tls_database != NULL ? g_object_ref(params->tls_database) : NULL;
    d->resolve = params->resolve;
    d->hosts_path = g_strdup(params->resolve.hosts_path);
    d->resolve.hosts_path = d->hosts_path;
    d->resolve.host = d->host;
    d->tcp_timeout_ms = params->tcp_timeout_ms;
    g_task_set_task_data(task, d, dial_free);
    g_task_run_in_thread(task, dial_thread);
}

GIOStream *
sp_dial_finish(GAsyncResult *result, struct sp_upgrade_reply *ret_reply, GError **error)
{
    struct dial *d = g_task_get_task_data(G_TASK(result));
    GError *local = NULL;
    GIOStream *stream = g_task_propagate_pointer(G_TASK(result), &local);

    if (stream != NULL)
        return stream;
    if (g_error_matches(local, SP_PORTAL_ERROR, SP_PORTAL_ERROR_REFUSED)) {
        *ret_reply = d->reply;
        d->reply = (struct sp_upgrade_reply){ 0 };
    }
    g_propagate_error(error, local);
    return NULL;
}
