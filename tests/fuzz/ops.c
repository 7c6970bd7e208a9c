/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/rd.h"
#include "engine/control/control.h"
#include "engine/dns/message.h"
#include "engine/ip/build.h"

uint8_t
ops_u8(struct ops *o)
{
    if (o->n == 0)
        return 0;
    o->n--;
    return *o->p++;
}

uint16_t
ops_u16(struct ops *o)
{
    unsigned high = ops_u8(o);

    return (uint16_t)(high << 8 | ops_u8(o));
}

unsigned
ops_below(struct ops *o, unsigned bound)
{
    return ops_u8(o) % bound;
}

struct sp_span
ops_bytes(struct ops *o, size_t max)
{
    size_t want = ops_u16(o) % (max + 1), n = SP_MIN(want, o->n);
    struct sp_span s = sp_span(o->p, n);

    o->p += n;
    o->n -= n;
    return s;
}

struct sp_uuid
ops_id_at(unsigned i, char kind)
{
    return (struct sp_uuid){ .b = { (uint8_t)kind, [15] = (uint8_t)(i + 1) } };
}

struct sp_uuid
ops_id(struct ops *o, char kind)
{
    return ops_id_at(ops_below(o, OPS_IDS), kind);
}

/* ---- addresses ----------------------------------------------------------------------------- */

/* Tunnel addresses, networks behind gateways, proxy and sentinel addresses, and what is neither. */
static const char *const table4[] = {
    "100.70.1.9",    "100.64.0.1",    "100.64.0.2", "10.0.0.1",   "10.0.0.2",
    "100.96.0.1",    "100.96.0.2",    "100.96.0.3", "100.96.0.4", "100.100.111.1",
    "100.100.111.2", "93.184.216.34", "224.0.0.1",  "127.0.0.1",  "0.0.0.0",
};
static const char *const table6[] = {
    "fd00:2021:1111::1:9",
    "fd00:2021:1111::1",
    "fd00:2021:1111::2",
    "2001:db8::1",
    "2001:db8::2",
    "fd00:2021:1111:8000::",
    "fd00:2021:1111:8000::1",
    "fd00:2021:1111:8000::2",
    "fd00:2021:1111:8000::3",
    "fd00:2021:1111:8000:100:100:111:0",
    "fd00:2021:1111:8000:100:100:111:1",
    "2606:2800::1",
    "ff02::1",
    "fe80::1",
    "::ffff:10.0.0.1",
};

static struct sp_ip
parse_ip(const char *text)
{
    struct sp_ip ip;

    sp_assert(sp_ip_parse(text, &ip) == 0);
    return ip;
}

struct sp_ip
ops_client6(void)
{
    return parse_ip(table6[0]);
}

struct sp_ip
ops_gateway6(void)
{
    return parse_ip(table6[1]);
}

struct sp_ip
ops_ip(struct ops *o, uint8_t family)
{
    unsigned i = ops_u8(o) % 16;
    struct sp_ip ip = { .family = family };

    sp_assert(SP_ARRAY_SIZE(table4) == 15 && SP_ARRAY_SIZE(table6) == 15);
    if (i < 15)
        return parse_ip(family == 4 ? table4[i] : table6[i]);
    for (size_t k = 0; k < sp_ip_size(&ip); k++)
        ip.b[k] = ops_u8(o);
    return ip;
}

struct sp_endpoint
ops_endpoint(struct ops *o)
{
    uint8_t kind = ops_u8(o);

    return (struct sp_endpoint){
        .ip = ops_ip(o, kind & 1 ? 6 : 4),
        .port = kind & 2 ? ops_u16(o) : 51820,
    };
}

struct sp_cidr
ops_net(struct ops *o)
{
    static const uint8_t lengths[] = { 32, 24, 8, 0, 31, 11, 1, 30 };
    uint8_t kind = ops_u8(o), family = kind & 1 ? 6 : 4;
    struct sp_cidr net = { .len = lengths[kind >> 1 & 7] };

    if (family == 6)
        net.len = (uint8_t)(net.len * 4);
    net.ip = ops_ip(o, family);
    net.ip = sp_ip_mask(&net.ip, net.len);
    return net;
}

/* ---- text ---------------------------------------------------------------------------------- */

const char *
ops_name(struct ops *o)
{
    static const char *const names[] = {
        "wiki.example",
        "a.wiki.example",
        "b.a.wiki.example",
        "git.example",
        "example",
        "*.example",
        "**.wiki.example",
        "?.example",
        "",
        "a..b",
    };

    return names[ops_below(o, SP_ARRAY_SIZE(names))];
}

char *
ops_candidate(struct ops *o)
{
    static const char *const kinds[] = { "host", "srflx", "relay", "prflx" };
    struct sp_endpoint ep = ops_endpoint(o);
    const char *kind = kinds[ops_below(o, 4)];
    char ip[SP_IP_STR_MAX];
    char *text = sp_xcalloc(1, 256);
    struct sp_span raw;

    if (ops_below(o, 8) == 7) {
        raw = ops_bytes(o, 255);
        if (raw.n)
            memcpy(text, raw.p, raw.n);
        return text;
    }
    snprintf(text,
             256,
             "candidate:1 1 UDP %u %s %u typ %s%s",
             2130706431u - ops_u8(o),
             sp_ip_format(&ep.ip, ip),
             ep.port,
             kind,
             strcmp(kind, "host") ? " raddr 0.0.0.0 rport 0" : "");
    return text;
}

struct sp_candidates
ops_candidates(struct ops *o)
{
    struct sp_candidates c = { .peer = ops_id(o, 'p') };

    for (unsigned n = ops_below(o, 6); n; n--) {
        char *text = ops_candidate(o);

        sp_strv_add(&c.list, text);
        free(text);
    }
    return c;
}

sp_duration
ops_pause(struct ops *o)
{
    static const sp_duration pauses[] = {
        0,         SP_MS(1),  SP_MS(50),  SP_MS(300),  SP_SEC(1),
        SP_SEC(2), SP_SEC(6), SP_SEC(20), SP_SEC(130), SP_SEC(500),
    };

    return pauses[ops_below(o, SP_ARRAY_SIZE(pauses))];
}

/* ---- packets ------------------------------------------------------------------------------- */

static struct sp_dns_name
name_of(const char *text)
{
    struct sp_dns_name name = { .len = 1 };

    if (sp_dns_name_parse(text, &name) < 0)
        name = (struct sp_dns_name){ .len = 1 };
    return name;
}

static int
build_query(struct ops *o,
            uint8_t *out,
            const struct sp_endpoint *src,
            const struct sp_endpoint *dst,
            size_t *ret_n)
{
    static const uint16_t types[] = { 1, 28, 12, 33, 16, 65, 255 };
    struct sp_dns_query q = {
        .id = ops_u16(o),
        .qtype = types[ops_below(o, SP_ARRAY_SIZE(types))],
        .qclass = 1,
        .rd = true,
        .name = name_of(ops_name(o)),
    };
    uint8_t msg[SP_DNS_HEADER + SP_DNS_NAME_MAX + 4];
    int n = sp_dns_query_build(&q, msg, sizeof msg);

    sp_assert(n > 0);
    return sp_build_udp(out, SP_MTU, src, dst, sp_span(msg, (size_t)n), ret_n);
}

static int
build_control(struct ops *o, uint8_t *out, size_t *ret_n)
{
    struct sp_uuid resource = ops_id(o, 'r');
    const char *name = ops_name(o);
    struct sp_ip ips[8];
    unsigned kind = ops_below(o, 4);

    if (kind == 0)
        return sp_control_build_goodbye(out, SP_MTU, ret_n);
    if (kind < 3)
        return sp_control_build_domain_status(out, SP_MTU, &resource, name, kind == 1, ret_n);
    for (unsigned i = 0; i < 8; i++)
        ips[i] = ops_ip(o, i < 4 ? 4 : 6);
    return sp_control_build_assigned_ips(out, SP_MTU, &resource, name, ips, 8, ret_n);
}

/* An ICMP error about a packet of the receiver. */
static int
build_error(struct ops *o,
            uint8_t *out,
            const struct sp_ip *src,
            const struct sp_ip *dst,
            size_t *ret_n)
{
    struct sp_endpoint from = { *dst, 1000 }, to = { ops_ip(o, src->family), 443 };
    uint8_t quoted[SP_MTU], code = ops_u8(o);
    size_t n;

    if (sp_build_udp(quoted, sizeof quoted, &from, &to, sp_span(NULL, 0), &n) < 0)
        return -1;
    return sp_build_icmp(out,
                         SP_MTU,
                         src,
                         dst,
                         64,
                         src->family == 4 ? 3 : 1,
                         code,
                         0,
                         sp_span(quoted, n),
                         ret_n);
}

static int
build_packet(struct ops *o, uint8_t *out, size_t *ret_n)
{
    unsigned kind = ops_below(o, 9);
    uint8_t family = ops_u8(o) & 1 ? 6 : 4;
    struct sp_ip src = ops_ip(o, family), dst = ops_ip(o, family);
    struct sp_endpoint from = { src, 1000 }, to = { dst, ops_u8(o) & 1 ? 53 : 443 };
    struct sp_tcp_segment segment = { .flags = SP_TCP_SYN };
    struct sp_span body;

    switch (kind) {
    case 0:
        return build_control(o, out, ret_n);
    case 1:
        to.port = 53;
        return build_query(o, out, &from, &to, ret_n);
    case 2:
        segment.seq = ops_u8(o);
        segment.flags = ops_u8(o);
        return sp_build_tcp(out, SP_MTU, &from, &to, &segment, ret_n);
    case 3:
        return sp_build_echo(out, SP_MTU, &src, &dst, ops_u8(o) & 1, 7, 1, sp_span(NULL, 0), ret_n);
    case 4:
        return build_error(o, out, &src, &dst, ret_n);
    case 5:
        body = ops_bytes(o, SP_MTU);
        return sp_build_raw(out, SP_MTU, &src, &dst, 64, ops_u8(o), body, ret_n);
    case 6:
        body = ops_bytes(o, SP_MTU);
        if (body.n)
            memcpy(out, body.p, body.n);
        *ret_n = body.n;
        return 0;
    default:
        return sp_build_udp(out, SP_MTU, &from, &to, ops_bytes(o, SP_MTU), ret_n);
    }
}

struct sp_pkt *
ops_packet(struct ops *o, struct sp_pkt_pool *pool)
{
    uint8_t bytes[SP_MTU];
    size_t n = 0;

    if (build_packet(o, bytes, &n) < 0)
        n = 0;
    return sp_pkt_from_bytes(pool, bytes, n);
}

struct sp_pkt *
ops_datagram(struct ops *o, struct sp_pkt_pool *pool)
{
    struct sp_span body = ops_bytes(o, SP_DATAGRAM_MAX);
    struct sp_pkt *pkt = sp_pkt_from_bytes(pool, body.p, body.n);

    if (pkt)
        pkt->ecn = ops_u8(o) & 3;
    return pkt;
}

/* ---- what the portal says ------------------------------------------------------------------ */

static void
add_filters(struct ops *o, struct sp_resource *r)
{
    r->n_filters = ops_below(o, 4);
    r->filters = sp_xcalloc(r->n_filters, sizeof *r->filters);
    for (size_t i = 0; i < r->n_filters; i++)
        r->filters[i] = (struct sp_filter_rule){
            .proto = (enum sp_filter_proto)ops_below(o, 3),
            .port_start = ops_u8(o),
            .port_end = ops_u16(o),
        };
}

struct sp_resource
ops_resource(struct ops *o)
{
    struct sp_resource r = {
        .type = (enum sp_resource_type)ops_below(o, 3),
        .id = ops_id(o, 'r'),
        .name = sp_xstrdup("name"),
        .ip_stack = (enum sp_ip_stack)ops_below(o, 3),
        .n_sites = 1,
    };
    char text[SP_CIDR_STR_MAX];

    r.sites = sp_xcalloc(1, sizeof *r.sites);
    r.sites[0] = (struct sp_site){ .id = ops_id(o, 's'), .name = sp_xstrdup("site") };
    if (r.type == SP_RESOURCE_CIDR) {
        r.net = ops_net(o);
        r.address = sp_xstrdup(sp_cidr_format(&r.net, text));
    } else if (r.type == SP_RESOURCE_DNS) {
        r.address = sp_xstrdup(ops_name(o));
    }
    add_filters(o, &r);
    return r;
}

struct sp_relays_presence
ops_relays(struct ops *o)
{
    struct sp_relays_presence p = { .n_connected = ops_below(o, 3) };

    p.n_disconnected = ops_below(o, 3);
    p.disconnected = sp_xcalloc(p.n_disconnected, sizeof *p.disconnected);
    for (size_t i = 0; i < p.n_disconnected; i++)
        p.disconnected[i] = ops_id(o, 't');
    p.connected = sp_xcalloc(p.n_connected, sizeof *p.connected);
    for (size_t i = 0; i < p.n_connected; i++)
        p.connected[i] = (struct sp_relay){
            .id = ops_id(o, 't'),
            .addr4 = { ops_ip(o, 4), 3478 },
            .username = sp_xstrdup("user"),
            .password = sp_xstrdup("password"),
            .expires_at = 1900000000,
        };
    return p;
}
