/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/model/held.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/err.h"

static bool
take_text(struct sp_strv *list, const char *text)
{
    for (size_t i = 0; i < list->n; i++) {
        if (strcmp(list->v[i], text) != 0)
            continue;
        free(list->v[i]);
        list->v[i] = list->v[--list->n];
        return true;
    }
    return false;
}

static int
add_once(struct sp_strv *list, const char *text)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->v[i], text) == 0)
            return 0;
    if (list->n >= SP_HELD_MAX)
        return SP_E_LIMIT;
    sp_strv_add(list, text);
    return 0;
}

int
sp_held_add(struct sp_held *held, const char *candidate)
{
    take_text(&held->removed, candidate);
    return add_once(&held->added, candidate);
}

int
sp_held_remove(struct sp_held *held, const char *candidate)
{
    if (take_text(&held->added, candidate))
        return 0;
    return add_once(&held->removed, candidate);
}

bool
sp_held_is_empty(const struct sp_held *held)
{
    return held->added.n == 0 && held->removed.n == 0;
}

/* The fourth field of "candidate:F 1 udp PRIORITY ..."; 0 when it is not there. */
static uint32_t
priority_of(const char *candidate)
{
    uint32_t value = 0;

    for (int field = 0; field < 3; field++) {
        candidate = strchr(candidate, ' ');
        if (candidate == NULL)
            return 0;
        candidate++;
    }
    if (sp_parse_u32(candidate, strcspn(candidate, " "), UINT32_MAX, &value) < 0)
        return 0;
    return value;
}

static int
compare_candidates(const void *a, const void *b)
{
    const char *left = *(char *const *)a, *right = *(char *const *)b;
    uint32_t pl = priority_of(left), pr = priority_of(right);

    if (pl != pr)
        return pl > pr ? -1 : 1;
    return strcmp(left, right);
}

static bool
take_list(struct sp_strv *from, struct sp_strv *ret_list)
{
    if (from->n == 0)
        return false;
    qsort(from->v, from->n, sizeof *from->v, compare_candidates);
    *ret_list = *from;
    *from = (struct sp_strv){ 0 };
    return true;
}

enum sp_held_kind
sp_held_take(struct sp_held *held, struct sp_strv *ret_list)
{
    if (take_list(&held->added, ret_list))
        return SP_HELD_ADDED;
    return take_list(&held->removed, ret_list) ? SP_HELD_REMOVED : SP_HELD_NONE;
}

void
sp_held_done(struct sp_held *held)
{
    sp_strv_done(&held->added);
    sp_strv_done(&held->removed);
}
