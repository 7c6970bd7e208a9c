/* SPDX-License-Identifier: Apache-2.0 */
/* One WireGuard peer on a real UDP socket and TUN device, around engine/wg and nothing else, so that
 * a stranger's implementation can be its counterpart. Test program; see wireguard-go.py.
 *
 *   wg-peer run TUN PORT PEER-IP:PORT PRIVATE-KEY PEER-KEY PSK REKEY-AFTER-S   (keys in hex)
 *       Lines on stdin: "initiate", "stats"; end of file ends it. Lines on stdout tell what happened.
 *   wg-peer flood PEER-IP:PORT PEER-KEY RATE SECONDS
 *       Initiations with a right mac1 from an unknown key; rate 0 is as fast as possible. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "engine/wg/wg.h"
#include "tests/support/hex.h"

enum {
    BATCH = 64,
    SOCKET_BUFFER = 4 << 20
};

struct peer {
    struct sp_wg_identity id;
    struct sp_wg_limiter lim;
    struct sp_wg_tunnel *t;
    struct sp_pkt_pool pool;
    struct sockaddr_in to;
    int udp, tun;
    uint64_t dropped; /* datagrams and packets of any kind that went nowhere */
    bool answered;    /* the handshake message last taken was a response */
};

static sp_time
clock_ns(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return SP_SEC((uint64_t)ts.tv_sec) + (uint64_t)ts.tv_nsec;
}

static sp_time
now_ns(void)
{
    return clock_ns(CLOCK_BOOTTIME);
}

__attribute__((noreturn)) static void
die(const char *what)
{
    fprintf(stderr, "wg-peer: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void
say(const char *line)
{
    puts(line);
    fflush(stdout);
}

static void
parse_key(const char *hex, uint8_t key[SP_WG_KEY_LEN])
{
    if (test_unhex(hex, key, SP_WG_KEY_LEN) != SP_WG_KEY_LEN)
        die("key length");
}

static struct sockaddr_in
parse_endpoint(const char *text)
{
    struct sockaddr_in sa = { .sin_family = AF_INET };
    struct sp_endpoint ep;

    if (sp_endpoint_parse(text, &ep) < 0 || ep.ip.family != 4)
        die("endpoint");
    memcpy(&sa.sin_addr, ep.ip.b, 4);
    sa.sin_port = htons(ep.port);
    return sa;
}

static uint32_t
parse_number(const char *text)
{
    uint32_t v;

    if (sp_parse_u32(text, strlen(text), UINT32_MAX, &v) < 0)
        die("number");
    return v;
}

static int
open_udp(uint16_t port)
{
    struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port) };
    const int size = SOCKET_BUFFER;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof sa) < 0)
        die("udp socket");
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
    return fd;
}

static int
open_tun(const char *name)
{
    struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI };
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        die("/dev/net/tun");
    snprintf(ifr.ifr_name, sizeof ifr.ifr_name, "%s", name);
    if (ioctl(fd, TUNSETIFF, &ifr) < 0)
        die("TUNSETIFF");
    return fd;
}

static void
send_to(struct peer *p, const struct sockaddr_in *to, const void *buf, size_t n)
{
    if (sendto(p->udp, buf, n, 0, (const struct sockaddr *)to, sizeof *to) < 0)
        p->dropped++;
}

static void
drain(struct peer *p)
{
    enum sp_wg_event event;
    struct sp_wg_out out;

    while (sp_wg_tunnel_poll_event(p->t, &event)) {
        if (event == SP_WG_EVENT_EXPIRED)
            say("expired");
        else
            say(p->answered ? "established initiator" : "established responder");
    }
    while (sp_wg_tunnel_poll_transmit(p->t, &out))
        send_to(p, &p->to, out.bytes, out.len);
}

static bool
has_mac2(struct sp_span msg)
{
    static const uint8_t zero[SP_WG_MAC_LEN];

    return memcmp(msg.p + msg.n - SP_WG_MAC_LEN, zero, sizeof zero) != 0;
}

/* What a node does with types 1 to 3. Returns: true if the tunnel took it */
static bool
take_handshake(struct peer *p, struct sp_span msg, const struct sockaddr_in *from, sp_time now)
{
    struct sp_endpoint src = { .port = ntohs(from->sin_port) };
    uint8_t reply[SP_WG_COOKIE_REPLY_LEN], key[SP_WG_KEY_LEN];
    enum sp_wg_kind kind = sp_wg_classify(msg);
    size_t n;
    int r;

    src.ip = sp_ip_from_bytes(4, (const uint8_t *)&from->sin_addr);
    r = sp_wg_limiter_check(&p->lim, &p->id, msg, &src, now, reply, &n);
    if (r == SP_WG_COOKIE_REPLY) {
        send_to(p, from, reply, n);
        if (from->sin_addr.s_addr == p->to.sin_addr.s_addr && from->sin_port == p->to.sin_port)
            say("sent cookie");
    }
    if (r != 0)
        return false;
    if (kind == SP_WG_INITIATION
        && (sp_wg_peek_initiation(&p->id, msg, key) < 0
            || sp_wg_tunnel_handle_handshake(p->t, msg, now) < 0))
        return false;
    if (kind != SP_WG_INITIATION && sp_wg_tunnel_handle_handshake(p->t, msg, now) < 0)
        return false;
    p->answered = kind == SP_WG_RESPONSE;
    if (kind == SP_WG_COOKIE) {
        say("got cookie");
        /* While the other side still feels the load; the timer would come 5 s later. */
        sp_wg_tunnel_initiate(p->t, now);
    } else if (kind == SP_WG_INITIATION) {
        say(has_mac2(msg) ? "took initiation mac2" : "took initiation");
    }
    return true;
}

static void
take_datagram(struct peer *p, struct sp_pkt *pkt, const struct sockaddr_in *from)
{
    sp_time now = now_ns();

    switch (sp_wg_classify(sp_pkt_span(pkt))) {
    case SP_WG_INITIATION:
    case SP_WG_RESPONSE:
    case SP_WG_COOKIE:
        p->dropped += !take_handshake(p, sp_pkt_span(pkt), from, now);
        break;
    case SP_WG_DATA:
        switch (sp_wg_tunnel_open(p->t, pkt, now)) {
        case SP_WG_PACKET:
            p->dropped += write(p->tun, sp_pkt_data(pkt), pkt->len) < 0;
            break;
        case SP_WG_KEEPALIVE:
            break;
        default:
            p->dropped++;
        }
        break;
    case SP_WG_NONE:
        p->dropped++;
    }
    drain(p);
}

static void
read_udp(struct peer *p)
{
    for (int i = 0; i < BATCH; i++) {
        struct sp_pkt *pkt = sp_pkt_alloc(&p->pool);
        struct sockaddr_in from;
        socklen_t len = sizeof from;
        ssize_t n = recvfrom(p->udp,
                             sp_pkt_data(pkt),
                             sp_pkt_tailroom(pkt),
                             MSG_DONTWAIT,
                             (struct sockaddr *)&from,
                             &len);

        if (n >= 0) {
            pkt->len = (uint16_t)n;
            take_datagram(p, pkt, &from);
        }
        sp_pkt_free(pkt);
        if (n < 0)
            return;
    }
}

static void
read_tun(struct peer *p)
{
    for (int i = 0; i < BATCH; i++) {
        struct sp_pkt *pkt = sp_pkt_alloc(&p->pool);
        ssize_t n = read(p->tun, sp_pkt_data(pkt), SP_MTU);

        if (n >= 0) {
            pkt->len = (uint16_t)n;
            if (sp_wg_tunnel_seal(p->t, pkt, now_ns()) == 0)
                send_to(p, &p->to, sp_pkt_data(pkt), pkt->len);
            else
                p->dropped++;
        }
        sp_pkt_free(pkt);
        if (n < 0)
            return;
    }
}

/* Returns: false at the end of input */
static bool
read_command(struct peer *p)
{
    char line[64];
    ssize_t n = read(STDIN_FILENO, line, sizeof line - 1);

    if (n <= 0)
        return false;
    line[n] = 0;
    if (strcmp(line, "initiate\n") == 0) {
        sp_wg_tunnel_initiate(p->t, now_ns());
        drain(p);
    } else {
        printf("stats rx %llu tx %llu dropped %llu\n",
               (unsigned long long)sp_wg_tunnel_rx_bytes(p->t),
               (unsigned long long)sp_wg_tunnel_tx_bytes(p->t),
               (unsigned long long)p->dropped);
        fflush(stdout);
    }
    return true;
}

static int
wait_ms(const struct peer *p)
{
    sp_time next = sp_wg_tunnel_next_timeout(p->t);
    sp_duration left;

    if (next == SP_TIME_NEVER)
        return -1;
    left = sp_time_since(now_ns(), next);
    return (int)SP_MIN(left / SP_MS(1) + 1, UINT64_C(60000));
}

static void
serve(struct peer *p)
{
    struct pollfd fds[] = {
        { .fd = STDIN_FILENO, .events = POLLIN },
        { .fd = p->udp, .events = POLLIN },
        { .fd = p->tun, .events = POLLIN },
    };

    say("ready");
    for (;;) {
        if (poll(fds, SP_ARRAY_SIZE(fds), wait_ms(p)) < 0 && errno != EINTR)
            die("poll");
        if (fds[0].revents && !read_command(p))
            return;
        if (fds[1].revents)
            read_udp(p);
        if (fds[2].revents)
            read_tun(p);
        sp_wg_tunnel_handle_timeout(p->t, now_ns());
        drain(p);
    }
}

static void
set_up(struct peer *p, const uint8_t peer_key[SP_WG_KEY_LEN], const char *psk, uint32_t rekey_s)
{
    struct sp_rng rng = sp_rng_system();
    struct sp_wg_index index;
    struct sp_wg_config c = {
        .identity = &p->id,
        .params = sp_wg_params_ice(),
        .rng = rng,
        .now = now_ns(),
    };

    c.wall.unix_ns_at_zero = (int64_t)(clock_ns(CLOCK_REALTIME) - c.now);
    c.params.rekey_after = SP_SEC((uint64_t)rekey_s);
    memcpy(c.peer_key, peer_key, SP_WG_KEY_LEN);
    if (psk)
        parse_key(psk, c.psk);
    sp_wg_index_init(&index, &rng);
    c.index24 = sp_wg_index_next(&index);
    sp_wg_limiter_init(&p->lim, &rng);
    sp_pkt_pool_init(&p->pool, 1);
    p->t = sp_wg_tunnel_new(&c);
}

static int
run(char **argv)
{
    struct peer p = { 0 };
    uint8_t key[SP_WG_KEY_LEN];

    p.tun = open_tun(argv[0]);
    p.udp = open_udp((uint16_t)parse_number(argv[1]));
    p.to = parse_endpoint(argv[2]);
    parse_key(argv[3], key);
    sp_wg_identity_init(&p.id, key);
    parse_key(argv[4], key);
    set_up(&p, key, argv[5], parse_number(argv[6]));
    serve(&p);
    sp_wg_tunnel_free(p.t);
    sp_pkt_pool_done(&p.pool);
    sp_wg_limiter_done(&p.lim);
    sp_wg_identity_done(&p.id);
    return 0;
}

/* @rate 0: whole batches without pause */
static uint64_t
flood_loop(int fd, struct sp_wg_out *msg, uint32_t rate, sp_time end)
{
    struct iovec iov = { .iov_base = msg->bytes, .iov_len = msg->len };
    struct mmsghdr batch[BATCH];
    sp_time start = now_ns(), now;
    uint64_t sent = 0;

    for (int i = 0; i < BATCH; i++)
        batch[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov, .msg_iovlen = 1 } };
    while ((now = now_ns()) < end) {
        uint64_t due = rate ? (now - start) * rate / SP_NS_PER_SEC + 1 : sent + BATCH;
        int r = sendmmsg(fd, batch, (unsigned)SP_MIN(due - sent, (uint64_t)BATCH), 0);

        if (r > 0)
            sent += (uint64_t)r;
        if (rate && sent >= due)
            nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
    return sent;
}

static int
flood(char **argv)
{
    struct peer p = { 0 };
    struct sp_rng rng = sp_rng_system();
    uint8_t key[SP_WG_KEY_LEN];
    struct sp_wg_out out;
    uint64_t sent;

    p.to = parse_endpoint(argv[0]);
    parse_key(argv[1], key);
    sp_wg_identity_generate(&p.id, &rng);
    set_up(&p, key, NULL, 120);
    p.udp = open_udp(0);
    if (connect(p.udp, (struct sockaddr *)&p.to, sizeof p.to) < 0)
        die("connect");
    sp_wg_tunnel_initiate(p.t, now_ns());
    sp_assert(sp_wg_tunnel_poll_transmit(p.t, &out));
    sent = flood_loop(p.udp,
                      &out,
                      parse_number(argv[2]),
                      now_ns() + SP_SEC((uint64_t)parse_number(argv[3])));
    printf("sent %llu\n", (unsigned long long)sent);
    sp_wg_tunnel_free(p.t);
    return 0;
}

int
main(int argc, char **argv)
{
    if (argc == 9 && strcmp(argv[1], "run") == 0)
        return run(argv + 2);
    if (argc == 6 && strcmp(argv[1], "flood") == 0)
        return flood(argv + 2);
    fprintf(stderr,
            "usage: wg-peer run TUN PORT PEER KEY PEER-KEY PSK REKEY-AFTER\n"
            "       wg-peer flood PEER PEER-KEY RATE SECONDS\n");
    return 2;
}
