/* SPDX-License-Identifier: Apache-2.0 */
/* WireGuard wire format: every size and offset, each computed from the ones before, and the limits
 * of the protocol. Sources: WireGuard paper (Donenfeld 2017) section 5.4; spec connectivity 4. */
#pragma once

#include "engine/base/pkt.h"
#include "engine/base/span.h"

enum sp_wg_size {
    SP_WG_KEY_LEN = 32,
    SP_WG_HASH_LEN = 32,
    SP_WG_TAG_LEN = 16,
    SP_WG_MAC_LEN = 16,
    SP_WG_COOKIE_LEN = 16,
    SP_WG_COOKIE_NONCE_LEN = 24,
    SP_WG_TIMESTAMP_LEN = 12,
    SP_WG_HEADER_LEN = 4, /* type and three reserved zero bytes */
    SP_WG_INDEX_LEN = 4,
    SP_WG_COUNTER_LEN = 8,
    SP_WG_MACS_LEN = 2 * SP_WG_MAC_LEN,
};

/* Type 1: header, sender, ephemeral, static + tag, timestamp + tag, mac1, mac2 */
enum sp_wg_initiation_layout {
    SP_WG_INIT_SENDER = SP_WG_HEADER_LEN,
    SP_WG_INIT_EPHEMERAL = SP_WG_INIT_SENDER + SP_WG_INDEX_LEN,
    SP_WG_INIT_STATIC = SP_WG_INIT_EPHEMERAL + SP_WG_KEY_LEN,
    SP_WG_INIT_TIMESTAMP = SP_WG_INIT_STATIC + SP_WG_KEY_LEN + SP_WG_TAG_LEN,
    SP_WG_INIT_MAC1 = SP_WG_INIT_TIMESTAMP + SP_WG_TIMESTAMP_LEN + SP_WG_TAG_LEN,
    SP_WG_INIT_MAC2 = SP_WG_INIT_MAC1 + SP_WG_MAC_LEN,
    SP_WG_INITIATION_LEN = SP_WG_INIT_MAC2 + SP_WG_MAC_LEN, /* 148 */
};

/* Type 2: header, sender, receiver, ephemeral, empty + tag, mac1, mac2 */
enum sp_wg_response_layout {
    SP_WG_RESP_SENDER = SP_WG_HEADER_LEN,
    SP_WG_RESP_RECEIVER = SP_WG_RESP_SENDER + SP_WG_INDEX_LEN,
    SP_WG_RESP_EPHEMERAL = SP_WG_RESP_RECEIVER + SP_WG_INDEX_LEN,
    SP_WG_RESP_EMPTY = SP_WG_RESP_EPHEMERAL + SP_WG_KEY_LEN,
    SP_WG_RESP_MAC1 = SP_WG_RESP_EMPTY + SP_WG_TAG_LEN,
    SP_WG_RESP_MAC2 = SP_WG_RESP_MAC1 + SP_WG_MAC_LEN,
    SP_WG_RESPONSE_LEN = SP_WG_RESP_MAC2 + SP_WG_MAC_LEN, /* 92 */
};

/* Type 3: header, receiver, nonce, cookie + tag */
enum sp_wg_cookie_layout {
    SP_WG_COOK_RECEIVER = SP_WG_HEADER_LEN,
    SP_WG_COOK_NONCE = SP_WG_COOK_RECEIVER + SP_WG_INDEX_LEN,
    SP_WG_COOK_COOKIE = SP_WG_COOK_NONCE + SP_WG_COOKIE_NONCE_LEN,
    SP_WG_COOKIE_REPLY_LEN = SP_WG_COOK_COOKIE + SP_WG_COOKIE_LEN + SP_WG_TAG_LEN, /* 64 */
};

/* Type 4: header, receiver, counter, ciphertext + tag */
enum sp_wg_data_layout {
    SP_WG_DATA_RECEIVER = SP_WG_HEADER_LEN,
    SP_WG_DATA_COUNTER = SP_WG_DATA_RECEIVER + SP_WG_INDEX_LEN,
    SP_WG_DATA_PAYLOAD = SP_WG_DATA_COUNTER + SP_WG_COUNTER_LEN, /* 16 bytes of head room */
    SP_WG_KEEPALIVE_LEN = SP_WG_DATA_PAYLOAD + SP_WG_TAG_LEN, /* 32, also the least of a type 4 */
};

/** enum sp_wg_kind - the message type byte; NONE is not WireGuard */
enum sp_wg_kind {
    SP_WG_NONE = 0,
    SP_WG_INITIATION = 1,
    SP_WG_RESPONSE = 2,
    SP_WG_COOKIE = 3,
    SP_WG_DATA = 4,
};

/* Counter limits of the paper, section 6.1. */
#define SP_WG_REKEY_AFTER_MESSAGES  (UINT64_C(1) << 60)
#define SP_WG_REJECT_AFTER_MESSAGES (UINT64_MAX - (UINT64_C(1) << 13))

/** sp_wg_classify() - by type, reserved zero bytes and exact length (data: at least 32) */
enum sp_wg_kind sp_wg_classify(struct sp_span datagram);
/** sp_wg_receiver_index() - receiver index of types 2, 3 and 4; 0 for everything else.
 * The upper 24 bits name the connection, the lower 8 the handshake. */
uint32_t sp_wg_receiver_index(struct sp_span datagram);
