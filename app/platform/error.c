/* SPDX-License-Identifier: Apache-2.0 */
#include "app/platform/error.h"

#include <errno.h>
#include <stdarg.h>

#include "engine/base/defs.h"

GQuark
sp_platform_error_quark(void)
{
    return g_quark_from_static_string("sp-platform-error-quark");
}

static enum sp_platform_error
code_of(int err)
{
    switch (err) {
    case EPERM:
    case EACCES:
        return SP_PLATFORM_ERROR_PERMISSION;
    case EBUSY:
    case EADDRINUSE:
        return SP_PLATFORM_ERROR_BUSY;
    case EOPNOTSUPP:
    case ENOSYS:
    case ENODEV:
        return SP_PLATFORM_ERROR_UNSUPPORTED;
    default:
        return SP_PLATFORM_ERROR_FAILED;
    }
}

int
sp_platform_error_set(GError **error, int err, const char *format, ...)
{
    g_autofree char *what = NULL;
    va_list args;

    va_start(args, format);
    what = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, SP_PLATFORM_ERROR, (int)code_of(err), "%s: %s", what, g_strerror(err));
    return -err;
}
