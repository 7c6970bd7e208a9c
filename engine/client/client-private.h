/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the client state and who does what with them:
 *   client.c      life, inputs and outputs         resources.c  resource table, sites
 *   authz.c       requests, grants, failures       peers.c      gateways in use, allowed sources
 *   outbound.c    TUN -> peer (A.9)                inbound.c    peer -> TUN (A.10)
 *   dns.c         sentinels, records, upstreams    views.c      TUN config and resource list
 *   dns-tunnel.c  upstreams behind a gateway       dns-tcp.c    sentinels over TCP
 * Ownership: struct sp_client owns everything below it; peers own their rings. */
#pragma once

#include "engine/base/map.h"
#include "engine/base/ring.h"
#include "engine/client/client.h"
#include "engine/client/dns-tunnel.h"
#include "engine/dns/stub.h"
#include "engine/filter/filter.h"
#include "engine/filter/route-table.h"
#include "engine/ip/packet.h"
#include "engine/model/held.h"
#include "engine/nat/client-dns-nat.h"
#include "engine/node/node.h"
#include "engine/tcp/server.h"

#define CLIENT_EVENTS_MAX      4096 /* waiting for the driver */
#define CLIENT_TUN_QUEUE_MAX   1024 /* packets for the TUN device */
#define CLIENT_RING_MAX        128  /* per peer and per pending authorization (spec E) */
#define CLIENT_GATEWAYS_MAX    100  /* remembered as preference */
#define CLIENT_REQUEST_GAP     SP_SEC(2)
#define CLIENT_OFFLINE_RESET   SP_SEC(300)
#define CLIENT_REPEAT          SP_SEC(10)  /* a younger request is repeated on a new connection */
#define CLIENT_RESTORE_MAX     32          /* resources asked for again after a reset */
#define CLIENT_RESTORE         SP_SEC(600) /* servers give up their connections in the end */
#define CLIENT_USED            SP_SEC(60)  /* a connection without packets for so long is not */
#define CLIENT_PREFERENCES_MAX 32          /* sent with one request */

/** struct client_resource - one known resource; owned by the client's array.
 * @told_offline, @told_version: the user was told once */
struct client_resource {
    struct sp_resource r;
    struct sp_filter *filter;
    bool told_offline;
    bool told_version;
};

/** struct client_site - status of a site; lives as long as the session
 * @offline_until: when OFFLINE falls back to UNKNOWN */
struct client_site {
    struct sp_uuid id;
    enum sp_resource_status status;
    sp_time offline_until;
};

/** struct client_peer - a gateway with a connection (established or not)
 * @allowed: networks it may send from, each because of a resource; without filters */
struct client_peer {
    struct sp_uuid id;
    struct sp_uuid site;
    struct sp_ip ipv4;
    struct sp_ip ipv6;
    bool established;
    sp_time used; /* when it last carried a packet of a resource */
    struct sp_route_table allowed;
    struct sp_pkt_queue routed;  /* re-enter the outbound path when established */
    struct sp_pkt_queue control; /* built by us, sent directly */
    struct sp_held held;         /* candidates for the portal */
};

/** struct client_name - a name with proxy addresses; lives as long as its record
 * @domain: canonical text, as the control protocol carries it */
struct client_name {
    const struct sp_dns_record *record;
    char domain[SP_NAT_DNS_DOMAIN_MAX + 1];
};

/** struct client_pending - a resource we asked access to */
struct client_pending {
    struct sp_uuid resource;
    sp_time last_request;
    struct sp_pkt_queue packets;
};

struct sp_client {
    struct sp_client_config cfg;
    struct sp_node *node;
    struct sp_drops drops;
    struct sp_ring events;
    struct sp_pkt_queue tun_out;

    bool have_interface;
    struct sp_interface interface;
    bool portal_up;
    bool internet_active;
    bool tun_dirty;  /* the TUN config may differ from @last_tun */
    bool list_dirty; /* the resource list changed */
    bool have_last_tun;
    struct sp_client_tun_config last_tun;
    bool have_last_list;
    struct sp_client_resource_view *last_list;
    size_t n_last_list;

    struct client_resource **resources; /* sorted by id */
    size_t n_resources;
    struct client_site *sites;
    size_t n_sites;

    struct sp_route_table cidr_routes;
    struct sp_route_table dns_routes;

    struct client_peer **peers;
    size_t n_peers;
    struct sp_map authorized;                     /* resource id -> struct sp_uuid * (gateway id) */
    struct sp_map pending;                        /* resource id -> struct client_pending * */
    struct sp_uuid gateways[CLIENT_GATEWAYS_MAX]; /* most recent last */
    size_t n_gateways;
    struct sp_uuid restore[CLIENT_RESTORE_MAX]; /* resources that lost a path in use */
    size_t n_restore;
    sp_time restore_until;

    struct sp_filter *permit_all;
    struct sp_dns_stub dns;
    struct client_dns_tunnel dns_tunnel;
    bool dns_reset_due; /* the TUN config changed: tunnelled queries fail at the next timeout */
    sp_time last_now;
    struct sp_tcp_server *dns_tcp;
    uint8_t dns_buf[SP_DNS_MESSAGE_MAX]; /* an answer on its way out; not kept between calls */
    struct sp_map names;                 /* struct sp_dns_record * -> struct client_name * */
    struct sp_nat_dns dns_nat;
};

/* ---- client.c ---- */
/** client_emit() - takes what @ev owns; a full queue is a counted drop */
void client_emit(struct sp_client *c, struct sp_client_event *ev);
/** client_drop() - free @pkt and count why */
void client_drop(struct sp_client *c, struct sp_pkt *pkt, enum sp_drop reason);
/** client_to_tun() - takes @pkt */
void client_to_tun(struct sp_client *c, struct sp_pkt *pkt);
/** client_icmp_prohibited() - tell the sender of @pkt (borrowed) through the TUN device */
void client_icmp_prohibited(struct sp_client *c,
                            const struct sp_pkt *pkt,
                            const struct sp_ip_view *view);

/* ---- resources.c ---- */
struct client_resource *client_resource_find(const struct sp_client *c, const struct sp_uuid *id);
/** client_resources_replace() - takes the array and its strings (A.1 "replace list") */
void client_resources_replace(struct sp_client *c, struct sp_resource *list, size_t n, sp_time now);
/** client_resource_upsert() - takes what *@r owns and zeroes it */
void client_resource_upsert(struct sp_client *c, struct sp_resource *r, sp_time now);
void client_resource_remove(struct sp_client *c, const struct sp_uuid *id, sp_time now);
/** client_resource_disable() - close its access, keep it in the list (A.1) */
void client_resource_disable(struct sp_client *c, struct client_resource *res, sp_time now);
/** client_internet() - the Internet resource, or NULL if there is none or it is switched off */
struct client_resource *client_internet(const struct sp_client *c);
void client_resources_done(struct sp_client *c);
void client_site_set(struct sp_client *c,
                     const struct sp_uuid *site,
                     enum sp_resource_status status,
                     sp_time now);
enum sp_resource_status client_site_status(const struct sp_client *c, const struct sp_uuid *site);
void client_sites_timeout(struct sp_client *c, sp_time now);
sp_time client_sites_next_timeout(const struct sp_client *c);

/* ---- authz.c ---- */
/** client_authorized_peer() - the gateway that serves @resource now, or NULL */
struct client_peer *client_authorized_peer(const struct sp_client *c,
                                           const struct sp_uuid *resource);
/** client_request() - ask the portal, at most every 2 s; @pkt is taken and buffered, NULL for none */
void client_request(struct sp_client *c,
                    const struct sp_uuid *resource,
                    struct sp_pkt *pkt,
                    sp_time now);
/** client_remember_used() - before a reset, or when a path fails: what a program may be waiting for
 * @gateway: NULL for all */
void client_remember_used(struct sp_client *c, const struct sp_uuid *gateway, sp_time now);
/** client_request_again() - the portal is back: ask for what was in use, and repeat requests that
 * may have been lost */
void client_request_again(struct sp_client *c, sp_time now);
void client_pending_drop(struct sp_client *c, const struct sp_uuid *resource);
void client_authorization_forget(struct sp_client *c, const struct sp_uuid *resource);
/** client_forget_gateway() - all authorizations that use this gateway */
void client_forget_gateway(struct sp_client *c, const struct sp_uuid *gateway);
void client_handle_authorized(struct sp_client *c,
                              const struct sp_client_authorized *grant,
                              sp_time now);
void client_handle_authorization_failed(struct sp_client *c,
                                        const struct sp_uuid *resource,
                                        enum sp_fail_reason reason,
                                        sp_time now);
void client_authz_done(struct sp_client *c);

/* ---- peers.c ---- */
struct client_peer *client_peer_find(const struct sp_client *c, const struct sp_uuid *id);
struct client_peer *client_peer_by_ip(const struct sp_client *c, const struct sp_ip *ip);
struct client_peer *client_peer_upsert(struct sp_client *c,
                                       const struct sp_client_authorized *grant);
/** client_peer_lost() - the connection is gone: forget the peer and everything that hung on it */
void client_peer_lost(struct sp_client *c, const struct sp_uuid *id, sp_time now);
/** client_peer_close() - goodbye, close, forget */
void client_peer_close(struct sp_client *c, struct client_peer *peer, sp_time now);
void client_peer_established(struct sp_client *c, const struct sp_uuid *id, sp_time now);
void client_peer_allow(struct sp_client *c,
                       struct client_peer *peer,
                       const struct sp_cidr *net,
                       const struct sp_uuid *resource);
bool client_peer_may_send_from(struct client_peer *peer, const struct sp_ip *src);
/** client_peer_send() - takes @pkt; buffers it while connecting */
void client_peer_send(struct sp_client *c,
                      struct client_peer *peer,
                      struct sp_pkt *pkt,
                      bool routed,
                      sp_time now);
/** client_peers_flush_held() - candidates of one peer as a portal message, if there are any */
bool client_peers_poll_held(struct sp_client *c, struct sp_client_event *ret_ev);
void client_peers_done(struct sp_client *c);

/* ---- outbound.c, inbound.c ---- */
void client_outbound(struct sp_client *c, struct sp_pkt *pkt, sp_time now);
void client_inbound(struct sp_client *c,
                    const struct sp_uuid *peer,
                    struct sp_pkt *pkt,
                    sp_time now);

/* ---- dns.c ---- */
void client_dns_init(struct sp_client *c);
void client_dns_done(struct sp_client *c);
/** client_dns_handle_packet() - a packet to a sentinel; takes @pkt */
void client_dns_handle_packet(struct sp_client *c,
                              struct sp_pkt *pkt,
                              const struct sp_ip_view *view,
                              sp_time now);
/** client_dns_add_resource() - start matching; names known from before get their routes back */
void client_dns_add_resource(struct sp_client *c, struct client_resource *res);
void client_dns_remove_resource(struct sp_client *c, const struct client_resource *res);
/** client_dns_nat_renew() - after a grant: tell the gateway of @resource the proxy addresses of all its
 * names, also of those it refused or confirmed under an earlier grant */
void client_dns_nat_renew(struct sp_client *c, const struct sp_uuid *resource, sp_time now);
/** client_dns_nat_outgoing() - may @pkt to a proxy address of @name go now? false: it was taken */
bool client_dns_nat_outgoing(struct sp_client *c,
                             struct client_peer *peer,
                             const struct sp_uuid *resource,
                             const struct client_name *name,
                             struct sp_pkt *pkt,
                             sp_time now);
void client_dns_handle_status(struct sp_client *c,
                              const struct sp_uuid *gateway,
                              const struct sp_uuid *resource,
                              const char *domain,
                              bool active,
                              sp_time now);
/** client_dns_pump() - new upstream queries become events */
void client_dns_pump(struct sp_client *c);
void client_dns_handle_timeout(struct sp_client *c, sp_time now);
void client_dns_handle_result(struct sp_client *c,
                              uint64_t id,
                              enum sp_client_dns_result result,
                              struct sp_span msg,
                              sp_time now);

/** client_dns_handle_query() - a message of @from, who gets the answer now or later */
void client_dns_handle_query(struct sp_client *c,
                             const struct sp_dns_client *from,
                             struct sp_span msg,
                             sp_time now);
/** client_dns_reply() - send @msg to who asked */
void client_dns_reply(struct sp_client *c,
                      const struct sp_dns_client *to,
                      struct sp_span msg,
                      sp_time now);

/* ---- dns-tcp.c ---- */
void client_dns_tcp_init(struct sp_client *c);
/** client_dns_tcp_retarget() - listen on the sentinels in force */
void client_dns_tcp_retarget(struct sp_client *c);
/** client_dns_tcp_pump() - new queries are handled, segments go to the TUN device */
void client_dns_tcp_pump(struct sp_client *c, sp_time now);

/* ---- dns-tunnel.c ---- */
void client_dns_tunnel_init(struct sp_client *c);
void client_dns_tunnel_done(struct sp_client *c);
/** client_dns_tunnel_wants() - are queries to @upstream to go through the tunnel (A.6, G.7) */
bool client_dns_tunnel_wants(struct sp_client *c, const struct sp_dns_upstream *upstream);
/** client_dns_tunnel_send() - ask verdict->upstream; who asked gets the answer or SERVFAIL */
void client_dns_tunnel_send(struct sp_client *c,
                            const struct sp_dns_client *from,
                            const struct sp_dns_verdict *verdict,
                            struct sp_span msg,
                            sp_time now);
/** client_dns_tunnel_inbound() - is @pkt (borrowed) about one of our queries, and done with */
bool client_dns_tunnel_inbound(struct sp_client *c,
                               const struct sp_pkt *pkt,
                               const struct sp_ip_view *v,
                               sp_time now);
void client_dns_tunnel_handle_timeout(struct sp_client *c, sp_time now);
sp_time client_dns_tunnel_next_timeout(const struct sp_client *c);
/** client_dns_tunnel_reset() - all queries fail */
void client_dns_tunnel_reset(struct sp_client *c, sp_time now);

/* ---- views.c ---- */
bool client_poll_tun_config(struct sp_client *c, struct sp_client_event *ret_ev);
/** client_poll_list() - the resource list, if it differs from the one last delivered */
bool client_poll_list(struct sp_client *c, struct sp_client_event *ret_ev);
void client_list_done(struct sp_client *c);
void client_tun_config_done(struct sp_client_tun_config *t);
