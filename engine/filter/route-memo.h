/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to engine/filter: fixed-size memory of recent lookups, negative ones too, least recently
 * used out first. No allocation after creation. */
#pragma once

#include "engine/base/rng.h"
#include "engine/filter/route-table.h"

SP_MUST_CHECK struct sp_route_memo *sp_route_memo_new(const struct sp_rng *rng);
void sp_route_memo_free(struct sp_route_memo *memo);
void sp_route_memo_clear(struct sp_route_memo *memo);
/** sp_route_memo_get() - Returns: true when known; *@ret_route may be NULL */
bool sp_route_memo_get(struct sp_route_memo *memo,
                       const struct sp_ip *ip,
                       struct sp_ip_proto proto,
                       const struct sp_route **ret_route);
/** sp_route_memo_put() - the key must not be known yet */
void sp_route_memo_put(struct sp_route_memo *memo,
                       const struct sp_ip *ip,
                       struct sp_ip_proto proto,
                       const struct sp_route *route);
