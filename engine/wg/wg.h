/* SPDX-License-Identifier: Apache-2.0 */
/* WireGuard for one process: identity, index generator, handshake limiter, and one tunnel per peer.
 * Sources: WireGuard paper sections 5 and 6; spec connectivity 4. Timers: README.md in this folder.
 * Owner: identity, index generator and limiter belong to the node, a tunnel to a connection.
 * Thread: the engine's caller. I/O: none.
 *
 * A datagram's way in:
 *   sp_wg_classify()                        not NONE
 *   types 1, 2: sp_wg_limiter_check()       mac1, then load; may yield a cookie reply to send back
 *   type 1:     sp_wg_peek_initiation()     static key -> connection
 *   types 2-4:  sp_wg_receiver_index() >> 8 -> connection
 *   types 1-3:  sp_wg_tunnel_handle_handshake();  type 4: sp_wg_tunnel_open()
 * After every call on a tunnel: drain events, then transmits, then read the timeout. */
#pragma once

#include "engine/base/addr.h"
#include "engine/base/err.h"
#include "engine/base/log.h"
#include "engine/base/pkt.h"
#include "engine/base/rng.h"
#include "engine/base/time.h"
#include "engine/wg/messages.h"

/* Outcomes, positive. */
enum sp_wg_outcome {
    SP_WG_COOKIE_REPLY = 1, /* limiter: under load, send the reply back */
    SP_WG_PACKET,           /* open: the packet now holds an inner IP packet */
    SP_WG_KEEPALIVE,        /* open: authentic, empty */
    SP_WG_NO_SESSION,       /* seal: no usable session, packet unchanged */
};

/* ---- identity ------------------------------------------------------------------------------ */

/** struct sp_wg_identity - our static key pair and the keys derived from its public half.
 * Secret; wipe with _done. Must outlive limiter checks and tunnels that refer to it. */
struct sp_wg_identity {
    uint8_t private[SP_WG_KEY_LEN];
    uint8_t public[SP_WG_KEY_LEN];
    uint8_t mac1_key[SP_WG_KEY_LEN];   /* HASH("mac1----" || public) */
    uint8_t cookie_key[SP_WG_KEY_LEN]; /* HASH("cookie--" || public) */
};

/** sp_wg_identity_init() - from a private key, which is clamped */
void sp_wg_identity_init(struct sp_wg_identity *id, const uint8_t private_key[SP_WG_KEY_LEN]);
void sp_wg_identity_generate(struct sp_wg_identity *id, const struct sp_rng *rng);
/** sp_wg_identity_done() - wipe */
void sp_wg_identity_done(struct sp_wg_identity *id);

/* ---- index generator ----------------------------------------------------------------------- */

/** struct sp_wg_index - 24-bit values without repetition for 2^24 - 1 calls (spec 4.1) */
struct sp_wg_index {
    uint32_t lfsr;
    uint32_t mask;
};

void sp_wg_index_init(struct sp_wg_index *gen, const struct sp_rng *rng);
/** sp_wg_index_init_with() - known @seed and @mask, both 24 bit and not 0 */
void sp_wg_index_init_with(struct sp_wg_index *gen, uint32_t seed, uint32_t mask);
/** sp_wg_index_next() - 0..0xffffff. After 2^24 - 1 calls values come again: skip those in use */
uint32_t sp_wg_index_next(struct sp_wg_index *gen);

/* ---- limiter ------------------------------------------------------------------------------- */

#define SP_WG_HANDSHAKES_PER_SECOND 100
#define SP_WG_COOKIE_SECRET_TIME    SP_SEC(128)

/** struct sp_wg_limiter - one per node; secret parts wiped by _done */
struct sp_wg_limiter {
    struct sp_rng rng;
    uint8_t secret[SP_WG_KEY_LEN];
    sp_time secret_since; /* SP_TIME_NEVER: no secret made yet */
    sp_time window_start;
    uint32_t count; /* handshake messages with a valid mac1 in the window */
    uint32_t max;   /* per window; SP_WG_HANDSHAKES_PER_SECOND */
};

void sp_wg_limiter_init(struct sp_wg_limiter *lim, const struct sp_rng *rng);
void sp_wg_limiter_done(struct sp_wg_limiter *lim);

/**
 * sp_wg_limiter_check() - may this handshake message cost us a Diffie-Hellman?
 * @msg: any datagram; types 3 and 4 carry no macs and are accepted without being counted
 * @src: source of the outer datagram (the peer's address if relayed), or NULL if unknown.
 *   The cookie binds the address in 16 bytes (IPv4 as v4-mapped); the port is not part of it.
 * @reply, @ret_reply_len: filled on SP_WG_COOKIE_REPLY only
 *
 * Returns: 0 go on; SP_WG_COOKIE_REPLY send @reply to where @msg came from, and stop;
 * SP_E_UNAUTH mac1 is wrong; SP_E_LIMIT under load and no source known; SP_E_MALFORMED not ours.
 */
SP_MUST_CHECK int sp_wg_limiter_check(struct sp_wg_limiter *lim,
                                      const struct sp_wg_identity *id,
                                      struct sp_span msg,
                                      const struct sp_endpoint *src,
                                      sp_time now,
                                      uint8_t reply[SP_WG_COOKIE_REPLY_LEN],
                                      size_t *ret_reply_len);

/** sp_wg_peek_initiation() - the static key that a type 1 message claims; one Diffie-Hellman, so
 * check mac1 first. Proves only that the sender knows our public key, not who it is.
 * Returns: 0, SP_E_MALFORMED, or SP_E_UNAUTH (@ret_static untouched) */
SP_MUST_CHECK int sp_wg_peek_initiation(const struct sp_wg_identity *id,
                                        struct sp_span msg,
                                        uint8_t ret_static[SP_WG_KEY_LEN]);

/* ---- tunnel -------------------------------------------------------------------------------- */

/** struct sp_wg_params - the timers of spec 4.2, all durations */
struct sp_wg_params {
    sp_duration rekey_after;   /* 120 s: initiator, if data was sent on the session */
    sp_duration reject_after;  /* 180 s: nothing is accepted on an older session */
    sp_duration rekey_timeout; /* 5 s: initiation retry, plus jitter */
    sp_duration jitter;    /* 333 ms: upper bound, before each handshake that we start ourselves */
    sp_duration give_up;   /* 20 s since the first initiation; must exceed the ICE timeout */
    sp_duration keepalive; /* 10 s: passive */
    sp_duration send_margin; /* 10 s: an initiator stops sending this long before reject_after */
    sp_duration wipe_after;  /* 540 s since the last session */
    sp_duration cookie_life; /* 120 s */
};

struct sp_wg_params sp_wg_params_ice(void);
struct sp_wg_params sp_wg_params_iceless(void);

/** struct sp_wg_config - copied, except @identity and @log, which are borrowed for the tunnel's life
 * @psk: all zero means none
 * @index24: from sp_wg_index_next(), unique among live connections of the node
 * @now: creation time; the 540 s of "no session" count from here */
struct sp_wg_config {
    const struct sp_wg_identity *identity;
    uint8_t peer_key[SP_WG_KEY_LEN];
    uint8_t psk[SP_WG_KEY_LEN];
    uint32_t index24;
    struct sp_wg_params params;
    struct sp_wall wall;
    struct sp_rng rng;
    const struct sp_log *log;
    sp_time now;
};

struct sp_wg_tunnel;

/** struct sp_wg_out - one datagram for the peer; small: handshake, cookie or keepalive */
struct sp_wg_out {
    uint8_t bytes[SP_WG_INITIATION_LEN];
    size_t len;
    enum sp_wg_kind kind;
};

enum sp_wg_event {
    /* A session became the one we send on: the peer has proven that it holds the keys. Initiator:
     * the response was accepted. Responder: the first packet (data or keepalive) was decrypted.
     * Comes again with each re-key. Never for a cookie reply, never for a mere initiation. */
    SP_WG_EVENT_SESSION_ESTABLISHED,
    /* Gave up handshaking, or no session for 540 s: all keys are wiped and no timer runs. */
    SP_WG_EVENT_EXPIRED,
};

/** sp_wg_tunnel_new() - never NULL */
SP_MUST_CHECK struct sp_wg_tunnel *sp_wg_tunnel_new(const struct sp_wg_config *config);
/** sp_wg_tunnel_free() - wipes; NULL is fine. Returns: NULL */
struct sp_wg_tunnel *sp_wg_tunnel_free(struct sp_wg_tunnel *t);

/**
 * sp_wg_tunnel_handle_handshake() - take a type 1, 2 or 3 message that passed the limiter
 *
 * Returns: 0 accepted; SP_E_UNAUTH wrong key, PSK, tag or peer; SP_E_REPLAY timestamp not newer;
 * SP_E_STATE no such handshake in flight; SP_E_MALFORMED. On any error nothing has changed.
 */
SP_MUST_CHECK int sp_wg_tunnel_handle_handshake(struct sp_wg_tunnel *t,
                                                struct sp_span msg,
                                                sp_time now);

/**
 * sp_wg_tunnel_open() - decrypt a type 4 message in place
 * @pkt: starts at the type byte. On SP_WG_PACKET it holds the inner packet, trimmed to its IP
 *   length. On a negative result its offset and length are as before but the bytes are undefined.
 *
 * Returns: SP_WG_PACKET; SP_WG_KEEPALIVE; SP_E_STATE no such session; SP_E_EXPIRED session too old;
 * SP_E_REPLAY; SP_E_UNAUTH; SP_E_MALFORMED not a type 4, or authentic but not an IP packet.
 */
SP_MUST_CHECK int sp_wg_tunnel_open(struct sp_wg_tunnel *t, struct sp_pkt *pkt, sp_time now);

/**
 * sp_wg_tunnel_seal() - encrypt an IP packet in place
 * @pkt: needs SP_WG_DATA_PAYLOAD (16) bytes of head room and SP_WG_TAG_LEN (16) of tail room
 *
 * Never queues and never starts a handshake. Returns: 0; SP_WG_NO_SESSION (packet unchanged);
 * SP_E_NOBUF not enough room.
 */
SP_MUST_CHECK int sp_wg_tunnel_seal(struct sp_wg_tunnel *t, struct sp_pkt *pkt, sp_time now);

/** sp_wg_tunnel_initiate() - send an initiation at once, also when one is in flight (which it
 * replaces, without moving the give-up time) and after EXPIRED (which starts afresh) */
void sp_wg_tunnel_initiate(struct sp_wg_tunnel *t, sp_time now);

void sp_wg_tunnel_handle_timeout(struct sp_wg_tunnel *t, sp_time now);
/** sp_wg_tunnel_next_timeout() - 0 (at once) while transmits or events are queued */
sp_time sp_wg_tunnel_next_timeout(const struct sp_wg_tunnel *t);
/** sp_wg_tunnel_poll_transmit() - Returns: false when there is nothing to send */
bool sp_wg_tunnel_poll_transmit(struct sp_wg_tunnel *t, struct sp_wg_out *ret_out);
bool sp_wg_tunnel_poll_event(struct sp_wg_tunnel *t, enum sp_wg_event *ret_event);

/** sp_wg_tunnel_has_session() - would seal work at @now? */
bool sp_wg_tunnel_has_session(const struct sp_wg_tunnel *t, sp_time now);
/** sp_wg_tunnel_handshake_in_flight() - an initiation of ours is unanswered */
bool sp_wg_tunnel_handshake_in_flight(const struct sp_wg_tunnel *t);
/** sp_wg_tunnel_last_handshake() - when a session was last established; SP_TIME_NEVER: never */
sp_time sp_wg_tunnel_last_handshake(const struct sp_wg_tunnel *t);
uint32_t sp_wg_tunnel_index24(const struct sp_wg_tunnel *t);
/** sp_wg_tunnel_rx_bytes() - authentic datagrams received, outer UDP payload size */
uint64_t sp_wg_tunnel_rx_bytes(const struct sp_wg_tunnel *t);
uint64_t sp_wg_tunnel_tx_bytes(const struct sp_wg_tunnel *t);
