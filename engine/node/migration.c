/* SPDX-License-Identifier: Apache-2.0 */
/* Which connection uses which relay: chosen by round trip time when it is made, chosen again when
 * the relay goes (spec connectivity 2.9, 5.4). */
#include <stdlib.h>

#include "engine/node/node-private.h"

#define MAD_MIN SP_MS(2)

static bool
is_usable(const struct sp_node_relay *relay, sp_duration *ret_rtt)
{
    enum sp_turn_state state = sp_turn_state(relay->turn);

    return state != SP_TURN_SUSPENDED && state != SP_TURN_DEAD
           && sp_turn_srtt(relay->turn, ret_rtt);
}

size_t
sp_node_relays_usable(const struct sp_node *node)
{
    sp_duration rtt;
    size_t n = 0;

    for (size_t i = 0; i < node->relays.n; i++)
        n += is_usable(node->relays.list[i], &rtt);
    return n;
}

static int
compare(const void *a, const void *b)
{
    sp_duration x = *(const sp_duration *)a, y = *(const sp_duration *)b;

    return (x > y) - (x < y);
}

/* Sorts @v. */
static sp_duration
median(sp_duration *v, size_t n)
{
    qsort(v, n, sizeof *v, compare);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

sp_duration
sp_node_rtt_threshold(sp_duration *rtts, size_t n)
{
    sp_duration middle = median(rtts, n);

    if (n <= 2)
        return rtts[0] + rtts[0] / 2;
    for (size_t i = 0; i < n; i++)
        rtts[i] = rtts[i] > middle ? rtts[i] - middle : middle - rtts[i];
    return middle + 3 * SP_MAX(median(rtts, n), MAD_MIN);
}

/* Near-equal ones are drawn evenly, which spreads the load. Returns: NULL when there is none */
static const struct sp_node_relay *
choose(const struct sp_node *node)
{
    const struct sp_node_relay *near[SP_NODE_RELAYS_MAX];
    sp_duration rtts[SP_NODE_RELAYS_MAX], limit, rtt;
    size_t n = 0, n_near = 0;

    for (size_t i = 0; i < node->relays.n; i++)
        if (is_usable(node->relays.list[i], &rtts[n]))
            n++;
    if (n == 0)
        return NULL;
    limit = sp_node_rtt_threshold(rtts, n);
    for (size_t i = 0; i < node->relays.n; i++)
        if (is_usable(node->relays.list[i], &rtt) && rtt <= limit)
            near[n_near++] = node->relays.list[i];
    return near[sp_rng_below(&node->config.rng, (uint32_t)n_near)];
}

void
sp_node_conn_choose_relay(struct sp_node_conn *conn)
{
    const struct sp_node_relay *relay = choose(conn->node);

    conn->has_relay = relay != NULL;
    if (relay)
        conn->relay = relay->info.id;
    else
        conn->node->relays.unassigned = true;
}

static void
bind_remotes(struct sp_node_conn *conn, sp_time now)
{
    const struct sp_ice_candidate *c;

    for (size_t i = 0; (c = sp_ice_agent_remote_at(conn->ice, i)); i++)
        if (c->kind != SP_ICE_HOST)
            sp_node_relay_bind(conn, &c->addr, now);
}

void
sp_node_migrate(struct sp_node *node, sp_time now)
{
    const void *key;
    size_t pos = 0;
    void *value;

    if (!node->relays.unassigned || sp_node_relays_usable(node) == 0)
        return;
    node->relays.unassigned = false;
    while (sp_map_next(&node->tables.by_id, &pos, &key, &value)) {
        struct sp_node_conn *conn = value;

        if (sp_node_relay_of(conn))
            continue;
        sp_node_conn_choose_relay(conn);
        sp_node_conn_seed(conn, false);
        bind_remotes(conn, now);
        sp_node_conn_touch(conn, now);
        (void)sp_node_conn_settle(conn, now);
    }
}
