/* SPDX-License-Identifier: Apache-2.0 */
/* What the administrator decides: the configuration file, with command line options on top.
 * Thread: main, before anything else starts. */
#pragma once

#include <glib.h>

#include "app/platform/dns-control.h"
#include "engine/base/defs.h"

#define SP_TD_CONFIG_PATH     "/etc/sallyport/sallyport.conf"
#define SP_TD_TOKEN_PATH      "/etc/sallyport/token"
#define SP_TD_DEVICE_ID_PATH  "/var/lib/sallyport/device-id.json"
#define SP_TD_MAX_PARTITION_S (30u * 86400)

/** struct sp_td_config - owns its strings; NULL is unset
 * @listen_port: preferred UDP port, 0 for any
 * @max_partition_s: how long a lost portal is waited for
 * @resolv_conf: instead of /etc/resolv.conf; its backup is next to it */
struct sp_td_config {
    char *api_url;
    char *auth_url;
    char *account_slug;
    char *interface;
    char *log_filter;
    char *name;
    char *device_id;
    char *token_file;
    char *resolv_conf;
    uint16_t listen_port;
    uint32_t mark;
    uint32_t max_partition_s;
    enum sp_dns_method dns_control;
    bool internet_resource;
};

void sp_td_config_init(struct sp_td_config *config);
void sp_td_config_done(struct sp_td_config *config);
/** sp_td_config_load() - read @path over what is set. A missing file is fine unless @required;
 * an unknown group or key is an error, so a typing error does not go unnoticed.
 * Returns: FALSE and @error, which names group and key */
gboolean sp_td_config_load(struct sp_td_config *config,
                           const char *path,
                           bool required,
                           GError **error);
/** sp_td_config_set() - one value by the name of its option or key ("listen-port").
 * Returns: FALSE and @error (G_OPTION_ERROR_BAD_VALUE) */
gboolean sp_td_config_set(struct sp_td_config *config,
                          const char *key,
                          const char *value,
                          GError **error);
/** sp_td_config_dns_name() - the value of the DnsControl property */
const char *sp_td_config_dns_name(const struct sp_td_config *config);
