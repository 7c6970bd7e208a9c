/* SPDX-License-Identifier: Apache-2.0 */
#include "app/tunneld/bouncer.h"

#include "app/tunneld/error.h"

#define UID_TIMEOUT_MS     5000
#define POLKIT_INTERACTIVE 1u

struct sp_td_bouncer {
    GDBusConnection *connection;
    const struct sp_log *log;
    GCancellable *cancellable;
};

struct check {
    struct sp_td_bouncer *bouncer;
    GDBusMethodInvocation *invocation;
    const char *action; /* static */
    uid_t uid;
    sp_td_bouncer_cb cb;
    void *ctx;
};

static void
check_free(struct check *c)
{
    g_object_unref(c->invocation);
    g_free(c);
}

static void
finish(struct check *c, const GError *error)
{
    c->cb(c->ctx, c->uid, error);
    check_free(c);
}

static void
deny(struct check *c, GQuark domain, int code, const char *text)
{
    g_autoptr(GError) error = g_error_new_literal(domain, code, text);

    finish(c, error);
}

static bool
may_ask(const struct check *c)
{
    GDBusMessage *message = g_dbus_method_invocation_get_message(c->invocation);

    return (g_dbus_message_get_flags(message)
            & G_DBUS_MESSAGE_FLAGS_ALLOW_INTERACTIVE_AUTHORIZATION)
           != 0;
}

static void
answer_cb(GObject *source, GAsyncResult *result, void *data)
{
    struct check *c = data;
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) reply =
        g_dbus_connection_call_finish(G_DBUS_CONNECTION(source), result, &error);
    gboolean yes, challenge;

    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
        check_free(c); /* the bouncer is gone */
        return;
    }
    if (!reply) {
        SP_WARN(c->bouncer->log, APP, "polkit does not answer, access is denied");
        deny(c,
             G_DBUS_ERROR,
             G_DBUS_ERROR_ACCESS_DENIED,
             "the authorization service does not answer");
        return;
    }
    g_variant_get(reply, "((bba{ss}))", &yes, &challenge, NULL);
    if (yes)
        finish(c, NULL);
    else if (challenge && !may_ask(c))
        deny(c,
             SP_TD_ERROR,
             SP_TD_ERROR_INTERACTIVE,
             "this needs authentication, and the call does not permit asking for it");
    else
        deny(c, G_DBUS_ERROR, G_DBUS_ERROR_ACCESS_DENIED, "not permitted");
}

static void
ask_polkit(struct check *c)
{
    const char *sender = g_dbus_method_invocation_get_sender(c->invocation);
    GVariantBuilder subject, details;

    g_variant_builder_init(&subject, G_VARIANT_TYPE_VARDICT);
    g_variant_builder_add(&subject, "{sv}", "name", g_variant_new_string(sender));
    g_variant_builder_init(&details, G_VARIANT_TYPE("a{ss}"));
    /* No time limit: a person may be typing a password. */
    g_dbus_connection_call(c->bouncer->connection,
                           "org.freedesktop.PolicyKit1",
                           "/org/freedesktop/PolicyKit1/Authority",
                           "org.freedesktop.PolicyKit1.Authority",
                           "CheckAuthorization",
                           g_variant_new("((sa{sv})sa{ss}us)",
                                         "system-bus-name",
                                         &subject,
                                         c->action,
                                         &details,
                                         may_ask(c) ? POLKIT_INTERACTIVE : 0u,
                                         ""),
                           G_VARIANT_TYPE("((bba{ss}))"),
                           G_DBUS_CALL_FLAGS_NONE,
                           G_MAXINT,
                           c->bouncer->cancellable,
                           answer_cb,
                           c);
}

static void
uid_cb(GObject *source, GAsyncResult *result, void *data)
{
    struct check *c = data;
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) reply =
        g_dbus_connection_call_finish(G_DBUS_CONNECTION(source), result, &error);
    guint32 uid;

    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
        check_free(c);
        return;
    }
    if (!reply) {
        deny(c, G_DBUS_ERROR, G_DBUS_ERROR_ACCESS_DENIED, "the caller cannot be identified");
        return;
    }
    g_variant_get(reply, "(u)", &uid);
    c->uid = uid;
    if (c->uid == 0)
        finish(c, NULL);
    else
        ask_polkit(c);
}

void
sp_td_bouncer_check(struct sp_td_bouncer *bouncer,
                    GDBusMethodInvocation *invocation,
                    const char *action,
                    sp_td_bouncer_cb cb,
                    void *ctx)
{
    struct check *c = g_new0(struct check, 1);

    *c = (struct check){
        .bouncer = bouncer,
        .invocation = g_object_ref(invocation),
        .action = action,
        .uid = (uid_t)-1,
        .cb = cb,
        .ctx = ctx,
    };
    g_dbus_connection_call(bouncer->connection,
                           "org.freedesktop.DBus",
                           "/org/freedesktop/DBus",
                           "org.freedesktop.DBus",
                           "GetConnectionUnixUser",
                           g_variant_new("(s)", g_dbus_method_invocation_get_sender(invocation)),
                           G_VARIANT_TYPE("(u)"),
                           G_DBUS_CALL_FLAGS_NONE,
                           UID_TIMEOUT_MS,
                           bouncer->cancellable,
                           uid_cb,
                           c);
}

struct sp_td_bouncer *
sp_td_bouncer_new(GDBusConnection *connection, const struct sp_log *log)
{
    struct sp_td_bouncer *b = g_new0(struct sp_td_bouncer, 1);

    b->connection = g_object_ref(connection);
    b->log = log;
    b->cancellable = g_cancellable_new();
    return b;
}

void
sp_td_bouncer_free(struct sp_td_bouncer *bouncer)
{
    if (!bouncer)
        return;
    g_cancellable_cancel(bouncer->cancellable);
    g_object_unref(bouncer->cancellable);
    g_object_unref(bouncer->connection);
    g_free(bouncer);
}
