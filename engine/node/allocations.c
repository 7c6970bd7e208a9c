/* SPDX-License-Identifier: Apache-2.0 */
/* Relays the portal told us about (spec connectivity 1.3 A, 2.9). The list, the memory of former
 * relays and the first step of demultiplexing are here; TURN allocations come behind
 * sp_node_relays_usable(). */
#include <stdlib.h>
#include <string.h>

#include "engine/node/node-private.h"
#include "engine/stun/channeldata.h"
#include "engine/stun/stun.h"

#define RELAY_PORT 3478

size_t
sp_node_relays_usable(const struct sp_node *node SP_UNUSED)
{
    return 0;
}

static void
remember_ip(struct sp_node_relays *relays, const struct sp_endpoint *ep)
{
    if (ep->ip.family)
        relays->previous[relays->previous_next++ % SP_NODE_PREVIOUS_RELAY_MAX] = ep->ip;
}

static void
copy_relay(struct sp_relay *dst, const struct sp_relay *src)
{
    *dst = *src;
    dst->username = sp_xstrdup(src->username);
    dst->password = sp_xstrdup(src->password);
}

static void
forget_relay(struct sp_node_relays *relays, struct sp_relay *relay)
{
    remember_ip(relays, &relay->addr4);
    remember_ip(relays, &relay->addr6);
    sp_relay_done(relay);
}

static struct sp_relay *
find_relay(struct sp_node_relays *relays, const struct sp_uuid *id)
{
    for (size_t i = 0; i < relays->n; i++)
        if (sp_uuid_equal(&relays->list[i].id, id))
            return &relays->list[i];
    return NULL;
}

static bool
same_text(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}

static bool
is_same_relay(const struct sp_relay *a, const struct sp_relay *b)
{
    return sp_endpoint_equal(&a->addr4, &b->addr4) && sp_endpoint_equal(&a->addr6, &b->addr6)
           && same_text(a->username, b->username) && same_text(a->password, b->password);
}

static int
add_relay(struct sp_node_relays *relays, const struct sp_relay *relay)
{
    struct sp_relay *known = find_relay(relays, &relay->id);

    if (known && is_same_relay(known, relay))
        return 0;
    if (!known && relays->n == SP_NODE_RELAYS_MAX)
        return SP_E_LIMIT;
    if (known) {
        forget_relay(relays, known);
    } else {
        relays->list = sp_xrealloc(relays->list, relays->n + 1, sizeof *relays->list);
        known = &relays->list[relays->n++];
    }
    copy_relay(known, relay);
    return 0;
}

int
sp_node_update_relays(struct sp_node *node,
                      const struct sp_uuid *removed,
                      size_t n_removed,
                      const struct sp_relay *added,
                      size_t n_added,
                      sp_time now)
{
    struct sp_node_relays *relays = &node->relays;
    int r = 0;

    sp_assert(now >= node->now);
    node->now = now;
    for (size_t i = 0; i < n_removed; i++) {
        struct sp_relay *relay = find_relay(relays, &removed[i]);

        if (!relay)
            continue;
        forget_relay(relays, relay);
        *relay = relays->list[--relays->n];
    }
    for (size_t i = 0; i < n_added && r == 0; i++)
        r = add_relay(relays, &added[i]);
    if (n_added && !relays->told) {
        SP_INFO(node->config.log, NODE, "relays are not used yet");
        relays->told = true;
    }
    return r;
}

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
is_known_relay(const struct sp_node_relays *relays, const struct sp_endpoint *from)
{
    for (size_t i = 0; i < relays->n; i++)
        if (sp_endpoint_equal(&relays->list[i].addr4, from)
            || sp_endpoint_equal(&relays->list[i].addr6, from))
            return true;
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

bool
sp_node_relays_swallow(const struct sp_node *node,
                       const struct sp_endpoint *from,
                       struct sp_span bytes)
{
    if (from->port != RELAY_PORT || !is_relay_framing(bytes))
        return false;
    /* Anybody else on this port is a peer whose NAT chose it. */
    return is_known_relay(&node->relays, from) || is_previous_relay(&node->relays, &from->ip);
}

void
sp_node_relays_done(struct sp_node *node)
{
    sp_relays_free(node->relays.list, node->relays.n);
    node->relays.list = NULL;
    node->relays.n = 0;
}
