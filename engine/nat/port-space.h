/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to engine/nat: which of the 65536 ports (or ICMP ids) of one outside address are taken.
 * Pages of bits, so that a search through a full range costs words, not table look-ups. */
#pragma once

#include "engine/base/defs.h"

#define SP_PORT_PAGES      64
#define SP_PORT_PAGE_WORDS 16

struct sp_port_space {
    uint32_t used;
    uint16_t page_used[SP_PORT_PAGES];
    uint64_t *page[SP_PORT_PAGES];
};

/** sp_port_space_take() - first free port of @own .. 65535, then 1 .. @own - 1, and mark it.
 * Returns: 0 or SP_E_LIMIT */
SP_MUST_CHECK int sp_port_space_take(struct sp_port_space *space, uint16_t own, uint16_t *ret_port);
void sp_port_space_release(struct sp_port_space *space, uint16_t port);
/** sp_port_space_done() - free the pages */
void sp_port_space_done(struct sp_port_space *space);
