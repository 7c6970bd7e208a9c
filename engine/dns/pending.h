/* SPDX-License-Identifier: Apache-2.0 */
/* Queries on their way to an upstream server. The driver polls requests, does the I/O, and gives
 * each result back by handle. Source: spec tunnel A.6 "outside the tunnel".
 * Owner: one per client engine. Thread: the engine's caller. I/O: none. */
#pragma once

#include "engine/base/addr.h"
#include "engine/base/map.h"
#include "engine/base/time.h"
#include "engine/dns/message.h"
#include "engine/dns/servers.h"

#define SP_DNS_PENDING_MAX     1000
#define SP_DNS_PENDING_TIMEOUT SP_SEC(5)
#define SP_DNS_HANDLE_NONE     UINT64_C(0)

enum sp_dns_transport {
    SP_DNS_UDP,
    SP_DNS_TCP,
};

/** struct sp_dns_client - who asked, and where the answer goes.
 * @from: the application's endpoint; @sentinel: the address it asked
 * @connection: handle of the TCP connection, meaningless for UDP */
struct sp_dns_client {
    enum sp_dns_transport transport;
    struct sp_endpoint from;
    struct sp_ip sentinel;
    uint64_t connection;
};

/** struct sp_dns_request - what the driver has to send. Views, valid until the next call.
 * @msg: for DoH with id 0 (RFC 8484 section 4.1), else as the application sent it */
struct sp_dns_request {
    uint64_t handle;
    enum sp_dns_transport transport;
    const struct sp_dns_upstream *upstream;
    struct sp_span msg;
};

enum sp_dns_result {
    SP_DNS_RESULT_OK,      /* a message came back */
    SP_DNS_RESULT_FAILED,  /* any failure but: */
    SP_DNS_RESULT_TIMEOUT, /* no answer in time */
};

struct sp_dns_pending_entry;

/** struct sp_dns_pending - queries by handle and in order of their deadline (the order of arrival).
 * @unsent: the first one that sp_dns_pending_poll_request() has not given out */
struct sp_dns_pending {
    struct sp_map by_handle;
    struct sp_dns_pending_entry *first;
    struct sp_dns_pending_entry *last;
    struct sp_dns_pending_entry *unsent;
    uint64_t last_handle;
    uint64_t refused; /* queries beyond SP_DNS_PENDING_MAX */
};

void sp_dns_pending_init(struct sp_dns_pending *pending, const struct sp_rng *rng);
void sp_dns_pending_done(struct sp_dns_pending *pending);
/** sp_dns_pending_clear() - drop all silently; results that still come in are SP_E_NOTFOUND */
void sp_dns_pending_clear(struct sp_dns_pending *pending);
size_t sp_dns_pending_len(const struct sp_dns_pending *pending);

/** sp_dns_pending_add() - remember a query; @msg and @upstream are copied.
 * Returns: 0, SP_E_LIMIT (drop it silently) */
SP_MUST_CHECK int sp_dns_pending_add(struct sp_dns_pending *pending,
                                     const struct sp_dns_client *client,
                                     const struct sp_dns_query *query,
                                     struct sp_span msg,
                                     const struct sp_dns_upstream *upstream,
                                     sp_time now);
/** sp_dns_pending_poll_request() - the next query to send. Returns: false when none is left */
bool sp_dns_pending_poll_request(struct sp_dns_pending *pending, struct sp_dns_request *ret);

/**
 * sp_dns_pending_finish() - the driver's result for one request; the handle is used up
 * @msg: the answer as it came if @result is OK; the id is not checked for DoH
 * @buf: receives the message for the client: the answer with the original id, SERVFAIL when the
 *       server failed or answered something else. UDP answers are cut to SP_DNS_UDP_MAX.
 *
 * Returns: length of the message; 0 when nothing is to be sent (timeout of a query that came over
 * UDP); SP_E_NOTFOUND (@ret_client untouched); SP_E_NOBUF (handle used up).
 */
SP_MUST_CHECK int sp_dns_pending_finish(struct sp_dns_pending *pending,
                                        uint64_t handle,
                                        enum sp_dns_result result,
                                        struct sp_span msg,
                                        uint8_t *buf,
                                        size_t cap,
                                        struct sp_dns_client *ret_client);

/** sp_dns_relay() - the message for @client made of the answer @msg to @query: with id and question as
 * it wrote them, over UDP cut to SP_DNS_UDP_MAX, SERVFAIL when it answers something else.
 * @any_id: the id of @msg means nothing (DoH). Returns: length or SP_E_NOBUF */
SP_MUST_CHECK int sp_dns_relay(const struct sp_dns_client *client,
                               const struct sp_dns_query *query,
                               bool any_id,
                               struct sp_span msg,
                               uint8_t *buf,
                               size_t cap);

/** sp_dns_pending_next_timeout() - the earliest deadline or SP_TIME_NEVER */
sp_time sp_dns_pending_next_timeout(const struct sp_dns_pending *pending);
/** sp_dns_pending_expired() - a handle whose deadline has come, to be finished with
 * SP_DNS_RESULT_TIMEOUT, or SP_DNS_HANDLE_NONE */
uint64_t sp_dns_pending_expired(const struct sp_dns_pending *pending, sp_time now);
