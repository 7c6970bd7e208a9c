/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>

#include "engine/dns/message.h"

/* A query for Example.COM IN A, id 0x1234, RD, with an EDNS record behind it. */
static const uint8_t query_a[] = {
    0x12, 0x34, 1,   0,   0, 1, 0, 0, 0, 0, 0, 1,  7, 'E',  'x', 'a', 'm', 'p', 'l', 'e',
    3,    'C',  'O', 'M', 0, 0, 1, 0, 1, 0, 0, 41, 4, 0xd0, 0,   0,   0,   0,   0,   0,
};
#define QUESTION_END 29

static struct sp_dns_query
parsed(void)
{
    struct sp_dns_query q;

    g_assert_cmpint(sp_dns_query_parse(sp_span(query_a, sizeof query_a), &q), ==, 0);
    return q;
}

static void
accepts_query(void)
{
    struct sp_dns_query q = parsed();
    uint8_t buf[64];

    g_assert_cmpuint(q.id, ==, 0x1234);
    g_assert_cmpuint(q.opcode, ==, 0);
    g_assert_true(q.rd);
    g_assert_cmpuint(q.qtype, ==, SP_DNS_TYPE_A);
    g_assert_cmpuint(q.qclass, ==, SP_DNS_CLASS_IN);
    g_assert_cmpint(sp_dns_query_build(&q, buf, sizeof buf), ==, QUESTION_END);
    g_assert_cmpmem(buf + 12, QUESTION_END - 12, query_a + 12, QUESTION_END - 12);
}

static void
refuses_query(void)
{
    static const struct {
        int row;
        size_t at; /* byte to change */
        uint8_t value;
        int want;
    } rows[] = {
        { 1, 2, 0x81, SP_E_UNSUPPORTED }, /* QR */
        { 2, 5, 0, SP_E_MALFORMED },      /* no question */
        { 3, 5, 2, SP_E_MALFORMED },      /* two */
        { 4, 12, 0xc0, SP_E_MALFORMED },  /* compressed into the header */
        { 5, 12, 60, SP_E_MALFORMED },    /* label beyond the end */
    };
    uint8_t msg[sizeof query_a];
    struct sp_dns_query q;

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        memcpy(msg, query_a, sizeof msg);
        msg[rows[i].at] = rows[i].value;
        g_test_message("row %d", rows[i].row);
        g_assert_cmpint(sp_dns_query_parse(sp_span(msg, sizeof msg), &q), ==, rows[i].want);
    }
    for (size_t n = 0; n < QUESTION_END; n++)
        g_assert_cmpint(sp_dns_query_parse(sp_span(query_a, n), &q), ==, SP_E_MALFORMED);
}

static void
builds_reply(void)
{
    static const uint8_t want[] = {
        0x12, 0x34, 0x81, 0,   0,   1, 0, 1, 0, 0, 0, 0,   7,   'E', 'x', 'a', 'm', 'p', 'l',
        'e',  3,    'C',  'O', 'M', 0, 0, 1, 0, 1, 7, 'E', 'x', 'a', 'm', 'p', 'l', 'e', 3,
        'C',  'O',  'M',  0,   0,   1, 0, 1, 0, 0, 0, 1,   0,   4,   100, 96,  0,   1,
    };
    struct sp_dns_query q = parsed();
    struct sp_ip ip = sp_ip4(100, 96, 0, 1);
    struct sp_dns_response resp;
    uint8_t buf[128];
    struct sp_dns_reply reply = sp_dns_reply(&q, SP_DNS_RCODE_NOERROR, buf, sizeof buf);
    int n;

    sp_dns_reply_ip(&reply, &q.name, 1, &ip);
    n = sp_dns_reply_finish(&reply);
    g_assert_cmpmem(buf, n, want, sizeof want);
    g_assert_cmpint(sp_dns_response_parse(sp_span(buf, n), &resp), ==, 0);
    g_assert_true(sp_dns_response_answers(&resp, &q));

    for (size_t cap = 0; cap < sizeof want; cap++) {
        reply = sp_dns_reply(&q, SP_DNS_RCODE_NOERROR, buf, cap);
        sp_dns_reply_ip(&reply, &q.name, 1, &ip);
        g_assert_cmpint(sp_dns_reply_finish(&reply), ==, SP_E_NOBUF);
    }
}

static void
empty_replies_keep_opcode(void)
{
    struct sp_dns_query q = parsed();
    uint8_t buf[SP_DNS_EMPTY_MAX];

    q.opcode = 5;
    q.rd = false;
    g_assert_cmpint(sp_dns_reply_empty(&q, SP_DNS_RCODE_NXDOMAIN, buf, sizeof buf),
                    ==,
                    QUESTION_END);
    g_assert_cmphex(sp_get_be16(buf + 2), ==, 0xa803);
    g_assert_cmphex(sp_get_be16(buf + 6), ==, 0);
}

/* An answer with a CNAME, two A records, an SOA-like authority record and OPT. */
static size_t
build_answer(uint8_t *buf, size_t cap)
{
    struct sp_dns_query q = parsed();
    struct sp_dns_reply reply = sp_dns_reply(&q, SP_DNS_RCODE_NOERROR, buf, cap);
    struct sp_ip ip = sp_ip4(192, 0, 2, 1);
    static const uint8_t opt[] = { 0, 0, 41, 4, 0xd0, 0, 0, 0x80, 0, 0, 0 };
    static const uint8_t cname[] = { 0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 3, 0, 4, 1, 'w', 0xc0, 12 };

    sp_wr_bytes(&reply.w, cname, sizeof cname);
    reply.n_answer++;
    sp_dns_reply_ip(&reply, &q.name, 300, &ip);
    sp_dns_reply_ip(&reply, &q.name, 120, &ip);
    sp_wr_bytes(&reply.w, opt, sizeof opt);
    g_assert_cmpint(sp_dns_reply_finish(&reply), >, 0);
    sp_put_be16(buf + 10, 1);
    return sp_wr_len(&reply.w);
}

static void
walks_records(void)
{
    static const struct {
        enum sp_dns_section section;
        uint16_t type;
        uint32_t ttl;
    } want[] = {
        { SP_DNS_SECTION_ANSWER, SP_DNS_TYPE_CNAME, 3 },
        { SP_DNS_SECTION_ANSWER, SP_DNS_TYPE_A, 300 },
        { SP_DNS_SECTION_ANSWER, SP_DNS_TYPE_A, 120 },
        { SP_DNS_SECTION_ADDITIONAL, SP_DNS_TYPE_OPT, 0x8000 },
    };
    uint8_t buf[256];
    size_t n = build_answer(buf, sizeof buf);
    struct sp_span msg = sp_span(buf, n);
    struct sp_dns_response resp;
    struct sp_dns_walk walk;
    struct sp_dns_rr rr;
    struct sp_dns_name target;
    char text[SP_DNS_TEXT_MAX];
    uint32_t ttl;
    struct sp_ip ip;

    g_assert_cmpint(sp_dns_response_parse(msg, &resp), ==, 0);
    walk = sp_dns_walk(msg, &resp);
    for (size_t i = 0; i < G_N_ELEMENTS(want); i++) {
        g_assert_cmpint(sp_dns_walk_next(&walk, &rr), ==, 1);
        g_assert_cmpint(rr.section, ==, want[i].section);
        g_assert_cmpuint(rr.type, ==, want[i].type);
        g_assert_cmpuint(rr.ttl, ==, want[i].ttl);
        g_assert_cmpint(sp_dns_rr_ip(&rr, &ip), ==, rr.type == SP_DNS_TYPE_A ? 0 : SP_E_NOTFOUND);
        if (i == 0) {
            g_assert_cmpint(sp_dns_rr_target(msg, &rr, &target), ==, 0);
            g_assert_cmpstr(sp_dns_name_format(&target, text), ==, "w.example.com");
        }
    }
    g_assert_cmpint(sp_dns_walk_next(&walk, &rr), ==, 0);
    g_assert_cmpint(sp_dns_min_ttl(msg, &resp, SP_DNS_TYPE_A, &ttl), ==, 0);
    g_assert_cmpuint(ttl, ==, 120);
    g_assert_cmpint(sp_dns_min_ttl(msg, &resp, SP_DNS_TYPE_AAAA, &ttl), ==, SP_E_NOTFOUND);
}

static void
ages_all_but_opt(void)
{
    uint8_t buf[256];
    size_t n = build_answer(buf, sizeof buf);
    struct sp_dns_response resp;
    struct sp_dns_walk walk;
    struct sp_dns_rr rr;
    static const uint32_t want[] = { 0, 290, 110, 0x8000 };

    g_assert_cmpint(sp_dns_age(buf, n, 10), ==, 0);
    g_assert_cmpint(sp_dns_response_parse(sp_span(buf, n), &resp), ==, 0);
    walk = sp_dns_walk(sp_span(buf, n), &resp);
    for (size_t i = 0; i < G_N_ELEMENTS(want); i++) {
        g_assert_cmpint(sp_dns_walk_next(&walk, &rr), ==, 1);
        g_assert_cmpuint(rr.ttl, ==, want[i]);
    }
}

static void
refuses_cut_answers(void)
{
    uint8_t buf[256];
    size_t n = build_answer(buf, sizeof buf);
    struct sp_dns_response resp;

    for (size_t i = 0; i < n; i++)
        g_assert_cmpint(sp_dns_response_parse(sp_span(buf, i), &resp), ==, SP_E_MALFORMED);
    g_assert_cmpint(sp_dns_response_parse(sp_span(query_a, sizeof query_a), &resp),
                    ==,
                    SP_E_UNSUPPORTED);
}

static void
wrong_answers(void)
{
    struct sp_dns_query q = parsed(), other = q;
    struct sp_dns_response resp;
    uint8_t buf[SP_DNS_EMPTY_MAX];
    int n = sp_dns_reply_empty(&q, SP_DNS_RCODE_NOERROR, buf, sizeof buf);

    g_assert_cmpint(sp_dns_response_parse(sp_span(buf, n), &resp), ==, 0);
    g_assert_true(sp_dns_response_answers(&resp, &q));
    other.id++;
    g_assert_false(sp_dns_response_answers(&resp, &other));
    other = q;
    other.qtype = 28;
    g_assert_false(sp_dns_response_answers(&resp, &other));
    other = q;
    other.name.wire[1] = 'e'; /* letter case does not matter */
    g_assert_true(sp_dns_response_answers(&resp, &other));
    other.name.wire[1] = 'x';
    g_assert_false(sp_dns_response_answers(&resp, &other));
    /* without question: only as an error */
    sp_put_be16(buf + 4, 0);
    g_assert_cmpint(sp_dns_response_parse(sp_span(buf, 12), &resp), ==, 0);
    g_assert_false(sp_dns_response_answers(&resp, &q));
    buf[3] |= SP_DNS_RCODE_REFUSED;
    g_assert_cmpint(sp_dns_response_parse(sp_span(buf, 12), &resp), ==, 0);
    g_assert_true(sp_dns_response_answers(&resp, &q));
}

static void
truncates_over_udp(void)
{
    /* 29 bytes of start, 27 for each answer: 43 make 1190 bytes, 44 make 1217 */
    static const struct {
        int answers;
        bool cut;
    } rows[] = { { 0, false }, { 43, false }, { 44, true } };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct sp_dns_query q = parsed();
        struct sp_ip ip = sp_ip4(192, 0, 2, 1);
        uint8_t buf[4096];
        struct sp_dns_reply reply = sp_dns_reply(&q, SP_DNS_RCODE_NOERROR, buf, sizeof buf);
        struct sp_dns_response resp;
        size_t n;

        for (int k = 0; k < rows[i].answers; k++)
            sp_dns_reply_ip(&reply, &q.name, 1, &ip);
        g_assert_cmpint(sp_dns_reply_finish(&reply), >, 0);
        n = sp_dns_truncate(buf, sp_wr_len(&reply.w));
        g_assert_cmpint(n == QUESTION_END, ==, rows[i].cut || rows[i].answers == 0);
        g_assert_cmpint(sp_dns_response_parse(sp_span(buf, n), &resp), ==, 0);
        g_assert_cmpint(resp.truncated, ==, rows[i].cut);
        g_assert_cmpuint(resp.n_answer, ==, rows[i].cut ? 0 : rows[i].answers);
    }
}

static void
truncation_boundary(void)
{
    uint8_t buf[SP_DNS_UDP_MAX + 1] = { 0 };

    memcpy(buf, query_a, QUESTION_END);
    g_assert_cmpuint(sp_dns_truncate(buf, SP_DNS_UDP_MAX), ==, SP_DNS_UDP_MAX);
    g_assert_cmphex(buf[2] & 2, ==, 0);
    g_assert_cmpuint(sp_dns_truncate(buf, SP_DNS_UDP_MAX + 1), ==, QUESTION_END);
    g_assert_cmphex(buf[2] & 2, ==, 2);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/dns/message/accepts-query", accepts_query);
    g_test_add_func("/dns/message/refuses-query", refuses_query);
    g_test_add_func("/dns/message/builds-reply", builds_reply);
    g_test_add_func("/dns/message/empty-replies", empty_replies_keep_opcode);
    g_test_add_func("/dns/message/walks-records", walks_records);
    g_test_add_func("/dns/message/ages", ages_all_but_opt);
    g_test_add_func("/dns/message/refuses-cut", refuses_cut_answers);
    g_test_add_func("/dns/message/wrong-answers", wrong_answers);
    g_test_add_func("/dns/message/truncates", truncates_over_udp);
    g_test_add_func("/dns/message/truncation-boundary", truncation_boundary);
    return g_test_run();
}
