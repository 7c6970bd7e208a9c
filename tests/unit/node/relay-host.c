/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/node/relay-host.h"

#include <glib.h>

#include "engine/relay/relay.h"
#include "tests/support/rng.h"

struct relay_host {
    struct test_net *net;
    int host;
    struct sp_ip ip;
    struct sp_relay *relay;
    struct sp_pkt_pool pool;
    struct test_rng rng;
    struct sp_rng fill;
};

static void
drain(struct relay_host *r, sp_time now)
{
    struct sp_relay_command cmd;
    struct sp_relay_transmit tx;

    while (sp_relay_poll_command(r->relay, &cmd))
        if (cmd.type == SP_RELAY_OPEN_PORT)
            sp_relay_port_opened(r->relay, cmd.port, true, now);
    while (sp_relay_poll_transmit(r->relay, &tx)) {
        struct sp_endpoint src = { .ip = r->ip, .port = tx.port ? tx.port : SP_RELAY_LISTEN_PORT };

        test_net_send(r->net, r->host, &src, &tx.dst, sp_pkt_span(tx.pkt), 0, now);
        sp_pkt_free(tx.pkt);
    }
}

static void
on_datagram(void *ctx, const struct test_net_datagram *d, sp_time now)
{
    struct relay_host *r = ctx;
    struct sp_pkt *pkt = sp_pkt_from_bytes(&r->pool, d->bytes.p, d->bytes.n);

    g_assert_nonnull(pkt);
    if (d->to.port == SP_RELAY_LISTEN_PORT)
        sp_relay_handle_listen(r->relay, &d->from, pkt, now);
    else
        sp_relay_handle_relayed(r->relay, d->to.port, &d->from, pkt, now);
    drain(r, now);
}

static struct sp_relay *
new_relay(const struct relay_host *r)
{
    struct sp_relay_config config = {
        .public4 = r->ip,
        .stamp_secret = "secret",
        .software = "test",
        .multi_alloc = true,
        .static_user = RELAY_HOST_USER,
        .static_password = RELAY_HOST_PASSWORD,
        .rng = r->fill,
    };
    struct sp_relay *relay = sp_relay_new(&config);

    g_assert_nonnull(relay);
    return relay;
}

struct relay_host *
relay_host_new(struct test_net *net, const char *ip, uint64_t seed)
{
    struct relay_host *r = g_new0(struct relay_host, 1);

    r->net = net;
    g_assert_cmpint(sp_ip_parse(ip, &r->ip), ==, 0);
    r->fill = test_rng_init(&r->rng, seed);
    sp_pkt_pool_init(&r->pool, 4096);
    r->relay = new_relay(r);
    r->host = test_net_add_host(net, on_datagram, r);
    test_net_add_address(net, r->host, ip, -1);
    return r;
}

void
relay_host_free(struct relay_host *r)
{
    sp_relay_free(r->relay);
    g_assert_cmpuint(r->pool.in_use, ==, 0);
    sp_pkt_pool_done(&r->pool);
    g_free(r);
}

void
relay_host_restart(struct relay_host *r)
{
    sp_relay_free(r->relay);
    r->relay = new_relay(r);
}

void
relay_host_set_up(struct relay_host *r, bool up)
{
    test_net_set_up(r->net, r->host, up);
}

void
relay_host_set_delay(struct relay_host *r, sp_duration delay)
{
    test_net_set_link(r->net, r->host, (struct test_net_link){ .delay = delay });
}

uint64_t
relay_host_forwarded(const struct relay_host *r)
{
    const struct sp_relay_stats *s = sp_relay_get_stats(r->relay);

    return s->to_peer_packets + s->to_client_packets;
}
