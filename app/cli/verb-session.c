/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "app/cli/bus.h"
#include "app/cli/callback-link.h"
#include "app/cli/output.h"
#include "app/cli/texts.h"
#include "app/cli/token-store.h"
#include "app/cli/watch.h"

#define UP_WAIT_MS     30000
#define LINGER_FOREVER G_MAXUINT32

static void
print_state_json(struct sp_cli *cli, const char *session_id)
{
    g_autoptr(JsonBuilder) b = sp_cli_json();

    json_builder_set_member_name(b, "state");
    json_builder_add_string_value(b, sp_cli_state(cli));
    json_builder_set_member_name(b, "reason");
    json_builder_add_string_value(b, sp_cli_reason(cli));
    if (session_id) {
        json_builder_set_member_name(b, "session");
        json_builder_add_string_value(b, session_id);
    }
    sp_cli_json_print(b, FALSE);
}

/* A memory file with @token, read position at its start; -1 with errno set. */
static int
token_fd(const char *token)
{
    size_t n = strlen(token);
    int fd = memfd_create("token", MFD_CLOEXEC);

    if (fd < 0)
        return -1;
    if (write(fd, token, n) == (ssize_t)n && lseek(fd, 0, SEEK_SET) == 0)
        return fd;
    close(fd);
    return -1;
}

/* The token of the user into @options and @fds. Returns an exit status. */
static int
add_user_token(struct sp_cli *cli, GVariantDict *options, GUnixFDList *fds)
{
    struct sp_cli_session session;
    g_autoptr(GError) error = NULL;
    char *token = NULL;
    int status = SP_CLI_OK, fd = -1, index;

    if (sp_cli_session_load(&session))
        token = sp_cli_token_load(&session, &error);
    if (error)
        status = sp_cli_fail(cli, SP_CLI_FAILURE, "store", "%s", error->message);
    else if (!token)
        status = sp_cli_fail(cli, SP_CLI_SIGNED_OUT, "not-signed-in", SP_CLI_TEXT_SIGNED_OUT);
    else if ((fd = token_fd(token)) < 0)
        status = sp_cli_fail(cli,
                             SP_CLI_FAILURE,
                             "io",
                             "Cannot hand the token over: %s.",
                             g_strerror(errno));
    sp_cli_secret_free(token);
    if (status == SP_CLI_OK) {
        index = g_unix_fd_list_append(fds, fd, NULL);
        g_variant_dict_insert(options, "token-fd", "h", index);
        g_variant_dict_insert(options, "internet-resource", "b", session.internet);
    }
    if (fd >= 0)
        close(fd);
    sp_cli_session_done(&session);
    return status;
}

static int
report_failed(struct sp_cli *cli)
{
    const char *reason = sp_cli_reason(cli);
    const char *text = sp_cli_text_of_reason(reason);
    int status = g_str_equal(reason, "token-invalid") ? SP_CLI_SIGNED_OUT : SP_CLI_FAILURE;

    return sp_cli_fail(cli,
                       status,
                       *reason ? reason : "failed",
                       "%s",
                       text ? text : "The connection failed.");
}

static int
wait_until_up(struct sp_cli *cli, guint timeout_ms)
{
    static const char *const ends[] = { "connected", "failed", "disconnected", NULL };

    switch (sp_cli_watch_until(cli, ends, timeout_ms)) {
    case SP_CLI_WATCH_REACHED:
        return g_str_equal(sp_cli_state(cli), "connected") ? SP_CLI_OK : report_failed(cli);
    case SP_CLI_WATCH_GONE:
        return sp_cli_fail(cli, SP_CLI_NO_SERVICE, "not-running", SP_CLI_TEXT_NO_SERVICE);
    case SP_CLI_WATCH_TIMEOUT:
        break;
    }
    return sp_cli_fail(cli,
                       SP_CLI_TIMEOUT,
                       "timeout",
                       "Not connected yet (%s). It goes on trying; see: sallyport status",
                       sp_cli_text_of_state(sp_cli_state(cli)));
}

int
sp_cli_verb_up(struct sp_cli *cli)
{
    g_auto(GVariantDict) options = G_VARIANT_DICT_INIT(NULL);
    g_autoptr(GUnixFDList) fds = g_unix_fd_list_new();
    g_autoptr(GVariant) reply = NULL;
    const char *session_id = NULL;
    guint timeout_ms;
    int status;

    if (!sp_cli_seconds(cli, SP_CLI_OPT_WAIT, UP_WAIT_MS, &timeout_ms))
        return SP_CLI_USAGE;
    if (cli->opt[SP_CLI_OPT_SYSTEM])
        g_variant_dict_insert(&options, "token-file", "b", TRUE);
    else if ((status = add_user_token(cli, &options, fds)) != SP_CLI_OK)
        return status;
    g_variant_dict_insert(&options, "linger", "u", LINGER_FOREVER);
    if (cli->opt[SP_CLI_OPT_NAME])
        g_variant_dict_insert(&options, "name", "s", cli->opt[SP_CLI_OPT_NAME]);
    if ((status = sp_cli_connect(cli)) != SP_CLI_OK)
        return status;
    status = sp_cli_call(cli,
                         "Connect",
                         g_variant_new("(@a{sv})", g_variant_dict_end(&options)),
                         fds,
                         &reply);
    if (status == SP_CLI_OK)
        status = sp_cli_refresh(cli);
    if (status == SP_CLI_OK && cli->opt[SP_CLI_OPT_WAIT])
        status = wait_until_up(cli, timeout_ms);
    if (status != SP_CLI_OK)
        return status;
    g_variant_get(reply, "(&s)", &session_id);
    if (cli->json)
        print_state_json(cli, session_id);
    sp_cli_say(cli, "%s.", sp_cli_text_of_state(sp_cli_state(cli)));
    return SP_CLI_OK;
}

int
sp_cli_verb_down(struct sp_cli *cli)
{
    int status = sp_cli_connect(cli);

    if (status == SP_CLI_OK)
        status = sp_cli_call(cli, "Disconnect", g_variant_new("(a{sv})", NULL), NULL, NULL);
    if (status == SP_CLI_OK)
        status = sp_cli_refresh(cli);
    if (status != SP_CLI_OK)
        return status;
    if (cli->json)
        print_state_json(cli, NULL);
    sp_cli_say(cli, "%s.", sp_cli_text_of_state(sp_cli_state(cli)));
    return SP_CLI_OK;
}

int
sp_cli_verb_reset(struct sp_cli *cli)
{
    const char *reason = cli->n_args > 0 ? cli->args[0] : "user";
    int status;

    if (!g_utf8_validate(reason, -1, NULL) || g_utf8_strlen(reason, -1) > 64)
        return sp_cli_fail(cli, SP_CLI_USAGE, "usage", "The reason has at most 64 characters.");
    status = sp_cli_connect(cli);
    if (status == SP_CLI_OK)
        status = sp_cli_call(cli, "Reset", g_variant_new("(s)", reason), NULL, NULL);
    if (status != SP_CLI_OK)
        return status;
    if (cli->json)
        print_state_json(cli, NULL);
    sp_cli_say(cli, "Paths and portal are searched anew.");
    return SP_CLI_OK;
}

int
sp_cli_verb_wait(struct sp_cli *cli)
{
    const char *const ends[] = { cli->args[0], NULL };
    guint timeout_ms;
    int status;

    if (!sp_cli_seconds(cli, SP_CLI_OPT_TIMEOUT, 0, &timeout_ms))
        return SP_CLI_USAGE;
    if ((status = sp_cli_connect(cli)) != SP_CLI_OK)
        return status;
    switch (sp_cli_watch_until(cli, ends, timeout_ms)) {
    case SP_CLI_WATCH_REACHED:
        break;
    case SP_CLI_WATCH_GONE:
        return sp_cli_fail(cli, SP_CLI_NO_SERVICE, "not-running", SP_CLI_TEXT_NO_SERVICE);
    case SP_CLI_WATCH_TIMEOUT:
        return sp_cli_fail(cli,
                           SP_CLI_TIMEOUT,
                           "timeout",
                           "The time is over; the state is %s.",
                           sp_cli_state(cli));
    }
    if (cli->json)
        print_state_json(cli, NULL);
    sp_cli_say(cli, "%s.", sp_cli_text_of_state(sp_cli_state(cli)));
    return SP_CLI_OK;
}
