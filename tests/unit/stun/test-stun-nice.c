/* SPDX-License-Identifier: Apache-2.0 */
/* libnice's STUN codec as the second opinion: what one side writes the other must read. */
#include <arpa/inet.h>
#include <glib.h>
#include <string.h>

#include <stun/stunagent.h>

#include "engine/stun/stun.h"
#include "tests/support/rng.h"

#define ROUNDS 500

static const char username[] = "xcuw:gvws";
static const char password[] = "fokl57dz3lj5hx4ezkho3d";

struct sample {
    uint8_t txid[SP_STUN_TXID_LEN];
    uint32_t priority;
    uint64_t tie;
    bool controlling;
    bool use_candidate;
    struct sp_endpoint mapped;
};

static struct sample
random_sample(const struct sp_rng *rng)
{
    struct sample s = {
        .priority = sp_rng_u32(rng),
        .tie = sp_rng_u64(rng),
        .controlling = sp_rng_u32(rng) & 1,
        .use_candidate = sp_rng_u32(rng) & 1,
        .mapped.port = (uint16_t)sp_rng_u32(rng),
        .mapped.ip.family = sp_rng_u32(rng) & 1 ? 4 : 6,
    };

    sp_rng_fill(rng, s.txid, sizeof s.txid);
    sp_rng_fill(rng, s.mapped.ip.b, sp_ip_size(&s.mapped.ip));
    return s;
}

static socklen_t
to_sockaddr(const struct sp_endpoint *ep, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    if (ep->ip.family == 4) {
        struct sockaddr_in *in = (struct sockaddr_in *)out;

        in->sin_family = AF_INET;
        in->sin_port = htons(ep->port);
        memcpy(&in->sin_addr, ep->ip.b, 4);
        return sizeof *in;
    } else {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;

        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(ep->port);
        memcpy(&in6->sin6_addr, ep->ip.b, 16);
        return sizeof *in6;
    }
}

static void
assert_same_addr(const struct sockaddr_storage *got, const struct sp_endpoint *want)
{
    struct sockaddr_storage wanted;
    socklen_t n = to_sockaddr(want, &wanted);

    g_assert_cmpmem(got, (int)n, &wanted, (int)n);
}

static void
agent_init(StunAgent *agent, StunAgentUsageFlags flags)
{
    static const uint16_t known[] = { STUN_ATTRIBUTE_USERNAME,
                                      STUN_ATTRIBUTE_MESSAGE_INTEGRITY,
                                      STUN_ATTRIBUTE_ERROR_CODE,
                                      STUN_ATTRIBUTE_REALM,
                                      STUN_ATTRIBUTE_NONCE,
                                      STUN_ATTRIBUTE_LIFETIME,
                                      STUN_ATTRIBUTE_PRIORITY,
                                      STUN_ATTRIBUTE_USE_CANDIDATE,
                                      STUN_ATTRIBUTE_XOR_MAPPED_ADDRESS,
                                      STUN_ATTRIBUTE_XOR_RELAYED_ADDRESS,
                                      0 };

    stun_agent_init(agent, known, STUN_COMPATIBILITY_RFC5389, flags);
}

static StunValidationStatus
validate(StunAgent *agent, StunMessage *msg, const uint8_t *buf, size_t n, const char *pass)
{
    StunDefaultValidaterData creds[2] = {
        { (uint8_t *)(uintptr_t)username,
          strlen(username),
          (uint8_t *)(uintptr_t)pass,
          strlen(pass) },
    };

    return stun_agent_validate(agent, msg, buf, n, stun_agent_default_validater, creds);
}

static size_t
build_ours(const struct sample *s, uint8_t *buf, size_t cap)
{
    struct sp_stun_builder b = sp_stun_build(buf, cap, SP_STUN_REQUEST, SP_STUN_BINDING, s->txid);
    int n;

    sp_stun_put_string(&b, SP_STUN_USERNAME, username);
    sp_stun_put_u64(&b, s->controlling ? SP_STUN_ICE_CONTROLLING : SP_STUN_ICE_CONTROLLED, s->tie);
    sp_stun_put_u32(&b, SP_STUN_PRIORITY, s->priority);
    if (s->use_candidate)
        sp_stun_put_flag(&b, SP_STUN_USE_CANDIDATE);
    sp_stun_put_xor_addr(&b, SP_STUN_XOR_MAPPED_ADDRESS, &s->mapped);
    sp_stun_put_integrity(&b, sp_span(password, strlen(password)));
    sp_stun_put_fingerprint(&b);
    n = sp_stun_finish(&b);
    g_assert_cmpint(n, >, 0);
    return (size_t)n;
}

static void
nice_reads_ours(void)
{
    struct test_rng state;
    struct sp_rng rng = test_rng_init(&state, 1);

    for (int i = 0; i < ROUNDS; i++) {
        struct sample s = random_sample(&rng);
        struct sockaddr_storage addr;
        socklen_t addr_len = sizeof addr;
        uint8_t buf[256];
        size_t n = build_ours(&s, buf, sizeof buf);
        StunTransactionId id;
        StunAgent agent;
        StunMessage msg;
        uint32_t prio;
        uint64_t tie;

        agent_init(&agent,
                   STUN_AGENT_USAGE_SHORT_TERM_CREDENTIALS | STUN_AGENT_USAGE_USE_FINGERPRINT);
        g_assert_cmpint(validate(&agent, &msg, buf, n, password), ==, STUN_VALIDATION_SUCCESS);
        g_assert_cmpint(stun_message_get_class(&msg), ==, STUN_REQUEST);
        stun_message_id(&msg, id);
        g_assert_cmpmem(id + 4, SP_STUN_TXID_LEN, s.txid, sizeof s.txid);
        g_assert_cmpint(stun_message_find32(&msg, STUN_ATTRIBUTE_PRIORITY, &prio), ==, 0);
        g_assert_cmpuint(prio, ==, s.priority);
        g_assert_cmpint(stun_message_find64(&msg,
                                            s.controlling ? STUN_ATTRIBUTE_ICE_CONTROLLING
                                                          : STUN_ATTRIBUTE_ICE_CONTROLLED,
                                            &tie),
                        ==,
                        0);
        g_assert_cmpuint(tie, ==, s.tie);
        g_assert_cmpint(stun_message_find_flag(&msg, STUN_ATTRIBUTE_USE_CANDIDATE) == 0,
                        ==,
                        s.use_candidate);
        g_assert_cmpint(
            stun_message_find_xor_addr(&msg, STUN_ATTRIBUTE_XOR_MAPPED_ADDRESS, &addr, &addr_len),
            ==,
            0);
        assert_same_addr(&addr, &s.mapped);
        g_assert_cmpint(validate(&agent, &msg, buf, n, "wrong"), ==, STUN_VALIDATION_UNAUTHORIZED);
    }
}

static void
ours_reads_nice(void)
{
    struct test_rng state;
    struct sp_rng rng = test_rng_init(&state, 2);

    for (int i = 0; i < ROUNDS; i++) {
        struct sample s = random_sample(&rng);
        struct sockaddr_storage addr;
        socklen_t addr_len = to_sockaddr(&s.mapped, &addr);
        struct sp_endpoint mapped;
        struct sp_stun_msg view;
        uint8_t buf[256];
        StunAgent agent;
        StunMessage msg;
        uint32_t prio;
        char name[32];
        size_t n;

        agent_init(&agent,
                   STUN_AGENT_USAGE_SHORT_TERM_CREDENTIALS | STUN_AGENT_USAGE_USE_FINGERPRINT);
        g_assert_true(stun_agent_init_request(&agent, &msg, buf, sizeof buf, STUN_BINDING));
        stun_message_append32(&msg, STUN_ATTRIBUTE_PRIORITY, s.priority);
        if (s.use_candidate)
            stun_message_append_flag(&msg, STUN_ATTRIBUTE_USE_CANDIDATE);
        stun_message_append_xor_addr(&msg, STUN_ATTRIBUTE_XOR_MAPPED_ADDRESS, &addr, addr_len);
        stun_message_append_string(&msg, STUN_ATTRIBUTE_USERNAME, username);
        n = stun_agent_finish_message(&agent, &msg, (const uint8_t *)password, strlen(password));
        g_assert_cmpuint(n, >, 0);

        g_assert_cmpint(sp_stun_parse(sp_span(buf, n), &view), ==, 0);
        g_assert_cmpint(view.cls, ==, SP_STUN_REQUEST);
        g_assert_cmpuint(view.method, ==, SP_STUN_BINDING);
        g_assert_true(sp_stun_get_u32(&view, SP_STUN_PRIORITY, &prio));
        g_assert_cmpuint(prio, ==, s.priority);
        g_assert_cmpint(sp_stun_has(&view, SP_STUN_USE_CANDIDATE), ==, s.use_candidate);
        g_assert_true(sp_stun_get_xor_addr(&view, SP_STUN_XOR_MAPPED_ADDRESS, 0, &mapped));
        g_assert_true(sp_endpoint_equal(&mapped, &s.mapped));
        g_assert_true(sp_stun_get_string(&view, SP_STUN_USERNAME, name, sizeof name));
        g_assert_cmpstr(name, ==, username);
        g_assert_cmpint(sp_stun_check_integrity(&view, sp_span(password, strlen(password))), ==, 0);
        g_assert_cmpint(sp_stun_check_fingerprint(&view), ==, 0);
    }
}

/* TURN style: long-term key over USERNAME and REALM, no NONCE, no FINGERPRINT. */
static void
long_term_agrees(void)
{
    uint8_t key[SP_STUN_LONG_KEY_LEN];
    struct sp_stun_msg view;
    uint8_t buf[256];
    StunAgent agent;
    StunMessage msg;
    size_t n;

    sp_stun_long_term_key("user", "firezone", "pass", key);
    agent_init(&agent, STUN_AGENT_USAGE_LONG_TERM_CREDENTIALS);
    g_assert_true(stun_agent_init_request(&agent, &msg, buf, sizeof buf, STUN_ALLOCATE));
    stun_message_append_string(&msg, STUN_ATTRIBUTE_USERNAME, "user");
    stun_message_append_string(&msg, STUN_ATTRIBUTE_REALM, "firezone");
    n = stun_agent_finish_message(&agent, &msg, (const uint8_t *)"pass", 4);
    g_assert_cmpuint(n, >, 0);
    g_assert_cmpint(sp_stun_parse(sp_span(buf, n), &view), ==, 0);
    g_assert_cmpuint(view.method, ==, SP_STUN_ALLOCATE);
    g_assert_cmpint(sp_stun_check_integrity(&view, sp_span(key, sizeof key)), ==, 0);
    g_assert_cmpint(sp_stun_check_fingerprint(&view), ==, SP_E_NOTFOUND);
}

static void
errors_agree(void)
{
    static const unsigned codes[] = { 300, 400, 401, 420, 437, 438, 440, 443, 486, 487, 508 };

    for (size_t i = 0; i < G_N_ELEMENTS(codes); i++) {
        static const uint8_t txid[SP_STUN_TXID_LEN] = { 9 };
        struct sp_stun_builder b;
        uint8_t buf[128];
        StunMessage msg = { .buffer = buf, .buffer_len = sizeof buf };
        int code = 0;

        g_test_message("code %u", codes[i]);
        b = sp_stun_build(buf, sizeof buf, SP_STUN_ERROR, SP_STUN_ALLOCATE, txid);
        sp_stun_put_error(&b, codes[i], NULL);
        g_assert_cmpint(sp_stun_finish(&b), >, 0);
        g_assert_cmpint(stun_message_find_error(&msg, &code), ==, STUN_MESSAGE_RETURN_SUCCESS);
        g_assert_cmpint(code, ==, codes[i]);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/stun/nice/reads-ours", nice_reads_ours);
    g_test_add_func("/stun/nice/ours-reads", ours_reads_nice);
    g_test_add_func("/stun/nice/long-term", long_term_agrees);
    g_test_add_func("/stun/nice/errors", errors_agree);
    return g_test_run();
}
