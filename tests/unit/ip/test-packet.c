/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>
#include <string.h>

#include "engine/base/err.h"
#include "engine/base/wr.h"
#include "engine/ip/build.h"
#include "engine/ip/checksum.h"
#include "engine/ip/packet.h"
#include "tests/support/hex.h"
#include "tests/support/rng.h"

/* spec tunnel D: "hello" over UDP 40000 -> 80 */
#define UDP4 "45000021000000004011b22864420001646000019c400050000d56cd68656c6c6f"
#define UDP6                                                                            \
    "60000000000d1140fd002021111100000000000000000001fd0020211111800000000000000000009" \
    "c400050000d430a68656c6c6f"

static void
parses_valid_packets(void)
{
    uint8_t p[SP_MTU];
    struct sp_ip_view v;
    size_t n = test_unhex(UDP4, p, sizeof p);

    g_assert_cmpint(sp_packet_parse(p, n, &v), ==, 0);
    g_assert_cmpint(v.version, ==, 4);
    g_assert_cmpint(v.l4, ==, 20);
    g_assert_cmpint(v.ttl, ==, 64);
    g_assert_cmpint(v.src_proto.kind, ==, SP_IP_PROTO_UDP);
    g_assert_cmpint(v.src_proto.id, ==, 40000);
    g_assert_cmpint(v.dst_proto.id, ==, 80);
    g_assert_true(v.dst.b[0] == 100 && v.dst.b[1] == 96);
    g_assert_true(sp_packet_checksums_ok(p, &v));

    n = test_unhex(UDP6, p, sizeof p);
    g_assert_cmpint(sp_packet_parse(p, n, &v), ==, 0);
    g_assert_cmpint(v.version, ==, 6);
    g_assert_cmpint(v.l4, ==, 40);
    g_assert_cmpint(v.dst_proto.id, ==, 80);
    g_assert_true(sp_packet_checksums_ok(p, &v));
}

#define IP4    "0a0000010a000002"
#define IP6    "fd000000000000000000000000000001fd000000000000000000000000000002"
#define UDP_LN "0035003500080000"

static void
validates(void)
{
    static const struct {
        const char *what;
        const char *hex;
        int expect;
        int kind;
    } cases[] = {
        { "empty", "", SP_E_MALFORMED, 0 },
        { "version 5",
          "5500001c000000004011"
          "0000" IP4 UDP_LN,
          SP_E_MALFORMED,
          0 },
        { "plain",
          "4500001c00000000401100"
          "00" IP4 UDP_LN,
          0,
          SP_IP_PROTO_UDP },
        { "DF is irrelevant",
          "4500001c00004000401100"
          "00" IP4 UDP_LN,
          0,
          SP_IP_PROTO_UDP },
        { "MF",
          "4500001c00002000401100"
          "00" IP4 UDP_LN,
          SP_PACKET_FRAGMENT,
          0 },
        { "offset",
          "4500001c00000001401100"
          "00" IP4 UDP_LN,
          SP_PACKET_FRAGMENT,
          0 },
        { "total length short",
          "4500001b00000000401100"
          "00" IP4 UDP_LN,
          SP_E_MALFORMED,
          0 },
        { "total length long",
          "4500001d00000000401100"
          "00" IP4 UDP_LN,
          SP_E_MALFORMED,
          0 },
        { "ihl 4",
          "4400001c00000000401100"
          "00" IP4 UDP_LN,
          SP_E_MALFORMED,
          0 },
        { "ihl beyond end",
          "4f00001c00000000401100"
          "00" IP4 UDP_LN,
          SP_E_MALFORMED,
          0 },
        { "options",
          "4600002000000000401100"
          "00" IP4 "01010101" UDP_LN,
          0,
          SP_IP_PROTO_UDP },
        { "udp length",
          "4500001c00000000401100"
          "00" IP4 "0035003500070000",
          SP_E_MALFORMED,
          0 },
        { "udp cut",
          "4500001b00000000401100"
          "00" IP4 "00350035000700",
          SP_E_MALFORMED,
          0 },
        { "tcp offset 4",
          "4500002800000000400600"
          "00" IP4 "0001000200000000000000004002000000000000",
          SP_E_MALFORMED,
          0 },
        { "tcp offset beyond",
          "4500002800000000400600"
          "00" IP4 "0001000200000000000000006002000000000000",
          SP_E_MALFORMED,
          0 },
        { "tcp",
          "4500002800000000400600"
          "00" IP4 "0001000200000000000000005002000000000000",
          0,
          SP_IP_PROTO_TCP },
        { "icmp echo",
          "4500001c00000000400100"
          "00" IP4 "0800000000070001",
          0,
          SP_IP_PROTO_ECHO },
        { "icmp echo reply",
          "4500001c00000000400100"
          "00" IP4 "0000000000070001",
          0,
          SP_IP_PROTO_ECHO },
        { "icmp echo code 1",
          "4500001c00000000400100"
          "00" IP4 "0801000000070001",
          0,
          SP_IP_PROTO_OTHER_ICMPV4 },
        { "icmp error",
          "4500001c00000000400100"
          "00" IP4 "0301000000000000",
          0,
          SP_IP_PROTO_OTHER_ICMPV4 },
        { "icmp short",
          "4500001b00000000400100"
          "00" IP4 "08000000000700",
          SP_E_MALFORMED,
          0 },
        { "icmp6 in v4",
          "4500001c00000000403a00"
          "00" IP4 "8000000000070001",
          SP_E_MALFORMED,
          0 },
        { "gre",
          "4500001400000000402f00"
          "00" IP4,
          0,
          SP_IP_PROTO_OTHER_L4 },
        { "v6", "6000000000081140" IP6 UDP_LN, 0, SP_IP_PROTO_UDP },
        { "v6 payload short", "6000000000071140" IP6 UDP_LN, SP_E_MALFORMED, 0 },
        { "v6 payload long", "6000000000091140" IP6 UDP_LN, SP_E_MALFORMED, 0 },
        { "v6 header only", "6000000000003b40" IP6, 0, SP_IP_PROTO_OTHER_L4 },
        { "v6 cut", "6000000000003b40fd00", SP_E_MALFORMED, 0 },
        { "icmp4 in v6", "6000000000080140" IP6 "0800000000070001", SP_E_MALFORMED, 0 },
        { "icmp6 echo", "6000000000083a40" IP6 "8000000000070001", 0, SP_IP_PROTO_ECHO },
        { "icmp6 reply", "6000000000083a40" IP6 "8100000000070001", 0, SP_IP_PROTO_ECHO },
        { "icmp6 neighbour",
          "6000000000083a40" IP6 "8700000000070001",
          0,
          SP_IP_PROTO_OTHER_ICMPV6 },
        { "hop-by-hop", "6000000000100040" IP6 "1100000000000000" UDP_LN, 0, SP_IP_PROTO_UDP },
        { "two extensions",
          "6000000000180040" IP6 "3c00000000000000"
          "1100000000000000" UDP_LN,
          0,
          SP_IP_PROTO_UDP },
        { "extension too long",
          "6000000000100040" IP6 "1102000000000000" UDP_LN,
          SP_E_MALFORMED,
          0 },
        { "extension cut", "6000000000040040" IP6 "11000000", SP_E_MALFORMED, 0 },
        { "extension at end", "6000000000080040" IP6 "0000000000000000", SP_E_MALFORMED, 0 },
        { "atomic fragment", "6000000000102c40" IP6 "1100000000000001" UDP_LN, 0, SP_IP_PROTO_UDP },
        { "fragment more",
          "6000000000102c40" IP6 "1100000100000001" UDP_LN,
          SP_PACKET_FRAGMENT,
          0 },
        { "fragment offset",
          "6000000000102c40" IP6 "1100000800000001" UDP_LN,
          SP_PACKET_FRAGMENT,
          0 },
        { "auth header",
          "6000000000143340" IP6 "110100000000000000000000" UDP_LN,
          0,
          SP_IP_PROTO_UDP },
    };

    for (size_t i = 0; i < SP_ARRAY_SIZE(cases); i++) {
        uint8_t p[SP_MTU];
        size_t n = test_unhex(cases[i].hex, p, sizeof p);
        struct sp_ip_view v;

        g_test_message("%zu %s", i, cases[i].what);
        g_assert_cmpint(sp_packet_parse(p, n, &v), ==, cases[i].expect);
        if (cases[i].expect == 0)
            g_assert_cmpint(v.src_proto.kind, ==, cases[i].kind);
    }
}

static void
refuses_oversize_and_long_chains(void)
{
    static uint8_t p[SP_MTU + 1];
    struct sp_ip_view v;
    size_t chain = SP_IP6_HEADER;

    p[0] = 0x45;
    p[9] = 47;
    sp_put_be16(p + 2, SP_MTU);
    g_assert_cmpint(sp_packet_parse(p, SP_MTU, &v), ==, 0);
    sp_put_be16(p + 2, SP_MTU + 1);
    g_assert_cmpint(sp_packet_parse(p, SP_MTU + 1, &v), ==, SP_E_MALFORMED);

    memset(p, 0, sizeof p);
    p[0] = 0x60;
    for (int i = 0; i <= SP_IP6_EXT_MAX; i++, chain += 8) {
        sp_put_be16(p + 4, (uint16_t)(chain - SP_IP6_HEADER));
        if (i) {
            p[chain - 8] = 59;
            g_assert_cmpint(sp_packet_parse(p, chain, &v), ==, 0);
            p[chain - 8] = 0;
        }
    }
    p[chain - 8] = 59;
    sp_put_be16(p + 4, (uint16_t)(chain - SP_IP6_HEADER));
    g_assert_cmpint(sp_packet_parse(p, chain, &v), ==, SP_E_MALFORMED);
}

static struct sp_ip
random_ip(const struct sp_rng *rng, uint8_t family)
{
    uint8_t b[16];

    sp_rng_fill(rng, b, sizeof b);
    return sp_ip_from_bytes(family, b);
}

static size_t
random_packet(const struct sp_rng *rng, uint8_t *p)
{
    uint8_t family = sp_rng_below(rng, 2) ? 4 : 6;
    struct sp_endpoint a = { random_ip(rng, family), (uint16_t)sp_rng_u32(rng) };
    struct sp_endpoint b = { random_ip(rng, family), (uint16_t)sp_rng_u32(rng) };
    uint8_t payload[64];
    struct sp_span body = sp_span(payload, sp_rng_below(rng, sizeof payload));
    struct sp_tcp_segment seg = { .seq = sp_rng_u32(rng), .payload = body };
    size_t n = 0;
    int r;

    sp_rng_fill(rng, payload, sizeof payload);
    switch (sp_rng_below(rng, 3)) {
    case 0:
        r = sp_build_udp(p, SP_MTU, &a, &b, body, &n);
        break;
    case 1:
        r = sp_build_tcp(p, SP_MTU, &a, &b, &seg, &n);
        break;
    default:
        r = sp_build_echo(p, SP_MTU, &a.ip, &b.ip, sp_rng_below(rng, 2), a.port, b.port, body, &n);
        break;
    }
    g_assert_cmpint(r, ==, 0);
    return n;
}

static void
random_edit(const struct sp_rng *rng, uint8_t *p, struct sp_ip_view *v)
{
    struct sp_ip ip = random_ip(rng, v->version);

    switch (sp_rng_below(rng, 5)) {
    case 0:
        sp_packet_set_src(p, v, &ip);
        break;
    case 1:
        sp_packet_set_dst(p, v, &ip);
        break;
    case 2:
        sp_packet_set_src_id(p, v, (uint16_t)sp_rng_u32(rng));
        break;
    case 3:
        sp_packet_set_dst_id(p, v, (uint16_t)sp_rng_u32(rng));
        break;
    default:
        sp_packet_set_ecn(p, v, (uint8_t)sp_rng_below(rng, 4));
        break;
    }
}

static void
incremental_equals_full(void)
{
    struct test_rng state;
    struct sp_rng rng = test_rng_init(&state, 1);

    for (int i = 0; i < 20000; i++) {
        uint8_t p[SP_MTU], full[SP_MTU];
        size_t n = random_packet(&rng, p);
        struct sp_ip_view v, again;

        g_assert_cmpint(sp_packet_parse(p, n, &v), ==, 0);
        for (int k = 0; k < 3; k++)
            random_edit(&rng, p, &v);
        memcpy(full, p, n);
        sp_packet_fill_checksums(full, &v);
        test_assert_mem(p, n, full, n);
        memset(&again, 0, sizeof again);
        g_assert_cmpint(sp_packet_parse(p, n, &again), ==, 0);
        g_assert_true(sp_ip_equal(&again.src, &v.src) && sp_ip_equal(&again.dst, &v.dst));
        g_assert_cmpint(again.src_proto.id, ==, v.src_proto.id);
        g_assert_cmpint(again.dst_proto.id, ==, v.dst_proto.id);
        g_assert_cmpint(again.ecn, ==, v.ecn);
        g_assert_true(sp_packet_checksums_ok(p, &v));
    }
}

static void
checksum_zero_rules(void)
{
    uint8_t p[SP_MTU];
    struct sp_ip_view v;
    struct sp_ip ip = sp_ip4(1, 2, 3, 4);
    size_t n = test_unhex(UDP4, p, sizeof p);

    /* "not computed" stays so */
    g_assert_cmpint(sp_packet_parse(p, n, &v), ==, 0);
    p[26] = p[27] = 0;
    sp_packet_set_src(p, &v, &ip);
    sp_packet_set_dst_id(p, &v, 99);
    g_assert_cmpint(p[26] | p[27], ==, 0);
    g_assert_true(sp_packet_checksums_ok(p, &v));

    /* RFC 1624 section 4: 0xdd2f, 0x5555 -> 0x3285 gives 0x0000; we write 0xffff */
    g_assert_cmphex(sp_csum_update16(0xdd2f, 0x5555, 0x3285), ==, 0xffff);
    g_assert_cmphex(sp_csum_finish(0xffff), ==, 0xffff);
    g_assert_cmphex(sp_csum_finish(0), ==, 0xffff);

    /* ICMPv4 does not cover addresses */
    n = test_unhex("4500001c0000000040010000" IP4 "0800f7f700070001", p, sizeof p);
    g_assert_cmpint(sp_packet_parse(p, n, &v), ==, 0);
    sp_packet_fill_checksums(p, &v);
    sp_packet_set_dst(p, &v, &ip);
    g_assert_cmphex((p[22] << 8) | p[23], ==, 0xf7f7);
    g_assert_true(sp_packet_checksums_ok(p, &v));
}

static void
ecn_merge(void)
{
    static const uint8_t expect[4][4] = {
        /* inner 0..3 for outer Not-ECT, ECT(1), ECT(0), CE */
        { 0, 1, 2, 3 },
        { 0, 1, 2, 3 },
        { 0, 1, 2, 3 },
        { 0, 3, 3, 3 },
    };

    for (uint8_t outer = 0; outer < 4; outer++)
        for (uint8_t inner = 0; inner < 4; inner++)
            for (int six = 0; six < 2; six++) {
                uint8_t p[SP_MTU];
                struct sp_ip_view v;
                size_t n = test_unhex(six ? UDP6 : UDP4, p, sizeof p);

                g_assert_cmpint(sp_packet_parse(p, n, &v), ==, 0);
                sp_packet_set_ecn(p, &v, inner);
                sp_packet_merge_ecn(p, &v, outer);
                g_assert_cmpint(sp_packet_parse(p, n, &v), ==, 0);
                g_assert_cmpint(v.ecn, ==, expect[outer][inner]);
                g_assert_true(sp_packet_checksums_ok(p, &v));
            }
}

static struct sp_pkt *
syn_packet(struct sp_pkt_pool *pool, uint16_t port, uint32_t seq, uint16_t window, uint8_t flags)
{
    struct sp_endpoint a = { sp_ip4(10, 0, 0, 1), port };
    struct sp_endpoint b = { sp_ip4(10, 0, 0, 2), 443 };
    struct sp_tcp_segment seg = { .seq = seq, .flags = flags, .window = window };
    struct sp_pkt *pkt = sp_pkt_alloc(pool);
    size_t n;

    g_assert_nonnull(pkt);
    g_assert_cmpint(sp_build_tcp(sp_pkt_data(pkt), SP_MTU, &a, &b, &seg, &n), ==, 0);
    pkt->len = (uint16_t)n;
    return pkt;
}

static uint16_t
window_of(struct sp_pkt *pkt)
{
    const uint8_t *p = sp_pkt_data(pkt);

    return (uint16_t)((p[34] << 8) | p[35]);
}

static void
unique_ring(void)
{
    struct sp_pkt_pool pool;
    struct sp_pkt_queue q = { .max = 4 };
    static const uint16_t windows[] = { 9, 2, 5, 6 };
    size_t i = 0;

    sp_pkt_pool_init(&pool, 16);
    g_assert_cmpuint(sp_packet_queue_push_unique(&q, syn_packet(&pool, 1, 7, 1, SP_TCP_SYN)),
                     ==,
                     0);
    g_assert_cmpuint(sp_packet_queue_push_unique(&q, syn_packet(&pool, 2, 7, 2, SP_TCP_SYN)),
                     ==,
                     0);
    /* identical */
    g_assert_cmpuint(sp_packet_queue_push_unique(&q, syn_packet(&pool, 2, 7, 2, SP_TCP_SYN)),
                     ==,
                     1);
    /* retransmitted SYN takes the first place */
    g_assert_cmpuint(sp_packet_queue_push_unique(&q, syn_packet(&pool, 1, 7, 9, SP_TCP_SYN)),
                     ==,
                     1);
    /* other sequence number, or not a pure SYN: both kept */
    g_assert_cmpuint(sp_packet_queue_push_unique(&q, syn_packet(&pool, 1, 8, 5, SP_TCP_SYN)),
                     ==,
                     0);
    g_assert_cmpuint(
        sp_packet_queue_push_unique(&q, syn_packet(&pool, 1, 8, 6, SP_TCP_SYN | SP_TCP_ACK)),
        ==,
        0);
    g_assert_cmpuint(q.len, ==, 4);
    for (struct sp_pkt *it = q.head; it; it = it->next)
        g_assert_cmpuint(window_of(it), ==, windows[i++]);
    /* full: the oldest goes */
    g_assert_cmpuint(sp_packet_queue_push_unique(&q, syn_packet(&pool, 3, 1, 7, SP_TCP_SYN)),
                     ==,
                     1);
    g_assert_cmpuint(window_of(q.head), ==, windows[1]);
    g_assert_cmpuint(window_of(q.tail), ==, 7);
    sp_pkt_queue_clear(&q);
    sp_pkt_pool_done(&pool);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ip/packet/parses", parses_valid_packets);
    g_test_add_func("/ip/packet/validates", validates);
    g_test_add_func("/ip/packet/limits", refuses_oversize_and_long_chains);
    g_test_add_func("/ip/packet/incremental-equals-full", incremental_equals_full);
    g_test_add_func("/ip/packet/checksum-zero", checksum_zero_rules);
    g_test_add_func("/ip/packet/ecn-merge", ecn_merge);
    g_test_add_func("/ip/packet/unique-ring", unique_ring);
    return g_test_run();
}
