/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "engine/base/rd.h"
#include "engine/base/wr.h"
#include "engine/crypto/aead.h"
#include "engine/crypto/mem.h"
#include "engine/wg/cookie-private.h"

#define WINDOW SP_SEC(1)

void
sp_wg_limiter_init(struct sp_wg_limiter *lim, const struct sp_rng *rng)
{
    *lim = (struct sp_wg_limiter){
        .rng = *rng,
        .secret_since = SP_TIME_NEVER,
        .max = SP_WG_HANDSHAKES_PER_SECOND,
    };
}

void
sp_wg_limiter_done(struct sp_wg_limiter *lim)
{
    sp_wipe(lim, sizeof *lim);
}

static bool
under_load(struct sp_wg_limiter *lim, sp_time now)
{
    if (sp_time_since(lim->window_start, now) >= WINDOW) {
        lim->window_start = now;
        lim->count = 0;
    }
    if (lim->count >= lim->max)
        return true;
    lim->count++;
    return false;
}

/* The port is left out: a peer behind a NAT may come from another one when it retries. */
static void
make_cookie(struct sp_wg_limiter *lim,
            const struct sp_ip *ip,
            sp_time now,
            uint8_t ret_cookie[SP_WG_COOKIE_LEN])
{
    uint8_t addr[16] = { 0 };

    if (lim->secret_since == SP_TIME_NEVER
        || sp_time_since(lim->secret_since, now) >= SP_WG_COOKIE_SECRET_TIME) {
        sp_rng_fill(&lim->rng, lim->secret, sizeof lim->secret);
        lim->secret_since = now;
    }
    if (ip->family == 4) {
        addr[10] = addr[11] = 0xff;
        memcpy(addr + 12, ip->b, 4);
    } else {
        memcpy(addr, ip->b, sizeof addr);
    }
    sp_wg_mac(ret_cookie, lim->secret, sizeof lim->secret, sp_span(addr, sizeof addr));
}

static void
make_reply(struct sp_wg_limiter *lim,
           const struct sp_wg_identity *id,
           struct sp_span msg,
           const uint8_t cookie[SP_WG_COOKIE_LEN],
           uint8_t reply[SP_WG_COOKIE_REPLY_LEN])
{
    const uint8_t *mac1 = msg.p + msg.n - SP_WG_MACS_LEN;

    memset(reply, 0, SP_WG_COOKIE_REPLY_LEN);
    reply[0] = SP_WG_COOKIE;
    memcpy(reply + SP_WG_COOK_RECEIVER, msg.p + SP_WG_HEADER_LEN, SP_WG_INDEX_LEN);
    sp_rng_fill(&lim->rng, reply + SP_WG_COOK_NONCE, SP_WG_COOKIE_NONCE_LEN);
    sp_xaead_seal(reply + SP_WG_COOK_COOKIE,
                  id->cookie_key,
                  reply + SP_WG_COOK_NONCE,
                  sp_span(mac1, SP_WG_MAC_LEN),
                  sp_span(cookie, SP_WG_COOKIE_LEN));
}

static bool
mac_ok(const uint8_t *key, size_t key_len, struct sp_span covered)
{
    uint8_t mac[SP_WG_MAC_LEN];

    sp_wg_mac(mac, key, key_len, covered);
    return sp_equal_ct(mac, covered.p + covered.n, sizeof mac);
}

int
sp_wg_limiter_check(struct sp_wg_limiter *lim,
                    const struct sp_wg_identity *id,
                    struct sp_span msg,
                    const struct sp_endpoint *src,
                    sp_time now,
                    uint8_t reply[SP_WG_COOKIE_REPLY_LEN],
                    size_t *ret_reply_len)
{
    enum sp_wg_kind kind = sp_wg_classify(msg);
    uint8_t cookie[SP_WG_COOKIE_LEN];

    if (kind == SP_WG_NONE)
        return SP_E_MALFORMED;
    if (kind != SP_WG_INITIATION && kind != SP_WG_RESPONSE)
        return 0;
    if (!mac_ok(id->mac1_key, SP_WG_KEY_LEN, sp_span(msg.p, msg.n - SP_WG_MACS_LEN)))
        return SP_E_UNAUTH;
    if (!under_load(lim, now))
        return 0;
    if (src == NULL || sp_ip_size(&src->ip) == 0)
        return SP_E_LIMIT;
    make_cookie(lim, &src->ip, now, cookie);
    if (mac_ok(cookie, sizeof cookie, sp_span(msg.p, msg.n - SP_WG_MAC_LEN)))
        return 0;
    make_reply(lim, id, msg, cookie, reply);
    *ret_reply_len = SP_WG_COOKIE_REPLY_LEN;
    return SP_WG_COOKIE_REPLY;
}
