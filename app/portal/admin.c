/* SPDX-License-Identifier: Apache-2.0 */
#include "app/portal/admin.h"

#include <stdio.h>
#include <string.h>

#include "app/portal/catalog.h"
#include "app/portal/json.h"
#include "app/portal/seed.h"

#define DAY 86400

/* Everything a command line can say; one struct for all nouns. */
struct args {
    char *database;
    char *account;
    gboolean json;
    char *id;
    char *slug;
    char *name;
    char *type;
    char *email;
    char *password_file;
    char *dns_mode;
    char **dns_servers;
    char *search_domain;
    char *site;
    char *group;
    char *resource;
    char *actor;
    char *address;
    char *address_description;
    char *ip_stack;
    char **filters;
    char *description;
    int days;
    gboolean disable;
    gboolean enable;
};

struct context {
    struct args args;
    struct sp_cp_db *db;
    struct sp_cp_keys keys;
    char *account_id;   /* NULL for account commands */
    const char *target; /* positional argument, or NULL */
};

struct noun {
    const char *name;
    const char *table;
    const char *list_sql; /* ?1: account id */
    const char *add_help;
    char *(*add)(struct context *cx, GError **error);
};

static void
print_json(sqlite3_stmt *s, JsonArray *list)
{
    JsonObject *o = json_object_new();

    for (int i = 0; i < sqlite3_column_count(s); i++) {
        const char *name = sqlite3_column_name(s, i);

        if (sqlite3_column_type(s, i) == SQLITE_INTEGER)
            json_object_set_int_member(o, name, sqlite3_column_int64(s, i));
        else if (sqlite3_column_type(s, i) == SQLITE_NULL)
            json_object_set_null_member(o, name);
        else
            json_object_set_string_member(o, name, sp_cp_col_text(s, i));
    }
    json_array_add_object_element(list, o);
}

/* Names come from people and devices: control characters must not reach the terminal. */
static void
print_field(const char *text)
{
    for (const char *p = text ? text : "-"; *p; p++)
        putchar(g_ascii_iscntrl(*p) ? '?' : *p);
}

static void
print_line(sqlite3_stmt *s)
{
    for (int i = 0; i < sqlite3_column_count(s); i++) {
        if (i > 0)
            putchar('\t');
        print_field(sp_cp_col_text(s, i));
    }
    putchar('\n');
}

static bool
list_rows(struct context *cx, const struct noun *noun, GError **error)
{
    g_autoptr(sqlite3_stmt) s =
        sp_cp_db_prepare(cx->db, error, noun->list_sql, "s", cx->account_id);
    g_autoptr(JsonNode) root = sp_cp_json_array_node(json_array_new());
    g_autofree char *text = NULL;
    int r = s ? 1 : -1;

    while (r > 0 && (r = sp_cp_db_step(cx->db, s, error)) > 0) {
        if (cx->args.json)
            print_json(s, json_node_get_array(root));
        else
            print_line(s);
    }
    if (r == 0 && cx->args.json) {
        text = json_to_string(root, TRUE);
        puts(text);
    }
    return r == 0;
}

static bool
remove_row(struct context *cx, const struct noun *noun, GError **error)
{
    g_autofree char *sql = g_strdup_printf("DELETE FROM %s WHERE id = ?", noun->table);
    g_autofree char *id = sp_cp_uuid_normalise(cx->target);

    if (!id && cx->account_id
        && (g_str_equal(noun->table, "policies") || g_str_equal(noun->table, "authorizations")))
        g_set_error_literal(error,
                            SP_CP_ERROR,
                            SP_CP_ERROR_INVALID,
                            "name it by its id, which the list shows");
    else if (!id && cx->account_id)
        id = sp_cp_find_id(cx->db, noun->table, cx->account_id, cx->target, error);
    else if (!id) {
        struct sp_cp_account *a = sp_cp_account_get(cx->db, cx->target, error);

        id = a ? g_strdup(a->id) : NULL;
        sp_cp_account_free(a);
    }
    if (!id || !sp_cp_db_exec(cx->db, error, sql, "s", id))
        return false;
    if (sp_cp_db_changes(cx->db) > 0)
        return true;
    g_set_error(error,
                SP_CP_ERROR,
                SP_CP_ERROR_MISSING,
                "no such %s; \"sallyport-portal %s list\" shows them",
                noun->name,
                noun->name);
    return false;
}

static int
disabled_of(const struct args *a)
{
    if (a->disable)
        return 1;
    return a->enable ? 0 : -1;
}

static struct sp_cp_row_spec
spec_of(const struct args *a)
{
    return (struct sp_cp_row_spec){
        .id = a->id,
        .slug = a->slug,
        .name = a->name,
        .type = a->type,
        .email = a->email,
        .dns_mode = a->dns_mode,
        .search_domain = a->search_domain,
        .site = a->site,
        .group = a->group,
        .resource = a->resource,
        .address = a->address,
        .address_description = a->address_description,
        .ip_stack = a->ip_stack,
        .description = a->description,
        .disabled = disabled_of(a),
    };
}

static char *
add_account(struct context *cx, GError **error)
{
    struct sp_cp_row_spec spec = spec_of(&cx->args);
    g_autofree char *servers = cx->args.dns_servers ? g_strjoinv(" ", cx->args.dns_servers) : NULL;

    spec.dns_servers = servers;
    return sp_cp_account_put(cx->db, &spec, error);
}

/* "-" reads standard input, so that a password never has to be in a file or in argv. */
static char *
read_password(const char *file, GError **error)
{
    char *text = NULL;

    if (g_str_equal(file, "-")) {
        char line[1100] = "";

        if (!fgets(line, sizeof line, stdin))
            g_set_error_literal(error,
                                SP_CP_ERROR,
                                SP_CP_ERROR_INVALID,
                                "no password on standard input");
        else
            text = g_strdup(line);
    } else if (!g_file_get_contents(file, &text, NULL, error)) {
        return NULL;
    }
    if (text)
        text[strcspn(text, "\r\n")] = '\0';
    return text;
}

static char *
add_actor(struct context *cx, GError **error)
{
    struct sp_cp_row_spec spec = spec_of(&cx->args);
    char *password = NULL, *id;

    if (cx->args.password_file) {
        password = read_password(cx->args.password_file, error);
        if (!password)
            return NULL;
        spec.password = password;
    }
    id = sp_cp_actor_put(cx->db, cx->account_id, &spec, error);
    sp_cp_secret_free(password);
    return id;
}

static char *
add_group(struct context *cx, GError **error)
{
    struct sp_cp_row_spec spec = spec_of(&cx->args);

    return sp_cp_group_put(cx->db, cx->account_id, &spec, error);
}

static char *
add_member(struct context *cx, GError **error)
{
    if (!sp_cp_member_put(cx->db, cx->account_id, cx->args.group, cx->args.actor, error))
        return NULL;
    return g_strdup("");
}

static char *
add_site(struct context *cx, GError **error)
{
    struct sp_cp_row_spec spec = spec_of(&cx->args);

    return sp_cp_site_put(cx->db, cx->account_id, &spec, error);
}

static char *
add_resource(struct context *cx, GError **error)
{
    struct sp_cp_row_spec spec = spec_of(&cx->args);
    g_autofree char *filters = NULL;

    if (cx->args.filters) {
        filters = sp_cp_filters_from_words((const char *const *)cx->args.filters, error);
        if (!filters)
            return NULL;
    }
    spec.filters = filters;
    return sp_cp_resource_put(cx->db, cx->account_id, &spec, error);
}

static char *
add_policy(struct context *cx, GError **error)
{
    struct sp_cp_row_spec spec = spec_of(&cx->args);

    return sp_cp_policy_put(cx->db, cx->account_id, &spec, error);
}

/* Returns: the token itself; this is the only time it can be seen. */
static char *
add_token(struct context *cx, GError **error)
{
    struct sp_cp_token *t;
    char *text = NULL;

    if (!cx->args.site == !cx->args.actor) {
        g_set_error_literal(error,
                            SP_CP_ERROR,
                            SP_CP_ERROR_INVALID,
                            "give --site SITE for a gateway, or --actor ACTOR for a client");
        return NULL;
    }
    t = g_new0(struct sp_cp_token, 1);
    t->kind = cx->args.site ? SP_CP_TOKEN_GATEWAY : SP_CP_TOKEN_CLIENT;
    t->account_id = g_strdup(cx->account_id);
    t->name = g_strdup(cx->args.name ? cx->args.name : "token");
    if (cx->args.site)
        t->site_id = sp_cp_find_id(cx->db, "sites", cx->account_id, cx->args.site, error);
    else
        t->actor_id = sp_cp_find_id(cx->db, "actors", cx->account_id, cx->args.actor, error);
    if (t->kind == SP_CP_TOKEN_CLIENT)
        t->expires_at = g_get_real_time() / G_USEC_PER_SEC
                        + (int64_t)(cx->args.days > 0 ? cx->args.days : 365) * DAY;
    if (t->site_id || t->actor_id)
        text = sp_cp_token_create(cx->db, &cx->keys, t, NULL, error);
    sp_cp_token_free(t);
    return text;
}

static const struct noun nouns[] = {
    { "account",
      "accounts",
      "SELECT id, slug, name, disabled, dns_mode, dns_servers, search_domain FROM accounts"
      " WHERE ?1 IS NULL OR id = ?1 ORDER BY slug",
      "--slug SLUG [--name NAME] [--dns-mode MODE --dns-server ADDR...] [--search-domain NAME]",
      add_account },
    { "actor",
      "actors",
      "SELECT id, type, name, email, disabled FROM actors WHERE account_id = ? ORDER BY name",
      "--name NAME [--email ADDR] [--type TYPE] [--password-file FILE|-]",
      add_actor },
    { "group",
      "groups",
      "SELECT id, name, everyone FROM groups WHERE account_id = ? ORDER BY name",
      "--name NAME",
      add_group },
    { "member",
      "memberships",
      "SELECT m.id, g.name AS group_name, a.name AS actor_name FROM memberships m"
      " JOIN groups g ON g.id = m.group_id JOIN actors a ON a.id = m.actor_id"
      " WHERE g.account_id = ? ORDER BY g.name, a.name",
      "--group GROUP --actor ACTOR",
      add_member },
    { "site",
      "sites",
      "SELECT id, name FROM sites WHERE account_id = ? ORDER BY name",
      "--name NAME",
      add_site },
    { "resource",
      "resources",
      "SELECT r.id, r.type, r.name, r.address, s.name AS site, r.filters, r.ip_stack FROM"
      " resources r JOIN sites s ON s.id = r.site_id WHERE r.account_id = ? ORDER BY r.name",
      "--name NAME --type dns|cidr|internet [--address ADDR] --site SITE [--filter tcp/443...]",
      add_resource },
    { "policy",
      "policies",
      "SELECT p.id, g.name AS group_name, r.name AS resource, p.disabled, p.description FROM"
      " policies p JOIN groups g ON g.id = p.group_id JOIN resources r ON r.id = p.resource_id"
      " WHERE p.account_id = ? ORDER BY g.name, r.name",
      "--group GROUP --resource RESOURCE [--disable|--enable]",
      add_policy },
    { "token",
      "tokens",
      "SELECT t.id, t.kind, t.name, coalesce(a.name, s.name) AS owner, t.expires_at FROM tokens t"
      " LEFT JOIN actors a ON a.id = t.actor_id LEFT JOIN sites s ON s.id = t.site_id"
      " WHERE t.account_id = ? ORDER BY t.created_at, t.id",
      "--site SITE | --actor ACTOR [--name NAME] [--days N]",
      add_token },
    { "device",
      "devices",
      "SELECT id, type, name, ipv4, ipv6, version, last_seen_at FROM devices"
      " WHERE account_id = ? ORDER BY name",
      NULL,
      NULL },
    { "authorization",
      "authorizations",
      "SELECT z.id, c.name AS client, g.name AS gateway, r.name AS resource, z.expires_at"
      " FROM authorizations z JOIN devices c ON c.id = z.client_id"
      " JOIN devices g ON g.id = z.gateway_id JOIN resources r ON r.id = z.resource_id"
      " WHERE z.account_id = ? ORDER BY z.created_at, z.id",
      NULL,
      NULL },
};

static const struct noun *
find_noun(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(nouns); i++)
        if (g_str_equal(nouns[i].name, name))
            return &nouns[i];
    return NULL;
}

bool
sp_cp_admin_knows(const char *noun)
{
    return find_noun(noun) != NULL;
}

static GOptionContext *
option_context(const struct noun *noun, struct args *a)
{
    const GOptionEntry entries[] = {
        { "database", 'd', 0, G_OPTION_ARG_FILENAME, &a->database, "SQLite file", "FILE" },
        { "account", 'a', 0, G_OPTION_ARG_STRING, &a->account, "Account, if several", "SLUG" },
        { "json", 0, 0, G_OPTION_ARG_NONE, &a->json, "Print JSON", NULL },
        { "id", 0, 0, G_OPTION_ARG_STRING, &a->id, "Id to use", "UUID" },
        { "slug", 0, 0, G_OPTION_ARG_STRING, &a->slug, "Account slug", "SLUG" },
        { "name", 0, 0, G_OPTION_ARG_STRING, &a->name, "Display name", "NAME" },
        { "type", 0, 0, G_OPTION_ARG_STRING, &a->type, "Kind of actor or resource", "TYPE" },
        { "email", 0, 0, G_OPTION_ARG_STRING, &a->email, "E-mail address", "ADDR" },
        { "password-file",
          0,
          0,
          G_OPTION_ARG_FILENAME,
          &a->password_file,
          "File with the password, - for standard input",
          "FILE" },
        { "dns-mode", 0, 0, G_OPTION_ARG_STRING, &a->dns_mode, "system, custom, secure", "MODE" },
        { "dns-server",
          0,
          0,
          G_OPTION_ARG_STRING_ARRAY,
          &a->dns_servers,
          "Resolver for clients",
          "ADDR" },
        { "search-domain",
          0,
          0,
          G_OPTION_ARG_STRING,
          &a->search_domain,
          "Search domain for clients",
          "NAME" },
        { "site", 0, 0, G_OPTION_ARG_STRING, &a->site, "Site, by name or id", "SITE" },
        { "group", 0, 0, G_OPTION_ARG_STRING, &a->group, "Group, by name or id", "GROUP" },
        { "resource", 0, 0, G_OPTION_ARG_STRING, &a->resource, "Resource", "RESOURCE" },
        { "actor", 0, 0, G_OPTION_ARG_STRING, &a->actor, "Actor: e-mail, name, id", "ACTOR" },
        { "address", 0, 0, G_OPTION_ARG_STRING, &a->address, "Name, pattern, network", "ADDR" },
        { "address-description",
          0,
          0,
          G_OPTION_ARG_STRING,
          &a->address_description,
          "Shown to people instead of the address",
          "TEXT" },
        { "ip-stack",
          0,
          0,
          G_OPTION_ARG_STRING,
          &a->ip_stack,
          "dual, ipv4_only, ipv6_only",
          "STACK" },
        { "filter",
          0,
          0,
          G_OPTION_ARG_STRING_ARRAY,
          &a->filters,
          "Permitted traffic: tcp/443, udp/1000-2000, icmp",
          "FILTER" },
        { "description", 0, 0, G_OPTION_ARG_STRING, &a->description, "Free text", "TEXT" },
        { "days", 0, 0, G_OPTION_ARG_INT, &a->days, "Life of a client token", "N" },
        { "disable", 0, 0, G_OPTION_ARG_NONE, &a->disable, "Switch off", NULL },
        { "enable", 0, 0, G_OPTION_ARG_NONE, &a->enable, "Switch on", NULL },
        G_OPTION_ENTRY_NULL,
    };
    g_autofree char *usage =
        g_strdup_printf("%sadd|list|remove [ID] - manage the portal", noun->add ? "" : "(no add) ");
    g_autofree char *add =
        noun->add ? g_strdup_printf("  %s add %s\n", noun->name, noun->add_help) : g_strdup("");
    g_autofree char *summary = g_strdup_printf(
        "%s  %s list [--json]\n  %s remove ID%s",
        add,
        noun->name,
        noun->name,
        g_str_equal(noun->name, "member") ? "\n  member remove --group GROUP --actor ACTOR" : "");
    GOptionContext *context = g_option_context_new(usage);

    g_option_context_set_summary(context, summary);
    g_option_context_add_main_entries(context, entries, NULL);
    return context;
}

/* The account that is named, or the only one there is. */
static bool
pick_account(struct context *cx, GError **error)
{
    g_autoptr(sqlite3_stmt) s = NULL;
    struct sp_cp_account *account;

    if (cx->args.account) {
        account = sp_cp_account_get(cx->db, cx->args.account, error);
        cx->account_id = account ? g_strdup(account->id) : NULL;
        sp_cp_account_free(account);
        return cx->account_id != NULL;
    }
    s = sp_cp_db_prepare(cx->db, error, "SELECT max(id) FROM accounts HAVING count(*) = 1", "");
    if (s && sp_cp_db_step(cx->db, s, error) == 1)
        cx->account_id = sp_cp_col_dup(s, 0);
    if (!cx->account_id && !*error)
        g_set_error_literal(
            error,
            SP_CP_ERROR,
            SP_CP_ERROR_INVALID,
            "there is not exactly one account: name it with --account SLUG, or make one with"
            " \"sallyport-portal account add --slug SLUG\"");
    return cx->account_id != NULL;
}

static bool
add_row(struct context *cx, const struct noun *noun, GError **error)
{
    char *text;

    if (!sp_cp_db_begin(cx->db, error))
        return false;
    text = noun->add(cx, error);
    if (!text) {
        sp_cp_db_rollback(cx->db);
        return false;
    }
    if (!sp_cp_db_commit(cx->db, error)) {
        sp_cp_secret_free(text);
        return false;
    }
    if (*text && cx->args.json)
        printf("{\"%s\":\"%s\"}\n", g_str_equal(noun->name, "token") ? "token" : "id", text);
    else if (*text)
        puts(text);
    else if (cx->args.json)
        puts("{}");
    sp_cp_secret_free(text);
    return true;
}

static bool
run(struct context *cx, const struct noun *noun, const char *verb, GError **error)
{
    if (!g_str_equal(noun->name, "account") && !pick_account(cx, error))
        return false;
    if (g_str_equal(verb, "list"))
        return list_rows(cx, noun, error);
    if (g_str_equal(verb, "remove") && g_str_equal(noun->name, "member") && !cx->target)
        return sp_cp_member_remove(cx->db, cx->account_id, cx->args.group, cx->args.actor, error);
    if (g_str_equal(verb, "remove"))
        return remove_row(cx, noun, error);
    return add_row(cx, noun, error);
}

/* Returns: is the command line complete? */
static bool
verb_is_fine(const struct noun *noun, const char *verb, int argc, bool member)
{
    if (g_str_equal(verb, "list"))
        return argc == 2;
    if (g_str_equal(verb, "remove"))
        return argc == 3 || (argc == 2 && member);
    return argc == 2 && noun->add
           && (g_str_equal(verb, "add")
               || (g_str_equal(verb, "create") && g_str_equal(noun->name, "token")));
}

static void
args_done(struct args *a)
{
    char **const texts[] = {
        &a->database,
        &a->account,
        &a->id,
        &a->slug,
        &a->name,
        &a->type,
        &a->email,
        &a->dns_mode,
        &a->password_file,
        &a->search_domain,
        &a->site,
        &a->group,
        &a->resource,
        &a->actor,
        &a->address,
        &a->ip_stack,
        &a->address_description,
        &a->description,
    };

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
        g_free(*texts[i]);
    g_strfreev(a->dns_servers);
    g_strfreev(a->filters);
}

static int
execute(struct context *cx, const struct noun *noun, const char *verb)
{
    g_autoptr(GError) error = NULL;
    bool ok = false;

    cx->db = sp_cp_db_open(cx->args.database, &error);
    if (cx->db && sp_cp_keys_load(cx->db, &cx->keys, &error))
        ok = run(cx, noun, verb, &error);
    if (!ok)
        fprintf(stderr, "sallyport-portal: %s\n", error ? error->message : "failed");
    sp_cp_keys_done(&cx->keys);
    sp_cp_db_free(cx->db);
    g_free(cx->account_id);
    return ok ? 0 : 1;
}

int
sp_cp_admin_main(int argc, char **argv)
{
    const struct noun *noun = find_noun(argv[0]);
    struct context cx = { 0 };
    g_autoptr(GOptionContext) context = NULL;
    g_autoptr(GError) error = NULL;
    int status = 2;

    g_return_val_if_fail(noun, 2);
    context = option_context(noun, &cx.args);
    if (!g_option_context_parse(context, &argc, &argv, &error)) {
        fprintf(stderr, "sallyport-portal: %s\n", error->message);
        args_done(&cx.args);
        return 2;
    }
    if (!cx.args.database)
        cx.args.database = g_strdup(g_getenv("SALLYPORT_PORTAL_DATABASE"));
    if (argc < 2 || !verb_is_fine(noun, argv[1], argc, g_str_equal(noun->name, "member"))) {
        fprintf(stderr,
                "usage: sallyport-portal %s %slist|remove ..., see --help\n",
                noun->name,
                noun->add ? "add|" : "");
    } else if (!cx.args.database) {
        fprintf(stderr,
                "sallyport-portal: name the database: --database FILE, or the environment variable"
                " SALLYPORT_PORTAL_DATABASE\n");
    } else {
        cx.target = argc > 2 ? argv[2] : NULL;
        status = execute(&cx, noun, argv[1]);
    }
    args_done(&cx.args);
    return status;
}
