/* SPDX-License-Identifier: Apache-2.0 */
/* Splitting what was merged gives the packets back, and splitting anything else never makes a
 * packet that is too long, nor adds or loses a byte of payload.
 * Input: a byte for the direction; then packets to merge, or a header and bytes to split. */
#include <stdlib.h>
#include <string.h>

#include "app/platform/offload.h"
#include "app/platform/tun.h"
#include "engine/base/rd.h"
#include "engine/base/wr.h"
#include "engine/ip/packet.h"
#include "tests/fuzz/fuzz.h"

#define PACKETS   SP_COALESCE_BATCH
#define RECIPE    5 /* bytes that describe a packet to build */
#define SPLIT_MAX 65535

struct original {
    uint16_t len;
    uint8_t bytes[SP_MTU];
};

/* What merging and splitting may change: the IPv4 identification and the checksums, which are
 * verified instead. */
static void
blank(uint8_t *p, const struct sp_ip_view *v)
{
    if (v->version == 4) {
        sp_put_be16(p + 4, 0);
        sp_put_be16(p + 10, 0);
    }
    sp_put_be16(p + v->l4 + (v->proto == SP_IPPROTO_TCP ? 16 : 6), 0);
}

static void
check_same(const struct original *want, struct sp_pkt *got, bool merged)
{
    uint8_t a[SP_MTU], b[SP_MTU];
    struct sp_ip_view v;

    sp_assert(got->len == want->len && got->len <= SP_MTU);
    if (!merged) {
        sp_assert(memcmp(sp_pkt_data(got), want->bytes, got->len) == 0);
        return;
    }
    sp_assert(sp_packet_parse(sp_pkt_data(got), got->len, &v) == 0);
    sp_assert(sp_packet_checksums_ok(sp_pkt_data(got), &v));
    memcpy(a, sp_pkt_data(got), got->len);
    memcpy(b, want->bytes, got->len);
    blank(a, &v);
    blank(b, &v);
    sp_assert(memcmp(a, b, got->len) == 0);
}

/* ---- merge, then split --------------------------------------------------------------------- */

/* A TCP or UDP packet of one of four flows, so that neighbours often fit together.
 * @r: kind and flow, two bytes of payload length, sequence step, oddities */
static uint16_t
build(const uint8_t r[RECIPE], uint32_t seq[8], uint8_t *out)
{
    bool six = r[0] & 1, tcp = r[0] & 2;
    unsigned flow = r[0] >> 1 & 7;
    size_t ip_len = six ? 40 : 20, l4_len = tcp ? 20u + (r[4] & 4 ? 12 : 0) : 8;
    size_t payload = sp_get_be16(r + 1) % (SP_MTU - ip_len - l4_len + 1), n;
    uint8_t *l4 = out + ip_len;
    struct sp_ip_view v;

    n = ip_len + l4_len + payload;
    memset(out, r[3], n);
    memset(out, 0, ip_len + l4_len);
    out[0] = six ? 0x60 : 0x45;
    sp_put_be16(out + (six ? 4 : 2), (uint16_t)(six ? n - 40 : n));
    out[six ? 6 : 9] = tcp ? SP_IPPROTO_TCP : SP_IPPROTO_UDP;
    out[six ? 7 : 8] = r[4] & 8 ? 63 : 64;
    out[six ? 23 : 15] = 1;
    out[six ? 39 : 19] = 2;
    sp_put_be16(l4, (uint16_t)(1000 + flow));
    sp_put_be16(l4 + 2, 443);
    if (tcp) {
        sp_put_be32(l4 + 4, seq[flow]);
        seq[flow] += r[4] & 16 ? 1 : (uint32_t)payload;
        l4[12] = (uint8_t)(l4_len / 4 << 4);
        l4[13] = (uint8_t)(0x10 | (r[4] & 1 ? 8 : 0) | (r[4] & 2 ? 1 : 0));
    } else {
        sp_put_be16(l4 + 4, (uint16_t)(n - ip_len));
    }
    sp_assert(sp_packet_parse(out, n, &v) == 0);
    sp_packet_fill_checksums(out, &v);
    if (r[4] & 32)
        out[n - 1] ^= 0x40; /* damage */
    return (uint16_t)n;
}

/* The next packet of the input, built or as it is. Returns: false at the end */
static bool
next_original(const uint8_t **p, size_t *n, uint32_t seq[8], struct original *o)
{
    size_t used = RECIPE;

    if (*n < RECIPE)
        return false;
    if ((*p)[4] & 128) {
        used = 2 + SP_MIN((size_t)(sp_get_be16(*p) % (SP_MTU - RECIPE)), *n - RECIPE) + RECIPE - 2;
        o->len = (uint16_t)(used - 2);
        memcpy(o->bytes, *p + 2, o->len);
    } else {
        o->len = build(*p, seq, o->bytes);
    }
    *p += used;
    *n -= used;
    return true;
}

/* One write to the device as one read from it. */
static size_t
flatten(const struct sp_coalesce_item *item, uint8_t *out)
{
    size_t n = 0;

    for (struct sp_pkt *pkt = item->head; pkt; pkt = pkt->next) {
        size_t skip = pkt == item->head ? 0 : item->hdr_len;

        memcpy(out + n, sp_pkt_data(pkt) + skip, pkt->len - skip);
        n += pkt->len - skip;
    }
    sp_assert(n == item->total && n <= SP_COALESCE_BYTES);
    return n;
}

static void
check_item(const struct sp_coalesce_item *item,
           struct sp_pkt_pool *pool,
           const struct original *originals,
           struct sp_pkt *const *pushed,
           size_t n_pushed)
{
    static uint8_t flat[SP_COALESCE_BYTES];
    struct sp_pkt_queue out = { .max = SP_SPLIT_MAX };
    size_t n = flatten(item, flat), at = 0;
    uint8_t *exact = malloc(n ? n : 1);

    memcpy(exact, flat, n);
    sp_assert(sp_split(&item->hdr, exact, n, pool, &out) == item->count);
    free(exact);
    for (struct sp_pkt *pkt = item->head; pkt; pkt = pkt->next) {
        struct sp_pkt *got = sp_pkt_queue_pop(&out);

        while (at < n_pushed && pushed[at] != pkt)
            at++;
        sp_assert(at < n_pushed && got != NULL);
        check_same(&originals[at], got, item->count > 1);
        sp_pkt_free(got);
    }
}

static void
merge_and_split(const uint8_t *p, size_t n, unsigned offloads)
{
    static struct original originals[PACKETS];
    static struct sp_coalescer c;
    struct sp_pkt *pushed[PACKETS];
    uint32_t seq[8] = { 0 };
    struct sp_pkt_pool pool;
    size_t count = 0, seen = 0;

    sp_pkt_pool_init(&pool, 2 * PACKETS);
    sp_coalesce_begin(&c, offloads);
    for (; count < PACKETS && next_original(&p, &n, seq, &originals[count]); count++) {
        pushed[count] = sp_pkt_from_bytes(&pool, originals[count].bytes, originals[count].len);
        sp_coalesce_push(&c, pushed[count]);
    }
    sp_coalesce_finish(&c);
    for (size_t i = 0; i < c.len; i++) {
        check_item(&c.items[i], &pool, originals, pushed, count);
        seen += c.items[i].count;
    }
    sp_assert(seen == count);
    for (size_t i = 0; i < count; i++)
        sp_pkt_free(pushed[i]);
    sp_assert(pool.in_use == 0);
    sp_pkt_pool_done(&pool);
}

/* ---- split anything ------------------------------------------------------------------------ */

static size_t
headers_of(const uint8_t *p)
{
    size_t ip_len = (p[0] >> 4) == 6 ? 40 : (size_t)(p[0] & 15) * 4;
    uint8_t proto = (p[0] >> 4) == 6 ? p[6] : p[9];

    return ip_len + (proto == SP_IPPROTO_TCP ? (size_t)(p[ip_len + 12] >> 4) * 4 : 8);
}

static void
split_anything(const uint8_t *p, size_t n, bool starve)
{
    struct sp_pkt_queue out = { .max = SP_SPLIT_MAX };
    struct sp_vnet_hdr hdr;
    struct sp_pkt_pool pool;
    struct sp_pkt *pkt;
    size_t total = 0;
    uint8_t *exact;
    int r;

    if (n < sizeof hdr)
        return;
    memcpy(&hdr, p, sizeof hdr);
    p += sizeof hdr;
    n = SP_MIN(n - sizeof hdr, (size_t)SPLIT_MAX);
    exact = malloc(n ? n : 1);
    memcpy(exact, p, n);
    sp_pkt_pool_init(&pool, starve ? 3 : SP_SPLIT_MAX);
    r = sp_split(&hdr, exact, n, &pool, &out);
    free(exact);
    sp_assert((r < 0 ? 0 : (size_t)r) == out.len);
    for (; (pkt = sp_pkt_queue_pop(&out)) != NULL; sp_pkt_free(pkt)) {
        sp_assert(pkt->len <= SP_MTU);
        total += pkt->len - (hdr.gso_type ? headers_of(p) : 0);
    }
    if (r > 0 && !starve)
        sp_assert(total == n - (hdr.gso_type ? headers_of(p) : 0));
    sp_assert(pool.in_use == 0);
    sp_pkt_pool_done(&pool);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] & 1)
        split_anything(data + 1, size - 1, data[0] & 2);
    else
        merge_and_split(data + 1, size - 1, data[0] & ~1u);
    return 0;
}
