/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/portal/login.h"

#include <stdlib.h>
#include <string.h>

#include <glib.h>
#include <sodium.h>

#include "engine/base/err.h"
#include "engine/portal/json-private.h"

#define ID_MAX     255
#define NAME_LIMIT 255
#define DETAIL_MAX 300

/* application/x-www-form-urlencoded as the URL standard serialises it. */
static void
append_form(GString *out, const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        if (g_ascii_isalnum((char)*c) || strchr("*-._", *c) != NULL)
            g_string_append_c(out, (char)*c);
        else if (*c == ' ')
            g_string_append_c(out, '+');
        else
            g_string_append_printf(out, "%%%02X", *c);
    }
}

static void
append_param(GString *out, const char *key, const char *value)
{
    g_string_append_c(out, strchr(out->str, '?') != NULL ? '&' : '?');
    g_string_append(out, key);
    g_string_append_c(out, '=');
    append_form(out, value);
}

char *
sp_portal_external_id(const char *stored)
{
    g_autofree char *hash = NULL;
    struct sp_uuid id;

    if (sp_json_parse_uuid(stored, &id) < 0)
        return sp_xstrdup(stored);
    hash = g_compute_checksum_for_string(G_CHECKSUM_SHA256, stored, -1);
    return sp_xstrdup(hash);
}

/* A relay is known by its secret, not by an id or key. */
static void
append_relay(GString *out, const struct sp_portal_login *l)
{
    char port[6];

    if (l->name != NULL)
        append_param(out, "name", l->name);
    if (l->ipv4 != NULL)
        append_param(out, "ipv4", l->ipv4);
    if (l->ipv6 != NULL)
        append_param(out, "ipv6", l->ipv6);
    g_snprintf(port, sizeof port, "%u", l->port);
    append_param(out, "port", port);
}

static char *
build_target(const struct sp_portal_login *l, const char *prefix)
{
    static const char *const paths[] = {
        [SP_PORTAL_CLIENT] = "/client/v2/websocket",
        [SP_PORTAL_GATEWAY] = "/gateway/v2/websocket",
        [SP_PORTAL_RELAY] = "/relay/websocket",
    };
    char key[sodium_base64_ENCODED_LEN(SP_KEY_LEN, sodium_base64_VARIANT_ORIGINAL)];
    g_autoptr(GString) out = g_string_new(prefix);
    char *id;
    bool client = l->role == SP_PORTAL_CLIENT;

    if (out->len > 0 && out->str[out->len - 1] == '/')
        g_string_truncate(out, out->len - 1);
    g_string_append(out, paths[l->role]);
    if (l->role == SP_PORTAL_RELAY) {
        append_relay(out, l);
        return sp_xstrdup(out->str);
    }
    id = sp_portal_external_id(l->external_id);
    append_param(out, "external_id", id);
    append_param(out, "name", l->name);
    /* A placeholder that some firmware ships on every board. */
    if (client && l->device_serial != NULL && strcmp(l->device_serial, "123456789") != 0)
        append_param(out, "device_serial", l->device_serial);
    if (client && l->device_uuid != NULL)
        append_param(out, "device_uuid", l->device_uuid);
    sodium_bin2base64(key, sizeof key, l->public_key, SP_KEY_LEN, sodium_base64_VARIANT_ORIGINAL);
    append_param(out, "public_key", key);
    free(id);
    return sp_xstrdup(out->str);
}

static bool
identity_is_sane(const struct sp_portal_login *l)
{
    if (l->role == SP_PORTAL_RELAY)
        return (l->name == NULL || strlen(l->name) <= NAME_LIMIT)
               && (l->ipv4 != NULL || l->ipv6 != NULL);
    return strlen(l->external_id) <= ID_MAX && l->external_id[0] != '\0'
           && strlen(l->name) <= NAME_LIMIT;
}

static int
scheme_tls(const char *scheme, bool *ret_tls)
{
    if (strcmp(scheme, "https") == 0 || strcmp(scheme, "wss") == 0)
        *ret_tls = true;
    else if (strcmp(scheme, "http") == 0 || strcmp(scheme, "ws") == 0)
        *ret_tls = false;
    else
        return SP_E_INVAL;
    return 0;
}

static bool
host_is_sane(const char *host)
{
    size_t n = strlen(host);

    return n > 0 && n <= 253
           && strspn(host,
                     "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                     "0123456789.-_:")
                  == n;
}

int
sp_portal_login_url(const struct sp_portal_login *login, struct sp_portal_url *ret_url)
{
    g_autoptr(GUri) uri = g_uri_parse(login->api_url, G_URI_FLAGS_ENCODED_PATH, NULL);
    g_autofree char *host = NULL;
    struct sp_portal_url u = { 0 };

    if (uri == NULL || scheme_tls(g_uri_get_scheme(uri), &u.tls) < 0 || g_uri_get_host(uri) == NULL
        || !identity_is_sane(login))
        return SP_E_INVAL;
    host = g_hostname_to_ascii(g_uri_get_host(uri));
    if (host == NULL || !host_is_sane(host))
        return SP_E_INVAL;
    u.host = sp_xstrdup(host);
    g_free(host);
    host = g_strdup_printf(strchr(u.host, ':') != NULL ? "[%s]" : "%s", u.host);
    u.host_header = sp_xstrdup(host);
    u.port = g_uri_get_port(uri) > 0 ? (uint16_t)g_uri_get_port(uri) : 443;
    u.target = build_target(login, g_uri_get_path(uri));
    *ret_url = u;
    return 0;
}

void
sp_portal_url_done(struct sp_portal_url *u)
{
    free(u->host);
    free(u->host_header);
    free(u->target);
    *u = (struct sp_portal_url){ 0 };
}

char *
sp_portal_url_to_string(const struct sp_portal_url *url)
{
    g_autoptr(GString) out = g_string_new(url->tls ? "wss://" : "ws://");

    g_string_append(out, url->host_header);
    /* 443 is the port of a bare ws URL here, but not for others who read this text. */
    if (!url->tls || url->port != 443)
        g_string_append_printf(out, ":%u", url->port);
    g_string_append(out, url->target);
    return sp_xstrdup(out->str);
}

static void
append_ascii(GString *out, const char *text)
{
    for (const char *c = text; *c != '\0'; c++)
        if (g_ascii_isprint(*c))
            g_string_append_c(out, *c);
}

char *
sp_portal_user_agent(const struct sp_portal_agent *agent)
{
    g_autoptr(GString) raw = g_string_new(NULL);
    g_autoptr(GString) out = g_string_new(NULL);

    g_string_append_printf(raw,
                           "%s/%s %s/%s",
                           agent->os,
                           agent->os_version,
                           agent->component,
                           agent->version);
    if (agent->arch != NULL) {
        g_string_append_printf(raw, " (%s", agent->arch);
        if (agent->kernel != NULL)
            g_string_append_printf(raw, "; %s", agent->kernel);
        g_string_append_c(raw, ')');
    }
    append_ascii(out, raw->str);
    return sp_xstrdup(out->str);
}

int
sp_portal_clean_token(char *token)
{
    char *to = token;
    size_t n = strlen(token);
    bool ok = true;

    for (const char *from = token; *from != '\0'; from++) {
        if (g_ascii_isspace(*from) || *from == '\v')
            continue;
        ok = ok && g_ascii_isgraph(*from);
        *to++ = *from;
    }
    sodium_memzero(to, n - (size_t)(to - token));
    if (ok)
        return 0;
    sodium_memzero(token, n);
    return SP_E_MALFORMED;
}

static bool
is_problem_json(const char *content_type)
{
    static const char want[] = "application/problem+json";
    size_t n;

    if (content_type == NULL)
        return false;
    content_type += strspn(content_type, " \t");
    n = strcspn(content_type, "; \t");
    return n == sizeof want - 1 && g_ascii_strncasecmp(content_type, want, n) == 0;
}

static char *
printable(const char *text)
{
    char out[DETAIL_MAX];

    g_strlcpy(out, text, sizeof out);
    for (char *c = out; *c != '\0'; c++)
        if (!g_ascii_isprint(*c))
            *c = '?';
    return sp_xstrdup(out);
}

static bool
is_dead_token(const char *code)
{
    return code != NULL
           && (strcmp(code, "invalid_token") == 0 || strcmp(code, "missing_token") == 0);
}

enum sp_portal_verdict
sp_portal_classify_http(unsigned status,
                        const char *content_type,
                        const char *body,
                        size_t n,
                        char **ret_detail)
{
    const char *code = NULL, *detail = NULL;
    g_autoptr(JsonNode) root = NULL;
    JsonObject *o;

    if (is_problem_json(content_type) && sp_json_parse(body, n, &root) == 0
        && sp_json_object(root, &o) == 0) {
        if (sp_json_opt_string(o, "code", SP_JSON_TEXT_MAX, &code) < 0)
            code = NULL;
        if (sp_json_opt_string(o, "detail", SP_JSON_TEXT_MAX, &detail) < 0)
            detail = NULL;
    }
    *ret_detail = printable(detail != NULL ? detail : "no reason provided");
    if (status != 401)
        return SP_PORTAL_RETRY;
    return is_dead_token(code) ? SP_PORTAL_FATAL_SIGN_IN : SP_PORTAL_FATAL_KEEP_TOKEN;
}
