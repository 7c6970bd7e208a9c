/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/wg/wg.h"

enum {
    INDEX_MAX = 0xffffff,
    LFSR_TAPS = 0xd80000, /* a maximal polynomial of degree 24 */
};

void
sp_wg_index_init(struct sp_wg_index *gen, const struct sp_rng *rng)
{
    uint32_t seed = 1 + sp_rng_below(rng, INDEX_MAX);
    uint32_t mask = 1 + sp_rng_below(rng, INDEX_MAX);

    sp_wg_index_init_with(gen, seed, mask);
}

void
sp_wg_index_init_with(struct sp_wg_index *gen, uint32_t seed, uint32_t mask)
{
    sp_assert(seed > 0 && seed <= INDEX_MAX && mask > 0 && mask <= INDEX_MAX);
    *gen = (struct sp_wg_index){ .lfsr = seed, .mask = mask };
}

uint32_t
sp_wg_index_next(struct sp_wg_index *gen)
{
    uint32_t value = (gen->lfsr - 1) ^ gen->mask;

    gen->lfsr = (gen->lfsr >> 1) ^ (gen->lfsr & 1 ? LFSR_TAPS : 0);
    return value;
}
