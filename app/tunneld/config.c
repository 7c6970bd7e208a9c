/* SPDX-License-Identifier: Apache-2.0 */
#include "app/tunneld/config.h"

#include <stddef.h>
#include <string.h>

#include "app/platform/socket.h"
#include "app/platform/tun.h"
#include "app/platform/udp.h"
#include "engine/base/addr.h"

enum kind {
    KIND_TEXT,
    KIND_INTERFACE,
    KIND_PORT,
    KIND_U32,
    KIND_DNS,
    KIND_BOOL,
};

struct key {
    const char *group; /* in the file */
    const char *name;
    enum kind kind;
    size_t offset;
};

#define KEY(group, name, kind, member)                           \
    {                                                            \
        group, name, kind, offsetof(struct sp_td_config, member) \
    }

static const struct key keys[] = {
    KEY("server", "api-url", KIND_TEXT, api_url),
    KEY("server", "auth-url", KIND_TEXT, auth_url),
    KEY("server", "account-slug", KIND_TEXT, account_slug),
    KEY("server", "max-partition-time", KIND_U32, max_partition_s),
    KEY("device", "name", KIND_TEXT, name),
    KEY("device", "device-id", KIND_TEXT, device_id),
    KEY("device", "token-file", KIND_TEXT, token_file),
    KEY("tunnel", "interface", KIND_INTERFACE, interface),
    KEY("tunnel", "listen-port", KIND_PORT, listen_port),
    KEY("tunnel", "mark", KIND_U32, mark),
    KEY("tunnel", "dns-control", KIND_DNS, dns_control),
    KEY("tunnel", "resolv-conf", KIND_TEXT, resolv_conf),
    KEY("tunnel", "internet-resource", KIND_BOOL, internet_resource),
    KEY("log", "log-filter", KIND_TEXT, log_filter),
};

void
sp_td_config_init(struct sp_td_config *config)
{
    *config = (struct sp_td_config){
        .interface = g_strdup(SP_TUN_DEFAULT_NAME),
        .log_filter = g_strdup("info"),
        .token_file = g_strdup(SP_TD_TOKEN_PATH),
        .listen_port = SP_UDP_DEFAULT_PORT,
        .mark = SP_DEFAULT_MARK,
        .max_partition_s = SP_TD_MAX_PARTITION_S,
        .dns_control = SP_DNS_AUTO,
    };
}

static void *
member(struct sp_td_config *config, const struct key *key)
{
    return (char *)config + key->offset;
}

void
sp_td_config_done(struct sp_td_config *config)
{
    for (size_t i = 0; i < G_N_ELEMENTS(keys); i++)
        if (keys[i].kind == KIND_TEXT || keys[i].kind == KIND_INTERFACE)
            g_clear_pointer((char **)member(config, &keys[i]), g_free);
}

static bool
set_text(char **place, const char *value)
{
    if (!g_utf8_validate(value, -1, NULL))
        return false;
    g_free(*place);
    *place = *value ? g_strdup(value) : NULL;
    return true;
}

/* The kernel's rules for interface names. */
static bool
interface_ok(const char *value)
{
    size_t n = strlen(value);

    if (n == 0 || n > SP_TUN_NAME_MAX || strcmp(value, ".") == 0 || strcmp(value, "..") == 0)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!g_ascii_isgraph(value[i]) || strchr("/:%", value[i]))
            return false;
    return true;
}

static bool
set_u32(uint32_t *place, const char *value, uint32_t max)
{
    bool hex = g_str_has_prefix(value, "0x");
    guint64 number;

    if (!g_ascii_string_to_unsigned(hex ? value + 2 : value, hex ? 16 : 10, 0, max, &number, NULL))
        return false;
    *place = (uint32_t)number;
    return true;
}

static bool
set_bool(bool *place, const char *value)
{
    if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
        return false;
    *place = value[0] == 't';
    return true;
}

static bool
set_value(struct sp_td_config *config, const struct key *key, const char *value)
{
    void *place = member(config, key);
    uint32_t port;

    switch (key->kind) {
    case KIND_TEXT:
        return set_text(place, value);
    case KIND_INTERFACE:
        return interface_ok(value) && set_text(place, value);
    case KIND_PORT:
        if (!set_u32(&port, value, UINT16_MAX))
            return false;
        *(uint16_t *)place = (uint16_t)port;
        return true;
    case KIND_U32:
        return set_u32(place, value, UINT32_MAX);
    case KIND_DNS:
        return sp_dns_method_parse(value, place) == 0;
    case KIND_BOOL:
        return set_bool(place, value);
    }
    return false;
}

static const struct key *
find(const char *group, const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(keys); i++)
        if (strcmp(keys[i].name, name) == 0 && (!group || strcmp(keys[i].group, group) == 0))
            return &keys[i];
    return NULL;
}

gboolean
sp_td_config_set(struct sp_td_config *config, const char *key, const char *value, GError **error)
{
    const struct key *k = find(NULL, key);

    if (k && set_value(config, k, value))
        return TRUE;
    g_set_error(error,
                G_OPTION_ERROR,
                G_OPTION_ERROR_BAD_VALUE,
                "%s: \"%s\" is not a valid value",
                key,
                value);
    return FALSE;
}

static gboolean
load_group(struct sp_td_config *config, GKeyFile *file, const char *group, GError **error)
{
    g_auto(GStrv) names = g_key_file_get_keys(file, group, NULL, error);

    if (!names)
        return FALSE;
    for (size_t i = 0; names[i]; i++) {
        const struct key *k = find(group, names[i]);
        g_autofree char *value = NULL;

        if (k) {
            value = g_key_file_get_string(file, group, names[i], error);
            if (!value)
                return FALSE;
        }
        if (k && set_value(config, k, g_strstrip(value)))
            continue;
        g_set_error(error,
                    G_KEY_FILE_ERROR,
                    k ? G_KEY_FILE_ERROR_INVALID_VALUE : G_KEY_FILE_ERROR_KEY_NOT_FOUND,
                    "[%s] %s: %s",
                    group,
                    names[i],
                    k ? "not a valid value" : "no such setting");
        return FALSE;
    }
    return TRUE;
}

gboolean
sp_td_config_load(struct sp_td_config *config, const char *path, bool required, GError **error)
{
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_autoptr(GError) local = NULL;
    g_auto(GStrv) groups = NULL;

    if (!g_key_file_load_from_file(file, path, G_KEY_FILE_NONE, &local)) {
        if (!required && g_error_matches(local, G_FILE_ERROR, G_FILE_ERROR_NOENT))
            return TRUE;
        g_propagate_prefixed_error(error, g_steal_pointer(&local), "%s: ", path);
        return FALSE;
    }
    groups = g_key_file_get_groups(file, NULL);
    for (size_t i = 0; groups[i]; i++)
        if (!load_group(config, file, groups[i], error)) {
            g_prefix_error(error, "%s: ", path);
            return FALSE;
        }
    return TRUE;
}

const char *
sp_td_config_dns_name(const struct sp_td_config *config)
{
    return config->dns_control == SP_DNS_DISABLED ? "disabled" : "resolv-conf";
}
