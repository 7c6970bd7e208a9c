/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>

#include "engine/dns/name.h"
#include "tests/support/rng.h"

static void
text_forms(void)
{
    static const struct {
        int row;
        const char *in;
        const char *out; /* NULL: refused */
    } rows[] = {
        { 1, "example.com", "example.com" },
        { 2, "Example.COM.", "example.com" },
        { 3, ".", "." },
        { 4, "", NULL },
        { 5, "a..b", NULL },
        { 6, ".a", NULL },
        { 7, "a\\.b.c", "a\\.b.c" },
        { 8, "a\\\\b.c", "a\\\\b.c" },
        { 9, "a\\046b.c", "a\\.b.c" },
        { 10, "a\\000b", "a\\000b" },
        { 11, "a\\256", NULL },
        { 12, "a\\25", NULL },
        { 13, "a\\", NULL },
        { 14, "\\065bc", "abc" },
        { 15, "a b", "a\\032b" },
        { 16, "\xc3\xa9", "\\195\\169" },
        { 17, "_srv._tcp.x", "_srv._tcp.x" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        char text[SP_DNS_TEXT_MAX];
        struct sp_dns_name name;
        int rc = sp_dns_name_parse(rows[i].in, &name);

        g_test_message("row %d", rows[i].row);
        g_assert_cmpint(rc, ==, rows[i].out ? 0 : SP_E_MALFORMED);
        if (rc == 0)
            g_assert_cmpstr(sp_dns_name_format(&name, text), ==, rows[i].out);
    }
}

static void
limits(void)
{
    char text[400];
    char out[SP_DNS_TEXT_MAX];
    struct sp_dns_name name;

    memset(text, 'a', sizeof text);
    text[63] = '\0';
    g_assert_cmpint(sp_dns_name_parse(text, &name), ==, 0);
    text[63] = 'a';
    text[64] = '\0';
    g_assert_cmpint(sp_dns_name_parse(text, &name), ==, SP_E_MALFORMED);
    /* 3 * 64 + 62 + 1 = 255 octets */
    text[64] = 'a';
    text[63] = text[127] = text[191] = '.';
    text[253] = '\0';
    g_assert_cmpint(sp_dns_name_parse(text, &name), ==, 0);
    g_assert_cmpuint(name.len, ==, 255);
    g_assert_cmpstr(sp_dns_name_format(&name, out), ==, text);
    text[253] = 'a';
    text[254] = '\0';
    g_assert_cmpint(sp_dns_name_parse(text, &name), ==, SP_E_MALFORMED);
}

static void
longest_text_fits(void)
{
    struct sp_dns_name name = { .len = 255 };
    char out[SP_DNS_TEXT_MAX + 1];

    memset(name.wire, 1, 254);
    for (size_t at = 0; at < 192; at += 64)
        name.wire[at] = 63;
    name.wire[192] = 61;
    name.wire[254] = 0;
    memset(out, 'x', sizeof out);
    sp_dns_name_format(&name, out);
    g_assert_cmpuint(strlen(out), <, SP_DNS_TEXT_MAX);
    g_assert_cmpint(out[SP_DNS_TEXT_MAX], ==, 'x');
}

static int
read_at(const uint8_t *msg, size_t n, size_t at, struct sp_dns_name *ret, size_t *ret_end)
{
    struct sp_rd r = sp_rd(msg + at, n - at);
    int rc = sp_dns_name_read(&r, sp_span(msg, n), ret);

    *ret_end = (size_t)(r.p - msg);
    return rc;
}

static void
compression(void)
{
    /* RFC 1035 section 4.1.4: F.ISI.ARPA, FOO.F.ISI.ARPA, ARPA, root; offset 20 as there */
    static const uint8_t msg[] = {
        0,   0, 0,   0,   0,   0, 0,   0,   0,   0,   0, 0, 0,   0,   0,   0,    0,  0,    0,  0, 1,
        'F', 3, 'I', 'S', 'I', 4, 'A', 'R', 'P', 'A', 0, 3, 'F', 'O', 'O', 0xc0, 20, 0xc0, 26, 0,
    };
    static const struct {
        size_t at;
        size_t end;
        const char *text;
    } rows[] = {
        { 20, 32, "f.isi.arpa" },
        { 32, 38, "foo.f.isi.arpa" },
        { 38, 40, "arpa" },
        { 40, 41, "." },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        char text[SP_DNS_TEXT_MAX];
        struct sp_dns_name name;
        size_t end;

        g_assert_cmpint(read_at(msg, sizeof msg, rows[i].at, &name, &end), ==, 0);
        g_assert_cmpstr(sp_dns_name_format(&name, text), ==, rows[i].text);
        g_assert_cmpuint(end, ==, rows[i].end);
    }
}

static void
hostile_names(void)
{
    static const struct {
        int row;
        size_t at;
        size_t n;
        uint8_t bytes[24];
    } rows[] = {
        { 1, 12, 14, { [12] = 0xc0, 12 } },             /* to itself */
        { 2, 12, 16, { [12] = 0xc0, 14, 0xc0, 12 } },   /* forward */
        { 3, 14, 16, { [12] = 0xc0, 14, 0xc0, 12 } },   /* two that point at each other */
        { 4, 14, 16, { [14] = 0xc0, 4 } },              /* into the header */
        { 5, 12, 13, { [12] = 0xc0 } },                 /* cut pointer */
        { 6, 12, 14, { [12] = 1, 'a' } },               /* no end */
        { 7, 12, 14, { [12] = 5, 'a' } },               /* label beyond the end */
        { 8, 12, 15, { [12] = 0x41, 'a', 0 } },         /* extended label */
        { 9, 12, 15, { [12] = 0x81, 'a', 0 } },         /* reserved */
        { 10, 12, 16, { [12] = 1, 'a', 0xc0, 12 } },    /* loop through a label */
        { 11, 14, 17, { [12] = 1, 'a', 0xc0, 12, 0 } }, /* target runs into the pointer */
        { 12, 12, 12, { 0 } },                          /* nothing */
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct sp_dns_name name = { .len = 99 };
        size_t end;

        g_test_message("row %d", rows[i].row);
        g_assert_cmpint(read_at(rows[i].bytes, rows[i].n, rows[i].at, &name, &end),
                        ==,
                        SP_E_MALFORMED);
        g_assert_cmpuint(name.len, ==, 99);
    }
}

static void
pointer_chain_stays_below_255(void)
{
    /* 200 names, each one label in front of the one before: too long at some point, never a crash */
    uint8_t msg[12 + 3 + 4 * 200] = { 0 };
    size_t at = 12, last = 12, good = 0;

    msg[at] = 1;
    msg[at + 1] = 'x';
    at += 3;
    for (int i = 0; i < 200; i++) {
        struct sp_dns_name name;
        size_t end;

        msg[at] = 1;
        msg[at + 1] = 'y';
        msg[at + 2] = (uint8_t)(0xc0 | last >> 8);
        msg[at + 3] = (uint8_t)last;
        last = at;
        at += 4;
        if (read_at(msg, at, last, &name, &end) == 0) {
            g_assert_cmpuint(name.len, ==, 3 + 2 * (i + 1));
            good++;
        }
    }
    g_assert_cmpuint(good, ==, 126);
}

static void
reverse_names(void)
{
    static const struct {
        int row;
        const char *name;
        const char *ip; /* NULL: none */
    } rows[] = {
        { 1, "9.0.96.100.in-addr.arpa", "100.96.0.9" },
        { 2, "9.0.96.100.IN-ADDR.ARPA", "100.96.0.9" },
        { 3,
          "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
          "2001:db8::567:89ab" }, /* RFC 3596 section 2.5 shape */
        { 4, "9.0.96.in-addr.arpa", NULL },
        { 5, "1.9.0.96.100.in-addr.arpa", NULL },
        { 6, "256.0.96.100.in-addr.arpa", NULL },
        { 7, "09.0.96.100.in-addr.arpa", NULL },
        { 8, "x.0.96.100.in-addr.arpa", NULL },
        { 9, "0000.0.96.100.in-addr.arpa", NULL },
        { 10, "9.0.96.100.in-addr.example", NULL },
        { 11, "g.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", NULL },
        { 12, "arpa", NULL },
        { 13, ".", NULL },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        char text[SP_IP_STR_MAX];
        struct sp_dns_name name;
        struct sp_ip ip;
        int rc;

        g_test_message("row %d", rows[i].row);
        g_assert_cmpint(sp_dns_name_parse(rows[i].name, &name), ==, 0);
        rc = sp_dns_name_to_ip(&name, &ip);
        g_assert_cmpint(rc, ==, rows[i].ip ? 0 : SP_E_NOTFOUND);
        if (rc == 0) {
            struct sp_dns_name back = sp_dns_name_from_ip(&ip);

            g_assert_cmpstr(sp_ip_format(&ip, text), ==, rows[i].ip);
            g_assert_true(sp_dns_name_equal(&back, &name));
        }
    }
}

static void
domain_check(void)
{
    g_assert_cmpint(sp_dns_domain_check("app.corp.example"), ==, 0);
    g_assert_cmpint(sp_dns_domain_check("_x._tcp.corp"), ==, 0);
    g_assert_cmpint(sp_dns_domain_check("."), ==, SP_E_MALFORMED);
    g_assert_cmpint(sp_dns_domain_check(""), ==, SP_E_MALFORMED);
    g_assert_cmpint(sp_dns_domain_check("a b"), ==, SP_E_MALFORMED);
    g_assert_cmpint(sp_dns_domain_check("a\\.b"), ==, SP_E_MALFORMED);
    g_assert_cmpint(sp_dns_domain_check("../etc"), ==, SP_E_MALFORMED);
    g_assert_cmpint(sp_dns_domain_check("a/b"), ==, SP_E_MALFORMED);
}

static void
round_trip(void)
{
    struct test_rng state;
    struct sp_rng rng = test_rng_init(&state, 21);

    for (int i = 0; i < 5000; i++) {
        struct sp_dns_name name = { 0 }, again, low;
        char text[SP_DNS_TEXT_MAX];
        uint32_t labels = 1 + sp_rng_below(&rng, 6);

        for (uint32_t k = 0; k < labels; k++) {
            uint8_t n = (uint8_t)(1 + sp_rng_below(&rng, 30));

            name.wire[name.len++] = n;
            sp_rng_fill(&rng, name.wire + name.len, n);
            name.len = (uint8_t)(name.len + n);
        }
        name.len++;
        g_assert_cmpint(sp_dns_name_parse(sp_dns_name_format(&name, text), &again), ==, 0);
        low = sp_dns_name_lower(&name);
        g_assert_cmpmem(&again, sizeof again, &low, sizeof low);
        g_assert_true(sp_dns_name_equal(&again, &name));
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/dns/name/text-forms", text_forms);
    g_test_add_func("/dns/name/limits", limits);
    g_test_add_func("/dns/name/longest-text-fits", longest_text_fits);
    g_test_add_func("/dns/name/compression", compression);
    g_test_add_func("/dns/name/hostile", hostile_names);
    g_test_add_func("/dns/name/pointer-chain", pointer_chain_stays_below_255);
    g_test_add_func("/dns/name/reverse", reverse_names);
    g_test_add_func("/dns/name/domain-check", domain_check);
    g_test_add_func("/dns/name/round-trip", round_trip);
    return g_test_run();
}
