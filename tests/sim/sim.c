/* SPDX-License-Identifier: Apache-2.0 */
/* sim --seeds A..B | --seed N [--verbose] [--plant NAME [--expect-found]] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <glib.h>

#include "tests/sim/sim.h"

static const char *const plants[_SIM_PLANT_MAX] = {
    [SIM_PLANT_NONE] = "none",
    [SIM_PLANT_LOST_REJECT] = "lost-reject",
    [SIM_PLANT_STALE_INIT] = "stale-init",
    [SIM_PLANT_WRONG_ADDRESS] = "wrong-address",
    [SIM_PLANT_DUPLICATE] = "duplicate",
    [SIM_PLANT_NO_TIMER] = "no-timer",
};

struct options {
    uint64_t first, last;
    enum sim_plant plant;
    bool verbose;
    bool expect_found;
};

static uint64_t total_trips, total_wakeups;

/* Returns: true when the case passed */
static bool
run_case(const struct options *o, uint64_t seed, bool verbose)
{
    struct sim *s = sim_new(seed, o->plant, verbose);
    bool passed;

    steps_run(s);
    passed = s->failure == NULL;
    total_trips += s->round_trips;
    total_wakeups += s->wakeups;
    if (!passed && !o->expect_found)
        printf("# seed %" G_GUINT64_FORMAT ": %s\n%s", seed, s->failure, s->trace->str);
    else if (verbose)
        fputs(s->trace->str, stdout);
    if (!passed)
        printf("# seed %" G_GUINT64_FORMAT " failed %s\n", seed, s->failure);
    fflush(stdout);
    sim_free(s);
    return passed;
}

static void
usage(void)
{
    fputs("usage: sim --seeds A..B | --seed N [--verbose] [--plant NAME [--expect-found]]\n",
          stderr);
    exit(2);
}

static void
parse(int argc, char **argv, struct options *o)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        char *end;

        if (!strcmp(argv[i], "--verbose")) {
            o->verbose = true;
        } else if (!strcmp(argv[i], "--expect-found")) {
            o->expect_found = true;
        } else if (!strcmp(argv[i], "--seed")) {
            o->first = o->last = g_ascii_strtoull(value, NULL, 10);
            i++;
        } else if (!strcmp(argv[i], "--seeds")) {
            o->first = g_ascii_strtoull(value, &end, 10);
            if (strncmp(end, "..", 2))
                usage();
            o->last = g_ascii_strtoull(end + 2, NULL, 10);
            i++;
        } else if (!strcmp(argv[i], "--plant")) {
            while (o->plant < _SIM_PLANT_MAX && strcmp(plants[o->plant], value))
                o->plant++;
            if (o->plant == _SIM_PLANT_MAX)
                usage();
            i++;
        } else {
            usage();
        }
    }
}

int
main(int argc, char **argv)
{
    struct options o = { .first = 0, .last = 99 };
    uint64_t failed = 0;

    parse(argc, argv, &o);
    for (uint64_t seed = o.first; seed <= o.last; seed++) {
        failed += !run_case(&o, seed, o.verbose);
        if (o.expect_found && failed) {
            printf("# plant %s found after %" G_GUINT64_FORMAT " seeds\n",
                   plants[o.plant],
                   seed - o.first + 1);
            return 0;
        }
        if ((seed - o.first) % 500 == 499)
            printf("# %" G_GUINT64_FORMAT " seeds, %" G_GUINT64_FORMAT " failed\n",
                   seed - o.first + 1,
                   failed);
        if (failed >= 5)
            break;
    }
    printf("# round trips %" G_GUINT64_FORMAT ", wake-ups %" G_GUINT64_FORMAT "\n",
           total_trips,
           total_wakeups);
    return o.expect_found || failed ? 1 : 0;
}
