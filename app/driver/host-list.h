/* SPDX-License-Identifier: Apache-2.0 */
/* The host's addresses with the ports of our sockets, and whether they changed. Thread: control. */
#pragma once

#include "app/platform/host-addrs.h"

/** struct sp_host_list - zero-initialise; port 0 means there is no socket of that family */
struct sp_host_list {
    struct sp_endpoint v[SP_HOST_ADDRS_MAX];
    size_t n;
    uint16_t port4;
    uint16_t port6;
    bool known; /* @v was given to the engine since the sockets were bound */
};

void sp_host_list_set_ports(struct sp_host_list *list, uint16_t port4, uint16_t port6);
/** sp_host_list_forget() - the next update reports a change in any case */
void sp_host_list_forget(struct sp_host_list *list);
/** sp_host_list_update() - list again, without interface @exclude. Returns: true if it changed */
bool sp_host_list_update(struct sp_host_list *list, const char *exclude);
