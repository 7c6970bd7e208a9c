/* SPDX-License-Identifier: Apache-2.0 */
/* What the user agent says about this system (spec portal-protocol 1.2). Thread: any. */
#pragma once

#include <glib.h>

/** struct sp_os_info - owned strings, never NULL; @version has no spaces */
struct sp_os_info {
    char *name;
    char *version;
    char *arch;
    char *kernel;
};

void sp_os_info_get(struct sp_os_info *ret_info);
void sp_os_info_done(struct sp_os_info *info);
