/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/ice/pair-net.h"

#include <string.h>

#include "engine/stun/stun.h"

struct sp_endpoint
ep(const char *text)
{
    struct sp_endpoint out;

    g_assert_cmpint(sp_endpoint_parse(text, &out), ==, 0);
    return out;
}

void
net_init(struct net *net,
         uint64_t seed,
         bool role0,
         bool role1,
         const struct sp_ice_timing *timing0,
         const struct sp_ice_timing *timing1)
{
    static const struct sp_ice_creds creds[2] = {
        { "xcuw", "fokl57dz3lj5hx4ezkho3d" },
        { "gvws", "ns7h7t5cmmbg4lk3cyc3ea" },
    };

    memset(net, 0, sizeof *net);
    net->now = SP_SEC(1000);
    net->queue = g_array_new(FALSE, FALSE, sizeof(struct net_packet));
    net->rng = test_rng_init(&net->rng_state, seed);
    for (unsigned i = 0; i < 2; i++) {
        struct net_side *s = &net->side[i];

        s->config = (struct sp_ice_config){
            .controlling = i ? role1 : role0,
            .local = creds[i],
            .remote = creds[!i],
            .timing = i ? *timing1 : *timing0,
            .rng = test_rng_init(&s->rng, seed + 1 + i),
        };
        s->agent = sp_ice_agent_new(&s->config);
    }
}

void
net_done(struct net *net)
{
    for (unsigned i = 0; i < 2; i++)
        net->side[i].agent = sp_ice_agent_free(net->side[i].agent);
    g_array_unref(net->queue);
}

static bool
link_is_blocked(const struct net *net, const struct sp_endpoint *a, const struct sp_endpoint *b)
{
    for (unsigned i = 0; i < net->n_blocked; i++) {
        const struct net_link *l = &net->blocked[i];

        if ((sp_endpoint_equal(&l->a, a) && sp_endpoint_equal(&l->b, b))
            || (sp_endpoint_equal(&l->a, b) && sp_endpoint_equal(&l->b, a)))
            return true;
    }
    return false;
}

static void
transmit(struct net *net, unsigned from, const struct sp_ice_tx *tx)
{
    struct net_packet p = { .at = net->now + NET_DELAY,
                            .to = !from,
                            .src = tx->base,
                            .dst = tx->dst,
                            .len = tx->len };
    struct net_side *s = &net->side[from];
    struct sp_stun_msg msg;

    memcpy(p.bytes, tx->bytes, tx->len);
    g_assert_cmpint(sp_stun_parse(sp_span(p.bytes, p.len), &msg), ==, 0);
    g_assert_cmpint(sp_stun_check_fingerprint(&msg), ==, 0);
    if (tx->is_request) {
        if (s->n_sent < NET_LOG_MAX)
            s->sent_at[s->n_sent] = net->now;
        s->n_sent++;
        s->n_use_candidate += sp_stun_has(&msg, SP_STUN_USE_CANDIDATE);
    }
    if (net->cut || link_is_blocked(net, &tx->base, &tx->dst))
        return;
    if (net->loss && sp_rng_below(&net->rng, 100) < net->loss)
        return;
    if (net->nat_inside.port) {
        /* Nobody outside reaches the inside address itself. */
        if (sp_endpoint_equal(&p.dst, &net->nat_inside))
            return;
        if (sp_endpoint_equal(&p.src, &net->nat_inside))
            p.src = net->nat_outside;
        if (sp_endpoint_equal(&p.dst, &net->nat_outside))
            p.dst = net->nat_inside;
    }
    if (net->rewrite)
        net->rewrite(&p);
    g_array_append_val(net->queue, p);
}

static void
drain(struct net *net, unsigned side)
{
    struct net_side *s = &net->side[side];
    struct sp_ice_event ev;
    struct sp_ice_tx tx;

    while (sp_ice_agent_poll_event(s->agent, &ev)) {
        if (ev.type == SP_ICE_EVENT_NOMINATED) {
            s->n_nominations++;
            s->base = ev.u.nominated.base;
            s->remote = ev.u.nominated.remote;
            s->local_kind = ev.u.nominated.local_kind;
            s->remote_kind = ev.u.nominated.remote_kind;
        } else {
            g_assert_cmpuint(s->n_states, <, NET_LOG_MAX);
            g_assert_cmpint(ev.u.state.now, !=, ev.u.state.before);
            s->state_at[s->n_states] = net->now;
            s->states[s->n_states++] = ev.u.state.now;
        }
    }
    while (sp_ice_agent_poll_transmit(s->agent, &tx))
        transmit(net, side, &tx);
}

static void
deliver_due(struct net *net)
{
    for (guint i = 0; i < net->queue->len;) {
        struct net_packet p = g_array_index(net->queue, struct net_packet, i);
        struct sp_ice_agent *agent = net->side[p.to].agent;

        if (p.at > net->now) {
            i++;
            continue;
        }
        g_array_remove_index(net->queue, i);
        (void)!sp_ice_agent_handle_stun(agent, sp_span(p.bytes, p.len), &p.src, &p.dst, net->now);
        drain(net, p.to);
    }
}

void
net_pump(struct net *net)
{
    for (unsigned i = 0; i < 2; i++) {
        struct sp_ice_agent *agent = net->side[i].agent;
        int guard = 0;

        while (sp_ice_agent_next_timeout(agent) <= net->now) {
            sp_ice_agent_handle_timeout(agent, net->now);
            drain(net, i);
            g_assert_cmpint(++guard, <, 10); /* a due timer must make progress */
        }
        drain(net, i);
    }
}

void
net_run(struct net *net, sp_duration d)
{
    sp_time end = net->now + d;

    for (;;) {
        sp_time next = end;

        net_pump(net);
        for (unsigned i = 0; i < 2; i++)
            next = sp_time_min(next, sp_ice_agent_next_timeout(net->side[i].agent));
        for (guint i = 0; i < net->queue->len; i++)
            next = sp_time_min(next, g_array_index(net->queue, struct net_packet, i).at);
        net->now = MAX(next, net->now);
        deliver_due(net);
        if (net->now >= end)
            break;
    }
    net_pump(net);
}

void
net_signal(struct net *net, unsigned to, const struct sp_ice_candidate *c)
{
    const struct net_side *s = &net->side[to];
    char text[SP_ICE_CANDIDATE_STR_MAX];
    struct sp_ice_candidate parsed;

    sp_ice_candidate_format(c, text);
    g_assert_cmpint(sp_ice_candidate_parse(text, s->config.remote.ufrag, &parsed), ==, 0);
    g_assert_cmpint(sp_ice_agent_add_remote(s->agent, &parsed, net->now), >=, 0);
}

static int
add_and_signal(struct net *net, unsigned side, const struct sp_ice_candidate *c)
{
    struct sp_ice_candidate adopted;
    int r = sp_ice_agent_add_local(net->side[side].agent, c, &adopted);

    if (r == 0)
        net_signal(net, !side, &adopted);
    return r;
}

int
net_host(struct net *net, unsigned side, const char *addr)
{
    struct sp_endpoint a = ep(addr);
    struct sp_ice_candidate c;

    g_assert_cmpint(sp_ice_candidate_host(&a, &c), ==, 0);
    return add_and_signal(net, side, &c);
}

int
net_srflx(struct net *net, unsigned side, const char *mapped, const char *base)
{
    struct sp_endpoint m = ep(mapped), b = ep(base);
    struct sp_ice_candidate c;

    g_assert_cmpint(sp_ice_candidate_srflx(&m, &b, &c), ==, 0);
    return add_and_signal(net, side, &c);
}

int
net_relay(struct net *net, unsigned side, const char *relayed, const char *local)
{
    struct sp_endpoint r = ep(relayed), l = ep(local);
    struct sp_ice_candidate c;

    g_assert_cmpint(sp_ice_candidate_relay(&r, &l, &c), ==, 0);
    return add_and_signal(net, side, &c);
}

void
net_block(struct net *net, const char *a, const char *b)
{
    g_assert_cmpuint(net->n_blocked, <, NET_LINKS_MAX);
    net->blocked[net->n_blocked++] = (struct net_link){ ep(a), ep(b) };
}

void
net_assert_path(const struct net *net, unsigned side, const char *base, const char *remote)
{
    const struct net_side *s = &net->side[side];
    char text[SP_ENDPOINT_STR_MAX];
    struct sp_endpoint b, r;

    g_assert_true(sp_ice_agent_nominated(s->agent, &b, &r));
    g_assert_cmpstr(sp_endpoint_format(&b, text), ==, base);
    g_assert_cmpstr(sp_endpoint_format(&r, text), ==, remote);
    g_assert_true(sp_endpoint_equal(&b, &s->base));
    g_assert_true(sp_endpoint_equal(&r, &s->remote));
}

bool
net_saw_state(const struct net *net, unsigned side, enum sp_ice_state state)
{
    for (unsigned i = 0; i < net->side[side].n_states; i++) {
        if (net->side[side].states[i] == state)
            return true;
    }
    return false;
}
