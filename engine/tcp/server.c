/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/tcp/server.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/err.h"
#include "engine/base/rd.h"
#include "engine/base/wr.h"
#include "engine/tcp/conn-private.h"

#define RESETS_MAX 64 /* waiting to be polled */

/** struct sp_tcp_server - @conns: at most SP_TCP_LISTEN_MAX * SP_TCP_CONNECTIONS
 * @next_query: where the search for the next query starts, so that all have their turn
 * @work: some connection may have something to send, or be closed */
struct sp_tcp_server {
    struct sp_tcp_config cfg;
    struct sp_ip listen[SP_TCP_LISTEN_MAX]; /* sorted */
    size_t n_listen;
    struct tcp_conn **conns;
    size_t n_conns;
    size_t next_query;
    uint64_t last_handle;
    struct sp_pkt_queue resets;
    bool work;
    struct sp_tcp_stats stats;
};

struct sp_tcp_server *
sp_tcp_server_new(const struct sp_tcp_config *config)
{
    struct sp_tcp_server *s = sp_xcalloc(1, sizeof *s);

    s->cfg = *config;
    s->resets.max = RESETS_MAX;
    return s;
}

static void
remove_conn(struct sp_tcp_server *s, size_t i)
{
    tcp_conn_done(s->conns[i]);
    free(s->conns[i]);
    s->n_conns--;
    memmove(&s->conns[i], &s->conns[i + 1], (s->n_conns - i) * sizeof(struct tcp_conn *));
}

static void
remove_all(struct sp_tcp_server *s)
{
    while (s->n_conns)
        remove_conn(s, s->n_conns - 1);
}

struct sp_tcp_server *
sp_tcp_server_free(struct sp_tcp_server *s)
{
    if (s == NULL)
        return NULL;
    remove_all(s);
    free(s->conns);
    sp_pkt_queue_clear(&s->resets);
    free(s);
    return NULL;
}

size_t
sp_tcp_server_connections(const struct sp_tcp_server *s)
{
    return s->n_conns;
}

const struct sp_tcp_stats *
sp_tcp_server_stats(const struct sp_tcp_server *s)
{
    return &s->stats;
}

/* ---- addresses ----------------------------------------------------------------------------- */

static int
compare_ips(const void *a, const void *b)
{
    return sp_ip_compare(a, b);
}

static bool
same_set(const struct sp_tcp_server *s, const struct sp_ip *sorted, size_t n)
{
    if (n != s->n_listen)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!sp_ip_equal(&sorted[i], &s->listen[i]))
            return false;
    return true;
}

void
sp_tcp_server_listen(struct sp_tcp_server *s, const struct sp_ip *addrs, size_t n)
{
    struct sp_ip sorted[SP_TCP_LISTEN_MAX];

    n = SP_MIN(n, (size_t)SP_TCP_LISTEN_MAX);
    for (size_t i = 0; i < n; i++)
        sorted[i] = addrs[i];
    qsort(sorted, n, sizeof *sorted, compare_ips);
    if (same_set(s, sorted, n))
        return;
    remove_all(s);
    sp_pkt_queue_clear(&s->resets);
    for (size_t i = 0; i < n; i++)
        s->listen[i] = sorted[i];
    s->n_listen = n;
}

static bool
listens(const struct sp_tcp_server *s, const struct sp_ip *ip)
{
    return s->n_listen && bsearch(ip, s->listen, s->n_listen, sizeof *ip, compare_ips) != NULL;
}

/* ---- packets in ---------------------------------------------------------------------------- */

static struct tcp_conn *
find_pair(const struct sp_tcp_server *s, const struct sp_ip_view *v)
{
    for (size_t i = 0; i < s->n_conns; i++) {
        struct tcp_conn *c = s->conns[i];

        if (c->remote.port == v->src_proto.id && sp_ip_equal(&c->local, &v->dst)
            && sp_ip_equal(&c->remote.ip, &v->src))
            return c;
    }
    return NULL;
}

static struct tcp_conn *
find_handle(const struct sp_tcp_server *s, uint64_t handle)
{
    for (size_t i = 0; i < s->n_conns; i++)
        if (s->conns[i]->handle == handle && s->conns[i]->state != TCP_CLOSED)
            return s->conns[i];
    return NULL;
}

static void
reset_sender(struct sp_tcp_server *s, const struct sp_pkt *pkt, const struct sp_ip_view *v)
{
    struct sp_pkt *out = sp_pkt_alloc(s->cfg.pool);
    size_t len;

    if (out == NULL) {
        s->stats.no_memory++;
        return;
    }
    if (sp_build_tcp_rst(sp_pkt_data(out), SP_MTU, pkt->buf + pkt->off, v, &len) < 0) {
        sp_pkt_free(out);
        return;
    }
    out->len = (uint16_t)len;
    (void)sp_pkt_queue_push_ring(&s->resets, out);
}

/* Connections that only wait out their end make room. Returns: false when all are in use. */
static bool
make_room(struct sp_tcp_server *s, const struct sp_ip *local)
{
    size_t n = 0, spare = SIZE_MAX;

    for (size_t i = 0; i < s->n_conns; i++) {
        if (!sp_ip_equal(&s->conns[i]->local, local))
            continue;
        n++;
        if (s->conns[i]->state == TCP_TIME_WAIT || s->conns[i]->state == TCP_CLOSED)
            spare = i;
    }
    if (n < SP_TCP_CONNECTIONS)
        return true;
    if (spare == SIZE_MAX)
        return false;
    remove_conn(s, spare);
    return true;
}

/* RFC 9293 3.10.7.2 */
static void
handle_new(struct sp_tcp_server *s,
           const struct sp_pkt *pkt,
           const struct sp_ip_view *v,
           const struct tcp_segment *seg,
           sp_time now)
{
    struct tcp_conn *c;

    if (seg->flags & SP_TCP_RST)
        return;
    if (seg->flags & SP_TCP_ACK) {
        reset_sender(s, pkt, v);
        return;
    }
    if (!(seg->flags & SP_TCP_SYN))
        return;
    if (!make_room(s, &v->dst)) {
        s->stats.refused++;
        reset_sender(s, pkt, v);
        return;
    }
    c = sp_xcalloc(1, sizeof *c);
    c->handle = ++s->last_handle;
    c->local = v->dst;
    c->remote = (struct sp_endpoint){ .ip = v->src, .port = v->src_proto.id };
    tcp_conn_open(c, seg, sp_rng_u32(&s->cfg.rng), now);
    s->conns = sp_xrealloc(s->conns, s->n_conns + 1, sizeof *s->conns);
    s->conns[s->n_conns++] = c;
}

static void
forget(struct sp_tcp_server *s, const struct tcp_conn *c)
{
    for (size_t i = 0; i < s->n_conns; i++)
        if (s->conns[i] == c) {
            remove_conn(s, i);
            return;
        }
}

void
sp_tcp_server_handle_packet(struct sp_tcp_server *s,
                            const struct sp_pkt *pkt,
                            const struct sp_ip_view *v,
                            sp_time now)
{
    struct tcp_segment seg;
    struct tcp_conn *c;

    if (v->proto != SP_IPPROTO_TCP || !listens(s, &v->dst))
        return;
    if (tcp_segment_parse(pkt->buf + pkt->off, v, &seg) < 0) {
        s->stats.malformed++;
        return;
    }
    s->work = true;
    if (v->dst_proto.id != s->cfg.port) {
        reset_sender(s, pkt, v);
        return;
    }
    c = find_pair(s, v);
    if (c && (c->state == TCP_CLOSED || ((seg.flags & SP_TCP_SYN) && tcp_conn_reusable(c, &seg)))) {
        forget(s, c);
        c = NULL;
    }
    if (c == NULL) {
        handle_new(s, pkt, v, &seg, now);
        return;
    }
    if (!tcp_conn_handle(c, &seg, now))
        reset_sender(s, pkt, v);
    tcp_conn_arm(c, now);
}

/* ---- messages ------------------------------------------------------------------------------ */

/* Returns: length of the whole frame at the start of @in, 0 when it is not complete. */
static size_t
frame(const struct tcp_conn *c)
{
    size_t n = c->in.n >= 2 ? 2u + sp_get_be16(c->in.p) : SIZE_MAX;

    return c->in.n >= n ? n : 0;
}

static bool
malformed(const struct tcp_conn *c)
{
    return c->in.n >= 2 && sp_get_be16(c->in.p) < SP_TCP_MESSAGE_MIN;
}

/* Returns: true when a query of @c is to be given out. */
static bool
query_ready(struct sp_tcp_server *s, struct tcp_conn *c)
{
    bool open = c->state == TCP_ESTABLISHED || c->state == TCP_CLOSE_WAIT;

    if (!open || c->busy || c->out.n)
        return false;
    if (malformed(c)) {
        tcp_conn_abort(c);
        s->work = true;
        return false;
    }
    if (frame(c))
        return true;
    if (tcp_conn_peer_closed(c)) {
        tcp_conn_close(c);
        s->work = true;
    }
    return false;
}

bool
sp_tcp_server_poll_query(struct sp_tcp_server *s, struct sp_tcp_query *ret)
{
    for (size_t k = 0; k < s->n_conns; k++) {
        size_t i = (s->next_query + k) % s->n_conns;
        struct tcp_conn *c = s->conns[i];

        if (!query_ready(s, c))
            continue;
        c->busy = true;
        s->next_query = i + 1;
        *ret = (struct sp_tcp_query){
            .connection = c->handle,
            .local = c->local,
            .remote = c->remote,
            .message = sp_span(c->in.p + 2, frame(c) - 2),
        };
        return true;
    }
    return false;
}

int
sp_tcp_server_answer(struct sp_tcp_server *s,
                     uint64_t connection,
                     struct sp_span message,
                     sp_time now)
{
    struct tcp_conn *c = find_handle(s, connection);
    uint8_t prefix[2];

    if (message.n > SP_TCP_MESSAGE_MAX)
        return SP_E_INVAL;
    if (c == NULL)
        return SP_E_NOTFOUND;
    if (!c->busy)
        return SP_E_STATE;
    sp_put_be16(prefix, (uint16_t)message.n);
    tcp_buffer_append(&c->out, sp_span(prefix, sizeof prefix));
    tcp_buffer_append(&c->out, message);
    c->busy = false;
    tcp_buffer_consume(&c->in, frame(c));
    if (c->told_window < 2u * c->mss)
        c->ack_due = true; /* the window is open again */
    tcp_conn_progress(c, now);
    tcp_conn_arm(c, now);
    s->work = true;
    return 0;
}

void
sp_tcp_server_abort(struct sp_tcp_server *s, uint64_t connection)
{
    struct tcp_conn *c = find_handle(s, connection);

    if (c == NULL)
        return;
    tcp_conn_abort(c);
    s->work = true;
}

void
sp_tcp_server_abort_busy(struct sp_tcp_server *s)
{
    for (size_t i = 0; i < s->n_conns; i++)
        if (s->conns[i]->busy)
            tcp_conn_abort(s->conns[i]);
    s->work = true;
}

/* ---- packets out --------------------------------------------------------------------------- */

static struct sp_pkt *
build(struct sp_tcp_server *s, const struct tcp_conn *c, const struct sp_tcp_segment *seg)
{
    struct sp_endpoint src = { .ip = c->local, .port = s->cfg.port };
    struct sp_pkt *pkt = sp_pkt_alloc(s->cfg.pool);
    size_t len;

    if (pkt == NULL) {
        s->stats.no_memory++;
        return NULL;
    }
    if (sp_build_tcp(sp_pkt_data(pkt), SP_MTU, &src, &c->remote, seg, &len) < 0) {
        sp_pkt_free(pkt);
        return NULL;
    }
    pkt->len = (uint16_t)len;
    return pkt;
}

struct sp_pkt *
sp_tcp_server_poll_packet(struct sp_tcp_server *s, sp_time now)
{
    struct sp_pkt *pkt = sp_pkt_queue_pop(&s->resets);

    if (pkt || !s->work)
        return pkt;
    for (size_t i = 0; i < s->n_conns;) {
        struct tcp_conn *c = s->conns[i];
        struct sp_tcp_segment seg;
        uint8_t options[4];

        if (tcp_conn_output(c, &seg, options)) {
            pkt = build(s, c, &seg);
            if (pkt)
                tcp_conn_sent(c, &seg, now);
            return pkt; /* NULL: the pool is empty, the rest waits for the next time */
        }
        if (c->state == TCP_CLOSED)
            remove_conn(s, i);
        else
            i++;
    }
    s->work = false;
    return NULL;
}

/* ---- time ---------------------------------------------------------------------------------- */

void
sp_tcp_server_handle_timeout(struct sp_tcp_server *s, sp_time now)
{
    for (size_t i = 0; i < s->n_conns; i++) {
        struct tcp_conn *c = s->conns[i];

        if (sp_time_min(c->deadline_resend, c->deadline_idle) > now)
            continue;
        s->stats.resends += tcp_conn_handle_timeout(c, now);
        s->work = true;
    }
}

sp_time
sp_tcp_server_next_timeout(const struct sp_tcp_server *s)
{
    sp_time next = SP_TIME_NEVER;

    for (size_t i = 0; i < s->n_conns; i++) {
        const struct tcp_conn *c = s->conns[i];

        if (c->state != TCP_CLOSED)
            next = sp_time_min(next, sp_time_min(c->deadline_resend, c->deadline_idle));
    }
    return next;
}
