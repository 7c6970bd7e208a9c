/* SPDX-License-Identifier: Apache-2.0 */
/* Lets tables of cases write JSON with apostrophes instead of quotation marks. */
#pragma once

#include <json-glib/json-glib.h>
#include <string.h>

/* Owned by the caller (g_free). */
static inline char *
json_text(const char *text)
{
    char *copy = g_strdup(text);

    for (char *c = copy; *c != '\0'; c++)
        if (*c == '\'')
            *c = '"';
    return copy;
}

/* Any JSON value; owned by the caller (json_node_unref). */
static inline JsonNode *
json_of(const char *text)
{
    g_autofree char *copy = json_text(text);
    g_autoptr(GError) error = NULL;
    JsonNode *node = json_from_string(copy, &error);

    g_assert_no_error(error);
    return node;
}
