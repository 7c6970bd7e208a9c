/* SPDX-License-Identifier: Apache-2.0 */
/* Deterministic simulation: one client engine, gateways, a stub portal, hosts behind the gateways
 * and applications in front of the client, on one virtual clock and one seed. Source: spec tunnel F.2
 * to F.4.
 *   world.c   engines, network, loop        portal.c  authorization flow and what it has granted
 *   hosts.c   resource side and resolvers   app.c     probes and DNS queries, what comes back
 *   oracle.c  expected routing and config   steps.c   transitions drawn from the seed
 * The oracle knows the portal's data and the spec, never an engine's tables. */
#pragma once

#include <glib.h>

#include "engine/client/client.h"
#include "engine/gateway/gateway.h"
#include "engine/ip/icmp.h"
#include "engine/ip/packet.h"
#include "tests/support/net.h"
#include "tests/support/rng.h"

#define SIM_GATEWAYS     3 /* 0 and 1: ordinary sites; 2: the Internet site */
#define SIM_RESOURCES    10
#define SIM_NAMES        8
#define SIM_ADDRS        4 /* records of one name and family */
#define SIM_PROXIES      4
#define SIM_PORT         52625
#define SIM_STEPS        20
#define SIM_PATIENCE     SP_SEC(20)  /* for one probe */
#define SIM_IDLE_LOSS    SP_SEC(170) /* F.4: the re-key window */
#define SIM_DETECT       SP_SEC(25)  /* a dead peer is noticed at the latest, with traffic */
#define SIM_EXPIRY_SLACK SP_MS(1100) /* tick of the gateway */

enum sim_plant {
    SIM_PLANT_NONE,
    SIM_PLANT_LOST_REJECT,   /* the gateway never hears of a revocation */
    SIM_PLANT_STALE_INIT,    /* the resync after an outage lists what is gone */
    SIM_PLANT_WRONG_ADDRESS, /* a resolver answer is not what the name has */
    SIM_PLANT_DUPLICATE,     /* the client's TUN device hands out a packet twice */
    SIM_PLANT_NO_TIMER,      /* the client is never woken */
    _SIM_PLANT_MAX
};

/** struct sim_resource - as the portal has it. @site is a gateway's site */
struct sim_resource {
    bool live;
    struct sp_uuid id;
    enum sp_resource_type type;
    char name[24];
    char address[SP_CIDR_STR_MAX];
    struct sp_cidr net;
    int rank; /* DNS: index in the pattern table, most specific first */
    enum sp_ip_stack stack;
    int site;
    struct sp_filter_rule filters[3];
    size_t n_filters;
};

/** struct sim_grant - what a gateway was told about one resource, as far as it was delivered */
struct sim_grant {
    bool held;
    sp_time granted_at;
    sp_time expires_at;
    sp_time cut_at; /* last time access ended, by expiry or revocation */
    struct sp_cidr net;
    struct sp_filter_rule filters[3];
    size_t n_filters;
};

/** struct sim_answer - resolution that a gateway got for a name */
struct sim_answer {
    bool failed;
    sp_time at;
    sp_time lacks4_at; /* last answer without the family */
    sp_time lacks6_at;
    struct sp_ip v4[SIM_ADDRS], v6[SIM_ADDRS];
    size_t n4, n6;
    struct sp_ip ever[64]; /* ring of all that was answered */
    unsigned n_ever;
    struct sp_ip mapped[2 * SIM_PROXIES]; /* real address seen behind each proxy address */
};

struct sim_name {
    const char *text;
    struct sp_ip v4[SIM_ADDRS], v6[SIM_ADDRS]; /* global records now */
    size_t n4, n6;
    bool have_proxies;
    struct sp_ip proxies[2 * SIM_PROXIES]; /* as the client answered: 4 v4, 4 v6 */
    unsigned assoc;                        /* bit per resource: routes exist once it is live */
    bool shaky;                            /* a resolution failed: wait for the next query */
};

struct sim_gateway {
    struct sim *sim;
    int index;
    int host;
    int site;
    struct sp_uuid id;
    struct sp_gw *gw;
    struct sp_pkt_pool pool;
    struct test_rng rng;
    struct sp_ip ipv4, ipv6;
    char address[2][SP_IP_STR_MAX];
    uint8_t key[SP_KEY_LEN];
    bool online; /* joined at the portal */
    unsigned epoch;
    sp_time last_traffic;
    bool disturbed;
    sp_time first_probe; /* after the disturbance */
    struct sim_grant grants[SIM_RESOURCES];
    struct sim_answer answers[SIM_NAMES];
};

enum sim_outcome {
    SIM_EXPECT_DROP,       /* nothing anywhere */
    SIM_EXPECT_PROHIBITED, /* by the client itself */
    SIM_EXPECT_GW_REJECT,  /* Internet resource: ICMP error of the gateway */
    SIM_EXPECT_ROUND_TRIP, /* or, for a name without record of the family, unreachable */
    SIM_EXPECT_ANY,        /* e.g. a gateway's own address */
};

enum sim_reply {
    SIM_REPLY_ECHO,
    SIM_REPLY_ICMP4,
    SIM_REPLY_ICMP_MAX = 6,
};

/** struct sim_probe - one packet of an application with a unique id as payload */
struct sim_probe {
    uint32_t id;
    bool udp;
    struct sp_endpoint src, dst; /* ports, or ICMP id and sequence */
    int name;                    /* -1: not a name */
    int resource;                /* -1: none */
    enum sim_outcome expect;
    bool gw_unreachable; /* of GW_REJECT: unreachable, else prohibited */
    bool may_lose;
    bool loose; /* the world changes while it is under way */
    sp_time at;
    int requests;
    int responses;
    int gateway; /* that carried it */
    struct sp_ip remote;
    bool done;
};

struct sim_query {
    uint16_t id;
    uint16_t port;
    uint16_t qtype;
    int name; /* index, or -1 for an outside name */
    char text[96];
    struct sp_ip sentinel;
    struct sp_ip reversed; /* PTR */
    bool silent;           /* the upstream never answers: no reply */
    bool failing;
    bool recursed;
    int via; /* resource whose gateway is the way to the server, -1: outside the tunnel */
    bool served;
    bool may_lose;
    bool done;
    sp_time at;
    int answers;
};

struct sim_message; /* of the portal, see portal.c */

struct sim {
    uint64_t seed;
    enum sim_plant plant;
    bool verbose;
    struct test_rng rng_state;
    struct sp_rng rng;
    sp_time now;
    struct sp_wall wall;
    struct sp_log log;
    struct test_net *net;
    bool lossy;
    bool jittery;
    GString *trace;
    char *failure; /* first problem, owned */

    struct sp_client *client;
    struct sp_pkt_pool pool;
    struct test_rng client_rng;
    int client_host;
    unsigned client_place; /* counts the networks the client has been in */
    struct sp_uuid client_id;
    uint8_t client_key[SP_KEY_LEN];
    struct sp_ip ipv4, ipv6;
    bool client_online;
    struct sp_client_tun_config tun;
    bool have_tun;
    struct sp_client_event list; /* last resource list */
    bool have_list;

    struct sim_gateway gateways[SIM_GATEWAYS];
    struct sim_resource resources[SIM_RESOURCES];
    struct sim_name names[SIM_NAMES];
    sp_time offline_at[SIM_GATEWAYS]; /* by site: when the client was last told "offline" */
    bool internet_active;
    struct sp_ip portal_dns[3];
    size_t n_portal_dns;
    struct sp_ip system_dns[3];
    size_t n_system_dns;

    sp_duration portal_delay;
    GQueue *messages; /* struct sim_message, each link in order */
    GHashTable *refs; /* ref -> pending authorization */
    unsigned next_ref;

    GQueue *events; /* struct sim_event: resource side packets and resolver answers, by time */
    GPtrArray *probes;
    GPtrArray *queries;
    uint32_t next_probe;
    uint16_t next_port;
    uint64_t wakeups;
    uint64_t round_trips;
    int lost_in_a_row;
};

/* ---- world.c ---- */
struct sim *sim_new(uint64_t seed, enum sim_plant plant, bool verbose);
void sim_free(struct sim *s);
/** sim_fail() - remember the first problem; the case ends at the next opportunity */
void sim_fail(struct sim *s, const char *format, ...) G_GNUC_PRINTF(2, 3);
void sim_note(struct sim *s, const char *format, ...) G_GNUC_PRINTF(2, 3);
unsigned sim_draw(struct sim *s, unsigned below);
void sim_run(struct sim *s, sp_duration d);
/** sim_settle() - let every probe and query come to its end, then judge them */
void sim_settle(struct sim *s);
void sim_drain_client(struct sim *s);
void sim_drain_gateway(struct sim_gateway *g);
void sim_client_move(struct sim *s);
void sim_gateway_start(struct sim_gateway *g);
/** sim_gateway_stop() - @graceful says goodbye first */
void sim_gateway_stop(struct sim_gateway *g, bool graceful);
void sim_shutdown(struct sim *s);
struct sp_pkt *sim_packet(struct sp_pkt_pool *pool, const uint8_t *p, size_t n);

/* ---- portal.c ---- */
void portal_init(struct sim *s);
void portal_done(struct sim *s);
sp_time portal_next(const struct sim *s);
void portal_deliver(struct sim *s);
void portal_from_client(struct sim *s, const struct sp_client_req *req);
void portal_from_gateway(struct sim_gateway *g, const struct sp_gw_req *req);
void portal_client_down(struct sim *s);
void portal_client_up(struct sim *s);
void portal_gateway_down(struct sim_gateway *g);
void portal_gateway_up(struct sim_gateway *g);
void portal_send_resource(struct sim *s, int r);
void portal_delete_resource(struct sim *s, int r);
void portal_send_config(struct sim *s);
/** portal_revoke() - reject_access to every gateway that holds the resource */
void portal_revoke(struct sim *s, int r);
void portal_filters_changed(struct sim *s, int r);
/** portal_grant_live() - may gateway @g still serve @r as far as it has been told */
bool portal_grant_live(const struct sim_gateway *g, int r, sp_time now);

/* ---- hosts.c ---- */
sp_time hosts_next(const struct sim *s);
void hosts_deliver(struct sim *s);
void hosts_done(struct sim *s);
void hosts_packet(struct sim_gateway *g, struct sp_pkt *pkt);
void hosts_resolve(struct sim_gateway *g, uint64_t id, const char *domain);
void hosts_dns_query(struct sim *s, const struct sp_client_dns_query *q);
/** hosts_reply_kind() - how the host at @ip answers: 0 echoes, others are ICMP errors */
unsigned hosts_reply_kind(const struct sim *s, const struct sp_ip *ip);
void hosts_icmp_of(unsigned kind, uint8_t family, uint8_t *type, uint8_t *code, uint32_t *word2);

/* ---- app.c ---- */
void app_probe(struct sim *s, struct sim_probe *p, bool loose);
void app_query(struct sim *s, struct sim_query *q);
void app_receive(struct sim *s, struct sp_pkt *pkt);
/** app_at_remote() - a probe left gateway @g towards @v->dst */
void app_at_remote(struct sim_gateway *g, const struct sp_ip_view *v, uint32_t id, bool udp);
/** app_query_at_server() - a query came through gateway @g. Returns: the query, or NULL */
struct sim_query *app_query_at_server(struct sim_gateway *g,
                                      const struct sp_ip_view *v,
                                      uint16_t id);
/** app_pending() - something strict is still on its way */
bool app_pending(const struct sim *s);
void app_judge(struct sim *s);
struct sim_probe *app_find(const struct sim *s, uint32_t id);

/* ---- oracle.c ---- */
bool oracle_matches(int rank, const char *name);
const char *oracle_pattern(int rank);
extern const int oracle_n_patterns;
bool oracle_permits(const struct sp_filter_rule *f, size_t n, bool udp, uint16_t port);
bool oracle_stack(enum sp_ip_stack stack, uint8_t family);
/** oracle_route() - fill resource, expect and gw_unreachable of the probe */
void oracle_route(const struct sim *s, struct sim_probe *p);
/** oracle_tunnels() - resource that carries queries to server @ip, or -1 (A.6, G.7) */
int oracle_tunnels(const struct sim *s, const struct sp_ip *ip);
int oracle_name_of_proxy(const struct sim *s, const struct sp_ip *ip);
void oracle_check_tun(struct sim *s);
void oracle_check_list(struct sim *s);
size_t oracle_servers(const struct sim *s, struct sp_ip out[3]);
bool oracle_in_proxy_range(const struct sp_ip *ip);
bool oracle_in_peer_range(const struct sp_ip *ip);

/* ---- steps.c ---- */
void steps_run(struct sim *s);
