/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>

#include "engine/dns/servers.h"
#include "tests/support/rng.h"

static struct sp_ip
ip_of(const char *text)
{
    struct sp_ip ip;

    g_assert_cmpint(sp_ip_parse(text, &ip), ==, 0);
    return ip;
}

static void
is_sentinel(const struct sp_dns_servers *s, size_t i, const char *want)
{
    char text[SP_IP_STR_MAX];

    g_assert_cmpuint(i, <, s->n);
    g_assert_cmpstr(sp_ip_format(&s->map[i].sentinel, text), ==, want);
    g_assert_true(sp_dns_is_sentinel(&s->map[i].sentinel));
    g_assert_true(sp_dns_servers_find(s, &s->map[i].sentinel) == &s->map[i].upstream);
}

static void
chooses_in_order(void)
{
    struct sp_ip system[] = { ip_of("192.0.2.1"), ip_of("2001:db8::1") };
    struct sp_ip portal[] = { ip_of("198.51.100.1"), ip_of("198.51.100.1") };
    struct sp_interface config = { 0 };
    struct sp_dns_servers s;

    sp_dns_servers_init(&s);
    g_assert_true(sp_dns_servers_set_system(&s, system, 2));
    g_assert_cmpuint(s.n, ==, 2);
    is_sentinel(&s, 0, "100.100.111.1");
    is_sentinel(&s, 1, "fd00:2021:1111:8000:100:100:111:0");
    g_assert_false(sp_dns_servers_may_tunnel(&s, &s.map[0].upstream));

    sp_strv_add(&config.upstream_doh, "https://dns.example/dns-query");
    sp_strv_add(&config.upstream_doh, "http://dns.example/dns-query");
    g_assert_true(sp_dns_servers_set_portal(&s, &config));
    g_assert_cmpuint(s.n, ==, 1);
    g_assert_cmpint(s.map[0].upstream.kind, ==, SP_DNS_DOH);
    is_sentinel(&s, 0, "100.100.111.2");
    g_assert_false(sp_dns_servers_may_tunnel(&s, &s.map[0].upstream));

    config.upstream_do53 = portal;
    config.n_upstream_do53 = 2;
    g_assert_true(sp_dns_servers_set_portal(&s, &config));
    g_assert_cmpuint(s.n, ==, 1);
    g_assert_cmpint(s.map[0].upstream.kind, ==, SP_DNS_DO53);
    is_sentinel(&s, 0, "100.100.111.1");
    g_assert_true(sp_dns_servers_may_tunnel(&s, &s.map[0].upstream));
    g_assert_false(sp_dns_servers_set_system(&s, system, 1)); /* not in use */
    sp_strv_done(&config.upstream_doh);
    sp_dns_servers_done(&s);
}

static void
reorder_is_no_change(void)
{
    struct sp_ip one[] = { ip_of("192.0.2.1"), ip_of("192.0.2.2") };
    struct sp_ip two[] = { ip_of("192.0.2.2"), ip_of("192.0.2.1"), ip_of("192.0.2.2") };
    struct sp_ip three[] = { ip_of("192.0.2.2"), ip_of("192.0.2.3") };
    struct sp_dns_servers s;

    sp_dns_servers_init(&s);
    g_assert_true(sp_dns_servers_set_system(&s, one, 2));
    g_assert_false(sp_dns_servers_set_system(&s, two, 3));
    is_sentinel(&s, 0, "100.100.111.1");
    g_assert_true(sp_dns_servers_set_system(&s, three, 2));
    is_sentinel(&s, 0, "100.100.111.3");
    is_sentinel(&s, 1, "100.100.111.4");
    g_assert_true(sp_dns_servers_set_system(&s, NULL, 0));
    g_assert_cmpuint(s.n, ==, 0);
    sp_dns_servers_done(&s);
}

static void
own_sentinels_are_no_servers(void)
{
    struct sp_ip ips[] = { ip_of("100.100.111.7"),
                           ip_of("fd00:2021:1111:8000:100:100:111:9"),
                           ip_of("192.0.2.1") };
    struct sp_interface config = { .upstream_do53 = ips, .n_upstream_do53 = 2 };
    struct sp_dns_servers s;

    sp_dns_servers_init(&s);
    g_assert_true(sp_dns_servers_set_system(&s, ips, 3));
    g_assert_cmpuint(s.n, ==, 1);
    g_assert_false(sp_dns_servers_set_portal(&s, &config));
    g_assert_cmpuint(s.n, ==, 1);
    sp_dns_servers_done(&s);
}

static void
urls(void)
{
    static const struct {
        const char *url;
        bool ok;
    } rows[] = {
        { "https://dns.example/dns-query", true },
        { "https://dns.example", true },
        { "HTTPS://dns.example:8443/", true },
        { "https://[2001:db8::1]:443/dns-query", true },
        { "https://[2001:db8::1]", true },
        { "http://dns.example/", false },
        { "https://", false },
        { "https:///path", false },
        { "https://:443/", false },
        { "https://a:0/", false },
        { "https://a:65536/", false },
        { "https://a:/", false },
        { "https://a/?dns=x", false },
        { "https://a/#x", false },
        { "https://user@a/", false },
        { "https://a b/", false },
        { "https://[::1", false },
        { "https://[]/", false },
        { "https://[1.2.3.4]/", false },
        { "https://[::1]x/", false },
        { "", false },
        { "h", false },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_test_message("%s", rows[i].url);
        g_assert_cmpint(sp_dns_doh_url_check(rows[i].url) == 0, ==, rows[i].ok);
    }
}

static void
never_reuses_the_previous(void)
{
    struct test_rng state;
    struct sp_rng rng = test_rng_init(&state, 31);
    struct sp_dns_servers s;

    sp_dns_servers_init(&s);
    for (int step = 0; step < 2000; step++) {
        struct sp_dns_mapping old[SP_MODEL_SERVERS_MAX];
        size_t n_old = s.n;
        struct sp_ip ips[80];
        uint32_t n = sp_rng_below(&rng, 81);

        for (size_t i = 0; i < n_old; i++)
            old[i].sentinel = s.map[i].sentinel;
        for (uint32_t i = 0; i < n; i++) {
            uint8_t b[16] = { 0x20, 1, [15] = (uint8_t)sp_rng_below(&rng, 100) };

            ips[i] = sp_rng_below(&rng, 2) ? sp_ip_from_bytes(6, b) : sp_ip4(10, 0, 0, b[15]);
        }
        if (!sp_dns_servers_set_system(&s, ips, n)) {
            g_assert_cmpuint(s.n, ==, n_old);
            continue;
        }
        for (size_t i = 0; i < s.n; i++) {
            for (size_t k = 0; k < n_old; k++)
                g_assert_false(sp_ip_equal(&s.map[i].sentinel, &old[k].sentinel));
            for (size_t k = 0; k < i; k++)
                g_assert_false(sp_ip_equal(&s.map[i].sentinel, &s.map[k].sentinel));
            g_assert_true(sp_dns_is_sentinel(&s.map[i].sentinel));
            g_assert_cmpuint(s.map[i].sentinel.family, ==, s.map[i].upstream.ip.family);
        }
    }
    sp_dns_servers_done(&s);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/dns/servers/chooses-in-order", chooses_in_order);
    g_test_add_func("/dns/servers/reorder", reorder_is_no_change);
    g_test_add_func("/dns/servers/own-sentinels", own_sentinels_are_no_servers);
    g_test_add_func("/dns/servers/urls", urls);
    g_test_add_func("/dns/servers/never-reuses", never_reuses_the_previous);
    return g_test_run();
}
