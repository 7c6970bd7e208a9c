/* SPDX-License-Identifier: Apache-2.0 */
#include "app/driver/resolver.h"

#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "engine/base/err.h"

struct sp_resolver {
    sp_resolver_cb cb;
    void *ctx;
    GMainContext *context;
    GThreadPool *pool;
    GHashTable *requests; /* struct request, as a set; holds a reference to each */
};

struct answer {
    bool arrived;
    bool ok;
    size_t n;
    struct sp_ip addrs[SP_RESOLVER_ADDRS_MAX];
};

/* Shared with workers by reference count; all but @name, @cancelled and @context is the control
 * thread's. */
struct request {
    struct sp_resolver *resolver;
    GMainContext *context;
    uint64_t id;
    gint cancelled;
    struct answer answers[2];
    GSource *timeout;
    char name[256];
};

struct job {
    struct request *request;
    int family; /* index into answers */
    struct answer answer;
};

static void
request_clear(void *data)
{
    struct request *req = data;

    g_main_context_unref(req->context);
}

static void
request_unref(struct request *req)
{
    g_atomic_rc_box_release_full(req, request_clear);
}

/* The resolver lets go: look-ups under way end into nothing. */
static void
request_drop(void *data)
{
    struct request *req = data;

    g_atomic_int_set(&req->cancelled, 1);
    g_source_destroy(req->timeout);
    g_source_unref(req->timeout);
    req->resolver = NULL;
    request_unref(req);
}

static void
job_free(void *data)
{
    struct job *job = data;

    request_unref(job->request);
    g_free(job);
}

static void
finish(struct request *req)
{
    struct sp_resolver *resolver = req->resolver;
    struct sp_ip addrs[2 * SP_RESOLVER_ADDRS_MAX];
    uint64_t id = req->id;
    bool failed = true;
    size_t n = 0;

    for (int f = 0; f < 2; f++) {
        failed = failed && !req->answers[f].ok;
        for (size_t i = 0; i < req->answers[f].n; i++)
            addrs[n++] = req->answers[f].addrs[i];
    }
    g_hash_table_remove(resolver->requests, req);
    resolver->cb(resolver->ctx, id, failed, addrs, n);
}

static gboolean
on_timeout(void *data)
{
    finish(data);
    return G_SOURCE_REMOVE;
}

static gboolean
on_answer(void *data)
{
    struct job *job = data;
    struct request *req = job->request;

    if (!req->resolver)
        return G_SOURCE_REMOVE;
    req->answers[job->family] = job->answer;
    req->answers[job->family].arrived = true;
    if (req->answers[0].arrived && req->answers[1].arrived)
        finish(req);
    return G_SOURCE_REMOVE;
}

static void
add_addr(struct answer *answer, const struct addrinfo *ai)
{
    struct sp_ip ip;

    if (ai->ai_family == AF_INET)
        ip = sp_ip_from_bytes(
            4,
            (const uint8_t *)&((const struct sockaddr_in *)(const void *)ai->ai_addr)->sin_addr);
    else
        ip = sp_ip_from_bytes(
            6,
            (const uint8_t *)&((const struct sockaddr_in6 *)(const void *)ai->ai_addr)->sin6_addr);
    for (size_t i = 0; i < answer->n; i++)
        if (sp_ip_equal(&answer->addrs[i], &ip))
            return;
    if (answer->n < SP_RESOLVER_ADDRS_MAX)
        answer->addrs[answer->n++] = ip;
}

static void
look_up(struct job *job)
{
    int family = job->family == 0 ? AF_INET : AF_INET6;
    struct addrinfo hints = { .ai_family = family, .ai_socktype = SOCK_DGRAM }, *list = NULL;
    int r = getaddrinfo(job->request->name, NULL, &hints, &list);

    job->answer.ok = r == 0 || r == EAI_NONAME || r == EAI_NODATA || r == EAI_ADDRFAMILY;
    for (const struct addrinfo *ai = list; ai; ai = ai->ai_next)
        if (ai->ai_family == family)
            add_addr(&job->answer, ai);
    if (list)
        freeaddrinfo(list);
}

static void
work(void *data, void *user_data SP_UNUSED)
{
    struct job *job = data;
    GMainContext *context = g_main_context_ref(job->request->context);
    GSource *source;

    if (g_atomic_int_get(&job->request->cancelled)) {
        job_free(job);
    } else {
        look_up(job);
        source = g_idle_source_new();
        g_source_set_priority(source, G_PRIORITY_DEFAULT);
        g_source_set_callback(source, on_answer, job, job_free);
        g_source_attach(source, context);
        g_source_unref(source);
    }
    g_main_context_unref(context);
}

struct sp_resolver *
sp_resolver_new(sp_resolver_cb cb, void *ctx)
{
    struct sp_resolver *resolver = g_new0(struct sp_resolver, 1);

    resolver->cb = cb;
    resolver->ctx = ctx;
    resolver->context = g_main_context_ref_thread_default();
    resolver->pool = g_thread_pool_new(work, NULL, SP_RESOLVER_THREADS, FALSE, NULL);
    resolver->requests = g_hash_table_new_full(NULL, NULL, request_drop, NULL);
    return resolver;
}

void
sp_resolver_free(struct sp_resolver *resolver)
{
    if (!resolver)
        return;
    g_hash_table_unref(resolver->requests);
    /* Queued jobs run through as cancelled; waiting for a slow server would block the exit. */
    g_thread_pool_free(resolver->pool, FALSE, FALSE);
    g_main_context_unref(resolver->context);
    g_free(resolver);
}

int
sp_resolver_resolve(struct sp_resolver *resolver, uint64_t id, const char *name)
{
    struct request *req;

    if (g_hash_table_size(resolver->requests) >= SP_RESOLVER_MAX)
        return SP_E_LIMIT;
    if (!*name || strlen(name) >= sizeof req->name)
        return SP_E_INVAL;
    req = g_atomic_rc_box_new0(struct request);
    req->resolver = resolver;
    req->context = g_main_context_ref(resolver->context);
    req->id = id;
    g_strlcpy(req->name, name, sizeof req->name);
    req->timeout = g_timeout_source_new(SP_RESOLVER_TIMEOUT_MS);
    g_source_set_callback(req->timeout, on_timeout, req, NULL);
    g_source_attach(req->timeout, resolver->context);
    g_hash_table_add(resolver->requests, req);
    for (int f = 0; f < 2; f++) {
        struct job *job = g_new0(struct job, 1);

        job->request = g_atomic_rc_box_acquire(req);
        job->family = f;
        g_thread_pool_push(resolver->pool, job, NULL);
    }
    return 0;
}
