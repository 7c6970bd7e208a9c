/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/ice/candidate.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COMPONENT_PREF  255 /* 256 minus component 1 */
#define PENALTY_FAMILY  1000
#define OPTIMISTIC_STEP (UINT32_C(1) << 8)

const char *
sp_ice_kind_name(enum sp_ice_kind kind)
{
    static const char *const names[_SP_ICE_KIND_MAX] = {
        [SP_ICE_HOST] = "host",
        [SP_ICE_PRFLX] = "prflx",
        [SP_ICE_SRFLX] = "srflx",
        [SP_ICE_RELAY] = "relay",
    };

    return names[kind];
}

uint32_t
sp_ice_candidate_priority(enum sp_ice_kind kind, uint16_t local_pref)
{
    static const uint32_t type_pref[_SP_ICE_KIND_MAX] = {
        [SP_ICE_HOST] = 126,
        [SP_ICE_PRFLX] = 110,
        [SP_ICE_SRFLX] = 100,
        [SP_ICE_RELAY] = 2,
    };

    return type_pref[kind] << 24 | (uint32_t)local_pref << 8 | COMPONENT_PREF;
}

uint16_t
sp_ice_local_pref(enum sp_ice_kind kind, uint8_t family, uint32_t nth, bool mismatch)
{
    static const uint16_t start[_SP_ICE_KIND_MAX] = {
        [SP_ICE_HOST] = 65535,
        [SP_ICE_PRFLX] = 49151,
        [SP_ICE_SRFLX] = 32767,
        [SP_ICE_RELAY] = 16383,
    };
    uint64_t loss = 2 * (uint64_t)nth + (family == 4) + (mismatch ? PENALTY_FAMILY : 0);

    return loss >= start[kind] ? 0 : (uint16_t)(start[kind] - loss);
}

static bool
ip_is_broadcast(const struct sp_ip *ip)
{
    struct sp_ip all = sp_ip4(255, 255, 255, 255);

    return sp_ip_equal(ip, &all);
}

bool
sp_ice_addr_ok(const struct sp_endpoint *addr)
{
    const struct sp_ip *ip = &addr->ip;

    if (!sp_ip_size(ip) || !addr->port || sp_ip_is_unspecified(ip) || sp_ip_is_multicast(ip))
        return false;
    return ip->family == 6 || !(sp_ip_is_link_local(ip) || ip_is_broadcast(ip));
}

/* FNV-1a over what RFC 8445 5.1.1.3 wants a foundation to depend on: kind, base IP, and for relayed
 * ones the relay, whose address family is all that is known here. */
static void
make_foundation(struct sp_ice_candidate *c)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    uint8_t bytes[2 + sizeof c->base.ip.b];

    bytes[0] = (uint8_t)c->kind;
    bytes[1] = c->relay_family_mismatch;
    memcpy(bytes + 2, c->base.ip.b, sizeof c->base.ip.b);
    for (size_t i = 0; i < sizeof bytes; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    (void)snprintf(c->foundation, sizeof c->foundation, "%016" PRIx64, hash);
}

static int
make_local(enum sp_ice_kind kind,
           const struct sp_endpoint *addr,
           const struct sp_endpoint *base,
           bool mismatch,
           struct sp_ice_candidate *ret)
{
    struct sp_ice_candidate c = { .kind = kind, .addr = *addr, .base = *base };

    if (!sp_ice_addr_ok(addr) || !sp_ice_addr_ok(base) || addr->ip.family != base->ip.family)
        return SP_E_INVAL;
    c.relay_family_mismatch = mismatch;
    c.priority =
        sp_ice_candidate_priority(kind, sp_ice_local_pref(kind, addr->ip.family, 0, mismatch));
    /* The related address of srflx and relay is a dummy on the wire: peers have no use for it. */
    if (kind == SP_ICE_SRFLX || kind == SP_ICE_RELAY)
        c.raddr.ip.family = addr->ip.family;
    make_foundation(&c);
    *ret = c;
    return 0;
}

int
sp_ice_candidate_host(const struct sp_endpoint *addr, struct sp_ice_candidate *ret)
{
    return make_local(SP_ICE_HOST, addr, addr, false, ret);
}

int
sp_ice_candidate_srflx(const struct sp_endpoint *mapped,
                       const struct sp_endpoint *base,
                       struct sp_ice_candidate *ret)
{
    return make_local(SP_ICE_SRFLX, mapped, base, false, ret);
}

int
sp_ice_candidate_relay(const struct sp_endpoint *relayed,
                       const struct sp_endpoint *local,
                       struct sp_ice_candidate *ret)
{
    return make_local(SP_ICE_RELAY, relayed, relayed, relayed->ip.family != local->ip.family, ret);
}

static bool
has_real_raddr(const struct sp_ice_candidate *c)
{
    return sp_ip_size(&c->raddr.ip) && !sp_ip_is_unspecified(&c->raddr.ip);
}

bool
sp_ice_candidate_matches(const struct sp_ice_candidate *c, const struct sp_ice_candidate *request)
{
    if (c->kind != request->kind || !sp_endpoint_equal(&c->addr, &request->addr))
        return false;
    if (!has_real_raddr(c) || !has_real_raddr(request))
        return true;
    return sp_endpoint_equal(&c->raddr, &request->raddr);
}

int
sp_ice_candidate_compare(const struct sp_ice_candidate *a, const struct sp_ice_candidate *b)
{
    char text_a[SP_ICE_CANDIDATE_STR_MAX], text_b[SP_ICE_CANDIDATE_STR_MAX];

    if (a->priority != b->priority)
        return a->priority > b->priority ? -1 : 1;
    return strcmp(sp_ice_candidate_format(a, text_a), sp_ice_candidate_format(b, text_b));
}

static bool
knows_addr(const struct sp_ice_candidate *list, size_t n, const struct sp_endpoint *addr)
{
    for (size_t i = 0; i < n; i++) {
        if (sp_endpoint_equal(&list[i].addr, addr))
            return true;
    }
    return false;
}

static struct sp_ice_candidate
guess(const struct sp_ice_candidate *srflx, const struct sp_ice_candidate *host)
{
    struct sp_ice_candidate c = *srflx;

    c.addr.port = host->addr.port;
    c.base = host->addr;
    /* A guess that works is as good as the mapped address, but never preferred to it. */
    c.priority = srflx->priority > OPTIMISTIC_STEP ? srflx->priority - OPTIMISTIC_STEP : 1;
    c.raddr = (struct sp_endpoint){ 0 };
    make_foundation(&c);
    return c;
}

size_t
sp_ice_optimistic(const struct sp_ice_candidate *remotes,
                  size_t n,
                  struct sp_ice_candidate out[SP_ICE_OPTIMISTIC_MAX])
{
    size_t found = 0;

    for (size_t s = 0; s < n; s++) {
        if (remotes[s].kind != SP_ICE_SRFLX || remotes[s].addr.ip.family != 4)
            continue;
        for (size_t h = 0; h < n && found < SP_ICE_OPTIMISTIC_MAX; h++) {
            struct sp_ice_candidate c;

            if (remotes[h].kind != SP_ICE_HOST || remotes[h].addr.ip.family != 4)
                continue;
            c = guess(&remotes[s], &remotes[h]);
            if (!knows_addr(remotes, n, &c.addr) && !knows_addr(out, found, &c.addr))
                out[found++] = c;
        }
    }
    return found;
}
