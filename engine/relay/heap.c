/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "engine/relay/relay-private.h"

static void
place(struct relay_heap *h, size_t i, struct relay_timer *t)
{
    h->v[i] = t;
    t->pos = i;
}

static void
sift_up(struct relay_heap *h, size_t i)
{
    struct relay_timer *t = h->v[i];

    for (; i > 0 && t->at < h->v[(i - 1) / 2]->at; i = (i - 1) / 2)
        place(h, i, h->v[(i - 1) / 2]);
    place(h, i, t);
}

static void
sift_down(struct relay_heap *h, size_t i)
{
    struct relay_timer *t = h->v[i];

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= h->n)
            break;
        if (child + 1 < h->n && h->v[child + 1]->at < h->v[child]->at)
            child++;
        if (t->at <= h->v[child]->at)
            break;
        place(h, i, h->v[child]);
        i = child;
    }
    place(h, i, t);
}

void
relay_heap_set(struct relay_heap *h, struct relay_timer *t, sp_time at)
{
    t->at = at;
    if (t->pos == TIMER_IDLE) {
        if (h->n == h->cap) {
            h->cap = h->cap ? h->cap * 2 : 64;
            h->v = sp_xrealloc(h->v, h->cap, sizeof *h->v);
        }
        place(h, h->n++, t);
    }
    sift_up(h, t->pos);
    sift_down(h, t->pos);
}

void
relay_heap_remove(struct relay_heap *h, struct relay_timer *t)
{
    size_t i = t->pos;
    struct relay_timer *last;

    if (i == TIMER_IDLE)
        return;
    t->pos = TIMER_IDLE;
    last = h->v[--h->n];
    if (last == t)
        return;
    place(h, i, last);
    sift_up(h, last->pos);
    sift_down(h, last->pos);
}

void
relay_heap_done(struct relay_heap *h)
{
    free(h->v);
    *h = (struct relay_heap){ 0 };
}
