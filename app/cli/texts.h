/* SPDX-License-Identifier: Apache-2.0 */
/* Texts for people from the codes of the tunnel service, which sends none itself. Pure. */
#pragma once

#include <glib.h>

/** sp_cli_text_of_state() - "Connected" for "connected"; an unknown state is returned as it is */
const char *sp_cli_text_of_state(const char *state);
/** sp_cli_text_of_reason() - what happened and what to do next; NULL for an empty reason, the code
 * itself for an unknown one */
const char *sp_cli_text_of_reason(const char *reason);

/** struct sp_cli_problem - what a D-Bus error name means here */
struct sp_cli_problem {
    const char *dbus_name;
    int exit;
    const char *code;
    const char *text;
};

/** sp_cli_problem_of() - NULL for a name that is not known */
const struct sp_cli_problem *sp_cli_problem_of(const char *dbus_name);

#define SP_CLI_TEXT_NO_SERVICE \
    "The tunnel service is not running. Start it with: systemctl start sallyport-tunneld"
#define SP_CLI_TEXT_SIGNED_OUT   "You are not signed in. Sign in with: sallyport sign-in"
#define SP_CLI_TEXT_DISCONNECTED "Not connected. Connect with: sallyport up"
