/* SPDX-License-Identifier: Apache-2.0 */
/* The relay program without its main loop: options, health answers, and the server on loopback. */
#include <string.h>

#include <gio/gio.h>

#include "app/relay/health.h"
#include "app/relay/metrics.h"
#include "app/relay/options.h"
#include "app/relay/server.h"
#include "engine/stun/stun.h"

#define WATCHDOG_MS 20000

static gboolean
parse(struct relay_options *opt, const char *line, GError **error)
{
    g_auto(GStrv) words = g_strsplit(line, " ", -1);
    int argc = (int)g_strv_length(words);
    g_autofree char **argv = g_memdup2(words, sizeof *words * (size_t)(argc + 1));

    return relay_options_parse(opt, &argc, &argv, error);
}

static void
options_are_checked(void)
{
    static const struct {
        const char *line;
        gboolean ok;
    } cases[] = {
        { "x --standalone --public-ip4 192.0.2.1", TRUE },
        { "x --standalone --public-ip6 2001:db8::1 --deny-peer 10.0.0.0/8,fc00::/7", TRUE },
        { "x --standalone", FALSE },
        { "x --public-ip4 192.0.2.1", FALSE },
        { "x --standalone --public-ip4 2001:db8::1", FALSE },
        { "x --standalone --public-ip4 192.0.2.1 --listen-port 65536", FALSE },
        { "x --standalone --public-ip4 192.0.2.1 --lowest-port 5 --highest-port 4", FALSE },
        { "x --standalone --public-ip4 192.0.2.1 --deny-peer 10.0.0.1/8", FALSE },
        { "x --standalone --public-ip4 192.0.2.1 --rate -1", FALSE },
        { "x --standalone --public-ip4 192.0.2.1 --channel-max 8000", FALSE },
        { "x --standalone --public-ip4 192.0.2.1 --test-user u", FALSE },
        { "x --standalone --public-ip4 192.0.2.1 token", FALSE },
        { "x --version", TRUE },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        struct relay_options opt;

        g_test_message("case %zu", i);
        g_assert_cmpint(parse(&opt, cases[i].line, &error), ==, cases[i].ok);
        g_assert_cmpint(error == NULL, ==, cases[i].ok);
        relay_options_done(&opt);
    }
}

static void
options_from_environment(void)
{
    g_autoptr(GError) error = NULL;
    struct relay_options opt;

    g_setenv("SALLYPORT_PUBLIC_IP4_ADDR", "192.0.2.7", TRUE);
    g_setenv("SALLYPORT_LISTEN_PORT", "1234", TRUE);
    g_setenv("SALLYPORT_API_URL", "wss://portal.example.com", TRUE);
    g_setenv("SALLYPORT_TOKEN", "secret", TRUE);
    g_assert_true(parse(&opt, "x --listen-port 1235 --health-check-addr none", &error));
    g_assert_no_error(error);
    g_assert_cmpuint(opt.public4.b[3], ==, 7);
    g_assert_cmpuint(opt.listen_port, ==, 1235);
    g_assert_cmpuint(opt.lowest_port, ==, 49152);
    g_assert_cmpuint(opt.highest_port, ==, 65535);
    g_assert_cmpuint(opt.drain_s, ==, 0);
    g_assert_null(opt.health);
    g_assert_cmpuint(g_bytes_get_size(opt.token), ==, 6);
    g_assert_null(g_getenv("SALLYPORT_TOKEN"));
    relay_options_done(&opt);
    g_unsetenv("SALLYPORT_PUBLIC_IP4_ADDR");
    g_unsetenv("SALLYPORT_LISTEN_PORT");
    g_unsetenv("SALLYPORT_API_URL");
}

static gboolean
ready(void *ctx)
{
    return *(bool *)ctx;
}

static char *
empty_metrics(SP_UNUSED void *ctx)
{
    struct sp_relay_stats relay = { .allocations = 3 };
    struct relay_sockets_stats sockets = { 0 };

    relay.responses[SP_RELAY_REFRESH][SP_RELAY_437] = 2;
    return relay_metrics_text(&relay, &sockets);
}

static void
health_answers(void)
{
    static const struct {
        const char *request;
        bool ready;
        const char *begin, *contains;
    } cases[] = {
        { "GET /healthz HTTP/1.1\r\n\r\n", false, "HTTP/1.1 200 ", "sallyport-relay" },
        { "GET /readyz HTTP/1.1\r\n\r\n", false, "HTTP/1.1 503 ", "" },
        { "GET /readyz HTTP/1.0\r\n\r\n", true, "HTTP/1.1 200 ", "" },
        { "HEAD /readyz HTTP/1.0\r\n\r\n", true, "HTTP/1.1 200 ", "\r\n\r\n" },
        { "GET /metrics HTTP/1.1\r\n\r\n", true, "HTTP/1.1 200 ", "relay_active_allocations 3\n" },
        { "GET /metrics HTTP/1.1\r\n\r\n",
          true,
          "HTTP/1.1 200 ",
          "relay_responses{response_class=\"error\",message_type=\"refresh\",error_code=\"437\"} 2" },
        { "GET / HTTP/1.1\r\n\r\n", true, "HTTP/1.1 404 ", "" },
        { "POST /healthz HTTP/1.1\r\n\r\n", true, "HTTP/1.1 405 ", "" },
        { "GET /healthz\r\n\r\n", true, "HTTP/1.1 400 ", "" },
        { "\r\n\r\n", true, "HTTP/1.1 400 ", "" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        bool is = cases[i].ready;
        struct relay_health_ops ops = { .ready = ready, .metrics = empty_metrics, .ctx = &is };
        g_autofree char *answer = relay_health_answer(&ops, cases[i].request);

        g_test_message("case %zu", i);
        g_assert_true(g_str_has_prefix(answer, cases[i].begin));
        g_assert_nonnull(strstr(answer, cases[i].contains));
    }
}

static gboolean
watchdog_cb(SP_UNUSED gpointer data)
{
    g_error("no answer");
    return G_SOURCE_REMOVE;
}

/* The sockets really carry a request and its answer. */
static void
binding_on_loopback(void)
{
    static const uint8_t txid[SP_STUN_TXID_LEN] = { 1, 2, 3 };
    g_autoptr(GError) error = NULL;
    g_autoptr(GInetAddress) loopback = g_inet_address_new_loopback(G_SOCKET_FAMILY_IPV4);
    g_autoptr(GSocketAddress) to = NULL;
    g_autoptr(GSocket) socket =
        g_socket_new(G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_DATAGRAM, G_SOCKET_PROTOCOL_UDP, &error);
    guint watchdog = g_timeout_add(WATCHDOG_MS, watchdog_cb, NULL);
    struct relay_server *server;
    struct sp_stun_builder b;
    struct sp_stun_msg msg;
    struct relay_options opt;
    struct sp_endpoint mapped;
    uint8_t buf[200];
    gssize n;

    g_assert_no_error(error);
    g_assert_true(
        parse(&opt,
              "x --standalone --public-ip4 127.0.0.1 --bind-ip4 127.0.0.1 --listen-port 0",
              &error));
    server = relay_server_new(&opt, "secret", NULL, &error);
    g_assert_no_error(error);
    to = g_inet_socket_address_new(loopback, relay_server_port(server));
    b = sp_stun_build(buf, sizeof buf, SP_STUN_REQUEST, SP_STUN_BINDING, txid);
    n = sp_stun_finish(&b);
    g_socket_set_blocking(socket, FALSE);
    g_assert_cmpint(g_socket_send_to(socket, to, (const char *)buf, (gsize)n, NULL, &error), ==, n);
    while (relay_server_socket_stats(server)->sent == 0)
        g_main_context_iteration(NULL, TRUE);
    n = g_socket_receive(socket, (char *)buf, sizeof buf, NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpint(sp_stun_parse(sp_span(buf, (size_t)n), &msg), ==, 0);
    g_assert_true(sp_stun_get_xor_addr(&msg, SP_STUN_XOR_MAPPED_ADDRESS, 0, &mapped));
    g_assert_cmpuint(mapped.ip.b[0], ==, 127);
    g_assert_cmpuint(relay_server_stats(server)->responses[SP_RELAY_BINDING][0], ==, 1);
    relay_server_free(server);
    relay_options_done(&opt);
    g_source_remove(watchdog);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/relay-program/options", options_are_checked);
    g_test_add_func("/relay-program/environment", options_from_environment);
    g_test_add_func("/relay-program/health", health_answers);
    g_test_add_func("/relay-program/binding-on-loopback", binding_on_loopback);
    return g_test_run();
}
