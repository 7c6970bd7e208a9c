/* SPDX-License-Identifier: Apache-2.0 */
#include "app/cli/output.h"

#include <stdlib.h>
#include <unistd.h>

static gboolean
is_hostile(gunichar c)
{
    switch (c) {
    case '\n':
        return FALSE;
    case 0x200e:
    case 0x200f:
    case 0x2028:
    case 0x2029:
        return TRUE;
    default:
        return g_unichar_iscntrl(c) || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
    }
}

char *
sp_cli_printable(const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text ? text : "", -1);
    GString *out = g_string_new(NULL);

    for (const char *p = valid; *p; p += g_utf8_skip[(guchar)*p]) {
        gunichar c = g_utf8_get_char(p);

        g_string_append_unichar(out, is_hostile(c) ? 0xfffd : c);
    }
    return g_string_free(out, FALSE);
}

guint
sp_cli_width(const char *text)
{
    guint width = 0;

    for (const char *p = text; *p; p += g_utf8_skip[(guchar)*p]) {
        gunichar c = g_utf8_get_char(p);

        if (g_unichar_iszerowidth(c))
            continue;
        width += g_unichar_iswide(c) ? 2 : 1;
    }
    return width;
}

void
sp_cli_table_init(struct sp_cli_table *table, const char *const *headings)
{
    table->columns = 0;
    table->cells = g_ptr_array_new_with_free_func(g_free);
    for (; headings[table->columns]; table->columns++)
        sp_cli_table_add(table, headings[table->columns]);
}

void
sp_cli_table_add(struct sp_cli_table *table, const char *text)
{
    char *cell = sp_cli_printable(text && *text ? text : "-");

    g_strdelimit(cell, "\n", ' ');
    g_ptr_array_add(table->cells, cell);
}

static guint
column_width(const struct sp_cli_table *table, guint column)
{
    guint width = 0;

    for (guint i = column; i < table->cells->len; i += table->columns)
        width = MAX(width, sp_cli_width(g_ptr_array_index(table->cells, i)));
    return width;
}

char *
sp_cli_table_format(const struct sp_cli_table *table, gboolean bold)
{
    g_autofree guint *width = g_new0(guint, table->columns);
    GString *out = g_string_new(NULL);

    for (guint c = 0; c < table->columns; c++)
        width[c] = column_width(table, c);
    for (guint i = 0; i < table->cells->len; i++) {
        const char *cell = g_ptr_array_index(table->cells, i);
        guint c = i % table->columns;
        gboolean last = c + 1 == table->columns;

        if (bold && i == 0)
            g_string_append(out, "\033[1m");
        g_string_append(out, cell);
        if (bold && i + 1 == table->columns)
            g_string_append(out, "\033[0m");
        for (guint pad = sp_cli_width(cell); !last && pad < width[c] + 2; pad++)
            g_string_append_c(out, ' ');
        if (last)
            g_string_append_c(out, '\n');
    }
    return g_string_free(out, FALSE);
}

void
sp_cli_table_print(const struct sp_cli_table *table)
{
    const char *plain = g_getenv("NO_COLOR");
    g_autofree char *text = sp_cli_table_format(table, isatty(STDOUT_FILENO) && !(plain && *plain));

    fputs(text, stdout);
}

void
sp_cli_table_done(struct sp_cli_table *table)
{
    g_clear_pointer(&table->cells, g_ptr_array_unref);
}

char *
sp_cli_format_fields(const char *const *pairs)
{
    GString *out = g_string_new(NULL);
    guint width = 0;

    for (guint i = 0; pairs[i]; i += 2)
        width = MAX(width, pairs[i + 1] && *pairs[i + 1] ? sp_cli_width(pairs[i]) : 0);
    for (guint i = 0; pairs[i]; i += 2) {
        g_autofree char *value = sp_cli_printable(pairs[i + 1]);

        if (!*value)
            continue;
        g_strdelimit(value, "\n", ' ');
        g_string_append_printf(out, "%s:", pairs[i]);
        for (guint pad = sp_cli_width(pairs[i]); pad < width + 2; pad++)
            g_string_append_c(out, ' ');
        g_string_append_printf(out, "%s\n", value);
    }
    return g_string_free(out, FALSE);
}

char *
sp_cli_format_age(guint64 then_us, guint64 now_us)
{
    guint64 s;

    if (then_us == 0)
        return g_strdup("-");
    s = now_us > then_us ? (now_us - then_us) / G_USEC_PER_SEC : 0;
    if (s < 60)
        return g_strdup_printf("%" G_GUINT64_FORMAT " s", s);
    if (s < 60 * 60)
        return g_strdup_printf("%" G_GUINT64_FORMAT " min", s / 60);
    if (s < 48 * 60 * 60)
        return g_strdup_printf("%" G_GUINT64_FORMAT " h", s / (60 * 60));
    return g_strdup_printf("%" G_GUINT64_FORMAT " d", s / (24 * 60 * 60));
}

char *
sp_cli_format_bytes(guint64 bytes)
{
    static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
    double value = (double)bytes / 1024.0;
    guint unit = 0;

    if (bytes < 1024)
        return g_strdup_printf("%" G_GUINT64_FORMAT " B", bytes);
    while (value >= 1023.95 && unit + 1 < G_N_ELEMENTS(units)) {
        value /= 1024.0;
        unit++;
    }
    return g_strdup_printf("%.1f %s", value, units[unit]);
}

char *
sp_cli_format_rtt(guint64 us)
{
    if (us == 0)
        return g_strdup("-");
    if (us < 10000)
        return g_strdup_printf("%" G_GUINT64_FORMAT ".%" G_GUINT64_FORMAT " ms",
                               us / 1000,
                               us % 1000 / 100);
    return g_strdup_printf("%" G_GUINT64_FORMAT " ms", us / 1000);
}

char *
sp_cli_format_time(guint64 us)
{
    g_autoptr(GDateTime) when = NULL;

    if (us == 0 || us / G_USEC_PER_SEC > G_MAXINT64)
        return NULL;
    when = g_date_time_new_from_unix_utc((gint64)(us / G_USEC_PER_SEC));
    return when ? g_date_time_format(when, "%Y-%m-%dT%H:%M:%SZ") : NULL;
}
