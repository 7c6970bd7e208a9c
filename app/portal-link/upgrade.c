/* SPDX-License-Identifier: Apache-2.0 */
#include "app/portal-link/upgrade.h"

#include <string.h>

#include <libsoup/soup.h>
#include <sodium.h>

#include "app/portal-link/error.h"
#include "engine/base/addr.h"
#include "engine/base/rng.h"

/* RFC 6455 section 1.3 */
#define WEBSOCKET_GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

void
sp_upgrade_reply_done(struct sp_upgrade_reply *reply)
{
    g_free(reply->content_type);
    g_free(reply->retry_after);
    if (reply->body != NULL)
        g_string_free(reply->body, TRUE);
    *reply = (struct sp_upgrade_reply){ 0 };
}

char *
sp_upgrade_accept(const char *key)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA1);
    guint8 digest[20];
    gsize n = sizeof digest;

    g_checksum_update(sum, (const guchar *)key, -1);
    g_checksum_update(sum, (const guchar *)WEBSOCKET_GUID, -1);
    g_checksum_get_digest(sum, digest, &n);
    return g_base64_encode(digest, n);
}

gint64
sp_upgrade_retry_after(const char *header, gint64 now_unix)
{
    g_autoptr(GDateTime) date = NULL;
    g_autofree char *text = NULL;
    uint32_t seconds;

    if (header == NULL)
        return -1;
    text = g_strstrip(g_strdup(header));
    if (sp_parse_u32(text, strlen(text), UINT32_MAX, &seconds) == 0)
        return seconds;
    if (!g_ascii_isalpha(text[0]))
        return -1;
    date = soup_date_time_new_from_http_string(text);
    return date == NULL ? -1 : MAX(g_date_time_to_unix(date) - now_unix, 0);
}

GString *
sp_upgrade_dechunk(const char *in, size_t n)
{
    GString *out = g_string_new(NULL);
    size_t at = 0;

    for (;;) {
        size_t size = 0, digits = 0;

        for (; at < n && g_ascii_isxdigit(in[at]) && digits < 7; at++, digits++)
            size = size * 16 + (size_t)g_ascii_xdigit_value(in[at]);
        while (at < n && in[at] != '\n')
            at++;
        if (digits == 0 || size == 0 || at >= n)
            return out;
        at++;
        size = MIN(size, n - at);
        g_string_append_len(out, in + at, (gssize)size);
        at += size;
        if (at < n && in[at] == '\r')
            at++;
        if (at < n && in[at] == '\n')
            at++;
    }
}

static gboolean
fail(GError **error, const char *text)
{
    g_set_error_literal(error, SP_PORTAL_ERROR, SP_PORTAL_ERROR_FAILED, text);
    return FALSE;
}

static gboolean
write_request(GIOStream *stream,
              const struct sp_upgrade_request *r,
              const char *key,
              GCancellable *cancellable,
              GError **error)
{
    GString *head = g_string_sized_new(4096);
    gboolean ok;

    g_string_printf(head,
                    "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\nUser-Agent: %s\r\n",
                    r->target,
                    r->host_header,
                    key,
                    r->user_agent);
    if (r->token != NULL)
        g_string_append_printf(head, "X-Authorization: Bearer %s\r\n", r->token);
    g_string_append(head, "\r\n");
    ok = g_output_stream_write_all(g_io_stream_get_output_stream(stream),
                                   head->str,
                                   head->len,
                                   NULL,
                                   cancellable,
                                   error);
    sodium_memzero(head->str, head->len);
    g_string_free(head, TRUE);
    return ok;
}

/* Byte by byte: what follows the head belongs to the WebSocket. */
static GString *
read_head(GInputStream *in, GCancellable *cancellable, GError **error)
{
    g_autoptr(GString) head = g_string_new(NULL);

    while (head->len < SP_UPGRADE_HEAD_MAX) {
        char c;
        gssize n = g_input_stream_read(in, &c, 1, cancellable, error);

        if (n < 0)
            return NULL;
        if (n == 0) {
            fail(error, "the portal closed the connection before it answered");
            return NULL;
        }
        g_string_append_c(head, c);
        if (head->len >= 4 && memcmp(head->str + head->len - 4, "\r\n\r\n", 4) == 0)
            return g_steal_pointer(&head);
    }
    fail(error, "the portal's answer is too long");
    return NULL;
}

/* The body only explains a refusal: what cannot be read of it is left out. */
static GString *
read_body(GInputStream *in, SoupMessageHeaders *headers, GCancellable *cancellable)
{
    SoupEncoding encoding = soup_message_headers_get_encoding(headers);
    g_autoptr(GString) body = g_string_sized_new(SP_UPGRADE_BODY_MAX + 1);
    gsize want = SP_UPGRADE_BODY_MAX;
    gsize n = 0;

    if (encoding == SOUP_ENCODING_CONTENT_LENGTH)
        want = (gsize)MIN(soup_message_headers_get_content_length(headers), SP_UPGRADE_BODY_MAX);
    while (n < want) {
        gssize part = g_input_stream_read(in, body->str + n, want - n, cancellable, NULL);

        if (part <= 0)
            break;
        n += (gsize)part;
        /* the last chunk; a proxy may keep the connection open after it */
        if (encoding == SOUP_ENCODING_CHUNKED && n >= 5
            && memcmp(body->str + n - 5, "0\r\n\r\n", 5) == 0)
            break;
    }
    body->str[n] = '\0';
    body->len = n;
    return encoding == SOUP_ENCODING_CHUNKED ? sp_upgrade_dechunk(body->str, n)
                                             : g_steal_pointer(&body);
}

static gboolean
check_switch(SoupMessageHeaders *headers, const char *key, GError **error)
{
    const char *accept = soup_message_headers_get_one(headers, "Sec-WebSocket-Accept");
    g_autofree char *want = sp_upgrade_accept(key);

    if (!soup_message_headers_header_contains(headers, "Upgrade", "websocket")
        || !soup_message_headers_header_contains(headers, "Connection", "upgrade")
        || g_strcmp0(accept, want) != 0)
        return fail(error, "the portal's upgrade answer is not a WebSocket handshake");
    if (soup_message_headers_get_list(headers, "Sec-WebSocket-Extensions") != NULL
        || soup_message_headers_get_list(headers, "Sec-WebSocket-Protocol") != NULL)
        return fail(error, "the portal chose an extension that was not offered");
    return TRUE;
}

static gboolean
read_reply(GInputStream *in,
           const char *key,
           GCancellable *cancellable,
           struct sp_upgrade_reply *ret_reply,
           GError **error)
{
    g_autoptr(SoupMessageHeaders) headers = soup_message_headers_new(SOUP_MESSAGE_HEADERS_RESPONSE);
    g_autoptr(GString) head = read_head(in, cancellable, error);
    guint status;

    if (head == NULL)
        return FALSE;
    if (!soup_headers_parse_response(head->str, (int)head->len - 2, headers, NULL, &status, NULL))
        return fail(error, "the portal's answer is not HTTP");
    if (status == SOUP_STATUS_SWITCHING_PROTOCOLS)
        return check_switch(headers, key, error);
    ret_reply->status = status;
    ret_reply->content_type = g_strdup(soup_message_headers_get_one(headers, "Content-Type"));
    ret_reply->retry_after = g_strdup(soup_message_headers_get_one(headers, "Retry-After"));
    ret_reply->body = read_body(in, headers, cancellable);
    g_set_error(error,
                SP_PORTAL_ERROR,
                SP_PORTAL_ERROR_REFUSED,
                "the portal answered HTTP %u",
                status);
    return FALSE;
}

gboolean
sp_upgrade_run(GIOStream *stream,
               const struct sp_upgrade_request *request,
               GCancellable *cancellable,
               struct sp_upgrade_reply *ret_reply,
               GError **error)
{
    struct sp_rng rng = sp_rng_system();
    g_autofree char *key = NULL;
    guint8 nonce[16];

    sp_rng_fill(&rng, nonce, sizeof nonce);
    key = g_base64_encode(nonce, sizeof nonce);
    if (!write_request(stream, request, key, cancellable, error))
        return FALSE;
    return read_reply(g_io_stream_get_input_stream(stream), key, cancellable, ret_reply, error);
}
