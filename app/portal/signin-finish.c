/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "app/portal/html.h"
#include "app/portal/json.h"
#include "app/portal/signin-private.h"
#include "app/portal/token.h"

#define STATE_MAX 256

struct sp_cp_params
sp_cp_params_read(GHashTable *form)
{
    struct sp_cp_params p = { 0 };
    struct {
        const char *name;
        const char **where;
    } const fields[] = { { "as", &p.as }, { "state", &p.state }, { "nonce", &p.nonce } };

    for (size_t i = 0; form && i < G_N_ELEMENTS(fields); i++) {
        const char *text = g_hash_table_lookup(form, fields[i].name);

        if (text && *text)
            *fields[i].where = text;
    }
    return p;
}

enum sp_cp_flow_kind
sp_cp_params_kind(const struct sp_cp_params *p)
{
    if (g_strcmp0(p->as, "gui-client") == 0 || g_strcmp0(p->as, "client") == 0)
        return SP_CP_FLOW_GUI;
    return g_strcmp0(p->as, "headless-client") == 0 ? SP_CP_FLOW_HEADLESS : SP_CP_FLOW_WEB;
}

static bool
is_graphic(const char *text, size_t max)
{
    for (size_t i = 0; text[i]; i++)
        if (i >= max || !g_ascii_isgraph(text[i]))
            return false;
    return true;
}

/* The token is split at its first dot, so the nonce must not bring one. */
bool
sp_cp_params_valid(const struct sp_cp_params *p)
{
    if (p->nonce && (!is_graphic(p->nonce, SP_CP_TOKEN_NONCE_MAX) || strchr(p->nonce, '.')))
        return false;
    if (p->state && !is_graphic(p->state, STATE_MAX))
        return false;
    return sp_cp_params_kind(p) != SP_CP_FLOW_GUI || (p->nonce && p->state);
}

char *
sp_cp_signin_cookie(SoupServerMessage *msg, const char *name)
{
    const char *header =
        soup_message_headers_get_list(soup_server_message_get_request_headers(msg), "Cookie");
    g_auto(GStrv) pairs = g_strsplit(header ? header : "", ";", 64);
    g_autofree char *prefix = g_strconcat(name, "=", NULL);

    for (char **p = pairs; *p; p++)
        if (g_str_has_prefix(g_strchug(*p), prefix))
            return g_strdup(*p + strlen(prefix));
    return NULL;
}

void
sp_cp_signin_set_cookie(const struct sp_cp_signin *s,
                        SoupServerMessage *msg,
                        const char *name,
                        const char *value,
                        const char *path,
                        int max_age)
{
    g_autofree char *text = g_strdup_printf("%s=%s; Path=%s; Max-Age=%d; HttpOnly; SameSite=Lax%s",
                                            name,
                                            value,
                                            path,
                                            max_age,
                                            s->secure ? "; Secure" : "");

    soup_message_headers_append(soup_server_message_get_response_headers(msg), "Set-Cookie", text);
}

static char *
cookie_path(const struct sp_cp_account *account)
{
    return g_strdup_printf("/%s/sign_in", account->slug);
}

static void
finish_gui(struct sp_cp_signin *s,
           SoupServerMessage *msg,
           const struct sp_cp_account *account,
           const struct sp_cp_actor *actor,
           const char *fragment,
           const char *state)
{
    g_autofree char *path = cookie_path(account);
    g_autofree char *target = g_strdup_printf("%s/client_redirect", path);
    g_autoptr(JsonNode) root = sp_cp_json_object_node(json_object_new());
    JsonObject *o = json_node_get_object(root);
    g_autoptr(GString) body = g_string_new(NULL);
    char *text, *cookie;

    json_object_set_string_member(o, "account_id", account->id);
    json_object_set_string_member(o, "actor_name", actor->name);
    json_object_set_string_member(o, "fragment", fragment);
    json_object_set_string_member(o, "identifier", actor->email ? actor->email : actor->id);
    json_object_set_string_member(o, "state", state);
    json_object_set_int_member(o,
                               "expires_at",
                               g_get_real_time() / G_USEC_PER_SEC + SP_CP_CLIENT_COOKIE_SECS);
    text = json_to_string(root, FALSE);
    cookie = sp_cp_keys_sign(s->keys, SP_CP_PURPOSE_SIGN_IN_COOKIE, text, strlen(text));
    sp_cp_signin_set_cookie(s, msg, SP_CP_CLIENT_COOKIE, cookie, path, SP_CP_CLIENT_COOKIE_SECS);
    sp_cp_secret_free(text);
    sp_cp_secret_free(cookie);
    sp_cp_html_printf(body,
                      "<p>You are signed in. You may close this window.</p>\n"
                      "<p><a href=\"%s\">Open the client</a> if it does not open by itself.</p>",
                      target);
    sp_cp_html_page(msg, SOUP_STATUS_OK, "Signed in", body->str, target);
}

static void
finish_headless(SoupServerMessage *msg, const char *fragment)
{
    GString *body = g_string_new("<p>Copy this token into the waiting command. "
                                 "It is shown only once.</p>\n");

    sp_cp_html_printf(body, "<code id=\"token\">%s</code>", fragment);
    sp_cp_html_page(msg, SOUP_STATUS_OK, "Signed in", body->str, NULL);
    sp_cp_secret_free(g_string_free(body, FALSE));
}

void
sp_cp_signin_finish(struct sp_cp_signin *s,
                    SoupServerMessage *msg,
                    const struct sp_cp_account *account,
                    const struct sp_cp_actor *actor,
                    const char *provider_id,
                    const struct sp_cp_params *params)
{
    struct sp_cp_token *token = g_new0(struct sp_cp_token, 1);
    g_autoptr(GError) error = NULL;
    char *fragment;

    token->kind = SP_CP_TOKEN_CLIENT;
    token->account_id = g_strdup(account->id);
    token->actor_id = g_strdup(actor->id);
    token->provider_id = g_strdup(provider_id);
    token->name = g_strdup("browser sign-in");
    token->expires_at = g_get_real_time() / G_USEC_PER_SEC + SP_CP_SESSION_SECS;
    fragment = sp_cp_token_create(s->db, s->keys, token, params->nonce, &error);
    sp_cp_token_free(token);
    if (!fragment) {
        g_message("cannot store a token: %s", error ? error->message : "failed");
        sp_cp_html_page(msg,
                        SOUP_STATUS_INTERNAL_SERVER_ERROR,
                        "Something went wrong",
                        "<p>Please try again.</p>",
                        NULL);
        return;
    }
    if (sp_cp_params_kind(params) == SP_CP_FLOW_GUI)
        finish_gui(s, msg, account, actor, fragment, params->state);
    else
        finish_headless(msg, fragment);
    sp_cp_secret_free(fragment);
}

/* The cookie's object when it is ours, for this account and young enough. */
static JsonNode *
open_cookie(struct sp_cp_signin *s, SoupServerMessage *msg, const struct sp_cp_account *account)
{
    g_autofree char *cookie = sp_cp_signin_cookie(msg, SP_CP_CLIENT_COOKIE);
    g_autoptr(GBytes) bytes =
        cookie ? sp_cp_keys_open(s->keys, SP_CP_PURPOSE_SIGN_IN_COOKIE, cookie) : NULL;
    g_autoptr(JsonNode) root = NULL;
    int64_t expires_at = 0;
    gsize n;
    const char *text;

    if (!bytes)
        return NULL;
    text = g_bytes_get_data(bytes, &n);
    root = sp_cp_json_parse(text, n);
    if (!sp_cp_json_get_int(sp_cp_json_object(root), "expires_at", &expires_at)
        || expires_at <= g_get_real_time() / G_USEC_PER_SEC
        || g_strcmp0(sp_cp_json_get_text(sp_cp_json_object(root), "account_id"), account->id) != 0)
        return NULL;
    return g_steal_pointer(&root);
}

void
sp_cp_signin_client_redirect(struct sp_cp_signin *s,
                             SoupServerMessage *msg,
                             const struct sp_cp_account *account)
{
    g_autofree char *path = cookie_path(account);
    g_autoptr(JsonNode) root = open_cookie(s, msg, account);
    g_autoptr(GString) query = g_string_new(NULL);
    JsonObject *o = sp_cp_json_object(root);
    g_autofree char *location = NULL;

    if (!o) {
        location = g_strconcat(path, "/client_auth_error?error=expired", NULL);
        sp_cp_html_redirect(msg, location);
        return;
    }
    sp_cp_form_add(query, "account_name", account->name);
    sp_cp_form_add(query, "account_slug", account->slug);
    sp_cp_form_add(query, "actor_name", sp_cp_json_get_text(o, "actor_name"));
    sp_cp_form_add(query, "fragment", sp_cp_json_get_text(o, "fragment"));
    sp_cp_form_add(query, "identity_provider_identifier", sp_cp_json_get_text(o, "identifier"));
    sp_cp_form_add(query, "state", sp_cp_json_get_text(o, "state"));
    location = g_strdup_printf(SP_CP_SCHEME "://handle_client_sign_in_callback?%s", query->str);
    sp_cp_signin_set_cookie(s, msg, SP_CP_CLIENT_COOKIE, "", path, 0);
    sp_cp_html_redirect(msg, location);
}
