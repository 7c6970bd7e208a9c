/* SPDX-License-Identifier: Apache-2.0 */
#include "app/portal/json.h"

#include <string.h>

#include "engine/base/uuid.h"

static int
hex4(const char *text, size_t n)
{
    int value = 0;

    if (n < 4)
        return -1;
    for (size_t i = 0; i < 4; i++) {
        int digit = g_ascii_xdigit_value(text[i]);

        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

/* Length of the escape at @text, 0 if it is none that makes UTF-8 text: json-glib lets half of a
 * surrogate pair through, and then no web socket takes the frame that repeats it. */
static size_t
escape_length(const char *text, size_t n)
{
    int unit;

    if (n < 2 || text[1] != 'u')
        return 2;
    unit = hex4(text + 2, n - 2);
    if (unit <= 0 || (unit >= 0xdc00 && unit <= 0xdfff))
        return 0;
    if (unit < 0xd800 || unit > 0xdbff)
        return 6;
    if (n < 12 || text[6] != '\\' || text[7] != 'u')
        return 0;
    unit = hex4(text + 8, n - 8);
    return unit >= 0xdc00 && unit <= 0xdfff ? 12 : 0;
}

/* json-glib descends by recursion without a limit, so depth is counted before it sees the text.
 * Its scanner also knows comments and single quotes, in which a bracket or a quote could fool the
 * count; JSON has neither, so they are refused. */
static bool
text_is_fine(const char *text, size_t n)
{
    bool in_string = false;
    unsigned depth = 0;

    for (size_t i = 0; i < n; i++) {
        char c = text[i];

        if (in_string && c == '\\') {
            size_t length = escape_length(text + i, n - i);

            if (length == 0)
                return false;
            i += length - 1;
        } else if (c == '"') {
            in_string = !in_string;
        } else if (!in_string && (c == '/' || c == '\'' || c == '#')) {
            return false;
        } else if (!in_string && (c == '{' || c == '[')) {
            if (++depth > SP_CP_JSON_DEPTH_MAX)
                return false;
        } else if (!in_string && (c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return true;
}

JsonNode *
sp_cp_json_parse(const char *text, size_t n)
{
    g_autoptr(JsonParser) parser = NULL;

    if (n > G_MAXSSIZE || !g_utf8_validate_len(text, n, NULL) || !text_is_fine(text, n))
        return NULL;
    parser = json_parser_new_immutable();
    if (!json_parser_load_from_data(parser, text, (gssize)n, NULL))
        return NULL;
    return json_parser_steal_root(parser);
}

JsonObject *
sp_cp_json_object(JsonNode *node)
{
    return node && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}

JsonObject *
sp_cp_json_get_object(JsonObject *object, const char *member)
{
    return object ? sp_cp_json_object(json_object_get_member(object, member)) : NULL;
}

JsonArray *
sp_cp_json_get_array(JsonObject *object, const char *member)
{
    JsonNode *node = object ? json_object_get_member(object, member) : NULL;

    return node && JSON_NODE_HOLDS_ARRAY(node) ? json_node_get_array(node) : NULL;
}

const char *
sp_cp_json_node_text(JsonNode *node)
{
    if (!node || !JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_STRING)
        return NULL;
    return json_node_get_string(node);
}

const char *
sp_cp_json_get_text(JsonObject *object, const char *member)
{
    return object ? sp_cp_json_node_text(json_object_get_member(object, member)) : NULL;
}

bool
sp_cp_json_get_int(JsonObject *object, const char *member, int64_t *ret_value)
{
    JsonNode *node = object ? json_object_get_member(object, member) : NULL;

    if (!node || !JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_INT64)
        return false;
    *ret_value = json_node_get_int(node);
    return true;
}

char *
sp_cp_uuid_normalise(const char *text)
{
    char out[SP_UUID_STR_MAX];
    struct sp_uuid id;

    if (!text || sp_uuid_parse(text, &id) < 0)
        return NULL;
    return g_strdup(sp_uuid_format(&id, out));
}

char *
sp_cp_json_get_uuid(JsonObject *object, const char *member)
{
    return sp_cp_uuid_normalise(sp_cp_json_get_text(object, member));
}

JsonNode *
sp_cp_json_object_node(JsonObject *object)
{
    JsonNode *node = json_node_new(JSON_NODE_OBJECT);

    json_node_take_object(node, object);
    return node;
}

JsonNode *
sp_cp_json_array_node(JsonArray *array)
{
    JsonNode *node = json_node_new(JSON_NODE_ARRAY);

    json_node_take_array(node, array);
    return node;
}
