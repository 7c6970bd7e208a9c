/* SPDX-License-Identifier: Apache-2.0 */
/* Client messages: JSON <-> model. Source: spec portal-protocol 3.1 to 3.3, 3.7.
 * Thread: any. I/O: none. */
#pragma once

#include <json-glib/json-glib.h>

#include "engine/model/model.h"
#include "engine/portal/codec.h"

/**
 * sp_portal_client_decode() - one portal push, as sp_phx_poll_event() hands it out
 * @event:   event name; the names of the 2025-07 dialect are accepted too
 * @payload: borrowed; NULL counts as null
 * @ret:     on 0 filled, owned by the caller: sp_client_msg_done()
 *
 * Returns: 0; SP_E_MALFORMED; SP_E_UNSUPPORTED for an unknown event or a resource of a type we do
 * not carry. In each case the connection stays; the message is dropped and counted.
 */
SP_MUST_CHECK int sp_portal_client_decode(const char *event,
                                          JsonNode *payload,
                                          struct sp_client_msg *ret);

/** sp_portal_client_decode_counted() - the same; adds to @skips what was left out of the message */
SP_MUST_CHECK int sp_portal_client_decode_counted(const char *event,
                                                  JsonNode *payload,
                                                  struct sp_portal_skips *skips,
                                                  struct sp_client_msg *ret);

/**
 * sp_portal_client_encode() - event name and payload text for sp_phx_send()
 * Both strings are owned by the caller (free).
 * Returns: 0; SP_E_LIMIT when there are more candidates or gateways than one message may carry
 */
SP_MUST_CHECK int sp_portal_client_encode(const struct sp_client_req *req,
                                          char **ret_event,
                                          char **ret_payload);
