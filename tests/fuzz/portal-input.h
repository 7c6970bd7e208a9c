/* SPDX-License-Identifier: Apache-2.0 */
/* Input of the two codec targets: the event name, a line end, the payload as JSON. */
#pragma once

#include <json-glib/json-glib.h>
#include <stdlib.h>
#include <string.h>

#include "engine/model/model.h"

/* Splits the input; *@ret_event is freed by the caller. Returns: the payload, NULL if there is none
 * or it is no JSON */
static inline JsonNode *
portal_input(const uint8_t *data, size_t size, char **ret_event)
{
    const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
    size_t n = end ? (size_t)(end - data) : size;
    JsonParser *parser = json_parser_new_immutable();
    JsonNode *node = NULL;

    *ret_event = sp_xcalloc(n + 1, 1);
    if (n)
        memcpy(*ret_event, data, n);
    if (end
        && json_parser_load_from_data(parser, (const char *)end + 1, (gssize)(size - n - 1), NULL))
        node = json_parser_steal_root(parser);
    g_object_unref(parser);
    return node;
}

static inline void
check_candidates(const struct sp_candidates *c)
{
    sp_assert(c->list.n <= SP_MODEL_CANDIDATES_MAX);
    for (size_t i = 0; i < c->list.n; i++)
        sp_assert(c->list.v[i] != NULL);
}

static inline void
check_relays(const struct sp_relay *relays, size_t n)
{
    sp_assert(n <= SP_MODEL_RELAYS_MAX);
    for (size_t i = 0; i < n; i++) {
        sp_assert(relays[i].username != NULL && relays[i].password != NULL);
        sp_assert(relays[i].addr4.ip.family == 4 || relays[i].addr6.ip.family == 6);
        for (size_t k = 0; k < i; k++)
            sp_assert(!sp_uuid_equal(&relays[i].id, &relays[k].id));
    }
}

static inline void
check_presence(const struct sp_relays_presence *p)
{
    sp_assert(p->n_disconnected == 0 || p->disconnected != NULL);
    check_relays(p->connected, p->n_connected);
}

static inline void
check_creds(const struct sp_ice_creds *c)
{
    sp_assert(memchr(c->ufrag, 0, sizeof c->ufrag) != NULL);
    sp_assert(memchr(c->pwd, 0, sizeof c->pwd) != NULL);
}

static inline void
check_resource(const struct sp_resource *r)
{
    struct sp_ip masked = sp_ip_mask(&r->net.ip, r->net.len);
    struct sp_resource copy;

    sp_assert(r->name != NULL && (r->type == SP_RESOURCE_INTERNET) == (r->address == NULL));
    if (r->type == SP_RESOURCE_CIDR)
        sp_assert(r->net.ip.family != 0 && sp_ip_equal(&masked, &r->net.ip));
    sp_assert(r->n_filters <= SP_MODEL_FILTERS_MAX && r->n_sites <= SP_MODEL_SITES_MAX);
    for (size_t i = 0; i < r->n_sites; i++)
        sp_assert(r->sites[i].name != NULL);
    sp_resource_copy(&copy, r);
    sp_resource_done(&copy);
}

/* What we would send is JSON. Takes both strings. */
static inline void
check_encoded(char *event, char *payload)
{
    JsonNode *node = json_from_string(payload, NULL);

    sp_assert(event[0] != 0 && node != NULL && JSON_NODE_HOLDS_OBJECT(node));
    json_node_unref(node);
    free(event);
    free(payload);
}
