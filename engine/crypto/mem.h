/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that holds secrets: wipe, compare in constant time. */
#pragma once

#include "engine/base/defs.h"

/** sp_wipe() - zero @n bytes in a way the compiler may not drop */
void sp_wipe(void *p, size_t n);
/** sp_equal_ct() - compare in time that depends on @n alone */
SP_MUST_CHECK bool sp_equal_ct(const void *a, const void *b, size_t n);
