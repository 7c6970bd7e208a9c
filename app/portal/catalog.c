/* SPDX-License-Identifier: Apache-2.0 */
#include "app/portal/catalog.h"

#include <string.h>

#include <sodium.h>

#include "app/portal/json.h"
#include "app/portal/password.h"
#include "engine/base/addr.h"

#define NAME_MAX_LEN 255

static void
invalid(GError **error, const char *text)
{
    g_set_error_literal(error, SP_CP_ERROR, SP_CP_ERROR_INVALID, text);
}

static bool
name_is_fine(const char *name, GError **error)
{
    if (name && *name && strlen(name) <= NAME_MAX_LEN && g_utf8_validate(name, -1, NULL))
        return true;
    invalid(error, "a name of 1 to 255 bytes is required");
    return false;
}

/* The id of the row a put is about: the given one, the one found by @sql, or a new one. */
static char *
row_id(struct sp_cp_db *db,
       const char *given,
       const char *sql,
       const char *key1,
       const char *key2,
       GError **error)
{
    g_autoptr(sqlite3_stmt) s = NULL;
    int r;

    if (given) {
        char *id = sp_cp_uuid_normalise(given);

        if (!id)
            invalid(error, "an id must be a UUID");
        return id;
    }
    s = sp_cp_db_prepare(db, error, sql, "ss", key1, key2);
    r = s ? sp_cp_db_step(db, s, error) : -1;
    if (r < 0)
        return NULL;
    return r == 1 ? sp_cp_col_dup(s, 0) : sp_cp_random_uuid();
}

/* An upsert that matched a row of another account changes nothing: say so. */
static char *
finish(struct sp_cp_db *db, bool ok, char *id, GError **error)
{
    if (ok && sp_cp_db_changes(db) > 0)
        return id;
    if (ok)
        g_set_error_literal(error,
                            SP_CP_ERROR,
                            SP_CP_ERROR_CONFLICT,
                            "the id belongs to another account");
    g_free(id);
    return NULL;
}

char *
sp_cp_find_id(struct sp_cp_db *db,
              const char *table,
              const char *account_id,
              const char *key,
              GError **error)
{
    g_autofree char *sql = NULL;
    g_autofree char *id = NULL;
    g_autoptr(sqlite3_stmt) s = NULL;
    int r;

    if (!key) {
        g_set_error(error, SP_CP_ERROR, SP_CP_ERROR_INVALID, "one of the %s must be named", table);
        return NULL;
    }
    sql = g_strdup_printf("SELECT id FROM %s WHERE account_id = ?1 AND (id = ?2 OR name = ?2%s)",
                          table,
                          g_str_equal(table, "actors") ? " OR email = ?2" : "");
    s = sp_cp_db_prepare(db, error, sql, "ss", account_id, key);
    r = s ? sp_cp_db_step(db, s, error) : -1;
    if (r == 0)
        g_set_error(error, SP_CP_ERROR, SP_CP_ERROR_MISSING, "no \"%s\" among the %s", key, table);
    if (r != 1)
        return NULL;
    id = sp_cp_col_dup(s, 0);
    if (sp_cp_db_step(db, s, error) == 0)
        return g_steal_pointer(&id);
    g_set_error(error, SP_CP_ERROR, SP_CP_ERROR_CONFLICT, "several %s are \"%s\"", table, key);
    return NULL;
}

static bool
slug_is_fine(const char *slug)
{
    size_t n = slug ? strlen(slug) : 0;

    return n > 0 && n <= 64 && strspn(slug, "abcdefghijklmnopqrstuvwxyz0123456789_") == n;
}

static bool
dns_is_fine(const struct sp_cp_row_spec *spec, GError **error)
{
    static const char *const secure[] = {
        "https://dns.google/dns-query",
        "https://dns.quad9.net/dns-query",
        "https://cloudflare-dns.com/dns-query",
        "https://doh.opendns.com/dns-query",
        NULL,
    };
    g_auto(GStrv) servers = g_strsplit(spec->dns_servers ? spec->dns_servers : "", " ", -1);
    unsigned n = g_strv_length(servers);
    struct sp_ip ip;

    if (!spec->dns_mode || g_str_equal(spec->dns_mode, "system"))
        return true;
    if (g_str_equal(spec->dns_mode, "secure")) {
        if (n == 1 && g_strv_contains(secure, servers[0]))
            return true;
        invalid(error, "secure DNS needs one of the known DNS-over-HTTPS addresses");
        return false;
    }
    if (!g_str_equal(spec->dns_mode, "custom") || n < 1 || n > 8) {
        invalid(error, "DNS mode is system, custom with 1 to 8 servers, or secure");
        return false;
    }
    for (unsigned i = 0; i < n; i++) {
        if (sp_ip_parse(servers[i], &ip) < 0) {
            invalid(error, "a DNS server is an address without port");
            return false;
        }
    }
    return true;
}

static bool
add_defaults(struct sp_cp_db *db, const char *account_id, GError **error)
{
    g_autofree char *group = sp_cp_random_uuid();
    g_autofree char *provider = sp_cp_random_uuid();

    return sp_cp_db_exec(db,
                         error,
                         "INSERT OR IGNORE INTO groups (id, account_id, name, everyone)"
                         " VALUES (?, ?, 'Everyone', 1)",
                         "ss",
                         group,
                         account_id)
           && sp_cp_db_exec(db,
                            error,
                            "INSERT OR IGNORE INTO providers (id, account_id, type, name)"
                            " VALUES (?, ?, 'userpass', 'Password')",
                            "ss",
                            provider,
                            account_id);
}

char *
sp_cp_account_put(struct sp_cp_db *db, const struct sp_cp_row_spec *spec, GError **error)
{
    g_autofree char *id = NULL;
    uint8_t ingest[32];
    bool ok;

    if (!slug_is_fine(spec->slug)) {
        invalid(error, "a slug has 1 to 64 lower-case letters, digits and underscores");
        return NULL;
    }
    if (!name_is_fine(spec->name ? spec->name : spec->slug, error) || !dns_is_fine(spec, error))
        return NULL;
    if (spec->search_domain
        && (strlen(spec->search_domain) > 255 || spec->search_domain[0] == '.')) {
        invalid(error, "a search domain has no leading dot and at most 255 characters");
        return NULL;
    }
    id = row_id(db,
                spec->id,
                "SELECT id FROM accounts WHERE slug = ?1 OR ?2",
                spec->slug,
                NULL,
                error);
    if (!id)
        return NULL;
    randombytes_buf(ingest, sizeof ingest);
    ok = sp_cp_db_exec(
        db,
        error,
        "INSERT INTO accounts (id, slug, name, dns_mode, dns_servers, search_domain, ingest_key,"
        " disabled) VALUES (?1, ?2, coalesce(?3, ?2), coalesce(?4, 'system'), coalesce(?5, ''),"
        " ?6, ?7, max(?8, 0))"
        " ON CONFLICT (id) DO UPDATE SET slug = ?2, name = coalesce(?3, name),"
        " dns_mode = coalesce(?4, dns_mode),"
        " dns_servers = CASE WHEN ?4 IS NULL THEN dns_servers ELSE coalesce(?5, '') END,"
        " search_domain = coalesce(nullif(?6, ''), CASE WHEN ?6 = '' THEN NULL"
        " ELSE search_domain END),"
        " disabled = CASE WHEN ?8 < 0 THEN disabled ELSE ?8 END",
        "ssssssbi",
        id,
        spec->slug,
        spec->name,
        spec->dns_mode,
        spec->dns_servers,
        spec->search_domain,
        ingest,
        sizeof ingest,
        (int64_t)spec->disabled);
    sodium_memzero(ingest, sizeof ingest);
    if (!ok || !add_defaults(db, id, error))
        return NULL;
    return g_steal_pointer(&id);
}

static bool
actor_type_is_fine(const char *type)
{
    static const char *const types[] = {
        "account_admin_user",
        "account_user",
        "service_account",
        NULL,
    };

    return g_strv_contains(types, type);
}

/* Hashing again would change the row on every import, so a password that fits stays. */
static bool
put_password(struct sp_cp_db *db,
             const char *account_id,
             const char *id,
             const char *password,
             GError **error)
{
    struct sp_cp_actor *actor = sp_cp_actor_get(db, account_id, id, error);
    bool same, ok;
    char *hash;

    if (!actor)
        return false;
    same = actor->password_hash && sp_cp_password_verify(actor->password_hash, password);
    sp_cp_actor_free(actor);
    if (same)
        return true;
    hash = sp_cp_password_hash(password);
    if (!hash) {
        invalid(error, "a password has 1 to 1024 bytes");
        return false;
    }
    ok = sp_cp_db_exec(db,
                       error,
                       "UPDATE actors SET password_hash = ? WHERE id = ?",
                       "ss",
                       hash,
                       id);
    sp_cp_secret_free(hash);
    return ok;
}

char *
sp_cp_actor_put(struct sp_cp_db *db,
                const char *account_id,
                const struct sp_cp_row_spec *spec,
                GError **error)
{
    g_autofree char *email = spec->email ? g_utf8_strdown(spec->email, -1) : NULL;
    char *id;
    bool ok;

    if (!name_is_fine(spec->name ? spec->name : email, error))
        return NULL;
    if (spec->type && !actor_type_is_fine(spec->type)) {
        invalid(error, "type is account_user, account_admin_user or service_account");
        return NULL;
    }
    if (email)
        id = row_id(db,
                    spec->id,
                    "SELECT id FROM actors WHERE account_id = ? AND email = ?",
                    account_id,
                    email,
                    error);
    else
        id = row_id(db,
                    spec->id,
                    "SELECT id FROM actors WHERE account_id = ? AND name = ? AND email IS NULL",
                    account_id,
                    spec->name,
                    error);
    if (!id)
        return NULL;
    ok = sp_cp_db_exec(
        db,
        error,
        "INSERT INTO actors (id, account_id, type, name, email, disabled)"
        " VALUES (?1, ?2, coalesce(?3, 'account_user'), coalesce(?4, ?5), ?5, max(?6, 0))"
        " ON CONFLICT (id) DO UPDATE SET type = coalesce(?3, type), name = coalesce(?4, name),"
        " email = coalesce(?5, email), disabled = CASE WHEN ?6 < 0 THEN disabled ELSE ?6 END"
        " WHERE account_id = ?2",
        "sssssi",
        id,
        account_id,
        spec->type,
        spec->name,
        email,
        (int64_t)spec->disabled);
    id = finish(db, ok, id, error);
    if (id && spec->password && !put_password(db, account_id, id, spec->password, error))
        g_clear_pointer(&id, g_free);
    return id;
}

static char *
put_named(struct sp_cp_db *db,
          const char *table,
          const char *account_id,
          const struct sp_cp_row_spec *spec,
          GError **error)
{
    g_autofree char *find =
        g_strdup_printf("SELECT id FROM %s WHERE account_id = ? AND name = ?", table);
    g_autofree char *put =
        g_strdup_printf("INSERT INTO %s (id, account_id, name) VALUES (?1, ?2, ?3)"
                        " ON CONFLICT (id) DO UPDATE SET name = ?3 WHERE account_id = ?2",
                        table);
    char *id;

    if (!name_is_fine(spec->name, error))
        return NULL;
    id = row_id(db, spec->id, find, account_id, spec->name, error);
    if (!id)
        return NULL;
    return finish(db, sp_cp_db_exec(db, error, put, "sss", id, account_id, spec->name), id, error);
}

char *
sp_cp_group_put(struct sp_cp_db *db,
                const char *account_id,
                const struct sp_cp_row_spec *spec,
                GError **error)
{
    return put_named(db, "groups", account_id, spec, error);
}

char *
sp_cp_site_put(struct sp_cp_db *db,
               const char *account_id,
               const struct sp_cp_row_spec *spec,
               GError **error)
{
    return put_named(db, "sites", account_id, spec, error);
}

static bool
reserved(const struct sp_cidr *net)
{
    static const char *const texts[] = { "100.64.0.0/10", "fd00:2021:1111::/48" };
    struct sp_cidr r;

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
        if (sp_cidr_parse(texts[i], &r) == 0 && r.ip.family == net->ip.family
            && (sp_cidr_contains(&r, &net->ip) || sp_cidr_contains(net, &r.ip)))
            return true;
    return false;
}

/* Single addresses become /32 or /128. Owned normal form, or NULL. */
static char *
cidr_address(const char *text, GError **error)
{
    char out[SP_CIDR_STR_MAX];
    struct sp_cidr net;
    struct sp_ip ip;

    if (sp_ip_parse(text, &ip) == 0) {
        net = sp_cidr_host(&ip);
    } else if (sp_cidr_parse(text, &net) < 0) {
        invalid(error, "the address is no network such as 10.0.0.0/8");
        return NULL;
    }
    if (reserved(&net)) {
        invalid(error, "the network overlaps the range reserved for the tunnel");
        return NULL;
    }
    return g_strdup(sp_cidr_format(&net, out));
}

static char *
dns_address(const char *text, GError **error)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-_.*?";
    g_autofree char *lower = g_ascii_strdown(text, -1);
    size_t n = strlen(lower);

    if (n > 0 && n <= 253 && strspn(lower, allowed) == n && lower[0] != '.' && lower[n - 1] != '.'
        && !strstr(lower, ".."))
        return g_steal_pointer(&lower);
    invalid(error, "the address is no DNS name or pattern such as *.example.com");
    return NULL;
}

static bool
resource_address(const struct sp_cp_row_spec *spec, char **ret_address, GError **error)
{
    *ret_address = NULL;
    if (g_strcmp0(spec->type, "internet") == 0)
        return true;
    if (!spec->address)
        invalid(error, "an address is required");
    else if (g_strcmp0(spec->type, "cidr") == 0)
        *ret_address = cidr_address(spec->address, error);
    else if (g_strcmp0(spec->type, "dns") == 0)
        *ret_address = dns_address(spec->address, error);
    else
        invalid(error, "type is dns, cidr or internet");
    return *ret_address != NULL;
}

static bool
ip_stack_is_fine(const struct sp_cp_row_spec *spec, GError **error)
{
    static const char *const stacks[] = { "dual", "ipv4_only", "ipv6_only", NULL };

    if (!spec->ip_stack
        || (g_strcmp0(spec->type, "dns") == 0 && g_strv_contains(stacks, spec->ip_stack)))
        return true;
    invalid(error, "ip_stack is dual, ipv4_only or ipv6_only, for dns resources");
    return false;
}

char *
sp_cp_resource_put(struct sp_cp_db *db,
                   const char *account_id,
                   const struct sp_cp_row_spec *spec,
                   GError **error)
{
    g_autofree char *address = NULL;
    g_autofree char *site_id = NULL;
    char *id;
    bool ok;

    if (!name_is_fine(spec->name, error) || !resource_address(spec, &address, error)
        || !ip_stack_is_fine(spec, error))
        return NULL;
    site_id = sp_cp_find_id(db, "sites", account_id, spec->site, error);
    if (!site_id)
        return NULL;
    id = row_id(db,
                spec->id,
                "SELECT id FROM resources WHERE account_id = ? AND name = ?",
                account_id,
                spec->name,
                error);
    if (!id)
        return NULL;
    ok = sp_cp_db_exec(
        db,
        error,
        "INSERT INTO resources (id, account_id, site_id, type, name, address,"
        " address_description, ip_stack, filters)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, coalesce(?9, '[]'))"
        " ON CONFLICT (id) DO UPDATE SET site_id = ?3, type = ?4, name = ?5, address = ?6,"
        " address_description = coalesce(?7, address_description), ip_stack = ?8,"
        " filters = coalesce(?9, filters) WHERE account_id = ?2",
        "sssssssss",
        id,
        account_id,
        site_id,
        spec->type,
        spec->name,
        address,
        spec->address_description,
        spec->ip_stack,
        spec->filters);
    return finish(db, ok, id, error);
}

char *
sp_cp_policy_put(struct sp_cp_db *db,
                 const char *account_id,
                 const struct sp_cp_row_spec *spec,
                 GError **error)
{
    g_autofree char *group = sp_cp_find_id(db, "groups", account_id, spec->group, error);
    g_autofree char *resource =
        group ? sp_cp_find_id(db, "resources", account_id, spec->resource, error) : NULL;
    char *id;
    bool ok;

    if (!resource)
        return NULL;
    id = row_id(db,
                spec->id,
                "SELECT id FROM policies WHERE group_id = ? AND resource_id = ?",
                group,
                resource,
                error);
    if (!id)
        return NULL;
    ok = sp_cp_db_exec(
        db,
        error,
        "INSERT INTO policies (id, account_id, group_id, resource_id, description, disabled)"
        " VALUES (?1, ?2, ?3, ?4, ?5, max(?6, 0))"
        " ON CONFLICT (id) DO UPDATE SET group_id = ?3, resource_id = ?4,"
        " description = coalesce(?5, description),"
        " disabled = CASE WHEN ?6 < 0 THEN disabled ELSE ?6 END WHERE account_id = ?2",
        "sssssi",
        id,
        account_id,
        group,
        resource,
        spec->description,
        (int64_t)spec->disabled);
    return finish(db, ok, id, error);
}

bool
sp_cp_member_put(struct sp_cp_db *db,
                 const char *account_id,
                 const char *group,
                 const char *actor,
                 GError **error)
{
    g_autofree char *id = sp_cp_random_uuid();
    g_autofree char *group_id = sp_cp_find_id(db, "groups", account_id, group, error);
    g_autofree char *actor_id =
        group_id ? sp_cp_find_id(db, "actors", account_id, actor, error) : NULL;

    return actor_id
           && sp_cp_db_exec(db,
                            error,
                            "INSERT OR IGNORE INTO memberships VALUES (?, ?, ?)",
                            "sss",
                            id,
                            group_id,
                            actor_id);
}

bool
sp_cp_member_remove(struct sp_cp_db *db,
                    const char *account_id,
                    const char *group,
                    const char *actor,
                    GError **error)
{
    g_autofree char *group_id = sp_cp_find_id(db, "groups", account_id, group, error);
    g_autofree char *actor_id =
        group_id ? sp_cp_find_id(db, "actors", account_id, actor, error) : NULL;

    if (!actor_id
        || !sp_cp_db_exec(db,
                          error,
                          "DELETE FROM memberships WHERE group_id = ? AND actor_id = ?",
                          "ss",
                          group_id,
                          actor_id))
        return false;
    if (sp_cp_db_changes(db) > 0)
        return true;
    g_set_error_literal(error, SP_CP_ERROR, SP_CP_ERROR_MISSING, "not a member");
    return false;
}

static bool
parse_ports(const char *text, uint32_t *ret_start, uint32_t *ret_end)
{
    const char *dash = strchr(text, '-');
    size_t n = dash ? (size_t)(dash - text) : strlen(text);

    if (sp_parse_u32(text, n, 65535, ret_start) < 0)
        return false;
    *ret_end = *ret_start;
    return (!dash || sp_parse_u32(dash + 1, strlen(dash + 1), 65535, ret_end) == 0)
           && *ret_start <= *ret_end;
}

static JsonObject *
filter_object(const char *word)
{
    g_auto(GStrv) parts = g_strsplit(word, "/", 2);
    uint32_t start = 0, end = 65535;
    bool icmp = g_strcmp0(parts[0], "icmp") == 0;
    JsonObject *o;

    if (!icmp && g_strcmp0(parts[0], "tcp") != 0 && g_strcmp0(parts[0], "udp") != 0)
        return NULL;
    if (parts[1] && (icmp || !parse_ports(parts[1], &start, &end)))
        return NULL;
    o = json_object_new();
    json_object_set_string_member(o, "protocol", parts[0]);
    if (!icmp) {
        json_object_set_int_member(o, "port_range_start", start);
        json_object_set_int_member(o, "port_range_end", end);
    }
    return o;
}

char *
sp_cp_filters_from_words(const char *const *words, GError **error)
{
    JsonArray *list = json_array_new();
    g_autoptr(JsonNode) node = sp_cp_json_array_node(list);

    for (; words && *words; words++) {
        JsonObject *o = filter_object(*words);

        if (!o) {
            g_set_error(error,
                        SP_CP_ERROR,
                        SP_CP_ERROR_INVALID,
                        "\"%s\" is no filter such as tcp/443, udp/1000-2000 or icmp",
                        *words);
            return NULL;
        }
        json_array_add_object_element(list, o);
    }
    return json_to_string(node, FALSE);
}
