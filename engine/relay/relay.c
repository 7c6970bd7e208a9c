/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/relay/relay.h"

#include <stdlib.h>
#include <string.h>

#include "engine/crypto/mem.h"
#include "engine/relay/relay-private.h"

/* One call yields at most a command per channel and a few per allocation. */
#define COMMANDS_MAX (SP_RELAY_CHANNELS_MAX + 4 * 65536)

const char *
sp_relay_drop_name(enum sp_relay_drop reason)
{
    static const char *const names[_SP_RELAY_DROP_MAX] = {
        [SP_RELAY_DROP_UNKNOWN_BYTE] = "unknown-byte",
        [SP_RELAY_DROP_PORT_ZERO] = "port-zero",
        [SP_RELAY_DROP_BAD_STUN] = "bad-stun",
        [SP_RELAY_DROP_NOT_REQUEST] = "not-request",
        [SP_RELAY_DROP_BAD_USERNAME] = "bad-username",
        [SP_RELAY_DROP_RATE] = "rate",
        [SP_RELAY_DROP_BUSY] = "busy",
        [SP_RELAY_DROP_BAD_CHANNEL_DATA] = "bad-channel-data",
        [SP_RELAY_DROP_NO_CHANNEL] = "no-channel",
        [SP_RELAY_DROP_NO_PEER] = "no-peer",
        [SP_RELAY_DROP_NO_PORT] = "no-port",
        [SP_RELAY_DROP_TOO_BIG] = "too-big",
        [SP_RELAY_DROP_QUEUE_FULL] = "queue-full",
    };

    return (unsigned)reason < _SP_RELAY_DROP_MAX ? names[reason] : "?";
}

const char *
sp_relay_method_name(enum sp_relay_method method)
{
    static const char *const names[_SP_RELAY_METHOD_MAX] = {
        [SP_RELAY_BINDING] = "binding",
        [SP_RELAY_ALLOCATE] = "allocate",
        [SP_RELAY_REFRESH] = "refresh",
        [SP_RELAY_CREATE_PERMISSION] = "create-permission",
        [SP_RELAY_CHANNEL_BIND] = "channel-bind",
        [SP_RELAY_OTHER] = "other",
    };

    return (unsigned)method < _SP_RELAY_METHOD_MAX ? names[method] : "?";
}

unsigned
sp_relay_code_number(enum sp_relay_code code)
{
    static const uint16_t numbers[_SP_RELAY_CODE_MAX] = {
        [SP_RELAY_400] = 400, [SP_RELAY_401] = 401, [SP_RELAY_403] = 403,
        [SP_RELAY_437] = 437, [SP_RELAY_438] = 438, [SP_RELAY_440] = 440,
        [SP_RELAY_443] = 443, [SP_RELAY_500] = 500, [SP_RELAY_508] = 508,
    };

    return (unsigned)code < _SP_RELAY_CODE_MAX ? numbers[code] : 0;
}

/* ---- outputs -------------------------------------------------------------------------------- */

void
relay_drop(struct sp_relay *r, struct sp_pkt *pkt, enum sp_relay_drop reason)
{
    r->stats.drops[reason]++;
    sp_pkt_free(pkt);
}

void
relay_send(struct sp_relay *r, uint16_t port, const struct sp_endpoint *dst, struct sp_pkt *pkt)
{
    struct sp_relay_transmit tx = { .port = port, .dst = *dst, .pkt = pkt };

    if (sp_ring_push(&r->transmits, &tx) < 0)
        relay_drop(r, pkt, SP_RELAY_DROP_QUEUE_FULL);
}

void
relay_command(struct sp_relay *r, const struct sp_relay_command *cmd)
{
    int e = sp_ring_push(&r->commands, cmd);

    sp_assert(e == 0); /* else the owner does not poll */
}

bool
sp_relay_poll_transmit(struct sp_relay *r, struct sp_relay_transmit *ret_tx)
{
    return sp_ring_pop(&r->transmits, ret_tx);
}

bool
sp_relay_poll_command(struct sp_relay *r, struct sp_relay_command *ret_cmd)
{
    return sp_ring_pop(&r->commands, ret_cmd);
}

const struct sp_relay_stats *
sp_relay_get_stats(const struct sp_relay *r)
{
    return &r->stats;
}

/* ---- inputs --------------------------------------------------------------------------------- */

void
sp_relay_handle_listen(struct sp_relay *r,
                       const struct sp_endpoint *from,
                       struct sp_pkt *pkt,
                       sp_time now)
{
    struct sp_span bytes = sp_pkt_span(pkt);
    uint8_t first = bytes.n ? bytes.p[0] : 0xff;

    if (from->port == 0) {
        relay_drop(r, pkt, SP_RELAY_DROP_PORT_ZERO);
    } else if (first <= 3) {
        relay_request_handle(r, from, pkt, now);
    } else if (first >= SP_CHANNEL_FIRST >> 8 && first <= r->channel_last >> 8) {
        relay_data_from_client(r, from, pkt);
    } else {
        SP_DEBUG(r->log, TURN, "datagram starts with %#x", first);
        relay_drop(r, pkt, SP_RELAY_DROP_UNKNOWN_BYTE);
    }
}

void
sp_relay_handle_relayed(struct sp_relay *r,
                        uint16_t port,
                        const struct sp_endpoint *from,
                        struct sp_pkt *pkt,
                        SP_UNUSED sp_time now)
{
    if (relay_alloc_of_port(r, port))
        relay_data_from_peer(r, port, from, pkt);
    else
        relay_drop(r, pkt, SP_RELAY_DROP_NO_PORT);
}

void
sp_relay_handle_timeout(struct sp_relay *r, sp_time now)
{
    while (r->heap.n && sp_time_due(r->heap.v[0]->at, now)) {
        struct relay_timer *t = r->heap.v[0];

        if (t->is_channel)
            relay_channel_timeout(r, SP_CONTAINER_OF(t, struct relay_channel, timer), now);
        else
            relay_alloc_delete(r, SP_CONTAINER_OF(t, struct relay_alloc, timer));
    }
}

sp_time
sp_relay_next_timeout(const struct sp_relay *r)
{
    return r->heap.n ? r->heap.v[0]->at : SP_TIME_NEVER;
}

/* ---- life ----------------------------------------------------------------------------------- */

static bool
is_usable(const struct sp_relay_config *c)
{
    return (c->public4.family == 4 || c->public6.family == 6) && c->stamp_secret
           && c->stamp_secret[0] && strlen(c->stamp_secret) <= SP_RELAY_SECRET_MAX
           && (!c->software || strlen(c->software) <= SP_RELAY_SOFTWARE_MAX)
           && c->n_deny <= SP_RELAY_DENY_MAX && !c->static_user == !c->static_password
           && (!c->channel_last
               || (c->channel_last >= SP_CHANNEL_FIRST && c->channel_last <= SP_CHANNEL_LAST));
}

static void
copy_config(struct sp_relay *r, const struct sp_relay_config *c)
{
    r->public4 = c->public4;
    r->public6 = c->public6;
    r->listen_port = c->listen_port ? c->listen_port : SP_RELAY_LISTEN_PORT;
    r->channel_last = c->channel_last ? c->channel_last : SP_CHANNEL_ALLOC_LAST;
    r->multi_alloc = c->multi_alloc;
    memcpy(r->secret, c->stamp_secret, strlen(c->stamp_secret));
    if (c->software)
        memcpy(r->software, c->software, strlen(c->software));
    r->static_user = sp_xstrdup(c->static_user);
    r->static_password = sp_xstrdup(c->static_password);
    for (size_t i = 0; i < c->n_deny; i++)
        r->deny[i] = c->deny[i];
    r->n_deny = c->n_deny;
    r->rate = c->rate;
    r->burst = c->burst;
    r->wall = c->wall;
    r->rng = c->rng;
    r->log = c->log;
}

struct sp_relay *
sp_relay_new(const struct sp_relay_config *config)
{
    bool standard = !config->port_first && !config->port_last;
    struct sp_relay *r;

    if (!is_usable(config))
        return NULL;
    r = sp_xcalloc(1, sizeof *r);
    copy_config(r, config);
    sp_rng_fill(&r->rng, r->nonce_key, sizeof r->nonce_key);
    sp_ring_init(&r->transmits, sizeof(struct sp_relay_transmit), SP_RELAY_TRANSMITS_MAX);
    sp_ring_init(&r->commands, sizeof(struct sp_relay_command), COMMANDS_MAX);
    relay_limit_init(r);
    if (relay_tables_init(r,
                          standard ? SP_RELAY_PORT_FIRST : config->port_first,
                          standard ? SP_RELAY_PORT_LAST : config->port_last)
        < 0)
        return sp_relay_free(r);
    return r;
}

struct sp_relay *
sp_relay_free(struct sp_relay *r)
{
    struct sp_relay_transmit tx;

    if (!r)
        return NULL;
    relay_tables_done(r);
    while (sp_relay_poll_transmit(r, &tx))
        sp_pkt_free(tx.pkt);
    sp_ring_done(&r->transmits);
    sp_ring_done(&r->commands);
    relay_heap_done(&r->heap);
    free(r->buckets);
    free(r->static_user);
    if (r->static_password)
        sp_wipe(r->static_password, strlen(r->static_password));
    free(r->static_password);
    sp_wipe(r, sizeof *r);
    free(r);
    return NULL;
}
