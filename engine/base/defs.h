/* SPDX-License-Identifier: Apache-2.0 */
/* Compiler helpers that every layer uses. Thread: any. I/O: none. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SP_MUST_CHECK    __attribute__((warn_unused_result))
#define SP_PRINTF(f, a)  __attribute__((format(printf, f, a)))
#define SP_NONNULL       __attribute__((nonnull))
#define SP_UNUSED        __attribute__((unused))
#define SP_CLEANUP(fn)   __attribute__((cleanup(fn)))

#define SP_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define SP_MIN(a, b)     ((a) < (b) ? (a) : (b))
#define SP_MAX(a, b)     ((a) > (b) ? (a) : (b))

/** SP_CONTAINER_OF() - the struct that embeds @member at @ptr */
#define SP_CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/** sp_assert_fail() - print the failed precondition of a caller and abort. Never for input bytes. */
__attribute__((noreturn)) void sp_assert_fail(const char *expr, const char *file, int line);

/** sp_assert() - a precondition that only a bug in the caller can break; on in every build */
#define sp_assert(expr) ((expr) ? (void)0 : sp_assert_fail(#expr, __FILE__, __LINE__))

/** sp_xcalloc() - zeroed memory for the control path; aborts when there is none (as GLib does) */
SP_MUST_CHECK void *sp_xcalloc(size_t count, size_t size);
/** sp_xrealloc() - resize; contents beyond the old size are undefined; aborts when there is none */
SP_MUST_CHECK void *sp_xrealloc(void *p, size_t count, size_t size);
/** sp_xstrdup() - copy of @s (NULL gives NULL); aborts when there is no memory */
SP_MUST_CHECK char *sp_xstrdup(const char *s);
