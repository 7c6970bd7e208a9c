/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for readable descriptors, a deadline on the suspend-counting clock, or a wake-up from
 * another thread. Thread: one waits, any may call sp_poller_wake(). */
#pragma once

#include "engine/base/time.h"

struct sp_poller;

/** sp_poller_new() - Returns: 0 or negative errno */
SP_MUST_CHECK int sp_poller_new(struct sp_poller **ret_poller);
void sp_poller_free(struct sp_poller *poller);
/** sp_poller_add() - report @tag (1..31) while @fd is readable. Returns: 0 or negative errno */
SP_MUST_CHECK int sp_poller_add(struct sp_poller *poller, int fd, unsigned tag);
void sp_poller_remove(struct sp_poller *poller, int fd);
/** sp_poller_wait() - block until something is readable, @deadline has come or somebody woke us.
 * @deadline may be in the past (poll only) or SP_TIME_NEVER. A wait may end early.
 * Returns: bit set of ready tags (1u << tag), 0 for none */
uint32_t sp_poller_wait(struct sp_poller *poller, sp_time now, sp_time deadline);
/** sp_poller_wake() - let the present or next wait return at once */
void sp_poller_wake(struct sp_poller *poller);
