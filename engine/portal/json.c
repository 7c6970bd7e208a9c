/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include <sodium.h>

#include "engine/base/err.h"
#include "engine/portal/json-private.h"

/* What may stand outside of strings: brackets, separators, blanks, numbers and the three literals.
 * A slash or an apostrophe would open a comment or a second kind of string in json-glib and hide
 * brackets from this scanner. */
static bool
is_bare(char c)
{
    return c != '\0' && strchr(":, \t\r\n0123456789+-.Eeaflnrstu", c) != NULL;
}

static size_t
skip_string(const char *text, size_t n, size_t i)
{
    for (i++; i < n; i++) {
        if ((unsigned char)text[i] < 0x20)
            return 0;
        if (text[i] == '"')
            return i;
        if (text[i] == '\\')
            i++;
    }
    return n;
}

int
sp_json_check(const char *text, size_t n)
{
    unsigned depth = 0;

    if (n == 0 || !g_utf8_validate_len(text, n, NULL))
        return SP_E_MALFORMED;
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '"') {
            i = skip_string(text, n, i);
            if (i == 0)
                return SP_E_MALFORMED;
            if (i >= n)
                return SP_JSON_TRUNCATED;
        } else if (text[i] == '{' || text[i] == '[') {
            if (++depth > SP_JSON_DEPTH_MAX)
                return SP_E_LIMIT;
        } else if (text[i] == '}' || text[i] == ']') {
            if (depth-- == 0)
                return SP_E_MALFORMED;
        } else if (!is_bare(text[i])) {
            return SP_E_MALFORMED;
        }
    }
    return depth == 0 ? 0 : SP_JSON_TRUNCATED;
}

int
sp_json_parse(const char *text, size_t n, JsonNode **ret_root)
{
    int r = sp_json_check(text, n);
    g_autoptr(JsonParser) parser = NULL;
    JsonNode *root;

    if (r != 0)
        return r;
    parser = json_parser_new_immutable();
    if (!json_parser_load_from_data(parser, text, (gssize)n, NULL))
        return SP_E_MALFORMED;
    root = json_parser_steal_root(parser);
    if (root == NULL)
        return SP_E_MALFORMED;
    *ret_root = root;
    return 0;
}

int
sp_json_object(JsonNode *node, JsonObject **ret_object)
{
    if (node == NULL || !JSON_NODE_HOLDS_OBJECT(node))
        return SP_E_MALFORMED;
    *ret_object = json_node_get_object(node);
    return 0;
}

JsonNode *
sp_json_member(JsonObject *o, const char *key)
{
    JsonNode *node = json_object_get_member(o, key);

    return node == NULL || JSON_NODE_HOLDS_NULL(node) ? NULL : node;
}

int
sp_json_get_object(JsonObject *o, const char *key, JsonObject **ret_object)
{
    return sp_json_object(sp_json_member(o, key), ret_object);
}

int
sp_json_node_string(JsonNode *node, size_t max, const char **ret_text)
{
    const char *text;

    if (node == NULL || !JSON_NODE_HOLDS_VALUE(node)
        || json_node_get_value_type(node) != G_TYPE_STRING)
        return SP_E_MALFORMED;
    text = json_node_get_string(node);
    if (text == NULL || strlen(text) > max)
        return SP_E_MALFORMED;
    *ret_text = text;
    return 0;
}

int
sp_json_get_string(JsonObject *o, const char *key, size_t max, const char **ret)
{
    return sp_json_node_string(sp_json_member(o, key), max, ret);
}

int
sp_json_opt_string(JsonObject *o, const char *key, size_t max, const char **ret)
{
    JsonNode *node = sp_json_member(o, key);

    if (node != NULL)
        return sp_json_node_string(node, max, ret);
    *ret = NULL;
    return 0;
}

int
sp_json_opt_array(JsonObject *o, const char *key, size_t max, JsonArray **ret)
{
    JsonNode *node = sp_json_member(o, key);

    if (node == NULL) {
        *ret = NULL;
        return 0;
    }
    if (!JSON_NODE_HOLDS_ARRAY(node) || json_array_get_length(json_node_get_array(node)) > max)
        return SP_E_MALFORMED;
    *ret = json_node_get_array(node);
    return 0;
}

int
sp_json_opt_int(JsonObject *o, const char *key, int64_t dflt, int64_t *ret)
{
    JsonNode *node = sp_json_member(o, key);

    if (node == NULL) {
        *ret = dflt;
        return 0;
    }
    if (!JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_INT64)
        return SP_E_MALFORMED;
    *ret = json_node_get_int(node);
    return 0;
}

int
sp_json_opt_bool(JsonObject *o, const char *key, bool dflt, bool *ret)
{
    JsonNode *node = sp_json_member(o, key);

    if (node == NULL) {
        *ret = dflt;
        return 0;
    }
    if (!JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_BOOLEAN)
        return SP_E_MALFORMED;
    *ret = json_node_get_boolean(node);
    return 0;
}

int
sp_json_parse_uuid(const char *text, struct sp_uuid *ret_id)
{
    char bare[SP_UUID_STR_MAX];
    size_t n = strlen(text);

    if (g_str_has_prefix(text, "urn:uuid:"))
        return n == 45 ? sp_uuid_parse(text + 9, ret_id) : SP_E_MALFORMED;
    if (n != 38 || text[0] != '{' || text[37] != '}')
        return sp_uuid_parse(text, ret_id);
    g_strlcpy(bare, text + 1, sizeof bare);
    return sp_uuid_parse(bare, ret_id);
}

int
sp_json_node_uuid(JsonNode *node, struct sp_uuid *ret_id)
{
    const char *text;
    int r = sp_json_node_string(node, 45, &text);

    return r < 0 ? r : sp_json_parse_uuid(text, ret_id);
}

int
sp_json_get_uuid(JsonObject *o, const char *key, struct sp_uuid *ret_id)
{
    return sp_json_node_uuid(sp_json_member(o, key), ret_id);
}

int
sp_json_get_key(JsonObject *o, const char *key, uint8_t ret_key[SP_KEY_LEN])
{
    uint8_t bytes[SP_KEY_LEN];
    const char *text;
    size_t n;

    if (sp_json_get_string(o, key, 44, &text) < 0 || strlen(text) != 44
        || sodium_base642bin(bytes,
                             sizeof bytes,
                             text,
                             44,
                             NULL,
                             &n,
                             NULL,
                             sodium_base64_VARIANT_ORIGINAL)
               != 0
        || n != sizeof bytes)
        return SP_E_MALFORMED;
    for (size_t i = 0; i < sizeof bytes; i++)
        ret_key[i] = bytes[i];
    sodium_memzero(bytes, sizeof bytes);
    return 0;
}

int
sp_json_get_ip(JsonObject *o, const char *key, uint8_t family, struct sp_ip *ret)
{
    const char *text;
    struct sp_ip ip;

    if (sp_json_get_string(o, key, SP_IP_STR_MAX, &text) < 0 || sp_ip_parse(text, &ip) < 0
        || ip.family != family)
        return SP_E_MALFORMED;
    *ret = ip;
    return 0;
}
