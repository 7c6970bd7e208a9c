/* SPDX-License-Identifier: Apache-2.0 */
/* Text for a terminal: tables, times, sizes, and safe printing of names that come from elsewhere.
 * Pure but for sp_cli_table_print(). Thread: any. */
#pragma once

#include <stdio.h>

#include <glib.h>

/** struct sp_cli_table - cells by row; @columns cells make a row, the first row is the heading */
struct sp_cli_table {
    guint columns;
    GPtrArray *cells;
};

/** sp_cli_printable() - copy of @text in which control characters, bidirectional overrides and
 * bytes that are no UTF-8 are replaced: a resource name must not drive the terminal */
char *sp_cli_printable(const char *text);
/** sp_cli_width() - columns that @text (UTF-8) takes on a terminal */
guint sp_cli_width(const char *text);

/** sp_cli_table_init() - @headings: NULL-terminated; sets the number of columns */
void sp_cli_table_init(struct sp_cli_table *table, const char *const *headings);
/** sp_cli_table_add() - the next cell; empty and NULL become "-" */
void sp_cli_table_add(struct sp_cli_table *table, const char *text);
/** sp_cli_table_format() - lines with columns two spaces apart, no space at their ends
 * @bold: heading in bold face, for a terminal */
char *sp_cli_table_format(const struct sp_cli_table *table, gboolean bold);
/** sp_cli_table_print() - to stdout; bold only on a terminal that has no NO_COLOR */
void sp_cli_table_print(const struct sp_cli_table *table);
void sp_cli_table_done(struct sp_cli_table *table);

/** sp_cli_format_fields() - "Label:  value" lines from pairs of label and value, NULL-terminated;
 * pairs with an empty or NULL value are left out */
char *sp_cli_format_fields(const char *const *pairs);
/** sp_cli_format_age() - "12 s", "3 min", "2 h", "5 d" between two times in us; "-" when unset */
char *sp_cli_format_age(guint64 then_us, guint64 now_us);
/** sp_cli_format_bytes() - "512 B", "1.5 KiB", "20.0 MiB" */
char *sp_cli_format_bytes(guint64 bytes);
/** sp_cli_format_rtt() - "0.8 ms", "23 ms"; "-" when 0 */
char *sp_cli_format_rtt(guint64 us);
/** sp_cli_format_time() - RFC 3339 in UTC with seconds; NULL when @us is 0 */
char *sp_cli_format_time(guint64 us);
