/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/relay-stub.h"

#include <glib.h>
#include <string.h>

static struct sp_endpoint
endpoint(const char *text)
{
    struct sp_endpoint ep;

    g_assert_cmpint(sp_endpoint_parse(text, &ep), ==, 0);
    return ep;
}

void
test_relay_init(struct test_relay *relay)
{
    *relay = (struct test_relay){
        .addr = { endpoint("203.0.113.1:3478"), endpoint("[2001:db8:1::1]:3478") },
        .relayed = { endpoint("203.0.113.1:50000"), endpoint("[2001:db8:1::1]:50000") },
        .mapped = { endpoint("198.51.100.7:40000"), endpoint("[2001:db8:2::7]:40000") },
        .nonce = "nonce-1",
        .realm = "firezone",
        .lifetime = 600,
    };
    sp_stun_long_term_key(TEST_RELAY_USER, "firezone", TEST_RELAY_PASS, relay->key);
}

void
test_relay_read(const struct test_relay *relay,
                const struct sp_endpoint *to,
                struct sp_span bytes,
                struct test_relay_request *ret)
{
    struct sp_stun_msg msg;
    struct sp_span value;
    size_t cursor = 0;
    uint16_t type;

    *ret = (struct test_relay_request){ .to = *to, .len = bytes.n };
    g_assert_cmpuint(bytes.n, <=, sizeof ret->bytes);
    memcpy(ret->bytes, bytes.p, bytes.n);
    g_assert_cmpint(sp_stun_parse(bytes, &msg), ==, 0);
    g_assert_cmpint((int)msg.cls, ==, (int)SP_STUN_REQUEST);
    g_assert_cmpuint(msg.fingerprint, ==, 0);
    ret->method = msg.method;
    memcpy(ret->txid, msg.txid, sizeof ret->txid);
    while (sp_stun_next(&msg, &cursor, &type, &value) && ret->n_types < G_N_ELEMENTS(ret->types))
        ret->types[ret->n_types++] = type;
    ret->is_signed = sp_stun_check_integrity(&msg, sp_span(relay->key, sizeof relay->key)) == 0;
    (void)sp_stun_get_string(&msg, SP_STUN_NONCE, ret->nonce, sizeof ret->nonce);
    ret->has_lifetime = sp_stun_get_u32(&msg, SP_STUN_LIFETIME, &ret->lifetime);
    (void)sp_stun_get_xor_addr(&msg, SP_STUN_XOR_PEER_ADDRESS, 0, &ret->peer);
    (void)sp_stun_get_channel(&msg, &ret->channel);
}

static void
finish(const struct test_relay *relay,
       const struct test_relay_request *req,
       struct sp_stun_builder *b,
       struct test_relay_answer *ret)
{
    int n;

    if (req->method != SP_STUN_BINDING)
        sp_stun_put_integrity(b, sp_span(relay->key, sizeof relay->key));
    n = sp_stun_finish(b);
    g_assert_cmpint(n, >, 0);
    ret->len = (size_t)n;
}

void
test_relay_accept(const struct test_relay *relay,
                  const struct test_relay_request *req,
                  struct test_relay_answer *ret)
{
    struct sp_stun_builder b =
        sp_stun_build(ret->bytes, sizeof ret->bytes, SP_STUN_SUCCESS, req->method, req->txid);
    bool is_v6 = req->to.ip.family == 6;

    if (req->method == SP_STUN_BINDING)
        sp_stun_put_xor_addr(&b, SP_STUN_XOR_MAPPED_ADDRESS, &relay->mapped[is_v6]);
    for (int i = 0; req->method == SP_STUN_ALLOCATE && i < 2; i++)
        if (relay->relayed[i].ip.family)
            sp_stun_put_xor_addr(&b, SP_STUN_XOR_RELAYED_ADDRESS, &relay->relayed[i]);
    if (req->method == SP_STUN_ALLOCATE)
        sp_stun_put_xor_addr(&b, SP_STUN_XOR_MAPPED_ADDRESS, &relay->mapped[is_v6]);
    if (req->method == SP_STUN_ALLOCATE || req->method == SP_STUN_REFRESH)
        sp_stun_put_u32(&b, SP_STUN_LIFETIME, req->has_lifetime ? req->lifetime : relay->lifetime);
    finish(relay, req, &b, ret);
}

void
test_relay_refuse(const struct test_relay *relay,
                  const struct test_relay_request *req,
                  unsigned code,
                  struct test_relay_answer *ret)
{
    static const uint16_t unknown[] = { 0x7001 };
    struct sp_stun_builder b =
        sp_stun_build(ret->bytes, sizeof ret->bytes, SP_STUN_ERROR, req->method, req->txid);

    sp_stun_put_error(&b, code, NULL);
    if (code == 401 || code == 438) {
        if (relay->realm)
            sp_stun_put_string(&b, SP_STUN_REALM, relay->realm);
        if (relay->nonce)
            sp_stun_put_string(&b, SP_STUN_NONCE, relay->nonce);
    }
    if (code == 420)
        sp_stun_put_unknown(&b, unknown, G_N_ELEMENTS(unknown));
    finish(relay, req, &b, ret);
}
