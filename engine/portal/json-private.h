/* SPDX-License-Identifier: Apache-2.0 */
/* Strict reading of JSON that a portal sent: bounds are checked on the text before json-glib sees
 * it (its parser recurses and accepts comments), types and ranges on every member afterwards.
 * Source: spec portal-protocol, table of primitive types. Thread: any. I/O: none. */
#pragma once

#include <json-glib/json-glib.h>

#include "engine/base/addr.h"
#include "engine/base/defs.h"
#include "engine/base/uuid.h"
#include "engine/model/model.h"

#define SP_JSON_DEPTH_MAX 32
#define SP_JSON_TEXT_MAX  1024 /* bytes of an ordinary string: names, addresses, references */

/** SP_JSON_TRUNCATED - the text ends inside a string, object or array */
#define SP_JSON_TRUNCATED 1

/** sp_json_check() - is @text plain JSON in UTF-8 of bounded nesting, as far as a scanner can tell?
 * Returns: 0; SP_JSON_TRUNCATED; SP_E_MALFORMED; SP_E_LIMIT (too deep) */
SP_MUST_CHECK int sp_json_check(const char *text, size_t n);

/** sp_json_parse() - check, then parse; @ret_root is owned by the caller (json_node_unref)
 * Returns: as sp_json_check() */
SP_MUST_CHECK int sp_json_parse(const char *text, size_t n, JsonNode **ret_root);

/* Members. "required" getters answer SP_E_MALFORMED for a missing or null member; "opt" getters
 * answer 0 and NULL or the given default. Returned strings and containers borrow from the node. */

SP_MUST_CHECK int sp_json_object(JsonNode *node, JsonObject **ret_object);
/** sp_json_member() - the member, or NULL if it is absent or null */
JsonNode *sp_json_member(JsonObject *o, const char *key);
SP_MUST_CHECK int sp_json_get_object(JsonObject *o, const char *key, JsonObject **ret_object);
SP_MUST_CHECK int sp_json_node_string(JsonNode *node, size_t max, const char **ret_text);
SP_MUST_CHECK int sp_json_get_string(JsonObject *o, const char *key, size_t max, const char **ret);
SP_MUST_CHECK int sp_json_opt_string(JsonObject *o, const char *key, size_t max, const char **ret);
/** sp_json_opt_array() - more than @max elements is SP_E_MALFORMED; absent gives NULL */
SP_MUST_CHECK int sp_json_opt_array(JsonObject *o, const char *key, size_t max, JsonArray **ret);
SP_MUST_CHECK int sp_json_opt_int(JsonObject *o, const char *key, int64_t dflt, int64_t *ret);
SP_MUST_CHECK int sp_json_opt_bool(JsonObject *o, const char *key, bool dflt, bool *ret);

/** sp_json_parse_uuid() - hyphened, plain, braced or "urn:uuid:" form */
SP_MUST_CHECK int sp_json_parse_uuid(const char *text, struct sp_uuid *ret_id);
SP_MUST_CHECK int sp_json_node_uuid(JsonNode *node, struct sp_uuid *ret_id);
SP_MUST_CHECK int sp_json_get_uuid(JsonObject *o, const char *key, struct sp_uuid *ret_id);
/** sp_json_get_key() - standard base64 with padding of exactly 32 bytes */
SP_MUST_CHECK int sp_json_get_key(JsonObject *o, const char *key, uint8_t ret_key[SP_KEY_LEN]);
/** sp_json_get_ip() - a bare address of @family (4 or 6) */
SP_MUST_CHECK int sp_json_get_ip(JsonObject *o, const char *key, uint8_t family, struct sp_ip *ret);
