/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/node/node.h"

#include <stdlib.h>
#include <string.h>

#include "engine/crypto/mem.h"
#include "engine/node/node-private.h"

/* Candidates leave this much of the event queue to what the upper layer must not miss. */
#define EVENTS_RESERVED (4 * (size_t)SP_NODE_CONNECTIONS_MAX)

static void
tick(struct sp_node *node, sp_time now)
{
    sp_assert(now >= node->now);
    node->now = now;
}

static void
new_identity(struct sp_node *node)
{
    sp_wg_identity_generate(&node->identity, &node->config.rng);
    sp_wg_index_init(&node->index, &node->config.rng);
    sp_wg_limiter_init(&node->limiter, &node->config.rng);
}

struct sp_node *
sp_node_new(const struct sp_node_config *config, sp_time now)
{
    struct sp_node *node = sp_xcalloc(1, sizeof *node);

    node->config = *config;
    node->now = now;
    new_identity(node);
    sp_node_tables_init(&node->tables, &node->config.rng);
    sp_ring_init(&node->events, sizeof(struct sp_node_event), SP_NODE_EVENTS_MAX);
    sp_ring_init(&node->transmits, sizeof(struct sp_transmit), SP_NODE_TRANSMITS_MAX);
    return node;
}

static void
clear_transmits(struct sp_node *node)
{
    struct sp_transmit tx;

    while (sp_ring_pop(&node->transmits, &tx))
        sp_pkt_free(tx.pkt);
}

struct sp_node *
sp_node_free(struct sp_node *node)
{
    struct sp_node_conn *conn;

    if (!node)
        return NULL;
    while ((conn = sp_node_heap_top(&node->heap)))
        sp_node_conn_drop(conn, node->now);
    clear_transmits(node);
    sp_ring_done(&node->transmits);
    sp_ring_done(&node->events);
    sp_node_tables_done(&node->tables);
    sp_node_relays_done(node);
    free(node->heap.v);
    sp_wg_limiter_done(&node->limiter);
    sp_wg_identity_done(&node->identity);
    free(node);
    return NULL;
}

const uint8_t *
sp_node_public_key(const struct sp_node *node)
{
    return node->identity.public;
}

/* ---- output ---------------------------------------------------------------------------------- */

void
sp_node_emit(struct sp_node *node,
             enum sp_node_event_type type,
             const struct sp_uuid *peer,
             const char *candidate)
{
    struct sp_node_event event = { .type = type };
    size_t max = SP_NODE_EVENTS_MAX;

    if (peer)
        event.peer = *peer;
    if (candidate) {
        memcpy(event.candidate, candidate, strnlen(candidate, sizeof event.candidate - 1));
        max -= EVENTS_RESERVED;
    }
    if (node->events.len >= max || sp_ring_push(&node->events, &event) < 0) {
        sp_drops_add(node->config.drops, SP_DROP_QUEUE_FULL);
        SP_WARN(node->config.log, NODE, "event queue is full");
    }
}

static int
queue_transmit(struct sp_node *node, const struct sp_transmit *tx)
{
    if (sp_ring_push(&node->transmits, tx) == 0)
        return 0;
    sp_drops_add(node->config.drops, SP_DROP_QUEUE_FULL);
    sp_pkt_free(tx->pkt);
    return SP_E_LIMIT;
}

int
sp_node_queue(struct sp_node *node,
              const struct sp_endpoint *local,
              const struct sp_endpoint *remote,
              struct sp_pkt *pkt)
{
    struct sp_transmit tx = { .dst = *remote, .has_src = true, .src = local->ip, .pkt = pkt };

    return queue_transmit(node, &tx);
}

int
sp_node_queue_unbound(struct sp_node *node, const struct sp_endpoint *remote, struct sp_pkt *pkt)
{
    struct sp_transmit tx = { .dst = *remote, .pkt = pkt };

    return queue_transmit(node, &tx);
}

void
sp_node_queue_bytes(struct sp_node *node,
                    bool via_relay,
                    const struct sp_endpoint *local,
                    const struct sp_endpoint *remote,
                    struct sp_span bytes)
{
    struct sp_pkt *pkt = sp_pkt_from_bytes(node->config.pool, bytes.p, bytes.n);

    if (!pkt) {
        sp_drops_add(node->config.drops, SP_DROP_NO_MEMORY);
        return;
    }
    pkt->ecn = 0;
    if (via_relay)
        (void)sp_node_relay_queue(node, local, remote, pkt);
    else
        (void)sp_node_queue(node, local, remote, pkt);
}

bool
sp_node_poll_transmit(struct sp_node *node, struct sp_transmit *ret_transmit)
{
    return sp_ring_pop(&node->transmits, ret_transmit);
}

bool
sp_node_poll_event(struct sp_node *node, struct sp_node_event *ret_event)
{
    return sp_ring_pop(&node->events, ret_event);
}

/* ---- connections ----------------------------------------------------------------------------- */

static bool
is_text(const char *s, size_t size, size_t min)
{
    size_t n = strnlen(s, size);

    return n >= min && n < size;
}

static bool
is_valid(const struct sp_node *node,
         const struct sp_uuid *peer,
         const struct sp_node_peer_params *params)
{
    const struct sp_node_conn *other = sp_node_by_key(&node->tables, params->remote_key);

    if (other && !sp_uuid_equal(&other->peer, peer))
        return false;
    if (!memcmp(params->remote_key, node->identity.public, SP_KEY_LEN))
        return false;
    return is_text(params->local.ufrag, sizeof params->local.ufrag, 1)
           && is_text(params->remote.ufrag, sizeof params->remote.ufrag, 1)
           && is_text(params->local.pwd, sizeof params->local.pwd, 1)
           && is_text(params->remote.pwd, sizeof params->remote.pwd, 1);
}

static int
reuse(struct sp_node_conn *conn, sp_time now)
{
    sp_node_conn_seed(conn, true);
    sp_node_conn_touch(conn, now);
    sp_node_conn_handshake(conn, now);
    return sp_node_conn_settle(conn, now) ? SP_NODE_REUSED : SP_E_STATE;
}

static uint32_t
free_index(struct sp_node *node)
{
    uint32_t index24;

    do
        index24 = sp_wg_index_next(&node->index);
    while (sp_node_by_index(&node->tables, index24));
    return index24;
}

int
sp_node_upsert(struct sp_node *node,
               const struct sp_uuid *peer,
               const struct sp_node_peer_params *params,
               sp_time now)
{
    struct sp_node_conn *conn = sp_node_by_id(&node->tables, peer);

    tick(node, now);
    if (!is_valid(node, peer, params))
        return SP_E_INVAL;
    if (conn && sp_node_conn_is_same(conn, params))
        return reuse(conn, now);
    if (node->n_hosts == 0 && sp_node_relays_usable(node) == 0)
        return SP_NODE_NO_RELAYS;
    if (!conn && node->tables.by_id.len >= SP_NODE_CONNECTIONS_MAX)
        return SP_E_LIMIT;
    if (conn) {
        SP_INFO(node->config.log, NODE, "connection %06x: replaced", conn->index24);
        sp_node_conn_drop(conn, now);
    }
    conn = sp_node_conn_new(node, peer, params, free_index(node), now);
    sp_node_tables_add(&node->tables, conn);
    sp_node_heap_add(&node->heap, conn);
    SP_INFO(node->config.log,
            NODE,
            "connection %06x: new, %s",
            conn->index24,
            params->controlling ? "controlling" : "controlled");
    sp_node_conn_choose_relay(conn);
    sp_node_conn_seed(conn, false);
    (void)sp_node_conn_settle(conn, now);
    return 0;
}

int
sp_node_send(struct sp_node *node, const struct sp_uuid *peer, struct sp_pkt *pkt, sp_time now)
{
    struct sp_node_conn *conn = sp_node_by_id(&node->tables, peer);
    int r;

    tick(node, now);
    if (!conn)
        return SP_NODE_UNKNOWN;
    if (!sp_node_conn_is_established(conn))
        return SP_NODE_CONNECTING;
    if (pkt->len > SP_MTU || pkt->off < SP_NODE_HEADROOM) {
        sp_drops_add(node->config.drops, SP_DROP_MALFORMED_IP);
        sp_pkt_free(pkt);
        return SP_E_INVAL;
    }
    sp_node_conn_touch(conn, now);
    r = sp_node_conn_send(conn, pkt, now);
    (void)sp_node_conn_settle_wg(conn, now);
    return r;
}

static void
close_conn(struct sp_node_conn *conn, struct sp_pkt *goodbye, sp_time now)
{
    struct sp_node *node = conn->node;

    if (sp_node_conn_has_path(conn)) {
        sp_node_emit(node, SP_NODE_EV_CLOSED, &conn->peer, NULL);
        if (goodbye && conn->session_seen) {
            (void)sp_node_conn_send(conn, goodbye, now);
            goodbye = NULL;
        }
    }
    sp_pkt_free(goodbye);
    SP_INFO(node->config.log, NODE, "connection %06x: closed", conn->index24);
    sp_node_conn_drop(conn, now);
}

int
sp_node_close(struct sp_node *node, const struct sp_uuid *peer, struct sp_pkt *goodbye, sp_time now)
{
    struct sp_node_conn *conn = sp_node_by_id(&node->tables, peer);

    tick(node, now);
    if (!conn) {
        sp_pkt_free(goodbye);
        return SP_E_NOTFOUND;
    }
    close_conn(conn, goodbye, now);
    return 0;
}

void
sp_node_close_all(struct sp_node *node, struct sp_pkt *goodbye, sp_time now)
{
    struct sp_node_conn *conn;

    tick(node, now);
    while ((conn = sp_node_heap_top(&node->heap)))
        close_conn(conn, goodbye ? sp_pkt_clone(goodbye) : NULL, now);
    sp_pkt_free(goodbye);
}

int
sp_node_remove(struct sp_node *node, const struct sp_uuid *peer, sp_time now)
{
    struct sp_node_conn *conn = sp_node_by_id(&node->tables, peer);

    tick(node, now);
    if (!conn)
        return SP_E_NOTFOUND;
    SP_INFO(node->config.log, NODE, "connection %06x: removed", conn->index24);
    sp_node_conn_drop(conn, now);
    return 0;
}

/* Queued news about connections is void after a reset, except that some of them have ended. */
static void
keep_final_events(struct sp_node *node)
{
    struct sp_node_event event;

    for (size_t n = node->events.len; n > 0; n--) {
        sp_ring_pop(&node->events, &event);
        if (event.type == SP_NODE_EV_FAILED || event.type == SP_NODE_EV_CLOSED)
            sp_node_emit(node, event.type, &event.peer, NULL);
    }
}

void
sp_node_reset(struct sp_node *node, sp_time now)
{
    struct sp_node_conn *conn;

    tick(node, now);
    clear_transmits(node);
    keep_final_events(node);
    while ((conn = sp_node_heap_top(&node->heap))) {
        sp_node_emit(node, SP_NODE_EV_CLOSED, &conn->peer, NULL);
        sp_node_conn_drop(conn, now);
    }
    sp_wg_limiter_done(&node->limiter);
    sp_wg_identity_done(&node->identity);
    new_identity(node);
    sp_node_relays_reset(node, now);
    SP_INFO(node->config.log, NODE, "reset");
}

/* ---- timers ---------------------------------------------------------------------------------- */

void
sp_node_handle_timeout(struct sp_node *node, sp_time now)
{
    struct sp_node_conn *conn;

    tick(node, now);
    sp_node_relays_handle_timeout(node, now);
    while ((conn = sp_node_heap_top(&node->heap)) && sp_time_due(conn->heap_at, now))
        (void)sp_node_conn_handle_timeout(conn, now);
    sp_node_relays_collect(node, now);
    sp_node_stun_expire(&node->tables, now);
}

sp_time
sp_node_next_timeout(const struct sp_node *node)
{
    sp_time at = sp_node_relays_next_timeout(node);
    const struct sp_node_conn *first;

    if (node->events.len || node->transmits.len)
        return 0;
    first = sp_node_heap_top(&node->heap);
    return first ? sp_time_min(at, first->heap_at) : at;
}
