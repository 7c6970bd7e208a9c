/* SPDX-License-Identifier: Apache-2.0 */
/* The service manager's notification socket (sd_notify(3), protocol only). Thread: any. */
#pragma once

#include <glib.h>

/** sp_sd_notify() - send @state, e.g. "READY=1"; nothing happens without a service manager.
 * Returns: TRUE if it was sent */
gboolean sp_sd_notify(const char *state);
