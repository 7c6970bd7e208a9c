/* SPDX-License-Identifier: Apache-2.0 */
#include "app/portal/server.h"

#include <stdio.h>
#include <string.h>

#include <gio/gio.h>
#include <glib-unix.h>
#include <libsoup/soup.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "app/common/log.h"
#include "app/portal/accept.h"
#include "app/portal/channel.h"
#include "app/portal/guard.h"
#include "app/portal/signin.h"
#include "engine/base/addr.h"

#define BACKLOG            512
#define BODY_MAX           65536
#define SPARE_FILES        64   /* descriptors that are no connections */
#define ADDRESS_RATE       20.0 /* connects per second of one address, a household of many users */
#define ADDRESS_BURST      200.0
#define CLIENT_RATE        100.0 /* messages per second */
#define GATEWAY_RATE       1000.0
#define MESSAGE_BURST_SECS 20.0 /* after a roam every connection tells all its candidates */
#define SHUTDOWN_STEP_MS   20
#define SHUTDOWN_STEPS_MAX 100

struct options {
    char *listen;
    char *database;
    char *public_url;
    char *log_level;
    gboolean dev_sign_in;
    double connect_rate;
    int connect_burst;
    int offer_timeout_ms;
    int poll_ms;
    int tick_ms;
    int idle_ms;
    int join_ms;
    int request_ms;
    int outgoing_max;
    double message_rate;
    int max_connections;
    int max_per_address;
    int max_per_token;
    char **trusted_proxies;
};

struct server {
    struct options options;
    struct sp_cp_db *db;
    struct sp_cp_keys keys;
    struct sp_cp_hub *hub;
    struct sp_cp_accept accept;
    struct sp_cp_proxies *proxies;
    struct sp_cp_guard *guard;
    struct sp_cp_signin *signin;
    SoupServer *soup;
    GMainLoop *loop;
    char *url;
    unsigned shutdown_steps;
};

static bool
parse_options(int *argc, char ***argv, struct options *o, GError **error)
{
    const GOptionEntry entries[] = {
        { "listen",
          'l',
          0,
          G_OPTION_ARG_STRING,
          &o->listen,
          "Address and port; port 0 takes a free one (default 127.0.0.1:8081)",
          "ADDR:PORT" },
        { "database",
          'd',
          0,
          G_OPTION_ARG_FILENAME,
          &o->database,
          "SQLite file (or environment SALLYPORT_PORTAL_DATABASE)",
          "FILE" },
        { "public-url",
          0,
          0,
          G_OPTION_ARG_STRING,
          &o->public_url,
          "Address under which browsers and peers reach this portal",
          "URL" },
        { "dev-sign-in",
          0,
          0,
          G_OPTION_ARG_NONE,
          &o->dev_sign_in,
          "Let anyone sign in as anyone without a password; demonstrations only",
          NULL },
        { "log-level",
          0,
          0,
          G_OPTION_ARG_STRING,
          &o->log_level,
          "error, warning, info or debug (default info)",
          "LEVEL" },
        { "connect-rate",
          0,
          0,
          G_OPTION_ARG_DOUBLE,
          &o->connect_rate,
          "Connects per second of one token and address; 0 for no limit (default 1)",
          "N" },
        { "connect-burst",
          0,
          0,
          G_OPTION_ARG_INT,
          &o->connect_burst,
          "Connects allowed at once (default 1)",
          "N" },
        { "max-connections",
          0,
          0,
          G_OPTION_ARG_INT,
          &o->max_connections,
          "Connections in all (default 4096)",
          "N" },
        { "max-per-address",
          0,
          0,
          G_OPTION_ARG_INT,
          &o->max_per_address,
          "Connections of one address or IPv6 /64 (default 512)",
          "N" },
        { "max-per-token",
          0,
          0,
          G_OPTION_ARG_INT,
          &o->max_per_token,
          "Web sockets of one token (default 256)",
          "N" },
        { "trusted-proxy",
          0,
          0,
          G_OPTION_ARG_STRING_ARRAY,
          &o->trusted_proxies,
          "Believe X-Forwarded-For of this proxy; may be repeated",
          "ADDR|CIDR" },
        { "tick-ms",
          0,
          G_OPTION_FLAG_HIDDEN,
          G_OPTION_ARG_INT,
          &o->tick_ms,
          "How often what depends on the clock is looked at",
          "MS" },
        { "idle-ms",
          0,
          G_OPTION_FLAG_HIDDEN,
          G_OPTION_ARG_INT,
          &o->idle_ms,
          "How long a peer may be silent",
          "MS" },
        { "join-ms",
          0,
          G_OPTION_FLAG_HIDDEN,
          G_OPTION_ARG_INT,
          &o->join_ms,
          "How long a peer may take to join",
          "MS" },
        { "request-ms",
          0,
          G_OPTION_FLAG_HIDDEN,
          G_OPTION_ARG_INT,
          &o->request_ms,
          "How long a request may take",
          "MS" },
        { "outgoing-max",
          0,
          G_OPTION_FLAG_HIDDEN,
          G_OPTION_ARG_INT,
          &o->outgoing_max,
          "Bytes kept for a peer that does not read",
          "N" },
        { "message-rate",
          0,
          G_OPTION_FLAG_HIDDEN,
          G_OPTION_ARG_DOUBLE,
          &o->message_rate,
          "Messages per second of any peer; 0 for no limit",
          "N" },
        { "offer-timeout-ms",
          0,
          G_OPTION_FLAG_HIDDEN,
          G_OPTION_ARG_INT,
          &o->offer_timeout_ms,
          "How long a gateway may take to answer",
          "MS" },
        { "poll-ms",
          0,
          G_OPTION_FLAG_HIDDEN,
          G_OPTION_ARG_INT,
          &o->poll_ms,
          "How often changes are looked for",
          "MS" },
        G_OPTION_ENTRY_NULL,
    };
    g_autoptr(GOptionContext) context = g_option_context_new("- run the control plane");

    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, argc, argv, error))
        return false;
    if (*argc > 1 || o->connect_rate < 0 || o->connect_burst < 1 || o->offer_timeout_ms < 1
        || o->poll_ms < 10 || o->tick_ms < 10 || o->idle_ms < 10 || o->join_ms < 10
        || o->request_ms < 10 || o->outgoing_max < 1 || o->max_connections < 1
        || o->max_per_address < 1 || o->max_per_token < 1) {
        g_set_error_literal(error,
                            G_OPTION_ERROR,
                            G_OPTION_ERROR_BAD_VALUE,
                            "an argument is out of range, see sallyport-portal serve --help");
        return false;
    }
    if (!o->listen)
        o->listen = g_strdup("127.0.0.1:8081");
    if (!o->database)
        o->database = g_strdup(g_getenv("SALLYPORT_PORTAL_DATABASE"));
    if (!o->database)
        g_set_error_literal(error,
                            G_OPTION_ERROR,
                            G_OPTION_ERROR_BAD_VALUE,
                            "name the database: --database FILE, or the environment variable"
                            " SALLYPORT_PORTAL_DATABASE");
    return o->database != NULL;
}

static void
readyz_cb(SoupServer *soup,
          SoupServerMessage *msg,
          const char *path,
          GHashTable *query,
          gpointer data)
{
    static const char ready[] = "{\"status\":\"ok\"}";
    static const char busy[] = "{\"status\":\"unavailable\"}";
    struct server *s = data;
    bool ok = sp_cp_db_data_version(s->db) >= 0 && s->shutdown_steps == 0;
    const char *text = ok ? ready : busy;

    (void)soup;
    (void)query;
    if (!g_str_equal(path, "/readyz")) {
        soup_server_message_set_status(msg, SOUP_STATUS_NOT_FOUND, NULL);
        return;
    }
    soup_server_message_set_status(msg,
                                   ok ? SOUP_STATUS_OK : SOUP_STATUS_SERVICE_UNAVAILABLE,
                                   NULL);
    soup_server_message_set_response(msg,
                                     "application/json",
                                     SOUP_MEMORY_STATIC,
                                     text,
                                     strlen(text));
}

/* libsoup collects a body of any size, whatever was said when the headers came; a body that is too
 * long is read away, for as long as the request may take. */
static void
got_headers_cb(SoupServerMessage *msg, gpointer data)
{
    SoupMessageHeaders *headers = soup_server_message_get_request_headers(msg);
    SoupEncoding encoding = soup_message_headers_get_encoding(headers);

    (void)data;
    /* libsoup 3.2 keeps the descriptor of a connection that its peer closes between requests. */
    soup_message_headers_replace(soup_server_message_get_response_headers(msg),
                                 "Connection",
                                 "close");
    if (encoding == SOUP_ENCODING_NONE)
        return;
    if (encoding != SOUP_ENCODING_CONTENT_LENGTH
        || soup_message_headers_get_content_length(headers) > BODY_MAX) {
        soup_message_body_set_accumulate(soup_server_message_get_request_body(msg), FALSE);
        soup_server_message_set_status(msg, SOUP_STATUS_REQUEST_ENTITY_TOO_LARGE, NULL);
    }
}

static void
request_started_cb(SoupServer *soup, SoupServerMessage *msg, gpointer data)
{
    (void)soup;
    g_signal_connect(msg, "got-headers", G_CALLBACK(got_headers_cb), data);
}

/* The library queues 10 connections that wait to be accepted. After a restart every client comes at
 * once, and what does not fit is reset. */
static void
widen_backlog(SoupServer *soup)
{
    GSList *listeners = soup_server_get_listeners(soup);

    for (const GSList *l = listeners; l; l = l->next)
        (void)!listen(g_socket_get_fd(l->data), BACKLOG);
    g_slist_free(listeners);
}

static bool
listen_on(struct server *s, GError **error)
{
    struct sp_endpoint ep;
    char ip[SP_IP_STR_MAX];
    g_autoptr(GSocketAddress) address = NULL;
    GSList *uris;

    if (sp_endpoint_parse(s->options.listen, &ep) < 0) {
        g_set_error(error,
                    SP_CP_ERROR,
                    SP_CP_ERROR_INVALID,
                    "--listen takes ADDR:PORT such as 127.0.0.1:8081 or [::]:8081, not %s",
                    s->options.listen);
        return false;
    }
    address = g_inet_socket_address_new_from_string(sp_ip_format(&ep.ip, ip), ep.port);
    if (!soup_server_listen(s->soup, address, 0, error))
        return false;
    widen_backlog(s->soup);
    uris = soup_server_get_uris(s->soup);
    if (uris) {
        GUri *uri = uris->data;
        const char *host = g_uri_get_host(uri);

        s->url = g_strdup_printf(strchr(host, ':') ? "http://[%s]:%d" : "http://%s:%d",
                                 host,
                                 g_uri_get_port(uri));
    }
    g_slist_free_full(uris, (GDestroyNotify)g_uri_unref);
    return s->url != NULL;
}

static gboolean
shutdown_step_cb(gpointer data)
{
    struct server *s = data;

    if (!sp_cp_hub_is_idle(s->hub) && ++s->shutdown_steps < SHUTDOWN_STEPS_MAX)
        return G_SOURCE_CONTINUE;
    g_main_loop_quit(s->loop);
    return G_SOURCE_REMOVE;
}

static gboolean
signal_cb(gpointer data)
{
    struct server *s = data;

    if (s->shutdown_steps == 0) {
        s->shutdown_steps = 1;
        g_info("stopping");
        sp_cp_hub_shutdown(s->hub);
        g_timeout_add(SHUTDOWN_STEP_MS, shutdown_step_cb, s);
    }
    return G_SOURCE_CONTINUE;
}

/* The usual soft limit of 1024 descriptors is less than the connections we promise to hold. */
static unsigned
connections_max(const struct options *o)
{
    unsigned wanted = (unsigned)o->max_connections;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return wanted;
    if (limit.rlim_cur < wanted + SPARE_FILES) {
        limit.rlim_cur = SP_MIN((rlim_t)(wanted + SPARE_FILES), limit.rlim_max);
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur >= wanted + SPARE_FILES)
        return wanted;
    g_message("only %u files may be open, so there will be fewer connections than %u",
              (unsigned)limit.rlim_cur,
              wanted);
    return limit.rlim_cur > 2 * SPARE_FILES ? (unsigned)limit.rlim_cur - SPARE_FILES : SPARE_FILES;
}

static struct sp_cp_channel_options
channel_options(const struct options *o, double rate)
{
    if (o->message_rate >= 0)
        rate = o->message_rate;
    return (struct sp_cp_channel_options){
        .idle_ms = (unsigned)o->idle_ms,
        .join_ms = (unsigned)o->join_ms,
        .messages_per_sec = rate,
        .messages_burst = rate * MESSAGE_BURST_SECS,
        .outgoing_max = (size_t)o->outgoing_max,
    };
}

static void
set_bounds(struct server *s)
{
    const struct options *o = &s->options;
    struct sp_cp_guard_options guard = {
        .total = connections_max(o),
        .per_address = (unsigned)o->max_per_address,
        .request_ms = (unsigned)o->request_ms,
    };

    s->guard = sp_cp_guard_new(s->soup, s->proxies, &guard);
    s->accept.proxies = s->proxies;
    s->accept.seats = sp_cp_seats_new((unsigned)o->max_per_address, (unsigned)o->max_per_token);
    s->accept.addresses = sp_cp_limit_new(o->connect_rate > 0 ? ADDRESS_RATE : 0, ADDRESS_BURST);
    s->accept.connects = sp_cp_limit_new(o->connect_rate, o->connect_burst);
}

static bool
start(struct server *s, GError **error)
{
    struct sp_cp_hub_options hub_options;

    s->proxies = sp_cp_proxies_new((const char *const *)s->options.trusted_proxies, error);
    if (!s->proxies)
        return false;
    s->db = sp_cp_db_open(s->options.database, error);
    if (!s->db || !sp_cp_keys_load(s->db, &s->keys, error) || !sp_cp_authz_prune(s->db, error))
        return false;
    s->soup = soup_server_new("server-header", "sallyport-portal", NULL);
    soup_server_remove_websocket_extension(s->soup, SOUP_TYPE_WEBSOCKET_EXTENSION_DEFLATE);
    if (!listen_on(s, error))
        return false;
    if (!s->options.public_url)
        s->options.public_url = g_strdup(s->url);
    hub_options = (struct sp_cp_hub_options){
        .public_url = s->options.public_url,
        .offer_timeout_ms = (unsigned)s->options.offer_timeout_ms,
        .poll_ms = (unsigned)s->options.poll_ms,
        .tick_ms = (unsigned)s->options.tick_ms,
        .client = channel_options(&s->options, CLIENT_RATE),
        .gateway = channel_options(&s->options, GATEWAY_RATE),
    };
    s->hub = sp_cp_hub_new(s->db, &s->keys, &hub_options);
    s->accept.hub = s->hub;
    set_bounds(s);
    s->signin = sp_cp_signin_new(s->db,
                                 &s->keys,
                                 s->proxies,
                                 s->options.public_url,
                                 s->options.dev_sign_in);
    g_signal_connect(s->soup, "request-started", G_CALLBACK(request_started_cb), s);
    soup_server_add_handler(s->soup, "/readyz", readyz_cb, s, NULL);
    soup_server_add_handler(s->soup, "/", sp_cp_signin_handle, s->signin, NULL);
    sp_cp_accept_register(&s->accept, s->soup);
    return true;
}

static void
stop(struct server *s)
{
    if (s->soup)
        soup_server_disconnect(s->soup);
    g_clear_pointer(&s->guard, sp_cp_guard_free);
    g_clear_pointer(&s->signin, sp_cp_signin_free);
    g_clear_pointer(&s->accept.connects, sp_cp_limit_free);
    g_clear_pointer(&s->accept.addresses, sp_cp_limit_free);
    g_clear_pointer(&s->hub, sp_cp_hub_free);
    g_clear_object(&s->soup);
    g_clear_pointer(&s->accept.seats, sp_cp_seats_free);
    g_clear_pointer(&s->proxies, sp_cp_proxies_free);
    g_clear_pointer(&s->db, sp_cp_db_free);
    sp_cp_keys_done(&s->keys);
    g_free(s->url);
    g_free(s->options.listen);
    g_free(s->options.database);
    g_free(s->options.public_url);
    g_free(s->options.log_level);
    g_strfreev(s->options.trusted_proxies);
}

static void
run(struct server *s)
{
    guint term = g_unix_signal_add(SIGTERM, signal_cb, s);
    guint intr = g_unix_signal_add(SIGINT, signal_cb, s);

    s->loop = g_main_loop_new(NULL, FALSE);
    printf("listening on %s\n", s->url);
    fflush(stdout);
    if (s->options.dev_sign_in)
        g_message("sign-in without password is on: anyone who reaches this portal is anyone");
    g_main_loop_run(s->loop);
    g_main_loop_unref(s->loop);
    g_source_remove(term);
    g_source_remove(intr);
}

int
sp_cp_serve_main(int argc, char **argv)
{
    struct server s = { .options = { .connect_rate = 1,
                                     .connect_burst = 1,
                                     .offer_timeout_ms = 15000,
                                     .poll_ms = 1000,
                                     .tick_ms = 60000,
                                     .idle_ms = SP_CP_IDLE_MS,
                                     .join_ms = SP_CP_JOIN_MS,
                                     .request_ms = 30000,
                                     .outgoing_max = SP_CP_OUTGOING_MAX,
                                     .message_rate = -1,
                                     .max_connections = 4096,
                                     .max_per_address = 512,
                                     .max_per_token = 256 } };
    g_autoptr(GError) error = NULL;
    GLogLevelFlags level = G_LOG_LEVEL_INFO;
    int status = 1;

    if (!parse_options(&argc, &argv, &s.options, &error)) {
        fprintf(stderr, "sallyport-portal: %s\n", error->message);
        stop(&s);
        return 2;
    }
    if (s.options.log_level && !sp_app_log_parse_level(s.options.log_level, &level)) {
        fprintf(stderr, "sallyport-portal: unknown log level\n");
        stop(&s);
        return 2;
    }
    sp_app_log_setup(level);
    if (start(&s, &error)) {
        run(&s);
        status = 0;
    } else {
        fprintf(stderr, "sallyport-portal: %s\n", error ? error->message : "cannot listen");
    }
    stop(&s);
    return status;
}
