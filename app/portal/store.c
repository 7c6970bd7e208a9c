/* SPDX-License-Identifier: Apache-2.0 */
#include "app/portal/store.h"

#include <string.h>

static void
missing(GError **error, const char *what)
{
    g_set_error(error, SP_CP_ERROR, SP_CP_ERROR_MISSING, "no such %s", what);
}

/* One-row queries: the row, or NULL with "no such @what" or the database's error. */
static bool
one_row(struct sp_cp_db *db, sqlite3_stmt *stmt, const char *what, GError **error)
{
    int r = stmt ? sp_cp_db_step(db, stmt, error) : -1;

    if (r == 0)
        missing(error, what);
    return r == 1;
}

void
sp_cp_account_free(struct sp_cp_account *a)
{
    if (!a)
        return;
    g_free(a->id);
    g_free(a->slug);
    g_free(a->name);
    g_free(a->dns_mode);
    g_free(a->dns_servers);
    g_free(a->search_domain);
    g_free(a);
}

struct sp_cp_account *
sp_cp_account_get(struct sp_cp_db *db, const char *key, GError **error)
{
    g_autoptr(sqlite3_stmt) s = sp_cp_db_prepare(
        db,
        error,
        "SELECT id, slug, name, disabled, dns_mode, dns_servers, search_domain, ingest_key"
        " FROM accounts WHERE id = ?1 OR slug = ?1",
        "s",
        key);
    struct sp_cp_account *a;

    if (!one_row(db, s, "account", error))
        return NULL;
    a = g_new0(struct sp_cp_account, 1);
    a->id = sp_cp_col_dup(s, 0);
    a->slug = sp_cp_col_dup(s, 1);
    a->name = sp_cp_col_dup(s, 2);
    a->disabled = sqlite3_column_int(s, 3) != 0;
    a->dns_mode = sp_cp_col_dup(s, 4);
    a->dns_servers = sp_cp_col_dup(s, 5);
    a->search_domain = sp_cp_col_dup(s, 6);
    if (sqlite3_column_bytes(s, 7) == sizeof a->ingest_key)
        memcpy(a->ingest_key, sqlite3_column_blob(s, 7), sizeof a->ingest_key);
    return a;
}

void
sp_cp_actor_free(struct sp_cp_actor *a)
{
    if (!a)
        return;
    g_free(a->id);
    g_free(a->account_id);
    g_free(a->type);
    g_free(a->name);
    g_free(a->email);
    g_free(a->password_hash);
    g_free(a);
}

struct sp_cp_actor *
sp_cp_actor_get(struct sp_cp_db *db, const char *account_id, const char *key, GError **error)
{
    g_autoptr(sqlite3_stmt) s =
        sp_cp_db_prepare(db,
                         error,
                         "SELECT id, account_id, type, name, email, password_hash, disabled"
                         " FROM actors WHERE account_id = ?1 AND (id = ?2 OR email = ?2)",
                         "ss",
                         account_id,
                         key);
    struct sp_cp_actor *a;

    if (!one_row(db, s, "actor", error))
        return NULL;
    a = g_new0(struct sp_cp_actor, 1);
    a->id = sp_cp_col_dup(s, 0);
    a->account_id = sp_cp_col_dup(s, 1);
    a->type = sp_cp_col_dup(s, 2);
    a->name = sp_cp_col_dup(s, 3);
    a->email = sp_cp_col_dup(s, 4);
    a->password_hash = sp_cp_col_dup(s, 5);
    a->disabled = sqlite3_column_int(s, 6) != 0;
    return a;
}

void
sp_cp_resource_free(struct sp_cp_resource *r)
{
    if (!r)
        return;
    g_free(r->id);
    g_free(r->type);
    g_free(r->name);
    g_free(r->address);
    g_free(r->address_description);
    g_free(r->ip_stack);
    g_free(r->filters);
    g_free(r->site_id);
    g_free(r->site_name);
    g_free(r);
}

#define RESOURCE_COLUMNS                                                       \
    "SELECT DISTINCT r.id, r.type, r.name, r.address, r.address_description, " \
    "r.ip_stack, r.filters, s.id, s.name FROM resources r "                    \
    "JOIN sites s ON s.id = r.site_id "

/* Service accounts are not part of the implicit group of everyone. */
#define GRANT_JOINS                                                       \
    "JOIN policies p ON p.resource_id = r.id AND NOT p.disabled "         \
    "JOIN groups g ON g.id = p.group_id "                                 \
    "JOIN actors a ON a.id = ?1 AND a.account_id = r.account_id "         \
    "LEFT JOIN memberships m ON m.group_id = g.id AND m.actor_id = a.id " \
    "WHERE (m.id IS NOT NULL OR (g.everyone AND a.type <> 'service_account')) "

static struct sp_cp_resource *
resource_from_row(sqlite3_stmt *s)
{
    struct sp_cp_resource *r = g_new0(struct sp_cp_resource, 1);

    r->id = sp_cp_col_dup(s, 0);
    r->type = sp_cp_col_dup(s, 1);
    r->name = sp_cp_col_dup(s, 2);
    r->address = sp_cp_col_dup(s, 3);
    r->address_description = sp_cp_col_dup(s, 4);
    r->ip_stack = sp_cp_col_dup(s, 5);
    r->filters = sp_cp_col_dup(s, 6);
    r->site_id = sp_cp_col_dup(s, 7);
    r->site_name = sp_cp_col_dup(s, 8);
    return r;
}

static GPtrArray *
collect_resources(struct sp_cp_db *db, sqlite3_stmt *s, GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func((GDestroyNotify)sp_cp_resource_free);
    int r = s ? 1 : -1;

    while (r > 0 && (r = sp_cp_db_step(db, s, error)) > 0)
        g_ptr_array_add(list, resource_from_row(s));
    return r == 0 ? g_steal_pointer(&list) : NULL;
}

GPtrArray *
sp_cp_resources_visible(struct sp_cp_db *db, const char *actor_id, GError **error)
{
    g_autoptr(sqlite3_stmt) s =
        sp_cp_db_prepare(db, error, RESOURCE_COLUMNS GRANT_JOINS "ORDER BY r.id", "s", actor_id);

    return collect_resources(db, s, error);
}

GPtrArray *
sp_cp_resources_of_site(struct sp_cp_db *db, const char *site_id, GError **error)
{
    g_autoptr(sqlite3_stmt) s =
        sp_cp_db_prepare(db, error, RESOURCE_COLUMNS "WHERE s.id = ? ORDER BY r.id", "s", site_id);

    return collect_resources(db, s, error);
}

struct sp_cp_resource *
sp_cp_resource_get(struct sp_cp_db *db, const char *id, GError **error)
{
    g_autoptr(sqlite3_stmt) s =
        sp_cp_db_prepare(db, error, RESOURCE_COLUMNS "WHERE r.id = ?", "s", id);

    return one_row(db, s, "resource", error) ? resource_from_row(s) : NULL;
}

void
sp_cp_grant_done(struct sp_cp_grant *grant)
{
    g_clear_pointer(&grant->policy_id, g_free);
    g_clear_pointer(&grant->membership_id, g_free);
}

int
sp_cp_grant_find(struct sp_cp_db *db,
                 const char *actor_id,
                 const char *resource_id,
                 struct sp_cp_grant *ret_grant,
                 GError **error)
{
    g_autoptr(sqlite3_stmt) s =
        sp_cp_db_prepare(db,
                         error,
                         "SELECT p.id, m.id FROM resources r " GRANT_JOINS
                         "AND r.id = ?2 AND NOT a.disabled ORDER BY p.id LIMIT 1",
                         "ss",
                         actor_id,
                         resource_id);
    int r = s ? sp_cp_db_step(db, s, error) : -1;

    if (r == 1) {
        ret_grant->policy_id = sp_cp_col_dup(s, 0);
        ret_grant->membership_id = sp_cp_col_dup(s, 1);
    }
    return r;
}

void
sp_cp_authz_free(struct sp_cp_authz *authz)
{
    if (!authz)
        return;
    g_free(authz->id);
    g_free(authz->client_id);
    g_free(authz->resource_id);
    g_free(authz);
}

bool
sp_cp_authz_insert(struct sp_cp_db *db,
                   const struct sp_cp_authz *authz,
                   const struct sp_cp_device *client,
                   const struct sp_cp_device *gateway,
                   const struct sp_cp_grant *grant,
                   const char *token_id,
                   GError **error)
{
    bool ok = sp_cp_db_exec(db,
                            error,
                            "INSERT INTO authorizations (id, account_id, client_id, gateway_id,"
                            " resource_id, policy_id, membership_id, token_id, expires_at)"
                            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                            "ssssssssi",
                            authz->id,
                            client->account_id,
                            client->id,
                            gateway->id,
                            authz->resource_id,
                            grant->policy_id,
                            grant->membership_id,
                            token_id,
                            authz->expires_at);

    /* The newest alone counts for the gateway; asking again and again must not fill the disk. */
    return ok
           && sp_cp_db_exec(db,
                            error,
                            "DELETE FROM authorizations WHERE gateway_id = ? AND client_id = ?"
                            " AND resource_id = ? AND id <> ?",
                            "ssss",
                            gateway->id,
                            client->id,
                            authz->resource_id,
                            authz->id);
}

GPtrArray *
sp_cp_authz_of_gateway(struct sp_cp_db *db, const char *gateway_id, GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func((GDestroyNotify)sp_cp_authz_free);
    /* SQLite fills bare columns from the row that holds the maximum. */
    g_autoptr(sqlite3_stmt) s = sp_cp_db_prepare(
        db,
        error,
        "SELECT id, client_id, resource_id, max(expires_at) FROM authorizations"
        " WHERE gateway_id = ? AND expires_at > unixepoch() GROUP BY client_id, resource_id",
        "s",
        gateway_id);
    int r = s ? 1 : -1;

    while (r > 0 && (r = sp_cp_db_step(db, s, error)) > 0) {
        struct sp_cp_authz *a = g_new0(struct sp_cp_authz, 1);

        a->id = sp_cp_col_dup(s, 0);
        a->client_id = sp_cp_col_dup(s, 1);
        a->resource_id = sp_cp_col_dup(s, 2);
        a->expires_at = sqlite3_column_int64(s, 3);
        g_ptr_array_add(list, a);
    }
    return r == 0 ? g_steal_pointer(&list) : NULL;
}

int
sp_cp_authz_exists(struct sp_cp_db *db, const char *id)
{
    g_autoptr(sqlite3_stmt) s =
        sp_cp_db_prepare(db, NULL, "SELECT 1 FROM authorizations WHERE id = ?", "s", id);

    return s ? sp_cp_db_step(db, s, NULL) : -1;
}

bool
sp_cp_authz_pair_known(struct sp_cp_db *db, const char *client_id, const char *gateway_id)
{
    g_autoptr(sqlite3_stmt) s =
        sp_cp_db_prepare(db,
                         NULL,
                         "SELECT 1 FROM authorizations WHERE gateway_id = ? AND client_id = ?"
                         " AND expires_at > unixepoch() LIMIT 1",
                         "ss",
                         gateway_id,
                         client_id);

    return s && sp_cp_db_step(db, s, NULL) == 1;
}

bool
sp_cp_authz_prune(struct sp_cp_db *db, GError **error)
{
    return sp_cp_db_exec(db,
                         error,
                         "DELETE FROM authorizations WHERE expires_at <= unixepoch()",
                         "");
}
