/* SPDX-License-Identifier: Apache-2.0 */
#include "app/common/engine-log.h"

#include <string.h>

#include "app/common/log.h"

static void
write_line(void *ctx, enum sp_log_level level, enum sp_log_cat cat, const char *line)
{
    static const GLogLevelFlags map[] = {
        [SP_LOG_ERROR] = G_LOG_LEVEL_WARNING, [SP_LOG_WARN] = G_LOG_LEVEL_WARNING,
        [SP_LOG_INFO] = G_LOG_LEVEL_INFO,     [SP_LOG_DEBUG] = G_LOG_LEVEL_DEBUG,
        [SP_LOG_TRACE] = G_LOG_LEVEL_DEBUG,
    };
    const struct sp_engine_log *log = ctx;
    const char *name = sp_log_cat_name(cat);

    if (level > log->level[__builtin_ctz((unsigned)cat)])
        return;
    g_log_structured("sallyport",
                     map[level],
                     "SALLYPORT_CATEGORY",
                     name,
                     "MESSAGE",
                     "%s: %s",
                     name,
                     line);
}

static gboolean
parse_level(const char *text, enum sp_log_level *ret)
{
    for (int i = SP_LOG_ERROR; i <= SP_LOG_TRACE; i++)
        if (strcmp(text, sp_log_level_name((enum sp_log_level)i)) == 0) {
            *ret = (enum sp_log_level)i;
            return TRUE;
        }
    return FALSE;
}

static int
find_category(const char *name)
{
    for (int i = 0; i < SP_ENGINE_LOG_CATS; i++)
        if (strcmp(name, sp_log_cat_name((enum sp_log_cat)(1u << i))) == 0)
            return i;
    return -1;
}

static gboolean
apply_part(struct sp_engine_log *log, char *part)
{
    char *equals = strchr(part, '=');
    enum sp_log_level level;
    int cat;

    if (equals == NULL) {
        if (!parse_level(part, &level))
            return FALSE;
        for (int i = 0; i < SP_ENGINE_LOG_CATS; i++)
            log->level[i] = level;
        return TRUE;
    }
    *equals = '\0';
    cat = find_category(part);
    if (cat < 0 || !parse_level(equals + 1, &level))
        return FALSE;
    log->level[cat] = level;
    return TRUE;
}

gboolean
sp_engine_log_init(struct sp_engine_log *log, const char *filter, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(filter, ",", -1);
    enum sp_log_level max = SP_LOG_ERROR;

    for (int i = 0; i < SP_ENGINE_LOG_CATS; i++)
        log->level[i] = SP_LOG_INFO;
    for (size_t i = 0; parts[i]; i++) {
        g_autofree char *shown = g_strdup(parts[i]);

        if (!apply_part(log, g_strstrip(parts[i]))) {
            g_set_error(error,
                        G_OPTION_ERROR,
                        G_OPTION_ERROR_BAD_VALUE,
                        "log filter: \"%s\" is not LEVEL or CATEGORY=LEVEL"
                        " (levels: error, warn, info, debug, trace)",
                        shown);
            return FALSE;
        }
    }
    for (int i = 0; i < SP_ENGINE_LOG_CATS; i++)
        max = MAX(max, log->level[i]);
    log->log = (struct sp_log){ .fn = write_line, .ctx = log, .max = max, .mask = SP_LOG_ALL };
    sp_app_log_setup(max >= SP_LOG_DEBUG  ? G_LOG_LEVEL_DEBUG
                     : max == SP_LOG_INFO ? G_LOG_LEVEL_INFO
                                          : G_LOG_LEVEL_WARNING);
    return TRUE;
}
