/* SPDX-License-Identifier: Apache-2.0 */
/* Strict reading of JSON from strangers on top of json-glib: a depth limit before parsing and
 * getters that return NULL for anything of the wrong type. */
#pragma once

#include <json-glib/json-glib.h>

#include "engine/base/defs.h"

#define SP_CP_JSON_DEPTH_MAX 16

/** sp_cp_json_parse() - NULL when it is no JSON, too deep, or not UTF-8 */
JsonNode *sp_cp_json_parse(const char *text, size_t n);
/** sp_cp_json_object() - borrowed object or NULL */
JsonObject *sp_cp_json_object(JsonNode *node);
JsonObject *sp_cp_json_get_object(JsonObject *object, const char *member);
JsonArray *sp_cp_json_get_array(JsonObject *object, const char *member);
/** sp_cp_json_get_text() - borrowed string or NULL */
const char *sp_cp_json_get_text(JsonObject *object, const char *member);
bool sp_cp_json_get_int(JsonObject *object, const char *member, int64_t *ret_value);
/** sp_cp_json_get_uuid() - normalised UUID text (owned), or NULL */
char *sp_cp_json_get_uuid(JsonObject *object, const char *member);
/** sp_cp_json_node_text() - borrowed string of a string node or NULL */
const char *sp_cp_json_node_text(JsonNode *node);
/** sp_cp_uuid_normalise() - lower case with hyphens (owned), or NULL */
char *sp_cp_uuid_normalise(const char *text);
/** sp_cp_json_object_node() - owned node around a taken object, which json_node_init_object() is not */
JsonNode *sp_cp_json_object_node(JsonObject *object);
/** sp_cp_json_array_node() - the same for an array */
JsonNode *sp_cp_json_array_node(JsonArray *array);
