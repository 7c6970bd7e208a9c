/* SPDX-License-Identifier: Apache-2.0 */
/* Identifiers the firmware reports, for the portal's device list. Source: spec portal-protocol 1.1.
 * Thread: any. */
#pragma once

#include <glib.h>

/** sp_td_machine_fact() - the one-line text of @path; NULL when unreadable, not plain ASCII, empty
 * or a known placeholder. Returns: g_free */
char *sp_td_machine_fact(const char *path);

#define SP_TD_MACHINE_SERIAL "/sys/class/dmi/id/product_serial"
#define SP_TD_MACHINE_UUID   "/sys/class/dmi/id/product_uuid"
