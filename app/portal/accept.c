/* SPDX-License-Identifier: Apache-2.0 */
#include "app/portal/accept.h"

#include <string.h>

#include <sodium.h>
#include <sys/socket.h>

#include "app/portal/agent.h"
#include "app/portal/client.h"
#include "app/portal/gateway.h"
#include "app/portal/json.h"
#include "app/portal/stream.h"

#define PEER_KEY         "sp-peer"
#define TEXT_MAX         255
#define AGENT_MAX        512
#define PUBLIC_KEY_TEXT  44
#define RETRY_AFTER_SECS "1"
#define KERNEL_QUEUE_MAX (256 << 10) /* what the kernel may hold for a peer that does not read */
#define BEARER           "bearer "
#define CLIENT_PATH      "/client/v2/websocket"
#define GATEWAY_PATH     "/gateway/v2/websocket"

/* A peer that passed all checks, between the answer to the upgrade and the open socket. */
struct peer {
    struct sp_cp_device *device;
    struct sp_cp_token *token;
    struct sp_cp_seat *seat;
    char *remote_ip;
};

static void
peer_free(gpointer data)
{
    struct peer *p = data;

    sp_cp_device_free(p->device);
    sp_cp_token_free(p->token);
    sp_cp_seat_free(p->seat);
    g_free(p->remote_ip);
    g_free(p);
}

void
sp_cp_problem(SoupServerMessage *msg, unsigned status, const char *code, const char *detail)
{
    g_autoptr(JsonNode) root = json_node_new(JSON_NODE_OBJECT);
    JsonObject *o = json_object_new();
    g_autofree char *text = NULL;

    json_object_set_string_member(o, "type", "about:blank");
    json_object_set_string_member(o, "title", soup_status_get_phrase(status));
    json_object_set_int_member(o, "status", status);
    json_object_set_string_member(o, "detail", detail);
    json_object_set_string_member(o, "code", code);
    json_node_take_object(root, o);
    text = json_to_string(root, FALSE);
    soup_server_message_set_status(msg, status, NULL);
    soup_server_message_set_response(msg,
                                     "application/problem+json",
                                     SOUP_MEMORY_COPY,
                                     text,
                                     strlen(text));
}

static void
refuse_error(SoupServerMessage *msg, const GError *error)
{
    /* Peers throw their token away on 401 invalid_token, so nothing else may end there. */
    if (g_error_matches(error, SP_CP_ERROR, SP_CP_ERROR_DENIED)) {
        sp_cp_problem(msg, SOUP_STATUS_UNAUTHORIZED, "invalid_token", error->message);
    } else if (g_error_matches(error, SP_CP_ERROR, SP_CP_ERROR_DISABLED)) {
        sp_cp_problem(msg, SOUP_STATUS_FORBIDDEN, "account_disabled", error->message);
    } else if (g_error_matches(error, SP_CP_ERROR, SP_CP_ERROR_LIMIT)) {
        sp_cp_problem(msg, SOUP_STATUS_PAYMENT_REQUIRED, "limits_exceeded", error->message);
    } else {
        g_message("cannot accept a connection: %s", error->message);
        sp_cp_problem(msg,
                      SOUP_STATUS_INTERNAL_SERVER_ERROR,
                      "unhandled_connect_error",
                      "the portal has a problem of its own");
    }
}

/* Owned token text without white space, or NULL. */
static char *
bearer_text(SoupServerMessage *msg, GHashTable *query)
{
    const char *header = soup_message_headers_get_one(soup_server_message_get_request_headers(msg),
                                                      "X-Authorization");
    const char *text = query ? g_hash_table_lookup(query, "token") : NULL;
    g_autoptr(GString) out = g_string_new(NULL);

    if (header && g_ascii_strncasecmp(header, BEARER, strlen(BEARER)) == 0)
        text = header + strlen(BEARER);
    for (const char *p = text ? text : ""; *p; p++)
        if (!g_ascii_isspace(*p))
            g_string_append_c(out, *p);
    if (out->len == 0)
        return NULL;
    return g_string_free(g_steal_pointer(&out), FALSE);
}

static void
refuse_for_now(SoupServerMessage *msg, const char *detail)
{
    soup_message_headers_replace(soup_server_message_get_response_headers(msg),
                                 "Retry-After",
                                 RETRY_AFTER_SECS);
    sp_cp_problem(msg, SOUP_STATUS_SERVICE_UNAVAILABLE, "rate_limit", detail);
}

/* The address is asked first: it bounds how many made-up tokens one stranger can enter. */
static bool
within_rate(struct sp_cp_accept *accept,
            SoupServerMessage *msg,
            const char *address,
            const char *token)
{
    int64_t now_us = g_get_monotonic_time();
    uint8_t hash[16];
    char hex[33];
    g_autofree char *key = NULL;

    crypto_generichash(hash, sizeof hash, (const uint8_t *)token, strlen(token), NULL, 0);
    sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);
    key = g_strdup_printf("%s %s", address, hex);
    if (sp_cp_limit_take(accept->addresses, address, now_us)
        && sp_cp_limit_take(accept->connects, key, now_us))
        return true;
    refuse_for_now(msg, "connecting too often");
    return false;
}

static bool
public_key_is_fine(const char *text)
{
    uint8_t key[33];
    size_t n = 0;

    return text && strlen(text) == PUBLIC_KEY_TEXT
           && sodium_base642bin(key,
                                sizeof key,
                                text,
                                strlen(text),
                                NULL,
                                &n,
                                NULL,
                                sodium_base64_VARIANT_ORIGINAL)
                  == 0
           && n == 32;
}

static const char *
param(GHashTable *query, const char *name)
{
    const char *text = query ? g_hash_table_lookup(query, name) : NULL;

    return text && *text ? text : NULL;
}

/* Returns: NULL, or the name of the first parameter that is not acceptable. */
static const char *
bad_param(GHashTable *query, const char *agent, enum sp_cp_device_type type)
{
    static const char *const bounded[] = {
        "name", "device_serial", "device_uuid", "identifier_for_vendor", "firebase_installation_id",
    };
    const char *external_id = param(query, "external_id");

    if (!external_id)
        external_id = param(query, "firezone_id");
    if (!external_id || strlen(external_id) > TEXT_MAX || !g_utf8_validate(external_id, -1, NULL))
        return "external_id";
    if (!public_key_is_fine(param(query, "public_key")))
        return "public_key";
    for (size_t i = 0; i < G_N_ELEMENTS(bounded); i++) {
        const char *text = param(query, bounded[i]);

        if (text && (strlen(text) > TEXT_MAX || !g_utf8_validate(text, -1, NULL)))
            return bounded[i];
    }
    if (!agent || strlen(agent) > AGENT_MAX || !g_utf8_validate(agent, -1, NULL)
        || (type == SP_CP_DEVICE_CLIENT && !sp_cp_agent_is_client(agent)))
        return "user agent";
    return NULL;
}

/* Borrowed texts: valid as long as the query and the token. */
static struct sp_cp_device
describe(GHashTable *query,
         char *agent,
         char *version,
         const struct sp_cp_token *token,
         enum sp_cp_device_type type)
{
    const char *external_id = param(query, "external_id");

    return (struct sp_cp_device){
        .type = type,
        .account_id = token->account_id,
        .actor_id = token->actor_id,
        .site_id = token->site_id,
        .external_id = (char *)(uintptr_t)(external_id ? external_id : param(query, "firezone_id")),
        .name = (char *)(uintptr_t)param(query, "name"),
        .public_key = (char *)(uintptr_t)param(query, "public_key"),
        .version = version,
        .user_agent = agent,
        .device_serial = (char *)(uintptr_t)param(query, "device_serial"),
        .device_uuid = (char *)(uintptr_t)param(query, "device_uuid"),
        .identifier_for_vendor = (char *)(uintptr_t)param(query, "identifier_for_vendor"),
        .firebase_installation_id = (char *)(uintptr_t)param(query, "firebase_installation_id"),
    };
}

static struct peer *
admit(struct sp_cp_accept *accept,
      SoupServerMessage *msg,
      GHashTable *query,
      enum sp_cp_device_type type,
      const char *bearer)
{
    const char *agent_header =
        soup_message_headers_get_one(soup_server_message_get_request_headers(msg), "User-Agent");
    g_autofree char *agent = g_strdup(agent_header);
    g_autofree char *version = agent ? sp_cp_agent_version_text(agent) : NULL;
    g_autoptr(GError) error = NULL;
    const char *bad;
    struct sp_cp_token *token;
    g_autofree char *remote_ip = sp_cp_remote_ip(accept->proxies, msg);
    g_autofree char *address = sp_cp_remote_key(remote_ip);
    struct sp_cp_device seen, *device;
    struct sp_cp_seat *seat;
    struct peer *peer;

    token =
        sp_cp_token_verify(accept->hub->db,
                           accept->hub->keys,
                           type == SP_CP_DEVICE_CLIENT ? SP_CP_TOKEN_CLIENT : SP_CP_TOKEN_GATEWAY,
                           bearer,
                           &error);
    if (!token) {
        refuse_error(msg, error);
        return NULL;
    }
    bad = bad_param(query, agent, type);
    if (bad) {
        g_autofree char *detail = g_strdup_printf("%s is missing or not valid", bad);

        sp_cp_problem(msg, SOUP_STATUS_BAD_REQUEST, "invalid_connect_params", detail);
        sp_cp_token_free(token);
        return NULL;
    }
    seat = sp_cp_seat_take(accept->seats, address, token->id);
    if (!seat) {
        g_message("refused a connection: its address or token holds too many already");
        refuse_for_now(msg, "too many connections");
        sp_cp_token_free(token);
        return NULL;
    }
    seen = describe(query, agent, version, token, type);
    device = sp_cp_device_connect(accept->hub->db, &seen, &error);
    if (!device) {
        refuse_error(msg, error);
        sp_cp_seat_free(seat);
        sp_cp_token_free(token);
        return NULL;
    }
    peer = g_new0(struct peer, 1);
    *peer = (struct peer){ device, token, seat, g_steal_pointer(&remote_ip) };
    return peer;
}

static enum sp_cp_device_type
type_of_path(const char *path)
{
    return g_str_equal(path, CLIENT_PATH) ? SP_CP_DEVICE_CLIENT : SP_CP_DEVICE_GATEWAY;
}

/* Runs on the headers of the request, before the web socket handshake is answered. */
static void
check_cb(SoupServer *server,
         SoupServerMessage *msg,
         const char *path,
         GHashTable *query,
         gpointer data)
{
    struct sp_cp_accept *accept = data;
    g_autofree char *bearer = NULL;
    g_autofree char *remote_ip = NULL;
    g_autofree char *address = NULL;
    g_autoptr(GError) error = NULL;
    struct peer *peer;

    (void)server;
    if (!g_str_equal(path, CLIENT_PATH) && !g_str_equal(path, GATEWAY_PATH)) {
        soup_server_message_set_status(msg, SOUP_STATUS_NOT_FOUND, NULL);
        return;
    }
    if (!soup_websocket_server_check_handshake(msg, NULL, NULL, NULL, &error)) {
        sp_cp_problem(msg, SOUP_STATUS_BAD_REQUEST, "invalid_connect_params", "no web socket");
        return;
    }
    bearer = bearer_text(msg, query);
    if (!bearer) {
        sp_cp_problem(msg, SOUP_STATUS_UNAUTHORIZED, "missing_token", "a token is required");
        return;
    }
    remote_ip = sp_cp_remote_ip(accept->proxies, msg);
    address = sp_cp_remote_key(remote_ip);
    if (!within_rate(accept, msg, address, bearer))
        return;
    peer = admit(accept, msg, query, type_of_path(path), bearer);
    if (peer)
        g_object_set_data_full(G_OBJECT(msg), PEER_KEY, peer, peer_free);
}

/* The answer 101 is out: the connection is ours. libsoup's own handler would put the web socket on
 * the bare connection, which has none of the bounds of sp_cp_stream. */
static void
open_cb(SoupServerMessage *msg, gpointer data)
{
    struct sp_cp_accept *accept = data;
    struct peer *peer = g_object_steal_data(G_OBJECT(msg), PEER_KEY);
    GSocket *socket = soup_server_message_get_socket(msg);
    g_autoptr(SoupServerMessage) keep SP_UNUSED = g_object_ref(msg);
    g_autoptr(GIOStream) base = NULL;
    g_autoptr(GIOStream) stream = NULL;
    g_autoptr(SoupWebsocketConnection) ws = NULL;

    if (!peer)
        return;
    if (socket)
        (void)!g_socket_set_option(socket, SOL_SOCKET, SO_SNDBUF, KERNEL_QUEUE_MAX, NULL);
    base = soup_server_message_steal_connection(msg);
    stream = sp_cp_stream_new(base, SP_CP_FRAME_MAX);
    ws = soup_websocket_connection_new(stream,
                                       soup_server_message_get_uri(msg),
                                       SOUP_WEBSOCKET_CONNECTION_SERVER,
                                       NULL,
                                       NULL,
                                       NULL);
    if (peer->device->type == SP_CP_DEVICE_CLIENT)
        sp_cp_client_new(accept->hub, ws, peer->device, peer->token, peer->seat, peer->remote_ip);
    else
        sp_cp_gateway_new(accept->hub, ws, peer->device, peer->token, peer->seat);
    g_free(peer->remote_ip);
    g_free(peer);
}

static void
upgrade_cb(SoupServer *server,
           SoupServerMessage *msg,
           const char *path,
           GHashTable *query,
           gpointer data)
{
    (void)server;
    (void)path;
    (void)query;
    if (g_object_get_data(G_OBJECT(msg), PEER_KEY)
        && soup_websocket_server_process_handshake(msg, NULL, NULL, NULL, NULL))
        g_signal_connect(msg, "wrote-informational", G_CALLBACK(open_cb), data);
}

void
sp_cp_accept_register(struct sp_cp_accept *accept, SoupServer *server)
{
    static const char *const paths[] = { CLIENT_PATH, GATEWAY_PATH };

    for (size_t i = 0; i < G_N_ELEMENTS(paths); i++) {
        soup_server_add_early_handler(server, paths[i], check_cb, accept, NULL);
        soup_server_add_handler(server, paths[i], upgrade_cb, accept, NULL);
    }
}
