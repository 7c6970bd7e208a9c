/* SPDX-License-Identifier: Apache-2.0 */
/* The gateway engine on its data thread, seen from the control thread. Names are resolved and host
 * addresses listed in here; the rest comes out as events.
 * Source: design decision 4; spec tunnel B.7.
 * Owner: one per process. Thread: control; callbacks run on the thread-default main context of
 * sp_gw_driver_new(). */
#pragma once

#include <glib.h>

#include "app/driver/loop.h"
#include "engine/gateway/gateway.h"

struct sp_gw_driver;

/** struct sp_gw_driver_options - as struct sp_client_driver_options */
struct sp_gw_driver_options {
    const char *tun_name;
    struct sp_udp_options udp;
    const struct sp_log *log;
    void (*on_event)(void *ctx, struct sp_gw_event *ev);
    void (*on_fatal)(void *ctx, int code, const char *message);
    void *ctx;
};

/** sp_gw_driver_new() - create the TUN device, bind the sockets, start the data thread.
 * Returns: NULL and @error (SP_PLATFORM_ERROR) */
struct sp_gw_driver *sp_gw_driver_new(const struct sp_gw_driver_options *options, GError **error);
/** sp_gw_driver_free() - goodbye to every client, flush for at most 1 s, close the device */
void sp_gw_driver_free(struct sp_gw_driver *d);
const uint8_t *sp_gw_driver_public_key(const struct sp_gw_driver *d);
const char *sp_gw_driver_tun_name(const struct sp_gw_driver *d);
/** sp_gw_driver_portal_msg() - takes what @msg owns and zeroes it */
void sp_gw_driver_portal_msg(struct sp_gw_driver *d, struct sp_gw_msg *msg);
void sp_gw_driver_portal_state(struct sp_gw_driver *d, bool up);
void sp_gw_driver_reset(struct sp_gw_driver *d);
void sp_gw_driver_addresses_changed(struct sp_gw_driver *d);
