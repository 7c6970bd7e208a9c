/* SPDX-License-Identifier: Apache-2.0 */
/* Domain names in wire form. Sources: RFC 1035 sections 2.3.4, 3.1, 4.1.4, 5.1; RFC 4343 (letter
 * case); RFC 3596 section 2.5 (ip6.arpa). Thread: any. I/O: none. */
#pragma once

#include "engine/base/addr.h"
#include "engine/base/err.h"
#include "engine/base/rd.h"
#include "engine/base/wr.h"

#define SP_DNS_NAME_MAX   255  /* octets on the wire, root label included */
#define SP_DNS_LABEL_MAX  63   /* octets of one label */
#define SP_DNS_LABELS_MAX 127  /* labels that fit beside the root label */
#define SP_DNS_TEXT_MAX   1012 /* 253 octets, each as \DDD at worst, and the end */

/** struct sp_dns_name - uncompressed wire form with the letter case as received. A zeroed struct is
 * no name (the root has @len 1). Bytes after @len are zero, so a lower-case name is a map key. */
struct sp_dns_name {
    uint8_t len;
    uint8_t wire[SP_DNS_NAME_MAX];
};

/**
 * sp_dns_name_read() - take a name, following compression pointers
 * @r:   cursor inside the message @msg; stands behind the name on success
 * @msg: the whole message, for pointers
 * @ret: the name; untouched on failure
 *
 * A pointer must lead to bytes before the name part it stands in and behind the message header, so
 * loops are not possible and work is bounded by the name length.
 *
 * Returns: 0 or SP_E_MALFORMED (the cursor is then undefined).
 */
SP_MUST_CHECK int sp_dns_name_read(struct sp_rd *r, struct sp_span msg, struct sp_dns_name *ret);

/** sp_dns_name_write() - append the uncompressed wire form */
void sp_dns_name_write(struct sp_wr *w, const struct sp_dns_name *name);

/** sp_dns_name_parse() - presentation form; "\." "\\" "\DDD" escapes, optional trailing dot, "." is
 * the root. Returns: 0 or SP_E_MALFORMED (@ret untouched) */
SP_MUST_CHECK int sp_dns_name_parse(const char *text, struct sp_dns_name *ret);

/** sp_dns_name_format() - canonical text: lower case, no trailing dot ("." for the root); a dot or
 * backslash inside a label gets a backslash, bytes outside 0x21..0x7e become \DDD.
 * Returns: @out */
const char *sp_dns_name_format(const struct sp_dns_name *name, char out[SP_DNS_TEXT_MAX]);

/** sp_dns_name_lower() - the same name with A-Z folded: the key form */
struct sp_dns_name sp_dns_name_lower(const struct sp_dns_name *name);
/** sp_dns_name_equal() - ASCII case-insensitive */
bool sp_dns_name_equal(const struct sp_dns_name *a, const struct sp_dns_name *b);
/** sp_dns_name_is_plain() - every label is printable ASCII without dot, slash, quote or backslash,
 * so the text form needs no escapes anywhere (also not in JSON); false for the root */
bool sp_dns_name_is_plain(const struct sp_dns_name *name);
/** sp_dns_name_labels() - views of the labels in order, root left out. Returns: their number */
size_t sp_dns_name_labels(const struct sp_dns_name *name, struct sp_span labels[SP_DNS_LABELS_MAX]);

/** sp_dns_name_to_ip() - reverse name (in-addr.arpa with 4 decimal labels, ip6.arpa with 32
 * nibbles). Returns: 0 or SP_E_NOTFOUND when it is anything else */
SP_MUST_CHECK int sp_dns_name_to_ip(const struct sp_dns_name *name, struct sp_ip *ret_ip);
/** sp_dns_name_from_ip() - the reverse name of @ip */
struct sp_dns_name sp_dns_name_from_ip(const struct sp_ip *ip);

/** sp_dns_domain_check() - is @text a domain that may be resolved for a client: a plain name of at
 * least one label. Returns: 0 or SP_E_MALFORMED */
SP_MUST_CHECK int sp_dns_domain_check(const char *text);
