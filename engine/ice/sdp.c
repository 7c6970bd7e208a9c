/* SPDX-License-Identifier: Apache-2.0 */
/* The signalled form of a candidate: spec connectivity 3.3, portal-protocol 3.6, RFC 8839 5.1. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "engine/ice/candidate.h"

#define TEXT_MAX 1024 /* longest text that is looked at */

struct words {
    const char *p;
    size_t left;
};

struct word {
    const char *p;
    size_t n;
};

static bool
is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Next run of non-space characters; n == 0 at the end. */
static struct word
next_word(struct words *w)
{
    struct word out;

    while (w->left && is_space(*w->p)) {
        w->p++;
        w->left--;
    }
    out = (struct word){ .p = w->p };
    while (w->left && !is_space(*w->p)) {
        w->p++;
        w->left--;
        out.n++;
    }
    return out;
}

static bool
word_is(struct word w, const char *text)
{
    return w.n == strlen(text) && memcmp(w.p, text, w.n) == 0;
}

/* ICE characters (RFC 8839 5.1): letters, digits, '+' and '/'. */
static bool
word_is_token(struct word w, size_t max)
{
    if (!w.n || w.n > max)
        return false;
    for (size_t i = 0; i < w.n; i++) {
        char c = w.p[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9')
            && c != '+' && c != '/')
            return false;
    }
    return true;
}

static void
word_copy(struct word w, char *out)
{
    memcpy(out, w.p, w.n);
    out[w.n] = '\0';
}

static bool
parse_addr(struct word ip, struct word port, struct sp_endpoint *ret)
{
    char text[SP_IP_STR_MAX];
    uint32_t number;

    if (!ip.n || ip.n >= sizeof text || sp_parse_u32(port.p, port.n, 65535, &number) < 0)
        return false;
    word_copy(ip, text);
    if (sp_ip_parse(text, &ret->ip) < 0)
        return false;
    ret->port = (uint16_t)number;
    return true;
}

static bool
parse_kind(struct word w, enum sp_ice_kind *ret)
{
    for (int i = 0; i < _SP_ICE_KIND_MAX; i++) {
        if (word_is(w, sp_ice_kind_name((enum sp_ice_kind)i))) {
            *ret = (enum sp_ice_kind)i;
            return true;
        }
    }
    return false;
}

static bool
parse_head(struct words *w, struct sp_ice_candidate *c)
{
    static const char prefix[] = "candidate:";
    struct word first = next_word(w);
    struct word component, transport, prio, ip, port;

    if (first.n < strlen(prefix) || memcmp(first.p, prefix, strlen(prefix)) != 0)
        return false;
    first.p += strlen(prefix);
    first.n -= strlen(prefix);
    if (!word_is_token(first, SP_ICE_FOUNDATION_MAX))
        return false;
    word_copy(first, c->foundation);
    component = next_word(w);
    transport = next_word(w);
    prio = next_word(w);
    ip = next_word(w);
    port = next_word(w);
    if (!word_is(component, "1") || transport.n != 3 || strncasecmp(transport.p, "udp", 3) != 0)
        return false;
    if (sp_parse_u32(prio.p, prio.n, UINT32_MAX, &c->priority) < 0)
        return false;
    return parse_addr(ip, port, &c->addr) && word_is(next_word(w), "typ")
           && parse_kind(next_word(w), &c->kind);
}

static bool
parse_raddr(struct words *w, struct sp_ice_candidate *c)
{
    struct word ip = next_word(w);
    struct word key = next_word(w);
    struct word port = next_word(w);

    return word_is(key, "rport") && parse_addr(ip, port, &c->raddr);
}

static bool
parse_extensions(struct words *w, struct sp_ice_candidate *c)
{
    struct word key;

    while ((key = next_word(w)).n) {
        struct word value;

        if (word_is(key, "raddr")) {
            if (!parse_raddr(w, c))
                return false;
            continue;
        }
        value = next_word(w);
        if (!value.n)
            return false;
        if (!word_is(key, "ufrag"))
            continue;
        if (!word_is_token(value, SP_ICE_UFRAG_MAX))
            return false;
        word_copy(value, c->ufrag);
    }
    return true;
}

/* An address nobody can be reached at makes a useless remote candidate. */
static bool
remote_addr_ok(const struct sp_endpoint *addr)
{
    return addr->port && !sp_ip_is_unspecified(&addr->ip) && !sp_ip_is_multicast(&addr->ip);
}

int
sp_ice_candidate_parse(const char *text, const char *expected_ufrag, struct sp_ice_candidate *ret)
{
    struct words w = { .p = text, .left = strnlen(text, TEXT_MAX) };
    struct sp_ice_candidate c = { 0 };

    if (w.left == TEXT_MAX || !parse_head(&w, &c) || !parse_extensions(&w, &c))
        return SP_E_MALFORMED;
    if (!remote_addr_ok(&c.addr))
        return SP_E_MALFORMED;
    if (expected_ufrag && c.ufrag[0] && strcmp(c.ufrag, expected_ufrag) != 0)
        return SP_E_MALFORMED;
    c.base = c.addr;
    *ret = c;
    return 0;
}

const char *
sp_ice_candidate_format(const struct sp_ice_candidate *c, char out[SP_ICE_CANDIDATE_STR_MAX])
{
    char ip[SP_IP_STR_MAX], related[SP_IP_STR_MAX + 24] = "", ufrag[SP_ICE_UFRAG_MAX + 8] = "";

    if (c->kind == SP_ICE_SRFLX || c->kind == SP_ICE_RELAY)
        (void)snprintf(related,
                       sizeof related,
                       " raddr %s rport 0",
                       c->addr.ip.family == 4 ? "0.0.0.0" : "::");
    if (c->ufrag[0])
        (void)snprintf(ufrag, sizeof ufrag, " ufrag %s", c->ufrag);
    (void)snprintf(out,
                   SP_ICE_CANDIDATE_STR_MAX,
                   "candidate:%s 1 udp %u %s %u typ %s%s%s",
                   c->foundation,
                   c->priority,
                   sp_ip_format(&c->addr.ip, ip),
                   c->addr.port,
                   sp_ice_kind_name(c->kind),
                   related,
                   ufrag);
    return out;
}
