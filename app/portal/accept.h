/* SPDX-License-Identifier: Apache-2.0 */
/* Who may open a web socket: token, rate limit, parameters, device. Source: spec portal-protocol
 * 4.1. Refusals are HTTP answers to the upgrade as application/problem+json. */
#pragma once

#include <libsoup/soup.h>

#include "app/portal/hub.h"
#include "app/portal/limit.h"

struct sp_cp_accept {
    struct sp_cp_hub *hub;
    struct sp_cp_limit *connects;
};

/** sp_cp_accept_register() - serve the client and gateway paths on @server */
void sp_cp_accept_register(struct sp_cp_accept *accept, SoupServer *server);
/** sp_cp_problem() - answer @msg with a problem document */
void sp_cp_problem(SoupServerMessage *msg, unsigned status, const char *code, const char *detail);
