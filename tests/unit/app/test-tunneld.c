/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <glib.h>
#include <glib/gstdio.h>

#include "app/tunneld/config.h"
#include "app/tunneld/error.h"
#include "app/tunneld/token.h"

static void
test_token_rules(void)
{
    static const struct {
        mode_t mode;
        uid_t uid;
        gid_t gid;
        bool ok;
    } cases[] = {
        { S_IFREG | 0600, 0, 0, true },     { S_IFREG | 0400, 0, 0, true },
        { S_IFREG | 0000, 0, 0, true },     { S_IFREG | 0700, 0, 0, false },
        { S_IFREG | 0640, 0, 0, false },    { S_IFREG | 0604, 0, 0, false },
        { S_IFREG | 0610, 0, 0, false },    { S_IFREG | 0601, 0, 0, false },
        { S_IFREG | 0600, 1000, 0, false }, { S_IFREG | 0600, 0, 1000, false },
        { S_IFDIR | 0600, 0, 0, false },    { S_IFIFO | 0600, 0, 0, false },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct stat st = {
            .st_mode = cases[i].mode,
            .st_uid = cases[i].uid,
            .st_gid = cases[i].gid,
        };

        g_test_message("case %zu", i);
        g_assert_true((sp_td_token_check_stat(&st) == NULL) == cases[i].ok);
    }
}

struct answer {
    bool done;
    char *text;
    GQuark domain;
    int code;
};

static void
answer_cb(void *ctx, GBytes *token, const GError *error)
{
    struct answer *a = ctx;
    gsize n;

    a->done = true;
    if (token) {
        const char *bytes = g_bytes_get_data(token, &n);

        a->text = g_strndup(bytes, n);
    } else {
        a->domain = error->domain;
        a->code = error->code;
    }
}

static struct answer
read_fd(int fd)
{
    struct answer a = { 0 };

    sp_td_token_read_fd(fd, answer_cb, &a);
    g_assert_false(a.done);
    while (!a.done)
        g_main_context_iteration(NULL, TRUE);
    g_assert_cmpint(fcntl(fd, F_GETFD), ==, -1);
    return a;
}

static int
memory_file(const char *text, size_t n)
{
    int fd = memfd_create("test", 0);

    g_assert_cmpint(write(fd, text, n), ==, (ssize_t)n);
    return fd;
}

static void
test_token_fd(void)
{
    g_autofree char *big = g_strnfill(SP_TD_TOKEN_MAX + 1, 'x');
    int pipe_fd[2];
    struct answer a;

    a = read_fd(memory_file(" one.two \n", 10));
    g_assert_cmpstr(a.text, ==, "one.two");
    g_free(a.text);

    g_assert_cmpint(pipe(pipe_fd), ==, 0);
    g_assert_cmpint(write(pipe_fd[1], "piped", 5), ==, 5);
    close(pipe_fd[1]);
    a = read_fd(pipe_fd[0]);
    g_assert_cmpstr(a.text, ==, "piped");
    g_free(a.text);

    a = read_fd(memory_file(big, SP_TD_TOKEN_MAX));
    g_assert_cmpuint(strlen(a.text), ==, SP_TD_TOKEN_MAX);
    g_free(a.text);
    a = read_fd(memory_file(big, SP_TD_TOKEN_MAX + 1));
    g_assert_true(a.domain == SP_TD_ERROR && a.code == SP_TD_ERROR_INVALID_TOKEN);
    a = read_fd(memory_file(" \n", 2));
    g_assert_true(a.domain == SP_TD_ERROR && a.code == SP_TD_ERROR_INVALID_TOKEN);
    a = read_fd(memory_file("\xff\xfe", 2));
    g_assert_true(a.domain == SP_TD_ERROR && a.code == SP_TD_ERROR_INVALID_TOKEN);
    a = read_fd(open("/dev/null", O_RDONLY));
    g_assert_true(a.domain == G_DBUS_ERROR && a.code == G_DBUS_ERROR_INVALID_ARGS);
}

static void
test_token_env(void)
{
    g_autoptr(GBytes) token = NULL;

    g_setenv(SP_TD_TOKEN_ENV, "from-env", TRUE);
    token = sp_td_token_take_env();
    g_assert_cmpint((int)g_bytes_get_size(token), ==, 8);
    g_assert_null(g_getenv(SP_TD_TOKEN_ENV));
    g_assert_null(sp_td_token_take_env());
}

static void
test_config_values(void)
{
    static const struct {
        const char *key, *value;
        bool ok;
    } cases[] = {
        { "interface", "tun0", true },
        { "interface", "", false },
        { "interface", "a/b", false },
        { "interface", "sixteen-letters-", false },
        { "interface", "..", false },
        { "listen-port", "0", true },
        { "listen-port", "65535", true },
        { "listen-port", "65536", false },
        { "listen-port", "-1", false },
        { "mark", "0x5a110001", true },
        { "mark", "7", true },
        { "mark", "0xg", false },
        { "mark", "0x100000000", false },
        { "dns-control", "disabled", true },
        { "dns-control", "magic", false },
        { "internet-resource", "true", true },
        { "internet-resource", "1", false },
        { "no-such-key", "1", false },
        { "api-url", "ws://x", true },
        { "api-url", "\xff", false },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct sp_td_config config;
        g_autoptr(GError) error = NULL;

        g_test_message("case %zu", i);
        sp_td_config_init(&config);
        g_assert_true(sp_td_config_set(&config, cases[i].key, cases[i].value, &error)
                      == cases[i].ok);
        g_assert_true((error == NULL) == cases[i].ok);
        sp_td_config_done(&config);
    }
}

static void
test_config_file(void)
{
    static const struct {
        const char *text;
        bool ok;
    } cases[] = {
        { "[server]\napi-url=wss://p.test\n[tunnel]\nlisten-port=7\ndns-control=disabled\n", true },
        { "# nothing\n", true },
        { "[server]\napi-ulr=x\n", false },
        { "[tunnel]\napi-url=x\n", false },
        { "[nonsense]\na=b\n", false },
        { "[tunnel]\nlisten-port=x\n", false },
        { "no group\n", false },
    };
    g_autofree char *dir = g_dir_make_tmp("sp-td-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "conf", NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct sp_td_config config;
        g_autoptr(GError) error = NULL;

        g_test_message("case %zu", i);
        g_assert_true(g_file_set_contents(path, cases[i].text, -1, NULL));
        sp_td_config_init(&config);
        g_assert_true(sp_td_config_load(&config, path, true, &error) == cases[i].ok);
        if (i == 0) {
            g_assert_cmpstr(config.api_url, ==, "wss://p.test");
            g_assert_cmpuint(config.listen_port, ==, 7);
            g_assert_cmpstr(sp_td_config_dns_name(&config), ==, "disabled");
        }
        sp_td_config_done(&config);
    }
    g_remove(path);
    struct sp_td_config config;
    g_autoptr(GError) error = NULL;

    sp_td_config_init(&config);
    g_assert_true(sp_td_config_load(&config, path, false, NULL));
    g_assert_false(sp_td_config_load(&config, path, true, &error));
    sp_td_config_done(&config);
    g_rmdir(dir);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/tunneld/token/file-rules", test_token_rules);
    g_test_add_func("/tunneld/token/descriptor", test_token_fd);
    g_test_add_func("/tunneld/token/environment", test_token_env);
    g_test_add_func("/tunneld/config/values", test_config_values);
    g_test_add_func("/tunneld/config/file", test_config_file);
    return g_test_run();
}
