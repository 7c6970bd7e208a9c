/* SPDX-License-Identifier: Apache-2.0 */
/* Log output of the programs: GLib structured logging to the journal or standard error, with a
 * level filter. Thread: set up once in main() before any thread starts. */
#pragma once

#include <glib.h>

#include "engine/base/defs.h"

/** sp_app_log_setup() - install the process-wide writer; messages below @level are dropped */
void sp_app_log_setup(GLogLevelFlags level);
/** sp_app_log_parse_level() - "error", "warning", "info" or "debug"; false for anything else */
bool sp_app_log_parse_level(const char *text, GLogLevelFlags *ret_level);
