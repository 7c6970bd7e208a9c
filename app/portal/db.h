/* SPDX-License-Identifier: Apache-2.0 */
/* Thin layer over SQLite: opening, migrations, bound statements. One per process and thread. */
#pragma once

#include <sqlite3.h>

#include "app/portal/error.h"
#include "engine/base/defs.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(sqlite3_stmt, sqlite3_finalize)

struct sp_cp_db {
    sqlite3 *handle;
};

/** sp_cp_db_open() - open or create @path (mode 0600, WAL, foreign keys) and migrate it */
struct sp_cp_db *sp_cp_db_open(const char *path, GError **error);
void sp_cp_db_free(struct sp_cp_db *db);

/**
 * sp_cp_db_prepare() - compile @sql and bind its parameters in order
 * @types: one letter each: 's' const char * (NULL binds NULL), 'i' int64_t, 'b' const void * and
 *         size_t. Values are copied.
 * Returns: statement for sp_cp_db_step(), or NULL with @error set.
 */
sqlite3_stmt *sp_cp_db_prepare(struct sp_cp_db *db,
                               GError **error,
                               const char *sql,
                               const char *types,
                               ...);
/** sp_cp_db_step() - Returns: 1 a row is there, 0 done, -1 with @error set */
int sp_cp_db_step(struct sp_cp_db *db, sqlite3_stmt *stmt, GError **error);
/** sp_cp_db_exec() - prepare, bind as above, run to the end */
bool sp_cp_db_exec(struct sp_cp_db *db, GError **error, const char *sql, const char *types, ...);
/** sp_cp_db_changes() - rows touched by the last statement */
int sp_cp_db_changes(struct sp_cp_db *db);

bool sp_cp_db_begin(struct sp_cp_db *db, GError **error);
bool sp_cp_db_commit(struct sp_cp_db *db, GError **error);
/** sp_cp_db_rollback() - leaves an @error set by the caller alone */
void sp_cp_db_rollback(struct sp_cp_db *db);
/** sp_cp_db_data_version() - differs from the last value when another process committed */
int64_t sp_cp_db_data_version(struct sp_cp_db *db);

/** sp_cp_col_text() - borrowed until the next step; NULL for NULL */
const char *sp_cp_col_text(sqlite3_stmt *stmt, int column);
/** sp_cp_col_dup() - owned copy, NULL for NULL */
char *sp_cp_col_dup(sqlite3_stmt *stmt, int column);
