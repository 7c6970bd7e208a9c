/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/node/node-private.h"

static const char *const state_names[_SP_NODE_STATE_MAX] = {
    [SP_NODE_STATE_CONNECTING] = "connecting",
    [SP_NODE_STATE_CONNECTED] = "connected",
    [SP_NODE_STATE_IDLE] = "idle",
    [SP_NODE_STATE_FAILED] = "failed",
};

static const char *const path_names[_SP_NODE_PATH_MAX] = {
    [SP_NODE_PATH_NONE] = "none",
    [SP_NODE_PATH_PEER_TO_PEER] = "peer-to-peer",
    [SP_NODE_PATH_PEER_TO_RELAY] = "peer-to-relay",
    [SP_NODE_PATH_RELAY_TO_PEER] = "relay-to-peer",
    [SP_NODE_PATH_RELAY_TO_RELAY] = "relay-to-relay",
};

const char *
sp_node_state_name(enum sp_node_state state)
{
    return (unsigned)state < _SP_NODE_STATE_MAX ? state_names[state] : "?";
}

const char *
sp_node_path_kind_name(enum sp_node_path_kind kind)
{
    return (unsigned)kind < _SP_NODE_PATH_MAX ? path_names[kind] : "?";
}

bool
sp_node_connection_info(const struct sp_node *node,
                        const struct sp_uuid *peer,
                        struct sp_node_info *ret_info)
{
    const struct sp_node_conn *conn = sp_node_by_id(&node->tables, peer);
    struct sp_ice_stats ice;

    if (!conn)
        return false;
    sp_ice_agent_stats(conn->ice, &ice);
    *ret_info = (struct sp_node_info){
        .state = conn->state,
        .path = conn->path.kind,
        .established = sp_node_conn_is_established(conn),
        .local = conn->path.local,
        .remote = conn->path.remote,
        .rtt = ice.rtt,
        .last_handshake = sp_wg_tunnel_last_handshake(conn->wg),
        .rx_bytes = conn->rx_bytes,
        .tx_bytes = conn->tx_bytes,
    };
    return true;
}

bool
sp_node_next_connection(const struct sp_node *node, size_t *pos, struct sp_uuid *ret_peer)
{
    const void *key;
    void *value;

    if (!sp_map_next(&node->tables.by_id, pos, &key, &value))
        return false;
    *ret_peer = ((const struct sp_node_conn *)value)->peer;
    return true;
}

void
sp_node_stats(const struct sp_node *node, struct sp_node_stats *ret_stats)
{
    const void *key;
    void *value;
    size_t pos = 0;

    *ret_stats =
        (struct sp_node_stats){ .connections = node->tables.by_id.len, .relays = node->relays.n };
    while (sp_map_next(&node->tables.by_id, &pos, &key, &value))
        ret_stats->paths[((const struct sp_node_conn *)value)->path.kind]++;
}
