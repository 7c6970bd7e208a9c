/* SPDX-License-Identifier: Apache-2.0 */
/* A channel's life: the first byte picks the set-up, then each line is a frame from the portal, or
 * after '!' something that happens on our side. State, timeout and events must agree after each. */
#include <string.h>

#include "engine/base/err.h"
#include "engine/portal/phoenix.h"
#include "tests/fuzz/fuzz.h"

struct run {
    struct sp_phx *phx;
    sp_time now;
    unsigned requests;
};

static void
take_events(struct run *run)
{
    bool ended = false;
    struct sp_phx_event ev;

    while (sp_phx_poll_event(run->phx, &ev)) {
        if (ev.type == SP_PHX_MESSAGE)
            sp_assert(ev.u.message.event != NULL && ev.u.message.payload != NULL);
        if (ev.type == SP_PHX_LOST)
            sp_assert(sp_phx_lost_name(ev.u.lost) != NULL);
        if (ev.type == SP_PHX_FATAL)
            for (const char *c = ev.u.fatal.message; *c; c++)
                sp_assert(*c >= ' ' && *c <= '~');
        ended = ended || ev.type == SP_PHX_LOST || ev.type == SP_PHX_FATAL;
        sp_phx_event_done(&ev);
    }
    sp_assert(!ended || sp_phx_state(run->phx) == SP_PHX_DOWN);
}

static void
check_output(const char *text)
{
    JsonNode *node = json_from_string(text, NULL);

    sp_assert(node != NULL && JSON_NODE_HOLDS_OBJECT(node));
    json_node_unref(node);
}

static void
drain(struct run *run)
{
    bool down;
    char *text;

    take_events(run);
    while ((text = sp_phx_poll_transmit(run->phx)) != NULL) {
        check_output(text);
        g_free(text);
    }
    take_events(run);
    down = sp_phx_state(run->phx) == SP_PHX_DOWN;
    sp_assert(down == (sp_phx_next_timeout(run->phx) == SP_TIME_NEVER));
}

static void
send_request(struct run *run)
{
    char payload[32];
    int r;

    g_snprintf(payload, sizeof payload, "{\"n\":%u}", run->requests++);
    r = sp_phx_send(run->phx, "request", payload);
    sp_assert((r == SP_E_STATE) == (sp_phx_state(run->phx) == SP_PHX_DOWN));
}

static void
our_side(struct run *run, char what)
{
    switch (what) {
    case 'o':
        sp_phx_handle_open(run->phx, run->now);
        break;
    case 'c':
        sp_phx_handle_closed(run->phx);
        break;
    case 'r':
        sp_phx_reset(run->phx);
        break;
    case 's':
        send_request(run);
        break;
    case 't': /* to the deadline, where time must be able to go on */
        if (sp_phx_next_timeout(run->phx) != SP_TIME_NEVER)
            run->now = SP_MAX(run->now, sp_phx_next_timeout(run->phx));
        sp_phx_handle_timeout(run->phx, run->now);
        sp_assert(sp_phx_next_timeout(run->phx) > run->now);
        break;
    default:
        run->now += SP_SEC(1);
        sp_phx_handle_timeout(run->phx, run->now);
        break;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sp_phx_config config = { .topic = "client" };
    struct run run = { .now = SP_SEC(1) };

    if (size == 0)
        return 0;
    if (data[0] & 1) {
        config.hello_event = "hello";
        config.hello_payload = "{}";
    }
    run.phx = sp_phx_new(&config, NULL);
    sp_phx_handle_open(run.phx, run.now);
    for (size_t at = 1, n; at < size; at += n + 1) {
        const uint8_t *end = memchr(data + at, '\n', size - at);

        n = end ? (size_t)(end - (data + at)) : size - at;
        drain(&run);
        if (n == 2 && data[at] == '!')
            our_side(&run, (char)data[at + 1]);
        else
            sp_phx_handle_text(run.phx, data + at, n, run.now);
    }
    drain(&run);
    sp_phx_free(run.phx);
    return 0;
}
