/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/wg/pair.h"

#include <glib.h>
#include <string.h>

#include "engine/base/wr.h"

struct sp_wg_config
pair_config(struct pair *p, struct side *self, struct side *peer)
{
    struct sp_wg_config c = {
        .identity = &self->id,
        .index24 = self == &p->a ? 0xaaaaaa : 0xbbbbbb,
        .params = p->params,
        .wall = { .unix_ns_at_zero = INT64_C(1700000000) * (int64_t)SP_NS_PER_SEC },
        .rng = self->rng,
        .now = p->now,
    };

    memcpy(c.peer_key, peer->id.public, sizeof c.peer_key);
    memset(c.psk, 0x5a, sizeof c.psk);
    return c;
}

void
pair_init_with(struct pair *p, uint64_t seed, struct sp_wg_params params)
{
    struct sp_wg_config c;

    memset(p, 0, sizeof *p);
    p->now = SP_SEC(1000);
    p->params = params;
    sp_pkt_pool_init(&p->pool, 16);
    p->a.other = &p->b;
    p->b.other = &p->a;
    p->a.rng = test_rng_init(&p->a.rng_state, seed);
    p->b.rng = test_rng_init(&p->b.rng_state, seed + 1000);
    sp_wg_identity_generate(&p->a.id, &p->a.rng);
    sp_wg_identity_generate(&p->b.id, &p->b.rng);
    c = pair_config(p, &p->a, &p->b);
    p->a.t = sp_wg_tunnel_new(&c);
    c = pair_config(p, &p->b, &p->a);
    p->b.t = sp_wg_tunnel_new(&c);
}

void
pair_init(struct pair *p, uint64_t seed)
{
    pair_init_with(p, seed, sp_wg_params_ice());
}

void
pair_done(struct pair *p)
{
    sp_wg_tunnel_free(p->a.t);
    sp_wg_tunnel_free(p->b.t);
    sp_wg_identity_done(&p->a.id);
    sp_wg_identity_done(&p->b.id);
    sp_pkt_pool_done(&p->pool);
}

bool
pair_take(struct side *s, struct sp_wg_out *out)
{
    if (!sp_wg_tunnel_poll_transmit(s->t, out))
        return false;
    g_assert_cmpint(sp_wg_classify(sp_span(out->bytes, out->len)), ==, out->kind);
    s->sent[out->kind]++;
    s->last = *out;
    return true;
}

int
pair_give(struct pair *p, struct side *to, struct sp_span msg)
{
    struct sp_pkt *pkt;
    int r;

    if (sp_wg_classify(msg) != SP_WG_DATA)
        return sp_wg_tunnel_handle_handshake(to->t, msg, p->now);
    pkt = sp_pkt_from_bytes(&p->pool, msg.p, msg.n);
    g_assert_nonnull(pkt);
    r = sp_wg_tunnel_open(to->t, pkt, p->now);
    sp_pkt_free(pkt);
    return r;
}

static bool
pump_side(struct pair *p, struct side *s)
{
    struct sp_wg_out out;
    bool any = false;

    while (pair_take(s, &out)) {
        any = true;
        if (out.kind == SP_WG_INITIATION)
            s->last_initiation = p->now;
        if (!s->other->deaf)
            (void)pair_give(p, s->other, sp_span(out.bytes, out.len));
    }
    return any;
}

static void
collect_events(struct side *s)
{
    enum sp_wg_event event;

    while (sp_wg_tunnel_poll_event(s->t, &event)) {
        if (event == SP_WG_EVENT_SESSION_ESTABLISHED)
            s->established++;
        else
            s->expired++;
    }
}

void
pair_pump(struct pair *p)
{
    bool any;

    do {
        any = pump_side(p, &p->a);
        any |= pump_side(p, &p->b);
    } while (any);
    collect_events(&p->a);
    collect_events(&p->b);
}

void
pair_run(struct pair *p, sp_time until)
{
    unsigned same = 0;

    pair_pump(p);
    for (;;) {
        sp_time next =
            sp_time_min(sp_wg_tunnel_next_timeout(p->a.t), sp_wg_tunnel_next_timeout(p->b.t));

        if (next > until)
            break;
        /* A deadline that stays due after it was handled would spin a driver. */
        same = next <= p->now ? same + 1 : 0;
        g_assert_cmpuint(same, <, 20);
        p->now = SP_MAX(p->now, next);
        sp_wg_tunnel_handle_timeout(p->a.t, p->now);
        sp_wg_tunnel_handle_timeout(p->b.t, p->now);
        pair_pump(p);
    }
    p->now = SP_MAX(p->now, until);
}

void
pair_connect(struct pair *p)
{
    sp_wg_tunnel_initiate(p->a.t, p->now);
    pair_pump(p);
    g_assert_true(sp_wg_tunnel_has_session(p->a.t, p->now));
    g_assert_true(sp_wg_tunnel_has_session(p->b.t, p->now));
}

void
pair_ip4(uint8_t *buf, uint16_t n)
{
    for (size_t i = 0; i < n; i++)
        buf[i] = (uint8_t)i;
    buf[0] = 0x45;
    sp_put_be16(buf + 2, n);
}

struct sp_pkt *
pair_seal(struct pair *p, struct side *from, uint16_t n)
{
    struct sp_pkt *pkt = sp_pkt_alloc(&p->pool);
    int r;

    g_assert_nonnull(pkt);
    pair_ip4(sp_pkt_data(pkt), n);
    pkt->len = n;
    r = sp_wg_tunnel_seal(from->t, pkt, p->now);
    if (r == 0) {
        g_assert_cmpuint(pkt->len, ==, n + SP_WG_OVERHEAD);
        return pkt;
    }
    g_assert_cmpint(r, ==, SP_WG_NO_SESSION);
    g_assert_cmpuint(pkt->len, ==, n);
    sp_pkt_free(pkt);
    return NULL;
}

int
pair_send(struct pair *p, struct side *from)
{
    uint8_t want[100];
    struct sp_pkt *pkt = pair_seal(p, from, sizeof want);
    int r;

    if (pkt == NULL)
        return SP_WG_NO_SESSION;
    r = sp_wg_tunnel_open(from->other->t, pkt, p->now);
    if (r == SP_WG_PACKET) {
        pair_ip4(want, sizeof want);
        g_assert_cmpmem(sp_pkt_data(pkt), pkt->len, want, (int)sizeof want);
    }
    sp_pkt_free(pkt);
    pair_pump(p);
    return r;
}
