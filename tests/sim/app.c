/* SPDX-License-Identifier: Apache-2.0 */
/* Applications of the client: what they send, what they must and must not get (tunnel F.4). */
#include <string.h>

#include "engine/dns/message.h"
#include "engine/ip/build.h"
#include "tests/sim/sim.h"

#define PROBES_IN_A_ROW 40 /* tolerated losses before it looks like a stall */

struct sim_probe *
app_find(const struct sim *s, uint32_t id)
{
    return id < s->probes->len ? g_ptr_array_index(s->probes, id) : NULL;
}

static const char *
outcome_name(enum sim_outcome o)
{
    static const char *const names[] = { "drop",
                                         "prohibited",
                                         "gateway-reject",
                                         "round-trip",
                                         "any" };

    return names[o];
}

/* ---- sending --------------------------------------------------------------------------------- */

static bool
may_lose(struct sim *s, const struct sim_probe *p)
{
    bool lose = s->lossy;

    for (int i = 0; p->resource >= 0 && i < SIM_GATEWAYS; i++) {
        struct sim_gateway *g = &s->gateways[i];

        if (g->site != s->resources[p->resource].site)
            continue;
        if (g->disturbed && g->first_probe == SP_TIME_NEVER)
            g->first_probe = s->now;
        lose |= g->disturbed && s->now < g->first_probe + SIM_DETECT;
        lose |= g->last_traffic && s->now - g->last_traffic >= SIM_IDLE_LOSS;
    }
    return lose;
}

void
app_probe(struct sim *s, struct sim_probe *p, bool loose)
{
    uint8_t payload[8] = "prob";
    struct sp_pkt *pkt = sp_pkt_alloc(&s->pool);
    char dst[SP_IP_STR_MAX];
    size_t n;
    int r;

    p->id = s->probes->len;
    p->at = s->now;
    p->gateway = -1;
    p->src = (struct sp_endpoint){ p->dst.ip.family == 4 ? s->ipv4 : s->ipv6, s->next_port++ };
    oracle_route(s, p);
    p->loose = loose || (p->name >= 0 && s->names[p->name].shaky);
    p->may_lose = may_lose(s, p);
    g_ptr_array_add(s->probes, p);
    memcpy(payload + 4, &p->id, 4);
    if (p->udp) {
        r = sp_build_udp(sp_pkt_data(pkt), SP_MTU, &p->src, &p->dst, sp_span(payload, 8), &n);
    } else {
        p->dst.port = p->src.port;
        r = sp_build_echo(sp_pkt_data(pkt),
                          SP_MTU,
                          &p->src.ip,
                          &p->dst.ip,
                          false,
                          p->src.port,
                          (uint16_t)p->id,
                          sp_span(payload, 8),
                          &n);
    }
    g_assert_cmpint(r, ==, 0);
    pkt->len = (uint16_t)n;
    sim_note(s,
             "probe %u %s %s:%u %s, resource %s: %s%s%s",
             p->id,
             p->udp ? "udp" : "icmp",
             sp_ip_format(&p->dst.ip, dst),
             p->dst.port,
             p->name >= 0 ? s->names[p->name].text : "",
             p->resource >= 0 ? s->resources[p->resource].name : "-",
             outcome_name(p->expect),
             p->may_lose ? " (may be lost)" : "",
             p->loose ? " (loose)" : "");
    sp_client_handle_tun(s->client, pkt, s->now);
    sim_drain_client(s);
}

/* ---- at the remote --------------------------------------------------------------------------- */

static bool
in_list(const struct sp_ip *list, size_t n, const struct sp_ip *ip)
{
    for (size_t i = 0; i < n; i++)
        if (sp_ip_equal(&list[i], ip))
            return true;
    return false;
}

static bool
all_dual(const struct sim *s, int name)
{
    for (int i = 0; i < SIM_RESOURCES; i++)
        if ((s->names[name].assoc & 1u << i) && s->resources[i].stack != SP_IP_STACK_DUAL)
            return false;
    return true;
}

static void
check_name(struct sim_gateway *g, const struct sim_probe *p, const struct sp_ip_view *v)
{
    struct sim_answer *a = &g->answers[p->name];
    bool now = v->version == 4 ? in_list(a->v4, a->n4, &v->dst) : in_list(a->v6, a->n6, &v->dst);

    if (!now && (all_dual(g->sim, p->name) || !in_list(a->ever, G_N_ELEMENTS(a->ever), &v->dst)))
        sim_fail(g->sim, "probe %u reached an address that the name does not have", p->id);
    for (int k = 0; k < 2 * SIM_PROXIES; k++) {
        if (!sp_ip_equal(&g->sim->names[p->name].proxies[k], &p->dst.ip))
            continue;
        if (a->mapped[k].family && !sp_ip_equal(&a->mapped[k], &v->dst))
            sim_fail(g->sim, "a proxy address moved without a new resolution");
        a->mapped[k] = v->dst;
    }
}

/* Has the portal allowed this, as far as the gateway was told? */
static bool
is_granted(const struct sim_gateway *g, const struct sim_probe *p, const struct sp_ip *dst)
{
    const struct sim *s = g->sim;

    for (int r = 0; r < SIM_RESOURCES; r++) {
        const struct sim_grant *grant = &g->grants[r];

        if (!grant->held || grant->expires_at <= s->now - SIM_EXPIRY_SLACK
            || !oracle_permits(grant->filters, grant->n_filters, p->udp, p->dst.port))
            continue;
        switch (s->resources[r].type) {
        case SP_RESOURCE_CIDR:
            if (sp_cidr_contains(&grant->net, dst))
                return true;
            break;
        case SP_RESOURCE_DNS:
            if (p->name >= 0 && oracle_matches(s->resources[r].rank, s->names[p->name].text))
                return true;
            break;
        case SP_RESOURCE_INTERNET:
            return true;
        }
    }
    return false;
}

void
app_at_remote(struct sim_gateway *g, const struct sp_ip_view *v, uint32_t id, bool udp)
{
    struct sim *s = g->sim;
    struct sim_probe *p = app_find(s, id);

    if (!p) {
        sim_fail(s, "a probe that nobody sent reached a host");
        return;
    }
    p->remote = v->dst;
    p->gateway = g->index;
    sim_note(s, "probe %u at its host through gateway %d", id, g->index);
    if (p->requests++)
        sim_fail(s, "probe %u reached its host twice", id);
    if (p->expect != SIM_EXPECT_ROUND_TRIP && p->expect != SIM_EXPECT_ANY)
        sim_fail(s, "probe %u reached a host, expected %s", id, outcome_name(p->expect));
    if (!sp_ip_equal(&v->src, &p->src.ip) || udp != p->udp
        || (udp && v->dst_proto.id != p->dst.port))
        sim_fail(s, "probe %u was changed on its way", id);
    if (p->expect == SIM_EXPECT_ANY)
        return;
    if (!is_granted(g, p, &v->dst))
        sim_fail(s, "probe %u passed gateway %d without authorization", id, g->index);
    if (p->name >= 0 && oracle_in_proxy_range(&p->dst.ip))
        check_name(g, p, v);
    else if (!sp_ip_equal(&v->dst, &p->dst.ip) || v->src_proto.id != p->src.port)
        sim_fail(s, "probe %u was translated", id);
}

struct sim_query *
app_query_at_server(struct sim_gateway *g, const struct sp_ip_view *v, uint16_t id)
{
    struct sim *s = g->sim;
    struct sim_query *q =
        id && id <= s->queries->len ? g_ptr_array_index(s->queries, id - 1) : NULL;
    struct sim_probe p = { .udp = true, .name = -1, .dst = { v->dst, 53 } };

    if (!q || q->via < 0 || q->served) {
        sim_fail(s, "a query came through the tunnel that does not belong there");
        return NULL;
    }
    if (!is_granted(g, &p, &v->dst))
        sim_fail(s, "query %u passed gateway %d without authorization", id, g->index);
    q->served = q->recursed = true;
    sim_note(s, "query %u at its server through gateway %d", id, g->index);
    return q;
}

/* ---- answers --------------------------------------------------------------------------------- */

/* The gateway cut the access a moment ago or since, so what is under way may be lost or refused. */
static bool
access_was_cut(const struct sim *s, const struct sim_probe *p)
{
    for (int i = 0; i < SIM_GATEWAYS; i++)
        for (int r = 0; r < SIM_RESOURCES; r++) {
            const struct sim_grant *grant = &s->gateways[i].grants[r];

            if (s->gateways[i].site == s->resources[p->resource].site && grant->cut_at
                && grant->cut_at + SP_SEC(2) >= p->at && grant->cut_at <= s->now)
                return true;
        }
    return false;
}

static bool
may_refuse(const struct sim *s, const struct sim_probe *p)
{
    for (int i = 0; i < SIM_GATEWAYS; i++) {
        const struct sim_gateway *g = &s->gateways[i];
        const struct sim_grant *grant = &g->grants[p->resource];

        if (g->site != s->resources[p->resource].site)
            continue;
        if ((grant->cut_at || g->epoch > 1)
            && (!portal_grant_live(g, p->resource, s->now)
                || grant->granted_at + SP_SEC(2) > s->now))
            return true;
    }
    return access_was_cut(s, p);
}

static bool
may_be_unreachable(const struct sim *s, const struct sim_probe *p)
{
    for (int i = 0; p->name >= 0 && i < SIM_GATEWAYS; i++) {
        const struct sim_answer *a = &s->gateways[i].answers[p->name];
        size_t n = p->dst.ip.family == 4 ? a->n4 : a->n6;
        sp_time lacked = p->dst.ip.family == 4 ? a->lacks4_at : a->lacks6_at;

        if (lacked && (n == 0 || lacked + SP_SEC(5) > p->at || !all_dual(s, p->name)))
            return true;
    }
    return false;
}

static void
check_error(struct sim *s, struct sim_probe *p, const struct sp_icmp_error *err)
{
    bool prohibited = sp_icmp_is_prohibited(err), unreachable = sp_icmp_is_unreachable(err);
    uint8_t type, code;
    uint32_t word2;

    if (p->requests) {
        unsigned kind = hosts_reply_kind(s, &p->remote);

        if (kind)
            hosts_icmp_of(kind, p->dst.ip.family, &type, &code, &word2);
        if (!kind || err->type != type || err->code != code || err->mtu != word2)
            sim_fail(s, "probe %u got error %u/%u", p->id, err->type, err->code);
    } else if (p->expect == SIM_EXPECT_PROHIBITED) {
        if (!prohibited)
            sim_fail(s, "probe %u got the wrong refusal", p->id);
    } else if (p->expect == SIM_EXPECT_GW_REJECT) {
        if ((p->gw_unreachable ? !unreachable : !prohibited) && !may_refuse(s, p))
            sim_fail(s, "probe %u got the wrong refusal of the gateway", p->id);
    } else if (p->expect == SIM_EXPECT_ROUND_TRIP) {
        if (prohibited && !p->loose && !may_refuse(s, p))
            sim_fail(s, "probe %u was refused by the gateway", p->id);
        if (unreachable && !p->loose && !may_be_unreachable(s, p))
            sim_fail(s, "probe %u got unreachable though the name has addresses", p->id);
        if (!prohibited && !unreachable)
            sim_fail(s, "probe %u got an error of nobody", p->id);
    } else if (p->expect == SIM_EXPECT_DROP) {
        sim_fail(s, "probe %u was to be dropped silently", p->id);
    }
}

static void
receive_error(struct sim *s, const struct sp_ip_view *v, const struct sp_icmp_error *err)
{
    struct sim_probe *p = app_find(s, (uint32_t)(err->src_proto.id - 20000));

    if (!p || p->udp != (err->src_proto.kind == SP_IP_PROTO_UDP)) {
        sim_fail(s, "an ICMP error about nothing that was sent");
        return;
    }
    sim_note(s, "probe %u got ICMP %u/%u", p->id, err->type, err->code);
    if (!sp_ip_equal(&v->src, &p->dst.ip) || !sp_ip_equal(&err->dst, &p->dst.ip)
        || !sp_ip_equal(&err->src, &p->src.ip) || err->dst_proto.id != p->dst.port)
        sim_fail(s, "probe %u got an error that does not quote it", p->id);
    if (p->responses++)
        sim_fail(s, "probe %u got two answers", p->id);
    check_error(s, p, err);
}

static void
receive_reply(struct sim *s, const uint8_t *bytes, const struct sp_ip_view *v)
{
    uint32_t id = UINT32_MAX;
    struct sim_probe *p;

    if (v->len == v->l4 + 16 && !memcmp(bytes + v->l4 + 8, "prob", 4))
        memcpy(&id, bytes + v->l4 + 12, 4);
    p = app_find(s, id);
    if (!p || p->requests != 1) {
        sim_fail(s, "the client got a packet that nobody sent");
        return;
    }
    sim_note(s, "probe %u answered", id);
    s->round_trips++;
    if (!sp_ip_equal(&v->src, &p->dst.ip) || v->src_proto.id != p->dst.port
        || v->dst_proto.id != p->src.port)
        sim_fail(s, "probe %u was answered from another address, port or id", id);
    if (hosts_reply_kind(s, &p->remote))
        sim_fail(s, "probe %u was answered by a host that never answers", id);
    if (p->responses++)
        sim_fail(s, "probe %u got two answers", id);
}

/* ---- DNS ------------------------------------------------------------------------------------- */

void
app_query(struct sim *s, struct sim_query *q)
{
    struct sp_dns_query dns = { .rd = true, .qtype = q->qtype, .qclass = SP_DNS_CLASS_IN };
    struct sp_endpoint src, dst;
    struct sp_pkt *pkt = sp_pkt_alloc(&s->pool);
    uint8_t msg[SP_DNS_EMPTY_MAX];
    const struct sp_ip *up;
    unsigned server;
    size_t n;
    int len;

    if (s->tun.n_dns == 0) {
        sp_pkt_free(pkt);
        g_free(q);
        return;
    }
    q->id = dns.id = (uint16_t)(s->queries->len + 1);
    server = sim_draw(s, (unsigned)s->tun.n_dns);
    q->sentinel = s->tun.dns[server].sentinel;
    up = &s->tun.dns[server].upstream;
    q->via = oracle_tunnels(s, up);
    if (q->via >= 0)
        q->may_lose = may_lose(s, &(struct sim_probe){ .resource = q->via })
                      || (s->resources[q->via].type == SP_RESOURCE_INTERNET
                          && up->b[0] == 10); /* a private server: the gateway rejects it */
    q->port = (uint16_t)(10000 + s->queries->len);
    q->at = s->now;
    g_ptr_array_add(s->queries, q);
    g_assert_cmpint(sp_dns_name_parse(q->text, &dns.name), ==, 0);
    len = sp_dns_query_build(&dns, msg, sizeof msg);
    src = (struct sp_endpoint){ q->sentinel.family == 4 ? s->ipv4 : s->ipv6, q->port };
    dst = (struct sp_endpoint){ q->sentinel, 53 };
    g_assert_cmpint(
        sp_build_udp(sp_pkt_data(pkt), SP_MTU, &src, &dst, sp_span(msg, (size_t)len), &n),
        ==,
        0);
    pkt->len = (uint16_t)n;
    sim_note(s, "query %u for %s type %u", q->id, q->text, q->qtype);
    sp_client_handle_tun(s->client, pkt, s->now);
    sim_drain_client(s);
}

struct match {
    bool any, v4, v6;
};

static struct match
match_name(const struct sim *s, int name)
{
    struct match m = { 0 };

    for (int i = 0; name >= 0 && i < SIM_RESOURCES; i++) {
        const struct sim_resource *r = &s->resources[i];

        if (!r->live || r->type != SP_RESOURCE_DNS || !oracle_matches(r->rank, s->names[name].text))
            continue;
        m.any = true;
        m.v4 |= oracle_stack(r->stack, 4);
        m.v6 |= oracle_stack(r->stack, 6);
    }
    return m;
}

static void
associate(struct sim *s, int name)
{
    for (int i = 0; i < SIM_RESOURCES; i++)
        if (s->resources[i].live && s->resources[i].type == SP_RESOURCE_DNS
            && oracle_matches(s->resources[i].rank, s->names[name].text))
            s->names[name].assoc |= 1u << i;
    s->names[name].shaky = false;
}

/* Proxy addresses: four per family, never another's, always the same (A.3). */
static void
check_proxies(struct sim *s, const struct sim_query *q, const struct sp_ip *ips, size_t n)
{
    struct sim_name *name = &s->names[q->name];
    size_t base = q->qtype == SP_DNS_TYPE_A ? 0 : SIM_PROXIES;

    if (n != SIM_PROXIES)
        sim_fail(s, "query %u got %zu addresses", q->id, n);
    for (size_t i = 0; i < n && i < SIM_PROXIES; i++) {
        int owner = oracle_name_of_proxy(s, &ips[i]);
        struct sp_ip *slot = &name->proxies[base + i];

        if (!oracle_in_proxy_range(&ips[i]) || (owner >= 0 && owner != q->name))
            sim_fail(s, "query %u got an address of another name", q->id);
        if (slot->family && !sp_ip_equal(slot, &ips[i]))
            sim_fail(s, "the proxy addresses of %s moved", q->text);
        *slot = ips[i];
        name->have_proxies = true;
    }
}

/* May a query through the tunnel fail without being asked to? */
static bool
may_fail(const struct sim *s, const struct sim_query *q)
{
    struct sim_probe p = { .resource = q->via, .name = -1, .at = q->at };

    return q->via >= 0 && (q->silent || q->may_lose || may_refuse(s, &p));
}

static void
check_records(struct sim *s, const struct sim_query *q, struct sp_span msg)
{
    struct sp_dns_response resp;
    struct sp_dns_walk walk;
    struct sp_dns_rr rr;
    struct sp_ip ips[8];
    size_t n = 0;
    struct match m = match_name(s, q->name);
    bool address = q->qtype == SP_DNS_TYPE_A || q->qtype == SP_DNS_TYPE_AAAA;
    int ptr = q->qtype == SP_DNS_TYPE_PTR ? oracle_name_of_proxy(s, &q->reversed) : -1;

    if (sp_dns_response_parse(msg, &resp) < 0 || resp.id != q->id || resp.qtype != q->qtype) {
        sim_fail(s, "query %u got an answer that does not parse", q->id);
        return;
    }
    walk = sp_dns_walk(msg, &resp);
    while (sp_dns_walk_next(&walk, &rr) == 1) {
        struct sp_dns_name target;
        char text[SP_DNS_TEXT_MAX];

        if (n < 8 && sp_dns_rr_ip(&rr, &ips[n]) == 0)
            n++;
        if (((m.any && address) || ptr >= 0) && rr.ttl != 1)
            sim_fail(s, "query %u: TTL %u", q->id, rr.ttl);
        if (ptr >= 0
            && (sp_dns_rr_target(msg, &rr, &target) < 0
                || strcmp(sp_dns_name_format(&target, text), s->names[ptr].text)))
            sim_fail(s, "query %u: wrong name for a proxy address", q->id);
    }
    if (m.any && address) {
        if (q->qtype == SP_DNS_TYPE_A ? m.v4 : m.v6)
            check_proxies(s, q, ips, n);
        else if (resp.n_answer || resp.rcode)
            sim_fail(s, "query %u: addresses of a family that no resource has", q->id);
        associate(s, q->name);
    } else if (m.any && q->qtype == SP_DNS_TYPE_HTTPS) {
        if (resp.n_answer || resp.rcode || q->recursed)
            sim_fail(s, "query %u: HTTPS of a resource must be empty", q->id);
    } else if (m.any && q->qtype == SP_DNS_TYPE_TXT) {
        if (resp.rcode != SP_DNS_RCODE_SERVFAIL)
            sim_fail(s, "query %u: TXT of a resource is not supported yet", q->id);
    } else if (ptr >= 0) {
        if (resp.n_answer != 1)
            sim_fail(s, "query %u: no name for a proxy address", q->id);
    } else if (resp.rcode == SP_DNS_RCODE_SERVFAIL && may_fail(s, q)) {
        sim_note(s, "query %u failed, tolerated", q->id);
    } else if (q->recursed && q->failing) {
        if (resp.rcode != SP_DNS_RCODE_SERVFAIL)
            sim_fail(s, "query %u: expected SERVFAIL", q->id);
    } else if (resp.rcode || resp.n_answer != (q->qtype == SP_DNS_TYPE_A)
               || (n == 1 && ips[0].b[0] != 203)) {
        sim_fail(s, "query %u: not what the server said", q->id);
    }
}

static void
receive_dns(struct sim *s, const uint8_t *bytes, const struct sp_ip_view *v)
{
    struct sim_query *q = NULL;
    guint i = (guint)(v->dst_proto.id - 10000);

    if (i < s->queries->len)
        q = g_ptr_array_index(s->queries, i);
    if (!q || !sp_ip_equal(&q->sentinel, &v->src)) {
        sim_fail(s, "a DNS answer that nobody waits for");
        return;
    }
    if (q->answers++)
        sim_fail(s, "query %u was answered twice", q->id);
    if (q->recursed && q->silent && q->via < 0)
        sim_fail(s, "query %u was answered though its server is silent", q->id);
    check_records(s, q, sp_span(bytes + v->l4 + 8, (size_t)v->len - v->l4 - 8));
}

/* ---- the TUN device -------------------------------------------------------------------------- */

void
app_receive(struct sim *s, struct sp_pkt *pkt)
{
    const uint8_t *p = sp_pkt_data(pkt);
    struct sp_icmp_error err;
    struct sp_ip_view v;

    if (sp_packet_parse(p, pkt->len, &v) != 0 || !sp_packet_checksums_ok(p, &v))
        sim_fail(s, "the client put a broken packet on its TUN device");
    else if (!sp_ip_equal(&v.dst, v.version == 4 ? &s->ipv4 : &s->ipv6))
        sim_fail(s, "the client got a packet that is not for it");
    else if (v.src_proto.kind == SP_IP_PROTO_UDP && v.src_proto.id == 53)
        receive_dns(s, p, &v);
    else if (sp_icmp_error_parse(p, &v, &err) == SP_ICMP_IS_ERROR)
        receive_error(s, &v, &err);
    else
        receive_reply(s, p, &v);
    sp_pkt_free(pkt);
}

/* ---- verdict --------------------------------------------------------------------------------- */

bool
app_pending(const struct sim *s)
{
    for (guint i = s->probes->len; i-- > 0;) {
        const struct sim_probe *p = g_ptr_array_index(s->probes, i);

        if (p->done)
            break;
        if (!p->responses && !p->loose && p->expect != SIM_EXPECT_DROP
            && p->expect != SIM_EXPECT_ANY)
            return true;
    }
    for (guint i = s->queries->len; i-- > 0;) {
        const struct sim_query *q = g_ptr_array_index(s->queries, i);

        if (q->done)
            break;
        if (!q->answers && !(q->recursed && q->silent && q->via < 0))
            return true;
    }
    return false;
}

static void
judge_probe(struct sim *s, struct sim_probe *p)
{
    p->done = true;
    if (p->responses && p->gateway >= 0)
        s->gateways[p->gateway].disturbed = false;
    if (p->responses)
        s->lost_in_a_row = 0;
    if (p->responses || p->loose || p->expect == SIM_EXPECT_DROP || p->expect == SIM_EXPECT_ANY)
        return;
    if (p->resource >= 0 && p->expect != SIM_EXPECT_PROHIBITED
        && (p->may_lose || access_was_cut(s, p)
            || (p->name >= 0 && (s->names[p->name].shaky || may_refuse(s, p))))) {
        sim_note(s, "probe %u lost, tolerated", p->id);
        if (++s->lost_in_a_row > PROBES_IN_A_ROW)
            sim_fail(s, "nothing gets through any more");
        return;
    }
    sim_fail(s,
             "probe %u: expected %s, %s",
             p->id,
             outcome_name(p->expect),
             p->requests ? "the answer was lost" : "it never arrived");
}

void
app_judge(struct sim *s)
{
    for (guint i = s->probes->len; i-- > 0;) {
        struct sim_probe *p = g_ptr_array_index(s->probes, i);

        if (p->done)
            break;
        judge_probe(s, p);
    }
    for (guint i = s->queries->len; i-- > 0;) {
        struct sim_query *q = g_ptr_array_index(s->queries, i);

        if (q->done)
            break;
        q->done = true;
        if (!q->answers && !(q->recursed && q->silent && q->via < 0))
            sim_fail(s, "query %u for %s was never answered", q->id, q->text);
    }
}
