/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/filter/filter.h"

#include <stdlib.h>
#include <string.h>

enum filter_form {
    PERMIT_ALL,
    PERMIT_SOME,
    DENY_ALL,
};

struct range {
    uint16_t first;
    uint16_t last;
};

/* Sorted, disjoint and not adjacent, so equal sets have equal memory. */
struct ranges {
    struct range *v;
    size_t n;
};

struct sp_filter {
    size_t refs;
    enum filter_form form;
    bool icmp;
    struct ranges tcp;
    struct ranges udp;
};

static int
by_first(const void *a, const void *b)
{
    const struct range *x = a, *y = b;

    return (x->first > y->first) - (x->first < y->first);
}

static void
collect(struct ranges *out,
        enum sp_filter_proto proto,
        const struct sp_filter_rule *rules,
        size_t n_rules)
{
    size_t n = 0;

    out->v = sp_xcalloc(n_rules, sizeof *out->v);
    for (size_t i = 0; i < n_rules; i++)
        if (rules[i].proto == proto && rules[i].port_start <= rules[i].port_end)
            out->v[n++] = (struct range){ rules[i].port_start, rules[i].port_end };
    if (n)
        qsort(out->v, n, sizeof *out->v, by_first);
    for (size_t i = 0; i < n; i++) {
        struct range *tail = out->n ? &out->v[out->n - 1] : NULL;

        if (tail && out->v[i].first <= (uint32_t)tail->last + 1)
            tail->last = SP_MAX(tail->last, out->v[i].last);
        else
            out->v[out->n++] = out->v[i];
    }
}

static bool
ranges_have(const struct ranges *r, uint16_t port)
{
    size_t low = 0, high = r->n;

    while (low < high) {
        size_t mid = (low + high) / 2;

        if (port > r->v[mid].last)
            low = mid + 1;
        else if (port < r->v[mid].first)
            high = mid;
        else
            return true;
    }
    return false;
}

static bool
ranges_equal(const struct ranges *a, const struct ranges *b)
{
    return a->n == b->n && (a->n == 0 || memcmp(a->v, b->v, a->n * sizeof *a->v) == 0);
}

static struct sp_filter *
new_filter(enum filter_form form)
{
    struct sp_filter *filter = sp_xcalloc(1, sizeof *filter);

    filter->refs = 1;
    filter->form = form;
    return filter;
}

struct sp_filter *
sp_filter_new(const struct sp_filter_rule *rules, size_t n)
{
    struct sp_filter *filter = new_filter(n ? PERMIT_SOME : PERMIT_ALL);

    if (n == 0)
        return filter;
    collect(&filter->tcp, SP_FILTER_TCP, rules, n);
    collect(&filter->udp, SP_FILTER_UDP, rules, n);
    for (size_t i = 0; i < n; i++)
        if (rules[i].proto == SP_FILTER_ICMP)
            filter->icmp = true;
    return filter;
}

struct sp_filter *
sp_filter_new_deny_all(void)
{
    return new_filter(DENY_ALL);
}

struct sp_filter *
sp_filter_ref(struct sp_filter *filter)
{
    filter->refs++;
    return filter;
}

void
sp_filter_unref(struct sp_filter *filter)
{
    if (filter == NULL || --filter->refs > 0)
        return;
    free(filter->tcp.v);
    free(filter->udp.v);
    free(filter);
}

bool
sp_filter_equal(const struct sp_filter *a, const struct sp_filter *b)
{
    return a == b
           || (a->form == b->form && a->icmp == b->icmp && ranges_equal(&a->tcp, &b->tcp)
               && ranges_equal(&a->udp, &b->udp));
}

/* What a filter that permits nothing of @proto answers. */
static enum sp_filter_verdict
denial(struct sp_ip_proto proto)
{
    switch ((enum sp_ip_proto_kind)proto.kind) {
    case SP_IP_PROTO_TCP:
        return SP_FILTER_DENIED_TCP;
    case SP_IP_PROTO_UDP:
        return SP_FILTER_DENIED_UDP;
    case SP_IP_PROTO_ECHO:
    case SP_IP_PROTO_OTHER_ICMPV4:
    case SP_IP_PROTO_OTHER_ICMPV6:
        return SP_FILTER_DENIED_ICMP;
    case SP_IP_PROTO_OTHER_L4:
    case _SP_IP_PROTO_MAX:
        break;
    }
    return SP_FILTER_NOT_EVALUABLE;
}

enum sp_filter_verdict
sp_filter_check(const struct sp_filter *filter, struct sp_ip_proto proto)
{
    enum sp_filter_verdict no = denial(proto);
    bool permitted = false;

    if (filter->form == PERMIT_ALL)
        return SP_FILTER_PERMITTED;
    if (filter->form == DENY_ALL)
        return no;
    if (no == SP_FILTER_DENIED_TCP)
        permitted = ranges_have(&filter->tcp, proto.id);
    else if (no == SP_FILTER_DENIED_UDP)
        permitted = ranges_have(&filter->udp, proto.id);
    else if (no == SP_FILTER_DENIED_ICMP)
        permitted = filter->icmp;
    return permitted ? SP_FILTER_PERMITTED : no;
}

const char *
sp_filter_verdict_text(enum sp_filter_verdict verdict)
{
    static const char *const texts[_SP_FILTER_VERDICT_MAX] = {
        [SP_FILTER_PERMITTED] = "permitted",
        [SP_FILTER_DENIED_TCP] = "TCP port not permitted",
        [SP_FILTER_DENIED_UDP] = "UDP port not permitted",
        [SP_FILTER_DENIED_ICMP] = "ICMP not permitted",
        [SP_FILTER_NOT_EVALUABLE] = "protocol not supported, filter could not be evaluated",
    };

    return verdict < _SP_FILTER_VERDICT_MAX ? texts[verdict] : "unknown";
}
