/* SPDX-License-Identifier: Apache-2.0 */
/* The input as query, as upstream answer, and as cached answer. */
#include <stdlib.h>
#include <string.h>

#include "engine/dns/stub.h"
#include "tests/fuzz/fuzz.h"

static void
fill(void *ctx, void *buf, size_t n)
{
    (void)ctx;
    memset(buf, 7, n);
}

static const struct sp_rng rng = { .fill = fill };

static void
check_reply(const uint8_t *msg, size_t n, const struct sp_dns_query *q)
{
    struct sp_dns_response resp;

    sp_assert(sp_dns_response_parse(sp_span(msg, n), &resp) == 0);
    sp_assert(sp_dns_response_answers(&resp, q));
}

static void
as_query(struct sp_dns_stub *stub,
         const struct sp_dns_client *client,
         const uint8_t *data,
         size_t n)
{
    uint8_t buf[SP_DNS_CACHE_MESSAGE_MAX], answer[SP_DNS_EMPTY_MAX];
    struct sp_dns_client to;
    struct sp_dns_verdict v;
    struct sp_dns_request req;
    int len;

    sp_dns_stub_handle_query(stub, client, sp_span(data, n), 0, buf, sizeof buf, &v);
    if (v.outcome == SP_DNS_REPLY)
        check_reply(buf, v.reply_len, &v.query);
    if (v.outcome != SP_DNS_RECURSE)
        return;
    sp_assert(sp_dns_stub_recurse(stub, client, &v, sp_span(data, n), 0) == 0);
    sp_assert(sp_dns_pending_poll_request(&stub->pending, &req));
    len = sp_dns_reply_empty(&v.query, SP_DNS_RCODE_NOERROR, answer, sizeof answer);
    sp_assert(len > 0);
    len = sp_dns_stub_finish(stub,
                             req.handle,
                             SP_DNS_RESULT_OK,
                             sp_span(answer, (size_t)len),
                             0,
                             buf,
                             sizeof buf,
                             &to);
    sp_assert(len > 0);
    check_reply(buf, (size_t)len, &v.query);
}

/* The query that @data would be an answer to, if it has a question. */
static void
as_answer(struct sp_dns_stub *stub,
          const struct sp_dns_client *client,
          const uint8_t *data,
          size_t n)
{
    static uint8_t buf[SP_DNS_MESSAGE_MAX];
    struct sp_dns_response resp;
    struct sp_dns_query q;
    struct sp_dns_client to;
    int len;

    if (sp_dns_response_parse(sp_span(data, n), &resp) < 0 || !resp.question)
        return;
    q = (struct sp_dns_query){
        .id = resp.id,
        .qtype = resp.qtype,
        .qclass = resp.qclass,
        .name = resp.name,
    };
    len = sp_dns_query_build(&q, buf, sizeof buf);
    sp_assert(len > 0);
    sp_assert(sp_dns_pending_add(&stub->pending,
                                 client,
                                 &q,
                                 sp_span(buf, (size_t)len),
                                 &stub->servers.map[0].upstream,
                                 0)
              == 0);
    len = sp_dns_stub_finish(stub,
                             stub->pending.last_handle,
                             SP_DNS_RESULT_OK,
                             sp_span(data, n),
                             0,
                             buf,
                             sizeof buf,
                             &to);
    sp_assert(len > 0);
    check_reply(buf, (size_t)len, &q);
    if (sp_dns_cache_len(&stub->cache) == 0)
        return;
    len = sp_dns_cache_get(&stub->cache, &q, SP_SEC(3), buf, sizeof buf);
    sp_assert(len > 0);
    check_reply(buf, (size_t)len, &q);
}

static void
in_place(const uint8_t *data, size_t n)
{
    uint8_t *copy = sp_xcalloc(n + 1, 1);

    if (n > 0)
        memcpy(copy, data, n);
    (void)!sp_dns_age(copy, n, 9);
    if (n >= SP_DNS_HEADER)
        sp_assert(sp_dns_truncate(copy, n) <= n);
    free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct sp_ip system = sp_ip4(192, 0, 2, 53);
    struct sp_uuid id = { .b = { 1 } };
    struct sp_dns_client client = { .transport = n & 1 ? SP_DNS_TCP : SP_DNS_UDP };
    struct sp_dns_stub stub;

    if (n > SP_DNS_MESSAGE_MAX)
        return 0;
    sp_dns_stub_init(&stub, &rng);
    sp_assert(sp_dns_stub_set_system(&stub, &system, 1));
    client.sentinel = stub.servers.map[0].sentinel;
    sp_assert(sp_dns_records_add_resource(&stub.records, &id, "**.a*", SP_IP_STACK_DUAL) == 0);
    as_query(&stub, &client, data, n);
    sp_dns_cache_clear(&stub.cache);
    as_answer(&stub, &client, data, n);
    in_place(data, n);
    sp_dns_stub_done(&stub);
    return 0;
}
