/* SPDX-License-Identifier: Apache-2.0 */
/* What both portal codecs share with their callers. Source: spec portal-protocol 3.7. */
#pragma once

#include "engine/base/defs.h"

/** struct sp_portal_skips - parts of one message that were left out without refusing the message.
 * Decoders add to it; the caller zeroes it. */
struct sp_portal_skips {
    unsigned bad_resources;     /* body does not parse */
    unsigned unknown_resources; /* a type we do not know, device pools among them */
    unsigned bad_candidates;
};
