/* SPDX-License-Identifier: Apache-2.0 */
#include "app/relay/health.h"

#include <string.h>

#include "app/platform/socket.h"

struct relay_health {
    GSocketService *service;
    struct relay_health_ops ops;
    GCancellable *cancellable;
    unsigned connections;
    unsigned refs; /* the owner's and one per connection */
};

/** struct caller - one connection. Owns all but @health */
struct caller {
    struct relay_health *health;
    GSocketConnection *connection;
    char request[RELAY_HEALTH_REQUEST_MAX + 1];
    gsize n;
    char *response;
};

static void
unref(struct relay_health *h)
{
    if (--h->refs)
        return;
    g_object_unref(h->cancellable);
    g_free(h);
}

static void
caller_free(struct caller *c)
{
    c->health->connections--;
    unref(c->health);
    g_object_unref(c->connection);
    g_free(c->response);
    g_free(c);
}

static char *
response(const char *status, const char *body, gboolean with_body)
{
    return g_strdup_printf("HTTP/1.1 %s\r\nContent-Type: text/plain; charset=utf-8\r\n"
                           "Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
                           status,
                           strlen(body),
                           with_body ? body : "");
}

static const char build_id[] = "sallyport-relay " SP_VERSION "\n";

char *
relay_health_answer(const struct relay_health_ops *ops, const char *request)
{
    g_autofree char *line = g_strndup(request, strcspn(request, "\r\n"));
    g_auto(GStrv) words = g_strsplit(line, " ", 4);
    g_autofree char *metrics = NULL;
    gboolean get, ready;

    if (g_strv_length(words) != 3 || !g_str_has_prefix(words[2], "HTTP/1."))
        return response("400 Bad Request", "", TRUE);
    get = strcmp(words[0], "GET") == 0;
    if (!get && strcmp(words[0], "HEAD") != 0)
        return response("405 Method Not Allowed", "", TRUE);
    if (strcmp(words[1], "/healthz") == 0)
        return response("200 OK", build_id, get);
    if (strcmp(words[1], "/readyz") == 0) {
        ready = ops->ready(ops->ctx);
        return response(ready ? "200 OK" : "503 Service Unavailable", build_id, get);
    }
    if (strcmp(words[1], "/metrics") == 0) {
        metrics = ops->metrics(ops->ctx);
        return response("200 OK", metrics, get);
    }
    return response("404 Not Found", "", TRUE);
}

static void
written_cb(GObject *source, GAsyncResult *result, gpointer data)
{
    struct caller *c = data;

    (void)g_output_stream_write_all_finish(G_OUTPUT_STREAM(source), result, NULL, NULL);
    (void)g_socket_shutdown(g_socket_connection_get_socket(c->connection), FALSE, TRUE, NULL);
    caller_free(c);
}

static void read_more(struct caller *c);

static void
read_cb(GObject *source, GAsyncResult *result, gpointer data)
{
    struct caller *c = data;
    gssize n = g_input_stream_read_finish(G_INPUT_STREAM(source), result, NULL);

    if (n <= 0 || memchr(c->request + c->n, '\0', (gsize)n)) {
        caller_free(c);
        return;
    }
    c->n += (gsize)n;
    if (!strstr(c->request, "\r\n\r\n") && !strstr(c->request, "\n\n")) {
        read_more(c);
        return;
    }
    c->response = relay_health_answer(&c->health->ops, c->request);
    g_output_stream_write_all_async(g_io_stream_get_output_stream(G_IO_STREAM(c->connection)),
                                    c->response,
                                    strlen(c->response),
                                    G_PRIORITY_DEFAULT,
                                    c->health->cancellable,
                                    written_cb,
                                    c);
}

static void
read_more(struct caller *c)
{
    if (c->n == RELAY_HEALTH_REQUEST_MAX) {
        caller_free(c);
        return;
    }
    g_input_stream_read_async(g_io_stream_get_input_stream(G_IO_STREAM(c->connection)),
                              c->request + c->n,
                              RELAY_HEALTH_REQUEST_MAX - c->n,
                              G_PRIORITY_DEFAULT,
                              c->health->cancellable,
                              read_cb,
                              c);
}

static gboolean
incoming_cb(G_GNUC_UNUSED GSocketService *service,
            GSocketConnection *connection,
            G_GNUC_UNUSED GObject *source,
            gpointer data)
{
    struct relay_health *h = data;
    struct caller *c;

    if (h->connections >= RELAY_HEALTH_CONNECTIONS_MAX)
        return TRUE;
    g_socket_set_timeout(g_socket_connection_get_socket(connection), RELAY_HEALTH_TIMEOUT_S);
    c = g_new0(struct caller, 1);
    c->health = h;
    c->connection = g_object_ref(connection);
    h->connections++;
    h->refs++;
    read_more(c);
    return TRUE;
}

struct relay_health *
relay_health_new(const char *address, const struct relay_health_ops *ops, GError **error)
{
    g_autoptr(GSocketAddress) where = NULL;
    struct relay_health *h;
    struct sp_endpoint ep;

    if (sp_endpoint_parse(address, &ep) < 0) {
        g_set_error(error,
                    G_OPTION_ERROR,
                    G_OPTION_ERROR_BAD_VALUE,
                    "not an address and port: \"%s\"",
                    address);
        return NULL;
    }
    h = g_new0(struct relay_health, 1);
    h->refs = 1;
    h->ops = *ops;
    h->cancellable = g_cancellable_new();
    h->service = g_socket_service_new();
    where = sp_socket_address(&ep);
    if (!g_socket_listener_add_address(G_SOCKET_LISTENER(h->service),
                                       where,
                                       G_SOCKET_TYPE_STREAM,
                                       G_SOCKET_PROTOCOL_TCP,
                                       NULL,
                                       NULL,
                                       error)) {
        relay_health_free(h);
        return NULL;
    }
    g_signal_connect(h->service, "incoming", G_CALLBACK(incoming_cb), h);
    g_socket_service_start(h->service);
    return h;
}

void
relay_health_free(struct relay_health *h)
{
    if (h == NULL)
        return;
    g_signal_handlers_disconnect_by_data(h->service, h);
    g_socket_service_stop(h->service);
    g_socket_listener_close(G_SOCKET_LISTENER(h->service));
    g_object_unref(h->service);
    g_cancellable_cancel(h->cancellable);
    /* Each connection lets go in its cancelled callback. */
    while (h->connections)
        g_main_context_iteration(NULL, TRUE);
    unref(h);
}
