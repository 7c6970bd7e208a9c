/* SPDX-License-Identifier: Apache-2.0 */
#include "app/portal-link/link.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libsoup/soup.h>
#include <sodium.h>

#include "app/portal-link/dial.h"
#include "engine/base/err.h"
#include "engine/base/rng.h"
#include "engine/portal/backoff.h"
#include "engine/portal/client-codec.h"
#include "engine/portal/gateway-codec.h"

#define DIAL_MS  15000
#define TCP_MS   5000
#define DNS_MS   2000
#define CLOSE_MS 1000
#define PART_MS  250 /* the same when a new dial waits for it: the network may be another */

enum link_state {
    LINK_IDLE,
    LINK_DIALLING,
    LINK_UP,      /* WebSocket open; the channel has its own states */
    LINK_PARTING, /* the old socket says goodbye, then we dial */
    LINK_WAITING, /* backoff */
    LINK_ENDED,
};

struct _SpPortalLink {
    GObject parent_instance;
    GMainContext *context;
    struct sp_portal_link_ops ops;
    gpointer ctx;
    const struct sp_log *log;

    struct sp_portal_login login; /* owns its strings here */
    bool has_key;
    char *user_agent;
    GBytes *token;
    GTlsDatabase *tls_database;
    struct sp_resolve_params resolve;
    char *hosts_path;
    guint16 dns_port;
    guint dial_ms, tcp_ms, close_ms;

    enum link_state state;
    struct sp_phx *phx;
    struct sp_backoff backoff;
    struct sp_portal_link_stats stats;
    bool connected;
    GCancellable *dial; /* of the dial under way */
    bool dial_timed_out;
    SoupWebsocketConnection *ws; /* while up */
    GSource *timer;              /* of the present state */
    enum sp_portal_link_end_cause end_cause;
};

G_DEFINE_FINAL_TYPE(SpPortalLink, sp_portal_link, G_TYPE_OBJECT)

/* A socket that is saying goodbye; keeps its link alive meanwhile. */
struct parting {
    SpPortalLink *link;
    SoupWebsocketConnection *ws;
    GSource *timer;
    gulong handler;
};

static void start_dial(SpPortalLink *self);

static sp_time
now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_BOOTTIME, &ts);
    return SP_SEC(ts.tv_sec) + (sp_time)ts.tv_nsec;
}

static void
clear_source(GSource **source)
{
    if (*source == NULL)
        return;
    g_source_destroy(*source);
    g_clear_pointer(source, g_source_unref);
}

static GSource *
add_timer(SpPortalLink *self, guint ms, GSourceFunc func, gpointer data)
{
    GSource *source = g_timeout_source_new(ms);

    g_source_set_callback(source, func, data, NULL);
    g_source_attach(source, self->context);
    return source;
}

static void
set_timer(SpPortalLink *self, guint ms, GSourceFunc func)
{
    clear_source(&self->timer);
    self->timer = add_timer(self, ms, func, self);
}

static const char *
state_name(enum link_state state)
{
    switch (state) {
    case LINK_IDLE:
        return "idle";
    case LINK_DIALLING:
        return "dialling";
    case LINK_UP:
        return "up";
    case LINK_PARTING:
        return "parting";
    case LINK_WAITING:
        return "waiting";
    case LINK_ENDED:
        return "ended";
    }
    return "?";
}

static void
set_state(SpPortalLink *self, enum link_state state, const char *cause)
{
    SP_DEBUG(self->log,
             PORTAL,
             "link %s -> %s: %s",
             state_name(self->state),
             state_name(state),
             cause);
    clear_source(&self->timer);
    self->state = state;
}

/* ---- letting go of what a state holds ---------------------------------------------------------- */

static void
drop_dial(SpPortalLink *self)
{
    if (self->dial == NULL)
        return;
    g_cancellable_cancel(self->dial);
    g_clear_object(&self->dial);
}

/* Cut the TCP connection: a TLS or WebSocket goodbye could wait for a dead network. */
static void
abort_ws(SoupWebsocketConnection *ws)
{
    g_autoptr(GIOStream) stream = g_object_ref(soup_websocket_connection_get_io_stream(ws));

    if (G_IS_TLS_CONNECTION(stream)) {
        g_autoptr(GIOStream) tls = g_steal_pointer(&stream);

        g_object_get(tls, "base-io-stream", &stream, NULL);
    }
    if (G_IS_SOCKET_CONNECTION(stream))
        (void)g_socket_shutdown(g_socket_connection_get_socket(G_SOCKET_CONNECTION(stream)),
                                TRUE,
                                TRUE,
                                NULL);
}

static void
drop_ws(SpPortalLink *self)
{
    sp_phx_reset(self->phx);
    self->connected = false;
    if (self->ws == NULL)
        return;
    g_signal_handlers_disconnect_by_data(self->ws, self);
    abort_ws(self->ws);
    g_clear_object(&self->ws);
}

static void
part_done(struct parting *p)
{
    SpPortalLink *self = p->link;

    g_signal_handler_disconnect(p->ws, p->handler);
    clear_source(&p->timer);
    abort_ws(p->ws);
    g_object_unref(p->ws);
    g_free(p);
    if (self->state == LINK_PARTING)
        start_dial(self);
    g_object_unref(self);
}

static gboolean
part_timeout_cb(gpointer data)
{
    part_done(data);
    return G_SOURCE_REMOVE;
}

static void
part_closed_cb(SP_UNUSED SoupWebsocketConnection *ws, gpointer data)
{
    part_done(data);
}

/* Say goodbye properly, but not for longer than a dead network deserves. */
static void
part(SpPortalLink *self, guint ms)
{
    struct parting *p = g_new0(struct parting, 1);

    p->link = g_object_ref(self);
    p->ws = g_steal_pointer(&self->ws);
    g_signal_handlers_disconnect_by_data(p->ws, self);
    p->handler = g_signal_connect(p->ws, "closed", G_CALLBACK(part_closed_cb), p);
    p->timer = add_timer(self, ms, part_timeout_cb, p);
    sp_phx_reset(self->phx);
    self->connected = false;
    if (soup_websocket_connection_get_state(p->ws) == SOUP_WEBSOCKET_STATE_OPEN)
        soup_websocket_connection_close(p->ws, SOUP_WEBSOCKET_CLOSE_NORMAL, NULL);
}

/* ---- endings ----------------------------------------------------------------------------------- */

static void
end(SpPortalLink *self,
    enum sp_portal_link_end_cause cause,
    const char *message,
    gboolean requires_sign_in)
{
    drop_dial(self);
    drop_ws(self);
    self->end_cause = cause;
    set_state(self, LINK_ENDED, message);
    if (self->ops.fatal != NULL)
        self->ops.fatal(self->ctx, message, requires_sign_in);
}

static gboolean
redial_cb(gpointer data)
{
    start_dial(data);
    return G_SOURCE_REMOVE;
}

static void
wait_and_redial(SpPortalLink *self, gint64 retry_after_s, const char *reason)
{
    struct sp_rng rng = sp_rng_system();
    sp_duration delay;
    guint ms;

    drop_dial(self);
    drop_ws(self);
    if (sp_backoff_next(&self->backoff, retry_after_s, &rng, &delay) < 0) {
        g_autofree char *text = g_strdup_printf("gave up reaching the portal: %s", reason);

        end(self, SP_PORTAL_LINK_UNREACHABLE, text, FALSE);
        return;
    }
    ms = (guint)(delay / SP_MS(1));
    set_state(self, LINK_WAITING, reason);
    set_timer(self, ms, redial_cb);
    if (self->ops.hiccup != NULL)
        self->ops.hiccup(self->ctx, ms, reason);
}

/* ---- the open socket --------------------------------------------------------------------------- */

static int
deliver_client(SpPortalLink *self, const char *event, JsonNode *payload)
{
    struct sp_client_msg msg;
    int r = sp_portal_client_decode_counted(event, payload, &self->stats.skips, &msg);

    if (r < 0)
        return r;
    if (self->ops.client_msg != NULL)
        self->ops.client_msg(self->ctx, &msg);
    sp_client_msg_done(&msg);
    return 0;
}

static int
deliver_gateway(SpPortalLink *self, const char *event, JsonNode *payload)
{
    struct sp_gw_msg msg;
    int r = sp_portal_gateway_decode_counted(event, payload, &self->stats.skips, &msg);

    if (r < 0)
        return r;
    if (self->ops.gateway_msg != NULL)
        self->ops.gateway_msg(self->ctx, &msg);
    sp_gw_msg_done(&msg);
    return 0;
}

static void
deliver(SpPortalLink *self, const char *event, JsonNode *payload)
{
    int r = SP_E_UNSUPPORTED;

    switch (self->login.role) {
    case SP_PORTAL_CLIENT:
        r = deliver_client(self, event, payload);
        break;
    case SP_PORTAL_GATEWAY:
        r = deliver_gateway(self, event, payload);
        break;
    case SP_PORTAL_RELAY: /* nothing in it concerns a relay */
        r = strcmp(event, "init") == 0 ? 0 : SP_E_UNSUPPORTED;
        break;
    }
    if (r == 0) {
        self->stats.messages++;
        return;
    }
    if (r == SP_E_UNSUPPORTED)
        self->stats.unknown_messages++;
    else
        self->stats.bad_messages++;
    SP_DEBUG(self->log, PORTAL, "portal message left out: %s", sp_strerror(r));
}

static void
handle_event(SpPortalLink *self, const struct sp_phx_event *ev)
{
    switch (ev->type) {
    case SP_PHX_JOINED_EVENT:
        sp_backoff_connected(&self->backoff);
        self->connected = true;
        SP_INFO(self->log, PORTAL, "connected to the portal");
        if (self->ops.connected != NULL)
            self->ops.connected(self->ctx);
        break;
    case SP_PHX_MESSAGE:
        deliver(self, ev->u.message.event, ev->u.message.payload);
        break;
    case SP_PHX_LOST:
        wait_and_redial(self, SP_BACKOFF_NO_RETRY_AFTER, sp_phx_lost_name(ev->u.lost));
        break;
    case SP_PHX_FATAL:
        end(self, SP_PORTAL_LINK_REFUSED, ev->u.fatal.message, ev->u.fatal.requires_sign_in);
        break;
    }
}

static gboolean channel_timeout_cb(gpointer data);

static void
arm_channel_timer(SpPortalLink *self)
{
    sp_time at = sp_phx_next_timeout(self->phx);
    sp_duration left;

    if (at == SP_TIME_NEVER) {
        clear_source(&self->timer);
        return;
    }
    left = sp_time_since(now_ns(), at);
    set_timer(self, (guint)((left + SP_MS(1) - 1) / SP_MS(1)), channel_timeout_cb);
}

static void
flush(SpPortalLink *self)
{
    char *text;

    while (self->state == LINK_UP
           && soup_websocket_connection_get_state(self->ws) == SOUP_WEBSOCKET_STATE_OPEN
           && (text = sp_phx_poll_transmit(self->phx)) != NULL) {
        soup_websocket_connection_send_text(self->ws, text);
        g_free(text);
    }
    if (self->state == LINK_UP)
        arm_channel_timer(self);
}

/* A callback may stop or redial: what the channel still has to say is then of no interest. */
static void
drain(SpPortalLink *self)
{
    struct sp_phx_event ev;

    g_object_ref(self);
    while (sp_phx_poll_event(self->phx, &ev)) {
        if (self->state == LINK_UP)
            handle_event(self, &ev);
        sp_phx_event_done(&ev);
    }
    flush(self);
    g_object_unref(self);
}

static gboolean
channel_timeout_cb(gpointer data)
{
    SpPortalLink *self = data;

    sp_phx_handle_timeout(self->phx, now_ns());
    drain(self);
    return G_SOURCE_REMOVE;
}

static void
ws_message_cb(SP_UNUSED SoupWebsocketConnection *ws, int type, GBytes *message, gpointer data)
{
    SpPortalLink *self = data;
    gsize n;
    const void *bytes = g_bytes_get_data(message, &n);

    if (type != SOUP_WEBSOCKET_DATA_TEXT)
        return;
    sp_phx_handle_text(self->phx, bytes, n, now_ns());
    drain(self);
}

static void
ws_closed_cb(SP_UNUSED SoupWebsocketConnection *ws, gpointer data)
{
    SpPortalLink *self = data;

    sp_phx_handle_closed(self->phx);
    drain(self);
}

static void
open_ws(SpPortalLink *self, GIOStream *stream)
{
    /* libsoup wants some URI; the real one holds our identity and is of no use here. */
    g_autoptr(GUri) uri = g_uri_parse("ws://portal/", G_URI_FLAGS_NONE, NULL);

    set_state(self, LINK_UP, "upgraded");
    g_main_context_push_thread_default(self->context);
    self->ws = soup_websocket_connection_new(stream,
                                             uri,
                                             SOUP_WEBSOCKET_CONNECTION_CLIENT,
                                             NULL,
                                             NULL,
                                             NULL);
    g_main_context_pop_thread_default(self->context);
    soup_websocket_connection_set_max_incoming_payload_size(self->ws, SP_PHX_FRAME_MAX);
    g_signal_connect(self->ws, "message", G_CALLBACK(ws_message_cb), self);
    g_signal_connect(self->ws, "closed", G_CALLBACK(ws_closed_cb), self);
    sp_phx_handle_open(self->phx, now_ns());
    drain(self);
}

/* ---- dialling ---------------------------------------------------------------------------------- */

static void
handle_refusal(SpPortalLink *self, const struct sp_upgrade_reply *reply)
{
    gint64 unix_now = g_get_real_time() / G_USEC_PER_SEC;
    g_autofree char *text = NULL;
    char *detail;
    enum sp_portal_verdict verdict = sp_portal_classify_http(reply->status,
                                                             reply->content_type,
                                                             reply->body->str,
                                                             reply->body->len,
                                                             &detail);

    text = g_strdup_printf("the portal answered HTTP %u: %s", reply->status, detail);
    free(detail);
    if (verdict == SP_PORTAL_RETRY)
        wait_and_redial(self, sp_upgrade_retry_after(reply->retry_after, unix_now), text);
    else
        end(self, SP_PORTAL_LINK_REFUSED, text, verdict == SP_PORTAL_FATAL_SIGN_IN);
}

static void
handle_dial_error(SpPortalLink *self, const GError *error, const struct sp_upgrade_reply *reply)
{
    if (g_error_matches(error, SP_PORTAL_ERROR, SP_PORTAL_ERROR_REFUSED))
        handle_refusal(self, reply);
    else if (g_error_matches(error, SP_PORTAL_ERROR, SP_PORTAL_ERROR_LOOP_PREVENTION))
        end(self, SP_PORTAL_LINK_LOOP_PREVENTION, error->message, FALSE);
    else
        wait_and_redial(self, SP_BACKOFF_NO_RETRY_AFTER, error->message);
}

/* Owns a reference to the link and to the cancellable that tells this dial from later ones. */
struct dial_call {
    SpPortalLink *link;
    GCancellable *cancellable;
};

static void
dial_done_cb(SP_UNUSED GObject *source, GAsyncResult *result, gpointer data)
{
    struct dial_call *call = data;
    SpPortalLink *self = call->link;
    struct sp_upgrade_reply reply = { 0 };
    g_autoptr(GError) error = NULL;
    g_autoptr(GIOStream) stream = sp_dial_finish(result, &reply, &error);
    bool current = self->state == LINK_DIALLING && self->dial == call->cancellable;

    if (current) {
        g_clear_object(&self->dial);
        if (stream != NULL)
            open_ws(self, stream);
        else if (self->dial_timed_out)
            wait_and_redial(self, SP_BACKOFF_NO_RETRY_AFTER, "the portal does not answer");
        else
            handle_dial_error(self, error, &reply);
    }
    sp_upgrade_reply_done(&reply);
    g_object_unref(call->cancellable);
    g_free(call);
    g_object_unref(self);
}

static gboolean
dial_timeout_cb(gpointer data)
{
    SpPortalLink *self = data;

    clear_source(&self->timer);
    self->dial_timed_out = true;
    g_cancellable_cancel(self->dial);
    return G_SOURCE_REMOVE;
}

static void
start_dial(SpPortalLink *self)
{
    struct sp_dial_params params = {
        .user_agent = self->user_agent,
        .token = self->token,
        .tls_database = self->tls_database,
        .resolve = self->resolve,
        .tcp_timeout_ms = self->tcp_ms,
    };
    struct dial_call *call;
    struct sp_portal_url url;

    set_state(self, LINK_DIALLING, "dial");
    if (sp_portal_login_url(&self->login, &url) < 0) {
        end(self, SP_PORTAL_LINK_REFUSED, "the portal's URL cannot be used", FALSE);
        return;
    }
    params.url = &url;
    call = g_new0(struct dial_call, 1);
    call->link = g_object_ref(self);
    call->cancellable = g_cancellable_new();
    self->dial = g_object_ref(call->cancellable);
    self->dial_timed_out = false;
    self->stats.dials++;
    set_timer(self, self->dial_ms, dial_timeout_cb);
    g_main_context_push_thread_default(self->context);
    sp_dial_async(&params, call->cancellable, dial_done_cb, call);
    g_main_context_pop_thread_default(self->context);
    sp_portal_url_done(&url);
}

/* ---- interface --------------------------------------------------------------------------------- */

void
sp_portal_link_start(SpPortalLink *self)
{
    g_return_if_fail(SP_IS_PORTAL_LINK(self));
    g_return_if_fail(self->has_key || self->login.role == SP_PORTAL_RELAY);
    if (self->state == LINK_IDLE)
        start_dial(self);
}

void
sp_portal_link_stop(SpPortalLink *self)
{
    g_return_if_fail(SP_IS_PORTAL_LINK(self));
    drop_dial(self);
    if (self->ws != NULL)
        part(self, self->close_ms);
    drop_ws(self);
    set_state(self, LINK_ENDED, "stop");
}

void
sp_portal_link_redial(SpPortalLink *self)
{
    bool was_connected;

    g_return_if_fail(SP_IS_PORTAL_LINK(self));
    was_connected = self->connected;
    sp_backoff_reset(&self->backoff);
    switch (self->state) {
    case LINK_IDLE:
    case LINK_PARTING:
    case LINK_ENDED:
        return;
    case LINK_UP:
        part(self, MIN(self->close_ms, PART_MS));
        set_state(self, LINK_PARTING, "redial");
        break;
    case LINK_DIALLING:
    case LINK_WAITING:
        drop_dial(self);
        start_dial(self);
        break;
    }
    if (was_connected && self->ops.hiccup != NULL)
        self->ops.hiccup(self->ctx, 0, "dialling anew");
}

void
sp_portal_link_set_public_key(SpPortalLink *self, const uint8_t key[SP_KEY_LEN])
{
    g_return_if_fail(SP_IS_PORTAL_LINK(self));
    for (size_t i = 0; i < SP_KEY_LEN; i++)
        self->login.public_key[i] = key[i];
    self->has_key = true;
}

void
sp_portal_link_set_resolvers(SpPortalLink *self, const struct sp_ip *servers, size_t n)
{
    g_return_if_fail(SP_IS_PORTAL_LINK(self));
    self->resolve.n_servers = MIN(n, (size_t)SP_RESOLVE_SERVERS_MAX);
    for (size_t i = 0; i < self->resolve.n_servers; i++)
        self->resolve.servers[i] = (struct sp_endpoint){ .ip = servers[i], .port = self->dns_port };
}

/* Takes both texts. */
static int
send_taken(SpPortalLink *self, char *event, char *payload)
{
    int r = self->state == LINK_UP ? sp_phx_send(self->phx, event, payload) : SP_E_STATE;

    free(event);
    free(payload);
    if (r == 0)
        flush(self);
    return r;
}

int
sp_portal_link_send_client(SpPortalLink *self, const struct sp_client_req *req)
{
    char *event, *payload;
    int r;

    g_return_val_if_fail(SP_IS_PORTAL_LINK(self), SP_E_INVAL);
    r = sp_portal_client_encode(req, &event, &payload);
    return r < 0 ? r : send_taken(self, event, payload);
}

int
sp_portal_link_send_gateway(SpPortalLink *self, const struct sp_gw_req *req)
{
    char *event, *payload;
    int r;

    g_return_val_if_fail(SP_IS_PORTAL_LINK(self), SP_E_INVAL);
    r = sp_portal_gateway_encode(req, &event, &payload);
    return r < 0 ? r : send_taken(self, event, payload);
}

gboolean
sp_portal_link_is_connected(SpPortalLink *self)
{
    g_return_val_if_fail(SP_IS_PORTAL_LINK(self), FALSE);
    return self->connected;
}

enum sp_portal_link_end_cause
sp_portal_link_end_cause(SpPortalLink *self)
{
    g_return_val_if_fail(SP_IS_PORTAL_LINK(self), SP_PORTAL_LINK_NOT_ENDED);
    return self->end_cause;
}

const struct sp_portal_link_stats *
sp_portal_link_stats(SpPortalLink *self)
{
    return &self->stats;
}

const struct sp_phx_stats *
sp_portal_link_channel_stats(SpPortalLink *self)
{
    return sp_phx_stats(self->phx);
}

/* ---- construction ------------------------------------------------------------------------------ */

static void
wipe_token(gpointer data)
{
    sodium_memzero(data, strlen(data));
    g_free(data);
}

static gboolean
take_token(SpPortalLink *self, GBytes *token, GError **error)
{
    gsize n;
    const char *bytes;
    char *text;

    if (token == NULL)
        return TRUE;
    bytes = g_bytes_get_data(token, &n);
    text = g_strndup(bytes, n);
    if (sp_portal_clean_token(text) < 0 || text[0] == '\0') {
        wipe_token(text);
        g_set_error_literal(error,
                            SP_PORTAL_ERROR,
                            SP_PORTAL_ERROR_INVALID,
                            "the token cannot be used");
        return FALSE;
    }
    self->token = g_bytes_new_with_free_func(text, strlen(text) + 1, wipe_token, text);
    return TRUE;
}

static void
take_login(SpPortalLink *self, const struct sp_portal_link_config *c)
{
    self->login.role = c->role;
    self->login.api_url = sp_xstrdup(c->api_url);
    self->login.external_id = sp_xstrdup(c->external_id);
    self->login.name = sp_xstrdup(c->name);
    self->login.device_serial = sp_xstrdup(c->device_serial);
    self->login.device_uuid = sp_xstrdup(c->device_uuid);
    self->login.ipv4 = sp_xstrdup(c->ipv4);
    self->login.ipv6 = sp_xstrdup(c->ipv6);
    self->login.port = c->port;
    self->user_agent = sp_portal_user_agent(&c->agent);
}

static void
take_tuning(SpPortalLink *self, const struct sp_portal_link_config *c)
{
    const struct sp_portal_link_tuning *t = &c->tuning;

    self->dial_ms = t->dial_ms ? t->dial_ms : DIAL_MS;
    self->tcp_ms = t->tcp_ms ? t->tcp_ms : TCP_MS;
    self->close_ms = t->close_ms ? t->close_ms : CLOSE_MS;
    self->dns_port = t->dns_port ? t->dns_port : 53;
    self->hosts_path = g_strdup(t->hosts_path != NULL ? t->hosts_path : "/etc/hosts");
    self->resolve.hosts_path = self->hosts_path;
    self->resolve.timeout_ms = t->dns_ms ? t->dns_ms : DNS_MS;
    self->resolve.mark = c->fwmark;
    sp_backoff_init(&self->backoff,
                    c->max_partition_s ? SP_SEC(c->max_partition_s) : SP_BACKOFF_UNLIMITED);
    if (t->backoff_second_ms)
        self->backoff.unit = SP_MS(t->backoff_second_ms);
}

static gboolean
check_url(SpPortalLink *self, GError **error)
{
    struct sp_portal_url url;

    if (sp_portal_login_url(&self->login, &url) < 0) {
        g_set_error_literal(error,
                            SP_PORTAL_ERROR,
                            SP_PORTAL_ERROR_INVALID,
                            "the portal's URL or our own id or name cannot be used");
        return FALSE;
    }
    sp_portal_url_done(&url);
    return TRUE;
}

static struct sp_phx *
new_channel(const struct sp_portal_link_config *config)
{
    static const char *const topics[] = {
        [SP_PORTAL_CLIENT] = "client",
        [SP_PORTAL_GATEWAY] = "gateway",
        [SP_PORTAL_RELAY] = "relay",
    };
    struct sp_phx_config phx = {
        .topic = topics[config->role],
        .hello_event = "set_snownet_capabilities",
        .hello_payload = "{\"iceless\":false}",
        .join_timeout = SP_MS(config->tuning.join_ms),
        .heartbeat = SP_MS(config->tuning.heartbeat_ms),
    };
    struct sp_phx *channel;
    char *join;

    if (config->role != SP_PORTAL_RELAY)
        return sp_phx_new(&phx, config->log);
    join = g_strdup_printf("{\"stamp_secret\":\"%s\"}", config->stamp_secret);
    phx.hello_event = phx.hello_payload = NULL;
    phx.join_payload = join;
    channel = sp_phx_new(&phx, config->log);
    wipe_token(join);
    return channel;
}

SpPortalLink *
sp_portal_link_new(const struct sp_portal_link_config *config,
                   const struct sp_portal_link_ops *ops,
                   gpointer ctx,
                   GError **error)
{
    g_autoptr(SpPortalLink) self = g_object_new(SP_TYPE_PORTAL_LINK, NULL);

    self->ops = *ops;
    self->ctx = ctx;
    self->log = config->log;
    self->phx = new_channel(config);
    self->tls_database = config->tls_database != NULL ? g_object_ref(config->tls_database) : NULL;
    take_login(self, config);
    take_tuning(self, config);
    if (!take_token(self, config->token, error) || !check_url(self, error))
        return NULL;
    return g_steal_pointer(&self);
}

static void
free_const(const char *text)
{
    free((void *)(uintptr_t)text);
}

static void
sp_portal_link_finalize(GObject *object)
{
    SpPortalLink *self = SP_PORTAL_LINK(object);

    clear_source(&self->timer);
    drop_dial(self);
    if (self->phx != NULL)
        drop_ws(self);
    self->phx = sp_phx_free(self->phx);
    free_const(self->login.api_url);
    free_const(self->login.external_id);
    free_const(self->login.name);
    free_const(self->login.device_serial);
    free_const(self->login.device_uuid);
    free_const(self->login.ipv4);
    free_const(self->login.ipv6);
    free(self->user_agent);
    g_free(self->hosts_path);
    g_clear_pointer(&self->token, g_bytes_unref);
    g_clear_object(&self->tls_database);
    g_clear_pointer(&self->context, g_main_context_unref);
    G_OBJECT_CLASS(sp_portal_link_parent_class)->finalize(object);
}

static void
sp_portal_link_class_init(SpPortalLinkClass *klass)
{
    G_OBJECT_CLASS(klass)->finalize = sp_portal_link_finalize;
}

static void
sp_portal_link_init(SpPortalLink *self)
{
    self->context = g_main_context_ref_thread_default();
}
