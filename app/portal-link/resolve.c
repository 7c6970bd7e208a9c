/* SPDX-License-Identifier: Apache-2.0 */
#include "app/portal-link/resolve.h"

#include <arpa/nameser.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "app/portal-link/error.h"
#include "engine/base/rd.h"
#include "engine/base/rng.h"
#include "engine/base/wr.h"

#define QUERY_MAX   300
#define ANSWER_MAX  1500
#define QUERIES_MAX (2 * SP_RESOLVE_SERVERS_MAX)
#define HOSTS_MAX   (1024 * 1024)

G_DEFINE_QUARK(sp - portal - error - quark, sp_portal_error)

struct addr_list {
    struct sp_ip *v;
    size_t n;
};

struct query {
    int fd;
    uint16_t id;
    uint16_t type;
    bool done;
};

static void
add_addr(struct addr_list *list, const struct sp_ip *ip)
{
    for (size_t i = 0; i < list->n; i++)
        if (sp_ip_equal(&list->v[i], ip))
            return;
    if (list->n < SP_RESOLVE_ADDRS_MAX)
        list->v[list->n++] = *ip;
}

gboolean
sp_resolve_mark(int fd, uint32_t mark, GError **error)
{
    int err;

    if (mark == 0 || setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark) == 0)
        return TRUE;
    err = errno;
    g_set_error(error,
                SP_PORTAL_ERROR,
                SP_PORTAL_ERROR_LOOP_PREVENTION,
                "routing loop prevention failed: %s",
                g_strerror(err));
    return FALSE;
}

socklen_t
sp_resolve_sockaddr(const struct sp_endpoint *ep, struct sockaddr_storage *ret)
{
    memset(ret, 0, sizeof *ret);
    if (ep->ip.family == 4) {
        struct sockaddr_in *in = (struct sockaddr_in *)(void *)ret;

        in->sin_family = AF_INET;
        in->sin_port = htons(ep->port);
        for (size_t i = 0; i < 4; i++)
            ((uint8_t *)&in->sin_addr)[i] = ep->ip.b[i];
        return sizeof *in;
    } else {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)ret;

        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(ep->port);
        for (size_t i = 0; i < 16; i++)
            in6->sin6_addr.s6_addr[i] = ep->ip.b[i];
        return sizeof *in6;
    }
}

/* ---- hosts file ------------------------------------------------------------------------------ */

static void
read_hosts_line(char *line, const char *host, struct addr_list *list)
{
    g_auto(GStrv) words = NULL;
    struct sp_ip ip;

    line[strcspn(line, "#")] = '\0';
    words = g_strsplit_set(g_strstrip(line), " \t\r", -1);
    if (words[0] == NULL || sp_ip_parse(words[0], &ip) < 0)
        return;
    for (size_t i = 1; words[i] != NULL; i++)
        if (g_ascii_strcasecmp(words[i], host) == 0)
            add_addr(list, &ip);
}

static void
read_hosts(const char *path, const char *host, struct addr_list *list)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    gsize n;

    if (path == NULL || !g_file_get_contents(path, &text, &n, NULL) || n > HOSTS_MAX)
        return;
    lines = g_strsplit(text, "\n", -1);
    for (size_t i = 0; lines[i] != NULL; i++)
        read_hosts_line(lines[i], host, list);
}

/* ---- own queries ----------------------------------------------------------------------------- */

static size_t
build_query(const char *host, const struct query *q, uint8_t *buf, size_t max)
{
    struct sp_wr w = sp_wr(buf, max);

    sp_wr_be16(&w, q->id);
    sp_wr_be16(&w, 0x0100); /* recursion desired */
    sp_wr_be16(&w, 1);
    sp_wr_be16(&w, 0);
    sp_wr_be32(&w, 0);
    for (const char *label = host; *label != '\0';) {
        size_t n = strcspn(label, ".");

        if (n == 0 || n > 63)
            return 0;
        sp_wr_u8(&w, (uint8_t)n);
        sp_wr_bytes(&w, label, n);
        label += n;
        if (*label == '.')
            label++;
    }
    sp_wr_u8(&w, 0);
    sp_wr_be16(&w, q->type);
    sp_wr_be16(&w, 1);
    return sp_wr_ok(&w) ? sp_wr_len(&w) : 0;
}

/* Whatever the answer section holds of our type is taken: between question and address there may be
 * a chain of aliases. */
static void
read_answer(const uint8_t *bytes, size_t n, const struct query *q, struct addr_list *list)
{
    ns_msg msg;
    ns_rr rr;

    if (ns_initparse(bytes, (int)n, &msg) != 0)
        return;
    for (int i = 0; i < ns_msg_count(msg, ns_s_an); i++) {
        size_t want = q->type == ns_t_a ? 4 : 16;
        struct sp_ip ip;

        if (ns_parserr(&msg, ns_s_an, i, &rr) != 0)
            return;
        if (ns_rr_type(rr) != q->type || ns_rr_class(rr) != ns_c_in || ns_rr_rdlen(rr) != want)
            continue;
        ip = sp_ip_from_bytes(want == 4 ? 4 : 6, ns_rr_rdata(rr));
        add_addr(list, &ip);
    }
}

static bool
is_answer(const uint8_t *bytes, size_t n, const struct query *q)
{
    struct sp_rd r = sp_rd(bytes, n);
    uint16_t id = sp_rd_be16(&r);
    uint16_t flags = sp_rd_be16(&r);

    return sp_rd_ok(&r) && id == q->id && (flags & 0x8000) != 0;
}

static gboolean
open_query(const struct sp_resolve_params *p,
           const struct sp_endpoint *server,
           struct query *q,
           GError **error)
{
    struct sp_rng rng = sp_rng_system();
    struct sockaddr_storage sa;
    socklen_t sa_len = sp_resolve_sockaddr(server, &sa);
    uint8_t buf[QUERY_MAX];
    size_t n;

    q->id = (uint16_t)sp_rng_u32(&rng);
    q->fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    q->done = q->fd < 0;
    if (q->done)
        return TRUE;
    if (!sp_resolve_mark(q->fd, p->mark, error))
        return FALSE;
    n = build_query(p->host, q, buf, sizeof buf);
    /* An unreachable server is one that does not answer. */
    q->done =
        n == 0 || connect(q->fd, (struct sockaddr *)&sa, sa_len) < 0 || send(q->fd, buf, n, 0) < 0;
    return TRUE;
}

static void
take_answers(struct query *q, struct addr_list *list)
{
    uint8_t buf[ANSWER_MAX];
    ssize_t n = recv(q->fd, buf, sizeof buf, 0);

    if (n < 0) {
        q->done = errno != EAGAIN && errno != EINTR;
    } else if (is_answer(buf, (size_t)n, q)) {
        read_answer(buf, (size_t)n, q, list);
        q->done = true;
    }
}

/* Enough is known once one server has answered for both families and there is an address. */
static bool
is_enough(const struct query *q, size_t n, const struct addr_list *list)
{
    bool all = true;

    for (size_t i = 0; i < n; i += 2) {
        if (q[i].done && q[i + 1].done && list->n > 0)
            return true;
        all = all && q[i].done && q[i + 1].done;
    }
    return all;
}

static void
await_answers(struct query *q,
              size_t n,
              unsigned timeout_ms,
              GCancellable *cancellable,
              struct addr_list *list)
{
    gint64 end = g_get_monotonic_time() + (gint64)timeout_ms * 1000;
    int cancel_fd = g_cancellable_get_fd(cancellable);

    while (!is_enough(q, n, list) && !g_cancellable_is_cancelled(cancellable)) {
        struct pollfd pfd[QUERIES_MAX + 1];
        gint64 left = end - g_get_monotonic_time();

        if (left <= 0)
            break;
        for (size_t i = 0; i < n; i++)
            pfd[i] = (struct pollfd){ .fd = q[i].done ? -1 : q[i].fd, .events = POLLIN };
        pfd[n] = (struct pollfd){ .fd = cancel_fd, .events = POLLIN };
        if (poll(pfd, n + 1, (int)(left / 1000) + 1) < 0 && errno != EINTR)
            break;
        for (size_t i = 0; i < n; i++)
            if (!q[i].done && pfd[i].revents != 0)
                take_answers(&q[i], list);
    }
    if (cancel_fd >= 0)
        g_cancellable_release_fd(cancellable);
}

static gboolean
ask_servers(const struct sp_resolve_params *p,
            GCancellable *cancellable,
            struct addr_list *list,
            GError **error)
{
    struct query q[QUERIES_MAX];
    gboolean ok = TRUE;
    size_t n = 0;

    for (size_t i = 0; ok && i < p->n_servers; i++) {
        for (size_t k = 0; ok && k < 2; k++) {
            q[n] = (struct query){ .fd = -1, .type = k == 0 ? ns_t_a : ns_t_aaaa };
            ok = open_query(p, &p->servers[i], &q[n++], error);
        }
    }
    if (ok)
        await_answers(q, n, p->timeout_ms, cancellable, list);
    for (size_t i = 0; i < n; i++)
        if (q[i].fd >= 0)
            close(q[i].fd);
    return ok;
}

/* ---- system resolver ------------------------------------------------------------------------- */

static void
add_inet_addr(GInetAddress *address, struct addr_list *list)
{
    bool v4 = g_inet_address_get_family(address) == G_SOCKET_FAMILY_IPV4;
    struct sp_ip ip = sp_ip_from_bytes(v4 ? 4 : 6, g_inet_address_to_bytes(address));

    add_addr(list, &ip);
}

static gboolean
ask_system(const char *host, GCancellable *cancellable, struct addr_list *list, GError **error)
{
    g_autoptr(GResolver) resolver = g_resolver_get_default();
    GList *found = g_resolver_lookup_by_name(resolver, host, cancellable, error);

    for (GList *l = found; l != NULL; l = l->next)
        add_inet_addr(l->data, list);
    g_resolver_free_addresses(found);
    return list->n > 0;
}

size_t
sp_resolve(const struct sp_resolve_params *p,
           GCancellable *cancellable,
           struct sp_ip ret_addrs[SP_RESOLVE_ADDRS_MAX],
           GError **error)
{
    struct addr_list list = { .v = ret_addrs };
    struct sp_ip literal;

    if (sp_ip_parse(p->host, &literal) == 0) {
        add_addr(&list, &literal);
        return list.n;
    }
    if (p->n_servers == 0)
        return ask_system(p->host, cancellable, &list, error) ? list.n : 0;
    read_hosts(p->hosts_path, p->host, &list);
    if (list.n == 0 && !ask_servers(p, cancellable, &list, error))
        return 0;
    if (list.n == 0)
        g_set_error_literal(error,
                            SP_PORTAL_ERROR,
                            SP_PORTAL_ERROR_FAILED,
                            "the portal's name has no address");
    return list.n;
}
