/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>
#include <glib/gstdio.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "app/platform/device-id.h"
#include "app/platform/error.h"

struct fixture {
    char *dir;
    char *path;
    char *machine;
    struct sp_device_id_options options;
};

static void
set_up(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    f->dir = g_dir_make_tmp("spplat-XXXXXX", NULL);
    f->path = g_build_filename(f->dir, "sub", "id.json", NULL);
    f->machine = g_build_filename(f->dir, "machine-id", NULL);
    f->options = (struct sp_device_id_options){
        .path = f->path,
        .machine_id_path = f->machine,
        .app_id = SP_DEVICE_APP_CLIENT,
    };
}

static void
tear_down(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    g_autofree char *sub = g_path_get_dirname(f->path);

    g_unlink(f->path);
    g_rmdir(sub);
    g_unlink(f->machine);
    g_assert_cmpint(g_rmdir(f->dir), ==, 0);
    g_free(f->dir);
    g_free(f->path);
    g_free(f->machine);
}

static void
test_create_and_keep(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    g_autofree char *first = sp_device_id_get(&f->options, NULL), *second = NULL;
    struct stat st;

    g_assert_nonnull(first);
    g_assert_cmpuint(strlen(first), ==, 64);
    second = sp_device_id_get(&f->options, NULL);
    g_assert_cmpstr(first, ==, second);
    g_assert_cmpint(stat(f->path, &st), ==, 0);
    g_assert_cmpuint(st.st_mode & 0007, ==, 0);
}

static void
test_derive(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    g_autofree char *id = NULL, *other = NULL;

    g_assert_true(g_file_set_contents(f->machine, "0123456789abcdef0123456789abcdef\n", -1, NULL));
    id = sp_device_id_get(&f->options, NULL);
    /* printf '0123456789abcdef0123456789abcdef\n' | openssl dgst -sha256 -hmac APP_ID */
    g_assert_cmpstr(id, ==, "25746dc26c1cc478780348a72316d3f4c2869a29b2a4836b38bc2ad3c3d69e8c");
    g_assert_false(g_file_test(f->path, G_FILE_TEST_EXISTS));
    f->options.app_id = SP_DEVICE_APP_GATEWAY;
    other = sp_device_id_get(&f->options, NULL);
    g_assert_cmpstr(other, ==, "eeefe5d1cb3807dfc3ae24794878ec3147027390d839d1d718d8e42bcfde3336");
}

static void
test_order(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    g_autofree char *sub = g_path_get_dirname(f->path), *file = NULL, *given = NULL;

    g_assert_true(g_file_set_contents(f->machine, "0123456789abcdef0123456789abcdef\n", -1, NULL));
    g_mkdir(sub, 0700);
    g_assert_true(g_file_set_contents(f->path, "{\"id\":\"from-file\"}", -1, NULL));
    f->options.configured = "";
    file = sp_device_id_get(&f->options, NULL);
    g_assert_cmpstr(file, ==, "from-file");
    f->options.configured = "given";
    given = sp_device_id_get(&f->options, NULL);
    g_assert_cmpstr(given, ==, "given");
}

static void
test_bad_file(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    static const char *const bad[] = { "", "{}", "[]", "{\"id\":\"\"}", "{\"id\":5}", "{\"id\":" };
    g_autofree char *sub = g_path_get_dirname(f->path);

    g_mkdir(sub, 0700);
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;

        g_test_message("case %zu", i);
        g_assert_true(g_file_set_contents(f->path, bad[i], -1, NULL));
        g_assert_null(sp_device_id_get(&f->options, &error));
        g_assert_error(error, SP_PLATFORM_ERROR, SP_PLATFORM_ERROR_INVALID);
    }
}

static void
test_external(void)
{
    static const struct {
        const char *id;
        bool hashed;
    } cases[] = {
        { "7b1c1d2e-0000-4000-8000-0123456789ab", true },
        { "7b1c1d2e000040008000-0123456789ab", false },
        { "7b1c1d2e0000400080000123456789ab", true },
        { "{7b1c1d2e-0000-4000-8000-0123456789ab}", true },
        { "urn:uuid:7b1c1d2e-0000-4000-8000-0123456789ab", true },
        { "my laptop", false },
        { "", false },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *got = sp_device_external_id(cases[i].id);
        g_autofree char *hash = g_compute_checksum_for_string(G_CHECKSUM_SHA256, cases[i].id, -1);

        g_test_message("case %zu", i);
        g_assert_cmpstr(got, ==, cases[i].hashed ? hash : cases[i].id);
    }
}

static void
test_name(void)
{
    g_autofree char *name = sp_device_name();

    g_assert_cmpuint(strlen(name), >, 0);
}

#define ADD(name, fn) \
    g_test_add("/platform/device-id/" name, struct fixture, NULL, set_up, fn, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("create-and-keep", test_create_and_keep);
    ADD("derive", test_derive);
    ADD("order", test_order);
    ADD("bad-file", test_bad_file);
    g_test_add_func("/platform/device-id/external", test_external);
    g_test_add_func("/platform/device-id/name", test_name);
    return g_test_run();
}
