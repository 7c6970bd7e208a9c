/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the ICE agent, shared by its files. Locals and remotes are referred to by slot; a slot
 * of a discarded candidate keeps its address, so that late packets are known to be unwanted, until
 * the slot is needed again. Pairs move when one is removed: keep ids, not pointers. */
#pragma once

#include "engine/base/ring.h"
#include "engine/ice/agent.h"
#include "engine/stun/stun.h"

#define SP_ICE_REQUEST_FRESH SP_SEC(15) /* a request this young keeps a silent pair alive */
#define SP_ICE_SILENT_ROUNDS 4 /* checks missed before a pair stands back, see nominate.c */
#define SP_ICE_NO_PAIR       UINT32_C(0)
#define SP_ICE_NO_SLOT       SIZE_MAX

struct ice_candidate_slot {
    struct sp_ice_candidate c;
    bool discarded;
    bool discovered; /* remote prflx that was never signalled */
};

struct ice_attempt {
    uint8_t txid[SP_STUN_TXID_LEN];
    bool answered;
    bool controlling; /* role it was sent under */
    sp_time sent;
};

enum ice_nomination {
    ICE_NOT_NOMINATED,
    ICE_NOMINATE_NEXT, /* the next check is sent at once and carries USE-CANDIDATE */
    ICE_NOMINATE_SENT,
    ICE_NOMINATED,
};

/** struct ice_pair - @id: never 0, never reused
 * @succeeded: a check was answered at least once
 * @peer_nominated: a request with USE-CANDIDATE came in on it
 * @silent: USE-CANDIDATE requests on other pairs since the last request on this one
 * @request_at: last request of the peer, SP_TIME_NEVER for none
 * @attempts: ring of the last checks, the oldest at @first */
struct ice_pair {
    uint32_t id;
    size_t local;
    size_t remote;
    uint64_t priority;
    enum ice_nomination nomination;
    bool succeeded;
    bool peer_nominated;
    unsigned silent;
    sp_time request_at;
    sp_time next_check;
    sp_duration rtt;
    unsigned first;
    unsigned n_attempts;
    struct ice_attempt attempts[SP_ICE_RETRANSMITS_MAX];
};

struct sp_ice_agent {
    bool controlling;
    bool evaluate; /* something changed that the next timer run must look at */
    enum sp_ice_state state;
    uint64_t tie_breaker;
    struct sp_ice_creds local_creds;
    struct sp_ice_creds remote_creds;
    struct sp_ice_timing timing;
    struct sp_rng rng;
    const struct sp_log *log;

    struct ice_candidate_slot locals[SP_ICE_LOCALS_MAX];
    size_t n_locals;
    struct ice_candidate_slot remotes[SP_ICE_REMOTES_MAX];
    size_t n_remotes;
    uint32_t added[_SP_ICE_KIND_MAX][2]; /* by kind and family, discarded ones included */

    struct ice_pair *pairs;
    size_t n_pairs;
    size_t cap_pairs;
    uint32_t last_pair_id;
    uint32_t nominated; /* pair id or SP_ICE_NO_PAIR */
    enum sp_ice_kind nominated_remote_kind;

    struct sp_ring tx;
    struct sp_ring events;
    struct sp_ice_stats stats;
};

/* candidates.c */
size_t sp_ice_find_local_base(const struct sp_ice_agent *a, const struct sp_endpoint *base);
/** sp_ice_find_remote() - slot by address, a live one before a discarded one */
size_t sp_ice_find_remote(const struct sp_ice_agent *a, const struct sp_endpoint *addr);
int sp_ice_add_remote_prflx(struct sp_ice_agent *a,
                            const struct sp_endpoint *addr,
                            uint32_t priority,
                            size_t *ret_slot);
void sp_ice_learn_local_prflx(struct sp_ice_agent *a,
                              const struct ice_pair *pair,
                              const struct sp_endpoint *mapped);

/* pairs.c */
uint64_t sp_ice_pair_priority(uint32_t controlling, uint32_t controlled);
/** sp_ice_pair_form() - pair two live candidates; a redundant pair keeps the better priority */
void sp_ice_pair_form(struct sp_ice_agent *a, size_t local, size_t remote);
void sp_ice_pair_local(struct sp_ice_agent *a, size_t local);
void sp_ice_pair_remote(struct sp_ice_agent *a, size_t remote);
struct ice_pair *sp_ice_pair_by_id(const struct sp_ice_agent *a, uint32_t id);
struct ice_pair *sp_ice_pair_find(const struct sp_ice_agent *a, size_t local, size_t remote);
struct ice_pair *sp_ice_pair_by_txid(const struct sp_ice_agent *a,
                                     const uint8_t txid[SP_STUN_TXID_LEN],
                                     struct ice_attempt **ret_attempt);
void sp_ice_pair_remove(struct sp_ice_agent *a, size_t index);
void sp_ice_pairs_drop_local(struct sp_ice_agent *a, size_t local);
void sp_ice_pairs_drop_remote(struct sp_ice_agent *a, size_t remote);
void sp_ice_pairs_reprioritise(struct sp_ice_agent *a);
void sp_ice_pairs_prune(struct sp_ice_agent *a, sp_time now);

/* checks.c */
sp_duration sp_ice_timing_delay(const struct sp_ice_timing *t, unsigned n);
struct ice_attempt *sp_ice_attempt_at(struct ice_pair *pair, unsigned i);
/** sp_ice_check_schedule() - recompute the cached deadline of @pair */
void sp_ice_check_schedule(const struct sp_ice_agent *a, struct ice_pair *pair, sp_time now);
bool sp_ice_check_failed(const struct sp_ice_agent *a, struct ice_pair *pair, sp_time now);
/** sp_ice_check_unanswered() - sends since the last answered one */
unsigned sp_ice_check_unanswered(struct ice_pair *pair);
void sp_ice_check_trim(const struct sp_ice_agent *a, struct ice_pair *pair);
/** sp_ice_checks_send_due() - send a request on each pair whose time has come */
void sp_ice_checks_send_due(struct sp_ice_agent *a, sp_time now);
int sp_ice_queue_tx(struct sp_ice_agent *a, const struct sp_ice_tx *tx);

/* nominate.c */
void sp_ice_switch_role(struct sp_ice_agent *a);
/** sp_ice_nominate() - choose the pair to use, report changes, update the state */
void sp_ice_nominate(struct sp_ice_agent *a);
