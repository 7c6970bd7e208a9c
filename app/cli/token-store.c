/* SPDX-License-Identifier: Apache-2.0 */
#include "app/cli/token-store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>
#include <json-glib/json-glib.h>
#include <libsecret/secret.h>
#include <sodium.h>

#include "app/cli/callback-link.h"

#define SYSTEM_TOKEN_PATH "/etc/sallyport/token"

static const SecretSchema schema = {
    .name = "org.sallyport.Client",
    .flags = SECRET_SCHEMA_NONE,
    .attributes = {
        { "server", SECRET_SCHEMA_ATTRIBUTE_STRING },
        { "account", SECRET_SCHEMA_ATTRIBUTE_STRING },
        { NULL, 0 },
    },
};

static char *
data_path(const char *name)
{
    return g_build_filename(g_get_user_data_dir(), "sallyport", name, NULL);
}

char *
sp_cli_token_path(void)
{
    return data_path("token");
}

static gboolean
fail_errno(GError **error, int err, const char *what, const char *path)
{
    g_set_error(error,
                G_FILE_ERROR,
                (gint)g_file_error_from_errno(err),
                "Cannot %s %s: %s",
                what,
                path,
                g_strerror(err));
    return FALSE;
}

/* Replaces @path in one step; the file is never there with other rights than 0600. */
static gboolean
write_private(const char *path, const char *text, guint dir_mode, GError **error)
{
    g_autofree char *dir = g_path_get_dirname(path);

    if (g_mkdir_with_parents(dir, (int)dir_mode) < 0)
        return fail_errno(error, errno, "make", dir);
    return g_file_set_contents_full(path,
                                    text,
                                    -1,
                                    G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE,
                                    0600,
                                    error);
}

static gboolean
remove_file(const char *path, gboolean *ret_was_there, GError **error)
{
    gboolean gone = g_unlink(path) == 0;

    if (ret_was_there)
        *ret_was_there = gone;
    return gone || errno == ENOENT || fail_errno(error, errno, "remove", path);
}

static const char *
member(JsonObject *o, const char *name)
{
    return json_object_get_string_member_with_default(o, name, "");
}

gboolean
sp_cli_session_load(struct sp_cli_session *ret)
{
    g_autofree char *path = data_path("session.json");
    g_autoptr(JsonParser) parser = json_parser_new();
    JsonNode *root;
    JsonObject *o;

    memset(ret, 0, sizeof *ret);
    if (!json_parser_load_from_file(parser, path, NULL))
        return FALSE;
    root = json_parser_get_root(parser);
    if (!root || !JSON_NODE_HOLDS_OBJECT(root))
        return FALSE;
    o = json_node_get_object(root);
    ret->server = g_strdup(member(o, "server"));
    ret->account = g_strdup(member(o, "account"));
    ret->actor = g_strdup(member(o, "actor"));
    ret->in_file = g_str_equal(member(o, "store"), "file");
    ret->internet = json_object_get_boolean_member_with_default(o, "internet_resource", FALSE);
    return TRUE;
}

static void
add_string(JsonBuilder *b, const char *name, const char *value)
{
    json_builder_set_member_name(b, name);
    json_builder_add_string_value(b, value ? value : "");
}

gboolean
sp_cli_session_save(const struct sp_cli_session *session, GError **error)
{
    g_autofree char *path = data_path("session.json");
    g_autoptr(JsonBuilder) b = json_builder_new();
    g_autoptr(JsonNode) root = NULL;
    g_autofree char *text = NULL;

    json_builder_begin_object(b);
    add_string(b, "server", session->server);
    add_string(b, "account", session->account);
    add_string(b, "actor", session->actor);
    add_string(b, "store", session->in_file ? "file" : "secret-service");
    json_builder_set_member_name(b, "internet_resource");
    json_builder_add_boolean_value(b, session->internet);
    json_builder_end_object(b);
    root = json_builder_get_root(b);
    text = json_to_string(root, TRUE);
    return write_private(path, text, 0700, error);
}

void
sp_cli_session_done(struct sp_cli_session *session)
{
    g_clear_pointer(&session->server, g_free);
    g_clear_pointer(&session->account, g_free);
    g_clear_pointer(&session->actor, g_free);
}

static gboolean
is_locked(const GError *error)
{
    return g_error_matches(error, SECRET_ERROR, SECRET_ERROR_IS_LOCKED)
           || g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

static void
set_locked(GError **error)
{
    g_set_error_literal(error,
                        SECRET_ERROR,
                        SECRET_ERROR_IS_LOCKED,
                        "The key ring is locked. Unlock it and try again.");
}

gboolean
sp_cli_token_store(struct sp_cli_session *session, const char *token, GError **error)
{
    g_autofree char *path = sp_cli_token_path();
    g_autofree char *label = g_strdup_printf("Sallyport: %s", session->account);
    g_autoptr(GError) ring = NULL;

    session->in_file = !secret_password_store_sync(&schema,
                                                   SECRET_COLLECTION_DEFAULT,
                                                   label,
                                                   token,
                                                   NULL,
                                                   &ring,
                                                   "server",
                                                   session->server,
                                                   "account",
                                                   session->account,
                                                   NULL);
    if (ring && is_locked(ring)) {
        set_locked(error);
        return FALSE;
    }
    /* A file of an earlier sign-in must not outlive the move to the key ring. */
    if (session->in_file ? !write_private(path, token, 0700, error)
                         : !remove_file(path, NULL, error))
        return FALSE;
    return sp_cli_session_save(session, error);
}

/* Reads a file that nobody else can read; NULL without @error when it is not there. */
static char *
read_private(const char *path, GError **error)
{
    char buffer[SP_CLI_TOKEN_MAX + 2];
    char *token = NULL;
    struct stat st;
    ssize_t n;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0) {
        if (errno != ENOENT)
            fail_errno(error, errno, "read", path);
        return NULL;
    }
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (st.st_mode & 077)) {
        g_set_error(error,
                    G_FILE_ERROR,
                    G_FILE_ERROR_PERM,
                    "%s can be read by others and is not used. Sign in again.",
                    path);
    } else if ((n = read(fd, buffer, sizeof buffer - 1)) < 0) {
        fail_errno(error, errno, "read", path);
    } else {
        buffer[n] = '\0';
        token = g_strdup(g_strstrip(buffer));
        sodium_memzero(buffer, sizeof buffer);
    }
    close(fd);
    return token;
}

char *
sp_cli_token_load(const struct sp_cli_session *session, GError **error)
{
    g_autofree char *path = sp_cli_token_path();
    g_autoptr(GError) ring = NULL;
    char *found, *token;

    if (session->in_file)
        return read_private(path, error);
    found = secret_password_lookup_nonpageable_sync(&schema,
                                                    NULL,
                                                    &ring,
                                                    "server",
                                                    session->server,
                                                    "account",
                                                    session->account,
                                                    NULL);
    if (ring && is_locked(ring))
        set_locked(error);
    else if (ring)
        g_set_error(error,
                    G_IO_ERROR,
                    G_IO_ERROR_FAILED,
                    "The key ring cannot be read: %s",
                    ring->message);
    token = g_strdup(found);
    secret_password_free(found);
    return token;
}

gboolean
sp_cli_token_forget(const struct sp_cli_session *session, GError **error)
{
    g_autofree char *token = sp_cli_token_path();
    g_autofree char *state = data_path("session.json");
    g_autoptr(GError) ring = NULL;

    if (!session->in_file
        && !secret_password_clear_sync(&schema,
                                       NULL,
                                       &ring,
                                       "server",
                                       session->server,
                                       "account",
                                       session->account,
                                       NULL)
        && ring) {
        g_set_error(error,
                    G_IO_ERROR,
                    G_IO_ERROR_FAILED,
                    "The key ring did not delete the token: %s",
                    ring->message);
        return FALSE;
    }
    return remove_file(token, NULL, error) && remove_file(state, NULL, error);
}

const char *
sp_cli_system_token_path(void)
{
    const char *path = g_getenv("SALLYPORT_TOKEN_PATH");

    return path && *path ? path : SYSTEM_TOKEN_PATH;
}

gboolean
sp_cli_system_token_store(const char *token, GError **error)
{
    return write_private(sp_cli_system_token_path(), token, 0755, error);
}

gboolean
sp_cli_system_token_forget(gboolean *ret_was_there, GError **error)
{
    return remove_file(sp_cli_system_token_path(), ret_was_there, error);
}
