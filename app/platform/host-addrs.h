/* SPDX-License-Identifier: Apache-2.0 */
/* The addresses of this machine that a peer might reach. They become ICE host candidates, so an
 * installation without any relay works where both sides can reach each other. Thread: control. */
#pragma once

#include "engine/base/addr.h"

#define SP_HOST_ADDRS_MAX 16

/**
 * sp_host_addrs_list() - addresses of interfaces that are up
 * @exclude: name of our own TUN interface, left out; NULL for none
 *
 * Loopback, link-local and multicast addresses are left out, and so are addresses of other
 * interfaces without a link. Sorted, so two lists compare as memory. Returns: how many.
 */
size_t sp_host_addrs_list(const char *exclude, struct sp_ip out[SP_HOST_ADDRS_MAX]);
