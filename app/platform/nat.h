/* SPDX-License-Identifier: Apache-2.0 */
/* Masquerading and forwarding on a gateway host, in a table of our own that comes and goes in one
 * transaction. Source: spec platform-linux 7.3; design decision 11. Thread: control.
 *
 * Limit: an accept in our table cannot overrule a drop in another one, since every base chain of a
 * hook is consulted. A host firewall that drops forwarded packets must accept the interface itself. */
#pragma once

#include <glib.h>

#include "engine/base/log.h"

struct sp_nat;

/** sp_nat_new() - install the table for interface @tun (replacing one left by a crash) and turn
 * forwarding on, remembering what it was. Returns: NULL and @error, nothing changed */
struct sp_nat *sp_nat_new(const char *tun, const struct sp_log *log, GError **error);
/** sp_nat_free() - remove the table; put the forwarding switches back that we changed */
void sp_nat_free(struct sp_nat *nat);
