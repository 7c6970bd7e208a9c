/* SPDX-License-Identifier: Apache-2.0 */
#include "app/portal/candidates.h"

#include <string.h>

#include "app/portal/json.h"

JsonNode *
sp_cp_candidates_payload(JsonObject *payload, const char *peer_member, const char *peer_id)
{
    JsonArray *in = sp_cp_json_get_array(payload, "candidates");
    JsonArray *list;
    JsonObject *o;

    if (!in || json_array_get_length(in) > SP_CP_CANDIDATES_MAX)
        return NULL;
    list = json_array_new();
    for (unsigned i = 0; i < json_array_get_length(in); i++) {
        const char *text = sp_cp_json_node_text(json_array_get_element(in, i));

        if (text && strlen(text) <= SP_CP_CANDIDATE_LENGTH_MAX)
            json_array_add_string_element(list, text);
    }
    o = json_object_new();
    json_object_set_string_member(o, peer_member, peer_id);
    json_object_set_array_member(o, "candidates", list);
    payload = o;
    return sp_cp_json_object_node(payload);
}

GPtrArray *
sp_cp_candidates_targets(JsonObject *payload, const char *single, const char *many)
{
    GPtrArray *ids = g_ptr_array_new_with_free_func(g_free);
    JsonArray *list = sp_cp_json_get_array(payload, many);
    char *id = single ? sp_cp_json_get_uuid(payload, single) : NULL;

    if (id)
        g_ptr_array_add(ids, id);
    for (unsigned i = 0; list && i < json_array_get_length(list) && i < SP_CP_PEERS_MAX; i++) {
        id = sp_cp_uuid_normalise(sp_cp_json_node_text(json_array_get_element(list, i)));
        if (id && !g_ptr_array_find_with_equal_func(ids, id, g_str_equal, NULL))
            g_ptr_array_add(ids, id);
        else
            g_free(id);
    }
    return ids;
}
