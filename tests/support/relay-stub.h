/* SPDX-License-Identifier: Apache-2.0 */
/* A relay that does what the test says: reads a request of a TURN client and makes any answer to
 * it. It keeps no allocations and sends nothing by itself. */
#pragma once

#include "engine/stun/stun.h"

#define TEST_RELAY_USER "1999999999:salt"
#define TEST_RELAY_PASS "correct horse"

/** struct test_relay - @addr, @relayed: IPv4 and IPv6, family 0 for none
 * @mapped: the client as seen from outside, per family */
struct test_relay {
    struct sp_endpoint addr[2];
    struct sp_endpoint relayed[2];
    struct sp_endpoint mapped[2];
    uint8_t key[SP_STUN_LONG_KEY_LEN];
    const char *nonce; /* given in 401 and 438 */
    const char *realm;
    uint32_t lifetime;
};

/** struct test_relay_request - @bytes are a copy, @types the attributes in order of appearance */
struct test_relay_request {
    struct sp_endpoint to;
    uint8_t bytes[1500];
    size_t len;
    uint16_t method;
    uint8_t txid[SP_STUN_TXID_LEN];
    uint16_t types[16];
    size_t n_types;
    bool is_signed; /* and the signature is right */
    char nonce[64]; /* "" for none */
    bool has_lifetime;
    uint32_t lifetime;
    struct sp_endpoint peer;
    uint16_t channel;
};

/** struct test_relay_answer - @raw bytes of a response */
struct test_relay_answer {
    uint8_t bytes[1500];
    size_t len;
};

void test_relay_init(struct test_relay *relay);
/** test_relay_read() - fails the test when it is not a request */
void test_relay_read(const struct test_relay *relay,
                     const struct sp_endpoint *to,
                     struct sp_span bytes,
                     struct test_relay_request *ret);
/** test_relay_accept() - the success response that belongs to the request */
void test_relay_accept(const struct test_relay *relay,
                       const struct test_relay_request *req,
                       struct test_relay_answer *ret);
/** test_relay_refuse() - an error response, with realm and nonce on 401 and 438 */
void test_relay_refuse(const struct test_relay *relay,
                       const struct test_relay_request *req,
                       unsigned code,
                       struct test_relay_answer *ret);
