/* SPDX-License-Identifier: Apache-2.0 */
/* A handshake message: classify, limiter, peek, both roles of a tunnel. The macs are put right
 * first, or nothing would get past them. What is taken must be the genuine message, and after it
 * the genuine handshake must still come to its end. Fixed seeds, so a corpus can hold genuine ones. */
#include <string.h>

#include "engine/wg/cookie-private.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/rng.h"

#define NOW SP_SEC(5)

struct end {
    struct sp_wg_identity id;
    struct test_rng state;
    struct sp_rng rng;
    struct sp_wg_tunnel *t;
};

static struct sp_wg_tunnel *
make_tunnel(const struct end *self, const struct end *peer, uint32_t index24)
{
    struct sp_wg_config c = {
        .identity = &self->id,
        .index24 = index24,
        .params = sp_wg_params_ice(),
        .rng = self->rng,
    };

    memcpy(c.peer_key, peer->id.public, sizeof c.peer_key);
    return sp_wg_tunnel_new(&c);
}

static void
make_ends(struct end *a, struct end *b)
{
    a->rng = test_rng_init(&a->state, 1);
    b->rng = test_rng_init(&b->state, 2);
    sp_wg_identity_generate(&a->id, &a->rng);
    sp_wg_identity_generate(&b->id, &b->rng);
    a->t = make_tunnel(a, b, 0xa);
    b->t = make_tunnel(b, a, 0xb);
}

static size_t
fix_mac1(const struct sp_wg_identity *to, const uint8_t *data, size_t size, uint8_t *msg)
{
    size_t n = SP_MIN(size, (size_t)SP_WG_INITIATION_LEN);
    enum sp_wg_kind kind;

    if (n > 0)
        memcpy(msg, data, n);
    kind = sp_wg_classify(sp_span(msg, n));
    if (kind == SP_WG_INITIATION || kind == SP_WG_RESPONSE)
        sp_wg_mac(msg + n - SP_WG_MACS_LEN,
                  to->mac1_key,
                  SP_WG_KEY_LEN,
                  sp_span(msg, n - SP_WG_MACS_LEN));
    return n;
}

/* @genuine: what the other side really sent; from byte @from to the macs all is authenticated */
static void
try_message(struct end *to,
            const uint8_t *data,
            size_t size,
            const struct sp_wg_out *genuine,
            size_t from)
{
    struct sp_endpoint src = { .ip = sp_ip4(192, 0, 2, 1), .port = 1 };
    uint8_t msg[SP_WG_INITIATION_LEN], key[SP_WG_KEY_LEN], reply[SP_WG_COOKIE_REPLY_LEN];
    size_t n = fix_mac1(&to->id, data, size, msg), reply_len;
    /* Its own generator: the genuine messages must not depend on the input. */
    struct test_rng state;
    struct sp_rng rng = test_rng_init(&state, 4);
    struct sp_wg_limiter lim;
    enum sp_wg_event event;
    struct sp_wg_out out;
    int r;

    (void)sp_wg_receiver_index(sp_span(msg, n));
    sp_wg_limiter_init(&lim, &rng);
    lim.max = n & 1;
    r = sp_wg_limiter_check(&lim, &to->id, sp_span(msg, n), &src, NOW, reply, &reply_len);
    sp_assert(r != SP_WG_COOKIE_REPLY || reply_len == SP_WG_COOKIE_REPLY_LEN);
    r = sp_wg_peek_initiation(&to->id, sp_span(msg, n), key);
    sp_assert(r == 0 || r == SP_E_MALFORMED || r == SP_E_UNAUTH);
    r = sp_wg_tunnel_handle_handshake(to->t, sp_span(msg, n), NOW);
    if (r == 0 && sp_wg_classify(sp_span(msg, n)) != SP_WG_COOKIE) {
        sp_assert(n == genuine->len);
        sp_assert(memcmp(msg + from, genuine->bytes + from, n - SP_WG_MACS_LEN - from) == 0);
        return;
    }
    sp_assert(!sp_wg_tunnel_poll_transmit(to->t, &out));
    sp_assert(!sp_wg_tunnel_poll_event(to->t, &event));
    sp_assert(sp_wg_tunnel_handle_handshake(to->t, sp_span(genuine->bytes, genuine->len), NOW)
              == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct end a = { 0 }, b = { 0 };
    struct sp_wg_out initiation, response;

    make_ends(&a, &b);
    sp_wg_tunnel_initiate(a.t, NOW);
    sp_assert(sp_wg_tunnel_poll_transmit(a.t, &initiation));
    try_message(&b, data, size, &initiation, SP_WG_INIT_EPHEMERAL);
    sp_assert(sp_wg_tunnel_poll_transmit(b.t, &response));
    /* Only mac1 protects the indices, and that was put right for another sender index. */
    memcpy(response.bytes + SP_WG_RESP_RECEIVER,
           initiation.bytes + SP_WG_INIT_SENDER,
           SP_WG_INDEX_LEN);
    try_message(&a, data, size, &response, SP_WG_RESP_RECEIVER);
    sp_assert(sp_wg_tunnel_has_session(a.t, NOW));
    sp_wg_tunnel_free(a.t);
    sp_wg_tunnel_free(b.t);
    return 0;
}
