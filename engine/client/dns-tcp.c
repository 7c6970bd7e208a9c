/* SPDX-License-Identifier: Apache-2.0 */
/* DNS over TCP on the sentinels. The queries take the same way as those over UDP; only the upstream
 * is asked by the driver, whose kernel is a better TCP client than we could be. Source: spec tunnel
 * A.4, A.7. */
#include "engine/client/client-private.h"

void
client_dns_tcp_init(struct sp_client *c)
{
    struct sp_tcp_config config = {
        .pool = c->cfg.pool,
        .rng = c->cfg.rng,
        .port = SP_DNS_PORT,
    };

    c->dns_tcp = sp_tcp_server_new(&config);
}

void
client_dns_tcp_retarget(struct sp_client *c)
{
    const struct sp_dns_servers *servers = &c->dns.servers;
    struct sp_ip sentinels[SP_MODEL_SERVERS_MAX];

    for (size_t i = 0; i < servers->n; i++)
        sentinels[i] = servers->map[i].sentinel;
    sp_tcp_server_listen(c->dns_tcp, sentinels, servers->n);
}

void
client_dns_tcp_pump(struct sp_client *c, sp_time now)
{
    struct sp_tcp_query q;
    struct sp_pkt *pkt;

    while (sp_tcp_server_poll_query(c->dns_tcp, &q)) {
        struct sp_dns_client from = {
            .transport = SP_DNS_TCP,
            .from = q.remote,
            .sentinel = q.local,
            .connection = q.connection,
        };

        client_dns_handle_query(c, &from, q.message, now);
    }
    while ((pkt = sp_tcp_server_poll_packet(c->dns_tcp, now)) != NULL)
        client_to_tun(c, pkt);
}
