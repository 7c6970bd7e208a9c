/* SPDX-License-Identifier: Apache-2.0 */
/* The D-Bus face of the service, org.sallyport.Tunnel1. Every method passes one gate: what has no
 * entry in its table is denied. Source: spec platform-linux 9; data/dbus/org.sallyport.Tunnel1.xml.
 * Owner: main. Thread: main. */
#pragma once

#include <gio/gio.h>

#include "app/tunneld/session.h"

#define SP_TD_BUS_NAME    "org.sallyport.Tunnel1"
#define SP_TD_BUS_PATH    "/org/sallyport/Tunnel1"
#define SP_TD_CALLS_MAX   64  /* of one peer at the same time */
#define SP_TD_LIST_GAP_MS 100 /* between two ResourcesChanged */

struct sp_td_bus;

/** struct sp_td_bus_options - borrowed for the life of the object
 * @address: "system" or a D-Bus address
 * @acquired: the name is ours. @lost: it is not, or not any more; the service has to end */
struct sp_td_bus_options {
    const char *address;
    const struct sp_td_config *config;
    const struct sp_log *log;
    struct sp_td_session *session;
    void (*acquired)(void *ctx);
    void (*lost)(void *ctx);
    void *ctx;
};

/** sp_td_bus_new() - connect, publish the object, ask for the name. Returns: NULL and @error */
struct sp_td_bus *sp_td_bus_new(const struct sp_td_bus_options *options, GError **error);
/** sp_td_bus_free() - sends what is queued, releases the name */
void sp_td_bus_free(struct sp_td_bus *bus);
/** sp_td_bus_adopt() - the session was started by the service itself: it is root's, for ever */
void sp_td_bus_adopt(struct sp_td_bus *bus);
/** sp_td_bus_terminating() - say that the service is about to end */
void sp_td_bus_terminating(struct sp_td_bus *bus, const char *reason);

/* News of the session, as in struct sp_td_session_ops. */
void sp_td_bus_status_changed(struct sp_td_bus *bus);
void sp_td_bus_state_changed(struct sp_td_bus *bus,
                             enum sp_td_state new_state,
                             enum sp_td_state old_state);
void sp_td_bus_resources_changed(struct sp_td_bus *bus);
void sp_td_bus_gateways_offline(struct sp_td_bus *bus, const struct sp_uuid *resource);
void sp_td_bus_version_mismatch(struct sp_td_bus *bus, const struct sp_uuid *resource);
void sp_td_bus_ended(struct sp_td_bus *bus, const char *reason, bool requires_sign_in);
