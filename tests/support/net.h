/* SPDX-License-Identifier: Apache-2.0 */
/* Virtual network in virtual time: hosts with addresses, one link per host with delay, jitter
 * (which reorders), loss and duplication, and NAT boxes in front of hosts. Everything random comes
 * from one seed, so a run repeats exactly. Datagrams only; the network never reads a clock.
 *
 *   host --link-- [nat] --- internet (every address reaches every address) --- ... */
#pragma once

#include "engine/base/addr.h"
#include "engine/base/span.h"
#include "engine/base/time.h"

struct test_net;

/** struct test_net_datagram - one datagram in flight; @bytes is a view
 * @from: source as the receiver sees it; @to: the receiver's own address */
struct test_net_datagram {
    struct sp_endpoint from;
    struct sp_endpoint to;
    struct sp_span bytes;
    uint8_t ecn;
};

/** test_net_receive - a datagram arrives at a host; may send, must not free the network */
typedef void (*test_net_receive)(void *ctx, const struct test_net_datagram *d, sp_time now);
/** test_net_filter - sees every datagram as sent (before loss). Returns: false to lose it */
typedef bool (*test_net_filter)(void *ctx,
                                int host,
                                const struct test_net_datagram *d,
                                sp_time now);

enum test_net_nat {
    TEST_NET_NAT_CONE,      /* one outside port per inside socket; only known remotes may answer */
    TEST_NET_NAT_OPEN,      /* one outside port per inside socket; anybody may answer */
    TEST_NET_NAT_SYMMETRIC, /* one outside port per inside socket and remote */
};

/** struct test_net_link - applied to what a host sends and to what it receives
 * @jitter: extra delay, uniform in [0, jitter]
 * @loss, @duplicate: out of 1000 */
struct test_net_link {
    sp_duration delay;
    sp_duration jitter;
    unsigned loss;
    unsigned duplicate;
};

struct test_net *test_net_new(uint64_t seed);
void test_net_free(struct test_net *net);

/** test_net_add_host() - Returns: handle >= 0 */
int test_net_add_host(struct test_net *net, test_net_receive receive, void *ctx);
/** test_net_add_address() - public, or private when @nat >= 0 (a handle of test_net_add_nat) */
void test_net_add_address(struct test_net *net, int host, const char *ip, int nat);
/** test_net_clear_addresses() - the host left the network; what is in flight to it is lost */
void test_net_clear_addresses(struct test_net *net, int host);
/** test_net_add_nat() - a box with one outside address. Returns: handle >= 0 */
int test_net_add_nat(struct test_net *net, enum test_net_nat kind, const char *outside_ip);
/** test_net_nat_set_port() - the outside port of the next new mapping; later ones count up */
void test_net_nat_set_port(struct test_net *net, int nat, uint16_t port);
/** test_net_nat_reboot() - forget all mappings */
void test_net_nat_reboot(struct test_net *net, int nat);
void test_net_set_link(struct test_net *net, int host, struct test_net_link link);
/** test_net_set_up() - false: everything from and to the host is lost; default true */
void test_net_set_up(struct test_net *net, int host, bool up);
void test_net_set_filter(struct test_net *net, test_net_filter filter, void *ctx);

/**
 * test_net_send() - put a datagram on the wire
 * @src: own IP and port; an IP with family 0 means "the first address of dst's family"
 *
 * A source that is not the host's, or a destination nobody has, is silence, as in life.
 */
void test_net_send(struct test_net *net,
                   int host,
                   const struct sp_endpoint *src,
                   const struct sp_endpoint *dst,
                   struct sp_span bytes,
                   uint8_t ecn,
                   sp_time now);
/** test_net_next() - when the next datagram arrives, SP_TIME_NEVER when none is in flight */
sp_time test_net_next(const struct test_net *net);
/** test_net_deliver() - hand over everything due at @now, in order of arrival */
void test_net_deliver(struct test_net *net, sp_time now);
/** test_net_sent() - datagrams a host put on the wire so far */
uint64_t test_net_sent(const struct test_net *net, int host);
