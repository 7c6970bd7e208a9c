/* SPDX-License-Identifier: Apache-2.0 */
/* sallyport-relay: carries the tunnel where no direct path exists. */
#include <glib-unix.h>
#include <stdio.h>
#include <sys/resource.h>

#include "app/common/engine-log.h"
#include "app/common/sd-notify.h"
#include "app/relay/options.h"
#include "app/relay/session.h"

enum {
    EXIT_OK = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
};

struct program {
    GMainLoop *loop;
    struct relay_session *session;
    guint drain_s;
    gboolean draining;
    int status;
};

static gboolean
on_signal(gpointer data)
{
    struct program *p = data;

    (void)sp_sd_notify("STOPPING=1");
    if (p->drain_s && !p->draining) {
        p->draining = TRUE;
        relay_session_drain(p->session, p->drain_s);
    } else {
        g_main_loop_quit(p->loop);
    }
    return G_SOURCE_CONTINUE;
}

static void
on_finished(void *ctx, const char *message)
{
    struct program *p = ctx;

    if (message) {
        fprintf(stderr, "sallyport-relay: %s\n", message);
        p->status = EXIT_FAILED;
    }
    g_main_loop_quit(p->loop);
}

/* Two descriptors per allocation: the soft limit is for programs that still use select(). */
static void
raise_file_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static int
run(const struct relay_options *opt, const struct sp_log *log)
{
    struct program p = { .loop = g_main_loop_new(NULL, FALSE), .drain_s = opt->drain_s };
    g_autoptr(GError) error = NULL;

    raise_file_limit();
    p.session = relay_session_new(opt, log, on_finished, &p, &error);
    if (p.session == NULL) {
        fprintf(stderr, "sallyport-relay: %s\n", error->message);
        p.status = EXIT_FAILED;
    } else {
        g_unix_signal_add(SIGTERM, on_signal, &p);
        g_unix_signal_add(SIGINT, on_signal, &p);
        g_main_loop_run(p.loop);
        relay_session_free(p.session);
    }
    g_main_loop_unref(p.loop);
    return p.status;
}

int
main(int argc, char **argv)
{
    struct relay_options opt;
    struct sp_engine_log log;
    g_autoptr(GError) error = NULL;
    int status;

    g_set_prgname("sallyport-relay");
    if (!relay_options_parse(&opt, &argc, &argv, &error)) {
        fprintf(stderr, "sallyport-relay: %s\n", error->message);
        status = error->domain == G_OPTION_ERROR ? EXIT_USAGE : EXIT_FAILED;
    } else if (opt.version) {
        printf("sallyport-relay %s\n", SP_VERSION);
        status = EXIT_OK;
    } else if (!sp_engine_log_init(&log, opt.log_filter, &error)) {
        fprintf(stderr, "sallyport-relay: %s\n", error->message);
        status = EXIT_USAGE;
    } else {
        status = run(&opt, &log.log);
    }
    relay_options_done(&opt);
    return status;
}
