/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>

#include "engine/dns/stub.h"
#include "tests/support/rng.h"

struct fixture {
    struct test_rng state;
    struct sp_rng rng;
    struct sp_dns_stub stub;
    struct sp_dns_client client;
    struct sp_dns_verdict v;
    uint8_t query[512];
    size_t query_n;
    uint8_t buf[SP_DNS_CACHE_MESSAGE_MAX];
};

static void
set_up(struct fixture *f, gconstpointer data SP_UNUSED)
{
    struct sp_ip system[] = { sp_ip4(192, 0, 2, 53) };

    f->rng = test_rng_init(&f->state, 32);
    sp_dns_stub_init(&f->stub, &f->rng);
    g_assert_true(sp_dns_stub_set_system(&f->stub, system, 1));
    f->client = (struct sp_dns_client){
        .transport = SP_DNS_UDP,
        .from = { sp_ip4(100, 64, 0, 1), 40000 },
        .sentinel = f->stub.servers.map[0].sentinel,
    };
}

static void
tear_down(struct fixture *f, gconstpointer data SP_UNUSED)
{
    sp_dns_stub_done(&f->stub);
}

static void
add(struct fixture *f, uint8_t n, const char *pattern, enum sp_ip_stack stack)
{
    struct sp_resource r = { .type = SP_RESOURCE_DNS, .id = { .b = { [15] = n } } };

    r.address = g_strdup(pattern);
    r.ip_stack = stack;
    g_assert_cmpint(sp_dns_stub_add_resource(&f->stub, &r), ==, 0);
    g_free(r.address);
}

static struct sp_dns_query
make(const char *name, uint16_t type)
{
    struct sp_dns_query q = { .id = 0xbeef, .rd = true, .qtype = type, .qclass = SP_DNS_CLASS_IN };

    g_assert_cmpint(sp_dns_name_parse(name, &q.name), ==, 0);
    return q;
}

static void
send_query(struct fixture *f, const struct sp_dns_query *q, sp_time now)
{
    int n = sp_dns_query_build(q, f->query, sizeof f->query);

    g_assert_cmpint(n, >, 0);
    f->query_n = (size_t)n;
    sp_dns_stub_handle_query(&f->stub,
                             &f->client,
                             sp_span(f->query, f->query_n),
                             now,
                             f->buf,
                             sizeof f->buf,
                             &f->v);
}

static void
ask(struct fixture *f, const char *name, uint16_t type, sp_time now)
{
    struct sp_dns_query q = make(name, type);

    send_query(f, &q, now);
}

static struct sp_dns_response
response(struct fixture *f)
{
    struct sp_dns_response resp;

    g_assert_cmpint(f->v.outcome, ==, SP_DNS_REPLY);
    g_assert_cmpint(sp_dns_response_parse(sp_span(f->buf, f->v.reply_len), &resp), ==, 0);
    g_assert_true(sp_dns_response_answers(&resp, &f->v.query));
    return resp;
}

static void
pipeline_table(struct fixture *f, gconstpointer data SP_UNUSED)
{
    /* spec tunnel A.4, the table of results */
    static const struct {
        int row;
        const char *name;
        uint16_t type;
        enum sp_dns_outcome outcome;
        uint8_t rcode;
        uint16_t answers;
        bool local;
    } rows[] = {
        { 1, "Use-Application-DNS.net", SP_DNS_TYPE_A, SP_DNS_REPLY, 3, 0, false },
        { 2, "use-application-dns.net", SP_DNS_TYPE_MX, SP_DNS_REPLY, 3, 0, false },
        { 3, "a.corp", SP_DNS_TYPE_A, SP_DNS_REPLY, 0, 4, true },
        { 4, "a.corp", SP_DNS_TYPE_AAAA, SP_DNS_REPLY, 0, 4, true },
        { 5, "a.four", SP_DNS_TYPE_A, SP_DNS_REPLY, 0, 4, true },
        { 6, "a.four", SP_DNS_TYPE_AAAA, SP_DNS_REPLY, 0, 0, true },
        { 7, "a.corp", SP_DNS_TYPE_HTTPS, SP_DNS_REPLY, 0, 0, true },
        { 8, "a.corp", SP_DNS_TYPE_SRV, SP_DNS_FORWARD, 0, 0, false },
        { 9, "a.corp", SP_DNS_TYPE_TXT, SP_DNS_FORWARD, 0, 0, false },
        { 10, "a.corp", SP_DNS_TYPE_MX, SP_DNS_RECURSE, 0, 0, false },
        { 11, "a.corp", SP_DNS_TYPE_ANY, SP_DNS_RECURSE, 0, 0, false },
        { 12, "a.corp", SP_DNS_TYPE_SVCB, SP_DNS_RECURSE, 0, 0, false },
        { 13, "a.other", SP_DNS_TYPE_A, SP_DNS_RECURSE, 0, 0, false },
        { 14, "a.other", SP_DNS_TYPE_HTTPS, SP_DNS_RECURSE, 0, 0, false },
        { 15, "1.0.96.100.in-addr.arpa", SP_DNS_TYPE_PTR, SP_DNS_REPLY, 0, 1, false },
        { 16, "1.0.96.100.in-addr.arpa", SP_DNS_TYPE_A, SP_DNS_RECURSE, 0, 0, false },
        { 17, "99.0.96.100.in-addr.arpa", SP_DNS_TYPE_PTR, SP_DNS_RECURSE, 0, 0, false },
        { 18, "corp", SP_DNS_TYPE_A, SP_DNS_REPLY, 0, 4, true },
        { 19, ".", SP_DNS_TYPE_NS, SP_DNS_RECURSE, 0, 0, false },
    };

    add(f, 1, "*.corp", SP_IP_STACK_DUAL);
    add(f, 2, "*.four", SP_IP_STACK_IPV4_ONLY);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_test_message("row %d", rows[i].row);
        ask(f, rows[i].name, rows[i].type, 0);
        g_assert_cmpint(f->v.outcome, ==, rows[i].outcome);
        g_assert_cmpint(f->v.local, ==, rows[i].local);
        if (f->v.outcome == SP_DNS_REPLY) {
            struct sp_dns_response resp = response(f);

            g_assert_cmpuint(resp.rcode, ==, rows[i].rcode);
            g_assert_cmpuint(resp.n_answer, ==, rows[i].answers);
        }
        if (f->v.outcome == SP_DNS_RECURSE)
            g_assert_true(f->v.upstream == &f->stub.servers.map[0].upstream);
    }
}

static void
answer_content(struct fixture *f, gconstpointer data SP_UNUSED)
{
    struct sp_dns_response resp;
    struct sp_dns_walk walk;
    struct sp_dns_rr rr;
    struct sp_dns_name target;
    char text[SP_DNS_TEXT_MAX];

    add(f, 1, "*.corp", SP_IP_STACK_DUAL);
    ask(f, "A.Corp", SP_DNS_TYPE_A, 0);
    g_assert_cmpuint(f->v.first_new, ==, 0);
    g_assert_cmpuint(f->v.record->n_assoc, ==, 1);
    resp = response(f);
    g_assert_cmpmem(resp.name.wire, 8, "\1A\4Corp", 8);
    walk = sp_dns_walk(sp_span(f->buf, f->v.reply_len), &resp);
    for (size_t i = 0; i < 4; i++) {
        struct sp_ip ip;

        g_assert_cmpint(sp_dns_walk_next(&walk, &rr), ==, 1);
        g_assert_cmpmem(rr.name.wire, 8, "\1A\4Corp", 8);
        g_assert_cmpuint(rr.ttl, ==, 1);
        g_assert_cmpint(sp_dns_rr_ip(&rr, &ip), ==, 0);
        g_assert_true(sp_ip_equal(&ip, &f->v.record->v4[i]));
    }
    ask(f, "a.corp", SP_DNS_TYPE_AAAA, 0);
    g_assert_cmpuint(f->v.first_new, ==, f->v.record->n_assoc);

    ask(f, "1.0.96.100.in-addr.arpa", SP_DNS_TYPE_PTR, 0);
    resp = response(f);
    walk = sp_dns_walk(sp_span(f->buf, f->v.reply_len), &resp);
    g_assert_cmpint(sp_dns_walk_next(&walk, &rr), ==, 1);
    g_assert_cmpint(sp_dns_rr_target(sp_span(f->buf, f->v.reply_len), &rr, &target), ==, 0);
    g_assert_cmpstr(sp_dns_name_format(&target, text), ==, "a.corp");
}

static void
forwards_to_best(struct fixture *f, gconstpointer data SP_UNUSED)
{
    add(f, 9, "*.corp", SP_IP_STACK_DUAL);
    add(f, 3, "a.corp", SP_IP_STACK_DUAL);
    ask(f, "a.corp", SP_DNS_TYPE_TXT, 0);
    g_assert_cmpint(f->v.outcome, ==, SP_DNS_FORWARD);
    g_assert_cmpuint(f->v.resource.b[15], ==, 3);
}

static void
drops(struct fixture *f, gconstpointer data SP_UNUSED)
{
    struct sp_dns_query q = make("a.corp", SP_DNS_TYPE_A);

    ask(f, "a.corp", SP_DNS_TYPE_A, 0);
    g_assert_cmpint(f->v.outcome, ==, SP_DNS_RECURSE);
    f->client.sentinel = sp_ip4(100, 100, 111, 200);
    send_query(f, &q, 0);
    g_assert_cmpint(f->v.outcome, ==, SP_DNS_DROP);
    f->client.sentinel = f->stub.servers.map[0].sentinel;
    f->query[2] |= 0x80;
    sp_dns_stub_handle_query(&f->stub,
                             &f->client,
                             sp_span(f->query, f->query_n),
                             0,
                             f->buf,
                             sizeof f->buf,
                             &f->v);
    g_assert_cmpint(f->v.outcome, ==, SP_DNS_DROP);
    add(f, 1, "*.corp", SP_IP_STACK_DUAL);
    q.qclass = 3; /* CHAOS */
    send_query(f, &q, 0);
    g_assert_cmpint(f->v.outcome, ==, SP_DNS_RECURSE);
    q.qclass = SP_DNS_CLASS_IN;
    q.opcode = 5;
    send_query(f, &q, 0);
    g_assert_cmpint(f->v.outcome, ==, SP_DNS_RECURSE);
}

/* An upstream answer to @req: one A record with @ttl. */
static size_t
upstream_answer(const struct sp_dns_request *req, uint32_t ttl, uint8_t *buf, size_t cap)
{
    struct sp_ip ip = sp_ip4(203, 0, 113, 9);
    struct sp_dns_reply reply;
    struct sp_dns_query q;
    int n;

    g_assert_cmpint(sp_dns_query_parse(req->msg, &q), ==, 0);
    reply = sp_dns_reply(&q, SP_DNS_RCODE_NOERROR, buf, cap);
    sp_dns_reply_ip(&reply, &q.name, ttl, &ip);
    n = sp_dns_reply_finish(&reply);
    g_assert_cmpint(n, >, 0);
    return (size_t)n;
}

static uint64_t
recurse(struct fixture *f, struct sp_dns_request *req, sp_time now)
{
    g_assert_cmpint(f->v.outcome, ==, SP_DNS_RECURSE);
    g_assert_cmpint(
        sp_dns_stub_recurse(&f->stub, &f->client, &f->v, sp_span(f->query, f->query_n), now),
        ==,
        0);
    g_assert_true(sp_dns_pending_poll_request(&f->stub.pending, req));
    return req->handle;
}

static int
finish(struct fixture *f,
       uint64_t handle,
       enum sp_dns_result result,
       struct sp_span msg,
       sp_time now)
{
    struct sp_dns_client to = { 0 };
    int n = sp_dns_stub_finish(&f->stub, handle, result, msg, now, f->buf, sizeof f->buf, &to);

    if (n >= 0)
        g_assert_cmpuint(to.from.port, ==, f->client.from.port);
    return n;
}

static void
recursion_fills_the_cache(struct fixture *f, gconstpointer data SP_UNUSED)
{
    struct sp_dns_request req;
    struct sp_dns_response resp;
    uint8_t answer[256];
    size_t n;
    uint64_t handle;
    uint32_t ttl;

    ask(f, "Pub.example", SP_DNS_TYPE_A, 0);
    handle = recurse(f, &req, 0);
    g_assert_cmpint(req.upstream->kind, ==, SP_DNS_DO53);
    g_assert_cmpmem(req.msg.p, (int)req.msg.n, f->query, (int)f->query_n);
    n = upstream_answer(&req, 60, answer, sizeof answer);
    g_assert_cmpint(finish(f, handle, SP_DNS_RESULT_OK, sp_span(answer, n), SP_SEC(1)), ==, (int)n);
    g_assert_cmpmem(f->buf, (int)n, answer, (int)n);
    g_assert_cmpint(finish(f, handle, SP_DNS_RESULT_OK, sp_span(answer, n), SP_SEC(1)),
                    ==,
                    SP_E_NOTFOUND);

    ask(f, "puB.EXAMPLE", SP_DNS_TYPE_A, SP_SEC(11) + SP_MS(900));
    resp = response(f);
    g_assert_false(f->v.local);
    g_assert_cmpmem(resp.name.wire, 4, "\3puB", 4);
    g_assert_cmpint(sp_dns_min_ttl(sp_span(f->buf, f->v.reply_len), &resp, SP_DNS_TYPE_A, &ttl),
                    ==,
                    0);
    g_assert_cmpuint(ttl, ==, 50);
    add(f, 1, "*.corp", SP_IP_STACK_DUAL); /* flushes */
    ask(f, "pub.example", SP_DNS_TYPE_A, SP_SEC(12));
    g_assert_cmpint(f->v.outcome, ==, SP_DNS_RECURSE);
}

static void
late_answers_do_not_hide_resources(struct fixture *f, gconstpointer data SP_UNUSED)
{
    struct sp_dns_request req;
    uint8_t answer[256];
    uint64_t handle;
    size_t n;

    ask(f, "a.corp", SP_DNS_TYPE_A, 0);
    handle = recurse(f, &req, 0);
    n = upstream_answer(&req, 60, answer, sizeof answer);
    add(f, 1, "*.corp", SP_IP_STACK_DUAL);
    g_assert_cmpint(finish(f, handle, SP_DNS_RESULT_OK, sp_span(answer, n), 1), >, 0);
    ask(f, "a.corp", SP_DNS_TYPE_A, 2);
    g_assert_true(f->v.local);
    /* a query from after the flush is kept again */
    ask(f, "pub.example", SP_DNS_TYPE_A, 3);
    handle = recurse(f, &req, 3);
    n = upstream_answer(&req, 60, answer, sizeof answer);
    g_assert_cmpint(finish(f, handle, SP_DNS_RESULT_OK, sp_span(answer, n), 4), >, 0);
    g_assert_cmpuint(sp_dns_cache_len(&f->stub.cache), ==, 1);
}

static void
failures(struct fixture *f, gconstpointer data SP_UNUSED)
{
    /* @reply: rcode expected, -1 for silence */
    static const struct {
        int row;
        enum sp_dns_transport transport;
        enum sp_dns_result result;
        int spoil; /* byte of a good answer to change, -1 none */
        int reply;
    } rows[] = {
        { 1, SP_DNS_UDP, SP_DNS_RESULT_OK, -1, 0 },
        { 2, SP_DNS_UDP, SP_DNS_RESULT_TIMEOUT, -1, -1 },
        { 3, SP_DNS_TCP, SP_DNS_RESULT_TIMEOUT, -1, 2 },
        { 4, SP_DNS_UDP, SP_DNS_RESULT_FAILED, -1, 2 },
        { 5, SP_DNS_TCP, SP_DNS_RESULT_FAILED, -1, 2 },
        { 6, SP_DNS_UDP, SP_DNS_RESULT_OK, 0, 2 },  /* id */
        { 7, SP_DNS_UDP, SP_DNS_RESULT_OK, 13, 2 }, /* name */
        { 8, SP_DNS_UDP, SP_DNS_RESULT_OK, 2, 2 },  /* QR and more */
        { 9, SP_DNS_UDP, SP_DNS_RESULT_OK, 7, 2 },  /* answer count */
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct sp_dns_request req;
        uint8_t answer[256];
        uint64_t handle;
        size_t n;
        int got;

        g_test_message("row %d", rows[i].row);
        f->client.transport = rows[i].transport;
        ask(f, "pub.example", SP_DNS_TYPE_A, 0);
        handle = recurse(f, &req, 0);
        n = upstream_answer(&req, 1, answer, sizeof answer);
        if (rows[i].spoil >= 0)
            answer[rows[i].spoil] ^= 0x82;
        got = finish(f, handle, rows[i].result, sp_span(answer, n), 0);
        g_assert_cmpint(got > 0 ? f->buf[3] & 15 : -1, ==, rows[i].reply);
        if (got > 0)
            g_assert_cmphex(sp_get_be16(f->buf), ==, 0xbeef);
    }
}

static void
doh_hides_the_id(struct fixture *f, gconstpointer data SP_UNUSED)
{
    struct sp_interface config = { 0 };
    struct sp_dns_request req;
    uint8_t answer[256];
    uint64_t handle;
    size_t n;

    sp_strv_add(&config.upstream_doh, "https://dns.example/q");
    g_assert_true(sp_dns_stub_set_portal(&f->stub, &config));
    sp_strv_done(&config.upstream_doh);
    f->client.sentinel = f->stub.servers.map[0].sentinel;
    ask(f, "pub.example", SP_DNS_TYPE_A, 0);
    handle = recurse(f, &req, 0);
    g_assert_cmpstr(req.upstream->url, ==, "https://dns.example/q");
    g_assert_cmphex(sp_get_be16(req.msg.p), ==, 0);
    n = upstream_answer(&req, 60, answer, sizeof answer);
    g_assert_cmpint(finish(f, handle, SP_DNS_RESULT_OK, sp_span(answer, n), 0), ==, (int)n);
    g_assert_cmphex(sp_get_be16(f->buf), ==, 0xbeef);
}

static void
long_answers_are_cut_for_udp(struct fixture *f, gconstpointer data SP_UNUSED)
{
    for (int tcp = 0; tcp < 2; tcp++) {
        struct sp_dns_request req;
        struct sp_dns_response resp;
        struct sp_dns_reply reply;
        struct sp_dns_query q;
        struct sp_ip ip = sp_ip4(203, 0, 113, 9);
        uint8_t answer[4000];
        uint64_t handle;
        int n;

        f->client.transport = tcp ? SP_DNS_TCP : SP_DNS_UDP;
        ask(f, "pub.example", SP_DNS_TYPE_A, 0);
        handle = recurse(f, &req, 0);
        g_assert_cmpint(req.transport, ==, f->client.transport);
        g_assert_cmpint(sp_dns_query_parse(req.msg, &q), ==, 0);
        reply = sp_dns_reply(&q, SP_DNS_RCODE_NOERROR, answer, sizeof answer);
        for (int i = 0; i < 60; i++)
            sp_dns_reply_ip(&reply, &q.name, 60, &ip);
        n = sp_dns_reply_finish(&reply);
        g_assert_cmpint(n, >, SP_DNS_UDP_MAX);
        n = finish(f, handle, SP_DNS_RESULT_OK, sp_span(answer, (size_t)n), 0);
        g_assert_cmpint(sp_dns_response_parse(sp_span(f->buf, (size_t)n), &resp), ==, 0);
        g_assert_cmpint(resp.truncated, ==, !tcp);
        g_assert_cmpuint(resp.n_answer, ==, tcp ? 60 : 0);
        /* and from the cache */
        ask(f, "pub.example", SP_DNS_TYPE_A, 1);
        resp = response(f);
        g_assert_cmpint(resp.truncated, ==, !tcp);
        sp_dns_cache_clear(&f->stub.cache);
    }
}

static void
pending_is_bounded(struct fixture *f, gconstpointer data SP_UNUSED)
{
    struct sp_dns_request req;
    struct sp_span none = sp_span(NULL, 0);
    unsigned expired = 0;
    uint64_t handle;

    for (unsigned i = 0; i < SP_DNS_PENDING_MAX; i++) {
        ask(f, "pub.example", SP_DNS_TYPE_A, i);
        recurse(f, &req, i);
        g_assert_cmpuint(req.handle, ==, i + 1);
    }
    g_assert_cmpint(
        sp_dns_stub_recurse(&f->stub, &f->client, &f->v, sp_span(f->query, f->query_n), 0),
        ==,
        SP_E_LIMIT);
    g_assert_false(sp_dns_pending_poll_request(&f->stub.pending, &req));
    g_assert_cmpuint(sp_dns_pending_next_timeout(&f->stub.pending), ==, SP_SEC(5));
    g_assert_cmpuint(sp_dns_pending_expired(&f->stub.pending, SP_SEC(5) - 1), ==, 0);
    while ((handle = sp_dns_pending_expired(&f->stub.pending, SP_SEC(5) + 9))) {
        g_assert_cmpint(finish(f, handle, SP_DNS_RESULT_TIMEOUT, none, 0), ==, 0);
        expired++;
    }
    g_assert_cmpuint(expired, ==, 10);
    g_assert_cmpuint(sp_dns_pending_len(&f->stub.pending), ==, SP_DNS_PENDING_MAX - 10);
    sp_dns_pending_clear(&f->stub.pending);
    g_assert_cmpuint(sp_dns_pending_next_timeout(&f->stub.pending), ==, SP_TIME_NEVER);
    g_assert_cmpint(finish(f, 500, SP_DNS_RESULT_FAILED, none, 0), ==, SP_E_NOTFOUND);
}

static void
finished_before_sent(struct fixture *f, gconstpointer data SP_UNUSED)
{
    struct sp_dns_request req;

    for (int i = 0; i < 3; i++) {
        ask(f, "pub.example", SP_DNS_TYPE_A, 0);
        g_assert_cmpint(
            sp_dns_stub_recurse(&f->stub, &f->client, &f->v, sp_span(f->query, f->query_n), 0),
            ==,
            0);
    }
    g_assert_cmpint(finish(f, 1, SP_DNS_RESULT_FAILED, sp_span(NULL, 0), 0), >, 0);
    g_assert_true(sp_dns_pending_poll_request(&f->stub.pending, &req));
    g_assert_cmpuint(req.handle, ==, 2);
    g_assert_cmpint(finish(f, 3, SP_DNS_RESULT_FAILED, sp_span(NULL, 0), 0), >, 0);
    g_assert_false(sp_dns_pending_poll_request(&f->stub.pending, &req));
}

#define ADD(path, fn) g_test_add("/dns/stub/" path, struct fixture, NULL, set_up, fn, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("pipeline", pipeline_table);
    ADD("answer-content", answer_content);
    ADD("forwards-to-best", forwards_to_best);
    ADD("drops", drops);
    ADD("recursion-fills-cache", recursion_fills_the_cache);
    ADD("late-answers", late_answers_do_not_hide_resources);
    ADD("failures", failures);
    ADD("doh-id", doh_hides_the_id);
    ADD("long-answers", long_answers_are_cut_for_udp);
    ADD("pending-bounded", pending_is_bounded);
    ADD("finished-before-sent", finished_before_sent);
    return g_test_run();
}
