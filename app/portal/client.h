/* SPDX-License-Identifier: Apache-2.0 */
/* One connected client. Sources: spec portal-protocol 3.2, 3.3, 4.4, 4.5. Frees itself when its
 * socket closes. */
#pragma once

#include <libsoup/soup.h>

#include "app/portal/hub.h"
#include "app/portal/seat.h"

#define SP_CP_OFFERS_MAX 1000 /* questions one client may have open */

/** sp_cp_client_new() - serve @ws; takes @device, @token and @seat; an older connection of the device is
 * told that its session is over */
struct sp_cp_client *sp_cp_client_new(struct sp_cp_hub *hub,
                                      SoupWebsocketConnection *ws,
                                      struct sp_cp_device *device,
                                      struct sp_cp_token *token,
                                      struct sp_cp_seat *seat,
                                      const char *remote_ip);
void sp_cp_client_free(struct sp_cp_client *client);
/** sp_cp_client_sync() - push what changed in the database since the last push */
void sp_cp_client_sync(struct sp_cp_client *client);
void sp_cp_client_shutdown(struct sp_cp_client *client);
/** sp_cp_client_granted() - the gateway agreed; the offer is consumed */
void sp_cp_client_granted(struct sp_cp_client *client, struct sp_cp_offer *offer);
/** sp_cp_client_forget() - the gateway will not answer; the offer is consumed */
void sp_cp_client_forget(struct sp_cp_client *client, struct sp_cp_offer *offer);
/** sp_cp_client_push() - an event from a gateway; @payload is taken */
void sp_cp_client_push(struct sp_cp_client *client, const char *event, JsonNode *payload);
