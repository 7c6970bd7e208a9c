/* SPDX-License-Identifier: Apache-2.0 */
/* Gateway tunnel state: authorizations, address checks, filters and NAT per client.
 * Sources: spec tunnel B (all) and D; spec portal-protocol 3.4.
 * Owner: the gateway driver. Thread: the caller's. I/O: none. Driver rule: as engine/client. */
#pragma once

#include "engine/base/drop.h"
#include "engine/base/io.h"
#include "engine/base/log.h"
#include "engine/base/rng.h"
#include "engine/base/time.h"
#include "engine/model/model.h"

struct sp_gw;

/** struct sp_gw_config - everything is borrowed and must outlive the gateway */
struct sp_gw_config {
    struct sp_pkt_pool *pool;
    struct sp_rng rng;
    struct sp_wall wall;
    const struct sp_log *log;
};

#define SP_GW_RESOLVED_MAX 64 /* addresses of one family used per name */

enum sp_gw_event_type {
    SP_GW_EVENT_TUN_CONFIG, /* our tunnel addresses (every init) */
    SP_GW_EVENT_PORTAL,
    SP_GW_EVENT_RESOLVE, /* look up A and AAAA, answer with sp_gw_handle_resolved() */
    SP_GW_EVENT_PUBLIC_KEY,
};

struct sp_gw_event {
    enum sp_gw_event_type type;
    union {
        struct {
            struct sp_ip ipv4;
            struct sp_ip ipv6;
        } tun;
        struct sp_gw_req portal;
        struct {
            uint64_t id;
            char *domain; /* owned, presentation form without trailing dot */
        } resolve;
        uint8_t public_key[SP_KEY_LEN];
    } u;
};
void sp_gw_event_done(struct sp_gw_event *ev);

struct sp_gw *sp_gw_new(const struct sp_gw_config *config, sp_time now);
struct sp_gw *sp_gw_free(struct sp_gw *gw);
const uint8_t *sp_gw_public_key(const struct sp_gw *gw);

/** sp_gw_handle_tun() - a packet of the private network for a client; takes @pkt (B.8) */
void sp_gw_handle_tun(struct sp_gw *gw, struct sp_pkt *pkt, sp_time now);
/** sp_gw_handle_udp() - takes @pkt (B.3) */
void sp_gw_handle_udp(struct sp_gw *gw,
                      const struct sp_udp_meta *meta,
                      struct sp_pkt *pkt,
                      sp_time now);
/** sp_gw_handle_portal() - takes what @msg owns and zeroes it */
void sp_gw_handle_portal(struct sp_gw *gw, struct sp_gw_msg *msg, sp_time now);
void sp_gw_handle_portal_state(struct sp_gw *gw, bool up, sp_time now);
/** sp_gw_handle_resolved() - @failed: the overall resolution failed or timed out; otherwise the
 * addresses found, possibly none (B.7) */
void sp_gw_handle_resolved(struct sp_gw *gw,
                           uint64_t id,
                           bool failed,
                           const struct sp_ip *addrs,
                           size_t n,
                           sp_time now);
void sp_gw_set_host_addresses(struct sp_gw *gw,
                              const struct sp_endpoint *addrs,
                              size_t n,
                              sp_time now);
void sp_gw_reset(struct sp_gw *gw, sp_time now);
void sp_gw_shutdown(struct sp_gw *gw, sp_time now);

void sp_gw_handle_timeout(struct sp_gw *gw, sp_time now);
sp_time sp_gw_next_timeout(const struct sp_gw *gw);
bool sp_gw_poll_transmit(struct sp_gw *gw, struct sp_transmit *ret_tx);
SP_MUST_CHECK struct sp_pkt *sp_gw_poll_tun(struct sp_gw *gw);
bool sp_gw_poll_event(struct sp_gw *gw, struct sp_gw_event *ret_ev);

const struct sp_drops *sp_gw_drops(const struct sp_gw *gw);
/** sp_gw_client_count() - clients with at least one authorization */
size_t sp_gw_client_count(const struct sp_gw *gw);
