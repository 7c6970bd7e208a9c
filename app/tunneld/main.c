/* SPDX-License-Identifier: Apache-2.0 */
/* Options, signals and exit codes of sallyport-tunneld. */
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <glib-unix.h>
#include <sodium.h>

#include "app/common/engine-log.h"
#include "app/common/sd-notify.h"
#include "app/platform/network-watch.h"
#include "app/tunneld/bus.h"
#include "app/tunneld/token.h"

#define GOODBYE_MS 1500

struct service {
    struct sp_td_config config;
    struct sp_engine_log log;
    struct sp_td_session *session;
    struct sp_td_bus *bus; /* NULL with --no-bus */
    struct sp_network_watch *watch;
    GMainLoop *loop;
    int status;
};

struct options {
    char *config;
    char *bus;
    gboolean no_bus;
    gboolean connect;
    gboolean version;
    GPtrArray *values; /* "key=value" to put over the file */
};

/* ---- news -------------------------------------------------------------------------------------- */

static void
finish(struct service *s, int status)
{
    if (status)
        s->status = status;
    g_main_loop_quit(s->loop);
}

static void
on_status(void *ctx)
{
    struct service *s = ctx;

    if (s->bus)
        sp_td_bus_status_changed(s->bus);
}

static void
on_state(void *ctx, enum sp_td_state new_state, enum sp_td_state old_state)
{
    struct service *s = ctx;
    g_autofree char *text = g_strdup_printf("STATUS=%s", sp_td_state_name(new_state));

    sp_sd_notify(text);
    if (s->bus)
        sp_td_bus_state_changed(s->bus, new_state, old_state);
    else if (new_state == SP_TD_CONNECTED)
        sp_sd_notify("READY=1");
}

static void
on_resources(void *ctx)
{
    struct service *s = ctx;

    if (s->bus)
        sp_td_bus_resources_changed(s->bus);
}

static void
on_offline(void *ctx, const struct sp_uuid *resource)
{
    struct service *s = ctx;

    if (s->bus)
        sp_td_bus_gateways_offline(s->bus, resource);
}

static void
on_mismatch(void *ctx, const struct sp_uuid *resource)
{
    struct service *s = ctx;

    if (s->bus)
        sp_td_bus_version_mismatch(s->bus, resource);
}

static void
on_ended(void *ctx, const char *reason, bool requires_sign_in, const char *message)
{
    struct service *s = ctx;

    if (s->bus) {
        sp_td_bus_ended(s->bus, reason, requires_sign_in);
        return;
    }
    fprintf(stderr, "sallyport-tunneld: %s: %s\n", reason, message);
    if (requires_sign_in)
        fprintf(stderr,
                "The token is not valid any more. Sign in again (sallyport sign-in --system) or put"
                " a new token into the token file.\n");
    finish(s, 1);
}

static const struct sp_td_session_ops session_ops = {
    .state_changed = on_state,
    .status_changed = on_status,
    .resources_changed = on_resources,
    .gateways_offline = on_offline,
    .version_mismatch = on_mismatch,
    .ended = on_ended,
};

static void
on_network(void *ctx, enum sp_network_event event)
{
    struct service *s = ctx;

    sp_td_session_reset(s->session, sp_network_event_name(event));
}

static void
watch_network(struct service *s, const char *bus)
{
    struct sp_network_watch_options options = {
        .bus = bus,
        .ifname = s->config.interface,
        .mark = s->config.mark,
        .log = &s->log.log,
        .changed = on_network,
        .ctx = s,
    };

    s->watch = sp_network_watch_new(&options);
}

/* ---- signals ----------------------------------------------------------------------------------- */

static gboolean
end_cb(void *data)
{
    finish(data, 0);
    return G_SOURCE_CONTINUE;
}

static gboolean
hangup_cb(void *data)
{
    struct service *s = data;

    sp_td_session_reset(s->session, "SIGHUP");
    return G_SOURCE_CONTINUE;
}

/* ---- options ----------------------------------------------------------------------------------- */

static gboolean
value_cb(const char *option, const char *value, void *data, SP_UNUSED GError **error)
{
    struct options *o = data;

    g_ptr_array_add(o->values, g_strdup_printf("%s=%s", option + strlen("--"), value));
    return TRUE;
}

#define VALUE(name, text, arg)                                         \
    {                                                                  \
        name, 0, 0, G_OPTION_ARG_CALLBACK, (void *)value_cb, text, arg \
    }

static gboolean
parse_options(struct options *o, int *argc, char ***argv, GError **error)
{
    const GOptionEntry entries[] = {
        { "config",
          0,
          0,
          G_OPTION_ARG_FILENAME,
          &o->config,
          "Configuration file (" SP_TD_CONFIG_PATH ")",
          "FILE" },
        { "bus",
          0,
          0,
          G_OPTION_ARG_STRING,
          &o->bus,
          "Serve on this bus (system)",
          "system|ADDRESS" },
        { "no-bus",
          0,
          0,
          G_OPTION_ARG_NONE,
          &o->no_bus,
          "Run one session without D-Bus; implies --connect",
          NULL },
        { "connect",
          0,
          0,
          G_OPTION_ARG_NONE,
          &o->connect,
          "Start a session with the token of " SP_TD_TOKEN_ENV " or the token file",
          NULL },
        VALUE("token-file", "Token file (" SP_TD_TOKEN_PATH ")", "FILE"),
        VALUE("api-url", "Portal, e.g. wss://portal.example.org", "URL"),
        VALUE("interface", "Name of the tunnel interface (tun-sallyport)", "NAME"),
        VALUE("listen-port", "Preferred UDP port (52625), 0 for any", "PORT"),
        VALUE("mark", "Mark of packets that go around the tunnel (0x5a110001)", "NUMBER"),
        VALUE("dns-control", "auto, resolv-conf or disabled", "METHOD"),
        VALUE("resolv-conf", "Resolver file to manage (/etc/resolv.conf)", "PATH"),
        VALUE("name", "Name of this device in the portal (host name)", "NAME"),
        VALUE("device-id", "Id of this device in the portal", "ID"),
        VALUE("max-partition-time", "Wait at most so long for a lost portal (2592000)", "SECONDS"),
        VALUE("internet-resource", "Use the Internet resource (false)", "true|false"),
        VALUE("log-filter",
              "Log levels: error, warn, info, debug, trace (info)",
              "LEVEL[,CATEGORY=LEVEL...]"),
        { "version", 0, 0, G_OPTION_ARG_NONE, &o->version, "Print the version", NULL },
        { 0 },
    };
    g_autoptr(GOptionContext) context = g_option_context_new("- the tunnel service of Sallyport");
    GOptionGroup *group = g_option_group_new(NULL, NULL, NULL, o, NULL);

    g_option_group_add_entries(group, entries);
    g_option_context_set_main_group(context, group);
    g_option_context_set_description(
        context,
        "Exit status: 0 ended as asked, 1 failed, 2 wrong usage. See sallyport-tunneld(8).\n");
    if (!g_option_context_parse(context, argc, argv, error))
        return FALSE;
    if (*argc > 1) {
        g_set_error(error,
                    G_OPTION_ERROR,
                    G_OPTION_ERROR_BAD_VALUE,
                    "unexpected argument \"%s\"",
                    (*argv)[1]);
        return FALSE;
    }
    return TRUE;
}

static gboolean
load_config(struct sp_td_config *config, const struct options *o, GError **error)
{
    const char *path = o->config ? o->config : SP_TD_CONFIG_PATH;

    if (!sp_td_config_load(config, path, o->config != NULL, error))
        return FALSE;
    for (guint i = 0; i < o->values->len; i++) {
        char *key = g_ptr_array_index(o->values, i);
        char *equals = strchr(key, '=');

        *equals = '\0';
        if (!sp_td_config_set(config, key, equals + 1, error)) {
            g_prefix_error(error, "--");
            return FALSE;
        }
    }
    return TRUE;
}

/* ---- running ----------------------------------------------------------------------------------- */

static gboolean
connect_own(struct service *s, GBytes *env_token, GError **error)
{
    g_autoptr(GBytes) secret =
        env_token ? g_bytes_ref(env_token) : sp_td_token_load(s->config.token_file, error);
    struct sp_td_session_start start = {
        .token = secret,
        .internet = s->config.internet_resource,
    };

    if (!secret || !sp_td_session_start(s->session, &start, error))
        return FALSE;
    if (s->bus)
        sp_td_bus_adopt(s->bus);
    return TRUE;
}

static void
acquired(void *ctx)
{
    struct service *s = ctx;

    SP_INFO(&s->log.log, APP, "serving " SP_TD_BUS_NAME);
    sp_sd_notify("READY=1");
}

static void
lost(void *ctx)
{
    struct service *s = ctx;

    fputs("sallyport-tunneld: the name " SP_TD_BUS_NAME " is taken, forbidden or lost\n", stderr);
    finish(s, 1);
}

static gboolean
open_bus(struct service *s, const char *where, GError **error)
{
    struct sp_td_bus_options options = {
        .address = where,
        .config = &s->config,
        .log = &s->log.log,
        .session = s->session,
        .acquired = acquired,
        .lost = lost,
        .ctx = s,
    };

    s->bus = sp_td_bus_new(&options, error);
    return s->bus != NULL;
}

static void
shut_down(struct service *s)
{
    sp_sd_notify("STOPPING=1");
    if (s->bus)
        sp_td_bus_terminating(s->bus, s->status ? "failed" : "shutdown");
    sp_td_session_stop(s->session, "");
    sp_td_session_flush(s->session, GOODBYE_MS);
    g_clear_pointer(&s->watch, sp_network_watch_free);
    g_clear_pointer(&s->bus, sp_td_bus_free);
    g_clear_pointer(&s->session, sp_td_session_free);
}

static int
run(struct service *s, const struct options *o, GBytes *env_token)
{
    g_autoptr(GError) error = NULL;

    s->loop = g_main_loop_new(NULL, FALSE);
    g_unix_signal_add(SIGTERM, end_cb, s);
    g_unix_signal_add(SIGINT, end_cb, s);
    g_unix_signal_add(SIGHUP, hangup_cb, s);
    /* Undoes what a crashed run left, so this comes before anybody can call. */
    s->session = sp_td_session_new(&s->config, &s->log.log, &session_ops, s);
    watch_network(s, o->bus);
    if (!o->no_bus && !open_bus(s, o->bus ? o->bus : "system", &error)) {
        fprintf(stderr, "sallyport-tunneld: no bus: %s\n", error->message);
        s->status = 1;
    } else if ((o->connect || o->no_bus) && !connect_own(s, env_token, &error)) {
        fprintf(stderr, "sallyport-tunneld: %s\n", error->message);
        s->status = o->no_bus;
    }
    if (s->status == 0)
        g_main_loop_run(s->loop);
    shut_down(s);
    g_main_loop_unref(s->loop);
    return s->status;
}

static int
configure_and_run(const struct options *o, GBytes *env_token)
{
    struct service service = { 0 };
    g_autoptr(GError) error = NULL;
    int status = 2;

    sp_td_config_init(&service.config);
    if (!load_config(&service.config, o, &error)
        || !sp_engine_log_init(&service.log, service.config.log_filter, &error))
        fprintf(stderr, "sallyport-tunneld: %s\n", error->message);
    else
        status = run(&service, o, env_token);
    sp_td_config_done(&service.config);
    return status;
}

int
main(int argc, char **argv)
{
    g_autoptr(GBytes) env_token = sp_td_token_take_env(); /* before any thread starts */
    struct options o = { .values = g_ptr_array_new_with_free_func(g_free) };
    g_autoptr(GError) error = NULL;
    int status = 0;

    setlocale(LC_ALL, "");
    g_set_prgname("sallyport-tunneld");
    if (!parse_options(&o, &argc, &argv, &error)) {
        fprintf(stderr, "sallyport-tunneld: %s\n", error->message);
        status = 2;
    } else if (o.version) {
        puts("sallyport-tunneld " SP_VERSION);
    } else if (sodium_init() < 0) {
        fputs("sallyport-tunneld: no randomness\n", stderr);
        status = 1;
    } else {
        status = configure_and_run(&o, env_token);
    }
    g_ptr_array_unref(o.values);
    g_free(o.config);
    g_free(o.bus);
    return status;
}
