/* SPDX-License-Identifier: Apache-2.0 */
/* The channel layer over one WebSocket: join, heartbeat, replies, outbound queue. Source: spec
 * portal-protocol 2.1 to 2.3, 2.5. One object serves all connections of one role, one after the
 * other; queue, refs and book-keeping die with each socket.
 * Owner: the transport. Thread: the owner's. I/O: none.
 *
 * Driver rule: after any handle_* or send, drain sp_phx_poll_event(), then sp_phx_poll_transmit(),
 * then re-read sp_phx_next_timeout(). After LOST or FATAL the socket is of no more use: close it. */
#pragma once

#include <json-glib/json-glib.h>

#include "engine/base/defs.h"
#include "engine/base/log.h"
#include "engine/base/time.h"

#define SP_PHX_FRAME_MAX          (8u * 1024 * 1024)
#define SP_PHX_QUEUE_MAX          1024
#define SP_PHX_EVENTS_MAX         1024

#define SP_PHX_JOIN_TIMEOUT       SP_SEC(5)
#define SP_PHX_HEARTBEAT          SP_SEC(10)
#define SP_PHX_HEARTBEATS_PENDING 3 /* more unanswered ones mean a dead connection */

enum sp_phx_state {
    SP_PHX_DOWN,
    SP_PHX_JOINING, /* socket up, join unanswered: application frames wait */
    SP_PHX_JOINED,
};

/** struct sp_phx_config - strings are copied
 * @topic: "client", "gateway" or "relay"
 * @join_payload: JSON text; NULL sends null
 * @hello_event, @hello_payload: message that precedes all others after each join; NULL for none
 * @join_timeout, @heartbeat: 0 for the protocol's values */
struct sp_phx_config {
    const char *topic;
    const char *join_payload;
    const char *hello_event;
    const char *hello_payload;
    sp_duration join_timeout;
    sp_duration heartbeat;
};

enum sp_phx_lost {
    SP_PHX_LOST_CLOSED,    /* the socket went away */
    SP_PHX_LOST_PHX_CLOSE, /* the portal closed the channel */
    SP_PHX_LOST_JOIN,      /* join unanswered */
    SP_PHX_LOST_HEARTBEAT, /* heartbeats unanswered */
    SP_PHX_LOST_TRUNCATED, /* a frame that ends in the middle of its JSON */
    _SP_PHX_LOST_MAX
};
/** sp_phx_lost_name() - short English text */
const char *sp_phx_lost_name(enum sp_phx_lost reason);

enum sp_phx_event_type {
    SP_PHX_JOINED_EVENT,
    SP_PHX_MESSAGE,
    SP_PHX_LOST,
    SP_PHX_FATAL,
};

struct sp_phx_event {
    enum sp_phx_event_type type;
    union {
        struct {
            char *event;
            JsonNode *payload; /* never NULL; immutable */
        } message;
        enum sp_phx_lost lost;
        struct {
            char *message;         /* printable ASCII, for a human */
            bool requires_sign_in; /* the token is dead */
        } fatal;
    } u;
};
void sp_phx_event_done(struct sp_phx_event *ev);

/** struct sp_phx_stats - since the object was made */
struct sp_phx_stats {
    uint64_t frames_in;
    uint64_t bad_frames;      /* not JSON, too long, too deep, not a frame */
    uint64_t ignored_frames;  /* well-formed, but nothing to do with them */
    uint64_t error_replies;   /* to messages we sent */
    uint64_t duplicates_out;  /* sends that equalled a queued message */
    uint64_t dropped_out;     /* messages that died in the queue with their socket */
    uint64_t events_overflow; /* messages dropped because the owner did not poll */
};

struct sp_phx;

struct sp_phx *sp_phx_new(const struct sp_phx_config *config, const struct sp_log *log);
/** sp_phx_free() - NULL is fine; returns NULL */
struct sp_phx *sp_phx_free(struct sp_phx *phx);

/** sp_phx_handle_open() - a WebSocket is up: start to join. State of an earlier one is dropped. */
void sp_phx_handle_open(struct sp_phx *phx, sp_time now);
/** sp_phx_handle_text() - one complete text message; anything wrong with it is counted */
void sp_phx_handle_text(struct sp_phx *phx, const void *bytes, size_t n, sp_time now);
/** sp_phx_handle_closed() - the socket is gone; reports LOST unless the loss was reported already */
void sp_phx_handle_closed(struct sp_phx *phx);
/** sp_phx_reset() - the owner closed the socket: forget it without an event */
void sp_phx_reset(struct sp_phx *phx);

/**
 * sp_phx_send() - queue one application message
 * @event: event name
 * @payload: JSON text, trusted to be well-formed
 * A message equal to one still in the queue is dropped and counts as sent.
 * Returns: 0; SP_E_STATE when there is no socket (the message is lost); SP_E_LIMIT (queue full)
 */
SP_MUST_CHECK int sp_phx_send(struct sp_phx *phx, const char *event, const char *payload);

void sp_phx_handle_timeout(struct sp_phx *phx, sp_time now);
/** sp_phx_next_timeout() - SP_TIME_NEVER while down */
sp_time sp_phx_next_timeout(const struct sp_phx *phx);
/** sp_phx_poll_transmit() - next text message to write, owned by the caller (g_free), or NULL */
char *sp_phx_poll_transmit(struct sp_phx *phx);
/** sp_phx_poll_event() - Returns: true and an event owned by the caller (sp_phx_event_done) */
bool sp_phx_poll_event(struct sp_phx *phx, struct sp_phx_event *ret_ev);

enum sp_phx_state sp_phx_state(const struct sp_phx *phx);
const struct sp_phx_stats *sp_phx_stats(const struct sp_phx *phx);
