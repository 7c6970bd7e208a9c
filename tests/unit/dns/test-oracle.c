/* SPDX-License-Identifier: Apache-2.0 */
/* NLnet Labs' ldns reads what we write, and we read what it writes. */
#include <glib.h>
#include <ldns/ldns.h>
#include <stdlib.h>

#include "engine/dns/message.h"
#include "tests/support/rng.h"

static const char *const rr_texts[] = {
    "www.example.com. 300 IN A 192.0.2.7",
    "www.example.com. 60 IN AAAA 2001:db8::7",
    "www.example.com. 3600 IN CNAME a.very.long.chain.example.net.",
    "example.com. 86400 IN MX 10 mail.example.com.",
    "example.com. 7200 IN NS ns1.example.com.",
    "example.com. 900 IN TXT \"v=spf1 -all\" \"second\"",
    "_sip._tcp.example.com. 30 IN SRV 1 2 5060 sip.example.com.",
    "example.com. 1 IN SOA ns1.example.com. root.example.com. 1 2 3 4 5",
    "7.2.0.192.in-addr.arpa. 5 IN PTR www.example.com.",
    "a\\.b\\032c.example.com. 0 IN A 192.0.2.8",
    "example.com. 4294967295 IN A 192.0.2.9",
};

static ldns_pkt *
random_packet(const struct sp_rng *rng)
{
    static const ldns_pkt_section sections[] = { LDNS_SECTION_ANSWER,
                                                 LDNS_SECTION_AUTHORITY,
                                                 LDNS_SECTION_ADDITIONAL };
    ldns_rdf *owner = ldns_dname_new_frm_str("WWW.Example.com.");
    ldns_pkt *pkt = ldns_pkt_query_new(owner, LDNS_RR_TYPE_A, LDNS_RR_CLASS_IN, LDNS_RD);

    ldns_pkt_set_id(pkt, (uint16_t)sp_rng_u32(rng));
    ldns_pkt_set_qr(pkt, true);
    ldns_pkt_set_ra(pkt, true);
    ldns_pkt_set_rcode(pkt, (uint8_t)sp_rng_below(rng, 6));
    for (uint32_t i = sp_rng_below(rng, 12); i > 0; i--) {
        ldns_rr *rr;

        g_assert_cmpint(ldns_rr_new_frm_str(&rr,
                                            rr_texts[sp_rng_below(rng, G_N_ELEMENTS(rr_texts))],
                                            0,
                                            NULL,
                                            NULL),
                        ==,
                        LDNS_STATUS_OK);
        ldns_pkt_push_rr(pkt, sections[sp_rng_below(rng, 3)], rr);
    }
    return pkt;
}

static void
same_name(const struct sp_dns_name *ours, const ldns_rdf *theirs)
{
    struct sp_dns_name name = { .len = (uint8_t)ldns_rdf_size(theirs) };

    memcpy(name.wire, ldns_rdf_data(theirs), ldns_rdf_size(theirs));
    g_assert_true(sp_dns_name_equal(ours, &name));
}

static void
same_record(struct sp_span msg, const struct sp_dns_rr *ours, const ldns_rr *theirs)
{
    struct sp_dns_name target;
    struct sp_ip ip;
    uint32_t ttl = ldns_rr_ttl(theirs);

    same_name(&ours->name, ldns_rr_owner(theirs));
    g_assert_cmpuint(ours->type, ==, ldns_rr_get_type(theirs));
    g_assert_cmpuint(ours->class, ==, ldns_rr_get_class(theirs));
    g_assert_cmpuint(ours->ttl, ==, ttl > INT32_MAX ? 0 : ttl);
    if (sp_dns_rr_target(msg, ours, &target) == 0)
        same_name(&target, ldns_rr_rdf(theirs, ldns_rr_rd_count(theirs) - 1));
    if (sp_dns_rr_ip(ours, &ip) == 0)
        g_assert_cmpmem(ip.b,
                        (int)sp_ip_size(&ip),
                        ldns_rdf_data(ldns_rr_rdf(theirs, 0)),
                        (int)ldns_rdf_size(ldns_rr_rdf(theirs, 0)));
}

static void
we_read_ldns(void)
{
    struct test_rng state;
    struct sp_rng rng = test_rng_init(&state, 22);
    size_t records = 0;

    for (int i = 0; i < 2000; i++) {
        ldns_pkt *pkt = random_packet(&rng);
        struct sp_dns_response resp;
        struct sp_dns_walk walk;
        struct sp_dns_rr rr;
        uint8_t *wire = NULL;
        size_t n = 0;

        g_assert_cmpint(ldns_pkt2wire(&wire, pkt, &n), ==, LDNS_STATUS_OK);
        g_assert_cmpint(sp_dns_response_parse(sp_span(wire, n), &resp), ==, 0);
        g_assert_cmpuint(resp.id, ==, ldns_pkt_id(pkt));
        g_assert_cmpuint(resp.rcode, ==, ldns_pkt_get_rcode(pkt));
        same_name(&resp.name, ldns_rr_owner(ldns_rr_list_rr(ldns_pkt_question(pkt), 0)));
        walk = sp_dns_walk(sp_span(wire, n), &resp);
        while (sp_dns_walk_next(&walk, &rr) > 0) {
            ldns_rr_list *list = rr.section == SP_DNS_SECTION_ANSWER ? ldns_pkt_answer(pkt)
                                 : rr.section == SP_DNS_SECTION_AUTHORITY
                                     ? ldns_pkt_authority(pkt)
                                     : ldns_pkt_additional(pkt);
            size_t total = ldns_rr_list_rr_count(list);

            same_record(sp_span(wire, n),
                        &rr,
                        ldns_rr_list_rr(list, total - walk.left[rr.section] - 1));
            records++;
        }
        free(wire);
        ldns_pkt_free(pkt);
    }
    g_assert_cmpuint(records, >, 5000);
}

static void
ldns_reads_us(void)
{
    struct test_rng state;
    struct sp_rng rng = test_rng_init(&state, 23);

    for (int i = 0; i < 2000; i++) {
        struct sp_dns_query q = { .id = (uint16_t)i,
                                  .rd = i & 1,
                                  .qtype = SP_DNS_TYPE_A,
                                  .qclass = SP_DNS_CLASS_IN };
        struct sp_dns_reply reply;
        uint32_t answers = sp_rng_below(&rng, 9);
        uint8_t buf[1500];
        ldns_pkt *pkt;
        int n;

        g_assert_cmpint(sp_dns_name_parse("Some.Name\\.x.EXAMPLE.com", &q.name), ==, 0);
        reply = sp_dns_reply(&q, SP_DNS_RCODE_NOERROR, buf, sizeof buf);
        for (uint32_t k = 0; k < answers; k++) {
            struct sp_ip ip = sp_ip4(100, 96, 0, (uint8_t)sp_rng_u32(&rng));

            if (k % 3 == 2)
                sp_dns_reply_ptr(&reply, &q.name, k, &q.name);
            else
                sp_dns_reply_ip(&reply, &q.name, k, &ip);
        }
        n = sp_dns_reply_finish(&reply);
        g_assert_cmpint(n, >, 0);
        g_assert_cmpint(ldns_wire2pkt(&pkt, buf, (size_t)n), ==, LDNS_STATUS_OK);
        g_assert_true(ldns_pkt_qr(pkt));
        g_assert_false(ldns_pkt_aa(pkt));
        g_assert_false(ldns_pkt_ra(pkt));
        g_assert_cmpint(ldns_pkt_rd(pkt), ==, i & 1);
        g_assert_cmpuint(ldns_pkt_ancount(pkt), ==, answers);
        for (uint32_t k = 0; k < answers; k++) {
            ldns_rr *rr = ldns_rr_list_rr(ldns_pkt_answer(pkt), k);

            g_assert_cmpuint(ldns_rr_ttl(rr), ==, k);
            same_name(&q.name, ldns_rr_owner(rr));
        }
        ldns_pkt_free(pkt);
    }
}

/* Damaged messages: whatever we accept, ldns must accept too, unless it objects to what we do not
 * look into (record data) or to its own limits. */
static void
no_laxer_on_queries(void)
{
    struct test_rng state;
    struct sp_rng rng = test_rng_init(&state, 24);
    unsigned accepted = 0;

    for (int i = 0; i < 20000; i++) {
        struct sp_dns_query q = { .id = 7, .qtype = SP_DNS_TYPE_A, .qclass = SP_DNS_CLASS_IN };
        struct sp_dns_query got;
        uint8_t buf[128];
        ldns_pkt *pkt = NULL;
        int n;

        g_assert_cmpint(sp_dns_name_parse("ab.cde.f", &q.name), ==, 0);
        n = sp_dns_query_build(&q, buf, sizeof buf);
        g_assert_cmpint(n, >, 0);
        for (uint32_t k = 1 + sp_rng_below(&rng, 2); k > 0; k--)
            buf[12 + sp_rng_below(&rng, (uint32_t)n - 12)] = (uint8_t)sp_rng_u32(&rng);
        if (sp_dns_query_parse(sp_span(buf, n), &got) == 0) {
            accepted++;
            g_assert_cmpint(ldns_wire2pkt(&pkt, buf, (size_t)n), ==, LDNS_STATUS_OK);
            same_name(&got.name, ldns_rr_owner(ldns_rr_list_rr(ldns_pkt_question(pkt), 0)));
            ldns_pkt_free(pkt);
        }
    }
    g_assert_cmpuint(accepted, >, 1000);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/dns/oracle/we-read-ldns", we_read_ldns);
    g_test_add_func("/dns/oracle/ldns-reads-us", ldns_reads_us);
    g_test_add_func("/dns/oracle/no-laxer-on-queries", no_laxer_on_queries);
    return g_test_run();
}
