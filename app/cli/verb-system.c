/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "app/cli/bus.h"
#include "app/cli/output.h"

/* dns */

static void
add_strings_json(JsonBuilder *b, GVariant *list)
{
    json_builder_begin_array(b);
    for (gsize i = 0; list && i < g_variant_n_children(list); i++) {
        const char *text;

        g_variant_get_child(list, i, "&s", &text);
        json_builder_add_string_value(b, text);
    }
    json_builder_end_array(b);
}

static void
dns_json(GVariant *dns, GVariant *sentinels, GVariant *resolvers)
{
    static const struct {
        const char *member, *key;
    } strings[] = {
        { "method", "method" },
        { "upstream_source", "upstream-source" },
        { "search_domain", "search-domain" },
    };
    g_autoptr(JsonBuilder) b = sp_cli_json();

    for (guint i = 0; i < G_N_ELEMENTS(strings); i++) {
        json_builder_set_member_name(b, strings[i].member);
        json_builder_add_string_value(b, sp_cli_entry(dns, strings[i].key));
    }
    json_builder_set_member_name(b, "takeover_active");
    json_builder_add_boolean_value(b, sp_cli_entry_bool(dns, "takeover-active"));
    json_builder_set_member_name(b, "sentinels");
    json_builder_begin_array(b);
    for (gsize i = 0; sentinels && i < g_variant_n_children(sentinels); i++) {
        const char *sentinel, *upstream;

        g_variant_get_child(sentinels, i, "(&s&s)", &sentinel, &upstream);
        json_builder_begin_object(b);
        json_builder_set_member_name(b, "sentinel");
        json_builder_add_string_value(b, sentinel);
        json_builder_set_member_name(b, "upstream");
        json_builder_add_string_value(b, upstream);
        json_builder_end_object(b);
    }
    json_builder_end_array(b);
    json_builder_set_member_name(b, "system_resolvers");
    add_strings_json(b, resolvers);
    sp_cli_json_print(b, FALSE);
}

static void
dns_text(GVariant *dns, GVariant *sentinels, GVariant *resolvers)
{
    static const char *const headings[] = { "SENTINEL", "UPSTREAM", NULL };
    g_auto(GStrv) system = resolvers ? g_variant_dup_strv(resolvers, NULL) : NULL;
    g_autofree char *joined = system ? g_strjoinv(", ", system) : NULL;
    const char *const pairs[] = {
        "Method",
        sp_cli_entry(dns, "method"),
        "In charge",
        sp_cli_entry_bool(dns, "takeover-active") ? "yes" : "no",
        "Upstreams from",
        sp_cli_entry(dns, "upstream-source"),
        "Search domain",
        sp_cli_entry(dns, "search-domain"),
        "System resolvers",
        joined,
        NULL,
    };
    g_autofree char *text = sp_cli_format_fields(pairs);
    struct sp_cli_table table;

    fputs(text, stdout);
    if (!sentinels || g_variant_n_children(sentinels) == 0)
        return;
    fputc('\n', stdout);
    sp_cli_table_init(&table, headings);
    for (gsize i = 0; i < g_variant_n_children(sentinels); i++) {
        const char *sentinel, *upstream;

        g_variant_get_child(sentinels, i, "(&s&s)", &sentinel, &upstream);
        sp_cli_table_add(&table, sentinel);
        sp_cli_table_add(&table, upstream);
    }
    sp_cli_table_print(&table);
    sp_cli_table_done(&table);
}

static int
dns_status(struct sp_cli *cli)
{
    g_autoptr(GVariant) reply = NULL, dns = NULL, sentinels = NULL, resolvers = NULL;
    int status = sp_cli_call(cli, "GetDnsStatus", NULL, NULL, &reply);

    if (status != SP_CLI_OK)
        return status;
    dns = g_variant_get_child_value(reply, 0);
    sentinels = g_variant_lookup_value(dns, "sentinels", G_VARIANT_TYPE("a(ss)"));
    resolvers = g_variant_lookup_value(dns, "system-resolvers", G_VARIANT_TYPE_STRING_ARRAY);
    if (cli->json)
        dns_json(dns, sentinels, resolvers);
    else if (!cli->quiet)
        dns_text(dns, sentinels, resolvers);
    return SP_CLI_OK;
}

int
sp_cli_verb_dns(struct sp_cli *cli)
{
    int status = sp_cli_connect(cli);

    if (status != SP_CLI_OK)
        return status;
    if (!g_str_equal(sp_cli_word(cli), "flush"))
        return dns_status(cli);
    status = sp_cli_call(cli, "FlushDnsCache", NULL, NULL, NULL);
    if (status == SP_CLI_OK && cli->json) {
        g_autoptr(JsonBuilder) b = sp_cli_json();

        json_builder_set_member_name(b, "flushed");
        json_builder_add_boolean_value(b, TRUE);
        sp_cli_json_print(b, FALSE);
    } else if (status == SP_CLI_OK) {
        sp_cli_say(cli, "The cache of names is empty.");
    }
    return status;
}

/* settings */

int
sp_cli_verb_settings(struct sp_cli *cli)
{
    static const struct {
        const char *label, *member, *key;
    } keys[] = {
        { "Sign-in address", "auth_url", "auth-url" },
        { "Portal address", "api_url", "api-url" },
        { "Account", "account_slug", "account-slug" },
        { "DNS control", "dns_control", "dns-control" },
        { "Log filter", "log_filter", "log-filter" },
    };
    const char *pairs[2 * G_N_ELEMENTS(keys) + 1] = { NULL };
    g_autoptr(GVariant) reply = NULL, settings = NULL;
    g_autoptr(JsonBuilder) b = sp_cli_json();
    g_autofree char *text = NULL;
    int status = sp_cli_connect(cli);

    if (status == SP_CLI_OK)
        status = sp_cli_call(cli, "GetSettings", NULL, NULL, &reply);
    if (status != SP_CLI_OK)
        return status;
    settings = g_variant_get_child_value(reply, 0);
    json_builder_set_member_name(b, "settings");
    json_builder_begin_object(b);
    for (guint i = 0; i < G_N_ELEMENTS(keys); i++) {
        const char *value = sp_cli_entry(settings, keys[i].key);

        json_builder_set_member_name(b, keys[i].member);
        json_builder_add_string_value(b, value);
        pairs[2 * i] = keys[i].label;
        pairs[2 * i + 1] = value;
    }
    json_builder_end_object(b);
    text = sp_cli_format_fields(pairs);
    if (cli->json)
        sp_cli_json_print(b, FALSE);
    else if (!cli->quiet)
        fputs(text, stdout);
    return SP_CLI_OK;
}
