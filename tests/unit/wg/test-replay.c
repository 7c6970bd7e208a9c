/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>
#include <string.h>

#include "engine/wg/session-private.h"
#include "tests/support/rng.h"

static bool
take(struct sp_wg_replay *w, uint64_t counter)
{
    if (sp_wg_replay_check(w, counter) < 0)
        return false;
    sp_wg_replay_mark(w, counter);
    return true;
}

/* After the manner of the counter self test of the Linux module. */
static void
numbered(void)
{
    enum {
        W = SP_WG_WINDOW
    };
    static const struct {
        uint64_t counter;
        bool fresh;
    } cases[] = {
        { 0, true },
        { 1, true },
        { 1, false },
        { 9, true },
        { 8, true },
        { 7, true },
        { 7, false },
        { W, true },
        { W - 1, true },
        { W - 1, false },
        { W - 2, true },
        { 2, true },
        { 2, false },
        { W + 16, true },
        { 3, false },
        { W + 16, false },
        { W * 4, true },
        { W * 4 - (W - 1), true },
        { 10, false },
        { W * 4 - W, false },
        { W * 4 - (W + 1), false },
        { W * 4 - (W - 2), true },
        { W * 4 + 1 - W, false },
        { 0, false },
        { SP_WG_REJECT_AFTER_MESSAGES - 1, true },
        { SP_WG_REJECT_AFTER_MESSAGES - 1, false },
        { SP_WG_REJECT_AFTER_MESSAGES - 2, true },
        { SP_WG_REJECT_AFTER_MESSAGES - W, true },
        { SP_WG_REJECT_AFTER_MESSAGES - W - 1, false },
    };
    struct sp_wg_replay w = { 0 };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_message("case %zu", i);
        g_assert_cmpint(take(&w, cases[i].counter), ==, cases[i].fresh);
    }
}

static void
runs(void)
{
    struct sp_wg_replay w = { 0 };

    for (uint64_t i = 1; i <= SP_WG_WINDOW; i++)
        g_assert_true(take(&w, i));
    g_assert_true(take(&w, 0) == false);
    memset(&w, 0, sizeof w);
    for (uint64_t i = SP_WG_WINDOW; i-- > 0;)
        g_assert_true(take(&w, i));
    for (uint64_t i = 0; i < SP_WG_WINDOW; i++)
        g_assert_false(take(&w, i));
    memset(&w, 0, sizeof w);
    for (uint64_t i = SP_WG_WINDOW + 1; i-- > 1;)
        g_assert_true(take(&w, i));
    g_assert_false(take(&w, 0));
}

/* The naive twin remembers every counter in a list. */
static void
naive(void)
{
    enum {
        OPS = 60000,
        SPAN = 60000
    };
    struct test_rng state;
    struct sp_rng rng = test_rng_init(&state, 77);
    GHashTable *seen = g_hash_table_new(g_direct_hash, g_direct_equal);
    struct sp_wg_replay w = { 0 };
    uint64_t max = 0;
    bool any = false;

    for (int i = 0; i < OPS; i++) {
        uint64_t jump = sp_rng_below(&rng, 50) ? 20 : 3 * SP_WG_WINDOW;
        uint64_t back = sp_rng_below(&rng, 3) ? 300 : SP_WG_WINDOW + 100;
        uint64_t c = max + sp_rng_below(&rng, (uint32_t)jump);
        gpointer key;
        bool want;

        back = sp_rng_below(&rng, (uint32_t)back);
        c -= SP_MIN(c, back);
        key = GSIZE_TO_POINTER(c + 1);
        want = !g_hash_table_contains(seen, key) && (!any || c > max || max - c < SP_WG_WINDOW);
        if (take(&w, c) != want)
            g_error("step %d: counter %" G_GUINT64_FORMAT " newest %" G_GUINT64_FORMAT, i, c, max);
        if (want) {
            g_hash_table_add(seen, key);
            max = SP_MAX(max, c);
            any = true;
        }
    }
    g_hash_table_unref(seen);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/wg/replay/numbered", numbered);
    g_test_add_func("/wg/replay/runs", runs);
    g_test_add_func("/wg/replay/naive", naive);
    return g_test_run();
}
