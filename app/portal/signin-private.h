/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of the sign-in pages. */
#pragma once

#include "app/portal/limit.h"
#include "app/portal/signin.h"
#include "app/portal/store.h"

#define SP_CP_VERIFY_MAX         4 /* password checks at once; each takes 64 MiB */
#define SP_CP_SCHEME             "firezone-fd0020211111"
#define SP_CP_CLIENT_COOKIE      "sp_client_auth"
#define SP_CP_CLIENT_COOKIE_SECS 120

struct sp_cp_signin {
    struct sp_cp_db *db;
    const struct sp_cp_keys *keys;
    bool secure; /* reached by https: cookies say so */
    bool dev;
    const struct sp_cp_proxies *proxies;
    struct sp_cp_limit *by_address; /* attempts of one address, whoever it tries to be */
    struct sp_cp_limit *by_person;  /* attempts on one person from one address */
    struct sp_cp_limit *by_target;  /* attempts on one person from anywhere */
    unsigned verifying;
};

enum sp_cp_flow_kind {
    SP_CP_FLOW_WEB,
    SP_CP_FLOW_GUI,
    SP_CP_FLOW_HEADLESS,
};

/** struct sp_cp_params - what a client hands through the pages (borrowed texts, NULL if absent) */
struct sp_cp_params {
    const char *as;
    const char *state;
    const char *nonce;
};
struct sp_cp_params sp_cp_params_read(GHashTable *form);
enum sp_cp_flow_kind sp_cp_params_kind(const struct sp_cp_params *params);
/** sp_cp_params_valid() - may a token be made for them? */
bool sp_cp_params_valid(const struct sp_cp_params *params);

/** sp_cp_signin_cookie() - owned value of a request cookie, or NULL */
char *sp_cp_signin_cookie(SoupServerMessage *msg, const char *name);
void sp_cp_signin_set_cookie(const struct sp_cp_signin *signin,
                             SoupServerMessage *msg,
                             const char *name,
                             const char *value,
                             const char *path,
                             int max_age);

/** sp_cp_signin_finish() - the person is who they say: make the token and show or hand it over */
void sp_cp_signin_finish(struct sp_cp_signin *signin,
                         SoupServerMessage *msg,
                         const struct sp_cp_account *account,
                         const struct sp_cp_actor *actor,
                         const char *provider_id,
                         const struct sp_cp_params *params);
/** sp_cp_signin_client_redirect() - the deep link out of the signed cookie */
void sp_cp_signin_client_redirect(struct sp_cp_signin *signin,
                                  SoupServerMessage *msg,
                                  const struct sp_cp_account *account);
