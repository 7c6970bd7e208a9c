/* SPDX-License-Identifier: Apache-2.0 */
/* The versions that our programs claim in the user agent. A portal of the reference system compares
 * them and hides features from, or refuses, what it takes for too old (spec portal-protocol 4.2), so
 * these are protocol levels, not our own release number. */
#pragma once

#define SP_COMPAT_GATEWAY         "1.6.1"
#define SP_COMPAT_GUI_CLIENT      "1.5.17"
#define SP_COMPAT_HEADLESS_CLIENT "1.5.12"
#define SP_COMPAT_RELAY           "1.5.0"
