/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/node/world.h"

#include <string.h>

#include "engine/ip/build.h"
#include "engine/wg/messages.h"

struct signal {
    sp_time at;
    int from;
    int to;
    bool add;
    char *text;
};

static void
on_datagram(void *ctx, const struct test_net_datagram *d, sp_time now)
{
    struct end *e = ctx;
    struct sp_udp_meta meta = { .local = d->to, .from = d->from };
    struct sp_pkt *pkt = sp_pkt_from_bytes(&e->pool, d->bytes.p, d->bytes.n);
    struct sp_pkt *inner = NULL;
    struct sp_uuid peer;
    int r;

    g_assert_nonnull(pkt);
    pkt->ecn = d->ecn;
    r = sp_node_handle_datagram(e->node, &meta, pkt, now, &peer, &inner);
    if (r == SP_NODE_PACKET) {
        g_ptr_array_add(e->received, g_bytes_new(sp_pkt_data(inner), inner->len));
        e->last_sender = peer.b[15];
        sp_pkt_free(inner);
    }
    world_drain(e);
}

static void
on_log(void *ctx, enum sp_log_level level, enum sp_log_cat cat, const char *line)
{
    struct end *e = ctx;

    if (cat != SP_LOG_NODE)
        return;
    if (level <= SP_LOG_DEBUG)
        g_string_append_printf(e->log_text, "%s\n", line);
    if (level <= SP_LOG_INFO)
        g_string_append_printf(e->log_info, "%s\n", line);
}

struct world *
world_new(uint64_t seed)
{
    struct world *w = g_new0(struct world, 1);

    w->net = test_net_new(seed);
    w->signals = g_queue_new();
    w->signal_delay = SP_MS(50);
    w->now = SP_SEC(1000);
    w->router_mark = -1;
    return w;
}

static void
signal_free(void *p)
{
    struct signal *s = p;

    g_free(s->text);
    g_free(s);
}

void
world_free(struct world *w)
{
    for (int i = 0; i < w->n_ends; i++) {
        struct end *e = &w->ends[i];

        sp_node_free(e->node);
        g_ptr_array_unref(e->signalled);
        g_ptr_array_unref(e->received);
        g_string_free(e->log_text, TRUE);
        g_string_free(e->log_info, TRUE);
        g_assert_cmpuint(e->pool.in_use, ==, 0);
        sp_pkt_pool_done(&e->pool);
    }
    g_queue_free_full(w->signals, signal_free);
    test_net_free(w->net);
    g_free(w);
}

void
world_set_router_mark(struct world *w, int mark)
{
    w->router_mark = mark;
}

size_t
end_tell_addresses(struct end *e, const char *addresses)
{
    char **list = g_strsplit(addresses, ",", -1);
    size_t n;

    e->n_addresses = 0;
    for (size_t i = 0; list[i] && *list[i]; i++) {
        g_assert_cmpuint(i, <, G_N_ELEMENTS(e->addresses));
        g_assert_cmpint(sp_ip_parse(list[i], &e->addresses[i].ip), ==, 0);
        e->addresses[i].port = WORLD_PORT;
        e->n_addresses++;
    }
    g_strfreev(list);
    n = sp_node_set_host_addresses(e->node, e->addresses, e->n_addresses, e->world->now);
    world_drain(e);
    return n;
}

void
end_set_addresses(struct end *e, const char *addresses)
{
    char **list = g_strsplit(addresses, ",", -1);

    test_net_clear_addresses(e->world->net, e->host);
    for (size_t i = 0; list[i] && *list[i]; i++)
        test_net_add_address(e->world->net, e->host, list[i], -1);
    g_strfreev(list);
    end_tell_addresses(e, addresses);
}

struct end *
world_add(struct world *w, bool server, const char *addresses, int nat)
{
    struct end *e = &w->ends[w->n_ends];
    struct sp_node_config config = {
        .pool = &e->pool,
        .rng = test_rng_init(&e->rng, 77 + (uint64_t)w->n_ends),
        .log = &e->log,
        .drops = &e->drops,
        .server = server,
    };
    char **list = g_strsplit(addresses, ",", -1);

    e->world = w;
    e->id = w->n_ends++;
    e->log = (struct sp_log){ .fn = on_log, .ctx = e, .max = SP_LOG_TRACE, .mask = SP_LOG_ALL };
    e->log_text = g_string_new(NULL);
    e->log_info = g_string_new(NULL);
    e->signalled = g_ptr_array_new_with_free_func(g_free);
    e->received = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    sp_pkt_pool_init(&e->pool, 4096);
    e->host = test_net_add_host(w->net, on_datagram, e);
    for (size_t i = 0; list[i] && *list[i]; i++)
        test_net_add_address(w->net, e->host, list[i], nat);
    g_strfreev(list);
    e->node = sp_node_new(&config, w->now);
    if (*addresses)
        end_tell_addresses(e, addresses);
    return e;
}

/* ---- portal ---------------------------------------------------------------------------------- */

struct sp_uuid
world_uuid(int id)
{
    struct sp_uuid uuid = { { 0 } };

    uuid.b[0] = 0xaa;
    uuid.b[15] = (uint8_t)id;
    return uuid;
}

struct sp_node_peer_params
world_params(const struct end *self, const struct end *peer)
{
    struct sp_node_peer_params p = { .controlling = self->id < peer->id };
    int low = MIN(self->id, peer->id), high = MAX(self->id, peer->id);
    struct sp_ice_creds *of_low = self->id == low ? &p.local : &p.remote;
    struct sp_ice_creds *of_high = self->id == low ? &p.remote : &p.local;

    memcpy(p.remote_key, sp_node_public_key(peer->node), SP_KEY_LEN);
    memset(p.psk, 0x40 + 16 * low + high, sizeof p.psk);
    g_snprintf(of_low->ufrag, sizeof of_low->ufrag, "lo%d%d", low, high);
    g_snprintf(of_low->pwd, sizeof of_low->pwd, "low-side-password-%d-%d", low, high);
    g_snprintf(of_high->ufrag, sizeof of_high->ufrag, "hi%d%d", low, high);
    g_snprintf(of_high->pwd, sizeof of_high->pwd, "high-side-password-%d-%d", low, high);
    return p;
}

int
world_upsert(struct end *self, const struct end *peer)
{
    struct sp_node_peer_params p = world_params(self, peer);
    struct sp_uuid id = world_uuid(peer->id);
    int r = sp_node_upsert(self->node, &id, &p, self->world->now);

    world_drain(self);
    return r;
}

void
world_connect(struct end *a, struct end *b)
{
    g_assert_cmpint(world_upsert(a->id > b->id ? a : b, a->id > b->id ? b : a), ==, 0);
    g_assert_cmpint(world_upsert(a->id > b->id ? b : a, a->id > b->id ? a : b), ==, 0);
}

static void
send_signal(struct end *e, const struct sp_node_event *event, bool add)
{
    struct signal *s = g_new0(struct signal, 1);

    g_ptr_array_add(e->signalled, g_strdup_printf("%c%s", add ? '+' : '-', event->candidate));
    s->at = e->world->now + e->world->signal_delay;
    s->from = e->id;
    s->to = event->peer.b[15];
    s->add = add;
    s->text = g_strdup(event->candidate);
    g_queue_push_tail(e->world->signals, s);
}

static void
deliver_signal(struct world *w, const struct signal *s)
{
    struct end *to = &w->ends[s->to];
    struct sp_uuid from = world_uuid(s->from);
    int r = s->add ? sp_node_add_remote_candidate(to->node, &from, s->text, w->now)
                   : sp_node_remove_remote_candidate(to->node, &from, s->text, w->now);

    g_assert_true(r == 0 || r == SP_E_NOTFOUND);
    world_drain(to);
}

static sp_time
next_signal(const struct world *w)
{
    for (GList *l = w->signals->head; l; l = l->next) {
        const struct signal *s = l->data;

        if (!w->ends[s->to].deaf_signalling)
            return MAX(s->at, w->now);
    }
    return SP_TIME_NEVER;
}

static void
deliver_signals(struct world *w)
{
    GList *l = w->signals->head;

    while (l) {
        GList *next = l->next;
        struct signal *s = l->data;

        if (s->at <= w->now && !w->ends[s->to].deaf_signalling) {
            g_queue_delete_link(w->signals, l);
            deliver_signal(w, s);
            signal_free(s);
        }
        l = next;
    }
}

/* ---- driver ---------------------------------------------------------------------------------- */

static void
on_event(struct end *e, const struct sp_node_event *event)
{
    int peer = event->peer.b[15];

    switch (event->type) {
    case SP_NODE_EV_NEW_CANDIDATE:
        send_signal(e, event, true);
        break;
    case SP_NODE_EV_INVALIDATE_CANDIDATE:
        send_signal(e, event, false);
        break;
    case SP_NODE_EV_ESTABLISHED:
        e->established[peer]++;
        e->established_at = e->world->now;
        break;
    case SP_NODE_EV_FAILED:
        e->failed[peer]++;
        e->failed_at = e->world->now;
        break;
    case SP_NODE_EV_CLOSED:
        e->closed[peer]++;
        break;
    case SP_NODE_EV_NO_RELAYS:
        g_assert_not_reached();
    }
}

static void
transmit(struct end *e, const struct sp_transmit *tx)
{
    struct sp_endpoint src = { .port = WORLD_PORT };

    if (tx->has_src)
        src.ip = tx->src;
    e->wg_sent[sp_wg_classify(sp_pkt_span(tx->pkt))]++;
    e->last_sent_off = tx->pkt->off;
    e->last_ecn = tx->pkt->ecn;
    test_net_send(e->world->net,
                  e->host,
                  &src,
                  &tx->dst,
                  sp_pkt_span(tx->pkt),
                  e->world->router_mark < 0 ? tx->pkt->ecn : (uint8_t)e->world->router_mark,
                  e->world->now);
    sp_pkt_free(tx->pkt);
}

void
world_drain(struct end *e)
{
    struct sp_node_event event;
    struct sp_transmit tx;
    bool more = true;

    while (more) {
        more = false;
        while (sp_node_next_timeout(e->node) == 0 && sp_node_poll_event(e->node, &event)) {
            on_event(e, &event);
            more = true;
        }
        while (sp_node_next_timeout(e->node) == 0 && sp_node_poll_transmit(e->node, &tx)) {
            transmit(e, &tx);
            more = true;
        }
    }
    /* Nothing may be left that the timeout did not announce. */
    g_assert_false(sp_node_poll_event(e->node, &event));
    g_assert_false(sp_node_poll_transmit(e->node, &tx));
}

static sp_time
next_step(const struct world *w)
{
    sp_time at = sp_time_min(test_net_next(w->net), next_signal(w));

    for (int i = 0; i < w->n_ends; i++)
        at = sp_time_min(at, sp_node_next_timeout(w->ends[i].node));
    return at;
}

static void
step(struct world *w)
{
    test_net_deliver(w->net, w->now);
    deliver_signals(w);
    for (int i = 0; i < w->n_ends; i++) {
        if (sp_node_next_timeout(w->ends[i].node) > w->now)
            continue;
        w->wakeups++;
        sp_node_handle_timeout(w->ends[i].node, w->now);
        world_drain(&w->ends[i]);
    }
}

void
world_run(struct world *w, sp_duration d)
{
    sp_time end = w->now + d;

    for (;;) {
        sp_time at = next_step(w);

        if (at > end)
            break;
        w->now = MAX(w->now, at);
        step(w);
    }
    w->now = end;
}

sp_duration
world_until_established(struct end *a, struct end *b, sp_duration limit)
{
    struct world *w = a->world;
    sp_time start = w->now;

    while (w->now < start + limit) {
        if (a->established[b->id] && b->established[a->id])
            break;
        world_run(w, SP_MS(10));
    }
    return w->now - start;
}

/* ---- traffic --------------------------------------------------------------------------------- */

int
end_send(struct end *self, const struct end *peer, size_t size, uint8_t ecn)
{
    static const uint8_t zeros[SP_MTU];
    struct sp_endpoint src = { .ip = sp_ip4(100, 64, 0, (uint8_t)self->id), .port = 1000 };
    struct sp_endpoint dst = { .ip = sp_ip4(100, 64, 0, (uint8_t)peer->id), .port = 2000 };
    struct sp_uuid id = world_uuid(peer->id);
    struct sp_pkt *pkt = sp_pkt_alloc(&self->pool);
    struct sp_ip_view view;
    size_t n = 0;
    int r;

    g_assert_cmpuint(size, >=, 28);
    r = sp_build_udp(sp_pkt_data(pkt),
                     sp_pkt_tailroom(pkt),
                     &src,
                     &dst,
                     sp_span(zeros, size - 28),
                     &n);
    g_assert_cmpint(r, ==, 0);
    pkt->len = (uint16_t)n;
    g_assert_cmpint(sp_packet_parse(sp_pkt_data(pkt), pkt->len, &view), ==, 0);
    sp_packet_set_ecn(sp_pkt_data(pkt), &view, ecn);
    pkt->ecn = ecn;
    r = sp_node_send(self->node, &id, pkt, self->world->now);
    if (r > 0)
        sp_pkt_free(pkt);
    world_drain(self);
    return r;
}

int
end_inject(struct end *e,
           const char *from,
           const char *local,
           const void *bytes,
           size_t n,
           uint8_t ecn)
{
    struct sp_pkt *pkt = sp_pkt_from_bytes(&e->pool, bytes, n);
    struct sp_pkt *inner = NULL;
    struct sp_udp_meta meta;
    struct sp_uuid peer;
    int r;

    g_assert_nonnull(pkt);
    g_assert_cmpint(sp_endpoint_parse(from, &meta.from), ==, 0);
    g_assert_cmpint(sp_endpoint_parse(local, &meta.local), ==, 0);
    pkt->ecn = ecn;
    r = sp_node_handle_datagram(e->node, &meta, pkt, e->world->now, &peer, &inner);
    if (r == SP_NODE_PACKET)
        sp_pkt_free(inner);
    world_drain(e);
    return r;
}

struct sp_node_info
end_info(const struct end *self, const struct end *peer)
{
    struct sp_uuid id = world_uuid(peer->id);
    struct sp_node_info info;

    g_assert_true(sp_node_connection_info(self->node, &id, &info));
    return info;
}

bool
end_knows(const struct end *self, const struct end *peer)
{
    struct sp_uuid id = world_uuid(peer->id);
    struct sp_node_info info;

    return sp_node_connection_info(self->node, &id, &info);
}

uint64_t
end_drops(const struct end *e)
{
    uint64_t sum = 0;

    for (int i = 0; i < _SP_DROP_MAX; i++)
        sum += e->drops.count[i];
    return sum;
}
