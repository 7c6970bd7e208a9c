/* SPDX-License-Identifier: Apache-2.0 */
/* Names at every offset of a message, their text form and back, and patterns made of the input. */
#include <stdlib.h>
#include <string.h>

#include "engine/dns/pattern.h"
#include "tests/fuzz/fuzz.h"

static void
check_name(const struct sp_dns_name *name)
{
    struct sp_dns_name again, low = sp_dns_name_lower(name);
    char text[SP_DNS_TEXT_MAX];
    struct sp_ip ip;

    sp_assert(sp_dns_name_parse(sp_dns_name_format(name, text), &again) == 0);
    sp_assert(!memcmp(&again, &low, sizeof low));
    if (sp_dns_name_to_ip(name, &ip) == 0) {
        again = sp_dns_name_from_ip(&ip);
        sp_assert(sp_dns_name_equal(&again, name));
    }
}

static void
check_pattern(const char *text, const struct sp_dns_name *name)
{
    struct sp_dns_pattern pattern;

    if (sp_dns_pattern_init(&pattern, text) == 0)
        sp_assert(!sp_dns_pattern_match(&pattern, name) || sp_dns_name_is_plain(name));
    sp_dns_pattern_done(&pattern);
    sp_assert(sp_dns_pattern_compare(text, text) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct sp_dns_name name = { .len = 1 };
    char *text;

    if (n > 2048)
        return 0;
    for (size_t at = 0; at < n; at++) {
        struct sp_rd r = sp_rd(data + at, n - at);

        if (sp_dns_name_read(&r, sp_span(data, n), &name) == 0)
            check_name(&name);
    }
    text = sp_xcalloc(n + 1, 1);
    if (n > 0)
        memcpy(text, data, n);
    if (sp_dns_name_parse(text, &name) == 0)
        check_name(&name);
    check_pattern(text, &name);
    free(text);
    return 0;
}
