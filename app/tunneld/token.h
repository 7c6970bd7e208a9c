/* SPDX-License-Identifier: Apache-2.0 */
/* Where a token may come from: a file that only root can read, the environment, or a descriptor
 * that a caller passes. It is wiped wherever it was. Source: spec platform-linux 6.2; design
 * decision 7. Thread: main. */
#pragma once

#include <sys/stat.h>

#include <gio/gio.h>

#include "engine/base/defs.h"

#define SP_TD_TOKEN_MAX        65536
#define SP_TD_TOKEN_TIMEOUT_MS 10000 /* for a descriptor to reach its end */
#define SP_TD_TOKEN_ENV        "SALLYPORT_TOKEN"

/** sp_td_token_check_stat() - may a token be read from such a file?
 * Returns: NULL, or English text of the rule that is broken */
const char *sp_td_token_check_stat(const struct stat *st);
/** sp_td_token_load() - the token in file @path, trimmed.
 * Returns: NULL and @error (SP_TD_ERROR_INVALID_TOKEN) */
GBytes *sp_td_token_load(const char *path, GError **error);
/** sp_td_token_take_env() - the value of SALLYPORT_TOKEN, which is removed from the environment and
 * overwritten there. Call it before any thread starts. Returns: NULL when it is not set */
GBytes *sp_td_token_take_env(void);

/** sp_td_token_cb - @token (borrowed) or @error (SP_TD_ERROR or G_DBUS_ERROR) */
typedef void (*sp_td_token_cb)(void *ctx, GBytes *token, const GError *error);
/** sp_td_token_read_fd() - takes @fd, a pipe, socket or memfd, and reads it to its end. @cb is
 * called once, never from within the call. Memory files are read from their beginning */
void sp_td_token_read_fd(int fd, sp_td_token_cb cb, void *ctx);
