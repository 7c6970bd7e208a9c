/* SPDX-License-Identifier: Apache-2.0 */
/* The input twice: as a datagram from a stranger (never accepted, wherever it points), and as the
 * plaintext of a peer that holds the keys (accepted as IP of at most that length, or refused). */
#include <string.h>

#include "engine/base/wr.h"
#include "engine/wg/wg.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/rng.h"

#define NOW SP_SEC(5)

struct end {
    struct sp_wg_identity id;
    struct sp_wg_tunnel *t;
};

static void
move_one(struct end *from, struct end *to, struct sp_pkt_pool *pool)
{
    struct sp_wg_out out;
    struct sp_pkt *pkt;

    sp_assert(sp_wg_tunnel_poll_transmit(from->t, &out));
    if (out.kind != SP_WG_DATA) {
        sp_assert(sp_wg_tunnel_handle_handshake(to->t, sp_span(out.bytes, out.len), NOW) == 0);
        return;
    }
    pkt = sp_pkt_from_bytes(pool, out.bytes, out.len);
    sp_assert(pkt && sp_wg_tunnel_open(to->t, pkt, NOW) == SP_WG_KEEPALIVE);
    sp_pkt_free(pkt);
}

static void
connect_ends(struct end *a, struct end *b, const struct sp_rng *rng, struct sp_pkt_pool *pool)
{
    struct sp_wg_config c = { .params = sp_wg_params_ice(), .rng = *rng };

    sp_wg_identity_generate(&a->id, rng);
    sp_wg_identity_generate(&b->id, rng);
    c.identity = &a->id;
    c.index24 = 0xa;
    memcpy(c.peer_key, b->id.public, sizeof c.peer_key);
    a->t = sp_wg_tunnel_new(&c);
    c.identity = &b->id;
    c.index24 = 0xb;
    memcpy(c.peer_key, a->id.public, sizeof c.peer_key);
    b->t = sp_wg_tunnel_new(&c);
    sp_wg_tunnel_initiate(a->t, NOW);
    move_one(a, b, pool);
    move_one(b, a, pool);
    move_one(a, b, pool);
}

static void
from_stranger(struct end *to, const uint8_t *data, size_t size, struct sp_pkt_pool *pool)
{
    struct sp_pkt *pkt = sp_pkt_from_bytes(pool, data, size);

    sp_assert(sp_wg_tunnel_open(to->t, pkt, NOW) < 0 && pkt->len == size);
    sp_pkt_free(pkt);
    if (size < SP_WG_DATA_COUNTER)
        return;
    /* The same with a header that finds the session. */
    pkt = sp_pkt_from_bytes(pool, data, size);
    sp_put_le32(sp_pkt_data(pkt), SP_WG_DATA);
    sp_put_le32(sp_pkt_data(pkt) + SP_WG_DATA_RECEIVER, 0xb01);
    sp_assert(sp_wg_tunnel_open(to->t, pkt, NOW) < 0 && pkt->len == size);
    sp_pkt_free(pkt);
}

static void
from_peer(struct end *a, struct end *b, const uint8_t *data, size_t size, struct sp_pkt_pool *pool)
{
    struct sp_pkt *pkt = sp_pkt_from_bytes(pool, data, size);
    int r;

    sp_assert(sp_wg_tunnel_seal(a->t, pkt, NOW) == 0);
    r = sp_wg_tunnel_open(b->t, pkt, NOW);
    sp_assert(r == SP_WG_PACKET || r == SP_E_MALFORMED || (r == SP_WG_KEEPALIVE && size == 0));
    if (r == SP_WG_PACKET) {
        sp_assert(pkt->len >= 20 && pkt->len <= size);
        sp_assert(memcmp(sp_pkt_data(pkt), data, pkt->len) == 0);
    }
    sp_pkt_free(pkt);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct test_rng state;
    struct sp_rng rng = test_rng_init(&state, 3);
    struct sp_pkt_pool pool;
    struct end a, b;

    size = SP_MIN(size, (size_t)SP_MTU);
    sp_pkt_pool_init(&pool, 1);
    connect_ends(&a, &b, &rng, &pool);
    from_stranger(&b, data, size, &pool);
    from_peer(&a, &b, data, size, &pool);
    sp_wg_tunnel_free(a.t);
    sp_wg_tunnel_free(b.t);
    sp_pkt_pool_done(&pool);
    return 0;
}
