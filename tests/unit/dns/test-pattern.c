/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>

#include "engine/dns/pattern.h"
#include "tests/support/rng.h"

static bool
match(const char *pattern, const char *name)
{
    struct sp_dns_pattern p;
    struct sp_dns_name n;
    bool yes;

    g_assert_cmpint(sp_dns_pattern_init(&p, pattern), ==, 0);
    g_assert_cmpint(sp_dns_name_parse(name, &n), ==, 0);
    yes = sp_dns_pattern_match(&p, &n);
    sp_dns_pattern_done(&p);
    return yes;
}

static void
vectors(void)
{
    /* Rows 1..16: spec tunnel A.2, match vectors; the rest: our own edge cases. */
    static const struct {
        int row;
        const char *pattern;
        const char *name;
        bool yes;
    } rows[] = {
        { 1, "**.example.com", "example.com", true },
        { 2, "**.example.com", "foo.example.com", true },
        { 3, "**.example.com", "a.b.example.com", true },
        { 4, "*.example.com", "foo.example.com", true },
        { 5, "*.example.com", "example.com", true },
        { 6, "*.example.com", "a.b.example.com", false },
        { 7, "foo.*.example.com", "foo.bar.example.com", true },
        { 8, "app.**.example.com", "app.bar.foo.example.com", true },
        { 9, "app.**.example.com", "app.example.com", true },
        { 10, "app.*.*.example.com", "app.a.b.example.com", true },
        { 11, "app.f??.example.com", "app.foo.example.com", true },
        { 12, "*?*.example.com", "app.example.com", true },
        { 13, "app.**.web.**.example.com", "app.web.example.com", true },
        { 14, "app.*.example.com", "app.foo.bar.example.com", false },
        { 15, "app.*com", "app.foo.com", false },
        { 16, "app?com", "app.com", false },
        { 17, "example.com", "EXAMPLE.com", true },
        { 18, "ExAmple.COM", "example.com", true },
        { 19, "*.ExAmple.COM", "eXample.com", true },
        { 20, "*.*.com", "example.com", false },
        { 21, "*.*.com", "a.example.com", true },
        { 22, "*.example.com", "xexample.com", false },
        { 23, "example.com", "example.com.evil", false },
        { 24, "example.com", "example.co", false },
        { 25, "example.**", "example", false },
        { 26, "example.**", "example.com", true },
        { 27, "example.**", "example.co.uk", true },
        { 28, "**.a.**", "x.a", false },
        { 29, "**.a.**", "x.a.y", true },
        { 30, "**", "x", true },
        { 31, "**", "x.y.z", true },
        { 32, "**.**", "x", true },
        { 33, "**.**.com", "com", true },
        { 34, "[a-c]x.com", "bx.com", true },
        { 35, "[a-c]x.com", "BX.com", true },
        { 36, "[A-C]x.com", "bx.com", true },
        { 37, "[a-c]x.com", "dx.com", false },
        { 38, "[!a-c]x.com", "dx.com", true },
        { 39, "[!a-c]x.com", "ax.com", false },
        { 40, "[a.b]x.com", "bx.com", true },
        { 41, "[]]x.com", "ax.com", false },
        { 42, "[x-].com", "-.com", true },
        { 43, "a*b*c.com", "aXbYbc.com", true },
        { 44, "a*b*c.com", "aXcYb.com", false },
        { 45, "*a*a*a*a*b.com", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.com", false },
        { 46, "*", "x", true },
        { 47, "*", "x.y", false },
        { 48, "?", "x", true },
        { 49, "?.com", "xy.com", false },
        { 50, "*.com", "com", true },
        { 51, "*.com", "x\\.y.com", false }, /* a dot inside a label: never */
        { 52, "*.com", "x\\007.com", false },
        { 53, "**", ".", false },
        { 54, "*.[a]", "[a]", true }, /* remainder as text */
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (match(rows[i].pattern, rows[i].name) != rows[i].yes)
            g_error("row %d: %s against %s", rows[i].row, rows[i].pattern, rows[i].name);
    }
}

static void
refuses(void)
{
    static const char *const bad[] = {
        "",        "***",         "a.***.b", "a**.com",      "**a.com", "a.b**",    "x.[a.com",
        "x.[].co", "[!].example", ".com",    "example.com.", "a..b",    "*.",       ".",
        "****",    "[a-z",        "[",       "[!",           "a.[!]",   "**.**x.a",
    };
    char longest[SP_DNS_PATTERN_MAX + 2];
    struct sp_dns_pattern p;

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        struct sp_dns_name n;

        if (sp_dns_pattern_init(&p, bad[i]) != SP_E_MALFORMED)
            g_error("accepted: %s", bad[i]);
        g_assert_cmpint(sp_dns_name_parse("a.b", &n), ==, 0);
        g_assert_false(sp_dns_pattern_match(&p, &n));
        sp_dns_pattern_done(&p);
    }
    memset(longest, 'a', sizeof longest);
    longest[SP_DNS_PATTERN_MAX + 1] = '\0';
    g_assert_cmpint(sp_dns_pattern_init(&p, longest), ==, SP_E_MALFORMED);
    longest[SP_DNS_PATTERN_MAX] = '\0';
    g_assert_cmpint(sp_dns_pattern_init(&p, longest), ==, 0);
    sp_dns_pattern_done(&p);
}

static void
order(void)
{
    /* spec tunnel A.2, the expected order of a sample */
    static const char *const sorted[] = {
        "example.com",   "bar.example.com", "*.bar.example.com", "foo.example.com", "?.example.com",
        "*.example.com", "**.example.com",  "*ample.com",        "*.com",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(sorted); i++) {
        for (size_t k = 0; k < G_N_ELEMENTS(sorted); k++) {
            int got = sp_dns_pattern_compare(sorted[i], sorted[k]);

            g_assert_cmpint((got > 0) - (got < 0), ==, (i > k) - (i < k));
        }
    }
}

/* The naive twin works on text: '.' separates, recursion tries everything. */
static bool
naive(const char *p, const char *s, bool at_label_start)
{
    if (*p == '\0')
        return *s == '\0';
    if (at_label_start && p[0] == '*' && p[1] == '*') {
        const char *rest = p + 2;

        if (*rest == '\0')
            return *s != '\0';
        rest++; /* the dot is part of the token */
        for (const char *t = s;; t++) {
            if ((t == s || t[-1] == '.') && naive(rest, t, true))
                return true;
            if (*t == '\0')
                return false;
        }
    }
    if (*p == '*') {
        for (;; s++) {
            if (naive(p + 1, s, false))
                return true;
            if (*s == '\0' || *s == '.')
                return false;
        }
    }
    if (*s == '\0' || (*p == '?' && *s == '.'))
        return false;
    return (*p == '?' || *p == *s) && naive(p + 1, s + 1, *p == '.');
}

static void
random_text(const struct sp_rng *rng, const char *const *words, uint32_t n, char *out, gsize size)
{
    uint32_t labels = 1 + sp_rng_below(rng, 4);

    *out = '\0';
    for (uint32_t i = 0; i < labels; i++) {
        if (i > 0)
            g_strlcat(out, ".", size);
        g_assert_cmpuint(g_strlcat(out, words[sp_rng_below(rng, n)], size), <, size);
    }
}

static void
agrees_with_model(void)
{
    static const char *const globs[] = { "a", "b", "ab", "*", "?", "**", "a*", "*b", "?b", "a*a" };
    static const char *const words[] = { "a", "b", "ab", "aa", "aba", "bab" };
    struct test_rng state;
    struct sp_rng rng = test_rng_init(&state, 20);
    unsigned hits = 0;

    for (int i = 0; i < 50000; i++) {
        char p[64], s[64];
        bool want;

        random_text(&rng, globs, G_N_ELEMENTS(globs), p, sizeof p);
        random_text(&rng, words, G_N_ELEMENTS(words), s, sizeof s);
        want = naive(p, s, true) || (g_str_has_prefix(p, "*.") && g_str_equal(p + 2, s));
        hits += want;
        if (match(p, s) != want)
            g_error("step %d: %s against %s", i, p, s);
    }
    g_assert_cmpuint(hits, >, 1000);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/dns/pattern/vectors", vectors);
    g_test_add_func("/dns/pattern/refuses", refuses);
    g_test_add_func("/dns/pattern/order", order);
    g_test_add_func("/dns/pattern/agrees-with-model", agrees_with_model);
    return g_test_run();
}
