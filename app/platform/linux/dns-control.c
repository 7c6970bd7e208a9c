/* SPDX-License-Identifier: Apache-2.0 */
#include "app/platform/dns-control.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/platform/error.h"
#include "engine/base/err.h"

#define FOREIGN_MAGIC "# BEGIN Firezone DNS configuration"
#define FILE_MAX      65536
#define SETTLE_MS     100 /* writers truncate first and write then */
#define REAPPLY_MAX   20  /* per minute; more is a fight that nobody wins */
#define REAPPLY_US    (60 * G_USEC_PER_SEC)
#define DIR_EVENTS    (IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE)
#define FILE_EVENTS   (IN_CLOSE_WRITE | IN_MODIFY)

struct sp_dns_control {
    enum sp_dns_method method;
    char *path; /* as configured */
    char *backup;
    char *nm_dir;
    const struct sp_log *log;

    bool active;
    GArray *servers; /* struct sp_ip */
    char *search;

    GMainContext *context;
    int inotify;
    GSource *watch;
    GSource *settle;
    gint64 window; /* start of the present minute of re-applying */
    unsigned reapplied;
    void (*changed)(void *ctx);
    void *changed_ctx;
};

int
sp_dns_method_parse(const char *text, enum sp_dns_method *ret_method)
{
    static const char *const names[] = { "auto", "resolv-conf", "disabled" };

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *ret_method = (enum sp_dns_method)i;
            return 0;
        }
    }
    return SP_E_MALFORMED;
}

/* ---- files ---- */

static gboolean
refuse_link(const struct sp_dns_control *c, const char *target, GError **error)
{
    if (strstr(target, "/systemd/resolve/"))
        g_set_error(error,
                    SP_PLATFORM_ERROR,
                    SP_PLATFORM_ERROR_UNSUPPORTED,
                    "%s belongs to systemd-resolved, which is not supported yet",
                    c->path);
    else
        g_set_error(error,
                    SP_PLATFORM_ERROR,
                    SP_PLATFORM_ERROR_CONFLICT,
                    "%s is a symbolic link that is managed by another program",
                    c->path);
    return FALSE;
}

/* The file to write: @path itself, or where NetworkManager's link leads. Everything else that is
 * not a regular file has an owner that we do not know. */
static gboolean
find_file(const struct sp_dns_control *c, char **ret_file, GError **error)
{
    g_autofree char *link = g_file_read_link(c->path, NULL), *file = NULL;
    struct stat st;

    if (link) {
        g_autofree char *dir = g_path_get_dirname(c->path);

        file = g_canonicalize_filename(link, dir);
        if (!g_str_has_prefix(file, c->nm_dir) || file[strlen(c->nm_dir)] != '/')
            return refuse_link(c, file, error);
    } else {
        file = g_strdup(c->path);
    }
    if (lstat(file, &st) < 0) {
        sp_platform_error_set(error, errno, "cannot read %s", file);
        return FALSE;
    }
    if (!S_ISREG(st.st_mode)) {
        g_set_error(error,
                    SP_PLATFORM_ERROR,
                    SP_PLATFORM_ERROR_CONFLICT,
                    "%s is not a regular file",
                    file);
        return FALSE;
    }
    *ret_file = g_steal_pointer(&file);
    return TRUE;
}

static gboolean
read_text(const char *file, char **ret_text, GError **error)
{
    g_autofree char *text = NULL;
    g_autoptr(GError) cause = NULL;
    gsize n;

    if (!g_file_get_contents(file, &text, &n, &cause)) {
        g_set_error(error,
                    SP_PLATFORM_ERROR,
                    SP_PLATFORM_ERROR_FAILED,
                    "cannot read %s: %s",
                    file,
                    cause->message);
        return FALSE;
    }
    if (n > FILE_MAX || strlen(text) != n) {
        g_set_error(error,
                    SP_PLATFORM_ERROR,
                    SP_PLATFORM_ERROR_INVALID,
                    "%s is not a resolver configuration",
                    file);
        return FALSE;
    }
    *ret_text = g_steal_pointer(&text);
    return TRUE;
}

/* In place, never by renaming: containers bind-mount the file. The text is written before the old
 * rest is cut off, so a reader sees at worst a mixture of two valid files. */
static gboolean
write_in_place(const char *file, const char *text, GError **error)
{
    size_t n = strlen(text), done = 0;
    int fd = open(file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW), err = 0;

    if (fd < 0) {
        sp_platform_error_set(error, errno, "cannot write %s", file);
        return FALSE;
    }
    while (done < n && !err) {
        ssize_t r = pwrite(fd, text + done, n - done, (off_t)done);

        if (r > 0)
            done += (size_t)r;
        else if (errno != EINTR)
            err = r == 0 ? EIO : errno;
    }
    if (!err && (ftruncate(fd, (off_t)n) < 0 || fsync(fd) < 0))
        err = errno;
    close(fd);
    if (err)
        sp_platform_error_set(error, err, "cannot write %s", file);
    return err == 0;
}

static gboolean
write_backup(const struct sp_dns_control *c, const char *text, GError **error)
{
    g_autoptr(GError) cause = NULL;

    if (g_file_set_contents_full(c->backup,
                                 text,
                                 -1,
                                 G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE,
                                 0644,
                                 &cause))
        return TRUE;
    g_set_error(error,
                SP_PLATFORM_ERROR,
                SP_PLATFORM_ERROR_FAILED,
                "cannot write %s: %s",
                c->backup,
                cause->message);
    return FALSE;
}

static bool
is_ours(const char *text)
{
    return g_str_has_prefix(text, SP_DNS_MAGIC);
}

/* The text that was there before us, wherever it is now. @ret_live: it is still in the live file */
static gboolean
read_original(const struct sp_dns_control *c,
              const char *file,
              char **ret_text,
              bool *ret_live,
              GError **error)
{
    g_autofree char *text = NULL;

    if (!read_text(file, &text, error))
        return FALSE;
    *ret_live = !is_ours(text);
    if (*ret_live) {
        *ret_text = g_steal_pointer(&text);
        return TRUE;
    }
    if (!g_file_test(c->backup, G_FILE_TEST_EXISTS)) {
        *ret_text = g_strdup("");
        return TRUE;
    }
    return read_text(c->backup, ret_text, error);
}

/* ---- set and revert ---- */

static char *
our_text(const struct sp_dns_control *c, const char *original)
{
    g_autofree char *body = sp_resolv_conf_rewrite(original,
                                                   (const struct sp_ip *)(void *)c->servers->data,
                                                   c->servers->len,
                                                   c->search);

    return g_strdup_printf(SP_DNS_MAGIC
                           "\n"
                           "# Written by Sallyport while the tunnel is up; changes are lost.\n"
                           "# The original is in %s\n"
                           "# and comes back when the tunnel goes down.\n"
                           "%s\n",
                           c->backup,
                           body);
}

static gboolean
apply(struct sp_dns_control *c, GError **error)
{
    struct sp_resolv_conf parsed;
    g_autofree char *file = NULL, *original = NULL, *text = NULL;
    bool live;

    if (!find_file(c, &file, error) || !read_original(c, file, &original, &live, error))
        return FALSE;
    if (g_str_has_prefix(original, FOREIGN_MAGIC)) {
        g_set_error(error,
                    SP_PLATFORM_ERROR,
                    SP_PLATFORM_ERROR_CONFLICT,
                    "%s is in use by a Firezone client",
                    c->path);
        return FALSE;
    }
    if (!sp_resolv_conf_parse(original, &parsed, error))
        return FALSE;
    sp_resolv_conf_done(&parsed);
    if (live && !write_backup(c, original, error))
        return FALSE;
    text = our_text(c, original);
    if (!write_in_place(file, text, error)) {
        write_in_place(file, original, NULL);
        return FALSE;
    }
    return TRUE;
}

gboolean
sp_dns_control_set(struct sp_dns_control *c,
                   const struct sp_ip *servers,
                   size_t n_servers,
                   const char *search,
                   GError **error)
{
    if (n_servers == 0) {
        SP_WARN(c->log, DRIVER, "dns: no servers to set, nothing changed");
        return TRUE;
    }
    if (c->method == SP_DNS_DISABLED)
        return TRUE;
    g_array_set_size(c->servers, 0);
    g_array_append_vals(c->servers, servers, (guint)n_servers);
    g_free(c->search);
    c->search = search && *search ? g_strdup(search) : NULL;
    if (!apply(c, error))
        return FALSE;
    c->active = true;
    return TRUE;
}

gboolean
sp_dns_control_revert(struct sp_dns_control *c, GError **error)
{
    g_autofree char *file = NULL, *text = NULL, *original = NULL;

    if (c->method == SP_DNS_DISABLED)
        return TRUE;
    c->active = false;
    if (!find_file(c, &file, error) || !read_text(file, &text, error))
        return FALSE;
    if (!is_ours(text))
        return TRUE; /* somebody has written it since: their text counts */
    if (!g_file_test(c->backup, G_FILE_TEST_EXISTS)) {
        SP_DEBUG(c->log, DRIVER, "dns: no backup to restore");
        return TRUE;
    }
    /* The backup stays: power may fail in the middle of the next line. */
    return read_text(c->backup, &original, error) && write_in_place(file, original, error);
}

gboolean
sp_dns_control_system(struct sp_dns_control *c, struct sp_resolv_conf *ret_conf, GError **error)
{
    g_autofree char *text = NULL;
    bool live;

    /* Reading follows links: what systemd-resolved or others wrote is valid to read. */
    if (!read_original(c, c->path, &text, &live, error))
        return FALSE;
    return sp_resolv_conf_parse(text, ret_conf, error);
}

/* ---- watching ---- */

static void
clear_source(GSource **source)
{
    if (*source) {
        g_source_destroy(*source);
        g_source_unref(*source);
    }
    *source = NULL;
}

static bool
may_reapply(struct sp_dns_control *c)
{
    gint64 now = g_get_monotonic_time();

    if (now - c->window > REAPPLY_US) {
        c->window = now;
        c->reapplied = 0;
    }
    if (c->reapplied == REAPPLY_MAX)
        SP_WARN(c->log, DRIVER, "dns: another program keeps changing the file, giving way");
    return c->reapplied++ < REAPPLY_MAX;
}

static void
watch_file(struct sp_dns_control *c)
{
    g_autofree char *file = NULL, *dir = NULL;

    if (!find_file(c, &file, NULL))
        file = g_strdup(c->path);
    dir = g_path_get_dirname(file);
    /* The directory tells of replacements, the file of changes to a bind-mounted one. */
    if (inotify_add_watch(c->inotify, dir, DIR_EVENTS) < 0)
        SP_DEBUG(c->log, DRIVER, "dns: directory not watched: %s", g_strerror(errno));
    if (inotify_add_watch(c->inotify, file, FILE_EVENTS) < 0)
        SP_DEBUG(c->log, DRIVER, "dns: file not watched: %s", g_strerror(errno));
}

static gboolean
settled(void *data)
{
    struct sp_dns_control *c = data;
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;

    clear_source(&c->settle);
    watch_file(c);
    if (!read_text(c->path, &text, NULL) || is_ours(text))
        return G_SOURCE_REMOVE;
    if (c->active && may_reapply(c) && !apply(c, &error))
        SP_WARN(c->log, DRIVER, "dns: settings were overwritten and cannot be put back");
    if (c->changed)
        c->changed(c->changed_ctx);
    return G_SOURCE_REMOVE;
}

static bool
concerns_us(const struct sp_dns_control *c, const uint8_t *buf, ssize_t n)
{
    g_autofree char *base = g_path_get_basename(c->path);
    struct inotify_event ev;

    for (ssize_t at = 0; at + (ssize_t)sizeof ev <= n; at += (ssize_t)(sizeof ev + ev.len)) {
        memcpy(&ev, buf + at, sizeof ev);
        if (ev.len == 0 || strcmp((const char *)buf + at + sizeof ev, base) == 0)
            return true;
    }
    return false;
}

static gboolean
on_inotify(gint fd, GIOCondition condition SP_UNUSED, void *data)
{
    struct sp_dns_control *c = data;
    uint8_t buf[4096];
    ssize_t n;
    bool ours = false;

    while ((n = read(fd, buf, sizeof buf)) > 0)
        ours = concerns_us(c, buf, n) || ours;
    if (!ours)
        return G_SOURCE_CONTINUE;
    clear_source(&c->settle);
    c->settle = g_timeout_source_new(SETTLE_MS);
    g_source_set_callback(c->settle, settled, c, NULL);
    g_source_attach(c->settle, c->context);
    return G_SOURCE_CONTINUE;
}

static void
start_watch(struct sp_dns_control *c)
{
    c->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (c->inotify < 0) {
        SP_WARN(c->log, DRIVER, "dns: changes by others are not seen: %s", g_strerror(errno));
        return;
    }
    watch_file(c);
    c->watch = g_unix_fd_source_new(c->inotify, G_IO_IN);
    g_source_set_callback(c->watch, G_SOURCE_FUNC(on_inotify), c, NULL);
    g_source_attach(c->watch, c->context);
}

void
sp_dns_control_on_change(struct sp_dns_control *c, void (*changed)(void *ctx), void *ctx)
{
    c->changed = changed;
    c->changed_ctx = ctx;
}

static void
destroy(struct sp_dns_control *c)
{
    clear_source(&c->watch);
    clear_source(&c->settle);
    g_main_context_unref(c->context);
    if (c->inotify >= 0)
        close(c->inotify);
    g_array_unref(c->servers);
    g_free(c->search);
    g_free(c->path);
    g_free(c->backup);
    g_free(c->nm_dir);
    g_free(c);
}

struct sp_dns_control *
sp_dns_control_new(const struct sp_dns_control_options *options,
                   const struct sp_log *log,
                   GError **error)
{
    struct sp_dns_control *c = g_new0(struct sp_dns_control, 1);

    /* Where systemd-resolved owns the file, reverting refuses it with a clear error, so "auto" needs
     * no question on the bus: there is one method so far. */
    c->method = options->method == SP_DNS_AUTO ? SP_DNS_RESOLV_CONF : options->method;
    c->path = g_strdup(options->path ? options->path : "/etc/resolv.conf");
    c->backup = g_strdup(options->backup ? options->backup : "/etc/resolv.conf.before-sallyport");
    c->nm_dir = g_strdup(options->nm_dir ? options->nm_dir : "/run/NetworkManager");
    c->log = log;
    c->inotify = -1;
    c->servers = g_array_new(FALSE, FALSE, sizeof(struct sp_ip));
    c->context = g_main_context_ref_thread_default();
    if (!sp_dns_control_revert(c, error)) {
        destroy(c);
        return NULL;
    }
    start_watch(c);
    return c;
}

void
sp_dns_control_free(struct sp_dns_control *c)
{
    g_autoptr(GError) error = NULL;

    if (!c)
        return;
    if (!sp_dns_control_revert(c, &error))
        SP_ERROR(c->log, DRIVER, "dns: original settings not restored");
    destroy(c);
}
