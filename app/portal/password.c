/* SPDX-License-Identifier: Apache-2.0 */
#include "app/portal/password.h"

#include <string.h>

#include <glib.h>
#include <sodium.h>

#define OPS crypto_pwhash_OPSLIMIT_INTERACTIVE
#define MEM crypto_pwhash_MEMLIMIT_INTERACTIVE

char *
sp_cp_password_hash(const char *password)
{
    size_t n = strlen(password);
    char *text;

    if (n == 0 || n > SP_CP_PASSWORD_MAX)
        return NULL;
    text = g_malloc0(crypto_pwhash_STRBYTES);
    if (crypto_pwhash_str_alg(text, password, n, OPS, MEM, crypto_pwhash_ALG_ARGON2ID13) == 0)
        return text;
    g_free(text);
    return NULL;
}

bool
sp_cp_password_verify(const char *hash, const char *password)
{
    size_t n = strnlen(password, SP_CP_PASSWORD_MAX + 1);

    if (!hash) {
        static const uint8_t salt[crypto_pwhash_SALTBYTES];
        uint8_t out[32];

        (void)!crypto_pwhash(out,
                             sizeof out,
                             password,
                             SP_MIN(n, SP_CP_PASSWORD_MAX),
                             salt,
                             OPS,
                             MEM,
                             crypto_pwhash_ALG_ARGON2ID13);
        return false;
    }
    return n <= SP_CP_PASSWORD_MAX && crypto_pwhash_str_verify(hash, password, n) == 0;
}
