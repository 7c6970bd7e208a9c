/* SPDX-License-Identifier: Apache-2.0 */
/* Client tunnel state: which packet belongs to which resource, who may carry it, and what the
 * applications are told when nobody may. Joins node, DNS and the in-tunnel control protocol.
 * Sources: spec tunnel A (all) and D; spec portal-protocol 3.2, 3.3.
 * Owner: the client driver, one per session. Thread: the caller's. I/O: none.
 *
 * Driver rule: after any handle_*, drain poll_event, poll_tun and poll_transmit until all are
 * empty, then read next_timeout. `now` never goes back. */
#pragma once

#include "engine/base/drop.h"
#include "engine/base/io.h"
#include "engine/base/log.h"
#include "engine/base/rng.h"
#include "engine/base/time.h"
#include "engine/model/model.h"

struct sp_client;

/** struct sp_client_config - everything is borrowed and must outlive the client */
struct sp_client_config {
    struct sp_pkt_pool *pool;
    struct sp_rng rng;
    struct sp_wall wall;
    const struct sp_log *log;
    bool internet_resource; /* the user's choice at start (spec tunnel A.8) */
};

enum sp_resource_status {
    SP_RESOURCE_UNKNOWN,
    SP_RESOURCE_ONLINE,
    SP_RESOURCE_OFFLINE,
};

/** struct sp_client_resource_view - one line of the resource list shown to people */
struct sp_client_resource_view {
    struct sp_resource resource; /* owned copy */
    enum sp_resource_status status;
    bool enabled; /* false only for the Internet resource while it is switched off */
};

/** struct sp_client_dns_server - a sentinel and the upstream server behind it */
struct sp_client_dns_server {
    struct sp_ip sentinel;
    struct sp_ip upstream; /* family 0 when the upstream is DNS over HTTPS */
    char *doh_url;         /* owned, NULL for Do53 */
};

/** struct sp_client_tun_config - what the operating system has to set up (A.7) */
struct sp_client_tun_config {
    struct sp_ip ipv4;
    struct sp_ip ipv6;
    struct sp_cidr *routes; /* sorted, no duplicates */
    size_t n_routes;
    struct sp_client_dns_server *dns; /* in the order of the upstream servers */
    size_t n_dns;
    char *search_domain; /* NULL if none */
};

enum sp_client_event_type {
    SP_CLIENT_EVENT_TUN_CONFIG, /* differs from the last one delivered */
    SP_CLIENT_EVENT_PORTAL,     /* send this to the portal */
    SP_CLIENT_EVENT_RESOURCES,  /* the list for people changed */
    SP_CLIENT_EVENT_DNS_QUERY,  /* ask an upstream server outside the tunnel */
    SP_CLIENT_EVENT_OFFLINE,    /* all gateways of a resource are offline; once per session */
    SP_CLIENT_EVENT_VERSION_MISMATCH,
    SP_CLIENT_EVENT_PUBLIC_KEY, /* a hard reset made a new key: dial the portal with it */
};

/** struct sp_client_dns_query - one recursive query for the driver (A.6).
 * Answer with sp_client_handle_dns_result() and the same @id. */
struct sp_client_dns_query {
    uint64_t id;
    struct sp_ip server; /* family 0: use @doh_url */
    bool tcp;            /* it came over TCP: ask over TCP, unless by DoH */
    struct sp_ip source; /* family 0: around the tunnel; else through it, from this address */
    char *doh_url;
    uint8_t *message; /* owned */
    size_t len;
};

struct sp_client_event {
    enum sp_client_event_type type;
    union {
        struct sp_client_tun_config tun;
        struct sp_client_req portal;
        struct {
            struct sp_client_resource_view *list;
            size_t n;
        } resources;
        struct sp_client_dns_query dns;
        struct sp_uuid resource_id;
        uint8_t public_key[SP_KEY_LEN];
    } u;
};
/** sp_client_event_done() - free what the event owns */
void sp_client_event_done(struct sp_client_event *ev);

/** sp_client_new() - with a fresh key pair. Returns: never NULL */
struct sp_client *sp_client_new(const struct sp_client_config *config, sp_time now);
/** sp_client_free() - NULL is fine; drops everything without a goodbye. Returns NULL */
struct sp_client *sp_client_free(struct sp_client *c);

const uint8_t *sp_client_public_key(const struct sp_client *c);

/** sp_client_handle_tun() - an IP packet read from the TUN device; takes @pkt (A.9) */
void sp_client_handle_tun(struct sp_client *c, struct sp_pkt *pkt, sp_time now);
/** sp_client_handle_udp() - a datagram from a UDP socket; takes @pkt, pkt->ecn is the outer mark */
void sp_client_handle_udp(struct sp_client *c,
                          const struct sp_udp_meta *meta,
                          struct sp_pkt *pkt,
                          sp_time now);
/** sp_client_handle_portal() - a decoded portal message; takes what @msg owns and zeroes it */
void sp_client_handle_portal(struct sp_client *c, struct sp_client_msg *msg, sp_time now);
/** sp_client_handle_portal_state() - the channel came up (true, after join) or went down; while it
 * is down candidate changes are held and merged (spec portal-protocol 2.6) */
void sp_client_handle_portal_state(struct sp_client *c, bool up, sp_time now);

enum sp_client_dns_result {
    SP_CLIENT_DNS_ANSWER,
    SP_CLIENT_DNS_TIMEOUT, /* no reply to a query that came over UDP (A.6) */
    SP_CLIENT_DNS_FAILED,  /* SERVFAIL */
};
/** sp_client_handle_dns_result() - @message is borrowed; an unknown @id is ignored */
void sp_client_handle_dns_result(struct sp_client *c,
                                 uint64_t id,
                                 enum sp_client_dns_result result,
                                 struct sp_span message,
                                 sp_time now);
/** sp_client_set_system_resolvers() - the servers in use before we took over DNS (A.5) */
void sp_client_set_system_resolvers(struct sp_client *c,
                                    const struct sp_ip *servers,
                                    size_t n,
                                    sp_time now);
/** sp_client_set_host_addresses() - our own addresses with the UDP port, for host candidates */
void sp_client_set_host_addresses(struct sp_client *c,
                                  const struct sp_endpoint *addrs,
                                  size_t n,
                                  sp_time now);
/** sp_client_set_internet_resource() - idempotent (A.8) */
void sp_client_set_internet_resource(struct sp_client *c, bool active, sp_time now);
void sp_client_flush_dns_cache(struct sp_client *c);
/** sp_client_reset() - the network changed (A.14, spec connectivity 5.6) */
void sp_client_reset(struct sp_client *c, sp_time now);
/** sp_client_shutdown() - goodbye to every peer; drain transmits afterwards */
void sp_client_shutdown(struct sp_client *c, sp_time now);

void sp_client_handle_timeout(struct sp_client *c, sp_time now);
/** sp_client_next_timeout() - SP_TIME_NEVER when nothing is pending */
sp_time sp_client_next_timeout(const struct sp_client *c);
bool sp_client_poll_transmit(struct sp_client *c, struct sp_transmit *ret_tx);
/** sp_client_poll_tun() - a packet for the TUN device, ownership to the caller, or NULL */
SP_MUST_CHECK struct sp_pkt *sp_client_poll_tun(struct sp_client *c);
/** sp_client_poll_event() - ownership to the caller; end with sp_client_event_done() */
bool sp_client_poll_event(struct sp_client *c, struct sp_client_event *ret_ev);

/** struct sp_peer_view - a connection as status output shows it */
struct sp_peer_view {
    struct sp_uuid peer;
    const char *state; /* "connecting", "connected", "idle" */
    const char *path;  /* "peer-to-peer", "peer-to-relay", "relay-to-peer", "relay-to-relay", "" */
    struct sp_endpoint local;
    struct sp_endpoint remote;
    sp_duration rtt;        /* 0 when not measured */
    sp_time last_handshake; /* SP_TIME_NEVER when none */
    uint64_t rx_bytes;      /* tunnel packets, without overhead */
    uint64_t tx_bytes;
};
/** sp_client_peers() - fill up to @max entries. Returns: number of connections, may be > @max */
size_t sp_client_peers(const struct sp_client *c, struct sp_peer_view *out, size_t max);
/** sp_client_drops() - counters since start */
const struct sp_drops *sp_client_drops(const struct sp_client *c);
