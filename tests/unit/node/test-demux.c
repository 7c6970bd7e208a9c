/* SPDX-License-Identifier: Apache-2.0 */
/* Datagrams of strangers, relays and floods. Numbers are those of spec connectivity 9. */
#include <string.h>

#include "engine/node/node-private.h"
#include "engine/stun/channeldata.h"
#include "engine/stun/stun.h"
#include "tests/unit/node/world.h"

#define CLIENT 0
#define SERVER 1
#define LOCAL  "198.51.100.1:52625"

struct pair {
    struct world *w;
    struct end *a;
    struct end *b;
};

static struct pair
pair_connected(uint64_t seed)
{
    struct pair p = { .w = world_new(seed) };

    p.a = world_add(p.w, false, "192.0.2.1", -1);
    p.b = world_add(p.w, true, "198.51.100.1", -1);
    world_connect(p.a, p.b);
    g_assert_cmpuint(world_until_established(p.a, p.b, SP_SEC(5)), <, SP_SEC(5));
    return p;
}

static void
assert_alive(struct pair p)
{
    guint before = p.b->received->len;

    g_assert_cmpint(end_send(p.a, p.b, 200, 0), ==, 0);
    world_run(p.w, SP_SEC(1));
    g_assert_cmpuint(p.b->received->len, ==, before + 1);
    g_assert_cmpint(p.b->failed[CLIENT], ==, 0);
}

/* ---- strangers ------------------------------------------------------------------------------- */

/* A first byte that leads into each parser, the rest random. */
static size_t
garbage(const struct sp_rng *rng, uint8_t *buf, size_t cap)
{
    size_t n = sp_rng_below(rng, (uint32_t)cap + 1);
    static const uint8_t lengths[] = { 20, 32, 64, 92, 148 };

    sp_rng_fill(rng, buf, n);
    if (n >= 32 && sp_rng_below(rng, 2)) {
        n = SP_MIN(n, (size_t)lengths[sp_rng_below(rng, sizeof lengths)]);
        sp_put_le32(buf, 1 + sp_rng_below(rng, 4));
    } else if (n >= 20 && sp_rng_below(rng, 2)) {
        sp_put_be16(buf, sp_rng_below(rng, 2) ? 0x0001 : 0x0101);
        sp_put_be16(buf + 2, (uint16_t)(n - 20));
        sp_put_be32(buf + 4, SP_STUN_COOKIE);
    }
    return n;
}

static void
test_garbage_flood(void)
{
    struct pair p = pair_connected(1);
    struct test_rng state;
    struct sp_rng rng = test_rng_init(&state, 99);
    size_t entries = sp_node_tables_entries(p.b->node);
    uint64_t drops = end_drops(p.b), sent = test_net_sent(p.w->net, p.b->host);
    uint8_t buf[SP_DATAGRAM_MAX];

    for (int i = 0; i < 20000; i++) {
        size_t n = garbage(&rng, buf, sizeof buf);

        g_assert_cmpint(end_inject(p.b, "203.0.113.9:4000", LOCAL, buf, n, 0), <, 0);
    }
    g_assert_cmpuint(end_drops(p.b) - drops, ==, 20000);
    g_assert_cmpuint(sp_node_tables_entries(p.b->node), ==, entries);
    g_assert_cmpuint(test_net_sent(p.w->net, p.b->host), ==, sent);
    g_assert_cmpuint(p.b->pool.in_use, ==, 0);
    assert_alive(p);
    world_free(p.w);
}

struct tap {
    struct end *to;
    struct sp_rng rng;
    int changed;
};

/* Every datagram is followed by a copy with one bit flipped. */
static bool
flip_bits(void *ctx, int host, const struct test_net_datagram *d, sp_time now)
{
    struct tap *tap = ctx;
    uint8_t copy[SP_DATAGRAM_MAX];
    struct sp_pkt *pkt, *inner = NULL;
    struct sp_udp_meta meta = { .local = d->to, .from = d->from };
    struct sp_uuid peer;
    int r;

    if (host == tap->to->host)
        return true;
    memcpy(copy, d->bytes.p, d->bytes.n);
    copy[sp_rng_below(&tap->rng, (uint32_t)d->bytes.n)] ^=
        (uint8_t)(1u << sp_rng_below(&tap->rng, 8));
    pkt = sp_pkt_from_bytes(&tap->to->pool, copy, d->bytes.n);
    r = sp_node_handle_datagram(tap->to->node, &meta, pkt, now, &peer, &inner);
    g_assert_cmpint(r, !=, SP_NODE_PACKET);
    tap->changed++;
    return true;
}

static void
test_flipped_bits(void)
{
    struct pair p = { .w = world_new(2) };
    struct test_rng state;
    struct tap tap = { .rng = test_rng_init(&state, 5) };

    p.a = world_add(p.w, false, "192.0.2.1", -1);
    p.b = world_add(p.w, true, "198.51.100.1", -1);
    tap.to = p.b;
    test_net_set_filter(p.w->net, flip_bits, &tap);
    world_connect(p.a, p.b);
    g_assert_cmpuint(world_until_established(p.a, p.b, SP_SEC(10)), <, SP_SEC(10));
    for (int i = 0; i < 300; i++) {
        g_assert_cmpint(end_send(p.a, p.b, 100, 0), ==, 0);
        world_run(p.w, SP_MS(500));
    }
    g_assert_cmpint(tap.changed, >, 400);
    g_assert_cmpuint(p.b->received->len, ==, 300);
    g_assert_cmpint(p.b->established[CLIENT], ==, 1);
    world_free(p.w);
}

/* 6 */
static void
test_unknown_is_logged_at_debug(void)
{
    struct pair p = pair_connected(3);
    static const uint8_t bytes[] = { 0xde, 0xad, 0xbe, 0xef, 0x01 };

    g_assert_cmpint(end_inject(p.b, "203.0.113.9:4000", LOCAL, bytes, sizeof bytes, 0), <, 0);
    g_assert_cmpint(end_inject(p.b, "203.0.113.9:4000", LOCAL, bytes, 0, 0), <, 0);
    g_assert_nonnull(strstr(p.b->log_text->str, "deadbeef01"));
    g_assert_null(strstr(p.b->log_info->str, "deadbeef"));
    g_assert_cmpuint(p.b->drops.count[SP_DROP_UNKNOWN_DATAGRAM], ==, 2);
    world_free(p.w);
}

static void
test_no_addresses_above_debug(void)
{
    struct pair p = pair_connected(3);

    g_assert_null(strstr(p.a->log_info->str, "192.0.2."));
    g_assert_null(strstr(p.a->log_info->str, "198.51.100."));
    g_assert_nonnull(strstr(p.a->log_info->str, "established"));
    world_free(p.w);
}

/* ---- handshake flood ------------------------------------------------------------------------- */

struct capture {
    enum sp_wg_kind kind;
    uint8_t bytes[SP_WG_INITIATION_LEN];
    bool have;
};

/* Keep the first message of a kind, and keep it from its receiver. */
static bool
capture_message(void *ctx, int host SP_UNUSED, const struct test_net_datagram *d, sp_time now)
{
    struct capture *c = ctx;

    (void)now;
    if (c->have || sp_wg_classify(d->bytes) != c->kind)
        return true;
    memcpy(c->bytes, d->bytes.p, d->bytes.n);
    c->have = true;
    return false;
}

/* 9: copies of a valid initiation exhaust the limiter; the peer gets through with its cookie. */
static void
test_handshake_flood(void)
{
    struct pair p = { .w = world_new(4) };
    struct capture c = { .kind = SP_WG_INITIATION };
    sp_time start;

    p.a = world_add(p.w, false, "192.0.2.1", -1);
    p.b = world_add(p.w, true, "198.51.100.1", -1);
    test_net_set_filter(p.w->net, capture_message, &c);
    world_connect(p.a, p.b);
    world_run(p.w, SP_SEC(2));
    g_assert_true(c.have);
    start = p.w->now;
    while (p.w->now - start < SP_SEC(14)) {
        for (int i = 0; i < 20; i++)
            (void)end_inject(p.b, "203.0.113.9:4000", LOCAL, c.bytes, sizeof c.bytes, 0);
        world_run(p.w, SP_MS(100));
    }
    g_assert_cmpint(p.b->wg_sent[SP_WG_COOKIE], >, 1000);
    g_assert_cmpint(p.a->established[SERVER], ==, 1);
    g_assert_cmpint(p.a->failed[SERVER], ==, 0);
    world_free(p.w);
}

/* Replays of an answer to us cost a Diffie-Hellman each, so they are limited as well. */
static void
test_replayed_responses(void)
{
    struct pair p = { .w = world_new(4) };
    struct capture c = { .kind = SP_WG_RESPONSE };

    p.a = world_add(p.w, false, "192.0.2.1", -1);
    p.b = world_add(p.w, true, "198.51.100.1", -1);
    test_net_set_filter(p.w->net, capture_message, &c);
    world_connect(p.a, p.b);
    world_run(p.w, SP_SEC(2));
    g_assert_true(c.have);
    for (int i = 0; i < 150; i++)
        (void)
            end_inject(p.a, "203.0.113.9:4000", "192.0.2.1:52625", c.bytes, SP_WG_RESPONSE_LEN, 0);
    g_assert_cmpint(p.a->wg_sent[SP_WG_COOKIE], >=, 49);
    g_assert_cmpint(p.a->wg_sent[SP_WG_COOKIE], <=, 51);
    world_free(p.w);
}

/* Answers nobody waits for must not eat the budget of real handshakes. */
static void
test_response_flood(void)
{
    struct pair p = pair_connected(4);
    uint8_t bytes[SP_WG_RESPONSE_LEN] = { SP_WG_RESPONSE };

    bytes[SP_WG_RESP_RECEIVER + 3] = 0xee;
    for (int i = 0; i < 500; i++)
        g_assert_cmpint(end_inject(p.b, "203.0.113.9:4000", LOCAL, bytes, sizeof bytes, 0),
                        ==,
                        SP_E_NOTFOUND);
    g_assert_cmpint(p.b->wg_sent[SP_WG_COOKIE], ==, 0);
    g_assert_cmpuint(p.b->drops.count[SP_DROP_UNKNOWN_INDEX], ==, 500);
    world_free(p.w);
}

/* ---- relays ---------------------------------------------------------------------------------- */

static void
test_relay_datagrams(void)
{
    struct pair p = pair_connected(5);
    char user[] = "1:u", password[] = "secret";
    struct sp_relay relay = { .id = world_uuid(9), .username = user, .password = password };
    static const uint8_t txid[SP_STUN_TXID_LEN] = { 1 };
    uint8_t stun[64], channel[8] = { 0x40, 0x00, 0, 4, 4, 0, 0, 0 };
    struct sp_stun_builder b =
        sp_stun_build(stun, sizeof stun, SP_STUN_SUCCESS, SP_STUN_BINDING, txid);
    int n = sp_stun_finish(&b);
    struct sp_node_stats stats;
    /* who sends: before the relay is known, known, removed */
    static const int stun_result[] = { SP_E_NOTFOUND, 0, 0 };
    static const int channel_result[] = { SP_E_MALFORMED, 0, 0 };

    g_assert_cmpint(n, >, 0);
    g_assert_cmpint(sp_endpoint_parse("203.0.113.3:3478", &relay.addr4), ==, 0);
    for (int i = 0; i < 3; i++) {
        if (i == 1)
            g_assert_cmpint(sp_node_update_relays(p.b->node, NULL, 0, &relay, 1, p.w->now), ==, 0);
        if (i == 2)
            g_assert_cmpint(sp_node_update_relays(p.b->node, &relay.id, 1, NULL, 0, p.w->now),
                            ==,
                            0);
        sp_node_stats(p.b->node, &stats);
        g_assert_cmpuint(stats.relays, ==, i == 1);
        g_assert_cmpint(end_inject(p.b, "203.0.113.3:3478", LOCAL, stun, (size_t)n, 0),
                        ==,
                        stun_result[i]);
        g_string_truncate(p.b->log_text, 0);
        g_assert_cmpint(end_inject(p.b, "203.0.113.3:3478", LOCAL, channel, sizeof channel, 0),
                        ==,
                        channel_result[i]);
        /* 3, 4: swallowed without an "unknown" line */
        g_assert_true((strstr(p.b->log_text->str, "unknown") != NULL) == (i == 0));
    }
    /* Another port of the relay's host is not the relay. */
    g_assert_cmpint(end_inject(p.b, "203.0.113.3:3479", LOCAL, channel, sizeof channel, 0),
                    ==,
                    SP_E_MALFORMED);
    world_free(p.w);
}

static void
test_too_many_relays(void)
{
    struct pair p = pair_connected(5);
    char user[] = "1:u", password[] = "secret";
    struct sp_relay relay = { .id = world_uuid(9), .username = user, .password = password };

    g_assert_cmpint(sp_node_update_relays(p.b->node, NULL, 0, &relay, 1, p.w->now), ==, 0);
    g_assert_null(strstr(p.b->log_text->str, "secret"));
    for (int i = 0; i < SP_NODE_RELAYS_MAX + 3; i++) {
        relay.id = world_uuid(100 + i);
        g_assert_cmpint(sp_node_update_relays(p.b->node, NULL, 0, &relay, 1, p.w->now),
                        ==,
                        i < SP_NODE_RELAYS_MAX - 1 ? 0 : SP_E_LIMIT);
    }
    world_free(p.w);
}

/* 5: a NAT gave the peer the relay port. */
static void
test_peer_on_relay_port(void)
{
    struct world *w = world_new(6);
    int nat = test_net_add_nat(w->net, TEST_NET_NAT_CONE, "192.0.2.1");
    struct pair p = { .w = w };

    test_net_nat_set_port(w->net, nat, 3478);
    p.a = world_add(w, false, "10.0.0.2", nat);
    p.b = world_add(w, true, "198.51.100.1", -1);
    world_connect(p.a, p.b);
    g_assert_cmpuint(world_until_established(p.a, p.b, SP_SEC(5)), <, SP_SEC(5));
    g_assert_cmpuint(end_info(p.b, p.a).remote.port, ==, 3478);
    assert_alive(p);
    world_free(w);
}

/* Credentials have 20 bits of local ufrag; equal ones of two peers must not mix them up. */
static void
test_equal_ufrags(void)
{
    struct world *w = world_new(7);
    struct end *gw, *ends[2];

    ends[0] = world_add(w, false, "192.0.2.1", -1);
    ends[1] = world_add(w, false, "192.0.2.2", -1);
    gw = world_add(w, true, "198.51.100.1", -1);
    for (int i = 0; i < 2; i++) {
        struct sp_node_peer_params pg = world_params(gw, ends[i]), pc = world_params(ends[i], gw);
        struct sp_uuid id_g = world_uuid(gw->id), id_c = world_uuid(ends[i]->id);

        memcpy(pg.local.ufrag, "same", 5);
        memcpy(pc.remote.ufrag, "same", 5);
        g_assert_cmpint(sp_node_upsert(gw->node, &id_c, &pg, w->now), ==, 0);
        world_drain(gw);
        g_assert_cmpint(sp_node_upsert(ends[i]->node, &id_g, &pc, w->now), ==, 0);
        world_drain(ends[i]);
    }
    world_run(w, SP_SEC(5));
    for (int i = 0; i < 2; i++) {
        g_assert_cmpint(gw->established[i], ==, 1);
        g_assert_cmpint(end_send(ends[i], gw, 100, 0), ==, 0);
        world_run(w, SP_SEC(1));
        g_assert_cmpint(gw->last_sender, ==, i);
    }
    world_free(w);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/node/demux/garbage-flood", test_garbage_flood);
    g_test_add_func("/node/demux/flipped-bits", test_flipped_bits);
    g_test_add_func("/node/demux/unknown-is-logged-at-debug", test_unknown_is_logged_at_debug);
    g_test_add_func("/node/demux/no-addresses-above-debug", test_no_addresses_above_debug);
    g_test_add_func("/node/demux/handshake-flood", test_handshake_flood);
    g_test_add_func("/node/demux/replayed-responses", test_replayed_responses);
    g_test_add_func("/node/demux/response-flood", test_response_flood);
    g_test_add_func("/node/demux/relay-datagrams", test_relay_datagrams);
    g_test_add_func("/node/demux/too-many-relays", test_too_many_relays);
    g_test_add_func("/node/demux/peer-on-relay-port", test_peer_on_relay_port);
    g_test_add_func("/node/demux/equal-ufrags", test_equal_ufrags);
    return g_test_run();
}
