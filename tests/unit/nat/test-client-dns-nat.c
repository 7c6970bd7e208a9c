/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>
#include <string.h>

#include "engine/base/err.h"
#include "engine/nat/client-dns-nat.h"
#include "tests/support/rng.h"

#define T0 SP_SEC(100)

struct fixture {
    struct test_rng state;
    struct sp_rng rng;
    struct sp_pkt_pool pool;
    struct sp_nat_dns nat;
};

static void
setup(struct fixture *f)
{
    f->rng = test_rng_init(&f->state, 1);
    sp_pkt_pool_init(&f->pool, 128);
    sp_nat_dns_init(&f->nat, &f->rng);
}

static void
teardown(struct fixture *f)
{
    sp_nat_dns_done(&f->nat);
    sp_pkt_pool_done(&f->pool);
}

static struct sp_nat_dns_key
key(uint8_t gateway, uint8_t resource, const char *domain)
{
    return (struct sp_nat_dns_key){
        .gateway = { .b = { gateway } },
        .resource = { .b = { resource } },
        .domain = domain,
    };
}

static struct sp_pkt *
numbered(struct fixture *f, uint8_t n)
{
    struct sp_pkt *pkt = sp_pkt_from_bytes(&f->pool, &n, 1);

    g_assert_nonnull(pkt);
    return pkt;
}

static bool
update(struct fixture *f, const struct sp_nat_dns_key *k, struct sp_pkt_queue *q, sp_time now)
{
    struct sp_span send;

    g_assert_cmpint(sp_nat_dns_update(&f->nat, k, sp_span("event", 5), q, now, &send), ==, 0);
    if (send.n)
        g_assert_true(send.n == 5 && memcmp(send.p, "event", 5) == 0);
    return send.n != 0;
}

/* Returns: the outcome; a packet that was not taken is freed here. */
static int
outgoing(struct fixture *f, const struct sp_nat_dns_key *k, uint8_t n, sp_time now, bool *ret_sent)
{
    struct sp_pkt *pkt = numbered(f, n);
    struct sp_span send;
    int r = sp_nat_dns_handle_outgoing(&f->nat, k, pkt, now, &send);

    if (r == 0)
        sp_pkt_free(pkt);
    *ret_sent = send.n != 0;
    return r;
}

static size_t
status(struct fixture *f, const struct sp_nat_dns_key *k, bool active)
{
    struct sp_pkt_queue q = { .max = 1 };
    size_t n;

    (void)sp_nat_dns_handle_status(&f->nat, k, active, &q);
    n = q.len;
    sp_pkt_queue_clear(&q);
    return n;
}

/* Bring a fresh entry into @state, with its event sent at T0 where that matters. */
static void
reach(struct fixture *f, const struct sp_nat_dns_key *k, enum sp_nat_dns_state state)
{
    if (state == SP_NAT_DNS_NONE)
        return;
    g_assert_true(update(f, k, NULL, T0));
    if (state == SP_NAT_DNS_FAILED || state == SP_NAT_DNS_RECREATING_BUFFERING)
        status(f, k, false);
    else if (state != SP_NAT_DNS_PENDING_BUFFERING)
        status(f, k, true);
    if (state == SP_NAT_DNS_RECREATING_PASS || state == SP_NAT_DNS_RECREATING_BUFFERING
        || state == SP_NAT_DNS_PENDING_PASS)
        sp_nat_dns_recreate(&f->nat, k->domain);
    if (state == SP_NAT_DNS_PENDING_PASS)
        g_assert_true(update(f, k, NULL, T0));
    g_assert_cmpint(sp_nat_dns_get_state(&f->nat, k), ==, state);
}

enum event {
    UPDATE_SOON,
    UPDATE_LATE,
    RECREATE,
    OUT_SOON,
    OUT_LATE,
    ACTIVE,
    INACTIVE,
    N_EVENTS
};

#define NONE SP_NAT_DNS_NONE
#define PB   SP_NAT_DNS_PENDING_BUFFERING
#define PP   SP_NAT_DNS_PENDING_PASS
#define RB   SP_NAT_DNS_RECREATING_BUFFERING
#define RP   SP_NAT_DNS_RECREATING_PASS
#define OK   SP_NAT_DNS_CONFIRMED
#define BAD  SP_NAT_DNS_FAILED

/* spec tunnel A.13: state x event -> state, event sent, packet kept */
static void
state_table(void)
{
    static const struct {
        enum sp_nat_dns_state next[N_EVENTS];
        uint8_t sends[N_EVENTS];
        uint8_t keeps[N_EVENTS]; /* the packet of an update or an outgoing one */
    } table[_SP_NAT_DNS_STATE_MAX] = {
        [NONE] = { { PB, PB, NONE, NONE, NONE, NONE, NONE }, { 1, 1 }, { 1, 1 } },
        [PB] = { { PB, PB, PB, PB, PB, OK, BAD }, { 0, 1, 0, 0, 1 }, { 1, 1, 0, 1, 1 } },
        [PP] = { { PP, PP, PP, PP, PP, OK, BAD }, { 0, 1, 0, 0, 1 }, { 1, 1, 0, 0, 0 } },
        [RB] = { { PB, PB, RB, RB, RB, OK, BAD }, { 1, 1 }, { 1, 1 } },
        [RP] = { { PP, PP, RP, RP, RP, OK, BAD }, { 1, 1 }, { 1, 1 } },
        [OK] = { { OK, OK, RP, OK, OK, OK, BAD }, { 0 }, { 0 } },
        [BAD] = { { BAD, BAD, RB, BAD, BAD, OK, BAD }, { 0 }, { 0 } },
    };

    for (int s = 0; s < _SP_NAT_DNS_STATE_MAX; s++) {
        for (int ev = 0; ev < N_EVENTS; ev++) {
            struct sp_nat_dns_key k = key(1, 2, "app.example.com");
            struct sp_pkt_queue q = { .max = 4 };
            bool late = ev == UPDATE_LATE || ev == OUT_LATE, sent = false;
            sp_time now = T0 + SP_SEC(2) - !late;
            size_t kept = 0;
            struct fixture f;

            g_test_message("%s, event %d", sp_nat_dns_state_name((enum sp_nat_dns_state)s), ev);
            setup(&f);
            reach(&f, &k, (enum sp_nat_dns_state)s);
            if (ev == UPDATE_SOON || ev == UPDATE_LATE) {
                g_assert_cmpint(sp_pkt_queue_push(&q, numbered(&f, 1)), ==, 0);
                sent = update(&f, &k, &q, now);
                kept = 1 - q.len;
                sp_pkt_queue_clear(&q);
            } else if (ev == RECREATE) {
                sp_nat_dns_recreate(&f.nat, k.domain);
            } else if (ev == OUT_SOON || ev == OUT_LATE) {
                kept = outgoing(&f, &k, 1, now, &sent) == SP_NAT_DNS_BUFFERED;
            } else {
                g_assert_cmpuint(status(&f, &k, ev == ACTIVE), ==, 0);
            }
            g_assert_cmpint(sp_nat_dns_get_state(&f.nat, &k), ==, table[s].next[ev]);
            g_assert_cmpint(sent, ==, table[s].sends[ev]);
            g_assert_cmpuint(kept, ==, table[s].keeps[ev]);
            g_assert_cmpuint(f.pool.in_use, ==, kept);
            teardown(&f);
        }
    }
}

/* F.1 "resend assigned-ips on traffic": 2 s, only with traffic, at most 32 kept, in order. */
static void
resends_and_keeps_order(void)
{
    struct sp_nat_dns_key k = key(1, 2, "app.example.com");
    struct sp_pkt_queue released = { 0 };
    struct sp_pkt *pkt;
    struct fixture f;
    bool sent;

    setup(&f);
    g_assert_true(update(&f, &k, NULL, T0));
    for (uint8_t i = 0; i < 40; i++) {
        g_assert_cmpint(outgoing(&f, &k, i, T0 + SP_MS(100) * i, &sent), ==, SP_NAT_DNS_BUFFERED);
        g_assert_cmpint(sent, ==, i == 20);
    }
    g_assert_cmpuint(f.pool.in_use, ==, SP_NAT_DNS_RING);
    /* a duplicate is not kept twice */
    g_assert_cmpint(outgoing(&f, &k, 39, T0 + SP_MS(3999), &sent), ==, SP_NAT_DNS_BUFFERED);
    g_assert_false(sent);
    g_assert_cmpuint(f.pool.in_use, ==, SP_NAT_DNS_RING);
    g_assert_cmpuint(sp_nat_dns_handle_status(&f.nat, &k, true, &released), ==, 0);
    g_assert_cmpuint(released.len, ==, SP_NAT_DNS_RING);
    for (uint8_t i = 8; (pkt = sp_pkt_queue_pop(&released)) != NULL; i++) {
        g_assert_cmpint(sp_pkt_data(pkt)[0], ==, i);
        sp_pkt_free(pkt);
    }
    g_assert_cmpint(outgoing(&f, &k, 1, T0 + SP_SEC(60), &sent), ==, 0);
    teardown(&f);
}

static void
inactive_frees(void)
{
    struct sp_nat_dns_key k = key(1, 2, "a");
    struct sp_pkt_queue released = { 0 };
    struct fixture f;
    bool sent;

    setup(&f);
    g_assert_true(update(&f, &k, NULL, T0));
    g_assert_cmpint(outgoing(&f, &k, 1, T0, &sent), ==, SP_NAT_DNS_BUFFERED);
    g_assert_cmpint(outgoing(&f, &k, 2, T0, &sent), ==, SP_NAT_DNS_BUFFERED);
    g_assert_cmpuint(sp_nat_dns_handle_status(&f.nat, &k, false, &released), ==, 2);
    g_assert_cmpuint(released.len, ==, 0);
    g_assert_cmpuint(f.pool.in_use, ==, 0);
    teardown(&f);
}

static void
keys_are_separate(void)
{
    struct sp_nat_dns_key a = key(1, 2, "a"), b = key(2, 2, "a"), c = key(1, 3, "a"),
                          d = key(1, 2, "b");
    struct fixture f;
    bool sent;

    setup(&f);
    g_assert_true(update(&f, &a, NULL, T0));
    g_assert_true(update(&f, &b, NULL, T0));
    g_assert_true(update(&f, &d, NULL, T0));
    g_assert_cmpint(outgoing(&f, &a, 1, T0, &sent), ==, SP_NAT_DNS_BUFFERED);
    g_assert_cmpint(outgoing(&f, &c, 1, T0, &sent), ==, 0);
    /* a status counts for the gateway it came from only */
    status(&f, &b, true);
    g_assert_cmpint(sp_nat_dns_get_state(&f.nat, &a), ==, SP_NAT_DNS_PENDING_BUFFERING);
    g_assert_cmpint(sp_nat_dns_get_state(&f.nat, &b), ==, SP_NAT_DNS_CONFIRMED);
    /* recreate is by name, whatever the gateway */
    status(&f, &a, true);
    status(&f, &d, true);
    sp_nat_dns_recreate(&f.nat, "a");
    g_assert_cmpint(sp_nat_dns_get_state(&f.nat, &a), ==, SP_NAT_DNS_RECREATING_PASS);
    g_assert_cmpint(sp_nat_dns_get_state(&f.nat, &b), ==, SP_NAT_DNS_RECREATING_PASS);
    g_assert_cmpint(sp_nat_dns_get_state(&f.nat, &d), ==, SP_NAT_DNS_CONFIRMED);
    sp_nat_dns_remove_gateway(&f.nat, &b.gateway);
    g_assert_cmpint(sp_nat_dns_get_state(&f.nat, &b), ==, SP_NAT_DNS_NONE);
    g_assert_cmpint(sp_nat_dns_get_state(&f.nat, &a), ==, SP_NAT_DNS_RECREATING_PASS);
    sp_nat_dns_remove_resource(&f.nat, &a.resource);
    g_assert_cmpint(sp_nat_dns_get_state(&f.nat, &a), ==, SP_NAT_DNS_NONE);
    g_assert_cmpint(sp_nat_dns_get_state(&f.nat, &d), ==, SP_NAT_DNS_NONE);
    teardown(&f);
}

static void
bounds(void)
{
    static const uint8_t big[SP_MTU + 1] = { 0 };
    char domain[SP_NAT_DNS_DOMAIN_MAX + 2] = { 0 };
    struct sp_nat_dns_key k = key(1, 2, domain);
    struct sp_span send;
    struct fixture f;

    setup(&f);
    memset(domain, 'a', SP_NAT_DNS_DOMAIN_MAX);
    g_assert_true(update(&f, &k, NULL, T0));
    domain[SP_NAT_DNS_DOMAIN_MAX] = 'a';
    g_assert_cmpint(sp_nat_dns_update(&f.nat, &k, sp_span(big, 1), NULL, T0, &send),
                    ==,
                    SP_E_INVAL);
    domain[1] = '\0';
    g_assert_cmpint(sp_nat_dns_update(&f.nat, &k, sp_span(big, sizeof big), NULL, T0, &send),
                    ==,
                    SP_E_INVAL);
    g_assert_cmpint(sp_nat_dns_update(&f.nat, &k, sp_span(big, 0), NULL, T0, &send),
                    ==,
                    SP_E_INVAL);
    g_assert_cmpint(sp_nat_dns_get_state(&f.nat, &k), ==, SP_NAT_DNS_NONE);
    for (uint32_t i = 1; i < SP_NAT_DNS_ENTRIES_MAX; i++) {
        g_snprintf(domain, sizeof domain, "%u", i);
        g_assert_true(update(&f, &k, NULL, T0));
    }
    g_snprintf(domain, sizeof domain, "%d", SP_NAT_DNS_ENTRIES_MAX);
    g_assert_cmpint(sp_nat_dns_update(&f.nat, &k, sp_span(big, 1), NULL, T0, &send),
                    ==,
                    SP_E_LIMIT);
    teardown(&f);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nat/client-dns/state-table", state_table);
    g_test_add_func("/nat/client-dns/resends", resends_and_keeps_order);
    g_test_add_func("/nat/client-dns/inactive-frees", inactive_frees);
    g_test_add_func("/nat/client-dns/keys", keys_are_separate);
    g_test_add_func("/nat/client-dns/bounds", bounds);
    return g_test_run();
}
