/* SPDX-License-Identifier: Apache-2.0 */
/* Which connection is a datagram for? Spec connectivity 1.3: relay, then ICE, then WireGuard. The
 * source address never selects the connection. */
#include "engine/ip/packet.h"
#include "engine/node/node-private.h"
#include "engine/stun/stun.h"

#define HEX_BYTES_MAX 64

struct input {
    struct sp_node *node;
    const struct sp_udp_meta *meta;
    struct sp_pkt *pkt;
    struct sp_span bytes;
    sp_time now;
    bool via_relay; /* came through a channel; @meta is as seen from the relay */
};

static int
drop(const struct input *in, enum sp_drop reason, int code)
{
    sp_drops_add(in->node->config.drops, reason);
    return code;
}

static bool
wants_debug(const struct input *in)
{
    return sp_log_on(in->node->config.log, SP_LOG_DEBUG, SP_LOG_NODE);
}

/* A late packet of a connection that just ended is expected; a stranger's is worth a line. */
static void
log_unknown(const struct input *in, const char *what, bool is_late)
{
    if (is_late)
        SP_TRACE(in->node->config.log, NODE, "late %s", what);
    else
        SP_DEBUG(in->node->config.log, NODE, "%s for nobody", what);
}

/* ---- ICE ------------------------------------------------------------------------------------- */

static enum sp_drop
stun_drop_reason(int r)
{
    return r == SP_E_NOTFOUND ? SP_DROP_UNKNOWN_UFRAG : SP_DROP_BAD_STUN;
}

static int
give_to_agent(const struct input *in, struct sp_node_conn *conn)
{
    int r =
        sp_ice_agent_handle_stun(conn->ice, in->bytes, &in->meta->from, &in->meta->local, in->now);

    (void)sp_node_conn_settle(conn, in->now);
    return r;
}

static int
handle_request(const struct input *in, const char *ufrag)
{
    struct sp_node_conn *conn = sp_node_by_ufrag(&in->node->tables, ufrag), *next;
    int r = SP_E_NOTFOUND;

    if (!conn && wants_debug(in))
        log_unknown(in, "check", sp_node_gone_ufrag(&in->node->tables, ufrag, in->now));
    /* Equal local ufrags happen; the remote ufrag and the password decide. */
    for (; conn; conn = next) {
        next = conn->ufrag_next;
        r = give_to_agent(in, conn);
        if (r != SP_E_UNAUTH)
            break;
    }
    return r == 0 ? 0 : drop(in, stun_drop_reason(r), r);
}

static int
handle_stun(const struct input *in)
{
    char ufrag[SP_ICE_UFRAG_MAX + 1];
    uint8_t txid[SP_NODE_TXID_LEN];
    struct sp_node_conn *conn;
    int r;

    if (sp_ice_request_ufrag(in->bytes, ufrag) == 0)
        return handle_request(in, ufrag);
    if (sp_ice_response_txid(in->bytes, txid) < 0)
        return drop(in, SP_DROP_BAD_STUN, SP_E_MALFORMED);
    conn = sp_node_stun_take(&in->node->tables, txid, in->now);
    if (!conn)
        return drop(in, SP_DROP_BAD_STUN, SP_E_NOTFOUND);
    r = give_to_agent(in, conn);
    return r == 0 ? 0 : drop(in, SP_DROP_BAD_STUN, r);
}

/* ---- WireGuard ------------------------------------------------------------------------------- */

static enum sp_drop
wg_drop_reason(int r)
{
    switch (r) {
    case SP_E_REPLAY:
        return SP_DROP_WG_REPLAY;
    case SP_E_STATE:
    case SP_E_EXPIRED:
        return SP_DROP_WG_NO_SESSION;
    case SP_E_LIMIT:
        return SP_DROP_WG_UNDER_LOAD;
    case SP_E_MALFORMED:
        return SP_DROP_MALFORMED_IP;
    default:
        return SP_DROP_WG_UNAUTH;
    }
}

/* mac1 and load come before anything that costs: a stranger buys no Diffie-Hellman with junk. */
static int
check_limits(const struct input *in)
{
    struct sp_node *node = in->node;
    uint8_t reply[SP_WG_COOKIE_REPLY_LEN];
    size_t n = 0;
    int r = sp_wg_limiter_check(&node->limiter,
                                &node->identity,
                                in->bytes,
                                &in->meta->from,
                                in->now,
                                reply,
                                &n);

    if (r == SP_WG_COOKIE_REPLY) {
        sp_node_queue_bytes(node,
                            in->via_relay,
                            &in->meta->local,
                            &in->meta->from,
                            sp_span(reply, n));
        return drop(in, SP_DROP_WG_UNDER_LOAD, SP_E_LIMIT);
    }
    return r == 0 ? 0 : drop(in, wg_drop_reason(r), r);
}

static int
give_handshake(const struct input *in, struct sp_node_conn *conn)
{
    int r = sp_wg_tunnel_handle_handshake(conn->wg, in->bytes, in->now);

    (void)sp_node_conn_settle(conn, in->now);
    return r == 0 ? 0 : drop(in, wg_drop_reason(r), r);
}

static int
handle_initiation(const struct input *in)
{
    struct sp_node *node = in->node;
    struct sp_node_conn *conn;
    uint8_t key[SP_WG_KEY_LEN];
    int r = check_limits(in);

    if (r < 0)
        return r;
    r = sp_wg_peek_initiation(&node->identity, in->bytes, key);
    if (r < 0)
        return drop(in, SP_DROP_WG_UNAUTH, r);
    conn = sp_node_by_key(&node->tables, key);
    if (conn)
        return give_handshake(in, conn);
    if (wants_debug(in))
        log_unknown(in, "initiation", sp_node_gone_key(&node->tables, key, in->now));
    return drop(in, SP_DROP_UNKNOWN_INDEX, SP_E_NOTFOUND);
}

static struct sp_node_conn *
find_receiver(const struct input *in, const char *what)
{
    uint32_t index24 = sp_wg_receiver_index(in->bytes) >> 8;
    struct sp_node_conn *conn = sp_node_by_index(&in->node->tables, index24);

    if (conn)
        return conn;
    if (wants_debug(in))
        log_unknown(in, what, sp_node_gone_index(&in->node->tables, index24, in->now));
    (void)drop(in, SP_DROP_UNKNOWN_INDEX, SP_E_NOTFOUND);
    return NULL;
}

/* Responses count against the limit too, but not those that nobody waits for. */
static int
handle_answer(const struct input *in, enum sp_wg_kind kind)
{
    struct sp_node_conn *conn = find_receiver(in, "handshake answer");
    int r;

    if (!conn)
        return SP_E_NOTFOUND;
    r = kind == SP_WG_RESPONSE ? check_limits(in) : 0;
    return r < 0 ? r : give_handshake(in, conn);
}

/* Congestion on the way is news for the inner flow too (RFC 6040). Rare, so parsed only then. */
static void
merge_ecn(struct sp_pkt *pkt)
{
    struct sp_ip_view view;

    if (pkt->ecn == SP_ECN_CE && sp_packet_parse(sp_pkt_data(pkt), pkt->len, &view) == 0)
        sp_packet_merge_ecn(sp_pkt_data(pkt), &view, pkt->ecn);
}

/* Returns: 0, SP_NODE_PACKET or negative; @in->pkt is still ours */
static int
handle_data(const struct input *in, struct sp_uuid *ret_peer)
{
    struct sp_node_conn *conn = find_receiver(in, "data packet");
    int r;

    if (!conn)
        return SP_E_NOTFOUND;
    r = sp_wg_tunnel_open(conn->wg, in->pkt, in->now);
    if (r == SP_WG_PACKET) {
        merge_ecn(in->pkt);
        conn->rx_bytes += in->pkt->len;
        sp_node_conn_touch(conn, in->now);
        *ret_peer = conn->peer;
    }
    (void)sp_node_conn_settle_wg(conn, in->now);
    if (r < 0)
        return drop(in, wg_drop_reason(r), r);
    return r == SP_WG_PACKET ? SP_NODE_PACKET : 0;
}

static void
log_hex(const struct input *in)
{
    static const char digits[] = "0123456789abcdef";
    char hex[2 * HEX_BYTES_MAX + 1];
    size_t n = SP_MIN(in->bytes.n, (size_t)HEX_BYTES_MAX);

    if (!wants_debug(in))
        return;
    for (size_t i = 0; i < n; i++) {
        hex[2 * i] = digits[in->bytes.p[i] >> 4];
        hex[2 * i + 1] = digits[in->bytes.p[i] & 15];
    }
    hex[2 * n] = '\0';
    SP_DEBUG(in->node->config.log, NODE, "unknown datagram of %zu bytes: %s", in->bytes.n, hex);
}

static int
handle_wireguard(const struct input *in, struct sp_uuid *ret_peer)
{
    enum sp_wg_kind kind = sp_wg_classify(in->bytes);

    switch (kind) {
    case SP_WG_INITIATION:
        return handle_initiation(in);
    case SP_WG_RESPONSE:
    case SP_WG_COOKIE:
        return handle_answer(in, kind);
    case SP_WG_DATA:
        return handle_data(in, ret_peer);
    case SP_WG_NONE:
        break;
    }
    log_hex(in);
    return drop(in, SP_DROP_UNKNOWN_DATAGRAM, SP_E_MALFORMED);
}

int
sp_node_handle_datagram(struct sp_node *node,
                        const struct sp_udp_meta *meta,
                        struct sp_pkt *pkt,
                        sp_time now,
                        struct sp_uuid *ret_peer,
                        struct sp_pkt **ret_inner)
{
    struct sp_udp_meta seen = *meta;
    struct input in = { .node = node, .meta = &seen, .pkt = pkt, .now = now };
    enum sp_node_relay_input relay;
    int r;

    sp_assert(now >= node->now);
    node->now = now;
    relay = sp_node_relays_input(node, pkt, &seen, now);
    in.via_relay = relay == SP_NODE_RELAY_PAYLOAD;
    in.bytes = sp_pkt_span(pkt);
    if (relay == SP_NODE_RELAY_CONSUMED)
        r = 0;
    else if (sp_stun_is_stun(in.bytes))
        r = handle_stun(&in);
    else
        r = handle_wireguard(&in, ret_peer);
    if (r == SP_NODE_PACKET)
        *ret_inner = pkt;
    else
        sp_pkt_free(pkt);
    return r;
}
