/* SPDX-License-Identifier: Apache-2.0 */
/* What decides who comes in: tokens, versions, rate limit, frames. The database is a temporary
 * file. */
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>

#include <sodium.h>

#include "app/portal/agent.h"
#include "app/portal/catalog.h"
#include "app/portal/json.h"
#include "app/portal/limit.h"
#include "app/portal/password.h"
#include "app/portal/token.h"

struct fixture {
    char *dir;
    char *path;
    struct sp_cp_db *db;
    struct sp_cp_keys keys;
    char *account;
    char *actor;
    char *site;
};

static void
set_up(struct fixture *f, gconstpointer data)
{
    struct sp_cp_row_spec account = { .slug = "test" };
    struct sp_cp_row_spec actor = { .name = "Ada" };
    struct sp_cp_row_spec site = { .name = "HQ" };

    (void)data;
    f->dir = g_dir_make_tmp("sp-portal-XXXXXX", NULL);
    f->path = g_build_filename(f->dir, "portal.db", NULL);
    f->db = sp_cp_db_open(f->path, NULL);
    g_assert_nonnull(f->db);
    g_assert_true(sp_cp_keys_load(f->db, &f->keys, NULL));
    f->account = sp_cp_account_put(f->db, &account, NULL);
    f->actor = sp_cp_actor_put(f->db, f->account, &actor, NULL);
    f->site = sp_cp_site_put(f->db, f->account, &site, NULL);
    g_assert_nonnull(f->site);
}

static void
tear_down(struct fixture *f, gconstpointer data)
{
    (void)data;
    sp_cp_db_free(f->db);
    g_unlink(f->path);
    g_rmdir(f->dir);
    g_free(f->dir);
    g_free(f->path);
    g_free(f->account);
    g_free(f->actor);
    g_free(f->site);
}

static char *
issue(struct fixture *f, enum sp_cp_token_kind kind, const char *nonce, int64_t expires_at)
{
    struct sp_cp_token t = {
        .kind = kind,
        .account_id = f->account,
        .name = (char *)(uintptr_t) "t",
        .actor_id = kind == SP_CP_TOKEN_CLIENT ? f->actor : NULL,
        .site_id = kind == SP_CP_TOKEN_GATEWAY ? f->site : NULL,
        .expires_at = expires_at,
    };
    char *fragment = sp_cp_token_create(f->db, &f->keys, &t, nonce, NULL);

    g_assert_nonnull(fragment);
    g_free(t.id);
    return fragment;
}

static bool
accepts(struct fixture *f, enum sp_cp_token_kind kind, const char *text)
{
    g_autoptr(GError) error = NULL;
    struct sp_cp_token *t = sp_cp_token_verify(f->db, &f->keys, kind, text, &error);

    if (!t)
        g_assert_error(error, SP_CP_ERROR, SP_CP_ERROR_DENIED);
    sp_cp_token_free(t);
    return t != NULL;
}

static void
token_needs_nonce_and_kind(struct fixture *f, gconstpointer data)
{
    g_autofree char *fragment = issue(f, SP_CP_TOKEN_CLIENT, "nonce", INT64_C(4000000000));
    g_autofree char *full = g_strconcat("nonce", fragment, NULL);

    (void)data;
    g_assert_true(accepts(f, SP_CP_TOKEN_CLIENT, full));
    g_assert_false(accepts(f, SP_CP_TOKEN_GATEWAY, full));
    g_assert_false(accepts(f, SP_CP_TOKEN_CLIENT, fragment));
    g_assert_false(accepts(f, SP_CP_TOKEN_CLIENT, ""));
    g_assert_false(accepts(f, SP_CP_TOKEN_CLIENT, "nonce."));
    g_assert_false(accepts(f, SP_CP_TOKEN_CLIENT, "nonce.."));
}

static void
token_survives_no_changed_byte(struct fixture *f, gconstpointer data)
{
    g_autofree char *good = issue(f, SP_CP_TOKEN_GATEWAY, NULL, 0);

    (void)data;
    g_assert_true(accepts(f, SP_CP_TOKEN_GATEWAY, good));
    for (size_t i = 0; good[i]; i++) {
        g_autofree char *bad = g_strdup(good);

        bad[i] = bad[i] == 'A' ? 'B' : 'A';
        g_assert_false(accepts(f, SP_CP_TOKEN_GATEWAY, bad));
    }
}

static void
token_expires_and_dies_with_actor(struct fixture *f, gconstpointer data)
{
    g_autofree char *old = issue(f, SP_CP_TOKEN_CLIENT, NULL, 1);
    g_autofree char *good = issue(f, SP_CP_TOKEN_CLIENT, NULL, INT64_C(4000000000));
    struct sp_cp_row_spec off = { .id = f->actor, .name = "Ada", .disabled = 1 };
    g_autofree char *id = NULL;

    (void)data;
    g_assert_false(accepts(f, SP_CP_TOKEN_CLIENT, old));
    g_assert_true(accepts(f, SP_CP_TOKEN_CLIENT, good));
    id = sp_cp_actor_put(f->db, f->account, &off, NULL);
    g_assert_cmpstr(id, ==, f->actor);
    g_assert_false(accepts(f, SP_CP_TOKEN_CLIENT, good));
}

static void
addresses_are_judged(struct fixture *f, gconstpointer data)
{
    static const struct {
        const char *type;
        const char *address;
        bool fine;
    } cases[] = {
        { "cidr", "10.0.0.0/8", true },     { "cidr", "10.0.0.1", true },
        { "cidr", "10.0.0.1/8", false },    { "cidr", "0.0.0.0/0", false },
        { "cidr", "100.96.0.0/11", false }, { "cidr", "fd00:2021:1111::/64", false },
        { "dns", "**.example.test", true }, { "dns", "a..b", false },
        { "dns", "bad name", false },       { "dns", NULL, false },
        { "internet", NULL, true },         { "carrier", "10.0.0.0/8", false },
    };

    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct sp_cp_row_spec spec = { .name = "r",
                                       .type = cases[i].type,
                                       .address = cases[i].address,
                                       .site = "HQ" };
        g_autofree char *id = sp_cp_resource_put(f->db, f->account, &spec, NULL);

        g_test_message("case %zu", i);
        g_assert_cmpint(id != NULL, ==, cases[i].fine);
    }
}

static void
versions_fit(void)
{
    static const struct {
        const char *client;
        const char *gateway;
        bool fit;
    } cases[] = {
        { "1.5.12", "1.4.0", true },      { "1.5.12", "1.6.1", true },
        { "1.5.12", "1.3.9", false },     { "1.5.12", "1.7.0", false },
        { "1.5.12", "2.5.0", false },     { "1.0.0", "1.0.0", true },
        { "1.5.12", "banana", false },    { "banana", "1.0.0", true },
        { "1.5.12-rc.1", "1.5.0", true },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct sp_cp_version c = sp_cp_version_parse(cases[i].client);
        struct sp_cp_version g = sp_cp_version_parse(cases[i].gateway);

        g_test_message("case %zu", i);
        g_assert_cmpint(sp_cp_versions_fit(&c, &g), ==, cases[i].fit);
    }
}

static void
agents_are_read(void)
{
    static const struct {
        const char *agent;
        const char *version;
        bool client;
    } cases[] = {
        { "Debian/12.0.0 gui-client/1.5.17 (x86_64; 6.1.0)", "1.5.17", true },
        { "Mac OS/14 apple-client/1.5.16", "1.5.16", true },
        { "Ubuntu/22.04 connlib/1.4.0", "1.4.0", true },
        { "Debian/12 gateway/1.6.1", "1.6.1", false },
        { "curl/8.0", NULL, false },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *version = sp_cp_agent_version_text(cases[i].agent);

        g_assert_cmpstr(version, ==, cases[i].version);
        g_assert_cmpint(sp_cp_agent_is_client(cases[i].agent), ==, cases[i].client);
    }
}

static void
limit_refills(void)
{
    struct sp_cp_limit *l = sp_cp_limit_new(1, 1);

    g_assert_true(sp_cp_limit_take(l, "a", 0));
    g_assert_false(sp_cp_limit_take(l, "a", 900000));
    g_assert_true(sp_cp_limit_take(l, "b", 900000));
    g_assert_true(sp_cp_limit_take(l, "a", 1100000));
    sp_cp_limit_free(l);
    l = sp_cp_limit_new(0, 1);
    for (int i = 0; i < 100; i++)
        g_assert_true(sp_cp_limit_take(l, "a", 0));
    sp_cp_limit_free(l);
}

static void
limit_is_bounded(void)
{
    struct sp_cp_limit *l = sp_cp_limit_new(1, 1);

    for (int i = 0; i < SP_CP_LIMIT_KEYS_MAX; i++) {
        g_autofree char *key = g_strdup_printf("%d", i);

        g_assert_true(sp_cp_limit_take(l, key, 0));
    }
    g_assert_false(sp_cp_limit_take(l, "one more", 0));
    g_assert_true(sp_cp_limit_take(l, "one more", 2000000));
    sp_cp_limit_free(l);
}

static void
json_is_strict(void)
{
    static const struct {
        const char *text;
        bool fine;
    } cases[] = {
        { "{\"a\":[1,\"[[[[[[[[[[[[[[[[[[[[\"]}", true },
        { "[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]", true },
        { "[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", false },
        { "/* x */ {}", false },
        { "{'a':1}", false },
        { "{\"a\":\"\xff\"}", false },
        { "{", false },
        { "", false },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(JsonNode) node = sp_cp_json_parse(cases[i].text, strlen(cases[i].text));

        g_test_message("case %zu", i);
        g_assert_cmpint(node != NULL, ==, cases[i].fine);
    }
}

static void
passwords(void)
{
    char *hash = sp_cp_password_hash("secret");

    g_assert_true(g_str_has_prefix(hash, "$argon2id$"));
    g_assert_true(sp_cp_password_verify(hash, "secret"));
    g_assert_false(sp_cp_password_verify(hash, "Secret"));
    g_assert_false(sp_cp_password_verify(NULL, "secret"));
    g_assert_null(sp_cp_password_hash(""));
    g_free(hash);
}

#define ADD_DB(path, fn) g_test_add(path, struct fixture, NULL, set_up, fn, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_assert_cmpint(sodium_init(), >=, 0);
    ADD_DB("/app/portal/token/nonce-and-kind", token_needs_nonce_and_kind);
    ADD_DB("/app/portal/token/changed-byte", token_survives_no_changed_byte);
    ADD_DB("/app/portal/token/expiry-and-actor", token_expires_and_dies_with_actor);
    ADD_DB("/app/portal/catalog/addresses", addresses_are_judged);
    g_test_add_func("/app/portal/agent/versions", versions_fit);
    g_test_add_func("/app/portal/agent/text", agents_are_read);
    g_test_add_func("/app/portal/limit/refill", limit_refills);
    g_test_add_func("/app/portal/limit/bound", limit_is_bounded);
    g_test_add_func("/app/portal/json/strict", json_is_strict);
    g_test_add_func("/app/portal/password", passwords);
    return g_test_run();
}
