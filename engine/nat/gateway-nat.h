/* SPDX-License-Identifier: Apache-2.0 */
/* The gateway's NAT table of one client: (protocol + source port or ICMP id, proxy IP) inside <->
 * (protocol + port/id, real IP) outside. Source: spec tunnel B.5, B.6.
 * Owner: one per client peer; one thread. I/O: none. */
#pragma once

#include "engine/base/map.h"
#include "engine/base/time.h"
#include "engine/ip/packet.h"

#define SP_NAT_ENTRIES_MAX     65536 /* live entries per client; ports of one real IP: 65535 */
#define SP_NAT_EXPIRED_MAX     65536 /* remembered dead outsides per client */
#define SP_NAT_TTL_TCP         SP_SEC(7440)
#define SP_NAT_TTL_UDP         SP_SEC(120)
#define SP_NAT_TTL_ICMP        SP_SEC(120)
#define SP_NAT_TTL_UNCONFIRMED SP_SEC(60)
#define SP_NAT_TTL_FIN         SP_SEC(5)

/* Positive outcomes of sp_nat_gw_incoming(). */
#define SP_NAT_PASS    1 /* not a NAT flow: unchanged, goes on as CIDR or internet traffic */
#define SP_NAT_EXPIRED 2 /* belonged to a dead session: drop (SP_DROP_EXPIRED_NAT_SESSION) */

struct sp_nat_entry;

struct sp_nat_gw {
    struct sp_map inside;  /* -> live struct sp_nat_entry */
    struct sp_map outside; /* -> struct sp_nat_entry, live or dead; owns it */
    struct sp_map spaces;  /* (protocol, real IP) -> ports in use */
    struct sp_nat_entry *dead_oldest;
    struct sp_nat_entry *dead_newest;
    size_t n_dead;
    sp_time due; /* nothing expires before */
};

void sp_nat_gw_init(struct sp_nat_gw *nat, const struct sp_rng *rng);
void sp_nat_gw_done(struct sp_nat_gw *nat);
/** sp_nat_gw_clear() - forget all sessions, dead ones too (the client renumbered its proxy IPs) */
void sp_nat_gw_clear(struct sp_nat_gw *nat);
/** sp_nat_gw_len() - live sessions */
size_t sp_nat_gw_len(const struct sp_nat_gw *nat);

/**
 * sp_nat_gw_outgoing() - translate a packet of the client to a proxy IP, in place
 * @pkt, @v: the packet and its view; both are edited
 * @real: resolved address of the proxy IP, of the packet's family; ignored for a known session,
 *        which stays where it is
 *
 * The destination becomes the real IP, the source port or id the outside value; the source address
 * stays. Returns: 0; SP_E_LIMIT no free port or table full (SP_DROP_NAT_EXHAUSTED);
 * SP_E_UNSUPPORTED neither TCP, UDP nor echo; SP_E_INVAL family of @real.
 */
SP_MUST_CHECK int sp_nat_gw_outgoing(struct sp_nat_gw *nat,
                                     struct sp_pkt *pkt,
                                     struct sp_ip_view *v,
                                     const struct sp_ip *real,
                                     sp_time now);

/**
 * sp_nat_gw_incoming() - translate a packet from the resource side back, in place; ICMP errors too
 * @pkt, @v: the packet (addressed to the client's tunnel IP) and its view; both are edited. An
 *           error is rebuilt: proxy IP as source, TTL 20, quote translated; its length may shrink.
 *
 * Returns: 0 translated; SP_NAT_PASS; SP_NAT_EXPIRED; SP_E_UNSUPPORTED or SP_E_MALFORMED: neither
 * TCP, UDP, echo nor a usable ICMP error, to be dropped.
 */
SP_MUST_CHECK int sp_nat_gw_incoming(struct sp_nat_gw *nat,
                                     struct sp_pkt *pkt,
                                     struct sp_ip_view *v,
                                     sp_time now);

/** sp_nat_gw_handle_timeout() - call at the 1 s tick. Returns: sessions that ended */
size_t sp_nat_gw_handle_timeout(struct sp_nat_gw *nat, sp_time now);
/** sp_nat_gw_next_timeout() - not later than the first expiry, or SP_TIME_NEVER */
sp_time sp_nat_gw_next_timeout(const struct sp_nat_gw *nat);
