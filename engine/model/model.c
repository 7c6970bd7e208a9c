/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/model/model.h"

#include <stdlib.h>
#include <string.h>

#include <sodium.h>

void
sp_strv_add(struct sp_strv *list, const char *text)
{
    list->v = sp_xrealloc(list->v, list->n + 1, sizeof *list->v);
    list->v[list->n++] = sp_xstrdup(text);
}

void
sp_strv_done(struct sp_strv *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->v[i]);
    free(list->v);
    *list = (struct sp_strv){ 0 };
}

static void
free_secret(char *text)
{
    if (text)
        sodium_memzero(text, strlen(text));
    free(text);
}

static void *
copy_array(const void *src, size_t n, size_t size)
{
    void *dst;

    if (n == 0)
        return NULL;
    dst = sp_xcalloc(n, size);
    memcpy(dst, src, n * size);
    return dst;
}

void
sp_resource_done(struct sp_resource *r)
{
    free(r->name);
    free(r->address);
    free(r->address_description);
    for (size_t i = 0; i < r->n_sites; i++)
        free(r->sites[i].name);
    free(r->sites);
    free(r->filters);
    *r = (struct sp_resource){ 0 };
}

void
sp_resource_copy(struct sp_resource *dst, const struct sp_resource *src)
{
    *dst = *src;
    dst->name = sp_xstrdup(src->name);
    dst->address = sp_xstrdup(src->address);
    dst->address_description = sp_xstrdup(src->address_description);
    dst->sites = copy_array(src->sites, src->n_sites, sizeof *src->sites);
    for (size_t i = 0; i < src->n_sites; i++)
        dst->sites[i].name = sp_xstrdup(src->sites[i].name);
    dst->filters = copy_array(src->filters, src->n_filters, sizeof *src->filters);
}

void
sp_interface_done(struct sp_interface *i)
{
    free(i->upstream_do53);
    sp_strv_done(&i->upstream_doh);
    free(i->search_domain);
    *i = (struct sp_interface){ 0 };
}

void
sp_interface_copy(struct sp_interface *dst, const struct sp_interface *src)
{
    *dst = *src;
    dst->upstream_do53 =
        copy_array(src->upstream_do53, src->n_upstream_do53, sizeof *src->upstream_do53);
    dst->upstream_doh = (struct sp_strv){ 0 };
    for (size_t i = 0; i < src->upstream_doh.n; i++)
        sp_strv_add(&dst->upstream_doh, src->upstream_doh.v[i]);
    dst->search_domain = sp_xstrdup(src->search_domain);
}

void
sp_relay_done(struct sp_relay *r)
{
    free_secret(r->username);
    free_secret(r->password);
    *r = (struct sp_relay){ 0 };
}

void
sp_relays_free(struct sp_relay *relays, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sp_relay_done(&relays[i]);
    free(relays);
}

static const char *const fail_names[_SP_FAIL_MAX] = {
    [SP_FAIL_UNKNOWN] = "unknown",
    [SP_FAIL_NOT_FOUND] = "not_found",
    [SP_FAIL_OFFLINE] = "offline",
    [SP_FAIL_VERSION_MISMATCH] = "version_mismatch",
    [SP_FAIL_FORBIDDEN] = "forbidden",
    [SP_FAIL_DISABLED] = "disabled",
    [SP_FAIL_AMBIGUOUS_ADDRESS] = "ambiguous_address",
    [SP_FAIL_MISSING_ADDRESS] = "missing_address",
    [SP_FAIL_INVALID_ADDRESS] = "invalid_address",
};

const char *
sp_fail_reason_name(enum sp_fail_reason reason)
{
    return (unsigned)reason < _SP_FAIL_MAX ? fail_names[reason] : fail_names[SP_FAIL_UNKNOWN];
}

enum sp_fail_reason
sp_fail_reason_parse(const char *text)
{
    for (size_t i = 0; i < _SP_FAIL_MAX; i++)
        if (strcmp(text, fail_names[i]) == 0)
            return (enum sp_fail_reason)i;
    return SP_FAIL_UNKNOWN;
}

static void
relays_presence_done(struct sp_relays_presence *p)
{
    free(p->disconnected);
    sp_relays_free(p->connected, p->n_connected);
}

static void
free_resources(struct sp_resource *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sp_resource_done(&list[i]);
    free(list);
}

void
sp_client_msg_done(struct sp_client_msg *m)
{
    switch (m->type) {
    case SP_CLIENT_MSG_INIT:
        sp_interface_done(&m->u.init.interface);
        free_resources(m->u.init.resources, m->u.init.n_resources);
        sp_relays_free(m->u.init.relays, m->u.init.n_relays);
        break;
    case SP_CLIENT_MSG_CONFIG_CHANGED:
        sp_interface_done(&m->u.config);
        break;
    case SP_CLIENT_MSG_RESOURCE_UPSERT:
        sp_resource_done(&m->u.resource);
        break;
    case SP_CLIENT_MSG_RELAYS_PRESENCE:
        relays_presence_done(&m->u.relays);
        break;
    case SP_CLIENT_MSG_CANDIDATES:
    case SP_CLIENT_MSG_INVALIDATE_CANDIDATES:
        sp_strv_done(&m->u.candidates.list);
        break;
    case SP_CLIENT_MSG_AUTHORIZED:
    case SP_CLIENT_MSG_RESOURCE_DELETED:
    case SP_CLIENT_MSG_AUTHORIZATION_FAILED:
        break;
    }
    sodium_memzero(m, sizeof *m); /* PSK and ICE passwords among it */
}

void
sp_client_req_done(struct sp_client_req *r)
{
    switch (r->type) {
    case SP_CLIENT_REQ_AUTHORIZATION:
        free(r->u.authorization.connected_gateways);
        break;
    case SP_CLIENT_REQ_NEW_CANDIDATES:
    case SP_CLIENT_REQ_INVALIDATE_CANDIDATES:
        sp_strv_done(&r->u.candidates.list);
        break;
    case SP_CLIENT_REQ_NO_RELAYS:
        break;
    }
    memset(r, 0, sizeof *r);
}

void
sp_gw_msg_done(struct sp_gw_msg *m)
{
    switch (m->type) {
    case SP_GW_MSG_INIT:
        sp_relays_free(m->u.init.relays, m->u.init.n_relays);
        free(m->u.init.authorizations);
        break;
    case SP_GW_MSG_AUTHORIZE:
        free(m->u.authorize.ref);
        sp_resource_done(&m->u.authorize.resource);
        break;
    case SP_GW_MSG_RESOURCE_UPDATED:
        sp_resource_done(&m->u.resource);
        break;
    case SP_GW_MSG_CANDIDATES:
    case SP_GW_MSG_INVALIDATE_CANDIDATES:
        sp_strv_done(&m->u.candidates.list);
        break;
    case SP_GW_MSG_RELAYS_PRESENCE:
        relays_presence_done(&m->u.relays);
        break;
    case SP_GW_MSG_REJECT_ACCESS:
        break;
    }
    sodium_memzero(m, sizeof *m);
}

void
sp_gw_req_done(struct sp_gw_req *r)
{
    switch (r->type) {
    case SP_GW_REQ_AUTHORIZED:
        free(r->u.ref);
        break;
    case SP_GW_REQ_NEW_CANDIDATES:
    case SP_GW_REQ_INVALIDATE_CANDIDATES:
        sp_strv_done(&r->u.candidates.list);
        break;
    case SP_GW_REQ_NO_RELAYS:
        break;
    }
    memset(r, 0, sizeof *r);
}
