/* SPDX-License-Identifier: Apache-2.0 */
/* What is worth a reset, as scripts: at a time, something happens, and something is reported. */
#include <glib.h>
#include <string.h>

#include "app/platform/network-state.h"

/* Views by letter: the first is IPv4, the second IPv6; '-' is none. */
static struct sp_network_path
path_of(char letter)
{
    struct sp_network_path path = { 0 };

    if (letter == '-')
        return path;
    path.oif = letter == 'b' ? 2 : 1;
    path.gateway = sp_ip_from_bytes(4, (const uint8_t[]){ 192, 0, 2, letter == 'g' ? 9 : 1 });
    path.source = sp_ip_from_bytes(4, (const uint8_t[]){ 192, 0, 2, letter == 's' ? 19 : 11 });
    return path;
}

static struct sp_network_view
view_of(const char *text)
{
    return (struct sp_network_view){
        .path = { path_of(text[0]), path_of(text[1]) },
        .addresses = text[2] != '0',
    };
}

enum what {
    KERNEL,
    MANAGER,
    RESUMED,
    NONE
};

/* One line of a script; a @view of NULL ends it. The check follows at the same time. */
struct step {
    unsigned ms;
    enum what what;
    const char *view;
    enum sp_network_event want;
};

static const struct {
    const char *name, *start;
    struct step steps[12];
} cases[] = {
    { "quiet", "a-1", { { 0, NONE, "a-1", 0 }, { 10000, NONE, "b-1", 0 } } },
    { "unrelated",
      "aa1",
      { { 1000, KERNEL, "aa1", 0 }, { 1500, NONE, "aa1", 0 }, { 9000, NONE, "aa1", 0 } } },
    { "another interface",
      "a-1",
      { { 1000, KERNEL, "b-1", 0 },
        { 1499, NONE, "b-1", 0 },
        { 1500, NONE, "b-1", SP_NETWORK_CHANGED },
        { 1501, NONE, "b-1", 0 } } },
    { "another gateway",
      "a-1",
      { { 1000, KERNEL, "g-1", 0 }, { 1500, NONE, "g-1", SP_NETWORK_CHANGED } } },
    { "another source",
      "aa1",
      { { 1000, KERNEL, "as1", 0 }, { 1500, NONE, "as1", SP_NETWORK_CHANGED } } },
    { "there and back within the burst",
      "a-1",
      { { 1000, KERNEL, "--0", 0 }, { 1400, KERNEL, "a-1", 0 }, { 1900, NONE, "a-1", 0 } } },
    { "a burst is waited out",
      "a-1",
      { { 1000, KERNEL, "b-1", 0 },
        { 1400, KERNEL, "b-1", 0 },
        { 1899, NONE, "b-1", 0 },
        { 1900, NONE, "b-1", SP_NETWORK_CHANGED } } },
    { "but not for ever",
      "a-1",
      { { 1000, KERNEL, "b-1", 0 },
        { 1400, KERNEL, "b-1", 0 },
        { 1800, KERNEL, "b-1", 0 },
        { 2200, KERNEL, "b-1", 0 },
        { 2600, KERNEL, "b-1", 0 },
        { 2999, KERNEL, "b-1", 0 },
        { 3000, KERNEL, "b-1", SP_NETWORK_CHANGED } } },
    { "a second family breaks nothing",
      "a-1",
      { { 1000, KERNEL, "aa1", 0 },
        { 1500, NONE, "aa1", 0 },
        { 9000, KERNEL, "ab1", 0 },
        { 9500, NONE, "ab1", SP_NETWORK_CHANGED } } },
    { "a family goes",
      "aa1",
      { { 1000, KERNEL, "a-1", 0 }, { 1500, NONE, "a-1", SP_NETWORK_CHANGED } } },
    { "gone, then the same again: one report",
      "a-1",
      { { 1000, KERNEL, "--0", 0 },
        { 1500, NONE, "--0", 0 },
        { 60000, KERNEL, "a-1", 0 },
        { 60500, NONE, "a-1", SP_NETWORK_BACK },
        { 70000, KERNEL, "a-1", 0 },
        { 70500, NONE, "a-1", 0 } } },
    { "no network at start",
      "--0",
      { { 0, NONE, "--0", 0 },
        { 5000, KERNEL, "a-1", 0 },
        { 5500, NONE, "a-1", SP_NETWORK_BACK } } },
    { "one report per second, none lost",
      "a-1",
      { { 1000, KERNEL, "b-1", 0 },
        { 1500, NONE, "b-1", SP_NETWORK_CHANGED },
        { 1600, KERNEL, "a-1", 0 },
        { 2100, NONE, "a-1", 0 },
        { 2499, NONE, "a-1", 0 },
        { 2500, NONE, "a-1", SP_NETWORK_CHANGED } } },
    { "manager and kernel tell of one change",
      "a-1",
      { { 1000, KERNEL, "b-1", 0 },
        { 1500, NONE, "b-1", SP_NETWORK_CHANGED },
        { 3000, MANAGER, "b-1", 0 },
        { 3500, NONE, "b-1", 0 },
        { 9000, MANAGER, "b-1", 0 },
        { 9500, NONE, "b-1", SP_NETWORK_CHANGED } } },
    { "manager alone, and nothing while there is no network",
      "a-1",
      { { 1000, MANAGER, "--1", 0 },
        { 1500, NONE, "--1", 0 },
        { 3000, MANAGER, "a-1", 0 },
        { 3500, NONE, "a-1", SP_NETWORK_BACK },
        { 4500, NONE, "a-1", 0 } } },
    { "neighbours only",
      "--1",
      { { 1000, MANAGER, "--1", 0 },
        { 1500, NONE, "--1", SP_NETWORK_CHANGED },
        { 2000, KERNEL, "--1", 0 },
        { 2500, NONE, "--1", 0 } } },
    { "resumed at once, told twice",
      "a-1",
      { { 1000, RESUMED, "a-1", SP_NETWORK_RESUMED },
        { 3000, RESUMED, "a-1", 0 },
        { 9000, RESUMED, "a-1", SP_NETWORK_RESUMED } } },
    { "resumed before the network",
      "a-1",
      { { 1000, RESUMED, "--0", 0 },
        { 2000, KERNEL, "b-1", 0 },
        { 2500, NONE, "b-1", SP_NETWORK_RESUMED },
        { 3500, NONE, "b-1", 0 } } },
    { "resumed within the second after a report",
      "a-1",
      { { 1000, KERNEL, "b-1", 0 },
        { 1500, NONE, "b-1", SP_NETWORK_CHANGED },
        { 1600, RESUMED, "b-1", 0 },
        { 1700, KERNEL, "b-1", 0 },
        { 2500, NONE, "b-1", SP_NETWORK_RESUMED } } },
};

static void
test_script(gconstpointer data)
{
    size_t i = GPOINTER_TO_SIZE(data);
    struct sp_network_view view = view_of(cases[i].start);
    struct sp_network_state st;

    sp_network_state_init(&st, &view);
    for (size_t k = 0; k < G_N_ELEMENTS(cases[i].steps) && cases[i].steps[k].view; k++) {
        const struct step *step = &cases[i].steps[k];
        sp_time now = SP_SEC(100) + SP_MS(step->ms);
        enum sp_network_event got;

        if (step->what == KERNEL)
            sp_network_state_kernel(&st, now);
        else if (step->what == MANAGER)
            sp_network_state_manager(&st, now);
        else if (step->what == RESUMED)
            sp_network_state_resumed(&st, now);
        view = view_of(step->view);
        got = sp_network_state_check(&st, &view, now);
        if (got != step->want)
            g_error("%s, step %zu: %s", cases[i].name, k, sp_network_event_name(got));
        g_assert_false(sp_time_due(sp_network_state_next(&st), now));
    }
}

/* Seconds; sleep is what the first clock counts and the second does not. */
static void
test_clocks(void)
{
    static const struct {
        uint64_t now_ms, awake_ms;
        bool resumed;
    } samples[] = {
        { 100000, 40000, false },  /* slept before we came */
        { 105000, 45000, false },  /* */
        { 110000, 50900, false },  /* a pause between the readings */
        { 115000, 55000, false },  /* is not a sleep afterwards */
        { 121000, 60001, false },  /* 999 ms */
        { 127999, 66001, false },  /* 999 ms more: short sleeps add up to nothing */
        { 137000, 70001, true },   /* 5 s */
        { 142000, 75001, false },  /* told once */
        { 3742000, 76001, true },  /* an hour */
        { 3743000, 77001, false }, /* */
    };
    const struct sp_network_view view = view_of("a-1");
    struct sp_network_state st;

    sp_network_state_init(&st, &view);
    for (size_t i = 0; i < G_N_ELEMENTS(samples); i++) {
        sp_time now = SP_MS(samples[i].now_ms);
        enum sp_network_event got;

        sp_network_state_clock(&st, now, SP_MS(samples[i].awake_ms));
        got = sp_network_state_check(&st, &view, now);
        if (got != (samples[i].resumed ? SP_NETWORK_RESUMED : SP_NETWORK_NOTHING))
            g_error("sample %zu: %s", i, sp_network_event_name(got));
    }
}

/* The login manager tells of the same sleep a little later. */
static void
test_both_tell(void)
{
    const struct sp_network_view view = view_of("a-1");
    struct sp_network_state st;

    sp_network_state_init(&st, &view);
    sp_network_state_clock(&st, SP_SEC(100), SP_SEC(100));
    sp_network_state_clock(&st, SP_SEC(200), SP_SEC(101));
    g_assert_cmpint(sp_network_state_check(&st, &view, SP_SEC(200)), ==, SP_NETWORK_RESUMED);
    sp_network_state_resumed(&st, SP_SEC(202));
    g_assert_cmpint(sp_network_state_check(&st, &view, SP_SEC(202)), ==, SP_NETWORK_NOTHING);
    g_assert_cmpuint(sp_network_state_next(&st), ==, SP_TIME_NEVER);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *name = g_strdup_printf("/platform/network-state/%02zu", i + 1);

        g_test_add_data_func(name, GSIZE_TO_POINTER(i), test_script);
    }
    g_test_add_func("/platform/network-state/clocks", test_clocks);
    g_test_add_func("/platform/network-state/both-tell", test_both_tell);
    return g_test_run();
}
