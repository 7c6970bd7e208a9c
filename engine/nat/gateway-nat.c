/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/nat/gateway-nat.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/err.h"
#include "engine/base/wr.h"
#include "engine/ip/build.h"
#include "engine/ip/checksum.h"
#include "engine/nat/port-space.h"

/* One end of a session: protocol, port or id, address. Bytes only, so it hashes as memory. */
struct nat_key {
    uint8_t ip[16];
    uint8_t family;
    uint8_t kind; /* enum sp_ip_proto_kind, a supported one */
    uint8_t id[2];
};

struct sp_nat_entry {
    struct nat_key inside;
    struct nat_key outside;
    sp_time last_out;
    sp_time last_in;
    bool confirmed; /* a packet came back */
    bool fin_out;
    bool fin_in;
    bool rst;
    bool dead; /* only remembered, so that late packets are not passed on untranslated */
    struct sp_nat_entry *dead_newer;
    struct sp_nat_entry *dead_older;
};

static struct nat_key
make_key(const struct sp_ip *ip, struct sp_ip_proto proto)
{
    struct nat_key key = { .family = ip->family, .kind = proto.kind };

    memcpy(key.ip, ip->b, sizeof key.ip);
    sp_put_be16(key.id, proto.id);
    return key;
}

static struct sp_ip
key_ip(const struct nat_key *key)
{
    return sp_ip_from_bytes(key->family, key->ip);
}

static uint16_t
key_id(const struct nat_key *key)
{
    return (uint16_t)((key->id[0] << 8) | key->id[1]);
}

static struct nat_key
space_key(const struct nat_key *outside)
{
    struct nat_key key = *outside;

    key.id[0] = key.id[1] = 0;
    return key;
}

void
sp_nat_gw_init(struct sp_nat_gw *nat, const struct sp_rng *rng)
{
    *nat = (struct sp_nat_gw){ .due = SP_TIME_NEVER };
    sp_map_init(&nat->inside, sizeof(struct nat_key), rng);
    sp_map_init(&nat->outside, sizeof(struct nat_key), rng);
    sp_map_init(&nat->spaces, sizeof(struct nat_key), rng);
}

void
sp_nat_gw_clear(struct sp_nat_gw *nat)
{
    size_t pos = 0;
    void *value;

    while (sp_map_next(&nat->outside, &pos, NULL, &value))
        free(value);
    pos = 0;
    while (sp_map_next(&nat->spaces, &pos, NULL, &value)) {
        sp_port_space_done(value);
        free(value);
    }
    sp_map_done(&nat->inside);
    sp_map_done(&nat->outside);
    sp_map_done(&nat->spaces);
    nat->dead_oldest = nat->dead_newest = NULL;
    nat->n_dead = 0;
    nat->due = SP_TIME_NEVER;
}

void
sp_nat_gw_done(struct sp_nat_gw *nat)
{
    sp_nat_gw_clear(nat);
}

size_t
sp_nat_gw_len(const struct sp_nat_gw *nat)
{
    return nat->inside.len;
}

static sp_duration
ttl_of(const struct sp_nat_entry *e)
{
    switch ((enum sp_ip_proto_kind)e->inside.kind) {
    case SP_IP_PROTO_TCP:
        return SP_NAT_TTL_TCP;
    case SP_IP_PROTO_UDP:
        return SP_NAT_TTL_UDP;
    case SP_IP_PROTO_ECHO:
    case SP_IP_PROTO_OTHER_L4:
    case SP_IP_PROTO_OTHER_ICMPV4:
    case SP_IP_PROTO_OTHER_ICMPV6:
    case _SP_IP_PROTO_MAX:
        break;
    }
    return SP_NAT_TTL_ICMP;
}

static sp_time
expiry_of(const struct sp_nat_entry *e)
{
    sp_time last = SP_MAX(e->last_out, e->last_in);
    sp_time t = sp_time_add(last, ttl_of(e));

    if (e->rst)
        return last;
    if (!e->confirmed)
        t = sp_time_min(t, sp_time_add(e->last_out, SP_NAT_TTL_UNCONFIRMED));
    if (e->fin_out && e->fin_in)
        t = sp_time_min(t, sp_time_add(last, SP_NAT_TTL_FIN));
    return t;
}

static void
touch(struct sp_nat_gw *nat, const struct sp_nat_entry *e)
{
    nat->due = sp_time_min(nat->due, expiry_of(e));
}

static void
unlink_dead(struct sp_nat_gw *nat, struct sp_nat_entry *e)
{
    if (e->dead_newer)
        e->dead_newer->dead_older = e->dead_older;
    else
        nat->dead_newest = e->dead_older;
    if (e->dead_older)
        e->dead_older->dead_newer = e->dead_newer;
    else
        nat->dead_oldest = e->dead_newer;
    nat->n_dead--;
}

static void
forget_dead(struct sp_nat_gw *nat, struct sp_nat_entry *e)
{
    unlink_dead(nat, e);
    (void)sp_map_del(&nat->outside, &e->outside);
    free(e);
}

/* End of a session: its port is free again, its outside is remembered. The caller removes it from
 * the inside map. */
static void
bury(struct sp_nat_gw *nat, struct sp_nat_entry *e)
{
    struct nat_key skey = space_key(&e->outside);
    struct sp_port_space *space = sp_map_get(&nat->spaces, &skey);

    sp_port_space_release(space, key_id(&e->outside));
    if (space->used == 0) {
        (void)sp_map_del(&nat->spaces, &skey);
        free(space);
    }
    if (nat->n_dead >= SP_NAT_EXPIRED_MAX)
        forget_dead(nat, nat->dead_oldest);
    e->dead = true;
    e->dead_newer = NULL;
    e->dead_older = nat->dead_newest;
    if (nat->dead_newest)
        nat->dead_newest->dead_newer = e;
    else
        nat->dead_oldest = e;
    nat->dead_newest = e;
    nat->n_dead++;
}

static int
take_port(struct sp_nat_gw *nat, struct nat_key *outside)
{
    struct nat_key skey = space_key(outside);
    struct sp_port_space *space = sp_map_get(&nat->spaces, &skey);
    uint16_t port;
    int r;

    if (space == NULL) {
        space = sp_xcalloc(1, sizeof *space);
        (void)sp_map_put(&nat->spaces, &skey, space);
    }
    r = sp_port_space_take(space, key_id(outside), &port);
    if (r == 0)
        sp_put_be16(outside->id, port);
    return r;
}

static int
new_entry(struct sp_nat_gw *nat,
          const struct nat_key *inside,
          const struct sp_ip *real,
          struct sp_ip_proto proto,
          struct sp_nat_entry **ret_entry)
{
    struct nat_key outside = make_key(real, proto);
    struct sp_nat_entry *e;
    int r;

    if (nat->inside.len >= SP_NAT_ENTRIES_MAX)
        return SP_E_LIMIT;
    r = take_port(nat, &outside);
    if (r < 0)
        return r;
    e = sp_map_get(&nat->outside, &outside);
    if (e)
        forget_dead(nat, e); /* its port was free, so it is dead */
    e = sp_xcalloc(1, sizeof *e);
    e->inside = *inside;
    e->outside = outside;
    (void)sp_map_put(&nat->inside, inside, e);
    (void)sp_map_put(&nat->outside, &outside, e);
    *ret_entry = e;
    return 0;
}

/* A new connection from the same socket revives a closed session instead of dying with it. */
static void
note_outgoing(struct sp_nat_entry *e, const struct sp_ip_view *v, sp_time now)
{
    bool syn = (v->tcp_flags & (SP_TCP_SYN | SP_TCP_ACK)) == SP_TCP_SYN;

    if (syn && (e->rst || (e->fin_out && e->fin_in)))
        e->rst = e->fin_out = e->fin_in = e->confirmed = false;
    e->fin_out |= (v->tcp_flags & SP_TCP_FIN) != 0;
    e->rst |= (v->tcp_flags & SP_TCP_RST) != 0;
    e->last_out = now;
}

static void
note_incoming(struct sp_nat_entry *e, const struct sp_ip_view *v, sp_time now)
{
    e->confirmed = true;
    e->fin_in |= (v->tcp_flags & SP_TCP_FIN) != 0;
    e->rst |= (v->tcp_flags & SP_TCP_RST) != 0;
    e->last_in = now;
}

int
sp_nat_gw_outgoing(struct sp_nat_gw *nat,
                   struct sp_pkt *pkt,
                   struct sp_ip_view *v,
                   const struct sp_ip *real,
                   sp_time now)
{
    struct nat_key inside = make_key(&v->dst, v->src_proto);
    struct sp_nat_entry *e;
    struct sp_ip target;
    int r;

    if (!sp_ip_proto_supported(v->src_proto))
        return SP_E_UNSUPPORTED;
    e = sp_map_get(&nat->inside, &inside);
    if (e == NULL) {
        if (real->family != v->version)
            return SP_E_INVAL;
        r = new_entry(nat, &inside, real, v->src_proto, &e);
        if (r < 0)
            return r;
    }
    note_outgoing(e, v, now);
    touch(nat, e);
    target = key_ip(&e->outside);
    sp_packet_set_dst(sp_pkt_data(pkt), v, &target);
    sp_packet_set_src_id(sp_pkt_data(pkt), v, key_id(&e->outside));
    return 0;
}

/* The quoted packet becomes what the client sent: proxy IP and its own port. The quoted transport
 * checksum stays wrong (spec B.6); the quoted IPv4 header checksum is repaired, it costs nothing. */
static void
translate_quote(uint8_t *p, const struct sp_icmp_error *err, const struct sp_nat_entry *e)
{
    uint8_t *quote = p + err->quote;
    size_t id_off = err->src_proto.kind == SP_IP_PROTO_ECHO ? 4 : 0;

    if (err->version == 4) {
        uint16_t csum =
            sp_csum_update((uint16_t)((quote[10] << 8) | quote[11]), quote + 16, e->inside.ip, 4);

        sp_put_be16(quote + 10, csum);
        memcpy(quote + 16, e->inside.ip, 4);
    } else {
        memcpy(quote + 24, e->inside.ip, 16);
    }
    memcpy(p + err->quote_l4 + id_off, e->inside.id, 2);
}

/* Rebuild the error in place: the new headers are never longer than the old ones. */
static int
translate_error(struct sp_nat_gw *nat,
                struct sp_pkt *pkt,
                struct sp_ip_view *v,
                const struct sp_icmp_error *err,
                sp_time now)
{
    struct nat_key outside = make_key(&err->dst, err->src_proto);
    struct sp_nat_entry *e = sp_map_get(&nat->outside, &outside);
    uint8_t *p = sp_pkt_data(pkt);
    struct sp_ip proxy;
    size_t n;
    int r;

    if (e == NULL)
        return SP_NAT_PASS;
    if (e->dead)
        return SP_NAT_EXPIRED;
    e->confirmed = true;
    e->last_in = now;
    touch(nat, e);
    translate_quote(p, err, e);
    proxy = key_ip(&e->inside);
    r = sp_build_icmp(p,
                      SP_MTU,
                      &proxy,
                      &v->dst,
                      SP_BUILD_ICMP_TTL,
                      err->type,
                      err->code,
                      err->mtu,
                      sp_span(p + err->quote, (size_t)v->len - err->quote),
                      &n);
    if (r < 0)
        return r;
    pkt->len = (uint16_t)n;
    return sp_packet_parse(p, n, v);
}

int
sp_nat_gw_incoming(struct sp_nat_gw *nat, struct sp_pkt *pkt, struct sp_ip_view *v, sp_time now)
{
    struct nat_key outside = make_key(&v->src, v->dst_proto);
    struct sp_icmp_error err;
    struct sp_nat_entry *e;
    struct sp_ip proxy;
    int r = sp_icmp_error_parse(sp_pkt_data(pkt), v, &err);

    if (r < 0)
        return r;
    if (r == SP_ICMP_IS_ERROR)
        return translate_error(nat, pkt, v, &err, now);
    if (!sp_ip_proto_supported(v->dst_proto))
        return SP_E_UNSUPPORTED;
    e = sp_map_get(&nat->outside, &outside);
    if (e == NULL)
        return SP_NAT_PASS;
    if (e->dead)
        return SP_NAT_EXPIRED;
    note_incoming(e, v, now);
    touch(nat, e);
    proxy = key_ip(&e->inside);
    sp_packet_set_src(sp_pkt_data(pkt), v, &proxy);
    sp_packet_set_dst_id(sp_pkt_data(pkt), v, key_id(&e->inside));
    return 0;
}

size_t
sp_nat_gw_handle_timeout(struct sp_nat_gw *nat, sp_time now)
{
    size_t pos = 0, ended = 0;
    void *value;

    if (!sp_time_due(nat->due, now))
        return 0;
    nat->due = SP_TIME_NEVER;
    while (sp_map_next(&nat->inside, &pos, NULL, &value)) {
        struct sp_nat_entry *e = value;

        if (expiry_of(e) > now) {
            touch(nat, e);
            continue;
        }
        (void)sp_map_del(&nat->inside, &e->inside);
        bury(nat, e);
        ended++;
    }
    return ended;
}

sp_time
sp_nat_gw_next_timeout(const struct sp_nat_gw *nat)
{
    return nat->due;
}
