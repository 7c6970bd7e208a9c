/* SPDX-License-Identifier: Apache-2.0 */
/* Adding and changing what administrators manage. One function per kind: it finds the row by id if
 * one is given, else by its natural key, and makes or updates it; so a second call with the same
 * values changes nothing. All validation is here. */
#pragma once

#include "app/portal/store.h"
#include "app/portal/token.h"

/** struct sp_cp_row_spec - values common to all kinds, all borrowed; NULL: not given. Which ones a
 * kind reads is documented with its function. */
struct sp_cp_row_spec {
    const char *id;
    const char *slug;
    const char *name;
    const char *type;
    const char *email;
    const char *password;
    const char *dns_mode;
    const char *dns_servers; /* separated by spaces */
    const char *search_domain;
    const char *site;  /* id or name */
    const char *group; /* id or name */
    const char *resource;
    const char *address;
    const char *address_description;
    const char *ip_stack;
    const char *filters; /* JSON text from sp_cp_filters_*() */
    const char *description;
    int disabled; /* 1, 0, or -1 for "leave as it is" */
};

/* Each returns the row's id (owned) or NULL with @error set. */

/** slug, name, dns_mode, dns_servers, search_domain, disabled. Key: slug */
char *sp_cp_account_put(struct sp_cp_db *db, const struct sp_cp_row_spec *spec, GError **error);
/** name, type, email, password, disabled. Key: e-mail, else name */
char *sp_cp_actor_put(struct sp_cp_db *db,
                      const char *account_id,
                      const struct sp_cp_row_spec *spec,
                      GError **error);
/** name. Key: name. The group "Everyone" exists in every account */
char *sp_cp_group_put(struct sp_cp_db *db,
                      const char *account_id,
                      const struct sp_cp_row_spec *spec,
                      GError **error);
/** name. Key: name */
char *sp_cp_site_put(struct sp_cp_db *db,
                     const char *account_id,
                     const struct sp_cp_row_spec *spec,
                     GError **error);
/** name, type, address, site, address_description, ip_stack, filters. Key: name */
char *sp_cp_resource_put(struct sp_cp_db *db,
                         const char *account_id,
                         const struct sp_cp_row_spec *spec,
                         GError **error);
/** group, resource, description, disabled. Key: both */
char *sp_cp_policy_put(struct sp_cp_db *db,
                       const char *account_id,
                       const struct sp_cp_row_spec *spec,
                       GError **error);
/** @actor: id, e-mail or name */
bool sp_cp_member_put(struct sp_cp_db *db,
                      const char *account_id,
                      const char *group,
                      const char *actor,
                      GError **error);
bool sp_cp_member_remove(struct sp_cp_db *db,
                         const char *account_id,
                         const char *group,
                         const char *actor,
                         GError **error);

/** sp_cp_find_id() - id of a row of @table ("actors", "groups", ...) by id, name or (actors) e-mail.
 * SP_CP_ERROR_MISSING, or SP_CP_ERROR_CONFLICT when several carry the name */
char *sp_cp_find_id(struct sp_cp_db *db,
                    const char *table,
                    const char *account_id,
                    const char *key,
                    GError **error);

/** sp_cp_filters_from_words() - "tcp", "tcp/443", "udp/1000-2000", "icmp" to the stored form */
char *sp_cp_filters_from_words(const char *const *words, GError **error);
