/* SPDX-License-Identifier: Apache-2.0 */
/* Relays the portal told us about, with our allocation on each (spec connectivity 1.3 A, 2.8,
 * 2.9): life, datagrams in both directions, candidates into connections. Which connection uses
 * which relay is in migration.c. */
#include <stdlib.h>
#include <string.h>

#include "engine/node/node-private.h"
#include "engine/stun/channeldata.h"
#include "engine/stun/stun.h"

/* ---- the list -------------------------------------------------------------------------------- */

static void
remember_ip(struct sp_node_relays *relays, const struct sp_endpoint *ep)
{
    if (ep->ip.family)
        relays->previous[relays->previous_next++ % SP_NODE_PREVIOUS_RELAY_MAX] = ep->ip;
}

static struct sp_node_relay *
find_relay(const struct sp_node_relays *relays, const struct sp_uuid *id)
{
    for (size_t i = 0; i < relays->n; i++)
        if (sp_uuid_equal(&relays->list[i]->info.id, id))
            return relays->list[i];
    return NULL;
}

struct sp_node_relay *
sp_node_relay_owning(const struct sp_node *node, const struct sp_endpoint *relayed)
{
    for (size_t i = 0; i < node->relays.n; i++)
        if (sp_turn_owns(node->relays.list[i]->turn, relayed))
            return node->relays.list[i];
    return NULL;
}

struct sp_node_relay *
sp_node_relay_of(const struct sp_node_conn *conn)
{
    return conn->has_relay ? find_relay(&conn->node->relays, &conn->relay) : NULL;
}

static struct sp_turn *
new_turn(const struct sp_node *node, const struct sp_relay *info, sp_time now)
{
    struct sp_turn_config config = {
        .id = info->id,
        .addr4 = info->addr4,
        .addr6 = info->addr6,
        .username = info->username,
        .password = info->password,
        .rng = node->config.rng,
        .log = node->config.log,
    };

    return sp_turn_new(&config, now);
}

static struct sp_node_relay *
new_relay(const struct sp_node *node, const struct sp_relay *info, sp_time now)
{
    struct sp_turn *turn = new_turn(node, info, now);
    struct sp_node_relay *relay;

    if (!turn)
        return NULL;
    relay = sp_xcalloc(1, sizeof *relay);
    relay->turn = turn;
    relay->info = *info;
    relay->info.username = sp_xstrdup(info->username);
    relay->info.password = sp_xstrdup(info->password);
    return relay;
}

static void
free_relay(struct sp_node_relay *relay)
{
    sp_turn_free(relay->turn);
    sp_relay_done(&relay->info);
    free(relay);
}

static bool
is_same_relay(const struct sp_relay *a, const struct sp_relay *b)
{
    return sp_endpoint_equal(&a->addr4, &b->addr4) && sp_endpoint_equal(&a->addr6, &b->addr6)
           && a->username && b->username && !strcmp(a->username, b->username) && a->password
           && b->password && !strcmp(a->password, b->password);
}

/* ---- candidates into connections ------------------------------------------------------------- */

/* Dropping the connection just visited is the one change the table allows while iterating. */
static void
offer_candidate(struct sp_node *node,
                const struct sp_node_relay *relay,
                const struct sp_ice_candidate *c,
                sp_time now)
{
    const void *key;
    size_t pos = 0;
    void *value;

    while (sp_map_next(&node->tables.by_id, &pos, &key, &value)) {
        struct sp_node_conn *conn = value;

        if (sp_node_relay_of(conn) == relay && sp_node_conn_offer(conn, c)) {
            sp_node_conn_touch(conn, now);
            (void)sp_node_conn_settle(conn, now);
        }
    }
}

static void
withdraw_candidate(struct sp_node *node, const struct sp_ice_candidate *c, sp_time now)
{
    const void *key;
    size_t pos = 0;
    void *value;

    while (sp_map_next(&node->tables.by_id, &pos, &key, &value)) {
        struct sp_node_conn *conn = value;

        if (sp_node_conn_withdraw(conn, &c->addr, c->kind)) {
            sp_node_conn_touch(conn, now);
            (void)sp_node_conn_settle(conn, now);
        }
    }
}

/* ---- output ---------------------------------------------------------------------------------- */

static void
pump_transmits(struct sp_node *node, struct sp_node_relay *relay)
{
    struct sp_turn_tx tx;

    while (sp_turn_poll_transmit(relay->turn, &tx)) {
        struct sp_pkt *pkt = sp_pkt_from_bytes(node->config.pool, tx.bytes, tx.len);

        if (!pkt) {
            sp_drops_add(node->config.drops, SP_DROP_NO_MEMORY);
            continue;
        }
        pkt->ecn = 0;
        (void)sp_node_queue_unbound(node, &tx.dst, pkt);
    }
}

static void
pump(struct sp_node *node, struct sp_node_relay *relay, sp_time now)
{
    struct sp_turn_event event;

    pump_transmits(node, relay);
    while (sp_turn_poll_event(relay->turn, &event)) {
        if (event.type == SP_TURN_EV_NEW)
            offer_candidate(node, relay, &event.candidate, now);
        else
            withdraw_candidate(node, &event.candidate, now);
    }
}

void
sp_node_relay_bind(struct sp_node_conn *conn, const struct sp_endpoint *peer, sp_time now)
{
    struct sp_node_relay *relay = sp_node_relay_of(conn);

    if (!relay)
        return;
    sp_turn_bind_channel(relay->turn, peer, now);
    pump_transmits(conn->node, relay);
}

bool
sp_node_relay_is_open(struct sp_node *node,
                      const struct sp_endpoint *base,
                      const struct sp_endpoint *peer,
                      sp_time now)
{
    struct sp_node_relay *relay = sp_node_relay_owning(node, base);
    uint8_t header[SP_CHANNEL_HEADER];
    struct sp_endpoint dst;

    if (!relay)
        return false;
    if (sp_turn_channel_header(relay->turn, peer, 0, now, header, &dst) == 0)
        return true;
    pump_transmits(node, relay);
    return false;
}

int
sp_node_relay_queue(struct sp_node *node,
                    const struct sp_endpoint *base,
                    const struct sp_endpoint *peer,
                    struct sp_pkt *pkt)
{
    struct sp_node_relay *relay = sp_node_relay_owning(node, base);
    uint8_t header[SP_CHANNEL_HEADER];
    struct sp_endpoint dst;
    int r = SP_TURN_NO_CHANNEL;

    if (relay) {
        r = sp_turn_channel_header(relay->turn, peer, pkt->len, node->now, header, &dst);
        pump_transmits(node, relay);
    }
    if (r != 0) {
        sp_drops_add(node->config.drops, SP_DROP_NOT_CONNECTED);
        sp_pkt_free(pkt);
        return SP_E_STATE;
    }
    memcpy(sp_pkt_push(pkt, sizeof header), header, sizeof header);
    return sp_node_queue_unbound(node, &dst, pkt);
}

/* ---- input ----------------------------------------------------------------------------------- */

static bool
is_relay_framing(struct sp_span bytes)
{
    struct sp_stun_msg msg;
    struct sp_span payload;
    uint16_t channel;

    if (bytes.n && bytes.p[0] <= 3)
        return sp_stun_parse(bytes, &msg) == 0;
    if (bytes.n && bytes.p[0] >= 64 && bytes.p[0] <= 79)
        return sp_channeldata_parse(bytes, &channel, &payload) == 0;
    return false;
}

static bool
is_previous_relay(const struct sp_node_relays *relays, const struct sp_ip *ip)
{
    size_t n = SP_MIN(relays->previous_next, (size_t)SP_NODE_PREVIOUS_RELAY_MAX);

    for (size_t i = 0; i < n; i++)
        if (sp_ip_equal(&relays->previous[i], ip))
            return true;
    return false;
}

static enum sp_node_relay_input
give_to_relay(struct sp_node *node,
              struct sp_node_relay *relay,
              struct sp_pkt *pkt,
              struct sp_udp_meta *meta,
              sp_time now)
{
    struct sp_turn_payload payload;
    int r = sp_turn_handle_input(relay->turn, meta, sp_pkt_span(pkt), now, &payload);

    if (r == SP_TURN_NOT_MINE)
        return SP_NODE_RELAY_NOT_MINE;
    if (r == SP_TURN_PAYLOAD) {
        meta->local = payload.relayed;
        meta->from = payload.peer;
        (void)sp_pkt_pull(pkt, SP_CHANNEL_HEADER);
        return SP_NODE_RELAY_PAYLOAD;
    }
    if (r < 0)
        sp_drops_add(node->config.drops, SP_DROP_BAD_STUN);
    pump(node, relay, now);
    sp_node_migrate(node, now);
    return SP_NODE_RELAY_CONSUMED;
}

enum sp_node_relay_input
sp_node_relays_input(struct sp_node *node,
                     struct sp_pkt *pkt,
                     struct sp_udp_meta *meta,
                     sp_time now)
{
    /* Anybody else on this port is a peer whose NAT chose it. */
    if (meta->from.port != SP_TURN_PORT)
        return SP_NODE_RELAY_NOT_MINE;
    for (size_t i = 0; i < node->relays.n; i++)
        if (sp_turn_serves(node->relays.list[i]->turn, &meta->from))
            return give_to_relay(node, node->relays.list[i], pkt, meta, now);
    if (is_previous_relay(&node->relays, &meta->from.ip) && is_relay_framing(sp_pkt_span(pkt)))
        return SP_NODE_RELAY_CONSUMED;
    return SP_NODE_RELAY_NOT_MINE;
}

/* ---- changes --------------------------------------------------------------------------------- */

/* Out of the list, its relayed addresses out of all connections. */
static void
forget(struct sp_node *node, struct sp_node_relay *relay, sp_time now)
{
    struct sp_ice_candidate list[SP_TURN_CANDIDATES_MAX];
    size_t n = sp_turn_candidates(relay->turn, list);
    struct sp_node_relays *relays = &node->relays;

    for (size_t i = 0; i < relays->n; i++)
        if (relays->list[i] == relay)
            relays->list[i] = relays->list[--relays->n];
    remember_ip(relays, &relay->info.addr4);
    remember_ip(relays, &relay->info.addr6);
    free_relay(relay);
    relays->unassigned = true;
    for (size_t i = 0; i < n; i++)
        if (list[i].kind == SP_ICE_RELAY)
            withdraw_candidate(node, &list[i], now);
}

static int
add_relay(struct sp_node *node, const struct sp_relay *info, sp_time now)
{
    struct sp_node_relays *relays = &node->relays;
    struct sp_node_relay *known = find_relay(relays, &info->id), *relay;

    if (known && is_same_relay(&known->info, info))
        return 0;
    if (!known && relays->n == SP_NODE_RELAYS_MAX)
        return SP_E_LIMIT;
    relay = new_relay(node, info, now);
    if (!relay) {
        SP_WARN(node->config.log, NODE, "a relay without usable credentials");
        return 0;
    }
    if (known)
        forget(node, known, now);
    relays->list = sp_xrealloc(relays->list, relays->n + 1, sizeof(struct sp_node_relay *));
    relays->list[relays->n++] = relay;
    pump(node, relay, now);
    return 0;
}

static bool
is_among(const struct sp_uuid *id, const struct sp_relay *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (sp_uuid_equal(id, &list[i].id))
            return true;
    return false;
}

/* A new list often means that relays were replaced: are the others still there? */
static void
refresh_others(struct sp_node *node, const struct sp_relay *added, size_t n_added, sp_time now)
{
    for (size_t i = 0; i < node->relays.n; i++) {
        struct sp_node_relay *relay = node->relays.list[i];

        if (is_among(&relay->info.id, added, n_added))
            continue;
        sp_turn_refresh_on_demand(relay->turn, now);
        pump(node, relay, now);
    }
}

int
sp_node_update_relays(struct sp_node *node,
                      const struct sp_uuid *removed,
                      size_t n_removed,
                      const struct sp_relay *added,
                      size_t n_added,
                      sp_time now)
{
    int r = 0;

    sp_assert(now >= node->now);
    node->now = now;
    for (size_t i = 0; i < n_removed; i++) {
        struct sp_node_relay *relay = find_relay(&node->relays, &removed[i]);

        if (relay)
            forget(node, relay, now);
    }
    for (size_t i = 0; i < n_added && r == 0; i++)
        r = add_relay(node, &added[i], now);
    refresh_others(node, added, n_added, now);
    sp_node_migrate(node, now);
    return r;
}

void
sp_node_relays_reset(struct sp_node *node, sp_time now)
{
    for (size_t i = 0; i < node->relays.n; i++) {
        sp_turn_reset(node->relays.list[i]->turn, now);
        pump(node, node->relays.list[i], now);
    }
}

void
sp_node_relays_done(struct sp_node *node)
{
    for (size_t i = 0; i < node->relays.n; i++)
        free_relay(node->relays.list[i]);
    free(node->relays.list);
    node->relays.list = NULL;
    node->relays.n = 0;
}

/* ---- timers ---------------------------------------------------------------------------------- */

void
sp_node_relays_handle_timeout(struct sp_node *node, sp_time now)
{
    for (size_t i = 0; i < node->relays.n; i++) {
        if (sp_time_due(sp_turn_next_timeout(node->relays.list[i]->turn), now))
            sp_turn_handle_timeout(node->relays.list[i]->turn, now);
        pump(node, node->relays.list[i], now);
    }
}

void
sp_node_relays_collect(struct sp_node *node, sp_time now)
{
    bool had_some = node->relays.n > 0;

    for (size_t i = node->relays.n; i-- > 0;) {
        struct sp_node_relay *relay = node->relays.list[i];
        enum sp_turn_end end = sp_turn_end(relay->turn);

        if (end == SP_TURN_END_NONE)
            continue;
        SP_INFO(node->config.log, NODE, "a relay is given up: %s", sp_turn_end_name(end));
        forget(node, relay, now);
    }
    if (had_some && node->relays.n == 0)
        sp_node_emit(node, SP_NODE_EV_NO_RELAYS, NULL, NULL);
    sp_node_migrate(node, now);
}

sp_time
sp_node_relays_next_timeout(const struct sp_node *node)
{
    sp_time at = SP_TIME_NEVER;

    for (size_t i = 0; i < node->relays.n; i++) {
        const struct sp_turn *turn = node->relays.list[i]->turn;

        if (sp_turn_end(turn) != SP_TURN_END_NONE)
            return 0;
        at = sp_time_min(at, sp_turn_next_timeout(turn));
    }
    return at;
}
