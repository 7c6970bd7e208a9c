/* SPDX-License-Identifier: Apache-2.0 */
#include "app/relay/session.h"

#include <string.h>

#include <sodium.h>

#include "app/common/compat.h"
#include "app/common/os-info.h"
#include "app/common/sd-notify.h"
#include "app/portal-link/link.h"
#include "app/relay/health.h"
#include "app/relay/metrics.h"
#include "app/relay/server.h"
#include "engine/base/rng.h"

#define SECRET_BYTES    32
#define PARTITION_MAX_S (24 * 3600)
#define STATS_S         10
#define DRAIN_POLL_MS   200

struct relay_session {
    const struct sp_log *log;
    struct relay_server *server;
    struct relay_health *health;
    SpPortalLink *link; /* NULL: standalone */
    guint stats_timer;
    uint64_t logged_bytes;
    size_t logged_allocations;
    guint drain_timer;
    gint64 drain_until; /* monotonic, us */
    void (*finished)(void *ctx, const char *message);
    void *ctx;
};

/* ---- portal --------------------------------------------------------------------------------- */

static void
portal_connected(void *ctx)
{
    struct relay_session *s = ctx;

    SP_INFO(s->log, APP, "connected to the portal");
}

static void
portal_hiccup(void *ctx, guint delay_ms, const char *reason)
{
    struct relay_session *s = ctx;

    SP_WARN(s->log, APP, "no connection to the portal, next try in %u ms", delay_ms);
    SP_DEBUG(s->log, APP, "portal: %s", reason);
}

static void
portal_fatal(void *ctx, const char *message, gboolean requires_sign_in)
{
    struct relay_session *s = ctx;
    g_autofree char *text = NULL;

    if (requires_sign_in)
        text = g_strdup_printf("the portal does not accept the relay token (%s): create a new one"
                               " on the portal and restart",
                               message);
    else
        text = g_strdup_printf("the portal ended the connection for good: %s", message);
    s->finished(s->ctx, text);
}

static const char *
format_public(const struct sp_ip *ip, char out[SP_IP_STR_MAX])
{
    return ip->family ? sp_ip_format(ip, out) : NULL;
}

static SpPortalLink *
create_link(struct relay_session *s,
            const struct relay_options *opt,
            const char *secret,
            GError **error)
{
    static const struct sp_portal_link_ops ops = {
        .connected = portal_connected,
        .hiccup = portal_hiccup,
        .fatal = portal_fatal,
    };
    char ipv4[SP_IP_STR_MAX], ipv6[SP_IP_STR_MAX];
    struct sp_portal_link_config config = {
        .role = SP_PORTAL_RELAY,
        .api_url = opt->api_url,
        .token = opt->token,
        .name = opt->name,
        .ipv4 = format_public(&opt->public4, ipv4),
        .ipv6 = format_public(&opt->public6, ipv6),
        .port = relay_server_port(s->server),
        .stamp_secret = secret,
        .max_partition_s = PARTITION_MAX_S,
        .log = s->log,
    };
    struct sp_os_info os;
    SpPortalLink *link;

    sp_os_info_get(&os);
    config.agent = (struct sp_portal_agent){ .os = os.name,
                                             .os_version = os.version,
                                             .component = "relay",
                                             .version = SP_COMPAT_RELAY,
                                             .arch = os.arch,
                                             .kernel = os.kernel };
    link = sp_portal_link_new(&config, &ops, s, error);
    sp_os_info_done(&os);
    return link;
}

/* ---- health --------------------------------------------------------------------------------- */

static gboolean
is_ready(void *ctx)
{
    struct relay_session *s = ctx;

    if (s->drain_timer)
        return FALSE;
    return s->link == NULL || sp_portal_link_is_connected(s->link);
}

static char *
metrics(void *ctx)
{
    struct relay_session *s = ctx;

    return relay_metrics_text(relay_server_stats(s->server), relay_server_socket_stats(s->server));
}

static gboolean
log_stats(gpointer data)
{
    struct relay_session *s = data;
    const struct sp_relay_stats *st = relay_server_stats(s->server);
    uint64_t bytes = st->to_peer_bytes + st->to_client_bytes;

    if (bytes != s->logged_bytes || st->allocations != s->logged_allocations)
        SP_INFO(s->log,
                APP,
                "%zu allocations, %zu channels, %llu kbit/s",
                st->allocations,
                st->channels,
                (unsigned long long)((bytes - s->logged_bytes) * 8 / 1000 / STATS_S));
    s->logged_bytes = bytes;
    s->logged_allocations = st->allocations;
    return G_SOURCE_CONTINUE;
}

/* ---- life ----------------------------------------------------------------------------------- */

static gboolean
start(struct relay_session *s, const struct relay_options *opt, const char *secret, GError **error)
{
    struct relay_health_ops health = { .ready = is_ready, .metrics = metrics, .ctx = s };

    s->server = relay_server_new(opt, secret, s->log, error);
    if (s->server == NULL)
        return FALSE;
    if (opt->health && (s->health = relay_health_new(opt->health, &health, error)) == NULL)
        return FALSE;
    if (!opt->standalone && (s->link = create_link(s, opt, secret, error)) == NULL)
        return FALSE;
    if (s->link)
        sp_portal_link_start(s->link);
    s->stats_timer = g_timeout_add_seconds(STATS_S, log_stats, s);
    SP_INFO(s->log, APP, "listening on UDP port %u", relay_server_port(s->server));
    (void)sp_sd_notify("READY=1");
    return TRUE;
}

struct relay_session *
relay_session_new(const struct relay_options *opt,
                  const struct sp_log *log,
                  void (*finished)(void *ctx, const char *message),
                  void *ctx,
                  GError **error)
{
    struct relay_session *s = g_new0(struct relay_session, 1);
    struct sp_rng rng = sp_rng_system();
    uint8_t bytes[SECRET_BYTES];
    char secret[2 * SECRET_BYTES + 1];
    gboolean ok;

    s->log = log;
    s->finished = finished;
    s->ctx = ctx;
    /* A new one per start: with the state, all old credentials become void. */
    sp_rng_fill(&rng, bytes, sizeof bytes);
    sodium_bin2hex(secret, sizeof secret, bytes, sizeof bytes);
    ok = start(s, opt, secret, error);
    sodium_memzero(bytes, sizeof bytes);
    sodium_memzero(secret, sizeof secret);
    if (!ok) {
        relay_session_free(s);
        return NULL;
    }
    return s;
}

static gboolean
drain_cb(gpointer data)
{
    struct relay_session *s = data;

    if (relay_server_stats(s->server)->allocations && g_get_monotonic_time() < s->drain_until)
        return G_SOURCE_CONTINUE;
    s->drain_timer = 0;
    s->finished(s->ctx, NULL);
    return G_SOURCE_REMOVE;
}

void
relay_session_drain(struct relay_session *s, guint seconds)
{
    if (s->link)
        sp_portal_link_stop(s->link); /* the portal then gives us to nobody new */
    s->drain_until = g_get_monotonic_time() + (gint64)seconds * G_USEC_PER_SEC;
    s->drain_timer = g_timeout_add(DRAIN_POLL_MS, drain_cb, s);
    SP_INFO(s->log, APP, "waiting for %zu allocations", relay_server_stats(s->server)->allocations);
}

void
relay_session_free(struct relay_session *s)
{
    if (s == NULL)
        return;
    if (s->drain_timer)
        g_source_remove(s->drain_timer);
    if (s->stats_timer)
        g_source_remove(s->stats_timer);
    relay_health_free(s->health);
    if (s->link)
        sp_portal_link_stop(s->link);
    g_clear_object(&s->link);
    relay_server_free(s->server);
    g_free(s);
}
