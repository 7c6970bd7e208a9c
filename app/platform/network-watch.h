/* SPDX-License-Identifier: Apache-2.0 */
/* Notices that the network changed or the machine slept: the kernel's routing, NetworkManager and
 * logind where they are, and the clocks. Source: spec platform-linux 5.1, 5.3. Owner: the program.
 * Thread: control; the callback runs on the thread-default main context of
 * sp_network_watch_new(). */
#pragma once

#include "app/platform/network-state.h"
#include "engine/base/log.h"

/** struct sp_network_watch_options - copied, @log is borrowed
 * @bus: address of a message bus; "system" or NULL for the system's
 * @ifname: our own interface, which does not count as a network; may be NULL
 * @mark: of our own packets: their way out is what is watched
 * @changed: at most once a second, never from within sp_network_watch_new() and never while there
 * is no network */
struct sp_network_watch_options {
    const char *bus;
    const char *ifname;
    uint32_t mark;
    const struct sp_log *log;
    void (*changed)(void *ctx, enum sp_network_event event);
    void *ctx;
};

struct sp_network_watch;

/** sp_network_watch_new() - never NULL: a source that the system does not offer is left out */
struct sp_network_watch *sp_network_watch_new(const struct sp_network_watch_options *options);
/** sp_network_watch_free() - no callback follows; accepts NULL */
void sp_network_watch_free(struct sp_network_watch *watch);
