/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "app/platform/offload.h"
#include "app/platform/tun.h"
#include "engine/base/rd.h"
#include "engine/base/wr.h"

#define PROTO_TCP    6
#define PROTO_UDP    17
#define TCP_ACK      0x10
#define TCP_PSH      0x08
#define TCP_CSUM_OFF 16
#define UDP_CSUM_OFF 6

/* What a packet is to the coalescer. */
struct view {
    const uint8_t *p;
    uint16_t len;
    uint8_t ip_len; /* 0: no 5-tuple */
    uint8_t hdr_len;
    uint8_t proto;
    bool mergeable;
    bool barrier; /* belongs to a flow that we cannot name */
    uint32_t hash;
};

static unsigned
needed_offload(uint8_t version, uint8_t proto)
{
    if (proto == PROTO_TCP)
        return version == 4 ? SP_TUN_TSO4 : SP_TUN_TSO6;
    return version == 4 ? SP_TUN_USO4 : SP_TUN_USO6;
}

/* Only a flow's own packets land in its bucket chain by intent; a stranger who aims many flows at
 * one bucket makes a walk of at most SP_COALESCE_BATCH steps, so no key is needed. */
static uint32_t
flow_hash(const uint8_t *addrs, size_t n, const uint8_t *ports)
{
    uint32_t h = sp_get_be32(ports) * 0x9e3779b1u;

    for (size_t i = 0; i < n; i += 4)
        h = (h ^ sp_get_be32(addrs + i)) * 0x85ebca6bu;
    return h ^ (h >> 15);
}

static void
view_ip4(struct view *v)
{
    const uint8_t *p = v->p;
    size_t ihl = (size_t)(p[0] & 15) * 4;
    bool flow = p[9] == PROTO_TCP || p[9] == PROTO_UDP;

    if (v->len < 20 || ihl != 20 || sp_get_be16(p + 2) != v->len || (sp_get_be16(p + 6) & 0x3fff)) {
        v->barrier = true;
        return;
    }
    if (!flow)
        return;
    v->proto = p[9];
    v->ip_len = 20;
    v->mergeable = sp_csum_fold(sp_csum_add(0, p, 20)) == 0xffff;
}

static void
view_ip6(struct view *v)
{
    const uint8_t *p = v->p;

    if (v->len < 40 || sp_get_be16(p + 4) + 40 != v->len) {
        v->barrier = true;
        return;
    }
    if (p[6] == PROTO_TCP || p[6] == PROTO_UDP) {
        v->proto = p[6];
        v->ip_len = 40;
        v->mergeable = true;
    } else if (p[6] != 58) {
        v->barrier = true; /* extension headers may hide TCP or UDP */
    }
}

static void
view_l4(struct view *v)
{
    const uint8_t *l4 = v->p + v->ip_len;
    size_t n = (size_t)v->len - v->ip_len, l4_len = 8;

    if (n < (v->proto == PROTO_TCP ? 20 : 8)) {
        v->ip_len = 0;
        v->mergeable = false;
        v->barrier = true;
        return;
    }
    v->hash = v->ip_len == 20 ? flow_hash(v->p + 12, 8, l4) : flow_hash(v->p + 8, 32, l4);
    if (v->proto == PROTO_TCP) {
        l4_len = (size_t)(l4[12] >> 4) * 4;
        if (l4_len < 20 || (l4[12] & 15) || (l4[13] & ~TCP_PSH) != TCP_ACK)
            v->mergeable = false;
    } else if (sp_get_be16(l4 + 4) != n || sp_get_be16(l4 + 6) == 0) {
        v->mergeable = false;
    }
    if (n <= l4_len)
        v->mergeable = false;
    v->hdr_len = (uint8_t)SP_MIN(v->ip_len + l4_len, 255u);
}

static void
view_packet(struct view *v, const struct sp_pkt *pkt)
{
    *v = (struct view){ .p = pkt->buf + pkt->off, .len = pkt->len };
    if (v->len < 20)
        v->barrier = true;
    else if ((v->p[0] >> 4) == 4)
        view_ip4(v);
    else if ((v->p[0] >> 4) == 6)
        view_ip6(v);
    else
        v->barrier = true;
    if (v->ip_len)
        view_l4(v);
}

/* Merging replaces the checksums by a promise, so what is merged must have had a right one:
 * otherwise damage done by a sender would be made invisible. */
static bool
csum_ok(const struct view *v)
{
    size_t n = (size_t)v->len - v->ip_len;
    uint64_t sum = sp_offload_pseudo(v->p, v->proto, n);

    return sp_csum_fold(sp_csum_add(sum, v->p + v->ip_len, n)) == 0xffff;
}

static bool
same_flow(const struct sp_coalesce_item *item, const struct view *v)
{
    const uint8_t *q = item->head->buf + item->head->off;

    if (item->hash != v->hash || item->ip_len != v->ip_len || item->proto != v->proto)
        return false;
    if (v->ip_len == 20)
        return memcmp(q + 12, v->p + 12, 12) == 0;
    return memcmp(q + 8, v->p + 8, 36) == 0;
}

static bool
same_ip_header(const uint8_t *q, const struct view *v)
{
    if (v->ip_len == 20) /* TOS, flags, TTL */
        return q[1] == v->p[1] && (q[6] & 0xe0) == (v->p[6] & 0xe0) && q[8] == v->p[8];
    return memcmp(q, v->p, 4) == 0 && q[7] == v->p[7];
}

static bool
can_append(const struct sp_coalesce_item *item, const struct view *v)
{
    const uint8_t *q = item->head->buf + item->head->off;
    size_t payload = (size_t)v->len - v->hdr_len;
    unsigned max = v->proto == PROTO_TCP ? SP_COALESCE_TCP_MAX : SP_COALESCE_UDP_MAX;

    if (!item->open || item->count >= max || item->hdr_len != v->hdr_len)
        return false;
    if (payload > item->segment || item->total + payload > SP_COALESCE_BYTES)
        return false;
    if (!same_ip_header(q, v))
        return false;
    if (v->proto == PROTO_TCP) {
        const uint8_t *a = q + v->ip_len, *b = v->p + v->ip_len;

        if (sp_get_be32(b + 4) != item->next_seq || memcmp(a + 8, b + 8, 4) != 0)
            return false;
        /* window and urgent pointer ride with the newest segment in the kernel's GRO only if equal */
        if (memcmp(a + 14, b + 14, 2) != 0 || memcmp(a + 18, b + 18, 2) != 0)
            return false;
        if (memcmp(a + 20, b + 20, (size_t)v->hdr_len - v->ip_len - 20) != 0)
            return false;
    }
    return true;
}

static void
note_payload(struct sp_coalesce_item *item, const struct view *v)
{
    size_t payload = (size_t)v->len - v->hdr_len;

    if (v->proto == PROTO_TCP) {
        item->next_seq = sp_get_be32(v->p + v->ip_len + 4) + (uint32_t)payload;
        if (v->p[v->ip_len + 13] & TCP_PSH)
            item->open = false;
    }
    if (payload < item->segment)
        item->open = false;
}

static void
append(struct sp_coalesce_item *item, const struct view *v, struct sp_pkt *pkt)
{
    item->tail->next = pkt;
    item->tail = pkt;
    item->count++;
    item->total += (uint32_t)v->len - v->hdr_len;
    note_payload(item, v);
}

static void
new_item(struct sp_coalescer *c, const struct view *v, struct sp_pkt *pkt, bool open)
{
    struct sp_coalesce_item *item = &c->items[c->len];
    int16_t *bucket = &c->buckets[v->hash % SP_ARRAY_SIZE(c->buckets)];

    *item = (struct sp_coalesce_item){
        .head = pkt,
        .tail = pkt,
        .count = 1,
        .total = v->len,
        .hash = v->hash,
        .older = -1,
        .proto = v->proto,
        .ip_len = v->ip_len,
        .open = open,
    };
    if (open) {
        item->hdr_len = v->hdr_len;
        item->segment = (uint16_t)(v->len - v->hdr_len);
        note_payload(item, v);
    }
    if (v->ip_len) {
        item->older = *bucket;
        *bucket = (int16_t)c->len;
    }
    c->len++;
    if (v->barrier)
        c->barrier = c->len;
}

static struct sp_coalesce_item *
newest_of_flow(struct sp_coalescer *c, const struct view *v)
{
    int16_t i = c->buckets[v->hash % SP_ARRAY_SIZE(c->buckets)];

    for (; i >= 0 && (size_t)i >= c->barrier; i = c->items[i].older)
        if (same_flow(&c->items[i], v))
            return &c->items[i];
    return NULL;
}

void
sp_coalesce_begin(struct sp_coalescer *c, unsigned offloads)
{
    c->len = 0;
    c->barrier = 0;
    c->offloads = offloads;
    for (size_t i = 0; i < SP_ARRAY_SIZE(c->buckets); i++)
        c->buckets[i] = -1;
}

void
sp_coalesce_push(struct sp_coalescer *c, struct sp_pkt *pkt)
{
    struct sp_coalesce_item *item;
    struct view v;
    bool ok;

    sp_assert(c->len < SP_COALESCE_BATCH);
    pkt->next = NULL;
    view_packet(&v, pkt);
    ok = v.mergeable && (c->offloads & needed_offload(v.ip_len == 20 ? 4 : 6, v.proto))
         && csum_ok(&v);
    item = v.ip_len ? newest_of_flow(c, &v) : NULL;
    if (ok && item && can_append(item, &v))
        append(item, &v, pkt);
    else
        new_item(c, &v, pkt, ok);
}

static void
finish_ip(struct sp_coalesce_item *item, uint8_t *q)
{
    if (item->ip_len == 40) {
        sp_put_be16(q + 4, (uint16_t)(item->total - 40));
        return;
    }
    sp_put_be16(q + 2, (uint16_t)item->total);
    sp_put_be16(q + 10, 0);
    sp_put_be16(q + 10, (uint16_t)~sp_csum_fold(sp_csum_add(0, q, 20)));
}

static void
finish_item(struct sp_coalesce_item *item)
{
    uint8_t *q = sp_pkt_data(item->head), *l4 = q + item->ip_len;
    size_t l4_len = item->total - item->ip_len;
    uint16_t field = UDP_CSUM_OFF;

    item->hdr.flags = SP_VNET_NEEDS_CSUM;
    item->hdr.gso_type = item->proto == PROTO_UDP ? SP_VNET_GSO_UDP_L4
                         : item->ip_len == 20     ? SP_VNET_GSO_TCPV4
                                                  : SP_VNET_GSO_TCPV6;
    finish_ip(item, q);
    if (item->proto == PROTO_TCP) {
        field = TCP_CSUM_OFF;
        l4[13] |= (uint8_t)((item->tail->buf + item->tail->off)[item->ip_len + 13] & TCP_PSH);
    } else {
        sp_put_be16(l4 + 4, (uint16_t)l4_len);
    }
    sp_put_be16(l4 + field, sp_csum_fold(sp_offload_pseudo(q, item->proto, l4_len)));
    item->hdr.hdr_len = item->hdr_len;
    item->hdr.gso_size = item->segment;
    item->hdr.csum_start = item->ip_len;
    item->hdr.csum_offset = field;
}

void
sp_coalesce_finish(struct sp_coalescer *c)
{
    for (size_t i = 0; i < c->len; i++)
        if (c->items[i].count > 1)
            finish_item(&c->items[i]);
}
