/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/base/defs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
sp_assert_fail(const char *expr, const char *file, int line)
{
    fprintf(stderr, "sallyport: assertion failed: %s (%s:%d)\n", expr, file, line);
    abort();
}

void *
sp_xcalloc(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size ? size : 1);

    sp_assert(p != NULL);
    return p;
}

void *
sp_xrealloc(void *p, size_t count, size_t size)
{
    size_t bytes;

    sp_assert(!__builtin_mul_overflow(count, size, &bytes));
    p = realloc(p, bytes ? bytes : 1);
    sp_assert(p != NULL);
    return p;
}

char *
sp_xstrdup(const char *s)
{
    char *copy;

    if (s == NULL)
        return NULL;
    copy = strdup(s);
    sp_assert(copy != NULL);
    return copy;
}
