/* SPDX-License-Identifier: Apache-2.0 */
/* The platform layer against a real kernel, in network namespaces of its own. */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/driver/dns-upstream.h"
#include "app/driver/loop.h"
#include "app/driver/resolver.h"
#include "app/platform/clock.h"
#include "app/platform/error.h"
#include "app/platform/nat.h"
#include "app/platform/net.h"
#include "app/platform/offload.h"
#include "engine/base/wr.h"
#include "tests/netns/relay-engine.h"

#define NS_A "spplat-a"
#define NS_B "spplat-b"

static void
enter(const char *ns)
{
    g_autofree char *path = g_strdup_printf("/run/netns/%s", ns);
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(setns(fd, CLONE_NEWNET), ==, 0);
    close(fd);
}

static char *run(const char *format, ...) G_GNUC_PRINTF(1, 2);

/* Runs a command in the present namespace, its words separated by single spaces and never quoted.
 * Returns its standard output. */
static char *
run(const char *format, ...)
{
    g_autofree char *line = NULL;
    g_auto(GStrv) argv = NULL;
    char *out = NULL;
    int status = 0;
    va_list args;

    va_start(args, format);
    line = g_strdup_vprintf(format, args);
    va_end(args);
    argv = g_strsplit(line, " ", -1);
    g_assert_true(
        g_spawn_sync(NULL, argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out, NULL, &status, NULL));
    if (status)
        g_test_message("%s: status %d", line, status);
    return out;
}

static void
namespaces_gone(void)
{
    g_free(run("ip netns del " NS_A));
    g_free(run("ip netns del " NS_B));
}

/* Two namespaces with a wire between them. */
static void
namespaces_new(void)
{
    namespaces_gone();
    g_free(run("ip netns add " NS_A));
    g_free(run("ip netns add " NS_B));
    /* duplicate address detection would hold IPv6 back for a second */
    g_free(run("ip netns exec " NS_A " sysctl -qw net.ipv6.conf.default.accept_dad=0"));
    g_free(run("ip netns exec " NS_B " sysctl -qw net.ipv6.conf.default.accept_dad=0"));
    g_free(run("ip -n " NS_A " link add wire type veth peer name wire netns " NS_B));
    g_free(run("ip -n " NS_A " addr add 192.0.2.1/24 dev wire"));
    g_free(run("ip -n " NS_B " addr add 192.0.2.2/24 dev wire"));
    g_free(run("ip -n " NS_A " addr add 2001:db8::1/64 dev wire nodad"));
    g_free(run("ip -n " NS_B " addr add 2001:db8::2/64 dev wire nodad"));
    for (int i = 0; i < 2; i++) {
        const char *ns = i ? NS_B : NS_A;

        g_free(run("ip -n %s link set lo up", ns));
        g_free(run("ip -n %s link set wire up", ns));
    }
    /* neighbours are known from here on, so that no test races with their discovery */
    g_free(run("ip netns exec " NS_A " ping -c 1 -W 2 192.0.2.2"));
    g_free(run("ip netns exec " NS_A " ping -c 1 -W 2 2001:db8::2"));
}

static struct sp_tun *
new_tun(const char *name)
{
    g_autoptr(GError) error = NULL;
    struct sp_tun *tun = NULL;

    g_assert_cmpint(sp_tun_new(name, NULL, &tun, &error), ==, 0);
    g_assert_no_error(error);
    return tun;
}

static void
test_tun_cycles(void)
{
    enter(NS_A);
    for (int i = 0; i < 20; i++) {
        struct sp_tun *tun = new_tun("spplat0");
        g_autofree char *there = run("ip -o link show dev spplat0"), *gone = NULL;

        g_assert_nonnull(strstr(there, "spplat0"));
        sp_tun_free(tun);
        gone = run("ip -o link show dev spplat0");
        g_assert_cmpstr(gone, ==, "");
    }
}

static void
test_tun_name_conflict(void)
{
    static const char *const bad[] = { "", "a/b", "0123456789abcdef", "a%d" };
    struct sp_tun *tun, *other = NULL;
    g_autoptr(GError) error = NULL;

    enter(NS_A);
    tun = new_tun("spplat0");
    g_assert_cmpint(sp_tun_new("spplat0", NULL, &other, &error), ==, -EBUSY);
    g_assert_error(error, SP_PLATFORM_ERROR, SP_PLATFORM_ERROR_BUSY);
    g_clear_error(&error);
    sp_tun_free(tun);
    g_free(run("ip tuntap add dev spplat1 mode tun multi_queue"));
    g_assert_cmpint(sp_tun_new("spplat1", NULL, &other, &error), ==, -EBUSY);
    g_free(run("ip tuntap del dev spplat1 mode tun multi_queue"));
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
        g_assert_cmpint(sp_tun_new(bad[i], NULL, &other, NULL), ==, -EINVAL);
}

static struct sp_net *
new_net(void)
{
    struct sp_net_options options;
    g_autoptr(GError) error = NULL;
    struct sp_net *net = NULL;

    sp_net_options_init(&options);
    g_assert_cmpint(sp_net_new(&options, NULL, &net, &error), ==, 0);
    g_assert_no_error(error);
    return net;
}

static void
apply(struct sp_net *net, const char *v4, const char *v6, const char *const *routes, size_t n)
{
    struct sp_net_config config = { .ifname = "spplat0", .n_routes = n };
    struct sp_cidr nets[8];
    struct sp_net_result result;
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(sp_ip_parse(v4, &config.ipv4), ==, 0);
    g_assert_cmpint(sp_ip_parse(v6, &config.ipv6), ==, 0);
    for (size_t i = 0; i < n; i++)
        g_assert_cmpint(sp_cidr_parse(routes[i], &nets[i]), ==, 0);
    config.routes = nets;
    g_assert_cmpint(sp_net_config_apply(net, &config, &result, &error), ==, 0);
    g_assert_no_error(error);
    g_assert_true(result.v4 && result.v6);
    g_assert_cmpuint(result.routes_failed, ==, 0);
}

static void
assert_has(const char *text, const char *what, bool wanted)
{
    if (!!strstr(text, what) != wanted)
        g_error("\"%s\" is %s in:\n%s", what, wanted ? "not" : "still", text);
}

#define TABLE_USER     "1511128320" /* 0x5a11fd00 */
#define TABLE_LINK     "1511128321"
#define TABLE_INTERNET "1511128322"

static void
check_rules(unsigned count)
{
    for (int f = 0; f < 2; f++) {
        g_autofree char *rules = run("ip -%d rule show", f ? 6 : 4);
        unsigned n = 0;

        for (const char *p = rules; (p = strstr(p, "not from all fwmark 0x5a110001")); p++)
            n++;
        g_assert_cmpuint(n, ==, count);
    }
}

static void
test_net_config(void)
{
    static const char *const first[] = { "100.64.0.0/11", "fd00:2021:1111::/107", "10.9.0.0/16" };
    static const char *const second[] = { "100.64.0.0/11",
                                          "fd00:2021:1111::/107",
                                          "0.0.0.0/0",
                                          "::/0" };
    struct sp_tun *tun;
    struct sp_net *net;
    char *out;

    enter(NS_A);
    tun = new_tun("spplat0");
    net = new_net();
    for (int i = 0; i < 2; i++) /* twice: nothing may change */
        apply(net, "100.64.0.5", "fd00:2021:1111::5", first, 3);
    out = run("ip addr show dev spplat0");
    assert_has(out, "inet 100.64.0.5/32", true);
    assert_has(out, "inet6 fd00:2021:1111::5/128", true);
    assert_has(out, "fe80", false);
    assert_has(out, "mtu 1280", true);
    assert_has(out, "qlen 10000", true);
    g_free(out);
    out = run("ip route show table " TABLE_USER);
    assert_has(out, "100.64.0.0/11", true);
    assert_has(out, "10.9.0.0/16", true);
    g_free(out);
    check_rules(3);

    apply(net, "100.64.0.6", "fd00:2021:1111::6", second, 4);
    out = run("ip addr show dev spplat0");
    assert_has(out, "100.64.0.5", false);
    assert_has(out, "inet 100.64.0.6/32", true);
    g_free(out);
    out = run("ip route show table " TABLE_USER);
    assert_has(out, "10.9.0.0/16", false);
    assert_has(out, "100.64.0.0/11", true);
    g_free(out);
    out = run("ip route show table " TABLE_INTERNET);
    assert_has(out, "default dev spplat0", true);
    g_free(out);

    /* same addresses, one route less */
    apply(net, "100.64.0.6", "fd00:2021:1111::6", second, 2);
    out = run("ip route show table " TABLE_INTERNET);
    g_assert_cmpstr(out, ==, "");
    g_free(out);

    g_assert_cmpint(sp_net_sync_links(net), ==, 0);
    out = run("ip route show table " TABLE_LINK);
    assert_has(out, "192.0.2.0/24 dev wire", true);
    assert_has(out, "spplat0", false);
    g_free(out);
    out = run("ip -6 route show table " TABLE_LINK);
    assert_has(out, "2001:db8::/64 dev wire", true);
    g_free(out);
    g_free(run("ip addr add 198.51.100.1/24 dev wire"));
    g_assert_cmpint(sp_net_sync_links(net), ==, 0);
    g_free(run("ip addr del 198.51.100.1/24 dev wire"));
    g_assert_cmpint(sp_net_sync_links(net), ==, 0);
    out = run("ip route show table " TABLE_LINK);
    assert_has(out, "198.51.100.0", false);
    g_free(out);

    sp_net_config_cleanup(net);
    check_rules(0);
    out = run("ip route show table all");
    assert_has(out, "table " TABLE_LINK, false);
    assert_has(out, "table " TABLE_USER, false);
    g_free(out);
    sp_net_free(net);
    sp_tun_free(tun);
}

/* What a crashed run left in our tables goes at the next start. */
static void
test_net_start_flush(void)
{
    struct sp_net *net;
    char *out;

    enter(NS_A);
    g_free(run("ip route add 10.1.0.0/16 dev wire table " TABLE_LINK));
    g_free(run("ip route add 10.2.0.0/16 dev wire table 77"));
    net = new_net();
    out = run("ip route show table all");
    assert_has(out, "10.1.0.0/16", false);
    assert_has(out, "10.2.0.0/16", true);
    g_free(out);
    g_free(run("ip route flush table 77"));
    sp_net_free(net);
}

static void
test_net_no_ipv6(void)
{
    struct sp_net_config config = { .ifname = "spplat0", .n_routes = 2 };
    struct sp_net_result result;
    struct sp_cidr nets[2];
    struct sp_tun *tun;
    struct sp_net *net;

    enter(NS_A);
    tun = new_tun("spplat0");
    net = new_net();
    g_free(run("sysctl -qw net.ipv6.conf.spplat0.disable_ipv6=1"));
    g_assert_cmpint(sp_ip_parse("100.64.0.5", &config.ipv4), ==, 0);
    g_assert_cmpint(sp_ip_parse("fd00:2021:1111::5", &config.ipv6), ==, 0);
    g_assert_cmpint(sp_cidr_parse("100.64.0.0/11", &nets[0]), ==, 0);
    g_assert_cmpint(sp_cidr_parse("fd00:2021:1111::/107", &nets[1]), ==, 0);
    config.routes = nets;
    g_assert_cmpint(sp_net_config_apply(net, &config, &result, NULL), ==, 0);
    g_assert_true(result.v4 && !result.v6);
    g_assert_cmpuint(result.routes_failed, ==, 0);
    sp_net_config_cleanup(net);
    sp_net_free(net);
    sp_tun_free(tun);
}

/* With everything routed into the tunnel, the marked socket still reaches the wire. */
static void
test_mark_bypasses(void)
{
    static const char *const routes[] = { "0.0.0.0/0", "192.0.2.0/24" };
    struct sp_udp_options options = { .mark = SP_DEFAULT_MARK };
    struct sp_transmit tx = { 0 };
    struct sp_udp_datagram in[4];
    struct sp_udp *a = NULL, *b = NULL;
    struct sp_pkt_pool pool;
    struct sp_tun *tun;
    struct sp_net *net;
    int n = 0;

    sp_pkt_pool_init(&pool, 64);
    enter(NS_B);
    g_assert_cmpint(sp_udp_new(4, &options, NULL, &b, NULL), ==, 0);
    enter(NS_A);
    tun = new_tun("spplat0");
    net = new_net();
    apply(net, "100.64.0.5", "fd00:2021:1111::5", routes, 2);
    g_assert_cmpint(sp_udp_new(4, &options, NULL, &a, NULL), ==, 0);
    g_assert_cmpint(sp_endpoint_parse("192.0.2.2:1", &tx.dst), ==, 0);
    tx.dst.port = sp_udp_port(b);
    tx.pkt = sp_pkt_from_bytes(&pool, "hello", 5);
    tx.pkt->ecn = 2;
    sp_udp_send_batch(a, &tx, 1);
    g_assert_cmpuint(sp_udp_get_stats(a)->sent_packets, ==, 1);
    for (int i = 0; i < 200 && n == 0; i++) {
        n = sp_udp_recv_batch(b, &pool, in, 4);
        if (n == 0)
            g_usleep(1000);
    }
    g_assert_cmpint(n, ==, 1);
    g_assert_cmpmem(sp_pkt_data(in[0].pkt), in[0].pkt->len, "hello", 5);
    g_assert_cmpuint(in[0].pkt->ecn, ==, 2);
    g_assert_cmpuint(in[0].meta.from.port, ==, sp_udp_port(a));
    g_assert_cmpuint(in[0].meta.local.port, ==, sp_udp_port(b));
    g_assert_cmpuint(in[0].meta.local.ip.b[3], ==, 2);
    sp_pkt_free(in[0].pkt);
    sp_udp_free(a);

    /* the same without the mark goes into the device */
    options.mark = 0;
    g_assert_cmpint(sp_udp_new(4, &options, NULL, &a, NULL), ==, 0);
    tx.pkt = sp_pkt_from_bytes(&pool, "hello", 5);
    sp_udp_send_batch(a, &tx, 1);
    {
        struct sp_pkt_queue q = { .max = 16 };

        g_assert_cmpint(sp_tun_read(tun, &pool, &q), ==, 1);
        g_assert_cmpuint(q.len, ==, 1);
        sp_pkt_queue_clear(&q);
    }
    sp_udp_free(a);
    sp_udp_free(b);
    sp_net_config_cleanup(net);
    sp_net_free(net);
    sp_tun_free(tun);
    sp_pkt_pool_done(&pool);
}

/* Unequal sizes, many at once, both families: everything arrives unchanged and in order. */
static void
test_udp_batches(void)
{
    for (int f = 0; f < 4; f++) {
        struct sp_udp_options options = { .no_offload = f >= 2 };
        static struct sp_udp_datagram in[512];
        struct sp_transmit tx[200] = { 0 };
        struct sp_udp *a = NULL, *b = NULL;
        struct sp_pkt_pool pool;
        size_t got = 0;

        sp_pkt_pool_init(&pool, 1024);
        enter(NS_B);
        g_assert_cmpint(sp_udp_new(f & 1 ? 6 : 4, &options, NULL, &b, NULL), ==, 0);
        enter(NS_A);
        g_assert_cmpint(sp_udp_new(f & 1 ? 6 : 4, &options, NULL, &a, NULL), ==, 0);
        for (size_t i = 0; i < 200; i++) {
            g_assert_cmpint(
                sp_endpoint_parse(f & 1 ? "[2001:db8::2]:1" : "192.0.2.2:1", &tx[i].dst),
                ==,
                0);
            tx[i].dst.port = sp_udp_port(b);
            tx[i].has_src = i & 1;
            g_assert_cmpint(sp_ip_parse(f & 1 ? "2001:db8::1" : "192.0.2.1", &tx[i].src), ==, 0);
            tx[i].pkt = sp_pkt_alloc(&pool);
            tx[i].pkt->len = (uint16_t)(i % 23 == 0 ? 300 : i % 17 == 0 ? 1316 : 1200);
            memset(sp_pkt_data(tx[i].pkt), (int)i, tx[i].pkt->len);
        }
        sp_udp_send_batch(a, tx, 200);
        g_assert_cmpuint(sp_udp_get_stats(a)->sent_packets, ==, 200);
        for (int i = 0; i < 500 && got < 200; i++) {
            int n = sp_udp_recv_batch(b, &pool, in + got, 512 - got);

            if (n <= 0)
                g_usleep(1000);
            got += (size_t)MAX(n, 0);
        }
        g_assert_cmpuint(got, ==, 200);
        g_test_message("%" G_GUINT64_FORMAT " sends, %" G_GUINT64_FORMAT " receives",
                       sp_udp_get_stats(a)->send_calls,
                       sp_udp_get_stats(b)->recv_calls);
        for (size_t parity = 0; parity < 2; parity++) {
            size_t want = parity;

            for (size_t i = 0; i < got; i++) {
                uint8_t v = sp_pkt_data(in[i].pkt)[0];

                if (v % 2 != parity)
                    continue;
                g_assert_cmpuint(v, ==, want);
                g_assert_cmpuint(in[i].pkt->len, ==, v % 23 == 0 ? 300 : v % 17 == 0 ? 1316 : 1200);
                want += 2;
            }
        }
        for (size_t i = 0; i < got; i++)
            sp_pkt_free(in[i].pkt);
        sp_udp_free(a);
        sp_udp_free(b);
        sp_pkt_pool_done(&pool);
    }
}

/* ---- two loops in one process, each with device and sockets of its own namespace ---- */

struct side {
    const char *ns;
    struct relay_engine engine;
    struct sp_pkt_pool pool;
    struct sp_loop *loop;
    struct sp_net *net;
    uint16_t port;
    unsigned events;
    unsigned fatal;
};

static void
on_event(void *ctx, void *event)
{
    struct side *s = ctx;

    g_assert_true(event == &s->engine);
    s->events++;
}

static void
on_notice(void *ctx, const struct sp_loop_notice *notice)
{
    struct side *s = ctx;

    if (notice->kind == SP_LOOP_UDP_BOUND)
        s->port = notice->port4;
    else
        s->fatal++;
}

/* The sockets are bound by sp_loop_start() in the namespace of the caller. */
static void
side_start(struct side *s, const char *ns, const char *peer, const char *v4, const char *v6)
{
    static const char *const routes[] = { "100.64.0.0/11", "fd00:2021:1111::/107" };
    struct sp_loop_config config = { .on_event = on_event, .on_notice = on_notice, .ctx = s };
    g_autoptr(GError) error = NULL;
    struct sp_endpoint ep;
    struct sp_tun *tun;

    enter(ns);
    *s = (struct side){ .ns = ns };
    g_assert_cmpint(sp_endpoint_parse(peer, &ep), ==, 0);
    relay_engine_init(&s->engine, &ep);
    sp_pkt_pool_init(&s->pool, 8192);
    config.pool = &s->pool;
    config.udp = (struct sp_udp_options){ .mark = SP_DEFAULT_MARK, .port = SP_UDP_DEFAULT_PORT };
    tun = new_tun("spplat0");
    g_test_message("offloads 0x%02x", sp_tun_offloads(tun));
    s->net = new_net();
    apply(s->net, v4, v6, routes, 2);
    s->loop = sp_loop_new(&relay_engine_ops, &s->engine, &config);
    sp_loop_set_tun(s->loop, tun);
    g_assert_cmpint(sp_loop_start(s->loop, &error), ==, 0);
    g_assert_no_error(error);
}

static void
side_stop(struct side *s)
{
    enter(s->ns);
    sp_loop_stop(s->loop, 100);
    sp_loop_free(s->loop);
    sp_net_config_cleanup(s->net);
    sp_net_free(s->net);
    sp_pkt_queue_clear(&s->engine.to_tun);
    sp_pkt_queue_clear(&s->engine.to_udp);
    g_assert_cmpuint(s->pool.in_use, ==, 0);
    sp_pkt_pool_done(&s->pool);
}

static void
show_stats(const char *name, struct sp_loop *loop)
{
    struct sp_loop_stats st;

    sp_loop_get_stats(loop, &st);
    g_test_message("%s: turns %" G_GUINT64_FORMAT ", tun %" G_GUINT64_FORMAT
                   " packets in %" G_GUINT64_FORMAT " reads, %" G_GUINT64_FORMAT
                   " in %" G_GUINT64_FORMAT " writes; udp %" G_GUINT64_FORMAT
                   " in %" G_GUINT64_FORMAT " sends, %" G_GUINT64_FORMAT " in %" G_GUINT64_FORMAT
                   " receives; lost %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT,
                   name,
                   st.turns,
                   st.tun.read_packets,
                   st.tun.reads,
                   st.tun.written_packets,
                   st.tun.writes,
                   st.udp[0].sent_packets,
                   st.udp[0].send_calls,
                   st.udp[0].recv_packets,
                   st.udp[0].recv_calls,
                   st.udp[0].send_would_block,
                   st.tun.write_errors,
                   st.pool_exhausted);
    g_assert_cmpuint(st.tun.dropped, ==, 0);
    g_assert_cmpuint(st.tun.write_errors, ==, 0);
    g_assert_cmpuint(st.udp[0].gso_fallbacks, ==, 0);
}

static double
iperf(const char *args)
{
    g_autofree char *out = run("ip netns exec " NS_A " iperf3 -c %s -t 2 -f m", args);
    char **lines = g_strsplit(out, "\n", -1);
    double mbit = 0;

    for (size_t i = 0; lines[i]; i++)
        if (strstr(lines[i], "receiver")) {
            const char *p = strstr(lines[i], "Bytes");

            if (p)
                mbit = g_ascii_strtod(p + 5, NULL);
        }
    if (mbit <= 0)
        g_test_message("%s", out);
    g_strfreev(lines);
    return mbit;
}

static void
iterate(int ms)
{
    gint64 end = g_get_monotonic_time() + ms * 1000;

    while (g_get_monotonic_time() < end) {
        while (g_main_context_iteration(NULL, FALSE))
            ;
        g_usleep(1000);
    }
}

static void
test_loop_relay(void)
{
    static const char *const runs[] = { "100.64.0.2",
                                        "100.64.0.2 -R",
                                        "fd00:2021:1111::2",
                                        "100.64.0.2 -u -b 300M -l 1200",
                                        "fd00:2021:1111::2 -u -b 300M -l 1200 -R" };
    static struct side a, b;
    g_auto(GStrv) argv = g_strsplit("ip netns exec " NS_B " iperf3 -s", " ", -1);
    GPid server = 0;
    char *out;

    side_start(&a, NS_A, "192.0.2.2:52625", "100.64.0.1", "fd00:2021:1111::1");
    side_start(&b, NS_B, "192.0.2.1:52625", "100.64.0.2", "fd00:2021:1111::2");
    iterate(50);
    g_assert_cmpuint(a.port, ==, SP_UDP_DEFAULT_PORT);
    g_assert_cmpuint(b.port, ==, SP_UDP_DEFAULT_PORT);
    out = run("ip netns exec " NS_A " ping -c 2 -i 0.2 -W 2 100.64.0.2");
    assert_has(out, " 0% packet loss", true);
    g_free(out);
    out = run("ip netns exec " NS_A " ping -c 2 -i 0.2 -W 2 -s 1232 fd00:2021:1111::2");
    assert_has(out, " 0% packet loss", true);
    g_free(out);
    g_assert_true(
        g_spawn_async(NULL,
                      argv,
                      NULL,
                      G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_STDOUT_TO_DEV_NULL,
                      NULL,
                      NULL,
                      &server,
                      NULL));
    g_usleep(300000);
    for (size_t i = 0; i < G_N_ELEMENTS(runs); i++) {
        double mbit = iperf(runs[i]);

        g_test_message("iperf3 %s: %.2f Gbit/s", runs[i], mbit / 1000);
        g_assert_cmpfloat(mbit, >, 50);
    }
    kill(server, SIGTERM);
    waitpid(server, NULL, 0);
    for (int i = 0; i < 10; i++)
        g_assert_cmpint(sp_loop_post(a.loop, &a), ==, 0);
    iterate(100);
    show_stats("a", a.loop);
    show_stats("b", b.loop);
    g_assert_cmpuint(a.events, >, 3);
    g_assert_cmpuint(a.fatal, ==, 0);
    side_stop(&a);
    side_stop(&b);
    g_assert_cmpuint(a.engine.commands, ==, 10);
    enter(NS_A);
    out = run("ip -o link show dev spplat0");
    g_assert_cmpstr(out, ==, "");
    g_free(out);
}

/* Deleting the interface under a running loop is the end of the session, told once. */
static void
test_loop_fatal(void)
{
    static struct side a;

    side_start(&a, NS_A, "192.0.2.2:52625", "100.64.0.1", "fd00:2021:1111::1");
    g_free(run("ip link del spplat0"));
    for (int i = 0; i < 100 && !a.fatal; i++)
        iterate(10);
    g_assert_cmpuint(a.fatal, ==, 1);
    side_stop(&a);
}

/* The gateway's table comes whole, replaces what a crash left, and goes without a trace. */
static void
test_nat(void)
{
    g_autoptr(GError) error = NULL;
    struct sp_nat *nat;
    char *out;

    enter(NS_A);
    g_free(run("sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=1"));
    g_free(run("nft add table inet sallyport_spplat0"));
    g_free(run("nft add chain inet sallyport_spplat0 stale"));
    nat = sp_nat_new("spplat0", NULL, &error);
    g_assert_no_error(error);
    out = run("nft list ruleset");
    assert_has(out, "stale", false);
    assert_has(out, "oifname != \"spplat0\" ip saddr 100.64.0.0/11 masquerade", true);
    assert_has(out, "oifname != \"spplat0\" ip6 saddr fd00:2021:1111::/107 masquerade", true);
    assert_has(out, "iifname \"spplat0\" accept", true);
    g_free(out);
    out = run("sysctl -n net.ipv4.ip_forward");
    g_assert_cmpstr(out, ==, "1\n");
    g_free(out);
    sp_nat_free(nat);
    out = run("nft list ruleset");
    g_assert_cmpstr(out, ==, "");
    g_free(out);
    out = run("sysctl -n net.ipv4.ip_forward net.ipv6.conf.all.forwarding");
    g_assert_cmpstr(out, ==, "0\n1\n");
    g_free(out);
    g_free(run("sysctl -qw net.ipv6.conf.all.forwarding=0"));
    g_assert_null(sp_nat_new("a\" drop", NULL, &error));
    g_assert_error(error, SP_PLATFORM_ERROR, SP_PLATFORM_ERROR_INVALID);
}

/* A client's packet leaves the gateway with the gateway's address. */
static void
test_nat_masquerades(void)
{
    static const uint8_t src[4] = { 100, 64, 0, 7 }, dst[4] = { 192, 0, 2, 2 };
    static const char *const routes[] = { "100.64.0.0/11", "fd00:2021:1111::/107" };
    struct sp_udp_options options = { .mark = SP_DEFAULT_MARK };
    struct sp_pkt_queue batch = { .max = 1 };
    struct sp_udp_datagram in[1];
    struct sp_udp *b = NULL;
    struct sp_pkt_pool pool;
    struct sp_nat *nat;
    struct sp_tun *tun;
    struct sp_net *net;
    struct sp_pkt *pkt;
    uint8_t *p;
    int n = 0;

    sp_pkt_pool_init(&pool, 8);
    enter(NS_B);
    g_assert_cmpint(sp_udp_new(4, &options, NULL, &b, NULL), ==, 0);
    enter(NS_A);
    tun = new_tun("spplat0");
    net = new_net();
    apply(net, "100.64.0.1", "fd00:2021:1111::1", routes, 2);
    nat = sp_nat_new("spplat0", NULL, NULL);
    g_assert_nonnull(nat);
    pkt = sp_pkt_alloc(&pool);
    pkt->len = 30;
    p = sp_pkt_data(pkt);
    memset(p, 0, 30);
    p[0] = 0x45;
    p[3] = 30;
    p[8] = 64;
    p[9] = 17;
    memcpy(p + 12, src, 4);
    memcpy(p + 16, dst, 4);
    sp_put_be16(p + 10, (uint16_t)~sp_csum_fold(sp_csum_add(0, p, 20)));
    sp_put_be16(p + 20, 4000);
    sp_put_be16(p + 22, sp_udp_port(b));
    p[25] = 10;
    memcpy(p + 28, "ok", 2);
    g_assert_cmpint(sp_pkt_queue_push(&batch, pkt), ==, 0);
    sp_tun_write_batch(tun, &batch);
    for (int i = 0; i < 200 && n == 0; i++) {
        n = sp_udp_recv_batch(b, &pool, in, 1);
        if (n == 0)
            g_usleep(1000);
    }
    g_assert_cmpint(n, ==, 1);
    g_assert_cmpuint(in[0].meta.from.ip.b[0], ==, 192);
    g_assert_cmpuint(in[0].meta.from.ip.b[3], ==, 1);
    sp_pkt_free(in[0].pkt);
    sp_nat_free(nat);
    sp_net_config_cleanup(net);
    sp_net_free(net);
    sp_tun_free(tun);
    sp_udp_free(b);
    sp_pkt_pool_done(&pool);
}

struct answers {
    unsigned n;
    uint64_t id;
    int code;
    bool failed;
    uint8_t reply[64];
    size_t len;
    struct sp_ip addrs[8];
    size_t n_addrs;
};

static void
on_reply(void *ctx, uint64_t id, int code, struct sp_span reply)
{
    struct answers *a = ctx;

    a->n++;
    a->id = id;
    a->code = code;
    a->len = MIN(reply.n, sizeof a->reply);
    if (a->len)
        memcpy(a->reply, reply.p, a->len);
}

static void
wait_answers(struct answers *a, unsigned want)
{
    for (int i = 0; i < 300 && a->n < want; i++)
        iterate(10);
    g_assert_cmpuint(a->n, ==, want);
}

static void
test_dns_upstream(void)
{
    static const uint8_t query[12] = { 0x12, 0x34 }, other[12] = { 0x43, 0x21 };
    struct sp_endpoint server = { .ip = { .family = 4, .b = { 127, 0, 0, 1 } } };
    g_autoptr(GSocketAddress) any = NULL, from = NULL;
    g_autoptr(GSocket) listener = NULL;
    struct sp_dns_upstream *up;
    struct answers a = { 0 };
    char buf[64];

    enter(NS_A);
    any = sp_socket_address(&server);
    listener = sp_socket_new_udp(4, 0, NULL);
    g_assert_true(g_socket_bind(listener, any, FALSE, NULL));
    g_clear_object(&any);
    any = g_socket_get_local_address(listener, NULL);
    g_assert_true(sp_socket_address_parse(any, &server));
    up = sp_dns_upstream_new(SP_DEFAULT_MARK, on_reply, &a);
    g_assert_cmpint(sp_dns_upstream_query(up, 7, &server, sp_span(query, 12)), ==, 0);
    g_assert_cmpuint(sp_dns_upstream_in_flight(up), ==, 1);
    iterate(20);
    g_assert_cmpint(g_socket_receive_from(listener, &from, buf, sizeof buf, NULL, NULL), ==, 12);
    /* an answer to another question is not the end */
    g_assert_cmpint(g_socket_send_to(listener, from, (const char *)other, 12, NULL, NULL), ==, 12);
    iterate(20);
    g_assert_cmpuint(a.n, ==, 0);
    g_assert_cmpint(g_socket_send_to(listener, from, (const char *)query, 12, NULL, NULL), ==, 12);
    wait_answers(&a, 1);
    g_assert_cmpuint(a.id, ==, 7);
    g_assert_cmpint(a.code, ==, 0);
    g_assert_cmpmem(a.reply, (int)a.len, query, 12);
    /* nobody listens */
    g_socket_close(listener, NULL);
    g_assert_cmpint(sp_dns_upstream_query(up, 8, &server, sp_span(query, 12)), ==, 0);
    wait_answers(&a, 2);
    g_assert_cmpint(a.code, <, 0);
    g_assert_cmpuint(sp_dns_upstream_in_flight(up), ==, 0);
    sp_dns_upstream_free(up);
}

/* The server's half is written with blocking calls: the main loop runs in between. */
static void
test_dns_upstream_tcp(void)
{
    static const uint8_t query[14] = { 0, 12, 0x12, 0x34 };
    struct sp_endpoint server = { .ip = { .family = 4, .b = { 127, 0, 0, 1 } } };
    struct sp_ip source = server.ip;
    g_autoptr(GSocketAddress) any = NULL;
    g_autoptr(GSocket) listener = NULL;
    struct sp_dns_upstream *up;
    struct answers a = { 0 };

    enter(NS_A);
    any = sp_socket_address(&server);
    listener = sp_socket_new_tcp(4, 0, NULL);
    g_assert_true(g_socket_bind(listener, any, FALSE, NULL));
    g_assert_true(g_socket_listen(listener, NULL));
    g_clear_object(&any);
    any = g_socket_get_local_address(listener, NULL);
    g_assert_true(sp_socket_address_parse(any, &server));
    up = sp_dns_upstream_new(SP_DEFAULT_MARK, on_reply, &a);
    for (unsigned i = 0; i < 2; i++) { /* around the tunnel, then from an address of ours */
        g_autoptr(GSocket) peer = NULL;
        char buf[64];

        g_assert_cmpint(sp_dns_upstream_query_tcp(up,
                                                  7 + i,
                                                  &server,
                                                  i ? &source : NULL,
                                                  sp_span(query + 2, 12)),
                        ==,
                        0);
        iterate(20);
        peer = g_socket_accept(listener, NULL, NULL);
        g_assert_nonnull(peer);
        g_assert_cmpint(g_socket_receive(peer, buf, sizeof buf, NULL, NULL), ==, 14);
        g_assert_cmpmem(buf, 14, query, 14);
        g_assert_cmpint(g_socket_send(peer, buf, 5, NULL, NULL), ==, 5); /* in two pieces */
        iterate(20);
        g_assert_cmpuint(a.n, ==, i);
        g_assert_cmpint(g_socket_send(peer, buf + 5, 9, NULL, NULL), ==, 9);
        wait_answers(&a, i + 1);
        g_assert_cmpuint(a.id, ==, 7 + i);
        g_assert_cmpint(a.code, ==, 0);
        g_assert_cmpmem(a.reply, (int)a.len, query + 2, 12);
    }
    g_socket_close(listener, NULL);
    g_assert_cmpint(sp_dns_upstream_query_tcp(up, 9, &server, NULL, sp_span(query + 2, 12)), ==, 0);
    wait_answers(&a, 3);
    g_assert_cmpint(a.code, ==, -ECONNREFUSED);
    g_assert_cmpuint(sp_dns_upstream_in_flight(up), ==, 0);
    sp_dns_upstream_free(up);
}

static void
on_resolved(void *ctx, uint64_t id, bool failed, const struct sp_ip *addrs, size_t n)
{
    struct answers *a = ctx;

    a->n++;
    a->id = id;
    a->failed = failed;
    a->n_addrs = MIN(n, G_N_ELEMENTS(a->addrs));
    if (a->n_addrs)
        memcpy(a->addrs, addrs, a->n_addrs * sizeof *addrs);
}

static void
test_resolver(void)
{
    struct sp_resolver *resolver;
    struct answers a = { 0 };

    enter(NS_A);
    resolver = sp_resolver_new(on_resolved, &a);
    g_assert_cmpint(sp_resolver_resolve(resolver, 3, "localhost"), ==, 0);
    wait_answers(&a, 1);
    g_assert_cmpuint(a.id, ==, 3);
    g_assert_false(a.failed);
    g_assert_cmpuint(a.n_addrs, >=, 1);
    g_assert_cmpuint(a.addrs[0].b[0], ==, 127);
    g_assert_cmpint(sp_resolver_resolve(resolver, 4, ""), <, 0);
    /* freed with look-ups under way: no call afterwards */
    for (uint64_t i = 0; i < 100; i++)
        g_assert_cmpint(sp_resolver_resolve(resolver, i, "localhost"), ==, 0);
    sp_resolver_free(resolver);
    iterate(50);
    g_assert_cmpuint(a.n, ==, 1);
}

int
main(int argc, char **argv)
{
    int r;

    g_test_init(&argc, &argv, NULL);
    if (geteuid() != 0 || access("/dev/net/tun", R_OK | W_OK) < 0) {
        g_print("1..0 # SKIP needs root and /dev/net/tun\n");
        return 77;
    }
    namespaces_new();
    if (access("/run/netns/" NS_B, F_OK) < 0) {
        g_print("1..0 # SKIP cannot make network namespaces\n");
        return 77;
    }
    g_test_add_func("/netns/platform/tun/cycles", test_tun_cycles);
    g_test_add_func("/netns/platform/tun/name-conflict", test_tun_name_conflict);
    g_test_add_func("/netns/platform/net/config", test_net_config);
    g_test_add_func("/netns/platform/net/start-flush", test_net_start_flush);
    g_test_add_func("/netns/platform/net/no-ipv6", test_net_no_ipv6);
    g_test_add_func("/netns/platform/udp/mark-bypasses", test_mark_bypasses);
    g_test_add_func("/netns/platform/udp/batches", test_udp_batches);
    g_test_add_func("/netns/platform/loop/relay", test_loop_relay);
    g_test_add_func("/netns/platform/loop/fatal", test_loop_fatal);
    g_test_add_func("/netns/platform/nat/table", test_nat);
    g_test_add_func("/netns/platform/nat/masquerades", test_nat_masquerades);
    g_test_add_func("/netns/driver/dns-upstream", test_dns_upstream);
    g_test_add_func("/netns/driver/dns-upstream-tcp", test_dns_upstream_tcp);
    g_test_add_func("/netns/driver/resolver", test_resolver);
    r = g_test_run();
    namespaces_gone();
    return r;
}
