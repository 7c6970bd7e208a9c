/* SPDX-License-Identifier: Apache-2.0 */
/* Who may do what: credentials are computed from the stamp secret, never stored. Spec relay 1.3 to
 * 1.5. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/rd.h"
#include "engine/crypto/mem.h"
#include "engine/relay/relay-private.h"

/** struct username - "<expiry>:<salt>"; @text has a NUL */
struct username {
    char text[USERNAME_MAX + 1];
    uint64_t expiry;
    const char *salt;
};

/* Canonical decimal only, so that number and text are one and the same. */
static int
parse_expiry(const char *text, size_t n, uint64_t *ret)
{
    uint64_t v = 0;

    if (n == 0 || (n > 1 && text[0] == '0'))
        return SP_E_MALFORMED;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow(v, UINT64_C(10), &v)
            || __builtin_add_overflow(v, (uint64_t)(text[i] - '0'), &v))
            return SP_E_MALFORMED;
    }
    *ret = v;
    return 0;
}

static int
parse_username(struct username *u)
{
    const char *colon = strchr(u->text, ':');

    if (!colon || strchr(colon + 1, ':'))
        return SP_E_MALFORMED;
    u->salt = colon + 1;
    return parse_expiry(u->text, (size_t)(colon - u->text), &u->expiry);
}

/* The one place where a password is made, for checking and for signing. */
static void
derive_password(const struct sp_relay *r,
                uint64_t expiry,
                const char *salt,
                char ret_password[PASSWORD_LEN + 1])
{
    char input[20 + 1 + SP_RELAY_SECRET_MAX + 1 + USERNAME_MAX + 1];
    uint8_t hash[SP_SHA256_LEN];
    int n =
        snprintf(input, sizeof input, "%llu:%s:%s", (unsigned long long)expiry, r->secret, salt);

    sp_assert(n > 0 && (size_t)n < sizeof input);
    sp_sha256(hash, sp_span(input, (size_t)n));
    sodium_bin2base64(ret_password,
                      PASSWORD_LEN + 1,
                      hash,
                      sizeof hash,
                      sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
    sp_wipe(input, sizeof input);
    sp_wipe(hash, sizeof hash);
}

static bool
is_expired(const struct sp_relay *r, uint64_t expiry, sp_time now)
{
    int64_t unix_ns = sp_wall_unix_ns(r->wall, now);

    if (expiry > (uint64_t)INT64_MAX / SP_NS_PER_SEC)
        return false;
    return unix_ns > (int64_t)(expiry * SP_NS_PER_SEC);
}

int
relay_auth_user(const struct sp_relay *r, struct relay_request *q)
{
    struct username u;
    char password[PASSWORD_LEN + 1];

    if (!sp_stun_has(&q->msg, SP_STUN_USERNAME))
        return 0;
    if (!sp_stun_get_string(&q->msg, SP_STUN_USERNAME, u.text, sizeof u.text))
        return SP_E_MALFORMED;
    if (r->static_user && strcmp(u.text, r->static_user) == 0) {
        sp_stun_long_term_key(u.text, SP_RELAY_REALM, r->static_password, q->reply.key);
    } else {
        if (parse_username(&u) < 0)
            return SP_E_MALFORMED;
        derive_password(r, u.expiry, u.salt, password);
        sp_stun_long_term_key(u.text, SP_RELAY_REALM, password, q->reply.key);
        sp_wipe(password, sizeof password);
        q->expired = is_expired(r, u.expiry, q->now);
    }
    sp_sha256(q->user, sp_span(u.text, strlen(u.text)));
    q->has_user = q->reply.sign = true;
    return 0;
}

/* ---- nonces --------------------------------------------------------------------------------- */

/* A client without allocation gets a nonce that we can recompute: strangers cost no memory. */
static struct sp_uuid
stateless_nonce(const struct sp_relay *r, const struct sp_endpoint *client, uint64_t epoch)
{
    struct relay_key key = relay_key(client, 0);
    struct sp_span parts[2] = { sp_span(&epoch, sizeof epoch), sp_span(key.b, sizeof key.b) };
    uint8_t mac[SP_SHA1_LEN];
    struct sp_uuid id;

    sp_hmac_sha1_v(mac, sp_span(r->nonce_key, sizeof r->nonce_key), parts, SP_ARRAY_SIZE(parts));
    for (size_t i = 0; i < sizeof id.b; i++)
        id.b[i] = mac[i];
    id.b[6] = (uint8_t)((id.b[6] & 0x0f) | 0x40);
    id.b[8] = (uint8_t)((id.b[8] & 0x3f) | 0x80);
    return id;
}

struct sp_uuid
relay_auth_nonce(const struct sp_relay *r,
                 const struct relay_alloc *alloc,
                 const struct sp_endpoint *client,
                 sp_time now)
{
    return alloc ? alloc->nonce : stateless_nonce(r, client, now / SP_RELAY_NONCE_EPOCH);
}

static bool
use_nonce(struct sp_relay *r, struct relay_request *q, const struct sp_uuid *nonce)
{
    uint64_t epoch = q->now / SP_RELAY_NONCE_EPOCH;
    struct relay_alloc *a = q->alloc;
    struct sp_uuid now, before;

    if (a) {
        if (!sp_uuid_equal(nonce, &a->nonce))
            return false;
        if (a->nonce_uses++ < SP_RELAY_NONCE_USES)
            return true;
        a->nonce = sp_uuid_random(&r->rng);
        a->nonce_uses = 0;
        return false;
    }
    now = stateless_nonce(r, &q->reply.to, epoch);
    before = epoch ? stateless_nonce(r, &q->reply.to, epoch - 1) : now;
    return sp_uuid_equal(nonce, &now) || sp_uuid_equal(nonce, &before);
}

enum sp_relay_code
relay_auth_check(struct sp_relay *r, struct relay_request *q)
{
    struct sp_span key = sp_span(q->reply.key, sizeof q->reply.key);
    char text[SP_UUID_STR_MAX];

    if (!q->msg.integrity || !q->has_user
        || !sp_stun_get_string(&q->msg, SP_STUN_NONCE, text, sizeof text)
        || sp_uuid_parse(text, &q->nonce) < 0)
        return SP_RELAY_401;
    /* A stale nonce comes before all else: clients take 401 for "credentials invalid". */
    if (!use_nonce(r, q, &q->nonce)) {
        SP_DEBUG(r->log, TURN, "stale nonce");
        return SP_RELAY_438;
    }
    if (q->expired || sp_stun_check_integrity(&q->msg, key) < 0) {
        SP_DEBUG(r->log, TURN, "%s", q->expired ? "credentials expired" : "wrong integrity");
        return SP_RELAY_401;
    }
    return SP_RELAY_SUCCESS;
}
