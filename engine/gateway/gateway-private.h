/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the gateway state and who does what with them:
 *   gateway.c    life, inputs, outputs, timers     authz.c     authorizations (B.2)
 *   uplink.c     client -> network (B.3, B.4)      downlink.c  network -> client (B.6, B.8)
 *   names.c      assigned-ips, translations (B.7)  peers.c     client table
 * Ownership: struct sp_gw owns the peers, a peer owns its resources, translations and NAT table. */
#pragma once

#include "engine/base/map.h"
#include "engine/base/ring.h"
#include "engine/control/control.h"
#include "engine/dns/pattern.h"
#include "engine/filter/filter.h"
#include "engine/filter/route-table.h"
#include "engine/gateway/gateway.h"
#include "engine/ip/packet.h"
#include "engine/model/held.h"
#include "engine/nat/gateway-nat.h"
#include "engine/node/node.h"

#define GW_EVENTS_MAX    4096
#define GW_TUN_QUEUE_MAX 1024
#define GW_LOOKUPS_MAX   1000 /* resolutions on their way */
#define GW_NAMES_MAX     4096 /* translations per client: proxy addresses */
#define GW_RESOURCES_MAX 4096 /* authorizations per client */
#define GW_TICK          SP_SEC(1)

/** struct gw_resource - an authorization of one client. @pattern: DNS only; it matches nothing if
 * the portal sent one that is not valid */
struct gw_resource {
    struct sp_resource r;
    struct sp_filter *filter;
    struct sp_dns_pattern pattern;
    sp_time expires_at;
};

/** struct gw_translation - a proxy address of a name. @target: family 0 when the name has no address
 * of this family; @resources: those that registered it */
struct gw_translation {
    struct sp_ip proxy;
    struct sp_ip target;
    char *domain;
    struct sp_uuid *resources;
    size_t n_resources;
};

/** struct gw_peer - a client; stays when its connection fails (B.2) */
struct gw_peer {
    struct sp_uuid id;
    struct sp_ip ipv4;
    struct sp_ip ipv6;
    struct gw_resource **resources;
    size_t n_resources;
    struct sp_map translations; /* struct sp_ip -> struct gw_translation * */
    struct sp_route_table routes;
    struct sp_nat_gw nat;
    struct sp_held held;
};

/** struct gw_lookup - an assigned-ips event that waits for addresses */
struct gw_lookup {
    uint64_t id;
    struct sp_uuid peer;
    struct sp_uuid resource;
    char domain[SP_CONTROL_DOMAIN_MAX + 1];
    struct sp_ip proxies[SP_CONTROL_PROXY_IPS_MAX];
    size_t n_proxies;
};

struct sp_gw {
    struct sp_gw_config cfg;
    struct sp_node *node;
    struct sp_drops drops;
    struct sp_ring events;
    struct sp_pkt_queue tun_out;
    bool have_interface;
    bool portal_up;
    struct sp_ip ipv4;
    struct sp_ip ipv6;
    struct gw_peer **peers;
    size_t n_peers;
    struct sp_map by_id;   /* struct sp_uuid -> struct gw_peer * */
    struct sp_map by_ip;   /* struct sp_ip -> struct gw_peer * */
    struct sp_map lookups; /* uint64_t -> struct gw_lookup * */
    uint64_t last_lookup;
    sp_time next_tick;
};

/* ---- gateway.c ---- */
void gw_emit(struct sp_gw *gw, struct sp_gw_event *ev);
void gw_drop(struct sp_gw *gw, struct sp_pkt *pkt, enum sp_drop reason);
void gw_to_tun(struct sp_gw *gw, struct sp_pkt *pkt);
/** gw_send() - takes @pkt; a peer that is not connected is a counted drop, nothing is buffered */
void gw_send(struct sp_gw *gw, const struct gw_peer *peer, struct sp_pkt *pkt, sp_time now);
/** gw_is_own_ip() - one of the gateway's tunnel addresses */
bool gw_is_own_ip(const struct sp_gw *gw, const struct sp_ip *ip);

/* ---- peers.c ---- */
struct gw_peer *gw_peer_find(const struct sp_gw *gw, const struct sp_uuid *id);
struct gw_peer *gw_peer_by_ip(const struct sp_gw *gw, const struct sp_ip *ip);
/** gw_peer_upsert() - other tunnel addresses than before replace the peer's whole state */
struct gw_peer *gw_peer_upsert(struct sp_gw *gw,
                               const struct sp_uuid *id,
                               const struct sp_ip *ipv4,
                               const struct sp_ip *ipv6);
/** gw_peer_remove() - forget the state; the connection is the caller's business */
void gw_peer_remove(struct sp_gw *gw, struct gw_peer *peer);
/** gw_peer_close() - goodbye, close, forget */
void gw_peer_close(struct sp_gw *gw, struct gw_peer *peer, sp_time now);
struct gw_resource *gw_peer_resource(const struct gw_peer *peer, const struct sp_uuid *id);
void gw_peer_add_resource(struct gw_peer *peer, struct gw_resource *res);
/** gw_peer_drop_resource() - its names keep their translations: a client that is granted access again
 * does not announce them again (A.13, confirmed) */
void gw_peer_drop_resource(struct gw_peer *peer, const struct sp_uuid *id);
void gw_translation_free(struct gw_translation *t);
void gw_peer_clear_translations(struct gw_peer *peer);
/** gw_peer_rebuild_routes() - after any change of resources, filters or translations */
void gw_peer_rebuild_routes(struct sp_gw *gw, struct gw_peer *peer);
void gw_resource_free(struct gw_resource *res);
void gw_peers_done(struct sp_gw *gw);

/* ---- authz.c ---- */
void gw_handle_init(struct sp_gw *gw, const struct sp_gw_init *init, sp_time now);
/** gw_handle_authorize() - takes what @msg owns */
void gw_handle_authorize(struct sp_gw *gw, struct sp_gw_authorize *msg, sp_time now);
void gw_handle_reject(struct sp_gw *gw,
                      const struct sp_uuid *client,
                      const struct sp_uuid *resource,
                      sp_time now);
void gw_handle_resource_updated(struct sp_gw *gw, const struct sp_resource *r);
void gw_authz_tick(struct sp_gw *gw, sp_time now);

/* ---- uplink.c, downlink.c ---- */
/** enum gw_class - may this client exchange packets with this address (B.4) */
enum gw_class {
    GW_CLASS_ALLOWED,
    GW_CLASS_REFUSED,
    GW_CLASS_INTERNET_REJECTS, /* the Internet resource does not cover private addresses */
};
enum gw_class gw_classify(struct gw_peer *peer,
                          const struct sp_ip *remote,
                          struct sp_ip_proto proto);
void gw_uplink(struct sp_gw *gw, const struct sp_uuid *client, struct sp_pkt *pkt, sp_time now);
void gw_downlink(struct sp_gw *gw, struct sp_pkt *pkt, sp_time now);

/* ---- names.c ---- */
void gw_handle_assigned_ips(struct sp_gw *gw,
                            struct gw_peer *peer,
                            const struct sp_control_event *ev,
                            sp_time now);
void gw_names_resolved(struct sp_gw *gw,
                       uint64_t id,
                       bool failed,
                       const struct sp_ip *addrs,
                       size_t n,
                       sp_time now);
/** gw_names_adopt() - @res is granted (again): names it registered before but does not match now are
 * not its any more */
void gw_names_adopt(struct gw_peer *peer, const struct gw_resource *res);
void gw_names_done(struct sp_gw *gw);
