/* SPDX-License-Identifier: Apache-2.0 */
#include "app/cli/watch.h"

#include <stdio.h>
#include <unistd.h>

#include <glib-unix.h>

#include "app/cli/bus.h"
#include "app/cli/output.h"
#include "app/cli/texts.h"

struct watch {
    struct sp_cli *cli;
    const char *const *states;
    GMainLoop *loop;
    enum sp_cli_watch outcome;
};

static void
changed_cb(GDBusProxy *proxy, GVariant *changed, const char *const *gone, gpointer data)
{
    struct watch *w = data;

    (void)proxy;
    (void)changed;
    (void)gone;
    if (!g_strv_contains(w->states, sp_cli_state(w->cli)))
        return;
    w->outcome = SP_CLI_WATCH_REACHED;
    g_main_loop_quit(w->loop);
}

static void
owner_cb(GDBusProxy *proxy, GParamSpec *spec, gpointer data)
{
    struct watch *w = data;
    g_autofree char *owner = g_dbus_proxy_get_name_owner(proxy);

    (void)spec;
    if (owner)
        return;
    w->outcome = SP_CLI_WATCH_GONE;
    g_main_loop_quit(w->loop);
}

static gboolean
timeout_cb(gpointer data)
{
    struct watch *w = data;

    w->outcome = SP_CLI_WATCH_TIMEOUT;
    g_main_loop_quit(w->loop);
    return G_SOURCE_CONTINUE;
}

enum sp_cli_watch
sp_cli_watch_until(struct sp_cli *cli, const char *const *states, guint timeout_ms)
{
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    struct watch w = { cli, states, loop, SP_CLI_WATCH_REACHED };
    guint timer = 0;
    gulong properties, owner;

    if (g_strv_contains(states, sp_cli_state(cli)))
        return SP_CLI_WATCH_REACHED;
    if (timeout_ms > 0)
        timer = g_timeout_add(timeout_ms, timeout_cb, &w);
    properties = g_signal_connect(cli->proxy, "g-properties-changed", G_CALLBACK(changed_cb), &w);
    owner = g_signal_connect(cli->proxy, "notify::g-name-owner", G_CALLBACK(owner_cb), &w);
    g_main_loop_run(loop);
    g_signal_handler_disconnect(cli->proxy, properties);
    g_signal_handler_disconnect(cli->proxy, owner);
    if (timer)
        g_source_remove(timer);
    return w.outcome;
}

/* What a signal is called here, and the names of its arguments. */
static const struct event {
    const char *signal;
    const char *name;
    const char *fields[3];
} events[] = {
    { "StateChanged", "state", { "state", "old_state", "reason" } },
    { "Disconnected", "disconnected", { "code", "requires_sign_in", NULL } },
    { "ResourcesChanged", "resources", { "generation", NULL, NULL } },
    { "AllGatewaysOffline", "all-gateways-offline", { "resource", NULL, NULL } },
    { "GatewayVersionMismatch", "gateway-version-mismatch", { "resource", NULL, NULL } },
    { "Terminating", "terminating", { "reason", NULL, NULL } },
};

static void
add_value(JsonBuilder *b, GVariant *value)
{
    if (g_variant_is_of_type(value, G_VARIANT_TYPE_BOOLEAN))
        json_builder_add_boolean_value(b, g_variant_get_boolean(value));
    else if (g_variant_is_of_type(value, G_VARIANT_TYPE_UINT64))
        json_builder_add_int_value(b, (gint64)g_variant_get_uint64(value));
    else
        json_builder_add_string_value(b, g_variant_get_string(value, NULL));
}

static char *
text_of_event(const char *name, GVariant *values)
{
    const char *first = "", *reason = "", *text;
    gboolean sign_in;
    guint64 generation;

    if (g_variant_is_of_type(values, G_VARIANT_TYPE("(sss)"))) {
        g_variant_get(values, "(&s&s&s)", &first, NULL, &reason);
        text = sp_cli_text_of_reason(reason);
        return g_strdup_printf("%s%s%s",
                               sp_cli_text_of_state(first),
                               text ? ". " : "",
                               text ? text : "");
    }
    if (g_variant_is_of_type(values, G_VARIANT_TYPE("(sb)"))) {
        g_variant_get(values, "(&sb)", &first, &sign_in);
        text = sp_cli_text_of_reason(first);
        return g_strdup_printf("The session ended%s%s", text ? ". " : "", text ? text : "");
    }
    if (g_variant_is_of_type(values, G_VARIANT_TYPE("(t)"))) {
        g_variant_get(values, "(t)", &generation);
        return g_strdup("The resources changed");
    }
    if (g_variant_is_of_type(values, G_VARIANT_TYPE("(s)")))
        g_variant_get(values, "(&s)", &first);
    if (g_str_equal(name, "all-gateways-offline"))
        return g_strdup_printf("No gateway of resource %s is online", first);
    if (g_str_equal(name, "gateway-version-mismatch"))
        return g_strdup_printf("The gateways of resource %s are too old or too new", first);
    return g_strdup("The tunnel service stops");
}

static void
print_event(struct sp_cli *cli, const struct event *event, GVariant *values)
{
    g_autofree char *now = sp_cli_format_time((guint64)g_get_real_time());
    g_autofree char *text = NULL;

    if (cli->json) {
        g_autoptr(JsonBuilder) b = sp_cli_json();

        json_builder_set_member_name(b, "time");
        json_builder_add_string_value(b, now);
        json_builder_set_member_name(b, "event");
        json_builder_add_string_value(b, event->name);
        for (gsize i = 0; values && i < g_variant_n_children(values); i++) {
            g_autoptr(GVariant) value = g_variant_get_child_value(values, i);

            json_builder_set_member_name(b, event->fields[i]);
            add_value(b, value);
        }
        sp_cli_json_print(b, TRUE);
        return;
    }
    text = text_of_event(event->name, values);
    sp_cli_say(cli, "%s  %s", now, text);
    fflush(stdout);
}

static void
signal_cb(GDBusProxy *proxy, const char *sender, const char *name, GVariant *values, gpointer data)
{
    (void)proxy;
    (void)sender;
    for (guint i = 0; i < G_N_ELEMENTS(events); i++) {
        if (g_str_equal(events[i].signal, name))
            print_event(data, &events[i], values);
    }
}

static gboolean
quit_cb(gpointer data)
{
    g_main_loop_quit(data);
    return G_SOURCE_CONTINUE;
}

int
sp_cli_verb_monitor(struct sp_cli *cli)
{
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    struct watch w = { cli, NULL, loop, SP_CLI_WATCH_REACHED };
    g_autoptr(GVariant) start = NULL;
    int status = sp_cli_connect(cli);

    if (status != SP_CLI_OK)
        return status;
    g_signal_connect(cli->proxy, "g-signal", G_CALLBACK(signal_cb), cli);
    g_signal_connect(cli->proxy, "notify::g-name-owner", G_CALLBACK(owner_cb), &w);
    g_unix_signal_add(SIGINT, quit_cb, loop);
    g_unix_signal_add(SIGTERM, quit_cb, loop);
    start = g_variant_ref_sink(
        g_variant_new("(sss)", sp_cli_state(cli), sp_cli_state(cli), sp_cli_reason(cli)));
    print_event(cli, &events[0], start);
    g_main_loop_run(loop);
    if (w.outcome == SP_CLI_WATCH_GONE)
        return sp_cli_fail(cli, SP_CLI_NO_SERVICE, "not-running", SP_CLI_TEXT_NO_SERVICE);
    return SP_CLI_OK;
}
