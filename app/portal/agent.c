/* SPDX-License-Identifier: Apache-2.0 */
#include "app/portal/agent.h"

#include <string.h>

#include <glib.h>

#include "engine/base/addr.h"

static const char *const components[] = {
    "relay/",        "connlib/",        "headless-client/", "gui-client/",
    "apple-client/", "android-client/", "gateway/",
};

bool
sp_cp_agent_is_client(const char *agent)
{
    static const char *const clients[] = {
        "connlib/", "headless-client/", "gui-client/", "apple-client/", "android-client/",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(clients); i++)
        if (strstr(agent, clients[i]))
            return true;
    return false;
}

static const char *
after_component(const char *word)
{
    for (size_t i = 0; i < G_N_ELEMENTS(components); i++)
        if (g_str_has_prefix(word, components[i]))
            return word + strlen(components[i]);
    return NULL;
}

char *
sp_cp_agent_version_text(const char *agent)
{
    g_auto(GStrv) words = g_strsplit(agent, " ", -1);

    for (char **w = words; *w; w++) {
        const char *version = after_component(*w);

        if (version)
            return g_strndup(version, strnlen(version, 64));
    }
    return NULL;
}

struct sp_cp_version
sp_cp_version_parse(const char *text)
{
    g_auto(GStrv) parts = g_strsplit(text ? text : "", ".", 4);
    uint32_t n[3];

    if (g_strv_length(parts) != 3)
        return (struct sp_cp_version){ 0 };
    for (size_t i = 0; i < 3; i++) {
        size_t digits = strspn(parts[i], "0123456789");
        bool suffix_ok = parts[i][digits] == '\0' || (i == 2 && strchr("-+", parts[i][digits]));

        if (!suffix_ok || sp_parse_u32(parts[i], digits, 1000000, &n[i]) < 0)
            return (struct sp_cp_version){ 0 };
    }
    return (struct sp_cp_version){ .known = true, .major = n[0], .minor = n[1], .patch = n[2] };
}

bool
sp_cp_version_at_least(const struct sp_cp_version *v, unsigned major, unsigned minor)
{
    return v->known && (v->major > major || (v->major == major && v->minor >= minor));
}

bool
sp_cp_versions_fit(const struct sp_cp_version *client, const struct sp_cp_version *gateway)
{
    if (!gateway->known)
        return false;
    if (!client->known)
        return true;
    return client->major == gateway->major && gateway->minor + 1 >= client->minor
           && gateway->minor < client->minor + 2;
}
