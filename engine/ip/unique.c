/* SPDX-License-Identifier: Apache-2.0 */
/* The unique packet ring; declared in packet.h. */
#include <string.h>

#include "engine/ip/packet.h"

static bool
is_syn(const struct sp_ip_view *v)
{
    return v->proto == SP_IPPROTO_TCP && (v->tcp_flags & (SP_TCP_SYN | SP_TCP_ACK)) == SP_TCP_SYN;
}

static bool
same_syn(struct sp_pkt *a, const struct sp_ip_view *va, struct sp_pkt *b)
{
    struct sp_ip_view vb;

    if (sp_packet_parse(sp_pkt_data(b), b->len, &vb) != 0 || !is_syn(&vb))
        return false;
    return sp_ip_equal(&va->src, &vb.src) && sp_ip_equal(&va->dst, &vb.dst)
           && va->src_proto.id == vb.src_proto.id && va->dst_proto.id == vb.dst_proto.id
           && memcmp(sp_pkt_data(a) + va->l4 + 4, sp_pkt_data(b) + vb.l4 + 4, 4) == 0;
}

static void
replace(struct sp_pkt_queue *q, struct sp_pkt *prev, struct sp_pkt *old, struct sp_pkt *pkt)
{
    pkt->next = old->next;
    if (prev)
        prev->next = pkt;
    else
        q->head = pkt;
    if (q->tail == old)
        q->tail = pkt;
    old->next = NULL;
    sp_pkt_free(old);
}

size_t
sp_packet_queue_push_unique(struct sp_pkt_queue *q, struct sp_pkt *pkt)
{
    struct sp_ip_view v;
    bool syn = sp_packet_parse(sp_pkt_data(pkt), pkt->len, &v) == 0 && is_syn(&v);
    struct sp_pkt *prev = NULL;

    for (struct sp_pkt *it = q->head; it; prev = it, it = it->next) {
        if (it->len == pkt->len && memcmp(sp_pkt_data(it), sp_pkt_data(pkt), pkt->len) == 0) {
            sp_pkt_free(pkt);
            return 1;
        }
        if (syn && same_syn(pkt, &v, it)) {
            replace(q, prev, it, pkt);
            return 1;
        }
    }
    return sp_pkt_queue_push_ring(q, pkt);
}
