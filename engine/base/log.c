/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/base/log.h"

#include <stdarg.h>
#include <stdio.h>

enum {
    LINE_MAX_BYTES = 1024,
};

void
sp_log_write(const struct sp_log *log,
             enum sp_log_level level,
             enum sp_log_cat cat,
             const char *format,
             ...)
{
    char line[LINE_MAX_BYTES];
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(line, sizeof line, format, ap); /* a longer line is cut */
    va_end(ap);
    log->fn(log->ctx, level, cat, line);
}

const char *
sp_log_level_name(enum sp_log_level level)
{
    static const char *const names[] = { "error", "warn", "info", "debug", "trace" };

    return (size_t)level < SP_ARRAY_SIZE(names) ? names[level] : "?";
}

const char *
sp_log_cat_name(enum sp_log_cat cat)
{
    static const char *const names[] = { "base",   "wg",     "stun", "turn",   "ice",
                                         "node",   "dns",    "nat",  "client", "gw",
                                         "portal", "driver", "app" };

    for (size_t i = 0; i < SP_ARRAY_SIZE(names); i++)
        if ((uint32_t)cat == 1u << i)
            return names[i];
    return "?";
}
