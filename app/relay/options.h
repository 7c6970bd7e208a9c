/* SPDX-License-Identifier: Apache-2.0 */
/* Command line, environment and token of sallyport-relay. Source: spec relay 2.4. */
#pragma once

#include <glib.h>

#include "engine/base/addr.h"
#include "engine/relay/relay.h"

/** struct relay_options - owned strings; NULL, 0 or family 0 is "not given"
 * @health: where to answer HTTP; NULL for nowhere
 * @standalone: without a portal, for tests */
struct relay_options {
    char *api_url;
    char *token_file;
    char *name;
    char *log_filter;
    GBytes *token; /* secret */
    struct sp_ip public4, public6;
    struct sp_ip bind4, bind6;
    uint16_t listen_port;
    uint16_t lowest_port, highest_port;
    char *health;
    uint32_t rate, burst;
    uint32_t drain_s;
    struct sp_cidr deny[SP_RELAY_DENY_MAX];
    size_t n_deny;
    gboolean standalone;
    gboolean multi_alloc;
    uint16_t channel_max;
    char *test_user;
    char *test_password; /* secret */
    gboolean version;
};

/** relay_options_parse() - Returns: FALSE and @error: usage (G_OPTION_ERROR) or no usable token
 * (G_FILE_ERROR) */
gboolean relay_options_parse(struct relay_options *opt, int *argc, char ***argv, GError **error);
void relay_options_done(struct relay_options *opt);
