/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every operation that changes metadata of groups is carried out in a ready scenario, and these are explored: cuts of power at each write, and disks
 * that fail in the middle. TORTURE=1 takes more seeds. That every verb is an operation: interop/volume_cuts_test.sh.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tools/lab/library.h"
#include "tools/lab/volume.h"
#include "unit.h"
#include "util/bytes.h"

static const char *const scenarios[] = { "volume-commits", "volume-groups", "volume-missing",
					 "volume-arrays" };

static void load(struct lab_scenario *scenario, const char *name)
{
	struct error error = { 0 };

	if (lab_library_load(scenario, name, &error))
		printf("  %s\n", error.text);
	CU_ASSERT_EQUAL_FATAL(error.code, 0);
}

static void test_every_operation_is_in_a_scenario(void)
{
	bool used[64] = { false };

	for (unsigned i = 0; i < ARRAY_SIZE(scenarios); i++) {
		struct lab_scenario scenario;

		load(&scenario, scenarios[i]);
		for (unsigned k = 0; k < scenario.volume.ops.count; k++)
			used[scenario.volume.parsed[k].number] = true;
		lab_scenario_free(&scenario);
	}
	for (unsigned i = 0; lab_volume_operations[i].name; i++) {
		if (!used[i])
			printf("  no ready scenario does %s\n", lab_volume_operations[i].name);
		CU_ASSERT(used[i]);
	}
}

/* ---- Exploring ---- */

static void explore(const char *name, uint64_t seed, struct lab_explored *explored)
{
	const struct lab_explore_options options = { .seed = seed };
	struct lab_scenario scenario;
	struct error error = { 0 };

	load(&scenario, name);
	if (lab_volume_explore(&scenario, &options, explored, &error))
		printf("  %s: %s\n", name, error.text);
	CU_ASSERT_EQUAL(error.code, 0);
	if (explored->failures)
		printf("  %s: %llu failures, the first at write %llu: %s\n", name,
		       (unsigned long long)explored->failures,
		       (unsigned long long)explored->at_write, explored->what);
	CU_ASSERT_EQUAL(explored->failures, 0);
	free(explored->pending);
	lab_scenario_free(&scenario);
}

/* Of a state that is right a fourth does the operation again, and a fourth something else: with other seeds others. */
static void test_power_and_disks_fail(void)
{
	uint64_t seeds = getenv("TORTURE") ? 24 : 1;

	for (unsigned i = 0; i < ARRAY_SIZE(scenarios); i++)
		for (uint64_t seed = 1; seed <= seeds; seed++) {
			struct lab_explored explored;

			explore(scenarios[i], seed, &explored);
			printf("  %s: %llu states, %llu operations on disks that fail\n",
			       scenarios[i], (unsigned long long)explored.states,
			       (unsigned long long)explored.trials);
			CU_ASSERT(explored.states > 200 && explored.trials > 1000);
		}
}

UNIT_MAIN("verbs that change groups, when power or disks fail",
	  UNIT(test_every_operation_is_in_a_scenario), UNIT(test_power_and_disks_fail))
