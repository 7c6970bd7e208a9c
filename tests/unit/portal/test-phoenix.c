/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>
#include <string.h>

#include "engine/base/err.h"
#include "engine/portal/phoenix.h"
#include "tests/support/rng.h"
#include "tests/unit/portal/json-support.h"

#define JOIN  "{'topic':'client','event':'phx_join','payload':null,'ref':0}"
#define HELLO "{'topic':'client','event':'hello','payload':{'a':1},'ref':1}"

static struct sp_phx *
phx_new(bool hello)
{
    struct sp_phx_config config = { .topic = "client" };

    if (hello) {
        config.hello_event = "hello";
        config.hello_payload = "{\"a\":1}";
    }
    return sp_phx_new(&config, NULL);
}

static void
feed(struct sp_phx *phx, const char *text, sp_time now)
{
    g_autofree char *frame = json_text(text);

    sp_phx_handle_text(phx, frame, strlen(frame), now);
}

/* @want NULL: nothing to write */
static void
expect_frame(struct sp_phx *phx, const char *want)
{
    g_autofree char *got = sp_phx_poll_transmit(phx);
    g_autofree char *text = want != NULL ? json_text(want) : NULL;

    g_assert_cmpstr(got, ==, text);
}

static void
expect_no_event(struct sp_phx *phx)
{
    struct sp_phx_event ev;

    g_assert_false(sp_phx_poll_event(phx, &ev));
}

static void
expect_joined(struct sp_phx *phx)
{
    struct sp_phx_event ev;

    g_assert_true(sp_phx_poll_event(phx, &ev));
    g_assert_cmpint(ev.type, ==, SP_PHX_JOINED_EVENT);
    g_assert_cmpint(sp_phx_state(phx), ==, SP_PHX_JOINED);
}

static void
expect_lost(struct sp_phx *phx, enum sp_phx_lost reason)
{
    struct sp_phx_event ev;

    g_assert_true(sp_phx_poll_event(phx, &ev));
    g_assert_cmpint(ev.type, ==, SP_PHX_LOST);
    g_assert_cmpint(ev.u.lost, ==, reason);
    g_assert_cmpint(sp_phx_state(phx), ==, SP_PHX_DOWN);
    g_assert_cmpuint(sp_phx_next_timeout(phx), ==, SP_TIME_NEVER);
    expect_frame(phx, NULL);
    expect_no_event(phx);
}

static void
expect_fatal(struct sp_phx *phx, const char *message, bool requires_sign_in)
{
    struct sp_phx_event ev;

    g_assert_true(sp_phx_poll_event(phx, &ev));
    g_assert_cmpint(ev.type, ==, SP_PHX_FATAL);
    g_assert_cmpstr(ev.u.fatal.message, ==, message);
    g_assert_cmpint(ev.u.fatal.requires_sign_in, ==, requires_sign_in);
    sp_phx_event_done(&ev);
    g_assert_cmpint(sp_phx_state(phx), ==, SP_PHX_DOWN);
    expect_no_event(phx);
}

static void
join_ok(struct sp_phx *phx, sp_time now)
{
    sp_phx_handle_open(phx, now);
    expect_frame(phx, JOIN);
    expect_frame(phx, NULL);
    feed(phx,
         "{'event':'phx_reply','ref':0,'topic':'client','payload':{'status':'ok','response':{}}}",
         now);
    expect_joined(phx);
}

static void
nothing_overtakes_the_join(void)
{
    struct sp_phx *phx = phx_new(true);

    g_assert_cmpint(sp_phx_send(phx, "early", "{}"), ==, SP_E_STATE);
    sp_phx_handle_open(phx, 0);
    g_assert_cmpint(sp_phx_send(phx, "a", "{}"), ==, 0);
    expect_frame(phx, JOIN);
    expect_frame(phx, NULL);
    g_assert_cmpint(sp_phx_send(phx, "b", "{}"), ==, 0);
    g_assert_cmpint(sp_phx_send(phx, "a", "{}"), ==, 0); /* a duplicate */
    g_assert_cmpint(sp_phx_send(phx, "a", "{\"x\":1}"), ==, 0);
    expect_frame(phx, NULL);
    feed(phx,
         "{'event':'phx_reply','ref':0,'topic':'client','join_ref':null,"
         "'payload':{'status':'ok','response':null}}",
         1);
    expect_joined(phx);
    expect_frame(phx, HELLO);
    expect_frame(phx, "{'topic':'client','event':'a','payload':{},'ref':2}");
    expect_frame(phx, "{'topic':'client','event':'b','payload':{},'ref':3}");
    expect_frame(phx, "{'topic':'client','event':'a','payload':{'x':1},'ref':4}");
    expect_frame(phx, NULL);
    g_assert_cmpuint(sp_phx_stats(phx)->duplicates_out, ==, 1);
    /* once written it may be said again */
    g_assert_cmpint(sp_phx_send(phx, "a", "{}"), ==, 0);
    expect_frame(phx, "{'topic':'client','event':'a','payload':{},'ref':5}");
    sp_phx_free(phx);
}

static void
queue_dies_with_the_socket(void)
{
    struct sp_phx *phx = phx_new(false);

    sp_phx_handle_open(phx, 0);
    expect_frame(phx, JOIN);
    g_assert_cmpint(sp_phx_send(phx, "a", "{}"), ==, 0);
    sp_phx_handle_closed(phx);
    expect_lost(phx, SP_PHX_LOST_CLOSED);
    sp_phx_handle_closed(phx);
    expect_no_event(phx);
    g_assert_cmpuint(sp_phx_stats(phx)->dropped_out, ==, 1);
    g_assert_cmpint(sp_phx_send(phx, "a", "{}"), ==, SP_E_STATE);
    join_ok(phx, 5); /* refs start over */
    expect_frame(phx, NULL);
    sp_phx_reset(phx);
    expect_no_event(phx);
    g_assert_cmpint(sp_phx_state(phx), ==, SP_PHX_DOWN);
    sp_phx_free(phx);
}

static void
queue_is_bounded(void)
{
    struct sp_phx *phx = phx_new(false);

    sp_phx_handle_open(phx, 0);
    for (unsigned i = 0; i < SP_PHX_QUEUE_MAX; i++) {
        g_autofree char *payload = g_strdup_printf("%u", i);

        g_assert_cmpint(sp_phx_send(phx, "a", payload), ==, 0);
    }
    g_assert_cmpint(sp_phx_send(phx, "a", "-1"), ==, SP_E_LIMIT);
    g_assert_cmpint(sp_phx_send(phx, "a", "0"), ==, 0);
    sp_phx_free(phx);
}

static void
join_times_out(void)
{
    struct sp_phx *phx = phx_new(false);

    sp_phx_handle_open(phx, 100);
    expect_frame(phx, JOIN);
    g_assert_cmpuint(sp_phx_next_timeout(phx), ==, 100 + SP_SEC(5));
    sp_phx_handle_timeout(phx, 99 + SP_SEC(5));
    expect_no_event(phx);
    sp_phx_handle_timeout(phx, 100 + SP_SEC(5));
    expect_lost(phx, SP_PHX_LOST_JOIN);
    sp_phx_free(phx);
}

static void
heartbeats_are_answered(void)
{
    struct sp_phx *phx = phx_new(false);

    join_ok(phx, 0);
    for (unsigned i = 1; i < 20; i++) {
        g_autofree char *beat = NULL, *reply = NULL;

        g_assert_cmpuint(sp_phx_next_timeout(phx), ==, SP_SEC(10 * i));
        sp_phx_handle_timeout(phx, SP_SEC(10 * i) - 1);
        expect_frame(phx, NULL);
        sp_phx_handle_timeout(phx, SP_SEC(10 * i));
        beat = g_strdup_printf("{'topic':'phoenix','event':'heartbeat','payload':{},'ref':%u}", i);
        expect_frame(phx, beat);
        expect_frame(phx, NULL);
        reply = g_strdup_printf("{'topic':'phoenix','event':'phx_reply','ref':%u,"
                                "'payload':{'status':'ok','response':{}}}",
                                i);
        feed(phx, reply, SP_SEC(10 * i) + 1);
        expect_no_event(phx);
    }
    g_assert_cmpuint(sp_phx_stats(phx)->ignored_frames, ==, 0);
    sp_phx_free(phx);
}

static void
dead_heartbeat(void)
{
    struct sp_phx *phx = phx_new(false);

    join_ok(phx, 0);
    for (unsigned i = 1; i <= 3; i++) {
        g_autofree char *frame = NULL;

        sp_phx_handle_timeout(phx, SP_SEC(10 * i));
        frame = sp_phx_poll_transmit(phx);
        g_assert_nonnull(frame);
        /* a reply to something else does not count */
        feed(phx,
             "{'topic':'phoenix','event':'phx_reply','ref':77,"
             "'payload':{'status':'ok','response':{}}}",
             SP_SEC(10 * i));
        expect_no_event(phx);
    }
    sp_phx_handle_timeout(phx, SP_SEC(40));
    expect_lost(phx, SP_PHX_LOST_HEARTBEAT);
    sp_phx_free(phx);
}

static void
heartbeats_run_while_joining(void)
{
    struct sp_phx_config config = { .topic = "gateway",
                                    .join_payload = "{}",
                                    .join_timeout = 100,
                                    .heartbeat = 10 };
    struct sp_phx *phx = sp_phx_new(&config, NULL);

    sp_phx_handle_open(phx, 0);
    sp_phx_handle_timeout(phx, 10);
    expect_frame(phx, "{'topic':'gateway','event':'phx_join','payload':{},'ref':0}");
    expect_frame(phx, "{'topic':'phoenix','event':'heartbeat','payload':{},'ref':1}");
    sp_phx_free(phx);
}

static void
messages_are_delivered(void)
{
    struct sp_phx *phx = phx_new(false);
    struct sp_phx_event ev;

    join_ok(phx, 0);
    feed(phx, "{'topic':'client','event':'init','payload':{'k':'v'},'ref':null,'extra':[1]}", 1);
    feed(phx, "{'topic':'client','event':'bare','payload':'text'}", 1);
    feed(phx, "{'topic':'client','event':'none'}", 1);
    g_assert_true(sp_phx_poll_event(phx, &ev));
    g_assert_cmpint(ev.type, ==, SP_PHX_MESSAGE);
    g_assert_cmpstr(ev.u.message.event, ==, "init");
    g_assert_cmpstr(json_object_get_string_member(json_node_get_object(ev.u.message.payload), "k"),
                    ==,
                    "v");
    sp_phx_event_done(&ev);
    g_assert_true(sp_phx_poll_event(phx, &ev));
    g_assert_cmpstr(json_node_get_string(ev.u.message.payload), ==, "text");
    sp_phx_event_done(&ev);
    g_assert_true(sp_phx_poll_event(phx, &ev));
    g_assert_true(JSON_NODE_HOLDS_NULL(ev.u.message.payload));
    sp_phx_event_done(&ev);
    expect_no_event(phx);
    sp_phx_free(phx);
}

/* Frames that change nothing; each is counted once. */
static void
strange_frames_are_counted(void)
{
    static const struct {
        const char *text;
        bool bad;
    } cases[] = {
        { "", true },
        { "x", true },
        { "[]", true },
        { "7", true },
        { "{}", true },
        { "{'topic':'client'}", true },
        { "{'topic':'client','event':7}", true },
        { "{'topic':'client','event':'a','ref':'0'}", true },
        { "{'topic':'client','event':'a','ref':0.5}", true },
        { "{'topic':'client','event':'a',}", true },
        { "{'topic':'client','event':'a'}}", true },
        { "/*'*/{'topic':'client','event':'a'}", true },
        { "var a = {'topic':'client','event':'a'}", true },
        { "{'topic':'cl\nient','event':'a'}", true },
        { "{'topic':'client','event':'\xff'}", true },
        { "{'topic':'client','event':'phx_reply','ref':3,'payload':{}}", true },
        { "{'topic':'client','event':'phx_reply','ref':3,'payload':{'status':'ok'}}", true },
        { "{'topic':'client','event':'phx_reply','ref':3,"
          "'payload':{'status':'ok','response':{'a':1}}}",
          true },
        { "{'topic':'client','event':'phx_reply','ref':3,"
          "'payload':{'status':'error','response':{}}}",
          true },
        { "{'topic':'client','event':'phx_reply','ref':3,"
          "'payload':{'status':'maybe','response':{}}}",
          true },
        { "{'topic':'client','event':'disconnect','payload':{}}", true },
        { "{'topic':'client','event':'disconnect','payload':{'reason':'certificate_revoked'}}",
          false },
        { "{'topic':'client','event':'phx_error','payload':{},'ref':0}", false },
        { "{'topic':'relay','event':'phx_close','payload':{}}", false },
        { "{'topic':'relay','event':'init','payload':{}}", false },
        { "{'topic':'client','event':'phx_reply','ref':3,"
          "'payload':{'status':'ok','response':{}}}",
          false },
        { "{'topic':'client','event':'phx_reply','ref':null,"
          "'payload':{'status':'error','response':{'reason':'x'}}}",
          false },
    };
    struct sp_phx *phx = phx_new(false);
    const struct sp_phx_stats *stats = sp_phx_stats(phx);

    join_ok(phx, 0);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint64_t bad = stats->bad_frames, ignored = stats->ignored_frames;

        g_test_message("case %zu", i);
        feed(phx, cases[i].text, 1);
        g_assert_cmpuint(stats->bad_frames, ==, bad + (cases[i].bad ? 1 : 0));
        g_assert_cmpuint(stats->ignored_frames, ==, ignored + (cases[i].bad ? 0 : 1));
        expect_no_event(phx);
        g_assert_cmpint(sp_phx_state(phx), ==, SP_PHX_JOINED);
    }
    sp_phx_free(phx);
}

static void
nesting_and_size_are_bounded(void)
{
    g_autoptr(GString) text = g_string_new("{\"topic\":\"client\",\"event\":\"a\",\"payload\":");
    struct sp_phx *phx = phx_new(false);
    g_autofree char *big = NULL;
    struct sp_phx_event ev;
    size_t head = text->len;

    join_ok(phx, 0);
    for (int depth = 31; depth <= 32; depth++) {
        g_string_truncate(text, head);
        for (int i = 0; i < depth; i++)
            g_string_append_c(text, '[');
        for (int i = 0; i < depth; i++)
            g_string_append_c(text, ']');
        g_string_append_c(text, '}');
        sp_phx_handle_text(phx, text->str, text->len, 1);
        g_assert_cmpint(sp_phx_poll_event(phx, &ev), ==, depth == 31);
        if (depth == 31)
            sp_phx_event_done(&ev);
    }
    g_assert_cmpuint(sp_phx_stats(phx)->bad_frames, ==, 1);
    big = g_malloc0(SP_PHX_FRAME_MAX + 1);
    memset(big, '[', SP_PHX_FRAME_MAX + 1);
    sp_phx_handle_text(phx, big, SP_PHX_FRAME_MAX + 1, 1);
    g_assert_cmpuint(sp_phx_stats(phx)->bad_frames, ==, 2);
    expect_no_event(phx);
    sp_phx_free(phx);
}

static void
truncated_frame_loses_the_connection(void)
{
    static const char *const cases[] = { "{", "{'topic':'cli", "{'topic':'client\\", "[[]" };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct sp_phx *phx = phx_new(false);

        join_ok(phx, 0);
        feed(phx, cases[i], 1);
        expect_lost(phx, SP_PHX_LOST_TRUNCATED);
        sp_phx_free(phx);
    }
}

static void
endings(void)
{
    struct sp_phx *phx = phx_new(false);

    join_ok(phx, 0);
    feed(phx, "{'topic':'client','event':'phx_close','payload':{}}", 1);
    expect_lost(phx, SP_PHX_LOST_PHX_CLOSE);
    join_ok(phx, 2);
    feed(phx, "{'topic':'client','event':'disconnect','payload':{'reason':'token_expired'}}", 3);
    expect_fatal(phx, "the token has expired", true);
    sp_phx_handle_open(phx, 4);
    expect_frame(phx, JOIN);
    feed(phx,
         "{'topic':'client','event':'phx_reply','ref':0,'payload':{'status':'error',"
         "'response':{'reason':'inv\\u0007alid'}}}",
         5);
    expect_fatal(phx, "the portal refused the login: inv?alid", false);
    /* whatever still comes in on the dead socket is of no interest */
    feed(phx, "{'topic':'client','event':'init','payload':{}}", 6);
    expect_no_event(phx);
    sp_phx_free(phx);
}

static void
join_reply_must_match(void)
{
    static const char *const cases[] = {
        "{'topic':'gateway','event':'phx_reply','ref':0,"
        "'payload':{'status':'error','response':{'reason':'x'}}}",
        "{'topic':'client','event':'phx_reply','ref':1,"
        "'payload':{'status':'ok','response':{}}}",
        "{'topic':'client','event':'phx_reply','ref':'0',"
        "'payload':{'status':'ok','response':{}}}",
        "{'topic':'client','event':'phx_reply','ref':-1,"
        "'payload':{'status':'ok','response':{}}}",
    };
    struct sp_phx *phx = phx_new(false);

    sp_phx_handle_open(phx, 0);
    /* before the join is written there is nothing to match */
    feed(phx,
         "{'topic':'client','event':'phx_reply','ref':0,"
         "'payload':{'status':'ok','response':{}}}",
         1);
    g_assert_cmpint(sp_phx_state(phx), ==, SP_PHX_JOINING);
    expect_frame(phx, JOIN);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        feed(phx, cases[i], 1);
        g_assert_cmpint(sp_phx_state(phx), ==, SP_PHX_JOINING);
        expect_no_event(phx);
    }
    sp_phx_free(phx);
}

static void
forgotten_channel_is_joined_again(void)
{
    struct sp_phx *phx = phx_new(true);

    join_ok(phx, 0);
    expect_frame(phx, HELLO);
    g_assert_cmpint(sp_phx_send(phx, "a", "{}"), ==, 0);
    expect_frame(phx, "{'topic':'client','event':'a','payload':{},'ref':2}");
    feed(phx,
         "{'topic':'client','event':'phx_reply','ref':2,"
         "'payload':{'status':'error','response':{'reason':'unknown_message'}}}",
         SP_SEC(1));
    g_assert_cmpint(sp_phx_state(phx), ==, SP_PHX_JOINED);
    feed(phx,
         "{'topic':'client','event':'phx_reply','ref':2,"
         "'payload':{'status':'error','response':{'reason':'unmatched topic'}}}",
         SP_SEC(2));
    g_assert_cmpint(sp_phx_state(phx), ==, SP_PHX_JOINING);
    g_assert_cmpuint(sp_phx_next_timeout(phx), ==, SP_SEC(7));
    g_assert_cmpint(sp_phx_send(phx, "b", "{}"), ==, 0);
    expect_frame(phx, "{'topic':'client','event':'phx_join','payload':null,'ref':3}");
    expect_frame(phx, NULL);
    feed(phx,
         "{'topic':'client','event':'phx_reply','ref':3,"
         "'payload':{'status':'ok','response':{}}}",
         SP_SEC(3));
    expect_joined(phx);
    expect_frame(phx, "{'topic':'client','event':'hello','payload':{'a':1},'ref':4}");
    expect_frame(phx, "{'topic':'client','event':'b','payload':{},'ref':5}");
    g_assert_cmpuint(sp_phx_stats(phx)->error_replies, ==, 2);
    sp_phx_free(phx);
}

/* Damaged frames must not crash, warn, or leave the machine in a state it does not know. */
static void
mutations(void)
{
    static const char *const seeds[] = {
        "{'event':'phx_reply','ref':0,'topic':'client','payload':{'status':'ok','response':{}}}",
        "{'topic':'client','event':'init','payload':{'k':[1,2.5,true,null,'a\\u00e9']},'ref':null}",
        "{'topic':'client','event':'disconnect','payload':{'reason':'token_expired'}}",
    };
    static const char alphabet[] = "{}[]:,\"\\/'0-9eE+.ntfu \n\x80x";
    struct test_rng state;
    struct sp_rng rng = test_rng_init(&state, 5);
    struct sp_phx *phx = phx_new(false);

    for (unsigned i = 0; i < 20000; i++) {
        g_autofree char *frame = json_text(seeds[i % G_N_ELEMENTS(seeds)]);
        struct sp_phx_event ev;
        size_t n = strlen(frame);

        for (unsigned k = sp_rng_below(&rng, 4) + 1; k > 0; k--)
            frame[sp_rng_below(&rng, (uint32_t)n)] =
                alphabet[sp_rng_below(&rng, sizeof alphabet - 1)];
        if (sp_phx_state(phx) == SP_PHX_DOWN) {
            sp_phx_handle_open(phx, i);
            g_free(sp_phx_poll_transmit(phx));
        }
        sp_phx_handle_text(phx, frame, n, i);
        while (sp_phx_poll_event(phx, &ev))
            sp_phx_event_done(&ev);
    }
    g_assert_cmpuint(sp_phx_stats(phx)->frames_in, ==, 20000);
    g_assert_cmpuint(sp_phx_stats(phx)->bad_frames, >, 1000);
    sp_phx_free(phx);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/portal/phoenix/join-first", nothing_overtakes_the_join);
    g_test_add_func("/portal/phoenix/queue-dies-with-socket", queue_dies_with_the_socket);
    g_test_add_func("/portal/phoenix/queue-bounded", queue_is_bounded);
    g_test_add_func("/portal/phoenix/join-timeout", join_times_out);
    g_test_add_func("/portal/phoenix/heartbeats-answered", heartbeats_are_answered);
    g_test_add_func("/portal/phoenix/dead-heartbeat", dead_heartbeat);
    g_test_add_func("/portal/phoenix/heartbeats-while-joining", heartbeats_run_while_joining);
    g_test_add_func("/portal/phoenix/messages", messages_are_delivered);
    g_test_add_func("/portal/phoenix/strange-frames", strange_frames_are_counted);
    g_test_add_func("/portal/phoenix/bounds", nesting_and_size_are_bounded);
    g_test_add_func("/portal/phoenix/truncated", truncated_frame_loses_the_connection);
    g_test_add_func("/portal/phoenix/endings", endings);
    g_test_add_func("/portal/phoenix/join-reply-matches", join_reply_must_match);
    g_test_add_func("/portal/phoenix/rejoin", forgotten_channel_is_joined_again);
    g_test_add_func("/portal/phoenix/mutations", mutations);
    return g_test_run();
}
