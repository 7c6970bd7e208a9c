/* SPDX-License-Identifier: Apache-2.0 */
/* Invariants R20 to R41 of spec relay 7: allocations, channels, data, hostile input. */
#include <string.h>

#include "engine/relay/relay-private.h"
#include "tests/support/hex.h"
#include "tests/unit/relay/server.h"

#define PEER4 "203.0.113.9:700"
#define PEER6 "[2001:db8:1::9]:701"

static size_t
channel_data(uint8_t *buf, uint16_t channel, const void *payload, uint16_t n)
{
    sp_channeldata_write_header(buf, channel, n);
    if (n)
        memcpy(buf + SP_CHANNEL_HEADER_LEN, payload, n);
    return (size_t)n + SP_CHANNEL_HEADER_LEN;
}

static struct answer
send_channel(struct server *s, const struct client *c, uint16_t channel, const char *text)
{
    uint8_t buf[1500];
    size_t n = channel_data(buf, channel, text, (uint16_t)strlen(text));

    return send_bytes(s, &c->at, buf, n);
}

static size_t
allocations(const struct server *s)
{
    return sp_relay_get_stats(s->relay)->allocations;
}

static void
r20_binding(void)
{
    static const char *const from[] = { "192.0.2.1:4000", "[2001:db8::5]:65535" };
    struct server s;

    server_start(&s);
    for (size_t i = 0; i < G_N_ELEMENTS(from); i++) {
        struct client c = client_at(from[i], "x");
        uint8_t buf[100];
        struct sp_stun_builder b = client_begin(&c, buf, sizeof buf, SP_STUN_BINDING);
        struct answer a = send_bytes(&s, &c.at, buf, (size_t)sp_stun_finish(&b));
        struct sp_stun_msg msg;
        struct sp_endpoint ep;

        assert_success(&a, NULL);
        g_assert_cmpint(sp_stun_parse(sp_span(a.bytes, a.n), &msg), ==, 0);
        g_assert_true(sp_stun_get_xor_addr(&msg, SP_STUN_XOR_MAPPED_ADDRESS, 0, &ep));
        g_assert_true(sp_endpoint_equal(&ep, &c.at));
        c.at.port = 0;
        a = send_bytes(&s, &c.at, buf, 20);
        g_assert_cmpuint(a.n, ==, 0);
    }
    server_done(&s);
}

static void
r21_r22_lifetimes(void)
{
    static const struct {
        int64_t asked;
        uint32_t granted;
    } cases[] = { { 1, 1 },           { 600, 600 }, { 3599, 3599 },      { 3600, 3600 },
                  { 10000000, 3600 }, { -1, 600 },  { 0xffffffff, 3600 } };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct client c = client_at("192.0.2.1:4000", "x");
        struct server s;
        struct answer a;

        g_test_message("case %zu", i);
        server_start(&s);
        a = client_allocate(&s, &c, cases[i].asked, true);
        assert_success(&a, &c);
        g_assert_cmpuint(lifetime_of(&a), ==, cases[i].granted);
        g_assert_true(sp_relay_next_timeout(s.relay) == NOW + SP_SEC(cases[i].granted));
        server_pass(&s, SP_SEC(cases[i].granted) - 1);
        g_assert_cmpuint(allocations(&s), ==, 1);
        server_pass(&s, SP_SEC(1));
        g_assert_cmpuint(allocations(&s), ==, 0);
        g_assert_cmpuint(s.closes, ==, 1);
        g_assert_true(sp_relay_next_timeout(s.relay) == SP_TIME_NEVER);
        server_done(&s);
    }
}

static void
zero_lifetime(void)
{
    struct client c = client_at("192.0.2.1:4000", "x");
    struct server s;
    struct answer a;

    server_start(&s);
    a = client_allocate(&s, &c, 0, false);
    assert_error(&a, 400, &c);
    g_assert_cmpuint(s.opens, ==, 0);
    server_done(&s);
}

static void
r23_r24_refresh(void)
{
    struct client c = client_at("192.0.2.1:4000", "x");
    struct server s;
    struct answer a;

    server_start(&s);
    a = client_refresh(&s, &c, -1);
    assert_error(&a, 437, &c);
    client_allocate(&s, &c, 600, false);
    a = client_refresh(&s, &c, 60);
    assert_success(&a, &c);
    g_assert_true(sp_relay_next_timeout(s.relay) == NOW + SP_SEC(60));
    server_pass(&s, SP_SEC(59));
    g_assert_cmpuint(allocations(&s), ==, 1);
    a = client_refresh(&s, &c, -1);
    g_assert_cmpuint(lifetime_of(&a), ==, 600);
    g_assert_true(sp_relay_next_timeout(s.relay) == s.now + SP_SEC(600));
    a = client_refresh(&s, &c, 0);
    assert_success(&a, &c);
    g_assert_cmpuint(lifetime_of(&a), ==, 0);
    g_assert_cmpuint(s.closes, ==, 1);
    g_assert_true(sp_relay_next_timeout(s.relay) == SP_TIME_NEVER);
    a = client_refresh(&s, &c, 0);
    assert_error(&a, 437, &c);
    server_done(&s);
}

static void
r25_other_user_same_socket(void)
{
    struct client c = client_at("192.0.2.1:4000", "x"), other = client_at("192.0.2.1:4000", "y");
    struct server s;
    struct answer a;

    server_start(&s);
    client_allocate(&s, &c, -1, false);
    a = client_allocate(&s, &c, -1, false);
    assert_error(&a, 437, &c);
    a = client_allocate(&s, &other, -1, false);
    assert_error(&a, 437, &other);
    a = client_refresh(&s, &other, 0);
    assert_success(&a, &other);
    a = client_allocate(&s, &other, -1, false);
    assert_success(&a, &other);
    server_done(&s);
}

static void
retransmitted_allocate(void)
{
    struct client c = client_at("192.0.2.1:4000", "x");
    struct answer first, again;
    struct server s;

    server_start(&s);
    first = client_allocate(&s, &c, -1, true);
    c.txid--;
    s.now += SP_SEC(1);
    again = client_allocate(&s, &c, -1, true);
    assert_success(&again, &c);
    g_assert_cmpuint(relayed_port(&again, 4), ==, relayed_port(&first, 4));
    g_assert_cmpuint(lifetime_of(&again), ==, 599);
    g_assert_cmpuint(s.opens, ==, 1);
    server_done(&s);
}

static void
r26_user_moves(void)
{
    struct client a = client_at("192.0.2.1:4000", "x"), b = client_at("192.0.2.1:4001", "x");
    struct server s;
    struct answer r;

    server_start(&s);
    client_allocate(&s, &a, -1, true);
    client_bind(&s, &a, CHANNEL, PEER4);
    r = client_allocate(&s, &b, -1, true);
    assert_success(&r, &b);
    g_assert_cmpuint(allocations(&s), ==, 1);
    g_assert_cmpuint(sp_relay_get_stats(s.relay)->channels, ==, 0);
    g_assert_cmpuint(s.removes, ==, 1);
    g_assert_cmpuint(s.closes, ==, 1);
    r = client_refresh(&s, &a, -1);
    assert_error(&r, 437, &a);
    server_done(&s);
}

static void
multi_alloc(void)
{
    struct server s = { 0 };
    struct sp_relay_config config = server_config(&s, 10);
    struct client a = client_at("192.0.2.1:4000", "x"), b = client_at("192.0.2.1:4001", "x");

    config.multi_alloc = true;
    server_init(&s, &config);
    client_allocate(&s, &a, -1, true);
    client_allocate(&s, &b, -1, true);
    g_assert_cmpuint(allocations(&s), ==, 2);
    client_refresh(&s, &a, 0);
    g_assert_cmpuint(allocations(&s), ==, 1);
    server_done(&s);
}

static struct client
nth_client(unsigned i)
{
    g_autofree char *at = g_strdup_printf("192.0.2.1:%u", 1000 + i);
    g_autofree char *salt = g_strdup_printf("s%u", i);

    return client_at(at, salt);
}

static void
r27_ports_run_out(void)
{
    struct server s = { 0 };
    struct sp_relay_config config = server_config(&s, 8);
    struct client first = nth_client(0), c;
    bool seen[8] = { false };
    struct answer a;

    server_init(&s, &config);
    for (unsigned i = 0; i < 8; i++) {
        uint16_t port;

        c = nth_client(i);
        a = client_allocate(&s, &c, -1, true);
        assert_success(&a, &c);
        port = relayed_port(&a, 4);
        g_assert_cmpuint(port, ==, relayed_port(&a, 6));
        g_assert_cmpuint(port - FIRST_PORT, <, 8);
        g_assert_false(seen[port - FIRST_PORT]);
        seen[port - FIRST_PORT] = true;
        if (i == 0)
            first = c;
    }
    c = nth_client(8);
    a = client_allocate(&s, &c, -1, true);
    assert_error(&a, 508, &c);
    client_refresh(&s, &first, 0);
    a = client_allocate(&s, &c, -1, true);
    assert_success(&a, &c);
    server_done(&s);
}

static void
r27_full_range(void)
{
    struct server s = { 0 };
    struct sp_relay_config config = server_config(&s, 1);
    struct client c = nth_client(0);
    struct answer a;

    config.port_first = 0;
    config.port_last = 65535;
    server_init(&s, &config);
    g_assert_cmpuint(s.relay->n_ports, ==, 65535);
    a = client_allocate(&s, &c, -1, true);
    assert_success(&a, &c);
    server_done(&s);
}

static void
ports_that_do_not_open(void)
{
    struct client c = nth_client(0), d = nth_client(1);
    struct server s;
    struct answer a;

    server_start(&s);
    s.refuse_ports = SP_RELAY_OPEN_TRIES - 1;
    a = client_allocate(&s, &c, -1, true);
    assert_success(&a, &c);
    g_assert_cmpuint(relayed_port(&a, 4), ==, s.opened[SP_RELAY_OPEN_TRIES - 1]);
    for (int i = 0; i < SP_RELAY_OPEN_TRIES; i++)
        for (int k = 0; k < i; k++)
            g_assert_cmpuint(s.opened[i], !=, s.opened[k]);
    g_assert_cmpuint(s.relay->n_free, ==, 99);
    s.refuse_ports = SP_RELAY_OPEN_TRIES;
    a = client_allocate(&s, &d, -1, true);
    assert_error(&a, 508, &d);
    g_assert_cmpuint(s.relay->n_free, ==, 99);
    g_assert_cmpuint(allocations(&s), ==, 1);
    g_assert_cmpuint(s.closes, ==, 0);
    server_done(&s);
}

/* The driver is slow: requests meanwhile are dropped, nothing is mixed up. */
static void
port_still_opening(void)
{
    struct client c = nth_client(0), same_user = nth_client(0);
    struct sp_relay_command cmd;
    struct sp_relay_transmit tx;
    struct server s;
    uint8_t buf[500];
    size_t n;

    server_start(&s);
    client_permit(&s, &c, PEER4); /* a nonce */
    same_user.at.port++;
    client_permit(&s, &same_user, PEER4);
    for (int i = 0; i < 3; i++) {
        struct client *who = i == 2 ? &same_user : &c;
        struct sp_stun_builder b = client_begin(who, buf, sizeof buf, SP_STUN_ALLOCATE);

        sp_stun_put_transport(&b, 17);
        n = client_sign(who, &b);
        sp_relay_handle_listen(s.relay, &who->at, sp_pkt_from_bytes(&s.pool, buf, n), NOW);
    }
    g_assert_false(sp_relay_poll_transmit(s.relay, &tx));
    g_assert_cmpuint(sp_relay_get_stats(s.relay)->drops[SP_RELAY_DROP_BUSY], ==, 2);
    g_assert_true(sp_relay_poll_command(s.relay, &cmd));
    sp_relay_port_opened(s.relay, (uint16_t)(cmd.port ^ 1), true, NOW); /* not asked for */
    g_assert_cmpuint(allocations(&s), ==, 0);
    sp_relay_port_opened(s.relay, cmd.port, true, NOW);
    sp_relay_port_opened(s.relay, cmd.port, false, NOW); /* answered twice */
    g_assert_cmpuint(allocations(&s), ==, 1);
    g_assert_true(sp_relay_poll_transmit(s.relay, &tx));
    sp_pkt_free(tx.pkt);
    server_done(&s);
}

/* The table of spec relay 1.8, row by row. */
static void
r28_families(void)
{
    static const struct {
        bool has4, has6;
        uint8_t requested, additional;
        unsigned code;
        bool v4, v6;
    } cases[] = {
        { true, true, 0, 0, 0, true, false },     { true, true, 4, 0, 0, true, false },
        { true, false, 0, 0, 0, true, false },    { true, true, 6, 0, 0, false, true },
        { false, true, 6, 0, 0, false, true },    { true, true, 0, 6, 0, true, true },
        { true, false, 0, 6, 0, true, false },    { false, true, 0, 6, 0, false, true },
        { true, true, 4, 6, 400, false, false },  { true, true, 6, 6, 400, false, false },
        { true, true, 0, 4, 400, false, false },  { false, true, 0, 0, 440, false, false },
        { false, true, 4, 0, 440, false, false }, { true, false, 6, 0, 440, false, false },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct server s = { 0 };
        struct sp_relay_config config = server_config(&s, 10);
        struct client c = nth_client(0);
        uint8_t buf[500];
        struct sp_stun_builder b;
        struct answer a;

        g_test_message("case %zu", i);
        if (!cases[i].has4)
            config.public4 = (struct sp_ip){ 0 };
        if (!cases[i].has6)
            config.public6 = (struct sp_ip){ 0 };
        server_init(&s, &config);
        client_permit(&s, &c, PEER4);
        b = client_begin(&c, buf, sizeof buf, SP_STUN_ALLOCATE);
        sp_stun_put_transport(&b, 17);
        if (cases[i].requested)
            sp_stun_put_family(&b, SP_STUN_REQUESTED_ADDRESS_FAMILY, cases[i].requested);
        if (cases[i].additional)
            sp_stun_put_family(&b, SP_STUN_ADDITIONAL_ADDRESS_FAMILY, cases[i].additional);
        a = client_send(&s, &c, &b);
        if (cases[i].code) {
            assert_error(&a, cases[i].code, &c);
        } else {
            assert_success(&a, &c);
            g_assert_cmpint(relayed_port(&a, 4) != 0, ==, cases[i].v4);
            g_assert_cmpint(relayed_port(&a, 6) != 0, ==, cases[i].v6);
        }
        server_done(&s);
    }
}

static void
wrong_transport(void)
{
    struct client c = nth_client(0);
    uint8_t buf[500];
    struct sp_stun_builder b;
    struct server s;
    struct answer a;

    server_start(&s);
    client_permit(&s, &c, PEER4);
    b = client_begin(&c, buf, sizeof buf, SP_STUN_ALLOCATE);
    sp_stun_put_transport(&b, 6);
    a = client_send(&s, &c, &b);
    assert_error(&a, 400, &c);
    server_done(&s);
}

static void
r29_r30_channel_life(void)
{
    struct client c = nth_client(0);
    struct sp_endpoint peer = endpoint(PEER4);
    struct server s;
    struct answer a;
    uint16_t port;

    server_start(&s);
    a = client_allocate(&s, &c, 3600, true);
    port = relayed_port(&a, 4);
    a = client_bind(&s, &c, CHANNEL, PEER4);
    assert_success(&a, &c);
    g_assert_true(sp_relay_next_timeout(s.relay) == s.now + SP_SEC(600));
    g_assert_cmpuint(s.adds, ==, 1);
    server_pass(&s, SP_SEC(600)); /* inactive, but reserved */
    g_assert_cmpuint(s.removes, ==, 1);
    a = send_channel(&s, &c, CHANNEL, "x");
    g_assert_cmpuint(a.n, ==, 0);
    a = send_relayed(&s, port, &peer, "x", 1);
    g_assert_cmpuint(a.n, ==, 0);
    server_pass(&s, SP_SEC(299));
    a = client_bind(&s, &c, CHANNEL, PEER6);
    assert_error(&a, 400, &c);
    a = client_bind(&s, &c, CHANNEL, PEER4); /* alive again, in both directions */
    assert_success(&a, &c);
    g_assert_cmpuint(s.adds, ==, 2);
    g_assert_cmpuint(send_channel(&s, &c, CHANNEL, "x").n, ==, 1);
    g_assert_cmpuint(send_relayed(&s, port, &peer, "x", 1).n, ==, 5);
    server_pass(&s, SP_SEC(600));
    server_pass(&s, SP_SEC(300));
    g_assert_cmpuint(sp_relay_get_stats(s.relay)->channels, ==, 0);
    g_assert_cmpuint(s.removes, ==, 2);
    a = client_bind(&s, &c, CHANNEL, PEER6);
    assert_success(&a, &c);
    server_done(&s);
}

/* One late wake-up must do what two in time would have done. */
static void
late_timeout(void)
{
    struct client c = nth_client(0);
    struct server s;

    server_start(&s);
    client_allocate(&s, &c, 3600, true);
    client_bind(&s, &c, CHANNEL, PEER4);
    server_pass(&s, SP_SEC(901));
    g_assert_cmpuint(sp_relay_get_stats(s.relay)->channels, ==, 0);
    g_assert_cmpuint(s.removes, ==, 1);
    server_pass(&s, SP_SEC(3600));
    g_assert_cmpuint(s.closes, ==, 1);
    server_done(&s);
}

static void
r31_conflicts(void)
{
    struct client c = nth_client(0);
    struct server s;
    struct answer a;

    server_start(&s);
    client_allocate(&s, &c, -1, true);
    client_bind(&s, &c, CHANNEL, PEER4);
    client_bind(&s, &c, CHANNEL + 1, PEER6);
    a = client_bind(&s, &c, CHANNEL + 2, PEER4);
    assert_error(&a, 400, &c);
    a = client_bind(&s, &c, CHANNEL, "203.0.113.9:701");
    assert_error(&a, 400, &c);
    a = client_bind(&s, &c, CHANNEL, PEER6);
    assert_error(&a, 400, &c);
    g_assert_cmpuint(sp_relay_get_stats(s.relay)->channels, ==, 2);
    a = send_channel(&s, &c, CHANNEL, "x");
    g_assert_true(sp_endpoint_equal(&a.to, &(struct sp_endpoint){ endpoint(PEER4).ip, 700 }));
    server_done(&s);
}

static void
r32_peer_refusals(void)
{
    static const struct {
        const char *peer;
        unsigned code;
    } cases[] = {
        { PEER6, 443 },           { "0.0.0.0:5", 403 },         { "224.0.0.1:5", 403 },
        { "203.0.113.9:0", 403 }, { "255.255.255.255:5", 403 }, { "198.51.100.20:3478", 403 },
        { "10.1.2.3:5", 403 },    { "198.51.100.20:50000", 0 }, { "127.0.0.1:5", 0 },
        { "192.168.0.1:5", 0 },
    };
    struct server s = { 0 };
    struct sp_relay_config config = server_config(&s, 10);
    struct sp_cidr deny;
    struct client c = nth_client(0);

    g_assert_cmpint(sp_cidr_parse("10.0.0.0/8", &deny), ==, 0);
    config.deny = &deny;
    config.n_deny = 1;
    server_init(&s, &config);
    client_allocate(&s, &c, -1, false);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct answer a = client_bind(&s, &c, (uint16_t)(CHANNEL + i), cases[i].peer);

        g_test_message("case %zu", i);
        if (cases[i].code)
            assert_error(&a, cases[i].code, &c);
        else
            assert_success(&a, &c);
    }
    server_done(&s);
}

static void
bind_without_allocation(void)
{
    struct client c = nth_client(0);
    struct server s;
    struct answer a;

    server_start(&s);
    a = client_bind(&s, &c, CHANNEL, PEER4);
    assert_error(&a, 437, &c);
    server_done(&s);
}

static void
r33_no_channel_outlives(void)
{
    struct client c = nth_client(0);
    struct server s;

    server_start(&s);
    client_allocate(&s, &c, -1, true);
    for (uint16_t i = 0; i < 20; i++) {
        g_autofree char *peer = g_strdup_printf("203.0.113.9:%u", 100u + i);

        client_bind(&s, &c, (uint16_t)(CHANNEL + i), peer);
    }
    client_refresh(&s, &c, 0);
    g_assert_cmpuint(s.removes, ==, 20);
    g_assert_cmpuint(s.closes, ==, 1);
    g_assert_false(s.removes_after_close);
    g_assert_cmpuint(s.relay->by_channel.len, ==, 0);
    g_assert_cmpuint(s.relay->by_peer.len, ==, 0);
    g_assert_cmpuint(s.relay->heap.n, ==, 0);
    server_done(&s);
}

static void
r34_same_peer_same_number(void)
{
    struct client a = nth_client(0), b = nth_client(1);
    struct sp_endpoint peer = endpoint(PEER4);
    uint16_t port_a, port_b;
    struct answer r;
    struct server s;

    server_start(&s);
    r = client_allocate(&s, &a, -1, true);
    port_a = relayed_port(&r, 4);
    r = client_allocate(&s, &b, -1, true);
    port_b = relayed_port(&r, 4);
    client_bind(&s, &a, CHANNEL, PEER4);
    client_bind(&s, &b, CHANNEL, PEER4);
    client_bind(&s, &b, CHANNEL + 1, "203.0.113.10:700");
    r = send_relayed(&s, port_a, &peer, "x", 1);
    g_assert_true(sp_endpoint_equal(&r.to, &a.at));
    r = send_relayed(&s, port_b, &peer, "x", 1);
    g_assert_true(sp_endpoint_equal(&r.to, &b.at));
    r = send_channel(&s, &a, CHANNEL, "x");
    g_assert_cmpuint(r.port, ==, port_a);
    r = send_channel(&s, &a, CHANNEL + 1, "x");
    g_assert_cmpuint(r.n, ==, 0);
    server_done(&s);
}

static void
r35_channel_data_codec(void)
{
    static uint8_t buf[65536 + 8];
    struct test_rng state;
    struct sp_rng rng = test_rng_init(&state, 35);
    struct sp_span payload;
    uint16_t channel;

    for (unsigned n = 0; n <= 65535; n += 1 + sp_rng_below(&rng, 60)) {
        uint16_t want = (uint16_t)(SP_CHANNEL_FIRST + sp_rng_below(&rng, 0x4000));
        size_t pad = sp_rng_below(&rng, 4);

        sp_channeldata_write_header(buf, want, (uint16_t)n);
        g_assert_cmpint(sp_channeldata_parse_padded(sp_span(buf, n + 4 + pad), &channel, &payload),
                        ==,
                        0);
        g_assert_cmpuint(channel, ==, want);
        g_assert_cmpuint(payload.n, ==, n);
        g_assert_true(payload.p == buf + 4);
        if (n)
            g_assert_cmpint(sp_channeldata_parse_padded(sp_span(buf, n + 3), &channel, &payload),
                            <,
                            0);
    }
    sp_channeldata_write_header(buf, 0x8000, 0);
    g_assert_cmpint(sp_channeldata_parse_padded(sp_span(buf, 4), &channel, &payload), <, 0);
    sp_channeldata_write_header(buf, 0x3fff, 0);
    g_assert_cmpint(sp_channeldata_parse_padded(sp_span(buf, 4), &channel, &payload), <, 0);
}

static void
r36_ping_pong(void)
{
    static const char *const clients[] = { "192.0.2.1:4000", "[2001:db8::5]:4000" };
    static const char *const peers[] = { PEER4, PEER6 };
    static const char *const texts[] = { "", "x", "odd", "a somewhat longer payload" };

    for (size_t i = 0; i < 4; i++) {
        struct client c = client_at(clients[i / 2], "x");
        struct sp_endpoint peer = endpoint(peers[i % 2]);
        struct server s;
        struct answer a;
        uint16_t port;

        server_start(&s);
        a = client_allocate(&s, &c, -1, true);
        port = relayed_port(&a, peer.ip.family);
        client_bind(&s, &c, 0x4fff, peers[i % 2]);
        for (size_t k = 0; k < G_N_ELEMENTS(texts); k++) {
            uint8_t want[100];
            size_t n = channel_data(want, 0x4fff, texts[k], (uint16_t)strlen(texts[k]));

            a = send_channel(&s, &c, 0x4fff, texts[k]);
            g_assert_cmpuint(a.port, ==, port);
            g_assert_true(sp_endpoint_equal(&a.to, &peer));
            test_assert_mem(a.bytes, a.n, texts[k], strlen(texts[k]));
            a = send_relayed(&s, port, &peer, texts[k], strlen(texts[k]));
            g_assert_cmpuint(a.port, ==, 0);
            g_assert_true(sp_endpoint_equal(&a.to, &c.at));
            g_assert_cmpuint(a.ecn, ==, 2);
            test_assert_mem(a.bytes, a.n, want, n);
        }
        g_assert_cmpuint(sp_relay_get_stats(s.relay)->to_peer_packets, ==, 4);
        g_assert_cmpuint(sp_relay_get_stats(s.relay)->to_client_bytes, ==, 29);
        server_done(&s);
    }
}

static void
r36_largest(void)
{
    struct client c = nth_client(0);
    struct sp_endpoint peer = endpoint(PEER4);
    static uint8_t big[SP_DATAGRAM_MAX];
    struct server s;
    struct answer a;
    uint16_t port;

    server_start(&s);
    a = client_allocate(&s, &c, -1, true);
    port = relayed_port(&a, 4);
    client_bind(&s, &c, CHANNEL, PEER4);
    a = send_relayed(&s, port, &peer, big, sizeof big);
    g_assert_cmpuint(a.n, ==, sizeof big + 4);
    server_done(&s);
}

static void
r37_unknown(void)
{
    struct client c = nth_client(0);
    struct sp_endpoint stranger = endpoint("203.0.113.8:700");
    struct server s;
    struct answer a;
    uint16_t port;

    server_start(&s);
    a = client_allocate(&s, &c, -1, true);
    port = relayed_port(&a, 4);
    client_bind(&s, &c, CHANNEL, PEER4);
    g_assert_cmpuint(send_relayed(&s, port, &stranger, "x", 1).n, ==, 0);
    g_assert_cmpuint(send_relayed(&s, 1, &stranger, "x", 1).n, ==, 0);
    g_assert_cmpuint(send_relayed(&s, port ^ 1, &stranger, "x", 1).n, ==, 0);
    g_assert_cmpuint(send_channel(&s, &c, CHANNEL + 9, "x").n, ==, 0);
    c.at.port++;
    g_assert_cmpuint(send_channel(&s, &c, CHANNEL, "x").n, ==, 0);
    server_done(&s);
}

static void
r38_permissions(void)
{
    struct client c = nth_client(0);
    struct server s;
    struct answer a;

    server_start(&s);
    a = client_permit(&s, &c, PEER4);
    assert_success(&a, &c);
    a = client_permit(&s, &c, NULL);
    assert_success(&a, &c);
    server_done(&s);
}

static void
hairpin(void)
{
    struct client a = nth_client(0), b = nth_client(1);
    g_autofree char *peer_a = NULL, *peer_b = NULL;
    uint16_t port_a, port_b;
    struct answer r;
    struct server s;

    server_start(&s);
    r = client_allocate(&s, &a, -1, true);
    port_a = relayed_port(&r, 4);
    r = client_allocate(&s, &b, -1, true);
    port_b = relayed_port(&r, 4);
    peer_a = g_strdup_printf("198.51.100.20:%u", port_a);
    peer_b = g_strdup_printf("198.51.100.20:%u", port_b);
    client_bind(&s, &a, CHANNEL, peer_b);
    r = send_channel(&s, &a, CHANNEL, "x");
    g_assert_cmpuint(r.n, ==, 0); /* b does not want to hear from a yet */
    client_bind(&s, &b, CHANNEL + 7, peer_a);
    r = send_channel(&s, &a, CHANNEL, "hello");
    g_assert_true(sp_endpoint_equal(&r.to, &b.at));
    g_assert_cmpuint(r.port, ==, 0);
    test_assert_mem(r.bytes, r.n, "\x40\x07\x00\x05hello", 9);
    server_done(&s);
}

static void
r39_never_answered(void)
{
    static const struct {
        const char *hex;
    } cases[] = {
        { "0001000021 12a443 000000000000000000000000" },    /* cookie */
        { "0001000421 12a442 000000000000000000000000" },    /* too short */
        { "0001000021 12a442 000000000000000000000000 00" }, /* trailing byte */
        { "0001000021 12a442 000000000000000000000000 00000000" },
        { "0011000021 12a442 000000000000000000000000" },          /* indication */
        { "0101000021 12a442 000000000000000000000000" },          /* success */
        { "0113000021 12a442 000000000000000000000000" },          /* error */
        { "0016000021 12a442 000000000000000000000000" },          /* Send */
        { "0011000421 12a442 000000000000000000000000 00060100" }, /* truncated indication */
        { "04" },
        { "80000000" },
        { "3fff0000" },
        { "50000000" },
        { "00" },
        { "40" },
        { "400000" },
        { "" },
    };
    struct sp_endpoint from = endpoint("192.0.2.1:4000");
    struct server s;

    server_start(&s);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint8_t bytes[64];
        size_t n = test_unhex(cases[i].hex, bytes, sizeof bytes);

        g_test_message("case %zu", i);
        g_assert_cmpuint(send_bytes(&s, &from, bytes, n).n, ==, 0);
    }
    server_done(&s);
}

/* Refusals at decoding: unsigned without a readable name. */
static void
r08_decode_errors(void)
{
    static const struct {
        const char *hex;
        unsigned code;
    } cases[] = {
        { "0003000021 12a442 000000000000000000000000", 400 }, /* no transport */
        { "0009000021 12a442 000000000000000000000000", 400 },
        { "0002000021 12a442 000000000000000000000000", 400 }, /* unknown method */
        { "0003000421 12a442 000000000000000000000000 00060100", 500 },
        { "0004000821 12a442 000000000000000000000000 000d0003 01020300", 400 },
        { "0004000821 12a442 000000000000000000000000 00170004 03000000", 400 },
        { "0008000821 12a442 000000000000000000000000 00120004 00010000", 400 },
        { "0009000821 12a442 000000000000000000000000 000c0004 50000000", 400 },
        { "0004000821 12a442 000000000000000000000000 00060002 c3280000", 400 }, /* not UTF-8 */
        { "0004000821 12a442 000000000000000000000000 00150003 edb08000", 400 },
    };
    struct sp_endpoint from = endpoint("192.0.2.1:4000");
    struct server s;

    server_start(&s);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint8_t bytes[64];
        size_t n = test_unhex(cases[i].hex, bytes, sizeof bytes);
        struct answer a = send_bytes(&s, &from, bytes, n);

        g_test_message("case %zu", i);
        assert_error(&a, cases[i].code, NULL);
    }
    server_done(&s);
}

static void
ignored_attributes(void)
{
    static const uint16_t types[] = { SP_STUN_EVEN_PORT,          SP_STUN_DONT_FRAGMENT,
                                      SP_STUN_PRIORITY,           SP_STUN_RESERVATION_TOKEN,
                                      SP_STUN_UNKNOWN_ATTRIBUTES, 0x7777 };
    struct client c = nth_client(0);
    uint8_t buf[500];
    struct sp_stun_builder b;
    struct answer a;
    struct server s;
    int n;

    server_start(&s);
    client_permit(&s, &c, PEER4);
    b = client_begin(&c, buf, sizeof buf, SP_STUN_ALLOCATE);
    sp_stun_put_transport(&b, 17);
    for (size_t i = 0; i < G_N_ELEMENTS(types); i++)
        sp_stun_put(&b, types[i], "abc", 3);
    client_sign(&c, &b);
    sp_stun_put_fingerprint(&b);
    n = sp_stun_finish(&b);
    buf[n - 1] ^= 1; /* tolerated, not checked */
    a = send_bytes(&s, &c.at, buf, (size_t)n);
    assert_success(&a, &c);
    server_done(&s);
}

static void
r40_no_trace(void)
{
    struct client c = nth_client(0);
    uint8_t bad[64];
    struct server s;
    struct answer a;

    server_start(&s);
    for (int i = 0; i < 3; i++) {
        size_t n = test_unhex("0003000421 12a442 000000000000000000000000 00060100", bad, 64);

        send_bytes(&s, &c.at, bad, n);
        a = i ? client_refresh(&s, &c, -1) : client_allocate(&s, &c, -1, true);
        assert_success(&a, &c);
    }
    server_done(&s);
}

static void
r43_queue_keeps_order(void)
{
    struct client c = nth_client(0);
    struct sp_endpoint peer = endpoint(PEER4);
    struct sp_relay_transmit tx;
    struct sp_pkt_pool pool;
    struct server s;
    struct answer a;
    uint16_t port;

    server_start(&s);
    a = client_allocate(&s, &c, -1, true);
    port = relayed_port(&a, 4);
    client_bind(&s, &c, CHANNEL, PEER4);
    sp_pkt_pool_init(&pool, 2 * SP_RELAY_TRANSMITS_MAX);
    for (uint16_t i = 0; i < SP_RELAY_TRANSMITS_MAX + 5; i++)
        sp_relay_handle_relayed(s.relay, port, &peer, sp_pkt_from_bytes(&pool, &i, 2), NOW);
    g_assert_cmpuint(sp_relay_get_stats(s.relay)->drops[SP_RELAY_DROP_QUEUE_FULL], ==, 5);
    for (uint16_t i = 0; i < SP_RELAY_TRANSMITS_MAX; i++) {
        g_assert_true(sp_relay_poll_transmit(s.relay, &tx));
        test_assert_mem(sp_pkt_data(tx.pkt) + 4, 2, &i, 2);
        sp_pkt_free(tx.pkt);
    }
    g_assert_false(sp_relay_poll_transmit(s.relay, &tx));
    sp_pkt_pool_done(&pool);
    server_done(&s);
}

/* A naive twin: which of a few clients hold an allocation, until when, and which channels. */
struct twin {
    struct client c;
    bool held;
    sp_time until;
    sp_time channel[4]; /* active until, 0: never bound */
};

static void
twin_expire(struct twin *t, sp_time now)
{
    if (t->held && t->until <= now)
        *t = (struct twin){ .c = t->c };
    for (int k = 0; k < 4; k++)
        if (t->channel[k] && t->channel[k] + SP_SEC(300) <= now)
            t->channel[k] = 0;
}

static void
twin_step(struct server *s, struct twin *t, const struct sp_rng *rng)
{
    static const char *const peers[4] = { "203.0.113.1:1",
                                          "203.0.113.1:2",
                                          "[2001:db8::1]:1",
                                          "[2001:db8::1]:2" };
    uint32_t k = sp_rng_below(rng, 4);
    int64_t lifetime = 1 + sp_rng_below(rng, 3600);
    struct answer a;

    switch (sp_rng_below(rng, 5)) {
    case 0:
        a = client_allocate(s, &t->c, lifetime, true);
        if (t->held) {
            assert_error(&a, 437, &t->c);
            break;
        }
        assert_success(&a, &t->c);
        t->held = true;
        t->until = s->now + SP_SEC(lifetime);
        break;
    case 1:
        lifetime = k ? lifetime : 0;
        a = client_refresh(s, &t->c, lifetime);
        if (!t->held) {
            assert_error(&a, 437, &t->c);
            break;
        }
        assert_success(&a, &t->c);
        if (lifetime)
            t->until = s->now + SP_SEC(lifetime);
        else
            *t = (struct twin){ .c = t->c };
        break;
    case 2:
    case 3:
        a = client_bind(s, &t->c, (uint16_t)(CHANNEL + k), peers[k]);
        if (!t->held) {
            assert_error(&a, 437, &t->c);
            break;
        }
        assert_success(&a, &t->c);
        t->channel[k] = s->now + SP_SEC(600);
        break;
    default:
        a = send_channel(s, &t->c, (uint16_t)(CHANNEL + k), "x");
        g_assert_cmpint(a.n > 0, ==, t->channel[k] > s->now);
        break;
    }
}

static void
random_operations(void)
{
    enum {
        CLIENTS = 6
    };
    struct test_rng state;
    struct sp_rng rng = test_rng_init(&state, 4711);
    struct twin twins[CLIENTS];
    struct server s;

    server_start(&s);
    for (unsigned i = 0; i < CLIENTS; i++)
        twins[i] = (struct twin){ .c = nth_client(i) };
    for (int step = 0; step < 20000; step++) {
        size_t held = 0, channels = 0;

        server_pass(&s, SP_SEC(sp_rng_below(&rng, 60)));
        for (unsigned i = 0; i < CLIENTS; i++)
            twin_expire(&twins[i], s.now);
        twin_step(&s, &twins[sp_rng_below(&rng, CLIENTS)], &rng);
        for (unsigned i = 0; i < CLIENTS; i++) {
            held += twins[i].held;
            for (int k = 0; k < 4; k++)
                channels += twins[i].channel[k] != 0;
        }
        g_assert_cmpuint(allocations(&s), ==, held);
        g_assert_cmpuint(sp_relay_get_stats(s.relay)->channels, ==, channels);
        g_assert_cmpuint(s.relay->n_free, ==, 100 - held);
        g_assert_cmpuint(s.relay->heap.n, ==, held + channels);
        g_assert_cmpuint(s.opens - s.closes, ==, held);
    }
    server_done(&s);
}

static void
names(void)
{
    for (int i = 0; i < _SP_RELAY_DROP_MAX; i++)
        g_assert_nonnull(sp_relay_drop_name((enum sp_relay_drop)i));
    for (int i = 0; i < _SP_RELAY_METHOD_MAX; i++)
        g_assert_nonnull(sp_relay_method_name((enum sp_relay_method)i));
    for (int i = 1; i < _SP_RELAY_CODE_MAX; i++)
        g_assert_cmpuint(sp_relay_code_number((enum sp_relay_code)i), >=, 400);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/relay/r08-decode-errors", r08_decode_errors);
    g_test_add_func("/relay/r20-binding", r20_binding);
    g_test_add_func("/relay/r21-r22-lifetimes", r21_r22_lifetimes);
    g_test_add_func("/relay/zero-lifetime", zero_lifetime);
    g_test_add_func("/relay/r23-r24-refresh", r23_r24_refresh);
    g_test_add_func("/relay/r25-other-user-same-socket", r25_other_user_same_socket);
    g_test_add_func("/relay/retransmitted-allocate", retransmitted_allocate);
    g_test_add_func("/relay/r26-user-moves", r26_user_moves);
    g_test_add_func("/relay/multi-alloc", multi_alloc);
    g_test_add_func("/relay/r27-ports-run-out", r27_ports_run_out);
    g_test_add_func("/relay/r27-full-range", r27_full_range);
    g_test_add_func("/relay/ports-that-do-not-open", ports_that_do_not_open);
    g_test_add_func("/relay/port-still-opening", port_still_opening);
    g_test_add_func("/relay/r28-families", r28_families);
    g_test_add_func("/relay/wrong-transport", wrong_transport);
    g_test_add_func("/relay/r29-r30-channel-life", r29_r30_channel_life);
    g_test_add_func("/relay/late-timeout", late_timeout);
    g_test_add_func("/relay/r31-conflicts", r31_conflicts);
    g_test_add_func("/relay/r32-peer-refusals", r32_peer_refusals);
    g_test_add_func("/relay/bind-without-allocation", bind_without_allocation);
    g_test_add_func("/relay/r33-no-channel-outlives", r33_no_channel_outlives);
    g_test_add_func("/relay/r34-same-peer-same-number", r34_same_peer_same_number);
    g_test_add_func("/relay/r35-channel-data-codec", r35_channel_data_codec);
    g_test_add_func("/relay/r36-ping-pong", r36_ping_pong);
    g_test_add_func("/relay/r36-largest", r36_largest);
    g_test_add_func("/relay/r37-unknown", r37_unknown);
    g_test_add_func("/relay/r38-permissions", r38_permissions);
    g_test_add_func("/relay/hairpin", hairpin);
    g_test_add_func("/relay/r39-never-answered", r39_never_answered);
    g_test_add_func("/relay/ignored-attributes", ignored_attributes);
    g_test_add_func("/relay/r40-no-trace", r40_no_trace);
    g_test_add_func("/relay/r43-queue-keeps-order", r43_queue_keeps_order);
    g_test_add_func("/relay/random-operations", random_operations);
    g_test_add_func("/relay/names", names);
    return g_test_run();
}
