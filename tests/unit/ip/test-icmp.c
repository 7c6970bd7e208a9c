/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>
#include <string.h>

#include "engine/base/err.h"
#include "engine/base/wr.h"
#include "engine/ip/build.h"
#include "engine/ip/icmp.h"
#include "tests/support/hex.h"
#include "tests/support/rng.h"

/* spec tunnel D: "hello" over UDP 40000 -> 80 and the prohibited replies */
#define UDP4      "45000021000000004011b22864420001646000019c400050000d56cd68656c6c6f"
#define UDP4_HEAD "45000021000000004011b22864420001646000019c400050000d56cd"
#define UDP6                                                                            \
    "60000000000d1140fd002021111100000000000000000001fd0020211111800000000000000000009" \
    "c400050000d430a68656c6c6f"
#define REPLY4                                 \
    "45000038000000001401de216460000164420001" \
    "030d098800000000" UDP4_HEAD
#define REPLY6                                                                          \
    "60000000003d3a14fd002021111180000000000000000000fd0020211111000000000000000000010" \
    "101b0f000000000" UDP6

static void
reply_vectors(void)
{
    static const struct {
        const char *orig;
        const char *reply;
    } cases[] = { { UDP4, REPLY4 }, { UDP6, REPLY6 } };

    for (size_t i = 0; i < SP_ARRAY_SIZE(cases); i++) {
        uint8_t orig[SP_MTU], want[SP_MTU], got[SP_MTU];
        size_t n = test_unhex(cases[i].orig, orig, sizeof orig), len;
        size_t n_want = test_unhex(cases[i].reply, want, sizeof want);
        struct sp_icmp_error e;
        struct sp_ip_view v;

        g_assert_cmpint(sp_packet_parse(orig, n, &v), ==, 0);
        g_assert_cmpint(
            sp_build_icmp_reply(got, sizeof got, SP_ICMP_REPLY_PROHIBITED, orig, &v, &len),
            ==,
            0);
        test_assert_mem(got, len, want, n_want);
        g_assert_cmpint(sp_build_icmp_reply(got, len - 1, SP_ICMP_REPLY_PROHIBITED, orig, &v, &len),
                        ==,
                        SP_E_NOBUF);

        g_assert_cmpint(sp_packet_parse(want, n_want, &v), ==, 0);
        g_assert_cmpint(sp_icmp_error_parse(want, &v, &e), ==, SP_ICMP_IS_ERROR);
        g_assert_true(sp_icmp_is_prohibited(&e));
        g_assert_false(sp_icmp_is_unreachable(&e));
        g_assert_true(sp_ip_equal(&e.src, &v.dst) && sp_ip_equal(&e.dst, &v.src));
        g_assert_cmpint(e.src_proto.id, ==, 40000);
        g_assert_cmpint(e.dst_proto.id, ==, 80);
    }
}

static size_t
error_about(uint8_t *out, uint8_t family, uint8_t type, uint8_t code, uint32_t w2, size_t quote)
{
    struct sp_ip router = family == 4 ? sp_ip4(9, 9, 9, 9) : (struct sp_ip){ 6, { 0xfd, 9 } };
    struct sp_ip me = family == 4 ? sp_ip4(100, 64, 0, 1) : (struct sp_ip){ 6, { 0xfd, 1 } };
    struct sp_endpoint a = { me, 4000 };
    struct sp_endpoint b = { router, 53 };
    uint8_t inner[SP_MTU];
    size_t n;

    b.ip.b[1] = 8;
    g_assert_cmpint(sp_build_udp(inner, SP_MTU, &a, &b, sp_span("abcdefgh", 8), &n), ==, 0);
    n = SP_MIN(n, quote);
    g_assert_cmpint(
        sp_build_icmp(out, SP_MTU, &router, &me, 64, type, code, w2, sp_span(inner, n), &n),
        ==,
        0);
    return n;
}

static void
recognises_types(void)
{
    static const struct {
        uint8_t family, type, code;
        int expect;
        bool prohibited, unreachable;
        uint32_t mtu;
    } cases[] = {
        { 4, 3, 0, SP_ICMP_IS_ERROR, false, true, 0 },
        { 4, 3, 13, SP_ICMP_IS_ERROR, true, false, 0 },
        { 4, 3, 3, SP_ICMP_IS_ERROR, false, false, 0 },
        { 4, 3, 4, SP_ICMP_IS_ERROR, false, false, 0x5dc },
        { 4, 11, 0, SP_ICMP_IS_ERROR, false, false, 0 },
        { 4, 11, 1, SP_ICMP_IS_ERROR, false, false, 0 },
        { 4, 5, 0, SP_E_UNSUPPORTED, false, false, 0 },
        { 4, 12, 0, SP_E_UNSUPPORTED, false, false, 0 },
        { 4, 8, 0, 0, false, false, 0 },
        { 4, 0, 0, 0, false, false, 0 },
        { 6, 1, 1, SP_ICMP_IS_ERROR, true, false, 0 },
        { 6, 1, 3, SP_ICMP_IS_ERROR, false, true, 0 },
        { 6, 1, 4, SP_ICMP_IS_ERROR, false, false, 0 },
        { 6, 2, 0, SP_ICMP_IS_ERROR, false, false, 0x100005dc },
        { 6, 2, 1, SP_E_UNSUPPORTED, false, false, 0 },
        { 6, 3, 0, SP_ICMP_IS_ERROR, false, false, 0 },
        { 6, 4, 0, SP_E_UNSUPPORTED, false, false, 0 },
        { 6, 128, 0, 0, false, false, 0 },
        { 6, 129, 0, 0, false, false, 0 },
        { 6, 135, 0, SP_E_UNSUPPORTED, false, false, 0 },
    };

    for (size_t i = 0; i < SP_ARRAY_SIZE(cases); i++) {
        uint8_t p[SP_MTU];
        struct sp_ip_view v;
        struct sp_icmp_error e;
        size_t n =
            error_about(p, cases[i].family, cases[i].type, cases[i].code, 0x100005dc, SP_MTU);

        g_test_message("case %zu", i);
        g_assert_cmpint(sp_packet_parse(p, n, &v), ==, 0);
        g_assert_cmpint(sp_icmp_error_parse(p, &v, &e), ==, cases[i].expect);
        g_assert_cmpint(sp_icmp_is_error_type(&v), ==, cases[i].expect == SP_ICMP_IS_ERROR);
        if (cases[i].expect != SP_ICMP_IS_ERROR)
            continue;
        g_assert_cmpint(sp_icmp_is_prohibited(&e), ==, cases[i].prohibited);
        g_assert_cmpint(sp_icmp_is_unreachable(&e), ==, cases[i].unreachable);
        g_assert_cmpuint(e.mtu, ==, cases[i].mtu);
        g_assert_cmpuint(e.src_proto.id, ==, 4000);
        g_assert_cmpuint(e.dst_proto.id, ==, 53);
    }
}

/* F.5: parsing succeeds for any quoted payload length >= headers, and for none below. */
static void
any_quote_length(void)
{
    for (int six = 0; six < 2; six++) {
        size_t header = six ? 40 : 20;

        for (size_t quote = 0; quote <= header + 16; quote++) {
            uint8_t p[SP_MTU];
            struct sp_ip_view v;
            struct sp_icmp_error e;
            size_t n = error_about(p, six ? 6 : 4, six ? 1 : 3, 0, 0, quote);

            g_assert_cmpint(sp_packet_parse(p, n, &v), ==, 0);
            g_assert_cmpint(sp_icmp_error_parse(p, &v, &e),
                            ==,
                            quote >= header + 4 ? SP_ICMP_IS_ERROR : SP_E_MALFORMED);
        }
    }
}

static void
quotes_by_protocol(void)
{
    static const struct {
        const char *what;
        const char *quote;
        int expect;
        int kind;
    } cases[] = {
        { "echo request",
          "4500001c00000000400100000a0000010a0000020800000000070001",
          SP_ICMP_IS_ERROR,
          SP_IP_PROTO_ECHO },
        { "echo cut", "4500001c00000000400100000a0000010a00000208000000000700", SP_E_MALFORMED, 0 },
        { "echo reply",
          "4500001c00000000400100000a0000010a0000020000000000070001",
          SP_E_UNSUPPORTED,
          0 },
        { "gre", "4500001c00000000402f00000a0000010a0000020000000000070001", SP_E_UNSUPPORTED, 0 },
        { "tcp",
          "4500002800000000400600000a0000010a00000200070050",
          SP_ICMP_IS_ERROR,
          SP_IP_PROTO_TCP },
        { "options",
          "4600002800000000400600000a0000010a0000020101010100070050",
          SP_ICMP_IS_ERROR,
          SP_IP_PROTO_TCP },
        { "options cut",
          "4700002800000000400600000a0000010a00000201010101000700",
          SP_E_MALFORMED,
          0 },
        { "v6 in v4",
          "6000000000081140"
          "fd00000000000000000000000000000100000000000000000000"
          "0000000000020007005000080000",
          SP_E_MALFORMED,
          0 },
        { "first fragment",
          "4500002800002000400600000a0000010a00000200070050",
          SP_ICMP_IS_ERROR,
          SP_IP_PROTO_TCP },
        { "later fragment", "4500002800000010400600000a0000010a00000200070050", SP_E_MALFORMED, 0 },
    };

    for (size_t i = 0; i < SP_ARRAY_SIZE(cases); i++) {
        struct sp_ip a = sp_ip4(9, 9, 9, 9), b = sp_ip4(10, 0, 0, 1);
        uint8_t p[SP_MTU], quote[SP_MTU];
        size_t n = test_unhex(cases[i].quote, quote, sizeof quote);
        struct sp_icmp_error e;
        struct sp_ip_view v;

        g_test_message("%s", cases[i].what);
        g_assert_cmpint(sp_build_icmp(p, SP_MTU, &a, &b, 64, 3, 1, 0, sp_span(quote, n), &n),
                        ==,
                        0);
        g_assert_cmpint(sp_packet_parse(p, n, &v), ==, 0);
        g_assert_cmpint(sp_icmp_error_parse(p, &v, &e), ==, cases[i].expect);
        if (cases[i].expect == SP_ICMP_IS_ERROR) {
            g_assert_cmpint(e.src_proto.kind, ==, cases[i].kind);
            g_assert_cmpint(e.src_proto.id, ==, 7);
        }
    }
}

static void
tcp_reset(void)
{
    static const struct {
        uint8_t flags;
        size_t payload;
        int expect;
        uint8_t rst_flags;
        uint32_t seq, ack;
    } cases[] = {
        { SP_TCP_SYN, 0, 0, SP_TCP_RST | SP_TCP_ACK, 0, 1001 },
        { SP_TCP_SYN | SP_TCP_ACK, 0, 0, SP_TCP_RST, 2000, 0 },
        { SP_TCP_ACK, 5, 0, SP_TCP_RST, 2000, 0 },
        { SP_TCP_FIN, 5, 0, SP_TCP_RST | SP_TCP_ACK, 0, 1006 },
        { SP_TCP_RST, 0, SP_E_INVAL, 0, 0, 0 },
    };

    for (size_t i = 0; i < SP_ARRAY_SIZE(cases); i++) {
        struct sp_endpoint a = { sp_ip4(10, 0, 0, 1), 1111 }, b = { sp_ip4(10, 0, 0, 2), 2222 };
        struct sp_tcp_segment seg = { .seq = 1000,
                                      .ack = 2000,
                                      .flags = cases[i].flags,
                                      .options = sp_span("\1\1\1\1", 4),
                                      .payload = sp_span("hello", cases[i].payload) };
        uint8_t p[SP_MTU], out[SP_MTU], want[8];
        struct sp_ip_view v;
        size_t n;

        g_assert_cmpint(sp_build_tcp(p, SP_MTU, &a, &b, &seg, &n), ==, 0);
        g_assert_cmpint(sp_packet_parse(p, n, &v), ==, 0);
        g_assert_true(sp_packet_checksums_ok(p, &v));
        g_assert_cmpint(sp_build_tcp_rst(out, SP_MTU, p, &v, &n), ==, cases[i].expect);
        if (cases[i].expect)
            continue;
        g_assert_cmpint(sp_packet_parse(out, n, &v), ==, 0);
        g_assert_true(sp_packet_checksums_ok(out, &v));
        g_assert_cmpint(v.tcp_flags, ==, cases[i].rst_flags);
        g_assert_cmpint(v.src_proto.id, ==, 2222);
        g_assert_cmpint(v.dst_proto.id, ==, 1111);
        sp_put_be32(want, cases[i].seq);
        sp_put_be32(want + 4, cases[i].ack);
        test_assert_mem(out + 24, 8, want, 8);
    }
}

static void
builders_refuse(void)
{
    struct sp_endpoint a = { sp_ip4(10, 0, 0, 1), 1 }, b = { { 6, { 0xfd } }, 2 };
    static const uint8_t big[SP_MTU] = { 0 };
    uint8_t out[SP_MTU];
    size_t n = 77;

    g_assert_cmpint(sp_build_udp(out, SP_MTU, &a, &b, sp_span(big, 1), &n), ==, SP_E_INVAL);
    b = a;
    g_assert_cmpint(sp_build_udp(out, SP_MTU, &a, &b, sp_span(big, 1253), &n), ==, SP_E_NOBUF);
    g_assert_cmpuint(n, ==, 77);
    g_assert_cmpint(sp_build_udp(out, SP_MTU, &a, &b, sp_span(big, 1252), &n), ==, 0);
    g_assert_cmpuint(n, ==, SP_MTU);
    g_assert_cmpint(sp_build_udp(out, 28, &a, &b, sp_span(big, 1), &n), ==, SP_E_NOBUF);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ip/icmp/reply-vectors", reply_vectors);
    g_test_add_func("/ip/icmp/recognises-types", recognises_types);
    g_test_add_func("/ip/icmp/any-quote-length", any_quote_length);
    g_test_add_func("/ip/icmp/quotes-by-protocol", quotes_by_protocol);
    g_test_add_func("/ip/build/tcp-reset", tcp_reset);
    g_test_add_func("/ip/build/refuses", builders_refuse);
    return g_test_run();
}
