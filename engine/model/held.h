/* SPDX-License-Identifier: Apache-2.0 */
/* Local ICE candidates of one peer on their way to the portal. While the portal is away they wait
 * here: an addition followed by a withdrawal cancels out, and what is left goes out as one message
 * per kind, best priority first. Source: spec portal-protocol 2.6; spec connectivity 3.3. */
#pragma once

#include "engine/model/model.h"

#define SP_HELD_MAX 100 /* strings of one kind per peer; more are dropped */

struct sp_held {
    struct sp_strv added;
    struct sp_strv removed;
};

enum sp_held_kind {
    SP_HELD_NONE,
    SP_HELD_ADDED,
    SP_HELD_REMOVED,
};

/** sp_held_add() - a new local candidate. Returns: 0 or SP_E_LIMIT (not held) */
int sp_held_add(struct sp_held *held, const char *candidate);
/** sp_held_remove() - a withdrawn one; cancels an addition not yet sent.
 * Returns: 0 or SP_E_LIMIT (not held) */
int sp_held_remove(struct sp_held *held, const char *candidate);
/** sp_held_is_empty() - nothing to send */
bool sp_held_is_empty(const struct sp_held *held);
/** sp_held_take() - move out what has to be sent next: the additions, then the withdrawals, each
 * sorted by priority descending, then text. Unless NONE is returned the caller owns *@ret_list */
enum sp_held_kind sp_held_take(struct sp_held *held, struct sp_strv *ret_list);
void sp_held_done(struct sp_held *held);
