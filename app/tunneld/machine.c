/* SPDX-License-Identifier: Apache-2.0 */
#include "app/tunneld/machine.h"

#include <string.h>

#define FACT_MAX 128

char *
sp_td_machine_fact(const char *path)
{
    g_autofree char *text = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return NULL;
    g_strstrip(text);
    if (*text == '\0' || strlen(text) > FACT_MAX || strcmp(text, "123456789") == 0)
        return NULL;
    for (const char *p = text; *p; p++)
        if (!g_ascii_isprint(*p))
            return NULL;
    return g_steal_pointer(&text);
}
