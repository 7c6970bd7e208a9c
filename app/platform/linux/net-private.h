/* SPDX-License-Identifier: Apache-2.0 */
/* Netlink requests of net.c: one socket, one request at a time. */
#pragma once

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>

#include "app/platform/net.h"
#include "app/platform/network-state.h"

/** struct sp_rtnl - a socket and the request being built */
struct sp_rtnl {
    struct mnl_socket *nl;
    uint32_t seq;
    struct nlmsghdr *nlh;
    _Alignas(struct nlmsghdr) uint8_t buf[32768];
};

/** struct sp_rtnl_route - the parts of a route that we look at */
struct sp_rtnl_route {
    struct sp_cidr dst;
    uint32_t table;
    uint32_t oif;
    uint8_t scope, protocol, type;
    bool gateway;
};

int sp_rtnl_open(struct sp_rtnl *rt);
void sp_rtnl_close(struct sp_rtnl *rt);
/** sp_rtnl_start() - begin a request with a zeroed extra header of @extra bytes */
void *sp_rtnl_start(struct sp_rtnl *rt, uint16_t type, uint16_t flags, size_t extra);
/** sp_rtnl_talk() - send, read answers up to the acknowledgement. Returns: 0 or negative errno */
int sp_rtnl_talk(struct sp_rtnl *rt, mnl_cb_t cb, void *ctx);
void sp_rtnl_put_ip(struct sp_rtnl *rt, uint16_t attr, const struct sp_ip *ip);

/** sp_rtnl_link_index() - Returns: index or negative errno */
int sp_rtnl_link_index(struct sp_rtnl *rt, const char *ifname);
int sp_rtnl_link_set(struct sp_rtnl *rt, int index, uint32_t mtu, uint32_t queue_len, bool up);
int sp_rtnl_link_no_addrgen(struct sp_rtnl *rt, int index);
int sp_rtnl_addr(struct sp_rtnl *rt, bool add, int index, const struct sp_cidr *addr);
/** sp_rtnl_addr_list() - addresses of interface @index. Returns: count (at most @cap) or -errno */
int sp_rtnl_addr_list(struct sp_rtnl *rt, int index, struct sp_cidr *out, size_t cap);
int sp_rtnl_route(struct sp_rtnl *rt, bool add, const struct sp_rtnl_route *route);
/** sp_rtnl_route_list() - all unicast routes of one family; free with g_array_unref() */
int sp_rtnl_route_list(struct sp_rtnl *rt, uint8_t family, GArray **ret_routes);
/** sp_rtnl_path() - how marked packets get to @to. Returns: 0 or negative errno */
int sp_rtnl_path(struct sp_rtnl *rt,
                 const struct sp_ip *to,
                 uint32_t mark,
                 struct sp_network_path *ret);
int sp_rtnl_rule(struct sp_rtnl *rt,
                 bool add,
                 uint8_t family,
                 uint32_t mark,
                 uint32_t table,
                 uint32_t priority);
/** sp_rtnl_link_usable() - the link is up and running: true, false, or negative errno */
int sp_rtnl_link_usable(struct sp_rtnl *rt, uint32_t index);
