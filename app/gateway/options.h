/* SPDX-License-Identifier: Apache-2.0 */
/* Command line, environment and token of sallyport-gateway. Source: spec platform-linux 7.1;
 * spec portal-protocol 5.3. */
#pragma once

#include <glib.h>

/** struct gateway_options - owned strings; NULL or 0 is "not given" */
struct gateway_options {
    char *api_url;
    char *token_file;
    char *name;
    char *id;
    char *interface;
    char *state_dir;
    char *log_filter;
    int listen_port;
    int max_partition_s;
    gboolean no_nat;
    gboolean version;
    GBytes *token; /* secret */
};

/** gateway_options_parse() - Returns: FALSE and @error: usage (G_OPTION_ERROR) or no usable token
 * (G_FILE_ERROR) */
gboolean gateway_options_parse(struct gateway_options *opt,
                               int *argc,
                               char ***argv,
                               GError **error);
void gateway_options_done(struct gateway_options *opt);
