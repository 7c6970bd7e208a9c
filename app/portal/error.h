/* SPDX-License-Identifier: Apache-2.0 */
/* Error domain of the control plane. Functions of this folder carry the prefix sp_cp_. */
#pragma once

#include <glib.h>

#define SP_CP_ERROR (sp_cp_error_quark())
GQuark sp_cp_error_quark(void);

enum sp_cp_error {
    SP_CP_ERROR_DATABASE, /* SQLite said no; nothing was changed */
    SP_CP_ERROR_INVALID,  /* a value breaks a rule; the message says which */
    SP_CP_ERROR_MISSING,  /* the named thing does not exist */
    SP_CP_ERROR_CONFLICT, /* it exists already, or is ambiguous */
    SP_CP_ERROR_DENIED,   /* not permitted: bad or expired credential */
    SP_CP_ERROR_DISABLED, /* account switched off */
    SP_CP_ERROR_LIMIT,    /* there are as many as there may be */
};
