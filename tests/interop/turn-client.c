/* SPDX-License-Identifier: Apache-2.0 */
/* Our TURN client against coturn's turnserver over loopback, in real time.
 *
 * The client speaks to relays of one kind, which differ from RFC 8656 in three habits. A thin layer
 * between the two, conform(), makes up for them:
 *  - the first ALLOCATE is signed but has no NONCE; coturn answers that with 400, so it is sent to
 *    it unsigned
 *  - those relays sign their 401 and 438 too; coturn does not
 *  - a REFRESH carries REQUESTED-TRANSPORT; coturn answers that with 420 */
#include <arpa/inet.h>
#include <gio/gio.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/stun/channeldata.h"
#include "engine/stun/stun.h"
#include "engine/turn/turn.h"
#include "tests/support/rng.h"

#define PROGRAM    "turnserver"
#define USER       "1999999999-salt" /* coturn takes none with a colon */
#define PASSWORD   "correct horse"
#define DEADLINE_S 6

struct fixture {
    GSubprocess *server;
    struct sp_turn *turn;
    struct test_rng rng;
    uint8_t key[SP_STUN_LONG_KEY_LEN]; /* of the client; wrong when its password is */
    int fd;
    int peer_fd;
    struct sp_endpoint self;
    struct sp_endpoint peer;
    struct sp_endpoint relay;
    struct sp_endpoint relayed;
    char payload[64];       /* the latest from the peer */
    unsigned succeeded[16]; /* answers by method */
    unsigned codes[700];
    bool invalidated;
};

static sp_time
now(void)
{
    return (sp_time)g_get_monotonic_time() * 1000;
}

static int
open_socket(struct sp_endpoint *ret_self)
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof addr;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&addr, n), ==, 0);
    g_assert_cmpint(getsockname(fd, (struct sockaddr *)&addr, &n), ==, 0);
    *ret_self = (struct sp_endpoint){ .ip = sp_ip4(127, 0, 0, 1), .port = ntohs(addr.sin_port) };
    return fd;
}

static void
send_to(int fd, const struct sp_endpoint *dst, const void *bytes, size_t n)
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(dst->port) };

    memcpy(&addr.sin_addr, dst->ip.b, 4);
    (void)!sendto(fd, bytes, n, 0, (struct sockaddr *)&addr, sizeof addr);
}

/* Returns: bytes, 0 when there is nothing */
static size_t
receive_from(int fd, void *buf, size_t cap, struct sp_endpoint *ret_from)
{
    struct sockaddr_in addr;
    socklen_t len = sizeof addr;
    ssize_t n = recvfrom(fd, buf, cap, 0, (struct sockaddr *)&addr, &len);

    if (n <= 0)
        return 0;
    *ret_from = (struct sp_endpoint){ .ip = sp_ip_from_bytes(4, (uint8_t *)&addr.sin_addr),
                                      .port = ntohs(addr.sin_port) };
    return (size_t)n;
}

/* ---- habits ---------------------------------------------------------------------------------- */

static bool
is_left_out(const struct sp_stun_msg *msg, uint16_t type, bool is_unsigned)
{
    if (is_unsigned && (type == SP_STUN_USERNAME || type == SP_STUN_REALM))
        return true;
    return msg->cls == SP_STUN_REQUEST && msg->method == SP_STUN_REFRESH
           && type == SP_STUN_REQUESTED_TRANSPORT;
}

/* Returns: length of the message in @out as the other side knows it */
static size_t
conform(const struct fixture *f, struct sp_span in, uint8_t *out, size_t cap)
{
    struct sp_stun_builder b;
    struct sp_stun_msg msg;
    struct sp_span value;
    size_t cursor = 0;
    uint16_t type;
    bool is_first;
    int n;

    g_assert_cmpint(sp_stun_parse(in, &msg), ==, 0);
    is_first = msg.cls == SP_STUN_REQUEST && !sp_stun_has(&msg, SP_STUN_NONCE);
    b = sp_stun_build(out, cap, msg.cls, msg.method, msg.txid);
    while (sp_stun_next(&msg, &cursor, &type, &value))
        if (!is_left_out(&msg, type, is_first))
            sp_stun_put(&b, type, value.p, value.n);
    if (msg.method != SP_STUN_BINDING && !is_first)
        sp_stun_put_integrity(&b, sp_span(f->key, sizeof f->key));
    n = sp_stun_finish(&b);
    g_assert_cmpint(n, >, 0);
    return (size_t)n;
}

static void
note_answer(struct fixture *f, struct sp_span bytes)
{
    struct sp_stun_msg msg;

    g_assert_cmpint(sp_stun_parse(bytes, &msg), ==, 0);
    if (msg.cls == SP_STUN_SUCCESS) {
        if (msg.method != SP_STUN_BINDING) /* coturn signs these itself */
            g_assert_true(msg.integrity != 0);
        f->succeeded[msg.method & 15]++;
    } else {
        f->codes[sp_stun_get_error(&msg)]++;
        g_test_message("%u to method %x", sp_stun_get_error(&msg), msg.method);
    }
}

/* ---- the loop -------------------------------------------------------------------------------- */

static void
from_relay(struct fixture *f, uint8_t *bytes, size_t n, const struct sp_endpoint *from)
{
    struct sp_udp_meta meta = { .local = f->self, .from = *from };
    struct sp_span in = sp_span(bytes, n);
    struct sp_turn_payload payload;
    uint8_t conformed[2048];
    struct sp_stun_msg msg;

    if (sp_stun_is_stun(in)) {
        note_answer(f, in);
        g_assert_cmpint(sp_stun_parse(in, &msg), ==, 0);
        if (msg.cls == SP_STUN_ERROR) /* a success goes through as it is */
            in = sp_span(conformed, conform(f, in, conformed, sizeof conformed));
    }
    if (sp_turn_handle_input(f->turn, &meta, in, now(), &payload) != SP_TURN_PAYLOAD)
        return;
    g_assert_true(sp_endpoint_equal(&payload.peer, &f->peer));
    g_assert_true(sp_endpoint_equal(&payload.relayed, &f->relayed));
    g_assert_cmpuint(payload.bytes.n, <, sizeof f->payload);
    memset(f->payload, 0, sizeof f->payload);
    memcpy(f->payload, payload.bytes.p, payload.bytes.n);
}

static void
drain(struct fixture *f)
{
    struct sp_turn_event event;
    struct sp_turn_tx tx;
    uint8_t bytes[2048];

    while (sp_turn_poll_event(f->turn, &event)) {
        f->invalidated |= event.type == SP_TURN_EV_INVALID;
        if (event.type == SP_TURN_EV_NEW && event.candidate.kind == SP_ICE_RELAY)
            f->relayed = event.candidate.addr;
    }
    while (sp_turn_poll_transmit(f->turn, &tx)) {
        size_t n = conform(f, sp_span(tx.bytes, tx.len), bytes, sizeof bytes);

        send_to(f->fd, &tx.dst, bytes, n);
    }
}

static void
turn_once(struct fixture *f)
{
    struct pollfd fds[] = { { f->fd, POLLIN, 0 }, { f->peer_fd, POLLIN, 0 } };
    struct sp_endpoint from;
    uint8_t bytes[2048];
    size_t n;

    drain(f);
    (void)poll(fds, G_N_ELEMENTS(fds), 10);
    while ((n = receive_from(f->fd, bytes, sizeof bytes, &from)))
        from_relay(f, bytes, n, &from);
    while ((n = receive_from(f->peer_fd, bytes, sizeof bytes, &from))) {
        g_assert_true(sp_endpoint_equal(&from, &f->relayed));
        send_to(f->peer_fd, &from, bytes, n); /* an echo */
    }
    if (sp_turn_next_timeout(f->turn) <= now())
        sp_turn_handle_timeout(f->turn, now());
}

#define RUN_UNTIL(f, condition)                         \
    do {                                                \
        sp_time deadline_ = now() + SP_SEC(DEADLINE_S); \
        while (!(condition)) {                          \
            g_assert_cmpuint(now(), <, deadline_);      \
            turn_once(f);                               \
        }                                               \
    } while (0)

static void
run_for(struct fixture *f, sp_duration d)
{
    sp_time end = now() + d;

    while (now() < end)
        turn_once(f);
}

/* ---- set-up ---------------------------------------------------------------------------------- */

static void
start_server(struct fixture *f)
{
    g_autofree char *port = g_strdup_printf("%u", f->relay.port);
    const char *const argv[] = { PROGRAM,
                                 "-n",
                                 "--listening-ip=127.0.0.1",
                                 "--relay-ip=127.0.0.1",
                                 "--listening-port",
                                 port,
                                 "--lt-cred-mech",
                                 "--user=" USER ":" PASSWORD,
                                 "--realm=firezone",
                                 "--stale-nonce=2",
                                 "--allow-loopback-peers",
                                 "--no-tls",
                                 "--no-dtls",
                                 "--no-tcp",
                                 "--no-tcp-relay",
                                 "--no-cli",
                                 "--relay-threads=1",
                                 "--log-file=stdout",
                                 "--pidfile=/dev/null",
                                 "--userdb=/dev/null",
                                 NULL };
    g_autoptr(GError) error = NULL;

    f->server =
        g_subprocess_newv(argv,
                          G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_SILENCE,
                          &error);
    g_assert_no_error(error);
}

static void
start_client(struct fixture *f, const char *password)
{
    struct sp_turn_config config = {
        .addr4 = f->relay,
        .username = USER,
        .password = password,
        .rng = test_rng_init(&f->rng, (uint64_t)now()),
    };

    sp_stun_long_term_key(USER, SP_TURN_REALM, password, f->key);
    f->turn = sp_turn_new(&config, now());
    g_assert_nonnull(f->turn);
}

static void
setup(struct fixture *f, gconstpointer password)
{
    int fd;

    *f = (struct fixture){ 0 };
    f->fd = open_socket(&f->self);
    f->peer_fd = open_socket(&f->peer);
    fd = open_socket(&f->relay); /* a port that is free */
    (void)close(fd);
    start_server(f);
    start_client(f, password);
}

static void
teardown(struct fixture *f, gconstpointer data SP_UNUSED)
{
    sp_turn_free(f->turn);
    g_subprocess_force_exit(f->server);
    g_assert_true(g_subprocess_wait(f->server, NULL, NULL));
    g_object_unref(f->server);
    (void)close(f->fd);
    (void)close(f->peer_fd);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void
echo(struct fixture *f, const char *text)
{
    uint8_t bytes[64] = { 0 };
    struct sp_endpoint dst;
    size_t n = strlen(text);

    g_assert_cmpuint(n, <, sizeof bytes - 4);
    RUN_UNTIL(f, sp_turn_channel_header(f->turn, &f->peer, (uint16_t)n, now(), bytes, &dst) == 0);
    memcpy(bytes + 4, text, n);
    drain(f);
    send_to(f->fd, &dst, bytes, n + 4);
    RUN_UNTIL(f, strcmp(f->payload, text) == 0);
}

static void
life(struct fixture *f, gconstpointer data SP_UNUSED)
{
    sp_duration srtt;

    RUN_UNTIL(f, sp_turn_state(f->turn) == SP_TURN_ACTIVE);
    drain(f);
    g_assert_cmpuint(f->codes[401], >=, 1);
    g_assert_cmpint(f->relayed.ip.family, ==, 4);
    g_assert_true(sp_turn_srtt(f->turn, &srtt));

    sp_turn_bind_channel(f->turn, &f->peer, now());
    RUN_UNTIL(f, f->succeeded[SP_STUN_CHANNEL_BIND] == 1);
    echo(f, "one");
    echo(f, "and another one");

    /* By now the nonce is stale. */
    run_for(f, SP_SEC(3));
    sp_turn_refresh_on_demand(f->turn, now());
    RUN_UNTIL(f, f->succeeded[SP_STUN_REFRESH] == 1);
    g_assert_cmpuint(f->codes[438], >=, 1);
    run_for(f, SP_MS(1200));
    g_assert_false(f->invalidated);
    echo(f, "after a refresh");

    /* From scratch on the same 5-tuple: the old allocation is in the way. coturn confirms the
     * deletion at once but carries it out later, which ends the tries; the next list of relays
     * starts them again. */
    sp_turn_reset(f->turn, now());
    RUN_UNTIL(f,
              sp_turn_state(f->turn) == SP_TURN_SUSPENDED
                  || sp_turn_state(f->turn) == SP_TURN_ACTIVE);
    g_assert_cmpuint(f->codes[437], >=, 1);
    run_for(f, SP_SEC(2));
    sp_turn_refresh_on_demand(f->turn, now());
    RUN_UNTIL(f, sp_turn_state(f->turn) == SP_TURN_ACTIVE);
    drain(f);
    echo(f, "after a reset");
}

static void
wrong_password(struct fixture *f, gconstpointer data SP_UNUSED)
{
    RUN_UNTIL(f, sp_turn_end(f->turn) != SP_TURN_END_NONE);
    g_assert_cmpstr(sp_turn_end_name(sp_turn_end(f->turn)), ==, "authentication error");
    g_assert_cmpuint(f->codes[401], ==, 2);
    g_assert_cmpuint(f->succeeded[SP_STUN_ALLOCATE], ==, 0);
}

int
main(int argc, char **argv)
{
    g_autofree char *program = g_find_program_in_path(PROGRAM);

    g_test_init(&argc, &argv, NULL);
    if (!program)
        return 77;
    g_test_add("/interop/coturn/life", struct fixture, PASSWORD, setup, life, teardown);
    g_test_add("/interop/coturn/wrong-password",
               struct fixture,
               "battery staple",
               setup,
               wrong_password,
               teardown);
    return g_test_run();
}
