/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by session.c (states, beginning and end) and apply.c (what the engine and the system say
 * while it runs). */
#pragma once

#include "app/platform/dns-control.h"
#include "app/platform/net.h"
#include "app/portal-link/link.h"
#include "app/tunneld/session.h"

struct sp_td_session {
    const struct sp_td_config *config;
    const struct sp_log *log;
    struct sp_td_session_ops ops;
    void *ctx;

    /* for the life of the service; NULL while the system refuses them */
    struct sp_net *net;
    struct sp_dns_control *dns;
    char *device_id;
    char *backup; /* path of the resolver file's copy; NULL: the usual one */

    enum sp_td_state state;
    char *reason;
    uint64_t generation;
    unsigned parting; /* links that say goodbye */

    /* of one session */
    char id[SP_UUID_STR_MAX];
    struct sp_client_driver *driver;
    SpPortalLink *link;
    bool dialled; /* the link was started */
    bool portal_connected;
    bool internet;
    uint64_t since_us;
    GQueue requests; /* struct request *: snapshots under way */
    GSource *failing;
    GError *failure;
    bool failure_sign_in;

    /* what the system was told last */
    struct sp_net_result net_result;
    struct sp_client_tun_config tun;
    bool tun_known;
    bool taken_over;
    struct sp_resolv_conf system;

    struct sp_client_resource_view *resources;
    size_t n_resources;
};

/** sp_td_session_fail() - end the session from the main loop; takes @error */
void sp_td_session_fail(struct sp_td_session *s, GError *error, bool requires_sign_in);
void sp_td_session_set_state(struct sp_td_session *s, enum sp_td_state state, const char *reason);
void sp_td_session_notify(struct sp_td_session *s);
/** sp_td_session_dial() - start the link if there is an address to dial from */
void sp_td_session_dial(struct sp_td_session *s);

/** sp_td_apply_event() - an event of the engine */
void sp_td_apply_event(void *ctx, struct sp_client_event *ev);
/** sp_td_apply_resolvers() - read the system's own servers, tell engine and link */
void sp_td_apply_resolvers(void *ctx);
/** sp_td_apply_clear() - give DNS back, forget configuration and resources */
void sp_td_apply_clear(struct sp_td_session *s);
