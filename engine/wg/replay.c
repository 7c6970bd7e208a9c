/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/wg/session-private.h"

static size_t
word_of(uint64_t counter)
{
    return (size_t)(counter / SP_WG_WINDOW_WORD % SP_WG_WINDOW_WORDS);
}

static uint64_t
bit_of(uint64_t counter)
{
    return UINT64_C(1) << (counter % SP_WG_WINDOW_WORD);
}

int
sp_wg_replay_check(const struct sp_wg_replay *w, uint64_t counter)
{
    if (counter >= w->next)
        return 0;
    if (w->next - counter > SP_WG_WINDOW)
        return SP_E_REPLAY;
    return w->seen[word_of(counter)] & bit_of(counter) ? SP_E_REPLAY : 0;
}

void
sp_wg_replay_mark(struct sp_wg_replay *w, uint64_t counter)
{
    if (counter >= w->next) {
        uint64_t to = counter / SP_WG_WINDOW_WORD;
        /* The word of the newest counter so far keeps its bits; all words after it are stale. */
        uint64_t from = w->next ? (w->next - 1) / SP_WG_WINDOW_WORD : 0;
        uint64_t n = SP_MIN(to - from, (uint64_t)SP_WG_WINDOW_WORDS);

        for (uint64_t i = 0; i < n; i++)
            w->seen[(to - i) % SP_WG_WINDOW_WORDS] = 0;
        w->next = counter + 1;
    }
    w->seen[word_of(counter)] |= bit_of(counter);
}
