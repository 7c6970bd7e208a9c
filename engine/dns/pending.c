/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/dns/pending.h"

#include <stdlib.h>

struct sp_dns_pending_entry {
    struct sp_dns_pending_entry *prev;
    struct sp_dns_pending_entry *next;
    uint64_t handle;
    sp_time deadline;
    struct sp_dns_client client;
    struct sp_dns_query query;
    struct sp_dns_upstream upstream;
    size_t n;
    uint8_t msg[];
};

void
sp_dns_pending_init(struct sp_dns_pending *pending, const struct sp_rng *rng)
{
    *pending = (struct sp_dns_pending){ 0 };
    sp_map_init(&pending->by_handle, sizeof(uint64_t), rng);
}

static void
drop(struct sp_dns_pending *pending, struct sp_dns_pending_entry *e)
{
    if (pending->unsent == e)
        pending->unsent = e->next;
    *(e->prev ? &e->prev->next : &pending->first) = e->next;
    *(e->next ? &e->next->prev : &pending->last) = e->prev;
    sp_map_del(&pending->by_handle, &e->handle);
    sp_dns_upstream_done(&e->upstream);
    free(e);
}

void
sp_dns_pending_clear(struct sp_dns_pending *pending)
{
    while (pending->first)
        drop(pending, pending->first);
}

void
sp_dns_pending_done(struct sp_dns_pending *pending)
{
    sp_dns_pending_clear(pending);
    sp_map_done(&pending->by_handle);
}

size_t
sp_dns_pending_len(const struct sp_dns_pending *pending)
{
    return pending->by_handle.len;
}

int
sp_dns_pending_add(struct sp_dns_pending *pending,
                   const struct sp_dns_client *client,
                   const struct sp_dns_query *query,
                   struct sp_span msg,
                   const struct sp_dns_upstream *upstream,
                   sp_time now)
{
    struct sp_dns_pending_entry *e;

    sp_assert(msg.n >= SP_DNS_HEADER && msg.n <= SP_DNS_MESSAGE_MAX);
    if (pending->by_handle.len >= SP_DNS_PENDING_MAX) {
        pending->refused++;
        return SP_E_LIMIT;
    }
    e = sp_xcalloc(1, sizeof *e + msg.n);
    e->handle = ++pending->last_handle;
    e->deadline = sp_time_add(now, SP_DNS_PENDING_TIMEOUT);
    e->client = *client;
    e->query = *query;
    e->upstream = sp_dns_upstream_copy(upstream);
    e->n = msg.n;
    memcpy(e->msg, msg.p, msg.n);
    if (upstream->kind == SP_DNS_DOH)
        sp_dns_set_id(e->msg, 0);
    e->prev = pending->last;
    *(e->prev ? &e->prev->next : &pending->first) = e;
    pending->last = e;
    if (!pending->unsent)
        pending->unsent = e;
    sp_map_put(&pending->by_handle, &e->handle, e);
    return 0;
}

bool
sp_dns_pending_poll_request(struct sp_dns_pending *pending, struct sp_dns_request *ret)
{
    const struct sp_dns_pending_entry *e = pending->unsent;

    if (!e)
        return false;
    *ret = (struct sp_dns_request){
        .handle = e->handle,
        .transport = e->client.transport,
        .upstream = &e->upstream,
        .msg = sp_span(e->msg, e->n),
    };
    pending->unsent = e->next;
    return true;
}

/* The upstream's answer with id and question as the application wrote them. */
static int
copy_answer(const struct sp_dns_client *client,
            const struct sp_dns_query *query,
            struct sp_span msg,
            const struct sp_dns_response *resp,
            uint8_t *buf,
            size_t cap)
{
    bool cut = client->transport == SP_DNS_UDP && msg.n > SP_DNS_UDP_MAX;
    size_t n = cut ? resp->body : msg.n;

    if (n > cap)
        return SP_E_NOBUF;
    memcpy(buf, msg.p, n);
    sp_dns_set_id(buf, query->id);
    if (resp->question)
        memcpy(buf + SP_DNS_HEADER, query->name.wire, query->name.len);
    if (cut)
        sp_dns_mark_truncated(buf);
    return (int)n;
}

int
sp_dns_relay(const struct sp_dns_client *client,
             const struct sp_dns_query *query,
             bool any_id,
             struct sp_span msg,
             uint8_t *buf,
             size_t cap)
{
    struct sp_dns_response resp;
    bool parsed = msg.n <= SP_DNS_MESSAGE_MAX && sp_dns_response_parse(msg, &resp) == 0;

    if (parsed && any_id)
        resp.id = query->id;
    if (!parsed || !sp_dns_response_answers(&resp, query))
        return sp_dns_reply_empty(query, SP_DNS_RCODE_SERVFAIL, buf, cap);
    return copy_answer(client, query, msg, &resp, buf, cap);
}

int
sp_dns_pending_finish(struct sp_dns_pending *pending,
                      uint64_t handle,
                      enum sp_dns_result result,
                      struct sp_span msg,
                      uint8_t *buf,
                      size_t cap,
                      struct sp_dns_client *ret_client)
{
    struct sp_dns_pending_entry *e = sp_map_get(&pending->by_handle, &handle);
    int n;

    if (!e)
        return SP_E_NOTFOUND;
    if (result == SP_DNS_RESULT_TIMEOUT && e->client.transport == SP_DNS_UDP)
        n = 0; /* the asker has given up before us */
    else if (result == SP_DNS_RESULT_OK)
        n = sp_dns_relay(&e->client, &e->query, e->upstream.kind == SP_DNS_DOH, msg, buf, cap);
    else
        n = sp_dns_reply_empty(&e->query, SP_DNS_RCODE_SERVFAIL, buf, cap);
    *ret_client = e->client;
    drop(pending, e);
    return n;
}

sp_time
sp_dns_pending_next_timeout(const struct sp_dns_pending *pending)
{
    return pending->first ? pending->first->deadline : SP_TIME_NEVER;
}

uint64_t
sp_dns_pending_expired(const struct sp_dns_pending *pending, sp_time now)
{
    if (pending->first && pending->first->deadline <= now)
        return pending->first->handle;
    return SP_DNS_HANDLE_NONE;
}
