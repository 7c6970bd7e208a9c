/* SPDX-License-Identifier: Apache-2.0 */
/* Plain structs for what the portal says: resources, sites, filters, interface configuration,
 * authorizations, relays. No JSON, no I/O. Source: spec portal-protocol section 3.
 * Ownership: a struct owns its strings and arrays; `_done` frees them and leaves zeros, so it may
 * be called on a zeroed or half-built value. */
#pragma once

#include "engine/base/addr.h"
#include "engine/base/defs.h"
#include "engine/base/uuid.h"

#define SP_KEY_LEN 32

/* Upper bounds for what one message may carry; more is a malformed message. */
#define SP_MODEL_RESOURCES_MAX  10000
#define SP_MODEL_RELAYS_MAX     64
#define SP_MODEL_CANDIDATES_MAX 100
#define SP_MODEL_FILTERS_MAX    1000
#define SP_MODEL_SITES_MAX      100
#define SP_MODEL_SERVERS_MAX    64

/** struct sp_strv - owned list of owned strings */
struct sp_strv {
    char **v;
    size_t n;
};
void sp_strv_add(struct sp_strv *list, const char *text);
void sp_strv_done(struct sp_strv *list);

enum sp_filter_proto {
    SP_FILTER_TCP,
    SP_FILTER_UDP,
    SP_FILTER_ICMP,
};

/** struct sp_filter_rule - one permitted range; ports inclusive, meaningless for ICMP */
struct sp_filter_rule {
    enum sp_filter_proto proto;
    uint16_t port_start;
    uint16_t port_end;
};

enum sp_resource_type {
    SP_RESOURCE_DNS,
    SP_RESOURCE_CIDR,
    SP_RESOURCE_INTERNET,
};

enum sp_ip_stack {
    SP_IP_STACK_DUAL,
    SP_IP_STACK_IPV4_ONLY,
    SP_IP_STACK_IPV6_ONLY,
};

/** struct sp_site - equality is by id alone */
struct sp_site {
    struct sp_uuid id;
    char *name;
};

/** struct sp_resource - as clients and gateways see it. Gateways get no sites and no description.
 * @address: the text as sent: DNS pattern or CIDR; NULL for internet
 * @net: parsed @address of a CIDR resource
 * An empty filter list permits everything. */
struct sp_resource {
    enum sp_resource_type type;
    struct sp_uuid id;
    char *name;
    char *address;
    char *address_description; /* may be NULL */
    struct sp_cidr net;
    enum sp_ip_stack ip_stack;
    struct sp_site *sites;
    size_t n_sites;
    struct sp_filter_rule *filters;
    size_t n_filters;
};
void sp_resource_done(struct sp_resource *r);
/** sp_resource_copy() - deep copy into uninitialised @dst */
void sp_resource_copy(struct sp_resource *dst, const struct sp_resource *src);

/** struct sp_interface - what the portal says about our tunnel interface; gateways get addresses
 * only. Both addresses are mandatory. */
struct sp_interface {
    struct sp_ip ipv4;
    struct sp_ip ipv6;
    struct sp_ip *upstream_do53; /* legacy upstream_dns already folded in */
    size_t n_upstream_do53;
    struct sp_strv upstream_doh; /* https URLs */
    char *search_domain;         /* NULL if none */
};
void sp_interface_done(struct sp_interface *i);
void sp_interface_copy(struct sp_interface *dst, const struct sp_interface *src);

/** struct sp_relay - one TURN server, its entries merged by id; a family may be missing
 * (addr family 0). Username and password are secrets. */
struct sp_relay {
    struct sp_uuid id;
    struct sp_endpoint addr4;
    struct sp_endpoint addr6;
    char *username;
    char *password;
    int64_t expires_at; /* Unix seconds */
};
void sp_relay_done(struct sp_relay *r);
void sp_relays_free(struct sp_relay *relays, size_t n);

/** struct sp_ice_creds - short-term ICE credentials derived by the portal (secret) */
struct sp_ice_creds {
    char ufrag[33]; /* 4 in practice */
    char pwd[65];   /* 22 in practice */
};

/** struct sp_authz_entry - one line of init.authorizations. @expires_at: Unix seconds, or
 * INT64_MAX for "never" */
struct sp_authz_entry {
    struct sp_uuid client_id;
    struct sp_uuid resource_id;
    int64_t expires_at;
};

enum sp_fail_reason {
    SP_FAIL_UNKNOWN,
    SP_FAIL_NOT_FOUND,
    SP_FAIL_OFFLINE,
    SP_FAIL_VERSION_MISMATCH,
    SP_FAIL_FORBIDDEN,
    SP_FAIL_DISABLED,
    SP_FAIL_AMBIGUOUS_ADDRESS,
    SP_FAIL_MISSING_ADDRESS,
    SP_FAIL_INVALID_ADDRESS,
    _SP_FAIL_MAX
};
/** sp_fail_reason_name() - the wire text, "unknown" for SP_FAIL_UNKNOWN */
const char *sp_fail_reason_name(enum sp_fail_reason reason);
enum sp_fail_reason sp_fail_reason_parse(const char *text);

struct sp_relays_presence {
    struct sp_uuid *disconnected;
    size_t n_disconnected;
    struct sp_relay *connected;
    size_t n_connected;
};

/** struct sp_candidates - ICE candidate strings from or for one peer */
struct sp_candidates {
    struct sp_uuid peer; /* gateway id for clients, client id for gateways */
    struct sp_strv list;
};

/* ---- portal -> client (spec portal-protocol 3.2) ------------------------------------------- */

struct sp_client_init {
    struct sp_interface interface;
    struct sp_resource *resources;
    size_t n_resources;
    struct sp_relay *relays;
    size_t n_relays;
};

/** struct sp_client_authorized - access to @resource_id through @gateway_id was granted */
struct sp_client_authorized {
    struct sp_uuid resource_id;
    struct sp_uuid gateway_id;
    struct sp_uuid site_id;
    uint8_t gateway_key[SP_KEY_LEN];
    struct sp_ip gateway_ipv4;
    struct sp_ip gateway_ipv6;
    uint8_t psk[SP_KEY_LEN]; /* secret */
    struct sp_ice_creds client_creds;
    struct sp_ice_creds gateway_creds;
    bool use_iceless;
};

enum sp_client_msg_type {
    SP_CLIENT_MSG_INIT,
    SP_CLIENT_MSG_CONFIG_CHANGED,
    SP_CLIENT_MSG_RESOURCE_UPSERT,
    SP_CLIENT_MSG_RESOURCE_DELETED,
    SP_CLIENT_MSG_RELAYS_PRESENCE,
    SP_CLIENT_MSG_AUTHORIZED,
    SP_CLIENT_MSG_AUTHORIZATION_FAILED,
    SP_CLIENT_MSG_CANDIDATES,            /* add remote candidates of a gateway */
    SP_CLIENT_MSG_INVALIDATE_CANDIDATES, /* remove them */
};

struct sp_client_msg {
    enum sp_client_msg_type type;
    union {
        struct sp_client_init init;
        struct sp_interface config;
        struct sp_resource resource;
        struct sp_uuid resource_id;
        struct sp_relays_presence relays;
        struct sp_client_authorized authorized;
        struct {
            struct sp_uuid resource_id;
            enum sp_fail_reason reason;
        } failed;
        struct sp_candidates candidates;
    } u;
};
void sp_client_msg_done(struct sp_client_msg *m);

/* ---- client -> portal (3.3) ---------------------------------------------------------------- */

enum sp_client_req_type {
    SP_CLIENT_REQ_AUTHORIZATION,
    SP_CLIENT_REQ_NEW_CANDIDATES,
    SP_CLIENT_REQ_INVALIDATE_CANDIDATES,
    SP_CLIENT_REQ_NO_RELAYS,
};

struct sp_client_req {
    enum sp_client_req_type type;
    union {
        struct {
            struct sp_uuid resource_id;
            struct sp_uuid *connected_gateways; /* preference order */
            size_t n_connected_gateways;
        } authorization;
        struct sp_candidates candidates;
    } u;
};
void sp_client_req_done(struct sp_client_req *r);

/* ---- portal -> gateway (3.4) --------------------------------------------------------------- */

struct sp_gw_init {
    struct sp_ip ipv4;
    struct sp_ip ipv6;
    struct sp_relay *relays;
    size_t n_relays;
    struct sp_authz_entry *authorizations;
    size_t n_authorizations;
};

/** struct sp_gw_authorize - create_authorization. @ref is opaque and echoed in the reply.
 * @expires_at: Unix seconds, INT64_MAX for "never" */
struct sp_gw_authorize {
    char *ref;
    struct sp_resource resource;
    struct sp_uuid client_id;
    uint8_t client_key[SP_KEY_LEN];
    struct sp_ip client_ipv4;
    struct sp_ip client_ipv6;
    uint8_t psk[SP_KEY_LEN]; /* secret */
    struct sp_ice_creds client_creds;
    struct sp_ice_creds gateway_creds;
    int64_t expires_at;
    bool use_iceless;
};

enum sp_gw_msg_type {
    SP_GW_MSG_INIT,
    SP_GW_MSG_AUTHORIZE,
    SP_GW_MSG_REJECT_ACCESS,
    SP_GW_MSG_RESOURCE_UPDATED,
    SP_GW_MSG_CANDIDATES,
    SP_GW_MSG_INVALIDATE_CANDIDATES,
    SP_GW_MSG_RELAYS_PRESENCE,
};

struct sp_gw_msg {
    enum sp_gw_msg_type type;
    union {
        struct sp_gw_init init;
        struct sp_gw_authorize authorize;
        struct {
            struct sp_uuid client_id;
            struct sp_uuid resource_id;
        } reject;
        struct sp_resource resource;
        struct sp_candidates candidates;
        struct sp_relays_presence relays;
    } u;
};
void sp_gw_msg_done(struct sp_gw_msg *m);

/* ---- gateway -> portal --------------------------------------------------------------------- */

enum sp_gw_req_type {
    SP_GW_REQ_AUTHORIZED, /* reply to SP_GW_MSG_AUTHORIZE, precedes our candidates */
    SP_GW_REQ_NEW_CANDIDATES,
    SP_GW_REQ_INVALIDATE_CANDIDATES,
    SP_GW_REQ_NO_RELAYS,
};

struct sp_gw_req {
    enum sp_gw_req_type type;
    union {
        char *ref;
        struct sp_candidates candidates;
    } u;
};
void sp_gw_req_done(struct sp_gw_req *r);
