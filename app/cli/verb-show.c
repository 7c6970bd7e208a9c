/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "app/cli/bus.h"
#include "app/cli/output.h"
#include "app/cli/texts.h"
#include "app/cli/token-store.h"
#include "app/cli/verb-show-private.h"

#define OWNER_NONE G_MAXUINT32

static void
add_string(JsonBuilder *b, const char *name, const char *value)
{
    json_builder_set_member_name(b, name);
    json_builder_add_string_value(b, value ? value : "");
}

static void
add_int(JsonBuilder *b, const char *name, guint64 value)
{
    json_builder_set_member_name(b, name);
    json_builder_add_int_value(b, (gint64)MIN(value, (guint64)G_MAXINT64));
}

static void
add_bool(JsonBuilder *b, const char *name, gboolean value)
{
    json_builder_set_member_name(b, name);
    json_builder_add_boolean_value(b, value);
}

/* A time in us as RFC 3339; null when unset. */
static void
add_time(JsonBuilder *b, const char *name, guint64 us)
{
    g_autofree char *text = sp_cli_format_time(us);

    json_builder_set_member_name(b, name);
    if (text)
        json_builder_add_string_value(b, text);
    else
        json_builder_add_null_value(b);
}

/* connections */

static const char *
path_text(const char *path)
{
    if (!*path)
        return "-";
    return g_str_equal(path, "peer-to-peer") ? "direct" : "relayed";
}

void
sp_cli_add_connections_json(JsonBuilder *b, GVariant *list)
{
    json_builder_set_member_name(b, "connections");
    json_builder_begin_array(b);
    for (gsize i = 0; list && i < g_variant_n_children(list); i++) {
        g_autoptr(GVariant) c = g_variant_get_child_value(list, i);
        const char *path = sp_cli_entry(c, "path");

        json_builder_begin_object(b);
        add_string(b, "peer", sp_cli_entry(c, "peer"));
        add_string(b, "kind", sp_cli_entry(c, "kind"));
        add_string(b, "state", sp_cli_entry(c, "state"));
        add_string(b, "path", path);
        add_bool(b, "relayed", *path && !g_str_equal(path, "peer-to-peer"));
        add_string(b, "local", sp_cli_entry(c, "local"));
        add_string(b, "remote", sp_cli_entry(c, "remote"));
        add_int(b, "rtt_us", sp_cli_entry_u64(c, "rtt-us"));
        add_time(b, "last_handshake", sp_cli_entry_u64(c, "last-handshake"));
        add_int(b, "rx_bytes", sp_cli_entry_u64(c, "rx-bytes"));
        add_int(b, "tx_bytes", sp_cli_entry_u64(c, "tx-bytes"));
        json_builder_end_object(b);
    }
    json_builder_end_array(b);
}

void
sp_cli_print_connections(GVariant *list)
{
    static const char *const headings[] = { "GATEWAY",   "STATE",    "PATH", "REMOTE", "RTT",
                                            "HANDSHAKE", "RECEIVED", "SENT", NULL };
    guint64 now = (guint64)g_get_real_time();
    struct sp_cli_table table;

    sp_cli_table_init(&table, headings);
    for (gsize i = 0; i < g_variant_n_children(list); i++) {
        g_autoptr(GVariant) c = g_variant_get_child_value(list, i);
        guint64 handshake = sp_cli_entry_u64(c, "last-handshake");
        g_autofree char *rtt = sp_cli_format_rtt(sp_cli_entry_u64(c, "rtt-us"));
        g_autofree char *age = sp_cli_format_age(handshake, now);
        g_autofree char *ago = handshake ? g_strconcat(age, " ago", NULL) : NULL;
        g_autofree char *rx = sp_cli_format_bytes(sp_cli_entry_u64(c, "rx-bytes"));
        g_autofree char *tx = sp_cli_format_bytes(sp_cli_entry_u64(c, "tx-bytes"));

        sp_cli_table_add(&table, sp_cli_entry(c, "peer"));
        sp_cli_table_add(&table, sp_cli_entry(c, "state"));
        sp_cli_table_add(&table, path_text(sp_cli_entry(c, "path")));
        sp_cli_table_add(&table, sp_cli_entry(c, "remote"));
        sp_cli_table_add(&table, rtt);
        sp_cli_table_add(&table, ago);
        sp_cli_table_add(&table, rx);
        sp_cli_table_add(&table, tx);
    }
    sp_cli_table_print(&table);
    sp_cli_table_done(&table);
}

int
sp_cli_require_session(struct sp_cli *cli)
{
    int status = sp_cli_connect(cli);

    if (status == SP_CLI_OK && !sp_cli_has_session(cli))
        status = sp_cli_fail(cli, SP_CLI_NOT_CONNECTED, "not-connected", SP_CLI_TEXT_DISCONNECTED);
    return status;
}

int
sp_cli_verb_connections(struct sp_cli *cli)
{
    g_autoptr(GVariant) reply = NULL, list = NULL;
    int status = sp_cli_require_session(cli);

    if (status == SP_CLI_OK)
        status = sp_cli_call(cli, "ListConnections", NULL, NULL, &reply);
    if (status != SP_CLI_OK)
        return status;
    list = g_variant_get_child_value(reply, 0);
    if (cli->json) {
        g_autoptr(JsonBuilder) b = sp_cli_json();

        sp_cli_add_connections_json(b, list);
        sp_cli_json_print(b, FALSE);
    } else if (g_variant_n_children(list) == 0) {
        sp_cli_say(cli, "No gateway is in use. A connection is made with the first packet.");
    } else if (!cli->quiet) {
        sp_cli_print_connections(list);
    }
    return SP_CLI_OK;
}

/* status */

/* What status shows beyond properties; empty where the caller may not see it. */
struct overview {
    GVariant *resources;
    GVariant *connections;
    guint total, online, offline;
};

static void
overview_load(struct sp_cli *cli, struct overview *o)
{
    g_autoptr(GVariant) resources = NULL, connections = NULL;

    memset(o, 0, sizeof *o);
    if (!sp_cli_has_session(cli))
        return;
    connections = sp_cli_try_call(cli, "ListConnections", NULL);
    if (connections)
        o->connections = g_variant_get_child_value(connections, 0);
    resources = sp_cli_try_call(cli, "ListResources", g_variant_new("(a{sv})", NULL));
    if (!resources)
        return;
    o->resources = g_variant_get_child_value(resources, 1);
    for (gsize i = 0; i < g_variant_n_children(o->resources); i++) {
        g_autoptr(GVariant) r = g_variant_get_child_value(o->resources, i);

        o->total++;
        o->online += g_str_equal(sp_cli_entry(r, "status"), "online");
        o->offline += g_str_equal(sp_cli_entry(r, "status"), "offline");
    }
}

static void
overview_done(struct overview *o)
{
    g_clear_pointer(&o->resources, g_variant_unref);
    g_clear_pointer(&o->connections, g_variant_unref);
}

static void
status_json(struct sp_cli *cli, const struct sp_cli_session *session, const struct overview *o)
{
    SpIpcTunnel1 *p = cli->proxy;
    g_autoptr(JsonBuilder) b = sp_cli_json();
    guint32 owner = sp_ipc_tunnel1_get_session_owner(p);

    add_string(b, "state", sp_cli_state(cli));
    add_string(b, "reason", sp_cli_reason(cli));
    add_time(b, "since", sp_ipc_tunnel1_get_connected_since(p));
    json_builder_set_member_name(b, "account");
    if (session) {
        json_builder_begin_object(b);
        add_string(b, "slug", session->account);
        add_string(b, "actor", session->actor);
        add_string(b, "server", session->server);
        json_builder_end_object(b);
    } else {
        json_builder_add_null_value(b);
    }
    json_builder_set_member_name(b, "tunnel");
    json_builder_begin_object(b);
    add_string(b, "interface", sp_ipc_tunnel1_get_interface(p));
    add_string(b, "ipv4", sp_ipc_tunnel1_get_ipv4_address(p));
    add_string(b, "ipv6", sp_ipc_tunnel1_get_ipv6_address(p));
    add_string(b, "ip_stack", sp_ipc_tunnel1_get_ip_stack(p));
    add_int(b, "mtu", sp_ipc_tunnel1_get_mtu(p));
    json_builder_end_object(b);
    add_bool(b, "internet_resource", sp_ipc_tunnel1_get_internet_resource_active(p));
    json_builder_set_member_name(b, "portal");
    json_builder_begin_object(b);
    add_bool(b, "connected", sp_ipc_tunnel1_get_portal_connected(p));
    json_builder_end_object(b);
    json_builder_set_member_name(b, "dns");
    json_builder_begin_object(b);
    add_string(b, "control", sp_ipc_tunnel1_get_dns_control(p));
    add_string(b, "search_domain", sp_ipc_tunnel1_get_search_domain(p));
    json_builder_end_object(b);
    json_builder_set_member_name(b, "resources");
    json_builder_begin_object(b);
    add_int(b, "total", o->total);
    add_int(b, "online", o->online);
    add_int(b, "offline", o->offline);
    json_builder_end_object(b);
    sp_cli_add_connections_json(b, o->connections);
    json_builder_set_member_name(b, "owner");
    if (owner == OWNER_NONE)
        json_builder_add_null_value(b);
    else
        json_builder_add_int_value(b, owner);
    sp_cli_json_print(b, FALSE);
}

/* "a, b" of the parts that are not empty. */
static char *
join(const char *a, const char *b)
{
    gboolean both = a && *a && b && *b;

    return g_strconcat(a ? a : "", both ? ", " : "", b ? b : "", NULL);
}

static void
status_text(struct sp_cli *cli, const struct sp_cli_session *session, const struct overview *o)
{
    SpIpcTunnel1 *p = cli->proxy;
    guint64 since = sp_ipc_tunnel1_get_connected_since(p);
    gboolean connected = g_str_equal(sp_cli_state(cli), "connected");
    gboolean on = sp_cli_has_session(cli);
    const char *domain = sp_ipc_tunnel1_get_search_domain(p);
    g_autofree char *age = sp_cli_format_age(since, (guint64)g_get_real_time());
    g_autofree char *state = g_strdup_printf(connected && since ? "%s for %s" : "%s",
                                             sp_cli_text_of_state(sp_cli_state(cli)),
                                             age);
    g_autofree char *account =
        session ? join(session->actor, *session->account ? session->account : session->server)
                : g_strdup("not signed in");
    g_autofree char *addresses =
        join(sp_ipc_tunnel1_get_ipv4_address(p), sp_ipc_tunnel1_get_ipv6_address(p));
    g_autofree char *search =
        domain && *domain ? g_strconcat("search domain ", domain, NULL) : NULL;
    g_autofree char *dns = on ? join(sp_ipc_tunnel1_get_dns_control(p), search) : NULL;
    g_autofree char *resources =
        o->resources
            ? g_strdup_printf("%u (%u online, %u offline)", o->total, o->online, o->offline)
            : NULL;
    const char *portal = sp_ipc_tunnel1_get_portal_connected(p) ? "connected" : "not reached";
    const char *const pairs[] = {
        "State",     state,
        "Reason",    sp_cli_text_of_reason(sp_cli_reason(cli)),
        "Account",   account,
        "Portal",    on ? portal : NULL,
        "Interface", on ? sp_ipc_tunnel1_get_interface(p) : NULL,
        "Addresses", on ? addresses : NULL,
        "DNS",       dns,
        "Internet",  sp_ipc_tunnel1_get_internet_resource_active(p) ? "through the tunnel" : NULL,
        "Resources", resources,
        NULL,
    };
    g_autofree char *text = sp_cli_format_fields(pairs);

    fputs(text, stdout);
    if (!o->connections || g_variant_n_children(o->connections) == 0)
        return;
    fputc('\n', stdout);
    sp_cli_print_connections(o->connections);
}

int
sp_cli_verb_status(struct sp_cli *cli)
{
    struct sp_cli_session session;
    struct overview o;
    gboolean signed_in;
    int status = sp_cli_connect(cli);

    if (status != SP_CLI_OK)
        return status;
    signed_in = sp_cli_session_load(&session);
    overview_load(cli, &o);
    if (cli->json)
        status_json(cli, signed_in ? &session : NULL, &o);
    else if (!cli->quiet)
        status_text(cli, signed_in ? &session : NULL, &o);
    overview_done(&o);
    sp_cli_session_done(&session);
    if (cli->opt[SP_CLI_OPT_CHECK] && !g_str_equal(sp_cli_state(cli), "connected"))
        return SP_CLI_NOT_CONNECTED;
    return SP_CLI_OK;
}

/* internet */

int
sp_cli_verb_internet(struct sp_cli *cli)
{
    const char *word = sp_cli_word(cli);
    gboolean change = !g_str_equal(word, "status");
    gboolean active = g_str_equal(word, "on");
    struct sp_cli_session session;
    int status = change ? sp_cli_require_session(cli) : sp_cli_connect(cli);

    if (status != SP_CLI_OK)
        return status;
    if (change) {
        status = sp_cli_call(cli, "SetInternetResource", g_variant_new("(b)", active), NULL, NULL);
        if (status != SP_CLI_OK)
            return status;
        if (sp_cli_session_load(&session) && session.internet != active) {
            session.internet = active;
            sp_cli_session_save(&session, NULL);
        }
        sp_cli_session_done(&session);
    } else {
        active = sp_ipc_tunnel1_get_internet_resource_active(cli->proxy);
    }
    if (cli->json) {
        g_autoptr(JsonBuilder) b = sp_cli_json();

        add_bool(b, "internet_resource", active);
        sp_cli_json_print(b, FALSE);
    }
    sp_cli_say(cli, "The Internet resource is %s.", active ? "on" : "off");
    return SP_CLI_OK;
}

/* version */

int
sp_cli_verb_version(struct sp_cli *cli)
{
    gboolean running = sp_cli_try_connect(cli);
    const char *service = running ? sp_ipc_tunnel1_get_version(cli->proxy) : NULL;

    if (cli->json) {
        g_autoptr(JsonBuilder) b = sp_cli_json();

        add_string(b, "version", SP_VERSION);
        json_builder_set_member_name(b, "service");
        if (running) {
            json_builder_begin_object(b);
            add_string(b, "version", service);
            add_int(b, "api", sp_ipc_tunnel1_get_api_version(cli->proxy));
            json_builder_end_object(b);
        } else {
            json_builder_add_null_value(b);
        }
        sp_cli_json_print(b, FALSE);
        return SP_CLI_OK;
    }
    sp_cli_say(cli, "sallyport %s", SP_VERSION);
    if (running)
        sp_cli_say(cli, "sallyport-tunneld %s", service ? service : "of unknown version");
    else
        sp_cli_say(cli, "sallyport-tunneld is not running");
    return SP_CLI_OK;
}
