/* SPDX-License-Identifier: Apache-2.0 */
/* A client engine between a test that plays portal, applications and resolver, and far nodes that
 * play gateways. */
#pragma once

#include "engine/client/client.h"
#include "tests/support/far.h"

#define RIG_IP4 "100.64.0.7"
#define RIG_IP6 "fd00:2021:1111::7"

/** struct rig - @requests: resource number of each authorization request, in order
 * @tun: packets for the TUN device as GBytes */
struct rig {
    struct sp_client *c;
    struct sp_pkt_pool pool;
    struct test_rng rng;
    struct sp_log log;
    sp_time now;
    struct sp_endpoint address;
    struct far gw[2];
    bool deaf[2];     /* the gateway hears and says nothing */
    GArray *requests; /* int */
    struct sp_client_req last_request;
    GPtrArray *tun;
    int tun_configs, lists, offline, version_mismatch, keys, dns_queries, no_relays;
    int candidate_batches, candidates, withdrawals;
    struct sp_client_event tun_config;
    struct sp_client_event list;
    struct sp_client_event dns;
};

struct rig *rig_new(void);
void rig_free(struct rig *r);
/** rig_init() - interface, resolver 9.9.9.9, the given resources ("name=address" or "internet") */
void rig_init(struct rig *r, const char *resources);
/** rig_resource() - resource @number; @spec "10.0.0.0/8", "*.corp.test" or "internet", optionally with
 * " udp:1000-2000" or " icmp" behind it and " site:N" */
struct sp_resource rig_resource(uint8_t number, const char *spec);
void rig_upsert(struct rig *r, uint8_t number, const char *spec);
void rig_delete(struct rig *r, uint8_t number);
void rig_send(struct rig *r, GBytes *packet);
/** rig_grant() - gateway @g is told, then the client */
void rig_grant(struct rig *r, uint8_t resource, int g);
void rig_refuse(struct rig *r, uint8_t resource, enum sp_fail_reason reason);
/** rig_far_says() - an inner packet of gateway @g; taken */
void rig_far_says(struct rig *r, int g, GBytes *packet);
void rig_run(struct rig *r, sp_duration d);
void rig_pump(struct rig *r);
struct sp_uuid rig_id(uint8_t number);
/** rig_lookup() - ask for A or AAAA. Returns: the first address of the answer, family 0 if none */
struct sp_ip rig_lookup(struct rig *r, const char *name, uint8_t family);
enum sp_resource_status rig_status(const struct rig *r, uint8_t number);
uint64_t rig_drops(const struct rig *r, enum sp_drop reason);
