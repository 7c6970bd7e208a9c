/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>

#include "app/cli/output.h"

#define S  G_GUINT64_CONSTANT(1000000)
#define RC "\357\277\275" /* the replacement character */

static const struct {
    const char *in, *out;
} printable[] = {
    { "plain", "plain" },
    { NULL, "" },
    { "two\nlines", "two\nlines" },
    { "red \033[31m", "red " RC "[31m" },
    { "title \033]0;x\a", "title " RC "]0;x" RC },
    { "back\b\r", "back" RC RC },
    { "tab\t.", "tab" RC "." },
    { "C1 \302\233"
      "31m",
      "C1 " RC "31m" },
    { "delete \177", "delete " RC },
    { "turn \342\200\256 gnp", "turn " RC " gnp" },
    { "isolate \342\201\246", "isolate " RC },
    { "mark \342\200\217", "mark " RC },
    { "bad \377 byte", "bad " RC " byte" },
    { "\303\244\346\227\245", "\303\244\346\227\245" },
};

static void
test_printable(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(printable); i++) {
        g_autofree char *out = sp_cli_printable(printable[i].in);

        g_test_message("%u", i);
        g_assert_cmpstr(out, ==, printable[i].out);
    }
}

static void
test_table(void)
{
    static const char *const headings[] = { "NAME", "ADDRESS", "X", NULL };
    struct sp_cli_table t;
    g_autofree char *text = NULL, *bold = NULL;

    sp_cli_table_init(&t, headings);
    sp_cli_table_add(&t, "Wiki");
    sp_cli_table_add(&t, "*.wiki.example");
    sp_cli_table_add(&t, "1");
    sp_cli_table_add(&t, "\346\227\245\346\234\254"); /* two wide characters */
    sp_cli_table_add(&t, "");
    sp_cli_table_add(&t, NULL);
    sp_cli_table_add(&t, "e\314\201t\303\251"); /* a combining accent takes no column */
    sp_cli_table_add(&t, "a\nb");
    sp_cli_table_add(&t, "2");
    text = sp_cli_table_format(&t, FALSE);
    g_assert_cmpstr(text,
                    ==,
                    "NAME  ADDRESS         X\n"
                    "Wiki  *.wiki.example  1\n"
                    "\346\227\245\346\234\254  -               -\n"
                    "e\314\201t\303\251   a b             2\n");
    bold = sp_cli_table_format(&t, TRUE);
    g_assert_true(g_str_has_prefix(bold, "\033[1mNAME  ADDRESS         X\033[0m\nWiki"));
    sp_cli_table_done(&t);
}

static void
test_fields(void)
{
    const char *const pairs[] = { "State", "up",      "Reason", NULL, "Longer than all", "", "Site",
                                  "HQ",    "Address", "a\nb",   NULL };
    g_autofree char *text = sp_cli_format_fields(pairs);

    g_assert_cmpstr(text,
                    ==,
                    "State:    up\n"
                    "Site:     HQ\n"
                    "Address:  a b\n");
}

static const struct {
    guint64 then, now;
    const char *text;
} ages[] = {
    { 0, 100 * S, "-" },          { 100 * S, 100 * S, "0 s" },   { 200 * S, 100 * S, "0 s" },
    { 100 * S, 159 * S, "59 s" }, { 100 * S, 160 * S, "1 min" }, { 100 * S, 3699 * S, "59 min" },
    { 100 * S, 3700 * S, "1 h" }, { 1 * S, 172800 * S, "47 h" }, { 1 * S, 172801 * S, "2 d" },
};

static void
test_age(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(ages); i++) {
        g_autofree char *text = sp_cli_format_age(ages[i].then, ages[i].now);

        g_test_message("%u", i);
        g_assert_cmpstr(text, ==, ages[i].text);
    }
}

static const struct {
    guint64 bytes;
    const char *text;
} sizes[] = {
    { 0, "0 B" },
    { 1023, "1023 B" },
    { 1024, "1.0 KiB" },
    { 1536, "1.5 KiB" },
    { 1048575, "1.0 MiB" },
    { 20971520, "20.0 MiB" },
    { G_MAXUINT64, "16.0 EiB" },
};

static void
test_bytes(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autofree char *text = sp_cli_format_bytes(sizes[i].bytes);

        g_assert_cmpstr(text, ==, sizes[i].text);
    }
}

static void
test_times(void)
{
    static const struct {
        guint64 us;
        const char *text;
    } rtts[] = { { 0, "-" }, { 850, "0.8 ms" }, { 9999, "9.9 ms" }, { 23456, "23 ms" } };
    g_autofree char *unset = sp_cli_format_time(0);
    g_autofree char *set = sp_cli_format_time(1767225599 * S);
    g_autofree char *absurd = sp_cli_format_time(G_MAXUINT64);

    for (guint i = 0; i < G_N_ELEMENTS(rtts); i++) {
        g_autofree char *text = sp_cli_format_rtt(rtts[i].us);

        g_assert_cmpstr(text, ==, rtts[i].text);
    }
    g_assert_null(unset);
    g_assert_cmpstr(set, ==, "2025-12-31T23:59:59Z");
    g_assert_null(absurd);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cli/output/printable", test_printable);
    g_test_add_func("/cli/output/table", test_table);
    g_test_add_func("/cli/output/fields", test_fields);
    g_test_add_func("/cli/output/age", test_age);
    g_test_add_func("/cli/output/bytes", test_bytes);
    g_test_add_func("/cli/output/times", test_times);
    return g_test_run();
}
