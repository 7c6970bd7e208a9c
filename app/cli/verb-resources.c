/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "app/cli/bus.h"
#include "app/cli/output.h"
#include "app/cli/verb-show-private.h"

static GVariant *
sites_of(GVariant *resource)
{
    GVariant *sites = g_variant_lookup_value(resource, "sites", G_VARIANT_TYPE("a(ss)"));

    return sites ? sites : g_variant_ref_sink(g_variant_new("a(ss)", NULL));
}

static char *
site_names(GVariant *resource)
{
    g_autoptr(GVariant) sites = sites_of(resource);
    GString *names = g_string_new(NULL);

    for (gsize i = 0; i < g_variant_n_children(sites); i++) {
        const char *id, *name;

        g_variant_get_child(sites, i, "(&s&s)", &id, &name);
        g_string_append_printf(names, "%s%s", i > 0 ? ", " : "", *name ? name : id);
    }
    return g_string_free(names, FALSE);
}

static void
add_resource_json(JsonBuilder *b, GVariant *r)
{
    static const struct {
        const char *member, *key;
    } strings[] = {
        { "id", "id" },         { "name", "name" },
        { "type", "type" },     { "address", "address" },
        { "status", "status" }, { "address_description", "address-description" },
    };
    g_autoptr(GVariant) sites = sites_of(r);

    json_builder_begin_object(b);
    for (guint i = 0; i < G_N_ELEMENTS(strings); i++) {
        json_builder_set_member_name(b, strings[i].member);
        json_builder_add_string_value(b, sp_cli_entry(r, strings[i].key));
    }
    json_builder_set_member_name(b, "sites");
    json_builder_begin_array(b);
    for (gsize i = 0; i < g_variant_n_children(sites); i++) {
        const char *id, *name;

        g_variant_get_child(sites, i, "(&s&s)", &id, &name);
        json_builder_begin_object(b);
        json_builder_set_member_name(b, "id");
        json_builder_add_string_value(b, id);
        json_builder_set_member_name(b, "name");
        json_builder_add_string_value(b, name);
        json_builder_end_object(b);
    }
    json_builder_end_array(b);
    json_builder_set_member_name(b, "enabled");
    json_builder_add_boolean_value(b, sp_cli_entry_bool(r, "enabled"));
    json_builder_set_member_name(b, "can_toggle");
    json_builder_add_boolean_value(b, sp_cli_entry_bool(r, "can-toggle"));
    json_builder_end_object(b);
}

static void
list_json(GVariant *list, guint64 generation)
{
    g_autoptr(JsonBuilder) b = sp_cli_json();

    json_builder_set_member_name(b, "generation");
    json_builder_add_int_value(b, (gint64)generation);
    json_builder_set_member_name(b, "resources");
    json_builder_begin_array(b);
    for (gsize i = 0; i < g_variant_n_children(list); i++) {
        g_autoptr(GVariant) r = g_variant_get_child_value(list, i);

        add_resource_json(b, r);
    }
    json_builder_end_array(b);
    sp_cli_json_print(b, FALSE);
}

static void
list_text(GVariant *list)
{
    static const char *const headings[] = { "NAME", "ADDRESS", "TYPE", "STATUS", "SITE", NULL };
    struct sp_cli_table table;

    sp_cli_table_init(&table, headings);
    for (gsize i = 0; i < g_variant_n_children(list); i++) {
        g_autoptr(GVariant) r = g_variant_get_child_value(list, i);
        g_autofree char *sites = site_names(r);

        sp_cli_table_add(&table, sp_cli_entry(r, "name"));
        sp_cli_table_add(&table, sp_cli_entry(r, "address"));
        sp_cli_table_add(&table, sp_cli_entry(r, "type"));
        sp_cli_table_add(&table, sp_cli_entry(r, "status"));
        sp_cli_table_add(&table, sites);
    }
    sp_cli_table_print(&table);
    sp_cli_table_done(&table);
}

static int
load(struct sp_cli *cli, GVariant **ret_list, guint64 *ret_generation)
{
    g_auto(GVariantDict) filter = G_VARIANT_DICT_INIT(NULL);
    g_autoptr(GVariant) reply = NULL;
    int status = sp_cli_require_session(cli);

    if (status != SP_CLI_OK)
        return status;
    if (cli->opt[SP_CLI_OPT_TYPE])
        g_variant_dict_insert(&filter, "type", "s", cli->opt[SP_CLI_OPT_TYPE]);
    if (cli->opt[SP_CLI_OPT_STATUS])
        g_variant_dict_insert(&filter, "status", "s", cli->opt[SP_CLI_OPT_STATUS]);
    status = sp_cli_call(cli,
                         "ListResources",
                         g_variant_new("(@a{sv})", g_variant_dict_end(&filter)),
                         NULL,
                         &reply);
    if (status == SP_CLI_OK)
        g_variant_get(reply, "(t@aa{sv})", ret_generation, ret_list);
    return status;
}

/* 3: the id, 2: the name, 1: the name in another case, 0: neither. */
static int
match(GVariant *resource, const char *wanted)
{
    const char *name = sp_cli_entry(resource, "name");
    g_autofree char *a = g_utf8_casefold(name, -1);
    g_autofree char *b = g_utf8_casefold(wanted, -1);

    if (g_ascii_strcasecmp(sp_cli_entry(resource, "id"), wanted) == 0)
        return 3;
    if (g_str_equal(name, wanted))
        return 2;
    return g_str_equal(a, b) ? 1 : 0;
}

/* The resource that fits @wanted best; *ret_count says how many fit as well. */
static GVariant *
find(GVariant *list, const char *wanted, guint *ret_count)
{
    GVariant *best = NULL;
    int best_match = 0;

    *ret_count = 0;
    for (gsize i = 0; i < g_variant_n_children(list); i++) {
        g_autoptr(GVariant) r = g_variant_get_child_value(list, i);
        int m = match(r, wanted);

        if (m == 0 || m < best_match)
            continue;
        *ret_count = m > best_match ? 1 : *ret_count + 1;
        if (m > best_match) {
            g_clear_pointer(&best, g_variant_unref);
            best = g_variant_ref(r);
        }
        best_match = m;
    }
    return best;
}

static void
show_text(GVariant *r)
{
    g_autofree char *sites = site_names(r);
    const char *const pairs[] = {
        "Name",        sp_cli_entry(r, "name"),
        "Address",     sp_cli_entry(r, "address"),
        "Description", sp_cli_entry(r, "address-description"),
        "Type",        sp_cli_entry(r, "type"),
        "Status",      sp_cli_entry(r, "status"),
        "Site",        sites,
        "Enabled",     sp_cli_entry_bool(r, "enabled") ? "yes" : "no",
        "Id",          sp_cli_entry(r, "id"),
        NULL,
    };
    g_autofree char *text = sp_cli_format_fields(pairs);

    fputs(text, stdout);
}

static int
show(struct sp_cli *cli, GVariant *list)
{
    g_autoptr(GVariant) found = NULL;
    guint count;

    found = find(list, cli->args[1], &count);
    if (!found)
        return sp_cli_fail(cli,
                           SP_CLI_FAILURE,
                           "no-such-resource",
                           "There is no resource %s. For a list: sallyport resources",
                           cli->args[1]);
    if (count > 1)
        return sp_cli_fail(cli,
                           SP_CLI_FAILURE,
                           "ambiguous",
                           "%u resources have the name %s. Give the id, from: sallyport resources "
                           "--json",
                           count,
                           cli->args[1]);
    if (cli->json) {
        g_autoptr(JsonBuilder) b = sp_cli_json();

        json_builder_set_member_name(b, "resource");
        add_resource_json(b, found);
        sp_cli_json_print(b, FALSE);
    } else if (!cli->quiet) {
        show_text(found);
    }
    return SP_CLI_OK;
}

int
sp_cli_verb_resources(struct sp_cli *cli)
{
    gboolean one = g_str_equal(sp_cli_word(cli), "show");
    g_autoptr(GVariant) list = NULL;
    guint64 generation = 0;
    int status;

    if (one != (cli->n_args == 2) || (one && !g_utf8_validate(cli->args[1], -1, NULL)))
        return sp_cli_fail(cli,
                           SP_CLI_USAGE,
                           "usage",
                           "Usage: sallyport resources [list|show NAME]");
    status = load(cli, &list, &generation);
    if (status != SP_CLI_OK)
        return status;
    if (one)
        return show(cli, list);
    if (cli->json)
        list_json(list, generation);
    else if (g_variant_n_children(list) == 0)
        sp_cli_say(cli,
                   "There is no resource to show. The administrator of your account grants "
                   "access.");
    else if (!cli->quiet)
        list_text(list);
    return SP_CLI_OK;
}
