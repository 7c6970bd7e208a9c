/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled traffic filter. Source: spec tunnel 0.5.
 * Owner: reference counted, immutable after creation; one thread. I/O: none. */
#pragma once

#include "engine/ip/packet.h"
#include "engine/model/model.h"

/** enum sp_filter_verdict - 0 permits; the four denials are kept apart in logs. NOT_EVALUABLE must
 * never be worded as "filtered": the protocol was not understood. */
enum sp_filter_verdict {
    SP_FILTER_PERMITTED,
    SP_FILTER_DENIED_TCP,
    SP_FILTER_DENIED_UDP,
    SP_FILTER_DENIED_ICMP,
    SP_FILTER_NOT_EVALUABLE,
    _SP_FILTER_VERDICT_MAX
};

struct sp_filter;

/** sp_filter_new() - an empty list permits everything; a rule whose start lies after its end
 * permits nothing. Returns: a reference */
SP_MUST_CHECK struct sp_filter *sp_filter_new(const struct sp_filter_rule *rules, size_t n);
/** sp_filter_new_deny_all() - for peers without any authorization */
SP_MUST_CHECK struct sp_filter *sp_filter_new_deny_all(void);
struct sp_filter *sp_filter_ref(struct sp_filter *filter);
/** sp_filter_unref() - NULL is fine */
void sp_filter_unref(struct sp_filter *filter);
/** sp_filter_equal() - same set of permitted packets */
bool sp_filter_equal(const struct sp_filter *a, const struct sp_filter *b);
/** sp_filter_check() - evaluate against the source or destination view of a packet */
enum sp_filter_verdict sp_filter_check(const struct sp_filter *filter, struct sp_ip_proto proto);
/** sp_filter_verdict_text() - for logs, e.g. "TCP port not permitted" */
const char *sp_filter_verdict_text(enum sp_filter_verdict verdict);
