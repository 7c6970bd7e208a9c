/* SPDX-License-Identifier: Apache-2.0 */
/* Spec connectivity 5.2: a connection without traffic checks its path rarely. */
#include "engine/node/node-private.h"

const struct sp_ice_timing *
sp_node_active_timing(const struct sp_node *node)
{
    return node->config.server ? &sp_ice_timing_server_active : &sp_ice_timing_client_active;
}

static const struct sp_ice_timing *
idle_timing(const struct sp_node *node)
{
    return node->config.server ? &sp_ice_timing_server_idle : &sp_ice_timing_client_idle;
}

void
sp_node_conn_touch(struct sp_node_conn *conn, sp_time now)
{
    conn->last_activity = now;
    if (conn->state != SP_NODE_STATE_IDLE)
        return;
    sp_ice_agent_set_timing(conn->ice, sp_node_active_timing(conn->node), now);
    conn->at_ice = sp_ice_agent_next_timeout(conn->ice);
    sp_node_conn_set_state(conn, SP_NODE_STATE_CONNECTED, "activity");
}

sp_time
sp_node_conn_idle_at(const struct sp_node_conn *conn)
{
    /* While checks still run a better path may come; idle timing would delay it by 25 s. */
    if (conn->state != SP_NODE_STATE_CONNECTED
        || !sp_ice_state_is_connected(sp_ice_agent_state(conn->ice)))
        return SP_TIME_NEVER;
    return sp_time_add(conn->last_activity, SP_NODE_MAX_IDLE);
}

void
sp_node_conn_fall_idle(struct sp_node_conn *conn, sp_time now)
{
    sp_ice_agent_set_timing(conn->ice, idle_timing(conn->node), now);
    sp_node_conn_set_state(conn, SP_NODE_STATE_IDLE, "no traffic");
}
