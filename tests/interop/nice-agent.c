/* SPDX-License-Identifier: Apache-2.0 */
/* Our ICE agent against libnice's NiceAgent over loopback sockets, each in both roles. NiceAgent
 * owns its sockets and timers, so this runs in real time on the GLib main loop. */
#include <arpa/inet.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nice/agent.h>

#include "engine/ice/agent.h"
#include "engine/stun/stun.h"
#include "tests/support/rng.h"

#define DEADLINE_S 15
#define TICK_MS    5

static const struct sp_ice_creds ours = { "xcuw", "fokl57dz3lj5hx4ezkho3d" };
static const struct sp_ice_creds theirs = { "gvws", "ns7h7t5cmmbg4lk3cyc3ea" };

struct fixture {
    GMainLoop *loop;
    struct sp_ice_agent *agent;
    struct test_rng rng;
    int fd;
    struct sp_endpoint self;
    NiceAgent *nice;
    guint stream;
    bool nominated;
    bool peer_ready;
    bool payload_arrived;
    bool peer_controls; /* as its last request said */
    bool timed_out;
};

static sp_time
now(void)
{
    return (sp_time)g_get_monotonic_time() * 1000;
}

static void
open_socket(struct fixture *f)
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof addr;

    f->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    g_assert_cmpint(f->fd, >=, 0);
    g_assert_cmpint(bind(f->fd, (struct sockaddr *)&addr, n), ==, 0);
    g_assert_cmpint(getsockname(f->fd, (struct sockaddr *)&addr, &n), ==, 0);
    f->self = (struct sp_endpoint){ .ip = sp_ip4(127, 0, 0, 1), .port = ntohs(addr.sin_port) };
}

static void
send_to(const struct fixture *f, const struct sp_endpoint *dst, const void *bytes, size_t n)
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(dst->port) };

    memcpy(&addr.sin_addr, dst->ip.b, 4);
    (void)!sendto(f->fd, bytes, n, 0, (struct sockaddr *)&addr, sizeof addr);
}

static void
drain(struct fixture *f)
{
    struct sp_ice_event ev;
    struct sp_ice_tx tx;

    while (sp_ice_agent_poll_event(f->agent, &ev))
        f->nominated |= ev.type == SP_ICE_EVENT_NOMINATED;
    while (sp_ice_agent_poll_transmit(f->agent, &tx))
        send_to(f, &tx.dst, tx.bytes, tx.len);
}

/* The "controlling-mode" property keeps what was configured, so the role is read off the wire. */
static void
note_peer_role(struct fixture *f, struct sp_span bytes)
{
    struct sp_stun_msg msg;

    if (sp_stun_parse(bytes, &msg) == 0 && msg.cls == SP_STUN_REQUEST)
        f->peer_controls = sp_stun_has(&msg, SP_STUN_ICE_CONTROLLING);
}

static void
receive(struct fixture *f)
{
    struct sockaddr_in addr;
    socklen_t len = sizeof addr;
    uint8_t buf[1500];
    ssize_t n;

    while ((n = recvfrom(f->fd, buf, sizeof buf, 0, (struct sockaddr *)&addr, &len)) >= 0) {
        struct sp_endpoint from = { .port = ntohs(addr.sin_port) };
        struct sp_span bytes = sp_span(buf, (size_t)n);

        from.ip = sp_ip_from_bytes(4, (const uint8_t *)&addr.sin_addr);
        note_peer_role(f, bytes);
        if (sp_stun_is_stun(bytes))
            (void)!sp_ice_agent_handle_stun(f->agent, bytes, &from, &f->self, now());
        drain(f);
    }
}

static gboolean
tick_cb(gpointer data)
{
    struct fixture *f = data;

    receive(f);
    if (sp_ice_agent_next_timeout(f->agent) <= now())
        sp_ice_agent_handle_timeout(f->agent, now());
    drain(f);
    if (f->nominated && f->peer_ready) {
        struct sp_endpoint base, remote;

        if (sp_ice_agent_nominated(f->agent, &base, &remote))
            send_to(f, &remote, "payload", 7);
    }
    return G_SOURCE_CONTINUE;
}

static gboolean
deadline_cb(gpointer data)
{
    struct fixture *f = data;

    f->timed_out = true;
    g_main_loop_quit(f->loop);
    return G_SOURCE_REMOVE;
}

static void
state_cb(NiceAgent *nice, guint stream, guint component, guint state, gpointer data)
{
    struct fixture *f = data;

    (void)nice;
    (void)stream;
    (void)component;
    f->peer_ready = state == NICE_COMPONENT_STATE_READY;
}

static void
recv_cb(NiceAgent *nice, guint stream, guint component, guint len, gchar *buf, gpointer data)
{
    struct fixture *f = data;

    (void)nice;
    (void)stream;
    (void)component;
    f->payload_arrived |= len == 7 && memcmp(buf, "payload", 7) == 0;
    if (f->payload_arrived && f->peer_controls != sp_ice_agent_is_controlling(f->agent))
        g_main_loop_quit(f->loop);
}

static void
start_nice(struct fixture *f, bool controlling)
{
    NiceAddress local;

    f->nice = nice_agent_new(NULL, NICE_COMPATIBILITY_RFC5245);
    g_object_set(f->nice, "controlling-mode", controlling, "ice-tcp", FALSE, "upnp", FALSE, NULL);
    nice_address_init(&local);
    g_assert_true(nice_address_set_from_string(&local, "127.0.0.1"));
    g_assert_true(nice_agent_add_local_address(f->nice, &local));
    f->stream = nice_agent_add_stream(f->nice, 1);
    g_signal_connect(f->nice, "component-state-changed", G_CALLBACK(state_cb), f);
    nice_agent_attach_recv(f->nice, f->stream, 1, NULL, recv_cb, f);
    g_assert_true(nice_agent_set_local_credentials(f->nice, f->stream, theirs.ufrag, theirs.pwd));
    g_assert_true(nice_agent_gather_candidates(f->nice, f->stream));
    g_assert_true(nice_agent_set_remote_credentials(f->nice, f->stream, ours.ufrag, ours.pwd));
}

static void
start_ours(struct fixture *f, bool controlling)
{
    struct sp_ice_config config = {
        .controlling = controlling,
        .local = ours,
        .remote = theirs,
        .timing = sp_ice_timing_client_active,
        .rng = test_rng_init(&f->rng, 77),
    };

    f->agent = sp_ice_agent_new(&config);
}

/* Both texts go through the other side's parser: the signalled form is under test, too. */
static void
exchange_candidates(struct fixture *f)
{
    GSList *list = nice_agent_get_local_candidates(f->nice, f->stream, 1);
    struct sp_ice_candidate c, adopted;
    char text[SP_ICE_CANDIDATE_STR_MAX];
    g_autofree char *line = NULL;
    NiceCandidate *parsed;
    GSList *one;
    unsigned n = 0;

    for (GSList *l = list; l; l = l->next) {
        g_autofree char *sdp = nice_agent_generate_local_candidate_sdp(f->nice, l->data);

        g_assert_true(g_str_has_prefix(sdp, "a="));
        if (sp_ice_candidate_parse(sdp + 2, theirs.ufrag, &c) < 0)
            continue;
        g_assert_cmpint(sp_ice_agent_add_remote(f->agent, &c, now()), ==, 0);
        n++;
    }
    g_assert_cmpuint(n, >, 0);
    g_slist_free_full(list, (GDestroyNotify)nice_candidate_free);

    g_assert_cmpint(sp_ice_candidate_host(&f->self, &c), ==, 0);
    g_assert_cmpint(sp_ice_agent_add_local(f->agent, &c, &adopted), ==, 0);
    adopted.ufrag[0] = '\0'; /* libnice takes the stream's */
    line = g_strconcat("a=", sp_ice_candidate_format(&adopted, text), NULL);
    parsed = nice_agent_parse_remote_candidate_sdp(f->nice, f->stream, line);
    g_assert_nonnull(parsed);
    one = g_slist_append(NULL, parsed);
    g_assert_cmpint(nice_agent_set_remote_candidates(f->nice, f->stream, 1, one), ==, 1);
    g_slist_free_full(one, (GDestroyNotify)nice_candidate_free);
}

static void
run_case(bool we_control, bool they_control)
{
    struct fixture f = { .loop = g_main_loop_new(NULL, FALSE) };
    guint tick, deadline;

    open_socket(&f);
    start_ours(&f, we_control);
    start_nice(&f, they_control);
    exchange_candidates(&f);
    tick = g_timeout_add(TICK_MS, tick_cb, &f);
    deadline = g_timeout_add_seconds(DEADLINE_S, deadline_cb, &f);
    g_main_loop_run(f.loop);

    g_assert_false(f.timed_out);
    g_source_remove(deadline);
    g_source_remove(tick);
    g_assert_true(f.payload_arrived);
    g_assert_true(sp_ice_state_is_connected(sp_ice_agent_state(f.agent)));
    g_assert_cmpint(f.peer_controls, !=, sp_ice_agent_is_controlling(f.agent));
    g_object_unref(f.nice);
    sp_ice_agent_free(f.agent);
    g_main_loop_unref(f.loop);
    close(f.fd);
}

static void
we_control(void)
{
    run_case(true, false);
}

static void
they_control(void)
{
    run_case(false, true);
}

static void
both_control(void)
{
    run_case(true, true);
}

static void
nobody_controls(void)
{
    run_case(false, false);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ice/nice/we-control", we_control);
    g_test_add_func("/ice/nice/they-control", they_control);
    g_test_add_func("/ice/nice/both-control", both_control);
    g_test_add_func("/ice/nice/nobody-controls", nobody_controls);
    return g_test_run();
}
