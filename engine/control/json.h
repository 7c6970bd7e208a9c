/* SPDX-License-Identifier: Apache-2.0 */
/* Strict, bounded reader and writer for the flat JSON objects of control events (RFC 8259). Pull
 * style with a sticky error, no allocation, depth at most SP_JSON_DEPTH. Thread: any. I/O: none. */
#pragma once

#include "engine/base/rd.h"
#include "engine/base/wr.h"

#define SP_JSON_DEPTH 8

struct sp_json {
    struct sp_rd in;
    bool first; /* no member of the present container read yet */
};

struct sp_json sp_json(struct sp_span text);
static inline bool
sp_json_ok(const struct sp_json *j)
{
    return sp_rd_ok(&j->in);
}

/** sp_json_enter() - expect '{' or '[' (@open) */
void sp_json_enter(struct sp_json *j, char open);
/** sp_json_next_key() - next member of an object; its value must be read or skipped before the next
 * call. A key that does not fit @cap reads as "". Returns: false at the end or on error */
bool sp_json_next_key(struct sp_json *j, char *key, size_t cap);
/** sp_json_next_item() - same for an array */
bool sp_json_next_item(struct sp_json *j);
/** sp_json_string() - read a string value as UTF-8 with a terminating zero; an error if it does not
 * fit @cap, holds U+0000, a lone surrogate or bad UTF-8 */
void sp_json_string(struct sp_json *j, char *out, size_t cap);
/** sp_json_string_is() - read a string of any length and compare it. Returns: true when equal */
bool sp_json_string_is(struct sp_json *j, const char *text);
/** sp_json_skip() - read any value and forget it */
void sp_json_skip(struct sp_json *j);
/** sp_json_end() - nothing but blanks may follow. Returns: true when all was well */
bool sp_json_end(struct sp_json *j);

/** sp_json_put_string() - quoted and escaped; bytes above 0x7f are copied */
void sp_json_put_string(struct sp_wr *w, const char *text);
/** sp_json_put_raw() - @text as it is (punctuation) */
void sp_json_put_raw(struct sp_wr *w, const char *text);
