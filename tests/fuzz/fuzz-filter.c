/* SPDX-License-Identifier: Apache-2.0 */
/* Rules and protocols against the definition read literally. Input: a count, that many rules of
 * five bytes, then protocols of four bytes. */
#include <string.h>

#include "engine/base/rd.h"
#include "engine/filter/filter.h"
#include "tests/fuzz/fuzz.h"

#define RULE  5
#define PROTO 4

static bool
rule_permits(const struct sp_filter_rule *rule, struct sp_ip_proto proto)
{
    switch (rule->proto) {
    case SP_FILTER_TCP:
        return proto.kind == SP_IP_PROTO_TCP && proto.id >= rule->port_start
               && proto.id <= rule->port_end;
    case SP_FILTER_UDP:
        return proto.kind == SP_IP_PROTO_UDP && proto.id >= rule->port_start
               && proto.id <= rule->port_end;
    case SP_FILTER_ICMP:
        return proto.kind == SP_IP_PROTO_ECHO || proto.kind == SP_IP_PROTO_OTHER_ICMPV4
               || proto.kind == SP_IP_PROTO_OTHER_ICMPV6;
    }
    return false;
}

static bool
model_permits(const struct sp_filter_rule *rules, size_t n, struct sp_ip_proto proto)
{
    for (size_t i = 0; i < n; i++)
        if (rule_permits(&rules[i], proto))
            return true;
    return n == 0;
}

static enum sp_filter_verdict
denial(struct sp_ip_proto proto)
{
    if (proto.kind == SP_IP_PROTO_TCP)
        return SP_FILTER_DENIED_TCP;
    if (proto.kind == SP_IP_PROTO_UDP)
        return SP_FILTER_DENIED_UDP;
    return proto.kind == SP_IP_PROTO_OTHER_L4 ? SP_FILTER_NOT_EVALUABLE : SP_FILTER_DENIED_ICMP;
}

static void
check_proto(const struct sp_filter *filter,
            const struct sp_filter_rule *rules,
            size_t n,
            struct sp_ip_proto proto)
{
    enum sp_filter_verdict want =
        model_permits(rules, n, proto) ? SP_FILTER_PERMITTED : denial(proto);

    sp_assert(sp_filter_check(filter, proto) == want);
}

/* The ports where an answer can change. */
static void
check_edges(const struct sp_filter *filter, const struct sp_filter_rule *rules, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (int d = -1; d <= 1; d++) {
            uint16_t first = (uint16_t)(rules[i].port_start + d);
            uint16_t last = (uint16_t)(rules[i].port_end + d);

            check_proto(filter, rules, n, sp_ip_proto_tcp(first));
            check_proto(filter, rules, n, sp_ip_proto_tcp(last));
            check_proto(filter, rules, n, sp_ip_proto_udp(first));
            check_proto(filter, rules, n, sp_ip_proto_udp(last));
        }
}

/* Order and repetition of rules do not matter. */
static void
check_equal(const struct sp_filter *filter, const struct sp_filter_rule *rules, size_t n)
{
    struct sp_filter_rule twice[2 * 255];
    struct sp_filter *other;

    for (size_t i = 0; i < n; i++)
        twice[i] = twice[n + i] = rules[n - 1 - i];
    other = sp_filter_new(twice, 2 * n);
    sp_assert(sp_filter_equal(filter, other) && sp_filter_equal(other, filter));
    sp_filter_unref(other);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sp_filter_rule rules[255];
    struct sp_filter *filter, *closed;
    size_t n, at = 1;

    if (size == 0)
        return 0;
    n = SP_MIN((size_t)data[0], (size - 1) / RULE);
    for (size_t i = 0; i < n; i++, at += RULE)
        rules[i] = (struct sp_filter_rule){
            .proto = (enum sp_filter_proto)(data[at] % 3),
            .port_start = sp_get_be16(data + at + 1),
            .port_end = sp_get_be16(data + at + 3),
        };
    filter = sp_filter_new(rules, n);
    closed = sp_filter_new_deny_all();
    for (; at + PROTO <= size; at += PROTO) {
        struct sp_ip_proto proto = {
            .kind = data[at] % _SP_IP_PROTO_MAX,
            .number = data[at + 1],
            .id = sp_get_be16(data + at + 2),
        };

        check_proto(filter, rules, n, proto);
        sp_assert(sp_filter_check(closed, proto) == denial(proto));
    }
    check_edges(filter, rules, n);
    check_equal(filter, rules, n);
    sp_filter_unref(filter);
    sp_filter_unref(closed);
    return 0;
}
