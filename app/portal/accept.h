/* SPDX-License-Identifier: Apache-2.0 */
/* Who may open a web socket: token, rate limit, parameters, device. Source: spec portal-protocol
 * 4.1. Refusals are HTTP answers to the upgrade as application/problem+json. */
#pragma once

#include <libsoup/soup.h>

#include "app/portal/hub.h"
#include "app/portal/limit.h"
#include "app/portal/remote.h"
#include "app/portal/seat.h"

struct sp_cp_accept {
    struct sp_cp_hub *hub;
    const struct sp_cp_proxies *proxies;
    struct sp_cp_seats *seats;
    struct sp_cp_limit *addresses; /* connects of one address, whatever tokens it shows */
    struct sp_cp_limit *connects;  /* connects of one address with one token */
};

/** sp_cp_accept_register() - serve the client and gateway paths on @server */
void sp_cp_accept_register(struct sp_cp_accept *accept, SoupServer *server);
/** sp_cp_problem() - answer @msg with a problem document */
void sp_cp_problem(SoupServerMessage *msg, unsigned status, const char *code, const char *detail);
