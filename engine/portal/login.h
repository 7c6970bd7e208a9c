/* SPDX-License-Identifier: Apache-2.0 */
/* What a dial says about us, and what a refusal means. Source: spec portal-protocol 1.1, 1.2, 1.4,
 * 2.5. Thread: any. I/O: none. */
#pragma once

#include "engine/base/defs.h"
#include "engine/model/model.h"

enum sp_portal_role {
    SP_PORTAL_CLIENT,
    SP_PORTAL_GATEWAY,
    SP_PORTAL_RELAY,
};

/** struct sp_portal_login - all strings borrowed
 * @api_url: ws, wss, http or https
 * @external_id: as stored or configured; hashed here if it is a UUID
 * @device_serial, @device_uuid: NULL if unknown; clients only
 * A relay has no @external_id and no @public_key; its @name may be NULL. Relays only:
 * @ipv4, @ipv6: public addresses as text, at least one; @port: where it listens */
struct sp_portal_login {
    enum sp_portal_role role;
    const char *api_url;
    const char *external_id;
    const char *name;
    const char *device_serial;
    const char *device_uuid;
    uint8_t public_key[SP_KEY_LEN];
    const char *ipv4;
    const char *ipv6;
    uint16_t port;
};

/** struct sp_portal_url - where and what to dial. Owns its strings.
 * @host: name or address, IPv6 without brackets
 * @host_header: @host as the Host header wants it: brackets, but no port
 * @target: path and query */
struct sp_portal_url {
    bool tls;
    char *host;
    char *host_header;
    uint16_t port;
    char *target;
};
void sp_portal_url_done(struct sp_portal_url *u);

/**
 * sp_portal_login_url() - build the dial target
 * Without a port in @api_url it is 443 for every scheme.
 * Returns: 0; SP_E_INVAL for a URL, id or name that cannot be used
 */
SP_MUST_CHECK int sp_portal_login_url(const struct sp_portal_login *login,
                                      struct sp_portal_url *ret_url);
/** sp_portal_url_to_string() - the ws or wss URL; owned (free) */
char *sp_portal_url_to_string(const struct sp_portal_url *url);

/** sp_portal_external_id() - the id as sent: SHA-256 in hex for a UUID, else unchanged; owned */
char *sp_portal_external_id(const char *stored);

/** struct sp_portal_agent - @arch, @kernel may be NULL */
struct sp_portal_agent {
    const char *os;
    const char *os_version;
    const char *component; /* "gui-client", "headless-client", "gateway", "relay" */
    const char *version;   /* X.Y.Z; the portal compares it */
    const char *arch;
    const char *kernel;
};
/** sp_portal_user_agent() - header value of printable ASCII; owned (free) */
char *sp_portal_user_agent(const struct sp_portal_agent *agent);

/**
 * sp_portal_clean_token() - remove white space in place
 * Returns: 0; SP_E_MALFORMED when something remains that no header may carry (@token is wiped)
 */
SP_MUST_CHECK int sp_portal_clean_token(char *token);

enum sp_portal_verdict {
    SP_PORTAL_RETRY,
    SP_PORTAL_FATAL_SIGN_IN,    /* the token is dead: discard it */
    SP_PORTAL_FATAL_KEEP_TOKEN, /* final for this session only */
};

/**
 * sp_portal_classify_http() - what an HTTP answer other than 101 means
 * @content_type: header value or NULL
 * @body, @n: body as far as it was read; may be empty
 * @ret_detail: printable text for a human, never NULL; owned (free)
 */
enum sp_portal_verdict sp_portal_classify_http(unsigned status,
                                               const char *content_type,
                                               const char *body,
                                               size_t n,
                                               char **ret_detail);
