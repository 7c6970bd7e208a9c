/* SPDX-License-Identifier: Apache-2.0 */
/* One connected gateway. Sources: spec portal-protocol 3.4, 4.5, 4.10. Frees itself when its socket
 * closes. */
#pragma once

#include <libsoup/soup.h>

#include "app/portal/hub.h"
#include "app/portal/seat.h"
#include "app/portal/views.h"

/** sp_cp_gateway_new() - serve @ws; takes @device, @token and @seat; an older connection of the device,
 * most likely a dead one, is closed */
struct sp_cp_gateway *sp_cp_gateway_new(struct sp_cp_hub *hub,
                                        SoupWebsocketConnection *ws,
                                        struct sp_cp_device *device,
                                        struct sp_cp_token *token,
                                        struct sp_cp_seat *seat);
void sp_cp_gateway_free(struct sp_cp_gateway *gateway);
void sp_cp_gateway_sync(struct sp_cp_gateway *gateway);
void sp_cp_gateway_shutdown(struct sp_cp_gateway *gateway);
/** sp_cp_gateway_is_online() - joined and not being closed */
bool sp_cp_gateway_is_online(const struct sp_cp_gateway *gateway);
const struct sp_cp_device *sp_cp_gateway_device(const struct sp_cp_gateway *gateway);
/** sp_cp_gateway_offer() - put an authorization before the gateway and remember it */
void sp_cp_gateway_offer(struct sp_cp_gateway *gateway,
                         const struct sp_cp_flow *flow,
                         const char *ref);
void sp_cp_gateway_push(struct sp_cp_gateway *gateway, const char *event, JsonNode *payload);
