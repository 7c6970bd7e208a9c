/* SPDX-License-Identifier: Apache-2.0 */
/* The byte stream below a web socket, with bounds that libsoup does not have: how much of a message
 * may arrive before it is whole (fragments count together), how much is read in one turn of the main
 * loop, and how much a peer may say while it does not read. It also knows how much text libsoup
 * still holds for a slow reader. Owner: the web socket. Thread: the main loop. */
#pragma once

#include <gio/gio.h>

#include "engine/base/defs.h"

#define SP_CP_READ_TURN_MAX    (64u << 10) /* read in one go, so that nobody keeps the loop busy */
#define SP_CP_READ_STALLED_MAX (64u << 10) /* read while the peer takes nothing: pings want pongs */

/** sp_cp_stream_new() - wrap @base (a reference is taken), whose streams must be pollable.
 * @message_max: bytes of one message; more without sp_cp_stream_message_read() fails the stream */
GIOStream *sp_cp_stream_new(GIOStream *base, size_t message_max);
/** sp_cp_stream_message_read() - a whole message came out above */
void sp_cp_stream_message_read(GIOStream *stream);
/** sp_cp_stream_queued() - note @n bytes of a text message as given to libsoup */
void sp_cp_stream_queued(GIOStream *stream, size_t n);
/** sp_cp_stream_pending() - bytes of text messages that wait in libsoup */
uint64_t sp_cp_stream_pending(GIOStream *stream);
