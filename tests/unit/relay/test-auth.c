/* SPDX-License-Identifier: Apache-2.0 */
/* Invariants R01 to R13 of spec relay 7: who is let in, and how refusals look. */
#include <string.h>

#include "engine/relay/relay-private.h"
#include "tests/support/hex.h"
#include "tests/unit/relay/server.h"

#define SALT "xf1yH4UE7IrzY4PdlTeoGnokQmZsJ6VlAeATMQQmEyY"

static struct answer
signed_allocate(struct server *s, struct client *c)
{
    uint8_t buf[1000];
    struct sp_stun_builder b = client_begin(c, buf, sizeof buf, SP_STUN_ALLOCATE);

    sp_stun_put_transport(&b, 17);
    return client_send(s, c, &b);
}

/* Vector of spec relay 1.3. */
static void
r01_vector(void)
{
    static const uint8_t txid[SP_STUN_TXID_LEN] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 };
    struct client c = client_at("192.0.2.1:4000", SALT);
    uint8_t key[SP_STUN_LONG_KEY_LEN], want[20], buf[256];
    struct sp_stun_builder b;
    struct relay_request q = { .now = NOW };
    struct server s;

    g_assert_cmpstr(c.password, ==, "+tCeEJJwnV4Zw2Q7L15KScE+eZinvJSbo05WmD6mEZw");
    b = sp_stun_build(buf, sizeof buf, SP_STUN_REQUEST, SP_STUN_ALLOCATE, txid);
    sp_stun_put_transport(&b, 17);
    sp_stun_put_family(&b, SP_STUN_ADDITIONAL_ADDRESS_FAMILY, 6);
    sp_stun_put_string(&b, SP_STUN_SOFTWARE, "snownet");
    g_strlcpy(c.nonce, "11111111-2222-4333-8444-555555555555", sizeof c.nonce);
    g_assert_cmpuint(client_sign(&c, &b), ==, 184);
    test_unhex("b5aec9ddcf031ad123f17193e1c9bc68d971274d", want, sizeof want);
    test_assert_mem(buf + 164, 20, want, sizeof want);

    server_start(&s);
    g_assert_cmpint(sp_stun_parse(sp_span(buf, 184), &q.msg), ==, 0);
    g_assert_cmpint(relay_auth_user(s.relay, &q), ==, 0);
    test_unhex("399bd14a1ae1018dd707b5cb4f53b5c1", key, sizeof key);
    test_assert_mem(q.reply.key, sizeof q.reply.key, key, sizeof key);
    g_assert_cmpint(sp_stun_check_integrity(&q.msg, sp_span(q.reply.key, 16)), ==, 0);
    server_done(&s);
}

static void
r02_expiry(void)
{
    static const struct {
        int64_t past_ns;
        unsigned code;
    } cases[] = { { -5, 0 }, { 0, 0 }, { 1, 401 }, { SP_NS_PER_SEC, 401 } };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct client c = client_at("192.0.2.1:4000", "x");
        struct answer a;
        struct server s;

        g_test_message("case %zu", i);
        server_start(&s);
        client_set_user(&c, "1700001000:x", 1700001000, "x");
        s.now = (sp_time)((int64_t)SP_SEC(1700001000 - UNIX_AT_ZERO) + cases[i].past_ns);
        a = client_allocate(&s, &c, -1, false);
        if (cases[i].code)
            assert_error(&a, cases[i].code, &c);
        else
            assert_success(&a, &c);
        server_done(&s);
    }
}

static void
r03_other_secret(void)
{
    struct client c = client_at("192.0.2.1:4000", "x"), right = c;
    struct answer a;
    struct server s;

    server_start(&s);
    c.password[0] ^= 1;
    a = client_allocate(&s, &c, -1, false);
    assert_error(&a, 401, &right);
    g_assert_cmpuint(sp_relay_get_stats(s.relay)->allocations, ==, 0);
    server_done(&s);
}

static void
r04_malformed_names(void)
{
    static const char *const names[] = {
        "foobar",
        "1:2:3",
        ":x",
        "-1:x",
        "1e9:x",
        " 1:x",
        "18446744073709551616:x",
        "+1:x",
        "01:x",
        "99999999999999999999999999:x",
        "",
        "1 :x",
        "1:\xc3\xa9:",
    };
    struct server s;

    server_start(&s);
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        struct client c = client_at("192.0.2.1:4000", "x");
        struct answer a;

        g_test_message("case %zu", i);
        g_strlcpy(c.username, names[i], sizeof c.username);
        a = signed_allocate(&s, &c);
        g_assert_cmpuint(a.n, ==, 0);
    }
    g_assert_cmpuint(sp_relay_get_stats(s.relay)->drops[SP_RELAY_DROP_BAD_USERNAME],
                     ==,
                     G_N_ELEMENTS(names));
    g_assert_true(sp_relay_next_timeout(s.relay) == SP_TIME_NEVER);
    server_done(&s);
}

static void
r04_far_future(void)
{
    static const char *const expiries[] = { "18446744073709551615", "9223372037", "0" };
    struct server s;

    server_start(&s);
    for (size_t i = 0; i < G_N_ELEMENTS(expiries); i++) {
        struct client c = client_at("192.0.2.1:4000", "x");
        g_autofree char *name = g_strdup_printf("%s:x", expiries[i]);
        struct answer a;

        client_set_user(&c, name, g_ascii_strtoull(expiries[i], NULL, 10), "x");
        c.at.port = (uint16_t)(4000 + i);
        a = client_allocate(&s, &c, -1, false);
        if (i < 2)
            assert_success(&a, &c);
        else
            assert_error(&a, 401, &c);
    }
    server_done(&s);
}

static void
name_limits(void)
{
    struct server s;
    struct answer a;

    server_start(&s);
    for (size_t n = 511; n <= 513; n++) {
        struct client c = client_at("192.0.2.1:4000", "x");
        g_autofree char *salt = g_strnfill(n - 11, 's');
        g_autofree char *name = g_strdup_printf("2145916800:%s", salt);

        client_set_user(&c, name, EXPIRY, salt);
        a = signed_allocate(&s, &c);
        if (n <= 512)
            assert_error(&a, 401, &c);
        else
            assert_error(&a, 400, NULL);
    }
    server_done(&s);
}

static void
r06_without_integrity(void)
{
    struct client c = client_at("192.0.2.1:4000", "x");
    struct answer a;
    struct server s;

    server_start(&s);
    for (int with_user = 0; with_user < 2; with_user++) {
        uint8_t buf[500];
        struct sp_stun_builder b = client_begin(&c, buf, sizeof buf, SP_STUN_ALLOCATE);

        sp_stun_put_transport(&b, 17);
        if (with_user)
            sp_stun_put_string(&b, SP_STUN_USERNAME, c.username);
        a = send_bytes(&s, &c.at, buf, (size_t)sp_stun_finish(&b));
        assert_error(&a, 401, with_user ? &c : NULL);
    }
    server_done(&s);
}

static void
r06_bad_nonce(void)
{
    static const struct {
        const char *nonce;
        unsigned code;
    } cases[] = {
        { "hello", 401 },
        { "11111111-2222-4333-8444-55555555555", 401 },
        { "11111111-2222-4333-8444-555555555555", 438 },
        { "11111111222243338444555555555555", 438 },
    };
    struct server s;

    server_start(&s);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct client c = client_at("192.0.2.1:4000", "x");
        struct answer a;

        g_strlcpy(c.nonce, cases[i].nonce, sizeof c.nonce);
        a = signed_allocate(&s, &c);
        assert_error(&a, cases[i].code, &c);
    }
    server_done(&s);
}

static void
r07_first_retry(void)
{
    struct client c = client_at("192.0.2.1:4000", "x");
    struct answer a;
    struct server s;

    server_start(&s);
    a = signed_allocate(&s, &c);
    assert_error(&a, 401, &c);
    a = signed_allocate(&s, &c);
    assert_success(&a, &c);
    server_done(&s);
}

static void
r09_unknown_nonce_first(void)
{
    struct client wrong = client_at("192.0.2.1:4000", "x"), right = wrong;
    struct client old = client_at("192.0.2.1:4000", "x");
    struct answer a;
    struct server s;

    server_start(&s);
    g_strlcpy(wrong.nonce, "11111111-2222-4333-8444-555555555555", sizeof wrong.nonce);
    wrong.password[5] ^= 1;
    a = signed_allocate(&s, &wrong);
    assert_error(&a, 438, &right);
    client_set_user(&old, "1000:x", 1000, "x");
    g_strlcpy(old.nonce, "11111111-2222-4333-8444-555555555555", sizeof old.nonce);
    a = signed_allocate(&s, &old);
    assert_error(&a, 438, &old);
    server_done(&s);
}

static void
r10_nonce_belongs_to_socket(void)
{
    struct client a = client_at("192.0.2.1:4000", "x"), b = client_at("192.0.2.1:4001", "x");
    struct answer r;
    char first[64];
    struct server s;

    server_start(&s);
    signed_allocate(&s, &a);
    g_strlcpy(first, a.nonce, sizeof first);
    a.nonce[0] = '\0';
    signed_allocate(&s, &a);
    g_assert_cmpstr(a.nonce, ==, first);
    signed_allocate(&s, &b);
    g_assert_cmpstr(b.nonce, !=, first);
    g_strlcpy(b.nonce, first, sizeof b.nonce);
    r = signed_allocate(&s, &b);
    assert_error(&r, 438, &b);
    server_done(&s);
}

/* Without allocation a nonce lives for one to two epochs and leaves no trace. */
static void
nonce_epochs(void)
{
    struct client c = client_at("192.0.2.1:4000", "x");
    struct answer a;
    struct server s;

    server_start(&s);
    signed_allocate(&s, &c);
    server_pass(&s, SP_RELAY_NONCE_EPOCH);
    a = client_permit(&s, &c, "192.0.2.9:1");
    assert_success(&a, &c);
    server_pass(&s, SP_RELAY_NONCE_EPOCH);
    a = signed_allocate(&s, &c);
    assert_error(&a, 438, &c);
    server_done(&s);
}

static void
r11_nonce_uses(void)
{
    struct client c = client_at("192.0.2.1:4000", "x");
    char before[64];
    struct answer a;
    struct server s;

    server_start(&s);
    a = client_allocate(&s, &c, -1, false); /* use 1 */
    assert_success(&a, &c);
    g_strlcpy(before, c.nonce, sizeof before);
    for (int i = 2; i <= SP_RELAY_NONCE_USES; i++) {
        uint8_t buf[500];
        struct sp_stun_builder b = client_begin(&c, buf, sizeof buf, SP_STUN_REFRESH);

        a = client_send(&s, &c, &b);
        g_assert_cmpint(a.msg.cls, ==, SP_STUN_SUCCESS);
    }
    a = signed_allocate(&s, &c);
    assert_error(&a, 438, &c);
    g_assert_cmpstr(c.nonce, !=, before);
    a = client_refresh(&s, &c, -1);
    assert_success(&a, &c);
    server_done(&s);
}

static void
r12_spoofed_sources(void)
{
    struct client holder = client_at("192.0.2.1:4000", "holder");
    struct answer a;
    struct server s;

    server_start(&s);
    a = client_allocate(&s, &holder, -1, false);
    assert_success(&a, &holder);
    for (int i = 0; i < 100000; i++) {
        struct client c = client_at("203.0.113.1:1", "x");
        uint8_t buf[300];
        struct sp_stun_builder b = client_begin(&c, buf, sizeof buf, SP_STUN_ALLOCATE);

        c.at.ip.b[3] = (uint8_t)(i >> 15);
        c.at.port = (uint16_t)(1 + (i & 0x7fff));
        sp_stun_put_transport(&b, 17);
        a = send_bytes(&s, &c.at, buf, (size_t)sp_stun_finish(&b));
        g_assert_cmpuint(a.n, >, 0);
    }
    g_assert_cmpuint(s.relay->by_client.len, ==, 1);
    g_assert_cmpuint(s.relay->by_user.len, ==, 1);
    g_assert_cmpuint(s.relay->heap.n, ==, 1);
    g_assert_cmpuint(s.pool.allocated, ==, 1);
    a = client_refresh(&s, &holder, -1);
    assert_success(&a, &holder);
    server_done(&s);
}

static void
rate_limit(void)
{
    struct server s = { 0 };
    struct sp_relay_config config = server_config(&s, 10);
    struct client c = client_at("192.0.2.1:4000", "x"), other = client_at("192.0.2.2:1", "y");
    unsigned answered = 0;
    uint8_t buf[100];
    struct sp_stun_builder b = client_begin(&c, buf, sizeof buf, SP_STUN_BINDING);
    size_t n = (size_t)sp_stun_finish(&b);
    struct answer a;

    config.rate = 50;
    config.burst = 100;
    server_init(&s, &config);
    for (int i = 0; i < 1000; i++)
        answered += send_bytes(&s, &c.at, buf, n).n > 0;
    g_assert_cmpuint(answered, ==, 100);
    g_assert_cmpuint(send_bytes(&s, &other.at, buf, n).n, >, 0);
    s.now += SP_SEC(1);
    for (int i = 0; i < 1000; i++)
        answered += send_bytes(&s, &c.at, buf, n).n > 0;
    g_assert_cmpuint(answered, ==, 150);
    a = client_allocate(&s, &c, -1, false); /* signed: not limited */
    assert_success(&a, &c);
    g_assert_cmpuint(send_bytes(&s, &c.at, buf, n).n, >, 0);
    server_done(&s);
}

static void
static_account(void)
{
    struct server s = { 0 };
    struct sp_relay_config config = server_config(&s, 10);
    struct client c = client_at("192.0.2.1:4000", "x");
    struct answer a;

    config.static_user = "user";
    config.static_password = "pw";
    server_init(&s, &config);
    g_strlcpy(c.username, "user", sizeof c.username);
    g_strlcpy(c.password, "pw", sizeof c.password);
    a = client_allocate(&s, &c, -1, false);
    assert_success(&a, &c);
    c.password[0] = 'q';
    a = client_refresh(&s, &c, 0);
    g_assert_cmpuint(sp_relay_get_stats(s.relay)->allocations, ==, 1);
    server_done(&s);
}

static void
configurations(void)
{
    static const struct sp_cidr nets[SP_RELAY_DENY_MAX + 1];
    struct server s = { 0 };
    struct sp_relay_config good = server_config(&s, 10), c;

    c = good;
    c.public4 = c.public6 = (struct sp_ip){ 0 };
    g_assert_null(sp_relay_new(&c));
    c = good;
    c.stamp_secret = "";
    g_assert_null(sp_relay_new(&c));
    c = good;
    c.port_first = 5, c.port_last = 4;
    g_assert_null(sp_relay_new(&c));
    c = good;
    c.static_user = "x";
    g_assert_null(sp_relay_new(&c));
    c = good;
    c.channel_last = 0x8000;
    g_assert_null(sp_relay_new(&c));
    c = good;
    c.deny = nets;
    c.n_deny = G_N_ELEMENTS(nets);
    g_assert_null(sp_relay_new(&c));
    g_assert_null(sp_relay_free(NULL));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/relay/auth/r01-vector", r01_vector);
    g_test_add_func("/relay/auth/r02-expiry", r02_expiry);
    g_test_add_func("/relay/auth/r03-other-secret", r03_other_secret);
    g_test_add_func("/relay/auth/r04-malformed-names", r04_malformed_names);
    g_test_add_func("/relay/auth/r04-far-future", r04_far_future);
    g_test_add_func("/relay/auth/name-limits", name_limits);
    g_test_add_func("/relay/auth/r06-without-integrity", r06_without_integrity);
    g_test_add_func("/relay/auth/r06-bad-nonce", r06_bad_nonce);
    g_test_add_func("/relay/auth/r07-first-retry", r07_first_retry);
    g_test_add_func("/relay/auth/r09-unknown-nonce-first", r09_unknown_nonce_first);
    g_test_add_func("/relay/auth/r10-nonce-of-socket", r10_nonce_belongs_to_socket);
    g_test_add_func("/relay/auth/nonce-epochs", nonce_epochs);
    g_test_add_func("/relay/auth/r11-nonce-uses", r11_nonce_uses);
    g_test_add_func("/relay/auth/r12-spoofed-sources", r12_spoofed_sources);
    g_test_add_func("/relay/auth/rate-limit", rate_limit);
    g_test_add_func("/relay/auth/static-account", static_account);
    g_test_add_func("/relay/auth/configurations", configurations);
    return g_test_run();
}
