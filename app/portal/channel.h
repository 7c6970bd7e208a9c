/* SPDX-License-Identifier: Apache-2.0 */
/* Server side of the channel layer on one web socket: frames, join, heartbeat, idle timeout. Source:
 * spec portal-protocol section 2. Owner: a client or gateway object, which frees it in `closed`. */
#pragma once

#include <json-glib/json-glib.h>
#include <libsoup/soup.h>

#include "engine/base/defs.h"

#define SP_CP_FRAME_MAX (128u << 10) /* one message of a peer, all fragments together */
#define SP_CP_OUTGOING_MAX \
    (1u << 20)                  /* what waits for a peer that reads slowly; one message more */
#define SP_CP_IDLE_MS     40000 /* peers send a heartbeat every 10 s */
#define SP_CP_JOIN_MS     20000 /* a peer that does not join is told nothing, so it may go */
#define SP_CP_CLOSE_MS    5000  /* how long the closing handshake may take */
#define SP_CP_REPLY_OK    "ok"
#define SP_CP_UNKNOWN     "unknown_message"
#define SP_CP_BAD_PAYLOAD "invalid_payload"

struct sp_cp_channel;

struct sp_cp_channel_options {
    unsigned idle_ms;
    unsigned join_ms;
    double messages_per_sec; /* what a peer may send; <= 0: no limit */
    double messages_burst;
    size_t outgoing_max;
};

struct sp_cp_channel_ops {
    /** the ok reply to the join is on its way; may push */
    void (*joined)(void *owner);
    /** one event of our topic. @payload: NULL unless it is an object.
     * Returns: NULL no reply, SP_CP_REPLY_OK, or the reason of an error reply (static text) */
    const char *(*message)(void *owner, const char *event, JsonObject *payload);
    /** the socket is gone; called once, the channel may be freed in it */
    void (*closed)(void *owner);
};

/** sp_cp_channel_new() - serve @ws (a reference is taken), whose stream is a sp_cp_stream */
struct sp_cp_channel *sp_cp_channel_new(SoupWebsocketConnection *ws,
                                        const char *topic,
                                        const struct sp_cp_channel_ops *ops,
                                        void *owner,
                                        const struct sp_cp_channel_options *options);
void sp_cp_channel_free(struct sp_cp_channel *channel);
bool sp_cp_channel_is_joined(const struct sp_cp_channel *channel);
/** sp_cp_channel_push() - send an event; @payload is taken. Dropped unless joined */
void sp_cp_channel_push(struct sp_cp_channel *channel, const char *event, JsonNode *payload);
/** sp_cp_channel_disconnect() - tell the peer its token is dead, then close. Final for the peer. */
void sp_cp_channel_disconnect(struct sp_cp_channel *channel);
/** sp_cp_channel_close() - close in order: the peer comes back */
void sp_cp_channel_close(struct sp_cp_channel *channel);
