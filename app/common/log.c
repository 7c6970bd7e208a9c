/* SPDX-License-Identifier: Apache-2.0 */
#include "app/common/log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct log_setup {
    GLogLevelFlags level;
    bool journal;
};

/* Debug output of libraries says nothing to our users, and what it holds is not ours to vouch for. */
static bool
is_foreign_chatter(GLogLevelFlags level, const GLogField *fields, gsize n_fields)
{
    if ((level & G_LOG_LEVEL_MASK) < G_LOG_LEVEL_DEBUG)
        return false;
    for (gsize i = 0; i < n_fields; i++)
        if (strcmp(fields[i].key, "GLIB_DOMAIN") == 0)
            return strcmp(fields[i].value, "sallyport") != 0;
    return false; /* our own lines without a domain */
}

static GLogWriterOutput
write_message(GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer data)
{
    const struct log_setup *setup = data;

    if ((level & G_LOG_LEVEL_MASK) > setup->level || is_foreign_chatter(level, fields, n_fields))
        return G_LOG_WRITER_HANDLED;
    if (setup->journal
        && g_log_writer_journald(level, fields, n_fields, NULL) == G_LOG_WRITER_HANDLED)
        return G_LOG_WRITER_HANDLED;
    /* The stock stream writer splits levels over stdout and stderr; stdout is for results. */
    g_autofree char *line = g_log_writer_format_fields(level, fields, n_fields, FALSE);
    fprintf(stderr, "%s\n", line);
    return G_LOG_WRITER_HANDLED;
}

void
sp_app_log_setup(GLogLevelFlags level)
{
    static struct log_setup setup;

    setup.level = level;
    setup.journal = g_log_writer_is_journald(STDERR_FILENO);
    g_log_set_writer_func(write_message, &setup, NULL);
}

bool
sp_app_log_parse_level(const char *text, GLogLevelFlags *ret_level)
{
    static const struct {
        const char *name;
        GLogLevelFlags level;
    } levels[] = {
        { "error", G_LOG_LEVEL_CRITICAL },
        { "warning", G_LOG_LEVEL_WARNING },
        { "info", G_LOG_LEVEL_INFO },
        { "debug", G_LOG_LEVEL_DEBUG },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(levels); i++) {
        if (g_strcmp0(text, levels[i].name) == 0) {
            *ret_level = levels[i].level;
            return true;
        }
    }
    return false;
}
