/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>
#include <string.h>

#include "engine/base/err.h"
#include "engine/model/held.h"
#include "engine/model/model.h"

#define HOST  "candidate:a 1 udp 2130706175 192.0.2.10 52625 typ host ufrag eokn"
#define HOST6 "candidate:b 1 udp 2130706431 2001:db8::1 52625 typ host ufrag eokn"
#define SRFLX \
    "candidate:c 1 udp 1686109951 198.51.100.4 4 typ srflx raddr 0.0.0.0 rport 0 ufrag eokn"

static void
held_cancels_and_sorts(void)
{
    struct sp_held held = { 0 };
    struct sp_strv list;

    g_assert_true(sp_held_is_empty(&held));
    g_assert_cmpint(sp_held_add(&held, SRFLX), ==, 0);
    g_assert_cmpint(sp_held_add(&held, HOST), ==, 0);
    g_assert_cmpint(sp_held_add(&held, HOST), ==, 0);
    g_assert_cmpint(sp_held_add(&held, HOST6), ==, 0);
    g_assert_cmpint(sp_held_take(&held, &list), ==, SP_HELD_ADDED);
    g_assert_cmpuint(list.n, ==, 3);
    g_assert_cmpstr(list.v[0], ==, HOST6);
    g_assert_cmpstr(list.v[1], ==, HOST);
    g_assert_cmpstr(list.v[2], ==, SRFLX);
    sp_strv_done(&list);

    /* add + remove cancels; remove + add leaves the addition only */
    g_assert_cmpint(sp_held_add(&held, HOST), ==, 0);
    g_assert_cmpint(sp_held_remove(&held, HOST), ==, 0);
    g_assert_true(sp_held_is_empty(&held));
    g_assert_cmpint(sp_held_remove(&held, SRFLX), ==, 0);
    g_assert_cmpint(sp_held_add(&held, SRFLX), ==, 0);
    g_assert_cmpint(sp_held_take(&held, &list), ==, SP_HELD_ADDED);
    sp_strv_done(&list);
    g_assert_cmpint(sp_held_take(&held, &list), ==, SP_HELD_NONE);

    /* additions go before withdrawals */
    g_assert_cmpint(sp_held_remove(&held, HOST), ==, 0);
    g_assert_cmpint(sp_held_add(&held, SRFLX), ==, 0);
    g_assert_cmpint(sp_held_take(&held, &list), ==, SP_HELD_ADDED);
    sp_strv_done(&list);
    g_assert_cmpint(sp_held_take(&held, &list), ==, SP_HELD_REMOVED);
    g_assert_cmpstr(list.v[0], ==, HOST);
    sp_strv_done(&list);
    sp_held_done(&held);
}

static void
held_is_bounded(void)
{
    struct sp_held held = { 0 };

    for (int i = 0; i < SP_HELD_MAX; i++) {
        g_autofree char *text = g_strdup_printf("candidate:%d 1 udp %d 192.0.2.1 1 typ host", i, i);

        g_assert_cmpint(sp_held_add(&held, text), ==, 0);
    }
    g_assert_cmpint(sp_held_add(&held, HOST), ==, SP_E_LIMIT);
    sp_held_done(&held);
}

static void
resource_copy_is_deep(void)
{
    struct sp_resource a = { .type = SP_RESOURCE_DNS, .name = g_strdup("wiki") }, b;

    a.address = g_strdup("**.wiki.example");
    a.sites = g_new0(struct sp_site, 1);
    a.sites[0].name = g_strdup("HQ");
    a.n_sites = 1;
    sp_resource_copy(&b, &a);
    g_assert_cmpstr(b.sites[0].name, ==, "HQ");
    g_assert_true(b.sites[0].name != a.sites[0].name);
    g_assert_null(b.filters);
    sp_resource_done(&a);
    sp_resource_done(&a);
    g_assert_cmpstr(b.address, ==, "**.wiki.example");
    sp_resource_done(&b);
}

static void
reasons_round_trip(void)
{
    for (int i = 0; i < _SP_FAIL_MAX; i++)
        g_assert_cmpint(sp_fail_reason_parse(sp_fail_reason_name((enum sp_fail_reason)i)), ==, i);
    g_assert_cmpint(sp_fail_reason_parse("from the future"), ==, SP_FAIL_UNKNOWN);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/model/held/cancels-and-sorts", held_cancels_and_sorts);
    g_test_add_func("/model/held/bounded", held_is_bounded);
    g_test_add_func("/model/resource/deep-copy", resource_copy_is_deep);
    g_test_add_func("/model/reason/round-trip", reasons_round_trip);
    return g_test_run();
}
