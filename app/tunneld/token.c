/* SPDX-License-Identifier: Apache-2.0 */
#include "app/tunneld/token.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <glib-unix.h>

#include "app/tunneld/error.h"

struct reader {
    int fd;
    GSource *source;
    GSource *timer;
    GError *error; /* known before reading began */
    sp_td_token_cb cb;
    void *ctx;
    size_t n;
    char bytes[SP_TD_TOKEN_MAX + 1];
};

struct secret {
    size_t n;
    char bytes[];
};

static void
secret_free(void *data)
{
    struct secret *s = data;

    explicit_bzero(s->bytes, s->n);
    g_free(s);
}

/* A token of the first @n bytes, without white space around it. */
static GBytes *
token_new(const char *bytes, size_t n, GError **error)
{
    struct secret *s;

    while (n > 0 && g_ascii_isspace(bytes[n - 1]))
        n--;
    while (n > 0 && g_ascii_isspace(bytes[0])) {
        bytes++;
        n--;
    }
    if (n == 0 || n > SP_TD_TOKEN_MAX || !g_utf8_validate_len(bytes, n, NULL)) {
        g_set_error_literal(error,
                            SP_TD_ERROR,
                            SP_TD_ERROR_INVALID_TOKEN,
                            n == 0                ? "the token is empty"
                            : n > SP_TD_TOKEN_MAX ? "the token is too long"
                                                  : "the token is not text");
        return NULL;
    }
    s = g_malloc(sizeof *s + n);
    s->n = n;
    for (size_t i = 0; i < n; i++)
        s->bytes[i] = bytes[i];
    return g_bytes_new_with_free_func(s->bytes, n, secret_free, s);
}

const char *
sp_td_token_check_stat(const struct stat *st)
{
    if (!S_ISREG(st->st_mode))
        return "it is not a regular file";
    if (st->st_uid != 0 || st->st_gid != 0)
        return "its owner and group must be root";
    if ((st->st_mode & 0177) != 0)
        return "its mode must be 0600 or 0400";
    return NULL;
}

/* Up to @max bytes. Returns: how many, or -1 and errno. */
static ssize_t
read_all(int fd, char *bytes, size_t max)
{
    size_t n = 0;

    while (n < max) {
        ssize_t r = read(fd, bytes + n, max - n);

        if (r == 0)
            break;
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -1;
        n += (size_t)r;
    }
    return (ssize_t)n;
}

static GBytes *
load_open(int fd, const char *path, GError **error)
{
    char bytes[SP_TD_TOKEN_MAX + 1];
    const char *problem;
    GBytes *result = NULL;
    struct stat st;
    ssize_t n;

    if (fstat(fd, &st) < 0)
        problem = g_strerror(errno);
    else
        problem = sp_td_token_check_stat(&st);
    if (problem) {
        g_set_error(error, SP_TD_ERROR, SP_TD_ERROR_INVALID_TOKEN, "%s: %s", path, problem);
        return NULL;
    }
    n = read_all(fd, bytes, sizeof bytes);
    if (n < 0)
        g_set_error(error,
                    SP_TD_ERROR,
                    SP_TD_ERROR_INVALID_TOKEN,
                    "%s: %s",
                    path,
                    g_strerror(errno));
    else
        result = token_new(bytes, (size_t)n, error);
    explicit_bzero(bytes, sizeof bytes);
    return result;
}

GBytes *
sp_td_token_load(const char *path, GError **error)
{
    /* Non-blocking: a FIFO in this place must not hold up the service. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    GBytes *result;

    if (fd < 0) {
        g_set_error(error,
                    SP_TD_ERROR,
                    SP_TD_ERROR_INVALID_TOKEN,
                    "no token: %s: %s",
                    path,
                    g_strerror(errno));
        return NULL;
    }
    result = load_open(fd, path, error);
    close(fd);
    return result;
}

GBytes *
sp_td_token_take_env(void)
{
    for (size_t i = 0; environ && environ[i]; i++) {
        static const char prefix[] = SP_TD_TOKEN_ENV "=";
        char *value = environ[i] + sizeof prefix - 1;
        GBytes *result;

        if (strncmp(environ[i], prefix, sizeof prefix - 1) != 0)
            continue;
        /* An empty value counts as one: it beats the file and is refused. */
        result = token_new(value, strlen(value), NULL);
        if (!result)
            result = g_bytes_new_static("", 0);
        explicit_bzero(value, strlen(value));
        unsetenv(SP_TD_TOKEN_ENV);
        return result;
    }
    return NULL;
}

/* ---- descriptor of a caller -------------------------------------------------------------------- */

static void
clear_source(GSource **source)
{
    if (*source == NULL)
        return;
    g_source_destroy(*source);
    g_clear_pointer(source, g_source_unref);
}

static void
finish(struct reader *r, GError *error)
{
    g_autoptr(GBytes) token = NULL;

    if (!error)
        token = token_new(r->bytes, r->n, &error);
    clear_source(&r->source);
    clear_source(&r->timer);
    if (r->fd >= 0)
        close(r->fd);
    r->cb(r->ctx, token, error);
    g_clear_error(&error);
    explicit_bzero(r, sizeof *r);
    g_free(r);
}

static gboolean
timeout_cb(void *data)
{
    finish(data,
           g_error_new_literal(SP_TD_ERROR,
                               SP_TD_ERROR_INVALID_TOKEN,
                               "the descriptor with the token did not come to its end"));
    return G_SOURCE_REMOVE;
}

static gboolean
ready_cb(SP_UNUSED int fd, SP_UNUSED GIOCondition condition, void *data)
{
    struct reader *r = data;
    ssize_t n = read(r->fd, r->bytes + r->n, sizeof r->bytes - r->n);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return G_SOURCE_CONTINUE;
    if (n < 0) {
        finish(r, g_error_new(SP_TD_ERROR, SP_TD_ERROR_IO, "cannot read: %s", g_strerror(errno)));
        return G_SOURCE_REMOVE;
    }
    r->n += (size_t)n;
    if (n > 0 && r->n < sizeof r->bytes)
        return G_SOURCE_CONTINUE;
    finish(r, NULL);
    return G_SOURCE_REMOVE;
}

static gboolean
refuse_cb(void *data)
{
    struct reader *r = data;

    finish(r, g_steal_pointer(&r->error));
    return G_SOURCE_REMOVE;
}

/* Reading must never block: pipes, sockets and memory files only. Other files may sit on a file
 * system that the caller runs. */
static bool
prepare(int fd)
{
    struct stat st;
    int flags;

    if (fstat(fd, &st) < 0)
        return false;
    if (S_ISREG(st.st_mode))
        return fcntl(fd, F_GET_SEALS) >= 0 && lseek(fd, 0, SEEK_SET) == 0;
    if (!S_ISFIFO(st.st_mode) && !S_ISSOCK(st.st_mode))
        return false;
    flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

void
sp_td_token_read_fd(int fd, sp_td_token_cb cb, void *ctx)
{
    struct reader *r = g_new0(struct reader, 1);

    r->fd = fd;
    r->cb = cb;
    r->ctx = ctx;
    if (prepare(fd)) {
        r->source = g_unix_fd_source_new(fd, G_IO_IN | G_IO_HUP | G_IO_ERR);
        g_source_set_callback(r->source, G_SOURCE_FUNC(ready_cb), r, NULL);
        r->timer = g_timeout_source_new(SP_TD_TOKEN_TIMEOUT_MS);
        g_source_set_callback(r->timer, timeout_cb, r, NULL);
        g_source_attach(r->timer, g_main_context_get_thread_default());
    } else {
        r->error = g_error_new_literal(G_DBUS_ERROR,
                                       G_DBUS_ERROR_INVALID_ARGS,
                                       "token-fd must be a pipe, a socket or a memory file");
        r->source = g_idle_source_new();
        g_source_set_callback(r->source, refuse_cb, r, NULL);
    }
    g_source_attach(r->source, g_main_context_get_thread_default());
}
