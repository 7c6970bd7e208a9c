/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses, routes and policy rules of the tunnel interface.
 * Source: spec platform-linux 1.4 to 1.7; design decision 8. Thread: control; calls block for a few
 * netlink round trips. */
#pragma once

#include <glib.h>

#include "engine/base/addr.h"
#include "engine/base/log.h"

/** enum sp_net_table - consulted in this order by every packet without the mark */
enum sp_net_table {
    SP_NET_USER,     /* all routes that are not default routes */
    SP_NET_LINK,     /* copies of directly connected networks */
    SP_NET_INTERNET, /* default routes */
    _SP_NET_TABLE_MAX
};

/** struct sp_net_options - identifiers; one role per network namespace unless they differ.
 * @mtu, @queue_len: of the interface */
struct sp_net_options {
    uint32_t mark;
    uint32_t table[_SP_NET_TABLE_MAX];
    uint32_t priority[_SP_NET_TABLE_MAX];
    uint32_t mtu;
    uint32_t queue_len;
};

/** struct sp_net_config - the desired state. @ipv4, @ipv6: family 0 when there is none.
 * @routes: borrowed for the call; default routes go to their own table */
struct sp_net_config {
    const char *ifname;
    struct sp_ip ipv4;
    struct sp_ip ipv6;
    const struct sp_cidr *routes;
    size_t n_routes;
};

/** struct sp_net_result - @v4, @v6: the family works (its address is on the interface) */
struct sp_net_result {
    bool v4;
    bool v6;
    unsigned routes_failed;
};

struct sp_net;

void sp_net_options_init(struct sp_net_options *options);
/** sp_net_new() - also flushes what a crashed run left in our tables. Returns: 0 or negative errno */
SP_MUST_CHECK int sp_net_new(const struct sp_net_options *options,
                             const struct sp_log *log,
                             struct sp_net **ret_net,
                             GError **error);
/** sp_net_free() - frees the object only; see sp_net_config_cleanup() */
void sp_net_free(struct sp_net *net);
/** sp_net_config_apply() - make the system match @config; only differences to the last call are
 * sent. Addresses that are already there stay, so nothing is interrupted. A family that does not
 * work is left out. Returns: 0; negative errno and @error when no family works */
SP_MUST_CHECK int sp_net_config_apply(struct sp_net *net,
                                      const struct sp_net_config *config,
                                      struct sp_net_result *ret_result,
                                      GError **error);
/** sp_net_sync_links() - copy connected networks of the main table to the LINK table and delete
 * copies that are stale. Called on start and by the watcher. Returns: 0 or negative errno */
int sp_net_sync_links(struct sp_net *net);
/** sp_net_watch() - attach to the thread-default main context and run sp_net_sync_links() 500 ms
 * after the last change of routes, links or addresses; @changed (may be NULL) is called after it */
SP_MUST_CHECK int sp_net_watch(struct sp_net *net,
                               void (*changed)(void *ctx),
                               void *ctx,
                               GError **error);
/** sp_net_config_cleanup() - delete our rules and the contents of our tables */
void sp_net_config_cleanup(struct sp_net *net);
