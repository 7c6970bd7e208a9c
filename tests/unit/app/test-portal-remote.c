/* SPDX-License-Identifier: Apache-2.0 */
/* Who speaks when a proxy may stand between, and how many of them may. */
#include <glib.h>

#include "app/portal/error.h"
#include "app/portal/remote.h"
#include "app/portal/seat.h"

static void
picks_the_last_stranger(void)
{
    static const struct {
        const char *host, *forwarded, *want;
    } cases[] = {
        /* 0 */ { "192.0.2.1", NULL, "192.0.2.1" },
        { "192.0.2.1", "203.0.113.5", "192.0.2.1" },
        { "10.1.2.3", "203.0.113.5", "203.0.113.5" },
        { "::ffff:10.1.2.3", "203.0.113.5", "203.0.113.5" },
        { "10.1.2.3", "198.51.100.1, 203.0.113.5", "203.0.113.5" },
        /* 5 */ { "10.1.2.3", "203.0.113.5, 10.9.9.9", "203.0.113.5" },
        { "10.1.2.3", "203.0.113.5 ,10.9.9.9,  2001:db8::1", "203.0.113.5" },
        { "10.1.2.3", "203.0.113.5:4711", "203.0.113.5" },
        { "10.1.2.3", "[2001:db8:1::2]:4711", "2001:db8:1::2" },
        { "10.1.2.3", "203.0.113.5, junk", "10.1.2.3" },
        /* 10 */ { "10.1.2.3", "junk, 10.7.7.7", "10.7.7.7" },
        { "10.1.2.3", "", "10.1.2.3" },
        { "10.1.2.3", ",,,", "10.1.2.3" },
        { "::ffff:192.0.2.1", "203.0.113.5", "192.0.2.1" },
        { NULL, "203.0.113.5", "unknown" },
    };
    const char *const nets[] = { "10.0.0.0/8", "2001:db8::1", NULL };
    struct sp_cp_proxies *proxies = sp_cp_proxies_new(nets, NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *got = sp_cp_remote_pick(proxies, cases[i].host, cases[i].forwarded);

        g_test_message("case %zu", i);
        g_assert_cmpstr(got, ==, cases[i].want);
    }
    sp_cp_proxies_free(proxies);
}

static void
refuses_what_is_no_network(void)
{
    static const char *const bad[] = { "",
                                       "localhost",
                                       "10.0.0.1/8",
                                       "10.0.0.0/33",
                                       "10.0.0.0/8,::1" };

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        const char *const nets[] = { bad[i], NULL };
        g_autoptr(GError) error = NULL;

        g_assert_null(sp_cp_proxies_new(nets, &error));
        g_assert_error(error, SP_CP_ERROR, SP_CP_ERROR_INVALID);
    }
}

static void
counts_networks_of_six(void)
{
    static const char *const pairs[][2] = {
        { "192.0.2.1", "192.0.2.1/32" },
        { "::ffff:192.0.2.1", "192.0.2.1/32" },
        { "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64" },
        { "unknown", "unknown" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(pairs); i++) {
        g_autofree char *key = sp_cp_remote_key(pairs[i][0]);

        g_assert_cmpstr(key, ==, pairs[i][1]);
    }
}

static void
seats_come_back(void)
{
    struct sp_cp_seats *seats = sp_cp_seats_new(2, 1);
    struct sp_cp_seat *a = sp_cp_seat_take(seats, "x", "t1");
    struct sp_cp_seat *b = sp_cp_seat_take(seats, "x", "t2");

    g_assert_true(a && b);
    g_assert_null(sp_cp_seat_take(seats, "x", "t3"));
    g_assert_null(sp_cp_seat_take(seats, "y", "t1"));
    sp_cp_seat_free(a);
    a = sp_cp_seat_take(seats, "y", "t1");
    g_assert_nonnull(a);
    sp_cp_seat_free(a);
    sp_cp_seat_free(b);
    sp_cp_seats_free(seats);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/portal/remote/picks-the-last-stranger", picks_the_last_stranger);
    g_test_add_func("/portal/remote/refuses-what-is-no-network", refuses_what_is_no_network);
    g_test_add_func("/portal/remote/counts-networks-of-six", counts_networks_of_six);
    g_test_add_func("/portal/seat/seats-come-back", seats_come_back);
    return g_test_run();
}
