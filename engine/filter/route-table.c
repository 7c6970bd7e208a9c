/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/filter/route-table.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/err.h"
#include "engine/filter/route-memo.h"

/* All entries of one network. */
struct route_net {
    struct sp_route **v;
    size_t n;
};

struct net_key {
    uint8_t ip[16];
    uint8_t family;
    uint8_t len;
};

void
sp_route_table_init(struct sp_route_table *t,
                    sp_route_specificity compare,
                    const struct sp_rng *rng)
{
    *t = (struct sp_route_table){ .compare = compare, .rng = *rng };
    sp_map_init(&t->nets, sizeof(struct net_key), rng);
}

static void
free_route(struct sp_route *route)
{
    sp_filter_unref(route->filter);
    free(route->pattern);
    free(route);
}

static void
free_nets(struct sp_route_table *t)
{
    size_t pos = 0;
    void *value;

    while (sp_map_next(&t->nets, &pos, NULL, &value)) {
        struct route_net *net = value;

        for (size_t i = 0; i < net->n; i++)
            free_route(net->v[i]);
        free(net->v);
        free(net);
    }
    sp_map_done(&t->nets);
}

void
sp_route_table_done(struct sp_route_table *t)
{
    free_nets(t);
    sp_route_memo_free(t->memo);
    *t = (struct sp_route_table){ 0 };
}

void
sp_route_table_clear(struct sp_route_table *t)
{
    free_nets(t);
    memset(t->lens, 0, sizeof t->lens);
    memset(t->per_len, 0, sizeof t->per_len);
    t->len = 0;
    if (t->memo)
        sp_route_memo_clear(t->memo);
}

static struct net_key
key_of(const struct sp_ip *ip, uint8_t len)
{
    struct net_key key = { .family = ip->family, .len = len };
    struct sp_ip masked = sp_ip_mask(ip, len);

    memcpy(key.ip, masked.b, sizeof key.ip);
    return key;
}

static void
count_net(struct sp_route_table *t, const struct sp_cidr *net, bool add)
{
    int f = net->ip.family == 6;
    uint32_t *count = &t->per_len[f][net->len];
    uint64_t bit = UINT64_C(1) << (net->len % 64);

    *count = add ? *count + 1 : *count - 1;
    if (*count)
        t->lens[f][net->len / 64] |= bit;
    else
        t->lens[f][net->len / 64] &= ~bit;
}

static bool
same_pattern(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool
has_equal(const struct route_net *net,
          const struct sp_uuid *resource,
          const struct sp_filter *filter,
          const char *pattern,
          const void *user)
{
    for (size_t i = 0; i < net->n; i++) {
        const struct sp_route *r = net->v[i];

        if (sp_uuid_equal(&r->resource, resource) && r->user == user
            && sp_filter_equal(r->filter, filter) && same_pattern(r->pattern, pattern))
            return true;
    }
    return false;
}

static struct route_net *
get_or_add_net(struct sp_route_table *t, const struct sp_cidr *cidr)
{
    struct net_key key = key_of(&cidr->ip, cidr->len);
    struct route_net *net = sp_map_get(&t->nets, &key);

    if (net == NULL) {
        net = sp_xcalloc(1, sizeof *net);
        (void)sp_map_put(&t->nets, &key, net);
        count_net(t, cidr, true);
    }
    return net;
}

int
sp_route_table_insert(struct sp_route_table *t,
                      const struct sp_cidr *cidr,
                      const struct sp_uuid *resource,
                      struct sp_filter *filter,
                      const char *pattern,
                      void *user)
{
    struct net_key key = key_of(&cidr->ip, cidr->len);
    struct route_net *net = sp_map_get(&t->nets, &key);
    struct sp_route *route;

    if (net && has_equal(net, resource, filter, pattern, user))
        return 0;
    if (t->len >= SP_ROUTE_TABLE_MAX)
        return SP_E_LIMIT;
    net = get_or_add_net(t, cidr);
    route = sp_xcalloc(1, sizeof *route);
    *route = (struct sp_route){
        .net = { .ip = sp_ip_mask(&cidr->ip, cidr->len), .len = cidr->len },
        .resource = *resource,
        .filter = sp_filter_ref(filter),
        .pattern = sp_xstrdup(pattern),
        .user = user,
    };
    net->v = sp_xrealloc(net->v, net->n + 1, sizeof(struct sp_route *));
    net->v[net->n++] = route;
    t->len++;
    if (t->memo)
        sp_route_memo_clear(t->memo);
    return SP_ROUTE_NEW;
}

/* Drop entries of @net that belong to @resource (NULL: all). The caller removes an empty net. */
static size_t
prune(struct sp_route_table *t, struct route_net *net, const struct sp_uuid *resource)
{
    size_t kept = 0, removed;

    for (size_t i = 0; i < net->n; i++) {
        if (resource == NULL || sp_uuid_equal(&net->v[i]->resource, resource))
            free_route(net->v[i]);
        else
            net->v[kept++] = net->v[i];
    }
    removed = net->n - kept;
    net->n = kept;
    t->len -= removed;
    if (removed && t->memo)
        sp_route_memo_clear(t->memo);
    return removed;
}

static void
drop_net(struct sp_route_table *t, struct net_key key, struct route_net *net)
{
    struct sp_cidr cidr = { .ip = sp_ip_from_bytes(key.family, key.ip), .len = key.len };

    (void)sp_map_del(&t->nets, &key);
    count_net(t, &cidr, false);
    free(net->v);
    free(net);
}

static size_t
remove_at(struct sp_route_table *t, const struct sp_cidr *cidr, const struct sp_uuid *resource)
{
    struct net_key key = key_of(&cidr->ip, cidr->len);
    struct route_net *net = sp_map_get(&t->nets, &key);
    size_t removed;

    if (net == NULL)
        return 0;
    removed = prune(t, net, resource);
    if (net->n == 0)
        drop_net(t, key, net);
    return removed;
}

size_t
sp_route_table_remove(struct sp_route_table *t,
                      const struct sp_cidr *net,
                      const struct sp_uuid *resource)
{
    return remove_at(t, net, resource);
}

size_t
sp_route_table_remove_net(struct sp_route_table *t, const struct sp_cidr *net)
{
    return remove_at(t, net, NULL);
}

size_t
sp_route_table_remove_resource(struct sp_route_table *t, const struct sp_uuid *resource)
{
    size_t pos = 0, removed = 0;
    const void *key;
    void *value;

    while (sp_map_next(&t->nets, &pos, &key, &value)) {
        struct route_net *net = value;
        struct net_key copy;

        memcpy(&copy, key, sizeof copy);
        removed += prune(t, net, resource);
        if (net->n == 0)
            drop_net(t, copy, net);
    }
    return removed;
}

static bool
better(const struct sp_route_table *t,
       const struct sp_route *a,
       const struct sp_route *b,
       struct sp_ip_proto proto)
{
    bool permits_a = sp_filter_check(a->filter, proto) == SP_FILTER_PERMITTED;
    bool permits_b = sp_filter_check(b->filter, proto) == SP_FILTER_PERMITTED;

    if (permits_a != permits_b)
        return permits_a;
    if (t->compare && a->pattern && b->pattern) {
        int order = t->compare(a->pattern, b->pattern);

        if (order != 0)
            return order < 0;
    }
    if (a->net.len != b->net.len)
        return a->net.len > b->net.len;
    return sp_uuid_compare(&a->resource, &b->resource) > 0;
}

static const struct sp_route *
search(const struct sp_route_table *t, const struct sp_ip *ip, struct sp_ip_proto proto)
{
    const struct sp_route *best = NULL;
    int f = ip->family == 6;

    for (int word = f ? 2 : 0; word >= 0; word--) {
        for (uint64_t bits = t->lens[f][word]; bits; bits &= bits - 1) {
            struct net_key key = key_of(ip, (uint8_t)(word * 64 + __builtin_ctzll(bits)));
            const struct route_net *net = sp_map_get(&t->nets, &key);

            for (size_t i = 0; net && i < net->n; i++)
                if (best == NULL || better(t, net->v[i], best, proto))
                    best = net->v[i];
        }
    }
    return best;
}

const struct sp_route *
sp_route_table_lookup(struct sp_route_table *t, const struct sp_ip *ip, struct sp_ip_proto proto)
{
    const struct sp_route *route;

    if (t->len == 0 || sp_ip_size(ip) == 0)
        return NULL;
    if (t->memo == NULL)
        t->memo = sp_route_memo_new(&t->rng);
    if (sp_route_memo_get(t->memo, ip, proto, &route))
        return route;
    route = search(t, ip, proto);
    sp_route_memo_put(t->memo, ip, proto, route);
    return route;
}

const struct sp_route *
sp_route_table_next(const struct sp_route_table *t, size_t *net_pos, size_t *entry_pos)
{
    void *value;

    for (;;) {
        size_t pos = *net_pos;

        if (!sp_map_next(&t->nets, &pos, NULL, &value))
            return NULL;
        if (*entry_pos < ((struct route_net *)value)->n)
            return ((struct route_net *)value)->v[(*entry_pos)++];
        *net_pos = pos;
        *entry_pos = 0;
    }
}
