/* SPDX-License-Identifier: Apache-2.0 */
/* Allocations, channels, ports: who is found by what, and how they end. Spec relay 1.8, 1.9. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/wr.h"
#include "engine/crypto/mem.h"
#include "engine/relay/relay-private.h"

struct relay_key
relay_key(const struct sp_endpoint *ep, uint16_t extra)
{
    struct relay_key key = { { ep->ip.family } };

    sp_put_be16(key.b + 2, ep->port);
    memcpy(key.b + 4, ep->ip.b, sizeof ep->ip.b);
    sp_put_be16(key.b + 20, extra);
    return key;
}

/* ---- ports ---------------------------------------------------------------------------------- */

int
relay_tables_init(struct sp_relay *r, uint16_t first, uint16_t last)
{
    first = SP_MAX(first, 1); /* 0 would bind any port */
    if (last < first)
        return SP_E_INVAL;
    r->port_first = first;
    r->n_ports = (size_t)last - first + 1;
    r->by_port = sp_xcalloc(r->n_ports, sizeof *r->by_port);
    r->free_ports = sp_xcalloc(r->n_ports, sizeof *r->free_ports);
    for (size_t i = 0; i < r->n_ports; i++)
        r->free_ports[i] = (uint16_t)(first + i);
    r->n_free = r->n_ports;
    sp_map_init(&r->by_client, RELAY_KEY_LEN, &r->rng);
    sp_map_init(&r->by_user, SP_SHA256_LEN, &r->rng);
    sp_map_init(&r->by_channel, RELAY_KEY_LEN, &r->rng);
    sp_map_init(&r->by_peer, RELAY_KEY_LEN, &r->rng);
    return 0;
}

void
relay_tables_done(struct sp_relay *r)
{
    for (size_t i = 0; r->by_port && i < r->n_ports; i++) {
        if (r->by_port[i])
            relay_alloc_delete(r, r->by_port[i]);
    }
    sp_map_done(&r->by_client);
    sp_map_done(&r->by_user);
    sp_map_done(&r->by_channel);
    sp_map_done(&r->by_peer);
    free(r->by_port);
    free(r->free_ports);
}

static uint16_t
take_port(struct sp_relay *r)
{
    uint32_t i = sp_rng_below(&r->rng, (uint32_t)r->n_free);
    uint16_t port = r->free_ports[i];

    r->free_ports[i] = r->free_ports[--r->n_free];
    return port;
}

static void
give_port(struct sp_relay *r, uint16_t port)
{
    sp_assert(r->n_free < r->n_ports);
    r->free_ports[r->n_free++] = port;
}

static void
give_tried(struct sp_relay *r, struct relay_alloc *a)
{
    while (a->n_tried)
        give_port(r, a->tried[--a->n_tried]);
}

/* ---- allocations ---------------------------------------------------------------------------- */

struct relay_alloc *
relay_alloc_of_client(const struct sp_relay *r, const struct sp_endpoint *ep)
{
    struct relay_key key = relay_key(ep, 0);

    return sp_map_get(&r->by_client, key.b);
}

struct relay_alloc *
relay_alloc_of_user(const struct sp_relay *r, const uint8_t user[SP_SHA256_LEN])
{
    return sp_map_get(&r->by_user, user);
}

struct relay_alloc *
relay_alloc_of_port(const struct sp_relay *r, uint16_t port)
{
    if (port < r->port_first || (size_t)port - r->port_first >= r->n_ports)
        return NULL;
    return r->by_port[port - r->port_first];
}

static void
port_command(struct sp_relay *r, const struct relay_alloc *a, enum sp_relay_command_type type)
{
    relay_command(
        r,
        &(struct sp_relay_command){ .type = type, .port = a->port, .v4 = a->v4, .v6 = a->v6 });
}

static void
request_port(struct sp_relay *r, struct relay_alloc *a)
{
    a->port = take_port(r);
    r->by_port[a->port - r->port_first] = a;
    port_command(r, a, SP_RELAY_OPEN_PORT);
}

void
relay_alloc_start(struct sp_relay *r, struct relay_alloc *a)
{
    struct relay_key key = relay_key(&a->client, 0);

    a->opening = true;
    a->timer.pos = TIMER_IDLE;
    (void)sp_map_put(&r->by_client, key.b, a);
    if (!r->multi_alloc)
        (void)sp_map_put(&r->by_user, a->user, a);
    request_port(r, a);
}

bool
relay_alloc_next_port(struct sp_relay *r, struct relay_alloc *a)
{
    if (a->n_tried + 1 >= SP_RELAY_OPEN_TRIES || r->n_free == 0)
        return false;
    r->by_port[a->port - r->port_first] = NULL;
    a->tried[a->n_tried++] = a->port;
    request_port(r, a);
    return true;
}

void
relay_alloc_opened(struct sp_relay *r, struct relay_alloc *a, sp_time now)
{
    a->opening = false;
    give_tried(r, a);
    relay_heap_set(&r->heap, &a->timer, sp_time_add(now, a->lifetime));
    r->stats.allocations++;
    SP_INFO(r->log, TURN, "allocation %u created", a->port);
}

static void channel_delete(struct sp_relay *r, struct relay_channel *c);

void
relay_alloc_delete(struct sp_relay *r, struct relay_alloc *a)
{
    struct relay_key key = relay_key(&a->client, 0);

    while (a->channels)
        channel_delete(r, a->channels);
    if (!a->opening) {
        port_command(r, a, SP_RELAY_CLOSE_PORT);
        r->stats.allocations--;
        SP_INFO(r->log, TURN, "allocation %u deleted", a->port);
    }
    relay_heap_remove(&r->heap, &a->timer);
    (void)sp_map_del(&r->by_client, key.b);
    if (relay_alloc_of_user(r, a->user) == a)
        (void)sp_map_del(&r->by_user, a->user);
    r->by_port[a->port - r->port_first] = NULL;
    give_port(r, a->port);
    give_tried(r, a);
    sp_pkt_free(a->reply.pkt);
    sp_wipe(a, sizeof *a);
    free(a);
}

/* ---- channels ------------------------------------------------------------------------------- */

struct relay_channel *
relay_channel_of_number(const struct sp_relay *r, const struct sp_endpoint *client, uint16_t number)
{
    struct relay_key key = relay_key(client, number);

    return sp_map_get(&r->by_channel, key.b);
}

struct relay_channel *
relay_channel_of_peer(const struct sp_relay *r, uint16_t port, const struct sp_endpoint *peer)
{
    struct relay_key key = relay_key(peer, port);

    return sp_map_get(&r->by_peer, key.b);
}

static void
channel_command(struct sp_relay *r, const struct relay_channel *c, enum sp_relay_command_type type)
{
    relay_command(r,
                  &(struct sp_relay_command){ .type = type,
                                              .port = c->alloc->port,
                                              .channel = c->number,
                                              .client = c->alloc->client,
                                              .peer = c->peer });
}

int
relay_channel_new(struct sp_relay *r,
                  struct relay_alloc *a,
                  uint16_t number,
                  const struct sp_endpoint *peer,
                  sp_time now)
{
    struct relay_key by_number = relay_key(&a->client, number);
    struct relay_key by_peer = relay_key(peer, a->port);
    struct relay_channel *c;

    if (r->stats.channels >= SP_RELAY_CHANNELS_MAX)
        return SP_E_LIMIT;
    c = sp_xcalloc(1, sizeof *c);
    c->timer = (struct relay_timer){ .pos = TIMER_IDLE, .is_channel = true };
    c->alloc = a;
    c->peer = *peer;
    c->number = number;
    c->next = a->channels;
    if (c->next)
        c->next->prev = c;
    a->channels = c;
    (void)sp_map_put(&r->by_channel, by_number.b, c);
    (void)sp_map_put(&r->by_peer, by_peer.b, c);
    r->stats.channels++;
    relay_channel_refresh(r, c, now);
    SP_INFO(r->log, TURN, "channel %#x of allocation %u bound", number, a->port);
    return 0;
}

void
relay_channel_refresh(struct sp_relay *r, struct relay_channel *c, sp_time now)
{
    c->active = true;
    relay_heap_set(&r->heap, &c->timer, sp_time_add(now, SP_RELAY_CHANNEL_LIFE));
    channel_command(r, c, SP_RELAY_ADD_CHANNEL);
}

static void
deactivate(struct sp_relay *r, struct relay_channel *c)
{
    if (c->active)
        channel_command(r, c, SP_RELAY_REMOVE_CHANNEL);
    c->active = false;
}

static void
channel_delete(struct sp_relay *r, struct relay_channel *c)
{
    struct relay_key by_number = relay_key(&c->alloc->client, c->number);
    struct relay_key by_peer = relay_key(&c->peer, c->alloc->port);

    deactivate(r, c);
    relay_heap_remove(&r->heap, &c->timer);
    (void)sp_map_del(&r->by_channel, by_number.b);
    (void)sp_map_del(&r->by_peer, by_peer.b);
    if (c->prev)
        c->prev->next = c->next;
    else
        c->alloc->channels = c->next;
    if (c->next)
        c->next->prev = c->prev;
    r->stats.channels--;
    free(c);
}

void
relay_channel_timeout(struct sp_relay *r, struct relay_channel *c, sp_time now)
{
    sp_time gone = sp_time_add(c->timer.at, SP_RELAY_CHANNEL_COOL_DOWN);

    SP_INFO(r->log,
            TURN,
            "channel %#x of allocation %u %s",
            c->number,
            c->alloc->port,
            c->active ? "expired" : "gone");
    if (!c->active || sp_time_due(gone, now)) {
        channel_delete(r, c);
        return;
    }
    deactivate(r, c);
    relay_heap_set(&r->heap, &c->timer, gone);
}
