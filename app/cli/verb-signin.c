/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <sodium.h>

#include "app/cli/bus.h"
#include "app/cli/callback-link.h"
#include "app/cli/output.h"
#include "app/cli/texts.h"
#include "app/cli/token-store.h"

/* One attempt to sign in; @nonce is half of the token to be. */
struct attempt {
    char *server;
    char *account;
    char *actor;
    char nonce[SP_CLI_SECRET_HEX_LEN + 1];
    char state[SP_CLI_SECRET_HEX_LEN + 1];
};

static struct termios saved_terminal;

static void
restore_and_die(int number)
{
    struct sigaction act = { .sa_handler = SIG_DFL };

    tcsetattr(STDIN_FILENO, TCSAFLUSH, &saved_terminal);
    sigaction(number, &act, NULL);
    raise(number);
}

static gboolean
hide_input(void)
{
    struct sigaction act = { .sa_handler = restore_and_die };
    struct termios quiet;

    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &saved_terminal) < 0)
        return FALSE;
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    sigaction(SIGHUP, &act, NULL);
    quiet = saved_terminal;
    /* The line mode of a terminal takes 4095 characters, too few for a long link. */
    quiet.c_lflag &= ~(tcflag_t)(ECHO | ICANON);
    return tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet) == 0;
}

/* A line from standard input, not echoed by a terminal; NULL when there is none or it is too long.
 * Read byte by byte, so no stream buffer keeps a copy. */
static char *
read_secret(gboolean hidden)
{
    char *line = g_malloc0(SP_CLI_LINK_MAX + 2);
    size_t n = 0;
    char c = 0;
    ssize_t got;

    while ((got = read(STDIN_FILENO, &c, 1)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 || c == '\n' || c == '\r' || n > SP_CLI_LINK_MAX)
            break;
        if (hidden && (c == 0x7f || c == '\b'))
            n -= n > 0;
        else if (c != '\0' && (!hidden || c != 0x04))
            line[n++] = c;
        else
            break;
    }
    line[n] = '\0';
    g_strstrip(line);
    if (n == 0 || n > SP_CLI_LINK_MAX || !*line)
        g_clear_pointer(&line, sp_cli_secret_free);
    return line;
}

static char *
ask_secret(struct sp_cli *cli)
{
    gboolean hidden = hide_input();
    char *line;

    if (hidden)
        fputs("\nLink or token (not shown): ", stderr);
    line = read_secret(hidden);
    if (hidden) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &saved_terminal);
        fputc('\n', stderr);
    }
    if (!line)
        sp_cli_fail(cli, SP_CLI_FAILURE, "no-input", "Nothing was pasted. You are not signed in.");
    return line;
}

/* Server and account: options, then what the service is set to, then the sign-in before. */
static int
find_server(struct sp_cli *cli, struct attempt *a)
{
    struct sp_cli_session old = { 0 };
    g_autoptr(GVariant) reply = NULL, settings = NULL;

    a->server = g_strdup(cli->opt[SP_CLI_OPT_SERVER]);
    a->account = g_strdup(cli->opt[SP_CLI_OPT_ACCOUNT]);
    if (!a->server && sp_cli_try_connect(cli)
        && (reply = sp_cli_try_call(cli, "GetSettings", NULL))) {
        settings = g_variant_get_child_value(reply, 0);
        a->server = g_strdup(sp_cli_entry(settings, "auth-url"));
        if (!a->account)
            a->account = g_strdup(sp_cli_entry(settings, "account-slug"));
    }
    if (sp_cli_session_load(&old)) {
        if (!a->server || !*a->server) {
            g_free(a->server);
            a->server = g_strdup(old.server);
        }
        if ((!a->account || !*a->account) && g_strcmp0(a->server, old.server) == 0) {
            g_free(a->account);
            a->account = g_strdup(old.account);
        }
    }
    sp_cli_session_done(&old);
    if (!a->server || !*a->server)
        return sp_cli_fail(cli,
                           SP_CLI_NO_SERVICE,
                           "no-server",
                           "The portal is not known, because the tunnel service cannot be asked. "
                           "Start it with: systemctl start sallyport-tunneld - or give --server "
                           "URL.");
    if (!sp_cli_server_is_valid(a->server))
        return sp_cli_fail(cli,
                           SP_CLI_USAGE,
                           "invalid-url",
                           "Not the address of a portal: %s",
                           a->server);
    if (a->account && *a->account && !sp_cli_slug_is_valid(a->account))
        return sp_cli_fail(cli,
                           SP_CLI_USAGE,
                           "invalid-account",
                           "An account is letters, digits, \"_\" and \"-\", not: %s",
                           a->account);
    return SP_CLI_OK;
}

static void
make_secrets(struct attempt *a)
{
    unsigned char raw[SP_CLI_SECRET_HEX_LEN / 2];

    randombytes_buf(raw, sizeof raw);
    sodium_bin2hex(a->nonce, sizeof a->nonce, raw, sizeof raw);
    randombytes_buf(raw, sizeof raw);
    sodium_bin2hex(a->state, sizeof a->state, raw, sizeof raw);
    sodium_memzero(raw, sizeof raw);
}

/* A browser run by root would be worse than none. */
static gboolean
may_open_browser(struct sp_cli *cli)
{
    return !cli->opt[SP_CLI_OPT_NO_BROWSER] && geteuid() != 0
           && (g_getenv("WAYLAND_DISPLAY") || g_getenv("DISPLAY"));
}

static gboolean
open_browser(const char *url)
{
    g_autoptr(GSubprocess) child =
        g_subprocess_new(G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_SILENCE,
                         NULL,
                         "xdg-open",
                         url,
                         NULL);

    return child != NULL;
}

/* Goes to standard error, because standard output belongs to the result. */
static void
show_instructions(struct sp_cli *cli, const struct attempt *a)
{
    g_autofree char *url = sp_cli_sign_in_url(a->server, a->account, a->nonce, a->state);
    g_autofree char *plain = sp_cli_sign_in_url(a->server, a->account, NULL, NULL);
    gboolean opened = may_open_browser(cli) && open_browser(url);

    fprintf(stderr,
            "%s\n\n  %s\n\n",
            opened ? "The browser opens this address:" : "Open this address in a browser:",
            url);
    fputs("Sign in there, then paste the link that the page leads to; it begins with\n"
          "firezone-fd0020211111://. If you cannot get at that link, open this address instead\n"
          "and paste the token that it shows:\n\n",
          stderr);
    fprintf(stderr, "  %s\n", plain);
    fflush(stderr);
}

static int
report_link_error(struct sp_cli *cli, const GError *error)
{
    const char *code = "bad-link";

    if (g_error_matches(error, SP_CLI_LINK_ERROR, SP_CLI_LINK_ERROR_STATE))
        code = "wrong-state";
    return sp_cli_fail(cli,
                       SP_CLI_FAILURE,
                       code,
                       "You are not signed in: %s. Start again with: sallyport sign-in",
                       error->message);
}

static int
token_of(struct sp_cli *cli, struct attempt *a, const char *pasted, char **ret_token)
{
    struct sp_cli_link link;
    g_autoptr(GError) error = NULL;

    if (!strstr(pasted, "://")) {
        if (!sp_cli_token_is_valid(pasted))
            return sp_cli_fail(cli,
                               SP_CLI_FAILURE,
                               "bad-token",
                               "You are not signed in: this is neither a link nor a token.");
        *ret_token = g_strdup(pasted);
        return SP_CLI_OK;
    }
    if (!sp_cli_link_parse(pasted, &link, &error))
        return report_link_error(cli, error);
    *ret_token = sp_cli_link_token(&link, a->nonce, a->state, &error);
    if (*ret_token) {
        if (*link.account_slug) {
            g_free(a->account);
            a->account = g_strdup(link.account_slug);
        }
        a->actor = g_strdup(link.actor_name);
    }
    sp_cli_link_done(&link);
    return *ret_token ? SP_CLI_OK : report_link_error(cli, error);
}

static void
report_success(struct sp_cli *cli, const struct attempt *a, const char *store, const char *path)
{
    if (cli->json) {
        g_autoptr(JsonBuilder) b = sp_cli_json();

        json_builder_set_member_name(b, "server");
        json_builder_add_string_value(b, a->server);
        json_builder_set_member_name(b, "account");
        json_builder_add_string_value(b, a->account ? a->account : "");
        json_builder_set_member_name(b, "actor");
        json_builder_add_string_value(b, a->actor ? a->actor : "");
        json_builder_set_member_name(b, "store");
        json_builder_add_string_value(b, store);
        sp_cli_json_print(b, FALSE);
        return;
    }
    if (a->actor && *a->actor)
        sp_cli_say(cli, "Signed in as %s.", a->actor);
    else
        sp_cli_say(cli, "Signed in.");
    if (g_str_equal(store, "file"))
        sp_cli_say(cli,
                   "No key ring answers, so the token is in a file only you can read: %s",
                   path);
    else if (g_str_equal(store, "system"))
        sp_cli_say(cli, "The token of this machine is in %s", path);
    sp_cli_say(cli,
               "Connect with: sallyport up%s",
               g_str_equal(store, "system") ? " --system" : "");
}

static int
keep(struct sp_cli *cli, struct attempt *a, const char *token)
{
    struct sp_cli_session session = { .server = a->server,
                                      .account = a->account ? a->account : (char[]){ "" },
                                      .actor = a->actor };
    struct sp_cli_session old;
    g_autofree char *path = sp_cli_token_path();
    g_autoptr(GError) error = NULL;

    if (cli->opt[SP_CLI_OPT_SYSTEM]) {
        if (!sp_cli_system_token_store(token, &error))
            return sp_cli_fail(cli, SP_CLI_FAILURE, "store", "%s", error->message);
        report_success(cli, a, "system", sp_cli_system_token_path());
        return SP_CLI_OK;
    }
    /* The token of another account must not stay behind where nothing names it any more. */
    if (sp_cli_session_load(&old)) {
        session.internet = old.internet;
        if (g_strcmp0(old.server, session.server) != 0
            || g_strcmp0(old.account, session.account) != 0)
            sp_cli_token_forget(&old, NULL);
    }
    sp_cli_session_done(&old);
    if (!sp_cli_token_store(&session, token, &error))
        return sp_cli_fail(cli,
                           SP_CLI_FAILURE,
                           "store",
                           "You are not signed in. %s",
                           error->message);
    report_success(cli, a, session.in_file ? "file" : "secret-service", path);
    return SP_CLI_OK;
}

int
sp_cli_verb_sign_in(struct sp_cli *cli)
{
    struct attempt a = { 0 };
    char *pasted = NULL, *token = NULL;
    int status;

    if (cli->opt[SP_CLI_OPT_SYSTEM] && geteuid() != 0)
        return sp_cli_fail(cli,
                           SP_CLI_DENIED,
                           "access-denied",
                           "Only root can write the token of this machine. Use: sudo sallyport "
                           "sign-in --system");
    status = find_server(cli, &a);
    if (status == SP_CLI_OK) {
        make_secrets(&a);
        show_instructions(cli, &a);
        pasted = ask_secret(cli);
        status = pasted ? token_of(cli, &a, pasted, &token) : SP_CLI_FAILURE;
    }
    if (status == SP_CLI_OK)
        status = keep(cli, &a, token);
    sp_cli_secret_free(pasted);
    sp_cli_secret_free(token);
    g_free(a.server);
    g_free(a.account);
    g_free(a.actor);
    sodium_memzero(&a, sizeof a);
    return status;
}

/* Forgets the token. Returns an exit status; *ret_was says whether there was one. */
static int
forget(struct sp_cli *cli, gboolean *ret_was)
{
    struct sp_cli_session session;
    g_autoptr(GError) error = NULL;
    gboolean done;

    if (cli->opt[SP_CLI_OPT_SYSTEM]) {
        if (geteuid() != 0)
            return sp_cli_fail(cli,
                               SP_CLI_DENIED,
                               "access-denied",
                               "Only root can remove the token of this machine. Use: sudo "
                               "sallyport sign-out --system");
        done = sp_cli_system_token_forget(ret_was, &error);
    } else {
        *ret_was = sp_cli_session_load(&session);
        done = !*ret_was || sp_cli_token_forget(&session, &error);
        sp_cli_session_done(&session);
    }
    return done ? SP_CLI_OK : sp_cli_fail(cli, SP_CLI_FAILURE, "store", "%s", error->message);
}

int
sp_cli_verb_sign_out(struct sp_cli *cli)
{
    gboolean was = FALSE;
    int status = forget(cli, &was);

    if (status != SP_CLI_OK)
        return status;
    /* A session that somebody else started with another token is none of our business. */
    if (sp_cli_try_connect(cli) && sp_ipc_tunnel1_get_session_owner(cli->proxy) == getuid())
        status = sp_cli_call(cli, "Disconnect", g_variant_new("(a{sv})", NULL), NULL, NULL);
    if (status != SP_CLI_OK)
        return status;
    if (cli->json) {
        g_autoptr(JsonBuilder) b = sp_cli_json();

        json_builder_set_member_name(b, "was_signed_in");
        json_builder_add_boolean_value(b, was);
        sp_cli_json_print(b, FALSE);
    }
    sp_cli_say(cli, was ? "Signed out." : "You were not signed in.");
    return SP_CLI_OK;
}
