/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/client/dns-tunnel.h"

#include <stdlib.h>

#include "engine/base/err.h"
#include "engine/client/client-private.h"
#include "engine/ip/build.h"
#include "engine/ip/icmp.h"

/** struct client_dns_tunnel_query - @flushes: of the cache when the query left; a later flush keeps
 * the answer out of it */
struct client_dns_tunnel_query {
    struct client_dns_tunnel_query *prev;
    struct client_dns_tunnel_query *next;
    uint16_t port;
    struct sp_ip server;
    sp_time deadline;
    uint64_t flushes;
    struct sp_dns_client client;
    struct sp_dns_query query;
};

void
client_dns_tunnel_init(struct sp_client *c)
{
    c->dns_tunnel = (struct client_dns_tunnel){ 0 };
    sp_map_init(&c->dns_tunnel.by_port, sizeof(uint16_t), &c->cfg.rng);
}

static void
drop(struct client_dns_tunnel *t, struct client_dns_tunnel_query *q)
{
    if (t->open == q)
        t->open = q->next;
    *(q->prev ? &q->prev->next : &t->first) = q->next;
    *(q->next ? &q->next->prev : &t->last) = q->prev;
    sp_map_del(&t->by_port, &q->port);
    free(q);
}

void
client_dns_tunnel_done(struct sp_client *c)
{
    while (c->dns_tunnel.first)
        drop(&c->dns_tunnel, c->dns_tunnel.first);
    sp_map_done(&c->dns_tunnel.by_port);
}

/* ---- which queries ------------------------------------------------------------------------- */

static bool
permits_dns(const struct sp_filter *filter)
{
    return sp_filter_check(filter, sp_ip_proto_udp(SP_DNS_PORT)) == SP_FILTER_PERMITTED
           && sp_filter_check(filter, sp_ip_proto_tcp(SP_DNS_PORT)) == SP_FILTER_PERMITTED;
}

bool
client_dns_tunnel_wants(struct sp_client *c, const struct sp_dns_upstream *upstream)
{
    const struct client_resource *internet = client_internet(c);
    const struct sp_route *udp, *tcp;

    if (!sp_dns_servers_may_tunnel(&c->dns.servers, upstream) || !c->have_interface)
        return false;
    udp = sp_route_table_lookup(&c->cidr_routes, &upstream->ip, sp_ip_proto_udp(SP_DNS_PORT));
    if (udp == NULL)
        return internet && permits_dns(internet->filter);
    if (sp_filter_check(udp->filter, sp_ip_proto_udp(SP_DNS_PORT)) != SP_FILTER_PERMITTED)
        return false;
    tcp = sp_route_table_lookup(&c->cidr_routes, &upstream->ip, sp_ip_proto_tcp(SP_DNS_PORT));
    return tcp && sp_filter_check(tcp->filter, sp_ip_proto_tcp(SP_DNS_PORT)) == SP_FILTER_PERMITTED;
}

/* ---- sending ------------------------------------------------------------------------------- */

static void
reply_servfail(struct sp_client *c,
               const struct sp_dns_client *to,
               const struct sp_dns_query *query,
               sp_time now)
{
    uint8_t buf[SP_DNS_EMPTY_MAX];
    int n = sp_dns_reply_empty(query, SP_DNS_RCODE_SERVFAIL, buf, sizeof buf);

    if (n > 0)
        client_dns_reply(c, to, sp_span(buf, (size_t)n), now);
}

/* There are 16 times as many ports as queries, so the search is short. */
static uint16_t
unused_port(const struct sp_client *c)
{
    uint16_t port;

    do
        port = (uint16_t)(CLIENT_DNS_TUNNEL_PORT_MIN
                          + sp_rng_below(&c->cfg.rng, 65536 - CLIENT_DNS_TUNNEL_PORT_MIN));
    while (sp_map_get(&c->dns_tunnel.by_port, &port));
    return port;
}

/* Returns: NULL when every tracked query still waits. */
static struct client_dns_tunnel_query *
track(struct sp_client *c,
      const struct sp_dns_client *from,
      const struct sp_dns_verdict *verdict,
      sp_time now)
{
    struct client_dns_tunnel *t = &c->dns_tunnel;
    struct client_dns_tunnel_query *q;

    if (t->by_port.len >= CLIENT_DNS_TUNNEL_MAX) {
        if (t->first == t->open)
            return NULL;
        drop(t, t->first);
    }
    q = sp_xcalloc(1, sizeof *q);
    q->port = unused_port(c);
    q->server = verdict->upstream->ip;
    q->deadline = sp_time_add(now, CLIENT_DNS_TUNNEL_TIMEOUT);
    q->flushes = c->dns.cache.flushes;
    q->client = *from;
    q->query = verdict->query;
    q->prev = t->last;
    *(q->prev ? &q->prev->next : &t->first) = q;
    t->last = q;
    if (t->open == NULL)
        t->open = q;
    sp_map_put(&t->by_port, &q->port, q);
    return q;
}

static struct sp_pkt *
build(struct sp_client *c, const struct client_dns_tunnel_query *q, struct sp_span msg)
{
    const struct sp_interface *own = &c->interface;
    struct sp_endpoint src = { .ip = q->server.family == 4 ? own->ipv4 : own->ipv6,
                               .port = q->port };
    struct sp_endpoint dst = { .ip = q->server, .port = SP_DNS_PORT };
    struct sp_pkt *pkt = sp_pkt_alloc(c->cfg.pool);
    size_t len;

    if (pkt == NULL) {
        sp_drops_add(&c->drops, SP_DROP_NO_MEMORY);
        return NULL;
    }
    if (sp_build_udp(sp_pkt_data(pkt), SP_MTU, &src, &dst, msg, &len) < 0) {
        client_drop(c, pkt, SP_DROP_BAD_DNS);
        return NULL;
    }
    pkt->len = (uint16_t)len;
    return pkt;
}

void
client_dns_tunnel_send(struct sp_client *c,
                       const struct sp_dns_client *from,
                       const struct sp_dns_verdict *verdict,
                       struct sp_span msg,
                       sp_time now)
{
    struct client_dns_tunnel_query *q = track(c, from, verdict, now);
    struct sp_pkt *pkt = q ? build(c, q, msg) : NULL;

    if (pkt) {
        client_outbound(c, pkt, now);
        return;
    }
    if (q)
        drop(&c->dns_tunnel, q);
    else
        sp_drops_add(&c->drops, SP_DROP_QUEUE_FULL);
    reply_servfail(c, from, &verdict->query, now);
}

/* ---- replies ------------------------------------------------------------------------------- */

static bool
is_open(const struct client_dns_tunnel_query *q, sp_time now)
{
    return q->deadline > now;
}

static void
fail(struct sp_client *c, struct client_dns_tunnel_query *q, sp_time now)
{
    struct sp_dns_client to = q->client;
    struct sp_dns_query query = q->query;

    drop(&c->dns_tunnel, q);
    reply_servfail(c, &to, &query, now);
}

static void
finish(struct sp_client *c, struct client_dns_tunnel_query *q, struct sp_span msg, sp_time now)
{
    uint8_t buf[SP_MTU];
    int n = sp_dns_relay(&q->client, &q->query, false, msg, buf, sizeof buf);
    struct sp_dns_client to = q->client;

    if (n > 0 && q->flushes == c->dns.cache.flushes && (buf[3] & 15) == SP_DNS_RCODE_NOERROR)
        sp_dns_cache_put(&c->dns.cache, msg, now);
    drop(&c->dns_tunnel, q);
    if (n > 0)
        client_dns_reply(c, &to, sp_span(buf, (size_t)n), now);
}

static bool
handle_error(struct sp_client *c, const struct sp_pkt *pkt, const struct sp_ip_view *v, sp_time now)
{
    struct client_dns_tunnel_query *q;
    struct sp_icmp_error err;

    if (!sp_icmp_is_error_type(v)
        || sp_icmp_error_parse(pkt->buf + pkt->off, v, &err) != SP_ICMP_IS_ERROR
        || err.src_proto.kind != SP_IP_PROTO_UDP || err.dst_proto.id != SP_DNS_PORT)
        return false;
    q = sp_map_get(&c->dns_tunnel.by_port, &err.src_proto.id);
    if (q == NULL || !sp_ip_equal(&q->server, &err.dst))
        return false;
    if (is_open(q, now))
        fail(c, q, now);
    return true;
}

bool
client_dns_tunnel_inbound(struct sp_client *c,
                          const struct sp_pkt *pkt,
                          const struct sp_ip_view *v,
                          sp_time now)
{
    struct client_dns_tunnel_query *q;
    struct sp_span msg;

    if (c->dns_tunnel.first == NULL)
        return false;
    if (v->proto != SP_IPPROTO_UDP)
        return handle_error(c, pkt, v, now);
    msg = sp_span(pkt->buf + pkt->off + v->l4 + SP_UDP_HEADER,
                  (size_t)pkt->len - v->l4 - SP_UDP_HEADER);
    q = sp_map_get(&c->dns_tunnel.by_port, &v->dst_proto.id);
    /* A program may use the same port by chance: what is not the answer to our query is its own. */
    if (q == NULL || v->src_proto.id != SP_DNS_PORT || !sp_ip_equal(&q->server, &v->src)
        || msg.n < SP_DNS_HEADER || sp_get_be16(msg.p) != q->query.id)
        return false;
    if (is_open(q, now))
        finish(c, q, msg, now);
    return true;
}

/* ---- time and reset ------------------------------------------------------------------------ */

void
client_dns_tunnel_handle_timeout(struct sp_client *c, sp_time now)
{
    struct client_dns_tunnel *t = &c->dns_tunnel;

    if (c->dns_reset_due)
        client_dns_tunnel_reset(c, now);
    while (t->open && !is_open(t->open, now)) {
        struct client_dns_tunnel_query *q = t->open;

        t->open = q->next; /* stays tracked: its reply may still come */
        reply_servfail(c, &q->client, &q->query, now);
    }
}

sp_time
client_dns_tunnel_next_timeout(const struct sp_client *c)
{
    return c->dns_tunnel.open ? c->dns_tunnel.open->deadline : SP_TIME_NEVER;
}

void
client_dns_tunnel_reset(struct sp_client *c, sp_time now)
{
    c->dns_reset_due = false;
    client_dns_tunnel_handle_timeout(c, now);
    while (c->dns_tunnel.open)
        fail(c, c->dns_tunnel.open, now);
    while (c->dns_tunnel.first)
        drop(&c->dns_tunnel, c->dns_tunnel.first);
}
