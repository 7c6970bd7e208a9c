/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include <glib.h>

#include "app/cli/callback-link.h"

#define HOST "firezone-fd0020211111://handle_client_sign_in_callback"
#define FULL "account_slug=acme&actor_name=Ada+Ex%C3%A4mple&fragment=.SFMyNTY&state=abc"

static const struct {
    const char *name;
    const char *link;
    int error; /* -1: accepted */
} links[] = {
    { "portal", HOST "?account_name=Acme&" FULL "&identity_provider_identifier=ada", -1 },
    { "slash after the host", HOST "/?" FULL, -1 },
    { "other scheme", "sallyport://handle_client_sign_in_callback?" FULL, -1 },
    { "upper case host", "x://HANDLE_client_sign_in_callback?" FULL, -1 },
    { "local part is dropped", HOST "?" FULL "#local", -1 },
    { "empty pairs", HOST "?&&" FULL "&", -1 },
    { "unknown key twice", HOST "?a=1&a=2&" FULL, -1 },
    { "key in escapes",
      HOST "?%61ccount_slug=acme&actor_name=Ada+Ex%C3%A4mple"
           "&fragment=.SFMyNTY&state=abc",
      -1 },
    { "nothing", "", SP_CLI_LINK_ERROR_URL },
    { "no scheme", "://handle_client_sign_in_callback?" FULL, SP_CLI_LINK_ERROR_URL },
    { "space in scheme", "a b://handle_client_sign_in_callback?" FULL, SP_CLI_LINK_ERROR_URL },
    { "no authority", "x:handle_client_sign_in_callback?" FULL, SP_CLI_LINK_ERROR_URL },
    { "other host", "x://elsewhere?" FULL, SP_CLI_LINK_ERROR_HOST },
    { "longer host", HOST ".example?" FULL, SP_CLI_LINK_ERROR_HOST },
    { "shorter host", "x://handle_client_sign_in?" FULL, SP_CLI_LINK_ERROR_HOST },
    { "user", "x://a@handle_client_sign_in_callback?" FULL, SP_CLI_LINK_ERROR_HOST },
    { "port", HOST ":80?" FULL, SP_CLI_LINK_ERROR_HOST },
    { "path", HOST "/x?" FULL, SP_CLI_LINK_ERROR_HOST },
    { "two slashes", HOST "//?" FULL, SP_CLI_LINK_ERROR_HOST },
    { "no query", HOST, SP_CLI_LINK_ERROR_MISSING },
    { "query in the local part", HOST "#?" FULL, SP_CLI_LINK_ERROR_MISSING },
    { "empty query", HOST "?", SP_CLI_LINK_ERROR_MISSING },
    { "no slug", HOST "?actor_name=a&fragment=.f&state=s", SP_CLI_LINK_ERROR_MISSING },
    { "no actor", HOST "?account_slug=a&fragment=.f&state=s", SP_CLI_LINK_ERROR_MISSING },
    { "no fragment", HOST "?account_slug=a&actor_name=a&state=s", SP_CLI_LINK_ERROR_MISSING },
    { "no state", HOST "?account_slug=a&actor_name=a&fragment=.f", SP_CLI_LINK_ERROR_MISSING },
    { "slug twice", HOST "?account_slug=b&" FULL, SP_CLI_LINK_ERROR_DOUBLE },
    { "actor twice", HOST "?" FULL "&actor_name=", SP_CLI_LINK_ERROR_DOUBLE },
    { "fragment twice", HOST "?" FULL "&fragment=.g", SP_CLI_LINK_ERROR_DOUBLE },
    { "state twice", HOST "?" FULL "&state=abc", SP_CLI_LINK_ERROR_DOUBLE },
    { "state twice by escape", HOST "?" FULL "&st%61te=abc", SP_CLI_LINK_ERROR_DOUBLE },
    { "broken escape",
      HOST "?account_slug=%zz&actor_name=a&fragment=.f&state=s",
      SP_CLI_LINK_ERROR_URL },
    { "zero byte",
      HOST "?account_slug=%00&actor_name=a&fragment=.f&state=s",
      SP_CLI_LINK_ERROR_URL },
    { "no UTF-8",
      HOST "?account_slug=%ff&actor_name=a&fragment=.f&state=s",
      SP_CLI_LINK_ERROR_URL },
};

static void
test_parse(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(links); i++) {
        struct sp_cli_link link;
        g_autoptr(GError) error = NULL;
        gboolean ok = sp_cli_link_parse(links[i].link, &link, &error);

        g_test_message("%u: %s", i, links[i].name);
        if (links[i].error < 0) {
            g_assert_no_error(error);
            g_assert_true(ok);
            g_assert_cmpstr(link.account_slug, ==, "acme");
            g_assert_cmpstr(link.actor_name, ==, "Ada Ex\303\244mple");
            g_assert_cmpstr(link.fragment, ==, ".SFMyNTY");
            g_assert_cmpstr(link.state, ==, "abc");
        } else {
            g_assert_false(ok);
            g_assert_error(error, SP_CLI_LINK_ERROR, links[i].error);
            g_assert_null(link.fragment);
        }
        sp_cli_link_done(&link);
    }
}

static void
test_parse_empty_values(void)
{
    struct sp_cli_link link;
    g_autoptr(GError) error = NULL;

    g_assert_true(
        sp_cli_link_parse(HOST "?account_slug&actor_name=&fragment=&state=", &link, &error));
    g_assert_no_error(error);
    g_assert_cmpstr(link.account_slug, ==, "");
    g_assert_cmpstr(link.state, ==, "");
    sp_cli_link_done(&link);
}

static void
test_parse_too_long(void)
{
    g_autofree char *filler = g_strnfill(SP_CLI_LINK_MAX, 'a');
    g_autofree char *text = g_strconcat(HOST "?" FULL "&x=", filler, NULL);
    struct sp_cli_link link;

    g_assert_false(sp_cli_link_parse(text, &link, NULL));
}

static const struct {
    const char *name;
    const char *fragment;
    const char *link_state;
    const char *state;
    const char *token; /* NULL: refused */
} tokens[] = {
    { "fits", ".frag", "abc", "abc", "00ff.frag" },
    { "other state", ".frag", "abd", "abc", NULL },
    { "other first character", ".frag", "xbc", "abc", NULL },
    { "shorter state", ".frag", "ab", "abc", NULL },
    { "longer state", ".frag", "abcd", "abc", NULL },
    { "empty state", ".frag", "", "abc", NULL },
    { "no attempt", ".frag", "", "", NULL },
    { "empty fragment", "", "abc", "abc", NULL },
    { "space in fragment", ".fr ag", "abc", "abc", NULL },
    { "line end in fragment", ".frag\n", "abc", "abc", NULL },
    { "no ASCII", ".fr\303\244g", "abc", "abc", NULL },
};

static void
test_token(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(tokens); i++) {
        g_autofree char *fragment = g_strdup(tokens[i].fragment);
        g_autofree char *state = g_strdup(tokens[i].link_state);
        struct sp_cli_link link = { .fragment = fragment, .state = state };
        g_autoptr(GError) error = NULL;
        char *token = sp_cli_link_token(&link, "00ff", tokens[i].state, &error);

        g_test_message("%u: %s", i, tokens[i].name);
        g_assert_cmpstr(token, ==, tokens[i].token);
        g_assert_cmpint(error == NULL, ==, tokens[i].token != NULL);
        sp_cli_secret_free(token);
    }
}

static void
test_limits(void)
{
    g_autofree char *longest = g_strnfill(SP_CLI_TOKEN_MAX, 't');
    g_autofree char *longer = g_strnfill(SP_CLI_TOKEN_MAX + 1, 't');

    g_assert_true(sp_cli_token_is_valid(longest));
    g_assert_false(sp_cli_token_is_valid(longer));
    g_assert_false(sp_cli_token_is_valid(""));
    g_assert_true(sp_cli_slug_is_valid("acme_2-x"));
    g_assert_false(sp_cli_slug_is_valid(""));
    g_assert_false(sp_cli_slug_is_valid("a/b"));
    g_assert_false(sp_cli_slug_is_valid("a?b"));
}

static const struct {
    const char *server;
    gboolean valid;
} servers[] = {
    { "https://app.example", TRUE },
    { "https://app.example:8443/", TRUE },
    { "http://[2001:db8::1]:8080", TRUE },
    { "https://app.example/prefix", TRUE },
    { "", FALSE },
    { "app.example", FALSE },
    { "ftp://app.example", FALSE },
    { "javascript:alert(1)", FALSE },
    { "https://", FALSE },
    { "https://user@app.example", FALSE },
    { "https://user:secret@app.example", FALSE },
    { "https://app.example/?a=b", FALSE },
    { "https://app.example/#a", FALSE },
    { "https://app.exa mple", FALSE },
    { "https://app.example/\n", FALSE },
};

static void
test_server(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(servers); i++) {
        g_test_message("%u: %s", i, servers[i].server);
        g_assert_cmpint(sp_cli_server_is_valid(servers[i].server), ==, servers[i].valid);
    }
}

static const struct {
    const char *server, *account, *nonce, *url;
} urls[] = {
    { "https://p.example", "acme", "11", "https://p.example/acme?as=gui-client&nonce=11&state=22" },
    { "https://p.example//",
      "acme",
      "11",
      "https://p.example/acme?as=gui-client&nonce=11&state=22" },
    { "https://p.example/", "", "11", "https://p.example/?as=gui-client&nonce=11&state=22" },
    { "https://p.example/sub/",
      NULL,
      "11",
      "https://p.example/sub/?as=gui-client&nonce=11&state=22" },
    { "https://p.example", "acme", NULL, "https://p.example/acme?as=headless-client" },
};

static void
test_url(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(urls); i++) {
        g_autofree char *url =
            sp_cli_sign_in_url(urls[i].server, urls[i].account, urls[i].nonce, "22");

        g_assert_cmpstr(url, ==, urls[i].url);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cli/callback-link/parse", test_parse);
    g_test_add_func("/cli/callback-link/parse-empty-values", test_parse_empty_values);
    g_test_add_func("/cli/callback-link/parse-too-long", test_parse_too_long);
    g_test_add_func("/cli/callback-link/token", test_token);
    g_test_add_func("/cli/callback-link/limits", test_limits);
    g_test_add_func("/cli/callback-link/server", test_server);
    g_test_add_func("/cli/callback-link/url", test_url);
    return g_test_run();
}
