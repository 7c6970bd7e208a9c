/* SPDX-License-Identifier: Apache-2.0 */
/* Import of a JSON seed file; the format is in README.md. The whole file is one transaction. */
#pragma once

#include <stdio.h>

#include "app/portal/keys.h"

/**
 * sp_cp_seed_import() - bring the database in line with @path
 * @out: receives "name token" lines of new tokens whose entry names no file
 * Relative token files are taken from the folder of the seed file.
 */
bool sp_cp_seed_import(struct sp_cp_db *db,
                       const struct sp_cp_keys *keys,
                       const char *path,
                       FILE *out,
                       GError **error);
int sp_cp_seed_main(int argc, char **argv);
