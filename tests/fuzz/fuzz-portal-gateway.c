/* SPDX-License-Identifier: Apache-2.0 */
/* A push to a gateway. What decodes holds to the model's promises; what is refused leaks nothing. */
#include "engine/portal/gateway-codec.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/portal-input.h"

static void
reply(const struct sp_gw_req *req)
{
    char *event, *payload;

    sp_assert(sp_portal_gateway_encode(req, &event, &payload) == 0);
    check_encoded(event, payload);
}

static void
check_authorize(const struct sp_gw_authorize *a)
{
    struct sp_gw_req req = { .type = SP_GW_REQ_AUTHORIZED, .u.ref = a->ref };

    sp_assert(a->ref != NULL && a->client_ipv4.family == 4 && a->client_ipv6.family == 6);
    check_creds(&a->client_creds);
    check_creds(&a->gateway_creds);
    check_resource(&a->resource);
    reply(&req);
}

static void
check(const struct sp_gw_msg *m)
{
    struct sp_gw_req req = { .type = SP_GW_REQ_NEW_CANDIDATES };

    switch (m->type) {
    case SP_GW_MSG_INIT:
        sp_assert(m->u.init.ipv4.family == 4 && m->u.init.ipv6.family == 6);
        check_relays(m->u.init.relays, m->u.init.n_relays);
        break;
    case SP_GW_MSG_AUTHORIZE:
        check_authorize(&m->u.authorize);
        break;
    case SP_GW_MSG_RESOURCE_UPDATED:
        check_resource(&m->u.resource);
        break;
    case SP_GW_MSG_CANDIDATES:
    case SP_GW_MSG_INVALIDATE_CANDIDATES:
        check_candidates(&m->u.candidates);
        req.u.candidates = m->u.candidates;
        reply(&req);
        break;
    case SP_GW_MSG_RELAYS_PRESENCE:
        check_presence(&m->u.relays);
        break;
    case SP_GW_MSG_REJECT_ACCESS:
        break;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *event;
    JsonNode *payload = portal_input(data, size, &event);
    struct sp_gw_msg m;

    if (sp_portal_gateway_decode(event, payload, &m) == 0) {
        check(&m);
        sp_gw_msg_done(&m);
    }
    if (payload)
        json_node_unref(payload);
    free(event);
    return 0;
}
