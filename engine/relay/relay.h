/* SPDX-License-Identifier: Apache-2.0 */
/* TURN server of the Firezone dialect: allocations, channels, credentials derived from the stamp
 * secret, channel data in both directions. Sources: RFC 8656; spec relay 1.
 * Owner: one per relay. Thread: the owner's. I/O: none.
 *
 * Driver rule: after any handle_*, drain sp_relay_poll_command() first and carry each command out
 * (an OPEN_PORT is answered with sp_relay_port_opened() before anything else is handed in), then
 * drain sp_relay_poll_transmit(), then re-read sp_relay_next_timeout(). */
#pragma once

#include "engine/base/addr.h"
#include "engine/base/io.h"
#include "engine/base/log.h"
#include "engine/base/rng.h"
#include "engine/base/time.h"

#define SP_RELAY_REALM             "firezone"
#define SP_RELAY_LISTEN_PORT       3478
#define SP_RELAY_PORT_FIRST        49152
#define SP_RELAY_PORT_LAST         65535
#define SP_RELAY_LIFETIME_DEFAULT  SP_SEC(600)
#define SP_RELAY_LIFETIME_MAX      SP_SEC(3600)
#define SP_RELAY_CHANNEL_LIFE      SP_SEC(600)
#define SP_RELAY_CHANNEL_COOL_DOWN SP_SEC(300)
#define SP_RELAY_NONCE_USES        10000
#define SP_RELAY_NONCE_EPOCH       SP_SEC(3600) /* a nonce without allocation lives 1 to 2 of them */

#define SP_RELAY_SECRET_MAX        128    /* bytes of the stamp secret's text */
#define SP_RELAY_SOFTWARE_MAX      40     /* SOFTWARE inflates the unauthenticated replies */
#define SP_RELAY_CHANNELS_MAX      262144 /* of all allocations together */
#define SP_RELAY_TRANSMITS_MAX     1024   /* waiting to be polled */
#define SP_RELAY_OPEN_TRIES        16     /* ports tried for one allocation */
#define SP_RELAY_DENY_MAX          32     /* networks in the configuration */
#define SP_RELAY_RATE_SLOTS        16384  /* token buckets, shared by hash of the source address */

/** struct sp_relay_config - copied, but for @log
 * @public4, @public6: announced addresses; family 0 does not serve that family
 * @listen_port: ours; no channel may lead there. 0 is SP_RELAY_LISTEN_PORT
 * @port_first, @port_last: of allocations, inclusive; 0, 0 is the standard range
 * @stamp_secret: text, secret
 * @software: 0..SP_RELAY_SOFTWARE_MAX bytes of the SOFTWARE attribute
 * @rate, @burst: unauthenticated replies per second and source address; @rate 0 has no limit
 * @deny, @n_deny: peers that no channel may lead to
 * Tests with foreign clients only:
 * @channel_last: highest channel number; 0 is 0x4fff
 * @multi_alloc: several allocations of one user name
 * @static_user, @static_password: an account besides the derived ones; NULL for none */
struct sp_relay_config {
    struct sp_ip public4;
    struct sp_ip public6;
    uint16_t listen_port;
    uint16_t port_first;
    uint16_t port_last;
    const char *stamp_secret;
    const char *software;
    uint32_t rate;
    uint32_t burst;
    const struct sp_cidr *deny;
    size_t n_deny;
    uint16_t channel_last;
    bool multi_alloc;
    const char *static_user;
    const char *static_password;
    struct sp_wall wall;
    struct sp_rng rng;
    const struct sp_log *log;
};

/** struct sp_relay_transmit - a datagram to be sent; the receiver of this struct owns @pkt
 * @port: 0 the listen socket, else the allocation port; the family of @dst completes the choice */
struct sp_relay_transmit {
    uint16_t port;
    struct sp_endpoint dst;
    struct sp_pkt *pkt;
};

enum sp_relay_command_type {
    SP_RELAY_OPEN_PORT,      /* @port, @v4, @v6: bind a socket per family, all or none */
    SP_RELAY_CLOSE_PORT,     /* @port, @v4, @v6 */
    SP_RELAY_ADD_CHANNEL,    /* @port, @client, @peer, @channel: for a fast path */
    SP_RELAY_REMOVE_CHANNEL, /* the same; comes before the CLOSE_PORT */
};

struct sp_relay_command {
    enum sp_relay_command_type type;
    uint16_t port;
    bool v4, v6;
    uint16_t channel;
    struct sp_endpoint client;
    struct sp_endpoint peer;
};

enum sp_relay_drop {
    SP_RELAY_DROP_UNKNOWN_BYTE, /* neither STUN nor channel data */
    SP_RELAY_DROP_PORT_ZERO,    /* source port 0 */
    SP_RELAY_DROP_BAD_STUN,     /* header, cookie or length */
    SP_RELAY_DROP_NOT_REQUEST,
    SP_RELAY_DROP_BAD_USERNAME,
    SP_RELAY_DROP_RATE,
    SP_RELAY_DROP_BUSY, /* the port of the allocation is still being opened */
    SP_RELAY_DROP_BAD_CHANNEL_DATA,
    SP_RELAY_DROP_NO_CHANNEL, /* unknown or inactive */
    SP_RELAY_DROP_NO_PEER,
    SP_RELAY_DROP_NO_PORT, /* datagram for a port that is not allocated */
    SP_RELAY_DROP_TOO_BIG, /* no room for the channel header */
    SP_RELAY_DROP_QUEUE_FULL,
    _SP_RELAY_DROP_MAX
};
/** sp_relay_drop_name() - kebab-case, stable */
const char *sp_relay_drop_name(enum sp_relay_drop reason);

enum sp_relay_method {
    SP_RELAY_BINDING,
    SP_RELAY_ALLOCATE,
    SP_RELAY_REFRESH,
    SP_RELAY_CREATE_PERMISSION,
    SP_RELAY_CHANNEL_BIND,
    SP_RELAY_OTHER,
    _SP_RELAY_METHOD_MAX
};
/** sp_relay_method_name() - lower case, e.g. "channel-bind" */
const char *sp_relay_method_name(enum sp_relay_method method);

enum sp_relay_code {
    SP_RELAY_SUCCESS,
    SP_RELAY_400,
    SP_RELAY_401,
    SP_RELAY_403,
    SP_RELAY_437,
    SP_RELAY_438,
    SP_RELAY_440,
    SP_RELAY_443,
    SP_RELAY_500,
    SP_RELAY_508,
    _SP_RELAY_CODE_MAX
};
/** sp_relay_code_number() - 400.., 0 for success */
unsigned sp_relay_code_number(enum sp_relay_code code);

/** struct sp_relay_stats - counters since creation; @allocations, @channels are the present ones */
struct sp_relay_stats {
    uint64_t responses[_SP_RELAY_METHOD_MAX][_SP_RELAY_CODE_MAX];
    uint64_t drops[_SP_RELAY_DROP_MAX];
    uint64_t to_peer_packets, to_peer_bytes; /* payload */
    uint64_t to_client_packets, to_client_bytes;
    uint64_t port_failures; /* ports that could not be opened */
    size_t allocations;
    size_t channels; /* active and cooling down */
};

struct sp_relay;

/** sp_relay_new() - Returns: NULL for a configuration without address, secret or port */
struct sp_relay *sp_relay_new(const struct sp_relay_config *config);
/** sp_relay_free() - NULL is fine; returns NULL */
struct sp_relay *sp_relay_free(struct sp_relay *relay);

/** sp_relay_handle_listen() - a datagram on the listen port; takes @pkt */
void sp_relay_handle_listen(struct sp_relay *relay,
                            const struct sp_endpoint *from,
                            struct sp_pkt *pkt,
                            sp_time now);
/** sp_relay_handle_relayed() - a datagram of a peer on allocation port @port; takes @pkt */
void sp_relay_handle_relayed(struct sp_relay *relay,
                             uint16_t port,
                             const struct sp_endpoint *from,
                             struct sp_pkt *pkt,
                             sp_time now);
/** sp_relay_port_opened() - outcome of OPEN_PORT; @ok false makes the relay try another one */
void sp_relay_port_opened(struct sp_relay *relay, uint16_t port, bool ok, sp_time now);
void sp_relay_handle_timeout(struct sp_relay *relay, sp_time now);
/** sp_relay_next_timeout() - SP_TIME_NEVER when nothing is allocated */
sp_time sp_relay_next_timeout(const struct sp_relay *relay);
bool sp_relay_poll_command(struct sp_relay *relay, struct sp_relay_command *ret_cmd);
bool sp_relay_poll_transmit(struct sp_relay *relay, struct sp_relay_transmit *ret_tx);
const struct sp_relay_stats *sp_relay_get_stats(const struct sp_relay *relay);
