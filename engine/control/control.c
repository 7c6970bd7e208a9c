/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/control/control.h"

#include <string.h>

#include "engine/base/err.h"
#include "engine/base/wr.h"
#include "engine/control/json.h"
#include "engine/ip/build.h"

#define NEXT_HEADER 255

enum {
    SEEN_RESOURCE = 1 << 0,
    SEEN_DOMAIN = 1 << 1,
    SEEN_PROXY_IPS = 1 << 2,
    SEEN_STATUS = 1 << 3,
};

bool
sp_control_is(const struct sp_ip_view *v)
{
    return v->version == 6 && v->proto == NEXT_HEADER && v->l4 == SP_IP6_HEADER
           && v->len >= SP_IP6_HEADER + SP_CONTROL_HEADER && sp_ip_is_unspecified(&v->src)
           && sp_ip_is_unspecified(&v->dst);
}

static void
read_resource(struct sp_json *j, struct sp_uuid *ret_id)
{
    char text[SP_UUID_STR_MAX];

    sp_json_string(j, text, sizeof text);
    if (sp_json_ok(j) && sp_uuid_parse(text, ret_id) < 0)
        j->in.failed = true;
}

static void
read_proxy_ips(struct sp_json *j, struct sp_control_event *e)
{
    char text[SP_IP_STR_MAX];

    sp_json_enter(j, '[');
    while (sp_json_next_item(j)) {
        sp_json_string(j, text, sizeof text);
        if (!sp_json_ok(j))
            return;
        if (e->n_proxy_ips == SP_CONTROL_PROXY_IPS_MAX
            || sp_ip_parse(text, &e->proxy_ips[e->n_proxy_ips]) < 0) {
            j->in.failed = true;
            return;
        }
        e->n_proxy_ips++;
    }
}

static unsigned
key_bit(const char *key, enum sp_control_type type)
{
    if (strcmp(key, "resource") == 0)
        return SEEN_RESOURCE;
    if (strcmp(key, "domain") == 0)
        return SEEN_DOMAIN;
    if (type == SP_CONTROL_ASSIGNED_IPS && strcmp(key, "proxy_ips") == 0)
        return SEEN_PROXY_IPS;
    if (type == SP_CONTROL_DOMAIN_STATUS && strcmp(key, "status") == 0)
        return SEEN_STATUS;
    return 0;
}

static int
parse_body(struct sp_span body, struct sp_control_event *e)
{
    unsigned want = SEEN_RESOURCE | SEEN_DOMAIN
                    | (e->type == SP_CONTROL_ASSIGNED_IPS ? SEEN_PROXY_IPS : SEEN_STATUS);
    struct sp_json j = sp_json(body);
    unsigned seen = 0;
    char key[16];

    sp_json_enter(&j, '{');
    while (sp_json_next_key(&j, key, sizeof key)) {
        unsigned bit = key_bit(key, e->type);

        if (seen & bit) /* twice */
            return SP_E_MALFORMED;
        seen |= bit;
        if (bit == SEEN_RESOURCE)
            read_resource(&j, &e->resource);
        else if (bit == SEEN_DOMAIN)
            sp_json_string(&j, e->domain, sizeof e->domain);
        else if (bit == SEEN_PROXY_IPS)
            read_proxy_ips(&j, e);
        else if (bit == SEEN_STATUS)
            e->active = sp_json_string_is(&j, "Active");
        else
            sp_json_skip(&j);
    }
    if (!sp_json_end(&j) || seen != want || e->domain[0] == '\0')
        return SP_E_MALFORMED;
    return 0;
}

int
sp_control_parse(const uint8_t *p, const struct sp_ip_view *v, struct sp_control_event *ret_event)
{
    struct sp_control_event e = { 0 };
    const uint8_t *payload = p + SP_IP6_HEADER;
    size_t n = (size_t)v->len - SP_IP6_HEADER;
    int r;

    if (!sp_control_is(v))
        return SP_E_MALFORMED;
    if (payload[0] > SP_CONTROL_GOODBYE)
        return SP_E_UNSUPPORTED;
    e.type = (enum sp_control_type)payload[0];
    if (e.type != SP_CONTROL_GOODBYE) {
        r = parse_body(sp_span(payload + SP_CONTROL_HEADER, n - SP_CONTROL_HEADER), &e);
        if (r < 0)
            return r;
    }
    *ret_event = e;
    return 0;
}

static int
build(uint8_t *out,
      size_t cap,
      enum sp_control_type type,
      const struct sp_wr *body,
      size_t *ret_len)
{
    static const struct sp_ip unspecified = { .family = 6 };

    if (!sp_wr_ok(body))
        return SP_E_NOBUF;
    body->start[0] = (uint8_t)type;
    return sp_build_raw(out,
                        cap,
                        &unspecified,
                        &unspecified,
                        0,
                        NEXT_HEADER,
                        sp_span(body->start, sp_wr_len(body)),
                        ret_len);
}

static void
put_common(struct sp_wr *w, const struct sp_uuid *resource, const char *domain)
{
    char text[SP_UUID_STR_MAX];

    sp_wr_zero(w, SP_CONTROL_HEADER);
    sp_json_put_raw(w, "{\"resource\":");
    sp_json_put_string(w, sp_uuid_format(resource, text));
    sp_json_put_raw(w, ",\"domain\":");
    sp_json_put_string(w, domain);
}

static bool
domain_fits(const char *domain)
{
    size_t n = strnlen(domain, SP_CONTROL_DOMAIN_MAX + 1);

    return n > 0 && n <= SP_CONTROL_DOMAIN_MAX;
}

int
sp_control_build_assigned_ips(uint8_t *out,
                              size_t cap,
                              const struct sp_uuid *resource,
                              const char *domain,
                              const struct sp_ip *ips,
                              size_t n,
                              size_t *ret_len)
{
    uint8_t body[SP_MTU - SP_IP6_HEADER];
    struct sp_wr w = sp_wr(body, sizeof body);
    char text[SP_IP_STR_MAX];

    if ((n != 4 && n != 8) || !domain_fits(domain))
        return SP_E_INVAL;
    put_common(&w, resource, domain);
    sp_json_put_raw(&w, ",\"proxy_ips\":[");
    for (size_t i = 0; i < n; i++) {
        if (i)
            sp_json_put_raw(&w, ",");
        sp_json_put_string(&w, sp_ip_format(&ips[i], text));
    }
    sp_json_put_raw(&w, "]}");
    return build(out, cap, SP_CONTROL_ASSIGNED_IPS, &w, ret_len);
}

int
sp_control_build_domain_status(uint8_t *out,
                               size_t cap,
                               const struct sp_uuid *resource,
                               const char *domain,
                               bool active,
                               size_t *ret_len)
{
    uint8_t body[SP_MTU - SP_IP6_HEADER];
    struct sp_wr w = sp_wr(body, sizeof body);

    if (!domain_fits(domain))
        return SP_E_INVAL;
    put_common(&w, resource, domain);
    sp_json_put_raw(&w, ",\"status\":");
    sp_json_put_string(&w, active ? "Active" : "Inactive");
    sp_json_put_raw(&w, "}");
    return build(out, cap, SP_CONTROL_DOMAIN_STATUS, &w, ret_len);
}

int
sp_control_build_goodbye(uint8_t *out, size_t cap, size_t *ret_len)
{
    uint8_t body[SP_CONTROL_HEADER] = { 0 };
    struct sp_wr w = sp_wr(body, sizeof body);

    sp_wr_zero(&w, sizeof body);
    return build(out, cap, SP_CONTROL_GOODBYE, &w, ret_len);
}

struct sp_pkt *
sp_control_goodbye(struct sp_pkt_pool *pool)
{
    struct sp_pkt *pkt = sp_pkt_alloc(pool);
    size_t len;

    if (pkt == NULL)
        return NULL;
    sp_assert(sp_control_build_goodbye(sp_pkt_data(pkt), SP_MTU, &len) == 0);
    pkt->len = (uint16_t)len;
    return pkt;
}
