/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/far.h"

#include <string.h>

#include "engine/ip/build.h"

struct sp_uuid
test_uuid(uint8_t kind, uint8_t number)
{
    return (struct sp_uuid){ { kind, [15] = number } };
}

struct sp_ip
test_ip(const char *text)
{
    struct sp_ip ip;

    g_assert_cmpint(sp_ip_parse(text, &ip), ==, 0);
    return ip;
}

GBytes *
test_udp(const char *src, uint16_t sport, const char *dst, uint16_t dport, const char *text)
{
    struct sp_endpoint from = { test_ip(src), sport }, to = { test_ip(dst), dport };
    uint8_t buf[SP_MTU];
    size_t n;

    g_assert_cmpint(sp_build_udp(buf, sizeof buf, &from, &to, sp_span(text, strlen(text)), &n),
                    ==,
                    0);
    return g_bytes_new(buf, n);
}

GBytes *
test_echo(const char *src, const char *dst, bool reply, uint16_t id, const char *text)
{
    struct sp_ip from = test_ip(src), to = test_ip(dst);
    uint8_t buf[SP_MTU];
    size_t n;

    g_assert_cmpint(
        sp_build_echo(buf, SP_MTU, &from, &to, reply, id, 1, sp_span(text, strlen(text)), &n),
        ==,
        0);
    return g_bytes_new(buf, n);
}

GBytes *
test_raw(const char *src, const char *dst, uint8_t proto)
{
    struct sp_ip from = test_ip(src), to = test_ip(dst);
    uint8_t buf[SP_MTU];
    size_t n;

    g_assert_cmpint(sp_build_raw(buf, SP_MTU, &from, &to, 64, proto, sp_span("12345678", 8), &n),
                    ==,
                    0);
    return g_bytes_new(buf, n);
}

struct sp_ip_view
test_view(GBytes *packet)
{
    struct sp_ip_view v;
    gsize n;
    const uint8_t *p = g_bytes_get_data(packet, &n);

    g_assert_cmpint(sp_packet_parse(p, n, &v), ==, 0);
    g_assert_true(sp_packet_checksums_ok(p, &v));
    return v;
}

GBytes *
test_last(const GPtrArray *list)
{
    return list->len ? g_ptr_array_index(list, list->len - 1) : NULL;
}

/* ---- the node -------------------------------------------------------------------------------- */

void
far_init(struct far *f, uint8_t number, bool server, sp_time now)
{
    struct sp_node_config config = {
        .pool = &f->pool,
        .rng = test_rng_init(&f->rng, 900 + number),
        .drops = &f->drops,
        .server = server,
    };

    sp_pkt_pool_init(&f->pool, 4096);
    f->id = test_uuid(0xfa, number);
    f->address = (struct sp_endpoint){ sp_ip4(192, 0, 2, number), FAR_PORT };
    f->got = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    f->candidates = g_ptr_array_new_with_free_func(g_free);
    f->node = sp_node_new(&config, now);
    sp_node_set_host_addresses(f->node, &f->address, 1, now);
}

void
far_done(struct far *f)
{
    sp_node_free(f->node);
    g_ptr_array_unref(f->got);
    g_ptr_array_unref(f->candidates);
    g_assert_cmpuint(f->pool.in_use, ==, 0);
    sp_pkt_pool_done(&f->pool);
}

void
far_datagram(struct far *f, const struct sp_endpoint *from, struct sp_span bytes, sp_time now)
{
    struct sp_udp_meta meta = { .local = f->address, .from = *from };
    struct sp_pkt *pkt = sp_pkt_from_bytes(&f->pool, bytes.p, bytes.n), *inner;
    struct sp_uuid peer;

    if (sp_node_handle_datagram(f->node, &meta, pkt, now, &peer, &inner) != SP_NODE_PACKET)
        return;
    g_ptr_array_add(f->got, g_bytes_new(sp_pkt_data(inner), inner->len));
    sp_pkt_free(inner);
}

int
far_send(struct far *f, const struct sp_uuid *peer, const void *p, size_t n, sp_time now)
{
    struct sp_pkt *pkt = sp_pkt_from_bytes(&f->pool, p, n);
    int r = sp_node_send(f->node, peer, pkt, now);

    if (r > 0)
        sp_pkt_free(pkt);
    return r;
}

bool
far_drain_events(struct far *f)
{
    struct sp_node_event ev;
    bool any = false;

    while (sp_node_poll_event(f->node, &ev)) {
        any = true;
        if (ev.type == SP_NODE_EV_NEW_CANDIDATE)
            g_ptr_array_add(f->candidates, g_strdup(ev.candidate));
        f->established += ev.type == SP_NODE_EV_ESTABLISHED;
        f->failed += ev.type == SP_NODE_EV_FAILED;
    }
    return any;
}

struct sp_node_peer_params
far_params(const uint8_t remote_key[SP_KEY_LEN], bool client)
{
    struct sp_node_peer_params p = { .controlling = client };

    memcpy(p.remote_key, remote_key, SP_KEY_LEN);
    memset(p.psk, 0x77, sizeof p.psk);
    p.local = (struct sp_ice_creds){ "clie", "client-password-of-22ch" };
    p.remote = (struct sp_ice_creds){ "gate", "gateway-password-of-22c" };
    if (!client) {
        struct sp_ice_creds swap = p.local;

        p.local = p.remote;
        p.remote = swap;
    }
    return p;
}
