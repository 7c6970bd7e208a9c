/* SPDX-License-Identifier: Apache-2.0 */
/* What a user agent tells: component, version, and who fits with whom. Source: spec
 * portal-protocol 4.2. */
#pragma once

#include "engine/base/defs.h"

struct sp_cp_version {
    bool known;
    unsigned major;
    unsigned minor;
    unsigned patch;
};

/** sp_cp_agent_is_client() - does @agent name one of the known client components? */
bool sp_cp_agent_is_client(const char *agent);
/** sp_cp_agent_version_text() - "X.Y.Z" after the first known component, or NULL. Owned. */
char *sp_cp_agent_version_text(const char *agent);
struct sp_cp_version sp_cp_version_parse(const char *text);
bool sp_cp_version_at_least(const struct sp_cp_version *v, unsigned major, unsigned minor);
/** sp_cp_versions_fit() - may @client use @gateway? Unknown client: all; unknown gateway: none */
bool sp_cp_versions_fit(const struct sp_cp_version *client, const struct sp_cp_version *gateway);
