/* SPDX-License-Identifier: Apache-2.0 */
#include "app/cli/bus.h"

#include "app/cli/texts.h"

#define BUS_NAME    "org.sallyport.Tunnel1"
#define OBJECT_PATH "/org/sallyport/Tunnel1"

/* Long enough for a person to type a password into the dialogue of polkit. */
#define CALL_TIMEOUT_MS 120000

static GDBusConnection *
open_bus(const char *bus, GError **error)
{
    g_autofree char *address = NULL;

    if (g_str_equal(bus, "system"))
        address = g_dbus_address_get_for_bus_sync(G_BUS_TYPE_SYSTEM, NULL, error);
    else if (g_str_equal(bus, "session"))
        address = g_dbus_address_get_for_bus_sync(G_BUS_TYPE_SESSION, NULL, error);
    else
        address = g_strdup(bus);
    if (!address)
        return NULL;
    return g_dbus_connection_new_for_address_sync(
        address,
        G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT
            | G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
        NULL,
        NULL,
        error);
}

static gboolean
open_proxy(struct sp_cli *cli, GDBusProxyFlags flags, GError **error)
{
    g_autofree char *owner = NULL;

    if (!cli->connection)
        cli->connection = open_bus(cli->bus, error);
    if (!cli->connection)
        return FALSE;
    g_clear_object(&cli->proxy);
    cli->proxy =
        sp_ipc_tunnel1_proxy_new_sync(cli->connection, flags, BUS_NAME, OBJECT_PATH, NULL, error);
    if (!cli->proxy)
        return FALSE;
    owner = g_dbus_proxy_get_name_owner(G_DBUS_PROXY(cli->proxy));
    if (owner)
        return TRUE;
    g_clear_object(&cli->proxy);
    g_set_error_literal(error, G_DBUS_ERROR, G_DBUS_ERROR_SERVICE_UNKNOWN, "no owner");
    return FALSE;
}

int
sp_cli_connect(struct sp_cli *cli)
{
    g_autoptr(GError) error = NULL;

    if (open_proxy(cli, G_DBUS_PROXY_FLAGS_NONE, &error))
        return SP_CLI_OK;
    if (!cli->connection)
        return sp_cli_fail(cli,
                           SP_CLI_NO_SERVICE,
                           "no-bus",
                           "The message bus cannot be reached: %s. Is dbus running?",
                           error->message);
    if (g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_ACCESS_DENIED))
        return sp_cli_report(cli, error);
    return sp_cli_fail(cli, SP_CLI_NO_SERVICE, "not-running", SP_CLI_TEXT_NO_SERVICE);
}

gboolean
sp_cli_try_connect(struct sp_cli *cli)
{
    return open_proxy(cli, G_DBUS_PROXY_FLAGS_DO_NOT_AUTO_START, NULL);
}

static GVariant *
call(struct sp_cli *cli, const char *method, GVariant *params, GUnixFDList *fds, GError **error)
{
    return g_dbus_proxy_call_with_unix_fd_list_sync(
        G_DBUS_PROXY(cli->proxy),
        method,
        params,
        G_DBUS_CALL_FLAGS_ALLOW_INTERACTIVE_AUTHORIZATION,
        CALL_TIMEOUT_MS,
        fds,
        NULL,
        NULL,
        error);
}

int
sp_cli_call(struct sp_cli *cli,
            const char *method,
            GVariant *params,
            GUnixFDList *fds,
            GVariant **ret)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) reply = call(cli, method, params, fds, &error);

    if (!reply)
        return sp_cli_report(cli, error);
    if (ret)
        *ret = g_steal_pointer(&reply);
    return SP_CLI_OK;
}

GVariant *
sp_cli_try_call(struct sp_cli *cli, const char *method, GVariant *params)
{
    return call(cli, method, params, NULL, NULL);
}

int
sp_cli_report(struct sp_cli *cli, const GError *error)
{
    g_autofree char *name = g_dbus_error_get_remote_error(error);
    const struct sp_cli_problem *problem = sp_cli_problem_of(name);
    g_autoptr(GError) bare = g_error_copy(error);

    if (problem)
        return sp_cli_fail(cli, problem->exit, problem->code, "%s", problem->text);
    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT))
        return sp_cli_fail(cli,
                           SP_CLI_TIMEOUT,
                           "timeout",
                           "The tunnel service did not answer in time. See: journalctl -u "
                           "sallyport-tunneld");
    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CLOSED))
        return sp_cli_fail(cli, SP_CLI_NO_SERVICE, "no-bus", "The message bus went away.");
    g_dbus_error_strip_remote_error(bare);
    return sp_cli_fail(cli,
                       SP_CLI_FAILURE,
                       "failed",
                       "The tunnel service reports: %s",
                       bare->message);
}

int
sp_cli_refresh(struct sp_cli *cli)
{
    GDBusProxy *proxy = G_DBUS_PROXY(cli->proxy);
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariantIter) iter = NULL;
    g_autoptr(GVariant) reply = NULL;
    const char *key;
    GVariant *value;

    reply = g_dbus_connection_call_sync(cli->connection,
                                        BUS_NAME,
                                        OBJECT_PATH,
                                        "org.freedesktop.DBus.Properties",
                                        "GetAll",
                                        g_variant_new("(s)", BUS_NAME),
                                        G_VARIANT_TYPE("(a{sv})"),
                                        G_DBUS_CALL_FLAGS_NONE,
                                        CALL_TIMEOUT_MS,
                                        NULL,
                                        &error);
    if (!reply)
        return sp_cli_report(cli, error);
    g_variant_get(reply, "(a{sv})", &iter);
    while (g_variant_iter_loop(iter, "{&sv}", &key, &value))
        g_dbus_proxy_set_cached_property(proxy, key, value);
    return SP_CLI_OK;
}

const char *
sp_cli_state(struct sp_cli *cli)
{
    const char *state = sp_ipc_tunnel1_get_state(cli->proxy);

    return state && *state ? state : "disconnected";
}

const char *
sp_cli_reason(struct sp_cli *cli)
{
    const char *reason = sp_ipc_tunnel1_get_state_reason(cli->proxy);

    return reason ? reason : "";
}

gboolean
sp_cli_has_session(struct sp_cli *cli)
{
    const char *state = sp_cli_state(cli);

    return !g_str_equal(state, "disconnected") && !g_str_equal(state, "failed");
}

const char *
sp_cli_entry(GVariant *entry, const char *key)
{
    const char *text = "";

    g_variant_lookup(entry, key, "&s", &text);
    return text;
}

guint64
sp_cli_entry_u64(GVariant *entry, const char *key)
{
    guint64 value = 0;

    g_variant_lookup(entry, key, "t", &value);
    return value;
}

gboolean
sp_cli_entry_bool(GVariant *entry, const char *key)
{
    gboolean value = FALSE;

    g_variant_lookup(entry, key, "b", &value);
    return value;
}
