/* SPDX-License-Identifier: Apache-2.0 */
/* One packet from a stranger through validation, edits, ICMP parsing, the builders that answer it
 * and the NAT table, with what must hold checked on the way. */
#include <string.h>

#include "engine/base/err.h"
#include "engine/ip/build.h"
#include "engine/nat/gateway-nat.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/rng.h"

static void
answers_are_valid(const uint8_t *p, const struct sp_ip_view *v)
{
    uint8_t out[SP_MTU];
    struct sp_ip_view again;
    size_t n;

    for (int kind = 0; kind < 2; kind++) {
        sp_assert(sp_build_icmp_reply(out, sizeof out, (enum sp_icmp_reply)kind, p, v, &n) == 0);
        sp_assert(sp_packet_parse(out, n, &again) == 0);
        sp_assert(sp_packet_checksums_ok(out, &again));
    }
    if (sp_build_tcp_rst(out, sizeof out, p, v, &n) == 0)
        sp_assert(sp_packet_parse(out, n, &again) == 0 && sp_packet_checksums_ok(out, &again));
}

static void
edits_keep_checksums(uint8_t *p, struct sp_ip_view v)
{
    struct sp_ip ip = v.src;

    sp_packet_fill_checksums(p, &v);
    ip.b[3] ^= 0x5a;
    sp_packet_set_src(p, &v, &ip);
    sp_packet_set_dst(p, &v, &ip);
    sp_packet_merge_ecn(p, &v, SP_ECN_CE);
    if (sp_ip_proto_supported(v.src_proto)) {
        sp_packet_set_src_id(p, &v, 0x1234);
        sp_packet_set_dst_id(p, &v, 0xfedc);
    }
    sp_assert(sp_packet_checksums_ok(p, &v));
}

/* Out through the table and back in gives the packet's own tuple again. */
static void
nat_round_trip(const uint8_t *p, size_t n)
{
    struct test_rng state;
    struct sp_rng rng = test_rng_init(&state, 1);
    struct sp_pkt_pool pool;
    struct sp_nat_gw nat;
    struct sp_ip_view v;
    struct sp_ip real;
    struct sp_pkt *pkt;
    int r;

    sp_pkt_pool_init(&pool, 1);
    sp_nat_gw_init(&nat, &rng);
    pkt = sp_pkt_from_bytes(&pool, p, n);
    sp_assert(pkt != NULL && sp_packet_parse(p, n, &v) == 0);
    real = v.src;
    real.b[2] ^= 1;
    if (sp_nat_gw_outgoing(&nat, pkt, &v, &real, 0) == 0) {
        sp_assert(sp_ip_equal(&v.dst, &real));
        sp_assert(sp_packet_parse(sp_pkt_data(pkt), pkt->len, &v) == 0);
    }
    r = sp_nat_gw_incoming(&nat, pkt, &v, 0);
    sp_assert(r == 0 || r == SP_NAT_PASS || r == SP_E_UNSUPPORTED || r == SP_E_MALFORMED);
    sp_pkt_free(pkt);
    sp_nat_gw_done(&nat);
    sp_pkt_pool_done(&pool);
}

/* An error that quotes a known session: the first byte-identical flow is made from the quote. */
static void
error_round_trip(const uint8_t *p, const struct sp_ip_view *v, const struct sp_icmp_error *e)
{
    struct test_rng state;
    struct sp_rng rng = test_rng_init(&state, 1);
    struct sp_endpoint from = { e->src, e->src_proto.id }, to = { e->src, 9 };
    struct sp_pkt_pool pool;
    struct sp_ip_view out_view, in_view = *v;
    struct sp_pkt *out, *in;
    struct sp_nat_gw nat;
    size_t n = 0;

    if (e->src_proto.kind != SP_IP_PROTO_UDP)
        return;
    sp_pkt_pool_init(&pool, 2);
    sp_nat_gw_init(&nat, &rng);
    out = sp_pkt_alloc(&pool);
    in = sp_pkt_from_bytes(&pool, p, v->len);
    sp_assert(out && in);
    sp_assert(sp_build_udp(sp_pkt_data(out), SP_MTU, &from, &to, sp_span(NULL, 0), &n) == 0);
    out->len = (uint16_t)n;
    sp_assert(sp_packet_parse(sp_pkt_data(out), n, &out_view) == 0);
    sp_assert(sp_nat_gw_outgoing(&nat, out, &out_view, &e->dst, 0) == 0);
    sp_assert(sp_nat_gw_incoming(&nat, in, &in_view, 0) == 0);
    sp_assert(sp_ip_equal(&in_view.src, &to.ip));
    sp_assert(sp_packet_checksums_ok(sp_pkt_data(in), &in_view));
    sp_pkt_free(out);
    sp_pkt_free(in);
    sp_nat_gw_done(&nat);
    sp_pkt_pool_done(&pool);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sp_icmp_error error;
    struct sp_ip_view v;
    uint8_t copy[SP_MTU];

    if (sp_packet_parse(data, size, &v) != 0)
        return 0;
    sp_assert(v.len == size && v.l4 <= size);
    answers_are_valid(data, &v);
    nat_round_trip(data, size);
    if (sp_icmp_error_parse(data, &v, &error) == SP_ICMP_IS_ERROR) {
        sp_assert(error.quote < size && error.quote_l4 + 4u <= size);
        error_round_trip(data, &v, &error);
    }
    memcpy(copy, data, size);
    edits_keep_checksums(copy, v);
    return 0;
}
