/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/dns/stub.h"

/* Mozilla's canary: NXDOMAIN keeps browsers from going around the system resolver. */
static const struct sp_dns_name canary = {
    .len = 25,
    .wire = "\023use-application-dns\003net",
};

void
sp_dns_stub_init(struct sp_dns_stub *stub, const struct sp_rng *rng)
{
    *stub = (struct sp_dns_stub){ 0 };
    sp_dns_records_init(&stub->records, rng);
    sp_dns_cache_init(&stub->cache, rng);
    sp_dns_servers_init(&stub->servers);
    sp_dns_pending_init(&stub->pending, rng);
}

void
sp_dns_stub_done(struct sp_dns_stub *stub)
{
    sp_dns_records_done(&stub->records);
    sp_dns_cache_done(&stub->cache);
    sp_dns_servers_done(&stub->servers);
    sp_dns_pending_done(&stub->pending);
}

/* Answers still under way at a flush must stay out of the cache: it is asked first, so a late one
 * would hide a resource that was added meanwhile. Called before each new handle and each result. */
static void
note_flush(struct sp_dns_stub *stub)
{
    if (stub->flushes == stub->cache.flushes)
        return;
    stub->flushes = stub->cache.flushes;
    stub->cache_after = stub->pending.last_handle;
}

int
sp_dns_stub_add_resource(struct sp_dns_stub *stub, const struct sp_resource *resource)
{
    sp_assert(resource->type == SP_RESOURCE_DNS);
    sp_dns_cache_clear(&stub->cache);
    return sp_dns_records_add_resource(&stub->records,
                                       &resource->id,
                                       resource->address,
                                       resource->ip_stack);
}

void
sp_dns_stub_remove_resource(struct sp_dns_stub *stub, const struct sp_uuid *id)
{
    sp_dns_cache_clear(&stub->cache);
    sp_dns_records_remove_resource(&stub->records, id);
}

bool
sp_dns_stub_set_system(struct sp_dns_stub *stub, const struct sp_ip *ips, size_t n)
{
    bool changed = sp_dns_servers_set_system(&stub->servers, ips, n);

    if (changed)
        sp_dns_cache_clear(&stub->cache);
    return changed;
}

bool
sp_dns_stub_set_portal(struct sp_dns_stub *stub, const struct sp_interface *config)
{
    bool changed = sp_dns_servers_set_portal(&stub->servers, config);

    if (changed)
        sp_dns_cache_clear(&stub->cache);
    return changed;
}

struct job {
    struct sp_dns_stub *stub;
    enum sp_dns_transport transport;
    uint8_t *buf;
    size_t cap;
    struct sp_dns_verdict *v;
};

/* @n: length of the message in the buffer, or a negative error */
static void
reply(struct job *job, int n)
{
    if (n <= 0) {
        job->v->outcome = SP_DNS_DROP;
        return;
    }
    job->v->outcome = SP_DNS_REPLY;
    job->v->reply_len = (size_t)n;
    if (job->transport == SP_DNS_UDP)
        job->v->reply_len = sp_dns_truncate(job->buf, (size_t)n);
}

static void
reply_empty(struct job *job, enum sp_dns_rcode rcode)
{
    reply(job, sp_dns_reply_empty(&job->v->query, rcode, job->buf, job->cap));
}

static void
reply_addresses(struct job *job, const struct sp_dns_match *match)
{
    const struct sp_dns_query *q = &job->v->query;
    bool six = q->qtype == SP_DNS_TYPE_AAAA;
    const struct sp_dns_record *record;
    struct sp_dns_reply out;

    record = sp_dns_records_assign(&job->stub->records, &q->name, &job->v->first_new);
    job->v->record = record;
    out = sp_dns_reply(q, SP_DNS_RCODE_NOERROR, job->buf, job->cap);
    if (record && (six ? match->has_v6 : match->has_v4)) {
        const struct sp_ip *ips = six ? record->v6 : record->v4;

        for (size_t i = 0; i < (six ? record->n6 : record->n4); i++)
            sp_dns_reply_ip(&out, &q->name, SP_DNS_LOCAL_TTL, &ips[i]);
    }
    reply(job, sp_dns_reply_finish(&out));
}

/* A name of at least one resource. Returns: false for types that are not answered here. */
static bool
resource_query(struct job *job, const struct sp_dns_match *match)
{
    switch (job->v->query.qtype) {
    case SP_DNS_TYPE_A:
    case SP_DNS_TYPE_AAAA:
        reply_addresses(job, match);
        break;
    case SP_DNS_TYPE_HTTPS:
        reply_empty(job, SP_DNS_RCODE_NOERROR);
        break;
    case SP_DNS_TYPE_SRV:
    case SP_DNS_TYPE_TXT:
        job->v->outcome = SP_DNS_FORWARD;
        job->v->resource = match->best;
        return true;
    default:
        return false;
    }
    job->v->local = true;
    return true;
}

static bool
reverse_query(struct job *job)
{
    const struct sp_dns_query *q = &job->v->query;
    const struct sp_dns_record *record;
    struct sp_dns_reply out;
    struct sp_ip ip;

    if (q->qtype != SP_DNS_TYPE_PTR || sp_dns_name_to_ip(&q->name, &ip) < 0)
        return false;
    record = sp_dns_records_find_ip(&job->stub->records, &ip);
    if (!record)
        return false;
    out = sp_dns_reply(q, SP_DNS_RCODE_NOERROR, job->buf, job->cap);
    sp_dns_reply_ptr(&out, &q->name, SP_DNS_LOCAL_TTL, &record->name);
    reply(job, sp_dns_reply_finish(&out));
    return true;
}

/* Everything that needs no server. Returns: false to recurse. */
static bool
answer_here(struct job *job, sp_time now)
{
    const struct sp_dns_query *q = &job->v->query;
    struct sp_dns_match match;
    int n;

    if (q->opcode != 0 || q->qclass != SP_DNS_CLASS_IN)
        return false;
    if (sp_dns_name_equal(&q->name, &canary)) {
        reply_empty(job, SP_DNS_RCODE_NXDOMAIN);
        return true;
    }
    n = sp_dns_cache_get(&job->stub->cache, q, now, job->buf, job->cap);
    if (n != 0) {
        reply(job, n);
        return true;
    }
    match = sp_dns_records_match(&job->stub->records, &q->name);
    if (match.n > 0 && resource_query(job, &match))
        return true;
    return reverse_query(job);
}

void
sp_dns_stub_handle_query(struct sp_dns_stub *stub,
                         const struct sp_dns_client *client,
                         struct sp_span msg,
                         sp_time now,
                         uint8_t *buf,
                         size_t cap,
                         struct sp_dns_verdict *ret)
{
    struct job job = { stub, client->transport, buf, cap, ret };

    *ret = (struct sp_dns_verdict){ .outcome = SP_DNS_DROP };
    ret->upstream = sp_dns_servers_find(&stub->servers, &client->sentinel);
    if (!ret->upstream || msg.n > SP_DNS_MESSAGE_MAX || sp_dns_query_parse(msg, &ret->query) < 0)
        return;
    if (!answer_here(&job, now))
        ret->outcome = SP_DNS_RECURSE;
}

int
sp_dns_stub_recurse(struct sp_dns_stub *stub,
                    const struct sp_dns_client *client,
                    const struct sp_dns_verdict *verdict,
                    struct sp_span msg,
                    sp_time now)
{
    sp_assert(verdict->outcome == SP_DNS_RECURSE);
    note_flush(stub);
    return sp_dns_pending_add(&stub->pending, client, &verdict->query, msg, verdict->upstream, now);
}

int
sp_dns_stub_finish(struct sp_dns_stub *stub,
                   uint64_t handle,
                   enum sp_dns_result result,
                   struct sp_span msg,
                   sp_time now,
                   uint8_t *buf,
                   size_t cap,
                   struct sp_dns_client *ret_client)
{
    int n = sp_dns_pending_finish(&stub->pending, handle, result, msg, buf, cap, ret_client);

    note_flush(stub);
    /* NOERROR says that the answer was accepted: a refused one has become SERVFAIL. */
    if (n > 0 && handle > stub->cache_after && result == SP_DNS_RESULT_OK
        && (buf[3] & 15) == SP_DNS_RCODE_NOERROR)
        sp_dns_cache_put(&stub->cache, msg, now);
    return n;
}
