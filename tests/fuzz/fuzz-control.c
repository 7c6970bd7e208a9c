/* SPDX-License-Identifier: Apache-2.0 */
/* A control event: the input is the payload (type byte, 7 header bytes, JSON). What decodes must
 * encode and decode to the same. */
#include <string.h>

#include "engine/control/control.h"
#include "engine/ip/build.h"
#include "tests/fuzz/fuzz.h"

static int
decode(const uint8_t *p, size_t n, struct sp_control_event *e)
{
    struct sp_ip_view v;

    sp_assert(sp_packet_parse(p, n, &v) == 0);
    return sp_control_is(&v) ? sp_control_parse(p, &v, e) : -1;
}

static void
round_trip(const struct sp_control_event *e)
{
    struct sp_control_event again;
    uint8_t out[SP_MTU];
    size_t n;
    int r;

    if (e->type == SP_CONTROL_GOODBYE)
        r = sp_control_build_goodbye(out, sizeof out, &n);
    else if (e->type == SP_CONTROL_DOMAIN_STATUS)
        r = sp_control_build_domain_status(out, sizeof out, &e->resource, e->domain, e->active, &n);
    else
        r = sp_control_build_assigned_ips(out,
                                          sizeof out,
                                          &e->resource,
                                          e->domain,
                                          e->proxy_ips,
                                          e->n_proxy_ips,
                                          &n);
    if (r < 0) /* other counts than a sender uses, or escapes that do not fit */
        return;
    sp_assert(decode(out, n, &again) == 0);
    sp_assert(again.type == e->type && strcmp(again.domain, e->domain) == 0);
    sp_assert(sp_uuid_equal(&again.resource, &e->resource) && again.active == e->active);
    sp_assert(again.n_proxy_ips == e->n_proxy_ips);
    for (size_t i = 0; i < e->n_proxy_ips; i++)
        sp_assert(sp_ip_equal(&again.proxy_ips[i], &e->proxy_ips[i]));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct sp_ip unspecified = { .family = 6 };
    struct sp_control_event e;
    uint8_t p[SP_MTU];
    size_t n;

    if (sp_build_raw(p, sizeof p, &unspecified, &unspecified, 0, 255, sp_span(data, size), &n) < 0)
        return 0;
    if (decode(p, n, &e) == 0)
        round_trip(&e);
    return 0;
}
