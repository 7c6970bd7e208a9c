/* SPDX-License-Identifier: Apache-2.0 */
/* Two agents against each other. Numbers in comments are invariants of spec connectivity 9. */
#include <string.h>

#include "engine/ice/agent-private.h"
#include "engine/stun/stun.h"
#include "tests/unit/ice/pair-net.h"

#define HOST0  "10.0.0.1:52625"
#define HOST1  "10.0.1.1:52625"
#define HOST0B "10.0.9.1:52625"
#define NAT0   "198.51.100.4:40000"
#define RELAY0 "203.0.113.7:50123"
#define RELAY1 "203.0.113.8:50124"

static const struct sp_ice_timing *const client = &sp_ice_timing_client_active;
static const struct sp_ice_timing *const server = &sp_ice_timing_server_active;

static void
start(struct net *net, uint64_t seed)
{
    net_init(net, seed, true, false, client, client);
}

/* RFC 8445 6.1.2.3 */
static void
pair_priority(void)
{
    static const struct {
        uint32_t g, d;
        uint64_t want;
    } cases[] = {
        { 1, 1, (UINT64_C(1) << 32) + 2 },
        { 2, 1, (UINT64_C(1) << 32) + 4 + 1 },
        { 1, 2, (UINT64_C(1) << 32) + 4 },
        { 2130706175, 37748479, (UINT64_C(37748479) << 32) + UINT64_C(4261412350) + 1 },
        { 0xffffffff, 0xffffffff, UINT64_C(0xffffffff00000000) + UINT64_C(0x1fffffffe) },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_message("case %zu", i);
        g_assert_cmpuint(sp_ice_pair_priority(cases[i].g, cases[i].d), ==, cases[i].want);
    }
}

static void
direct(void)
{
    struct sp_ice_stats stats;
    struct net net;

    start(&net, 1);
    g_assert_cmpint(sp_ice_agent_state(net.side[0].agent), ==, SP_ICE_NEW);
    net_host(&net, 0, HOST0);
    net_host(&net, 1, HOST1);
    net_run(&net, SP_SEC(1));
    net_assert_path(&net, 0, HOST0, HOST1);
    net_assert_path(&net, 1, HOST1, HOST0);
    for (unsigned i = 0; i < 2; i++) {
        g_assert_cmpuint(net.side[i].n_nominations, ==, 1);
        g_assert_cmpint(net.side[i].local_kind, ==, SP_ICE_HOST);
        g_assert_cmpint(net.side[i].remote_kind, ==, SP_ICE_HOST);
        g_assert_cmpint(sp_ice_agent_state(net.side[i].agent), ==, SP_ICE_COMPLETED);
        sp_ice_agent_stats(net.side[i].agent, &stats);
        g_assert_cmpuint(stats.rtt, ==, 2 * NET_DELAY);
        g_assert_cmpuint(stats.pairs, ==, 1);
        g_assert_cmpuint(stats.dropped, ==, 0);
    }
    g_assert_cmpuint(net.side[1].n_use_candidate, ==, 0);
    g_assert_cmpuint(net.side[0].n_use_candidate, >, 0);
    net_done(&net);
}

/* One side behind a NAT that nobody told us about: remote prflx, then the signalled srflx takes its
 * place without a failure (36). */
static void
remote_prflx_is_replaced(void)
{
    struct sp_ice_candidate srflx;
    struct sp_endpoint mapped = ep(NAT0), base = ep(HOST0);
    struct sp_ice_stats stats;
    struct net net;

    start(&net, 2);
    net.nat_inside = ep(HOST0);
    net.nat_outside = ep(NAT0);
    net_host(&net, 0, HOST0);
    net_host(&net, 1, HOST1);
    net_run(&net, SP_SEC(1));
    net_assert_path(&net, 0, HOST0, HOST1);
    net_assert_path(&net, 1, HOST1, NAT0);
    g_assert_cmpint(net.side[1].remote_kind, ==, SP_ICE_PRFLX);
    /* the mapped address became a local prflx of the side behind the NAT */
    g_assert_cmpint(sp_ice_agent_local_at(net.side[0].agent, 1)->kind, ==, SP_ICE_PRFLX);
    g_assert_null(sp_ice_agent_local_at(net.side[0].agent, 2));

    g_assert_cmpint(sp_ice_candidate_srflx(&mapped, &base, &srflx), ==, 0);
    memcpy(srflx.ufrag, "xcuw", 5);
    net_signal(&net, 1, &srflx);
    net_run(&net, SP_SEC(1));
    net_assert_path(&net, 1, HOST1, NAT0);
    g_assert_cmpint(net.side[1].remote_kind, ==, SP_ICE_SRFLX);
    sp_ice_agent_stats(net.side[1].agent, &stats);
    g_assert_cmpuint(stats.remotes, ==, 2);
    g_assert_false(net_saw_state(&net, 0, SP_ICE_DISCONNECTED));
    g_assert_false(net_saw_state(&net, 1, SP_ICE_DISCONNECTED));
    net_done(&net);
}

/* 45 */
static void
role_conflicts(void)
{
    for (uint64_t seed = 10; seed < 30; seed++) {
        bool role = seed & 1;
        struct net net;

        net_init(&net, seed, role, role, client, client);
        net_host(&net, 0, HOST0);
        net_host(&net, 1, HOST1);
        net_run(&net, SP_SEC(5));
        g_assert_cmpint(sp_ice_agent_is_controlling(net.side[0].agent),
                        !=,
                        sp_ice_agent_is_controlling(net.side[1].agent));
        net_assert_path(&net, 0, HOST0, HOST1);
        net_assert_path(&net, 1, HOST1, HOST0);
        g_assert_cmpuint(net.side[0].n_nominations, ==, 1);
        g_assert_cmpuint(net.side[1].n_nominations, ==, 1);
        net_done(&net);
    }
}

static sp_duration
mean_gap(const struct net_side *s, unsigned from)
{
    g_assert_cmpuint(s->n_sent, >, from + 1);
    g_assert_cmpuint(s->n_sent, <=, NET_LOG_MAX);
    return (s->sent_at[s->n_sent - 1] - s->sent_at[from]) / (s->n_sent - 1 - from);
}

/* 42: every 1.5 s active, every 25 s idle */
static void
check_spacing(void)
{
    struct net net;
    unsigned before;

    start(&net, 3);
    net_host(&net, 0, HOST0);
    net_host(&net, 1, HOST1);
    net_run(&net, SP_SEC(10));
    before = net.side[0].n_sent;
    net_run(&net, SP_SEC(30));
    g_assert_cmpuint(mean_gap(&net.side[0], before), ==, SP_MS(1500));

    for (unsigned i = 0; i < 2; i++)
        sp_ice_agent_set_timing(net.side[i].agent, &sp_ice_timing_client_idle, net.now);
    net_run(&net, SP_SEC(30));
    before = net.side[0].n_sent;
    net_run(&net, SP_SEC(200));
    g_assert_cmpuint(mean_gap(&net.side[0], before), ==, SP_SEC(25));

    for (unsigned i = 0; i < 2; i++)
        sp_ice_agent_set_timing(net.side[i].agent, client, net.now);
    before = net.side[0].n_sent;
    net_run(&net, SP_SEC(15));
    g_assert_cmpuint(net.side[0].n_sent - before, >=, 10);
    g_assert_cmpint(sp_ice_agent_state(net.side[0].agent), ==, SP_ICE_COMPLETED);
    net_done(&net);
}

/* The table of spec 3.5 */
static void
timing_limits(void)
{
    g_assert_cmpuint(sp_ice_timing_limit(&sp_ice_timing_client_active), ==, SP_MS(16500));
    g_assert_cmpuint(sp_ice_timing_limit(&sp_ice_timing_client_idle), ==, SP_SEC(100));
    g_assert_cmpuint(sp_ice_timing_limit(&sp_ice_timing_server_active), ==, SP_MS(615500));
    g_assert_cmpuint(sp_ice_timing_limit(&sp_ice_timing_server_idle), ==, SP_SEC(1000));
}

static sp_time
last_state_at(const struct net_side *s, enum sp_ice_state state)
{
    for (unsigned i = s->n_states; i-- > 0;) {
        if (s->states[i] == state)
            return s->state_at[i];
    }
    return SP_TIME_NEVER;
}

/* A pair that works and then goes silent fails 16.5 s after its first unanswered check. */
static void
working_pair_fails(void)
{
    struct net_side *s;
    unsigned first;
    struct net net;

    start(&net, 4);
    s = &net.side[0];
    net_host(&net, 0, HOST0);
    net_host(&net, 1, HOST1);
    net_run(&net, SP_SEC(60));
    first = s->n_sent;
    net.cut = true;
    net_run(&net, SP_SEC(17) + SP_MS(500));
    g_assert_cmpuint(s->n_sent - first, ==, 12);
    g_assert_cmpuint(last_state_at(s, SP_ICE_DISCONNECTED) - s->sent_at[first], ==, SP_MS(16500));
    net_done(&net);
}

static void
first_check_fails(void)
{
    struct net_side *s;
    struct net net;

    start(&net, 5);
    s = &net.side[0];
    net.cut = true;
    net_host(&net, 0, HOST0);
    net_host(&net, 1, HOST1);
    net_run(&net, SP_SEC(16));
    g_assert_cmpuint(s->n_sent, ==, 12);
    g_assert_cmpuint(s->sent_at[1] - s->sent_at[0], ==, SP_MS(250));
    g_assert_cmpuint(s->sent_at[2] - s->sent_at[1], ==, SP_MS(500));
    g_assert_cmpuint(last_state_at(s, SP_ICE_DISCONNECTED) - s->sent_at[0], ==, SP_MS(15250));
    /* 31: a new candidate turns it back */
    net.cut = false;
    net_host(&net, 1, "10.0.1.2:52625");
    net_run(&net, SP_SEC(1));
    g_assert_cmpint(sp_ice_agent_state(s->agent), ==, SP_ICE_COMPLETED);
    g_assert_cmpint(s->states[s->n_states - 2], ==, SP_ICE_CHECKING);
    net_done(&net);
}

static void
drop_replies(struct net_packet *p)
{
    /* what side 0 asks is answered with bytes that no longer verify */
    if (p->to == 0 && p->bytes[0] == 0x01)
        p->bytes[p->len - 10] ^= 1;
}

/* Requests of the peer younger than 15 s keep an unanswered pair; bad integrity does not count as an
 * answer. */
static void
fresh_requests_keep_pair(void)
{
    struct sp_ice_stats stats;
    struct net net;

    net_init(&net, 6, true, false, client, server);
    net.rewrite = drop_replies;
    net_host(&net, 0, HOST0);
    net_host(&net, 1, HOST1);
    net_run(&net, SP_SEC(60));
    sp_ice_agent_stats(net.side[0].agent, &stats);
    g_assert_cmpuint(stats.replies_received, ==, 0);
    g_assert_cmpuint(stats.dropped, >, 10);
    g_assert_cmpuint(stats.pairs, ==, 1);
    g_assert_cmpint(sp_ice_agent_state(net.side[0].agent), ==, SP_ICE_CHECKING);
    net.cut = true;
    net_run(&net, SP_SEC(18));
    g_assert_cmpint(sp_ice_agent_state(net.side[0].agent), ==, SP_ICE_DISCONNECTED);
    net_done(&net);
}

/* Relay path first, then the direct one shows up and takes over (36). */
static void
renomination(void)
{
    struct net net;

    start(&net, 7);
    net_block(&net, HOST0, HOST1);
    net_block(&net, HOST0, RELAY1);
    net_block(&net, RELAY0, HOST1);
    net_host(&net, 0, HOST0);
    net_host(&net, 1, HOST1);
    net_relay(&net, 0, RELAY0, HOST0);
    net_relay(&net, 1, RELAY1, HOST1);
    net_run(&net, SP_SEC(3));
    net_assert_path(&net, 0, RELAY0, RELAY1);
    net_assert_path(&net, 1, RELAY1, RELAY0);
    g_assert_cmpint(net.side[0].local_kind, ==, SP_ICE_RELAY);
    g_assert_cmpint(net.side[0].remote_kind, ==, SP_ICE_RELAY);
    g_assert_cmpint(sp_ice_agent_state(net.side[0].agent), ==, SP_ICE_CONNECTED);

    net_host(&net, 0, HOST0B);
    net_run(&net, SP_SEC(3));
    net_assert_path(&net, 0, HOST0B, HOST1);
    net_assert_path(&net, 1, HOST1, HOST0B);
    g_assert_false(net_saw_state(&net, 0, SP_ICE_DISCONNECTED));
    net_done(&net);
}

/* The pair in use dies: the next best is nominated, and the patient controlled side follows. */
static void
fallback_to_relay(void)
{
    struct net net;

    net_init(&net, 8, true, false, client, server);
    net_host(&net, 0, HOST0);
    net_host(&net, 1, HOST1);
    net_relay(&net, 0, RELAY0, HOST0);
    net_relay(&net, 1, RELAY1, HOST1);
    net_run(&net, SP_SEC(20));
    net_assert_path(&net, 0, HOST0, HOST1);
    net_block(&net, HOST0, HOST1);
    net_block(&net, HOST0, RELAY1);
    net_block(&net, RELAY0, HOST1);
    net_run(&net, SP_SEC(19));
    net_assert_path(&net, 0, RELAY0, RELAY1);
    net_run(&net, SP_SEC(6));
    net_assert_path(&net, 1, RELAY1, RELAY0);
    g_assert_false(net_saw_state(&net, 0, SP_ICE_DISCONNECTED));
    g_assert_false(net_saw_state(&net, 1, SP_ICE_DISCONNECTED));
    net_done(&net);
}

/* 30 */
static void
remote_without_local(void)
{
    struct net net;

    start(&net, 9);
    net_host(&net, 1, HOST1);
    net_run(&net, SP_SEC(60));
    g_assert_cmpint(sp_ice_agent_state(net.side[0].agent), ==, SP_ICE_CHECKING);
    g_assert_cmpint(sp_ice_agent_state(net.side[1].agent), ==, SP_ICE_CHECKING);
    g_assert_cmpuint(net.side[0].n_states, ==, 1);
    net_host(&net, 0, HOST0);
    net_run(&net, SP_SEC(1));
    net_assert_path(&net, 0, HOST0, HOST1);
    net_done(&net);
}

/* A removed remote is gone: no pair, no answer to its requests, no prflx in its place. */
static void
discarded_remote_is_ignored(void)
{
    struct sp_ice_candidate gone;
    struct sp_ice_stats stats;
    struct net net;
    unsigned sent;

    start(&net, 40);
    net_host(&net, 0, HOST0);
    net_host(&net, 1, HOST1);
    net_relay(&net, 1, RELAY1, HOST1);
    net_run(&net, SP_SEC(2));
    gone = *sp_ice_agent_remote_at(net.side[0].agent, 0);
    g_assert_cmpint(gone.kind, ==, SP_ICE_HOST);
    gone.priority = 1; /* the rule looks at address and kind only */
    gone.ufrag[0] = '\0';
    g_assert_true(sp_ice_agent_remove_remote(net.side[0].agent, &gone, net.now));
    g_assert_false(sp_ice_agent_remove_remote(net.side[0].agent, &gone, net.now));
    sent = net.side[0].n_sent;
    net_run(&net, SP_SEC(10));
    net_assert_path(&net, 0, HOST0, RELAY1);
    g_assert_cmpuint(net.side[0].n_sent, >, sent);
    sp_ice_agent_stats(net.side[0].agent, &stats);
    g_assert_cmpuint(stats.remotes, ==, 1);
    g_assert_cmpuint(stats.pairs, ==, 1);
    g_assert_cmpuint(stats.dropped, >, 3);
    /* signalled again: revived */
    g_assert_cmpint(sp_ice_agent_add_remote(net.side[0].agent, &gone, net.now), ==, 0);
    net_run(&net, SP_SEC(2));
    sp_ice_agent_stats(net.side[0].agent, &stats);
    g_assert_cmpuint(stats.remotes, ==, 2);
    net_done(&net);
}

/* 38, 44: the relay goes, its candidate and path with it, the new relay takes over. */
static void
relay_is_replaced(void)
{
    struct sp_endpoint old = ep(RELAY0);
    struct sp_ice_candidate req = { .kind = SP_ICE_RELAY, .addr = old };
    struct net net;

    start(&net, 41);
    net_relay(&net, 0, RELAY0, HOST0);
    net_relay(&net, 1, RELAY1, HOST1);
    net_run(&net, SP_SEC(2));
    net_assert_path(&net, 0, RELAY0, RELAY1);
    g_assert_true(sp_ice_agent_remove_local(net.side[0].agent, &old, SP_ICE_RELAY));
    g_assert_false(sp_ice_agent_remove_local(net.side[0].agent, &old, SP_ICE_RELAY));
    sp_ice_agent_remove_remote(net.side[1].agent, &req, net.now);
    g_assert_null(sp_ice_agent_local_at(net.side[0].agent, 0));
    net_pump(&net);
    g_assert_cmpint(sp_ice_agent_state(net.side[0].agent), ==, SP_ICE_DISCONNECTED);
    net_relay(&net, 0, "203.0.113.9:50200", HOST0);
    net_run(&net, SP_SEC(1));
    net_assert_path(&net, 0, "203.0.113.9:50200", RELAY1);
    net_assert_path(&net, 1, RELAY1, "203.0.113.9:50200");
    g_assert_cmpint(sp_ice_agent_state(net.side[0].agent), ==, SP_ICE_COMPLETED);
    net_done(&net);
}

/* 40: among relayed pairs the relay's own family wins on both sides. */
static void
relay_family_preference(void)
{
    struct net net;

    start(&net, 42);
    net_relay(&net, 0, "[2001:db8:7::7]:50123", HOST0);
    net_relay(&net, 0, RELAY0, HOST0);
    net_relay(&net, 1, "[2001:db8:7::8]:50124", HOST1);
    net_relay(&net, 1, RELAY1, HOST1);
    net_run(&net, SP_SEC(3));
    net_assert_path(&net, 0, RELAY0, RELAY1);
    net_assert_path(&net, 1, RELAY1, RELAY0);
    net_done(&net);
}

static void
local_redundancy(void)
{
    struct sp_endpoint host = ep(HOST0), nat = ep(NAT0);
    struct sp_ice_candidate c, adopted;
    struct sp_ice_agent *a;
    struct net net;

    start(&net, 43);
    a = net.side[0].agent;
    g_assert_cmpint(net_srflx(&net, 0, HOST0, HOST0), ==, 0);
    g_assert_cmpint(net_host(&net, 0, HOST0), ==, 0); /* the better twin replaces */
    g_assert_cmpint(sp_ice_agent_local_at(a, 0)->kind, ==, SP_ICE_HOST);
    g_assert_null(sp_ice_agent_local_at(a, 1));
    g_assert_cmpint(net_srflx(&net, 0, HOST0, HOST0), ==, SP_ICE_REDUNDANT);
    g_assert_cmpint(net_host(&net, 0, HOST0), ==, SP_ICE_REDUNDANT);
    /* preference falls with each one of a kind, discarded ones included */
    g_assert_cmpint(sp_ice_candidate_srflx(&nat, &host, &c), ==, 0);
    g_assert_cmpint(sp_ice_agent_add_local(a, &c, &adopted), ==, 0);
    g_assert_cmpuint(adopted.priority, ==, 1686109951 - 512);
    g_assert_cmpstr(adopted.ufrag, ==, "xcuw");
    /* revived with the priority it had */
    g_assert_true(sp_ice_agent_remove_local(a, &nat, SP_ICE_SRFLX));
    g_assert_cmpint(sp_ice_agent_add_local(a, &c, &adopted), ==, 0);
    g_assert_cmpuint(adopted.priority, ==, 1686109951 - 512);
    net_done(&net);
}

static void
remote_redundancy(void)
{
    struct sp_ice_candidate c;
    struct net net;

    start(&net, 44);
    net_host(&net, 0, HOST0);
    net_host(&net, 1, HOST1);
    c = *sp_ice_agent_remote_at(net.side[0].agent, 0);
    g_assert_cmpint(sp_ice_agent_add_remote(net.side[0].agent, &c, net.now), ==, SP_ICE_REDUNDANT);
    memcpy(c.ufrag, "nope", 5);
    g_assert_cmpint(sp_ice_agent_add_remote(net.side[0].agent, &c, net.now), ==, SP_E_MALFORMED);
    net_done(&net);
}

/* A srflx name for the host address: one pair; when the first name goes the path stays. */
static void
second_name_keeps_path(void)
{
    struct sp_ice_candidate host, srflx;
    struct sp_ice_stats stats;
    struct net net;

    start(&net, 45);
    net_host(&net, 0, HOST0);
    net_host(&net, 1, HOST1);
    net_run(&net, SP_SEC(1));
    host = *sp_ice_agent_remote_at(net.side[0].agent, 0);
    srflx = host;
    srflx.kind = SP_ICE_SRFLX;
    srflx.priority = 5;
    g_assert_cmpint(sp_ice_agent_add_remote(net.side[0].agent, &srflx, net.now), ==, 0);
    sp_ice_agent_stats(net.side[0].agent, &stats);
    g_assert_cmpuint(stats.pairs, ==, 1);
    g_assert_cmpuint(stats.remotes, ==, 2);
    g_assert_true(sp_ice_agent_remove_remote(net.side[0].agent, &host, net.now));
    net_pump(&net);
    net_assert_path(&net, 0, HOST0, HOST1);
    g_assert_cmpint(net.side[0].remote_kind, ==, SP_ICE_SRFLX);
    g_assert_false(net_saw_state(&net, 0, SP_ICE_DISCONNECTED));
    net_done(&net);
}

/* No table grows beyond its named maximum. */
static void
limits_hold(void)
{
    struct sp_ice_stats stats;
    struct net net;
    char text[64];

    start(&net, 46);
    net_host(&net, 0, HOST0);
    for (unsigned i = 0; i < 2 * SP_ICE_REMOTES_MAX; i++) {
        struct sp_ice_candidate c = { .kind = SP_ICE_SRFLX, .priority = 100 + i };

        g_snprintf(text, sizeof text, "192.0.2.1:%u", 1000 + i);
        c.addr = ep(text);
        g_assert_cmpint(sp_ice_agent_add_remote(net.side[0].agent, &c, net.now),
                        ==,
                        i < SP_ICE_REMOTES_MAX ? 0 : SP_E_LIMIT);
    }
    for (unsigned i = 1; i < 2 * SP_ICE_LOCALS_MAX; i++) {
        struct sp_ice_candidate c;
        struct sp_endpoint addr;

        g_snprintf(text, sizeof text, "10.7.0.1:%u", 1000 + i);
        addr = ep(text);
        g_assert_cmpint(sp_ice_candidate_host(&addr, &c), ==, 0);
        g_assert_cmpint(sp_ice_agent_add_local(net.side[0].agent, &c, NULL),
                        ==,
                        i < SP_ICE_LOCALS_MAX ? 0 : SP_E_LIMIT);
    }
    sp_ice_agent_handle_timeout(net.side[0].agent, net.now);
    sp_ice_agent_handle_timeout(net.side[0].agent, net.now);
    sp_ice_agent_stats(net.side[0].agent, &stats);
    g_assert_cmpuint(stats.pairs, ==, SP_ICE_PAIRS_MAX);
    g_assert_cmpuint(stats.requests_sent, ==, SP_ICE_PAIRS_MAX);
    net_done(&net);
}

/* 20 % loss for ten minutes: the path is found and never given up. */
static void
lossy_network(void)
{
    for (uint64_t seed = 100; seed < 110; seed++) {
        struct net net;

        start(&net, seed);
        net.loss = 20;
        net_host(&net, 0, HOST0);
        net_host(&net, 1, HOST1);
        net_relay(&net, 0, RELAY0, HOST0);
        net_relay(&net, 1, RELAY1, HOST1);
        net_run(&net, SP_SEC(600));
        net_assert_path(&net, 0, HOST0, HOST1);
        net_assert_path(&net, 1, HOST1, HOST0);
        g_assert_false(net_saw_state(&net, 0, SP_ICE_DISCONNECTED));
        g_assert_false(net_saw_state(&net, 1, SP_ICE_DISCONNECTED));
        net_done(&net);
    }
}

static size_t
forge(uint8_t *buf,
      size_t cap,
      const char *username,
      const char *key,
      bool use_candidate,
      bool with_priority)
{
    static const uint8_t txid[SP_STUN_TXID_LEN] = { 7 };
    struct sp_stun_builder b = sp_stun_build(buf, cap, SP_STUN_REQUEST, SP_STUN_BINDING, txid);
    int n;

    sp_stun_put_string(&b, SP_STUN_USERNAME, username);
    if (with_priority)
        sp_stun_put_u32(&b, SP_STUN_PRIORITY, 77);
    if (use_candidate)
        sp_stun_put_flag(&b, SP_STUN_USE_CANDIDATE);
    if (key)
        sp_stun_put_integrity(&b, sp_span(key, strlen(key)));
    n = sp_stun_finish(&b);
    g_assert_cmpint(n, >, 0);
    return (size_t)n;
}

static void
forged_requests(void)
{
    static const char key0[] = "fokl57dz3lj5hx4ezkho3d";
    static const struct {
        const char *name;
        const char *username;
        const char *key;
        const char *destination;
        bool use_candidate;
        bool with_priority;
        int want;
    } cases[] = {
        { "good", "xcuw:gvws", key0, HOST0, false, true, 0 },
        { "wrong key", "xcuw:gvws", "x", HOST0, false, true, SP_E_UNAUTH },
        { "no integrity", "xcuw:gvws", NULL, HOST0, false, true, SP_E_MALFORMED },
        { "wrong receiver", "xcux:gvws", key0, HOST0, false, true, SP_E_UNAUTH },
        { "wrong sender", "xcuw:gvwt", key0, HOST0, false, true, SP_E_UNAUTH },
        { "no sender", "xcuw:", key0, HOST0, false, true, SP_E_MALFORMED },
        { "no colon", "xcuw", key0, HOST0, false, true, SP_E_MALFORMED },
        { "no priority", "xcuw:gvws", key0, HOST0, false, false, SP_E_MALFORMED },
        { "not our address", "xcuw:gvws", key0, HOST0B, false, true, SP_E_NOTFOUND },
        { "nominates the controlling side", "xcuw:gvws", key0, HOST0, true, true, SP_E_STATE },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct sp_endpoint from = ep("192.0.2.99:9"), to = ep(cases[i].destination);
        struct sp_ice_tx tx;
        struct net net;
        uint8_t buf[256];
        size_t n = forge(buf,
                         sizeof buf,
                         cases[i].username,
                         cases[i].key,
                         cases[i].use_candidate,
                         cases[i].with_priority);

        g_test_message("case %zu: %s", i, cases[i].name);
        start(&net, 50);
        net_host(&net, 0, HOST0);
        g_assert_cmpint(
            sp_ice_agent_handle_stun(net.side[0].agent, sp_span(buf, n), &from, &to, net.now),
            ==,
            cases[i].want);
        g_assert_cmpint(sp_ice_agent_poll_transmit(net.side[0].agent, &tx), ==, cases[i].want == 0);
        g_assert_cmpint(sp_ice_agent_remote_at(net.side[0].agent, 0) != NULL,
                        ==,
                        cases[i].want == 0);
        if (cases[i].want == 0) {
            g_assert_true(sp_endpoint_equal(&tx.dst, &from));
            g_assert_true(sp_endpoint_equal(&tx.base, &to));
            g_assert_false(tx.is_request);
            g_assert_cmpuint(sp_ice_agent_remote_at(net.side[0].agent, 0)->priority, ==, 77);
        }
        net_done(&net);
    }
}

/* A reply from another address, to another address, twice, or to nothing. */
static void
forged_replies(void)
{
    static const char key1[] = "ns7h7t5cmmbg4lk3cyc3ea";
    struct sp_endpoint host0 = ep(HOST0), host1 = ep(HOST1), other = ep(HOST0B);
    struct sp_stun_builder b;
    struct sp_ice_agent *a;
    struct sp_ice_tx tx;
    uint8_t buf[128], txid[12];
    struct sp_span reply;
    struct net net;

    start(&net, 51);
    a = net.side[0].agent;
    net_host(&net, 0, HOST0);
    net_host(&net, 1, HOST1);
    sp_ice_agent_handle_timeout(a, net.now);
    g_assert_true(sp_ice_agent_poll_transmit(a, &tx));
    b = sp_stun_build(buf, sizeof buf, SP_STUN_SUCCESS, SP_STUN_BINDING, tx.transaction_id);
    sp_stun_put_xor_addr(&b, SP_STUN_XOR_MAPPED_ADDRESS, &host0);
    sp_stun_put_integrity(&b, sp_span(key1, strlen(key1)));
    reply = sp_span(buf, (size_t)sp_stun_finish(&b));
    g_assert_cmpint(sp_ice_response_txid(reply, txid), ==, 0);
    g_assert_cmpmem(txid, 12, tx.transaction_id, 12);
    g_assert_cmpint(sp_ice_agent_handle_stun(a, reply, &other, &host0, net.now), ==, SP_E_NOTFOUND);
    g_assert_cmpint(sp_ice_agent_handle_stun(a, reply, &host1, &other, net.now), ==, SP_E_NOTFOUND);
    buf[30] ^= 1;
    g_assert_cmpint(sp_ice_agent_handle_stun(a, reply, &host1, &host0, net.now), ==, SP_E_UNAUTH);
    buf[30] ^= 1;
    g_assert_cmpint(sp_ice_agent_handle_stun(a, reply, &host1, &host0, net.now), ==, 0);
    g_assert_cmpint(sp_ice_agent_handle_stun(a, reply, &host1, &host0, net.now), ==, SP_E_STATE);
    buf[10] ^= 1;
    g_assert_cmpint(sp_ice_agent_handle_stun(a, reply, &host1, &host0, net.now), ==, SP_E_NOTFOUND);
    net_done(&net);
}

static void
demultiplex(void)
{
    char ufrag[SP_ICE_UFRAG_MAX + 1];
    uint8_t buf[256], txid[12];
    size_t n = forge(buf, sizeof buf, "xcuw:gvws", "key", false, true);

    g_assert_cmpint(sp_ice_request_ufrag(sp_span(buf, n), ufrag), ==, 0);
    g_assert_cmpstr(ufrag, ==, "xcuw");
    g_assert_cmpint(sp_ice_response_txid(sp_span(buf, n), txid), ==, SP_E_MALFORMED);
    n = forge(buf, sizeof buf, "xcuw", "key", false, true);
    g_assert_cmpint(sp_ice_request_ufrag(sp_span(buf, n), ufrag), ==, SP_E_MALFORMED);
    n = forge(buf, sizeof buf, ":gvws", "key", false, true);
    g_assert_cmpint(sp_ice_request_ufrag(sp_span(buf, n), ufrag), ==, SP_E_MALFORMED);
    n = forge(buf, sizeof buf, "xcuw:gvws", NULL, false, true);
    g_assert_cmpint(sp_ice_request_ufrag(sp_span(buf, n), ufrag), ==, SP_E_MALFORMED);
}

/* Random joins, leaves, cuts and timing changes: nothing breaks, and when the network is whole and
 * both know each other a path is found. */
static void
random_lives(void)
{
    static const char *const hosts[2][3] = {
        { HOST0, HOST0B, RELAY0 },
        { HOST1, "10.0.1.2:52625", RELAY1 },
    };

    for (uint64_t seed = 200; seed < 230; seed++) {
        struct net net;

        net_init(&net, seed, true, false, client, seed & 1 ? client : server);
        for (int step = 0; step < 60; step++) {
            unsigned side = sp_rng_below(&net.rng, 2);
            struct sp_endpoint relay = ep(hosts[side][2]);
            struct sp_ice_candidate req = { .kind = SP_ICE_RELAY, .addr = relay };

            switch (sp_rng_below(&net.rng, 6)) {
            case 0:
                net_host(&net, side, hosts[side][sp_rng_below(&net.rng, 2)]);
                break;
            case 1:
                net_relay(&net, side, hosts[side][2], hosts[side][0]);
                break;
            case 2:
                if (sp_ice_agent_remove_local(net.side[side].agent, &relay, SP_ICE_RELAY))
                    sp_ice_agent_remove_remote(net.side[!side].agent, &req, net.now);
                break;
            case 3:
                net.loss = sp_rng_below(&net.rng, 60);
                break;
            case 4:
                sp_ice_agent_set_timing(net.side[side].agent,
                                        sp_rng_below(&net.rng, 2) ? client
                                                                  : &sp_ice_timing_client_idle,
                                        net.now);
                break;
            default:
                net.cut = sp_rng_below(&net.rng, 4) == 0;
                break;
            }
            net_run(&net, SP_MS(sp_rng_below(&net.rng, 4000)));
            memset(net.side[0].states, 0, sizeof net.side[0].states);
            net.side[0].n_states = net.side[1].n_states = 0;
        }
        net.cut = false;
        net.loss = 0;
        for (unsigned side = 0; side < 2; side++)
            sp_ice_agent_set_timing(net.side[side].agent, client, net.now);
        net_host(&net, 0, "10.0.0.77:52625");
        net_host(&net, 1, "10.0.1.77:52625");
        net_run(&net, SP_SEC(40));
        for (unsigned side = 0; side < 2; side++) {
            g_assert_true(sp_ice_state_is_connected(sp_ice_agent_state(net.side[side].agent)));
        }
        g_assert_true(sp_endpoint_equal(&net.side[0].base, &net.side[1].remote));
        g_assert_true(sp_endpoint_equal(&net.side[0].remote, &net.side[1].base));
        net_done(&net);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ice/agent/pair-priority", pair_priority);
    g_test_add_func("/ice/agent/direct", direct);
    g_test_add_func("/ice/agent/remote-prflx-is-replaced", remote_prflx_is_replaced);
    g_test_add_func("/ice/agent/role-conflicts", role_conflicts);
    g_test_add_func("/ice/agent/check-spacing", check_spacing);
    g_test_add_func("/ice/agent/timing-limits", timing_limits);
    g_test_add_func("/ice/agent/working-pair-fails", working_pair_fails);
    g_test_add_func("/ice/agent/first-check-fails", first_check_fails);
    g_test_add_func("/ice/agent/fresh-requests-keep-pair", fresh_requests_keep_pair);
    g_test_add_func("/ice/agent/renomination", renomination);
    g_test_add_func("/ice/agent/fallback-to-relay", fallback_to_relay);
    g_test_add_func("/ice/agent/remote-without-local", remote_without_local);
    g_test_add_func("/ice/agent/discarded-remote", discarded_remote_is_ignored);
    g_test_add_func("/ice/agent/relay-is-replaced", relay_is_replaced);
    g_test_add_func("/ice/agent/relay-family", relay_family_preference);
    g_test_add_func("/ice/agent/local-redundancy", local_redundancy);
    g_test_add_func("/ice/agent/remote-redundancy", remote_redundancy);
    g_test_add_func("/ice/agent/second-name", second_name_keeps_path);
    g_test_add_func("/ice/agent/limits", limits_hold);
    g_test_add_func("/ice/agent/lossy", lossy_network);
    g_test_add_func("/ice/agent/forged-requests", forged_requests);
    g_test_add_func("/ice/agent/forged-replies", forged_replies);
    g_test_add_func("/ice/agent/demultiplex", demultiplex);
    g_test_add_func("/ice/agent/random-lives", random_lives);
    return g_test_run();
}
