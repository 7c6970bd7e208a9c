/* SPDX-License-Identifier: Apache-2.0 */
#include "app/driver/dns-upstream.h"

#include <errno.h>
#include <string.h>

#include "app/platform/socket.h"
#include "engine/base/err.h"

struct sp_dns_upstream {
    uint32_t mark;
    sp_dns_upstream_cb cb;
    void *ctx;
    GMainContext *context;
    GHashTable *queries; /* struct query, as a set */
};

struct query {
    struct sp_dns_upstream *up;
    uint64_t id;
    uint8_t txid[2];
    GSocket *socket;
    GSource *readable;
    GSource *timeout;
};

static void
query_free(void *data)
{
    struct query *q = data;

    if (q->readable) {
        g_source_destroy(q->readable);
        g_source_unref(q->readable);
    }
    if (q->timeout) {
        g_source_destroy(q->timeout);
        g_source_unref(q->timeout);
    }
    g_clear_object(&q->socket);
    g_free(q);
}

struct sp_dns_upstream *
sp_dns_upstream_new(uint32_t mark, sp_dns_upstream_cb cb, void *ctx)
{
    struct sp_dns_upstream *up = g_new0(struct sp_dns_upstream, 1);

    up->mark = mark;
    up->cb = cb;
    up->ctx = ctx;
    up->context = g_main_context_ref_thread_default();
    up->queries = g_hash_table_new_full(NULL, NULL, query_free, NULL);
    return up;
}

void
sp_dns_upstream_free(struct sp_dns_upstream *up)
{
    if (!up)
        return;
    g_hash_table_unref(up->queries);
    g_main_context_unref(up->context);
    g_free(up);
}

size_t
sp_dns_upstream_in_flight(const struct sp_dns_upstream *up)
{
    return g_hash_table_size(up->queries);
}

/* The query is gone before the call, so the callback may free everything. */
static void
finish(struct query *q, int code, struct sp_span reply)
{
    struct sp_dns_upstream *up = q->up;
    uint64_t id = q->id;

    g_hash_table_remove(up->queries, q);
    up->cb(up->ctx, id, code, reply);
}

static gboolean
on_timeout(void *data)
{
    finish(data, -ETIMEDOUT, sp_span(NULL, 0));
    return G_SOURCE_REMOVE;
}

static gboolean
on_readable(GSocket *socket, GIOCondition condition SP_UNUSED, void *data)
{
    g_autoptr(GError) error = NULL;
    struct query *q = data;
    uint8_t buf[SP_DNS_UPSTREAM_REPLY_MAX];
    gssize n = g_socket_receive(socket, (char *)buf, sizeof buf, NULL, &error);

    if (n < 0 && g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
        return G_SOURCE_CONTINUE;
    if (n < 0) {
        finish(q, -ECONNREFUSED, sp_span(NULL, 0));
        return G_SOURCE_REMOVE;
    }
    /* A stranger's guess must not end the wait for the right answer. */
    if (n < 12 || memcmp(buf, q->txid, 2) != 0)
        return G_SOURCE_CONTINUE;
    finish(q, 0, sp_span(buf, (size_t)n));
    return G_SOURCE_REMOVE;
}

/* Connecting lets the kernel check where replies come from and report closed ports. */
static int
open_and_send(struct query *q, const struct sp_endpoint *server, struct sp_span query)
{
    g_autoptr(GSocketAddress) address = sp_socket_address(server);
    g_autoptr(GError) error = NULL;

    q->socket = sp_socket_new_udp(server->ip.family, q->up->mark, &error);
    if (!q->socket)
        return -EPERM;
    if (!g_socket_connect(q->socket, address, NULL, &error))
        return -ENETUNREACH;
    if (g_socket_send(q->socket, (const char *)query.p, query.n, NULL, &error) < 0)
        return g_error_matches(error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED) ? -EPERM
                                                                                : -EHOSTUNREACH;
    return 0;
}

int
sp_dns_upstream_query(struct sp_dns_upstream *up,
                      uint64_t id,
                      const struct sp_endpoint *server,
                      struct sp_span query)
{
    struct query *q;
    int r;

    if (g_hash_table_size(up->queries) >= SP_DNS_UPSTREAM_MAX)
        return SP_E_LIMIT;
    if (query.n < 12)
        return -EINVAL;
    q = g_new0(struct query, 1);
    q->up = up;
    q->id = id;
    memcpy(q->txid, query.p, 2);
    r = open_and_send(q, server, query);
    if (r < 0) {
        query_free(q);
        return r;
    }
    q->readable = g_socket_create_source(q->socket, G_IO_IN, NULL);
    g_source_set_callback(q->readable, G_SOURCE_FUNC(on_readable), q, NULL);
    g_source_attach(q->readable, up->context);
    q->timeout = g_timeout_source_new(SP_DNS_UPSTREAM_TIMEOUT_MS);
    g_source_set_callback(q->timeout, on_timeout, q, NULL);
    g_source_attach(q->timeout, up->context);
    g_hash_table_add(up->queries, q);
    return 0;
}
