/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>
#include <string.h>

#include "engine/control/json.h"
#include "tests/support/hex.h"

static void
strings(void)
{
    static const struct {
        const char *in;
        const char *out; /* NULL: refused */
    } cases[] = {
        { "\"\"", "" },
        { "\"abc\"", "abc" },
        { " \"abc\"", "abc" },
        { "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t" },
        { "\"\\u0041\\u00e9\\u20AC\"", "A\xc3\xa9\xe2\x82\xac" },
        { "\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80" },
        { "\"\xc3\xa9\"", "\xc3\xa9" },
        { "\"\xf0\x9f\x98\x80\"", "\xf0\x9f\x98\x80" },
        { "\"\\u0000\"", NULL },
        { "\"\\ud83d\"", NULL },
        { "\"\\ud83d\\u0041\"", NULL },
        { "\"\\ude00\"", NULL },
        { "\"\\u00g0\"", NULL },
        { "\"\\u00", NULL },
        { "\"\\x\"", NULL },
        { "\"\\", NULL },
        { "\"a\nb\"", NULL },
        { "\"abc", NULL },
        { "abc", NULL },
        { "\"\x80\"", NULL },
        { "\"\xc0\x80\"", NULL },
        { "\"\xc3\"", NULL },
        { "\"\xe0\x80\x80\"", NULL },
        { "\"\xed\xa0\x80\"", NULL },
        { "\"\xf4\x90\x80\x80\"", NULL },
        { "\"\xf8\x88\x80\x80\x80\"", NULL },
        { "\"123456789012345\"", "123456789012345" },
        { "\"1234567890123456\"", NULL }, /* does not fit */
    };

    for (size_t i = 0; i < SP_ARRAY_SIZE(cases); i++) {
        struct sp_json j = sp_json(sp_span(cases[i].in, strlen(cases[i].in)));
        char out[16];

        g_test_message("case %zu", i);
        sp_json_string(&j, out, sizeof out);
        g_assert_cmpint(sp_json_end(&j), ==, cases[i].out != NULL);
        g_assert_cmpstr(out, ==, cases[i].out ? cases[i].out : "");
    }
}

/* RFC 8259 grammar by example, through the skipper. */
static void
grammar(void)
{
    static const struct {
        const char *in;
        bool ok;
    } cases[] = {
        { "{}", true },
        { "[]", true },
        { "[1]", true },
        { "[1,2]", true },
        { "[1 2]", false },
        { "[1,]", false },
        { "[,1]", false },
        { "{\"a\":1}", true },
        { "{\"a\" 1}", false },
        { "{a:1}", false },
        { "{\"a\":1,}", false },
        { "{\"a\":1 \"b\":2}", false },
        { "0", true },
        { "-0", true },
        { "01", false },
        { "1.5", true },
        { "1.", false },
        { ".5", false },
        { "1e9", true },
        { "1E-9", true },
        { "1e", false },
        { "+1", false },
        { "--1", false },
        { "true", true },
        { "tru", false },
        { "truee", false },
        { "null", true },
        { "nulL", false },
        { "", false },
        { " ", false },
        { "[", false },
        { "]", false },
        { "{", false },
        { "{\"a\":", false },
        { "[[]", false },
        { "[]]", false },
        { "{\"a\":[{}]}", true },
        { "[{},{\"b\":[]},3]", true },
    };

    for (size_t i = 0; i < SP_ARRAY_SIZE(cases); i++) {
        struct sp_json j = sp_json(sp_span(cases[i].in, strlen(cases[i].in)));

        g_test_message("%s", cases[i].in);
        sp_json_skip(&j);
        g_assert_cmpint(sp_json_end(&j), ==, cases[i].ok);
    }
}

static void
depth(void)
{
    for (int n = 1; n < 100; n++) {
        char text[256] = { 0 };
        struct sp_json j;

        memset(text, '[', (size_t)n);
        memset(text + n, ']', (size_t)n);
        j = sp_json(sp_span(text, (size_t)n * 2));
        sp_json_skip(&j);
        g_assert_cmpint(sp_json_end(&j), ==, n <= SP_JSON_DEPTH);
    }
}

static void
writes(void)
{
    uint8_t buf[64];
    struct sp_wr w = sp_wr(buf, sizeof buf);

    sp_json_put_string(&w, "a\"\\\n\x1f\xc3\xa9");
    g_assert_true(sp_wr_ok(&w));
    test_assert_mem(buf, sp_wr_len(&w), "\"a\\\"\\\\\\u000a\\u001f\xc3\xa9\"", 21);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/control/json/strings", strings);
    g_test_add_func("/control/json/grammar", grammar);
    g_test_add_func("/control/json/depth", depth);
    g_test_add_func("/control/json/writes", writes);
    return g_test_run();
}
