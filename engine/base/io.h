/* SPDX-License-Identifier: Apache-2.0 */
/* What goes in and out of an engine's UDP side. */
#pragma once

#include "engine/base/addr.h"
#include "engine/base/pkt.h"

/** struct sp_udp_meta - where a received datagram came from and which of our addresses it hit */
struct sp_udp_meta {
    struct sp_endpoint local;
    struct sp_endpoint from;
};

/** struct sp_transmit - a datagram to be sent; the receiver of this struct owns @pkt.
 * @has_src: true for direct traffic, the datagram must leave from @src (our address);
 *           false lets the operating system choose (relay traffic)
 * The ECN codepoint of the outer header is pkt->ecn. */
struct sp_transmit {
    struct sp_endpoint dst;
    bool has_src;
    struct sp_ip src;
    struct sp_pkt *pkt;
};
