/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for a state of the tunnel service. Thread: main; runs the default main context. */
#pragma once

#include "app/cli/cli.h"

enum sp_cli_watch {
    SP_CLI_WATCH_REACHED,
    SP_CLI_WATCH_TIMEOUT,
    SP_CLI_WATCH_GONE, /* the service left the bus */
};

/** sp_cli_watch_until() - run until State is one of @states (NULL-terminated), which may be at once
 * @timeout_ms: 0: for ever */
enum sp_cli_watch sp_cli_watch_until(struct sp_cli *cli,
                                     const char *const *states,
                                     guint timeout_ms);
