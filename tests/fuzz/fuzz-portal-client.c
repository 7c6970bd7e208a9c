/* SPDX-License-Identifier: Apache-2.0 */
/* A push to a client. What decodes holds to the model's promises; what is refused leaks nothing. */
#include "engine/portal/client-codec.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/portal-input.h"

static void
check_interface(const struct sp_interface *i)
{
    struct sp_interface copy;

    sp_assert(i->ipv4.family == 4 && i->ipv6.family == 6);
    sp_assert(i->n_upstream_do53 <= 2 * SP_MODEL_SERVERS_MAX);
    sp_assert(i->upstream_doh.n <= SP_MODEL_SERVERS_MAX);
    sp_interface_copy(&copy, i);
    sp_interface_done(&copy);
}

static void
send_candidates(const struct sp_client_msg *m)
{
    struct sp_client_req req = {
        .type = SP_CLIENT_REQ_NEW_CANDIDATES,
        .u.candidates = m->u.candidates,
    };
    char *event, *payload;

    sp_assert(sp_portal_client_encode(&req, &event, &payload) == 0);
    check_encoded(event, payload);
}

static void
check(const struct sp_client_msg *m)
{
    switch (m->type) {
    case SP_CLIENT_MSG_INIT:
        check_interface(&m->u.init.interface);
        check_relays(m->u.init.relays, m->u.init.n_relays);
        sp_assert(m->u.init.n_resources <= SP_MODEL_RESOURCES_MAX);
        for (size_t i = 0; i < m->u.init.n_resources; i++)
            check_resource(&m->u.init.resources[i]);
        break;
    case SP_CLIENT_MSG_CONFIG_CHANGED:
        check_interface(&m->u.config);
        break;
    case SP_CLIENT_MSG_RESOURCE_UPSERT:
        check_resource(&m->u.resource);
        break;
    case SP_CLIENT_MSG_RELAYS_PRESENCE:
        check_presence(&m->u.relays);
        break;
    case SP_CLIENT_MSG_AUTHORIZED:
        check_creds(&m->u.authorized.client_creds);
        check_creds(&m->u.authorized.gateway_creds);
        sp_assert(m->u.authorized.gateway_ipv4.family == 4);
        sp_assert(m->u.authorized.gateway_ipv6.family == 6);
        break;
    case SP_CLIENT_MSG_AUTHORIZATION_FAILED:
        sp_assert(m->u.failed.reason < _SP_FAIL_MAX);
        break;
    case SP_CLIENT_MSG_CANDIDATES:
    case SP_CLIENT_MSG_INVALIDATE_CANDIDATES:
        check_candidates(&m->u.candidates);
        send_candidates(m);
        break;
    case SP_CLIENT_MSG_RESOURCE_DELETED:
        break;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *event;
    JsonNode *payload = portal_input(data, size, &event);
    struct sp_client_msg m;

    if (sp_portal_client_decode(event, payload, &m) == 0) {
        check(&m);
        sp_client_msg_done(&m);
    }
    if (payload)
        json_node_unref(payload);
    free(event);
    return 0;
}
