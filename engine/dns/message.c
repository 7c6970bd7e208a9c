/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/dns/message.h"

#define FLAG_QR    0x8000u
#define FLAG_TC    0x0200u
#define FLAG_RD    0x0100u
#define OPCODE_POS 11
#define TTL_LIMIT  0x7fffffffu

struct header {
    uint16_t id;
    uint16_t flags;
    uint16_t count[4]; /* questions, answers, authority, additional */
};

static struct header
read_header(struct sp_rd *r)
{
    struct header h = { .id = sp_rd_be16(r), .flags = sp_rd_be16(r) };

    for (size_t i = 0; i < 4; i++)
        h.count[i] = sp_rd_be16(r);
    return h;
}

static size_t
offset(struct sp_span msg, const struct sp_rd *r)
{
    return (size_t)(r->p - msg.p);
}

static int
read_question(struct sp_rd *r,
              struct sp_span msg,
              struct sp_dns_name *ret_name,
              uint16_t *ret_type,
              uint16_t *ret_class)
{
    if (sp_dns_name_read(r, msg, ret_name) < 0)
        return SP_E_MALFORMED;
    *ret_type = sp_rd_be16(r);
    *ret_class = sp_rd_be16(r);
    return sp_rd_ok(r) ? 0 : SP_E_MALFORMED;
}

int
sp_dns_query_parse(struct sp_span msg, struct sp_dns_query *ret)
{
    struct sp_dns_query q = { 0 };
    struct sp_rd r = sp_rd_span(msg);
    struct header h = read_header(&r);

    if (!sp_rd_ok(&r))
        return SP_E_MALFORMED;
    if (h.flags & FLAG_QR)
        return SP_E_UNSUPPORTED;
    if (h.count[0] != 1 || read_question(&r, msg, &q.name, &q.qtype, &q.qclass) < 0)
        return SP_E_MALFORMED;
    q.id = h.id;
    q.opcode = (uint8_t)(h.flags >> OPCODE_POS & 15);
    q.rd = h.flags & FLAG_RD;
    *ret = q;
    return 0;
}

/* Every record must be in bounds before anybody relies on the counts. */
static int
check_records(struct sp_span msg, const struct sp_dns_response *resp)
{
    struct sp_dns_walk walk = sp_dns_walk(msg, resp);
    struct sp_dns_rr rr;
    int rc;

    while ((rc = sp_dns_walk_next(&walk, &rr)) > 0)
        continue;
    return rc;
}

int
sp_dns_response_parse(struct sp_span msg, struct sp_dns_response *ret)
{
    struct sp_dns_response resp = { 0 };
    struct sp_rd r = sp_rd_span(msg);
    struct header h = read_header(&r);

    if (!sp_rd_ok(&r))
        return SP_E_MALFORMED;
    if (!(h.flags & FLAG_QR))
        return SP_E_UNSUPPORTED;
    if (h.count[0] > 1)
        return SP_E_MALFORMED;
    resp.question = h.count[0] == 1;
    if (resp.question && read_question(&r, msg, &resp.name, &resp.qtype, &resp.qclass) < 0)
        return SP_E_MALFORMED;
    resp.id = h.id;
    resp.opcode = (uint8_t)(h.flags >> OPCODE_POS & 15);
    resp.truncated = h.flags & FLAG_TC;
    resp.rcode = h.flags & 15;
    resp.n_answer = h.count[1];
    resp.n_authority = h.count[2];
    resp.n_additional = h.count[3];
    resp.body = offset(msg, &r);
    if (check_records(msg, &resp) < 0)
        return SP_E_MALFORMED;
    *ret = resp;
    return 0;
}

bool
sp_dns_response_answers(const struct sp_dns_response *resp, const struct sp_dns_query *q)
{
    if (resp->id != q->id)
        return false;
    /* A server that could not even read the question answers without one. */
    if (!resp->question)
        return resp->rcode != SP_DNS_RCODE_NOERROR;
    return resp->qtype == q->qtype && resp->qclass == q->qclass
           && sp_dns_name_equal(&resp->name, &q->name);
}

struct sp_dns_walk
sp_dns_walk(struct sp_span msg, const struct sp_dns_response *resp)
{
    sp_assert(resp->body <= msg.n);
    return (struct sp_dns_walk){
        .msg = msg,
        .rd = sp_rd(msg.p + resp->body, msg.n - resp->body),
        .left = { resp->n_answer, resp->n_authority, resp->n_additional },
    };
}

int
sp_dns_walk_next(struct sp_dns_walk *walk, struct sp_dns_rr *ret)
{
    struct sp_dns_rr rr = { 0 };
    struct sp_rd *r = &walk->rd;
    unsigned section = 0;

    while (section < 3 && walk->left[section] == 0)
        section++;
    if (section == 3)
        return 0;
    walk->left[section]--;
    rr.section = (enum sp_dns_section)section;
    if (sp_dns_name_read(r, walk->msg, &rr.name) < 0)
        return SP_E_MALFORMED;
    rr.type = sp_rd_be16(r);
    rr.class = sp_rd_be16(r);
    rr.ttl_at = offset(walk->msg, r);
    rr.ttl = sp_rd_be32(r);
    if (rr.ttl > TTL_LIMIT)
        rr.ttl = 0; /* RFC 2181 section 8 */
    rr.rdata = sp_rd_span_n(r, sp_rd_be16(r));
    if (!sp_rd_ok(r))
        return SP_E_MALFORMED;
    rr.end = offset(walk->msg, r);
    *ret = rr;
    return 1;
}

int
sp_dns_rr_ip(const struct sp_dns_rr *rr, struct sp_ip *ret_ip)
{
    if (rr->class != SP_DNS_CLASS_IN)
        return SP_E_NOTFOUND;
    if (rr->type == SP_DNS_TYPE_A && rr->rdata.n == 4) {
        *ret_ip = sp_ip_from_bytes(4, rr->rdata.p);
        return 0;
    }
    if (rr->type == SP_DNS_TYPE_AAAA && rr->rdata.n == 16) {
        *ret_ip = sp_ip_from_bytes(6, rr->rdata.p);
        return 0;
    }
    return SP_E_NOTFOUND;
}

int
sp_dns_rr_target(struct sp_span msg, const struct sp_dns_rr *rr, struct sp_dns_name *ret)
{
    struct sp_rd r = sp_rd_span(rr->rdata);
    size_t skip;

    switch (rr->type) {
    case SP_DNS_TYPE_CNAME:
    case SP_DNS_TYPE_NS:
    case SP_DNS_TYPE_PTR:
    case SP_DNS_TYPE_DNAME:
        skip = 0;
        break;
    case SP_DNS_TYPE_MX:
        skip = 2;
        break;
    case SP_DNS_TYPE_SRV:
        skip = 6;
        break;
    default:
        return SP_E_NOTFOUND;
    }
    if (!sp_rd_take(&r, skip) || sp_dns_name_read(&r, msg, ret) < 0)
        return SP_E_MALFORMED;
    return sp_rd_left(&r) == 0 ? 0 : SP_E_MALFORMED;
}

int
sp_dns_min_ttl(struct sp_span msg,
               const struct sp_dns_response *resp,
               uint16_t type,
               uint32_t *ret_ttl)
{
    struct sp_dns_walk walk = sp_dns_walk(msg, resp);
    struct sp_dns_rr rr;
    uint32_t min = UINT32_MAX;
    int rc;

    while ((rc = sp_dns_walk_next(&walk, &rr)) > 0) {
        if (rr.section == SP_DNS_SECTION_ANSWER && rr.type == type)
            min = SP_MIN(min, rr.ttl);
    }
    if (rc < 0)
        return rc;
    if (min == UINT32_MAX)
        return SP_E_NOTFOUND;
    *ret_ttl = min;
    return 0;
}

int
sp_dns_age(uint8_t *msg, size_t n, uint32_t seconds)
{
    struct sp_dns_response resp;
    struct sp_dns_walk walk;
    struct sp_dns_rr rr;
    int rc = sp_dns_response_parse(sp_span(msg, n), &resp);

    if (rc < 0)
        return SP_E_MALFORMED;
    walk = sp_dns_walk(sp_span(msg, n), &resp);
    while ((rc = sp_dns_walk_next(&walk, &rr)) > 0) {
        /* The TTL field of OPT holds flags (RFC 6891 section 6.1.3). */
        if (rr.type != SP_DNS_TYPE_OPT)
            sp_put_be32(msg + rr.ttl_at, rr.ttl > seconds ? rr.ttl - seconds : 0);
    }
    return rc;
}

size_t
sp_dns_truncate(uint8_t *msg, size_t n)
{
    struct sp_rd r = sp_rd(msg, n);
    struct sp_span all = sp_span(msg, n);
    struct header h;
    struct sp_dns_name name;
    uint16_t type, class;

    if (n <= SP_DNS_UDP_MAX)
        return n;
    h = read_header(&r);
    if (h.count[0] != 1 || read_question(&r, all, &name, &type, &class) < 0) {
        r = sp_rd(msg, n);
        read_header(&r);
        sp_put_be16(msg + 4, 0);
    }
    sp_dns_mark_truncated(msg);
    return offset(all, &r);
}

void
sp_dns_mark_truncated(uint8_t *msg)
{
    sp_put_be16(msg + 2, (uint16_t)(sp_get_be16(msg + 2) | FLAG_TC));
    memset(msg + 6, 0, 6);
}

void
sp_dns_set_id(uint8_t *msg, uint16_t id)
{
    sp_put_be16(msg, id);
}

static void
write_start(struct sp_wr *w, const struct sp_dns_query *q, uint16_t flags)
{
    flags |= (uint16_t)((unsigned)(q->opcode & 15u) << OPCODE_POS);
    if (q->rd)
        flags |= FLAG_RD;
    sp_wr_be16(w, q->id);
    sp_wr_be16(w, flags);
    sp_wr_be16(w, 1);
    sp_wr_zero(w, 6);
    sp_dns_name_write(w, &q->name);
    sp_wr_be16(w, q->qtype);
    sp_wr_be16(w, q->qclass);
}

int
sp_dns_query_build(const struct sp_dns_query *q, uint8_t *buf, size_t cap)
{
    struct sp_wr w = sp_wr(buf, cap);

    write_start(&w, q, 0);
    return sp_wr_ok(&w) ? (int)sp_wr_len(&w) : SP_E_NOBUF;
}

struct sp_dns_reply
sp_dns_reply(const struct sp_dns_query *q, enum sp_dns_rcode rcode, uint8_t *buf, size_t cap)
{
    struct sp_dns_reply reply = { .w = sp_wr(buf, SP_MIN(cap, (size_t)SP_DNS_MESSAGE_MAX)) };

    write_start(&reply.w, q, (uint16_t)(FLAG_QR | (unsigned)rcode));
    return reply;
}

static void
start_record(struct sp_dns_reply *reply,
             const struct sp_dns_name *owner,
             enum sp_dns_type type,
             uint32_t ttl,
             size_t n)
{
    sp_dns_name_write(&reply->w, owner);
    sp_wr_be16(&reply->w, (uint16_t)type);
    sp_wr_be16(&reply->w, SP_DNS_CLASS_IN);
    sp_wr_be32(&reply->w, ttl);
    sp_wr_be16(&reply->w, (uint16_t)n);
    reply->n_answer++;
}

void
sp_dns_reply_ip(struct sp_dns_reply *reply,
                const struct sp_dns_name *owner,
                uint32_t ttl,
                const struct sp_ip *ip)
{
    size_t n = sp_ip_size(ip);

    start_record(reply, owner, ip->family == 4 ? SP_DNS_TYPE_A : SP_DNS_TYPE_AAAA, ttl, n);
    sp_wr_bytes(&reply->w, ip->b, n);
}

void
sp_dns_reply_ptr(struct sp_dns_reply *reply,
                 const struct sp_dns_name *owner,
                 uint32_t ttl,
                 const struct sp_dns_name *target)
{
    start_record(reply, owner, SP_DNS_TYPE_PTR, ttl, target->len);
    sp_dns_name_write(&reply->w, target);
}

int
sp_dns_reply_finish(struct sp_dns_reply *reply)
{
    if (!sp_wr_ok(&reply->w))
        return SP_E_NOBUF;
    sp_put_be16(reply->w.start + 6, reply->n_answer);
    return (int)sp_wr_len(&reply->w);
}

int
sp_dns_reply_empty(const struct sp_dns_query *q, enum sp_dns_rcode rcode, uint8_t *buf, size_t cap)
{
    struct sp_dns_reply reply = sp_dns_reply(q, rcode, buf, cap);

    return sp_dns_reply_finish(&reply);
}
