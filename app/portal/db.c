/* SPDX-License-Identifier: Apache-2.0 */
#include "app/portal/db.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/portal/schema.h"

G_DEFINE_QUARK(sp - cp - error - quark, sp_cp_error)

#define BUSY_TIMEOUT_MS 5000

static void
set_error(struct sp_cp_db *db, GError **error)
{
    int code = sqlite3_extended_errcode(db->handle);
    bool clash = code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY;

    g_set_error(error,
                SP_CP_ERROR,
                clash ? SP_CP_ERROR_CONFLICT : SP_CP_ERROR_DATABASE,
                "%s%s",
                clash ? "it exists already: " : "database: ",
                sqlite3_errmsg(db->handle));
}

static bool
bind_all(struct sp_cp_db *db, sqlite3_stmt *stmt, const char *types, va_list ap)
{
    int rc = SQLITE_OK;

    for (int i = 1; *types && rc == SQLITE_OK; types++, i++) {
        if (*types == 's') {
            rc = sqlite3_bind_text(stmt, i, va_arg(ap, const char *), -1, SQLITE_TRANSIENT);
        } else if (*types == 'i') {
            rc = sqlite3_bind_int64(stmt, i, va_arg(ap, int64_t));
        } else {
            const void *bytes = va_arg(ap, const void *);
            size_t n = va_arg(ap, size_t);

            g_assert(*types == 'b');
            rc = sqlite3_bind_blob64(stmt, i, bytes, n, SQLITE_TRANSIENT);
        }
    }
    (void)db;
    return rc == SQLITE_OK;
}

static sqlite3_stmt *
prepare_v(struct sp_cp_db *db, GError **error, const char *sql, const char *types, va_list ap)
{
    g_autoptr(sqlite3_stmt) stmt = NULL;

    if (sqlite3_prepare_v2(db->handle, sql, -1, &stmt, NULL) != SQLITE_OK
        || !bind_all(db, stmt, types, ap)) {
        set_error(db, error);
        return NULL;
    }
    return g_steal_pointer(&stmt);
}

sqlite3_stmt *
sp_cp_db_prepare(struct sp_cp_db *db, GError **error, const char *sql, const char *types, ...)
{
    va_list ap;
    sqlite3_stmt *stmt;

    va_start(ap, types);
    stmt = prepare_v(db, error, sql, types, ap);
    va_end(ap);
    return stmt;
}

int
sp_cp_db_step(struct sp_cp_db *db, sqlite3_stmt *stmt, GError **error)
{
    switch (sqlite3_step(stmt)) {
    case SQLITE_ROW:
        return 1;
    case SQLITE_DONE:
        return 0;
    default:
        set_error(db, error);
        return -1;
    }
}

bool
sp_cp_db_exec(struct sp_cp_db *db, GError **error, const char *sql, const char *types, ...)
{
    g_autoptr(sqlite3_stmt) stmt = NULL;
    va_list ap;
    int r;

    va_start(ap, types);
    stmt = prepare_v(db, error, sql, types, ap);
    va_end(ap);
    if (!stmt)
        return false;
    do
        r = sp_cp_db_step(db, stmt, error);
    while (r > 0);
    return r == 0;
}

int
sp_cp_db_changes(struct sp_cp_db *db)
{
    return sqlite3_changes(db->handle);
}

bool
sp_cp_db_begin(struct sp_cp_db *db, GError **error)
{
    return sp_cp_db_exec(db, error, "BEGIN IMMEDIATE", "");
}

bool
sp_cp_db_commit(struct sp_cp_db *db, GError **error)
{
    if (sp_cp_db_exec(db, error, "COMMIT", ""))
        return true;
    sp_cp_db_rollback(db);
    return false;
}

void
sp_cp_db_rollback(struct sp_cp_db *db)
{
    if (!sqlite3_get_autocommit(db->handle))
        (void)sp_cp_db_exec(db, NULL, "ROLLBACK", "");
}

static int64_t
query_int(struct sp_cp_db *db, const char *sql)
{
    g_autoptr(sqlite3_stmt) stmt = sp_cp_db_prepare(db, NULL, sql, "");

    if (!stmt || sp_cp_db_step(db, stmt, NULL) != 1)
        return -1;
    return sqlite3_column_int64(stmt, 0);
}

int64_t
sp_cp_db_data_version(struct sp_cp_db *db)
{
    return query_int(db, "PRAGMA data_version");
}

const char *
sp_cp_col_text(sqlite3_stmt *stmt, int column)
{
    return (const char *)sqlite3_column_text(stmt, column);
}

char *
sp_cp_col_dup(sqlite3_stmt *stmt, int column)
{
    return g_strdup(sp_cp_col_text(stmt, column));
}

static bool
run_script(struct sp_cp_db *db, const char *sql, GError **error)
{
    if (sqlite3_exec(db->handle, sql, NULL, NULL, NULL) == SQLITE_OK)
        return true;
    set_error(db, error);
    return false;
}

static bool
migrate_locked(struct sp_cp_db *db, GError **error)
{
    int64_t have, want = (int64_t)sp_cp_schema_n_migrations;

    if (!run_script(db, sp_cp_schema_version_table, error))
        return false;
    have = query_int(db, "SELECT coalesce(max(version), 0) FROM schema_version");
    if (have < 0 || have > want) {
        g_set_error(error,
                    SP_CP_ERROR,
                    SP_CP_ERROR_DATABASE,
                    "database: schema version %" G_GINT64_FORMAT " is newer than this program",
                    have);
        return false;
    }
    for (int64_t v = have; v < want; v++) {
        if (!run_script(db, sp_cp_schema_migrations[v], error)
            || !sp_cp_db_exec(db,
                              error,
                              "INSERT INTO schema_version VALUES (?, unixepoch())",
                              "i",
                              (int64_t)(v + 1)))
            return false;
    }
    return true;
}

static bool
migrate(struct sp_cp_db *db, GError **error)
{
    if (!sp_cp_db_begin(db, error))
        return false;
    if (!migrate_locked(db, error)) {
        sp_cp_db_rollback(db);
        return false;
    }
    return sp_cp_db_commit(db, error);
}

/* SQLite creates files with the umask; the keys inside ask for 0600 from the first byte. */
static bool
create_private(const char *path, GError **error)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);

    if (fd < 0) {
        g_set_error(error, SP_CP_ERROR, SP_CP_ERROR_DATABASE, "cannot open %s: %m", path);
        return false;
    }
    close(fd);
    return true;
}

struct sp_cp_db *
sp_cp_db_open(const char *path, GError **error)
{
    struct sp_cp_db *db = g_new0(struct sp_cp_db, 1);

    if (!create_private(path, error)) {
        g_free(db);
        return NULL;
    }
    if (sqlite3_open_v2(path, &db->handle, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK) {
        set_error(db, error);
        sp_cp_db_free(db);
        return NULL;
    }
    sqlite3_busy_timeout(db->handle, BUSY_TIMEOUT_MS);
    if (!run_script(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;", error)
        || !run_script(db, "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;", error)
        || !migrate(db, error)) {
        sp_cp_db_free(db);
        return NULL;
    }
    return db;
}

void
sp_cp_db_free(struct sp_cp_db *db)
{
    if (!db)
        return;
    sqlite3_close(db->handle);
    g_free(db);
}
