/* SPDX-License-Identifier: Apache-2.0 */
/* ICE candidates and their signalled form. Sources: RFC 8445 5.1, RFC 8839 5.1; spec connectivity
 * 3.2 to 3.4, portal-protocol 3.6. Owner: none, values only. Thread: any. I/O: none. */
#pragma once

#include "engine/base/addr.h"
#include "engine/base/err.h"

#define SP_ICE_FOUNDATION_MAX    32
#define SP_ICE_UFRAG_MAX         32
#define SP_ICE_CANDIDATE_STR_MAX 320
#define SP_ICE_OPTIMISTIC_MAX    2 /* new ones per remote candidate */

enum sp_ice_kind {
    SP_ICE_HOST,
    SP_ICE_PRFLX,
    SP_ICE_SRFLX,
    SP_ICE_RELAY,
    _SP_ICE_KIND_MAX
};

/** struct sp_ice_candidate - local or remote
 * @base: address that packets leave from: host: @addr; srflx and prflx: the host (or relay) address
 *        behind it; relay: @addr itself. Of a remote: @addr unless known better
 * @raddr: related address; family 0 when there is none
 * @priority: as signalled; for a local one assigned by the agent when it is added
 * @relay_family_mismatch: relay address of the other family than the one the relay is reached over
 * @foundation, @ufrag: text, "" when not set */
struct sp_ice_candidate {
    enum sp_ice_kind kind;
    struct sp_endpoint addr;
    struct sp_endpoint base;
    struct sp_endpoint raddr;
    uint32_t priority;
    bool relay_family_mismatch;
    char foundation[SP_ICE_FOUNDATION_MAX + 1];
    char ufrag[SP_ICE_UFRAG_MAX + 1];
};

/** sp_ice_kind_name() - "host", "prflx", "srflx", "relay" */
const char *sp_ice_kind_name(enum sp_ice_kind kind);

/* Local candidates with default priority and foundation, without ufrag; sp_ice_agent_add_local()
 * gives the adopted priority and the ufrag. Returns: 0, or SP_E_INVAL for an address that must not
 * be a candidate (spec 3.2); loopback is allowed. */
SP_MUST_CHECK int sp_ice_candidate_host(const struct sp_endpoint *addr,
                                        struct sp_ice_candidate *ret);
/** sp_ice_candidate_srflx() - @mapped as seen by the relay, @base the local address used */
SP_MUST_CHECK int sp_ice_candidate_srflx(const struct sp_endpoint *mapped,
                                         const struct sp_endpoint *base,
                                         struct sp_ice_candidate *ret);
/** sp_ice_candidate_relay() - @relayed from ALLOCATE, @local the address we reach the relay from
 * (only its family matters) */
SP_MUST_CHECK int sp_ice_candidate_relay(const struct sp_endpoint *relayed,
                                         const struct sp_endpoint *local,
                                         struct sp_ice_candidate *ret);
/** sp_ice_addr_ok() - may this address be a local candidate (spec 3.2)? */
bool sp_ice_addr_ok(const struct sp_endpoint *addr);

/** sp_ice_candidate_priority() - type << 24 | local preference << 8 | 255 */
uint32_t sp_ice_candidate_priority(enum sp_ice_kind kind, uint16_t local_pref);
/** sp_ice_local_pref() - preference of the @nth (from 0) candidate of one kind and family */
uint16_t sp_ice_local_pref(enum sp_ice_kind kind, uint8_t family, uint32_t nth, bool mismatch);

/** sp_ice_candidate_parse() - signalled text to a remote candidate
 * @expected_ufrag: a different ufrag in the text is refused, a missing one accepted; NULL: any
 *
 * Returns: 0 or SP_E_MALFORMED */
SP_MUST_CHECK int sp_ice_candidate_parse(const char *text,
                                         const char *expected_ufrag,
                                         struct sp_ice_candidate *ret);
/** sp_ice_candidate_format() - signalled text; srflx and relay get the dummy raddr. Returns: @out */
const char *sp_ice_candidate_format(const struct sp_ice_candidate *c,
                                    char out[SP_ICE_CANDIDATE_STR_MAX]);
/** sp_ice_candidate_matches() - removal rule: kind and address; raddr only when both have a real
 * one. Priority, foundation and ufrag do not count. */
bool sp_ice_candidate_matches(const struct sp_ice_candidate *c,
                              const struct sp_ice_candidate *request);
/** sp_ice_candidate_compare() - order of signalled lists: priority descending, then text */
int sp_ice_candidate_compare(const struct sp_ice_candidate *a, const struct sp_ice_candidate *b);

/** sp_ice_optimistic() - guesses for a peer with a forwarded port behind a symmetric NAT: every
 * known srflx IP with every known host port, IPv4 only, not in @remotes yet.
 * Returns: how many of at most SP_ICE_OPTIMISTIC_MAX were written to @out */
size_t sp_ice_optimistic(const struct sp_ice_candidate *remotes,
                         size_t n,
                         struct sp_ice_candidate out[SP_ICE_OPTIMISTIC_MAX]);
