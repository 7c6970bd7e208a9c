/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP/1.1 upgrade to a WebSocket, by hand: libsoup's own client neither shows the body of a
 * refusal nor lets the Host header, the addresses and the socket options be chosen. Source: RFC
 * 6455 section 4.1; spec portal-protocol 1.2. Blocking: runs on the dial's worker thread. */
#pragma once

#include <gio/gio.h>

#define SP_UPGRADE_HEAD_MAX 16384
#define SP_UPGRADE_BODY_MAX 16384

/** struct sp_upgrade_reply - an answer other than 101. Owns its strings.
 * @retry_after: raw header or NULL */
struct sp_upgrade_reply {
    unsigned status;
    char *content_type;
    char *retry_after;
    GString *body;
};
void sp_upgrade_reply_done(struct sp_upgrade_reply *reply);

/** struct sp_upgrade_request - borrowed strings, free of control characters
 * @token: NULL leaves the authorization out */
struct sp_upgrade_request {
    const char *target;
    const char *host_header;
    const char *user_agent;
    const char *token;
};

/** sp_upgrade_run() - write the request on @stream and read the answer, not one byte more.
 * Returns: TRUE when @stream is a WebSocket now. FALSE with SP_PORTAL_ERROR_REFUSED: @ret_reply is
 * filled and owned by the caller. FALSE with another error: @ret_reply untouched. */
gboolean sp_upgrade_run(GIOStream *stream,
                        const struct sp_upgrade_request *request,
                        GCancellable *cancellable,
                        struct sp_upgrade_reply *ret_reply,
                        GError **error);

/** sp_upgrade_accept() - the Sec-WebSocket-Accept that belongs to @key; owned (g_free) */
char *sp_upgrade_accept(const char *key);
/** sp_upgrade_retry_after() - seconds from @now_unix until the time in @header (seconds or an HTTP
 * date), 0 for the past, -1 when there is nothing usable */
gint64 sp_upgrade_retry_after(const char *header, gint64 now_unix);
/** sp_upgrade_dechunk() - decode chunked @in as far as it goes; owned */
GString *sp_upgrade_dechunk(const char *in, size_t n);
