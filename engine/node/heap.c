/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "engine/node/node-private.h"

static void
place(struct sp_node_heap *h, size_t i, struct sp_node_conn *conn)
{
    h->v[i] = conn;
    conn->heap_pos = i;
}

static void
sift_up(struct sp_node_heap *h, size_t i)
{
    struct sp_node_conn *conn = h->v[i];

    while (i > 0 && conn->heap_at < h->v[(i - 1) / 2]->heap_at) {
        place(h, i, h->v[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    place(h, i, conn);
}

static void
sift_down(struct sp_node_heap *h, size_t i)
{
    struct sp_node_conn *conn = h->v[i];

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= h->n)
            break;
        if (child + 1 < h->n && h->v[child + 1]->heap_at < h->v[child]->heap_at)
            child++;
        if (conn->heap_at <= h->v[child]->heap_at)
            break;
        place(h, i, h->v[child]);
        i = child;
    }
    place(h, i, conn);
}

void
sp_node_heap_add(struct sp_node_heap *h, struct sp_node_conn *conn)
{
    if (h->n == h->cap) {
        h->cap = h->cap ? h->cap * 2 : 8;
        h->v = sp_xrealloc(h->v, h->cap, sizeof *h->v);
    }
    h->v[h->n] = conn;
    sift_up(h, h->n++);
}

void
sp_node_heap_remove(struct sp_node_heap *h, struct sp_node_conn *conn)
{
    size_t i = conn->heap_pos;
    struct sp_node_conn *last = h->v[--h->n];

    sp_assert(i <= h->n);
    if (last == conn)
        return;
    place(h, i, last);
    sp_node_heap_update(h, last);
}

void
sp_node_heap_update(struct sp_node_heap *h, struct sp_node_conn *conn)
{
    sift_up(h, conn->heap_pos);
    sift_down(h, conn->heap_pos);
}

struct sp_node_conn *
sp_node_heap_top(const struct sp_node_heap *h)
{
    return h->n ? h->v[0] : NULL;
}
