/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>
#include <string.h>

#include "engine/stun/channeldata.h"
#include "engine/stun/stun.h"
#include "tests/support/rng.h"

static const char short_term_password[] = "VOkJxbRl1RmTxUk/WvJxBt";

/* RFC 5769 section 2.1 */
static const uint8_t rfc5769_request[] = {
    0x00, 0x01, 0x00, 0x58, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86,
    0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x10, 0x53, 0x54, 0x55, 0x4e, 0x20, 0x74, 0x65, 0x73,
    0x74, 0x20, 0x63, 0x6c, 0x69, 0x65, 0x6e, 0x74, 0x00, 0x24, 0x00, 0x04, 0x6e, 0x00, 0x01, 0xff,
    0x80, 0x29, 0x00, 0x08, 0x93, 0x2f, 0xf9, 0xb1, 0x51, 0x26, 0x3b, 0x36, 0x00, 0x06, 0x00, 0x09,
    0x65, 0x76, 0x74, 0x6a, 0x3a, 0x68, 0x36, 0x76, 0x59, 0x20, 0x20, 0x20, 0x00, 0x08, 0x00, 0x14,
    0x9a, 0xea, 0xa7, 0x0c, 0xbf, 0xd8, 0xcb, 0x56, 0x78, 0x1e, 0xf2, 0xb5, 0xb2, 0xd3, 0xf2, 0x49,
    0xc1, 0xb5, 0x71, 0xa2, 0x80, 0x28, 0x00, 0x04, 0xe5, 0x7a, 0x3b, 0xcf,
};
/* RFC 5769 section 2.2 */
static const uint8_t rfc5769_reply4[] = {
    0x01, 0x01, 0x00, 0x3c, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86,
    0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x0b, 0x74, 0x65, 0x73, 0x74, 0x20, 0x76, 0x65, 0x63,
    0x74, 0x6f, 0x72, 0x20, 0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43,
    0x00, 0x08, 0x00, 0x14, 0x2b, 0x91, 0xf5, 0x99, 0xfd, 0x9e, 0x90, 0xc3, 0x8c, 0x74, 0x89, 0xf9,
    0x2a, 0xf9, 0xba, 0x53, 0xf0, 0x6b, 0xe7, 0xd7, 0x80, 0x28, 0x00, 0x04, 0xc0, 0x7d, 0x4c, 0x96,
};
/* RFC 5769 section 2.3 */
static const uint8_t rfc5769_reply6[] = {
    0x01, 0x01, 0x00, 0x48, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86,
    0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x0b, 0x74, 0x65, 0x73, 0x74, 0x20, 0x76, 0x65, 0x63,
    0x74, 0x6f, 0x72, 0x20, 0x00, 0x20, 0x00, 0x14, 0x00, 0x02, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa,
    0xa5, 0xd3, 0xf1, 0x79, 0xbc, 0x25, 0xf4, 0xb5, 0xbe, 0xd2, 0xb9, 0xd9, 0x00, 0x08, 0x00, 0x14,
    0xa3, 0x82, 0x95, 0x4e, 0x4b, 0xe6, 0x7b, 0xf1, 0x17, 0x84, 0xc9, 0x7c, 0x82, 0x92, 0xc2, 0x75,
    0xbf, 0xe3, 0xed, 0x41, 0x80, 0x28, 0x00, 0x04, 0xc8, 0xfb, 0x0b, 0x4c,
};
/* RFC 5769 section 2.4 */
static const uint8_t rfc5769_long_term[] = {
    0x00, 0x01, 0x00, 0x60, 0x21, 0x12, 0xa4, 0x42, 0x78, 0xad, 0x34, 0x33, 0xc6, 0xad, 0x72,
    0xc0, 0x29, 0xda, 0x41, 0x2e, 0x00, 0x06, 0x00, 0x12, 0xe3, 0x83, 0x9e, 0xe3, 0x83, 0x88,
    0xe3, 0x83, 0xaa, 0xe3, 0x83, 0x83, 0xe3, 0x82, 0xaf, 0xe3, 0x82, 0xb9, 0x00, 0x00, 0x00,
    0x15, 0x00, 0x1c, 0x66, 0x2f, 0x2f, 0x34, 0x39, 0x39, 0x6b, 0x39, 0x35, 0x34, 0x64, 0x36,
    0x4f, 0x4c, 0x33, 0x34, 0x6f, 0x4c, 0x39, 0x46, 0x53, 0x54, 0x76, 0x79, 0x36, 0x34, 0x73,
    0x41, 0x00, 0x14, 0x00, 0x0b, 0x65, 0x78, 0x61, 0x6d, 0x70, 0x6c, 0x65, 0x2e, 0x6f, 0x72,
    0x67, 0x00, 0x00, 0x08, 0x00, 0x14, 0xf6, 0x70, 0x24, 0x65, 0x6d, 0xd6, 0x4a, 0x3e, 0x02,
    0xb8, 0xe0, 0x71, 0x2e, 0x85, 0xc9, 0xa2, 0x8c, 0xa8, 0x96, 0x66,
};

static const uint8_t txid[SP_STUN_TXID_LEN] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };

static struct sp_span
text_span(const char *text)
{
    return sp_span(text, strlen(text));
}

static void
parse_ok(const uint8_t *bytes, size_t n, struct sp_stun_msg *msg)
{
    g_assert_true(sp_stun_is_stun(sp_span(bytes, n)));
    g_assert_cmpint(sp_stun_parse(sp_span(bytes, n), msg), ==, 0);
}

static void
vector_request(void)
{
    struct sp_stun_msg msg;
    char text[64];
    uint32_t prio;
    uint64_t tie;

    parse_ok(rfc5769_request, sizeof rfc5769_request, &msg);
    g_assert_cmpint(msg.cls, ==, SP_STUN_REQUEST);
    g_assert_cmpuint(msg.method, ==, SP_STUN_BINDING);
    g_assert_cmpmem(msg.txid, sizeof msg.txid, rfc5769_request + 8, 12);
    g_assert_true(sp_stun_get_string(&msg, SP_STUN_SOFTWARE, text, sizeof text));
    g_assert_cmpstr(text, ==, "STUN test client");
    g_assert_true(sp_stun_get_string(&msg, SP_STUN_USERNAME, text, sizeof text));
    g_assert_cmpstr(text, ==, "evtj:h6vY");
    g_assert_true(sp_stun_get_u32(&msg, SP_STUN_PRIORITY, &prio));
    g_assert_cmphex(prio, ==, 0x6e0001ff);
    g_assert_true(sp_stun_get_u64(&msg, SP_STUN_ICE_CONTROLLED, &tie));
    g_assert_cmphex(tie, ==, UINT64_C(0x932ff9b151263b36));
    g_assert_cmpint(sp_stun_check_integrity(&msg, text_span(short_term_password)), ==, 0);
    g_assert_cmpint(sp_stun_check_integrity(&msg, text_span("other")), ==, SP_E_UNAUTH);
    g_assert_cmpint(sp_stun_check_fingerprint(&msg), ==, 0);
}

static void
vector_replies(void)
{
    static const struct {
        const uint8_t *bytes;
        size_t n;
        const char *mapped;
    } cases[] = {
        { rfc5769_reply4, sizeof rfc5769_reply4, "192.0.2.1:32853" },
        { rfc5769_reply6, sizeof rfc5769_reply6, "[2001:db8:1234:5678:11:2233:4455:6677]:32853" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct sp_stun_msg msg;
        struct sp_endpoint ep;
        char text[SP_ENDPOINT_STR_MAX];

        g_test_message("case %zu", i);
        parse_ok(cases[i].bytes, cases[i].n, &msg);
        g_assert_cmpint(msg.cls, ==, SP_STUN_SUCCESS);
        g_assert_true(sp_stun_get_xor_addr(&msg, SP_STUN_XOR_MAPPED_ADDRESS, 0, &ep));
        g_assert_false(sp_stun_get_xor_addr(&msg, SP_STUN_XOR_MAPPED_ADDRESS, 1, &ep));
        g_assert_cmpstr(sp_endpoint_format(&ep, text), ==, cases[i].mapped);
        g_assert_cmpint(sp_stun_check_integrity(&msg, text_span(short_term_password)), ==, 0);
        g_assert_cmpint(sp_stun_check_fingerprint(&msg), ==, 0);
    }
}

static void
vector_long_term(void)
{
    uint8_t key[SP_STUN_LONG_KEY_LEN];
    struct sp_stun_msg msg;

    parse_ok(rfc5769_long_term, sizeof rfc5769_long_term, &msg);
    sp_stun_long_term_key("\u30de\u30c8\u30ea\u30c3\u30af\u30b9", "example.org", "TheMatrIX", key);
    g_assert_cmpint(sp_stun_check_integrity(&msg, sp_span(key, sizeof key)), ==, 0);
    g_assert_cmpint(sp_stun_check_fingerprint(&msg), ==, SP_E_NOTFOUND);
}

/* spec connectivity 2.2 */
static void
vector_long_term_key(void)
{
    static const uint8_t want[] = { 0x77, 0x0e, 0xc2, 0xee, 0x67, 0xcd, 0x3e, 0x39,
                                    0xbc, 0xb0, 0x50, 0xcb, 0x48, 0x1d, 0xce, 0xb8 };
    uint8_t key[SP_STUN_LONG_KEY_LEN];

    sp_stun_long_term_key("user", "firezone", "pass", key);
    g_assert_cmpmem(key, sizeof key, want, sizeof want);
}

/* Our builder pads with zeros, so only the unpadded parts of RFC 5769 2.2 can be compared as bytes;
 * every other property is checked through the parser. */
static void
build_reply(void)
{
    struct sp_endpoint ep, got;
    struct sp_stun_msg msg;
    uint8_t buf[128];
    struct sp_stun_builder b;
    int n;

    g_assert_cmpint(sp_endpoint_parse("192.0.2.1:32853", &ep), ==, 0);
    b = sp_stun_build(buf, sizeof buf, SP_STUN_SUCCESS, SP_STUN_BINDING, rfc5769_reply4 + 8);
    sp_stun_put_string(&b, SP_STUN_SOFTWARE, "test vector");
    sp_stun_put_xor_addr(&b, SP_STUN_XOR_MAPPED_ADDRESS, &ep);
    sp_stun_put_integrity(&b, text_span(short_term_password));
    sp_stun_put_fingerprint(&b);
    n = sp_stun_finish(&b);
    g_assert_cmpint(n, ==, sizeof rfc5769_reply4);
    g_assert_cmpmem(buf, 35, rfc5769_reply4, 35);
    g_assert_cmpmem(buf + 36, 12, rfc5769_reply4 + 36, 12);
    parse_ok(buf, (size_t)n, &msg);
    g_assert_cmpint(sp_stun_check_integrity(&msg, text_span(short_term_password)), ==, 0);
    g_assert_cmpint(sp_stun_check_fingerprint(&msg), ==, 0);
    g_assert_true(sp_stun_get_xor_addr(&msg, SP_STUN_XOR_MAPPED_ADDRESS, 0, &got));
    g_assert_true(sp_endpoint_equal(&got, &ep));
}

static void
build_types(void)
{
    static const struct {
        enum sp_stun_class cls;
        uint16_t method;
        uint16_t type; /* RFC 8489 section 5, RFC 8656 section 17 */
    } cases[] = {
        { SP_STUN_REQUEST, SP_STUN_BINDING, 0x0001 },
        { SP_STUN_INDICATION, SP_STUN_BINDING, 0x0011 },
        { SP_STUN_SUCCESS, SP_STUN_BINDING, 0x0101 },
        { SP_STUN_ERROR, SP_STUN_BINDING, 0x0111 },
        { SP_STUN_REQUEST, SP_STUN_ALLOCATE, 0x0003 },
        { SP_STUN_ERROR, SP_STUN_ALLOCATE, 0x0113 },
        { SP_STUN_SUCCESS, SP_STUN_CHANNEL_BIND, 0x0109 },
        { SP_STUN_INDICATION, SP_STUN_DATA, 0x0017 },
        { SP_STUN_ERROR, 0x0ff, 0x03ff },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint8_t buf[SP_STUN_HEADER_LEN];
        struct sp_stun_builder b;
        struct sp_stun_msg msg;

        g_test_message("case %zu", i);
        b = sp_stun_build(buf, sizeof buf, cases[i].cls, cases[i].method, txid);
        g_assert_cmpint(sp_stun_finish(&b), ==, SP_STUN_HEADER_LEN);
        g_assert_cmphex(((unsigned)buf[0] << 8) | buf[1], ==, cases[i].type);
        parse_ok(buf, sizeof buf, &msg);
        g_assert_cmpint(msg.cls, ==, cases[i].cls);
        g_assert_cmpuint(msg.method, ==, cases[i].method);
    }
}

static void
build_allocate_round_trip(void)
{
    struct sp_endpoint relay4, relay6, got;
    uint8_t buf[512];
    struct sp_stun_builder b;
    struct sp_stun_msg msg;
    uint16_t types[4] = { 0x0017, 0x001a }, channel;
    struct sp_span value;
    uint32_t lifetime;
    int n;

    g_assert_cmpint(sp_endpoint_parse("198.51.100.7:50000", &relay4), ==, 0);
    g_assert_cmpint(sp_endpoint_parse("[2001:db8::7]:50001", &relay6), ==, 0);
    b = sp_stun_build(buf, sizeof buf, SP_STUN_SUCCESS, SP_STUN_ALLOCATE, txid);
    sp_stun_put_xor_addr(&b, SP_STUN_XOR_RELAYED_ADDRESS, &relay4);
    sp_stun_put_u32(&b, SP_STUN_LIFETIME, 600);
    sp_stun_put_xor_addr(&b, SP_STUN_XOR_RELAYED_ADDRESS, &relay6);
    sp_stun_put_transport(&b, 17);
    sp_stun_put_family(&b, SP_STUN_ADDITIONAL_ADDRESS_FAMILY, 6);
    sp_stun_put_channel(&b, 0x4abc);
    sp_stun_put_unknown(&b, types, 2);
    sp_stun_put_error(&b, 437, NULL);
    sp_stun_put_flag(&b, SP_STUN_USE_CANDIDATE);
    n = sp_stun_finish(&b);
    g_assert_cmpint(n, >, 0);

    parse_ok(buf, (size_t)n, &msg);
    g_assert_true(sp_stun_get_xor_addr(&msg, SP_STUN_XOR_RELAYED_ADDRESS, 0, &got));
    g_assert_true(sp_endpoint_equal(&got, &relay4));
    g_assert_true(sp_stun_get_xor_addr(&msg, SP_STUN_XOR_RELAYED_ADDRESS, 1, &got));
    g_assert_true(sp_endpoint_equal(&got, &relay6));
    g_assert_false(sp_stun_get_xor_addr(&msg, SP_STUN_XOR_RELAYED_ADDRESS, 2, &got));
    g_assert_true(sp_stun_get_u32(&msg, SP_STUN_LIFETIME, &lifetime));
    g_assert_cmpuint(lifetime, ==, 600);
    g_assert_true(sp_stun_get(&msg, SP_STUN_REQUESTED_TRANSPORT, &value));
    g_assert_cmpmem(value.p, (int)value.n, "\x11\0\0\0", 4);
    g_assert_cmpuint(sp_stun_get_family(&msg, SP_STUN_ADDITIONAL_ADDRESS_FAMILY), ==, 6);
    g_assert_cmpuint(sp_stun_get_family(&msg, SP_STUN_REQUESTED_ADDRESS_FAMILY), ==, 0);
    g_assert_true(sp_stun_get_channel(&msg, &channel));
    g_assert_cmphex(channel, ==, 0x4abc);
    memset(types, 0, sizeof types);
    g_assert_cmpuint(sp_stun_get_unknown(&msg, types, 4), ==, 2);
    g_assert_cmphex(types[1], ==, 0x001a);
    g_assert_cmpuint(sp_stun_get_unknown(&msg, types, 1), ==, 1);
    g_assert_cmpuint(sp_stun_get_error(&msg), ==, 437);
    g_assert_true(sp_stun_has(&msg, SP_STUN_USE_CANDIDATE));
}

/* A too small buffer is an error and nothing is written behind it. */
static void
build_overflow(void)
{
    for (size_t cap = 0; cap < 92; cap++) {
        uint8_t buf[100];
        struct sp_stun_builder b;

        memset(buf, 0xee, sizeof buf);
        b = sp_stun_build(buf, cap, SP_STUN_REQUEST, SP_STUN_BINDING, txid);
        sp_stun_put_string(&b, SP_STUN_USERNAME, "abcd:efgh");
        sp_stun_put_error(&b, 401, "x");
        sp_stun_put_integrity(&b, text_span("key"));
        sp_stun_put_fingerprint(&b);
        g_assert_cmpint(sp_stun_finish(&b), ==, cap < 80 ? SP_E_NOBUF : 80);
        for (size_t i = cap; i < sizeof buf; i++)
            g_assert_cmphex(buf[i], ==, 0xee);
    }
}

static void
parse_refuses(void)
{
    static const struct {
        const char *name;
        uint8_t attrs[48];
        size_t n;
        bool ok;
    } cases[] = {
        { "no attributes", { 0 }, 0, true },
        { "value longer than the message", { 0x80, 0x22, 0, 5, 1, 2, 3, 4 }, 8, false },
        { "half a header", { 0x80, 0x22 }, 2, false },
        { "unknown attribute", { 0x7f, 0xff, 0, 1, 9, 0, 0, 0 }, 8, true },
        { "short integrity", { 0, 8, 0, 4, 1, 2, 3, 4 }, 8, false },
        { "short fingerprint", { 0x80, 0x28, 0, 0 }, 4, false },
        { "after fingerprint", { 0x80, 0x28, 0, 4, 0, 0, 0, 0, 0x80, 0x22, 0, 0 }, 12, false },
        { "padding missing", { 0x80, 0x22, 0, 1, 9 }, 5, false },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint8_t buf[80] = { 0, 1, 0, (uint8_t)cases[i].n, 0x21, 0x12, 0xa4, 0x42 };
        struct sp_stun_msg msg = { .method = 77 };
        struct sp_span bytes = sp_span(buf, SP_STUN_HEADER_LEN + cases[i].n);

        g_test_message("case %zu: %s", i, cases[i].name);
        memcpy(buf + SP_STUN_HEADER_LEN, cases[i].attrs, cases[i].n);
        g_assert_cmpint(sp_stun_parse(bytes, &msg) == 0, ==, cases[i].ok);
        if (!cases[i].ok)
            g_assert_cmpuint(msg.method, ==, 77);
    }
}

static void
quick_check(void)
{
    uint8_t buf[SP_STUN_HEADER_LEN + 1] = { 0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42 };

    g_assert_true(sp_stun_is_stun(sp_span(buf, 20)));
    g_assert_false(sp_stun_is_stun(sp_span(buf, 19)));
    g_assert_false(sp_stun_is_stun(sp_span(buf, 21)));
    g_assert_false(sp_stun_is_stun(sp_span(NULL, 0)));
    buf[0] = 4;
    g_assert_false(sp_stun_is_stun(sp_span(buf, 20)));
    buf[0] = 0;
    buf[7] = 0x43;
    g_assert_false(sp_stun_is_stun(sp_span(buf, 20)));
}

/* An attribute smuggled in behind MESSAGE-INTEGRITY is not covered and must not be seen. */
static void
behind_integrity_is_invisible(void)
{
    uint8_t buf[128];
    struct sp_stun_builder b;
    struct sp_stun_msg msg;
    int n;

    b = sp_stun_build(buf, sizeof buf, SP_STUN_REQUEST, SP_STUN_BINDING, txid);
    sp_stun_put_integrity(&b, text_span("key"));
    sp_stun_put_flag(&b, SP_STUN_USE_CANDIDATE);
    n = sp_stun_finish(&b);
    parse_ok(buf, (size_t)n, &msg);
    g_assert_cmpint(sp_stun_check_integrity(&msg, text_span("key")), ==, 0);
    g_assert_false(sp_stun_has(&msg, SP_STUN_USE_CANDIDATE));
}

static void
wrong_lengths_are_absent(void)
{
    struct sp_endpoint ep;
    uint8_t buf[256];
    struct sp_stun_builder b;
    struct sp_stun_msg msg;
    uint32_t u32;
    uint64_t u64;
    char text[4];
    int n;

    b = sp_stun_build(buf, sizeof buf, SP_STUN_REQUEST, SP_STUN_BINDING, txid);
    sp_stun_put(&b, SP_STUN_PRIORITY, "12345", 5);
    sp_stun_put(&b, SP_STUN_ICE_CONTROLLED, "1234", 4);
    sp_stun_put(&b, SP_STUN_XOR_MAPPED_ADDRESS, "\0\1\0\0\0\0\0", 7);
    sp_stun_put(&b, SP_STUN_XOR_PEER_ADDRESS, "\0\3\0\0\0\0\0\0", 8);
    sp_stun_put(&b, SP_STUN_ERROR_CODE, "\0\0\7", 3);
    sp_stun_put(&b, SP_STUN_USERNAME, "a\0b", 3);
    sp_stun_put(&b, SP_STUN_REALM, "abcd", 4);
    sp_stun_put(&b, SP_STUN_LIFETIME, "", 0);
    n = sp_stun_finish(&b);
    parse_ok(buf, (size_t)n, &msg);
    g_assert_false(sp_stun_get_u32(&msg, SP_STUN_PRIORITY, &u32));
    g_assert_false(sp_stun_get_u32(&msg, SP_STUN_LIFETIME, &u32));
    g_assert_false(sp_stun_get_u64(&msg, SP_STUN_ICE_CONTROLLED, &u64));
    g_assert_false(sp_stun_get_xor_addr(&msg, SP_STUN_XOR_MAPPED_ADDRESS, 0, &ep));
    g_assert_false(sp_stun_get_xor_addr(&msg, SP_STUN_XOR_PEER_ADDRESS, 0, &ep));
    g_assert_cmpuint(sp_stun_get_error(&msg), ==, 0);
    g_assert_false(sp_stun_get_string(&msg, SP_STUN_USERNAME, text, sizeof text));
    g_assert_false(sp_stun_get_string(&msg, SP_STUN_REALM, text, sizeof text));
}

/* Each flipped bit either stops the parse or breaks integrity or touches only the fingerprint. */
static void
every_bit_flip_is_noticed(void)
{
    for (size_t bit = 0; bit < 8 * sizeof rfc5769_request; bit++) {
        uint8_t copy[sizeof rfc5769_request];
        struct sp_stun_msg msg;

        memcpy(copy, rfc5769_request, sizeof copy);
        copy[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        if (sp_stun_parse(sp_span(copy, sizeof copy), &msg) < 0)
            continue;
        if (sp_stun_check_integrity(&msg, text_span(short_term_password)) < 0)
            continue;
        g_assert_cmpuint(bit / 8, >=, sizeof copy - 8);
        g_assert_cmpint(sp_stun_check_fingerprint(&msg), <, 0);
    }
}

static void
random_bytes_stay_inside(void)
{
    struct test_rng state;
    struct sp_rng rng = test_rng_init(&state, 5389);

    for (int round = 0; round < 20000; round++) {
        size_t n = SP_STUN_HEADER_LEN + 4 * sp_rng_below(&rng, 12);
        uint8_t *bytes = g_malloc(n); /* exact size, so a sanitizer sees one byte too many */
        struct sp_stun_msg msg;

        sp_rng_fill(&rng, bytes, n);
        bytes[0] &= 3;
        bytes[2] = 0;
        bytes[3] = (uint8_t)(n - SP_STUN_HEADER_LEN);
        memcpy(bytes + 4, rfc5769_request + 4, 4);
        for (size_t i = SP_STUN_HEADER_LEN; i + 4 <= n; i += 4 + 4 * sp_rng_below(&rng, 3)) {
            bytes[i] &= 0x80;
            bytes[i + 1] &= 0x3f;
            bytes[i + 2] = 0;
            bytes[i + 3] &= 0x0f;
        }
        if (sp_stun_parse(sp_span(bytes, n), &msg) == 0) {
            struct sp_span value;
            size_t cursor = 0;
            uint16_t type;

            while (sp_stun_next(&msg, &cursor, &type, &value))
                g_assert_true(value.p >= bytes && value.p + value.n <= bytes + n);
            (void)sp_stun_get_error(&msg);
            g_assert_cmpint(sp_stun_check_integrity(&msg, text_span("k")), <, 0);
        }
        g_free(bytes);
    }
}

static void
channel_data(void)
{
    static const struct {
        uint8_t bytes[6];
        size_t n;
        int want;
    } cases[] = {
        { { 0x40, 0x00, 0, 2, 7, 8 }, 6, 0 },
        { { 0x7f, 0xff, 0, 2, 7, 8 }, 6, 0 },
        { { 0x40, 0x00, 0, 0 }, 4, 0 },
        { { 0x40, 0x00, 0, 1, 7, 8 }, 6, SP_E_MALFORMED },
        { { 0x40, 0x00, 0, 3, 7, 8 }, 6, SP_E_MALFORMED },
        { { 0x3f, 0xff, 0, 2, 7, 8 }, 6, SP_E_MALFORMED },
        { { 0x80, 0x00, 0, 2, 7, 8 }, 6, SP_E_MALFORMED },
        { { 0x40, 0x00, 0 }, 3, SP_E_MALFORMED },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint16_t channel = 0;
        struct sp_span payload;
        uint8_t header[SP_CHANNEL_HEADER_LEN];

        g_test_message("case %zu", i);
        g_assert_cmpint(
            sp_channeldata_parse(sp_span(cases[i].bytes, cases[i].n), &channel, &payload),
            ==,
            cases[i].want);
        if (cases[i].want < 0)
            continue;
        g_assert_true(payload.p == cases[i].bytes + SP_CHANNEL_HEADER_LEN);
        sp_channeldata_write_header(header, channel, (uint16_t)payload.n);
        g_assert_cmpmem(header, sizeof header, cases[i].bytes, sizeof header);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/stun/rfc5769/request", vector_request);
    g_test_add_func("/stun/rfc5769/replies", vector_replies);
    g_test_add_func("/stun/rfc5769/long-term", vector_long_term);
    g_test_add_func("/stun/long-term-key", vector_long_term_key);
    g_test_add_func("/stun/build/reply", build_reply);
    g_test_add_func("/stun/build/types", build_types);
    g_test_add_func("/stun/build/allocate", build_allocate_round_trip);
    g_test_add_func("/stun/build/overflow", build_overflow);
    g_test_add_func("/stun/parse/refuses", parse_refuses);
    g_test_add_func("/stun/parse/quick-check", quick_check);
    g_test_add_func("/stun/parse/behind-integrity", behind_integrity_is_invisible);
    g_test_add_func("/stun/parse/wrong-lengths", wrong_lengths_are_absent);
    g_test_add_func("/stun/parse/bit-flips", every_bit_flip_is_noticed);
    g_test_add_func("/stun/parse/random", random_bytes_stay_inside);
    g_test_add_func("/stun/channel-data", channel_data);
    return g_test_run();
}
