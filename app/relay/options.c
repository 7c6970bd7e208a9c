/* SPDX-License-Identifier: Apache-2.0 */
#include "app/relay/options.h"

#include <string.h>

#define TOKEN_MAX (64 * 1024)
#define DRAIN_MAX (24 * 3600)
#define RATE_MAX  1000000

/* Everything that is a text at first: from the flag, else the variable, else the default. */
enum {
    OPT_API_URL,
    OPT_TOKEN_FILE,
    OPT_NAME,
    OPT_PUBLIC4,
    OPT_PUBLIC6,
    OPT_BIND4,
    OPT_BIND6,
    OPT_LISTEN_PORT,
    OPT_LOWEST_PORT,
    OPT_HIGHEST_PORT,
    OPT_HEALTH,
    OPT_RATE,
    OPT_BURST,
    OPT_DENY,
    OPT_DRAIN,
    OPT_LOG,
    OPT_CHANNEL_MAX,
    OPT_TEST_USER,
    OPT_MAX
};

static const struct {
    const char *flag, *variable, *fallback, *help, *arg;
} texts[OPT_MAX] = {
    [OPT_API_URL] = { "api-url",
                      "SALLYPORT_API_URL",
                      NULL,
                      "Portal, e.g. wss://portal.example.com",
                      "URL" },
    [OPT_TOKEN_FILE] = { "token-file", NULL, NULL, "File with the relay token", "FILE" },
    [OPT_NAME] = { "name", "SALLYPORT_NAME", NULL, "Name shown by the portal", "NAME" },
    [OPT_PUBLIC4] = { "public-ip4",
                      "SALLYPORT_PUBLIC_IP4_ADDR",
                      NULL,
                      "Announced IPv4 address; none: IPv4 is not served",
                      "ADDR" },
    [OPT_PUBLIC6] = { "public-ip6",
                      "SALLYPORT_PUBLIC_IP6_ADDR",
                      NULL,
                      "Announced IPv6 address; none: IPv6 is not served",
                      "ADDR" },
    [OPT_BIND4] = { "bind-ip4",
                    "SALLYPORT_BIND_IP4_ADDR",
                    "0.0.0.0",
                    "Local IPv4 address",
                    "ADDR" },
    [OPT_BIND6] = { "bind-ip6", "SALLYPORT_BIND_IP6_ADDR", "::", "Local IPv6 address", "ADDR" },
    [OPT_LISTEN_PORT] = { "listen-port", "SALLYPORT_LISTEN_PORT", "3478", "Default: 3478", "PORT" },
    [OPT_LOWEST_PORT] = { "lowest-port",
                          "SALLYPORT_LOWEST_PORT",
                          "49152",
                          "First port of allocations (default: 49152)",
                          "PORT" },
    [OPT_HIGHEST_PORT] = { "highest-port",
                           "SALLYPORT_HIGHEST_PORT",
                           "65535",
                           "Last port of allocations (default: 65535)",
                           "PORT" },
    [OPT_HEALTH] = { "health-check-addr",
                     "SALLYPORT_HEALTH_CHECK_ADDR",
                     "0.0.0.0:8080",
                     "Where to answer health checks; \"none\" for nowhere (default: 0.0.0.0:8080)",
                     "ADDR:PORT" },
    [OPT_RATE] = { "rate",
                   "SALLYPORT_RATE",
                   "50",
                   "Unauthenticated replies per second and source; 0: no limit (default: 50)",
                   "N" },
    [OPT_BURST] = { "burst", "SALLYPORT_BURST", "100", "How many at once (default: 100)", "N" },
    [OPT_DENY] = { "deny-peer",
                   "SALLYPORT_DENY_PEER",
                   NULL,
                   "Networks no client may reach through the relay",
                   "CIDR[,CIDR...]" },
    [OPT_DRAIN] = { "drain-seconds",
                    "SALLYPORT_DRAIN_SECONDS",
                    "0",
                    "After SIGTERM, serve existing allocations for so long (default: 0)",
                    "N" },
    [OPT_LOG] = { "log-filter",
                  "SALLYPORT_LOG",
                  "info",
                  "LEVEL[,CATEGORY=LEVEL...] (default: info)",
                  "FILTER" },
    [OPT_CHANNEL_MAX] = { "channel-max",
                          NULL,
                          NULL,
                          "For tests: highest channel number, 4 hex digits",
                          "HEX" },
    [OPT_TEST_USER] = { "test-user",
                        NULL,
                        NULL,
                        "For tests: an account; its password is $SALLYPORT_TEST_PASSWORD",
                        "NAME" },
};

static const char description[] =
    "Every option but the ones for tests can be given as a variable: SALLYPORT_API_URL,\n"
    "SALLYPORT_PUBLIC_IP4_ADDR, SALLYPORT_LISTEN_PORT and so on; see sallyport-relay(8).\n\n"
    "The token comes from, first hit wins: $SALLYPORT_TOKEN, --token-file, the service manager's\n"
    "credential SALLYPORT_TOKEN. It is never given on the command line.\n\n"
    "Exit status: 0 after SIGTERM or SIGINT, 1 on an error, 2 on wrong usage.\n";

static gboolean
usage(GError **error, const char *what, const char *value)
{
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "%s: \"%s\"", what, value);
    return FALSE;
}

static gboolean
parse_line(struct relay_options *opt,
           char *values[OPT_MAX],
           int *argc,
           char ***argv,
           GError **error)
{
    const GOptionEntry switches[] = {
        { "standalone", 0, 0, G_OPTION_ARG_NONE, &opt->standalone, "For tests: no portal", NULL },
        { "multi-alloc",
          0,
          0,
          G_OPTION_ARG_NONE,
          &opt->multi_alloc,
          "For tests: several allocations of one user",
          NULL },
        { "version", 'V', 0, G_OPTION_ARG_NONE, &opt->version, "Print the version", NULL },
        G_OPTION_ENTRY_NULL,
    };
    g_autoptr(GOptionContext) context = g_option_context_new("- TURN relay");
    GOptionEntry entries[OPT_MAX + 1] = { 0 };

    for (int i = 0; i < OPT_MAX; i++)
        entries[i] = (GOptionEntry){ .long_name = texts[i].flag,
                                     .arg = G_OPTION_ARG_STRING,
                                     .arg_data = &values[i],
                                     .description = texts[i].help,
                                     .arg_description = texts[i].arg };
    g_option_context_set_description(context, description);
    g_option_context_add_main_entries(context, entries, NULL);
    g_option_context_add_main_entries(context, switches, NULL);
    if (!g_option_context_parse(context, argc, argv, error))
        return FALSE;
    if (*argc > 1) {
        g_set_error(error,
                    G_OPTION_ERROR,
                    G_OPTION_ERROR_FAILED,
                    "unexpected argument; a token is never given on the command line");
        return FALSE;
    }
    for (int i = 0; i < OPT_MAX; i++) {
        const char *env = texts[i].variable ? g_getenv(texts[i].variable) : NULL;

        if (values[i] == NULL)
            values[i] = g_strdup(env && *env ? env : texts[i].fallback);
    }
    return TRUE;
}

static gboolean
take_ip(char *values[OPT_MAX], int which, uint8_t family, struct sp_ip *ret, GError **error)
{
    if (values[which] == NULL)
        return TRUE;
    if (sp_ip_parse(values[which], ret) < 0 || ret->family != family)
        return usage(error, "not an address of that family", values[which]);
    return TRUE;
}

static gboolean
take_number(char *values[OPT_MAX], int which, uint32_t max, uint32_t *ret, GError **error)
{
    if (sp_parse_u32(values[which], strlen(values[which]), max, ret) < 0)
        return usage(error, "not a number, or out of range", values[which]);
    return TRUE;
}

static gboolean
take_ports(struct relay_options *opt, char *values[OPT_MAX], GError **error)
{
    uint32_t listen, lowest, highest;

    if (!take_number(values, OPT_LISTEN_PORT, 65535, &listen, error)
        || !take_number(values, OPT_LOWEST_PORT, 65535, &lowest, error)
        || !take_number(values, OPT_HIGHEST_PORT, 65535, &highest, error))
        return FALSE;
    if (lowest == 0 || highest < lowest)
        return usage(error, "the range of ports is empty", values[OPT_LOWEST_PORT]);
    opt->listen_port = (uint16_t)listen;
    opt->lowest_port = (uint16_t)lowest;
    opt->highest_port = (uint16_t)highest;
    return TRUE;
}

static gboolean
take_deny(struct relay_options *opt, const char *list, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(list ? list : "", ",", -1);

    for (int i = 0; parts[i]; i++) {
        if (opt->n_deny == SP_RELAY_DENY_MAX)
            return usage(error, "too many networks", list);
        if (sp_cidr_parse(g_strstrip(parts[i]), &opt->deny[opt->n_deny]) < 0)
            return usage(error, "not a network", parts[i]);
        opt->n_deny++;
    }
    return TRUE;
}

static gboolean
take_tests(struct relay_options *opt, char *values[OPT_MAX], GError **error)
{
    const char *password = g_getenv("SALLYPORT_TEST_PASSWORD");
    guint64 channel;

    if (values[OPT_CHANNEL_MAX]) {
        if (!g_ascii_string_to_unsigned(values[OPT_CHANNEL_MAX],
                                        16,
                                        0x4000,
                                        0x7fff,
                                        &channel,
                                        error))
            return FALSE;
        opt->channel_max = (uint16_t)channel;
    }
    if (!values[OPT_TEST_USER])
        return TRUE;
    if (!password || !*password)
        return usage(error, "no $SALLYPORT_TEST_PASSWORD for", values[OPT_TEST_USER]);
    opt->test_user = g_steal_pointer(&values[OPT_TEST_USER]);
    opt->test_password = g_strdup(password);
    g_unsetenv("SALLYPORT_TEST_PASSWORD");
    return TRUE;
}

static gboolean
take_values(struct relay_options *opt, char *values[OPT_MAX], GError **error)
{
    if (!take_ip(values, OPT_PUBLIC4, 4, &opt->public4, error)
        || !take_ip(values, OPT_PUBLIC6, 6, &opt->public6, error)
        || !take_ip(values, OPT_BIND4, 4, &opt->bind4, error)
        || !take_ip(values, OPT_BIND6, 6, &opt->bind6, error) || !take_ports(opt, values, error)
        || !take_number(values, OPT_RATE, RATE_MAX, &opt->rate, error)
        || !take_number(values, OPT_BURST, RATE_MAX, &opt->burst, error)
        || !take_number(values, OPT_DRAIN, DRAIN_MAX, &opt->drain_s, error)
        || !take_deny(opt, values[OPT_DENY], error) || !take_tests(opt, values, error))
        return FALSE;
    if (!opt->public4.family && !opt->public6.family) {
        g_set_error(error,
                    G_OPTION_ERROR,
                    G_OPTION_ERROR_FAILED,
                    "no public address given: use --public-ip4 or --public-ip6");
        return FALSE;
    }
    opt->api_url = g_steal_pointer(&values[OPT_API_URL]);
    opt->token_file = g_steal_pointer(&values[OPT_TOKEN_FILE]);
    opt->name = g_steal_pointer(&values[OPT_NAME]);
    opt->log_filter = g_steal_pointer(&values[OPT_LOG]);
    if (strcmp(values[OPT_HEALTH], "none") != 0)
        opt->health = g_steal_pointer(&values[OPT_HEALTH]);
    if (opt->api_url == NULL && !opt->standalone) {
        g_set_error(error,
                    G_OPTION_ERROR,
                    G_OPTION_ERROR_FAILED,
                    "no portal given: use --api-url wss://portal.example.com");
        return FALSE;
    }
    return TRUE;
}

static GBytes *
read_token(const char *path, GError **error)
{
    g_autofree char *text = NULL;
    gsize n;

    if (!g_file_get_contents(path, &text, &n, error))
        return NULL;
    if (n == 0 || n > TOKEN_MAX) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "%s holds no token", path);
        return NULL;
    }
    return g_bytes_new_take(g_steal_pointer(&text), n);
}

static GBytes *
find_token(const struct relay_options *opt, GError **error)
{
    const char *env = g_getenv("SALLYPORT_TOKEN");
    const char *dir = g_getenv("CREDENTIALS_DIRECTORY");
    g_autofree char *credential = NULL;

    if (env && *env) {
        GBytes *token = g_bytes_new(env, strlen(env));

        g_unsetenv("SALLYPORT_TOKEN"); /* not for children and /proc */
        return token;
    }
    if (opt->token_file)
        return read_token(opt->token_file, error);
    if (dir) {
        credential = g_build_filename(dir, "SALLYPORT_TOKEN", NULL);
        return read_token(credential, error);
    }
    g_set_error(error,
                G_FILE_ERROR,
                G_FILE_ERROR_NOENT,
                "no relay token: create one on the portal and pass it with --token-file");
    return NULL;
}

gboolean
relay_options_parse(struct relay_options *opt, int *argc, char ***argv, GError **error)
{
    char *values[OPT_MAX] = { NULL };
    gboolean ok;

    *opt = (struct relay_options){ 0 };
    ok = parse_line(opt, values, argc, argv, error);
    if (ok && !opt->version)
        ok = take_values(opt, values, error);
    for (int i = 0; i < OPT_MAX; i++)
        g_free(values[i]);
    if (!ok || opt->version || opt->standalone)
        return ok;
    opt->token = find_token(opt, error);
    return opt->token != NULL;
}

void
relay_options_done(struct relay_options *opt)
{
    g_free(opt->api_url);
    g_free(opt->token_file);
    g_free(opt->name);
    g_free(opt->log_filter);
    g_free(opt->health);
    g_free(opt->test_user);
    g_free(opt->test_password);
    g_clear_pointer(&opt->token, g_bytes_unref);
}
