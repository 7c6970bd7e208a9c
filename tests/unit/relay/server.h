/* SPDX-License-Identifier: Apache-2.0 */
/* A relay with a driver that opens every port at once, and clients that know how to ask. */
#pragma once

#include <glib.h>

#include "engine/relay/relay.h"
#include "engine/stun/stun.h"
#include "tests/support/rng.h"

#define SECRET       "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define EXPIRY       2145916800
#define NOW          SP_SEC(1000)
#define UNIX_AT_ZERO 1700000000
#define FIRST_PORT   50000
#define CHANNEL      0x4000

/** struct server - @opens, @closes, @adds, @removes: commands seen
 * @refuse_ports: so many OPEN_PORT fail first */
struct server {
    struct sp_relay *relay;
    struct sp_pkt_pool pool;
    struct test_rng rng_state;
    unsigned opens, closes, adds, removes;
    unsigned refuse_ports;
    bool removes_after_close;
    uint16_t opened[32]; /* the last ones */
    sp_time now;
};

/** struct client - credentials, socket and the nonce last offered */
struct client {
    struct sp_endpoint at;
    char username[600];
    char password[64];
    char nonce[64];
    uint32_t txid;
};

/** struct answer - what one datagram led to; @n 0: nothing */
struct answer {
    uint8_t bytes[1600];
    size_t n;
    uint16_t port; /* 0: from the listen port */
    struct sp_endpoint to;
    uint8_t ecn;
    struct sp_stun_msg msg; /* when it is STUN */
};

void server_init(struct server *s, const struct sp_relay_config *config);
/** server_config() - both families, ports FIRST_PORT.. @n_ports, no rate limit */
struct sp_relay_config server_config(struct server *s, uint16_t n_ports);
void server_start(struct server *s);
void server_done(struct server *s);
/** server_drain() - carry out commands; the transmits stay. */
void server_drain(struct server *s);
void server_pass(struct server *s, sp_duration d);

struct client client_at(const char *endpoint, const char *salt);
void client_set_user(struct client *c, const char *username, uint64_t expiry, const char *salt);
struct sp_endpoint endpoint(const char *text);

/** client_begin() - a request without credentials */
struct sp_stun_builder client_begin(struct client *c, uint8_t *buf, size_t cap, uint16_t method);
/** client_sign() - USERNAME, REALM, NONCE if there is one, MESSAGE-INTEGRITY. Returns: length */
size_t client_sign(const struct client *c, struct sp_stun_builder *b);
struct answer send_bytes(struct server *s, const struct sp_endpoint *from, const void *p, size_t n);
struct answer send_relayed(struct server *s,
                           uint16_t port,
                           const struct sp_endpoint *from,
                           const void *p,
                           size_t n);
/** client_send() - sign and send; learns the nonce of the answer */
struct answer client_send(struct server *s, struct client *c, struct sp_stun_builder *b);

/* The usual requests; @lifetime < 0: none. They retry once with the nonce offered. */
struct answer client_allocate(struct server *s, struct client *c, int64_t lifetime, bool dual);
struct answer client_refresh(struct server *s, struct client *c, int64_t lifetime);
struct answer client_bind(struct server *s, struct client *c, uint16_t channel, const char *peer);
struct answer client_permit(struct server *s, struct client *c, const char *peer);

/** assert_success(), assert_error() - and signed for @c (NULL: must be unsigned) */
void assert_success(const struct answer *a, const struct client *c);
void assert_error(const struct answer *a, unsigned code, const struct client *c);
uint32_t lifetime_of(const struct answer *a);
/** relayed_port() - of the address of @family, 0 when there is none */
uint16_t relayed_port(const struct answer *a, uint8_t family);
