/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>

#include "engine/base/err.h"
#include "engine/portal/backoff.h"
#include "tests/support/rng.h"

static void
never_connected(void)
{
    struct test_rng state;
    struct sp_rng rng = test_rng_init(&state, 1);
    struct sp_backoff b;
    sp_duration delay = 0;

    sp_backoff_init(&b, SP_BACKOFF_UNLIMITED);
    for (int i = 0; i < 15; i++) {
        g_assert_cmpint(sp_backoff_next(&b, SP_BACKOFF_NO_RETRY_AFTER, &rng, &delay), ==, 0);
        g_assert_cmpuint(delay, ==, SP_SEC(1));
        /* what the server asks for costs nothing */
        g_assert_cmpint(sp_backoff_next(&b, 7, &rng, &delay), ==, 0);
        g_assert_cmpuint(delay, ==, SP_SEC(7));
    }
    delay = 3;
    g_assert_cmpint(sp_backoff_next(&b, SP_BACKOFF_NO_RETRY_AFTER, &rng, &delay), ==, SP_E_LIMIT);
    g_assert_cmpuint(delay, ==, 3);
    sp_backoff_reset(&b);
    g_assert_cmpint(sp_backoff_next(&b, SP_BACKOFF_NO_RETRY_AFTER, &rng, &delay), ==, 0);
    g_assert_cmpuint(delay, ==, SP_SEC(1));
}

static void
exponential(void)
{
    static const sp_duration base_ms[] = { 500,  750,   1125,  1687,  2531,  3796,  5695,
                                           8542, 12814, 19221, 28832, 43248, 60000, 60000 };
    struct test_rng state;
    struct sp_rng rng = test_rng_init(&state, 2);
    struct sp_backoff b;
    bool above = false;

    sp_backoff_init(&b, SP_BACKOFF_UNLIMITED);
    sp_backoff_connected(&b);
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < G_N_ELEMENTS(base_ms); i++) {
            sp_duration delay;

            g_assert_cmpint(sp_backoff_next(&b, SP_BACKOFF_NO_RETRY_AFTER, &rng, &delay), ==, 0);
            g_assert_cmpuint(delay, >=, SP_MS(base_ms[i]));
            g_assert_cmpuint(delay, <, SP_MS(2 * (base_ms[i] + 1)));
            above = above || delay > SP_MS(base_ms[i]) * 3 / 2;
        }
        sp_backoff_reset(&b);
    }
    g_assert_true(above);
}

static void
budget_ends(void)
{
    struct test_rng state;
    struct sp_rng rng = test_rng_init(&state, 3);
    sp_duration used = 0, delay = 0;
    struct sp_backoff b;
    unsigned n = 0;

    sp_backoff_init(&b, SP_SEC(600));
    sp_backoff_connected(&b);
    while (sp_backoff_next(&b, SP_BACKOFF_NO_RETRY_AFTER, &rng, &delay) == 0) {
        used += delay;
        g_assert_cmpuint(++n, <, 100);
    }
    g_assert_cmpuint(used, <=, SP_SEC(600));
    g_assert_cmpuint(used, >, SP_SEC(600) - SP_SEC(120));
    sp_backoff_connected(&b);
    g_assert_cmpint(sp_backoff_next(&b, SP_BACKOFF_NO_RETRY_AFTER, &rng, &delay), ==, 0);
}

static void
retry_after_is_bounded(void)
{
    struct test_rng state;
    struct sp_rng rng = test_rng_init(&state, 4);
    struct sp_backoff b;
    sp_duration delay;

    sp_backoff_init(&b, 0);
    sp_backoff_connected(&b);
    g_assert_cmpint(sp_backoff_next(&b, 0, &rng, &delay), ==, 0);
    g_assert_cmpuint(delay, ==, 0);
    g_assert_cmpint(sp_backoff_next(&b, INT64_MAX, &rng, &delay), ==, 0);
    g_assert_cmpuint(delay, ==, SP_BACKOFF_RETRY_AFTER_MAX);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/portal/backoff/never-connected", never_connected);
    g_test_add_func("/portal/backoff/exponential", exponential);
    g_test_add_func("/portal/backoff/budget-ends", budget_ends);
    g_test_add_func("/portal/backoff/retry-after-bounded", retry_after_is_bounded);
    return g_test_run();
}
