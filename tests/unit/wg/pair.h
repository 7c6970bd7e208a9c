/* SPDX-License-Identifier: Apache-2.0 */
/* Two tunnels on one virtual clock with a wire between them that can lose messages. */
#pragma once

#include "engine/wg/wg.h"
#include "tests/support/rng.h"

struct side {
    struct sp_wg_identity id;
    struct test_rng rng_state;
    struct sp_rng rng;
    struct sp_wg_tunnel *t;
    struct side *other;
    bool deaf; /* nothing arrives at this side */
    unsigned established, expired;
    unsigned sent[5]; /* by enum sp_wg_kind */
    sp_time last_initiation;
    struct sp_wg_out last;
};

struct pair {
    struct side a, b;
    sp_time now;
    struct sp_wg_params params;
    struct sp_pkt_pool pool;
};

/** pair_init() - A has index 0xaaaaaa, B 0xbbbbbb; same PSK; time starts at 1000 s */
void pair_init(struct pair *p, uint64_t seed);
void pair_init_with(struct pair *p, uint64_t seed, struct sp_wg_params params);
void pair_done(struct pair *p);
struct sp_wg_config pair_config(struct pair *p, struct side *self, struct side *peer);

/** pair_take() - next small message of @s, or false; counts it */
bool pair_take(struct side *s, struct sp_wg_out *out);
/** pair_give() - Returns: what the tunnel said; packets are discarded */
int pair_give(struct pair *p, struct side *to, struct sp_span msg);
/** pair_pump() - deliver until both are quiet, then collect events */
void pair_pump(struct pair *p);
/** pair_run() - let time pass until @until, doing timers and deliveries on the way */
void pair_run(struct pair *p, sp_time until);
void pair_connect(struct pair *p);
/** pair_seal() - an IPv4 packet of @n bytes sealed by @from; NULL when there is no session */
struct sp_pkt *pair_seal(struct pair *p, struct side *from, uint16_t n);
/** pair_send() - seal and open on the other side. Returns: what open said, or SP_WG_NO_SESSION */
int pair_send(struct pair *p, struct side *from);
/** pair_ip4() - fill @buf with an IPv4 header for @n bytes and a pattern */
void pair_ip4(uint8_t *buf, uint16_t n);
