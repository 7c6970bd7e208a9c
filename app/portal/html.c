/* SPDX-License-Identifier: Apache-2.0 */
#include "app/portal/html.h"

#include <stdarg.h>
#include <string.h>

#include <sodium.h>

static const char style[] =
    ":root{color-scheme:light dark}"
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:26rem;margin:10vh auto;padding:0 1rem}"
    "h1{font-size:1.5rem}"
    "label{display:block;margin-top:1rem}"
    "input{font:inherit;box-sizing:border-box;width:100%;padding:.5rem}"
    "button{font:inherit;margin-top:1rem;padding:.5rem 1rem;width:100%}"
    "code{display:block;padding:.75rem;border:1px solid;overflow-wrap:anywhere;user-select:all}"
    ".error{border-left:.25rem solid #c01c28;padding-left:.75rem}";

static char *
content_policy(void)
{
    uint8_t hash[crypto_hash_sha256_BYTES];
    g_autofree char *text = NULL;

    crypto_hash_sha256(hash, (const uint8_t *)style, strlen(style));
    text = g_base64_encode(hash, sizeof hash);
    return g_strdup_printf("default-src 'none'; style-src 'sha256-%s'; form-action 'self'; "
                           "frame-ancestors 'none'; base-uri 'none'",
                           text);
}

static void
set_headers(SoupServerMessage *msg)
{
    SoupMessageHeaders *h = soup_server_message_get_response_headers(msg);
    g_autofree char *policy = content_policy();

    soup_message_headers_replace(h, "Content-Security-Policy", policy);
    soup_message_headers_replace(h, "X-Content-Type-Options", "nosniff");
    soup_message_headers_replace(h, "X-Frame-Options", "DENY");
    /* Addresses of these pages carry the nonce of a token. */
    soup_message_headers_replace(h, "Referrer-Policy", "no-referrer");
    soup_message_headers_replace(h, "Cache-Control", "no-store");
}

void
sp_cp_html_printf(GString *out, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, format);
    text = g_markup_vprintf_escaped(format, ap);
    va_end(ap);
    g_string_append(out, text);
}

void
sp_cp_html_page(SoupServerMessage *msg,
                unsigned status,
                const char *title,
                const char *body,
                const char *refresh)
{
    GString *page = g_string_new("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
                                 "<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
                                 "content=\"width=device-width, initial-scale=1\">\n");
    gsize n;

    if (refresh)
        sp_cp_html_printf(page, "<meta http-equiv=\"refresh\" content=\"0; url=%s\">\n", refresh);
    sp_cp_html_printf(page, "<title>%s</title>\n", title);
    g_string_append_printf(page, "<style>%s</style>\n</head>\n<body>\n<main>\n", style);
    sp_cp_html_printf(page, "<h1>%s</h1>\n", title);
    g_string_append_printf(page, "%s\n</main>\n</body>\n</html>\n", body);
    set_headers(msg);
    n = page->len;
    soup_server_message_set_status(msg, status, NULL);
    soup_server_message_set_response(msg,
                                     "text/html; charset=utf-8",
                                     SOUP_MEMORY_TAKE,
                                     g_string_free(page, FALSE),
                                     n);
}

void
sp_cp_html_redirect(SoupServerMessage *msg, const char *location)
{
    set_headers(msg);
    soup_message_headers_replace(soup_server_message_get_response_headers(msg),
                                 "Location",
                                 location);
    soup_server_message_set_status(msg, SOUP_STATUS_FOUND, NULL);
}

void
sp_cp_form_add(GString *out, const char *key, const char *value)
{
    if (!value)
        return;
    if (out->len > 0)
        g_string_append_c(out, '&');
    g_string_append_printf(out, "%s=", key);
    for (const unsigned char *p = (const unsigned char *)value; *p; p++) {
        if (g_ascii_isalnum(*p) || strchr("*-._", *p))
            g_string_append_c(out, (char)*p);
        else if (*p == ' ')
            g_string_append_c(out, '+');
        else
            g_string_append_printf(out, "%%%02X", *p);
    }
}
