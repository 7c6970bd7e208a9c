/* SPDX-License-Identifier: Apache-2.0 */
/* Objects that appear in client and in gateway messages. Source: spec portal-protocol 3.1, 3.6.
 * Decoders return 0, SP_E_MALFORMED or SP_E_UNSUPPORTED; outputs are untouched unless they return
 * 0. Thread: any. I/O: none. */
#pragma once

#include <json-glib/json-glib.h>

#include "engine/model/model.h"
#include "engine/portal/codec.h"

#define SP_PORTAL_AUTHZ_MAX     100000
#define SP_PORTAL_CANDIDATE_MAX 512 /* bytes of one candidate string */

SP_MUST_CHECK int sp_portal_decode_interface(JsonObject *o, struct sp_interface *ret);
/** sp_portal_decode_client_resource() - SP_E_UNSUPPORTED for a type we do not carry;
 * SP_E_INVAL when there is no type at all, which spoils the message around it */
SP_MUST_CHECK int sp_portal_decode_client_resource(JsonNode *node, struct sp_resource *ret);
SP_MUST_CHECK int sp_portal_decode_gw_resource(JsonNode *node, struct sp_resource *ret);
SP_MUST_CHECK int sp_portal_decode_relays(JsonObject *o,
                                          const char *key,
                                          struct sp_relay **ret_list,
                                          size_t *ret_n);
SP_MUST_CHECK int sp_portal_decode_presence(JsonNode *node, struct sp_relays_presence *ret);
SP_MUST_CHECK int sp_portal_decode_ice(JsonObject *o,
                                       const char *key,
                                       struct sp_ice_creds *ret_creds);
/** sp_portal_decode_candidates() - {@peer_key, "candidates"}; entries that are no candidate are
 * skipped and counted */
SP_MUST_CHECK int sp_portal_decode_candidates(JsonNode *node,
                                              const char *peer_key,
                                              struct sp_portal_skips *skips,
                                              struct sp_candidates *ret);

/** sp_portal_build_uuid() - string value of an open array or named member */
void sp_portal_build_uuid(JsonBuilder *b, const struct sp_uuid *id);
void sp_portal_build_strings(JsonBuilder *b, const char *key, const struct sp_strv *list);
/** sp_portal_build_text() - the finished JSON of @b; owned (free) */
char *sp_portal_build_text(JsonBuilder *b);
