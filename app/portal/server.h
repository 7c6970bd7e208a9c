/* SPDX-License-Identifier: Apache-2.0 */
/* `sallyport-portal serve`: the HTTP server, its routes, and an orderly end on SIGTERM. */
#pragma once

#include <glib.h>

/** sp_cp_serve_main() - the subcommand; @argv[0] is its name. Returns: exit status */
int sp_cp_serve_main(int argc, char **argv);
