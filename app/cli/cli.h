/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the command line share: the context of one run, exit codes, the verb table.
 * Spec: desktop-client 7.7. Thread: main only. */
#pragma once

#include <json-glib/json-glib.h>

#include "app/ipc/tunnel1.h"

/** enum sp_cli_exit - stable, scripts rely on them */
enum sp_cli_exit {
    SP_CLI_OK = 0,
    SP_CLI_FAILURE = 1,
    SP_CLI_USAGE = 2,
    SP_CLI_SIGNED_OUT = 3,
    SP_CLI_NO_SERVICE = 4,
    SP_CLI_DENIED = 5,
    SP_CLI_TIMEOUT = 6,
    SP_CLI_NOT_CONNECTED = 8, /* 7 is kept for settings locked by a policy */
};

enum sp_cli_opt {
    SP_CLI_OPT_ACCOUNT,
    SP_CLI_OPT_CHECK,
    SP_CLI_OPT_NAME,
    SP_CLI_OPT_NO_BROWSER,
    SP_CLI_OPT_SERVER,
    SP_CLI_OPT_STATUS,
    SP_CLI_OPT_SYSTEM,
    SP_CLI_OPT_TIMEOUT,
    SP_CLI_OPT_TYPE,
    SP_CLI_OPT_WAIT,
    _SP_CLI_OPT_MAX,
};

/** struct sp_cli_option - one option of a verb
 * @arg: name of the value; NULL: none; in brackets: only as --name=value */
struct sp_cli_option {
    const char *name;
    const char *arg;
    const char *text;
};

struct sp_cli;

/** struct sp_cli_verb - a line of the table that parsing, help, man page and completion come from
 * @words:  choices of the first argument, separated by spaces, the first being the default; or NULL
 * @opts:   bits of enum sp_cli_opt
 * @run:    returns an enum sp_cli_exit */
struct sp_cli_verb {
    const char *name;
    const char *args;
    const char *summary;
    const char *detail;
    const char *words;
    guint opts;
    guint min_args;
    guint max_args;
    int (*run)(struct sp_cli *cli);
};

/** struct sp_cli - one run of the program
 * @opt:  value of each option given; "" for one without a value; NULL for one not given
 * @args: what follows the verb */
struct sp_cli {
    gboolean json;
    gboolean quiet;
    const char *bus;
    const struct sp_cli_verb *verb;
    const char *opt[_SP_CLI_OPT_MAX];
    const char **args;
    guint n_args;
    GDBusConnection *connection;
    SpIpcTunnel1 *proxy;
};

extern const struct sp_cli_option sp_cli_options[_SP_CLI_OPT_MAX];
extern const struct sp_cli_verb sp_cli_verbs[]; /* ends with a NULL name */

/** sp_cli_find_verb() - NULL when there is none of that name */
const struct sp_cli_verb *sp_cli_find_verb(const char *name);
/** sp_cli_word() - the first argument, or the verb's default word */
const char *sp_cli_word(const struct sp_cli *cli);
/** sp_cli_seconds() - parse the value of @opt, 0.1 to 86400 seconds with fraction, to ms; @fallback
 * when not given or empty. FALSE: not a number, already reported */
gboolean sp_cli_seconds(struct sp_cli *cli, enum sp_cli_opt opt, guint fallback, guint *ret_ms);

/** sp_cli_fail() - report an error: text on stderr, or with --json a document on stdout.
 * @code is stable, for scripts. Returns: @status */
int sp_cli_fail(struct sp_cli *cli, int status, const char *code, const char *format, ...)
    G_GNUC_PRINTF(4, 5);
/** sp_cli_say() - a line for people on stdout; nothing with --json or --quiet */
void sp_cli_say(struct sp_cli *cli, const char *format, ...) G_GNUC_PRINTF(2, 3);
/** sp_cli_json() - start a document: an open object that holds "schema" */
JsonBuilder *sp_cli_json(void);
/** sp_cli_json_print() - close the object and print it, on one line or indented */
void sp_cli_json_print(JsonBuilder *builder, gboolean one_line);

int sp_cli_verb_sign_in(struct sp_cli *cli);
int sp_cli_verb_sign_out(struct sp_cli *cli);
int sp_cli_verb_status(struct sp_cli *cli);
int sp_cli_verb_up(struct sp_cli *cli);
int sp_cli_verb_down(struct sp_cli *cli);
int sp_cli_verb_resources(struct sp_cli *cli);
int sp_cli_verb_dns(struct sp_cli *cli);
int sp_cli_verb_internet(struct sp_cli *cli);
int sp_cli_verb_connections(struct sp_cli *cli);
int sp_cli_verb_wait(struct sp_cli *cli);
int sp_cli_verb_monitor(struct sp_cli *cli);
int sp_cli_verb_reset(struct sp_cli *cli);
int sp_cli_verb_settings(struct sp_cli *cli);
int sp_cli_verb_version(struct sp_cli *cli);
int sp_cli_verb_completion(struct sp_cli *cli);
int sp_cli_verb_help(struct sp_cli *cli);
