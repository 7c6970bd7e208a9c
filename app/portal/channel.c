/* SPDX-License-Identifier: Apache-2.0 */
#include "app/portal/channel.h"

#include <string.h>

#include "app/portal/json.h"
#include "app/portal/limit.h"
#include "app/portal/stream.h"

struct sp_cp_channel {
    SoupWebsocketConnection *ws;
    const char *topic;
    const struct sp_cp_channel_ops *ops;
    void *owner;
    struct sp_cp_channel_options options;
    struct sp_cp_bucket messages;
    guint idle_source;
    guint join_source;
    guint close_source; /* waits for the closing handshake */
    guint closed_source;
    bool joined;
    bool closing; /* we said good-bye; nothing more is read or pushed */
};

/* One inbound frame; the texts are borrowed from the parsed tree. */
struct frame {
    const char *topic;
    const char *event;
    JsonObject *payload;
    bool has_ref;
    int64_t ref;
};

static void abort_channel(struct sp_cp_channel *ch, const char *why);

/* A peer that does not read gets a bounded amount of memory, and no more of anyone's time. */
static bool
has_room(struct sp_cp_channel *ch)
{
    GIOStream *stream = soup_websocket_connection_get_io_stream(ch->ws);

    if (soup_websocket_connection_get_state(ch->ws) != SOUP_WEBSOCKET_STATE_OPEN)
        return false;
    if (sp_cp_stream_pending(stream) <= ch->options.outgoing_max)
        return true;
    abort_channel(ch, "it does not read what it is sent");
    return false;
}

static void
send_frame(struct sp_cp_channel *ch,
           const char *topic,
           const char *event,
           JsonNode *payload,
           const int64_t *ref)
{
    g_autoptr(JsonNode) root = json_node_new(JSON_NODE_OBJECT);
    JsonObject *o = json_object_new();
    g_autofree char *text = NULL;

    json_object_set_string_member(o, "topic", topic);
    json_object_set_string_member(o, "event", event);
    json_object_set_member(o, "payload", payload);
    if (ref)
        json_object_set_int_member(o, "ref", *ref);
    else
        json_object_set_null_member(o, "ref");
    json_node_take_object(root, o);
    if (!has_room(ch))
        return;
    text = json_to_string(root, FALSE);
    sp_cp_stream_queued(soup_websocket_connection_get_io_stream(ch->ws), strlen(text));
    soup_websocket_connection_send_text(ch->ws, text);
}

static JsonNode *
empty_object(void)
{
    return sp_cp_json_object_node(json_object_new());
}

static void
reply(struct sp_cp_channel *ch, const struct frame *f, const char *status, const char *reason)
{
    JsonNode *payload = json_node_new(JSON_NODE_OBJECT);
    JsonObject *o = json_object_new();
    JsonObject *response = json_object_new();

    if (reason)
        json_object_set_string_member(response, "reason", reason);
    json_object_set_string_member(o, "status", status);
    json_object_set_object_member(o, "response", response);
    json_node_take_object(payload, o);
    send_frame(ch, f->topic, "phx_reply", payload, f->has_ref ? &f->ref : NULL);
}

static void
clear_source(guint *source)
{
    if (*source)
        g_source_remove(*source);
    *source = 0;
}

static gboolean
idle_cb(gpointer data)
{
    struct sp_cp_channel *ch = data;

    ch->idle_source = 0;
    g_debug("peer was silent for %u ms", ch->options.idle_ms);
    sp_cp_channel_close(ch);
    return G_SOURCE_REMOVE;
}

static void
rearm_idle(struct sp_cp_channel *ch)
{
    clear_source(&ch->idle_source);
    ch->idle_source = g_timeout_add(ch->options.idle_ms, idle_cb, ch);
}

static gboolean
join_cb(gpointer data)
{
    struct sp_cp_channel *ch = data;

    ch->join_source = 0;
    g_debug("peer did not join");
    sp_cp_channel_close(ch);
    return G_SOURCE_REMOVE;
}

static void
await_join(struct sp_cp_channel *ch)
{
    clear_source(&ch->join_source);
    ch->join_source = g_timeout_add(ch->options.join_ms, join_cb, ch);
}

static void
handle_join(struct sp_cp_channel *ch, const struct frame *f)
{
    if (!g_str_equal(f->topic, ch->topic)) {
        reply(ch, f, "error", "unmatched topic");
        return;
    }
    ch->joined = true;
    clear_source(&ch->join_source);
    reply(ch, f, "ok", NULL);
    ch->ops->joined(ch->owner);
}

static void
handle_message(struct sp_cp_channel *ch, const struct frame *f)
{
    const char *outcome;

    if (!ch->joined || !g_str_equal(f->topic, ch->topic)) {
        reply(ch, f, "error", "unmatched topic");
        return;
    }
    if (g_str_equal(f->event, "phx_leave")) {
        ch->joined = false;
        await_join(ch);
        reply(ch, f, "ok", NULL);
        return;
    }
    outcome = ch->ops->message(ch->owner, f->event, f->payload);
    if (!outcome)
        return;
    if (g_str_equal(outcome, SP_CP_REPLY_OK))
        reply(ch, f, "ok", NULL);
    else
        reply(ch, f, "error", outcome);
}

static bool
read_frame(JsonNode *root, struct frame *ret)
{
    JsonObject *o = sp_cp_json_object(root);
    struct frame f = { 0 };

    f.topic = sp_cp_json_get_text(o, "topic");
    f.event = sp_cp_json_get_text(o, "event");
    if (!f.topic || !f.event)
        return false;
    f.payload = sp_cp_json_get_object(o, "payload");
    f.has_ref = sp_cp_json_get_int(o, "ref", &f.ref);
    *ret = f;
    return true;
}

/* Closing in order makes an honest peer come back and tell its state anew; dropping single messages
 * would leave it without candidates. */
static bool
within_rate(struct sp_cp_channel *ch)
{
    const struct sp_cp_channel_options *o = &ch->options;

    if (o->messages_per_sec <= 0
        || sp_cp_bucket_take(&ch->messages,
                             o->messages_per_sec,
                             o->messages_burst,
                             g_get_monotonic_time()))
        return true;
    g_message("closed the connection of a %s: it sends too many messages", ch->topic);
    sp_cp_channel_close(ch);
    return false;
}

static void
message_cb(SoupWebsocketConnection *ws, int type, GBytes *bytes, gpointer data)
{
    struct sp_cp_channel *ch = data;
    g_autoptr(JsonNode) root = NULL;
    struct frame f;
    gsize n;
    const char *text = g_bytes_get_data(bytes, &n);

    sp_cp_stream_message_read(soup_websocket_connection_get_io_stream(ws));
    if (ch->closing || !within_rate(ch))
        return;
    rearm_idle(ch);
    if (type == SOUP_WEBSOCKET_DATA_TEXT && n > 0)
        root = sp_cp_json_parse(text, n);
    if (!root || !read_frame(root, &f)) {
        g_debug("ignored a frame that is no message");
        return;
    }
    if (g_str_equal(f.event, "phx_join"))
        handle_join(ch, &f);
    else if (g_str_equal(f.topic, "phoenix") && g_str_equal(f.event, "heartbeat"))
        reply(ch, &f, "ok", NULL);
    else
        handle_message(ch, &f);
}

static gboolean
tell_closed_cb(gpointer data)
{
    struct sp_cp_channel *ch = data;

    ch->closed_source = 0;
    ch->ops->closed(ch->owner);
    return G_SOURCE_REMOVE;
}

/* A close may be reported from inside our own call to close; the owner goes only when the stack is
 * back in the main loop. */
static void
end(struct sp_cp_channel *ch)
{
    ch->closing = true;
    if (!ch->closed_source)
        ch->closed_source = g_idle_add(tell_closed_cb, ch);
}

static void
closed_cb(SoupWebsocketConnection *ws, gpointer data)
{
    struct sp_cp_channel *ch = data;

    (void)ws;
    end(ch);
}

static void
abort_channel(struct sp_cp_channel *ch, const char *why)
{
    if (ch->closed_source)
        return;
    g_message("closed the connection of a %s: %s", ch->topic, why);
    end(ch);
}

static gboolean
close_timeout_cb(gpointer data)
{
    struct sp_cp_channel *ch = data;

    ch->close_source = 0;
    end(ch);
    return G_SOURCE_REMOVE;
}

struct sp_cp_channel *
sp_cp_channel_new(SoupWebsocketConnection *ws,
                  const char *topic,
                  const struct sp_cp_channel_ops *ops,
                  void *owner,
                  const struct sp_cp_channel_options *options)
{
    struct sp_cp_channel *ch = g_new0(struct sp_cp_channel, 1);

    ch->ws = g_object_ref(ws);
    ch->topic = topic;
    ch->ops = ops;
    ch->owner = owner;
    ch->options = *options;
    sp_cp_bucket_init(&ch->messages, options->messages_burst, g_get_monotonic_time());
    soup_websocket_connection_set_max_incoming_payload_size(ws, SP_CP_FRAME_MAX);
    g_signal_connect(ws, "message", G_CALLBACK(message_cb), ch);
    g_signal_connect(ws, "closed", G_CALLBACK(closed_cb), ch);
    rearm_idle(ch);
    await_join(ch);
    return ch;
}

void
sp_cp_channel_free(struct sp_cp_channel *ch)
{
    if (!ch)
        return;
    g_signal_handlers_disconnect_by_data(ch->ws, ch);
    clear_source(&ch->idle_source);
    clear_source(&ch->join_source);
    clear_source(&ch->close_source);
    clear_source(&ch->closed_source);
    /* libsoup would wait for the peer to take what is queued. */
    (void)!g_io_stream_close(soup_websocket_connection_get_io_stream(ch->ws), NULL, NULL);
    g_object_unref(ch->ws);
    g_free(ch);
}

bool
sp_cp_channel_is_joined(const struct sp_cp_channel *ch)
{
    return ch->joined && !ch->closing
           && soup_websocket_connection_get_state(ch->ws) == SOUP_WEBSOCKET_STATE_OPEN;
}

void
sp_cp_channel_push(struct sp_cp_channel *ch, const char *event, JsonNode *payload)
{
    if (sp_cp_channel_is_joined(ch))
        send_frame(ch, ch->topic, event, payload, NULL);
    else
        json_node_unref(payload);
}

static void
finish(struct sp_cp_channel *ch, unsigned short code)
{
    if (ch->closing)
        return;
    ch->closing = true;
    ch->close_source = g_timeout_add(SP_CP_CLOSE_MS, close_timeout_cb, ch);
    if (soup_websocket_connection_get_state(ch->ws) == SOUP_WEBSOCKET_STATE_OPEN)
        soup_websocket_connection_close(ch->ws, code, NULL);
}

void
sp_cp_channel_disconnect(struct sp_cp_channel *ch)
{
    JsonNode *payload = empty_object();

    json_object_set_string_member(json_node_get_object(payload), "reason", "token_expired");
    sp_cp_channel_push(ch, "disconnect", payload);
    finish(ch, SOUP_WEBSOCKET_CLOSE_NORMAL);
}

void
sp_cp_channel_close(struct sp_cp_channel *ch)
{
    sp_cp_channel_push(ch, "phx_close", empty_object());
    finish(ch, SOUP_WEBSOCKET_CLOSE_GOING_AWAY);
}
