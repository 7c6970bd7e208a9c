/* SPDX-License-Identifier: Apache-2.0 */
/* Our TURN server as a host of the virtual network. Its timers do not run: nothing expires. */
#pragma once

#include "tests/support/net.h"

#define RELAY_HOST_USER     "user"
#define RELAY_HOST_PASSWORD "correct horse"

struct relay_host;

/** relay_host_new() - on a new host of @net with address @ip */
struct relay_host *relay_host_new(struct test_net *net, const char *ip, uint64_t seed);
void relay_host_free(struct relay_host *r);
/** relay_host_restart() - forget everything, as after a deployment */
void relay_host_restart(struct relay_host *r);
void relay_host_set_up(struct relay_host *r, bool up);
void relay_host_set_delay(struct relay_host *r, sp_duration delay);
/** relay_host_forwarded() - packets to peers and to clients */
uint64_t relay_host_forwarded(const struct relay_host *r);
