/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>

#include "engine/dns/records.h"
#include "engine/dns/servers.h"
#include "tests/support/rng.h"

struct fixture {
    struct test_rng state;
    struct sp_rng rng;
    struct sp_dns_records records;
};

static void
set_up(struct fixture *f, gconstpointer data SP_UNUSED)
{
    f->rng = test_rng_init(&f->state, 30);
    sp_dns_records_init(&f->records, &f->rng);
}

static void
tear_down(struct fixture *f, gconstpointer data SP_UNUSED)
{
    sp_dns_records_done(&f->records);
}

static struct sp_uuid
id(uint8_t n)
{
    return (struct sp_uuid){ .b = { [15] = n } };
}

static struct sp_dns_name
name_of(const char *text)
{
    struct sp_dns_name name;

    g_assert_cmpint(sp_dns_name_parse(text, &name), ==, 0);
    return name;
}

static void
add(struct sp_dns_records *records, uint8_t n, const char *pattern, enum sp_ip_stack stack)
{
    struct sp_uuid uuid = id(n);

    g_assert_cmpint(sp_dns_records_add_resource(records, &uuid, pattern, stack), ==, 0);
}

static const struct sp_dns_record *
assign(struct sp_dns_records *records, const char *text, size_t *first_new)
{
    struct sp_dns_name name = name_of(text);

    return sp_dns_records_assign(records, &name, first_new);
}

static void
is_ip(const struct sp_ip *ip, const char *want)
{
    char text[SP_IP_STR_MAX];

    g_assert_cmpstr(sp_ip_format(ip, text), ==, want);
}

static void
numbers_from_the_start(struct fixture *f, gconstpointer data SP_UNUSED)
{
    const struct sp_dns_record *r;
    size_t first;

    add(&f->records, 1, "*.corp", SP_IP_STACK_DUAL);
    g_assert_null(assign(&f->records, "a.other", &first));
    r = assign(&f->records, "A.corp", &first);
    g_assert_cmpuint(first, ==, 0);
    g_assert_cmpuint(r->n_assoc, ==, 1);
    is_ip(&r->v4[0], "100.96.0.1");
    is_ip(&r->v4[3], "100.96.0.4");
    is_ip(&r->v6[0], "fd00:2021:1111:8000::");
    is_ip(&r->v6[3], "fd00:2021:1111:8000::3");
    g_assert_true(assign(&f->records, "a.CORP", &first) == r);
    g_assert_cmpuint(first, ==, 1);
    r = assign(&f->records, "b.corp", &first);
    is_ip(&r->v4[0], "100.96.0.5");
    g_assert_true(sp_dns_records_find_ip(&f->records, &r->v6[2]) == r);
}

static void
single_stack_still_gets_both(struct fixture *f, gconstpointer data SP_UNUSED)
{
    struct sp_dns_name name = name_of("x.corp");
    struct sp_dns_match m;
    size_t first;

    add(&f->records, 1, "x.corp", SP_IP_STACK_IPV6_ONLY);
    m = sp_dns_records_match(&f->records, &name);
    g_assert_false(m.has_v4);
    g_assert_true(m.has_v6);
    g_assert_cmpuint(assign(&f->records, "x.corp", &first)->n4, ==, 4);
    add(&f->records, 2, "*.corp", SP_IP_STACK_IPV4_ONLY);
    m = sp_dns_records_match(&f->records, &name);
    g_assert_true(m.has_v4);
    g_assert_true(m.has_v6);
}

static bool
best_is(struct fixture *f, const struct sp_dns_name *name, const struct sp_uuid *want)
{
    struct sp_dns_match m = sp_dns_records_match(&f->records, name);

    return sp_uuid_equal(&m.best, want);
}

static void
best_is_specific_then_high(struct fixture *f, gconstpointer data SP_UNUSED)
{
    struct sp_dns_name name = name_of("x.corp");
    struct sp_uuid want;

    add(&f->records, 9, "*.corp", SP_IP_STACK_DUAL);
    add(&f->records, 3, "x.corp", SP_IP_STACK_DUAL);
    want = id(3);
    g_assert_true(best_is(f, &name, &want));
    add(&f->records, 5, "x.corp", SP_IP_STACK_DUAL);
    add(&f->records, 4, "x.corp", SP_IP_STACK_DUAL);
    want = id(5);
    g_assert_true(best_is(f, &name, &want));
    g_assert_cmpuint(sp_dns_records_match(&f->records, &name).n, ==, 4);
}

static void
associations_live_on(struct fixture *f, gconstpointer data SP_UNUSED)
{
    const struct sp_dns_record *r;
    struct sp_uuid one = id(1), two = id(2);
    struct sp_ip before;
    size_t first;

    add(&f->records, 1, "*.corp", SP_IP_STACK_DUAL);
    r = assign(&f->records, "a.corp", &first);
    before = r->v4[0];
    add(&f->records, 2, "a.corp", SP_IP_STACK_DUAL);
    g_assert_true(assign(&f->records, "a.corp", &first) == r);
    g_assert_cmpuint(first, ==, 1);
    g_assert_cmpuint(r->n_assoc, ==, 2);
    g_assert_true(sp_uuid_equal(&r->assoc[1].resource, &two));

    sp_dns_records_remove_resource(&f->records, &one);
    g_assert_true(sp_dns_record_has(r, &one));
    add(&f->records, 1, "*.corp", SP_IP_STACK_IPV4_ONLY); /* same pattern: still there */
    g_assert_true(sp_dns_record_has(r, &one));
    f->records.changed = false;
    add(&f->records, 1, "**.corp", SP_IP_STACK_DUAL); /* another one: gone until asked again */
    g_assert_true(f->records.changed);
    g_assert_false(sp_dns_record_has(r, &one));
    g_assert_true(sp_dns_record_has(r, &two));
    g_assert_true(assign(&f->records, "a.corp", &first) == r);
    g_assert_cmpuint(first, ==, 1);
    g_assert_cmpstr(r->assoc[1].pattern, ==, "**.corp");
    g_assert_true(sp_ip_equal(&r->v4[0], &before));
}

static void
bad_pattern_matches_nothing(struct fixture *f, gconstpointer data SP_UNUSED)
{
    struct sp_uuid uuid = id(1);
    size_t first;

    add(&f->records, 1, "*.corp", SP_IP_STACK_DUAL);
    g_assert_cmpint(sp_dns_records_add_resource(&f->records, &uuid, "a**.corp", SP_IP_STACK_DUAL),
                    ==,
                    SP_E_MALFORMED);
    g_assert_null(assign(&f->records, "a.corp", &first));
}

static void
skips_sentinels(struct fixture *f, gconstpointer data SP_UNUSED)
{
    const struct sp_dns_record *r;
    size_t first;

    add(&f->records, 1, "*.corp", SP_IP_STACK_DUAL);
    /* 100.100.110.254 is the last but one address in front of the sentinels */
    f->records.v4.next = (4u << 16) + (110u << 8) + 254;
    r = assign(&f->records, "a.corp", &first);
    is_ip(&r->v4[0], "100.100.110.254");
    is_ip(&r->v4[1], "100.100.110.255");
    is_ip(&r->v4[2], "100.100.112.0");
    is_ip(&r->v4[3], "100.100.112.1");
}

static void
runs_out(struct fixture *f, gconstpointer data SP_UNUSED)
{
    const struct sp_dns_record *r;
    size_t first;

    add(&f->records, 1, "*.corp", SP_IP_STACK_DUAL);
    f->records.v4.next = f->records.v4.end - 2;
    f->records.v6.next = f->records.v6.end - 4;
    r = assign(&f->records, "a.corp", &first);
    g_assert_cmpuint(r->n4, ==, 2);
    is_ip(&r->v4[1], "100.127.255.254");
    g_assert_cmpuint(r->v4[2].family, ==, 0);
    g_assert_cmpuint(r->n6, ==, 4);
    is_ip(&r->v6[3], "fd00:2021:1111:8000::1f:ffff");
    g_assert_cmpuint(f->records.exhausted, ==, 1);
    r = assign(&f->records, "b.corp", &first);
    g_assert_cmpuint(r->n4, ==, 0);
    g_assert_cmpuint(r->n6, ==, 0);
    g_assert_cmpuint(f->records.exhausted, ==, 2);
}

static void
too_many_names(struct fixture *f, gconstpointer data SP_UNUSED)
{
    char text[32];
    size_t first;

    add(&f->records, 1, "*.corp", SP_IP_STACK_DUAL);
    for (unsigned i = 0; i < SP_DNS_RECORDS_MAX; i++) {
        g_snprintf(text, sizeof text, "n%u.corp", i);
        g_assert_nonnull(assign(&f->records, text, &first));
    }
    g_assert_null(assign(&f->records, "one-more.corp", &first));
    g_assert_cmpuint(f->records.exhausted, ==, 1);
    g_assert_nonnull(assign(&f->records, "n77.corp", &first));
}

static void
survives_sessions(struct fixture *f, gconstpointer data SP_UNUSED)
{
    struct sp_dns_record_set set;
    struct sp_dns_records next;
    const struct sp_dns_record *a, *b;
    struct sp_uuid one = id(1);
    size_t first;

    add(&f->records, 1, "*.corp", SP_IP_STACK_DUAL);
    a = assign(&f->records, "a.corp", &first);
    (void)assign(&f->records, "b.corp", &first);
    sp_dns_records_export(&f->records, &set);
    g_assert_cmpuint(set.n, ==, 2);

    sp_dns_records_init(&next, &f->rng);
    sp_dns_records_seed(&next, &set);
    sp_dns_records_seed(&next, &set); /* harmless */
    sp_dns_record_set_done(&set);
    add(&next, 1, "*.corp", SP_IP_STACK_DUAL);
    b = assign(&next, "a.corp", &first);
    g_assert_cmpuint(first, ==, 1);
    g_assert_true(sp_dns_record_has(b, &one));
    g_assert_cmpmem(a->v4, sizeof a->v4, b->v4, sizeof b->v4);
    g_assert_cmpmem(a->v6, sizeof a->v6, b->v6, sizeof b->v6);
    g_assert_true(sp_dns_records_find_ip(&next, &a->v4[1]) == b);
    b = assign(&next, "c.corp", &first);
    is_ip(&b->v4[0], "100.96.0.9");
    is_ip(&b->v6[0], "fd00:2021:1111:8000::8");
    sp_dns_records_done(&next);
}

static void
seed_is_checked(struct fixture *f, gconstpointer data SP_UNUSED)
{
    struct sp_dns_record bad = {
        .name = name_of("a.corp"),
        .v4 = { sp_ip4(8, 8, 8, 8), sp_ip4(100, 100, 111, 1), sp_ip4(100, 96, 0, 2), { 0 } },
        .n4 = 4,
    };
    struct sp_dns_record_set set = { .v = &bad, .n = 1 };
    const struct sp_dns_record *r;
    size_t first;

    sp_dns_records_seed(&f->records, &set);
    add(&f->records, 1, "*.corp", SP_IP_STACK_DUAL);
    r = assign(&f->records, "a.corp", &first);
    g_assert_cmpuint(r->n4, ==, 1);
    is_ip(&r->v4[0], "100.96.0.2");
    r = assign(&f->records, "b.corp", &first);
    is_ip(&r->v4[0], "100.96.0.5");
}

/* Random adds, removals, queries and sessions: addresses are unique, stable, never sentinels, and
 * the set of matching resources is what a plain list says. */
static void
agrees_with_model(struct fixture *f, gconstpointer data SP_UNUSED)
{
    static const char *const patterns[] = { "*.corp", "**.corp", "a.corp", "?.corp", "b*.corp" };
    static const char *const names[] = { "a.corp", "b.corp", "bb.corp", "x.y.corp", "corp", "z.x" };
    const char *active[8] = { NULL };
    struct sp_ip fixed[G_N_ELEMENTS(names)] = { 0 };

    for (int step = 0; step < 20000; step++) {
        uint32_t op = sp_rng_below(&f->rng, 100);
        uint8_t n = (uint8_t)sp_rng_below(&f->rng, 8);
        uint32_t which = sp_rng_below(&f->rng, G_N_ELEMENTS(names));
        struct sp_uuid uuid = id(n);

        if (op < 20) {
            active[n] = patterns[sp_rng_below(&f->rng, G_N_ELEMENTS(patterns))];
            add(&f->records, n, active[n], SP_IP_STACK_DUAL);
        } else if (op < 40) {
            active[n] = NULL;
            sp_dns_records_remove_resource(&f->records, &uuid);
        } else if (op == 99) {
            struct sp_dns_record_set set;

            sp_dns_records_export(&f->records, &set);
            sp_dns_records_done(&f->records);
            sp_dns_records_init(&f->records, &f->rng);
            sp_dns_records_seed(&f->records, &set);
            sp_dns_record_set_done(&set);
            for (uint8_t i = 0; i < 8; i++) {
                if (active[i])
                    add(&f->records, i, active[i], SP_IP_STACK_DUAL);
            }
        } else {
            struct sp_dns_name name = name_of(names[which]);
            const struct sp_dns_record *r;
            size_t first, expected = 0;

            r = sp_dns_records_assign(&f->records, &name, &first);
            for (uint8_t i = 0; i < 8; i++) {
                struct sp_dns_pattern p;

                if (!active[i])
                    continue;
                g_assert_cmpint(sp_dns_pattern_init(&p, active[i]), ==, 0);
                if (sp_dns_pattern_match(&p, &name)) {
                    struct sp_uuid other = id(i);

                    expected++;
                    g_assert_nonnull(r);
                    g_assert_true(sp_dns_record_has(r, &other));
                }
                sp_dns_pattern_done(&p);
            }
            g_assert_cmpint(r != NULL, ==, expected > 0);
            if (!r)
                continue;
            g_assert_cmpuint(r->n4, ==, 4);
            g_assert_false(sp_dns_is_sentinel(&r->v4[0]));
            for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
                g_assert_true(i == which || !sp_ip_equal(&fixed[i], &r->v4[0]));
            if (fixed[which].family)
                g_assert_true(sp_ip_equal(&fixed[which], &r->v4[0]));
            fixed[which] = r->v4[0];
        }
    }
}

#define ADD(path, fn) g_test_add("/dns/records/" path, struct fixture, NULL, set_up, fn, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("numbers-from-the-start", numbers_from_the_start);
    ADD("single-stack", single_stack_still_gets_both);
    ADD("best", best_is_specific_then_high);
    ADD("associations-live-on", associations_live_on);
    ADD("bad-pattern", bad_pattern_matches_nothing);
    ADD("skips-sentinels", skips_sentinels);
    ADD("runs-out", runs_out);
    ADD("too-many-names", too_many_names);
    ADD("survives-sessions", survives_sessions);
    ADD("seed-is-checked", seed_is_checked);
    ADD("agrees-with-model", agrees_with_model);
    return g_test_run();
}
