/* SPDX-License-Identifier: Apache-2.0 */
#include "app/tunneld/owner.h"

struct sp_td_owner {
    GDBusConnection *connection;
    void (*gone)(void *ctx);
    void *ctx;
    uid_t uid;
    uint32_t linger_s;
    guint watch;
    guint timer;
};

static gboolean
timer_cb(void *data)
{
    struct sp_td_owner *o = data;

    o->timer = 0;
    o->gone(o->ctx);
    return G_SOURCE_REMOVE;
}

static void
vanished_cb(SP_UNUSED GDBusConnection *connection, SP_UNUSED const char *name, void *data)
{
    struct sp_td_owner *o = data;

    if (o->timer == 0)
        o->timer = g_timeout_add_seconds(o->linger_s, timer_cb, o);
}

static void
forget(struct sp_td_owner *o)
{
    if (o->watch)
        g_bus_unwatch_name(o->watch);
    if (o->timer)
        g_source_remove(o->timer);
    o->watch = 0;
    o->timer = 0;
}

struct sp_td_owner *
sp_td_owner_new(GDBusConnection *connection, void (*gone)(void *ctx), void *ctx)
{
    struct sp_td_owner *o = g_new0(struct sp_td_owner, 1);

    o->connection = g_object_ref(connection);
    o->gone = gone;
    o->ctx = ctx;
    o->uid = SP_TD_NOBODY;
    return o;
}

void
sp_td_owner_free(struct sp_td_owner *owner)
{
    if (!owner)
        return;
    forget(owner);
    g_object_unref(owner->connection);
    g_free(owner);
}

void
sp_td_owner_set(struct sp_td_owner *owner, uid_t uid, const char *name, uint32_t linger_s)
{
    forget(owner);
    owner->uid = uid;
    owner->linger_s = linger_s;
    if (!name || linger_s == SP_TD_LINGER_FOREVER)
        return;
    owner->watch = g_bus_watch_name_on_connection(owner->connection,
                                                  name,
                                                  G_BUS_NAME_WATCHER_FLAGS_NONE,
                                                  NULL,
                                                  vanished_cb,
                                                  owner,
                                                  NULL);
}

void
sp_td_owner_clear(struct sp_td_owner *owner)
{
    forget(owner);
    owner->uid = SP_TD_NOBODY;
}

uid_t
sp_td_owner_uid(const struct sp_td_owner *owner)
{
    return owner->uid;
}
