/* SPDX-License-Identifier: Apache-2.0 */
/* Pages: one small frame, no scripts, nothing from elsewhere; and form-encoding. */
#pragma once

#include <libsoup/soup.h>

#include "engine/base/defs.h"

/** sp_cp_html_page() - answer @msg. @title is escaped here; @body is finished HTML. @refresh: URL
 * the browser goes to by itself, or NULL */
void sp_cp_html_page(SoupServerMessage *msg,
                     unsigned status,
                     const char *title,
                     const char *body,
                     const char *refresh);
/** sp_cp_html_printf() - append; every %s argument is escaped */
void sp_cp_html_printf(GString *out, const char *format, ...) SP_PRINTF(2, 3);
/** sp_cp_html_redirect() - 302 to @location as it is */
void sp_cp_html_redirect(SoupServerMessage *msg, const char *location);
/** sp_cp_form_add() - append "key=value", with "&" between pairs; NULL values are left out */
void sp_cp_form_add(GString *out, const char *key, const char *value);
