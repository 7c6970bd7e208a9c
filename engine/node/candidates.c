/* SPDX-License-Identifier: Apache-2.0 */
/* Our addresses towards every connection, and the peers' candidates. Spec connectivity 3.2-3.4. */
#include <stdlib.h>
#include <string.h>

#include "engine/ip/ranges.h"
#include "engine/node/node-private.h"

static bool
is_acceptable(const struct sp_endpoint *ep)
{
    /* A path through the tunnel would carry itself. */
    if (sp_range_has(&sp_range_tunnel, &ep->ip))
        return false;
    return ep->port != 0 && sp_ice_addr_ok(ep);
}

static bool
contains(const struct sp_endpoint *list, size_t n, const struct sp_endpoint *ep)
{
    for (size_t i = 0; i < n; i++)
        if (sp_endpoint_equal(&list[i], ep))
            return true;
    return false;
}

static void
signal_candidate(struct sp_node_conn *conn,
                 enum sp_node_event_type type,
                 const struct sp_ice_candidate *c)
{
    char text[SP_ICE_CANDIDATE_STR_MAX];

    sp_node_emit(conn->node, type, &conn->peer, sp_ice_candidate_format(c, text));
}

static int
compare(const void *a, const void *b)
{
    return sp_ice_candidate_compare(a, b);
}

static void
signal_sorted(struct sp_node_conn *conn, struct sp_ice_candidate *list, size_t n)
{
    qsort(list, n, sizeof *list, compare);
    for (size_t i = 0; i < n; i++)
        signal_candidate(conn, SP_NODE_EV_NEW_CANDIDATE, &list[i]);
}

/* Offer host addresses to the agent. Returns: how many it adopted, in @out */
static size_t
offer_hosts(struct sp_node_conn *conn, struct sp_ice_candidate out[SP_NODE_HOST_ADDRESSES_MAX])
{
    const struct sp_node *node = conn->node;
    struct sp_ice_candidate c;
    size_t n = 0;

    for (size_t i = 0; i < node->n_hosts; i++)
        if (sp_ice_candidate_host(&node->hosts[i], &c) == 0
            && sp_ice_agent_add_local(conn->ice, &c, &out[n]) == 0)
            n++;
    return n;
}

bool
sp_node_conn_offer(struct sp_node_conn *conn, const struct sp_ice_candidate *c)
{
    struct sp_ice_candidate adopted;

    if (!is_acceptable(&c->addr) || !is_acceptable(&c->base)
        || sp_ice_agent_add_local(conn->ice, c, &adopted) != 0)
        return false;
    signal_candidate(conn, SP_NODE_EV_NEW_CANDIDATE, &adopted);
    return true;
}

/* What the relays know: our addresses from all of them, relayed ones from the connection's. */
static size_t
offer_relays(struct sp_node_conn *conn, struct sp_ice_candidate *out, size_t max)
{
    const struct sp_node_relays *relays = &conn->node->relays;
    struct sp_ice_candidate list[SP_TURN_CANDIDATES_MAX];
    size_t n = 0;

    for (size_t i = 0; i < relays->n; i++) {
        size_t n_list = sp_turn_candidates(relays->list[i]->turn, list);

        for (size_t k = 0; k < n_list && n < max; k++) {
            if (list[k].kind == SP_ICE_RELAY && relays->list[i] != sp_node_relay_of(conn))
                continue;
            if (is_acceptable(&list[k].addr) && is_acceptable(&list[k].base)
                && sp_ice_agent_add_local(conn->ice, &list[k], &out[n]) == 0)
                n++;
        }
    }
    return n;
}

static size_t
copy_locals(const struct sp_node_conn *conn, struct sp_ice_candidate out[SP_ICE_LOCALS_MAX])
{
    size_t n = 0;

    while (n < SP_ICE_LOCALS_MAX) {
        const struct sp_ice_candidate *c = sp_ice_agent_local_at(conn->ice, n);

        if (!c)
            break;
        out[n++] = *c;
    }
    return n;
}

void
sp_node_conn_seed(struct sp_node_conn *conn, bool all)
{
    struct sp_ice_candidate list[SP_ICE_LOCALS_MAX];
    size_t n = offer_hosts(conn, list);

    n += offer_relays(conn, list + n, SP_ARRAY_SIZE(list) - n);

    if (all)
        n = copy_locals(conn, list);
    signal_sorted(conn, list, n);
}

/* ---- host addresses -------------------------------------------------------------------------- */

static const struct sp_ice_candidate *
find_local(const struct sp_node_conn *conn, const struct sp_endpoint *ep, enum sp_ice_kind kind)
{
    const struct sp_ice_candidate *c;

    for (size_t i = 0; (c = sp_ice_agent_local_at(conn->ice, i)); i++)
        if (c->kind == kind && sp_endpoint_equal(&c->addr, ep))
            return c;
    return NULL;
}

bool
sp_node_conn_withdraw(struct sp_node_conn *conn,
                      const struct sp_endpoint *addr,
                      enum sp_ice_kind kind)
{
    const struct sp_ice_candidate *found = find_local(conn, addr, kind);
    struct sp_ice_candidate c;

    if (!found)
        return false;
    c = *found;
    if (!sp_ice_agent_remove_local(conn->ice, addr, kind))
        return false;
    signal_candidate(conn, SP_NODE_EV_INVALIDATE_CANDIDATE, &c);
    return true;
}

/* New ones first: a connection that loses its path then already has others to try. */
static void
change_hosts(struct sp_node_conn *conn,
             const struct sp_endpoint *removed,
             size_t n_removed,
             sp_time now)
{
    sp_node_conn_seed(conn, false);
    for (size_t i = 0; i < n_removed; i++)
        (void)sp_node_conn_withdraw(conn, &removed[i], SP_ICE_HOST);
    sp_node_conn_touch(conn, now);
}

static size_t
filter_hosts(const struct sp_endpoint *in,
             size_t n,
             struct sp_endpoint out[SP_NODE_HOST_ADDRESSES_MAX])
{
    size_t kept = 0;

    for (size_t i = 0; i < n && kept < SP_NODE_HOST_ADDRESSES_MAX; i++)
        if (is_acceptable(&in[i]) && !contains(out, kept, &in[i]))
            out[kept++] = in[i];
    return kept;
}

size_t
sp_node_set_host_addresses(struct sp_node *node,
                           const struct sp_endpoint *addresses,
                           size_t n,
                           sp_time now)
{
    struct sp_endpoint old[SP_NODE_HOST_ADDRESSES_MAX], gone[SP_NODE_HOST_ADDRESSES_MAX];
    size_t n_old = node->n_hosts, n_gone = 0, n_kept = 0, pos = 0;
    const void *key;
    void *value;

    sp_assert(now >= node->now);
    node->now = now;
    memcpy(old, node->hosts, sizeof old);
    node->n_hosts = filter_hosts(addresses, n, node->hosts);
    for (size_t i = 0; i < n_old; i++) {
        if (contains(node->hosts, node->n_hosts, &old[i]))
            n_kept++;
        else
            gone[n_gone++] = old[i];
    }
    if (n_gone == 0 && n_kept == node->n_hosts)
        return node->n_hosts;
    SP_DEBUG(node->config.log, NODE, "%zu host addresses, %zu gone", node->n_hosts, n_gone);
    /* Dropping the connection just visited is the one change the table allows while iterating. */
    while (sp_map_next(&node->tables.by_id, &pos, &key, &value)) {
        change_hosts(value, gone, n_gone, now);
        (void)sp_node_conn_settle(value, now);
    }
    return node->n_hosts;
}

/* ---- remote candidates ----------------------------------------------------------------------- */

static int
parse_remote(const struct sp_node_conn *conn, const char *sdp, struct sp_ice_candidate *ret)
{
    if (!strncmp(sdp, "a=", 2))
        sdp += 2;
    return sp_ice_candidate_parse(sdp, conn->params.remote.ufrag, ret);
}

static void
add_optimistic(struct sp_node_conn *conn, sp_time now)
{
    struct sp_ice_candidate guess[SP_ICE_OPTIMISTIC_MAX];
    size_t n = sp_ice_agent_optimistic(conn->ice, guess);

    for (size_t i = 0; i < n; i++)
        if (sp_ice_agent_add_remote(conn->ice, &guess[i], now) < 0)
            return; /* full: a guess may be missing */
}

int
sp_node_add_remote_candidate(struct sp_node *node,
                             const struct sp_uuid *peer,
                             const char *sdp,
                             sp_time now)
{
    struct sp_node_conn *conn = sp_node_by_id(&node->tables, peer);
    struct sp_ice_candidate c;
    int r;

    sp_assert(now >= node->now);
    node->now = now;
    if (!conn)
        return SP_E_NOTFOUND;
    r = parse_remote(conn, sdp, &c);
    if (r < 0)
        return r;
    r = sp_ice_agent_add_remote(conn->ice, &c, now);
    if (r < 0)
        return r;
    conn->deadline_candidates = SP_TIME_NEVER;
    if (c.kind != SP_ICE_HOST)
        sp_node_relay_bind(conn, &c.addr, now);
    add_optimistic(conn, now);
    sp_node_conn_touch(conn, now);
    (void)sp_node_conn_settle(conn, now);
    return 0;
}

int
sp_node_remove_remote_candidate(struct sp_node *node,
                                const struct sp_uuid *peer,
                                const char *sdp,
                                sp_time now)
{
    struct sp_node_conn *conn = sp_node_by_id(&node->tables, peer);
    struct sp_ice_candidate c;
    int r;

    sp_assert(now >= node->now);
    node->now = now;
    if (!conn)
        return SP_E_NOTFOUND;
    r = parse_remote(conn, sdp, &c);
    if (r < 0)
        return r;
    if (!sp_ice_agent_remove_remote(conn->ice, &c, now))
        return 0;
    sp_node_conn_touch(conn, now);
    (void)sp_node_conn_settle(conn, now);
    return 0;
}
