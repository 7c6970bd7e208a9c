/* SPDX-License-Identifier: Apache-2.0 */
/* The resolv.conf cases of spec platform-linux 10.5, in a directory of their own. */
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "app/platform/dns-control.h"
#include "app/platform/error.h"
#include "engine/base/err.h"

#define ORIGINAL                  \
    "# written by hand\n"         \
    "search corp.example other\n" \
    "nameserver 192.0.2.53\n"     \
    "nameserver 2001:db8::53\n"   \
    "nameserver fe80::1%eth0\n"   \
    "options ndots:3 edns0 trust-ad\n"

struct fixture {
    char *dir;
    char *path;
    char *backup;
    char *nm;
    struct sp_dns_control *control;
    unsigned changes;
};

static void
set_up(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    f->dir = g_dir_make_tmp("spplat-XXXXXX", NULL);
    f->path = g_build_filename(f->dir, "resolv.conf", NULL);
    f->backup = g_build_filename(f->dir, "resolv.conf.before-sallyport", NULL);
    f->nm = g_build_filename(f->dir, "nm", NULL);
    g_assert_true(g_file_set_contents(f->path, ORIGINAL, -1, NULL));
}

static void
tear_down(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    g_autofree char *target = g_build_filename(f->nm, "resolv.conf", NULL);

    sp_dns_control_free(f->control);
    g_unlink(f->path);
    g_unlink(f->backup);
    g_unlink(target);
    g_rmdir(f->nm);
    g_assert_cmpint(g_rmdir(f->dir), ==, 0);
    g_free(f->dir);
    g_free(f->path);
    g_free(f->backup);
    g_free(f->nm);
}

static struct sp_dns_control *
open_method(struct fixture *f, enum sp_dns_method method, GError **error)
{
    struct sp_dns_control_options options = {
        .method = method,
        .path = f->path,
        .backup = f->backup,
        .nm_dir = f->nm,
    };

    return sp_dns_control_new(&options, NULL, error);
}

static void
open_control(struct fixture *f)
{
    g_autoptr(GError) error = NULL;

    f->control = open_method(f, SP_DNS_AUTO, &error);
    g_assert_no_error(error);
}

static gboolean
set_sentinels(struct fixture *f, size_t n, const char *search, GError **error)
{
    struct sp_ip servers[2] = { sp_ip4(100, 100, 111, 1) };

    g_assert_cmpint(sp_ip_parse("fd00:2021:1111:8000:100:100:111:1", &servers[1]), ==, 0);
    return sp_dns_control_set(f->control, servers, n, search, error);
}

static char *
contents(const char *path)
{
    char *text = NULL;

    g_file_get_contents(path, &text, NULL, NULL);
    return text;
}

static void
assert_text(const char *path, const char *want)
{
    g_autofree char *text = contents(path);

    g_assert_cmpstr(text, ==, want);
}

static void
assert_ours(struct fixture *f, const char *search)
{
    g_autofree char *text = contents(f->path);

    g_assert_true(g_str_has_prefix(text, SP_DNS_MAGIC "\n#"));
    g_assert_nonnull(strstr(text, f->backup));
    g_assert_nonnull(strstr(text, "\nnameserver 100.100.111.1\n"));
    g_assert_null(strstr(text, "192.0.2.53"));
    g_assert_null(strstr(text, "2001:db8::53"));
    g_assert_null(strstr(text, "fe80"));
    g_assert_null(strstr(text, "corp.example"));
    g_assert_null(strstr(text, "ndots"));
    g_assert_true(!!strstr(text, "\nsearch tunnel.example\n") == !!search);
}

static void
test_happy_path(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    open_control(f);
    assert_text(f->path, ORIGINAL);
    g_assert_true(set_sentinels(f, 2, "tunnel.example", NULL));
    assert_ours(f, "tunnel.example");
    {
        g_autofree char *text = contents(f->path);

        g_assert_nonnull(strstr(text, "\nnameserver fd00:2021:1111:8000:100:100:111:1\n"));
        g_assert_nonnull(strstr(text, "\noptions edns0 trust-ad\n"));
        g_assert_nonnull(strstr(text, "# written by hand\n"));
    }
    assert_text(f->backup, ORIGINAL);
    for (int i = 0; i < 2; i++) {
        g_assert_true(sp_dns_control_revert(f->control, NULL));
        assert_text(f->path, ORIGINAL);
    }
    assert_text(f->backup, ORIGINAL);
}

static void
test_free_reverts(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    open_control(f);
    g_assert_true(set_sentinels(f, 1, NULL, NULL));
    sp_dns_control_free(g_steal_pointer(&f->control));
    assert_text(f->path, ORIGINAL);
}

static void
test_no_sentinels(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    open_control(f);
    g_assert_true(set_sentinels(f, 0, NULL, NULL));
    assert_text(f->path, ORIGINAL);
    g_assert_false(g_file_test(f->backup, G_FILE_TEST_EXISTS));
}

static void
test_set_twice(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    g_autofree char *first = NULL;

    open_control(f);
    g_assert_true(set_sentinels(f, 1, "tunnel.example", NULL));
    first = contents(f->path);
    g_assert_true(set_sentinels(f, 1, "tunnel.example", NULL));
    assert_text(f->path, first);
    assert_text(f->backup, ORIGINAL);
    g_assert_true(set_sentinels(f, 1, NULL, NULL));
    assert_ours(f, NULL);
    g_assert_true(sp_dns_control_revert(f->control, NULL));
    assert_text(f->path, ORIGINAL);
}

/* Leaves the files as a killed process does. */
static void
crash(struct fixture *f)
{
    g_autofree char *text = NULL;

    open_control(f);
    g_assert_true(set_sentinels(f, 1, NULL, NULL));
    text = contents(f->path);
    sp_dns_control_free(g_steal_pointer(&f->control));
    g_assert_true(g_file_set_contents(f->path, text, -1, NULL));
}

static void
test_crash(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    crash(f);
    assert_ours(f, NULL);
    open_control(f);
    assert_text(f->path, ORIGINAL);
    g_assert_true(set_sentinels(f, 1, NULL, NULL));
    assert_text(f->backup, ORIGINAL);
}

static void
test_crash_and_edit(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    crash(f);
    g_assert_true(g_file_set_contents(f->path, "nameserver 9.9.9.9\n", -1, NULL));
    open_control(f);
    assert_text(f->path, "nameserver 9.9.9.9\n");
    g_assert_true(set_sentinels(f, 1, NULL, NULL));
    assert_text(f->backup, "nameserver 9.9.9.9\n");
    g_assert_true(sp_dns_control_revert(f->control, NULL));
    assert_text(f->path, "nameserver 9.9.9.9\n");
}

static void
test_edit_before_revert(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    open_control(f);
    g_assert_true(set_sentinels(f, 1, NULL, NULL));
    g_assert_true(g_file_set_contents(f->path, "nameserver 9.9.9.9\n", -1, NULL));
    g_assert_true(sp_dns_control_revert(f->control, NULL));
    assert_text(f->path, "nameserver 9.9.9.9\n");
}

static void
test_refusals(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    static const struct {
        const char *link; /* or NULL */
        const char *text; /* or NULL for no file */
        int code;
    } cases[] = {
        { "/run/systemd/resolve/stub-resolv.conf", NULL, SP_PLATFORM_ERROR_UNSUPPORTED },
        { "somewhere-else", NULL, SP_PLATFORM_ERROR_CONFLICT },
        { NULL, NULL, SP_PLATFORM_ERROR_FAILED },
        { NULL,
          "# BEGIN Firezone DNS configuration\nnameserver 1.1.1.1\n",
          SP_PLATFORM_ERROR_CONFLICT },
        { NULL, "nameserver not-an-address\n", SP_PLATFORM_ERROR_INVALID },
        { NULL, "nameserver\n", SP_PLATFORM_ERROR_INVALID },
        { NULL, "\xff\xfe\n", SP_PLATFORM_ERROR_INVALID },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;

        g_test_message("case %zu", i);
        g_unlink(f->path);
        if (cases[i].link)
            g_assert_cmpint(symlink(cases[i].link, f->path), ==, 0);
        else if (cases[i].text)
            g_assert_true(g_file_set_contents(f->path, cases[i].text, -1, NULL));
        f->control = open_method(f, SP_DNS_AUTO, &error);
        if (f->control)
            g_assert_false(set_sentinels(f, 1, NULL, &error));
        g_assert_error(error, SP_PLATFORM_ERROR, cases[i].code);
        sp_dns_control_free(g_steal_pointer(&f->control));
        if (cases[i].text)
            assert_text(f->path, cases[i].text);
        g_assert_false(g_file_test(f->backup, G_FILE_TEST_EXISTS));
    }
}

static void
test_network_manager_link(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    g_autofree char *target = g_build_filename(f->nm, "resolv.conf", NULL);

    g_assert_cmpint(g_mkdir(f->nm, 0700), ==, 0);
    g_assert_true(g_file_set_contents(target, ORIGINAL, -1, NULL));
    g_unlink(f->path);
    g_assert_cmpint(symlink(target, f->path), ==, 0);
    open_control(f);
    g_assert_true(set_sentinels(f, 1, NULL, NULL));
    g_assert_true(g_file_test(f->path, G_FILE_TEST_IS_SYMLINK));
    assert_ours(f, NULL);
    g_assert_true(sp_dns_control_revert(f->control, NULL));
    assert_text(target, ORIGINAL);
}

static void
on_change(void *ctx)
{
    ((struct fixture *)ctx)->changes++;
}

static gboolean
give_up(void *data)
{
    *(bool *)data = true;
    return G_SOURCE_REMOVE;
}

static void
wait_for_change(struct fixture *f, unsigned want)
{
    bool late = false;
    guint id = g_timeout_add(5000, give_up, &late);

    while (f->changes < want && !late)
        g_main_context_iteration(NULL, TRUE);
    g_assert_false(late);
    g_source_remove(id);
}

/* Another program replaces the file, by renaming and in place: its text becomes the original. */
static void
test_overwrite(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    struct sp_resolv_conf conf;
    FILE *file;

    open_control(f);
    sp_dns_control_on_change(f->control, on_change, f);
    g_assert_true(set_sentinels(f, 1, NULL, NULL));
    g_assert_true(g_file_set_contents(f->path, "nameserver 9.9.9.9\n", -1, NULL));
    wait_for_change(f, 1);
    assert_ours(f, NULL);
    assert_text(f->backup, "nameserver 9.9.9.9\n");
    file = fopen(f->path, "w");
    g_assert_cmpint(fputs("nameserver 8.8.4.4\n", file), >=, 0);
    fclose(file);
    wait_for_change(f, 2);
    assert_ours(f, NULL);
    g_assert_true(sp_dns_control_system(f->control, &conf, NULL));
    g_assert_cmpuint(conf.n_servers, ==, 1);
    g_assert_cmpuint(conf.servers[0].b[0], ==, 8);
    sp_resolv_conf_done(&conf);
    g_assert_true(sp_dns_control_revert(f->control, NULL));
    assert_text(f->path, "nameserver 8.8.4.4\n");
}

static void
test_system(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    struct sp_resolv_conf conf;

    open_control(f);
    for (int i = 0; i < 2; i++) { /* before and while the tunnel owns the file */
        g_assert_true(sp_dns_control_system(f->control, &conf, NULL));
        g_assert_cmpuint(conf.n_servers, ==, 2);
        g_assert_cmpuint(conf.servers[1].family, ==, 6);
        g_assert_cmpstr(conf.search[0], ==, "corp.example");
        g_assert_cmpstr(conf.search[1], ==, "other");
        g_assert_null(conf.search[2]);
        sp_resolv_conf_done(&conf);
        g_assert_true(set_sentinels(f, 1, NULL, NULL));
    }
}

static void
test_disabled(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    struct sp_resolv_conf conf;

    f->control = open_method(f, SP_DNS_DISABLED, NULL);
    g_assert_true(set_sentinels(f, 2, NULL, NULL));
    assert_text(f->path, ORIGINAL);
    g_assert_true(sp_dns_control_system(f->control, &conf, NULL));
    g_assert_cmpuint(conf.n_servers, ==, 2);
    sp_resolv_conf_done(&conf);
}

static void
test_method_names(void)
{
    enum sp_dns_method method;

    g_assert_cmpint(sp_dns_method_parse("auto", &method), ==, 0);
    g_assert_cmpint(method, ==, SP_DNS_AUTO);
    g_assert_cmpint(sp_dns_method_parse("resolv-conf", &method), ==, 0);
    g_assert_cmpint(method, ==, SP_DNS_RESOLV_CONF);
    g_assert_cmpint(sp_dns_method_parse("disabled", &method), ==, 0);
    g_assert_cmpint(method, ==, SP_DNS_DISABLED);
    g_assert_cmpint(sp_dns_method_parse("Auto", &method), ==, SP_E_MALFORMED);
}

#define ADD(name, fn) g_test_add("/platform/dns/" name, struct fixture, NULL, set_up, fn, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("happy-path", test_happy_path);
    ADD("free-reverts", test_free_reverts);
    ADD("no-sentinels", test_no_sentinels);
    ADD("set-twice", test_set_twice);
    ADD("crash", test_crash);
    ADD("crash-and-edit", test_crash_and_edit);
    ADD("edit-before-revert", test_edit_before_revert);
    ADD("refusals", test_refusals);
    ADD("network-manager-link", test_network_manager_link);
    ADD("overwrite", test_overwrite);
    ADD("system", test_system);
    ADD("disabled", test_disabled);
    g_test_add_func("/platform/dns/method-names", test_method_names);
    return g_test_run();
}
