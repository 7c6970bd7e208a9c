/* SPDX-License-Identifier: Apache-2.0 */
/* Two nodes find each other over a virtual network. Numbers are those of spec connectivity 9. */
#include <string.h>

#include "engine/ip/packet.h"
#include "engine/stun/stun.h"
#include "engine/wg/messages.h"
#include "tests/unit/node/world.h"

#define CLIENT 0
#define SERVER 1

static struct world *
two_ends(uint64_t seed, const char *client, const char *server)
{
    struct world *w = world_new(seed);

    world_add(w, false, client, -1);
    world_add(w, true, server, -1);
    return w;
}

static void
assert_established_once(struct world *w)
{
    struct end *a = &w->ends[CLIENT], *b = &w->ends[SERVER];

    g_assert_cmpint(a->established[SERVER], ==, 1);
    g_assert_cmpint(b->established[CLIENT], ==, 1);
    g_assert_cmpint(a->failed[SERVER], ==, 0);
    g_assert_cmpint(b->failed[CLIENT], ==, 0);
}

static void
assert_traffic(struct world *w, struct end *from, struct end *to)
{
    guint before = to->received->len;
    GBytes *packet;

    g_assert_cmpint(end_send(from, to, 500, 0), ==, 0);
    world_run(w, SP_SEC(1));
    g_assert_cmpuint(to->received->len, ==, before + 1);
    packet = g_ptr_array_index(to->received, before);
    g_assert_cmpuint(g_bytes_get_size(packet), ==, 500);
    g_assert_cmpint(to->last_sender, ==, from->id);
}

/* ---- direct paths ---------------------------------------------------------------------------- */

static const struct direct_case {
    const char *name;
    const char *client;
    const char *server;
    uint8_t family; /* of the path */
} direct_cases[] = {
    { "v4", "192.0.2.1", "198.51.100.1", 4 },
    { "v6", "2001:db8::1", "2001:db8:1::1", 6 },
    { "both-prefer-v6", "192.0.2.1,2001:db8::1", "198.51.100.1,2001:db8:1::1", 6 },
    { "server-v4-only", "192.0.2.1,2001:db8::1", "198.51.100.1", 4 },
    { "several", "192.0.2.1,192.0.2.2,2001:db8::1", "198.51.100.1,198.51.100.2", 4 },
};

static void
test_direct(const void *data)
{
    const struct direct_case *t = data;
    struct world *w = two_ends(1, t->client, t->server);
    struct end *a = &w->ends[CLIENT], *b = &w->ends[SERVER];
    struct sp_node_info info;

    world_connect(a, b);
    g_assert_cmpuint(world_until_established(a, b, SP_SEC(5)), <, SP_SEC(2));
    world_run(w, SP_SEC(5));
    info = end_info(a, b);
    g_assert_cmpint(info.path, ==, SP_NODE_PATH_PEER_TO_PEER);
    g_assert_cmpint(info.local.ip.family, ==, t->family);
    g_assert_cmpint(info.remote.port, ==, WORLD_PORT);
    g_assert_true(info.established);
    g_assert_cmpuint(info.rtt, >=, SP_MS(40));
    g_assert_cmpuint(info.last_handshake, <=, w->now);
    assert_traffic(w, a, b);
    assert_traffic(w, b, a);
    g_assert_cmpuint(end_info(a, b).tx_bytes, ==, 500);
    g_assert_cmpuint(end_info(a, b).rx_bytes, ==, 500);
    assert_established_once(w);
    world_free(w);
}

/* Candidates of one side arrive late or the peer does not know the connection yet. */
static void
test_late_candidates(void)
{
    static const struct {
        sp_duration late_server;
        sp_duration late_client;
    } cases[] = { { 0, SP_SEC(3) }, { SP_SEC(3), 0 }, { SP_SEC(9), SP_SEC(9) }, { 0, 0 } };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct world *w = two_ends(i, "192.0.2.1,2001:db8::1", "198.51.100.1,2001:db8:1::1");
        struct end *a = &w->ends[CLIENT], *b = &w->ends[SERVER];

        a->deaf_signalling = cases[i].late_client > 0;
        b->deaf_signalling = cases[i].late_server > 0;
        world_connect(a, b);
        world_run(w, MIN(cases[i].late_client, cases[i].late_server));
        a->deaf_signalling = cases[i].late_client > cases[i].late_server;
        b->deaf_signalling = cases[i].late_server > cases[i].late_client;
        world_run(w, SP_SEC(3));
        a->deaf_signalling = b->deaf_signalling = false;
        g_assert_cmpuint(world_until_established(a, b, SP_SEC(5)), <, SP_SEC(5));
        world_run(w, SP_SEC(3));
        assert_traffic(w, a, b);
        assert_established_once(w);
        world_free(w);
    }
}

static void
test_candidate_before_upsert(void)
{
    struct world *w = two_ends(3, "192.0.2.1", "198.51.100.1");
    struct end *a = &w->ends[CLIENT], *b = &w->ends[SERVER];
    struct sp_uuid id = world_uuid(SERVER);

    g_assert_cmpint(sp_node_add_remote_candidate(a->node,
                                                 &id,
                                                 "candidate:1 1 udp 1 198.51.100.1 1 typ host",
                                                 w->now),
                    ==,
                    SP_E_NOTFOUND);
    g_assert_cmpint(world_upsert(b, a), ==, 0);
    world_run(w, SP_SEC(2)); /* the server's candidates reach a client that does not know it */
    g_assert_cmpint(world_upsert(a, b), ==, 0);
    /* The client's check makes it known to the server, which answers to a discovered address; the
     * client itself has no candidate of the server and cannot start. */
    world_run(w, SP_SEC(2));
    g_assert_cmpint(world_upsert(b, a), ==, SP_NODE_REUSED); /* signals again */
    g_assert_cmpuint(world_until_established(a, b, SP_SEC(5)), <, SP_SEC(5));
    assert_established_once(w);
    world_free(w);
}

static void
test_bad_candidates(void)
{
    static const char *const bad[] = {
        "",
        "a=",
        "candidate:",
        "candidate:1 2 udp 1 192.0.2.9 1 typ host",
        "candidate:1 1 udp 1 192.0.2.9 1 typ host ufrag other",
        "\xff\xfe",
    };
    struct world *w = two_ends(3, "192.0.2.1", "198.51.100.1");
    struct end *a = &w->ends[CLIENT], *b = &w->ends[SERVER];
    struct sp_uuid id = world_uuid(SERVER);

    world_connect(a, b);
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
        g_assert_cmpint(sp_node_add_remote_candidate(a->node, &id, bad[i], w->now),
                        ==,
                        SP_E_MALFORMED);
    world_until_established(a, b, SP_SEC(5));
    assert_established_once(w);
    world_free(w);
}

/* ---- bad networks ---------------------------------------------------------------------------- */

static void
test_lossy(void)
{
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct world *w = two_ends(seed, "192.0.2.1,2001:db8::1", "198.51.100.1,2001:db8:1::1");
        struct test_net_link link = { .delay = SP_MS(20),
                                      .jitter = SP_MS(100),
                                      .loss = 150,
                                      .duplicate = 100 };
        struct end *a = &w->ends[CLIENT], *b = &w->ends[SERVER];
        guint sent = 0;

        g_test_message("seed %d", (int)seed);
        test_net_set_link(w->net, a->host, link);
        test_net_set_link(w->net, b->host, link);
        world_connect(a, b);
        world_until_established(a, b, SP_SEC(25));
        for (int i = 0; i < 200; i++) {
            sent += end_send(a, b, 100, 0) == 0;
            world_run(w, SP_MS(100));
        }
        g_assert_cmpuint(sent, ==, 200);
        /* Both links lose 15 %; duplicates must not come through. */
        g_assert_cmpuint(b->received->len, >, 100);
        g_assert_cmpuint(b->received->len, <=, 200);
        assert_established_once(w);
        world_free(w);
    }
}

struct wg_loss {
    enum sp_wg_kind kind;
    int left;
};

static bool
lose_wg(void *ctx, int host SP_UNUSED, const struct test_net_datagram *d, sp_time now SP_UNUSED)
{
    struct wg_loss *loss = ctx;

    return sp_wg_classify(d->bytes) != loss->kind || loss->left-- <= 0;
}

/* 49: the handshake is retried every 5 s and succeeds before the give-up time. */
static void
test_lost_handshakes(void)
{
    static const struct wg_loss cases[] = {
        { SP_WG_INITIATION, 1 },
        { SP_WG_INITIATION, 3 },
        { SP_WG_RESPONSE, 1 },
        { SP_WG_RESPONSE, 2 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct world *w = two_ends(5, "192.0.2.1", "198.51.100.1");
        struct end *a = &w->ends[CLIENT], *b = &w->ends[SERVER];
        struct wg_loss loss = cases[i];
        sp_duration took;

        test_net_set_filter(w->net, lose_wg, &loss);
        world_connect(a, b);
        took = world_until_established(a, b, SP_SEC(20));
        g_assert_cmpuint(took, >=, SP_SEC(5) * (sp_duration)cases[i].left);
        g_assert_cmpuint(took, <=, SP_MS(5500) * (sp_duration)cases[i].left + SP_SEC(1));
        assert_established_once(w);
        world_free(w);
    }
}

/* 52 with 4.6: the responder is established by proof, not by the initiation. */
static void
test_responder_waits_for_proof(void)
{
    struct world *w = two_ends(5, "192.0.2.1", "198.51.100.1");
    struct end *a = &w->ends[CLIENT], *b = &w->ends[SERVER];
    struct wg_loss loss = { SP_WG_DATA, 1 };

    test_net_set_filter(w->net, lose_wg, &loss);
    world_connect(a, b);
    world_run(w, SP_SEC(3));
    g_assert_cmpint(a->established[SERVER], ==, 1);
    g_assert_cmpint(b->established[CLIENT], ==, 0);
    g_assert_cmpint(end_send(b, a, 100, 0), ==, SP_NODE_CONNECTING);
    assert_traffic(w, a, b);
    g_assert_cmpint(b->established[CLIENT], ==, 1);
    world_free(w);
}

static bool
lose_nominations(void *ctx, int host SP_UNUSED, const struct test_net_datagram *d, sp_time now)
{
    struct sp_stun_msg msg;

    return now >= *(sp_time *)ctx || sp_stun_parse(d->bytes, &msg) < 0
           || !sp_stun_has(&msg, SP_STUN_USE_CANDIDATE);
}

/* 51: the answer to an early initiation waits for the path. */
static void
test_early_initiation(void)
{
    struct world *w = two_ends(5, "192.0.2.1", "198.51.100.1");
    struct end *a = &w->ends[CLIENT], *b = &w->ends[SERVER];
    sp_time until = w->now + SP_SEC(2);

    test_net_set_filter(w->net, lose_nominations, &until);
    world_connect(a, b);
    world_run(w, SP_SEC(2));
    g_assert_cmpint(a->wg_sent[SP_WG_INITIATION], ==, 1);
    g_assert_cmpint(b->wg_sent[SP_WG_RESPONSE], ==, 0);
    g_assert_cmpint(end_info(b, a).state, ==, SP_NODE_STATE_CONNECTING);
    g_assert_cmpuint(world_until_established(a, b, SP_SEC(2)), <, SP_SEC(2));
    g_assert_cmpint(a->wg_sent[SP_WG_INITIATION], ==, 1);
    g_assert_cmpint(b->wg_sent[SP_WG_RESPONSE], ==, 1);
    assert_established_once(w);
    world_free(w);
}

/* ---- NAT and roles --------------------------------------------------------------------------- */

static void
test_client_behind_nat(void)
{
    static const enum test_net_nat kinds[] = { TEST_NET_NAT_OPEN,
                                               TEST_NET_NAT_CONE,
                                               TEST_NET_NAT_SYMMETRIC };

    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        struct world *w = world_new(i);
        struct end *a, *b;

        a = world_add(w, false, "10.0.0.2", test_net_add_nat(w->net, kinds[i], "192.0.2.1"));
        b = world_add(w, true, "198.51.100.1", -1);
        world_connect(a, b);
        g_assert_cmpuint(world_until_established(a, b, SP_SEC(5)), <, SP_SEC(5));
        assert_traffic(w, a, b);
        assert_traffic(w, b, a);
        g_assert_cmpuint(end_info(b, a).remote.port, !=, WORLD_PORT);
        assert_established_once(w);
        world_free(w);
    }
}

/* 7: two clients that share the outside address. */
static void
test_two_clients_one_nat(void)
{
    struct world *w = world_new(9);
    int nat = test_net_add_nat(w->net, TEST_NET_NAT_CONE, "192.0.2.1");
    struct end *a = world_add(w, false, "10.0.0.2", nat);
    struct end *b = world_add(w, false, "10.0.0.3", nat);
    struct end *gw = world_add(w, true, "198.51.100.1", -1);

    world_connect(a, gw);
    world_connect(b, gw);
    world_until_established(a, gw, SP_SEC(5));
    world_until_established(b, gw, SP_SEC(5));
    assert_traffic(w, a, gw);
    assert_traffic(w, b, gw);
    assert_traffic(w, gw, a);
    assert_traffic(w, gw, b);
    world_free(w);
}

/* 45: both believe that they control. */
static void
test_role_conflict(void)
{
    for (int controlling = 0; controlling < 2; controlling++) {
        struct world *w = two_ends(11, "192.0.2.1", "198.51.100.1");
        struct end *a = &w->ends[CLIENT], *b = &w->ends[SERVER];
        struct sp_node_peer_params pa = world_params(a, b), pb = world_params(b, a);
        struct sp_uuid id_a = world_uuid(CLIENT), id_b = world_uuid(SERVER);

        pa.controlling = pb.controlling = controlling;
        g_assert_cmpint(sp_node_upsert(b->node, &id_a, &pb, w->now), ==, 0);
        world_drain(b);
        g_assert_cmpint(sp_node_upsert(a->node, &id_b, &pa, w->now), ==, 0);
        world_drain(a);
        g_assert_cmpuint(world_until_established(a, b, SP_SEC(10)), <, SP_SEC(10));
        world_run(w, SP_SEC(5));
        assert_traffic(w, a, b);
        assert_established_once(w);
        world_free(w);
    }
}

/* ---- packets --------------------------------------------------------------------------------- */

/* 10: sealed where it lies, 16 bytes before the inner packet. */
static void
test_sealed_in_place(void)
{
    struct world *w = two_ends(13, "192.0.2.1", "198.51.100.1");
    struct end *a = &w->ends[CLIENT], *b = &w->ends[SERVER];

    world_connect(a, b);
    world_until_established(a, b, SP_SEC(5));
    g_assert_cmpint(end_send(a, b, SP_MTU, 0), ==, 0);
    g_assert_cmpuint(a->last_sent_off, ==, SP_PKT_HEADROOM - SP_WG_DATA_PAYLOAD);
    world_run(w, SP_SEC(1));
    g_assert_cmpuint(b->received->len, ==, 1);
    world_free(w);
}

static void
test_ecn(void)
{
    /* inner mark, mark put on by a router (or -1), inner mark as received (spec 1.1) */
    static const struct {
        uint8_t inner;
        int router;
        uint8_t expected;
    } cases[] = {
        { SP_ECN_NOT_ECT, -1, SP_ECN_NOT_ECT },        { SP_ECN_ECT0, -1, SP_ECN_ECT0 },
        { SP_ECN_ECT1, SP_ECN_CE, SP_ECN_CE },         { SP_ECN_ECT0, SP_ECN_CE, SP_ECN_CE },
        { SP_ECN_NOT_ECT, SP_ECN_CE, SP_ECN_NOT_ECT }, { SP_ECN_CE, SP_ECN_NOT_ECT, SP_ECN_CE },
        { SP_ECN_ECT0, SP_ECN_NOT_ECT, SP_ECN_ECT0 },
    };
    struct world *w = two_ends(13, "192.0.2.1", "198.51.100.1");
    struct end *a = &w->ends[CLIENT], *b = &w->ends[SERVER];

    world_connect(a, b);
    world_until_established(a, b, SP_SEC(5));
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct sp_ip_view view;
        GBytes *packet;

        world_set_router_mark(w, cases[i].router);
        g_assert_cmpint(end_send(a, b, 100, cases[i].inner), ==, 0);
        g_assert_cmpint(a->last_ecn, ==, cases[i].inner);
        world_run(w, SP_SEC(1));
        g_assert_cmpuint(b->received->len, ==, i + 1);
        packet = g_ptr_array_index(b->received, i);
        g_assert_cmpint(
            sp_packet_parse(g_bytes_get_data(packet, NULL), g_bytes_get_size(packet), &view),
            ==,
            0);
        g_assert_cmpint(view.ecn, ==, cases[i].expected);
    }
    world_free(w);
}

static void
test_send_without_connection(void)
{
    struct world *w = two_ends(13, "192.0.2.1", "198.51.100.1");
    struct end *a = &w->ends[CLIENT], *b = &w->ends[SERVER];

    g_assert_cmpint(end_send(a, b, 100, 0), ==, SP_NODE_UNKNOWN);
    g_assert_cmpint(world_upsert(a, b), ==, 0);
    g_assert_cmpint(end_send(a, b, 100, 0), ==, SP_NODE_CONNECTING);
    world_free(w);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(direct_cases); i++) {
        char *path = g_strdup_printf("/node/connect/direct/%s", direct_cases[i].name);

        g_test_add_data_func(path, &direct_cases[i], test_direct);
        g_free(path);
    }
    g_test_add_func("/node/connect/late-candidates", test_late_candidates);
    g_test_add_func("/node/connect/candidate-before-upsert", test_candidate_before_upsert);
    g_test_add_func("/node/connect/bad-candidates", test_bad_candidates);
    g_test_add_func("/node/connect/lossy", test_lossy);
    g_test_add_func("/node/connect/lost-handshakes", test_lost_handshakes);
    g_test_add_func("/node/connect/responder-waits-for-proof", test_responder_waits_for_proof);
    g_test_add_func("/node/connect/early-initiation", test_early_initiation);
    g_test_add_func("/node/connect/client-behind-nat", test_client_behind_nat);
    g_test_add_func("/node/connect/two-clients-one-nat", test_two_clients_one_nat);
    g_test_add_func("/node/connect/role-conflict", test_role_conflict);
    g_test_add_func("/node/send/sealed-in-place", test_sealed_in_place);
    g_test_add_func("/node/send/ecn", test_ecn);
    g_test_add_func("/node/send/without-connection", test_send_without_connection);
    return g_test_run();
}
