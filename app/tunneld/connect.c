/* SPDX-License-Identifier: Apache-2.0 */
/* Connect: options, then the token, then whose session there is already, then the session. */
#include <string.h>

#include <gio/gunixfdlist.h>

#include "app/tunneld/bus-private.h"
#include "app/tunneld/error.h"
#include "app/tunneld/token.h"

#define NAME_MAX_CHARS 255

struct wish {
    gint32 handle; /* -1: no descriptor */
    gboolean token_file;
    gboolean internet;
    guint32 linger_s;
    char *name;
    GBytes *token;
};

static void
wish_free(void *data)
{
    struct wish *w = data;

    g_clear_pointer(&w->token, g_bytes_unref);
    g_free(w->name);
    g_free(w);
}

static bool
take_option(struct wish *w, const char *key, GVariant *value)
{
    static const struct {
        const char *key;
        const char *type;
    } known[] = {
        { "token-fd", "h" }, { "token-file", "b" }, { "internet-resource", "b" },
        { "linger", "u" },   { "name", "s" },
    };
    size_t i = 0;

    while (i < G_N_ELEMENTS(known) && strcmp(known[i].key, key) != 0)
        i++;
    if (i == G_N_ELEMENTS(known)
        || !g_variant_is_of_type(value, (const GVariantType *)known[i].type))
        return false;
    switch (i) {
    case 0:
        w->handle = g_variant_get_handle(value);
        return w->handle >= 0;
    case 1:
        w->token_file = g_variant_get_boolean(value);
        return true;
    case 2:
        w->internet = g_variant_get_boolean(value);
        return true;
    case 3:
        w->linger_s = g_variant_get_uint32(value);
        return true;
    default:
        g_free(w->name);
        w->name = g_variant_dup_string(value, NULL);
        return w->name[0] && sp_td_printable(w->name, NAME_MAX_CHARS);
    }
}

static bool
parse_options(struct sp_td_call *call, struct wish *w)
{
    g_autoptr(GVariant) options = g_variant_get_child_value(call->params, 0);
    GVariantIter iter;
    const char *key;
    GVariant *value;

    g_variant_iter_init(&iter, options);
    while (g_variant_iter_next(&iter, "{&sv}", &key, &value)) {
        bool ok = take_option(w, key, value);

        g_variant_unref(value);
        if (!ok) {
            sp_td_call_invalid(call, "option %s: unknown, or not of that value", key);
            return false;
        }
    }
    if ((w->handle >= 0) == (w->token_file != FALSE)) {
        sp_td_call_invalid(call, "exactly one of token-fd and token-file is needed");
        return false;
    }
    return true;
}

/* ---- the session ------------------------------------------------------------------------------- */

static void
start(struct sp_td_call *call)
{
    struct sp_td_bus *bus = call->bus;
    struct wish *w = call->data;
    struct sp_td_session_start how = {
        .token = w->token,
        .name = w->name,
        .internet = w->internet,
    };
    g_autoptr(GError) error = NULL;
    struct sp_td_status st;

    if (!sp_td_session_start(bus->opt.session, &how, &error)) {
        sp_td_bus_status_changed(bus);
        sp_td_call_return_error(call, error);
        return;
    }
    sp_td_owner_set(bus->owner,
                    call->uid,
                    g_dbus_method_invocation_get_sender(call->invocation),
                    w->linger_s);
    sp_td_bus_status_changed(bus);
    sp_td_session_status(bus->opt.session, &st);
    sp_td_call_return(call, g_variant_new("(s)", st.id));
}

/* ---- the token --------------------------------------------------------------------------------- */

static void
token_cb(void *ctx, GBytes *token, const GError *error)
{
    struct sp_td_call *call = ctx;
    struct wish *w = call->data;

    if (error) {
        sp_td_call_return_error(call, error);
        return;
    }
    w->token = g_bytes_ref(token);
    sp_td_call_guard(call, start);
}

static void
load_file(struct sp_td_call *call)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) token = sp_td_token_load(call->bus->opt.config->token_file, &error);

    token_cb(call, token, error);
}

static void
read_handle(struct sp_td_call *call, gint32 handle)
{
    GDBusMessage *message = g_dbus_method_invocation_get_message(call->invocation);
    GUnixFDList *list = g_dbus_message_get_unix_fd_list(message);
    int fd = -1;

    if (list && handle < g_unix_fd_list_get_length(list))
        fd = g_unix_fd_list_get(list, handle, NULL);
    if (fd < 0)
        sp_td_call_invalid(call, "token-fd: no descriptor came with the call");
    else
        sp_td_token_read_fd(fd, token_cb, call);
}

void
sp_td_method_connect(struct sp_td_call *call)
{
    struct wish *w = g_new0(struct wish, 1);

    w->handle = -1;
    call->data = w;
    call->free_data = wish_free;
    if (!parse_options(call, w))
        return;
    if (w->token_file)
        sp_td_call_check(call, SP_TD_ACTION_USE_SYSTEM_TOKEN, load_file);
    else
        read_handle(call, w->handle);
}
