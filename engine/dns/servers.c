/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/dns/servers.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/ip/ranges.h"

#define SENTINELS 256 /* addresses in each of the two ranges */

bool
sp_dns_upstream_equal(const struct sp_dns_upstream *a, const struct sp_dns_upstream *b)
{
    if (a->kind != b->kind)
        return false;
    return a->kind == SP_DNS_DOH ? !strcmp(a->url, b->url) : sp_ip_equal(&a->ip, &b->ip);
}

struct sp_dns_upstream
sp_dns_upstream_copy(const struct sp_dns_upstream *from)
{
    struct sp_dns_upstream to = *from;

    to.url = sp_xstrdup(from->url);
    return to;
}

void
sp_dns_upstream_done(struct sp_dns_upstream *upstream)
{
    free(upstream->url);
    *upstream = (struct sp_dns_upstream){ 0 };
}

bool
sp_dns_is_sentinel(const struct sp_ip *ip)
{
    return sp_range_has(&sp_range_sentinel, ip);
}

static bool
host_and_port_ok(const char *host, size_t n)
{
    const char *colon = memchr(host, ':', n);
    uint32_t port;

    if (n > 0 && host[0] == '[') {
        const char *end = memchr(host, ']', n);
        size_t in = end ? (size_t)(end - host) - 1 : 0;
        char text[SP_IP_STR_MAX] = "";
        struct sp_ip ip;

        if (in == 0 || in >= sizeof text)
            return false;
        memcpy(text, host + 1, in);
        if (sp_ip_parse(text, &ip) < 0 || ip.family != 6)
            return false;
        colon = end + 1 < host + n ? end + 1 : NULL;
        if (colon && *colon != ':')
            return false;
    } else if (n == 0 || colon == host) {
        return false;
    }
    if (!colon)
        return true;
    colon++;
    return sp_parse_u32(colon, (size_t)(host + n - colon), 65535, &port) == 0 && port > 0;
}

int
sp_dns_doh_url_check(const char *url)
{
    static const char scheme[] = "https://";
    const char *host = url + sizeof scheme - 1;

    if (strncasecmp(url, scheme, sizeof scheme - 1))
        return SP_E_MALFORMED;
    for (const char *p = host; *p; p++) {
        uint8_t c = (uint8_t)*p;

        if (c < 0x21 || c > 0x7e || c == '?' || c == '#' || c == '@' || c == '\\' || c == '"')
            return SP_E_MALFORMED;
    }
    return host_and_port_ok(host, strcspn(host, "/")) ? 0 : SP_E_MALFORMED;
}

void
sp_dns_servers_init(struct sp_dns_servers *servers)
{
    *servers = (struct sp_dns_servers){ 0 };
}

static void
clear_map(struct sp_dns_mapping *map, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sp_dns_upstream_done(&map[i].upstream);
}

void
sp_dns_servers_done(struct sp_dns_servers *servers)
{
    clear_map(servers->map, servers->n);
    sp_strv_done(&servers->doh);
    *servers = (struct sp_dns_servers){ 0 };
}

struct effective {
    struct sp_dns_upstream v[SP_MODEL_SERVERS_MAX]; /* borrowed texts */
    size_t n;
};

static void
effective_add(struct effective *list, struct sp_dns_upstream upstream)
{
    for (size_t i = 0; i < list->n; i++) {
        if (sp_dns_upstream_equal(&list->v[i], &upstream))
            return;
    }
    if (list->n < SP_MODEL_SERVERS_MAX)
        list->v[list->n++] = upstream;
}

static void
effective_add_ips(struct effective *list, const struct sp_ip *ips, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        /* Our own sentinels come back as "system" resolvers once they are configured. */
        if (ips[i].family && !sp_dns_is_sentinel(&ips[i]))
            effective_add(list, (struct sp_dns_upstream){ .kind = SP_DNS_DO53, .ip = ips[i] });
    }
}

static struct effective
choose(const struct sp_dns_servers *servers)
{
    struct effective list = { 0 };

    effective_add_ips(&list, servers->do53, servers->n_do53);
    if (list.n > 0)
        return list;
    for (size_t i = 0; i < servers->doh.n; i++)
        effective_add(&list,
                      (struct sp_dns_upstream){ .kind = SP_DNS_DOH, .url = servers->doh.v[i] });
    if (list.n > 0)
        return list;
    effective_add_ips(&list, servers->system, servers->n_system);
    return list;
}

static bool
same_set(const struct sp_dns_servers *servers, const struct effective *list)
{
    if (servers->n != list->n)
        return false;
    for (size_t i = 0; i < list->n; i++) {
        bool found = false;

        for (size_t k = 0; k < servers->n; k++)
            found |= sp_dns_upstream_equal(&servers->map[k].upstream, &list->v[i]);
        if (!found)
            return false;
    }
    return true;
}

/* The next free address of a range, starting at @*at. The ranges hold more than twice the servers
 * that are possible, so there is always one. */
static struct sp_ip
next_sentinel(const struct sp_dns_servers *old, const struct sp_cidr *range, uint32_t *at)
{
    for (;;) {
        struct sp_ip ip = sp_ip_add(&range->ip, (*at)++);

        sp_assert(*at < SENTINELS);
        if (!sp_dns_servers_find(old, &ip))
            return ip;
    }
}

static bool
update(struct sp_dns_servers *servers)
{
    struct sp_dns_mapping map[SP_MODEL_SERVERS_MAX];
    struct effective list = choose(servers);
    uint32_t v4 = 1, v6 = 0;

    if (same_set(servers, &list))
        return false;
    for (size_t i = 0; i < list.n; i++) {
        bool six = list.v[i].kind == SP_DNS_DO53 && list.v[i].ip.family == 6;

        map[i].upstream = sp_dns_upstream_copy(&list.v[i]);
        map[i].sentinel = six ? next_sentinel(servers, &sp_range_sentinel.v6, &v6)
                              : next_sentinel(servers, &sp_range_sentinel.v4, &v4);
    }
    clear_map(servers->map, servers->n);
    memcpy(servers->map, map, list.n * sizeof map[0]);
    servers->n = list.n;
    return true;
}

bool
sp_dns_servers_set_system(struct sp_dns_servers *servers, const struct sp_ip *ips, size_t n)
{
    servers->n_system = SP_MIN(n, (size_t)SP_MODEL_SERVERS_MAX);
    for (size_t i = 0; i < servers->n_system; i++)
        servers->system[i] = ips[i];
    return update(servers);
}

bool
sp_dns_servers_set_portal(struct sp_dns_servers *servers, const struct sp_interface *config)
{
    servers->n_do53 = SP_MIN(config->n_upstream_do53, (size_t)SP_MODEL_SERVERS_MAX);
    for (size_t i = 0; i < servers->n_do53; i++)
        servers->do53[i] = config->upstream_do53[i];
    sp_strv_done(&servers->doh);
    for (size_t i = 0; i < config->upstream_doh.n && i < SP_MODEL_SERVERS_MAX; i++) {
        if (sp_dns_doh_url_check(config->upstream_doh.v[i]) == 0)
            sp_strv_add(&servers->doh, config->upstream_doh.v[i]);
    }
    return update(servers);
}

const struct sp_dns_upstream *
sp_dns_servers_find(const struct sp_dns_servers *servers, const struct sp_ip *sentinel)
{
    for (size_t i = 0; i < servers->n; i++) {
        if (sp_ip_equal(&servers->map[i].sentinel, sentinel))
            return &servers->map[i].upstream;
    }
    return NULL;
}

bool
sp_dns_servers_may_tunnel(const struct sp_dns_servers *servers,
                          const struct sp_dns_upstream *upstream)
{
    return upstream->kind == SP_DNS_DO53 && (servers->n_do53 > 0 || servers->doh.n > 0);
}
