/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>

#include "engine/ip/ranges.h"

/* First and last address of each range and their neighbours; spec tunnel 0.1. */
static const struct {
    const struct sp_range *range;
    const char *ip;
    bool in;
} cases[] = {
    { &sp_range_tunnel, "100.63.255.255", false },
    { &sp_range_tunnel, "100.64.0.0", true },
    { &sp_range_tunnel, "100.127.255.255", true },
    { &sp_range_tunnel, "100.128.0.0", false },
    { &sp_range_tunnel, "fd00:2021:1110:ffff:ffff:ffff:ffff:ffff", false },
    { &sp_range_tunnel, "fd00:2021:1111::", true },
    { &sp_range_tunnel, "fd00:2021:1111:ffff:ffff:ffff:ffff:ffff", true },
    { &sp_range_tunnel, "fd00:2021:1112::", false },
    { &sp_range_peer, "100.64.0.0", true },
    { &sp_range_peer, "100.95.255.255", true },
    { &sp_range_peer, "100.96.0.0", false },
    { &sp_range_peer, "fd00:2021:1111::1f:ffff", true },
    { &sp_range_peer, "fd00:2021:1111::20:0", false },
    { &sp_range_peer, "fd00:2021:1111:8000::1", false },
    { &sp_range_proxy, "100.95.255.255", false },
    { &sp_range_proxy, "100.96.0.0", true },
    { &sp_range_proxy, "100.127.255.255", true },
    { &sp_range_proxy, "fd00:2021:1111:8000::", true },
    { &sp_range_proxy, "fd00:2021:1111:8000::1f:ffff", true },
    { &sp_range_proxy, "fd00:2021:1111:8000::20:0", false },
    { &sp_range_sentinel, "100.100.110.255", false },
    { &sp_range_sentinel, "100.100.111.0", true },
    { &sp_range_sentinel, "100.100.111.255", true },
    { &sp_range_sentinel, "100.100.112.0", false },
    { &sp_range_sentinel, "fd00:2021:1111:8000:100:100:111:0", true },
    { &sp_range_sentinel, "fd00:2021:1111:8000:100:100:111:ff", true },
    { &sp_range_sentinel, "fd00:2021:1111:8000:100:100:111:100", false },
};

static void
edges(void)
{
    struct sp_ip none = { 0 };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct sp_ip ip;

        g_test_message("case %zu: %s", i, cases[i].ip);
        g_assert_cmpint(sp_ip_parse(cases[i].ip, &ip), ==, 0);
        g_assert_cmpint(sp_range_has(cases[i].range, &ip), ==, cases[i].in);
        g_assert_false(sp_range_has(cases[i].range, &none));
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ip/ranges/edges", edges);
    return g_test_run();
}
