/* SPDX-License-Identifier: Apache-2.0 */
/* The portal as far as the engines see it: spec portal-protocol 4.5, 4.7 (any derivation that is
 * stable while both keys are), 4.10, 4.11. Every link delivers in order; what is under way when a
 * link breaks is lost. */
#include <string.h>

#include "engine/base/err.h"
#include "tests/sim/sim.h"

enum direction {
    FROM_CLIENT,
    TO_CLIENT,
    FROM_GATEWAY,
    TO_GATEWAY,
};

struct sim_message {
    sp_time at;
    enum direction direction;
    int gateway;
    int effect; /* resource whose grant at the gateway changes on delivery, or -1 */
    bool cuts;
    sp_time expires_at;
    union {
        struct sp_client_req client_req;
        struct sp_client_msg client_msg;
        struct sp_gw_req gw_req;
        struct sp_gw_msg gw_msg;
    } u;
};

struct grant_request {
    int resource;
    int gateway;
    sp_time until;
};

static void
message_done(struct sim_message *m)
{
    switch (m->direction) {
    case FROM_CLIENT:
        sp_client_req_done(&m->u.client_req);
        break;
    case TO_CLIENT:
        sp_client_msg_done(&m->u.client_msg);
        break;
    case FROM_GATEWAY:
        sp_gw_req_done(&m->u.gw_req);
        break;
    case TO_GATEWAY:
        sp_gw_msg_done(&m->u.gw_msg);
        break;
    }
    g_free(m);
}

static struct sim_message *
post(struct sim *s, enum direction direction, int gateway)
{
    struct sim_message *m = g_new0(struct sim_message, 1);

    m->at = s->now + s->portal_delay;
    m->direction = direction;
    m->gateway = gateway;
    m->effect = -1;
    g_queue_push_tail(s->messages, m);
    return m;
}

static struct sp_client_msg *
to_client(struct sim *s, enum sp_client_msg_type type)
{
    struct sim_message *m = post(s, TO_CLIENT, -1);

    m->u.client_msg.type = type;
    return &m->u.client_msg;
}

static struct sim_message *
to_gateway(struct sim *s, int gateway, enum sp_gw_msg_type type)
{
    struct sim_message *m = post(s, TO_GATEWAY, gateway);

    m->u.gw_msg.type = type;
    return m;
}

/* ---- data ------------------------------------------------------------------------------------ */

static struct sp_uuid
site_id(const struct sim *s, int site)
{
    struct sp_uuid id = s->client_id;

    id.b[0] = 0x51;
    id.b[15] = (uint8_t)site;
    return id;
}

static struct sp_resource
describe(const struct sim *s, const struct sim_resource *r, bool for_client)
{
    struct sp_resource out = { .type = r->type, .id = r->id, .net = r->net, .ip_stack = r->stack };

    out.name = sp_xstrdup(r->name);
    if (r->type != SP_RESOURCE_INTERNET)
        out.address = sp_xstrdup(r->address);
    if (for_client) {
        out.sites = sp_xcalloc(1, sizeof *out.sites);
        out.n_sites = 1;
        out.sites[0].id = site_id(s, r->site);
        out.sites[0].name = sp_xstrdup("site");
    }
    if (r->n_filters) {
        out.filters = sp_xcalloc(r->n_filters, sizeof *out.filters);
        memcpy(out.filters, r->filters, r->n_filters * sizeof *out.filters);
        out.n_filters = r->n_filters;
    }
    return out;
}

static void
fill_interface(const struct sim *s, struct sp_interface *i)
{
    *i = (struct sp_interface){ .ipv4 = s->ipv4,
                                .ipv6 = s->ipv6,
                                .search_domain = sp_xstrdup("corp.test") };
    if (s->n_portal_dns) {
        i->upstream_do53 = sp_xcalloc(s->n_portal_dns, sizeof(struct sp_ip));
        memcpy(i->upstream_do53, s->portal_dns, s->n_portal_dns * sizeof(struct sp_ip));
        i->n_upstream_do53 = s->n_portal_dns;
    }
}

static int
resource_of(const struct sim *s, const struct sp_uuid *id)
{
    for (int i = 0; i < SIM_RESOURCES; i++)
        if (sp_uuid_equal(&s->resources[i].id, id))
            return i;
    return -1;
}

static struct sim_gateway *
gateway_of(struct sim *s, const struct sp_uuid *id)
{
    for (int i = 0; i < SIM_GATEWAYS; i++)
        if (sp_uuid_equal(&s->gateways[i].id, id))
            return &s->gateways[i];
    return NULL;
}

static void
derive(const struct sim *s,
       const struct sim_gateway *g,
       uint8_t psk[SP_KEY_LEN],
       struct sp_ice_creds *client,
       struct sp_ice_creds *gateway)
{
    GChecksum *sum = g_checksum_new(G_CHECKSUM_SHA256);
    const char *hex;
    gsize n = SP_KEY_LEN;

    g_checksum_update(sum, s->client_key, SP_KEY_LEN);
    g_checksum_update(sum, g->key, SP_KEY_LEN);
    g_checksum_update(sum, g->id.b, sizeof g->id.b);
    hex = g_checksum_get_string(sum);
    g_snprintf(client->ufrag, sizeof client->ufrag, "%.4s", hex);
    g_snprintf(client->pwd, sizeof client->pwd, "%.22s", hex + 4);
    g_snprintf(gateway->ufrag, sizeof gateway->ufrag, "%.4s", hex + 26);
    g_snprintf(gateway->pwd, sizeof gateway->pwd, "%.22s", hex + 30);
    g_checksum_reset(sum);
    g_checksum_update(sum, g->key, SP_KEY_LEN);
    g_checksum_update(sum, s->client_key, SP_KEY_LEN);
    g_checksum_get_digest(sum, psk, &n);
    g_checksum_free(sum);
}

/* ---- what the gateways were told ------------------------------------------------------------- */

bool
portal_grant_live(const struct sim_gateway *g, int r, sp_time now)
{
    return g->grants[r].held && g->grants[r].expires_at > now;
}

static void
expire(struct sim *s)
{
    for (int i = 0; i < SIM_GATEWAYS; i++)
        for (int r = 0; r < SIM_RESOURCES; r++) {
            struct sim_grant *grant = &s->gateways[i].grants[r];

            if (grant->held && grant->expires_at <= s->now && grant->cut_at < grant->expires_at)
                grant->cut_at = grant->expires_at;
        }
}

static void
apply(struct sim *s, const struct sim_message *m)
{
    struct sim_resource *r = &s->resources[m->effect];
    struct sim_grant *grant = &s->gateways[m->gateway].grants[m->effect];

    if (m->cuts) {
        if (grant->held)
            grant->cut_at = s->now;
        grant->held = false;
        return;
    }
    if (m->u.gw_msg.type == SP_GW_MSG_RESOURCE_UPDATED && !grant->held)
        return;
    if (m->u.gw_msg.type == SP_GW_MSG_AUTHORIZE) {
        grant->held = true;
        grant->granted_at = s->now;
        grant->expires_at = m->expires_at;
        grant->net = r->net;
    }
    grant->n_filters = r->n_filters;
    memcpy(grant->filters, r->filters, sizeof grant->filters);
}

/* ---- authorization flow (4.5) ---------------------------------------------------------------- */

static int
choose_gateway(struct sim *s, const struct sim_resource *r, const struct sp_client_req *req)
{
    int first = -1, n = 0, pick;

    for (size_t i = 0; i < req->u.authorization.n_connected_gateways; i++) {
        const struct sim_gateway *g = gateway_of(s, &req->u.authorization.connected_gateways[i]);

        if (g && g->online && g->site == r->site)
            return g->index;
    }
    for (int i = 0; i < SIM_GATEWAYS; i++)
        if (s->gateways[i].online && s->gateways[i].site == r->site) {
            first = first < 0 ? i : first;
            n++;
        }
    if (n == 0)
        return -1;
    pick = (int)sim_draw(s, (unsigned)n);
    for (int i = first;; i++)
        if (s->gateways[i].online && s->gateways[i].site == r->site && pick-- == 0)
            return i;
}

static void
refuse(struct sim *s, const struct sp_uuid *id, enum sp_fail_reason reason)
{
    struct sp_client_msg *m = to_client(s, SP_CLIENT_MSG_AUTHORIZATION_FAILED);
    int r = resource_of(s, id);

    m->u.failed.resource_id = *id;
    m->u.failed.reason = reason;
    if (r >= 0 && reason == SP_FAIL_OFFLINE)
        s->offline_at[s->resources[r].site] = s->now;
}

static void
authorize(struct sim *s, const struct sp_client_req *req)
{
    int r = resource_of(s, &req->u.authorization.resource_id), g;
    struct grant_request *pending;
    struct sp_gw_authorize *a;
    struct sim_message *m;
    char ref[24];

    if (r < 0 || !s->resources[r].live) {
        refuse(s, &req->u.authorization.resource_id, SP_FAIL_NOT_FOUND);
        return;
    }
    g = choose_gateway(s, &s->resources[r], req);
    if (g < 0) {
        refuse(s, &s->resources[r].id, SP_FAIL_OFFLINE);
        return;
    }
    m = to_gateway(s, g, SP_GW_MSG_AUTHORIZE);
    m->effect = r;
    m->expires_at =
        sim_draw(s, 2) ? SP_TIME_NEVER : (s->now / SP_SEC(1) + 30 + sim_draw(s, 400)) * SP_SEC(1);
    a = &m->u.gw_msg.u.authorize;
    g_snprintf(ref, sizeof ref, "ref-%u", ++s->next_ref);
    a->ref = sp_xstrdup(ref);
    a->resource = describe(s, &s->resources[r], false);
    a->client_id = s->client_id;
    memcpy(a->client_key, s->client_key, SP_KEY_LEN);
    a->client_ipv4 = s->ipv4;
    a->client_ipv6 = s->ipv6;
    derive(s, &s->gateways[g], a->psk, &a->client_creds, &a->gateway_creds);
    a->expires_at = m->expires_at == SP_TIME_NEVER
                        ? INT64_MAX
                        : sp_wall_unix_ns(s->wall, m->expires_at) / (int64_t)SP_NS_PER_SEC;
    pending = g_new0(struct grant_request, 1);
    *pending = (struct grant_request){ r, g, s->now + SP_SEC(15) };
    g_hash_table_insert(s->refs, g_strdup(a->ref), pending);
}

static void
authorized(struct sim *s, int gateway, const char *ref)
{
    struct grant_request *pending = g_hash_table_lookup(s->refs, ref);
    struct sim_gateway *g = &s->gateways[gateway];
    struct sp_client_authorized *a;

    if (!pending || !s->client_online) {
        g_hash_table_remove(s->refs, ref);
        return;
    }
    if (pending->until > s->now && s->resources[pending->resource].live) {
        a = &to_client(s, SP_CLIENT_MSG_AUTHORIZED)->u.authorized;
        a->resource_id = s->resources[pending->resource].id;
        a->gateway_id = g->id;
        a->site_id = site_id(s, g->site);
        memcpy(a->gateway_key, g->key, SP_KEY_LEN);
        a->gateway_ipv4 = g->ipv4;
        a->gateway_ipv6 = g->ipv6;
        derive(s, g, a->psk, &a->client_creds, &a->gateway_creds);
    }
    g_hash_table_remove(s->refs, ref);
}

static void
copy_list(struct sp_strv *to, const struct sp_strv *from)
{
    for (size_t i = 0; i < from->n; i++)
        sp_strv_add(to, from->v[i]);
}

static void
relay_from_client(struct sim *s, const struct sp_client_req *req)
{
    struct sim_gateway *g = gateway_of(s, &req->u.candidates.peer);
    struct sim_message *m;

    if (!g || !g->online)
        return;
    m = to_gateway(s,
                   g->index,
                   req->type == SP_CLIENT_REQ_NEW_CANDIDATES ? SP_GW_MSG_CANDIDATES
                                                             : SP_GW_MSG_INVALIDATE_CANDIDATES);
    m->u.gw_msg.u.candidates.peer = s->client_id;
    copy_list(&m->u.gw_msg.u.candidates.list, &req->u.candidates.list);
}

static void
relay_from_gateway(struct sim *s, const struct sim_gateway *g, const struct sp_gw_req *req)
{
    struct sp_client_msg *m;

    if (!s->client_online)
        return;
    m = to_client(s,
                  req->type == SP_GW_REQ_NEW_CANDIDATES ? SP_CLIENT_MSG_CANDIDATES
                                                        : SP_CLIENT_MSG_INVALIDATE_CANDIDATES);
    m->u.candidates.peer = g->id;
    copy_list(&m->u.candidates.list, &req->u.candidates.list);
}

/* ---- delivery -------------------------------------------------------------------------------- */

void
portal_from_client(struct sim *s, const struct sp_client_req *req)
{
    struct sim_message *m;

    if (req->type == SP_CLIENT_REQ_NO_RELAYS)
        sim_fail(s, "the client says it has no relays");
    if (!s->client_online)
        return;
    m = post(s, FROM_CLIENT, -1);
    m->u.client_req.type = req->type;
    if (req->type == SP_CLIENT_REQ_AUTHORIZATION) {
        size_t n = req->u.authorization.n_connected_gateways;

        m->u.client_req.u.authorization.resource_id = req->u.authorization.resource_id;
        m->u.client_req.u.authorization.n_connected_gateways = n;
        if (n) {
            m->u.client_req.u.authorization.connected_gateways =
                sp_xcalloc(n, sizeof(struct sp_uuid));
            memcpy(m->u.client_req.u.authorization.connected_gateways,
                   req->u.authorization.connected_gateways,
                   n * sizeof(struct sp_uuid));
        }
    } else {
        m->u.client_req.u.candidates.peer = req->u.candidates.peer;
        copy_list(&m->u.client_req.u.candidates.list, &req->u.candidates.list);
    }
}

void
portal_from_gateway(struct sim_gateway *g, const struct sp_gw_req *req)
{
    struct sim *s = g->sim;
    struct sim_message *m;

    if (req->type == SP_GW_REQ_NO_RELAYS)
        sim_fail(s, "a gateway says it has no relays");
    if (!g->online)
        return;
    m = post(s, FROM_GATEWAY, g->index);
    m->u.gw_req.type = req->type;
    if (req->type == SP_GW_REQ_AUTHORIZED) {
        m->u.gw_req.u.ref = sp_xstrdup(req->u.ref);
    } else {
        m->u.gw_req.u.candidates.peer = req->u.candidates.peer;
        copy_list(&m->u.gw_req.u.candidates.list, &req->u.candidates.list);
    }
}

static void
deliver(struct sim *s, struct sim_message *m)
{
    struct sim_gateway *g = m->gateway >= 0 ? &s->gateways[m->gateway] : NULL;

    switch (m->direction) {
    case FROM_CLIENT:
        if (m->u.client_req.type == SP_CLIENT_REQ_AUTHORIZATION)
            authorize(s, &m->u.client_req);
        else
            relay_from_client(s, &m->u.client_req);
        break;
    case FROM_GATEWAY:
        if (m->u.gw_req.type == SP_GW_REQ_AUTHORIZED)
            authorized(s, m->gateway, m->u.gw_req.u.ref);
        else
            relay_from_gateway(s, g, &m->u.gw_req);
        break;
    case TO_CLIENT:
        sp_client_handle_portal(s->client, &m->u.client_msg, s->now);
        sim_drain_client(s);
        break;
    case TO_GATEWAY:
        if (m->effect >= 0)
            apply(s, m);
        if (s->plant == SIM_PLANT_LOST_REJECT && m->u.gw_msg.type == SP_GW_MSG_REJECT_ACCESS)
            break;
        sp_gw_handle_portal(g->gw, &m->u.gw_msg, s->now);
        sim_drain_gateway(g);
        break;
    }
}

sp_time
portal_next(const struct sim *s)
{
    const struct sim_message *m = g_queue_peek_head(s->messages);

    return m ? m->at : SP_TIME_NEVER;
}

void
portal_deliver(struct sim *s)
{
    expire(s);
    while (portal_next(s) <= s->now) {
        struct sim_message *m = g_queue_pop_head(s->messages);

        deliver(s, m);
        message_done(m);
    }
}

/* ---- links ----------------------------------------------------------------------------------- */

static void
lose(struct sim *s, enum direction a, enum direction b, int gateway)
{
    GList *l = s->messages->head;

    while (l) {
        GList *next = l->next;
        struct sim_message *m = l->data;

        if ((m->direction == a || m->direction == b) && m->gateway == gateway) {
            message_done(m);
            g_queue_delete_link(s->messages, l);
        }
        l = next;
    }
}

void
portal_client_down(struct sim *s)
{
    lose(s, FROM_CLIENT, TO_CLIENT, -1);
    s->client_online = false;
    sp_client_handle_portal_state(s->client, false, s->now);
    sim_drain_client(s);
}

static int
live_resources(const struct sim *s)
{
    int n = 0;

    for (int i = 0; i < SIM_RESOURCES; i++)
        n += s->resources[i].live;
    return n;
}

void
portal_client_up(struct sim *s)
{
    struct sp_client_init *init;

    s->client_online = true;
    sp_client_handle_portal_state(s->client, true, s->now);
    sim_drain_client(s);
    init = &to_client(s, SP_CLIENT_MSG_INIT)->u.init;
    fill_interface(s, &init->interface);
    init->resources = sp_xcalloc((size_t)live_resources(s), sizeof(struct sp_resource));
    for (int i = 0; i < SIM_RESOURCES; i++)
        if (s->resources[i].live)
            init->resources[init->n_resources++] = describe(s, &s->resources[i], true);
}

void
portal_gateway_down(struct sim_gateway *g)
{
    lose(g->sim, FROM_GATEWAY, TO_GATEWAY, g->index);
    g->online = false;
    sp_gw_handle_portal_state(g->gw, false, g->sim->now);
    sim_drain_gateway(g);
}

/* Delivered at once: the engine accepts nothing before its init. */
void
portal_gateway_up(struct sim_gateway *g)
{
    struct sim *s = g->sim;
    struct sp_gw_msg msg = { .type = SP_GW_MSG_INIT };
    struct sp_gw_init *init = &msg.u.init;

    g->online = true;
    init->ipv4 = g->ipv4;
    init->ipv6 = g->ipv6;
    init->authorizations = sp_xcalloc(SIM_RESOURCES, sizeof *init->authorizations);
    for (int i = 0; i < SIM_RESOURCES; i++) {
        struct sim_grant *grant = &g->grants[i];

        if (!grant->held && s->plant != SIM_PLANT_STALE_INIT)
            continue;
        init->authorizations[init->n_authorizations++] = (struct sp_authz_entry){
            .client_id = s->client_id,
            .resource_id = s->resources[i].id,
            .expires_at =
                !grant->held || grant->expires_at == SP_TIME_NEVER
                    ? INT64_MAX
                    : sp_wall_unix_ns(s->wall, grant->expires_at) / (int64_t)SP_NS_PER_SEC,
        };
    }
    sp_gw_handle_portal_state(g->gw, true, s->now);
    sp_gw_handle_portal(g->gw, &msg, s->now);
    sim_drain_gateway(g);
}

/* ---- administration (4.10) ------------------------------------------------------------------- */

void
portal_send_resource(struct sim *s, int r)
{
    if (s->client_online)
        to_client(s, SP_CLIENT_MSG_RESOURCE_UPSERT)->u.resource =
            describe(s, &s->resources[r], true);
}

void
portal_delete_resource(struct sim *s, int r)
{
    if (s->client_online)
        to_client(s, SP_CLIENT_MSG_RESOURCE_DELETED)->u.resource_id = s->resources[r].id;
}

void
portal_send_config(struct sim *s)
{
    if (s->client_online)
        fill_interface(s, &to_client(s, SP_CLIENT_MSG_CONFIG_CHANGED)->u.config);
}

void
portal_revoke(struct sim *s, int r)
{
    for (int i = 0; i < SIM_GATEWAYS; i++) {
        struct sim_gateway *g = &s->gateways[i];
        struct sim_message *m;

        if (!g->grants[r].held)
            continue;
        if (!g->online) { /* it learns of it when it joins again */
            g->grants[r].held = false;
            g->grants[r].cut_at = s->now;
            continue;
        }
        m = to_gateway(s, i, SP_GW_MSG_REJECT_ACCESS);
        m->effect = r;
        m->cuts = true;
        m->u.gw_msg.u.reject.client_id = s->client_id;
        m->u.gw_msg.u.reject.resource_id = s->resources[r].id;
    }
}

void
portal_filters_changed(struct sim *s, int r)
{
    for (int i = 0; i < SIM_GATEWAYS; i++) {
        struct sim_message *m;

        if (!s->gateways[i].online)
            continue;
        m = to_gateway(s, i, SP_GW_MSG_RESOURCE_UPDATED);
        m->effect = r;
        m->u.gw_msg.u.resource = describe(s, &s->resources[r], false);
    }
    portal_send_resource(s, r);
}

/* ---- life ------------------------------------------------------------------------------------ */

void
portal_init(struct sim *s)
{
    s->messages = g_queue_new();
    s->refs = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    s->portal_delay = SP_MS(5 + sim_draw(s, 60));
}

void
portal_done(struct sim *s)
{
    struct sim_message *m;

    while ((m = g_queue_pop_head(s->messages)) != NULL)
        message_done(m);
    g_queue_free(s->messages);
    g_hash_table_unref(s->refs);
}
