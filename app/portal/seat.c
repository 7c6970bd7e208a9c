/* SPDX-License-Identifier: Apache-2.0 */
#include "app/portal/seat.h"

#include <glib.h>

struct sp_cp_seats {
    GHashTable *counts; /* "a ADDRESS" or "t TOKEN" -> number; never 0, so bounded by the seats */
    unsigned per_address;
    unsigned per_token;
};

struct sp_cp_seat {
    struct sp_cp_seats *seats;
    char *address;
    char *token;
};

struct sp_cp_seats *
sp_cp_seats_new(unsigned per_address, unsigned per_token)
{
    struct sp_cp_seats *s = g_new0(struct sp_cp_seats, 1);

    s->counts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    s->per_address = per_address;
    s->per_token = per_token;
    return s;
}

void
sp_cp_seats_free(struct sp_cp_seats *s)
{
    if (!s)
        return;
    g_hash_table_unref(s->counts);
    g_free(s);
}

static unsigned
count(const struct sp_cp_seats *s, const char *key)
{
    return GPOINTER_TO_UINT(g_hash_table_lookup(s->counts, key));
}

static void
set(struct sp_cp_seats *s, const char *key, unsigned n)
{
    if (n == 0)
        g_hash_table_remove(s->counts, key);
    else
        g_hash_table_replace(s->counts, g_strdup(key), GUINT_TO_POINTER(n));
}

struct sp_cp_seat *
sp_cp_seat_take(struct sp_cp_seats *s, const char *address, const char *token)
{
    g_autofree char *a = g_strconcat("a ", address, NULL);
    g_autofree char *t = g_strconcat("t ", token, NULL);
    struct sp_cp_seat *seat;

    if (count(s, a) >= s->per_address || count(s, t) >= s->per_token)
        return NULL;
    set(s, a, count(s, a) + 1);
    set(s, t, count(s, t) + 1);
    seat = g_new0(struct sp_cp_seat, 1);
    seat->seats = s;
    seat->address = g_steal_pointer(&a);
    seat->token = g_steal_pointer(&t);
    return seat;
}

void
sp_cp_seat_free(struct sp_cp_seat *seat)
{
    if (!seat)
        return;
    set(seat->seats, seat->address, count(seat->seats, seat->address) - 1);
    set(seat->seats, seat->token, count(seat->seats, seat->token) - 1);
    g_free(seat->address);
    g_free(seat->token);
    g_free(seat);
}
