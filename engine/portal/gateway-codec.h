/* SPDX-License-Identifier: Apache-2.0 */
/* Gateway messages: JSON <-> model. Source: spec portal-protocol 3.1, 3.4, 3.7.
 * Thread: any. I/O: none. */
#pragma once

#include <json-glib/json-glib.h>

#include "engine/model/model.h"
#include "engine/portal/codec.h"

/**
 * sp_portal_gateway_decode() - one portal push, as sp_phx_poll_event() hands it out
 * @event:   event name; the names of the 2025-07 dialect are accepted too
 * @payload: borrowed; NULL counts as null
 * @ret:     on 0 filled, owned by the caller: sp_gw_msg_done()
 *
 * Returns: 0; SP_E_MALFORMED; SP_E_UNSUPPORTED for an unknown event or resource type. In each case
 * the connection stays; the message is dropped and counted.
 */
SP_MUST_CHECK int sp_portal_gateway_decode(const char *event,
                                           JsonNode *payload,
                                           struct sp_gw_msg *ret);

/** sp_portal_gateway_decode_counted() - the same; adds to @skips what was left out */
SP_MUST_CHECK int sp_portal_gateway_decode_counted(const char *event,
                                                   JsonNode *payload,
                                                   struct sp_portal_skips *skips,
                                                   struct sp_gw_msg *ret);

/**
 * sp_portal_gateway_encode() - event name and payload text for sp_phx_send()
 * Both strings are owned by the caller (free).
 * Returns: 0; SP_E_LIMIT when there are more candidates than one message may carry
 */
SP_MUST_CHECK int sp_portal_gateway_encode(const struct sp_gw_req *req,
                                           char **ret_event,
                                           char **ret_payload);
