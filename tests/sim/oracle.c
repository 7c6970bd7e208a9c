/* SPDX-License-Identifier: Apache-2.0 */
/* What the spec says must happen, from the portal's data alone: tunnel F.3, A.3, A.5, A.7, A.12. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

/* In the order of A.2: an exact name before ?, before *, before **. */
static const char *const patterns[] = {
    "app.corp.test", "db.corp.test", "corp.test",    "other.test",
    "?b.corp.test",  "*.corp.test",  "**.corp.test",
};
const int oracle_n_patterns = G_N_ELEMENTS(patterns);

const char *
oracle_pattern(int rank)
{
    return patterns[rank];
}

/* Glob by labels from the right, written for the few shapes above. */
bool
oracle_matches(int rank, const char *name)
{
    const char *p = patterns[rank], *rest = strchr(p, '.') + 1;
    size_t n = strlen(name), m = strlen(rest);
    const char *head;

    if (p[0] != '*' && p[0] != '?')
        return strcmp(p, name) == 0;
    if (p[0] == '*' && strcmp(rest, name) == 0)
        return true;
    if (n <= m + 1 || strcmp(name + n - m, rest) || name[n - m - 1] != '.')
        return false;
    if (p[1] == '*')
        return true;
    head = memchr(name, '.', n - m - 1);
    if (head)
        return false;
    return p[0] == '*' || (n - m - 1 == 2 && name[1] == 'b');
}

bool
oracle_permits(const struct sp_filter_rule *f, size_t n, bool udp, uint16_t port)
{
    if (n == 0)
        return true;
    for (size_t i = 0; i < n; i++)
        if (udp ? f[i].proto == SP_FILTER_UDP && port >= f[i].port_start && port <= f[i].port_end
                : f[i].proto == SP_FILTER_ICMP)
            return true;
    return false;
}

bool
oracle_stack(enum sp_ip_stack stack, uint8_t family)
{
    if (stack == SP_IP_STACK_DUAL)
        return true;
    return (stack == SP_IP_STACK_IPV4_ONLY) == (family == 4);
}

static bool
in_range(const struct sp_ip *ip, uint8_t second4, uint8_t seventh6)
{
    static const uint8_t prefix[6] = { 0xfd, 0, 0x20, 0x21, 0x11, 0x11 };

    if (ip->family == 4)
        return ip->b[0] == 100 && (ip->b[1] & 0xe0) == second4;
    return !memcmp(ip->b, prefix, 6) && ip->b[6] == seventh6 && ip->b[7] == 0 && ip->b[8] == 0
           && ip->b[9] == 0 && ip->b[10] == 0 && ip->b[11] == 0 && ip->b[12] == 0
           && ip->b[13] < 0x20;
}

bool
oracle_in_peer_range(const struct sp_ip *ip)
{
    return in_range(ip, 64, 0);
}

bool
oracle_in_proxy_range(const struct sp_ip *ip)
{
    return in_range(ip, 96, 0x80);
}

int
oracle_name_of_proxy(const struct sim *s, const struct sp_ip *ip)
{
    for (int i = 0; i < SIM_NAMES; i++)
        for (int k = 0; s->names[i].have_proxies && k < 2 * SIM_PROXIES; k++)
            if (s->names[i].proxies[k].family && sp_ip_equal(&s->names[i].proxies[k], ip))
                return i;
    return -1;
}

/* ---- routing --------------------------------------------------------------------------------- */

static bool
better(const struct sim *s, const struct sim_probe *p, int a, int b)
{
    const struct sim_resource *x = &s->resources[a], *y;
    bool px, py;

    if (b < 0)
        return true;
    y = &s->resources[b];
    px = oracle_permits(x->filters, x->n_filters, p->udp, p->dst.port);
    py = oracle_permits(y->filters, y->n_filters, p->udp, p->dst.port);
    if (px != py)
        return px;
    if (x->type == SP_RESOURCE_DNS && x->rank != y->rank)
        return x->rank < y->rank;
    if (x->type == SP_RESOURCE_CIDR && x->net.len != y->net.len)
        return x->net.len > y->net.len;
    return memcmp(x->id.b, y->id.b, 16) > 0;
}

static int
best(const struct sim *s, const struct sim_probe *p, enum sp_resource_type type)
{
    int found = -1;

    for (int i = 0; i < SIM_RESOURCES; i++) {
        const struct sim_resource *r = &s->resources[i];
        bool covers = false;

        if (!r->live || r->type != type)
            continue;
        if (type == SP_RESOURCE_DNS)
            covers = p->name >= 0 && (s->names[p->name].assoc & 1u << i)
                     && oracle_matches(r->rank, s->names[p->name].text)
                     && oracle_stack(r->stack, p->dst.ip.family);
        else if (type == SP_RESOURCE_CIDR)
            covers = sp_cidr_contains(&r->net, &p->dst.ip);
        else
            covers = s->internet_active && !oracle_in_peer_range(&p->dst.ip);
        if (covers && better(s, p, i, found))
            found = i;
    }
    return found;
}

/* A network with filters never permits TCP here, so only one without carries DNS. */
int
oracle_tunnels(const struct sim *s, const struct sp_ip *ip)
{
    struct sim_probe p = { .udp = true, .name = -1, .dst = { *ip, 53 } };
    int r;

    if (s->n_portal_dns == 0)
        return -1;
    r = best(s, &p, SP_RESOURCE_CIDR);
    if (r >= 0)
        return s->resources[r].n_filters ? -1 : r;
    return best(s, &p, SP_RESOURCE_INTERNET);
}

static bool
internet_rejects(const struct sp_ip *ip)
{
    if (ip->family == 4)
        return ip->b[0] == 10 || (ip->b[0] == 192 && ip->b[1] == 168)
               || (ip->b[0] == 172 && (ip->b[1] & 0xf0) == 16);
    return (ip->b[0] & 0xfe) == 0xfc;
}

void
oracle_route(const struct sim *s, struct sim_probe *p)
{
    const struct sim_resource *r;

    p->name = oracle_name_of_proxy(s, &p->dst.ip);
    p->resource = best(s, p, SP_RESOURCE_DNS);
    if (p->resource < 0)
        p->resource = best(s, p, SP_RESOURCE_CIDR);
    if (p->resource < 0)
        p->resource = best(s, p, SP_RESOURCE_INTERNET);
    if (p->resource < 0) {
        p->expect = oracle_in_peer_range(&p->dst.ip) ? SIM_EXPECT_ANY : SIM_EXPECT_DROP;
        return;
    }
    r = &s->resources[p->resource];
    p->expect = SIM_EXPECT_ROUND_TRIP;
    if (!oracle_permits(r->filters, r->n_filters, p->udp, p->dst.port))
        p->expect = SIM_EXPECT_PROHIBITED;
    else if (r->type == SP_RESOURCE_INTERNET && oracle_in_proxy_range(&p->dst.ip))
        p->expect = SIM_EXPECT_GW_REJECT;
    else if (r->type == SP_RESOURCE_INTERNET && internet_rejects(&p->dst.ip)) {
        p->expect = SIM_EXPECT_GW_REJECT;
        p->gw_unreachable = true;
    }
}

/* ---- configuration --------------------------------------------------------------------------- */

size_t
oracle_servers(const struct sim *s, struct sp_ip out[3])
{
    size_t n = s->n_portal_dns ? s->n_portal_dns : s->n_system_dns;

    memcpy(out, s->n_portal_dns ? s->portal_dns : s->system_dns, n * sizeof *out);
    return n;
}

static bool
has_route(const struct sim *s, const struct sp_cidr *net)
{
    for (size_t i = 0; i < s->tun.n_routes; i++)
        if (sp_cidr_equal(&s->tun.routes[i], net))
            return true;
    return false;
}

static int
compare_nets(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct sp_cidr));
}

static void
check_routes(struct sim *s)
{
    static const char *const fixed[] = {
        "100.64.0.0/11",    "fd00:2021:1111::/107",
        "100.96.0.0/11",    "fd00:2021:1111:8000::/107",
        "100.100.111.0/24", "fd00:2021:1111:8000:100:100:111:0/120",
    };
    struct sp_cidr want[8 + SIM_RESOURCES] = { 0 };
    size_t n = 0, unique = 0;

    for (size_t i = 0; i < G_N_ELEMENTS(fixed); i++)
        g_assert_cmpint(sp_cidr_parse(fixed[i], &want[n++]), ==, 0);
    for (int i = 0; i < SIM_RESOURCES; i++) {
        const struct sim_resource *r = &s->resources[i];

        if (r->live && r->type == SP_RESOURCE_CIDR)
            want[n++] = r->net;
        if (r->live && r->type == SP_RESOURCE_INTERNET && s->internet_active) {
            want[n++] = (struct sp_cidr){ .ip = { .family = 4 } };
            want[n++] = (struct sp_cidr){ .ip = { .family = 6 } };
        }
    }
    qsort(want, n, sizeof *want, compare_nets);
    for (size_t i = 0; i < n; i++) {
        unique += i == 0 || compare_nets(&want[i - 1], &want[i]) != 0;
        if (!has_route(s, &want[i]))
            sim_fail(s, "a route is missing");
    }
    if (unique != s->tun.n_routes)
        sim_fail(s, "%zu routes, expected %zu", s->tun.n_routes, unique);
}

void
oracle_check_tun(struct sim *s)
{
    struct sp_ip want[3];
    size_t n = oracle_servers(s, want);

    if (!s->have_tun) {
        sim_fail(s, "no TUN configuration");
        return;
    }
    if (!sp_ip_equal(&s->tun.ipv4, &s->ipv4) || !sp_ip_equal(&s->tun.ipv6, &s->ipv6))
        sim_fail(s, "wrong tunnel address");
    check_routes(s);
    if (s->tun.n_dns != n)
        sim_fail(s, "%zu DNS servers, expected %zu", s->tun.n_dns, n);
    for (size_t i = 0; i < MIN(n, s->tun.n_dns); i++) {
        bool found = false;

        for (size_t k = 0; k < s->tun.n_dns; k++)
            found |= sp_ip_equal(&s->tun.dns[k].upstream, &want[i]);
        if (!found || s->tun.dns[i].sentinel.family != s->tun.dns[i].upstream.family)
            sim_fail(s, "a DNS server is missing or has a sentinel of the other family");
    }
}

static int
compare_resources(const void *a, const void *b)
{
    const struct sim_resource *x = *(struct sim_resource *const *)a;
    const struct sim_resource *y = *(struct sim_resource *const *)b;
    bool ix = x->type == SP_RESOURCE_INTERNET, iy = y->type == SP_RESOURCE_INTERNET;
    int order;

    if (ix != iy)
        return ix ? -1 : 1;
    order = strcmp(x->name, y->name);
    return order ? order : memcmp(x->id.b, y->id.b, 16);
}

static void
check_line(struct sim *s,
           const struct sim_resource *r,
           const struct sp_client_resource_view *view,
           bool connected)
{
    if (!sp_uuid_equal(&view->resource.id, &r->id) || g_strcmp0(view->resource.name, r->name)
        || (r->type != SP_RESOURCE_INTERNET && g_strcmp0(view->resource.address, r->address)))
        sim_fail(s, "the resource list has another entry than %s at its place", r->name);
    if (view->enabled != (r->type != SP_RESOURCE_INTERNET || s->internet_active))
        sim_fail(s, "%s is shown with the wrong switch", r->name);
    if (view->status == SP_RESOURCE_ONLINE && !connected)
        sim_fail(s, "%s is shown online without a connection", r->name);
    if (view->status == SP_RESOURCE_OFFLINE
        && (s->offline_at[r->site] == 0 || s->now > s->offline_at[r->site] + SP_SEC(301)))
        sim_fail(s, "%s is shown offline for too long", r->name);
}

void
oracle_check_list(struct sim *s)
{
    const struct sim_resource *want[SIM_RESOURCES];
    struct sp_peer_view peers[SIM_GATEWAYS];
    size_t n = 0, n_peers = sp_client_peers(s->client, peers, SIM_GATEWAYS);

    if (!s->have_list || s->failure)
        return;
    for (int i = 0; i < SIM_RESOURCES; i++)
        if (s->resources[i].live)
            want[n++] = &s->resources[i];
    qsort(want, n, sizeof *want, compare_resources);
    if (n != s->list.u.resources.n)
        sim_fail(s, "%zu resources listed, expected %zu", s->list.u.resources.n, n);
    for (size_t i = 0; i < n && !s->failure; i++) {
        bool connected = false;

        for (size_t k = 0; k < n_peers; k++)
            for (int g = 0; g < SIM_GATEWAYS; g++)
                connected |= sp_uuid_equal(&peers[k].peer, &s->gateways[g].id)
                             && s->gateways[g].site == want[i]->site
                             && strcmp(peers[k].state, "connecting") != 0;
        check_line(s, want[i], &s->list.u.resources.list[i], connected);
    }
}
