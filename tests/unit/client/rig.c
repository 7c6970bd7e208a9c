/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/client/rig.h"

#include <string.h>

#include "engine/base/err.h"
#include "engine/dns/message.h"
#include "engine/ip/build.h"

struct sp_uuid
rig_id(uint8_t number)
{
    return test_uuid(0x0e, number);
}

static void
on_log(void *ctx SP_UNUSED,
       enum sp_log_level level,
       enum sp_log_cat cat SP_UNUSED,
       const char *line SP_UNUSED)
{
    g_assert_cmpint(level, !=, SP_LOG_ERROR);
}

struct rig *
rig_new(void)
{
    struct rig *r = g_new0(struct rig, 1);
    struct sp_client_config config = { .pool = &r->pool,
                                       .rng = test_rng_init(&r->rng, 4711),
                                       .log = &r->log,
                                       .internet_resource = true };

    r->now = SP_SEC(1000);
    r->log = (struct sp_log){ .fn = on_log, .max = SP_LOG_TRACE, .mask = SP_LOG_ALL };
    sp_pkt_pool_init(&r->pool, 4096);
    r->requests = g_array_new(FALSE, FALSE, sizeof(int));
    r->tun = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    r->address = (struct sp_endpoint){ sp_ip4(192, 0, 2, 100), FAR_PORT };
    r->c = sp_client_new(&config, r->now);
    for (int i = 0; i < 2; i++)
        far_init(&r->gw[i], (uint8_t)(i + 1), true, r->now);
    sp_client_set_host_addresses(r->c, &r->address, 1, r->now);
    rig_pump(r);
    return r;
}

void
rig_free(struct rig *r)
{
    sp_client_event_done(&r->tun_config);
    sp_client_event_done(&r->list);
    sp_client_event_done(&r->dns);
    sp_client_req_done(&r->last_request);
    sp_client_free(r->c);
    for (int i = 0; i < 2; i++)
        far_done(&r->gw[i]);
    g_array_unref(r->requests);
    g_ptr_array_unref(r->tun);
    g_assert_cmpuint(r->pool.in_use, ==, 0);
    sp_pkt_pool_done(&r->pool);
    g_free(r);
}

/* ---- portal ---------------------------------------------------------------------------------- */

static struct sp_filter_rule
parse_filter(const char *word)
{
    struct sp_filter_rule f = { .proto = SP_FILTER_ICMP };

    if (strcmp(word, "icmp") != 0) {
        f.proto = g_str_has_prefix(word, "tcp") ? SP_FILTER_TCP : SP_FILTER_UDP;
        f.port_start = (uint16_t)g_ascii_strtoull(strchr(word, ':') + 1, NULL, 10);
        f.port_end = (uint16_t)g_ascii_strtoull(strchr(word, '-') + 1, NULL, 10);
    }
    return f;
}

struct sp_resource
rig_resource(uint8_t number, const char *spec)
{
    struct sp_resource res = { .type = SP_RESOURCE_DNS, .id = rig_id(number) };
    char **words = g_strsplit(spec, " ", -1);
    uint8_t site = 1;

    res.name = sp_xstrdup("resource");
    res.name[0] = (char)('a' + number);
    if (!strcmp(words[0], "internet"))
        res.type = SP_RESOURCE_INTERNET;
    else
        res.address = sp_xstrdup(words[0]);
    if (strchr(words[0], '/')) {
        res.type = SP_RESOURCE_CIDR;
        g_assert_cmpint(sp_cidr_parse(words[0], &res.net), ==, 0);
    }
    res.filters = sp_xcalloc(4, sizeof *res.filters);
    for (int i = 1; words[i]; i++) {
        if (g_str_has_prefix(words[i], "site:"))
            site = (uint8_t)g_ascii_strtoull(words[i] + 5, NULL, 10);
        else if (!strcmp(words[i], "v4"))
            res.ip_stack = SP_IP_STACK_IPV4_ONLY;
        else if (g_str_has_prefix(words[i], "name:"))
            res.name[1] = words[i][5];
        else
            res.filters[res.n_filters++] = parse_filter(words[i]);
    }
    res.sites = sp_xcalloc(1, sizeof *res.sites);
    res.n_sites = 1;
    res.sites[0].id = test_uuid(0x51, site);
    res.sites[0].name = sp_xstrdup("site");
    g_strfreev(words);
    return res;
}

static void
portal(struct rig *r, struct sp_client_msg *msg)
{
    sp_client_handle_portal(r->c, msg, r->now);
    rig_pump(r);
}

void
rig_init(struct rig *r, const char *resources)
{
    struct sp_client_msg msg = { .type = SP_CLIENT_MSG_INIT };
    char **list = g_strsplit(resources, ",", -1);
    struct sp_ip resolver = sp_ip4(9, 9, 9, 9);

    msg.u.init.interface.ipv4 = test_ip(RIG_IP4);
    msg.u.init.interface.ipv6 = test_ip(RIG_IP6);
    msg.u.init.resources = sp_xcalloc(g_strv_length(list) + 1, sizeof(struct sp_resource));
    for (size_t i = 0; list[i] && *list[i]; i++) {
        char *spec = strchr(list[i], '=') + 1;

        msg.u.init.resources[msg.u.init.n_resources++] =
            rig_resource((uint8_t)g_ascii_strtoull(list[i], NULL, 10), spec);
    }
    g_strfreev(list);
    sp_client_set_system_resolvers(r->c, &resolver, 1, r->now);
    sp_client_handle_portal_state(r->c, true, r->now);
    portal(r, &msg);
}

void
rig_upsert(struct rig *r, uint8_t number, const char *spec)
{
    struct sp_client_msg msg = { .type = SP_CLIENT_MSG_RESOURCE_UPSERT };

    msg.u.resource = rig_resource(number, spec);
    portal(r, &msg);
}

void
rig_delete(struct rig *r, uint8_t number)
{
    struct sp_client_msg msg = { .type = SP_CLIENT_MSG_RESOURCE_DELETED,
                                 .u.resource_id = rig_id(number) };

    portal(r, &msg);
}

static struct sp_uuid
client_id(void)
{
    return test_uuid(0xc1, 1);
}

void
rig_grant(struct rig *r, uint8_t resource, int g)
{
    struct sp_client_msg msg = { .type = SP_CLIENT_MSG_AUTHORIZED };
    struct sp_client_authorized *a = &msg.u.authorized;
    struct sp_node_peer_params p = far_params(sp_client_public_key(r->c), false);
    struct sp_uuid id = client_id();

    g_assert_cmpint(sp_node_upsert(r->gw[g].node, &id, &p, r->now), >=, 0);
    a->resource_id = rig_id(resource);
    a->gateway_id = r->gw[g].id;
    a->site_id = test_uuid(0x51, (uint8_t)(g + 1));
    memcpy(a->gateway_key, sp_node_public_key(r->gw[g].node), SP_KEY_LEN);
    memcpy(a->psk, p.psk, SP_KEY_LEN);
    a->client_creds = p.remote;
    a->gateway_creds = p.local;
    a->gateway_ipv4 = sp_ip4(100, 64, 1, (uint8_t)(g + 1));
    a->gateway_ipv6 = test_ip(g ? "fd00:2021:1111::102" : "fd00:2021:1111::101");
    portal(r, &msg);
}

void
rig_refuse(struct rig *r, uint8_t resource, enum sp_fail_reason reason)
{
    struct sp_client_msg msg = { .type = SP_CLIENT_MSG_AUTHORIZATION_FAILED };

    msg.u.failed.resource_id = rig_id(resource);
    msg.u.failed.reason = reason;
    portal(r, &msg);
}

static void
take_candidates(struct rig *r, const struct sp_client_req *req)
{
    struct sp_uuid id = client_id();

    r->candidate_batches++;
    for (int g = 0; g < 2; g++)
        for (size_t i = 0;
             sp_uuid_equal(&req->u.candidates.peer, &r->gw[g].id) && i < req->u.candidates.list.n;
             i++) {
            r->candidates++;
            (void)sp_node_add_remote_candidate(r->gw[g].node,
                                               &id,
                                               req->u.candidates.list.v[i],
                                               r->now);
        }
}

static void
take_request(struct rig *r, struct sp_client_req *req)
{
    switch (req->type) {
    case SP_CLIENT_REQ_AUTHORIZATION: {
        int number = req->u.authorization.resource_id.b[15];

        g_array_append_val(r->requests, number);
        sp_client_req_done(&r->last_request);
        r->last_request = *req;
        *req = (struct sp_client_req){ .type = SP_CLIENT_REQ_NO_RELAYS };
        break;
    }
    case SP_CLIENT_REQ_NEW_CANDIDATES:
        take_candidates(r, req);
        break;
    case SP_CLIENT_REQ_INVALIDATE_CANDIDATES:
        r->withdrawals += (int)req->u.candidates.list.n;
        break;
    case SP_CLIENT_REQ_NO_RELAYS:
        r->no_relays++;
        break;
    }
}

/* ---- driver ---------------------------------------------------------------------------------- */

static void
keep(struct sp_client_event *slot, struct sp_client_event *ev)
{
    sp_client_event_done(slot);
    *slot = *ev;
    *ev = (struct sp_client_event){ .type = SP_CLIENT_EVENT_PUBLIC_KEY };
}

static void
take_event(struct rig *r, struct sp_client_event *ev)
{
    switch (ev->type) {
    case SP_CLIENT_EVENT_TUN_CONFIG:
        r->tun_configs++;
        keep(&r->tun_config, ev);
        break;
    case SP_CLIENT_EVENT_PORTAL:
        take_request(r, &ev->u.portal);
        break;
    case SP_CLIENT_EVENT_RESOURCES:
        r->lists++;
        keep(&r->list, ev);
        break;
    case SP_CLIENT_EVENT_DNS_QUERY:
        r->dns_queries++;
        keep(&r->dns, ev);
        break;
    case SP_CLIENT_EVENT_OFFLINE:
        r->offline++;
        break;
    case SP_CLIENT_EVENT_VERSION_MISMATCH:
        r->version_mismatch++;
        break;
    case SP_CLIENT_EVENT_PUBLIC_KEY:
        r->keys++;
        break;
    }
}

static bool
drain_client(struct rig *r)
{
    struct sp_client_event ev;
    struct sp_transmit tx;
    struct sp_pkt *pkt;
    bool any = false;

    while (sp_client_poll_event(r->c, &ev)) {
        take_event(r, &ev);
        sp_client_event_done(&ev);
        any = true;
    }
    while ((pkt = sp_client_poll_tun(r->c)) != NULL) {
        g_ptr_array_add(r->tun, g_bytes_new(sp_pkt_data(pkt), pkt->len));
        sp_pkt_free(pkt);
    }
    while (sp_client_poll_transmit(r->c, &tx)) {
        for (int g = 0; g < 2; g++)
            if (!r->deaf[g] && sp_endpoint_equal(&tx.dst, &r->gw[g].address))
                far_datagram(&r->gw[g], &r->address, sp_pkt_span(tx.pkt), r->now);
        sp_pkt_free(tx.pkt);
        any = true;
    }
    return any;
}

static bool
drain_far(struct rig *r, int g)
{
    struct far *f = &r->gw[g];
    struct sp_transmit tx;
    bool any = far_drain_events(f);

    while (f->candidates->len) {
        struct sp_client_msg msg = { .type = SP_CLIENT_MSG_CANDIDATES };

        msg.u.candidates.peer = f->id;
        sp_strv_add(&msg.u.candidates.list, g_ptr_array_index(f->candidates, 0));
        g_ptr_array_remove_index(f->candidates, 0);
        sp_client_handle_portal(r->c, &msg, r->now);
        any = true;
    }
    while (sp_node_poll_transmit(f->node, &tx)) {
        struct sp_udp_meta meta = { .local = r->address, .from = f->address };

        if (!r->deaf[g])
            sp_client_handle_udp(r->c,
                                 &meta,
                                 sp_pkt_from_bytes(&r->pool, sp_pkt_data(tx.pkt), tx.pkt->len),
                                 r->now);
        sp_pkt_free(tx.pkt);
        any = true;
    }
    return any;
}

void
rig_pump(struct rig *r)
{
    bool more = true;

    while (more) {
        more = drain_client(r);
        for (int g = 0; g < 2; g++)
            more |= drain_far(r, g);
    }
}

void
rig_run(struct rig *r, sp_duration d)
{
    sp_time end = r->now + d;

    for (;;) {
        sp_time at = sp_client_next_timeout(r->c);

        for (int g = 0; g < 2; g++)
            at = sp_time_min(at, sp_node_next_timeout(r->gw[g].node));
        if (at > end)
            break;
        r->now = MAX(r->now, at);
        sp_client_handle_timeout(r->c, r->now);
        for (int g = 0; g < 2; g++)
            sp_node_handle_timeout(r->gw[g].node, r->now);
        rig_pump(r);
    }
    r->now = end;
}

void
rig_send(struct rig *r, GBytes *packet)
{
    gsize n;
    const void *p = g_bytes_get_data(packet, &n);

    sp_client_handle_tun(r->c, sp_pkt_from_bytes(&r->pool, p, n), r->now);
    g_bytes_unref(packet);
    rig_pump(r);
}

void
rig_far_says(struct rig *r, int g, GBytes *packet)
{
    struct sp_uuid id = client_id();
    gsize n;
    const void *p = g_bytes_get_data(packet, &n);

    g_assert_cmpint(far_send(&r->gw[g], &id, p, n, r->now), ==, 0);
    g_bytes_unref(packet);
    rig_pump(r);
}

/* ---- looking --------------------------------------------------------------------------------- */

struct sp_ip
rig_lookup(struct rig *r, const char *name, uint8_t family)
{
    struct sp_dns_query q = { .id = 9, .rd = true, .qclass = SP_DNS_CLASS_IN };
    struct sp_endpoint src = { test_ip(RIG_IP4), 5353 }, dst = { sp_ip4(100, 100, 111, 1), 53 };
    struct sp_dns_response resp;
    struct sp_dns_walk walk;
    struct sp_dns_rr rr;
    struct sp_ip ip = { 0 };
    struct sp_pkt *pkt = sp_pkt_alloc(&r->pool);
    uint8_t msg[SP_DNS_EMPTY_MAX];
    struct sp_span answer;
    gsize size;
    size_t n;
    int len;

    q.qtype = family == 4 ? SP_DNS_TYPE_A : SP_DNS_TYPE_AAAA;
    g_assert_cmpint(sp_dns_name_parse(name, &q.name), ==, 0);
    len = sp_dns_query_build(&q, msg, sizeof msg);
    g_assert_cmpint(
        sp_build_udp(sp_pkt_data(pkt), SP_MTU, &src, &dst, sp_span(msg, (size_t)len), &n),
        ==,
        0);
    pkt->len = (uint16_t)n;
    sp_client_handle_tun(r->c, pkt, r->now);
    rig_pump(r);
    if (r->tun->len == 0)
        return ip;
    answer.p = g_bytes_get_data(test_last(r->tun), &size);
    answer = sp_span(answer.p + 28, size - 28);
    g_assert_cmpint(sp_dns_response_parse(answer, &resp), ==, 0);
    walk = sp_dns_walk(answer, &resp);
    if (sp_dns_walk_next(&walk, &rr) == 1)
        g_assert_cmpint(sp_dns_rr_ip(&rr, &ip), ==, 0);
    g_ptr_array_set_size(r->tun, 0);
    return ip;
}

enum sp_resource_status
rig_status(const struct rig *r, uint8_t number)
{
    struct sp_uuid id = rig_id(number);

    for (size_t i = 0; i < r->list.u.resources.n; i++)
        if (sp_uuid_equal(&r->list.u.resources.list[i].resource.id, &id))
            return r->list.u.resources.list[i].status;
    g_assert_not_reached();
}

uint64_t
rig_drops(const struct rig *r, enum sp_drop reason)
{
    return sp_client_drops(r->c)->count[reason];
}
