/* SPDX-License-Identifier: Apache-2.0 */
/* Random operations on three nodes, compared with a model that knows only which connections should
 * exist. The seed of a failing run is in the test's name. */
#include <string.h>

#include "engine/node/node-private.h"
#include "tests/unit/node/world.h"

#define ENDS  3
#define STEPS 400
#define SEEDS 8

/** struct model - of one end towards one peer
 * @established_before: count of events when the connection was made */
struct model {
    bool exists;
    int established_before;
    int ended_before;
};

struct run {
    struct world *w;
    struct test_rng state;
    struct sp_rng rng;
    struct model model[ENDS][ENDS];
};

static const char *const addresses[ENDS][3] = {
    { "192.0.2.1", "192.0.2.7,2001:db8::1", "" },
    { "198.51.100.1", "198.51.100.1,2001:db8:1::1", "2001:db8:1::9" },
    { "203.0.113.1", "203.0.113.1,203.0.113.2", "203.0.113.3,2001:db8:2::1" },
};

static int
ended(const struct end *e, int peer)
{
    return e->failed[peer] + e->closed[peer];
}

static void
check_end(struct run *run, const struct end *e)
{
    const struct sp_node_tables *t = &e->node->tables;
    size_t known = 0;

    for (int peer = 0; peer < ENDS; peer++) {
        struct model *m = &run->model[e->id][peer];

        if (peer == e->id)
            continue;
        if (ended(e, peer) != m->ended_before) {
            m->exists = false;
            m->ended_before = ended(e, peer);
        }
        g_assert_cmpint(end_knows(e, &run->w->ends[peer]), ==, m->exists);
        g_assert_cmpint(e->established[peer] - m->established_before, <=, 1);
        known += m->exists;
    }
    g_assert_cmpuint(t->by_id.len, ==, known);
    g_assert_cmpuint(t->by_index.len, ==, known);
    g_assert_cmpuint(t->by_key.len, ==, known);
    g_assert_cmpuint(t->by_ufrag.len, ==, known);
    g_assert_cmpuint(e->node->heap.n, ==, known);
    g_assert_cmpuint(t->by_txid.len, ==, t->n_stun);
    g_assert_cmpuint(e->pool.in_use, ==, 0);
}

static void
op_upsert(struct run *run, struct end *e, struct end *peer)
{
    struct model *m = &run->model[e->id][peer->id];
    int before = e->established[peer->id];
    int r = world_upsert(e, peer);

    g_assert_true(r == 0 || r == SP_NODE_REUSED || r == SP_NODE_NO_RELAYS);
    if (r == SP_NODE_NO_RELAYS)
        g_assert_cmpuint(e->n_addresses, ==, 0);
    if (r == SP_NODE_REUSED)
        g_assert_true(m->exists);
    if (r == 0) {
        m->exists = true;
        m->established_before = before;
        m->ended_before = ended(e, peer->id);
    }
}

static void
op_end(struct run *run, struct end *e, struct end *peer, bool quietly)
{
    struct model *m = &run->model[e->id][peer->id];
    struct sp_uuid id = world_uuid(peer->id);
    int r = quietly ? sp_node_remove(e->node, &id, run->w->now)
                    : sp_node_close(e->node, &id, NULL, run->w->now);

    g_assert_cmpint(r, ==, m->exists ? 0 : SP_E_NOTFOUND);
    world_drain(e);
    m->exists = false;
}

static void
op_reset(struct run *run, struct end *e)
{
    sp_node_reset(e->node, run->w->now);
    world_drain(e);
    for (int peer = 0; peer < ENDS; peer++)
        run->model[e->id][peer].exists = false;
}

static void
step(struct run *run)
{
    struct end *e = &run->w->ends[sp_rng_below(&run->rng, ENDS)];
    struct end *peer =
        &run->w->ends[((uint32_t)e->id + 1 + sp_rng_below(&run->rng, ENDS - 1)) % ENDS];
    static const sp_duration waits[] = { SP_MS(1), SP_MS(100), SP_SEC(1), SP_SEC(7), SP_SEC(40) };
    uint32_t op = sp_rng_below(&run->rng, 100);

    if (op < 25)
        op_upsert(run, e, peer);
    else if (op < 30)
        op_end(run, e, peer, false);
    else if (op < 35)
        op_end(run, e, peer, true);
    else if (op < 37)
        op_reset(run, e);
    else if (op < 42)
        end_set_addresses(e, addresses[e->id][sp_rng_below(&run->rng, 3)]);
    else if (op < 46)
        test_net_set_up(run->w->net, e->host, sp_rng_below(&run->rng, 3) > 0);
    else if (op < 75)
        (void)end_send(e, peer, 100, 0);
    else
        world_run(run->w, waits[sp_rng_below(&run->rng, G_N_ELEMENTS(waits))]);
    for (int i = 0; i < ENDS; i++)
        check_end(run, &run->w->ends[i]);
}

/* Whatever happened before, fresh authorizations connect everybody. */
static void
assert_recovers(struct run *run)
{
    struct world *w = run->w;

    for (int i = 0; i < ENDS; i++) {
        test_net_set_up(w->net, w->ends[i].host, true);
        end_set_addresses(&w->ends[i], addresses[i][1]);
        op_reset(run, &w->ends[i]);
        check_end(run, &w->ends[i]);
        g_assert_cmpuint(sp_node_tables_entries(w->ends[i].node), ==, 0);
    }
    world_run(w, SP_SEC(1));
    for (int i = 0; i < ENDS; i++)
        for (int k = 0; k < i; k++)
            world_connect(&w->ends[k], &w->ends[i]);
    world_run(w, SP_SEC(5));
    for (int i = 0; i < ENDS; i++)
        for (int k = 0; k < ENDS; k++)
            if (i != k)
                g_assert_true(end_info(&w->ends[i], &w->ends[k]).established);
}

static void
test_random_operations(const void *data)
{
    uint64_t seed = (uint64_t)GPOINTER_TO_INT(data);
    struct run run = { .w = world_new(seed) };

    run.rng = test_rng_init(&run.state, seed);
    for (int i = 0; i < ENDS; i++)
        world_add(run.w, i == ENDS - 1, addresses[i][0], -1);
    for (int i = 0; i < STEPS; i++)
        step(&run);
    assert_recovers(&run);
    world_free(run.w);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int seed = 1; seed <= SEEDS; seed++) {
        char *path = g_strdup_printf("/node/random-operations/seed-%d", seed);

        g_test_add_data_func(path, GINT_TO_POINTER(seed), test_random_operations);
        g_free(path);
    }
    return g_test_run();
}
