/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes of several processes on a virtual network, with a portal that carries candidates after a
 * delay. Every step checks the driver contract: the timeout is due while output is queued. */
#pragma once

#include <glib.h>

#include "engine/node/node.h"
#include "tests/support/net.h"
#include "tests/support/rng.h"

#define WORLD_ENDS_MAX 4
#define WORLD_PORT     52625

struct world;

/** struct end - one process. Counters are of events; packets are inner ones, newest last */
struct end {
    struct world *world;
    int id;
    int host;
    struct sp_node *node;
    struct sp_pkt_pool pool;
    struct sp_drops drops;
    struct sp_log log;
    struct test_rng rng;
    struct sp_endpoint addresses[8];
    size_t n_addresses;
    int established[WORLD_ENDS_MAX]; /* by id of the peer */
    int failed[WORLD_ENDS_MAX];
    int closed[WORLD_ENDS_MAX];
    sp_time failed_at;
    sp_time established_at;
    GPtrArray *signalled; /* char *: "+candidate" or "-candidate" */
    GPtrArray *received;  /* GBytes */
    int last_sender;      /* id */
    GString *log_text;    /* DEBUG lines and above */
    GString *log_info;    /* INFO lines and above */
    int wg_sent[5];       /* datagrams put on the wire by WireGuard type; [0]: others */
    size_t last_sent_off; /* offset of the packet last put on the wire */
    uint8_t last_ecn;     /* outer mark of it */
    bool deaf_signalling; /* candidates for this end wait (peer not known yet) */
};

struct world {
    struct test_net *net;
    sp_time now;
    sp_duration signal_delay;
    GQueue *signals; /* struct signal */
    struct end ends[WORLD_ENDS_MAX];
    int n_ends;
    int wakeups;
    int router_mark; /* outer ECN set on the way, -1: untouched */
};

struct world *world_new(uint64_t seed);
void world_free(struct world *w);
void world_set_router_mark(struct world *w, int mark);
/** world_add() - a process with comma-separated addresses, known to its node as host addresses */
struct end *world_add(struct world *w, bool server, const char *addresses, int nat);
/** end_set_addresses() - move the host to other addresses and tell the node */
void end_set_addresses(struct end *e, const char *addresses);
/** end_tell_addresses() - tell the node, the host keeps what it has */
size_t end_tell_addresses(struct end *e, const char *addresses);

struct sp_uuid world_uuid(int id);
/** world_params() - what the portal would grant @self towards @peer; the lower id controls */
struct sp_node_peer_params world_params(const struct end *self, const struct end *peer);
/** world_upsert() - @self towards @peer with world_params(). Returns: the node's result */
int world_upsert(struct end *self, const struct end *peer);
/** world_connect() - both upsert, the one with the higher id first, as the portal does it */
void world_connect(struct end *a, struct end *b);
/** world_run() - let @d pass */
void world_run(struct world *w, sp_duration d);
/** world_until() - run until both are established or @limit passed. Returns: time it took */
sp_duration world_until_established(struct end *a, struct end *b, sp_duration limit);
/** world_drain() - take events and transmits of one end, as after a call made by the test */
void world_drain(struct end *e);

/** end_send() - a UDP packet in the tunnel, @size bytes in all. Returns: the node's result */
int end_send(struct end *self, const struct end *peer, size_t size, uint8_t ecn);
/** end_inject() - a datagram straight into the node. Returns: the node's result */
int end_inject(struct end *e,
               const char *from,
               const char *local,
               const void *bytes,
               size_t n,
               uint8_t ecn);
struct sp_node_info end_info(const struct end *self, const struct end *peer);
bool end_knows(const struct end *self, const struct end *peer);
uint64_t end_drops(const struct end *e);
