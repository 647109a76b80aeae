/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looks for what is wrong with the arrays and groups that it is linked with, which may be ours with a defect put in (tests/mutations).
 *
 *	lab_find explore SCENARIO		the first state of an exploration that fails
 *	lab_find run SCENARIO SEEDS	the first seed of 1 to SEEDS with which a run does not end as expected
 *
 * Prints "found N: what", or "none of N".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/lab/explore.h"
#include "tools/lab/library.h"
#include "tools/lab/run.h"
#include "tools/lab/subject.h"
#include "util/error.h"

static int explore(const struct lab_scenario *scenario, struct error *error)
{
	const struct lab_explore_options options = { .seed = scenario->seed, .first = true };
	struct lab_explored explored = { 0 };
	int rc = lab_subject_of(scenario)->explore(scenario, &options, &explored, error);

	if (!rc && explored.failures)
		printf("found %llu: at write %llu: %s\n", (unsigned long long)explored.state + 1,
		       (unsigned long long)explored.at_write, explored.what);
	else if (!rc)
		printf("none of %llu\n", (unsigned long long)explored.states);
	free(explored.pending);
	return rc;
}

static int run(const struct lab_scenario *scenario, unsigned seeds, struct error *error)
{
	for (unsigned seed = 1; seed <= seeds; seed++) {
		struct lab_run_options options = { .seed = seed };
		struct lab_result result;
		int rc = lab_run_scenario(scenario, &options, &result, error);
		bool met = rc || result.met;

		if (!met)
			printf("found %u: %s\n", seed, result.failures[0]);
		lab_result_end(&result);
		if (rc || !met)
			return rc;
	}
	printf("none of %u\n", seeds);
	return 0;
}

int main(int argc, char **argv)
{
	struct lab_scenario scenario;
	struct error error = { 0 };
	int rc;

	if (argc < 3 || (!strcmp(argv[1], "run") && argc < 4)) {
		fprintf(stderr, "usage: lab_find explore SCENARIO | run SCENARIO SEEDS\n");
		return 2;
	}
	rc = lab_library_load(&scenario, argv[2], &error);
	if (!rc && !strcmp(argv[1], "explore"))
		rc = explore(&scenario, &error);
	else if (!rc)
		rc = run(&scenario, (unsigned)atoi(argv[3]), &error);
	if (rc)
		fprintf(stderr, "lab_find: %s\n", error.text);
	lab_scenario_free(&scenario);
	return rc ? 2 : 0;
}
