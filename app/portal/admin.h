/* SPDX-License-Identifier: Apache-2.0 */
/* `sallyport-portal NOUN VERB ...`: looking at and changing what the portal knows. */
#pragma once

#include <stdbool.h>

/** sp_cp_admin_knows() - is @noun one of account, actor, group, ...? */
bool sp_cp_admin_knows(const char *noun);
/** sp_cp_admin_main() - @argv[0] is the noun. Returns: exit status */
int sp_cp_admin_main(int argc, char **argv);
