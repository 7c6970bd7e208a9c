/* SPDX-License-Identifier: Apache-2.0 */
#include "app/gateway/options.h"

#include <string.h>

#include "app/platform/tun.h"
#include "app/platform/udp.h"

#define DEFAULT_STATE_DIR     "/var/lib/sallyport-gateway"
#define DEFAULT_MAX_PARTITION (24 * 3600)
#define TOKEN_MAX             (64 * 1024)

static const char description[] =
    "The token comes from, first hit wins: $SALLYPORT_TOKEN, --token-file, the service manager's\n"
    "credential SALLYPORT_TOKEN. It is never given on the command line.\n\n"
    "Exit status: 0 after SIGTERM or SIGINT, 1 on an error, 2 on wrong usage.\n";

static gboolean
add_entries(struct gateway_options *opt, int *argc, char ***argv, GError **error)
{
    GOptionEntry entries[] = {
        { "api-url",
          'u',
          0,
          G_OPTION_ARG_STRING,
          &opt->api_url,
          "Portal, e.g. wss://portal.example.com ($SALLYPORT_API_URL)",
          "URL" },
        { "token-file",
          't',
          0,
          G_OPTION_ARG_FILENAME,
          &opt->token_file,
          "File with the gateway token of the site",
          "FILE" },
        { "name",
          'n',
          0,
          G_OPTION_ARG_STRING,
          &opt->name,
          "Name shown by the portal (default: the host name)",
          "NAME" },
        { "id",
          'i',
          0,
          G_OPTION_ARG_STRING,
          &opt->id,
          "Identity of this gateway (default: derived from the machine id)",
          "ID" },
        { "interface",
          0,
          0,
          G_OPTION_ARG_STRING,
          &opt->interface,
          "Name of the tunnel interface (default: " SP_TUN_DEFAULT_NAME ")",
          "NAME" },
        { "listen-port",
          'p',
          0,
          G_OPTION_ARG_INT,
          &opt->listen_port,
          "Preferred UDP port (default: 52625)",
          "PORT" },
        { "no-nat",
          0,
          0,
          G_OPTION_ARG_NONE,
          &opt->no_nat,
          "Do not install masquerading and forwarding",
          NULL },
        { "max-partition",
          'm',
          0,
          G_OPTION_ARG_INT,
          &opt->max_partition_s,
          "Exit after so many seconds without the portal (default: 86400)",
          "SECONDS" },
        { "state-dir",
          0,
          0,
          G_OPTION_ARG_FILENAME,
          &opt->state_dir,
          "Where the identity is kept (default: " DEFAULT_STATE_DIR ")",
          "DIR" },
        { "log-filter",
          'l',
          0,
          G_OPTION_ARG_STRING,
          &opt->log_filter,
          "LEVEL[,CATEGORY=LEVEL...] (default: info; $SALLYPORT_LOG)",
          "FILTER" },
        { "version", 'V', 0, G_OPTION_ARG_NONE, &opt->version, "Print the version", NULL },
        G_OPTION_ENTRY_NULL,
    };
    g_autoptr(GOptionContext) context = g_option_context_new("- gateway of a private network");

    g_option_context_set_description(context, description);
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, argc, argv, error))
        return FALSE;
    if (*argc > 1) {
        g_set_error(error,
                    G_OPTION_ERROR,
                    G_OPTION_ERROR_FAILED,
                    "unexpected argument; a token is never given on the command line");
        return FALSE;
    }
    return TRUE;
}

static void
default_from_env(char **value, const char *variable, const char *fallback)
{
    const char *env = variable ? g_getenv(variable) : NULL;

    if (*value == NULL)
        *value = g_strdup(env && *env ? env : fallback);
}

static gboolean
check_ranges(const struct gateway_options *opt, GError **error)
{
    if (opt->listen_port < 0 || opt->listen_port > 65535 || opt->max_partition_s < 0) {
        g_set_error(error,
                    G_OPTION_ERROR,
                    G_OPTION_ERROR_BAD_VALUE,
                    "a number is out of its range");
        return FALSE;
    }
    if (opt->api_url == NULL) {
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
find_token(const struct gateway_options *opt, GError **error)
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
                "no gateway token: create one on the portal (sallyport-portal token create --site"
                " NAME) and pass it with --token-file");
    return NULL;
}

gboolean
gateway_options_parse(struct gateway_options *opt, int *argc, char ***argv, GError **error)
{
    *opt = (struct gateway_options){ .listen_port = SP_UDP_DEFAULT_PORT,
                                     .max_partition_s = DEFAULT_MAX_PARTITION };
    if (!add_entries(opt, argc, argv, error))
        return FALSE;
    if (opt->version)
        return TRUE;
    default_from_env(&opt->api_url, "SALLYPORT_API_URL", NULL);
    default_from_env(&opt->id, "SALLYPORT_ID", NULL);
    default_from_env(&opt->name, "SALLYPORT_NAME", NULL);
    default_from_env(&opt->interface, NULL, SP_TUN_DEFAULT_NAME);
    default_from_env(&opt->state_dir, "STATE_DIRECTORY", DEFAULT_STATE_DIR);
    default_from_env(&opt->log_filter, "SALLYPORT_LOG", "info");
    if (!check_ranges(opt, error))
        return FALSE;
    opt->token = find_token(opt, error);
    return opt->token != NULL;
}

void
gateway_options_done(struct gateway_options *opt)
{
    g_free(opt->api_url);
    g_free(opt->token_file);
    g_free(opt->name);
    g_free(opt->id);
    g_free(opt->interface);
    g_free(opt->state_dir);
    g_free(opt->log_filter);
    g_clear_pointer(&opt->token, g_bytes_unref);
}
