/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "engine/node/node-private.h"

void
sp_node_ufrag_key(const char *ufrag, uint8_t out[SP_NODE_UFRAG_KEY_LEN])
{
    memset(out, 0, SP_NODE_UFRAG_KEY_LEN);
    memcpy(out, ufrag, strnlen(ufrag, SP_ICE_UFRAG_MAX));
}

void
sp_node_tables_init(struct sp_node_tables *t, const struct sp_rng *rng)
{
    memset(t, 0, sizeof *t);
    sp_map_init(&t->by_id, sizeof(struct sp_uuid), rng);
    sp_map_init(&t->by_index, sizeof(uint32_t), rng);
    sp_map_init(&t->by_key, SP_KEY_LEN, rng);
    sp_map_init(&t->by_ufrag, SP_NODE_UFRAG_KEY_LEN, rng);
    sp_map_init(&t->by_txid, SP_NODE_TXID_LEN, rng);
    TAILQ_INIT(&t->stun_by_age);
}

void
sp_node_tables_done(struct sp_node_tables *t)
{
    sp_map_done(&t->by_id);
    sp_map_done(&t->by_index);
    sp_map_done(&t->by_key);
    sp_map_done(&t->by_ufrag);
    sp_map_done(&t->by_txid);
}

void
sp_node_tables_add(struct sp_node_tables *t, struct sp_node_conn *conn)
{
    sp_map_put(&t->by_id, &conn->peer, conn);
    sp_map_put(&t->by_index, &conn->index24, conn);
    sp_map_put(&t->by_key, conn->params.remote_key, conn);
    conn->ufrag_next = sp_map_get(&t->by_ufrag, conn->ufrag_key);
    sp_map_put(&t->by_ufrag, conn->ufrag_key, conn);
}

static void
unchain_ufrag(struct sp_node_tables *t, struct sp_node_conn *conn)
{
    struct sp_node_conn *c = sp_map_get(&t->by_ufrag, conn->ufrag_key);

    if (c == conn) {
        if (conn->ufrag_next)
            sp_map_put(&t->by_ufrag, conn->ufrag_key, conn->ufrag_next);
        else
            sp_map_del(&t->by_ufrag, conn->ufrag_key);
        return;
    }
    while (c && c->ufrag_next != conn)
        c = c->ufrag_next;
    if (c)
        c->ufrag_next = conn->ufrag_next;
}

static void
stun_forget(struct sp_node_tables *t, struct sp_node_stun_id *id)
{
    sp_map_del(&t->by_txid, id->txid);
    TAILQ_REMOVE(&t->stun_by_age, id, by_age);
    TAILQ_REMOVE(&id->conn->stun_ids, id, of_conn);
    t->n_stun--;
    free(id);
}

void
sp_node_tables_remove(struct sp_node_tables *t, struct sp_node_conn *conn, sp_time now)
{
    struct sp_node_gone *gone = &t->gone[t->gone_next++ % SP_NODE_GONE_MAX];
    struct sp_node_stun_id *id;

    sp_map_del(&t->by_id, &conn->peer);
    sp_map_del(&t->by_index, &conn->index24);
    sp_map_del(&t->by_key, conn->params.remote_key);
    unchain_ufrag(t, conn);
    while ((id = TAILQ_FIRST(&conn->stun_ids)))
        stun_forget(t, id);

    gone->peer = conn->peer;
    gone->index24 = conn->index24;
    gone->at = now;
    memcpy(gone->key, conn->params.remote_key, SP_KEY_LEN);
    memcpy(gone->ufrag_key, conn->ufrag_key, SP_NODE_UFRAG_KEY_LEN);
}

struct sp_node_conn *
sp_node_by_id(const struct sp_node_tables *t, const struct sp_uuid *peer)
{
    return sp_map_get(&t->by_id, peer);
}

struct sp_node_conn *
sp_node_by_index(const struct sp_node_tables *t, uint32_t index24)
{
    return sp_map_get(&t->by_index, &index24);
}

struct sp_node_conn *
sp_node_by_key(const struct sp_node_tables *t, const uint8_t key[SP_KEY_LEN])
{
    return sp_map_get(&t->by_key, key);
}

struct sp_node_conn *
sp_node_by_ufrag(const struct sp_node_tables *t, const char *ufrag)
{
    uint8_t key[SP_NODE_UFRAG_KEY_LEN];

    sp_node_ufrag_key(ufrag, key);
    return sp_map_get(&t->by_ufrag, key);
}

/* ---- checks in flight ------------------------------------------------------------------------ */

void
sp_node_stun_sent(struct sp_node_tables *t,
                  struct sp_node_conn *conn,
                  const uint8_t txid[SP_NODE_TXID_LEN],
                  sp_time now)
{
    struct sp_node_stun_id *id;

    if (sp_map_get(&t->by_txid, txid))
        return;
    if (t->n_stun >= SP_NODE_STUN_MAX)
        stun_forget(t, TAILQ_FIRST(&t->stun_by_age));
    id = sp_xcalloc(1, sizeof *id);
    memcpy(id->txid, txid, SP_NODE_TXID_LEN);
    id->conn = conn;
    id->sent_at = now;
    sp_map_put(&t->by_txid, id->txid, id);
    TAILQ_INSERT_TAIL(&t->stun_by_age, id, by_age);
    TAILQ_INSERT_TAIL(&conn->stun_ids, id, of_conn);
    t->n_stun++;
}

struct sp_node_conn *
sp_node_stun_take(struct sp_node_tables *t, const uint8_t txid[SP_NODE_TXID_LEN], sp_time now)
{
    struct sp_node_stun_id *id;
    struct sp_node_conn *conn;

    sp_node_stun_expire(t, now);
    id = sp_map_get(&t->by_txid, txid);
    if (!id)
        return NULL;
    conn = id->conn;
    stun_forget(t, id);
    return conn;
}

void
sp_node_stun_expire(struct sp_node_tables *t, sp_time now)
{
    struct sp_node_stun_id *id;

    while ((id = TAILQ_FIRST(&t->stun_by_age))
           && sp_time_since(id->sent_at, now) >= SP_NODE_STUN_TTL)
        stun_forget(t, id);
}

/* ---- recently disconnected ------------------------------------------------------------------- */

/* Only asked when a line is about to be logged at DEBUG, so a scan of a small ring is enough. */
static bool
gone_any(const struct sp_node_tables *t,
         sp_time now,
         const uint32_t *index24,
         const uint8_t *key,
         const uint8_t *ufrag_key)
{
    size_t n = SP_MIN(t->gone_next, (size_t)SP_NODE_GONE_MAX);

    for (size_t i = 0; i < n; i++) {
        const struct sp_node_gone *g = &t->gone[i];

        if (sp_time_since(g->at, now) >= SP_NODE_GONE_TIME)
            continue;
        if ((index24 && g->index24 == *index24) || (key && !memcmp(g->key, key, SP_KEY_LEN))
            || (ufrag_key && !memcmp(g->ufrag_key, ufrag_key, SP_NODE_UFRAG_KEY_LEN)))
            return true;
    }
    return false;
}

bool
sp_node_gone_index(const struct sp_node_tables *t, uint32_t index24, sp_time now)
{
    return gone_any(t, now, &index24, NULL, NULL);
}

bool
sp_node_gone_key(const struct sp_node_tables *t, const uint8_t *key, sp_time now)
{
    return gone_any(t, now, NULL, key, NULL);
}

bool
sp_node_gone_ufrag(const struct sp_node_tables *t, const char *ufrag, sp_time now)
{
    uint8_t key[SP_NODE_UFRAG_KEY_LEN];

    sp_node_ufrag_key(ufrag, key);
    return gone_any(t, now, NULL, NULL, key);
}

size_t
sp_node_tables_entries(const struct sp_node *node)
{
    const struct sp_node_tables *t = &node->tables;

    return t->by_id.len + t->by_index.len + t->by_key.len + t->by_ufrag.len + t->by_txid.len
           + t->n_stun + node->heap.n;
}
