/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes and relays together: our TURN server on the virtual network. Numbers are those of spec
 * connectivity 9. */
#include <string.h>

#include "engine/node/node-private.h"
#include "tests/unit/node/relay-host.h"
#include "tests/unit/node/world.h"

#define RELAYS 2

/* Two nodes behind NATs that do not let them meet. */
struct place {
    struct world *w;
    struct end *a, *b;
    struct relay_host *relays[RELAYS];
};

static struct sp_relay
relay_info(int i)
{
    static char user[] = RELAY_HOST_USER, password[] = RELAY_HOST_PASSWORD;

    return (struct sp_relay){
        .id = world_uuid(100 + i),
        .addr4 = { .ip = sp_ip4(203, 0, 113, (uint8_t)(50 + i)), .port = SP_TURN_PORT },
        .username = user,
        .password = password,
    };
}

static void
tell(struct end *e, int i)
{
    struct sp_relay info = relay_info(i);

    g_assert_cmpint(sp_node_update_relays(e->node, NULL, 0, &info, 1, e->world->now), ==, 0);
    world_drain(e);
}

static void
untell(struct end *e, int i)
{
    struct sp_relay info = relay_info(i);

    g_assert_cmpint(sp_node_update_relays(e->node, &info.id, 1, NULL, 0, e->world->now), ==, 0);
    world_drain(e);
}

static struct place
place_new(uint64_t seed)
{
    static const char *const ips[RELAYS] = { "203.0.113.50", "203.0.113.51" };
    struct place p = { .w = world_new(seed) };
    int nat_a = test_net_add_nat(p.w->net, TEST_NET_NAT_SYMMETRIC, "198.51.100.1");
    int nat_b = test_net_add_nat(p.w->net, TEST_NET_NAT_SYMMETRIC, "198.51.100.2");

    for (int i = 0; i < RELAYS; i++)
        p.relays[i] = relay_host_new(p.w->net, ips[i], seed + (uint64_t)i);
    p.a = world_add(p.w, false, "192.168.1.2", nat_a);
    p.b = world_add(p.w, true, "192.168.2.2", nat_b);
    return p;
}

static void
place_free(struct place *p)
{
    struct world *w = p->w;

    for (int i = 0; i < RELAYS; i++)
        relay_host_free(p->relays[i]);
    world_free(w);
}

static void
connect_over_relay(struct place *p)
{
    tell(p->a, 0);
    tell(p->b, 0);
    world_run(p->w, SP_SEC(1));
    world_connect(p->a, p->b);
    g_assert_cmpuint(world_until_established(p->a, p->b, SP_SEC(10)), <, SP_SEC(10));
}

static void
assert_delivers(struct place *p, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        guint a = p->a->received->len, b = p->b->received->len;

        g_assert_cmpint(end_send(p->a, p->b, i % 2 ? 1280 : 60, 0), ==, 0);
        g_assert_cmpint(end_send(p->b, p->a, 100, 0), ==, 0);
        world_run(p->w, SP_MS(200));
        g_assert_cmpuint(p->b->received->len, ==, b + 1);
        g_assert_cmpuint(p->a->received->len, ==, a + 1);
    }
}

static void
assert_relayed(const struct end *e, const struct end *peer)
{
    enum sp_node_path_kind kind = end_info(e, peer).path;

    g_assert_cmpint(kind, !=, SP_NODE_PATH_NONE);
    g_assert_cmpint(kind, !=, SP_NODE_PATH_PEER_TO_PEER);
}

static unsigned
count_signalled(const struct end *e, const char *prefix, const char *what)
{
    unsigned n = 0;

    for (guint i = 0; i < e->signalled->len; i++)
        n += g_str_has_prefix(e->signalled->pdata[i], prefix)
             && strstr(e->signalled->pdata[i], what) != NULL;
    return n;
}

static void
test_relayed(void)
{
    struct place p = place_new(1);
    uint64_t before;

    connect_over_relay(&p);
    assert_relayed(p.a, p.b);
    assert_relayed(p.b, p.a);
    before = relay_host_forwarded(p.relays[0]);
    assert_delivers(&p, 6);
    g_assert_cmpuint(relay_host_forwarded(p.relays[0]), >=, before + 12);
    g_assert_cmpuint(count_signalled(p.a, "+", "typ relay"), ==, 1);
    g_assert_cmpuint(count_signalled(p.a, "+", "typ srflx"), ==, 1);
    /* 10: framed in front of the packet, which lies where it was sealed */
    if (end_info(p.a, p.b).path >= SP_NODE_PATH_RELAY_TO_PEER) {
        g_assert_cmpint(end_send(p.a, p.b, 100, 0), ==, 0);
        g_assert_cmpuint(p.a->last_sent_off, ==, SP_PKT_HEADROOM - 16 - 4);
    }
    place_free(&p);
}

/* 28: the connection is older than what the relay tells. */
static void
test_relay_comes_late(void)
{
    struct place p = place_new(2);

    world_connect(p.a, p.b);
    world_run(p.w, SP_SEC(3));
    g_assert_cmpuint(count_signalled(p.a, "+", "typ srflx"), ==, 0);
    tell(p.a, 0);
    tell(p.b, 1);
    g_assert_cmpuint(world_until_established(p.a, p.b, SP_SEC(10)), <, SP_SEC(10));
    g_assert_cmpuint(count_signalled(p.a, "+", "typ srflx"), ==, 1);
    g_assert_cmpuint(count_signalled(p.a, "+", "typ relay"), ==, 1);
    assert_relayed(p.a, p.b);
    assert_delivers(&p, 3);
    place_free(&p);
}

/* 44: the relay in use is replaced. */
static void
test_migration(void)
{
    struct place p = place_new(3);

    connect_over_relay(&p);
    assert_delivers(&p, 1);
    tell(p.a, 1);
    tell(p.b, 1);
    world_run(p.w, SP_SEC(1));
    untell(p.a, 0);
    untell(p.b, 0);
    relay_host_set_up(p.relays[0], false);
    g_assert_cmpuint(count_signalled(p.a, "-", "typ relay"), ==, 1);
    world_run(p.w, SP_SEC(8));
    g_assert_cmpint(p.a->failed[p.b->id], ==, 0);
    g_assert_cmpint(p.b->failed[p.a->id], ==, 0);
    g_assert_cmpuint(relay_host_forwarded(p.relays[1]), >, 0);
    assert_delivers(&p, 3);
    place_free(&p);
}

/* 17: the relay restarts and forgets us; the portal's next list makes us notice. */
static void
test_redeployed(void)
{
    struct place p = place_new(4);

    connect_over_relay(&p);
    relay_host_restart(p.relays[0]);
    g_assert_cmpint(sp_node_update_relays(p.a->node, NULL, 0, NULL, 0, p.w->now), ==, 0);
    g_assert_cmpint(sp_node_update_relays(p.b->node, NULL, 0, NULL, 0, p.w->now), ==, 0);
    world_drain(p.a);
    world_drain(p.b);
    world_run(p.w, SP_SEC(8));
    g_assert_cmpint(p.a->failed[p.b->id], ==, 0);
    assert_delivers(&p, 3);
    place_free(&p);
}

/* 25 */
static void
test_no_relays(void)
{
    struct place p = place_new(5);
    struct sp_node_stats stats;
    struct sp_node_event event;
    struct sp_transmit tx;
    int n = 0;

    relay_host_set_up(p.relays[0], false);
    tell(p.a, 0);
    for (int i = 0; i < 200; i++) {
        p.w->now += SP_MS(100);
        sp_node_handle_timeout(p.a->node, p.w->now);
        while (sp_node_poll_transmit(p.a->node, &tx))
            sp_pkt_free(tx.pkt);
        while (sp_node_poll_event(p.a->node, &event))
            n += event.type == SP_NODE_EV_NO_RELAYS;
        sp_node_stats(p.a->node, &stats);
        g_assert_cmpuint(stats.relays, ==, i < 81 ? 1 : 0); /* 8.125 s */
    }
    g_assert_cmpint(n, ==, 1);
    /* removed by the portal: no news to it */
    tell(p.a, 1);
    untell(p.a, 1);
    g_assert_false(sp_node_poll_event(p.a->node, &event));
    place_free(&p);
}

/* 26 */
static void
test_threshold(void)
{
    static const struct {
        unsigned ms[5];
        size_t n;
        unsigned want_us;
    } cases[] = {
        { { 10 }, 1, 15000 },
        { { 40, 10 }, 2, 15000 },
        { { 10, 12, 11 }, 3, 17000 },          /* MAD 1, at least 2 */
        { { 10, 20, 30, 200, 40 }, 5, 60000 }, /* median 30, MAD 10 */
        { { 10, 20, 30, 40 }, 4, 55000 },      /* 25, 10 */
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        sp_duration rtts[5];

        g_test_message("case %zu", i);
        for (size_t k = 0; k < cases[i].n; k++)
            rtts[k] = SP_MS(cases[i].ms[k]);
        g_assert_cmpuint(sp_node_rtt_threshold(rtts, cases[i].n), ==, SP_US(cases[i].want_us));
    }
}

static void
test_near_relay_is_chosen(void)
{
    unsigned chosen[RELAYS] = { 0 };

    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct place p = place_new(seed);
        struct sp_relay near = relay_info(0);

        relay_host_set_delay(p.relays[1], SP_MS(300));
        tell(p.a, 0);
        tell(p.a, 1);
        world_run(p.w, SP_SEC(3));
        g_assert_cmpint(world_upsert(p.a, p.b), ==, 0);
        chosen[0] += sp_uuid_equal(&sp_node_heap_top(&p.a->node->heap)->relay, &near.id);
        place_free(&p);
    }
    g_assert_cmpuint(chosen[0], ==, 8);
}

/* 27 */
static void
test_reset(void)
{
    struct place p = place_new(6);

    connect_over_relay(&p);
    sp_node_reset(p.a->node, p.w->now);
    world_drain(p.a);
    g_assert_cmpint(p.a->closed[p.b->id], ==, 1);
    world_run(p.w, SP_SEC(2));
    g_assert_cmpuint(sp_node_relays_usable(p.a->node), ==, 1);
    world_connect(p.a, p.b);
    world_run(p.w, SP_SEC(8));
    assert_delivers(&p, 2);
    place_free(&p);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/node/relay/relayed", test_relayed);
    g_test_add_func("/node/relay/28-comes-late", test_relay_comes_late);
    g_test_add_func("/node/relay/44-migration", test_migration);
    g_test_add_func("/node/relay/17-redeployed", test_redeployed);
    g_test_add_func("/node/relay/25-no-relays", test_no_relays);
    g_test_add_func("/node/relay/26-threshold", test_threshold);
    g_test_add_func("/node/relay/26-near-relay-is-chosen", test_near_relay_is_chosen);
    g_test_add_func("/node/relay/27-reset", test_reset);
    return g_test_run();
}
