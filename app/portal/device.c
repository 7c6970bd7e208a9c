/* SPDX-License-Identifier: Apache-2.0 */
/* Device rows: found again by (owner, external id), made with addresses that stay theirs. */
#include <string.h>

#include <sodium.h>

#include "app/portal/keys.h"
#include "app/portal/store.h"

#define ADDRESS_PROBES_MAX 100000

void
sp_cp_device_free(struct sp_cp_device *d)
{
    if (!d)
        return;
    g_free(d->id);
    g_free(d->account_id);
    g_free(d->actor_id);
    g_free(d->site_id);
    g_free(d->external_id);
    g_free(d->name);
    g_free(d->ipv4);
    g_free(d->ipv6);
    g_free(d->public_key);
    g_free(d->version);
    g_free(d->user_agent);
    g_free(d->device_serial);
    g_free(d->device_uuid);
    g_free(d->identifier_for_vendor);
    g_free(d->firebase_installation_id);
    sodium_memzero(d->psk_base, sizeof d->psk_base);
    g_free(d);
}

static const char *
type_name(enum sp_cp_device_type type)
{
    return type == SP_CP_DEVICE_CLIENT ? "client" : "gateway";
}

static bool
address_taken(struct sp_cp_db *db, const char *account_id, int family, const char *text)
{
    g_autoptr(sqlite3_stmt) s =
        sp_cp_db_prepare(db,
                         NULL,
                         family == 4 ? "SELECT 1 FROM devices WHERE account_id = ? AND ipv4 = ?"
                                     : "SELECT 1 FROM devices WHERE account_id = ? AND ipv6 = ?",
                         "ss",
                         account_id,
                         text);

    return !s || sp_cp_db_step(db, s, NULL) != 0;
}

/* Random start, then one by one: spec portal-protocol 4.8. */
static char *
free_address(struct sp_cp_db *db, const char *account_id, int family, GError **error)
{
    uint32_t offset = 1 + randombytes_uniform(SP_CP_POOL_HOSTS);

    for (unsigned i = 0; i < ADDRESS_PROBES_MAX; i++, offset = sp_cp_pool_next(offset)) {
        g_autofree char *text = sp_cp_pool_addr(family, offset);

        if (!address_taken(db, account_id, family, text))
            return g_steal_pointer(&text);
    }
    g_set_error_literal(error, SP_CP_ERROR, SP_CP_ERROR_DATABASE, "no free tunnel address");
    return NULL;
}

/* A token is enough to invent device ids, each of which would take an address for good. */
static bool
may_have_more(struct sp_cp_db *db, const struct sp_cp_device *seen, GError **error)
{
    g_autoptr(sqlite3_stmt) s =
        sp_cp_db_prepare(db,
                         error,
                         "SELECT count(*) FROM devices WHERE type = ?1 AND"
                         " CASE ?1 WHEN 'client' THEN actor_id ELSE site_id END = ?2",
                         "ss",
                         type_name(seen->type),
                         seen->actor_id ? seen->actor_id : seen->site_id);

    if (!s || sp_cp_db_step(db, s, error) != 1)
        return false;
    if (sqlite3_column_int64(s, 0) < SP_CP_DEVICES_MAX)
        return true;
    g_set_error_literal(
        error,
        SP_CP_ERROR,
        SP_CP_ERROR_LIMIT,
        "too many devices; remove old ones with \"sallyport-portal device remove\"");
    return false;
}

static bool
insert(struct sp_cp_db *db, const struct sp_cp_device *seen, GError **error)
{
    g_autofree char *id = sp_cp_random_uuid();
    g_autofree char *ipv4 = free_address(db, seen->account_id, 4, error);
    g_autofree char *ipv6 = ipv4 ? free_address(db, seen->account_id, 6, error) : NULL;
    uint8_t psk_base[SP_CP_PSK_BASE_LEN];
    bool ok;

    if (!ipv6)
        return false;
    randombytes_buf(psk_base, sizeof psk_base);
    ok = sp_cp_db_exec(db,
                       error,
                       "INSERT INTO devices (id, account_id, type, actor_id, site_id, external_id,"
                       " name, ipv4, ipv6, psk_base, public_key)"
                       " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                       "sssssssssbs",
                       id,
                       seen->account_id,
                       type_name(seen->type),
                       seen->actor_id,
                       seen->site_id,
                       seen->external_id,
                       seen->name ? seen->name : id,
                       ipv4,
                       ipv6,
                       psk_base,
                       sizeof psk_base,
                       seen->public_key);
    sodium_memzero(psk_base, sizeof psk_base);
    return ok;
}

static bool
update(struct sp_cp_db *db, const char *id, const struct sp_cp_device *seen, GError **error)
{
    return sp_cp_db_exec(
        db,
        error,
        "UPDATE devices SET name = coalesce(?, name), public_key = ?, version = ?, user_agent = ?,"
        " device_serial = coalesce(?, device_serial), device_uuid = coalesce(?, device_uuid),"
        " identifier_for_vendor = coalesce(?, identifier_for_vendor),"
        " firebase_installation_id = coalesce(?, firebase_installation_id),"
        " last_seen_at = unixepoch() WHERE id = ?",
        "sssssssss",
        seen->name,
        seen->public_key,
        seen->version,
        seen->user_agent,
        seen->device_serial,
        seen->device_uuid,
        seen->identifier_for_vendor,
        seen->firebase_installation_id,
        id);
}

static sqlite3_stmt *
find(struct sp_cp_db *db, const struct sp_cp_device *seen, GError **error)
{
    return sp_cp_db_prepare(
        db,
        error,
        "SELECT id, account_id, actor_id, site_id, external_id, name, ipv4, ipv6, public_key,"
        " version, user_agent, device_serial, device_uuid, identifier_for_vendor,"
        " firebase_installation_id, psk_base FROM devices"
        " WHERE type = ? AND coalesce(actor_id, site_id) = ? AND external_id = ?",
        "sss",
        type_name(seen->type),
        seen->actor_id ? seen->actor_id : seen->site_id,
        seen->external_id);
}

static struct sp_cp_device *
from_row(sqlite3_stmt *s, enum sp_cp_device_type type)
{
    struct sp_cp_device *d = g_new0(struct sp_cp_device, 1);
    char **const texts[] = {
        &d->id,
        &d->account_id,
        &d->actor_id,
        &d->site_id,
        &d->external_id,
        &d->name,
        &d->ipv4,
        &d->ipv6,
        &d->public_key,
        &d->version,
        &d->user_agent,
        &d->device_serial,
        &d->device_uuid,
        &d->identifier_for_vendor,
        &d->firebase_installation_id,
    };

    d->type = type;
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
        *texts[i] = sp_cp_col_dup(s, (int)i);
    if (sqlite3_column_bytes(s, 15) == SP_CP_PSK_BASE_LEN)
        memcpy(d->psk_base, sqlite3_column_blob(s, 15), SP_CP_PSK_BASE_LEN);
    return d;
}

static struct sp_cp_device *
load(struct sp_cp_db *db, const struct sp_cp_device *seen, GError **error)
{
    g_autoptr(sqlite3_stmt) s = find(db, seen, error);

    if (!s || sp_cp_db_step(db, s, error) != 1)
        return NULL;
    return from_row(s, seen->type);
}

static struct sp_cp_device *
connect_locked(struct sp_cp_db *db, const struct sp_cp_device *seen, GError **error)
{
    g_autoptr(GError) local = NULL;
    struct sp_cp_device *known = load(db, seen, &local);
    bool ok;

    if (local) {
        g_propagate_error(error, g_steal_pointer(&local));
        return NULL;
    }
    if (!known) {
        if (!may_have_more(db, seen, error) || !insert(db, seen, error)
            || !(known = load(db, seen, error)))
            return NULL;
    }
    ok = update(db, known->id, seen, error);
    sp_cp_device_free(known);
    return ok ? load(db, seen, error) : NULL;
}

struct sp_cp_device *
sp_cp_device_connect(struct sp_cp_db *db, const struct sp_cp_device *seen, GError **error)
{
    struct sp_cp_device *device;

    if (!sp_cp_db_begin(db, error))
        return NULL;
    device = connect_locked(db, seen, error);
    if (!device) {
        sp_cp_db_rollback(db);
        return NULL;
    }
    if (!sp_cp_db_commit(db, error))
        g_clear_pointer(&device, sp_cp_device_free);
    return device;
}

bool
sp_cp_device_reload(struct sp_cp_db *db, struct sp_cp_device *device, GError **error)
{
    g_autoptr(sqlite3_stmt) s =
        sp_cp_db_prepare(db, error, "SELECT ipv4, ipv6 FROM devices WHERE id = ?", "s", device->id);
    int r = s ? sp_cp_db_step(db, s, error) : -1;

    if (r == 0)
        g_set_error_literal(error, SP_CP_ERROR, SP_CP_ERROR_MISSING, "device was removed");
    if (r != 1)
        return false;
    g_free(device->ipv4);
    device->ipv4 = sp_cp_col_dup(s, 0);
    g_free(device->ipv6);
    device->ipv6 = sp_cp_col_dup(s, 1);
    return true;
}
