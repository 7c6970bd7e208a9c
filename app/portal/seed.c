/* SPDX-License-Identifier: Apache-2.0 */
#include "app/portal/seed.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "app/portal/catalog.h"
#include "app/portal/json.h"

#define SEED_SIZE_MAX     (16u << 20)
#define TOKEN_DEFAULT_SEC (365 * 86400)

struct import {
    struct sp_cp_db *db;
    const struct sp_cp_keys *keys;
    const char *dir;
    FILE *out;
    char *account_id;
    GString *printed; /* shown only once the transaction holds */
    GString *done;    /* what happened, for a person */
};

static bool
fail(GError **error, const char *format, const char *what)
{
    g_autofree char *text = g_strdup_printf("seed: %s%s", what, format);

    g_set_error_literal(error, SP_CP_ERROR, SP_CP_ERROR_INVALID, text);
    return false;
}

static int
disabled_of(JsonObject *o)
{
    JsonNode *node = json_object_get_member(o, "disabled");

    return node && JSON_NODE_HOLDS_VALUE(node) && json_node_get_boolean(node) ? 1 : 0;
}

static struct sp_cp_row_spec
spec_of(JsonObject *o)
{
    return (struct sp_cp_row_spec){
        .id = sp_cp_json_get_text(o, "id"),
        .slug = sp_cp_json_get_text(o, "slug"),
        .name = sp_cp_json_get_text(o, "name"),
        .type = sp_cp_json_get_text(o, "type"),
        .email = sp_cp_json_get_text(o, "email"),
        .password = sp_cp_json_get_text(o, "password"),
        .search_domain = sp_cp_json_get_text(o, "search_domain"),
        .site = sp_cp_json_get_text(o, "site"),
        .group = sp_cp_json_get_text(o, "group"),
        .resource = sp_cp_json_get_text(o, "resource"),
        .address = sp_cp_json_get_text(o, "address"),
        .address_description = sp_cp_json_get_text(o, "address_description"),
        .ip_stack = sp_cp_json_get_text(o, "ip_stack"),
        .description = sp_cp_json_get_text(o, "description"),
        .disabled = disabled_of(o),
    };
}

/* Owned NULL-terminated list of the strings of an array member; empty when absent. */
static char **
texts_of(JsonObject *o, const char *member)
{
    JsonArray *list = sp_cp_json_get_array(o, member);
    GPtrArray *out = g_ptr_array_new();

    for (unsigned i = 0; list && i < json_array_get_length(list); i++) {
        const char *text = sp_cp_json_node_text(json_array_get_element(list, i));

        g_ptr_array_add(out, g_strdup(text ? text : ""));
    }
    g_ptr_array_add(out, NULL);
    return (char **)g_ptr_array_free(out, FALSE);
}

static bool
import_account(struct import *im, JsonObject *o, GError **error)
{
    struct sp_cp_row_spec spec = spec_of(o);
    JsonObject *dns = sp_cp_json_get_object(o, "dns");
    g_auto(GStrv) servers = texts_of(dns, "servers");
    g_autofree char *joined = g_strjoinv(" ", servers);

    if (dns) {
        spec.dns_mode = sp_cp_json_get_text(dns, "mode");
        spec.dns_servers = joined;
    }
    im->account_id = sp_cp_account_put(im->db, &spec, error);
    return im->account_id != NULL;
}

static bool
import_actor(struct import *im, JsonObject *o, GError **error)
{
    struct sp_cp_row_spec spec = spec_of(o);
    g_autofree char *id = sp_cp_actor_put(im->db, im->account_id, &spec, error);

    return id != NULL;
}

static bool
import_group(struct import *im, JsonObject *o, GError **error)
{
    struct sp_cp_row_spec spec = spec_of(o);
    g_auto(GStrv) members = texts_of(o, "members");
    g_autofree char *id = sp_cp_group_put(im->db, im->account_id, &spec, error);

    if (!id)
        return false;
    for (char **m = members; *m; m++)
        if (!sp_cp_member_put(im->db, im->account_id, id, *m, error))
            return false;
    return true;
}

static bool
import_site(struct import *im, JsonObject *o, GError **error)
{
    struct sp_cp_row_spec spec = spec_of(o);
    g_autofree char *id = sp_cp_site_put(im->db, im->account_id, &spec, error);

    return id != NULL;
}

static bool
import_resource(struct import *im, JsonObject *o, GError **error)
{
    struct sp_cp_row_spec spec = spec_of(o);
    g_auto(GStrv) words = texts_of(o, "filters");
    g_autofree char *filters = sp_cp_filters_from_words((const char *const *)words, error);
    g_autofree char *id = NULL;

    if (!filters)
        return false;
    spec.filters = filters;
    id = sp_cp_resource_put(im->db, im->account_id, &spec, error);
    return id != NULL;
}

static bool
import_policy(struct import *im, JsonObject *o, GError **error)
{
    struct sp_cp_row_spec spec = spec_of(o);
    g_autofree char *id = sp_cp_policy_put(im->db, im->account_id, &spec, error);

    return id != NULL;
}

/* Only root's or the owner's eyes: the file is made with its final mode, then renamed into place. */
static bool
write_secret(const char *path, const char *text, GError **error)
{
    g_autofree char *line = g_strconcat(text, "\n", NULL);

    return g_file_set_contents_full(path,
                                    line,
                                    -1,
                                    G_FILE_SET_CONTENTS_CONSISTENT,
                                    S_IRUSR | S_IWUSR,
                                    error);
}

static bool
file_token_works(struct import *im, const char *path, enum sp_cp_token_kind kind, const char *id)
{
    g_autofree char *text = NULL;
    struct sp_cp_token *token;
    bool same;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return false;
    token = sp_cp_token_verify(im->db, im->keys, kind, g_strstrip(text), NULL);
    same = token && g_str_equal(token->id, id);
    sp_cp_token_free(token);
    return same;
}

/* The id a token entry is about: given, or that of the token with its name, or NULL. */
static char *
token_id(struct import *im, JsonObject *o, const char *name, bool *ret_known)
{
    g_autofree char *given = sp_cp_json_get_uuid(o, "id");
    g_autoptr(sqlite3_stmt) s = sp_cp_db_prepare(
        im->db,
        NULL,
        "SELECT id FROM tokens WHERE account_id = ?1 AND (id = ?2 OR (?2 IS NULL AND name = ?3))",
        "sss",
        im->account_id,
        given,
        name);

    *ret_known = s && sp_cp_db_step(im->db, s, NULL) == 1;
    if (*ret_known)
        return sp_cp_col_dup(s, 0);
    return g_steal_pointer(&given);
}

static bool
issue_token(struct import *im, JsonObject *o, struct sp_cp_token *t, GError **error)
{
    const char *file = sp_cp_json_get_text(o, "file");
    g_autofree char *path = file ? g_canonicalize_filename(file, im->dir) : NULL;
    int64_t lifetime = TOKEN_DEFAULT_SEC;
    bool known = false, ok = true;
    char *text;

    t->id = token_id(im, o, t->name, &known);
    if (known && (!path || file_token_works(im, path, t->kind, t->id))) {
        g_string_append_printf(im->done, "token %s stays as it is\n", t->name);
        return true;
    }
    if (t->kind == SP_CP_TOKEN_CLIENT) {
        (void)sp_cp_json_get_int(o, "expires_in", &lifetime);
        t->expires_at = g_get_real_time() / G_USEC_PER_SEC + lifetime;
    }
    text = sp_cp_token_create(im->db, im->keys, t, NULL, error);
    if (!text)
        return false;
    if (path) {
        ok = write_secret(path, text, error);
        g_string_append_printf(im->done, "token %s written to %s\n", t->name, path);
    } else {
        g_string_append_printf(im->printed, "%s %s\n", t->name, text);
    }
    sp_cp_secret_free(text);
    return ok;
}

static bool
import_token(struct import *im, JsonObject *o, GError **error)
{
    const char *site = sp_cp_json_get_text(o, "site");
    const char *actor = sp_cp_json_get_text(o, "actor");
    const char *name = sp_cp_json_get_text(o, "name");
    struct sp_cp_token *t;
    bool ok;

    if (!name || !site == !actor)
        return fail(error, "", "a token needs a name and either a site or an actor");
    t = g_new0(struct sp_cp_token, 1);
    t->kind = site ? SP_CP_TOKEN_GATEWAY : SP_CP_TOKEN_CLIENT;
    t->account_id = g_strdup(im->account_id);
    t->name = g_strdup(name);
    if (site)
        t->site_id = sp_cp_find_id(im->db, "sites", im->account_id, site, error);
    else
        t->actor_id = sp_cp_find_id(im->db, "actors", im->account_id, actor, error);
    ok = (t->site_id || t->actor_id) && issue_token(im, o, t, error);
    sp_cp_token_free(t);
    return ok;
}

static bool
import_list(struct import *im,
            JsonObject *root,
            const char *member,
            bool (*one)(struct import *, JsonObject *, GError **),
            GError **error)
{
    JsonArray *list = sp_cp_json_get_array(root, member);

    if (!list && json_object_has_member(root, member))
        return fail(error, " is no array", member);
    for (unsigned i = 0; list && i < json_array_get_length(list); i++) {
        JsonObject *o = sp_cp_json_object(json_array_get_element(list, i));

        if (!o)
            return fail(error, " holds something that is no object", member);
        if (!one(im, o, error)) {
            g_prefix_error(error, "%s[%u]: ", member, i);
            return false;
        }
    }
    if (list && one != import_token)
        g_string_append_printf(im->done, "%s: %u\n", member, json_array_get_length(list));
    return true;
}

static bool
import_all(struct import *im, JsonObject *root, GError **error)
{
    JsonObject *account = sp_cp_json_get_object(root, "account");

    if (!account)
        return fail(error, " is missing", "account");
    return import_account(im, account, error)
           && import_list(im, root, "actors", import_actor, error)
           && import_list(im, root, "groups", import_group, error)
           && import_list(im, root, "sites", import_site, error)
           && import_list(im, root, "resources", import_resource, error)
           && import_list(im, root, "policies", import_policy, error)
           && import_list(im, root, "tokens", import_token, error);
}

static bool
import_locked(struct import *im, JsonObject *root, GError **error)
{
    if (!sp_cp_db_begin(im->db, error))
        return false;
    if (!import_all(im, root, error)) {
        sp_cp_db_rollback(im->db);
        return false;
    }
    return sp_cp_db_commit(im->db, error);
}

bool
sp_cp_seed_import(struct sp_cp_db *db,
                  const struct sp_cp_keys *keys,
                  const char *path,
                  FILE *out,
                  GError **error)
{
    g_autofree char *full = g_canonicalize_filename(path, NULL);
    g_autofree char *dir = g_path_get_dirname(full);
    g_autofree char *text = NULL;
    g_autoptr(JsonNode) root = NULL;
    struct import im = { .db = db, .keys = keys, .dir = dir, .out = out };
    gsize n;
    bool ok;

    if (!g_file_get_contents(path, &text, &n, error))
        return false;
    root = n <= SEED_SIZE_MAX ? sp_cp_json_parse(text, n) : NULL;
    if (!sp_cp_json_object(root))
        return fail(error, " is no JSON object", path);
    im.printed = g_string_new(NULL);
    im.done = g_string_new(NULL);
    ok = import_locked(&im, json_node_get_object(root), error);
    if (ok) {
        fputs(im.printed->str, out);
        fprintf(stderr, "%simported %s\n", im.done->str, path);
    }
    g_string_free(im.done, TRUE);
    sp_cp_secret_free(g_string_free(im.printed, FALSE));
    g_free(im.account_id);
    return ok;
}

int
sp_cp_seed_main(int argc, char **argv)
{
    g_autofree char *database = NULL;
    const GOptionEntry entries[] = {
        { "database", 'd', 0, G_OPTION_ARG_FILENAME, &database, "SQLite file", "FILE" },
        G_OPTION_ENTRY_NULL,
    };
    g_autoptr(GOptionContext) context = g_option_context_new("SEED.json - import a seed file");
    g_autoptr(GError) error = NULL;
    struct sp_cp_keys keys;
    struct sp_cp_db *db;
    bool ok = false;

    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error)) {
        fprintf(stderr, "sallyport-portal: %s\n", error->message);
        return 2;
    }
    if (!database)
        database = g_strdup(g_getenv("SALLYPORT_PORTAL_DATABASE"));
    if (!database || argc != 2) {
        fprintf(stderr,
                "sallyport-portal: usage: sallyport-portal seed --database FILE SEED.json\n");
        return 2;
    }
    db = sp_cp_db_open(database, &error);
    if (db && sp_cp_keys_load(db, &keys, &error)) {
        ok = sp_cp_seed_import(db, &keys, argv[1], stdout, &error);
        sp_cp_keys_done(&keys);
    }
    sp_cp_db_free(db);
    if (!ok)
        fprintf(stderr, "sallyport-portal: %s\n", error ? error->message : "failed");
    return ok ? 0 : 1;
}
