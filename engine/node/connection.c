/* SPDX-License-Identifier: Apache-2.0 */
/* One peer: CONNECTING until ICE nominates a path, then CONNECTED and IDLE in turn, until it fails,
 * is closed or is replaced. Spec connectivity 3.7, 4.4, 4.5, 5. */
#include <stdlib.h>
#include <string.h>

#include "engine/crypto/mem.h"
#include "engine/node/node-private.h"

/* Handles in log lines: the connection's index, which names nobody. */
#define CONN_INFO(conn, format, ...)    \
    SP_INFO((conn)->node->config.log,   \
            NODE,                       \
            "connection %06x: " format, \
            (conn)->index24,            \
            __VA_ARGS__)

void
sp_node_conn_set_state(struct sp_node_conn *conn, enum sp_node_state state, const char *cause)
{
    SP_DEBUG(conn->node->config.log,
             NODE,
             "connection %06x: %s -> %s (%s)",
             conn->index24,
             sp_node_state_name(conn->state),
             sp_node_state_name(state),
             cause);
    conn->state = state;
}

static struct sp_ice_agent *
new_agent(const struct sp_node *node, const struct sp_node_peer_params *params)
{
    struct sp_ice_config config = {
        .controlling = params->controlling,
        .local = params->local,
        .remote = params->remote,
        .timing = *sp_node_active_timing(node),
        .rng = node->config.rng,
        .log = node->config.log,
    };
    struct sp_ice_agent *agent = sp_ice_agent_new(&config);

    sp_wipe(&config, sizeof config);
    return agent;
}

static struct sp_wg_tunnel *
new_tunnel(const struct sp_node *node,
           const struct sp_node_peer_params *params,
           uint32_t index24,
           sp_time now)
{
    struct sp_wg_config config = {
        .identity = &node->identity,
        .index24 = index24,
        .params = sp_wg_params_ice(),
        .wall = node->config.wall,
        .rng = node->config.rng,
        .log = node->config.log,
        .now = now,
    };
    struct sp_wg_tunnel *tunnel;

    memcpy(config.peer_key, params->remote_key, SP_KEY_LEN);
    memcpy(config.psk, params->psk, SP_KEY_LEN);
    tunnel = sp_wg_tunnel_new(&config);
    sp_wipe(&config, sizeof config);
    return tunnel;
}

struct sp_node_conn *
sp_node_conn_new(struct sp_node *node,
                 const struct sp_uuid *peer,
                 const struct sp_node_peer_params *params,
                 uint32_t index24,
                 sp_time now)
{
    struct sp_node_conn *conn = sp_xcalloc(1, sizeof *conn);

    conn->node = node;
    conn->peer = *peer;
    conn->params = *params;
    conn->index24 = index24;
    sp_node_ufrag_key(params->local.ufrag, conn->ufrag_key);
    conn->ice = new_agent(node, params);
    conn->wg = new_tunnel(node, params, index24, now);
    conn->state = SP_NODE_STATE_CONNECTING;
    sp_ring_init(&conn->early, sizeof(struct sp_wg_out), SP_NODE_EARLY_MAX);
    conn->deadline_candidates = sp_time_add(now, SP_NODE_CANDIDATE_TIMEOUT);
    conn->deadline_disconnect = SP_TIME_NEVER;
    conn->last_activity = now;
    conn->last_own_handshake = SP_TIME_NEVER;
    conn->heap_at = 0;
    TAILQ_INIT(&conn->stun_ids);
    return conn;
}

void
sp_node_conn_free(struct sp_node_conn *conn)
{
    sp_ice_agent_free(conn->ice);
    sp_wg_tunnel_free(conn->wg);
    sp_ring_done(&conn->early);
    sp_wipe(conn, sizeof *conn);
    free(conn);
}

void
sp_node_conn_drop(struct sp_node_conn *conn, sp_time now)
{
    sp_node_tables_remove(&conn->node->tables, conn, now);
    sp_node_heap_remove(&conn->node->heap, conn);
    sp_node_conn_free(conn);
}

static bool
same_creds(const struct sp_ice_creds *a, const struct sp_ice_creds *b)
{
    return !strcmp(a->ufrag, b->ufrag) && !strcmp(a->pwd, b->pwd);
}

bool
sp_node_conn_is_same(const struct sp_node_conn *conn, const struct sp_node_peer_params *params)
{
    const struct sp_node_peer_params *have = &conn->params;

    return !memcmp(have->remote_key, params->remote_key, SP_KEY_LEN)
           && sp_equal_ct(have->psk, params->psk, SP_KEY_LEN)
           && same_creds(&have->local, &params->local) && same_creds(&have->remote, &params->remote)
           && have->controlling == params->controlling;
}

bool
sp_node_conn_has_path(const struct sp_node_conn *conn)
{
    return conn->path.kind != SP_NODE_PATH_NONE;
}

bool
sp_node_conn_is_established(const struct sp_node_conn *conn)
{
    return conn->session_seen && sp_node_conn_has_path(conn);
}

/* Called when one of the two conditions has just become true for the first time. */
static void
maybe_established(struct sp_node_conn *conn)
{
    if (!sp_node_conn_is_established(conn))
        return;
    CONN_INFO(conn, "established, %s", sp_node_path_kind_name(conn->path.kind));
    sp_node_emit(conn->node, SP_NODE_EV_ESTABLISHED, &conn->peer, NULL);
}

static void
fail(struct sp_node_conn *conn, const char *cause)
{
    if (conn->state == SP_NODE_STATE_FAILED)
        return;
    CONN_INFO(conn, "failed: %s", cause);
    sp_node_conn_set_state(conn, SP_NODE_STATE_FAILED, cause);
    sp_node_emit(conn->node, SP_NODE_EV_FAILED, &conn->peer, NULL);
}

/* ---- WireGuard output ------------------------------------------------------------------------ */

static bool
is_via_relay(const struct sp_node_path *path)
{
    return path->kind == SP_NODE_PATH_RELAY_TO_PEER || path->kind == SP_NODE_PATH_RELAY_TO_RELAY;
}

static void
send_control(struct sp_node_conn *conn, const struct sp_wg_out *out)
{
    struct sp_wg_out oldest;

    if (sp_node_conn_has_path(conn)) {
        sp_node_queue_bytes(conn->node,
                            is_via_relay(&conn->path),
                            &conn->path.local,
                            &conn->path.remote,
                            sp_span(out->bytes, out->len));
        return;
    }
    if (sp_ring_push(&conn->early, out) == 0)
        return;
    sp_ring_pop(&conn->early, &oldest);
    sp_drops_add(conn->node->config.drops, SP_DROP_QUEUE_FULL);
    if (sp_ring_push(&conn->early, out) < 0)
        sp_drops_add(conn->node->config.drops, SP_DROP_QUEUE_FULL);
}

static void
flush_early(struct sp_node_conn *conn)
{
    struct sp_wg_out out;

    while (sp_ring_pop(&conn->early, &out))
        send_control(conn, &out);
}

static void
pump_wg(struct sp_node_conn *conn)
{
    enum sp_wg_event event;
    struct sp_wg_out out;

    while (sp_wg_tunnel_poll_event(conn->wg, &event)) {
        switch (event) {
        case SP_WG_EVENT_SESSION_ESTABLISHED:
            if (!conn->session_seen) {
                conn->session_seen = true;
                maybe_established(conn);
            }
            break;
        case SP_WG_EVENT_EXPIRED:
            fail(conn, "handshake timeout");
            break;
        }
    }
    while (sp_wg_tunnel_poll_transmit(conn->wg, &out))
        send_control(conn, &out);
}

void
sp_node_conn_handshake(struct sp_node_conn *conn, sp_time now)
{
    if (!sp_node_conn_has_path(conn) || !sp_ice_agent_is_controlling(conn->ice))
        return;
    if (sp_wg_tunnel_handshake_in_flight(conn->wg))
        return;
    if (conn->last_own_handshake != SP_TIME_NEVER
        && sp_time_since(conn->last_own_handshake, now) < SP_NODE_HANDSHAKE_GAP)
        return;
    conn->last_own_handshake = now;
    sp_wg_tunnel_initiate(conn->wg, now);
}

int
sp_node_conn_send(struct sp_node_conn *conn, struct sp_pkt *pkt, sp_time now)
{
    struct sp_node *node = conn->node;
    bool via_relay = is_via_relay(&conn->path);
    size_t inner = pkt->len;
    int r;

    /* Before it is sealed: a packet that cannot leave must not cost a counter. */
    if (via_relay && !sp_node_relay_is_open(node, &conn->path.local, &conn->path.remote, now)) {
        sp_drops_add(node->config.drops, SP_DROP_NOT_CONNECTED);
        sp_pkt_free(pkt);
        return SP_E_STATE;
    }
    r = sp_wg_tunnel_seal(conn->wg, pkt, now);
    if (r != 0) {
        sp_drops_add(node->config.drops,
                     r == SP_WG_NO_SESSION ? SP_DROP_WG_NO_SESSION : SP_DROP_OTHER);
        sp_pkt_free(pkt);
        return r == SP_WG_NO_SESSION ? SP_E_STATE : r;
    }
    conn->tx_bytes += inner;
    if (via_relay)
        return sp_node_relay_queue(node, &conn->path.local, &conn->path.remote, pkt);
    return sp_node_queue(node, &conn->path.local, &conn->path.remote, pkt);
}

/* ---- ICE output ------------------------------------------------------------------------------ */

static enum sp_node_path_kind
path_kind(enum sp_ice_kind local, enum sp_ice_kind remote)
{
    if (local == SP_ICE_RELAY)
        return remote == SP_ICE_RELAY ? SP_NODE_PATH_RELAY_TO_RELAY : SP_NODE_PATH_RELAY_TO_PEER;
    return remote == SP_ICE_RELAY ? SP_NODE_PATH_PEER_TO_RELAY : SP_NODE_PATH_PEER_TO_PEER;
}

static void
nominated(struct sp_node_conn *conn, const struct sp_ice_event *event, sp_time now)
{
    bool first = !sp_node_conn_has_path(conn);
    struct sp_node_path path = {
        .kind = path_kind(event->u.nominated.local_kind, event->u.nominated.remote_kind),
        .local = event->u.nominated.base,
        .remote = event->u.nominated.remote,
    };

    if (!first && path.kind == conn->path.kind && sp_endpoint_equal(&path.local, &conn->path.local)
        && sp_endpoint_equal(&path.remote, &conn->path.remote))
        return;
    conn->path = path;
    conn->deadline_candidates = SP_TIME_NEVER;
    CONN_INFO(conn, "path is now %s", sp_node_path_kind_name(path.kind));
    if (first) {
        sp_node_conn_set_state(conn, SP_NODE_STATE_CONNECTED, "path nominated");
        conn->last_activity = now;
        flush_early(conn);
        maybe_established(conn);
    }
    sp_node_conn_handshake(conn, now);
}

static void
ice_state_changed(struct sp_node_conn *conn, enum sp_ice_state state, sp_time now)
{
    if (state != SP_ICE_DISCONNECTED)
        conn->deadline_disconnect = SP_TIME_NEVER;
    else if (conn->deadline_disconnect == SP_TIME_NEVER)
        conn->deadline_disconnect = sp_time_add(now, SP_NODE_DISCONNECT_GRACE);
}

static void
pump_ice(struct sp_node_conn *conn, sp_time now)
{
    struct sp_ice_event event;
    struct sp_ice_tx tx;

    while (sp_ice_agent_poll_event(conn->ice, &event)) {
        switch (event.type) {
        case SP_ICE_EVENT_NOMINATED:
            nominated(conn, &event, now);
            break;
        case SP_ICE_EVENT_STATE:
            ice_state_changed(conn, event.u.state.now, now);
            break;
        }
    }
    while (sp_ice_agent_poll_transmit(conn->ice, &tx)) {
        if (tx.is_request)
            sp_node_stun_sent(&conn->node->tables, conn, tx.transaction_id, now);
        sp_node_queue_bytes(conn->node, tx.via_relay, &tx.base, &tx.dst, sp_span(tx.bytes, tx.len));
    }
}

/* ---- timers ---------------------------------------------------------------------------------- */

static sp_time
next_deadline(const struct sp_node_conn *conn)
{
    sp_time at = sp_time_min(conn->at_ice, conn->at_wg);

    at = sp_time_min(at, conn->deadline_candidates);
    at = sp_time_min(at, conn->deadline_disconnect);
    return sp_time_min(at, sp_node_conn_idle_at(conn));
}

static bool
finish(struct sp_node_conn *conn, sp_time now, bool exact)
{
    sp_time at;

    if (conn->state == SP_NODE_STATE_FAILED) {
        sp_node_conn_drop(conn, now);
        return false;
    }
    at = next_deadline(conn);
    if (exact ? at != conn->heap_at : at < conn->heap_at) {
        conn->heap_at = at;
        sp_node_heap_update(&conn->node->heap, conn);
    }
    return true;
}

bool
sp_node_conn_settle(struct sp_node_conn *conn, sp_time now)
{
    pump_ice(conn, now);
    pump_wg(conn);
    conn->at_ice = sp_ice_agent_next_timeout(conn->ice);
    conn->at_wg = sp_wg_tunnel_next_timeout(conn->wg);
    return finish(conn, now, true);
}

bool
sp_node_conn_settle_wg(struct sp_node_conn *conn, sp_time now)
{
    pump_wg(conn);
    conn->at_wg = sp_wg_tunnel_next_timeout(conn->wg);
    /* A deadline that moved back stays in the heap as it is: one early wake-up is cheaper than a
     * heap operation per packet. */
    return finish(conn, now, false);
}

static void
run_ice(struct sp_node_conn *conn, sp_time now)
{
    for (int i = 0; i < SP_NODE_ICE_RUNS_MAX && conn->state != SP_NODE_STATE_FAILED; i++) {
        if (!sp_time_due(sp_ice_agent_next_timeout(conn->ice), now))
            return;
        sp_ice_agent_handle_timeout(conn->ice, now);
        pump_ice(conn, now);
    }
}

bool
sp_node_conn_handle_timeout(struct sp_node_conn *conn, sp_time now)
{
    run_ice(conn, now);
    if (sp_time_due(sp_wg_tunnel_next_timeout(conn->wg), now))
        sp_wg_tunnel_handle_timeout(conn->wg, now);
    pump_wg(conn);
    if (sp_time_due(conn->deadline_candidates, now))
        fail(conn, "no candidates");
    else if (sp_time_due(conn->deadline_disconnect, now))
        fail(conn, "no path");
    else if (sp_time_due(sp_node_conn_idle_at(conn), now))
        sp_node_conn_fall_idle(conn, now);
    if (!sp_node_conn_settle(conn, now))
        return false;
    if (conn->heap_at <= now) {
        conn->heap_at = sp_time_add(now, SP_NODE_STUCK_PAUSE);
        sp_node_heap_update(&conn->node->heap, conn);
    }
    return true;
}
