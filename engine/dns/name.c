/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/dns/name.h"

#include <stdio.h>

#define MESSAGE_HEADER 12

static uint8_t
fold(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

/* Appends label length and bytes; the root label must still fit behind it. */
static int
append_label(struct sp_dns_name *name, const uint8_t *p, size_t n)
{
    if (n == 0 || n > SP_DNS_LABEL_MAX || name->len + 1 + n + 1 > SP_DNS_NAME_MAX)
        return SP_E_MALFORMED;
    name->wire[name->len] = (uint8_t)n;
    memcpy(name->wire + name->len + 1, p, n);
    name->len = (uint8_t)(name->len + 1 + n);
    return 0;
}

int
sp_dns_name_read(struct sp_rd *r, struct sp_span msg, struct sp_dns_name *ret)
{
    struct sp_dns_name name = { 0 };
    struct sp_rd at = *r;
    const uint8_t *part = r->p; /* where the present run of labels began */
    bool jumped = false;

    for (;;) {
        uint8_t n = sp_rd_u8(&at);

        if (!sp_rd_ok(&at))
            return SP_E_MALFORMED;
        if (n == 0)
            break;
        if (n <= SP_DNS_LABEL_MAX) {
            const uint8_t *p = sp_rd_take(&at, n);

            if (!p || append_label(&name, p, n) < 0)
                return SP_E_MALFORMED;
            continue;
        }
        if ((n & 0xc0) != 0xc0)
            return SP_E_MALFORMED;
        size_t to = (size_t)(n & 0x3f) << 8 | sp_rd_u8(&at);
        if (!sp_rd_ok(&at) || to < MESSAGE_HEADER || to >= (size_t)(part - msg.p))
            return SP_E_MALFORMED;
        if (!jumped)
            r->p = at.p;
        jumped = true;
        /* A pointed-to name may not run into the part that points to it. */
        at = sp_rd(msg.p + to, (size_t)(part - msg.p) - to);
        part = msg.p + to;
    }
    name.len++; /* the root label; its byte is already zero */
    if (!jumped)
        r->p = at.p;
    *ret = name;
    return 0;
}

void
sp_dns_name_write(struct sp_wr *w, const struct sp_dns_name *name)
{
    sp_wr_bytes(w, name->wire, name->len);
}

/* One character of presentation form, escapes undone. Returns: characters used, 0 if malformed. */
static size_t
unescape(const char *text, uint8_t *ret)
{
    uint32_t value;

    if (text[0] != '\\') {
        *ret = (uint8_t)text[0];
        return 1;
    }
    if (text[1] == '\0')
        return 0;
    if (text[1] < '0' || text[1] > '9') {
        *ret = (uint8_t)text[1];
        return 2;
    }
    if (strnlen(text + 1, 3) < 3 || sp_parse_u32(text + 1, 3, 255, &value) < 0)
        return 0;
    *ret = (uint8_t)value;
    return 4;
}

int
sp_dns_name_parse(const char *text, struct sp_dns_name *ret)
{
    struct sp_dns_name name = { 0 };
    uint8_t label[SP_DNS_LABEL_MAX];
    size_t n = 0;

    if (!strcmp(text, ".")) {
        *ret = (struct sp_dns_name){ .len = 1 };
        return 0;
    }
    while (*text) {
        uint8_t c;
        size_t used;

        if (*text == '.') {
            if (append_label(&name, label, n) < 0)
                return SP_E_MALFORMED;
            n = 0;
            text++;
            continue;
        }
        used = unescape(text, &c);
        if (used == 0 || n == sizeof label)
            return SP_E_MALFORMED;
        label[n++] = c;
        text += used;
    }
    if (n > 0 && append_label(&name, label, n) < 0)
        return SP_E_MALFORMED;
    if (name.len == 0)
        return SP_E_MALFORMED;
    name.len++;
    *ret = name;
    return 0;
}

static char *
put_text(char *p, uint8_t c)
{
    c = fold(c);
    if (c < 0x21 || c > 0x7e) {
        *p++ = '\\';
        *p++ = (char)('0' + c / 100);
        *p++ = (char)('0' + c / 10 % 10);
        *p++ = (char)('0' + c % 10);
        return p;
    }
    if (c == '.' || c == '\\')
        *p++ = '\\';
    *p++ = (char)c;
    return p;
}

const char *
sp_dns_name_format(const struct sp_dns_name *name, char out[SP_DNS_TEXT_MAX])
{
    struct sp_span labels[SP_DNS_LABELS_MAX];
    size_t n = sp_dns_name_labels(name, labels);
    char *p = out;

    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            *p++ = '.';
        for (size_t k = 0; k < labels[i].n; k++)
            p = put_text(p, labels[i].p[k]);
    }
    if (n == 0)
        *p++ = '.';
    *p = '\0';
    return out;
}

struct sp_dns_name
sp_dns_name_lower(const struct sp_dns_name *name)
{
    struct sp_dns_name low = { .len = name->len };

    /* Length octets are at most 63, below 'A', so folding every octet is safe. */
    for (size_t i = 0; i < name->len; i++)
        low.wire[i] = fold(name->wire[i]);
    return low;
}

bool
sp_dns_name_equal(const struct sp_dns_name *a, const struct sp_dns_name *b)
{
    if (a->len != b->len)
        return false;
    for (size_t i = 0; i < a->len; i++) {
        if (fold(a->wire[i]) != fold(b->wire[i]))
            return false;
    }
    return true;
}

bool
sp_dns_name_is_plain(const struct sp_dns_name *name)
{
    struct sp_span labels[SP_DNS_LABELS_MAX];
    size_t n = sp_dns_name_labels(name, labels);

    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < labels[i].n; k++) {
            uint8_t c = labels[i].p[k];

            if (c < 0x21 || c > 0x7e || c == '.' || c == '/' || c == '"' || c == '\\')
                return false;
        }
    }
    return n > 0;
}

size_t
sp_dns_name_labels(const struct sp_dns_name *name, struct sp_span labels[SP_DNS_LABELS_MAX])
{
    size_t n = 0;

    for (size_t at = 0; at < name->len && name->wire[at] != 0; at += 1u + name->wire[at])
        labels[n++] = sp_span(name->wire + at + 1, name->wire[at]);
    return n;
}

static bool
label_is(struct sp_span label, const char *text)
{
    size_t n = strlen(text);

    if (label.n != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (fold(label.p[i]) != (uint8_t)text[i])
            return false;
    }
    return true;
}

static int
v4_from_labels(const struct sp_span *labels, struct sp_ip *ret_ip)
{
    uint8_t b[4];

    for (size_t i = 0; i < 4; i++) {
        char text[4];
        uint32_t value;

        if (labels[i].n > 3 || (labels[i].n > 1 && labels[i].p[0] == '0'))
            return SP_E_NOTFOUND;
        for (size_t k = 0; k < labels[i].n; k++)
            text[k] = (char)labels[i].p[k];
        if (sp_parse_u32(text, labels[i].n, 255, &value) < 0)
            return SP_E_NOTFOUND;
        b[3 - i] = (uint8_t)value;
    }
    *ret_ip = sp_ip_from_bytes(4, b);
    return 0;
}

static int
nibble(struct sp_span label)
{
    uint8_t c;

    if (label.n != 1)
        return -1;
    c = fold(label.p[0]);
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int
v6_from_labels(const struct sp_span *labels, struct sp_ip *ret_ip)
{
    uint8_t b[16];

    for (size_t i = 0; i < 16; i++) {
        int low = nibble(labels[2 * i]);
        int high = nibble(labels[2 * i + 1]);

        if (low < 0 || high < 0)
            return SP_E_NOTFOUND;
        b[15 - i] = (uint8_t)(high << 4 | low);
    }
    *ret_ip = sp_ip_from_bytes(6, b);
    return 0;
}

int
sp_dns_name_to_ip(const struct sp_dns_name *name, struct sp_ip *ret_ip)
{
    struct sp_span labels[SP_DNS_LABELS_MAX];
    size_t n = sp_dns_name_labels(name, labels);

    if (n < 2 || !label_is(labels[n - 1], "arpa"))
        return SP_E_NOTFOUND;
    if (n == 6 && label_is(labels[4], "in-addr"))
        return v4_from_labels(labels, ret_ip);
    if (n == 34 && label_is(labels[32], "ip6"))
        return v6_from_labels(labels, ret_ip);
    return SP_E_NOTFOUND;
}

struct sp_dns_name
sp_dns_name_from_ip(const struct sp_ip *ip)
{
    static const char digits[] = "0123456789abcdef";
    struct sp_dns_name name = { 0 };
    char text[SP_DNS_NAME_MAX];
    size_t at = 0;
    int rc;

    sp_assert(ip->family == 4 || ip->family == 6);
    if (ip->family == 4) {
        snprintf(text,
                 sizeof text,
                 "%u.%u.%u.%u.in-addr.arpa",
                 ip->b[3],
                 ip->b[2],
                 ip->b[1],
                 ip->b[0]);
    } else {
        for (size_t i = 16; i-- > 0;) {
            text[at++] = digits[ip->b[i] & 15];
            text[at++] = '.';
            text[at++] = digits[ip->b[i] >> 4];
            text[at++] = '.';
        }
        snprintf(text + at, sizeof text - at, "ip6.arpa");
    }
    rc = sp_dns_name_parse(text, &name);
    sp_assert(rc == 0);
    return name;
}

int
sp_dns_domain_check(const char *text)
{
    struct sp_dns_name name;

    if (sp_dns_name_parse(text, &name) < 0 || !sp_dns_name_is_plain(&name))
        return SP_E_MALFORMED;
    return 0;
}
