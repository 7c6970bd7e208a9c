/* SPDX-License-Identifier: Apache-2.0 */
/* Transitions (tunnel F.2), drawn from the seed one after the other; each ends settled. */
#include <string.h>

#include "engine/dns/message.h"
#include "tests/sim/sim.h"

static const char *const names[SIM_NAMES] = {
    "app.corp.test", "db.corp.test", "www.corp.test", "x.y.corp.test",
    "corp.test",     "other.test",   "fb.corp.test",  "a.b.c.corp.test",
};

static const char *const nets[] = {
    "10.0.0.0/16", "10.0.1.0/24",  "10.0.1.128/25", "10.9.0.0/16",
    "fd77:1::/64", "fd77:1::/112", "fd77:2::/48",
};

/* ---- drawing --------------------------------------------------------------------------------- */

static void
draw_records(struct sim *s, int i)
{
    struct sim_name *n = &s->names[i];
    uint8_t last = (uint8_t)(1 + sim_draw(s, 40));

    n->text = names[i];
    n->n4 = sim_draw(s, 4);
    n->n6 = sim_draw(s, 3);
    for (size_t k = 0; k < n->n4; k++)
        n->v4[k] = sp_ip4(172, 20, (uint8_t)i, (uint8_t)(last + 5 * k));
    for (size_t k = 0; k < n->n6; k++)
        n->v6[k] =
            (struct sp_ip){ 6, { 0xfd, 0x20, 0, (uint8_t)i, [15] = (uint8_t)(last + 5 * k) } };
}

static void
draw_filters(struct sim *s, struct sim_resource *r)
{
    r->n_filters = 0;
    switch (sim_draw(s, 6)) {
    case 0:
        r->filters[r->n_filters++] = (struct sp_filter_rule){ SP_FILTER_UDP, 1000, 2000 };
        r->filters[r->n_filters++] = (struct sp_filter_rule){ .proto = SP_FILTER_ICMP };
        break;
    case 1:
        r->filters[r->n_filters++] = (struct sp_filter_rule){ SP_FILTER_UDP, 1000, 2000 };
        break;
    case 2:
        r->filters[r->n_filters++] = (struct sp_filter_rule){ .proto = SP_FILTER_ICMP };
        break;
    default:
        break;
    }
}

static void
draw_net(struct sim *s, struct sim_resource *r)
{
    g_strlcpy(r->address, nets[sim_draw(s, G_N_ELEMENTS(nets))], sizeof r->address);
    g_assert_cmpint(sp_cidr_parse(r->address, &r->net), ==, 0);
}

static void
draw_resource(struct sim *s, int i)
{
    struct sim_resource *r = &s->resources[i];

    r->id = sp_uuid_random(&s->rng);
    r->site = s->gateways[sim_draw(s, 2)].site;
    r->stack = (enum sp_ip_stack)(sim_draw(s, 3) ? 0 : 1 + sim_draw(s, 2));
    if (i == 0) { /* at most one, in its own site */
        r->type = SP_RESOURCE_INTERNET;
        r->site = 2;
        r->stack = SP_IP_STACK_DUAL;
        g_strlcpy(r->name, "Internet", sizeof r->name);
        return;
    }
    r->type = i % 2 ? SP_RESOURCE_DNS : SP_RESOURCE_CIDR;
    g_snprintf(r->name, sizeof r->name, "%s-%d", i % 2 ? "dns" : "cidr", i);
    draw_filters(s, r);
    if (r->type == SP_RESOURCE_CIDR) {
        draw_net(s, r);
    } else {
        r->rank = (int)sim_draw(s, (unsigned)oracle_n_patterns);
        g_strlcpy(r->address, oracle_pattern(r->rank), sizeof r->address);
    }
}

static int
pick(struct sim *s, bool live, int type)
{
    int list[SIM_RESOURCES], n = 0;

    for (int i = 0; i < SIM_RESOURCES; i++)
        if (s->resources[i].live == live && (type < 0 || (int)s->resources[i].type == type))
            list[n++] = i;
    return n ? list[sim_draw(s, (unsigned)n)] : -1;
}

/* ---- traffic --------------------------------------------------------------------------------- */

static void
query(struct sim *s, const char *text, int name, uint16_t qtype)
{
    struct sim_query *q = g_new0(struct sim_query, 1);
    unsigned fate = sim_draw(s, 10);

    g_strlcpy(q->text, text, sizeof q->text);
    q->name = name;
    q->qtype = qtype;
    q->silent = fate == 0;
    q->failing = fate == 1;
    app_query(s, q);
}

static struct sp_ip
draw_address(struct sim *s)
{
    static const char *const others[] = {
        "198.51.100.9", "192.168.7.7",  "10.200.1.1", "2001:db8:99::5",
        "fd99::1",      "100.96.200.1", "100.64.1.1", "100.64.9.9",
    };
    struct sp_ip ip;
    int r;

    switch (sim_draw(s, 10)) {
    case 0:
        g_assert_cmpint(sp_ip_parse(others[sim_draw(s, G_N_ELEMENTS(others))], &ip), ==, 0);
        return ip;
    case 1:
    case 2:
    case 3:
    case 4:
        r = pick(s, true, SP_RESOURCE_CIDR);
        if (r >= 0)
            return sp_ip_add(&s->resources[r].net.ip, 1 + sim_draw(s, 100));
        break;
    default:
        break;
    }
    for (int tries = 0; tries < 8; tries++) {
        const struct sim_name *n = &s->names[sim_draw(s, SIM_NAMES)];
        const struct sp_ip *p = &n->proxies[sim_draw(s, 2 * SIM_PROXIES)];

        if (n->have_proxies && p->family)
            return *p;
    }
    return sp_ip4(198, 51, 100, 3);
}

static void
probe(struct sim *s, bool loose)
{
    struct sim_probe *p = g_new0(struct sim_probe, 1);

    p->dst.ip = draw_address(s);
    p->udp = sim_draw(s, 3) != 0;
    p->dst.port = sim_draw(s, 4) ? 1500 : 3000;
    app_probe(s, p, loose);
}

static void
probes(struct sim *s, bool loose)
{
    unsigned n = 1 + sim_draw(s, 4);

    while (n--) {
        probe(s, loose);
        if (sim_draw(s, 2))
            sim_run(s, SP_MS(sim_draw(s, 400)));
    }
}

static void
step_probes(struct sim *s)
{
    probes(s, false);
}

static void
step_lookup_and_probe(struct sim *s)
{
    int name = (int)sim_draw(s, SIM_NAMES);

    query(s, names[name], name, sim_draw(s, 2) ? SP_DNS_TYPE_A : SP_DNS_TYPE_AAAA);
    if (sim_draw(s, 2))
        sim_settle(s);
    probes(s, false);
}

static void
step_query(struct sim *s)
{
    static const uint16_t types[] = { SP_DNS_TYPE_A,   SP_DNS_TYPE_AAAA, SP_DNS_TYPE_HTTPS,
                                      SP_DNS_TYPE_TXT, SP_DNS_TYPE_MX,   SP_DNS_TYPE_A };
    int name = (int)sim_draw(s, SIM_NAMES);
    const struct sp_ip *proxy = &s->names[name].proxies[sim_draw(s, 2 * SIM_PROXIES)];

    if (sim_draw(s, 4) == 0 && proxy->family) {
        struct sim_query *q = g_new0(struct sim_query, 1);
        struct sp_dns_name reverse = sp_dns_name_from_ip(proxy);
        char text[SP_DNS_TEXT_MAX];

        g_strlcpy(q->text, sp_dns_name_format(&reverse, text), sizeof q->text);
        q->name = -1;
        q->qtype = SP_DNS_TYPE_PTR;
        q->reversed = *proxy;
        app_query(s, q);
    } else if (sim_draw(s, 3) == 0) {
        query(s,
              sim_draw(s, 2) ? "www.outside.test" : "cdn.outside.test",
              -1,
              types[sim_draw(s, 6)]);
    } else {
        query(s, names[name], name, types[sim_draw(s, 6)]);
    }
}

/* ---- administration -------------------------------------------------------------------------- */

static void
disturb(struct sim *s, int only)
{
    for (int i = 0; i < SIM_GATEWAYS; i++)
        if (only < 0 || only == i) {
            s->gateways[i].disturbed = true;
            s->gateways[i].first_probe = SP_TIME_NEVER;
        }
}

static void
step_add(struct sim *s)
{
    int r = pick(s, false, -1);

    if (r < 0)
        return;
    s->resources[r].live = true;
    sim_note(s, "add %s %s", s->resources[r].name, s->resources[r].address);
    portal_send_resource(s, r);
}

static void
remove_resource(struct sim *s, int r)
{
    sim_note(s, "remove %s", s->resources[r].name);
    portal_delete_resource(s, r);
    portal_revoke(s, r);
    s->resources[r].live = false;
    if (r == 0)
        s->internet_active = false; /* A.1: removal clears the switch */
}

static void
step_remove(struct sim *s)
{
    int r = pick(s, true, -1);

    if (r < 0)
        return;
    /* A goodbye because of the removal may cross a new grant on its way: then the client tries in vain
     * until ICE gives up. */
    if (sim_draw(s, 2)) {
        probes(s, true);
        disturb(s, -1);
    }
    remove_resource(s, r);
}

static void
step_filters(struct sim *s)
{
    int r = pick(s, true, sim_draw(s, 2) ? SP_RESOURCE_DNS : SP_RESOURCE_CIDR);

    if (r < 0)
        return;
    draw_filters(s, &s->resources[r]);
    sim_note(s, "filters of %s: %zu rules", s->resources[r].name, s->resources[r].n_filters);
    portal_filters_changed(s, r);
}

/* Address, site or stack: access ends, the resource comes anew (spec portal 4.10). */
static void
step_change(struct sim *s)
{
    int r = pick(s, true, sim_draw(s, 2) ? SP_RESOURCE_DNS : SP_RESOURCE_CIDR);
    struct sim_resource *res = &s->resources[r < 0 ? 0 : r];

    if (r < 0)
        return;
    portal_revoke(s, r);
    if (sim_draw(s, 2))
        res->site = s->gateways[sim_draw(s, 2)].site;
    else if (res->type == SP_RESOURCE_CIDR)
        draw_net(s, res);
    else
        res->stack = (enum sp_ip_stack)sim_draw(s, 3);
    sim_note(s, "change %s: %s site %d stack %d", res->name, res->address, res->site, res->stack);
    portal_send_resource(s, r);
}

static void
step_rename(struct sim *s)
{
    int r = pick(s, true, -1);

    if (r <= 0)
        return;
    g_snprintf(s->resources[r].name,
               sizeof s->resources[r].name,
               "renamed-%u-%d",
               sim_draw(s, 99),
               r);
    sim_note(s, "rename to %s", s->resources[r].name);
    portal_send_resource(s, r);
}

static void
step_revoke(struct sim *s)
{
    int r = pick(s, true, -1);

    if (r < 0)
        return;
    sim_note(s, "revoke %s", s->resources[r].name);
    portal_revoke(s, r);
}

static void
step_records(struct sim *s)
{
    int i = (int)sim_draw(s, SIM_NAMES);

    draw_records(s, i);
    sim_note(s, "records of %s: %zu v4, %zu v6", names[i], s->names[i].n4, s->names[i].n6);
}

static void
draw_servers(struct sim *s, struct sp_ip *list, size_t *n, size_t min)
{
    static const char *const all[] = { "9.9.9.9", "10.0.1.53", "2620:fe::fe", "8.8.8.8" };
    unsigned start = sim_draw(s, 4);

    *n = min + sim_draw(s, 3);
    for (size_t i = 0; i < *n; i++)
        g_assert_cmpint(sp_ip_parse(all[(start + i) % 4], &list[i]), ==, 0);
}

static void
step_servers(struct sim *s)
{
    if (sim_draw(s, 2)) {
        draw_servers(s, s->portal_dns, &s->n_portal_dns, 0);
        sim_note(s, "portal DNS servers: %zu", s->n_portal_dns);
        portal_send_config(s);
        return;
    }
    draw_servers(s, s->system_dns, &s->n_system_dns, 1);
    sim_note(s, "system DNS servers: %zu", s->n_system_dns);
    sp_client_set_system_resolvers(s->client, s->system_dns, s->n_system_dns, s->now);
    sim_drain_client(s);
}

static void
step_internet(struct sim *s)
{
    s->internet_active = !s->internet_active;
    sim_note(s, "internet resource %s", s->internet_active ? "on" : "off");
    sp_client_set_internet_resource(s->client, s->internet_active, s->now);
    sim_drain_client(s);
}

/* ---- disturbances ---------------------------------------------------------------------------- */

static void
step_roam(struct sim *s)
{
    sim_note(s, "client roams");
    test_net_set_up(s->net, s->client_host, false);
    portal_client_down(s);
    probes(s, true);
    sim_run(s, SP_MS(sim_draw(s, 3000)));
    test_net_set_up(s->net, s->client_host, true);
    sim_client_move(s);
    sp_client_reset(s->client, s->now);
    sim_drain_client(s);
    if (memcmp(s->client_key, sp_client_public_key(s->client), SP_KEY_LEN))
        sim_fail(s, "the key of the event is not the client's");
    probes(s, true);
    sim_run(s, SP_MS(sim_draw(s, 3000)));
    portal_client_up(s);
}

static void
step_gateway_restart(struct sim *s)
{
    struct sim_gateway *g = &s->gateways[sim_draw(s, SIM_GATEWAYS)];
    bool graceful = sim_draw(s, 2);

    sim_note(s, "gateway %d %s", g->index, graceful ? "restarts" : "crashes");
    sim_gateway_stop(g, graceful);
    sim_run(s, SP_MS(sim_draw(s, 2000)));
    sim_gateway_start(g);
}

static void
step_client_outage(struct sim *s)
{
    sim_note(s, "the client loses the portal");
    portal_client_down(s);
    probes(s, true);
    sim_run(s, SP_MS(500 + sim_draw(s, 20000)));
    sim_note(s, "the client joins again");
    portal_client_up(s);
}

/* Access that ends while the gateway is away is gone after its next init (F.1). */
static void
step_gateway_outage(struct sim *s)
{
    struct sim_gateway *g = &s->gateways[sim_draw(s, SIM_GATEWAYS)];
    unsigned what = sim_draw(s, 3);
    int r = pick(s, true, -1);

    sim_note(s, "gateway %d loses the portal", g->index);
    portal_gateway_down(g);
    probes(s, true);
    sim_run(s, SP_MS(500 + sim_draw(s, 8000)));
    if (what == 0 && r >= 0) {
        sim_note(s, "revoke %s", s->resources[r].name);
        portal_revoke(s, r);
    } else if (what == 1 && r >= 0) {
        remove_resource(s, r);
    }
    sim_note(s, "gateway %d joins again", g->index);
    portal_gateway_up(g);
    disturb(s, g->index);
}

static void
step_reconnect(struct sim *s)
{
    sim_note(s, "the client joins once more");
    portal_client_down(s);
    portal_client_up(s);
}

static void
step_loss_burst(struct sim *s)
{
    sim_note(s, "the client's link is dead for a while");
    test_net_set_up(s->net, s->client_host, false);
    probes(s, true);
    sim_run(s, SP_MS(500 + sim_draw(s, 8000)));
    test_net_set_up(s->net, s->client_host, true);
    disturb(s, -1);
}

static void
step_idle(struct sim *s)
{
    sp_duration d = sim_draw(s, 4) ? SP_SEC(20 + sim_draw(s, 180)) : SP_SEC(360);

    sim_note(s, "idle for %.0f s", (double)d / 1e9);
    sim_run(s, d);
}

/* ---- a case ---------------------------------------------------------------------------------- */

static const struct {
    void (*run)(struct sim *s);
    unsigned weight;
} steps[] = {
    { step_probes, 30 },       { step_lookup_and_probe, 25 },
    { step_query, 10 },        { step_add, 6 },
    { step_remove, 3 },        { step_filters, 3 },
    { step_change, 4 },        { step_rename, 1 },
    { step_revoke, 5 },        { step_records, 4 },
    { step_servers, 2 },       { step_internet, 2 },
    { step_roam, 3 },          { step_gateway_restart, 3 },
    { step_client_outage, 3 }, { step_gateway_outage, 3 },
    { step_reconnect, 2 },     { step_loss_burst, 2 },
    { step_idle, 5 },
};

static void
draw_step(struct sim *s)
{
    unsigned sum = 0, at;

    for (size_t i = 0; i < G_N_ELEMENTS(steps); i++)
        sum += steps[i].weight;
    at = sim_draw(s, sum);
    for (size_t i = 0; i < G_N_ELEMENTS(steps); i++) {
        if (at < steps[i].weight) {
            steps[i].run(s);
            return;
        }
        at -= steps[i].weight;
    }
}

static void
begin(struct sim *s)
{
    unsigned n = 2 + sim_draw(s, 5);

    for (int i = 0; i < SIM_NAMES; i++)
        draw_records(s, i);
    for (int i = 0; i < SIM_RESOURCES; i++)
        draw_resource(s, i);
    while (n--)
        s->resources[sim_draw(s, SIM_RESOURCES)].live = true;
    for (int i = 0; i < SIM_RESOURCES; i++)
        if (s->resources[i].live)
            sim_note(s,
                     "%s %s site %d stack %d, %zu filter rules",
                     s->resources[i].name,
                     s->resources[i].address,
                     s->resources[i].site,
                     s->resources[i].stack,
                     s->resources[i].n_filters);
    draw_servers(s, s->system_dns, &s->n_system_dns, 1);
    draw_servers(s, s->portal_dns, &s->n_portal_dns, 0);
    sp_client_set_system_resolvers(s->client, s->system_dns, s->n_system_dns, s->now);
    sim_drain_client(s);
    sim_client_move(s);
    sim_drain_client(s);
    for (int i = 0; i < SIM_GATEWAYS; i++)
        sim_gateway_start(&s->gateways[i]);
    portal_client_up(s);
    sim_run(s, SP_SEC(1));
}

void
steps_run(struct sim *s)
{
    unsigned n = 6 + sim_draw(s, SIM_STEPS - 6);

    begin(s);
    for (unsigned i = 0; i < n && !s->failure; i++) {
        draw_step(s);
        sim_run(s, SP_MS(2200)); /* past the throttle of requests */
        sim_settle(s);
    }
    if (!s->failure)
        sim_shutdown(s);
}
