/* SPDX-License-Identifier: Apache-2.0 */
/* When a change of the network is worth a reset: pure, the watcher (network-watch.h) feeds it.
 * Source: spec platform-linux 5.1, 5.3. Thread: any, one at a time. */
#pragma once

#include "engine/base/addr.h"
#include "engine/base/time.h"

/** struct sp_network_path - the way to everywhere of one family; all zero when there is none */
struct sp_network_path {
    uint32_t oif;
    struct sp_ip gateway; /* family 0: none, the link leads there */
    struct sp_ip source;
};

/** enum sp_network_event - what to report */
enum sp_network_event {
    SP_NETWORK_NOTHING,
    SP_NETWORK_CHANGED, /* another way out */
    SP_NETWORK_BACK,    /* there was none for a while */
    SP_NETWORK_RESUMED, /* the machine slept */
};

/** sp_network_event_name() - for logs */
const char *sp_network_event_name(enum sp_network_event event);

/** struct sp_network_view - of this moment
 * @path: IPv4, IPv6. @addresses: some other interface has an address */
struct sp_network_view {
    struct sp_network_path path[2];
    bool addresses;
};

/** struct sp_network_state - embed; fields are private */
struct sp_network_state {
    struct sp_network_path path[2]; /* the last ones that led somewhere */
    bool lost;
    bool manager, resumed; /* heard of, not reported yet */
    sp_time first, due;    /* of the burst that is waited out; NEVER when all is quiet */
    sp_time reported;      /* NEVER: nothing so far */
    sp_time woke;
    sp_duration slept; /* greatest difference between the two clocks */
    bool clocked;
};

/** sp_network_state_init() - what is there at start is never reported */
void sp_network_state_init(struct sp_network_state *st, const struct sp_network_view *view);
/** sp_network_state_kernel() - routes, links or addresses changed somehow */
void sp_network_state_kernel(struct sp_network_state *st, sp_time now);
/** sp_network_state_manager() - the network manager says that it uses another connection */
void sp_network_state_manager(struct sp_network_state *st, sp_time now);
/** sp_network_state_resumed() - the login manager says that the machine woke up */
void sp_network_state_resumed(struct sp_network_state *st, sp_time now);
/** sp_network_state_clock() - find out by the clocks that the machine woke up
 * @now: counts sleep, read before @awake, which does not */
void sp_network_state_clock(struct sp_network_state *st, sp_time now, sp_time awake);
/** sp_network_state_next() - when sp_network_state_check() has something to do, or NEVER */
sp_time sp_network_state_next(const struct sp_network_state *st);
/** sp_network_state_check() - Returns: what to report now. At most one report per second, and none
 * while there is no network: it waits until there is one */
enum sp_network_event sp_network_state_check(struct sp_network_state *st,
                                             const struct sp_network_view *view,
                                             sp_time now);
