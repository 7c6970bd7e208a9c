/* SPDX-License-Identifier: Apache-2.0 */
/* The connection of a client, gateway or relay program to its portal: dials, joins, decodes, and dials
 * again until told otherwise. Source: spec portal-protocol 1, 2; the channel rules themselves are
 * in engine/portal. Owner: the program. Thread: that of the main context on which it was made; all
 * callbacks come on it, and any function here may be called from within a callback. */
#pragma once

#include <gio/gio.h>

#include "app/portal-link/error.h"
#include "engine/base/log.h"
#include "engine/model/model.h"
#include "engine/portal/codec.h"
#include "engine/portal/login.h"
#include "engine/portal/phoenix.h"

G_BEGIN_DECLS

#define SP_TYPE_PORTAL_LINK (sp_portal_link_get_type())
G_DECLARE_FINAL_TYPE(SpPortalLink, sp_portal_link, SP, PORTAL_LINK, GObject)

/** struct sp_portal_link_ops - what the program hears; members may be NULL */
struct sp_portal_link_ops {
    /* joined: messages may be sent, held-back candidates are due */
    void (*connected)(void *ctx);
    /* not connected (any more); the next dial comes by itself after @delay_ms. @reason is English
     * and may name hosts: DEBUG only. Also called, with 0, when sp_portal_link_redial() drops a
     * connection that was up */
    void (*hiccup)(void *ctx, guint delay_ms, const char *reason);
    /* one decoded message; the callee may take what @msg owns and then zeroes it */
    void (*client_msg)(void *ctx, struct sp_client_msg *msg);
    void (*gateway_msg)(void *ctx, struct sp_gw_msg *msg);
    /* the end: no callback follows, make a new link. @requires_sign_in: discard the token */
    void (*fatal)(void *ctx, const char *message, gboolean requires_sign_in);
};

/** struct sp_portal_link_tuning - milliseconds; 0 means the protocol's value. For tests.
 * @backoff_second_ms: how long a second of the backoff lasts
 * @dns_port: of the servers given to sp_portal_link_set_resolvers()
 * @hosts_path: instead of /etc/hosts */
struct sp_portal_link_tuning {
    guint dial_ms;
    guint tcp_ms;
    guint dns_ms;
    guint close_ms;
    guint join_ms;
    guint heartbeat_ms;
    guint backoff_second_ms;
    guint16 dns_port;
    const char *hosts_path;
};

/** struct sp_portal_link_config - everything is copied; strings must be valid UTF-8
 * @token: text; white space is removed. NULL sends none
 * @ipv4, @ipv6, @port, @stamp_secret: relays only, which have no @external_id; see sp_portal_login.
 *     @stamp_secret is hexadecimal text, secret
 * @max_partition_s: give up after so many seconds of waiting once connected; 0 never
 * @fwmark: SO_MARK of every socket; 0 for none
 * @tls_database: NULL for the system's roots
 * @log: borrowed for the life of the link, may be NULL */
struct sp_portal_link_config {
    enum sp_portal_role role;
    const char *api_url;
    GBytes *token;
    const char *external_id;
    const char *name;
    const char *device_serial;
    const char *device_uuid;
    const char *ipv4;
    const char *ipv6;
    guint16 port;
    const char *stamp_secret;
    struct sp_portal_agent agent;
    guint max_partition_s;
    guint32 fwmark;
    GTlsDatabase *tls_database;
    const struct sp_log *log;
    struct sp_portal_link_tuning tuning;
};

/** struct sp_portal_link_stats - since the link was made */
struct sp_portal_link_stats {
    guint64 dials;
    guint64 messages;
    guint64 bad_messages;     /* a known event that does not decode */
    guint64 unknown_messages; /* an event or resource type we do not do */
    struct sp_portal_skips skips;
};

/** sp_portal_link_new() - idle; Returns: strong, or NULL with SP_PORTAL_ERROR_INVALID */
SpPortalLink *sp_portal_link_new(const struct sp_portal_link_config *config,
                                 const struct sp_portal_link_ops *ops,
                                 gpointer ctx,
                                 GError **error);

/** sp_portal_link_start() - dial for the first time; the public key must be set before (not by a
 * relay) */
void sp_portal_link_start(SpPortalLink *self);
/** sp_portal_link_stop() - final: no callback follows. An open socket is closed properly in the
 * background, for at most a second */
void sp_portal_link_stop(SpPortalLink *self);
/** sp_portal_link_redial() - the network or the key changed: close what there is, dial at once and
 * start the backoff over. Does nothing before start and after the end */
void sp_portal_link_redial(SpPortalLink *self);
/** sp_portal_link_set_public_key() - used from the next dial on */
void sp_portal_link_set_public_key(SpPortalLink *self, const uint8_t key[SP_KEY_LEN]);
/** sp_portal_link_set_resolvers() - ask these servers, around the tunnel, instead of the system's
 * resolver; @n 0 goes back to the system's. At most SP_RESOLVE_SERVERS_MAX are used */
void sp_portal_link_set_resolvers(SpPortalLink *self, const struct sp_ip *servers, size_t n);

/** sp_portal_link_send_client() - @req is borrowed.
 * Returns: 0; SP_E_STATE when there is no connection (the message is lost); SP_E_LIMIT */
SP_MUST_CHECK int sp_portal_link_send_client(SpPortalLink *self, const struct sp_client_req *req);
SP_MUST_CHECK int sp_portal_link_send_gateway(SpPortalLink *self, const struct sp_gw_req *req);

gboolean sp_portal_link_is_connected(SpPortalLink *self);

/** enum sp_portal_link_end_cause - why the link called @fatal */
enum sp_portal_link_end_cause {
    SP_PORTAL_LINK_NOT_ENDED,
    SP_PORTAL_LINK_REFUSED,         /* the portal said no, or our configuration is unusable */
    SP_PORTAL_LINK_UNREACHABLE,     /* the time to reach it is used up */
    SP_PORTAL_LINK_LOOP_PREVENTION, /* the bypass mark cannot be set */
};
enum sp_portal_link_end_cause sp_portal_link_end_cause(SpPortalLink *self);
const struct sp_portal_link_stats *sp_portal_link_stats(SpPortalLink *self);
const struct sp_phx_stats *sp_portal_link_channel_stats(SpPortalLink *self);

G_END_DECLS
