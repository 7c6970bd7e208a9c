/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/base/err.h"

const char *
sp_strerror(int code)
{
    static const char *const names[] = {
        [0] = "success",
        [-SP_E_INVAL] = "invalid argument",
        [-SP_E_MALFORMED] = "malformed input",
        [-SP_E_UNAUTH] = "authentication failed",
        [-SP_E_LIMIT] = "limit reached",
        [-SP_E_STATE] = "not possible in this state",
        [-SP_E_UNSUPPORTED] = "not supported",
        [-SP_E_EXPIRED] = "expired",
        [-SP_E_NOBUF] = "no buffer space",
        [-SP_E_NOTFOUND] = "not found",
        [-SP_E_REPLAY] = "replayed",
    };

    if (code > 0)
        return "outcome";
    if (code < SP_E_LAST)
        return "unknown error";
    return names[-code];
}
