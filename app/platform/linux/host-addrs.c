/* SPDX-License-Identifier: Apache-2.0 */
#include "app/platform/host-addrs.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static bool
to_ip(const struct sockaddr *sa, struct sp_ip *ret)
{
    if (sa == NULL)
        return false;
    if (sa->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)sa;

        *ret = sp_ip_from_bytes(4, (const uint8_t *)&in->sin_addr);
        return true;
    }
    if (sa->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)sa;

        *ret = sp_ip_from_bytes(6, (const uint8_t *)&in6->sin6_addr);
        return true;
    }
    return false;
}

static bool
wanted(const struct ifaddrs *ifa, const char *exclude, const struct sp_ip *ip)
{
    unsigned need = IFF_UP | IFF_RUNNING;

    if ((ifa->ifa_flags & need) != need || (ifa->ifa_flags & IFF_LOOPBACK))
        return false;
    if (exclude && strcmp(ifa->ifa_name, exclude) == 0)
        return false;
    return !sp_ip_is_loopback(ip) && !sp_ip_is_link_local(ip) && !sp_ip_is_multicast(ip)
           && !sp_ip_is_unspecified(ip);
}

static int
compare(const void *a, const void *b)
{
    return sp_ip_compare(a, b);
}

size_t
sp_host_addrs_list(const char *exclude, struct sp_ip out[SP_HOST_ADDRS_MAX])
{
    struct ifaddrs *list;
    size_t n = 0;

    if (getifaddrs(&list) < 0)
        return 0;
    for (const struct ifaddrs *ifa = list; ifa && n < SP_HOST_ADDRS_MAX; ifa = ifa->ifa_next) {
        struct sp_ip ip;

        if (to_ip(ifa->ifa_addr, &ip) && wanted(ifa, exclude, &ip))
            out[n++] = ip;
    }
    freeifaddrs(list);
    qsort(out, n, sizeof *out, compare);
    return n;
}
