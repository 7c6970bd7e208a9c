/* SPDX-License-Identifier: Apache-2.0 */
#include "app/portal/signin.h"

#include <string.h>

#include <sodium.h>

#include "app/portal/html.h"
#include "app/portal/password.h"
#include "app/portal/signin-private.h"

#define CSRF_COOKIE       "sp_csrf"
#define CSRF_COOKIE_TLS   "__Host-sp_csrf" /* no other host of the domain can plant it */
#define CSRF_HEX          64
#define FAILURE_DELAY_MS  500
#define ADDRESS_BURST     30 /* an office signs in on Monday morning */
#define ADDRESS_PER_SEC   0.5
#define PERSON_BURST      5
#define PERSON_PER_SEC    0.1
#define TARGET_BURST      50 /* high, because anyone can use it up and keep the person out */
#define TARGET_PER_SEC    0.1
#define SEGMENTS_MAX      4
#define WRONG_CREDENTIALS "The e-mail address or the password is wrong."

/* One request on its way through the handlers; all borrowed. */
struct request {
    struct sp_cp_signin *signin;
    SoupServerMessage *msg;
    const struct sp_cp_account *account;
    struct sp_cp_params params;
    GHashTable *form; /* POST only */
};

struct sp_cp_signin *
sp_cp_signin_new(struct sp_cp_db *db,
                 const struct sp_cp_keys *keys,
                 const struct sp_cp_proxies *proxies,
                 const char *public_url,
                 bool dev)
{
    struct sp_cp_signin *s = g_new0(struct sp_cp_signin, 1);

    s->db = db;
    s->keys = keys;
    s->secure = g_str_has_prefix(public_url, "https:");
    s->dev = dev;
    s->proxies = proxies;
    s->by_address = sp_cp_limit_new(ADDRESS_PER_SEC, ADDRESS_BURST);
    s->by_person = sp_cp_limit_new(PERSON_PER_SEC, PERSON_BURST);
    s->by_target = sp_cp_limit_new(TARGET_PER_SEC, TARGET_BURST);
    return s;
}

void
sp_cp_signin_free(struct sp_cp_signin *s)
{
    if (!s)
        return;
    sp_cp_limit_free(s->by_address);
    sp_cp_limit_free(s->by_person);
    sp_cp_limit_free(s->by_target);
    g_free(s);
}

static void
not_found(SoupServerMessage *msg)
{
    sp_cp_html_page(msg, SOUP_STATUS_NOT_FOUND, "Not found", "<p>There is no such page.</p>", NULL);
}

/* Redirect to @path with the parameters that a client wants to see again. */
static void
redirect_keeping(SoupServerMessage *msg, const char *path, const struct sp_cp_params *p)
{
    g_autoptr(GString) query = g_string_new(NULL);
    g_autofree char *location = NULL;

    sp_cp_form_add(query, "as", p->as);
    sp_cp_form_add(query, "nonce", p->nonce);
    sp_cp_form_add(query, "state", p->state);
    location = g_strdup_printf("%s%s%s", path, query->len > 0 ? "?" : "", query->str);
    sp_cp_html_redirect(msg, location);
}

static const char *
csrf_cookie_name(const struct sp_cp_signin *s)
{
    return s->secure ? CSRF_COOKIE_TLS : CSRF_COOKIE;
}

static void
csrf_of(const struct sp_cp_signin *s, const char *cookie, char out[CSRF_HEX + 1])
{
    uint8_t mac[SP_CP_MAC_LEN];

    sp_cp_keys_mac(s->keys, SP_CP_PURPOSE_FORM, cookie, strlen(cookie), mac);
    sodium_bin2hex(out, CSRF_HEX + 1, mac, sizeof mac);
}

/* A form is genuine when its hidden field belongs to the cookie of this browser. */
static bool
csrf_is_fine(const struct request *rq)
{
    g_autofree char *cookie = sp_cp_signin_cookie(rq->msg, csrf_cookie_name(rq->signin));
    const char *field = g_hash_table_lookup(rq->form, "csrf");
    const char *site =
        soup_message_headers_get_one(soup_server_message_get_request_headers(rq->msg),
                                     "Sec-Fetch-Site");
    char want[CSRF_HEX + 1];

    if (site && (g_str_equal(site, "cross-site") || g_str_equal(site, "same-site")))
        return false;
    if (!cookie || !field || strlen(field) != CSRF_HEX)
        return false;
    csrf_of(rq->signin, cookie, want);
    return sodium_memcmp(field, want, CSRF_HEX) == 0;
}

static void
hidden(GString *body, const char *name, const char *value)
{
    if (value)
        sp_cp_html_printf(body, "<input type=\"hidden\" name=\"%s\" value=\"%s\">\n", name, value);
}

static void
hidden_fields(const struct request *rq, GString *body, const char *csrf)
{
    hidden(body, "csrf", csrf);
    hidden(body, "as", rq->params.as);
    hidden(body, "nonce", rq->params.nonce);
    hidden(body, "state", rq->params.state);
}

static char *
provider_of(struct sp_cp_db *db, const char *account_id)
{
    g_autoptr(sqlite3_stmt) s =
        sp_cp_db_prepare(db,
                         NULL,
                         "SELECT id FROM providers WHERE account_id = ? AND type = 'userpass'",
                         "s",
                         account_id);

    return s && sp_cp_db_step(db, s, NULL) == 1 ? sp_cp_col_dup(s, 0) : NULL;
}

static void
password_form(const struct request *rq, GString *body, const char *csrf)
{
    g_autofree char *provider = provider_of(rq->signin->db, rq->account->id);

    if (!provider)
        return;
    sp_cp_html_printf(body,
                      "<form method=\"post\" action=\"/%s/sign_in/userpass/%s\">\n",
                      rq->account->slug,
                      provider);
    hidden_fields(rq, body, csrf);
    g_string_append(
        body,
        "<label for=\"user\">E-mail address</label>\n"
        "<input id=\"user\" name=\"userpass[idp_id]\" type=\"email\" autocomplete=\"username\" "
        "required autofocus>\n"
        "<label for=\"secret\">Password</label>\n"
        "<input id=\"secret\" name=\"userpass[secret]\" type=\"password\" "
        "autocomplete=\"current-password\" required>\n"
        "<button type=\"submit\">Sign in</button>\n</form>\n");
}

static void
dev_form(const struct request *rq, GString *body, const char *csrf)
{
    g_autoptr(sqlite3_stmt) s =
        sp_cp_db_prepare(rq->signin->db,
                         NULL,
                         "SELECT id, name FROM actors WHERE account_id = ? AND NOT disabled"
                         " AND type <> 'service_account' ORDER BY name",
                         "s",
                         rq->account->id);

    sp_cp_html_printf(body,
                      "<h2>Developer sign-in</h2>\n<p>No password is asked for.</p>\n"
                      "<form method=\"post\" action=\"/%s/sign_in/dev\">\n",
                      rq->account->slug);
    hidden_fields(rq, body, csrf);
    while (s && sp_cp_db_step(rq->signin->db, s, NULL) == 1)
        sp_cp_html_printf(body,
                          "<button type=\"submit\" name=\"actor_id\" value=\"%s\">%s</button>\n",
                          sp_cp_col_text(s, 0),
                          sp_cp_col_text(s, 1));
    g_string_append(body, "</form>\n");
}

static void
sign_in_page(const struct request *rq, unsigned status, const char *problem)
{
    g_autofree char *title = g_strdup_printf("Sign in to %s", rq->account->name);
    g_autofree char *cookie = sp_cp_signin_cookie(rq->msg, csrf_cookie_name(rq->signin));
    g_autoptr(GString) body = g_string_new(NULL);
    char csrf[CSRF_HEX + 1];

    if (sp_cp_params_kind(&rq->params) == SP_CP_FLOW_WEB) {
        sp_cp_html_page(rq->msg,
                        status,
                        title,
                        "<p>Start from the client on your device: choose “Sign in” there, "
                        "and it brings you back here.</p>",
                        NULL);
        return;
    }
    if (!cookie || strlen(cookie) != CSRF_HEX) {
        g_free(cookie);
        cookie = sp_cp_random_hex(CSRF_HEX / 2);
        sp_cp_signin_set_cookie(rq->signin,
                                rq->msg,
                                csrf_cookie_name(rq->signin),
                                cookie,
                                "/",
                                86400);
    }
    csrf_of(rq->signin, cookie, csrf);
    if (problem)
        sp_cp_html_printf(body, "<p class=\"error\" role=\"alert\">%s</p>\n", problem);
    password_form(rq, body, csrf);
    if (rq->signin->dev)
        dev_form(rq, body, csrf);
    sp_cp_html_page(rq->msg, status, title, body->str, NULL);
}

/* ---- password check on a worker thread ------------------------------------------------------ */

struct attempt {
    struct sp_cp_signin *signin;
    SoupServerMessage *msg;
    struct sp_cp_account *account;
    struct sp_cp_actor *actor; /* NULL: nobody has that address */
    GHashTable *form;
    char *provider_id;
    char *password;
    bool ok;
};

static void
attempt_free(struct attempt *a)
{
    g_object_unref(a->msg);
    sp_cp_account_free(a->account);
    sp_cp_actor_free(a->actor);
    g_hash_table_unref(a->form);
    g_free(a->provider_id);
    sp_cp_secret_free(a->password);
    g_free(a);
}

static void
attempt_answer(struct attempt *a)
{
    struct request rq = {
        .signin = a->signin,
        .msg = a->msg,
        .account = a->account,
        .params = sp_cp_params_read(a->form),
        .form = a->form,
    };

    if (a->ok)
        sp_cp_signin_finish(a->signin, a->msg, a->account, a->actor, a->provider_id, &rq.params);
    else
        sign_in_page(&rq, SOUP_STATUS_UNAUTHORIZED, WRONG_CREDENTIALS);
    soup_server_message_unpause(a->msg);
    attempt_free(a);
}

static gboolean
failure_delay_cb(gpointer data)
{
    attempt_answer(data);
    return G_SOURCE_REMOVE;
}

static void
verify_thread(GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
    struct attempt *a = data;

    (void)source;
    (void)cancellable;
    a->ok = sp_cp_password_verify(a->actor ? a->actor->password_hash : NULL, a->password);
    g_task_return_boolean(task, a->ok);
}

static void
verified_cb(GObject *source, GAsyncResult *result, gpointer data)
{
    struct attempt *a = data;

    (void)source;
    (void)result;
    a->signin->verifying--;
    if (a->ok)
        attempt_answer(a);
    else
        g_timeout_add(FAILURE_DELAY_MS, failure_delay_cb, a);
}

/* The address is asked first: it bounds how many invented people one stranger can enter. */
static bool
attempts_left(const struct request *rq, const char *user)
{
    const struct sp_cp_signin *s = rq->signin;
    g_autofree char *ip = sp_cp_remote_ip(s->proxies, rq->msg);
    g_autofree char *address = sp_cp_remote_key(ip);
    g_autofree char *target = g_strdup_printf("%s %s", rq->account->id, user);
    g_autofree char *person = g_strdup_printf("%s %s", address, target);
    int64_t now_us = g_get_monotonic_time();

    return sp_cp_limit_take(s->by_address, address, now_us)
           && sp_cp_limit_take(s->by_person, person, now_us)
           && sp_cp_limit_take(s->by_target, target, now_us);
}

static void
start_attempt(const struct request *rq,
              const char *user,
              const char *password,
              const char *provider_id)
{
    struct attempt *a = g_new0(struct attempt, 1);
    g_autoptr(GTask) task = g_task_new(NULL, NULL, verified_cb, a);

    a->signin = rq->signin;
    a->msg = g_object_ref(rq->msg);
    a->account = sp_cp_account_get(rq->signin->db, rq->account->id, NULL);
    a->actor = sp_cp_actor_get(rq->signin->db, rq->account->id, user, NULL);
    if (a->actor
        && (a->actor->disabled || g_strcmp0(a->actor->email, user) != 0
            || g_str_equal(a->actor->type, "service_account")))
        g_clear_pointer(&a->actor, sp_cp_actor_free);
    a->form = g_hash_table_ref(rq->form);
    a->provider_id = g_strdup(provider_id);
    a->password = g_strdup(password);
    rq->signin->verifying++;
    soup_server_message_pause(rq->msg);
    g_task_set_task_data(task, a, NULL);
    g_task_run_in_thread(task, verify_thread);
}

static void
post_userpass(const struct request *rq, const char *provider_id)
{
    const char *user = g_hash_table_lookup(rq->form, "userpass[idp_id]");
    const char *password = g_hash_table_lookup(rq->form, "userpass[secret]");
    g_autofree char *provider = provider_of(rq->signin->db, rq->account->id);
    g_autofree char *lower = NULL;

    if (g_strcmp0(provider, provider_id) != 0) {
        not_found(rq->msg);
        return;
    }
    if (!user || !password || strlen(user) > 255 || !g_utf8_validate(user, -1, NULL)) {
        sign_in_page(rq, SOUP_STATUS_BAD_REQUEST, WRONG_CREDENTIALS);
        return;
    }
    lower = g_utf8_strdown(user, -1);
    if (!attempts_left(rq, lower) || rq->signin->verifying >= SP_CP_VERIFY_MAX) {
        soup_message_headers_replace(soup_server_message_get_response_headers(rq->msg),
                                     "Retry-After",
                                     "10");
        sign_in_page(rq, 429, "Too many attempts. Please wait a little and try again.");
        return;
    }
    start_attempt(rq, lower, password, provider);
}

static void
post_dev(const struct request *rq)
{
    const char *id = g_hash_table_lookup(rq->form, "actor_id");
    struct sp_cp_actor *actor =
        id ? sp_cp_actor_get(rq->signin->db, rq->account->id, id, NULL) : NULL;

    if (!actor || actor->disabled || g_str_equal(actor->type, "service_account"))
        sign_in_page(rq, SOUP_STATUS_UNAUTHORIZED, "There is no such person.");
    else
        sp_cp_signin_finish(rq->signin, rq->msg, rq->account, actor, NULL, &rq->params);
    sp_cp_actor_free(actor);
}

/* ---- routes --------------------------------------------------------------------------------- */

static void
chooser(SoupServerMessage *msg, GHashTable *query, const struct sp_cp_params *p)
{
    const char *slug = query ? g_hash_table_lookup(query, "account") : NULL;
    g_autoptr(GString) body = g_string_new(NULL);

    if (slug && *slug && strlen(slug) <= 64) {
        g_autofree char *lower = g_ascii_strdown(slug, -1);
        g_autofree char *escaped = g_uri_escape_string(lower, NULL, FALSE);
        g_autofree char *path = g_strdup_printf("/%s/sign_in", escaped);

        redirect_keeping(msg, path, p);
        return;
    }
    g_string_append(body,
                    "<form method=\"get\" action=\"/sign_in\">\n"
                    "<label for=\"account\">Account</label>\n"
                    "<input id=\"account\" name=\"account\" required autofocus "
                    "autocapitalize=\"none\" spellcheck=\"false\">\n");
    hidden(body, "as", p->as);
    hidden(body, "nonce", p->nonce);
    hidden(body, "state", p->state);
    g_string_append(body, "<button type=\"submit\">Continue</button>\n</form>");
    sp_cp_html_page(msg, SOUP_STATUS_OK, "Choose your account", body->str, NULL);
}

static void
auth_error(const struct request *rq)
{
    g_autoptr(GString) body = g_string_new(NULL);

    sp_cp_html_printf(body,
                      "<p>The sign-in took too long or was started in another window.</p>\n"
                      "<p>Please choose “Sign in” in the client again, or "
                      "<a href=\"/%s/sign_in\">go back</a>.</p>",
                      rq->account->slug);
    sp_cp_html_page(rq->msg, SOUP_STATUS_OK, "Not signed in", body->str, NULL);
}

static void
route_post(struct request *rq, char **seg, unsigned n)
{
    SoupMessageHeaders *headers = soup_server_message_get_request_headers(rq->msg);
    const char *type = soup_message_headers_get_content_type(headers, NULL);
    g_autoptr(GBytes) bytes =
        soup_message_body_flatten(soup_server_message_get_request_body(rq->msg));
    g_autofree char *text = NULL;
    gsize len;
    const char *data = g_bytes_get_data(bytes, &len);

    if (g_strcmp0(type, "application/x-www-form-urlencoded") != 0) {
        soup_server_message_set_status(rq->msg, SOUP_STATUS_UNSUPPORTED_MEDIA_TYPE, NULL);
        return;
    }
    text = g_strndup(data ? data : "", len);
    rq->form = soup_form_decode(text);
    sodium_memzero(text, strlen(text));
    rq->params = sp_cp_params_read(rq->form);
    if (!csrf_is_fine(rq))
        sign_in_page(rq, SOUP_STATUS_FORBIDDEN, "The form is too old. Please try again.");
    else if (!sp_cp_params_valid(&rq->params) || sp_cp_params_kind(&rq->params) == SP_CP_FLOW_WEB)
        sp_cp_html_page(rq->msg,
                        SOUP_STATUS_BAD_REQUEST,
                        "Invalid request",
                        "<p>Please start again from the client.</p>",
                        NULL);
    else if (n == 4 && g_str_equal(seg[2], "userpass"))
        post_userpass(rq, seg[3]);
    else if (n == 3 && g_str_equal(seg[2], "dev") && rq->signin->dev)
        post_dev(rq);
    else
        not_found(rq->msg);
    g_hash_table_unref(rq->form);
}

static void
route_account(struct request *rq, char **seg, unsigned n)
{
    const char *method = soup_server_message_get_method(rq->msg);
    g_autofree char *sign_in = g_strdup_printf("/%s/sign_in", rq->account->slug);

    if (rq->account->disabled)
        sp_cp_html_page(rq->msg,
                        SOUP_STATUS_FORBIDDEN,
                        "Account disabled",
                        "<p>This account is switched off. Please ask its administrator.</p>",
                        NULL);
    else if (g_str_equal(method, "POST"))
        route_post(rq, seg, n);
    else if (!g_str_equal(method, "GET"))
        soup_server_message_set_status(rq->msg, SOUP_STATUS_METHOD_NOT_ALLOWED, NULL);
    else if (n == 1)
        redirect_keeping(rq->msg, sign_in, &rq->params);
    else if (n == 2 && !sp_cp_params_valid(&rq->params))
        sp_cp_html_page(rq->msg,
                        SOUP_STATUS_BAD_REQUEST,
                        "Invalid request",
                        "<p>Please start again from the client.</p>",
                        NULL);
    else if (n == 2)
        sign_in_page(rq, SOUP_STATUS_OK, NULL);
    else if (n == 3 && g_str_equal(seg[2], "client_redirect"))
        sp_cp_signin_client_redirect(rq->signin, rq->msg, rq->account);
    else if (n == 3 && g_str_equal(seg[2], "client_auth_error"))
        auth_error(rq);
    else
        not_found(rq->msg);
}

void
sp_cp_signin_handle(SoupServer *server,
                    SoupServerMessage *msg,
                    const char *path,
                    GHashTable *query,
                    gpointer data)
{
    struct sp_cp_signin *s = data;
    struct request rq = { .signin = s, .msg = msg, .params = sp_cp_params_read(query) };
    g_auto(GStrv) seg = g_strsplit(path + (*path == '/'), "/", SEGMENTS_MAX + 1);
    unsigned n = g_strv_length(seg);
    g_autofree char *slug = n > 0 ? g_ascii_strdown(seg[0], -1) : NULL;
    struct sp_cp_account *account;

    (void)server;
    if (n == 0 || (n == 1 && !*seg[0])) {
        redirect_keeping(msg, "/sign_in", &rq.params);
        return;
    }
    if (n == 1 && g_str_equal(slug, "sign_in")) {
        chooser(msg, query, &rq.params);
        return;
    }
    account = n <= SEGMENTS_MAX && (n == 1 || g_str_equal(seg[1], "sign_in"))
                  ? sp_cp_account_get(s->db, slug, NULL)
                  : NULL;
    rq.account = account;
    if (account)
        route_account(&rq, seg, n);
    else
        not_found(msg);
    sp_cp_account_free(account);
}
