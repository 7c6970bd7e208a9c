/* SPDX-License-Identifier: Apache-2.0 */
#include "app/cli/callback-link.h"

#include <string.h>

#include <sodium.h>

#define CALLBACK_HOST "handle_client_sign_in_callback"
#define SLUG_MAX      100

G_DEFINE_QUARK(sp - cli - link - error - quark, sp_cli_link_error)

void
sp_cli_secret_free(char *secret)
{
    if (secret)
        sodium_memzero(secret, strlen(secret));
    g_free(secret);
}

void
sp_cli_link_done(struct sp_cli_link *link)
{
    g_clear_pointer(&link->account_slug, g_free);
    g_clear_pointer(&link->actor_name, g_free);
    g_clear_pointer(&link->fragment, sp_cli_secret_free);
    g_clear_pointer(&link->state, g_free);
}

static gboolean
fail(GError **error, enum sp_cli_link_error code, const char *text)
{
    g_set_error_literal(error, SP_CLI_LINK_ERROR, code, text);
    return FALSE;
}

/* Form decoding of @n bytes; NULL when they are no UTF-8, hold a zero, or a broken escape. */
static char *
form_decode(const char *text, size_t n)
{
    char *spaced = g_strndup(text, n);
    char *out;

    g_strdelimit(spaced, "+", ' ');
    out = g_uri_unescape_string(spaced, NULL);
    sp_cli_secret_free(spaced);
    if (out && !g_utf8_validate(out, -1, NULL))
        g_clear_pointer(&out, sp_cli_secret_free);
    return out;
}

/* Where the value of @key goes; NULL for a key that means nothing here. */
static char **
field_of(struct sp_cli_link *link, const char *key)
{
    if (g_strcmp0(key, "account_slug") == 0)
        return &link->account_slug;
    if (g_strcmp0(key, "actor_name") == 0)
        return &link->actor_name;
    if (g_strcmp0(key, "fragment") == 0)
        return &link->fragment;
    if (g_strcmp0(key, "state") == 0)
        return &link->state;
    return NULL;
}

static gboolean
take_pair(struct sp_cli_link *link, const char *pair, size_t n, GError **error)
{
    const char *equals = memchr(pair, '=', n);
    size_t key_len = equals ? (size_t)(equals - pair) : n;
    g_autofree char *key = form_decode(pair, key_len);
    char **field = field_of(link, key);

    if (!field)
        return TRUE;
    if (*field)
        return fail(error, SP_CLI_LINK_ERROR_DOUBLE, "a part of the link is there twice");
    *field = equals ? form_decode(equals + 1, n - key_len - 1) : g_strdup("");
    if (!*field)
        return fail(error, SP_CLI_LINK_ERROR_URL, "the link is damaged");
    return TRUE;
}

static gboolean
take_query(struct sp_cli_link *link, const char *query, GError **error)
{
    for (;;) {
        size_t n = strcspn(query, "&");

        if (n > 0 && !take_pair(link, query, n, error))
            return FALSE;
        if (!query[n])
            break;
        query += n + 1;
    }
    if (!link->account_slug || !link->actor_name || !link->fragment || !link->state)
        return fail(error, SP_CLI_LINK_ERROR_MISSING, "a part of the link is missing");
    return TRUE;
}

static gboolean
is_plain_scheme(const char *text, size_t n)
{
    if (n == 0 || !g_ascii_isalpha(text[0]))
        return FALSE;
    for (size_t i = 1; i < n; i++) {
        if (!g_ascii_isalnum(text[i]) && !strchr("+-.", text[i]))
            return FALSE;
    }
    return TRUE;
}

gboolean
sp_cli_link_parse(const char *text, struct sp_cli_link *ret, GError **error)
{
    struct sp_cli_link link = { 0 };
    const char *host = strstr(text, "://");
    g_autofree char *query = NULL;
    size_t host_len, path_len;

    *ret = link;
    if (!host || !is_plain_scheme(text, (size_t)(host - text)) || strlen(text) > SP_CLI_LINK_MAX)
        return fail(error, SP_CLI_LINK_ERROR_URL, "this is not a link");
    host += strlen("://");
    host_len = strcspn(host, "/?#");
    if (host_len != strlen(CALLBACK_HOST)
        || g_ascii_strncasecmp(host, CALLBACK_HOST, host_len) != 0)
        return fail(error, SP_CLI_LINK_ERROR_HOST, "this is not the link that ends a sign-in");
    path_len = strcspn(host + host_len, "?#");
    if (path_len > 1)
        return fail(error, SP_CLI_LINK_ERROR_HOST, "this is not the link that ends a sign-in");
    if (host[host_len + path_len] != '?')
        return fail(error, SP_CLI_LINK_ERROR_MISSING, "a part of the link is missing");
    query = g_strdup(host + host_len + path_len + 1);
    query[strcspn(query, "#")] = '\0';
    if (!take_query(&link, query, error)) {
        sodium_memzero(query, strlen(query));
        sp_cli_link_done(&link);
        return FALSE;
    }
    sodium_memzero(query, strlen(query));
    *ret = link;
    return TRUE;
}

char *
sp_cli_link_token(const struct sp_cli_link *link,
                  const char *nonce,
                  const char *state,
                  GError **error)
{
    size_t n = strlen(state);
    char *token;

    if (n == 0 || strlen(link->state) != n || sodium_memcmp(link->state, state, n) != 0) {
        fail(error, SP_CLI_LINK_ERROR_STATE, "the link belongs to another sign-in");
        return NULL;
    }
    token = g_strconcat(nonce, link->fragment, NULL);
    if (!*link->fragment || !sp_cli_token_is_valid(token)) {
        sp_cli_secret_free(token);
        fail(error, SP_CLI_LINK_ERROR_TOKEN, "the link holds no token");
        return NULL;
    }
    return token;
}

gboolean
sp_cli_token_is_valid(const char *token)
{
    size_t n = strlen(token);

    if (n == 0 || n > SP_CLI_TOKEN_MAX)
        return FALSE;
    for (size_t i = 0; i < n; i++) {
        if (!g_ascii_isgraph(token[i]))
            return FALSE;
    }
    return TRUE;
}

gboolean
sp_cli_slug_is_valid(const char *slug)
{
    size_t n = strlen(slug);

    if (n == 0 || n > SLUG_MAX)
        return FALSE;
    for (size_t i = 0; i < n; i++) {
        if (!g_ascii_isalnum(slug[i]) && slug[i] != '_' && slug[i] != '-')
            return FALSE;
    }
    return TRUE;
}

gboolean
sp_cli_server_is_valid(const char *server)
{
    g_autoptr(GUri) uri = g_uri_parse(server, G_URI_FLAGS_HAS_PASSWORD, NULL);

    if (!uri || strpbrk(server, " \t\r\n\"'<>\\"))
        return FALSE;
    if (!g_str_equal(g_uri_get_scheme(uri), "https") && !g_str_equal(g_uri_get_scheme(uri), "http"))
        return FALSE;
    return g_uri_get_host(uri) && *g_uri_get_host(uri) && !g_uri_get_user(uri)
           && !g_uri_get_query(uri) && !g_uri_get_fragment(uri);
}

char *
sp_cli_sign_in_url(const char *server, const char *account, const char *nonce, const char *state)
{
    size_t n = strlen(server);

    while (n > 0 && server[n - 1] == '/')
        n--;
    if (!nonce)
        return g_strdup_printf("%.*s/%s?as=headless-client",
                               (int)n,
                               server,
                               account ? account : "");
    return g_strdup_printf("%.*s/%s?as=gui-client&nonce=%s&state=%s",
                           (int)n,
                           server,
                           account ? account : "",
                           nonce,
                           state);
}
