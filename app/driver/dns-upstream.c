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
    GSource *ready;
    GSource *timeout;
    GByteArray *out; /* TCP only: prefix and query, what is not sent yet */
    GByteArray *in;  /* TCP only */
};

static void
query_free(void *data)
{
    struct query *q = data;

    if (q->ready) {
        g_source_destroy(q->ready);
        g_source_unref(q->ready);
    }
    if (q->timeout) {
        g_source_destroy(q->timeout);
        g_source_unref(q->timeout);
    }
    g_clear_pointer(&q->out, g_byte_array_unref);
    g_clear_pointer(&q->in, g_byte_array_unref);
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

static struct query *
query_new(struct sp_dns_upstream *up, uint64_t id, struct sp_span query)
{
    struct query *q = g_new0(struct query, 1);

    q->up = up;
    q->id = id;
    memcpy(q->txid, query.p, 2);
    return q;
}

static void
watch(struct query *q, GIOCondition condition, GSocketSourceFunc cb)
{
    if (q->ready) {
        g_source_destroy(q->ready);
        g_source_unref(q->ready);
    }
    q->ready = g_socket_create_source(q->socket, condition, NULL);
    g_source_set_callback(q->ready, G_SOURCE_FUNC(cb), q, NULL);
    g_source_attach(q->ready, q->up->context);
}

static void
start(struct query *q, GIOCondition condition, GSocketSourceFunc cb)
{
    watch(q, condition, cb);
    q->timeout = g_timeout_source_new(SP_DNS_UPSTREAM_TIMEOUT_MS);
    g_source_set_callback(q->timeout, on_timeout, q, NULL);
    g_source_attach(q->timeout, q->up->context);
    g_hash_table_add(q->up->queries, q);
}

static int
check(const struct sp_dns_upstream *up, struct sp_span query)
{
    if (g_hash_table_size(up->queries) >= SP_DNS_UPSTREAM_MAX)
        return SP_E_LIMIT;
    return query.n < 12 || query.n > UINT16_MAX ? -EINVAL : 0;
}

int
sp_dns_upstream_query(struct sp_dns_upstream *up,
                      uint64_t id,
                      const struct sp_endpoint *server,
                      struct sp_span query)
{
    struct query *q;
    int r = check(up, query);

    if (r < 0)
        return r;
    q = query_new(up, id, query);
    r = open_and_send(q, server, query);
    if (r < 0) {
        query_free(q);
        return r;
    }
    start(q, G_IO_IN, on_readable);
    return 0;
}

/* ---- TCP ----------------------------------------------------------------------------------- */

static gboolean
on_tcp_readable(GSocket *socket, GIOCondition condition SP_UNUSED, void *data)
{
    g_autoptr(GError) error = NULL;
    struct query *q = data;
    uint8_t buf[4096];
    size_t want;
    gssize n = g_socket_receive(socket, (char *)buf, sizeof buf, NULL, &error);

    if (n < 0 && g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
        return G_SOURCE_CONTINUE;
    if (n <= 0) {
        finish(q, -ECONNRESET, sp_span(NULL, 0));
        return G_SOURCE_REMOVE;
    }
    g_byte_array_append(q->in, buf, (guint)n);
    want = q->in->len < 2 ? SIZE_MAX : 2 + ((size_t)q->in->data[0] << 8) + q->in->data[1];
    if (q->in->len < want)
        return G_SOURCE_CONTINUE;
    if (want < 2 + 12 || memcmp(q->in->data + 2, q->txid, 2) != 0) {
        finish(q, -EBADMSG, sp_span(NULL, 0));
    } else {
        g_autoptr(GByteArray) in = g_steal_pointer(&q->in);

        finish(q, 0, sp_span(in->data + 2, want - 2));
    }
    return G_SOURCE_REMOVE;
}

static gboolean
on_tcp_writable(GSocket *socket, GIOCondition condition SP_UNUSED, void *data)
{
    g_autoptr(GError) error = NULL;
    struct query *q = data;
    gssize n;

    if (!g_socket_check_connect_result(socket, &error)) {
        finish(q, -ECONNREFUSED, sp_span(NULL, 0));
        return G_SOURCE_REMOVE;
    }
    n = g_socket_send(socket, (const char *)q->out->data, q->out->len, NULL, &error);
    if (n < 0 && g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
        return G_SOURCE_CONTINUE;
    if (n < 0) {
        finish(q, -ECONNRESET, sp_span(NULL, 0));
        return G_SOURCE_REMOVE;
    }
    g_byte_array_remove_range(q->out, 0, (guint)n);
    if (q->out->len)
        return G_SOURCE_CONTINUE;
    watch(q, G_IO_IN, on_tcp_readable);
    return G_SOURCE_REMOVE;
}

static int
open_tcp(struct query *q, const struct sp_endpoint *server, const struct sp_ip *source)
{
    bool inside = source && source->family;
    g_autoptr(GSocketAddress) address = sp_socket_address(server);
    g_autoptr(GError) error = NULL;

    q->socket = sp_socket_new_tcp(server->ip.family, inside ? 0 : q->up->mark, &error);
    if (!q->socket)
        return -EPERM;
    if (inside) {
        struct sp_endpoint own = { .ip = *source };
        g_autoptr(GSocketAddress) from = sp_socket_address(&own);

        if (!g_socket_bind(q->socket, from, FALSE, &error))
            return -EADDRNOTAVAIL;
    }
    if (!g_socket_connect(q->socket, address, NULL, &error)
        && !g_error_matches(error, G_IO_ERROR, G_IO_ERROR_PENDING))
        return -ENETUNREACH;
    return 0;
}

int
sp_dns_upstream_query_tcp(struct sp_dns_upstream *up,
                          uint64_t id,
                          const struct sp_endpoint *server,
                          const struct sp_ip *source,
                          struct sp_span query)
{
    uint8_t prefix[2] = { (uint8_t)(query.n >> 8), (uint8_t)query.n };
    struct query *q;
    int r = check(up, query);

    if (r < 0)
        return r;
    q = query_new(up, id, query);
    q->in = g_byte_array_new();
    q->out = g_byte_array_new();
    g_byte_array_append(q->out, prefix, sizeof prefix);
    g_byte_array_append(q->out, query.p, (guint)query.n);
    r = open_tcp(q, server, source);
    if (r < 0) {
        query_free(q);
        return r;
    }
    start(q, G_IO_OUT, on_tcp_writable);
    return 0;
}
