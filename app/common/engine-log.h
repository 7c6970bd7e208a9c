/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's log lines through GLib, with a filter per category. Thread: set up once in main(),
 * then any. */
#pragma once

#include <glib.h>

#include "engine/base/log.h"

#define SP_ENGINE_LOG_CATS 32

/** struct sp_engine_log - owns nothing; must outlive the @log handed out */
struct sp_engine_log {
    struct sp_log log;
    enum sp_log_level level[SP_ENGINE_LOG_CATS];
};

/**
 * sp_engine_log_init() - filter "LEVEL[,CATEGORY=LEVEL...]", levels error warn info debug trace
 *
 * Also sets up the process-wide writer (app/common/log.h) so that what passes here is printed.
 * Returns: FALSE and @error (G_OPTION_ERROR_BAD_VALUE) naming the part that is wrong.
 */
gboolean sp_engine_log_init(struct sp_engine_log *log, const char *filter, GError **error);
