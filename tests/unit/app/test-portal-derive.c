/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>
#include <string.h>

#include <sodium.h>

#include "app/portal/derive.h"

static const uint8_t base_c[32] = { [0 ... 31] = 0xaa };
static const uint8_t base_g[32] = { [0 ... 31] = 0xbb };

/* Spec portal-protocol section 10. */
static const struct sp_cp_peer client = {
    .id = "11111111-1111-4111-8111-111111111111",
    .public_key = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
    .psk_base = base_c,
};
static const struct sp_cp_peer gateway = {
    .id = "22222222-2222-4222-8222-222222222222",
    .public_key = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=",
    .psk_base = base_g,
};
static const char stamp[] = "00000000000000000000000000000000000000000000000000000000000000ff";

static void
ice_matches_vectors(void)
{
    /* Spec connectivity 3.1. */
    static const struct sp_cp_peer a = { "11111111-1111-1111-1111-111111111111", "AAAA", NULL };
    static const struct sp_cp_peer b = { "22222222-2222-2222-2222-222222222222", "BBBB", NULL };
    struct sp_cp_ice ice;

    sp_cp_derive_ice(&client, &gateway, &ice);
    g_assert_cmpstr(ice.client_ufrag, ==, "eokn");
    g_assert_cmpstr(ice.client_pwd, ==, "5enp7ct6775ebzonvunxjy");
    g_assert_cmpstr(ice.gateway_ufrag, ==, "6m26");
    g_assert_cmpstr(ice.gateway_pwd, ==, "gj5f2zjrxg6cwvtrtqgfva");
    sp_cp_derive_ice(&a, &b, &ice);
    g_assert_cmpstr(ice.client_ufrag, ==, "xcuw");
    g_assert_cmpstr(ice.client_pwd, ==, "fokl57dz3lj5hx4ezkho3d");
    g_assert_cmpstr(ice.gateway_ufrag, ==, "gvws");
    g_assert_cmpstr(ice.gateway_pwd, ==, "ns7h7t5cmmbg4lk3cyc3ea");
}

static void
psk_matches_vector(void)
{
    char *psk = sp_cp_derive_psk(&client, &gateway);

    g_assert_cmpstr(psk, ==, "thsZ6mikkarENRUpdNoBNYXk746FK6e5mO9ruCJmvP8=");
    sp_cp_secret_free(psk);
}

static void
relay_values_match_vectors(void)
{
    g_autofree char *id = sp_cp_derive_relay_id(stamp);
    g_autofree char *user = NULL;
    g_autofree char *pass = NULL;

    sp_cp_derive_relay_creds(stamp, client.public_key, 1900000000, &user, &pass);
    g_assert_cmpstr(user, ==, "1900000000:xXzDtV05+ab3cvUI44IeCigIIjUsDQ8NJZ+6Y7dNqaA");
    g_assert_cmpstr(pass, ==, "lHvyh3TM5ByyqB6FKEBBk1ZbNA/lHbVPcV1kB68h57I");
    g_assert_cmpstr(id, ==, "9f30b6a3-6785-42cc-8f12-02ee3f76a3e9");
}

static void
jwt_verifies(void)
{
    static const uint8_t key[3] = "key";
    g_autoptr(JsonNode) claims = json_from_string("{\"a\":1}", NULL);
    g_autofree char *jwt = sp_cp_jwt_sign(claims, key, sizeof key);
    g_auto(GStrv) parts = g_strsplit(jwt, ".", -1);
    g_autofree char *input = NULL;
    uint8_t tag[32];
    size_t n = 0;
    g_autoptr(GHmac) hmac = g_hmac_new(G_CHECKSUM_SHA256, key, sizeof key);
    uint8_t want[32];
    gsize want_len = sizeof want;

    g_assert_cmpuint(g_strv_length(parts), ==, 3);
    g_assert_cmpstr(parts[0], ==, "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9");
    g_assert_cmpstr(parts[1], ==, "eyJhIjoxfQ");
    g_assert_cmpint(sodium_base642bin(tag,
                                      sizeof tag,
                                      parts[2],
                                      strlen(parts[2]),
                                      NULL,
                                      &n,
                                      NULL,
                                      sodium_base64_VARIANT_URLSAFE_NO_PADDING),
                    ==,
                    0);
    input = g_strdup_printf("%s.%s", parts[0], parts[1]);
    g_hmac_update(hmac, (const guchar *)input, -1);
    g_hmac_get_digest(hmac, want, &want_len);
    g_assert_cmpuint(n, ==, want_len);
    g_assert_true(memcmp(tag, want, n) == 0);
}

static void
pool_addresses(void)
{
    static const struct {
        int family;
        uint32_t offset;
        const char *text;
    } cases[] = {
        { 4, 1, "100.64.0.1" },
        { 4, 256, "100.64.1.0" },
        { 4, SP_CP_POOL_HOSTS, "100.95.255.254" },
        { 6, 1, "fd00:2021:1111::1" },
        { 6, SP_CP_POOL_HOSTS, "fd00:2021:1111::1f:fffe" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = sp_cp_pool_addr(cases[i].family, cases[i].offset);

        g_assert_cmpstr(text, ==, cases[i].text);
    }
    g_assert_cmpuint(sp_cp_pool_next(1), ==, 2);
    g_assert_cmpuint(sp_cp_pool_next(SP_CP_POOL_HOSTS), ==, 1);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_assert_cmpint(sodium_init(), >=, 0);
    g_test_add_func("/app/portal/derive/ice", ice_matches_vectors);
    g_test_add_func("/app/portal/derive/psk", psk_matches_vector);
    g_test_add_func("/app/portal/derive/relay", relay_values_match_vectors);
    g_test_add_func("/app/portal/derive/jwt", jwt_verifies);
    g_test_add_func("/app/portal/derive/pool", pool_addresses);
    return g_test_run();
}
