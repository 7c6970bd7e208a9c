/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "app/cli/cli.h"
#include "app/cli/output.h"
#include "app/common/log.h"

#define SECONDS_MAX 86400.0

int
sp_cli_fail(struct sp_cli *cli, int status, const char *code, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, format);
    text = g_strdup_vprintf(format, ap);
    va_end(ap);
    if (cli->json) {
        g_autoptr(JsonBuilder) b = sp_cli_json();

        json_builder_set_member_name(b, "error");
        json_builder_begin_object(b);
        json_builder_set_member_name(b, "code");
        json_builder_add_string_value(b, code);
        json_builder_set_member_name(b, "text");
        json_builder_add_string_value(b, text);
        json_builder_set_member_name(b, "exit");
        json_builder_add_int_value(b, status);
        json_builder_end_object(b);
        sp_cli_json_print(b, FALSE);
    } else {
        g_autofree char *clean = sp_cli_printable(text);

        fprintf(stderr, "sallyport: %s\n", clean);
    }
    return status;
}

void
sp_cli_say(struct sp_cli *cli, const char *format, ...)
{
    g_autofree char *text = NULL, *clean = NULL;
    va_list ap;

    if (cli->json || cli->quiet)
        return;
    va_start(ap, format);
    text = g_strdup_vprintf(format, ap);
    va_end(ap);
    clean = sp_cli_printable(text);
    puts(clean);
}

JsonBuilder *
sp_cli_json(void)
{
    JsonBuilder *b = json_builder_new();

    json_builder_begin_object(b);
    json_builder_set_member_name(b, "schema");
    json_builder_add_int_value(b, 1);
    return b;
}

void
sp_cli_json_print(JsonBuilder *builder, gboolean one_line)
{
    g_autoptr(JsonNode) root = NULL;
    g_autofree char *text = NULL;

    json_builder_end_object(builder);
    root = json_builder_get_root(builder);
    text = json_to_string(root, !one_line);
    puts(text);
    fflush(stdout);
}

const char *
sp_cli_word(const struct sp_cli *cli)
{
    static char word[32];

    if (cli->n_args > 0)
        return cli->args[0];
    g_strlcpy(word, cli->verb->words, sizeof word);
    word[strcspn(word, " ")] = '\0';
    return word;
}

gboolean
sp_cli_seconds(struct sp_cli *cli, enum sp_cli_opt opt, guint fallback, guint *ret_ms)
{
    const char *text = cli->opt[opt];
    char *end = NULL;
    double value;

    *ret_ms = fallback;
    if (!text || !*text)
        return TRUE;
    value = g_ascii_strtod(text, &end);
    if (*end || !(value >= 0.1 && value <= SECONDS_MAX)) {
        sp_cli_fail(cli,
                    SP_CLI_USAGE,
                    "usage",
                    "--%s takes seconds, 0.1 to 86400.",
                    sp_cli_options[opt].name);
        return FALSE;
    }
    *ret_ms = (guint)(value * 1000.0);
    return TRUE;
}

static gboolean
is_flag(const char *arg, const char *name)
{
    return g_str_has_prefix(arg, "--") && g_str_equal(arg + 2, name);
}

/* "--name=value" or "--name value"; *ret stays NULL when @arg is another option. */
static gboolean
take_value(char ***argv, const char *name, const char **ret)
{
    const char *arg = **argv + 2;
    size_t n = strlen(name);

    if (strncmp(arg, name, n) != 0 || (arg[n] && arg[n] != '='))
        return TRUE;
    if (arg[n] == '=') {
        *ret = arg + n + 1;
        return TRUE;
    }
    if (!(*argv)[1])
        return FALSE;
    *ret = *++*argv;
    return TRUE;
}

/* Takes an option of the verb at **argv; FALSE when the verb has none of that name. */
static gboolean
take_verb_option(struct sp_cli *cli, char ***argv)
{
    for (guint i = 0; i < _SP_CLI_OPT_MAX; i++) {
        const struct sp_cli_option *o = &sp_cli_options[i];
        const char *value = NULL;

        if (!(cli->verb->opts & (1u << i)))
            continue;
        if (is_flag(**argv, o->name) && (!o->arg || o->arg[0] == '[')) {
            cli->opt[i] = "";
            return TRUE;
        }
        if (!o->arg)
            continue;
        if (!take_value(argv, o->name, &value))
            return FALSE;
        if (value) {
            cli->opt[i] = value;
            return TRUE;
        }
    }
    return FALSE;
}

/* Options that need no verb; @ret_help is set by --help. FALSE: not one of them. */
static gboolean
take_global_option(struct sp_cli *cli, char ***argv, gboolean *ret_help)
{
    const char *arg = **argv;
    const char *value = NULL;

    if (is_flag(arg, "json")) {
        cli->json = TRUE;
    } else if (is_flag(arg, "quiet") || g_str_equal(arg, "-q")) {
        cli->quiet = TRUE;
    } else if (is_flag(arg, "help") || g_str_equal(arg, "-h")) {
        *ret_help = TRUE;
    } else if (is_flag(arg, "version") && !cli->verb) {
        cli->verb = sp_cli_find_verb("version");
    } else {
        if (!g_str_has_prefix(arg, "--") || !take_value(argv, "bus", &value) || !value)
            return FALSE;
        cli->bus = value;
    }
    return TRUE;
}

static int
take_argument(struct sp_cli *cli, const char *arg)
{
    if (!cli->verb) {
        cli->verb = sp_cli_find_verb(arg);
        if (!cli->verb)
            return sp_cli_fail(cli,
                               SP_CLI_USAGE,
                               "usage",
                               "There is no command %s. For a list: sallyport help",
                               arg);
        return SP_CLI_OK;
    }
    if (cli->n_args == cli->verb->max_args)
        return sp_cli_fail(cli,
                           SP_CLI_USAGE,
                           "usage",
                           "Too many words. See: sallyport help %s",
                           cli->verb->name);
    cli->args[cli->n_args++] = arg;
    return SP_CLI_OK;
}

static gboolean
has_word(const char *words, const char *word)
{
    g_auto(GStrv) list = g_strsplit(words, " ", -1);

    return g_strv_contains((const char *const *)list, word);
}

static int
check_arguments(struct sp_cli *cli)
{
    const struct sp_cli_verb *verb = cli->verb;

    if (cli->n_args < verb->min_args)
        return sp_cli_fail(cli,
                           SP_CLI_USAGE,
                           "usage",
                           "Usage: sallyport %s %s",
                           verb->name,
                           verb->args);
    if (cli->n_args > 0 && verb->words && !has_word(verb->words, cli->args[0]))
        return sp_cli_fail(cli,
                           SP_CLI_USAGE,
                           "usage",
                           "%s does not know %s. It takes: %s",
                           verb->name,
                           cli->args[0],
                           verb->words);
    return SP_CLI_OK;
}

static int
parse(struct sp_cli *cli, char **argv)
{
    gboolean help = FALSE, only_arguments = FALSE;
    int status = SP_CLI_OK;

    /* Errors found on the way must be reported as asked for, wherever --json stands. */
    for (char **a = argv + 1; *a && !g_str_equal(*a, "--"); a++)
        cli->json |= is_flag(*a, "json");
    for (char **a = argv + 1; *a && status == SP_CLI_OK; a++) {
        if (only_arguments || (*a)[0] != '-' || !(*a)[1])
            status = take_argument(cli, *a);
        else if (g_str_equal(*a, "--"))
            only_arguments = TRUE;
        else if (!take_global_option(cli, &a, &help)
                 && !(cli->verb && g_str_has_prefix(*a, "--") && take_verb_option(cli, &a)))
            status = sp_cli_fail(cli,
                                 SP_CLI_USAGE,
                                 "usage",
                                 "Unknown option, or its value is missing: %s. See: sallyport help",
                                 *a);
    }
    if (status != SP_CLI_OK)
        return status;
    if (!cli->verb && !help)
        return sp_cli_fail(cli,
                           SP_CLI_USAGE,
                           "usage",
                           "What should be done? For a list: sallyport help");
    if (help) {
        if (cli->verb)
            cli->args[0] = cli->verb->name;
        cli->n_args = cli->verb ? 1 : 0;
        cli->verb = sp_cli_find_verb("help");
    }
    return check_arguments(cli);
}

int
main(int argc, char **argv)
{
    struct sp_cli cli = { .bus = "system" };
    g_autofree const char **args = g_new0(const char *, (gsize)argc + 1);
    int status;

    setlocale(LC_ALL, "");
    g_set_prgname("sallyport");
    sp_app_log_setup(G_LOG_LEVEL_WARNING);
    cli.args = args;
    if (sodium_init() < 0)
        return sp_cli_fail(&cli, SP_CLI_FAILURE, "internal", "There is no source of randomness.");
    status = parse(&cli, argv);
    if (status == SP_CLI_OK)
        status = cli.verb->run(&cli);
    g_clear_object(&cli.proxy);
    g_clear_object(&cli.connection);
    if (fflush(stdout) != 0 && errno != EPIPE && status == SP_CLI_OK)
        status = sp_cli_fail(&cli, SP_CLI_FAILURE, "io", "Cannot write the result.");
    return status;
}
