/* SPDX-License-Identifier: Apache-2.0 */
/* DNS messages: reading queries and answers, building answers in place. Sources: RFC 1035 section 4;
 * RFC 2181 sections 5 and 8 (TTL); spec tunnel A.4 (acceptance, answer shape, UDP limit).
 * Thread: any. I/O: none. */
#pragma once

#include "engine/base/addr.h"
#include "engine/base/rd.h"
#include "engine/base/wr.h"
#include "engine/dns/name.h"

#define SP_DNS_HEADER      12
#define SP_DNS_UDP_MAX     1212  /* largest answer over UDP; a longer one is cut and marked TC */
#define SP_DNS_MESSAGE_MAX 65535 /* largest message over TCP */
#define SP_DNS_PORT        53

enum sp_dns_type {
    SP_DNS_TYPE_A = 1,
    SP_DNS_TYPE_NS = 2,
    SP_DNS_TYPE_CNAME = 5,
    SP_DNS_TYPE_SOA = 6,
    SP_DNS_TYPE_PTR = 12,
    SP_DNS_TYPE_MX = 15,
    SP_DNS_TYPE_TXT = 16,
    SP_DNS_TYPE_AAAA = 28,
    SP_DNS_TYPE_SRV = 33,
    SP_DNS_TYPE_DNAME = 39,
    SP_DNS_TYPE_OPT = 41,
    SP_DNS_TYPE_SVCB = 64,
    SP_DNS_TYPE_HTTPS = 65,
    SP_DNS_TYPE_ANY = 255,
};

enum sp_dns_class {
    SP_DNS_CLASS_IN = 1,
};

enum sp_dns_rcode {
    SP_DNS_RCODE_NOERROR = 0,
    SP_DNS_RCODE_FORMERR = 1,
    SP_DNS_RCODE_SERVFAIL = 2,
    SP_DNS_RCODE_NXDOMAIN = 3,
    SP_DNS_RCODE_REFUSED = 5,
};

/** struct sp_dns_query - what an answer has to repeat. @name keeps the letter case of the asker */
struct sp_dns_query {
    uint16_t id;
    uint8_t opcode;
    bool rd;
    uint16_t qtype;
    uint16_t qclass;
    struct sp_dns_name name;
};

/** sp_dns_query_parse() - accept a query: QR = 0, exactly one question that parses. Bytes after the
 * question (EDNS) are not looked at. Returns: 0, SP_E_MALFORMED, SP_E_UNSUPPORTED (not a query) */
SP_MUST_CHECK int sp_dns_query_parse(struct sp_span msg, struct sp_dns_query *ret);

/** struct sp_dns_response - header and question of an answer from a server.
 * @question: false when it came without one, as some error answers do
 * @body: offset of the first record */
struct sp_dns_response {
    uint16_t id;
    uint8_t opcode;
    bool truncated;
    uint8_t rcode;
    bool question;
    uint16_t qtype;
    uint16_t qclass;
    uint16_t n_answer;
    uint16_t n_authority;
    uint16_t n_additional;
    size_t body;
    struct sp_dns_name name;
};

/** sp_dns_response_parse() - QR = 1, at most one question, every record in bounds.
 * Returns: 0, SP_E_MALFORMED, SP_E_UNSUPPORTED (not a response) */
SP_MUST_CHECK int sp_dns_response_parse(struct sp_span msg, struct sp_dns_response *ret);
/** sp_dns_response_answers() - does @resp repeat the id and the question of @q */
bool sp_dns_response_answers(const struct sp_dns_response *resp, const struct sp_dns_query *q);

enum sp_dns_section {
    SP_DNS_SECTION_ANSWER,
    SP_DNS_SECTION_AUTHORITY,
    SP_DNS_SECTION_ADDITIONAL,
};

/** struct sp_dns_rr - one record. @ttl: seconds, a value with the top bit set reads as 0
 * @ttl_at: offset of the TTL in the message; @end: offset behind the record
 * @rdata: view into the message; names in it may be compressed */
struct sp_dns_rr {
    enum sp_dns_section section;
    uint16_t type;
    uint16_t class;
    uint32_t ttl;
    size_t ttl_at;
    size_t end;
    struct sp_span rdata;
    struct sp_dns_name name;
};

/** struct sp_dns_walk - cursor over the records of one message; borrows the message */
struct sp_dns_walk {
    struct sp_span msg;
    struct sp_rd rd;
    uint32_t left[3];
};

struct sp_dns_walk sp_dns_walk(struct sp_span msg, const struct sp_dns_response *resp);
/** sp_dns_walk_next() - Returns: 1 with *@ret set, 0 at the end, SP_E_MALFORMED */
SP_MUST_CHECK int sp_dns_walk_next(struct sp_dns_walk *walk, struct sp_dns_rr *ret);
/** sp_dns_rr_ip() - address of an A or AAAA record of class IN with the right length.
 * Returns: 0 or SP_E_NOTFOUND */
SP_MUST_CHECK int sp_dns_rr_ip(const struct sp_dns_rr *rr, struct sp_ip *ret_ip);
/** sp_dns_rr_target() - the name in the data of CNAME, NS, PTR, DNAME, MX, SRV.
 * Returns: 0, SP_E_NOTFOUND for another type, SP_E_MALFORMED */
SP_MUST_CHECK int sp_dns_rr_target(struct sp_span msg,
                                   const struct sp_dns_rr *rr,
                                   struct sp_dns_name *ret);

/** sp_dns_min_ttl() - smallest TTL of the answer records of @type.
 * Returns: 0, SP_E_NOTFOUND when there is none, SP_E_MALFORMED */
SP_MUST_CHECK int sp_dns_min_ttl(struct sp_span msg,
                                 const struct sp_dns_response *resp,
                                 uint16_t type,
                                 uint32_t *ret_ttl);

/** sp_dns_age() - lower the TTL of every record but OPT by @seconds, not below 0, in place.
 * Returns: 0 or SP_E_MALFORMED (the message is then partly changed) */
SP_MUST_CHECK int sp_dns_age(uint8_t *msg, size_t n, uint32_t seconds);

/** sp_dns_truncate() - apply the UDP rule: above SP_DNS_UDP_MAX set TC, cut after the question and
 * zero the record counts. Returns: the new length (@n when nothing was to do) */
size_t sp_dns_truncate(uint8_t *msg, size_t n);
/** sp_dns_mark_truncated() - set TC and zero the record counts of a message cut after its question */
void sp_dns_mark_truncated(uint8_t *msg);
/** sp_dns_set_id() - overwrite the id of a message with at least a header */
void sp_dns_set_id(uint8_t *msg, uint16_t id);

/* ---- queries and answers of our own -------------------------------------------------------- */

/** sp_dns_query_build() - header with one question. Returns: length or SP_E_NOBUF */
SP_MUST_CHECK int sp_dns_query_build(const struct sp_dns_query *q, uint8_t *buf, size_t cap);

/** struct sp_dns_reply - an answer being written. id, opcode and RD are those of the query, QR is
 * set, everything else is zero; names are not compressed. Errors stick until _finish. */
struct sp_dns_reply {
    struct sp_wr w;
    uint16_t n_answer;
};

struct sp_dns_reply sp_dns_reply(const struct sp_dns_query *q,
                                 enum sp_dns_rcode rcode,
                                 uint8_t *buf,
                                 size_t cap);
/** sp_dns_reply_ip() - A or AAAA by the family of @ip */
void sp_dns_reply_ip(struct sp_dns_reply *reply,
                     const struct sp_dns_name *owner,
                     uint32_t ttl,
                     const struct sp_ip *ip);
void sp_dns_reply_ptr(struct sp_dns_reply *reply,
                      const struct sp_dns_name *owner,
                      uint32_t ttl,
                      const struct sp_dns_name *target);
/** sp_dns_reply_finish() - patch the count. Returns: length of the message or SP_E_NOBUF */
SP_MUST_CHECK int sp_dns_reply_finish(struct sp_dns_reply *reply);
/** sp_dns_reply_empty() - an answer without records (SERVFAIL, NXDOMAIN, empty NOERROR).
 * Needs at most SP_DNS_EMPTY_MAX bytes. Returns: length or SP_E_NOBUF */
SP_MUST_CHECK int sp_dns_reply_empty(const struct sp_dns_query *q,
                                     enum sp_dns_rcode rcode,
                                     uint8_t *buf,
                                     size_t cap);
#define SP_DNS_EMPTY_MAX (SP_DNS_HEADER + SP_DNS_NAME_MAX + 4)
