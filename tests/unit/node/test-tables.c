/* SPDX-License-Identifier: Apache-2.0 */
/* Lookup tables and the timer heap against naive twins. Invariant 8 (no entry outlives its
 * connection) is also proven end to end in test-lifecycle. */
#include <glib.h>
#include <string.h>

#include "engine/node/node-private.h"
#include "tests/support/rng.h"

struct fixture {
    struct test_rng state;
    struct sp_rng rng;
    struct sp_node_tables *t;
};

static void
set_up(struct fixture *f, const void *unused SP_UNUSED)
{
    f->rng = test_rng_init(&f->state, 42);
    f->t = g_new0(struct sp_node_tables, 1);
    sp_node_tables_init(f->t, &f->rng);
}

static void
tear_down(struct fixture *f, const void *unused SP_UNUSED)
{
    sp_node_tables_done(f->t);
    g_free(f->t);
}

static struct sp_node_conn *
fake_conn(uint8_t id, const char *ufrag)
{
    struct sp_node_conn *conn = g_new0(struct sp_node_conn, 1);

    conn->peer.b[0] = id;
    conn->params.remote_key[0] = id;
    conn->index24 = 0x1000u + id;
    sp_node_ufrag_key(ufrag, conn->ufrag_key);
    TAILQ_INIT(&conn->stun_ids);
    return conn;
}

static void
assert_empty(const struct sp_node_tables *t)
{
    g_assert_cmpuint(t->by_id.len, ==, 0);
    g_assert_cmpuint(t->by_index.len, ==, 0);
    g_assert_cmpuint(t->by_key.len, ==, 0);
    g_assert_cmpuint(t->by_ufrag.len, ==, 0);
    g_assert_cmpuint(t->by_txid.len, ==, 0);
    g_assert_cmpuint(t->n_stun, ==, 0);
}

static void
test_finds_by_all_names(struct fixture *f, const void *unused SP_UNUSED)
{
    struct sp_node_conn *a = fake_conn(1, "aaaa"), *b = fake_conn(2, "bbbb");
    uint8_t txid[SP_NODE_TXID_LEN] = { 7 };

    sp_node_tables_add(f->t, a);
    sp_node_tables_add(f->t, b);
    sp_node_stun_sent(f->t, b, txid, SP_SEC(1));
    g_assert_true(sp_node_by_id(f->t, &a->peer) == a);
    g_assert_true(sp_node_by_index(f->t, b->index24) == b);
    g_assert_true(sp_node_by_key(f->t, b->params.remote_key) == b);
    g_assert_true(sp_node_by_ufrag(f->t, "aaaa") == a);
    g_assert_null(sp_node_by_ufrag(f->t, "aaaab"));
    g_assert_null(sp_node_by_ufrag(f->t, "aaa"));
    g_assert_true(sp_node_stun_take(f->t, txid, SP_SEC(2)) == b);
    sp_node_tables_remove(f->t, a, SP_SEC(3));
    sp_node_tables_remove(f->t, b, SP_SEC(3));
    assert_empty(f->t);
    g_free(a);
    g_free(b);
}

static void
test_equal_ufrags(struct fixture *f, const void *unused SP_UNUSED)
{
    struct sp_node_conn *c[3];
    static const int orders[6][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
                                      { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };

    for (size_t o = 0; o < G_N_ELEMENTS(orders); o++) {
        for (uint8_t i = 0; i < 3; i++) {
            c[i] = fake_conn(i, "same");
            sp_node_tables_add(f->t, c[i]);
        }
        for (int gone = 0; gone <= 3; gone++) {
            int found = 0;

            for (struct sp_node_conn *p = sp_node_by_ufrag(f->t, "same"); p; p = p->ufrag_next)
                found++;
            g_assert_cmpint(found, ==, 3 - gone);
            if (gone < 3)
                sp_node_tables_remove(f->t, c[orders[o][gone]], 0);
        }
        assert_empty(f->t);
        for (int i = 0; i < 3; i++)
            g_free(c[i]);
    }
}

static void
test_check_ids_expire(struct fixture *f, const void *unused SP_UNUSED)
{
    struct sp_node_conn *a = fake_conn(1, "aaaa");
    uint8_t early[SP_NODE_TXID_LEN] = { 1 }, late[SP_NODE_TXID_LEN] = { 2 };

    sp_node_tables_add(f->t, a);
    sp_node_stun_sent(f->t, a, early, SP_SEC(1));
    sp_node_stun_sent(f->t, a, late, SP_SEC(5));
    g_assert_null(sp_node_stun_take(f->t, early, SP_SEC(11)));
    g_assert_true(sp_node_stun_take(f->t, late, SP_SEC(11)) == a);
    g_assert_null(sp_node_stun_take(f->t, late, SP_SEC(11)));
    sp_node_stun_sent(f->t, a, early, SP_SEC(20));
    sp_node_tables_remove(f->t, a, SP_SEC(20));
    g_assert_null(sp_node_stun_take(f->t, early, SP_SEC(21)));
    assert_empty(f->t);
    g_free(a);
}

static void
test_gone_for_five_seconds(struct fixture *f, const void *unused SP_UNUSED)
{
    struct sp_node_conn *a = fake_conn(1, "aaaa");

    sp_node_tables_add(f->t, a);
    g_assert_false(sp_node_gone_index(f->t, a->index24, SP_SEC(1)));
    sp_node_tables_remove(f->t, a, SP_SEC(1));
    g_assert_true(sp_node_gone_index(f->t, a->index24, SP_SEC(5)));
    g_assert_true(sp_node_gone_key(f->t, a->params.remote_key, SP_SEC(5)));
    g_assert_true(sp_node_gone_ufrag(f->t, "aaaa", SP_SEC(5)));
    g_assert_false(sp_node_gone_ufrag(f->t, "aaab", SP_SEC(5)));
    g_assert_false(sp_node_gone_index(f->t, a->index24, SP_SEC(6)));
    g_free(a);
}

/* ---- heap ------------------------------------------------------------------------------------ */

static sp_time
naive_min(GPtrArray *all)
{
    sp_time min = SP_TIME_NEVER;

    for (guint i = 0; i < all->len; i++)
        min = sp_time_min(min, ((struct sp_node_conn *)g_ptr_array_index(all, i))->heap_at);
    return min;
}

static void
test_heap_against_model(struct fixture *f, const void *unused SP_UNUSED)
{
    struct sp_node_heap heap = { 0 };
    GPtrArray *all = g_ptr_array_new_with_free_func(g_free);

    for (int i = 0; i < 20000; i++) {
        uint32_t op = sp_rng_below(&f->rng, 3);

        if (op == 0 && all->len < 100) {
            struct sp_node_conn *conn = fake_conn(0, "");

            conn->heap_at = sp_rng_below(&f->rng, 50);
            sp_node_heap_add(&heap, conn);
            g_ptr_array_add(all, conn);
        } else if (op == 1 && all->len) {
            guint at = sp_rng_below(&f->rng, all->len);

            sp_node_heap_remove(&heap, g_ptr_array_index(all, at));
            g_ptr_array_remove_index_fast(all, at);
        } else if (op == 2 && all->len) {
            struct sp_node_conn *conn = g_ptr_array_index(all, sp_rng_below(&f->rng, all->len));

            conn->heap_at = sp_rng_below(&f->rng, 50);
            sp_node_heap_update(&heap, conn);
        }
        g_assert_cmpuint(heap.n, ==, all->len);
        if (all->len)
            g_assert_cmpuint(sp_node_heap_top(&heap)->heap_at, ==, naive_min(all));
        else
            g_assert_null(sp_node_heap_top(&heap));
    }
    g_ptr_array_unref(all);
    free(heap.v);
}

#define ADD(path, fn) g_test_add(path, struct fixture, NULL, set_up, fn, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("/node/tables/finds-by-all-names", test_finds_by_all_names);
    ADD("/node/tables/equal-ufrags", test_equal_ufrags);
    ADD("/node/tables/check-ids-expire", test_check_ids_expire);
    ADD("/node/tables/gone-for-five-seconds", test_gone_for_five_seconds);
    ADD("/node/heap/against-model", test_heap_against_model);
    return g_test_run();
}
