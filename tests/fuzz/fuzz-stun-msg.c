/* SPDX-License-Identifier: Apache-2.0 */
/* A STUN message. What parses must rebuild to the same attributes; signed with the right key it is
 * then given to an ICE agent, which must survive any of them. */
#include <string.h>

#include "engine/ice/agent.h"
#include "engine/stun/channeldata.h"
#include "engine/stun/stun.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/rng.h"

static const struct sp_ice_creds ours = { "h6vY", "VOkJxbRl1RmTxUk/WvJxBt" };
static const struct sp_ice_creds theirs = { "evtj", "VOkJxbRl1RmTxUk/WvJxBt" };

static void
read_everything(const struct sp_stun_msg *msg)
{
    static const uint16_t types[] = { SP_STUN_XOR_MAPPED_ADDRESS, SP_STUN_XOR_RELAYED_ADDRESS,
                                      SP_STUN_USERNAME,           SP_STUN_PRIORITY,
                                      SP_STUN_ICE_CONTROLLED,     SP_STUN_LIFETIME };
    struct sp_span key = sp_span("key", 3);
    struct sp_endpoint ep;
    uint16_t unknown[4], channel;
    uint64_t u64;
    uint32_t u32;
    char text[40];

    for (size_t i = 0; i < SP_ARRAY_SIZE(types); i++) {
        (void)sp_stun_get_xor_addr(msg, types[i], i % 2, &ep);
        (void)sp_stun_get_string(msg, types[i], text, sizeof text);
        (void)sp_stun_get_u32(msg, types[i], &u32);
        (void)sp_stun_get_u64(msg, types[i], &u64);
    }
    (void)sp_stun_get_mapped_addr(msg, &ep);
    (void)sp_stun_get_unknown(msg, unknown, SP_ARRAY_SIZE(unknown));
    (void)sp_stun_get_channel(msg, &channel);
    (void)sp_stun_get_family(msg, SP_STUN_ADDITIONAL_ADDRESS_FAMILY);
    (void)!sp_stun_check_fingerprint(msg);
    sp_assert(sp_stun_check_integrity(msg, key) < 0); /* 160 bits are not guessed */
    sp_assert(sp_stun_get_error(msg) < 700);
}

/* Copy of @msg, signed. Returns: its length, 0 when it does not fit */
static size_t
rebuild(const struct sp_stun_msg *msg, uint8_t *buf, size_t cap)
{
    struct sp_stun_builder b = sp_stun_build(buf, cap, msg->cls, msg->method, msg->txid);
    struct sp_span value;
    size_t cursor = 0;
    uint16_t type;
    int n;

    while (sp_stun_next(msg, &cursor, &type, &value))
        sp_stun_put(&b, type, value.p, value.n);
    sp_stun_put_integrity(&b, sp_span(ours.pwd, strlen(ours.pwd)));
    sp_stun_put_fingerprint(&b);
    n = sp_stun_finish(&b);
    return n < 0 ? 0 : (size_t)n;
}

static void
compare(const struct sp_stun_msg *a, const struct sp_stun_msg *b)
{
    struct sp_span value_a, value_b;
    size_t cursor_a = 0, cursor_b = 0;
    uint16_t type_a, type_b;

    sp_assert(a->cls == b->cls && a->method == b->method);
    while (sp_stun_next(a, &cursor_a, &type_a, &value_a)) {
        sp_assert(sp_stun_next(b, &cursor_b, &type_b, &value_b));
        sp_assert(type_a == type_b && value_a.n == value_b.n);
        sp_assert(!value_a.n || memcmp(value_a.p, value_b.p, value_a.n) == 0);
    }
    sp_assert(!sp_stun_next(b, &cursor_b, &type_b, &value_b));
}

static void
feed_agent(const uint8_t *bytes, size_t n)
{
    struct sp_endpoint here = { .ip = sp_ip4(192, 0, 2, 1), .port = 9 };
    struct sp_endpoint there = { .ip = sp_ip4(192, 0, 2, 2), .port = 9 };
    struct test_rng state;
    struct sp_ice_config config = {
        .local = ours,
        .remote = theirs,
        .timing = sp_ice_timing_client_active,
        .rng = test_rng_init(&state, 1),
    };
    struct sp_ice_agent *a = sp_ice_agent_new(&config);
    struct sp_ice_candidate c;
    struct sp_ice_tx tx;

    sp_assert(sp_ice_candidate_host(&here, &c) == 0);
    sp_assert(sp_ice_agent_add_local(a, &c, NULL) == 0);
    sp_ice_agent_handle_timeout(a, SP_SEC(1));
    (void)!sp_ice_agent_handle_stun(a, sp_span(bytes, n), &there, &here, SP_SEC(1));
    (void)!sp_ice_agent_handle_stun(a, sp_span(bytes, n), &there, &here, SP_SEC(2));
    while (sp_ice_agent_poll_transmit(a, &tx))
        sp_assert(sp_stun_is_stun(sp_span(tx.bytes, tx.len)));
    sp_ice_agent_free(a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t nothing[1];
    struct sp_span input = sp_span(size ? data : nothing, size), payload;
    struct sp_stun_msg msg, again;
    char ufrag[SP_ICE_UFRAG_MAX + 1];
    uint8_t buf[2048], txid[12];
    uint16_t channel;
    size_t n;

    (void)!sp_channeldata_parse(input, &channel, &payload);
    (void)!sp_ice_request_ufrag(input, ufrag);
    (void)!sp_ice_response_txid(input, txid);
    if (sp_stun_parse(input, &msg) < 0)
        return 0;
    sp_assert(sp_stun_is_stun(input));
    read_everything(&msg);
    n = rebuild(&msg, buf, sizeof buf);
    /* Two attributes more than the input had may be more than a message can have. */
    if (!n || sp_stun_parse(sp_span(buf, n), &again) < 0)
        return 0;
    compare(&msg, &again);
    sp_assert(sp_stun_check_integrity(&again, sp_span(ours.pwd, strlen(ours.pwd))) == 0);
    sp_assert(sp_stun_check_fingerprint(&again) == 0);
    feed_agent(buf, n);
    return 0;
}
