/* SPDX-License-Identifier: Apache-2.0 */
/* The sentinel addresses as DNS servers, and the proxy addresses of names. Source: spec tunnel A.3
 * to A.6, A.13. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/err.h"
#include "engine/client/client-private.h"
#include "engine/control/control.h"
#include "engine/ip/build.h"

void
client_dns_init(struct sp_client *c)
{
    sp_dns_stub_init(&c->dns, &c->cfg.rng);
    sp_map_init(&c->names, sizeof(const struct sp_dns_record *), &c->cfg.rng);
    sp_nat_dns_init(&c->dns_nat, &c->cfg.rng);
    client_dns_tunnel_init(c);
    client_dns_tcp_init(c);
}

void
client_dns_done(struct sp_client *c)
{
    size_t pos = 0;
    void *name;

    while (sp_map_next(&c->names, &pos, NULL, &name))
        free(name);
    sp_map_done(&c->names);
    sp_nat_dns_done(&c->dns_nat);
    client_dns_tunnel_done(c);
    c->dns_tcp = sp_tcp_server_free(c->dns_tcp);
    sp_dns_stub_done(&c->dns);
}

/* ---- names and their routes ---------------------------------------------------------------- */

static struct client_name *
name_of(struct sp_client *c, const struct sp_dns_record *record)
{
    struct client_name *name = sp_map_get(&c->names, &record);
    char text[SP_DNS_TEXT_MAX];

    if (name)
        return name;
    name = sp_xcalloc(1, sizeof *name);
    name->record = record;
    /* Patterns match plain names only, so the text has no escapes and at most 253 characters. */
    sp_dns_name_format(&record->name, text);
    memcpy(name->domain, text, SP_MIN(strlen(text), (size_t)SP_NAT_DNS_DOMAIN_MAX));
    sp_map_put(&c->names, &record, name);
    return name;
}

static bool
stack_has(enum sp_ip_stack stack, uint8_t family)
{
    return stack == SP_IP_STACK_DUAL
           || stack == (family == 4 ? SP_IP_STACK_IPV4_ONLY : SP_IP_STACK_IPV6_ONLY);
}

/* The proxy addresses of @record that @res uses. Returns how many. */
static size_t
proxy_ips(const struct sp_dns_record *record,
          const struct client_resource *res,
          struct sp_ip out[2 * SP_DNS_PROXY_PER_FAMILY])
{
    size_t n = 0;

    for (size_t i = 0; i < record->n4 && stack_has(res->r.ip_stack, 4); i++)
        out[n++] = record->v4[i];
    for (size_t i = 0; i < record->n6 && stack_has(res->r.ip_stack, 6); i++)
        out[n++] = record->v6[i];
    return n;
}

static void
add_name_routes(struct sp_client *c,
                const struct sp_dns_record *record,
                const struct client_resource *res)
{
    struct sp_ip ips[2 * SP_DNS_PROXY_PER_FAMILY];
    size_t n = proxy_ips(record, res, ips);
    struct client_name *name = name_of(c, record);

    for (size_t i = 0; i < n; i++) {
        struct sp_cidr net = sp_cidr_host(&ips[i]);

        if (sp_route_table_insert(&c->dns_routes,
                                  &net,
                                  &res->r.id,
                                  res->filter,
                                  res->r.address,
                                  name)
            < 0)
            SP_WARN(c->cfg.log, CLIENT, "too many names, one is not reachable");
    }
}

void
client_dns_add_resource(struct sp_client *c, struct client_resource *res)
{
    struct sp_dns_records *records = &c->dns.records;
    int r = sp_dns_records_add_resource(records, &res->r.id, res->r.address, res->r.ip_stack);

    if (r < 0) {
        SP_WARN(c->cfg.log, CLIENT, "a DNS resource never matches: %s", sp_strerror(r));
        return;
    }
    for (size_t i = 0; i < records->n; i++)
        if (sp_dns_record_has(records->list[i], &res->r.id))
            add_name_routes(c, records->list[i], res);
}

void
client_dns_remove_resource(struct sp_client *c, const struct client_resource *res)
{
    if (res->r.type == SP_RESOURCE_DNS)
        sp_dns_records_remove_resource(&c->dns.records, &res->r.id);
    sp_route_table_remove_resource(&c->dns_routes, &res->r.id);
}

/* ---- telling the gateway ------------------------------------------------------------------- */

static void
send_control(struct sp_client *c, struct client_peer *peer, struct sp_span event, sp_time now)
{
    struct sp_pkt *pkt;

    if (event.n == 0)
        return;
    pkt = sp_pkt_from_bytes(c->cfg.pool, event.p, event.n);
    if (pkt == NULL) {
        sp_drops_add(&c->drops, SP_DROP_NO_MEMORY);
        return;
    }
    client_peer_send(c, peer, pkt, false, now);
}

static void
update_name(struct sp_client *c,
            const struct client_name *name,
            const struct client_resource *res,
            sp_time now)
{
    struct client_peer *peer = client_authorized_peer(c, &res->r.id);
    struct sp_nat_dns_key key;
    struct sp_ip ips[2 * SP_DNS_PROXY_PER_FAMILY];
    uint8_t event[SP_MTU];
    struct sp_span send;
    size_t n, len;

    if (peer == NULL)
        return;
    n = proxy_ips(name->record, res, ips);
    if (sp_control_build_assigned_ips(event, sizeof event, &res->r.id, name->domain, ips, n, &len)
        < 0) {
        SP_DEBUG(c->cfg.log, CLIENT, "no proxy addresses for a name");
        return;
    }
    for (size_t i = 0; i < n; i++) {
        struct sp_cidr net = sp_cidr_host(&ips[i]);

        client_peer_allow(c, peer, &net, &res->r.id);
    }
    key = (struct sp_nat_dns_key){ peer->id, res->r.id, name->domain };
    if (sp_nat_dns_update(&c->dns_nat, &key, sp_span(event, len), NULL, now, &send) == 0)
        send_control(c, peer, send, now);
}

static void
update_record(struct sp_client *c, const struct sp_dns_record *record, sp_time now)
{
    for (size_t i = 0; i < record->n_assoc; i++) {
        const struct client_resource *res = client_resource_find(c, &record->assoc[i].resource);

        if (res && res->r.type == SP_RESOURCE_DNS)
            update_name(c, name_of(c, record), res, now);
    }
}

void
client_dns_nat_renew(struct sp_client *c, const struct sp_uuid *resource, sp_time now)
{
    const struct client_resource *res = client_resource_find(c, resource);
    struct sp_dns_records *records = &c->dns.records;

    for (size_t i = 0; res && i < records->n; i++) {
        const struct client_name *name;

        if (!sp_dns_record_has(records->list[i], resource))
            continue;
        name = name_of(c, records->list[i]);
        /* Otherwise a name that failed because the old grant had ended would stay so. */
        sp_nat_dns_recreate(&c->dns_nat, name->domain);
        update_name(c, name, res, now);
    }
}

bool
client_dns_nat_outgoing(struct sp_client *c,
                        struct client_peer *peer,
                        const struct sp_uuid *resource,
                        const struct client_name *name,
                        struct sp_pkt *pkt,
                        sp_time now)
{
    struct sp_nat_dns_key key = { peer->id, *resource, name->domain };
    struct sp_span send;
    int r = sp_nat_dns_handle_outgoing(&c->dns_nat, &key, pkt, now, &send);

    send_control(c, peer, send, now);
    return r != SP_NAT_DNS_BUFFERED;
}

void
client_dns_handle_status(struct sp_client *c,
                         const struct sp_uuid *gateway,
                         const struct sp_uuid *resource,
                         const char *domain,
                         bool active,
                         sp_time now)
{
    struct sp_nat_dns_key key = { *gateway, *resource, domain };
    struct sp_pkt_queue released = { .max = SP_NAT_DNS_RING };
    struct sp_pkt *pkt;
    size_t freed = sp_nat_dns_handle_status(&c->dns_nat, &key, active, &released);

    if (!active)
        SP_INFO(c->cfg.log, CLIENT, "a gateway could not set up a name");
    c->drops.count[SP_DROP_NOT_ALLOWED] += freed;
    while ((pkt = sp_pkt_queue_pop(&released)) != NULL)
        client_outbound(c, pkt, now);
}

/* ---- queries ------------------------------------------------------------------------------- */

static void
reply_udp(struct sp_client *c, const struct sp_dns_client *to, struct sp_span msg)
{
    struct sp_pkt *pkt = sp_pkt_alloc(c->cfg.pool);
    struct sp_endpoint src = { .ip = to->sentinel, .port = SP_DNS_PORT };
    size_t len;

    if (pkt == NULL) {
        sp_drops_add(&c->drops, SP_DROP_NO_MEMORY);
        return;
    }
    if (sp_build_udp(sp_pkt_data(pkt), SP_MTU, &src, &to->from, msg, &len) < 0) {
        client_drop(c, pkt, SP_DROP_BAD_DNS);
        return;
    }
    pkt->len = (uint16_t)len;
    client_to_tun(c, pkt);
}

void
client_dns_reply(struct sp_client *c,
                 const struct sp_dns_client *to,
                 struct sp_span msg,
                 sp_time now)
{
    if (to->transport == SP_DNS_UDP)
        reply_udp(c, to, msg);
    else if (sp_tcp_server_answer(c->dns_tcp, to->connection, msg, now) < 0)
        SP_DEBUG(c->cfg.log, CLIENT, "who asked over TCP is gone");
}

/* SRV and TXT of a DNS resource belong to the site's own servers, which we cannot ask yet. */
static void
reply_servfail(struct sp_client *c,
               const struct sp_dns_client *to,
               const struct sp_dns_query *q,
               sp_time now)
{
    uint8_t buf[SP_DNS_EMPTY_MAX];
    int n = sp_dns_reply_empty(q, SP_DNS_RCODE_SERVFAIL, buf, sizeof buf);

    if (n > 0)
        client_dns_reply(c, to, sp_span(buf, (size_t)n), now);
}

static void
answered_locally(struct sp_client *c, const struct sp_dns_verdict *verdict, sp_time now)
{
    const struct sp_dns_record *record = verdict->record;
    struct sp_dns_name lower = sp_dns_name_lower(&verdict->query.name);

    if (record == NULL)
        record = sp_dns_records_find(&c->dns.records, &lower);
    if (record == NULL)
        return;
    if (verdict->record)
        for (size_t i = verdict->first_new; i < record->n_assoc; i++) {
            const struct client_resource *res = client_resource_find(c, &record->assoc[i].resource);

            if (res)
                add_name_routes(c, record, res);
        }
    sp_nat_dns_recreate(&c->dns_nat, name_of(c, record)->domain);
    update_record(c, record, now);
}

/* Silence over UDP; over TCP the next query waits for the answer to this one. */
static void
refuse(struct sp_client *c,
       const struct sp_dns_client *from,
       const struct sp_dns_verdict *verdict,
       sp_time now)
{
    if (from->transport == SP_DNS_UDP)
        return;
    if (verdict->outcome == SP_DNS_DROP)
        sp_tcp_server_abort(c->dns_tcp, from->connection);
    else
        reply_servfail(c, from, &verdict->query, now);
}

static void
recurse(struct sp_client *c,
        const struct sp_dns_client *from,
        const struct sp_dns_verdict *verdict,
        struct sp_span msg,
        sp_time now)
{
    if (from->transport == SP_DNS_UDP && client_dns_tunnel_wants(c, verdict->upstream)) {
        client_dns_tunnel_send(c, from, verdict, msg, now);
    } else if (sp_dns_stub_recurse(&c->dns, from, verdict, msg, now) < 0) {
        sp_drops_add(&c->drops, SP_DROP_QUEUE_FULL);
        refuse(c, from, verdict, now);
    }
}

void
client_dns_handle_query(struct sp_client *c,
                        const struct sp_dns_client *from,
                        struct sp_span msg,
                        sp_time now)
{
    uint8_t buf[SP_DNS_CACHE_MESSAGE_MAX];
    struct sp_dns_verdict verdict;

    sp_dns_stub_handle_query(&c->dns, from, msg, now, buf, sizeof buf, &verdict);
    switch (verdict.outcome) {
    case SP_DNS_DROP:
        sp_drops_add(&c->drops, SP_DROP_BAD_DNS);
        refuse(c, from, &verdict, now);
        break;
    case SP_DNS_REPLY:
        if (verdict.local)
            answered_locally(c, &verdict, now);
        client_dns_reply(c, from, sp_span(buf, verdict.reply_len), now);
        break;
    case SP_DNS_RECURSE:
        recurse(c, from, &verdict, msg, now);
        break;
    case SP_DNS_FORWARD:
        SP_DEBUG(c->cfg.log, CLIENT, "SRV and TXT of a DNS resource are not supported yet");
        reply_servfail(c, from, &verdict.query, now);
        break;
    }
}

void
client_dns_handle_packet(struct sp_client *c,
                         struct sp_pkt *pkt,
                         const struct sp_ip_view *v,
                         sp_time now)
{
    if (v->dst_proto.kind == SP_IP_PROTO_UDP && v->dst_proto.id == SP_DNS_PORT) {
        struct sp_dns_client from = {
            .transport = SP_DNS_UDP,
            .from = { .ip = v->src, .port = v->src_proto.id },
            .sentinel = v->dst,
        };
        const uint8_t *l4 = sp_pkt_data(pkt) + v->l4;

        client_dns_handle_query(
            c,
            &from,
            sp_span(l4 + SP_UDP_HEADER, (size_t)pkt->len - v->l4 - SP_UDP_HEADER),
            now);
    } else if (v->dst_proto.kind == SP_IP_PROTO_TCP) {
        sp_tcp_server_handle_packet(c->dns_tcp, pkt, v, now);
    }
    sp_pkt_free(pkt);
}

/* ---- upstream ------------------------------------------------------------------------------ */

void
client_dns_pump(struct sp_client *c)
{
    struct sp_dns_request req;

    while (sp_dns_pending_poll_request(&c->dns.pending, &req)) {
        struct sp_client_event ev = { .type = SP_CLIENT_EVENT_DNS_QUERY };

        ev.u.dns.id = req.handle;
        ev.u.dns.tcp = req.transport == SP_DNS_TCP;
        if (ev.u.dns.tcp && client_dns_tunnel_wants(c, req.upstream))
            ev.u.dns.source = req.upstream->ip.family == 4 ? c->interface.ipv4 : c->interface.ipv6;
        if (req.upstream->kind == SP_DNS_DO53)
            ev.u.dns.server = req.upstream->ip;
        else
            ev.u.dns.doh_url = sp_xstrdup(req.upstream->url);
        ev.u.dns.message = sp_xcalloc(1, req.msg.n);
        memcpy(ev.u.dns.message, req.msg.p, req.msg.n);
        ev.u.dns.len = req.msg.n;
        client_emit(c, &ev);
    }
}

static void
finish(struct sp_client *c,
       uint64_t handle,
       enum sp_dns_result result,
       struct sp_span msg,
       sp_time now)
{
    struct sp_dns_client to;
    int n =
        sp_dns_stub_finish(&c->dns, handle, result, msg, now, c->dns_buf, sizeof c->dns_buf, &to);

    if (n > 0)
        client_dns_reply(c, &to, sp_span(c->dns_buf, (size_t)n), now);
}

void
client_dns_handle_timeout(struct sp_client *c, sp_time now)
{
    uint64_t handle;

    while ((handle = sp_dns_pending_expired(&c->dns.pending, now)) != SP_DNS_HANDLE_NONE)
        finish(c, handle, SP_DNS_RESULT_TIMEOUT, sp_span(NULL, 0), now);
    client_dns_tunnel_handle_timeout(c, now);
    sp_tcp_server_handle_timeout(c->dns_tcp, now);
}

void
client_dns_handle_result(struct sp_client *c,
                         uint64_t id,
                         enum sp_client_dns_result result,
                         struct sp_span msg,
                         sp_time now)
{
    switch (result) {
    case SP_CLIENT_DNS_ANSWER:
        finish(c, id, SP_DNS_RESULT_OK, msg, now);
        break;
    case SP_CLIENT_DNS_TIMEOUT:
        finish(c, id, SP_DNS_RESULT_TIMEOUT, msg, now);
        break;
    case SP_CLIENT_DNS_FAILED:
        finish(c, id, SP_DNS_RESULT_FAILED, msg, now);
        break;
    }
}
