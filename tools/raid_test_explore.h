/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon raid test`: every power loss of a scenario, and the shortest scenario of what failed. */
#ifndef TENON_TOOLS_RAID_TEST_EXPLORE_H
#define TENON_TOOLS_RAID_TEST_EXPLORE_H

#include <stdint.h>

struct lab_scenario;

/* Explores, tells what was found, and shrinks it; `directory` (may be NULL) gets the shortest scenario. An exit status. */
int raid_test_explore(const struct lab_scenario *scenario, uint64_t seed, const char *directory);
/* The same for a run from this seed that did not end as expected. */
void raid_test_shrink_run(const struct lab_scenario *scenario, uint64_t seed,
			  const char *directory);

#endif
