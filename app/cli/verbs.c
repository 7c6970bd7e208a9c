/* SPDX-License-Identifier: Apache-2.0 */
#include "app/cli/cli.h"

#include <stdio.h>
#include <string.h>

const struct sp_cli_option sp_cli_options[_SP_CLI_OPT_MAX] = {
    [SP_CLI_OPT_ACCOUNT] = { "account", "SLUG", "account to sign in to" },
    [SP_CLI_OPT_CHECK] = { "check", NULL, "exit with 8 unless connected" },
    [SP_CLI_OPT_NAME] = { "name", "NAME", "device name that the portal shows" },
    [SP_CLI_OPT_NO_BROWSER] = { "no-browser", NULL, "only print the address, open no browser" },
    [SP_CLI_OPT_SERVER] = { "server", "URL", "sign-in address of the portal" },
    [SP_CLI_OPT_STATUS] = { "status", "STATUS", "only online, offline or unknown ones" },
    [SP_CLI_OPT_SYSTEM] = { "system", NULL, "use the token of this machine, not of this user" },
    [SP_CLI_OPT_TIMEOUT] = { "timeout", "SECONDS", "give up after this time" },
    [SP_CLI_OPT_TYPE] = { "type", "TYPE", "only dns, cidr or internet ones" },
    [SP_CLI_OPT_WAIT] = { "wait", "[SECONDS]", "return when connected; 30 seconds unless given" },
};

#define OPT(name) (1u << SP_CLI_OPT_##name)

const struct sp_cli_verb sp_cli_verbs[] = {
    { "sign-in",
      "",
      "sign in with the browser and keep the token",
      "Prints an address, opens it in the browser, then asks for the link that the portal leads to "
      "(or for the token shown by its page for machines without a browser). The token goes to "
      "the key ring of the desktop; where there is none, to a file that only you can read.",
      NULL,
      OPT(SERVER) | OPT(ACCOUNT) | OPT(NO_BROWSER) | OPT(SYSTEM),
      0,
      0,
      sp_cli_verb_sign_in },
    { "sign-out",
      "",
      "disconnect and forget the token",
      "Your session with the portal in the browser is not ended.",
      NULL,
      OPT(SYSTEM),
      0,
      0,
      sp_cli_verb_sign_out },
    { "status",
      "",
      "show state, addresses, portal and connections",
      "Exits with 0 even when disconnected, unless --check is given.",
      NULL,
      OPT(CHECK),
      0,
      0,
      sp_cli_verb_status },
    { "up",
      "",
      "connect",
      "The session goes on after this program ends, until down or sign-out.",
      NULL,
      OPT(WAIT) | OPT(SYSTEM) | OPT(NAME),
      0,
      0,
      sp_cli_verb_up },
    { "down",
      "",
      "disconnect, keeping the token",
      "Does nothing when not connected.",
      NULL,
      0,
      0,
      0,
      sp_cli_verb_down },
    { "resources",
      "[list|show NAME]",
      "show what can be reached",
      "show takes a name or an id and prints one resource in full.",
      "list show",
      OPT(TYPE) | OPT(STATUS),
      0,
      2,
      sp_cli_verb_resources },
    { "dns",
      "[status|flush]",
      "show how names are resolved, or flush the cache",
      "",
      "status flush",
      0,
      0,
      1,
      sp_cli_verb_dns },
    { "internet",
      "[on|off|status]",
      "send all other traffic through the tunnel, or not",
      "The choice is kept for the next up.",
      "status on off",
      0,
      0,
      1,
      sp_cli_verb_internet },
    { "connections",
      "",
      "show the gateways in use and the paths to them",
      "",
      NULL,
      0,
      0,
      0,
      sp_cli_verb_connections },
    { "wait",
      "STATE",
      "wait until the tunnel is in a state",
      "Exits with 6 when the time is over. Without --timeout it waits for ever.",
      "connected disconnected waiting-for-network connecting disconnecting failed",
      OPT(TIMEOUT),
      1,
      1,
      sp_cli_verb_wait },
    { "monitor",
      "",
      "print events as they happen",
      "With --json one document a line.",
      NULL,
      0,
      0,
      0,
      sp_cli_verb_monitor },
    { "reset",
      "[REASON]",
      "search paths and portal anew, as after a network change",
      "",
      NULL,
      0,
      0,
      1,
      sp_cli_verb_reset },
    { "settings",
      "[show]",
      "show the settings of the tunnel service",
      "They are set in /etc/sallyport/sallyport.conf.",
      "show",
      0,
      0,
      1,
      sp_cli_verb_settings },
    { "version",
      "",
      "show the versions of program and service",
      "",
      NULL,
      0,
      0,
      0,
      sp_cli_verb_version },
    { "completion",
      "[bash]",
      "print the completion script of a shell",
      "",
      "bash",
      0,
      0,
      1,
      sp_cli_verb_completion },
    { "help", "[COMMAND]", "explain a command", "", NULL, 0, 0, 1, sp_cli_verb_help },
    { 0 },
};

const struct sp_cli_verb *
sp_cli_find_verb(const char *name)
{
    for (const struct sp_cli_verb *verb = sp_cli_verbs; verb->name; verb++) {
        if (g_str_equal(verb->name, name))
            return verb;
    }
    return NULL;
}

static void
print_options(FILE *out, guint opts)
{
    for (guint i = 0; i < _SP_CLI_OPT_MAX; i++) {
        const struct sp_cli_option *o = &sp_cli_options[i];
        g_autofree char *left = NULL;

        if (!(opts & (1u << i)))
            continue;
        if (o->arg && o->arg[0] == '[')
            left = g_strdup_printf("--%s[=%.*s]", o->name, (int)strlen(o->arg) - 2, o->arg + 1);
        else
            left = g_strconcat("--", o->name, o->arg ? " " : NULL, o->arg, NULL);
        fprintf(out, "  %-20s %s\n", left, o->text);
    }
}

static void
print_overview(void)
{
    fputs("Usage: sallyport COMMAND [OPTION...]\n\nCommands:\n", stdout);
    for (const struct sp_cli_verb *verb = sp_cli_verbs; verb->name; verb++)
        printf("  %-12s %-18s %s\n", verb->name, verb->args, verb->summary);
    fputs("\nOptions of every command:\n"
          "  --json               one JSON document instead of text\n"
          "  --quiet              no text but errors\n"
          "  --bus BUS            system (the default), session, or a D-Bus address\n"
          "  --help               explain the command\n"
          "\nExit status: 0 done, 1 failed, 2 wrong usage, 3 not signed in, 4 no tunnel service,\n"
          "5 not authorised, 6 time is over, 8 not connected.\n",
          stdout);
}

/* Words of @text in lines of at most 78 characters. */
static void
print_wrapped(const char *text)
{
    g_auto(GStrv) words = g_strsplit(text, " ", -1);
    gsize column = 0;

    for (char **word = words; *word; word++) {
        gsize n = strlen(*word);

        if (column > 0 && column + 1 + n > 78) {
            fputc('\n', stdout);
            column = 0;
        }
        printf("%s%s", column > 0 ? " " : "", *word);
        column += n + (column > 0);
    }
    fputc('\n', stdout);
}

static void
print_verb(const struct sp_cli_verb *verb)
{
    printf("Usage: sallyport %s%s%s%s\n\n%c%s.\n",
           verb->name,
           *verb->args ? " " : "",
           verb->args,
           verb->opts ? " [OPTION...]" : "",
           g_ascii_toupper(verb->summary[0]),
           verb->summary + 1);
    if (*verb->detail)
        print_wrapped(verb->detail);
    if (verb->opts) {
        fputs("\nOptions:\n", stdout);
        print_options(stdout, verb->opts);
    }
}

static void
add_verb_json(JsonBuilder *b, const struct sp_cli_verb *verb)
{
    json_builder_begin_object(b);
    json_builder_set_member_name(b, "name");
    json_builder_add_string_value(b, verb->name);
    json_builder_set_member_name(b, "args");
    json_builder_add_string_value(b, verb->args);
    json_builder_set_member_name(b, "summary");
    json_builder_add_string_value(b, verb->summary);
    json_builder_set_member_name(b, "options");
    json_builder_begin_array(b);
    for (guint i = 0; i < _SP_CLI_OPT_MAX; i++) {
        if (verb->opts & (1u << i))
            json_builder_add_string_value(b, sp_cli_options[i].name);
    }
    json_builder_end_array(b);
    json_builder_end_object(b);
}

int
sp_cli_verb_help(struct sp_cli *cli)
{
    const struct sp_cli_verb *wanted = NULL;

    if (cli->n_args > 0 && !(wanted = sp_cli_find_verb(cli->args[0])))
        return sp_cli_fail(cli, SP_CLI_USAGE, "usage", "There is no command %s.", cli->args[0]);
    if (cli->json) {
        g_autoptr(JsonBuilder) b = sp_cli_json();

        json_builder_set_member_name(b, "commands");
        json_builder_begin_array(b);
        for (const struct sp_cli_verb *verb = sp_cli_verbs; verb->name; verb++) {
            if (!wanted || verb == wanted)
                add_verb_json(b, verb);
        }
        json_builder_end_array(b);
        sp_cli_json_print(b, FALSE);
    } else if (wanted) {
        print_verb(wanted);
    } else {
        print_overview();
    }
    return SP_CLI_OK;
}

static void
append_verb_case(GString *s, const struct sp_cli_verb *verb)
{
    if (!verb->words && !verb->opts)
        return;
    g_string_append_printf(s, "    %s) words=\"", verb->name);
    g_string_append(s, verb->words ? verb->words : "");
    for (guint i = 0; i < _SP_CLI_OPT_MAX; i++) {
        const struct sp_cli_option *o = &sp_cli_options[i];

        if (verb->opts & (1u << i))
            g_string_append_printf(s, "%s--%s", s->str[s->len - 1] == '"' ? "" : " ", o->name);
    }
    g_string_append(s, "\" ;;\n");
}

static char *
bash_completion(void)
{
    GString *s = g_string_new("# SPDX-License-Identifier: Apache-2.0\n"
                              "# bash completion of sallyport, made by: sallyport completion bash\n"
                              "_sallyport() {\n"
                              "    local cur=${COMP_WORDS[COMP_CWORD]} verb='' words='' i\n"
                              "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
                              "        case ${COMP_WORDS[i]} in\n"
                              "        --bus) ((i++)) ;;\n"
                              "        -*) ;;\n"
                              "        *)\n"
                              "            verb=${COMP_WORDS[i]}\n"
                              "            break\n"
                              "            ;;\n"
                              "        esac\n"
                              "    done\n"
                              "    case $verb in\n"
                              "    \"\") words=\"");

    for (const struct sp_cli_verb *verb = sp_cli_verbs; verb->name; verb++)
        g_string_append_printf(s, "%s%s", verb == sp_cli_verbs ? "" : " ", verb->name);
    g_string_append(s, "\" ;;\n");
    for (const struct sp_cli_verb *verb = sp_cli_verbs; verb->name; verb++)
        append_verb_case(s, verb);
    g_string_append(s,
                    "    esac\n"
                    "    mapfile -t COMPREPLY < <(compgen -W "
                    "\"$words --json --quiet --bus --help\" -- \"$cur\")\n"
                    "}\n"
                    "complete -F _sallyport sallyport\n");
    return g_string_free(s, FALSE);
}

int
sp_cli_verb_completion(struct sp_cli *cli)
{
    g_autofree char *script = NULL;

    if (!g_str_equal(sp_cli_word(cli), "bash"))
        return sp_cli_fail(cli, SP_CLI_USAGE, "usage", "Only bash is known.");
    script = bash_completion();
    if (cli->json) {
        g_autoptr(JsonBuilder) b = sp_cli_json();

        json_builder_set_member_name(b, "script");
        json_builder_add_string_value(b, script);
        sp_cli_json_print(b, FALSE);
    } else {
        fputs(script, stdout);
    }
    return SP_CLI_OK;
}
