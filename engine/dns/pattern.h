/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns of DNS resources: globs over whole labels. Source: spec tunnel A.2.
 *
 *   *        zero or more characters of one label       ?   exactly one character
 *   **       zero or more whole labels (alone in its label)
 *   [a-z] [!x]  one character of, or not of, a class     other: itself, any letter case
 *
 * "*.rest" also matches "rest" itself. Thread: any. I/O: none. */
#pragma once

#include "engine/dns/name.h"

#define SP_DNS_PATTERN_MAX 512 /* characters; the portal's own limit is lower */

/** struct sp_dns_pattern - a validated pattern. Owns its memory.
 * @text: as given by the portal; @start: offset in @text of each label, and one past the end + 1 */
struct sp_dns_pattern {
    char *text;
    uint16_t *start;
    size_t n_labels;
};

/** sp_dns_pattern_init() - compile @text into uninitialised @ret.
 * Returns: 0 or SP_E_MALFORMED (@ret is then zeroed; it matches nothing and _done is fine) */
SP_MUST_CHECK int sp_dns_pattern_init(struct sp_dns_pattern *ret, const char *text);
void sp_dns_pattern_done(struct sp_dns_pattern *pattern);
/** sp_dns_pattern_match() - only plain names (sp_dns_name_is_plain()) match anything */
bool sp_dns_pattern_match(const struct sp_dns_pattern *pattern, const struct sp_dns_name *name);
/** sp_dns_pattern_compare() - order of specificity of two pattern texts; <0: @a is more specific and
 * therefore preferred */
int sp_dns_pattern_compare(const char *a, const char *b);
