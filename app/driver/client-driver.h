/* SPDX-License-Identifier: Apache-2.0 */
/* The client engine on its data thread, seen from the control thread. Upstream DNS queries and host
 * addresses are dealt with in here; everything else comes out as events.
 * Source: design decision 4; spec tunnel A.6, A.14.
 * Owner: one per session. Thread: control; callbacks run on the thread-default main context of
 * sp_client_driver_new(). */
#pragma once

#include <glib.h>

#include "app/driver/loop.h"
#include "engine/client/client.h"

struct sp_client_driver;

/** struct sp_client_snapshot - the state that status output shows, taken on the data thread.
 * @dns_cache: entries; ages of handshakes are relative to @now */
struct sp_client_snapshot {
    sp_time now;
    struct sp_peer_view *peers;
    size_t n_peers;
    struct sp_drops drops;
    struct sp_loop_stats loop;
};

/** struct sp_client_driver_options - borrowed for the call, @log for the life of the driver.
 * @on_event: every event except DNS queries; @ev is borrowed for the call
 * @on_fatal: the data path has ended; @message is English, for the log */
struct sp_client_driver_options {
    const char *tun_name;
    struct sp_udp_options udp;
    const struct sp_log *log;
    bool internet_resource;
    void (*on_event)(void *ctx, struct sp_client_event *ev);
    void (*on_fatal)(void *ctx, int code, const char *message);
    void *ctx;
};

/** sp_client_driver_new() - create the TUN device, bind the sockets, start the data thread.
 * Returns: NULL and @error (SP_PLATFORM_ERROR) */
struct sp_client_driver *sp_client_driver_new(const struct sp_client_driver_options *options,
                                              GError **error);
/** sp_client_driver_free() - goodbye to every peer, flush for at most 1 s, close the device */
void sp_client_driver_free(struct sp_client_driver *d);

/** sp_client_driver_public_key() - of the present key pair; a PUBLIC_KEY event announces a new one */
const uint8_t *sp_client_driver_public_key(const struct sp_client_driver *d);
const char *sp_client_driver_tun_name(const struct sp_client_driver *d);
unsigned sp_client_driver_offloads(const struct sp_client_driver *d);

/** sp_client_driver_portal_msg() - takes what @msg owns and zeroes it */
void sp_client_driver_portal_msg(struct sp_client_driver *d, struct sp_client_msg *msg);
void sp_client_driver_portal_state(struct sp_client_driver *d, bool up);
void sp_client_driver_set_resolvers(struct sp_client_driver *d,
                                    const struct sp_ip *servers,
                                    size_t n);
void sp_client_driver_set_internet(struct sp_client_driver *d, bool active);
void sp_client_driver_flush_dns(struct sp_client_driver *d);
/** sp_client_driver_reset() - the network changed: new key, new sockets, PUBLIC_KEY event */
void sp_client_driver_reset(struct sp_client_driver *d);
/** sp_client_driver_addresses_changed() - list the host's addresses again */
void sp_client_driver_addresses_changed(struct sp_client_driver *d);

/** sp_client_driver_snapshot_cb - @snapshot is borrowed for the call */
typedef void (*sp_client_driver_snapshot_cb)(void *ctx, const struct sp_client_snapshot *snapshot);
/** sp_client_driver_snapshot() - @cb is called once, unless the driver goes before.
 * Returns: 0 or SP_E_LIMIT (no call follows) */
int sp_client_driver_snapshot(struct sp_client_driver *d,
                              sp_client_driver_snapshot_cb cb,
                              void *ctx);
