/* SPDX-License-Identifier: Apache-2.0 */
/* The link against a small portal in the same process, over loopback. Intervals are milliseconds;
 * every wait is for a condition, bounded by a watchdog. */
#include <errno.h>
#include <glib.h>
#include <string.h>
#include <unistd.h>

#include <json-glib/json-glib.h>
#include <libsoup/soup.h>

#include "app/portal-link/dial.h"
#include "app/portal-link/link.h"
#include "engine/base/err.h"
#include "tests/unit/app/tls-pem.h"

#define WATCHDOG_MS 10000
#define INIT                                                                     \
    "{\"interface\":{\"ipv4\":\"100.70.1.9\",\"ipv6\":\"fd00:2021:1111::1:9\"}," \
    "\"resources\":[],\"relays\":[]}"
#define GW_INIT "{\"interface\":{\"ipv4\":\"100.64.0.1\",\"ipv6\":\"fd00:2021:1111::1\"}}"

struct portal {
    SoupServer *server;
    guint port;
    GPtrArray *sockets; /* SoupWebsocketConnection, all ever accepted */
    GPtrArray *frames;  /* char *, "event payload" as received, heartbeats left out */
    char *query;        /* of the last request */
    char *host, *user_agent, *authorization, *origin, *extensions;
    unsigned requests, heartbeats, closes;
    guint last_close;
    /* behaviour */
    guint refuse_status;
    unsigned refuse_count; /* how many requests to refuse */
    const char *refuse_type, *refuse_body, *retry_after;
    bool mute_join, mute_heartbeats, tls;
    const char *join_error;
};

struct seen {
    unsigned connected, hiccups, client_msgs, gateway_msgs, fatals;
    guint delay_ms;
    char *text;
    bool requires_sign_in;
    enum sp_client_msg_type client_type;
    SpPortalLink *stop_when_connected;
};

struct fixture {
    struct portal portal;
    struct seen seen;
    SpPortalLink *link;
};

static char *
node_text(JsonNode *node)
{
    return node != NULL ? json_to_string(node, FALSE) : g_strdup("-");
}

static void
push(SoupWebsocketConnection *ws, const char *topic, const char *event, const char *payload)
{
    g_autofree char *text =
        g_strdup_printf("{\"topic\":\"%s\",\"event\":\"%s\",\"payload\":%s,\"ref\":null}",
                        topic,
                        event,
                        payload);

    soup_websocket_connection_send_text(ws, text);
}

static void
reply(SoupWebsocketConnection *ws, const char *topic, gint64 ref, const char *error)
{
    g_autofree char *response =
        error != NULL ? g_strdup_printf("{\"reason\":\"%s\"}", error) : g_strdup("{}");
    g_autofree char *text =
        g_strdup_printf("{\"topic\":\"%s\",\"event\":\"phx_reply\",\"ref\":%" G_GINT64_FORMAT
                        ",\"payload\":{\"status\":\"%s\",\"response\":%s}}",
                        topic,
                        ref,
                        error != NULL ? "error" : "ok",
                        response);

    soup_websocket_connection_send_text(ws, text);
}

static void
portal_message_cb(SoupWebsocketConnection *ws, SP_UNUSED int type, GBytes *bytes, gpointer data)
{
    struct portal *p = data;
    gsize n;
    const char *raw = g_bytes_get_data(bytes, &n);
    g_autofree char *text = g_strndup(raw, n);
    g_autoptr(JsonNode) root = json_from_string(text, NULL);
    JsonObject *o = json_node_get_object(root);
    const char *topic = json_object_get_string_member(o, "topic");
    const char *event = json_object_get_string_member(o, "event");
    gint64 ref = json_object_get_int_member(o, "ref");
    g_autofree char *payload = node_text(json_object_get_member(o, "payload"));

    if (strcmp(event, "heartbeat") == 0) {
        p->heartbeats++;
        if (!p->mute_heartbeats)
            reply(ws, topic, ref, NULL);
        return;
    }
    g_ptr_array_add(p->frames, g_strdup_printf("%s %s", event, payload));
    if (strcmp(event, "phx_join") != 0 || p->mute_join)
        return;
    reply(ws, topic, ref, p->join_error);
    if (p->join_error == NULL)
        push(ws, topic, "init", strcmp(topic, "client") == 0 ? INIT : GW_INIT);
}

static void
portal_closed_cb(SoupWebsocketConnection *ws, gpointer data)
{
    struct portal *p = data;

    p->closes++;
    p->last_close = soup_websocket_connection_get_close_code(ws);
}

static void
portal_socket_cb(SP_UNUSED SoupServer *server,
                 SP_UNUSED SoupServerMessage *msg,
                 SP_UNUSED const char *path,
                 SoupWebsocketConnection *ws,
                 gpointer data)
{
    struct portal *p = data;

    g_ptr_array_add(p->sockets, g_object_ref(ws));
    g_signal_connect(ws, "message", G_CALLBACK(portal_message_cb), p);
    g_signal_connect(ws, "closed", G_CALLBACK(portal_closed_cb), p);
}

static void
keep(char **slot, SoupMessageHeaders *headers, const char *name)
{
    g_free(*slot);
    *slot = g_strdup(soup_message_headers_get_list(headers, name));
}

static void
portal_request_cb(SP_UNUSED SoupServer *server,
                  SoupServerMessage *msg,
                  SP_UNUSED const char *path,
                  SP_UNUSED GHashTable *query,
                  gpointer data)
{
    SoupMessageHeaders *headers = soup_server_message_get_request_headers(msg);
    SoupMessageHeaders *out = soup_server_message_get_response_headers(msg);
    struct portal *p = data;

    p->requests++;
    g_free(p->query);
    p->query = g_strdup(g_uri_get_query(soup_server_message_get_uri(msg)));
    keep(&p->host, headers, "Host");
    keep(&p->user_agent, headers, "User-Agent");
    keep(&p->authorization, headers, "X-Authorization");
    keep(&p->origin, headers, "Origin");
    keep(&p->extensions, headers, "Sec-WebSocket-Extensions");
    if (p->refuse_count == 0)
        return;
    p->refuse_count--;
    soup_server_message_set_status(msg, p->refuse_status, NULL);
    if (p->retry_after != NULL)
        soup_message_headers_replace(out, "Retry-After", p->retry_after);
    if (p->refuse_body != NULL)
        soup_server_message_set_response(msg,
                                         p->refuse_type,
                                         SOUP_MEMORY_STATIC,
                                         p->refuse_body,
                                         strlen(p->refuse_body));
}

static GTlsCertificate *
test_certificate(void)
{
    g_autoptr(GError) error = NULL;
    GTlsCertificate *certificate =
        g_tls_certificate_new_from_pem(test_tls_pem, sizeof test_tls_pem - 1, &error);

    g_assert_no_error(error);
    return certificate;
}

static void
portal_init(struct portal *p, const char *path)
{
    g_autoptr(GError) error = NULL;
    GSList *uris;

    p->sockets = g_ptr_array_new_with_free_func(g_object_unref);
    p->frames = g_ptr_array_new_with_free_func(g_free);
    p->server = soup_server_new(NULL, NULL);
    if (p->tls) {
        g_autoptr(GTlsCertificate) certificate = test_certificate();

        soup_server_set_tls_certificate(p->server, certificate);
    }
    soup_server_add_early_handler(p->server, path, portal_request_cb, p, NULL);
    soup_server_add_websocket_handler(p->server, path, NULL, NULL, portal_socket_cb, p, NULL);
    soup_server_listen_local(p->server,
                             0,
                             SOUP_SERVER_LISTEN_IPV4_ONLY | (p->tls ? SOUP_SERVER_LISTEN_HTTPS : 0),
                             &error);
    g_assert_no_error(error);
    uris = soup_server_get_uris(p->server);
    p->port = (guint)g_uri_get_port(uris->data);
    g_slist_free_full(uris, (GDestroyNotify)g_uri_unref);
}

static void
portal_done(struct portal *p)
{
    for (guint i = 0; i < p->sockets->len; i++)
        g_signal_handlers_disconnect_by_data(p->sockets->pdata[i], p);
    soup_server_disconnect(p->server);
    g_object_unref(p->server);
    g_ptr_array_unref(p->sockets);
    g_ptr_array_unref(p->frames);
    g_free(p->query);
    g_free(p->host);
    g_free(p->user_agent);
    g_free(p->authorization);
    g_free(p->origin);
    g_free(p->extensions);
}

static SoupWebsocketConnection *
last_socket(struct portal *p)
{
    g_assert_cmpuint(p->sockets->len, >, 0);
    return p->sockets->pdata[p->sockets->len - 1];
}

static void
connected_cb(void *ctx)
{
    struct seen *s = ctx;

    s->connected++;
    if (s->stop_when_connected != NULL)
        sp_portal_link_stop(s->stop_when_connected);
}

static void
hiccup_cb(void *ctx, guint delay_ms, const char *reason)
{
    struct seen *s = ctx;

    s->hiccups++;
    s->delay_ms = delay_ms;
    g_free(s->text);
    s->text = g_strdup(reason);
}

static void
client_msg_cb(void *ctx, struct sp_client_msg *msg)
{
    struct seen *s = ctx;

    s->client_msgs++;
    s->client_type = msg->type;
}

static void
gateway_msg_cb(void *ctx, struct sp_gw_msg *msg)
{
    struct seen *s = ctx;

    g_assert_cmpint(msg->type, ==, SP_GW_MSG_INIT);
    s->gateway_msgs++;
}

static void
fatal_cb(void *ctx, const char *message, gboolean requires_sign_in)
{
    struct seen *s = ctx;

    s->fatals++;
    s->requires_sign_in = requires_sign_in;
    g_free(s->text);
    s->text = g_strdup(message);
}

static const struct sp_portal_link_ops ops = {
    .connected = connected_cb,
    .hiccup = hiccup_cb,
    .client_msg = client_msg_cb,
    .gateway_msg = gateway_msg_cb,
    .fatal = fatal_cb,
};

/* Returns the config in @c; the URL is owned by the caller. */
static char *
default_config(const struct fixture *f, enum sp_portal_role role, struct sp_portal_link_config *c)
{
    char *url = g_strdup_printf("ws://127.0.0.1:%u/", f->portal.port);

    *c = (struct sp_portal_link_config){
        .role = role,
        .api_url = url,
        .external_id = "id-1",
        .name = "a host",
        .agent = { "Debian", "12.0.0", "gateway", "1.6.1", "x86_64", NULL },
        .tuning = { .close_ms = 200, .backoff_second_ms = 20, .hosts_path = "/nonexistent" },
    };
    return url;
}

static void
setup_role(struct fixture *f, enum sp_portal_role role)
{
    static const char *const paths[] = {
        [SP_PORTAL_CLIENT] = "/client/v2/websocket",
        [SP_PORTAL_GATEWAY] = "/gateway/v2/websocket",
        [SP_PORTAL_RELAY] = "/relay/websocket",
    };

    portal_init(&f->portal, paths[role]);
}

static void
open_link(struct fixture *f, struct sp_portal_link_config *c)
{
    static const char token[] = " to\nken ";
    g_autoptr(GBytes) bytes = g_bytes_new_static(token, sizeof token - 1);
    g_autoptr(GError) error = NULL;
    uint8_t key[SP_KEY_LEN];

    memset(key, 1, sizeof key);
    c->token = bytes;
    f->link = sp_portal_link_new(c, &ops, &f->seen, &error);
    g_assert_no_error(error);
    sp_portal_link_set_public_key(f->link, key);
    sp_portal_link_start(f->link);
}

static gboolean
watchdog_cb(SP_UNUSED gpointer data)
{
    g_error("the awaited condition did not come about");
    return G_SOURCE_REMOVE;
}

#define AWAIT(condition)                                                \
    do {                                                                \
        guint watchdog = g_timeout_add(WATCHDOG_MS, watchdog_cb, NULL); \
        while (!(condition))                                            \
            g_main_context_iteration(NULL, TRUE);                       \
        g_source_remove(watchdog);                                      \
    } while (0)

static gboolean
flag_cb(gpointer data)
{
    *(bool *)data = true;
    return G_SOURCE_REMOVE;
}

/* Let everything that is due happen, for a bounded time. */
static void
settle(guint ms)
{
    bool done = false;

    g_timeout_add(ms, flag_cb, &done);
    while (!done)
        g_main_context_iteration(NULL, TRUE);
}

static void
teardown(struct fixture *f)
{
    if (f->link != NULL) {
        sp_portal_link_stop(f->link);
        g_object_add_weak_pointer(G_OBJECT(f->link), (gpointer *)&f->link);
        g_object_unref(f->link);
        AWAIT(f->link == NULL); /* nothing may keep it for longer than the goodbye */
    }
    portal_done(&f->portal);
    g_free(f->seen.text);
}

static void
start(struct fixture *f, enum sp_portal_role role)
{
    struct sp_portal_link_config c;
    g_autofree char *url = NULL;

    setup_role(f, role);
    url = default_config(f, role, &c);
    open_link(f, &c);
}

static void
client_joins_and_talks(void)
{
    struct sp_client_req req = { .type = SP_CLIENT_REQ_NO_RELAYS };
    struct fixture f = { 0 };
    struct portal *p = &f.portal;

    start(&f, SP_PORTAL_CLIENT);
    g_assert_cmpint(sp_portal_link_send_client(f.link, &req), ==, SP_E_STATE);
    AWAIT(f.seen.client_msgs == 1);
    g_assert_cmpuint(f.seen.connected, ==, 1);
    g_assert_true(sp_portal_link_is_connected(f.link));
    g_assert_cmpint(f.seen.client_type, ==, SP_CLIENT_MSG_INIT);
    g_assert_cmpstr(p->host, ==, "127.0.0.1");
    g_assert_cmpstr(p->authorization, ==, "Bearer token");
    g_assert_cmpstr(p->user_agent, ==, "Debian/12.0.0 gateway/1.6.1 (x86_64)");
    g_assert_null(p->origin);
    g_assert_null(p->extensions);
    g_assert_cmpstr(p->query,
                    ==,
                    "external_id=id-1&name=a+host"
                    "&public_key=AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE%3D");
    g_assert_cmpint(sp_portal_link_send_client(f.link, &req), ==, 0);
    AWAIT(p->frames->len == 3);
    g_assert_cmpstr(p->frames->pdata[0], ==, "phx_join null");
    g_assert_cmpstr(p->frames->pdata[1], ==, "set_snownet_capabilities {\"iceless\":false}");
    g_assert_cmpstr(p->frames->pdata[2], ==, "no_relays {}");
    push(last_socket(p), "client", "resource_deleted", "\"5f0c0000-0000-4000-8000-000000000001\"");
    push(last_socket(p), "client", "resource_deleted", "7");
    push(last_socket(p), "client", "hovercraft", "{}");
    push(last_socket(p), "client", "resource_deleted", "\"5f0c0000-0000-4000-8000-000000000002\"");
    AWAIT(f.seen.client_msgs == 3);
    g_assert_cmpuint(sp_portal_link_stats(f.link)->bad_messages, ==, 1);
    g_assert_cmpuint(sp_portal_link_stats(f.link)->unknown_messages, ==, 1);
    g_assert_cmpuint(f.seen.hiccups, ==, 0);
    sp_portal_link_stop(f.link);
    AWAIT(p->closes == 1);
    g_assert_cmpuint(p->last_close, ==, 1000);
    teardown(&f);
}

static void
gateway_joins(void)
{
    struct fixture f = { 0 };

    start(&f, SP_PORTAL_GATEWAY);
    AWAIT(f.seen.gateway_msgs == 1);
    teardown(&f);
}

/* R50 of spec relay 7: the join carries the secret, again after each reconnect. */
static void
relay_joins(void)
{
    static const char join[] = "phx_join {\"stamp_secret\":\"00ff\"}";
    struct sp_portal_link_config c;
    g_autoptr(GError) error = NULL;
    struct fixture f = { 0 };
    struct portal *p = &f.portal;
    g_autofree char *url = NULL;

    setup_role(&f, SP_PORTAL_RELAY);
    url = default_config(&f, SP_PORTAL_RELAY, &c);
    c.external_id = NULL;
    c.ipv4 = "192.0.2.1";
    c.ipv6 = "2001:db8::1";
    c.port = 3479;
    c.stamp_secret = "00ff";
    f.link = sp_portal_link_new(&c, &ops, &f.seen, &error);
    g_assert_no_error(error);
    sp_portal_link_start(f.link); /* without a public key */
    AWAIT(f.seen.connected == 1);
    AWAIT(sp_portal_link_stats(f.link)->messages == 1);
    g_assert_cmpstr(p->query, ==, "name=a+host&ipv4=192.0.2.1&ipv6=2001%3Adb8%3A%3A1&port=3479");
    g_assert_cmpuint(p->frames->len, ==, 1);
    g_assert_cmpstr(p->frames->pdata[0], ==, join);
    push(last_socket(p), "relay", "hovercraft", "{}");
    AWAIT(sp_portal_link_stats(f.link)->unknown_messages == 1);
    soup_websocket_connection_close(last_socket(p), SOUP_WEBSOCKET_CLOSE_GOING_AWAY, NULL);
    AWAIT(f.seen.connected == 2);
    AWAIT(p->frames->len == 2);
    g_assert_cmpstr(p->frames->pdata[1], ==, join);
    g_assert_cmpuint(f.seen.client_msgs + f.seen.gateway_msgs, ==, 0);
    teardown(&f);
}

static void
large_message_arrives(void)
{
    g_autoptr(GString) payload = g_string_new("{\"interface\":{\"ipv4\":\"100.70.1.9\",\"ipv6\":"
                                              "\"fd00::1\"},\"padding\":\"");
    struct fixture f = { 0 };

    start(&f, SP_PORTAL_CLIENT);
    AWAIT(f.seen.client_msgs == 1);
    for (unsigned i = 0; i < 20000; i++)
        g_string_append(payload, "0123456789");
    g_string_append(payload, "\"}");
    push(last_socket(&f.portal), "client", "init", payload->str);
    AWAIT(f.seen.client_msgs == 2);
    teardown(&f);
}

static void
refusals_are_classified(void)
{
    static const struct {
        guint status;
        const char *type, *body;
        bool requires_sign_in;
        const char *text;
    } cases[] = {
        { 401,
          "application/problem+json",
          "{\"code\":\"invalid_token\",\"detail\":\"the token is gone\"}",
          true,
          "the portal answered HTTP 401: the token is gone" },
        { 401, "text/html", "<p>proxy", false, "the portal answered HTTP 401: no reason provided" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct fixture f = { .portal = { .refuse_status = cases[i].status,
                                         .refuse_count = 1,
                                         .refuse_type = cases[i].type,
                                         .refuse_body = cases[i].body } };

        start(&f, SP_PORTAL_CLIENT);
        AWAIT(f.seen.fatals == 1);
        g_assert_cmpint(f.seen.requires_sign_in, ==, cases[i].requires_sign_in);
        g_assert_cmpstr(f.seen.text, ==, cases[i].text);
        sp_portal_link_redial(f.link); /* the end is the end */
        settle(60);
        g_assert_cmpuint(f.portal.requests, ==, 1);
        g_assert_cmpuint(f.seen.hiccups, ==, 0);
        teardown(&f);
    }
}

static void
retry_after_is_honoured(void)
{
    struct fixture f = {
        .portal = { .refuse_status = 503, .refuse_count = 2, .retry_after = "7" }
    };

    start(&f, SP_PORTAL_CLIENT);
    AWAIT(f.seen.hiccups == 1);
    g_assert_cmpuint(f.seen.delay_ms, ==, 7 * 20);
    AWAIT(f.seen.connected == 1);
    g_assert_cmpuint(f.portal.requests, ==, 3);
    g_assert_cmpuint(f.seen.fatals, ==, 0);
    teardown(&f);
}

static void
first_contact_gives_up(void)
{
    struct fixture f = { .portal = { .refuse_status = 403, .refuse_count = 100 } };

    start(&f, SP_PORTAL_CLIENT);
    AWAIT(f.seen.fatals == 1);
    g_assert_false(f.seen.requires_sign_in);
    g_assert_cmpuint(f.seen.hiccups, ==, 15);
    g_assert_cmpuint(f.portal.requests, ==, 16);
    teardown(&f);
}

static void
lost_server_is_dialled_again(void)
{
    struct fixture f = { 0 };

    start(&f, SP_PORTAL_CLIENT);
    AWAIT(f.seen.connected == 1);
    soup_websocket_connection_close(last_socket(&f.portal), 1001, NULL);
    AWAIT(f.seen.hiccups == 1);
    g_assert_false(sp_portal_link_is_connected(f.link));
    g_assert_cmpuint(f.seen.delay_ms, >=, 10);
    g_assert_cmpuint(f.seen.delay_ms, <=, 20);
    AWAIT(f.seen.connected == 2);
    push(last_socket(&f.portal), "client", "phx_close", "{}");
    AWAIT(f.seen.hiccups == 2);
    g_assert_cmpstr(f.seen.text, ==, "channel closed by the portal");
    AWAIT(f.seen.connected == 3 && f.seen.client_msgs == 3);
    g_assert_cmpuint(f.portal.sockets->len, ==, 3);
    teardown(&f);
}

static void
dead_token_is_final(void)
{
    struct fixture f = { 0 };

    start(&f, SP_PORTAL_CLIENT);
    AWAIT(f.seen.client_msgs == 1);
    push(last_socket(&f.portal), "client", "disconnect", "{\"reason\":\"token_expired\"}");
    AWAIT(f.seen.fatals == 1);
    g_assert_true(f.seen.requires_sign_in);
    teardown(&f);
}

static void
join_error_is_final(void)
{
    struct fixture f = { .portal = { .join_error = "nope" } };

    start(&f, SP_PORTAL_CLIENT);
    AWAIT(f.seen.fatals == 1);
    g_assert_false(f.seen.requires_sign_in);
    g_assert_cmpstr(f.seen.text, ==, "the portal refused the login: nope");
    teardown(&f);
}

static void
silence_is_noticed(void)
{
    struct fixture f = { .portal = { .mute_heartbeats = true } };
    struct sp_portal_link_config c;
    g_autofree char *url = NULL;

    setup_role(&f, SP_PORTAL_CLIENT);
    url = default_config(&f, SP_PORTAL_CLIENT, &c);
    c.tuning.heartbeat_ms = 30;
    open_link(&f, &c);
    AWAIT(f.seen.hiccups == 1);
    g_assert_cmpstr(f.seen.text, ==, "heartbeats unanswered");
    g_assert_cmpuint(f.portal.heartbeats, ==, 3);
    f.portal.mute_heartbeats = false;
    AWAIT(f.seen.connected == 2 && f.portal.heartbeats >= 8);
    g_assert_cmpuint(f.seen.hiccups, ==, 1);
    teardown(&f);
}

static void
unanswered_join_is_noticed(void)
{
    struct fixture f = { .portal = { .mute_join = true } };
    struct sp_portal_link_config c;
    g_autofree char *url = NULL;

    setup_role(&f, SP_PORTAL_CLIENT);
    url = default_config(&f, SP_PORTAL_CLIENT, &c);
    c.tuning.join_ms = 40;
    open_link(&f, &c);
    AWAIT(f.seen.hiccups == 1);
    g_assert_cmpstr(f.seen.text, ==, "no answer to the join");
    g_assert_cmpuint(f.seen.connected, ==, 0);
    teardown(&f);
}

static void
redial_takes_the_new_key(void)
{
    struct fixture f = { 0 };
    uint8_t key[SP_KEY_LEN];

    start(&f, SP_PORTAL_CLIENT);
    AWAIT(f.seen.client_msgs == 1);
    memset(key, 2, sizeof key);
    sp_portal_link_set_public_key(f.link, key);
    sp_portal_link_redial(f.link);
    g_assert_false(sp_portal_link_is_connected(f.link));
    g_assert_cmpuint(f.seen.hiccups, ==, 1);
    g_assert_cmpuint(f.seen.delay_ms, ==, 0);
    sp_portal_link_redial(f.link);
    AWAIT(f.seen.connected == 2);
    g_assert_cmpuint(f.portal.closes, ==, 1);
    g_assert_cmpuint(f.portal.last_close, ==, 1000);
    g_assert_true(g_str_has_suffix(f.portal.query,
                                   "public_key=AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI%3D"));
    g_assert_cmpuint(f.portal.requests, ==, 2);
    teardown(&f);
}

static void
stop_within_a_callback(void)
{
    struct fixture f = { 0 };

    start(&f, SP_PORTAL_CLIENT);
    f.seen.stop_when_connected = f.link;
    AWAIT(f.seen.connected == 1);
    settle(60);
    g_assert_cmpuint(f.seen.client_msgs, ==, 0);
    g_assert_cmpuint(f.seen.hiccups, ==, 0);
    g_assert_cmpuint(f.portal.requests, ==, 1);
    teardown(&f);
}

/* A listener that accepts and says nothing. */
static void
silent_portal_times_out(void)
{
    g_autoptr(GSocketListener) listener = g_socket_listener_new();
    guint16 port = g_socket_listener_add_any_inet_port(listener, NULL, NULL);
    struct sp_portal_link_config c;
    struct fixture f = { 0 };
    g_autofree char *url = NULL;
    gint64 begin;

    setup_role(&f, SP_PORTAL_CLIENT);
    f.portal.port = port;
    url = default_config(&f, SP_PORTAL_CLIENT, &c);
    c.tuning.dial_ms = 50;
    begin = g_get_monotonic_time();
    open_link(&f, &c);
    AWAIT(f.seen.hiccups == 1);
    g_assert_cmpstr(f.seen.text, ==, "the portal does not answer");
    g_assert_cmpint(g_get_monotonic_time() - begin, <, 2 * G_USEC_PER_SEC);
    teardown(&f);
}

static void
mark_must_be_set(void)
{
    struct sp_portal_link_config c;
    struct fixture f = { 0 };
    g_autofree char *url = NULL;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool allowed = sp_resolve_mark(fd, 0x5a110001u, NULL);

    close(fd);
    setup_role(&f, SP_PORTAL_CLIENT);
    url = default_config(&f, SP_PORTAL_CLIENT, &c);
    c.fwmark = 0x5a110001u;
    open_link(&f, &c);
    if (allowed) {
        AWAIT(f.seen.connected == 1);
    } else {
        AWAIT(f.seen.fatals == 1);
        g_assert_true(g_str_has_prefix(f.seen.text, "routing loop prevention failed"));
        g_assert_cmpuint(f.portal.requests, ==, 0);
    }
    teardown(&f);
}

static void
configuration_is_checked(void)
{
    static const struct {
        const char *url, *token, *id;
    } cases[] = {
        { "ftp://portal/", "t", "id" },
        { "ws://portal/", "\x01", "id" },
        { "ws://portal/", " \n", "id" },
        { "ws://portal/", "t", "" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GBytes) token = g_bytes_new_static(cases[i].token, strlen(cases[i].token));
        struct sp_portal_link_config c = {
            .api_url = cases[i].url,
            .token = token,
            .external_id = cases[i].id,
            .name = "n",
            .agent = { "Debian", "12", "gateway", "1.6.1", NULL, NULL },
        };
        g_autoptr(GError) error = NULL;

        g_assert_null(sp_portal_link_new(&c, &ops, NULL, &error));
        g_assert_error(error, SP_PORTAL_ERROR, SP_PORTAL_ERROR_INVALID);
    }
}

/* ---- resolving by our own servers -------------------------------------------------------------- */

struct dns_stub {
    GSocket *sock;
    guint16 port;
    unsigned queries;
    bool mute;
};

/* Answers A with an alias and 127.0.0.1, AAAA with an empty answer. */
static gboolean
dns_cb(GSocket *sock, SP_UNUSED GIOCondition condition, gpointer data)
{
    static const char alias[] = "\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x01\x00\x04\x01x\xc0\x0c"
                                "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x01\x00\x04\x7f\x00\x00\x01";
    struct dns_stub *stub = data;
    g_autoptr(GSocketAddress) from = NULL;
    char buf[600];
    gssize n = g_socket_receive_from(sock, &from, buf, 512, NULL, NULL);
    bool v4;

    g_assert_cmpint(n, >, 16);
    stub->queries++;
    if (stub->mute)
        return G_SOURCE_CONTINUE;
    v4 = buf[n - 3] == 1;
    buf[2] = (char)0x81;
    buf[3] = (char)0x80;
    buf[7] = v4 ? 2 : 0;
    if (v4) {
        memcpy(buf + n, alias, sizeof alias - 1);
        n += (gssize)sizeof alias - 1;
    }
    g_socket_send_to(sock, from, buf, (gsize)n, NULL, NULL);
    return G_SOURCE_CONTINUE;
}

static void
own_servers_are_asked(void)
{
    g_autoptr(GInetAddress) loopback = g_inet_address_new_loopback(G_SOCKET_FAMILY_IPV4);
    g_autoptr(GSocketAddress) bind_to = g_inet_socket_address_new(loopback, 0);
    g_autoptr(GSocketAddress) bound = NULL;
    struct sp_ip server = sp_ip4(127, 0, 0, 1);
    struct sp_portal_link_config c;
    struct dns_stub stub = { 0 };
    struct fixture f = { 0 };
    g_autofree char *url = NULL;
    uint8_t key[SP_KEY_LEN] = { 0 };
    GSource *source;

    stub.sock =
        g_socket_new(G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_DATAGRAM, G_SOCKET_PROTOCOL_UDP, NULL);
    g_assert_true(g_socket_bind(stub.sock, bind_to, FALSE, NULL));
    bound = g_socket_get_local_address(stub.sock, NULL);
    source = g_socket_create_source(stub.sock, G_IO_IN, NULL);
    g_source_set_callback(source, G_SOURCE_FUNC(dns_cb), &stub, NULL);
    g_source_attach(source, NULL);

    setup_role(&f, SP_PORTAL_CLIENT);
    g_free(default_config(&f, SP_PORTAL_CLIENT, &c));
    url = g_strdup_printf("ws://portal.test:%u/", f.portal.port);
    c.api_url = url;
    c.tuning.dns_port = g_inet_socket_address_get_port(G_INET_SOCKET_ADDRESS(bound));
    c.tuning.dns_ms = 100;
    f.link = sp_portal_link_new(&c, &ops, &f.seen, NULL);
    sp_portal_link_set_public_key(f.link, key);
    sp_portal_link_set_resolvers(f.link, &server, 1);
    stub.mute = true;
    sp_portal_link_start(f.link);
    AWAIT(f.seen.hiccups == 1);
    g_assert_cmpstr(f.seen.text, ==, "the portal's name has no address");
    g_assert_cmpuint(stub.queries, ==, 2);
    stub.mute = false;
    AWAIT(f.seen.connected == 1);
    g_assert_cmpstr(f.portal.host, ==, "portal.test");
    g_assert_null(f.portal.authorization);
    teardown(&f);
    g_source_destroy(source);
    g_source_unref(source);
    g_object_unref(stub.sock);
}

static void
hosts_file_comes_first(void)
{
    static const char text[] = "# comment\n10.0.0.9 other.test\n192.0.2.7\tx Portal.TEST # y\n"
                               "bad portal.test\n2001:db8::7 portal.test\n192.0.2.7 portal.test\n";
    g_autofree char *path = NULL;
    struct sp_ip addrs[SP_RESOLVE_ADDRS_MAX];
    struct sp_resolve_params p = { .host = "portal.test", .n_servers = 1, .timeout_ms = 1 };
    char out[SP_IP_STR_MAX];
    int fd = g_file_open_tmp("hosts-XXXXXX", &path, NULL);

    close(fd);
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    p.hosts_path = path;
    p.servers[0] = (struct sp_endpoint){ .ip = sp_ip4(127, 0, 0, 1), .port = 9 };
    g_assert_cmpuint(sp_resolve(&p, NULL, addrs, NULL), ==, 2);
    g_assert_cmpstr(sp_ip_format(&addrs[0], out), ==, "192.0.2.7");
    g_assert_cmpstr(sp_ip_format(&addrs[1], out), ==, "2001:db8::7");
    p.host = "::1";
    g_assert_cmpuint(sp_resolve(&p, NULL, addrs, NULL), ==, 1);
    g_assert_cmpstr(sp_ip_format(&addrs[0], out), ==, "::1");
    unlink(path);
}

#ifdef __has_feature
#    if __has_feature(address_sanitizer)
#        define __SANITIZE_ADDRESS__ 1 /* as gcc says it */
#    endif
#endif

/* Leak checkers crash in threads that have used a TLS library loaded at run time (gcc 12, clang 14). */
static bool
leak_checker_would_crash(void)
{
#ifdef __SANITIZE_ADDRESS__
    const char *options = g_getenv("ASAN_OPTIONS");

    return options == NULL || strstr(options, "detect_leaks=0") == NULL;
#else
    return false;
#endif
}

/* Dialled under @name with the test certificate as only root, and by way of a hosts file. */
static void
dial_tls(struct fixture *f, const char *name, bool trusted)
{
    struct sp_ip server = sp_ip4(127, 0, 0, 1);
    g_autoptr(GTlsDatabase) roots = NULL;
    g_autofree char *url = NULL, *hosts = NULL, *pem = NULL;
    struct sp_portal_link_config c;
    uint8_t key[SP_KEY_LEN] = { 0 };

    close(g_file_open_tmp("hosts-XXXXXX", &hosts, NULL));
    close(g_file_open_tmp("roots-XXXXXX", &pem, NULL));
    g_assert_true(g_file_set_contents(hosts, "127.0.0.1 portal.test wrong.test\n", -1, NULL));
    g_assert_true(g_file_set_contents(pem, test_tls_pem, -1, NULL));
    roots = g_tls_file_database_new(pem, NULL);
    f->portal.tls = true;
    setup_role(f, SP_PORTAL_CLIENT);
    g_free(default_config(f, SP_PORTAL_CLIENT, &c));
    url = g_strdup_printf("wss://%s:%u/", name, f->portal.port);
    c.api_url = url;
    c.tuning.hosts_path = hosts;
    c.tls_database = trusted ? roots : NULL;
    f->link = sp_portal_link_new(&c, &ops, &f->seen, NULL);
    sp_portal_link_set_public_key(f->link, key);
    sp_portal_link_set_resolvers(f->link, &server, 1);
    sp_portal_link_start(f->link);
    AWAIT(f->seen.client_msgs == 1 || f->seen.hiccups == 1);
    unlink(hosts);
    unlink(pem);
}

/* The server of libsoup 3.6 may complain of its own connection when a client refuses its certificate. */
static gboolean
is_fatal(const char *domain,
         GLogLevelFlags level SP_UNUSED,
         const char *text,
         gpointer data SP_UNUSED)
{
    return g_strcmp0(domain, "libsoup") != 0
           || strstr(text, "soup_server_connection_disconnect") == NULL;
}

/* The handler of GLib's tests would report a failed case all the same. */
static void
on_critical(const char *domain, GLogLevelFlags level, const char *text, gpointer data)
{
    if (is_fatal(domain, level, text, data))
        g_log_default_handler(domain, level, text, data);
}

static void
tls_is_verified(void)
{
    static const struct {
        const char *name;
        bool trusted, connects;
    } cases[] = {
        { "portal.test", true, true },
        { "portal.test", false, false },
        { "wrong.test", true, false },
    };

    if (leak_checker_would_crash()) {
        g_test_skip("needs ASAN_OPTIONS=detect_leaks=0");
        return;
    }
    if (!g_tls_backend_supports_tls(g_tls_backend_get_default())) {
        g_test_skip("no TLS backend");
        return;
    }
    g_test_log_set_fatal_handler(is_fatal, NULL);
    g_log_set_handler("libsoup", G_LOG_LEVEL_CRITICAL | G_LOG_FLAG_FATAL, on_critical, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct fixture f = { 0 };

        g_test_message("case %zu", i);
        dial_tls(&f, cases[i].name, cases[i].trusted);
        g_assert_cmpuint(f.seen.connected, ==, cases[i].connects ? 1 : 0);
        if (cases[i].connects) {
            soup_websocket_connection_close(last_socket(&f.portal), 1001, NULL);
            AWAIT(f.seen.hiccups == 1);
        } else {
            g_assert_cmpuint(f.portal.requests, ==, 0);
        }
        teardown(&f);
    }
}

/* ---- HTTP details ------------------------------------------------------------------------------ */

static void
accept_key(void)
{
    /* RFC 6455 section 1.3 */
    g_autofree char *accept = sp_upgrade_accept("dGhlIHNhbXBsZSBub25jZQ==");

    g_assert_cmpstr(accept, ==, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void
retry_after_forms(void)
{
    static const struct {
        const char *header;
        gint64 seconds;
    } cases[] = {
        { NULL, -1 },
        { "", -1 },
        { "0", 0 },
        { " 120 ", 120 },
        { "1.5", -1 },
        { "-1", -1 },
        { "+1", -1 },
        { "soon", -1 },
        /* the date of RFC 9110 section 5.6.7; the clock stands 60 s before it */
        { "Sun, 06 Nov 1994 08:49:37 GMT", 60 },
        { "Sun, 06 Nov 1994 08:00:00 GMT", 0 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_message("case %zu", i);
        g_assert_cmpint(sp_upgrade_retry_after(cases[i].header, 784111777 - 60),
                        ==,
                        cases[i].seconds);
    }
}

static void
chunks(void)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        { "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n", "hello world" },
        { "A\r\n0123456789\r\n0\r\n\r\n", "0123456789" },
        { "5\r\nhel", "hel" },
        { "fffffff\r\nabc", "abc" },
        { "ffffffffffffffffff\r\nabc", "abc" },
        { "5", "" },
        { "", "" },
        { "zz\r\nabc", "" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        GString *out = sp_upgrade_dechunk(cases[i].in, strlen(cases[i].in));

        g_test_message("case %zu", i);
        g_assert_cmpstr(out->str, ==, cases[i].out);
        g_string_free(out, TRUE);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/portal-link/client-talks", client_joins_and_talks);
    g_test_add_func("/portal-link/gateway-joins", gateway_joins);
    g_test_add_func("/portal-link/relay-joins", relay_joins);
    g_test_add_func("/portal-link/large-message", large_message_arrives);
    g_test_add_func("/portal-link/refusals", refusals_are_classified);
    g_test_add_func("/portal-link/retry-after", retry_after_is_honoured);
    g_test_add_func("/portal-link/first-contact-gives-up", first_contact_gives_up);
    g_test_add_func("/portal-link/lost-server", lost_server_is_dialled_again);
    g_test_add_func("/portal-link/dead-token", dead_token_is_final);
    g_test_add_func("/portal-link/join-error", join_error_is_final);
    g_test_add_func("/portal-link/dead-heartbeat", silence_is_noticed);
    g_test_add_func("/portal-link/join-timeout", unanswered_join_is_noticed);
    g_test_add_func("/portal-link/redial", redial_takes_the_new_key);
    g_test_add_func("/portal-link/stop-in-callback", stop_within_a_callback);
    g_test_add_func("/portal-link/silent-portal", silent_portal_times_out);
    g_test_add_func("/portal-link/mark", mark_must_be_set);
    g_test_add_func("/portal-link/configuration", configuration_is_checked);
    g_test_add_func("/portal-link/own-servers", own_servers_are_asked);
    g_test_add_func("/portal-link/tls", tls_is_verified);
    g_test_add_func("/portal-link/hosts-file", hosts_file_comes_first);
    g_test_add_func("/portal-link/accept-key", accept_key);
    g_test_add_func("/portal-link/retry-after-forms", retry_after_forms);
    g_test_add_func("/portal-link/chunks", chunks);
    return g_test_run();
}
