/* SPDX-License-Identifier: Apache-2.0 */
/* Who may do what: polkit is asked about every caller but root. Asked over the service's own
 * connection, so a private bus can be used in tests. Source: spec platform-linux 9.1, 9.7.
 * Thread: main. */
#pragma once

#include <sys/types.h>

#include <gio/gio.h>

#include "engine/base/log.h"

#define SP_TD_ACTION_INSPECT          "org.sallyport.Tunnel1.inspect"
#define SP_TD_ACTION_MANAGE           "org.sallyport.Tunnel1.manage"
#define SP_TD_ACTION_MANAGE_OTHERS    "org.sallyport.Tunnel1.manage-others"
#define SP_TD_ACTION_USE_SYSTEM_TOKEN "org.sallyport.Tunnel1.use-system-token"

struct sp_td_bouncer;

/** sp_td_bouncer_cb - @error is NULL when the caller @uid may proceed; else what to answer the
 * caller (borrowed), and @uid may be unknown (-1) */
typedef void (*sp_td_bouncer_cb)(void *ctx, uid_t uid, const GError *error);

struct sp_td_bouncer *sp_td_bouncer_new(GDBusConnection *connection, const struct sp_log *log);
/** sp_td_bouncer_free() - checks under way end without a call */
void sp_td_bouncer_free(struct sp_td_bouncer *bouncer);
/** sp_td_bouncer_check() - may the sender of @invocation do @action? @cb is called once, never from
 * within the call. Whatever goes wrong means no */
void sp_td_bouncer_check(struct sp_td_bouncer *bouncer,
                         GDBusMethodInvocation *invocation,
                         const char *action,
                         sp_td_bouncer_cb cb,
                         void *ctx);
