/* SPDX-License-Identifier: Apache-2.0 */
/* The one session of this machine: portal link, client engine, interface and DNS, and the state
 * that people see. Source: spec platform-linux 6.3, 9.4, 9.8; spec portal-protocol 2.5, 5.4.
 * Owner: main. Thread: that of the thread-default main context of sp_td_session_new(). */
#pragma once

#include <gio/gio.h>

#include "app/driver/client-driver.h"
#include "app/tunneld/config.h"

enum sp_td_state {
    SP_TD_DISCONNECTED,
    SP_TD_WAITING, /* no address to send from yet */
    SP_TD_CONNECTING,
    SP_TD_CONNECTED, /* the first interface configuration is in place */
    SP_TD_DISCONNECTING,
    SP_TD_FAILED,
};
const char *sp_td_state_name(enum sp_td_state state);

/** struct sp_td_status - what the D-Bus properties show; strings borrowed, never NULL
 * @since_us: CLOCK_REALTIME when connected, or 0. @v4, @v6: the family works in the tunnel */
struct sp_td_status {
    enum sp_td_state state;
    const char *reason;
    const char *id;
    bool portal_connected;
    uint64_t since_us;
    const char *ifname;
    struct sp_ip ipv4, ipv6;
    bool v4, v6;
    bool internet;
    const char *search_domain;
    uint64_t generation; /* of the resource list; never goes back */
};

/** struct sp_td_dns_status - borrowed from the session */
struct sp_td_dns_status {
    const struct sp_client_dns_server *servers;
    size_t n_servers;
    const struct sp_ip *system;
    size_t n_system;
    bool taken_over;
};

/** struct sp_td_session_ops - what the rest of the service hears; members may be NULL.
 * No session function that ends a session may be called from @status_changed or @state_changed */
struct sp_td_session_ops {
    void (*state_changed)(void *ctx, enum sp_td_state new_state, enum sp_td_state old_state);
    void (*status_changed)(void *ctx);
    void (*resources_changed)(void *ctx);
    void (*gateways_offline)(void *ctx, const struct sp_uuid *resource);
    void (*version_mismatch)(void *ctx, const struct sp_uuid *resource);
    /* ended by itself, after the state is "failed" or "disconnected"; @message is English */
    void (*ended)(void *ctx, const char *reason, bool requires_sign_in, const char *message);
};

/** struct sp_td_session_start - of one session
 * @token: borrowed. @name: shown by the portal; NULL is the configured or the host's name */
struct sp_td_session_start {
    GBytes *token;
    const char *name;
    bool internet;
};

struct sp_td_session;

/** sp_td_session_new() - undo what a crashed run left: the resolver file, rules and tables.
 * @config, @log: borrowed for the life of the object. Never NULL */
struct sp_td_session *sp_td_session_new(const struct sp_td_config *config,
                                        const struct sp_log *log,
                                        const struct sp_td_session_ops *ops,
                                        void *ctx);
/** sp_td_session_free() - disconnects first */
void sp_td_session_free(struct sp_td_session *s);

/** sp_td_session_start() - a session that is there is ended before.
 * Returns: FALSE and @error (SP_TD_ERROR); nothing is running then */
gboolean sp_td_session_start(struct sp_td_session *s,
                             const struct sp_td_session_start *start,
                             GError **error);
/** sp_td_session_stop() - say goodbye, give DNS and routes back. Blocks for about a second at most.
 * @reason: a StateReason code, "" for an ordinary end. Idempotent */
void sp_td_session_stop(struct sp_td_session *s, const char *reason);
/** sp_td_session_flush() - wait until the portal heard the goodbye, for at most @timeout_ms; runs
 * the main context meanwhile */
void sp_td_session_flush(struct sp_td_session *s, unsigned timeout_ms);
/** sp_td_session_active() - there is a session: waiting, connecting or connected */
bool sp_td_session_active(const struct sp_td_session *s);
/** sp_td_session_reset() - start over on the network that is there now: new key, new sockets, the
 * portal dialled at once; a session that waits for a network only tries to dial. Nothing happens
 * without a session. @reason: for the log */
void sp_td_session_reset(struct sp_td_session *s, const char *reason);
/** sp_td_session_set_internet() - Returns: FALSE and @error without a session */
gboolean sp_td_session_set_internet(struct sp_td_session *s, bool active, GError **error);
void sp_td_session_flush_dns(struct sp_td_session *s);

void sp_td_session_status(const struct sp_td_session *s, struct sp_td_status *ret);
void sp_td_session_dns_status(const struct sp_td_session *s, struct sp_td_dns_status *ret);
/** sp_td_session_resources() - borrowed until the next resources_changed */
const struct sp_client_resource_view *sp_td_session_resources(const struct sp_td_session *s,
                                                              size_t *ret_n);
const char *sp_td_session_device_id(struct sp_td_session *s, GError **error);
unsigned sp_td_session_offloads(const struct sp_td_session *s);

/** sp_td_session_snapshot() - @cb is called exactly once, with NULL when there is no session or it
 * ends before; possibly from within the call */
void sp_td_session_snapshot(struct sp_td_session *s, sp_client_driver_snapshot_cb cb, void *ctx);
