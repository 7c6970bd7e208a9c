/* SPDX-License-Identifier: Apache-2.0 */
/* Candidate messages on their way from one peer to another. */
#pragma once

#include <json-glib/json-glib.h>

#define SP_CP_CANDIDATES_MAX       100
#define SP_CP_CANDIDATE_LENGTH_MAX 512
#define SP_CP_PEERS_MAX            64

/** sp_cp_candidates_payload() - {"@peer_member": @peer_id, "candidates": [...]} with the strings of
 * @payload that are not absurdly long; NULL when it has no candidate array or one that is too long. Owned. */
JsonNode *sp_cp_candidates_payload(JsonObject *payload,
                                   const char *peer_member,
                                   const char *peer_id);
/** sp_cp_candidates_targets() - normalised ids of @single or of the array @many; may be empty */
GPtrArray *sp_cp_candidates_targets(JsonObject *payload, const char *single, const char *many);
