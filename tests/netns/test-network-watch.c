/* SPDX-License-Identifier: Apache-2.0 */
/* What the watcher makes of a real kernel. Each case has a namespace of its own with two uplinks. */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "app/platform/network-watch.h"
#include "app/platform/socket.h"

#define NS    "spwatch"
#define QUIET 900  /* ms, more than the 500 that a change is waited out */
#define AWAIT 3000 /* ms */

struct seen {
    unsigned n;
    enum sp_network_event last;
};

static void
changed(void *ctx, enum sp_network_event event)
{
    struct seen *seen = ctx;

    seen->n++;
    seen->last = event;
}

static void
shell(const char *script)
{
    g_auto(GStrv) argv = g_new0(char *, 4);
    g_autoptr(GError) error = NULL;
    g_autofree char *problem = NULL;
    int status = 0;

    argv[0] = g_strdup("sh");
    argv[1] = g_strdup("-ec");
    argv[2] = g_strdup(script);
    g_spawn_sync(NULL,
                 argv,
                 NULL,
                 G_SPAWN_SEARCH_PATH,
                 NULL,
                 NULL,
                 NULL,
                 &problem,
                 &status,
                 &error);
    g_assert_no_error(error);
    if (status)
        g_error("%s: %s", script, problem);
}

static bool
enter_new_namespace(void)
{
    int fd;

    shell("ip netns del " NS " 2>/dev/null || true; ip netns add " NS);
    fd = open("/run/netns/" NS, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
        return false;
    close(fd);
    return true;
}

/* Until something was seen, or the time is over. */
static void
iterate(const struct seen *seen, unsigned n, int ms)
{
    gint64 end = g_get_monotonic_time() + ms * G_TIME_SPAN_MILLISECOND;

    while (seen->n < n && g_get_monotonic_time() < end) {
        while (g_main_context_iteration(NULL, FALSE))
            ;
        g_usleep(2000);
    }
}

#define UPLINKS                                                                          \
    "ip link set lo up;"                                                                 \
    "for i in 1 2; do ip link add up$i type veth peer name far$i;"                       \
    " ip addr add 192.0.$i.5/24 dev up$i; ip addr add 2001:db8:$i::5/64 dev up$i nodad;" \
    " ip link set far$i up; ip link set up$i up; done;"
#define VIA_1 UPLINKS "ip route add default via 192.0.1.1;"
#define BOTH  VIA_1 "ip -6 route add default via 2001:db8:1::1;"

static const struct {
    const char *name, *before, *script;
    unsigned reports;
    enum sp_network_event event;
} cases[] = {
    { "nothing", BOTH, "true", 0, 0 },
    { "route replaced", BOTH, "ip route replace default via 192.0.2.1", 1, SP_NETWORK_CHANGED },
    { "gateway replaced", BOTH, "ip route replace default via 192.0.1.2", 1, SP_NETWORK_CHANGED },
    { "IPv6 route replaced",
      BOTH,
      "ip -6 route replace default via 2001:db8:2::1",
      1,
      SP_NETWORK_CHANGED },
    { "a better route beside it",
      BOTH,
      "ip route replace default via 192.0.1.1 metric 600; ip route del default via 192.0.1.1 metric 0;"
      " ip route add default via 192.0.2.1 metric 100",
      1,
      SP_NETWORK_CHANGED },
    { "a worse route beside it", BOTH, "ip route add default via 192.0.2.1 metric 600", 0, 0 },
    { "address replaced",
      BOTH,
      "ip addr del 192.0.1.5/24 dev up1; ip addr add 192.0.1.6/24 dev up1;"
      " ip route add default via 192.0.1.1",
      1,
      SP_NETWORK_CHANGED },
    { "unrelated address", BOTH, "ip addr add 198.51.100.7/24 dev up2", 0, 0 },
    { "second address", BOTH, "ip addr add 192.0.1.77/24 dev up1", 0, 0 },
    { "unrelated link", BOTH, "ip link set up2 down", 0, 0 },
    { "unrelated route", BOTH, "ip route add 203.0.113.0/24 via 192.0.2.1", 0, 0 },
    { "IPv6 comes later", VIA_1, "ip -6 route add default via 2001:db8:1::1", 0, 0 },
    { "network gone", VIA_1, "ip link set up1 down", 0, 0 },
    { "carrier gone", VIA_1, "ip link set far1 down", 0, 0 },
    { "first network", UPLINKS, "ip route add default via 192.0.2.1", 1, SP_NETWORK_BACK },
    { "our own tunnel",
      BOTH,
      "ip tuntap add dev tun-watch mode tun; ip addr add 100.64.0.5/32 dev tun-watch;"
      " ip link set tun-watch up; ip route add default dev tun-watch table 7777;"
      " ip rule add not fwmark 0x5a110001 lookup 7777 priority 110;"
      " ip -6 route add default dev tun-watch table 7777;"
      " ip -6 rule add not fwmark 0x5a110001 lookup 7777 priority 110",
      0,
      0 },
};

static struct sp_network_watch *
watch_new(struct seen *seen)
{
    /* no bus there: the kernel has to do */
    const struct sp_network_watch_options options = { .bus = "unix:path=/nonexistent/bus",
                                                      .ifname = "tun-watch",
                                                      .mark = SP_DEFAULT_MARK,
                                                      .changed = changed,
                                                      .ctx = seen };

    return sp_network_watch_new(&options);
}

static void
test_case(gconstpointer data)
{
    size_t i = GPOINTER_TO_SIZE(data);
    struct sp_network_watch *watch;
    struct seen seen = { 0 };

    g_assert_true(enter_new_namespace());
    shell(cases[i].before);
    watch = watch_new(&seen);
    iterate(&seen, 1, 50);
    g_assert_cmpuint(seen.n, ==, 0);
    shell(cases[i].script);
    if (cases[i].reports)
        iterate(&seen, 1, AWAIT);
    iterate(&seen, 2, QUIET);
    if (seen.n != cases[i].reports || seen.last != cases[i].event)
        g_error("%s: %u reports, last: %s",
                cases[i].name,
                seen.n,
                sp_network_event_name(seen.last));
    sp_network_watch_free(watch);
}

/* Down and up again, by switch and by cable: one report each, when it is back. */
static void
test_down_and_up(void)
{
    static const char *const scripts[][2] = {
        { "ip link set up1 down", "ip link set up1 up; ip route add default via 192.0.1.1" },
        { "ip link set far1 down", "ip link set far1 up" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(scripts); i++) {
        struct sp_network_watch *watch;
        struct seen seen = { 0 };

        g_assert_true(enter_new_namespace());
        shell(VIA_1);
        watch = watch_new(&seen);
        shell(scripts[i][0]);
        iterate(&seen, 1, QUIET);
        g_assert_cmpuint(seen.n, ==, 0);
        shell(scripts[i][1]);
        iterate(&seen, 1, AWAIT);
        iterate(&seen, 2, QUIET);
        g_assert_cmpuint(seen.n, ==, 1);
        g_assert_cmpint(seen.last, ==, SP_NETWORK_BACK);
        sp_network_watch_free(watch);
    }
}

int
main(int argc, char **argv)
{
    int home, r;

    g_test_init(&argc, &argv, NULL);
    home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (geteuid() != 0 || !enter_new_namespace()) {
        g_print("1..0 # SKIP needs root and network namespaces\n");
        return 77;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *name = g_strdup_printf("/netns/network-watch/%02zu", i + 1);

        g_test_add_data_func(name, GSIZE_TO_POINTER(i), test_case);
    }
    g_test_add_func("/netns/network-watch/down-and-up", test_down_and_up);
    r = g_test_run();
    if (setns(home, CLONE_NEWNET) == 0)
        shell("ip netns del " NS);
    close(home);
    return r;
}
