/* SPDX-License-Identifier: Apache-2.0 */
#include "app/tunneld/bus.h"

#include <stdarg.h>
#include <string.h>

#include "app/tunneld/bus-private.h"
#include "app/tunneld/error.h"
#include "engine/base/pkt.h"

/* ---- calls ------------------------------------------------------------------------------------- */

static bool
count_call(struct sp_td_bus *bus, const char *sender)
{
    unsigned n = GPOINTER_TO_UINT(g_hash_table_lookup(bus->pending, sender));

    if (n >= SP_TD_CALLS_MAX)
        return false;
    g_hash_table_insert(bus->pending, g_strdup(sender), GUINT_TO_POINTER(n + 1));
    return true;
}

static void
uncount_call(struct sp_td_bus *bus, const char *sender)
{
    unsigned n = GPOINTER_TO_UINT(g_hash_table_lookup(bus->pending, sender));

    if (n > 1)
        g_hash_table_insert(bus->pending, g_strdup(sender), GUINT_TO_POINTER(n - 1));
    else
        g_hash_table_remove(bus->pending, sender);
}

static void
call_free(struct sp_td_call *call)
{
    uncount_call(call->bus, g_dbus_method_invocation_get_sender(call->invocation));
    if (call->free_data)
        call->free_data(call->data);
    g_variant_unref(call->params);
    g_object_unref(call->invocation);
    g_free(call);
}

/* Returning gives one reference of the invocation away; ours goes with the call. */
void
sp_td_call_return(struct sp_td_call *call, GVariant *value)
{
    g_dbus_method_invocation_return_value(g_object_ref(call->invocation), value);
    call_free(call);
}

void
sp_td_call_return_error(struct sp_td_call *call, const GError *error)
{
    g_dbus_method_invocation_return_gerror(g_object_ref(call->invocation), error);
    call_free(call);
}

void
sp_td_call_invalid(struct sp_td_call *call, const char *format, ...)
{
    g_autoptr(GError) error = NULL;
    va_list args;

    va_start(args, format);
    error = g_error_new_valist(G_DBUS_ERROR, G_DBUS_ERROR_INVALID_ARGS, format, args);
    va_end(args);
    sp_td_call_return_error(call, error);
}

bool
sp_td_printable(const char *text, glong max)
{
    if (g_utf8_strlen(text, -1) > max)
        return false;
    while (*text) {
        if (!g_unichar_isprint(g_utf8_get_char(text)))
            return false;
        text = g_utf8_find_next_char(text, NULL);
    }
    return true;
}

/* ---- the gate ---------------------------------------------------------------------------------- */

static void
checked_cb(void *ctx, uid_t uid, const GError *error)
{
    struct sp_td_call *call = ctx;

    call->uid = uid;
    if (error)
        sp_td_call_return_error(call, error);
    else
        call->next(call);
}

void
sp_td_call_check(struct sp_td_call *call, const char *action, void (*next)(struct sp_td_call *call))
{
    call->next = next;
    sp_td_bouncer_check(call->bus->bouncer, call->invocation, action, checked_cb, call);
}

static void
guarded_cb(void *ctx, uid_t uid, const GError *error)
{
    struct sp_td_call *call = ctx;

    if (g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_ACCESS_DENIED)) {
        g_autoptr(GError) owned = g_error_new_literal(SP_TD_ERROR,
                                                      SP_TD_ERROR_SESSION_OWNED,
                                                      "the session belongs to another user");

        sp_td_call_return_error(call, owned);
        return;
    }
    checked_cb(ctx, uid, error);
}

void
sp_td_call_guard(struct sp_td_call *call, void (*next)(struct sp_td_call *call))
{
    struct sp_td_bus *bus = call->bus;
    uid_t owner = sp_td_owner_uid(bus->owner);

    if (!sp_td_session_active(bus->opt.session) || call->uid == 0 || owner == call->uid) {
        next(call);
        return;
    }
    call->next = next;
    sp_td_bouncer_check(bus->bouncer,
                        call->invocation,
                        SP_TD_ACTION_MANAGE_OTHERS,
                        guarded_cb,
                        call);
}

static void
run_cb(struct sp_td_call *call)
{
    if (call->method->guarded)
        sp_td_call_guard(call, call->method->run);
    else
        call->method->run(call);
}

static void
gate(struct sp_td_bus *bus, const char *name, GVariant *params, GDBusMethodInvocation *invocation)
{
    const struct sp_td_method *method = sp_td_method_find(name);
    const char *sender = g_dbus_method_invocation_get_sender(invocation);
    struct sp_td_call *call;

    if (!method || !sender) {
        g_dbus_method_invocation_return_error_literal(invocation,
                                                      G_DBUS_ERROR,
                                                      G_DBUS_ERROR_ACCESS_DENIED,
                                                      "not permitted");
        return;
    }
    if (!count_call(bus, sender)) {
        g_dbus_method_invocation_return_error_literal(invocation,
                                                      G_DBUS_ERROR,
                                                      G_DBUS_ERROR_LIMITS_EXCEEDED,
                                                      "too many calls at the same time");
        return;
    }
    call = g_new0(struct sp_td_call, 1);
    call->bus = bus;
    call->invocation = invocation; /* takes the reference that returning gives away */
    call->params = g_variant_ref(params);
    call->method = method;
    sp_td_call_check(call, method->action, run_cb);
}

/* The generated skeleton keeps the properties; its dispatch of methods is replaced by the gate. */

#define SP_TD_TYPE_OBJECT (sp_td_object_get_type())
G_DECLARE_FINAL_TYPE(SpTdObject, sp_td_object, SP_TD, OBJECT, SpIpcTunnel1Skeleton)

struct _SpTdObject {
    SpIpcTunnel1Skeleton parent_instance;
    struct sp_td_bus *bus;
};

G_DEFINE_FINAL_TYPE(SpTdObject, sp_td_object, SP_IPC_TYPE_TUNNEL1_SKELETON)

static GDBusInterfaceVTable gate_vtable;

static void
method_call(SP_UNUSED GDBusConnection *connection,
            SP_UNUSED const char *sender,
            SP_UNUSED const char *path,
            SP_UNUSED const char *interface,
            const char *name,
            GVariant *params,
            GDBusMethodInvocation *invocation,
            void *data)
{
    SpTdObject *self = SP_TD_OBJECT(data);

    gate(self->bus, name, params, invocation);
}

static GDBusInterfaceVTable *
get_vtable(GDBusInterfaceSkeleton *skeleton)
{
    GDBusInterfaceSkeletonClass *parent =
        G_DBUS_INTERFACE_SKELETON_CLASS(sp_td_object_parent_class);

    gate_vtable = *parent->get_vtable(skeleton);
    gate_vtable.method_call = method_call;
    return &gate_vtable;
}

static void
sp_td_object_class_init(SpTdObjectClass *klass)
{
    G_DBUS_INTERFACE_SKELETON_CLASS(klass)->get_vtable = get_vtable;
}

static void
sp_td_object_init(SP_UNUSED SpTdObject *self)
{
}

/* ---- properties and signals -------------------------------------------------------------------- */

static const char *
stack_name(const struct sp_td_status *st)
{
    return st->v4 && st->v6 ? "dual" : st->v4 ? "v4" : st->v6 ? "v6" : "none";
}

static const char *
ip_text(const struct sp_ip *ip, char out[SP_IP_STR_MAX])
{
    return ip->family ? sp_ip_format(ip, out) : "";
}

void
sp_td_bus_status_changed(struct sp_td_bus *bus)
{
    SpIpcTunnel1 *o = bus->object;
    struct sp_td_status st;
    char text[SP_IP_STR_MAX];

    sp_td_session_status(bus->opt.session, &st);
    if (!sp_td_session_active(bus->opt.session))
        sp_td_owner_clear(bus->owner);
    g_object_freeze_notify(G_OBJECT(o));
    sp_ipc_tunnel1_set_state(o, sp_td_state_name(st.state));
    sp_ipc_tunnel1_set_state_reason(o, st.reason);
    sp_ipc_tunnel1_set_session_id(o, st.id);
    sp_ipc_tunnel1_set_session_owner(o, sp_td_owner_uid(bus->owner));
    sp_ipc_tunnel1_set_connected_since(o, st.since_us);
    sp_ipc_tunnel1_set_portal_connected(o, st.portal_connected);
    sp_ipc_tunnel1_set_interface(o, st.ifname);
    sp_ipc_tunnel1_set_ipv4_address(o, ip_text(&st.ipv4, text));
    sp_ipc_tunnel1_set_ipv6_address(o, ip_text(&st.ipv6, text));
    sp_ipc_tunnel1_set_ip_stack(o, stack_name(&st));
    sp_ipc_tunnel1_set_internet_resource_active(o, st.internet);
    sp_ipc_tunnel1_set_search_domain(o, st.search_domain);
    sp_ipc_tunnel1_set_resources_generation(o, st.generation);
    g_object_thaw_notify(G_OBJECT(o));
}

void
sp_td_bus_state_changed(struct sp_td_bus *bus,
                        enum sp_td_state new_state,
                        enum sp_td_state old_state)
{
    struct sp_td_status st;

    sp_td_session_status(bus->opt.session, &st);
    /* Who reads a property on this signal shall find the new value. */
    g_dbus_interface_skeleton_flush(G_DBUS_INTERFACE_SKELETON(bus->object));
    sp_ipc_tunnel1_emit_state_changed(bus->object,
                                      sp_td_state_name(new_state),
                                      sp_td_state_name(old_state),
                                      st.reason);
}

static gboolean
list_timer_cb(void *data)
{
    struct sp_td_bus *bus = data;

    bus->list_timer = 0;
    if (bus->list_dirty)
        sp_td_bus_resources_changed(bus);
    return G_SOURCE_REMOVE;
}

void
sp_td_bus_resources_changed(struct sp_td_bus *bus)
{
    struct sp_td_status st;

    bus->list_dirty = bus->list_timer != 0;
    if (bus->list_dirty)
        return;
    sp_td_session_status(bus->opt.session, &st);
    sp_ipc_tunnel1_emit_resources_changed(bus->object, st.generation);
    bus->list_timer = g_timeout_add(SP_TD_LIST_GAP_MS, list_timer_cb, bus);
}

void
sp_td_bus_gateways_offline(struct sp_td_bus *bus, const struct sp_uuid *resource)
{
    char id[SP_UUID_STR_MAX];

    sp_ipc_tunnel1_emit_all_gateways_offline(bus->object, sp_uuid_format(resource, id));
}

void
sp_td_bus_version_mismatch(struct sp_td_bus *bus, const struct sp_uuid *resource)
{
    char id[SP_UUID_STR_MAX];

    sp_ipc_tunnel1_emit_gateway_version_mismatch(bus->object, sp_uuid_format(resource, id));
}

void
sp_td_bus_ended(struct sp_td_bus *bus, const char *reason, bool requires_sign_in)
{
    sp_ipc_tunnel1_emit_disconnected(bus->object, reason, requires_sign_in);
}

void
sp_td_bus_terminating(struct sp_td_bus *bus, const char *reason)
{
    sp_ipc_tunnel1_emit_terminating(bus->object, reason);
}

void
sp_td_bus_adopt(struct sp_td_bus *bus)
{
    sp_td_owner_set(bus->owner, 0, NULL, SP_TD_LINGER_FOREVER);
    sp_td_bus_status_changed(bus);
}

static void
owner_gone(void *ctx)
{
    struct sp_td_bus *bus = ctx;

    sp_td_session_stop(bus->opt.session, "owner-gone");
    sp_td_bus_ended(bus, "owner-gone", false);
}

/* ---- life -------------------------------------------------------------------------------------- */

static void
acquired_cb(SP_UNUSED GDBusConnection *connection, SP_UNUSED const char *name, void *data)
{
    struct sp_td_bus *bus = data;

    bus->opt.acquired(bus->opt.ctx);
}

static void
lost_cb(SP_UNUSED GDBusConnection *connection, SP_UNUSED const char *name, void *data)
{
    struct sp_td_bus *bus = data;

    bus->opt.lost(bus->opt.ctx);
}

static GDBusConnection *
open_connection(const char *where, GError **error)
{
    GDBusConnection *connection;

    if (strcmp(where, "system") == 0)
        connection = g_bus_get_sync(G_BUS_TYPE_SYSTEM, NULL, error);
    else
        connection = g_dbus_connection_new_for_address_sync(
            where,
            G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT
                | G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
            NULL,
            NULL,
            error);
    /* A bus that goes away ends the service in order, with DNS restored. */
    if (connection)
        g_dbus_connection_set_exit_on_close(connection, FALSE);
    return connection;
}

static void
make_object(struct sp_td_bus *bus)
{
    SpTdObject *object = g_object_new(SP_TD_TYPE_OBJECT, NULL);

    object->bus = bus;
    bus->object = SP_IPC_TUNNEL1(object);
    sp_ipc_tunnel1_set_version(bus->object, SP_VERSION);
    sp_ipc_tunnel1_set_api_version(bus->object, 1);
    sp_ipc_tunnel1_set_mtu(bus->object, SP_MTU);
    sp_ipc_tunnel1_set_dns_control(bus->object, sp_td_config_dns_name(bus->opt.config));
    sp_td_bus_status_changed(bus);
}

struct sp_td_bus *
sp_td_bus_new(const struct sp_td_bus_options *options, GError **error)
{
    GDBusConnection *connection = open_connection(options->address, error);
    struct sp_td_bus *bus;

    if (!connection)
        return NULL;
    bus = g_new0(struct sp_td_bus, 1);
    bus->opt = *options;
    bus->connection = connection;
    bus->bouncer = sp_td_bouncer_new(connection, options->log);
    bus->owner = sp_td_owner_new(connection, owner_gone, bus);
    bus->pending = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    make_object(bus);
    if (!g_dbus_interface_skeleton_export(G_DBUS_INTERFACE_SKELETON(bus->object),
                                          connection,
                                          SP_TD_BUS_PATH,
                                          error)) {
        sp_td_bus_free(bus);
        return NULL;
    }
    bus->name = g_bus_own_name_on_connection(connection,
                                             SP_TD_BUS_NAME,
                                             G_BUS_NAME_OWNER_FLAGS_DO_NOT_QUEUE,
                                             acquired_cb,
                                             lost_cb,
                                             bus,
                                             NULL);
    return bus;
}

void
sp_td_bus_free(struct sp_td_bus *bus)
{
    if (!bus)
        return;
    g_dbus_interface_skeleton_flush(G_DBUS_INTERFACE_SKELETON(bus->object));
    if (bus->list_timer)
        g_source_remove(bus->list_timer);
    sp_td_bouncer_free(bus->bouncer);
    sp_td_owner_free(bus->owner);
    if (bus->name) {
        g_dbus_interface_skeleton_unexport(G_DBUS_INTERFACE_SKELETON(bus->object));
        g_bus_unown_name(bus->name);
    }
    g_dbus_connection_flush_sync(bus->connection, NULL, NULL);
    g_object_unref(bus->object);
    g_object_unref(bus->connection);
    g_hash_table_unref(bus->pending);
    g_free(bus);
}
