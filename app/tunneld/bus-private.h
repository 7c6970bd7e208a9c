/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by bus.c (object, gate, signals), methods.c and connect.c. */
#pragma once

#include "app/ipc/tunnel1.h"
#include "app/tunneld/bouncer.h"
#include "app/tunneld/bus.h"
#include "app/tunneld/owner.h"

struct sp_td_bus {
    struct sp_td_bus_options opt;
    GDBusConnection *connection;
    SpIpcTunnel1 *object;
    struct sp_td_bouncer *bouncer;
    struct sp_td_owner *owner;
    GHashTable *pending; /* sender -> number of calls */
    guint name;
    guint list_timer;
    bool list_dirty;
};

/** struct sp_td_call - one method call under way; ends with one of the sp_td_call_return*() */
struct sp_td_call {
    struct sp_td_bus *bus;
    GDBusMethodInvocation *invocation;
    GVariant *params;
    const struct sp_td_method *method;
    uid_t uid;
    void *data; /* of the method */
    GDestroyNotify free_data;
    void (*next)(struct sp_td_call *call); /* after the check under way */
};

/** struct sp_td_method - an entry of the gate's table
 * @guarded: changes the session, so another user's session needs manage-others */
struct sp_td_method {
    const char *name;
    const char *action;
    bool guarded;
    void (*run)(struct sp_td_call *call);
};

/** sp_td_method_find() - NULL when there is no such method: denied */
const struct sp_td_method *sp_td_method_find(const char *name);

/** sp_td_call_return() - @value: tuple of the results, taken if floating; NULL for none */
void sp_td_call_return(struct sp_td_call *call, GVariant *value);
/** sp_td_call_return_error() - borrowed */
void sp_td_call_return_error(struct sp_td_call *call, const GError *error);
/** sp_td_call_invalid() - InvalidArgs */
void sp_td_call_invalid(struct sp_td_call *call, const char *format, ...) G_GNUC_PRINTF(2, 3);
/** sp_td_call_check() - go on with @next if @action is permitted, else answer the caller */
void sp_td_call_check(struct sp_td_call *call,
                      const char *action,
                      void (*next)(struct sp_td_call *call));
/** sp_td_call_guard() - go on with @next at once, or after a check if the session is another's */
void sp_td_call_guard(struct sp_td_call *call, void (*next)(struct sp_td_call *call));

/** sp_td_printable() - at most @max characters, all of them printable */
bool sp_td_printable(const char *text, glong max);
/** sp_td_method_connect() - connect.c */
void sp_td_method_connect(struct sp_td_call *call);
