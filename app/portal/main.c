/* SPDX-License-Identifier: Apache-2.0 */
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include <glib.h>
#include <sodium.h>

#include "app/portal/admin.h"
#include "app/portal/seed.h"
#include "app/portal/server.h"

static const char usage[] =
    "Usage: sallyport-portal COMMAND [OPTION...]\n"
    "\n"
    "  serve            run the control plane\n"
    "  seed FILE        import accounts, people, resources and tokens from JSON\n"
    "  NOUN add|list|remove\n"
    "                   with NOUN one of account, actor, group, member, site, resource,\n"
    "                   policy, token, device, authorization\n"
    "\n"
    "Every command has --help. The database is named by --database FILE or by the\n"
    "environment variable SALLYPORT_PORTAL_DATABASE.\n";

int
main(int argc, char **argv)
{
    setlocale(LC_ALL, "");
    g_set_prgname("sallyport-portal");
    if (argc < 2) {
        fputs(usage, stderr);
        return 2;
    }
    if (g_str_equal(argv[1], "--help") || g_str_equal(argv[1], "-h")) {
        fputs(usage, stdout);
        return 0;
    }
    if (g_str_equal(argv[1], "--version")) {
        puts("sallyport-portal " SP_VERSION);
        return 0;
    }
    if (sodium_init() < 0) {
        fputs("sallyport-portal: no randomness\n", stderr);
        return 1;
    }
    if (g_str_equal(argv[1], "serve"))
        return sp_cp_serve_main(argc - 1, argv + 1);
    if (g_str_equal(argv[1], "seed"))
        return sp_cp_seed_main(argc - 1, argv + 1);
    if (sp_cp_admin_knows(argv[1]))
        return sp_cp_admin_main(argc - 1, argv + 1);
    fprintf(stderr, "sallyport-portal: unknown command %s\n%s", argv[1], usage);
    return 2;
}
