/* SPDX-License-Identifier: Apache-2.0 */
#include "app/portal/remote.h"

#include <string.h>

#include "app/portal/error.h"
#include "engine/base/addr.h"

#define FORWARDED_LENGTH_MAX 4096
#define FORWARDED_HOPS_MAX   32

struct sp_cp_proxies {
    size_t n;
    struct sp_cidr nets[SP_CP_PROXIES_MAX];
};

static bool
add_net(struct sp_cp_proxies *p, const char *text, GError **error)
{
    struct sp_ip ip;

    if (p->n < SP_CP_PROXIES_MAX) {
        if (sp_ip_parse(text, &ip) == 0) {
            p->nets[p->n++] = sp_cidr_host(&ip);
            return true;
        }
        if (sp_cidr_parse(text, &p->nets[p->n]) == 0) {
            p->n++;
            return true;
        }
    }
    g_set_error(error,
                SP_CP_ERROR,
                SP_CP_ERROR_INVALID,
                "--trusted-proxy takes up to %d networks such as 127.0.0.1 or 10.0.0.0/8, not %s",
                SP_CP_PROXIES_MAX,
                text);
    return false;
}

struct sp_cp_proxies *
sp_cp_proxies_new(const char *const *cidrs, GError **error)
{
    struct sp_cp_proxies *p = g_new0(struct sp_cp_proxies, 1);

    for (const char *const *text = cidrs; text && *text; text++) {
        if (!add_net(p, *text, error)) {
            g_free(p);
            return NULL;
        }
    }
    return p;
}

void
sp_cp_proxies_free(struct sp_cp_proxies *p)
{
    g_free(p);
}

/* A socket that serves both families shows IPv4 peers as ::ffff:a.b.c.d. */
static bool
parse(const char *text, struct sp_ip *ret_ip)
{
    static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
    struct sp_endpoint ep;

    if (sp_ip_parse(text, ret_ip) < 0) {
        if (sp_endpoint_parse(text, &ep) < 0)
            return false;
        *ret_ip = ep.ip;
    }
    if (ret_ip->family == 6 && memcmp(ret_ip->b, mapped, sizeof mapped) == 0)
        *ret_ip = sp_ip_from_bytes(4, ret_ip->b + sizeof mapped);
    return true;
}

static bool
trusts(const struct sp_cp_proxies *p, const struct sp_ip *ip)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->nets[i].ip.family == ip->family && sp_cidr_contains(&p->nets[i], ip))
            return true;
    return false;
}

bool
sp_cp_proxies_trusts(const struct sp_cp_proxies *p, const char *text)
{
    struct sp_ip ip;

    return text && parse(text, &ip) && trusts(p, &ip);
}

char *
sp_cp_remote_pick(const struct sp_cp_proxies *p, const char *host, const char *forwarded)
{
    char out[SP_IP_STR_MAX];
    g_auto(GStrv) hops = NULL;
    struct sp_ip ip;
    unsigned n;

    if (!host || !parse(host, &ip))
        return g_strdup(host ? host : "unknown");
    if (!forwarded || !trusts(p, &ip) || strlen(forwarded) > FORWARDED_LENGTH_MAX)
        return g_strdup(sp_ip_format(&ip, out));
    /* Only what trusted proxies appended counts; everything to the left may be a stranger's. */
    hops = g_strsplit(forwarded, ",", -1);
    n = g_strv_length(hops);
    for (unsigned i = n; i-- > 0 && n - i <= FORWARDED_HOPS_MAX;) {
        struct sp_ip hop;

        if (!parse(g_strstrip(hops[i]), &hop))
            break;
        ip = hop;
        if (!trusts(p, &ip))
            break;
    }
    return g_strdup(sp_ip_format(&ip, out));
}

char *
sp_cp_remote_ip(const struct sp_cp_proxies *p, SoupServerMessage *msg)
{
    SoupMessageHeaders *h = soup_server_message_get_request_headers(msg);

    return sp_cp_remote_pick(p,
                             soup_server_message_get_remote_host(msg),
                             soup_message_headers_get_list(h, "X-Forwarded-For"));
}

char *
sp_cp_remote_key(const char *text)
{
    char out[SP_CIDR_STR_MAX];
    struct sp_cidr net;

    if (!parse(text, &net.ip))
        return g_strdup(text);
    net.len = net.ip.family == 4 ? 32 : 64;
    net.ip = sp_ip_mask(&net.ip, net.len);
    return g_strdup(sp_cidr_format(&net, out));
}
