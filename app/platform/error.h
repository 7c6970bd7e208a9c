/* SPDX-License-Identifier: Apache-2.0 */
/* Errors of the platform layer that a person may have to act on. Packet-path functions return
 * negative errno values instead and never build a GError. Thread: any. */
#pragma once

#include <glib.h>

enum sp_platform_error {
    SP_PLATFORM_ERROR_FAILED,          /* anything else; the text names the step */
    SP_PLATFORM_ERROR_PERMISSION,      /* a capability (CAP_NET_ADMIN) is missing */
    SP_PLATFORM_ERROR_BUSY,            /* the interface name or file belongs to another program */
    SP_PLATFORM_ERROR_UNSUPPORTED,     /* the system lacks it, or we do not do it yet */
    SP_PLATFORM_ERROR_CONFLICT,        /* a file is in a state that we refuse to touch */
    SP_PLATFORM_ERROR_LOOP_PREVENTION, /* the bypass mark cannot be set: fatal for a session */
    SP_PLATFORM_ERROR_INVALID,         /* configuration does not parse */
};

#define SP_PLATFORM_ERROR (sp_platform_error_quark())
GQuark sp_platform_error_quark(void);

/** sp_platform_error_set() - set @error from a positive errno: EPERM and EACCES become PERMISSION,
 * EBUSY and EADDRINUSE BUSY, EOPNOTSUPP, ENOSYS and ENODEV UNSUPPORTED, all others FAILED. The text
 * is "<what>: <strerror>". Returns: -@err, so it can end a function */
int sp_platform_error_set(GError **error, int err, const char *format, ...) G_GNUC_PRINTF(3, 4);
