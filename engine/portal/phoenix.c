/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/portal/phoenix.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/err.h"
#include "engine/portal/json-private.h"

#define REASON_MAX 200

struct out_msg {
    char *event;
    char *payload;
};

struct sp_phx {
    char *topic;
    char *join_payload;
    char *hello_event;
    char *hello_payload;
    sp_duration join_timeout;
    sp_duration heartbeat;
    const struct sp_log *log;
    enum sp_phx_state state;
    struct sp_phx_stats stats;
    GQueue out;     /* struct out_msg, application messages */
    GQueue events;  /* struct sp_phx_event */
    bool want_join; /* a join waits to be written */
    bool want_beat; /* a heartbeat waits to be written */
    bool join_sent; /* @join_ref is valid and unanswered */
    uint64_t join_ref;
    uint64_t next_ref;
    uint64_t beats[SP_PHX_HEARTBEATS_PENDING + 1]; /* refs of unanswered heartbeats */
    size_t n_beats;
    sp_time deadline_join;
    sp_time deadline_beat;
};

/** struct frame - the parts of an inbound frame; borrows from its node */
struct frame {
    const char *topic;
    const char *event;
    JsonNode *payload; /* may be NULL */
    bool has_ref;
    uint64_t ref;
};

const char *
sp_phx_lost_name(enum sp_phx_lost reason)
{
    static const char *const names[_SP_PHX_LOST_MAX] = {
        [SP_PHX_LOST_CLOSED] = "connection closed",
        [SP_PHX_LOST_PHX_CLOSE] = "channel closed by the portal",
        [SP_PHX_LOST_JOIN] = "no answer to the join",
        [SP_PHX_LOST_HEARTBEAT] = "heartbeats unanswered",
        [SP_PHX_LOST_TRUNCATED] = "truncated message",
    };

    return (unsigned)reason < _SP_PHX_LOST_MAX ? names[reason] : "unknown";
}

static void
out_msg_free(void *p)
{
    struct out_msg *m = p;

    free(m->event);
    free(m->payload);
    free(m);
}

static struct out_msg *
out_msg_new(const char *event, const char *payload)
{
    struct out_msg *m = sp_xcalloc(1, sizeof *m);

    m->event = sp_xstrdup(event);
    m->payload = sp_xstrdup(payload);
    return m;
}

void
sp_phx_event_done(struct sp_phx_event *ev)
{
    switch (ev->type) {
    case SP_PHX_MESSAGE:
        free(ev->u.message.event);
        if (ev->u.message.payload != NULL)
            json_node_unref(ev->u.message.payload);
        break;
    case SP_PHX_FATAL:
        free(ev->u.fatal.message);
        break;
    case SP_PHX_JOINED_EVENT:
    case SP_PHX_LOST:
        break;
    }
    *ev = (struct sp_phx_event){ 0 };
}

static void
event_free(void *p)
{
    sp_phx_event_done(p);
    free(p);
}

static void
push_event(struct sp_phx *phx, const struct sp_phx_event *ev)
{
    struct sp_phx_event *copy = sp_xcalloc(1, sizeof *copy);

    *copy = *ev;
    g_queue_push_tail(&phx->events, copy);
}

struct sp_phx *
sp_phx_new(const struct sp_phx_config *config, const struct sp_log *log)
{
    struct sp_phx *phx = sp_xcalloc(1, sizeof *phx);

    phx->topic = sp_xstrdup(config->topic);
    phx->join_payload = sp_xstrdup(config->join_payload != NULL ? config->join_payload : "null");
    phx->hello_event = sp_xstrdup(config->hello_event);
    phx->hello_payload = sp_xstrdup(config->hello_payload);
    phx->join_timeout = config->join_timeout ? config->join_timeout : SP_PHX_JOIN_TIMEOUT;
    phx->heartbeat = config->heartbeat ? config->heartbeat : SP_PHX_HEARTBEAT;
    phx->log = log;
    phx->deadline_join = SP_TIME_NEVER;
    phx->deadline_beat = SP_TIME_NEVER;
    return phx;
}

struct sp_phx *
sp_phx_free(struct sp_phx *phx)
{
    if (phx == NULL)
        return NULL;
    g_queue_clear_full(&phx->out, out_msg_free);
    g_queue_clear_full(&phx->events, event_free);
    free(phx->topic);
    free(phx->join_payload);
    free(phx->hello_event);
    free(phx->hello_payload);
    free(phx);
    return NULL;
}

static const char *
state_name(enum sp_phx_state state)
{
    switch (state) {
    case SP_PHX_DOWN:
        return "down";
    case SP_PHX_JOINING:
        return "joining";
    case SP_PHX_JOINED:
        return "joined";
    }
    return "?";
}

static void
set_state(struct sp_phx *phx, enum sp_phx_state state, const char *cause)
{
    if (phx->state == state)
        return;
    SP_DEBUG(phx->log, PORTAL, "%s -> %s: %s", state_name(phx->state), state_name(state), cause);
    phx->state = state;
}

/* ---- transitions ----------------------------------------------------------------------------- */

void
sp_phx_reset(struct sp_phx *phx)
{
    phx->stats.dropped_out += phx->out.length;
    g_queue_clear_full(&phx->out, out_msg_free);
    phx->want_join = phx->want_beat = phx->join_sent = false;
    phx->next_ref = 0;
    phx->n_beats = 0;
    phx->deadline_join = SP_TIME_NEVER;
    phx->deadline_beat = SP_TIME_NEVER;
    set_state(phx, SP_PHX_DOWN, "reset");
}

static void
start_join(struct sp_phx *phx, sp_time now, const char *cause)
{
    phx->want_join = true;
    phx->join_sent = false;
    phx->deadline_join = sp_time_add(now, phx->join_timeout);
    if (phx->hello_event != NULL)
        g_queue_push_head(&phx->out, out_msg_new(phx->hello_event, phx->hello_payload));
    set_state(phx, SP_PHX_JOINING, cause);
}

void
sp_phx_handle_open(struct sp_phx *phx, sp_time now)
{
    sp_phx_reset(phx);
    start_join(phx, now, "socket open");
    phx->deadline_beat = sp_time_add(now, phx->heartbeat);
}

static void
joined(struct sp_phx *phx)
{
    phx->join_sent = false;
    phx->deadline_join = SP_TIME_NEVER;
    set_state(phx, SP_PHX_JOINED, "join answered");
    push_event(phx, &(struct sp_phx_event){ .type = SP_PHX_JOINED_EVENT });
}

static void
lose(struct sp_phx *phx, enum sp_phx_lost reason)
{
    if (phx->state == SP_PHX_DOWN)
        return;
    set_state(phx, SP_PHX_DOWN, sp_phx_lost_name(reason));
    sp_phx_reset(phx);
    push_event(phx, &(struct sp_phx_event){ .type = SP_PHX_LOST, .u.lost = reason });
}

static void
fail(struct sp_phx *phx, const char *prefix, const char *reason, bool requires_sign_in)
{
    struct sp_phx_event ev = { .type = SP_PHX_FATAL };
    size_t skip = strlen(prefix);
    char text[REASON_MAX];

    set_state(phx, SP_PHX_DOWN, prefix);
    sp_phx_reset(phx);
    g_strlcpy(text, prefix, sizeof text);
    g_strlcat(text, reason, sizeof text);
    for (char *c = text + SP_MIN(skip, sizeof text - 1); *c != '\0'; c++)
        if (!g_ascii_isprint(*c))
            *c = '?';
    ev.u.fatal.message = sp_xstrdup(text);
    ev.u.fatal.requires_sign_in = requires_sign_in;
    push_event(phx, &ev);
}

void
sp_phx_handle_closed(struct sp_phx *phx)
{
    lose(phx, SP_PHX_LOST_CLOSED);
}

static void
beat(struct sp_phx *phx, sp_time now)
{
    /* One that has not even been written yet counts as unanswered. */
    if (phx->n_beats + 1 > SP_PHX_HEARTBEATS_PENDING || phx->want_beat) {
        lose(phx, SP_PHX_LOST_HEARTBEAT);
        return;
    }
    phx->want_beat = true;
    phx->deadline_beat = sp_time_add(now, phx->heartbeat);
}

void
sp_phx_handle_timeout(struct sp_phx *phx, sp_time now)
{
    if (sp_time_due(phx->deadline_join, now))
        lose(phx, SP_PHX_LOST_JOIN);
    if (sp_time_due(phx->deadline_beat, now))
        beat(phx, now);
}

sp_time
sp_phx_next_timeout(const struct sp_phx *phx)
{
    return sp_time_min(phx->deadline_join, phx->deadline_beat);
}

/* ---- inbound --------------------------------------------------------------------------------- */

static int
read_frame(JsonNode *root, struct frame *ret)
{
    struct frame f = { 0 };
    JsonObject *o;
    int64_t ref;

    if (sp_json_object(root, &o) < 0
        || sp_json_get_string(o, "topic", SP_JSON_TEXT_MAX, &f.topic) < 0
        || sp_json_get_string(o, "event", SP_JSON_TEXT_MAX, &f.event) < 0
        || sp_json_opt_int(o, "ref", -1, &ref) < 0)
        return SP_E_MALFORMED;
    f.has_ref = ref >= 0;
    f.ref = f.has_ref ? (uint64_t)ref : 0;
    f.payload = json_object_get_member(o, "payload");
    *ret = f;
    return 0;
}

static bool
take_beat(struct sp_phx *phx, uint64_t ref)
{
    for (size_t i = 0; i < phx->n_beats; i++) {
        if (phx->beats[i] != ref)
            continue;
        phx->beats[i] = phx->beats[--phx->n_beats];
        return true;
    }
    return false;
}

static bool
is_pending_join(const struct sp_phx *phx, const struct frame *f)
{
    return phx->join_sent && f->has_ref && f->ref == phx->join_ref
           && strcmp(f->topic, phx->topic) == 0;
}

static int
handle_ok_reply(struct sp_phx *phx, const struct frame *f, JsonObject *payload)
{
    JsonNode *response = json_object_get_member(payload, "response");

    if (response == NULL)
        return SP_E_MALFORMED;
    if (!JSON_NODE_HOLDS_NULL(response)
        && (!JSON_NODE_HOLDS_OBJECT(response)
            || json_object_get_size(json_node_get_object(response)) != 0))
        return SP_E_MALFORMED;
    if (is_pending_join(phx, f))
        joined(phx);
    else if (!f->has_ref || !take_beat(phx, f->ref))
        phx->stats.ignored_frames++;
    return 0;
}

static int
handle_error_reply(struct sp_phx *phx, const struct frame *f, JsonObject *payload, sp_time now)
{
    JsonObject *response;
    const char *reason;

    if (sp_json_get_object(payload, "response", &response) < 0
        || sp_json_get_string(response, "reason", SP_JSON_TEXT_MAX, &reason) < 0)
        return SP_E_MALFORMED;
    if (!f->has_ref) {
        phx->stats.ignored_frames++;
    } else if (is_pending_join(phx, f)) {
        fail(phx, "the portal refused the login: ", reason, false);
    } else {
        phx->stats.error_replies++;
        SP_DEBUG(phx->log, PORTAL, "error reply to message %llu", (unsigned long long)f->ref);
        if (phx->state == SP_PHX_JOINED && strcmp(reason, "unmatched topic") == 0
            && strcmp(f->topic, phx->topic) == 0)
            start_join(phx, now, "the portal forgot our channel");
    }
    return 0;
}

static int
handle_reply(struct sp_phx *phx, const struct frame *f, sp_time now)
{
    JsonObject *payload;
    const char *status;

    if (sp_json_object(f->payload, &payload) < 0
        || sp_json_get_string(payload, "status", 16, &status) < 0)
        return SP_E_MALFORMED;
    if (strcmp(status, "ok") == 0)
        return handle_ok_reply(phx, f, payload);
    if (strcmp(status, "error") == 0)
        return handle_error_reply(phx, f, payload, now);
    return SP_E_MALFORMED;
}

static int
handle_disconnect(struct sp_phx *phx, const struct frame *f)
{
    JsonObject *payload;
    const char *reason;

    if (sp_json_object(f->payload, &payload) < 0
        || sp_json_get_string(payload, "reason", SP_JSON_TEXT_MAX, &reason) < 0)
        return SP_E_MALFORMED;
    if (strcmp(reason, "token_expired") == 0)
        fail(phx, "the token has expired", "", true);
    else
        phx->stats.ignored_frames++;
    return 0;
}

static void
deliver(struct sp_phx *phx, const struct frame *f)
{
    struct sp_phx_event ev = { .type = SP_PHX_MESSAGE };

    if (phx->events.length >= SP_PHX_EVENTS_MAX) {
        phx->stats.events_overflow++;
        return;
    }
    ev.u.message.event = sp_xstrdup(f->event);
    ev.u.message.payload =
        f->payload != NULL ? json_node_ref(f->payload) : json_node_new(JSON_NODE_NULL);
    push_event(phx, &ev);
}

static int
handle_frame(struct sp_phx *phx, const struct frame *f, sp_time now)
{
    bool ours = strcmp(f->topic, phx->topic) == 0;

    if (strcmp(f->event, "phx_reply") == 0)
        return handle_reply(phx, f, now);
    if (strcmp(f->event, "disconnect") == 0)
        return handle_disconnect(phx, f);
    if (!ours || strcmp(f->event, "phx_error") == 0)
        phx->stats.ignored_frames++; /* a crash is followed by a close of the socket */
    else if (strcmp(f->event, "phx_close") == 0)
        lose(phx, SP_PHX_LOST_PHX_CLOSE);
    else
        deliver(phx, f);
    return 0;
}

void
sp_phx_handle_text(struct sp_phx *phx, const void *bytes, size_t n, sp_time now)
{
    g_autoptr(JsonNode) root = NULL;
    struct frame f;
    int r;

    if (phx->state == SP_PHX_DOWN)
        return;
    phx->stats.frames_in++;
    r = n > SP_PHX_FRAME_MAX ? SP_E_LIMIT : sp_json_parse(bytes, n, &root);
    if (r == SP_JSON_TRUNCATED) {
        phx->stats.bad_frames++;
        lose(phx, SP_PHX_LOST_TRUNCATED);
        return;
    }
    if (r == 0)
        r = read_frame(root, &f);
    if (r == 0)
        r = handle_frame(phx, &f, now);
    if (r < 0) {
        phx->stats.bad_frames++;
        SP_DEBUG(phx->log, PORTAL, "frame ignored: %s", sp_strerror(r));
    }
}

/* ---- outbound -------------------------------------------------------------------------------- */

int
sp_phx_send(struct sp_phx *phx, const char *event, const char *payload)
{
    if (phx->state == SP_PHX_DOWN)
        return SP_E_STATE;
    for (GList *l = phx->out.head; l != NULL; l = l->next) {
        const struct out_msg *m = l->data;

        if (strcmp(m->event, event) == 0 && strcmp(m->payload, payload) == 0) {
            phx->stats.duplicates_out++;
            return 0;
        }
    }
    if (phx->out.length >= SP_PHX_QUEUE_MAX)
        return SP_E_LIMIT;
    g_queue_push_tail(&phx->out, out_msg_new(event, payload));
    return 0;
}

/* Topics and event names are our own constants: nothing in them needs escaping. */
static char *
build_frame(struct sp_phx *phx, const char *topic, const char *event, const char *payload)
{
    return g_strdup_printf(
        "{\"topic\":\"%s\",\"event\":\"%s\",\"payload\":%s,\"ref\":%" G_GUINT64_FORMAT "}",
        topic,
        event,
        payload,
        phx->next_ref++);
}

static char *
transmit_join(struct sp_phx *phx)
{
    phx->want_join = false;
    phx->join_sent = true;
    phx->join_ref = phx->next_ref;
    return build_frame(phx, phx->topic, "phx_join", phx->join_payload);
}

static char *
transmit_beat(struct sp_phx *phx)
{
    phx->want_beat = false;
    phx->beats[phx->n_beats++] = phx->next_ref;
    return build_frame(phx, "phoenix", "heartbeat", "{}");
}

char *
sp_phx_poll_transmit(struct sp_phx *phx)
{
    struct out_msg *m;
    char *frame;

    if (phx->want_join)
        return transmit_join(phx);
    if (phx->want_beat)
        return transmit_beat(phx);
    if (phx->state != SP_PHX_JOINED)
        return NULL;
    m = g_queue_pop_head(&phx->out);
    if (m == NULL)
        return NULL;
    frame = build_frame(phx, phx->topic, m->event, m->payload);
    out_msg_free(m);
    return frame;
}

bool
sp_phx_poll_event(struct sp_phx *phx, struct sp_phx_event *ret_ev)
{
    struct sp_phx_event *ev = g_queue_pop_head(&phx->events);

    if (ev == NULL)
        return false;
    *ret_ev = *ev;
    free(ev);
    return true;
}

enum sp_phx_state
sp_phx_state(const struct sp_phx *phx)
{
    return phx->state;
}

const struct sp_phx_stats *
sp_phx_stats(const struct sp_phx *phx)
{
    return &phx->stats;
}
