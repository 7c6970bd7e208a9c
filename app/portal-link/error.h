/* SPDX-License-Identifier: Apache-2.0 */
/* Errors of the way to the portal. Thread: any. */
#pragma once

#include <gio/gio.h>

enum sp_portal_error {
    SP_PORTAL_ERROR_FAILED,          /* resolution, TCP, TLS, protocol: try again */
    SP_PORTAL_ERROR_REFUSED,         /* HTTP said no; details in struct sp_upgrade_reply */
    SP_PORTAL_ERROR_LOOP_PREVENTION, /* the bypass mark cannot be set: final */
    SP_PORTAL_ERROR_INVALID,         /* configuration that cannot be dialled: final */
};

#define SP_PORTAL_ERROR (sp_portal_error_quark())
GQuark sp_portal_error_quark(void);
