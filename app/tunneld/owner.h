/* SPDX-License-Identifier: Apache-2.0 */
/* Whose session it is, and how long it outlives its owner's bus name. Source: spec platform-linux
 * 9.8. Thread: main. */
#pragma once

#include <sys/types.h>

#include <gio/gio.h>

#include "engine/base/defs.h"

#define SP_TD_LINGER_FOREVER UINT32_MAX
#define SP_TD_NOBODY         ((uid_t)UINT32_MAX)

struct sp_td_owner;

/** sp_td_owner_new() - @gone: the owner's name went and the time is over */
struct sp_td_owner *sp_td_owner_new(GDBusConnection *connection,
                                    void (*gone)(void *ctx),
                                    void *ctx);
void sp_td_owner_free(struct sp_td_owner *owner);
/** sp_td_owner_set() - @name: unique bus name, NULL for the service itself; @linger_s: seconds */
void sp_td_owner_set(struct sp_td_owner *owner, uid_t uid, const char *name, uint32_t linger_s);
void sp_td_owner_clear(struct sp_td_owner *owner);
/** sp_td_owner_uid() - SP_TD_NOBODY when there is none */
uid_t sp_td_owner_uid(const struct sp_td_owner *owner);
