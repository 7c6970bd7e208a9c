/* SPDX-License-Identifier: Apache-2.0 */
/* Telling the system to use the tunnel's DNS servers, and undoing it whatever happens.
 * Source: spec platform-linux 4; design decision 9. Thread: control (GLib sources). */
#pragma once

#include <glib.h>

#include "app/platform/resolv-conf.h"
#include "engine/base/log.h"

#define SP_DNS_MAGIC "# BEGIN Sallyport DNS configuration"

enum sp_dns_method {
    SP_DNS_AUTO,        /* systemd-resolved where it runs, else resolv.conf */
    SP_DNS_RESOLV_CONF, /* rewrite the file in place */
    SP_DNS_DISABLED,    /* read the system's servers, change nothing */
};

/** struct sp_dns_control_options - @path, @backup: NULL for /etc/resolv.conf and
 * /etc/resolv.conf.before-sallyport. @path may be a symbolic link only into @nm_dir (NULL for
 * /run/NetworkManager) */
struct sp_dns_control_options {
    enum sp_dns_method method;
    const char *path;
    const char *backup;
    const char *nm_dir;
};

struct sp_dns_control;

/** sp_dns_method_parse() - "auto", "resolv-conf", "disabled". Returns: 0 or SP_E_MALFORMED */
int sp_dns_method_parse(const char *text, enum sp_dns_method *ret_method);
/** sp_dns_control_new() - choose the method and undo what a crashed run left.
 * Returns: NULL and @error when the method cannot work here */
struct sp_dns_control *sp_dns_control_new(const struct sp_dns_control_options *options,
                                          const struct sp_log *log,
                                          GError **error);
/** sp_dns_control_free() - reverts first */
void sp_dns_control_free(struct sp_dns_control *control);
/** sp_dns_control_set() - use @servers, with one @search domain or none (NULL). While set, an
 * overwrite by another program is undone: their text becomes the new original. An empty list
 * changes nothing. Returns: FALSE and @error, the file is as before */
gboolean sp_dns_control_set(struct sp_dns_control *control,
                            const struct sp_ip *servers,
                            size_t n_servers,
                            const char *search,
                            GError **error);
/** sp_dns_control_revert() - put the original back if the file is still ours; idempotent */
gboolean sp_dns_control_revert(struct sp_dns_control *control, GError **error);
/** sp_dns_control_system() - what the system uses without us. The caller ends @ret_conf with
 * sp_resolv_conf_done() */
gboolean sp_dns_control_system(struct sp_dns_control *control,
                               struct sp_resolv_conf *ret_conf,
                               GError **error);
/** sp_dns_control_on_change() - @changed is called on the thread-default main context of the call
 * that created @control whenever the system's own servers may have changed */
void sp_dns_control_on_change(struct sp_dns_control *control,
                              void (*changed)(void *ctx),
                              void *ctx);
