/* SPDX-License-Identifier: Apache-2.0 */
/* The identity under which a portal knows this machine. Source: spec portal-protocol 1.4.
 * Thread: control. */
#pragma once

#include <glib.h>

#define SP_DEVICE_APP_CLIENT  "e1e465ce763e4759945c650ac334501f"
#define SP_DEVICE_APP_GATEWAY "753b38f9f96947ef8083802d5909a372"

/** struct sp_device_id_options - where an id may come from, first hit wins: @configured, the file,
 * the machine id, a fresh random one (then written to the file, never over an existing one).
 * @configured: given by the administrator; NULL or "" is unset
 * @path: the id file, {"id":"..."}; NULL when there is none
 * @machine_id_path: NULL is /etc/machine-id
 * @app_id: one of SP_DEVICE_APP_* */
struct sp_device_id_options {
    const char *configured;
    const char *path;
    const char *machine_id_path;
    const char *app_id;
};

/** sp_device_id_get() - Returns: the id text (free with g_free), or NULL and @error */
char *sp_device_id_get(const struct sp_device_id_options *options, GError **error);
/** sp_device_external_id() - the form that goes to the portal: an id that is a UUID in any of its
 * spellings is hashed, every other one is sent as it is. Returns: g_free */
char *sp_device_external_id(const char *id);
/** sp_device_name() - the host name, never empty. Returns: g_free */
char *sp_device_name(void);
