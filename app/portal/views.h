/* SPDX-License-Identifier: Apache-2.0 */
/* JSON objects the portal sends. Source: spec portal-protocol section 3. Every function returns an
 * owned node. */
#pragma once

#include "app/portal/store.h"
#include "app/portal/token.h"

JsonNode *sp_cp_view_client_interface(const struct sp_cp_account *account,
                                      const struct sp_cp_device *device);
JsonNode *sp_cp_view_client_resource(const struct sp_cp_resource *resource);
JsonNode *sp_cp_view_gateway_resource(const struct sp_cp_resource *resource);
/** sp_cp_view_flow_logs() - mandatory in every init; interval 0 switches uploads off */
JsonNode *sp_cp_view_flow_logs(const char *public_url);
/** sp_cp_view_relays_presence() - answer to no_relays; there are no relays to name yet */
JsonNode *sp_cp_view_relays_presence(void);
JsonNode *sp_cp_view_ice(const char *ufrag, const char *pwd);
JsonNode *sp_cp_view_client_init(const struct sp_cp_account *account,
                                 const struct sp_cp_device *device,
                                 GPtrArray *resources,
                                 const char *public_url);
JsonNode *sp_cp_view_gateway_init(const struct sp_cp_account *account,
                                  const struct sp_cp_device *device,
                                  GPtrArray *authorizations,
                                  const char *public_url);

/** struct sp_cp_flow - everything one authorization consists of (all borrowed) */
struct sp_cp_flow {
    const struct sp_cp_account *account;
    const struct sp_cp_actor *actor;
    const struct sp_cp_device *client;
    const struct sp_cp_device *gateway;
    const struct sp_cp_resource *resource;
    const struct sp_cp_grant *grant;
    const struct sp_cp_token *token;
    const char *remote_ip;
    const char *authz_id;
    int64_t expires_at;
};
JsonNode *sp_cp_view_create_authorization(const struct sp_cp_flow *flow, const char *ref);
JsonNode *sp_cp_view_authorization_created(const struct sp_cp_flow *flow);
