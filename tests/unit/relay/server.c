/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/relay/server.h"

#include <string.h>

#include "engine/base/err.h"
#include "engine/base/wr.h"
#include "engine/relay/relay-private.h"

struct sp_endpoint
endpoint(const char *text)
{
    struct sp_endpoint ep;

    g_assert_cmpint(sp_endpoint_parse(text, &ep), ==, 0);
    return ep;
}

struct sp_relay_config
server_config(struct server *s, uint16_t n_ports)
{
    struct sp_relay_config c = {
        .public4 = sp_ip4(198, 51, 100, 20),
        .port_first = FIRST_PORT,
        .port_last = (uint16_t)(FIRST_PORT + n_ports - 1),
        .stamp_secret = SECRET,
        .software = "sallyport-relay; rev=xxxx",
        .wall = { (int64_t)UNIX_AT_ZERO * (int64_t)SP_NS_PER_SEC },
        .rng = test_rng_init(&s->rng_state, 7),
    };

    g_assert_cmpint(sp_ip_parse("2001:db8::20", &c.public6), ==, 0);
    return c;
}

void
server_init(struct server *s, const struct sp_relay_config *config)
{
    s->now = NOW;
    sp_pkt_pool_init(&s->pool, 4);
    s->relay = sp_relay_new(config);
    g_assert_nonnull(s->relay);
}

void
server_start(struct server *s)
{
    struct sp_relay_config c;

    *s = (struct server){ 0 };
    c = server_config(s, 100);
    server_init(s, &c);
}

void
server_done(struct server *s)
{
    s->relay = sp_relay_free(s->relay);
    g_assert_cmpuint(s->pool.in_use, ==, 0);
    sp_pkt_pool_done(&s->pool);
}

static void
carry_out(struct server *s, const struct sp_relay_command *cmd)
{
    switch (cmd->type) {
    case SP_RELAY_OPEN_PORT:
        g_assert_true(cmd->v4 || cmd->v6);
        s->opened[s->opens++ % G_N_ELEMENTS(s->opened)] = cmd->port;
        if (s->refuse_ports) {
            s->refuse_ports--;
            sp_relay_port_opened(s->relay, cmd->port, false, s->now);
        } else {
            sp_relay_port_opened(s->relay, cmd->port, true, s->now);
        }
        break;
    case SP_RELAY_CLOSE_PORT:
        s->closes++;
        break;
    case SP_RELAY_ADD_CHANNEL:
        s->adds++;
        break;
    case SP_RELAY_REMOVE_CHANNEL:
        s->removes++;
        s->removes_after_close = s->removes_after_close || s->closes > 0;
        break;
    }
}

void
server_drain(struct server *s)
{
    struct sp_relay_command cmd;

    while (sp_relay_poll_command(s->relay, &cmd))
        carry_out(s, &cmd);
}

void
server_pass(struct server *s, sp_duration d)
{
    s->now += d;
    sp_relay_handle_timeout(s->relay, s->now);
    server_drain(s);
}

static struct answer
take_answer(struct server *s)
{
    struct answer a = { 0 };
    struct sp_relay_transmit tx;

    server_drain(s);
    if (!sp_relay_poll_transmit(s->relay, &tx))
        return a;
    a.n = tx.pkt->len;
    g_assert_cmpuint(a.n, <=, sizeof a.bytes);
    if (a.n)
        memcpy(a.bytes, sp_pkt_data(tx.pkt), a.n);
    a.port = tx.port;
    a.to = tx.dst;
    a.ecn = tx.pkt->ecn;
    sp_pkt_free(tx.pkt);
    g_assert_false(sp_relay_poll_transmit(s->relay, &tx));
    return a;
}

static void
reparse(struct answer *a)
{
    if (a->n && a->port == 0 && a->bytes[0] <= 3)
        g_assert_cmpint(sp_stun_parse(sp_span(a->bytes, a->n), &a->msg), ==, 0);
}

struct answer
send_bytes(struct server *s, const struct sp_endpoint *from, const void *p, size_t n)
{
    struct sp_pkt *pkt = sp_pkt_from_bytes(&s->pool, p, n);

    g_assert_nonnull(pkt);
    sp_relay_handle_listen(s->relay, from, pkt, s->now);
    return take_answer(s);
}

struct answer
send_relayed(struct server *s,
             uint16_t port,
             const struct sp_endpoint *from,
             const void *p,
             size_t n)
{
    struct sp_pkt *pkt = sp_pkt_from_bytes(&s->pool, p, n);

    g_assert_nonnull(pkt);
    pkt->ecn = 2;
    sp_relay_handle_relayed(s->relay, port, from, pkt, s->now);
    return take_answer(s);
}

/* ---- clients -------------------------------------------------------------------------------- */

/* Written out once more here, so that the engine's formula meets another one. */
static void
make_password(uint64_t expiry, const char *salt, char *out, size_t cap)
{
    g_autofree char *input =
        g_strdup_printf("%" G_GUINT64_FORMAT ":" SECRET ":%s", (guint64)expiry, salt);
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    g_autofree char *text = NULL;
    guint8 hash[32];
    gsize n = sizeof hash;

    g_checksum_update(sum, (const guchar *)input, -1);
    g_checksum_get_digest(sum, hash, &n);
    text = g_base64_encode(hash, n);
    *strchr(text, '=') = '\0';
    g_strlcpy(out, text, cap);
}

void
client_set_user(struct client *c, const char *username, uint64_t expiry, const char *salt)
{
    g_strlcpy(c->username, username, sizeof c->username);
    make_password(expiry, salt, c->password, sizeof c->password);
}

struct client
client_at(const char *text, const char *salt)
{
    struct client c = { .at = endpoint(text) };
    g_autofree char *username = g_strdup_printf("%llu:%s", (unsigned long long)EXPIRY, salt);

    client_set_user(&c, username, EXPIRY, salt);
    return c;
}

struct sp_stun_builder
client_begin(struct client *c, uint8_t *buf, size_t cap, uint16_t method)
{
    uint8_t txid[SP_STUN_TXID_LEN] = { (uint8_t)method, (uint8_t)c->at.port };

    txid[2] = (uint8_t)c->username[11];
    sp_put_be32(txid + 4, ++c->txid);
    return sp_stun_build(buf, cap, SP_STUN_REQUEST, method, txid);
}

static void
client_key(const struct client *c, uint8_t key[SP_STUN_LONG_KEY_LEN])
{
    sp_stun_long_term_key(c->username, SP_RELAY_REALM, c->password, key);
}

size_t
client_sign(const struct client *c, struct sp_stun_builder *b)
{
    uint8_t key[SP_STUN_LONG_KEY_LEN];
    int n;

    client_key(c, key);
    sp_stun_put_string(b, SP_STUN_USERNAME, c->username);
    sp_stun_put_string(b, SP_STUN_REALM, SP_RELAY_REALM);
    if (c->nonce[0])
        sp_stun_put_string(b, SP_STUN_NONCE, c->nonce);
    sp_stun_put_integrity(b, sp_span(key, sizeof key));
    n = sp_stun_finish(b);
    g_assert_cmpint(n, >, 0);
    return (size_t)n;
}

struct answer
client_send(struct server *s, struct client *c, struct sp_stun_builder *b)
{
    size_t n = client_sign(c, b);
    struct answer a = send_bytes(s, &c->at, b->w.start, n);

    reparse(&a);
    if (a.n)
        (void)sp_stun_get_string(&a.msg, SP_STUN_NONCE, c->nonce, sizeof c->nonce);
    return a;
}

static void
fix(struct answer *a)
{
    a->msg.raw.p = a->bytes;
}

/* Build by @put, send, and once more when only a nonce was missing. */
struct wish {
    uint16_t method;
    int64_t lifetime;
    bool dual;
    uint16_t channel;
    const char *peer;
};

static struct answer
ask(struct server *s, struct client *c, const struct wish *w)
{
    struct answer a = { 0 };

    for (int i = 0; i < 2; i++) {
        bool had_nonce = c->nonce[0] != '\0';
        uint8_t buf[1000];
        struct sp_stun_builder b = client_begin(c, buf, sizeof buf, w->method);

        if (w->method == SP_STUN_ALLOCATE)
            sp_stun_put_transport(&b, 17);
        if (w->dual)
            sp_stun_put_family(&b, SP_STUN_ADDITIONAL_ADDRESS_FAMILY, 6);
        if (w->lifetime >= 0)
            sp_stun_put_u32(&b, SP_STUN_LIFETIME, (uint32_t)w->lifetime);
        if (w->channel)
            sp_stun_put_channel(&b, w->channel);
        if (w->peer) {
            struct sp_endpoint peer = endpoint(w->peer);

            sp_stun_put_xor_addr(&b, SP_STUN_XOR_PEER_ADDRESS, &peer);
        }
        a = client_send(s, c, &b);
        fix(&a);
        if (!a.n
            || !(sp_stun_get_error(&a.msg) == 438
                 || (sp_stun_get_error(&a.msg) == 401 && !had_nonce)))
            break;
    }
    return a;
}

struct answer
client_allocate(struct server *s, struct client *c, int64_t lifetime, bool dual)
{
    struct answer a =
        ask(s, c, &(struct wish){ .method = SP_STUN_ALLOCATE, .lifetime = lifetime, .dual = dual });

    fix(&a);
    return a;
}

struct answer
client_refresh(struct server *s, struct client *c, int64_t lifetime)
{
    return ask(s, c, &(struct wish){ .method = SP_STUN_REFRESH, .lifetime = lifetime });
}

struct answer
client_bind(struct server *s, struct client *c, uint16_t channel, const char *peer)
{
    return ask(s,
               c,
               &(struct wish){ .method = SP_STUN_CHANNEL_BIND,
                               .lifetime = -1,
                               .channel = channel,
                               .peer = peer });
}

struct answer
client_permit(struct server *s, struct client *c, const char *peer)
{
    return ask(s,
               c,
               &(struct wish){ .method = SP_STUN_CREATE_PERMISSION, .lifetime = -1, .peer = peer });
}

/* ---- assertions ----------------------------------------------------------------------------- */

/* Answers are passed by value: the view must follow the bytes. */
static struct sp_stun_msg
msg_of(const struct answer *a)
{
    struct sp_stun_msg msg;

    g_assert_cmpuint(a->n, >, 0);
    g_assert_cmpint(sp_stun_parse(sp_span(a->bytes, a->n), &msg), ==, 0);
    return msg;
}

static void
assert_signed(const struct sp_stun_msg *msg, const struct client *c)
{
    uint8_t key[SP_STUN_LONG_KEY_LEN];

    if (!c) {
        g_assert_cmpuint(msg->integrity, ==, 0);
        return;
    }
    client_key(c, key);
    g_assert_cmpint(sp_stun_check_integrity(msg, sp_span(key, sizeof key)), ==, 0);
}

void
assert_success(const struct answer *a, const struct client *c)
{
    struct sp_stun_msg msg = msg_of(a);

    g_assert_cmpuint(a->port, ==, 0);
    g_assert_cmpuint(sp_stun_get_error(&msg), ==, 0);
    g_assert_cmpint(msg.cls, ==, SP_STUN_SUCCESS);
    assert_signed(&msg, c);
    if (c)
        g_assert_true(sp_endpoint_equal(&a->to, &c->at));
}

void
assert_error(const struct answer *a, unsigned code, const struct client *c)
{
    struct sp_stun_msg msg = msg_of(a);
    char text[64];
    struct sp_uuid id;

    g_assert_cmpuint(a->port, ==, 0);
    g_assert_cmpint(msg.cls, ==, SP_STUN_ERROR);
    g_assert_cmpuint(sp_stun_get_error(&msg), ==, code);
    assert_signed(&msg, c);
    g_assert_true(sp_stun_has(&msg, SP_STUN_SOFTWARE));
    if (code != 401 && code != 438) {
        g_assert_false(sp_stun_has(&msg, SP_STUN_NONCE));
        return;
    }
    g_assert_true(sp_stun_get_string(&msg, SP_STUN_REALM, text, sizeof text));
    g_assert_cmpstr(text, ==, "firezone");
    g_assert_true(sp_stun_get_string(&msg, SP_STUN_NONCE, text, sizeof text));
    g_assert_cmpuint(strlen(text), ==, 36);
    g_assert_cmpint(sp_uuid_parse(text, &id), ==, 0);
}

uint32_t
lifetime_of(const struct answer *a)
{
    struct sp_stun_msg msg = msg_of(a);
    uint32_t v = 0;

    g_assert_true(sp_stun_get_u32(&msg, SP_STUN_LIFETIME, &v));
    return v;
}

uint16_t
relayed_port(const struct answer *a, uint8_t family)
{
    struct sp_stun_msg msg = msg_of(a);
    struct sp_endpoint ep;

    for (size_t i = 0; sp_stun_get_xor_addr(&msg, SP_STUN_XOR_RELAYED_ADDRESS, i, &ep); i++) {
        if (ep.ip.family == family)
            return ep.port;
    }
    return 0;
}
