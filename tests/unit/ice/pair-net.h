/* SPDX-License-Identifier: Apache-2.0 */
/* Two ICE agents over a virtual network with virtual time: delay, loss, blocked links and one
 * address translation. Everything follows from the seed. */
#pragma once

#include <glib.h>

#include "engine/ice/agent.h"
#include "tests/support/rng.h"

#define NET_DELAY     SP_MS(20)
#define NET_LINKS_MAX 8
#define NET_LOG_MAX   256

struct net_packet {
    sp_time at;
    unsigned to;
    struct sp_endpoint src;
    struct sp_endpoint dst;
    size_t len;
    uint8_t bytes[SP_ICE_TX_LEN_MAX];
};

struct net_side {
    struct sp_ice_agent *agent;
    struct test_rng rng;
    struct sp_ice_config config;
    enum sp_ice_state states[NET_LOG_MAX];
    sp_time state_at[NET_LOG_MAX];
    unsigned n_states;
    unsigned n_nominations;
    struct sp_endpoint base;
    struct sp_endpoint remote;
    enum sp_ice_kind local_kind;
    enum sp_ice_kind remote_kind;
    sp_time sent_at[NET_LOG_MAX]; /* requests only */
    unsigned n_sent;
    unsigned n_use_candidate;
};

struct net_link {
    struct sp_endpoint a;
    struct sp_endpoint b;
};

/** struct net - @nat_inside, @nat_outside: packets from the first leave as the second (port 0: off)
 * @blocked: address pairs over which nothing passes, either way
 * @loss: percent; @rewrite: called on each packet before it is delivered, may be NULL */
struct net {
    sp_time now;
    struct net_side side[2];
    GArray *queue;
    struct sp_endpoint nat_inside;
    struct sp_endpoint nat_outside;
    struct net_link blocked[NET_LINKS_MAX];
    unsigned n_blocked;
    unsigned loss;
    bool cut;
    struct test_rng rng_state;
    struct sp_rng rng;
    void (*rewrite)(struct net_packet *packet);
};

struct sp_endpoint ep(const char *text);
/** net_init() - side 0 controlling, side 1 controlled, unless @same_role */
void net_init(struct net *net,
              uint64_t seed,
              bool role0,
              bool role1,
              const struct sp_ice_timing *timing0,
              const struct sp_ice_timing *timing1);
void net_done(struct net *net);
void net_run(struct net *net, sp_duration d);
/** net_pump() - timers that are due and everything queued, without moving time */
void net_pump(struct net *net);
/** net_host(), net_srflx(), net_relay() - add to @side and, if adopted, signal to the other.
 * Returns: what sp_ice_agent_add_local() said */
int net_host(struct net *net, unsigned side, const char *addr);
int net_srflx(struct net *net, unsigned side, const char *mapped, const char *base);
int net_relay(struct net *net, unsigned side, const char *relayed, const char *local);
void net_signal(struct net *net, unsigned to, const struct sp_ice_candidate *c);
void net_block(struct net *net, const char *a, const char *b);
void net_assert_path(const struct net *net, unsigned side, const char *base, const char *remote);
bool net_saw_state(const struct net *net, unsigned side, enum sp_ice_state state);
