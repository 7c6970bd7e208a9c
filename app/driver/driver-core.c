/* SPDX-License-Identifier: Apache-2.0 */
#include "app/driver/driver-core.h"

#include "app/platform/tun.h"

#define FLUSH_MS 1000

int
sp_driver_core_open(struct sp_driver_core *core,
                    const char *tun_name,
                    size_t max_packets,
                    GError **error)
{
    int r = sp_tun_new(tun_name, core->log, &core->tun, error);

    if (r < 0)
        return r;
    sp_pkt_pool_init(&core->pool, max_packets);
    g_strlcpy(core->tun_name, sp_tun_name(core->tun), sizeof core->tun_name);
    core->offloads = sp_tun_offloads(core->tun);
    return 0;
}

static void
on_notice(void *ctx, const struct sp_loop_notice *notice)
{
    struct sp_driver_core *core = ctx;

    switch (notice->kind) {
    case SP_LOOP_UDP_BOUND:
        sp_host_list_set_ports(&core->hosts, notice->port4, notice->port6);
        sp_driver_core_addresses_changed(core);
        break;
    case SP_LOOP_FATAL:
        core->on_fatal(core->fatal_ctx, notice->code, notice->message);
        break;
    }
}

void
sp_driver_core_loop(struct sp_driver_core *core,
                    const struct sp_driver_hooks *hooks,
                    void *engine,
                    const struct sp_udp_options *udp)
{
    struct sp_loop_config config = {
        .pool = &core->pool,
        .log = core->log,
        .udp = *udp,
        .on_event = hooks->on_event,
        .on_notice = on_notice,
        .ctx = core,
        .free_command = hooks->free_command,
        .free_event = hooks->free_event,
    };

    core->hooks = hooks;
    core->loop = sp_loop_new(hooks->engine, engine, &config);
}

int
sp_driver_core_start(struct sp_driver_core *core, GError **error)
{
    sp_loop_set_tun(core->loop, core->tun);
    core->tun = NULL;
    return sp_loop_start(core->loop, error);
}

void
sp_driver_core_stop(struct sp_driver_core *core)
{
    sp_loop_stop(core->loop, FLUSH_MS);
    sp_loop_free(core->loop);
}

void
sp_driver_core_close(struct sp_driver_core *core)
{
    sp_pkt_pool_done(&core->pool);
}

int
sp_driver_core_post(struct sp_driver_core *core, void *cmd)
{
    int r = sp_loop_post(core->loop, cmd);

    if (r < 0) {
        SP_WARN(core->log, DRIVER, "the data path does not keep up with commands");
        core->hooks->free_command(cmd);
    }
    return r;
}

void
sp_driver_core_addresses_changed(struct sp_driver_core *core)
{
    if (sp_host_list_update(&core->hosts, core->tun_name))
        core->hooks->post_hosts(core, core->hosts.v, core->hosts.n);
}

void
sp_driver_core_rebind(struct sp_driver_core *core)
{
    sp_host_list_forget(&core->hosts);
    sp_loop_rebind(core->loop);
}
