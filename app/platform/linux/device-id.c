/* SPDX-License-Identifier: Apache-2.0 */
#include "app/platform/device-id.h"

#include <errno.h>
#include <fcntl.h>
#include <json-glib/json-glib.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/platform/error.h"

#define ID_MAX   255 /* characters; the portal takes no more */
#define FILE_MAX 4096

static char *
from_file(const char *path, GError **error)
{
    g_autoptr(JsonParser) parser = json_parser_new();
    g_autofree char *text = NULL;
    const char *id = NULL;
    JsonNode *root;
    gsize n;

    if (!g_file_get_contents(path, &text, &n, error))
        return NULL;
    if (n <= FILE_MAX && json_parser_load_from_data(parser, text, (gssize)n, NULL)) {
        root = json_parser_get_root(parser);
        if (root && JSON_NODE_HOLDS_OBJECT(root))
            id = json_object_get_string_member_with_default(json_node_get_object(root), "id", NULL);
    }
    if (!id || !*id || strlen(id) > ID_MAX) {
        g_set_error(error,
                    SP_PLATFORM_ERROR,
                    SP_PLATFORM_ERROR_INVALID,
                    "%s is not a device id file",
                    path);
        return NULL;
    }
    return g_strdup(id);
}

static char *
from_machine_id(const struct sp_device_id_options *o)
{
    const char *path = o->machine_id_path ? o->machine_id_path : "/etc/machine-id";
    g_autofree char *text = NULL;
    gsize n;

    /* An image that is not set up yet has an empty file or the word "uninitialized". */
    if (!g_file_get_contents(path, &text, &n, NULL) || n < 32 || !g_ascii_isxdigit(text[0]))
        return NULL;
    return g_compute_hmac_for_data(G_CHECKSUM_SHA256,
                                   (const guchar *)o->app_id,
                                   strlen(o->app_id),
                                   (const guchar *)text,
                                   n);
}

/* Publishing by link() is atomic and never replaces an id that another process has just made. */
static char *
make_file(const char *path, GError **error)
{
    g_autofree char *uuid = g_uuid_string_random(), *dir = g_path_get_dirname(path);
    g_autofree char *id = g_compute_checksum_for_string(G_CHECKSUM_SHA256, uuid, -1);
    g_autofree char *text = g_strdup_printf("{\"id\":\"%s\"}", id);
    g_autofree char *tmp = g_strdup_printf("%s.%s", path, uuid);
    int r = 0;

    if (g_mkdir_with_parents(dir, 0770) < 0) {
        sp_platform_error_set(error, errno, "cannot make %s", dir);
        return NULL;
    }
    if (!g_file_set_contents_full(tmp, text, -1, G_FILE_SET_CONTENTS_DURABLE, 0640, error))
        return NULL;
    if (link(tmp, path) < 0)
        r = errno;
    unlink(tmp);
    if (r == EEXIST)
        return from_file(path, error);
    if (r) {
        sp_platform_error_set(error, r, "cannot write %s", path);
        return NULL;
    }
    return g_steal_pointer(&id);
}

char *
sp_device_id_get(const struct sp_device_id_options *o, GError **error)
{
    char *id;

    if (o->configured && *o->configured) {
        if (strlen(o->configured) <= ID_MAX)
            return g_strdup(o->configured);
        g_set_error(error, SP_PLATFORM_ERROR, SP_PLATFORM_ERROR_INVALID, "device id is too long");
        return NULL;
    }
    if (o->path && g_file_test(o->path, G_FILE_TEST_EXISTS))
        return from_file(o->path, error);
    id = from_machine_id(o);
    if (id)
        return id;
    if (o->path)
        return make_file(o->path, error);
    g_set_error(error, SP_PLATFORM_ERROR, SP_PLATFORM_ERROR_FAILED, "no source for a device id");
    return NULL;
}

static gboolean
is_uuid(const char *id)
{
    g_autofree char *plain = NULL;
    size_t n = strlen(id);

    if (g_ascii_strncasecmp(id, "urn:uuid:", 9) == 0)
        return g_uuid_string_is_valid(id + 9);
    if (n == 38 && id[0] == '{' && id[37] == '}') {
        plain = g_strndup(id + 1, 36);
        return g_uuid_string_is_valid(plain);
    }
    if (n == 32)
        return strspn(id, "0123456789abcdefABCDEF") == 32;
    return g_uuid_string_is_valid(id);
}

char *
sp_device_external_id(const char *id)
{
    return is_uuid(id) ? g_compute_checksum_for_string(G_CHECKSUM_SHA256, id, -1) : g_strdup(id);
}

char *
sp_device_name(void)
{
    char name[HOST_NAME_MAX + 1] = { 0 };

    if (gethostname(name, sizeof name - 1) < 0 || !*name)
        return g_strdup("localhost");
    return g_strdup(name);
}
