/* SPDX-License-Identifier: Apache-2.0 */
/* Error codes of the engine. 0 is success; negative means "not done, object unchanged, outputs
 * untouched, pass it up"; positive values are outcomes that the module documents. */
#pragma once

#include "engine/base/defs.h"

enum sp_err {
    SP_E_INVAL = -1,       /* the caller broke the contract */
    SP_E_MALFORMED = -2,   /* bytes from outside do not parse */
    SP_E_UNAUTH = -3,      /* authentication failed */
    SP_E_LIMIT = -4,       /* a named maximum is reached */
    SP_E_STATE = -5,       /* not possible in the present state */
    SP_E_UNSUPPORTED = -6, /* well-formed, but not something we do */
    SP_E_EXPIRED = -7,     /* too old: key, counter, token */
    SP_E_NOBUF = -8,       /* output buffer or packet pool too small */
    SP_E_NOTFOUND = -9,    /* no such connection, resource, entry */
    SP_E_REPLAY = -10,     /* counter or timestamp already seen */
};
#define SP_E_LAST SP_E_REPLAY

/** sp_strerror() - short English text of a negative code, "success" for 0, never NULL */
const char *sp_strerror(int code);
