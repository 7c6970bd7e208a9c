/* SPDX-License-Identifier: Apache-2.0 */
#include "app/relay/metrics.h"

#include <glib.h>

static void
declare(GString *out, const char *name, const char *type)
{
    g_string_append_printf(out, "# TYPE %s %s\n", name, type);
}

static void
number(GString *out, const char *name, const char *type, uint64_t value)
{
    declare(out, name, type);
    g_string_append_printf(out, "%s %" G_GUINT64_FORMAT "\n", name, (guint64)value);
}

static void
responses(GString *out, const struct sp_relay_stats *r)
{
    declare(out, "relay_responses", "counter");
    for (int m = 0; m < _SP_RELAY_METHOD_MAX; m++) {
        for (int c = 0; c < _SP_RELAY_CODE_MAX; c++) {
            unsigned code = sp_relay_code_number((enum sp_relay_code)c);

            if (!r->responses[m][c])
                continue;
            g_string_append_printf(out,
                                   "relay_responses{response_class=\"%s\",message_type=\"%s\"",
                                   code ? "error" : "success",
                                   sp_relay_method_name((enum sp_relay_method)m));
            if (code)
                g_string_append_printf(out, ",error_code=\"%u\"", code);
            g_string_append_printf(out, "} %" G_GUINT64_FORMAT "\n", (guint64)r->responses[m][c]);
        }
    }
}

static void
drops(GString *out, const struct sp_relay_stats *r)
{
    declare(out, "relay_drops", "counter");
    for (int i = 0; i < _SP_RELAY_DROP_MAX; i++)
        g_string_append_printf(out,
                               "relay_drops{reason=\"%s\"} %" G_GUINT64_FORMAT "\n",
                               sp_relay_drop_name((enum sp_relay_drop)i),
                               (guint64)r->drops[i]);
}

char *
relay_metrics_text(const struct sp_relay_stats *r, const struct relay_sockets_stats *s)
{
    GString *out = g_string_new(NULL);

    number(out, "relay_active_allocations", "gauge", r->allocations);
    number(out, "relay_channels", "gauge", r->channels);
    responses(out, r);
    drops(out, r);
    number(out, "relay_to_peer_packets", "counter", r->to_peer_packets);
    number(out, "relay_to_peer_bytes", "counter", r->to_peer_bytes);
    number(out, "relay_to_client_packets", "counter", r->to_client_packets);
    number(out, "relay_to_client_bytes", "counter", r->to_client_bytes);
    number(out, "relay_port_failures", "counter", r->port_failures);
    number(out, "relay_socket_received", "counter", s->received);
    number(out, "relay_socket_receive_drops", "counter", s->recv_dropped);
    number(out, "relay_socket_sent", "counter", s->sent);
    number(out, "relay_socket_send_full", "counter", s->send_full);
    number(out, "relay_socket_send_failed", "counter", s->send_failed);
    return g_string_free(out, FALSE);
}
