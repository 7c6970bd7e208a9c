/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/nat/port-space.h"

#include <stdlib.h>

#include "engine/base/err.h"

#define PAGE_PORTS (SP_PORT_PAGE_WORDS * 64u)

/* First free port in [@from, @to], or -1. */
static int32_t
find_free(const struct sp_port_space *s, uint32_t from, uint32_t to)
{
    uint32_t port = from;

    while (port <= to) {
        const uint64_t *page = s->page[port / PAGE_PORTS];
        uint64_t free_bits;

        if (page == NULL)
            return (int32_t)port;
        if (s->page_used[port / PAGE_PORTS] == PAGE_PORTS) {
            port = (port / PAGE_PORTS + 1) * PAGE_PORTS;
            continue;
        }
        free_bits = ~page[port % PAGE_PORTS / 64] >> (port % 64);
        if (free_bits) {
            port += (uint32_t)__builtin_ctzll(free_bits);
            return port <= to ? (int32_t)port : -1;
        }
        port = (port / 64 + 1) * 64;
    }
    return -1;
}

int
sp_port_space_take(struct sp_port_space *s, uint16_t own, uint16_t *ret_port)
{
    int32_t port = find_free(s, own, 65535);
    uint64_t **page;

    if (port < 0 && own > 1)
        port = find_free(s, 1, own - 1u);
    if (port < 0)
        return SP_E_LIMIT;
    page = &s->page[(uint32_t)port / PAGE_PORTS];
    if (*page == NULL)
        *page = sp_xcalloc(SP_PORT_PAGE_WORDS, sizeof **page);
    (*page)[(uint32_t)port % PAGE_PORTS / 64] |= UINT64_C(1) << (port % 64);
    s->page_used[(uint32_t)port / PAGE_PORTS]++;
    s->used++;
    *ret_port = (uint16_t)port;
    return 0;
}

void
sp_port_space_release(struct sp_port_space *s, uint16_t port)
{
    uint64_t **page = &s->page[port / PAGE_PORTS];

    (*page)[port % PAGE_PORTS / 64] &= ~(UINT64_C(1) << (port % 64));
    s->used--;
    if (--s->page_used[port / PAGE_PORTS] == 0) {
        free(*page);
        *page = NULL;
    }
}

void
sp_port_space_done(struct sp_port_space *s)
{
    for (size_t i = 0; i < SP_PORT_PAGES; i++)
        free(s->page[i]);
}
