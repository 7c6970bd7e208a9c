/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target without libFuzzer: every file of the arguments (files or folders), then
 * FUZZ_RANDOM seeded mutations of them, for at most MUTATE_MAX_S seconds. */
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/support/rng.h"

#define INPUT_MAX    65536
#define MUTATE_MAX_S 20

static void
run_file(const char *path, GPtrArray *corpus)
{
    g_autoptr(GError) error = NULL;
    gchar *data = NULL;
    gsize n = 0;

    if (!g_file_get_contents(path, &data, &n, &error)) {
        fprintf(stderr, "%s\n", error->message);
        exit(1);
    }
    (void)LLVMFuzzerTestOneInput((const uint8_t *)data, n);
    g_ptr_array_add(corpus, g_bytes_new_take(data, n));
}

/* Folders list in any order; mutations must not depend on it. */
static gint
by_name(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
run_path(const char *path, GPtrArray *corpus)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    GDir *dir = g_dir_open(path, 0, NULL);
    const char *name;

    if (dir == NULL) {
        run_file(path, corpus);
        return;
    }
    while ((name = g_dir_read_name(dir)) != NULL)
        g_ptr_array_add(names, g_build_filename(path, name, NULL));
    g_dir_close(dir);
    g_ptr_array_sort(names, by_name);
    for (guint i = 0; i < names->len; i++)
        run_file(g_ptr_array_index(names, i), corpus);
}

/* A few byte changes, a cut, a repeat or a splice with another input. Returns: the new length */
static size_t
mutate(const struct sp_rng *rng, uint8_t *buf, size_t n, GBytes *other)
{
    for (uint32_t k = 1 + sp_rng_below(rng, 6); k; k--) {
        size_t at = n ? sp_rng_below(rng, (uint32_t)n) : 0;
        size_t n_other;
        const uint8_t *bytes;

        switch (sp_rng_below(rng, 5)) {
        case 0:
            if (n)
                buf[at] ^= (uint8_t)(1u << sp_rng_below(rng, 8));
            break;
        case 1:
            if (n)
                buf[at] = (uint8_t)sp_rng_u32(rng);
            break;
        case 2:
            n = at;
            break;
        case 3:
            if (n && n + 1 < INPUT_MAX) {
                memmove(buf + at + 1, buf + at, n - at);
                n++;
            }
            break;
        default:
            bytes = g_bytes_get_data(other, &n_other);
            n_other = n_other > at ? n_other - at : 0;
            if (n_other && at + n_other <= INPUT_MAX) {
                memcpy(buf + at, bytes + at, n_other);
                n = at + n_other;
            }
            break;
        }
    }
    return n;
}

static GBytes *
pick(const struct sp_rng *rng, GPtrArray *corpus)
{
    return g_ptr_array_index(corpus, sp_rng_below(rng, corpus->len));
}

static void
run_random(GPtrArray *corpus, uint64_t count, uint64_t seed)
{
    gint64 end = g_get_monotonic_time() + MUTATE_MAX_S * G_USEC_PER_SEC;
    g_autofree uint8_t *buf = g_malloc(INPUT_MAX);
    struct test_rng state;
    struct sp_rng rng = test_rng_init(&state, seed);

    for (uint64_t i = 0; i < count && g_get_monotonic_time() < end; i++) {
        g_autofree uint8_t *exact = NULL;
        gsize n;
        const uint8_t *from = g_bytes_get_data(pick(&rng, corpus), &n);

        n = MIN(n, INPUT_MAX);
        if (n)
            memcpy(buf, from, n);
        n = mutate(&rng, buf, n, pick(&rng, corpus));
        exact = g_memdup2(buf, n); /* so that a sanitizer sees its end */
        (void)LLVMFuzzerTestOneInput(exact, n);
    }
}

static uint64_t
number_from(const char *name, uint64_t fallback)
{
    const char *text = g_getenv(name);
    guint64 value;

    if (text == NULL || !g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT64, &value, NULL))
        return fallback;
    return value;
}

int
main(int argc, char **argv)
{
    g_autoptr(GPtrArray) corpus = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    uint64_t seed = number_from("FUZZ_SEED", 1);
    uint64_t count = number_from("FUZZ_RANDOM", 0);

    for (int i = 1; i < argc; i++)
        run_path(argv[i], corpus);
    if (corpus->len == 0) {
        fprintf(stderr, "no input: give corpus files or folders\n");
        return 1;
    }
    printf("%u inputs, %llu mutations, seed %llu\n",
           corpus->len,
           (unsigned long long)count,
           (unsigned long long)seed);
    fflush(stdout);
    run_random(corpus, count, seed);
    return 0;
}
