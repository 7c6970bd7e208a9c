/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of the control plane. Migrations are only ever appended. */
#pragma once

#include <stddef.h>

extern const char sp_cp_schema_version_table[];
extern const char *const sp_cp_schema_migrations[];
extern const size_t sp_cp_schema_n_migrations;
