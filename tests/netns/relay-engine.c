/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/netns/relay-engine.h"

void
relay_engine_init(struct relay_engine *e, const struct sp_endpoint *peer)
{
    *e = (struct relay_engine){ .peer = *peer };
    e->to_udp.max = e->to_tun.max = 2048;
}

static void
handle_tun(void *engine, struct sp_pkt *pkt, sp_time now SP_UNUSED)
{
    struct relay_engine *e = engine;

    pkt->ecn = 0;
    sp_pkt_queue_push(&e->to_udp, pkt);
}

static void
handle_udp(void *engine, const struct sp_udp_meta *meta, struct sp_pkt *pkt, sp_time now SP_UNUSED)
{
    struct relay_engine *e = engine;

    if (sp_endpoint_equal(&meta->from, &e->peer))
        sp_pkt_queue_push(&e->to_tun, pkt);
    else
        sp_pkt_free(pkt);
}

static void
handle_timeout(void *engine, sp_time now)
{
    struct relay_engine *e = engine;

    if (!sp_time_due(e->next, now))
        return;
    e->ticks++;
    e->events_left++;
    e->next = sp_time_add(now, SP_MS(10));
}

static sp_time
next_timeout(const void *engine)
{
    return ((const struct relay_engine *)engine)->next;
}

static bool
poll_transmit(void *engine, struct sp_transmit *ret)
{
    struct relay_engine *e = engine;
    struct sp_pkt *pkt = sp_pkt_queue_pop(&e->to_udp);

    if (!pkt)
        return false;
    *ret = (struct sp_transmit){ .dst = e->peer, .pkt = pkt };
    return true;
}

static struct sp_pkt *
poll_tun(void *engine)
{
    return sp_pkt_queue_pop(&((struct relay_engine *)engine)->to_tun);
}

static void
handle_command(void *engine, void *cmd SP_UNUSED, sp_time now SP_UNUSED)
{
    ((struct relay_engine *)engine)->commands++;
}

static bool
poll_event(void *engine, void **ret_event)
{
    struct relay_engine *e = engine;

    if (e->events_left == 0)
        return false;
    e->events_left--;
    *ret_event = e;
    return true;
}

const struct sp_engine_ops relay_engine_ops = {
    .handle_tun = handle_tun,
    .handle_udp = handle_udp,
    .handle_timeout = handle_timeout,
    .next_timeout = next_timeout,
    .poll_transmit = poll_transmit,
    .poll_tun = poll_tun,
    .handle_command = handle_command,
    .poll_event = poll_event,
};
