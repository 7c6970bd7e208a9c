/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/net.h"

#include <string.h>

#include <glib.h>

#include "tests/support/rng.h"

struct address {
    struct sp_ip ip;
    int nat; /* -1: public */
};

struct host {
    test_net_receive receive;
    void *ctx;
    struct test_net_link link;
    GArray *addresses; /* struct address */
    uint64_t sent;
    bool up;
};

struct mapping {
    struct sp_endpoint inside;
    struct sp_endpoint remote; /* of a symmetric mapping */
    GArray *remotes;           /* struct sp_endpoint that were sent to */
    uint16_t port;
};

struct nat {
    enum test_net_nat kind;
    struct sp_ip outside;
    GPtrArray *mappings;
    uint16_t next_port;
};

/* NAT and destination are looked up when the datagram is sent; both links' delays are added. */
struct flight {
    sp_time at;
    uint64_t seq;
    int host; /* receiver */
    struct sp_endpoint from;
    struct sp_endpoint to;
    uint8_t ecn;
    size_t n;
    uint8_t *bytes;
};

struct test_net {
    struct test_rng rng_state;
    struct sp_rng rng;
    GPtrArray *hosts;
    GPtrArray *nats;
    GSequence *flights;
    uint64_t seq;
    test_net_filter filter;
    void *filter_ctx;
};

static void
flight_free(void *p)
{
    struct flight *f = p;

    g_free(f->bytes);
    g_free(f);
}

static void
mapping_free(void *p)
{
    struct mapping *m = p;

    g_array_unref(m->remotes);
    g_free(m);
}

static void
nat_free(void *p)
{
    struct nat *nat = p;

    g_ptr_array_unref(nat->mappings);
    g_free(nat);
}

static void
host_free(void *p)
{
    struct host *h = p;

    g_array_unref(h->addresses);
    g_free(h);
}

struct test_net *
test_net_new(uint64_t seed)
{
    struct test_net *net = g_new0(struct test_net, 1);

    net->rng = test_rng_init(&net->rng_state, seed);
    net->hosts = g_ptr_array_new_with_free_func(host_free);
    net->nats = g_ptr_array_new_with_free_func(nat_free);
    net->flights = g_sequence_new(flight_free);
    return net;
}

void
test_net_free(struct test_net *net)
{
    g_sequence_free(net->flights);
    g_ptr_array_unref(net->hosts);
    g_ptr_array_unref(net->nats);
    g_free(net);
}

static struct host *
host_at(const struct test_net *net, int host)
{
    g_assert_cmpint(host, >=, 0);
    g_assert_cmpint(host, <, (int)net->hosts->len);
    return g_ptr_array_index(net->hosts, host);
}

static struct nat *
nat_at(const struct test_net *net, int nat)
{
    g_assert_cmpint(nat, <, (int)net->nats->len);
    return g_ptr_array_index(net->nats, nat);
}

int
test_net_add_host(struct test_net *net, test_net_receive receive, void *ctx)
{
    struct host *h = g_new0(struct host, 1);

    h->receive = receive;
    h->ctx = ctx;
    h->up = true;
    h->link.delay = SP_MS(10);
    h->addresses = g_array_new(FALSE, FALSE, sizeof(struct address));
    g_ptr_array_add(net->hosts, h);
    return (int)net->hosts->len - 1;
}

void
test_net_add_address(struct test_net *net, int host, const char *ip, int nat)
{
    struct address a = { .nat = nat };

    g_assert_cmpint(sp_ip_parse(ip, &a.ip), ==, 0);
    g_array_append_val(host_at(net, host)->addresses, a);
}

void
test_net_clear_addresses(struct test_net *net, int host)
{
    g_array_set_size(host_at(net, host)->addresses, 0);
}

int
test_net_add_nat(struct test_net *net, enum test_net_nat kind, const char *outside_ip)
{
    struct nat *nat = g_new0(struct nat, 1);

    nat->kind = kind;
    nat->next_port = 20000;
    nat->mappings = g_ptr_array_new_with_free_func(mapping_free);
    g_assert_cmpint(sp_ip_parse(outside_ip, &nat->outside), ==, 0);
    g_ptr_array_add(net->nats, nat);
    return (int)net->nats->len - 1;
}

void
test_net_nat_set_port(struct test_net *net, int nat, uint16_t port)
{
    nat_at(net, nat)->next_port = port;
}

void
test_net_nat_reboot(struct test_net *net, int nat)
{
    g_ptr_array_set_size(nat_at(net, nat)->mappings, 0);
}

void
test_net_set_link(struct test_net *net, int host, struct test_net_link link)
{
    host_at(net, host)->link = link;
}

void
test_net_set_up(struct test_net *net, int host, bool up)
{
    host_at(net, host)->up = up;
}

void
test_net_set_filter(struct test_net *net, test_net_filter filter, void *ctx)
{
    net->filter = filter;
    net->filter_ctx = ctx;
}

uint64_t
test_net_sent(const struct test_net *net, int host)
{
    return host_at(net, host)->sent;
}

static const struct address *
address_of(const struct host *h, const struct sp_ip *ip)
{
    for (guint i = 0; i < h->addresses->len; i++) {
        const struct address *a = &g_array_index(h->addresses, struct address, i);

        if (sp_ip_equal(&a->ip, ip))
            return a;
    }
    return NULL;
}

static const struct address *
first_address(const struct host *h, uint8_t family)
{
    for (guint i = 0; i < h->addresses->len; i++) {
        const struct address *a = &g_array_index(h->addresses, struct address, i);

        if (a->ip.family == family)
            return a;
    }
    return NULL;
}

/* ---- NAT ------------------------------------------------------------------------------------ */

static bool
knows_remote(const struct mapping *m, const struct sp_endpoint *remote)
{
    for (guint i = 0; i < m->remotes->len; i++)
        if (sp_endpoint_equal(&g_array_index(m->remotes, struct sp_endpoint, i), remote))
            return true;
    return false;
}

static struct mapping *
mapping_for(struct nat *nat, const struct sp_endpoint *inside, const struct sp_endpoint *remote)
{
    struct mapping *m;

    for (guint i = 0; i < nat->mappings->len; i++) {
        m = g_ptr_array_index(nat->mappings, i);
        if (!sp_endpoint_equal(&m->inside, inside))
            continue;
        if (nat->kind != TEST_NET_NAT_SYMMETRIC || sp_endpoint_equal(&m->remote, remote))
            return m;
    }
    m = g_new0(struct mapping, 1);
    m->inside = *inside;
    m->remote = *remote;
    m->port = nat->next_port++;
    m->remotes = g_array_new(FALSE, FALSE, sizeof(struct sp_endpoint));
    g_ptr_array_add(nat->mappings, m);
    return m;
}

static struct sp_endpoint
nat_outbound(struct nat *nat, const struct sp_endpoint *inside, const struct sp_endpoint *remote)
{
    struct mapping *m = mapping_for(nat, inside, remote);

    if (!knows_remote(m, remote))
        g_array_append_val(m->remotes, *remote);
    return (struct sp_endpoint){ .ip = nat->outside, .port = m->port };
}

static bool
nat_inbound(const struct nat *nat,
            const struct sp_endpoint *from,
            uint16_t port,
            struct sp_endpoint *ret_inside)
{
    for (guint i = 0; i < nat->mappings->len; i++) {
        const struct mapping *m = g_ptr_array_index(nat->mappings, i);

        if (m->port != port)
            continue;
        if (nat->kind != TEST_NET_NAT_OPEN && !knows_remote(m, from))
            return false;
        *ret_inside = m->inside;
        return true;
    }
    return false;
}

/* ---- routing -------------------------------------------------------------------------------- */

static int
find_host(const struct test_net *net, const struct sp_ip *ip, int nat)
{
    for (guint i = 0; i < net->hosts->len; i++) {
        const struct address *a = address_of(host_at(net, (int)i), ip);

        if (a && a->nat == nat)
            return (int)i;
    }
    return -1;
}

/* Where a datagram with this source (already translated) ends up. */
static int
route(const struct test_net *net,
      int inside_of,
      const struct sp_endpoint *from,
      struct sp_endpoint *to)
{
    int host = inside_of >= 0 ? find_host(net, &to->ip, inside_of) : -1;

    if (host >= 0)
        return host;
    for (guint i = 0; i < net->nats->len; i++) {
        const struct nat *nat = nat_at(net, (int)i);
        struct sp_endpoint inside;

        if (!sp_ip_equal(&nat->outside, &to->ip))
            continue;
        if (!nat_inbound(nat, from, to->port, &inside))
            return -1;
        *to = inside;
        return find_host(net, &to->ip, (int)i);
    }
    return find_host(net, &to->ip, -1);
}

static int
by_arrival(const void *a, const void *b, void *unused SP_UNUSED)
{
    const struct flight *x = a, *y = b;

    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static sp_duration
link_delay(struct test_net *net, const struct test_net_link *link)
{
    sp_duration d = link->delay;

    if (link->jitter)
        d += sp_rng_u64(&net->rng) % (link->jitter + 1);
    return d;
}

static bool
chance(struct test_net *net, unsigned per_mille)
{
    return per_mille && sp_rng_below(&net->rng, 1000) < per_mille;
}

static void
put_in_flight(struct test_net *net,
              const struct host *sender,
              int receiver,
              const struct test_net_datagram *d,
              sp_time now)
{
    struct flight *f = g_new0(struct flight, 1);
    const struct test_net_link *in = &host_at(net, receiver)->link;

    f->at = now + link_delay(net, &sender->link) + link_delay(net, in);
    f->seq = net->seq++;
    f->host = receiver;
    f->from = d->from;
    f->to = d->to;
    f->ecn = d->ecn;
    f->n = d->bytes.n;
    f->bytes = g_memdup2(d->bytes.p, d->bytes.n);
    g_sequence_insert_sorted(net->flights, f, by_arrival, NULL);
}

void
test_net_send(struct test_net *net,
              int host,
              const struct sp_endpoint *src,
              const struct sp_endpoint *dst,
              struct sp_span bytes,
              uint8_t ecn,
              sp_time now)
{
    struct host *h = host_at(net, host);
    struct test_net_datagram d = { .from = *src, .to = *dst, .bytes = bytes, .ecn = ecn };
    const struct address *a;
    int receiver, copies;

    h->sent++;
    a = src->ip.family ? address_of(h, &src->ip) : first_address(h, dst->ip.family);
    if (!a || a->ip.family != dst->ip.family || !h->up)
        return;
    d.from.ip = a->ip;
    if (net->filter && !net->filter(net->filter_ctx, host, &d, now))
        return;
    if (a->nat >= 0 && find_host(net, &dst->ip, a->nat) < 0)
        d.from = nat_outbound(nat_at(net, a->nat), &d.from, dst);
    receiver = route(net, a->nat, &d.from, &d.to);
    if (receiver < 0)
        return;
    copies = chance(net, h->link.duplicate) ? 2 : 1;
    while (copies--)
        if (!chance(net, h->link.loss) && !chance(net, host_at(net, receiver)->link.loss))
            put_in_flight(net, h, receiver, &d, now);
}

sp_time
test_net_next(const struct test_net *net)
{
    GSequenceIter *first = g_sequence_get_begin_iter(net->flights);

    return g_sequence_iter_is_end(first) ? SP_TIME_NEVER
                                         : ((struct flight *)g_sequence_get(first))->at;
}

void
test_net_deliver(struct test_net *net, sp_time now)
{
    while (test_net_next(net) <= now) {
        GSequenceIter *first = g_sequence_get_begin_iter(net->flights);
        struct flight *f = g_sequence_get(first);
        struct flight copy = *f;
        struct host *h = host_at(net, copy.host);

        f->bytes = NULL; /* moved: the receiver may send, which changes the sequence */
        g_sequence_remove(first);
        if (h->up && address_of(h, &copy.to.ip))
            h->receive(h->ctx,
                       &(struct test_net_datagram){ .from = copy.from,
                                                    .to = copy.to,
                                                    .bytes = sp_span(copy.bytes, copy.n),
                                                    .ecn = copy.ecn },
                       now);
        g_free(copy.bytes);
    }
}
