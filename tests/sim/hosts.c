/* SPDX-License-Identifier: Apache-2.0 */
/* Behind the gateways: hosts that echo or refuse, the resolver of the site; and the servers that the
 * client's driver would ask. */
#include <string.h>

#include "engine/dns/message.h"
#include "engine/ip/build.h"
#include "tests/sim/sim.h"

#define PROBE_BYTES 8 /* magic and id */

enum event_kind {
    EVENT_PACKET,
    EVENT_RESOLVED,
    EVENT_DNS,
};

struct sim_event {
    sp_time at;
    enum event_kind kind;
    int gateway;
    unsigned epoch; /* of the gateway: a restart loses what is under way */
    uint64_t id;
    int name;
    bool failed;
    struct sp_ip addrs[2 * SIM_ADDRS];
    size_t n;
    enum sp_client_dns_result result;
    uint8_t bytes[SP_MTU];
};

static struct sim_event *
post(struct sim *s, enum event_kind kind, sp_duration delay)
{
    struct sim_event *e = g_new0(struct sim_event, 1);
    GList *l = s->events->tail;

    e->at = s->now + delay;
    e->kind = kind;
    while (l && ((struct sim_event *)l->data)->at > e->at)
        l = l->prev;
    if (l)
        g_queue_insert_after(s->events, l, e);
    else
        g_queue_push_head(s->events, e);
    return e;
}

/* ---- hosts ----------------------------------------------------------------------------------- */

unsigned
hosts_reply_kind(const struct sim *s, const struct sp_ip *ip)
{
    unsigned last = ip->b[sp_ip_size(ip) - 1];

    if (oracle_in_peer_range(ip) || last % 4 != 3)
        return 0;
    return 1 + (unsigned)((last / 4 + s->seed) % (SIM_REPLY_ICMP_MAX - 1));
}

void
hosts_icmp_of(unsigned kind, uint8_t family, uint8_t *type, uint8_t *code, uint32_t *word2)
{
    static const uint8_t v4[][2] = { { 3, 0 }, { 3, 1 }, { 3, 3 }, { 3, 4 }, { 11, 0 } };
    static const uint8_t v6[][2] = { { 1, 0 }, { 1, 3 }, { 1, 4 }, { 2, 0 }, { 3, 0 } };

    *type = family == 4 ? v4[kind - 1][0] : v6[kind - 1][0];
    *code = family == 4 ? v4[kind - 1][1] : v6[kind - 1][1];
    *word2 = kind == 4 ? 1100 + family : 0;
}

static void
answer(struct sim_gateway *g, const struct sp_pkt *pkt, const struct sp_ip_view *v)
{
    struct sim *s = g->sim;
    unsigned kind = hosts_reply_kind(s, &v->dst);
    const uint8_t *p = pkt->buf + pkt->off;
    struct sim_event *e = post(s, EVENT_PACKET, SP_MS(1 + sim_draw(s, 10)));
    size_t header = v->l4 + (size_t)8;
    int r;

    e->gateway = g->index;
    e->epoch = g->epoch;
    if (kind) {
        uint8_t type, code;
        uint32_t word2;

        hosts_icmp_of(kind, v->version, &type, &code, &word2);
        r = sp_build_icmp(e->bytes,
                          SP_MTU,
                          &v->dst,
                          &v->src,
                          64,
                          type,
                          code,
                          word2,
                          sp_span(p, pkt->len),
                          &e->n);
    } else if (v->dst_proto.kind == SP_IP_PROTO_UDP) {
        struct sp_endpoint src = { v->dst, v->dst_proto.id }, dst = { v->src, v->src_proto.id };

        r = sp_build_udp(e->bytes,
                         SP_MTU,
                         &src,
                         &dst,
                         sp_span(p + header, pkt->len - header),
                         &e->n);
    } else {
        r = sp_build_echo(e->bytes,
                          SP_MTU,
                          &v->dst,
                          &v->src,
                          true,
                          v->src_proto.id,
                          (uint16_t)(p[v->l4 + 6] << 8 | p[v->l4 + 7]),
                          sp_span(p + header, pkt->len - header),
                          &e->n);
    }
    g_assert_cmpint(r, ==, 0);
}

static size_t
build_answer(const struct sp_dns_query *q, bool servfail, uint8_t *buf)
{
    struct sp_dns_reply reply =
        sp_dns_reply(q, servfail ? SP_DNS_RCODE_SERVFAIL : SP_DNS_RCODE_NOERROR, buf, 512);
    int n;

    if (q->qtype == SP_DNS_TYPE_A && !servfail) {
        struct sp_ip ip = sp_ip4(203, 0, 113, 77);

        sp_dns_reply_ip(&reply, &q->name, 30, &ip);
    }
    n = sp_dns_reply_finish(&reply);
    g_assert_cmpint(n, >, 0);
    return (size_t)n;
}

/* A server inside the site or beyond it. */
static void
dns_packet(struct sim_gateway *g, const struct sp_pkt *pkt, const struct sp_ip_view *v)
{
    struct sp_endpoint src = { v->dst, 53 }, dst = { v->src, v->src_proto.id };
    const uint8_t *msg = pkt->buf + pkt->off + v->l4 + 8;
    struct sp_dns_query parsed;
    struct sim_query *mine;
    struct sim_event *e;
    uint8_t buf[512];

    if (sp_dns_query_parse(sp_span(msg, (size_t)pkt->len - v->l4 - 8), &parsed) < 0) {
        sim_fail(g->sim, "a broken query came through the tunnel");
        return;
    }
    mine = app_query_at_server(g, v, parsed.id);
    if (!mine || mine->silent)
        return;
    e = post(g->sim, EVENT_PACKET, SP_MS(1 + sim_draw(g->sim, 10)));
    e->gateway = g->index;
    e->epoch = g->epoch;
    g_assert_cmpint(sp_build_udp(e->bytes,
                                 SP_MTU,
                                 &src,
                                 &dst,
                                 sp_span(buf, build_answer(&parsed, mine->failing, buf)),
                                 &e->n),
                    ==,
                    0);
}

void
hosts_packet(struct sim_gateway *g, struct sp_pkt *pkt)
{
    struct sim *s = g->sim;
    const uint8_t *p = sp_pkt_data(pkt);
    struct sp_ip_view v;

    g->last_traffic = s->now;
    if (sp_packet_parse(p, pkt->len, &v) == 0 && v.dst_proto.kind == SP_IP_PROTO_UDP
        && v.dst_proto.id == 53)
        dns_packet(g, pkt, &v);
    else if (sp_packet_parse(p, pkt->len, &v) != 0 || !sp_packet_checksums_ok(p, &v)
             || pkt->len != v.l4 + 8u + PROBE_BYTES || memcmp(p + v.l4 + 8, "prob", 4))
        sim_fail(s, "gateway %d put a packet on its TUN device that nobody sent", g->index);
    else {
        uint32_t id;

        memcpy(&id, p + v.l4 + 12, 4);
        app_at_remote(g, &v, id, v.dst_proto.kind == SP_IP_PROTO_UDP);
        answer(g, pkt, &v);
    }
    sp_pkt_free(pkt);
}

/* ---- resolver of the site -------------------------------------------------------------------- */

void
hosts_resolve(struct sim_gateway *g, uint64_t id, const char *domain)
{
    struct sim *s = g->sim;
    struct sim_event *e = post(s, EVENT_RESOLVED, SP_MS(1 + sim_draw(s, 40)));

    e->gateway = g->index;
    e->epoch = g->epoch;
    e->id = id;
    e->name = -1;
    e->failed = sim_draw(s, 25) == 0;
    for (int i = 0; i < SIM_NAMES; i++) {
        const struct sim_name *name = &s->names[i];

        if (strcmp(name->text, domain))
            continue;
        e->name = i;
        for (size_t k = 0; k < name->n4; k++)
            e->addrs[e->n++] = name->v4[k];
        for (size_t k = 0; k < name->n6; k++)
            e->addrs[e->n++] = name->v6[k];
    }
    if (e->name < 0)
        sim_fail(s, "a gateway resolves a name that nobody asked for");
}

static void
note_answer(struct sim *s, const struct sim_event *e)
{
    struct sim_answer *a = &s->gateways[e->gateway].answers[e->name];
    struct sim_name *name = &s->names[e->name];

    if (e->failed) {
        a->failed = name->shaky = true;
        sim_note(s, "resolution of %s fails", name->text);
        return;
    }
    a->failed = false;
    a->at = s->now;
    a->n4 = a->n6 = 0;
    memset(a->mapped, 0, sizeof a->mapped);
    for (size_t i = 0; i < e->n; i++) {
        if (e->addrs[i].family == 4)
            a->v4[a->n4++] = e->addrs[i];
        else
            a->v6[a->n6++] = e->addrs[i];
        a->ever[a->n_ever++ % G_N_ELEMENTS(a->ever)] = e->addrs[i];
    }
    if (a->n4 == 0)
        a->lacks4_at = s->now;
    if (a->n6 == 0)
        a->lacks6_at = s->now;
}

static void
resolved(struct sim *s, struct sim_event *e)
{
    struct sim_gateway *g = &s->gateways[e->gateway];

    if (g->epoch != e->epoch || !g->gw)
        return;
    note_answer(s, e);
    if (s->plant == SIM_PLANT_WRONG_ADDRESS && e->n && sim_draw(s, 4) == 0)
        e->addrs[0].b[2] ^= 1;
    sp_gw_handle_resolved(g->gw, e->id, e->failed, e->addrs, e->failed ? 0 : e->n, s->now);
    sim_drain_gateway(g);
}

/* ---- servers outside the tunnel -------------------------------------------------------------- */

static struct sim_query *
asked(const struct sim *s, const struct sp_dns_query *q)
{
    for (guint i = s->queries->len; i-- > 0;) {
        struct sim_query *mine = g_ptr_array_index(s->queries, i);

        if (mine->id == q->id && mine->qtype == q->qtype)
            return mine;
    }
    return NULL;
}

void
hosts_dns_query(struct sim *s, const struct sp_client_dns_query *q)
{
    struct sp_dns_query parsed;
    struct sim_query *mine;
    struct sim_event *e;

    if (sp_dns_query_parse(sp_span(q->message, q->len), &parsed) < 0
        || (mine = asked(s, &parsed)) == NULL) {
        sim_fail(s, "an upstream server is asked what nobody asked");
        return;
    }
    for (size_t i = 0; i < s->tun.n_dns; i++)
        if (sp_ip_equal(&s->tun.dns[i].sentinel, &mine->sentinel)
            && !sp_ip_equal(&s->tun.dns[i].upstream, &q->server))
            sim_fail(s, "the query went to another server than its sentinel stands for");
    if (mine->via >= 0)
        sim_fail(s, "query %u went outside the tunnel", mine->id);
    mine->recursed = true;
    if (mine->silent)
        return;
    e = post(s, EVENT_DNS, SP_MS(1 + sim_draw(s, 100)));
    e->id = q->id;
    e->result = mine->failing ? SP_CLIENT_DNS_FAILED : SP_CLIENT_DNS_ANSWER;
    e->n = build_answer(&parsed, false, e->bytes);
}

/* ---- delivery -------------------------------------------------------------------------------- */

sp_time
hosts_next(const struct sim *s)
{
    const struct sim_event *e = g_queue_peek_head(s->events);

    return e ? e->at : SP_TIME_NEVER;
}

static void
deliver(struct sim *s, struct sim_event *e)
{
    struct sim_gateway *g = &s->gateways[e->gateway];

    switch (e->kind) {
    case EVENT_PACKET:
        if (g->gw && g->epoch == e->epoch) {
            sp_gw_handle_tun(g->gw, sim_packet(&g->pool, e->bytes, e->n), s->now);
            sim_drain_gateway(g);
        }
        break;
    case EVENT_RESOLVED:
        resolved(s, e);
        break;
    case EVENT_DNS:
        sp_client_handle_dns_result(s->client, e->id, e->result, sp_span(e->bytes, e->n), s->now);
        sim_drain_client(s);
        break;
    }
}

void
hosts_deliver(struct sim *s)
{
    while (hosts_next(s) <= s->now) {
        struct sim_event *e = g_queue_pop_head(s->events);

        deliver(s, e);
        g_free(e);
    }
}

void
hosts_done(struct sim *s)
{
    g_queue_free_full(s->events, g_free);
}
