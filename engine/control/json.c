/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/control/json.h"

#include <string.h>

struct sp_json
sp_json(struct sp_span text)
{
    return (struct sp_json){ .in = sp_rd_span(text) };
}

static void
fail(struct sp_json *j)
{
    j->in.failed = true;
}

/* The next byte without taking it, 0 at the end (a zero byte is never valid JSON). */
static uint8_t
peek(const struct sp_json *j)
{
    return sp_rd_left(&j->in) ? j->in.p[0] : 0;
}

static void
blanks(struct sp_json *j)
{
    for (;;) {
        uint8_t c = peek(j);

        if (c != ' ' && c != '\t' && c != '\n' && c != '\r')
            return;
        (void)sp_rd_u8(&j->in);
    }
}

static bool
take(struct sp_json *j, char c)
{
    if (peek(j) != (uint8_t)c)
        return false;
    (void)sp_rd_u8(&j->in);
    return true;
}

static void
expect(struct sp_json *j, char c)
{
    if (!take(j, c))
        fail(j);
}

void
sp_json_enter(struct sp_json *j, char open)
{
    blanks(j);
    expect(j, open);
    j->first = true;
}

/* Is there another member before @close? Takes the separator. */
static bool
next_member(struct sp_json *j, char close)
{
    blanks(j);
    if (take(j, close)) {
        j->first = false;
        return false;
    }
    if (!j->first)
        expect(j, ',');
    j->first = false;
    blanks(j);
    return sp_json_ok(j);
}

/* Where a string goes: counts on when there is no room, so the caller can tell. */
struct sink {
    char *out;
    size_t cap;
    size_t n;
};

static void
put(struct sink *s, uint8_t c)
{
    if (s->n < s->cap)
        s->out[s->n] = (char)c;
    s->n++;
}

static void
put_utf8(struct sink *s, uint32_t cp)
{
    if (cp < 0x80) {
        put(s, (uint8_t)cp);
    } else if (cp < 0x800) {
        put(s, (uint8_t)(0xc0 | (cp >> 6)));
        put(s, (uint8_t)(0x80 | (cp & 0x3f)));
    } else if (cp < 0x10000) {
        put(s, (uint8_t)(0xe0 | (cp >> 12)));
        put(s, (uint8_t)(0x80 | ((cp >> 6) & 0x3f)));
        put(s, (uint8_t)(0x80 | (cp & 0x3f)));
    } else {
        put(s, (uint8_t)(0xf0 | (cp >> 18)));
        put(s, (uint8_t)(0x80 | ((cp >> 12) & 0x3f)));
        put(s, (uint8_t)(0x80 | ((cp >> 6) & 0x3f)));
        put(s, (uint8_t)(0x80 | (cp & 0x3f)));
    }
}

static uint32_t
hex4(struct sp_json *j)
{
    uint32_t v = 0;

    for (int i = 0; i < 4; i++) {
        uint8_t c = sp_rd_u8(&j->in);

        if (c >= '0' && c <= '9')
            v = v * 16 + (uint32_t)(c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            v = v * 16 + (uint32_t)((c | 0x20) - 'a' + 10);
        else
            fail(j);
    }
    return v;
}

static void
unicode_escape(struct sp_json *j, struct sink *s)
{
    uint32_t cp = hex4(j);

    if (cp >= 0xd800 && cp <= 0xdbff) {
        uint32_t low;

        expect(j, '\\');
        expect(j, 'u');
        low = hex4(j);
        if (low < 0xdc00 || low > 0xdfff)
            fail(j);
        cp = 0x10000 + ((cp - 0xd800) << 10) + ((low - 0xdc00) & 0x3ff);
    } else if (cp == 0 || (cp >= 0xdc00 && cp <= 0xdfff)) {
        fail(j);
    }
    if (sp_json_ok(j))
        put_utf8(s, cp);
}

static void
escape(struct sp_json *j, struct sink *s)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    uint8_t c = sp_rd_u8(&j->in);
    const char *at;

    if (c == 'u') {
        unicode_escape(j, s);
        return;
    }
    at = c ? strchr(from, c) : NULL;
    if (at)
        put(s, (uint8_t)to[at - from]);
    else
        fail(j);
}

/* One multi-byte character that starts with @lead, checked as RFC 3629 section 4 wants it. */
static void
utf8_char(struct sp_json *j, uint8_t lead, struct sink *s)
{
    int more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
    uint32_t cp = lead & (0x3fu >> more);
    static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };

    if (lead < 0xc2 || lead > 0xf4) {
        fail(j);
        return;
    }
    for (int i = 0; i < more; i++) {
        uint8_t c = sp_rd_u8(&j->in);

        if ((c & 0xc0) != 0x80) {
            fail(j);
            return;
        }
        cp = (cp << 6) | (c & 0x3f);
    }
    if (cp < least[more] || cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
        fail(j);
    else
        put_utf8(s, cp);
}

static void
string(struct sp_json *j, struct sink *s)
{
    blanks(j);
    expect(j, '"');
    while (sp_json_ok(j)) {
        uint8_t c = sp_rd_u8(&j->in);

        if (c == '"')
            return;
        if (c < 0x20)
            fail(j);
        else if (c == '\\')
            escape(j, s);
        else if (c < 0x80)
            put(s, c);
        else
            utf8_char(j, c, s);
    }
}

bool
sp_json_next_key(struct sp_json *j, char *key, size_t cap)
{
    struct sink s = { .out = key, .cap = cap };

    if (!next_member(j, '}'))
        return false;
    string(j, &s);
    key[s.n < cap ? s.n : 0] = '\0';
    blanks(j);
    expect(j, ':');
    return sp_json_ok(j);
}

bool
sp_json_next_item(struct sp_json *j)
{
    return next_member(j, ']');
}

void
sp_json_string(struct sp_json *j, char *out, size_t cap)
{
    struct sink s = { .out = out, .cap = cap };

    string(j, &s);
    if (s.n >= cap)
        fail(j);
    out[sp_json_ok(j) ? s.n : 0] = '\0';
}

bool
sp_json_string_is(struct sp_json *j, const char *text)
{
    char out[32];
    struct sink s = { .out = out, .cap = sizeof out };
    size_t n = strlen(text);

    sp_assert(n <= sizeof out);
    string(j, &s);
    return sp_json_ok(j) && s.n == n && memcmp(out, text, n) == 0;
}

static size_t
digits(struct sp_json *j)
{
    size_t n = 0;

    for (; peek(j) >= '0' && peek(j) <= '9'; n++)
        (void)sp_rd_u8(&j->in);
    return n;
}

static void
skip_number(struct sp_json *j)
{
    (void)take(j, '-');
    if (!take(j, '0') && digits(j) == 0)
        fail(j);
    if (take(j, '.') && digits(j) == 0)
        fail(j);
    if (take(j, 'e') || take(j, 'E')) {
        if (!take(j, '+'))
            (void)take(j, '-');
        if (digits(j) == 0)
            fail(j);
    }
}

static void
skip_word(struct sp_json *j, const char *word)
{
    while (*word)
        expect(j, *word++);
}

static void
skip_value(struct sp_json *j, int depth)
{
    struct sink nowhere = { 0 };
    char none[1];

    if (depth > SP_JSON_DEPTH) {
        fail(j);
        return;
    }
    blanks(j);
    switch (peek(j)) {
    case '{':
        sp_json_enter(j, '{');
        while (sp_json_next_key(j, none, sizeof none))
            skip_value(j, depth + 1);
        break;
    case '[':
        sp_json_enter(j, '[');
        while (sp_json_next_item(j))
            skip_value(j, depth + 1);
        break;
    case '"':
        string(j, &nowhere);
        break;
    case 't':
        skip_word(j, "true");
        break;
    case 'f':
        skip_word(j, "false");
        break;
    case 'n':
        skip_word(j, "null");
        break;
    default:
        skip_number(j);
        break;
    }
}

void
sp_json_skip(struct sp_json *j)
{
    skip_value(j, 1);
}

bool
sp_json_end(struct sp_json *j)
{
    blanks(j);
    if (sp_rd_left(&j->in))
        fail(j);
    return sp_json_ok(j);
}

void
sp_json_put_raw(struct sp_wr *w, const char *text)
{
    sp_wr_bytes(w, text, strlen(text));
}

void
sp_json_put_string(struct sp_wr *w, const char *text)
{
    static const char hex[] = "0123456789abcdef";

    sp_wr_u8(w, '"');
    for (; *text; text++) {
        uint8_t c = (uint8_t)*text;

        if (c == '"' || c == '\\') {
            sp_wr_u8(w, '\\');
            sp_wr_u8(w, c);
        } else if (c < 0x20) {
            sp_json_put_raw(w, "\\u00");
            sp_wr_u8(w, (uint8_t)hex[c >> 4]);
            sp_wr_u8(w, (uint8_t)hex[c & 15]);
        } else {
            sp_wr_u8(w, c);
        }
    }
    sp_wr_u8(w, '"');
}
