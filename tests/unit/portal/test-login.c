/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/err.h"
#include "engine/portal/login.h"
#include "tests/unit/portal/json-support.h"

/* Vectors of spec portal-protocol 10. */
#define STORED_ID "7f9f3a52-3f6e-4a57-9a46-0c2a1f4f8f10"
#define SENT_ID   "8341974401010e29fe0732fffb9b2a5e5e958376f038f6fce70bb2d654093132"

static void
external_id(void)
{
    static const struct {
        const char *stored, *sent; /* NULL: any 64 hex digits other than SENT_ID */
    } cases[] = {
        { STORED_ID, SENT_ID },       { "7f9f3a523f6e4a579a460c2a1f4f8f10", NULL },
        { "{" STORED_ID "}", NULL },  { "urn:uuid:" STORED_ID, NULL },
        { "my-laptop", "my-laptop" }, { SENT_ID, SENT_ID },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        char *sent = sp_portal_external_id(cases[i].stored);

        g_test_message("case %zu", i);
        if (cases[i].sent != NULL) {
            g_assert_cmpstr(sent, ==, cases[i].sent);
        } else {
            g_assert_cmpuint(strlen(sent), ==, 64);
            g_assert_cmpstr(sent, !=, SENT_ID);
        }
        free(sent);
    }
}

#define KEY_1 "&public_key=AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE%3D"

static void
urls(void)
{
    static const struct {
        const char *api, *id, *name, *serial, *uuid;
        enum sp_portal_role role;
        const char *url; /* NULL: SP_E_INVAL */
    } cases[] = {
        /* the example of section 1.1 */
        { "wss://api.example.net/",
          STORED_ID,
          "thinkpad 7",
          NULL,
          "4C4C",
          SP_PORTAL_CLIENT,
          "wss://api.example.net/client/v2/websocket?external_id=" SENT_ID
          "&name=thinkpad+7&device_uuid=4C4C" KEY_1 },
        { "https://api.example.net",
          "x",
          "g",
          "S1",
          "U1",
          SP_PORTAL_GATEWAY,
          "wss://api.example.net/gateway/v2/websocket?external_id=x&name=g" KEY_1 },
        { "ws://portal:8081",
          "x",
          "a*-._~b+c/d=e%f&g",
          "123456789",
          NULL,
          SP_PORTAL_CLIENT,
          "ws://portal:8081/client/v2/websocket?external_id=x"
          "&name=a*-._%7Eb%2Bc%2Fd%3De%25f%26g" KEY_1 },
        { "http://portal/a/b/?q=1#f",
          "x",
          "\xc3\xa9",
          "S 1",
          "U1",
          SP_PORTAL_CLIENT,
          "ws://portal:443/a/b/client/v2/websocket?external_id=x&name=%C3%A9"
          "&device_serial=S+1&device_uuid=U1" KEY_1 },
        { "wss://[2001:db8::1]:8443/a%20b",
          "x",
          "n",
          NULL,
          NULL,
          SP_PORTAL_CLIENT,
          "wss://[2001:db8::1]:8443/a%20b/client/v2/websocket?external_id=x&name=n" KEY_1 },
        { "WSS://u:p@API.example.net/a//",
          "x",
          "n",
          NULL,
          NULL,
          SP_PORTAL_CLIENT,
          "wss://api.example.net/a//client/v2/websocket?external_id=x&name=n" KEY_1 },
        { "ftp://api.example.net/", "x", "n", NULL, NULL, SP_PORTAL_CLIENT, NULL },
        { "api.example.net", "x", "n", NULL, NULL, SP_PORTAL_CLIENT, NULL },
        { "wss:///x", "x", "n", NULL, NULL, SP_PORTAL_CLIENT, NULL },
        { "wss://a%0d%0ab/", "x", "n", NULL, NULL, SP_PORTAL_CLIENT, NULL },
        { "wss://a/", "", "n", NULL, NULL, SP_PORTAL_CLIENT, NULL },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct sp_portal_login l = {
            .role = cases[i].role,
            .api_url = cases[i].api,
            .external_id = cases[i].id,
            .name = cases[i].name,
            .device_serial = cases[i].serial,
            .device_uuid = cases[i].uuid,
        };
        struct sp_portal_url u;
        char *text;

        g_test_message("case %zu", i);
        memset(l.public_key, 1, sizeof l.public_key);
        g_assert_cmpint(sp_portal_login_url(&l, &u), ==, cases[i].url != NULL ? 0 : SP_E_INVAL);
        if (cases[i].url == NULL)
            continue;
        text = sp_portal_url_to_string(&u);
        g_assert_cmpstr(text, ==, cases[i].url);
        free(text);
        sp_portal_url_done(&u);
    }
}

/* Spec relay 2.1. */
static void
relay_urls(void)
{
    static const struct {
        const char *name, *ipv4, *ipv6;
        const char *url; /* NULL: SP_E_INVAL */
    } cases[] = {
        { "r 1",
          "192.0.2.1",
          "2001:db8::1",
          "wss://a:443/relay/websocket?name=r+1&ipv4=192.0.2.1&ipv6=2001%3Adb8%3A%3A1&port=3478" },
        { NULL, "192.0.2.1", NULL, "wss://a:443/relay/websocket?ipv4=192.0.2.1&port=3478" },
        { NULL, NULL, "::1", "wss://a:443/relay/websocket?ipv6=%3A%3A1&port=3478" },
        { "n", NULL, NULL, NULL },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct sp_portal_login l = {
            .role = SP_PORTAL_RELAY,
            .api_url = "https://a/",
            .name = cases[i].name,
            .ipv4 = cases[i].ipv4,
            .ipv6 = cases[i].ipv6,
            .port = 3478,
        };
        struct sp_portal_url u;
        g_autofree char *text = NULL;

        g_test_message("case %zu", i);
        g_assert_cmpint(sp_portal_login_url(&l, &u), ==, cases[i].url != NULL ? 0 : SP_E_INVAL);
        if (cases[i].url == NULL)
            continue;
        text = g_strdup_printf("wss://%s:%u%s", u.host_header, u.port, u.target);
        g_assert_cmpstr(text, ==, cases[i].url);
        sp_portal_url_done(&u);
    }
}

static void
user_agents(void)
{
    static const struct {
        struct sp_portal_agent agent;
        const char *text;
    } cases[] = {
        /* the example of section 1.2 */
        { { "Debian", "12.0.0", "gui-client", "1.5.17", "x86_64", "6.1.0-18-amd64" },
          "Debian/12.0.0 gui-client/1.5.17 (x86_64; 6.1.0-18-amd64)" },
        { { "Arch Linux", "1", "gateway", "1.6.1", "x86_64", NULL },
          "Arch Linux/1 gateway/1.6.1 (x86_64)" },
        { { "K\xc3\xbc\r\n\x7f"
            "che",
            "1",
            "gateway",
            "1.6.1",
            NULL,
            "6" },
          "Kche/1 gateway/1.6.1" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        char *text = sp_portal_user_agent(&cases[i].agent);

        g_assert_cmpstr(text, ==, cases[i].text);
        free(text);
    }
}

static void
tokens(void)
{
    static const struct {
        const char *in, *out; /* NULL: refused */
    } cases[] = {
        { "abc.def", "abc.def" },
        { " a b\tc\r\n\v\fd ", "abcd" },
        { "", "" },
        { "\n", "" },
        { "a\x01"
          "b",
          NULL },
        { "caf\xc3\xa9", NULL },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *token = g_strdup(cases[i].in);

        g_test_message("case %zu", i);
        g_assert_cmpint(sp_portal_clean_token(token),
                        ==,
                        cases[i].out != NULL ? 0 : SP_E_MALFORMED);
        g_assert_cmpstr(token, ==, cases[i].out != NULL ? cases[i].out : "");
    }
}

static void
refusals(void)
{
    static const struct {
        unsigned status;
        const char *type, *body;
        enum sp_portal_verdict verdict;
        const char *detail;
    } cases[] = {
        { 401,
          "application/problem+json",
          "{'code':'invalid_token','detail':'gone'}",
          SP_PORTAL_FATAL_SIGN_IN,
          "gone" },
        { 401,
          "Application/Problem+JSON; charset=utf-8",
          "{'code':'missing_token'}",
          SP_PORTAL_FATAL_SIGN_IN,
          "no reason provided" },
        { 401,
          "application/json",
          "{'code':'invalid_token'}",
          SP_PORTAL_FATAL_KEEP_TOKEN,
          "no reason provided" },
        { 401,
          "application/problem+jsonx",
          "{'code':'invalid_token'}",
          SP_PORTAL_FATAL_KEEP_TOKEN,
          "no reason provided" },
        { 401,
          "application/problem+json",
          "{'code':'other','detail':'a\\nb'}",
          SP_PORTAL_FATAL_KEEP_TOKEN,
          "a?b" },
        { 401,
          "application/problem+json",
          "{'code':7,'detail':7}",
          SP_PORTAL_FATAL_KEEP_TOKEN,
          "no reason provided" },
        { 401,
          "application/problem+json",
          "{'code':'invalid_token'",
          SP_PORTAL_FATAL_KEEP_TOKEN,
          "no reason provided" },
        { 401, NULL, "<html>proxy</html>", SP_PORTAL_FATAL_KEEP_TOKEN, "no reason provided" },
        { 403,
          "application/problem+json",
          "{'code':'account_disabled','detail':'d'}",
          SP_PORTAL_RETRY,
          "d" },
        { 301, NULL, "", SP_PORTAL_RETRY, "no reason provided" },
        { 404, NULL, "", SP_PORTAL_RETRY, "no reason provided" },
        { 429, NULL, "", SP_PORTAL_RETRY, "no reason provided" },
        { 503,
          "application/problem+json",
          "{'code':'rate_limit'}",
          SP_PORTAL_RETRY,
          "no reason provided" },
        { 200, NULL, "", SP_PORTAL_RETRY, "no reason provided" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *body = json_text(cases[i].body);
        char *detail;

        g_test_message("case %zu", i);
        g_assert_cmpint(
            sp_portal_classify_http(cases[i].status, cases[i].type, body, strlen(body), &detail),
            ==,
            cases[i].verdict);
        g_assert_cmpstr(detail, ==, cases[i].detail);
        free(detail);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/portal/login/external-id", external_id);
    g_test_add_func("/portal/login/urls", urls);
    g_test_add_func("/portal/login/relay-urls", relay_urls);
    g_test_add_func("/portal/login/user-agents", user_agents);
    g_test_add_func("/portal/login/tokens", tokens);
    g_test_add_func("/portal/login/refusals", refusals);
    return g_test_run();
}
