/* SPDX-License-Identifier: Apache-2.0 */
/* A relay and four clients of which the input plays a session: raw datagrams, properly signed
 * requests with attributes from the input, datagrams of peers, time. What comes out must parse,
 * must be an answer to a request, and nothing may be left at the end.
 *
 * Input: records of (what, who, length, bytes). */

#include "engine/base/rd.h"
#include "engine/relay/relay.h"
#include "engine/stun/stun.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/rng.h"

#define CLIENTS 4
#define PORTS   8
#define FIRST   50000

struct session {
    struct sp_relay *relay;
    struct sp_pkt_pool pool;
    sp_time now;
    bool refuse_ports;
    int open[PORTS];
    char nonce[CLIENTS][64];
};

static struct sp_endpoint
client(unsigned who)
{
    struct sp_endpoint ep = { .ip = sp_ip4(192, 0, 2, 1), .port = (uint16_t)(4000 + who) };

    if (who == 3) {
        ep.ip = (struct sp_ip){ .family = 6, .b = { 0x20, 0x01, 0x0d, 0xb8 } };
        ep.port = 1;
    }
    return ep;
}

static void
carry_out(struct session *s)
{
    struct sp_relay_command cmd;

    while (sp_relay_poll_command(s->relay, &cmd)) {
        sp_assert(cmd.port >= FIRST && cmd.port < FIRST + PORTS);
        switch (cmd.type) {
        case SP_RELAY_OPEN_PORT:
            sp_assert(!s->open[cmd.port - FIRST]);
            s->open[cmd.port - FIRST] = !s->refuse_ports;
            sp_relay_port_opened(s->relay, cmd.port, !s->refuse_ports, s->now);
            break;
        case SP_RELAY_CLOSE_PORT:
            sp_assert(s->open[cmd.port - FIRST]);
            s->open[cmd.port - FIRST] = 0;
            break;
        case SP_RELAY_ADD_CHANNEL:
        case SP_RELAY_REMOVE_CHANNEL:
            sp_assert(s->open[cmd.port - FIRST]);
            break;
        }
    }
}

static void
check_reply(struct session *s, const struct sp_relay_transmit *tx)
{
    struct sp_stun_msg msg;
    int r;

    if (tx->port)
        sp_assert(s->open[tx->port - FIRST]);
    if (tx->port || sp_pkt_data(tx->pkt)[0] > 3)
        return;
    r = sp_stun_parse(sp_pkt_span(tx->pkt), &msg);
    sp_assert(r == 0);
    sp_assert(msg.cls == SP_STUN_SUCCESS || msg.cls == SP_STUN_ERROR);
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct sp_endpoint ep = client(i);

        if (sp_endpoint_equal(&ep, &tx->dst))
            (void)sp_stun_get_string(&msg, SP_STUN_NONCE, s->nonce[i], sizeof s->nonce[i]);
    }
}

static void
drain(struct session *s)
{
    struct sp_relay_transmit tx;
    int n = 0;

    carry_out(s);
    while (sp_relay_poll_transmit(s->relay, &tx)) {
        check_reply(s, &tx);
        sp_pkt_free(tx.pkt);
        sp_assert(++n == 1);
    }
}

static void
feed(struct session *s, unsigned who, const void *p, size_t n)
{
    struct sp_endpoint from = client(who);
    struct sp_pkt *pkt = sp_pkt_from_bytes(&s->pool, p, n);

    if (pkt)
        sp_relay_handle_listen(s->relay, &from, pkt, s->now);
    drain(s);
}

static void
feed_signed(struct session *s, unsigned who, struct sp_span in)
{
    static const uint16_t methods[] = { SP_STUN_ALLOCATE,
                                        SP_STUN_REFRESH,
                                        SP_STUN_CHANNEL_BIND,
                                        SP_STUN_CREATE_PERMISSION };
    struct sp_rd r = sp_rd_span(in);
    uint8_t buf[1300], key[SP_STUN_LONG_KEY_LEN], pick = sp_rd_u8(&r);
    uint8_t txid[SP_STUN_TXID_LEN] = { pick };
    uint16_t method = methods[pick % SP_ARRAY_SIZE(methods)];
    struct sp_stun_builder b = sp_stun_build(buf, sizeof buf, SP_STUN_REQUEST, method, txid);
    char name[] = "user0";
    int n;

    name[4] = (char)('0' + (pick >> 2) % 2);
    while (sp_rd_left(&r)) {
        uint16_t type = sp_rd_be16(&r);
        struct sp_span value = sp_rd_span_n(&r, sp_rd_u8(&r));

        if (!sp_rd_ok(&r))
            break;
        sp_stun_put(&b, type, value.p, value.n);
    }
    /* The relay knows one account by heart; the other name is derived from and refused. */
    sp_stun_long_term_key(name, SP_RELAY_REALM, "password", key);
    sp_stun_put_string(&b, SP_STUN_USERNAME, name);
    sp_stun_put_string(&b, SP_STUN_NONCE, s->nonce[who]);
    sp_stun_put_integrity(&b, sp_span(key, sizeof key));
    n = sp_stun_finish(&b);
    if (n > 0)
        feed(s, who, buf, (size_t)n);
}

static void
feed_peer(struct session *s, unsigned who, struct sp_span in)
{
    struct sp_rd r = sp_rd_span(in);
    uint16_t port = (uint16_t)(FIRST + sp_rd_u8(&r) % (PORTS + 1));
    struct sp_endpoint from = { .ip = sp_ip4(203, 0, 113, (uint8_t)who), .port = sp_rd_be16(&r) };
    struct sp_span rest = sp_rd_span_n(&r, sp_rd_left(&r));
    struct sp_pkt *pkt = sp_pkt_from_bytes(&s->pool, rest.p, rest.n);

    if (pkt)
        sp_relay_handle_relayed(s->relay, port, &from, pkt, s->now);
    drain(s);
}

static void
step(struct session *s, uint8_t what, unsigned who, struct sp_span in)
{
    struct sp_rd r = sp_rd_span(in);

    switch (what % 5) {
    case 0:
        feed(s, who, in.p, in.n);
        break;
    case 1:
    case 2:
        feed_signed(s, who, in);
        break;
    case 3:
        feed_peer(s, who, in);
        break;
    default:
        s->now += SP_SEC(sp_rd_be16(&r));
        s->refuse_ports = sp_rd_u8(&r) == 1;
        sp_relay_handle_timeout(s->relay, s->now);
        drain(s);
        sp_assert(sp_relay_next_timeout(s->relay) > s->now);
        break;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t nothing[1];
    struct sp_rd r = sp_rd(size ? data : nothing, size);
    struct session s = { .now = SP_SEC(1) };
    struct test_rng state;
    struct sp_relay_config config = {
        .public4 = sp_ip4(198, 51, 100, 20),
        .public6 = { .family = 6, .b = { 0x20, 0x01, 0x0d, 0xb8, 1 } },
        .port_first = FIRST,
        .port_last = FIRST + PORTS - 1,
        .stamp_secret = "secret",
        .software = "sallyport-relay",
        .static_user = "user0",
        .static_password = "password",
        .rng = test_rng_init(&state, 1),
    };

    config.multi_alloc = size % 2;
    s.relay = sp_relay_new(&config);
    sp_assert(s.relay != NULL);
    sp_pkt_pool_init(&s.pool, 2);
    while (sp_rd_left(&r)) {
        uint8_t what = sp_rd_u8(&r), who = sp_rd_u8(&r);
        uint16_t n = sp_rd_be16(&r);
        struct sp_span in = sp_rd_span_n(&r, SP_MIN((size_t)n, sp_rd_left(&r)));

        if (sp_rd_ok(&r))
            step(&s, what, who % CLIENTS, in);
    }
    sp_assert(s.pool.in_use == 0);
    s.now += SP_SEC(2 * 3600);
    sp_relay_handle_timeout(s.relay, s.now);
    carry_out(&s);
    sp_assert(sp_relay_next_timeout(s.relay) == SP_TIME_NEVER);
    sp_assert(sp_relay_get_stats(s.relay)->allocations == 0);
    sp_assert(sp_relay_get_stats(s.relay)->channels == 0);
    sp_relay_free(s.relay);
    sp_pkt_pool_done(&s.pool);
    return 0;
}
