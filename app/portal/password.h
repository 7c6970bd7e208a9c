/* SPDX-License-Identifier: Apache-2.0 */
/* Argon2id password hashes. Slow by purpose: call verify on a worker thread. */
#pragma once

#include "engine/base/defs.h"

#define SP_CP_PASSWORD_MAX 1024

/** sp_cp_password_hash() - hash text, or NULL when memory is short or the password is empty or longer than
 * SP_CP_PASSWORD_MAX */
char *sp_cp_password_hash(const char *password);
/** sp_cp_password_verify() - @hash may be NULL (no such person): takes as long and says no */
bool sp_cp_password_verify(const char *hash, const char *password);
