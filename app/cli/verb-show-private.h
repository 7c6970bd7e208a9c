/* SPDX-License-Identifier: Apache-2.0 */
/* What the showing verbs share. */
#pragma once

#include "app/cli/cli.h"

/** sp_cli_require_session() - connect to the service; SP_CLI_NOT_CONNECTED without a session */
int sp_cli_require_session(struct sp_cli *cli);
/** sp_cli_add_connections_json() - member "connections" from the reply of ListConnections or NULL */
void sp_cli_add_connections_json(JsonBuilder *b, GVariant *list);
void sp_cli_print_connections(GVariant *list);
