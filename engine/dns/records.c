/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/dns/records.h"

#include <stdlib.h>
#include <string.h>

#include "engine/ip/ranges.h"

struct sp_dns_resource {
    struct sp_uuid id;
    struct sp_dns_pattern pattern;
    bool v4;
    bool v6;
};

void
sp_dns_records_init(struct sp_dns_records *records, const struct sp_rng *rng)
{
    *records = (struct sp_dns_records){
        /* Network and broadcast address are no hosts in IPv4; in IPv6 all are usable. */
        .v4 = { .base = sp_range_proxy.v4.ip,
                .next = 1,
                .end = (1u << 21) - 1,
                .skip = sp_range_sentinel.v4 },
        .v6 = { .base = sp_range_proxy.v6.ip, .next = 0, .end = 1u << 21 },
    };
    sp_map_init(&records->by_name, sizeof(struct sp_dns_name), rng);
    sp_map_init(&records->by_ip, sizeof(struct sp_ip), rng);
}

static void
record_clear(struct sp_dns_record *record)
{
    for (size_t i = 0; i < record->n_assoc; i++)
        free(record->assoc[i].pattern);
    free(record->assoc);
}

static void
resource_free(struct sp_dns_resource *resource)
{
    sp_dns_pattern_done(&resource->pattern);
    free(resource);
}

void
sp_dns_records_done(struct sp_dns_records *records)
{
    for (size_t i = 0; i < records->n_resources; i++)
        resource_free(records->resources[i]);
    free(records->resources);
    for (size_t i = 0; i < records->n; i++) {
        record_clear(records->list[i]);
        free(records->list[i]);
    }
    free(records->list);
    sp_map_done(&records->by_name);
    sp_map_done(&records->by_ip);
    *records = (struct sp_dns_records){ 0 };
}

bool
sp_dns_is_proxy(const struct sp_ip *ip)
{
    return sp_range_has(&sp_range_proxy, ip) && !sp_cidr_contains(&sp_range_sentinel.v4, ip);
}

/* ---- addresses ----------------------------------------------------------------------------- */

/* The next address in line. Returns: false when the range is used up. */
static bool
range_next(struct sp_dns_range *range, struct sp_ip *ret)
{
    while (range->next < range->end) {
        struct sp_ip ip = sp_ip_add(&range->base, range->next++);

        if (range->skip.ip.family && sp_cidr_contains(&range->skip, &ip))
            continue;
        *ret = ip;
        return true;
    }
    return false;
}

static uint8_t
take(struct sp_dns_records *records,
     struct sp_dns_range *range,
     struct sp_dns_record *record,
     struct sp_ip *out)
{
    uint8_t n = 0;

    while (n < SP_DNS_PROXY_PER_FAMILY && range_next(range, &out[n])) {
        if (sp_map_get(&records->by_ip, &out[n]))
            continue; /* seeded */
        sp_map_put(&records->by_ip, &out[n], record);
        n++;
    }
    if (n < SP_DNS_PROXY_PER_FAMILY)
        out[n] = (struct sp_ip){ 0 };
    return n;
}

/* ---- records ------------------------------------------------------------------------------- */

static struct sp_dns_record *
record_find(const struct sp_dns_records *records, const struct sp_dns_name *name)
{
    struct sp_dns_name key = sp_dns_name_lower(name);

    return sp_map_get(&records->by_name, &key);
}

/* A record without addresses, or NULL when there are too many. */
static struct sp_dns_record *
record_new(struct sp_dns_records *records, const struct sp_dns_name *name)
{
    struct sp_dns_record *record;

    if (records->n >= SP_DNS_RECORDS_MAX) {
        records->exhausted++;
        return NULL;
    }
    record = sp_xcalloc(1, sizeof *record);
    record->name = sp_dns_name_lower(name);
    if ((records->n & (records->n - 1)) == 0) /* full at every power of two */
        records->list = sp_xrealloc(records->list,
                                    records->n ? records->n * 2 : 1,
                                    sizeof(struct sp_dns_record *));
    records->list[records->n++] = record;
    sp_map_put(&records->by_name, &record->name, record);
    records->changed = true;
    return record;
}

static void
assoc_add(struct sp_dns_record *record, const struct sp_uuid *resource, const char *pattern)
{
    record->assoc = sp_xrealloc(record->assoc, record->n_assoc + 1, sizeof record->assoc[0]);
    record->assoc[record->n_assoc++] = (struct sp_dns_assoc){
        .resource = *resource,
        .pattern = sp_xstrdup(pattern),
    };
}

bool
sp_dns_record_has(const struct sp_dns_record *record, const struct sp_uuid *resource)
{
    for (size_t i = 0; i < record->n_assoc; i++) {
        if (sp_uuid_equal(&record->assoc[i].resource, resource))
            return true;
    }
    return false;
}

/* Removes the associations of @id whose pattern is not @pattern. */
static bool
assoc_drop_stale(struct sp_dns_record *record, const struct sp_uuid *id, const char *pattern)
{
    size_t kept = 0, before = record->n_assoc;

    for (size_t i = 0; i < before; i++) {
        struct sp_dns_assoc *a = &record->assoc[i];

        if (sp_uuid_equal(&a->resource, id) && strcmp(a->pattern, pattern))
            free(a->pattern);
        else
            record->assoc[kept++] = *a;
    }
    record->n_assoc = kept;
    return kept != before;
}

const struct sp_dns_record *
sp_dns_records_find(const struct sp_dns_records *records, const struct sp_dns_name *name)
{
    return record_find(records, name);
}

const struct sp_dns_record *
sp_dns_records_find_ip(const struct sp_dns_records *records, const struct sp_ip *ip)
{
    return sp_map_get(&records->by_ip, ip);
}

/* ---- seed and export ----------------------------------------------------------------------- */

static uint8_t
seed_ips(struct sp_dns_records *records,
         struct sp_dns_range *range,
         struct sp_dns_record *record,
         const struct sp_ip *from,
         uint8_t n,
         struct sp_ip *out)
{
    uint8_t kept = 0;

    for (uint8_t i = 0; i < n && i < SP_DNS_PROXY_PER_FAMILY; i++) {
        struct sp_ip unused;

        (void)range_next(range, &unused);
        if (from[i].family != range->base.family || !sp_dns_is_proxy(&from[i])
            || sp_map_get(&records->by_ip, &from[i]))
            continue;
        out[kept++] = from[i];
        sp_map_put(&records->by_ip, &from[i], record);
    }
    return kept;
}

void
sp_dns_records_seed(struct sp_dns_records *records, const struct sp_dns_record_set *set)
{
    for (size_t i = 0; i < set->n; i++) {
        const struct sp_dns_record *from = &set->v[i];
        struct sp_dns_record *record;

        if (record_find(records, &from->name))
            continue;
        record = record_new(records, &from->name);
        if (!record)
            return;
        record->n4 = seed_ips(records, &records->v4, record, from->v4, from->n4, record->v4);
        record->n6 = seed_ips(records, &records->v6, record, from->v6, from->n6, record->v6);
        for (size_t k = 0; k < from->n_assoc && k < SP_DNS_ASSOC_MAX; k++)
            assoc_add(record, &from->assoc[k].resource, from->assoc[k].pattern);
    }
}

void
sp_dns_records_export(const struct sp_dns_records *records, struct sp_dns_record_set *ret)
{
    *ret = (struct sp_dns_record_set){ .n = records->n };
    if (records->n == 0)
        return;
    ret->v = sp_xcalloc(records->n, sizeof ret->v[0]);
    for (size_t i = 0; i < records->n; i++) {
        const struct sp_dns_record *from = records->list[i];

        ret->v[i] = *from;
        ret->v[i].assoc = NULL;
        ret->v[i].n_assoc = 0;
        for (size_t k = 0; k < from->n_assoc; k++)
            assoc_add(&ret->v[i], &from->assoc[k].resource, from->assoc[k].pattern);
    }
}

void
sp_dns_record_set_done(struct sp_dns_record_set *set)
{
    for (size_t i = 0; i < set->n; i++)
        record_clear(&set->v[i]);
    free(set->v);
    *set = (struct sp_dns_record_set){ 0 };
}

/* ---- resources ----------------------------------------------------------------------------- */

/* Index of @id, or where it belongs; the list is sorted by id. */
static size_t
resource_place(const struct sp_dns_records *records, const struct sp_uuid *id)
{
    size_t low = 0, high = records->n_resources;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (sp_uuid_compare(&records->resources[mid]->id, id) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static bool
resource_at(const struct sp_dns_records *records, size_t i, const struct sp_uuid *id)
{
    return i < records->n_resources && sp_uuid_equal(&records->resources[i]->id, id);
}

void
sp_dns_records_remove_resource(struct sp_dns_records *records, const struct sp_uuid *id)
{
    size_t i = resource_place(records, id);

    if (!resource_at(records, i, id))
        return;
    resource_free(records->resources[i]);
    records->n_resources--;
    memmove(&records->resources[i],
            &records->resources[i + 1],
            (records->n_resources - i) * sizeof records->resources[0]);
}

static void
resource_insert(struct sp_dns_records *records, struct sp_dns_resource *resource)
{
    size_t i = resource_place(records, &resource->id);

    records->resources =
        sp_xrealloc(records->resources, records->n_resources + 1, sizeof(struct sp_dns_resource *));
    memmove(&records->resources[i + 1],
            &records->resources[i],
            (records->n_resources - i) * sizeof records->resources[0]);
    records->resources[i] = resource;
    records->n_resources++;
}

int
sp_dns_records_add_resource(struct sp_dns_records *records,
                            const struct sp_uuid *id,
                            const char *pattern,
                            enum sp_ip_stack stack)
{
    struct sp_dns_resource *resource;
    struct sp_dns_pattern compiled;

    sp_dns_records_remove_resource(records, id);
    for (size_t i = 0; i < records->n; i++)
        records->changed |= assoc_drop_stale(records->list[i], id, pattern);
    if (records->n_resources >= SP_MODEL_RESOURCES_MAX)
        return SP_E_LIMIT;
    if (sp_dns_pattern_init(&compiled, pattern) < 0)
        return SP_E_MALFORMED;
    resource = sp_xcalloc(1, sizeof *resource);
    resource->id = *id;
    resource->pattern = compiled;
    resource->v4 = stack != SP_IP_STACK_IPV6_ONLY;
    resource->v6 = stack != SP_IP_STACK_IPV4_ONLY;
    resource_insert(records, resource);
    return 0;
}

struct sp_dns_match
sp_dns_records_match(const struct sp_dns_records *records, const struct sp_dns_name *name)
{
    const struct sp_dns_resource *best = NULL;
    struct sp_dns_match match = { 0 };

    for (size_t i = 0; i < records->n_resources; i++) {
        const struct sp_dns_resource *r = records->resources[i];

        if (!sp_dns_pattern_match(&r->pattern, name))
            continue;
        match.n++;
        match.has_v4 |= r->v4;
        match.has_v6 |= r->v6;
        /* In order of id: the later one wins a tie. */
        if (!best || sp_dns_pattern_compare(r->pattern.text, best->pattern.text) <= 0)
            best = r;
    }
    if (best)
        match.best = best->id;
    return match;
}

static void
associate(struct sp_dns_records *records,
          struct sp_dns_record *record,
          const struct sp_dns_resource *resource)
{
    if (sp_dns_record_has(record, &resource->id))
        return;
    if (record->n_assoc >= SP_DNS_ASSOC_MAX) {
        records->exhausted++;
        return;
    }
    assoc_add(record, &resource->id, resource->pattern.text);
    records->changed = true;
}

const struct sp_dns_record *
sp_dns_records_assign(struct sp_dns_records *records,
                      const struct sp_dns_name *name,
                      size_t *ret_first_new)
{
    struct sp_dns_record *record = record_find(records, name);
    size_t before = record ? record->n_assoc : 0;

    if (sp_dns_records_match(records, name).n == 0)
        return NULL;
    if (!record) {
        record = record_new(records, name);
        if (!record)
            return NULL;
        record->n4 = take(records, &records->v4, record, record->v4);
        record->n6 = take(records, &records->v6, record, record->v6);
        if (record->n4 + record->n6 < 2 * SP_DNS_PROXY_PER_FAMILY)
            records->exhausted++;
    }
    for (size_t i = 0; i < records->n_resources; i++) {
        if (sp_dns_pattern_match(&records->resources[i]->pattern, name))
            associate(records, record, records->resources[i]);
    }
    *ret_first_new = before;
    return record;
}
