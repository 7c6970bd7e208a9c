/* SPDX-License-Identifier: Apache-2.0 */
/* Control events between client and gateway inside the tunnel. Source: spec tunnel 0.4 (same in
 * spec connectivity 7). Thread: any. I/O: none. */
#pragma once

#include "engine/base/uuid.h"
#include "engine/ip/packet.h"

#define SP_CONTROL_DOMAIN_MAX    253 /* presentation form without trailing dot */
#define SP_CONTROL_PROXY_IPS_MAX 16  /* accepted; senders give 4 or 8 */
#define SP_CONTROL_HEADER        8

enum sp_control_type {
    SP_CONTROL_ASSIGNED_IPS = 0,  /* client -> gateway */
    SP_CONTROL_DOMAIN_STATUS = 1, /* gateway -> client */
    SP_CONTROL_GOODBYE = 2,       /* both */
};

/** struct sp_control_event - a decoded event
 * @resource, @domain: assigned-ips and domain-status
 * @proxy_ips: assigned-ips
 * @active: domain-status; anything but "Active" reads as false */
struct sp_control_event {
    enum sp_control_type type;
    struct sp_uuid resource;
    char domain[SP_CONTROL_DOMAIN_MAX + 1];
    struct sp_ip proxy_ips[SP_CONTROL_PROXY_IPS_MAX];
    size_t n_proxy_ips;
    bool active;
};

/** sp_control_is() - does the packet carry a control event */
bool sp_control_is(const struct sp_ip_view *v);

/** sp_control_parse() - decode a packet for which sp_control_is() holds.
 * Returns: 0; SP_E_UNSUPPORTED unknown type; SP_E_MALFORMED. Both are a drop with a debug log. */
SP_MUST_CHECK int sp_control_parse(const uint8_t *p,
                                   const struct sp_ip_view *v,
                                   struct sp_control_event *ret_event);

/** sp_control_build_assigned_ips() - @n is 4 or 8. Returns: 0; SP_E_INVAL (other count, empty or
 * too long domain); SP_E_NOBUF */
SP_MUST_CHECK int sp_control_build_assigned_ips(uint8_t *out,
                                                size_t cap,
                                                const struct sp_uuid *resource,
                                                const char *domain,
                                                const struct sp_ip *ips,
                                                size_t n,
                                                size_t *ret_len);
/** sp_control_build_domain_status() - Returns: 0; SP_E_INVAL; SP_E_NOBUF */
SP_MUST_CHECK int sp_control_build_domain_status(uint8_t *out,
                                                 size_t cap,
                                                 const struct sp_uuid *resource,
                                                 const char *domain,
                                                 bool active,
                                                 size_t *ret_len);
/** sp_control_build_goodbye() - Returns: 0 or SP_E_NOBUF */
SP_MUST_CHECK int sp_control_build_goodbye(uint8_t *out, size_t cap, size_t *ret_len);
/** sp_control_goodbye() - the same as a packet of @pool, or NULL when there is none left */
SP_MUST_CHECK struct sp_pkt *sp_control_goodbye(struct sp_pkt_pool *pool);
