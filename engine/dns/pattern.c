/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/dns/pattern.h"

#include <stdlib.h>
#include <string.h>

static uint8_t
fold(char c)
{
    return (uint8_t)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

/* Length of the class that starts at the '[' of @p, or 0 when it has no end. The first character
 * after "[" or "[!" belongs to the class even if it is ']'. */
static size_t
class_length(const char *p, const char *end)
{
    size_t n = (size_t)(end - p);

    for (size_t i = n > 1 && p[1] == '!' ? 3 : 2; i < n; i++) {
        if (p[i] == ']')
            return i + 1;
    }
    return 0;
}

/* @p is the '[' of a class of @n characters. */
static bool
class_has(const char *p, size_t n, uint8_t c)
{
    bool negated = p[1] == '!';
    const char *q = p + (negated ? 2 : 1);
    const char *end = p + n - 1;
    bool found = false;

    while (q < end) {
        if (end - q >= 3 && q[1] == '-') {
            found |= c >= fold(q[0]) && c <= fold(q[2]);
            q += 3;
        } else {
            found |= c == fold(*q);
            q++;
        }
    }
    return found != negated;
}

/* Length of the token at @p if it matches the one character @c, else 0. Not for '*'. */
static size_t
token_match(const char *p, const char *end, uint8_t c)
{
    size_t n;

    if (*p == '?')
        return 1;
    if (*p != '[')
        return fold(*p) == c ? 1 : 0;
    n = class_length(p, end);
    return class_has(p, n, c) ? n : 0;
}

/* Glob of one label. Only the last '*' needs to be tried again, so the work is at most quadratic. */
static bool
label_match(const char *p, const char *end, struct sp_span label)
{
    const char *star = NULL;
    size_t i = 0, star_i = 0;

    while (i < label.n || p < end) {
        if (p < end && *p == '*') {
            star = ++p;
            star_i = i;
            continue;
        }
        if (p < end && i < label.n) {
            size_t n = token_match(p, end, fold((char)label.p[i]));

            if (n > 0) {
                p += n;
                i++;
                continue;
            }
        }
        if (!star || star_i >= label.n)
            return false;
        p = star;
        i = ++star_i;
    }
    return true;
}

static const char *
label_start(const struct sp_dns_pattern *pattern, size_t i)
{
    return pattern->text + pattern->start[i];
}

static const char *
label_end(const struct sp_dns_pattern *pattern, size_t i)
{
    return pattern->text + pattern->start[i + 1] - 1;
}

static bool
is_any_labels(const struct sp_dns_pattern *pattern, size_t i)
{
    const char *p = label_start(pattern, i);

    return label_end(pattern, i) - p == 2 && p[0] == '*' && p[1] == '*';
}

/* A label of the pattern must be non-empty; "**" only alone; classes must end. */
static int
check_label(const char *p, const char *end)
{
    size_t n = (size_t)(end - p);

    if (n == 0)
        return SP_E_MALFORMED;
    if (n == 2 && p[0] == '*' && p[1] == '*')
        return 0;
    while (p < end) {
        if (p[0] == '*' && p + 1 < end && p[1] == '*')
            return SP_E_MALFORMED;
        p += *p == '[' ? class_length(p, end) : (size_t)1;
    }
    return 0;
}

/* The dot or end that closes the label at @p; NULL for an open class. */
static const char *
find_label_end(const char *p, const char *end)
{
    while (p < end && *p != '.') {
        size_t n = *p == '[' ? class_length(p, end) : 1;

        if (n == 0)
            return NULL;
        p += n;
    }
    return p;
}

static int
split(struct sp_dns_pattern *pattern, size_t n)
{
    const char *p = pattern->text;
    const char *end = p + n;

    for (;;) {
        const char *stop = find_label_end(p, end);

        if (!stop || check_label(p, stop) < 0)
            return SP_E_MALFORMED;
        pattern->start[pattern->n_labels++] = (uint16_t)(p - pattern->text);
        pattern->start[pattern->n_labels] = (uint16_t)(stop - pattern->text + 1);
        if (stop == end)
            return 0;
        p = stop + 1;
    }
}

int
sp_dns_pattern_init(struct sp_dns_pattern *ret, const char *text)
{
    size_t n = strnlen(text, SP_DNS_PATTERN_MAX + 1);

    *ret = (struct sp_dns_pattern){ 0 };
    if (n == 0 || n > SP_DNS_PATTERN_MAX)
        return SP_E_MALFORMED;
    ret->text = sp_xstrdup(text);
    ret->start = sp_xcalloc(n + 2, sizeof ret->start[0]);
    if (split(ret, n) < 0) {
        sp_dns_pattern_done(ret);
        return SP_E_MALFORMED;
    }
    return 0;
}

void
sp_dns_pattern_done(struct sp_dns_pattern *pattern)
{
    free(pattern->text);
    free(pattern->start);
    *pattern = (struct sp_dns_pattern){ 0 };
}

/* Glob over labels; the same shape as label_match() with "**" as the star. */
static bool
labels_match(const struct sp_dns_pattern *pattern, const struct sp_span *labels, size_t n)
{
    size_t p = 0, i = 0, star = SIZE_MAX, star_i = 0;

    while (i < n || p < pattern->n_labels) {
        if (p < pattern->n_labels && is_any_labels(pattern, p)) {
            star = ++p;
            star_i = i;
            continue;
        }
        if (p < pattern->n_labels && i < n
            && label_match(label_start(pattern, p), label_end(pattern, p), labels[i])) {
            p++;
            i++;
            continue;
        }
        if (star == SIZE_MAX || star_i >= n)
            return false;
        p = star;
        i = ++star_i;
    }
    return true;
}

/* "**" at the end of a longer pattern: its dot has to stand before something. */
static bool
wants_last_label(const struct sp_dns_pattern *pattern)
{
    if (!is_any_labels(pattern, pattern->n_labels - 1))
        return false;
    for (size_t i = 0; i < pattern->n_labels; i++) {
        if (!is_any_labels(pattern, i))
            return true;
    }
    return false;
}

/* "*.rest" against "rest": text against text, so wildcards in the rest do not act. */
static bool
root_match(const struct sp_dns_pattern *pattern, const struct sp_span *labels, size_t n)
{
    const char *p = pattern->text;

    if (pattern->n_labels != n + 1 || p[0] != '*' || p[1] != '.')
        return false;
    p += 2;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < labels[i].n; k++) {
            if (*p == '\0' || fold(*p++) != fold((char)labels[i].p[k]))
                return false;
        }
        if (*p++ != (i + 1 < n ? '.' : '\0'))
            return false;
    }
    return true;
}

bool
sp_dns_pattern_match(const struct sp_dns_pattern *pattern, const struct sp_dns_name *name)
{
    struct sp_span labels[SP_DNS_LABELS_MAX];
    size_t n;

    if (!pattern->text || !sp_dns_name_is_plain(name))
        return false;
    n = sp_dns_name_labels(name, labels);
    if (root_match(pattern, labels, n))
        return true;
    if (wants_last_label(pattern))
        n--; /* "**" takes it, whatever it is; n > 0 as the name is plain */
    return labels_match(pattern, labels, n);
}

/* Wildcards rank above every other character, '*' above '?'. */
static int
rank(char c)
{
    return c == '*' ? 2 : c == '?' ? 1 : 0;
}

int
sp_dns_pattern_compare(const char *a, const char *b)
{
    size_t na = strlen(a), nb = strlen(b);

    while (na > 0 && nb > 0) {
        char ca = a[--na], cb = b[--nb];

        if (ca == cb)
            continue;
        if (rank(ca) != rank(cb))
            return rank(ca) < rank(cb) ? -1 : 1;
        return (uint8_t)ca > (uint8_t)cb ? -1 : 1;
    }
    if (na == nb)
        return 0;
    return na < nb ? -1 : 1;
}
