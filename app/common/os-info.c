/* SPDX-License-Identifier: Apache-2.0 */
#include "app/common/os-info.h"

#include <sys/utsname.h>

void
sp_os_info_get(struct sp_os_info *ret_info)
{
    g_autofree char *id = g_get_os_info(G_OS_INFO_KEY_NAME);
    g_autofree char *version = g_get_os_info(G_OS_INFO_KEY_VERSION_ID);
    struct utsname uts = { 0 };

    (void)uname(&uts);
    ret_info->name = g_strdup(id && *id ? id : "Linux");
    ret_info->version = g_strdup(version && *version ? version : "0");
    g_strdelimit(ret_info->version, " \t", '-');
    ret_info->arch = g_strdup(*uts.machine ? uts.machine : "unknown");
    ret_info->kernel = g_strdup(*uts.release ? uts.release : "unknown");
}

void
sp_os_info_done(struct sp_os_info *info)
{
    g_free(info->name);
    g_free(info->version);
    g_free(info->arch);
    g_free(info->kernel);
}
