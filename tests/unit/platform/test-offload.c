/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>
#include <string.h>

#include "app/platform/offload.h"
#include "app/platform/tun.h"
#include "engine/base/err.h"
#include "engine/base/rd.h"
#include "engine/base/wr.h"
#include "tests/support/rng.h"

#define ALL (SP_TUN_CSUM | SP_TUN_TSO4 | SP_TUN_TSO6 | SP_TUN_USO4 | SP_TUN_USO6)

/* A packet to build; the naive twin of what the product does with cursors and partial sums. */
struct spec {
    uint8_t version, proto, flags, tos, ttl, options;
    uint8_t flow;
    uint32_t seq, ack;
    uint16_t id;
    size_t payload;
    bool bad_csum;
    bool bad_ip_csum;
};

static uint16_t
naive_csum(const uint8_t *pseudo, size_t np, const uint8_t *p, size_t n)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < np; i++)
        sum += (uint32_t)pseudo[i] << (i % 2 ? 0 : 8);
    for (size_t i = 0; i < n; i++)
        sum += (uint32_t)p[i] << (i % 2 ? 0 : 8);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static uint16_t
l4_csum(const uint8_t *ip, size_t ip_len, uint8_t proto, const uint8_t *l4, size_t n)
{
    uint8_t pseudo[40] = { 0 };

    if (ip_len == 40) {
        memcpy(pseudo, ip + 8, 32);
        sp_put_be32(pseudo + 32, (uint32_t)n);
        pseudo[39] = proto;
        return naive_csum(pseudo, 40, l4, n);
    }
    memcpy(pseudo, ip + 12, 8);
    pseudo[9] = proto;
    sp_put_be16(pseudo + 10, (uint16_t)n);
    return naive_csum(pseudo, 12, l4, n);
}

static size_t
build(const struct spec *s, uint8_t *out)
{
    size_t ip_len = s->version == 4 ? 20 : 40;
    size_t l4_len = s->proto == 6 ? 20u + s->options : 8;
    size_t n = ip_len + l4_len + s->payload;
    uint8_t *l4 = out + ip_len;
    uint16_t sum;

    memset(out, 0, n);
    if (s->version == 4) {
        out[0] = 0x45;
        out[1] = s->tos;
        sp_put_be16(out + 2, (uint16_t)n);
        sp_put_be16(out + 4, s->id);
        out[6] = 0x40;
        out[8] = s->ttl;
        out[9] = s->proto;
        sp_put_be32(out + 12, 0x0a000001);
        sp_put_be32(out + 16, 0x0a000002);
        sp_put_be16(out + 10, (uint16_t)(naive_csum(NULL, 0, out, 20) ^ (s->bad_ip_csum ? 1 : 0)));
    } else {
        sp_put_be32(out, 0x60000000u | (uint32_t)s->tos << 20);
        sp_put_be16(out + 4, (uint16_t)(n - 40));
        out[6] = s->proto;
        out[7] = s->ttl;
        out[8] = out[24] = 0xfd;
        out[23] = 1;
        out[39] = 2;
    }
    sp_put_be16(l4, (uint16_t)(1000 + s->flow));
    sp_put_be16(l4 + 2, 443);
    for (size_t i = 0; i < s->payload; i++)
        l4[l4_len + i] = (uint8_t)(s->seq + i);
    if (s->proto == 6) {
        sp_put_be32(l4 + 4, s->seq);
        sp_put_be32(l4 + 8, s->ack);
        l4[12] = (uint8_t)(l4_len / 4 << 4);
        l4[13] = s->flags;
        sp_put_be16(l4 + 14, 500);
        memset(l4 + 20, 1, s->options);
        sum = l4_csum(out, ip_len, 6, l4, n - ip_len);
        sp_put_be16(l4 + 16, (uint16_t)(sum ^ (s->bad_csum ? 1 : 0)));
    } else {
        sp_put_be16(l4 + 4, (uint16_t)(n - ip_len));
        sum = l4_csum(out, ip_len, 17, l4, n - ip_len);
        sum = sum ? sum : 0xffff;
        sp_put_be16(l4 + 6, (uint16_t)(sum ^ (s->bad_csum ? 1 : 0)));
    }
    return n;
}

static void
test_csum(void)
{
    struct test_rng state;
    struct sp_rng rng = test_rng_init(&state, 7);
    uint8_t buf[2000];

    for (int i = 0; i < 2000; i++) {
        size_t n = sp_rng_below(&rng, sizeof buf);

        sp_rng_fill(&rng, buf, n);
        g_assert_cmpuint((uint16_t)~sp_csum_fold(sp_csum_add(0, buf, n)),
                         ==,
                         naive_csum(NULL, 0, buf, n));
    }
    memset(buf, 0xff, sizeof buf);
    g_assert_cmpuint(sp_csum_fold(sp_csum_add(0, buf, sizeof buf)), ==, 0xffff);
    g_assert_cmpuint(sp_csum_fold(0), ==, 0);
}

static void
test_csum_completion(void)
{
    static const struct spec cases[] = {
        { .version = 4, .proto = 6, .flags = 0x10, .ttl = 64, .payload = 0 },
        { .version = 4, .proto = 17, .ttl = 64, .payload = 31 },
        { .version = 6, .proto = 6, .flags = 0x18, .ttl = 64, .payload = 1200 },
        { .version = 6, .proto = 17, .ttl = 64, .payload = 1 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct sp_pkt_pool pool;
        struct sp_pkt_queue out = { .max = 4 };
        struct sp_vnet_hdr hdr = { .flags = SP_VNET_NEEDS_CSUM };
        uint8_t want[1500], got[1500];
        size_t n = build(&cases[i], want);
        struct sp_pkt *pkt;

        sp_pkt_pool_init(&pool, 4);
        memcpy(got, want, n);
        hdr.csum_start = cases[i].version == 4 ? 20 : 40;
        hdr.csum_offset = cases[i].proto == 6 ? 16 : 6;
        sp_put_be16(got + hdr.csum_start + hdr.csum_offset,
                    sp_csum_fold(sp_offload_pseudo(got, cases[i].proto, n - hdr.csum_start)));
        g_assert_cmpint(sp_split(&hdr, got, n, &pool, &out), ==, 1);
        pkt = sp_pkt_queue_pop(&out);
        g_assert_cmpmem(sp_pkt_data(pkt), pkt->len, want, (int)n);
        sp_pkt_free(pkt);
        hdr.csum_start = (uint16_t)(n - 1);
        g_assert_cmpint(sp_split(&hdr, got, n, &pool, &out), ==, SP_E_MALFORMED);
        sp_pkt_pool_done(&pool);
    }
}

static void
test_split_refuses(void)
{
    static const struct {
        struct sp_vnet_hdr hdr;
        struct spec s;
        int want;
    } cases[] = {
        { { .gso_type = 3, .gso_size = 100 }, { .version = 4, .proto = 17 }, SP_E_UNSUPPORTED },
        { { .gso_type = 0x81, .gso_size = 100 }, { .version = 4, .proto = 6 }, SP_E_UNSUPPORTED },
        { { .gso_type = 1, .gso_size = 0 }, { .version = 4, .proto = 6 }, SP_E_MALFORMED },
        { { .gso_type = 1, .gso_size = 100 }, { .version = 6, .proto = 6 }, SP_E_MALFORMED },
        { { .gso_type = 4, .gso_size = 100 }, { .version = 4, .proto = 6 }, SP_E_MALFORMED },
        { { .gso_type = 1, .gso_size = 100 }, { .version = 4, .proto = 17 }, SP_E_MALFORMED },
        { { .gso_type = 5, .gso_size = 100 }, { .version = 4, .proto = 6 }, SP_E_MALFORMED },
        { { .gso_type = 1, .gso_size = 1300 }, { .version = 4, .proto = 6 }, SP_E_MALFORMED },
        { { .gso_type = 1, .gso_size = 3 }, { .version = 4, .proto = 6 }, SP_E_MALFORMED },
        { { .gso_type = 0 }, { .version = 4, .proto = 6 }, SP_E_MALFORMED },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct sp_pkt_pool pool;
        struct sp_pkt_queue out = { .max = 600 };
        struct spec s = cases[i].s;
        uint8_t buf[1500];
        size_t n;

        sp_pkt_pool_init(&pool, 600);
        s.payload = 1300;
        n = build(&s, buf);
        g_test_message("case %zu", i);
        g_assert_cmpint(sp_split(&cases[i].hdr, buf, n, &pool, &out), ==, cases[i].want);
        g_assert_cmpuint(out.len, ==, 0);
        g_assert_cmpuint(pool.in_use, ==, 0);
        sp_pkt_pool_done(&pool);
    }
}

/* Split one big packet and check every segment against a packet built by hand. */
static void
test_split_segments(void)
{
    for (int k = 0; k < 4; k++) {
        struct spec s = { .version = k & 1 ? 6 : 4,
                          .proto = k & 2 ? 17 : 6,
                          .ttl = 9,
                          .id = 65535,
                          .flags = 0x19,
                          .seq = 0xfffffff0u,
                          .payload = 3050,
                          .options = 12 };
        struct sp_vnet_hdr hdr = { .gso_size = 1000, .hdr_len = 0xffff };
        struct sp_pkt_queue out = { .max = 10 };
        struct sp_pkt_pool pool;
        uint8_t buf[4000], want[1500];
        size_t n = build(&s, buf);

        sp_pkt_pool_init(&pool, 10);
        hdr.gso_type = s.proto == 17 ? 5 : s.version == 4 ? 1 : 4;
        g_assert_cmpint(sp_split(&hdr, buf, n, &pool, &out), ==, 4);
        for (unsigned i = 0; i < 4; i++) {
            struct sp_pkt *pkt = sp_pkt_queue_pop(&out);
            struct spec one = s;
            size_t m;

            one.seq = s.seq + i * 1000;
            one.id = (uint16_t)(s.id + i);
            one.payload = i < 3 ? 1000 : 50;
            one.flags = i < 3 ? 0x10 : 0x19;
            m = build(&one, want);
            g_assert_cmpmem(sp_pkt_data(pkt), pkt->len, want, (int)m);
            sp_pkt_free(pkt);
        }
        sp_pkt_pool_done(&pool);
    }
}

static size_t
flatten(const struct sp_coalesce_item *item, uint8_t *out)
{
    size_t n = 0;

    for (struct sp_pkt *pkt = item->head; pkt; pkt = pkt->next) {
        size_t skip = pkt == item->head ? 0 : item->hdr_len;

        memcpy(out + n, sp_pkt_data(pkt) + skip, pkt->len - skip);
        n += pkt->len - skip;
    }
    return n;
}

static void
free_item(struct sp_coalesce_item *item)
{
    while (item->head) {
        struct sp_pkt *next = item->head->next;

        sp_pkt_free(item->head);
        item->head = next;
    }
}

/* Identification is the one field that merging may change, and the header checksum with it. */
static void
blank_id(uint8_t *p)
{
    if (p[0] >> 4 == 4) {
        memset(p + 4, 0, 2);
        memset(p + 10, 0, 2);
    }
}

#define FLOWS 8

static void
random_spec(struct sp_rng *rng, struct spec *flows, struct spec *ret)
{
    struct spec *s = &flows[sp_rng_below(rng, FLOWS)];

    *ret = *s;
    ret->flags = sp_rng_below(rng, 20) == 0 ? (uint8_t)sp_rng_u32(rng) : 0x10;
    if (sp_rng_below(rng, 10) == 0)
        ret->flags = 0x18;
    if (sp_rng_below(rng, 8) == 0)
        ret->payload = sp_rng_below(rng, 1200);
    if (sp_rng_below(rng, 30) == 0)
        ret->seq += sp_rng_below(rng, 10);
    if (sp_rng_below(rng, 30) == 0)
        ret->ttl++;
    if (sp_rng_below(rng, 30) == 0)
        ret->tos ^= 1;
    if (sp_rng_below(rng, 30) == 0)
        ret->ack++;
    if (sp_rng_below(rng, 30) == 0)
        ret->options = 12;
    ret->bad_csum = sp_rng_below(rng, 30) == 0;
    ret->bad_ip_csum = sp_rng_below(rng, 30) == 0;
    s->seq = ret->seq + (uint32_t)ret->payload;
    s->id++;
}

static unsigned
flow_of(const uint8_t *p)
{
    return sp_get_be16(p + (p[0] >> 4 == 4 ? 20 : 40)) - 1000u;
}

static void
round_trip(uint64_t seed, unsigned *ret_merged)
{
    static struct sp_coalescer c;
    static uint8_t in[SP_COALESCE_BATCH][1500], flat[70000];
    size_t len[SP_COALESCE_BATCH], next[FLOWS] = { 0 }, n_in = 0, n_out = 0;
    struct spec flows[FLOWS];
    struct test_rng state;
    struct sp_rng rng = test_rng_init(&state, seed);
    struct sp_pkt_pool pool;

    sp_pkt_pool_init(&pool, 2 * SP_COALESCE_BATCH);
    for (uint8_t i = 0; i < FLOWS; i++)
        flows[i] = (struct spec){ .version = i & 1 ? 6 : 4,
                                  .proto = i & 2 ? 17 : 6,
                                  .ttl = 64,
                                  .flow = i,
                                  .seq = sp_rng_u32(&rng),
                                  .payload = 500u + i };
    sp_coalesce_begin(&c, ALL);
    for (; n_in < SP_COALESCE_BATCH; n_in++) {
        struct spec s;

        random_spec(&rng, flows, &s);
        len[n_in] = build(&s, in[n_in]);
        sp_coalesce_push(&c, sp_pkt_from_bytes(&pool, in[n_in], len[n_in]));
    }
    sp_coalesce_finish(&c);
    for (size_t i = 0; i < c.len; i++) {
        struct sp_pkt_queue out = { .max = SP_COALESCE_BATCH };
        size_t n = flatten(&c.items[i], flat);
        unsigned count = c.items[i].count;
        struct sp_pkt *pkt;

        g_assert_cmpuint(n, ==, c.items[i].total);
        g_assert_cmpint(sp_split(&c.items[i].hdr, flat, n, &pool, &out), ==, count);
        free_item(&c.items[i]);
        *ret_merged += count > 1;
        while ((pkt = sp_pkt_queue_pop(&out))) {
            unsigned f = flow_of(sp_pkt_data(pkt));
            size_t *j = &next[f];

            /* the next packet of that flow, in the order they were pushed */
            while (flow_of(in[*j]) != f)
                (*j)++;
            if (count > 1) {
                blank_id(sp_pkt_data(pkt));
                blank_id(in[*j]);
            }
            g_assert_cmpmem(sp_pkt_data(pkt), pkt->len, in[*j], (int)len[*j]);
            (*j)++;
            n_out++;
            sp_pkt_free(pkt);
        }
    }
    g_assert_cmpuint(n_out, ==, n_in);
    sp_pkt_pool_done(&pool);
}

static void
test_round_trip(void)
{
    unsigned merged = 0;

    for (uint64_t seed = 1; seed <= 200; seed++) {
        g_test_message("seed %" G_GUINT64_FORMAT, seed);
        round_trip(seed, &merged);
    }
    g_assert_cmpuint(merged, >, 1000);
}

/* One pair of packets and whether they become one. */
static void
test_merge_rules(void)
{
    static const struct spec tcp = { .version = 4,
                                     .proto = 6,
                                     .flags = 0x10,
                                     .ttl = 64,
                                     .seq = 100,
                                     .payload = 50 };
    static const struct spec udp = { .version = 6, .proto = 17, .ttl = 64, .payload = 50 };
    const struct {
        const char *what;
        const struct spec *base;
        struct spec delta; /* xored or added onto the second packet's spec */
        unsigned offloads;
        bool first_psh;
        bool merges;
    } cases[] = {
        { "tcp", &tcp, { 0 }, ALL, false, true },
        { "tcp without the grant", &tcp, { 0 }, SP_TUN_CSUM | SP_TUN_TSO6, false, false },
        { "udp", &udp, { 0 }, ALL, false, true },
        { "udp without the grant", &udp, { 0 }, 0x07, false, false },
        { "gap", &tcp, { .seq = 1 }, ALL, false, false },
        { "ack", &tcp, { .ack = 1 }, ALL, false, false },
        { "tos", &tcp, { .tos = 1 }, ALL, false, false },
        { "class", &udp, { .tos = 1 }, ALL, false, false },
        { "ttl", &udp, { .ttl = 1 }, ALL, false, false },
        { "options", &tcp, { .options = 4 }, ALL, false, false },
        { "second psh", &tcp, { .flags = 0x08 }, ALL, false, true },
        { "first psh", &tcp, { 0 }, ALL, true, false },
        { "fin", &tcp, { .flags = 0x01 }, ALL, false, false },
        { "cwr", &tcp, { .flags = 0x80 }, ALL, false, false },
        { "longer", &tcp, { .payload = 1 }, ALL, false, false },
        { "other flow", &tcp, { .flow = 1 }, ALL, false, false },
        { "bad checksum", &tcp, { .bad_csum = true }, ALL, false, false },
        { "bad header checksum", &tcp, { .bad_ip_csum = true }, ALL, false, false },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        static struct sp_coalescer c;
        struct sp_pkt_pool pool;
        struct spec a = *cases[i].base, b = a;
        const struct spec *d = &cases[i].delta;
        uint8_t buf[1500];
        size_t n;

        g_test_message("%s", cases[i].what);
        sp_pkt_pool_init(&pool, 2);
        if (cases[i].first_psh)
            a.flags |= 0x08;
        b.seq += 50 + d->seq;
        b.ack += d->ack;
        b.tos ^= d->tos;
        b.ttl ^= d->ttl;
        b.options = d->options;
        b.flags |= d->flags;
        b.payload += d->payload;
        b.flow = d->flow;
        b.bad_csum = d->bad_csum;
        b.bad_ip_csum = d->bad_ip_csum;
        sp_coalesce_begin(&c, cases[i].offloads);
        n = build(&a, buf);
        sp_coalesce_push(&c, sp_pkt_from_bytes(&pool, buf, n));
        n = build(&b, buf);
        sp_coalesce_push(&c, sp_pkt_from_bytes(&pool, buf, n));
        sp_coalesce_finish(&c);
        g_assert_cmpuint(c.len, ==, cases[i].merges ? 1 : 2);
        for (size_t j = 0; j < c.len; j++)
            free_item(&c.items[j]);
        sp_pkt_pool_done(&pool);
    }
}

/* Bytes nobody meant: nothing may be lost, read outside or abort. */
static void
test_noise(void)
{
    static struct sp_coalescer c;
    struct test_rng state;
    struct sp_rng rng = test_rng_init(&state, 99);

    for (int round = 0; round < 300; round++) {
        struct sp_pkt_queue out = { .max = 300 };
        struct sp_pkt_pool pool;
        uint8_t buf[1500];
        size_t packets = 0;

        sp_pkt_pool_init(&pool, 1000);
        sp_coalesce_begin(&c, ALL);
        for (int i = 0; i < SP_COALESCE_BATCH; i++) {
            struct spec s = { .version = sp_rng_u32(&rng) & 1 ? 4 : 6,
                              .flags = 0x10,
                              .ttl = 1,
                              .proto = sp_rng_u32(&rng) & 1 ? 6 : 17,
                              .payload = 20 };
            struct sp_vnet_hdr hdr;
            size_t n = build(&s, buf);

            n = sp_rng_below(&rng, (uint32_t)n + 1);
            for (int k = 0; k < 3 && n; k++)
                buf[sp_rng_below(&rng, (uint32_t)n)] ^= (uint8_t)(1u << sp_rng_below(&rng, 8));
            sp_coalesce_push(&c, sp_pkt_from_bytes(&pool, buf, n));
            sp_rng_fill(&rng, &hdr, sizeof hdr);
            hdr.gso_type %= 7;
            hdr.csum_start %= 64;
            hdr.csum_offset %= 32;
            hdr.gso_size %= 40;
            if (sp_split(&hdr, buf, n, &pool, &out) >= 0)
                sp_pkt_queue_clear(&out);
            g_assert_cmpuint(out.len, ==, 0);
        }
        sp_coalesce_finish(&c);
        for (size_t i = 0; i < c.len; i++) {
            packets += c.items[i].count;
            free_item(&c.items[i]);
        }
        g_assert_cmpuint(packets, ==, SP_COALESCE_BATCH);
        sp_pkt_pool_done(&pool);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/platform/offload/csum", test_csum);
    g_test_add_func("/platform/offload/csum-completion", test_csum_completion);
    g_test_add_func("/platform/offload/split-refuses", test_split_refuses);
    g_test_add_func("/platform/offload/split-segments", test_split_segments);
    g_test_add_func("/platform/offload/merge-rules", test_merge_rules);
    g_test_add_func("/platform/offload/round-trip", test_round_trip);
    g_test_add_func("/platform/offload/noise", test_noise);
    return g_test_run();
}
