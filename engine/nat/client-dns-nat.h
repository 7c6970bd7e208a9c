/* SPDX-License-Identifier: Apache-2.0 */
/* DNS-resource NAT, client half: whether the gateway has confirmed the proxy IPs of a name, and the
 * packets that wait for it. State per (gateway, domain, resource). Source: spec tunnel A.13.
 * Owner: client state; one thread. I/O: none. No timers: resending is driven by traffic. */
#pragma once

#include "engine/base/map.h"
#include "engine/base/pkt.h"
#include "engine/base/span.h"
#include "engine/base/time.h"
#include "engine/base/uuid.h"

#define SP_NAT_DNS_RING        32   /* packets kept per name while pending */
#define SP_NAT_DNS_ENTRIES_MAX 8192 /* names times gateways */
#define SP_NAT_DNS_RESEND      SP_SEC(2)
#define SP_NAT_DNS_DOMAIN_MAX  253

enum sp_nat_dns_state {
    SP_NAT_DNS_NONE, /* no entry */
    SP_NAT_DNS_PENDING_BUFFERING,
    SP_NAT_DNS_PENDING_PASS,
    SP_NAT_DNS_RECREATING_BUFFERING, /* the next update leads to pending, buffering */
    SP_NAT_DNS_RECREATING_PASS,
    SP_NAT_DNS_CONFIRMED,
    SP_NAT_DNS_FAILED,
    _SP_NAT_DNS_STATE_MAX
};

struct sp_nat_dns_entry;

struct sp_nat_dns {
    struct sp_map entries;
    struct sp_nat_dns_entry *last; /* most recent hit */
};

/** struct sp_nat_dns_key - whose state; borrowed for the call. @domain without trailing dot, always
 * in the same letter case */
struct sp_nat_dns_key {
    struct sp_uuid gateway;
    struct sp_uuid resource;
    const char *domain;
};

void sp_nat_dns_init(struct sp_nat_dns *nat, const struct sp_rng *rng);
void sp_nat_dns_done(struct sp_nat_dns *nat);
const char *sp_nat_dns_state_name(enum sp_nat_dns_state state);
enum sp_nat_dns_state sp_nat_dns_get_state(const struct sp_nat_dns *nat,
                                           const struct sp_nat_dns_key *key);

/**
 * sp_nat_dns_update() - after a local DNS answer or a grant
 * @event: the assigned-ips packet, copied; replaces the one held
 * @packets: packets for this name; those that must wait are taken out of the queue, whatever is left
 *           in it afterwards may be sent at once. May be NULL
 * @ret_send: the event to send to the gateway now, or empty; valid until the next call
 *
 * Returns: 0; SP_E_LIMIT too many entries; SP_E_INVAL domain too long or event larger than SP_MTU.
 */
SP_MUST_CHECK int sp_nat_dns_update(struct sp_nat_dns *nat,
                                    const struct sp_nat_dns_key *key,
                                    struct sp_span event,
                                    struct sp_pkt_queue *packets,
                                    sp_time now,
                                    struct sp_span *ret_send);

/** sp_nat_dns_recreate() - the application looked @domain up again: settled entries of that name,
 * at any gateway, ask the gateway anew at the next update */
void sp_nat_dns_recreate(struct sp_nat_dns *nat, const char *domain);

/** SP_NAT_DNS_BUFFERED - outcome: the packet was taken */
#define SP_NAT_DNS_BUFFERED 1

/** sp_nat_dns_handle_outgoing() - a packet to a proxy IP of this name. @ret_send as above.
 * Returns: 0 send the packet now; SP_NAT_DNS_BUFFERED: it was taken. */
SP_MUST_CHECK int sp_nat_dns_handle_outgoing(struct sp_nat_dns *nat,
                                             const struct sp_nat_dns_key *key,
                                             struct sp_pkt *pkt,
                                             sp_time now,
                                             struct sp_span *ret_send);

/** sp_nat_dns_handle_status() - domain-status from @key->gateway itself. Active: waiting packets
 * are appended to @released in order (its own bound is not applied). Otherwise they are freed.
 * Unknown keys are ignored. Returns: packets freed */
size_t sp_nat_dns_handle_status(struct sp_nat_dns *nat,
                                const struct sp_nat_dns_key *key,
                                bool active,
                                struct sp_pkt_queue *released);

/** sp_nat_dns_remove_gateway() - the connection is gone; waiting packets are freed */
void sp_nat_dns_remove_gateway(struct sp_nat_dns *nat, const struct sp_uuid *gateway);
/** sp_nat_dns_remove_resource() - the resource was disabled; waiting packets are freed */
void sp_nat_dns_remove_resource(struct sp_nat_dns *nat, const struct sp_uuid *resource);
