/* SPDX-License-Identifier: Apache-2.0 */
/* The way to the tunnel service: connection, calls, and what their errors mean. Thread: main. */
#pragma once

#include <gio/gunixfdlist.h>

#include "app/cli/cli.h"

/** sp_cli_connect() - fill @cli->proxy, starting the service where the bus can do so
 * Returns: SP_CLI_OK, or the exit status of an error that is already reported */
int sp_cli_connect(struct sp_cli *cli);
/** sp_cli_try_connect() - as sp_cli_connect(), but starts nothing and reports nothing */
gboolean sp_cli_try_connect(struct sp_cli *cli);
/** sp_cli_call() - call a method and wait; the user may be asked for authorisation
 * @params: floating tuple, taken; NULL for none
 * @fds:    borrowed, or NULL
 * @ret:    on SP_CLI_OK the reply, owned; may be NULL
 * Returns: SP_CLI_OK, or the exit status of an error that is already reported */
int sp_cli_call(struct sp_cli *cli,
                const char *method,
                GVariant *params,
                GUnixFDList *fds,
                GVariant **ret);
/** sp_cli_try_call() - as sp_cli_call(), without report: NULL on error */
GVariant *sp_cli_try_call(struct sp_cli *cli, const char *method, GVariant *params);
/** sp_cli_report() - report the error of a call. Returns: its exit status */
int sp_cli_report(struct sp_cli *cli, const GError *error);
/** sp_cli_refresh() - read all properties anew; a change may still wait to be dispatched */
int sp_cli_refresh(struct sp_cli *cli);

/** sp_cli_has_session() - a session exists, connected or on the way */
gboolean sp_cli_has_session(struct sp_cli *cli);
/** sp_cli_state() - never NULL */
const char *sp_cli_state(struct sp_cli *cli);
/** sp_cli_reason() - never NULL */
const char *sp_cli_reason(struct sp_cli *cli);
/** sp_cli_entry() - a string of an a{sv} entry, borrowed from it; "" when missing */
const char *sp_cli_entry(GVariant *entry, const char *key);
/** sp_cli_entry_u64() - a number (t) of an a{sv} entry; 0 when missing */
guint64 sp_cli_entry_u64(GVariant *entry, const char *key);
/** sp_cli_entry_bool() - FALSE when missing */
gboolean sp_cli_entry_bool(GVariant *entry, const char *key);
