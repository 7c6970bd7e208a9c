/* SPDX-License-Identifier: Apache-2.0 */
/* sallyport-gateway: the exit of the tunnel into a private network. */
#include <glib-unix.h>
#include <stdio.h>

#include "app/common/engine-log.h"
#include "app/common/sd-notify.h"
#include "app/gateway/options.h"
#include "app/gateway/session.h"

enum {
    EXIT_OK = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
};

struct program {
    GMainLoop *loop;
    int status;
};

static gboolean
on_signal(gpointer data)
{
    struct program *p = data;

    (void)sp_sd_notify("STOPPING=1");
    g_main_loop_quit(p->loop);
    return G_SOURCE_CONTINUE;
}

static void
on_finished(void *ctx, const char *message)
{
    struct program *p = ctx;

    fprintf(stderr, "sallyport-gateway: %s\n", message);
    p->status = EXIT_FAILED;
    g_main_loop_quit(p->loop);
}

static int
run(const struct gateway_options *opt, const struct sp_log *log)
{
    struct program p = { .loop = g_main_loop_new(NULL, FALSE), .status = EXIT_OK };
    g_autoptr(GError) error = NULL;
    struct gateway_session *session = gateway_session_new(opt, log, on_finished, &p, &error);

    if (session == NULL) {
        fprintf(stderr, "sallyport-gateway: %s\n", error->message);
        p.status = EXIT_FAILED;
    } else {
        g_unix_signal_add(SIGTERM, on_signal, &p);
        g_unix_signal_add(SIGINT, on_signal, &p);
        g_main_loop_run(p.loop);
        gateway_session_free(session);
    }
    g_main_loop_unref(p.loop);
    return p.status;
}

int
main(int argc, char **argv)
{
    struct gateway_options opt;
    struct sp_engine_log log;
    g_autoptr(GError) error = NULL;
    int status;

    g_set_prgname("sallyport-gateway");
    if (!gateway_options_parse(&opt, &argc, &argv, &error)) {
        fprintf(stderr, "sallyport-gateway: %s\n", error->message);
        status = error->domain == G_OPTION_ERROR ? EXIT_USAGE : EXIT_FAILED;
    } else if (opt.version) {
        printf("sallyport-gateway %s\n", SP_VERSION);
        status = EXIT_OK;
    } else if (!sp_engine_log_init(&log, opt.log_filter, &error)) {
        fprintf(stderr, "sallyport-gateway: %s\n", error->message);
        status = EXIT_USAGE;
    } else {
        status = run(&opt, &log.log);
    }
    gateway_options_done(&opt);
    return status;
}
