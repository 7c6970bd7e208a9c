/* SPDX-License-Identifier: Apache-2.0 */
#include "app/platform/resolv-conf.h"

#include <string.h>

#include "app/platform/error.h"

#define BLANK " \t\r"

/* Returns the words of a line without its comment; the first is the keyword. */
static char **
split_words(const char *line)
{
    g_autofree char *text = g_strdup(line);
    g_auto(GStrv) raw = NULL;
    GPtrArray *words = g_ptr_array_new();

    text[strcspn(text, "#;")] = '\0';
    raw = g_strsplit_set(text, BLANK, -1);
    for (size_t i = 0; raw[i]; i++)
        if (*raw[i])
            g_ptr_array_add(words, g_strdup(raw[i]));
    g_ptr_array_add(words, NULL);
    return (char **)g_ptr_array_free(words, FALSE);
}

static gboolean
refuse(GError **error, size_t line, const char *why)
{
    g_set_error(error,
                SP_PLATFORM_ERROR,
                SP_PLATFORM_ERROR_INVALID,
                "resolver configuration, line %zu: %s",
                line + 1,
                why);
    return FALSE;
}

static gboolean
take_server(struct sp_resolv_conf *conf, char **words, size_t line, GError **error)
{
    struct sp_ip ip;

    if (!words[1])
        return refuse(error, line, "nameserver without an address");
    if (strchr(words[1], '%'))
        return TRUE; /* a scope is of no use outside this host's own resolver */
    if (sp_ip_parse(words[1], &ip) < 0)
        return refuse(error, line, "nameserver is not an address");
    if (conf->n_servers < SP_RESOLV_SERVERS_MAX)
        conf->servers[conf->n_servers++] = ip;
    return TRUE;
}

static void
take_search(struct sp_resolv_conf *conf, char **words)
{
    GPtrArray *list = g_ptr_array_new();

    /* the last of several lines counts */
    g_strfreev(conf->search);
    for (size_t i = 1; words[i] && i <= SP_RESOLV_SEARCH_MAX; i++)
        g_ptr_array_add(list, g_strdup(words[i]));
    g_ptr_array_add(list, NULL);
    conf->search = (char **)g_ptr_array_free(list, FALSE);
}

gboolean
sp_resolv_conf_parse(const char *text, struct sp_resolv_conf *ret_conf, GError **error)
{
    struct sp_resolv_conf conf = { .search = g_new0(char *, 1) };
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    if (!g_utf8_validate(text, -1, NULL)) {
        sp_resolv_conf_done(&conf);
        return refuse(error, 0, "not a text file");
    }
    for (size_t i = 0; lines[i]; i++) {
        g_auto(GStrv) words = split_words(lines[i]);

        if (g_strcmp0(words[0], "nameserver") == 0) {
            if (!take_server(&conf, words, i, error)) {
                sp_resolv_conf_done(&conf);
                return FALSE;
            }
        } else if (g_strcmp0(words[0], "search") == 0 || g_strcmp0(words[0], "domain") == 0) {
            take_search(&conf, words);
        }
    }
    *ret_conf = conf;
    return TRUE;
}

void
sp_resolv_conf_done(struct sp_resolv_conf *conf)
{
    g_strfreev(conf->search);
    *conf = (struct sp_resolv_conf){ 0 };
}

/* A short name must reach the search list first, which ndots above 1 would not change, but 0 would. */
static void
append_options(GString *out, char **words)
{
    bool any = false;

    for (size_t i = 1; words[i]; i++) {
        if (g_str_has_prefix(words[i], "ndots:"))
            continue;
        g_string_append_printf(out, "%s%s", any ? " " : "options ", words[i]);
        any = true;
    }
    if (any)
        g_string_append_c(out, '\n');
}

char *
sp_resolv_conf_rewrite(const char *text,
                       const struct sp_ip *servers,
                       size_t n_servers,
                       const char *search)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    GString *out = g_string_new(NULL);
    char buf[SP_IP_STR_MAX];

    if (search && *search)
        g_string_append_printf(out, "search %s\n", search);
    for (size_t i = 0; i < n_servers; i++)
        g_string_append_printf(out, "nameserver %s\n", sp_ip_format(&servers[i], buf));
    for (size_t i = 0; lines[i]; i++) {
        g_auto(GStrv) words = split_words(lines[i]);
        bool last = !lines[i + 1] && !*lines[i];

        if (g_strcmp0(words[0], "options") == 0)
            append_options(out, words);
        else if (g_strcmp0(words[0], "nameserver") != 0 && g_strcmp0(words[0], "search") != 0
                 && g_strcmp0(words[0], "domain") != 0 && !last)
            g_string_append_printf(out, "%s\n", lines[i]);
    }
    return g_string_free(out, FALSE);
}
