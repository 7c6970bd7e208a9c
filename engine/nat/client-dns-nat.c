/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/nat/client-dns-nat.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/err.h"
#include "engine/ip/packet.h"

struct dns_key {
    struct sp_uuid gateway;
    struct sp_uuid resource;
    char domain[SP_NAT_DNS_DOMAIN_MAX + 3]; /* zero padded */
};

struct sp_nat_dns_entry {
    struct dns_key key;
    enum sp_nat_dns_state state;
    sp_time sent_at;
    struct sp_pkt_queue waiting;
    size_t event_len;
    uint8_t event[SP_MTU];
};

void
sp_nat_dns_init(struct sp_nat_dns *nat, const struct sp_rng *rng)
{
    *nat = (struct sp_nat_dns){ 0 };
    sp_map_init(&nat->entries, sizeof(struct dns_key), rng);
}

static void
free_entry(struct sp_nat_dns_entry *e)
{
    sp_pkt_queue_clear(&e->waiting);
    free(e);
}

void
sp_nat_dns_done(struct sp_nat_dns *nat)
{
    size_t pos = 0;
    void *value;

    while (sp_map_next(&nat->entries, &pos, NULL, &value))
        free_entry(value);
    sp_map_done(&nat->entries);
    nat->last = NULL;
}

const char *
sp_nat_dns_state_name(enum sp_nat_dns_state state)
{
    static const char *const names[_SP_NAT_DNS_STATE_MAX] = {
        [SP_NAT_DNS_NONE] = "none",
        [SP_NAT_DNS_PENDING_BUFFERING] = "pending-buffering",
        [SP_NAT_DNS_PENDING_PASS] = "pending-pass",
        [SP_NAT_DNS_RECREATING_BUFFERING] = "recreating-buffering",
        [SP_NAT_DNS_RECREATING_PASS] = "recreating-pass",
        [SP_NAT_DNS_CONFIRMED] = "confirmed",
        [SP_NAT_DNS_FAILED] = "failed",
    };

    return state < _SP_NAT_DNS_STATE_MAX ? names[state] : "unknown";
}

static bool
matches(const struct sp_nat_dns_entry *e, const struct sp_nat_dns_key *key)
{
    return sp_uuid_equal(&e->key.gateway, &key->gateway)
           && sp_uuid_equal(&e->key.resource, &key->resource)
           && strcmp(e->key.domain, key->domain) == 0;
}

/* Returns: false when the domain is too long, then there is no such entry */
static bool
make_key(const struct sp_nat_dns_key *key, struct dns_key *out)
{
    size_t n = strnlen(key->domain, SP_NAT_DNS_DOMAIN_MAX + 1);

    if (n > SP_NAT_DNS_DOMAIN_MAX)
        return false;
    memset(out, 0, sizeof *out);
    out->gateway = key->gateway;
    out->resource = key->resource;
    memcpy(out->domain, key->domain, n);
    return true;
}

static struct sp_nat_dns_entry *
find(const struct sp_nat_dns *nat, const struct sp_nat_dns_key *key)
{
    struct dns_key full;

    if (nat->last && matches(nat->last, key))
        return nat->last;
    return make_key(key, &full) ? sp_map_get(&nat->entries, &full) : NULL;
}

enum sp_nat_dns_state
sp_nat_dns_get_state(const struct sp_nat_dns *nat, const struct sp_nat_dns_key *key)
{
    const struct sp_nat_dns_entry *e = find(nat, key);

    return e ? e->state : SP_NAT_DNS_NONE;
}

static int
add(struct sp_nat_dns *nat, const struct sp_nat_dns_key *key, struct sp_nat_dns_entry **ret_entry)
{
    struct sp_nat_dns_entry *e;
    struct dns_key full;

    if (!make_key(key, &full))
        return SP_E_INVAL;
    if (nat->entries.len >= SP_NAT_DNS_ENTRIES_MAX)
        return SP_E_LIMIT;
    e = sp_xcalloc(1, sizeof *e);
    e->key = full;
    e->state = SP_NAT_DNS_RECREATING_BUFFERING; /* a new name starts as one that must be asked */
    e->waiting.max = SP_NAT_DNS_RING;
    (void)sp_map_put(&nat->entries, &full, e);
    *ret_entry = e;
    return 0;
}

static struct sp_span
send_now(struct sp_nat_dns_entry *e, sp_time now)
{
    e->sent_at = now;
    return sp_span(e->event, e->event_len);
}

static struct sp_span
resend_if_due(struct sp_nat_dns_entry *e, sp_time now)
{
    if (sp_time_since(e->sent_at, now) < SP_NAT_DNS_RESEND)
        return sp_span(NULL, 0);
    return send_now(e, now);
}

/* Bulk append: duplicates are not looked for (spec tunnel 0.7), the oldest are overwritten. */
static void
keep_all(struct sp_nat_dns_entry *e, struct sp_pkt_queue *packets)
{
    struct sp_pkt *pkt;

    while (packets && (pkt = sp_pkt_queue_pop(packets)) != NULL)
        (void)sp_pkt_queue_push_ring(&e->waiting, pkt);
}

int
sp_nat_dns_update(struct sp_nat_dns *nat,
                  const struct sp_nat_dns_key *key,
                  struct sp_span event,
                  struct sp_pkt_queue *packets,
                  sp_time now,
                  struct sp_span *ret_send)
{
    struct sp_nat_dns_entry *e = find(nat, key);
    int r;

    if (event.n == 0 || event.n > sizeof e->event)
        return SP_E_INVAL;
    if (e == NULL) {
        r = add(nat, key, &e);
        if (r < 0)
            return r;
    }
    *ret_send = sp_span(NULL, 0);
    memcpy(e->event, event.p, event.n);
    e->event_len = event.n;
    switch (e->state) {
    case SP_NAT_DNS_PENDING_BUFFERING:
    case SP_NAT_DNS_PENDING_PASS:
        keep_all(e, packets);
        *ret_send = resend_if_due(e, now);
        break;
    case SP_NAT_DNS_RECREATING_BUFFERING:
    case SP_NAT_DNS_RECREATING_PASS:
        e->state = e->state == SP_NAT_DNS_RECREATING_BUFFERING ? SP_NAT_DNS_PENDING_BUFFERING
                                                               : SP_NAT_DNS_PENDING_PASS;
        keep_all(e, packets);
        *ret_send = send_now(e, now);
        break;
    case SP_NAT_DNS_CONFIRMED:
    case SP_NAT_DNS_FAILED:
    case SP_NAT_DNS_NONE:
    case _SP_NAT_DNS_STATE_MAX:
        break;
    }
    return 0;
}

static void
recreate(struct sp_nat_dns_entry *e)
{
    if (e->state == SP_NAT_DNS_CONFIRMED)
        e->state = SP_NAT_DNS_RECREATING_PASS;
    else if (e->state == SP_NAT_DNS_FAILED)
        e->state = SP_NAT_DNS_RECREATING_BUFFERING;
}

void
sp_nat_dns_recreate(struct sp_nat_dns *nat, const char *domain)
{
    size_t pos = 0;
    void *value;

    while (sp_map_next(&nat->entries, &pos, NULL, &value)) {
        struct sp_nat_dns_entry *e = value;

        if (strcmp(e->key.domain, domain) == 0)
            recreate(e);
    }
}

int
sp_nat_dns_handle_outgoing(struct sp_nat_dns *nat,
                           const struct sp_nat_dns_key *key,
                           struct sp_pkt *pkt,
                           sp_time now,
                           struct sp_span *ret_send)
{
    struct sp_nat_dns_entry *e = find(nat, key);

    *ret_send = sp_span(NULL, 0);
    if (e == NULL)
        return 0;
    nat->last = e;
    switch (e->state) {
    case SP_NAT_DNS_PENDING_BUFFERING:
        (void)sp_packet_queue_push_unique(&e->waiting, pkt);
        *ret_send = resend_if_due(e, now);
        return SP_NAT_DNS_BUFFERED;
    case SP_NAT_DNS_PENDING_PASS:
        *ret_send = resend_if_due(e, now);
        return 0;
    case SP_NAT_DNS_RECREATING_BUFFERING:
    case SP_NAT_DNS_RECREATING_PASS:
    case SP_NAT_DNS_CONFIRMED:
    case SP_NAT_DNS_FAILED:
    case SP_NAT_DNS_NONE:
    case _SP_NAT_DNS_STATE_MAX:
        break;
    }
    return 0;
}

size_t
sp_nat_dns_handle_status(struct sp_nat_dns *nat,
                         const struct sp_nat_dns_key *key,
                         bool active,
                         struct sp_pkt_queue *released)
{
    struct sp_nat_dns_entry *e = find(nat, key);
    struct sp_pkt *pkt;
    size_t freed;

    if (e == NULL)
        return 0;
    if (!active) {
        freed = e->waiting.len;
        sp_pkt_queue_clear(&e->waiting);
        e->state = SP_NAT_DNS_FAILED;
        return freed;
    }
    e->state = SP_NAT_DNS_CONFIRMED;
    while ((pkt = sp_pkt_queue_pop(&e->waiting)) != NULL) {
        released->max = SP_MAX(released->max, released->len + 1);
        (void)sp_pkt_queue_push(released, pkt);
    }
    return 0;
}

static void
remove_if(struct sp_nat_dns *nat, const struct sp_uuid *gateway, const struct sp_uuid *resource)
{
    size_t pos = 0;
    void *value;

    nat->last = NULL;
    while (sp_map_next(&nat->entries, &pos, NULL, &value)) {
        struct sp_nat_dns_entry *e = value;

        if ((gateway && !sp_uuid_equal(&e->key.gateway, gateway))
            || (resource && !sp_uuid_equal(&e->key.resource, resource)))
            continue;
        (void)sp_map_del(&nat->entries, &e->key);
        free_entry(e);
    }
}

void
sp_nat_dns_remove_gateway(struct sp_nat_dns *nat, const struct sp_uuid *gateway)
{
    remove_if(nat, gateway, NULL);
}

void
sp_nat_dns_remove_resource(struct sp_nat_dns *nat, const struct sp_uuid *resource)
{
    remove_if(nat, NULL, resource);
}
