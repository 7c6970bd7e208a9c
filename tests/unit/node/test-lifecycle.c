/* SPDX-License-Identifier: Apache-2.0 */
/* From upsert to the end of a connection. Numbers are those of spec connectivity 9. */
#include <string.h>

#include "engine/node/node-private.h"
#include "tests/unit/node/world.h"

#define CLIENT 0
#define SERVER 1

struct pair {
    struct world *w;
    struct end *a; /* client, controlling */
    struct end *b; /* server */
};

static struct pair
pair_new(uint64_t seed)
{
    struct pair p = { .w = world_new(seed) };

    p.a = world_add(p.w, false, "192.0.2.1", -1);
    p.b = world_add(p.w, true, "198.51.100.1", -1);
    return p;
}

static struct pair
pair_connected(uint64_t seed)
{
    struct pair p = pair_new(seed);

    world_connect(p.a, p.b);
    g_assert_cmpuint(world_until_established(p.a, p.b, SP_SEC(5)), <, SP_SEC(5));
    return p;
}

static void
assert_traffic(struct pair p, struct end *from, struct end *to)
{
    guint before = to->received->len;

    g_assert_cmpint(end_send(from, to, 200, 0), ==, 0);
    world_run(p.w, SP_SEC(1));
    g_assert_cmpuint(to->received->len, ==, before + 1);
}

static enum sp_node_state
state(const struct end *self, const struct end *peer)
{
    return end_info(self, peer).state;
}

static uint32_t
index_of(const struct end *self, const struct end *peer)
{
    struct sp_uuid id = world_uuid(peer->id);

    return sp_node_by_id(&self->node->tables, &id)->index24;
}

static void
assert_no_entries(const struct end *e)
{
    g_assert_cmpuint(sp_node_tables_entries(e->node), ==, 0);
    g_assert_cmpuint(sp_node_next_timeout(e->node), ==, SP_TIME_NEVER);
}

/* ---- failure --------------------------------------------------------------------------------- */

/* 46 and 8 */
static void
test_no_candidates(void)
{
    struct pair p = pair_new(1);
    sp_time start = p.w->now;

    g_assert_cmpint(world_upsert(p.a, p.b), ==, 0);
    world_run(p.w, SP_SEC(30));
    g_assert_cmpint(p.a->failed[SERVER], ==, 1);
    g_assert_cmpuint(p.a->failed_at - start, ==, SP_SEC(10));
    g_assert_cmpint(p.a->established[SERVER], ==, 0);
    assert_no_entries(p.a);
    world_free(p.w);
}

/* A path found without a signalled candidate is a path: the 10 s are over with it. */
static void
test_discovered_peer_suffices(void)
{
    struct pair p = pair_new(1);

    p.b->deaf_signalling = true;
    world_connect(p.a, p.b);
    world_run(p.w, SP_SEC(15));
    g_assert_cmpint(p.b->failed[CLIENT], ==, 0);
    g_assert_cmpint(p.b->established[CLIENT], ==, 1);
    assert_traffic(p, p.b, p.a);
    world_free(p.w);
}

/* 17's kin: a path that dies under traffic is noticed by the client in 16.5 s plus 2 s of grace. */
static void
test_path_dies(void)
{
    struct pair p = pair_connected(2);
    sp_time start = p.w->now;

    test_net_set_up(p.w->net, p.b->host, false);
    while (p.w->now - start < SP_SEC(40) && !p.a->failed[SERVER]) {
        (void)end_send(p.a, p.b, 100, 0);
        world_run(p.w, SP_SEC(1));
    }
    g_assert_cmpint(p.a->failed[SERVER], ==, 1);
    g_assert_cmpuint(p.a->failed_at - start, >=, SP_SEC(15));
    g_assert_cmpuint(p.a->failed_at - start, <=, SP_MS(16500 + 2000 + 1500));
    assert_no_entries(p.a);
    world_free(p.w);
}

static void
test_path_dies_in_idle(void)
{
    struct pair p = pair_connected(2);
    sp_time start;

    world_run(p.w, SP_SEC(60));
    g_assert_cmpint(state(p.a, p.b), ==, SP_NODE_STATE_IDLE);
    test_net_set_up(p.w->net, p.b->host, false);
    start = p.w->now;
    world_run(p.w, SP_SEC(250));
    g_assert_cmpint(p.a->failed[SERVER], ==, 1);
    g_assert_cmpuint(p.a->failed_at - start, <=, SP_SEC(100 + 25 + 2));
    world_free(p.w);
}

/* 31: all checks fail after 15.25 s; 2 s later it is over, unless a candidate comes. */
static void
test_disconnect_grace(void)
{
    static const struct {
        sp_duration rescue; /* after the start; 0: none */
        bool survives;
    } cases[] = { { 0, false }, { SP_MS(16500), true }, { SP_MS(18000), false } };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct pair p = pair_new(3);
        struct sp_uuid id = world_uuid(SERVER);
        sp_time start = p.w->now;

        p.w->signal_delay = 0;
        g_assert_cmpint(world_upsert(p.a, p.b), ==, 0);
        g_assert_cmpint(sp_node_add_remote_candidate(
                            p.a->node,
                            &id,
                            "candidate:1 1 udp 2130706175 198.51.100.99 52625 typ host",
                            p.w->now),
                        ==,
                        0);
        world_run(p.w, cases[i].rescue ? cases[i].rescue : SP_SEC(30));
        if (cases[i].rescue)
            g_assert_cmpint(world_upsert(p.b, p.a), ==, 0);
        world_run(p.w, SP_SEC(5));
        g_assert_cmpint(p.a->failed[SERVER], ==, cases[i].survives ? 0 : 1);
        if (cases[i].survives)
            g_assert_cmpint(p.a->established[SERVER], ==, 1);
        else
            g_assert_cmpuint(p.a->failed_at - start, ==, SP_MS(15250 + 2000));
        world_free(p.w);
    }
}

static bool
lose_all_wg(void *ctx SP_UNUSED, int host SP_UNUSED, const struct test_net_datagram *d, sp_time now)
{
    (void)now;
    return sp_wg_classify(d->bytes) == SP_WG_NONE;
}

/* 48, 49: ICE works, WireGuard does not: over 20 s after the first initiation. */
static void
test_no_handshake(void)
{
    struct pair p = pair_new(4);
    sp_time start = p.w->now;

    test_net_set_filter(p.w->net, lose_all_wg, NULL);
    world_connect(p.a, p.b);
    world_run(p.w, SP_SEC(40));
    g_assert_cmpint(p.a->failed[SERVER], ==, 1);
    g_assert_cmpint(p.a->established[SERVER], ==, 0);
    g_assert_cmpuint(p.a->failed_at - start, >=, SP_SEC(20));
    g_assert_cmpuint(p.a->failed_at - start, <=, SP_SEC(21));
    g_assert_cmpint(p.a->wg_sent[SP_WG_INITIATION], >=, 4);
    world_free(p.w);
}

static void
test_keys_out_of_sync(void)
{
    for (int what = 0; what < 2; what++) {
        struct pair p = pair_new(4);
        struct sp_node_peer_params params = world_params(p.b, p.a);
        struct sp_uuid id = world_uuid(CLIENT);
        sp_time start = p.w->now;

        if (what == 0)
            params.psk[5] ^= 1;
        else
            params.remote_key[5] ^= 1;
        g_assert_cmpint(sp_node_upsert(p.b->node, &id, &params, p.w->now), ==, 0);
        world_drain(p.b);
        g_assert_cmpint(world_upsert(p.a, p.b), ==, 0);
        world_run(p.w, SP_SEC(40));
        g_assert_cmpint(p.a->failed[SERVER], ==, 1);
        g_assert_cmpuint(p.a->failed_at - start, <=, SP_SEC(21));
        g_assert_cmpint(p.a->established[SERVER] + p.b->established[CLIENT], ==, 0);
        g_assert_cmpuint(end_drops(what == 0 ? p.a : p.b), >, 0);
        world_free(p.w);
    }
}

/* 54 */
static void
test_give_up_exceeds_ice(void)
{
    struct sp_wg_params params = sp_wg_params_ice();

    g_assert_cmpuint(params.give_up, >, sp_ice_timing_limit(&sp_ice_timing_client_active));
    g_assert_cmpuint(SP_NODE_MAX_IDLE, >, sp_ice_timing_limit(&sp_ice_timing_client_active));
}

/* ---- idle ------------------------------------------------------------------------------------ */

/* 42 */
static void
test_idle_and_wake(void)
{
    struct pair p = pair_connected(5);
    uint64_t sent;

    assert_traffic(p, p.a, p.b);
    world_run(p.w, SP_SEC(18));
    g_assert_cmpint(state(p.a, p.b), ==, SP_NODE_STATE_CONNECTED);
    world_run(p.w, SP_SEC(2));
    g_assert_cmpint(state(p.a, p.b), ==, SP_NODE_STATE_IDLE);
    g_assert_cmpint(state(p.b, p.a), ==, SP_NODE_STATE_IDLE);
    sent = test_net_sent(p.w->net, p.a->host);
    world_run(p.w, SP_SEC(100));
    sent = test_net_sent(p.w->net, p.a->host) - sent;
    g_assert_cmpuint(sent, >=, 4); /* own checks and answers to the server's, both every 25 s */
    g_assert_cmpuint(sent, <=, 16);
    g_assert_cmpint(state(p.a, p.b), ==, SP_NODE_STATE_IDLE);
    assert_traffic(p, p.b, p.a);
    g_assert_cmpint(state(p.a, p.b), ==, SP_NODE_STATE_CONNECTED);
    g_assert_cmpint(state(p.b, p.a), ==, SP_NODE_STATE_CONNECTED);
    world_free(p.w);
}

/* 33, 34 */
static void
test_upsert_wakes(void)
{
    struct pair p = pair_connected(5);

    world_run(p.w, SP_SEC(60));
    g_assert_cmpint(state(p.a, p.b), ==, SP_NODE_STATE_IDLE);
    g_assert_cmpint(world_upsert(p.a, p.b), ==, SP_NODE_REUSED);
    g_assert_cmpint(state(p.a, p.b), ==, SP_NODE_STATE_CONNECTED);
    world_run(p.w, SP_SEC(19));
    g_assert_cmpint(state(p.a, p.b), ==, SP_NODE_STATE_CONNECTED);
    world_run(p.w, SP_SEC(2));
    g_assert_cmpint(state(p.a, p.b), ==, SP_NODE_STATE_IDLE);
    world_free(p.w);
}

static void
test_candidate_change_wakes(void)
{
    static const char *const candidate = "candidate:1 1 udp 5 198.51.100.77 52625 typ host";
    struct pair p = pair_connected(5);
    struct sp_uuid id = world_uuid(SERVER);

    for (int remove = 0; remove < 2; remove++) {
        world_run(p.w, SP_SEC(60));
        g_assert_cmpint(state(p.a, p.b), ==, SP_NODE_STATE_IDLE);
        if (remove)
            g_assert_cmpint(sp_node_remove_remote_candidate(p.a->node, &id, candidate, p.w->now),
                            ==,
                            0);
        else
            g_assert_cmpint(sp_node_add_remote_candidate(p.a->node, &id, candidate, p.w->now),
                            ==,
                            0);
        g_assert_cmpint(state(p.a, p.b), ==, SP_NODE_STATE_CONNECTED);
        world_run(p.w, SP_SEC(19));
        g_assert_cmpint(state(p.a, p.b), ==, SP_NODE_STATE_CONNECTED);
    }
    world_run(p.w, SP_SEC(60));
    end_tell_addresses(p.a, "192.0.2.1,192.0.2.2");
    g_assert_cmpint(state(p.a, p.b), ==, SP_NODE_STATE_CONNECTED);
    world_free(p.w);
}

/* 35: the server tries an address that may still answer; idle timing would slow that down. */
static void
test_no_idle_while_checking(void)
{
    struct pair p = pair_connected(5);
    struct sp_uuid id = world_uuid(CLIENT);
    const char *known = g_ptr_array_index(p.a->signalled, 0);

    g_assert_cmpint(sp_node_add_remote_candidate(p.b->node,
                                                 &id,
                                                 "candidate:1 1 udp 5 192.0.2.77 52625 typ host",
                                                 p.w->now),
                    ==,
                    0);
    g_assert_cmpint(sp_node_remove_remote_candidate(p.b->node, &id, known + 1, p.w->now), ==, 0);
    world_run(p.w, SP_SEC(30));
    g_assert_cmpint(state(p.b, p.a), ==, SP_NODE_STATE_CONNECTED);
    world_free(p.w);
}

static bool
lose_v6(void *ctx, int host SP_UNUSED, const struct test_net_datagram *d, sp_time now)
{
    return now >= *(sp_time *)ctx || d->to.ip.family == 4;
}

/* 32: a better pair comes to life while nobody talks. */
static void
test_nominated_while_idle(void)
{
    struct world *w = world_new(6);
    struct pair p = { .w = w };
    sp_time until = w->now + SP_SEC(60);

    test_net_set_filter(w->net, lose_v6, &until);
    p.a = world_add(w, false, "192.0.2.1,2001:db8::1", -1);
    p.b = world_add(w, true, "198.51.100.1,2001:db8:1::1", -1);
    world_connect(p.a, p.b);
    world_run(w, SP_SEC(60));
    g_assert_cmpint(end_info(p.a, p.b).remote.ip.family, ==, 4);
    g_assert_cmpint(state(p.a, p.b), ==, SP_NODE_STATE_IDLE);
    world_run(w, SP_SEC(60));
    g_assert_cmpint(end_info(p.a, p.b).remote.ip.family, ==, 6);
    g_assert_cmpint(end_info(p.b, p.a).remote.ip.family, ==, 6);
    g_assert_cmpint(state(p.a, p.b), ==, SP_NODE_STATE_IDLE);
    g_assert_cmpint(state(p.b, p.a), ==, SP_NODE_STATE_IDLE);
    assert_traffic(p, p.b, p.a);
    assert_traffic(p, p.a, p.b);
    g_assert_cmpint(p.a->failed[SERVER] + p.b->failed[CLIENT], ==, 0);
    world_free(w);
}

static void
test_long_silence(void)
{
    struct pair p = pair_connected(7);

    world_run(p.w, SP_SEC(3600));
    g_assert_cmpint(p.a->failed[SERVER] + p.b->failed[CLIENT], ==, 0);
    assert_traffic(p, p.a, p.b);
    assert_traffic(p, p.b, p.a);
    g_assert_cmpint(p.a->established[SERVER], ==, 1);
    world_free(p.w);
}

static void
test_rekeying_loses_nothing(void)
{
    struct pair p = pair_connected(7);

    for (int i = 0; i < 300; i++) {
        g_assert_cmpint(end_send(p.a, p.b, 100, 0), ==, 0);
        g_assert_cmpint(end_send(p.b, p.a, 100, 0), ==, 0);
        world_run(p.w, SP_SEC(3));
    }
    g_assert_cmpuint(p.a->received->len, ==, 300);
    g_assert_cmpuint(p.b->received->len, ==, 300);
    g_assert_cmpint(p.a->wg_sent[SP_WG_INITIATION], >=, 7);
    g_assert_cmpint(p.a->established[SERVER], ==, 1);
    world_free(p.w);
}

/* ---- upsert ---------------------------------------------------------------------------------- */

/* 50, 37 */
static void
test_reuse(void)
{
    struct pair p = pair_connected(8);
    uint32_t index = index_of(p.a, p.b);
    guint signalled = p.a->signalled->len;
    int initiations = p.a->wg_sent[SP_WG_INITIATION];

    g_assert_cmpint(world_upsert(p.a, p.b), ==, SP_NODE_REUSED);
    g_assert_cmpuint(index_of(p.a, p.b), ==, index);
    g_assert_cmpuint(p.a->signalled->len, ==, 2 * signalled);
    g_assert_cmpstr(g_ptr_array_index(p.a->signalled, 0),
                    ==,
                    g_ptr_array_index(p.a->signalled, signalled));
    assert_traffic(p, p.a, p.b);
    g_assert_cmpint(p.a->wg_sent[SP_WG_INITIATION], ==, initiations);
    g_assert_cmpint(p.a->established[SERVER], ==, 1);
    world_free(p.w);
}

static void
test_changed_params(void)
{
    for (int what = 0; what < 5; what++) {
        struct pair p = pair_connected(8);
        struct sp_node_peer_params params = world_params(p.a, p.b);
        struct sp_uuid id = world_uuid(SERVER);
        uint32_t index = index_of(p.a, p.b);

        if (what == 0)
            params.psk[31] ^= 1;
        else if (what == 1)
            params.remote_key[0] ^= 1;
        else if (what == 2)
            params.local.pwd[0] ^= 1;
        else if (what == 3)
            params.remote.ufrag[0] ^= 1;
        else
            params.controlling = !params.controlling;
        g_assert_cmpint(sp_node_upsert(p.a->node, &id, &params, p.w->now), ==, 0);
        world_drain(p.a);
        g_assert_cmpuint(index_of(p.a, p.b), !=, index);
        g_assert_cmpint(state(p.a, p.b), ==, SP_NODE_STATE_CONNECTING);
        g_assert_cmpint(p.a->closed[SERVER] + p.a->failed[SERVER], ==, 0);
        g_assert_cmpint(end_send(p.a, p.b, 100, 0), ==, SP_NODE_CONNECTING);
        world_free(p.w);
    }
}

/* Both get a new PSK: the portal authorized again with other keys. */
static void
test_new_psk_reconnects(void)
{
    struct pair p = pair_connected(8);
    struct sp_node_peer_params pa = world_params(p.a, p.b), pb = world_params(p.b, p.a);
    struct sp_uuid id_a = world_uuid(CLIENT), id_b = world_uuid(SERVER);

    pa.psk[0] ^= 1;
    pb.psk[0] ^= 1;
    g_assert_cmpint(sp_node_upsert(p.b->node, &id_a, &pb, p.w->now), ==, 0);
    world_drain(p.b);
    g_assert_cmpint(sp_node_upsert(p.a->node, &id_b, &pa, p.w->now), ==, 0);
    world_drain(p.a);
    world_run(p.w, SP_SEC(5));
    g_assert_cmpint(p.a->established[SERVER], ==, 2);
    g_assert_cmpint(p.b->established[CLIENT], ==, 2);
    assert_traffic(p, p.a, p.b);
    world_free(p.w);
}

/* 53 */
static void
test_handshake_gap(void)
{
    struct pair p = pair_connected(8);
    int before = p.a->wg_sent[SP_WG_INITIATION];

    for (int i = 0; i < 15; i++) {
        g_assert_cmpint(world_upsert(p.a, p.b), ==, SP_NODE_REUSED);
        world_run(p.w, SP_SEC(1));
    }
    g_assert_cmpint(p.a->wg_sent[SP_WG_INITIATION], ==, before);
    world_run(p.w, SP_SEC(6));
    g_assert_cmpint(world_upsert(p.a, p.b), ==, SP_NODE_REUSED);
    world_run(p.w, SP_SEC(1));
    g_assert_cmpint(p.a->wg_sent[SP_WG_INITIATION], ==, before + 1);
    g_assert_cmpint(world_upsert(p.b, p.a), ==, SP_NODE_REUSED);
    g_assert_cmpint(p.b->wg_sent[SP_WG_INITIATION], ==, 0); /* the controlled side only answers */
    world_free(p.w);
}

/* 55 */
static void
test_nothing_to_offer(void)
{
    struct pair p = pair_connected(9);
    struct sp_node_peer_params params = world_params(p.a, p.b);
    struct sp_uuid id = world_uuid(SERVER);
    uint32_t index = index_of(p.a, p.b);

    end_tell_addresses(p.a, "");
    params.psk[0] ^= 1;
    g_assert_cmpint(sp_node_upsert(p.a->node, &id, &params, p.w->now), ==, SP_NODE_NO_RELAYS);
    g_assert_cmpuint(index_of(p.a, p.b), ==, index);
    world_drain(p.a);
    world_free(p.w);

    p = pair_new(9);
    end_tell_addresses(p.a, "");
    g_assert_cmpint(world_upsert(p.a, p.b), ==, SP_NODE_NO_RELAYS);
    assert_no_entries(p.a);
    world_free(p.w);
}

static void
test_refused_params(void)
{
    struct pair p = pair_connected(9);
    struct sp_node_peer_params good = world_params(p.a, p.b), bad;
    struct sp_uuid other = world_uuid(3), id = world_uuid(SERVER);
    size_t entries = sp_node_tables_entries(p.a->node);

    g_assert_cmpint(sp_node_upsert(p.a->node, &other, &good, p.w->now), ==, SP_E_INVAL);
    bad = good;
    bad.local.ufrag[0] = '\0';
    g_assert_cmpint(sp_node_upsert(p.a->node, &id, &bad, p.w->now), ==, SP_E_INVAL);
    bad = good;
    memset(bad.remote.pwd, 'x', sizeof bad.remote.pwd);
    g_assert_cmpint(sp_node_upsert(p.a->node, &id, &bad, p.w->now), ==, SP_E_INVAL);
    bad = good;
    memcpy(bad.remote_key, sp_node_public_key(p.a->node), SP_KEY_LEN);
    g_assert_cmpint(sp_node_upsert(p.a->node, &id, &bad, p.w->now), ==, SP_E_INVAL);
    g_assert_cmpuint(sp_node_tables_entries(p.a->node), ==, entries);
    world_free(p.w);
}

/* ---- candidates ------------------------------------------------------------------------------ */

static void
test_host_address_rules(void)
{
    static const struct {
        const char *address;
        bool accepted;
    } cases[] = {
        { "192.0.2.1", true },
        { "10.1.2.3", true },
        { "127.0.0.1", true },
        { "169.254.1.1", false },
        { "255.255.255.255", false },
        { "224.0.0.1", false },
        { "0.0.0.0", false },
        { "100.64.0.1", false },
        { "100.127.255.254", false },
        { "100.128.0.1", true },
        { "2001:db8::1", true },
        { "fd00::1", true },
        { "fd00:2021:1111::5", false },
        { "fd00:2021:1112::5", true },
        { "ff02::1", false },
        { "::", false },
        { "::1", true },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct pair p = pair_new(10);

        g_assert_cmpuint(end_tell_addresses(p.a, cases[i].address), ==, cases[i].accepted);
        world_free(p.w);
    }
}

/* 41: signalled in order of falling priority: each further one of a family is worth 2 less, IPv4 is
 * worth 1 less than IPv6 */
static void
test_signalled_order(void)
{
    struct world *w = world_new(10);
    struct pair p = { .w = w };
    static const char *const expected[] = { "2001:db8::1",
                                            "192.0.2.1",
                                            "2001:db8::2",
                                            "192.0.2.2" };

    p.a = world_add(w, false, "192.0.2.1,2001:db8::1,192.0.2.2,2001:db8::2", -1);
    p.b = world_add(w, true, "198.51.100.1", -1);
    g_assert_cmpint(world_upsert(p.a, p.b), ==, 0);
    g_assert_cmpuint(p.a->signalled->len, ==, G_N_ELEMENTS(expected));
    for (size_t i = 0; i < G_N_ELEMENTS(expected); i++) {
        const char *text = g_ptr_array_index(p.a->signalled, i);
        char *part = g_strdup_printf(" %s %d typ host", expected[i], WORLD_PORT);

        g_assert_true(g_str_has_prefix(text, "+candidate:"));
        g_assert_nonnull(strstr(text, part));
        g_free(part);
    }
    world_free(w);
}

struct seen {
    struct sp_endpoint to;
    int n;
};

static bool
count_to(void *ctx, int host SP_UNUSED, const struct test_net_datagram *d, sp_time now)
{
    struct seen *seen = ctx;

    (void)now;
    seen->n += sp_endpoint_equal(&d->to, &seen->to);
    return true;
}

/* 29: the outside address with the inside port: a forwarded port behind a symmetric NAT */
static void
test_optimistic(void)
{
    static const char *const candidates[] = {
        "candidate:1 1 udp 2130706175 10.9.9.9 52625 typ host",
        "candidate:2 1 udp 1686109951 203.0.113.7 40000 typ srflx raddr 0.0.0.0 rport 0",
    };
    struct pair p = pair_new(11);
    struct sp_uuid id = world_uuid(SERVER);
    struct seen seen = { .n = 0 };

    g_assert_cmpint(sp_endpoint_parse("203.0.113.7:52625", &seen.to), ==, 0);
    test_net_set_filter(p.w->net, count_to, &seen);
    g_assert_cmpint(world_upsert(p.a, p.b), ==, 0);
    for (size_t i = 0; i < G_N_ELEMENTS(candidates); i++)
        g_assert_cmpint(sp_node_add_remote_candidate(p.a->node, &id, candidates[i], p.w->now),
                        ==,
                        0);
    world_run(p.w, SP_SEC(1));
    g_assert_cmpint(seen.n, >, 0);
    world_free(p.w);
}

/* 36, 38, 39 */
static void
test_host_address_changes(void)
{
    struct pair p = pair_connected(11);
    const char *text;
    guint n;

    end_set_addresses(p.b, "198.51.100.1,2001:db8:1::1");
    end_set_addresses(p.a, "192.0.2.1,2001:db8::1");
    world_run(p.w, SP_SEC(5));
    g_assert_cmpint(end_info(p.a, p.b).remote.ip.family, ==, 6);
    g_assert_cmpint(end_info(p.b, p.a).remote.ip.family, ==, 6);
    assert_traffic(p, p.a, p.b);

    n = p.a->signalled->len;
    end_set_addresses(p.a, "192.0.2.1");
    g_assert_cmpuint(p.a->signalled->len, ==, n + 1);
    text = g_ptr_array_index(p.a->signalled, n);
    g_assert_true(text[0] == '-' && strstr(text, " 2001:db8::1 "));
    world_run(p.w, SP_SEC(5));
    g_assert_cmpint(end_info(p.a, p.b).remote.ip.family, ==, 4);
    assert_traffic(p, p.a, p.b);
    assert_traffic(p, p.b, p.a);

    n = p.a->signalled->len;
    g_assert_cmpint(world_upsert(p.a, p.b), ==, SP_NODE_REUSED);
    for (guint i = n; i < p.a->signalled->len; i++)
        g_assert_null(strstr(g_ptr_array_index(p.a->signalled, i), "2001:db8::1"));
    g_assert_cmpint(p.a->failed[SERVER] + p.b->failed[CLIENT], ==, 0);
    g_assert_cmpint(p.a->established[SERVER], ==, 1);
    world_free(p.w);
}

/* 59 in part: the client moves to another network, the flow goes on. */
static void
test_roam(void)
{
    struct pair p = pair_connected(12);
    guint before;

    assert_traffic(p, p.a, p.b);
    end_set_addresses(p.a, "203.0.113.5");
    before = p.b->received->len;
    for (int i = 0; i < 20; i++) {
        (void)end_send(p.a, p.b, 100, 0);
        world_run(p.w, SP_SEC(1));
    }
    g_assert_cmpuint(p.b->received->len, >=, before + 18);
    assert_traffic(p, p.b, p.a);
    g_assert_cmpint(p.a->failed[SERVER] + p.b->failed[CLIENT], ==, 0);
    g_assert_cmpint(p.a->established[SERVER], ==, 1);
    world_free(p.w);
}

/* The client's NAT gives it another port: to the server that is a new address of equal rank. */
static void
test_nat_remaps(void)
{
    for (int idle = 0; idle < 2; idle++) {
        struct world *w = world_new(12);
        int nat = test_net_add_nat(w->net, TEST_NET_NAT_CONE, "192.0.2.1");
        struct pair p = { .w = w };
        guint before;
        uint16_t port;

        p.a = world_add(w, false, "10.0.0.2", nat);
        p.b = world_add(w, true, "198.51.100.1", -1);
        world_connect(p.a, p.b);
        world_until_established(p.a, p.b, SP_SEC(5));
        world_run(w, SP_SEC(idle ? 60 : 5));
        port = end_info(p.b, p.a).remote.port;
        test_net_nat_reboot(w->net, nat);
        if (idle)
            world_run(w, SP_SEC(130));
        before = p.a->received->len;
        for (int i = 0; i < 30; i++) {
            g_assert_cmpint(end_send(p.a, p.b, 100, 0), ==, 0);
            g_assert_cmpint(end_send(p.b, p.a, 100, 0), ==, 0);
            world_run(w, SP_SEC(1));
        }
        g_assert_cmpuint(end_info(p.b, p.a).remote.port, !=, port);
        g_assert_cmpuint(p.a->received->len, >=, before + (idle ? 30 : 20));
        g_assert_cmpint(p.a->failed[SERVER] + p.b->failed[CLIENT], ==, 0);
        world_free(w);
    }
}

/* ---- end ------------------------------------------------------------------------------------- */

static struct sp_pkt *
goodbye(struct end *e)
{
    static const uint8_t bytes[48] = { 0x60, [5] = 8, [6] = 0xff, [40] = 2 };

    return sp_pkt_from_bytes(&e->pool, bytes, sizeof bytes);
}

/* 57 */
static void
test_close(void)
{
    struct pair p = pair_connected(13);
    struct sp_uuid id_a = world_uuid(CLIENT), id_b = world_uuid(SERVER);
    GBytes *packet;

    g_assert_cmpint(sp_node_close(p.a->node, &id_b, goodbye(p.a), p.w->now), ==, 0);
    world_drain(p.a);
    g_assert_cmpint(p.a->closed[SERVER], ==, 1);
    assert_no_entries(p.a);
    world_run(p.w, SP_MS(100));
    g_assert_cmpuint(p.b->received->len, ==, 1);
    packet = g_ptr_array_index(p.b->received, 0);
    g_assert_cmpuint(g_bytes_get_size(packet), ==, 48);
    g_assert_cmpint(sp_node_remove(p.b->node, &id_a, p.w->now), ==, 0);
    world_drain(p.b);
    assert_no_entries(p.b);
    g_assert_cmpint(p.b->closed[CLIENT] + p.b->failed[CLIENT], ==, 0);
    g_assert_cmpint(sp_node_close(p.a->node, &id_b, goodbye(p.a), p.w->now), ==, SP_E_NOTFOUND);
    g_assert_cmpint(sp_node_remove(p.b->node, &id_a, p.w->now), ==, SP_E_NOTFOUND);
    world_free(p.w);
}

static void
test_lost_goodbye(void)
{
    struct pair p = pair_connected(13);
    struct sp_uuid id_b = world_uuid(SERVER);
    sp_time start = p.w->now;

    g_assert_cmpint(sp_node_close(p.a->node, &id_b, NULL, p.w->now), ==, 0);
    world_drain(p.a);
    world_run(p.w, SP_SEC(1100));
    g_assert_cmpint(p.b->failed[CLIENT], ==, 1);
    g_assert_cmpuint(p.b->failed_at - start, <=, SP_SEC(1030));
    assert_no_entries(p.b);
    world_free(p.w);
}

static void
test_close_while_connecting(void)
{
    struct pair p = pair_new(13);
    struct sp_uuid id_b = world_uuid(SERVER);

    g_assert_cmpint(world_upsert(p.a, p.b), ==, 0);
    g_assert_cmpint(sp_node_close(p.a->node, &id_b, goodbye(p.a), p.w->now), ==, 0);
    world_drain(p.a);
    g_assert_cmpint(p.a->closed[SERVER], ==, 0);
    assert_no_entries(p.a);
    world_free(p.w);
}

static void
test_close_all(void)
{
    struct world *w = world_new(14);
    struct end *a = world_add(w, false, "192.0.2.1", -1);
    struct end *b = world_add(w, true, "198.51.100.1", -1);
    struct end *c = world_add(w, true, "198.51.100.2", -1);

    world_connect(a, b);
    world_connect(a, c);
    world_until_established(a, b, SP_SEC(5));
    world_until_established(a, c, SP_SEC(5));
    sp_node_close_all(a->node, goodbye(a), w->now);
    world_drain(a);
    world_run(w, SP_SEC(1));
    g_assert_cmpint(a->closed[1], ==, 1);
    g_assert_cmpint(a->closed[2], ==, 1);
    g_assert_cmpuint(b->received->len, ==, 1);
    g_assert_cmpuint(c->received->len, ==, 1);
    assert_no_entries(a);
    world_free(w);
}

/* 5.6, 8 */
static void
test_reset(void)
{
    struct pair p = pair_connected(15);
    struct end *third = world_add(p.w, true, "198.51.100.9", -1);
    uint8_t old_key[SP_KEY_LEN];
    struct sp_transmit tx;
    struct sp_pkt *pkt;
    struct sp_uuid id_b = world_uuid(SERVER);
    static const uint8_t inner[20] = { 0x45, [3] = 20 };

    memcpy(old_key, sp_node_public_key(p.a->node), sizeof old_key);
    g_assert_cmpint(world_upsert(p.a, third), ==, 0); /* still connecting */
    pkt = sp_pkt_from_bytes(&p.a->pool, inner, sizeof inner);
    g_assert_cmpint(sp_node_send(p.a->node, &id_b, pkt, p.w->now), ==, 0);
    sp_node_reset(p.a->node, p.w->now);
    g_assert_false(sp_node_poll_transmit(p.a->node, &tx));
    world_drain(p.a);
    g_assert_cmpint(p.a->closed[SERVER], ==, 1);
    g_assert_cmpint(p.a->closed[third->id], ==, 1);
    assert_no_entries(p.a);
    g_assert_cmpint(memcmp(old_key, sp_node_public_key(p.a->node), sizeof old_key), !=, 0);

    /* The portal authorizes the new key; the server replaces its connection. */
    world_connect(p.a, p.b);
    world_run(p.w, SP_SEC(5));
    g_assert_cmpint(p.a->established[SERVER], ==, 2);
    g_assert_cmpint(p.b->established[CLIENT], ==, 2);
    assert_traffic(p, p.a, p.b);
    world_free(p.w);
}

/* News of an end that nobody has taken yet survives; other news is void. */
static void
test_reset_keeps_final_events(void)
{
    struct pair p = pair_new(15);
    struct sp_node_peer_params params = world_params(p.a, p.b);
    struct sp_uuid id_b = world_uuid(SERVER);
    struct sp_node_event event;

    g_assert_cmpint(sp_node_upsert(p.a->node, &id_b, &params, p.w->now), ==, 0);
    p.w->now += SP_SEC(11);
    sp_node_handle_timeout(p.a->node, p.w->now);
    sp_node_reset(p.a->node, p.w->now);
    g_assert_true(sp_node_poll_event(p.a->node, &event));
    g_assert_cmpint(event.type, ==, SP_NODE_EV_FAILED);
    g_assert_false(sp_node_poll_event(p.a->node, &event));
    world_free(p.w);
}

/* Late packets of a closed connection are counted and logged quietly, a stranger's are not. */
static void
test_late_packets(void)
{
    struct pair p = pair_connected(16);
    struct sp_uuid id_a = world_uuid(CLIENT);
    uint64_t before;

    g_assert_cmpint(sp_node_remove(p.b->node, &id_a, p.w->now), ==, 0);
    world_drain(p.b);
    before = p.b->drops.count[SP_DROP_UNKNOWN_INDEX];
    g_string_truncate(p.b->log_text, 0);
    g_assert_cmpint(end_send(p.a, p.b, 100, 0), ==, 0);
    world_run(p.w, SP_SEC(1));
    g_assert_cmpuint(p.b->drops.count[SP_DROP_UNKNOWN_INDEX], ==, before + 1);
    g_assert_null(strstr(p.b->log_text->str, "for nobody"));
    world_run(p.w, SP_SEC(5));
    g_assert_cmpint(end_send(p.a, p.b, 100, 0), ==, 0);
    world_run(p.w, SP_SEC(1));
    g_assert_nonnull(strstr(p.b->log_text->str, "data packet for nobody"));
    g_assert_null(strstr(p.b->log_info->str, "for nobody"));
    world_free(p.w);
}

static const struct {
    const char *path;
    void (*fn)(void);
} tests[] = {
    { "/node/fail/no-candidates", test_no_candidates },
    { "/node/fail/discovered-peer-suffices", test_discovered_peer_suffices },
    { "/node/fail/path-dies", test_path_dies },
    { "/node/fail/path-dies-in-idle", test_path_dies_in_idle },
    { "/node/fail/disconnect-grace", test_disconnect_grace },
    { "/node/fail/no-handshake", test_no_handshake },
    { "/node/fail/keys-out-of-sync", test_keys_out_of_sync },
    { "/node/fail/give-up-exceeds-ice", test_give_up_exceeds_ice },
    { "/node/idle/idle-and-wake", test_idle_and_wake },
    { "/node/idle/upsert-wakes", test_upsert_wakes },
    { "/node/idle/candidate-change-wakes", test_candidate_change_wakes },
    { "/node/idle/not-while-checking", test_no_idle_while_checking },
    { "/node/idle/nominated-while-idle", test_nominated_while_idle },
    { "/node/idle/long-silence", test_long_silence },
    { "/node/rekeying-loses-nothing", test_rekeying_loses_nothing },
    { "/node/upsert/reuse", test_reuse },
    { "/node/upsert/changed-params", test_changed_params },
    { "/node/upsert/new-psk-reconnects", test_new_psk_reconnects },
    { "/node/upsert/handshake-gap", test_handshake_gap },
    { "/node/upsert/nothing-to-offer", test_nothing_to_offer },
    { "/node/upsert/refused-params", test_refused_params },
    { "/node/candidates/host-address-rules", test_host_address_rules },
    { "/node/candidates/signalled-order", test_signalled_order },
    { "/node/candidates/host-address-changes", test_host_address_changes },
    { "/node/candidates/optimistic", test_optimistic },
    { "/node/candidates/roam", test_roam },
    { "/node/candidates/nat-remaps", test_nat_remaps },
    { "/node/end/close", test_close },
    { "/node/end/lost-goodbye", test_lost_goodbye },
    { "/node/end/close-while-connecting", test_close_while_connecting },
    { "/node/end/close-all", test_close_all },
    { "/node/end/reset", test_reset },
    { "/node/end/reset-keeps-final-events", test_reset_keeps_final_events },
    { "/node/end/late-packets", test_late_packets },
};

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add_func(tests[i].path, tests[i].fn);
    return g_test_run();
}
