/* SPDX-License-Identifier: Apache-2.0 */
/* What both drivers have around their engine: packets, loop, TUN device, host addresses, public
 * key. Owner: embedded in a driver. Thread: control; the loop's data thread uses @pool. */
#pragma once

#include "app/driver/host-list.h"
#include "app/driver/loop.h"
#include "engine/base/log.h"
#include "engine/model/model.h"

struct sp_driver_core;

/** struct sp_driver_hooks - what differs between drivers. Callbacks get the core; the driver is
 * found with SP_CONTAINER_OF().
 * @on_event, @free_event, @free_command: as in struct sp_loop_config
 * @post_hosts: the engine has to know these addresses; @list is borrowed */
struct sp_driver_hooks {
    const struct sp_engine_ops *engine;
    void (*on_event)(void *core, void *event);
    void (*free_event)(void *event);
    void (*free_command)(void *cmd);
    void (*post_hosts)(struct sp_driver_core *core, const struct sp_endpoint *list, size_t n);
};

/** struct sp_driver_core - @log, @on_fatal and @fatal_ctx are set by the driver before the rest */
struct sp_driver_core {
    const struct sp_log *log;
    void (*on_fatal)(void *ctx, int code, const char *message);
    void *fatal_ctx;
    const struct sp_driver_hooks *hooks;
    struct sp_pkt_pool pool;
    struct sp_loop *loop;
    struct sp_host_list hosts;
    struct sp_tun *tun; /* until the loop starts */
    char tun_name[SP_TUN_NAME_MAX + 1];
    unsigned offloads;
    uint8_t public_key[SP_KEY_LEN];
};

/** sp_driver_core_open() - pool and TUN device. Returns: 0, or negative errno and @error; then
 * there is nothing to close */
SP_MUST_CHECK int sp_driver_core_open(struct sp_driver_core *core,
                                      const char *tun_name,
                                      size_t max_packets,
                                      GError **error);
/** sp_driver_core_loop() - make the loop around @engine; nothing runs yet */
void sp_driver_core_loop(struct sp_driver_core *core,
                         const struct sp_driver_hooks *hooks,
                         void *engine,
                         const struct sp_udp_options *udp);
/** sp_driver_core_start() - Returns: 0, or negative errno and @error; stop and close all the same */
SP_MUST_CHECK int sp_driver_core_start(struct sp_driver_core *core, GError **error);
/** sp_driver_core_stop() - serve what was posted, flush for at most 1 s, end the data thread */
void sp_driver_core_stop(struct sp_driver_core *core);
/** sp_driver_core_close() - last, after the engine gave its packets back */
void sp_driver_core_close(struct sp_driver_core *core);

/** sp_driver_core_post() - takes @cmd. Returns: 0, or SP_E_LIMIT and it was logged and freed */
int sp_driver_core_post(struct sp_driver_core *core, void *cmd);
/** sp_driver_core_addresses_changed() - list again, tell the engine if they did */
void sp_driver_core_addresses_changed(struct sp_driver_core *core);
/** sp_driver_core_rebind() - new sockets, whose addresses the engine is told in any case */
void sp_driver_core_rebind(struct sp_driver_core *core);
