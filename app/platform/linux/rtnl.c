/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <string.h>
#include <sys/socket.h>

#include "app/platform/linux/net-private.h"

#define OPER_UP      6 /* IF_OPER_UP */
#define OPER_UNKNOWN 0

/* libmnl's own macro narrows a pointer difference without a cast. */
#define for_each_attr(attr, nlh, offset)                                                     \
    for ((attr) = mnl_nlmsg_get_payload_offset((nlh), (offset));                             \
         mnl_attr_ok((attr),                                                                 \
                     (int)((char *)mnl_nlmsg_get_payload_tail(nlh) - (const char *)(attr))); \
         (attr) = mnl_attr_next(attr))

static uint8_t
af_of(uint8_t family)
{
    return family == 4 ? AF_INET : AF_INET6;
}

int
sp_rtnl_open(struct sp_rtnl *rt)
{
    rt->nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
    if (!rt->nl)
        return -errno;
    if (mnl_socket_bind(rt->nl, 0, MNL_SOCKET_AUTOPID) < 0) {
        int r = -errno;

        sp_rtnl_close(rt);
        return r;
    }
    return 0;
}

void
sp_rtnl_close(struct sp_rtnl *rt)
{
    if (rt->nl)
        mnl_socket_close(rt->nl);
    rt->nl = NULL;
}

void *
sp_rtnl_start(struct sp_rtnl *rt, uint16_t type, uint16_t flags, size_t extra)
{
    rt->nlh = mnl_nlmsg_put_header(rt->buf);
    rt->nlh->nlmsg_type = type;
    rt->nlh->nlmsg_flags = NLM_F_REQUEST | flags;
    rt->nlh->nlmsg_seq = ++rt->seq;
    return mnl_nlmsg_put_extra_header(rt->nlh, extra);
}

int
sp_rtnl_talk(struct sp_rtnl *rt, mnl_cb_t cb, void *ctx)
{
    unsigned port = mnl_socket_get_portid(rt->nl);
    int r;

    if ((rt->nlh->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP) /* NLM_F_EXCL shares a bit with it */
        rt->nlh->nlmsg_flags |= NLM_F_ACK;
    if (mnl_socket_sendto(rt->nl, rt->nlh, rt->nlh->nlmsg_len) < 0)
        return -errno;
    do {
        ssize_t n = mnl_socket_recvfrom(rt->nl, rt->buf, sizeof rt->buf);

        if (n < 0)
            return -errno;
        r = mnl_cb_run(rt->buf, (size_t)n, rt->seq, port, cb, ctx);
    } while (r > MNL_CB_STOP);
    return r < 0 ? -errno : 0;
}

void
sp_rtnl_put_ip(struct sp_rtnl *rt, uint16_t attr, const struct sp_ip *ip)
{
    mnl_attr_put(rt->nlh, attr, sp_ip_size(ip), ip->b);
}

/* ---- links ---- */

static int
link_cb(const struct nlmsghdr *nlh, void *ctx)
{
    const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);

    if (nlh->nlmsg_type == RTM_NEWLINK)
        *(int *)ctx = ifi->ifi_index;
    return MNL_CB_OK;
}

int
sp_rtnl_link_index(struct sp_rtnl *rt, const char *ifname)
{
    int index = 0, r;

    sp_rtnl_start(rt, RTM_GETLINK, 0, sizeof(struct ifinfomsg));
    mnl_attr_put_strz(rt->nlh, IFLA_IFNAME, ifname);
    r = sp_rtnl_talk(rt, link_cb, &index);
    if (r < 0)
        return r;
    return index > 0 ? index : -ENODEV;
}

int
sp_rtnl_link_set(struct sp_rtnl *rt, int index, uint32_t mtu, uint32_t queue_len, bool up)
{
    struct ifinfomsg *ifi = sp_rtnl_start(rt, RTM_NEWLINK, 0, sizeof *ifi);

    ifi->ifi_index = index;
    if (up)
        ifi->ifi_flags = ifi->ifi_change = IFF_UP;
    if (mtu)
        mnl_attr_put_u32(rt->nlh, IFLA_MTU, mtu);
    if (queue_len)
        mnl_attr_put_u32(rt->nlh, IFLA_TXQLEN, queue_len);
    return sp_rtnl_talk(rt, NULL, NULL);
}

int
sp_rtnl_link_no_addrgen(struct sp_rtnl *rt, int index)
{
    struct ifinfomsg *ifi = sp_rtnl_start(rt, RTM_NEWLINK, 0, sizeof *ifi);
    struct nlattr *spec, *inet6;

    ifi->ifi_index = index;
    spec = mnl_attr_nest_start(rt->nlh, IFLA_AF_SPEC);
    inet6 = mnl_attr_nest_start(rt->nlh, AF_INET6);
    mnl_attr_put_u8(rt->nlh, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
    mnl_attr_nest_end(rt->nlh, inet6);
    mnl_attr_nest_end(rt->nlh, spec);
    return sp_rtnl_talk(rt, NULL, NULL);
}

static int
usable_cb(const struct nlmsghdr *nlh, void *ctx)
{
    const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
    const struct nlattr *attr;
    uint8_t oper = OPER_UNKNOWN;

    if (nlh->nlmsg_type != RTM_NEWLINK)
        return MNL_CB_OK;
    for_each_attr(attr, nlh, sizeof *ifi)
    {
        if (mnl_attr_get_type(attr) == IFLA_OPERSTATE)
            oper = mnl_attr_get_u8(attr);
    }
    /* Tunnels of other programs report UNKNOWN for ever. */
    *(int *)ctx = oper == OPER_UP || (oper == OPER_UNKNOWN && (ifi->ifi_flags & IFF_RUNNING));
    return MNL_CB_OK;
}

int
sp_rtnl_link_usable(struct sp_rtnl *rt, uint32_t index)
{
    struct ifinfomsg *ifi = sp_rtnl_start(rt, RTM_GETLINK, 0, sizeof *ifi);
    int usable = 0, r;

    ifi->ifi_index = (int)index;
    r = sp_rtnl_talk(rt, usable_cb, &usable);
    return r < 0 ? r : usable;
}

/* ---- addresses ---- */

int
sp_rtnl_addr(struct sp_rtnl *rt, bool add, int index, const struct sp_cidr *addr)
{
    struct ifaddrmsg *ifa = sp_rtnl_start(rt,
                                          add ? RTM_NEWADDR : RTM_DELADDR,
                                          add ? NLM_F_CREATE | NLM_F_REPLACE : 0,
                                          sizeof *ifa);

    ifa->ifa_family = af_of(addr->ip.family);
    ifa->ifa_prefixlen = addr->len;
    ifa->ifa_index = (uint32_t)index;
    /* Duplicate address detection finds nobody on a TUN and would delay the first packet. */
    if (add && addr->ip.family == 6)
        ifa->ifa_flags = IFA_F_NODAD;
    sp_rtnl_put_ip(rt, IFA_LOCAL, &addr->ip);
    sp_rtnl_put_ip(rt, IFA_ADDRESS, &addr->ip);
    return sp_rtnl_talk(rt, NULL, NULL);
}

struct addr_dump {
    int index;
    struct sp_cidr *out;
    size_t cap, n;
};

static int
addr_cb(const struct nlmsghdr *nlh, void *ctx)
{
    const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
    struct addr_dump *dump = ctx;
    uint8_t family = ifa->ifa_family == AF_INET ? 4 : 6;
    const struct nlattr *attr;
    struct sp_cidr found = { .len = ifa->ifa_prefixlen };

    if ((int)ifa->ifa_index != dump->index || dump->n == dump->cap)
        return MNL_CB_OK;
    for_each_attr(attr, nlh, sizeof *ifa)
    {
        uint16_t type = mnl_attr_get_type(attr);

        if (mnl_attr_get_payload_len(attr) != (family == 4 ? 4 : 16))
            continue;
        /* IPv4 names its own side LOCAL, IPv6 only has ADDRESS unless there is a peer. */
        if (type == IFA_LOCAL || (type == IFA_ADDRESS && found.ip.family == 0))
            found.ip = sp_ip_from_bytes(family, mnl_attr_get_payload(attr));
    }
    if (found.ip.family)
        dump->out[dump->n++] = found;
    return MNL_CB_OK;
}

int
sp_rtnl_addr_list(struct sp_rtnl *rt, int index, struct sp_cidr *out, size_t cap)
{
    struct addr_dump dump = { .index = index, .out = out, .cap = cap };
    int r;

    sp_rtnl_start(rt, RTM_GETADDR, NLM_F_DUMP, sizeof(struct ifaddrmsg));
    r = sp_rtnl_talk(rt, addr_cb, &dump);
    return r < 0 ? r : (int)dump.n;
}

/* ---- routes ---- */

int
sp_rtnl_route(struct sp_rtnl *rt, bool add, const struct sp_rtnl_route *route)
{
    struct rtmsg *rtm = sp_rtnl_start(rt,
                                      add ? RTM_NEWROUTE : RTM_DELROUTE,
                                      add ? NLM_F_CREATE | NLM_F_EXCL : 0,
                                      sizeof *rtm);

    rtm->rtm_family = af_of(route->dst.ip.family);
    rtm->rtm_dst_len = route->dst.len;
    rtm->rtm_table = RT_TABLE_UNSPEC;
    rtm->rtm_protocol = route->protocol;
    rtm->rtm_scope = route->scope;
    rtm->rtm_type = route->type;
    if (route->dst.len)
        sp_rtnl_put_ip(rt, RTA_DST, &route->dst.ip);
    mnl_attr_put_u32(rt->nlh, RTA_TABLE, route->table);
    if (route->oif)
        mnl_attr_put_u32(rt->nlh, RTA_OIF, route->oif);
    return sp_rtnl_talk(rt, NULL, NULL);
}

static int
route_cb(const struct nlmsghdr *nlh, void *ctx)
{
    const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
    uint8_t family = rtm->rtm_family == AF_INET ? 4 : 6;
    struct sp_rtnl_route route = {
        .dst = { .ip.family = family, .len = rtm->rtm_dst_len },
        .table = rtm->rtm_table,
        .scope = rtm->rtm_scope,
        .protocol = rtm->rtm_protocol,
        .type = rtm->rtm_type,
    };
    const struct nlattr *attr;

    if (nlh->nlmsg_type != RTM_NEWROUTE || (rtm->rtm_flags & RTM_F_CLONED))
        return MNL_CB_OK;
    for_each_attr(attr, nlh, sizeof *rtm)
    {
        uint16_t type = mnl_attr_get_type(attr), n = mnl_attr_get_payload_len(attr);

        if (type == RTA_DST && n == (family == 4 ? 4 : 16))
            route.dst.ip = sp_ip_from_bytes(family, mnl_attr_get_payload(attr));
        else if (type == RTA_TABLE && n == 4)
            route.table = mnl_attr_get_u32(attr);
        else if (type == RTA_OIF && n == 4)
            route.oif = mnl_attr_get_u32(attr);
        else if (type == RTA_GATEWAY || type == RTA_VIA || type == RTA_MULTIPATH)
            route.gateway = true;
    }
    g_array_append_val((GArray *)ctx, route);
    return MNL_CB_OK;
}

int
sp_rtnl_route_list(struct sp_rtnl *rt, uint8_t family, GArray **ret_routes)
{
    g_autoptr(GArray) routes = g_array_new(FALSE, FALSE, sizeof(struct sp_rtnl_route));
    struct rtmsg *rtm = sp_rtnl_start(rt, RTM_GETROUTE, NLM_F_DUMP, sizeof *rtm);
    int r;

    rtm->rtm_family = af_of(family);
    r = sp_rtnl_talk(rt, route_cb, routes);
    if (r < 0)
        return r;
    *ret_routes = g_steal_pointer(&routes);
    return 0;
}

static int
path_cb(const struct nlmsghdr *nlh, void *ctx)
{
    const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
    struct sp_network_path *path = ctx;
    uint8_t family = rtm->rtm_family == AF_INET ? 4 : 6;
    const struct nlattr *attr;

    if (nlh->nlmsg_type != RTM_NEWROUTE || rtm->rtm_type != RTN_UNICAST)
        return MNL_CB_OK;
    for_each_attr(attr, nlh, sizeof *rtm)
    {
        uint16_t type = mnl_attr_get_type(attr), n = mnl_attr_get_payload_len(attr);
        const uint8_t *data = mnl_attr_get_payload(attr);

        if (type == RTA_OIF && n == 4)
            path->oif = mnl_attr_get_u32(attr);
        else if (type == RTA_GATEWAY && n == (family == 4 ? 4 : 16))
            path->gateway = sp_ip_from_bytes(family, data);
        else if (type == RTA_VIA && n == sizeof(struct rtvia) + 16)
            path->gateway = sp_ip_from_bytes(6, data + sizeof(struct rtvia));
        else if (type == RTA_PREFSRC && n == (family == 4 ? 4 : 16))
            path->source = sp_ip_from_bytes(family, data);
    }
    return MNL_CB_OK;
}

int
sp_rtnl_path(struct sp_rtnl *rt, const struct sp_ip *to, uint32_t mark, struct sp_network_path *ret)
{
    struct rtmsg *rtm = sp_rtnl_start(rt, RTM_GETROUTE, 0, sizeof *rtm);
    struct sp_network_path path = { 0 };
    int r;

    rtm->rtm_family = af_of(to->family);
    rtm->rtm_dst_len = to->family == 4 ? 32 : 128;
    sp_rtnl_put_ip(rt, RTA_DST, to);
    mnl_attr_put_u32(rt->nlh, RTA_MARK, mark);
    r = sp_rtnl_talk(rt, path_cb, &path);
    if (r < 0)
        return r;
    *ret = path;
    return path.oif ? 0 : -ENETUNREACH;
}

/* ---- rules ---- */

int
sp_rtnl_rule(struct sp_rtnl *rt,
             bool add,
             uint8_t family,
             uint32_t mark,
             uint32_t table,
             uint32_t priority)
{
    struct fib_rule_hdr *frh = sp_rtnl_start(rt,
                                             add ? RTM_NEWRULE : RTM_DELRULE,
                                             add ? NLM_F_CREATE | NLM_F_EXCL : 0,
                                             sizeof *frh);

    frh->family = af_of(family);
    frh->action = FR_ACT_TO_TBL;
    frh->flags = FIB_RULE_INVERT; /* every packet that does not carry the mark */
    mnl_attr_put_u32(rt->nlh, FRA_FWMARK, mark);
    mnl_attr_put_u32(rt->nlh, FRA_FWMASK, 0xffffffffu);
    mnl_attr_put_u32(rt->nlh, FRA_TABLE, table);
    mnl_attr_put_u32(rt->nlh, FRA_PRIORITY, priority);
    mnl_attr_put_u8(rt->nlh, FRA_PROTOCOL, RTPROT_KERNEL);
    return sp_rtnl_talk(rt, NULL, NULL);
}
