/* SPDX-License-Identifier: Apache-2.0 */
/* STUN and TURN messages: bounded parse view and builder. Sources: RFC 8489, RFC 8656, RFC 8445
 * 16.1; spec connectivity sections 2.2, 3.5 and 10.
 * Owner: none, values only. Thread: any. I/O: none. */
#pragma once

#include "engine/base/addr.h"
#include "engine/base/err.h"
#include "engine/base/span.h"
#include "engine/base/wr.h"

#define SP_STUN_HEADER_LEN    20
#define SP_STUN_TXID_LEN      12
#define SP_STUN_COOKIE        0x2112a442u
#define SP_STUN_LONG_KEY_LEN  16 /* MD5 */
#define SP_STUN_INTEGRITY_LEN 20 /* HMAC-SHA1 */
#define SP_STUN_ATTRS_MAX     64 /* more in one message is malformed */

enum sp_stun_class {
    SP_STUN_REQUEST,
    SP_STUN_INDICATION,
    SP_STUN_SUCCESS,
    SP_STUN_ERROR,
};

enum sp_stun_method {
    SP_STUN_BINDING = 0x001,
    SP_STUN_ALLOCATE = 0x003,
    SP_STUN_REFRESH = 0x004,
    SP_STUN_SEND = 0x006,
    SP_STUN_DATA = 0x007,
    SP_STUN_CREATE_PERMISSION = 0x008,
    SP_STUN_CHANNEL_BIND = 0x009,
};

enum sp_stun_attr {
    SP_STUN_MAPPED_ADDRESS = 0x0001,
    SP_STUN_USERNAME = 0x0006,
    SP_STUN_MESSAGE_INTEGRITY = 0x0008,
    SP_STUN_ERROR_CODE = 0x0009,
    SP_STUN_UNKNOWN_ATTRIBUTES = 0x000a,
    SP_STUN_CHANNEL_NUMBER = 0x000c,
    SP_STUN_LIFETIME = 0x000d,
    SP_STUN_XOR_PEER_ADDRESS = 0x0012,
    SP_STUN_ATTR_DATA = 0x0013,
    SP_STUN_REALM = 0x0014,
    SP_STUN_NONCE = 0x0015,
    SP_STUN_XOR_RELAYED_ADDRESS = 0x0016,
    SP_STUN_REQUESTED_ADDRESS_FAMILY = 0x0017,
    SP_STUN_EVEN_PORT = 0x0018,
    SP_STUN_REQUESTED_TRANSPORT = 0x0019,
    SP_STUN_DONT_FRAGMENT = 0x001a,
    SP_STUN_XOR_MAPPED_ADDRESS = 0x0020,
    SP_STUN_RESERVATION_TOKEN = 0x0022,
    SP_STUN_PRIORITY = 0x0024,
    SP_STUN_USE_CANDIDATE = 0x0025,
    SP_STUN_ADDITIONAL_ADDRESS_FAMILY = 0x8000,
    SP_STUN_ADDRESS_ERROR_CODE = 0x8001,
    SP_STUN_SOFTWARE = 0x8022,
    SP_STUN_FINGERPRINT = 0x8028,
    SP_STUN_ICE_CONTROLLED = 0x8029,
    SP_STUN_ICE_CONTROLLING = 0x802a,
};

/** struct sp_stun_msg - view of a parsed message; borrows the bytes it was parsed from.
 * Getters see only attributes before MESSAGE-INTEGRITY (or all when there is none), so what they
 * return is covered once sp_stun_check_integrity() succeeded. FINGERPRINT is never visible.
 * @attrs_end: offset where the visible attributes end
 * @integrity, @fingerprint: offset of the attribute in @raw, 0 when absent */
struct sp_stun_msg {
    struct sp_span raw;
    enum sp_stun_class cls;
    uint16_t method;
    uint8_t txid[SP_STUN_TXID_LEN];
    size_t attrs_end;
    size_t integrity;
    size_t fingerprint;
};

/** sp_stun_is_stun() - quick check for demultiplexing: first byte 0..3, magic cookie, length field
 * exactly the rest and a multiple of 4. Does not walk the attributes. */
bool sp_stun_is_stun(struct sp_span bytes);

/** sp_stun_parse() - header and every attribute length checked; nothing follows FINGERPRINT.
 * Returns: 0 or SP_E_MALFORMED */
SP_MUST_CHECK int sp_stun_parse(struct sp_span bytes, struct sp_stun_msg *ret_msg);

/** sp_stun_next() - walk the visible attributes in order; start with *@cursor = 0.
 * Returns: false at the end */
bool sp_stun_next(const struct sp_stun_msg *msg,
                  size_t *cursor,
                  uint16_t *ret_type,
                  struct sp_span *ret_value);
bool sp_stun_has(const struct sp_stun_msg *msg, uint16_t type);

/* First attribute of @type. Returns: false when absent or of the wrong length; @ret untouched. */
bool sp_stun_get(const struct sp_stun_msg *msg, uint16_t type, struct sp_span *ret_value);
bool sp_stun_get_u32(const struct sp_stun_msg *msg, uint16_t type, uint32_t *ret_value);
bool sp_stun_get_u64(const struct sp_stun_msg *msg, uint16_t type, uint64_t *ret_value);
/** sp_stun_get_string() - copy with NUL; false also when it does not fit @cap or holds a NUL */
bool sp_stun_get_string(const struct sp_stun_msg *msg, uint16_t type, char *out, size_t cap);
/** sp_stun_get_xor_addr() - the @nth (from 0) address attribute of @type. An undecodable one ends
 * the search. */
bool sp_stun_get_xor_addr(const struct sp_stun_msg *msg,
                          uint16_t type,
                          size_t nth,
                          struct sp_endpoint *ret_ep);
/** sp_stun_get_mapped_addr() - the plain MAPPED-ADDRESS of old servers */
bool sp_stun_get_mapped_addr(const struct sp_stun_msg *msg, struct sp_endpoint *ret_ep);
/** sp_stun_get_error() - ERROR-CODE as number 300..699; 0 when absent or malformed */
unsigned sp_stun_get_error(const struct sp_stun_msg *msg);
bool sp_stun_get_channel(const struct sp_stun_msg *msg, uint16_t *ret_channel);
/** sp_stun_get_unknown() - types listed in UNKNOWN-ATTRIBUTES, at most @cap. Returns: how many */
size_t sp_stun_get_unknown(const struct sp_stun_msg *msg, uint16_t *types, size_t cap);
/** sp_stun_get_family() - 4 or 6 from REQUESTED- or ADDITIONAL-ADDRESS-FAMILY; 0 otherwise */
uint8_t sp_stun_get_family(const struct sp_stun_msg *msg, uint16_t type);

/** sp_stun_check_integrity() - verify MESSAGE-INTEGRITY in constant time.
 * Returns: 0; SP_E_NOTFOUND when there is none; SP_E_UNAUTH */
SP_MUST_CHECK int sp_stun_check_integrity(const struct sp_stun_msg *msg, struct sp_span key);
/** sp_stun_check_fingerprint() - Returns: 0; SP_E_NOTFOUND when there is none; SP_E_MALFORMED */
SP_MUST_CHECK int sp_stun_check_fingerprint(const struct sp_stun_msg *msg);

/** sp_stun_long_term_key() - MD5(user:realm:password), RFC 8489 9.2.2 */
void sp_stun_long_term_key(const char *username,
                           const char *realm,
                           const char *password,
                           uint8_t ret_key[SP_STUN_LONG_KEY_LEN]);

/** struct sp_stun_builder - a message being written into the caller's buffer; errors are sticky
 * and come out at sp_stun_finish() */
struct sp_stun_builder {
    struct sp_wr w;
};

struct sp_stun_builder sp_stun_build(void *buf,
                                     size_t cap,
                                     enum sp_stun_class cls,
                                     uint16_t method,
                                     const uint8_t txid[SP_STUN_TXID_LEN]);
void sp_stun_put(struct sp_stun_builder *b, uint16_t type, const void *value, size_t n);
/** sp_stun_put_flag() - attribute without value (USE-CANDIDATE, DONT-FRAGMENT) */
void sp_stun_put_flag(struct sp_stun_builder *b, uint16_t type);
void sp_stun_put_u32(struct sp_stun_builder *b, uint16_t type, uint32_t value);
void sp_stun_put_u64(struct sp_stun_builder *b, uint16_t type, uint64_t value);
void sp_stun_put_string(struct sp_stun_builder *b, uint16_t type, const char *text);
void sp_stun_put_xor_addr(struct sp_stun_builder *b, uint16_t type, const struct sp_endpoint *ep);
/** sp_stun_put_error() - ERROR-CODE with the standard reason phrase when @reason is NULL */
void sp_stun_put_error(struct sp_stun_builder *b, unsigned code, const char *reason);
void sp_stun_put_unknown(struct sp_stun_builder *b, const uint16_t *types, size_t n);
void sp_stun_put_channel(struct sp_stun_builder *b, uint16_t channel);
/** sp_stun_put_transport() - REQUESTED-TRANSPORT, 17 for UDP */
void sp_stun_put_transport(struct sp_stun_builder *b, uint8_t protocol);
/** sp_stun_put_family() - REQUESTED- or ADDITIONAL-ADDRESS-FAMILY; @family 4 or 6 */
void sp_stun_put_family(struct sp_stun_builder *b, uint16_t type, uint8_t family);
/** sp_stun_put_integrity() - sign everything written so far; only FINGERPRINT may follow */
void sp_stun_put_integrity(struct sp_stun_builder *b, struct sp_span key);
/** sp_stun_put_fingerprint() - must be the last attribute */
void sp_stun_put_fingerprint(struct sp_stun_builder *b);
/** sp_stun_finish() - Returns: message length, or SP_E_NOBUF when it did not fit */
SP_MUST_CHECK int sp_stun_finish(struct sp_stun_builder *b);
