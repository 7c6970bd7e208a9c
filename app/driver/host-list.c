/* SPDX-License-Identifier: Apache-2.0 */
#include "app/driver/host-list.h"

#include <string.h>

void
sp_host_list_set_ports(struct sp_host_list *list, uint16_t port4, uint16_t port6)
{
    list->port4 = port4;
    list->port6 = port6;
    list->known = false;
}

void
sp_host_list_forget(struct sp_host_list *list)
{
    list->known = false;
}

bool
sp_host_list_update(struct sp_host_list *list, const char *exclude)
{
    struct sp_ip ips[SP_HOST_ADDRS_MAX];
    struct sp_endpoint fresh[SP_HOST_ADDRS_MAX];
    size_t n_ips = sp_host_addrs_list(exclude, ips);
    size_t n = 0;
    bool same;

    if (list->port4 == 0 && list->port6 == 0)
        return false; /* no socket yet; the notice of the loop comes */
    memset(fresh, 0, sizeof fresh);
    for (size_t i = 0; i < n_ips; i++) {
        uint16_t port = ips[i].family == 4 ? list->port4 : list->port6;

        if (port == 0)
            continue;
        fresh[n].ip = ips[i];
        fresh[n++].port = port;
    }
    same = list->known && n == list->n;
    for (size_t i = 0; same && i < n; i++)
        same = sp_endpoint_equal(&fresh[i], &list->v[i]);
    memcpy(list->v, fresh, sizeof fresh);
    list->n = n;
    list->known = true;
    return !same;
}
