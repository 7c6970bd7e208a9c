/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the relay: who holds what, and the steps shared by its files. An allocation owns its
 * channels; the maps only point. */
#pragma once

#include "engine/base/err.h"
#include "engine/base/map.h"
#include "engine/base/ring.h"
#include "engine/base/uuid.h"
#include "engine/crypto/hash.h"
#include "engine/relay/relay.h"
#include "engine/stun/channeldata.h"
#include "engine/stun/stun.h"

#define USERNAME_MAX  512 /* bytes, RFC 8489 14.3 with the limit of spec relay 1.1 */
#define PASSWORD_LEN  43  /* base64 of SHA-256 without padding */
#define RELAY_KEY_LEN 22

/* ---- heap.c: deadlines ---------------------------------------------------------------------- */

#define TIMER_IDLE SIZE_MAX

/** struct relay_timer - embedded; @pos is TIMER_IDLE while not in the heap */
struct relay_timer {
    sp_time at;
    size_t pos;
    bool is_channel;
};

struct relay_heap {
    struct relay_timer **v;
    size_t n, cap;
};

/** relay_heap_set() - add @t or move it to @at */
void relay_heap_set(struct relay_heap *h, struct relay_timer *t, sp_time at);
/** relay_heap_remove() - an idle timer is fine */
void relay_heap_remove(struct relay_heap *h, struct relay_timer *t);
void relay_heap_done(struct relay_heap *h);

/* ---- objects -------------------------------------------------------------------------------- */

/** struct relay_key - full address, port and one number more as a map key */
struct relay_key {
    uint8_t b[RELAY_KEY_LEN];
};
struct relay_key relay_key(const struct sp_endpoint *ep, uint16_t extra);

struct relay_alloc;

struct relay_channel {
    struct relay_timer timer;
    struct relay_alloc *alloc;
    struct relay_channel *prev, *next;
    struct sp_endpoint peer;
    uint16_t number;
    bool active; /* false: cooling down, the pair stays reserved */
};

/** struct relay_reply - where and how to answer one request. Owns @pkt */
struct relay_reply {
    struct sp_pkt *pkt;
    struct sp_endpoint to;
    uint16_t method;
    uint8_t txid[SP_STUN_TXID_LEN];
    bool sign;
    uint8_t key[SP_STUN_LONG_KEY_LEN];
};

/** struct relay_alloc - @opening: a port is being opened and @reply waits for it
 * @tried, @n_tried: ports that could not be opened, kept out of the free list meanwhile */
struct relay_alloc {
    struct relay_timer timer;
    struct sp_endpoint client;
    uint8_t user[SP_SHA256_LEN];
    uint16_t port;
    bool v4, v6;
    sp_duration lifetime;
    struct sp_uuid nonce;
    uint32_t nonce_uses;
    uint8_t txid[SP_STUN_TXID_LEN];
    struct relay_channel *channels;
    bool opening;
    struct relay_reply reply;
    uint16_t tried[SP_RELAY_OPEN_TRIES];
    size_t n_tried;
};

struct relay_bucket {
    sp_time last;
    uint64_t tokens; /* ns of the refill interval, so no fraction is lost */
};

struct sp_relay {
    struct sp_ip public4, public6;
    uint16_t listen_port;
    uint16_t channel_last;
    bool multi_alloc;
    char secret[SP_RELAY_SECRET_MAX + 1];
    char software[SP_RELAY_SOFTWARE_MAX + 1];
    char *static_user, *static_password;
    struct sp_cidr deny[SP_RELAY_DENY_MAX];
    size_t n_deny;
    struct sp_wall wall;
    struct sp_rng rng;
    const struct sp_log *log;

    uint8_t nonce_key[SP_SHA256_LEN];
    struct relay_bucket *buckets; /* NULL: no limit */
    uint8_t bucket_seed[16];
    uint32_t rate, burst;

    struct sp_map by_client;      /* client endpoint -> relay_alloc */
    struct sp_map by_user;        /* SHA-256 of the name -> relay_alloc */
    struct sp_map by_channel;     /* client endpoint, number -> relay_channel */
    struct sp_map by_peer;        /* peer endpoint, our port -> relay_channel */
    struct relay_alloc **by_port; /* index: port - port_first */
    uint16_t *free_ports;
    size_t n_free;
    uint16_t port_first;
    size_t n_ports;

    struct relay_heap heap;
    struct sp_ring transmits;
    struct sp_ring commands;
    struct sp_relay_stats stats;
};

/** struct relay_request - one request under way. @alloc: of this client or NULL
 * @has_user: USERNAME was there and well-formed, @reply.key belongs to it */
struct relay_request {
    struct sp_stun_msg msg;
    struct relay_reply reply;
    struct relay_alloc *alloc;
    bool has_user;
    bool expired;
    uint8_t user[SP_SHA256_LEN];
    struct sp_uuid nonce; /* once authenticated */
    sp_time now;
};

/* ---- relay.c -------------------------------------------------------------------------------- */

void relay_drop(struct sp_relay *r, struct sp_pkt *pkt, enum sp_relay_drop reason);
/** relay_send() - takes @pkt */
void relay_send(struct sp_relay *r,
                uint16_t port,
                const struct sp_endpoint *dst,
                struct sp_pkt *pkt);
void relay_command(struct sp_relay *r, const struct sp_relay_command *cmd);

/* ---- auth.c --------------------------------------------------------------------------------- */

/** relay_auth_user() - credentials of the USERNAME into @q.
 * Returns: 0, also when there is none; SP_E_MALFORMED must not be answered */
int relay_auth_user(const struct sp_relay *r, struct relay_request *q);
/** relay_auth_check() - steps 1 to 8 of spec relay 1.5. Returns: SP_RELAY_SUCCESS, _401 or _438 */
enum sp_relay_code relay_auth_check(struct sp_relay *r, struct relay_request *q);
/** relay_auth_nonce() - the nonce to offer to this client now */
struct sp_uuid relay_auth_nonce(const struct sp_relay *r,
                                const struct relay_alloc *alloc,
                                const struct sp_endpoint *client,
                                sp_time now);

/* ---- limit.c -------------------------------------------------------------------------------- */

void relay_limit_init(struct sp_relay *r);
/** relay_limit_pass() - may an unauthenticated reply go to @ip now? */
bool relay_limit_pass(struct sp_relay *r, const struct sp_ip *ip, sp_time now);

/* ---- reply.c -------------------------------------------------------------------------------- */

/* All take what the reply owns. */
void relay_reply_binding(struct sp_relay *r, struct relay_reply *to);
/** relay_reply_error() - @nonce: goes out with a REALM, or NULL */
void relay_reply_error(struct sp_relay *r,
                       struct relay_reply *to,
                       enum sp_relay_code code,
                       const struct sp_uuid *nonce);
void relay_reply_allocated(struct sp_relay *r,
                           struct relay_reply *to,
                           const struct relay_alloc *a,
                           sp_time now);
void relay_reply_refreshed(struct sp_relay *r, struct relay_reply *to, sp_duration lifetime);
void relay_reply_done(struct sp_relay *r, struct relay_reply *to);

/* ---- request.c ------------------------------------------------------------------------------ */

/** relay_request_handle() - takes @pkt, whose first byte is 0..3 */
void relay_request_handle(struct sp_relay *r,
                          const struct sp_endpoint *from,
                          struct sp_pkt *pkt,
                          sp_time now);

/* ---- tables.c ------------------------------------------------------------------------------- */

int relay_tables_init(struct sp_relay *r, uint16_t first, uint16_t last);
void relay_tables_done(struct sp_relay *r);
struct relay_alloc *relay_alloc_of_client(const struct sp_relay *r, const struct sp_endpoint *ep);
struct relay_alloc *relay_alloc_of_user(const struct sp_relay *r,
                                        const uint8_t user[SP_SHA256_LEN]);
struct relay_alloc *relay_alloc_of_port(const struct sp_relay *r, uint16_t port);
/** relay_alloc_start() - enter @a (taken) and ask for its first port; there must be a free one */
void relay_alloc_start(struct sp_relay *r, struct relay_alloc *a);
/** relay_alloc_next_port() - @a's port could not be opened: ask for another one.
 * Returns: false when there is none */
bool relay_alloc_next_port(struct sp_relay *r, struct relay_alloc *a);
/** relay_alloc_opened() - the port is ours: start the life of @a */
void relay_alloc_opened(struct sp_relay *r, struct relay_alloc *a, sp_time now);
/** relay_alloc_delete() - with its channels; frees @a */
void relay_alloc_delete(struct sp_relay *r, struct relay_alloc *a);
struct relay_channel *relay_channel_of_number(const struct sp_relay *r,
                                              const struct sp_endpoint *client,
                                              uint16_t number);
struct relay_channel *relay_channel_of_peer(const struct sp_relay *r,
                                            uint16_t port,
                                            const struct sp_endpoint *peer);
/** relay_channel_new() - Returns: 0 or SP_E_LIMIT */
int relay_channel_new(struct sp_relay *r,
                      struct relay_alloc *a,
                      uint16_t number,
                      const struct sp_endpoint *peer,
                      sp_time now);
/** relay_channel_refresh() - active for the full time again */
void relay_channel_refresh(struct sp_relay *r, struct relay_channel *c, sp_time now);
void relay_channel_timeout(struct sp_relay *r, struct relay_channel *c, sp_time now);

/* ---- data.c --------------------------------------------------------------------------------- */

/** relay_data_from_client() - takes @pkt, channel data of @from */
void relay_data_from_client(struct sp_relay *r, const struct sp_endpoint *from, struct sp_pkt *pkt);
/** relay_data_from_peer() - takes @pkt */
void relay_data_from_peer(struct sp_relay *r,
                          uint16_t port,
                          const struct sp_endpoint *from,
                          struct sp_pkt *pkt);
